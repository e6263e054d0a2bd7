//! The losses of the gradient solvers.

use serde::{Deserialize, Serialize};

/// How a prediction is held against a rating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(r − r̂)²`: ratings, plays, minutes.
    #[default]
    Squared,
    /// Cross-entropy of `σ(r̂)` for ratings that are 0 or 1: predictions are probabilities.
    Logistic,
}
