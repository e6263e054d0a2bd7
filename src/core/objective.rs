//! What a model was trained to do: all that tells what its numbers mean, and what a new row minimizes.

use crate::core::{Contrast, Likelihood, Loss, Score, Settings, Solver, Target, Transform};
#[cfg(feature = "files")]
use serde::{Deserialize, Serialize};

/// What a model was trained to do. A row of `n` ratings minimizes, given the other side,
/// `Σ w (v − μ − c − b − p·q)² + α₀ Σ (p·q)² + (reg π + damping) ‖p‖² + (reg_bias π + damping_bias) b²`
/// with `π = (n + α₀·partners)^ν`, or with logistic loss the cross-entropy in place of the squares. Of `bayes`, whose rows are drawn, only
/// the likelihood, the transform, `bias` and `clip` have a meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What trained it.
    pub solver: Solver,
    /// The loss.
    pub loss: Loss,
    /// How a rating comes from `r̂`, to the sampler.
    pub likelihood: Likelihood,
    /// What was done to the ratings before training.
    pub transform: Transform,
    /// Whether there are biases.
    pub bias: bool,
    /// Regularization of the factors.
    pub reg: f64,
    /// Regularization of the biases.
    pub reg_bias: f64,
    /// `ν`: exponent of a row's number of ratings in its regularization.
    pub reg_exponent: f64,
    /// Regularization of the factors of a row, however many its ratings.
    pub damping: f64,
    /// Regularization of the bias of a row, however many its ratings: as if so many ratings said 0.
    pub damping_bias: f64,
    /// `α₀`: the weight of every pair; 0 but for ials.
    pub unobserved_weight: f64,
    /// What a rating is multiplied by to weigh its pair in ials; `None` weighs 1.
    pub alpha: Option<f64>,
    /// Whether factors are 0 or above.
    pub nonnegative: bool,
    /// Whether predictions are bounded to the range of the training ratings.
    pub clip: bool,
    /// Settings of a loss made for ranking; nothing for the other losses.
    pub contrast: Option<Contrast>,
}

#[cfg(feature = "files")]
/// The part of an objective that stands among the settings in `run.json`.
#[derive(Serialize, Deserialize)]
pub(crate) struct ObjectiveSettings {
    bias: bool,
    reg: f64,
    reg_bias: f64,
    reg_exponent: f64,
    #[serde(default)]
    damping: f64,
    #[serde(default)]
    damping_bias: f64,
    #[serde(default)]
    unobserved_weight: f64,
    #[serde(default)]
    alpha: Option<f64>,
    #[serde(default)]
    nonnegative: bool,
    #[serde(default)]
    likelihood: Likelihood,
    #[serde(default)]
    clip: bool,
    #[serde(default)]
    contrast: Option<Contrast>,
}

impl Objective {
    /// That of a solver with biases (but for ials), nothing done to the ratings, and a usual
    /// regularization: for models that are made by hand.
    pub fn new(solver: Solver) -> Self {
        let implicit = solver == Solver::Ials;
        Self {
            solver,
            loss: Loss::Squared,
            likelihood: Likelihood::Gaussian,
            transform: Transform::default(),
            bias: !implicit,
            reg: if implicit { 0.005 } else { 0.06 },
            reg_bias: if implicit { 0.0 } else { 0.02 },
            reg_exponent: 1.0,
            damping: 0.0,
            damping_bias: 0.0,
            unobserved_weight: if implicit { 0.01 } else { 0.0 },
            alpha: None,
            nonnegative: false,
            clip: false,
            contrast: None,
        }
    }

    /// That of a run with `settings` over ratings that went through `transform`.
    pub fn of(settings: &Settings, transform: Transform) -> Self {
        Self {
            solver: settings.solver,
            loss: settings.loss,
            likelihood: settings.likelihood,
            transform,
            bias: settings.bias,
            reg: settings.reg,
            reg_bias: settings.reg_bias,
            reg_exponent: settings.reg_exponent,
            damping: settings.damping,
            damping_bias: settings.damping_bias,
            unobserved_weight: settings.unobserved_weight,
            alpha: settings.alpha,
            nonnegative: settings.nonnegative,
            clip: settings.clip,
            contrast: settings.contrast,
        }
    }

    #[cfg(feature = "files")]
    /// What `run.json` says, put together.
    pub(crate) fn from_parts(
        solver: Solver,
        loss: Loss,
        transform: Transform,
        settings: ObjectiveSettings,
    ) -> Self {
        let s = settings;
        Self {
            solver,
            loss,
            likelihood: s.likelihood,
            transform,
            bias: s.bias,
            reg: s.reg,
            reg_bias: s.reg_bias,
            reg_exponent: s.reg_exponent,
            damping: s.damping,
            damping_bias: s.damping_bias,
            unobserved_weight: s.unobserved_weight,
            alpha: s.alpha,
            nonnegative: s.nonnegative,
            clip: s.clip,
            contrast: s.contrast,
        }
    }

    #[cfg(feature = "files")]
    /// The part that stands among the settings in `run.json`.
    pub(crate) fn settings(&self) -> ObjectiveSettings {
        ObjectiveSettings {
            bias: self.bias,
            reg: self.reg,
            reg_bias: self.reg_bias,
            reg_exponent: self.reg_exponent,
            damping: self.damping,
            damping_bias: self.damping_bias,
            unobserved_weight: self.unobserved_weight,
            alpha: self.alpha,
            nonnegative: self.nonnegative,
            likelihood: self.likelihood,
            clip: self.clip,
            contrast: self.contrast,
        }
    }

    /// What is wrong with it, if anything is: numbers out of range, or parts that no solver has together.
    ///
    /// # Errors
    /// Which setting, and why.
    pub fn check(&self) -> Result<(), String> {
        let solver = self.solver.name();
        let numbers = [
            ("reg", self.reg),
            ("reg_bias", self.reg_bias),
            ("reg_exponent", self.reg_exponent),
            ("damping", self.damping),
            ("damping_bias", self.damping_bias),
            ("unobserved_weight", self.unobserved_weight),
            ("alpha", self.alpha.unwrap_or(0.0)),
        ];
        if let Some((name, x)) = numbers.iter().find(|(_, x)| !x.is_finite() || *x < 0.0) {
            return Err(format!("{name} is {x}, which is no finite number of 0 or more"));
        }
        if self.reg_exponent > 4.0 {
            return Err(format!("reg_exponent is {}, which is above 4", self.reg_exponent));
        }
        let (implicit, ranking) = (self.solver == Solver::Ials, self.loss.is_ranking());
        let loss = format!("loss {}", self.loss.name());
        let wrong = [
            (!self.loss.is_least_squares() && self.solver.optimizer().is_none(), loss.as_str()),
            (self.likelihood != Likelihood::Gaussian && !self.is_bayesian(), "a likelihood"),
            (self.clip && (implicit || ranking), "clip"),
            (self.clip && !self.loss.is_least_squares(), "clip and loss logistic"),
            (self.nonnegative && !matches!(self.solver, Solver::Als | Solver::Ials), "nonnegative"),
            (self.bias && (implicit || self.nonnegative), "biases"),
            (!implicit && self.unobserved_weight > 0.0, "unobserved_weight"),
            (!implicit && self.alpha.is_some(), "alpha"),
        ];
        if let Some((_, what)) = wrong.iter().find(|(wrong, _)| *wrong) {
            return Err(format!("{what} with solver {solver}, which has no such thing"));
        }
        if implicit && self.unobserved_weight == 0.0 {
            return Err("unobserved_weight is 0, which solver ials cannot be".to_owned());
        }
        if ranking != self.contrast.is_some() {
            return Err(format!("{loss} and settings of a loss made for ranking go together"));
        }
        if let Some(contrast) = &self.contrast {
            contrast.check().map_err(|wrong| wrong.to_string())?;
            if self.bias && contrast.score == Score::Cosine {
                return Err("biases with score cosine, which has no such thing".to_owned());
            }
        }
        self.transform.check_steps()
    }

    /// Whether rows are drawn, and predictions averages over samples.
    pub fn is_bayesian(&self) -> bool {
        self.solver == Solver::Bayes
    }

    /// Whether every listed pair counts as 1, and a score is a preference.
    pub fn is_implicit(&self) -> bool {
        self.solver == Solver::Ials || self.loss.is_ranking()
    }

    /// What is fitted for a rating.
    pub fn target(&self) -> Target {
        match self.solver == Solver::Ials {
            true => Target::Listed { alpha: self.alpha },
            false => Target::Rating,
        }
    }

    /// `π = (n + α₀·partners)^ν`.
    pub fn penalty(&self, ratings: usize, partners: usize) -> f64 {
        (ratings as f64 + self.unobserved_weight * partners as f64).powf(self.reg_exponent)
    }

    /// What a row with `ratings` of `partners` pays for `‖p‖²` and for `b²`: `reg π + damping`,
    /// `reg_bias π + damping_bias`.
    pub fn regularization(&self, ratings: usize, partners: usize) -> (f64, f64) {
        let penalty = self.penalty(ratings, partners);
        (self.reg * penalty + self.damping, self.reg_bias * penalty + self.damping_bias)
    }

    /// What is wrong with a (transformed) rating under this objective, if anything is.
    pub fn objection(&self, rating: f32) -> Option<&'static str> {
        self.target().objection(rating).or_else(|| self.loss.objection(rating))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Step;

    #[test]
    fn what_no_solver_has_is_refused() {
        for solver in [Solver::Sgd, Solver::Als, Solver::Ials, Solver::Bayes] {
            assert_eq!(Objective::new(solver).check(), Ok(()), "{solver:?}");
        }
        let with = |solver, change: fn(&mut Objective)| {
            let mut objective = Objective::new(solver);
            change(&mut objective);
            objective.check().unwrap_err()
        };
        for (solver, change, expected) in [
            (Solver::Als, (|o| o.reg = f64::NAN) as fn(&mut Objective), "reg is NaN"),
            (Solver::Als, |o| o.reg_bias = -1.0, "reg_bias is -1"),
            (Solver::Sgd, |o| o.damping = -1.0, "damping is -1"),
            (Solver::Als, |o| o.damping_bias = f64::INFINITY, "damping_bias is inf"),
            (Solver::Als, |o| o.reg_exponent = 4.5, "reg_exponent is 4.5"),
            (Solver::Als, |o| o.loss = Loss::Logistic, "loss logistic with solver als"),
            (Solver::Adam, |o| o.nonnegative = true, "nonnegative with solver adam"),
            (Solver::Sgd, |o| o.likelihood = Likelihood::Probit, "a likelihood with solver sgd"),
            (Solver::Als, |o| o.alpha = Some(1.0), "alpha with solver als"),
            (Solver::Ials, |o| o.bias = true, "biases with solver ials"),
            (Solver::Ials, |o| o.unobserved_weight = 0.0, "unobserved_weight is 0"),
            (
                Solver::Als,
                |o| o.transform.steps = vec![Step::ZScore { mean: 0.0, std: 0.0 }],
                "zscore",
            ),
        ] {
            let message = with(solver, change);
            assert!(message.contains(expected), "{message}");
        }
    }
}
