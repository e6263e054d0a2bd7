//! Products of matrices in tiles that stay in registers: sums of lines, each times a number.
//!
//! A sum is one chain of fused multiply-adds in the order of its terms, whatever the tile it is made in, so
//! that neither tiles nor vector width change a bit.

use super::lines::{LANES, Line, numbers, vectors, vectors_mut};
use pulp::Simd;

/// Sums of `R` rows and `N` strips: of each row's numbers times the lines of each strip.
#[inline(always)]
fn by_rows<S: Simd, const V: usize, const R: usize, const N: usize>(
    simd: S,
    left: [&[f32]; R],
    right: [&[Line]; N],
) -> [[[S::f32s; V]; N]; R] {
    let terms = left[0].len();
    let mut rows = left;
    for row in &mut rows {
        *row = &row[..terms];
    }
    let mut strips: [&[[S::f32s; V]]; N] = [&[]; N];
    for n in 0..N {
        strips[n] = &vectors::<S, V>(right[n])[..terms];
    }
    let mut sums = [[[simd.splat_f32s(0.0); V]; N]; R];
    for t in 0..terms {
        for r in 0..R {
            let scalar = simd.splat_f32s(rows[r][t]);
            for n in 0..N {
                for v in 0..V {
                    sums[r][n][v] = simd.mul_add_f32s(scalar, strips[n][t][v], sums[r][n][v]);
                }
            }
        }
    }
    sums
}

/// Sums of `R` columns of `left`, those of its lines from `R·part` on, and `N` strips: lines of `left` are
/// `stride` from one another, `terms` of them.
#[inline(always)]
fn by_columns<S: Simd, const V: usize, const R: usize, const N: usize>(
    simd: S,
    (left, stride, part): (&[Line], usize, usize),
    right: [&[Line]; N],
    terms: usize,
) -> [[[S::f32s; V]; N]; R] {
    let mut strips: [&[[S::f32s; V]]; N] = [&[]; N];
    for n in 0..N {
        strips[n] = &vectors::<S, V>(right[n])[..terms];
    }
    let mut sums = [[[simd.splat_f32s(0.0); V]; N]; R];
    for (t, line) in left.iter().step_by(stride).take(terms).enumerate() {
        let scalars = &line.0.as_chunks::<R>().0[part];
        for r in 0..R {
            let scalar = simd.splat_f32s(scalars[r]);
            for n in 0..N {
                for v in 0..V {
                    sums[r][n][v] = simd.mul_add_f32s(scalar, strips[n][t][v], sums[r][n][v]);
                }
            }
        }
    }
    sums
}

/// Rows that are scored together; there are whole such groups in memory, whatever the rows are.
pub(crate) const GROUP: usize = 8;

/// Scores of rows against panels of candidates: to (rows, panels) of lines go `scale · (x · y) + add`.
pub(crate) struct Scores<'a> {
    /// (rows, strips) of lines: whole groups of rows.
    pub rows: &'a [Line],
    /// Lines of a row.
    pub strips: usize,
    /// Factors of a row.
    pub factors: usize,
    /// (panels, factors): of each panel of sixteen candidates a line a factor.
    pub panels: &'a [Line],
    /// (panels).
    pub add: &'a [Line],
    /// What products are multiplied by.
    pub scale: f32,
}

impl Scores<'_> {
    #[inline(always)]
    pub(crate) fn run<S: Simd, const V: usize>(&self, simd: S, to: &mut [Line]) {
        let panels = self.add.len();
        let mut panel = 0;
        while panel < panels {
            let left = panels - panel;
            if V > 1 {
                self.panels::<S, V, 4, 1>(simd, panel, to);
                panel += 1;
            } else if left >= 3 {
                self.panels::<S, V, 8, 3>(simd, panel, to);
                panel += 3;
            } else {
                self.panels::<S, V, 8, 1>(simd, panel, to);
                panel += 1;
            }
        }
    }

    #[inline(always)]
    fn panels<S: Simd, const V: usize, const R: usize, const N: usize>(
        &self,
        simd: S,
        panel: usize,
        to: &mut [Line],
    ) {
        let (k, panels) = (self.factors, self.add.len());
        let mut right: [&[Line]; N] = [&[]; N];
        for (n, right) in right.iter_mut().enumerate() {
            *right = &self.panels[(panel + n) * k..][..k];
        }
        let scale = simd.splat_f32s(self.scale);
        let groups = self.rows.chunks_exact(R * self.strips);
        for (rows, to) in groups.zip(to.chunks_exact_mut(R * panels)) {
            let mut left: [&[f32]; R] = [&[]; R];
            for r in 0..R {
                left[r] = &numbers(&rows[r * self.strips..][..self.strips])[..k];
            }
            let sums = by_rows::<S, V, R, N>(simd, left, right);
            for r in 0..R {
                let to = vectors_mut::<S, V>(&mut to[r * panels + panel..][..N]);
                let add = vectors::<S, V>(&self.add[panel..panel + N]);
                for n in 0..N {
                    for v in 0..V {
                        to[n][v] = simd.mul_add_f32s(sums[r][n][v], scale, add[n][v]);
                    }
                }
            }
        }
    }
}

/// Terms of a sum that are added before they are added to what there is: short chains round less.
pub(crate) const RUN: usize = 512;

/// Sums of candidates, weighted for each row: `to += Σ_j weight_j · y_j`, of (rows, strips).
pub(crate) struct Weighted<'a> {
    /// (rows, panels) of lines: whole groups of rows.
    pub weights: &'a [Line],
    /// Panels of a row.
    pub panels: usize,
    /// (strips, candidates) of lines, whole panels of candidates.
    pub strips: &'a [Line],
}

impl Weighted<'_> {
    #[inline(always)]
    pub(crate) fn run<S: Simd, const V: usize>(&self, simd: S, to: &mut [Line]) {
        let candidates = self.panels * LANES;
        let strips = self.strips.len() / candidates.max(1);
        let mut from = 0;
        while from < candidates {
            let terms = RUN.min(candidates - from);
            let mut strip = 0;
            while strip < strips {
                let left = strips - strip;
                if V > 1 {
                    self.part::<S, V, 4, 1>(simd, (strip, strips), (from, terms), to);
                    strip += 1;
                } else if left >= 4 {
                    self.part::<S, V, 4, 4>(simd, (strip, strips), (from, terms), to);
                    strip += 4;
                } else if left >= 2 {
                    self.part::<S, V, 8, 2>(simd, (strip, strips), (from, terms), to);
                    strip += 2;
                } else {
                    self.part::<S, V, 8, 1>(simd, (strip, strips), (from, terms), to);
                    strip += 1;
                }
            }
            from += terms;
        }
    }

    #[inline(always)]
    fn part<S: Simd, const V: usize, const R: usize, const N: usize>(
        &self,
        simd: S,
        (strip, strips): (usize, usize),
        (from, terms): (usize, usize),
        to: &mut [Line],
    ) {
        let candidates = self.panels * LANES;
        let mut right: [&[Line]; N] = [&[]; N];
        for (n, right) in right.iter_mut().enumerate() {
            *right = &self.strips[(strip + n) * candidates + from..][..terms];
        }
        let groups = self.weights.chunks_exact(R * self.panels);
        for (weights, to) in groups.zip(to.chunks_exact_mut(R * strips)) {
            let mut left: [&[f32]; R] = [&[]; R];
            for r in 0..R {
                let row = numbers(&weights[r * self.panels..][..self.panels]);
                left[r] = &row[from..from + terms];
            }
            let sums = by_rows::<S, V, R, N>(simd, left, right);
            for r in 0..R {
                let to = vectors_mut::<S, V>(&mut to[r * strips + strip..][..N]);
                for n in 0..N {
                    for v in 0..V {
                        to[n][v] = simd.add_f32s(to[n][v], sums[r][n][v]);
                    }
                }
            }
        }
    }
}

/// The transpose of [`Weighted`]: of each candidate the sum of rows, weighted, of (candidates, strips).
pub(crate) struct Transposed<'a> {
    /// (rows, panels) of lines.
    pub weights: &'a [Line],
    /// Panels of a row.
    pub panels: usize,
    /// (strips, rows) of lines.
    pub strips: &'a [Line],
    /// How many rows there are.
    pub rows: usize,
}

impl Transposed<'_> {
    /// Adds to what there is, or, where these are the `first` rows, puts.
    #[inline(always)]
    pub(crate) fn run<S: Simd, const V: usize>(&self, simd: S, first: bool, to: &mut [Line]) {
        let strips = self.strips.len() / self.rows.max(1);
        for (panel, to) in to.chunks_exact_mut(LANES * strips).enumerate() {
            let mut strip = 0;
            while strip < strips {
                let left = strips - strip;
                if V > 1 {
                    self.part::<S, V, 4, 1>(simd, panel, (strip, strips), first, to);
                    strip += 1;
                } else if left >= 4 {
                    self.part::<S, V, 4, 4>(simd, panel, (strip, strips), first, to);
                    strip += 4;
                } else if left >= 2 {
                    self.part::<S, V, 8, 2>(simd, panel, (strip, strips), first, to);
                    strip += 2;
                } else {
                    self.part::<S, V, 8, 1>(simd, panel, (strip, strips), first, to);
                    strip += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn part<S: Simd, const V: usize, const R: usize, const N: usize>(
        &self,
        simd: S,
        panel: usize,
        (strip, strips): (usize, usize),
        first: bool,
        to: &mut [Line],
    ) {
        let mut right: [&[Line]; N] = [&[]; N];
        for (n, right) in right.iter_mut().enumerate() {
            *right = &self.strips[(strip + n) * self.rows..][..self.rows];
        }
        let weights = &self.weights[panel..];
        for part in 0..LANES / R {
            let sums =
                by_columns::<S, V, R, N>(simd, (weights, self.panels, part), right, self.rows);
            for r in 0..R {
                let to = vectors_mut::<S, V>(&mut to[(part * R + r) * strips + strip..][..N]);
                for n in 0..N {
                    for v in 0..V {
                        to[n][v] = match first {
                            true => sums[r][n][v],
                            false => simd.add_f32s(to[n][v], sums[r][n][v]),
                        };
                    }
                }
            }
        }
    }
}
