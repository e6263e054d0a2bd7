//! The Gibbs sampler of `bayes`: hyperparameters, noise and thresholds, drawn on the host from sums that
//! a device's passes give; and whether the chains have settled. Rows are drawn by
//! [`GibbsPasses`](crate::backend::GibbsPasses).
//!
//! # How it samples
//!
//! `bayes` draws what als solves for: a row's normal equations start from its prior, `L⁻¹` of the right side
//! gets normal numbers, and the back substitution gives a draw. Priors are Normal-Wishart on whole rows
//! (Salakhutdinov and Mnih 2008) with a slope on the row's popularity, `ln(1 + ratings)` standardized: 0.003
//! on MovieLens. (Means of u1 to u5 of 100K, 180 sweeps of a prototype that is not kept here: Normal-Wishart
//! 0.8958, a Gamma precision for each column, as myFM has, 0.8970 to 0.8989, Normal-Wishart with popularity
//! 0.8931.) How large factors are is drawn as well (`hyper.rs`), and chains start with biases and noise as
//! moments of the ratings say, and with small factors (`start.rs`): without that rows of few ratings keep
//! the large factors and the small biases of their start for hundreds of sweeps. (Another such prototype,
//! of u1 after 40 sweeps 0.9071 before, 0.9014 since; of 14,468 planted ratings, 2.4 a user, biases alone
//! 0.870, bayes 0.890 before.) An unknown id is taken for a row as popular as that of a training rating
//! drawn at random (`core/prior.rs`). Each user's noise has a weight of its own, `a_u ~ Gamma(α, α)` with `α` drawn too: without
//! it more factors overfit (Last.fm 0.334 and rising, with it 0.323). `τ` and all `a` then move together along
//! the scale that they share (Liu and Sabatti 2000): in turns alone the training error of MovieLens 1M still
//! drifted after 80 sweeps, with the move it stands after 20. `steps.rs` has the steps,
//! `hyper.rs` the draws of hyperparameters (f64, on the host, from sums that come back),
//! [`GibbsPasses`](crate::backend::GibbsPasses) are the seam. Random numbers are Philox by seed, sweep, side, row and column
//! ([`math::random`](crate::math::random)), the same counters on both backends. Probit and ordinal ratings are levels of a latent
//! value that is drawn anew before each row: on the CPU as the row is reached, on the GPU by `latent` for a
//! batch of rows, in the place of the remainders that `gram` then sums. Thresholds are drawn on the host with
//! the latents integrated out, from the predictions of all training ratings, which come back once a sweep.
//! `tests/sampler` and `tests/kernels` hold it against textbook draws, an exact posterior,
//! Geweke's test with planted faults, and calibration.
//!
//! New rows are drawn by the same passes for each kept sample, whose other side, prior and noise they are
//! given (`recommend/draw_in.rs`). A new user's noise weight or a level's latent value is drawn in turns with
//! the row: 8 for weights (0.07 deviations off after 2, 0.02 after 3, right after 4), 32 for latent values
//! (where all 15 ratings are of the top level 0.08 off after 8, right after 16).

mod diagnostics;
mod hyper;
mod start;
mod state;
mod steps;
mod thresholds;

pub use diagnostics::summarize;
pub(crate) use hyper::draw_weights;
pub use hyper::{Noise, NoisePrior, NormalWishart};
pub use state::{SamplerState, Traces};
pub use steps::{Chain, Sampler};
pub use thresholds::{Fit, Thresholds};
