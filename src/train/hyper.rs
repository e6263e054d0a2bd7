//! The sampler's hyperparameters: what a side's rows and the noise are drawn from, themselves drawn
//! given the rows.

use crate::backend::Moments;
use crate::dense::{backward, cholesky};
use crate::model::RowPrior;
use crate::{Error, Result};
use rand::Rng;
use rand_distr::{ChiSquared, Distribution, Gamma, StandardNormal};

/// The prior of a side's rows `z ~ N(m + ζ s, Λ⁻¹)` with popularities `ζ`: Normal-Wishart
/// (Salakhutdinov and Mnih 2008, "Bayesian probabilistic matrix factorization using Markov chain
/// Monte Carlo", equations 7 and 14), with a regression on `ζ` in the place of the mean alone
/// (as Macau has on side information, Simm et al. 2017):
/// `Λ ~ Wishart(W₀, ν₀)`, and `m` and `s ~ N(0, (β₀ Λ)⁻¹)`, with `ν₀` the number of coordinates.
///
/// How often something is rated says something about how: with `ζ`, rare rows are drawn to what rare
/// rows are like.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalWishart {
    /// Number of factors `k`.
    pub factors: usize,
    /// Whether the last coordinate is a bias; else it is held at 0.
    pub bias: bool,
    /// Standard deviation of the ratings: `W₀⁻¹` is diagonal, this for factors and its square for
    /// the bias, so that a prior means the same in any unit.
    pub spread: f64,
    /// (rows): `Σ ζ` and `Σ ζ²`.
    pub popularity: [f64; 2],
}

/// `β₀`.
const PRIOR_ROWS: f64 = 1.0;

impl NormalWishart {
    /// Coordinates that are drawn.
    fn width(&self) -> usize {
        self.factors + usize::from(self.bias)
    }

    /// Draws `m`, `s` and `Λ` given the rows' moments.
    ///
    /// # Errors
    /// If the moments are not finite.
    pub fn draw(&self, moments: &Moments, random: &mut impl Rng) -> Result<RowPrior> {
        let (width, wide) = (self.width(), self.factors + 1);
        let [sum, squares] = self.popularity;
        // K = β₀ I + Σ [1, ζ] [1, ζ]ᵀ, and its factor.
        let k = [PRIOR_ROWS + moments.rows as f64, sum, PRIOR_ROWS + squares];
        let root = k[0].sqrt();
        let below = k[1] / root;
        let last = (k[2] - below * below).sqrt();
        // Columns of the coefficients' factor side: rows of L_K⁻¹ Σ [1, ζ] zᵀ.
        let first: Vec<f64> = moments.sum[..width].iter().map(|x| x / root).collect();
        let second: Vec<f64> = moments.popular[..width]
            .iter()
            .zip(&first)
            .map(|(x, first)| (x - below * first) / last)
            .collect();
        // W*⁻¹ = W₀⁻¹ + Σ z zᵀ − B*ᵀ K B* with B* = K⁻¹ Σ [1, ζ] zᵀ.
        let mut inverse = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..=i {
                inverse[i * width + j] =
                    moments.products[i * wide + j] - first[i] * first[j] - second[i] * second[j];
            }
            inverse[i * width + i] +=
                if i == self.factors { self.spread * self.spread } else { self.spread };
        }
        if !cholesky(&mut inverse, width) {
            return Err(Error::data("the rows' moments have no Cholesky factor"));
        }
        let (precision, normals) = wishart(&inverse, width, (width + moments.rows) as f64, random)?;
        // B ~ B* + L_K⁻ᵀ Z with rows of Z ~ N(0, Λ⁻¹).
        let slope = (0..width).map(|j| (second[j] + normals[1][j]) / last);
        let slope: Vec<f64> = slope.collect();
        let mean = (0..width).map(|j| (first[j] + normals[0][j] - below * slope[j]) / root);
        let mut prior = RowPrior {
            mean: mean.chain([0.0]).take(wide).collect(),
            slope: slope.iter().copied().chain([0.0]).take(wide).collect(),
            precision: vec![0.0; wide * wide],
        };
        for i in 0..wide {
            match i < width {
                true => prior.precision[i * wide..][..width]
                    .copy_from_slice(&precision[i * width..][..width]),
                false => prior.precision[i * wide + i] = 1.0,
            }
        }
        Ok(prior)
    }
}

/// `Λ ~ Wishart((L Lᵀ)⁻¹, degrees)` by Bartlett's decomposition: (width, width), and two draws from
/// `N(0, Λ⁻¹)`.
fn wishart(
    triangle: &[f64],
    width: usize,
    degrees: f64,
    random: &mut impl Rng,
) -> Result<(Vec<f64>, [Vec<f64>; 2])> {
    // Λ = M Mᵀ with M = L⁻ᵀ A and A lower triangular.
    let mut bartlett = vec![0.0; width * width];
    for i in 0..width {
        for j in 0..i {
            bartlett[i * width + j] = StandardNormal.sample(random);
        }
        let chi = ChiSquared::new(degrees - i as f64);
        let chi = chi.map_err(|e| Error::data(format!("degrees of freedom: {e}")))?;
        bartlett[i * width + i] = chi.sample(random).sqrt();
    }
    let mut precision = vec![0.0; width * width];
    let mut column = vec![0.0; width];
    for j in 0..width {
        for (i, to) in column.iter_mut().enumerate() {
            *to = bartlett[i * width + j];
        }
        backward(triangle, &mut column);
        for i in 0..width {
            for l in 0..width {
                precision[i * width + l] += column[i] * column[l];
            }
        }
    }
    // Λ⁻¹ = L A⁻ᵀ A⁻¹ Lᵀ, so L A⁻ᵀ z has that covariance.
    let mut normal = || -> Vec<f64> {
        let mut z: Vec<f64> = (0..width).map(|_| StandardNormal.sample(random)).collect();
        backward(&bartlett, &mut z);
        let product = |i: usize| -> f64 {
            triangle[i * width..][..=i].iter().zip(&z).map(|(l, z)| l * z).sum()
        };
        (0..width).map(product).collect()
    };
    Ok((precision, [normal(), normal()]))
}

/// Draws the noise precision `τ` of `ratings` ratings with this squared error:
/// `τ ~ Gamma(1, spread²)` (shape and rate) before any is seen, one rating's worth of knowledge.
///
/// # Errors
/// If the squared error is not finite.
pub fn noise_precision(
    squared_error: f64,
    ratings: usize,
    spread: f64,
    random: &mut impl Rng,
) -> Result<f64> {
    let (shape, rate) = (1.0 + ratings as f64 / 2.0, spread * spread + squared_error / 2.0);
    let gamma = Gamma::new(shape, rate.recip());
    let gamma = gamma.map_err(|e| Error::data(format!("noise precision: {e}")))?;
    Ok(gamma.sample(random))
}
