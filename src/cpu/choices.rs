//! The passes of losses made for ranking: which thread holds which users against the pool, and sums which
//! items.
//!
//! Users of a batch are cut into [`CHUNKS`] of blocks. A block's scores of the pool stay in a core's cache while
//! they become exponentials, the users' gradient, and what the block adds to the items'; each chunk sums that
//! of its own, and the chunks are added in their order. Neither chunks nor blocks depend on threads.

mod batch;
mod layout;
mod step;
#[cfg(test)]
mod tests;
mod users;

use super::Cpu;
use super::kernels::lines::{LANES, LineTask, dispatch};
use super::kernels::table::Rows;
use crate::backend::{
    ChoiceBatches, ChoicePasses, ChoiceProbe, ChoiceProblem, ChoiceTerms, EpochSums, State, Terms,
    nothing_kept,
};
use crate::core::{ChoiceBatch, Factors, Side};
use crate::{Error, Result};
use batch::Scratch;
pub(super) use batch::scratch_bytes;
use std::ops::ControlFlow;

/// A problem in the CPU backend.
pub(super) struct CpuChoices {
    cpu: Cpu,
    terms: Terms,
    choice: ChoiceTerms,
    factors: usize,
    sides: [SideState; 2],
    scratch: Scratch,
    kept: Option<Factors>,
    still_items: bool,
}

/// One side's parameters and moments.
struct SideState {
    rows: Rows,
    moments: Vec<Rows>,
}

impl CpuChoices {
    /// Lays a problem out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(cpu: Cpu, problem: ChoiceProblem) -> Result<Self> {
        let State { factors: start, moments } = &problem.start;
        let side = |side: Side| {
            let moments = moments.iter().map(|m| Rows::new(m, side));
            let moments = moments.collect::<Result<_>>()?;
            Ok::<_, Error>(SideState { rows: Rows::new(start, side)?, moments })
        };
        let sides = [side(Side::User)?, side(Side::Item)?];
        Ok(Self {
            cpu,
            sides,
            factors: start.factors,
            scratch: Scratch::new(&problem)?,
            terms: problem.terms,
            choice: problem.choice,
            kept: None,
            still_items: problem.still_items,
        })
    }

    /// The summed loss of a batch; leaves its gradient.
    fn gradient(&mut self, batch: &ChoiceBatch) -> f64 {
        let terms = (&self.terms, &self.choice);
        self.scratch.gradient(self.cpu.arch, batch, terms, self.factors, &self.sides)
    }

    fn of(&self, rows: impl Fn(&SideState) -> &Rows) -> Result<Factors> {
        let [users, items] = &self.sides;
        let sides = [rows(users).unpadded(self.factors)?, rows(items).unpadded(self.factors)?];
        Ok(Factors { factors: self.factors, sides, global_mean: 0.0 })
    }
}

impl ChoicePasses for CpuChoices {
    fn epoch(
        &mut self,
        batches: &mut ChoiceBatches,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        let mut sums = EpochSums::default();
        let mut next = batches.next();
        while let Some(batch) = next.take() {
            let loss;
            (loss, next) = rayon::join(
                || {
                    let loss = self.gradient(&batch);
                    self.step(&batch);
                    loss
                },
                || batches.next(),
            );
            sums.loss += loss;
            sums.ratings += batch.pairs();
            if watch(sums.ratings).is_break() {
                break;
            }
        }
        Ok(sums)
    }

    fn keep(&mut self) -> Result<()> {
        self.kept = Some(self.factors()?);
        Ok(())
    }

    fn kept(&mut self) -> Result<Factors> {
        self.kept.clone().ok_or_else(nothing_kept)
    }

    fn factors(&mut self) -> Result<Factors> {
        self.of(|side| &side.rows)
    }

    fn state(&mut self) -> Result<State> {
        let moments = self.sides[0].moments.len();
        let moments = (0..moments).map(|at| self.of(|side| &side.moments[at]));
        Ok(State { moments: moments.collect::<Result<_>>()?, factors: self.factors()? })
    }

    fn probe(&mut self, batch: &ChoiceBatch) -> Result<ChoiceProbe> {
        let loss = self.gradient(batch);
        Ok(self.scratch.probe(
            self.cpu.arch,
            batch,
            (&self.terms, &self.choice),
            self.factors,
            loss,
        ))
    }
}
