//! What a row's scores of the pool come to: of softmax the logarithm of a sum of exponentials, of ccl the sum of
//! what lies above the margin. The twin of `shaders/contrast.wgsl`.

use super::lines::{LANES, Line, numbers_mut};

/// The score of what is no negative, and of what pads a panel: it counts nothing.
pub(crate) const NONE: f32 = -1e30;

/// What a row's scores come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Contrasted {
    /// softmax: the greatest `t`; ccl: how many negatives were drawn.
    pub height: f32,
    /// softmax: `Σ e^(t − height)`; ccl: `Σ m max(0, s − θ)`.
    pub sum: f32,
}

/// Of the lines `t`, without the slots that are `known`: leaves `e^(t − height)` in their place.
#[inline(always)]
pub(crate) fn softmax(lines: &mut [Line], known: &[u32]) -> Contrasted {
    for &slot in known {
        numbers_mut(lines)[slot as usize] = NONE;
    }
    let mut most = Line([NONE; LANES]);
    for line in &*lines {
        for lane in 0..LANES {
            most.0[lane] = if line.0[lane] > most.0[lane] { line.0[lane] } else { most.0[lane] };
        }
    }
    let mut height = most.0[0];
    for lane in 1..LANES {
        height = if most.0[lane] > height { most.0[lane] } else { height };
    }
    let mut sum = Line::ZERO;
    for line in lines {
        exp_less(line, height);
        for lane in 0..LANES {
            sum.0[lane] += line.0[lane];
        }
    }
    Contrasted { height, sum: sum.fold() }
}

/// Of the lines of scores, without the slots that are `known`, drawn as often as `counts` says: leaves
/// `m [s > θ]` in their place.
#[inline(always)]
pub(crate) fn ccl(lines: &mut [Line], known: &[u32], counts: &[Line], margin: f32) -> Contrasted {
    let mut drawn = 0.0;
    for line in counts {
        drawn += line.fold();
    }
    for &slot in known {
        let slot = slot as usize;
        numbers_mut(lines)[slot] = NONE;
        drawn -= counts[slot / LANES].0[slot % LANES];
    }
    let mut sum = Line::ZERO;
    for (line, count) in lines.iter_mut().zip(counts) {
        for lane in 0..LANES {
            let above = line.0[lane] - margin;
            let count = if above > 0.0 { count.0[lane] } else { 0.0 };
            sum.0[lane] += count * if above > 0.0 { above } else { 0.0 };
            line.0[lane] = count;
        }
    }
    Contrasted { height: drawn, sum: sum.fold() }
}

/// `e^(x − less)` of sixteen numbers that are `less` at most, in plain products and sums, by Cephes'
/// polynomial (relative error below 3e-7); 0 below e^−86, which no sum feels.
#[inline(always)]
fn exp_less(line: &mut Line, less: f32) {
    // Adding this leaves a whole number in the last bits.
    const ROUND: f32 = 12_582_912.0;
    for lane in 0..LANES {
        let x = line.0[lane] - less;
        let small = x < -86.0;
        let x = if small { 0.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
        let mut p = 1.987_569_1e-4_f32;
        p = p * r + 1.398_199_9e-3;
        p = p * r + 8.333_452e-3;
        p = p * r + 4.166_579_6e-2;
        p = p * r + 1.666_666_5e-1;
        p = p * r + 0.5;
        let y = p * (r * r) + r + 1.0;
        let bits = y.to_bits().wrapping_add(shifted.to_bits() << 23);
        line.0[lane] = if small { 0.0 } else { f32::from_bits(bits) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_match_f64() {
        for j in 0..=8600 {
            let x = j as f32 * -0.01;
            let mut line = Line([x + 3.0; LANES]);
            exp_less(&mut line, 3.0);
            let want = (f64::from(x + 3.0) - 3.0).exp();
            let gap = (f64::from(line.0[5]) - want).abs() / want;
            assert!(gap < 3e-7, "exp({x}) is off by {gap}");
        }
        let mut line = Line([NONE; LANES]);
        exp_less(&mut line, 0.0);
        assert_eq!(line, Line::ZERO);
    }
}
