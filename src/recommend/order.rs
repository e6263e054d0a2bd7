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

/// Those that are not `excluded`, of ascending rows both.
pub(super) fn without(
    scored: impl IntoIterator<Item = Scored>,
    excluded: &[u32],
) -> impl Iterator<Item = Scored> {
    let mut excluded = excluded.iter().peekable();
    scored.into_iter().filter(move |s| excluded.next_if(|&&row| row == s.row).is_none())
}

/// The best `n`, in order.
pub(super) fn best(mut scored: Vec<Scored>, n: usize) -> Vec<Scored> {
    if scored.len() > n {
        if n > 0 {
            scored.select_nth_unstable_by(n - 1, better);
        }
        scored.truncate(n);
        // Many lists wait together: none may hold on to the room of a whole catalogue.
        scored.shrink_to_fit();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_in_order_and_take_no_room_of_others() {
        let scored = |score: f64, row: u32| Scored { row, score };
        let all: Vec<Scored> = (0..1000).map(|row| scored(f64::from(row * 7 % 13), row)).collect();
        let list = best(all.clone(), 3);
        assert_eq!(list, [scored(12.0, 11), scored(12.0, 24), scored(12.0, 37)]);
        assert!(list.capacity() < 10, "{}", list.capacity());
        assert_eq!(best(all.clone(), 0), []);
        assert_eq!(best(all, 2000).len(), 1000);
    }

    #[test]
    fn ranks_count_what_is_better_and_what_is_equal() {
        let scores = [1.0, 2.0, 2.0, 2.0, 5.0];
        assert_eq!(rank(&scores, 2.0, true), [1, 2]);
        assert_eq!(rank(&scores, 2.0, false), [1, 3]);
        assert_eq!(rank(&scores, 3.0, false), [1, 0]);
        assert_eq!(rank(&scores, 9.0, false), [0, 0]);
    }
}
