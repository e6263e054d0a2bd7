"""Bad input is a `wgmf.Error` that says what is wrong, whatever it is; the interpreter goes on."""

from __future__ import annotations

import numpy
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse
import wgmf
from conftest import SAMPLE

NAN, INF = float("nan"), float("inf")
FRAME = pandas.DataFrame({"user": [1, 1, 2, 2], "item": ["a", "b", "a", "c"], "rating": [1.0, 2.0, 3.0, 4.0]})
CSR = scipy.sparse.csr_matrix(numpy.eye(4))


def damaged(indices=None, indptr=None):
    matrix = CSR.copy()
    if indices is not None:
        matrix.indices = numpy.array(indices, dtype=numpy.int32)
    if indptr is not None:
        matrix.indptr = numpy.array(indptr, dtype=numpy.int32)
    return matrix


def fit(data, **settings):
    return wgmf.fit(data, **{"solver": "als", "factors": 2, "epochs": 1, **settings})


@pytest.fixture(scope="module")
def model():
    return fit(FRAME)


def closed_file(tmp_path):
    file = open(SAMPLE)
    file.close()
    return fit(file)


def raising_callback(tmp_path):
    return fit(FRAME, callback=lambda event: 1 / 0)


# What is done, and a part of what is said.
CASES = {
    # Ratings.
    "a NaN": (lambda m, t: fit(FRAME.assign(rating=[1, NAN, 2, 3])), "rating at 1 is missing"),
    "a NaN in an array": (lambda m, t: fit(([1, 2], [1, 2], [1.0, NAN])), "rating at 1 is NaN"),
    "an infinity": (lambda m, t: fit(([1, 2], [1, 2], [INF, 1.0])), "rating at 0 is inf"),
    "beyond single precision": (lambda m, t: fit(([1, 2], [1, 2], [1e300, 1.0])), "not a finite number"),
    "a NaN of polars": (lambda m, t: fit(polars.DataFrame({"user": [1], "item": [2], "rating": [NAN]})), "rating at 0 is NaN"),
    "a null of polars": (lambda m, t: fit(polars.DataFrame({"user": [1], "item": [2], "rating": [None]}, schema={"user": int, "item": int, "rating": float})), "rating at 0 is missing"),
    "texts for ratings": (lambda m, t: fit(FRAME.assign(rating=["good", "bad", "good", "bad"])), "ratings are no numbers"),
    "texts for ratings in Arrow": (lambda m, t: fit(pyarrow.table({"user": [1], "item": [2], "rating": ["good"]})), "ratings are of Arrow's type Utf8"),
    "complex ratings": (lambda m, t: fit(([1, 2], [1, 2], numpy.array([1j, 2.0]))), "are no numbers"),
    "negative values for ials": (lambda m, t: fit(FRAME.assign(rating=[-1.0, -2.0, -3.0, -4.0]), solver="ials"), ""),
    "two lengths": (lambda m, t: fit(([1, 2], [1], [1.0, 2.0])), "2 users, 1 items and 2 ratings"),
    "two dimensions": (lambda m, t: fit((numpy.zeros((2, 2), dtype=int), [1, 2], [1.0, 2.0])), "2 dimensions"),
    "four columns": (lambda m, t: fit(numpy.zeros((3, 4))), "shape (3, 4)"),
    # Ids.
    "a missing user": (lambda m, t: fit(FRAME.assign(user=[1, None, 2, 3])), "user at 1 is missing"),
    "a missing item": (lambda m, t: fit(FRAME.assign(item=["a", None, "b", "c"])), "item at 1 is missing"),
    "a missing category": (lambda m, t: fit(FRAME.assign(item=pandas.Categorical(["a", None, "b", "c"]))), "item at 1 is missing"),
    "a null of Arrow": (lambda m, t: fit(pyarrow.table({"user": [1, None], "item": [2, 3]})), "user at 1 is missing"),
    "an empty text": (lambda m, t: fit(FRAME.assign(item=["a", "", "b", "c"])), "item at 1 is an empty text"),
    "a long text": (lambda m, t: fit(FRAME.assign(item=["a" * 70_000, "b", "c", "d"])), "more than 65536 bytes"),
    "written alike": (lambda m, t: fit(([1, "1"], ["a", "b"], [1.0, 2.0])), "are written alike"),
    "ids of Arrow that are lists": (lambda m, t: fit(pyarrow.table({"user": [[1]], "item": [2]})), "cast them to integers or strings"),
    "one text for a column": (lambda m, t: fit(("ann", [1], [1.0])), "where a column of ids is needed"),
    # Tables.
    "an empty frame": (lambda m, t: fit(FRAME.iloc[:0]), "there are no ratings"),
    "an empty matrix": (lambda m, t: fit(scipy.sparse.csr_matrix((3, 4))), "there are no ratings"),
    "one column": (lambda m, t: fit(FRAME[["user"]]), "a single column"),
    "no column": (lambda m, t: fit(pandas.DataFrame()), "no column"),
    "a column that is not there": (lambda m, t: fit(FRAME, columns="user,film"), 'no column is called "film"'),
    "a column twice": (lambda m, t: fit(FRAME, columns="user,user"), "names a column twice"),
    "columns of a matrix": (lambda m, t: fit(CSR, columns="a,b"), "users in rows"),
    "a column beyond the shape": (lambda m, t: fit(damaged(indices=[0, 1, 2, 9])), "beyond its shape"),
    "rows out of order": (lambda m, t: fit(damaged(indptr=[0, 3, 1, 3, 4])), "rows do not follow each other"),
    "a matrix of texts": (lambda m, t: fit(scipy.sparse.csr_matrix(numpy.eye(2)).astype(complex)), "are no numbers"),
    "None": (lambda m, t: fit(None), "type NoneType is no ratings"),
    "a number": (lambda m, t: fit(7), "type int is no ratings"),
    "a closed file": (lambda m, t: closed_file(t), "is no ratings"),
    "a path that is not there": (lambda m, t: fit("nothing-there.csv"), "nothing-there.csv"),
    "a file of Parquet": (lambda m, t: fit(write(t, "a.parquet", b"PAR1xxxxPAR1")), "Parquet"),
    "a file of one column": (lambda m, t: fit(write(t, "a.csv", b"x\ny\n")), "cannot tell what separates"),
    # Settings.
    "a setting that is not there": (lambda m, t: fit(FRAME, factor=8), "there is no setting `factor`"),
    "a text for a number": (lambda m, t: fit(FRAME, factors="many"), "`factors` does not take 'many'"),
    "a fraction of factors": (lambda m, t: fit(FRAME, factors=2.5), "`factors` does not take 2.5"),
    "an object for a number": (lambda m, t: fit(FRAME, reg=object()), "`reg` does not take"),
    "a solver that is not there": (lambda m, t: fit(FRAME, solver="svd"), "`solver` does not take 'svd'"),
    "settings that do not go together": (lambda m, t: fit(FRAME, learning_rate=0.1), "`learning_rate`"),
    "too many factors": (lambda m, t: fit(FRAME, factors=5000), "`factors` 5000"),
    "both kinds of test": (lambda m, t: fit(FRAME, test=FRAME, holdout=0.5), "exclude each other"),
    "a holdout beyond 1": (lambda m, t: fit(FRAME, holdout=1.5), "`holdout` 1.5"),
    "a test of other ids": (lambda m, t: fit(FRAME, test=(["x"], ["y"], [1.0])), "the test set"),
    "a device that is not there": (lambda m, t: fit(FRAME, device="no such adapter"), "no such adapter"),
    "a device that is no name": (lambda m, t: fit(FRAME, device=7), "`device` 7"),
    "too many threads": (lambda m, t: fit(FRAME, threads=5000), "`threads` 5000"),
    "a callback that is none": (lambda m, t: fit(FRAME, callback=7), "`callback` 7"),
    "a transform that is not there": (lambda m, t: fit(FRAME, transform="sqrt"), '`transform` does not take "sqrt"'),
    "a transform of what it cannot": (lambda m, t: fit(FRAME.assign(rating=[-5.0, 1.0, 2.0, 3.0]), transform="log1p"), "-5"),
    "rules for pairs that are none": (lambda m, t: fit(FRAME, duplicates="first"), '`duplicates` does not take "first"'),
    "nothing left": (lambda m, t: fit(FRAME, min_user_ratings=50), "min_user_ratings"),
    # Models.
    "a user nobody knows": (lambda m, t: m.recommend("zoe"), "user 'zoe' is not in the model"),
    "an item nobody knows": (lambda m, t: m.similar_items(["a", "zzz"]), "item 'zzz' is not in the model"),
    "a list of nothing": (lambda m, t: m.recommend(1, n=0), "at least 1"),
    "a list of 1.5": (lambda m, t: m.recommend(1, n=1.5), "no length of a list"),
    "by what is not there": (lambda m, t: m.recommend(1, by="luck"), "`by` does not take"),
    "a quantile beyond 1": (lambda m, t: m.recommend(1, by=("lower", 7)), "no quantile"),
    "an interval of als": (lambda m, t: m.predict(1, "a", interval=0.9), "only a model of `solver` bayes"),
    "pairs of two lengths": (lambda m, t: m.predict([1, 2], ["a"]), "2 users and 1 items"),
    "new users of no known item": (lambda m, t: m.recommend(new={"zoe": {"zzz": 5}}), "no user is new"),
    "new with more": (lambda m, t: m.recommend(1, new={"zoe": {"a": 5}}), "`new` goes with `n` alone"),
    "lists without at": (lambda m, t: m.evaluate(FRAME, relevant_from=3), "give `at`"),
    "a place that is taken": (lambda m, t: m.save(write(t, "there", b"x")), "there"),
    "a model that is none": (lambda m, t: wgmf.load(write(t, "x.txt", b"x")), "x.txt"),
    "a format that is not there": (lambda m, t: m.export(t / "x", "xlsx"), "`format` does not take"),
    "a model made by hand": (lambda m, t: wgmf.Model(), "wgmf.fit or wgmf.load"),
    # Searches.
    "one fold": (lambda m, t: wgmf.cross_validate(FRAME, folds=1), "`folds` 1"),
    "a metric that is not there": (lambda m, t: wgmf.tune(FRAME, metric="luck"), "`metric` luck"),
    "a space of what is not there": (lambda m, t: wgmf.tune(FRAME, {"factor": [1, 2]}), "no setting factor"),
    "a space that is none": (lambda m, t: wgmf.tune(FRAME, {"reg": 7}), "give a list of choices"),
    "two things compared": (lambda m, t: wgmf.compare(m, FRAME, FRAME), "is no wgmf.Model"),
    "settings of what was read": (lambda m, t: fit(wgmf.Dataset(FRAME), columns="a,b"), "have been read already"),
}


def write(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_an_error_that_says_so(case, model, tmp_path):
    act, expected = CASES[case]
    with pytest.raises(wgmf.Error) as raised:
        act(model, tmp_path)
    text = str(raised.value)
    assert expected.lower() in text.lower(), text
    assert raised.value.kind in ("settings", "data", "file", "device", "memory", "training"), raised.value.kind
    # Ids, files and settings are called as the user calls them.
    assert "\\`" not in text and "--" not in text, text
    # And it goes on as if nothing had been.
    assert len(model.recommend(1, n=1)) == 1


def test_there_are_forty_of_them():
    assert len(CASES) >= 40
