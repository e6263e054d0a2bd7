//! Predictions, and figures of ratings that a model has not seen.

use super::Model;
use crate::column;
use crate::convert;
use crate::dataset::Dataset;
use crate::error;
use crate::work;
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};
use wgmf::core::{Side, UNKNOWN};
use wgmf::evaluate::{
    RankBy, RankingMetrics, RankingOptions, Relevance, ranking_metrics, unknown_ids,
};
use wgmf::predict::{Ask, Unit};
use wgmf::recommend::Criterion;
use wgmf::{Evaluation, Result, Trained};

impl Model {
    /// Predictions of pairs of ids; deviations and intervals too of a Bayesian model.
    pub(super) fn predictions<'py>(
        &self,
        py: Python<'py>,
        users: &Bound<'py, PyAny>,
        items: &Bound<'py, PyAny>,
        interval: Option<f64>,
        credible: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let rows = |side: Side, ids: &Bound<'py, PyAny>| -> PyResult<Vec<u32>> {
            let known = self.trained.model().ids(side);
            let row = |id: PyResult<Bound<'_, PyAny>>| {
                Ok(known.get(&column::text_of(&id?)?).unwrap_or(UNKNOWN))
            };
            ids.try_iter()?.map(row).collect()
        };
        let (users, items) = (rows(Side::User, users)?, rows(Side::Item, items)?);
        if users.len() != items.len() {
            let (users, items) = (users.len(), items.len());
            return Err(error::data(format!("{users} users and {items} items: pairs are needed")));
        }
        let ask = Ask { interval, credible };
        ask.check().map_err(error::raised)?;
        let model = self.trained.model();
        let columns = work::work(py, None, None, |_| {
            let Some(predictive) = self.trained.predictive()? else {
                if interval.is_some() {
                    return Err(wgmf::Error::settings(
                        "`interval`: only a model of `solver` bayes knows how sure it is",
                    ));
                }
                let each = users.iter().zip(&items);
                let means: Vec<f64> =
                    each.map(|(&user, &item)| model.predict(user, item)).collect();
                return Ok(vec![("prediction", means)]);
            };
            let said = predictive.summaries(&users, &items, &ask)?;
            let mut columns = vec![
                ("prediction", said.iter().map(|of| of.mean).collect()),
                ("deviation", said.iter().map(|of| of.deviation).collect()),
            ];
            if interval.is_some() {
                for (name, end) in [("low", 0), ("high", 1)] {
                    let end = said.iter().map(|of| of.interval.unwrap_or_default()[end]).collect();
                    columns.push((name, end));
                }
            }
            Ok(columns)
        })?;
        let shown = PyDict::new(py);
        for (name, numbers) in columns {
            if numbers.iter().any(|number| !number.is_finite()) {
                return Err(error::data(
                    "a prediction overflows: the model's factors are too large",
                ));
            }
            shown.set_item(name, PyArray1::from_vec(py, numbers))?;
        }
        Ok(shown)
    }

    /// Figures of ratings that it has not seen.
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    pub(super) fn figures<'py>(
        &self,
        py: Python<'py>,
        test: &Dataset,
        at: Vec<usize>,
        relevant_from: Option<f32>,
        baselines: bool,
        include_seen: bool,
        candidates: Option<&Bound<'py, PyAny>>,
        by: Option<(String, f64)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let candidates = candidates.map(|items| self.rows(Side::Item, items)).transpose()?;
        let candidates = candidates.map(|mut rows| {
            rows.sort_unstable();
            rows.dedup();
            rows
        });
        let criterion = criterion(by)?;
        let asked = Asked { at, relevant_from, baselines, include_seen, candidates, criterion };
        let test = test.set();
        let figures = work::work(py, None, None, |_| self.evaluation(&test, &asked))?;
        convert::to_python(py, &figures)
    }

    fn evaluation(&self, test: &wgmf::Dataset, ask: &Asked) -> Result<Value> {
        let trained = &self.trained;
        let model = trained.model();
        let value = |what: &dyn erased::Serialized| what.value();
        if ask.at.is_empty() && !matches!(model.unit(), Unit::Preference | Unit::Score) {
            let metrics = value(&trained.evaluate(test)?)?;
            if !ask.baselines {
                return Ok(metrics);
            }
            return value(&Together {
                metrics,
                beside: value(&trained.evaluate_baselines(test)?)?,
            });
        }
        let at = if ask.at.is_empty() { vec![10, 20] } else { ask.at.clone() };
        let ratings = test.aligned(&model.users, &model.items);
        let relevance = match ask.relevant_from {
            Some(least) => Relevance::From(least),
            None => Relevance::usual(model, test.ratings())?,
        };
        let (candidates, include_seen) = (ask.candidates.clone(), ask.include_seen);
        let options = RankingOptions { at, relevance, candidates, include_seen };
        let predictive = trained.predictive()?;
        let by = match &predictive {
            Some(predictive) => RankBy::Samples(predictive, ask.criterion),
            None => RankBy::Model,
        };
        let measure = |by: RankBy| -> Result<RankingMetrics> {
            let (device, seen) = (&**trained.device(), trained.seen());
            let mut metrics = ranking_metrics(device, model, seen, &ratings, by, &options)?;
            [metrics.unknown_users, metrics.unknown_items] =
                Side::BOTH.map(|side| unknown_ids(test.ids(side), model.ids(side)).len() as u64);
            Ok(metrics)
        };
        let metrics = value(&measure(by)?)?;
        if !ask.baselines {
            return Ok(metrics);
        }
        let mut together =
            json!({"model": metrics, "popularity": value(&measure(RankBy::Popularity)?)?});
        if model.factors[Side::Item].bias.iter().any(|&bias| bias != 0.0) {
            together["item_bias"] = value(&measure(RankBy::ItemBias)?)?;
        }
        Ok(together)
    }
}

/// What is serialized on threads that have no Python.
mod erased {
    use serde::Serialize;
    use serde_json::Value;

    pub(super) trait Serialized {
        fn value(&self) -> wgmf::Result<Value>;
    }

    impl<T: Serialize> Serialized for T {
        fn value(&self) -> wgmf::Result<Value> {
            serde_json::to_value(self)
                .map_err(|e| wgmf::Error::data(format!("cannot be written: {e}")))
        }
    }
}

/// Errors of the model beside those of what knows no tastes, as the command line writes them.
#[derive(serde::Serialize)]
struct Together {
    #[serde(flatten)]
    metrics: Value,
    #[serde(rename = "baselines")]
    beside: Value,
}

/// What is asked of lists.
struct Asked {
    at: Vec<usize>,
    relevant_from: Option<f32>,
    baselines: bool,
    include_seen: bool,
    candidates: Option<Vec<u32>>,
    criterion: Criterion,
}

/// What lists are by, of a Bayesian model.
pub(super) fn criterion(by: Option<(String, f64)>) -> PyResult<Criterion> {
    let criterion = match by {
        None => Criterion::Mean,
        Some((name, x)) => match &*name {
            "mean" => Criterion::Mean,
            "lower" | "upper" => Criterion::Quantile(x),
            "thompson" => Criterion::Thompson { seed: x as u64 },
            _ => {
                return Err(error::settings(format!(
                    "`by` does not take {name:?}; give \"mean\", (\"lower\", 0.1), (\"upper\", 0.9) or \
                     (\"thompson\", seed)"
                )));
            }
        },
    };
    criterion.check().map_err(error::raised)?;
    Ok(criterion)
}

/// What cross-validation measures.
pub(crate) fn measured(
    at: &[usize],
    relevance: Option<Relevance>,
    model: &Trained,
    test: &wgmf::Dataset,
) -> Result<Evaluation> {
    match relevance.filter(|_| !at.is_empty()) {
        None => model.evaluate(test),
        Some(relevance) => model.evaluate_ranking(test, at, relevance).map(Evaluation::Ranking),
    }
}
