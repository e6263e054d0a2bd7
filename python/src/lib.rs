//! The extension module `wgmf._core`: ratings and models for Python. What a user of Python sees is made of it
//! in `wgmf/`; nothing here prints, and all that takes time lets other threads of Python run.
#![deny(unsafe_code)]
#![warn(unreachable_pub, unused_qualifications)]

mod arrow;
mod column;
mod convert;
mod dataset;
mod error;
mod ids;
mod implicit;
mod model;
mod search;
mod views;
mod work;

/// What Python imports.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use super::dataset::Dataset;
    #[pymodule_export]
    use super::error::Error;
    #[pymodule_export]
    use super::implicit::{fit_hu, solve_hu};
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::search::{compare, cross_validate, tune};

    use super::{convert, error, work};
    use pyo3::prelude::*;
    use std::ffi::OsString;
    use std::process::ExitCode;

    /// The columns of user, item, rating and timestamp among these names, or None for each that is not there.
    #[pyfunction]
    #[pyo3(signature = (names, numbers, columns=None))]
    fn columns_of(
        names: Vec<String>,
        numbers: Vec<bool>,
        columns: Option<&str>,
    ) -> PyResult<[Option<usize>; 4]> {
        wgmf::data::columns_of(&names, &numbers, columns).map_err(error::raised)
    }

    /// The settings of training by name, with what they are where nobody says.
    #[pyfunction]
    fn settings(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        convert::to_python(py, &convert::value_of(&wgmf::Options::default())?)
    }

    /// The command line; what it returns is the exit code.
    #[pyfunction]
    fn main(py: Python<'_>, words: Vec<OsString>) -> u8 {
        let code = py.detach(|| wgmf::cli::main(words));
        (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        work::hush_waits();
        Ok(())
    }
}
