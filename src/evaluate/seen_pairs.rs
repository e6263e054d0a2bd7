//! Test pairs that a model was trained on: its error on them says nothing of new ones.

use crate::core::Ratings;
use crate::model::Seen;

/// How many of the `test` pairs, in the indices of the model or unknown, are training pairs.
pub fn seen_pairs(seen: &Seen, test: &Ratings) -> usize {
    test.iter().filter(|&(user, item, _)| seen.contains(user, item)).count()
}

/// Takes the training pairs out of `test`; how many there were.
///
/// # Panics
/// If the arrays are not of one length, see [`Ratings::check`].
pub fn leave_out_seen(seen: &Seen, test: &mut Ratings) -> usize {
    let before = test.len();
    let new: Vec<bool> = test.iter().map(|(user, item, _)| !seen.contains(user, item)).collect();
    test.retain(|at| new[at]);
    before - test.len()
}
