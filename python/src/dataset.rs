//! Ratings.

use crate::arrow;
use crate::column::Column;
use crate::convert;
use crate::error;
use crate::ids::Labels;
use crate::work;
use numpy::{Element, PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use wgmf::core::{Ids, NO_TIME, Ratings, Side, TransformKind};
use wgmf::data::{DataOptions, Duplicates, Order, weights_by_age};
use wgmf::progress::Progress;

/// Ratings with the ids of users and items.
#[pyclass(frozen, module = "wgmf._core")]
pub(crate) struct Dataset {
    set: Mutex<Arc<wgmf::Dataset>>,
    pub(crate) labels: [Labels; 2],
    /// What was told of the files.
    notes: Vec<String>,
}

/// What was said of what ratings count: the name of a column, and the days of a half-life.
type Said = (Option<String>, Option<f64>);

/// Keeps what is to be told.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn start(&self, _step: &str, _total: Option<u64>, _unit: &'static str) {}
    fn advance(&self, _done: u64) {}
    fn finish(&self) {}
    fn note(&self, text: &str) {
        if let Ok(mut notes) = self.0.lock() {
            notes.push(text.to_owned());
        }
    }
}

/// One of the words of a setting.
fn word<T: serde::de::DeserializeOwned>(name: &str, word: &str) -> PyResult<T> {
    serde_json::from_value(word.into())
        .map_err(|why| error::settings(format!("`{name}` does not take \"{word}\": {why}")))
}

impl Dataset {
    fn of(set: wgmf::Dataset, labels: [Labels; 2], notes: Vec<String>) -> Self {
        Self { set: Mutex::new(Arc::new(set)), labels, notes }
    }

    /// The ratings.
    pub(crate) fn set(&self) -> Arc<wgmf::Dataset> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same for whoever is the last to ask: where nobody else has them they are not copied, and none are
    /// left here.
    pub(crate) fn take(&self) -> wgmf::Dataset {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::unwrap_or_clone(std::mem::take(&mut *set))
    }

    fn of_columns(
        [users, items]: [Column; 2],
        values: Option<Vec<f32>>,
        timestamps: Vec<i64>,
        (weights, said): (Option<Vec<f32>>, Said),
        (duplicates, order): (Duplicates, Order),
        py: Python<'_>,
    ) -> PyResult<Self> {
        let labels = [users.labels.clone(), items.labels.clone()];
        let [users, items] = [users, items].map(|column| (column.ids, column.rows));
        let values = values.unwrap_or_else(|| vec![1.0; users.1.len()]);
        let lengths = [users.1.len(), items.1.len(), values.len()];
        if lengths.iter().any(|&length| length != lengths[0]) {
            return Err(error::data(format!(
                "{} users, {} items and {} ratings: each rating needs one of each",
                lengths[0], lengths[1], lengths[2]
            )));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(error::data(format!(
                "the rating at {at} is {}, which is not a finite number",
                values[at]
            )));
        }
        let mut weights = weights.unwrap_or_default();
        if !weights.is_empty() && weights.len() != values.len() {
            return Err(error::data(format!(
                "{} ratings and {} `weights`: each rating needs one",
                values.len(),
                weights.len()
            )));
        }
        let (column, half_life) = said;
        let set = work::quietly(py, || {
            if let Some(days) = half_life {
                weights = weights_by_age(&timestamps, &weights, days)?;
            }
            let ratings = Ratings { users: users.1, items: items.1, values, timestamps, weights };
            let set = wgmf::Dataset::from_indices(users.0, items.0, ratings, duplicates, order)?;
            Ok(set.weighed_by(column, half_life))
        })?;
        Ok(Self::of(set, labels, Vec::new()))
    }

    fn like(&self, set: wgmf::Dataset) -> Self {
        Self::of(set, self.labels.clone(), Vec::new())
    }

    fn pair(&self, parts: (wgmf::Dataset, wgmf::Dataset)) -> (Self, Self) {
        (self.like(parts.0), self.like(parts.1))
    }
}

/// An array, or nothing where the object is none of that type.
fn array<'py, T: Element>(object: &Bound<'py, PyAny>) -> Option<PyReadonlyArray1<'py, T>> {
    object.extract().ok()
}

/// Ratings of single or double precision.
fn values(object: &Bound<'_, PyAny>) -> PyResult<Option<Vec<f32>>> {
    if object.is_none() {
        return Ok(None);
    }
    if let Some(single) = array::<f32>(object) {
        return Ok(Some(single.as_array().to_vec()));
    }
    if let Some(double) = array::<f64>(object) {
        return Ok(Some(double.as_array().iter().map(|&value| value as f32).collect()));
    }
    if object.hasattr("__arrow_c_stream__")? {
        return arrow::values(object).map(Some);
    }
    Err(error::data("ratings have to be numbers"))
}

#[pymethods]
impl Dataset {
    /// Reads files as one set.
    #[staticmethod]
    fn from_files(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let options: DataOptions = convert::settings(options)?;
        options.check().map_err(error::raised)?;
        let notes = Notes::default();
        let (set, mut told) =
            work::work(py, None, None, |_| wgmf::Dataset::prepared_from(&paths, &options, &notes))?;
        told.extend(notes.0.into_inner().unwrap_or_default());
        Ok(Self::of(set, [Labels::Texts, Labels::Texts], told))
    }

    /// From columns: of ids arrays of whole numbers, Arrow's columns, (codes, categories) or sequences; of ratings
    /// arrays, or None for 1 each; of times an array of int64, or None; of weights as of ratings.
    #[staticmethod]
    #[pyo3(signature = (users, items, ratings, times, weights, said, duplicates, order))]
    #[expect(clippy::too_many_arguments, reason = "as many columns")]
    fn from_columns(
        py: Python<'_>,
        users: &Bound<'_, PyAny>,
        items: &Bound<'_, PyAny>,
        ratings: &Bound<'_, PyAny>,
        times: Option<PyReadonlyArray1<'_, i64>>,
        weights: &Bound<'_, PyAny>,
        said: Said,
        duplicates: &str,
        order: &str,
    ) -> PyResult<Self> {
        let how = (word("duplicates", duplicates)?, word("order", order)?);
        let columns = [Column::of(Side::User, users)?, Column::of(Side::Item, items)?];
        let times = times.map_or_else(Vec::new, |times| times.as_array().to_vec());
        let weighed = (values(weights)?, said);
        Self::of_columns(columns, values(ratings)?, times, weighed, how, py)
    }

    /// From a table of Arrow's.
    #[staticmethod]
    fn from_arrow(
        table: &Bound<'_, PyAny>,
        columns: Option<&str>,
        weights: &Bound<'_, PyAny>,
        said: Said,
        duplicates: &str,
        order: &str,
    ) -> PyResult<Self> {
        let how = (word("duplicates", duplicates)?, word("order", order)?);
        let read = arrow::table(table, columns)?;
        let times =
            if read.times.iter().all(|&time| time == NO_TIME) { vec![] } else { read.times };
        let weighed = (values(weights)?, said);
        Self::of_columns([read.users, read.items], read.values, times, weighed, how, table.py())
    }

    /// From the arrays of a sparse matrix in rows of users; ids are the numbers of rows and columns.
    #[staticmethod]
    fn from_csr(
        py: Python<'_>,
        indptr: &Bound<'_, PyAny>,
        indices: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        columns: usize,
        duplicates: &str,
    ) -> PyResult<Self> {
        let duplicates = word("duplicates", duplicates)?;
        let kind = || error::data("indices of a sparse matrix are int32 or int64");
        let starts: Vec<i64> = match (array::<i64>(indptr), array::<i32>(indptr)) {
            (Some(starts), _) => starts.as_array().to_vec(),
            (_, Some(starts)) => starts.as_array().iter().map(|&start| i64::from(start)).collect(),
            _ => return Err(kind()),
        };
        let values = values(data)?;
        let ((users, user_ids), (items, item_ids)) = match (array(indices), array(indices)) {
            (Some(indices), _) => csr::<i64>(&starts, &indices, columns, py)?,
            (_, Some(indices)) => csr::<i32>(&starts, &indices, columns, py)?,
            _ => return Err(kind()),
        };
        let columns = [Column::numbered(user_ids, users), Column::numbered(item_ids, items)];
        let how = (duplicates, Order::Canonical);
        Self::of_columns(columns, values, Vec::new(), (None, (None, None)), how, py)
    }

    /// The same ratings with what is done to their values before training, and without rare ids.
    fn with_options(
        &self,
        py: Python<'_>,
        transform: Vec<String>,
        threshold: f32,
        least: (u32, u32),
    ) -> PyResult<Self> {
        let kinds: Vec<TransformKind> =
            transform.iter().map(|kind| word("transform", kind)).collect::<PyResult<_>>()?;
        let set = wgmf::Dataset::clone(&self.set());
        let set = work::quietly(py, || {
            set.transformed(&kinds).with_threshold(threshold)?.with_at_least(least.0, least.1)
        })?;
        Ok(self.like(set))
    }

    /// Cuts a fraction off, of all ratings or of each user's.
    fn split(
        &self,
        py: Python<'_>,
        fraction: f64,
        seed: u64,
        per_user: bool,
    ) -> PyResult<(Self, Self)> {
        let set = self.set();
        let parts = work::quietly(py, || match per_user {
            true => set.split_per_user(fraction, seed),
            false => set.split(fraction, seed),
        })?;
        Ok(self.pair(parts))
    }

    /// One of some parts to test on, the others to train on.
    fn fold(&self, py: Python<'_>, folds: u32, fold: u32, seed: u64) -> PyResult<(Self, Self)> {
        let parts = work::quietly(py, || self.set().fold(folds, fold, seed))?;
        Ok(self.pair(parts))
    }

    fn __len__(&self) -> usize {
        self.set().len()
    }

    /// The ids of a side, in order.
    fn ids<'py>(&self, py: Python<'py>, side: &str) -> PyResult<Bound<'py, PyAny>> {
        let side = side_of(side)?;
        self.labels[side.index()].shown(py, self.set().ids(side))
    }

    /// Of each rating the place of its user and item among the ids, and its value.
    #[expect(clippy::type_complexity, reason = "three arrays")]
    fn arrays<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<f32>>) {
        let set = self.set();
        let ratings = set.ratings();
        (
            PyArray1::from_slice(py, &ratings.users),
            PyArray1::from_slice(py, &ratings.items),
            PyArray1::from_slice(py, &ratings.values),
        )
    }

    /// What was told of the files that it was read from.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// A side by name.
pub(crate) fn side_of(name: &str) -> PyResult<Side> {
    match name {
        "user" => Ok(Side::User),
        "item" => Ok(Side::Item),
        _ => Err(error::settings(format!("{name:?} is neither user nor item"))),
    }
}

/// Rows and their ids: those of the numbers that occur.
type Numbered = (Vec<u32>, Ids);

/// Users and items of a sparse matrix.
fn csr<T: Element + Copy + TryInto<usize>>(
    starts: &[i64],
    indices: &PyReadonlyArray1<'_, T>,
    columns: usize,
    py: Python<'_>,
) -> PyResult<(Numbered, Numbered)> {
    let stored = indices.len();
    let ends = starts.last().copied().and_then(|end| usize::try_from(end).ok());
    if !starts.is_sorted() || starts.first() != Some(&0) || ends.is_none_or(|end| end > stored) {
        return Err(error::data("the sparse matrix is none: its rows do not follow each other"));
    }
    let indices = indices.as_array();
    py.detach(|| {
        let (mut users, mut user_ids) = (Vec::with_capacity(stored), Ids::new());
        let mut text = String::new();
        let mut id = |ids: &mut Ids, number: usize| {
            text.clear();
            let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{number}"));
            ids.intern(&text)
        };
        for (row, ends) in starts.windows(2).enumerate().filter(|(_, ends)| ends[0] < ends[1]) {
            let user = id(&mut user_ids, row);
            users.resize(ends[1] as usize, user);
        }
        let (mut items, mut item_ids) = (Vec::with_capacity(users.len()), Ids::new());
        let mut known = vec![u32::MAX; columns];
        for &column in indices.iter().take(users.len()) {
            let column = column.try_into().ok().filter(|&column| column < columns);
            let Some(column) = column else {
                return Err(error::data("the sparse matrix is none: a column is beyond its shape"));
            };
            if known[column] == u32::MAX {
                known[column] = id(&mut item_ids, column);
            }
            items.push(known[column]);
        }
        Ok(((users, user_ids), (items, item_ids)))
    })
}

/// What a word says, in the same words as the command line.
pub(crate) fn parsed<T: FromStr<Err = wgmf::Error>>(text: &str) -> PyResult<T> {
    text.parse().map_err(error::raised)
}
