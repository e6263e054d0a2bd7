//! Measures a backend: epochs of planted work beside what its memory can do.

use crate::backend::{Backend, GradientProblem, Terms};
use crate::data::Ratings;
use crate::train::{Batches, Settings, begin, global_mean, random, visits};
use crate::{Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// Ratings to measure with, cut into a part to train on and a part to test on.
pub struct Workload {
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
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
    pub solver: crate::train::Solver,
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
    if settings.epochs < 2 {
        return Err(Error::settings("--epochs: a benchmark needs 2 or more, the first warms up"));
    }
    let Some(optimizer) = settings.solver.optimizer() else {
        return Err(Error::settings("this benchmark is for the gradient solvers"));
    };
    let mean = global_mean(&workload.train, settings)?;
    let (users, items) = (workload.users, workload.items);
    let terms = Terms::new(settings, optimizer);
    let start = begin(random(users, items, mean, settings), &terms);
    let clock = Instant::now();
    let shuffle = settings.shuffle.then_some(settings.seed);
    let batches = Batches::new(&workload.train, users, items, settings.batch_size, shuffle);
    let layout_seconds = clock.elapsed().as_secs_f64();
    let (ratings, batch_count) = (batches.ratings(), batches.len());
    let test = workload.test.clone();
    let clock = Instant::now();
    let mut passes = backend.gradient_passes(GradientProblem { batches, test, start, terms })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    let mut epoch_seconds = Vec::with_capacity(settings.epochs);
    for epoch in 1..=settings.epochs {
        let visits = visits(settings, epoch, batch_count);
        let clock = Instant::now();
        let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(()))?;
        epoch_seconds.push(clock.elapsed().as_secs_f64());
        if !sums.loss.is_finite() {
            return Err(Error::data(format!(
                "the error became non-finite in epoch {epoch}; lower --learning-rate"
            )));
        }
        watch(epoch);
    }
    let test_rmse = (passes.test_loss()? / workload.test.len().max(1) as f64).sqrt();
    let warm_up_seconds = epoch_seconds.remove(0);
    let seconds_per_epoch = median(&epoch_seconds);
    let ratings_per_second = ratings as f64 / seconds_per_epoch;
    let device = backend.device();
    Ok(Measurement {
        backend: device.backend,
        device: device.name,
        solver: settings.solver,
        factors: settings.factors,
        batch_size: settings.batch_size,
        layout_seconds,
        upload_seconds,
        warm_up_seconds,
        epoch_seconds,
        seconds_per_epoch,
        ratings_per_second,
        bytes_per_second: ratings_per_second * bytes_per_rating(settings.factors) as f64,
        copy_bytes_per_second,
        test_rmse,
    })
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
