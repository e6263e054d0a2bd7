//! Tables that are kept by column: Apache Parquet and Arrow's files and streams, read in batches of rows, of which
//! no more than the columns that are needed.
//!
//! The rows come out as the same table in CSV does: a number that is an id is the text that it would be written
//! as, a null is an empty field, a time is a date. What decodes them is arrow-rs, which may panic where a file was
//! made to deceive it; that is caught here and becomes an error of the file.

mod arrow;
mod cells;
mod parquet;
mod rows;
mod text;

use super::layout::{Columns, Layout};
use super::options::Format;
use crate::{Error, Result};
use ::arrow_array::RecordBatch;
use ::arrow_schema::{DataType, SchemaRef};
use cells::{Cells, Room};
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Rows that show what a file looks like: as many as lines of text are looked at.
const LOOKED_AT: usize = 200;

/// Rows that are read in one go by one thread.
const PART: usize = 1 << 17;

/// Rows that are decoded together.
const BATCH: usize = 1 << 13;

/// A file whose columns are known.
pub(super) struct Table {
    /// The file as the user named it.
    pub name: String,
    /// What it is.
    pub format: Format,
    /// Its rows, where it says how many.
    pub rows: Option<u64>,
    schema: SchemaRef,
    kind: Kind,
}

enum Kind {
    Parquet(parquet::Opened),
    Arrow(arrow::Opened),
}

/// Some rows of a file, to be decoded by whoever wants them.
enum Part {
    Parquet(parquet::Part),
    Batch(RecordBatch),
}

impl Table {
    /// Opens a file that begins as such a table does; nothing where it is something else, or no file that can be
    /// read from any place.
    ///
    /// # Errors
    /// One that is damaged.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let name = path.display().to_string();
        // What cannot be looked at is for others to tell.
        let Ok(mut file) = File::open(path) else { return Ok(None) };
        let Some(size) = file.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len())
        else {
            return Ok(None);
        };
        let mut head = Vec::new();
        file.by_ref().take(64).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
        let Some(format) = format(&head) else { return Ok(None) };
        let (schema, rows, kind) = match format {
            Format::Parquet => {
                let (opened, schema, rows) = parquet::Opened::new(&name, file, size)?;
                (schema, rows, Kind::Parquet(opened))
            }
            _ => {
                let stream = !head.starts_with(b"ARROW1");
                let (opened, schema) = arrow::Opened::new(&name, file, stream)?;
                (schema, None, Kind::Arrow(opened))
            }
        };
        Ok(Some(Self { name, format, rows, schema, kind }))
    }

    /// What the file is recognised by.
    pub(super) fn look(&self) -> Result<Columns> {
        let fields = self.schema.fields();
        let unreadable: Vec<_> = fields.iter().map(|field| unreadable(field.data_type())).collect();
        let readable: Vec<usize> =
            (0..fields.len()).filter(|&at| unreadable[at].is_none()).collect();
        let mut records: Vec<Vec<String>> = Vec::new();
        let mut parts = self.parts(&readable, LOOKED_AT)?;
        while records.len() < LOOKED_AT
            && let Some(part) = parts.next()?
        {
            parts.batches(part, |batch| {
                let cells: Vec<Cells<'_>> = batch.columns().iter().map(|c| Cells::of(c)).collect();
                for row in 0..batch.num_rows().min(LOOKED_AT - records.len()) {
                    let mut room = Room::default();
                    let mut record: Vec<String> =
                        unreadable.iter().map(|what| what.clone().unwrap_or_default()).collect();
                    for (cells, &at) in cells.iter().zip(&readable) {
                        let text = cells.text(row, &mut room);
                        record[at] = String::from_utf8_lossy(text.bytes()).into_owned();
                    }
                    records.push(record);
                }
                Ok(records.len() < LOOKED_AT)
            })?;
        }
        let names = fields.iter().map(|field| field.name().clone()).collect();
        Ok(Columns { format: self.format, names, records, unreadable })
    }

    /// The rows, of `columns` alone (in order), in parts of `rows` at most.
    fn parts(&self, columns: &[usize], rows: usize) -> Result<Parts<'_>> {
        let held = match &self.kind {
            Kind::Parquet(opened) => Held::Parquet(opened.parts(columns, rows)),
            Kind::Arrow(opened) => Held::Arrow(opened.parts(&self.name, columns, rows)?),
        };
        Ok(Parts { name: &self.name, held })
    }

    /// The columns that a layout needs, in order.
    fn needed(layout: &Layout) -> Vec<usize> {
        let mut needed: Vec<usize> =
            layout.columns.iter().chain([&layout.weights]).flatten().copied().collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }
}

/// The rows of a file, part by part.
struct Parts<'t> {
    name: &'t str,
    held: Held<'t>,
}

enum Held<'t> {
    Parquet(parquet::Parts<'t>),
    Arrow(arrow::Parts),
}

impl Parts<'_> {
    /// The next rows; nothing at the end.
    fn next(&mut self) -> Result<Option<Part>> {
        match &mut self.held {
            Held::Parquet(parts) => Ok(parts.next().map(Part::Parquet)),
            Held::Arrow(parts) => Ok(parts.next(self.name)?.map(Part::Batch)),
        }
    }

    /// Hands the batches of a part to `each`, which says whether it wants more.
    fn batches(&self, part: Part, each: impl FnMut(&RecordBatch) -> Result<bool>) -> Result<()> {
        self.decoder().batches(part, each)
    }

    /// What decodes parts, while others are fetched.
    fn decoder(&self) -> Decoder {
        let parquet = match &self.held {
            Held::Parquet(parts) => Some(parts.decoder()),
            Held::Arrow(_) => None,
        };
        Decoder { name: self.name.to_owned(), parquet }
    }
}

/// Decodes parts, of several threads at once.
struct Decoder {
    name: String,
    parquet: Option<parquet::Decoder>,
}

impl Decoder {
    fn batches(
        &self,
        part: Part,
        mut each: impl FnMut(&RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        match (part, &self.parquet) {
            (Part::Batch(batch), _) => each(&batch).map(|_| ()),
            (Part::Parquet(part), Some(decoder)) => decoder.batches(&self.name, &part, each),
            (Part::Parquet(_), None) => Ok(()),
        }
    }
}

/// What a file that begins like this is.
fn format(head: &[u8]) -> Option<Format> {
    // A line of text may begin with that word.
    let is_binary = || head.iter().any(|&byte| byte == 0 || byte >= 0x80);
    match head {
        [b'P', b'A', b'R', b'1', ..] => is_binary().then_some(Format::Parquet),
        [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0, ..] | [0xff, 0xff, 0xff, 0xff, ..] => {
            Some(Format::Arrow)
        }
        _ => None,
    }
}

/// What a column holds of which no cell is a field of a line.
fn unreadable(kind: &DataType) -> Option<String> {
    let what = match kind {
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(..) => "lists",
        DataType::Struct(_) => "records of several fields",
        DataType::Map(..) => "maps",
        DataType::Union(..) => "values of several types",
        DataType::RunEndEncoded(..) => "runs",
        DataType::FixedSizeBinary(_) => "bytes",
        DataType::Time32(_) | DataType::Time64(_) => "times of day",
        DataType::Duration(_) | DataType::Interval(_) => "durations",
        DataType::Dictionary(_, values) => return unreadable(values),
        _ => return None,
    };
    Some(what.to_owned())
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread decodes.
pub(super) fn is_decoding() -> bool {
    DECODING.get()
}

/// What decoding comes to.
fn decoding<T, E: std::fmt::Display>(
    name: &str,
    what: &str,
    decode: impl FnOnce() -> Result<T, E>,
) -> Result<T> {
    DECODING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    // Whoever asked for an end gets it.
    if let Err(error) = crate::files::stop::check() {
        return Err(Error::io(name, error));
    }
    let why = match outcome {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default().to_owned()
        }
    };
    let why = super::layout::shorten(why.trim().as_bytes());
    Err(Error::file(
        name,
        format!(
            "the {what} data is damaged, or of a kind that cannot be read ({why}); is the file complete?"
        ),
    ))
}

/// The file of which parts are read, at places of their own.
type Shared = Arc<File>;
