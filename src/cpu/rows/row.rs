//! One row's solution given the other side: all its coordinates at once, or block after block.

mod blocks;

use super::normal::{Block, Normal, Pivots, Prior, panel_rows};
use crate::backend::RowTerms;
use crate::core::SideRatings;
use crate::cpu::kernels::draw::Draw;
use crate::cpu::kernels::gram::{Ahead, Panel, combine, store};
use crate::cpu::kernels::latent::{Latents, latent};
use crate::cpu::kernels::lines::{LANES, Line, Matrix, numbers, numbers_mut, vectors, vectors_mut};
use crate::cpu::kernels::nonnegative::{mirror, nonnegative};
use pulp::Simd;
use std::ops::Range;

/// What the rows of a side need.
pub(crate) struct Inputs<'a> {
    /// The side's ratings.
    pub ratings: &'a SideRatings,
    /// The other side.
    pub partner: &'a Matrix,
    /// `μ`.
    pub mean: f32,
    /// The terms of the objective.
    pub terms: &'a RowTerms,
    /// Number of factors.
    pub factors: usize,
    /// All coordinates.
    pub all: &'a Block,
    /// The coordinates in the order in which they are solved.
    pub blocks: &'a [Block],
    /// What is drawn instead of solved for.
    pub draw: Option<Draw<'a>>,
    /// What is drawn in the place of the ratings' values, which are levels.
    pub latents: Option<Latents<'a>>,
}

/// Memory of one thread, kept from row to row.
#[derive(Default)]
pub(crate) struct Scratch {
    panel: Vec<Line>,
    /// Latent values of the ratings from position `first` on.
    latents: Vec<f32>,
    first: usize,
    /// (ratings): `√|w|`.
    roots: Vec<f32>,
    /// (ratings): `√w t`, or `√w` times the residual.
    targets: Vec<f32>,
    normal: Normal,
    pivots: Pivots,
    normals: Vec<Line>,
    /// (strips, factors): the whole symmetric matrix.
    whole: Vec<Line>,
    /// A block of the whole normal equations.
    part: Normal,
    gradient: Vec<Line>,
}

/// Lines of what is gathered once for all blocks, or for both passes of one: what a second-level
/// cache holds.
const STASH: usize = 1 << 14;

/// Lines of a row up to which the whole normal equations of a row with more ratings than a stash holds
/// are cheaper than gathering its blocks one by one.
const WHOLE: usize = 8;

impl Inputs<'_> {
    /// The regularization of the factors and of the bias of a row of `n` ratings.
    #[inline(always)]
    fn regularization(&self, n: usize) -> (f32, f32) {
        self.terms.regularization(n, self.partner.rows())
    }

    /// The prior of a row that is drawn.
    #[inline(always)]
    fn prior(&self, row: usize) -> Prior {
        match &self.draw {
            Some(draw) => Prior {
                popularity: draw.popularity[row],
                scale: draw.weights.get(row).map_or(1.0, |weight| 1.0 / weight),
            },
            None => Prior { popularity: 0.0, scale: 1.0 },
        }
    }

    /// (partners): the roots of the weights that all ratings of a partner have; empty without such.
    #[inline(always)]
    fn partner_roots(&self) -> &[f32] {
        match &self.draw {
            Some(draw) => draw.partner_roots,
            None => &[],
        }
    }

    /// `√|w|` and `√|w| (v − μ − c)` of the ratings at `positions`.
    #[inline(always)]
    fn targets(&self, positions: Range<usize>, scratch: &mut Scratch) {
        let Scratch { roots, targets, latents, first, .. } = scratch;
        roots.clear();
        targets.clear();
        let partner_roots = self.partner_roots();
        let (values, first) = match self.latents {
            Some(_) => (&latents[..], *first),
            None => (&self.ratings.values[..], 0),
        };
        for at in positions {
            let partner = self.ratings.partners[at] as usize;
            let own = self.ratings.weights.get(at).map_or(1.0, |w| w.abs().sqrt());
            let root = partner_roots.get(partner).map_or(own, |root| root * own);
            let bias = self.partner.bias[partner];
            roots.push(root);
            targets.push(root * (values[at - first] - self.mean - bias));
        }
    }

    /// How many of the ratings at `positions` of one row come before those that weigh less than 0.
    #[inline(always)]
    fn heavier(&self, positions: Range<usize>) -> usize {
        match self.terms.confidence.is_signed() {
            true => self.ratings.weights[positions].partition_point(|&weight| weight >= 0.0),
            false => positions.len(),
        }
    }

    /// Draws the latent values of a row's ratings at `positions`, whose parameters are `own`.
    #[inline(always)]
    fn impute<S: Simd, const V: usize>(
        &self,
        simd: S,
        (row, positions): (usize, Range<usize>),
        own: (&[Line], f32),
        scratch: &mut Scratch,
    ) {
        let Some(latents) = self.latents else { return };
        scratch.first = positions.start;
        scratch.latents.clear();
        latent::<S, V>(simd, self, latents, (row, positions), own, &mut scratch.latents);
    }

    /// Gathers some coordinates of the partners at `positions`, each times its `√|w|`.
    #[inline(always)]
    fn gather<'a>(
        &self,
        positions: Range<usize>,
        columns: &Range<usize>,
        roots: &[f32],
        lines: &'a mut Vec<Line>,
    ) -> Panel<'a> {
        let strips = columns.len().div_ceil(LANES);
        let rows = positions.len();
        // Odd, so that a row's lines do not fall on one cache set.
        let stride = rows | 1;
        if lines.len() < stride * strips {
            lines.resize(stride * strips, Line::ZERO);
        }
        let partners = &self.ratings.partners[positions];
        let weighted = !self.ratings.weights.is_empty() || !self.partner_roots().is_empty();
        for (t, &partner) in partners.iter().enumerate() {
            let row = self.partner.row(partner);
            if columns.start.is_multiple_of(LANES)
                && (columns.end == self.factors || columns.end.is_multiple_of(LANES))
            {
                for (s, line) in row[columns.start / LANES..][..strips].iter().enumerate() {
                    lines[s * stride + t] = *line;
                }
            } else {
                let row = &numbers(row)[columns.clone()];
                for (s, part) in row.chunks(LANES).enumerate() {
                    let line = &mut lines[s * stride + t];
                    *line = Line::ZERO;
                    line.0[..part.len()].copy_from_slice(part);
                }
            }
            if weighted {
                for s in 0..strips {
                    let line = &mut lines[s * stride + t];
                    for lane in 0..LANES {
                        line.0[lane] *= roots[t];
                    }
                }
            }
        }
        Panel { lines, stride, rows }
    }

    /// The normal equations of ratings of one row, whose parameters are `own`, without regularization
    /// and without what every pair weighs.
    #[inline(always)]
    pub(crate) fn part<S: Simd, const V: usize>(
        &self,
        simd: S,
        (row, positions): (usize, Range<usize>),
        own: (&[Line], f32),
        scratch: &mut Scratch,
    ) -> Normal {
        self.impute::<S, V>(simd, (row, positions.clone()), own, scratch);
        let mut normal = Normal::default();
        let columns = 0..self.factors;
        normal.clear(self.factors);
        self.accumulate::<S, V>(simd, positions, &columns, scratch, &mut normal);
        normal
    }

    #[inline(always)]
    fn accumulate<S: Simd, const V: usize>(
        &self,
        simd: S,
        positions: Range<usize>,
        columns: &Range<usize>,
        scratch: &mut Scratch,
        normal: &mut Normal,
    ) {
        let step = panel_rows(self.partner.strips);
        let mut at = positions.start;
        while at < positions.end {
            let chunk = at..positions.end.min(at + step);
            at = chunk.end;
            self.targets(chunk.clone(), scratch);
            let heavier = self.heavier(chunk.clone());
            let panel = self.gather(chunk, columns, &scratch.roots, &mut scratch.panel);
            let panel = (panel, heavier);
            let next = &self.ratings.partners[at..];
            let ahead =
                Ahead::new(self.partner, &next[..step.min(next.len())], self.partner.strips);
            let (targets, roots) = (&scratch.targets, &scratch.roots);
            normal.add_signed::<S, V>(simd, panel, targets, roots, self.terms.bias, ahead);
        }
    }

    /// Solves a row: `x` and `bias` are its parameters.
    #[inline(always)]
    pub(crate) fn row<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let positions = self.ratings.positions(row);
        if positions.is_empty() && self.draw.is_none() {
            x.fill(Line::ZERO);
            *bias = 0.0;
            return;
        }
        self.impute::<S, V>(simd, (row, positions.clone()), (x, *bias), scratch);
        let n = positions.len();
        let strips = self.partner.strips;
        if self.blocks.len() > 1 && (n * strips <= STASH || strips > WHOLE) {
            self.blocks::<S, V>(simd, row, scratch, x, bias);
            return;
        }
        let mut normal = std::mem::take(&mut scratch.normal);
        normal.start(self.all, self.prior(row));
        self.accumulate::<S, V>(simd, positions.clone(), &self.all.columns, scratch, &mut normal);
        if self.blocks.len() > 1 {
            self.equations::<S, V>(simd, row, normal, scratch, x, bias);
        } else {
            self.finish::<S, V>(simd, row, normal, scratch, x, bias);
        }
    }

    /// Solves a row whose normal equations were summed in parts.
    #[inline(always)]
    pub(crate) fn joined<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        parts: &[Normal],
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let mut normal = std::mem::take(&mut scratch.normal);
        normal.start(self.all, self.prior(row));
        for part in parts {
            normal.join(part);
        }
        self.finish::<S, V>(simd, row, normal, scratch, x, bias);
    }

    #[inline(always)]
    fn finish<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        mut normal: Normal,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let positions = self.ratings.positions(row);
        let n = positions.len();
        let (reg, reg_bias) = self.regularization(n);
        normal.regularize(self.factors, reg);
        if let Some(draw) = self.draw {
            let bias_column = self.terms.bias.then_some(self.factors);
            let Scratch { pivots, normals, .. } = &mut *scratch;
            let columns = 0..self.factors;
            draw.draw::<S, V>(simd, row, columns, bias_column, &mut normal, (pivots, normals));
            x.copy_from_slice(&normal.right);
            if self.terms.bias {
                *bias = normal.target;
            }
        } else if self.terms.nonnegative {
            nonnegative::<S, V>(
                simd,
                self.factors,
                &normal.sums,
                &normal.right,
                &mut scratch.whole,
                &mut scratch.gradient,
                x,
            );
        } else {
            let reg_bias = self.terms.bias.then_some(reg_bias);
            normal.solve::<S, V>(simd, &mut scratch.pivots, reg, reg_bias);
            x.copy_from_slice(&normal.right);
            if self.terms.bias {
                *bias = normal.target;
            }
            if self.terms.refines(n, self.partner.rows()) {
                self.refine::<S, V>(simd, positions, &normal, scratch, x, bias);
            }
        }
        scratch.normal = normal;
    }

    /// One step of iterative refinement: solves for what the residuals of the ratings still ask for,
    /// by the factorization that is there.
    #[inline(always)]
    fn refine<S: Simd, const V: usize>(
        &self,
        simd: S,
        positions: Range<usize>,
        normal: &Normal,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let (reg, reg_bias) = self.regularization(positions.len());
        let mut rest = std::mem::take(&mut scratch.part);
        rest.clear(self.factors);
        let step = panel_rows(self.partner.strips);
        let mut at = positions.start;
        while at < positions.end {
            let chunk = at..positions.end.min(at + step);
            at = chunk.end;
            self.targets(chunk.clone(), scratch);
            let Scratch { panel, roots, targets, .. } = &mut *scratch;
            let heavier = self.heavier(chunk.clone());
            let panel = self.gather(chunk, &(0..self.factors), roots, panel);
            for (t, target) in targets.iter_mut().enumerate() {
                *target -= roots[t] * *bias + panel_dot::<S, V>(simd, panel, t, x);
                rest.target += roots[t] * *target;
            }
            targets[heavier..].iter_mut().for_each(|target| *target = -*target);
            for s in 0..rest.right.len() {
                let sum = combine::<S, V>(simd, panel.strip(s), targets);
                let to = &mut vectors_mut::<S, V>(&mut rest.right)[s];
                for v in 0..V {
                    to[v] = simd.add_f32s(to[v], sum[v]);
                }
            }
        }
        for (to, x) in numbers_mut(&mut rest.right)[..self.factors].iter_mut().zip(numbers(x)) {
            *to -= reg * x;
        }
        if !self.all.gram.is_empty() {
            let whole = &mut scratch.whole;
            mirror(self.factors, x.len(), &self.all.gram, whole);
            for (s, lines) in whole.chunks_exact(self.factors).enumerate() {
                let sum = combine::<S, V>(simd, lines, numbers(x));
                let to = &mut vectors_mut::<S, V>(&mut rest.right)[s];
                for v in 0..V {
                    to[v] = simd.sub_f32s(to[v], sum[v]);
                }
            }
        }
        rest.target -= reg_bias * *bias;
        normal.solve_again::<S, V>(simd, &scratch.pivots, self.terms.bias, &mut rest);
        for (x, change) in numbers_mut(x)[..self.factors].iter_mut().zip(numbers(&rest.right)) {
            *x += change;
        }
        if self.terms.bias {
            *bias += rest.target;
        }
        scratch.part = rest;
    }
}

/// `line_t · x` over the strips of a panel.
#[inline(always)]
fn panel_dot<S: Simd, const V: usize>(simd: S, panel: Panel, t: usize, x: &[Line]) -> f32 {
    let mut sum = [simd.splat_f32s(0.0); V];
    for (s, x) in vectors::<S, V>(x).iter().enumerate() {
        let line = vectors::<S, V>(std::slice::from_ref(&panel.lines[s * panel.stride + t]))[0];
        for v in 0..V {
            sum[v] = simd.mul_add_e_f32s(x[v], line[v], sum[v]);
        }
    }
    store::<S, V>(sum).fold()
}
