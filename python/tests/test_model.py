"""Training as one sees it from Python, and what comes out."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time

import numpy
import pandas
import pytest
import wgmf
from conftest import SAMPLE


@pytest.fixture(scope="module")
def parts():
    return wgmf.split(str(SAMPLE), holdout=0.2, seed=0)


@pytest.fixture(scope="module")
def chosen(parts):
    return wgmf.fit(parts[0], solver="ials", factors=8, epochs=4)


@pytest.fixture(scope="module")
def rated(parts):
    return wgmf.fit(parts[0], solver="als", factors=8, epochs=4)


def test_lists_are_those_of_the_scores(chosen):
    lists = chosen.recommend(["Norel", "Oriyn"], n=5)
    assert lists.columns.tolist() == ["user", "rank", "item", "score"]
    assert lists["user"].tolist() == ["Norel"] * 5 + ["Oriyn"] * 5 and lists["rank"].tolist() == [1, 2, 3, 4, 5] * 2
    row = chosen.users.tolist().index("Norel")
    scores = chosen.item_factors @ chosen.user_factors[row]
    seen = set(chosen._core.seen()[1][slice(*chosen._core.seen()[0][row : row + 2])].tolist())
    best = [item for item in numpy.argsort(-scores) if item not in seen][:5]
    assert chosen.items[best].tolist() == lists["item"][:5].tolist()
    with_seen = chosen.recommend("Norel", n=5, include_seen=True)
    assert with_seen["item"].tolist() == chosen.items[numpy.argsort(-scores)[:5]].tolist()
    some = chosen.items[best[1:4]].tolist()
    assert chosen.recommend("Norel", n=9, only=some)["item"].tolist() == some
    assert chosen.recommend("Norel", n=3, exclude=some[:2])["item"].tolist() == chosen.items[[best[0], best[3], best[4]]].tolist()
    assert len(chosen.recommend(n=2)) == 2 * len(chosen.users)


def test_what_is_alike_is_so_by_cosines(chosen):
    alike = chosen.similar_items("Amber Bells", n=3)
    rows = chosen.item_factors / numpy.linalg.norm(chosen.item_factors, axis=1, keepdims=True)
    own = chosen.items.tolist().index("Amber Bells")
    cosines = rows @ rows[own]
    cosines[own] = -2
    assert alike["similar"].tolist() == chosen.items[numpy.argsort(-cosines)[:3]].tolist()
    assert numpy.allclose(alike["score"], numpy.sort(cosines)[::-1][:3], atol=1e-5)
    assert len(chosen.similar_users(["Norel", "Oriyn"], n=4)) == 8


def test_predictions_are_the_formula(rated):
    users, items = ["Norel", "Oriyn", "nobody"], ["Amber Bells", "Dim Glass", "nothing"]
    predictions = rated.predict(users, items)
    row, column = rated.users.tolist().index("Norel"), rated.items.tolist().index("Amber Bells")
    own = rated.global_mean + rated.user_bias[row] + rated.item_bias[column] + rated.user_factors[row] @ rated.item_factors[column]
    assert predictions[0] == pytest.approx(own, abs=1e-5) and rated.predict("Norel", "Amber Bells") == predictions[0]
    assert predictions[2] == pytest.approx(rated.global_mean, abs=1e-5)


def test_views_are_read_only_and_keep_the_model(parts):
    factors = wgmf.fit(parts[0], solver="als", factors=3, epochs=1).item_factors
    copy = factors.copy()
    with pytest.raises(ValueError):
        factors[0, 0] = 1
    with pytest.raises(ValueError):
        factors.flags.writeable = True
    assert (factors == copy).all() and factors.base is not None and factors.dtype == numpy.float32


def test_figures_are_those_of_the_command_line(rated, chosen, parts):
    metrics = rated.evaluate(parts[1], baselines=True)
    predicted = rated.predict(*(parts[1].to_pandas()[name].tolist() for name in ("user", "item")))
    errors = predicted - parts[1].to_pandas()["rating"].to_numpy()
    assert metrics["rmse"] == pytest.approx(float(numpy.sqrt((errors**2).mean())), rel=1e-6)
    assert metrics["baselines"]["biases"]["rmse"] > metrics["rmse"]
    lists = chosen.evaluate(parts[1], at=[5, 20], baselines=True)
    assert 0 < lists["model"]["ndcg@20"] < 1 and lists["popularity"]["users"] == lists["model"]["users"]
    for shown in (str(metrics), str(lists)):
        assert len(shown.splitlines()) > 5 and "rmse" in shown or "ndcg@20" in shown
    assert "ndcg@20" in rated.evaluate(parts[1], at=20)


def test_a_bayesian_model_says_how_sure_it_is(parts):
    model = wgmf.fit(parts[0], solver="bayes", factors=4, samples=20, burn_in=5)
    said = model.predict(["Norel"], ["Amber Bells"], interval=0.9)
    assert said.columns.tolist() == ["prediction", "deviation", "low", "high"]
    assert (said["low"] < said["prediction"]).all() and (said["prediction"] < said["high"]).all()
    assert "coverage_90" in model.evaluate(parts[1])
    lower = model.recommend("Norel", n=3, by=("lower", 0.1))
    assert lower["item"].tolist() != model.recommend("Norel", n=3, by=("upper", 0.9))["item"].tolist()


def test_events_are_heard_and_may_end_the_run(parts):
    main, threads, events = threading.current_thread(), set(), []

    def stop(event):
        threads.add(threading.current_thread())
        events.append(event["event"])
        return event["event"] == "epoch" and event["epoch"] == 2

    model = wgmf.fit(parts[0], solver="als", factors=4, epochs=50, callback=stop)
    assert model.stop == "interrupted" and len(model.history) == 2
    assert threads == {main} and {"ready", "epoch"} <= set(events)


def test_what_a_callback_raises_is_raised(parts):
    with pytest.raises(ZeroDivisionError):
        wgmf.fit(parts[0], solver="als", factors=4, epochs=50, callback=lambda event: 1 / 0)


def test_patience_finds_something_to_look_at(parts):
    model = wgmf.fit(parts[0], solver="als", patience=1)
    assert model.stop == "patience" and model.history["test_error"].notna().all()


def test_held_out_as_the_command_line_does(parts, tmp_path):
    own = wgmf.fit(str(SAMPLE), solver="ials", factors=4, epochs=3, holdout=0.1, seed=7)
    from wgmf import _core

    words = ["wgmf", "train", str(SAMPLE), "--solver", "ials", "--factors", "4", "--epochs", "3", "--holdout", "0.1", "--seed", "7", "--quiet"]
    script = f"from wgmf import _core; raise SystemExit(_core.main({[*words, '--model', str(tmp_path / 'm')]!r}))"
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
    assert (wgmf.load(tmp_path / "m").user_factors == own.user_factors).all()
    assert _core.settings()["seed"] == 0


def test_other_threads_of_python_go_on(parts):
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    ticker = threading.Thread(target=tick)
    ticker.start()
    start = time.perf_counter()
    wgmf.fit(parts[0], solver="bayes", factors=16, samples=60, burn_in=5)
    end = time.perf_counter()
    done.set()
    ticker.join()
    inside = [at for at in ticks if start < at < end]
    assert len(inside) > 5 and max(numpy.diff([start, *inside, end])) < max(0.5, 0.5 * (end - start))


def test_ctrl_c_ends_a_run(parts):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        wgmf.fit(parts[0], solver="bayes", factors=16, samples=100_000)
    timer.join()
    assert wgmf.fit(parts[0], solver="als", factors=2, epochs=1).stop == "finished"


def test_the_number_of_threads_changes_no_bit(parts):
    models = [wgmf.fit(parts[0], solver="als", factors=5, epochs=2, threads=threads) for threads in (1, 3)]
    assert (models[0].user_factors == models[1].user_factors).all()


def train_there(train):
    return wgmf.fit(train, solver="als", factors=2, epochs=1).user_factors.sum()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_fork_have_threads_of_their_own(parts):
    frame = parts[0].to_pandas()
    own = train_there(frame)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(train_there, [frame, frame]).get(timeout=60) == [own, own]


def test_models_are_pickled_whole(chosen, parts):
    again = pickle.loads(pickle.dumps(chosen))
    assert (again.user_factors == chosen.user_factors).all() and again.users.tolist() == chosen.users.tolist()
    assert again.recommend("Norel", n=3).equals(chosen.recommend("Norel", n=3))


def test_new_users_and_items_are_folded_in(rated):
    new = {"Zoe": {"Amber Bells": 5, "Dim Glass": 1}}
    grown = rated.fold_in(new)
    assert "Zoe" in grown.users.tolist() and "Zoe" not in rated.users.tolist()
    assert grown.recommend("Zoe", n=4).equals(rated.recommend(new=new, n=4))
    with_item = rated.fold_in_items({"Norel": {"New Song": 5}, "Oriyn": {"New Song": 4}})
    assert "New Song" in with_item.items.tolist()


def test_searches_compare_and_validate(parts):
    train, test = parts
    found = wgmf.tune(train, {"factors": [2, 4], "reg": (0.01, 1.0)}, solver="als", epochs=4, trials=5)
    assert found.metric == "rmse" and ((found.trials["value"] - found.value).abs() < 1e-9).any()
    assert found.model.settings["epochs"] == found.settings["epochs"]
    one = wgmf.fit(train, solver="als", factors=0)
    figures = wgmf.compare(found.model, one, test)
    assert figures.loc["rmse", "low"] <= figures.loc["rmse", "difference"] <= figures.loc["rmse", "high"]
    folds = wgmf.cross_validate(train, solver="ials", factors=4, epochs=2, folds=3, metric="ndcg@10")
    assert folds.loc["ndcg@10", "mean"] == pytest.approx(folds.loc["ndcg@10"].iloc[2:].mean())
    lists = wgmf.compare(*(wgmf.fit(train, solver="ials", factors=k, epochs=2) for k in (2, 8)), test, at=10)
    assert "ndcg@10" in lists.index


def test_a_search_goes_on_where_it_was_stopped(parts, tmp_path):
    ask = dict(space={"factors": [2, 3, 4, 5]}, solver="als", epochs=3, trials=4, storage=tmp_path / "s")
    stopped = []

    def stop(event):
        stopped.append(event)
        return len(stopped) == 2

    wgmf.tune(parts[0], callback=stop, **ask)
    again = wgmf.tune(parts[0], **ask)
    del ask["storage"]
    assert again.trials.equals(wgmf.tune(parts[0], **ask).trials)


def test_epochs_are_logged(parts, caplog):
    with caplog.at_level(logging.INFO, logger="wgmf"):
        wgmf.fit(parts[0], solver="als", factors=2, epochs=2)
    assert [record.message.split(":")[0] for record in caplog.records] == ["epoch 1", "epoch 2"]


def test_a_bar_is_shown_where_asked_for(parts, capsys):
    wgmf.fit(parts[0], solver="als", factors=2, epochs=2, progress=True)
    assert "2/2" in capsys.readouterr().err


def test_results_have_other_forms(chosen):
    lists = chosen.recommend("Norel", n=2)
    assert isinstance(lists, pandas.DataFrame)
    assert lists.to_arrow().column_names == ["user", "rank", "item", "score"]
    assert lists.to_polars().shape == (2, 4)


def test_the_history_is_drawn(parts, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    for settings, shown in (
        (dict(solver="als", holdout=0.1), ["train_error", "test_error"]),
        (dict(solver="ials", holdout=0.1), ["recall@20", "ndcg@20"]),
        (dict(solver="ials"), ["objective"]),
    ):
        history = wgmf.fit(parts[0], factors=4, epochs=4, **settings).history
        axes = history.plot(logy=True)
        drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
        assert drawn == {name: [list(pair) for pair in history[name].items()] for name in shown}
        assert axes.get_xlabel() == "epoch" and axes.get_yscale() == "log"
        axes.figure.canvas.draw()
    assert type(history[["objective"]]).__name__ == "Frame"
