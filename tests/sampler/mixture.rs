//! Mixtures of Gaussians against integrals over a grid.

use approx::assert_relative_eq;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wgmf::predict::Mixture;

/// `∫ f` by Simpson's rule over `2n` steps.
fn integral(low: f64, high: f64, n: usize, f: impl Fn(f64) -> f64) -> f64 {
    let h = (high - low) / (2 * n) as f64;
    let weight = |i: usize| if i == 0 || i == 2 * n { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 };
    h / 3.0 * (0..=2 * n).map(|i| weight(i) * f(low + h * i as f64)).sum::<f64>()
}

/// Mixtures of few and of many components, near and far, alike and not.
fn mixtures() -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut draw = |n: usize, spread: f64, low: f64, high: f64| {
        let means = (0..n).map(|_| 3.0 + spread * random.random_range(-1.0..1.0)).collect();
        let deviations = (0..n).map(|_| random.random_range(low..=high)).collect();
        (means, deviations)
    };
    vec![
        draw(1, 0.0, 0.7, 0.7),
        draw(40, 0.3, 0.8, 1.0),
        draw(150, 0.3, 0.8, 1.0),
        draw(12, 4.0, 0.3, 2.0),
        (vec![-50.0, 50.0, 50.5], vec![1.0, 1.0, 0.01]),
        (vec![0.0; 5], vec![1e-3, 1e-2, 0.1, 1.0, 10.0]),
    ]
}

#[test]
fn a_mixture_agrees_with_integrals() {
    for (means, deviations) in mixtures().iter().take(4) {
        let mixture = Mixture { means, deviations };
        let density = |x: f64| {
            let parts = means.iter().zip(deviations);
            let of = |(m, sd): (&f64, &f64)| (-0.5 * ((x - m) / sd).powi(2)).exp() / sd;
            parts.map(of).sum::<f64>() / (means.len() as f64 * std::f64::consts::TAU.sqrt())
        };
        let (low, high) = (-25.0, 30.0);
        let moment = |f: &dyn Fn(f64) -> f64| integral(low, high, 4000, |x| f(x) * density(x));
        let mean = moment(&|x| x);
        assert_relative_eq!(mixture.mean(), mean, max_relative = 1e-9);
        let variance = moment(&|x| (x - mean).powi(2));
        assert_relative_eq!(mixture.deviation(), variance.sqrt(), max_relative = 1e-9);
        for x in [-1.0, 2.2, 3.0, 4.7] {
            assert_relative_eq!(mixture.density(x), density(x), max_relative = 1e-12);
            assert_relative_eq!(mixture.log_density(x), density(x).ln(), max_relative = 1e-12);
            let below = integral(low, x, 4000, density);
            assert_relative_eq!(mixture.cdf(x), below, max_relative = 1e-9, epsilon = 1e-12);
            let score = integral(low, x, 8000, |y| mixture.cdf(y).powi(2))
                + integral(x, high, 8000, |y| (1.0 - mixture.cdf(y)).powi(2));
            assert_relative_eq!(mixture.crps(x), score, max_relative = 1e-9);
        }
        // Where the density underflows its logarithm does not.
        let far = mixture.log_density(1e5);
        assert!(far.is_finite() && far < -1e8);
    }
}

#[test]
fn quantiles_undo_the_cdf_in_any_mixture() {
    for (means, deviations) in &mixtures() {
        let mixture = Mixture { means, deviations };
        for p in [1e-9, 1e-3, 0.025, 0.25, 0.34, 0.5, 0.6, 0.7, 0.9, 0.999] {
            let x = mixture.quantile(p);
            // In a gap between components any place has the probability.
            assert_relative_eq!(mixture.cdf(x), p, max_relative = 1e-9, epsilon = 1e-15);
            if mixture.density(x) > 1e-3 * p.min(1.0 - p) {
                let gap = (mixture.cdf(x) - p).abs() / mixture.density(x);
                assert!(gap < 1e-9, "{gap} at {p}");
            }
        }
        let [low, high] = mixture.interval(0.9);
        assert_relative_eq!(mixture.cdf(high) - mixture.cdf(low), 0.9, max_relative = 1e-9);
        // The upper tail has its digits too.
        let [_, high] = mixture.interval(1.0 - 1e-12);
        let mirrored: Vec<f64> = means.iter().map(|m| -m).collect();
        let mirrored = Mixture { means: &mirrored, deviations };
        assert_relative_eq!(high, -mirrored.interval(1.0 - 1e-12)[0], max_relative = 1e-9);
    }
    // One component is the Gaussian itself.
    let one = Mixture { means: &[2.0], deviations: &[3.0] };
    assert_relative_eq!(one.quantile(0.975), 2.0 + 3.0 * 1.959963984540054, max_relative = 1e-12);
    // At a point beside a Gaussian the cdf jumps from 0.08 to 0.58.
    let mixed = Mixture { means: &[2.0, 3.0], deviations: &[0.0, 1.0] };
    assert_relative_eq!(mixed.quantile(0.3), 2.0, max_relative = 1e-12);
    assert_relative_eq!(mixed.cdf(mixed.quantile(0.7)), 0.7, max_relative = 1e-12);
    // Points: numpy.quantile([1, 2, 4, 8], p).
    let points = Mixture { means: &[8.0, 1.0, 4.0, 2.0], deviations: &[0.0; 4] };
    for (p, want) in [(0.1, 1.3), (0.5, 3.0), (0.9, 6.8), (0.25, 1.75)] {
        assert_relative_eq!(points.quantile(p), want, max_relative = 1e-12);
    }
    assert_relative_eq!(points.crps(3.0), (5.0 + 2.0 + 1.0 + 1.0) / 4.0 - 46.0 / 32.0);
}
