//! Vector arithmetic in one fixed order on every processor.
//!
//! Sums run in 16 lanes that are folded in halves, and products are never fused into them: the bits
//! do not depend on the width of the machine's registers. The compiler vectorises these loops for
//! the instruction set under which they are inlined (see [`pulp::Arch::dispatch`]).

/// Lanes of a sum.
const LANES: usize = 16;

/// `x · y` of rows whose length is a multiple of 8.
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (x, y) in xs.iter().zip(ys) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    for (x, y) in x_rest.as_chunks::<8>().0.iter().zip(y_rest.as_chunks::<8>().0) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    fold(lanes)
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `sum += a·x`.
#[inline(always)]
pub(crate) fn add_scaled(sum: &mut [f32], a: f32, x: &[f32]) {
    for (sum, x) in sum.as_chunks_mut::<8>().0.iter_mut().zip(x.as_chunks::<8>().0) {
        for lane in 0..8 {
            sum[lane] += a * x[lane];
        }
    }
}

/// `sum = (((sum + a0·x0) + a1·x1) + a2·x2) + a3·x3`: four [`add_scaled`] with one load and store.
#[inline(always)]
pub(crate) fn add_scaled_4(sum: &mut [f32], a: [f32; 4], x: [&[f32]; 4]) {
    let sums = sum.as_chunks_mut::<8>().0.iter_mut();
    let x0 = x[0].as_chunks::<8>().0;
    let x1 = x[1].as_chunks::<8>().0;
    let x2 = x[2].as_chunks::<8>().0;
    let x3 = x[3].as_chunks::<8>().0;
    for ((((sum, x0), x1), x2), x3) in sums.zip(x0).zip(x1).zip(x2).zip(x3) {
        for lane in 0..8 {
            let mut s = sum[lane];
            s += a[0] * x0[lane];
            s += a[1] * x1[lane];
            s += a[2] * x2[lane];
            s += a[3] * x3[lane];
            sum[lane] = s;
        }
    }
}

/// `e^x` by Cephes' polynomial (relative error below 2e-7), in plain products and sums: the same
/// bits on every processor, unlike the system's.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    let y = p * (r * r) + r + 1.0;
    y * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// `σ(x) = 1 / (1 + e^−x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `−r log σ(x) − (1 − r) log σ(−x)`, which is `log(1 + e^x) − r·x`, without overflow.
#[inline(always)]
pub(crate) fn cross_entropy(x: f32, r: f32) -> f32 {
    x.max(0.0) - r * x + exp(-x.abs()).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_matches_f64() {
        for j in -870..=880 {
            let x = j as f32 * 0.1;
            let want = f64::from(x).exp();
            let gap = (f64::from(exp(x)) - want).abs() / want;
            assert!(gap < 3e-7, "exp({x}) is off by {gap}");
        }
    }

    #[test]
    fn dot_and_sums_match_f64_at_every_padded_length() {
        for n in [8, 16, 24, 40, 64, 1024] {
            let x: Vec<f32> = (0..n).map(|j| (j as f32 * 0.37).sin()).collect();
            let y: Vec<f32> = (0..n).map(|j| (j as f32 * 0.11).cos() + 0.5).collect();
            let want: f64 = x.iter().zip(&y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
            assert!((f64::from(dot(&x, &y)) - want).abs() < 1e-4);
            let mut one = y.clone();
            for a in [0.5, -2.0, 3.0, 0.1] {
                add_scaled(&mut one, a, &x);
            }
            let mut four = y.clone();
            add_scaled_4(&mut four, [0.5, -2.0, 3.0, 0.1], [&x; 4]);
            assert_eq!(one, four);
        }
    }
}
