"""What is installed works as a whole: README's script, the examples of the documentation, the command."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pandas
import pytest
import wgmf
from conftest import ROOT, SAMPLE

MODULES = ["wgmf", "wgmf._data", "wgmf._model", "wgmf._search", "wgmf._frames", "wgmf.sklearn", "wgmf.implicit"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert failed == 0
    assert tried > 0 or name == "wgmf._frames"


def python_blocks(path):
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), flags=re.M | re.S)


def place(home):
    """A folder with the files that the documentation names."""
    plays = pandas.read_csv(SAMPLE)
    plays.to_parquet(home / "plays.parquet")
    shutil.copy(SAMPLE, home / "plays.csv")


@pytest.mark.parametrize("readme", ["README.md", "python/README.md"])
def test_the_scripts_of_the_readme_run_as_they_stand(readme, tmp_path, monkeypatch):
    blocks = python_blocks(ROOT / readme)
    assert blocks
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, readme, "exec"), {})


def test_importing_it_starts_no_threads_and_takes_little():
    code = "import sys, wgmf, wgmf.__main__; print({'numpy', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def command(*words, **more):
    wgmf_command = os.path.join(sysconfig.get_path("scripts"), "wgmf")
    return subprocess.run([wgmf_command, *words], capture_output=True, text=True, **more)


def test_the_command_is_that_of_the_binary(tmp_path):
    trained = command("train", str(SAMPLE), "--solver", "als", "--epochs", "2", "--factors", "4", "--model", str(tmp_path / "m"))
    assert trained.returncode == 0, trained.stderr
    assert command("--version").stdout.split() == ["wgmf", wgmf.__version__]
    by_python = wgmf.fit(str(SAMPLE), solver="als", epochs=2, factors=4)
    assert (wgmf.load(tmp_path / "m").item_factors == by_python.item_factors).all()
    usage = command("train")
    assert usage.returncode == 2 and "Usage" in usage.stderr
    assert command("info", str(tmp_path / "nothing")).returncode == 1


def test_models_go_between_python_and_the_command(tmp_path, plays):
    frame = pandas.DataFrame({"user": [5, 5, 40, 40, 300], "item": ["x", "y", "x", "z", "y"], "rating": [1.0, 2, 3, 4, 5]})
    model = wgmf.fit(frame, solver="als", factors=2, epochs=2)
    model.save(tmp_path / "m")
    shown = command("recommend", str(tmp_path / "m"), "--users", "40", "-n", "1")
    assert shown.returncode == 0 and "y" in shown.stdout, shown.stderr
    again = wgmf.load(tmp_path / "m")
    assert again.users.tolist() == model.users.tolist() == [300, 40, 5]
    assert again.items.tolist() == ["x", "y", "z"]
    with pytest.raises(wgmf.Error, match="already holds a wgmf model"):
        model.save(tmp_path / "m")
    model.save(tmp_path / "m", force=True)


@pytest.mark.skipif(shutil.which("kill") is None, reason="no signals here")
def test_ctrl_c_ends_the_command_well(tmp_path):
    import signal
    import time

    words = ["train", str(SAMPLE), "--solver", "bayes", "--samples", "100000", "--model", str(tmp_path / "m")]
    wgmf_command = os.path.join(sysconfig.get_path("scripts"), "wgmf")
    run = subprocess.Popen([wgmf_command, *words], stderr=subprocess.PIPE, text=True)
    for line in run.stderr:
        if re.search(r"^(sweep|epoch) ", line):
            break
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert wgmf.load(tmp_path / "m").info["stopped_by"] == "SIGINT"
