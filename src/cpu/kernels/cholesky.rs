//! The Cholesky factorization `A = Uᵀ U` of a row's normal equations, and their solution.
//! The twin of `shaders/cholesky.wgsl`.
//!
//! Blocks of 16 rows: a block row first loses the products of the rows above it, with the tiles of
//! [`gram`](super::gram), then its diagonal block is factored and its other blocks are solved for.
#![expect(clippy::needless_range_loop, reason = "vectors are walked side by side")]

use super::gram::{Ahead, block_row, combine, store};
use super::lines::{LANES, Line, strip, vectors, vectors_mut};
use pulp::Simd;

/// Factors `a`, the upper triangle in strips, in place; `inverse` gets `1/U_ii`. A pivot that is not
/// above its number in `floors` makes the factor NaN from there on.
#[inline(always)]
pub(crate) fn cholesky<S: Simd, const V: usize>(
    simd: S,
    a: &mut [Line],
    floors: &[Line],
    inverse: &mut [Line],
) {
    let strips = inverse.len();
    for block in 0..strips {
        if block > 0 {
            block_row::<S, V>(simd, None, block, strips, a, &mut Ahead::none());
        }
        let (above, below) = a.split_at_mut(strip(block + 1));
        let Some(diagonal) = above.last_chunk_mut::<LANES>() else { return };
        factor::<S, V>(simd, diagonal, &floors[block].0, &mut inverse[block].0);
        for s in block + 1..strips {
            let at = strip(s) - strip(block + 1) + LANES * block;
            let Some(right) = below[at..].first_chunk_mut::<LANES>() else { return };
            eliminate::<S, V>(simd, diagonal, &inverse[block].0, right);
        }
    }
}

/// Factors a diagonal block; what lies below its diagonal is of no meaning.
#[inline(always)]
fn factor<S: Simd, const V: usize>(
    simd: S,
    block: &mut [Line; LANES],
    floors: &[f32; LANES],
    inverse: &mut [f32; LANES],
) {
    for i in 0..LANES {
        let mut row = vectors::<S, V>(&block[i..=i])[0];
        for p in 0..i {
            let scalar = simd.splat_f32s(-block[p].0[i]);
            let above = vectors::<S, V>(&block[p..=p])[0];
            for v in 0..V {
                row[v] = simd.mul_add_e_f32s(scalar, above[v], row[v]);
            }
        }
        let pivot = store::<S, V>(row).0[i];
        inverse[i] = if pivot > floors[i] { 1.0 / pivot.sqrt() } else { f32::NAN };
        let scalar = simd.splat_f32s(inverse[i]);
        for v in 0..V {
            row[v] = simd.mul_f32s(row[v], scalar);
        }
        vectors_mut::<S, V>(&mut block[i..=i])[0] = row;
    }
}

/// Solves `Uᵀ x = right` with a diagonal block `U` for all columns of another block.
#[inline(always)]
fn eliminate<S: Simd, const V: usize>(
    simd: S,
    diagonal: &[Line; LANES],
    inverse: &[f32; LANES],
    right: &mut [Line; LANES],
) {
    let right = vectors_mut::<S, V>(right);
    let Some(right) = right.first_chunk_mut::<LANES>() else { return };
    for v in 0..V {
        let mut x = [simd.splat_f32s(0.0); LANES];
        for i in 0..LANES {
            x[i] = right[i][v];
        }
        for i in 0..LANES {
            x[i] = simd.mul_f32s(x[i], simd.splat_f32s(inverse[i]));
            for below in i + 1..LANES {
                let scalar = simd.splat_f32s(-diagonal[i].0[below]);
                x[below] = simd.mul_add_e_f32s(scalar, x[i], x[below]);
            }
        }
        for i in 0..LANES {
            right[i][v] = x[i];
        }
    }
}

/// Solves `Uᵀ y = y` in place.
#[inline(always)]
pub(crate) fn forward<S: Simd, const V: usize>(
    simd: S,
    u: &[Line],
    inverse: &[Line],
    y: &mut [Line],
) {
    for block in 0..inverse.len() {
        let (done, rest) = y.split_at_mut(block);
        let lines = &u[strip(block)..];
        let above = combine::<S, V>(simd, &lines[..LANES * block], super::lines::numbers(done));
        let own = &mut vectors_mut::<S, V>(&mut rest[..1])[0];
        for v in 0..V {
            own[v] = simd.sub_f32s(own[v], above[v]);
        }
        let mut own = *own;
        let Some(diagonal) = lines[LANES * block..].first_chunk::<LANES>() else { return };
        let mut solved = Line::ZERO;
        for i in 0..LANES {
            solved.0[i] = store::<S, V>(own).0[i] * inverse[block].0[i];
            let scalar = simd.splat_f32s(-solved.0[i]);
            let line = vectors::<S, V>(&diagonal[i..=i])[0];
            for v in 0..V {
                own[v] = simd.mul_add_e_f32s(scalar, line[v], own[v]);
            }
        }
        rest[0] = solved;
    }
}

/// Solves `U x = x` in place.
#[inline(always)]
pub(crate) fn backward<S: Simd, const V: usize>(
    simd: S,
    u: &[Line],
    inverse: &[Line],
    x: &mut [Line],
) {
    let strips = inverse.len();
    for block in (0..strips).rev() {
        let mut sums = [[simd.splat_f32s(0.0); V]; LANES];
        for s in block + 1..strips {
            let known = vectors::<S, V>(&x[s..=s])[0];
            let lines = vectors::<S, V>(&u[strip(s) + LANES * block..][..LANES]);
            let Some(lines) = lines.first_chunk::<LANES>() else { return };
            for i in 0..LANES {
                for v in 0..V {
                    sums[i][v] = simd.mul_add_e_f32s(lines[i][v], known[v], sums[i][v]);
                }
            }
        }
        let Some(diagonal) = u[strip(block) + LANES * block..].first_chunk::<LANES>() else {
            return;
        };
        let own = &mut x[block].0;
        for i in 0..LANES {
            own[i] -= store::<S, V>(sums[i]).fold();
        }
        for i in (0..LANES).rev() {
            own[i] *= inverse[block].0[i];
            for above in 0..i {
                own[above] -= diagonal[above].0[i] * own[i];
            }
        }
    }
}
