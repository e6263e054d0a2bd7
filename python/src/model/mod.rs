//! Trained models: what Python asks of one. Each kind of answer has a file.

mod lists;
mod measures;
mod reports;
mod vectors;

use crate::column;
use crate::convert;
use crate::dataset::{Dataset, side_of};
use crate::error;
use crate::ids::Labels;
use crate::views;
use crate::work;
use lists::Listed;
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::{Value, json};
use std::path::PathBuf;
use wgmf::core::{Options, Side};
use wgmf::predict::Unit;
use wgmf::train::Stop;
use wgmf::{Fit, Trained};

pub(crate) use measures::measured;

/// A trained model.
#[pyclass(frozen, module = "wgmf._core")]
pub(crate) struct Model {
    pub(crate) trained: Trained,
    pub(crate) labels: [Labels; 2],
    stop: Option<Stop>,
}

/// Where a model's record keeps what its ids were.
const IDS: &str = "id_types";

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
        self.write_export(py, path, format, force)
    }

    /// The rows of ids of a side.
    fn rows_of<'py>(
        &self,
        py: Python<'py>,
        side: &str,
        ids: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        Ok(PyArray1::from_vec(py, self.rows(side_of(side)?, ids)?))
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

    /// Whether lists are by products of rows, and of a Bayesian model how many samples those are made of.
    #[getter]
    fn stacked(&self) -> PyResult<Option<usize>> {
        self.samples_in_vectors()
    }

    /// Of a Bayesian model the rows of a side whose products are the means of its samples' scores.
    fn sample_vectors<'py>(
        &self,
        py: Python<'py>,
        side: &str,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let side = side_of(side)?;
        self.vectors_of_samples(py, side, rows)
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
        self.best_items(py, users, n, include_seen, only, exclude, by)
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
        self.alike(py, side, ids, n, only, exclude)
    }

    /// Lists for users that the model does not know, from their ratings: users, places, items, scores.
    fn recommend_new<'py>(
        &self,
        py: Python<'py>,
        ratings: &Dataset,
        n: usize,
    ) -> PyResult<(Bound<'py, PyAny>, Listed<'py>)> {
        self.lists_of_new(py, ratings, n)
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
        self.predictions(py, users, items, interval, credible)
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
        self.figures(py, test, at, relevant_from, baselines, include_seen, candidates, by)
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
        self.write_report(py, path, name, test, relevant_from, titles)
    }

    /// The settings of training, as they were used.
    #[getter]
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.trained.model().run.settings)
    }
}
