//! The order of a list: best first, equal scores by lower row.

use std::cmp::Ordering;

/// A candidate in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scored {
    /// The candidate's row.
    pub row: u32,
    /// Its score, in f64: of products `bias + query · row`, summed in order of the factors.
    pub score: f64,
}

/// What stands first in a list. No score may be −0.
pub(super) fn better(a: &Scored, b: &Scored) -> Ordering {
    b.score.total_cmp(&a.score).then(a.row.cmp(&b.row))
}

/// The best `n`, in order.
pub(super) fn best(mut scored: Vec<Scored>, n: usize) -> Vec<Scored> {
    if scored.len() > n {
        if n > 0 {
            scored.select_nth_unstable_by(n - 1, better);
        }
        scored.truncate(n);
    }
    scored.sort_unstable_by(better);
    scored
}

/// How many of all `scores` (ascending) are better than this one, and how many equal; `itself` where
/// it is one of them.
pub(super) fn rank(scores: &[f64], score: f64, itself: bool) -> [u64; 2] {
    let worse = scores.partition_point(|&other| other < score);
    let not_better = scores.partition_point(|&other| other <= score);
    let equal = ((not_better - worse) as u64).saturating_sub(itself.into());
    [(scores.len() - not_better) as u64, equal]
}
