"""The drop-in for implicit: its own tests with the import changed, and lists against NumPy's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy
import pytest
import scipy.sparse
from conftest import ROOT
from wgmf.implicit import BayesianPersonalizedRanking

VERSION = "0.7.3"
SOURCES = ROOT / "target" / "python" / f"implicit-{VERSION}"


def skipped(why):
    """Says so where what was skipped is told at the end."""
    if "WGMF_SKIPPED" in os.environ:
        with open(os.environ["WGMF_SKIPPED"], "a") as told:
            told.write(f"skipped: {why}\n")
    pytest.skip(why)


def sources():
    """The tests of implicit, from its source package, which pip brings."""
    if not (SOURCES / "tests" / "als_test.py").exists():
        SOURCES.parent.mkdir(parents=True, exist_ok=True)
        # Its tests alone are wanted: it is not built.
        words = ["download", "-q", "--no-deps", "--no-binary", "implicit", f"implicit=={VERSION}", "-d", str(SOURCES.parent)]
        pip = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=300)
        archive = SOURCES.parent / f"implicit-{VERSION}.tar.gz"
        if pip.returncode or not archive.exists():
            skipped("implicit's own tests: its source package cannot be had")
        with tarfile.open(archive) as packed:
            names = [name for name in packed.getnames() if re.fullmatch(rf"implicit-{VERSION}/tests/\w+_test\.py", name)]
            names.append(f"implicit-{VERSION}/tests/recommender_base_test.py")
            packed.extractall(SOURCES.parent, members=[packed.getmember(name) for name in set(names)])
    return SOURCES / "tests"


def outcome(name, tmp_path):
    """What pytest says of one of implicit's own files of tests."""
    tests = sources()
    for needed in (name, "recommender_base_test.py"):
        (tmp_path / needed).write_text((tests / needed).read_text())
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport implicit_shim\nimplicit_shim.install()\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-c", "/dev/null", name]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", run.stdout.splitlines()[-1])}
    return counts, run.stdout


def test_implicits_own_tests_of_bpr_pass(tmp_path):
    counts, said = outcome("bpr_test.py", tmp_path)
    assert counts == {"passed": 25}, said


def test_lists_of_many_items_are_the_best_ones():
    draw = numpy.random.default_rng(0)
    model = BayesianPersonalizedRanking(factors=5)
    model.user_factors = draw.normal(size=(30, 5)).astype(numpy.float32)
    model.item_factors = draw.normal(size=(3000, 5)).astype(numpy.float32)
    likes = scipy.sparse.random(30, 3000, density=0.05, format="csr", random_state=1)
    ids, scores = model.recommend(numpy.arange(30), likes, N=7, filter_items=[1, 2])
    table = model.user_factors @ model.item_factors.T
    table[likes.nonzero()] = -9
    table[:, [1, 2]] = -9
    assert (ids == numpy.argsort(-table, axis=1, kind="stable")[:, :7]).all()
    assert ids.dtype == numpy.int32 and scores.dtype == numpy.float32 and (numpy.diff(scores) <= 0).all()
