"""The safetensors package reads `wgmf export --format safetensors`."""

import pandas as pd
from expected import arguments, same
from safetensors.numpy import load_file

directory, want = arguments()
tensors = load_file(f"{directory}/factors.safetensors")
assert len(tensors) == 5, list(tensors)
for side, plural in (("user", "users"), ("item", "items")):
    same(tensors[f"{side}_factors"], want[plural]["factors"])
    same(tensors[f"{side}_bias"], want[plural]["bias"])
    ids = pd.read_csv(f"{directory}/{plural}.csv", dtype={"id": str}, keep_default_na=False)
    assert list(ids["id"]) == want[plural]["ids"]
same(tensors["global_mean"], want["global_mean"].reshape(1))
