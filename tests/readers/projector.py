"""Reads `wgmf export --format projector` by TensorBoard's rules.

TensorBoard's plugin (`_read_tensor_tsv_file`, `_serve_metadata`) and page (`parseTensors`,
`parseMetadata`): lines end at a line feed, are trimmed, empty ones are skipped; fields are split at
tabs; there are no quotes. Vectors have no header. Metadata has a header exactly when its first line
has more than one field.
"""

import json
import re

import numpy as np
from expected import arguments, same


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        lines = [line.strip() for line in file.read().split("\n")]
    return [line.split("\t") for line in lines if line]


def unescape(text):
    if re.fullmatch(r'"\s*"', text):
        text = text[1:-1]
    names = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: names[match[1]], text)


directory, want = arguments()
with open(f"{directory}/projector_config.json", encoding="utf-8") as file:
    config = {e["tensorName"]: e for e in json.load(file)["embeddings"]}
with open(f"{directory}/projector_config.pbtxt", encoding="utf-8") as file:
    pbtxt = re.findall(
        r'embeddings \{\s+tensor_name: "(.*)"\s+tensor_path: "(.*)"\s+metadata_path: "(.*)"\s+\}',
        file.read(),
    )
assert [entry[0] for entry in pbtxt] == ["users", "items"], pbtxt
for side, vectors_path, metadata_path in pbtxt:
    entry = config[side]
    assert (entry["tensorPath"], entry["metadataPath"]) == (vectors_path, metadata_path)
    vectors = np.array(
        [[float(x) for x in row] for row in rows(f"{directory}/{vectors_path}")], dtype=np.float32
    )
    assert entry["tensorShape"] == list(vectors.shape)
    same(vectors, want[side]["factors"])
    header, *metadata = rows(f"{directory}/{metadata_path}")
    assert header == ["id", "ratings", "bias"], header
    assert len(metadata) == len(vectors)
    assert all(len(row) == 3 for row in metadata), metadata
    ids = [unescape(row[0]) for row in metadata]
    # The page trims its lines, so blanks at the front of an id are not shown.
    assert ids == [i.lstrip() or i for i in want[side]["ids"]], ids
    assert [int(row[1]) for row in metadata] == want[side]["ratings"]
    same(np.array([float(row[2]) for row in metadata], dtype=np.float32), want[side]["bias"])
