"""In the place of implicit: `from wgmf.implicit import AlternatingLeastSquares` instead of `from implicit.als import ...`.

Constructors, methods, shapes, types and errors are those of implicit 0.7.3; training and rows are wgmf's, on its devices,
always exact (`use_cg` and `use_native` change nothing), and the same bits for the same `random_state` whatever
the number of threads. Ids are the numbers of rows and columns, scores float32.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from . import _core
from ._core import Error
from ._model import fit
from ._progress import listening

# What implicit gives to items that are left out.
LEAST = -np.finfo(np.float32).max
# Width of the interval around 0 that factors are drawn from at the start.
START = 1.0
# So many rows are solved at once, by what trains; fewer one by one, for which products of all factors that are kept are
# the sooner way.
MANY = 32
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


def _rows_of(matrix: Any) -> Any:
    """The rows of a sparse matrix, as columns and values."""
    for start, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        yield matrix.indices[start:end], matrix.data[start:end]


class AlternatingLeastSquares(_MatrixFactorization):
    """Alternating least squares for what users chose (Hu, Koren and Volinsky 2008).

    Minimizes the sum over all pairs of c (p - x·y)², where p is 1 and c is `alpha` times the value of a pair that is
    listed, and p is 0 and c is 1 of one that is not, and `regularization` times the squares of all factors. A value below
    0 is a dislike: p is 0, and c its amount. A `regularization` of 0 is taken for 0.00001.

    >>> import numpy as np, scipy.sparse
    >>> likes = scipy.sparse.csr_matrix((np.indices((20, 20)).sum(axis=0) % 2).astype(np.float32))
    >>> model = AlternatingLeastSquares(factors=4, regularization=0.1, random_state=0)
    >>> model.fit(likes, show_progress=False)
    >>> ids, scores = model.recommend(0, likes[0], N=3, filter_already_liked_items=False)
    >>> bool((ids % 2 == 1).all()), ids.dtype, scores.dtype
    (True, dtype('int32'), dtype('float32'))
    """

    def __init__(
        self,
        factors: int = 100,
        regularization: float = 0.01,
        alpha: float = 1.0,
        dtype: Any = np.float32,
        use_native: bool = True,
        use_cg: bool = True,
        use_gpu: bool = False,
        iterations: int = 15,
        calculate_training_loss: bool = False,
        num_threads: int = 0,
        random_state: Any = None,
        device: str | None = None,
    ) -> None:
        super().__init__(num_threads=num_threads)
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.dtype = np.dtype(dtype)
        self.use_native = use_native
        self.use_cg = use_cg
        self.iterations = iterations
        self.calculate_training_loss = calculate_training_loss
        self.random_state = random_state
        self.cg_steps = 3
        self.device = device or ("gpu" if use_gpu else "cpu")
        self._YtY: Any = None
        self._XtX: Any = None

    def fit(self, user_items: Any, show_progress: bool = True, callback: Callable[..., Any] | None = None) -> None:
        """Trains; from where the model stands, if it has factors. `callback(iteration, seconds, loss)` is called after
        each sweep; `loss` is None unless `calculate_training_loss`."""
        matrix = _csr(user_items)
        if matrix.data.dtype.kind not in "biuf":
            raise ValueError(f"the matrix holds {matrix.data.dtype}, which are no numbers")
        matrix = matrix.astype(np.float32)
        matrix.sum_duplicates()
        users, items = matrix.shape
        draw = _generator(self.random_state)
        for name, rows in (("user_factors", users), ("item_factors", items)):
            if getattr(self, name) is None:
                start = draw.random((rows, self.factors), dtype=np.float32) - np.float32(0.5)
                setattr(self, name, (start * np.float32(START)).astype(self.dtype))
        self._forget()
        if not np.isfinite(matrix.data).all():
            raise ModelFitError("NaN encountered in factors")

        weights = self.alpha * matrix.data.astype(np.float64)
        whole = np.abs(weights).sum() + users * items - matrix.nnz
        # implicit counts the confidence of a dislike as that of a liking.
        disliked = -weights[weights < 0].sum()

        def hear(event: dict[str, Any]) -> bool:
            if event["event"] == "epoch" and callback is not None:
                loss = (event["objective"] + disliked) / whole if self.calculate_training_loss else None
                callback(event["epoch"] - 1, event["seconds"], loss)
            return False

        if matrix.nnz == 0 or self.iterations == 0:
            if self.iterations > 0:
                self.user_factors[:] = 0
                self.item_factors[:] = 0
            return
        try:
            with listening(hear if callback is not None else None, bool(show_progress)) as hears:
                trained = _core.fit_hu(
                    matrix.indptr.astype(np.int64),
                    matrix.indices.astype(np.int64),
                    matrix.data,
                    _single(self.user_factors[:users]),
                    _single(self.item_factors[:items]),
                    float(self.alpha),
                    float(self._ridge),
                    int(self.iterations),
                    self.device,
                    self.num_threads or None,
                    hears,
                )
        except Error as error:
            if getattr(error, "kind", "") == "training":
                raise ModelFitError(str(error)) from error
            raise
        self.user_factors, self.item_factors = (table.astype(self.dtype) for table in trained)

    @property
    def _ridge(self) -> float:
        # Without any, rows that their ratings do not determine could not be solved, in single precision above all.
        return self.regularization if self.regularization > 0 else 1e-5

    def _forget(self) -> None:
        self._user_norms = self._item_norms = self._YtY = self._XtX = None

    @property
    def YtY(self) -> Any:
        """The products of the items' factors with each other."""
        if self._YtY is None:
            self._YtY = self.item_factors.T.dot(self.item_factors)
        return self._YtY

    @property
    def XtX(self) -> Any:
        """The products of the users' factors with each other."""
        if self._XtX is None:
            self._XtX = self.user_factors.T.dot(self.user_factors)
        return self._XtX

    def _equations(self, gram: Any, factors: Any, ids: Any, values: Any) -> tuple[Any, Any]:
        """The normal equations of a row, in double precision."""
        rows = factors[ids].astype(np.float64)
        weights = self.alpha * values.astype(np.float64)
        matrix = np.asarray(gram, dtype=np.float64) + (rows.T * (np.abs(weights) - 1)) @ rows
        matrix[np.diag_indices(len(matrix))] += self._ridge
        return matrix, rows.T @ np.maximum(weights, 0)

    def _solved(self, side: str, rows: Any) -> Any:
        """The rows of users by the items as they are ("YtY"), or of items by the users ("XtX")."""
        factors = self.item_factors if side == "YtY" else self.user_factors
        if rows.shape[0] >= MANY:
            solved = _core.solve_hu(
                rows.indptr.astype(np.int64),
                rows.indices.astype(np.int64),
                rows.data.astype(np.float32),
                _single(factors),
                float(self.alpha),
                float(self._ridge),
                self.device,
                self.num_threads or None,
            )
            return solved.astype(self.dtype, copy=False)
        gram = getattr(self, side)
        solved = np.zeros((rows.shape[0], factors.shape[1]), dtype=self.dtype)
        for row, (ids, values) in enumerate(_rows_of(rows)):
            if len(ids):
                matrix, side = self._equations(gram, factors, ids, values)
                solved[row] = scipy.linalg.solve(matrix, side, assume_a="pos", check_finite=False)
        return solved

    def recalculate_user(self, userid: Any, user_items: Any) -> Any:
        """The factors that users would have by these rows, items as they are."""
        rows = _csr(user_items)
        if rows.shape[0] != (1 if np.isscalar(userid) else len(userid)):
            raise ValueError("user_items should have one row for every item in user")
        solved = self._solved("YtY", rows)
        return solved[0] if np.isscalar(userid) else solved

    def recalculate_item(self, itemid: Any, item_users: Any) -> Any:
        """The factors that items would have by these rows, users as they are."""
        solved = self._solved("XtX", _csr(item_users))
        return solved[0] if np.isscalar(itemid) else solved

    def partial_fit_users(self, userids: Any, user_items: Any) -> None:
        """Gives users the factors that these rows make, the table growing where they are new."""
        if len(userids) != user_items.shape[0]:
            raise ValueError("user_items must contain 1 row for every user in userids")
        self.user_factors = self._with(self.user_factors, userids, self.recalculate_user(userids, user_items))
        self._user_norms = self._XtX = None

    def partial_fit_items(self, itemids: Any, item_users: Any) -> None:
        """Gives items the factors that these rows make, likewise."""
        if len(itemids) != item_users.shape[0]:
            raise ValueError("item_users must contain 1 row for every user in itemids")
        self.item_factors = self._with(self.item_factors, itemids, self.recalculate_item(itemids, item_users))
        self._item_norms = self._YtY = None

    def _with(self, table: Any, ids: Any, rows: Any) -> Any:
        missing = max(ids) + 1 - len(table)
        if missing > 0:
            table = np.concatenate([table, np.zeros((missing, table.shape[1]), dtype=self.dtype)])
        table[ids] = rows
        return table

    def explain(
        self, userid: int, user_items: Any, itemid: int, user_weights: Any = None, N: int = 10
    ) -> tuple[float, list[tuple[int, float]], Any]:
        """Which of a user's items make the score of another: (score, [(item, part of it)], what further calls for the
        user may be given as `user_weights`)."""
        matrix = _csr(user_items)
        ids, values = matrix.indices, matrix.data
        inside = slice(matrix.indptr[userid], matrix.indptr[userid + 1])
        ids, values = ids[inside], values[inside]
        if user_weights is None:
            equations, _ = self._equations(self.YtY, self.item_factors, ids, values)
            user_weights = scipy.linalg.cho_factor(equations)
        weighted = scipy.linalg.cho_solve(user_weights, self.item_factors[itemid].astype(np.float64))
        liked = values >= 0
        parts = (self.item_factors[ids[liked]] @ weighted) * (self.alpha * values[liked])
        order = np.lexsort((-ids[liked], -parts))[:N]
        listed = [(int(ids[liked][at]), float(parts[at])) for at in order]
        return float(parts.sum()), listed, user_weights

    def _saved(self) -> dict[str, Any]:
        return {
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "regularization": self.regularization,
            "factors": self.factors,
            "num_threads": self.num_threads,
            "iterations": self.iterations,
            "use_native": self.use_native,
            "use_cg": self.use_cg,
            "cg_steps": self.cg_steps,
            "calculate_training_loss": self.calculate_training_loss,
            "dtype": self.dtype.name,
            "random_state": self.random_state,
            "alpha": self.alpha,
        }


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


def _single(table: Any) -> Any:
    return np.ascontiguousarray(table, dtype=np.float32)


def calculate_loss(
    user_items: Any, user_factors: Any, item_factors: Any, regularization: float, num_threads: int = 0
) -> float:
    """implicit's figure of a model: the objective of `AlternatingLeastSquares` at `alpha` 1, over the sum of all
    confidences."""
    matrix = _csr(user_items).tocoo()
    X, Y = (np.asarray(table, dtype=np.float64) for table in (user_factors, item_factors))
    users, items = matrix.shape
    confidence = np.abs(matrix.data.astype(np.float64))
    liked = (matrix.data > 0).astype(np.float64)
    scores = np.einsum("ij,ij->i", X[matrix.row], Y[matrix.col])
    loss = np.sum((X.T @ X) * (Y.T @ Y)) + np.sum(confidence * (liked - scores) ** 2 - scores**2)
    # A dislike counts its confidence as a liking does.
    loss += np.sum(confidence * (1 - liked)) + regularization * (np.sum(X**2) + np.sum(Y**2))
    return float(loss / (confidence.sum() + users * items - matrix.nnz))
