//! The gradient of a batch.

use super::layout::{PanelTask, PrepareTask};
use super::users::{Chunk, Pool, UsersTask};
use super::{ChoiceTerms, LANES, LineTask, SideState, Terms, dispatch};
use crate::Result;
use crate::backend::{ChoiceProbe, ChoiceProblem};
use crate::core::{ChoiceBatch, Loss, Side, UNKNOWN};
use crate::cpu::kernels::choice_step::by_parameters;
use crate::cpu::kernels::contrast::NONE;
use crate::cpu::kernels::lines::{Line, numbers};
use crate::cpu::kernels::prepare::Dropout;
use crate::cpu::kernels::products::GROUP;
use crate::cpu::kernels::user_gradient::add_pair;
use crate::memory;
use pulp::{Arch, Simd};
use rayon::prelude::*;

/// Parts of a batch's users, each of which sums its own gradient of the pool.
pub(super) const CHUNKS: usize = 8;

/// Slots that one task prepares, or sums.
pub(super) const SLOTS: usize = 128;

/// Lines of scores that a block has at most, but for pools so large that few rows are more: a large pool does
/// not stay in a cache, and is read once for each block, so that more rows share the reading.
const BLOCK_LINES: usize = 1 << 18;

/// Rows of a block against so many panels.
pub(super) fn block_rows(panels: usize) -> usize {
    (BLOCK_LINES / panels.max(1) / 16 * 16).clamp(16, 64)
}

/// What a batch's kernels leave to one another.
pub(super) struct Scratch {
    /// (U, strips), (D, strips): rows as they are scored.
    x: [Vec<Line>; 2],
    /// (U), (D).
    scale: [Vec<f32>; 2],
    /// (D).
    bias: Vec<f32>,
    /// The pool once more, (panels, factors) and (strips, slots); and of each panel what is added to scores,
    /// and how often slots were drawn.
    panels: Vec<Line>,
    strips: Vec<Line>,
    add: Vec<Line>,
    counts: Vec<Line>,
    /// (B).
    pub(super) scores: Vec<f32>,
    slopes: Vec<f32>,
    pub(super) picks: Vec<u32>,
    /// Pairs by what they picked.
    pick_starts: Vec<u32>,
    pick_pairs: Vec<u32>,
    chunks: Vec<Chunk>,
    /// (U, strips), (D, strips): the gradient by rows as they are scored.
    pub(super) gradient: [Vec<Line>; 2],
    /// (D).
    pub(super) bias_gradient: Vec<f32>,
}

/// What vectors here are for, to people.
const WHAT: &str = "gradients of a batch";

/// Bytes of [`Scratch`] for batches of `pairs` against a pool of `pool` of `items`.
pub(in crate::cpu) fn scratch_bytes(
    pairs: u64,
    pool: u64,
    items: u64,
    k: usize,
    dense: bool,
) -> u64 {
    let line = size_of::<Line>() as u64;
    let strips = k.div_ceil(LANES) as u64;
    let panels = pool.div_ceil(LANES as u64);
    let slots = pool + pairs.min(items - pool.min(items));
    let users = pairs.next_multiple_of(GROUP as u64);
    let rows = block_rows(panels as usize) as u64;
    let chunk = line * (rows * panels + strips * rows + panels * LANES as u64 * strips + panels);
    let layouts = line * (panels * k as u64 + panels * LANES as u64 * strips + 2 * panels);
    let whole = 2 * line * strips * (users + slots) + 4 * (users + 4 * slots + 1) + 16 * pairs;
    match dense {
        true => whole + layouts + CHUNKS as u64 * (chunk + 4 * rows),
        false => whole,
    }
}

impl Scratch {
    /// Room for the largest batch.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn new(problem: &ChoiceProblem) -> Result<Self> {
        let strips = problem.start.factors.factors.div_ceil(LANES);
        let most = &problem.most;
        let dense = problem.terms.loss.is_dense();
        let panels = most.pool.div_ceil(LANES);
        let slots = most.pool + most.pairs.min(problem.items - most.pool.min(problem.items));
        let users = most.pairs.next_multiple_of(GROUP);
        let lines = |count: usize| memory::filled(Line::ZERO, count, WHAT);
        let chunk = || {
            let rows = block_rows(panels);
            let mut chunk = Chunk::default();
            if dense {
                chunk.scores = lines(rows * panels)?;
                chunk.scaled = lines(strips * rows)?;
                chunk.items = lines(panels * LANES * strips)?;
                chunk.bias = lines(if problem.terms.bias { panels } else { 0 })?;
                chunk.coefficients = memory::zeroed(rows, WHAT)?;
            }
            Ok::<_, crate::Error>(chunk)
        };
        let pool = if dense { panels } else { 0 };
        Ok(Self {
            x: [lines(users * strips)?, lines(slots * strips)?],
            scale: [memory::zeroed(users, WHAT)?, memory::zeroed(slots, WHAT)?],
            bias: memory::zeroed(slots, WHAT)?,
            panels: lines(pool * problem.start.factors.factors)?,
            strips: lines(pool * LANES * strips)?,
            add: lines(pool)?,
            counts: lines(pool)?,
            scores: memory::zeroed(most.pairs, WHAT)?,
            slopes: memory::zeroed(most.pairs, WHAT)?,
            picks: memory::zeroed(most.pairs, WHAT)?,
            pick_starts: memory::zeroed(slots + 1, WHAT)?,
            pick_pairs: memory::zeroed(most.pairs, WHAT)?,
            chunks: (0..CHUNKS).map(|_| chunk()).collect::<Result<_>>()?,
            gradient: [lines(users * strips)?, lines(slots * strips)?],
            bias_gradient: memory::zeroed(slots, WHAT)?,
        })
    }

    /// Bytes of all its vectors.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let pairs = [&self.x, &self.gradient];
        let lines: usize = pairs.into_iter().flatten().map(Vec::len).sum::<usize>()
            + [&self.panels, &self.strips, &self.add, &self.counts]
                .map(Vec::len)
                .iter()
                .sum::<usize>();
        let chunk = |chunk: &Chunk| {
            let lines = [&chunk.scores, &chunk.scaled, &chunk.items, &chunk.bias];
            size_of::<Line>() * lines.map(Vec::len).iter().sum::<usize>()
                + 4 * chunk.coefficients.len()
        };
        let numbers = [&self.scale[0], &self.scale[1], &self.bias, &self.scores, &self.slopes];
        let numbers = numbers.map(Vec::len).iter().sum::<usize>() + self.bias_gradient.len();
        let indices = [&self.picks, &self.pick_starts, &self.pick_pairs].map(Vec::len);
        size_of::<Line>() * lines
            + self.chunks.iter().map(chunk).sum::<usize>()
            + 4 * (numbers + indices.iter().sum::<usize>())
    }

    /// Fills in the gradient of the summed loss of a batch, which it returns.
    pub(super) fn gradient(
        &mut self,
        arch: Arch,
        batch: &ChoiceBatch,
        (terms, choice): (&Terms, &ChoiceTerms),
        factors: usize,
        sides: &[SideState; 2],
    ) -> f64 {
        let strips = factors.div_ceil(LANES);
        self.prepare(arch, batch, choice, strips, sides);
        let panels = batch.pool.div_ceil(LANES);
        if terms.loss.is_dense() {
            self.lay_pool_out(arch, batch, (terms, choice), factors);
        }
        let rows = block_rows(panels);
        let (users, blocks) = (batch.users.len(), batch.users.len().div_ceil(rows));
        let pool = Pool {
            batch,
            terms,
            choice,
            factors,
            strips_of_row: strips,
            x: &self.x[0],
            items: &self.x[1],
            bias: &self.bias,
            panels: &self.panels[..if terms.loss.is_dense() { panels * factors } else { 0 }],
            strips: &self.strips,
            add: &self.add,
            counts: &self.counts,
            rows,
        };
        let mut rest = (
            &mut self.gradient[0][..],
            &mut self.scores[..],
            &mut self.slopes[..],
            &mut self.picks[..],
        );
        let mut tasks = Vec::with_capacity(CHUNKS);
        for (at, chunk) in self.chunks.iter_mut().enumerate() {
            let from = (blocks * at / CHUNKS * rows).min(users);
            let end = (blocks * (at + 1) / CHUNKS * rows).min(users);
            // The last rows of the last one are padded to a whole group.
            let padded = (end - from).next_multiple_of(GROUP);
            let pairs = batch.user_starts[end] as usize - batch.user_starts[from] as usize;
            let (gradient, g) = rest.0.split_at_mut(padded * strips);
            let (scores, s) = rest.1.split_at_mut(pairs);
            let (slopes, l) = rest.2.split_at_mut(pairs);
            let (picks, p) = rest.3.split_at_mut(pairs);
            rest = (g, s, l, p);
            tasks.push(UsersTask {
                pool: &pool,
                users: from..end,
                chunk,
                gradient,
                scores,
                slopes,
                picks,
            });
        }
        tasks.into_par_iter().with_max_len(1).for_each(|task| dispatch(arch, task));
        if !terms.loss.is_dense() {
            self.sort_picks(batch);
        }
        self.sum_items(arch, batch, terms, strips);
        self.chunks.iter().map(|chunk| chunk.loss).sum()
    }

    /// Rows as they are scored.
    fn prepare(
        &mut self,
        arch: Arch,
        batch: &ChoiceBatch,
        choice: &ChoiceTerms,
        strips: usize,
        sides: &[SideState; 2],
    ) {
        for side in Side::BOTH {
            let at = side.index();
            let rows = if side == Side::User { &batch.users } else { &batch.items };
            let dropout = Dropout::of(choice, side, batch.step);
            let (x, scale) = (&mut self.x[at], &mut self.scale[at]);
            let parts = x.par_chunks_mut(SLOTS * strips).zip(scale.par_chunks_mut(SLOTS));
            let parts = parts.zip(rows.par_chunks(SLOTS));
            parts.for_each(|((x, scale), rows)| {
                let (table, dropout) = (&sides[at].rows, dropout.as_ref());
                dispatch(arch, PrepareTask { choice, table, dropout, rows, x, scale });
            });
            // Whole groups of users are scored.
            x[rows.len() * strips..][..(rows.len().next_multiple_of(GROUP) - rows.len())
                * strips
                * usize::from(side == Side::User)]
                .fill(Line::ZERO);
        }
        for (bias, &row) in self.bias.iter_mut().zip(&batch.items) {
            *bias = sides[1].rows.bias[row as usize];
        }
    }

    /// The pool in the layouts that products read.
    fn lay_pool_out(
        &mut self,
        arch: Arch,
        batch: &ChoiceBatch,
        (terms, choice): (&Terms, &ChoiceTerms),
        factors: usize,
    ) {
        let strips = factors.div_ceil(LANES);
        let (slots, panels) = (batch.pool, batch.pool.div_ceil(LANES));
        let softmax = terms.loss == Loss::Softmax;
        let (bias, inverse) = (&self.bias, choice.inverse_temperature);
        for (panel, (add, counts)) in
            self.add.iter_mut().zip(&mut self.counts).take(panels).enumerate()
        {
            (*add, *counts) = (Line([NONE; LANES]), Line::ZERO);
            for lane in 0..LANES.min(slots - panel * LANES) {
                let slot = panel * LANES + lane;
                counts.0[lane] = batch.counts[slot];
                add.0[lane] = match softmax {
                    true => batch.log_weights[slot] + bias[slot] * inverse,
                    false => bias[slot],
                };
            }
        }
        let items = &self.x[1][..slots * strips];
        self.panels[..panels * factors].par_chunks_mut(factors).enumerate().for_each(
            |(panel, to)| {
                let lanes = LANES.min(slots - panel * LANES);
                dispatch(
                    arch,
                    PanelTask {
                        rows: &items[panel * LANES * strips..][..lanes * strips],
                        strips,
                        to,
                    },
                );
            },
        );
        self.strips[..strips * panels * LANES].par_chunks_mut(panels * LANES).enumerate().for_each(
            |(strip, to)| {
                for (to, row) in to.iter_mut().zip(items.chunks_exact(strips)) {
                    *to = row[strip];
                }
                to[slots..].fill(Line::ZERO);
            },
        );
    }

    /// Pairs by what they picked, those of a slot in their order.
    fn sort_picks(&mut self, batch: &ChoiceBatch) {
        let picks = &self.picks[..batch.pairs()];
        let starts = &mut self.pick_starts[..batch.items.len() + 1];
        starts.fill(0);
        for &slot in picks.iter().filter(|&&slot| slot != UNKNOWN) {
            starts[slot as usize + 1] += 1;
        }
        for slot in 0..batch.items.len() {
            starts[slot + 1] += starts[slot];
        }
        let mut next = starts.to_vec();
        for (pair, &slot) in picks.iter().enumerate().filter(|(_, slot)| **slot != UNKNOWN) {
            let at = &mut next[slot as usize];
            self.pick_pairs[*at as usize] = pair as u32;
            *at += 1;
        }
    }

    /// The pairs that picked a slot.
    pub(super) fn picked_by(&self, slot: usize, dense: bool) -> &[u32] {
        match dense {
            true => &[],
            false => {
                &self.pick_pairs
                    [self.pick_starts[slot] as usize..self.pick_starts[slot + 1] as usize]
            }
        }
    }

    /// The items' gradient, from that of the chunks, and from the pairs.
    fn sum_items(&mut self, arch: Arch, batch: &ChoiceBatch, terms: &Terms, strips: usize) {
        let dense = terms.loss.is_dense();
        let mut gradient = std::mem::take(&mut self.gradient[1]);
        let mut bias = std::mem::take(&mut self.bias_gradient);
        let of = &*self;
        let slots = batch.items.len();
        let parts = gradient[..slots * strips].par_chunks_mut(SLOTS * strips);
        parts.zip(bias[..slots].par_chunks_mut(SLOTS)).enumerate().for_each(
            |(part, (gradient, bias))| {
                let first = part * SLOTS;
                dispatch(arch, ItemsTask { of, batch, dense, strips, first, gradient, bias });
            },
        );
        (self.gradient[1], self.bias_gradient) = (gradient, bias);
    }

    /// Makes of the gradient of a slot that by its parameters.
    #[inline(always)]
    pub(super) fn by_parameters<S: Simd, const V: usize>(
        &self,
        simd: S,
        (side, slot, row): (Side, usize, u32),
        choice: &ChoiceTerms,
        dropout: Option<&Dropout>,
        to: &mut [Line],
    ) {
        let (at, strips) = (side.index(), to.len());
        to.copy_from_slice(&self.gradient[at][slot * strips..][..strips]);
        let x = &self.x[at][slot * strips..][..strips];
        let of = (x, self.scale[at][slot]);
        by_parameters::<S, V>(simd, of, (choice.score, row), dropout, to);
    }

    /// What tests and diagnosis see of the gradient.
    pub(super) fn probe(
        &self,
        arch: Arch,
        batch: &ChoiceBatch,
        (terms, choice): (&Terms, &ChoiceTerms),
        factors: usize,
        loss: f64,
    ) -> ChoiceProbe {
        let pairs = batch.pairs();
        let gradient = |side| dispatch(arch, ProbeTask { of: self, batch, choice, factors, side });
        ChoiceProbe {
            loss,
            scores: self.scores[..pairs].to_vec(),
            picks: match terms.loss.is_dense() {
                true => Vec::new(),
                false => self.picks[..pairs].to_vec(),
            },
            users: gradient(Side::User),
            items: gradient(Side::Item),
            item_bias: match terms.bias {
                true => self.bias_gradient[..batch.items.len()].to_vec(),
                false => Vec::new(),
            },
        }
    }
}

/// The gradient of some items.
struct ItemsTask<'a> {
    of: &'a Scratch,
    batch: &'a ChoiceBatch,
    dense: bool,
    strips: usize,
    /// The first of the slots.
    first: usize,
    gradient: &'a mut [Line],
    bias: &'a mut [f32],
}

impl LineTask for ItemsTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, _simd: S) {
        let (of, batch, strips) = (self.of, self.batch, self.strips);
        let x = &of.x[0];
        for (at, gradient) in self.gradient.chunks_exact_mut(strips).enumerate() {
            let slot = self.first + at;
            let bias = &mut self.bias[at];
            gradient.fill(Line::ZERO);
            *bias = 0.0;
            if self.dense && slot < batch.pool {
                for chunk in of.chunks.iter().filter(|chunk| chunk.used) {
                    add_pair(1.0, &chunk.items[slot * strips..][..strips], gradient);
                    if !chunk.bias.is_empty() {
                        *bias += chunk.bias[slot / LANES].0[slot % LANES];
                    }
                }
            }
            let pairs = batch.item_starts[slot] as usize..batch.item_starts[slot + 1] as usize;
            for &pair in &batch.item_pairs[pairs] {
                let (pair, slope) = (pair as usize, of.slopes[pair as usize]);
                let user = batch.pair_users[pair] as usize;
                add_pair(slope, &x[user * strips..][..strips], gradient);
                *bias += slope;
            }
            for &pair in of.picked_by(slot, self.dense) {
                let (pair, slope) = (pair as usize, -of.slopes[pair as usize]);
                let user = batch.pair_users[pair] as usize;
                add_pair(slope, &x[user * strips..][..strips], gradient);
                *bias += slope;
            }
        }
    }
}

struct ProbeTask<'a> {
    of: &'a Scratch,
    batch: &'a ChoiceBatch,
    choice: &'a ChoiceTerms,
    factors: usize,
    side: Side,
}

impl LineTask for ProbeTask<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) -> Vec<f32> {
        let rows = if self.side == Side::User { &self.batch.users } else { &self.batch.items };
        let dropout = Dropout::of(self.choice, self.side, self.batch.step);
        let mut lines = vec![Line::ZERO; self.factors.div_ceil(LANES)];
        let mut gradient = Vec::with_capacity(rows.len() * self.factors);
        for (slot, &row) in rows.iter().enumerate() {
            let at = (self.side, slot, row);
            let of = self.of;
            of.by_parameters::<S, V>(simd, at, self.choice, dropout.as_ref(), &mut lines);
            gradient.extend_from_slice(&numbers(&lines)[..self.factors]);
        }
        gradient
    }
}
