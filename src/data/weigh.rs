//! What ratings count.

use super::prepared::DataFacts;
#[cfg(feature = "files")]
use super::times::TimeScale;
#[cfg(feature = "files")]
use crate::core::NO_TIME;
use crate::core::{Ratings, escaped};
use crate::{Error, Result};

impl DataFacts {
    /// What was said of what ratings count, in words.
    pub fn weighed_by(&self) -> String {
        let column =
            self.weights_column.iter().map(|column| format!("`weights` {}", escaped(column)));
        let days = self.half_life.iter().map(|days| format!("`half_life` {days}"));
        let all: Vec<String> = column.chain(days).collect();
        match all.is_empty() {
            true => "neither `weights` nor `half_life`".to_owned(),
            false => all.join(" and "),
        }
    }
}

/// Leaves out ratings that weigh 0, and divides weights by their mean, so that penalties, rates and what pairs
/// weigh in ials keep their meaning; where all weigh alike, they are none.
///
/// `test`, cut off the same ratings, is divided likewise: what they would count in training.
///
/// # Errors
/// Nothing left.
pub(super) fn weigh(
    train: &mut Ratings,
    test: Option<&mut Ratings>,
    facts: &mut DataFacts,
) -> Result<()> {
    if train.weights.is_empty() {
        return Ok(());
    }
    let before = train.len();
    let weighs: Vec<bool> = train.weights.iter().map(|&weight| weight > 0.0).collect();
    train.retain(|row| weighs[row]);
    facts.dropped_by_weight = before - train.len();
    if train.is_empty() {
        return Err(Error::data("every rating weighs 0, so none is left to train on"));
    }
    let sum: f64 = train.weights.iter().map(|&weight| f64::from(weight)).sum();
    let mean = sum / train.len() as f64;
    if train.weights.iter().all(|weight| *weight == train.weights[0]) {
        train.weights = Vec::new();
        test.into_iter().for_each(|test| test.weights = Vec::new());
        return Ok(());
    }
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for weight in &mut train.weights {
        let share = f64::from(*weight) / mean;
        (least, most) = (least.min(share), most.max(share));
        *weight = share as f32;
    }
    facts.weights = Some([least, most]);
    for weight in test.into_iter().flat_map(|test| &mut test.weights) {
        *weight = (f64::from(*weight) / mean) as f32;
    }
    Ok(())
}

/// What ratings of these times count where one counts half as much for each `days` that it is older than the newest;
/// times `weights`, where there are any.
///
/// # Errors
/// Times of no unit that is known.
#[cfg(feature = "files")]
pub(super) fn decayed(
    times: &[i64],
    scale: TimeScale,
    weights: &[f32],
    days: f64,
) -> Result<Vec<f32>> {
    let (first, last) = times
        .iter()
        .fold((i64::MAX, i64::MIN), |(first, last), &time| (first.min(time), last.max(time)));
    let Some(day) = scale.day(first, last) else {
        return Err(Error::data(format!(
            "`half_life` needs to know what a day is, and timestamps from {} to {} are neither dates nor \
             seconds, milliseconds or the like since 1970",
            scale.show(first),
            scale.show(last)
        )));
    };
    let of_time = |&time: &i64| (-(last as f64 - time as f64) / (day * days)).exp2();
    let of_times = times.iter().map(of_time);
    Ok(match weights.is_empty() {
        true => of_times.map(|weight| weight as f32).collect(),
        false => {
            let given = weights.iter().map(|&weight| f64::from(weight));
            of_times.zip(given).map(|(weight, given)| (weight * given) as f32).collect()
        }
    })
}

/// What ratings of these `times` (days, seconds, milliseconds and the like since 1970) count where one counts half as
/// much for each `days` that it is older than the newest; times their `weights`, where there are any.
///
/// # Errors
/// Days that are not finite and above 0; no times, or a rating without; times of no unit that is known; not as many
/// weights.
#[cfg(feature = "files")]
pub fn weights_by_age(times: &[i64], weights: &[f32], days: f64) -> Result<Vec<f32>> {
    check_half_life(days)?;
    if times.is_empty() || times.contains(&NO_TIME) {
        return Err(Error::data("`half_life` needs a timestamp of each rating"));
    }
    if !weights.is_empty() && weights.len() != times.len() {
        return Err(Error::data(format!(
            "{} timestamps and {} weights: each rating needs one of each",
            times.len(),
            weights.len()
        )));
    }
    decayed(times, TimeScale::default(), weights, days)
}

/// # Errors
/// Days that are not finite and above 0.
#[cfg(feature = "files")]
pub(super) fn check_half_life(days: f64) -> Result<()> {
    match days > 0.0 && days.is_finite() {
        true => Ok(()),
        false => Err(Error::settings(format!(
            "`half_life` {days}: must be a finite number of days above 0"
        ))),
    }
}

/// # Errors
/// The place of a weight that is not a finite number of 0 or more.
pub(super) fn check_weights(weights: &[f32]) -> Result<()> {
    match weights.iter().position(|weight| !(0.0..f32::INFINITY).contains(weight)) {
        Some(at) => Err(Error::data(format!(
            "weight {} at {at} is not a finite number of 0 or more",
            weights[at]
        ))),
        None => Ok(()),
    }
}
