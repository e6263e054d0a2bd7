//! Columns of ids, from whatever Python has them in: numbers stay numbers, texts texts, and all else comes back
//! as the object that it was.

use crate::arrow;
use crate::error;
use crate::ids::Labels;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;
use std::sync::Arc;
use wgmf::core::{Ids, Side, escaped};

/// The longest id, in bytes: that of files.
const LONGEST: usize = 64 << 10;

/// Ids of a side and which of them each rating has.
#[derive(Default)]
pub(crate) struct Column {
    pub(crate) ids: Ids,
    pub(crate) rows: Vec<u32>,
    pub(crate) labels: Labels,
    numbers: HashMap<i64, u32>,
    text: String,
}

impl Column {
    /// Of whole numbers that are texts already.
    pub(crate) fn numbered(ids: Ids, rows: Vec<u32>) -> Self {
        Self { ids, rows, labels: Labels::Numbers, ..Self::default() }
    }

    /// Adds whole numbers.
    pub(crate) fn numbers(&mut self, numbers: impl ExactSizeIterator<Item = i64>) {
        self.labels = Labels::Numbers;
        self.rows.reserve(numbers.len());
        for number in numbers {
            let row = match self.numbers.entry(number) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    self.text.clear();
                    let _ = write!(self.text, "{number}");
                    *new.insert(self.ids.intern(&self.text))
                }
            };
            self.rows.push(row);
        }
    }

    /// Adds an id that is a text.
    pub(crate) fn text(&mut self, side: Side, text: &str) -> PyResult<()> {
        check(side, self.rows.len(), text)?;
        self.rows.push(self.ids.intern(text));
        Ok(())
    }

    /// From what Python has: an array of whole numbers, a column of Arrow's, a pair of codes and categories, or
    /// any sequence of objects.
    pub(crate) fn of(side: Side, object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let mut column = Self::default();
        if let Ok(array) = object.extract::<PyReadonlyArray1<'_, i64>>() {
            let view = array.as_array();
            py.detach(|| column.numbers(view.iter().copied()));
        } else if let Ok(array) = object.extract::<PyReadonlyArray1<'_, i32>>() {
            let view = array.as_array();
            py.detach(|| column.numbers(view.iter().map(|&number| i64::from(number))));
        } else if let Ok((codes, categories)) =
            object.extract::<(PyReadonlyArray1<'_, i64>, Bound<'_, PyAny>)>()
        {
            column = Self::of(side, &categories)?.chosen(side, codes.as_array().iter().copied())?;
        } else if object.hasattr("__arrow_c_stream__")? {
            arrow::column(side, object, &mut column)?;
        } else {
            column.objects(side, object)?;
        }
        Ok(column)
    }

    /// The ids that codes stand for; those that none stands for are gone.
    pub(crate) fn chosen(
        self,
        side: Side,
        codes: impl ExactSizeIterator<Item = i64>,
    ) -> PyResult<Self> {
        let mut chosen = Self { labels: self.labels.clone(), ..Self::default() };
        let mut known = vec![u32::MAX; self.rows.len()];
        chosen.rows.reserve(codes.len());
        for (at, code) in codes.enumerate() {
            let category = usize::try_from(code).ok().filter(|&code| code < known.len());
            let Some(category) = category else { return Err(missing(side, at)) };
            if known[category] == u32::MAX {
                let text = self.ids.name(self.rows[category]);
                known[category] = chosen.ids.intern(text);
            }
            chosen.rows.push(known[category]);
        }
        Ok(chosen)
    }

    fn objects(&mut self, side: Side, objects: &Bound<'_, PyAny>) -> PyResult<()> {
        let (mut texts, mut numbers, mut others) = (false, false, false);
        for (at, object) in objects.try_iter()?.enumerate() {
            let object = object?;
            if let Ok(text) = object.cast::<PyString>() {
                texts = true;
                self.text(side, text.to_str()?)?;
                continue;
            }
            others |= self.object(side, at, &object, &mut numbers)?;
        }
        self.labels = match (texts, numbers, others) {
            (_, false, false) => Labels::Texts,
            (false, true, false) => Labels::Numbers,
            _ => return self.keep_objects(side, objects),
        };
        Ok(())
    }

    /// Adds an id that is no text; whether it has to be kept to be given back.
    fn object(
        &mut self,
        side: Side,
        at: usize,
        object: &Bound<'_, PyAny>,
        numbers: &mut bool,
    ) -> PyResult<bool> {
        let is_number = is_whole(object)?;
        *numbers |= is_number;
        if !is_number && is_missing(object)? {
            return Err(missing(side, at));
        }
        let text = object.str()?;
        self.text(side, text.to_str()?)?;
        // One beyond 64 bits is no number of NumPy's.
        Ok(!is_number || object.extract::<i64>().is_err())
    }

    /// Notes which object each text stands for.
    fn keep_objects(&mut self, side: Side, objects: &Bound<'_, PyAny>) -> PyResult<()> {
        let kept = PyDict::new(objects.py());
        for object in objects.try_iter()? {
            let object = object?;
            let text = object.str()?;
            match kept.get_item(&text)? {
                None => kept.set_item(text, object)?,
                Some(other) if other.eq(&object)? => {}
                Some(other) => {
                    return Err(error::data(format!(
                        "{side} ids {} and {} are written alike; make them one, or of one type",
                        other.repr()?,
                        object.repr()?,
                        side = side.name()
                    )));
                }
            }
        }
        self.labels = Labels::Objects(Arc::new(kept.unbind()));
        Ok(())
    }
}

/// Whether an object is a whole number, of Python or NumPy, and no truth.
pub(crate) fn is_whole(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if object.cast::<PyBool>().is_ok() {
        return Ok(false);
    }
    Ok(object.cast::<PyInt>().is_ok() || object.hasattr("__index__")?)
}

/// Whether it stands for nothing: None, NaN, NaT, NA.
fn is_missing(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    if object.is_none() {
        return Ok(true);
    }
    // pandas' NA is neither equal nor unequal to itself.
    Ok(object.ne(object).unwrap_or(true))
}

/// Makes sure that a text can be an id.
pub(crate) fn check(side: Side, at: usize, text: &str) -> PyResult<()> {
    if (1..=LONGEST).contains(&text.len()) {
        return Ok(());
    }
    let side = side.name();
    Err(error::data(match text.is_empty() {
        true => format!("the {side} at {at} is an empty text"),
        false => {
            let start: String = escaped(text).chars().take(60).collect();
            format!("the {side} at {at} has more than {LONGEST} bytes: \"{start}...\"")
        }
    }))
}

/// That an id is missing.
pub(crate) fn missing(side: Side, at: usize) -> PyErr {
    error::data(format!("the {} at {at} is missing; leave such ratings out", side.name()))
}

/// An id that is looked up, as text.
pub(crate) fn text_of(object: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(object.str()?.to_str()?.to_owned())
}
