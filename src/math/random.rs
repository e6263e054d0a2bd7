//! Counter-based random numbers: Philox 4×32 with 10 rounds (Salmon, Moraes, Dror and Shaw 2011,
//! "Parallel random numbers: as easy as 1, 2, 3").
//!
//! A number depends on its key and its counter alone, so whoever asks for it, on whatever thread or
//! device, gets the same 32 bits. The shaders have the same generator.

mod truncated;

pub use truncated::{OPEN, truncated_normal, truncated_normals};

use rand::TryRng;
use std::convert::Infallible;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Counters that [`Stream::many_normals`] works on at a time.
pub const LANES: usize = 16;

/// Four random words of a counter under a key.
#[inline(always)]
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key[0] = key[0].wrapping_add(WEYL[0]);
            key[1] = key[1].wrapping_add(WEYL[1]);
        }
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
    }
    counter
}

/// What random numbers are for: each purpose has numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Where a chain starts.
    Start = 0,
    /// Draws of the users' rows.
    Users = 1,
    /// Draws of the items' rows.
    Items = 2,
    /// Latent values behind the ratings, as the users' rows see them.
    UserLatents = 3,
    /// The same as the items' rows see them.
    ItemLatents = 4,
    /// Hyperparameters of the rows.
    Hyperparameters = 5,
    /// Rows folded into a trained model, their latent values and noise, by the number of the sweep
    /// (`recommend::draw_in`).
    FoldIn = 6,
    /// Which sample ranks for a user (Thompson sampling).
    Thompson = 7,
    /// The noise: a user's weight in the row of that number.
    Noise = 8,
    /// Thresholds between levels.
    Thresholds = 9,
    /// Negatives of losses made for ranking, by the number of the step: row 0 the draws of the pool, row 1
    /// at which of them each pair begins.
    Negatives = 10,
    /// Factors of users that a batch leaves out, by the number of the step.
    UserDropout = 11,
    /// The same of items.
    ItemDropout = 12,
}

/// The random numbers of one purpose in one sweep of one chain.
///
/// The counter's words are the column (in fours), the row, the sweep, and the chain with the
/// purpose; the key is the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The seed's low and high word.
    pub key: [u32; 2],
    /// The sweep.
    pub sweep: u32,
    /// The chain times 16, and the purpose.
    pub tag: u32,
}

impl Stream {
    /// The numbers of a purpose.
    pub fn new(seed: u64, chain: u32, sweep: u32, purpose: Purpose) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            sweep,
            tag: chain.wrapping_mul(16) + purpose as u32,
        }
    }

    /// Four words: those of the columns `4·four..4·four + 4` of a row.
    #[inline(always)]
    pub fn words(self, row: u32, four: u32) -> [u32; 4] {
        philox([four, row, self.sweep, self.tag], self.key)
    }

    /// Four standard normal numbers: those of the columns `4·four..4·four + 4` of a row.
    #[inline(always)]
    pub fn normals(self, row: u32, four: u32) -> [f32; 4] {
        let [a, b, c, d] = self.words(row, four);
        let ([x, y], [z, w]) = (box_muller(a, b), box_muller(c, d));
        [x, y, z, w]
    }

    /// One word: that of a column of a row.
    #[inline(always)]
    pub fn word(self, row: u32, column: u32) -> u32 {
        self.words(row, column / 4)[column as usize % 4]
    }

    /// The words of some columns of a row: as [`word`](Self::word) gives them, many at a time.
    #[inline(always)]
    pub fn many_words(self, row: u32, columns: &[u32; LANES], to: &mut [u32; LANES]) {
        let mut fours = [0; LANES];
        for lane in 0..LANES {
            fours[lane] = columns[lane] / 4;
        }
        let words = self.philox_lanes(row, fours);
        for lane in 0..LANES {
            let (low, high) = match columns[lane] & 1 {
                0 => (words[0][lane], words[2][lane]),
                _ => (words[1][lane], words[3][lane]),
            };
            to[lane] = if columns[lane] & 2 == 0 { low } else { high };
        }
    }

    /// Standard normal numbers of the columns `4·four..4·four + 4·LANES` of a row, many at a time:
    /// the numbers that [`normals`](Self::normals) gives one call after another.
    #[inline(always)]
    pub fn many_normals(self, row: u32, four: u32, to: &mut [f32; 4 * LANES]) {
        let mut fours = [four; LANES];
        for (lane, to) in fours.iter_mut().enumerate() {
            *to = four.wrapping_add(lane as u32);
        }
        let counter = self.philox_lanes(row, fours);
        let mut drawn = [[0.0; LANES]; 4];
        for lane in 0..LANES {
            let [x, y] = box_muller(counter[0][lane], counter[1][lane]);
            (drawn[0][lane], drawn[1][lane]) = (x, y);
        }
        for lane in 0..LANES {
            let [x, y] = box_muller(counter[2][lane], counter[3][lane]);
            (drawn[2][lane], drawn[3][lane]) = (x, y);
        }
        for lane in 0..LANES {
            for word in 0..4 {
                to[4 * lane + word] = drawn[word][lane];
            }
        }
    }

    /// [`words`](Self::words) of many fours: each word of all.
    #[expect(clippy::needless_range_loop, reason = "the words of a lane change together")]
    #[inline(always)]
    fn philox_lanes(self, row: u32, fours: [u32; LANES]) -> [[u32; LANES]; 4] {
        let mut counter = [fours, [row; LANES], [self.sweep; LANES], [self.tag; LANES]];
        let mut key = self.key;
        for round in 0..ROUNDS {
            if round > 0 {
                key[0] = key[0].wrapping_add(WEYL[0]);
                key[1] = key[1].wrapping_add(WEYL[1]);
            }
            for lane in 0..LANES {
                let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0][lane]);
                let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2][lane]);
                counter[0][lane] = (second >> 32) as u32 ^ counter[1][lane] ^ key[0];
                counter[1][lane] = second as u32;
                counter[2][lane] = (first >> 32) as u32 ^ counter[3][lane] ^ key[1];
                counter[3][lane] = first as u32;
            }
        }
        counter
    }

    /// The numbers of a row, one after another, for distributions that take what they need.
    pub fn sequence(self, row: u32) -> Sequence {
        Sequence { stream: self, row, four: 0, words: [0; 4], used: 4 }
    }
}

/// Two independent standard normal numbers from two random words (Box and Muller 1958): plain
/// products and sums in one order, so the same bits on every processor and with any mathematical
/// library. Good to 3 units in the last place of the radius, and 1e-7 of it in the angle.
#[inline(always)]
pub fn box_muller(radius: u32, angle: u32) -> [f32; 2] {
    // In (0, 1], so that the logarithm is finite.
    let uniform = (radius as f32 + 1.0) * (1.0 / 4_294_967_296.0);
    let radius = (-2.0 * ln(uniform)).max(0.0).sqrt();
    let (sine, cosine) = sin_cos_of_turns(angle);
    [radius * cosine, radius * sine]
}

/// `ln x` of a positive normal number, by the polynomial of Cephes' `logf` (Moshier 1992).
#[inline(always)]
fn ln(x: f32) -> f32 {
    // x = m 2ᵉ with m in [√½, √2).
    let bits = x.to_bits().wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let exponent = (bits as i32) >> 23;
    let f = f32::from_bits(x.to_bits().wrapping_sub((exponent as u32) << 23)) - 1.0;
    let e = exponent as f32;
    let square = f * f;
    let mut p = 7.037_683_6e-2;
    p = p * f - 1.151_461e-1;
    p = p * f + 1.167_699_9e-1;
    p = p * f - 1.242_014_1e-1;
    p = p * f + 1.424_932_3e-1;
    p = p * f - 1.666_805_8e-1;
    p = p * f + 2.000_071_5e-1;
    p = p * f - 2.499_999_4e-1;
    p = p * f + 3.333_333e-1;
    let rest = p * f * square + e * -2.121_944_4e-4 - 0.5 * square;
    f + rest + e * (355.0 / 512.0)
}

/// Sine and cosine of `angle / 2³²` turns, by Cephes' polynomials on an eighth of a turn.
#[inline(always)]
fn sin_cos_of_turns(angle: u32) -> (f32, f32) {
    let quarter = angle.wrapping_add(1 << 29) >> 30;
    let rest = angle.wrapping_sub(quarter << 30) as i32;
    let x = rest as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let z = x * x;
    let sine = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * x + x;
    let cosine =
        ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    let (even, odd) = match quarter & 1 {
        0 => (sine, cosine),
        _ => (cosine, sine),
    };
    // A half turn flips both, a quarter one the cosine.
    let sine_sign = if quarter & 2 == 0 { 1.0 } else { -1.0 };
    let cosine_sign = if quarter.wrapping_add(1) & 2 == 0 { 1.0 } else { -1.0 };
    (sine_sign * even, cosine_sign * odd)
}

/// Random words in order, as a generator of the `rand` crate.
#[derive(Clone, Debug)]
pub struct Sequence {
    stream: Stream,
    row: u32,
    four: u32,
    words: [u32; 4],
    used: usize,
}

impl TryRng for Sequence {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == 4 {
            self.words = self.stream.words(self.row, self.four);
            self.four = self.four.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        Ok(self.words[self.used - 1])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let (low, high) = (self.try_next_u32()?, self.try_next_u32()?);
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(4) {
            part.copy_from_slice(&self.try_next_u32()?.to_le_bytes()[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    // The known answers that Random123 publishes for philox4x32 with 10 rounds.
    #[test]
    fn philox_gives_the_published_words() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        let stream = Stream::new(7, 1, 3, Purpose::Users);
        let mut sums = [0.0_f64; 4];
        let rows = 50_000;
        for row in 0..rows {
            for z in stream.normals(row, 2) {
                let z = f64::from(z);
                for (power, sum) in sums.iter_mut().enumerate() {
                    *sum += z.powi(power as i32 + 1);
                }
            }
        }
        let n = f64::from(4 * rows);
        // Five standard errors of each moment: variances of z, z², z³ and z⁴ are 1, 2, 15 and 96.
        for ((sum, mean), variance) in
            sums.into_iter().zip([0.0, 1.0, 0.0, 3.0]).zip([1.0, 2.0, 15.0, 96.0_f64])
        {
            assert!((sum / n - mean).abs() < 5.0 * (variance / n).sqrt(), "{}", sum / n);
        }
    }

    #[test]
    fn box_muller_is_finite_at_its_ends() {
        for radius in [0, 1, u32::MAX] {
            for angle in [0, 1, u32::MAX] {
                assert!(box_muller(radius, angle).iter().all(|z| z.is_finite() && z.abs() < 7.0));
            }
        }
    }

    #[test]
    fn box_muller_is_as_good_as_its_definition() {
        let stream = Stream::new(3, 0, 1, Purpose::Items);
        for row in 0..20_000 {
            let [a, b, ..] = stream.words(row, 0);
            // Small words, too, for the far tail.
            let a = a >> (row % 32);
            let radius = (-2.0 * ((f64::from(a as f32 + 1.0)) / 2_f64.powi(32)).ln()).sqrt();
            let (sine, cosine) = (f64::from(b) / 2_f64.powi(32) * std::f64::consts::TAU).sin_cos();
            let [x, y] = box_muller(a, b);
            let bound = 4e-7 * radius.max(1e-3);
            assert!((f64::from(x) - radius * cosine).abs() < bound, "{a} {b}: {x}");
            assert!((f64::from(y) - radius * sine).abs() < bound, "{a} {b}: {y}");
        }
    }

    #[test]
    fn many_normals_are_the_single_ones() {
        let stream = Stream::new(11, 2, 5, Purpose::Users);
        for four in [0, 3, u32::MAX - 2] {
            let mut many = [0.0; 4 * LANES];
            stream.many_normals(77, four, &mut many);
            for lane in 0..LANES {
                let single = stream.normals(77, four.wrapping_add(lane as u32));
                assert_eq!(many[4 * lane..][..4], single);
            }
        }
    }

    #[test]
    fn a_sequence_runs_through_the_words_of_its_row() {
        let stream = Stream::new(u64::MAX - 1, 0, 9, Purpose::Hyperparameters);
        let mut sequence = stream.sequence(5);
        let Ok(first) = sequence.try_next_u64();
        let [a, b, c, _] = stream.words(5, 0);
        assert_eq!(first, u64::from(b) << 32 | u64::from(a));
        let Ok(third) = sequence.try_next_u32();
        assert_eq!(third, c);
        let z: f64 = StandardNormal.sample(&mut sequence);
        assert!(z.is_finite());
    }
}
