//! Apache Parquet: row groups, of which each thread decodes some rows on its own.

use super::super::layout;
use super::{BATCH, Shared, decoding};
use crate::files::stop;
use crate::{Error, Result};
use ::arrow_array::RecordBatch;
use ::arrow_schema::SchemaRef;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

/// What messages call it.
const WHAT: &str = "Parquet";

/// A file whose footer has been read.
pub(super) struct Opened {
    file: Places,
    metadata: ArrowReaderMetadata,
}

impl Opened {
    /// Reads the footer: with the columns and how many rows there are.
    pub(super) fn new(name: &str, file: File, size: u64) -> Result<(Self, SchemaRef, Option<u64>)> {
        let file = Places { file: Arc::new(file), size };
        let options = ArrowReaderOptions::new();
        let metadata = decoding(name, WHAT, || ArrowReaderMetadata::load(&file, options))?;
        let schema = metadata.schema().clone();
        let roots = metadata.parquet_schema().root_schema().get_fields().len();
        if roots != schema.fields().len() {
            let fields = schema.fields().len();
            let message = format!(
                "has {roots} columns, and says elsewhere that it has {fields}; write it anew"
            );
            return Err(Error::file(name, message));
        }
        let groups = metadata.metadata().row_groups();
        let mut rows = 0_u64;
        for group in groups {
            let more = u64::try_from(group.num_rows()).ok();
            rows = more.and_then(|more| rows.checked_add(more)).ok_or_else(|| {
                Error::file(
                    name,
                    "has a row group of a number of rows that none can have; write it anew",
                )
            })?;
        }
        Ok((Self { file, metadata }, schema, Some(rows)))
    }

    pub(super) fn parts(&self, columns: &[usize], rows: usize) -> Parts<'_> {
        Parts { opened: self, columns: columns.to_vec(), rows, group: 0, offset: 0 }
    }
}

/// Some rows of a row group.
pub(super) struct Part {
    group: usize,
    offset: usize,
    rows: usize,
}

/// The rows of a file, part by part.
pub(super) struct Parts<'o> {
    opened: &'o Opened,
    columns: Vec<usize>,
    rows: usize,
    group: usize,
    offset: usize,
}

impl Parts<'_> {
    pub(super) fn decoder(&self) -> Decoder {
        let metadata = self.opened.metadata.clone();
        let roots = self.columns.iter().copied();
        let columns = ProjectionMask::roots(metadata.parquet_schema(), roots);
        Decoder { file: self.opened.file.clone(), metadata, columns }
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        loop {
            let group = self.opened.metadata.metadata().row_groups().get(self.group)?;
            // Counts below 0 were refused.
            let left = group.num_rows() as usize - self.offset;
            if left == 0 {
                (self.group, self.offset) = (self.group + 1, 0);
                continue;
            }
            // A rest that is small goes with the others.
            let rows = if left > self.rows + self.rows / 2 { self.rows } else { left };
            let part = Part { group: self.group, offset: self.offset, rows };
            self.offset += rows;
            return Some(part);
        }
    }
}

/// Decodes parts.
pub(super) struct Decoder {
    file: Places,
    metadata: ArrowReaderMetadata,
    columns: ProjectionMask,
}

impl Decoder {
    /// Hands the rows of a part to `each`, batch by batch, until it wants no more.
    pub(super) fn batches(
        &self,
        name: &str,
        part: &Part,
        mut each: impl FnMut(&RecordBatch) -> Result<bool>,
    ) -> Result<()> {
        let Part { group, offset, rows } = *part;
        let mut reader = decoding(name, WHAT, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.file.clone(),
                self.metadata.clone(),
            )
            .with_row_groups(vec![group])
            .with_projection(self.columns.clone())
            .with_offset(offset)
            .with_limit(rows)
            .with_batch_size(BATCH.min(rows))
            .build()
        })?;
        let mut found = 0;
        while let Some(batch) = decoding(name, WHAT, || reader.next().transpose())? {
            found += batch.num_rows();
            if !each(&batch)? {
                return Ok(());
            }
        }
        if found != rows {
            let message = format!(
                "row group {} ends after {} rows, and says that it has more; is the file complete?",
                group + 1,
                offset + found
            );
            return Err(Error::file(name, message));
        }
        Ok(())
    }
}

/// A file of which each reader has a place of its own, so that threads do not move each other's.
#[derive(Clone)]
struct Places {
    file: Shared,
    size: u64,
}

impl Length for Places {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Places {
    type T = BufReader<Place>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(Place { file: self.file.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        // Before there is room for what the file does not hold.
        if start.checked_add(length as u64).is_none_or(|end| end > self.size) {
            let message = layout::shorten(b"it refers to bytes behind its end");
            return Err(ParquetError::EOF(message));
        }
        let mut bytes = vec![0; length];
        Place { file: self.file.clone(), at: start }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

struct Place {
    file: Shared,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        stop::check()?;
        let count = read_at(&self.file, into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(windows)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, at)
}

#[cfg(not(any(unix, windows)))]
fn read_at(_file: &File, _into: &mut [u8], _at: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
