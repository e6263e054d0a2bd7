//! The Gibbs sampler at work: a sweep draws the users' hyperparameters and rows, the items', then
//! the noise, each given all else; held-out predictions are averaged over the sweeps after burn-in.

use super::run::{Input, Ready, Start, Watch, Work};
use super::sampler::{Chain, Sampler};
use super::{Levels, Likelihood, RowRatings, Settings, Thresholds, start};
use crate::backend::{Backend, GibbsPasses, GibbsProblem, State};
use crate::data::{Ratings, Side};
use crate::model::{EpochRecord, Factors, Sample, Samples, expected_level, log_level_probability};
use crate::{Error, Result};
use rayon::prelude::*;
use std::time::Instant;

/// What helps where a draw becomes non-finite.
pub(super) const REMEDY: &str = "its draw is not finite in 32 bits: look for ratings far outside of the others, or lower --factors";

/// Lays the ratings out by row and uploads them, to begin at `start`.
pub(super) fn ready<'a>(
    backend: &'a dyn Backend,
    input: &Input<'a>,
    settings: &Settings,
    start: Start,
) -> Result<Ready<'a>> {
    let levels = Levels::of(input.ratings, settings.likelihood)?;
    let names = (input.users, input.items);
    let mut train = input.ratings;
    let numbered;
    let mut mean = start::global_mean(train, settings)?;
    if let Some(levels) = &levels {
        let numbers = levels.numbers(train, names)?.into_iter().map(f32::from).collect();
        numbered = Ratings { values: numbers, ..train.clone() };
        train = &numbered;
        mean = levels.mean(train, settings);
    }
    let (users, items) = (input.users.len(), input.items.len());
    let starts: Vec<Factors> = match start {
        Start::Random => (0..settings.chains as u64)
            .map(|chain| {
                let seed = settings.seed.wrapping_add(chain << 32);
                start::random(users, items, mean, &Settings { seed, ..settings.clone() })
            })
            .collect(),
        Start::Given(init) => {
            vec![Factors { global_mean: mean, ..init }; settings.chains]
        }
        Start::Resumed(_) => return Err(Error::settings("--resume: not with --solver bayes")),
    };
    let clock = Instant::now();
    let ratings = RowRatings::new(train, &[], users, items);
    let spread = match input.ratings.deviation() {
        // Of the latent values' noise.
        _ if levels.is_some() => 1.0,
        spread if spread > 0.0 => spread,
        _ => 1.0,
    };
    let shape = (settings.factors, settings.bias);
    let (mut sampler, popularity) = Sampler::new(&ratings, shape, spread, settings.seed);
    let [users_zeta, items_zeta] = &popularity;
    let zeta =
        [users_zeta.of_rows(&ratings.users.counts()), items_zeta.of_rows(&ratings.items.counts())];
    let thresholds = levels.as_ref().map(|levels| {
        let numbers = ratings.users.values.iter().map(|&level| level as u8).collect();
        let fixed = settings.likelihood == Likelihood::Probit;
        Thresholds::new(numbers, levels.values.clone(), fixed)
    });
    let state = match &thresholds {
        Some(thresholds) => Chain::of_levels(users, thresholds.start()),
        None => Chain::new(users, spread),
    };
    sampler.thresholds = thresholds;
    let layout_seconds = clock.elapsed().as_secs_f64();
    let test = input.test.filter(|test| !test.is_empty()).cloned().unwrap_or_default();
    let levels = match &levels {
        Some(levels) => {
            let numbers = levels.numbers(&test, names)?;
            Some(HeldOut { probabilities: vec![0.0; numbers.len()], numbers })
        }
        None => None,
    };
    let clock = Instant::now();
    let chains = starts.len();
    let passes = backend.gibbs_passes(GibbsProblem {
        ratings,
        test: test.clone(),
        starts,
        popularity: zeta,
        bias: settings.bias,
        block: settings.block,
        latent: sampler.thresholds.is_some(),
    })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    let values = sampler.thresholds.as_ref().map_or(Vec::new(), |t| t.values().to_vec());
    let work = Gibbs {
        passes,
        sampler,
        settings: settings.clone(),
        ratings: input.ratings.len(),
        sums: vec![0.0; test.len()],
        averaged: 0,
        test,
        chains: vec![state; chains],
        levels,
        samples: Samples {
            popularity,
            precision: settings.sample_precision.unwrap_or_default(),
            levels: values,
            ..Samples::default()
        },
    };
    Ok(Ready { work: Box::new(work), layout_seconds, upload_seconds })
}

struct Gibbs<'a> {
    passes: Box<dyn GibbsPasses + 'a>,
    sampler: Sampler,
    settings: Settings,
    ratings: usize,
    test: Ratings,
    /// (held-out ratings): predictions of every chain's sweeps after burn-in, summed.
    sums: Vec<f64>,
    /// How many predictions each sum has.
    averaged: usize,
    chains: Vec<Chain>,
    /// Where ratings are levels.
    levels: Option<HeldOut>,
    samples: Samples,
}

/// The levels of held-out ratings.
struct HeldOut {
    /// (held-out ratings): their numbers.
    numbers: Vec<u8>,
    /// (held-out ratings): the probability that each sweep after burn-in gave to that level, summed.
    probabilities: Vec<f64>,
}

impl HeldOut {
    /// Adds what a sweep's scores say.
    fn add(&mut self, scores: &[f64], thresholds: &[f64]) {
        let of = self.probabilities.par_iter_mut().zip(&self.numbers).zip(scores);
        of.for_each(|((sum, &number), &score)| {
            *sum += log_level_probability(score, 1.0, thresholds, number.into()).exp();
        });
    }

    /// The mean of less the logarithms of the probabilities averaged over `count` sweeps.
    fn log_loss(&self, count: usize) -> f64 {
        let n = self.numbers.len() as f64;
        let loss = |sum: &f64| -(sum / count as f64).max(f64::MIN_POSITIVE).ln();
        self.probabilities.iter().map(loss).sum::<f64>() / n
    }
}

impl Gibbs<'_> {
    /// How many of a chain's samples are kept once `sweep` is done.
    fn kept_by(&self, sweep: usize) -> usize {
        let Settings { samples, keep, burn_in, chains, .. } = self.settings;
        sweep.saturating_sub(burn_in) * (keep / chains).max(1) / samples
    }
}

impl Work for Gibbs<'_> {
    fn epoch(&mut self, record: &mut EpochRecord, watch: &mut Watch) -> Result<usize> {
        let (sweep, chains, all) = (record.epoch, self.chains.len(), self.ratings);
        let mut error = 0.0;
        for chain in 0..chains {
            for (turn, side) in [Side::User, Side::Item].into_iter().enumerate() {
                let turns = 2 * chain + turn;
                let so_far = |done: usize| (turns * all + done) / (2 * chains);
                let done = self.sampler.draw_side(
                    &mut *self.passes,
                    (chain, sweep),
                    side,
                    &mut self.chains[chain],
                    &mut |done| watch(so_far(done)),
                )?;
                if done < all {
                    return Ok(so_far(done));
                }
            }
            let state = &mut self.chains[chain];
            let at = (chain, sweep);
            let fit = self.sampler.draw_thresholds(&mut *self.passes, at, state)?;
            error += match fit {
                Some(fit) => fit.squared_error,
                None => self.sampler.draw_noise(&mut *self.passes, at, state)?,
            } / all as f64;
            if self.kept_by(sweep) > self.kept_by(sweep - 1) {
                let factors = self.passes.factors(chain)?;
                let Chain { noise, priors, thresholds } = self.chains[chain].clone();
                self.samples.samples.push(Sample {
                    factors,
                    noise_precision: noise.precision,
                    noise_weights: noise.weights,
                    priors,
                    thresholds,
                });
            }
        }
        record.train_error = Some(error / chains as f64);
        Ok(all)
    }

    fn test(&mut self, record: &mut EpochRecord) -> Result<()> {
        if self.test.is_empty() {
            return Ok(());
        }
        let after = record.epoch > self.settings.burn_in;
        let n = self.test.len() as f64;
        let mut sample_error = 0.0;
        for chain in 0..self.chains.len() {
            let scores = self.passes.test_predictions(chain)?;
            let mut predictions: Vec<f64> = scores.iter().map(|&score| score.into()).collect();
            if let Some(levels) = &mut self.levels {
                let thresholds = &self.chains[chain].thresholds;
                if after {
                    levels.add(&predictions, thresholds);
                }
                predictions.par_iter_mut().for_each(|score| {
                    *score = expected_level(*score, 1.0, thresholds, &self.samples.levels);
                });
            }
            let of = predictions.iter().zip(&self.test.values);
            sample_error += of.map(|(p, &v)| (f64::from(v) - p).powi(2)).sum::<f64>();
            if after {
                self.averaged += 1;
                for (sum, &prediction) in self.sums.iter_mut().zip(&predictions) {
                    *sum += prediction;
                }
            }
        }
        record.sample_error = Some(sample_error / (n * self.chains.len() as f64));
        if after {
            let of = self.sums.iter().zip(&self.test.values);
            let error = |(sum, &value): (&f64, &f32)| {
                (f64::from(value) - sum / self.averaged as f64).powi(2)
            };
            record.test_error = Some(of.map(error).sum::<f64>() / n);
            record.test_log_loss =
                self.levels.as_ref().map(|levels| levels.log_loss(self.averaged));
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        Ok(())
    }

    fn kept(&mut self) -> Result<Factors> {
        self.factors()
    }

    fn factors(&mut self) -> Result<Factors> {
        self.passes.factors(0)
    }

    fn state(&mut self) -> Result<State> {
        Ok(State { factors: self.passes.factors(0)?, moments: Vec::new() })
    }

    fn samples(&mut self) -> Result<Option<Samples>> {
        Ok(Some(std::mem::take(&mut self.samples)))
    }
}
