//! What a user may set, and what training does with it.

use super::{Likelihood, Loss};
use crate::data::{Ratings, Side};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

mod bayes;

/// How factors are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// Stochastic gradient descent, with `--momentum` if wanted.
    Sgd,
    /// AdaGrad (Duchi, Hazan and Singer 2011): rates fall where gradients were large.
    Adagrad,
    /// Adam (Kingma and Ba 2015), moving only the rows of the batch as `torch.optim.SparseAdam`.
    Adam,
    /// Alternating least squares for ratings (Zhou et al. 2008): each row solved exactly given the
    /// other side, few sweeps, no learning rate.
    Als,
    /// Implicit alternating least squares (Hu, Koren and Volinsky 2008; Rendle et al. 2021), for
    /// what users chose: every listed pair counts as 1, all others weakly as 0.
    Ials,
    /// Bayesian factorization by Gibbs sampling (Salakhutdinov and Mnih 2008): the most accurate, with
    /// an uncertainty for every prediction, and nothing to tune.
    Bayes,
}

/// How a gradient moves the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizer {
    /// Stochastic gradient descent, with momentum if wanted.
    Sgd,
    /// AdaGrad.
    Adagrad,
    /// Adam.
    Adam,
}

impl Solver {
    /// The optimizer of a gradient solver; `None` for the row solvers.
    pub fn optimizer(self) -> Option<Optimizer> {
        match self {
            Solver::Sgd => Some(Optimizer::Sgd),
            Solver::Adagrad => Some(Optimizer::Adagrad),
            Solver::Adam => Some(Optimizer::Adam),
            Solver::Als | Solver::Ials | Solver::Bayes => None,
        }
    }

    /// The name on the command line and in run.json.
    pub fn name(self) -> &'static str {
        match self {
            Solver::Sgd => "sgd",
            Solver::Adagrad => "adagrad",
            Solver::Adam => "adam",
            Solver::Als => "als",
            Solver::Ials => "ials",
            Solver::Bayes => "bayes",
        }
    }
}

/// How the numbers of kept samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplePrecision {
    /// 16 bits for factors: half the size, no change in the fourth digit of a prediction.
    F16,
    /// 32 bits.
    #[default]
    F32,
}

impl From<Optimizer> for Solver {
    fn from(optimizer: Optimizer) -> Self {
        match optimizer {
            Optimizer::Sgd => Solver::Sgd,
            Optimizer::Adagrad => Solver::Adagrad,
            Optimizer::Adam => Solver::Adam,
        }
    }
}

/// Settings of a training run as a user gives them: what is `None` is chosen from the data.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Model and solver")]
#[serde(default)]
pub struct Options {
    /// Number of factors (latent dimensionality), 1 to 1024
    #[arg(long, value_name = "K")]
    pub factors: Option<usize>,
    /// Leave out user and item biases
    #[arg(long)]
    pub no_bias: bool,
    /// Leave out the global mean
    #[arg(long)]
    pub no_mean: bool,
    /// squared for ratings, plays, minutes; logistic for 0 and 1
    #[arg(long, value_enum)]
    pub loss: Option<Loss>,
    /// How factors are learned
    #[arg(long, value_enum)]
    pub solver: Option<Solver>,
    /// Passes over the ratings
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Ratings per update; large is faster on a GPU, small learns more per epoch
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Step size of the first epoch
    #[arg(long, value_name = "X")]
    pub learning_rate: Option<f64>,
    /// Step size of the biases; default: that of the factors where it is given
    #[arg(long, value_name = "X")]
    pub learning_rate_bias: Option<f64>,
    /// Factor by which the step size falls from one epoch to the next; 1 keeps it
    #[arg(long, value_name = "X")]
    pub learning_rate_decay: Option<f64>,
    /// Momentum of sgd, kept per touched row
    #[arg(long, value_name = "X")]
    pub momentum: Option<f64>,
    /// Regularization of the factors, per rating
    #[arg(long, value_name = "X")]
    pub reg: Option<f64>,
    /// Regularization of the biases, per rating
    #[arg(long, value_name = "X")]
    pub reg_bias: Option<f64>,
    /// Regularization grows with (ratings of the row)^X: 1 is weighted lambda, 0 plain ridge
    #[arg(long, value_name = "X")]
    pub reg_exponent: Option<f64>,
    /// ials: weight of every pair, listed or not, against 1 of a listed one
    #[arg(long, value_name = "X")]
    pub unobserved_weight: Option<f64>,
    /// ials: a listed pair weighs X times its rating (plays, minutes) instead of 1
    #[arg(long, value_name = "X")]
    pub alpha: Option<f64>,
    /// als, ials, bayes: coordinates solved (bayes: drawn) together; the number of factors is exact, less
    /// is faster where factors are many (iALS++, Rendle et al. 2021). Default: exact, in long sweeps 64
    /// at most
    #[arg(long, value_name = "D")]
    pub block: Option<usize>,
    /// als, ials: factors of 0 or above, for parts-based factors; without biases and mean
    #[arg(long)]
    pub nonnegative: bool,
    /// bayes: sweeps after burn-in, over which predictions are averaged (300)
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// bayes: sweeps before that, until the sampler has settled (50)
    #[arg(long, value_name = "N")]
    pub burn_in: Option<usize>,
    /// bayes: samples kept in the model, thinned evenly (40)
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,
    /// bayes: independent chains run side by side, whose agreement tells whether they have settled (1)
    #[arg(long, value_name = "N")]
    pub chains: Option<usize>,
    /// bayes: how ratings come about: with Gaussian noise, or as levels of a latent value (two
    /// with probit, any number with ordinal)
    #[arg(long, value_enum)]
    pub likelihood: Option<Likelihood>,
    /// bayes: bound predictions to the range of the training ratings
    #[arg(long)]
    pub clip: bool,
    /// bayes: how samples are stored (f16, unless ratings are too large or too small for it)
    #[arg(long, value_enum)]
    pub sample_precision: Option<SamplePrecision>,
    /// Standard deviation of the factors at the start
    #[arg(long, value_name = "X")]
    pub init_scale: Option<f64>,
    /// Stop after N epochs without a better held-out error; the best epoch is kept (bayes: the average
    /// of all sweeps)
    #[arg(long, value_name = "N")]
    pub patience: Option<usize>,
    /// Seed of everything random: the held-out part, the start, the batches
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Batches in file order, the same every epoch
    #[arg(long)]
    pub no_shuffle: bool,
}

/// Settings of a training run, complete and checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Number of factors `k`.
    pub factors: usize,
    /// Whether there are biases `b`, `c`.
    pub bias: bool,
    /// Whether there is a global mean `μ`.
    pub mean: bool,
    /// The loss.
    pub loss: Loss,
    /// The solver.
    pub solver: Solver,
    /// Passes over the ratings.
    pub epochs: usize,
    /// Ratings per update; 0 for the row solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch_size: usize,
    /// Step size of the first epoch; 0 for the row solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learning_rate: f64,
    /// Step size of the biases in the first epoch; 0 for the row solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learning_rate_bias: f64,
    /// Factor of the step sizes from one epoch to the next; 0 for the row solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learning_rate_decay: f64,
    /// Momentum of sgd; 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub momentum: f64,
    /// Regularization of the factors.
    pub reg: f64,
    /// Regularization of the biases.
    pub reg_bias: f64,
    /// `ν`: exponent of a row's number of ratings in its regularization.
    pub reg_exponent: f64,
    /// `α₀` of ials: the weight of every pair; 0 for the other solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unobserved_weight: f64,
    /// What a rating is multiplied by to become the weight of its pair in ials; `None` weighs 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alpha: Option<f64>,
    /// Coordinates the row solvers solve together; 0 for the gradient solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub block: usize,
    /// Whether the row solvers keep factors at 0 or above.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nonnegative: bool,
    /// Sweeps of the sampler after burn-in; 0 for the other solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub samples: usize,
    /// Sweeps of the sampler before that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub burn_in: usize,
    /// Samples kept in the model, of all chains together; 0 for the other solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep: usize,
    /// Independent chains of the sampler; 0 for the other solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chains: usize,
    /// How a rating comes from `r̂`, to the sampler.
    #[serde(default, skip_serializing_if = "is_default")]
    pub likelihood: Likelihood,
    /// Whether predictions are bounded to the range of the training ratings.
    #[serde(default, skip_serializing_if = "is_default")]
    pub clip: bool,
    /// How samples are stored; nothing for the other solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sample_precision: Option<SamplePrecision>,
    /// Standard deviation of the factors at the start.
    pub init_scale: f64,
    /// Epochs without improvement before stopping; `None` never stops early.
    pub patience: Option<usize>,
    /// The seed.
    pub seed: u64,
    /// Whether batches are shuffled.
    pub shuffle: bool,
}

impl Settings {
    /// How many samples of a chain are kept once `sweep` of the sampler is done: thinned evenly over
    /// the sweeps after burn-in.
    pub fn kept_by(&self, sweep: usize) -> usize {
        let after = sweep.saturating_sub(self.burn_in);
        match self.patience {
            Some(_) => after / self.stride(sweep),
            None => {
                (after as u128 * self.kept_of_each() as u128 / self.samples.max(1) as u128) as usize
            }
        }
    }

    /// How many sweeps lie between samples that are kept once `sweep` is done, where `--patience` lets
    /// nobody know how many there will be: at first every one is kept, and whenever they are too many
    /// every other of them is given up.
    pub fn stride(&self, sweep: usize) -> usize {
        let (after, each) = (sweep.saturating_sub(self.burn_in), self.kept_of_each());
        (after / (each + 1) + 1).next_power_of_two()
    }

    /// Samples kept of each chain, at most.
    fn kept_of_each(&self) -> usize {
        (self.keep / self.chains.max(1)).max(1)
    }
}

// What a solver does not have is left out of run.json.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Options {
    /// Checks what can be checked without data, naming the flag.
    pub fn check(&self) -> Result<()> {
        let within = |flag: &str, value: Option<f64>, ok: fn(f64) -> bool, what: &str| match value {
            Some(x) if !ok(x) => Err(Error::settings(format!("--{flag} {x}: must be {what}"))),
            _ => Ok(()),
        };
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        let what = "a finite number above 0";
        within("learning-rate", self.learning_rate, positive, what)?;
        within("learning-rate-bias", self.learning_rate_bias, positive, what)?;
        within(
            "learning-rate-decay",
            self.learning_rate_decay,
            |x| x > 0.0 && x <= 1.0,
            "above 0 and at most 1",
        )?;
        within("momentum", self.momentum, |x| (0.0..1.0).contains(&x), "at least 0 and below 1")?;
        within("reg", self.reg, not_negative, "a finite number, 0 or more")?;
        within("reg-bias", self.reg_bias, not_negative, "a finite number, 0 or more")?;
        within("reg-exponent", self.reg_exponent, |x| (0.0..=4.0).contains(&x), "0 to 4")?;
        within("init-scale", self.init_scale, not_negative, "a finite number, 0 or more")?;
        within("unobserved-weight", self.unobserved_weight, positive, what)?;
        within("alpha", self.alpha, positive, what)?;
        if let Some(k) = self.factors.filter(|k| !(1..=1024).contains(k)) {
            return Err(Error::settings(format!("--factors {k}: must be 1 to 1024")));
        }
        for (flag, value) in [
            ("epochs", self.epochs),
            ("batch-size", self.batch_size),
            ("patience", self.patience),
            ("block", self.block),
            ("samples", self.samples),
            ("keep", self.keep),
            ("chains", self.chains),
        ] {
            if value == Some(0) {
                return Err(Error::settings(format!("--{flag} 0: must be 1 or more")));
            }
        }
        if self.momentum.is_some_and(|m| m > 0.0) && self.solver != Some(Solver::Sgd) {
            return Err(Error::settings(
                "--momentum belongs to --solver sgd; the others have no such setting",
            ));
        }
        self.check_solver()?;
        if self.no_bias && self.reg_bias.is_some_and(|x| x > 0.0) {
            return Err(Error::settings("--reg-bias has no effect with --no-bias; leave one out"));
        }
        Ok(())
    }

    /// Whether every flag belongs to the solver.
    fn check_solver(&self) -> Result<()> {
        let wrong = |flag: &str, why: &str| Err(Error::settings(format!("--{flag} {why}")));
        let Some(solver) = self.solver.filter(|solver| solver.optimizer().is_none()) else {
            let given = [
                ("unobserved-weight", self.unobserved_weight.is_some(), "ials"),
                ("alpha", self.alpha.is_some(), "ials"),
                ("block", self.block.is_some(), "als, ials or bayes"),
                ("nonnegative", self.nonnegative, "als or ials"),
            ];
            let bayes = self.of_bayes().map(|(flag, given)| (flag, given, "bayes"));
            return match given.into_iter().chain(bayes).find(|(_, given, _)| *given) {
                Some((flag, _, of)) => wrong(flag, &format!("belongs to --solver {of}")),
                None => Ok(()),
            };
        };
        if solver == Solver::Bayes {
            self.check_bayes()?;
        } else if let Some((flag, _)) = self.of_bayes().into_iter().find(|(_, given)| *given) {
            return wrong(flag, "belongs to --solver bayes");
        }
        let name = solver.name();
        let gradient = [
            ("batch-size", self.batch_size.is_some()),
            ("learning-rate", self.learning_rate.is_some()),
            ("learning-rate-bias", self.learning_rate_bias.is_some()),
            ("learning-rate-decay", self.learning_rate_decay.is_some()),
            ("momentum", self.momentum.is_some()),
            ("no-shuffle", self.no_shuffle),
        ];
        if let Some((flag, _)) = gradient.into_iter().find(|(_, given)| *given) {
            let why = format!(
                "has no effect with --solver {name}, which solves whole rows; leave it out, or \
                 use sgd, adagrad or adam"
            );
            return wrong(flag, &why);
        }
        if self.loss == Some(Loss::Logistic) {
            let why = format!("logistic needs sgd, adagrad or adam; {name} minimizes squares");
            return wrong("loss", &why);
        }
        if self.init_scale == Some(0.0) {
            return wrong("init-scale", "0: rows that start at zero stay there; give more");
        }
        let biased = solver != Solver::Ials && !self.nonnegative && !self.no_bias;
        if !biased && self.reg_bias.is_some_and(|x| x > 0.0) {
            return wrong("reg-bias", "has no effect on a model without biases; leave it out");
        }
        if solver != Solver::Ials {
            if self.unobserved_weight.is_some() {
                return wrong("unobserved-weight", "belongs to --solver ials");
            }
            if self.alpha.is_some() {
                return wrong("alpha", "belongs to --solver ials");
            }
        }
        if let (Some(block), Some(factors)) = (self.block, self.factors) {
            check_block(block, factors)?;
        }
        if self.nonnegative && self.block.is_some() {
            let why = "solves one coordinate at a time; leave out --block";
            return wrong("nonnegative", why);
        }
        Ok(())
    }

    /// Completes the settings for a training set of `ratings`.
    ///
    /// What is not given is chosen from the data; ARCHITECTURE.md says by which measurements. A
    /// small set gets sgd, whose many small batches fit rare rows best; a large one, and one with
    /// ratings far outside of the others, gets adam, which keeps its accuracy in large batches and
    /// does not overshoot.
    ///
    /// # Errors
    /// As [`Options::check`].
    pub fn resolve(&self, ratings: &Ratings, users: usize, items: usize) -> Result<Settings> {
        self.check()?;
        let n = ratings.len();
        let loss = self.loss.unwrap_or_default();
        let factors = self.factors.unwrap_or(32);
        // Factors scale with the root of the ratings' spread, the regularization with the spread.
        let spread = if loss == Loss::Squared { ratings.spread() } else { 1.0 };
        // 1 without outliers; they upset a step that is proportional to the residual.
        let outlying = (farthest(ratings) / spread / OUTLIER).max(1.0);
        let default_solver = if n <= SMALL && outlying == 1.0 { Solver::Sgd } else { Solver::Adam };
        let solver = self.solver.unwrap_or(default_solver);
        if solver == Solver::Bayes {
            return self.bayes(spread);
        }
        let Some(optimizer) = solver.optimizer() else {
            return self.rows(solver, spread, n as f64, (users as f64, items as f64));
        };
        let batch_size = self.batch_size.unwrap_or_else(|| default_batch_size(optimizer, n));
        let batch_size = batch_size.min(n.max(1));
        // Of factors and of biases. With r → s·r and p, q → √s·p, √s·q and b, c → s·b, s·c the
        // objective only changes by a factor, and so must every step.
        let (rate, rate_bias) = match optimizer {
            // A fixed step a rating (the mean over the batch is undone), as far as the row with the
            // most ratings in a batch bears it, and the rating that lies farthest out.
            Optimizer::Sgd => {
                let step = (1.4 / 64.0 * batch_size as f64)
                    .min(0.6 / hottest_share(ratings, users, items));
                let step = step / outlying * (1.0 - self.momentum());
                (step / spread, step)
            }
            Optimizer::Adagrad => (0.05 * spread.sqrt(), 0.05 * spread),
            Optimizer::Adam => {
                let step = 0.003 * (batch_size as f64 / 256.0).powf(0.15);
                (step * spread.sqrt(), step * spread)
            }
        };
        let learning_rate = self.learning_rate.unwrap_or(rate);
        let learning_rate_bias =
            self.learning_rate_bias.or(self.learning_rate).unwrap_or(rate_bias);
        let density = n as f64 / (users + items).max(1) as f64;
        let reg = self.reg.unwrap_or_else(|| (1.1 * density.powf(-0.7)).clamp(0.04, 0.08) * spread);
        Ok(Settings {
            loss,
            epochs: self.epochs.unwrap_or(if optimizer == Optimizer::Sgd { 40 } else { 20 }),
            batch_size,
            learning_rate: rounded(learning_rate),
            learning_rate_bias: rounded(learning_rate_bias),
            learning_rate_decay: self.learning_rate_decay.unwrap_or(match optimizer {
                Optimizer::Sgd => 0.93,
                Optimizer::Adagrad => 1.0,
                Optimizer::Adam => 0.85,
            }),
            momentum: self.momentum(),
            reg: rounded(reg),
            reg_bias: match self.no_bias {
                true => 0.0,
                false => self.reg_bias.unwrap_or(0.02),
            },
            reg_exponent: self.reg_exponent.unwrap_or(1.0),
            shuffle: !self.no_shuffle,
            ..self.of_every_solver(solver, factors, spread)
        })
    }

    /// The settings of a row solver, for `n` ratings of this standard deviation. It reaches the
    /// optimum, so it wants more regularization than the gradient solvers, whose falling steps stop
    /// short of it. All pairs together weigh about 15 times the listed ones.
    fn rows(
        &self,
        solver: Solver,
        spread: f64,
        n: f64,
        (users, items): (f64, f64),
    ) -> Result<Settings> {
        let implicit = solver == Solver::Ials;
        // Whatever the ratings are, ials fits ones.
        let spread = if implicit { 1.0 } else { spread };
        let free = !implicit && !self.nonnegative;
        let factors = self.factors.unwrap_or(if implicit { 64 } else { 32 });
        let a_row = n / (users + items).max(1.0);
        let explicit_reg = (0.68 * a_row.powf(-0.53)).clamp(0.03, 0.15) * spread;
        let unobserved_weight = (15.0 * n / (users * items).max(1.0)).clamp(1e-3, 1.0);
        let reg = if implicit { 0.005 } else { explicit_reg };
        let k = factors as f64;
        let exact_sweep = n * k * k + (users + items) * k * k * k / 6.0;
        let block = self.block.unwrap_or(match self.nonnegative || exact_sweep < LONG_SWEEP {
            true => factors,
            false => factors.min(BLOCK),
        });
        check_block(block, factors)?;
        Ok(Settings {
            bias: free && !self.no_bias,
            mean: free && !self.no_mean,
            epochs: self.epochs.unwrap_or(if implicit { 10 } else { 15 }),
            reg: rounded(self.reg.unwrap_or(reg)),
            reg_bias: match free && !self.no_bias {
                true => self.reg_bias.unwrap_or(0.05),
                false => 0.0,
            },
            reg_exponent: self.reg_exponent.unwrap_or(1.0),
            unobserved_weight: match implicit {
                true => rounded(self.unobserved_weight.unwrap_or(unobserved_weight)),
                false => 0.0,
            },
            alpha: self.alpha,
            block,
            nonnegative: self.nonnegative,
            ..self.of_every_solver(solver, factors, spread)
        })
    }

    /// What settings have whatever the solver, and nothing of what only some have.
    fn of_every_solver(&self, solver: Solver, factors: usize, spread: f64) -> Settings {
        Settings {
            factors,
            bias: !self.no_bias,
            mean: !self.no_mean,
            loss: Loss::Squared,
            solver,
            epochs: 0,
            batch_size: 0,
            learning_rate: 0.0,
            learning_rate_bias: 0.0,
            learning_rate_decay: 0.0,
            momentum: 0.0,
            reg: 0.0,
            reg_bias: 0.0,
            reg_exponent: 0.0,
            unobserved_weight: 0.0,
            alpha: None,
            block: 0,
            nonnegative: false,
            samples: 0,
            burn_in: 0,
            keep: 0,
            chains: 0,
            likelihood: Likelihood::Gaussian,
            clip: false,
            sample_precision: None,
            init_scale: rounded(
                self.init_scale.unwrap_or(0.1 * spread.sqrt() / (factors as f64).sqrt()),
            ),
            patience: self.patience,
            seed: self.seed,
            shuffle: false,
        }
    }

    fn momentum(&self) -> f64 {
        self.momentum.unwrap_or(0.0)
    }
}

/// Coordinates that are solved together in long sweeps where nothing is said: with more, the same
/// objective takes longer.
const BLOCK: usize = 64;

/// Multiply-adds of an exact sweep from which it is long: some tenths of a second.
const LONG_SWEEP: f64 = 5e10;

fn check_block(block: usize, factors: usize) -> Result<()> {
    if block <= factors {
        return Ok(());
    }
    Err(Error::settings(format!(
        "--block {block}: there are only {factors} factors to solve together"
    )))
}

/// Ratings up to which a set counts as small.
const SMALL: usize = 2_000_000;

/// A few hundred to a few thousand updates an epoch.
fn default_batch_size(optimizer: Optimizer, ratings: usize) -> usize {
    match optimizer {
        Optimizer::Sgd => 64,
        Optimizer::Adagrad | Optimizer::Adam => {
            (ratings / 256 + 1).next_power_of_two().clamp(256, 32_768)
        }
    }
}

/// Standard deviations from the mean up to which a rating does not upset sgd's step.
const OUTLIER: f64 = 8.0;

/// How far from the mean the farthest rating lies.
fn farthest(ratings: &Ratings) -> f64 {
    let mean = ratings.mean();
    ratings.values.iter().map(|&r| (f64::from(r) - mean).abs()).fold(0.0, f64::max)
}

/// The share of the ratings that the row with the most of them has, on either side.
fn hottest_share(ratings: &Ratings, users: usize, items: usize) -> f64 {
    let most = [(Side::User, users), (Side::Item, items)]
        .into_iter()
        .flat_map(|(side, rows)| ratings.counts(side, rows))
        .max();
    f64::from(most.unwrap_or(0).max(1)) / ratings.len().max(1) as f64
}

/// Three digits, so that a setting can be repeated as it is printed.
fn rounded(x: f64) -> f64 {
    let text = format!("{x:.2e}");
    text.parse().unwrap_or(x)
}
