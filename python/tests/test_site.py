"""The documentation site is true: its examples run, its flags are there, its reference is whole."""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import sysconfig

import pytest
from conftest import ROOT, needs

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "site").glob("*.md"))}
EXAMPLES = {name: re.findall(r"^```pycon\n(.*?)^```", text, flags=re.M | re.S) for name, text in PAGES.items()}


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("commands", ROOT / "docs" / "site" / "commands.py")
    commands = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(commands)
    return commands.reference(os.path.join(sysconfig.get_path("scripts"), "wgmf"))


def test_there_are_ten_pages_and_the_reference():
    listed = re.search(r"{toctree}.*?```", PAGES["index"], flags=re.S)[0].split("\n")
    assert {"index", *(line for line in listed if line in PAGES)} == set(PAGES) and len(PAGES) == 11


@pytest.mark.parametrize("name", [name for name, blocks in EXAMPLES.items() if blocks])
def test_examples_of_the_site_run(name):
    for package in ("duckdb", "faiss", "gensim", "qdrant_client") if name == "formats" else ():
        needs(package, package)
    # As one reads a page: later examples go on with what earlier ones made.
    test = doctest.DocTestParser().get_doctest("".join(EXAMPLES[name]), {}, name, f"docs/site/{name}.md", 0)
    said = []
    how = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.DocTestRunner(optionflags=how).run(test, out=said.append)
    assert tried > 2 and failed == 0, "".join(said)


def test_the_reference_has_every_command(reference):
    listed = re.findall(r"^  ([a-z-]+) ", reference.split("\nCommands:\n")[1].split("\n\n")[0], flags=re.M)
    assert re.findall(r"^## wgmf (\S+)$", reference, flags=re.M) == [name for name in listed if name != "help"]
    assert len(listed) > 15 and "--unobserved-weight" in reference


def test_flags_that_pages_name_are_there(reference):
    known = {*re.findall(r"--[a-z][a-z-]+", reference), "--path"}
    for name, text in PAGES.items():
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known, name
