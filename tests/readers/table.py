"""pandas reads `wgmf export --format csv` and `--format tsv`."""

import os

import numpy as np
import pandas as pd
from expected import arguments, same

directory, want = arguments()
tsv = os.path.exists(f"{directory}/users.tsv")
ending, separator = ("tsv", "\t") if tsv else ("csv", ",")
for side in ("users", "items"):
    table = pd.read_csv(
        f"{directory}/{side}.{ending}",
        sep=separator,
        dtype={"id": str},
        keep_default_na=False,
        float_precision="round_trip",
    )
    columns = ["id", "bias"] + [f"f{f}" for f in range(want["factors"])]
    assert list(table.columns) == columns, list(table.columns)
    assert list(table["id"]) == want[side]["ids"], list(table["id"])
    same(table["bias"].to_numpy(np.float32), want[side]["bias"])
    same(np.ascontiguousarray(table[columns[2:]].to_numpy(np.float32)), want[side]["factors"])
mean = pd.read_csv(f"{directory}/global_mean.{ending}", float_precision="round_trip")
same(mean["global_mean"].to_numpy(np.float32), want["global_mean"].reshape(1))
