//! Reading rating files: everything is recognised by content, plain text is parsed in parallel.

use super::form::FileForm;
use super::lane::Lane;
use super::layout::Layout;
use super::lines::Lines;
use super::names::Role;
use super::options::{Format, ReadOptions};
use super::source::Source;
use super::times::{TimeScale, Times};
use super::{parse, quoted};
use crate::core::{Ids, Ratings, UNKNOWN};
use crate::progress::Progress;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::PathBuf;

/// More lanes than this repeat ids without being faster than the memory.
const MOST_LANES: usize = 16;

/// What rating files hold, as they have it until it is [put into order](Table::settle).
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The users, in order of first appearance.
    pub users: Ids,
    /// The items, in order of first appearance.
    pub items: Ids,
    /// The ratings, in order of the files.
    pub ratings: Ratings,
    /// One line a file of what was recognised, for people.
    pub recognised: Vec<String>,
    /// What each file was taken for.
    pub forms: Vec<FileForm>,
    /// Whether there was a rating column; without one all ratings are 1.
    pub has_ratings: bool,
    pub(super) lines: Lines,
    /// (ratings): the row that each had when it was read; empty where that is still its own.
    pub(super) origins: Vec<u32>,
    /// What the integers of its timestamps are.
    pub(super) scale: TimeScale,
    /// Of each file the first row whose timestamp cannot be read, and that text.
    pub(super) unread: Vec<(usize, String)>,
}

impl Table {
    /// The file and the line, counted from 1, of the rating at `row`; of merged ones that of the first.
    pub fn origin(&self, row: usize) -> (&str, u64) {
        self.lines.locate(self.origins.get(row).map_or(row, |&row| row as usize))
    }
}

/// Reads files as one set of ratings; `-` is standard input.
///
/// Memory: 12 bytes a rating (20 with timestamps, 24 while they are read where they have decimals) and the
/// ids. The result does not depend on the number of threads. A rating whose timestamp cannot be read, or
/// whose file has none, has [`NO_TIME`](crate::core::NO_TIME), unless no file has any; what needs it
/// says so.
///
/// # Errors
/// An input that cannot be opened, is damaged, or has a line that is not a rating; the error names
/// the file and the line.
pub fn read(paths: &[PathBuf], options: &ReadOptions, progress: &dyn Progress) -> Result<Table> {
    let mut reader = Reader::new(options);
    for path in paths {
        let source = Source::open(path, progress)?;
        // The bar goes before an error is shown.
        let outcome = reader.read(source);
        progress.finish();
        outcome?;
    }
    reader.table()
}

/// Collects sources into one table.
pub(super) struct Reader<'o> {
    options: &'o ReadOptions,
    lanes: Vec<Lane>,
    table: Table,
    times: Times,
    /// Of each source.
    pub layouts: Vec<Layout>,
}

impl<'o> Reader<'o> {
    pub(super) fn new(options: &'o ReadOptions) -> Self {
        let lanes = rayon::current_num_threads().clamp(1, MOST_LANES);
        Reader {
            options,
            lanes: std::iter::repeat_with(Lane::default).take(lanes).collect(),
            table: Table::default(),
            times: Times::default(),
            layouts: Vec::new(),
        }
    }

    /// Adds all of a source.
    pub(super) fn read(&mut self, mut source: Source<'_>) -> Result<()> {
        let name = source.name.clone();
        let mut batch = vec![Vec::new(); self.lanes.len()];
        let mut next = vec![Vec::new(); self.lanes.len()];
        let mut filled = fill(&mut source, &mut batch[..1])?;
        let layout = Layout::recognise(&name, &batch[0], self.options)?;
        let before = self.table.ratings.len();
        self.table.lines.begin_file(before as u64, &name, layout.format == Format::Grouped);
        self.table.has_ratings |= layout.has(Role::Rating);
        let mut unread = 0;
        let mut at = Place { line: 0, start: true };
        while filled > 0 {
            let quote = layout.delimiter.quotes().then(|| {
                batch[..filled].iter().position(|chunk| memchr::memchr(b'"', chunk).is_some())
            });
            let plain = quote.flatten().unwrap_or(filled);
            let start = at.start;
            let lanes = &mut self.lanes;
            let (_, following) = rayon::join(
                || {
                    let work = lanes.par_iter_mut().zip(&batch[..plain]).enumerate();
                    work.for_each(|(i, (lane, chunk))| {
                        parse::chunk(lane, chunk, &layout, start && i == 0);
                    });
                },
                || if plain == filled { fill(&mut source, &mut next) } else { Ok(0) },
            );
            for lane in 0..plain {
                self.merge(lane, &name, &mut at, &mut unread)?;
            }
            if plain < filled {
                // From the first quote on a line feed may be part of a field: read in order.
                let (first, chunks) = (at.line, &batch[plain..filled]);
                let mut records = quoted::Records::new(chunks, &mut source, &layout, first);
                records.skip_header(at.start && layout.header.is_some())?;
                while records.batch(&mut self.lanes[0])? {
                    at.line = first;
                    self.merge(0, &name, &mut at, &mut unread)?;
                }
                break;
            }
            filled = following?;
            std::mem::swap(&mut batch, &mut next);
        }
        self.end(&name, &source, layout, before, unread)
    }

    /// How many ratings there are so far.
    pub(super) fn count(&self) -> usize {
        self.table.ratings.len()
    }

    /// Moves the rows of a lane into the table.
    fn merge(&mut self, lane: usize, name: &str, at: &mut Place, unread: &mut usize) -> Result<()> {
        let Lane { users, items, rows } = &mut self.lanes[lane];
        let line_of = |line: u64| at.line + line + 1;
        if let Some((line, message)) = rows.failure.take() {
            return Err(Error::line(name, line_of(line), message));
        }
        let Table { users: all_users, items: all_items, ratings, lines, .. } = &mut self.table;
        let before = ratings.len() as u64;
        for &(row, line) in &rows.runs {
            lines.add(before + row, line_of(line));
        }
        let ((fits, _), (item_fits, _)) = rayon::join(
            || (users.merge(all_users), ratings.users.extend(users.shared(&rows.users))),
            || (items.merge(all_items), ratings.items.extend(items.shared(&rows.items))),
        );
        if !(fits && item_fits) {
            return Err(Error::data(format!("there are more than {UNKNOWN} distinct ids")));
        }
        ratings.values.extend_from_slice(&rows.values);
        if let (0, Some((row, text))) = (*unread, rows.times.unread.take()) {
            self.table.unread.push((before as usize + row, text));
        }
        *unread += rows.times.unread_count;
        self.times.extend(&rows.times, before as usize);
        *at = Place { line: at.line + rows.lines, start: false };
        Ok(())
    }

    /// Notes what was found in a source.
    fn end(
        &mut self,
        name: &str,
        source: &Source<'_>,
        layout: Layout,
        before: usize,
        unread: usize,
    ) -> Result<()> {
        let count = self.table.ratings.len() - before;
        if count == 0 {
            let message = match layout.header {
                Some(_) => "holds no ratings (only a header)",
                None => "holds no ratings",
            };
            return Err(Error::file(name, message));
        }
        self.table.forms.push(FileForm::new(name, source.compression, "utf-8", &layout, count));
        let kind = source.compression.map(|kind| format!("{kind}, ")).unwrap_or_default();
        let mut line = format!("{name}: {kind}{}; {} ratings", layout.describe(), grouped(count));
        if let Some((row, text)) = self.table.unread.last().filter(|_| unread > 0) {
            let (at, column) = (self.table.lines.locate(*row).1, layout.column_name(Role::Time));
            line += &format!(
                "; {} of {} timestamps cannot be read (line {at}: \"{text}\" in column {column})",
                grouped(unread),
                grouped(count)
            );
        }
        for doubt in &layout.doubts {
            line += &format!("; {}", doubt.what);
        }
        self.table.recognised.push(line);
        self.layouts.push(layout);
        Ok(())
    }

    /// What was read.
    pub(super) fn table(self) -> Result<Table> {
        let mut table = self.table;
        if table.ratings.is_empty() {
            return Err(Error::data("there are no ratings to read; name a file of ratings"));
        }
        (table.ratings.timestamps, table.scale) = self.times.finish(table.ratings.len());
        if !table.ratings.timestamps.is_empty() {
            for (layout, line) in self.layouts.iter().zip(&mut table.recognised) {
                if !layout.has(Role::Time) {
                    *line += "; no timestamps, though other files have them";
                }
            }
        }
        Ok(table)
    }
}

/// Where the next chunk begins.
struct Place {
    /// Lines before it.
    line: u64,
    /// Whether it is the first.
    start: bool,
}

/// Fills chunks in order; how many there were.
fn fill(source: &mut Source<'_>, chunks: &mut [Vec<u8>]) -> Result<usize> {
    for (filled, chunk) in chunks.iter_mut().enumerate() {
        if !source.next_chunk(chunk)? {
            return Ok(filled);
        }
    }
    Ok(chunks.len())
}

/// A count with a comma after every three digits.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
