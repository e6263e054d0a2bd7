//! The passes of the row solvers.
//!
//! # A sweep, step by step
//!
//! A sweep solves all users given the items, then all items given the users. A row's normal equations are
//! summed from its partners' rows (`gram`), with `α₀` times the partner side's own Gram matrix, once a
//! side; `cholesky` factors and solves them, factors and bias jointly. Rows that are regularized weakly
//! (`RowTerms::refines`) are refined once by their ratings' residuals: 32-bit sums alone lose digits there,
//! on either device. `block` `d` forms and solves `d` coordinates at a time against kept residuals; blocks
//! below 16 go round twice before the other side's turn: once, blocks of 1 and 3 end 0.2 to 0.9 % above an
//! exact solver's objective, twice within 0.1 %. `nonnegative` runs coordinate descent on the normal
//! equations. Objective and held-out figures come after each sweep. On the GPU rows are taken longest
//! first, and long ones are cut into segments whose sums are joined in order; on the CPU tasks are ranges
//! of rows of equal cost, and only rows above 16,384 ratings are cut (where they are solved whole).

use super::{check_block, check_factors};
use crate::core::{
    Confidence, Factors, Loss, Objective, Ratings, RowRatings, Settings, Side, SideFactors,
};
use crate::{Error, Result};
use std::ops::{ControlFlow, Range};

/// What the row solvers' passes work on.
pub struct RowProblem {
    /// Training ratings by user and by item.
    pub ratings: RowRatings,
    /// Held-out ratings; [`UNKNOWN`](crate::core::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where training starts, or goes on; its `global_mean` is subtracted from every value.
    pub start: Factors,
    /// The terms of the objective.
    pub terms: RowTerms,
}

impl RowProblem {
    /// What [`Backend::row_passes`](super::Backend::row_passes) refuses on any device.
    pub(crate) fn check(&self) -> Result<()> {
        let (users, items) = (self.ratings.users.rows(), self.ratings.items.rows());
        check_factors(self.start.factors)?;
        check_block(self.terms.block)?;
        self.ratings.check()?;
        let signed = self.terms.confidence.is_signed();
        if signed && self.ratings.users.weights.len() != self.ratings.users.values.len() {
            return Err(Error::data("`confidence` hu needs a weight for each rating"));
        }
        if !signed && self.ratings.users.weights.iter().any(|&weight| weight < 0.0) {
            return Err(Error::data("only with `confidence` hu do ratings weigh less than 0"));
        }
        self.start.check(users, items, self.start.factors)?;
        self.test.check_rows(users, items, true)
    }
}

/// The constants of the row solvers' objective
///
/// `Σ_(u,i) w (v − μ − b_u − c_i − p_u·q_i)² + α₀ Σ_u Σ_i (p_u·q_i)²
/// + Σ_u (reg π_u + damping) ‖p_u‖² + Σ_u (reg_bias π_u + damping_bias) b_u² + …`
///
/// with values `v` and weights `w` of the ratings and `π = (n + α₀·N_partner)^ν`, see
/// [`RowTerms::penalty`]. Explicit: `w = 1`, `α₀ = 0`. Implicit: `v = 1`, no mean, no biases. Of Hu's
/// `Σ_listed c (t − p_u·q_i)² + Σ_unlisted (p_u·q_i)²` with `t` 1 or, of dislikes, 0: `α₀ = 1`, and `w = c − 1`,
/// `v = t c/w`, see [`Target`](crate::core::Target); of the sum over ratings it lacks a constant.
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
    /// Regularization of the factors of a row, however many its ratings.
    pub damping: f32,
    /// Regularization of the bias of a row, however many its ratings.
    pub damping_bias: f32,
    /// `α₀`: the weight of every pair, seen or not; 0 for explicit ratings.
    pub unobserved_weight: f32,
    /// Coordinates solved together, 1 to `k`: `k` is exact (with biases, `k` coordinates and the
    /// bias); a smaller `d` solves `0..d`, `d..2d`, … in turn, the last block with the bias
    /// (iALS++, Rendle et al. 2021).
    pub block: usize,
    /// Whether factors stay at 0 or above; then without biases and mean.
    pub nonnegative: bool,
    /// What pairs weigh: with [`Confidence::Hu`] weights of ratings may lie below 0.
    pub confidence: Confidence,
}

impl RowTerms {
    /// The terms that `settings` asks for.
    pub fn new(settings: &Settings) -> Self {
        Self {
            bias: settings.bias,
            // Biases alone have a factor of zeros, which something must hold there.
            reg: if settings.factors == 0 { 1.0 } else { settings.reg as f32 },
            reg_bias: settings.reg_bias as f32,
            reg_exponent: settings.reg_exponent as f32,
            damping: settings.damping as f32,
            damping_bias: settings.damping_bias as f32,
            unobserved_weight: settings.unobserved_weight as f32,
            block: settings.block,
            nonnegative: settings.nonnegative,
            confidence: settings.confidence,
        }
    }

    /// Those of new rows of a model, solved exactly in one block of `factors`. With logistic loss they
    /// are those of a Newton step: half the second derivative, so the regularization counts double.
    pub fn of(objective: &Objective, factors: usize) -> Self {
        let twice = match objective.loss {
            Loss::Squared => 1.0,
            _ => 2.0,
        };
        Self {
            bias: objective.bias,
            reg: if factors == 0 { 1.0 } else { (twice * objective.reg) as f32 },
            reg_bias: (twice * objective.reg_bias) as f32,
            reg_exponent: objective.reg_exponent as f32,
            damping: (twice * objective.damping) as f32,
            damping_bias: (twice * objective.damping_bias) as f32,
            unobserved_weight: objective.unobserved_weight as f32,
            block: factors.max(1),
            nonnegative: objective.nonnegative,
            confidence: objective.confidence,
        }
    }

    /// Of a sampler, whose prior stands in the place of all regularization.
    pub(crate) fn of_draws(bias: bool, block: usize) -> Self {
        Self {
            bias,
            reg: 0.0,
            reg_bias: 0.0,
            reg_exponent: 0.0,
            damping: 0.0,
            damping_bias: 0.0,
            unobserved_weight: 0.0,
            block,
            nonnegative: false,
            confidence: Confidence::Rendle,
        }
    }

    /// Whether a row with `n` ratings, solved exactly, is refined once by its ratings' residuals: where
    /// it is regularized so weakly that the sums of its normal equations lose digits in 32 bits.
    pub fn refines(&self, row_ratings: usize, partners: usize) -> bool {
        let (regularization, _) = self.regularization(row_ratings, partners);
        !self.nonnegative && row_ratings as f32 > WEAK * regularization
    }

    /// What a row with `n` ratings, of `partners` possible, pays for `‖p‖²` and for `b²`:
    /// `reg π + damping`, `reg_bias π + damping_bias`.
    pub fn regularization(&self, row_ratings: usize, partners: usize) -> (f32, f32) {
        let penalty = self.penalty(row_ratings, partners);
        (self.reg * penalty + self.damping, self.reg_bias * penalty + self.damping_bias)
    }

    /// `(n + α₀·partners)^ν`: what a row with `n` ratings, of `partners` possible, weighs its
    /// regularization.
    pub fn penalty(&self, row_ratings: usize, partners: usize) -> f32 {
        let n = row_ratings as f64 + f64::from(self.unobserved_weight) * partners as f64;
        n.powf(f64::from(self.reg_exponent)) as f32
    }
}

/// What [`RowPasses::put_rows`] and [`GibbsPasses::put_rows`](super::GibbsPasses::put_rows) refuse.
pub(crate) fn check_rows(rows: &Range<usize>, values: &SideFactors, factors: usize) -> Result<()> {
    let count = rows.len();
    if values.bias.len() == count && values.factors.len() == count * factors {
        return Ok(());
    }
    let (numbers, biases) = (values.factors.len(), values.bias.len());
    Err(Error::data(format!(
        "{numbers} factors and {biases} biases are not those of {count} rows of {factors} factors"
    )))
}

/// What [`RowPasses::set_gram`] refuses.
pub(crate) fn check_gram(gram: &[f64], factors: usize) -> Result<()> {
    match gram.len() == factors * factors {
        true => Ok(()),
        false => Err(Error::data(format!(
            "{} numbers are no Gram matrix of {factors} factors",
            gram.len()
        ))),
    }
}

/// Ratings of a row over their regularization, above which it is weak.
const WEAK: f32 = 18.0;

/// The objective in its parts, summed in f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ObjectiveSums {
    /// `Σ w (v − r̂)²` over the training ratings; with [`Confidence::Hu`] `Σ c (t − r̂)² − r̂²`, since
    /// `unobserved` has the squares of all pairs.
    pub error: f64,
    /// `α₀ Σ_u Σ_i (p_u·q_i)²`, as the product of the two sides' Gram matrices; 0 for explicit ratings.
    pub unobserved: f64,
    /// The regularization of both sides.
    pub regularization: f64,
}

impl ObjectiveSums {
    /// The objective.
    pub fn total(&self) -> f64 {
        self.error + self.unobserved + self.regularization
    }
}

/// The objective's parts by blocks of rows: see [`crate::backend`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectiveBlocks {
    /// `Σ w (v − r̂)²` over the training ratings of the users' blocks.
    pub error: Vec<f64>,
    /// `α₀ Σ_u Σ_i (p_u·q_i)²`: no sum over rows, but the product of two such, and so of all rows.
    pub unobserved: f64,
    /// The regularization of the users' blocks and of the items'. A GPU has one block of both sides,
    /// which begins with the users.
    pub regularization: [Vec<f64>; 2],
}

impl ObjectiveBlocks {
    /// Appends the blocks of the ranges that follow.
    pub fn append(&mut self, next: Self) {
        self.error.extend(next.error);
        self.unobserved = next.unobserved;
        for (blocks, next) in self.regularization.iter_mut().zip(next.regularization) {
            blocks.extend(next);
        }
    }

    /// The sums of all blocks, added in their order.
    pub fn join(&self) -> ObjectiveSums {
        let [users, items] = &self.regularization;
        ObjectiveSums {
            error: self.error.iter().sum(),
            unobserved: self.unobserved,
            regularization: users.iter().sum::<f64>() + items.iter().sum::<f64>(),
        }
    }
}

/// The row solvers' passes over a problem that lies on a device. Ranges of rows: see [`crate::backend`].
pub trait RowPasses: Send {
    /// Solves a range of a side's rows given the other side. A row without ratings becomes zero.
    /// `watch` gets the ratings done so far now and then, and may break off there: some rows then
    /// are solved and some not. Returns the ratings done.
    ///
    /// Where pairs without a rating count it needs the other side's Gram matrix: the one that was
    /// [given](Self::set_gram), or its own sum over all rows of that side.
    ///
    /// A row whose normal equations are singular becomes non-finite.
    ///
    /// # Errors
    /// If the device is lost.
    fn solve(
        &mut self,
        side: Side,
        rows: Range<usize>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize>;

    /// A range of a side's rows as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn rows(&mut self, side: Side, rows: Range<usize>) -> Result<SideFactors>;

    /// Puts `values` in the place of a range of a side's rows.
    ///
    /// # Errors
    /// If `values` have not as many rows, of as many factors; if the device is lost.
    fn put_rows(&mut self, side: Side, rows: Range<usize>, values: &SideFactors) -> Result<()>;

    /// `Σ x xᵀ` over each block of a side's rows that begins in the range: (factors, factors) in f64.
    /// Nothing where pairs without a rating do not count. Forgets what was given.
    ///
    /// # Errors
    /// If the device is lost.
    fn gram(&mut self, side: Side, rows: Range<usize>) -> Result<Vec<Vec<f64>>>;

    /// Gives a side's Gram matrix, (factors, factors), which is used in the place of a sum over the
    /// side's rows until one of them changes. Of no use where pairs without a rating do not count.
    ///
    /// # Errors
    /// If it has another size; if the device is lost.
    fn set_gram(&mut self, side: Side, gram: &[f64]) -> Result<()>;

    /// The objective of the parameters as they are now: what comes of a range of the users' rows and
    /// one of the items'.
    ///
    /// # Errors
    /// If the device is lost.
    fn objective(&mut self, rows: [Range<usize>; 2]) -> Result<ObjectiveBlocks>;

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
