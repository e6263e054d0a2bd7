//! Each draw of a hyperparameter against the distribution it is from, computed another way.

use super::*;
use crate::math::random::Purpose;

const DRAWS: usize = 40_000;

fn numbers(sweep: u32) -> Stream {
    Stream::new(3, 0, sweep, Purpose::Hyperparameters)
}

/// How far the mean of `values` is from `mean`, in its standard errors.
fn distance(values: impl Iterator<Item = f64> + Clone, mean: f64) -> f64 {
    let n = values.clone().count() as f64;
    let average = values.clone().sum::<f64>() / n;
    let variance = values.map(|x| (x - average).powi(2)).sum::<f64>() / (n - 1.0);
    (average - mean) / (variance / n).sqrt()
}

/// The inverse of a symmetric positive definite matrix.
fn inverse(matrix: &[f64], width: usize) -> Vec<f64> {
    let mut l = matrix.to_vec();
    assert!(cholesky(&mut l, width));
    let mut inverse = Vec::new();
    for j in 0..width {
        let mut unit = vec![0.0; width];
        unit[j] = 1.0;
        crate::math::dense::solve(&l, &mut unit);
        inverse.extend(unit);
    }
    inverse
}

/// Moments of rows whose last column is held at 0 without a bias; their popularities.
fn some_rows(factors: usize, bias: bool, rows: usize) -> (Moments, [f64; 2]) {
    let wide = factors + 1;
    let mut moments = Moments {
        rows,
        sum: vec![0.0; wide],
        products: vec![0.0; wide * wide],
        popular: vec![0.0; wide],
    };
    let (mut sum, mut squares) = (0.0, 0.0);
    for row in 0..rows {
        let zeta = (row as f64 * 0.9).sin() * 1.3 + 0.2;
        let mut z: Vec<f64> =
            (0..wide).map(|j| (row as f64 * (j as f64 + 1.7)).cos() + 0.4 * zeta + 0.3).collect();
        z[factors] *= f64::from(u8::from(bias));
        for i in 0..wide {
            moments.sum[i] += z[i];
            moments.popular[i] += zeta * z[i];
            for j in 0..wide {
                moments.products[i * wide + j] += z[i] * z[j];
            }
        }
        sum += zeta;
        squares += zeta * zeta;
    }
    (moments, [sum, squares])
}

// The conjugate posterior by its formulas, with K inverted by hand: E Λ = ν* W*, Var Λ_ij =
// ν* (W_ij² + W_ii W_jj), E [m, s] = K⁻¹ Σ [1, ζ] zᵀ, Cov [m, s]_a = K⁻¹_aa E Λ⁻¹ with
// E Λ⁻¹ = W*⁻¹/(ν* − d − 1). 5 standard errors, about 40 means a case.
#[test]
fn rows_priors_have_the_moments_of_their_posterior() {
    for (factors, bias, rows) in [(2, true, 9), (3, false, 40), (1, true, 0)] {
        let (wide, width) = (factors + 1, factors + usize::from(bias));
        let (moments, popularity) = some_rows(factors, bias, rows);
        let spread = 0.8;
        let prior = NormalWishart { factors, bias, spread, popularity };
        let (n, [sum, squares]) = (rows as f64, popularity);
        let determinant = (1.0 + n) * (1.0 + squares) - sum * sum;
        let k_inverse =
            [(1.0 + squares) / determinant, -sum / determinant, (1.0 + n) / determinant];
        let (first, second) = (&moments.sum, &moments.popular);
        let mean = |j: usize| k_inverse[0] * first[j] + k_inverse[1] * second[j];
        let slope = |j: usize| k_inverse[1] * first[j] + k_inverse[2] * second[j];
        let mut w_inverse = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..width {
                w_inverse[i * width + j] =
                    moments.products[i * wide + j] - first[i] * mean(j) - second[i] * slope(j);
            }
            w_inverse[i * width + i] += 0.8 - 0.1 * i as f64;
        }
        let w = inverse(&w_inverse, width);
        let degrees = n + width as f64 + 2.0;
        let scales: Vec<f64> = (0..width).map(|j| 0.8 - 0.1 * j as f64).collect();
        let draw = |at: usize| {
            prior.draw_given(&scales, &moments, &mut numbers(1).sequence(at as u32)).unwrap()
        };
        let draws: Vec<RowPrior> = (0..DRAWS).map(draw).collect();
        let case = format!("{factors} factors, bias {bias}, {rows} rows");
        let check = |what: String, z: f64| assert!(z.abs() < 5.0, "{case}: {what}: {z}");
        for i in 0..width {
            check(format!("mean {i}"), distance(draws.iter().map(|d| d.mean[i]), mean(i)));
            check(format!("slope {i}"), distance(draws.iter().map(|d| d.slope[i]), slope(i)));
            for j in 0..=i {
                let of = |d: &RowPrior| d.precision[i * wide + j];
                let want = w[i * width + j];
                let z = distance(draws.iter().map(of), degrees * want);
                check(format!("precision {i} {j}"), z);
                let variance = want * want + w[i * width + i] * w[j * width + j];
                let squares = draws.iter().map(|d| (of(d) - degrees * want).powi(2));
                check(format!("its variance {i} {j}"), distance(squares, degrees * variance));
                // Given Λ, [m, s] has the covariance K⁻¹ times Λ⁻¹: their products with Λ's factor
                // have the means of independent normal numbers.
            }
        }
        let whitened =
            |pick: fn(&RowPrior, usize) -> f64, mean: &dyn Fn(usize) -> f64| -> Vec<f64> {
                let distance = |d: &RowPrior| {
                    let off: Vec<f64> = (0..width).map(|j| pick(d, j) - mean(j)).collect();
                    let mut sum = 0.0;
                    for i in 0..width {
                        for j in 0..width {
                            sum += off[i] * d.precision[i * wide + j] * off[j];
                        }
                    }
                    sum
                };
                draws.iter().map(distance).collect()
            };
        let of_mean = whitened(|d, j| d.mean[j], &mean);
        let of_slope = whitened(|d, j| d.slope[j], &slope);
        let of_both = whitened(|d, j| d.mean[j] + d.slope[j], &|j| mean(j) + slope(j));
        let both = k_inverse[0] + 2.0 * k_inverse[1] + k_inverse[2];
        for (what, values, k) in [
            ("spread of m", of_mean, k_inverse[0]),
            ("spread of s", of_slope, k_inverse[2]),
            ("spread of m + s", of_both, both),
        ] {
            check(what.to_owned(), distance(values.into_iter(), k * width as f64));
        }
        if !bias {
            for draw in &draws[..10] {
                assert_eq!((draw.mean[factors], draw.slope[factors]), (0.0, 0.0));
                let last = &draw.precision[factors * wide..];
                assert!(last[..factors].iter().all(|&x| x == 0.0) && last[factors] == 1.0);
            }
        }
    }
}

// Given Λ each scale is a Gamma number: mean and variance by its formulas, 5 standard errors.
#[test]
fn scales_have_the_moments_of_their_posterior() {
    let prior = NormalWishart { factors: 3, bias: true, spread: 0.8, popularity: [0.0; 2] };
    let mut given = prior.expected();
    for j in 0..4 {
        given.precision[j * 5] = [0.5, 3.0, 40.0, 2.0][j];
    }
    let draws: Vec<Vec<f64>> = (0..DRAWS)
        .map(|at| prior.draw_scales(&given, &mut numbers(6).sequence(at as u32)).unwrap())
        .collect();
    for j in 0..4 {
        // Half-t with 3 degrees of freedom: deviations of (0.003/3)^(1/4) for factors, 0.5 for biases.
        let unit = match j {
            3 => 3.0 * 0.8 * 0.8 * 0.25,
            _ => 3.0 * 0.8 * (0.003_f64 / 3.0).sqrt(),
        };
        let (shape, rate) = (7.0 / 2.0, (1.0 / unit + given.precision[j * 5]) / 2.0);
        let of = draws.iter().map(|scales| scales[j]);
        let z = distance(of.clone(), shape / rate);
        assert!(z.abs() < 5.0, "scale {j}: {z}");
        let z = distance(of.map(|w| (w - shape / rate).powi(2)), shape / rate / rate);
        assert!(z.abs() < 5.0, "variance of scale {j}: {z}");
    }
}

// 5 standard errors, six means.
#[test]
fn noise_has_the_moments_of_its_posterior() {
    let prior = NoisePrior { spread: 1.3, counts: vec![4.0, 0.0, 25.0] };
    let errors = [9.0, 0.0, 12.0];
    let start = Noise { precision: 0.7, weights: vec![1.0; 4], shape: 6.0 };
    let draws: Vec<Noise> = (0..DRAWS as u32)
        .map(|sweep| {
            let mut noise = start.clone();
            let mut random = numbers(sweep).sequence(u32::MAX);
            prior.draw_in_turn(&mut noise, &errors, numbers(sweep), &mut random).unwrap();
            noise
        })
        .collect();
    for (user, (&n, error)) in prior.counts.iter().zip(errors).enumerate() {
        let (shape, rate) = (6.0 + n / 2.0, 6.0 + 0.7 * error / 2.0);
        let weights = draws.iter().map(|noise| f64::from(noise.weights[user]));
        let z = distance(weights.clone(), shape / rate);
        assert!(z.abs() < 5.0, "user {user}: {z}");
        let z = distance(weights.map(|a| (a - shape / rate).powi(2)), shape / rate / rate);
        assert!(z.abs() < 5.0, "variance of user {user}: {z}");
    }
    // Given the weights that were drawn, each τ times its rate is Gamma(1 + n/2, 1), and an unknown
    // user's weight has mean 1 and variance 1/α.
    let scaled = draws.iter().map(|noise| {
        let of_users = noise.weights[..3].iter().zip(errors);
        let error: f64 = of_users.map(|(&a, error)| f64::from(a) * error).sum();
        noise.precision * (1.3 * 1.3 + error / 2.0)
    });
    let shape = 1.0 + 29.0 / 2.0;
    let z = distance(scaled.clone(), shape);
    assert!(z.abs() < 5.0, "precision: {z}");
    let z = distance(scaled.map(|x| (x - shape).powi(2)), shape);
    assert!(z.abs() < 5.0, "variance of the precision: {z}");
    let z = distance(draws.iter().map(|noise| f64::from(noise.weights[3])), 1.0);
    assert!(z.abs() < 5.0, "an unknown user: {z}");
    let squares =
        draws.iter().map(|noise| (f64::from(noise.weights[3]) - 1.0).powi(2) * noise.shape);
    let z = distance(squares, 1.0);
    assert!(z.abs() < 5.0, "variance of an unknown user: {z}");
}

/// `E x` and `E x²` of `x = ln α` given `Σ (ln a − a)` over `n` weights, on a grid.
fn shape_on_a_grid(n: usize, sum: f64) -> (f64, f64) {
    let log_density = |x: f64| {
        let alpha = x.exp();
        n as f64 * (alpha * x - ln_gamma(alpha)) + alpha * sum - (x - 10.0_f64.ln()).powi(2) / 2.0
    };
    moments_on_a_grid(log_density, -6.0, MOST_ALIKE)
}

/// `E x` and `E x²` of a log density that is all within these bounds.
fn moments_on_a_grid(log_density: impl Fn(f64) -> f64, low: f64, high: f64) -> (f64, f64) {
    let grid = || (0..40_000).map(|j| low + (high - low) * (f64::from(j) + 0.5) / 40_000.0);
    let top = grid().map(&log_density).fold(f64::NEG_INFINITY, f64::max);
    let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
    for x in grid() {
        let density = (log_density(x) - top).exp();
        mass += density;
        first += density * x;
        second += density * x * x;
    }
    (first / mass, second / mass)
}

// Chains that start at draws from the grid's neighbourhood move on for 60 steps; each ends
// independent of the others. 5 standard errors.
#[test]
fn the_shape_has_the_moments_of_its_posterior() {
    for (n, sum) in [(0, 0.0), (1, -1.2), (3, -4.0), (40, -43.0), (2_000, -2_080.0)] {
        let (first, second) = shape_on_a_grid(n, sum);
        let ends: Vec<f64> = (0..4_000)
            .map(|chain| {
                let mut random = numbers(2).sequence(chain);
                let mut alpha = first.exp();
                for _ in 0..60 {
                    alpha = draw_shape(alpha, n, sum, &mut random);
                }
                alpha.ln()
            })
            .collect();
        let z = distance(ends.iter().copied(), first);
        assert!(z.abs() < 5.0, "{n} weights: {z}");
        let z = distance(ends.iter().map(|x| x * x), second);
        assert!(z.abs() < 5.0, "{n} weights, square: {z}");
    }
}

/// The mean and the mean square of `x = ln c`, on a grid: `ln` of `τ`'s prior and of the weights', all
/// moved by `c`, and of how a volume of them grows.
fn scale_on_a_grid(spread: f64, tau: f64, alpha: f64, weights: &[f64]) -> (f64, f64) {
    let log_density = |x: f64| {
        let c = x.exp();
        let of_weights: f64 =
            weights.iter().map(|a| (alpha - 1.0) * (a / c).ln() - alpha * a / c).sum();
        of_weights - spread * spread * c * tau + (1.0 - weights.len() as f64) * x
    };
    moments_on_a_grid(log_density, -4.0, 4.0)
}

// 5 standard errors.
#[test]
fn the_scale_has_the_moments_of_its_posterior() {
    for (spread, tau, alpha, weights) in [
        (1.3, 0.7, 3.0, vec![0.5, 2.0, 1.4]),
        (0.2, 30.0, 8.0, vec![1.1; 40]),
        (1.0, 2.0, 1.5, (1..400).map(|j| f64::from(j) / 200.0).collect()),
    ] {
        let (first, second) = scale_on_a_grid(spread, tau, alpha, &weights);
        let ends: Vec<f64> = (0..4_000)
            .map(|chain| {
                let mut random = numbers(5).sequence(chain);
                let mut moved = 0.0_f64;
                for _ in 0..30 {
                    let c = moved.exp();
                    let sum = weights.iter().sum::<f64>() / c;
                    let rate = spread * spread * c * tau;
                    moved += draw_scale(rate, alpha, weights.len(), sum, &mut random).ln();
                }
                moved
            })
            .collect();
        let z = distance(ends.iter().copied(), first);
        assert!(z.abs() < 5.0, "{} weights: {z}", weights.len());
        let z = distance(ends.iter().map(|x| x * x), second);
        assert!(z.abs() < 5.0, "{} weights, square: {z}", weights.len());
    }
}

#[test]
fn scaling_changes_no_users_noise() {
    let prior = NoisePrior { spread: 1.3, counts: vec![4.0, 0.0, 25.0] };
    let errors = [9.0, 0.0, 12.0];
    let start = Noise { precision: 0.7, weights: vec![1.0; 4], shape: 6.0 };
    let (mut whole, mut in_turn) = (start.clone(), start);
    prior.draw(&mut whole, &errors, numbers(8)).unwrap();
    let mut random = numbers(8).sequence(u32::MAX);
    prior.draw_in_turn(&mut in_turn, &errors, numbers(8), &mut random).unwrap();
    assert_ne!(whole.precision, in_turn.precision);
    for user in 0..3 {
        let product = |noise: &Noise| noise.precision * f64::from(noise.weights[user]);
        approx::assert_relative_eq!(product(&whole), product(&in_turn), max_relative = 1e-6);
    }
    assert_eq!(whole.weights[3], in_turn.weights[3]);
}

#[test]
fn the_shape_of_equal_weights_stays_below_its_bound() {
    // All weights 1: the likelihood rises for ever, as alpha does.
    let mut random = numbers(3).sequence(0);
    let mut alpha = 10.0;
    for _ in 0..200 {
        alpha = draw_shape(alpha, 100_000, -100_000.0, &mut random);
        assert!(alpha.is_finite() && alpha.ln() <= MOST_ALIKE);
    }
}

#[test]
fn ln_gamma_is_that_of_the_tables() {
    for (x, want) in [
        (0.01, 4.599_479_878_042_022),
        (0.5, 0.572_364_942_924_700_1),
        (1.0, 0.0),
        (1.5, -0.120_782_237_635_245_22),
        (2.0, 0.0),
        (5.0, 3.178_053_830_347_945_6),
        (10.0, 12.801_827_480_081_469),
        (100.0, 359.134_205_369_575_4),
        (98_715.77, 1_036_510.752_928_62),
    ] {
        let gap: f64 = ln_gamma(x) - want;
        assert!(gap.abs() < 1e-12 * want.abs().max(1.0), "{x}: {gap}");
    }
    // Γ(x + 1) = x Γ(x).
    for x in [0.1, 0.7, 3.3, 9.99, 10.01, 55.5] {
        assert!((ln_gamma(x + 1.0) - ln_gamma(x) - f64::ln(x)).abs() < 1e-12 * x.max(1.0));
    }
}
