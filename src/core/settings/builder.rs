//! Options one after the other, for programs.

use super::Options;
use crate::core::{Confidence, Likelihood, Loss, SamplePrecision, Solver};

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = Some($name);
                self
            }
        )*
    };
}

impl Options {
    /// Those of a solver, all else chosen from the data.
    pub fn of(solver: Solver) -> Self {
        Self { solver: Some(solver), ..Self::default() }
    }

    /// Stochastic gradient descent: ratings.
    pub fn sgd() -> Self {
        Self::of(Solver::Sgd)
    }

    /// AdaGrad.
    pub fn adagrad() -> Self {
        Self::of(Solver::Adagrad)
    }

    /// Adam: many ratings on GPUs.
    pub fn adam() -> Self {
        Self::of(Solver::Adam)
    }

    /// Alternating least squares: ratings.
    pub fn als() -> Self {
        Self::of(Solver::Als)
    }

    /// Implicit alternating least squares: what users chose.
    pub fn ials() -> Self {
        Self::of(Solver::Ials)
    }

    /// The Gibbs sampler: ratings, the most accurate, with an uncertainty for every prediction.
    pub fn bayes() -> Self {
        Self::of(Solver::Bayes)
    }

    /// The seed of everything random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Without user and item biases.
    #[must_use]
    pub fn without_biases(mut self) -> Self {
        self.no_bias = true;
        self
    }

    /// Without the global mean.
    #[must_use]
    pub fn without_mean(mut self) -> Self {
        self.no_mean = true;
        self
    }

    /// als, ials: factors of 0 or above.
    #[must_use]
    pub fn nonnegative(mut self) -> Self {
        self.nonnegative = true;
        self
    }

    /// Predictions within the range of the training ratings.
    #[must_use]
    pub fn clip(mut self) -> Self {
        self.clip = true;
        self
    }

    /// sgd, adagrad, adam: batches in the order of the ratings, the same every epoch.
    #[must_use]
    pub fn without_shuffle(mut self) -> Self {
        self.no_shuffle = true;
        self
    }

    setters! {
        /// Number of factors (the latent dimensionality), 1 to 1024; 0 for biases alone.
        factors: usize,
        /// The loss of the gradient solvers.
        loss: Loss,
        /// Passes over the ratings.
        epochs: usize,
        /// Ratings per update.
        batch_size: usize,
        /// Step size of the first epoch.
        learning_rate: f64,
        /// Step size of the biases.
        learning_rate_bias: f64,
        /// Factor by which the step size falls from one epoch to the next.
        learning_rate_decay: f64,
        /// Momentum of sgd.
        momentum: f64,
        /// Regularization of the factors, per rating.
        reg: f64,
        /// Regularization of the biases, per rating.
        reg_bias: f64,
        /// Regularization grows with (ratings of the row)^this.
        reg_exponent: f64,
        /// Regularization of a row's factors, however many its ratings.
        damping: f64,
        /// Regularization of a row's bias, however many its ratings.
        damping_bias: f64,
        /// ials: weight of every pair, listed or not, against 1 of a listed one.
        unobserved_weight: f64,
        /// ials: a listed pair weighs this times its rating instead of 1.
        alpha: f64,
        /// ials: what pairs weigh.
        confidence: Confidence,
        /// als, ials, bayes: coordinates solved (drawn) together.
        block: usize,
        /// bayes: sweeps after burn-in.
        samples: usize,
        /// bayes: sweeps before that.
        burn_in: usize,
        /// bayes: samples kept in the model.
        keep: usize,
        /// bayes: independent chains.
        chains: usize,
        /// bayes: how ratings come about.
        likelihood: Likelihood,
        /// bayes: how samples are stored; 16 bits, unless ratings are too large or too small for it.
        sample_precision: SamplePrecision,
        /// Standard deviation of the factors at the start.
        init_scale: f64,
        /// Stop after so many epochs without a better held-out figure; needs a test set.
        patience: usize,
    }
}
