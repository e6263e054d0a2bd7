//! Predictions and what they mean: numbers in the users' unit, distributions over the samples of a
//! Bayesian model, levels' probabilities, and files of pairs streamed past a model.

mod levels;
mod mixture;
#[cfg(feature = "files")]
mod pairs;
mod predictive;
mod summary;
mod unit;

pub use levels::{expected_level, level_probabilities, log_level_probability};
pub use mixture::Mixture;
#[cfg(feature = "files")]
pub use pairs::Prediction;
pub use predictive::Predictive;
pub(crate) use summary::central;
pub use summary::{Ask, Summary};
pub use unit::Unit;
