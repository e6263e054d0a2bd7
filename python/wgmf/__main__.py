"""The `wgmf` command: `python -m wgmf`, and what pip installs beside it."""

from __future__ import annotations

import sys

from . import _core
from ._model import quiet_loader


def main() -> int:
    """Runs the command line with what this program was called with."""
    quiet_loader()
    # Nothing that starts threads has been imported: the first Ctrl-C is the command's to hear.
    return _core.main(["wgmf", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
