//! How honest predictive distributions are: scores that the truth alone minimizes, and coverage.

use super::sum::sum;
use super::{RatingMetrics, auc, score_metrics};
use crate::core::Ratings;
use crate::math::gaussian;
use crate::model::{Model, Samples};
use crate::predict::{Mixture, Predictive, central, log_level_probability};
use crate::{Error, Result};
use serde::Serialize;

/// Predictive distributions against ratings. `None` is left out when serialized.
///
/// The predictions of the rating metrics are the distributions' means, as
/// [`Summary::mean`](crate::predict::Summary::mean) has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PredictiveMetrics {
    /// Errors of the means.
    #[serde(flatten)]
    pub rating: RatingMetrics,
    /// Mean logarithm of the probability density at the rating, in nats and in the unit of the
    /// ratings (a transform counts by its slope); where ratings are levels, of the rating's
    /// probability. More is better.
    pub log_predictive_density: f64,
    /// The same in the model's unit, where a transform makes that another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_log_predictive_density: Option<f64>,
    /// Mean continuous ranked probability score ([`Mixture::crps`]), in the unit of the ratings: a
    /// mean absolute error for distributions. Absent where ratings are levels, and after a transform
    /// that is no straight line (`log1p`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crps: Option<f64>,
    /// The same in the model's unit, where a transform makes that another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_crps: Option<f64>,
    /// Where ratings are levels, the mean ranked probability score (Epstein 1969): the squared errors
    /// of the cumulative probabilities, summed over the levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranked_probability_score: Option<f64>,
    /// Where ratings are levels, the share that has the most probable one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Share of the ratings within their central 50 % interval; where ratings are levels, within the
    /// smallest central set of levels with that probability, which has more than that.
    pub coverage_50: f64,
    /// The same of 80 %.
    pub coverage_80: f64,
    /// The same of 90 %.
    pub coverage_90: f64,
    /// The same of 95 %.
    pub coverage_95: f64,
    /// Mean width of the 90 % interval, from end to end, in the unit of the ratings. Absent where it
    /// overflows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width_90: Option<f64>,
}

/// The probabilities of the intervals whose coverage is measured.
const INTERVALS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// Holds what samples of the posterior say against `ratings`: indices of the model or
/// [`UNKNOWN`](crate::core::UNKNOWN), values as the user gave them. The result does not depend on the
/// number of threads.
///
/// # Errors
/// As [`rating_metrics`](super::rating_metrics); where ratings are levels, one that is none.
pub fn predictive_metrics(predictive: &Predictive, ratings: &Ratings) -> Result<PredictiveMetrics> {
    let f = &predictive.model().factors;
    ratings.check(f.users(), f.items(), true)?;
    if let Some(at) = first_without_level(predictive, &ratings.values) {
        return Err(no_level(predictive, &format!("rating {}", ratings.values[at])));
    }
    match predictive.samples().levels.is_empty() {
        true => of_values(predictive, ratings),
        false => of_levels(predictive, ratings),
    }
}

/// The position of the first rating that is none of the levels, where ratings are levels.
pub fn first_without_level(predictive: &Predictive, values: &[f32]) -> Option<usize> {
    let has_levels = !predictive.samples().levels.is_empty();
    values.iter().position(|&value| has_levels && predictive.level_of(value).is_none())
}

/// The error of a rating, named by `rating`, that is none of the levels.
pub fn no_level(predictive: &Predictive, rating: &str) -> Error {
    let levels: Vec<String> = predictive.level_values().iter().map(f64::to_string).collect();
    let levels = levels.join(", ");
    Error::data(format!(
        "{rating} is none of the levels that the model knows ({levels}); leave it out, or train \
         with `likelihood` gaussian"
    ))
}

/// What is kept of each rating.
struct OneRating {
    mean: f64,
    log_density: f64,
    score: f64,
    /// The probability of less.
    below: f64,
    width: f64,
}

fn of_values(predictive: &Predictive, ratings: &Ratings) -> Result<PredictiveMetrics> {
    let transform = &predictive.model().objective.transform;
    let in_model = |i: usize| f64::from(transform.apply(ratings.values[i]));
    let judge = |i: usize, mixture: Mixture| {
        let truth = in_model(i);
        let [low, high] = mixture.interval(0.9).map(|end| transform.invert(end));
        OneRating {
            mean: mixture.mean(),
            log_density: mixture.log_density(truth),
            score: mixture.crps(truth),
            below: mixture.cdf(truth),
            width: high - low,
        }
    };
    let judged = predictive.map(&ratings.users, &ratings.items, false, judge)?;
    let rating = score_metrics(predictive.model(), ratings, &|i| judged[i].mean)?;
    let n = ratings.len() as f64;
    let covered = sum(judged.len(), |i| {
        let within = |p: f64| {
            let beyond = (1.0 - p) / 2.0;
            judged[i].below >= beyond && judged[i].below <= 1.0 - beyond
        };
        INTERVALS.map(|p| f64::from(u8::from(within(p))))
    });
    let [density, slope, score, width] = sum(judged.len(), |i| {
        let OneRating { log_density, score, width, .. } = judged[i];
        [log_density, transform.log_inverse_slope(in_model(i)), score, width]
    });
    let is_other = !transform.is_identity();
    Ok(PredictiveMetrics {
        rating,
        log_predictive_density: (density - slope) / n,
        model_log_predictive_density: is_other.then_some(density / n),
        crps: transform.inverse_slope().map(|slope| slope * score / n),
        model_crps: is_other.then_some(score / n),
        width_90: Some(width / n).filter(|width| width.is_finite()),
        ..covering(covered.map(|covered| covered / n))
    })
}

/// The coverage alone.
fn covering([coverage_50, coverage_80, coverage_90, coverage_95]: [f64; 4]) -> PredictiveMetrics {
    PredictiveMetrics {
        coverage_50,
        coverage_80,
        coverage_90,
        coverage_95,
        ..PredictiveMetrics::default()
    }
}

/// What is kept of each rating that is a level.
struct OneLevel {
    mean: f64,
    log_chance: f64,
    score: f64,
    /// The probability of the highest level.
    highest: f64,
    hit: bool,
    within: [bool; INTERVALS.len()],
    width: f64,
}

fn of_levels(predictive: &Predictive, ratings: &Ratings) -> Result<PredictiveMetrics> {
    let model = predictive.model();
    let values = predictive.level_values();
    let level = |i: usize| predictive.level_of(ratings.values[i]).unwrap_or(0);
    let judge = |i: usize, latent: Mixture| {
        let truth = level(i);
        let chances = predictive.level_chances(latent);
        let mut best = 0;
        let (mut score, mut mean, mut sum) = (0.0, 0.0, 0.0);
        for (level, &p) in chances.iter().enumerate() {
            if p > chances[best] {
                best = level;
            }
            mean += p * values[level];
            sum += p;
            if level + 1 < chances.len() {
                score += (sum - f64::from(u8::from(truth <= level))).powi(2);
            }
        }
        let set = |p: f64| central(&chances, p);
        let [low, high] = set(0.9);
        OneLevel {
            mean,
            log_chance: log_chance(predictive, latent, truth),
            score,
            highest: chances.last().copied().unwrap_or(0.0),
            hit: best == truth,
            within: INTERVALS.map(|p| (set(p)[0]..=set(p)[1]).contains(&truth)),
            width: values[high] - values[low],
        }
    };
    let judged = predictive.map(&ratings.users, &ratings.items, true, judge)?;
    let score = |i: usize| model.objective.transform.before_invert(judged[i].mean);
    let mut rating = score_metrics(model, ratings, &score)?;
    let n = ratings.len() as f64;
    rating.relative_squared_error = relative_error(predictive, ratings, rating.rmse);
    if let [_, _] = values[..] {
        let scored = judged.iter().enumerate().map(|(i, judged)| (judged.highest, level(i) == 1));
        rating.auc = auc(&mut scored.collect::<Vec<_>>());
    }
    let covered = sum(judged.len(), |i| judged[i].within.map(|within| f64::from(u8::from(within))));
    let [density, score, hits, width] = sum(judged.len(), |i| {
        let OneLevel { log_chance, score, hit, width, .. } = judged[i];
        [log_chance, score, f64::from(u8::from(hit)), width]
    });
    Ok(PredictiveMetrics {
        rating,
        log_predictive_density: density / n,
        ranked_probability_score: Some(score / n),
        accuracy: Some(hits / n),
        width_90: Some(width / n),
        ..covering(covered.map(|covered| covered / n))
    })
}

/// The logarithm of a level's probability, finite also where that underflows.
fn log_chance(predictive: &Predictive, latent: Mixture, level: usize) -> f64 {
    let samples = &predictive.samples().samples;
    let logs: Vec<f64> = samples
        .iter()
        .enumerate()
        .map(|(s, sample)| {
            let deviation = latent.deviations[s].hypot(1.0);
            log_level_probability(latent.means[s], deviation, &sample.thresholds, level)
        })
        .collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
    most + (sum / logs.len() as f64).ln()
}

/// How far averages of predictions lie from held-out ratings, as [`rating_metrics`](super::rating_metrics)
/// of single ones. `averages`: transformed, in order of `ratings`, which are in the user's unit.
///
/// # Errors
/// As there; not as many averages as ratings; samples of another model.
pub fn averaged_metrics(
    model: &Model,
    samples: &Samples,
    ratings: &Ratings,
    averages: &[f64],
) -> Result<RatingMetrics> {
    if averages.len() != ratings.len() {
        let (averages, ratings) = (averages.len(), ratings.len());
        return Err(Error::data(format!("{averages} averages of {ratings} ratings")));
    }
    let mut metrics = score_metrics(model, ratings, &|i| averages[i])?;
    if !samples.levels.is_empty() {
        let predictive = Predictive::new(model, samples)?;
        metrics.relative_squared_error = relative_error(&predictive, ratings, metrics.rmse);
    }
    Ok(metrics)
}

/// How far the means over the samples lie from `ratings`, as [`predictive_metrics`] says it.
///
/// # Errors
/// As [`rating_metrics`](super::rating_metrics).
pub fn mean_metrics(predictive: &Predictive, ratings: &Ratings) -> Result<RatingMetrics> {
    let (model, values) = (predictive.model(), predictive.level_values());
    model.check()?;
    ratings.check(model.factors.users(), model.factors.items(), true)?;
    let mean = |_: usize, mixture: Mixture| match values.is_empty() {
        true => mixture.mean(),
        false => {
            let chances = predictive.level_chances(mixture);
            let mean = chances.iter().zip(&values).map(|(p, value)| p * value).sum();
            model.objective.transform.before_invert(mean)
        }
    };
    let means = predictive.map(&ratings.users, &ratings.items, !values.is_empty(), mean)?;
    let mut metrics = score_metrics(model, ratings, &|i| means[i])?;
    if !values.is_empty() {
        metrics.relative_squared_error = relative_error(predictive, ratings, metrics.rmse);
    }
    Ok(metrics)
}

/// The squared error of levels over that of the training mean, where that is known.
fn relative_error(predictive: &Predictive, ratings: &Ratings, rmse: f64) -> Option<f64> {
    let values = predictive.level_values();
    let mean = training_mean(predictive, &values)?;
    let level = |i: usize| predictive.level_of(ratings.values[i]).map_or(f64::NAN, |at| values[at]);
    let [around] = sum(ratings.len(), |i| [(level(i) - mean).powi(2)]);
    (around > 0.0).then(|| rmse.powi(2) * ratings.len() as f64 / around)
}

/// The mean of the training ratings, where it is known of levels.
fn training_mean(predictive: &Predictive, values: &[f64]) -> Option<f64> {
    let model = predictive.model();
    let latent = f64::from(model.factors.global_mean);
    match values[..] {
        // The mean of the latent values of two levels says how often each occurs.
        [low, high] if latent != 0.0 => Some(low + (high - low) * gaussian::cdf(latent)),
        _ if model.objective.transform.scale().is_some() => model.facts.mean,
        _ => None,
    }
}
