//! Normal equations of a row, or of some of its coordinates: summed, regularized and solved.

use crate::cpu::kernels::cholesky::{backward, cholesky, forward};
use crate::cpu::kernels::gram::{Ahead, Panel, combine, dot, gram};
use crate::cpu::kernels::lines::{LANES, Line, strip, vectors_mut};
use pulp::Simd;
use std::ops::Range;

/// Coordinates that are solved together, and what each row's equations of them start from: what every
/// pair weighs, or a prior.
#[derive(Default)]
pub(crate) struct Block {
    /// Which coordinates.
    pub columns: Range<usize>,
    /// `α₀ G` of these coordinates, or of a prior `Λ/τ`, the upper triangle in strips; else empty.
    pub gram: Vec<Line>,
    /// (strips of the block, factors): the same of these coordinates with all. Empty where there is
    /// none, and where the block is all there is.
    pub cross: Vec<Line>,
    /// What a prior adds besides.
    pub prior: Option<PriorPart>,
}

/// What a prior `N(m + ζ s, Λ⁻¹)` of a row `[x, b]` adds to the equations of a block beside `Λ/τ`.
#[derive(Default)]
pub(crate) struct PriorPart {
    /// (strips): `Λm/τ` of these coordinates.
    pub right: Vec<Line>,
    /// (strips): `Λs/τ` of these coordinates.
    pub slope: Vec<Line>,
    /// (strips): `Λ/τ` of these coordinates with the bias.
    pub ones: Vec<Line>,
    /// `Λ/τ` of the bias.
    pub weight: f32,
    /// `Λm/τ` of the bias.
    pub target: f32,
    /// `Λs/τ` of the bias.
    pub target_slope: f32,
}

impl Block {
    /// Some of a row's coordinates, whose equations start from the symmetric `matrix`: (factors,
    /// factors), row-major.
    pub(crate) fn new(columns: Range<usize>, factors: usize, matrix: Option<&[f64]>) -> Self {
        let mut block = Self { columns: columns.clone(), ..Self::default() };
        let Some(matrix) = matrix else { return block };
        let strips = columns.len().div_ceil(LANES);
        block.gram.resize(strip(strips), Line::ZERO);
        let cross = if columns.len() < factors { strips * factors } else { 0 };
        block.cross.resize(cross, Line::ZERO);
        for (j, column) in columns.clone().enumerate() {
            for row in 0..factors {
                let value = matrix[row * factors + column] as f32;
                if cross > 0 {
                    block.cross[j / LANES * factors + row].0[j % LANES] = value;
                }
                if columns.contains(&row) && row - columns.start < (j / LANES + 1) * LANES {
                    block.gram[strip(j / LANES) + row - columns.start].0[j % LANES] = value;
                }
            }
        }
        block
    }

    /// Lines of a row of these coordinates.
    #[inline(always)]
    pub(crate) fn strips(&self) -> usize {
        self.columns.len().div_ceil(LANES)
    }
}

/// How a side's prior stands for one of its rows.
#[derive(Clone, Copy)]
pub(crate) struct Prior {
    /// `ζ`.
    pub popularity: f32,
    /// One over the noise weight of the row's ratings.
    pub scale: f32,
}

/// Normal equations of `[p, b]`, or of some of their coordinates.
#[derive(Clone, Default)]
pub(crate) struct Normal {
    /// `Σ w q qᵀ`, the upper triangle in strips.
    pub sums: Vec<Line>,
    /// (strips): `Σ w t q`; then the solution.
    pub right: Vec<Line>,
    /// (strips): `Σ w q`.
    pub ones: Vec<Line>,
    /// `Σ w`.
    pub weight: f32,
    /// `Σ w t`; then the solution.
    pub target: f32,
    /// The last pivot, that of the bias, once solved.
    pivot: f32,
}

impl Normal {
    /// Starts from what every pair weighs, from a prior as it stands for `row`, or from nothing.
    #[inline(always)]
    pub(crate) fn start(&mut self, block: &Block, row: Prior) {
        self.clear(block.columns.len());
        if !block.gram.is_empty() {
            self.sums.copy_from_slice(&block.gram);
        }
        if let Some(prior) = &block.prior {
            let Prior { popularity, scale } = row;
            for line in &mut self.sums {
                for lane in 0..LANES {
                    line.0[lane] *= scale;
                }
            }
            for s in 0..self.right.len() {
                let (mean, slope, ones) = (&prior.right[s], &prior.slope[s], &prior.ones[s]);
                for lane in 0..LANES {
                    let shifted = mean.0[lane] + popularity * slope.0[lane];
                    self.right[s].0[lane] = scale * shifted;
                    self.ones[s].0[lane] = scale * ones.0[lane];
                }
            }
            self.weight = scale * prior.weight;
            self.target = scale * (prior.target + popularity * prior.target_slope);
        }
    }

    /// Starts from zeros.
    #[inline(always)]
    pub(crate) fn clear(&mut self, columns: usize) {
        let strips = columns.div_ceil(LANES);
        self.sums.clear();
        self.sums.resize(strip(strips), Line::ZERO);
        self.right.clear();
        self.right.resize(strips, Line::ZERO);
        self.ones.clear();
        self.ones.resize(strips, Line::ZERO);
        self.weight = 0.0;
        self.target = 0.0;
        self.pivot = 0.0;
    }

    /// Adds rows `√w q` with their `√w t` and `√w`, as many at a time as a cache holds.
    #[inline(always)]
    pub(crate) fn add<S: Simd, const V: usize>(
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

    /// Turns every sign, between which ratings are added whose weights lie below 0.
    #[inline(always)]
    fn turn(&mut self) {
        for line in self.sums.iter_mut().chain(&mut self.right).chain(&mut self.ones) {
            for lane in 0..LANES {
                line.0[lane] = -line.0[lane];
            }
        }
        self.weight = -self.weight;
        self.target = -self.target;
    }

    /// As [`add`](Self::add), where the rows from `heavier` on weigh less than 0 and come with the roots of
    /// their amounts.
    #[inline(always)]
    pub(crate) fn add_signed<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        (panel, heavier): (Panel, usize),
        targets: &[f32],
        roots: &[f32],
        biased: bool,
        ahead: Ahead,
    ) {
        if heavier == panel.rows {
            return self.add::<S, V>(simd, panel, targets, roots, biased, ahead);
        }
        let (first, rest) = (panel.part(0, 0..heavier), panel.part(0, heavier..panel.rows));
        self.add::<S, V>(simd, first, &targets[..heavier], &roots[..heavier], biased, ahead);
        self.turn();
        let (targets, roots) = (&targets[heavier..], &roots[heavier..]);
        self.add::<S, V>(simd, rest, targets, roots, biased, Ahead::none());
        self.turn();
    }

    /// Adds another part of the same row's ratings.
    #[inline(always)]
    pub(crate) fn join(&mut self, other: &Normal) {
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
    pub(crate) fn regularize(&mut self, columns: usize, reg: f32) {
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
    pub(crate) fn solve<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        pivots: &mut Pivots,
        reg: f32,
        reg_bias: Option<f32>,
    ) {
        self.floors(pivots, reg == 0.0);
        let least = match reg_bias {
            Some(0.0) => pivots.part * self.weight,
            _ => 0.0,
        };
        self.factor::<S, V>(simd, pivots, reg_bias, least);
        if reg_bias.is_some() {
            let (right, target) = (&mut self.right, &mut self.target);
            border::<S, V>(simd, &self.ones, self.pivot, right, target);
        }
        backward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.right);
    }

    /// Draws from the Gaussian whose mean is the solution and whose precision is the matrix over
    /// `deviation²`: as [`solve`](Self::solve) with `deviation` times the standard normal numbers
    /// `normals` (and `normal` for the bias) added halfway, after the forward substitution.
    #[inline(always)]
    pub(crate) fn draw<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        pivots: &mut Pivots,
        biased: bool,
        deviation: f32,
        (normals, normal): (&[Line], f32),
    ) {
        self.floors(pivots, false);
        self.factor::<S, V>(simd, pivots, biased.then_some(0.0), 0.0);
        if biased {
            let rest = self.target - dot::<S, V>(simd, &self.ones, &self.right);
            self.target = (rest / self.pivot.sqrt() + deviation * normal) / self.pivot.sqrt();
        }
        let bias = if biased { self.target } else { 0.0 };
        for ((to, ones), normals) in self.right.iter_mut().zip(&self.ones).zip(normals) {
            for lane in 0..LANES {
                to.0[lane] += deviation * normals.0[lane] - bias * ones.0[lane];
            }
        }
        backward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.right);
    }

    /// What each pivot must be above: a part of its diagonal where nothing is added to it.
    #[inline(always)]
    fn floors(&self, pivots: &mut Pivots, bare: bool) {
        let strips = self.right.len();
        pivots.part = 4.0 * f32::EPSILON * ((strips * LANES) as f32).sqrt();
        pivots.floors.clear();
        pivots.floors.resize(strips, Line::ZERO);
        if bare {
            for j in 0..strips * LANES {
                let diagonal = self.sums[strip(j / LANES) + j].0[j % LANES];
                pivots.floors[j / LANES].0[j % LANES] = pivots.part * diagonal;
            }
        }
    }

    /// Factors the matrix and takes `right` through the forward substitution; with a bias, which is
    /// regularized by `reg_bias`, `ones` too, and finds its pivot, which must be above `least`.
    #[inline(always)]
    fn factor<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        pivots: &mut Pivots,
        reg_bias: Option<f32>,
        least: f32,
    ) {
        let strips = self.right.len();
        pivots.inverse.clear();
        pivots.inverse.resize(strips, Line::ZERO);
        cholesky::<S, V>(simd, &mut self.sums, &pivots.floors, &mut pivots.inverse);
        forward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.right);
        if let Some(reg_bias) = reg_bias {
            forward::<S, V>(simd, &self.sums, &pivots.inverse, &mut self.ones);
            let pivot = self.weight + reg_bias - dot::<S, V>(simd, &self.ones, &self.ones);
            self.pivot = if pivot > least { pivot } else { f32::NAN };
        }
    }

    /// Solves the equations of `other`'s right side and target by the factorization of these, which
    /// are solved already; the solution is left in `other`.
    #[inline(always)]
    pub(crate) fn solve_again<S: Simd, const V: usize>(
        &self,
        simd: S,
        pivots: &Pivots,
        biased: bool,
        other: &mut Normal,
    ) {
        forward::<S, V>(simd, &self.sums, &pivots.inverse, &mut other.right);
        if biased {
            let (right, target) = (&mut other.right, &mut other.target);
            border::<S, V>(simd, &self.ones, self.pivot, right, target);
        }
        backward::<S, V>(simd, &self.sums, &pivots.inverse, &mut other.right);
    }
}

/// Solves for the bias, the last coordinate, and takes its part from the right side of the others:
/// `ones` and `right` have been through the forward substitution.
#[inline(always)]
fn border<S: Simd, const V: usize>(
    simd: S,
    ones: &[Line],
    pivot: f32,
    right: &mut [Line],
    target: &mut f32,
) {
    *target = (*target - dot::<S, V>(simd, ones, right)) / pivot;
    for (to, from) in right.iter_mut().zip(ones) {
        for lane in 0..LANES {
            to.0[lane] -= *target * from.0[lane];
        }
    }
}

/// What a factorization keeps of its pivots.
#[derive(Default)]
pub(crate) struct Pivots {
    /// What a pivot must be of its diagonal where nothing is added to it.
    part: f32,
    /// (strips): what each pivot must be above.
    floors: Vec<Line>,
    /// (strips): one over the root of each pivot.
    inverse: Vec<Line>,
}

/// Lines of a panel: what a first-level cache holds beside the sums.
const PANEL: usize = 512;

/// Rows of a panel of `strips` strips.
#[inline(always)]
pub(crate) fn panel_rows(strips: usize) -> usize {
    (PANEL / strips).clamp(64, 256)
}
