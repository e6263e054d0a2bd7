"""For scikit-learn: an estimator whose rows are pairs of a user and an item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ._core import Error
from ._model import Model, fit

if TYPE_CHECKING:
    import numpy.typing as npt


class Recommender(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Matrix factorization as a regressor: the first two columns of `X` are users and items (of any type), further ones
    are not looked at; `y` are the ratings, each 1 where there are none.

    The settings are those of `wgmf.fit`, where None is chosen from the data; `settings` are further ones by name, as
    `{"transform": "log1p"}`.
    `random_state` is the seed. `score` is R² of the predictions, and of `solver="ials"`, whose predictions are no
    ratings, NDCG of lists of `at`.

    >>> import pandas as pd
    >>> from sklearn.model_selection import GridSearchCV
    >>> plays = pd.read_csv("sample/plays.csv")
    >>> X, y = plays.iloc[:, :2], plays.iloc[:, 2]
    >>> search = GridSearchCV(Recommender(solver="als", epochs=3), {"factors": [2, 4]}, cv=3).fit(X, y)
    >>> search.best_params_["factors"] in (2, 4)
    True
    >>> search.best_estimator_.model_.recommend("Norel", n=3).shape
    (3, 4)
    """

    def __init__(
        self,
        solver: str | None = None,
        *,
        factors: int | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        reg: float | None = None,
        reg_bias: float | None = None,
        reg_exponent: float | None = None,
        damping: float | None = None,
        damping_bias: float | None = None,
        unobserved_weight: float | None = None,
        loss: str | None = None,
        samples: int | None = None,
        burn_in: int | None = None,
        clip: bool = False,
        at: int = 20,
        settings: dict[str, Any] | None = None,
        device: str = "auto",
        threads: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.solver = solver
        self.factors = factors
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.reg = reg
        self.reg_bias = reg_bias
        self.reg_exponent = reg_exponent
        self.damping = damping
        self.damping_bias = damping_bias
        self.unobserved_weight = unobserved_weight
        self.loss = loss
        self.samples = samples
        self.burn_in = burn_in
        self.clip = clip
        self.at = at
        self.settings = settings
        self.device = device
        self.threads = threads
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = False
        # Rows that share neither user nor item say nothing of each other.
        tags.regressor_tags.poor_score = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Recommender:
        """Trains on pairs and their ratings."""
        users, items, y = self._pairs(X, y, reset=True)
        values = np.ones(len(users), dtype=np.float32) if y is None else np.asarray(y, dtype=np.float64)
        own = ("at", "settings", "device", "threads", "random_state")
        options = {name: value for name, value in self.get_params(deep=False).items() if name not in own}
        seed = 0 if self.random_state is None else int(self.random_state)
        try:
            self.model_: Model = fit(
                (users, items, values),
                **{**options, **(self.settings or {})},
                seed=seed,
                device=self.device,
                threads=self.threads,
                progress=False,
            )
        except Error as error:
            # What scikit-learn and those who use it expect of an estimator.
            raise ValueError(str(error)) from error
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """What is predicted for pairs: ratings, for `loss="logistic"` probabilities, for "ials" preferences."""
        check_is_fitted(self)
        users, items, _ = self._pairs(X, None, reset=False)
        return np.asarray(self.model_.predict(_listed(users), _listed(items)))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """R², or NDCG where what is predicted are no ratings."""
        check_is_fitted(self)
        if self.model_.unit not in ("preference", "score"):
            return float(super().score(X, y, sample_weight))
        users, items, y = self._pairs(X, y, reset=False)
        values = np.ones(len(users), dtype=np.float32) if y is None else np.asarray(y, dtype=np.float64)
        return float(self.model_.evaluate((users, items, values), at=self.at)[f"ndcg@{self.at}"])

    def _pairs(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any, Any]:
        """Users, items and ratings, checked as every estimator's."""
        if hasattr(X, "iloc"):
            # Columns keep their types.
            validate_data(self, X, skip_check_array=True, reset=reset)
            if X.shape[1] < 2:
                raise ValueError(f"X has {X.shape[1]} feature(s), a user and an item are needed: a minimum of 2 is required")
            if y is not None:
                from sklearn.utils import check_consistent_length, column_or_1d

                y = column_or_1d(y, warn=True)
                check_consistent_length(X, y)
            return X.iloc[:, 0], X.iloc[:, 1], y
        checks = {"dtype": None, "ensure_min_features": 2 if reset else 1, "reset": reset}
        if y is None:
            X = validate_data(self, X, **checks)
        else:
            X, y = validate_data(self, X, y, y_numeric=True, **checks)
        return X[:, 0], X[:, 1], y


def _listed(column: Any) -> Any:
    return column.tolist() if hasattr(column, "tolist") else column
