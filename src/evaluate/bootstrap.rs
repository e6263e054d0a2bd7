//! Intervals of means by the bootstrap (Efron 1979; percentile intervals as in Efron and Tibshirani
//! 1993, "An introduction to the bootstrap", chapter 13).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How often the users are drawn anew, with replacement.
pub(super) const RESAMPLES: u64 = 1000;

/// The seed of the draws: equal data have equal intervals.
pub(super) const SEED: u64 = 0;

/// A mean over users.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The 2.5th percentile of the means of 1000 bootstrap samples of the users.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
}

/// The means of the columns of `values`, (users, width) row-major, NaN where a user has no value;
/// a column without any gives NaN. The result does not depend on the number of threads.
pub(super) fn estimates(values: &[f64], width: usize) -> Vec<Estimate> {
    let users = values.len() / width;
    // A user without a value adds nothing to the sum and nothing to the count behind it.
    let columns: Vec<usize> =
        (0..width).filter(|&c| values.iter().skip(c).step_by(width).any(|x| x.is_nan())).collect();
    let row_width = width + columns.len();
    let mut rows = Vec::with_capacity(users * row_width);
    for row in values.chunks_exact(width) {
        rows.extend(row.iter().map(|&x| if x.is_nan() { 0.0 } else { x }));
        rows.extend(columns.iter().map(|&c| f64::from(u8::from(!row[c].is_nan()))));
    }
    let means = |drawn: &mut dyn FnMut(usize) -> usize| {
        let mut sums = vec![0.0; row_width];
        for at in 0..users {
            let row = &rows[drawn(at) * row_width..][..row_width];
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
        let mut counts = vec![users as f64; width];
        for (at, &column) in columns.iter().enumerate() {
            counts[column] = sums[width + at];
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / count).collect::<Vec<f64>>()
    };
    let own = means(&mut |at| at);
    let resampled: Vec<Vec<f64>> = (0..RESAMPLES)
        .into_par_iter()
        .map(|resample| {
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            random.set_stream(resample);
            means(&mut |_| random.random_range(0..users))
        })
        .collect();
    let interval = |(column, &mean): (usize, &f64)| {
        let mut means: Vec<f64> = resampled.iter().map(|means| means[column]).collect();
        // A sample may draw none of the few users that have a value.
        means.retain(|mean| !mean.is_nan());
        means.sort_unstable_by(f64::total_cmp);
        Estimate { mean, low: percentile(&means, 0.025), high: percentile(&means, 0.975) }
    };
    own.iter().enumerate().map(interval).collect()
}

/// By linear interpolation between order statistics, as NumPy does by default.
pub(super) fn percentile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = part * last as f64;
    let below = sorted[place as usize];
    let above = sorted[(place as usize + 1).min(last)];
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_normal_approximation() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let users = 2000;
        let mut values = Vec::new();
        for user in 0..users {
            let x: f64 = random.random_range(0.0..1.0);
            let second = if user % 4 == 0 { x * x } else { f64::NAN };
            values.extend([x, second, 0.5, f64::NAN]);
        }
        let estimates = estimates(&values, 4);
        for (column, step) in [(0, 1), (1, 4)] {
            let column_values = values.iter().skip(column).step_by(4 * step);
            let of_column: Vec<f64> = column_values.copied().collect();
            let n = of_column.len() as f64;
            let mean = of_column.iter().sum::<f64>() / n;
            let variance = of_column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let half = 1.959_964 * (variance / n).sqrt();
            let Estimate { mean: got, low, high } = estimates[column];
            assert!((got - mean).abs() < 1e-12);
            assert!(((mean - low) / half - 1.0).abs() < 0.12, "{low} {mean} {high} {half}");
            assert!(((high - mean) / half - 1.0).abs() < 0.12, "{low} {mean} {high} {half}");
        }
        assert_eq!(estimates[2], Estimate { mean: 0.5, low: 0.5, high: 0.5 });
        assert!(estimates[3].mean.is_nan() && estimates[3].low.is_nan());
    }

    #[test]
    fn percentiles_interpolate() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(percentile(&[7.0], 0.975), 7.0);
    }
}
