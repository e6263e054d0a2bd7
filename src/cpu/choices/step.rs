//! The step of a batch: the rows that occur in it, each once.

use super::batch::{SLOTS, Scratch};
use super::{ChoiceTerms, CpuChoices, LANES, LineTask, SideState, Terms, dispatch};
use crate::core::{ChoiceBatch, Side};
use crate::cpu::kernels::lines::{Line, numbers};
use crate::cpu::kernels::prepare::Dropout;
use crate::cpu::kernels::step::{Update, step};
use crate::cpu::kernels::table::RowsMut;
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

impl CpuChoices {
    /// Moves the rows of a batch against the gradient that [`gradient`](Self::gradient) left.
    pub(super) fn step(&mut self, batch: &ChoiceBatch) {
        let terms = StepTerms::new(&self.terms, &self.choice, batch, self.still_items);
        let [users, items] = &mut self.sides;
        // Slots of items ascend in the pool, and after it.
        let parts = [
            (Side::User, &batch.users, 0..batch.users.len()),
            (Side::Item, &batch.items, 0..batch.pool),
            (Side::Item, &batch.items, batch.pool..batch.items.len()),
        ];
        let moving = if self.still_items { 1 } else { parts.len() };
        for (side, rows, slots) in parts.into_iter().take(moving) {
            let of = if side == Side::User { &mut *users } else { &mut *items };
            let parts = of.parts(rows, slots).into_iter();
            let tasks: Vec<_> = parts
                .map(|part| StepTask {
                    dropout: Dropout::of(&self.choice, side, batch.step),
                    part,
                    side,
                    rows,
                    of: &self.scratch,
                    batch,
                    terms: &terms,
                    factors: self.factors,
                })
                .collect();
            tasks.into_par_iter().for_each(|task| dispatch(self.cpu.arch, task));
        }
    }
}

/// The terms of a batch's update.
struct StepTerms<'a> {
    choice: &'a ChoiceTerms,
    update: Update,
    update_bias: Update,
    bias: bool,
    dense: bool,
    /// Twice the regularization over the batch's pairs.
    decay: f32,
    decay_bias: f32,
}

impl<'a> StepTerms<'a> {
    fn new(terms: &Terms, choice: &'a ChoiceTerms, batch: &ChoiceBatch, sum: bool) -> Self {
        let mean = if sum { 1.0 } else { 1.0 / batch.pairs() as f32 };
        let update = Update {
            optimizer: terms.optimizer,
            rate: batch.rate,
            momentum: terms.momentum,
            scale: mean,
        };
        Self {
            choice,
            update,
            update_bias: Update { rate: batch.rate * terms.bias_rate, ..update },
            bias: terms.bias,
            dense: terms.loss.is_dense(),
            decay: 2.0 * terms.reg * mean,
            decay_bias: 2.0 * terms.reg_bias * mean,
        }
    }
}

/// The rows of some slots, owned by one task.
struct Part<'a> {
    slots: Range<usize>,
    rows: RowsMut<'a>,
    moments: Vec<RowsMut<'a>>,
}

impl SideState {
    /// Cuts slots whose rows ascend into parts that own their rows alone.
    fn parts(&mut self, rows: &[u32], slots: Range<usize>) -> Vec<Part<'_>> {
        let mut rest = Some(self.rows.slices());
        let mut moments: Vec<_> = self.moments.iter_mut().map(|m| Some(m.slices())).collect();
        let mut parts = Vec::with_capacity(slots.len().div_ceil(SLOTS));
        let mut from = slots.start;
        while from < slots.end {
            let part = from..(from + SLOTS).min(slots.end);
            from = part.end;
            let end = rows[part.end - 1] as usize + 1;
            let Some(own) = take(&mut rest, end) else { continue };
            let moments = moments.iter_mut().filter_map(|rest| take(rest, end)).collect();
            parts.push(Part { slots: part, rows: own, moments });
        }
        parts
    }
}

/// The rows before `end` of those that are left.
fn take<'a>(rest: &mut Option<RowsMut<'a>>, end: usize) -> Option<RowsMut<'a>> {
    let (part, tail) = rest.take()?.split_at(end);
    *rest = Some(tail);
    Some(part)
}

struct StepTask<'a> {
    dropout: Option<Dropout>,
    part: Part<'a>,
    side: Side,
    /// (slots): their rows.
    rows: &'a [u32],
    of: &'a Scratch,
    batch: &'a ChoiceBatch,
    terms: &'a StepTerms<'a>,
    factors: usize,
}

impl LineTask for StepTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let mut gradient = vec![Line::ZERO; self.factors.div_ceil(LANES)];
        let (of, terms, batch) = (self.of, self.terms, self.batch);
        for slot in self.part.slots.clone() {
            let row = self.rows[slot];
            let at = (self.side, slot, row);
            let dropout = self.dropout.as_ref();
            of.by_parameters::<S, V>(simd, at, terms.choice, dropout, &mut gradient);
            let pairs = match self.side {
                Side::User => batch.user_starts[slot + 1] - batch.user_starts[slot],
                Side::Item => {
                    let picked = of.picked_by(slot, terms.dense).len() as u32;
                    batch.item_starts[slot + 1] - batch.item_starts[slot] + picked
                }
            };
            let (x, bias) = self.part.rows.row(row);
            let [mut first, mut second] = [(&mut [][..], &mut [][..]), (&mut [][..], &mut [][..])];
            let mut moments = self.part.moments.iter_mut();
            if let Some(of) = moments.next() {
                let (row, bias) = of.row(row);
                first = (row, std::slice::from_mut(bias));
            }
            if let Some(of) = moments.next() {
                let (row, bias) = of.row(row);
                second = (row, std::slice::from_mut(bias));
            }
            let decay = terms.decay * pairs as f32;
            step(&terms.update, x, numbers(&gradient), decay, first.0, second.0);
            if terms.bias && self.side == Side::Item {
                let decay = terms.decay_bias * pairs as f32;
                let (bias, sum) = (std::slice::from_mut(bias), [of.bias_gradient[slot]]);
                step(&terms.update_bias, bias, &sum, decay, first.1, second.1);
            }
        }
    }
}
