"""What tests share: the sample, and whole pictures of ratings in every form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("WGMF_REPOSITORY", Path(__file__).resolve().parents[2]))
SAMPLE = ROOT / "sample" / "plays.csv"


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    """Examples name the sample by its path in the repository."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def plays():
    import pandas

    return pandas.read_csv(SAMPLE)
