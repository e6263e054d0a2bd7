#!/usr/bin/env python3
"""Peak memory of wgmf beside what it announces: benches/memory.py [WGMF] [--sizes 1,10,30] [--gpu NAME]

Plants sets of so many million ratings (wgmf synth) in a temporary directory, trains each solver for an epoch
or two, and prints a table: what `wgmf train` announced, the most that the process held (ru_maxrss), the one
over the other, and bytes a rating. Then the other commands, which announce nothing. Exits with 1 where a peak
is more than 1.3 times what was announced, or announced was more than 1.3 times the peak.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

SHAPES = {1: (20_000, 5_000), 3: (30_000, 8_000), 10: (70_000, 10_700), 30: (200_000, 20_000)}
SOLVERS = [
    ("sgd", "--solver sgd --epochs 1 --learning-rate 0.01 --reg 0.02 --batch-size 64"),
    ("sgd", "--solver sgd --epochs 1 --reg 0.02"),
    ("adam", "--solver adam --epochs 1 --reg 0.02"),
    ("adagrad", "--solver adagrad --epochs 1 --reg 0.02"),
    ("als", "--solver als --epochs 1 --reg 0.1"),
    ("als", "--solver als --epochs 1 --reg 0.1 --holdout 0.1 --patience 1"),
    ("ials", "--solver ials --epochs 1 --transform binary --threshold -99"),
    ("ials", "--solver ials --epochs 1 --transform binary --threshold -99 --holdout 0.1"),
    ("bayes", "--solver bayes --samples 4 --burn-in 1 --keep 4"),
]
UNITS = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def run(command, where):
    """Runs a command; its exit code, standard error, and peak in bytes."""
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        return child.returncode, errors.read().decode(errors="replace"), usage.ru_maxrss * 1024


def announced(said):
    """Bytes that train said it needs."""
    found = re.search(r"^memory: needs ([0-9.]+) (kB|MB|GB|TB)", said, re.M)
    return float(found[1]) * UNITS[found[2]] if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wgmf", nargs="?", default="target/release/wgmf")
    parser.add_argument("--sizes", default="1,10,30", help="millions of ratings")
    parser.add_argument("--factors", default="32")
    parser.add_argument("--gpu", help="an adapter, for the solvers on a GPU")
    parser.add_argument("--commands", action="store_true", help="the other commands too")
    args = parser.parse_args()
    wgmf = os.path.abspath(args.wgmf)
    bad = 0
    device = ["--adapter", args.gpu] if args.gpu else ["--backend", "cpu"]
    print("| ratings | command | announced, MB | peak, MB | peak over announced | bytes a rating |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as where:
        for size in [int(size) for size in args.sizes.split(",")]:
            users, items = SHAPES[size]
            ratings = size * 1_000_000
            plant = f"synth --users {users} --items {items} --ratings {ratings} --output set.csv --force"
            assert run([wgmf, *plant.split()], where)[0] == 0
            for _, line in SOLVERS:
                if args.gpu and "--batch-size 64" in line:
                    continue
                command = f"train set.csv {line} --factors {args.factors} --model m --force"
                code, said, peak = run([wgmf, *command.split(), *device], where)
                needs = announced(said)
                if code != 0 or needs is None:
                    print(f"| {size} M | {line} | failed: {said.strip().splitlines()[-1:]} | | | |")
                    bad += 1
                    continue
                ratio = peak / needs
                bad += not 1 / 1.3 <= ratio <= 1.3
                print(
                    f"| {size} M | `{line}` | {needs / 1e6:.0f} | {peak / 1e6:.0f} | {ratio:.2f} "
                    f"| {peak / ratings:.0f} |",
                    flush=True,
                )
            if not args.commands:
                continue
            # New users, as many as there are, with the ratings of those.
            train = f"train set.csv --solver als --epochs 1 --factors {args.factors} --model m --force"
            assert run([wgmf, *train.split()], where)[0] == 0
            with open(f"{where}/set.csv") as old, open(f"{where}/new.csv", "w") as new:
                for row in old:
                    new.write("n" + row)
            for line in [
                "fold-in m new.csv --output grown --force --backend cpu",
                "evaluate m set.csv",
                "evaluate m set.csv --ranking --relevant-from 4 --include-seen --backend cpu",
                "predict m set.csv --output predicted.csv --force",
                "recommend m --all -n 20 --output lists.csv --force --backend cpu",
                "similar m --all -n 20 --output similar.csv --force --backend cpu",
            ]:
                code, said, peak = run([wgmf, *line.split()], where)
                if code != 0:
                    bad += 1
                    print(f"| {size} M | {line} | failed: {said.strip().splitlines()[-1:]} | | | |")
                    continue
                print(f"| {size} M | `{line}` | | {peak / 1e6:.0f} | | {peak / ratings:.0f} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
