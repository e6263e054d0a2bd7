//! Numbers in lines of sixteen, aligned to cache lines, and the layouts that are made of them.

use super::table::Table;
use crate::Result;
use crate::core::{Factors, Side, SideFactors};
use crate::memory;
use bytemuck::{Pod, Zeroable};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Numbers of a line.
pub(crate) const LANES: usize = 16;

/// Sixteen numbers: a cache line, and one, two or four vectors of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [f32; LANES]);

impl Line {
    /// Sixteen zeros.
    pub(crate) const ZERO: Self = Self([0.0; LANES]);

    /// The sum of its numbers, folded in halves.
    #[inline(always)]
    pub(crate) fn fold(mut self) -> f32 {
        let mut width = LANES / 2;
        while width > 0 {
            for lane in 0..width {
                self.0[lane] += self.0[lane + width];
            }
            width /= 2;
        }
        self.0[0]
    }
}

/// Work on lines, written once for vectors of any width.
pub(crate) trait LineTask {
    /// What it leaves.
    type Output;

    /// Does it, with `V` vectors to a line. Wants `#[inline(always)]`, or it is compiled without the
    /// vector instructions: see [`Arch::dispatch`].
    fn run<S: Simd, const V: usize>(self, simd: S) -> Self::Output;
}

/// Does a task by the widest vectors that `arch` has.
pub(crate) fn dispatch<T: LineTask>(arch: Arch, task: T) -> T::Output {
    arch.dispatch(AnyWidth(task))
}

struct AnyWidth<T>(T);

impl<T: LineTask> WithSimd for AnyWidth<T> {
    type Output = T::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> T::Output {
        match S::F32_LANES {
            16 => self.0.run::<S, 1>(simd),
            8 => self.0.run::<S, 2>(simd),
            4 => self.0.run::<S, 4>(simd),
            _ => self.0.run::<S, LANES>(simd),
        }
    }
}

/// Lines as vectors: `V` of them to a line.
#[inline(always)]
pub(crate) fn vectors<S: Simd, const V: usize>(lines: &[Line]) -> &[[S::f32s; V]] {
    S::as_simd_f32s(bytemuck::cast_slice(lines)).0.as_chunks().0
}

/// Lines as vectors that can be written: `V` of them to a line.
#[inline(always)]
pub(crate) fn vectors_mut<S: Simd, const V: usize>(lines: &mut [Line]) -> &mut [[S::f32s; V]] {
    S::as_mut_simd_f32s(bytemuck::cast_slice_mut(lines)).0.as_chunks_mut().0
}

/// Lines as plain numbers.
#[inline(always)]
pub(crate) fn numbers(lines: &[Line]) -> &[f32] {
    bytemuck::cast_slice(lines)
}

/// Lines as plain numbers that can be written.
#[inline(always)]
pub(crate) fn numbers_mut(lines: &mut [Line]) -> &mut [f32] {
    bytemuck::cast_slice_mut(lines)
}

/// Where strip `s` of a symmetric matrix starts. Strip `s` holds the columns `16s..16s + 16` of the
/// rows `0..16s + 16`, a line a row: the upper triangle in blocks of 16.
#[inline(always)]
pub(crate) const fn strip(s: usize) -> usize {
    LANES / 2 * s * (s + 1)
}

/// One side's parameters: rows in lines, padded with zeros, beside a scalar per row (the bias).
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// (rows, lines of a row), row-major.
    pub lines: Vec<Line>,
    /// (rows).
    pub bias: Vec<f32>,
    /// Lines of a row.
    pub strips: usize,
}

impl Matrix {
    /// Bytes of so many rows, and of the one that is appended.
    pub(crate) fn bytes(rows: u64, factors: usize) -> u64 {
        (rows + 1) * 4 * (factors.next_multiple_of(LANES) as u64 + 1)
    }

    /// Copies a side of `factors` and appends one row of zeros: the row of ids that the model does
    /// not know.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(factors: &Factors, side: Side) -> Result<Self> {
        Self::of(&factors[side], factors.factors)
    }

    /// As [`new`](Self::new), of rows of `k` factors.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn of(rows: &SideFactors, k: usize) -> Result<Self> {
        let SideFactors { factors: matrix, bias } = rows;
        let strips = k.div_ceil(LANES);
        let mut lines = memory::zeroed((bias.len() + 1) * strips, "factors")?;
        for (to, from) in lines.chunks_exact_mut(strips).zip(matrix.chunks_exact(k)) {
            numbers_mut(to)[..k].copy_from_slice(from);
        }
        let mut own_bias = memory::with_room(bias.len() + 1, "biases")?;
        own_bias.extend_from_slice(bias);
        own_bias.push(0.0);
        Ok(Self { lines, bias: own_bias, strips })
    }

    /// Number of rows, without the one of unknown ids.
    pub(crate) fn rows(&self) -> usize {
        self.bias.len() - 1
    }

    /// A row: (lines of a row).
    #[inline(always)]
    pub(crate) fn row(&self, row: u32) -> &[Line] {
        &self.lines[row as usize * self.strips..][..self.strips]
    }

    /// A range of rows without padding.
    pub(crate) fn get(&self, rows: &Range<usize>, factors: usize) -> SideFactors {
        let lines = &self.lines[rows.start * self.strips..rows.end * self.strips];
        let lines = lines.chunks_exact(self.strips);
        SideFactors {
            factors: lines.flat_map(|row| &numbers(row)[..factors]).copied().collect(),
            bias: self.bias[rows.clone()].to_vec(),
        }
    }

    /// Puts other rows in the place of a range.
    pub(crate) fn put(&mut self, rows: &Range<usize>, factors: usize, values: &SideFactors) {
        let lines = &mut self.lines[rows.start * self.strips..rows.end * self.strips];
        let lines = lines.chunks_exact_mut(self.strips);
        for (to, from) in lines.zip(values.factors.chunks_exact(factors)) {
            numbers_mut(to)[..factors].copy_from_slice(from);
        }
        self.bias[rows.clone()].copy_from_slice(&values.bias);
    }

    /// The rows as plain numbers.
    pub(crate) fn table(&self) -> Table<'_> {
        Table { factors: numbers(&self.lines), bias: &self.bias, stride: self.strips * LANES }
    }

    /// The rows without padding and without the last.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(crate) fn unpadded(&self, factors: usize) -> Result<SideFactors> {
        let rows = self.rows();
        let mut matrix = memory::with_room(rows * factors, "factors")?;
        for row in self.lines.chunks_exact(self.strips).take(rows) {
            matrix.extend_from_slice(&numbers(row)[..factors]);
        }
        Ok(SideFactors { factors: matrix, bias: self.bias[..rows].to_vec() })
    }
}
