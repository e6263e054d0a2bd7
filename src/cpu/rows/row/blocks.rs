//! A row block after block: on its whole normal equations, or against the residuals of its ratings.

use super::{Inputs, STASH, Scratch, panel_dot};
use crate::cpu::kernels::gram::{Ahead, Panel, combine, dot};
use crate::cpu::kernels::lines::{LANES, Line, numbers, numbers_mut, strip, vectors_mut};
use crate::cpu::kernels::nonnegative::mirror;
use crate::cpu::rows::normal::{Block, Normal, Pivots};
use pulp::Simd;

/// The most rows that are read ahead while a stash is worked on.
const AHEAD: usize = 256;

impl Inputs<'_> {
    /// Solves a row block after block on its whole normal equations.
    #[inline(always)]
    pub(crate) fn equations<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        mut normal: Normal,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let (reg, reg_bias) = self.regularization(self.ratings.positions(row).len());
        let k = self.factors;
        normal.regularize(k, reg);
        let Scratch { whole, pivots, part, normals, .. } = scratch;
        mirror(k, x.len(), &normal.sums, whole);
        for (j, block) in self.blocks.iter().enumerate() {
            let biased = j + 1 == self.blocks.len() && self.terms.bias;
            let own = block.columns.clone();
            part.clear(own.len());
            for (to, column) in own.clone().enumerate() {
                let line = &whole[column / LANES * k..][..k];
                let mut moved = 0.0;
                for (j, x) in numbers(x)[..k].iter().enumerate() {
                    moved += line[j].0[column % LANES] * x;
                }
                let ones = numbers(&normal.ones)[column];
                let right = numbers(&normal.right)[column] - moved - ones * *bias;
                numbers_mut(&mut part.right)[to] = right;
                numbers_mut(&mut part.ones)[to] = ones;
                for j in 0..own.len().min((to / LANES + 1) * LANES) {
                    part.sums[strip(to / LANES) + j].0[to % LANES] =
                        line[own.start + j].0[column % LANES];
                }
            }
            if biased {
                let product = dot::<S, V>(simd, &normal.ones, x);
                part.weight = normal.weight;
                part.target = normal.target - product - (normal.weight + reg_bias) * *bias;
            }
            part.regularize(own.len(), 0.0);
            match self.draw {
                Some(draw) => {
                    let (own, bias) = (own.clone(), biased.then_some(k));
                    draw.draw::<S, V>(simd, row, own, bias, part, (pivots, normals));
                }
                None => part.solve::<S, V>(simd, pivots, reg, biased.then_some(reg_bias)),
            }
            for (x, change) in numbers_mut(x)[own].iter_mut().zip(numbers(&part.right)) {
                *x += change;
            }
            if biased {
                *bias += part.target;
            }
        }
        scratch.normal = normal;
    }

    /// Solves a row block after block.
    #[inline(always)]
    pub(crate) fn blocks<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let positions = self.ratings.positions(row);
        self.targets(positions.clone(), scratch);
        let n = positions.len();
        let all_heavier = self.heavier(positions.clone());
        let Scratch { panel, roots, targets, normal, pivots, normals, .. } = scratch;
        let mut tools = (pivots, normals);
        let partners = &self.ratings.partners[positions.clone()];
        let strips = self.partner.strips;
        let blocks = self.blocks;
        let prior = self.prior(row);
        let aligned = blocks[0].columns.end.is_multiple_of(LANES);
        let stashed = if aligned && n * strips <= STASH {
            Some(self.gather(positions.clone(), &(0..self.factors), roots, panel))
        } else {
            None
        };
        for t in 0..n {
            let product = match &stashed {
                Some(panel) => panel_dot::<S, V>(simd, *panel, t, x),
                None => roots[t] * dot::<S, V>(simd, x, self.partner.row(partners[t])),
            };
            targets[t] -= roots[t] * *bias + product;
        }
        if let Some(whole) = stashed {
            let next = &self.ratings.partners[positions.end..];
            let next = &next[..next.len().min(AHEAD)];
            for (j, block) in blocks.iter().enumerate() {
                let biased = j + 1 == blocks.len() && self.terms.bias;
                let panel = whole.part(block.columns.start / LANES, 0..n);
                let ahead = match j {
                    0 => Ahead::new(self.partner, next, block.strips()),
                    _ => Ahead::none(),
                };
                normal.start(block, prior);
                let panel_in_parts = (panel, all_heavier);
                normal.add_signed::<S, V>(simd, panel_in_parts, targets, roots, biased, ahead);
                let shift =
                    self.step::<S, V>(simd, row, block, normal, &mut tools, x, biased, bias);
                settle::<S, V>(simd, panel, &normal.right, shift, roots, targets);
            }
            return;
        }
        for (j, block) in blocks.iter().enumerate() {
            let biased = j + 1 == blocks.len() && self.terms.bias;
            let step = STASH / block.strips();
            normal.start(block, prior);
            let mut held = Panel { lines: &[], stride: 0, rows: 0 };
            let mut from = 0;
            while from < n {
                let to = n.min(from + step);
                let chunk = positions.start + from..positions.start + to;
                held = self.gather(chunk, &block.columns, &roots[from..to], panel);
                let (targets, roots) = (&targets[from..to], &roots[from..to]);
                let heavier = all_heavier.clamp(from, to) - from;
                let panel = (held, heavier);
                normal.add_signed::<S, V>(simd, panel, targets, roots, biased, Ahead::none());
                from = to;
            }
            if n <= step {
                let shift =
                    self.step::<S, V>(simd, row, block, normal, &mut tools, x, biased, bias);
                settle::<S, V>(simd, held, &normal.right, shift, roots, targets);
                continue;
            }
            let shift = self.step::<S, V>(simd, row, block, normal, &mut tools, x, biased, bias);
            let mut from = 0;
            while from < n {
                let to = n.min(from + step);
                let chunk = positions.start + from..positions.start + to;
                let held = self.gather(chunk, &block.columns, &roots[from..to], panel);
                let (targets, roots) = (&mut targets[from..to], &roots[from..to]);
                settle::<S, V>(simd, held, &normal.right, shift, roots, targets);
                from = to;
            }
        }
    }

    /// Solves a block's equations for the change of its coordinates, which is left in their right
    /// side, and moves `x` and `bias` by it. Returns the change of the bias.
    #[expect(clippy::too_many_arguments, reason = "parts of one scratch, some of them borrowed")]
    #[inline(always)]
    fn step<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        block: &Block,
        normal: &mut Normal,
        (pivots, normals): &mut (&mut Pivots, &mut Vec<Line>),
        x: &mut [Line],
        biased: bool,
        bias: &mut f32,
    ) -> f32 {
        let (reg, reg_bias) = self.regularization(self.ratings.positions(row).len());
        let own = block.columns.clone();
        for (to, x) in numbers_mut(&mut normal.right).iter_mut().zip(&numbers(x)[own.clone()]) {
            *to -= reg * x;
        }
        let scale = self.prior(row).scale;
        if !block.cross.is_empty() {
            for s in 0..block.strips() {
                let lines = &block.cross[s * self.factors..][..self.factors];
                let sum = combine::<S, V>(simd, lines, numbers(x));
                let to = &mut vectors_mut::<S, V>(&mut normal.right)[s];
                for v in 0..V {
                    to[v] = simd.sub_f32s(to[v], simd.mul_f32s(sum[v], simd.splat_f32s(scale)));
                }
            }
        }
        normal.target -= reg_bias * *bias;
        if let (Some(prior), Some(all)) = (&block.prior, &self.all.prior) {
            for (to, ones) in normal.right.iter_mut().zip(&prior.ones) {
                for lane in 0..LANES {
                    to.0[lane] -= scale * *bias * ones.0[lane];
                }
            }
            normal.target -= scale * (all.weight * *bias + dot::<S, V>(simd, &all.ones, x));
        }
        normal.regularize(own.len(), reg);
        match self.draw {
            Some(draw) => {
                let (own, bias) = (own.clone(), biased.then_some(self.factors));
                draw.draw::<S, V>(simd, row, own, bias, normal, (pivots, normals));
            }
            None => normal.solve::<S, V>(simd, pivots, reg, biased.then_some(reg_bias)),
        }
        for (x, change) in numbers_mut(x)[own].iter_mut().zip(numbers(&normal.right)) {
            *x += change;
        }
        let shift = if biased { normal.target } else { 0.0 };
        *bias += shift;
        shift
    }
}

/// Takes what the coordinates of a panel now predict more from the residuals.
#[inline(always)]
fn settle<S: Simd, const V: usize>(
    simd: S,
    panel: Panel,
    change: &[Line],
    shift: f32,
    roots: &[f32],
    residuals: &mut [f32],
) {
    for (t, (residual, root)) in residuals.iter_mut().zip(roots).enumerate() {
        *residual -= root * shift + panel_dot::<S, V>(simd, panel, t, change);
    }
}
