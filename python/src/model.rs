//! Trained models.

use crate::column;
use crate::convert;
use crate::dataset::{Dataset, side_of};
use crate::error;
use crate::ids::Labels;
use crate::views;
use crate::work;
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use wgmf::core::{Options, Side, UNKNOWN};
use wgmf::evaluate::{
    RankBy, RankingMetrics, RankingOptions, Relevance, ranking_metrics, unknown_ids,
};
use wgmf::predict::{Ask, Unit};
use wgmf::recommend::{Catalogue, Criterion, Metric, Neighbours, Recommender};
use wgmf::train::Stop;
use wgmf::{Evaluation, Fit, Result, Trained};

/// A trained model.
#[pyclass(frozen, module = "wgmf._core")]
pub(crate) struct Model {
    pub(crate) trained: Trained,
    pub(crate) labels: [Labels; 2],
    stop: Option<Stop>,
}

/// Where a model's record keeps what its ids were.
const IDS: &str = "id_types";

/// Rows and lists of them: of each entry the asked row, its place in the list, what is listed, its score.
type Listed<'py> = (
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<f64>>,
);

/// The same before Python sees it.
#[derive(Default)]
struct Lists {
    asked: Vec<u32>,
    rank: Vec<u32>,
    rows: Vec<u32>,
    scores: Vec<f64>,
}

impl Lists {
    fn add(&mut self, asked: u32, list: impl Iterator<Item = (u32, f64)>) {
        for (rank, (row, score)) in list.enumerate() {
            self.asked.push(asked);
            self.rank.push(rank as u32 + 1);
            self.rows.push(row);
            self.scores.push(score);
        }
    }

    fn shown(self, py: Python<'_>) -> Listed<'_> {
        (
            PyArray1::from_vec(py, self.asked),
            PyArray1::from_vec(py, self.rank),
            PyArray1::from_vec(py, self.rows),
            PyArray1::from_vec(py, self.scores),
        )
    }
}

impl Model {
    /// What was trained on ratings with these labels.
    pub(crate) fn of(trained: Trained, labels: [Labels; 2]) -> PyResult<Self> {
        let (stop, device) = (trained.stop(), trained.device().clone());
        let (mut model, samples, seen) = trained.into_parts();
        if let Value::Object(data) = &mut model.run.data {
            data.insert(IDS.to_owned(), json!([labels[0].name(), labels[1].name()]));
        }
        let trained = Trained::from_parts(model, samples, seen, &device).map_err(error::raised)?;
        Ok(Self { trained, labels, stop })
    }

    /// The rows of ids.
    fn rows(&self, side: Side, ids: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
        let known = self.trained.model().ids(side);
        let row = |id: PyResult<Bound<'_, PyAny>>| {
            let id = id?;
            known.get(&column::text_of(&id)?).ok_or_else(|| {
                let shown = id.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
                error::data(format!(
                    "{} {shown} is not in the model; new ones can be folded in",
                    side.name()
                ))
            })
        };
        ids.try_iter()?.map(row).collect()
    }

    /// Which rows of a side may be listed.
    fn kept(
        &self,
        side: Side,
        only: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Vec<bool>>> {
        if only.is_none() && exclude.is_none() {
            return Ok(None);
        }
        let rows = self.trained.model().factors[side].rows();
        let mut kept = vec![only.is_none(); rows];
        if let Some(only) = only {
            self.rows(side, only)?.into_iter().for_each(|row| kept[row as usize] = true);
        }
        if let Some(exclude) = exclude {
            self.rows(side, exclude)?.into_iter().for_each(|row| kept[row as usize] = false);
        }
        Ok(Some(kept))
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
fn criterion(by: Option<(String, f64)>) -> PyResult<Criterion> {
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

#[pymethods]
impl Model {
    /// Trains; `last` where nobody asks the ratings for anything any more.
    #[staticmethod]
    #[pyo3(signature = (ratings, last, options, device, test, holdout, from_model, threads, hear))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn fit(
        py: Python<'_>,
        ratings: &Dataset,
        last: bool,
        options: &Bound<'_, PyDict>,
        device: &str,
        test: Option<&Dataset>,
        holdout: Option<f64>,
        from_model: Option<&Model>,
        threads: Option<usize>,
        hear: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options: Options = convert::settings(options)?;
        let test = test.map(Dataset::set);
        let set = if last { ratings.take() } else { wgmf::Dataset::clone(&ratings.set()) };
        let trained = work::work(py, threads, hear, |watch| {
            let device = work::device(device)?;
            let epochs = options.epochs.unwrap_or(0);
            let count = set.len();
            let mut fit = Fit::owning(set, &options, &device)
                .listen(|event| watch.event(event, epochs, count));
            if let Some(test) = &test {
                fit = fit.test(test);
            }
            if let Some(fraction) = holdout {
                fit = fit.holdout(fraction);
            }
            if let Some(from) = from_model {
                fit = fit.from_model(&from.trained);
            }
            fit.run()
        })?;
        Self::of(trained, ratings.labels.clone())
    }

    /// Opens a directory.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, device: &str) -> PyResult<Self> {
        let trained = work::work(py, None, None, |_| Trained::open(&path, &work::device(device)?))?;
        let named = |side: usize| {
            let name = trained.model().run.data[IDS][side].as_str();
            Labels::by_name(name.unwrap_or_default())
        };
        Ok(Self { labels: [named(0), named(1)], trained, stop: None })
    }

    /// Writes a directory.
    fn save(&self, py: Python<'_>, path: PathBuf, force: bool) -> PyResult<()> {
        work::work(py, None, None, |_| self.trained.save(&path, force))
    }

    /// Writes embeddings for other programs.
    fn export(&self, py: Python<'_>, path: PathBuf, format: &str, force: bool) -> PyResult<()> {
        let format = serde_format(format)?;
        let model = self.trained.model();
        work::work(py, None, None, |_| wgmf::model::export(model, format, &path, force, &()))
    }

    /// The ids of a side in order of their rows.
    fn ids<'py>(&self, py: Python<'py>, side: &str) -> PyResult<Bound<'py, PyAny>> {
        let side = side_of(side)?;
        self.labels[side.index()].shown(py, self.trained.model().ids(side))
    }

    /// How many training ratings each row of a side has.
    fn counts<'py>(&self, py: Python<'py>, side: &str) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let model = self.trained.model();
        Ok(PyArray1::from_slice(
            py,
            match side_of(side)? {
                Side::User => &model.user_ratings,
                Side::Item => &model.item_ratings,
            },
        ))
    }

    /// The factors of a side: (rows, factors), the model's own memory.
    fn factors<'py>(slf: &Bound<'py, Self>, side: &str) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let factors = &slf.get().trained.model().factors;
        let numbers = &factors[side_of(side)?].factors;
        if factors.factors == 0 {
            let rows = factors[side_of(side)?].rows();
            return Ok(PyArray2::zeros(slf.py(), [rows, 0], false));
        }
        views::table(numbers, factors.factors, slf.clone().into_any())
    }

    /// The biases of a side.
    fn bias<'py>(slf: &Bound<'py, Self>, side: &str) -> PyResult<Bound<'py, PyArray1<f32>>> {
        views::column(
            &slf.get().trained.model().factors[side_of(side)?].bias,
            slf.clone().into_any(),
        )
    }

    /// The global mean.
    #[getter]
    fn global_mean(&self) -> f32 {
        self.trained.model().factors.global_mean
    }

    /// What a prediction is: `rating`, `probability`, `preference` or `score`.
    #[getter]
    fn unit(&self) -> &'static str {
        match self.trained.model().unit() {
            Unit::Rating => "rating",
            Unit::Probability => "probability",
            Unit::Preference => "preference",
            Unit::Score => "score",
        }
    }

    /// Whether it has samples.
    #[getter]
    fn is_bayesian(&self) -> bool {
        self.trained.samples().is_some()
    }

    /// Why training ended.
    #[getter]
    fn stop(&self) -> Option<&'static str> {
        self.stop.map(|stop| match stop {
            Stop::Finished => "finished",
            Stop::Patience => "patience",
            Stop::Interrupted => "interrupted",
        })
    }

    /// The record of the run.
    fn run<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::shown(py, &self.trained.model().run)
    }

    /// The training pairs as the arrays of a sparse matrix of users in rows; nothing for values that were
    /// not kept.
    #[expect(clippy::type_complexity, reason = "three arrays")]
    fn seen<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Option<Bound<'py, PyArray1<f32>>>)
    {
        let seen = self.trained.seen();
        let indices: Vec<i32> = seen.indices().iter().map(|&item| item as i32).collect();
        (
            PyArray1::from_slice(py, seen.indptr()),
            PyArray1::from_vec(py, indices),
            seen.values().map(|values| PyArray1::from_slice(py, values)),
        )
    }

    /// The best items for users, all of them where none is named.
    #[pyo3(signature = (users, n, include_seen, only, exclude, by))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn recommend<'py>(
        &self,
        py: Python<'py>,
        users: Option<&Bound<'py, PyAny>>,
        n: usize,
        include_seen: bool,
        only: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
        by: Option<(String, f64)>,
    ) -> PyResult<Listed<'py>> {
        let (trained, model) = (&self.trained, self.trained.model());
        let rows = match users {
            Some(users) => self.rows(Side::User, users)?,
            None => (0..model.factors.users() as u32).collect(),
        };
        let kept = self.kept(Side::Item, only, exclude)?;
        let criterion = criterion(by)?;
        let lists = work::work(py, None, None, |watch| {
            let usual = kept.is_none() && !include_seen && criterion == Criterion::Mean;
            let recommender: Arc<Recommender<'_>> = match usual {
                true => trained.recommender()?,
                false => {
                    let keep = |row: u32| kept.as_ref().is_none_or(|kept| kept[row as usize]);
                    let catalogue = match trained.predictive()? {
                        Some(predictive) => Catalogue::by_samples(predictive, criterion, keep)?,
                        None => Catalogue::filtered(model.clone(), keep),
                    };
                    let recommender = Recommender::new(&**trained.device(), catalogue)?;
                    Arc::new(match include_seen {
                        true => recommender,
                        false => recommender.leaving_out(trained.seen().clone())?,
                    })
                }
            };
            let mut lists = Lists::default();
            recommender.each(rows, n, |user, list| {
                lists.add(user, list.iter().map(|best| (best.item, best.score)));
                watch.check()
            })?;
            Ok(lists)
        })?;
        Ok(lists.shown(py))
    }

    /// The rows most like others of a side.
    #[pyo3(signature = (side, ids, n, only, exclude))]
    fn similar<'py>(
        &self,
        py: Python<'py>,
        side: &str,
        ids: &Bound<'py, PyAny>,
        n: usize,
        only: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Listed<'py>> {
        let side = side_of(side)?;
        let (rows, kept) = (self.rows(side, ids)?, self.kept(side, only, exclude)?);
        let trained = &self.trained;
        let lists = work::work(py, None, None, |watch| {
            let neighbours = match kept {
                None => trained.neighbours(side)?,
                Some(kept) => {
                    let keep = |row: u32| kept[row as usize];
                    let (device, metric) = (&**trained.device(), Metric::Cosine);
                    Arc::new(match trained.predictive()? {
                        Some(predictive) => {
                            Neighbours::by_samples_among(device, predictive, side, metric, keep)?
                        }
                        None => {
                            Neighbours::among(device, trained.model().clone(), side, metric, keep)?
                        }
                    })
                }
            };
            let mut lists = Lists::default();
            neighbours.each(rows, n, |row, list| {
                lists.add(row, list.iter().map(|like| (like.row, like.score)));
                watch.check()
            })?;
            Ok(lists)
        })?;
        Ok(lists.shown(py))
    }

    /// Lists for users that the model does not know, from their ratings: users, places, items, scores.
    fn recommend_new<'py>(
        &self,
        py: Python<'py>,
        ratings: &Dataset,
        n: usize,
    ) -> PyResult<(Bound<'py, PyAny>, Listed<'py>)> {
        let (items, set) = (&self.trained.model().items, ratings.set());
        let listed = work::work(py, None, None, |_| self.trained.recommend_for(&set, n))?;
        let (mut lists, mut users) = (Lists::default(), wgmf::core::Ids::new());
        for (user, list) in &listed {
            let asked = users.intern(user);
            let row = |id: &str| items.get(id).unwrap_or(UNKNOWN);
            lists.add(asked, list.iter().map(|best| (row(&best.id), best.score)));
        }
        Ok((ratings.labels[0].shown(py, &users)?, lists.shown(py)))
    }

    /// The model with rows for the new ids of a side; with what became of others.
    fn fold_in<'py>(
        &self,
        py: Python<'py>,
        ratings: &Dataset,
        side: &str,
    ) -> PyResult<(Self, Bound<'py, PyDict>)> {
        let side = side_of(side)?;
        let set = ratings.set();
        let folded = work::work(py, None, None, |_| match side {
            Side::User => self.trained.fold_in(&set),
            Side::Item => self.trained.fold_in_items(&set),
        })?;
        let facts = PyDict::new(py);
        for (name, ids) in [
            ("new", &folded.new),
            ("known", &folded.known),
            ("empty", &folded.empty),
            ("strangers", &folded.strangers),
        ] {
            facts.set_item(name, PyList::new(py, ids)?)?;
        }
        Ok((Self { trained: folded.trained, labels: self.labels.clone(), stop: self.stop }, facts))
    }

    /// Predictions of pairs of ids; deviations and intervals too of a Bayesian model.
    #[pyo3(signature = (users, items, interval, credible))]
    fn predict<'py>(
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
    #[pyo3(signature = (test, at, relevant_from, baselines, include_seen, candidates, by))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn evaluate<'py>(
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

    /// Writes the model on a page of HTML; `titles`: of each item, empty of those that have none.
    #[pyo3(signature = (path, name, test, relevant_from, titles))]
    fn report(
        &self,
        py: Python<'_>,
        path: PathBuf,
        name: String,
        test: Option<&Dataset>,
        relevant_from: Option<f32>,
        titles: Vec<String>,
    ) -> PyResult<()> {
        let title = |item: u32| titles.get(item as usize).cloned().unwrap_or_default();
        let relevance = relevant_from.map(Relevance::From);
        let set = test.map(Dataset::set);
        work::work(py, None, None, |_| {
            let mut out = wgmf::files::Output::create(&path, true)?;
            let page = self.trained.report(&name, set.as_deref(), relevance, &title)?;
            out.write(|to| std::io::Write::write_all(to, page.as_bytes()))?;
            out.commit()
        })
    }

    /// The settings of training, as they were used.
    #[getter]
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.trained.model().run.settings)
    }
}

/// A format of exports by name.
fn serde_format(name: &str) -> PyResult<wgmf::model::Format> {
    use wgmf::model::Format::*;
    Ok(match name {
        "npy" => Npy,
        "csv" => Csv,
        "tsv" => Tsv,
        "safetensors" => Safetensors,
        "word2vec" => Word2vec,
        "projector" => Projector,
        "pgvector" => Pgvector,
        _ => {
            return Err(error::settings(format!(
                "`format` does not take {name:?}; give npy, csv, tsv, safetensors, word2vec, projector or pgvector"
            )));
        }
    })
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
