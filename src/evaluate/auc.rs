//! The area under the ROC curve.

use rayon::prelude::*;

/// The probability that a random positive scores above a random negative, ties counting half:
/// exact, by the rank sum (Mann–Whitney U) with midranks. `None` where one class is missing.
///
/// `scored` holds the score and the label of each rating; it is sorted here. Scores are finite.
pub fn auc(scored: &mut [(f64, bool)]) -> Option<f64> {
    // Equal scores are equal under either order of their labels: ties are taken together below.
    scored.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives) = (0_u128, 0_u128);
    // Twice the number of pairs (positive above negative), ties counting one.
    let mut twice = 0_u128;
    // `==` also ties 0 with −0, which the sort puts side by side.
    for ties in scored.chunk_by(|a, b| a.0 == b.0) {
        let up = ties.iter().filter(|(_, label)| *label).count() as u128;
        let down = ties.len() as u128 - up;
        twice += up * (2 * negatives + down);
        positives += up;
        negatives += down;
    }
    let pairs = positives * negatives;
    (pairs > 0).then(|| twice as f64 / (2.0 * pairs as f64))
}
