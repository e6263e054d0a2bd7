//! Measures a backend: epochs of planted work beside what its memory can do.

use crate::backend::Backend;
use crate::core::{Ids, Ratings, Settings, Solver};
use crate::train::{Event, Input, Outcome, train};
use crate::{Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;

/// Ratings to measure with, cut into a part to train on and a part to test on.
pub struct Workload {
    /// The users.
    pub users: Ids,
    /// The items.
    pub items: Ids,
    /// Training ratings.
    pub train: Ratings,
    /// Held-out ratings.
    pub test: Ratings,
}

/// What one backend did with one workload and one set of settings.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub device: String,
    /// The solver.
    pub solver: Solver,
    /// Number of factors.
    pub factors: usize,
    /// Ratings per update.
    pub batch_size: usize,
    /// Seconds to cut and index the batches (on the CPU, whatever the backend).
    pub layout_seconds: f64,
    /// Seconds to move everything to the device, pipelines included.
    pub upload_seconds: f64,
    /// Seconds of the first epoch, which warms up and is not counted.
    pub warm_up_seconds: f64,
    /// Seconds of each epoch after it: the passes alone, without held-out errors.
    pub epoch_seconds: Vec<f64>,
    /// Median of `epoch_seconds`.
    pub seconds_per_epoch: f64,
    /// Training ratings over `seconds_per_epoch`.
    pub ratings_per_second: f64,
    /// `ratings_per_second` times the least an epoch must move: `2·k·4 + 20` bytes a rating.
    pub bytes_per_second: f64,
    /// Bytes a second that a plain copy on this device reads and writes, in the same run.
    pub copy_bytes_per_second: f64,
    /// Root of the mean squared error of the held-out ratings after all epochs.
    pub test_rmse: f64,
}

/// Bytes that a gradient epoch moves at least for each rating: both rows once, and the indices.
pub fn bytes_per_rating(factors: usize) -> usize {
    2 * factors * 4 + 20
}

/// Trains `settings.epochs` epochs (the first is the warm-up) and measures them.
///
/// # Errors
/// Fewer than two epochs; a device that is too small or lost; an error that is not finite.
pub fn measure(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    copy_bytes_per_second: f64,
    mut watch: impl FnMut(usize),
) -> Result<Measurement> {
    if settings.solver.optimizer().is_none() {
        return Err(Error::settings("this benchmark is for the gradient solvers"));
    }
    let run = Run::of(backend, workload, settings, &mut watch)?;
    let seconds_per_epoch = median(&run.epoch_seconds);
    let ratings_per_second = workload.train.len() as f64 / seconds_per_epoch;
    let device = backend.device();
    Ok(Measurement {
        backend: device.backend,
        device: device.name,
        solver: settings.solver,
        factors: settings.factors,
        batch_size: settings.batch_size,
        layout_seconds: run.layout_seconds,
        upload_seconds: run.upload_seconds,
        warm_up_seconds: run.warm_up_seconds,
        seconds_per_epoch,
        ratings_per_second,
        bytes_per_second: ratings_per_second * bytes_per_rating(settings.factors) as f64,
        copy_bytes_per_second,
        test_rmse: run.test_error().map_or(0.0, f64::sqrt),
        epoch_seconds: run.epoch_seconds,
    })
}

/// What one backend did with one workload by a row solver.
#[derive(Clone, Debug, Serialize)]
pub struct SweepMeasurement {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub device: String,
    /// The solver.
    pub solver: Solver,
    /// Number of factors.
    pub factors: usize,
    /// Coordinates solved together.
    pub block: usize,
    /// Seconds to lay the ratings out by row (on the CPU, whatever the backend).
    pub layout_seconds: f64,
    /// Seconds to move everything to the device, pipelines included.
    pub upload_seconds: f64,
    /// Seconds of each sweep after the first, which warms up: both sides, without errors. Of bayes
    /// with hyperparameters and noise, so with training errors.
    pub sweep_seconds: Vec<f64>,
    /// Median of `sweep_seconds`.
    pub seconds_per_sweep: f64,
    /// Training ratings over `seconds_per_sweep`.
    pub ratings_per_second: f64,
    /// Floating-point operations a second, by [`sweep_operations`].
    pub operations_per_second: f64,
    /// What multiply-adds in registers reach on this device, in the same run.
    pub peak_operations_per_second: f64,
    /// The objective after all sweeps; absent for bayes, which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<f64>,
    /// Root of the mean squared error of the held-out ratings after all sweeps (of bayes by the last
    /// sample alone); absent for ials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_rmse: Option<f64>,
}

/// Floating-point operations of one round of a sweep over `ratings` ratings and `rows` rows of both sides, two for
/// each multiply-add: `d(d + 1)/2 + 3d` a rating, side and block of `d` coordinates (without the
/// `2d` of keeping residuals where `d = k`) and `d³/6 + d²` a row and block.
pub fn sweep_operations(ratings: usize, rows: usize, factors: usize, block: usize) -> f64 {
    let mut operations = 0.0;
    for start in (0..factors).step_by(block) {
        let d = block.min(factors - start) as f64;
        let kept = if block < factors { 2.0 * d } else { 0.0 };
        let rating = d * (d + 1.0) / 2.0 + d + kept;
        let row = d * d * d / 6.0 + d * d;
        operations += 2.0 * (2.0 * ratings as f64 * rating + rows as f64 * row);
    }
    operations
}

/// Runs `settings.epochs` sweeps of a row solver (the first is the warm-up) and measures them.
///
/// # Errors
/// Fewer than two sweeps; a device that is too small or lost; an objective that is not finite.
pub fn measure_sweeps(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    peak_operations_per_second: f64,
    mut watch: impl FnMut(usize),
) -> Result<SweepMeasurement> {
    let run = Run::of(backend, workload, settings, &mut watch)?;
    let seconds_per_sweep = median(&run.epoch_seconds);
    let n = workload.train.len();
    let rows = workload.users.len() + workload.items.len();
    let round = sweep_operations(n, rows, settings.factors, settings.block);
    let rounds = if settings.solver == Solver::Bayes { 1 } else { settings.rounds() };
    let operations = rounds as f64 * round;
    let device = backend.device();
    Ok(SweepMeasurement {
        backend: device.backend,
        device: device.name,
        solver: settings.solver,
        factors: settings.factors,
        block: settings.block,
        layout_seconds: run.layout_seconds,
        upload_seconds: run.upload_seconds,
        seconds_per_sweep,
        ratings_per_second: n as f64 / seconds_per_sweep,
        operations_per_second: operations / seconds_per_sweep,
        peak_operations_per_second,
        objective: run.objective(),
        test_rmse: run.test_error().map(f64::sqrt),
        sweep_seconds: run.epoch_seconds,
    })
}

/// Training as it went.
struct Run {
    layout_seconds: f64,
    upload_seconds: f64,
    /// Of the first epoch.
    warm_up_seconds: f64,
    /// Of the passes of each epoch after it.
    epoch_seconds: Vec<f64>,
    outcome: Outcome,
}

impl Run {
    /// Trains, and tells `watch` of each epoch.
    fn of(
        backend: &dyn Backend,
        workload: &Workload,
        settings: &Settings,
        watch: &mut dyn FnMut(usize),
    ) -> Result<Self> {
        if settings.epochs < 2 {
            let message = "`epochs`: a benchmark needs 2 or more, the first warms up";
            return Err(Error::settings(message));
        }
        let Workload { users, items, train: ratings, test } = workload;
        let pairs;
        let (ratings, test) = match settings.solver {
            // Only which pairs there are matters, and planted ratings may lie below zero. To rank
            // for every user would take longer than the sweeps.
            Solver::Ials => {
                pairs = Ratings { values: vec![1.0; ratings.len()], ..ratings.clone() };
                (&pairs, None)
            }
            _ => (ratings, Some(test)),
        };
        let input = Input { test, ..Input::new(users, items, ratings) };
        let (mut layout, mut upload) = (0.0, 0.0);
        let outcome = train(backend, input, settings, &mut |event| {
            match event {
                Event::Ready { layout_seconds, upload_seconds } => {
                    (layout, upload) = (layout_seconds, upload_seconds);
                }
                Event::Epoch(record) => watch(record.epoch),
                Event::Progress { .. } | Event::Checkpoint(_) => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut seconds = outcome.history.iter().map(|record| record.pass_seconds);
        Ok(Self {
            layout_seconds: layout,
            upload_seconds: upload,
            warm_up_seconds: seconds.next().unwrap_or_default(),
            epoch_seconds: seconds.collect(),
            outcome,
        })
    }

    /// The mean squared error of the held-out ratings after all epochs, a sampler's by its last
    /// sample alone.
    fn test_error(&self) -> Option<f64> {
        self.outcome.history.last().and_then(|last| last.sample_error.or(last.test_error))
    }

    /// The objective after all epochs, of a solver that has one.
    fn objective(&self) -> Option<f64> {
        self.outcome.history.last().and_then(|last| last.objective)
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
