"""Ratings, from whatever Python has them in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _core
from ._core import Error

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ._frames import Frame

# Settings of reading files, by name, that the others do not have.
FILE_SETTINGS = (
    "delimiter",
    "header",
    "format",
    "quotes",
    "encoding",
    "decimal",
    "bad_rows",
    "drop_value",
    "min_rating",
    "max_rating",
)


def failed(kind: str, message: str) -> Error:
    """An error of this kind."""
    error = Error(message)
    error.kind = kind
    return error


class Dataset:
    """Ratings with the ids of users and items: no pair twice, each id with a rating.

    `data` is a path or a list of paths; a DataFrame of pandas or polars, or anything with Arrow's
    `__arrow_c_stream__`; a SciPy sparse matrix of users in rows; a tuple of arrays (users, items) or (users, items,
    values); an array of two or three columns; or a dictionary of dictionaries, as `{"Zoe": {"Amber Bells": 5}}`.

    Columns are found by their names as those of a file's header are (`user_id`, `movieId`, `stars`, ...), else in the
    order user, item, rating, timestamp; `columns` names them, as `"listener,artist,plays"` or a list. Without ratings
    each counts 1. Of several ratings of one pair counts what `duplicates` says: "last" (the latest, where there are
    timestamps), "mean", "sum" or "error"; by default the last, of a sparse matrix the sum. `transform` is done to
    values before training ("log1p", "zscore", "minmax", "binary", or several), `min_user_ratings` and
    `min_item_ratings` leave rare ids out. `weights` says what each rating counts in training: a column's name, or numbers
    of 0 or more, one a rating; with `half_life` one counts half as much for each so many days that it is older than the
    newest. Further settings are those of reading files (`delimiter`, `header`, ...).

    >>> plays = Dataset((["ann", "ann", "bob"], [7, 8, 7], [5.0, 3.0, 4.0]))
    >>> len(plays), list(plays.users), plays.items.tolist()
    (3, ['ann', 'bob'], [7, 8])
    >>> Dataset((["ann"], [7], [float("nan")]))
    Traceback (most recent call last):
    wgmf.Error: the rating at 0 is NaN, which is not a finite number
    """

    def __init__(
        self,
        data: Any,
        *,
        columns: str | Sequence[str] | None = None,
        duplicates: str | None = None,
        order: str | None = None,
        weights: Any = None,
        half_life: float | None = None,
        transform: str | Sequence[str] | None = None,
        threshold: float = 1.0,
        min_user_ratings: int = 1,
        min_item_ratings: int = 1,
        **files: Any,
    ) -> None:
        for name in files:
            if name not in FILE_SETTINGS:
                raise failed("settings", f"there is no setting `{name}` of reading")
        if columns is not None and not isinstance(columns, str):
            columns = ",".join(str(column) for column in columns)
        counts = None if half_life is None else float(half_life)
        made = _made(data, columns, duplicates, order or "canonical", (weights, counts), files)
        if transform is not None or min_user_ratings > 1 or min_item_ratings > 1:
            steps = transform.split(",") if isinstance(transform, str) else list(transform or [])
            made = made.with_options(
                [str(step).strip() for step in steps],
                float(threshold),
                (int(min_user_ratings), int(min_item_ratings)),
            )
        self._core = made

    @classmethod
    def _of(cls, made: _core.Dataset) -> Dataset:
        dataset = cls.__new__(cls)
        dataset._core = made
        return dataset

    def __len__(self) -> int:
        """How many ratings there are."""
        return len(self._core)

    def __repr__(self) -> str:
        users, items = len(self.users), len(self.items)
        return f"<wgmf.Dataset: {len(self):,} ratings of {items:,} items by {users:,} users>"

    @property
    def users(self) -> npt.NDArray[Any]:
        """The users' ids, in the order of a model's rows: an array of int64, or of objects."""
        return ids_of(self._core.ids("user"))

    @property
    def items(self) -> npt.NDArray[Any]:
        """The items' ids, likewise."""
        return ids_of(self._core.ids("item"))

    @property
    def notes(self) -> list[str]:
        """What a file was taken for, and what of it is a guess: the lines that the command line prints."""
        return self._core.notes

    def to_pandas(self) -> Frame:
        """A DataFrame of the columns user, item and rating, in order of users and then items."""
        from ._frames import frame

        users, items, values = self._core.arrays()
        return frame({"user": self.users[users], "item": self.items[items], "rating": values})

    def split(self, holdout: float = 0.2, *, seed: int = 0, per_user: bool = False) -> tuple[Dataset, Dataset]:
        """Cuts a fraction off to test on: (train, test). `per_user`: of each user's ratings, who keeps one at least.

        >>> plays = Dataset("sample/plays.csv")
        >>> train, test = plays.split(0.1)
        >>> len(train) + len(test) == len(plays)
        True
        """
        train, test = self._core.split(float(holdout), int(seed), bool(per_user))
        return Dataset._of(train), Dataset._of(test)

    def folds(self, folds: int = 5, *, seed: int = 0) -> list[tuple[Dataset, Dataset]]:
        """Each of so many parts once to test on, with the others to train on: a list of (train, test)."""
        pairs = [self._core.fold(int(folds), fold, int(seed)) for fold in range(int(folds))]
        return [(Dataset._of(train), Dataset._of(test)) for train, test in pairs]


def split(data: Any, holdout: float = 0.2, *, seed: int = 0, per_user: bool = False, **how: Any) -> tuple[Dataset, Dataset]:
    """Cuts a fraction of the ratings off to test on, drawn by `seed`: (train, test).

    What is drawn depends on the ids and the seed alone, not on the order of the ratings. `per_user`: of each user's
    ratings, who keeps one at least, as ranking wants it. `how` are the settings of `Dataset`.

    >>> train, test = split("sample/plays.csv", holdout=0.2, seed=0)
    >>> len(train), len(test)
    (80000, 20000)
    """
    return dataset(data, **how).split(holdout, seed=seed, per_user=per_user)


def dataset(data: Any, **how: Any) -> Dataset:
    """A `Dataset` of any data; of one that is a `Dataset` already nothing else may be asked."""
    how = {name: value for name, value in how.items() if value is not None}
    if not isinstance(data, Dataset):
        return Dataset(data, **how)
    for name in how:
        raise failed("settings", f"`{name}`: the ratings have been read already; give it to what read them")
    return data


def ids_of(ids: Any) -> npt.NDArray[Any]:
    """Ids as an array."""
    import numpy as np

    if isinstance(ids, np.ndarray):
        return ids
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array


def is_path(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike))


def is_pandas(data: Any) -> bool:
    return type(data).__module__.split(".")[0] == "pandas" or any(
        f"{kind.__module__}.{kind.__name__}".startswith("pandas.") and kind.__name__ == "DataFrame"
        for kind in type(data).__mro__
    )


def _made(
    data: Any,
    columns: str | None,
    duplicates: str | None,
    order: str,
    counts: tuple[Any, float | None],
    files: Mapping[str, Any],
) -> _core.Dataset:
    weights, half_life = counts
    listed = isinstance(data, (list, tuple)) and len(data) > 0 and all(is_path(path) for path in data)
    # Of two or three paths and of columns that are texts, the first are there.
    if is_path(data) or (listed and all(os.path.exists(path) for path in data)):
        if weights is not None and not isinstance(weights, (str, int)):
            raise failed("settings", "`weights`: of files, give the name or the number of a column")
        column = None if weights is None else str(weights)
        options = {"columns": columns, "duplicates": duplicates, "order": order, "weights": column, "half_life": half_life, **files}
        paths = [data] if is_path(data) else list(data)
        return _core.Dataset.from_files([os.fspath(path) for path in paths], options)
    for name in files:
        raise failed("settings", f"`{name}` is of files")
    policy = duplicates or "last"
    if hasattr(data, "tocsr") and hasattr(data, "shape"):
        if columns is not None:
            raise failed("settings", "`columns`: a sparse matrix has users in rows and items in columns")
        if weights is not None or half_life is not None:
            name = "weights" if weights is not None else "half_life"
            raise failed("settings", f"`{name}`: a sparse matrix has none; give a tuple of arrays, or a DataFrame")
        return _of_sparse(data, duplicates or "sum")
    if is_pandas(data) and hasattr(data, "columns"):
        return _of_pandas(data, columns, policy, order, counts)
    if hasattr(data, "collect") and hasattr(data, "lazy"):
        data = data.collect()
    if hasattr(data, "__arrow_c_stream__"):
        return _core.Dataset.from_arrow(data, columns, _weights(data, weights), _said(counts), policy, order)
    if isinstance(data, Mapping):
        data = _of_mapping(data)
    if hasattr(data, "ndim") and hasattr(data, "dtype"):
        if data.ndim != 2 or data.shape[1] not in (2, 3):
            raise failed("data", f"an array of the columns user, item and value is needed; this has the shape {data.shape}")
        data = tuple(_whole(data[:, at]) if at < 2 else data[:, at] for at in range(data.shape[1]))
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        if columns is not None:
            raise failed("settings", "`columns`: arrays come in the order user, item, value")
        users, items = ids_column(data[0], "user"), ids_column(data[1], "item")
        values = numbers(data[2], "rating") if len(data) == 3 else None
        return _core.Dataset.from_columns(users, items, values, None, _weights(data, weights), _said(counts), policy, order)
    raise failed(
        "data",
        f"an object of type {type(data).__name__} is no ratings: give a path, a DataFrame, Arrow data, a sparse matrix, or a tuple of "
        "users, items and values",
    )


def _said(counts: tuple[Any, float | None]) -> tuple[str | None, float | None]:
    """What the record of a model says of what ratings count."""
    weights, half_life = counts
    return (weights if isinstance(weights, str) else None), half_life


def _weights(data: Any, weights: Any) -> Any:
    """What each rating counts, as the extension takes it."""
    if weights is None:
        return None
    if not isinstance(weights, str):
        if not hasattr(weights, "__iter__"):
            raise failed("settings", f"`weights` {weights!r}: give the name of a column, or a number for each rating")
        return numbers(weights, "weight")
    if isinstance(data, (tuple, list)):
        raise failed("settings", f"`weights` {weights!r}: arrays have no names; give a number for each rating")
    try:
        column = data[weights]
    except Exception:
        raise failed("settings", f"`weights`: no column is called {weights!r}") from None
    return numbers(column, weights)


def _of_mapping(data: Mapping[Any, Any]) -> tuple[list[Any], list[Any], list[float]]:
    users, items, values = [], [], []
    for user, liked in data.items():
        if isinstance(liked, Mapping):
            pairs = list(liked.items())
        elif isinstance(liked, (list, tuple, set)):
            pairs = [(item, 1.0) for item in liked]
        else:
            raise failed("data", f"user {user!r}: a dictionary of items and values is needed, or a list of items")
        for item, value in pairs:
            users.append(user)
            items.append(item)
            values.append(value)
    return users, items, values


def _of_sparse(data: Any, duplicates: str) -> _core.Dataset:
    import numpy as np

    if len(data.shape) != 2:
        raise failed("data", f"a sparse matrix of users and items is needed; this has the shape {data.shape}")
    matrix = data.tocsr()
    values = matrix.data
    if values.dtype.kind not in "biuf":
        raise failed("data", f"the sparse matrix holds {values.dtype}, which are no numbers")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32)
    return _core.Dataset.from_csr(
        np.ascontiguousarray(matrix.indptr),
        np.ascontiguousarray(matrix.indices),
        np.ascontiguousarray(values),
        int(matrix.shape[1]),
        duplicates,
    )


def _of_pandas(
    data: Any, columns: str | None, duplicates: str, order: str, counts: tuple[Any, float | None]
) -> _core.Dataset:
    names = [str(name) for name in data.columns]
    kinds = [getattr(kind, "kind", "O") in "biuf" for kind in data.dtypes]
    user, item, value, time = _core.columns_of(names, kinds, columns)
    assert user is not None and item is not None
    return _core.Dataset.from_columns(
        ids_column(data.iloc[:, user], "user"),
        ids_column(data.iloc[:, item], "item"),
        None if value is None else numbers(data.iloc[:, value], names[value]),
        None if time is None else _times(data.iloc[:, time], names[time]),
        _weights(data, counts[0]),
        _said(counts),
        duplicates,
        order,
    )


def _whole(column: Any) -> Any:
    """Ids that an array has among its floats."""
    import numpy as np

    if column.dtype.kind == "f" and np.isfinite(column).all() and (column == np.trunc(column)).all():
        return column.astype(np.int64)
    return column


def ids_column(column: Any, side: str) -> Any:
    """A column of ids as the extension takes it."""
    import numpy as np

    if hasattr(column, "cat"):
        codes = np.asarray(column.cat.codes, dtype=np.int64)
        return codes, ids_column(column.cat.categories, side)
    if hasattr(column, "codes") and hasattr(column, "categories"):
        return np.asarray(column.codes, dtype=np.int64), ids_column(column.categories, side)
    kind = getattr(getattr(column, "dtype", None), "kind", None)
    if kind in ("i", "u") and not _has_missing(column):
        array = np.asarray(column)
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            return list(array.tolist())
        wide = array if array.dtype in (np.int32, np.int64) else array.astype(np.int64)
        return _one_dimension(np.ascontiguousarray(wide), side)
    if kind == "O" and hasattr(column, "array") and hasattr(column.array, "__arrow_array__") and _has_arrow():
        import pyarrow

        array = column.array.__arrow_array__()
        return array if isinstance(array, pyarrow.ChunkedArray) else pyarrow.chunked_array([array])
    if hasattr(column, "__arrow_c_stream__") and not is_pandas(column):
        return column
    if isinstance(column, (str, bytes)) or not hasattr(column, "__iter__"):
        raise failed("data", f"the {side}s are {column!r}, where a column of ids is needed")
    if hasattr(column, "tolist"):
        if getattr(column, "ndim", 1) != 1:
            raise failed("data", f"the {side}s have {column.ndim} dimensions, where a column is needed")
        return column.tolist()
    listed = list(column)
    if listed and all(type(one) is int for one in listed) and max(map(abs, listed)) < 2**63:
        return np.asarray(listed, dtype=np.int64)
    return listed


def _has_arrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _has_missing(column: Any) -> bool:
    return bool(column.isna().any()) if hasattr(column, "isna") else False


def _one_dimension(array: Any, what: str) -> Any:
    if array.ndim != 1:
        raise failed("data", f"the column of {what}s has {array.ndim} dimensions, where one is needed")
    return array


def numbers(column: Any, name: str) -> Any:
    """A column of ratings as the extension takes it."""
    import numpy as np

    if hasattr(column, "__arrow_c_stream__") and not is_pandas(column):
        return column
    if _has_missing(column):
        at = int(np.argmax(np.asarray(column.isna())))
        raise failed("data", f"the {name} at {at} is missing; leave such ratings out")
    try:
        array = np.asarray(column)
        if array.dtype.kind in "OUS":
            array = np.asarray([float(value) for value in array.ravel()]).reshape(array.shape)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{array.dtype} are no numbers")
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise failed("data", f"the {name}s are no numbers: {error}") from None
    return np.ascontiguousarray(_one_dimension(array, name))


def _times(column: Any, name: str) -> Any:
    import numpy as np

    kind = column.dtype.kind
    if kind in "iu":
        return np.ascontiguousarray(np.asarray(column, dtype=np.int64))
    if kind == "f":
        times = np.asarray(column, dtype=np.float64)
        known = np.isfinite(times)
        return np.where(known, np.where(known, times, 0) * 1e3, np.iinfo(np.int64).min).astype(np.int64)
    try:
        import pandas

        moments = pandas.to_datetime(column, utc=True).dt.tz_localize(None)
        return np.ascontiguousarray(moments.to_numpy().astype("datetime64[ns]").astype(np.int64))
    except (TypeError, ValueError) as error:
        raise failed(
            "data", f"column {name} is taken for timestamps and cannot be read ({error}); leave it out with `columns`"
        ) from None
