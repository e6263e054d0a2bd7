//! Points that fill a cube evenly, however many are taken.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The additive recurrence of Roberts 2018 ("The unreasonable effectiveness of quasirandom sequences"):
/// `x_n = frac(s + n·α)`, `α_j = φ_d^{−j}`, where `φ_d` is the root above 1 of `x^{d+1} = x + 1`. Where it
/// starts is drawn by a seed.
pub(super) struct Sequence {
    start: Vec<f64>,
    steps: Vec<f64>,
}

impl Sequence {
    /// Of so many dimensions.
    pub(super) fn new(dimensions: usize, seed: u64) -> Self {
        let power = dimensions as f64 + 1.0;
        let mut root: f64 = 2.0;
        for _ in 0..64 {
            root = (1.0 + root).powf(1.0 / power);
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut start = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        Self {
            start: (0..dimensions).map(|_| start()).collect(),
            steps: (1..=dimensions).map(|j| root.powi(-(j as i32))).collect(),
        }
    }

    /// The `n`-th point, each coordinate in [0, 1).
    pub(super) fn point(&self, n: usize) -> Vec<f64> {
        let along = |(start, step): (&f64, &f64)| (start + n as f64 * step).fract();
        self.start.iter().zip(&self.steps).map(along).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest gap between neighbours of 64 points is far below that of points drawn at random (about
    /// 0.07 in the mean), in every direction; another seed starts elsewhere.
    #[test]
    fn points_fill_every_direction_evenly() {
        for dimensions in 1..=6 {
            let sequence = Sequence::new(dimensions, 3);
            let points: Vec<Vec<f64>> = (0..64).map(|n| sequence.point(n)).collect();
            assert_ne!(points[0], Sequence::new(dimensions, 4).point(0));
            for j in 0..dimensions {
                let mut along: Vec<f64> = points.iter().map(|point| point[j]).collect();
                along.sort_unstable_by(f64::total_cmp);
                assert!(along[0] >= 0.0 && along[63] < 1.0);
                let around = along[0] + 1.0 - along[63];
                let gap = along.windows(2).map(|w| w[1] - w[0]).fold(around, f64::max);
                assert!(gap < 0.045, "{dimensions} dimensions, {j}: {gap}");
            }
        }
    }

    #[test]
    fn in_one_dimension_it_is_the_golden_ratio() {
        let sequence = Sequence::new(1, 0);
        let step = (sequence.point(1)[0] - sequence.point(0)[0]).rem_euclid(1.0);
        assert!((step - 0.618_033_988_75).abs() < 1e-9, "{step}");
    }
}
