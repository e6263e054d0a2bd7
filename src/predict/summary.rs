//! What is said about a pair, in the unit of the ratings.

use super::levels::level_probabilities;
use super::mixture::Mixture;
use super::predictive::Predictive;
use crate::{Error, Result};

/// What to say about a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ask {
    /// The probability of an interval, in (0, 1).
    pub interval: Option<f64>,
    /// Whether deviation and interval are those of the expected rating alone, the noise left out.
    pub credible: bool,
}

impl Ask {
    /// Whether the interval's probability is one.
    ///
    /// # Errors
    /// A probability outside of (0, 1).
    pub fn check(&self) -> Result<()> {
        match self.interval {
            Some(p) if !(p > 0.0 && p < 1.0) => {
                let message = format!("`interval` {p}: must lie between 0 and 1, as 0.9 does");
                Err(Error::settings(message))
            }
            _ => Ok(()),
        }
    }
}

/// What samples of the posterior say about a pair, in the unit of the ratings.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The mean. After a transform that is no straight line (`log1p`) it is that of the transformed
    /// rating with the transform undone.
    ///
    /// The rating's own mean would be no guide there: users differ in their noise, so that ratings
    /// have tails like Student's, whose exponential has no mean.
    pub mean: f64,
    /// The standard deviation. After a transform that is no straight line, half the width of the
    /// central 68.3 % interval, which is the same of a Gaussian.
    pub deviation: f64,
    /// The central interval that was asked for. Where ratings are levels the smallest central set of
    /// levels that has the probability at least, by its ends.
    pub interval: Option<[f64; 2]>,
    /// (levels): the probability of each level; empty where ratings are no levels.
    pub levels: Vec<f64>,
}

impl Summary {
    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        let interval = self.interval.iter().flatten();
        [self.mean, self.deviation].iter().chain(interval).all(|x| x.is_finite())
    }
}

/// What of a Gaussian lies within a standard deviation: `Φ(1) − Φ(−1)`.
const WITHIN_ONE: f64 = 0.682_689_492_137_085_9;

/// Where the posterior of an expected level is asked for with what is not known of a pair, the
/// latent mean of a sample is spread over as many points of equal probability.
const POINTS: usize = 32;

impl Predictive<'_> {
    /// What the samples say about each pair. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// As [`Predictive::map`]; as [`Ask::check`].
    pub fn summaries(&self, users: &[u32], items: &[u32], ask: &Ask) -> Result<Vec<Summary>> {
        ask.check()?;
        match self.samples().levels.is_empty() {
            true => self.map(users, items, ask.credible, |_, mixture| self.summary(mixture, ask)),
            false => {
                let values = self.level_values();
                let f = |_: usize, mixture: Mixture| self.level_summary(mixture, &values, ask);
                self.map(users, items, true, f)
            }
        }
    }

    fn summary(&self, mixture: Mixture, ask: &Ask) -> Summary {
        let transform = &self.model().objective.transform;
        let interval = |p: f64| mixture.interval(p).map(|end| transform.invert(end));
        let deviation = match transform.inverse_slope() {
            Some(slope) => slope * mixture.deviation(),
            None => {
                let [low, high] = interval(WITHIN_ONE);
                (high - low) / 2.0
            }
        };
        Summary {
            mean: transform.invert(mixture.mean()),
            deviation,
            interval: ask.interval.map(interval),
            levels: Vec::new(),
        }
    }

    /// `latent` is the expected latent value, the noise left out.
    fn level_summary(&self, latent: Mixture, values: &[f64], ask: &Ask) -> Summary {
        let levels = self.level_chances(latent);
        let moment = |f: &dyn Fn(f64) -> f64| {
            levels.iter().zip(values).map(|(p, &value)| p * f(value)).sum::<f64>()
        };
        let mean = moment(&|value| value);
        if ask.credible {
            let expected = self.expected_levels(latent, values);
            let expected = Mixture { means: &expected, deviations: &vec![0.0; expected.len()] };
            let deviation = expected.deviation();
            let interval = ask.interval.map(|p| expected.interval(p));
            return Summary { mean, deviation, interval, levels };
        }
        let interval = ask.interval.map(|p| central(&levels, p).map(|level| values[level]));
        let deviation = moment(&|value| (value - mean) * (value - mean)).sqrt();
        Summary { mean, deviation, interval, levels }
    }

    /// The probability of each level, from the expected latent value: (levels).
    pub(crate) fn level_chances(&self, latent: Mixture) -> Vec<f64> {
        let samples = &self.samples().samples;
        let count = self.samples().levels.len();
        let (mut sums, mut one) = (vec![0.0; count], vec![0.0; count]);
        for (s, sample) in samples.iter().enumerate() {
            let deviation = latent.deviations[s].hypot(1.0);
            level_probabilities(latent.means[s], deviation, &sample.thresholds, &mut one);
            sums.iter_mut().zip(&one).for_each(|(sum, p)| *sum += p);
        }
        sums.iter_mut().for_each(|sum| *sum /= samples.len() as f64);
        sums
    }

    /// The expected rating under each sample; where the latent mean is spread out, of equally probable
    /// points of it.
    fn expected_levels(&self, latent: Mixture, values: &[f64]) -> Vec<f64> {
        let spread = latent.deviations.iter().any(|&sd| sd > 0.0);
        let points = if spread { POINTS } else { 1 };
        let mut one = vec![0.0; values.len()];
        let mut expected = Vec::with_capacity(points * latent.means.len());
        for (s, sample) in self.samples().samples.iter().enumerate() {
            for point in 0..points {
                let z = crate::math::gaussian::quantile((point as f64 + 0.5) / points as f64);
                let mean = latent.means[s] + z * latent.deviations[s];
                level_probabilities(mean, 1.0, &sample.thresholds, &mut one);
                expected.push(one.iter().zip(values).map(|(p, value)| p * value).sum());
            }
        }
        expected
    }

    /// The values of the levels in the unit of the ratings: (levels); empty where ratings are no
    /// levels.
    pub fn level_values(&self) -> Vec<f64> {
        let transform = &self.model().objective.transform;
        let value = |&level: &f32| {
            let value = transform.invert(f64::from(level));
            // Single precision lost digits on the way; the fewest that give the level are the user's.
            let shortest = (0..9).find_map(|digits| {
                let value: f32 = format!("{value:.digits$e}").parse().ok()?;
                (transform.apply(value) == level).then_some(value)
            });
            shortest.map_or(value, |value| value.to_string().parse().unwrap_or(value.into()))
        };
        self.samples().levels.iter().map(value).collect()
    }

    /// The place of a rating, as the user gives it, among the levels.
    pub fn level_of(&self, rating: f32) -> Option<usize> {
        let level = self.model().objective.transform.apply(rating);
        self.samples().levels.iter().position(|&known| known == level)
    }
}

/// The first and the last of the smallest central set of levels that has this probability at least:
/// no more than half of the rest lies below it, nor above.
pub(crate) fn central(levels: &[f64], probability: f64) -> [usize; 2] {
    let beyond = (1.0 - probability) / 2.0;
    let end = |levels: &mut dyn Iterator<Item = (usize, &f64)>| {
        let mut sum = 0.0;
        let mut last = 0;
        for (level, p) in levels {
            last = level;
            sum += p;
            if sum > beyond {
                break;
            }
        }
        last
    };
    let low = end(&mut levels.iter().enumerate());
    [low, end(&mut levels.iter().enumerate().rev()).max(low)]
}
