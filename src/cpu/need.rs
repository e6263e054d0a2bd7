//! What the passes of the CPU need of memory, from what lays it out.

use super::choices::scratch_bytes;
use super::kernels::lines::Matrix;
use super::kernels::table::Rows;
use super::rows::order::RowOrder;
use crate::backend::Need;
use crate::core::{Settings, Side, Sizes};

/// Beside the problem.
pub(super) fn passes(settings: &Settings, sizes: &Sizes) -> Need {
    let k = settings.factors.max(1);
    Need::host(match settings.solver.optimizer() {
        _ if settings.loss.is_ranking() => choices(settings, sizes, k),
        _ if settings.rating_by_rating() => strata(sizes, k),
        Some(_) => gradient(settings, sizes, k),
        None => rows(settings, sizes, k),
    })
}

/// Parameters and moments, weights of the rows, and what a batch leaves between its passes.
fn gradient(settings: &Settings, sizes: &Sizes, k: usize) -> u64 {
    let matrices = 1 + settings.moments() as u64;
    let of_side = |side| matrices * Rows::bytes(sizes.of(side), k) + 8 * sizes.of(side);
    let batch = settings.batch_size.min(sizes.ratings) as u64;
    let runs = batch.min(sizes.users.min(sizes.items) as u64);
    let scratch = 4 * batch + runs * (Rows::bytes(0, k) + 8);
    Side::BOTH.map(of_side).iter().sum::<u64>() + scratch
}

/// Parameters and moments, and what a batch's kernels leave to one another.
fn choices(settings: &Settings, sizes: &Sizes, k: usize) -> u64 {
    let matrices = 1 + settings.moments() as u64;
    let of_side = |side| matrices * Rows::bytes(sizes.of(side), k);
    let items = sizes.items as u64;
    let pairs = settings.batch_size.min(sizes.ratings.max(1)) as u64;
    let draws = match settings.contrast {
        Some(contrast) => contrast.negatives.draws(pairs as usize, sizes.items) as u64,
        None => pairs,
    };
    let scratch = scratch_bytes(pairs, draws.min(items), items, k, settings.loss.is_dense());
    Side::BOTH.map(of_side).iter().sum::<u64>() + scratch
}

/// Parameters in lines and in the order of their places, while they are laid out twice; penalties.
fn strata(sizes: &Sizes, k: usize) -> u64 {
    let of_side = |side| {
        let rows = sizes.of(side);
        Matrix::bytes(rows, k) + 4 * rows * (k as u64 + 1) + 20 * rows
    };
    Side::BOTH.map(of_side).iter().sum()
}

/// Parameters, and what a thread has to solve rows with. Of the sampler for each chain.
fn rows(settings: &Settings, sizes: &Sizes, k: usize) -> u64 {
    let matrices: u64 = Side::BOTH.map(|side| Matrix::bytes(sizes.of(side), k)).iter().sum();
    let threads = rayon::current_num_threads() as u64;
    let (wide, block) = (k as u64 + 16, settings.block.clamp(1, k) as u64 + 16);
    // Normal equations in 32 bits, of all coordinates and of a block; rows that are gathered.
    let scratch = threads * (4 * wide * wide + 8 * block * block + (1 << 20));
    let hot = if settings.block >= k { RowOrder::hot_bytes(sizes.ratings as u64, k) } else { 0 };
    let chains = settings.chains.max(1) as u64;
    // Squared errors of rows, and sums over them, in 64 bits.
    chains.saturating_mul(matrices) + 16 * sizes.rows() + scratch + hot
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Factors, SideFactors};

    #[test]
    fn bytes_are_those_that_lie_there() {
        for (rows, k) in [(0, 1), (1, 8), (5, 15), (33, 16), (100, 17)] {
            let sides = [SideFactors::zeros(rows, k), SideFactors::zeros(2, k)];
            let factors = Factors { factors: k, sides, global_mean: 0.0 };
            let of = Rows::new(&factors, Side::User).unwrap();
            let bytes = 4 * (of.factors.len() + of.bias.len());
            assert_eq!(Rows::bytes(rows as u64, k), bytes as u64);
            let of = Matrix::new(&factors, Side::User).unwrap();
            let bytes = size_of_val(&of.lines[..]) + size_of_val(&of.bias[..]);
            assert_eq!(Matrix::bytes(rows as u64, k), bytes as u64);
            let sizes = Sizes { users: rows, items: 2, ..Sizes::default() };
            let is: usize =
                factors.sides.iter().map(|s| 4 * (s.factors.len() + s.bias.len())).sum();
            assert_eq!(Factors::bytes(&sizes, k), is as u64);
        }
    }
}
