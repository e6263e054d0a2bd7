//! A row's least squares under `x ≥ 0`, by coordinate descent on its normal equations.
//! The twin of `shaders/nonnegative.wgsl`.
#![expect(clippy::needless_range_loop, reason = "lanes and rows are walked side by side")]

use super::gram::combine;
use super::lines::{LANES, Line, numbers, numbers_mut, strip, vectors_mut};
use pulp::Simd;

/// The most often every coordinate is visited.
const CYCLES: usize = 32;

/// Coordinates stand still where none moves by more than this part of the largest.
const STILL: f32 = 1e-5;

/// Moves `x`, its numbers below 0 first set to 0, towards the least `xᵀ A x − 2 bᵀ x` with `x ≥ 0`:
/// coordinate after coordinate to its best value, which never raises it. `sums` is `A`, the upper
/// triangle in strips, and `right` is `b`.
#[inline(always)]
pub(crate) fn nonnegative<S: Simd, const V: usize>(
    simd: S,
    factors: usize,
    sums: &[Line],
    right: &[Line],
    whole: &mut Vec<Line>,
    gradient: &mut Vec<Line>,
    x: &mut [Line],
) {
    let strips = right.len();
    mirror(factors, strips, sums, whole);
    for x in numbers_mut(x) {
        // A NaN stays.
        if *x < 0.0 {
            *x = 0.0;
        }
    }
    gradient.clear();
    gradient.resize(strips, Line::ZERO);
    for s in 0..strips {
        // Strip after strip, a line a row.
        let sum = combine::<S, V>(simd, &whole[s * factors..][..factors], numbers(x));
        let to = &mut vectors_mut::<S, V>(gradient)[s];
        for v in 0..V {
            to[v] = simd.sub_f32s(sum[v], super::lines::vectors::<S, V>(&right[s..=s])[0][v]);
        }
    }
    for _ in 0..CYCLES {
        let (mut moved, mut largest) = (0.0_f32, 0.0_f32);
        for j in 0..factors {
            let old = x[j / LANES].0[j % LANES];
            let diagonal = sums[strip(j / LANES) + j].0[j % LANES];
            let mut new = old - gradient[j / LANES].0[j % LANES] / diagonal;
            if new < 0.0 {
                new = 0.0;
            }
            let change = new - old;
            if change != 0.0 {
                x[j / LANES].0[j % LANES] = new;
                for s in 0..strips {
                    let line = &whole[s * factors + j];
                    for lane in 0..LANES {
                        gradient[s].0[lane] += change * line.0[lane];
                    }
                }
            }
            moved = moved.max(change.abs());
            largest = largest.max(new);
        }
        if moved <= STILL * largest {
            break;
        }
    }
}

/// The whole matrix of its upper triangle: strip after strip, a line for each of `factors` rows.
#[inline(always)]
pub(crate) fn mirror(factors: usize, strips: usize, sums: &[Line], whole: &mut Vec<Line>) {
    whole.clear();
    whole.resize(strips * factors, Line::ZERO);
    for s in 0..strips {
        let above = (LANES * (s + 1)).min(factors);
        whole[s * factors..][..above].copy_from_slice(&sums[strip(s)..][..above]);
        for row in above..factors {
            // Row `row`, column `16s + lane` is column `row` of row `16s + lane`.
            let column = &sums[strip(row / LANES) + LANES * s..][..LANES];
            let line = &mut whole[s * factors + row];
            for lane in 0..LANES {
                line.0[lane] = column[lane].0[row % LANES];
            }
        }
    }
}
