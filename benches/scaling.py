#!/usr/bin/env python3
"""Draws how seconds grow: with ratings, with factors, with threads, by `wgmf bench` on planted sets.

    python3 benches/scaling.py [--wgmf target/release/wgmf] [--ratings 1,3,10,30] [--factors 8,32,128,512]

Writes benches/results/scaling.svg and scaling.json. Each point is the mean of the epochs (sweeps) of one
run after the first, on the CPU. Needs nothing but Python.
"""

import argparse
import html
import json
import math
import os
import pathlib
import subprocess
import sys

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
SOLVERS = ["sgd", "als", "ials", "bayes"]
# Told apart in dark and in light, and by who sees no red.
COLOURS = {"sgd": "#0072b2", "als": "#d55e00", "ials": "#009e73", "bayes": "#b56ad6"}


def numbers(text):
    return [float(part) for part in text.split(",")]


def seconds(args, solver, ratings, factors, threads):
    """Seconds of an epoch."""
    command = [args.wgmf, "bench", "--backend", "cpu", "--solver", solver, "--ratings", str(int(ratings))]
    command += ["--factors", str(int(factors)), "--threads", str(threads), "--epochs", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    report = json.loads(done.stdout)
    run = (report["measurements"] + report["sweeps"])[0]
    found = run.get("seconds_per_epoch") or run["seconds_per_sweep"]
    print(f"{solver} {ratings:.0f} ratings, {factors:.0f} factors, {threads} threads: {found:.3f} s", file=sys.stderr)
    return found


class Plot:
    """A plot with logarithmic axes."""

    WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 400, 300, 64, 36, 16, 44

    def __init__(self, title, x, xs, ys):
        self.title, self.x = title, x
        self.xs = (math.log10(min(xs)), math.log10(max(xs)))
        self.ys = (math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))))

    def place(self, x, y):
        def along(value, ends, length):
            return (math.log10(value) - ends[0]) / max(ends[1] - ends[0], 1e-9) * length

        inner = (self.WIDTH - self.LEFT - self.RIGHT, self.HEIGHT - self.TOP - self.BOTTOM)
        return (self.LEFT + along(x, self.xs, inner[0]), self.TOP + inner[1] - along(y, self.ys, inner[1]))

    def draw(self, lines, ticks):
        """`lines`: (solver, dashed, [(x, seconds)]); `ticks`: values and texts of the x axis."""
        out = [f'<text x="{self.WIDTH / 2}" y="18" text-anchor="middle" font-weight="600">{html.escape(self.title)}</text>']
        bottom = self.place(10 ** self.xs[0], 10 ** self.ys[0])[1]
        for power in range(self.ys[0], self.ys[1] + 1):
            y = self.place(10 ** self.xs[0], 10**power)[1]
            text = f"{10.0**power:g} s"
            out.append(f'<path class="grid" d="M{self.LEFT} {y:.1f}H{self.WIDTH - self.RIGHT}"/>')
            out.append(f'<text x="{self.LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        for value, text in ticks:
            x = self.place(value, 10 ** self.ys[0])[0]
            out.append(f'<path class="grid" d="M{x:.1f} {self.TOP}V{bottom:.1f}"/>')
            out.append(f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{text}</text>')
        out.append(f'<text x="{self.WIDTH / 2}" y="{self.HEIGHT - 6}" text-anchor="middle">{html.escape(self.x)}</text>')
        for solver, dashed, points in lines:
            path = " ".join("{:.1f},{:.1f}".format(*self.place(x, y)) for x, y in points)
            dash = ' stroke-dasharray="5 4"' if dashed else ""
            out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[solver]}" stroke-width="2"{dash}/>')
            for x, y in points:
                at = self.place(x, y)
                label = html.escape(f"{solver}: {y:.3g} s")
                out.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3" fill="{COLOURS[solver]}"><title>{label}</title></circle>')
        return out


def picture(plots):
    """Plots side by side, with what the colours mean."""
    width = Plot.WIDTH * len(plots)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {Plot.HEIGHT + 24}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>Seconds of an epoch or a sweep of wgmf on the CPU</title>",
        "<style>text{fill:#333}.grid{stroke:#8884;fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>",
    ]
    for at, plot in enumerate(plots):
        out += [f'<g transform="translate({at * Plot.WIDTH} 0)">', *plot, "</g>"]
    for at, solver in enumerate(SOLVERS):
        x, y = 64 + 90 * at, Plot.HEIGHT + 14
        out.append(f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{COLOURS[solver]}"/><text x="{x + 10}" y="{y}">{solver}</text>')
    x = 64 + 90 * len(SOLVERS)
    out.append(f'<text x="{x}" y="{Plot.HEIGHT + 14}">dashed: one thread, whole: all</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgmf", default="target/release/wgmf", help="the command (built with --release)")
    parser.add_argument("--ratings", type=numbers, default=[1, 3, 10, 30], help="millions of ratings")
    parser.add_argument("--factors", type=numbers, default=[8, 32, 128, 512], help="numbers of factors")
    parser.add_argument("--middle", type=float, default=3, help="millions of ratings where factors vary")
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args()
    threads = os.cpu_count() or 1
    by_ratings, by_factors = [], []
    for solver in SOLVERS:
        for own in sorted({1, threads}):
            points = [(m * 1e6, seconds(args, solver, m * 1e6, 32, own)) for m in args.ratings]
            by_ratings.append((solver, own < threads, points))
        points = [(k, seconds(args, solver, args.middle * 1e6, k, threads)) for k in args.factors]
        by_factors.append((solver, False, points))
    plots = []
    for title, x, lines, ticks in [
        ("32 factors", "ratings", by_ratings, [(m * 1e6, f"{m:g} M") for m in args.ratings]),
        (f"{args.middle:g} million ratings", "factors", by_factors, [(k, f"{k:g}") for k in args.factors]),
    ]:
        everything = [point for _, _, points in lines for point in points]
        plot = Plot(title, x, [x for x, _ in everything], [y for _, y in everything])
        plots.append(plot.draw(lines, ticks))
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "scaling.svg").write_text(picture(plots))
    facts = {"threads": threads, "by_ratings": by_ratings, "by_factors": by_factors}
    (args.output / "scaling.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
