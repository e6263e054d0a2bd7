//! Arrow's files (Feather's second version among them) and streams: batches as they were written.

use super::{Shared, decoding};
use crate::files::stop;
use crate::{Error, Result};
use ::arrow_array::RecordBatch;
use ::arrow_ipc::reader::{FileReader, StreamReader};
use ::arrow_schema::{ArrowError, SchemaRef};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

/// What messages call it.
const WHAT: &str = "Arrow";

/// A file whose columns are known.
pub(super) struct Opened {
    file: Shared,
    stream: bool,
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

impl Opened {
    /// Reads the columns of a file, or of a stream that is kept in one.
    pub(super) fn new(name: &str, file: File, stream: bool) -> Result<(Self, SchemaRef)> {
        let opened = Self { file: Arc::new(file), stream };
        let input = opened.input().map_err(|e| Error::io(name, e))?;
        let schema = decoding(name, WHAT, || match stream {
            true => StreamReader::try_new(input, None).map(|reader| reader.schema()),
            false => FileReader::try_new(input, None).map(|reader| reader.schema()),
        })?;
        Ok((opened, schema))
    }

    /// From the beginning; one at a time, since they share their place.
    fn input(&self) -> io::Result<BufReader<Heard>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(BufReader::new(Heard(file)))
    }

    /// Batches of the columns, cut into parts of `rows` at most.
    pub(super) fn parts(&self, name: &str, columns: &[usize], rows: usize) -> Result<Parts> {
        let input = self.input().map_err(|e| Error::io(name, e))?;
        let columns = Some(columns.to_vec());
        let batches = decoding(name, WHAT, || {
            Ok::<Batches, ArrowError>(match self.stream {
                true => Box::new(StreamReader::try_new(input, columns)?),
                false => Box::new(FileReader::try_new(input, columns)?),
            })
        })?;
        Ok(Parts { batches, rows, rest: None })
    }
}

/// The rows of a file, part by part.
pub(super) struct Parts {
    batches: Batches,
    rows: usize,
    /// What is left of the last batch.
    rest: Option<RecordBatch>,
}

impl Parts {
    pub(super) fn next(&mut self, name: &str) -> Result<Option<RecordBatch>> {
        let batch = match self.rest.take() {
            Some(batch) => batch,
            None => match decoding(name, WHAT, || self.batches.next().transpose())? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        if batch.num_rows() <= self.rows {
            return Ok(Some(batch));
        }
        self.rest = Some(batch.slice(self.rows, batch.num_rows() - self.rows));
        Ok(Some(batch.slice(0, self.rows)))
    }
}

/// A file that hears that the program is to end.
struct Heard(File);

impl Read for Heard {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        stop::check()?;
        self.0.read(into)
    }
}

impl Seek for Heard {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
