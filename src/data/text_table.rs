//! Small tables of text: titles, lists of ids. Read whole, and recognised by which reading finds
//! the ids that a model knows.

use super::fields;
use super::guess;
use super::names::{Role, normalised};
use super::options::{Delimiter, Quotes};
use super::quoted::{self, Shape};
use super::source::Source;
use crate::core::{Ids, Side};
use crate::{Error, Result};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;

/// Bytes from which a reading is chosen, where they hold any known id.
const SAMPLE: usize = 1 << 20;
/// Bytes that tell how many fields a record has.
const HEAD: usize = 1 << 16;

/// The most bytes of a line.
const LINE: usize = 1 << 20;

/// The most bytes of such a file, after decompression.
const MOST: usize = 512 << 20;

/// What may separate fields, the surest first.
const CANDIDATES: [Delimiter; 5] = [
    Delimiter::DoubleColon,
    Delimiter::Byte(b'\t'),
    Delimiter::Byte(b'|'),
    Delimiter::Byte(b','),
    Delimiter::Byte(b';'),
];

/// A file of text in memory.
pub(super) struct TextTable {
    /// The file as the user named it.
    pub name: String,
    bytes: Vec<u8>,
}

/// How a table is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// What separates fields; nothing where a line is one field.
    pub delimiter: Option<Delimiter>,
    /// The names of the columns, where the first record has them.
    pub header: Option<Vec<String>>,
    /// The column of the ids.
    pub id: usize,
}

impl TextTable {
    /// Reads a file, plain or compressed; `what` it should be is for messages.
    pub(super) fn open(path: &Path, what: &str) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::file(path, format!("is a directory; name {what}")));
        }
        let mut source = Source::open(path, None, &())?;
        let name = source.name.clone();
        let (mut bytes, mut chunk, mut total) = (Vec::new(), Vec::new(), 0);
        while source.next_chunk(&mut chunk)? {
            total += chunk.len();
            // Compressed, a few MB are enough for this.
            if total > MOST {
                let message = format!("holds more than {} MiB of text; name {what}", MOST >> 20);
                return Err(Error::file(&name, message));
            }
            if !chunk.trim_ascii().is_empty() {
                bytes.append(&mut chunk);
            }
        }
        // A title is a line; what is longer is something else, which takes long to look through.
        let mut ends = memchr::memchr_iter(b'\n', &bytes).chain([bytes.len()]);
        let mut start = 0;
        if let Some(line) = ends.position(|end| std::mem::replace(&mut start, end) + LINE < end) {
            let message = format!("is longer than {} KiB; name {what}", LINE >> 10);
            return Err(Error::line(&name, line as u64 + 1, message));
        }
        if bytes.trim_ascii().is_empty() {
            return Err(Error::file(&name, format!("is empty; name {what}")));
        }
        Ok(TextTable { name, bytes })
    }

    /// The first line that is not blank, shortened.
    pub(super) fn first_line(&self) -> String {
        let mut lines = self.bytes.split(|&b| b == b'\n').map(fields::without_return);
        super::layout::shorten(lines.find(|line| !line.trim_ascii().is_empty()).unwrap_or(&[]))
    }

    /// The reading that finds the most ids of `known` in the column of ids; the first candidate where none finds any. `single` also takes
    /// a line for one field.
    pub(super) fn recognise(
        &self,
        known: &Ids,
        side: Side,
        delimiter: Option<Delimiter>,
        single: bool,
    ) -> Reading {
        let candidates: Vec<Option<Delimiter>> = match delimiter {
            Some(delimiter) => vec![Some(delimiter)],
            None if single => [None].into_iter().chain(CANDIDATES.map(Some)).collect(),
            None => CANDIDATES.map(Some).to_vec(),
        };
        let line_end = |at: usize| {
            self.bytes[at..].iter().position(|&b| b == b'\n').map_or(self.bytes.len(), |n| at + n)
        };
        let sample = line_end(self.bytes.len().min(SAMPLE));
        let whole = self.bytes.len();
        let lengths = if sample < whole { vec![sample, whole] } else { vec![whole] };
        let mut best: Option<(usize, Reading)> = None;
        for length in lengths {
            for &delimiter in &candidates {
                let reading = self.reading(known, side, delimiter);
                let mut found = 0;
                let skip = reading.header.is_some();
                let _ = walk(&self.bytes[..length], delimiter, |at, record| {
                    let id = record.get(reading.id).map(|field| decode(field));
                    found += usize::from(
                        !(skip && at == 0) && id.is_some_and(|id| known.get(id.trim()).is_some()),
                    );
                    ControlFlow::Continue(())
                });
                if best.as_ref().is_none_or(|best| found > best.0) {
                    best = Some((found, reading));
                }
            }
            if best.as_ref().is_some_and(|best| best.0 > 0) {
                break;
            }
        }
        // Where no id is known, the delimiter that cuts the first line says the most.
        match best {
            Some((0, reading)) if delimiter.is_none() => {
                let cuts = |d: &Delimiter| self.first(Some(*d)).len() > 1;
                match CANDIDATES.iter().find(|d| cuts(d)) {
                    Some(&delimiter) => self.reading(known, side, Some(delimiter)),
                    None => reading,
                }
            }
            Some((_, reading)) => reading,
            None => self.reading(known, side, None),
        }
    }

    /// Header and id column under a delimiter.
    fn reading(&self, known: &Ids, side: Side, delimiter: Option<Delimiter>) -> Reading {
        let first = self.first(delimiter);
        let role = match side {
            Side::User => Role::User,
            Side::Item => Role::Item,
        };
        // "title" and "artist" may name the item, but not beside an id.
        let role = role.find(&first);
        let sure = role.filter(|&column| normalised(&first[column]).ends_with("id"));
        let plain = || first.iter().position(|name| normalised(name) == "id");
        let named = sure.or_else(plain).or(role);
        match named {
            // An item may be called "item".
            Some(column) if known.get(&first[column]).is_none() => {
                Reading { delimiter, header: Some(first), id: column }
            }
            _ => Reading { delimiter, header: None, id: 0 },
        }
    }

    /// A line with ids of `known` beside that in the column of ids, where it is the only one or lines
    /// differ in length, so that they are no columns of a table.
    pub(super) fn several_ids(&self, reading: &Reading, known: &Ids) -> Option<String> {
        if reading.header.is_some() || reading.delimiter.is_none() {
            return None;
        }
        let (mut found, mut count, mut length, mut even) = (None, 0, 0, true);
        self.each(reading, |record| {
            even &= count == 0 || record.len() == length;
            (count, length) = (count + 1, record.len());
            let is_known = |field: &&&[u8]| known.get(decode(field).trim()).is_some();
            if found.is_none() && record.iter().filter(is_known).count() > 1 {
                let texts: Vec<_> = record.iter().map(|field| decode(field)).collect();
                found = Some(super::layout::shorten(texts.join(",").as_bytes()));
            }
        });
        found.filter(|_| count == 1 || !even)
    }

    /// The fields of the first record.
    pub(super) fn first(&self, delimiter: Option<Delimiter>) -> Vec<String> {
        let mut first = Vec::new();
        let _ = walk(&self.bytes, delimiter, |_, record| {
            first = record.iter().map(|field| decode(field).trim().to_owned()).collect();
            ControlFlow::Break(())
        });
        first
    }

    /// Hands every record but the header to `each`, in order.
    pub(super) fn each(&self, reading: &Reading, mut each: impl FnMut(&[&[u8]])) {
        let skip = reading.header.is_some();
        let _ = walk(&self.bytes, reading.delimiter, |at, record| {
            if !(skip && at == 0) {
                each(record);
            }
            ControlFlow::Continue(())
        });
    }
}

impl Reading {
    /// Words for "it was read as ...".
    pub(super) fn describe(&self) -> String {
        let form = self.delimiter.map_or("one id a line".to_owned(), Delimiter::describe);
        match &self.header {
            Some(_) => format!("{form} with a header"),
            None => form,
        }
    }

    /// The column that `text` names or counts from 1.
    pub(super) fn column(&self, text: &str, fields: usize) -> Option<usize> {
        if let Ok(position) = text.parse::<usize>() {
            return (1..=fields).contains(&position).then(|| position - 1);
        }
        let header = self.header.as_ref()?;
        let exact = header.iter().position(|name| name == text);
        let near = || header.iter().position(|name| normalised(name) == normalised(text));
        exact.or_else(near)
    }
}

/// UTF-8, and bytes that are not as Latin-1, in which any byte is text.
pub(super) fn decode(field: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(field) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(field.len());
    for chunk in field.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&byte| char::from(byte)));
    }
    Cow::Owned(text)
}

/// Hands each record that is not blank to `each`, with its number from 0.
fn walk(
    bytes: &[u8],
    delimiter: Option<Delimiter>,
    mut each: impl FnMut(usize, &[&[u8]]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match delimiter {
        // Tables with tabs and bars have quotes in their titles, not around them.
        Some(Delimiter::Byte(byte)) if byte != b'\t' && byte != b'|' => {
            let lines = guess::sample_lines(&bytes[..bytes.len().min(HEAD)]);
            let first = guess::records(Delimiter::Byte(byte), Quotes::Auto, &lines);
            let shape = Shape::table(byte, first.first().map_or(0, Vec::len), false);
            let (mut at, mut flow) = (0, ControlFlow::Continue(()));
            quoted::records(bytes, &shape, |_, record| {
                let Ok(record) = record else { return ControlFlow::Continue(()) };
                let fields: Vec<&[u8]> =
                    (0..record.len()).map(|at| record.field(at).bytes()).collect();
                if fields.iter().all(|field| field.trim_ascii().is_empty()) {
                    return ControlFlow::Continue(());
                }
                flow = each(at, &fields);
                at += 1;
                flow
            });
            flow?;
        }
        _ => {
            let lines = bytes.split(|&b| b == b'\n').map(fields::without_return);
            let lines = lines.filter(|line| !line.trim_ascii().is_empty());
            for (at, line) in lines.enumerate() {
                match delimiter {
                    Some(delimiter) => each(at, &fields::all(delimiter, line))?,
                    None => each(at, &[line])?,
                }
            }
        }
    }
    ControlFlow::Continue(())
}
