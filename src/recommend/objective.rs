//! The objective of one row, whichever solver trained the model.

use crate::backend::RowTerms;
use crate::core::{Loss, Side, Target};
use crate::model::Model;
use crate::{Error, Result};
use serde::Deserialize;

/// What a row of a model minimizes given the other side:
/// `Σ w (v − μ − c − b − p·q)² + α₀ Σ (p·q)² + π (reg ‖p‖² + reg_bias b²)`, or with logistic loss
/// the cross-entropy in place of the squares.
///
/// The gradient solvers' batches add up to it: a row of `n` ratings weighs `n^(ν − 1)` at each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowObjective {
    /// The loss.
    pub loss: Loss,
    /// What is fitted for a rating.
    pub target: Target,
    /// Whether there are biases.
    pub bias: bool,
    /// Regularization of the factors.
    pub reg: f64,
    /// Regularization of the biases.
    pub reg_bias: f64,
    /// `ν`.
    pub reg_exponent: f64,
    /// `α₀`.
    pub unobserved_weight: f64,
    /// Whether factors are 0 or above.
    pub nonnegative: bool,
}

/// What `run.json` says; a model made by hand may say nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Recorded {
    bias: Option<bool>,
    reg: Option<f64>,
    reg_bias: Option<f64>,
    reg_exponent: Option<f64>,
    unobserved_weight: Option<f64>,
    alpha: Option<f64>,
    nonnegative: bool,
}

impl RowObjective {
    /// The objective a model was trained by, as its record has it. A setting that is not recorded
    /// is taken for the trainer's default: `reg` 0.06 (`ials`: 0.005), `reg_bias` 0.02,
    /// `reg_exponent` 1, `unobserved_weight` 0.01 for `ials`; biases are there if any is not zero.
    ///
    /// # Errors
    /// A setting that is recorded, but is no number; a model of the sampler, whose rows minimize nothing.
    pub fn of(model: &Model) -> Result<Self> {
        if model.is_bayesian() {
            return Err(Error::data(
                "rows of a model of --solver bayes are drawn, not solved (recommend::draw_in), and its \
                 scores are averages over samples, which are not explained; use --solver als",
            ));
        }
        let recorded = match &model.run.settings {
            serde_json::Value::Null => Recorded::default(),
            settings => Recorded::deserialize(settings).map_err(|e| {
                Error::data(format!("the settings in the model's run.json are damaged: {e}"))
            })?,
        };
        let implicit = model.run.solver == "ials";
        let f = &model.factors;
        let any_bias = || f[Side::User].bias.iter().chain(&f[Side::Item].bias).any(|&b| b != 0.0);
        let free = !implicit && !recorded.nonnegative;
        Ok(RowObjective {
            loss: model.loss,
            target: match implicit {
                true => Target::Listed { alpha: recorded.alpha },
                false => Target::Rating,
            },
            bias: free && recorded.bias.unwrap_or_else(any_bias),
            reg: recorded.reg.unwrap_or(if implicit { 0.005 } else { 0.06 }),
            reg_bias: recorded.reg_bias.unwrap_or(0.02),
            reg_exponent: recorded.reg_exponent.unwrap_or(1.0),
            unobserved_weight: match implicit {
                true => recorded.unobserved_weight.unwrap_or(0.01),
                false => 0.0,
            },
            nonnegative: recorded.nonnegative,
        })
    }

    /// The terms for the row solvers, exact in one block of `factors`. With logistic loss they are
    /// those of a Newton step: half the second derivative, so the regularization counts double.
    pub fn terms(&self, factors: usize) -> RowTerms {
        let twice = match self.loss {
            Loss::Squared => 1.0,
            Loss::Logistic => 2.0,
        };
        RowTerms {
            bias: self.bias,
            reg: (twice * self.reg) as f32,
            reg_bias: (twice * self.reg_bias) as f32,
            reg_exponent: self.reg_exponent as f32,
            unobserved_weight: self.unobserved_weight as f32,
            block: factors,
            nonnegative: self.nonnegative,
        }
    }

    /// `π = (n + α₀·partners)^ν`.
    pub fn penalty(&self, ratings: usize, partners: usize) -> f64 {
        (ratings as f64 + self.unobserved_weight * partners as f64).powf(self.reg_exponent)
    }

    /// What is wrong with a rating under this objective, if anything is.
    pub fn objection(&self, rating: f32) -> Option<&'static str> {
        self.target.objection(rating).or_else(|| {
            (self.loss == Loss::Logistic && rating != 0.0 && rating != 1.0)
                .then_some("a model of logistic loss needs 0 or 1")
        })
    }
}
