//! What is chosen from the data where a user says nothing, and why.
//!
//! Measured on parts of the *training* data of MovieLens 100K and 1M, Last.fm 2K and a planted set:
//!
//! - On a processor `sgd` rating by rating, in strata: step 0.045, for biases half of it, 0.88 an
//!   epoch, 30 epochs, from factors of 0.05/√k. Steps of 0.03 to 0.045 with 0.85 to 0.9 and as many epochs as
//!   they are worth (24 to 40) end within 0.001 of it; 20 epochs of steps that fall faster lose 0.003 to 0.005
//!   on MovieLens 100K. Rates of each row's own
//!   that fall with its gradients (Chin et al. 2015) were no sooner at LIBMF's best error on MovieLens 1M than
//!   this one that falls for all, and ended higher. Large sets get it too: on the planted 10 M it ends where adam does
//!   (0.838), in a fifth of the time.
//! - In batches (a GPU, momentum, who gives `batch_size`) a fixed step a rating too (`1.4 · batch / 64`, no
//!   more than the row with the most ratings in a batch bears), 0.93 an epoch, 40 epochs, batch 64. On Last.fm
//!   (`log1p`) adam without damped starts of its biases stops at a relative squared error of 0.38, sgd at
//!   0.337: adam moves a rare row as far on noise as on signal, sgd does not.
//! - Above 2 million ratings where there is a GPU, and where a rating lies more than 8 standard deviations out
//!   (raw plays, on which sgd overshoots), `adam`, batch up to 32,768, rate `0.003 · (batch/256)^0.15`, 0.85 an epoch, 20 epochs: on
//!   the planted 10 M it is at RMSE 0.838 after 6 epochs, sgd at 0.842 after 10 (floor 0.800). The falling
//!   rate is worth 0.015 to 0.02 over a constant one.
//! - Everything chosen scales with the ratings' standard deviation: factors with its root, biases and
//!   regularization with itself, so steps of factors and of biases differ (`learning_rate_bias`).
//!   `tests/library/defaults.rs` trains the same ratings in five units.
//! - The penalty of explicit solvers is `(reg·n + damping)‖x‖² + damping_bias·b²`, in standard deviations
//!   `damping` 4, `reg` and `damping_bias` from a search inside the training set (`shrinkage.rs`). A
//!   penalty per rating alone, which any `reg`, `reg_bias` or `reg_exponent` of the user's asks for, is
//!   behind biases alone wherever rows are short: als by 8 %, sgd by 3 % at ten ratings a row without
//!   factors in the truth. sgd and adam stop short of the optimum and take less of it (`falling`). For them
//!   biases start at damped means, which adam would not reach in 20 epochs where rows are short.
//! - With a penalty per rating alone `reg = 1.1 · (ratings a row)^−0.7`, between 0.04 and 0.08.
//! - In batches a start at 0.1/√k: larger starts lose 0.003 on MovieLens.
//! - als then regularizes more, `0.68 · (ratings a row)^−0.53`, with `reg_bias` 0.05.
//! - als: 15 sweeps. ials: 64 factors, from 200,000 pairs on 128, from 500,000 on 256; `reg` 0.005 and 10
//!   sweeps at 64, `reg` falling with the root of more factors and 7 sweeps; `α₀` so that all pairs together
//!   weigh 15 times the listed ones, times the root of more factors. Last.fm wants more sweeps and fewer
//!   factors than Gowalla; `patience` finds how many.
//! - Exact solutions up to 5·10¹⁰ multiply-adds a sweep (some tenths of a second), else blocks of 64: on
//!   the planted set with 128 factors they reach the objective of implicit's CG after five epochs in 3.4 s,
//!   exact sweeps in 5.5 s, blocks of 16 and 32 in 4.5 s.
//! - Rows with more than 18 ratings for each unit of their regularization are refined once by their
//!   ratings' residuals: sums of normal equations lose up to three digits there, refinement brings them
//!   back for 5 to 30 % of a sweep. als with a `reg` above 0.056 never pays for it, ials for its long rows.
//! - `auto` takes a hardware GPU, but for training in batches below 256 (`GPU_BATCH` of the front door): a
//!   batch is four dispatches that wait for each other, 16 µs on an H100 however few its ratings. At 64
//!   ratings a batch it trains 3.9 M ratings/s where 16 threads train 5.3 M, at 1,024 50 against 8.5, at
//!   8,192 165 against 27 (`benches/results/gpu-h100-steps.md`).

use super::check::check_block;
use super::shrinkage::{DAMPING, Shrinkage, shrinkage};
use super::{Options, Settings, Suits};
use crate::Result;
use crate::core::{Confidence, Likelihood, Loss, Optimizer, Ratings, Side, Solver};

impl Options {
    /// Completes the settings for a training set of `ratings`.
    ///
    /// What is not given is chosen from the data; the head of this file says by which measurements. On a
    /// processor that is sgd, rating by rating; ratings far outside of the others get adam, which does not
    /// overshoot, and so do large sets where there is a GPU, since it keeps its accuracy in large batches.
    ///
    /// # Errors
    /// As [`Options::check`]; ratings of other rows than there are, or that are not finite.
    pub fn resolve(&self, ratings: &Ratings, users: usize, items: usize) -> Result<Settings> {
        self.resolve_for(Suits::SINGLE_RATINGS, ratings, users, items)
    }

    /// As [`resolve`](Self::resolve), for a device that this suits.
    ///
    /// # Errors
    /// As there.
    pub fn resolve_for(
        &self,
        suits: Suits,
        ratings: &Ratings,
        users: usize,
        items: usize,
    ) -> Result<Settings> {
        self.check()?;
        ratings.check(users, items, false)?;
        let n = ratings.len();
        let loss = self.loss.unwrap_or_default();
        if loss.is_ranking() {
            return self.of_ranking(loss, n, (users, items));
        }
        let factors = self.factors.unwrap_or(32);
        // Factors scale with the root of the ratings' spread, the regularization with the spread.
        let spread = match loss {
            Loss::Squared => ratings.spread(),
            // Labels are 0 and 1: nothing to scale by.
            _ => 1.0,
        };
        // 1 without outliers; they upset a step that is proportional to the residual.
        let outlying = (farthest(ratings) / spread / OUTLIER).max(1.0);
        let suited = n <= SMALL || !suits.large_batches;
        let default_solver = if suited && outlying == 1.0 { Solver::Sgd } else { Solver::Adam };
        let solver = self.solver.unwrap_or(default_solver);
        if solver == Solver::Bayes {
            return self.of_sampler(spread, n, (users, items));
        }
        let Some(optimizer) = solver.optimizer() else {
            return self.rows(solver, spread, ratings, (users, items));
        };
        let momentum = self.momentum.unwrap_or(0.0);
        let asked = match self.batch_size {
            Some(size) => size == 0,
            None => suits.single_ratings && momentum == 0.0,
        };
        let strata = optimizer == Optimizer::Sgd && asked;
        let batch_size = match self.batch_size {
            _ if strata => 0,
            Some(size) => size.min(n.max(1)),
            None => default_batch_size(optimizer, n).min(n.max(1)),
        };
        // Of factors and of biases. With r → s·r and p, q → √s·p, √s·q and b, c → s·b, s·c the
        // objective only changes by a factor, and so must every step.
        let (rate, rate_bias) = match optimizer {
            Optimizer::Sgd if strata => {
                let step = STEP / outlying;
                (step / spread, step / 2.0)
            }
            // A fixed step a rating (the mean over the batch is undone), as far as the row with the
            // most ratings in a batch bears it, and the rating that lies farthest out.
            Optimizer::Sgd => {
                let step = (1.4 / 64.0 * batch_size as f64)
                    .min(0.6 / hottest_share(ratings, users, items));
                let step = step / outlying * (1.0 - momentum);
                (step / spread, step)
            }
            Optimizer::Adagrad => (0.05 * spread.sqrt(), 0.05 * spread),
            Optimizer::Adam => {
                let step = 0.003 * (batch_size as f64 / 256.0).powf(0.15);
                (step * spread.sqrt(), step * spread)
            }
        };
        // What is given is taken as it is.
        let learning_rate = self.learning_rate.unwrap_or(rounded(rate));
        let learning_rate_bias =
            self.learning_rate_bias.or(self.learning_rate).unwrap_or(rounded(rate_bias));
        let penalty = match self.penalty_is_free() {
            true => self.shrunk(loss, ratings, (users, items), falling(optimizer, strata)),
            false => {
                let density = n as f64 / (users + items).max(1) as f64;
                let reg = (1.1 * density.powf(-0.7)).clamp(0.04, 0.08) * spread;
                Penalty { reg, reg_bias: 0.02, damping: 0.0, damping_bias: 0.0 }
            }
        };
        let mut others = self.of_every_solver(solver, factors, spread);
        if strata && self.init_scale.is_none() {
            others.init_scale = rounded(others.init_scale / 2.0);
        }
        Ok(Settings {
            loss,
            epochs: self.epochs.unwrap_or(match optimizer {
                Optimizer::Sgd if strata => 30,
                Optimizer::Sgd => 40,
                Optimizer::Adagrad | Optimizer::Adam => 20,
            }),
            batch_size,
            learning_rate,
            learning_rate_bias,
            learning_rate_decay: self.learning_rate_decay.unwrap_or(match optimizer {
                Optimizer::Sgd if strata => 0.88,
                Optimizer::Sgd => 0.93,
                Optimizer::Adagrad => 1.0,
                Optimizer::Adam => 0.85,
            }),
            momentum,
            reg_exponent: self.reg_exponent.unwrap_or(1.0),
            shuffle: !self.no_shuffle,
            ..self.penalized(penalty, !self.no_bias, others)
        })
    }

    /// Whether the solver for so many ratings is chosen by what suits the device.
    pub fn solver_goes_by_device(&self, ratings: usize) -> bool {
        self.solver.is_none() && ratings > SMALL
    }

    /// Whether the penalty is to be chosen whole: nobody who sets a part of it shall get another objective
    /// than he asks for, and where factors have to carry the mean or the biases, nothing says that rows
    /// with few ratings lie near zero.
    fn penalty_is_free(&self) -> bool {
        let set = [self.reg, self.reg_bias, self.reg_exponent].iter().any(Option::is_some);
        !set && !self.no_bias && !self.no_mean && !self.nonnegative
    }

    /// The penalty that the ratings ask for, see [`shrinkage`]; `parts` is what a solver needs of
    /// the factors' `reg` and damping, 1 where it reaches the optimum.
    fn shrunk(
        &self,
        loss: Loss,
        ratings: &Ratings,
        rows: (usize, usize),
        (part, part_damping, least): (f64, f64, f64),
    ) -> Penalty {
        let spread = ratings.spread();
        let Shrinkage { reg, damping_bias } =
            shrinkage(ratings, rows, (ratings.mean(), spread), self.factors != Some(0));
        // Of squares; around its mean, the cross-entropy of labels is half the square of their log-odds
        // times the labels' variance.
        let (unit, unit_bias) = match loss {
            Loss::Squared => (spread, 1.0),
            _ => (0.5 * spread, 0.5 * spread * spread),
        };
        Penalty {
            reg: (part * reg).max(least) * unit,
            reg_bias: 0.0,
            damping: part_damping * DAMPING * unit,
            damping_bias: damping_bias * unit_bias,
        }
    }

    /// `settings` with a penalty where nothing else is given.
    fn penalized(&self, chosen: Penalty, bias: bool, settings: Settings) -> Settings {
        Settings {
            reg: self.reg.unwrap_or(rounded(chosen.reg)),
            damping: self.damping.unwrap_or(rounded(chosen.damping)),
            reg_bias: if bias { self.reg_bias.unwrap_or(chosen.reg_bias) } else { 0.0 },
            damping_bias: match bias {
                true => self.damping_bias.unwrap_or(rounded(chosen.damping_bias)),
                false => 0.0,
            },
            ..settings
        }
    }

    /// The settings of a row solver, for `n` ratings of this standard deviation. It reaches the
    /// optimum, so it wants more regularization than the gradient solvers, whose falling steps stop
    /// short of it. All pairs together weigh about 15 times the listed ones.
    fn rows(
        &self,
        solver: Solver,
        spread: f64,
        ratings: &Ratings,
        rows: (usize, usize),
    ) -> Result<Settings> {
        let (n, users, items) = (ratings.len() as f64, rows.0 as f64, rows.1 as f64);
        let implicit = solver == Solver::Ials;
        let confidence = self.confidence.unwrap_or_default();
        let signed = confidence.is_signed();
        // Whatever the ratings are, ials fits ones.
        let spread = if implicit { 1.0 } else { spread };
        let free = !implicit && !self.nonnegative;
        let chosen = if implicit { implicit_factors(n) } else { 32 };
        let factors = self.factors.unwrap_or(chosen);
        // With more factors unobserved pairs are told from the others too well.
        let more = (factors as f64 / 64.0).clamp(1.0, 4.0).sqrt();
        let a_row = n / (users + items).max(1.0);
        let unobserved_weight = (15.0 * more * n / (users * items).max(1.0)).clamp(1e-3, 1.0);
        let penalty = if signed {
            Penalty { reg: HU_REG, reg_bias: 0.0, damping: 0.0, damping_bias: 0.0 }
        } else if implicit {
            Penalty { reg: 0.005 / more, reg_bias: 0.0, damping: 0.0, damping_bias: 0.0 }
        } else if self.penalty_is_free() {
            self.shrunk(Loss::Squared, ratings, rows, (1.0, 1.0, 0.0))
        } else {
            let reg = (0.68 * a_row.powf(-0.53)).clamp(0.03, 0.15) * spread;
            Penalty { reg, reg_bias: 0.05, damping: 0.0, damping_bias: 0.0 }
        };
        let k = factors as f64;
        let exact_sweep = n * k * k + (users + items) * k * k * k / 6.0;
        let block = self.block.unwrap_or(match self.nonnegative || exact_sweep < LONG_SWEEP {
            true => factors.max(1),
            false => factors.clamp(1, BLOCK),
        });
        check_block(block, factors)?;
        Ok(Settings {
            bias: free && !self.no_bias,
            mean: free && !self.no_mean,
            epochs: self.epochs.unwrap_or(match implicit {
                true if factors > 64 => 7,
                true => 10,
                false => 15,
            }),
            reg_exponent: self.reg_exponent.unwrap_or(if signed { 0.0 } else { 1.0 }),
            unobserved_weight: match implicit {
                true if signed => 1.0,
                true => self.unobserved_weight.unwrap_or(rounded(unobserved_weight)),
                false => 0.0,
            },
            alpha: self.alpha.or(signed.then_some(HU_ALPHA)),
            confidence,
            block,
            nonnegative: self.nonnegative,
            ..self.penalized(
                penalty,
                free && !self.no_bias,
                self.of_every_solver(solver, factors, spread),
            )
        })
    }

    /// What settings have whatever the solver, and nothing of what only some have.
    pub(super) fn of_every_solver(&self, solver: Solver, factors: usize, spread: f64) -> Settings {
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
            damping: 0.0,
            damping_bias: 0.0,
            unobserved_weight: 0.0,
            alpha: None,
            confidence: Confidence::Rendle,
            block: 0,
            nonnegative: false,
            samples: 0,
            burn_in: 0,
            keep: 0,
            chains: 0,
            likelihood: Likelihood::Gaussian,
            clip: self.clip,
            sample_precision: None,
            init_scale: self
                .init_scale
                .unwrap_or(rounded(0.1 * spread.sqrt() / (factors.max(1) as f64).sqrt())),
            patience: self.patience,
            seed: self.seed,
            shuffle: false,
            contrast: None,
        }
    }
}

/// The four numbers of a penalty.
struct Penalty {
    reg: f64,
    reg_bias: f64,
    damping: f64,
    damping_bias: f64,
}

/// Factors of ials for so many pairs: a large set has more to say of each row.
fn implicit_factors(pairs: f64) -> usize {
    match pairs {
        ..200_000.0 => 64,
        ..500_000.0 => 128,
        _ => 256,
    }
}

/// What a value is multiplied by, and the regularization, of Hu's objective: those of implicit.
const HU_ALPHA: f64 = 1.0;
const HU_REG: f64 = 0.01;

/// Coordinates that are solved together in long sweeps where nothing is said: with more, the same
/// objective takes longer.
const BLOCK: usize = 64;

/// Multiply-adds of an exact sweep from which it is long: some tenths of a second.
const LONG_SWEEP: f64 = 5e10;

/// The parts of an exact solver's `reg` and `damping` that a gradient solver needs, whose falling steps stop
/// short of the optimum, and the least `reg` that suits it.
fn falling(optimizer: Optimizer, strata: bool) -> (f64, f64, f64) {
    match optimizer {
        Optimizer::Sgd if strata => (0.75, 0.5, 0.045),
        Optimizer::Sgd => (0.85, 0.5, 0.045),
        Optimizer::Adam => (0.85, 0.75, 0.045),
        Optimizer::Adagrad => (1.0, 1.0, 0.045),
    }
}

/// The step of sgd rating by rating, for ratings of unit deviation; biases, which start at damped means, take
/// half of it.
const STEP: f64 = 0.045;

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

/// Three digits of what was chosen, so that it can be repeated as it is printed.
pub(super) fn rounded(x: f64) -> f64 {
    let text = format!("{x:.2e}");
    text.parse().unwrap_or(x)
}
