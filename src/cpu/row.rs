//! One row's solution given the other side: all its coordinates at once, or block after block.

use super::cholesky::{backward, cholesky, forward};
use super::gram::{Ahead, Panel, combine, dot, gram, store};
use super::lines::{LANES, Line, Matrix, numbers, numbers_mut, strip, vectors, vectors_mut};
use super::nonnegative::nonnegative;
use crate::backend::RowTerms;
use crate::train::SideRatings;
use pulp::Simd;
use std::ops::Range;

/// Coordinates that are solved together, and what every pair weighs in their equations.
pub struct Block {
    /// Which coordinates.
    pub columns: Range<usize>,
    /// `α₀ G` of these coordinates, the upper triangle in strips; empty for explicit ratings.
    pub gram: Vec<Line>,
    /// (strips of the block, factors): `α₀ G` of these coordinates with all. Empty for explicit
    /// ratings, and where the block is all there is.
    pub cross: Vec<Line>,
}

impl Block {
    /// Lines of a row of these coordinates.
    #[inline(always)]
    fn strips(&self) -> usize {
        self.columns.len().div_ceil(LANES)
    }
}

/// What the rows of a side need.
pub struct Inputs<'a> {
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
    /// The coordinates in the order in which they are solved.
    pub blocks: &'a [Block],
}

/// Normal equations of `[p, b]`, or of some of their coordinates.
#[derive(Clone, Default)]
pub struct Normal {
    /// `Σ w q qᵀ`, the upper triangle in strips.
    sums: Vec<Line>,
    /// (strips): `Σ w t q`; then the solution.
    right: Vec<Line>,
    /// (strips): `Σ w q`.
    ones: Vec<Line>,
    /// `Σ w`.
    weight: f32,
    /// `Σ w t`; then the solution.
    target: f32,
}

impl Normal {
    /// Starts from what every pair weighs, or from nothing.
    #[inline(always)]
    fn start(&mut self, block: &Block) {
        let strips = block.strips();
        self.sums.clear();
        self.sums.extend_from_slice(&block.gram);
        self.sums.resize(strip(strips), Line::ZERO);
        self.right.clear();
        self.right.resize(strips, Line::ZERO);
        self.ones.clear();
        self.ones.resize(strips, Line::ZERO);
        self.weight = 0.0;
        self.target = 0.0;
    }

    /// Adds rows `√w q` with their `√w t` and `√w`, as many at a time as a cache holds.
    #[inline(always)]
    fn add<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        panel: Panel,
        targets: &[f32],
        roots: &[f32],
        biased: bool,
        mut ahead: Ahead,
    ) {
        let strips = self.right.len();
        let step = panel_rows(strips);
        let mut from = 0;
        while from < panel.rows {
            let rows = from..panel.rows.min(from + step);
            from = rows.end;
            let (targets, roots) = (&targets[rows.clone()], &roots[rows.clone()]);
            let panel = panel.part(0, rows);
            gram::<S, V>(simd, panel, strips, &mut self.sums, &mut ahead);
            for s in 0..strips {
                let lines = panel.strip(s);
                let sum = combine::<S, V>(simd, lines, targets);
                let to = &mut vectors_mut::<S, V>(&mut self.right)[s];
                for v in 0..V {
                    to[v] = simd.add_f32s(to[v], sum[v]);
                }
                if biased {
                    let sum = combine::<S, V>(simd, lines, roots);
                    let to = &mut vectors_mut::<S, V>(&mut self.ones)[s];
                    for v in 0..V {
                        to[v] = simd.add_f32s(to[v], sum[v]);
                    }
                }
            }
            if biased {
                let (mut weight, mut target) = (0.0, 0.0);
                for (root, t) in roots.iter().zip(targets) {
                    weight += root * root;
                    target += root * t;
                }
                self.weight += weight;
                self.target += target;
            }
        }
    }

    /// Adds another part of the same row's ratings.
    #[inline(always)]
    fn join(&mut self, other: &Normal) {
        let pairs = [
            (&mut self.sums, &other.sums),
            (&mut self.right, &other.right),
            (&mut self.ones, &other.ones),
        ];
        for (to, from) in pairs {
            for (to, from) in to.iter_mut().zip(from) {
                for lane in 0..LANES {
                    to.0[lane] += from.0[lane];
                }
            }
        }
        self.weight += other.weight;
        self.target += other.target;
    }

    /// Adds the regularization to the diagonal of the first `columns` coordinates; those that pad
    /// the last line get ones.
    #[inline(always)]
    fn regularize(&mut self, columns: usize, reg: f32) {
        for j in 0..self.right.len() * LANES {
            let diagonal = &mut self.sums[strip(j / LANES) + j].0[j % LANES];
            if j < columns {
                *diagonal += reg;
            } else {
                *diagonal = 1.0;
            }
        }
    }

    /// Solves for `right`, and where there is a bias for `target`. Without regularization a pivot
    /// that is lost in rounding counts as singular: the solution is NaN.
    #[inline(always)]
    fn solve<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        pivots: &mut Pivots,
        reg: f32,
        reg_bias: Option<f32>,
    ) {
        let strips = self.right.len();
        let floor = 4.0 * f32::EPSILON * ((strips * LANES) as f32).sqrt();
        pivots.floors.clear();
        pivots.floors.resize(strips, Line::ZERO);
        pivots.inverse.clear();
        pivots.inverse.resize(strips, Line::ZERO);
        if reg == 0.0 {
            for j in 0..strips * LANES {
                let diagonal = self.sums[strip(j / LANES) + j].0[j % LANES];
                pivots.floors[j / LANES].0[j % LANES] = floor * diagonal;
            }
        }
        cholesky::<S, V>(simd, &mut self.sums, &pivots.floors, &mut pivots.inverse);
        forward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.right);
        if let Some(reg_bias) = reg_bias {
            forward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.ones);
            let pivot = self.weight + reg_bias - dot::<S, V>(simd, &self.ones, &self.ones);
            let least = if reg_bias == 0.0 { floor * self.weight } else { 0.0 };
            let rest = self.target - dot::<S, V>(simd, &self.ones, &self.right);
            self.target = if pivot > least { rest / pivot } else { f32::NAN };
            for (to, from) in self.right.iter_mut().zip(&self.ones) {
                for lane in 0..LANES {
                    to.0[lane] -= self.target * from.0[lane];
                }
            }
        }
        backward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.right);
    }
}

/// What a factorization keeps of its pivots.
#[derive(Default)]
struct Pivots {
    /// (strips): what each pivot must be above.
    floors: Vec<Line>,
    /// (strips): one over the root of each pivot.
    inverse: Vec<Line>,
}

/// Memory of one thread, kept from row to row.
#[derive(Default)]
pub struct Scratch {
    panel: Vec<Line>,
    /// (ratings): `√w`.
    roots: Vec<f32>,
    /// (ratings): `√w t`, or `√w` times the residual.
    targets: Vec<f32>,
    normal: Normal,
    pivots: Pivots,
    /// (factors, strips): the whole symmetric matrix.
    whole: Vec<Line>,
    gradient: Vec<Line>,
}

/// Lines of a panel: what a first-level cache holds beside the sums.
const PANEL: usize = 512;

/// Lines of what is gathered once for all blocks, or for both passes of one: what a second-level
/// cache holds.
const STASH: usize = 1 << 14;

/// The most rows that are read ahead while a stash is worked on.
const AHEAD: usize = 256;

/// Rows of a panel of `strips` strips.
#[inline(always)]
fn panel_rows(strips: usize) -> usize {
    (PANEL / strips).clamp(64, 256)
}

impl Inputs<'_> {
    /// What a row of `n` ratings weighs its regularization.
    #[inline(always)]
    fn penalty(&self, n: usize) -> f32 {
        self.terms.penalty(n, self.partner.rows())
    }

    /// `√w` and `√w (v − μ − c)` of the ratings at `positions`.
    #[inline(always)]
    fn targets(&self, positions: Range<usize>, scratch: &mut Scratch) {
        scratch.roots.clear();
        scratch.targets.clear();
        for at in positions {
            let root = self.ratings.weights.get(at).map_or(1.0, |w| w.sqrt());
            let bias = self.partner.bias[self.ratings.partners[at] as usize];
            scratch.roots.push(root);
            scratch.targets.push(root * (self.ratings.values[at] - self.mean - bias));
        }
    }

    /// Gathers some coordinates of the partners at `positions`, each times its `√w`.
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
        let weighted = !self.ratings.weights.is_empty();
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

    /// The normal equations of ratings of one row, without regularization and without what every
    /// pair weighs.
    #[inline(always)]
    pub fn part<S: Simd, const V: usize>(
        &self,
        simd: S,
        positions: Range<usize>,
        scratch: &mut Scratch,
    ) -> Normal {
        let mut normal = Normal::default();
        let columns = 0..self.factors;
        normal.start(&Block { columns: columns.clone(), gram: vec![], cross: vec![] });
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
            let panel = self.gather(chunk, columns, &scratch.roots, &mut scratch.panel);
            let next = &self.ratings.partners[at..];
            let ahead =
                Ahead::new(self.partner, &next[..step.min(next.len())], self.partner.strips);
            let (targets, roots) = (&scratch.targets, &scratch.roots);
            normal.add::<S, V>(simd, panel, targets, roots, self.terms.bias, ahead);
        }
    }

    /// Solves a row: `x` and `bias` are its parameters.
    #[inline(always)]
    pub fn row<S: Simd, const V: usize>(
        &self,
        simd: S,
        row: usize,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let positions = self.ratings.positions(row);
        if positions.is_empty() {
            x.fill(Line::ZERO);
            *bias = 0.0;
            return;
        }
        match self.blocks {
            [all] => {
                let mut normal = std::mem::take(&mut scratch.normal);
                normal.start(all);
                let n = positions.len();
                self.accumulate::<S, V>(simd, positions, &all.columns, scratch, &mut normal);
                self.finish::<S, V>(simd, n, normal, scratch, x, bias);
            }
            blocks => self.blocks::<S, V>(simd, positions, blocks, scratch, x, bias),
        }
    }

    /// Solves a row of `n` ratings whose normal equations were summed in parts.
    #[inline(always)]
    pub fn joined<S: Simd, const V: usize>(
        &self,
        simd: S,
        n: usize,
        parts: &[Normal],
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let mut normal = std::mem::take(&mut scratch.normal);
        normal.start(&self.blocks[0]);
        for part in parts {
            normal.join(part);
        }
        self.finish::<S, V>(simd, n, normal, scratch, x, bias);
    }

    #[inline(always)]
    fn finish<S: Simd, const V: usize>(
        &self,
        simd: S,
        n: usize,
        mut normal: Normal,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        let penalty = self.penalty(n);
        let reg = self.terms.reg * penalty;
        normal.regularize(self.factors, reg);
        if self.terms.nonnegative {
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
            let reg_bias = self.terms.bias.then_some(self.terms.reg_bias * penalty);
            normal.solve::<S, V>(simd, &mut scratch.pivots, reg, reg_bias);
            x.copy_from_slice(&normal.right);
            if self.terms.bias {
                *bias = normal.target;
            }
        }
        scratch.normal = normal;
    }

    /// Solves a row block after block.
    #[inline(always)]
    fn blocks<S: Simd, const V: usize>(
        &self,
        simd: S,
        positions: Range<usize>,
        blocks: &[Block],
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: &mut f32,
    ) {
        self.targets(positions.clone(), scratch);
        let n = positions.len();
        let Scratch { panel, roots, targets, normal, pivots, .. } = scratch;
        let partners = &self.ratings.partners[positions.clone()];
        let strips = self.partner.strips;
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
                normal.start(block);
                normal.add::<S, V>(simd, panel, targets, roots, biased, ahead);
                let shift = self.step::<S, V>(simd, n, block, normal, pivots, x, biased, bias);
                settle::<S, V>(simd, panel, &normal.right, shift, roots, targets);
            }
            return;
        }
        for (j, block) in blocks.iter().enumerate() {
            let biased = j + 1 == blocks.len() && self.terms.bias;
            let step = STASH / block.strips();
            normal.start(block);
            let mut held = Panel { lines: &[], stride: 0, rows: 0 };
            let mut from = 0;
            while from < n {
                let to = n.min(from + step);
                let chunk = positions.start + from..positions.start + to;
                held = self.gather(chunk, &block.columns, &roots[from..to], panel);
                let (targets, roots) = (&targets[from..to], &roots[from..to]);
                normal.add::<S, V>(simd, held, targets, roots, biased, Ahead::none());
                from = to;
            }
            if n <= step {
                let shift = self.step::<S, V>(simd, n, block, normal, pivots, x, biased, bias);
                settle::<S, V>(simd, held, &normal.right, shift, roots, targets);
                continue;
            }
            let shift = self.step::<S, V>(simd, n, block, normal, pivots, x, biased, bias);
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
        n: usize,
        block: &Block,
        normal: &mut Normal,
        pivots: &mut Pivots,
        x: &mut [Line],
        biased: bool,
        bias: &mut f32,
    ) -> f32 {
        let penalty = self.penalty(n);
        let (reg, reg_bias) = (self.terms.reg * penalty, self.terms.reg_bias * penalty);
        let own = block.columns.clone();
        for (to, x) in numbers_mut(&mut normal.right).iter_mut().zip(&numbers(x)[own.clone()]) {
            *to -= reg * x;
        }
        if !block.cross.is_empty() {
            for s in 0..block.strips() {
                let lines = &block.cross[s * self.factors..][..self.factors];
                let sum = combine::<S, V>(simd, lines, numbers(x));
                let to = &mut vectors_mut::<S, V>(&mut normal.right)[s];
                for v in 0..V {
                    to[v] = simd.sub_f32s(to[v], sum[v]);
                }
            }
        }
        normal.target -= reg_bias * *bias;
        normal.regularize(own.len(), reg);
        normal.solve::<S, V>(simd, pivots, reg, biased.then_some(reg_bias));
        for (x, change) in numbers_mut(x)[own].iter_mut().zip(numbers(&normal.right)) {
            *x += change;
        }
        let shift = if biased { normal.target } else { 0.0 };
        *bias += shift;
        shift
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
