//! Users of a batch against its pool: a chunk of them, in blocks.

use super::{ChoiceTerms, LANES, LineTask, Terms};
use crate::core::{ChoiceBatch, Loss, UNKNOWN};
use crate::cpu::kernels::contrast::{ccl, softmax};
use crate::cpu::kernels::gram::dot;
use crate::cpu::kernels::item_gradient::item_gradient;
use crate::cpu::kernels::lines::Line;
use crate::cpu::kernels::pairs::{Held, held_against_one, held_against_pool};
use crate::cpu::kernels::pick::{Picked, pick};
use crate::cpu::kernels::products::{GROUP, Scores, Transposed, Weighted};
use crate::cpu::kernels::user_gradient::{add_pair, user_gradient};
use pulp::Simd;
use std::ops::Range;

/// What a chunk of users has to itself.
#[derive(Default)]
pub(super) struct Chunk {
    /// (rows of a block, panels).
    pub scores: Vec<Line>,
    /// (strips, rows of a block).
    pub scaled: Vec<Line>,
    /// (slots, strips) of the pool, and (panels).
    pub items: Vec<Line>,
    pub bias: Vec<Line>,
    pub coefficients: Vec<f32>,
    /// Whether it has users in this batch.
    pub used: bool,
    pub loss: f64,
}

/// What all chunks read.
pub(super) struct Pool<'a> {
    pub batch: &'a ChoiceBatch,
    pub terms: &'a Terms,
    pub choice: &'a ChoiceTerms,
    pub factors: usize,
    pub strips_of_row: usize,
    pub x: &'a [Line],
    pub items: &'a [Line],
    pub bias: &'a [f32],
    pub panels: &'a [Line],
    pub strips: &'a [Line],
    pub add: &'a [Line],
    pub counts: &'a [Line],
    /// Rows of a block.
    pub rows: usize,
}

/// A chunk of users against the pool: their gradient, and what they add to the pool's.
pub(super) struct UsersTask<'a> {
    pub pool: &'a Pool<'a>,
    pub users: Range<usize>,
    pub chunk: &'a mut Chunk,
    pub gradient: &'a mut [Line],
    pub scores: &'a mut [f32],
    pub slopes: &'a mut [f32],
    pub picks: &'a mut [u32],
}

impl LineTask for UsersTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        self.chunk.used = !self.users.is_empty();
        self.chunk.loss = 0.0;
        let dense = self.pool.terms.loss.is_dense();
        let (all, rows) = (self.users.clone(), self.pool.rows);
        let mut from = all.start;
        while from < all.end {
            let block = from..(from + rows).min(all.end);
            match dense {
                true => self.block::<S, V>(simd, block.clone(), from == all.start),
                false => self.picks::<S, V>(simd, block.clone()),
            }
            self.pairs(block.clone());
            from = block.end;
        }
    }
}

impl UsersTask<'_> {
    /// A block of users against the whole pool.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(&mut self, simd: S, block: Range<usize>, first: bool) {
        let Pool { batch, terms, choice, .. } = *self.pool;
        let (pool, strips) = (self.pool, self.pool.strips_of_row);
        let softly = terms.loss == Loss::Softmax;
        let panels = batch.pool.div_ceil(LANES);
        let rows = block.len().next_multiple_of(GROUP);
        let x = &pool.x[block.start * strips..][..rows * strips];
        let scores = &mut self.chunk.scores[..rows * panels];
        Scores {
            rows: x,
            strips,
            factors: pool.factors,
            panels: pool.panels,
            add: &pool.add[..panels],
            scale: if softly { choice.inverse_temperature } else { 1.0 },
        }
        .run::<S, V>(simd, scores);
        let coefficients = &mut self.chunk.coefficients[..rows];
        coefficients.fill(0.0);
        let first_pair = batch.user_starts[self.users.start] as usize;
        for (row, user) in block.clone().enumerate() {
            let (lines, known) = (&mut scores[row * panels..][..panels], batch.known(user));
            let of = match softly {
                true => softmax(lines, known),
                false => ccl(lines, known, &pool.counts[..panels], choice.margin),
            };
            // A sum of its own, or of none.
            let none = known.len() == batch.pool;
            let threshold = batch.thresholds.get(user).copied();
            for pair in batch.user_starts[user] as usize..batch.user_starts[user + 1] as usize {
                let own = self.pool.own::<S, V>(simd, user, pair);
                let weight = batch.weights[pair];
                let held = match none {
                    true => Held::default(),
                    false => held_against_pool((terms.loss, choice), (own, weight, threshold), of),
                };
                self.scores[pair - first_pair] = own;
                self.slopes[pair - first_pair] = held.slope;
                self.chunk.loss += f64::from(held.loss);
                coefficients[row] += held.pool;
            }
        }
        let at = block.start - self.users.start;
        let gradient = &mut self.gradient[at * strips..][..rows * strips];
        let weighted =
            Weighted { weights: scores, panels, strips: &pool.strips[..strips * panels * LANES] };
        user_gradient::<S, V>(simd, &weighted, coefficients, gradient);
        let scaled = &mut self.chunk.scaled[..strips * rows];
        for (row, x) in x.chunks_exact(strips).enumerate() {
            for (strip, line) in x.iter().enumerate() {
                for lane in 0..LANES {
                    scaled[strip * rows + row].0[lane] = coefficients[row] * line.0[lane];
                }
            }
        }
        let transposed = Transposed { weights: scores, panels, strips: scaled, rows };
        let bias = self.chunk.bias.len().min(panels);
        let to = (&mut self.chunk.items[..panels * LANES * strips], &mut self.chunk.bias[..bias]);
        item_gradient::<S, V>(simd, &transposed, coefficients, first, to);
    }

    /// What the pairs of a block of users pick.
    #[inline(always)]
    fn picks<S: Simd, const V: usize>(&mut self, simd: S, block: Range<usize>) {
        let Pool { batch, terms, choice, .. } = *self.pool;
        let (pool, strips) = (self.pool, self.pool.strips_of_row);
        let first_pair = batch.user_starts[self.users.start] as usize;
        let at = block.start - self.users.start;
        self.gradient[at * strips..][..block.len() * strips].fill(Line::ZERO);
        for user in block {
            let x = &pool.x[user * strips..][..strips];
            for pair in batch.user_starts[user] as usize..batch.user_starts[user + 1] as usize {
                let own = pool.own::<S, V>(simd, user, pair);
                let picked: Picked = pick::<S, V>(
                    simd,
                    batch,
                    (terms.loss, choice),
                    (pair, own),
                    x,
                    (pool.items, pool.bias),
                );
                let weight = batch.weights[pair];
                let held = held_against_one((terms.loss, choice), (own, weight), &picked);
                self.scores[pair - first_pair] = own;
                self.slopes[pair - first_pair] = held.slope;
                self.picks[pair - first_pair] = picked.slot;
                self.chunk.loss += f64::from(held.loss);
            }
        }
    }

    /// What the pairs of a block, and what they picked, add to their users' gradient.
    #[inline(always)]
    fn pairs(&mut self, block: Range<usize>) {
        let (batch, strips) = (self.pool.batch, self.pool.strips_of_row);
        let dense = self.pool.terms.loss.is_dense();
        let first_pair = batch.user_starts[self.users.start] as usize;
        for user in block {
            let at = user - self.users.start;
            let gradient = &mut self.gradient[at * strips..][..strips];
            for pair in batch.user_starts[user] as usize..batch.user_starts[user + 1] as usize {
                let slope = self.slopes[pair - first_pair];
                let item = batch.pair_items[pair] as usize;
                add_pair(slope, &self.pool.items[item * strips..][..strips], gradient);
                let picked = self.picks[pair - first_pair];
                if !dense && picked != UNKNOWN {
                    let y = &self.pool.items[picked as usize * strips..][..strips];
                    add_pair(-slope, y, gradient);
                }
            }
        }
    }
}

impl Pool<'_> {
    /// The score of a pair.
    #[inline(always)]
    fn own<S: Simd, const V: usize>(&self, simd: S, user: usize, pair: usize) -> f32 {
        let (item, strips) = (self.batch.pair_items[pair] as usize, self.strips_of_row);
        let (x, y) = (&self.x[user * strips..][..strips], &self.items[item * strips..][..strips]);
        dot::<S, V>(simd, x, y) + self.bias[item]
    }
}
