//! Where training starts: the global mean and random factors.

use crate::core::{Factors, Ids, Loss, Ratings, Settings, Side, SideFactors, Solver};
use crate::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Rows that share one stream of random numbers; a constant, so that threads do not matter.
const ROWS_PER_STREAM: usize = 1024;

/// `μ`: the mean rating, or the log-odds of the mean for logistic loss. 0 without a mean.
///
/// # Errors
/// For logistic loss, ratings other than 0 and 1, or all of one kind.
pub fn global_mean(ratings: &Ratings, settings: &Settings) -> Result<f32> {
    Ok(match settings.loss {
        Loss::Squared if settings.mean => ratings.weighted_mean() as f32,
        Loss::Squared | Loss::Softmax | Loss::Ccl | Loss::Bpr | Loss::Warp => 0.0,
        Loss::Logistic => {
            // Labels that cannot be learned from are refused without a mean too.
            let mean = log_odds(ratings)? as f32;
            if settings.mean { mean } else { 0.0 }
        }
    })
}

/// Ratings above this, either way, have squares of which sums leave what 32 bits hold.
const SQUARES: f32 = 1e18;

/// Makes sure that ratings can be squared on any device, by a solver that fits them.
///
/// # Errors
/// One that cannot: which, and what to do.
pub(super) fn check_squares(
    ratings: &Ratings,
    settings: &Settings,
    (users, items): (&Ids, &Ids),
) -> Result<()> {
    let levels = settings.solver == Solver::Bayes && settings.likelihood.has_levels();
    if settings.is_implicit() || levels {
        return Ok(());
    }
    match ratings.iter().find(|&(_, _, rating)| rating.abs() > SQUARES) {
        Some((user, item, rating)) => Err(Error::data(format!(
            "the rating {rating:e} of item \"{}\" by user \"{}\" has a square beyond 32 bits; bring the \
             ratings to a smaller scale (`transform` zscore or minmax), or leave such lines out \
             (`max_rating`, `min_rating`)",
            items.name(item),
            users.name(user)
        ))),
        None => Ok(()),
    }
}

/// The log-odds of the mean label.
fn log_odds(ratings: &Ratings) -> Result<f64> {
    if let Some((_, _, r)) = ratings.iter().find(|&(_, _, r)| r != 0.0 && r != 1.0) {
        return Err(Error::data(format!(
            "`loss` logistic takes ratings that are 0 or 1, and there is a {r}; use `transform` \
             binary `threshold` X, or `loss` squared"
        )));
    }
    let mean = ratings.mean();
    if mean == 0.0 || mean == 1.0 {
        return Err(Error::data(format!(
            "all training labels are {mean}: `loss` logistic has nothing to tell apart; after \
             `transform` binary move `threshold` into the ratings' range; data that hold only what \
             users liked need `solver` ials"
        )));
    }
    Ok((mean / (1.0 - mean)).ln())
}

/// How often [`damped_biases`] goes round at most: less on large sets, whose rows tell more.
const ROUNDS: usize = 8;

/// Ratings visited in all rounds of it, about.
const VISITS: usize = 20_000_000;

/// Biases that are damped means, alternating between the sides until they stand: what a model without
/// factors ends at, from which the gradient solvers begin where biases are damped. Steps that fall, and
/// those of adam that know only a direction, would leave rows of few ratings short of it. Of labels they
/// are the log-odds of which the cross-entropy is about the square.
pub(super) fn damped_biases(factors: &mut Factors, ratings: &Ratings, settings: &Settings) {
    let mean = f64::from(factors.global_mean);
    // What is fitted, and what the penalty weighs against one rating.
    let (slope, centre) = match settings.loss {
        Loss::Squared => (1.0, mean),
        _ => {
            let share = 1.0 / (1.0 + (-mean).exp());
            (0.5 * share * (1.0 - share), share)
        }
    };
    let unit = if settings.loss == Loss::Squared { 1.0 } else { 2.0 * slope };
    let damping = |n: f64| {
        (settings.reg_bias * n.powf(settings.reg_exponent) + settings.damping_bias) / slope
    };
    let rows = [factors.users(), factors.items()];
    let mut counts = rows.map(|rows| vec![0.0_f64; rows]);
    for (at, (user, item, _)) in ratings.iter().enumerate() {
        let weight = f64::from(ratings.weight(at));
        counts[0][user as usize] += weight;
        counts[1][item as usize] += weight;
    }
    let mut biases = rows.map(|rows| vec![0.0_f64; rows]);
    for _ in 0..(VISITS / ratings.len().max(1)).clamp(2, ROUNDS) {
        let mut moved = 0.0_f64;
        for side in [Side::Item, Side::User] {
            let (own, partner) = (side.index(), side.partner().index());
            let mut sums = vec![0.0; rows[own]];
            for (at, (user, item, value)) in ratings.iter().enumerate() {
                let (row, other) = side.users_first(user, item);
                let left = (f64::from(value) - centre) / unit - biases[partner][other as usize];
                sums[row as usize] += match ratings.weights.get(at) {
                    Some(&weight) => f64::from(weight) * left,
                    None => left,
                };
            }
            for (row, sum) in sums.into_iter().enumerate() {
                let n = counts[own][row];
                let bias = if n > 0.0 { sum / (n + damping(n)) } else { 0.0 };
                moved = moved.max((bias - biases[own][row]).abs());
                biases[own][row] = bias;
            }
        }
        if moved <= STANDS * ratings.spread() / unit {
            break;
        }
    }
    for (side, biases) in factors.sides.iter_mut().zip(biases) {
        side.bias = biases.into_iter().map(|bias| bias as f32).collect();
    }
}

/// Biases stand where none moves by more than this part of the ratings' deviation.
const STANDS: f64 = 1e-3;

/// Factors drawn from N(0, init_scale²), for nonnegative factors their absolute values; biases of
/// zero.
///
/// # Panics
/// If there are more numbers than memory can hold.
pub fn random(users: usize, items: usize, global_mean: f32, settings: &Settings) -> Factors {
    match drawn(users, items, global_mean, settings) {
        Ok(factors) => factors,
        Err(lacking) => panic!("{lacking}"),
    }
}

/// As [`random`], where there may be no memory for it.
///
/// # Errors
/// There is none.
pub(super) fn drawn(
    users: usize,
    items: usize,
    global_mean: f32,
    settings: &Settings,
) -> Result<Factors> {
    let k = settings.factors;
    let draw = |rows: usize, side: u64| {
        let mut drawn = SideFactors::try_zeros(rows, k)?;
        drawn.factors.par_chunks_mut((ROWS_PER_STREAM * k).max(1)).enumerate().for_each(
            |(block, factors)| {
                let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
                random.set_stream(((block as u64) << 2) | side);
                for factor in factors {
                    let z: f64 = StandardNormal.sample(&mut random);
                    let z = if settings.nonnegative { z.abs() } else { z };
                    *factor = (z * settings.init_scale) as f32;
                }
            },
        );
        Ok::<_, Error>(drawn)
    };
    Ok(Factors { factors: k, sides: [draw(users, 1)?, draw(items, 2)?], global_mean })
}
