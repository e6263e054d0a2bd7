//! The gradient by items' rows as they were scored. The twin of `shaders/item_gradient.wgsl`.

use super::lines::{LANES, Line};
use super::products::Transposed;
use pulp::Simd;

/// Of each slot of the pool, (slots, strips), and its bias, (panels): what a block of users adds, their rows
/// given times their coefficients as (strips, rows). The `first` block puts what others add to.
#[inline(always)]
pub(crate) fn item_gradient<S: Simd, const V: usize>(
    simd: S,
    transposed: &Transposed,
    coefficients: &[f32],
    first: bool,
    (to, to_bias): (&mut [Line], &mut [Line]),
) {
    transposed.run::<S, V>(simd, first, to);
    if first {
        to_bias.fill(Line::ZERO);
    }
    for (panel, sum) in to_bias.iter_mut().enumerate() {
        let weights = transposed.weights[panel..].iter().step_by(transposed.panels);
        for (line, &coefficient) in weights.zip(coefficients) {
            for lane in 0..LANES {
                sum.0[lane] += coefficient * line.0[lane];
            }
        }
    }
}
