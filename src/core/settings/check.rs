//! Whether settings make sense, before any data are seen.

use super::{Options, Settings};
use crate::core::{Loss, Solver};
use crate::{Error, Result};

impl Options {
    /// Checks what can be checked without data.
    ///
    /// # Errors
    /// A setting out of its range, or one that the solver does not have; which one, and what to give.
    pub fn check(&self) -> Result<()> {
        self.check_ranges()?;
        self.check_ranking()?;
        if self.momentum.is_some_and(|m| m > 0.0) && self.solver != Some(Solver::Sgd) {
            return Err(Error::settings(
                "`momentum` belongs to `solver` sgd; the others have no such setting",
            ));
        }
        if self.batch_size == Some(0) && self.momentum.is_some_and(|m| m > 0.0) {
            return Err(Error::settings(
                "`batch_size` 0 goes rating by rating, and `momentum` is kept by batches; leave one out",
            ));
        }
        self.check_solver()?;
        if self.clip && (self.solver == Some(Solver::Ials) || self.loss == Some(Loss::Logistic)) {
            return Err(Error::settings(
                "`clip` is for predicted ratings; preferences and probabilities have bounds of their own",
            ));
        }
        let bias = !self.no_bias && !self.nonnegative;
        check_biases_alone(self.solver.unwrap_or(Solver::Sgd), self.factors, bias)?;
        for (flag, value) in [("reg_bias", self.reg_bias), ("damping_bias", self.damping_bias)] {
            if self.no_bias && value.is_some_and(|x| x > 0.0) {
                let why = format!("`{flag}` has no effect with `no_bias`; leave one out");
                return Err(Error::settings(why));
            }
        }
        Ok(())
    }

    /// Whether every number that is given lies in its range.
    fn check_ranges(&self) -> Result<()> {
        let within = |flag: &str, value: Option<f64>, ok: fn(f64) -> bool, what: &str| match value {
            Some(x) if !ok(x) => Err(Error::settings(format!("`{flag}` {x}: must be {what}"))),
            _ => Ok(()),
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        let what = "a finite number above 0";
        within("learning_rate", self.learning_rate, positive, what)?;
        within("learning_rate_bias", self.learning_rate_bias, positive, what)?;
        within(
            "learning_rate_decay",
            self.learning_rate_decay,
            |x| x > 0.0 && x <= 1.0,
            "above 0 and at most 1",
        )?;
        within("momentum", self.momentum, |x| (0.0..1.0).contains(&x), "at least 0 and below 1")?;
        within("reg", self.reg, not_negative, "a finite number, 0 or more")?;
        within("reg_bias", self.reg_bias, not_negative, "a finite number, 0 or more")?;
        within("reg_exponent", self.reg_exponent, |x| (0.0..=4.0).contains(&x), "0 to 4")?;
        within("damping", self.damping, not_negative, "a finite number, 0 or more")?;
        within("damping_bias", self.damping_bias, not_negative, "a finite number, 0 or more")?;
        within("init_scale", self.init_scale, not_negative, "a finite number, 0 or more")?;
        within("unobserved_weight", self.unobserved_weight, positive, what)?;
        within("alpha", self.alpha, positive, what)?;
        if let Some(k) = self.factors.filter(|k| *k > 1024) {
            return Err(Error::settings(format!("`factors` {k}: must be 0 to 1024")));
        }
        for (flag, value) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("patience", self.patience),
            ("block", self.block),
            ("samples", self.samples),
            ("keep", self.keep),
            ("chains", self.chains),
        ] {
            // Of sgd, no batches are a way to go.
            let by_ratings = flag == "batch_size" && self.solver == Some(Solver::Sgd);
            if value == Some(0) && !by_ratings {
                return Err(Error::settings(format!("`{flag}` 0: must be 1 or more")));
            }
        }
        Ok(())
    }

    /// Whether every setting that is given belongs to the solver.
    fn check_solver(&self) -> Result<()> {
        let wrong = |flag: &str, why: &str| Err(Error::settings(format!("`{flag}` {why}")));
        let Some(solver) = self.solver.filter(|solver| solver.optimizer().is_none()) else {
            let given = [
                ("unobserved_weight", self.unobserved_weight.is_some(), "ials"),
                ("alpha", self.alpha.is_some(), "ials"),
                ("block", self.block.is_some(), "als, ials or bayes"),
                ("nonnegative", self.nonnegative, "als or ials"),
            ];
            let bayes = self.of_bayes().map(|(flag, given)| (flag, given, "bayes"));
            return match given.into_iter().chain(bayes).find(|(_, given, _)| *given) {
                Some((flag, _, of)) => wrong(flag, &format!("belongs to `solver` {of}")),
                None => Ok(()),
            };
        };
        if solver == Solver::Bayes {
            self.check_bayes()?;
        } else if let Some((flag, _)) = self.of_bayes().into_iter().find(|(_, given)| *given) {
            return wrong(flag, "belongs to `solver` bayes");
        }
        let name = solver.name();
        let gradient = [
            ("batch_size", self.batch_size.is_some()),
            ("learning_rate", self.learning_rate.is_some()),
            ("learning_rate_bias", self.learning_rate_bias.is_some()),
            ("learning_rate_decay", self.learning_rate_decay.is_some()),
            ("momentum", self.momentum.is_some()),
            ("no_shuffle", self.no_shuffle),
        ];
        if let Some((flag, _)) = gradient.into_iter().find(|(_, given)| *given) {
            let why = format!(
                "has no effect with `solver` {name}, which solves whole rows; leave it out, or \
                 use sgd, adagrad or adam"
            );
            return wrong(flag, &why);
        }
        check_row_solver(solver, self.loss, self.init_scale)?;
        let biased = solver != Solver::Ials && !self.nonnegative && !self.no_bias;
        for (flag, value) in [("reg_bias", self.reg_bias), ("damping_bias", self.damping_bias)] {
            if !biased && value.is_some_and(|x| x > 0.0) {
                return wrong(flag, "has no effect on a model without biases; leave it out");
            }
        }
        if solver != Solver::Ials {
            if self.unobserved_weight.is_some() {
                return wrong("unobserved_weight", "belongs to `solver` ials");
            }
            if self.alpha.is_some() {
                return wrong("alpha", "belongs to `solver` ials");
            }
        }
        if let (Some(block), Some(factors)) = (self.block, self.factors) {
            check_block(block, factors)?;
        }
        if self.nonnegative && self.block.is_some() {
            let why = "solves one coordinate at a time; leave out `block`";
            return wrong("nonnegative", why);
        }
        Ok(())
    }
}

impl Settings {
    /// Makes sure that the solver can go by these settings. Those that [`Options::resolve`] gives always
    /// pass; made by hand, or read from somewhere, they need not.
    ///
    /// # Errors
    /// A setting out of its range: which one, and what to give.
    pub fn check(&self) -> Result<()> {
        let solver = self.solver;
        let (gradient, sampler) = (solver.optimizer().is_some(), solver == Solver::Bayes);
        // Momentum is kept by batches.
        let one_by_one = self.rating_by_rating() && self.momentum == 0.0;
        // A setting that the solver does not have is 0, which then is no value of it.
        let counted = |has: bool, x: usize| (has || x != 0).then_some(x);
        let number = |has: bool, x: f64| (has || x != 0.0).then_some(x);
        let numbers = Options {
            factors: Some(self.factors),
            epochs: Some(self.epochs),
            batch_size: counted(gradient && !one_by_one, self.batch_size),
            learning_rate: number(gradient, self.learning_rate),
            learning_rate_bias: number(gradient, self.learning_rate_bias),
            learning_rate_decay: number(gradient, self.learning_rate_decay),
            momentum: Some(self.momentum),
            reg: Some(self.reg),
            reg_bias: Some(self.reg_bias),
            reg_exponent: Some(self.reg_exponent),
            damping: Some(self.damping),
            damping_bias: Some(self.damping_bias),
            unobserved_weight: number(solver == Solver::Ials, self.unobserved_weight),
            alpha: self.alpha,
            block: counted(!gradient, self.block),
            samples: counted(sampler, self.samples),
            keep: counted(sampler, self.keep),
            chains: counted(sampler, self.chains),
            init_scale: Some(self.init_scale),
            patience: self.patience,
            ..Options::default()
        };
        numbers.check_ranges()?;
        check_biases_alone(solver, Some(self.factors), self.bias)?;
        self.check_contrast()?;
        if gradient {
            return Ok(());
        }
        check_block(self.block, self.factors)?;
        check_row_solver(solver, Some(self.loss), Some(self.init_scale))
    }
}

/// Whether there is anything to learn where there are no factors.
fn check_biases_alone(solver: Solver, factors: Option<usize>, bias: bool) -> Result<()> {
    let biased = bias && solver != Solver::Ials;
    if factors != Some(0) || biased {
        return Ok(());
    }
    Err(Error::settings(match bias {
        true => {
            format!("`factors` 0: biases alone are trained by every solver but {}", solver.name())
        }
        false => "`factors` 0 leaves nothing to learn without biases; give 1 or more".to_owned(),
    }))
}

/// What the row solvers and the sampler cannot do.
fn check_row_solver(solver: Solver, loss: Option<Loss>, init_scale: Option<f64>) -> Result<()> {
    if let Some(loss) = loss.filter(|loss| !loss.is_least_squares()) {
        return Err(Error::settings(format!(
            "`loss` {} needs sgd, adagrad or adam; {} minimizes squares",
            loss.name(),
            solver.name()
        )));
    }
    if init_scale == Some(0.0) {
        return Err(Error::settings(
            "`init_scale` 0: rows that start at zero stay there; give more",
        ));
    }
    Ok(())
}

pub(super) fn check_block(block: usize, factors: usize) -> Result<()> {
    // Biases alone are one coordinate.
    if block <= factors.max(1) {
        return Ok(());
    }
    Err(Error::settings(format!(
        "`block` {block}: there are only {factors} factors to solve together"
    )))
}
