//! Predictions and residuals of a run of ratings that share a row, and that row's gradient.
//! The twin of `shaders/residual.wgsl`.
//!
//! No closures here, nor in the other kernels: where one is not inlined, it is compiled without the
//! vector instructions of its caller.

use super::table::Rows;
use super::vector::{add_scaled, add_scaled_4, cross_entropy, dot, sigmoid};
use crate::core::Loss;

/// What the residuals of one side need.
pub(crate) struct Inputs<'a> {
    /// The rows that lead.
    pub own: &'a Rows,
    /// The rows of the other side.
    pub partner: &'a Rows,
    /// `μ`.
    pub global_mean: f32,
    /// The loss.
    pub loss: Loss,
}

/// Residuals `e` of the ratings `values` of `row` with `partners`, times what they count where there are
/// `weights`; `gradient = Σ e·y`. Returns the summed loss and `Σ e`.
#[inline(always)]
pub(crate) fn residual(
    inputs: &Inputs,
    row: u32,
    partners: &[u32],
    (values, weights): (&[f32], &[f32]),
    residuals: &mut [f32],
    gradient: &mut [f32],
) -> (f64, f32) {
    let values = (values, weights);
    match weights.is_empty() {
        true => residual_of::<false>(inputs, row, partners, values, residuals, gradient),
        false => residual_of::<true>(inputs, row, partners, values, residuals, gradient),
    }
}

#[inline(always)]
fn residual_of<const WEIGHTED: bool>(
    inputs: &Inputs,
    row: u32,
    partners: &[u32],
    (values, weights): (&[f32], &[f32]),
    residuals: &mut [f32],
    gradient: &mut [f32],
) -> (f64, f32) {
    let x = inputs.own.row(row);
    let base = inputs.global_mean + inputs.own.bias[row as usize];
    let (mut loss, mut sum, mut at) = (0.0_f64, 0.0_f32, 0);
    gradient.fill(0.0);
    let (partners_4, partners_rest) = partners.as_chunks::<4>();
    let (values_4, values_rest) = values.as_chunks::<4>();
    let (residuals_4, residuals_rest) = residuals.as_chunks_mut::<4>();
    for ((partners, values), residuals) in partners_4.iter().zip(values_4).zip(residuals_4) {
        let [a, b, c, d] = *partners;
        let rows = inputs.partner;
        let y = [rows.row(a), rows.row(b), rows.row(c), rows.row(d)];
        let predictions = [
            base + inputs.partner.bias[a as usize] + dot(x, y[0]),
            base + inputs.partner.bias[b as usize] + dot(x, y[1]),
            base + inputs.partner.bias[c as usize] + dot(x, y[2]),
            base + inputs.partner.bias[d as usize] + dot(x, y[3]),
        ];
        for j in 0..4 {
            let (mut e, mut l) = hold(inputs.loss, predictions[j], values[j]);
            if WEIGHTED {
                let weight = weights[at + j];
                (e, l) = (weight * e, weight * l);
            }
            residuals[j] = e;
            loss += f64::from(l);
            sum += e;
        }
        add_scaled_4(gradient, *residuals, y);
        at += 4;
    }
    for ((&partner, &value), residual) in partners_rest.iter().zip(values_rest).zip(residuals_rest)
    {
        let y = inputs.partner.row(partner);
        let prediction = base + inputs.partner.bias[partner as usize] + dot(x, y);
        let (mut e, mut l) = hold(inputs.loss, prediction, value);
        if WEIGHTED {
            (e, l) = (weights[at] * e, weights[at] * l);
            at += 1;
        }
        *residual = e;
        loss += f64::from(l);
        sum += e;
        add_scaled(gradient, e, y);
    }
    (loss, sum)
}

/// The residual and the loss of one prediction.
#[inline(always)]
fn hold(loss: Loss, prediction: f32, value: f32) -> (f32, f32) {
    match loss {
        Loss::Squared => {
            let e = value - prediction;
            (e, e * e)
        }
        _ => (value - sigmoid(prediction), cross_entropy(prediction, value)),
    }
}
