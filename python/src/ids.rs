//! What the ids of a model were before they became texts.

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::sync::Arc;
use wgmf::core::Ids;

/// What the ids of a side are to the user.
#[derive(Clone, Default)]
pub(crate) enum Labels {
    /// Texts.
    #[default]
    Texts,
    /// Whole numbers.
    Numbers,
    /// Anything else: what each text stands for.
    Objects(Arc<Py<PyDict>>),
}

impl Labels {
    /// What a model's record calls them.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Numbers => "int",
            Self::Texts | Self::Objects(_) => "str",
        }
    }

    /// By that name.
    pub(crate) fn by_name(name: &str) -> Self {
        if name == "int" { Self::Numbers } else { Self::Texts }
    }

    /// Ids as the user has them: an array of int64, or a list.
    pub(crate) fn shown<'py>(&self, py: Python<'py>, ids: &Ids) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Numbers => {
                let numbers: Option<Vec<i64>> = ids.iter().map(|id| id.parse().ok()).collect();
                match numbers {
                    Some(numbers) => Ok(PyArray1::from_vec(py, numbers).into_any()),
                    None => Self::Texts.shown(py, ids),
                }
            }
            Self::Texts => Ok(PyList::new(py, ids.iter())?.into_any()),
            Self::Objects(kept) => {
                let kept = kept.bind(py);
                let object = |id: &str| match kept.get_item(id)? {
                    Some(object) => Ok(object),
                    None => Ok(id.into_pyobject(py)?.into_any()),
                };
                let objects: Vec<_> = ids.iter().map(object).collect::<PyResult<_>>()?;
                Ok(PyList::new(py, objects)?.into_any())
            }
        }
    }
}
