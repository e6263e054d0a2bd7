"""In the place of implicit: `from wgmf.implicit import BayesianPersonalizedRanking` instead of `from implicit.bpr import ...`.

Constructors, methods, shapes, types and errors are those of implicit 0.7.3; training is wgmf's, on its devices, and
the same bits for the same `random_state` whatever the number of threads. Ids are the
numbers of rows and columns, scores float32.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from ._core import Error
from ._model import fit

# What implicit gives to items that are left out.
LEAST = -np.finfo(np.float32).max
# Numbers of a table of scores that is in memory at once.
AT_ONCE = 1 << 24


class ModelFitError(Exception):
    """Training went wrong."""


class ParameterWarning(Warning):
    """A matrix had to be brought into another form."""


def _csr(matrix: Any) -> Any:
    if isinstance(matrix, scipy.sparse.csr_matrix):
        return matrix
    start = time.time()
    converted = scipy.sparse.csr_matrix(matrix)
    warnings.warn(
        f"Method expects CSR input, and was passed {type(matrix).__name__} instead. Converting to CSR took "
        f"{time.time() - start} seconds",
        ParameterWarning,
        stacklevel=3,
    )
    return converted


def _generator(random_state: Any) -> np.random.Generator:
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    return np.random.default_rng(random_state)


def _best(
    factors: npt.NDArray[Any],
    queries: npt.NDArray[Any],
    n: int,
    *,
    left_out: Any = None,
    filter_items: Any = None,
    norms: npt.NDArray[Any] | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The `n` rows of largest products with each query, over their norms; equal ones by their numbers. Where there are
    fewer, the lists are filled up with row 0 and score 0."""
    queries = np.atleast_2d(queries)
    count = len(factors)
    ids = np.zeros((len(queries), n), dtype=np.int32)
    scores = np.zeros((len(queries), n), dtype=np.float32)
    listed = min(n, count)
    if filter_items is not None:
        filter_items = np.asarray(filter_items, dtype=np.int64)
        filter_items = filter_items[(filter_items >= 0) & (filter_items < count)]
    step = max(1, AT_ONCE // max(count, 1))
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        table = np.asarray(part @ factors.T, dtype=np.float32)
        if norms is not None:
            table /= norms
        if left_out is not None:
            rows = left_out[start : start + step]
            # Columns that the model does not have are nobody's.
            known = rows.indices < count
            users = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
            table[users[known], rows.indices[known]] = LEAST
        if filter_items is not None and len(filter_items):
            table[:, filter_items] = LEAST
        if listed < count:
            found = np.sort(np.argpartition(-table, listed - 1, axis=1)[:, :listed], axis=1)
        else:
            found = np.broadcast_to(np.arange(count), table.shape)
        own = np.take_along_axis(table, found, axis=1)
        order = np.argsort(-own, axis=1, kind="stable")
        ids[start : start + step, :listed] = np.take_along_axis(found, order, axis=1)
        scores[start : start + step, :listed] = np.take_along_axis(own, order, axis=1)
    return ids, scores


def _norms(factors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    norms: npt.NDArray[Any] = np.linalg.norm(factors, axis=-1)
    # What has no length is like nothing, rather than an error.
    norms[norms == 0] = 1e-10
    return norms


def _among(ids: Any, count: int, name: str) -> npt.NDArray[Any]:
    chosen = np.array(ids)
    if len(chosen) and (chosen.max() >= count or chosen.min() < 0):
        raise IndexError(f"Some {name} are not in the model")
    return chosen


class _MatrixFactorization:
    """What models of implicit have in common."""

    def __init__(self, num_threads: int = 0) -> None:
        self.item_factors: Any = None
        self.user_factors: Any = None
        self._user_norms: Any = None
        self._item_norms: Any = None
        self.num_threads = num_threads

    def fit(self, user_items: Any, show_progress: bool = True, callback: Callable[..., Any] | None = None) -> None:
        """Trains on a matrix of users in rows and items in columns."""
        raise NotImplementedError

    def recommend(
        self,
        userid: Any,
        user_items: Any,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        recalculate_user: bool = False,
        items: Any = None,
    ) -> tuple[Any, Any]:
        """The best items for a user, as (ids, scores), or for an array of users, with a row for each.

        `user_items` has a row for each user, of what he chose: left out of his list, and what `recalculate_user` makes
        his factors of. `items` are the only ones ranked, `filter_items` are left out.
        """
        if filter_already_liked_items or recalculate_user:
            if not isinstance(user_items, scipy.sparse.csr_matrix):
                raise ValueError("user_items needs to be a CSR sparse matrix")
            if user_items.shape[0] != (1 if np.isscalar(userid) else len(userid)):
                raise ValueError("user_items must contain 1 row for every user in userids")
        user = self.recalculate_user(userid, user_items) if recalculate_user else self.user_factors[userid]
        factors, left_out = self.item_factors, user_items if filter_already_liked_items else None
        if items is not None:
            if filter_items is not None and len(filter_items):
                raise ValueError("Can't set both items and filter_items in recommend call")
            N = min(N, len(items))
            items = np.sort(_among(items, len(factors), "itemids in the items parameter"))
            factors = factors[items]
            if left_out is not None:
                left_out = left_out[:, items[items < left_out.shape[1]]]
        ids, scores = _best(factors, user, N, left_out=left_out, filter_items=filter_items)
        if items is not None:
            ids = items[ids]
        return (ids[0], scores[0]) if np.isscalar(userid) else (ids, scores)

    def recommend_all(
        self,
        user_items: Any,
        N: int = 10,
        recalculate_user: bool = False,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        users_items_offset: int = 0,
    ) -> Any:
        """The lists of all users of a matrix, the first of which is that of number `users_items_offset`."""
        warnings.warn(
            "recommend_all is deprecated. Use recommend with an array of userids instead", DeprecationWarning, stacklevel=2
        )
        ids, _ = self.recommend(
            np.arange(user_items.shape[0]) + users_items_offset,
            user_items,
            N=N,
            filter_already_liked_items=filter_already_liked_items,
            filter_items=filter_items,
            recalculate_user=recalculate_user,
        )
        return ids

    def rank_items(self, userid: Any, user_items: Any, selected_items: Any, recalculate_user: bool = False) -> Any:
        """Ranks some items for a user."""
        warnings.warn(
            "rank_items is deprecated. Use recommend with the 'items' parameter instead", DeprecationWarning, stacklevel=2
        )
        return self.recommend(
            userid,
            user_items,
            recalculate_user=recalculate_user,
            items=selected_items,
            filter_already_liked_items=False,
        )

    def similar_users(self, userid: Any, N: int = 10, filter_users: Any = None, users: Any = None) -> tuple[Any, Any]:
        """The users most like one, or an array of them, by the cosine of their factors; himself first."""
        return self._similar(
            userid, self.user_factors[userid], self.user_factors, self.user_norms, (N, filter_users, users, "users")
        )

    def similar_items(
        self,
        itemid: Any,
        N: int = 10,
        recalculate_item: bool = False,
        item_users: Any = None,
        filter_items: Any = None,
        items: Any = None,
    ) -> tuple[Any, Any]:
        """The items most like one, or an array of them, likewise."""
        own = self.recalculate_item(itemid, item_users) if recalculate_item else self.item_factors[itemid]
        return self._similar(itemid, own, self.item_factors, self.item_norms, (N, filter_items, items, "items"))

    @staticmethod
    def _similar(asked: Any, own: Any, factors: Any, norms: Any, how: tuple[int, Any, Any, str]) -> tuple[Any, Any]:
        n, filtered, chosen, name = how
        if chosen is not None:
            if filtered is not None and len(filtered):
                raise ValueError(f"Can't set both {name} and filter_{name} in similar_{name} call")
            chosen = _among(chosen, len(factors), f"{name[:-1]}ids in the {name} parameter")
            factors, norms = factors[chosen], norms[chosen]
        ids, scores = _best(factors, own, n, filter_items=filtered, norms=norms)
        scores /= _norms(np.atleast_2d(own))[:, None]
        if chosen is not None:
            ids = chosen[ids]
        return (ids[0], scores[0]) if np.isscalar(asked) else (ids, scores)

    @property
    def user_norms(self) -> Any:
        """The lengths of the users' rows."""
        if self._user_norms is None:
            self._user_norms = _norms(self.user_factors)
        return self._user_norms

    @property
    def item_norms(self) -> Any:
        """The lengths of the items' rows."""
        if self._item_norms is None:
            self._item_norms = _norms(self.item_factors)
        return self._item_norms

    def recalculate_user(self, userid: Any, user_items: Any) -> Any:
        """The factors that users would have by these rows."""
        raise NotImplementedError("recalculate_user is not supported with this model")

    def recalculate_item(self, itemid: Any, item_users: Any) -> Any:
        """The factors that items would have by these rows."""
        raise NotImplementedError("recalculate_item is not supported with this model")

    def _saved(self) -> dict[str, Any]:
        raise NotImplementedError

    def save(self, fileobj_or_path: Any) -> None:
        """Writes an .npz file, which implicit opens too."""
        np.savez(fileobj_or_path, **{name: value for name, value in self._saved().items() if value is not None})

    @classmethod
    def load(cls, fileobj_or_path: Any) -> Any:
        """Opens what `save` wrote, or implicit's own did."""
        if isinstance(fileobj_or_path, str) and not fileobj_or_path.endswith(".npz"):
            fileobj_or_path += ".npz"
        with np.load(fileobj_or_path, allow_pickle=False) as data:
            model = cls()
            for name, value in data.items():
                if name == "dtype":
                    value = np.dtype(str(value))
                elif value.shape == ():
                    value = value.item()
                setattr(model, name, value)
        return model

    def to_gpu(self) -> Any:
        """The model itself: on which device it is trained is a matter of `device`."""
        return self

    def to_cpu(self) -> Any:
        """The model itself."""
        return self


class BayesianPersonalizedRanking(_MatrixFactorization):
    """Bayesian personalized ranking (Rendle et al. 2009): every listed pair above others of its user.

    As implicit has it, the last column of `item_factors` is the items' bias, and that of `user_factors` is 1. Steps are
    those of AdaGrad in batches, so that the number of threads changes no bit; `verify_negative_samples` changes
    nothing: what a user chose is never held against him.

    >>> import numpy as np, scipy.sparse
    >>> likes = scipy.sparse.csr_matrix((np.indices((20, 20)).sum(axis=0) % 2).astype(np.float32))
    >>> model = BayesianPersonalizedRanking(factors=4, random_state=0)
    >>> model.fit(likes, show_progress=False)
    >>> ids, _ = model.recommend(0, likes[0], N=3, filter_already_liked_items=False)
    >>> bool((ids % 2 == 1).all()), model.item_factors.shape
    (True, (20, 5))
    """

    def __init__(
        self,
        factors: int = 100,
        learning_rate: float = 0.01,
        regularization: float = 0.01,
        dtype: Any = np.float32,
        iterations: int = 100,
        use_gpu: bool = False,
        num_threads: int = 0,
        verify_negative_samples: bool = True,
        random_state: Any = None,
        device: str | None = None,
    ) -> None:
        super().__init__(num_threads=num_threads)
        self.factors = factors
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.dtype = np.dtype(dtype)
        self.iterations = iterations
        self.verify_negative_samples = verify_negative_samples
        self.random_state = random_state
        self.device = device or ("gpu" if use_gpu else "cpu")

    def fit(self, user_items: Any, show_progress: bool = True, callback: Callable[..., Any] | None = None) -> None:
        """Trains. `callback(iteration, seconds, correct, skipped)` is called after each epoch; the last two are None."""
        matrix = _csr(user_items).astype(np.float32)
        matrix.eliminate_zeros()
        users, items = matrix.shape
        self.user_factors = np.zeros((users, self.factors + 1), dtype=self.dtype)
        self.item_factors = np.zeros((items, self.factors + 1), dtype=self.dtype)
        self.user_factors[:, self.factors] = 1
        self._user_norms = self._item_norms = None
        if self.iterations == 0 or len(np.unique(matrix.indices)) < 2:
            # There is nothing to hold a pair against.
            return
        matrix.data[:] = 1

        def hear(event: dict[str, Any]) -> bool:
            if event["event"] == "epoch" and callback is not None:
                callback(event["epoch"] - 1, event["seconds"], None, None)
            return False

        seed = int(_generator(self.random_state).integers(2**63))
        try:
            model = fit(
                matrix,
                loss="bpr",
                score="inner",
                bias=True,
                factors=self.factors,
                epochs=self.iterations,
                reg=self.regularization,
                learning_rate=self.learning_rate,
                seed=seed,
                device=self.device,
                threads=self.num_threads or None,
                callback=hear if callback is not None else None,
                progress=bool(show_progress),
            )
        except Error as error:
            if getattr(error, "kind", "") == "training":
                raise ModelFitError(str(error)) from error
            raise
        self.user_factors[model.users, : self.factors] = model.user_factors
        self.item_factors[model.items, : self.factors] = model.item_factors
        self.item_factors[model.items, self.factors] = model.item_bias

    def _saved(self) -> dict[str, Any]:
        return {
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "regularization": self.regularization,
            "learning_rate": self.learning_rate,
            "factors": self.factors,
            "num_threads": self.num_threads,
            "iterations": self.iterations,
            "verify_negative_samples": self.verify_negative_samples,
            "dtype": self.dtype.name,
            "random_state": self.random_state,
        }
