//! Points that fill a cube evenly, however many are taken.

/// The sequence of Sobol with Owen's scrambling (Burley 2020, "Practical hash-based Owen scrambling"): of
/// every `2^m` points a direction's `2^m` equal parts have one each. The seed scrambles.
pub(super) struct Sequence {
    dimensions: u32,
    seed: u32,
}

impl Sequence {
    /// Of so many dimensions.
    pub(super) fn new(dimensions: usize, seed: u64) -> Self {
        // Both halves of a seed count.
        let seed = (seed ^ (seed >> 32)) as u32;
        Self { dimensions: dimensions as u32, seed }
    }

    /// The `n`-th point, each coordinate in [0, 1).
    pub(super) fn point(&self, n: usize) -> Vec<f64> {
        // A sequence has 65,536 points and 256 dimensions; what comes behind is another one.
        const POINTS: usize = 1 << 16;
        let turn = (n / POINTS) as u32;
        let coordinate = |j: u32| {
            let seed = self.seed.wrapping_add(turn).wrapping_add(j / 256);
            f64::from(sobol_burley::sample((n % POINTS) as u32, j % 256, seed))
        };
        (0..self.dimensions).map(coordinate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_fill_every_direction_evenly() {
        for dimensions in 1..=6 {
            let sequence = Sequence::new(dimensions, 3);
            let points: Vec<Vec<f64>> = (0..64).map(|n| sequence.point(n)).collect();
            assert_ne!(points[0], Sequence::new(dimensions, 4).point(0));
            for j in 0..dimensions {
                let mut counts = [0; 64];
                points.iter().for_each(|point| counts[(64.0 * point[j]) as usize] += 1);
                assert_eq!(counts, [1; 64], "{dimensions} dimensions, {j}");
            }
        }
        assert_eq!(Sequence::new(2, 1 << 40).point(70_000).len(), 2);
    }
}
