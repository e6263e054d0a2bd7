//! Measures a backend: epochs of planted work beside what its memory can do.

use crate::backend::{Backend, Candidates, DeviceTimes, KernelTime};
use crate::core::{Batches, Ids, Ratings, Settings, Side, Solver};
use crate::train::{Event, Input, Outcome, random, train};
use crate::{Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

mod choices;

pub use choices::{ChoiceMeasurement, measure_choices};

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
    /// Ratings per update; 0 rating by rating.
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
    /// Where the device's time went, if it is profiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Where a device's time went, an epoch, sweep or round of lists.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// How often work was handed over.
    pub submissions: f64,
    /// Each kernel.
    pub kernels: Vec<KernelPart>,
}

/// A kernel's part.
#[derive(Clone, Debug, Serialize)]
pub struct KernelPart {
    /// Its name.
    pub kernel: &'static str,
    /// How often it was dispatched.
    pub dispatches: f64,
    /// Seconds on the device, where they can be told.
    pub seconds: Option<f64>,
    /// What it moves at least, by formula, where that bounds it.
    pub bytes: Option<f64>,
    /// What it computes, two for each multiply-add, by formula, where that bounds it.
    pub operations: Option<f64>,
}

/// What a kernel has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Bytes(f64),
    Operations(f64),
}

/// What was recorded, over the `turns` it was recorded in.
fn profile(
    times: &DeviceTimes,
    turns: usize,
    work: impl Fn(&str) -> Option<Work>,
) -> Option<Profile> {
    if times.kernels.is_empty() {
        return None;
    }
    let turns = turns as f64;
    let part = |time: &KernelTime| {
        let (bytes, operations) = match work(time.kernel) {
            Some(Work::Bytes(bytes)) => (Some(bytes), None),
            Some(Work::Operations(operations)) => (None, Some(operations)),
            None => (None, None),
        };
        let dispatches = time.dispatches as f64 / turns;
        let seconds = time.seconds.map(|seconds| seconds / turns);
        KernelPart { kernel: time.kernel, dispatches, seconds, bytes, operations }
    };
    let kernels = times.kernels.iter().map(part).collect();
    Some(Profile { submissions: times.submissions as f64 / turns, kernels })
}

/// Bytes that a kernel of the gradient solvers moves at least in an epoch: of each rating its
/// partner's row, its entry and its residual; of each run of a batch its gradient, and in `step` its
/// row and moments, read and written.
fn gradient_work(
    kernel: &str,
    ratings: usize,
    [lead, follow]: [usize; 2],
    (factors, moments): (usize, usize),
) -> Option<Work> {
    let row = factors.next_multiple_of(4) * 4;
    let bytes = match kernel {
        "residual" => ratings * (row + 16) + lead * 2 * row,
        "gradient" => ratings * (row + 12) + follow * row,
        "step" => (lead + follow) * row * (3 + 2 * moments),
        _ => return None,
    };
    Some(Work::Bytes(bytes as f64))
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
    let times = backend.device_times()?;
    let profile = match times.kernels.is_empty() {
        true => None,
        false => {
            let (n, users, items) =
                (workload.train.len(), workload.users.len(), workload.items.len());
            let shuffle = settings.shuffle.then_some(settings.seed);
            let batches = Batches::new(&workload.train, users, items, settings.batch_size, shuffle);
            let runs = [batches.lead.rows.len(), batches.follow.rows.len()];
            let held = (settings.factors, settings.moments());
            profile(&times, settings.epochs - 1, |kernel| gradient_work(kernel, n, runs, held))
        }
    };
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
        profile,
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
    /// Where the device's time went, if it is profiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Operations of a kernel of the row solvers in a round of a sweep, as [`sweep_operations`] has them.
fn sweep_work(
    kernel: &str,
    ratings: usize,
    rows: usize,
    (factors, block): (usize, usize),
) -> Option<Work> {
    let all = sweep_operations(ratings, rows, factors, block);
    let of_rows = sweep_operations(0, rows, factors, block);
    match kernel {
        "gram" => Some(Work::Operations(all - of_rows)),
        "cholesky" => Some(Work::Operations(of_rows)),
        _ => None,
    }
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
    let shape = (settings.factors, settings.block);
    let turns = (settings.epochs - 1) * rounds;
    let times = backend.device_times()?;
    let profile = profile(&times, turns, |kernel| sweep_work(kernel, n, rows, shape));
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
        profile,
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
        let (ratings, test) = match settings.is_implicit() {
            // Only which pairs there are matters, and planted ratings may lie below zero. To rank
            // for every user would take longer than the sweeps.
            true => {
                pairs = Ratings { values: vec![1.0; ratings.len()], ..ratings.clone() };
                (&pairs, None)
            }
            false => (ratings, Some(test)),
        };
        let input = Input { test, ..Input::new(users, items, ratings) };
        let (mut layout, mut upload) = (0.0, 0.0);
        let outcome = train(backend, input, settings, &mut |event| {
            match event {
                Event::Ready { layout_seconds, upload_seconds } => {
                    (layout, upload) = (layout_seconds, upload_seconds);
                    backend.warm_up()?;
                }
                Event::Epoch(record) => {
                    watch(record.epoch);
                    if record.epoch == 1 {
                        // What warms up does not count.
                        backend.device_times()?;
                    }
                }
                Event::Progress { .. } | Event::Checkpoint(_) | Event::Fallback(_) => {}
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

/// What one backend did with lists for all users.
#[derive(Clone, Debug, Serialize)]
pub struct ListsMeasurement {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub device: String,
    /// Number of factors.
    pub factors: usize,
    /// Items of a list.
    pub list: usize,
    /// Seconds to move the items to the device.
    pub upload_seconds: f64,
    /// Seconds for the lists of all users, on the device and back; the first thousands of users had
    /// theirs before to warm up.
    pub seconds: f64,
    /// Users over `seconds`.
    pub lists_per_second: f64,
    /// Floating-point operations a second: two for each factor of each pair.
    pub operations_per_second: f64,
    /// Where the device's time went, if it is profiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Users whose lists are asked for at once, as [`recommend`](crate::recommend) does.
const LISTS_AT_ONCE: usize = 8192;

/// Lists of the `list` best items for all users by random factors, training items left out.
///
/// # Errors
/// A device that is too small or lost.
pub fn measure_lists(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    list: usize,
) -> Result<ListsMeasurement> {
    let (users, items) = (workload.users.len(), workload.items.len());
    let k = settings.factors;
    let model = random(users, items, 0.0, settings);
    let mut starts = vec![0; users + 1];
    workload.train.users.iter().for_each(|&user| starts[user as usize + 1] += 1);
    for user in 0..users {
        starts[user + 1] += starts[user];
    }
    let (mut seen, mut next) = (vec![0_u32; workload.train.len()], starts.clone());
    for (&user, &item) in workload.train.users.iter().zip(&workload.train.items) {
        seen[next[user as usize]] = item;
        next[user as usize] += 1;
    }
    for user in 0..users {
        seen[starts[user]..starts[user + 1]].sort_unstable();
    }
    let excluded: Vec<&[u32]> = (0..users).map(|u| &seen[starts[u]..starts[u + 1]]).collect();
    let clock = Instant::now();
    let candidates =
        Candidates { factors: k, rows: &model[Side::Item].factors, bias: &model[Side::Item].bias };
    let ranker = backend.ranker(candidates)?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    backend.warm_up()?;
    let mut some = |from: usize| -> Result<()> {
        let to = (from + LISTS_AT_ONCE).min(users);
        ranker.top(&model[Side::User].factors[from * k..to * k], &excluded[from..to], list)?;
        Ok(())
    };
    some(0)?;
    backend.device_times()?;
    let clock = Instant::now();
    (0..users).step_by(LISTS_AT_ONCE).try_for_each(&mut some)?;
    let seconds = clock.elapsed().as_secs_f64();
    let operations = 2.0 * k as f64 * users as f64 * items as f64;
    let times = backend.device_times()?;
    let profile = profile(&times, 1, |kernel| match kernel {
        "score" => Some(Work::Operations(operations)),
        // Scores are read once.
        "topk" => Some(Work::Bytes(4.0 * users as f64 * items as f64)),
        _ => None,
    });
    let device = backend.device();
    Ok(ListsMeasurement {
        backend: device.backend,
        device: device.name,
        factors: k,
        list,
        upload_seconds,
        seconds,
        lists_per_second: users as f64 / seconds,
        operations_per_second: operations / seconds,
        profile,
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
