//! What the drop-in for implicit trains by.

use crate::error;
use crate::work;
use numpy::ndarray::{Array2, ArrayView2};
use numpy::{
    PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
    ToPyArray,
};
use pyo3::prelude::*;
use wgmf::core::{
    Confidence, Factors, Ids, Objective, Options, Ratings, Side, SideFactors, Solver,
};
use wgmf::model::Model;
use wgmf::recommend::fold_in;
use wgmf::train::{Event, Input, train};

/// What does not fit.
fn wrong() -> PyErr {
    error::data("the matrix and the factors do not fit each other")
}

/// The ratings of a sparse matrix of so many columns.
fn ratings_of(
    indptr: &PyReadonlyArray1<'_, i64>,
    indices: &PyReadonlyArray1<'_, i64>,
    data: &PyReadonlyArray1<'_, f32>,
    width: usize,
) -> PyResult<Ratings> {
    let (starts, columns) = (indptr.as_array(), indices.as_array());
    if columns.len() != data.as_array().len() {
        return Err(wrong());
    }
    let mut ratings = Ratings { values: data.as_array().to_vec(), ..Ratings::default() };
    for (row, (&start, &end)) in starts.iter().zip(starts.iter().skip(1)).enumerate() {
        let fits = ratings.users.len() as i64 == start && end >= start;
        let end = usize::try_from(end).ok().filter(|&end| fits && end <= columns.len());
        ratings.users.resize(end.ok_or_else(wrong)?, row as u32);
    }
    let column = |&column: &i64| u32::try_from(column).ok().filter(|&c| (c as usize) < width);
    ratings.items = columns.iter().map(column).collect::<Option<_>>().ok_or_else(wrong)?;
    Ok(ratings)
}

/// Names of rows that have none.
fn numbered(rows: usize) -> Ids {
    (0..rows).map(|row| row.to_string()).collect()
}

/// A table as a side of a model.
fn side(table: ArrayView2<'_, f32>) -> SideFactors {
    SideFactors { factors: table.iter().copied().collect(), bias: vec![0.0; table.nrows()] }
}

/// Users' and items' factors.
type Tables<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>);

/// Trains `epochs` sweeps of alternating least squares by the objective of Hu, Koren and Volinsky from given factors,
/// on the arrays of a sparse matrix of users in rows, whose every row and column has a row of factors.
#[pyfunction]
#[pyo3(signature = (indptr, indices, data, users, items, alpha, regularization, epochs, device, threads, hear))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn fit_hu<'py>(
    py: Python<'py>,
    indptr: PyReadonlyArray1<'py, i64>,
    indices: PyReadonlyArray1<'py, i64>,
    data: PyReadonlyArray1<'py, f32>,
    users: PyReadonlyArray2<'py, f32>,
    items: PyReadonlyArray2<'py, f32>,
    alpha: f64,
    regularization: f64,
    epochs: usize,
    device: &str,
    threads: Option<usize>,
    hear: Option<&Bound<'py, PyAny>>,
) -> PyResult<Tables<'py>> {
    let (x, y) = (users.as_array(), items.as_array());
    let factors = x.ncols();
    if y.ncols() != factors || indptr.len() != x.nrows() + 1 {
        return Err(wrong());
    }
    let ratings = ratings_of(&indptr, &indices, &data, y.nrows())?;
    let (user_ids, item_ids) = (numbered(x.nrows()), numbered(y.nrows()));
    let options = Options {
        solver: Some(Solver::Ials),
        confidence: Some(Confidence::Hu),
        alpha: Some(alpha),
        reg: Some(regularization),
        reg_exponent: Some(0.0),
        factors: Some(factors),
        epochs: Some(epochs),
        ..Options::default()
    };
    let init = Factors { factors, sides: [side(x), side(y)], global_mean: 0.0 };
    let (rows, count) = ([x.nrows(), y.nrows()], ratings.len());
    let trained = work::work(py, threads, hear, move |watch| {
        let device = work::device(device)?;
        options.check()?;
        let settings = options.resolve_for(device.suits(), &ratings, rows[0], rows[1])?;
        let input = Input { init: Some(init), ..Input::new(&user_ids, &item_ids, &ratings) };
        let listen = &mut |event: Event<'_>| Ok(watch.event(&event, epochs, count));
        Ok(train(&*device, input, &settings, listen)?.factors)
    })?;
    let [x, y] = trained.sides.map(|side| side.factors);
    let table = |numbers: Vec<f32>, rows: usize| {
        let table = Array2::from_shape_vec((rows, factors), numbers);
        table.map(|table| table.to_pyarray(py)).map_err(|_| wrong())
    };
    Ok((table(x, rows[0])?, table(y, rows[1])?))
}

/// The rows that minimize that objective, of the matrix's rows with the other side's `factors` as they are, all in one
/// half sweep.
#[pyfunction]
#[pyo3(signature = (indptr, indices, data, factors, alpha, regularization, device, threads))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn solve_hu<'py>(
    py: Python<'py>,
    indptr: PyReadonlyArray1<'py, i64>,
    indices: PyReadonlyArray1<'py, i64>,
    data: PyReadonlyArray1<'py, f32>,
    factors: PyReadonlyArray2<'py, f32>,
    alpha: f64,
    regularization: f64,
    device: &str,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let others = factors.as_array();
    let (k, rows) = (others.ncols(), indptr.len().checked_sub(1).ok_or_else(wrong)?);
    let ratings = ratings_of(&indptr, &indices, &data, others.nrows())?;
    let model = Model {
        typical: Default::default(),
        factors: Factors {
            factors: k,
            sides: [SideFactors::default(), side(others)],
            global_mean: 0.0,
        },
        users: Ids::new(),
        items: numbered(others.nrows()),
        user_ratings: Vec::new(),
        item_ratings: vec![0; others.nrows()],
        objective: Objective {
            confidence: Confidence::Hu,
            alpha: Some(alpha),
            reg: regularization,
            reg_exponent: 0.0,
            unobserved_weight: 1.0,
            ..Objective::new(Solver::Ials)
        },
        facts: Default::default(),
        run: Default::default(),
    };
    let solved = work::work(py, threads, None, |_| {
        fold_in(&*work::device(device)?, &model, Side::User, &numbered(rows), &ratings)
    })?;
    PyArray1::from_vec(py, solved.factors).reshape([rows, k])
}
