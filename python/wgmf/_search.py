"""Settings found by trying, cross-validation, and two models held against each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import _core
from ._data import Dataset, dataset, failed
from ._model import DATA_SETTINGS, Model, _device, _length, fit
from ._progress import listening

if TYPE_CHECKING:
    from ._frames import Frame

Callback = Callable[[dict[str, Any]], Any]


def _parted(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of the ratings, and the settings of training."""
    return (
        {name: value for name, value in options.items() if name in DATA_SETTINGS},
        {name: value for name, value in options.items() if name not in DATA_SETTINGS},
    )


def _lengths(at: int | Sequence[int] | None, metric: str | None) -> list[int]:
    if at is None:
        of_metric = metric.split("@")[1] if metric and "@" in metric else None
        return [int(of_metric)] if of_metric and of_metric.isdigit() else []
    return [_length(n) for n in ([at] if isinstance(at, int) else at)]


def cross_validate(
    data: Any,
    solver: str | None = None,
    *,
    folds: int = 5,
    metric: str | None = None,
    at: int | Sequence[int] | None = None,
    relevant_from: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Frame:
    """Trains on all but one part of the ratings and measures on that, for each part in turn: a DataFrame of mean,
    deviation and every fold, with a row for each figure, or that of `metric` alone.

    `at` measures lists of these lengths instead of errors, as a `metric` like "ndcg@10" does. `options` are settings
    of training and of `Dataset`.

    >>> found = cross_validate("sample/plays.csv", solver="als", folds=3, metric="rmse", factors=4, epochs=3)
    >>> found.index.tolist(), found.columns.tolist()
    (['rmse'], ['mean', 'deviation', 'fold 1', 'fold 2', 'fold 3'])
    """
    from ._frames import frame

    how, options = _parted(options)
    with listening(callback, progress) as hear:
        found = _core.cross_validate(
            dataset(data, **how)._core,
            {"solver": solver, **options},
            _length(folds),
            _lengths(at, metric),
            relevant_from,
            _device(device),
            threads,
            hear,
        )
    figures = [figure for figure in found["figures"] if metric is None or figure["name"] == metric]
    if not figures:
        known = ", ".join(figure["name"] for figure in found["figures"])
        raise failed("settings", f"`metric` {metric}: what was measured are {known}")
    columns = {"figure": [figure["name"] for figure in figures]}
    for name in ("mean", "deviation"):
        columns[name] = [figure[name] for figure in figures]
    for fold in range(found["folds"]):
        columns[f"fold {fold + 1}"] = [figure["values"][fold] for figure in figures]
    return frame(columns, index="figure")


class Tuned:
    """What a search found."""

    def __init__(self, found: dict[str, Any], ratings: Dataset, how: dict[str, Any]) -> None:
        self._found, self._ratings, self._how = found, ratings, how

    def __repr__(self) -> str:
        return f"<wgmf.Tuned: {self.metric} {self.value:.5g} by {self.settings}>"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the best trial, for `fit`, with the epochs that were best."""
        usual = _core.settings()
        return {name: value for name, value in self._found["options"].items() if value != usual.get(name)}

    @property
    def metric(self) -> str:
        """What trials were judged by."""
        return str(self._found["metric"])

    @property
    def value(self) -> float:
        """The figure of the best trial."""
        return float(self._found["value"])

    @property
    def trials(self) -> Frame:
        """All trials, the best first: a DataFrame of their figures, epochs and settings."""
        from ._frames import Frame

        rows = [{**{k: v for k, v in t.items() if k != "settings"}, **t["settings"]} for t in self._found["trials"]]
        return Frame(Frame(rows).set_index("trial"))

    @cached_property
    def model(self) -> Model:
        """The model of the best settings, trained on all of the ratings when it is first asked for."""
        return fit(self._ratings, **self._how, **self.settings)


def tune(
    data: Any,
    space: Mapping[str, Any] | None = None,
    *,
    metric: str | None = None,
    trials: int = 40,
    relevant_from: float | None = None,
    test: Any = None,
    holdout: float = 0.1,
    storage: str | os.PathLike[str] | None = None,
    force: bool = False,
    device: str = "auto",
    threads: int | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Tuned:
    """Searches settings, on a part of the ratings that is held out, by successive halving.

    `space` gives for each setting a list of choices, or the ends of a range as a tuple, between which equal ratios are
    as likely as each other where the ends are ten times apart; without it what usually matters for the solver is
    searched. `metric` is "rmse", "mae", "log_loss", "auc", or of lists "ndcg@20", "recall@20" and the like. A search in
    `storage`, a directory, goes on where it was stopped.

    >>> found = tune("sample/plays.csv", {"factors": [2, 4], "reg": (0.05, 0.5)}, solver="als", epochs=3, trials=4)
    >>> len(found.trials), found.metric, found.model.settings["solver"]
    (4, 'rmse', 'als')
    """
    how, options = _parted(options)
    ratings = dataset(data, **how)
    if space is not None and not isinstance(space, Mapping):
        raise failed("settings", "`space` is a dictionary of settings and what is tried for each")
    space = dict(space or {})
    if metric is not None and "@" in metric and options.get("solver") is None and "solver" not in space:
        # Who judges lists wants the solver that makes them.
        options["solver"] = "ials"
    with listening(callback, progress) as hear:
        found = _core.tune(
            ratings._core,
            options,
            space,
            metric,
            _length(trials),
            relevant_from,
            None if test is None else dataset(test)._core,
            float(holdout),
            None if storage is None else os.fspath(storage),
            bool(force),
            _device(device),
            threads,
            hear,
        )
    return Tuned(found, ratings, {"device": device, "threads": threads})


def compare(
    a: Model, b: Model, test: Any, *, at: int | Sequence[int] | None = None, relevant_from: float | None = None
) -> Frame:
    """Which of two models is better on ratings that neither has seen, and how sure that is: a DataFrame with a row for
    each figure, of both models, their difference, its 95 % interval by a paired bootstrap over users, and p. `at`
    compares lists of these lengths, as is done of "ials" models by itself.

    >>> train, test = Dataset("sample/plays.csv").split(0.2)
    >>> one, other = (fit(train, solver="als", factors=k, epochs=3) for k in (8, 0))
    >>> compare(one, other, test).columns.tolist()
    ['a', 'b', 'difference', 'low', 'high', 'p']
    """
    from ._frames import frame

    for model in (a, b):
        if not isinstance(model, Model):
            raise failed("settings", f"an object of type {type(model).__name__} is no wgmf.Model")
    found = _core.compare(a._core, b._core, dataset(test)._core, _lengths(at, None), relevant_from)
    names = ["a", "b", "difference", "low", "high", "p"]
    columns = {name: [figure[name] for figure in found["figures"]] for name in names}
    return frame({"figure": [figure["name"] for figure in found["figures"]], **columns}, index="figure")
