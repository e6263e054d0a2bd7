//! From the gradient by a row as it was scored to its step. The twin of `shaders/project.wgsl`.

use super::gram::dot;
use super::lines::{LANES, Line, numbers_mut};
use super::prepare::Dropout;
use crate::core::Score;
use pulp::Simd;

/// Makes of `gradient`, by the row `x` as it was scored, that by its parameters: `scale` is the factor of its
/// length, `row` its number.
#[inline(always)]
pub(crate) fn by_parameters<S: Simd, const V: usize>(
    simd: S,
    (x, scale): (&[Line], f32),
    (score, row): (Score, u32),
    dropout: Option<&Dropout>,
    gradient: &mut [Line],
) {
    if score == Score::Cosine {
        let along = dot::<S, V>(simd, gradient, x);
        for (line, x) in gradient.iter_mut().zip(x) {
            for lane in 0..LANES {
                line.0[lane] = scale * (line.0[lane] - along * x.0[lane]);
            }
        }
    }
    if let Some(dropout) = dropout {
        dropout.apply(row, numbers_mut(gradient));
    }
}
