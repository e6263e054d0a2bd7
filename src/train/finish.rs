//! From what a run leaves to a model that can be saved, with what belongs beside it.

use super::lists::JudgedLists;
use super::run::{Outcome, Stop, best_epoch};
use crate::backend::Device;
use crate::core::{Objective, Ratings, Settings, Side, Solver};
use crate::data::Prepared;
use crate::evaluate::{
    RatingBaselines, RatingMetrics, mean_metrics, rating_baselines, rating_metrics,
};
use crate::model::{Model, RunRecord, Samples, Seen, TrainingFacts, typical};
use crate::predict::Predictive;
use crate::{Error, Result};

/// A trained model and what a run knows beside it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finished {
    /// The model.
    pub model: Model,
    /// Its samples, of a solver that draws them.
    pub samples: Option<Samples>,
    /// The training pairs.
    pub seen: Seen,
    /// How far predictions lie from the held-out ratings; nothing without such, or where what is
    /// predicted is no rating (ials).
    pub metrics: Option<RatingMetrics>,
    /// The same by what knows no tastes.
    pub baselines: Option<RatingBaselines>,
    /// How well the model ranks held-out pairs, as [`Outcome::lists`].
    pub lists: Option<JudgedLists>,
    /// The epoch whose factors the model has, as [`Outcome::epoch`].
    pub epoch: usize,
    /// Why training ended.
    pub stop: Stop,
}

impl Outcome {
    /// The model of `prepared` ratings that were trained on with `settings`, measured on those held
    /// out. `device` and `seconds` are for its record.
    ///
    /// # Errors
    /// Predictions of held-out ratings that are not finite, scores that do not fit into 32 bits.
    pub fn finish(
        self,
        prepared: Prepared,
        settings: &Settings,
        device: Device,
        seconds: f64,
    ) -> Result<Finished> {
        let (users, items) = (prepared.users.len(), prepared.items.len());
        let run = RunRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: settings.seed,
            settings: to_value(settings)?,
            data: to_value(&prepared.facts)?,
            backend: device.backend.to_owned(),
            device: device.name,
            fallback: self.fallback,
            epochs: self.history.len(),
            stopped_by: None,
            // Without patience the last factors are kept, however good an earlier epoch was.
            best_epoch: settings
                .patience
                .filter(|_| settings.solver != Solver::Bayes)
                .and(best_epoch(&self.history)),
            posterior: self.posterior,
            seconds,
            ratings_per_second: Some(self.ratings_per_second),
            history: self.history,
            parts: Default::default(),
        };
        let objective = Objective::of(settings, prepared.transform);
        let typical = typical(&self.factors, &objective, &prepared.train);
        for (side, ids) in [(Side::User, &prepared.users), (Side::Item, &prepared.items)] {
            // Factors that fit into 32 bits have products that need not.
            if let Some(row) = typical[side.index()].iter().position(|x| !x.is_finite()) {
                return Err(Error::data(format!(
                    "training ran away: scores of {} \"{}\" are beyond 32 bits; lower \
                     `learning_rate` or `reg`",
                    side.name(),
                    ids.name(row as u32)
                )));
            }
        }
        let mut model = Model {
            typical,
            user_ratings: prepared.train.counts(Side::User, users),
            item_ratings: prepared.train.counts(Side::Item, items),
            factors: self.factors,
            users: prepared.users,
            items: prepared.items,
            objective,
            facts: TrainingFacts::from(&prepared.facts),
            run,
        };
        let seen = Seen::of(prepared.train, users, items)?;
        let (metrics, baselines) = match (prepared.test, prepared.test_raw) {
            // What ials predicts is no rating.
            _ if settings.is_implicit() => (None, None),
            (Some(test), Some(values)) => {
                let test = Ratings { values, ..test };
                let metrics = match &self.samples {
                    // Of the samples that the model has, which need not be all that were drawn.
                    Some(samples) => mean_metrics(&Predictive::new(&model, samples)?, &test)?,
                    None => rating_metrics(&model, &test)?,
                };
                (Some(metrics), Some(rating_baselines(&model, &seen, &test)?))
            }
            _ => (None, None),
        };
        if let (Some(record), Some(metrics)) = (&mut model.run.posterior, &metrics) {
            record.held_out = to_value(metrics)?;
        }
        let Outcome { samples, lists, epoch, stop, .. } = self;
        Ok(Finished { model, samples, seen, metrics, baselines, lists, epoch, stop })
    }
}

fn to_value(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| Error::data(format!("run.json: {e}")))
}
