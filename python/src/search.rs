//! Settings found by trying, cross-validation, and two models held against each other.

use crate::convert;
use crate::dataset::{Dataset, parsed};
use crate::error;
use crate::model::{Model, measured};
use crate::work;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde_json::{Value, json};
use wgmf::core::Options;
use wgmf::evaluate::Relevance;
use wgmf::predict::Unit;
use wgmf::tune::{self as trying, Dimension, Metric, Range, Tune};

/// Trains on all but one part of the ratings and measures on that, for each part in turn.
#[pyfunction]
#[pyo3(signature = (ratings, options, folds, at, relevant_from, device, threads, hear))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn cross_validate<'py>(
    py: Python<'py>,
    ratings: &Dataset,
    options: &Bound<'py, PyDict>,
    folds: u32,
    at: Vec<usize>,
    relevant_from: Option<f32>,
    device: &str,
    threads: Option<usize>,
    hear: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options: Options = convert::settings(options)?;
    let set = &*ratings.set();
    let found = work::work(py, threads, hear, |watch| {
        let device = work::device(device)?;
        let given = relevant_from.map(Relevance::From);
        let measure = |model: &wgmf::Trained, test: &wgmf::Dataset| {
            let relevance = match given {
                Some(relevance) => relevance,
                None if at.is_empty() => Relevance::All,
                None => Relevance::usual(model.model(), set.ratings())?,
            };
            measured(&at, Some(relevance), model, test)
        };
        let hear = |fold: u32, evaluation: &wgmf::Evaluation| {
            watch.tell(json!({
                "event": "fold",
                "fold": fold + 1,
                "folds": folds,
                "figures": serde_json::to_value(evaluation).unwrap_or_default(),
            }));
            watch.goes_on()
        };
        trying::cross_validate(set, &options, folds, &device, measure, hear)
    })?;
    convert::shown(py, &found)
}

/// What is searched of a setting: a list of choices, or a pair of numbers, the ends of a range, between which
/// equal ratios are as likely as each other where both are above 0 and at least ten times apart. A text is as on
/// the command line.
fn dimension(name: &str, range: &Bound<'_, PyAny>) -> PyResult<Dimension> {
    if let Ok(text) = range.extract::<String>() {
        return parsed(&format!("{name}={text}"));
    }
    let wrong = || {
        error::settings(format!("`space` {name}: give a list of choices, or a pair (low, high)"))
    };
    let ends = range.cast::<PyTuple>().ok().and_then(|pair| pair.extract::<(f64, f64)>().ok());
    let range = match ends {
        Some((low, high)) => {
            let log = low > 0.0 && high >= 10.0 * low;
            Range::Between { low, high, log }
        }
        None => match convert::from_python(range)?.ok_or_else(wrong)? {
            Value::Array(choices) => Range::Choices(choices),
            _ => return Err(wrong()),
        },
    };
    let dimension = Dimension { name: name.to_owned(), range };
    dimension.check().map_err(error::raised)?;
    Ok(dimension)
}

/// Searches settings.
#[pyfunction]
#[pyo3(signature = (ratings, options, space, metric, trials, relevant_from, test, holdout, storage, force, device, threads, hear))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn tune<'py>(
    py: Python<'py>,
    ratings: &Dataset,
    options: &Bound<'py, PyDict>,
    space: &Bound<'py, PyDict>,
    metric: Option<&str>,
    trials: usize,
    relevant_from: Option<f32>,
    test: Option<&Dataset>,
    holdout: f64,
    storage: Option<std::path::PathBuf>,
    force: bool,
    device: &str,
    threads: Option<usize>,
    hear: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options: Options = convert::settings(options)?;
    let metric: Option<Metric> = metric.map(parsed).transpose()?;
    let mut dimensions = Vec::new();
    for (name, range) in space {
        dimensions.push(dimension(&name.extract::<String>()?, &range)?);
    }
    // What is ranked for every user is held out of every user's ratings.
    let per_user = options.is_implicit() || dimensions.iter().any(Dimension::has_lists);
    let tuned = work::work(py, threads, hear, |watch| {
        let device = work::device(device)?;
        let set = wgmf::Dataset::clone(&ratings.set());
        let prepared = match test {
            Some(test) => set.into_prepared_with(Some(&test.set()))?,
            None => set.into_prepared_holding_out(holdout, per_user, options.seed)?,
        };
        let listen = |number: usize, trial: &trying::Trial, [rung, rungs]: [usize; 2]| {
            let last = trial.last();
            watch.tell(json!({
                "event": "trial",
                "trial": number,
                "trials": trials,
                "rung": rung,
                "rungs": rungs,
                "value": last.and_then(|rung| rung.value),
                "epochs": last.map(|rung| rung.epochs),
                "settings": trial.values,
            }));
        };
        let goes_on = || watch.goes_on();
        let mut tune = Tune::new(&prepared, &options, &device)
            .search(dimensions)
            .trials(trials)
            .listen(&listen)
            .while_true(&goes_on);
        if let Some(metric) = metric {
            tune = tune.metric(metric);
        }
        if let Some(least) = relevant_from {
            tune = tune.relevance(Relevance::From(least));
        }
        if let Some(dir) = &storage {
            tune = tune.storage(dir, force);
        }
        tune.run()
    })?;
    let row = |number: &usize| {
        let trial = &tuned.trials[*number];
        let last = trial.best(&tuned.metric).or(trial.last());
        json!({
            "trial": number,
            "rungs": trial.rungs.len(),
            "epochs": last.map(|rung| rung.epochs),
            "best_epoch": last.map(|rung| rung.best_epoch),
            "value": last.and_then(|rung| rung.value),
            "failed": trial.last().and_then(|rung| rung.failed.clone()),
            "settings": trial.values,
        })
    };
    let found = json!({
        "metric": tuned.metric.to_string(),
        "more_is_better": tuned.metric.more_is_better(),
        "value": tuned.value(),
        "best": tuned.best,
        "complete": tuned.complete,
        "options": convert::value_of(&tuned.options)?,
        "trials": tuned.ranked().iter().map(row).collect::<Vec<_>>(),
    });
    convert::to_python(py, &found)
}

/// Which of two models is better on ratings that neither has seen, and how sure that is.
#[pyfunction]
#[pyo3(signature = (a, b, test, at, relevant_from))]
pub(crate) fn compare<'py>(
    py: Python<'py>,
    a: &Model,
    b: &Model,
    test: &Dataset,
    at: Vec<usize>,
    relevant_from: Option<f32>,
) -> PyResult<Bound<'py, PyAny>> {
    let test = test.set();
    let comparison = work::work(py, None, None, |_| {
        let model = a.trained.model();
        if at.is_empty() && !matches!(model.unit(), Unit::Preference | Unit::Score) {
            return a.trained.compare(&b.trained, &test);
        }
        let at = if at.is_empty() { vec![10, 20] } else { at };
        let relevance = match relevant_from {
            Some(least) => Relevance::From(least),
            None => Relevance::usual(model, test.ratings())?,
        };
        a.trained.compare_lists(&b.trained, &test, &at, relevance)
    })?;
    convert::shown(py, &comparison)
}
