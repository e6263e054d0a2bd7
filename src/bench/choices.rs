//! Epochs of losses made for ranking.

use super::{Profile, Run, Work, Workload, median, profile};
use crate::Result;
use crate::backend::Backend;
use crate::core::{ChoicePlan, Loss, Ratings, Settings};
use serde::Serialize;

/// What one backend did with one workload by a loss made for ranking.
#[derive(Clone, Debug, Serialize)]
pub struct ChoiceMeasurement {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub device: String,
    /// The loss.
    pub loss: Loss,
    /// Number of factors.
    pub factors: usize,
    /// Pairs of a batch.
    pub batch_size: usize,
    /// Seconds to lay the pairs out (on the CPU, whatever the backend).
    pub layout_seconds: f64,
    /// Seconds to move everything to the device, pipelines included.
    pub upload_seconds: f64,
    /// Seconds of the first epoch, which warms up and is not counted.
    pub warm_up_seconds: f64,
    /// Seconds of each epoch after it, with the making of its batches.
    pub epoch_seconds: Vec<f64>,
    /// Median of `epoch_seconds`.
    pub seconds_per_epoch: f64,
    /// Pairs over `seconds_per_epoch`.
    pub pairs_per_second: f64,
    /// Floating-point operations a second: two for each factor of each score, and as many for each side's
    /// gradient.
    pub operations_per_second: f64,
    /// What multiply-adds in registers reach on this device, in the same run.
    pub peak_operations_per_second: f64,
    /// The mean loss of the last epoch.
    pub train_loss: f64,
    /// Where the device's time went, if it is profiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// What the batches of an epoch have, all together.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    pairs: usize,
    /// Scores that are computed: of each user and each slot of the pool, or of each pair and what it looks at.
    scores: usize,
    /// Rows that move.
    rows: usize,
}

impl Sizes {
    fn of(ratings: &Ratings, (users, items): (usize, usize), settings: &Settings) -> Result<Self> {
        let plan = ChoicePlan::new(ratings, &[], (users, items), settings)?;
        let tries = settings.contrast.map_or(0, |contrast| contrast.tries);
        let mut sizes = Self::default();
        for batch in plan.epoch(1, &[], |_| 0.0) {
            sizes.pairs += batch.pairs();
            sizes.rows += batch.users.len() + batch.items.len();
            sizes.scores += match settings.loss.is_dense() {
                true => batch.users.len() * batch.pool,
                false => batch.pairs() * tries.min(batch.draws.len()),
            };
        }
        Ok(sizes)
    }

    /// Floating-point operations of an epoch.
    fn operations(self, dense: bool, factors: usize) -> f64 {
        let times = if dense { 3.0 } else { 1.0 };
        2.0 * times * self.scores as f64 * factors as f64
    }

    /// What a kernel has to do in an epoch, at least.
    fn work(self, kernel: &str, factors: usize, moments: usize) -> Option<Work> {
        let row = (factors.next_multiple_of(4) * 4) as f64;
        let rows = self.rows as f64;
        Some(match kernel {
            "contrast" | "user_gradient" | "item_gradient" | "pick" => {
                Work::Operations(2.0 * self.scores as f64 * factors as f64)
            }
            "normalizer" => Work::Bytes(4.0 * self.scores as f64),
            "prepare" => Work::Bytes(2.0 * row * rows),
            "project" => Work::Bytes(3.0 * row * rows),
            "step" => Work::Bytes((3 + 2 * moments) as f64 * row * rows),
            "pair_score" => Work::Bytes(2.0 * row * self.pairs as f64),
            _ => return None,
        })
    }
}

/// Trains `settings.epochs` epochs of a loss made for ranking (the first is the warm-up) and measures them;
/// which pairs there are is all that counts of the ratings.
///
/// # Errors
/// Fewer than two epochs; a device that is too small or lost; a loss that is not finite.
pub fn measure_choices(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    peak_operations_per_second: f64,
    mut watch: impl FnMut(usize),
) -> Result<ChoiceMeasurement> {
    let run = Run::of(backend, workload, settings, &mut watch)?;
    let times = backend.device_times()?;
    let shape = (workload.users.len(), workload.items.len());
    let sizes = Sizes::of(&workload.train, shape, settings)?;
    let (k, moments) = (settings.factors, settings.moments());
    let seconds_per_epoch = median(&run.epoch_seconds);
    let device = backend.device();
    Ok(ChoiceMeasurement {
        backend: device.backend,
        device: device.name,
        loss: settings.loss,
        factors: k,
        batch_size: settings.batch_size,
        layout_seconds: run.layout_seconds,
        upload_seconds: run.upload_seconds,
        warm_up_seconds: run.warm_up_seconds,
        seconds_per_epoch,
        pairs_per_second: sizes.pairs as f64 / seconds_per_epoch,
        operations_per_second: sizes.operations(settings.loss.is_dense(), k) / seconds_per_epoch,
        peak_operations_per_second,
        train_loss: run
            .outcome
            .history
            .last()
            .and_then(|last| last.train_error)
            .unwrap_or(f64::NAN),
        epoch_seconds: run.epoch_seconds,
        profile: profile(&times, settings.epochs - 1, |kernel| sizes.work(kernel, k, moments)),
    })
}
