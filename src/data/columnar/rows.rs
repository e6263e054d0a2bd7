//! From the rows of a table to those of a lane.

use super::super::lane::Lane;
use super::super::layout::{Head, Layout, WEIGHT};
use super::super::parse;
use super::super::read::{Ended, Place, Reader, Tally};
use super::super::set::Member;
use super::cells::{Cells, Room};
use super::{PART, Part, Parts, Table};
use crate::Result;
use crate::progress::Progress;
use ::arrow_array::RecordBatch;
use rayon::prelude::*;

impl Reader<'_> {
    /// Adds all of a table.
    pub(in super::super) fn read_columns(
        &mut self,
        table: &Table,
        member: &Member,
        progress: &dyn Progress,
    ) -> Result<()> {
        let name = &table.name;
        progress.start(&format!("reading {name}"), table.rows, "rows");
        let columns = table.look()?;
        let layout = self.recognise(name, &Head::Columns(&columns), member)?;
        if let Some(rows) = table.rows {
            self.foresee(name, rows as f64, &layout, true)?;
        }
        let before = self.begin(name, &layout);
        let needed = Table::needed(&layout);
        let mut parts = table.parts(&needed, PART)?;
        let decoder = parts.decoder();
        let mut tally = Tally::default();
        let mut at = Place { line: 0, start: true };
        let mut batch = fill(&mut parts, 1)?;
        while !batch.is_empty() {
            let lanes = &mut self.lanes;
            let count = lanes.len();
            let work = |(lane, part): (&mut Lane, Part)| {
                lane.rows.clear();
                decoder.batches(part, |batch| Ok(rows(lane, batch, &layout, &needed)))
            };
            let filled = batch.len();
            let (outcome, following) = rayon::join(
                || lanes.par_iter_mut().zip(batch).map(work).collect::<Vec<Result<()>>>(),
                || fill(&mut parts, count),
            );
            for (lane, outcome) in outcome.into_iter().enumerate().take(filled) {
                outcome?;
                let rows = self.lanes[lane].rows.lines;
                self.merge(lane, &layout, name, &mut at, &mut tally)?;
                progress.advance(rows);
            }
            batch = following?;
        }
        let ended = Ended {
            name,
            compression: None,
            encoding: "utf-8".to_owned(),
            how: (String::new(), 0),
        };
        self.end(ended, layout, before, tally, member)
    }
}

/// The next parts.
fn fill(parts: &mut Parts<'_>, count: usize) -> Result<Vec<Part>> {
    let mut filled = Vec::with_capacity(count);
    while filled.len() < count
        && let Some(part) = parts.next()?
    {
        filled.push(part);
    }
    Ok(filled)
}

/// Adds the rows of a batch of the columns `needed`; whether to go on.
fn rows(lane: &mut Lane, batch: &RecordBatch, layout: &Layout, needed: &[usize]) -> bool {
    let cells = |column: Option<usize>| {
        let at = needed.binary_search(&column?).ok()?;
        Some(Cells::of(batch.columns().get(at)?))
    };
    let [users, items, ratings, times] = layout.columns.map(cells);
    let weights = cells(layout.weights);
    let (Some(users), Some(items)) = (users, items) else { return false };
    let texts = ratings.as_ref().is_some_and(Cells::is_text);
    let first = lane.rows.lines;
    let mut rooms: [Room; 5] = Default::default();
    for row in 0..batch.num_rows() {
        let [a, b, c, d, e] = &mut rooms;
        let mut found = parse::Found::default();
        found[0] = users.text(row, a);
        found[1] = items.text(row, b);
        let value = ratings.as_ref().filter(|_| !texts).and_then(|ratings| ratings.number(row));
        if let Some(ratings) = &ratings
            && value.is_none_or(|value| !parse::is_exact(value))
        {
            found[2] = ratings.text(row, c);
        }
        let date = times.as_ref().and_then(|times| times.time(row));
        if let Some(times) = times.as_ref().filter(|_| date.is_none()) {
            found[3] = times.text(row, d);
        }
        if let Some(weights) = &weights {
            found[usize::from(WEIGHT)] = weights.text(row, e);
        }
        let line = first + row as u64;
        let outcome = match value {
            Some(value) if value.is_finite() => {
                parse::rated(lane, &found, (value, date), layout, line)
            }
            Some(value) => Err(parse::bad_rating(layout, value.to_string().as_bytes(), b"")),
            None => parse::row(lane, &found, date, layout, line, b""),
        };
        if let Err(message) = outcome
            && !lane.rows.failed(line, message, layout.skips_bad)
        {
            return false;
        }
    }
    lane.rows.lines = first + batch.num_rows() as u64;
    true
}
