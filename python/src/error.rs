//! The one class of errors.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use wgmf::ErrorKind;

pyo3::create_exception!(
    wgmf,
    Error,
    PyException,
    "What wgmf cannot do, and why: where, what, and what to do next.\n\n`kind` is one of \"settings\", \"data\", \
     \"file\", \"device\", \"memory\" and \"training\"."
);

/// The same for Python. Backticks in names of the user's own have a backslash before them in the library, which
/// tells settings by them; here settings are called as they are there.
pub(crate) fn raised(error: wgmf::Error) -> PyErr {
    let kind = match error.kind() {
        ErrorKind::Settings(_) => "settings",
        ErrorKind::Io { .. } | ErrorKind::Line { .. } | ErrorKind::File { .. } => "file",
        ErrorKind::Device(_) => "device",
        ErrorKind::Memory(_) => "memory",
        ErrorKind::NonFinite { .. } => "training",
        _ => "data",
    };
    new(kind, error.to_string().replace("\\`", "`"))
}

/// An error of this module's own.
pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> PyErr {
    let error = Error::new_err(message.into());
    Python::attach(|py| {
        // The class takes attributes as every Python class does.
        let _ = error.value(py).setattr("kind", kind);
    });
    error
}

/// Data that cannot be used.
pub(crate) fn data(message: impl Into<String>) -> PyErr {
    new("data", message)
}

/// A setting that makes no sense.
pub(crate) fn settings(message: impl Into<String>) -> PyErr {
    new("settings", message)
}
