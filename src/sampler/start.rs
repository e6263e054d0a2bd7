//! Where a chain starts: biases and noise about as large as the ratings say they are.

use crate::core::{Factors, RowRatings, Side, SideRatings};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Parts of the ratings' variance that a side's biases have at the start, at least and at most.
const PARTS: [f64; 2] = [0.01, 0.8];

/// Part of it that the noise has at least.
const LEAST_NOISE: f64 = 0.1;

/// Turns of users' and items' biases, each given the other's.
const TURNS: usize = 5;

/// Draws the biases of `start` given variances that moments of the ratings say, and returns the standard
/// deviation of the noise around them. Of `latent` values, whose noise is 1, ratings are the numbers of
/// their levels: a scale that is good enough to begin with.
///
/// Biases that start at zero stay there where rows have a rating or two: their prior is then drawn so
/// narrow that its variance grows by no more than a rating's share of the noise in a sweep.
pub(super) fn draw_biases(
    ratings: &RowRatings,
    latent: bool,
    start: &mut Factors,
    random: &mut impl Rng,
) -> f64 {
    let values = || ratings.users.values.iter().map(|&value| f64::from(value));
    let count = ratings.users.values.len().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    if !(variance > 0.0 && variance.is_finite()) {
        return 1.0;
    }
    let parts = [Side::User, Side::Item].map(|side| {
        let alike = alike(ratings.side(side), mean) / variance;
        alike.clamp(PARTS[0], PARTS[1]) * variance
    });
    let noise = (variance - parts[0] - parts[1]).max(LEAST_NOISE * variance);
    let mut biases = [ratings.users.rows(), ratings.items.rows()].map(|rows| vec![0.0; rows]);
    for turn in 0..=TURNS {
        for side in [Side::Item, Side::User] {
            let (at, rows) = (side.index(), ratings.side(side));
            let ratio = noise / parts[at];
            for row in 0..rows.rows() {
                let positions = rows.positions(row);
                let n = positions.len() as f64;
                let off = |j: usize| {
                    let partner = biases[1 - at][rows.partners[j] as usize];
                    f64::from(rows.values[j]) - mean - partner
                };
                let mut bias = positions.map(off).sum::<f64>() / (n + ratio);
                if turn == TURNS {
                    let z: f64 = StandardNormal.sample(random);
                    bias += z * (noise / (n + ratio)).sqrt();
                }
                biases[at][row] = bias;
            }
        }
    }
    let unit = if latent { noise.sqrt() } else { 1.0 };
    // Without a mean of its own a model has it in the items' biases.
    let rest = if latent { 0.0 } else { mean - f64::from(start.global_mean) };
    for (side, rest) in [(Side::User, 0.0), (Side::Item, rest)] {
        let biases = biases[side.index()].iter();
        start[side].bias = biases.map(|b| ((b + rest) / unit) as f32).collect();
    }
    noise.sqrt() / unit
}

/// The covariance of two ratings of a row: each row's mean product of two of them, weighted by how many
/// it has beyond one.
fn alike(rows: &SideRatings, mean: f64) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    for row in 0..rows.rows() {
        let positions = rows.positions(row);
        let n = positions.len() as f64;
        if n < 2.0 {
            continue;
        }
        let (mut first, mut second) = (0.0, 0.0);
        for j in positions {
            let off = f64::from(rows.values[j]) - mean;
            first += off;
            second += off * off;
        }
        sum += (first * first - second) / n;
        weight += n - 1.0;
    }
    if weight > 0.0 { sum / weight } else { 0.0 }
}
