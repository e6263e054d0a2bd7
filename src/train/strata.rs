//! Gradient descent rating by rating: where it starts, and the schedule of an epoch's waves, each with its
//! step size. Whoever visits the blocks of a wave, the schedule and so the result are the same.

use super::gradient::{change, start_of, turns};
use super::run::{Input, Ready, Start, Watch, Work};
use crate::Result;
use crate::backend::{Backend, State, StrataPasses, StrataProblem, Terms, Visit};
use crate::core::{Factors, Optimizer, Settings, Strata};
use crate::model::EpochRecord;

/// Cuts the ratings into strata and uploads them, to begin at `start`.
pub(super) fn ready<'a>(
    backend: &'a dyn Backend,
    input: &Input,
    settings: &'a Settings,
    start: Start,
) -> Result<Ready<'a>> {
    let terms = Terms::new(settings, Optimizer::Sgd);
    let start = change(start_of(start, input, settings, &terms)?, Factors::widened).factors;
    let (users, items) = (input.users.len(), input.items.len());
    let began = (input.clock)();
    let shuffle = settings.shuffle.then_some(settings.seed);
    let strata = Strata::new(input.ratings, users, items, settings.factors, shuffle);
    let layout_seconds = (input.clock)() - began;
    let (ratings, waves) = (strata.ratings.len(), strata.strata());
    let test = input.test.cloned().unwrap_or_default();
    let test_ratings = test.len();
    let began = (input.clock)();
    let passes = backend.strata_passes(StrataProblem { strata, test, start, terms })?;
    let upload_seconds = (input.clock)() - began;
    let work = StrataWork { passes, settings, ratings, waves, test_ratings };
    Ok(Ready { work: Box::new(work), layout_seconds, upload_seconds })
}

struct StrataWork<'a> {
    passes: Box<dyn StrataPasses>,
    settings: &'a Settings,
    ratings: usize,
    waves: usize,
    test_ratings: usize,
}

impl Work for StrataWork<'_> {
    fn epoch(&mut self, record: &mut EpochRecord, watch: &mut Watch) -> Result<usize> {
        let waves = schedule(self.settings, record.epoch, self.waves);
        let sums = self.passes.epoch(&waves, watch)?;
        record.train_error = Some(sums.loss / self.ratings as f64);
        Ok(sums.ratings)
    }

    fn test(&mut self, record: &mut EpochRecord) -> Result<()> {
        if self.test_ratings > 0 {
            record.test_error = Some(self.passes.test_loss()? / self.test_ratings as f64);
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        self.passes.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        Ok(self.passes.kept()?.narrowed(self.settings.factors))
    }

    fn factors(&mut self) -> Result<Factors> {
        Ok(self.passes.factors()?.narrowed(self.settings.factors))
    }

    fn state(&mut self) -> Result<State> {
        Ok(State { factors: self.factors()?, moments: Vec::new() })
    }
}

/// The waves of an epoch in its own seeded order, all with the epoch's step size.
fn schedule(settings: &Settings, epoch: usize, waves: usize) -> Vec<Visit> {
    let rate = settings.learning_rate * settings.learning_rate_decay.powi(epoch as i32 - 1);
    let turns = turns(settings, epoch, waves).into_iter();
    turns.map(|wave| Visit { batch: wave, rate: rate as f32 }).collect()
}
