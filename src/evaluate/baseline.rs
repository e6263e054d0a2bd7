//! What knows no tastes: the mean, and biases of users and items alone. A model is worth what it is ahead
//! of them.

use super::RatingMetrics;
use super::rating::score_metrics;
use crate::core::{Ratings, UNKNOWN};
use crate::model::{Model, Seen};
use crate::predict::Unit;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;

/// Added to the number of ratings of every mean, as in Koren (2010, "Factor in the neighbors", section
/// 2.1): what has one rating keeps a sixth of its deviation.
const DAMPING: f64 = 5.0;

/// Rounds at most; most sets need less than ten.
const ROUNDS: usize = 30;

/// A change of this part of the ratings' deviation is none.
const SETTLED: f64 = 1e-5;

/// Blocks of users whose sums are added in order; a constant, so that threads do not matter.
const BLOCKS: usize = 16;

/// Between what a bias of labels counts as a probability.
const CHANCES: [f64; 2] = [0.01, 0.99];

/// `μ + b_u + c_i` of the training ratings, in their (transformed) unit: damped means of what the other
/// side leaves, by turns until they settle: `b_u = Σ (r − μ − c_i) / (n_u + 5)`, and `c_i` likewise.
#[derive(Clone, Debug, PartialEq)]
pub struct Biases {
    /// `μ`: the mean training rating.
    pub mean: f64,
    /// `b`: (users).
    pub users: Vec<f64>,
    /// `c`: (items).
    pub items: Vec<f64>,
}

impl Biases {
    /// Of training pairs and their values; `None` where the record has no values. The result does not
    /// depend on the number of threads.
    pub fn new(seen: &Seen) -> Option<Self> {
        let values = seen.values()?;
        let n = values.len().max(1) as f64;
        let blocks = Block::cut(seen);
        let sum = |term: &(dyn Fn(f64) -> f64 + Sync)| -> f64 {
            let of = |block: &Block| -> f64 {
                values[block.pairs(seen)].iter().map(|&r| term(f64::from(r))).sum()
            };
            blocks.par_iter().map(of).collect::<Vec<f64>>().iter().sum()
        };
        let mean = sum(&|r| r) / n;
        let settled = SETTLED * (sum(&|r| (r - mean).powi(2)) / n).sqrt();
        let mut counts = vec![0_u32; seen.items()];
        seen.indices().iter().for_each(|&item| counts[item as usize] += 1);
        let mut biases =
            Self { mean, users: vec![0.0; seen.users()], items: vec![0.0; seen.items()] };
        for _ in 0..ROUNDS {
            let users = biases.of_users(seen, values, &blocks);
            let moved = largest_change(&users, &biases.users);
            biases.users = users;
            let items = biases.of_items(seen, values, &blocks, &counts);
            let moved = moved.max(largest_change(&items, &biases.items));
            biases.items = items;
            if moved <= settled {
                break;
            }
        }
        Some(biases)
    }

    /// What is said of a pair; [`UNKNOWN`] on either side leaves its bias out.
    ///
    /// # Panics
    /// If an index is neither `UNKNOWN` nor one of the model's.
    pub fn score(&self, user: u32, item: u32) -> f64 {
        let of = |biases: &[f64], row: u32| if row == UNKNOWN { 0.0 } else { biases[row as usize] };
        self.mean + of(&self.users, user) + of(&self.items, item)
    }

    fn of_users(&self, seen: &Seen, values: &[f32], blocks: &[Block]) -> Vec<f64> {
        let of = |block: &Block| -> Vec<f64> {
            let damped = |user: u32| {
                let pairs = seen.range_of(user);
                let rest = |(&item, &r): (&u32, &f32)| {
                    f64::from(r) - self.mean - self.items[item as usize]
                };
                let sum: f64 = seen.indices()[pairs.clone()]
                    .iter()
                    .zip(&values[pairs.clone()])
                    .map(rest)
                    .sum();
                sum / (pairs.len() as f64 + DAMPING)
            };
            (block.first..block.end).map(damped).collect()
        };
        blocks.par_iter().flat_map_iter(of).collect()
    }

    fn of_items(&self, seen: &Seen, values: &[f32], blocks: &[Block], counts: &[u32]) -> Vec<f64> {
        let of = |block: &Block| {
            let mut sums = vec![0.0; seen.items()];
            for user in block.first..block.end {
                let own = self.mean + self.users[user as usize];
                let pairs = seen.range_of(user);
                for (&item, &r) in seen.indices()[pairs.clone()].iter().zip(&values[pairs]) {
                    sums[item as usize] += f64::from(r) - own;
                }
            }
            sums
        };
        let sums: Vec<Vec<f64>> = blocks.par_iter().map(of).collect();
        let damped = |(item, &count): (usize, &u32)| {
            let sum: f64 = sums.iter().map(|sums| sums[item]).sum();
            sum / (f64::from(count) + DAMPING)
        };
        counts.par_iter().enumerate().map(damped).collect()
    }
}

fn largest_change(new: &[f64], old: &[f64]) -> f64 {
    new.iter().zip(old).fold(0.0, |most, (new, old)| f64::max(most, (new - old).abs()))
}

/// Consecutive users.
struct Block {
    first: u32,
    end: u32,
}

impl Block {
    /// Blocks of about as many pairs each.
    fn cut(seen: &Seen) -> Vec<Self> {
        let (starts, pairs) = (seen.indptr(), seen.pairs());
        let end = |block: usize| match block == BLOCKS {
            true => seen.users(),
            false => starts.partition_point(|&at| (at as usize) < pairs * block / BLOCKS),
        };
        let ends: Vec<u32> =
            (0..=BLOCKS).map(|block| end(block).min(seen.users()) as u32).collect();
        let block = |ends: &[u32]| Block { first: ends[0], end: ends[1].max(ends[0]) };
        let mut blocks: Vec<Self> = ends.windows(2).map(block).collect();
        blocks[0].first = 0;
        blocks
    }

    fn pairs(&self, seen: &Seen) -> std::ops::Range<usize> {
        seen.indptr()[self.first as usize] as usize..seen.indptr()[self.end as usize] as usize
    }
}

/// How well ratings are predicted by what knows no tastes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RatingBaselines {
    /// By [`Biases`].
    pub biases: RatingMetrics,
    /// By the mean training rating: in the unit of the ratings that of these, in the model's unit that of
    /// the transformed ones.
    pub mean: RatingMetrics,
}

/// Holds what knows no tastes against `ratings`, as [`rating_metrics`](super::rating_metrics) holds the
/// model. For logistic loss biases are those of labels, bounded to 0.01 to 0.99.
///
/// # Errors
/// As there; a model of preferences, or training pairs without values or of another model.
pub fn rating_baselines(model: &Model, seen: &Seen, ratings: &Ratings) -> Result<RatingBaselines> {
    model.check()?;
    let (users, items) = (model.factors.users(), model.factors.items());
    if (seen.users(), seen.items()) != (users, items) {
        return Err(Error::data("the training pairs are not those of the model"));
    }
    ratings.check(users, items, true)?;
    if model.objective.is_implicit() {
        return Err(Error::data(
            "preferences have no mean and no biases to be held against; rankings have popularity",
        ));
    }
    let Some(biases) = Biases::new(seen) else {
        return Err(Error::data(
            "the model holds no values of its training ratings (an earlier version trained it), so \
             there are no biases to compare it with; train it again",
        ));
    };
    let is_label = model.unit() == Unit::Probability;
    let in_model = |x: f64| match is_label {
        true => {
            let chance = x.clamp(CHANCES[0], CHANCES[1]);
            (chance / (1.0 - chance)).ln()
        }
        false => x,
    };
    let by_biases = |at: usize| in_model(biases.score(ratings.users[at], ratings.items[at]));
    let by_biases = score_metrics(model, ratings, &by_biases)?;
    let own = in_model(biases.mean);
    let mut mean = score_metrics(model, ratings, &|_| own)?;
    if let (false, Some(raw)) = (is_label, model.facts.mean) {
        let before = model.objective.transform.before_invert(raw);
        let RatingMetrics { rmse, mae, r2, .. } = score_metrics(model, ratings, &|_| before)?;
        mean = RatingMetrics { rmse, mae, r2, ..mean };
    }
    Ok(RatingBaselines { biases: by_biases, mean })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_are_where_their_equations_hold_whatever_the_threads() {
        let mut ratings = Ratings::default();
        for user in 0..40_u32 {
            for item in (0..23).filter(|item| (user * 7 + item * 3) % 4 == 0 && user != 11) {
                ratings.users.push(user);
                ratings.items.push(item);
                ratings.values.push(((user * 5 + item * 11) % 9) as f32 / 2.0);
            }
        }
        let seen = Seen::new(&ratings, 40, 25).unwrap();
        let biases = Biases::new(&seen).unwrap();
        assert!((biases.mean - ratings.mean()).abs() < 1e-12);
        let rest = |keep: &dyn Fn(u32, u32) -> bool| {
            let kept = ratings.iter().filter(|&(user, item, _)| keep(user, item));
            let left = kept.map(|(user, item, r)| f64::from(r) - biases.score(user, item));
            left.collect::<Vec<f64>>()
        };
        // b (n + 5) = Σ (r − μ − c), so the residuals add up to 5 b.
        for user in 0..40 {
            let sum: f64 = rest(&|own, _| own == user).iter().sum();
            assert!((sum - 5.0 * biases.users[user as usize]).abs() < 1e-3, "{user}");
        }
        for item in 0..25 {
            let sum: f64 = rest(&|_, own| own == item).iter().sum();
            assert!((sum - 5.0 * biases.items[item as usize]).abs() < 1e-3, "{item}");
        }
        assert_eq!((biases.users[11], biases.items[24]), (0.0, 0.0));
        assert_eq!(biases.score(UNKNOWN, UNKNOWN), biases.mean);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| Biases::new(&seen)).unwrap(), biases);
        }
        assert_eq!(Biases::new(&Seen::new(&Ratings::default(), 0, 0).unwrap()).unwrap().mean, 0.0);
    }
}
