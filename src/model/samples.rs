//! Kept samples of the posterior: what a Bayesian model predicts from.

use crate::core::{Factors, Ids, Popularity, RowPrior, SamplePrecision, Side};
use crate::{Error, Result};
use half::f16;

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
        precision.check(&f[Side::User].factors, f.factors, (Side::User, names.0))?;
        precision.check(&f[Side::Item].factors, f.factors, (Side::Item, names.1))
    }

    /// Rounds the factors to what `precision` stores, so that a sample is the same before it is
    /// written and after.
    pub fn round(&mut self, precision: SamplePrecision) {
        precision.round(&mut self.factors[Side::User].factors);
        precision.round(&mut self.factors[Side::Item].factors);
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
