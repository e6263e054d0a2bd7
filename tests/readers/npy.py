"""NumPy and pandas read `wgmf export --format npy`."""

import numpy as np
import pandas as pd
from expected import arguments, same

directory, want = arguments()
for side, plural in (("user", "users"), ("item", "items")):
    same(np.load(f"{directory}/{side}_factors.npy"), want[plural]["factors"])
    same(np.load(f"{directory}/{side}_bias.npy"), want[plural]["bias"])
    ids = pd.read_csv(f"{directory}/{plural}.csv", dtype={"id": str}, keep_default_na=False)
    assert list(ids["id"]) == want[plural]["ids"], list(ids["id"])
    assert list(ids["index"]) == list(range(len(ids)))
    assert list(ids["ratings"]) == want[plural]["ratings"]
same(np.load(f"{directory}/global_mean.npy"), want["global_mean"].reshape(1))
