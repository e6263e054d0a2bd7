//! The gradient by users' rows as they were scored. The twin of `shaders/user_gradient.wgsl`.

use super::lines::{LANES, Line};
use super::products::Weighted;
use pulp::Simd;

/// Of each row of a block, (rows, strips): `coefficient · Σ_j weight_j y_j` over the pool.
#[inline(always)]
pub(crate) fn user_gradient<S: Simd, const V: usize>(
    simd: S,
    weighted: &Weighted,
    coefficients: &[f32],
    to: &mut [Line],
) {
    to.fill(Line::ZERO);
    weighted.run::<S, V>(simd, to);
    let strips = to.len() / coefficients.len();
    for (row, &coefficient) in to.chunks_exact_mut(strips).zip(coefficients) {
        for line in row {
            for lane in 0..LANES {
                line.0[lane] *= coefficient;
            }
        }
    }
}

/// `to += slope · x`: what a pair adds to its user and its item.
#[inline(always)]
pub(crate) fn add_pair(slope: f32, x: &[Line], to: &mut [Line]) {
    for (to, x) in to.iter_mut().zip(x) {
        for lane in 0..LANES {
            to.0[lane] += slope * x.0[lane];
        }
    }
}
