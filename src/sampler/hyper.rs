//! The sampler's hyperparameters: what a side's rows and the noise are drawn from, themselves drawn
//! given the rows.

use crate::backend::Moments;
use crate::core::RowPrior;
use crate::math::dense::{backward, cholesky};
use crate::math::random::Stream;
use crate::{Error, Result};
use rand::Rng;
use rand_distr::{ChiSquared, Distribution, Gamma, OpenClosed01, StandardNormal};
use rayon::prelude::*;

/// The prior of a side's rows `z ~ N(m + ζ s, Λ⁻¹)` with popularities `ζ`: Normal-Wishart
/// (Salakhutdinov and Mnih 2008, "Bayesian probabilistic matrix factorization using Markov chain
/// Monte Carlo", equations 7 and 14), with a regression on `ζ` in the place of the mean alone
/// (as Macau has on side information, Simm et al. 2017):
/// `Λ ~ Wishart(diag(w)⁻¹, ν₀)`, and `m` and `s ~ N(0, (β₀ Λ)⁻¹)`, with `ν₀` the number of coordinates and
/// two more: the least whole number with which `Λ⁻¹` has a mean, which is `diag(w)`. With fewer, a
/// side of a few rows now and then gets a `Λ` that is singular in 32 bits.
///
/// How large each coordinate is stays open: `w_j ~ Gamma(1/2, 1/(2 u_j))`, so that its deviation has a
/// half-t distribution with 3 degrees of freedom (Huang and Wand 2013, "Simple marginally noninformative
/// prior distributions for covariance matrices"), whose scale is half of the ratings' deviation for a
/// bias, and for factors such that the products of all of them have 0.003 of the ratings' variance,
/// however many they are. With a fixed `w` as large as the ratings, rows of few ratings, which say
/// nothing of their factors, keep factors as large as that, and noise is taken for taste.
///
/// How often something is rated says something about how: with `ζ`, rare rows are drawn to what rare
/// rows are like.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalWishart {
    /// Number of factors `k`.
    pub factors: usize,
    /// Whether the last coordinate is a bias; else it is held at 0.
    pub bias: bool,
    /// Standard deviation of the ratings: `w` scales with it for factors and with its square for the
    /// bias, so that a prior means the same in any unit.
    pub spread: f64,
    /// (rows): `Σ ζ` and `Σ ζ²`.
    pub popularity: [f64; 2],
}

/// `β₀`.
const PRIOR_ROWS: f64 = 1.0;

/// The scale of a bias' deviation, in deviations of the ratings.
const BIAS_SCALE: f64 = 0.5;

/// The fourth power of the scale of a factor's deviation, in squares of the ratings' deviation, times the
/// number of factors: that of the variance of all products together, in the ratings' variance.
const PRODUCT_SCALE: f64 = 0.003;

/// `ν₀` beyond the number of coordinates.
const PRIOR_DEGREES: usize = 2;

impl NormalWishart {
    /// Coordinates that are drawn.
    fn width(&self) -> usize {
        self.factors + usize::from(self.bias)
    }

    /// Where nothing was drawn yet: no mean, and the precision that the prior expects of the `w` that are
    /// expected.
    pub fn expected(&self) -> RowPrior {
        let (width, wide) = (self.width(), self.factors + 1);
        let degrees = (width + PRIOR_DEGREES) as f64;
        let mut precision = vec![0.0; wide * wide];
        for i in 0..wide {
            precision[i * wide + i] = if i < width { degrees / self.unit(i) } else { 1.0 };
        }
        RowPrior { mean: vec![0.0; wide], slope: vec![0.0; wide], precision }
    }

    /// Draws `w` given the `Λ` of `before`, empty where there was none, then `m`, `s` and `Λ` given the rows' moments.
    ///
    /// # Errors
    /// If the moments are not finite.
    pub fn draw(
        &self,
        before: &RowPrior,
        moments: &Moments,
        random: &mut impl Rng,
    ) -> Result<RowPrior> {
        let scales = match before.mean.is_empty() {
            true => self.draw_scales(&self.expected(), random)?,
            false => self.draw_scales(before, random)?,
        };
        self.draw_given(&scales, moments, random)
    }

    /// Draws `w` given `Λ`, `w_j ~ Gamma((ν₀ + 1)/2, (1/u_j + Λ_jj)/2)`: (width).
    fn draw_scales(&self, prior: &RowPrior, random: &mut impl Rng) -> Result<Vec<f64>> {
        let (width, wide) = (self.width(), self.factors + 1);
        let shape = (width + PRIOR_DEGREES + 1) as f64 / 2.0;
        let of = |j: usize| {
            let rate = (self.unit(j).recip() + prior.precision[j * wide + j]) / 2.0;
            let gamma = Gamma::new(shape, rate.recip());
            let gamma = gamma.map_err(|e| Error::data(format!("scales of the prior: {e}")))?;
            Ok(gamma.sample(random).max(f64::MIN_POSITIVE))
        };
        (0..width).map(of).collect()
    }

    /// `u_j`: three times the square of the scale of a coordinate's deviation.
    fn unit(&self, j: usize) -> f64 {
        match j == self.factors {
            true => 3.0 * (BIAS_SCALE * self.spread).powi(2),
            false => 3.0 * self.spread * (PRODUCT_SCALE / self.factors as f64).sqrt(),
        }
    }

    /// Draws `m`, `s` and `Λ` given `w` and the rows' moments.
    fn draw_given(
        &self,
        scales: &[f64],
        moments: &Moments,
        random: &mut impl Rng,
    ) -> Result<RowPrior> {
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
            inverse[i * width + i] += scales[i];
        }
        if !cholesky(&mut inverse, width) {
            return Err(Error::data("the rows' moments have no Cholesky factor"));
        }
        let degrees = (width + PRIOR_DEGREES + moments.rows) as f64;
        let (precision, normals) = wishart(&inverse, width, degrees, random)?;
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

/// What the noise of a chain is: user `u`'s ratings have the precision `τ a_u`.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// `τ`.
    pub precision: f64,
    /// (users + 1): `a`; the last is drawn for a user that the model does not know.
    pub weights: Vec<f32>,
    /// `α`: `a_u ~ Gamma(α, α)`, of mean 1; large where users are alike.
    pub shape: f64,
}

impl Noise {
    /// Equal noise as large as the ratings' own deviation.
    pub fn new(users: usize, spread: f64) -> Self {
        Self { precision: spread.powi(-2), weights: vec![1.0; users + 1], shape: 10.0 }
    }
}

/// The prior of the noise: `τ ~ Gamma(1, spread²)` (shape and rate), one or two ratings' worth of
/// knowledge, `a_u ~ Gamma(α, α)` and `ln α ~ N(ln 10, 1)`. Given the weights this is regression with
/// Student's errors as a mixture of Gaussians (Geweke 1993), a user's ratings sharing one weight `a`.
///
/// A rating of weight `w` of its own counts as `w` ratings alike: its likelihood is `N(v; r̂, 1/(τ a))^w`
/// (Holmes and Walker 2017, "Assigning a value to a power likelihood in a general Bayesian model"). So rows see it
/// with the precision `τ a w`, and the Gamma distributions of `τ` and `a` count `Σ w` where they count ratings. One
/// of variance `1/(τ a w)`, which would count whole, would say something else: that ratings that weigh
/// little lie far off. They do not, so that `τ` would be drawn far too large.
#[derive(Clone, Debug, PartialEq)]
pub struct NoisePrior {
    /// Standard deviation of the ratings.
    pub spread: f64,
    /// (users): what each one's ratings weigh together, their number where all weigh 1.
    pub counts: Vec<f64>,
}

impl NoisePrior {
    /// Draws the weights, `α` and `τ` in turn, then the scale that weights and `τ` share, given each
    /// user's squared error.
    ///
    /// # Errors
    /// If a squared error is not finite.
    pub fn draw(&self, noise: &mut Noise, errors: &[f64], stream: Stream) -> Result<()> {
        let mut random = stream.sequence(u32::MAX);
        self.draw_in_turn(noise, errors, stream, &mut random)?;
        let Noise { precision, weights, shape } = noise;
        let users = errors.len();
        let sum: f64 = weights[..users].iter().map(|&a| f64::from(a)).sum();
        let rate = self.spread * self.spread * *precision;
        let scale = draw_scale(rate, *shape, users, sum, &mut random);
        *precision *= scale;
        for weight in &mut weights[..users] {
            *weight = (f64::from(*weight) / scale).max(f32::MIN_POSITIVE.into()) as f32;
        }
        Ok(())
    }

    /// All but the scale that `τ` and the weights share.
    fn draw_in_turn(
        &self,
        noise: &mut Noise,
        errors: &[f64],
        stream: Stream,
        random: &mut impl Rng,
    ) -> Result<()> {
        let Noise { precision, weights, shape } = noise;
        let users = errors.len();
        draw_weights(&mut weights[..users], (*shape, *precision), &self.counts, errors, stream)?;
        let known = || weights[..users].iter().map(|&a| f64::from(a));
        *shape = draw_shape(*shape, users, known().map(|a| a.ln() - a).sum(), random);
        let error: f64 = known().zip(errors).map(|(a, error)| a * error).sum();
        let ratings: f64 = self.counts.iter().sum();
        let (degrees, rate) = (1.0 + ratings / 2.0, self.spread * self.spread + error / 2.0);
        let tau = Gamma::new(degrees, rate.recip()).map_err(|_| no_noise("noise"))?;
        *precision = tau.sample(random);
        weights[users] = draw_weight((*shape, *precision), 0.0, 0.0, stream, users)?;
        Ok(())
    }
}

/// Draws the `c` by which `τ` grows and all `n` weights `a` shrink, of the sum `sum`. Neither `τ a` nor
/// the likelihood changes, so that steps of `τ` and of `a` in turn would take hundreds of sweeps for
/// that; a move along the orbit of a group, drawn by its Haar measure `dc/c`, leaves the posterior as it
/// is (Liu and Sabatti 2000, "Generalised Gibbs sampler and multigrid Monte Carlo for Bayesian
/// computation"). `rate`: that of `τ`'s prior, times `τ`.
fn draw_scale(rate: f64, alpha: f64, n: usize, sum: f64, random: &mut impl Rng) -> f64 {
    let n = n as f64;
    let density = |x: f64| (1.0 - n * alpha) * x - rate * x.exp() - alpha * sum * (-x).exp();
    let width = 2.0 * (1.0 / (n * alpha).max(1.0)).sqrt();
    slice(0.0, width, density, random).exp()
}

fn no_noise(what: &str) -> Error {
    Error::data(format!("the {what} has no finite parameters"))
}

/// Draws users' noise weights given their rows, `a ~ Gamma(α + n/2, α + τ e/2)`, from `(α, τ)` and
/// each user's number of ratings, or what they weigh together, and squared error.
///
/// # Errors
/// If a squared error is not finite.
pub(crate) fn draw_weights(
    weights: &mut [f32],
    noise: (f64, f64),
    counts: &[f64],
    errors: &[f64],
    stream: Stream,
) -> Result<()> {
    let drawn: Vec<f32> = errors
        .par_iter()
        .zip(counts)
        .enumerate()
        .map(|(user, (&error, &n))| draw_weight(noise, n, error, stream, user))
        .collect::<Result<_>>()?;
    weights.copy_from_slice(&drawn);
    Ok(())
}

/// As f32, which is what the device gets and what counts from then on.
fn draw_weight(
    (shape, precision): (f64, f64),
    n: f64,
    error: f64,
    stream: Stream,
    user: usize,
) -> Result<f32> {
    let (shape, rate) = (shape + n / 2.0, shape + precision * error / 2.0);
    let gamma = Gamma::new(shape, rate.recip()).map_err(|_| no_noise("noise of a user"))?;
    let weight: f64 = gamma.sample(&mut stream.sequence(user as u32));
    Ok((weight as f32).max(f32::MIN_POSITIVE))
}

/// Draws `α` given `Σ (ln a − a)` over `n` weights, by a slice of `ln α`.
fn draw_shape(alpha: f64, n: usize, sum: f64, random: &mut impl Rng) -> f64 {
    let n = n as f64;
    let density = |x: f64| {
        let alpha = x.exp();
        // Above this the weights are 1 to the eye; the Gamma function would lose its digits.
        if x > MOST_ALIKE {
            return f64::NEG_INFINITY;
        }
        let prior = -0.5 * (x - 10.0_f64.ln()).powi(2);
        n * (alpha * x - ln_gamma(alpha)) + alpha * sum + prior
    };
    let width = (2.0 / n.max(1.0)).sqrt().min(1.0) * 2.0;
    slice(alpha.ln(), width, density, random).exp()
}

/// A step from `x` that leaves a distribution of this log density as it is: a uniform draw from its
/// slice, found by stepping out and shrinkage (Neal 2003, "Slice sampling").
fn slice(x: f64, width: f64, density: impl Fn(f64) -> f64, random: &mut impl Rng) -> f64 {
    let mut next = || -> f64 { OpenClosed01.sample(random) };
    let level = density(x) + next().ln();
    let mut low = x - width * next();
    let mut high = low + width;
    while density(low) > level {
        low -= width;
    }
    while density(high) > level {
        high += width;
    }
    loop {
        let to = low + (high - low) * next();
        if density(to) >= level {
            return to;
        }
        if to < x {
            low = to;
        } else {
            high = to;
        }
    }
}

/// `ln α` at most.
const MOST_ALIKE: f64 = 11.5;

/// `ln Γ(x)` for `x > 0`: Stirling's series after shifting `x` above 10, to 1e-13 or better.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let (r, r2) = (1.0 / x, 1.0 / (x * x));
    let series = r / 12.0 - r * r2 / 360.0 + r * r2 * r2 / 1260.0 - r * r2 * r2 * r2 / 1680.0;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

#[cfg(test)]
mod tests;
