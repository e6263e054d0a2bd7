//! A side's prior as `cholesky` reads it.

use crate::backend::Conditional;
use crate::gpu::rows::shape::{Shape, place_of};

/// Numbers that [`prior`] gives for rows of this shape.
pub fn prior_len(shape: Shape) -> usize {
    shape.tiles() * 64 + shape.target()
}

/// `Λ/τ` laid out as the normal equations of `shape`, with `Λm/τ` in the row of the right-hand side and
/// ones on the diagonal of what is padded; then (target): `Λs/τ`.
pub fn prior(conditional: &Conditional, shape: Shape) -> Vec<f32> {
    let prior = conditional.prior;
    let (wide, known) = (prior.mean.len(), shape.coordinates + usize::from(shape.bias));
    let scaled: Vec<f64> =
        prior.precision.iter().map(|x| x / conditional.noise_precision).collect();
    let times = |row: usize, x: &[f64]| -> f64 {
        scaled[row * wide..][..wide].iter().zip(x).map(|(a, x)| a * x).sum()
    };
    let mut values = vec![0.0_f32; prior_len(shape)];
    let (slope, target) = (shape.tiles() * 64, shape.target());
    for row in 0..target {
        // Tiles on the diagonal are whole.
        for column in 0..(row / 8 * 8 + 8).min(target) {
            values[place_of(row, column)] = match row.max(column) < known {
                true => scaled[row * wide + column] as f32,
                false => f32::from(u8::from(row == column)),
            };
        }
        if row < known {
            values[place_of(target, row)] = times(row, &prior.mean) as f32;
            values[slope + row] = times(row, &prior.slope) as f32;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::RowPrior;
    use crate::math::random::{Purpose, Stream};

    #[test]
    fn a_prior_lies_where_normal_equations_do() {
        for (coordinates, bias) in [(1, false), (3, true), (8, true), (8, false), (13, true)] {
            let wide = coordinates + 1;
            let number =
                |row: usize, column: usize| (row.min(column) * 100 + row.max(column)) as f64;
            let prior_of = RowPrior {
                mean: (0..wide).map(|j| if j == 1 { 1.0 } else { 0.0 }).collect(),
                slope: (0..wide).map(|j| if j == 0 { 1.0 } else { 0.0 }).collect(),
                precision: (0..wide * wide).map(|at| number(at / wide, at % wide)).collect(),
            };
            let stream = Stream::new(1, 0, 1, Purpose::Users);
            let conditional = Conditional {
                prior: &prior_of,
                noise_precision: 2.0,
                noise_weights: &[],
                thresholds: &[],
                rows: stream,
                latents: stream,
            };
            let shape = Shape { coordinates, bias };
            let values = prior(&conditional, shape);
            assert_eq!(values.len(), shape.matrix_columns() * 4 + shape.target());
            let known = coordinates + usize::from(bias);
            for row in 0..shape.target() {
                for column in 0..=row {
                    let want = match row < known {
                        true => number(row, column) / 2.0,
                        false => f64::from(u8::from(row == column)),
                    };
                    assert_eq!(f64::from(values[place_of(row, column)]), want);
                }
                let (mean, slope) = match row < known {
                    true => (number(row, 1) / 2.0, number(row, 0) / 2.0),
                    false => (0.0, 0.0),
                };
                assert_eq!(f64::from(values[place_of(shape.target(), row)]), mean);
                assert_eq!(f64::from(values[shape.tiles() * 64 + row]), slope);
            }
        }
    }
}
