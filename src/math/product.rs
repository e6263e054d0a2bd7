//! Inner products of rows of f32, summed in f64: in order, several in order, or over lanes.

/// Rows whose sums [`inner_side_by_side`] takes together: each waits for its own sums only.
pub(crate) const SIDE_BY_SIDE: usize = 8;

/// `a · b`, in order.
#[inline]
pub(crate) fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// `a · row` for each of the rows, each in order.
#[inline(always)]
pub(crate) fn inner_side_by_side(a: &[f32], rows: [&[f32]; SIDE_BY_SIDE]) -> [f64; SIDE_BY_SIDE] {
    let k = a.len();
    let rows = rows.map(|row| &row[..k]);
    let mut sums = [0.0; SIDE_BY_SIDE];
    for factor in 0..k {
        let x = f64::from(a[factor]);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            *sum += x * f64::from(row[factor]);
        }
    }
    sums
}

/// `a · b`, over eight lanes in a fixed order: other bits than [`inner`], sooner.
#[inline]
pub(crate) fn inner_in_lanes(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let [x0, x1, x2, x3, x4, x5, x6, x7] = lanes;
    let mut sum = ((x0 + x4) + (x2 + x6)) + ((x1 + x5) + (x3 + x7));
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += f64::from(*a) * f64::from(*b);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_inner_products() {
        for k in [0, 1, 7, 8, 9, 31, 64] {
            // Whole numbers: exact in every order.
            let row = |seed: usize| (0..k).map(|j| ((j * 7 + seed) % 11) as f32 - 5.0).collect();
            let rows: [Vec<f32>; SIDE_BY_SIDE + 1] = std::array::from_fn(row);
            let [a, rows @ ..] = &rows;
            let got = inner_side_by_side(a, rows.each_ref().map(Vec::as_slice));
            for (row, got) in rows.iter().zip(got) {
                assert_eq!(inner(a, row), got);
                assert_eq!(inner_in_lanes(a, row), got);
            }
        }
    }
}
