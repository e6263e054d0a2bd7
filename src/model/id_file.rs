//! `users.csv` and `items.csv`: which row of the factors belongs to which id.

use super::PartRecord;
use crate::core::{Ids, UNKNOWN, escaped};
use crate::files::{AGAIN, write_file};
use crate::{Error, Result};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

const HEADER: [&str; 3] = ["index", "id", "ratings"];

/// The longest line, in bytes. A reader of CSV takes a line of any length into memory, and all of a file
/// that lost its line ends is one line.
const LINE: u64 = 16 << 20;

/// Writes `index,id,ratings`, one row an id in order of the indices. Quoted by RFC 4180, so any id
/// text survives.
pub(crate) fn write(path: &Path, ids: &Ids, ratings: &[u32]) -> Result<()> {
    write_file(path, |out| {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(HEADER)?;
        for (index, (id, ratings)) in ids.iter().zip(ratings).enumerate() {
            csv.write_record([&index.to_string(), id, &ratings.to_string()])?;
        }
        csv.flush()
    })
}

/// What is left to be read of a line.
struct Lines<'a> {
    file: &'a File,
    left: &'a Cell<u64>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        match self.left.get().checked_sub(read as u64) {
            Some(left) => self.left.set(left),
            None => {
                let message = format!("a line of more than {LINE} bytes; {AGAIN}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(read)
    }
}

/// Reads the ids and their numbers of training ratings; there must be `rows` of them, in order, in the file
/// that `part` tells of.
pub(crate) fn read(path: &Path, rows: usize, part: Option<&PartRecord>) -> Result<(Ids, Vec<u32>)> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    if let Some(part) = part {
        part.check_length(path, &file)?;
    }
    let left = Cell::new(LINE);
    let lines = BufReader::with_capacity(1 << 16, Lines { file: &file, left: &left });
    let mut csv = csv::ReaderBuilder::new().from_reader(lines);
    let header = csv.headers().map_err(|e| csv_error(path, e))?;
    if *header != HEADER[..] {
        let message =
            format!("begins with \"{}\"; the header is index,id,ratings", escaped(&text(header)));
        return Err(Error::line(path.display(), 1, message));
    }
    let mut ids = Ids::new();
    let mut ratings = Vec::new();
    let mut record = csv::StringRecord::new();
    while csv.read_record(&mut record).map_err(|e| csv_error(path, e))? {
        left.set(LINE);
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |message: String| Error::line(path.display(), line, message);
        let row = ids.len();
        if row == rows || row as u32 == UNKNOWN {
            return Err(wrong(format!("more ids than the {rows} rows of factors; {AGAIN}")));
        }
        if record[0].parse() != Ok(row) {
            return Err(wrong(format!(
                "index \"{}\" where {row} belongs; {AGAIN}",
                escaped(&record[0])
            )));
        }
        if ids.intern(&record[1]) as usize != row {
            return Err(wrong(format!("id \"{}\" a second time; {AGAIN}", escaped(&record[1]))));
        }
        ratings.push(record[2].parse().map_err(|_| {
            wrong(format!("\"{}\" is not a number of ratings; {AGAIN}", escaped(&record[2])))
        })?);
    }
    // A file that lost the end of its last count would otherwise pass.
    if ids.len() < rows || !ends_a_line(path, &mut file)? {
        let message =
            format!("is cut short: {} ids for {rows} rows of factors; {AGAIN}", ids.len());
        return Err(Error::file(path, message));
    }
    if let Some(part) = part {
        part.check(path, &mut file)?;
    }
    Ok((ids, ratings))
}

fn ends_a_line(path: &Path, file: &mut File) -> Result<bool> {
    let mut last = [0];
    let read = file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last));
    read.map_err(|e| Error::io(path, e))?;
    Ok(last == *b"\n")
}

fn csv_error(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    match (error.into_kind(), line) {
        (csv::ErrorKind::Io(e), _) => Error::io(path, e),
        (csv::ErrorKind::UnequalLengths { len, .. }, Some(line)) => {
            let message = format!("{len} fields where index,id,ratings belong; {AGAIN}");
            Error::line(path.display(), line, message)
        }
        (csv::ErrorKind::Utf8 { .. }, Some(line)) => {
            Error::line(path.display(), line, format!("not UTF-8 text; {AGAIN}"))
        }
        (_, _) => Error::file(path, format!("is not a CSV file; {AGAIN}")),
    }
}

fn text(record: &csv::StringRecord) -> String {
    record.iter().collect::<Vec<_>>().join(",")
}
