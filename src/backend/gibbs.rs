//! The passes of the Gibbs sampler.

use crate::Result;
use crate::core::{Factors, Ratings, RowPrior, RowRatings, Side};
use crate::math::random::Stream;
use std::ops::ControlFlow;

/// What the sampler's passes work on.
pub struct GibbsProblem {
    /// Training ratings by user and by item, without weights. For latent values each value is the
    /// number of its level, from 0.
    pub ratings: RowRatings,
    /// Held-out pairs; [`UNKNOWN`](crate::core::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where each chain starts, or goes on: one or more, of the same shape and mean.
    pub starts: Vec<Factors>,
    /// Of users and of items, (rows + 1): each row's popularity `ζ`; the last that of unknown ids.
    pub popularity: [Vec<f32>; 2],
    /// Whether there are biases: a row's `[p, b]` are drawn jointly.
    pub bias: bool,
    /// Coordinates drawn together, 1 to `k`: a smaller `d` draws `0..d`, `d..2d`, … in turn, the last
    /// block with the bias, each given the others.
    pub block: usize,
    /// Whether ratings are levels of a latent value that is drawn anew before each row
    /// (Albert and Chib 1993).
    pub latent: bool,
}

/// What a side's rows are drawn from, given the other side:
///
/// `[p, b] ~ N(A⁻¹ (Λ (m + ζ s) + τ Σ a t y), A⁻¹)` with `A = Λ + τ Σ a y yᵀ` over the row's ratings,
/// where `y = [q, 1]`, `t = v − μ − c`, and `a` is the noise weight of the rating's user.
#[derive(Clone, Copy, Debug)]
pub struct Conditional<'a> {
    /// `m`, `s` and `Λ`.
    pub prior: &'a RowPrior,
    /// `τ`.
    pub noise_precision: f64,
    /// (users): `a`, each user's noise precision over `τ`; empty where all are 1.
    pub noise_weights: &'a [f32],
    /// Between which latent values each level lies: level `j` from `thresholds[j − 1]` to
    /// `thresholds[j]`. Empty where values are no levels.
    pub thresholds: &'a [f32],
    /// The normal numbers of each row: column `j` for coordinate `j`, column `k` for the bias.
    pub rows: Stream,
    /// The numbers of each rating's latent value: row and column are the own row and its partner's.
    pub latents: Stream,
}

/// Sums over a side's rows `z = [x, b]`, in f64.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// How many rows.
    pub rows: usize,
    /// (k + 1): `Σ z`.
    pub sum: Vec<f64>,
    /// (k + 1, k + 1), row-major: `Σ z zᵀ`.
    pub products: Vec<f64>,
    /// (k + 1): `Σ ζ z`.
    pub popular: Vec<f64>,
}

/// The sampler's passes over a problem that lies on a device. Each concerns one chain.
pub trait GibbsPasses {
    /// Draws every row of a side given the other side; a row without ratings is drawn from its
    /// prior, and the row of unknown ids becomes its prior mean. `watch` gets the ratings done so
    /// far now and then, and may break off there. Returns the ratings done.
    ///
    /// # Errors
    /// If the device is lost.
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        conditional: &Conditional,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize>;

    /// Sums over a side's rows, but for that of unknown ids.
    ///
    /// # Errors
    /// If the device is lost.
    fn moments(&mut self, chain: usize, side: Side) -> Result<Moments>;

    /// (users): `Σ (v − r̂)²` over each user's training ratings. Of no meaning where values are levels.
    ///
    /// # Errors
    /// If the device is lost.
    fn squared_errors(&mut self, chain: usize) -> Result<Vec<f64>>;

    /// `r̂` of every training rating, in the users' order.
    ///
    /// # Errors
    /// If the device is lost.
    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>>;

    /// `r̂` of every held-out pair, in order.
    ///
    /// # Errors
    /// If the device is lost.
    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>>;

    /// The parameters as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn factors(&mut self, chain: usize) -> Result<Factors>;
}
