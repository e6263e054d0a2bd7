"""gensim reads `wgmf export --format word2vec`, and users.csv leads back to ids and biases."""

import numpy as np
import pandas as pd
from expected import arguments, same
from gensim.models import KeyedVectors

directory, want = arguments()
for side in ("users", "items"):
    vectors = KeyedVectors.load_word2vec_format(f"{directory}/{side}.w2v.txt", binary=False)
    same(vectors.vectors, want[side]["factors"])
    table = pd.read_csv(
        f"{directory}/{side}.csv",
        dtype={"id": str, "word": str},
        keep_default_na=False,
        float_precision="round_trip",
    )
    assert list(table["id"]) == want[side]["ids"], list(table["id"])
    assert list(table["word"]) == vectors.index_to_key, vectors.index_to_key
    assert list(table["ratings"]) == want[side]["ratings"]
    same(table["bias"].to_numpy(np.float32), want[side]["bias"])
    for row, name in enumerate(want[side]["ids"]):
        if name and not any(c.isspace() for c in name):
            same(vectors[name], want[side]["factors"][row])
    vectors.most_similar(vectors.index_to_key[0], topn=3)
