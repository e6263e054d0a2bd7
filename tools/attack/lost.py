#!/usr/bin/env python3
"""Attacks what wgmf writes, and counts what was lost.

    python3 tools/attack/lost.py [--wgmf target/release/wgmf] [--swaps 300] [--kills 40] [--pairs 20]

swaps    sends a signal (SIGTERM, SIGINT twice, SIGHUP) within 30 ms of the moment in which fold-in --force,
         train --force or a checkpoint has its last file written, just before it takes its name. The
         directory must be the old one or the new one, to the byte, and open; nothing else may be left, or
         else be gone after the next run. The exit code must tell what happened.
kills    kills (SIGKILL) a training run with checkpoints again and again at random moments, resumes it,
         and compares the model with one of a run that was never stopped, to the byte.
pairs    starts two `recommend --force` on one output at once, each in a PID namespace of its own (as in
         two containers: both are process 1), and a predict that is killed. What is there must be whole.

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
    def __init__(self, wgmf, home, seed):
        self.wgmf, self.home, self.random = wgmf, home, random.Random(seed)
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
        for number in range(count):
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
        print(f"swaps: {count} races")
        for key, number in sorted(tally.items()):
            print(f"  {key[0]:10} {key[1]:20} exit {key[2]:3}: {number}")

    # -- kills ------------------------------------------------------------------------------------

    def kills(self, count):
        runs = {
            "als": ["--solver", "als", "--factors", "16", "--epochs", "60", "--holdout", "0.1"],
            "sgd": ["--solver", "sgd", "--factors", "16", "--epochs", "60", "--batch-size", "512"],
            "adam": ["--solver", "adam", "--factors", "16", "--epochs", "60", "--patience", "50", "--holdout", "0.1"],
            "bayes": ["--solver", "bayes", "--factors", "8", "--samples", "50", "--burn-in", "10"],
        }
        self.run("synth", "--users", "300", "--items", "200", "--ratings", "6000", "--output", "k.csv")
        killed = resumed = finished = 0
        while killed < count:
            for name, flags in runs.items():
                base = ["train", "k.csv", "--backend", "cpu", "--progress", "none", *flags]
                straight = self.home / f"straight-{name}"
                began = time.time()
                if not straight.exists():
                    self.run(*base, "--model", straight.name)
                    self.seconds[name] = time.time() - began
                model = f"killed-{name}"
                arguments = [*base, "--model", model, "--checkpoint-every", "2"]
                for _ in range(30):
                    go = ["--resume"] if (self.home / f"{model}.checkpoint").exists() else []
                    child = self.start(*arguments, *go)
                    time.sleep(self.random.uniform(0.02, self.seconds[name]))
                    child.kill()
                    _, err = child.communicate()
                    if child.returncode == 0:
                        break
                    if child.returncode != -signal.SIGKILL:
                        complain(f"kills, {name}: {err.strip()[-300:]}")
                        break
                    killed += 1
                    resumed += bool(go)
                if not (self.home / model).exists():
                    go = ["--resume"] if (self.home / f"{model}.checkpoint").exists() else []
                    self.run(*arguments, *go)
                finished += 1
                names = ["model.safetensors", "seen.safetensors", "samples.safetensors", "users.csv", "items.csv"]
                if digest(self.home / model, names) != digest(straight, names):
                    complain(f"kills, {name}: the model differs from that of the straight run")
                # A kill after the model was saved leaves its checkpoint, which is a finished one.
                if strays(self.home):
                    self.run(*arguments, "--force")
                    if strays(self.home):
                        complain(f"kills, {name}: the next run leaves {strays(self.home)}")
                shutil.rmtree(self.home / model)
                shutil.rmtree(self.home / f"{model}.checkpoint", ignore_errors=True)
        print(f"kills: {killed}, {resumed} of them of resumed runs; {finished} models compared")

    # -- two containers ----------------------------------------------------------------------------

    def pairs(self, count):
        container = ["unshare", "-pf", "--mount-proc"]
        if subprocess.run([*container, "true"], capture_output=True).returncode != 0:
            print("pairs: skipped, no right to unshare")
            return
        self.run("synth", "--users", "2000", "--items", "300", "--ratings", "20000", "--output", "p.csv")
        self.run("train", "p.csv", "--backend", "cpu", "--factors", "8", "--epochs", "1", "--progress", "none", "--model", "m")
        wholes = {}
        for n in ("7", "9"):
            self.run("recommend", "m", "--all", "-n", n, "--output", f"whole{n}.csv")
            wholes[n] = (self.home / f"whole{n}.csv").read_bytes()
        tally = {}
        for number in range(count):
            children = [
                self.start("recommend", "m", "--all", "-n", n, "--output", "x.csv", "--force", wrap=container)
                for n in wholes
            ]
            ends = []
            for child in children:
                _, err = child.communicate()
                ends.append("wrote" if child.returncode == 0 else "refused" if "is being written by process 1 on" in err else "failed")
                if ends[-1] == "failed":
                    complain(f"pairs {number}: {err.strip()[-200:]}")
            if (self.home / "x.csv").read_bytes() not in wholes.values():
                complain(f"pairs {number}: x.csv is a mixture")
            if strays(self.home):
                complain(f"pairs {number}: {strays(self.home)} stay")
            tally[tuple(sorted(ends))] = tally.get(tuple(sorted(ends)), 0) + 1
        # A predict that is killed does not block its output.
        child = self.start("predict", "m", "p.csv", "--output", "predicted.csv", wrap=container)
        time.sleep(0.05)
        child.kill()
        child.communicate()
        self.run("predict", "m", "p.csv", "--output", "predicted.csv", "--force")
        if strays(self.home):
            complain(f"pairs: {strays(self.home)} stay after a killed predict")
        print(f"pairs: {count}", ", ".join(f"{' and '.join(k)}: {v}" for k, v in sorted(tally.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=pathlib.Path, default=REPOSITORY / "target/release/wgmf")
    parser.add_argument("--swaps", type=int, default=300)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for part in ("swaps", "kills", "pairs"):
        with tempfile.TemporaryDirectory() as home:
            attack = Attack(args.wgmf.resolve(), pathlib.Path(home), args.seed)
            if getattr(args, part):
                getattr(attack, part)(getattr(args, part))
    print("nothing was lost" if not lost else f"{len(lost)} losses")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
