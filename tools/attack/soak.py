#!/usr/bin/env python3
"""Runs the commands of wgmf one after another for a long time, and looks whether anything grows.

    python3 tools/attack/soak.py [--wgmf target/release/wgmf] [--minutes 60] [--adapter NAME]

Each round trains (once with a kill and --resume), recommends, finds what is similar, evaluates, predicts, folds
in, exports and splits, over what the round before left. The largest resident memory and the most descriptors of
each command must be the same in the last quarter of the rounds as in the second, every output must be the
round's before to the byte, and the directory must hold the same files. Exits with 1 if not. Linux only.
`cargo bench --bench soak` does the same with the library in one process.
"""

import argparse
import hashlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Resident memory may differ by so much: a part, and KiB. Which pages are touched depends on threads.
GROWTH = (0.05, 4096)


def commands(device):
    train = f"train plays.csv {device} --progress none --force"
    return {
        "train als": f"{train} --solver als --factors 8 --epochs 6 --holdout 0.1 --model als",
        "train sgd": f"{train} --solver sgd --factors 8 --epochs 4 --model sgd",
        "train ials": f"{train} --solver ials --factors 8 --epochs 4 --model ials",
        "train bayes": f"{train} --solver bayes --factors 4 --samples 6 --burn-in 2 --chains 2 --model bayes",
        "recommend": f"recommend als --all -n 10 --output lists.csv --force {device}",
        "recommend bayes": f"recommend bayes --all -n 5 --by lower 0.1 --output sure.csv --force {device}",
        "similar": f"similar als --all -n 5 --output similar.csv --force {device}",
        "evaluate": f"evaluate als parts/test.csv --ranking --at 10 --include-seen {device} --per-user users.csv --force",
        "predict": "predict bayes parts/test.csv --interval 0.9 --output predicted.csv --force",
        "fold-in": f"fold-in als new.csv --output grown --force {device}",
        "fold-in bayes": f"fold-in bayes new.csv --output grown-bayes --force {device}",
        "export": "export als --format npy --output arrays --force",
        "split": "split plays.csv --holdout 0.2 --output parts --force",
    }


class Soak:
    def __init__(self, wgmf, home):
        self.wgmf, self.home = wgmf, home
        self.usage = {}

    def run(self, name, line, kill_after=None):
        """Runs a command; notes its largest resident memory in KiB and the most descriptors that were seen."""
        child = subprocess.Popen(
            [str(self.wgmf), *line.split()], cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        began, most, memory = time.time(), 0, 0
        while True:
            try:
                most = max(most, len(os.listdir(f"/proc/{child.pid}/fd")))
                # What `wait4` tells counts this program too, of which the child begins as a copy.
                status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
                memory = max(memory, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
            except (OSError, TypeError):
                pass
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                break
            if kill_after is not None and time.time() - began > kill_after:
                child.send_signal(signal.SIGKILL)
                kill_after = None
            time.sleep(0.001)
        code = os.waitstatus_to_exitcode(status)
        child.returncode = code
        if code not in (0, -signal.SIGKILL):
            sys.exit(f"wgmf {line}: {code}: {child.stderr.read().decode()}")
        child.stderr.close()
        if code == 0:
            self.usage.setdefault(name, []).append((memory, most))

    def tree(self):
        """Every file with a digest, but those with times in them."""
        files = {}
        for path in sorted(p for p in self.home.rglob("*") if p.is_file()):
            dated = path.name in ("run.json", "checkpoint.json")
            name = str(path.relative_to(self.home))
            files[name] = "" if dated else hashlib.sha256(path.read_bytes()).hexdigest()
        return files

    def round(self, device):
        for name, line in commands(device).items():
            self.run(name, line)
        # Killed on its way, and gone on with.
        line = f"train plays.csv {device} --progress none --solver als --factors 8 --epochs 40 --model long"
        if (self.home / "long").exists():
            line += " --force"
        self.run("killed", f"{line} --checkpoint-every 2", kill_after=0.3)
        resume = " --resume" if (self.home / "long.checkpoint").exists() else ""
        self.run("train --resume", f"{line} --checkpoint-every 2{resume}" + ("" if "--force" in line else " --force"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", type=pathlib.Path, default=REPOSITORY / "target/release/wgmf")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--adapter", help="compute on this GPU instead of the CPU")
    args = parser.parse_args()
    device = f"--adapter {args.adapter}" if args.adapter else "--backend cpu"
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        (home / "plays.csv").write_bytes((REPOSITORY / "sample/plays.csv").read_bytes())
        (home / "new.csv").write_text("Zoe,Amber Bells,5\nZoe,Dim Glass,1\n")
        soak = Soak(args.wgmf.resolve(), home)
        soak.run("split", commands(device)["split"])
        soak.usage.clear()
        began, rounds, before, wrong = time.time(), 0, None, []
        while time.time() - began < 60 * args.minutes or rounds < 8:
            soak.round(device)
            rounds += 1
            now = soak.tree()
            if before is not None and now != before:
                names = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
                wrong.append(f"round {rounds}: other files than before: {names[:5]}")
            before = now
        quarter = rounds // 4
        print(f"{rounds} rounds in {time.time() - began:.0f} s, {len(before)} files")
        print("command          resident KiB, second quarter and last   descriptors at most")
        for name, all in soak.usage.items():
            then, last = all[len(all) // 4 : len(all) // 2], all[-quarter:]
            mean = lambda part: sum(memory for memory, _ in part) / len(part)
            most = lambda part: max(descriptors for _, descriptors in part)
            print(f"{name:15} {mean(then):14.0f} {mean(last):21.0f} {most(then):20} {most(last)}")
            if mean(last) > mean(then) * (1 + GROWTH[0]) + GROWTH[1]:
                wrong.append(f"{name}: resident memory grows")
            # They are looked at now and then, so that the last quarter may see one more by chance.
            if most(last) > most(then) + 2:
                wrong.append(f"{name}: descriptors grow")
        for text in wrong:
            print("WRONG:", text)
        print("nothing grows" if not wrong else f"{len(wrong)} wrong")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
