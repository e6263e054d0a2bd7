"""What a reader should find: expected.json, written by the test beside the export."""

import json
import sys

import numpy as np


def load(path):
    with open(path, encoding="utf-8", newline="") as file:
        want = json.load(file)
    for side in ("users", "items"):
        rows = len(want[side]["ids"])
        factors = np.array(want[side]["factors"], dtype=np.float32)
        want[side]["factors"] = factors.reshape(rows, want["factors"])
        want[side]["bias"] = np.array(want[side]["bias"], dtype=np.float32)
    want["global_mean"] = np.float32(want["global_mean"])
    return want


def same(got, want):
    """Same type, same shape, same bits."""
    got = np.asarray(got)
    assert got.dtype == want.dtype, f"{got.dtype} is not {want.dtype}"
    assert got.shape == want.shape, f"{got.shape} is not {want.shape}"
    assert got.tobytes() == want.tobytes(), f"{got} is not {want}"


def arguments():
    directory, expected = sys.argv[1:]
    return directory, load(expected)
