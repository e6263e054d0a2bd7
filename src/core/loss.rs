//! The losses of the gradient solvers.

use serde::{Deserialize, Serialize};

/// How a prediction is held against a rating, or the score of what was chosen against those of other items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(r − r̂)²`: ratings, plays, minutes.
    #[default]
    Squared,
    /// Cross-entropy of `σ(r̂)` for ratings that are 0 or 1: predictions are probabilities.
    Logistic,
    /// What users chose: the chosen item against many at once, by a softmax with a temperature (Wu et al.
    /// 2024, "On the effectiveness of sampled softmax loss for item recommendation").
    Softmax,
    /// What users chose: cosine contrastive loss (Mao et al. 2021, "SimpleX").
    Ccl,
    /// What users chose: Bayesian personalized ranking (Rendle et al. 2009), pair by pair.
    Bpr,
    /// What users chose: weighted approximate-rank pairwise loss (Weston et al. 2011).
    Warp,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Squared, Self::Logistic, Self::Softmax, Self::Ccl, Self::Bpr, Self::Warp];

    /// As the command line and `run.json` have it.
    pub fn name(self) -> &'static str {
        match self {
            Loss::Squared => "squared",
            Loss::Logistic => "logistic",
            Loss::Softmax => "softmax",
            Loss::Ccl => "ccl",
            Loss::Bpr => "bpr",
            Loss::Warp => "warp",
        }
    }

    /// Whether it is a sum of squares, which row solvers minimize; all others need a gradient solver.
    pub fn is_least_squares(self) -> bool {
        self == Loss::Squared
    }

    /// Whether it holds listed pairs against items that are not listed, whatever their ratings are: made
    /// for ranking, and for what users chose.
    pub fn is_ranking(self) -> bool {
        match self {
            Loss::Squared | Loss::Logistic => false,
            Loss::Softmax | Loss::Ccl | Loss::Bpr | Loss::Warp => true,
        }
    }

    /// Of a loss made for ranking: whether every negative counts at once, or one is picked for each pair.
    pub fn is_dense(self) -> bool {
        matches!(self, Loss::Softmax | Loss::Ccl)
    }

    /// What is wrong with a finite (transformed) rating to a model of this loss, if anything is.
    pub fn objection(self, rating: f32) -> Option<&'static str> {
        match self {
            Loss::Squared => None,
            Loss::Logistic => {
                (rating != 0.0 && rating != 1.0).then_some("a model of logistic loss needs 0 or 1")
            }
            Loss::Softmax | Loss::Ccl | Loss::Bpr | Loss::Warp => (rating <= 0.0).then_some(
                "it is not above 0, and losses made for ranking take every listed pair for a sign of \
                 liking; leave such lines out",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_record() {
        for loss in Loss::ALL {
            assert_eq!(serde_json::to_value(loss).unwrap(), loss.name());
        }
    }
}
