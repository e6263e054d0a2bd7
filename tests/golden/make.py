"""Writes the golden problem beside this script: a small one, solved by NumPy in float64.

    python make.py [--out FOLDER] [--seed 12] [--users 53] [--items 31] [--ratings 701] ...

Textbook loops: a gradient is summed over the ratings of a batch one by one, a row's equations are
formed from its ratings and solved. Nothing here is shared with wgmf. The numbers come from
SplitMix64, not from NumPy's generators, so that every version of NumPy writes the same.

ratings.csv has text ids whose rows are in order of first appearance; init/ has the start (float32);
each other folder has the arrays (float64) that a solver reaches, and info.json every setting, the mean
squared error of each epoch (each batch's before its step) or the objective after each sweep.

Gradient solvers: 5 epochs over batches in the order of the file. A batch's loss is the mean over its
ratings of (r - p)^2 + reg (|x|^2 + |y|^2) + reg_bias (b^2 + c^2) with p = mean + b + c + x.y; rows that
do not occur in a batch keep their place and their moments. Row solvers: users, then items, each row's
[x, b] from one set of equations; the sum over ratings of (r - p)^2, and n^nu times reg and reg_bias for
a row of n ratings. ials: all ratings are 1, no mean, no biases, every pair counts unobserved_weight,
also those that are listed, which count 1 more; n is then n + unobserved_weight * (rows of the other
side). ials-hu: a rating less 2.5 is a value, c = alpha * |value|; listed pairs are to be 1, or 0 where the
value is below 0, and weigh c; all others are to be 0 and weigh 1; reg times the squares of all rows. Each
row's equations are summed over every pair, listed or not.
"""

import argparse
import csv
import json
import math
import pathlib

import numpy as np

ARRAYS = ["user_factors", "item_factors", "user_bias", "item_bias"]
MASK = (1 << 64) - 1


class Draw:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed * 0x9E3779B97F4A7C15 & MASK

    def bits(self):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return z ^ z >> 31

    def unit(self):
        return (self.bits() >> 11) / (1 << 53)

    def below(self, n):
        return int(self.unit() * n)

    def normal(self):
        # Twelve uniform numbers: no logarithm, whose last bit differs between machines.
        return sum(self.unit() for _ in range(12)) - 6.0

    def normals(self, scale, *shape):
        count = int(np.prod(shape))
        return scale * np.array([self.normal() for _ in range(count)]).reshape(shape)


class Problem:
    def __init__(self, args):
        self.args = args
        draw = Draw(args.seed)
        # Every user and every item once; then popular ones more often than others.
        pairs = [(j % args.users, j % args.items) for j in range(max(args.users, args.items))]
        known = set(pairs)
        while len(pairs) < args.ratings:
            pair = (draw.below(args.users), int(draw.unit() ** 2 * args.items))
            if pair not in known:
                known.add(pair)
                pairs.append(pair)
        for j in range(len(pairs) - 1, 0, -1):
            other = draw.below(j + 1)
            pairs[j], pairs[other] = pairs[other], pairs[j]
        users, items = {}, {}
        self.users = np.array([users.setdefault(user, len(users)) for user, _ in pairs])
        self.items = np.array([items.setdefault(item, len(items)) for _, item in pairs])
        x, y = draw.normals(0.7, args.users, 3), draw.normals(0.7, args.items, 3)
        b, c = draw.normals(0.4, args.users), draw.normals(0.4, args.items)
        values = 3.2 + b[self.users] + c[self.items]
        values = values + (x[self.users] * y[self.items]).sum(1)
        values = values + draw.normals(0.3, len(pairs))
        # Halves from 0.5 to 5.
        self.values = np.clip(np.round(values * 2), 1, 10) / 2
        self.mean = math.fsum(self.values) / len(pairs)
        start = [
            draw.normals(0.1, args.users, args.factors),
            draw.normals(0.1, args.items, args.factors),
            draw.normals(0.05, args.users),
            draw.normals(0.05, args.items),
        ]
        self.start = [array.astype(np.float32) for array in start]

    def fresh(self):
        return [array.astype(np.float64) for array in self.start]


def step(solver, settings, x, g, moments, row, turn):
    """Moves x[row] by the gradient g."""
    rate = settings["learning_rate"]
    if solver == "adagrad":
        moments[0][row] += g * g
        x[row] -= rate * g / (np.sqrt(moments[0][row]) + 1e-8)
    elif solver == "adam":
        moments[0][row] = 0.9 * moments[0][row] + 0.1 * g
        moments[1][row] = 0.999 * moments[1][row] + 0.001 * g * g
        first = moments[0][row] / (1 - 0.9**turn)
        second = moments[1][row] / (1 - 0.999**turn)
        # As torch.optim.SparseAdam: epsilon is added before the correction of the second moment.
        root = math.sqrt(1 - 0.999**turn)
        x[row] -= rate * first / (np.sqrt(second) + 1e-8 / root)
    else:
        moments[0][row] = settings.get("momentum", 0.0) * moments[0][row] + g
        x[row] -= rate * moments[0][row]


def gradient(problem, solver, settings):
    """Arrays after the epochs, and the mean squared error of each."""
    args, biased = problem.args, settings.get("bias", True)
    arrays = problem.fresh()
    if not biased:
        arrays[2][:], arrays[3][:] = 0, 0
    x, y, b, c = arrays
    moments = [[np.zeros_like(array) for _ in range(2)] for array in arrays]
    reg, reg_bias = settings["reg"], settings["reg_bias"]
    mean, turn, errors = (problem.mean if biased else 0.0), 0, []
    for _ in range(settings["epochs"]):
        total = 0.0
        for first in range(0, args.ratings, args.batch):
            turn += 1
            batch = range(first, min(first + args.batch, args.ratings))
            sums = [{}, {}, {}, {}]
            for j in batch:
                u, i = problem.users[j], problem.items[j]
                e = problem.values[j] - mean - b[u] - c[i] - float(x[u] @ y[i])
                total += e * e
                parts = [
                    (u, -2 * e * y[i] + 2 * reg * x[u]),
                    (i, -2 * e * x[u] + 2 * reg * y[i]),
                    (u, -2 * e + 2 * reg_bias * b[u]),
                    (i, -2 * e + 2 * reg_bias * c[i]),
                ]
                for rows, (row, part) in zip(sums, parts):
                    rows[row] = rows.get(row, 0.0) + part / len(batch)
            for at in range(4 if biased else 2):
                for row, g in sums[at].items():
                    step(solver, settings, arrays[at], g, moments[at], row, turn)
        errors.append(total / args.ratings)
    return arrays if biased else arrays[:2], errors


def als(problem, settings):
    """Arrays after the sweeps, and the objective after each."""
    k, nu = problem.args.factors, settings["reg_exponent"]
    x, y, b, c = arrays = problem.fresh()
    counts = [np.bincount(problem.users) ** nu, np.bincount(problem.items) ** nu]
    penalty = np.append(np.full(k, settings["reg"]), settings["reg_bias"])

    def solve(own, own_bias, other, other_bias, mine, others, counts):
        for row in range(len(own)):
            matrix, right = np.diag(counts[row] * penalty), np.zeros(k + 1)
            for j in np.flatnonzero(mine == row):
                z = np.append(other[others[j]], 1.0)
                matrix += np.outer(z, z)
                right += z * (problem.values[j] - problem.mean - other_bias[others[j]])
            solution = np.linalg.solve(matrix, right)
            own[row], own_bias[row] = solution[:k], solution[k]

    objectives = []
    for _ in range(settings["epochs"]):
        solve(x, b, y, c, problem.users, problem.items, counts[0])
        solve(y, c, x, b, problem.items, problem.users, counts[1])
        total = 0.0
        for j, (u, i) in enumerate(zip(problem.users, problem.items)):
            p = problem.mean + b[u] + c[i] + x[u] @ y[i]
            total += (problem.values[j] - p) ** 2
        for rows, bias, weights in [(x, b, counts[0]), (y, c, counts[1])]:
            total += settings["reg"] * (weights * (rows**2).sum(1)).sum()
            total += settings["reg_bias"] * (weights * bias**2).sum()
        objectives.append(float(total))
    return arrays, objectives


def ials(problem, settings):
    """The same of listed pairs against all others."""
    k, nu, weight = problem.args.factors, settings["reg_exponent"], settings["unobserved_weight"]
    x, y = arrays = problem.fresh()[:2]
    counts = [
        settings["reg"] * (np.bincount(problem.users) + weight * len(y)) ** nu,
        settings["reg"] * (np.bincount(problem.items) + weight * len(x)) ** nu,
    ]

    def solve(own, other, mine, others, counts):
        for row in range(len(own)):
            matrix, right = counts[row] * np.eye(k), np.zeros(k)
            for z in other:
                matrix += weight * np.outer(z, z)
            for j in np.flatnonzero(mine == row):
                z = other[others[j]]
                matrix += np.outer(z, z)
                right += z
            own[row] = np.linalg.solve(matrix, right)

    objectives = []
    for _ in range(settings["epochs"]):
        solve(x, y, problem.users, problem.items, counts[0])
        solve(y, x, problem.items, problem.users, counts[1])
        total = weight * ((x @ y.T) ** 2).sum()
        total += ((1 - (x[problem.users] * y[problem.items]).sum(1)) ** 2).sum()
        total += (counts[0] * (x**2).sum(1)).sum() + (counts[1] * (y**2).sum(1)).sum()
        objectives.append(float(total))
    return arrays, objectives


def hu(problem, settings):
    """The same by Hu, Koren and Volinsky's objective, pair by pair."""
    k, reg = problem.args.factors, settings["reg"]
    x, y = arrays = problem.fresh()[:2]
    weights, wanted = np.ones((len(x), len(y))), np.zeros((len(x), len(y)))
    for u, i, value in zip(problem.users, problem.items, problem.values - 2.5):
        weights[u, i], wanted[u, i] = settings["alpha"] * abs(value), float(value > 0)

    def solve(own, other, weights, wanted):
        for row in range(len(own)):
            matrix, right = reg * np.eye(k), np.zeros(k)
            for z, c, want in zip(other, weights[row], wanted[row]):
                matrix += c * np.outer(z, z)
                right += c * want * z
            own[row] = np.linalg.solve(matrix, right)

    objectives = []
    for _ in range(settings["epochs"]):
        solve(x, y, weights, wanted)
        solve(y, x, weights.T, wanted.T)
        total = (weights * (wanted - x @ y.T) ** 2).sum()
        objectives.append(float(total + reg * ((x**2).sum() + (y**2).sum())))
    return arrays, objectives


SMALL = {"epochs": 5, "reg": 0.03, "reg_bias": 0.015}
ROWS = {"reg": 0.06, "reg_bias": 0.025}
IMPLICIT = {"reg": 0.015, "unobserved_weight": 0.12, "reg_exponent": 1.0}
SOLVERS = {
    "sgd": {**SMALL, "learning_rate": 0.35},
    "sgd-momentum": {**SMALL, "learning_rate": 0.08, "momentum": 0.9},
    "sgd-plain": {**SMALL, "learning_rate": 0.35, "reg_bias": 0.0, "bias": False},
    "adagrad": {**SMALL, "learning_rate": 0.06},
    "adam": {**SMALL, "learning_rate": 0.012},
    "als": {**ROWS, "epochs": 1, "reg_exponent": 1.0},
    "als-5": {**ROWS, "epochs": 5, "reg_exponent": 1.0},
    "als-flat": {**ROWS, "epochs": 1, "reg_exponent": 0.0},
    "ials": {**IMPLICIT, "epochs": 1},
    "ials-5": {**IMPLICIT, "epochs": 5},
    "ials-hu-1": {"alpha": 1.0, "reg": 0.02, "confidence": "hu", "epochs": 5},
    "ials-hu-40": {"alpha": 40.0, "reg": 0.02, "confidence": "hu", "epochs": 5},
}


def save(folder, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(ARRAYS, arrays):
        np.save(folder / f"{name}.npy", array)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    for name, default in [
        ("seed", 12), ("users", 53), ("items", 31), ("ratings", 701), ("factors", 6), ("batch", 48)
    ]:
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    problem = Problem(args)
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "ratings.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["user", "item", "rating"])
        for u, i, value in zip(problem.users, problem.items, problem.values):
            writer.writerow([f"u{u}", f"i{i}", f"{value:.1f}"])
    save(args.out / "init", problem.start)
    sizes = {name: getattr(args, name) for name in ["seed", "users", "items", "ratings", "factors"]}
    info = {**sizes, "batch": args.batch, "global_mean": problem.mean, "solvers": {}}
    for name, settings in SOLVERS.items():
        if name.startswith("als"):
            arrays, figures = als(problem, settings)
            figures = {"objective_after_each_sweep": figures}
        elif name.startswith("ials-hu"):
            arrays, figures = hu(problem, settings)
            figures = {"objective_after_each_sweep": figures}
        elif name.startswith("ials"):
            arrays, figures = ials(problem, settings)
            figures = {"objective_after_each_sweep": figures}
        else:
            arrays, figures = gradient(problem, name.split("-")[0], settings)
            figures = {"train_mse_before_each_step": figures}
        save(args.out / name, arrays)
        info["solvers"][name] = {**settings, **figures}
    (args.out / "info.json").write_text(json.dumps(info, indent=1) + "\n")


if __name__ == "__main__":
    main()
