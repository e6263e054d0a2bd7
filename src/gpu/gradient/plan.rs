//! Cuts a problem, once and at upload, so that it respects every limit of a device together: the
//! size of a binding, workgroups a dispatch, and time a dispatch. Knows no device.
//!
//! - A *tile* is a range of a side's rows whose factors fit one binding.
//! - A *segment* is at most [`SEGMENT`] ratings of one row in one batch with partners of one tile.
//!   A team of lanes walks it and writes its gradient to a *slot*.
//! - A *chunk* is a range of batches whose arrays each fit one binding.

use crate::core::{Batches, Side, SideIndex};
use crate::gpu::shared::params::{Entry, Segment, Touched};
use crate::gpu::shared::tiles::{Limits, Team, Tiles, WORKGROUP};
use crate::{Error, Result};
use rayon::prelude::*;

/// Ratings of a segment at most: a hot row is shared out among teams, so that none waits long for
/// it; its partial gradients cost one slot each.
pub const SEGMENT: usize = 32;

/// Ratings of a group, which is cut and uploaded by one thread: a chunk, or several.
const GROUP_RATINGS: usize = 1 << 20;

/// One dispatch of a kernel that walks segments.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    pub own_tile: usize,
    pub partner_tile: usize,
    pub first_segment: usize,
    pub segments: usize,
    pub sums_start: usize,
}

/// One dispatch of the step kernel.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub own_tile: usize,
    pub first_row: usize,
    pub rows: usize,
    pub sums_start: usize,
}

/// One side of a batch.
#[derive(Clone, Debug, Default)]
pub struct SidePlan {
    pub walks: Vec<Walk>,
    pub steps: Vec<Step>,
    /// Where the batch starts in the chunk's entries.
    pub batch_start: usize,
}

/// One batch.
#[derive(Clone, Debug, Default)]
pub struct BatchPlan {
    pub chunk: usize,
    pub ratings: usize,
    pub lead: SidePlan,
    pub follow: SidePlan,
}

/// One side's arrays of a chunk.
#[derive(Clone, Debug, Default)]
pub struct SideArrays {
    pub segments: Vec<Segment>,
    pub entries: Vec<Entry>,
    /// What they count; empty where all count alike, and for the side that follows.
    pub weights: Vec<f32>,
    pub touched: Vec<Touched>,
    /// How many sums it needs.
    pub sums: usize,
}

/// A chunk's arrays, ready to upload.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    pub lead: SideArrays,
    pub follow: SideArrays,
}

/// How a problem is cut.
#[derive(Clone, Debug)]
pub struct GradientPlan {
    pub team: Team,
    pub lead: Tiles,
    pub follow: Tiles,
    pub batches: Vec<BatchPlan>,
    /// Slots that the gradients of each tile need.
    pub lead_slots: Vec<usize>,
    pub follow_slots: Vec<usize>,
    /// Ratings of the largest batch.
    pub largest_batch: usize,
}

impl GradientPlan {
    /// Cuts `batches`; `keep` makes of each chunk what is kept of it, on several threads.
    ///
    /// # Errors
    /// If a batch or a row is too large for the limits; errors of `keep`.
    pub fn new<C: Send>(
        batches: &Batches,
        team: Team,
        limits: Limits,
        weight: impl Fn(Side, u32) -> (f32, f32) + Sync,
        keep: impl Fn(Chunk) -> Result<C> + Sync,
    ) -> Result<(Self, Vec<C>)> {
        let (lead_side, follow_side) = (batches.lead_side, batches.lead_side.partner());
        let mut lead = Tiles::new(batches.rows(lead_side) + 1, team, limits)?;
        let mut follow = Tiles::new(batches.rows(follow_side) + 1, team, limits)?;
        let fit = limits.binding / team.row_bytes();
        // Smaller tiles have fewer slots: halve until each tile's gradients fit a binding too.
        loop {
            let cutter = Cutter { batches, team, limits, lead, follow };
            let (lead_slots, follow_slots) = cutter.slots();
            let too_many = |slots: &[usize]| slots.iter().any(|&n| n > fit);
            match (too_many(&lead_slots), too_many(&follow_slots)) {
                (false, false) => return cutter.cut(weight, keep, lead_slots, follow_slots),
                (true, _) if lead.rows_per_tile > 1 => lead.rows_per_tile /= 2,
                (_, true) if follow.rows_per_tile > 1 => follow.rows_per_tile /= 2,
                _ => return Err(too_large(batches, limits)),
            }
        }
    }
}

/// One batch, cut but not yet part of a chunk.
struct CutBatch {
    lead: SideArrays,
    follow: SideArrays,
    plan: BatchPlan,
}

struct Cutter<'a> {
    batches: &'a Batches,
    team: Team,
    limits: Limits,
    lead: Tiles,
    follow: Tiles,
}

impl Cutter<'_> {
    /// The most slots that any batch needs in each tile of both sides.
    fn slots(&self) -> (Vec<usize>, Vec<usize>) {
        let of_batch = |batch: usize, index: &SideIndex, own: &Tiles, partner: &Tiles| {
            let mut slots = vec![0; own.len()];
            let mut counts = vec![0_usize; partner.len()];
            for run in index.runs(batch) {
                let at = index.positions(run);
                let tile = own.locate(index.rows[run]).0;
                if partner.len() == 1 {
                    slots[tile] += at.len().div_ceil(SEGMENT);
                } else {
                    counts.fill(0);
                    for &row in &index.partners[at] {
                        counts[partner.locate(row).0] += 1;
                    }
                    slots[tile] += counts.iter().map(|n| n.div_ceil(SEGMENT)).sum::<usize>();
                }
            }
            slots
        };
        let most = |index: &SideIndex, own: &Tiles, partner: &Tiles| {
            (0..self.batches.len())
                .into_par_iter()
                .map(|batch| of_batch(batch, index, own, partner))
                .reduce(
                    || vec![0; own.len()],
                    |a, b| a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect(),
                )
        };
        (
            most(&self.batches.lead, &self.lead, &self.follow),
            most(&self.batches.follow, &self.follow, &self.lead),
        )
    }

    fn cut<C: Send>(
        &self,
        weight: impl Fn(Side, u32) -> (f32, f32) + Sync,
        keep: impl Fn(Chunk) -> Result<C> + Sync,
        lead_slots: Vec<usize>,
        follow_slots: Vec<usize>,
    ) -> Result<(GradientPlan, Vec<C>)> {
        let batches = self.batches;
        let largest = (0..batches.len()).map(|b| batches.positions(b).len()).max().unwrap_or(1);
        let group = (GROUP_RATINGS / largest).max(1);
        let numbers: Vec<usize> = (0..batches.len()).collect();
        let cut: Vec<(Vec<BatchPlan>, Vec<C>)> = numbers
            .par_chunks(group)
            .map(|numbers| self.group(numbers, &weight, &keep))
            .collect::<Result<_>>()?;
        let mut plans = Vec::with_capacity(batches.len());
        let mut chunks = Vec::new();
        for (group, kept) in cut {
            let first = chunks.len();
            plans.extend(group.into_iter().map(|p| BatchPlan { chunk: first + p.chunk, ..p }));
            chunks.extend(kept);
        }
        let plan = GradientPlan {
            team: self.team,
            lead: self.lead,
            follow: self.follow,
            largest_batch: largest,
            batches: plans,
            lead_slots,
            follow_slots,
        };
        Ok((plan, chunks))
    }

    /// Cuts some batches, in order; chunks count from the first of the group.
    fn group<C>(
        &self,
        numbers: &[usize],
        weight: &impl Fn(Side, u32) -> (f32, f32),
        keep: &impl Fn(Chunk) -> Result<C>,
    ) -> Result<(Vec<BatchPlan>, Vec<C>)> {
        let (mut plans, mut kept) = (Vec::with_capacity(numbers.len()), Vec::new());
        let mut chunk = Chunk::default();
        for &number in numbers {
            let mut batch = self.batch(number, weight);
            let fits = |a: &SideArrays, b: &SideArrays| a.bytes(b) <= self.limits.binding;
            if !fits(&chunk.lead, &batch.lead) || !fits(&chunk.follow, &batch.follow) {
                if !chunk.lead.entries.is_empty() {
                    kept.push(keep(std::mem::take(&mut chunk))?);
                }
                if !fits(&chunk.lead, &batch.lead) || !fits(&chunk.follow, &batch.follow) {
                    return Err(too_large(self.batches, self.limits));
                }
            }
            chunk.lead.append(batch.lead, &mut batch.plan.lead);
            chunk.follow.append(batch.follow, &mut batch.plan.follow);
            plans.push(BatchPlan { chunk: kept.len(), ..batch.plan });
        }
        kept.push(keep(chunk)?);
        Ok((plans, kept))
    }

    /// Cuts both sides of a batch; everything counts from the batch's start.
    fn batch(&self, batch: usize, weight: &impl Fn(Side, u32) -> (f32, f32)) -> CutBatch {
        let batches = self.batches;
        let (lead_side, follow_side) = (batches.lead_side, batches.lead_side.partner());
        let mut places = Vec::new();
        let (lead, lead_plan) = self.side(
            &batches.lead,
            batch,
            (&self.lead, &self.follow),
            |row| weight(lead_side, row),
            |position| batches.values[position].to_bits(),
            Some(&mut places),
        );
        let (follow, follow_plan) = self.side(
            &batches.follow,
            batch,
            (&self.follow, &self.lead),
            |row| weight(follow_side, row),
            |position| places[batches.links[position] as usize],
            None,
        );
        let ratings = batches.positions(batch).len();
        let plan = BatchPlan { chunk: 0, ratings, lead: lead_plan, follow: follow_plan };
        CutBatch { lead, follow, plan }
    }

    /// Cuts one side of a batch; everything counts from the batch's start. `places` receives, for
    /// each of the batch's positions, its entry.
    fn side(
        &self,
        index: &SideIndex,
        batch: usize,
        (own, partner): (&Tiles, &Tiles),
        weight: impl Fn(u32) -> (f32, f32),
        second: impl Fn(usize) -> u32,
        mut places: Option<&mut Vec<u32>>,
    ) -> (SideArrays, SidePlan) {
        let first = self.batches.positions(batch).start;
        let ratings = self.batches.positions(batch).len();
        if let Some(places) = places.as_deref_mut() {
            places.clear();
            places.resize(ratings, 0);
        }
        let mut arrays = SideArrays::default();
        arrays.entries.reserve_exact(ratings);
        arrays.touched.reserve_exact(index.runs(batch).len());
        let mut plan = SidePlan::default();
        let mut buckets: Vec<Vec<Segment>> = vec![Vec::new(); partner.len()];
        let mut slot = 0;
        let mut first_row = 0;
        let mut runs = index.runs(batch).peekable();
        while let Some(run) = runs.next() {
            let (tile, row) = own.locate(index.rows[run]);
            let at = index.positions(run);
            let first_slot = slot;
            for (partner_tile, bucket) in buckets.iter_mut().enumerate() {
                let start = arrays.entries.len();
                for position in at.clone() {
                    let (its_tile, its_row) = partner.locate(index.partners[position]);
                    if its_tile == partner_tile {
                        if let Some(places) = places.as_deref_mut() {
                            places[position - first] = arrays.entries.len() as u32;
                            arrays.weights.extend(self.batches.weights.get(position));
                        }
                        arrays.entries.push(Entry { partner: its_row, second: second(position) });
                    }
                }
                let end = arrays.entries.len();
                for start in (start..end).step_by(SEGMENT) {
                    let length = (end - start).min(SEGMENT) as u32;
                    bucket.push(Segment { row, start: start as u32, length, slot });
                    slot += 1;
                }
            }
            let (weight, share) = weight(index.rows[run]);
            let (weight, share) = (at.len() as f32 * weight, at.len() as f32 * share);
            let slots = slot - first_slot;
            arrays.touched.push(Touched { row, slot: first_slot, slots, weight, share });

            let tile_ends = match runs.peek() {
                Some(&next) => own.locate(index.rows[next]).0 != tile,
                None => true,
            };
            if tile_ends {
                let sums_start = arrays.sums;
                arrays.sums += slot as usize;
                slot = 0;
                for (partner_tile, bucket) in buckets.iter_mut().enumerate() {
                    bucket.sort_by_key(|segment| std::cmp::Reverse(segment.length));
                    self.walks(bucket, (tile, partner_tile), sums_start, &mut arrays, &mut plan);
                    bucket.clear();
                }
                let rows_per_dispatch =
                    (self.limits.workgroups * WORKGROUP / (self.team.width + 1)).max(1);
                let last_row = arrays.touched.len();
                for first_row in (first_row..last_row).step_by(rows_per_dispatch) {
                    let rows = (last_row - first_row).min(rows_per_dispatch);
                    plan.steps.push(Step { own_tile: tile, first_row, rows, sums_start });
                }
                first_row = last_row;
            }
        }
        (arrays, plan)
    }

    /// Appends a bucket's segments, cut into dispatches.
    fn walks(
        &self,
        bucket: &[Segment],
        (own_tile, partner_tile): (usize, usize),
        sums_start: usize,
        arrays: &mut SideArrays,
        plan: &mut SidePlan,
    ) {
        let most = self.limits.workgroups * self.team.teams();
        let (mut from, mut ratings) = (0, 0);
        for (j, segment) in bucket.iter().enumerate() {
            ratings += segment.length as usize;
            let full = j + 1 - from >= most || ratings >= self.team.dispatch_ratings();
            if full || j + 1 == bucket.len() {
                let first_segment = arrays.segments.len() + from;
                let segments = j + 1 - from;
                plan.walks.push(Walk {
                    own_tile,
                    partner_tile,
                    first_segment,
                    segments,
                    sums_start,
                });
                (from, ratings) = (j + 1, 0);
            }
        }
        arrays.segments.extend_from_slice(bucket);
    }
}

impl SideArrays {
    /// Bytes of the largest array that both would make together.
    fn bytes(&self, more: &SideArrays) -> usize {
        let segments = size_of::<Segment>() * (self.segments.len() + more.segments.len());
        let weights = (self.weights.len() + more.weights.len()).div_ceil(2);
        let entries = size_of::<Entry>() * (self.entries.len() + more.entries.len() + weights);
        let touched = size_of::<Touched>() * (self.touched.len() + more.touched.len());
        let sums = 8 * (self.sums + more.sums);
        segments.max(entries).max(touched).max(sums)
    }

    /// Appends a batch and moves its plan behind what is already here.
    fn append(&mut self, batch: SideArrays, plan: &mut SidePlan) {
        let entries = self.entries.len();
        plan.batch_start = entries;
        for walk in &mut plan.walks {
            walk.first_segment += self.segments.len();
            walk.sums_start += self.sums;
        }
        for step in &mut plan.steps {
            step.first_row += self.touched.len();
            step.sums_start += self.sums;
        }
        let moved = |s: Segment| Segment { start: s.start + entries as u32, ..s };
        self.segments.extend(batch.segments.into_iter().map(moved));
        self.entries.extend_from_slice(&batch.entries);
        self.weights.extend_from_slice(&batch.weights);
        self.touched.extend_from_slice(&batch.touched);
        self.sums += batch.sums;
    }
}

fn too_large(batches: &Batches, limits: Limits) -> Error {
    let largest = (0..batches.len()).map(|b| batches.positions(b).len()).max().unwrap_or(0);
    Error::device(format!(
        "a batch of {largest} ratings does not fit the bindings of this device ({} bytes each); \
         lower `batch_size` or use `backend` cpu",
        limits.binding
    ))
}

#[cfg(test)]
mod tests;
