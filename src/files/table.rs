//! Tables that are written by column, to be read by other programs: Apache Parquet, and Arrow's files.

use super::TableForm;
use crate::{Error, Result};
use arrow_array::builder::{Float32Builder, StringBuilder, UInt32Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use std::io::{self, Write};
use std::sync::Arc;

/// Rows that are held back to be written together.
const BATCH: usize = 1 << 14;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cells {
    /// Texts.
    Text,
    /// Whole numbers from 0.
    Count,
    /// Numbers of single precision; infinite where they are beyond it.
    Single,
}

enum Column {
    Text(StringBuilder),
    Count(UInt32Builder),
    Single(Float32Builder),
}

/// A table on its way out, row by row.
pub struct TableWriter<W: Write + Send> {
    name: String,
    writer: Writer<W>,
    schema: Arc<Schema>,
    columns: Vec<Column>,
    rows: usize,
}

enum Writer<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<FileWriter<W>>),
}

/// A cell of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Of a column of texts.
    Text(&'a str),
    /// Of a column of any numbers.
    Number(f64),
    /// That there is none.
    Null,
}

/// How Parquet is written: what every reader of the last years can unpack, and in groups of rows that need not
/// much memory, as a group is held until it is whole.
pub(crate) fn properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(3).unwrap_or_default();
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_bytes(Some(64 << 20))
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table of such columns in `out`, which messages call `name`.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn new(name: &str, out: W, form: TableForm, columns: &[(String, Cells)]) -> Result<Self> {
        let field = |(name, cells): &(String, Cells)| {
            let kind = match cells {
                Cells::Text => DataType::Utf8,
                Cells::Count => DataType::UInt32,
                Cells::Single => DataType::Float32,
            };
            Field::new(name, kind, true)
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let writer = match form {
            TableForm::Parquet => {
                let properties = Some(properties().build());
                let writer = ArrowWriter::try_new(out, schema.clone(), properties);
                Writer::Parquet(Box::new(writer.map_err(|e| Error::io(name, of_parquet(e)))?))
            }
            TableForm::Arrow => {
                let writer = FileWriter::try_new(out, &schema);
                Writer::Arrow(Box::new(writer.map_err(|e| Error::io(name, of_arrow(e)))?))
            }
        };
        let column = |(_, cells): &(String, Cells)| match cells {
            Cells::Text => Column::Text(StringBuilder::new()),
            Cells::Count => Column::Count(UInt32Builder::new()),
            Cells::Single => Column::Single(Float32Builder::new()),
        };
        let columns = columns.iter().map(column).collect();
        Ok(Self { name: name.to_owned(), writer, schema, columns, rows: 0 })
    }

    /// Adds a row: a cell a column.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write<'c>(&mut self, cells: impl IntoIterator<Item = Cell<'c>>) -> Result<()> {
        let mut cells = cells.into_iter();
        for column in &mut self.columns {
            match (column, cells.next().unwrap_or(Cell::Null)) {
                (Column::Text(texts), Cell::Text(text)) => texts.append_value(text),
                (Column::Text(texts), _) => texts.append_null(),
                (Column::Count(counts), Cell::Number(count)) => counts.append_value(count as u32),
                (Column::Count(counts), _) => counts.append_null(),
                (Column::Single(numbers), Cell::Number(x)) => numbers.append_value(x as f32),
                (Column::Single(numbers), _) => numbers.append_null(),
            }
        }
        self.rows += 1;
        if self.rows == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let arrays = self.columns.iter_mut().map(|column| -> ArrayRef {
            match column {
                Column::Text(texts) => Arc::new(texts.finish()),
                Column::Count(counts) => Arc::new(counts.finish()),
                Column::Single(numbers) => Arc::new(numbers.finish()),
            }
        });
        let batch = RecordBatch::try_new(self.schema.clone(), arrays.collect());
        let written = batch.map_err(of_arrow).and_then(|batch| match &mut self.writer {
            Writer::Parquet(writer) => writer.write(&batch).map_err(of_parquet),
            Writer::Arrow(writer) => writer.write(&batch).map_err(of_arrow),
        });
        written.map_err(|e| Error::io(&self.name, e))
    }

    /// Writes the end; what it was written to.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        let ended = match self.writer {
            Writer::Parquet(writer) => writer.into_inner().map_err(of_parquet),
            Writer::Arrow(mut writer) => {
                writer.finish().and_then(|()| writer.into_inner()).map_err(of_arrow)
            }
        };
        ended.map_err(|e| Error::io(&self.name, e))
    }
}

/// What the disk said, where it did.
pub(crate) fn of_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast() {
            Ok(said) => *said,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

/// The same of Arrow's files.
pub(crate) fn of_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, said) => said,
        error => io::Error::other(error),
    }
}
