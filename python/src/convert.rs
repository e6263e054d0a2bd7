//! Values of JSON and of Python.

use crate::error;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// What is serialized, as a value.
pub(crate) fn value_of(what: &impl Serialize) -> PyResult<Value> {
    serde_json::to_value(what).map_err(|e| error::data(format!("cannot be written: {e}")))
}

/// A value as Python has it.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => whole.into_pyobject(py)?.into_any(),
            (None, Some(whole)) => whole.into_pyobject(py)?.into_any(),
            (None, None) => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(values) => {
            let values: Vec<_> =
                values.iter().map(|value| to_python(py, value)).collect::<PyResult<_>>()?;
            PyList::new(py, values)?.into_any()
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// What is serialized, as Python has it.
pub(crate) fn shown<'py>(py: Python<'py>, what: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, &value_of(what)?)
}

/// A value of Python as JSON has it; nothing where it has no such. NumPy's scalars are the numbers they
/// hold.
pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    if object.is_none() {
        return Ok(Some(Value::Null));
    }
    if let Ok(truth) = object.cast::<PyBool>() {
        return Ok(Some(Value::Bool(truth.is_true())));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Some(Value::String(text.to_str()?.to_owned())));
    }
    if object.cast::<PyInt>().is_ok() {
        let number = object.extract::<u64>().map(Number::from);
        let number = number.or_else(|_| object.extract::<i64>().map(Number::from));
        return Ok(number.ok().map(Value::Number));
    }
    if object.cast::<PyFloat>().is_ok() {
        return Ok(Number::from_f64(object.extract()?).map(Value::Number));
    }
    if object.hasattr("item")? && object.hasattr("dtype")? {
        let inner = object.call_method0("item")?;
        if !inner.hasattr("dtype")? {
            return from_python(&inner);
        }
    }
    if let Ok(sequence) = object.try_iter()
        && object.cast::<PyDict>().is_err()
    {
        let mut values = Vec::new();
        for item in sequence {
            match from_python(&item?)? {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        return Ok(Some(Value::Array(values)));
    }
    Ok(None)
}

/// Settings by name, read one by one so that the one that is wrong is named. None leaves one as it is by
/// itself.
///
/// # Errors
/// A name that there is not; a value that is not of its kind.
pub(crate) fn settings<T>(given: &Bound<'_, PyDict>) -> PyResult<T>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut map = match value_of(&T::default())? {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (name, object) in given {
        let name: String = name.extract()?;
        if !map.contains_key(&name) {
            let known: Vec<&str> = map.keys().map(String::as_str).collect();
            return Err(error::settings(format!(
                "there is no setting `{name}`; there are {}",
                known.join(", ")
            )));
        }
        if object.is_none() {
            continue;
        }
        let shown = || object.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
        let wrong = |why: &str| error::settings(format!("`{name}` does not take {}{why}", shown()));
        let value = from_python(&object)?.ok_or_else(|| wrong(""))?;
        map.insert(name.clone(), value);
        let one: Map<String, Value> = map.clone();
        if let Err(why) = serde_json::from_value::<T>(Value::Object(one)) {
            return Err(wrong(&format!(": {why}")));
        }
    }
    serde_json::from_value(Value::Object(map))
        .map_err(|why| error::settings(format!("settings cannot be read: {why}")))
}
