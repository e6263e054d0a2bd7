"""Training, and what one does with a trained model."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _core
from ._data import Dataset, dataset, failed, ids_of
from ._progress import listening

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow

    from ._core import Model as CoreModel
    from ._frames import Frame

    Floats = npt.NDArray[np.float32]

# What of the keywords of `fit` and its like belongs to the ratings.
DATA_SETTINGS = (
    "columns",
    "duplicates",
    "order",
    "weights",
    "half_life",
    "transform",
    "threshold",
    "min_user_ratings",
    "min_item_ratings",
)


def settings() -> dict[str, Any]:
    """The settings of training by name, as the command line has them (`factors` is `--factors`), with what they are
    where nobody says: mostly None, for what is chosen from the data.

    >>> settings()["factors"], settings()["seed"]
    (None, 0)
    """
    return dict(_core.settings())


def fit(
    data: Any,
    solver: str | None = None,
    *,
    test: Any = None,
    holdout: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    from_model: Model | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    progress: bool | None = None,
    columns: str | Sequence[str] | None = None,
    duplicates: str | None = None,
    order: str | None = None,
    weights: Any = None,
    half_life: float | None = None,
    transform: str | Sequence[str] | None = None,
    threshold: float | None = None,
    min_user_ratings: int | None = None,
    min_item_ratings: int | None = None,
    **options: Any,
) -> Model:
    """Trains a model.

    `data` is whatever `Dataset` takes; `columns` to `min_item_ratings` are its settings. `solver` is "sgd", "adam",
    "adagrad", "als" or "bayes" for ratings, "ials" for what users chose (as are the losses "softmax", "ccl", "bpr" and
    "warp"); `options` are the other settings of training
    (see `settings()`): `factors`, `epochs`, `reg`, `patience`, `seed`, ... What is not given is chosen from the data.

    `test` are ratings that are measured after each epoch; `holdout` is a fraction of `data` to take for that instead,
    0.1 where `patience` is given and nothing to look at. `device` is "auto", "cpu", "gpu" or a part of an adapter's
    name. `from_model` is a model to start from. `callback` is called with every event, a dictionary whose `event` is
    "ready", "progress", "epoch" or "fallback"; where it returns something true, training ends well. `progress`
    shows a bar, by default where tqdm is installed and standard error is a terminal; otherwise epochs go to the
    logger "wgmf". Ctrl-C raises KeyboardInterrupt.

    >>> events = []
    >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=3, callback=events.append)
    >>> [event["epoch"] for event in events if event["event"] == "epoch"]
    [1, 2, 3]
    >>> fit("sample/plays.csv", solver="als", factors=-1)
    Traceback (most recent call last):
    wgmf.Error: `factors` does not take -1: invalid value: integer `-1`, expected usize
    """
    how: dict[str, Any] = {
        "columns": columns,
        "duplicates": duplicates,
        "order": order,
        "weights": weights,
        "half_life": half_life,
        "transform": transform,
        "threshold": threshold,
        "min_user_ratings": min_user_ratings,
        "min_item_ratings": min_item_ratings,
    }
    ratings = dataset(data, **how)
    options = {"solver": solver, **options}
    if test is not None and not isinstance(test, Dataset):
        test = Dataset(test, **{name: how[name] for name in ("columns", "duplicates") if how[name] is not None})
    if options.get("patience") is not None and test is None and holdout is None:
        holdout = 0.1
    if from_model is not None and not isinstance(from_model, Model):
        raise failed("settings", f"`from_model` is a {type(from_model).__name__}, not a wgmf.Model")
    with listening(callback, progress) as hear:
        made = _core.Model.fit(
            ratings._core,
            ratings is not data,
            options,
            _device(device),
            None if test is None else test._core,
            None if holdout is None else float(holdout),
            None if from_model is None else from_model._core,
            threads,
            hear,
        )
    return Model._of(made)


def load(path: str | os.PathLike[str], device: str = "auto") -> Model:
    """Opens a model directory, of Python's or of the command line; it is checked whole.

    >>> load("nothing-there")
    Traceback (most recent call last):
    wgmf.Error: nothing-there: No such file or directory (os error 2); check the path
    """
    return Model._of(_core.Model.open(os.fspath(path), _device(device)))


def _device(name: Any) -> str:
    if not isinstance(name, str):
        raise failed("settings", f"`device` {name!r}: give auto, cpu, gpu or a part of an adapter's name")
    quiet_loader()
    return name


def quiet_loader() -> None:
    """Mesa complains on standard error where this is not set, which tells a user nothing."""
    if sys.platform == "linux":
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


def is_single(ids: Any) -> bool:
    """Whether this is one id, rather than several."""
    return isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__")


def _several(ids: Any) -> Any:
    if ids is None:
        return None
    return [ids] if is_single(ids) else ids


def _by(by: str | tuple[str, float] | None) -> tuple[str, float] | None:
    if by is None:
        return None
    usual = {"mean": 0.0, "lower": 0.1, "upper": 0.9, "thompson": 0.0}
    if isinstance(by, str):
        return by, usual.get(by, 0.0)
    name, number = by
    return str(name), float(number)


class Metrics(dict[str, Any]):
    """Figures by name, as the command line has them in JSON; printed they are a table."""

    def __str__(self) -> str:
        columns = {name: part for name, part in self.items() if isinstance(part, Mapping)}
        rest = {name: value for name, value in self.items() if name not in columns}
        if rest:
            columns = {"": rest, **columns.pop("baselines", {}), **columns}
        names: list[str] = []
        for column in columns.values():
            names += [name for name in column if name not in names and not name.endswith(("_low", "_high"))]
        lines = ["".join([f"{'':<24}", *(f"{title:>14}" for title in columns)]).rstrip()] if len(columns) > 1 else []
        for name in names:
            values = [column.get(name) for column in columns.values()]
            lines.append(f"{name:<24}" + "".join(f"{_figure(value):>14}" for value in values))
        return "\n".join(lines)


def _figure(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


class Model:
    """A trained model. Made by `fit` and `load`; it never changes, and threads may share it."""

    _core: CoreModel

    @classmethod
    def _of(cls, made: CoreModel) -> Model:
        model = cls.__new__(cls)
        model._core = made
        return model

    def __init__(self) -> None:
        raise failed("settings", "a model is made by wgmf.fit or wgmf.load")

    def __repr__(self) -> str:
        solver = self.settings.get("solver", "?")
        users, items = len(self.user_bias), len(self.item_bias)
        return f"<wgmf.Model: {solver}, {self.user_factors.shape[1]} factors, {users:,} users, {items:,} items>"

    def __reduce__(self) -> Any:
        with tempfile.TemporaryDirectory() as home:
            self.save(Path(home, "model"))
            files = {path.name: path.read_bytes() for path in Path(home, "model").iterdir()}
        return _unpickled, (files,)

    @cached_property
    def users(self) -> npt.NDArray[Any]:
        """The users' ids, in the order of `user_factors`: an array of int64, or of objects."""
        return _fixed(ids_of(self._core.ids("user")))

    @cached_property
    def items(self) -> npt.NDArray[Any]:
        """The items' ids, likewise."""
        return _fixed(ids_of(self._core.ids("item")))

    @property
    def user_factors(self) -> Floats:
        """(users, factors): the model's own memory, which cannot be written to.

        >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=2)
        >>> model.user_factors.shape, model.user_factors.flags.owndata, model.user_factors.flags.writeable
        ((1000, 4), False, False)
        """
        return self._core.factors("user")

    @property
    def item_factors(self) -> Floats:
        """(items, factors), likewise."""
        return self._core.factors("item")

    @property
    def user_bias(self) -> Floats:
        """(users), likewise; zeros where there are no biases."""
        return self._core.bias("user")

    @property
    def item_bias(self) -> Floats:
        """(items), likewise."""
        return self._core.bias("item")

    @property
    def user_ratings(self) -> npt.NDArray[np.uint32]:
        """(users): how many training ratings each has."""
        return self._core.counts("user")

    @property
    def item_ratings(self) -> npt.NDArray[np.uint32]:
        """(items), likewise.

        >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=1)
        >>> int(model.item_ratings.sum())
        100000
        """
        return self._core.counts("item")

    @property
    def global_mean(self) -> float:
        """What is added to every prediction: the mean of the training ratings, transformed."""
        return self._core.global_mean

    @property
    def unit(self) -> str:
        """What a prediction is: "rating", "probability", "preference" (of "ials"), or "score" (of losses made for ranking)."""
        return self._core.unit

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of training, as they were used."""
        return self._core.settings

    @property
    def info(self) -> dict[str, Any]:
        """The record of the run: settings, facts about the data, device, seconds."""
        return self._core.run()

    @property
    def history(self) -> Frame:
        """The epochs: a DataFrame of errors and seconds, whose index is the epoch. `history.plot()` draws the errors, of
        models that make lists their figures, for which matplotlib is needed.

        >>> fit("sample/plays.csv", solver="als", factors=4, epochs=3).history.index.tolist()
        [1, 2, 3]
        """
        from ._frames import Frame, History

        return History(Frame(self.info["history"]).set_index("epoch"))

    @property
    def stop(self) -> str | None:
        """Why training ended: "finished", "patience" or "interrupted"; None of a model that was opened."""
        return self._core.stop

    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        new: Any = None,
        include_seen: bool = False,
        only: Iterable[Any] | None = None,
        exclude: Iterable[Any] | None = None,
        by: str | tuple[str, float] | None = None,
    ) -> Frame:
        """The best items for users, best first: a DataFrame of user, rank, item and score. `users` is one id or
        several; without, all are meant.

        `new` are ratings of users whom the model does not know (as `Dataset` takes them), who are folded in for
        their lists. What users rated in training is left out, unless `include_seen`; `only` and `exclude` name items.
        Of a "bayes" model `by` ranks by "mean", ("lower", 0.1), ("upper", 0.9) or ("thompson", seed).

        >>> model = fit("sample/plays.csv", solver="ials", factors=8, epochs=3)
        >>> model.recommend(["Norel", "Oriyn"], n=2)[["user", "rank"]].values.tolist()
        [['Norel', 1], ['Norel', 2], ['Oriyn', 1], ['Oriyn', 2]]
        >>> len(model.recommend(new={"Zoe": {"Amber Bells": 5}}, n=3))
        3
        """
        n = _length(n)
        if new is not None:
            given = (include_seen, only, exclude, by)
            if users is not None or any(given):
                raise failed("settings", "`new` goes with `n` alone; fold_in first, then recommend")
            ids, lists = self._core.recommend_new(dataset(new)._core, n)
            return self._listed(lists, "user", ids_of(ids), self.items, "item")
        lists = self._core.recommend(
            _several(users), n, bool(include_seen), _several(only), _several(exclude), _by(by)
        )
        return self._listed(lists, "user", self.users, self.items, "item")

    def similar_items(
        self, items: Any, n: int = 10, *, only: Iterable[Any] | None = None, exclude: Iterable[Any] | None = None
    ) -> Frame:
        """The items most like one or several, by the cosine of their factors: a DataFrame of item, rank, similar and
        score.

        >>> model = fit("sample/plays.csv", solver="ials", factors=8, epochs=3)
        >>> model.similar_items("Amber Bells", n=3).columns.tolist()
        ['item', 'rank', 'similar', 'score']
        """
        lists = self._core.similar("item", _several(items), _length(n), _several(only), _several(exclude))
        return self._listed(lists, "item", self.items, self.items, "similar")

    def similar_users(
        self, users: Any, n: int = 10, *, only: Iterable[Any] | None = None, exclude: Iterable[Any] | None = None
    ) -> Frame:
        """The users most like one or several, likewise."""
        lists = self._core.similar("user", _several(users), _length(n), _several(only), _several(exclude))
        return self._listed(lists, "user", self.users, self.users, "similar")

    @staticmethod
    def _listed(lists: Any, asked: str, of: npt.NDArray[Any], among: npt.NDArray[Any], listed: str) -> Frame:
        from ._frames import frame

        rows, ranks, found, scores = lists
        return frame({asked: of[rows], "rank": ranks, listed: among[found], "score": scores})

    def predict(self, users: Any, items: Any, *, interval: float | None = None, credible: bool = False) -> Any:
        """What is predicted for pairs: a float for one user and one item, an array for columns of them. An id that the
        model does not know is predicted by what is known of the other.

        Of a "bayes" model `interval=0.9` gives a DataFrame instead: prediction, deviation, low and high;
        `credible` leaves the noise of ratings out of them.

        >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=3)
        >>> 0 < model.predict("Norel", "Amber Bells") < 6
        True
        >>> model.predict(["Norel", "nobody"], ["Amber Bells", "Dim Glass"]).shape
        (2,)
        """
        single = is_single(users) and is_single(items)
        said = self._core.predict(_several(users), _several(items), interval, bool(credible))
        if interval is not None:
            from ._frames import frame

            return frame(said)
        return float(said["prediction"][0]) if single else said["prediction"]

    def evaluate(
        self,
        test: Any,
        *,
        at: int | Sequence[int] | None = None,
        baselines: bool = False,
        relevant_from: float | None = None,
        include_seen: bool = False,
        candidates: Iterable[Any] | None = None,
        by: str | tuple[str, float] | None = None,
    ) -> Metrics:
        """Figures of ratings that the model has not seen, by name: errors of predictions, or where `at` gives lengths
        of lists (of "ials" always) precision, recall, NDCG and the like of them, each with a 95 % interval.

        `baselines` sets beside them what knows no tastes: biases alone and the mean, or popularity. `relevant_from`
        is the least rating that makes a test pair relevant, by default 4 of stars.

        >>> train, test = Dataset("sample/plays.csv").split(0.2)
        >>> metrics = fit(train, solver="als", factors=4, epochs=3).evaluate(test)
        >>> sorted(metrics)[:3], bool(metrics["mae"] < metrics["rmse"])
        (['mae', 'r2', 'ratings'], True)
        """
        lengths = [] if at is None else [_length(n) for n in ([at] if isinstance(at, int) else at)]
        lists = lengths or self.unit in ("preference", "score")
        if not lists and any((relevant_from is not None, include_seen, candidates is not None, by is not None)):
            raise failed("settings", "`relevant_from`, `include_seen`, `candidates` and `by` are for lists; give `at`")
        figures = self._core.evaluate(
            dataset(test)._core,
            lengths,
            None if relevant_from is None else float(relevant_from),
            bool(baselines),
            bool(include_seen),
            _several(candidates),
            _by(by),
        )
        return Metrics(figures)

    def report(
        self,
        path: str | os.PathLike[str],
        test: Any = None,
        *,
        titles: Mapping[Any, str] | None = None,
        relevant_from: float | None = None,
    ) -> None:
        """Writes the model on one page of HTML for any browser, which replaces a file that is there: its data, how
        training went, a map of the items, sample lists; with ratings that it has not seen how far it errs for whom, and
        lists beside popularity. `titles` says what items are called; `relevant_from` is as in `evaluate`.

        >>> train, test = Dataset("sample/plays.csv").split(0.2)
        >>> model = fit(train, solver="als", factors=4, epochs=3)
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as home:
        ...     model.report(f"{home}/report.html", test, titles={"Amber Bells": "Bells"})
        ...     pathlib.Path(f"{home}/report.html").read_text(encoding="utf-8")[:15]
        '<!doctype html>'
        """
        named = [] if titles is None else [str(titles.get(item, "")) for item in self.items]
        self._core.report(
            os.fspath(path),
            Path(path).stem,
            None if test is None else dataset(test)._core,
            None if relevant_from is None else float(relevant_from),
            named,
        )

    def fold_in(self, data: Any, **how: Any) -> Model:
        """This model with rows for the users of `data` (as `Dataset` takes it) whom it does not know; all else is as
        it is.

        >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=3)
        >>> grown = model.fold_in({"Zoe": {"Amber Bells": 5, "Dim Glass": 1}})
        >>> len(grown.recommend("Zoe", n=2))
        2
        """
        made, _ = self._core.fold_in(dataset(data, **how)._core, "user")
        return Model._of(made)

    def fold_in_items(self, data: Any, **how: Any) -> Model:
        """The same with new items, from ratings of users whom it knows."""
        made, _ = self._core.fold_in(dataset(data, **how)._core, "item")
        return Model._of(made)

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes a model directory, whole or not at all; every command of the command line opens it. A model that is
        there is replaced only with `force`, anything else never. Ids come back as ints or strings."""
        self._core.save(os.fspath(path), bool(force))

    def export(self, path: str | os.PathLike[str], format: str = "npy", *, force: bool = False) -> None:
        """Writes embeddings for other programs: "npy", "csv", "tsv", "safetensors", "word2vec", "projector" or
        "pgvector"."""
        self._core.export(os.fspath(path), format, bool(force))

    def item_vectors(self, items: Any = None, *, cosine: bool = False, samples: bool = True) -> Floats:
        """(items, dimensions): rows of which a search by inner product ranks exactly as `recommend`, what a user has
        rated among them. A row holds the item's factors and, of models that have biases, its bias.

        `cosine` adds a further number that brings all rows to length 1, so that a search by cosine, or by distance,
        ranks alike (Bachrach et al. 2014). Of a "bayes" model the rows hold all of its samples, and are as many times
        as long; `samples=False` takes the means of its factors, which rank nearly alike.

        >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=3)
        >>> model.item_vectors().shape, model.query_vectors("Norel").shape, model.item_vectors(cosine=True).shape
        ((1500, 5), (1, 5), (1500, 6))
        >>> scores = model.item_vectors() @ model.query_vectors("Norel")[0]
        >>> model.items[scores.argmax()] == model.recommend("Norel", n=1, include_seen=True)["item"][0]
        True
        """
        from . import _vectors

        return _vectors.items(self, _several(items), bool(cosine), bool(samples))

    def query_vectors(self, users: Any = None, *, cosine: bool = False, samples: bool = True) -> Floats:
        """(users, dimensions): what to search `item_vectors` by, made with the same `cosine` and `samples`: a user's
        factors, 1 where items have biases and 0 for what brings them to one length. Inner products with them, the
        global mean and the user's bias are the scores of training. New users have one once they are folded in:
        `model.fold_in(ratings).query_vectors("Zoe")`.
        """
        from . import _vectors

        return _vectors.queries(self, _several(users), bool(cosine), bool(samples))

    def seen(self, user: Any) -> npt.NDArray[np.int32]:
        """The places in `items` of what a user rated in training, ascending: what `recommend` leaves out, and a search
        has to be told to.

        >>> model = fit("sample/plays.csv", solver="ials", factors=4, epochs=1)
        >>> len(model.seen("Norel")) == int(model.user_ratings[model.users == "Norel"][0])
        True
        """
        row = int(self._core.rows_of("user", [user])[0])
        starts, items, _ = self._seen
        return items[starts[row] : starts[row + 1]]

    @cached_property
    def _seen(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32] | None]:
        return self._core.seen()

    def to_arrow(self, side: str = "item", *, cosine: bool = False, samples: bool = True) -> pyarrow.Table:
        """`item_vectors`, or of `side` "user" `query_vectors`, as a table of pyarrow's: id, ratings, bias and embedding, a
        list of fixed size. DuckDB, polars, LanceDB and Parquet files take it as it is; the schema's metadata says how a
        query is formed.

        >>> model = fit("sample/plays.csv", solver="als", factors=4, epochs=1)
        >>> model.to_arrow().column_names
        ['id', 'ratings', 'bias', 'embedding']
        """
        from . import _vectors

        return _vectors.to_arrow(self, side, bool(cosine), bool(samples))

    def to_faiss(self, index: Any = None, *, cosine: bool = False, samples: bool = True) -> Any:
        """An index of FAISS with `item_vectors`, whose numbers are places in `items`: an exact one by inner product, or
        what `index` says: a description for `faiss.index_factory` ("HNSW32", "IVF256,Flat"), or an index that is empty.

        `index.search(model.query_vectors(users), n)` then ranks as `recommend` with `include_seen` (an index that is not
        exact may miss some). Those that rank by distance want `cosine=True`, here and for the queries.
        """
        from . import _vectors

        return _vectors.to_faiss(self, index, bool(cosine), bool(samples))

    def to_qdrant(
        self, client: Any, collection: str, *, cosine: bool = False, samples: bool = True, force: bool = False
    ) -> None:
        """Puts `item_vectors` into a collection of Qdrant that this makes, by a `qdrant_client.QdrantClient`. The points'
        numbers are places in `items`, their payload has id and ratings, the collection's metadata say how a query is
        formed. A collection of that name is replaced only with `force`.

        `client.query_points(collection, query=model.query_vectors(user)[0].tolist(), limit=n)` then ranks as `recommend`
        with `include_seen`.
        """
        from . import _vectors

        _vectors.to_qdrant(self, client, collection, bool(cosine), bool(samples), bool(force))

    def to_gensim(self, *, cosine: bool = True, samples: bool = True) -> Any:
        """Items as `KeyedVectors` of gensim, their ids as texts. As those search by cosine,
        `keyed.similar_by_vector(model.query_vectors(user, cosine=True)[0], topn=n)` ranks as `recommend` with
        `include_seen`; what is like what is better asked of `similar_items`, or of `export(path, "word2vec")`.
        """
        from . import _vectors

        return _vectors.to_gensim(self, bool(cosine), bool(samples))


def _length(n: Any) -> int:
    import operator

    try:
        number = operator.index(n)
    except TypeError:
        raise failed("settings", f"{n!r} is no length of a list") from None
    if number < 1:
        raise failed("settings", f"{number} is no length of a list: at least 1 is needed")
    return number


def _fixed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


def _unpickled(files: dict[str, bytes]) -> Model:
    with tempfile.TemporaryDirectory() as home:
        for name, content in files.items():
            Path(home, name).write_bytes(content)
        return load(home, "auto")

