#!/usr/bin/env python3
"""Runs wgmf beside other matrix-factorization programs: same splits, same machine, one run.

Every system reads the same text files. wgmf and each fit of a library run in a process of their own.
The error is computed here, by one function, from each system's own predictions of the held-out
ratings. No system sees the held-out ratings in a timed run, and no epoch is chosen on them.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np

SETS = ["ml-100k", "ml-1m", "lastfm", "planted", "race"]


class Split(NamedTuple):
    """Two files of `user,item,value` lines and what is known of them."""

    train: Path
    test: Path
    truth: np.ndarray
    mean: float  # of the training part
    low: float
    high: float


class System(NamedTuple):
    """A row of a table. `run(split, number of the split, repeat)` gives error and seconds."""

    name: str
    settings: str
    run: Callable
    absent: bool = False


def say(text):
    print(text, file=sys.stderr, flush=True)


def rmse(predictions, truth):
    assert len(predictions) == len(truth) and np.isfinite(predictions).all()
    return float(np.sqrt(np.mean((np.asarray(predictions, dtype=np.float64) - truth) ** 2)))


def read_triples(path):
    return np.loadtxt(path, delimiter=",", dtype=np.float32)


def write_triples(path, table):
    np.savetxt(path, table, fmt=["%d", "%d", "%.7g"], delimiter=",")


def split_of(train, test):
    values, truth = read_triples(train)[:, 2].astype(np.float64), read_triples(test)[:, 2]
    return Split(
        train, test, truth.astype(np.float64), float(values.mean()), float(values.min()), float(values.max())
    )


# wgmf


def run_wgmf(options, settings, split, seed, test=None):
    """Trains in a fresh process. Whole is that process: start, reading, training, writing the model."""
    model = options.work / "model"
    command = [options.wgmf, "train", split.train, "--model", model, "--force", "--progress", "json"]
    command += ["--threads", options.threads, "--backend", options.backend, "--seed", seed, *settings.split()]
    command += ["--test", test] if test else []
    clock = time.perf_counter()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    whole = time.perf_counter() - clock
    if done.returncode != 0:
        sys.exit(f"wgmf {settings}: {done.stderr}")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    ready = next(e for e in events if e["event"] == "ready")
    epochs = [e for e in events if e["event"] == "epoch"]
    return {
        "whole_s": whole,
        "fit_s": events[-1]["seconds"],
        "setup_s": ready["layout_seconds"] + ready["upload_seconds"],
        "epochs": len(epochs),
        "epoch_seconds": [e["seconds"] for e in epochs],
        "test_rmse": [e.get("test_rmse") for e in epochs],
        "device": events[-1]["device"],
    }


def wgmf_error(options, split):
    """RMSE of the model just trained."""
    output = options.work / "predictions.csv"
    command = [options.wgmf, "predict", options.work / "model", split.test, "-o", output, "--force"]
    subprocess.run([str(word) for word in command], capture_output=True, check=True)
    return rmse(np.loadtxt(output, delimiter=",", skiprows=1, usecols=2), split.truth)


def wgmf_system(options, settings=""):
    def run(split, _number, repeat):
        result = run_wgmf(options, settings, split, repeat)
        say(f"    trained in {result['fit_s']:.2f} s on {result['device']}")
        kept = {key: result[key] for key in ("fit_s", "whole_s", "epochs")}
        return kept | {"rmse": wgmf_error(options, split)}

    return System("wgmf", settings or "none", run)


# Libraries: each fit runs in a fresh interpreter, which is what `--worker` is.


def worker(task):
    print("RESULT " + json.dumps(WORKERS[task["do"]](task)), flush=True)


def ask(options, task, library=None):
    """The worker's answer and what it printed before."""
    environment = os.environ | {name: str(options.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    if library:
        environment["LIBMF_OBJ"] = str(library)
    task = {key: str(value) if isinstance(value, Path) else value for key, value in task.items()}
    command = [sys.executable, "-W", "ignore", __file__, "--worker", json.dumps(task)]
    # LIBMF with several threads sometimes waits forever for one of them; it gets another chance.
    limit = 30 + os.path.getsize(task["train"]) / 1e6 if task["do"] != "surprise" else None
    for _ in range(5):
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            say("    no answer: stopped, and started again")
            options.hangs += 1
            continue
        text, mark, answer = done.stdout.rpartition("RESULT ")
        if not mark:
            sys.exit(f"{task}: {done.stderr or done.stdout}")
        return json.loads(answer), text
    sys.exit(f"{task}: no answer in {limit:.0f} s, five times")


def work_surprise(task):
    import surprise

    clock = time.perf_counter()
    reader = surprise.Reader(
        line_format="user item rating", sep=",", rating_scale=(task["low"], task["high"])
    )
    data = surprise.Dataset.load_from_file(task["train"], reader).build_full_trainset()
    load = time.perf_counter() - clock
    clock = time.perf_counter()
    model = surprise.SVD(random_state=task["seed"]).fit(data)
    fit = time.perf_counter() - clock
    test = [line.split(",") for line in Path(task["test"]).read_text().splitlines()]
    predictions = [model.predict(user, item).est for user, item, _ in test]
    return {
        "rmse": rmse(predictions, [float(value) for _, _, value in test]),
        "fit_s": fit,
        "whole_s": load + fit,
        "epochs": model.n_epochs,
    }


def libmf_engine(task, epochs, quiet=True):
    with contextlib.redirect_stdout(io.StringIO()):
        from libmf import mf
    # Its 1 is the L1 norm and its 2 the L2 norm; the package's own default is L1.
    return mf.MF(
        k=task["k"], nr_threads=task["threads"], nr_iters=epochs, eta=task["rate"], quiet=quiet,
        lambda_p1=0.0, lambda_q1=0.0, lambda_p2=task["l2"], lambda_q2=task["l2"],
    )  # fmt: skip


def libmf_predictions(engine, pairs):
    """As LIBMF predicts: the mean where a user or an item has no training rating."""
    users, items = engine.p_factors(), engine.q_factors()
    u, i = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    known = (u < len(users)) & (i < len(items))
    scores = np.einsum("rk,rk->r", users[np.where(known, u, 0)], items[np.where(known, i, 0)])
    return np.where(known & ~np.isnan(scores), scores, engine.model.b)


def work_libmf(task):
    """Fits once for each of `epochs`; the last is the one that is scored."""
    clock = time.perf_counter()
    data = read_triples(task["train"])
    load = time.perf_counter() - clock
    fits = []
    for epochs in task["epochs"]:
        engine = libmf_engine(task, epochs)
        clock = time.perf_counter()
        engine.fit(data)
        fits.append(time.perf_counter() - clock)
    test = read_triples(task["test"])
    error = rmse(libmf_predictions(engine, test), test[:, 2].astype(np.float64))
    return {"rmse": error, "fits_s": fits, "load_s": load}


def work_libmf_curve(task):
    """Prints LIBMF's table of epochs with the error on the test file, or on a tenth of the training file."""
    train = read_triples(task["train"])
    if task["test"]:
        test = read_triples(task["test"])
    else:
        inner = np.random.default_rng(0).random(len(train)) < 0.9
        train, test = train[inner], train[~inner]
    libmf_engine(task, task["most"], quiet=False).mf_train_test(train, test)
    return {}


WORKERS = {"surprise": work_surprise, "libmf": work_libmf, "libmf_curve": work_libmf_curve}


def libmf_curve(options, task, library, split, test=None):
    # Not timed, and on one thread, where LIBMF does not hang and takes the same steps every time.
    task = task | {"do": "libmf_curve", "train": split.train, "test": test, "threads": 1}
    _, table = ask(options, task, library)
    return [float(line[1]) for line in re.findall(r"^ *(\d+) +[\d.]+ +([\d.]+) ", table, re.M)]


LIBMF_ABSENT = System("LIBMF", "", None, absent=True)


def libmf_builds(options):
    """Name and library of each build to run."""
    if importlib.util.find_spec("libmf") is None:
        return []
    return [("LIBMF", None)] + ([("LIBMF, vector build", options.libmf_library)] if options.libmf_library else [])


def libmf_systems(options, k, l2, rate, most):
    """LIBMF for as many epochs as a tenth of the training part, held out within it, finds best."""

    setting = {"k": k, "l2": l2, "rate": rate}

    def system(name, library):
        chosen = {}

        def run(split, number, _repeat):
            if number not in chosen:
                curve = libmf_curve(options, setting | {"most": most}, library, split)
                chosen[number] = int(np.argmin(curve)) + 1
                say(f"    epoch {chosen[number]} of {most} chosen within the training part of split {number}")
            epochs = chosen[number]
            task = {"do": "libmf", "train": split.train, "test": split.test, "threads": options.threads}
            answer, _ = ask(options, task | setting | {"epochs": [epochs]}, library)
            fit = answer["fits_s"][-1]
            return {"rmse": answer["rmse"], "fit_s": fit, "whole_s": answer["load_s"] + fit, "epochs": epochs}

        return System(name, f"k {k}, l2 {l2}, rate {rate}", run)

    return [system(*build) for build in libmf_builds(options)] or [LIBMF_ABSENT]


def surprise_system(options):
    if importlib.util.find_spec("surprise") is None:
        return System("Surprise SVD", "", None, absent=True)

    def run(split, _number, repeat):
        task = {"do": "surprise", "train": split.train, "test": split.test}
        return ask(options, task | {"low": split.low, "high": split.high, "seed": repeat})[0]

    return System("Surprise SVD", "defaults, one thread", run)


# Baselines


def bias_model(train, penalty, sweeps=20):
    """Mean and biases by alternating least squares with `penalty · (Σ b² + Σ c²)`."""
    u, i, r = train[:, 0].astype(np.int64), train[:, 1].astype(np.int64), train[:, 2].astype(np.float64)
    mean, b, c = r.mean(), np.zeros(u.max() + 1), np.zeros(i.max() + 1)
    users, items = np.bincount(u), np.bincount(i)
    for _ in range(sweeps):
        b = np.bincount(u, r - mean - c[i]) / (users + penalty)
        c = np.bincount(i, r - mean - b[u]) / (items + penalty)

    def predict(pairs):
        u, i = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
        user = np.where(u < len(b), b[np.minimum(u, len(b) - 1)], 0)
        return mean + user + np.where(i < len(c), c[np.minimum(i, len(c) - 1)], 0)

    return predict


def bias_system():
    penalties = [0.5, 1, 2, 3, 5, 8]

    def run(split, _number, _repeat):
        clock = time.perf_counter()
        train = read_triples(split.train)
        load = time.perf_counter() - clock
        inner = np.random.default_rng(0).random(len(train)) < 0.9
        held = train[~inner]
        penalty = min(penalties, key=lambda p: rmse(bias_model(train[inner], p)(held), held[:, 2]))
        clock = time.perf_counter()
        predict = bias_model(train, penalty)
        fit = time.perf_counter() - clock
        return {"rmse": rmse(predict(read_triples(split.test)), split.truth), "fit_s": fit, "whole_s": load + fit}

    return System("biases alone", "20 sweeps of numpy", run)


# The sets: each gives its title, its splits and its systems; the first system is what ratios refer to.


def movielens_100k(options):
    splits = []
    for fold in range(1, 6):
        paths = []
        for part in ("base", "test"):
            source = options.data / "ml-100k" / f"u{fold}.{part}"
            paths.append(options.work / f"u{fold}.{part}.csv")
            write_triples(paths[-1], np.loadtxt(source, usecols=(0, 1, 2)))
        splits.append(split_of(*paths))
    systems = [
        wgmf_system(options),
        wgmf_system(options, "--factors 128 --reg 0.09 --reg-bias 0.05"),
        wgmf_system(options, "--solver als --factors 64 --reg 0.45 --reg-bias 0.2 --reg-exponent 0.7 --epochs 6"),
        *libmf_systems(options, 64, 0.1, 0.05, 120),
        surprise_system(options),
    ]
    return "ml-100k: mean RMSE of u1 to u5, seconds of all five", splits, systems


def movielens_1m(options):
    text = (options.data / "ml-1m" / "ratings.dat").read_text().replace("::", ",")
    table = np.loadtxt(io.StringIO(text), delimiter=",", usecols=(0, 1, 2), dtype=np.float32)
    train = np.random.default_rng(0).random(len(table)) < 0.9
    paths = options.work / "ml-1m.train.csv", options.work / "ml-1m.test.csv"
    write_triples(paths[0], table[train])
    write_triples(paths[1], table[~train])
    systems = [
        wgmf_system(options),
        wgmf_system(options, "--factors 128"),
        wgmf_system(options, "--solver als --factors 64 --reg 0.4 --reg-bias 0.2 --reg-exponent 0.7 --epochs 6"),
        *libmf_systems(options, 32, 0.05, 0.05, 60),
        *libmf_systems(options, 128, 0.05, 0.05, 40),
        surprise_system(options),
    ]
    return "ml-1m: RMSE of a random 90:10 split", [split_of(*paths)], systems


def lastfm(options):
    table = np.loadtxt(options.data / "lastfm-2k" / "user_artists.dat", skiprows=1)
    listeners = np.bincount(table[:, 1].astype(np.int64))
    table = table[listeners[table[:, 1].astype(np.int64)] >= 5]
    table[:, 2] = np.log1p(table[:, 2])
    splits = []
    for seed in range(5):
        train = np.random.default_rng(seed).random(len(table)) < 0.7
        paths = options.work / f"lastfm{seed}.train.csv", options.work / f"lastfm{seed}.test.csv"
        write_triples(paths[0], table[train])
        write_triples(paths[1], table[~train])
        splits.append(split_of(*paths))
    systems = [
        wgmf_system(options),
        wgmf_system(options, "--factors 40"),
        *libmf_systems(options, 40, 0.1, 0.05, 120),
        surprise_system(options),
        bias_system(),
    ]
    title = (
        f"lastfm-2k, log1p of plays, artists with 5 listeners or more ({len(table):,} rows): held-out squared error\n"
        "over that of the training mean, mean of five 70:30 splits, seconds of all five"
    )
    return title, splits, systems


def measure(options, name, prepare):
    say(f"{name}: preparing")
    title, splits, systems = prepare(options)
    relative = name == "lastfm"
    runs = {system: [] for system in systems if not system.absent}
    for repeat in range(options.repeats):
        for system, results in runs.items():
            say(f"{name}, repeat {repeat + 1} of {options.repeats}: {system.name}, {system.settings}")
            parts = [system.run(split, number, repeat) for number, split in enumerate(splits, 1)]
            errors = [part["rmse"] for part in parts]
            if relative:
                errors = [e**2 / np.mean((s.truth - s.mean) ** 2) for e, s in zip(errors, splits)]
            result = {"error": float(np.mean(errors)), "errors": [float(e) for e in errors]}
            result |= {key: sum(part[key] for part in parts) for key in ("fit_s", "whole_s")}
            if "epochs" in parts[0]:
                result["epochs"] = [part["epochs"] for part in parts]
            results.append(result)
    rows = []
    for system in systems:
        row = {"system": system.name, "settings": system.settings}
        if system.absent:
            rows.append(row | {"absent": True})
            continue
        row |= {key: over(runs[system], key) for key in ("error", "fit_s", "whole_s")}
        row |= {f"{key}_ratio": ratio(runs[system], runs[systems[0]], key) for key in ("error", "fit_s", "whole_s")}
        if "epochs" in runs[system][0]:
            row["epochs"] = runs[system][0]["epochs"]
        rows.append(row | {"runs": runs[system]})
    columns = [
        ("system", "system", None),
        ("settings", "settings", None),
        ("epochs", "epochs", span),
        ("error", "error" if relative else "RMSE", "{:.4f}"),
        ("error_ratio", "÷ wgmf", "{:.3f}"),
        ("fit_s", "fit, s", "{:.3f}"),
        ("fit_s_ratio", "÷ wgmf", "{:.2f}"),
        ("whole_s", "read+fit, s", "{:.3f}"),
        ("whole_s_ratio", "÷ wgmf", "{:.2f}"),
    ]
    return {"title": title, "rows": rows, "columns": columns}


def over(results, key):
    return statistics.median(result[key] for result in results)


def ratio(results, reference, key):
    """Median of the ratios repeat by repeat, so that a machine that slows down between repeats does not matter."""
    return statistics.median(a[key] / b[key] for a, b in zip(results, reference))


def span(epochs):
    low, high = min(epochs), max(epochs)
    return str(low) if low == high else f"{low} to {high}"


# The planted set: speed.


def planted_split(options):
    say("planted: making the set")
    data = options.work / "planted.csv"
    size = ["--users", "70000", "--items", "10700", "--ratings", str(options.planted_ratings), "--noise", "0.8"]
    made = subprocess.run(
        [options.wgmf, "synth", *size, "--seed", "0", "--json", "--output", data],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    floor = json.loads(made.stdout)["floor_rmse"]
    subprocess.run(
        [options.wgmf, "split", data, "--holdout", "0.1", "--seed", "0", "--output", options.work / "planted"],
        capture_output=True, check=True,
    )  # fmt: skip
    data.unlink()
    split = split_of(options.work / "planted" / "train.csv", options.work / "planted" / "test.csv")
    return split, floor


def lines_of(path):
    with open(path, "rb") as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))


def planted(options):
    split, floor = planted_split(options)
    ratings = lines_of(split.train)

    def reached(curve):
        return next((epoch for epoch, error in enumerate(curve, 1) if error <= options.target), None)

    def wgmf_row(settings):
        @functools.cache
        def epoch_of_target():
            # The same seed takes the same steps, so the run that is timed needs no test set.
            return reached(run_wgmf(options, settings, split, 0, split.test)["test_rmse"])

        def run(_repeat):
            epoch = epoch_of_target()
            result = run_wgmf(options, settings, split, 0)
            seconds = result["epoch_seconds"]
            return {
                "rmse": wgmf_error(options, split),
                "epochs": [result["epochs"]],
                "epoch_s": sum(seconds) / len(seconds),
                "setup_s": result["setup_s"],
                "fit_s": result["fit_s"],
                "whole_s": result["whole_s"],
                "target_epoch": epoch,
                "target_s": epoch and result["setup_s"] + sum(seconds[:epoch]),
            }

        return System("wgmf", settings, run)

    def libmf_row(name, library):
        task = {"k": 32, "l2": 0.04, "rate": 0.1}

        @functools.cache
        def epochs():
            inner = libmf_curve(options, task | {"most": 20}, library, split)
            outer = libmf_curve(options, task | {"most": 20}, library, split, split.test)
            return int(np.argmin(inner)) + 1, reached(outer)

        def run(_repeat):
            best, target = epochs()
            few = target or 2
            counts = [few, few + 10, best]
            fit = task | {"do": "libmf", "train": split.train, "test": split.test, "threads": options.threads}
            answer, _ = ask(options, fit | {"epochs": counts}, library)
            short, long, whole = answer["fits_s"]
            epoch = (long - short) / 10
            return {
                "rmse": answer["rmse"],
                "epochs": [best],
                "epoch_s": epoch,
                "setup_s": short - few * epoch,
                "fit_s": whole,
                "whole_s": answer["load_s"] + whole,
                "target_epoch": target,
                "target_s": target and short,
            }

        return System(name, f"k {task['k']}, l2 {task['l2']}, rate {task['rate']}", run)

    systems = [
        wgmf_row("--factors 32 --solver sgd"),
        wgmf_row("--factors 32 --solver adam"),
        *([libmf_row(*build) for build in libmf_builds(options)] or [LIBMF_ABSENT]),
    ]
    runs = {system: [] for system in systems if not system.absent}
    for repeat in range(options.repeats):
        for system, results in runs.items():
            say(f"planted, repeat {repeat + 1} of {options.repeats}: {system.name}, {system.settings}")
            results.append(system.run(repeat))
    rows = []
    for system in systems:
        row = {"system": system.name, "settings": system.settings}
        if system.absent:
            rows.append(row | {"absent": True})
            continue
        results, reference = runs[system], runs[systems[0]]
        for key in ("rmse", "epoch_s", "setup_s", "fit_s", "whole_s"):
            row[key] = over(results, key)
        row["over_floor"] = row["rmse"] / floor
        row["ratings_per_s"] = ratings / row["epoch_s"]
        row["epochs"] = results[0]["epochs"]
        for key in ("epoch_s", "fit_s", "whole_s"):
            row[f"{key}_ratio"] = ratio(results, reference, key)
        if results[0]["target_s"]:
            row |= {"target_s": over(results, "target_s"), "target_epoch": results[0]["target_epoch"]}
            if reference[0]["target_s"]:
                row["target_s_ratio"] = ratio(results, reference, "target_s")
        rows.append(row | {"runs": results})
    columns = [
        ("system", "system", None),
        ("settings", "settings", None),
        ("epochs", "epochs", span),
        ("rmse", "RMSE", "{:.4f}"),
        ("over_floor", "÷ floor", "{:.3f}"),
        ("epoch_s", "epoch, s", "{:.3f}"),
        ("epoch_s_ratio", "÷ wgmf", "{:.2f}"),
        ("ratings_per_s", "M ratings/s", lambda x: f"{x / 1e6:.1f}"),
        ("setup_s", "set-up, s", "{:.2f}"),
        ("fit_s", "fit, s", "{:.2f}"),
        ("fit_s_ratio", "÷ wgmf", "{:.2f}"),
        ("whole_s", "read+fit, s", "{:.2f}"),
        ("whole_s_ratio", "÷ wgmf", "{:.2f}"),
        ("target_epoch", "epochs to target", "{}"),
        ("target_s", "s to target", "{:.2f}"),
        ("target_s_ratio", "÷ wgmf", "{:.2f}"),
    ]
    title = (
        f"planted: 70,000 users × 10,700 items, {ratings:,} training ratings, noise floor RMSE {floor:.4f},\n"
        f"target RMSE {options.target}"
    )
    return {"title": title, "rows": rows, "columns": columns, "floor_rmse": floor, "target_rmse": options.target}


# The race: wgmf's gradient descent rating by rating against LIBMF's, to LIBMF's best error.

RACE = [  # set, k, LIBMF's l2 and rate, epochs within which its best is looked for, wgmf's settings
    ("ml-1m", 32, 0.05, 0.05, 40, ""),
    ("ml-1m", 128, 0.05, 0.05, 30, ""),
    ("ml-1m", 128, 0.05, 0.05, 30, "--reg 0.045 --damping-bias 3 --learning-rate 0.02 --learning-rate-decay 0.9"),
    ("planted", 32, 0.04, 0.1, 20, ""),
    ("planted", 32, 0.04, 0.1, 20, "--reg 0.03 --damping-bias 3 --learning-rate 0.025 --learning-rate-decay 0.8"),
    ("planted", 128, 0.04, 0.1, 15, ""),
    ("planted", 128, 0.04, 0.1, 15, "--reg 0.03 --damping-bias 3 --learning-rate 0.025 --learning-rate-decay 0.8"),
]


def race(options):
    rows = []
    splits = {}
    for name, k, l2, rate, most, others in RACE:
        if name not in splits:
            splits[name] = movielens_1m(options)[1][0] if name == "ml-1m" else planted_split(options)[0]
        split = splits[name]
        ratings = lines_of(split.train)
        setting = {"k": k, "l2": l2, "rate": rate}
        settings = f"--solver sgd --factors {k} {others}"
        say(f"race: {name}, k {k}")
        curve = run_wgmf(options, settings, split, 0, split.test)["test_rmse"]
        for build, library in libmf_builds(options):
            theirs = libmf_curve(options, setting | {"most": most}, library, split, split.test)
            target, best = min(theirs), int(np.argmin(theirs)) + 1
            epoch = next((at for at, error in enumerate(curve, 1) if error <= target), None)
            runs = []
            for _ in range(options.repeats):
                ours = run_wgmf(options, settings, split, 0)
                fit = {"do": "libmf", "train": split.train, "test": split.test, "threads": options.threads}
                answer, _ = ask(options, fit | setting | {"epochs": [best, best + 10]}, library)
                short, long = answer["fits_s"]
                runs.append({
                    "epoch_s": statistics.median(ours["epoch_seconds"]),
                    "target_s": epoch and ours["setup_s"] + sum(ours["epoch_seconds"][:epoch]),
                    "libmf_epoch_s": (long - short) / 10,
                    "libmf_target_s": short,
                })  # fmt: skip
            row = {"system": f"{name}, k {k}", "settings": f"{build}: l2 {l2}, rate {rate}; wgmf: {others or 'none'}", "runs": runs}
            row |= {"target": target, "libmf_epochs": best, "epoch": epoch, "best": min(curve), "last": curve[-1]}
            row |= {key: over(runs, key) for key in ("epoch_s", "libmf_epoch_s", "libmf_target_s")}
            row |= {"rate": ratings / row["epoch_s"], "libmf_rate": ratings / row["libmf_epoch_s"]}
            row["rate_ratio"] = statistics.median(run["libmf_epoch_s"] / run["epoch_s"] for run in runs)
            if epoch:
                row["target_s"] = over(runs, "target_s")
                row["target_ratio"] = statistics.median(run["target_s"] / run["libmf_target_s"] for run in runs)
            rows.append(row)
    millions = lambda x: f"{x / 1e6:.1f}"  # noqa: E731
    columns = [
        ("system", "set", None),
        ("settings", "beside", None),
        ("libmf_rate", "its M ratings/s", millions),
        ("rate", "wgmf's", millions),
        ("rate_ratio", "÷ its", "{:.2f}"),
        ("target", "its best RMSE", "{:.4f}"),
        ("libmf_epochs", "epochs", "{}"),
        ("libmf_target_s", "s", "{:.3f}"),
        ("epoch", "wgmf there after", "{}"),
        ("target_s", "s", "{:.3f}"),
        ("target_ratio", "÷ its", "{:.2f}"),
        ("best", "wgmf's best", "{:.4f}"),
        ("last", "last", "{:.4f}"),
    ]
    title = (
        "the race: sgd rating by rating beside LIBMF, to the best held-out RMSE that LIBMF reaches on one thread. wgmf with\n"
        "the settings named beside solver and factors; its seconds are layout and epochs, LIBMF's those of its fit call"
    )
    return {"title": title, "rows": rows, "columns": columns}


# Output


def cell(row, key, form):
    if row.get(key) is None:
        return ""
    if form is None:
        return str(row[key])
    return form.format(row[key]) if isinstance(form, str) else form(row[key])


def print_table(title, columns, rows):
    lines = [[heading for _, heading, _ in columns]]
    for row in rows:
        cells = [cell(row, key, form) for key, _, form in columns]
        if row.get("absent"):
            cells[1] = "absent: not installed"
        lines.append(cells)
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    print(f"\n{title}\n")
    for line in lines:
        cells = [c.ljust(w) if columns[n][2] is None else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def processor():
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def version(package):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return "absent"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=Path, required=True, help="the program, built with --release")
    parser.add_argument("--data", type=Path, help="folder of ml-100k, ml-1m and lastfm-2k; planted needs none")
    parser.add_argument("--only", default=",".join(SETS), help="sets to run (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of every system that has threads (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="of everything; medians are shown (default: 3)")
    parser.add_argument("--backend", default="cpu", help="where wgmf computes: cpu (default), gpu or auto")
    parser.add_argument("--libmf-library", type=Path, help="a LIBMF built for this machine, run as well (README.md)")
    parser.add_argument("--planted-ratings", type=int, default=10_000_000, help="(default: %(default)s)")
    parser.add_argument("--target", type=float, default=0.85, help="planted: RMSE to reach (default: 0.85)")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="results as JSON, into FILE beside the tables or instead of them")  # fmt: skip
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(SETS):
        parser.error(f"--only: no set {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    if options.data is None and options.only != ["planted"]:
        parser.error("--data is needed for all but planted")
    if options.repeats < 1 or options.threads < 1:
        parser.error("--repeats and --threads are 1 or more")
    for path in (options.wgmf, options.libmf_library):
        if path and not path.is_file():
            parser.error(f"{path}: no such file")
    options.hangs = 0
    options.wgmf = options.wgmf.resolve()
    options.libmf_library = options.libmf_library and options.libmf_library.resolve()
    return options


def main():
    if sys.argv[1:2] == ["--worker"]:
        return worker(json.loads(sys.argv[2]))
    options = arguments()
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "repeats": options.repeats,
        "wgmf": subprocess.run([options.wgmf, "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "wgmf_backend": options.backend,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-surprise": version("scikit-surprise"),
        "libmf": version("libmf"),
        "load_before": os.getloadavg(),
    }
    prepare = {"ml-100k": movielens_100k, "ml-1m": movielens_1m, "lastfm": lastfm}
    alone = {"planted": planted, "race": race}
    results = {}
    with tempfile.TemporaryDirectory(prefix="wgmf-peers-") as work:
        options.work = Path(work)
        for name in options.only:
            results[name] = alone[name](options) if name in alone else measure(options, name, prepare[name])
    machine |= {"load_after": os.getloadavg(), "libmf_hangs": options.hangs}
    if options.json != "-":
        facts = (f"{key} {value}" for key, value in machine.items() if not key.startswith("load_"))
        print("; ".join(facts))
        before, after = (machine[f"load_{when}"][0] for when in ("before", "after"))
        print(f"load average of a minute: {before:.2f} before, {after:.2f} after")
        for result in results.values():
            print_table(result["title"], result["columns"], result["rows"])
    if options.json:
        for result in results.values():
            del result["columns"]
        text = json.dumps({"machine": machine, "sets": results}, indent=1)
        print(text) if options.json == "-" else Path(options.json).write_text(text + "\n")
    return None


if __name__ == "__main__":
    main()
