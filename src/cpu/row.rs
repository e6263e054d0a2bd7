//! One row's solution given the other side: all its coordinates at once, or block after block.

use super::cholesky::{backward, cholesky, forward};
use super::gram::{Panel, combine, dot, gram};
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

    /// Adds rows `√w q` with their `√w t` and `√w`.
    #[inline(always)]
    fn add<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        panel: Panel,
        targets: &[f32],
        roots: &[f32],
        biased: bool,
    ) {
        let strips = self.right.len();
        gram::<S, V>(simd, panel, strips, &mut self.sums);
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
        // One more than there may be rows, so that a row's lines do not fall on one cache set.
        let stride = panel_rows(strips) + 1;
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
            normal.add::<S, V>(simd, panel, &scratch.targets, &scratch.roots, self.terms.bias);
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
            blocks => {
                self.residuals::<S, V>(simd, positions.clone(), scratch, x, *bias);
                for (j, block) in blocks.iter().enumerate() {
                    let last = j + 1 == blocks.len() && self.terms.bias;
                    let bias = if last { Some(&mut *bias) } else { None };
                    self.block::<S, V>(simd, positions.clone(), block, scratch, x, bias);
                }
            }
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

    /// Leaves `√w` and `√w (v − r̂)` of a row's ratings in the scratch.
    #[inline(always)]
    fn residuals<S: Simd, const V: usize>(
        &self,
        simd: S,
        positions: Range<usize>,
        scratch: &mut Scratch,
        x: &[Line],
        bias: f32,
    ) {
        self.targets(positions.clone(), scratch);
        let pairs = scratch.targets.iter_mut().zip(&scratch.roots);
        for ((target, root), &partner) in pairs.zip(&self.ratings.partners[positions]) {
            *target -= root * (bias + dot::<S, V>(simd, x, self.partner.row(partner)));
        }
    }

    /// Solves some coordinates of a row against its residuals, and updates these.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(
        &self,
        simd: S,
        positions: Range<usize>,
        block: &Block,
        scratch: &mut Scratch,
        x: &mut [Line],
        bias: Option<&mut f32>,
    ) {
        let mut normal = std::mem::take(&mut scratch.normal);
        normal.start(block);
        let n = positions.len();
        let strips = block.strips();
        let step = panel_rows(strips);
        let biased = bias.is_some();
        let mut panel = Panel { lines: &[], stride: 0, rows: 0 };
        let mut from = 0;
        while from < n {
            let to = n.min(from + step);
            let chunk = positions.start + from..positions.start + to;
            let roots = &scratch.roots[from..to];
            panel = self.gather(chunk, &block.columns, roots, &mut scratch.panel);
            normal.add::<S, V>(simd, panel, &scratch.targets[from..to], roots, biased);
            from = to;
        }
        let penalty = self.penalty(n);
        let (reg, reg_bias) = (self.terms.reg * penalty, self.terms.reg_bias * penalty);
        let own = block.columns.clone();
        for (to, x) in numbers_mut(&mut normal.right).iter_mut().zip(&numbers(x)[own.clone()]) {
            *to -= reg * x;
        }
        for s in 0..strips.min(block.cross.len()) {
            let lines = &block.cross[s * self.factors..][..self.factors];
            let sum = combine::<S, V>(simd, lines, numbers(x));
            let to = &mut vectors_mut::<S, V>(&mut normal.right)[s];
            for v in 0..V {
                to[v] = simd.sub_f32s(to[v], sum[v]);
            }
        }
        if let Some(bias) = &bias {
            normal.target -= reg_bias * **bias;
        }
        normal.regularize(own.len(), reg);
        normal.solve::<S, V>(simd, &mut scratch.pivots, reg, biased.then_some(reg_bias));
        for (x, change) in numbers_mut(x)[own].iter_mut().zip(numbers(&normal.right)) {
            *x += change;
        }
        let shift = if biased { normal.target } else { 0.0 };
        if let Some(bias) = bias {
            *bias += shift;
        }
        // What fits one panel is still there.
        let mut from = 0;
        while from < n {
            let to = n.min(from + step);
            let roots = &scratch.roots[from..to];
            if n > step {
                let chunk = positions.start + from..positions.start + to;
                panel = self.gather(chunk, &block.columns, roots, &mut scratch.panel);
            }
            for (t, target) in scratch.targets[from..to].iter_mut().enumerate() {
                let mut sum = [simd.splat_f32s(0.0); V];
                for s in 0..strips {
                    let change = vectors::<S, V>(&normal.right[s..=s])[0];
                    let line = vectors::<S, V>(&panel.strip(s)[t..=t])[0];
                    for v in 0..V {
                        sum[v] = simd.mul_add_e_f32s(change[v], line[v], sum[v]);
                    }
                }
                *target -= roots[t] * shift + super::gram::store::<S, V>(sum).fold();
            }
            from = to;
        }
        scratch.normal = normal;
    }
}
