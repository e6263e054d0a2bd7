//! The Gibbs sampler of `bayes`: hyperparameters, noise and thresholds, drawn on the host from sums that
//! a device's passes give; and whether the chains have settled. Rows are drawn by
//! [`GibbsPasses`](crate::backend::GibbsPasses).

mod diagnostics;
mod hyper;
mod state;
mod steps;
mod thresholds;

pub use diagnostics::summarize;
pub(crate) use hyper::draw_weights;
pub use hyper::{Noise, NoisePrior, NormalWishart};
pub use state::{SamplerState, Traces};
pub use steps::{Chain, Sampler};
pub use thresholds::{Fit, Thresholds};
