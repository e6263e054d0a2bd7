//! Cuts a problem, once and at upload, so that it respects every limit of a device together: the
//! size of a binding, workgroups a dispatch, and time a dispatch. Knows no device.
//!
//! - A *tile* is a range of a side's rows whose factors fit one binding.
//! - A *segment* is at most [`SEGMENT`] ratings of one row in one batch with partners of one tile.
//!   A team of lanes walks it and writes its gradient to a *slot*.
//! - A *chunk* is a range of batches whose arrays each fit one binding.

use super::params::{Entry, Segment, Touched};
use crate::data::Side;
use crate::train::{Batches, SideIndex};
use crate::{Error, Result};
use rayon::prelude::*;

/// Ratings of a segment at most: a hot row is shared out among teams, so that none waits long for
/// it; its partial gradients cost one slot each.
pub const SEGMENT: usize = 32;

/// Bytes of partner rows a dispatch reads at most: well under a second on the slowest device.
const DISPATCH_BYTES: usize = 2 << 30;

/// Ratings of a group, which is cut and uploaded by one thread: a chunk, or several.
const GROUP_RATINGS: usize = 1 << 20;

/// Invocations a workgroup has, in every shader.
pub const WORKGROUP: usize = 64;

/// The limits that cutting respects.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a binding at most.
    pub binding: usize,
    /// Workgroups of a dispatch at most.
    pub workgroups: usize,
}

/// How teams of lanes cover a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Team {
    /// vec4 columns of a row.
    pub width: usize,
    /// Lanes of a team.
    pub lanes: usize,
    /// vec4 columns a lane holds.
    pub columns: usize,
}

impl Team {
    /// Few lanes make the sum over lanes short, few columns keep registers free: up to 8 lanes,
    /// then up to 4 columns, then more lanes. `factors` is at most 1024.
    pub fn new(factors: usize) -> Self {
        let width = factors.div_ceil(4);
        let lanes = width.next_power_of_two().min(8).max(width.div_ceil(4).next_power_of_two());
        Self { width, lanes, columns: width.div_ceil(lanes) }
    }

    /// Teams of a workgroup.
    pub fn teams(&self) -> usize {
        WORKGROUP / self.lanes
    }

    /// Bytes of a row of factors.
    pub fn row_bytes(&self) -> usize {
        self.width * 16
    }

    /// Ratings a dispatch walks at most.
    pub fn dispatch_ratings(&self) -> usize {
        DISPATCH_BYTES / self.row_bytes()
    }
}

/// One side's rows, cut into tiles.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    /// All rows, the row of unknown ids (the last) included.
    pub rows: usize,
    /// Rows of a tile; the last may have fewer.
    pub rows_per_tile: usize,
}

impl Tiles {
    /// As few tiles as the limits allow.
    pub fn new(rows: usize, team: Team, limits: Limits) -> Result<Self> {
        let fit = limits.binding / team.row_bytes();
        if fit == 0 {
            return Err(Error::device(format!(
                "a row of {} factors does not fit a binding of this device ({} bytes); use fewer \
                 --factors or --backend cpu",
                team.width * 4,
                limits.binding
            )));
        }
        Ok(Self { rows, rows_per_tile: fit.min(rows) })
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.rows.div_ceil(self.rows_per_tile)
    }

    /// The tile of a row, and the row's place in it.
    pub fn locate(&self, row: u32) -> (usize, u32) {
        // Mostly there is one tile, and a division costs more than all else that is done with a rating.
        if (row as usize) < self.rows_per_tile {
            return (0, row);
        }
        let tile = row as usize / self.rows_per_tile;
        (tile, row - (tile * self.rows_per_tile) as u32)
    }

    /// The rows of a tile.
    pub fn range(&self, tile: usize) -> std::ops::Range<usize> {
        tile * self.rows_per_tile..((tile + 1) * self.rows_per_tile).min(self.rows)
    }
}

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
pub struct Plan {
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

impl Plan {
    /// Cuts `batches`; `keep` makes of each chunk what is kept of it, on several threads.
    ///
    /// # Errors
    /// If a batch or a row is too large for the limits; errors of `keep`.
    pub fn new<C: Send>(
        batches: &Batches,
        team: Team,
        limits: Limits,
        weight: impl Fn(Side, u32) -> f32 + Sync,
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
        weight: impl Fn(Side, u32) -> f32 + Sync,
        keep: impl Fn(Chunk) -> Result<C> + Sync,
        lead_slots: Vec<usize>,
        follow_slots: Vec<usize>,
    ) -> Result<(Plan, Vec<C>)> {
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
        let plan = Plan {
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
        weight: &impl Fn(Side, u32) -> f32,
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
    fn batch(&self, batch: usize, weight: &impl Fn(Side, u32) -> f32) -> CutBatch {
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
        weight: impl Fn(u32) -> f32,
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
            let weight = at.len() as f32 * weight(index.rows[run]);
            let slots = slot - first_slot;
            arrays.touched.push(Touched { row, slot: first_slot, slots, weight });

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
        let entries = size_of::<Entry>() * (self.entries.len() + more.entries.len());
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
        self.touched.extend_from_slice(&batch.touched);
        self.sums += batch.sums;
    }
}

fn too_large(batches: &Batches, limits: Limits) -> Error {
    let largest = (0..batches.len()).map(|b| batches.positions(b).len()).max().unwrap_or(0);
    Error::device(format!(
        "a batch of {largest} ratings does not fit the bindings of this device ({} bytes each); \
         lower --batch-size or use --backend cpu",
        limits.binding
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Ratings;

    fn batches(users: u32, items: u32, ratings: u32, batch_size: usize) -> Batches {
        // A quarter of the ratings fall to a few hot rows.
        let hot = |n: u32, rows: u32| if n.is_multiple_of(4) { n % 3 % rows } else { n % rows };
        let ratings = Ratings {
            users: (0..ratings).map(|n| hot(n.wrapping_mul(2_654_435_761) >> 8, users)).collect(),
            items: (0..ratings).map(|n| hot(n.wrapping_mul(40_503) >> 4, items)).collect(),
            values: (0..ratings).map(|n| n as f32).collect(),
            timestamps: vec![],
        };
        Batches::new(&ratings, users as usize, items as usize, batch_size, Some(1))
    }

    /// One side of a chunk and of a batch.
    type Pick = (fn(&Chunk) -> &SideArrays, fn(&BatchPlan) -> &SidePlan);

    /// Checks one side of all batches against the limits; returns each rating's batch, row, partner,
    /// and value or link.
    fn check(
        plan: &Plan,
        chunks: &[Chunk],
        limits: Limits,
        pick: Pick,
        (own, partner, slots): (Tiles, Tiles, &[usize]),
    ) -> Vec<(usize, u32, u32, u32)> {
        let team = plan.team;
        assert!(own.rows_per_tile * team.row_bytes() <= limits.binding);
        assert!(slots.iter().all(|n| n * team.row_bytes() <= limits.binding));
        assert_eq!(slots.len(), own.len());
        let mut ratings = Vec::new();
        for (batch, batch_plan) in plan.batches.iter().enumerate() {
            let (arrays, side) = (pick.0(&chunks[batch_plan.chunk]), pick.1(batch_plan));
            let mut taken = std::collections::HashMap::new();
            for walk in &side.walks {
                assert!((1..=limits.workgroups * team.teams()).contains(&walk.segments));
                let segments = &arrays.segments[walk.first_segment..][..walk.segments];
                assert!(segments.is_sorted_by(|a, b| a.length >= b.length), "longest first");
                for segment in segments {
                    assert!((1..=SEGMENT).contains(&(segment.length as usize)));
                    let slot = segment.slot as usize;
                    assert!(slot < slots[walk.own_tile] && walk.sums_start + slot < arrays.sums);
                    let row = own.range(walk.own_tile).start as u32 + segment.row;
                    assert!(taken.insert((walk.own_tile, slot), row).is_none(), "a slot each");
                    for at in segment.start..segment.start + segment.length {
                        let entry = arrays.entries[at as usize];
                        let first = partner.range(walk.partner_tile).start as u32;
                        assert!((entry.partner as usize) < partner.range(walk.partner_tile).len());
                        ratings.push((batch, row, first + entry.partner, entry.second));
                    }
                }
            }
            for step in &side.steps {
                assert!(step.rows * (team.width + 1) <= limits.workgroups * WORKGROUP);
                for touched in &arrays.touched[step.first_row..][..step.rows] {
                    let row = own.range(step.own_tile).start as u32 + touched.row;
                    for slot in touched.slot..touched.slot + touched.slots {
                        let owner = taken.remove(&(step.own_tile, slot as usize));
                        assert_eq!(owner, Some(row), "a row steps by its own gradients");
                    }
                }
            }
            assert!(taken.is_empty(), "every gradient is used");
        }
        ratings
    }

    #[test]
    fn plans_respect_every_limit_and_lose_no_rating() {
        let all = Limits { binding: 1 << 27, workgroups: 65_535 };
        let (mut tiles, mut cut_walks) = (0, 0);
        for (users, items, ratings, batch_size, factors, limits) in [
            (1, 1, 1, 1, 1, all),
            (200, 90, 3000, 3000, 5, all),
            (200, 90, 3000, 70, 5, Limits { binding: 2048, ..all }),
            (90, 200, 2000, 101, 33, Limits { binding: 4000, ..all }),
            (300, 400, 5000, 1500, 130, Limits { workgroups: 64, ..all }),
            (130, 130, 4000, 60, 200, Limits { binding: 20_000, workgroups: 3 }),
        ] {
            let batches = batches(users, items, ratings, batch_size);
            let team = Team::new(factors);
            let (plan, chunks) = Plan::new(&batches, team, limits, |_, _| 1.0, Ok).unwrap();
            for chunk in &chunks {
                assert!(chunk.lead.bytes(&SideArrays::default()) <= limits.binding);
                assert!(chunk.follow.bytes(&SideArrays::default()) <= limits.binding);
            }
            let lead = (plan.lead, plan.follow, &plan.lead_slots[..]);
            let follow = (plan.follow, plan.lead, &plan.follow_slots[..]);
            let lead = check(&plan, &chunks, limits, (|c| &c.lead, |b| &b.lead), lead);
            let follow = check(&plan, &chunks, limits, (|c| &c.follow, |b| &b.follow), follow);

            // Each value is its rating's number: every rating comes once on each side, and a link
            // leads to the rating's place in its batch.
            let mut want = Vec::new();
            for batch in 0..batches.len() {
                for run in batches.lead.runs(batch) {
                    for at in batches.lead.positions(run) {
                        let value = batches.values[at].to_bits();
                        let row = batches.lead.rows[run];
                        want.push((batch, row, batches.lead.partners[at], value));
                    }
                }
            }
            let sorted = |mut of: Vec<_>| {
                of.sort_unstable();
                of
            };
            let linked = follow.iter().map(|&(batch, row, partner, link)| {
                let batch_plan = &plan.batches[batch];
                let entries = &chunks[batch_plan.chunk].lead.entries;
                let entry = entries[batch_plan.lead.batch_start + link as usize];
                (batch, partner, row, entry.second)
            });
            assert_eq!(sorted(linked.collect()), sorted(want.clone()));
            assert_eq!(sorted(lead), sorted(want));
            tiles += plan.lead.len() + plan.follow.len();
            let walks = plan.batches.iter().map(|b| b.lead.walks.len() + b.follow.walks.len());
            cut_walks += walks.sum::<usize>();
        }
        assert!(tiles > 50 && cut_walks > 1000, "{tiles} tiles, {cut_walks} walks: nothing is cut");
    }

    #[test]
    fn problems_that_cannot_be_cut_are_refused() {
        let refused = |factors, batch_size, binding| {
            let limits = Limits { binding, workgroups: 65_535 };
            let batches = batches(50, 40, 1000, batch_size);
            let plan = Plan::new(&batches, Team::new(factors), limits, |_, _| 1.0, Ok);
            plan.err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(refused(100, 10, 256).contains("a row of 100 factors"));
        assert!(refused(4, 1000, 4096).contains("a batch of 1000 ratings"));
        assert_eq!(refused(4, 100, 4096), "");
    }
}
