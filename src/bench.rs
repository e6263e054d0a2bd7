//! Measures a backend: epochs of planted work beside what its memory can do.

use crate::backend::{
    Backend, Candidates, GibbsProblem, GradientProblem, RowProblem, RowTerms, Terms,
};
use crate::data::{Ids, Ratings, Side};
use crate::train::{
    Batches, Chain, RowRatings, Sampler, Settings, Solver, begin, global_mean, random, rounds,
    row_ratings, turns, visits,
};
use crate::{Error, Result};
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

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
    backend: &dyn Backend,
    turns: usize,
    work: impl Fn(&str) -> Option<Work>,
) -> Result<Option<Profile>> {
    let times = backend.device_times()?;
    if times.kernels.is_empty() {
        return Ok(None);
    }
    let turns = turns as f64;
    let part = |time: &crate::backend::KernelTime| {
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
    Ok(Some(Profile { submissions: times.submissions as f64 / turns, kernels }))
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
    if settings.epochs < 2 {
        return Err(Error::settings("--epochs: a benchmark needs 2 or more, the first warms up"));
    }
    let Some(optimizer) = settings.solver.optimizer() else {
        return Err(Error::settings("this benchmark is for the gradient solvers"));
    };
    let mean = global_mean(&workload.train, settings)?;
    let (users, items) = (workload.users.len(), workload.items.len());
    let terms = Terms::new(settings, optimizer);
    let start = begin(random(users, items, mean, settings), &terms);
    let clock = Instant::now();
    let shuffle = settings.shuffle.then_some(settings.seed);
    let batches = Batches::new(&workload.train, users, items, settings.batch_size, shuffle);
    let layout_seconds = clock.elapsed().as_secs_f64();
    let (ratings, batch_count) = (batches.ratings(), batches.len());
    let runs = [batches.lead.rows.len(), batches.follow.rows.len()];
    let held = (settings.factors, terms.moments());
    let test = workload.test.clone();
    let clock = Instant::now();
    let mut passes = backend.gradient_passes(GradientProblem { batches, test, start, terms })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    backend.warm_up()?;
    let mut epoch_seconds = Vec::with_capacity(settings.epochs);
    for epoch in 1..=settings.epochs {
        let visits = visits(settings, optimizer, epoch, batch_count);
        let clock = Instant::now();
        let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(()))?;
        epoch_seconds.push(clock.elapsed().as_secs_f64());
        if !sums.loss.is_finite() {
            return Err(Error::data(format!(
                "the error became non-finite in epoch {epoch}; lower --learning-rate"
            )));
        }
        watch(epoch);
        if epoch == 1 {
            // What warms up does not count.
            backend.device_times()?;
        }
    }
    let profile =
        profile(backend, settings.epochs - 1, |kernel| gradient_work(kernel, ratings, runs, held))?;
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
    if settings.epochs < 2 {
        return Err(Error::settings("--epochs: a benchmark needs 2 or more, the first warms up"));
    }
    let run = match settings.solver {
        Solver::Bayes => gibbs_sweeps(backend, workload, settings, &mut watch)?,
        _ => solved_sweeps(backend, workload, settings, &mut watch)?,
    };
    let Sweeps { layout_seconds, upload_seconds, mut sweep_seconds, objective, test_rmse, profile } =
        run;
    if !objective.into_iter().chain(test_rmse).all(f64::is_finite) {
        return Err(Error::data("the objective or the error became non-finite; raise --reg"));
    }
    sweep_seconds.remove(0);
    let seconds_per_sweep = median(&sweep_seconds);
    let n = workload.train.len();
    let rows = workload.users.len() + workload.items.len();
    let round = sweep_operations(n, rows, settings.factors, settings.block);
    let rounds = if settings.solver == Solver::Bayes { 1 } else { rounds(settings) };
    let operations = rounds as f64 * round;
    let device = backend.device();
    Ok(SweepMeasurement {
        backend: device.backend,
        device: device.name,
        solver: settings.solver,
        factors: settings.factors,
        block: settings.block,
        layout_seconds,
        upload_seconds,
        sweep_seconds,
        seconds_per_sweep,
        ratings_per_second: n as f64 / seconds_per_sweep,
        operations_per_second: operations / seconds_per_sweep,
        peak_operations_per_second,
        objective,
        test_rmse,
        profile,
    })
}

/// Sweeps as they went, the first included.
struct Sweeps {
    layout_seconds: f64,
    upload_seconds: f64,
    sweep_seconds: Vec<f64>,
    objective: Option<f64>,
    test_rmse: Option<f64>,
    profile: Option<Profile>,
}

/// The kernels' parts of all sweeps but the first.
fn sweep_profile(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    rounds: usize,
) -> Result<Option<Profile>> {
    let rows = workload.users.len() + workload.items.len();
    let shape = (settings.factors, settings.block);
    profile(backend, (settings.epochs - 1) * rounds, |kernel| {
        sweep_work(kernel, workload.train.len(), rows, shape)
    })
}

/// Of als or ials.
fn solved_sweeps(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    watch: &mut dyn FnMut(usize),
) -> Result<Sweeps> {
    let mean = global_mean(&workload.train, settings)?;
    let (users, items) = (workload.users.len(), workload.items.len());
    let start = random(users, items, mean, settings);
    let clock = Instant::now();
    let names = (&workload.users, &workload.items);
    let ratings = match settings.solver {
        // Only which pairs there are matters, and planted ratings may lie below zero.
        Solver::Ials => {
            let values = vec![1.0; workload.train.len()];
            row_ratings(&Ratings { values, ..workload.train.clone() }, settings, names)?
        }
        _ => row_ratings(&workload.train, settings, names)?,
    };
    let layout_seconds = clock.elapsed().as_secs_f64();
    let clock = Instant::now();
    let (test, terms) = (workload.test.clone(), RowTerms::new(settings));
    let mut passes = backend.row_passes(RowProblem { ratings, test, start, terms })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    backend.warm_up()?;
    let rounds = rounds(settings);
    let mut sweep_seconds = Vec::with_capacity(settings.epochs);
    for sweep in 1..=settings.epochs {
        let clock = Instant::now();
        for side in turns(rounds) {
            passes.solve(side, &mut |_| ControlFlow::Continue(()))?;
        }
        sweep_seconds.push(clock.elapsed().as_secs_f64());
        watch(sweep);
        if sweep == 1 {
            backend.device_times()?;
        }
    }
    let profile = sweep_profile(backend, workload, settings, rounds)?;
    let objective = Some(passes.objective()?.total());
    let count = workload.test.len().max(1) as f64;
    let test_rmse = match settings.unobserved_weight {
        0.0 => Some((passes.test_loss()? / count).sqrt()),
        _ => None,
    };
    Ok(Sweeps { layout_seconds, upload_seconds, sweep_seconds, objective, test_rmse, profile })
}

/// Of the Gibbs sampler: hyperparameters, rows and noise.
fn gibbs_sweeps(
    backend: &dyn Backend,
    workload: &Workload,
    settings: &Settings,
    watch: &mut dyn FnMut(usize),
) -> Result<Sweeps> {
    let mean = global_mean(&workload.train, settings)?;
    let (users, items) = (workload.users.len(), workload.items.len());
    let start = random(users, items, mean, settings);
    let clock = Instant::now();
    let ratings = RowRatings::new(&workload.train, &[], users, items);
    let spread = workload.train.spread();
    let shape = (settings.factors, settings.bias);
    let (sampler, _, popularity) = Sampler::new(&ratings, shape, spread, settings.seed);
    let layout_seconds = clock.elapsed().as_secs_f64();
    let clock = Instant::now();
    let mut passes = backend.gibbs_passes(GibbsProblem {
        ratings,
        test: workload.test.clone(),
        starts: vec![start],
        popularity,
        bias: settings.bias,
        block: settings.block,
        latent: false,
    })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    backend.warm_up()?;
    let mut chain = Chain::new(users, spread);
    let mut sweep_seconds = Vec::with_capacity(settings.epochs);
    for sweep in 1..=settings.epochs {
        let clock = Instant::now();
        for side in [Side::User, Side::Item] {
            sampler.draw_side(&mut *passes, (0, sweep), side, &mut chain, &mut |_| {
                ControlFlow::Continue(())
            })?;
        }
        sampler.draw_noise(&mut *passes, (0, sweep), &mut chain)?;
        sweep_seconds.push(clock.elapsed().as_secs_f64());
        watch(sweep);
        if sweep == 1 {
            backend.device_times()?;
        }
    }
    let profile = sweep_profile(backend, workload, settings, 1)?;
    let predictions = passes.test_predictions(0)?;
    let errors = predictions.iter().zip(&workload.test.values);
    let error: f64 = errors.map(|(p, v)| f64::from(v - p).powi(2)).sum();
    let test_rmse = Some((error / workload.test.len().max(1) as f64).sqrt());
    let objective = None;
    Ok(Sweeps { layout_seconds, upload_seconds, sweep_seconds, objective, test_rmse, profile })
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
    let candidates = Candidates { factors: k, rows: &model.item_factors, bias: &model.item_bias };
    let mut ranker = backend.ranker(candidates)?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    backend.warm_up()?;
    let mut some = |from: usize| -> Result<()> {
        let to = (from + LISTS_AT_ONCE).min(users);
        ranker.top(&model.user_factors[from * k..to * k], &excluded[from..to], list)?;
        Ok(())
    };
    some(0)?;
    backend.device_times()?;
    let clock = Instant::now();
    (0..users).step_by(LISTS_AT_ONCE).try_for_each(&mut some)?;
    let seconds = clock.elapsed().as_secs_f64();
    let operations = 2.0 * k as f64 * users as f64 * items as f64;
    let profile = profile(backend, 1, |kernel| match kernel {
        "score" => Some(Work::Operations(operations)),
        // Scores are read once.
        "topk" => Some(Work::Bytes(4.0 * users as f64 * items as f64)),
        _ => None,
    })?;
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
