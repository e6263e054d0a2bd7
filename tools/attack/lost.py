#!/usr/bin/env python3
"""Attacks what wgmf writes, and counts what was lost.

    python3 tools/attack/lost.py [--wgmf target/release/wgmf] [--swaps 300] [--kills 200] [--pairs 50]
                                 [--adapter NAME]

swaps    sends a signal (SIGTERM, SIGINT twice, SIGHUP) within 30 ms of the moment in which fold-in --force,
         train --force or a checkpoint (so many of each) has its last file written, just before it takes its
         name. The directory must be the old one or the new one, to the byte, and open; nothing else may be
         left, or else be gone after the next run. The exit code must tell what happened.
kills    kills (SIGKILL) training runs with checkpoints (those of RUNS) again and again at random moments,
         resumes each with any number of threads, and compares the model with one of a run that was never
         stopped, to the byte. With --adapter on that GPU.
pairs    starts each of the commands of PAIRS twice on one output at once, each in a PID namespace of its own
         (as in two containers: both are process 1), so many times, and a predict that is killed. What is
         there must be whole, and the one of one of the two.

Exits with 1 if anything was lost. Needs Linux; `pairs` needs the right to `unshare -pf --mount-proc`.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MAIN = ["model.safetensors", "users.csv", "items.csv", "seen.safetensors"]

# Training runs that are killed. What only a run from the start takes stands behind: `--resume` knows it.
RUNS = {
    "als": ("k.csv --solver als --factors 16 --epochs 60 --holdout 0.1", ""),
    "als, patience": ("k.csv --solver als --factors 8 --epochs 60 --holdout 0.1 --patience 40", ""),
    "als, blocks": ("k.csv --solver als --factors 24 --block 8 --epochs 40", ""),
    "als, from": ("k.csv --solver als --factors 16 --epochs 60 --seed 3", "--from from-als"),
    "sgd": ("k.csv --solver sgd --factors 16 --epochs 60 --batch-size 256", ""),
    "sgd, strata": ("k.csv --solver sgd --factors 16 --epochs 60 --holdout 0.1 --patience 50", ""),
    "sgd, momentum": ("k.csv --solver sgd --factors 16 --epochs 60 --batch-size 512 --momentum 0.8", ""),
    "sgd, logistic": (
        "k.csv --solver sgd --factors 16 --epochs 60 --transform binary --threshold 4 --loss logistic",
        "",
    ),
    "sgd, from": ("k.csv --solver sgd --factors 16 --epochs 60", "--from from-als"),
    "adam": ("k.csv --solver adam --factors 16 --epochs 60 --patience 50 --holdout 0.1", ""),
    "adagrad": ("k.csv --solver adagrad --factors 16 --epochs 60 --batch-size 512", ""),
    "ials": ("k.csv --solver ials --factors 16 --epochs 60 --holdout 0.1", ""),
    "ials, from": ("k.csv --solver ials --factors 16 --epochs 60", "--from from-ials"),
    "bayes": ("k.csv --solver bayes --factors 8 --samples 50 --burn-in 10 --holdout 0.1", ""),
    "bayes, chains": ("k.csv --solver bayes --factors 4 --samples 40 --burn-in 10 --chains 3", ""),
    "bayes, from": ("k.csv --solver bayes --factors 16 --samples 40 --burn-in 4", "--from from-als"),
    "ordinal": (
        "k.csv --solver bayes --factors 4 --samples 40 --burn-in 10 --likelihood ordinal --chains 2",
        "",
    ),
    "probit": (
        "two.csv --solver bayes --factors 4 --samples 40 --burn-in 10 --likelihood probit --holdout 0.1",
        "",
    ),
}

# Commands that are started twice on one output (OUT): what differs between the two is N.
PAIRS = {
    "recommend": ("recommend m1 --all -n N --output OUT", "x.csv", ("7", "9")),
    "predict": ("predict m1 pN.csv --output OUT", "y.csv", ("1", "2")),
    "train": ("train p1.csv --backend cpu --factors N --epochs 1 --progress none --model OUT", "t", ("4", "6")),
    "fold-in": ("fold-in m1 pN.csv --backend cpu --output OUT", "g", ("1", "2")),
    "split": ("split p1.csv --holdout 0.N --output OUT", "parts", ("2", "3")),
    "export": ("export mN --format npy --output OUT", "e", ("1", "2")),
    "synth": ("synth --users 900 --items 300 --ratings 20000 --seed N --output OUT", "s.csv", ("1", "2")),
}
lost = []


def complain(text):
    lost.append(text)
    print("LOST:", text, flush=True)


def digest(directory, names=None):
    """What a directory holds, as one hash; without run.json, which has times in it."""
    sum = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        if names is None or path.name in names:
            sum.update(str(path.relative_to(directory)).encode())
            sum.update(path.read_bytes())
    return sum.hexdigest()


def strays(home):
    return sorted(p.name for p in home.iterdir() if ".wgmf-" in p.name)


class Attack:
    def __init__(self, wgmf, home, seed, adapter):
        self.wgmf, self.home, self.random, self.adapter = wgmf, home, random.Random(seed), adapter
        self.seconds = {}

    def start(self, *arguments, wrap=()):
        return subprocess.Popen(
            [*wrap, str(self.wgmf), *arguments],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, code=0):
        done = self.start(*arguments)
        out, err = done.communicate()
        if code is not None and done.returncode != code:
            sys.exit(f"wgmf {' '.join(arguments)}: {done.returncode}: {err}")
        return done.returncode, out + err

    def opens(self, model):
        return self.run("info", model, code=None)[0] == 0

    # -- signals around the moment of the swap ------------------------------------------------------

    def watch(self, child, target, last):
        """Waits until the last file of what will be `target` appears in its temporary directory."""
        prefix = f".{target}.wgmf-"
        while child.poll() is None:
            for name in os.listdir(self.home):
                if name.startswith(prefix) and len(name) == len(prefix) + 12:
                    if (self.home / name / last).exists():
                        return True
        return False

    def swap(self, what, target, last, arguments, number):
        """One race; says whether the new one is there, or the old one."""
        directory = self.home / target
        before = digest(directory, MAIN) if directory.exists() else None
        child = self.start(*arguments)
        hit = self.watch(child, target, last)
        time.sleep(self.random.uniform(0, 0.03))
        kinds = [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT), (signal.SIGHUP,)]
        sent = kinds[number % len(kinds)]
        for one in sent:
            if child.poll() is None:
                child.send_signal(one)
            time.sleep(self.random.uniform(0, 0.003))
        try:
            _, err = child.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            child.kill()
            complain(f"{what} {number}: does not end after {sent}")
            return None
        name = f"{what} {number} ({'+'.join(s.name for s in sent)}, exit {child.returncode})"
        if child.returncode not in (0, 128 + sent[0]):
            complain(f"{name}: {err.strip()[-200:]}")
        left = strays(self.home)
        return hit, name, before, left, child.returncode

    def swaps(self, count):
        home = self.home
        self.run("synth", "--users", "600", "--items", "200", "--ratings", "6000", "--output", "a.csv")
        (home / "new.csv").write_text("".join(f"fresh{u},{u % 200},{1 + u % 5}\n" for u in range(200)))
        base = ["train", "a.csv", "--backend", "cpu", "--factors", "16", "--solver", "als", "--progress", "none"]
        self.run(*base, "--epochs", "1", "--model", "base")
        tally = {}
        for number in range(3 * count):
            what = ["fold-in", "train", "checkpoint"][number // 3 % 3]
            if what == "fold-in":
                target, last = "grown", "run.json"
                arguments = ["fold-in", "base", "new.csv", "--output", target, "--force", "--backend", "cpu"]
            elif what == "train":
                target, last = "model", "run.json"
                arguments = [*base, "--epochs", "2", "--seed", str(number), "--model", target, "--force"]
            else:
                target, last = "long.checkpoint", "checkpoint.json"
                arguments = [*base, "--epochs", "100000", "--checkpoint-every", "1", "--model", "long", "--force"]
            if what != "checkpoint" and not (home / target).exists():
                shutil.copytree(home / "base", home / target)
            result = self.swap(what, target, last, arguments, number)
            if result is None:
                continue
            hit, name, before, left, code = result
            if what == "checkpoint":
                # It can be gone on from, whatever happened to its last writing: no epoch is left to do.
                end = "none yet"
                record = home / target / last
                if (home / target).exists():
                    end = "opens"
                    epochs = str(len(json.loads(record.read_text())["history"])) if record.exists() else "1"
                    _, log = self.run(*base, "--epochs", epochs, "--model", "long", "--resume", "--force", code=None)
                    if not self.opens("long"):
                        complain(f"{name}: the checkpoint does not open: {log.strip()[-200:]}")
                left = left + strays(home) if end == "none yet" else strays(home)
            else:
                now = digest(home / target, MAIN) if (home / target).exists() else "nothing"
                if not self.opens(target):
                    complain(f"{name}: {target} does not open; it holds {os.listdir(home / target)}")
                end = "old" if now == before else "new"
            if left:
                end += ", strays"
                if what == "checkpoint":
                    self.run("train", "a.csv", "--backend", "cpu", "--factors", "2", "--epochs", "1", "--solver",
                             "als", "--progress", "none", "--model", "long", "--force", "--checkpoint-every", "1")
                else:
                    self.run(*[a for a in arguments])
                if strays(home):
                    complain(f"{name}: the next run leaves {strays(home)}")
            shutil.rmtree(home / "long.checkpoint", ignore_errors=True)
            shutil.rmtree(home / "long", ignore_errors=True)
            key = (what, end if hit else end + " (ended before)", code)
            tally[key] = tally.get(key, 0) + 1
        print(f"swaps: {count} races of each")
        for key, number in sorted(tally.items()):
            print(f"  {key[0]:10} {key[1]:20} exit {key[2]:3}: {number}")

    # -- kills ------------------------------------------------------------------------------------

    def kills(self, count):
        device = ["--adapter", self.adapter] if self.adapter else ["--backend", "cpu"]
        self.run("synth", "--users", "300", "--items", "200", "--ratings", "6000", "--scale", "stars", "--output", "k.csv")
        lines = (self.home / "k.csv").read_text().splitlines()
        pairs = [line.split(",") for line in lines]
        two = [f"{user},{item},{int(float(rating) > 3)}\n" for user, item, rating in pairs]
        (self.home / "two.csv").write_text("".join(two))
        start = ["train", "k.csv", *device, "--progress", "none", "--epochs", "2", "--factors", "16"]
        for solver in ("als", "ials"):
            self.run(*start, "--solver", solver, "--model", f"from-{solver}")
        killed = resumed = finished = 0
        tally = dict.fromkeys(RUNS, 0)
        while killed < count:
            for name, (flags, at_start) in RUNS.items():
                base = ["train", *flags.split(), *device, "--progress", "none"]
                place = name.replace(", ", "-")
                straight = self.home / f"straight-{place}"
                began = time.time()
                if not straight.exists():
                    self.run(*base, *at_start.split(), "--model", straight.name)
                    self.seconds[name] = time.time() - began
                model = f"killed-{place}"
                arguments = [*base, "--model", model, "--checkpoint-every", "2"]

                def go():
                    there = (self.home / f"{model}.checkpoint").exists()
                    threads = ["--threads", str(self.random.randint(1, 4))]
                    return there, [*arguments, *threads, *(["--resume"] if there else at_start.split())]

                for _ in range(30):
                    there, line = go()
                    child = self.start(*line)
                    time.sleep(self.random.uniform(0.02, 1.1 * self.seconds[name]))
                    child.kill()
                    _, err = child.communicate()
                    if child.returncode == 0:
                        break
                    if child.returncode != -signal.SIGKILL:
                        complain(f"kills, {name}: {err.strip()[-300:]}")
                        break
                    killed += 1
                    resumed += there
                    tally[name] += 1
                    if (self.home / model).exists():
                        # It was saved already.
                        break
                if not (self.home / model).exists():
                    self.run(*go()[1])
                finished += 1
                names = ["model.safetensors", "seen.safetensors", "samples.safetensors", "users.csv", "items.csv"]
                if digest(self.home / model, names) != digest(straight, names):
                    complain(f"kills, {name}: the model differs from that of the straight run")
                # A kill after the model was saved leaves its checkpoint, which is a finished one.
                if strays(self.home):
                    self.run(*arguments, *at_start.split(), "--force")
                    if strays(self.home):
                        complain(f"kills, {name}: the next run leaves {strays(self.home)}")
                shutil.rmtree(self.home / model)
                shutil.rmtree(self.home / f"{model}.checkpoint", ignore_errors=True)
        print(f"kills: {killed}, {resumed} of them of resumed runs; {finished} models compared")
        for name, number in tally.items():
            print(f"  {name:15} {number}")

    # -- two containers ----------------------------------------------------------------------------

    def whole(self, name):
        path = self.home / name
        return digest(path, self.telling(path)) if path.is_dir() else path.read_bytes()

    def telling(self, path):
        """The files that tell one from another: `run.json` has times in it."""
        return [p.name for p in path.rglob("*") if p.is_file() and p.name != "run.json"]

    def pairs(self, count):
        container = ["unshare", "-pf", "--mount-proc"]
        if subprocess.run([*container, "true"], capture_output=True).returncode != 0:
            print("pairs: skipped, no right to unshare")
            return
        for seed in ("1", "2"):
            self.run("synth", "--users", "2000", "--items", "300", "--ratings", "20000", "--seed", seed, "--output", f"p{seed}.csv")
            self.run("train", f"p{seed}.csv", "--backend", "cpu", "--factors", "8", "--epochs", "1", "--progress", "none", "--model", f"m{seed}")
        # Users that fold-in finds new.
        for seed in ("1", "2"):
            text = (self.home / f"p{seed}.csv").read_text()
            (self.home / f"p{seed}.csv").write_text(text + "".join(f"fresh{seed}-{u},{u % 200},{1 + u % 5}\n" for u in range(200)))
        print(f"pairs: {count} of each")
        for name, (line, out, values) in PAIRS.items():
            wholes = {}
            for value in values:
                alone = f"alone-{value}-{out}"
                self.run(*line.replace("N", value).replace("OUT", alone).split())
                wholes[value] = self.whole(alone)
            tally = {}
            for number in range(count):
                children = [
                    self.start(*line.replace("N", n).replace("OUT", out).split(), "--force", wrap=container) for n in values
                ]
                ends = []
                for child in children:
                    _, err = child.communicate()
                    refused = "is being written by process 1 on" in err or "is being written by another process" in err
                    ends.append("wrote" if child.returncode == 0 else "refused" if refused else "failed")
                    if ends[-1] == "failed":
                        complain(f"pairs, {name} {number}: {err.strip()[-200:]}")
                if self.whole(out) not in wholes.values():
                    complain(f"pairs, {name} {number}: {out} is a mixture")
                if strays(self.home):
                    complain(f"pairs, {name} {number}: {strays(self.home)} stay")
                key = tuple(sorted(ends))
                tally[key] = tally.get(key, 0) + 1
            print(f"  {name:10}", ", ".join(f"{' and '.join(k)}: {v}" for k, v in sorted(tally.items())))
        # A predict that is killed does not block its output.
        child = self.start("predict", "m1", "p1.csv", "--output", "predicted.csv", wrap=container)
        time.sleep(0.05)
        child.kill()
        child.communicate()
        self.run("predict", "m1", "p1.csv", "--output", "predicted.csv", "--force")
        if strays(self.home):
            complain(f"pairs: {strays(self.home)} stay after a killed predict")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=pathlib.Path, default=REPOSITORY / "target/release/wgmf")
    parser.add_argument("--swaps", type=int, default=300)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--adapter", help="kill runs on this GPU instead of the CPU")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    # Under nohup it is ignored, by what is started here too.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for part in ("swaps", "kills", "pairs"):
        with tempfile.TemporaryDirectory() as home:
            attack = Attack(args.wgmf.resolve(), pathlib.Path(home), args.seed, args.adapter)
            if getattr(args, part):
                getattr(attack, part)(getattr(args, part))
    print("nothing was lost" if not lost else f"{len(lost)} losses")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
