//! One trial: settings, and how far they have come.

use super::Metric;
use crate::backend::Backend;
use crate::core::{Ratings, Settings, Solver};
use crate::data::Prepared;
use crate::evaluate::Relevance;
use crate::train::{Checkpoint, Event, Input, Stop, train};
use crate::{ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::ControlFlow;

/// Settings that were tried, and what came of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trial {
    /// What was tried, by the names of [`Options`](crate::Options); nothing in the first trial, which is
    /// what no settings would take.
    pub values: Map<String, Value>,
    /// What it had reached each time it was looked at, in order.
    pub rungs: Vec<Rung>,
    /// The figure on each of the parts that were held out for those alone that were trained to the end; nothing
    /// of one where training failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<Option<f64>>,
}

/// What a trial had reached when it was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rung {
    /// Epochs that were trained.
    pub epochs: usize,
    /// The epoch whose figure it is.
    pub best_epoch: usize,
    /// The figure; nothing where training failed.
    pub value: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Trial {
    /// What it had reached when it was looked at last.
    pub fn last(&self) -> Option<&Rung> {
        self.rungs.last()
    }

    /// The mean over all parts that it was judged on: that which chose who was trained to the end, and those that were
    /// drawn after it. Nothing where it was judged on one alone, or training failed.
    pub fn mean(&self, metric: &Metric) -> Option<f64> {
        let all = self.parts(metric)?;
        (all.len() > 1).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }

    /// The figures on all parts, the first that which chose.
    pub(super) fn parts(&self, metric: &Metric) -> Option<Vec<f64>> {
        let first = self.best(metric)?.value;
        [first].into_iter().chain(self.folds.iter().copied()).collect()
    }

    /// The best it had reached up to a rung (from 0), the first of equals.
    pub(super) fn best_until(&self, rung: usize, metric: &Metric) -> Option<&Rung> {
        let rungs = self.rungs.get(..=rung)?;
        // Who failed on the way failed.
        rungs.last()?.value?;
        rungs.iter().reduce(|best, other| match (best.value, other.value) {
            (Some(a), Some(b)) if metric.is_better(b, a) => other,
            _ => best,
        })
    }

    /// The best it ever reached.
    pub fn best(&self, metric: &Metric) -> Option<&Rung> {
        self.best_until(self.rungs.len().checked_sub(1)?, metric)
    }
}

/// What trials have in common.
pub(super) struct Ground<'a> {
    pub prepared: &'a Prepared,
    /// The held-out ratings, with values as the user has them.
    pub test: Ratings,
    pub metric: Metric,
    /// Which test pairs lists should have; nothing where each model says it.
    pub relevance: Option<Relevance>,
    /// Whether to go on, asked often.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
}

/// How far a trial came: nothing where it was told to stop on the way.
pub(super) type Climbed = Option<(Rung, Option<Checkpoint>)>;

impl Ground<'_> {
    /// Trains from a checkpoint, or from the start, to so many epochs, and leaves a checkpoint where it is to
    /// go on.
    ///
    /// # Errors
    /// What is no fault of the settings: a device that is lost, a metric that the data do not have.
    pub(super) fn climb(
        &self,
        device: &dyn Backend,
        settings: &Settings,
        from: Option<Checkpoint>,
        (epochs, to_go_on): (usize, bool),
    ) -> Result<Climbed> {
        let whole = settings.solver == Solver::Bayes;
        let settings =
            Settings { epochs: if whole { settings.epochs } else { epochs }, ..settings.clone() };
        let mut reached = from.clone();
        let prepared = self.prepared;
        let input = Input {
            test: prepared.test.as_ref(),
            resume: from,
            checkpoint_every: to_go_on.then_some(settings.epochs),
            ..Input::new(&prepared.users, &prepared.items, &prepared.train)
        };
        let listen = &mut |event: Event| {
            if let Event::Checkpoint(checkpoint) = event {
                reached = Some(checkpoint.clone());
            }
            Ok(if (self.goes_on)() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        };
        let outcome = match train(device, input, &settings, listen) {
            Ok(outcome) => outcome,
            // Steps that are too long are the trial's own fault.
            Err(error) if matches!(error.kind(), ErrorKind::NonFinite { .. }) => {
                let failed = Some(error.to_string());
                return Ok(Some((Rung { epochs, best_epoch: 0, value: None, failed }, None)));
            }
            Err(error) => return Err(error),
        };
        if outcome.stop == Stop::Interrupted && !(self.goes_on)() {
            return Ok(None);
        }
        let trained = outcome.history.len();
        let of_epoch = outcome.history.iter().filter_map(|record| {
            let value = self.metric.of_epoch(record)?;
            Some((record.epoch, value))
        });
        let better = |a: (usize, f64), b: (usize, f64)| {
            if self.metric.is_better(b.1, a.1) { b } else { a }
        };
        // What a sampler's sweeps say is not of one epoch but of all before.
        let best = of_epoch.reduce(better).filter(|_| !whole);
        let (best_epoch, value) = match best {
            Some(best) => best,
            None => {
                let epoch = outcome.epoch;
                let at = device.device();
                let finished = outcome.finish(prepared.clone(), &settings, at, 0.0)?;
                (epoch, self.metric.of_model(device, &finished, &self.test, self.relevance)?)
            }
        };
        if !value.is_finite() {
            let failed = Some(format!("{} is {value}", self.metric));
            return Ok(Some((Rung { epochs, best_epoch: 0, value: None, failed }, None)));
        }
        let rung = Rung { epochs: trained, best_epoch, value: Some(value), failed: None };
        Ok(Some((rung, reached)))
    }
}
