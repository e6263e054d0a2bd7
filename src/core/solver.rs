//! The solvers.

use serde::{Deserialize, Serialize};

/// How factors are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// Stochastic gradient descent, with `momentum` if wanted.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum SamplePrecision {
    /// 16 bits for factors: half the size, no change in the fourth digit of a prediction.
    F16,
    /// 32 bits.
    #[default]
    F32,
}

impl SamplePrecision {
    /// Bytes of the file of `samples` samples of `users` × `items` rows with `k` factors, but for
    /// some hundreds of its header.
    pub fn file_bytes(self, samples: usize, (users, items): (usize, usize), k: usize) -> u64 {
        let factor = match self {
            SamplePrecision::F16 => 2,
            SamplePrecision::F32 => 4,
        };
        let wide = k as u64 + 1;
        let (users, items) = (users as u64, items as u64);
        let rows = (users + items) * (k as u64 * factor + 4);
        let one = rows + (users + 1) * 4 + 2 * 8 * wide * (wide + 2) + 2 * 8;
        samples as u64 * one
    }
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
