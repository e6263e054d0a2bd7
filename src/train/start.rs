//! Where training starts: the global mean and random factors.

use crate::core::{Factors, Loss, Ratings, Settings, SideFactors};
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
        Loss::Squared if settings.mean => ratings.mean() as f32,
        Loss::Squared => 0.0,
        Loss::Logistic => {
            // Labels that cannot be learned from are refused without a mean too.
            let mean = log_odds(ratings)? as f32;
            if settings.mean { mean } else { 0.0 }
        }
    })
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

/// Factors drawn from N(0, init_scale²), for nonnegative factors their absolute values; biases of
/// zero.
///
/// # Panics
/// If there are more numbers than memory can hold.
pub fn random(users: usize, items: usize, global_mean: f32, settings: &Settings) -> Factors {
    let k = settings.factors;
    let draw = |rows: usize, side: u64| {
        let mut factors = vec![0.0_f32; rows * k];
        factors.par_chunks_mut((ROWS_PER_STREAM * k).max(1)).enumerate().for_each(
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
        factors
    };
    Factors {
        factors: k,
        sides: [
            SideFactors { factors: draw(users, 1), bias: vec![0.0; users] },
            SideFactors { factors: draw(items, 2), bias: vec![0.0; items] },
        ],
        global_mean,
    }
}
