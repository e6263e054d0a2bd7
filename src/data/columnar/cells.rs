//! The cells of a column as the fields of a line are.

use super::super::fields::{self, Field};
use ::arrow_array::cast::AsArray;
use ::arrow_array::types::{
    ArrowDictionaryKeyType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use ::arrow_array::{Array, BooleanArray, GenericByteArray, PrimitiveArray};
use ::arrow_array::{BinaryViewArray, StringViewArray};
use ::arrow_schema::{DataType, TimeUnit};
use half::f16;
use jiff::Timestamp;
use std::fmt::Write;

/// A column of a batch.
pub(super) struct Cells<'a> {
    array: &'a dyn Array,
    /// Whether any is null.
    nulls: bool,
    values: Values<'a>,
}

enum Values<'a> {
    /// Nothing but nulls.
    None,
    Truth(&'a BooleanArray),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F16(&'a [f16]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    /// Bytes, and where each cell ends.
    Short(&'a [u8], &'a [i32]),
    Long(&'a [u8], &'a [i64]),
    Text(&'a StringViewArray),
    Bytes(&'a BinaryViewArray),
    Decimal(Box<dyn Fn(usize) -> String + 'a>),
    Days(&'a [i32]),
    /// Of which a second has so many.
    Ticks(&'a [i64], i64),
    /// Which of its values each cell is.
    Dictionary(Box<dyn Fn(usize) -> usize + 'a>, Box<Cells<'a>>),
}

/// Where the text of a cell is made.
#[derive(Default)]
pub(super) struct Room {
    digits: [u8; 32],
    text: String,
}

impl<'a> Cells<'a> {
    pub(super) fn of(array: &'a dyn Array) -> Self {
        let values = Values::of(array);
        Self { array, nulls: array.null_count() > 0, values }
    }

    #[inline(always)]
    fn is_null(&self, row: usize) -> bool {
        self.nulls && self.array.is_null(row)
    }

    /// The text of a cell as it stands in a line; empty where it is null.
    #[inline(always)]
    pub(super) fn text<'b>(&'b self, row: usize, room: &'b mut Room) -> Field<'b> {
        if self.is_null(row) {
            return Field::default();
        }
        match &self.values {
            Values::I64(values) => whole(values[row].unsigned_abs(), values[row] < 0, room),
            Values::I32(values) => {
                whole(u64::from(values[row].unsigned_abs()), values[row] < 0, room)
            }
            Values::U64(values) => whole(values[row], false, room),
            Values::U32(values) => whole(u64::from(values[row]), false, room),
            Values::Short(bytes, ends) => {
                Field::new(bytes, ends[row] as usize, ends[row + 1] as usize)
            }
            Values::Long(bytes, ends) => {
                Field::new(bytes, ends[row] as usize, ends[row + 1] as usize)
            }
            Values::Dictionary(key, values) => values.text(key(row), room),
            _ => self.rarer(row, room),
        }
    }

    fn rarer<'b>(&'b self, row: usize, room: &'b mut Room) -> Field<'b> {
        let signed = |value: i64| (value.unsigned_abs(), value < 0);
        let ((digits, negative), room) = match &self.values {
            Values::I8(values) => (signed(i64::from(values[row])), room),
            Values::I16(values) => (signed(i64::from(values[row])), room),
            Values::U8(values) => ((u64::from(values[row]), false), room),
            Values::U16(values) => ((u64::from(values[row]), false), room),
            Values::Truth(values) => ((u64::from(values.value(row)), false), room),
            Values::Text(values) => return values.value(row).as_bytes().into(),
            Values::Bytes(values) => return values.value(row).into(),
            _ => {
                room.text.clear();
                self.write(row, &mut room.text);
                return room.text.as_bytes().into();
            }
        };
        whole(digits, negative, room)
    }

    /// Writes what is neither whole nor text.
    fn write(&self, row: usize, text: &mut String) {
        // A string takes all that is written.
        let _ = match &self.values {
            // What tables without nulls have in the place of one.
            Values::F16(values) if values[row].is_nan() => Ok(()),
            Values::F32(values) if values[row].is_nan() => Ok(()),
            Values::F64(values) if values[row].is_nan() => Ok(()),
            Values::F16(values) => write!(text, "{:?}", values[row].to_f32()),
            Values::F32(values) => write!(text, "{:?}", values[row]),
            Values::F64(values) => write!(text, "{:?}", values[row]),
            Values::Decimal(shown) => {
                text.push_str(&shown(row));
                Ok(())
            }
            _ => match self.time(row) {
                Some((units, billionths)) => {
                    let stamp = i128::from(units) * 1_000_000_000 + i128::from(billionths);
                    match Timestamp::from_nanosecond(stamp) {
                        Ok(stamp) if matches!(self.values, Values::Days(_)) => {
                            let shown = stamp.to_string();
                            text.push_str(shown.split('T').next().unwrap_or_default());
                            Ok(())
                        }
                        Ok(stamp) => write!(text, "{stamp}"),
                        // Beyond what dates go to.
                        Err(_) => write!(text, "{units}"),
                    }
                }
                None => Ok(()),
            },
        };
    }

    /// The cell as a rating: that of the number that its text would be read as. Nothing where it is a text, or
    /// null.
    #[inline(always)]
    pub(super) fn number(&self, row: usize) -> Option<f32> {
        if self.is_null(row) {
            return None;
        }
        match &self.values {
            Values::F32(values) => Some(values[row]),
            Values::F64(values) => Some(single(values[row])),
            Values::I64(values) => Some(values[row] as f32),
            Values::I32(values) => Some(values[row] as f32),
            Values::Dictionary(key, values) => values.number(key(row)),
            _ => self.rarer_number(row),
        }
    }

    fn rarer_number(&self, row: usize) -> Option<f32> {
        match &self.values {
            Values::I8(values) => Some(f32::from(values[row])),
            Values::I16(values) => Some(f32::from(values[row])),
            Values::U8(values) => Some(f32::from(values[row])),
            Values::U16(values) => Some(f32::from(values[row])),
            Values::U32(values) => Some(values[row] as f32),
            Values::U64(values) => Some(values[row] as f32),
            Values::F16(values) => Some(values[row].to_f32()),
            Values::Truth(values) => Some(f32::from(u8::from(values.value(row)))),
            Values::Decimal(shown) => fields::number(shown(row).as_bytes()),
            _ => None,
        }
    }

    /// The cell as a date: seconds since 1970 and billionths above them.
    pub(super) fn time(&self, row: usize) -> Option<(i64, u32)> {
        if self.is_null(row) {
            return None;
        }
        match &self.values {
            Values::Days(values) => Some((i64::from(values[row]) * 86_400, 0)),
            Values::Ticks(values, a_second) => {
                let part = values[row].rem_euclid(*a_second) * (1_000_000_000 / a_second);
                Some((values[row].div_euclid(*a_second), part as u32))
            }
            Values::Dictionary(key, values) => values.time(key(row)),
            _ => None,
        }
    }

    /// Whether cells are texts, which say themselves what they are.
    pub(super) fn is_text(&self) -> bool {
        match &self.values {
            Values::Short(..) | Values::Long(..) | Values::Text(_) | Values::Bytes(_) => true,
            Values::Dictionary(_, values) => values.is_text(),
            _ => false,
        }
    }
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array) -> Self {
        macro_rules! numbers {
            ($type:ty) => {
                array.as_primitive::<$type>().values()
            };
        }
        match array.data_type() {
            DataType::Boolean => Values::Truth(array.as_boolean()),
            DataType::Int8 => Values::I8(numbers!(Int8Type)),
            DataType::Int16 => Values::I16(numbers!(Int16Type)),
            DataType::Int32 => Values::I32(numbers!(Int32Type)),
            DataType::Int64 => Values::I64(numbers!(Int64Type)),
            DataType::UInt8 => Values::U8(numbers!(UInt8Type)),
            DataType::UInt16 => Values::U16(numbers!(UInt16Type)),
            DataType::UInt32 => Values::U32(numbers!(UInt32Type)),
            DataType::UInt64 => Values::U64(numbers!(UInt64Type)),
            DataType::Float16 => Values::F16(numbers!(Float16Type)),
            DataType::Float32 => Values::F32(numbers!(Float32Type)),
            DataType::Float64 => Values::F64(numbers!(Float64Type)),
            DataType::Utf8 => short(array.as_string::<i32>()),
            DataType::Binary => short(array.as_binary::<i32>()),
            DataType::LargeUtf8 => long(array.as_string::<i64>()),
            DataType::LargeBinary => long(array.as_binary::<i64>()),
            DataType::Utf8View => Values::Text(array.as_string_view()),
            DataType::BinaryView => Values::Bytes(array.as_binary_view()),
            DataType::Decimal32(..) => decimal(array.as_primitive::<Decimal32Type>()),
            DataType::Decimal64(..) => decimal(array.as_primitive::<Decimal64Type>()),
            DataType::Decimal128(..) => decimal(array.as_primitive::<Decimal128Type>()),
            DataType::Decimal256(..) => decimal(array.as_primitive::<Decimal256Type>()),
            DataType::Date32 => Values::Days(numbers!(Date32Type)),
            DataType::Date64 => Values::Ticks(numbers!(Date64Type), 1_000),
            DataType::Timestamp(TimeUnit::Second, _) => {
                Values::Ticks(numbers!(TimestampSecondType), 1)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Values::Ticks(numbers!(TimestampMillisecondType), 1_000)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Values::Ticks(numbers!(TimestampMicrosecondType), 1_000_000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Values::Ticks(numbers!(TimestampNanosecondType), 1_000_000_000)
            }
            DataType::Dictionary(key, _) => match **key {
                DataType::Int8 => dictionary::<Int8Type>(array),
                DataType::Int16 => dictionary::<Int16Type>(array),
                DataType::Int32 => dictionary::<Int32Type>(array),
                DataType::Int64 => dictionary::<Int64Type>(array),
                DataType::UInt8 => dictionary::<UInt8Type>(array),
                DataType::UInt16 => dictionary::<UInt16Type>(array),
                DataType::UInt32 => dictionary::<UInt32Type>(array),
                DataType::UInt64 => dictionary::<UInt64Type>(array),
                _ => Values::None,
            },
            _ => Values::None,
        }
    }
}

fn short<T: ::arrow_array::types::ByteArrayType<Offset = i32>>(
    array: &GenericByteArray<T>,
) -> Values<'_> {
    Values::Short(array.value_data(), array.value_offsets())
}

fn long<T: ::arrow_array::types::ByteArrayType<Offset = i64>>(
    array: &GenericByteArray<T>,
) -> Values<'_> {
    Values::Long(array.value_data(), array.value_offsets())
}

fn decimal<T: DecimalType>(array: &PrimitiveArray<T>) -> Values<'_> {
    Values::Decimal(Box::new(|row| array.value_as_string(row)))
}

fn dictionary<K: ArrowDictionaryKeyType>(array: &dyn Array) -> Values<'_> {
    let array = array.as_dictionary::<K>();
    let values = Box::new(Cells::of(array.values()));
    // Nulls have been looked for.
    Values::Dictionary(Box::new(|row| array.key(row).unwrap_or_default()), values)
}

/// A whole number in digits.
#[inline(always)]
fn whole(mut number: u64, negative: bool, room: &mut Room) -> Field<'_> {
    // From the right, with room for eight bytes behind the last.
    let end = 24;
    let mut at = end;
    loop {
        at -= 1;
        room.digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if negative {
        at -= 1;
        room.digits[at] = b'-';
    }
    Field::new(&room.digits, at, end)
}

/// A number of double precision as its shortest text is read in single precision.
#[inline(always)]
fn single(value: f64) -> f32 {
    // Half way between two numbers of single precision the text, which is a little more or less, decides; numbers
    // too small to be whole lie closer than these bits tell.
    const HALF_WAY: u64 = 1 << 28;
    let half = value.to_bits() & (2 * HALF_WAY - 1) == HALF_WAY;
    if half || value != 0.0 && value.abs() < f64::from(f32::MIN_POSITIVE) {
        return by_text(value);
    }
    value as f32
}

#[cold]
fn by_text(value: f64) -> f32 {
    format!("{value:?}").parse().unwrap_or(value as f32)
}
