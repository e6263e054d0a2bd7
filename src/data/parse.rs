//! From the lines of a chunk to the rows of a lane.

use super::fields::{self, Blanks, Byte, ByteAndBlanks, Cut, DoubleColon, Field};
use super::json;
use super::lane::{BadId, Lane, checked};
use super::layout::{Layout, WEIGHT, shorten};
use super::names::Role;
use super::options::{Delimiter, Format, Quotes};
use super::quoted::{self, Record, Shape};
use super::times::{Times, WHAT_IS_ONE};
use std::ops::ControlFlow;

/// Parses a chunk of whole lines; `first` is the first of a file.
pub(super) fn chunk(lane: &mut Lane, chunk: &[u8], layout: &Layout, first: bool) {
    lane.rows.clear();
    let skip = if first { layout.skip } else { 0 };
    if layout.format == Format::Json {
        return json_lines(lane, chunk, layout);
    }
    let quoted = layout.delimiter.between_quoted(layout.quotes);
    if let Some(byte) = quoted.filter(|_| memchr::memchr(b'"', chunk).is_some()) {
        return records(lane, chunk, layout, skip, byte);
    }
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
        let outcome = match layout.has_lists() {
            false => one(lane, chunk, (start, end), layout, number - 1, cut),
            true => group(lane, chunk, (start, end), layout, number - 1, cut),
        };
        if let Err(message) = outcome
            && !lane.rows.failed(number - 1, message, layout.skips_bad)
        {
            return;
        }
    }
    lane.rows.lines = number;
}

/// Lines with quotes among them.
fn records(lane: &mut Lane, chunk: &[u8], layout: &Layout, mut skip: u64, delimiter: u8) {
    let lines = quoted::records(chunk, &Shape::of(layout, delimiter), |line, record| {
        if skip > 0 {
            skip -= 1;
            return ControlFlow::Continue(());
        }
        let outcome = record.map_err(str::to_owned).and_then(|record| {
            lane.rows.literal += record.literal as u64;
            match layout.has_lists() {
                false => one_record(lane, &record, layout, line),
                true => group_record(lane, &record, layout, line),
            }
        });
        match outcome.map_err(|message| lane.rows.failed(line, message, layout.skips_bad)) {
            Err(false) => ControlFlow::Break(()),
            Ok(()) | Err(true) => ControlFlow::Continue(()),
        }
    });
    lane.rows.lines = lines;
}

fn one_record(lane: &mut Lane, record: &Record<'_>, layout: &Layout, line: u64) -> Parsed {
    if record.len() < layout.slots.len() {
        return Err(too_few(layout, record.len(), record.raw()));
    }
    if (layout.fields..record.len()).any(|column| !record.field(column).bytes().is_empty()) {
        return Err(too_many(layout, record.raw()));
    }
    let mut found = Found::default();
    for (field, column) in found.iter_mut().zip(layout.columns) {
        *field = column.map_or(Field::default(), |column| record.field(column));
    }
    if let Some(column) = layout.weights {
        found[usize::from(WEIGHT)] = record.field(column);
    }
    row(lane, &found, None, layout, line, record.raw())
}

fn group_record(lane: &mut Lane, record: &Record<'_>, layout: &Layout, line: u64) -> Parsed {
    let items = (1..record.len()).map(|column| record.field(column));
    let last = record.len() - 1;
    let items = items.enumerate().filter(|(at, item)| at + 1 < last || !item.bytes().is_empty());
    members(lane, record.field(0), items.map(|(_, item)| item), layout, line)
}

/// JSON, a value a line.
fn json_lines(lane: &mut Lane, chunk: &[u8], layout: &Layout) {
    let mut number = 0;
    for line in chunk.split_inclusive(|&byte| byte == b'\n') {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Err(message) = json::one(lane, line, layout, number - 1)
            && !lane.rows.failed(number - 1, message, layout.skips_bad)
        {
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
    let mut found = Found::default();
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
    row(lane, &found, None, layout, number, &chunk[start..end])
}

type Parsed = Result<(), String>;

/// Fields in the order of [`Role::ALL`], then one without meaning, then the weight.
pub(super) type Found<'a> = [Field<'a>; 6];

/// Adds the rating whose fields are found, given at a date (seconds since 1970 and billionths above them) where
/// that is known already.
#[inline(always)]
pub(super) fn row(
    lane: &mut Lane,
    found: &Found<'_>,
    date: Option<(i64, u32)>,
    layout: &Layout,
    number: u64,
    line: &[u8],
) -> Parsed {
    let value = match layout.columns[2] {
        None => 1.0,
        Some(_) => match fields::decimal(rating_field(found, layout).bytes(), layout.decimal_comma)
        {
            Some(value) if value.is_finite() => value,
            _ => return Err(bad_rating(layout, rating_field(found, layout).bytes(), line)),
        },
    };
    rated(lane, found, (value, date), layout, number)
}

/// Adds a rating of this value and date; the field of the rating is looked at where it may have been rounded.
#[inline(always)]
pub(super) fn rated(
    lane: &mut Lane,
    found: &Found<'_>,
    (value, date): (f32, Option<(i64, u32)>),
    layout: &Layout,
    number: u64,
) -> Parsed {
    let Lane { users, items, rows } = lane;
    if layout.skips_bad {
        // A line that is passed over leaves nothing behind, no user without ratings either.
        for role in [Role::User, Role::Item] {
            let id = found[role as usize];
            checked(id.bytes()).map_err(|e| bad_id(layout, role, e, id))?;
        }
        if layout.needs_time && date.is_none() && !Times::reads(found[3].bytes()) {
            return Err(bad_time(layout, found[3].bytes()));
        }
    }
    let weight = match layout.weights {
        None => 1.0,
        Some(_) => weight_of(found[usize::from(WEIGHT)].bytes(), layout)?,
    };
    if layout.filter.as_ref().is_some_and(|filter| filter.drops(value)) {
        rows.dropped += 1;
        return Ok(());
    }
    let user = users.index(found[0]).map_err(|e| bad_id(layout, Role::User, e, found[0]))?;
    let item = items.index(found[1]).map_err(|e| bad_id(layout, Role::Item, e, found[1]))?;
    if layout.columns[3].is_some() {
        let text = found[3].bytes();
        match date {
            Some((seconds, billionths)) => rows.times.push_date(seconds, billionths),
            None if !rows.times.push(text) && layout.needs_time => {
                return Err(bad_time(layout, text));
            }
            None => {}
        }
    }
    if !is_exact(value) && is_rounded(value, rating_field(found, layout).bytes()) {
        rows.rounded += 1;
        rows.rounded_first.get_or_insert(number);
    }
    rows.push(user, item, value, number);
    if layout.weights.is_some() {
        rows.weights.push(weight);
    }
    Ok(())
}

/// The field of the rating, which may be that of the weight.
#[inline(always)]
fn rating_field<'a>(found: &Found<'a>, layout: &Layout) -> Field<'a> {
    match layout.weights.is_some() && layout.weights == layout.columns[2] {
        true => found[usize::from(WEIGHT)],
        false => found[2],
    }
}

/// What a rating counts.
fn weight_of(text: &[u8], layout: &Layout) -> Result<f32, String> {
    match fields::decimal(text, layout.decimal_comma) {
        Some(weight) if (0.0..f32::INFINITY).contains(&weight) => Ok(weight),
        _ => Err(format!(
            "\"{}\" is no weight: the column that `weights` names has to have numbers of 0 or more that fit 32 bits",
            shorten(text)
        )),
    }
}

/// Whole numbers up to this are what they are in single precision.
const EXACT: f32 = (1 << 24) as f32;

/// Whether a rating is one that single precision cannot have rounded to a whole number.
#[inline(always)]
pub(super) fn is_exact(value: f32) -> bool {
    value.abs() < EXACT
}

/// Whether a number of many digits has lost some of them.
#[cold]
fn is_rounded(value: f32, text: &[u8]) -> bool {
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    text.parse::<i128>().is_ok_and(|number| number != value as i128)
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
    let from = cut.begin(chunk, start, end);
    let (to, mut next) = cut.cut(chunk, from, end);
    let name = Field::new(chunk, from, to);
    let items = std::iter::from_fn(|| {
        let from = next?;
        let (to, following) = cut.cut(chunk, from, end);
        next = following;
        // A delimiter may stand at the end of the line.
        (to > from || next.is_some()).then(|| Field::new(chunk, from, to))
    });
    members(lane, name, items, layout, number)
}

/// Adds the items of a user.
#[inline(always)]
fn members<'t>(
    lane: &mut Lane,
    name: Field<'t>,
    fields: impl Iterator<Item = Field<'t>>,
    layout: &Layout,
    number: u64,
) -> Parsed {
    let Lane { users, items, rows } = lane;
    if name.bytes().is_empty() {
        return Err(bad_id(layout, Role::User, BadId::Empty, name));
    }
    if layout.skips_bad {
        checked(name.bytes()).map_err(|e| bad_id(layout, Role::User, e, name))?;
    }
    let mut user = None;
    for item in fields {
        if layout.skips_bad
            && let Err(error) = checked(item.bytes())
        {
            rows.failed(number, bad_id(layout, Role::Item, error, item), true);
            continue;
        }
        let item = items.index(item).map_err(|e| bad_id(layout, Role::Item, e, item))?;
        match user {
            Some(user) => rows.push_on(user, item, 1.0),
            None => {
                let index = users.index(name).map_err(|e| bad_id(layout, Role::User, e, name))?;
                rows.push_list(index, item, number);
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
        Some(_) if !layout.has_lists() => {
            format!("the {} id in column {} {what}", role.word(), layout.column_name(role))
        }
        _ => format!("the {} id {what}", role.word()),
    }
}

#[cold]
fn bad_time(layout: &Layout, text: &[u8]) -> String {
    let (text, column) = (shorten(text), layout.column_name(Role::Time));
    format!("\"{text}\" in column {column} is not {WHAT_IS_ONE}")
}

#[cold]
pub(super) fn bad_rating(layout: &Layout, field: &[u8], line: &[u8]) -> String {
    let (text, column) = (shorten(field), layout.column_name(Role::Rating));
    if text.is_empty() {
        return format!("the rating in column {column} is empty; write one or remove the line");
    }
    match fields::decimal(field, layout.decimal_comma) {
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
    let truth = ["true", "false", "yes", "no"].contains(&&*text.to_lowercase());
    let hint = if truth {
        " (write 1 and 0, or leave the column out with `columns`)"
    } else if semicolon {
        " (use `delimiter` \";\"?)"
    } else if decimal_comma && !layout.decimal_comma {
        " (use `decimal` \",\", or write a decimal point)"
    } else if layout.decimal_comma && field.contains(&b'.') {
        " (`decimal` \",\" has a comma where this has a point)"
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
    let needed = layout.slots.len();
    format!(
        "{fields} field{s} where {needed} are needed ({roles}): \"{text}\"{}",
        remedy(layout, line)
    )
}

/// A line with more fields than the first.
#[cold]
pub(super) fn too_many(layout: &Layout, line: &[u8]) -> String {
    let text = shorten(line);
    let what = match (layout.delimiter, layout.quotes) {
        (Delimiter::Blanks, _) => "use `format` grouped or `delimiter`?",
        (_, Quotes::No) if line.contains(&b'"') => "use `quotes` yes?",
        _ => "quote an id that contains the delimiter",
    };
    let fields = layout.fields;
    format!(
        "more than the {fields} fields of the first line ({what}): \"{text}\"{}",
        remedy(layout, line)
    )
}

/// What helps with lines of the wrong length.
fn remedy(layout: &Layout, line: &[u8]) -> &'static str {
    let odd = line.iter().filter(|&&b| b == b'"').count() % 2 == 1;
    let several = odd && matches!(layout.delimiter, Delimiter::Byte(_) | Delimiter::Blanks);
    let open = layout.quotes != Quotes::No && odd;
    match layout.header {
        _ if open => "; is a quote not closed? (`quotes` no takes quotes for characters)",
        _ if several || layout.doubts.iter().any(|doubt| doubt.option == "quotes") => {
            "; does a quoted field go over several lines? (`quotes` yes reads it)"
        }
        None => {
            "; `columns` says which fields are needed, `format` grouped that lines are a user and its \
                 items, `bad_rows` skip passes over such lines"
        }
        Some(_) => {
            "; `columns` says which fields are needed, `bad_rows` skip passes over such lines"
        }
    }
}
