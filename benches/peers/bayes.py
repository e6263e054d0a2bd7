#!/usr/bin/env python3
"""Runs wgmf's Gibbs sampler beside myFM's: same splits, same threads, one run.

Both sample biased matrix factorization: myFM (Gibbs sampling of a factorization machine) column by
column with a prior of its own for each, wgmf row by row. The error is computed here, by compare.py's
function, from each system's own predictions of the held-out ratings: wgmf's `predict` from the samples
it keeps, myFM's from its own. Of wgmf also `evaluate`'s coverage of intervals. `lastfm` holds wgmf's solvers against each other.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare
import numpy as np
from compare import System, measure, print_table, processor, read_triples, rmse, say, version, wgmf_system

SETS = ["ml-100k", "ml-1m", "lastfm"]


def one_hot(tables):
    """Users and items of each table as 0/1 columns; an id that only a later table has is left out."""
    import scipy.sparse

    ids = [np.unique(tables[0][:, column]) for column in (0, 1)]
    matrices = []
    for table in tables:
        blocks = []
        for column, known in enumerate(ids):
            at = np.minimum(np.searchsorted(known, table[:, column]), len(known) - 1)
            there = known[at] == table[:, column]
            rows = np.flatnonzero(there)
            ones = np.ones(len(rows))
            shape = (len(table), len(known))
            blocks.append(scipy.sparse.csr_matrix((ones, (rows, at[there])), shape=shape))
        matrices.append(scipy.sparse.hstack(blocks, format="csr"))
    return matrices, [len(known) for known in ids]


def work_myfm(task):
    import myfm

    clock = time.perf_counter()
    train = read_triples(task["train"])
    load = time.perf_counter() - clock
    test = read_triples(task["test"])
    (train_x, test_x), sizes = one_hot([train, test])
    model = myfm.MyFMRegressor(rank=task["rank"], random_seed=task["seed"])
    clock = time.perf_counter()
    model.fit(train_x, train[:, 2], n_iter=task["sweeps"], n_kept_samples=task["kept"], group_shapes=sizes)
    fit = time.perf_counter() - clock
    error = rmse(model.predict(test_x), test[:, 2])
    return {"rmse": error, "fit_s": fit, "whole_s": load + fit, "epochs": task["sweeps"]}


def myfm_system(options, rank, sweeps, kept):
    settings = f"rank {rank}, {sweeps} sweeps, {kept} kept"
    if importlib.util.find_spec("myfm") is None:
        return System("myFM", settings, None, absent=True)

    def run(split, _number, repeat):
        task = {"train": str(split.train), "test": str(split.test), "rank": rank, "sweeps": sweeps}
        task |= {"kept": kept, "seed": repeat}
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
        command = [sys.executable, "-W", "ignore", __file__, "--worker", json.dumps(task)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        _, mark, answer = done.stdout.rpartition("RESULT ")
        if not mark:
            sys.exit(f"{task}: {done.stderr or done.stdout}")
        return json.loads(answer)

    return System("myFM", settings, run)


def uncertainty(options, split):
    """What `wgmf evaluate` says of the model just trained: how honest its intervals are."""
    command = [options.wgmf, "evaluate", options.work / "model", split.test, "--json"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def sampler(options, settings):
    system = wgmf_system(options, f"--solver bayes {settings}".strip())

    def run(split, number, repeat):
        result = system.run(split, number, repeat)
        options.uncertainty.setdefault(system.settings, []).append(uncertainty(options, split))
        return result

    return system._replace(run=run)


def print_uncertainty(said):
    """Means over splits and repeats."""
    keys = ["coverage_50", "coverage_80", "coverage_90", "coverage_95", "log_predictive_density", "crps"]
    for settings, parts in said.items():
        means = {key: np.mean([part.get(key, np.nan) for part in parts]) for key in keys}
        covered = " / ".join(f"{100 * means[key]:.1f}" for key in keys[:4])
        print(f"{settings}: {covered} % of held-out ratings lie in 50 / 80 / 90 / 95 % intervals;")
        density, crps = means["log_predictive_density"], means["crps"]
        print(f"  log predictive density {density:.3f}, CRPS {crps:.4f}")


def movielens_100k(options):
    title, splits, _ = compare.movielens_100k(options)
    systems = [
        sampler(options, "--keep 300"),
        sampler(options, "--keep 300 --clip"),
        sampler(options, "--factors 16"),
        myfm_system(options, 10, 300, 250),
    ]
    return title, splits, systems


def movielens_1m(options):
    title, splits, _ = compare.movielens_1m(options)
    systems = [
        sampler(options, "--samples 80 --burn-in 10 --keep 80"),
        sampler(options, "--samples 80 --burn-in 10 --keep 80 --clip"),
        sampler(options, "--keep 150"),
        myfm_system(options, 32, 120, 100),
    ]
    return title, splits, systems


def lastfm(options):
    title, splits, _ = compare.lastfm(options)
    systems = [
        sampler(options, "--keep 100"),
        *(wgmf_system(options, f"--solver {solver}") for solver in ("sgd", "adagrad", "adam", "als")),
        myfm_system(options, 8, 300, 250),
    ]
    return title, splits, systems


def main():
    if sys.argv[1:2] == ["--worker"]:
        print("RESULT " + json.dumps(work_myfm(json.loads(sys.argv[2]))), flush=True)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=Path, required=True, help="the program, built with --release")
    parser.add_argument("--data", type=Path, required=True, help="folder of ml-100k, ml-1m and lastfm-2k")
    parser.add_argument("--only", default=",".join(SETS), help="sets to run (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of every system (default: 2)")
    parser.add_argument("--repeats", type=int, default=1, help="of everything; medians are shown (default: 1)")
    parser.add_argument("--backend", default="cpu", help="where wgmf computes: cpu (default), gpu or auto")
    parser.add_argument("--json", metavar="FILE", help="results as JSON beside the tables")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(SETS):
        parser.error(f"--only: no set {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    options.wgmf, options.libmf_library, options.hangs = options.wgmf.resolve(), None, 0
    facts = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "repeats": options.repeats,
        "myfm": version("myfm"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }
    prepare = {"ml-100k": movielens_100k, "ml-1m": movielens_1m, "lastfm": lastfm}
    results = {}
    with tempfile.TemporaryDirectory(prefix="wgmf-peers-") as work:
        options.work = Path(work)
        for name in options.only:
            options.uncertainty = {}
            results[name] = measure(options, name, prepare[name]) | {"uncertainty": options.uncertainty}
    facts["load average after"] = f"{os.getloadavg()[0]:.2f}"
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    for result in results.values():
        print_table(result["title"], result.pop("columns"), result["rows"])
        print_uncertainty(result["uncertainty"])
    if options.json:
        Path(options.json).write_text(json.dumps({"facts": facts, "sets": results}, indent=1))
    say("done")


if __name__ == "__main__":
    main()
