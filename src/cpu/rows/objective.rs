//! What the parts of the row solvers' objective need: Gram matrices of a side, squared errors and
//! regularization, summed in fixed blocks.

use crate::backend::{ALL, RowTerms, join_blocks};
use crate::core::{Confidence, SideRatings};
use crate::cpu::kernels::gram::{Ahead, Panel, dot, gram};
use crate::cpu::kernels::lines::{LANES, Line, LineTask, Matrix, dispatch, numbers, strip};
use pulp::{Arch, Simd};
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are summed in f32.
const ROWS: usize = 256;

/// The most parts into which the rows of a Gram matrix are cut.
const PARTS: usize = 32;

/// Ratings, or rows, whose terms are summed together.
const BLOCK: usize = 1 << 13;

/// `Σ x xᵀ` over a side's rows: (factors, factors) in f64, blocks of rows summed in f32.
pub(crate) fn side_gram(arch: Arch, side: &Matrix, factors: usize) -> Vec<f64> {
    whole(&join_blocks(gram_parts(arch, side, &ALL)), factors)
}

/// The same of each block that begins in `among`.
pub(crate) fn gram_blocks(
    arch: Arch,
    side: &Matrix,
    factors: usize,
    among: &Range<usize>,
) -> Vec<Vec<f64>> {
    gram_parts(arch, side, among).iter().map(|part| whole(part, factors)).collect()
}

/// Sums of blocks, in [`strip`]s.
fn gram_parts(arch: Arch, side: &Matrix, among: &Range<usize>) -> Vec<Vec<f64>> {
    let rows = side.rows();
    let part = rows.div_ceil(PARTS).next_multiple_of(ROWS).max(ROWS);
    let parts: Vec<usize> = (0..rows).step_by(part).filter(|first| among.contains(first)).collect();
    let sum = |first: usize| dispatch(arch, GramTask { side, rows: first..rows.min(first + part) });
    parts.into_par_iter().map(sum).collect()
}

/// A symmetric matrix, (factors, factors), of its [`strip`]s; zeros where there are none.
fn whole(total: &[f64], factors: usize) -> Vec<f64> {
    let mut whole = vec![0.0; factors * factors];
    if total.is_empty() {
        return whole;
    }
    for row in 0..factors {
        for column in row..factors {
            let at = (strip(column / LANES) + row) * LANES + column % LANES;
            whole[row * factors + column] = total[at];
            whole[column * factors + row] = total[at];
        }
    }
    whole
}

struct GramTask<'a> {
    side: &'a Matrix,
    rows: Range<usize>,
}

impl LineTask for GramTask<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) -> Vec<f64> {
        let strips = self.side.strips;
        let mut total = vec![0.0; strip(strips) * LANES];
        let mut sums = vec![Line::ZERO; strip(strips)];
        let stride = ROWS + 1;
        let mut lines = vec![Line::ZERO; stride * strips];
        let mut from = self.rows.start;
        while from < self.rows.end {
            let to = self.rows.end.min(from + ROWS);
            for (t, row) in (from..to).enumerate() {
                for (s, line) in self.side.row(row as u32).iter().enumerate() {
                    lines[s * stride + t] = *line;
                }
            }
            let panel = Panel { lines: &lines, stride, rows: to - from };
            sums.fill(Line::ZERO);
            gram::<S, V>(simd, panel, strips, &mut sums, &mut Ahead::none());
            for (total, &sum) in total.iter_mut().zip(numbers(&sums)) {
                *total += f64::from(sum);
            }
            from = to;
        }
        total
    }
}

/// (rows of `among`): `Σ w (v − r̂)²` over the ratings of each row of `own`; of Hu's objective `Σ w r̂² + w v (1 − 2 r̂)`,
/// as `v` may be as large as it likes.
pub(crate) fn squared_errors(
    arch: Arch,
    ratings: &SideRatings,
    own: &Matrix,
    partner: &Matrix,
    (mean, confidence): (f32, Confidence),
    among: &Range<usize>,
) -> Vec<f64> {
    let sums: Vec<Vec<f64>> = ranges(ratings, BLOCK)
        .into_par_iter()
        .map(|rows| rows.start.max(among.start)..rows.end.min(among.end))
        .map(|rows| dispatch(arch, ErrorTask { ratings, own, partner, mean, confidence, rows }))
        .collect();
    sums.concat()
}

/// Ranges of rows in order that hold `most` ratings or little more each.
pub(crate) fn ranges(ratings: &SideRatings, most: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut first = 0;
    for row in 0..ratings.rows() {
        let last = row + 1 == ratings.rows();
        if ratings.starts[row + 1] - ratings.starts[first] >= most || last {
            ranges.push(first..row + 1);
            first = row + 1;
        }
    }
    ranges
}

struct ErrorTask<'a> {
    ratings: &'a SideRatings,
    own: &'a Matrix,
    partner: &'a Matrix,
    mean: f32,
    confidence: Confidence,
    rows: Range<usize>,
}

impl LineTask for ErrorTask<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) -> Vec<f64> {
        let mut sums = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let mut sum = 0.0;
            let x = self.own.row(row as u32);
            let base = self.mean + self.own.bias[row];
            for at in self.ratings.positions(row) {
                let partner = self.ratings.partners[at];
                let prediction = base
                    + self.partner.bias[partner as usize]
                    + dot::<S, V>(simd, x, self.partner.row(partner));
                let weight = self.ratings.weights.get(at).map_or(1.0, |&w| f64::from(w));
                if self.confidence.is_signed() {
                    let (value, x) = (f64::from(self.ratings.values[at]), f64::from(prediction));
                    sum += weight * x * x + weight * value * (1.0 - 2.0 * x);
                    continue;
                }
                let e = f64::from(self.ratings.values[at] - prediction);
                sum += weight * e * e;
            }
            sums.push(sum);
        }
        sums
    }
}

/// `Σ (reg π + damping) ‖x‖² + (reg_bias π + damping_bias) b²` over a side's rows of `n` ratings each,
/// for each block that begins in `among`.
pub(crate) fn regularization(
    side: &Matrix,
    ratings: &SideRatings,
    partners: usize,
    terms: &RowTerms,
    among: &Range<usize>,
) -> Vec<f64> {
    let block_sum = |first: usize| {
        let mut sum = 0.0;
        for row in first..side.rows().min(first + BLOCK) {
            let mut square = 0.0;
            for &x in numbers(side.row(row as u32)) {
                square += f64::from(x) * f64::from(x);
            }
            let bias = f64::from(side.bias[row]);
            let penalty = f64::from(terms.penalty(ratings.positions(row).len(), partners));
            let constant =
                f64::from(terms.damping) * square + f64::from(terms.damping_bias) * bias * bias;
            let weighted = f64::from(terms.reg) * square + f64::from(terms.reg_bias) * bias * bias;
            sum += penalty * weighted + constant;
        }
        sum
    };
    let blocks: Vec<usize> =
        (0..side.rows()).step_by(BLOCK).filter(|first| among.contains(first)).collect();
    blocks.into_par_iter().map(block_sum).collect()
}
