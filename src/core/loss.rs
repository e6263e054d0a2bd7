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

impl Loss {
    /// As the command line and `run.json` have it.
    pub fn name(self) -> &'static str {
        match self {
            Loss::Squared => "squared",
            Loss::Logistic => "logistic",
        }
    }

    /// Whether it is a sum of squares, which row solvers minimize; all others need a gradient solver.
    pub fn is_least_squares(self) -> bool {
        match self {
            Loss::Squared => true,
            Loss::Logistic => false,
        }
    }

    /// What is wrong with a finite (transformed) rating to a model of this loss, if anything is.
    pub fn objection(self, rating: f32) -> Option<&'static str> {
        match self {
            Loss::Squared => None,
            Loss::Logistic => {
                (rating != 0.0 && rating != 1.0).then_some("a model of logistic loss needs 0 or 1")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_record() {
        for loss in [Loss::Squared, Loss::Logistic] {
            assert_eq!(serde_json::to_value(loss).unwrap(), loss.name());
        }
    }
}
