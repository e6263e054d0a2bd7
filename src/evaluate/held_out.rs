//! What a training loop asks of a ranking: two numbers.

use super::judged::Judged;
use super::sum::sum;
use crate::backend::{Backend, Candidates};
use crate::core::{Factors, Ratings, Side};
use crate::model::Seen;
use crate::recommend::ExactRanker;
use crate::{Error, Result};

/// Users ranked in one call.
const USERS: usize = 8192;

/// How well held-out pairs are ranked; 0 throughout where no user has any.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HeldOut {
    /// Users that have a held-out item that they have not seen.
    pub users: usize,
    /// Mean over them of the share of their held-out items that the first `n` hold.
    pub recall: f64,
    /// Mean over them of the binary NDCG of the first `n`.
    pub ndcg: f64,
}

/// Ranks all items that each user has not `seen`, and looks for the pairs of `test`, whatever their
/// rating, in the first `n`. Pairs of an unknown id and pairs that were seen count nowhere.
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
    let relevant =
        Judged::new(test, |user, item| seen.items_of(user).binary_search(&item).is_err());
    let users = relevant.users.len();
    if users == 0 {
        return Ok(HeldOut::default());
    }
    let candidates = Candidates {
        factors: factors.factors,
        rows: &factors[Side::Item].factors,
        bias: &factors[Side::Item].bias,
    };
    let ranker = ExactRanker::new(backend, candidates)?;
    let mut metrics = Vec::with_capacity(users);
    for ranked in relevant.users.chunks(USERS) {
        let queries: Vec<f32> =
            ranked.iter().flat_map(|&user| factors.user(user)).copied().collect();
        let excluded: Vec<_> = ranked.iter().map(|&user| seen.items_of(user)).collect();
        for list in ranker.top(&queries, &excluded, n)? {
            let relevant = relevant.items(metrics.len());
            let (mut hits, mut gain) = (0, 0.0);
            for (rank, scored) in (1..).zip(&list) {
                if relevant.binary_search(&scored.row).is_ok() {
                    hits += 1;
                    gain += discount(rank);
                }
            }
            let ideal = ideal_gain(n.min(relevant.len()));
            let ndcg = if ideal > 0.0 { gain / ideal } else { 0.0 };
            metrics.push([f64::from(hits) / relevant.len() as f64, ndcg]);
        }
    }
    let [recall, ndcg] = sum(users, |at| metrics[at]);
    Ok(HeldOut { users, recall: recall / users as f64, ndcg: ndcg / users as f64 })
}

/// `1 / log₂(rank + 1)` (Järvelin and Kekäläinen 2002, in the form of Burges et al. 2005).
pub(super) fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 1.0).log2()
}

/// What a list whose first `most` items are relevant gains.
pub(super) fn ideal_gain(most: usize) -> f64 {
    (1..=most).map(discount).sum()
}
