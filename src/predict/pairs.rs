//! Predictions for a file of pairs, of any size in constant memory.

use super::predictive::Predictive;
use super::summary::{Ask, Summary};
use crate::core::{Ids, UNKNOWN};
use crate::data::{Delimiter, Format, Layout, ReadOptions, Source, cut_fields};
use crate::model::Model;
use crate::progress::Progress;
use crate::{Error, Result};
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// A pair of a file and what the model says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction<'a> {
    /// The user's id.
    pub user: &'a str,
    /// The item's id.
    pub item: &'a str,
    /// The user's index, or [`UNKNOWN`].
    pub user_index: u32,
    /// The item's index, or [`UNKNOWN`].
    pub item_index: u32,
    /// As [`Model::predict`] gives it.
    pub value: f64,
    /// The line of the pair, counted from 1.
    pub line: u64,
}

impl Model {
    /// Reads pairs from a file, recognised as rating files are (`-` is standard input; further
    /// columns are passed over), and hands each with its prediction to `each`, in order. Returns
    /// how many there were.
    ///
    /// # Errors
    /// As [`Model::check`]; what `each` returns; an input that cannot be read, a line that holds no pair, a prediction
    /// that overflows: with file and line.
    pub fn predict_file(
        &self,
        pairs: &Path,
        options: &ReadOptions,
        progress: &dyn Progress,
        mut each: impl FnMut(&Prediction) -> Result<()>,
    ) -> Result<u64> {
        self.check()?;
        let mut count = 0;
        self.read_pairs(pairs, options, progress, |name, (user, item), line| {
            let (user_index, item_index) = self.indices(user, item);
            let value = self.predict(user_index, item_index);
            if !value.is_finite() {
                return Err(overflow(name, (user, item), line));
            }
            count += 1;
            each(&Prediction { user, item, user_index, item_index, value, line })
        })?;
        Ok(count)
    }

    fn indices(&self, user: &str, item: &str) -> (u32, u32) {
        let index = |ids: &Ids, id: &str| ids.get(id).unwrap_or(UNKNOWN);
        (index(&self.users, user), index(&self.items, item))
    }

    /// Hands each pair of a file to `each`, with the file's name and the line.
    fn read_pairs(
        &self,
        pairs: &Path,
        options: &ReadOptions,
        progress: &dyn Progress,
        mut each: impl FnMut(&str, (&str, &str), u64) -> Result<()>,
    ) -> Result<()> {
        if options.format == Format::Grouped {
            return Err(Error::settings("`format` grouped is for ratings, not for pairs"));
        }
        let mut source = Source::open(pairs, progress)?;
        let name = source.name.clone();
        let mut head = Vec::new();
        source.next_chunk(&mut head)?;
        let layout = Layout::recognise(&name, &head, options)?;
        let input = Cursor::new(head).chain(source.rest());
        read_pairs(&name, &layout, input, |user, item, line| each(&name, (user, item), line))?;
        progress.finish();
        Ok(())
    }
}

fn overflow(file: &str, (user, item): (&str, &str), line: u64) -> Error {
    let message = format!("the prediction for user \"{user}\", item \"{item}\" overflows");
    Error::line(file, line, message)
}

/// Pairs that are predicted together.
const BLOCK: usize = 1 << 15;

impl Predictive<'_> {
    /// As [`Model::predict_file`], with what the samples say about each pair; the prediction's value
    /// is the mean.
    ///
    /// # Errors
    /// As there, and as [`Predictive::summaries`]. What comes before a wrong line is handed out.
    pub fn predict_file(
        &self,
        pairs: &Path,
        options: &ReadOptions,
        progress: &dyn Progress,
        ask: &Ask,
        mut each: impl FnMut(&Prediction, &Summary) -> Result<()>,
    ) -> Result<u64> {
        ask.check()?;
        let mut waiting = Waiting::default();
        let mut count = 0;
        let mut hand_out = |waiting: &mut Waiting| {
            count += waiting.lines.len() as u64;
            let done = waiting.hand_out(self, ask, &mut each);
            waiting.clear();
            done
        };
        let read = self.model().read_pairs(pairs, options, progress, |name, pair, line| {
            waiting.push(name, pair, line, self.model().indices(pair.0, pair.1));
            match waiting.lines.len() {
                BLOCK => hand_out(&mut waiting),
                _ => Ok(()),
            }
        });
        hand_out(&mut waiting)?;
        read?;
        Ok(count)
    }
}

/// Pairs that wait for their predictions.
#[derive(Default)]
struct Waiting {
    name: String,
    /// Users' and items' ids, one after another, and where each ends.
    text: String,
    ends: Vec<[usize; 2]>,
    users: Vec<u32>,
    items: Vec<u32>,
    lines: Vec<u64>,
}

impl Waiting {
    fn push(&mut self, name: &str, pair: (&str, &str), line: u64, indices: (u32, u32)) {
        if self.name != name {
            self.name = name.to_owned();
        }
        self.text.push_str(pair.0);
        let end = self.text.len();
        self.text.push_str(pair.1);
        self.ends.push([end, self.text.len()]);
        self.users.push(indices.0);
        self.items.push(indices.1);
        self.lines.push(line);
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.users.clear();
        self.items.clear();
        self.lines.clear();
    }

    fn hand_out(
        &self,
        predictive: &Predictive,
        ask: &Ask,
        each: &mut impl FnMut(&Prediction, &Summary) -> Result<()>,
    ) -> Result<()> {
        let summaries = predictive.summaries(&self.users, &self.items, ask)?;
        let mut start = 0;
        for (at, summary) in summaries.iter().enumerate() {
            let [middle, end] = self.ends[at];
            let (user, item) = (&self.text[start..middle], &self.text[middle..end]);
            start = end;
            let line = self.lines[at];
            if !summary.is_finite() {
                return Err(overflow(&self.name, (user, item), line));
            }
            let (user_index, item_index) = (self.users[at], self.items[at]);
            let value = summary.mean;
            each(&Prediction { user, item, user_index, item_index, value, line }, summary)?;
        }
        Ok(())
    }
}

/// Finds the pair in each record of an input and hands it to `each`.
struct Finder<'a, F> {
    name: &'a str,
    layout: &'a Layout,
    user: usize,
    item: usize,
    /// Whether the next record names the columns.
    header: bool,
    each: F,
}

fn read_pairs(
    name: &str,
    layout: &Layout,
    input: impl Read,
    each: impl FnMut(&str, &str, u64) -> Result<()>,
) -> Result<()> {
    let [Some(user), Some(item), ..] = layout.columns else {
        return Err(Error::file(name, "has no columns of users and items; use `columns`"));
    };
    let header = layout.header.is_some();
    let mut finder = Finder { name, layout, user, item, header, each };
    match layout.delimiter {
        Delimiter::Byte(byte) => finder.read_csv(byte, input),
        Delimiter::DoubleColon | Delimiter::Blanks => finder.read_lines(input),
    }
}

impl<F: FnMut(&str, &str, u64) -> Result<()>> Finder<'_, F> {
    fn read_csv(&mut self, delimiter: u8, input: impl Read) -> Result<()> {
        // A line feed alone ends a record, which keeps the crate's count of lines exact.
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(input);
        let trims = self.layout.trims;
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|e| csv_error(self.name, e))? {
            if record.len() <= 1 && record.as_slice().trim_ascii().is_empty() {
                continue;
            }
            let inside = record.as_slice().iter().filter(|&&b| b == b'\n').count() as u64;
            // The reader stands on the line after the record.
            let line = reader.position().line().saturating_sub(1 + inside);
            let field = |at: usize| {
                let field = record.get(at).unwrap_or_default();
                let is_last = at + 1 == record.len();
                let field = if is_last { without_return(field) } else { field };
                if trims { trimmed(field) } else { field }
            };
            self.record(record.len(), field, line)?;
        }
        Ok(())
    }

    fn read_lines(&mut self, input: impl Read) -> Result<()> {
        let mut reader = BufReader::with_capacity(1 << 16, input);
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(|e| io_error(self.name, e))? == 0 {
                break;
            }
            let content = without_return(text.strip_suffix(b"\n").unwrap_or(&text));
            if !content.trim_ascii().is_empty() {
                let fields = cut_fields(self.layout.delimiter, content);
                self.record(fields.len(), |at| fields[at], line)?;
            }
        }
        Ok(())
    }

    fn record<'r>(
        &mut self,
        fields: usize,
        field: impl Fn(usize) -> &'r [u8],
        line: u64,
    ) -> Result<()> {
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        let name = self.name;
        if fields <= self.user.max(self.item) {
            let message = format!(
                "{fields} {} where a user and an item are needed (the file is {})",
                if fields == 1 { "field" } else { "fields" },
                self.layout.describe()
            );
            return Err(Error::line(name, line, message));
        }
        (self.each)(id(name, line, field(self.user))?, id(name, line, field(self.item))?, line)
    }
}

fn id<'a>(name: &str, line: u64, field: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(field).map_err(|_| {
        let text = String::from_utf8_lossy(field);
        Error::line(name, line, format!("\"{text}\" is not UTF-8 text"))
    })
}

fn without_return(field: &[u8]) -> &[u8] {
    field.strip_suffix(b"\r").unwrap_or(field)
}

/// A field without the blanks that follow every delimiter of its file.
fn trimmed(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii_start();
    match field {
        [b'"', inner @ .., b'"'] => inner,
        _ => field,
    }
}

fn csv_error(name: &str, error: csv::Error) -> Error {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => io_error(name, error),
        _ => Error::file(name, text),
    }
}

/// The source's own errors come wrapped.
fn io_error(name: &str, error: std::io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::io(name, error))
}
