//! What a user may set, and what training does with it.

use crate::core::{Confidence, Likelihood, Loss, SamplePrecision, Solver};
use serde::{Deserialize, Serialize};

mod bayes;
mod builder;
mod check;
mod contrast;
mod defaults;
mod negatives;
mod shrinkage;

pub use contrast::{Contrast, ContrastOptions, Score};
pub use negatives::Negatives;

/// Settings of a training run as a user gives them: what is `None` is chosen from the data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Model and solver"))]
#[serde(default)]
pub struct Options {
    /// Number of factors (latent dimensionality), 1 to 1024; 0 for biases alone
    #[cfg_attr(feature = "cli", arg(long, value_name = "K"))]
    pub factors: Option<usize>,
    /// Leave out user and item biases
    #[cfg_attr(feature = "cli", arg(long))]
    pub no_bias: bool,
    /// Leave out the global mean
    #[cfg_attr(feature = "cli", arg(long))]
    pub no_mean: bool,
    /// squared for ratings, plays, minutes; logistic for 0 and 1; softmax, ccl, bpr and warp rank what
    /// users chose above what they did not
    #[cfg_attr(feature = "cli", arg(long, value_enum))]
    pub loss: Option<Loss>,
    /// How factors are learned
    #[cfg_attr(feature = "cli", arg(long, value_enum))]
    pub solver: Option<Solver>,
    /// Passes over the ratings
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub epochs: Option<usize>,
    /// Ratings per update; large is faster on a GPU, small learns more per epoch. Of sgd 0 goes rating by
    /// rating, on the CPU, which is the fastest there
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub batch_size: Option<usize>,
    /// Step size of the first epoch
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub learning_rate: Option<f64>,
    /// Step size of the biases; default: that of the factors where it is given
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub learning_rate_bias: Option<f64>,
    /// Factor by which the step size falls from one epoch to the next; 1 keeps it
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub learning_rate_decay: Option<f64>,
    /// Momentum of sgd, kept per touched row; kept by batches
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub momentum: Option<f64>,
    /// Regularization of the factors, per rating
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub reg: Option<f64>,
    /// Regularization of the biases, per rating
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub reg_bias: Option<f64>,
    /// Regularization grows with (ratings of the row)^X: 1 is weighted lambda, 0 plain ridge
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub reg_exponent: Option<f64>,
    /// Regularization of a row's factors however many its ratings, which one rating feels as much as a
    /// thousand; 0 where --reg, --reg-bias or --reg-exponent is given
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub damping: Option<f64>,
    /// The same of biases: X ratings of 0 added to each row's, as in damped means; 0 where --reg,
    /// --reg-bias or --reg-exponent is given
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub damping_bias: Option<f64>,
    /// ials: weight of every pair, listed or not, against 1 of a listed one
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub unobserved_weight: Option<f64>,
    /// ials: a listed pair weighs X times its rating (plays, minutes) instead of 1
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub alpha: Option<f64>,
    /// ials: what pairs weigh. hu: a listed one --alpha times its value, an unlisted one 1, as in implicit,
    /// and values below 0 are dislikes
    #[cfg_attr(feature = "cli", arg(long, value_enum))]
    pub confidence: Option<Confidence>,
    /// als, ials, bayes: coordinates solved (bayes: drawn) together; the number of factors is exact, less
    /// is faster where factors are many (iALS++, Rendle et al. 2021). Default: exact, in long sweeps 64
    /// at most
    #[cfg_attr(feature = "cli", arg(long, value_name = "D"))]
    pub block: Option<usize>,
    /// als, ials: factors of 0 or above, for parts-based factors; without biases and mean
    #[cfg_attr(feature = "cli", arg(long))]
    pub nonnegative: bool,
    /// bayes: sweeps after burn-in, over which predictions are averaged (300)
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub samples: Option<usize>,
    /// bayes: sweeps before that, until the sampler has settled (50)
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub burn_in: Option<usize>,
    /// bayes: samples kept in the model, thinned evenly (as many as fit 64 MiB, but 40 at least)
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub keep: Option<usize>,
    /// bayes: independent chains run side by side, whose agreement tells whether they have settled (1)
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub chains: Option<usize>,
    /// bayes: how ratings come about: with Gaussian noise, or as levels of a latent value (two
    /// with probit, any number with ordinal)
    #[cfg_attr(feature = "cli", arg(long, value_enum))]
    pub likelihood: Option<Likelihood>,
    /// Bound predictions to the range of the training ratings. Lists keep the order of the scores as
    /// they are, so that bounds tie nothing; of bayes every sample is bounded before the mean
    #[cfg_attr(feature = "cli", arg(long))]
    pub clip: bool,
    /// bayes: how samples are stored (f16, unless ratings are too large or too small for it)
    #[cfg_attr(feature = "cli", arg(long, value_enum))]
    pub sample_precision: Option<SamplePrecision>,
    /// Standard deviation of the factors at the start
    #[cfg_attr(feature = "cli", arg(long, value_name = "X"))]
    pub init_scale: Option<f64>,
    /// Stop after N epochs without a better held-out error; the best epoch is kept (bayes: the average
    /// of all sweeps)
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub patience: Option<usize>,
    /// Seed of everything random: the held-out part, the start, the batches
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 0))]
    pub seed: u64,
    /// Batches in file order, the same every epoch; rating by rating, those of each block
    #[cfg_attr(feature = "cli", arg(long))]
    pub no_shuffle: bool,
    /// Settings of the losses made for ranking.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub contrast: ContrastOptions,
}

/// What kinds of training suit a device, for settings that leave it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suits {
    /// Whether sgd goes rating by rating where neither `batch_size` nor `momentum` is given.
    pub single_ratings: bool,
    /// Whether sets of more than 2 million ratings get adam, in large batches, where no solver is given.
    pub large_batches: bool,
}

impl Suits {
    /// A processor.
    pub const SINGLE_RATINGS: Self = Self { single_ratings: true, large_batches: false };
    /// A GPU.
    pub const LARGE_BATCHES: Self = Self { single_ratings: false, large_batches: true };
    /// A GPU beside a processor.
    pub const BOTH: Self = Self { single_ratings: true, large_batches: true };
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
    /// Ratings per update; 0 for the row solvers, and for sgd where it goes rating by rating.
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
    /// Regularization of a row's factors, however many its ratings.
    #[serde(default, skip_serializing_if = "is_default")]
    pub damping: f64,
    /// Regularization of a row's bias, however many its ratings.
    #[serde(default, skip_serializing_if = "is_default")]
    pub damping_bias: f64,
    /// `α₀` of ials: the weight of every pair; 0 for the other solvers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unobserved_weight: f64,
    /// What a rating is multiplied by to become the weight of its pair in ials; `None` weighs 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alpha: Option<f64>,
    /// What pairs weigh in ials.
    #[serde(default, skip_serializing_if = "is_default")]
    pub confidence: Confidence,
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
    /// Settings of a loss made for ranking; nothing for the other losses.
    #[serde(default, skip_serializing_if = "is_default")]
    pub contrast: Option<Contrast>,
}

/// Blocks below this go round twice.
const SMALL_BLOCK: usize = 16;

impl Settings {
    /// How often a sweep solves a side before the other's turn: once where that is exact. Small blocks
    /// go round twice: once leaves a row too far from its optimum to reach an exact solver's objective.
    pub fn rounds(&self) -> usize {
        let small = self.block < SMALL_BLOCK.min(self.factors);
        if small && !self.nonnegative { 2 } else { 1 }
    }

    /// Whether gradient descent goes rating by rating, in strata (see [`Strata`](crate::core::Strata)),
    /// instead of in batches.
    pub fn rating_by_rating(&self) -> bool {
        self.solver == Solver::Sgd && self.batch_size == 0
    }

    /// Whether ratings are signs of what users chose, and a model is judged by its lists.
    pub fn is_implicit(&self) -> bool {
        self.solver == Solver::Ials || self.loss.is_ranking()
    }

    /// Arrays of moments a gradient solver keeps beside the parameters: 0, 1 or 2.
    pub fn moments(&self) -> usize {
        match self.solver {
            // As the devices take it, in 32 bits.
            Solver::Sgd if self.momentum as f32 > 0.0 => 1,
            Solver::Adagrad => 1,
            Solver::Adam => 2,
            Solver::Sgd | Solver::Als | Solver::Ials | Solver::Bayes => 0,
        }
    }

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

    /// How many sweeps lie between samples that are kept once `sweep` is done, where `patience` lets
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
