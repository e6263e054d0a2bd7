//! Gradient descent along the ratings of a block, one after the other. It has no twin among the shaders: a
//! GPU takes batches.

use super::lines::{Line, LineTask, vectors_mut};
use super::vector::{cross_entropy, sigmoid};
use crate::core::{Loss, StratumRating};
use pulp::Simd;

/// The constants of an epoch's visits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VisitTerms {
    /// `μ`.
    pub global_mean: f32,
    /// The loss.
    pub loss: Loss,
    /// What a residual moves a row by, times the partner's: the step size times the loss's factor.
    pub step: f32,
    /// The same of biases; 0 in a model without.
    pub step_bias: f32,
    /// The step size.
    pub rate: f32,
    /// The step size of biases; 0 in a model without.
    pub rate_bias: f32,
}

/// What a row's penalty adds to the gradient at each of its ratings, over the row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decay {
    /// Of its factors.
    pub factors: f32,
    /// Of its bias.
    pub bias: f32,
}

/// The rows of a stratum, which one thread owns.
pub(crate) struct Stratum<'a> {
    /// (rows, lines of a row), row-major.
    pub lines: &'a mut [Line],
    /// (rows).
    pub bias: &'a mut [f32],
    /// (rows).
    pub decay: &'a [Decay],
}

/// A block, its rows, and where its loss goes.
pub(crate) struct Block<'a> {
    /// In the order of their visits.
    pub ratings: &'a [StratumRating],
    /// What they count; empty where all count alike.
    pub weights: &'a [f32],
    /// The rows that they are of.
    pub users: Stratum<'a>,
    /// The rows that they are of.
    pub items: Stratum<'a>,
    /// Lines of a row.
    pub strips: usize,
    /// The constants.
    pub terms: &'a VisitTerms,
}

impl LineTask for Block<'_> {
    /// The summed loss, each rating's before its step.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) -> f64 {
        if !self.weights.is_empty() {
            let strips = self.strips;
            return visit::<S, V, true>(simd, self, strips);
        }
        // Rows of the usual lengths are walked without a loop: their length is known when compiling.
        match self.strips {
            1 => visit::<S, V, false>(simd, self, 1),
            2 => visit::<S, V, false>(simd, self, 2),
            3 => visit::<S, V, false>(simd, self, 3),
            4 => visit::<S, V, false>(simd, self, 4),
            6 => visit::<S, V, false>(simd, self, 6),
            8 => visit::<S, V, false>(simd, self, 8),
            strips => visit::<S, V, false>(simd, self, strips),
        }
    }
}

/// Visits a block. Inner products run in two times 16 lanes that are folded in halves, and products are
/// fused into sums, so that the width of a vector changes no bit.
#[inline(always)]
fn visit<S: Simd, const V: usize, const WEIGHTED: bool>(
    simd: S,
    block: Block,
    strips: usize,
) -> f64 {
    let Block { ratings, weights, users, items, terms, .. } = block;
    let (user_rows, item_rows) =
        (vectors_mut::<S, V>(users.lines), vectors_mut::<S, V>(items.lines));
    let mut loss = 0.0_f64;
    for (at, rating) in ratings.iter().enumerate() {
        let (user, item) = (rating.user as usize, rating.item as usize);
        let p = &mut user_rows[user * strips..][..strips];
        let q = &mut item_rows[item * strips..][..strips];
        let mut even = [simd.splat_f32s(0.0); V];
        let mut odd = even;
        for (at, (p, q)) in p.iter().zip(q.iter()).enumerate() {
            let sums = if at % 2 == 0 { &mut even } else { &mut odd };
            for v in 0..V {
                sums[v] = simd.mul_add_f32s(p[v], q[v], sums[v]);
            }
        }
        let mut line = [Line::ZERO];
        for v in 0..V {
            vectors_mut::<S, V>(&mut line)[0][v] = simd.add_f32s(even[v], odd[v]);
        }
        let (b, c) = (users.bias[user], items.bias[item]);
        let prediction = terms.global_mean + b + c + line[0].fold();
        let (residual, of_rating) = match terms.loss {
            Loss::Squared => {
                let residual = rating.value - prediction;
                (residual, residual * residual)
            }
            _ => {
                let residual = rating.value - sigmoid(prediction);
                (residual, cross_entropy(prediction, rating.value))
            }
        };
        let (residual, of_rating) = match WEIGHTED {
            true => (weights[at] * residual, weights[at] * of_rating),
            false => (residual, of_rating),
        };
        loss += f64::from(of_rating);
        let (user_decay, item_decay) = (users.decay[user], items.decay[item]);
        users.bias[user] = b + (terms.step_bias * residual - terms.rate_bias * user_decay.bias * b);
        items.bias[item] = c + (terms.step_bias * residual - terms.rate_bias * item_decay.bias * c);
        let step = simd.splat_f32s(terms.step * residual);
        let keep_user = simd.splat_f32s(1.0 - terms.rate * user_decay.factors);
        let keep_item = simd.splat_f32s(1.0 - terms.rate * item_decay.factors);
        for (p, q) in p.iter_mut().zip(q) {
            for v in 0..V {
                let (x, y) = (p[v], q[v]);
                p[v] = simd.mul_add_f32s(step, y, simd.mul_f32s(keep_user, x));
                q[v] = simd.mul_add_f32s(step, x, simd.mul_f32s(keep_item, y));
            }
        }
    }
    loss
}
