//! The loss of a set of ratings. The twin of `shaders/error.wgsl`.

use super::table::Table;
use super::vector::{cross_entropy, dot};
use crate::core::{Loss, Ratings, UNKNOWN};
use rayon::prelude::*;

/// Ratings whose losses are summed together, whatever the number of threads.
const BLOCK: usize = 4096;

/// Sum of the loss over `ratings`; an unknown row counts with zeros, so that the means that are
/// known predict alone.
pub(crate) fn error(
    arch: pulp::Arch,
    users: Table,
    items: Table,
    global_mean: f32,
    loss: Loss,
    ratings: &Ratings,
) -> f64 {
    let known = |row: u32, rows: Table| {
        if row == UNKNOWN { rows.bias.len() as u32 - 1 } else { row }
    };
    let block_loss = |block: usize| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(ratings.len());
        let mut sum = 0.0;
        for j in range {
            let user = known(ratings.users[j], users);
            let item = known(ratings.items[j], items);
            let prediction = global_mean
                + users.bias[user as usize]
                + items.bias[item as usize]
                + dot(users.row(user), items.row(item));
            sum += f64::from(match loss {
                Loss::Squared => (ratings.values[j] - prediction).powi(2),
                _ => cross_entropy(prediction, ratings.values[j]),
            });
        }
        sum
    };
    let blocks: Vec<f64> = (0..ratings.len().div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| arch.dispatch(|| block_loss(block)))
        .collect();
    blocks.iter().sum()
}
