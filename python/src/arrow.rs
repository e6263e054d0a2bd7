//! Tables and columns of Arrow, by its C data interface: nothing is copied but ids and values into the form in
//! which they are trained on.

use crate::column::{self, Column};
use crate::error;
use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayAccessor, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, TimeUnit};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use std::thread;
use wgmf::core::{NO_TIME, Side};

/// The name that the capsules of the protocol have.
const NAME: &std::ffi::CStr = c"arrow_array_stream";

/// What an object hands out as a stream.
fn stream(object: &Bound<'_, PyAny>) -> PyResult<FFI_ArrowArrayStream> {
    let capsule = object.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(NAME))?;
    #[allow(unsafe_code, reason = "Arrow's protocol for Python hands out a pointer")]
    // SAFETY: a capsule of this name holds a stream by the protocol; it is moved out of it, and what is left
    // says that it is released, so that the capsule's destructor leaves it alone.
    Ok(unsafe { FFI_ArrowArrayStream::from_raw(pointer.cast().as_ptr()) })
}

fn wrong(error: impl std::fmt::Display) -> PyErr {
    error::data(format!("Arrow data cannot be read: {error}"))
}

/// Ratings from a table.
#[derive(Default)]
pub(crate) struct Ratings {
    pub(crate) users: Column,
    pub(crate) items: Column,
    /// Nothing where there is no such column.
    pub(crate) values: Option<Vec<f32>>,
    pub(crate) times: Vec<i64>,
}

/// Reads a table whose columns are found by their names.
pub(crate) fn table(object: &Bound<'_, PyAny>, columns: Option<&str>) -> PyResult<Ratings> {
    let reader = RecordBatchStreamReader::try_new(stream(object)?).map_err(wrong)?;
    let schema = reader.schema();
    let fields = schema.fields();
    let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
    let numbers: Vec<bool> = fields.iter().map(|field| field.data_type().is_numeric()).collect();
    let [user, item, value, time] =
        wgmf::data::columns_of(&names, &numbers, columns).map_err(error::raised)?;
    let (Some(user), Some(item)) = (user, item) else {
        return Err(error::data("a user and an item are needed"));
    };
    object.py().detach(|| {
        let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(wrong)?;
        let ids_of = |side: Side, at: usize| {
            let mut column = Column::default();
            batches.iter().try_for_each(|batch| ids(side, batch.column(at), &mut column))?;
            Ok::<_, PyErr>(column)
        };
        // Looking texts up is what takes the time.
        let (users, items) = thread::scope(|scope| {
            let users = scope.spawn(|| ids_of(Side::User, user));
            let items = ids_of(Side::Item, item);
            (users.join(), items)
        });
        let users = users.map_err(|_| error::new("internal", "this should not have happened"))?;
        let mut ratings = Ratings { users: users?, items: items?, ..Ratings::default() };
        let mut values = value.map(|_| Vec::with_capacity(ratings.users.rows.len()));
        for batch in &batches {
            if let (Some(column), Some(values)) = (value, &mut values) {
                floats(batch.column(column), values)?;
            }
            if let Some(column) = time {
                times(batch.column(column), &names[column], &mut ratings.times)?;
            }
        }
        ratings.values = values;
        Ok(ratings)
    })
}

fn arrays(object: &Bound<'_, PyAny>) -> PyResult<ArrayStreamReader> {
    ArrayStreamReader::try_new(stream(object)?).map_err(wrong)
}

/// Reads a column of ids.
pub(crate) fn column(side: Side, object: &Bound<'_, PyAny>, into: &mut Column) -> PyResult<()> {
    let arrays = arrays(object)?;
    object.py().detach(|| {
        for array in arrays {
            ids(side, &array.map_err(wrong)?, into)?;
        }
        Ok(())
    })
}

fn ids(side: Side, array: &ArrayRef, into: &mut Column) -> PyResult<()> {
    if let Some(at) =
        (0..array.len()).find(|&at| array.is_null(at)).filter(|_| array.null_count() > 0)
    {
        return Err(column::missing(side, into.rows.len() + at));
    }
    match array.data_type() {
        DataType::Utf8 => texts(side, array.as_string::<i32>(), into),
        DataType::LargeUtf8 => texts(side, array.as_string::<i64>(), into),
        DataType::Utf8View => texts(side, array.as_string_view(), into),
        DataType::Int64 => numbers::<Int64Type>(array, into, |number| number),
        DataType::Int32 => numbers::<Int32Type>(array, into, i64::from),
        DataType::Int16 => numbers::<Int16Type>(array, into, i64::from),
        DataType::Int8 => numbers::<Int8Type>(array, into, i64::from),
        DataType::UInt32 => numbers::<UInt32Type>(array, into, i64::from),
        DataType::UInt16 => numbers::<UInt16Type>(array, into, i64::from),
        DataType::UInt8 => numbers::<UInt8Type>(array, into, i64::from),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values();
            if let Some(large) = values.iter().find(|&&number| number > i64::MAX as u64) {
                return Err(error::data(format!("{} {large} is beyond 64 bits", side.name())));
            }
            into.numbers(values.iter().map(|&number| number as i64));
            Ok(())
        }
        DataType::Dictionary(_, _) => dictionary(side, array, into),
        other => Err(error::data(format!(
            "ids of {}s are of Arrow's type {other}; cast them to integers or strings",
            side.name()
        ))),
    }
}

fn texts<'a>(
    side: Side,
    array: impl ArrayAccessor<Item = &'a str>,
    into: &mut Column,
) -> PyResult<()> {
    into.rows.reserve(array.len());
    for at in 0..array.len() {
        into.text(side, array.value(at))?;
    }
    Ok(())
}

fn numbers<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    into: &mut Column,
    wide: fn(T::Native) -> i64,
) -> PyResult<()> {
    into.numbers(array.as_primitive::<T>().values().iter().map(|&number| wide(number)));
    Ok(())
}

/// Codes and what they stand for: each text is looked at once.
fn dictionary(side: Side, array: &ArrayRef, into: &mut Column) -> PyResult<()> {
    let array = array.as_any_dictionary();
    let keys: Vec<usize> = array.normalized_keys();
    let mut values = Column::default();
    // One that no key stands for may be missing.
    let mut known = vec![u32::MAX; array.values().len()];
    keys.iter().for_each(|&key| known[key] = 0);
    for (at, row) in known.iter_mut().enumerate().filter(|(_, row)| **row == 0) {
        ids(side, &array.values().slice(at, 1), &mut values)?;
        let text = values.ids.name(values.rows[values.rows.len() - 1]);
        *row = into.ids.intern(text);
    }
    into.labels = values.labels;
    into.rows.extend(keys.iter().map(|&key| known[key]));
    Ok(())
}

/// Reads a column of values.
pub(crate) fn values(object: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let arrays = arrays(object)?;
    object.py().detach(|| {
        let mut values = Vec::new();
        for array in arrays {
            floats(&array.map_err(wrong)?, &mut values)?;
        }
        Ok(values)
    })
}

fn floats(array: &ArrayRef, into: &mut Vec<f32>) -> PyResult<()> {
    fn of<T: ArrowPrimitiveType>(
        array: &ArrayRef,
        into: &mut Vec<f32>,
        single: fn(T::Native) -> f32,
    ) {
        into.extend(array.as_primitive::<T>().values().iter().map(|&value| single(value)));
    }
    if array.null_count() > 0 {
        let at = (0..array.len()).find(|&at| array.is_null(at)).unwrap_or(0) + into.len();
        return Err(error::data(format!("the rating at {at} is missing; leave such ratings out")));
    }
    match array.data_type() {
        DataType::Float64 => of::<Float64Type>(array, into, |value| value as f32),
        DataType::Float32 => of::<Float32Type>(array, into, |value| value),
        DataType::Float16 => of::<Float16Type>(array, into, f32::from),
        DataType::Int64 => of::<Int64Type>(array, into, |value| value as f32),
        DataType::Int32 => of::<Int32Type>(array, into, |value| value as f32),
        DataType::Int16 => of::<Int16Type>(array, into, f32::from),
        DataType::Int8 => of::<Int8Type>(array, into, f32::from),
        DataType::UInt64 => of::<UInt64Type>(array, into, |value| value as f32),
        DataType::UInt32 => of::<UInt32Type>(array, into, |value| value as f32),
        DataType::UInt16 => of::<UInt16Type>(array, into, f32::from),
        DataType::UInt8 => of::<UInt8Type>(array, into, f32::from),
        DataType::Boolean => {
            let array = array.as_boolean();
            into.extend((0..array.len()).map(|at| f32::from(u8::from(array.value(at)))));
        }
        other => {
            return Err(error::data(format!(
                "ratings are of Arrow's type {other}; cast them to numbers"
            )));
        }
    }
    Ok(())
}

fn times(array: &ArrayRef, name: &str, into: &mut Vec<i64>) -> PyResult<()> {
    fn of<T: ArrowPrimitiveType>(
        array: &ArrayRef,
        into: &mut Vec<i64>,
        wide: fn(T::Native) -> i64,
    ) {
        let array = array.as_primitive::<T>();
        let time = |at| if array.is_null(at) { NO_TIME } else { wide(array.value(at)) };
        into.extend((0..array.len()).map(time));
    }
    match array.data_type() {
        DataType::Int64 => of::<Int64Type>(array, into, |time| time),
        DataType::Int32 => of::<Int32Type>(array, into, i64::from),
        DataType::UInt32 => of::<UInt32Type>(array, into, i64::from),
        DataType::Date32 => of::<Date32Type>(array, into, i64::from),
        DataType::Date64 => of::<Date64Type>(array, into, |time| time),
        DataType::Timestamp(TimeUnit::Second, _) => {
            of::<TimestampSecondType>(array, into, |time| time);
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            of::<TimestampMillisecondType>(array, into, |time| time);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            of::<TimestampMicrosecondType>(array, into, |time| time);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            of::<TimestampNanosecondType>(array, into, |time| time);
        }
        // An order is all that times are for: floats are brought to integers of the same order.
        DataType::Float64 => of::<Float64Type>(array, into, |time| (time * 1e3).round() as i64),
        other => {
            return Err(error::data(format!(
                "column {name} is taken for timestamps and is of Arrow's type {other}; cast it, or leave it out \
                 with `columns`"
            )));
        }
    }
    Ok(())
}
