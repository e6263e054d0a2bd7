//! What the drop-in for implicit trains by.

use crate::error;
use crate::work;
use numpy::ndarray::Array2;
use numpy::{PyArray2, PyReadonlyArray1, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;
use wgmf::core::{Confidence, Factors, Ids, Options, Ratings, SideFactors, Solver};
use wgmf::train::{Event, Input, train};

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
    let (starts, columns) = (indptr.as_array(), indices.as_array());
    let (x, y) = (users.as_array(), items.as_array());
    let factors = x.ncols();
    let wrong = || error::data("the matrix and the factors do not fit each other");
    if y.ncols() != factors
        || starts.len() != x.nrows() + 1
        || columns.len() != data.as_array().len()
    {
        return Err(wrong());
    }
    let mut ratings = Ratings { values: data.as_array().to_vec(), ..Ratings::default() };
    for (row, (&start, &end)) in starts.iter().zip(starts.iter().skip(1)).enumerate() {
        let fits = ratings.users.len() as i64 == start && end >= start;
        let end = usize::try_from(end).ok().filter(|&end| fits && end <= columns.len());
        ratings.users.resize(end.ok_or_else(wrong)?, row as u32);
    }
    let column = |&column: &i64| u32::try_from(column).ok().filter(|&c| (c as usize) < y.nrows());
    ratings.items = columns.iter().map(column).collect::<Option<_>>().ok_or_else(wrong)?;
    let named = |rows: usize| (0..rows).map(|row| row.to_string()).collect::<Ids>();
    let (user_ids, item_ids) = (named(x.nrows()), named(y.nrows()));
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
    let side = |table: numpy::ndarray::ArrayView2<'_, f32>| SideFactors {
        factors: table.iter().copied().collect(),
        bias: vec![0.0; table.nrows()],
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
