//! Small dense matrices in f64: Cholesky factors and what is solved with them.

/// Makes of a symmetric matrix, of which the lower triangle is read, its Cholesky factor `L` with
/// `L Lᵀ` the matrix; what lies above the diagonal stays. False if it is not positive definite to
/// rounding.
pub(crate) fn cholesky(matrix: &mut [f64], width: usize) -> bool {
    for i in 0..width {
        for j in 0..=i {
            let mut sum = matrix[i * width + j];
            for l in 0..j {
                sum -= matrix[i * width + l] * matrix[j * width + l];
            }
            if i == j {
                let least = 1e-13 * matrix[i * width + i];
                if sum.is_nan() || sum <= least {
                    return false;
                }
                matrix[i * width + i] = sum.sqrt();
            } else {
                matrix[i * width + j] = sum / matrix[j * width + j];
            }
        }
    }
    true
}

/// `x = L⁻¹ x`.
pub(crate) fn forward(triangle: &[f64], x: &mut [f64]) {
    let width = x.len();
    for i in 0..width {
        for j in 0..i {
            x[i] -= triangle[i * width + j] * x[j];
        }
        x[i] /= triangle[i * width + i];
    }
}

/// `x = L⁻ᵀ x`.
pub(crate) fn backward(triangle: &[f64], x: &mut [f64]) {
    let width = x.len();
    for i in (0..width).rev() {
        for j in i + 1..width {
            x[i] -= triangle[j * width + i] * x[j];
        }
        x[i] /= triangle[i * width + i];
    }
}

/// `x = (L Lᵀ)⁻¹ x`.
pub(crate) fn solve(triangle: &[f64], x: &mut [f64]) {
    forward(triangle, x);
    backward(triangle, x);
}

/// The inverse of a (width, width) matrix by Gauss and Jordan with partial pivoting; `None` where it
/// is singular to rounding.
fn inverse(matrix: &[f64], width: usize) -> Option<Vec<f64>> {
    let mut rest = matrix.to_vec();
    let mut inverse = vec![0.0; width * width];
    (0..width).for_each(|i| inverse[i * width + i] = 1.0);
    let largest = matrix.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    for column in 0..width {
        let size = |row: &usize| rest[row * width + column].abs();
        let pivot = (column..width).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let value = rest[pivot * width + column];
        if value.is_nan() || value.abs() <= 1e-15 * largest {
            return None;
        }
        for array in [&mut rest, &mut inverse] {
            let (upper, lower) = array.split_at_mut(pivot * width);
            if pivot > column {
                upper[column * width..][..width].swap_with_slice(&mut lower[..width]);
            }
            array[column * width..][..width].iter_mut().for_each(|x| *x /= value);
        }
        let lead = [&rest, &inverse].map(|array| array[column * width..][..width].to_vec());
        for row in (0..width).filter(|&row| row != column) {
            let by = rest[row * width + column];
            if by != 0.0 {
                for (array, lead) in [&mut rest, &mut inverse].into_iter().zip(&lead) {
                    let to = array[row * width..][..width].iter_mut();
                    to.zip(lead).for_each(|(x, lead)| *x -= by * lead);
                }
            }
        }
    }
    Some(inverse)
}

/// The orthogonal factor of a (width, width) matrix: the orthogonal matrix nearest to it, by Newton's
/// iteration `X ← (γ X + X⁻ᵀ / γ) / 2` (Higham 1986, "Computing the polar decomposition, with
/// applications"). What a singular matrix leaves open is taken near the identity.
pub(crate) fn orthogonal_factor(matrix: &[f64], width: usize) -> Vec<f64> {
    let identity = || (0..width * width).map(|at| f64::from(u8::from(at % (width + 1) == 0)));
    let scale = matrix.iter().map(|x| x * x).sum::<f64>().sqrt();
    if !(scale.is_finite() && scale > 0.0) {
        return identity().collect();
    }
    let mut x: Vec<f64> = matrix.iter().map(|x| x / scale).collect();
    let mut rescaled = true;
    for round in 0..100 {
        let Some(inverse) = inverse(&x, width) else {
            if round > 0 {
                return identity().collect();
            }
            x.iter_mut().zip(identity()).for_each(|(x, one)| *x += 1e-9 * one);
            continue;
        };
        let norm = |y: &[f64]| y.iter().map(|y| y * y).sum::<f64>().sqrt();
        let gamma = if rescaled { (norm(&inverse) / norm(&x)).sqrt() } else { 1.0 };
        let mut change = 0.0;
        let next: Vec<f64> = (0..width * width)
            .map(|at| {
                let mirrored = inverse[at % width * width + at / width];
                let next = 0.5 * (gamma * x[at] + mirrored / gamma);
                change += (next - x[at]).powi(2);
                next
            })
            .collect();
        x = next;
        // Near the end it converges quadratically by itself.
        rescaled &= change > 1e-4 * width as f64;
        if change < 1e-26 * width as f64 {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(a: &[f64], b: &[f64], width: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| -> f64 {
            (0..width).map(|l| a[i * width + l] * b[l * width + j]).sum()
        };
        (0..width * width).map(|x| at(x / width, x % width)).collect()
    }

    fn transposed(a: &[f64], width: usize) -> Vec<f64> {
        (0..width * width).map(|at| a[at % width * width + at / width]).collect()
    }

    fn mixed(width: usize) -> Vec<f64> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        };
        (0..width * width).map(|_| next()).collect()
    }

    #[test]
    fn an_orthogonal_factor_leaves_a_symmetric_positive_one() {
        for width in [1, 2, 7, 24] {
            let matrix = mixed(width);
            let q = orthogonal_factor(&matrix, width);
            let product = times(&transposed(&q, width), &q, width);
            for (at, x) in product.iter().enumerate() {
                let one = f64::from(u8::from(at % (width + 1) == 0));
                assert!((x - one).abs() < 1e-12, "{x} at {at} of {width}");
            }
            // H = Qᵀ A is symmetric and positive definite, which makes Q the nearest.
            let mut h = times(&transposed(&q, width), &matrix, width);
            for (a, b) in h.iter().zip(transposed(&h, width)) {
                assert!((a - b).abs() < 1e-12);
            }
            assert!(cholesky(&mut h, width));
        }
    }

    #[test]
    fn an_orthogonal_matrix_is_its_own_factor_and_a_singular_one_has_some() {
        let (sine, cosine) = 0.3_f64.sin_cos();
        let turn = [cosine, -sine, sine, cosine];
        for (a, b) in orthogonal_factor(&turn.map(|x| 7.0 * x), 2).iter().zip(turn) {
            assert!((a - b).abs() < 1e-14);
        }
        for singular in [[0.0; 4], [2.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]] {
            let q = orthogonal_factor(&singular, 2);
            let product = times(&transposed(&q, 2), &q, 2);
            for (x, one) in product.iter().zip([1.0, 0.0, 0.0, 1.0]) {
                assert!((x - one).abs() < 1e-9, "{q:?}");
            }
        }
    }
}
