//! Truncated normal numbers, each from one random word.

use super::{LANES, ln};

/// Where an interval of [`truncated_normal`] ends that has no end.
pub const OPEN: f32 = 1e9;

/// A draw from `N(mean, 1)` between `low` and `high`, by inversion from one random word.
///
/// Never outside of the interval, however far out that lies or however narrow it is; a mean that is
/// not finite gives NaN. In f32 throughout, with an error of about 1e-6 against the exact
/// inverse, or of 1e-4 of the distribution's own width where the interval lies in a tail.
#[inline(always)]
pub fn truncated_normal(word: u32, mean: f32, low: f32, high: f32) -> f32 {
    let turned = turn(mean, low, high);
    if turned.a < TAIL {
        near(word, turned, mean, low, high)
    } else {
        far(word, turned, mean, low, high)
    }
}

/// [`truncated_normal`] of many words at a time.
#[inline(always)]
pub fn truncated_normals(
    words: &[u32; LANES],
    means: &[f32; LANES],
    low: &[f32; LANES],
    high: &[f32; LANES],
    to: &mut [f32; LANES],
) {
    let mut far = false;
    for lane in 0..LANES {
        let turned = turn(means[lane], low[lane], high[lane]);
        to[lane] = near(words[lane], turned, means[lane], low[lane], high[lane]);
        // Also where the mean is not a number.
        far |= turned.a.is_nan() | (turned.a >= TAIL);
    }
    if far {
        for lane in 0..LANES {
            to[lane] = truncated_normal(words[lane], means[lane], low[lane], high[lane]);
        }
    }
}

/// An interval less the mean, turned so that its middle lies above 0.
#[derive(Clone, Copy)]
struct Turned {
    a: f32,
    b: f32,
    below: bool,
}

#[inline(always)]
fn turn(mean: f32, low: f32, high: f32) -> Turned {
    let below = (low - mean) + (high - mean) < 0.0;
    let a = if below { mean - high } else { low - mean };
    let b = if below { mean - low } else { high - mean };
    Turned { a, b, below }
}

/// A word as a share, and the rest: both in (0, 1], small ones with all their digits.
#[inline(always)]
fn shares(word: u32) -> (f32, f32) {
    const UNIT: f32 = 1.0 / 4_294_967_296.0;
    ((word as f32 + 0.5) * UNIT, (!word as f32 + 0.5) * UNIT)
}

/// Where the interval reaches down to where tails are easily told apart.
#[inline(always)]
fn near(word: u32, turned: Turned, mean: f32, low: f32, high: f32) -> f32 {
    let Turned { a, b, .. } = turned;
    let (u, v) = shares(word);
    // What lies above x: a share of the interval's chance and all above it.
    let (inner, outer) = (tail(a.abs()), tail(b));
    let chance = if a < 0.0 { 1.0 - inner - outer } else { inner - outer };
    let above = outer + v * chance;
    let under = if a < 0.0 { inner + u * chance } else { 1.0 };
    let least = if under < above { under } else { above };
    // Positive whatever rounding does.
    let doubled = if 2.0 * least > 1e-37 { 2.0 * least } else { 1e-37 };
    let x = tail_quantile(-ln(doubled));
    let x = if under < above { -x } else { x };
    settle(x, turned, mean, low, high)
}

/// The same in logarithms: by how much the tail above x is smaller than that above `a`.
#[inline(always)]
fn far(word: u32, turned: Turned, mean: f32, low: f32, high: f32) -> f32 {
    let Turned { a, b, .. } = turned;
    let (_, v) = shares(word);
    let ratio = mills(a);
    let width = b - a;
    let left = exp(-width * (a + 0.5 * width)) * (mills(b) / ratio);
    let fall = -ln(left + v * (1.0 - left));
    // As if Mills' ratio were constant, then Newton's method.
    let mut step = 2.0 * fall / (a + (a * a + 2.0 * fall).sqrt());
    for _ in 0..2 {
        let next = mills(a + step);
        step -= (step * (a + 0.5 * step) + ln(ratio / next) - fall) * next;
    }
    settle(a + step, turned, mean, low, high)
}

/// Turns `x` back and adds the mean, inside of the interval whatever rounding does.
#[inline(always)]
fn settle(x: f32, turned: Turned, mean: f32, low: f32, high: f32) -> f32 {
    let Turned { a, b, below } = turned;
    let x = if x < a { a } else { x };
    let x = if x > b { b } else { x };
    let z = if below { mean - x } else { mean + x };
    let z = if z < low { low } else { z };
    if z > high { high } else { z }
}

/// `exp(x)` for `x ≤ 0`, no less than 1e-38: by the polynomial of Cephes' `expf` (Moshier 1992).
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    // Its sum with this rounds to whole numbers.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = x - whole * (355.0 / 512.0) + whole * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    (p * r * r + r + 1.0) * f32::from_bits(power)
}

/// Where [`truncated_normal`] goes over to logarithms.
const TAIL: f32 = 5.0;

/// Mills' ratio `(1 − Φ(x)) / φ(x)` for `x ≥ 0`, to a relative 2e-7: a polynomial in
/// `(x − 3) / (x + 3)` over `1 + x`, interpolated as [`crate::gaussian`] does.
#[inline(always)]
fn mills(x: f32) -> f32 {
    let s = (x - 3.0) / (x + 3.0);
    let mut sum = 1.496_934_7e-4;
    sum = sum * s + 8.967_489e-5;
    sum = sum * s - 1.188_158_6e-3;
    sum = sum * s - 9.159_024e-4;
    sum = sum * s + 7.486_54e-3;
    sum = sum * s + 2.917_85e-3;
    sum = sum * s - 5.696_175_2e-2;
    sum = sum * s + 1.132_079_66e-1;
    sum = sum * s - 4.119_045e-2;
    sum = sum * s - 2.419_566_5e-1;
    sum = sum * s + 1.218_361_3;
    sum / (1.0 + x)
}

/// `1 − Φ(x)` for `x ≥ 0`.
#[inline(always)]
fn tail(x: f32) -> f32 {
    0.398_942_3 * exp(-0.5 * x * x) * mills(x)
}

/// The `x` with `1 − Φ(x) = exp(−y) / 2`, for `y` from 0 to 40, to 2e-7 and rounding.
#[inline(always)]
fn tail_quantile(y: f32) -> f32 {
    let w = if y > 0.0 { y.sqrt() } else { 0.0 };
    let above = (((0.184_384_96 * w + 1.885_850_2) * w + 2.863_945_8) * w + 2.220_850_2) * w;
    let below = (((0.130_384_4 * w + 1.335_008_8) * w + 2.294_188_3) * w + 2.809_318_6) * w;
    let (above, below) = (above + 1.253_112_5, (below + 1.768_787_4) * w + 1.0);
    w * w * above / below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::{Purpose, Stream};

    /// The exact inverse, in f64.
    fn exact(u: f64, mean: f64, low: f64, high: f64, below: bool) -> f64 {
        use crate::math::gaussian::{cdf, quantile};
        let (a, b) = (low - mean, high - mean);
        let between = |a: f64, b: f64, u: f64| quantile(cdf(a) + u * (cdf(b) - cdf(a)));
        // In f64 the lower tail keeps its digits to −37.
        mean + if below { between(a, b, u) } else { -between(-b, -a, u) }
    }

    #[test]
    fn truncated_normals_are_the_exact_inverse() {
        let open = f64::from(OPEN);
        let cases = [
            (-0.7, 0.4),
            (-open, 0.0),
            (0.0, open),
            (-open, open),
            (1.2, 1.9),
            (-3.0, -2.0),
            (-open, -4.9),
            (-5.1, -5.0),
            (5.2, open),
            (-9.0, -8.0),
            (20.0, open),
            (-open, -33.0),
            (0.5, 0.501),
        ];
        for (low, high) in cases {
            for mean in [0.0_f64, 0.3, -0.6] {
                for i in 0..200_u32 {
                    let word = i.wrapping_mul(0x9E37_79B9) ^ (i << 7);
                    let got = truncated_normal(word, mean as f32, low as f32, high as f32);
                    let (low, high) = (f64::from(low as f32), f64::from(high as f32));
                    assert!((low..=high).contains(&f64::from(got)));
                    let u = (f64::from(word) + 0.5) / 4_294_967_296.0;
                    let (a, b) = (low - f64::from(mean as f32), high - f64::from(mean as f32));
                    let below = turn(mean as f32, low as f32, high as f32).below;
                    let want = exact(1.0 - u, f64::from(mean as f32), low, high, below);
                    // The width of what is drawn: 1, or that of a tail.
                    let nearest = if a < 0.0 && b > 0.0 { 0.0 } else { a.abs().min(b.abs()) };
                    let scale = 1.0 / (1.0 + nearest);
                    let rounding = 4e-7 * want.abs() + 2e-7;
                    let gap = (f64::from(got) - want).abs();
                    assert!(
                        gap < 1e-4 * scale + rounding,
                        "{word} {mean} {low} {high}: {got} for {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn truncated_normals_stay_inside_whatever_the_interval() {
        let words = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];
        let ends = [-OPEN, -1e6, -300.0, -13.0, -5.0, -1e-6, 0.0, 1e-30, 1.0, 5.0, 40.0, 1e5, OPEN];
        for (i, &low) in ends.iter().enumerate() {
            for &high in &ends[i..] {
                for mean in [-1e7, -2000.0, -30.0, -0.1, 0.0, 0.5, 4.0, 90.0, 1e6] {
                    for word in words {
                        let z = truncated_normal(word, mean, low, high);
                        assert!(z >= low && z <= high, "{word} {mean} {low} {high}: {z}");
                    }
                }
            }
        }
        assert!(truncated_normal(7, f32::NAN, -1.0, 1.0).is_nan());
    }

    #[test]
    fn truncated_normals_have_their_moments() {
        use crate::math::gaussian::interval;
        let stream = Stream::new(3, 0, 1, Purpose::UserLatents);
        for (low, high) in [(-0.5, 0.8), (0.0, OPEN), (1.5, 2.5), (-OPEN, -4.0), (6.0, OPEN)] {
            let (a, b) = (f64::from(low), f64::from(high));
            let chance = interval(a, b);
            let mean = chance.low - chance.high;
            let variance = 1.0 + a * chance.low - b * chance.high - mean * mean;
            let n = 100_000;
            let draws: Vec<f64> = (0..n)
                .map(|i| truncated_normal(stream.word(9, i), 0.0, low, high).into())
                .collect();
            let n = f64::from(n);
            let sum = draws.iter().sum::<f64>() / n;
            let square = draws.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n;
            let fourth = draws.iter().map(|z| (z - mean).powi(4)).sum::<f64>() / n;
            // Four standard errors.
            assert!((sum - mean).abs() < 4.0 * (variance / n).sqrt(), "{low} {high}: mean {sum}");
            let deviation = ((fourth - variance * variance) / n).sqrt();
            assert!((square - variance).abs() < 4.0 * deviation, "{low} {high}: {square}");
        }
    }

    #[test]
    fn many_at_a_time_are_the_same_numbers() {
        let stream = Stream::new(11, 0, 1, Purpose::ItemLatents);
        let ends = [-OPEN, -7.0, -1.0, -0.2, 0.4, 2.0, 6.0, OPEN];
        for round in 0..200_u32 {
            let columns: [u32; LANES] = std::array::from_fn(|lane| 37 * round + 5 * lane as u32);
            let mut words = [0; LANES];
            stream.many_words(round, &columns, &mut words);
            let spread = if round % 2 == 0 { 1.0 } else { 9.0 };
            let means: [f32; LANES] =
                std::array::from_fn(|lane| spread * (lane as f32 / LANES as f32 - 0.5));
            let at = |lane: usize| (round as usize + 3 * lane) % (ends.len() - 1);
            let low: [f32; LANES] = std::array::from_fn(|lane| ends[at(lane)]);
            let high: [f32; LANES] = std::array::from_fn(|lane| ends[at(lane) + 1]);
            let mut got = [0.0; LANES];
            truncated_normals(&words, &means, &low, &high, &mut got);
            for lane in 0..LANES {
                let word = stream.word(round, columns[lane]);
                let want = truncated_normal(word, means[lane], low[lane], high[lane]);
                assert_eq!(got[lane].to_bits(), want.to_bits());
            }
        }
    }
}
