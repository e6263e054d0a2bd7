//! What the processor can do: multiply-adds in registers alone, by all threads. The twin of
//! `shaders/multiply_add.wgsl`.

use std::hint::black_box;
use std::time::Instant;

/// Sums side by side: more than the latency of a multiply-add needs, no more than registers hold.
const SUMS: usize = 10;

/// Lanes of a sum.
const LANES: usize = 16;

/// Multiply-adds of each sum.
const ROUNDS: usize = 1 << 20;

/// Runs after the one that warms up; the fastest counts.
const REPEATS: usize = 5;

/// Floating-point operations a second, two for each multiply-add.
pub(crate) fn multiply_add(arch: pulp::Arch) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..=REPEATS {
        let clock = Instant::now();
        rayon::broadcast(|_| black_box(arch.dispatch(Rounds)));
        best = best.min(clock.elapsed().as_secs_f64());
    }
    let operations = 2 * SUMS * LANES * ROUNDS * rayon::current_num_threads();
    operations as f64 / best
}

struct Rounds;

impl pulp::WithSimd for Rounds {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> f32 {
        let scale = simd.splat_f32s(black_box(0.999));
        let shift = simd.splat_f32s(black_box(0.001));
        let registers = LANES / S::F32_LANES.min(LANES);
        let mut total = 0.0;
        // As many registers as hold the lanes, one set after the other.
        for _ in 0..registers {
            let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
            for _ in 0..ROUNDS {
                for sum in &mut sums {
                    *sum = simd.mul_add_e_f32s(*sum, scale, shift);
                }
            }
            for sum in sums {
                total += simd.reduce_sum_f32s(sum);
            }
        }
        total
    }
}
