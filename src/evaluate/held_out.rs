//! What a training loop asks of a ranking: two numbers.

use super::judged::Judged;
use super::one_order::OneOrder;
use super::sum::sum;
use crate::backend::{Backend, Candidates};
use crate::core::{Factors, Ratings, Side};
use crate::model::Seen;
use crate::recommend::{ExactRanker, Scored};
use crate::{Error, Result};
use rayon::prelude::*;

/// Users ranked in one call.
const USERS: usize = 8192;

/// How well held-out pairs are ranked; 0 throughout where no user has any.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HeldOut {
    /// Users that were ranked: each has a held-out item that he has not seen.
    pub users: usize,
    /// Mean over them of the share of their held-out items that the first `n` hold.
    pub recall: f64,
    /// Mean over them of the binary NDCG of the first `n`.
    pub ndcg: f64,
}

/// Ranks all items that each user has not `seen`, and looks for the pairs of `test` whose
/// (transformed) rating is above 0, what implicit data take for a sign of liking, in the first `n`. Pairs
/// of an unknown id and pairs that were seen count nowhere.
///
/// `recall = hits / |held out|` and `ndcg = Σ_(hits) 1/log₂(rank + 1) / Σ_(j ≤ min(n, |held out|))
/// 1/log₂(j + 1)`, as He et al. (2020, "LightGCN") compute them.
///
/// # Errors
/// Factors that do not fit each other or are not finite; `seen` or `test` of another model; items that do not fit the device; a
/// lost device.
pub fn held_out_ranking(
    backend: &dyn Backend,
    factors: &Factors,
    seen: &Seen,
    test: &Ratings,
    n: usize,
) -> Result<HeldOut> {
    let sizes = (factors.users(), factors.items());
    if (seen.users(), seen.items()) != sizes {
        return Err(Error::data("the training pairs are not those of the model"));
    }
    factors.check(sizes.0, sizes.1, factors.factors)?;
    test.check(sizes.0, sizes.1, true)?;
    HeldOutPairs::new(seen, test).rank(backend, factors, seen, n)
}

/// Held-out pairs that can be ranked: of known ids, not seen, with a (transformed) rating above 0.
pub(crate) struct HeldOutPairs {
    relevant: Judged,
}

impl HeldOutPairs {
    /// Those of `test`, whose indices are those of `seen`.
    pub(crate) fn new(seen: &Seen, test: &Ratings) -> Self {
        let relevant = Judged::new(test, |user, item| !seen.contains(user, item));
        Self { relevant: relevant.part(|rating| rating > 0.0) }
    }

    /// How many users have such pairs.
    pub(crate) fn users(&self) -> usize {
        self.relevant.users.len()
    }

    /// The pairs of about so many users, evenly spaced among all.
    pub(crate) fn some(&self, users: usize) -> Self {
        let (all, most) = (self.users(), users.clamp(1, self.users().max(1)));
        let chosen = (0..most).map(|at| at * all / most).filter(|&at| at < all);
        Self { relevant: self.relevant.of_users(chosen) }
    }

    /// Ranks by a model's factors, as [`held_out_ranking`].
    pub(crate) fn rank(
        &self,
        backend: &dyn Backend,
        factors: &Factors,
        seen: &Seen,
        n: usize,
    ) -> Result<HeldOut> {
        if self.users() == 0 {
            return Ok(HeldOut::default());
        }
        let candidates = Candidates {
            factors: factors.factors,
            rows: &factors[Side::Item].factors,
            bias: &factors[Side::Item].bias,
        };
        let ranker = ExactRanker::new(backend, candidates)?;
        let mut metrics = Vec::with_capacity(self.users());
        for ranked in self.relevant.users.chunks(USERS) {
            let queries: Vec<f32> =
                ranked.iter().flat_map(|&user| factors.user(user)).copied().collect();
            let excluded: Vec<_> = ranked.iter().map(|&user| seen.items_of(user)).collect();
            for list in ranker.top(&queries, &excluded, n)? {
                metrics.push(self.judge(metrics.len(), &list, n));
            }
        }
        Ok(mean(&metrics))
    }

    /// Ranks by the number of training pairs above 0, the same order for all.
    pub(crate) fn rank_by_popularity(&self, seen: &Seen, n: usize) -> HeldOut {
        let mut counts = vec![0_u32; seen.items()];
        let count = |(at, &item): (usize, &u32)| {
            let liked = seen.values().is_none_or(|values| values[at] > 0.0);
            counts[item as usize] += u32::from(liked);
        };
        seen.indices().iter().enumerate().for_each(count);
        let scores: Vec<f32> = counts.into_iter().map(|count| count as f32).collect();
        let order = OneOrder::new(&scores);
        let users = self.relevant.users.par_iter().enumerate();
        let judged = users.map(|(at, &user)| self.judge(at, &order.top(seen.items_of(user), n), n));
        mean(&judged.collect::<Vec<_>>())
    }

    /// Recall and NDCG of the list of the `at`-th user.
    fn judge(&self, at: usize, list: &[Scored], n: usize) -> [f64; 2] {
        let relevant = self.relevant.items(at);
        let (mut hits, mut gain) = (0, 0.0);
        for (rank, scored) in (1..).zip(list) {
            if relevant.binary_search(&scored.row).is_ok() {
                hits += 1;
                gain += discount(rank);
            }
        }
        let ideal = ideal_gain(n.min(relevant.len()));
        let ndcg = if ideal > 0.0 { gain / ideal } else { 0.0 };
        [f64::from(hits) / relevant.len() as f64, ndcg]
    }
}

fn mean(metrics: &[[f64; 2]]) -> HeldOut {
    let users = metrics.len();
    let [recall, ndcg] = sum(users, |at| metrics[at]);
    let count = users.max(1) as f64;
    HeldOut { users, recall: recall / count, ndcg: ndcg / count }
}

/// `1 / log₂(rank + 1)` (Järvelin and Kekäläinen 2002, in the form of Burges et al. 2005).
pub(super) fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 1.0).log2()
}

/// What a list whose first `most` items are relevant gains.
pub(super) fn ideal_gain(most: usize) -> f64 {
    (1..=most).map(discount).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratings(triples: &[(u32, u32, f32)]) -> Ratings {
        Ratings {
            users: triples.iter().map(|triple| triple.0).collect(),
            items: triples.iter().map(|triple| triple.1).collect(),
            values: triples.iter().map(|triple| triple.2).collect(),
            timestamps: vec![],
            weights: vec![],
        }
    }

    #[test]
    fn some_users_are_spaced_evenly_among_those_with_pairs() {
        let seen = Seen::new(&Ratings::default(), 12, 20).unwrap();
        // All but user 3, whose pair is no sign of liking.
        let all: Vec<_> =
            (0..12).map(|user| (user, user + 1, if user == 3 { 0.0 } else { 1.0 })).collect();
        let pairs = HeldOutPairs::new(&seen, &ratings(&all));
        assert_eq!(pairs.users(), 11);
        let some = |most: usize| pairs.some(most).relevant;
        assert_eq!(some(4).users, [0, 2, 6, 9]);
        assert_eq!((some(4).items(2), some(4).values(3)), (&[7][..], &[1.0][..]));
        for most in [11, 12, usize::MAX] {
            assert_eq!(some(most), pairs.relevant);
        }
        assert_eq!(some(0).users, [0]);
    }

    #[test]
    fn popularity_counts_what_was_liked_and_lists_nothing_seen() {
        let mut train: Vec<_> = (0..5).map(|user| (user, 11, 2.0)).collect();
        // Shown to many, liked by nobody.
        train.extend((0..8).map(|user| (user, 10, 0.0)));
        train.push((9, 4, 1.0));
        let seen = Seen::new(&ratings(&train), 10, 12).unwrap();
        let rank = |test: &[(u32, u32, f32)], n| {
            let pairs = HeldOutPairs::new(&seen, &ratings(test));
            let HeldOut { users, recall, ndcg } = pairs.rank_by_popularity(&seen, n);
            (users, recall, ndcg)
        };
        assert_eq!(rank(&[(7, 11, 1.0), (8, 10, 1.0)], 1), (2, 0.5, 0.5));
        // 11 stands first, 4 second, and for whoever has seen 11 first.
        assert_eq!(rank(&[(6, 4, 1.0)], 2), (1, 1.0, 1.0 / 3.0_f64.log2()));
        assert_eq!(rank(&[(2, 4, 1.0)], 2), (1, 1.0, 1.0));
        assert_eq!(rank(&[(2, 11, 1.0)], 9), (0, 0.0, 0.0));
    }
}
