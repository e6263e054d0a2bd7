//! Rows of a table as pairs of ids, and as lines of CSV.

use super::super::layout::{Head, shorten};
use super::super::options::ReadOptions;
use super::super::pairs::{self, Pairs};
use super::cells::{Cells, Room};
use super::{PART, Table};
use crate::progress::Progress;
use crate::{Error, Result};

impl Table {
    /// Hands out the pairs of a user and an item.
    pub(in super::super) fn pairs(
        &self,
        options: &ReadOptions,
        progress: &dyn Progress,
        pairs: &mut Pairs<'_>,
    ) -> Result<()> {
        progress.start(&format!("reading {}", self.name), self.rows, "rows");
        let columns = self.look()?;
        let layout = pairs::recognise(&self.name, &Head::Columns(&columns), options, progress)?;
        let [Some(user), Some(item), ..] = layout.columns else { return Ok(()) };
        let swapped = user > item;
        let needed = [user.min(item), user.max(item)];
        let mut rooms: [Room; 2] = Default::default();
        let mut row = 0;
        self.each(&needed, progress, |cells, at| {
            let [a, b] = &mut rooms;
            let (first, second) = (cells[0].text(at, a).bytes(), cells[1].text(at, b).bytes());
            let (user, item) = if swapped { (second, first) } else { (first, second) };
            row += 1;
            pairs.add(&layout, row, pairs::ids(user, item))
        })
    }

    /// The names of the columns as a line of CSV.
    pub(in super::super) fn head_line(&self) -> Result<Vec<u8>> {
        let names = self.schema.fields().iter().map(|field| field.name().as_bytes());
        line(&self.name, names)
    }

    /// Hands each row as a line of CSV to `each`, with its number from 1.
    ///
    /// # Errors
    /// A column of which no cell is a field of a line.
    pub(in super::super) fn lines(
        &self,
        progress: &dyn Progress,
        mut each: impl FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let names = self.schema.fields();
        for field in names {
            if let Some(holds) = super::unreadable(field.data_type()) {
                let message = format!(
                    "column {} holds {holds}, which no line of CSV does; write the file without it",
                    shorten(field.name().as_bytes())
                );
                return Err(Error::file(&self.name, message));
            }
        }
        progress.start(&format!("reading {}", self.name), self.rows, "rows");
        let all: Vec<usize> = (0..names.len()).collect();
        let mut rooms: Vec<Room> = all.iter().map(|_| Room::default()).collect();
        let mut row = 0;
        self.each(&all, progress, |cells, at| {
            row += 1;
            let fields =
                cells.iter().zip(&mut rooms).map(|(cells, room)| cells.text(at, room).bytes());
            each(row, &line(&self.name, fields)?)
        })
    }

    /// Hands every row of some columns to `each`, in order: those of its batch, and which it is.
    fn each(
        &self,
        columns: &[usize],
        progress: &dyn Progress,
        mut each: impl FnMut(&[Cells<'_>], usize) -> Result<()>,
    ) -> Result<()> {
        let mut parts = self.parts(columns, PART)?;
        while let Some(part) = parts.next()? {
            parts.batches(part, |batch| {
                let cells: Vec<Cells<'_>> = batch.columns().iter().map(|c| Cells::of(c)).collect();
                (0..batch.num_rows()).try_for_each(|row| each(&cells, row))?;
                progress.advance(batch.num_rows() as u64);
                Ok(true)
            })?;
        }
        Ok(())
    }
}

/// Fields as a line of CSV.
fn line<'f>(name: &str, fields: impl Iterator<Item = &'f [u8]>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let broken = |error: String| Error::file(name, format!("cannot be written as CSV ({error})"));
    writer.write_record(fields).map_err(|e| broken(e.to_string()))?;
    writer.into_inner().map_err(|e| broken(e.to_string()))
}
