//! JSON lines: an object a line, whose keys name the columns, or an array a line.

use super::lane::Lane;
use super::layout::{Layout, WEIGHT, shorten};
use super::parse;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What the first lines of a file of JSON lines have.
pub(super) struct Found {
    /// The keys, in order of first appearance; nothing where lines are arrays.
    pub keys: Option<Vec<String>>,
    /// The values as text, by key or position; empty where a line lacks one.
    pub records: Vec<Vec<String>>,
}

/// Whether a file that begins with this line is one of JSON.
pub(super) fn begins(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    match text {
        [b'{', ..] => true,
        // "[a],b" may be text.
        [b'[', rest @ ..] => {
            matches!(rest.trim_ascii_start(), [] | [b'[' | b'{' | b'"' | b'-' | b'0'..=b'9', ..])
                && (text.ends_with(b"]")
                    || text.ends_with(b",")
                    || text.len() == 1
                    || text.ends_with(b"}"))
        }
        _ => false,
    }
}

/// Looks at the first lines.
pub(super) fn look(lines: &[(u64, &[u8])]) -> Result<Found, (u64, String)> {
    let objects = lines[0].1.trim_ascii_start().starts_with(b"{");
    let mut keys: Vec<String> = Vec::new();
    let mut records = Vec::new();
    for &(number, line) in lines {
        let fail = |message| (number, message);
        if objects {
            let object: Object<'_> = parsed(line).map_err(fail)?;
            let mut record = vec![String::new(); keys.len()];
            for (key, value) in object.0 {
                let at = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                    keys.push(key.into_owned());
                    record.push(String::new());
                    keys.len() - 1
                });
                record[at] = plain(value).map_or_else(|_| value.get().to_owned(), Cow::into_owned);
            }
            records.push(record);
        } else {
            let array: Vec<&RawValue> = parsed(line).map_err(fail)?;
            let text = |value: &&RawValue| {
                plain(value).map(Cow::into_owned).map_err(|what| {
                    let what = format!(
                        "an array a line is read where it holds user, item and rating; this one holds {what}"
                    );
                    (number, what + ARRAYS)
                })
            };
            records.push(array.iter().map(text).collect::<Result<_, _>>()?);
        }
    }
    Ok(Found { keys: objects.then_some(keys), records })
}

const ARRAYS: &str = " (`jq -c '.[]'` writes the elements of one array as lines)";

/// The keys and values of an object, in order.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut all = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    all.push((key.0, map.next_value()?));
                }
                Ok(Object(all))
            }
        }
        from.deserialize_map(All)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn parsed<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| complaint(line, &error))
}

/// What an error begins with that is of a key, not of the syntax.
const TWICE: &str = "twice: ";

#[cold]
fn complaint(line: &[u8], error: &serde_json::Error) -> String {
    let line = line.trim_ascii_end();
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    if let Some(key) = text.strip_prefix(TWICE) {
        let key = shorten(key.as_bytes());
        return format!("has two values for \"{key}\"; leave one: \"{}\"", shorten(line));
    }
    let hint = if error.is_eof() || matches!(line.trim_ascii(), b"{" | b"[") {
        "; each line has to hold one object (`jq -c .` writes objects as lines, `jq -c '.[]'` the \
         elements of an array)"
    } else if memchr::memchr(b'\'', line).is_some() && memchr::memchr(b'"', line).is_none() {
        "; JSON has double quotes, Python's dictionaries have single ones"
    } else {
        ""
    };
    format!("is not JSON ({text}, column {}){hint}: \"{}\"", error.column(), shorten(line))
}

/// A value as the text of a field, or what it is instead.
fn plain(value: &RawValue) -> Result<Cow<'_, str>, &'static str> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str::<Key<'_>>(text).map(|key| key.0).map_err(|_| "a damaged string")
        }
        Some(b'{') => Err("an object"),
        Some(b'[') => Err("an array"),
        Some(b't') => Ok(Cow::Borrowed("1")),
        Some(b'f') => Ok(Cow::Borrowed("0")),
        Some(b'n') => Ok(Cow::Borrowed("")),
        _ => Ok(Cow::Borrowed(text)),
    }
}

/// The values of a line, by role.
#[derive(Default)]
pub(super) struct Values<'a>([Cow<'a, str>; 4], Cow<'a, str>);

impl Values<'_> {
    /// Those of user, item, rating and timestamp, one without meaning, and the weight.
    pub(super) fn fields(&self) -> parse::Found<'_> {
        let mut fields = parse::Found::default();
        for (field, value) in fields.iter_mut().zip(&self.0) {
            *field = value.as_bytes().into();
        }
        fields[usize::from(WEIGHT)] = self.1.as_bytes().into();
        fields
    }
}

/// Finds the values that a layout names in one line.
struct Wanted<'l>(&'l Layout);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = [Option<&'de RawValue>; 5];

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        match self.0.header {
            Some(_) => from.deserialize_map(self),
            None => from.deserialize_seq(self),
        }
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = [Option<&'de RawValue>; 5];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.header.is_some() { "an object" } else { "an array" })
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let names = self.0.header.as_deref().unwrap_or_default();
        let mut found = [None; 5];
        while let Some(Key(key)) = map.next_key()? {
            let named = |column: &Option<usize>| {
                column.is_some_and(|at| names.get(at).is_some_and(|name| *name == key))
            };
            match self.0.columns.iter().chain([&self.0.weights]).position(named) {
                Some(role) if found[role].is_some() => {
                    return Err(M::Error::custom(format!("{TWICE}{key}")));
                }
                Some(role) => found[role] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut found = [None; 5];
        let mut at = 0;
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            let mut columns = self.0.columns.iter().chain([&self.0.weights]);
            if let Some(role) = columns.position(|column| *column == Some(at)) {
                found[role] = Some(value);
            }
            at += 1;
        }
        Ok(found)
    }
}

/// The values of a line.
pub(super) fn values<'a>(line: &'a [u8], layout: &Layout) -> Result<Values<'a>, String> {
    let mut from = serde_json::Deserializer::from_slice(line);
    let found = Wanted(layout).deserialize(&mut from).and_then(|found| from.end().map(|()| found));
    let found = found.map_err(|error| complaint(line, &error))?;
    let mut values = Values::default();
    // Ratings that are weights are found as ratings.
    let weight = match layout.weights == layout.columns[2] {
        true => found[2],
        false => found[4],
    };
    if let Some(weight) = weight.filter(|_| layout.weights.is_some()) {
        values.1 = plain(weight).map_err(|what| format!("the weight is {what}, not a value"))?;
    }
    for (role, value) in super::names::Role::ALL.into_iter().zip(found) {
        let Some(value) = value else { continue };
        values.0[role as usize] = plain(value).map_err(|what| {
            format!("the {} in {} is {what}, not a value", role.word(), layout.column_name(role))
        })?;
    }
    Ok(values)
}

/// Adds the rating of a line.
pub(super) fn one(
    lane: &mut Lane,
    line: &[u8],
    layout: &Layout,
    number: u64,
) -> Result<(), String> {
    let values = values(line, layout)?;
    parse::row(lane, &values.fields(), None, layout, number, line)
}
