//! Transforms of rating values: chosen by name, learned on training ratings, undone for people.

use super::figure::figure;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A transform by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum TransformKind {
    /// Values as they are.
    None,
    /// `ln(1 + x)`, for counts.
    Log1p,
    /// Mean 0 and standard deviation 1 (population formula) on the training part.
    #[cfg_attr(feature = "cli", value(name = "zscore"))]
    ZScore,
    /// The training part's range becomes 0 to 1.
    #[cfg_attr(feature = "cli", value(name = "minmax"))]
    MinMax,
    /// 1 from the threshold on, 0 below.
    Binary,
}

/// A learned step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Step {
    /// `ln(1 + x)`.
    Log1p,
    /// `(x − mean) / std`.
    ZScore {
        /// Mean of the training values.
        mean: f64,
        /// Their standard deviation, population formula.
        std: f64,
    },
    /// `(x − min) / (max − min)`.
    MinMax {
        /// Least training value.
        min: f64,
        /// Largest training value.
        max: f64,
    },
    /// 1 if `x ≥ threshold`, else 0.
    Binary {
        /// The least value that counts as 1.
        threshold: f64,
    },
}

/// Learned steps in the order in which they are applied; none is the identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transform {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Step {
    fn apply(self, x: f64) -> f64 {
        match self {
            Step::Log1p => x.ln_1p(),
            Step::ZScore { mean, std } => (x - mean) / std,
            Step::MinMax { min, max } => (x - min) / (max - min),
            Step::Binary { threshold } => f64::from(u8::from(x >= threshold)),
        }
    }

    fn invert(self, y: f64) -> f64 {
        match self {
            Step::Log1p => y.exp_m1(),
            Step::ZScore { mean, std } => y * std + mean,
            Step::MinMax { min, max } => y * (max - min) + min,
            Step::Binary { .. } => y,
        }
    }
}

impl Transform {
    /// Learns the steps named by `kinds` from training `values`, each from what the steps before
    /// it make of them. `threshold` is that of `binary`.
    ///
    /// # Errors
    /// A threshold that is not finite; a value that `log1p` is not defined for, values that are all equal
    /// where a step divides by their spread; `name` says which rating a position is.
    pub fn learn(
        kinds: &[TransformKind],
        threshold: f32,
        values: &[f32],
        name: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let mut transform = Transform::default();
        for &kind in kinds {
            let step = match kind {
                TransformKind::None => continue,
                TransformKind::Log1p => {
                    transform.check_log(values, &name)?;
                    Step::Log1p
                }
                TransformKind::ZScore => {
                    let count = values.len() as f64;
                    let mean = values.iter().map(|&v| transform.exact(v)).sum::<f64>() / count;
                    let square = |&v: &f32| (transform.exact(v) - mean).powi(2);
                    let std = (values.iter().map(square).sum::<f64>() / count).sqrt();
                    // All equal up to the rounding of the sums is equal.
                    if std.is_nan() || std <= 1e-12 * mean.abs() {
                        return Err(constant("zscore", mean));
                    }
                    Step::ZScore { mean, std }
                }
                TransformKind::MinMax => {
                    let (min, max) = range(values.iter().map(|&v| transform.exact(v)));
                    if min >= max {
                        return Err(constant("minmax", min));
                    }
                    Step::MinMax { min, max }
                }
                TransformKind::Binary if !threshold.is_finite() => {
                    return Err(Error::settings(format!(
                        "`threshold` {threshold}: must be a finite number"
                    )));
                }
                TransformKind::Binary => Step::Binary { threshold: f64::from(threshold) },
            };
            transform.steps.push(step);
        }
        transform.check(values, name)?;
        Ok(transform)
    }

    /// Whether each step can be applied and undone.
    pub(crate) fn check_steps(&self) -> Result<(), String> {
        for step in &self.steps {
            let sound = match *step {
                Step::Log1p => true,
                Step::ZScore { mean, std } => mean.is_finite() && std.is_finite() && std > 0.0,
                Step::MinMax { min, max } => min.is_finite() && max.is_finite() && min < max,
                Step::Binary { threshold } => threshold.is_finite(),
            };
            if !sound {
                return Err(format!(
                    "the transform {} cannot be applied and undone",
                    self.describe()
                ));
            }
        }
        Ok(())
    }

    /// Whether every one of `values` has a finite image.
    ///
    /// # Errors
    /// Names the first rating without one, by `name` of its position.
    pub fn check(&self, values: &[f32], name: impl Fn(usize) -> String) -> Result<()> {
        for at in 0..self.steps.len() {
            if self.steps[at] == Step::Log1p {
                Transform { steps: self.steps[..at].to_vec() }.check_log(values, &name)?;
            }
        }
        match values.iter().position(|&v| !self.apply(v).is_finite()) {
            Some(at) => {
                let message = format!("{} overflows under `transform` {self}", name(at));
                Err(Error::data(message))
            }
            None => Ok(()),
        }
    }

    fn check_log(&self, values: &[f32], name: &impl Fn(usize) -> String) -> Result<()> {
        let bad = |&value: &f32| self.exact(value) <= -1.0;
        match values.iter().position(bad) {
            Some(at) => Err(Error::data(format!(
                "{} has no log1p (that needs more than -1); leave log1p out of `transform` or \
                 remove the rating",
                name(at)
            ))),
            None => Ok(()),
        }
    }

    fn exact(&self, rating: f32) -> f64 {
        self.steps.iter().fold(f64::from(rating), |x, step| step.apply(x))
    }

    /// A rating in the unit that the model learns.
    pub fn apply(&self, rating: f32) -> f32 {
        self.exact(rating) as f32
    }

    /// A model value in the unit of the file; `binary` cannot be undone and stays as it is.
    pub fn invert(&self, value: f64) -> f64 {
        self.steps.iter().rev().fold(value, |y, step| step.invert(y))
    }

    /// The model value that [`invert`](Self::invert) takes to `value`.
    pub(crate) fn before_invert(&self, value: f64) -> f64 {
        self.steps.iter().fold(value, |x, step| match step {
            Step::Binary { .. } => x,
            step => step.apply(x),
        })
    }

    /// The slope of [`invert`](Self::invert) where that is a straight line: without `log1p`.
    pub fn inverse_slope(&self) -> Option<f64> {
        self.steps.iter().try_fold(1.0, |slope, step| match *step {
            Step::Log1p => None,
            Step::ZScore { std, .. } => Some(slope * std),
            Step::MinMax { min, max } => Some(slope * (max - min)),
            Step::Binary { .. } => Some(slope),
        })
    }

    /// The logarithm of the slope of [`invert`](Self::invert) at a model value.
    pub fn log_inverse_slope(&self, value: f64) -> f64 {
        let steps = self.steps.iter().rev();
        let (_, log) = steps.fold((value, 0.0), |(value, log), step| {
            let slope = match *step {
                Step::Log1p => value,
                Step::ZScore { std, .. } => std.ln(),
                Step::MinMax { min, max } => (max - min).ln(),
                Step::Binary { .. } => 0.0,
            };
            (step.invert(value), log + slope)
        });
        log
    }

    /// Whether it does nothing.
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
    }

    /// The factor by which an error in the model's unit becomes one in the file's unit, if there
    /// is one number for that: only affine steps have it.
    pub fn scale(&self) -> Option<f64> {
        self.steps.iter().try_fold(1.0, |scale, step| match *step {
            Step::ZScore { std, .. } => Some(scale * std),
            Step::MinMax { min, max } => Some(scale * (max - min)),
            Step::Log1p | Step::Binary { .. } => None,
        })
    }

    /// One line for people, with what was learned.
    pub fn describe(&self) -> String {
        if self.is_identity() {
            return "none".into();
        }
        let words = self.steps.iter().map(|step| match *step {
            Step::Log1p => "log1p".into(),
            Step::ZScore { mean, std } => {
                format!("zscore (mean {}, std {})", figure(mean, 4), figure(std, 4))
            }
            Step::MinMax { min, max } => format!("minmax ({min} to {max})"),
            Step::Binary { threshold } => format!("binary (from {threshold})"),
        });
        words.collect::<Vec<String>>().join(", ")
    }
}

impl std::fmt::Display for Transform {
    /// The names of the steps as `transform` takes them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.steps.iter().map(|step| match step {
            Step::Log1p => "log1p",
            Step::ZScore { .. } => "zscore",
            Step::MinMax { .. } => "minmax",
            Step::Binary { .. } => "binary",
        });
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)))
}

fn constant(step: &str, value: f64) -> Error {
    Error::data(format!(
        "all training ratings are {value}, which {step} cannot scale; leave it out of `transform`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use TransformKind::{Binary, Log1p, MinMax, ZScore};

    fn learn(kinds: &[TransformKind], values: &[f32]) -> Result<Transform> {
        Transform::learn(kinds, 3.0, values, |at| format!("rating {}", values[at]))
    }

    #[test]
    fn what_is_applied_can_be_undone() {
        let values = [1.0, 2.5, 4.0, 100.0, 0.0];
        let chains: [&[TransformKind]; 5] =
            [&[], &[Log1p], &[ZScore], &[Log1p, ZScore], &[MinMax, Log1p, ZScore]];
        for kinds in chains {
            let transform = learn(kinds, &values).unwrap();
            assert_eq!(transform.is_identity(), kinds.is_empty());
            for value in values {
                let back = transform.invert(f64::from(transform.apply(value)));
                approx::assert_relative_eq!(
                    back,
                    f64::from(value),
                    epsilon = 1e-5,
                    max_relative = 1e-5
                );
            }
            let text = serde_json::to_string(&transform).unwrap();
            assert_eq!(serde_json::from_str::<Transform>(&text).unwrap(), transform);
        }
    }

    #[test]
    fn learned_numbers_are_the_textbook_ones() {
        let transform = learn(&[ZScore], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(transform.steps, [Step::ZScore { mean: 2.5, std: 1.25_f64.sqrt() }]);
        assert_eq!(transform.scale(), Some(1.25_f64.sqrt()));
        let transform = learn(&[MinMax], &[1.0, 5.0, 3.0]).unwrap();
        assert_eq!([1.0, 2.0, 5.0, 9.0].map(|v| transform.apply(v)), [0.0, 0.25, 1.0, 2.0]);
        let transform = learn(&[Binary], &[1.0, 3.0]).unwrap();
        assert_eq!([2.9, 3.0, 4.0].map(|v| transform.apply(v)), [0.0, 1.0, 1.0]);
        assert_eq!((transform.scale(), transform.invert(0.7)), (None, 0.7));
        assert_eq!(transform.inverse_slope(), Some(1.0));
    }

    #[test]
    fn slopes_are_those_of_the_inverse() {
        let values = [1.0, 2.5, 4.0, 100.0, 0.0];
        let chains: [&[TransformKind]; 5] =
            [&[], &[ZScore], &[Log1p, ZScore], &[MinMax, Log1p, ZScore], &[MinMax, Binary]];
        for kinds in chains {
            let transform = learn(kinds, &values).unwrap();
            for y in [-0.5, 0.2, 1.5] {
                let slope = (transform.invert(y + 1e-6) - transform.invert(y - 1e-6)) / 2e-6;
                let got = transform.log_inverse_slope(y).exp();
                approx::assert_relative_eq!(got, slope, max_relative = 1e-7);
                match transform.inverse_slope() {
                    Some(line) => approx::assert_relative_eq!(line, slope, max_relative = 1e-7),
                    None => assert!(kinds.contains(&Log1p)),
                }
            }
        }
    }

    #[test]
    fn what_has_no_image_is_named() {
        let error = |kinds, values| learn(kinds, values).unwrap_err().to_string();
        assert!(error(&[Log1p], &[1.0, -1.0]).starts_with("rating -1 has no log1p"));
        assert!(error(&[ZScore, Log1p], &[-9.0, 1.0, 1.1, 1.2]).starts_with("rating -9 has no"));
        assert!(error(&[ZScore], &[0.1, 0.1, 0.1]).contains("zscore cannot scale"));
        assert!(error(&[MinMax], &[2.0]).contains("all training ratings are 2, which minmax"));
    }
}
