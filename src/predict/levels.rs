//! Levels of a rating as intervals of a latent normal value (Albert and Chib 1993).

use crate::math::gaussian::{log_interval, upper_tail};

/// The probability of each level when the latent value is `N(mean, deviation²)`: the noise has
/// variance 1, and what is not known of the mean adds to it.
///
/// `thresholds` (levels − 1) ascend; `out` has one place more.
///
/// # Panics
/// If `out` is not one longer than `thresholds`.
pub fn level_probabilities(mean: f64, deviation: f64, thresholds: &[f64], out: &mut [f64]) {
    assert_eq!(out.len(), thresholds.len() + 1, "one threshold less than levels");
    // Of the last threshold the side it lies on and the tail beyond it; it begins at −∞.
    let (mut above, mut tail) = (false, 0.0);
    for (to, &threshold) in out.iter_mut().zip(thresholds) {
        let x = (threshold - mean) / deviation;
        let (next_above, next_tail) = (x > 0.0, upper_tail(x.abs()));
        *to = match (above, next_above) {
            (false, false) => next_tail - tail,
            (false, true) => 1.0 - tail - next_tail,
            (true, _) => tail - next_tail,
        };
        (above, tail) = (next_above, next_tail);
    }
    if let Some(last) = out.last_mut() {
        *last = if above { tail } else { 1.0 - tail };
    }
}

/// The logarithm of a level's probability, as [`level_probabilities`], finite also where that
/// underflows.
///
/// # Panics
/// If there is no such level.
pub fn log_level_probability(mean: f64, deviation: f64, thresholds: &[f64], level: usize) -> f64 {
    assert!(level <= thresholds.len(), "level {level} of {}", thresholds.len() + 1);
    let bound = |at: usize, open: f64| match thresholds.get(at) {
        Some(threshold) => (threshold - mean) / deviation,
        None => open,
    };
    let low = bound(level.wrapping_sub(1), f64::NEG_INFINITY);
    log_interval(low, bound(level, f64::INFINITY))
}

/// The expected value of a level, as [`level_probabilities`]; `levels` are the values, ascending.
pub fn expected_level<T: Into<f64> + Copy>(
    mean: f64,
    deviation: f64,
    thresholds: &[f64],
    levels: &[T],
) -> f64 {
    let first = levels.first().map_or(0.0, |&level| level.into());
    let steps = levels.windows(2).zip(thresholds);
    let step = |(pair, threshold): (&[T], &f64)| {
        (pair[1].into() - pair[0].into()) * upper_tail((threshold - mean) / deviation)
    };
    first + steps.map(step).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn probabilities_are_those_of_the_intervals_and_sum_to_one() {
        let thresholds = [-1.5, -0.25, 0.5, 0.75];
        let levels = [1.0, 2.0, 3.0, 4.0, 5.0];
        for mean in [-40.0, -6.0, -0.3, 0.0, 0.6, 5.0, 40.0] {
            for deviation in [1.0, 1.7] {
                let mut out = [0.0; 5];
                level_probabilities(mean, deviation, &thresholds, &mut out);
                assert_relative_eq!(out.iter().sum::<f64>(), 1.0, max_relative = 1e-14);
                let mut expected = 0.0;
                for (level, &p) in out.iter().enumerate() {
                    let log = log_level_probability(mean, deviation, &thresholds, level);
                    assert!(log.is_finite());
                    assert_relative_eq!(p, log.exp(), max_relative = 1e-10, epsilon = 1e-300);
                    expected += p * levels[level];
                }
                let direct = expected_level(mean, deviation, &thresholds, &levels);
                assert_relative_eq!(direct, expected, max_relative = 1e-12);
            }
        }
        let mut two = [0.0; 2];
        level_probabilities(1.0, 1.0, &[0.0], &mut two);
        assert_relative_eq!(two[1], 0.8413447460685429, max_relative = 1e-14);
    }
}
