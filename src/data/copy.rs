//! The lines of a rating file, copied to where their ratings go.

use super::Table;
use super::fields;
use super::layout::Layout;
use super::quoted::{self, Shape};
use super::source::Source;
use super::source::whole_records;
use crate::files::Part;
#[cfg(feature = "parquet")]
use crate::progress::Progress;
use crate::{Error, Result};
use std::io::Write;
use std::ops::ControlFlow;

/// The rows of one input, and where they go.
pub(super) struct Rows<'a> {
    pub table: &'a Table,
    /// (ratings): the fold in whose test part each is.
    pub choice: &'a [u8],
    /// The first row of the input.
    pub first: usize,
    /// The first row behind it.
    pub end: usize,
    /// Whether the lines above its ratings are the head of the outputs.
    pub header: bool,
    /// What the input looks like.
    pub layout: &'a Layout,
}

impl Rows<'_> {
    /// Copies each rating's lines into its parts. Lines that hold none, blank ones and what is left
    /// out, go nowhere.
    pub(super) fn copy(&self, mut source: Source<'_>, pairs: &mut [(Part, Part)]) -> Result<()> {
        let shape = Shape::quoted(self.layout);
        let (mut row, mut before, mut head) = (self.first, 0, self.layout.skip);
        let mut chunk = Vec::new();
        let name = source.name.clone();
        while source.next_chunk(&mut chunk)? {
            if let Some(shape) = &shape {
                whole_records(&mut source, &mut chunk, shape)?;
            }
            let mut outcome = Ok(());
            let lines = each_record(&chunk, shape.as_ref(), |line, text| {
                let number = before + line + 1;
                outcome = if head > 0 {
                    head -= 1;
                    if self.header { write_all(pairs, |_, _| true, text) } else { Ok(()) }
                } else if self.line(row) != Some(number) {
                    Ok(())
                } else if self.layout.has_lists() {
                    let end = (row..).find(|&row| self.line(row) != Some(number)).unwrap_or(row);
                    let rows = std::mem::replace(&mut row, end)..end;
                    self.lists(text, &self.choice[rows], pairs).map_err(|error| match error {
                        Ok(error) => error,
                        Err(text) => Error::line(&name, number, text),
                    })
                } else {
                    let fold = usize::from(self.choice[row]);
                    row += 1;
                    write_all(pairs, |number, tests| (number == fold) == tests, text)
                };
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            outcome?;
            before += lines;
        }
        self.check_end(row, &name)
    }

    /// Copies each rating's row into its parts, as a line of CSV.
    #[cfg(feature = "parquet")]
    pub(super) fn copy_columns(
        &self,
        table: &super::columnar::Table,
        progress: &dyn Progress,
        pairs: &mut [(Part, Part)],
    ) -> Result<()> {
        if self.header {
            write_all(pairs, |_, _| true, &table.head_line()?)?;
        }
        let mut row = self.first;
        table.lines(progress, |number, text| {
            if self.line(row) != Some(number) {
                return Ok(());
            }
            let fold = usize::from(self.choice[row]);
            row += 1;
            write_all(pairs, |number, tests| (number == fold) == tests, text)
        })?;
        self.check_end(row, &table.name)
    }

    /// Every row has been met, or the file is another than it was.
    fn check_end(&self, row: usize, name: &str) -> Result<()> {
        match row == self.end {
            true => Ok(()),
            false => Err(Error::file(name, "changed while it was read; try again")),
        }
    }

    /// Writes a user with its items of each part.
    fn lists(
        &self,
        line: &[u8],
        choice: &[u8],
        pairs: &mut [(Part, Part)],
    ) -> Result<(), Result<Error, String>> {
        let cut = self.fields(line);
        let (user, items) = cut.split_first().map_or((&[][..], &[][..]), |(u, i)| (u, i));
        if items.len() != choice.len() {
            return Err(Err("cannot be split: not all of its items can be read".to_owned()));
        }
        for (number, (train, test)) in pairs.iter_mut().enumerate() {
            for (part, tests) in [(train, false), (test, true)] {
                let mut text = user.to_vec();
                let mut any = false;
                for (item, &fold) in items.iter().zip(choice) {
                    if (usize::from(fold) == number) == tests {
                        text.extend_from_slice(self.layout.delimiter.bytes());
                        text.extend_from_slice(item);
                        any = true;
                    }
                }
                text.push(b'\n');
                if any {
                    part.write(|out| out.write_all(&text)).map_err(Ok)?;
                }
            }
        }
        Ok(())
    }

    /// The fields of a line of lists as they are to be written, the last only if it is not empty.
    fn fields(&self, line: &[u8]) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        match self.layout.delimiter.between_quoted(self.layout.quotes) {
            Some(byte) if line.contains(&b'"') => {
                let quoted = |field: &[u8]| {
                    let doubles = field.iter().flat_map(|&b| match b {
                        b'"' => vec![b'"', b'"'],
                        _ => vec![b],
                    });
                    std::iter::once(b'"').chain(doubles).chain([b'"']).collect()
                };
                quoted::records(line, &Shape::of(self.layout, byte), |_, record| {
                    if let Ok(record) = record {
                        found.extend((0..record.len()).map(|at| quoted(record.field(at).bytes())));
                    }
                    ControlFlow::Break(())
                });
                found.pop_if(|last| last.as_slice() == b"\"\"");
            }
            _ => {
                let delimiter = self.layout.delimiter;
                let line = fields::without_return(line.strip_suffix(b"\n").unwrap_or(line));
                found.extend(fields::all(delimiter, line).into_iter().map(<[u8]>::to_vec));
                found.pop_if(|last| last.is_empty());
            }
        }
        found
    }

    /// The line of a row of this input.
    fn line(&self, row: usize) -> Option<u64> {
        (row < self.end).then(|| self.table.origin(row).1)
    }
}

/// Writes lines into the parts for which `into` (number of the pair, whether it is the test part).
fn write_all(
    pairs: &mut [(Part, Part)],
    into: impl Fn(usize, bool) -> bool,
    text: &[u8],
) -> Result<()> {
    for (number, (train, test)) in pairs.iter_mut().enumerate() {
        for (part, tests) in [(train, false), (test, true)] {
            if into(number, tests) {
                part.write(|out| out.write_all(text))?;
            }
        }
    }
    Ok(())
}

/// Hands the lines of each record of a chunk to `each`, with the number of the first from 0; how
/// many lines there are.
fn each_record(
    chunk: &[u8],
    shape: Option<&Shape>,
    mut each: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> u64 {
    if let Some(shape) = shape.filter(|_| memchr::memchr(b'"', chunk).is_some()) {
        return quoted::records(chunk, shape, |line, record| match record {
            Ok(record) => each(line, record.lines()),
            Err(_) => ControlFlow::Continue(()),
        });
    }
    let mut number = 0;
    for line in chunk.split_inclusive(|&byte| byte == b'\n') {
        number += 1;
        if !line.trim_ascii().is_empty() && each(number - 1, line).is_break() {
            break;
        }
    }
    number
}
