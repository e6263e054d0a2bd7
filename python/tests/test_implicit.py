"""The drop-in for implicit: its own tests with the import changed, and the objective against double precision."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy
import pytest
import scipy.sparse
from conftest import ROOT, skipped
from wgmf.implicit import AlternatingLeastSquares, ModelFitError, calculate_loss

VERSION = "0.7.3"
SOURCES = ROOT / "target" / "python" / f"implicit-{VERSION}"


def sources():
    """The tests of implicit, from its source package, which pip brings."""
    if not (SOURCES / "tests" / "als_test.py").exists():
        SOURCES.parent.mkdir(parents=True, exist_ok=True)
        # Its tests alone are wanted: it is not built.
        words = ["download", "-q", "--no-deps", "--no-binary", "implicit", f"implicit=={VERSION}", "-d", str(SOURCES.parent)]
        pip = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=300)
        archive = SOURCES.parent / f"implicit-{VERSION}.tar.gz"
        if pip.returncode or not archive.exists():
            skipped("implicit's own tests: its source package cannot be had")
        with tarfile.open(archive) as packed:
            names = [name for name in packed.getnames() if re.fullmatch(rf"implicit-{VERSION}/tests/\w+_test\.py", name)]
            names.append(f"implicit-{VERSION}/tests/recommender_base_test.py")
            packed.extractall(SOURCES.parent, members=[packed.getmember(name) for name in set(names)])
    return SOURCES / "tests"


def outcome(name, tmp_path):
    """What pytest says of one of implicit's own files of tests."""
    tests = sources()
    for needed in (name, "recommender_base_test.py"):
        (tmp_path / needed).write_text((tests / needed).read_text())
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport implicit_shim\nimplicit_shim.install()\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-c", "/dev/null", name]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|skipped|error)", run.stdout.splitlines()[-1])}
    return counts, run.stdout


def test_implicits_own_tests_of_als_pass(tmp_path):
    counts, said = outcome("als_test.py", tmp_path)
    # Seven want CUDA.
    assert counts == {"passed": 41, "skipped": 7}, said


def test_implicits_own_tests_of_bpr_pass(tmp_path):
    counts, said = outcome("bpr_test.py", tmp_path)
    assert counts == {"passed": 25}, said


def matrix(seed=3, users=60, items=40):
    """Chosen pairs with values, some of them dislikes, and a row and a column of nothing."""
    draw = numpy.random.default_rng(seed)
    values = draw.integers(1, 5, (users, items)) * draw.choice([1.0, -1.0], (users, items), p=[0.9, 0.1])
    values *= draw.random((users, items)) < 0.2
    values[7], values[:, 5] = 0, 0
    return scipy.sparse.csr_matrix(values.astype(numpy.float32))


def half_sweep(rows, factors, alpha, regularization):
    """The rows that minimize Hu's objective, in double precision."""
    solved = numpy.zeros((rows.shape[0], factors.shape[1]))
    for row in range(rows.shape[0]):
        weights = alpha * rows[row].toarray().ravel().astype(numpy.float64)
        confidence = numpy.where(weights == 0, 1.0, numpy.abs(weights))
        system = (factors.T * confidence) @ factors + regularization * numpy.eye(factors.shape[1])
        solved[row] = numpy.linalg.solve(system, factors.T @ (confidence * (weights > 0)))
    return solved


@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_sweeps_are_those_of_double_precision(alpha):
    likes = matrix()
    draw = numpy.random.default_rng(1)
    users, items = draw.normal(0, 0.1, (60, 6)), draw.normal(0, 0.1, (40, 6))
    model = AlternatingLeastSquares(factors=6, regularization=0.5, alpha=alpha, iterations=3)
    model.user_factors, model.item_factors = users.astype(numpy.float32), items.astype(numpy.float32)
    model.fit(likes, show_progress=False)
    items = items.astype(numpy.float32).astype(numpy.float64)
    for _ in range(3):
        users = half_sweep(likes, items, alpha, 0.5)
        items = half_sweep(likes.T.tocsr(), users, alpha, 0.5)
    assert numpy.abs(users).max() > 0.1
    numpy.testing.assert_allclose(model.user_factors, users, atol=2e-4)
    numpy.testing.assert_allclose(model.item_factors, items, atol=2e-4)
    assert not model.user_factors[7].any() and not model.item_factors[5].any()
    numpy.testing.assert_allclose(model.recalculate_user(3, likes[3]), half_sweep(likes[3], items, alpha, 0.5)[0], atol=2e-4)


@pytest.mark.parametrize("count", [3, 60])
def test_rows_are_solved_alike_one_by_one_and_all_at_once(count):
    likes = matrix()
    model = AlternatingLeastSquares(factors=6, regularization=0.5, alpha=2.0, iterations=2, random_state=1)
    model.fit(likes, show_progress=False)
    items = model.item_factors.astype(numpy.float64)
    expected = half_sweep(likes, items, 2.0, 0.5)
    assert numpy.abs(expected).max() > 0.1 and (likes.data < 0).any()
    numpy.testing.assert_allclose(model.recalculate_user(numpy.arange(count), likes[:count]), expected[:count], atol=2e-4)
    # Users beyond the table are new ones, those between them have no rows yet.
    model.partial_fit_users(numpy.arange(count) + 100, likes[:count])
    assert model.user_factors.shape == (100 + count, 6) and not model.user_factors[60:100].any()
    numpy.testing.assert_allclose(model.user_factors[100:], expected[:count], atol=2e-4)
    users = model.user_factors.astype(numpy.float64)
    rows = scipy.sparse.csr_matrix((likes.T.tocsr().data, likes.T.tocsr().indices, likes.T.tocsr().indptr), (40, len(users)))
    model.partial_fit_items(numpy.arange(40), rows)
    numpy.testing.assert_allclose(model.item_factors, half_sweep(rows, users, 2.0, 0.5), atol=2e-4)


def test_the_loss_is_the_objective_over_all_confidences():
    losses = []
    model = AlternatingLeastSquares(factors=4, regularization=0.1, iterations=4, calculate_training_loss=True, random_state=0)
    model.fit(matrix(), show_progress=False, callback=lambda sweep, seconds, loss: losses.append(loss))
    assert len(losses) == 4 and losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(calculate_loss(matrix(), model.user_factors, model.item_factors, 0.1), rel=1e-4)


def test_the_same_seed_is_the_same_model_whatever_the_threads():
    models = [AlternatingLeastSquares(factors=8, random_state=5, num_threads=threads) for threads in (1, 3)]
    for model in models:
        model.fit(matrix(), show_progress=False)
    assert (models[0].user_factors == models[1].user_factors).all()


def test_what_cannot_be_trained_on_is_an_error():
    wrong = matrix()
    wrong.data[3] = numpy.nan
    with pytest.raises(ModelFitError):
        AlternatingLeastSquares(factors=2).fit(wrong, show_progress=False)


def test_lists_of_many_items_are_the_best_ones():
    draw = numpy.random.default_rng(0)
    model = AlternatingLeastSquares(factors=5)
    model.user_factors = draw.normal(size=(30, 5)).astype(numpy.float32)
    model.item_factors = draw.normal(size=(3000, 5)).astype(numpy.float32)
    likes = scipy.sparse.random(30, 3000, density=0.05, format="csr", random_state=1)
    ids, scores = model.recommend(numpy.arange(30), likes, N=7, filter_items=[1, 2])
    table = model.user_factors @ model.item_factors.T
    table[likes.nonzero()] = -9
    table[:, [1, 2]] = -9
    assert (ids == numpy.argsort(-table, axis=1, kind="stable")[:, :7]).all()
    assert ids.dtype == numpy.int32 and scores.dtype == numpy.float32 and (numpy.diff(scores) <= 0).all()
