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
