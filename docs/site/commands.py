"""The reference of the command line, in Markdown, from what `wgmf --help` and that of each command print.

    python docs/site/commands.py WGMF > commands.md
"""

from __future__ import annotations

import re
import subprocess
import sys


def help_of(command: list[str]) -> str:
    return subprocess.run([*command, "--help"], check=True, capture_output=True, text=True, encoding="utf-8").stdout


def commands_of(text: str) -> list[str]:
    """The commands that a help lists, in its order, but for itself."""
    listed = text.split("\nCommands:\n")[1].split("\n\n")[0]
    return [name for name in re.findall(r"^  ([a-z-]+) ", listed, flags=re.M) if name != "help"]


def reference(wgmf: str) -> str:
    """A section a command, its first line in prose, the rest as it is printed."""
    top = help_of([wgmf])
    sections = [f"```text\n{top.strip()}\n```\n"]
    for name in commands_of(top):
        text = help_of([wgmf, name]).strip()
        prose, usage = text.split("\nUsage:", 1)
        first, _, more = prose.strip().partition("\n\n")
        below = f"{more.strip()}\n\n" if more.strip() else ""
        sections.append(f"## wgmf {name}\n\n{' '.join(first.split())}.\n\n```text\n{below}Usage:{usage}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    print(reference(sys.argv[1]))
