//! From the lines of a chunk to the rows of a lane.

use super::fields;
use super::fields::{Blanks, Byte, ByteAndBlanks, Cut, DoubleColon, Field};
use super::lane::{BadId, Lane};
use super::layout::{Layout, shorten};
use super::names::Role;
use super::options::{Delimiter, Format};
use super::times::WHAT_IS_ONE;

/// Parses a chunk of whole lines without quotes; `first` is the first of a file.
pub(super) fn chunk(lane: &mut Lane, chunk: &[u8], layout: &Layout, first: bool) {
    lane.rows.clear();
    let skip = u64::from(first && layout.header.is_some());
    match (layout.delimiter, layout.trims) {
        (Delimiter::Byte(byte), false) => lines(lane, chunk, layout, skip, Byte(byte)),
        (Delimiter::Byte(byte), true) => lines(lane, chunk, layout, skip, ByteAndBlanks(byte)),
        (Delimiter::DoubleColon, _) => lines(lane, chunk, layout, skip, DoubleColon),
        (Delimiter::Blanks, _) => lines(lane, chunk, layout, skip, Blanks),
    }
}

fn lines<C: Cut>(lane: &mut Lane, chunk: &[u8], layout: &Layout, mut skip: u64, cut: C) {
    let (mut at, mut number) = (0, 0);
    for end in memchr::memchr_iter(b'\n', chunk) {
        let start = std::mem::replace(&mut at, end + 1);
        let line = fields::without_return(&chunk[start..end]);
        number += 1;
        // Only a line that begins with a blank can be blank throughout.
        if skip > 0 || line.first().is_none_or(u8::is_ascii_whitespace) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
        }
        let end = start + line.len();
        let outcome = match layout.format {
            Format::Triples => one(lane, chunk, (start, end), layout, number - 1, cut),
            Format::Grouped => group(lane, chunk, (start, end), layout, number - 1, cut),
        };
        if let Err(message) = outcome {
            lane.rows.failure = Some((number - 1, message));
            return;
        }
    }
    lane.rows.lines = number;
}

/// A rating from the line at `start..end` of the chunk.
#[inline(always)]
fn one<C: Cut>(
    lane: &mut Lane,
    chunk: &[u8],
    (start, end): (usize, usize),
    layout: &Layout,
    number: u64,
    cut: C,
) -> Parsed {
    let mut found = [Field::default(); 5];
    let mut next = Some(cut.begin(chunk, start, end));
    for (column, &slot) in layout.slots.iter().enumerate() {
        let Some(from) = next else { return Err(too_few(layout, column, &chunk[start..end])) };
        let (to, following) = cut.cut(chunk, from, end);
        // `found` has a place for the columns that nobody wants.
        found[usize::from(slot)] = Field::new(chunk, from, to);
        next = following;
    }
    let mut fields = layout.slots.len();
    while let Some(from) = next {
        let (to, following) = cut.cut(chunk, from, end);
        fields += usize::from(fields < layout.fields || to > from);
        next = following;
    }
    if fields > layout.fields {
        return Err(too_many(layout, &chunk[start..end]));
    }
    row(lane, &found, layout, number, &chunk[start..end])
}

type Parsed = Result<(), String>;

/// Adds the rating whose fields are given in the order of [`Role::ALL`]; the last has no meaning.
#[inline(always)]
pub(super) fn row(
    lane: &mut Lane,
    found: &[Field<'_>; 5],
    layout: &Layout,
    number: u64,
    line: &[u8],
) -> Parsed {
    let Lane { users, items, rows } = lane;
    let user = users.index(found[0]).map_err(|e| bad_id(layout, Role::User, e, found[0]))?;
    let item = items.index(found[1]).map_err(|e| bad_id(layout, Role::Item, e, found[1]))?;
    let value = match layout.columns[2] {
        None => 1.0,
        Some(_) => match fields::number(found[2].bytes()) {
            Some(value) if value.is_finite() => value,
            _ => return Err(bad_rating(layout, found[2].bytes(), line)),
        },
    };
    if layout.columns[3].is_some() {
        let text = found[3].bytes();
        if !rows.times.push(text) && layout.needs_time {
            let (text, column) = (shorten(text), layout.column_name(Role::Time));
            return Err(format!("\"{text}\" in column {column} is not {WHAT_IS_ONE}"));
        }
    }
    rows.push(user, item, value, number);
    Ok(())
}

/// A user and its items; a user without items is no rating.
fn group<C: Cut>(
    lane: &mut Lane,
    chunk: &[u8],
    (start, end): (usize, usize),
    layout: &Layout,
    number: u64,
    cut: C,
) -> Parsed {
    let Lane { users, items, rows } = lane;
    let from = cut.begin(chunk, start, end);
    let (to, mut next) = cut.cut(chunk, from, end);
    let name = Field::new(chunk, from, to);
    if from == to {
        return Err(bad_id(layout, Role::User, BadId::Empty, name));
    }
    let mut user = None;
    while let Some(from) = next {
        let (to, following) = cut.cut(chunk, from, end);
        next = following;
        if to == from && next.is_none() {
            // A delimiter at the end of the line.
            break;
        }
        let item = Field::new(chunk, from, to);
        let item = items.index(item).map_err(|e| bad_id(layout, Role::Item, e, item))?;
        match user {
            Some(user) => rows.push_on(user, item, 1.0),
            None => {
                let index = users.index(name).map_err(|e| bad_id(layout, Role::User, e, name))?;
                rows.push(index, item, 1.0, number);
                user = Some(index);
            }
        }
    }
    Ok(())
}

#[cold]
fn bad_id(layout: &Layout, role: Role, what: BadId, id: Field<'_>) -> String {
    let what = what.describe(id.bytes());
    match layout.header {
        Some(_) if layout.format == Format::Triples => {
            format!("the {} id in column {} {what}", role.word(), layout.column_name(role))
        }
        _ => format!("the {} id {what}", role.word()),
    }
}

#[cold]
fn bad_rating(layout: &Layout, field: &[u8], line: &[u8]) -> String {
    let (text, column) = (shorten(field), layout.column_name(Role::Rating));
    if text.is_empty() {
        return format!("the rating in column {column} is empty; write one or remove the line");
    }
    match fields::number(field) {
        Some(value) if value.is_infinite() && field.iter().any(u8::is_ascii_digit) => {
            return format!("\"{text}\" is too large for a rating in column {column}");
        }
        Some(_) => return format!("\"{text}\" is not a finite number in column {column}"),
        None => {}
    }
    let decimal_comma = text.split_once(',').is_some_and(|(whole, part)| {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        digits(whole.trim_start_matches('-')) && digits(part)
    });
    let semicolon = layout.delimiter != Delimiter::Byte(b';') && line.contains(&b';');
    let hint = if semicolon || (decimal_comma && layout.delimiter == Delimiter::Byte(b',')) {
        " (use `delimiter` \";\"?)"
    } else if decimal_comma {
        " (write a decimal point, not a comma)"
    } else if layout.header.is_none() {
        " (use `columns` or `header`?)"
    } else {
        " (use `columns`?)"
    };
    format!("\"{text}\" is not a number in column {column}{hint}")
}

/// A line without all needed columns.
#[cold]
pub(super) fn too_few(layout: &Layout, fields: usize, line: &[u8]) -> String {
    let roles = Role::ALL.into_iter().filter(|&role| layout.has(role)).map(Role::word);
    let roles = roles.collect::<Vec<_>>().join(", ");
    let (s, text) = (if fields == 1 { "" } else { "s" }, shorten(line));
    format!("{fields} field{s} where {} are needed ({roles}): \"{text}\"", layout.slots.len())
}

/// A line with more fields than the first.
#[cold]
pub(super) fn too_many(layout: &Layout, line: &[u8]) -> String {
    let remedy = match layout.delimiter {
        Delimiter::Blanks => "use `format` grouped or `delimiter`?",
        _ => "quote an id that contains the delimiter",
    };
    let text = shorten(line);
    format!("more than the {} fields of the first line ({remedy}): \"{text}\"", layout.fields)
}
