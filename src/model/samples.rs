//! Kept samples of the posterior: what a Bayesian model predicts from.

use super::Factors;
use crate::data::{Ids, Side};
use crate::train::SamplePrecision;
use crate::{Error, Result};
use half::f16;

/// A side's prior in one sample: its rows `[p, b] ~ N(m + ζ s, Λ⁻¹)`, where `ζ` is a row's popularity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowPrior {
    /// (k + 1): `m`, the bias' last; 0 for a bias that is not learned.
    pub mean: Vec<f64>,
    /// (k + 1): `s`, by how much the mean rises with the row's [`Popularity`].
    pub slope: Vec<f64>,
    /// (k + 1, k + 1), row-major: `Λ`; for a bias that is not learned a row and column of the
    /// identity.
    pub precision: Vec<f64>,
}

impl RowPrior {
    /// The prior mean of a row of this popularity: (k + 1).
    pub fn mean_of(&self, popularity: f64) -> Vec<f64> {
        self.mean.iter().zip(&self.slope).map(|(m, s)| m + popularity * s).collect()
    }

    /// Whether the last coordinate is drawn, not held at 0.
    pub fn has_bias(&self) -> bool {
        let k = self.mean.len() - 1;
        let last = &self.precision[k * (k + 1)..];
        let apart = last[..k].iter().all(|&x| x == 0.0) && last[k] == 1.0;
        self.mean[k] != 0.0 || self.slope[k] != 0.0 || !apart
    }
}

/// How a side's row popularity comes from its number of ratings `n`:
/// `ζ = (ln(1 + n) − center) / scale`, standardized over the training rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Popularity {
    /// Mean of `ln(1 + n)`.
    pub center: f64,
    /// Its standard deviation; 1 where all rows have as many ratings.
    pub scale: f64,
}

impl Popularity {
    /// Of a side whose rows have these numbers of ratings.
    pub fn new(counts: &[u32]) -> Self {
        let n = counts.len().max(1) as f64;
        let logs = || counts.iter().map(|&count| f64::from(count).ln_1p());
        let center = logs().sum::<f64>() / n;
        let variance = logs().map(|x| (x - center).powi(2)).sum::<f64>() / n;
        let scale = if variance > 1e-12 { variance.sqrt() } else { 1.0 };
        Self { center, scale }
    }

    /// `ζ` of a row of `count` ratings; 0 ratings for one that the model does not know.
    pub fn of(&self, count: u32) -> f64 {
        (f64::from(count).ln_1p() - self.center) / self.scale
    }

    /// (rows + 1): `ζ` of rows with these numbers of ratings, and last that of unknown ids.
    pub fn of_rows(&self, counts: &[u32]) -> Vec<f32> {
        counts.iter().chain([&0]).map(|&count| self.of(count) as f32).collect()
    }
}

impl Default for Popularity {
    fn default() -> Self {
        Self { center: 0.0, scale: 1.0 }
    }
}

/// A draw of all parameters from the posterior.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Factors, biases and mean.
    pub factors: Factors,
    /// `τ`, the precision of the noise; 1 for latent values.
    pub noise_precision: f64,
    /// `α`: `a_u ~ Gamma(α, α)`. Of no meaning for latent values.
    pub noise_shape: f64,
    /// (users + 1): `a`, each user's noise precision over `τ`; the last is drawn for a user that the
    /// model does not know. All 1 for latent values.
    pub noise_weights: Vec<f32>,
    /// The prior of the users' rows and that of the items'.
    pub priors: [RowPrior; 2],
    /// Where each level of an ordinal rating ends, but for the last; empty where ratings are no
    /// levels, `[0]` for two levels.
    pub thresholds: Vec<f64>,
}

impl Sample {
    /// The prior of a side's rows.
    pub fn prior(&self, side: Side) -> &RowPrior {
        &self.priors[side.index()]
    }

    /// Makes sure that the factors can be stored in `precision`. `names` are of users and items, for
    /// the error.
    ///
    /// # Errors
    /// A factor beyond what 16 bits hold.
    pub fn check_precision(&self, precision: SamplePrecision, names: (&Ids, &Ids)) -> Result<()> {
        let f = &self.factors;
        precision.check(&f.user_factors, f.factors, (Side::User, names.0))?;
        precision.check(&f.item_factors, f.factors, (Side::Item, names.1))
    }

    /// Rounds the factors to what `precision` stores, so that a sample is the same before it is
    /// written and after.
    pub fn round(&mut self, precision: SamplePrecision) {
        precision.round(&mut self.factors.user_factors);
        precision.round(&mut self.factors.item_factors);
    }
}

impl SamplePrecision {
    /// Makes sure that the factors of a side's rows, (rows, `k`), can be stored. `of` is the side, with
    /// the rows' names.
    pub(crate) fn check(self, factors: &[f32], k: usize, of: (Side, &Ids)) -> Result<()> {
        if self == SamplePrecision::F32 {
            return Ok(());
        }
        let large = |x: &f32| x.is_finite() && !f16::from_f32(*x).is_finite();
        match factors.iter().position(large) {
            None => Ok(()),
            Some(at) => Err(Error::data(format!(
                "a sample of the factors of {} \"{}\" is {:e}, beyond 16 bits; give \
                 --sample-precision f32",
                of.0.name(),
                of.1.name((at / k) as u32),
                factors[at]
            ))),
        }
    }

    /// Rounds factors to what is stored.
    pub(crate) fn round(self, factors: &mut [f32]) {
        if self == SamplePrecision::F16 {
            factors.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
        }
    }
}

/// Rows of a side as they are drawn for one sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawnRows {
    /// (rows, k), row-major.
    pub factors: Vec<f32>,
    /// (rows); zeros without biases.
    pub bias: Vec<f32>,
    /// (rows): the noise weights of users; all 1 for latent values, empty for items.
    pub noise_weights: Vec<f32>,
}

/// Samples of the posterior, thinned evenly; of several chains each in its turn at every sweep that
/// is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// The samples, all of one shape.
    pub samples: Vec<Sample>,
    /// The popularity of users and of items.
    pub popularity: [Popularity; 2],
    /// The values of the levels, ascending, where ratings are levels; else empty.
    pub levels: Vec<f32>,
    /// How factors are stored in the file.
    pub precision: SamplePrecision,
}

impl Samples {
    /// All but the samples.
    pub fn header(&self) -> Samples {
        Samples { samples: Vec::new(), levels: self.levels.clone(), ..*self }
    }

    /// Makes `draws`, one a sample, the rows `at` of a side, which then has `count` rows.
    pub(crate) fn put_rows(&mut self, side: Side, at: &[u32], count: usize, draws: &[DrawnRows]) {
        for (sample, drawn) in self.samples.iter_mut().zip(draws) {
            let before = sample.factors.users();
            sample.factors.put_rows(side, at, count, &drawn.factors, &drawn.bias);
            if side == Side::Item {
                continue;
            }
            // The weight of a user that the model does not know stays last.
            let weights = &mut sample.noise_weights;
            let unknown = weights.split_off(before);
            weights.resize(count, 1.0);
            for (&row, &weight) in at.iter().zip(&drawn.noise_weights) {
                weights[row as usize] = weight;
            }
            weights.extend(unknown);
        }
    }
}
