//! Reading rating files: everything is recognised by content, plain text is parsed in parallel.

use super::alike::{self, Need};
#[cfg(feature = "parquet")]
use super::columnar;
use super::form::FileForm;
use super::inspect::Row;
use super::lane::{self, Lane};
use super::layout::{Head, Layout};
use super::lines::Lines;
use super::market;
use super::names::Role;
use super::notes::{self, grouped};
use super::options::{Format, ReadOptions};
use super::parse;
use super::quoted::Shape;
use super::set::{self, Member};
use super::source::{Source, fill, whole_records};
use super::times::{TimeScale, Times};
use crate::core::{Ids, Ratings, UNKNOWN, escaped};
use crate::memory;
use crate::progress::Progress;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::PathBuf;

/// More lanes repeat ids without being faster than the memory.
const MOST_LANES: usize = 16;

/// Bytes of a rating while it is read and put into order, and with a timestamp.
const BYTES: u64 = 24;
const BYTES_WITH_TIME: u64 = 40;

/// The part of an estimate that is certain.
const SURELY: f64 = 0.6;
/// Bytes of a file for whose ratings room is made before they are read.
const LARGE: u64 = 64 << 20;
/// Rows that show whether a guess is right.
const DOUBTFUL_ROWS: usize = 3;

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

/// Reads files as one set of ratings; `-` is standard input. A directory, and a pattern as in
/// `plays/*.csv`, is the set of its files, which have to be alike.
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
    collect(paths, options, Need::Ratings, progress)
}

/// Reads files of pairs of a user and an item: as [`read`], but where `options` name a file that they are
/// to be read like, the column of its ratings is not needed.
///
/// # Errors
/// As [`read`].
pub fn read_pairs(
    paths: &[PathBuf],
    options: &ReadOptions,
    progress: &dyn Progress,
) -> Result<Table> {
    collect(paths, options, Need::Pairs, progress)
}

fn collect(
    paths: &[PathBuf],
    options: &ReadOptions,
    need: Need,
    progress: &dyn Progress,
) -> Result<Table> {
    let options = &alike::told(options);
    options.check()?;
    let mut reader = Reader { need, ..Reader::new(options) };
    for member in set::members(paths)? {
        // The bar goes before an error is shown.
        let outcome = reader.add(&member, progress);
        progress.finish();
        reader.notes.drain(..).for_each(|note| progress.note(&note));
        outcome?;
        for row in reader.doubtful_rows() {
            progress.detail(&format!("{}:{}: {row}", row.file, row.line));
        }
    }
    reader.table()
}

/// Collects sources into one table.
pub(super) struct Reader<'o> {
    options: &'o ReadOptions,
    need: Need,
    pub lanes: Vec<Lane>,
    table: Table,
    times: Times,
    /// Of each source.
    pub layouts: Vec<Layout>,
    /// What is to be told of the last source.
    notes: Vec<String>,
    /// The set that the last source was of.
    set: Option<usize>,
}

impl<'o> Reader<'o> {
    pub(super) fn new(options: &'o ReadOptions) -> Self {
        let lanes = rayon::current_num_threads().clamp(1, MOST_LANES);
        Reader {
            options,
            need: Need::Ratings,
            lanes: std::iter::repeat_with(Lane::default).take(lanes).collect(),
            table: Table::default(),
            times: Times::default(),
            layouts: Vec::new(),
            notes: Vec::new(),
            set: None,
        }
    }

    /// Adds all of a file.
    pub(super) fn add(&mut self, member: &Member, progress: &dyn Progress) -> Result<()> {
        #[cfg(feature = "parquet")]
        if let Some(table) = columnar::Table::open(&member.path)? {
            return self.read_columns(&table, member, progress);
        }
        let source = Source::open(&member.path, self.options.encoding, progress)?;
        self.read(source.remembers(alike::remembers_encoding(self.options)), member)
    }

    /// Recognises the next file.
    pub(super) fn recognise(
        &mut self,
        name: &str,
        head: &Head<'_>,
        member: &Member,
    ) -> Result<Layout> {
        let (layout, note) = alike::recognise(name, head, self.options, self.need)?;
        self.notes.extend(note);
        self.same_set(name, &layout, member)?;
        Ok(layout)
    }

    /// Begins with the ratings of the next file; how many there are before.
    pub(super) fn begin(&mut self, name: &str, layout: &Layout) -> usize {
        let before = self.table.ratings.len();
        self.table.lines.begin_file(before as u64, name, layout.has_lists());
        self.table.has_ratings |= layout.has(Role::Rating);
        before
    }

    /// Adds all of a source.
    pub(super) fn read(&mut self, mut source: Source<'_>, member: &Member) -> Result<()> {
        let name = source.name.clone();
        let mut batch = vec![Vec::new(); self.lanes.len()];
        let mut next = vec![Vec::new(); self.lanes.len()];
        let mut filled = fill(&mut source, &mut batch[..1], None)?;
        let mut layout = self.recognise(&name, &Head::Text(&batch[0]), member)?;
        if let Some(size) = source.size {
            // As many as if its lines were as long as those of its first chunk.
            let lines = memchr::memchr_iter(b'\n', &batch[0]).count() as f64;
            let ratings = lines * (size as f64 / batch[0].len().max(1) as f64).max(1.0);
            self.foresee(&name, ratings, &layout, size > LARGE)?;
        }
        let shape = Shape::quoted(&layout);
        if let Some(shape) = &shape {
            whole_records(&mut source, &mut batch[0], shape)?;
        }
        let before = self.begin(&name, &layout);
        let mut tally = Tally::default();
        let mut at = Place { line: 0, start: true };
        while filled > 0 {
            let start = at.start;
            let lanes = &mut self.lanes;
            let (_, following) = rayon::join(
                || {
                    let work = lanes.par_iter_mut().zip(&batch[..filled]).enumerate();
                    work.for_each(|(i, (lane, chunk))| {
                        parse::chunk(lane, chunk, &layout, start && i == 0);
                    });
                },
                || fill(&mut source, &mut next, shape.as_ref()),
            );
            for lane in 0..filled {
                self.merge(lane, &layout, &name, &mut at, &mut tally)?;
            }
            filled = following?;
            std::mem::swap(&mut batch, &mut next);
        }
        let how = source.how(self.options.encoding.is_none(), &mut layout.doubts);
        let (compression, encoding) = (source.compression, source.encoding());
        self.end(Ended { name: &name, compression, encoding, how }, layout, before, tally, member)
    }

    /// Makes sure that there is memory for about as many ratings, and makes room for them where they are many.
    ///
    /// # Errors
    /// There is far too little.
    pub(super) fn foresee(
        &mut self,
        name: &str,
        ratings: f64,
        layout: &Layout,
        many: bool,
    ) -> Result<()> {
        let weights = if layout.weights.is_some() { 8 } else { 0 };
        let each = weights + if layout.has(Role::Time) { BYTES_WITH_TIME } else { BYTES };
        let needed = (ratings * each as f64) as u64;
        // Later lines may be longer, if not by much.
        memory::ensure((SURELY * needed as f64) as u64, |room| {
            let there = room.whole().map_or(String::new(), memory::size);
            format!(
                "{name}: about {} ratings need {} of memory to be read, and there are {there}; split the \
                 file, or read it where there is more",
                grouped(ratings as usize),
                memory::size(needed)
            )
        })?;
        if many {
            let Ratings { users, items, values, .. } = &mut self.table.ratings;
            // Where that fails it may still grow bit by bit.
            let more = ratings as usize;
            let _ = memory::reserve(users, more, name)
                .and_then(|()| memory::reserve(items, more, name))
                .and_then(|()| memory::reserve(values, more, name));
        }
        Ok(())
    }

    /// Files of one set have to be alike, or something else lies among them.
    fn same_set(&mut self, name: &str, layout: &Layout, member: &Member) -> Result<()> {
        let last = self.layouts.last().filter(|_| member.set.is_some() && self.set == member.set);
        self.set = member.set;
        let Some(last) = last.filter(|last| !layout.is_like(last)) else { return Ok(()) };
        let (mut this, mut that) = (layout.describe(), last.describe());
        if this == that {
            // The same names in other places.
            this += &format!(" (columns {})", alike::text(layout.columns));
            that += &format!(" (columns {})", alike::text(last.columns));
        }
        let message = format!(
            "is {this}, but the file before it in the set is {that}; name the files of ratings alone, \
             or each with those that are like it"
        );
        Err(Error::file(name, message))
    }

    /// The first rows of the last file, where what it was taken for is a guess that they would show wrong.
    fn doubtful_rows(&self) -> Vec<Row> {
        match self.table.forms.last() {
            Some(form) if !form.doubts.is_empty() => {
                let first = self.table.ratings.len() - form.ratings;
                self.table.rows(first..first + form.ratings.min(DOUBTFUL_ROWS))
            }
            _ => Vec::new(),
        }
    }

    /// How many ratings there are so far.
    pub(super) fn count(&self) -> usize {
        self.table.ratings.len()
    }

    /// Moves the rows of a lane into the table.
    pub(super) fn merge(
        &mut self,
        lane: usize,
        layout: &Layout,
        name: &str,
        at: &mut Place,
        tally: &mut Tally,
    ) -> Result<()> {
        let Lane { users, items, rows } = &mut self.lanes[lane];
        let line_of = |line: u64| at.line + line + 1;
        if let Some((line, message)) = rows.failure.take() {
            return Err(layout.error(name, line_of(line), message));
        }
        tally.skipped += rows.skipped;
        let room = lane::SHOWN.saturating_sub(tally.skipped_first.len());
        let first = rows.skipped_first.drain(..).take(room);
        tally.skipped_first.extend(first.map(|(line, why)| (line_of(line), why)));
        tally.dropped += rows.dropped;
        tally.literal += rows.literal;
        if let (0, Some(first)) = (tally.rounded, rows.rounded_first) {
            tally.rounded_first = line_of(first);
        }
        tally.rounded += rows.rounded;
        let Table { users: all_users, items: all_items, ratings, lines, .. } = &mut self.table;
        let before = ratings.len() as u64;
        memory::reserve(&mut ratings.users, rows.users.len(), name)?;
        memory::reserve(&mut ratings.items, rows.items.len(), name)?;
        memory::reserve(&mut ratings.values, rows.values.len(), name)?;
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
        memory::reserve(&mut ratings.weights, rows.weights.len(), name)?;
        ratings.weights.extend_from_slice(&rows.weights);
        ratings.values.extend_from_slice(&rows.values);
        if let (0, Some((row, text))) = (tally.unread, rows.times.unread.take()) {
            self.table.unread.push((before as usize + row, text));
        }
        tally.unread += rows.times.unread_count;
        self.times.extend(&rows.times, before as usize);
        *at = Place { line: at.line + rows.lines, start: false };
        Ok(())
    }

    /// Notes what was found in a source.
    pub(super) fn end(
        &mut self,
        file: Ended<'_>,
        mut layout: Layout,
        before: usize,
        tally: Tally,
        member: &Member,
    ) -> Result<()> {
        let Ended { name, compression, encoding, how } = file;
        let count = self.table.ratings.len() - before;
        if let Some(row) = self.header_again(&layout, before) {
            let line = self.table.lines.locate(row).1;
            let message = "repeats the header, as where files were joined; remove the line";
            return Err(Error::line(name, line, message));
        }
        let skipped = notes::skipped(&tally.skipped_first, tally.skipped);
        if tally.skipped > count as u64 + tally.dropped {
            let message = format!("more lines cannot be read than can: {skipped}");
            return Err(Error::file(name, message));
        }
        if let Some(market) = &layout.market {
            let table = &self.table;
            let ids = (&table.users, &table.items);
            if tally.skipped + tally.dropped == 0 {
                market.check(ids, &table.ratings, before).map_err(|e| Error::file(name, e))?;
            }
        }
        let by_place = layout.header.is_none() && self.options.columns.is_none();
        if layout.format == Format::Triples && by_place && layout.has(Role::Rating) {
            let Table { users, items, ratings, lines, .. } = &self.table;
            if count > 0 && market::is_body((users, items), ratings, before) {
                let message = "looks like the line of sizes of a Matrix Market file; put \
                               \"%%MatrixMarket matrix coordinate real general\" above it, or say \
                               `columns` 1,2,3 if it is a rating";
                return Err(Error::line(name, lines.locate(before).1, message));
            }
        }
        if count == 0 && member.set.is_none() {
            let message = match layout.header {
                _ if tally.dropped > 0 => {
                    "holds no ratings but those that `drop_value`, `min_rating` and `max_rating` leave out"
                }
                Some(_) if layout.format.is_by_column().is_none() => {
                    "holds no ratings (only a header)"
                }
                Some(_) => "holds no ratings (it has no row)",
                None => "holds no ratings",
            };
            return Err(Error::file(name, message));
        }
        let values = &self.table.ratings.values[before..];
        // What is doubtful of the values comes first.
        let doubts = notes::doubts(&layout, &tally, values, self.options);
        let earlier = layout.doubts.len() - how.1;
        layout.doubts.splice(earlier..earlier, doubts);
        let mut line = format!("{}: {}", escaped(name), how.0);
        line += &format!("{}; {}", layout.describe(), notes::counted(count, "rating"));
        let unread = tally.unread;
        if let Some((row, text)) = self.table.unread.last().filter(|_| unread > 0) {
            let (at, column) = (self.table.lines.locate(*row).1, layout.column_name(Role::Time));
            line += &format!(
                "; {} of {} timestamps cannot be read (line {at}: \"{text}\" in column {column})",
                grouped(unread),
                grouped(count)
            );
        }
        if tally.dropped > 0 {
            line += &format!("; {} left out by value", grouped(tally.dropped as usize));
        }
        if tally.skipped > 0 {
            line += &format!("; {skipped}");
        }
        for doubt in &layout.doubts {
            line += &format!("; {}", doubt.what);
        }
        self.table.recognised.push(line);
        self.table.forms.push(FileForm::new(name, compression, &encoding, &layout, count));
        self.layouts.push(layout);
        Ok(())
    }

    /// The first row from `before` on that is the header over again, as where files were joined; with a
    /// column of ratings its name would be no number.
    fn header_again(&self, layout: &Layout, before: usize) -> Option<usize> {
        let header = layout.header.as_ref().filter(|_| !layout.has(Role::Rating))?;
        let [Some(user), Some(item), ..] = layout.columns else { return None };
        let Table { users, items, ratings, .. } = &self.table;
        let pair = (users.get(header.get(user)?)?, items.get(header.get(item)?)?);
        let rows = ratings.users[before..].iter().zip(&ratings.items[before..]);
        let found = rows.enumerate().find(|(_, (user, item))| (**user, **item) == pair);
        found.map(|(row, _)| before + row)
    }

    /// What was read.
    pub(super) fn table(self) -> Result<Table> {
        let mut table = self.table;
        if table.ratings.is_empty() {
            return Err(Error::data("there are no ratings to read; name a file of ratings"));
        }
        (table.ratings.timestamps, table.scale) = self.times.finish(table.ratings.len());
        if let Some((row, what)) = table.scale.two_units() {
            let (file, line) = table.lines.locate(row);
            let of = table.forms.iter().rposition(|form| form.file == file).unwrap_or(0);
            table.recognised[of] += &format!("; {what} (line {line})");
        }
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
pub(super) struct Place {
    /// Lines before it.
    pub line: u64,
    /// Whether it is the first.
    pub start: bool,
}

/// A file that has been read.
pub(super) struct Ended<'a> {
    /// As the user named it.
    pub name: &'a str,
    /// `gzip`, `zstd` or nothing.
    pub compression: Option<&'static str>,
    /// The label of its encoding.
    pub encoding: String,
    /// How its bytes became characters, for people, and how many of the doubts are about that.
    pub how: (String, usize),
}

/// What was met in a file beside its ratings.
#[derive(Default)]
pub(super) struct Tally {
    /// Timestamps that cannot be read.
    unread: usize,
    skipped: u64,
    skipped_first: Vec<(u64, String)>,
    dropped: u64,
    pub literal: u64,
    /// Ratings that single precision rounds, and the line of the first.
    pub rounded: u64,
    pub rounded_first: u64,
}
