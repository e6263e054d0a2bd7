//! Sums that do not depend on the number of threads.

use rayon::prelude::*;

/// Terms per block; the blocks depend on the data alone.
const BLOCK: usize = 1 << 14;

/// The sums over `0..count` of `N` terms each, in f64: per block in order, the blocks in order.
pub(super) fn sum<const N: usize>(
    count: usize,
    terms: impl Fn(usize) -> [f64; N] + Sync,
) -> [f64; N] {
    let add = |mut sum: [f64; N], terms: [f64; N]| {
        sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        sum
    };
    let blocks: Vec<[f64; N]> = (0..count.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let from = block * BLOCK;
            let to = count.min(from + BLOCK);
            (from..to).fold([0.0; N], |sum, i| add(sum, terms(i)))
        })
        .collect();
    blocks.into_iter().fold([0.0; N], add)
}
