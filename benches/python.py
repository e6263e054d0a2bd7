"""What `wgmf.fit` costs beside the command line on the same data: seconds and the largest memory of the process.

    python benches/python.py [--ratings 10] [--binary target/release/wgmf] [--settings solver=ials,factors=32,epochs=3]

Makes a planted set of so many million ratings, writes it as CSV, as a sparse matrix and as Parquet with string ids, and
runs each in a process of its own, in turn, `--runs` times: the command line reading the CSV; `wgmf.fit` of a
csr_matrix that is there already; of a polars frame that is there already. Seconds of the first are of the whole command,
of the others of `fit` and, after the stroke, of `fit` and of loading what it is given. Memory is the peak of the process; what it
held before `fit`, the interpreter and the data, stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def child(kind: str, home: Path, settings: dict[str, object]) -> None:
    """Trains one kind in this process, and prints what it cost."""
    import wgmf

    start = time.perf_counter()
    if kind == "csr":
        import scipy.sparse

        data = scipy.sparse.load_npz(home / "plays.npz")
    else:
        import polars

        data = polars.read_parquet(home / "plays.parquet")
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    loaded = time.perf_counter()
    model = wgmf.fit(data, progress=False, **settings)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = model.info["seconds"]
    print(json.dumps({"fit": end - loaded, "whole": end - start, "peak": peak, "before": before, "training": seconds}))


def command_line(binary: str, home: Path, source: str, settings: dict[str, object]) -> dict[str, float]:
    """Trains with the command, and says what it cost."""
    words = [binary, "train", str(home / source), "--model", str(home / "model"), "--force", "--quiet"]
    words += [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    end = time.perf_counter()
    if status:
        sys.exit("the command failed")
    training = json.loads((home / "model" / "run.json").read_text())["seconds"]
    return {"fit": end - start, "whole": end - start, "peak": usage.ru_maxrss * 1024, "before": 0, "training": training}


def make(binary: str, home: Path, millions: float) -> None:
    """The same ratings in every form."""
    import numpy
    import polars
    import scipy.sparse

    words = [binary, "synth", "--users", "70000", "--items", "10700", "--ratings", str(int(millions * 1e6))]
    words += ["--scale", "half-stars", "--output", str(home / "plays.csv")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    table = polars.read_csv(home / "plays.csv", has_header=False).select(
        polars.nth(0).alias("user"), polars.nth(1).alias("item"), polars.nth(2).cast(polars.Float32).alias("rating")
    )
    users, items = table["user"].to_numpy(), table["item"].to_numpy()
    matrix = scipy.sparse.csr_matrix((table["rating"].to_numpy(), (users.astype(numpy.int32), items.astype(numpy.int32))))
    scipy.sparse.save_npz(home / "plays.npz", matrix, compressed=False)
    named = table.with_columns(
        polars.format("listener-{}", "user").alias("user"), polars.format("artist-{}", "item").alias("item")
    )
    named.write_parquet(home / "plays.parquet")
    named.write_csv(home / "named.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=float, default=9.0, help="millions")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--binary", default="target/release/wgmf")
    parser.add_argument("--settings", default="solver=ials,factors=32,epochs=3,backend=cpu")
    parser.add_argument("--child", nargs=2)
    given = parser.parse_args()
    pairs = (pair.split("=") for pair in given.settings.split(","))
    settings: dict[str, object] = {name: int(value) if value.isdigit() else value for name, value in pairs}
    if given.child:
        settings["device"] = settings.pop("backend", "auto")
        if given.child[0] == "make":
            make(given.binary, Path(given.child[1]), given.ratings)
            return
        child(given.child[0], Path(given.child[1]), settings)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        # What a process has held before it runs another counts as that one's: this one stays small.
        words = [sys.executable, __file__, "--binary", given.binary, "--ratings", str(given.ratings)]
        subprocess.run([*words, "--child", "make", folder], check=True)
        costs: dict[str, list[dict[str, float]]] = {}
        for _ in range(given.runs):
            for kind, source in (("csr", "plays.csv"), ("polars", "named.csv")):
                costs.setdefault(f"command line, {source}", []).append(
                    command_line(given.binary, home, source, settings)
                )
                words = [sys.executable, __file__, "--settings", given.settings, "--child", kind, folder]
                costs.setdefault(kind, []).append(json.loads(subprocess.check_output(words)))
    print(f"{'':<28}{'seconds':>16}{'of training':>14}{'peak MB':>10}{'before':>8}{'times':>8}{'memory':>8}")
    beside: dict[str, float] = {}
    for name, runs in costs.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        if name.startswith("command"):
            beside = middle
        seconds = f"{middle['fit']:.2f} / {middle['whole']:.2f}"
        times, memory = middle["fit"] / beside["fit"], middle["peak"] / beside["peak"]
        peak, before = middle["peak"] / 1e6, middle["before"] / 1e6
        print(f"{name:<28}{seconds:>16}{middle['training']:>14.2f}{peak:>10.0f}{before:>8.0f}{times:>8.2f}{memory:>8.2f}")


if __name__ == "__main__":
    main()
