//! Rating metrics: how far predictions lie from ratings.

use super::auc::auc;
use super::sum::sum;
use crate::core::{Ids, Ratings, Step, UNKNOWN};
use crate::model::Model;
use crate::predict::Unit;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;

/// Errors of predictions against ratings. `None` is left out when serialized.
///
/// The unit is that of the user's ratings, where the transform `binary` makes them 0 or 1; for
/// logistic loss predictions are probabilities; for an implicit model a pair counts as 1, or as 0 where
/// its (transformed) rating is not above 0. Keys
/// that begin with `model_` are in the unit the model was trained in, and there only where a
/// transform makes that another one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RatingMetrics {
    /// How many ratings were compared, those of unknown users and items included.
    pub ratings: u64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Coefficient of determination: 1 − squared error / squared deviation from the mean of the
    /// compared ratings. Absent where they are all equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// Squared error relative to that of predicting the training mean (for logistic loss the
    /// training frequency) throughout, in the model's unit; below 1 is better than that. Absent
    /// for a model without a mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_squared_error: Option<f64>,
    /// Root of the mean squared error in the model's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_rmse: Option<f64>,
    /// Mean absolute error in the model's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_mae: Option<f64>,
    /// Coefficient of determination in the model's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_r2: Option<f64>,
    /// Mean cross-entropy in nats (logistic loss).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// Area under the ROC curve (logistic loss); absent where all labels are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Ratings whose user, item or both the model does not know.
    pub unknown_ratings: u64,
    /// Ratings of pairs that the model was trained on. [`rating_metrics`] sees no training pairs and leaves it
    /// 0; see [`seen_pairs`](super::seen_pairs).
    pub seen_pairs: u64,
    /// Distinct users the model does not know. [`rating_metrics`] sees no ids and leaves it 0; see
    /// [`unknown_ids`].
    pub unknown_users: u64,
    /// Distinct items the model does not know; likewise.
    pub unknown_items: u64,
}

/// Holds `model` against `ratings`: indices of the model or [`UNKNOWN`], values as the user gave
/// them, not transformed. The result does not depend on the number of threads.
///
/// # Errors
/// As [`Model::check`]; no ratings; a rating that the model's transform cannot take; for logistic loss one that is
/// neither 0 nor 1 after the transform; predictions that overflow.
pub fn rating_metrics(model: &Model, ratings: &Ratings) -> Result<RatingMetrics> {
    model.check()?;
    ratings.check(model.factors.users(), model.factors.items(), true)?;
    score_metrics(model, ratings, &|i| {
        model.clipped(model.score(ratings.users[i], ratings.items[i]))
    })
}

/// As [`rating_metrics`], with the score of each rating, in the unit of training, by its position. The
/// model's factors are not looked at.
///
/// # Errors
/// The same; arrays of different lengths.
pub(crate) fn score_metrics(
    model: &Model,
    ratings: &Ratings,
    score: &(dyn Fn(usize) -> f64 + Sync),
) -> Result<RatingMetrics> {
    ratings.check_lengths()?;
    if ratings.is_empty() {
        return Err(Error::data("there are no ratings to evaluate on"));
    }
    let count = ratings.len();
    let n = count as f64;
    let unit = model.unit();
    let truths = Truth::new(model, ratings)?;
    let (truth, in_model) = (|i: usize| truths.of(i), |i: usize| truths.in_model(i));

    let is_unknown =
        |i: usize| f64::from(u8::from([ratings.users[i], ratings.items[i]].contains(&UNKNOWN)));
    let [own, models, unknown] = sum(count, |i| [truth(i), in_model(i), is_unknown(i)]);
    let (mean, model_mean) = (own / n, models / n);
    let guess = model.in_unit(f64::from(model.factors.global_mean));

    let own = sum(count, |i| {
        let (truth, got) = (truth(i), model.in_unit(score(i)));
        let error = truth - got;
        [error * error, error.abs(), (truth - mean).powi(2), (truth - guess).powi(2)]
    });
    let [squared, absolute, around_mean, around_guess] = own;
    if !squared.is_finite() {
        return Err(Error::data(
            "predictions overflow in the unit of the ratings; train with smaller `learning_rate` \
             or larger `reg`",
        ));
    }
    let mut metrics = RatingMetrics {
        ratings: count as u64,
        rmse: (squared / n).sqrt(),
        mae: absolute / n,
        r2: ratio(squared, around_mean).map(|r| 1.0 - r),
        unknown_ratings: unknown as u64,
        ..Default::default()
    };
    // The mean of z-scores is 0 as it should be; elsewhere 0 is a model that learns none.
    let centred = matches!(model.objective.transform.steps.last(), Some(Step::ZScore { .. }));
    let has_mean = centred || model.factors.global_mean != 0.0;
    if has_mean {
        metrics.relative_squared_error = ratio(squared, around_guess);
    }

    if unit == Unit::Rating && !model.objective.transform.is_identity() {
        let guess = f64::from(model.factors.global_mean);
        let [squared, absolute, around_mean, around_guess] = sum(count, |i| {
            let truth = in_model(i);
            let error = truth - score(i);
            [error * error, error.abs(), (truth - model_mean).powi(2), (truth - guess).powi(2)]
        });
        metrics.model_rmse = Some((squared / n).sqrt());
        metrics.model_mae = Some(absolute / n);
        metrics.model_r2 = ratio(squared, around_mean).map(|r| 1.0 - r);
        metrics.relative_squared_error = if has_mean { ratio(squared, around_guess) } else { None };
    }

    if unit == Unit::Probability {
        let [loss] = sum(count, |i| {
            let score = score(i);
            // −log σ(±score)
            [softplus(if in_model(i) == 1.0 { -score } else { score })]
        });
        metrics.log_loss = Some(loss / n);
        let mut scored: Vec<(f64, bool)> =
            (0..count).into_par_iter().map(|i| (score(i), in_model(i) == 1.0)).collect();
        metrics.auc = auc(&mut scored);
    }
    Ok(metrics)
}

/// What predictions are held against.
pub(super) struct Truth<'a> {
    model: &'a Model,
    values: &'a [f32],
    unit: Unit,
    /// Whether a step cannot be undone.
    loses: bool,
}

impl<'a> Truth<'a> {
    /// # Errors
    /// A rating that the model's transform cannot take; for logistic loss one that is neither 0 nor 1 after
    /// it.
    pub(super) fn new(model: &'a Model, ratings: &'a Ratings) -> Result<Self> {
        check_values(model, ratings)?;
        let steps = &model.objective.transform.steps;
        let loses = steps.iter().any(|step| matches!(step, Step::Binary { .. }));
        Ok(Self { model, values: &ratings.values, unit: model.unit(), loses })
    }

    /// A rating in the unit of training.
    pub(super) fn in_model(&self, i: usize) -> f64 {
        f64::from(self.model.objective.transform.apply(self.values[i]))
    }

    /// The same in the unit of the predictions: the rating, or what can be known of it after a step that
    /// cannot be undone.
    pub(super) fn of(&self, i: usize) -> f64 {
        match self.unit {
            Unit::Rating if self.loses => self.model.objective.transform.invert(self.in_model(i)),
            Unit::Rating => f64::from(self.values[i]),
            Unit::Probability => self.in_model(i),
            Unit::Preference | Unit::Score => f64::from(u8::from(self.in_model(i) > 0.0)),
        }
    }
}

/// The indices of `ids` that are not in `known`, in order.
pub fn unknown_ids(ids: &Ids, known: &Ids) -> Vec<u32> {
    let names = ids.iter().zip(0..);
    names.filter(|(name, _)| known.get(name).is_none()).map(|(_, index)| index).collect()
}

fn check_values(model: &Model, ratings: &Ratings) -> Result<()> {
    if model.unit() == Unit::Score {
        return Err(Error::data(format!(
            "a model of `loss` {} ranks items, and its scores are no ratings that could be off; measure its \
             lists (`ranking`)",
            model.objective.loss.name()
        )));
    }
    if model.unit() == Unit::Preference {
        return Ok(());
    }
    let labels = model.unit() == Unit::Probability;
    let wrong = ratings.values.par_iter().find_first(|&&rating| {
        let value = model.objective.transform.apply(rating);
        !value.is_finite() || labels && value != 0.0 && value != 1.0
    });
    match wrong {
        None => Ok(()),
        Some(rating) if labels => Err(Error::data(format!(
            "rating {rating} is neither 0 nor 1, which a model with `loss` logistic predicts"
        ))),
        Some(rating) => {
            let transform = model.objective.transform.describe();
            let message = format!("rating {rating} cannot go through the transform {transform}");
            Err(Error::data(message))
        }
    }
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// log(1 + eˣ), without overflow.
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
