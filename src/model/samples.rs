//! Kept samples of the posterior: what a Bayesian model predicts from.

use crate::core::{Factors, Ids, Popularity, RowPrior, SamplePrecision, Side, escaped};
use crate::{Error, Result};
use half::f16;
use rayon::prelude::*;

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
                 `sample_precision` f32",
                of.0.name(),
                escaped(of.1.name((at / k) as u32)),
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
    /// (rows), of users and of items: the mean of what is predicted of a row's training ratings, above the
    /// global mean. It says what a row's partners are like, which those to come will be too: who rates good
    /// items goes on to. (The mean of the ratings themselves has their noise, which one or two of them are full
    /// of.) Empty in models before 0.2.
    pub row_means: [Vec<f32>; 2],
    /// The values of the levels, ascending, where ratings are levels; else empty.
    pub levels: Vec<f32>,
    /// How factors are stored in the file.
    pub precision: SamplePrecision,
}

impl Samples {
    /// All but the samples.
    pub fn header(&self) -> Samples {
        Samples {
            samples: Vec::new(),
            popularity: self.popularity,
            row_means: self.row_means.clone(),
            levels: self.levels.clone(),
            precision: self.precision,
        }
    }

    /// What is wrong with these samples of the model with posterior means `means`.
    pub(crate) fn check(&self, means: &Factors) -> Result<(), String> {
        if self.samples.is_empty() {
            return Err("there are no samples".into());
        }
        let (k, rows) = (means.factors, [means.users(), means.items()]);
        for popularity in &self.popularity {
            let Popularity { center, scale, unknown, unknown_variance, most } = popularity;
            if !(center.is_finite() && scale.is_finite() && *scale > 0.0) {
                return Err("\"popularity\" is not finite, or its scale not above 0".into());
            }
            let variance = unknown_variance.is_finite() && *unknown_variance >= 0.0;
            if !unknown.is_finite() || !variance || most.is_nan() {
                return Err(
                    "\"popularity_of_unknown\" is not finite, or its variance below 0".into()
                );
            }
        }
        for side in BOTH {
            let of_rows = &self.row_means[side];
            if !of_rows.is_empty() && of_rows.len() != rows[side]
                || !of_rows.iter().all(|x| x.is_finite())
            {
                return Err(format!("\"{}\" are not one finite number a row", MEANS[side]));
            }
        }
        if self.levels.len() == 1 || !rises(self.levels.iter().map(|&x| f64::from(x))) {
            return Err("\"levels\" are not two or more in rising order".into());
        }
        for (at, sample) in self.samples.iter().enumerate() {
            let of = format!("of sample {at}");
            let shapes = [
                sample.factors.factors == k,
                sample.factors.global_mean == means.global_mean,
                sample.noise_weights.len() == rows[0] + 1,
                sample.thresholds.len() == self.levels.len().saturating_sub(1),
            ];
            let sides = BOTH.map(|side| {
                let (prior, wide) = (&sample.priors[side], k + 1);
                sample.factors_of(side).len() == rows[side] * k
                    && sample.bias_of(side).len() == rows[side]
                    && [prior.mean.len(), prior.slope.len()] == [wide; 2]
                    && prior.precision.len() == wide * wide
            });
            if !shapes.into_iter().chain(sides).all(|agrees| agrees) {
                return Err(format!("the shape {of} is not that of the model"));
            }
            for (name, x) in
                [("noise_precision", sample.noise_precision), ("noise_shape", sample.noise_shape)]
            {
                // Ratings in 32 bits have precisions of 1e-77 to 1e90: beyond, variances overflow.
                if !(1e-100..=1e100).contains(&x) {
                    return Err(format!("\"{name}\" {of} is not within 1e-100 and 1e100"));
                }
            }
            if !sample.noise_weights.iter().all(|&a| a.is_finite() && a > 0.0) {
                return Err(format!("\"noise_weights\" {of} are not all finite and above 0"));
            }
            for side in BOTH {
                let [factors, bias, mean, slope, precision] = SIDES[side];
                let prior = &sample.priors[side];
                let singles = |x: &[f32]| x.iter().all(|x| x.is_finite());
                let doubles = |x: &[f64]| x.iter().all(|x| x.is_finite());
                let finite = [
                    (factors, singles(sample.factors_of(side))),
                    (bias, singles(sample.bias_of(side))),
                    (mean, doubles(&prior.mean)),
                    (slope, doubles(&prior.slope)),
                    (precision, doubles(&prior.precision)),
                ];
                if let Some((name, _)) = finite.iter().find(|(_, finite)| !finite) {
                    return Err(format!("\"{name}\" {of} is not finite"));
                }
                let mut triangle = prior.precision.clone();
                if !crate::math::dense::cholesky(&mut triangle, k + 1) {
                    return Err(format!("\"{precision}\" {of} is not positive definite"));
                }
            }
            if !rises(sample.thresholds.iter().copied()) {
                return Err(format!("\"thresholds\" {of} are not in rising order"));
            }
        }
        Ok(())
    }

    /// Hands what is predicted of each pair, above the global mean, to `each`, with the pair's number: the mean
    /// of a few of the samples, which says as much as that of all.
    pub(crate) fn each_above_mean(
        &self,
        (users, items): (&[u32], &[u32]),
        mut each: impl FnMut(usize, f64),
    ) {
        const FEW: usize = 8;
        const TOGETHER: usize = 1 << 18;
        let step = self.samples.len().div_ceil(FEW).max(1);
        let some: Vec<&Factors> =
            self.samples.iter().step_by(step).map(|sample| &sample.factors).collect();
        let above = |(&user, &item): (&u32, &u32)| {
            let of = some.iter().map(|f| f.score(user, item) - f64::from(f.global_mean));
            of.sum::<f64>() / some.len() as f64
        };
        let blocks = users.chunks(TOGETHER).zip(items.chunks(TOGETHER)).enumerate();
        for (block, (users, items)) in blocks {
            let above: Vec<f64> = users.par_iter().zip(items).map(above).collect();
            let numbered = above.into_iter().enumerate();
            numbered.for_each(|(at, above)| each(block * TOGETHER + at, above));
        }
    }

    /// Gives the rows `at` of a side, which then has `count` rows, these means, in the order of `at`.
    pub(crate) fn put_means(&mut self, side: Side, at: &[u32], count: usize, of: RowMeans) {
        let means = &mut self.row_means[side.index()];
        if means.is_empty() {
            return;
        }
        means.resize(count, 0.0);
        for (&row, mean) in at.iter().zip(of.finish()) {
            means[row as usize] = mean;
        }
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

/// Means of each row's numbers in the making.
pub(crate) struct RowMeans(Vec<(f64, f64)>);

impl RowMeans {
    /// Of so many rows without numbers.
    pub(crate) fn new(rows: usize) -> Self {
        RowMeans(vec![(0.0, 0.0); rows])
    }

    /// Adds a number of a row.
    pub(crate) fn add(&mut self, row: u32, number: f64) {
        let (sum, count) = &mut self.0[row as usize];
        *sum += number;
        *count += 1.0;
    }

    /// (rows): the means; 0 where there is no number.
    pub(crate) fn finish(self) -> Vec<f32> {
        self.0.iter().map(|(sum, count)| (sum / f64::max(*count, 1.0)) as f32).collect()
    }
}

/// The tensors of rows' means.
pub(super) const MEANS: [&str; 2] = ["user_means", "item_means"];

/// The tensors of a side: factors, bias, and the prior's mean, slope and precision.
pub(super) const SIDES: [[&str; 5]; 2] = [
    ["user_factors", "user_bias", "user_prior_mean", "user_prior_slope", "user_prior_precision"],
    ["item_factors", "item_bias", "item_prior_mean", "item_prior_slope", "item_prior_precision"],
];

/// Users and items.
pub(super) const BOTH: [usize; 2] = [0, 1];

impl Sample {
    pub(super) fn factors_of(&self, side: usize) -> &[f32] {
        [&self.factors[Side::User].factors, &self.factors[Side::Item].factors][side]
    }

    pub(super) fn bias_of(&self, side: usize) -> &[f32] {
        [&self.factors[Side::User].bias, &self.factors[Side::Item].bias][side]
    }
}

/// Whether each number is finite and above the one before.
fn rises(mut numbers: impl Iterator<Item = f64>) -> bool {
    let mut last = f64::NEG_INFINITY;
    numbers.all(|x| x.is_finite() && std::mem::replace(&mut last, x) < x)
}
