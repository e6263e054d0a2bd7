//! Sums of outer products `Σ y yᵀ` over rows, the heart of a row's normal equations.
//! The twin of `shaders/gram.wgsl`.
//!
//! Rows are gathered into a panel: strips of 16 columns, one line a row, so that every vector of a
//! product is read in sequence. The sums are the upper triangle in strips (see [`strip`]). Each
//! element is summed row after row with fused products, whatever the width of a vector: the bits are
//! the same on every processor that has fused products.
#![expect(clippy::needless_range_loop, reason = "tiles and vectors are walked side by side")]

use super::lines::{LANES, Line, Matrix, strip, vectors, vectors_mut};
use pulp::Simd;
use std::ops::Range;

/// Rows in strips of 16 columns.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    /// Strip `s` starts at `s·stride`, a line a row.
    pub lines: &'a [Line],
    /// Lines from strip to strip.
    pub stride: usize,
    /// Rows.
    pub rows: usize,
}

impl<'a> Panel<'a> {
    /// A strip: (rows).
    #[inline(always)]
    pub(crate) fn strip(&self, s: usize) -> &'a [Line] {
        &self.lines[s * self.stride..][..self.rows]
    }

    /// Some of its rows, from strip `first` on.
    #[inline(always)]
    pub(crate) fn part(&self, first: usize, rows: Range<usize>) -> Self {
        let lines = &self.lines[first * self.stride + rows.start..];
        Self { lines, stride: self.stride, rows: rows.len() }
    }
}

/// Rows that are gathered next. They are read, a few at a tile, while products are summed, so that
/// the memory's latency is hidden: gathering them later finds them in a cache.
pub(crate) struct Ahead<'a> {
    side: Option<&'a Matrix>,
    rows: &'a [u32],
    /// Rows read at a tile.
    step: usize,
}

impl<'a> Ahead<'a> {
    /// Nothing comes next.
    #[inline(always)]
    pub(crate) fn none() -> Self {
        Self { side: None, rows: &[], step: 0 }
    }

    /// `rows` of `side`, while the products of a panel of `strips` strips are summed.
    #[inline(always)]
    pub(crate) fn new(side: &'a Matrix, rows: &'a [u32], strips: usize) -> Self {
        // About as many tiles as there are: two of half a strip's rows and up to three strips.
        let tiles = strips * (strips + 5) / 3;
        Self { side: Some(side), rows, step: rows.len().div_ceil(tiles) }
    }

    #[inline(always)]
    fn touch(&mut self) {
        let Some(side) = self.side else { return };
        let (now, later) = self.rows.split_at(self.step.min(self.rows.len()));
        self.rows = later;
        for &row in now {
            for line in side.row(row) {
                std::hint::black_box(line.0[0]);
            }
        }
    }
}

/// `sums += Σ y yᵀ` over the rows of a panel of `strips` strips.
#[inline(always)]
pub(crate) fn gram<S: Simd, const V: usize>(
    simd: S,
    panel: Panel,
    strips: usize,
    sums: &mut [Line],
    ahead: &mut Ahead,
) {
    for block in 0..strips {
        block_row::<S, V>(simd, Some(panel), block, strips, sums, ahead);
    }
}

/// The 16 rows of `sums` from `16·block` on: adds the products of a panel's rows, or subtracts those of
/// the rows of `sums` above, which is the step of a Cholesky factorization.
#[inline(always)]
pub(crate) fn block_row<S: Simd, const V: usize>(
    simd: S,
    panel: Option<Panel>,
    block: usize,
    strips: usize,
    sums: &mut [Line],
    ahead: &mut Ahead,
) {
    let mut s = block;
    while s < strips {
        // Tiles that fill the registers: 24 vectors of AVX-512's 32, 8 of AVX2's 16.
        let left = strips - s;
        if V > 1 {
            for part in 0..4 {
                tile::<S, V, 4, 1>(simd, panel, block, part, s, sums, ahead);
            }
            s += 1;
        } else if left == 1 {
            tile::<S, V, 16, 1>(simd, panel, block, 0, s, sums, ahead);
            s += 1;
        } else if left == 2 || left == 4 {
            for part in 0..2 {
                tile::<S, V, 8, 2>(simd, panel, block, part, s, sums, ahead);
            }
            s += 2;
        } else {
            for part in 0..2 {
                tile::<S, V, 8, 3>(simd, panel, block, part, s, sums, ahead);
            }
            s += 3;
        }
    }
}

/// `R` rows of `sums` from `16·block + R·part` on and `N` strips from `first` on.
#[inline(always)]
fn tile<S: Simd, const V: usize, const R: usize, const N: usize>(
    simd: S,
    panel: Option<Panel>,
    block: usize,
    part: usize,
    first: usize,
    sums: &mut [Line],
    ahead: &mut Ahead,
) {
    ahead.touch();
    let rows = panel.map_or(LANES * block, |panel| panel.rows);
    let mut right: [&[[S::f32s; V]]; N] = [&[]; N];
    let left = match panel {
        Some(panel) => {
            for n in 0..N {
                right[n] = &vectors::<S, V>(panel.strip(first + n))[..rows];
            }
            panel.strip(block)
        }
        None => {
            for n in 0..N {
                right[n] = &vectors::<S, V>(&sums[strip(first + n)..][..rows])[..rows];
            }
            &sums[strip(block)..][..rows]
        }
    };
    let mut products = [[[simd.splat_f32s(0.0); V]; N]; R];
    for t in 0..rows {
        let scalars = &left[t].0.as_chunks::<R>().0[part];
        for r in 0..R {
            let scalar = simd.splat_f32s(scalars[r]);
            for n in 0..N {
                for v in 0..V {
                    products[r][n][v] =
                        simd.mul_add_e_f32s(scalar, right[n][t][v], products[r][n][v]);
                }
            }
        }
    }
    for n in 0..N {
        let to = strip(first + n) + LANES * block + R * part;
        let to = &mut vectors_mut::<S, V>(&mut sums[to..to + R])[..R];
        for r in 0..R {
            for v in 0..V {
                to[r][v] = match panel {
                    Some(_) => simd.add_f32s(to[r][v], products[r][n][v]),
                    None => simd.sub_f32s(to[r][v], products[r][n][v]),
                };
            }
        }
    }
}

/// `Σ_t scalars_t · lines_t`: in four sums by `t mod 4`, which are joined in halves.
#[inline(always)]
pub(crate) fn combine<S: Simd, const V: usize>(
    simd: S,
    lines: &[Line],
    scalars: &[f32],
) -> [S::f32s; V] {
    let mut sums = [[simd.splat_f32s(0.0); V]; 4];
    let count = lines.len().min(scalars.len());
    let (lines, scalars) = (&lines[..count], &scalars[..count]);
    let (lines_4, lines_rest) = vectors::<S, V>(lines).as_chunks::<4>();
    let (scalars_4, scalars_rest) = scalars.as_chunks::<4>();
    for (lines, scalars) in lines_4.iter().zip(scalars_4) {
        for j in 0..4 {
            let scalar = simd.splat_f32s(scalars[j]);
            for v in 0..V {
                sums[j][v] = simd.mul_add_e_f32s(scalar, lines[j][v], sums[j][v]);
            }
        }
    }
    for (j, (line, &scalar)) in lines_rest.iter().zip(scalars_rest).enumerate() {
        let scalar = simd.splat_f32s(scalar);
        for v in 0..V {
            sums[j][v] = simd.mul_add_e_f32s(scalar, line[v], sums[j][v]);
        }
    }
    let mut sum = sums[0];
    for v in 0..V {
        let even = simd.add_f32s(sums[0][v], sums[2][v]);
        let odd = simd.add_f32s(sums[1][v], sums[3][v]);
        sum[v] = simd.add_f32s(even, odd);
    }
    sum
}

/// `x · y` of rows of lines: summed in 16 lanes, which are folded in halves.
#[inline(always)]
pub(crate) fn dot<S: Simd, const V: usize>(simd: S, x: &[Line], y: &[Line]) -> f32 {
    let mut sum = [simd.splat_f32s(0.0); V];
    for (x, y) in vectors::<S, V>(x).iter().zip(vectors::<S, V>(y)) {
        for v in 0..V {
            sum[v] = simd.mul_add_f32s(x[v], y[v], sum[v]);
        }
    }
    store::<S, V>(sum).fold()
}

/// Vectors as a line.
#[inline(always)]
pub(crate) fn store<S: Simd, const V: usize>(vector: [S::f32s; V]) -> Line {
    let mut line = Line::ZERO;
    vectors_mut::<S, V>(std::slice::from_mut(&mut line))[0] = vector;
    line
}
