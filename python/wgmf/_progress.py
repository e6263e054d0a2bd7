"""How a run is shown: a bar where tqdm is installed and somebody looks, lines of `logging` otherwise."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._data import failed

LOG = logging.getLogger("wgmf")

Event = dict[str, Any]


@contextmanager
def listening(callback: Callable[[Event], Any] | None, progress: bool | None) -> Iterator[Callable[[Event], bool] | None]:
    """Who hears the events of a run; nobody where nothing would come of it. `progress`: whether there is a bar; None
    where standard error is a terminal."""
    if callback is not None and not callable(callback):
        raise failed("settings", f"`callback` {callback!r} cannot be called")
    wanted = progress or (progress is None and sys.stderr is not None and sys.stderr.isatty())
    bars: dict[str, Any] | None = {} if wanted and _has_bars() else None
    logs = bars is None and progress is not False and LOG.isEnabledFor(logging.INFO)
    if callback is None and bars is None and not logs:
        yield None
        return

    def hear(event: Event) -> bool:
        if logs:
            _log(event)
        if bars is not None:
            _show(bars, event)
        return bool(callback(event)) if callback is not None else False

    try:
        yield hear
    finally:
        for bar in (bars or {}).values():
            bar.close()


# Figures of an event that are shown, the first that it has.
SHOWN = ("ndcg@20", "test_error", "train_error", "objective", "value")


def figures(event: Event) -> str:
    """The figure that is looked at."""
    for name in SHOWN:
        if event.get(name) is not None:
            return f"{name} {event[name]:.5g}"
    return ""


def _log(event: Event) -> None:
    kind = event["event"]
    if kind == "epoch":
        LOG.info("epoch %d: %s", event["epoch"], figures(event))
    elif kind == "fold":
        LOG.info("fold %d of %d", event["fold"], event["folds"])
    elif kind == "trial":
        LOG.info("trial %d, %s epochs: %s", event["trial"], event["epochs"], figures(event))
    elif kind == "fallback":
        LOG.warning("%s failed: %s; training goes on on the CPU", event["device"], event["error"])


def _has_bars() -> bool:
    try:
        import tqdm  # noqa: F401
    except ImportError:
        return False
    return True


# Of the events that a bar counts, how many there will be.
WHOLES = {"epoch": "epochs", "fold": "folds", "trial": "trials"}


def _show(bars: dict[str, Any], event: Event) -> None:
    from tqdm.auto import tqdm

    kind = event["event"]
    if kind not in WHOLES:
        return
    if kind not in bars:
        bars[kind] = tqdm(total=event.get(WHOLES[kind]) or None, unit=f" {kind}")
    bars[kind].update(1)
    bars[kind].set_postfix_str(figures(event))
