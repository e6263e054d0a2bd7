"""The estimator of scikit-learn, by scikit-learn's own checks."""

from __future__ import annotations

import numpy
import pandas
import pytest
import wgmf
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from wgmf.sklearn import Recommender


@parametrize_with_checks([Recommender(solver="als", factors=2, epochs=2)])
def test_the_checks_of_every_estimator(estimator, check):
    check(estimator)


def test_it_is_the_model_that_fit_makes(plays):
    X, y = plays.iloc[:, :2], plays.iloc[:, 2]
    own = Recommender(solver="als", factors=4, epochs=3).fit(X, y)
    model = wgmf.fit(plays, solver="als", factors=4, epochs=3)
    assert (own.model_.user_factors == model.user_factors).all()
    assert numpy.allclose(own.predict(X[:100]), model.predict(X.iloc[:100, 0].tolist(), X.iloc[:100, 1].tolist()))
    assert numpy.allclose(own.predict(X[:100].to_numpy()), own.predict(X[:100]))
    assert 0.2 < own.score(X, y) < 1


def test_it_works_in_a_grid_and_in_a_pipeline(plays):
    X, y = plays.iloc[:20_000, :2], plays.iloc[:20_000, 2]
    steps = Pipeline([("upper", FunctionTransformer(lambda X: X.apply(lambda of: of.str.upper()))), ("wgmf", Recommender(solver="als", epochs=3))])
    search = GridSearchCV(steps, {"wgmf__factors": [1, 3]}, cv=KFold(3, shuffle=True, random_state=0)).fit(X, y)
    assert search.best_params_["wgmf__factors"] in (1, 3) and numpy.isfinite(search.best_score_)
    again = clone(search.best_estimator_).set_params(wgmf__random_state=3).fit(X, y)
    assert again.named_steps["wgmf"].model_.users[0].isupper()


def test_lists_are_scored_where_nobody_rates(plays):
    X = plays.iloc[:, :2]
    scores = cross_val_score(Recommender(solver="ials", factors=8, epochs=3, at=10), X, cv=KFold(2, shuffle=True, random_state=0))
    assert ((scores > 0.02) & (scores < 1)).all()


def test_what_is_wrong_is_a_value_error():
    with pytest.raises(ValueError, match="there is no setting `factor`"):
        Recommender(settings={"factor": 3}).fit(pandas.DataFrame({"u": [1, 2], "i": [1, 2]}), [1.0, 2.0])
