//! The passes of the gradient solvers.
//!
//! # A batch, step by step
//!
//! The side with fewer rows (mostly items) *leads*: its runs are longer. `residual` walks the leading
//! side: predictions, residuals (kept), loss, that side's gradient. `gradient` walks the other side from
//! the kept residuals, so nothing has to be summed across lanes there. `step` moves the rows of both.
//! On the GPU a row of more than 32 ratings in a batch is cut into segments, as a batch waits for its
//! longest one; their partial gradients lie in slots of their own and are added in order by `step`. On
//! the CPU the following side's step comes in the same walk as its gradient.
//!
//! Biases are arrays of their own, not columns of the rows: rows of 32 factors then stay 128 bytes, and
//! lanes divide evenly. (The alternative, `[p, b, 1]·[q, 1, c]`, makes 36 columns of 32.)

use super::check_factors;
use crate::core::{Batches, Factors, Loss, Optimizer, Ratings, Settings};
use crate::{Error, Result};
use std::ops::ControlFlow;

/// What the gradient passes work on.
pub struct GradientProblem {
    /// Training ratings, cut and indexed.
    pub batches: Batches,
    /// Held-out ratings; [`UNKNOWN`](crate::core::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where training starts, or goes on.
    pub start: State,
    /// The terms of the objective and of the update.
    pub terms: Terms,
}

impl GradientProblem {
    /// What [`Backend::gradient_passes`](super::Backend::gradient_passes) refuses on any device.
    pub(crate) fn check(&self) -> Result<()> {
        let (users, items) = (self.batches.users, self.batches.items);
        let State { factors, moments } = &self.start;
        check_factors(factors.factors)?;
        check_rating_loss(self.terms.loss)?;
        if moments.len() != self.terms.moments() {
            let (have, needed) = (moments.len(), self.terms.moments());
            return Err(Error::data(format!(
                "{have} arrays of moments, where {needed} are needed"
            )));
        }
        for of in [factors].into_iter().chain(moments) {
            of.check(users, items, factors.factors)?;
        }
        self.test.check_rows(users, items, true)
    }
}

/// Losses made for ranking have passes of their own.
pub(super) fn check_rating_loss(loss: Loss) -> Result<()> {
    match loss.is_ranking() {
        true => Err(Error::settings(format!(
            "`loss` {} is made for ranking; ratings are fitted by squared and logistic",
            loss.name()
        ))),
        false => Ok(()),
    }
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
    /// Regularization of the factors of a row, however many its ratings: each of `n` counts `1/n` of it.
    pub damping: f32,
    /// Regularization of the bias of a row, however many its ratings.
    pub damping_bias: f32,
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
            damping: settings.damping as f32,
            damping_bias: settings.damping_bias as f32,
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

    /// How often each of a row's ratings counts the row's damping: `1/n`.
    pub fn row_share(&self, row_ratings: u32) -> f32 {
        1.0 / row_ratings.max(1) as f32
    }

    /// Gradients are kept as `Σ e·y` with `e = r − r̂` (or `r − σ(r̂)`); this times that, negated, is
    /// the gradient of the summed loss.
    pub fn loss_factor(&self) -> f32 {
        match self.loss {
            Loss::Squared => 2.0,
            _ => 1.0,
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
pub trait GradientPasses: Send {
    /// Visits the batches in the given order: predictions, gradients of both sides from the factors
    /// before the batch, regularized update of the rows that occur. `watch` gets the ratings done so
    /// far after every batch or few, and may break off there.
    ///
    /// # Errors
    /// If the device is lost.
    ///
    /// # Panics
    /// If there is no such batch.
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
    ///
    /// # Panics
    /// If there is no such batch.
    fn probe(&mut self, batch: usize) -> Result<Probe>;
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
