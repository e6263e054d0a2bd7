//! The row solvers at work: a sweep solves all users given the items, then all items given the
//! users.

use super::lists::{JudgedLists, Lists};
use super::run::{Input, Ready, Start, Watch, Work};
use super::start;
use crate::Result;
use crate::backend::{ALL, Backend, RowPasses, RowProblem, RowTerms, State};
use crate::core::{Factors, Settings, Solver, row_ratings, turns};
use crate::model::{EpochRecord, Seen};

/// What helps where a row's equations have no solution.
pub(super) const REMEDY: &str =
    "its equations have no unique solution in 32 bits: raise `reg` (above 0) or lower `factors`";

/// The same where ratings are weights.
pub(super) const REMEDY_OF_WEIGHTS: &str = "weights of `alpha` times its ratings leave its equations no digits in 32 bits: take `transform` log1p, \
     or a lower `alpha`";

/// Lays the ratings out by row and uploads them, to begin at `start`.
pub(super) fn ready<'a>(
    backend: &'a dyn Backend,
    input: &Input<'a>,
    settings: &Settings,
    start: Start,
) -> Result<Ready<'a>> {
    let mean = start::global_mean(input.ratings, settings)?;
    let (users, items) = (input.users.len(), input.items.len());
    let start = match start {
        Start::Random => start::drawn(users, items, mean, settings)?,
        Start::Given(init) => Factors { global_mean: mean, ..init },
        Start::Resumed(state, _) => state.factors,
    };
    let began = (input.clock)();
    let ratings = row_ratings(input.ratings, settings, (input.users, input.items))?;
    let test = input.test.filter(|test| !test.is_empty());
    let implicit = settings.solver == Solver::Ials;
    let held_out = match test {
        Some(test) if implicit => {
            let seen = Seen::new(input.ratings, users, items)?;
            let rows = (users + items) as f64;
            let (k, block) = (settings.factors as f64, settings.block.max(1) as f64);
            // Sums over the ratings, and solutions of rows; blocks make both of less.
            let sweep = seen.pairs() as f64 * k * block + rows * k * block * block / 6.0;
            Some(Lists::new(seen, test, settings.factors, sweep)?)
        }
        _ => None,
    };
    let layout_seconds = (input.clock)() - began;
    let test = test.filter(|_| !implicit).cloned().unwrap_or_default();
    let test_ratings = test.len();
    let began = (input.clock)();
    let terms = RowTerms::new(settings);
    let count = input.ratings.len();
    let passes = backend.row_passes(RowProblem { ratings, test, start: start.widened(), terms })?;
    let upload_seconds = (input.clock)() - began;
    let work = RowWork {
        passes,
        backend,
        factors: settings.factors,
        ratings: count,
        rounds: settings.rounds(),
        implicit,
        test_ratings,
        held_out,
    };
    Ok(Ready { work: Box::new(work), layout_seconds, upload_seconds })
}

struct RowWork<'a> {
    passes: Box<dyn RowPasses>,
    backend: &'a dyn Backend,
    /// Number of factors; of biases alone the device has one of zeros.
    factors: usize,
    ratings: usize,
    /// How often a side is solved before the other's turn.
    rounds: usize,
    implicit: bool,
    /// Held-out ratings whose error is measured.
    test_ratings: usize,
    /// Held-out pairs that are to be ranked.
    held_out: Option<Lists>,
}

impl Work for RowWork<'_> {
    fn epoch(&mut self, _record: &mut EpochRecord, watch: &mut Watch) -> Result<usize> {
        let all = self.ratings;
        let rounds = self.rounds;
        for (turn, side) in turns(rounds).enumerate() {
            // Every turn visits all ratings; a sweep counts them once.
            let so_far = |done: usize| (turn * all + done) / (2 * rounds);
            let done = self.passes.solve(side, ALL, &mut |done| watch(so_far(done)))?;
            if done < all {
                return Ok(so_far(done));
            }
        }
        Ok(all)
    }

    fn fit(&mut self, record: &mut EpochRecord) -> Result<()> {
        let objective = self.passes.objective([ALL, ALL])?.join();
        record.objective = Some(objective.total());
        record.squared_error = Some(objective.error);
        record.regularization = Some(objective.regularization);
        if self.implicit {
            record.unobserved = Some(objective.unobserved);
        } else {
            record.train_error = Some(objective.error / self.ratings as f64);
        }
        Ok(())
    }

    fn test(&mut self, record: &mut EpochRecord) -> Result<()> {
        if self.test_ratings > 0 {
            record.test_error = Some(self.passes.test_loss()? / self.test_ratings as f64);
        }
        if let Some(lists) = &self.held_out {
            let factors = self.passes.factors()?;
            lists.judge_epoch(self.backend, &factors, record)?;
        }
        Ok(())
    }

    fn judge(&mut self, factors: &Factors, sweeps: usize) -> Result<Option<JudgedLists>> {
        let Some(lists) = &self.held_out else { return Ok(None) };
        lists.judge(self.backend, factors, sweeps).map(Some)
    }

    fn keep(&mut self) -> Result<()> {
        self.passes.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        Ok(self.passes.kept()?.narrowed(self.factors))
    }

    fn factors(&mut self) -> Result<Factors> {
        Ok(self.passes.factors()?.narrowed(self.factors))
    }

    fn state(&mut self) -> Result<State> {
        Ok(State { factors: self.factors()?, moments: Vec::new() })
    }
}
