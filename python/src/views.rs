//! Arrays that show the model's own memory.

use numpy::ndarray::{ArrayView1, ArrayView2};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

/// A table of rows, without a copy; it cannot be written to, and keeps `owner` alive.
///
/// `numbers` have to belong to `owner`, which neither changes nor moves them.
pub(crate) fn table<'py>(
    numbers: &[f32],
    columns: usize,
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let rows = numbers.len().checked_div(columns).unwrap_or(0);
    let view = ArrayView2::from_shape((rows, columns), numbers);
    let view = view.map_err(|e| crate::error::data(e.to_string()))?;
    #[allow(unsafe_code, reason = "NumPy is shown memory that is not its own")]
    // SAFETY: the numbers lie in a model that `owner` shares and nobody changes; the array keeps `owner`, and
    // is made read-only before anyone sees it.
    let array = unsafe { PyArray2::borrow_from_array(&view, owner) };
    array.try_readwrite().map_err(|e| crate::error::data(e.to_string()))?.make_nonwriteable();
    Ok(array)
}

/// The same of a column.
pub(crate) fn column<'py>(
    numbers: &[f32],
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    #[allow(unsafe_code, reason = "NumPy is shown memory that is not its own")]
    // SAFETY: as above.
    let array = unsafe { PyArray1::borrow_from_array(&ArrayView1::from(numbers), owner) };
    array.try_readwrite().map_err(|e| crate::error::data(e.to_string()))?.make_nonwriteable();
    Ok(array)
}
