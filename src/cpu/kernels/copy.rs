//! What the memory can do: a plain copy by all threads. The twin of `shaders/copy.wgsl`.

use rayon::prelude::*;
use std::time::Instant;

/// Bytes of the buffer that is copied: more than caches hold.
const BYTES: usize = 256 << 20;

/// Copies after the one that warms up; the fastest counts.
const REPEATS: usize = 5;

/// Bytes a second that a copy reads and writes.
pub(crate) fn copy() -> f64 {
    let source = vec![1.0_f32; BYTES / 4];
    let mut destination = vec![0.0_f32; BYTES / 4];
    let block = source.len().div_ceil(4 * rayon::current_num_threads());
    let mut best = f64::INFINITY;
    for _ in 0..=REPEATS {
        let clock = Instant::now();
        let pairs = destination.par_chunks_mut(block).zip(source.par_chunks(block));
        pairs.for_each(|(to, from)| to.copy_from_slice(from));
        best = best.min(clock.elapsed().as_secs_f64());
        std::hint::black_box(&mut destination);
    }
    2.0 * BYTES as f64 / best
}
