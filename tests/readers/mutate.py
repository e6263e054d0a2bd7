"""Damages small rating files and holds what `wgmf inspect` reads of them against a second reader.

    mutate.py WGMF [COUNT] [SEED] [FAULT]

Where wgmf reads a damaged file without a word of error, `second.py` has to find the same pairs and
values in it; where wgmf refuses, nothing is asked. Prints what differs, and exits with 1 if anything does.
FAULT, `quotes` or `header`, plants one in the second reader: something has to differ then.
"""

import collections
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile

import second

WGMF = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 200
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 0
FAULT = sys.argv[4] if len(sys.argv) > 4 else ""
if FAULT == "quotes":
    second.has_quotes = lambda delimiter, sample: False
elif FAULT == "header":
    second.looks_like_header = lambda rows, rating=2: False

USERS = ["ann", "bob", "cid", "dee", "eve"]
ITEMS = ["alpha", "the b", "c, d", "Café", "e;f"]
PLAIN = ["10", "11", "12", "13", "14"]


def table(rng, header, separator, items, times=False, quotes=False):
    """Lines of user, item, rating and perhaps a timestamp."""

    def cell(text):
        special = separator in text or '"' in text
        return f'"{text}"' if quotes and (special or rng.random() < 0.2) else text

    lines = [separator.join(header)] if header else []
    for user in USERS:
        for item in rng.sample(items, 3):
            row = [cell(user), cell(item), rng.choice(["1", "2", "3.5", "4", "5"])]
            if times:
                row.append(str(rng.randint(9 * 10**8, 10**9)))
            lines.append(separator.join(row))
    return "\n".join(lines) + "\n"


MANY = [str(item) for item in range(10, 20)]
NAMES = ["user", "item", "rating", "timestamp"]


def base(rng):
    """A small valid file: its kind and its bytes."""
    kind, make = rng.choice(KINDS)
    text = make(rng)
    return kind, text if isinstance(text, bytes) else text.encode()


def grouped(rng):
    lines = [" ".join([str(user), *rng.sample(MANY, n)]) for user, n in enumerate((5, 1, 3, 6, 2, 4), 1)]
    return "\n".join(lines) + "\n"


def json_lines(rng):
    rows = [
        {"user": user, "item": item, "rating": rng.choice([1, 2, 3.5, 4, 5])}
        for user in USERS
        for item in rng.sample(ITEMS, 2)
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def matrix_market(rng):
    entries = [(u, i, rng.randint(1, 5)) for u in range(1, 6) for i in rng.sample(range(1, 6), 3)]
    lines = ["%%MatrixMarket matrix coordinate real general", "% a remark", f"5 5 {len(entries)}"]
    return "\n".join(lines + [f"{u} {i} {r}" for u, i, r in entries]) + "\n"


KINDS = [
    ("csv", lambda r: table(r, NAMES[:3], ",", PLAIN)),
    ("csv-times", lambda r: table(r, NAMES, ",", PLAIN, times=True)),
    ("csv-bare", lambda r: table(r, None, ",", PLAIN)),
    ("csv-quoted", lambda r: table(r, NAMES[:3], ",", ITEMS, quotes=True)),
    ("tsv", lambda r: table(r, NAMES[:3], "\t", ITEMS)),
    ("tsv-bare", lambda r: table(r, None, "\t", ITEMS)),
    ("semicolons", lambda r: table(r, NAMES[:3], ";", ITEMS, quotes=True)),
    ("bars", lambda r: table(r, None, "|", ITEMS)),
    ("double-colons", lambda r: table(r, None, "::", ITEMS, times=True)),
    ("blanks", lambda r: table(r, None, " ", PLAIN)),
    ("grouped", grouped),
    ("json-lines", json_lines),
    ("matrix-market", matrix_market),
    ("utf-16", lambda r: table(r, NAMES[:3], ",", [*ITEMS[:2], "Café", "日本"]).encode("utf-16")),
    ("latin-1", lambda r: table(r, NAMES[:3], "\t", ITEMS).encode("latin-1")),
]

SEPARATORS = [b",", b";", b"\t", b"|", b"::", b" "]


def mutate(rng, data):
    """One damage; its name and the bytes."""
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(data) + 1)
    line = rng.randrange(len(lines)) if lines else 0
    name = rng.choice(
        """flip byte-gone cut lines-cut line-twice quote quotes separator separators bom crlf cr nul swap
        join blank-line lines-moved no-end word""".split()
    )
    if name == "flip" and data:
        at = rng.randrange(len(data))
        data = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    elif name == "byte-gone":
        data = data[:at] + data[at + 1 :]
    elif name == "cut":
        data = data[:at]
    elif name == "lines-cut":
        data = b"".join(lines[:line])
    elif name == "line-twice" and lines:
        data = b"".join(lines[: line + 1] + lines[line:])
    elif name == "quote":
        data = data[:at] + b'"' + data[at:]
    elif name == "quotes" and lines:
        # Around a field.
        for separator in SEPARATORS:
            fields = lines[line].rstrip(b"\r\n").split(separator)
            if len(fields) > 1:
                which = rng.randrange(len(fields))
                fields[which] = b'"' + fields[which] + b'"'
                lines[line] = separator.join(fields) + b"\n"
                break
        data = b"".join(lines)
    elif name == "separator" and lines:
        old, new = rng.sample(SEPARATORS, 2)
        lines[line] = lines[line].replace(old, new, 1)
        data = b"".join(lines)
    elif name == "separators":
        old, new = rng.sample(SEPARATORS, 2)
        data = data.replace(old, new)
    elif name == "bom":
        mark = rng.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
        data = mark + data if rng.random() < 0.5 else data[:at] + mark + data[at:]
    elif name == "crlf":
        data = data.replace(b"\n", b"\r\n")
    elif name == "cr":
        data = data.replace(b"\n", b"\r") if rng.random() < 0.5 else data[:at] + b"\r" + data[at:]
    elif name == "nul":
        data = data[:at] + b"\0" + data[at:]
    elif name == "swap" and lines:
        for separator in SEPARATORS:
            if separator in lines[0]:
                rows = [row.rstrip(b"\r\n").split(separator) for row in lines]
                a, b = rng.randrange(3), rng.randrange(3)
                for row in rows:
                    if len(row) > max(a, b):
                        row[a], row[b] = row[b], row[a]
                data = b"\n".join(separator.join(row) for row in rows) + b"\n"
                break
    elif name == "join":
        data = data + base(rng)[1]
    elif name == "blank-line" and lines:
        lines.insert(line, rng.choice([b"\n", b"  \n", b"\t\n", b"\r\n"]))
        data = b"".join(lines)
    elif name == "lines-moved":
        rng.shuffle(lines)
        data = b"".join(lines)
    elif name == "no-end":
        data = data.rstrip(b"\r\n")
    elif name == "word":
        word = rng.choice([b"nan", b"inf", b"-1", b"1e3", b"+4", b" 7", b"0x1", b"#", b"''", b'""', b"5.", b",", b"\\"])
        data = data[:at] + word + data[at:]
    return name, data


def try_one(number):
    """What became of the file with this number, and what differs, if anything does."""
    rng = random.Random(f"{SEED}/{number}")
    kind, data = base(rng)
    damages = []
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
        name, data = mutate(rng, data)
        damages.append(name)
    path = os.path.join(HOME, f"{number}.txt")
    with open(path, "wb") as file:
        file.write(data)
    run = subprocess.run(
        [WGMF, "inspect", path, "--json", "--rows", "100000", "--threads", "1"],
        capture_output=True,
        check=False,
    )
    os.unlink(path)
    told = f"{number} ({kind}: {', '.join(damages) or 'whole'})"
    if run.returncode == 1 and run.stderr.startswith(b"error: ") or b"\nerror: " in run.stderr:
        fault = f"{told}: refused whole: {run.stderr!r}" if not damages else None
        return "refused", fault and f"{fault}\n    {data!r}"
    if run.returncode != 0:
        return "failed", f"{told}: exit {run.returncode}: {run.stderr!r}\n    {data!r}"
    seen = json.loads(run.stdout)
    got = [(row["user"], row["item"], second.single(row["rating"])) for row in seen["rows"]]
    try:
        want = second.read(data)
    except second.Refused as error:
        want = str(error)
    if got == want:
        return "same", None
    form = {key: seen["files"][0][key] for key in ("format", "delimiter", "header", "columns", "encoding", "quotes")}
    return "differs", f"{told}\n    {data!r}\n    wgmf   {form} {got}\n    second {want}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as HOME:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(try_one, range(COUNT)))
    counts = collections.Counter(outcome for outcome, _ in outcomes)
    faults = [fault for _, fault in outcomes if fault]
    print("\n".join(faults[:20]))
    print(f"{COUNT} files: {dict(sorted(counts.items()))}")
    sys.exit(1 if faults else 0)
