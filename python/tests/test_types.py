"""Types are there for whoever uses the package, and are those of what runs."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import ROOT

# What mypy is to have nothing against, and then the one thing it has.
SCRIPT = '''
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import wgmf
from wgmf.implicit import AlternatingLeastSquares
from wgmf.sklearn import Recommender


def heard(event: dict[str, Any]) -> bool:
    return event["event"] == "epoch" and int(event["epoch"]) > 3


train, test = wgmf.split("plays.csv", holdout=0.2, seed=0)
model: wgmf.Model = wgmf.fit(train, solver="ials", patience=2, callback=heard)
figures: dict[str, Any] = model.evaluate(test, at=[10, 20], baselines=True)
names: list[str] = model.recommend(["Norel"], n=5)["item"].tolist()
model.recommend(new={"Zoe": {"Amber Bells": 5}}, n=5).to_arrow()
factors: npt.NDArray[np.float32] = model.item_factors
queries: npt.NDArray[np.float32] = model.query_vectors("Norel", cosine=True)
places: npt.NDArray[np.int32] = model.seen("Norel")
model.to_faiss("HNSW32")
model.to_arrow("user")
model.save(Path("m"), force=True)
again: wgmf.Model = wgmf.load(Path("m"), "cpu")
print(wgmf.cross_validate(train, solver="als", metric="rmse").loc["rmse", "mean"])
best = wgmf.tune(train, {"factors": [64, 128], "reg": (1e-4, 1e-1)}, metric="ndcg@20", trials=5)
best_settings: dict[str, Any] = best.settings
wgmf.compare(best.model, again, test)
als = AlternatingLeastSquares(factors=8)
estimator = Recommender(solver="als").fit([["a", "b"]], [1.0])
reason: str | None = again.stop
try:
    wgmf.load("nothing")
except wgmf.Error as error:
    kind: str = error.kind
'''
WRONG = SCRIPT + "wgmf.fit(train, solver=3)\n"


def mypy(*words, cwd):
    words = [sys.executable, "-m", *words]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_a_script_and_the_package_are_strictly_typed(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(WRONG)
    names = ["script", "wrong", "wgmf", "wgmf.implicit", "wgmf.sklearn"]
    settings = ["--config-file", str(ROOT / "python" / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache")]
    run = mypy("mypy", *settings, *(word for name in names for word in ("-m", name)), cwd=tmp_path)
    errors = [line for line in run.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1 and re.match(r"wrong\.py:\d+: error: Argument \"solver\"", errors[0]), run.stdout + run.stderr
