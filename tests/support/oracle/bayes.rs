//! The joint distribution that the Gibbs sampler is for, drawn by its definition in f64:
//! hyperparameters from their priors, rows given them, ratings given the rows.

use super::gibbs::{backward, cholesky};
use rand::Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};
use wgmf::core::RowPrior;

/// Which pairs are rated, and what is held fixed of a model.
#[derive(Clone, Debug)]
pub struct Design {
    pub factors: usize,
    pub bias: bool,
    pub mean: f64,
    /// The standard deviation that the priors scale with.
    pub spread: f64,
    /// (ratings).
    pub pairs: Vec<(usize, usize)>,
    /// (ratings): what each one counts.
    pub counting: Vec<f64>,
    /// Of users and of items, without that of unknown ids.
    pub popularity: [Vec<f64>; 2],
}

/// Everything there is, but for the ratings.
#[derive(Clone, Debug)]
pub struct World {
    /// Of users and items: `m`, `s`, `Λ`.
    pub priors: [RowPrior; 2],
    /// Of users and items: each row's `[p, b]`.
    pub rows: [Vec<Vec<f64>>; 2],
    pub precision: f64,
    /// (users + 1).
    pub weights: Vec<f64>,
    /// `α`.
    pub shape: f64,
}

pub fn normal(random: &mut impl Rng) -> f64 {
    StandardNormal.sample(random)
}

/// Shape and rate.
pub fn gamma(shape: f64, rate: f64, random: &mut impl Rng) -> f64 {
    Gamma::new(shape, 1.0 / rate).unwrap().sample(random)
}

/// `x ~ N(mean, precision⁻¹)`.
pub fn gaussian(mean: &[f64], precision: &[Vec<f64>], random: &mut impl Rng) -> Vec<f64> {
    let z: Vec<f64> = mean.iter().map(|_| normal(random)).collect();
    let deviations = backward(&cholesky(precision), &z);
    mean.iter().zip(deviations).map(|(m, x)| m + x).collect()
}

/// `Λ` with its unit rows and columns left out.
pub fn drawn_part(prior: &RowPrior, width: usize) -> Vec<Vec<f64>> {
    let wide = prior.mean.len();
    (0..width).map(|i| prior.precision[i * wide..][..width].to_vec()).collect()
}

impl Design {
    /// Number of coordinates of a row that are drawn.
    pub fn width(&self) -> usize {
        self.factors + usize::from(self.bias)
    }

    /// The scale of a coordinate's deviation.
    pub fn scale(&self, j: usize) -> f64 {
        match j == self.factors {
            true => 0.5 * self.spread,
            false => self.spread.sqrt() * (0.003 / self.factors as f64).powf(0.25),
        }
    }

    /// `w_j = u_j z²`, so that deviations have half-t distributions with 3 degrees of freedom, of the
    /// scale `(0.003/k)^(1/4)` in roots of the ratings' deviation for factors, half of it for the bias;
    /// `Λ` as the sum of the products of `ν₀` vectors from `N(0, diag(w)⁻¹)`, two more than it has
    /// coordinates, which defines Wishart's distribution; `m` and `s ~ N(0, Λ⁻¹)`.
    pub fn row_prior(&self, random: &mut impl Rng) -> RowPrior {
        let (width, wide) = (self.width(), self.factors + 1);
        let mut lambda = vec![vec![0.0; width]; width];
        let scales: Vec<f64> =
            (0..width).map(|j| 3.0_f64.sqrt() * self.scale(j) * normal(random).abs()).collect();
        for _ in 0..width + 2 {
            let x: Vec<f64> = scales.iter().map(|scale| normal(random) / scale).collect();
            for i in 0..width {
                for j in 0..width {
                    lambda[i][j] += x[i] * x[j];
                }
            }
        }
        let zeros = vec![0.0; width];
        let mut mean = gaussian(&zeros, &lambda, random);
        let mut slope = gaussian(&zeros, &lambda, random);
        let mut precision = vec![0.0; wide * wide];
        for i in 0..wide {
            precision[i * wide + i] = 1.0;
        }
        for i in 0..width {
            precision[i * wide..][..width].copy_from_slice(&lambda[i]);
        }
        mean.resize(wide, 0.0);
        slope.resize(wide, 0.0);
        RowPrior { mean, slope, precision }
    }

    /// Rows of these popularities.
    pub fn rows(&self, prior: &RowPrior, side: usize, random: &mut impl Rng) -> Vec<Vec<f64>> {
        let lambda = drawn_part(prior, self.width());
        let row = |&zeta: &f64| {
            let mean = prior.mean_of(zeta);
            let mut z = gaussian(&mean[..self.width()], &lambda, random);
            z.resize(self.factors + 1, 0.0);
            z
        };
        self.popularity[side].iter().map(row).collect()
    }

    /// `α`, `a` (one more than there are users) and `τ`.
    pub fn noise(&self, random: &mut impl Rng) -> (f64, Vec<f64>, f64) {
        let shape = (10.0_f64.ln() + normal(random)).exp();
        let weights = (0..=self.popularity[0].len()).map(|_| gamma(shape, shape, random)).collect();
        (shape, weights, gamma(1.0, self.spread * self.spread, random))
    }

    /// Everything from its prior.
    pub fn world(&self, random: &mut impl Rng) -> World {
        let priors = [self.row_prior(random), self.row_prior(random)];
        let rows = [self.rows(&priors[0], 0, random), self.rows(&priors[1], 1, random)];
        let (shape, weights, precision) = self.noise(random);
        World { priors, rows, precision, weights, shape }
    }

    /// `r̂` of a pair.
    pub fn prediction(&self, world: &World, user: usize, item: usize) -> f64 {
        let ([users, items], k) = (&world.rows, self.factors);
        let product: f64 = (0..k).map(|j| users[user][j] * items[item][j]).sum();
        self.mean + users[user][k] + items[item][k] + product
    }

    /// Ratings of all pairs.
    pub fn ratings(&self, world: &World, random: &mut impl Rng) -> Vec<f64> {
        let rating = |(&(user, item), counting): (&(usize, usize), &f64)| {
            let deviation = (world.precision * world.weights[user] * counting).sqrt().recip();
            self.prediction(world, user, item) + deviation * normal(random)
        };
        self.pairs.iter().zip(&self.counting).map(rating).collect()
    }
}
