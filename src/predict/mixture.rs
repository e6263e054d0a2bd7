//! Equal mixtures of Gaussians: what samples of the posterior say of one rating.

use crate::math::gaussian;

/// `1/S Σ N(m_s, σ_s²)`, where `σ_s = 0` is a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixture<'a> {
    /// (samples): `m`, finite; at least one.
    pub means: &'a [f64],
    /// (samples): `σ`, 0 or more.
    pub deviations: &'a [f64],
}

/// Which tail.
#[derive(Clone, Copy)]
enum Tail {
    Lower,
    Upper,
}

impl Mixture<'_> {
    fn parts(&self) -> impl Iterator<Item = (f64, f64)> {
        self.means.iter().copied().zip(self.deviations.iter().copied())
    }

    /// The mean over the components of what `f` makes of `m` and `σ`.
    fn average(&self, f: impl Fn(f64, f64) -> f64) -> f64 {
        self.parts().map(|(m, sd)| f(m, sd)).sum::<f64>() / self.means.len() as f64
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.average(|m, _| m)
    }

    /// The standard deviation: of the components and between them.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        self.average(|m, sd| sd * sd + (m - mean) * (m - mean)).sqrt()
    }

    /// The probability of `x` or less.
    pub fn cdf(&self, x: f64) -> f64 {
        self.tail(x, Tail::Lower)
    }

    /// The probability density at `x`; infinite at a point.
    pub fn density(&self, x: f64) -> f64 {
        self.log_density(x).exp()
    }

    /// Its logarithm, to full precision wherever it is finite.
    pub fn log_density(&self, x: f64) -> f64 {
        let log = |(m, sd): (f64, f64)| {
            let z = (x - m) / sd;
            match sd > 0.0 {
                true => -0.5 * z * z - sd.ln(),
                false if x == m => f64::INFINITY,
                false => f64::NEG_INFINITY,
            }
        };
        let most = self.parts().map(log).fold(f64::NEG_INFINITY, f64::max);
        if most.is_infinite() {
            return most;
        }
        let sum: f64 = self.parts().map(|part| (log(part) - most).exp()).sum();
        most + (sum / self.means.len() as f64).ln() - 0.5 * std::f64::consts::TAU.ln()
    }

    fn tail(&self, x: f64, tail: Tail) -> f64 {
        self.average(|m, sd| {
            let above = match tail {
                Tail::Lower => x - m,
                Tail::Upper => m - x,
            };
            match sd > 0.0 {
                true => gaussian::cdf(above / sd),
                false => f64::from(u8::from(above >= 0.0)),
            }
        })
    }

    /// The same, and the density there but for that of points.
    fn tail_and_density(&self, x: f64, tail: Tail) -> (f64, f64) {
        let (mut sum, mut slope) = (0.0, 0.0);
        for (m, sd) in self.parts() {
            let beyond = match tail {
                Tail::Lower => m - x,
                Tail::Upper => x - m,
            };
            if sd == 0.0 {
                sum += f64::from(u8::from(beyond <= 0.0));
                continue;
            }
            let (density, tail) = gaussian::density_and_upper_tail(beyond / sd);
            sum += tail;
            slope += density / sd;
        }
        let n = self.means.len() as f64;
        (sum / n, slope / n)
    }

    /// The `p`-quantile, for `p` in (0, 1): where the cdf is `p`, to about 1e-12 of the smallest `σ`.
    ///
    /// Where all components are points, the quantile of their values that interpolates linearly
    /// between order statistics (Hyndman and Fan 1996, type 7, the one of NumPy and R).
    pub fn quantile(&self, p: f64) -> f64 {
        match p <= 0.5 {
            true => self.beyond(p, Tail::Lower),
            false => self.beyond(1.0 - p, Tail::Upper),
        }
    }

    /// The central interval of this probability, in (0, 1): as much lies below as above.
    pub fn interval(&self, probability: f64) -> [f64; 2] {
        let beyond = (1.0 - probability) / 2.0;
        [self.beyond(beyond, Tail::Lower), self.beyond(beyond, Tail::Upper)]
    }

    /// The point beyond which `p ≤ 1/2` lies in a tail: Newton's method on `Φ⁻¹` of the tail, which
    /// is a straight line for one component, within a bracket that never loses the point.
    fn beyond(&self, p: f64, tail: Tail) -> f64 {
        let least = self.deviations.iter().copied().fold(f64::INFINITY, f64::min);
        if self.deviations.iter().all(|&sd| sd == 0.0) {
            return self.between_points(p, tail);
        }
        let z = gaussian::quantile(p);
        // Steps go up where the tail falls short.
        let up = match tail {
            Tail::Lower => 1.0,
            Tail::Upper => -1.0,
        };
        // Every component's own point is on the far side of the bracket's ends.
        let own = || self.parts().map(|(m, sd)| m + up * sd * z);
        let mut low = own().fold(f64::INFINITY, f64::min);
        let mut high = own().fold(f64::NEG_INFINITY, f64::max);
        let mut x = (self.mean() + up * self.deviation() * z).clamp(low, high);
        for round in 0..200 {
            let (reached, density) = self.tail_and_density(x, tail);
            let ahead = up * (reached - p);
            if ahead == 0.0 {
                return x;
            }
            if ahead > 0.0 {
                high = x;
            } else {
                low = x;
            }
            let middle = low + (high - low) / 2.0;
            let at = gaussian::quantile(reached);
            let next = x - up * (at - z) * gaussian::density(at) / density;
            // A mixture with a gap may send Newton to and fro: halving ends that.
            let inside = next > low && next < high && !(round > 20 && round % 4 == 3);
            let next = if inside { next } else { middle };
            let step = (next - x).abs();
            x = next;
            // Newton's error is the square of its step.
            let arrived = inside && step <= 1e-6 * least;
            if arrived || high - low <= 4.0 * f64::EPSILON * x.abs() {
                break;
            }
        }
        x
    }

    fn between_points(&self, p: f64, tail: Tail) -> f64 {
        let mut values = self.means.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        if matches!(tail, Tail::Upper) {
            values.reverse();
        }
        let place = p * (values.len() - 1) as f64;
        let at = place as usize;
        let next = values.get(at + 1).copied().unwrap_or(values[at]);
        values[at] + (place - at as f64) * (next - values[at])
    }

    /// The continuous ranked probability score of an outcome `x`, `∫ (F(y) − 1{y ≥ x})² dy`
    /// (Gneiting and Raftery 2007): in the unit of `x`, 0 at best, the absolute error where the
    /// mixture is a point.
    ///
    /// In closed form for a mixture of Gaussians (Grimit, Gneiting, Berrocal and Johnson 2006,
    /// equation 5), whose terms grow with the square of the components. Where these are many,
    /// its second part, `∫ F (1 − F)`, is a sum over an even grid instead, half the smallest `σ`
    /// apart, which is exact to 1e-12 of the deviation since the integrand is analytic and vanishes
    /// at both ends.
    pub fn crps(&self, x: f64) -> f64 {
        let n = self.means.len();
        let distance = self.average(|m, sd| mean_distance(x - m, sd));
        let least = self.deviations.iter().copied().fold(f64::INFINITY, f64::min);
        let ends = |sign: f64| self.parts().map(move |(m, sd)| sign * m + 8.0 * sd);
        let [low, high] = [-1.0, 1.0].map(|sign| sign * ends(sign).fold(f64::MIN, f64::max));
        let step = least / 2.0;
        let points = (high - low) / step;
        if points.is_nan() || points >= n as f64 {
            let mut sum = 0.0;
            for (s, (m, sd)) in self.parts().enumerate() {
                let same = std::f64::consts::FRAC_2_SQRT_PI * sd;
                let mut others = 0.0;
                for (other, other_sd) in self.parts().take(s) {
                    others += mean_distance(m - other, sd.hypot(other_sd));
                }
                sum += same + 2.0 * others;
            }
            return distance - sum / (2.0 * (n * n) as f64);
        }
        let term = |at: usize| {
            let below = self.cdf(low + step * at as f64);
            below * (1.0 - below)
        };
        distance - step * (0..=points.ceil() as usize).map(term).sum::<f64>()
    }
}

/// `E|X|` of `X ~ N(m, σ²)`.
fn mean_distance(m: f64, sd: f64) -> f64 {
    if sd == 0.0 {
        return m.abs();
    }
    let (density, tail) = gaussian::density_and_upper_tail(m / sd);
    2.0 * sd * density + m * (1.0 - 2.0 * tail)
}
