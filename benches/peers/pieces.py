#!/usr/bin/env python3
"""Pieces of wgmf beside what does the same elsewhere, on a planted set, in one run.

`reading`: `wgmf inspect` (a whole process: reads, numbers the ids, finds duplicates, sorts and counts) beside
polars' `read_csv` of the same file into three columns of numbers, without ids (a process of its own, of
which only the call is timed).

`loop`: Adam of `wgmf bench` beside the loop that is mostly written in PyTorch (`benches/gpu/loop.py`: dense
Adam and SparseAdam), in ratings a second, on the same threads, the first batches left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import print_table, processor, say, version

PIECES = ["reading", "loop"]
LOOP = Path(__file__).resolve().parents[1] / "gpu" / "loop.py"

POLARS = """
import sys, time, polars
clock = time.perf_counter()
table = polars.read_csv(sys.argv[1], has_header=False)
print(time.perf_counter() - clock, len(table))
"""


def run(command, **environment):
    own = os.environ | {key: str(value) for key, value in environment.items()}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=own, check=False)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr}")
    return done.stdout


def reading(options):
    seconds = {"wgmf": [], "polars": []}
    for repeat in range(options.repeats):
        say(f"reading, repeat {repeat + 1} of {options.repeats}")
        clock = time.perf_counter()
        run([options.wgmf, "inspect", options.file, "--json", "--quiet", "--threads", options.threads])
        seconds["wgmf"].append(time.perf_counter() - clock)
        text = run([sys.executable, "-c", POLARS, options.file], POLARS_MAX_THREADS=options.threads)
        seconds["polars"].append(float(text.split()[0]))
    ratio = statistics.median(a / b for a, b in zip(seconds["wgmf"], seconds["polars"]))
    rows = [
        {"system": "wgmf", "work": "inspect, whole process", "s": statistics.median(seconds["wgmf"]), "ratio": ratio},
        {"system": "polars", "work": "read_csv, no ids", "s": statistics.median(seconds["polars"]), "ratio": 1.0},
    ]
    columns = [("system", "system", None), ("work", "work", None), ("s", "s", "{:.3f}"), ("ratio", "÷ polars", "{:.2f}")]
    return {"title": f"reading {options.ratings:,} ratings", "rows": rows, "columns": columns}


def loop(options):
    rates = {}
    for repeat in range(options.repeats):
        for batch in options.batches:
            say(f"loop, batches of {batch}, repeat {repeat + 1} of {options.repeats}")
            report = options.work / "loop.json"
            run(
                [sys.executable, LOOP, options.file, "--users", options.users, "--items", options.items, "--factors",
                 options.factors, "--batches", batch, "--steps", options.steps, "--json", report],
                OMP_NUM_THREADS=options.threads, CUDA_VISIBLE_DEVICES="",
            )  # fmt: skip
            for result in json.loads(report.read_text())["results"]:
                rates.setdefault(("PyTorch " + result["optimizer"], batch), []).append(result["ratings_per_second"])
            text = run([options.wgmf, "bench", "--data", options.file, "--solver", "adam", "--backend", "cpu",
                        "--factors", options.factors, "--batch-size", batch, "--epochs", 3, "--json",
                        "--threads", options.threads])  # fmt: skip
            rates.setdefault(("wgmf", batch), []).append(json.loads(text)["measurements"][0]["ratings_per_second"])
    rows = []
    for (system, batch), own in rates.items():
        ratio = statistics.median(w / r for w, r in zip(rates[("wgmf", batch)], own))
        rows.append({"system": system, "batch": batch, "rate": statistics.median(own) / 1e6, "ratio": ratio})
    rows.sort(key=lambda row: (row["batch"], row["system"]))
    columns = [("system", "system", None), ("batch", "batch", "{}"), ("rate", "M ratings/s", "{:.2f}"), ("ratio", "wgmf is faster by", "{:.1f}")]
    return {"title": f"Adam, {options.factors} factors", "rows": rows, "columns": columns}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=Path, required=True, help="the program, built with --release")
    parser.add_argument("--only", default=",".join(PIECES), help="pieces to run (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of every system (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, help="of everything; medians are shown (default: 5)")
    parser.add_argument("--ratings", type=int, default=10_000_000, help="(default: %(default)s)")
    parser.add_argument("--factors", type=int, default=32, help="loop (default: %(default)s)")
    parser.add_argument("--batches", default="4096,65536", help="loop (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="loop: batches of PyTorch (default: %(default)s)")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(PIECES):
        parser.error(f"--only: no piece {', '.join(sorted(unknown))}; there are {', '.join(PIECES)}")
    options.batches = [int(batch) for batch in options.batches.split(",")]
    options.wgmf = options.wgmf.resolve()
    options.users, options.items = 70_000, 10_700
    with tempfile.TemporaryDirectory(prefix="wgmf-peers-") as work:
        options.work = Path(work)
        options.file = options.work / "planted.csv"
        size = ["--users", options.users, "--items", options.items, "--ratings", options.ratings]
        run([options.wgmf, "synth", *size, "--noise", 0.8, "--output", options.file])
        results = [{"reading": reading, "loop": loop}[name](options) for name in options.only]
    facts = [processor(), f"{options.threads} threads", f"load average {os.getloadavg()[0]:.2f}"]
    facts += [f"{name} {version(name)}" for name in ("polars", "torch")]
    print("; ".join([run([options.wgmf, "--version"]).strip(), *facts]))
    for result in results:
        print_table(result["title"], result["columns"], result["rows"])


if __name__ == "__main__":
    main()
