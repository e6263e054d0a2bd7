#!/usr/bin/env python3
"""Writes THIRD-PARTY.md: every crate that a build of wgmf may contain, its licence, and what that asks for.

    python3 tools/notices.py [--check]

Of the licences that a crate offers, Apache-2.0 is taken where it is one of them, else the first; of those
that ask for the text beside a copy it stands here, with the crate's own lines of copyright. `--check` writes
nothing, and ends with 1 where the file is not what would be written. Reads `cargo metadata`, for which cargo
needs the sources of all platforms.
"""

import json
import pathlib
import re
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
NOTICES = REPOSITORY / "THIRD-PARTY.md"

# What of an expression may be taken, the first that is offered.
PREFERRED = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "BSD-3-Clause",
    "BSD-2-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
]

# Words by which a licence's text is known among a crate's files.
KNOWN = {
    "MIT": "Permission is hereby granted, free of charge",
    "BSD-3-Clause": "Neither the name",
    "BSD-2-Clause": "Redistribution and use in source and binary forms",
    "ISC": "Permission to use, copy, modify, and/or distribute",
    "Zlib": "In no event will the authors be held liable",
    "Unicode-3.0": "UNICODE LICENSE V3",
    "Apache-2.0 WITH LLVM-exception": "LLVM Exceptions",
    "CC0-1.0": "CC0 1.0 Universal",
}

HEAD = """# What a build of wgmf contains

Written by `tools/notices.py` from `cargo metadata`; CI checks that it is up to date. A build, of the command, the
library or the extension for Python, contains those of these crates that its platform and features ask for. Where a crate offers several licences, the one that
is named here is taken.

| crate | version | licence taken | offered | source |
| --- | --- | --- | --- | --- |
"""


def taken(expression):
    """The licences that are taken: one of each part that `AND` joins."""
    parts = re.split(r"\s+AND\s+", expression.replace("/", " OR "))
    result = []
    for part in parts:
        offered = [one.strip() for one in re.split(r"\s+OR\s+", part.strip("() "))]
        found = next((licence for licence in PREFERRED if licence in offered), None)
        if found is None:
            sys.exit(f"{expression!r}: none of these licences may be taken (see deny.toml)")
        result.append(found)
    return result


def texts(package, licence):
    """The texts of a licence among a crate's files."""
    folder = pathlib.Path(package["manifest_path"]).parent
    names = ("licen", "copying", "copyright")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(names))
    found = []
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip()
        if KNOWN[licence] in " ".join(text.split()) and text not in found:
            found.append(text)
    return found[:1] if licence != "MIT" else sorted(found, key=len)[:1]


def contained(metadata):
    """The crates that are compiled into wgmf and its extension for Python, of any platform, without build scripts
    and tests."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    roots = set(metadata["workspace_members"])
    main, seen = metadata["resolve"]["root"], set()

    def walk(root, counts):
        ahead, visited = [root], set()
        while ahead:
            at = ahead.pop()
            if at in visited:
                continue
            visited.add(at)
            for dependency in nodes[at]["deps"]:
                if any(kind["kind"] is None and counts(kind["target"]) for kind in dependency["dep_kinds"]):
                    ahead.append(dependency["pkg"])
        seen.update(visited)

    walk(main, lambda target: True)
    # No browser has the Python that the extension is for.
    for root in roots - {main}:
        walk(root, lambda target: "wasm32" not in (target or ""))
    inside = [packages[at] for at in seen - roots]
    return sorted(inside, key=lambda package: (package["name"], package["version"]))


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--all-features", "--locked"]
    run = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    rows, groups, missing = [], {}, []
    for package in contained(json.loads(run.stdout)):
        name = f"{package['name']} {package['version']}"
        licences = taken(package["license"])
        source = package["repository"] or package["name"]
        columns = [package["name"], package["version"], " and ".join(licences), package["license"], source]
        rows.append("| " + " | ".join(columns) + " |")
        for licence in licences:
            if licence == "Apache-2.0":
                continue
            found = texts(package, licence)
            if not found:
                # Without addresses.
                authors = [re.sub(r"\s*<.*?>", "", author) for author in package["authors"]]
                missing.append(f"- {name}: {licence}, by {', '.join(authors) or 'its contributors'}")
            for text in found:
                groups.setdefault((licence, text), []).append(name)
        folder = pathlib.Path(package["manifest_path"]).parent
        for notice in sorted(folder.glob("NOTICE*")):
            text = notice.read_text(encoding="utf-8", errors="replace").strip()
            groups.setdefault(("Notice", text), []).append(name)
    parts = [HEAD + "\n".join(rows) + "\n"]
    parts.append("## Apache-2.0\n\nThe text is `LICENSE-APACHE` of this repository.\n")
    if missing:
        parts.append("## Crates that come without the text of their licence\n\n" + "\n".join(missing) + "\n")
    for (licence, text), names in sorted(groups.items(), key=lambda group: (group[0][0], group[1])):
        lines = "\n".join(line.rstrip() for line in text.splitlines())
        parts.append(f"## {licence}: {', '.join(names)}\n\n```text\n{lines}\n```\n")
    written = "\n".join(parts)
    if "--check" not in sys.argv[1:]:
        NOTICES.write_text(written, encoding="utf-8")
    elif not NOTICES.exists() or NOTICES.read_text(encoding="utf-8") != written:
        sys.exit("THIRD-PARTY.md is not up to date: python3 tools/notices.py")


if __name__ == "__main__":
    main()
