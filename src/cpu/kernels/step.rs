//! The regularized update of one row. The twin of `shaders/step.wgsl`.

use crate::backend::{BETA1, BETA2, EPSILON};
use crate::core::Optimizer;

/// What an update needs beside the row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    /// Which one.
    pub optimizer: Optimizer,
    /// The step size, Adam's bias corrections included.
    pub rate: f32,
    /// Momentum of sgd.
    pub momentum: f32,
    /// The factor that turns `Σ e·y` into the gradient of the batch's mean loss: negative.
    pub scale: f32,
}

/// Moves `x` against the gradient `scale·sums + decay·x`. `first` and `second` are the moments, as
/// long as `x` where the optimizer keeps them and empty where not.
#[inline(always)]
pub(crate) fn step(
    update: &Update,
    x: &mut [f32],
    sums: &[f32],
    decay: f32,
    first: &mut [f32],
    second: &mut [f32],
) {
    let Update { optimizer, rate, momentum, scale } = *update;
    match optimizer {
        Optimizer::Sgd if first.is_empty() => {
            for (x, &sum) in x.iter_mut().zip(sums) {
                *x -= rate * (scale * sum + decay * *x);
            }
        }
        Optimizer::Sgd => {
            for ((x, &sum), v) in x.iter_mut().zip(sums).zip(first) {
                *v = momentum * *v + (scale * sum + decay * *x);
                *x -= rate * *v;
            }
        }
        Optimizer::Adagrad => {
            for ((x, &sum), v) in x.iter_mut().zip(sums).zip(first) {
                let g = scale * sum + decay * *x;
                *v += g * g;
                *x -= rate * g / (v.sqrt() + EPSILON);
            }
        }
        Optimizer::Adam => {
            let (b1, b2) = (BETA1 as f32, BETA2 as f32);
            let (c1, c2) = ((1.0 - BETA1) as f32, (1.0 - BETA2) as f32);
            for (((x, &sum), m), v) in x.iter_mut().zip(sums).zip(first).zip(second) {
                let g = scale * sum + decay * *x;
                *m = b1 * *m + c1 * g;
                *v = b2 * *v + c2 * (g * g);
                *x -= rate * *m / (v.sqrt() + EPSILON);
            }
        }
    }
}
