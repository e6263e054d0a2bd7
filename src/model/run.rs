//! The record of the run that made a model: the greater part of `run.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a model came to be. Figures that a run does not have are left out of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of this crate.
    pub version: String,
    /// The seed of every random draw.
    #[serde(default)]
    pub seed: u64,
    /// All settings of training, as they were used; what of them belongs to the model's
    /// [`Objective`](crate::core::Objective) is overruled by it.
    #[serde(default)]
    pub settings: Value,
    /// Facts about the data: files, counts, duplicates merged, ...
    #[serde(default)]
    pub data: Value,
    /// `cpu` or `gpu`.
    #[serde(default)]
    pub backend: String,
    /// The device in words.
    #[serde(default)]
    pub device: String,
    /// The device that failed, so that the run went on where it ended; the bits then are not those of a run
    /// on either device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackRecord>,
    /// How many epochs ran.
    #[serde(default)]
    pub epochs: usize,
    /// The signal that ended the run before it was through, such as `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// The epoch, counted from 1, whose factors were kept, where held-out ratings decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<usize>,
    /// What a sampler says of the posterior and of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posterior: Option<PosteriorRecord>,
    /// Seconds of training, without reading and writing.
    #[serde(default, skip_serializing_if = "not_finite")]
    pub seconds: f64,
    /// Training ratings visited per second of training.
    #[serde(default, skip_serializing_if = "absent")]
    pub ratings_per_second: Option<f64>,
    /// The epochs in order.
    #[serde(default)]
    pub history: Vec<EpochRecord>,
    /// The files that were saved with it, by name, so that none of another model is taken for them; of
    /// `run.json` itself what it says. Empty where the model was not saved yet, or by version 0.1.0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, PartRecord>,
}

/// A device that failed, and from where another went on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackRecord {
    /// The epochs that are kept of it: the next one is the first of the other device.
    pub epochs: usize,
    /// `gpu`.
    pub backend: String,
    /// The device in words.
    pub device: String,
    /// What it failed with.
    pub error: String,
}

/// How a file of a model directory is known again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRecord {
    /// Its length; of `run.json`, which may be written in many ways, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its digest by XXH3 with 128 bits, in hexadecimal: `xxhsum -H2` prints the same. Of `run.json` that
    /// of its text with sorted keys and without blanks.
    pub xxh128: String,
}

/// What a sampler's sweeps after burn-in say of the posterior, and how far they can be trusted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PosteriorRecord {
    /// Independent chains.
    pub chains: usize,
    /// Sweeps of each chain before any counted.
    pub burn_in: usize,
    /// Sweeps of each chain that counted; 0 where the run was stopped before that.
    pub sweeps: usize,
    /// Samples kept, of all chains.
    pub kept: usize,
    /// `τ`, the precision of the noise, in the unit of the transformed ratings. Absent where ratings
    /// are levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_precision: Option<Quantity>,
    /// `α`: each user's noise precision over `τ` is `Gamma(α, α)`; large where users are alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_shape: Option<Quantity>,
    /// Some pairs, whose predictions were watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<WatchedPrediction>,
    /// Metrics of the held-out ratings, predicted by the average over every sweep that counted.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub held_out: Value,
}

impl PosteriorRecord {
    /// Every quantity that was watched.
    pub fn quantities(&self) -> impl Iterator<Item = &Quantity> + Clone {
        let noise = self.noise_precision.iter().chain(&self.noise_shape);
        noise.chain(self.predictions.iter().map(|watched| &watched.prediction))
    }
}

/// A quantity's posterior as the sampler saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation.
    pub deviation: f64,
    /// Split R-hat: 1 where chains, and the halves of each, agree. Absent for too few sweeps, or
    /// where nothing moves.
    #[serde(default, skip_serializing_if = "absent")]
    pub r_hat: Option<f64>,
    /// How many independent samples say as much of the mean.
    #[serde(default, skip_serializing_if = "absent")]
    pub effective_samples: Option<f64>,
}

/// The prediction of a pair, without noise, in the unit of the transformed ratings; latent where
/// ratings are levels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchedPrediction {
    /// The user's id.
    pub user: String,
    /// The item's id.
    pub item: String,
    /// Its posterior.
    #[serde(flatten)]
    pub prediction: Quantity,
}

/// One epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean squared error (for logistic loss mean log loss, in nats) over the training ratings, in
    /// the unit of the transformed ratings.
    #[serde(default, skip_serializing_if = "absent")]
    pub train_error: Option<f64>,
    /// The same over the held-out ratings. An id that the model does not know counts as one without factors
    /// and bias here; the [model](crate::model::Model::typical) has typical partners for it, so that the figures
    /// of the whole run differ from those of its last epoch where the held-out part has such ids.
    #[serde(default, skip_serializing_if = "absent")]
    pub test_error: Option<f64>,
    /// A sampler's error over the held-out ratings in this sweep alone, mean over its chains;
    /// `test_error` then is that of the predictions averaged over the sweeps after burn-in.
    #[serde(default, skip_serializing_if = "absent")]
    pub sample_error: Option<f64>,
    /// Where a rating is one of some levels: the mean of −ln of the probabilities that the held-out
    /// ratings' levels have, averaged over the sweeps after burn-in.
    #[serde(default, skip_serializing_if = "absent")]
    pub test_log_loss: Option<f64>,
    /// The row solvers' objective, regularization and all.
    #[serde(default, skip_serializing_if = "absent")]
    pub objective: Option<f64>,
    /// Its (weighted) squared error over the training ratings, summed.
    #[serde(default, skip_serializing_if = "absent")]
    pub squared_error: Option<f64>,
    /// Its part of all pairs, listed or not (ials).
    #[serde(default, skip_serializing_if = "absent")]
    pub unobserved: Option<f64>,
    /// Its regularization.
    #[serde(default, skip_serializing_if = "absent")]
    pub regularization: Option<f64>,
    /// Recall of the held-out items in lists of 20 (ials), mean over users.
    #[serde(default, rename = "recall@20", skip_serializing_if = "absent")]
    pub recall: Option<f64>,
    /// NDCG of the held-out items in lists of 20 (ials), mean over users.
    #[serde(default, rename = "ndcg@20", skip_serializing_if = "absent")]
    pub ndcg: Option<f64>,
    /// Users whose lists these two figures are of (ials): all that have held-out items, or where ranking them
    /// all would take longer than training some of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranked_users: Option<usize>,
    /// The device that failed before this epoch, which is the first on another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackRecord>,
    /// Seconds of the epoch's passes alone.
    #[serde(default, skip_serializing_if = "not_finite")]
    pub pass_seconds: f64,
    /// Seconds this epoch took, its errors and lists included.
    #[serde(default, skip_serializing_if = "not_finite")]
    pub seconds: f64,
}

impl EpochRecord {
    /// Every figure that there is, but the seconds.
    pub fn figures(&self) -> impl Iterator<Item = f64> {
        [
            self.train_error,
            self.test_error,
            self.sample_error,
            self.test_log_loss,
            self.objective,
            self.squared_error,
            self.unobserved,
            self.regularization,
            self.recall,
            self.ndcg,
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(feature = "files")]
impl RunRecord {
    /// How the (first) training file was read, for files that are to be read alike. Nothing where the model
    /// was not trained from files, or by a version that did not note it.
    pub fn reading(&self) -> Option<crate::data::Reading> {
        // A model that is opened has one that can be read, or none.
        crate::data::Reading::of_facts(&self.data).ok().flatten()
    }
}

// JSON has no NaN: a figure that is not finite counts as absent.
fn absent(figure: &Option<f64>) -> bool {
    !figure.is_some_and(f64::is_finite)
}

fn not_finite(figure: &f64) -> bool {
    !figure.is_finite()
}
