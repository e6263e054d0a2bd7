//! Cuts a problem of the row solvers, once and at upload, so that it respects every limit of a
//! device together. Knows no device.
//!
//! - A *segment* is at most [`SEGMENT`] ratings of one row with partners of one tile. A team of
//!   lanes adds them to the normal equations in a *slot*.
//! - A *batch* is rows of one tile, longest first, whose slots lie in the scratch buffer together.
//!   A row of many segments has several slots, which are joined in order; where it has more segments
//!   than slots, they are added to the slots round after round.
//! - A *walk* is segments of one batch, round and partner tile: one dispatch or a few.
//! - A *chunk* is segments and entries that each fit one binding.

use super::shape::Shape;
use crate::core::SideRatings;
use crate::gpu::shared::params::{Entry, Join, Segment, Solve};
use crate::gpu::shared::tiles::{Limits, Tiles};
use crate::{Error, Result};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::ops::Range;

/// Ratings of a segment at most: few beside the matrix they make, and many rows' worth of work.
pub const SEGMENT: usize = 1024;

/// Bytes of the scratch buffer at most.
pub const SCRATCH_BYTES: usize = 128 << 20;

/// Bytes of the slots of a side's Gram matrix at most.
const WHOLE_BYTES: usize = 64 << 20;

/// Slots of a row at most.
const ROW_SLOTS: usize = 256;

/// Ratings of a batch at most, if it has several rows: progress and Ctrl-C act between batches.
const BATCH_RATINGS: usize = 1 << 22;

/// Multiplications of a dispatch at most: well under a second on a slow GPU.
pub const DISPATCH_PRODUCTS: usize = 1 << 34;

/// Segments that a few dispatches walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    pub partner_tile: usize,
    pub chunk: usize,
    pub first_segment: usize,
    pub segments: usize,
    pub ratings: usize,
    /// Whether the slots hold earlier segments already.
    pub add: bool,
}

/// Rows that are solved together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub own_tile: usize,
    pub walks: Vec<Walk>,
    /// Which of [`RowPlan::rows`] has its joins and solves, and where.
    pub rows: usize,
    pub joins: Range<usize>,
    pub solves: Range<usize>,
    pub ratings: usize,
    /// Whether its rows are refined, all of them or none.
    pub refines: bool,
}

/// What the kernels that own a row read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowArrays {
    pub joins: Vec<Join>,
    pub solves: Vec<Solve>,
}

/// What the kernels that walk ratings read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    pub segments: Vec<Segment>,
    pub entries: Vec<Entry>,
    /// Empty where all ratings weigh 1.
    pub roots: Vec<f32>,
}

/// How one side is cut.
#[derive(Clone, Debug)]
pub struct RowPlan {
    pub batches: Vec<Batch>,
    pub rows: Vec<RowArrays>,
    /// The most slots of any batch.
    pub slots: usize,
    /// Tile and rows in it that have no rating.
    pub without: Vec<(usize, Range<usize>)>,
}

/// What a side is cut by.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub own: Tiles,
    pub partner: Tiles,
    /// Bytes of a binding.
    pub binding: usize,
    /// Slots of the scratch buffer.
    pub slots: usize,
    /// Slots of a row at most.
    pub row_slots: usize,
    /// Ratings of a batch at most, if it has several rows.
    pub batch_ratings: usize,
    /// Subtracted from every value.
    pub mean: f32,
    /// Whether rows without ratings are solved too, from a segment without ratings.
    pub every: bool,
}

impl Cut {
    /// For rows whose largest block has `shape`.
    ///
    /// # Errors
    /// If a matrix or a few ratings do not fit a binding.
    pub fn rows(
        shape: Shape,
        own: Tiles,
        partner: Tiles,
        limits: Limits,
        mean: f32,
    ) -> Result<Self> {
        Self::new(shape, own, partner, limits, mean, SCRATCH_BYTES)
    }

    /// For a side's Gram matrix: all its rows are the ratings of one row.
    ///
    /// # Errors
    /// If a matrix or a few ratings do not fit a binding.
    pub fn whole(shape: Shape, partner: Tiles, limits: Limits) -> Result<Self> {
        let own = Tiles { rows: 2, rows_per_tile: 2 };
        let cut = Self::new(shape, own, partner, limits, 0.0, WHOLE_BYTES)?;
        Ok(Self { row_slots: cut.slots.min(ROW_SLOTS), ..cut })
    }

    fn new(
        shape: Shape,
        own: Tiles,
        partner: Tiles,
        limits: Limits,
        mean: f32,
        most: usize,
    ) -> Result<Self> {
        let slots = limits.binding.min(most) / shape.matrix_bytes();
        if slots == 0 {
            return Err(Error::device(format!(
                "the normal equations of {} factors need {} bytes; a binding of this device has \
                 {}; use fewer `factors`, a smaller `block` or `backend` cpu",
                shape.coordinates,
                shape.matrix_bytes(),
                limits.binding
            )));
        }
        // A quarter for one row leaves room for others beside it.
        let row_slots = (slots / 4).clamp(1, ROW_SLOTS);
        let batch_ratings = (DISPATCH_PRODUCTS / (shape.tiles() * 64)).min(BATCH_RATINGS);
        let binding = limits.binding;
        Ok(Self { own, partner, binding, slots, row_slots, batch_ratings, mean, every: false })
    }

    fn segment(&self) -> usize {
        SEGMENT.min(self.binding / size_of::<Entry>())
    }

    /// Cuts `ratings`; `penalty` is a row's weight of the regularization, `refines` says whether a row
    /// is refined, and `emit` gets each chunk when it is full.
    ///
    /// # Errors
    /// Those of `emit`.
    pub fn cut(
        &self,
        ratings: &SideRatings,
        penalty: impl Fn(usize) -> f32,
        refines: impl Fn(usize) -> bool,
        emit: impl FnMut(Chunk) -> Result<()>,
    ) -> Result<RowPlan> {
        let mut cutter = Cutter {
            cut: *self,
            ratings,
            emit,
            plan: RowPlan { batches: vec![], rows: vec![], slots: 0, without: vec![] },
            chunk: Chunk::default(),
            chunks: 0,
        };
        cutter.run(penalty, refines)?;
        Ok(cutter.plan)
    }
}

/// Ratings of one row with partners of one tile, before they have a place.
struct Piece {
    round: usize,
    partner_tile: usize,
    /// The row's place in its batch.
    place: usize,
    /// Where its positions start in the row's, sorted by tile.
    start: usize,
    length: usize,
    slot: usize,
}

/// A row's ratings with partners of one tile, or a part of them.
struct Part {
    partner_tile: usize,
    start: usize,
    length: usize,
}

struct Cutter<'a, E> {
    cut: Cut,
    ratings: &'a SideRatings,
    emit: E,
    plan: RowPlan,
    chunk: Chunk,
    chunks: usize,
}

impl<E: FnMut(Chunk) -> Result<()>> Cutter<'_, E> {
    fn run(
        &mut self,
        penalty: impl Fn(usize) -> f32,
        refines: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let (ratings, own) = (self.ratings, self.cut.own);
        let length = |row: &u32| ratings.positions(*row as usize).len();
        let tile = |row: &u32| own.locate(*row).0;
        let mut rows: Vec<u32> = (0..ratings.rows() as u32).collect();
        rows.par_sort_by_key(|row| (tile(row), Reverse(length(row)), *row));
        let most_rows = (self.cut.binding / size_of::<Solve>()).max(1);
        for same_tile in rows.chunk_by(|a, b| tile(a) == tile(b)) {
            let with = match self.cut.every {
                true => same_tile.len(),
                false => same_tile.partition_point(|row| length(row) > 0),
            };
            let mut rest = &same_tile[..with];
            while !rest.is_empty() {
                let (mut count, mut slots, mut sum) = (0, 0, 0);
                let refined = refines(rest[0] as usize);
                while count < rest.len() && count < most_rows {
                    slots += self.slots(rest[count]);
                    sum += length(&rest[count]);
                    let full = slots > self.cut.slots || sum > self.cut.batch_ratings;
                    if count > 0 && (full || refines(rest[count] as usize) != refined) {
                        break;
                    }
                    count += 1;
                }
                let (batch, later) = rest.split_at(count);
                self.batch(batch, &penalty, refined)?;
                rest = later;
            }
            self.without(&same_tile[with..]);
        }
        self.flush()
    }

    /// Remembers rows without ratings, neighbours together; `rows` ascend.
    fn without(&mut self, rows: &[u32]) {
        for &row in rows {
            let (tile, row) = self.cut.own.locate(row);
            let row = row as usize;
            match self.plan.without.last_mut() {
                Some((last, range)) if *last == tile && range.end == row => range.end += 1,
                _ => self.plan.without.push((tile, row..row + 1)),
            }
        }
    }

    /// Segments of a row, tile after tile, and the order of its positions where it is not theirs.
    fn segments(&self, row: u32) -> (Vec<Part>, Option<Vec<usize>>) {
        let positions = self.ratings.positions(row as usize);
        let tile_of = |position: usize| self.cut.partner.locate(self.ratings.partners[position]).0;
        let mut pieces = Vec::new();
        let mut share = |tile: usize, start: usize, length: usize| {
            let parts = length.div_ceil(self.cut.segment()).max(1);
            for part in 0..parts {
                let (from, to) = (length * part / parts, length * (part + 1) / parts);
                pieces.push(Part { partner_tile: tile, start: start + from, length: to - from });
            }
        };
        if self.cut.partner.len() == 1 {
            share(0, 0, positions.len());
            return (pieces, None);
        }
        let mut order: Vec<usize> = positions.collect();
        order.sort_by_key(|&position| tile_of(position));
        let mut start = 0;
        for same in order.chunk_by(|&a, &b| tile_of(a) == tile_of(b)) {
            share(tile_of(same[0]), start, same.len());
            start += same.len();
        }
        if start == 0 {
            share(0, 0, 0);
        }
        (pieces, Some(order))
    }

    fn slots(&self, row: u32) -> usize {
        let segments = if self.cut.partner.len() == 1 {
            self.ratings.positions(row as usize).len().div_ceil(self.cut.segment()).max(1)
        } else {
            self.segments(row).0.len()
        };
        segments.min(self.cut.row_slots)
    }

    fn batch(
        &mut self,
        rows: &[u32],
        penalty: &impl Fn(usize) -> f32,
        refines: bool,
    ) -> Result<()> {
        let mut pieces = Vec::new();
        let mut orders = Vec::with_capacity(rows.len());
        let mut slot = 0;
        let (mut joins, mut solves) = (Vec::new(), Vec::with_capacity(rows.len()));
        for (place, &row) in rows.iter().enumerate() {
            let (segments, order) = self.segments(row);
            let slots = segments.len().min(self.cut.row_slots);
            for (j, &Part { partner_tile, start, length }) in segments.iter().enumerate() {
                let (round, slot) = (j / slots, slot + j % slots);
                pieces.push(Piece { round, partner_tile, place, start, length, slot });
            }
            if slots > 1 {
                joins.push(Join { slot: slot as u32, slots: slots as u32 });
            }
            let in_tile = self.cut.own.locate(row).1;
            solves.push(Solve { row: in_tile, slot: slot as u32, penalty: penalty(row as usize) });
            orders.push(order);
            slot += slots;
        }
        pieces.sort_by_key(|p| (p.round, p.partner_tile, Reverse(p.length), p.slot));
        let own_tile = rows.first().map_or(0, |&row| self.cut.own.locate(row).0);
        let mut walks: Vec<Walk> = Vec::new();
        let mut last = None;
        for piece in &pieces {
            let walk = (piece.round, piece.partner_tile);
            let entries = self.cut.binding / size_of::<Entry>();
            let full = self.chunk.entries.len() + piece.length > entries
                || (self.chunk.segments.len() + 1) * size_of::<Segment>() > self.cut.binding;
            if full {
                self.flush()?;
            }
            let begins = last.replace(walk) != Some(walk);
            if full || begins {
                walks.push(Walk {
                    partner_tile: piece.partner_tile,
                    chunk: self.chunks,
                    first_segment: self.chunk.segments.len(),
                    segments: 0,
                    ratings: 0,
                    add: piece.round > 0,
                });
            }
            if let Some(walk) = walks.last_mut() {
                walk.segments += 1;
                walk.ratings += piece.length;
            }
            self.push(rows[piece.place], orders[piece.place].as_deref(), piece);
        }
        let ratings = pieces.iter().map(|piece| piece.length).sum();
        let fits = |arrays: &RowArrays| {
            (arrays.joins.len() + joins.len()) * size_of::<Join>() <= self.cut.binding
                && (arrays.solves.len() + solves.len()) * size_of::<Solve>() <= self.cut.binding
        };
        if !self.plan.rows.last().is_some_and(fits) {
            self.plan.rows.push(RowArrays::default());
        }
        let at = self.plan.rows.len() - 1;
        let arrays = &mut self.plan.rows[at];
        let from = (arrays.joins.len(), arrays.solves.len());
        arrays.joins.extend(joins);
        arrays.solves.extend(solves);
        self.plan.batches.push(Batch {
            own_tile,
            walks,
            rows: at,
            joins: from.0..arrays.joins.len(),
            solves: from.1..arrays.solves.len(),
            ratings,
            refines,
        });
        self.plan.slots = self.plan.slots.max(slot);
        Ok(())
    }

    fn push(&mut self, row: u32, order: Option<&[usize]>, piece: &Piece) {
        let start = self.chunk.entries.len();
        let first = self.ratings.positions(row as usize).start;
        for at in piece.start..piece.start + piece.length {
            let position = order.map_or(first + at, |order| order[at]);
            let partner = self.cut.partner.locate(self.ratings.partners[position]).1;
            let value = self.ratings.values[position] - self.cut.mean;
            self.chunk.entries.push(Entry { partner, second: value.to_bits() });
            if let Some(&weight) = self.ratings.weights.get(position) {
                self.chunk.roots.push(weight.abs().sqrt().copysign(weight));
            }
        }
        self.chunk.segments.push(Segment {
            row: self.cut.own.locate(row).1,
            // A segment without ratings names one that exists, where the chunk has any.
            start: if piece.length > 0 { start as u32 } else { 0 },
            length: piece.length as u32,
            slot: piece.slot as u32,
        });
    }

    fn flush(&mut self) -> Result<()> {
        if self.chunk.segments.is_empty() {
            return Ok(());
        }
        self.chunks += 1;
        (self.emit)(std::mem::take(&mut self.chunk))
    }
}

#[cfg(test)]
mod tests;
