"""What tests share: the sample, and whole pictures of ratings in every form."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("WGMF_REPOSITORY", Path(__file__).resolve().parents[2]))
SAMPLE = ROOT / "sample" / "plays.csv"


def skipped(why):
    """Skips a test, and says so where what was skipped is told at the end."""
    if "WGMF_SKIPPED" in os.environ:
        with open(os.environ["WGMF_SKIPPED"], "a") as told:
            told.write(f"skipped: {why}\n")
    pytest.skip(why)


def needs(package, name):
    """Skips a test where a library is not there."""
    if find_spec(package) is None:
        skipped(f"{name}, which could not be installed")


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    """Examples name the sample by its path in the repository."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def plays():
    import pandas

    return pandas.read_csv(SAMPLE)
