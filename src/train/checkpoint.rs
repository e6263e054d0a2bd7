//! Checkpoints: everything a stopped run needs to go on to the same bits.

use super::run::best_epoch;
use crate::backend::State;
use crate::core::{Factors, Settings, Solver};
use crate::model::EpochRecord;
use crate::sampler::SamplerState;
use crate::{Error, Result};

/// Everything a run needs to go on as if it had never stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Parameters and moments.
    pub state: State,
    /// The epochs so far.
    pub history: Vec<EpochRecord>,
    /// The parameters of the best epoch so far, with `patience`.
    pub best: Option<Factors>,
    /// What a sampler goes on from, beside that.
    pub sampler: Option<SamplerState>,
}

impl Checkpoint {
    /// Makes sure that a run with `settings` over `users` and `items` can go on from here. What a sampler
    /// has beside its factors depends on the ratings too and is checked with them.
    ///
    /// # Errors
    /// Parameters, moments or epochs of another run.
    pub fn check(&self, users: usize, items: usize, settings: &Settings) -> Result<()> {
        let wrong = |what: String| {
            Error::data(format!("the checkpoint is of another run: {what}; begin anew"))
        };
        let k = settings.factors;
        let (have, needed) = (self.state.moments.len(), settings.moments());
        if have != needed {
            let solver = settings.solver.name();
            return Err(wrong(format!("{have} arrays of moments, where {solver} keeps {needed}")));
        }
        let arrays = [&self.state.factors].into_iter().chain(&self.state.moments).chain(&self.best);
        for factors in arrays {
            factors.check(users, items, k).map_err(|e| wrong(e.to_string()))?;
        }
        let mut epochs = self.history.iter().zip(1..);
        if let Some((record, epoch)) = epochs.find(|(record, epoch)| record.epoch != *epoch) {
            let got = record.epoch;
            return Err(wrong(format!("epoch {got} stands in the place of epoch {epoch}")));
        }
        let keeps = settings.patience.is_some() && settings.solver != Solver::Bayes;
        if keeps && self.best.is_none() && best_epoch(&self.history).is_some() {
            return Err(wrong("it keeps no best epoch, which `patience` asks for".to_owned()));
        }
        if self.sampler.is_none() && settings.solver == Solver::Bayes {
            return Err(wrong("it is no sampler's".to_owned()));
        }
        Ok(())
    }
}

/// The seconds of epochs for each of keeping their state: keeping takes a twentieth of a run at most.
const KEEPING: f64 = 20.0;

/// Keeps the state of a run on the host, for a device that may have to take the place of another.
pub(super) struct Keeper {
    last: Option<Checkpoint>,
    /// When it was kept, and how long that took.
    kept: Option<(f64, f64)>,
}

impl Keeper {
    /// Begins with what is resumed.
    pub(super) fn new(resumed: Option<Checkpoint>) -> Self {
        Self { last: resumed, kept: None }
    }

    /// Whether the state is to be kept `now`: after the first epoch, and whenever epochs have taken many times
    /// as long as the last time.
    pub(super) fn is_due(&self, now: f64) -> bool {
        self.kept.is_none_or(|(since, took)| now - since >= KEEPING * took)
    }

    /// Keeps a state, which took from `began` until `now`.
    pub(super) fn keep(&mut self, checkpoint: Checkpoint, began: f64, now: f64) {
        self.last = Some(checkpoint);
        self.kept = Some((now, now - began));
    }

    /// What was kept last.
    pub(super) fn last(self) -> Option<Checkpoint> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_takes_a_twentieth_at_most() {
        let mut keeper = Keeper::new(None);
        assert!(keeper.is_due(0.0));
        let checkpoint = || Checkpoint {
            state: State::default(),
            history: Vec::new(),
            best: None,
            sampler: None,
        };
        keeper.keep(checkpoint(), 10.0, 10.5);
        assert!(!keeper.is_due(20.4) && keeper.is_due(20.6));
        keeper.keep(checkpoint(), 30.0, 30.1);
        assert!(!keeper.is_due(32.0) && keeper.is_due(32.2) && keeper.last().is_some());
    }
}
