//! The standard normal distribution in f64, accurate far into its tails.
//!
//! Everything rests on Mills' ratio `R(x) = (1 − Φ(x)) / φ(x)`, which neither under- nor overflows.

use std::f64::consts::{LN_2, TAU};

/// `(1 + x) R(x)` as a polynomial in `(x − 4) / (x + 4)`, interpolated at Chebyshev's nodes, as
/// Shepherd and Laframboise (1981, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x") do: 6e-16.
const MILLS: [f64; 23] = [
    1.1832619145678034,
    -0.2423996705218174,
    0.03509188023476339,
    0.07169048120225552,
    -0.08070800967978549,
    0.044959129055799664,
    -0.01253910360671188,
    -0.0007159506500420829,
    0.001741848641757937,
    -0.0002367034604386502,
    -0.00022021482490664187,
    5.327390113799152e-05,
    3.4156106940806135e-05,
    -8.6243130137115e-06,
    -6.546928120500802e-06,
    1.0505607515808403e-06,
    1.3805876779523012e-06,
    -3.782823803093328e-08,
    -2.7628944223830873e-07,
    -2.0579230893245287e-08,
    4.372207364651429e-08,
    3.975086281603316e-09,
    -3.874300207686973e-09,
];

/// Above this `R(x)` is `1/x`.
const FAR: f64 = 1e9;

/// `R(x)` for `x ≥ 0`.
fn mills(x: f64) -> f64 {
    if x > FAR {
        return 1.0 / x;
    }
    let s = (x - 4.0) / (x + 4.0);
    MILLS.iter().rev().fold(0.0, |sum, c| sum * s + c) / (1.0 + x)
}

/// `ln φ(x)`.
fn log_density(x: f64) -> f64 {
    -0.5 * x * x - 0.5 * TAU.ln()
}

/// `φ(x) = exp(−x²/2) / √(2π)`.
pub fn density(x: f64) -> f64 {
    log_density(x).exp()
}

/// `1 − Φ(x)`, to a relative 1e-15 times `1 + x²`.
pub fn upper_tail(x: f64) -> f64 {
    density_and_upper_tail(x).1
}

/// [`density`] and [`upper_tail`], for one exponential.
pub fn density_and_upper_tail(x: f64) -> (f64, f64) {
    let density = density(x);
    let tail = match density {
        // As the density of infinity is.
        0.0 => 0.0,
        density => density * mills(x.abs()),
    };
    (density, if x < 0.0 { 1.0 - tail } else { tail })
}

/// `Φ(x)`, as [`upper_tail`].
pub fn cdf(x: f64) -> f64 {
    upper_tail(-x)
}

/// `Φ⁻¹(p)`: infinite at 0 and 1, NaN outside of them.
pub fn quantile(p: f64) -> f64 {
    let tail = p.min(1.0 - p);
    if tail.is_nan() || tail <= 0.0 {
        let infinity = if p > 0.5 { f64::INFINITY } else { f64::NEG_INFINITY };
        return if tail == 0.0 { infinity } else { f64::NAN };
    }
    let log = tail.ln();
    let mut x = tail_quantile((-LN_2 - log).max(0.0));
    // Newton's method on ln(1 − Φ), which is almost a parabola.
    for _ in 0..3 {
        let ratio = mills(x);
        x = (x + (log_density(x) + ratio.ln() - log) * ratio).max(0.0);
    }
    if p < 0.5 { -x } else { x }
}

/// The `x` with `1 − Φ(x) = exp(−y) / 2`, for `y ≥ 0`: to 2e-7 up to `y = 40`, to 1 % beyond.
fn tail_quantile(y: f64) -> f64 {
    let w = y.sqrt();
    let above = [1.25311247, 2.22085022, 2.86394581, 1.88585017, 0.18438496];
    let below = [1.0, 1.7687874, 2.80931862, 2.29418829, 1.33500883, 0.1303844];
    let polynomial = |c: &[f64]| c.iter().rev().fold(0.0, |sum, c| sum * w + c);
    w * w * polynomial(&above) / polynomial(&below)
}

/// A normal variable's chance to fall into an interval, in logarithms, and its derivatives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// `ln(Φ(b) − Φ(a))`.
    pub log: f64,
    /// `φ(a) / (Φ(b) − Φ(a))`: less the derivative of [`log`](Self::log) by `a`.
    pub low: f64,
    /// `φ(b) / (Φ(b) − Φ(a))`: its derivative by `b`.
    pub high: f64,
}

/// Of the interval from `a` to `b > a`, either of them infinite or far out.
pub fn interval(a: f64, b: f64) -> Interval {
    if a + b < 0.0 {
        let Interval { log, low, high } = interval(-b, -a);
        return Interval { log, low: high, high: low };
    }
    let first = log_density(a);
    // φ(b) / φ(a) ≤ 1.
    let fall = if b < f64::INFINITY && a > f64::NEG_INFINITY {
        (0.5 * (a - b) * (a + b)).exp()
    } else {
        0.0
    };
    if a > 0.0 {
        let over = mills(a) - if fall > 0.0 { fall * mills(b) } else { 0.0 };
        return Interval { log: first + over.ln(), low: 1.0 / over, high: fall / over };
    }
    let chance = 1.0 - upper_tail(-a) - upper_tail(b);
    Interval { log: chance.ln(), low: density(a) / chance, high: density(b) / chance }
}

/// `ln(Φ(b) − Φ(a))`, as [`interval`].
pub fn log_interval(a: f64, b: f64) -> f64 {
    interval(a, b).log
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    // 1 − Φ(x), from mpmath with 40 digits.
    const TAILS: [(f64, f64); 8] = [
        (0.0, 0.5),
        (0.1, 0.460172162722971),
        (0.7, 0.24196365222307303),
        (1.5, 0.06680720126885807),
        (3.0, 0.0013498980316300946),
        (6.5, 4.016000583859118e-11),
        (12.0, 1.776482112077679e-33),
        (30.0, 4.906713927148187e-198),
    ];

    #[test]
    fn tails_have_their_digits() {
        for (x, tail) in TAILS {
            assert_relative_eq!(
                upper_tail(x),
                tail,
                max_relative = 1e-14 * (1.0 + x * x),
                epsilon = 0.0
            );
            assert_relative_eq!(cdf(-x), tail, max_relative = 1e-14 * (1.0 + x * x), epsilon = 0.0);
            assert_relative_eq!(cdf(x), 1.0 - tail, max_relative = 1e-15);
        }
        assert_eq!((cdf(f64::INFINITY), cdf(f64::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!(upper_tail(60.0), 0.0);
    }

    #[test]
    fn quantiles_undo_the_cdf() {
        for (x, tail) in TAILS {
            assert_relative_eq!(quantile(tail), -x, max_relative = 1e-13, epsilon = 1e-15);
        }
        for i in 1..1000 {
            let p = f64::from(i) / 1000.0;
            assert_relative_eq!(cdf(quantile(p)), p, max_relative = 1e-14);
        }
        for p in [1e-300, 1e-25, 1e-17_f64] {
            let log = log_interval(f64::NEG_INFINITY, quantile(p));
            assert_relative_eq!(log, p.ln(), max_relative = 1e-14);
        }
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(quantile(1.1).is_nan() && quantile(-0.1).is_nan() && quantile(f64::NAN).is_nan());
    }

    #[test]
    fn intervals_agree_with_differences_and_with_their_derivatives() {
        let infinity = f64::INFINITY;
        for (a, b) in [(-1.0, 0.5), (0.3, 2.0), (-3.0, -1.0), (-infinity, 0.7), (-0.2, infinity)] {
            let Interval { log, low, high } = interval(a, b);
            assert_relative_eq!(log.exp(), cdf(b) - cdf(a), max_relative = 1e-13);
            let step = 1e-5;
            let by = |a, b| log_interval(a, b);
            let of_a = (by(a + step, b) - by(a - step, b)) / (2.0 * step);
            let of_b = (by(a, b + step) - by(a, b - step)) / (2.0 * step);
            assert_relative_eq!(-low, if a.is_finite() { of_a } else { 0.0 }, epsilon = 1e-8);
            assert_relative_eq!(high, if b.is_finite() { of_b } else { 0.0 }, epsilon = 1e-8);
        }
        // Far out, where chances underflow: from mpmath.
        assert_relative_eq!(log_interval(50.0, 50.01), -1255.763728294577, max_relative = 1e-13);
        assert_relative_eq!(log_interval(-41.0, -40.0), -804.6084420137538, max_relative = 1e-13);
        assert_relative_eq!(log_interval(100.0, 101.0), -5005.524208694205, max_relative = 1e-13);
        assert_eq!(interval(-infinity, infinity), Interval { log: 0.0, low: 0.0, high: 0.0 });
    }
}
