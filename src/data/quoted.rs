//! Text with quotes (RFC 4180), read in order by the csv crate.

use super::fields::Field;
use super::lane::Lane;
use super::layout::Layout;
use super::options::{Delimiter, Format};
use super::parse;
use super::source::Source;
use crate::{Error, Result};
use std::io::{Cursor, Read};

/// Ratings between two merges.
const BATCH: usize = 1 << 18;

/// The records from the first chunk with a quote to the end of the file.
pub(super) struct Records<'a> {
    name: String,
    reader: csv::Reader<Input<'a>>,
    layout: &'a Layout,
    record: csv::ByteRecord,
    /// Lines of the file before these.
    before: u64,
}

/// An input that knows whether it was asked for more than it had.
struct Input<'a> {
    inner: Box<dyn Read + 'a>,
    ended: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.ended |= count == 0 && !into.is_empty();
        Ok(count)
    }
}

impl<'a> Records<'a> {
    /// `chunks` were taken from `source` and not parsed yet; `before` lines came before them.
    pub(super) fn new(
        chunks: &'a [Vec<u8>],
        source: &'a mut Source<'_>,
        layout: &'a Layout,
        before: u64,
    ) -> Self {
        let name = source.name.clone();
        let mut input: Box<dyn Read + 'a> = Box::new(std::io::empty());
        for chunk in chunks {
            input = Box::new(input.chain(Cursor::new(chunk.as_slice())));
        }
        let input: Box<dyn Read + 'a> = Box::new(input.chain(source.rest()));
        let delimiter = match layout.delimiter {
            Delimiter::Byte(byte) => byte,
            // Not reached: other delimiters have no quotes.
            Delimiter::DoubleColon | Delimiter::Blanks => b' ',
        };
        // A line feed alone ends a record, which keeps the crate's count of lines exact; carriage
        // returns are cut off here.
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(Input { inner: input, ended: false });
        Records { name, reader, layout, record: csv::ByteRecord::new(), before }
    }

    /// The line, counted from 0, of the next record that is not blank; nothing at the end.
    fn next(&mut self) -> Result<Option<u64>> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.map_err(|e| self.failure(e))? {
                return Ok(None);
            }
            if self.record.as_slice().trim_ascii().is_empty() && self.record.len() <= 1 {
                continue;
            }
            // The crate says where it stands after the record; blank lines before it make its own
            // position of the record useless.
            let inside = memchr::memchr_iter(b'\n', self.record.as_slice()).count() as u64;
            let next_line = self.reader.position().line();
            if self.reader.get_ref().ended {
                // The input ends in a line feed, and that has not ended the record.
                let line = self.before + next_line.saturating_sub(inside);
                return Err(Error::line(
                    &self.name,
                    line,
                    "a quote is not closed; close it, or double it (\"\") where it is part of an id",
                ));
            }
            return Ok(Some(next_line.saturating_sub(2 + inside)));
        }
    }

    fn failure(&self, error: csv::Error) -> Error {
        let text = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(error) => match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::io(&self.name, error),
            },
            _ => Error::file(&self.name, text),
        }
    }

    /// Passes over the header.
    pub(super) fn skip_header(&mut self, there_is_one: bool) -> Result<()> {
        if there_is_one {
            self.next()?;
        }
        Ok(())
    }

    /// Fills the lane with the next ratings; false at the end.
    pub(super) fn batch(&mut self, lane: &mut Lane) -> Result<bool> {
        lane.rows.clear();
        while lane.rows.values.len() < BATCH {
            let Some(line) = self.next()? else {
                return Ok(!lane.rows.values.is_empty());
            };
            if let Err(message) = self.one(lane, line) {
                lane.rows.failure = Some((line, message));
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn one(&self, lane: &mut Lane, line: u64) -> Result<(), String> {
        let (record, layout) = (&self.record, self.layout);
        let clean = |column: usize| -> &[u8] {
            let mut field = record.get(column).unwrap_or(&[]);
            if column + 1 == record.len() {
                field = super::fields::without_return(field);
            }
            if layout.trims {
                field = field.trim_ascii_start();
                if let [b'"', inner @ .., b'"'] = field {
                    field = inner;
                }
            }
            field
        };
        if layout.format == Format::Grouped {
            return self.group(lane, line, clean);
        }
        if record.len() < layout.slots.len() {
            return Err(parse::too_few(layout, record.len(), record.as_slice()));
        }
        if (layout.fields..record.len()).any(|column| !clean(column).is_empty()) {
            return Err(parse::too_many(layout, record.as_slice()));
        }
        let mut found = [Field::default(); 5];
        for (field, column) in found.iter_mut().zip(layout.columns) {
            *field = column.map_or(Field::default(), |column| clean(column).into());
        }
        parse::row(lane, &found, layout, line, record.as_slice())
    }

    fn group<'r>(
        &'r self,
        lane: &mut Lane,
        line: u64,
        clean: impl Fn(usize) -> &'r [u8],
    ) -> Result<(), String> {
        for column in 1..self.record.len() {
            if column + 1 == self.record.len() && clean(column).is_empty() {
                break;
            }
            let Lane { users, items, rows } = &mut *lane;
            let user = users
                .index(clean(0).into())
                .map_err(|e| format!("the user id {}", e.describe(clean(0))))?;
            let item = items
                .index(clean(column).into())
                .map_err(|e| format!("the item id {}", e.describe(clean(column))))?;
            if column == 1 {
                rows.push(user, item, 1.0, line);
            } else {
                rows.push_on(user, item, 1.0);
            }
        }
        Ok(())
    }
}
