//! What stands in for a row that nobody knows: what a row's own partners are like.
//!
//! People do not rate at random: the films that somebody has rated tell what other films he rates, and his
//! mean over them is a better guess for a film that nobody has rated yet than what he adds to all films'
//! mean. On MovieLens 1M, whole films held out, the RMSE is 1.026 by the former, 1.050 by the latter; whole
//! users held out, 0.988 against 0.991.

use super::Model;
use crate::core::{Factors, Objective, Ratings, Side, UNKNOWN};
use crate::math::product::inner;
use rayon::prelude::*;

/// (rows) of each side: the mean of `c_i + p_u·q_i` over a user's training ratings, and of `b_u + p_u·q_i`
/// over an item's, damped as their biases are.
pub(crate) fn typical(
    factors: &Factors,
    objective: &Objective,
    ratings: &Ratings,
) -> [Vec<f32>; 2] {
    if !objective.bias || objective.is_bayesian() || objective.is_implicit() {
        return Default::default();
    }
    let pairs = (&ratings.users[..], &ratings.items[..]);
    Side::BOTH.map(|side| of_side(factors, objective, side, pairs))
}

/// Ratings whose scores are in memory at once.
const AT_ONCE: usize = 1 << 20;

/// The same of one side, from the users and the items of the ratings; 0 for rows without ratings.
fn of_side(
    factors: &Factors,
    objective: &Objective,
    side: Side,
    (users, items): (&[u32], &[u32]),
) -> Vec<f32> {
    let rows = factors[side].rows();
    let (mut sums, mut counts) = (vec![0.0_f64; rows], vec![0_u32; rows]);
    let pairs = users.chunks(AT_ONCE).zip(items.chunks(AT_ONCE));
    for (users, items) in pairs {
        let score = |(&user, &item): (&u32, &u32)| {
            let (_, partner) = side.users_first(user, item);
            let bias = f64::from(factors[side.partner()].bias[partner as usize]);
            bias + inner(factors.user(user), factors.item(item))
        };
        let scores: Vec<f64> = users.par_iter().zip(items).map(score).collect();
        let (own, _) = side.users_first(users, items);
        for (&row, score) in own.iter().zip(scores) {
            sums[row as usize] += score;
            counts[row as usize] += 1;
        }
    }
    let mean = |(sum, n): (f64, u32)| {
        let (_, damping) = objective.regularization(n as usize, 0);
        if n == 0 { 0.0 } else { (sum / (f64::from(n) + damping)) as f32 }
    };
    sums.into_iter().zip(counts).map(mean).collect()
}

impl Model {
    /// Finds anew what is typical of some rows of a side, of which these are the users and the items of all
    /// ratings.
    pub(crate) fn renew_typical(&mut self, side: Side, rows: &[u32], ratings: (&[u32], &[u32])) {
        if self.typical.iter().all(Vec::is_empty) {
            return;
        }
        let mut anew = of_side(&self.factors, &self.objective, side, ratings);
        let typical = &mut self.typical[side.index()];
        typical.resize(self.factors[side].rows(), 0.0);
        for &row in rows {
            // Of a model that is as large as 32 bits allow.
            let mean = std::mem::take(&mut anew[row as usize]);
            typical[row as usize] = mean.clamp(f32::MIN, f32::MAX);
        }
    }

    /// The score `r̂` of a pair, in the unit of the transformed training ratings. Where
    /// [`UNKNOWN`] stands for one of its rows, the other's typical partner stands in for it.
    ///
    /// # Panics
    /// If an index is neither `UNKNOWN` nor one of the model's.
    pub fn score(&self, user: u32, item: u32) -> f64 {
        let of = |side: Side, row: u32| {
            let typical = self.typical[side.index()].get(row as usize);
            typical.map_or(0.0, |&typical| f64::from(typical))
        };
        let stands_in = match (user, item) {
            (UNKNOWN, UNKNOWN) => 0.0,
            (user, UNKNOWN) => of(Side::User, user),
            (UNKNOWN, item) => of(Side::Item, item),
            _ => 0.0,
        };
        self.factors.score(user, item) + stands_in
    }
}
