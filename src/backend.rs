//! The one seam between training and the devices. It speaks of passes, not of tensors.

use crate::data::{Ratings, Side};
use crate::model::Factors;
use crate::train::{Batches, Loss, Optimizer, RowRatings, Settings};
use crate::{Error, Result};
use std::ops::ControlFlow;

mod gibbs;

pub use gibbs::{Conditional, GibbsPasses, GibbsProblem, Moments};

/// A device that can run the passes of every solver.
pub trait Backend {
    /// What it is.
    fn device(&self) -> Device;

    /// Bytes a second that a plain copy reads and writes on this device: the measure of passes that
    /// only move data.
    ///
    /// # Errors
    /// If the device is lost.
    fn copy_bytes_per_second(&self) -> Result<f64>;

    /// Floating-point operations a second, two for each multiply-add in registers: the measure of
    /// passes that mostly compute.
    ///
    /// # Errors
    /// If the device is lost.
    fn operations_per_second(&self) -> Result<f64>;

    /// Keeps the device at work for a moment, so that one that saves power while it waits is measured
    /// at the pace it keeps.
    ///
    /// # Errors
    /// If the device is lost.
    fn warm_up(&self) -> Result<()> {
        Ok(())
    }

    /// Where the device's time went since the last call, if it is profiled. Nothing, where there is
    /// nothing to tell.
    ///
    /// # Errors
    /// If the device is lost.
    fn device_times(&self) -> Result<DeviceTimes> {
        Ok(DeviceTimes::default())
    }

    /// Uploads a problem and readies its passes.
    ///
    /// # Errors
    /// If the problem does not fit the device, or the device is lost.
    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses + '_>>;

    /// Uploads a problem of the row solvers and readies its passes.
    ///
    /// # Errors
    /// If the problem does not fit the device, or the device is lost.
    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses + '_>>;

    /// Uploads a problem of the Gibbs sampler and readies its passes.
    ///
    /// # Errors
    /// If the problem does not fit the device, or the device is lost.
    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses + '_>>;

    /// Uploads items to be ranked.
    ///
    /// # Errors
    /// If they do not fit the device, or the device is lost.
    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker + '_>>;
}

/// What a run was made on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Device {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub name: String,
}

/// Where a device's time went.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct DeviceTimes {
    /// How often work was handed over.
    pub submissions: usize,
    /// Each kernel once, in the order of their first dispatches.
    pub kernels: Vec<KernelTime>,
}

/// Time of a kernel.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct KernelTime {
    /// Its name.
    pub kernel: &'static str,
    /// How often it was dispatched.
    pub dispatches: usize,
    /// Seconds on the device, where it can be timed.
    pub seconds: Option<f64>,
}

impl DeviceTimes {
    /// Adds time of a kernel to what it has.
    pub(crate) fn add(&mut self, time: KernelTime) {
        match self.kernels.iter_mut().find(|known| known.kernel == time.kernel) {
            Some(known) => {
                known.dispatches += time.dispatches;
                known.seconds = known.seconds.zip(time.seconds).map(|(a, b)| a + b);
            }
            None => self.kernels.push(time),
        }
    }
}

/// What the gradient passes work on.
pub struct GradientProblem {
    /// Training ratings, cut and indexed.
    pub batches: Batches,
    /// Held-out ratings; [`UNKNOWN`](crate::data::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where training starts, or goes on.
    pub start: State,
    /// The terms of the objective and of the update.
    pub terms: Terms,
}

/// The constants of the objective and of the update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The loss.
    pub loss: Loss,
    /// How a gradient moves the parameters.
    pub optimizer: Optimizer,
    /// Momentum of sgd.
    pub momentum: f32,
    /// Whether biases are learned.
    pub bias: bool,
    /// The biases' step size over the factors'.
    pub bias_rate: f32,
    /// Regularization of the factors.
    pub reg: f32,
    /// Regularization of the biases.
    pub reg_bias: f32,
    /// `ν`: a row of `n` ratings weighs `n^(ν − 1)` at each of its ratings.
    pub reg_exponent: f32,
}

/// Decay of Adam's first moment.
pub const BETA1: f64 = 0.9;
/// Decay of Adam's second moment.
pub const BETA2: f64 = 0.999;
/// What keeps the denominators of Adam and AdaGrad from zero.
pub const EPSILON: f32 = 1e-8;

impl Terms {
    /// The terms that `settings` asks for, with the optimizer of its solver.
    pub fn new(settings: &Settings, optimizer: Optimizer) -> Self {
        Self {
            loss: settings.loss,
            optimizer,
            momentum: settings.momentum as f32,
            bias: settings.bias,
            bias_rate: (settings.learning_rate_bias / settings.learning_rate) as f32,
            reg: settings.reg as f32,
            reg_bias: settings.reg_bias as f32,
            reg_exponent: settings.reg_exponent as f32,
        }
    }

    /// Arrays of moments an update keeps beside the parameters: 0, 1 or 2.
    pub fn moments(&self) -> usize {
        match self.optimizer {
            Optimizer::Sgd if self.momentum == 0.0 => 0,
            Optimizer::Sgd | Optimizer::Adagrad => 1,
            Optimizer::Adam => 2,
        }
    }

    /// How often each of a row's ratings counts its regularization: `n^(ν − 1)`.
    pub fn row_weight(&self, row_ratings: u32) -> f32 {
        if self.reg_exponent == 1.0 {
            1.0
        } else {
            (row_ratings.max(1) as f32).powf(self.reg_exponent - 1.0)
        }
    }

    /// Gradients are kept as `Σ e·y` with `e = r − r̂` (or `r − σ(r̂)`); this times that, negated, is
    /// the gradient of the summed loss.
    pub fn loss_factor(&self) -> f32 {
        match self.loss {
            Loss::Squared => 2.0,
            Loss::Logistic => 1.0,
        }
    }
}

/// Parameters and the moments of the update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The parameters.
    pub factors: Factors,
    /// As many as [`Terms::moments`]: momentum; AdaGrad's sums; Adam's first and second moments.
    /// Shaped as the parameters; their `global_mean` is not used.
    pub moments: Vec<Factors>,
}

/// One batch's turn in an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visit {
    /// Which batch.
    pub batch: u32,
    /// The step size, Adam's bias corrections included.
    pub rate: f32,
}

/// What an epoch's passes saw before each step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochSums {
    /// Sum of the loss over the ratings, each predicted before its batch's step. Of no use, and
    /// possibly NaN, where the watcher broke off before the last batch.
    pub loss: f64,
    /// How many ratings were visited: all, unless the watcher broke off.
    pub ratings: usize,
}

/// The gradient solvers' passes over a problem that lies on a device.
pub trait GradientPasses {
    /// Visits the batches in the given order: predictions, gradients of both sides from the factors
    /// before the batch, regularized update of the rows that occur. `watch` gets the ratings done so
    /// far after every batch or few, and may break off there.
    ///
    /// # Errors
    /// If the device is lost.
    fn epoch(
        &mut self,
        visits: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums>;

    /// Sum of the loss over the held-out ratings.
    ///
    /// # Errors
    /// If the device is lost.
    fn test_loss(&mut self) -> Result<f64>;

    /// Remembers the parameters as they are now; [`kept`](Self::kept) gives them back.
    ///
    /// # Errors
    /// If the device is lost.
    fn keep(&mut self) -> Result<()>;

    /// The remembered parameters.
    ///
    /// # Errors
    /// If nothing was remembered, or the device is lost.
    fn kept(&mut self) -> Result<Factors>;

    /// The parameters as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn factors(&mut self) -> Result<Factors>;

    /// Parameters and moments as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn state(&mut self) -> Result<State>;

    /// What the kernels compute for one batch, without a step: for tests and diagnosis.
    ///
    /// # Errors
    /// If the device is lost.
    fn probe(&mut self, batch: usize) -> Result<Probe>;
}

/// The answer to [`GradientPasses::kept`] where nothing was.
pub(crate) fn nothing_kept() -> Error {
    Error::data("no parameters were kept")
}

/// What one batch's kernels compute before the step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Probe {
    /// (ratings of the batch): `r − r̂` or `r − σ(r̂)`, in the leading side's order.
    pub residuals: Vec<f32>,
    /// Sum of the loss.
    pub loss: f64,
    /// (runs of the leading side, factors): `Σ e·y` of each row.
    pub lead: Vec<f32>,
    /// (runs of the leading side): `Σ e` of each row.
    pub lead_bias: Vec<f32>,
    /// (runs of the following side, factors): `Σ e·y` of each row.
    pub follow: Vec<f32>,
    /// (runs of the following side): `Σ e` of each row.
    pub follow_bias: Vec<f32>,
}

/// What the row solvers' passes work on.
pub struct RowProblem {
    /// Training ratings by user and by item.
    pub ratings: RowRatings,
    /// Held-out ratings; [`UNKNOWN`](crate::data::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where training starts, or goes on; its `global_mean` is subtracted from every value.
    pub start: Factors,
    /// The terms of the objective.
    pub terms: RowTerms,
}

/// The constants of the row solvers' objective
///
/// `Σ_(u,i) w (v − μ − b_u − c_i − p_u·q_i)² + α₀ Σ_u Σ_i (p_u·q_i)² + Σ_u π_u (reg ‖p_u‖² + reg_bias b_u²) + …`
///
/// with values `v` and weights `w` of the ratings and `π = (n + α₀·N_partner)^ν`, see
/// [`RowTerms::penalty`]. Explicit: `w = 1`, `α₀ = 0`. Implicit: `v = 1`, no mean, no biases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowTerms {
    /// Whether biases are learned: a row's `[p, b]` are solved jointly.
    pub bias: bool,
    /// Regularization of the factors.
    pub reg: f32,
    /// Regularization of the biases.
    pub reg_bias: f32,
    /// `ν`.
    pub reg_exponent: f32,
    /// `α₀`: the weight of every pair, seen or not; 0 for explicit ratings.
    pub unobserved_weight: f32,
    /// Coordinates solved together, 1 to `k`: `k` is exact (with biases, `k` coordinates and the
    /// bias); a smaller `d` solves `0..d`, `d..2d`, … in turn, the last block with the bias
    /// (iALS++, Rendle et al. 2021).
    pub block: usize,
    /// Whether factors stay at 0 or above; then without biases and mean.
    pub nonnegative: bool,
}

impl RowTerms {
    /// The terms that `settings` asks for.
    pub fn new(settings: &Settings) -> Self {
        Self {
            bias: settings.bias,
            reg: settings.reg as f32,
            reg_bias: settings.reg_bias as f32,
            reg_exponent: settings.reg_exponent as f32,
            unobserved_weight: settings.unobserved_weight as f32,
            block: settings.block,
            nonnegative: settings.nonnegative,
        }
    }

    /// Of a sampler, whose prior stands in the place of all regularization.
    pub(crate) fn of_draws(bias: bool, block: usize) -> Self {
        Self {
            bias,
            reg: 0.0,
            reg_bias: 0.0,
            reg_exponent: 0.0,
            unobserved_weight: 0.0,
            block,
            nonnegative: false,
        }
    }

    /// Whether a row with `n` ratings, solved exactly, is refined once by its ratings' residuals: where
    /// it is regularized so weakly that the sums of its normal equations lose digits in 32 bits.
    pub fn refines(&self, row_ratings: usize, partners: usize) -> bool {
        let regularization = self.reg * self.penalty(row_ratings, partners);
        !self.nonnegative && row_ratings as f32 > WEAK * regularization
    }

    /// `(n + α₀·partners)^ν`: what a row with `n` ratings, of `partners` possible, weighs its
    /// regularization.
    pub fn penalty(&self, row_ratings: usize, partners: usize) -> f32 {
        let n = row_ratings as f64 + f64::from(self.unobserved_weight) * partners as f64;
        n.powf(f64::from(self.reg_exponent)) as f32
    }
}

/// Ratings of a row over their regularization, above which it is weak.
const WEAK: f32 = 18.0;

/// The objective in its parts, summed in f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objective {
    /// `Σ w (v − r̂)²` over the training ratings.
    pub error: f64,
    /// `α₀ Σ_u Σ_i (p_u·q_i)²`, as the product of the two sides' Gram matrices; 0 for explicit ratings.
    pub unobserved: f64,
    /// The regularization of both sides.
    pub regularization: f64,
}

impl Objective {
    /// The objective.
    pub fn total(&self) -> f64 {
        self.error + self.unobserved + self.regularization
    }
}

/// The row solvers' passes over a problem that lies on a device.
pub trait RowPasses {
    /// Solves every row of a side given the other side. A row without ratings becomes zero.
    /// `watch` gets the ratings done so far now and then, and may break off there: some rows then
    /// are solved and some not. Returns the ratings done.
    ///
    /// A row whose normal equations are singular becomes non-finite.
    ///
    /// # Errors
    /// If the device is lost.
    fn solve(
        &mut self,
        side: Side,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize>;

    /// The objective of the parameters as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn objective(&mut self) -> Result<Objective>;

    /// Sum of the squared error over the held-out ratings.
    ///
    /// # Errors
    /// If the device is lost.
    fn test_loss(&mut self) -> Result<f64>;

    /// Remembers the parameters as they are now; [`kept`](Self::kept) gives them back.
    ///
    /// # Errors
    /// If the device is lost.
    fn keep(&mut self) -> Result<()>;

    /// The remembered parameters.
    ///
    /// # Errors
    /// If nothing was remembered, or the device is lost.
    fn kept(&mut self) -> Result<Factors>;

    /// The parameters as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn factors(&mut self) -> Result<Factors>;
}

/// Items (or users) that are ranked: `bias + query · row`.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// Number of factors `k`.
    pub factors: usize,
    /// (rows, factors), row-major.
    pub rows: &'a [f32],
    /// (rows).
    pub bias: &'a [f32],
}

/// A candidate in a list: its row, and its score in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranked {
    /// The candidate's row.
    pub row: u32,
    /// `bias + query · row`, summed in f32 in the device's order.
    pub score: f32,
}

/// Where scores of one query are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// The query.
    pub query: u32,
    /// Scores above `high` count as above.
    pub high: f32,
    /// Scores from `low` to `high` count as within.
    pub low: f32,
}

/// Rows of an interval that are named at most.
pub const WITHIN: usize = 16;

/// What an [`Interval`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Scores above it.
    pub above: u32,
    /// Scores within it.
    pub within: u32,
    /// The rows of those within, ascending, where there are at most [`WITHIN`]; else some of them.
    pub rows: [u32; WITHIN],
}

/// Ranks all candidates for queries, tile by tile: never a queries × candidates matrix.
pub trait Ranker {
    /// The `n` best candidates of each query, best first, equal scores by lower row; fewer where
    /// there are not so many. `queries`: (queries, factors); `excluded[j]`: ascending rows that are
    /// left out for query `j`; nothing is where `excluded` is empty. All scores are finite.
    ///
    /// # Errors
    /// If the device is lost.
    fn top(&mut self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>>;

    /// For each interval, how many of its query's candidates score above it and within it, and which
    /// those within are; the query's excluded ones do not count. All scores are finite.
    ///
    /// # Errors
    /// If the device is lost.
    fn count(
        &mut self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>>;
}
