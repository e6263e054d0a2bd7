#!/usr/bin/env python3
"""Lists of wgmf's `ials --confidence hu` beside those of implicit, from the same start.

Both get the training part u1 of MovieLens 100K, the same factors to begin with, and as many sweeps; implicit
solves exactly (`use_cg=False`), in 64 bits. `likes`: values are ratings. `dislikes`: values are ratings less
2.5, so that those of one and two stars are dislikes. Printed are how far wgmf's objective is from implicit's
(computed here, in 64 bits, of either's factors), and how many users' top lists are the same: item by item, where
two items may change places whose scores, by implicit's factors, differ by less than `--tie` of the largest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse


def objective(matrix, alpha, reg, p, q):
    """Σ_listed c (t − p·q)² + Σ_unlisted (p·q)² + reg (‖P‖² + ‖Q‖²)."""
    p, q = p.astype(np.float64), q.astype(np.float64)
    listed = matrix.tocoo()
    scores = np.einsum("jk,jk->j", p[listed.row], q[listed.col])
    c, wanted = alpha * np.abs(listed.data), listed.data > 0
    total = ((p.T @ p) * (q.T @ q)).sum() - (scores**2).sum() + (c * (wanted - scores) ** 2).sum()
    return float(total + reg * ((p**2).sum() + (q**2).sum()))


def same(ours, theirs, scores, tie):
    """Whether two lists agree but for ties."""
    close = tie * np.abs(scores).max()
    return len(ours) == len(theirs) and all(
        a == b or abs(scores[a] - scores[b]) <= close for a, b in zip(ours, theirs)
    )


def main():
    import implicit

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="holds ml-100k/u1.base")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--reg", type=float, default=0.01)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--tie", type=float, default=1e-4)
    args = parser.parse_args()
    triples = np.loadtxt(args.data / "ml-100k" / "u1.base", usecols=(0, 1, 2), dtype=np.int64)
    # Rows in order of appearance, as wgmf has them with --init.
    ids = [list(dict.fromkeys(side)) for side in (triples[:, 0].tolist(), triples[:, 1].tolist())]
    at = [{name: row for row, name in enumerate(side)} for side in ids]
    rows = [np.array([at[side][name] for name in triples[:, side]]) for side in (0, 1)]
    shape = (len(ids[0]), len(ids[1]))
    random = np.random.default_rng(0)
    start = [(0.1 * random.standard_normal((n, args.factors))).astype(np.float32) for n in shape]
    failed = False
    for name, less in [("likes", 0.0), ("dislikes", 2.5)]:
        values = triples[:, 2] - less
        matrix = scipy.sparse.csr_matrix((values, (rows[0], rows[1])), shape=shape)
        for alpha in [1.0, 40.0]:
            model = implicit.als.AlternatingLeastSquares(
                factors=args.factors, regularization=args.reg, alpha=alpha, iterations=args.epochs,
                use_cg=False, use_native=True, use_gpu=False, dtype=np.float64, num_threads=1,
            )  # fmt: skip
            model.user_factors, model.item_factors = (array.astype(np.float64) for array in start)
            model.fit(matrix, show_progress=False)
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                for array, side in zip(start, ["user", "item"]):
                    np.save(folder / f"{side}_factors.npy", array)
                    np.save(folder / f"{side}_bias.npy", np.zeros(len(array), np.float32))
                with open(folder / "values.csv", "w") as file:
                    for (user, item, _), value in zip(triples, values):
                        file.write(f"{user},{item},{value}\n")
                words = (
                    f"train values.csv --solver ials --confidence hu --alpha {alpha} --reg {args.reg}"
                    f" --factors {args.factors} --epochs {args.epochs} --init . --backend {args.backend}"
                    " --progress none --model model"
                )
                for line in [words, f"recommend model --all -n {args.top} --format jsonl --output lists.jsonl",
                             "export model --format npy --output arrays"]:  # fmt: skip
                    command = [str(args.wgmf.resolve()), *line.split()]
                    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
                    if done.returncode != 0:
                        sys.exit(f"{line}: {done.stderr}")
                ours = [np.load(folder / "arrays" / f"{side}_factors.npy") for side in ("user", "item")]
                lines = [json.loads(line) for line in open(folder / "lists.jsonl")]
            theirs, _ = model.recommend(
                np.arange(shape[0]), matrix, N=args.top, filter_already_liked_items=True
            )
            lists = {}
            for line in lines:
                lists.setdefault(at[0][int(line["user"])], []).append(at[1][int(line["item"])])
            of_implicit = objective(matrix, alpha, args.reg, model.user_factors, model.item_factors)
            of_wgmf = objective(matrix, alpha, args.reg, *ours)
            equal = exact = 0
            for user in range(shape[0]):
                scores = model.user_factors[user] @ model.item_factors.T
                equal += same(lists[user], list(theirs[user]), scores, args.tie)
                exact += lists[user] == list(theirs[user])
            gap = (of_wgmf - of_implicit) / of_implicit
            print(
                f"{name}, alpha {alpha:g}: objective {of_wgmf:.3f}, implicit's {of_implicit:.3f} ({gap:+.1e});"
                f" {equal} of {shape[0]} lists the same but for ties, {exact} to the letter"
            )
            failed |= equal < shape[0] or abs(gap) > 1e-4
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
