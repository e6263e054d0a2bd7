//! What the ratings are to the Bayesian sampler.

use serde::{Deserialize, Serialize};

/// How a rating comes from the model's `r̂`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Likelihood {
    /// `r ~ N(r̂, 1/τ)`.
    #[default]
    Gaussian,
    /// Two levels: the higher one where a latent `z ~ N(r̂, 1)` lies above 0 (Albert and Chib 1993).
    Probit,
    /// Levels in order: the one whose interval, cut by thresholds, a latent `z ~ N(r̂, 1)` falls into.
    Ordinal,
}

impl Likelihood {
    /// Whether ratings are levels of a latent value.
    pub fn has_levels(self) -> bool {
        self != Likelihood::Gaussian
    }

    /// As the command line and `run.json` have it.
    pub fn name(self) -> &'static str {
        match self {
            Likelihood::Gaussian => "gaussian",
            Likelihood::Probit => "probit",
            Likelihood::Ordinal => "ordinal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_record() {
        for likelihood in [Likelihood::Gaussian, Likelihood::Probit, Likelihood::Ordinal] {
            assert_eq!(serde_json::to_value(likelihood).unwrap(), likelihood.name());
        }
    }
}
