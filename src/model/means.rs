//! Posterior means of factors.

use super::{Sample, Samples};
use crate::core::{Factors, Side, SideFactors};
use crate::math::dense::orthogonal_factor;
use rayon::prelude::*;

/// Rows of a task.
const BLOCK: usize = 1024;

impl Samples {
    /// The means of the samples' parameters, factors turned onto `reference` first: all predictions
    /// stay as they are when both sides' factors are turned alike, so samples differ by rotations
    /// that would blur the means. Each sample's rotation is the one that brings the rows of both
    /// sides, stacked, nearest to the reference's (Schoenemann 1966, "A generalized solution of the
    /// orthogonal Procrustes problem").
    ///
    /// Without a reference the last sample is the first one, and the means of that the second.
    ///
    /// The result does not depend on the number of threads. Without samples all is empty.
    ///
    /// # Panics
    /// If the samples and the reference are not of one shape.
    pub fn means(&self, reference: Option<&Factors>) -> Factors {
        let Some(last) = self.samples.last().map(|sample| &sample.factors) else {
            return Factors::default();
        };
        match reference {
            Some(reference) => self.turned(reference),
            None if self.samples.len() == 1 => last.clone(),
            None => self.turned(&self.turned(last)),
        }
    }

    fn turned(&self, reference: &Factors) -> Factors {
        let turns = self.turns(reference);
        let rows = |of: fn(&Factors) -> &[f32]| {
            turns.mean_rows(&self.samples.iter().map(|s| of(&s.factors)).collect::<Vec<_>>())
        };
        let biases = |of: fn(&Factors) -> &[f32]| {
            mean_numbers(&self.samples.iter().map(|s| of(&s.factors)).collect::<Vec<_>>())
        };
        Factors {
            factors: reference.factors,
            sides: [
                SideFactors {
                    factors: rows(|f| &f[Side::User].factors),
                    bias: biases(|f| &f[Side::User].bias),
                },
                SideFactors {
                    factors: rows(|f| &f[Side::Item].factors),
                    bias: biases(|f| &f[Side::Item].bias),
                },
            ],
            global_mean: reference.global_mean,
        }
    }

    /// The rotations that bring each sample nearest to `reference`.
    pub(crate) fn turns(&self, reference: &Factors) -> Turns {
        let factors = reference.factors;
        let turn =
            |sample: &Sample| orthogonal_factor(&products(&sample.factors, reference), factors);
        Turns { factors, turns: self.samples.par_iter().map(turn).collect() }
    }
}

/// A rotation of each sample's factors.
pub(crate) struct Turns {
    factors: usize,
    /// (samples): (k, k), row-major.
    turns: Vec<Vec<f64>>,
}

impl Turns {
    /// The means of rows of which `all` has one set a sample, (rows, k), each set turned first.
    pub(crate) fn mean_rows(&self, all: &[&[f32]]) -> Vec<f32> {
        let k = self.factors;
        let scale = 1.0 / all.len() as f64;
        let mut means = vec![0.0_f32; all.first().map_or(0, |rows| rows.len())];
        means.par_chunks_mut((BLOCK * k).max(1)).enumerate().for_each(|(block, means)| {
            let mut sum = vec![0.0; k];
            for (row, mean) in means.chunks_exact_mut(k.max(1)).enumerate() {
                sum.fill(0.0);
                for (rows, turn) in all.iter().zip(&self.turns) {
                    let row = &rows[(block * BLOCK + row) * k..][..k];
                    for (x, turn) in row.iter().zip(turn.chunks_exact(k)) {
                        let to = sum.iter_mut().zip(turn);
                        to.for_each(|(sum, turn)| *sum += f64::from(*x) * turn);
                    }
                }
                let to = mean.iter_mut().zip(&sum);
                to.for_each(|(mean, sum)| *mean = (sum * scale) as f32);
            }
        });
        means
    }
}

/// The means of numbers of which `all` has one set a sample.
pub(crate) fn mean_numbers(all: &[&[f32]]) -> Vec<f32> {
    let scale = 1.0 / all.len() as f64;
    let mean = |at: usize| all.iter().map(|x| f64::from(x[at])).sum::<f64>() * scale;
    (0..all.first().map_or(0, |x| x.len())).map(|at| mean(at) as f32).collect()
}

/// `Σ x zᵀ` over the rows of both sides, `x` of `factors` and `z` of `reference`: (k, k).
fn products(factors: &Factors, reference: &Factors) -> Vec<f64> {
    let k = reference.factors;
    let mut products = vec![0.0; k * k];
    for (own, to) in [
        (&factors[Side::User].factors, &reference[Side::User].factors),
        (&factors[Side::Item].factors, &reference[Side::Item].factors),
    ] {
        for (x, z) in own.chunks_exact(k.max(1)).zip(to.chunks_exact(k.max(1))) {
            for (x, line) in x.iter().zip(products.chunks_exact_mut(k)) {
                let line = line.iter_mut().zip(z);
                line.for_each(|(sum, z)| *sum += f64::from(*x) * f64::from(*z));
            }
        }
    }
    products
}

#[cfg(test)]
mod tests {
    use crate::core::{Factors, Side, SideFactors};
    use crate::model::{Sample, Samples};

    /// Three users, two items, two factors, both sides turned by an angle.
    fn turned(angle: f32) -> Factors {
        let (sine, cosine) = angle.sin_cos();
        let turn = |rows: &[[f32; 2]]| -> Vec<f32> {
            let row = |&[x, y]: &[f32; 2]| [cosine * x - sine * y, sine * x + cosine * y];
            rows.iter().flat_map(row).collect()
        };
        Factors {
            factors: 2,
            sides: [
                SideFactors {
                    factors: turn(&[[1.0, 0.5], [-0.5, 2.0], [0.25, -1.0]]),
                    bias: vec![angle; 3],
                },
                SideFactors {
                    factors: turn(&[[0.75, -1.0], [1.5, 0.5]]),
                    bias: vec![0.0, 2.0 * angle],
                },
            ],
            global_mean: 3.0,
        }
    }

    #[test]
    fn means_do_not_blur_what_is_only_turned() {
        let of = |angle| Sample { factors: turned(angle), ..Sample::default() };
        let samples = Samples { samples: [0.5, 2.5, -1.5].map(of).to_vec(), ..Samples::default() };
        let means = samples.means(None);
        let own = turned(0.0);
        for user in 0..3 {
            for item in 0..2 {
                let product = |f: &Factors| -> f32 {
                    f.user(user).iter().zip(f.item(item)).map(|(p, q)| p * q).sum()
                };
                assert!((product(&means) - product(&own)).abs() < 1e-5);
            }
        }
        for (mean, expected) in means[Side::User]
            .bias
            .iter()
            .chain(&means[Side::Item].bias)
            .zip([0.5, 0.5, 0.5, 0.0, 1.0])
        {
            assert!((mean - expected).abs() < 1e-6);
        }
        assert_eq!(means.global_mean, 3.0);
        // Onto a given frame.
        let framed = samples.means(Some(&own));
        for (mean, expected) in framed[Side::Item].factors.iter().zip(&own[Side::Item].factors) {
            assert!((mean - expected).abs() < 1e-5);
        }
    }
}
