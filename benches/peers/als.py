#!/usr/bin/env python3
"""Runs wgmf's ials and its recommending beside implicit's: same data, same objective, one run.

`planted`: sweeps over a planted set, by seconds and by the objective they reach. implicit weighs a
pair that is not listed 1 and a listed one c; with c = 1 + 1/α₀ and its factors divided by √(1 + α₀)
it minimizes α₀⁻¹ times wgmf's objective with `--unobserved-weight α₀` and `--reg-exponent 0`, for a
regularization of reg·(1 + α₀)/α₀. Both objectives are computed here, by one function.

`gowalla`: LightGCN's split; recall and NDCG at 20 of all items but the training ones, by one
function from each system's own lists, and the seconds that making all lists takes.
"""

import argparse
import csv
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from compare import print_table, processor, say, version

SETS = ["planted", "gowalla"]


def run(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr}")
    return done.stdout


def grouped(path):
    """User and items of each line, as two arrays of pairs."""
    lines = [np.array(line.split(), dtype=np.int64) for line in path.read_text().splitlines() if line]
    users = np.concatenate([np.full(len(line) - 1, line[0]) for line in lines])
    return users, np.concatenate([line[1:] for line in lines])


def objective(users, items, p, q, weight, reg):
    """Σ (1 − p·q)² + α₀ ΣΣ (p·q)² + reg (‖P‖² + ‖Q‖²)."""
    error = 0.0
    for at in range(0, len(users), 1 << 18):
        u, i = users[at : at + (1 << 18)], items[at : at + (1 << 18)]
        error += float(((1 - np.einsum("jk,jk->j", p[u], q[i])).astype(np.float64) ** 2).sum())
    p, q = p.astype(np.float64), q.astype(np.float64)
    return error + weight * float(((p.T @ p) * (q.T @ q)).sum()) + reg * float((p**2).sum() + (q**2).sum())


def implicit_model(task, matrix):
    import implicit

    weight = task["weight"]
    return implicit.als.AlternatingLeastSquares(
        factors=task["factors"], regularization=task["reg"] * (1 + weight) / weight, alpha=1 + 1 / weight,
        use_cg=task["cg"], use_native=True, use_gpu=False, iterations=task["epochs"],
        num_threads=task["threads"], random_state=0,
    )  # fmt: skip


def matrix_of(users, items):
    import scipy.sparse

    ones = np.ones(len(users), dtype=np.float32)
    return scipy.sparse.csr_matrix((ones, (users, items)))


def work_curve(task):
    """Seconds and objective of implicit after each epoch."""
    pairs = np.load(task["pairs"])
    users, items = pairs["users"], pairs["items"]
    model, scale = implicit_model(task, None), np.float32(1 / np.sqrt(np.sqrt(1 + task["weight"])))
    seconds, objectives = [], []

    def after(_epoch, elapsed, _loss):
        seconds.append(elapsed)
        p, q = model.user_factors * scale, model.item_factors * scale
        objectives.append(objective(users, items, p, q, task["weight"], task["reg"]))

    model.fit(matrix_of(users, items), show_progress=False, callback=after)
    return {"seconds": seconds, "objectives": objectives}


def work_gowalla(task):
    users, items = grouped(Path(task["train"]))
    matrix = matrix_of(users, items)
    model = implicit_model(task, matrix)
    clock = time.perf_counter()
    model.fit(matrix, show_progress=False)
    fit = time.perf_counter() - clock
    everyone = np.arange(matrix.shape[0])
    clock = time.perf_counter()
    lists, _ = model.recommend(everyone, matrix, N=20, filter_already_liked_items=True)
    lists_s = time.perf_counter() - clock
    np.save(task["lists"], lists)
    return {"fit_s": fit, "lists_s": lists_s}


def work_irspack(task):
    import irspack

    users, items = grouped(Path(task["train"]))
    matrix = matrix_of(users, items)
    # The objective of wgmf: iALS of Rendle et al. 2021, whose penalty grows with a row's pairs.
    model = irspack.IALSRecommender(
        matrix, n_components=task["factors"], alpha0=task["weight"], reg=task["reg"], nu=1.0,
        train_epochs=task["epochs"], n_threads=task["threads"], prediction_time_max_cg_steps=3,
    )  # fmt: skip
    clock = time.perf_counter()
    model.learn()
    fit = time.perf_counter() - clock
    lists = []
    clock = time.perf_counter()
    for first in range(0, matrix.shape[0], 2048):
        scores = model.get_score_remove_seen(np.arange(first, min(first + 2048, matrix.shape[0])))
        best = np.argpartition(-scores, 20, axis=1)[:, :20]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        lists.append(np.take_along_axis(best, order, axis=1))
    lists_s = time.perf_counter() - clock
    np.save(task["lists"], np.concatenate(lists))
    return {"fit_s": fit, "lists_s": lists_s}


WORKERS = {"curve": work_curve, "gowalla": work_gowalla, "irspack": work_irspack}


def ask(options, task):
    # implicit's threads are its own; BLAS beside them only gets in the way (its documentation).
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(options.threads)}
    task = task | {"threads": options.threads}
    command = [sys.executable, "-W", "ignore", __file__, "--worker", json.dumps(task, default=str)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    text, mark, answer = done.stdout.rpartition("RESULT ")
    if not mark:
        sys.exit(f"{task}: {done.stderr or text}")
    return json.loads(answer)


# Sweeps


def planted(options):
    say("planted: making the set")
    work = options.work
    data, train = work / "planted.csv", work / "planted" / "train.csv"
    size = ["--users", 70000, "--items", 10700, "--ratings", options.planted_ratings, "--noise", 0.8]
    run([options.wgmf, "synth", *size, "--seed", 0, "--output", data])
    run([options.wgmf, "split", data, "--holdout", 0.1, "--seed", 0, "--output", work / "planted"])
    data.unlink()
    pairs = np.loadtxt(train, delimiter=",", usecols=(0, 1), dtype=np.int64)
    np.savez(work / "pairs.npz", users=pairs[:, 0], items=pairs[:, 1])
    weight, reg = 0.05, 2.0
    rows = []
    for factors in options.factors:
        systems = [("wgmf", "exact", factors), *(("wgmf", f"--block {d}", d) for d in options.blocks if d < factors)]
        systems += [("implicit", "exact", False), ("implicit", "CG, 3 steps", True)]
        curves = {system: [] for system in systems}
        for repeat in range(options.repeats):
            for system in systems:
                name, settings, how = system
                say(f"planted, k {factors}, repeat {repeat + 1} of {options.repeats}: {name} {settings}")
                if name == "wgmf":
                    command = [options.wgmf, "train", train, "--columns", "1,2,-", "--model", work / "model", "--force"]
                    command += ["--solver", "ials"]
                    command += ["--factors", factors, "--epochs", options.epochs, "--unobserved-weight", weight]
                    command += ["--reg", reg, "--reg-exponent", 0, "--block", how, "--progress", "json"]
                    command += ["--threads", options.threads, "--backend", options.backend]
                    events = [json.loads(line) for line in run(command).splitlines()]
                    epochs = [event for event in events if event["event"] == "epoch"]
                    seconds, values = ([e[key] for e in epochs] for key in ("seconds", "objective"))
                else:
                    task = {"do": "curve", "pairs": work / "pairs.npz", "factors": factors, "cg": how}
                    answer = ask(options, task | {"weight": weight, "reg": reg, "epochs": options.epochs})
                    seconds, values = answer["seconds"], answer["objectives"]
                # The first epoch warms up.
                epoch_s = statistics.median(seconds[1:])
                curves[system].append({"epoch_s": epoch_s, "objectives": values, "seconds": seconds})
        reference = curves[systems[0]]
        # How far implicit's CG gets, and how long each system takes to get there.
        target = curves[("implicit", "CG, 3 steps", True)][0]["objectives"][-1]
        for system in systems:
            results = curves[system]
            reached = [time_to(result, target) for result in results]
            row = {"system": system[0], "settings": system[1], "factors": factors}
            row["epoch_s"] = statistics.median(result["epoch_s"] for result in results)
            ratios = (a["epoch_s"] / b["epoch_s"] for a, b in zip(results, reference))
            row["epoch_ratio"] = statistics.median(ratios)
            row["objective"] = results[0]["objectives"][-1]
            row["target_s"] = statistics.median(reached) if None not in reached else None
            rows.append(row | {"runs": results})
    columns = [
        ("system", "system", None),
        ("settings", "settings", None),
        ("factors", "k", "{}"),
        ("epoch_s", "epoch, s", "{:.3f}"),
        ("epoch_ratio", "÷ wgmf exact", "{:.2f}"),
        ("objective", f"objective after {options.epochs}", "{:.0f}"),
        ("target_s", "s to implicit CG's", "{:.2f}"),
    ]
    title = (
        f"planted: 70,000 users × 10,700 items, {len(pairs):,} pairs, ials with unobserved weight {weight}, reg {reg},\n"
        "reg-exponent 0; wgmf's epochs include the objective, implicit's do not"
    )
    return {"title": title, "rows": rows, "columns": columns}


def time_to(result, target):
    spent = 0.0
    for seconds, value in zip(result["seconds"], result["objectives"]):
        spent += seconds
        if value <= target * (1 + 1e-9):
            return spent
    return None


# Lists


def scores(lists, test_users, test_items, n=20):
    """Recall (of all relevant items) and NDCG at n, means over the users of the test part."""
    relevant = {}
    for user, item in zip(test_users.tolist(), test_items.tolist()):
        relevant.setdefault(user, set()).add(item)
    discounts = 1 / np.log2(np.arange(2, n + 2))
    recall, ndcg = [], []
    for user, items in relevant.items():
        hits = np.array([item in items for item in lists[user][:n]], dtype=np.float64)
        recall.append(hits.sum() / len(items))
        ndcg.append((hits * discounts[: len(hits)]).sum() / discounts[: min(len(items), n)].sum())
    return float(np.mean(recall)), float(np.mean(ndcg))


def gowalla(options):
    train, test = (options.data / "gowalla" / f"{part}.txt" for part in ("train", "test"))
    test_users, test_items = grouped(test)
    lists_file = options.work / "lists.npy"

    def wgmf(settings):
        def system(_repeat):
            model, output = options.work / "model", options.work / "lists.csv"
            command = [options.wgmf, "train", train, "--format", "grouped", "--model", model]
            command += [] if "--loss" in settings else ["--solver", "ials"]
            command += ["--force", "--progress", "json", "--threads", options.threads, "--backend", options.backend]
            done = json.loads(run([*command, *settings.split()]).splitlines()[-1])
            command = [options.wgmf, "recommend", model, "--all", "-n", 20, "--output", output, "--force"]
            command += ["--threads", options.threads, "--backend", options.backend]
            clock = time.perf_counter()
            run(command)
            lists_s = time.perf_counter() - clock
            lists = {}
            with open(output, newline="") as file:
                for line in csv.DictReader(file):
                    lists.setdefault(int(line["user"]), []).append(int(line["item"]))
            recall, ndcg = scores(lists, test_users, test_items)
            return {"recall": recall, "ndcg": ndcg, "fit_s": done["seconds"], "lists_s": lists_s}

        return "wgmf", settings, system

    def implicit(factors, alpha, reg, epochs):
        # The settings of this project's earlier measurements: c = alpha, chosen on the test part.
        weight = 1 / (alpha - 1)
        task = {"do": "gowalla", "train": train, "lists": lists_file, "factors": factors, "cg": True}
        task |= {"weight": weight, "reg": reg * weight / (1 + weight), "epochs": epochs}

        def system(_repeat):
            answer = ask(options, task)
            recall, ndcg = scores(np.load(lists_file), test_users, test_items)
            return answer | {"recall": recall, "ndcg": ndcg}

        return "implicit", f"k {factors}, alpha {alpha}, reg {reg}, {epochs} epochs", system

    def irspack(factors, weight, reg, epochs):
        task = {"do": "irspack", "train": train, "lists": lists_file, "factors": factors}
        task |= {"weight": weight, "reg": reg, "epochs": epochs}

        def system(_repeat):
            answer = ask(options, task)
            recall, ndcg = scores(np.load(lists_file), test_users, test_items)
            return answer | {"recall": recall, "ndcg": ndcg}

        return "irspack", f"k {factors}, alpha0 {weight}, reg {reg}, {epochs} epochs", system

    systems = [
        *(wgmf(settings) for settings in options.recipes),
        implicit(64, 20, 5, 12),
        implicit(128, 40, 20, 12),
    ]
    if importlib.util.find_spec("irspack"):
        systems += [irspack(*settings) for settings in [(64, 0.01, 0.006, 4), (128, 0.015, 0.004, 5), (256, 0.02, 0.0025, 7)]]
    runs = [[] for _ in systems]
    for repeat in range(options.repeats):
        for (name, settings, system), results in zip(systems, runs):
            say(f"gowalla, repeat {repeat + 1} of {options.repeats}: {name} {settings}")
            results.append(system(repeat))
    rows = []
    for (name, settings, _), results in zip(systems, runs):
        row = {"system": name, "settings": settings, "runs": results}
        rows.append(row | {key: statistics.median(r[key] for r in results) for key in results[0]})
    columns = [
        ("system", "system", None),
        ("settings", "settings", None),
        ("recall", "recall@20", "{:.4f}"),
        ("ndcg", "NDCG@20", "{:.4f}"),
        ("fit_s", "fit, s", "{:.2f}"),
        ("lists_s", "lists, s", "{:.2f}"),
    ]
    title = (
        "gowalla (LightGCN's split): top 20 of all 40,981 items for all 29,858 users; wgmf's lists are a whole process\n"
        "that opens the model and writes a CSV file, implicit's are its recommend call"
    )
    return {"title": title, "rows": rows, "columns": columns}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=Path, required=True, help="the program, built with --release")
    parser.add_argument("--data", type=Path, help="folder of gowalla; planted needs none")
    parser.add_argument("--only", default=",".join(SETS), help="sets to run (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of every system (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="of everything; medians are shown (default: 3)")
    parser.add_argument("--epochs", type=int, default=6, help="planted (default: %(default)s)")
    parser.add_argument("--factors", default="32,128", help="planted (default: %(default)s)")
    parser.add_argument("--blocks", default="16,32,64", help="planted: of wgmf (default: %(default)s)")
    parser.add_argument("--backend", default="cpu", help="where wgmf computes: cpu (default), gpu or auto")
    parser.add_argument("--planted-ratings", type=int, default=10_000_000, help="(default: %(default)s)")
    parser.add_argument("--recipe", action="append", dest="recipes", metavar="FLAGS", help="gowalla: settings of wgmf, of ials unless there is a loss among them; may be repeated")  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="results as JSON beside the tables")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(SETS):
        parser.error(f"--only: no set {', '.join(sorted(unknown))}; there are {', '.join(SETS)}")
    if options.data is None and "gowalla" in options.only:
        parser.error("--data is needed for gowalla")
    options.factors = [int(k) for k in options.factors.split(",")]
    options.blocks = [int(d) for d in options.blocks.split(",")]
    options.recipes = options.recipes or ["--factors 64", "--factors 128"]
    options.wgmf = options.wgmf.resolve()
    return options


def main():
    if sys.argv[1:2] == ["--worker"]:
        task = json.loads(sys.argv[2])
        print("RESULT " + json.dumps(WORKERS[task["do"]](task)), flush=True)
        return
    options = arguments()
    facts = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "repeats": options.repeats,
        "wgmf": run([options.wgmf, "--version"]).strip(),
        "wgmf backend": options.backend,
        "implicit": version("implicit"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }
    results = {}
    with tempfile.TemporaryDirectory(prefix="wgmf-peers-") as work:
        options.work = Path(work)
        for name in options.only:
            results[name] = {"planted": planted, "gowalla": gowalla}[name](options)
    facts["load average after"] = f"{os.getloadavg()[0]:.2f}"
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    for result in results.values():
        print_table(result["title"], result.pop("columns"), result["rows"])
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": facts, "sets": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
