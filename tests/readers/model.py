"""NumPy, pandas and SciPy read every part of a model directory itself."""

import json

import numpy as np
import pandas as pd
import scipy.sparse
from expected import arguments, same
from safetensors.numpy import load_file

directory, want = arguments()
tensors = load_file(f"{directory}/model.safetensors")
for side, plural in (("user", "users"), ("item", "items")):
    same(tensors[f"{side}_factors"], want[plural]["factors"])
    same(tensors[f"{side}_bias"], want[plural]["bias"])
    ids = pd.read_csv(f"{directory}/{plural}.csv", dtype={"id": str}, keep_default_na=False)
    assert list(ids["id"]) == want[plural]["ids"]

seen = load_file(f"{directory}/seen.safetensors")
ones = np.ones(len(seen["indices"]), dtype=np.float32)
matrix = scipy.sparse.csr_matrix((ones, seen["indices"], seen["indptr"]), tuple(seen["shape"]))
matrix.check_format()
assert matrix.has_sorted_indices
assert matrix.shape == (len(want["users"]["ids"]), len(want["items"]["ids"]))
# Every training pair is there once, so rows and columns add up to the counts.
assert list(matrix.sum(axis=1).A1) == want["users"]["ratings"]
assert list(matrix.sum(axis=0).A1) == want["items"]["ratings"]
rated = scipy.sparse.csr_matrix(
    (seen["values"], seen["indices"], seen["indptr"]), tuple(seen["shape"])
)
rated.check_format()
assert seen["values"].dtype == np.float32
# The fixture rates 1 to 5 by user and item.
pairs = rated.tocoo()
assert list(pairs.data) == list(1 + (pairs.row + pairs.col) % 5)

with open(f"{directory}/run.json", encoding="utf-8") as file:
    run = json.load(file)
assert run["solver"] == "als" and len(run["history"]) == 2, run
assert "test_error" not in run["history"][1], run
