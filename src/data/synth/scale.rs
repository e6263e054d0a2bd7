//! From a planted score to the value that is written, and what is expected of it.

use serde::{Deserialize, Serialize};

/// What planted values look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The score itself, with two decimals; about 0 to 7.
    #[default]
    Real,
    /// Whole stars from 1 to 5.
    Stars,
    /// Half stars from 0.5 to 5.
    HalfStars,
    /// Heavy-tailed counts from 1 on: e to the power of the score.
    Plays,
}

impl Scale {
    /// The name of the value's column.
    pub(super) fn column(self) -> &'static str {
        if self == Scale::Plays { "plays" } else { "rating" }
    }

    fn units(self) -> f64 {
        match self {
            Scale::Real => 100.0,
            Scale::Stars | Scale::Plays => 1.0,
            Scale::HalfStars => 2.0,
        }
    }

    /// The value nearest to a score, in whole units.
    pub(super) fn code(self, score: f64) -> i32 {
        let (value, least, most) = match self {
            Scale::Real => (score, -2e6, 2e6),
            Scale::Stars => (score, 1.0, 5.0),
            Scale::HalfStars => (score, 0.5, 5.0),
            Scale::Plays => (score.exp(), 1.0, 1e9),
        };
        (value.clamp(least, most) * self.units()).round() as i32
    }

    /// The value of a code, equal to what is read from its text.
    pub(super) fn value(self, code: i32) -> f32 {
        (f64::from(code) / self.units()) as f32
    }

    /// The text of a code.
    pub(super) fn write(self, code: i32, text: &mut Vec<u8>) {
        if code < 0 {
            text.push(b'-');
        }
        let code = u64::from(code.unsigned_abs());
        match self {
            Scale::Real => {
                whole(text, code / 100);
                text.extend([b'.', b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8]);
            }
            Scale::Stars | Scale::Plays => whole(text, code),
            Scale::HalfStars => {
                whole(text, code / 2);
                if code % 2 == 1 {
                    text.extend(b".5");
                }
            }
        }
    }
}

/// The digits of a number.
pub(super) fn whole(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

const POINTS: usize = 2048;
const NODES: usize = 2001;

/// The expected value given the score before the noise, as a table over scores.
pub(super) struct Expectation {
    low: f64,
    step: f64,
    /// Of the value, and of `ln(1 + value)`.
    table: Vec<(f64, f64)>,
}

impl Expectation {
    /// For scores around `centre` with a deviation of `spread`, and normal noise.
    pub(super) fn new(scale: Scale, centre: f64, spread: f64, noise: f64) -> Self {
        // Rounding to hundredths leaves the mean where it is.
        if scale == Scale::Real {
            return Expectation { low: 0.0, step: 1.0, table: Vec::new() };
        }
        let (low, high) = (centre - 10.0 * spread, centre + 10.0 * spread);
        let step = (high - low) / (POINTS - 1) as f64;
        let node = |j: usize| -8.0 + 16.0 * j as f64 / (NODES - 1) as f64;
        let weights: Vec<f64> = (0..NODES).map(|j| (-0.5 * node(j).powi(2)).exp()).collect();
        let total: f64 = weights.iter().sum();
        let expected = |point: usize| {
            let score = low + step * point as f64;
            let (mut mean, mut log_mean) = (0.0, 0.0);
            for (j, weight) in weights.iter().enumerate() {
                let value = f64::from(scale.value(scale.code(score + noise * node(j))));
                mean += weight * value;
                log_mean += weight * value.ln_1p();
            }
            (mean / total, log_mean / total)
        };
        Expectation { low, step, table: (0..POINTS).map(expected).collect() }
    }

    /// Interpolated at a score.
    pub(super) fn at(&self, score: f64) -> (f64, f64) {
        if self.table.is_empty() {
            return (score, 0.0);
        }
        let at = ((score - self.low) / self.step).clamp(0.0, (self.table.len() - 1) as f64);
        let below = (at as usize).min(self.table.len() - 2);
        let part = at - below as f64;
        let mix = |a: f64, b: f64| a + part * (b - a);
        let (left, right) = (self.table[below], self.table[below + 1]);
        (mix(left.0, right.0), mix(left.1, right.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_is_read_from_their_text() {
        for scale in [Scale::Real, Scale::Stars, Scale::HalfStars, Scale::Plays] {
            for score in [-3.217, -0.004, 0.0, 0.74, 0.76, 1.26, 3.499, 4.8, 12.3456] {
                let code = scale.code(score);
                let mut text = Vec::new();
                scale.write(code, &mut text);
                let text = String::from_utf8(text).unwrap();
                assert_eq!(text.parse::<f32>().unwrap(), scale.value(code), "{text}");
            }
        }
        let text = |scale: Scale, score| {
            let mut text = Vec::new();
            scale.write(scale.code(score), &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(text(Scale::Real, -0.256), "-0.26");
        assert_eq!(text(Scale::HalfStars, 3.3), "3.5");
        assert_eq!(text(Scale::HalfStars, 9.0), "5");
        assert_eq!(text(Scale::Stars, -1.0), "1");
        assert_eq!(text(Scale::Plays, 3.0), "20");
    }

    #[test]
    fn expectations_are_those_of_the_scale() {
        // Far inside, rounding is fair; at the ends, clipping pulls inwards.
        let table = Expectation::new(Scale::HalfStars, 3.5, 0.8, 0.8);
        assert!((table.at(2.75).0 - 2.75).abs() < 0.01);
        assert!(table.at(5.0).0 < 4.75 && table.at(9.0).0 > 4.99);
        let table = Expectation::new(Scale::Plays, 3.5, 0.8, 0.5);
        let want = (5.0_f64 + 0.125).exp();
        assert!((table.at(5.0).0 / want - 1.0).abs() < 1e-3);
        let exact = Expectation::new(Scale::Stars, 3.5, 0.8, 0.0);
        assert!((exact.at(4.2).0 - 4.0).abs() < 1e-9);
    }
}
