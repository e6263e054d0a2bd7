//! The Gibbs sampler at work: a sweep draws the users' hyperparameters and rows, the items', then
//! the noise, each given all else; held-out predictions are averaged over the sweeps after burn-in.

use super::run::{Input, Ready, Start, Watch, Work};
use super::sampler::{Chain, Sampler};
use super::{RowRatings, Settings, start};
use crate::backend::{Backend, GibbsPasses, GibbsProblem, State};
use crate::data::{Ratings, Side};
use crate::model::{EpochRecord, Factors, Sample, Samples};
use crate::{Error, Result};
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
    let mean = start::global_mean(input.ratings, settings)?;
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
    let ratings = RowRatings::new(input.ratings, &[], users, items);
    let spread = match input.ratings.deviation() {
        spread if spread > 0.0 => spread,
        _ => 1.0,
    };
    let shape = (settings.factors, settings.bias);
    let (sampler, popularity) = Sampler::new(&ratings, shape, spread, settings.seed);
    let [users_zeta, items_zeta] = &popularity;
    let zeta =
        [users_zeta.of_rows(&ratings.users.counts()), items_zeta.of_rows(&ratings.items.counts())];
    let layout_seconds = clock.elapsed().as_secs_f64();
    let test = input.test.filter(|test| !test.is_empty()).cloned().unwrap_or_default();
    let clock = Instant::now();
    let chains = starts.len();
    let passes = backend.gibbs_passes(GibbsProblem {
        ratings,
        test: test.clone(),
        starts,
        popularity: zeta,
        bias: settings.bias,
        block: settings.block,
        latent: false,
    })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    let work = Gibbs {
        passes,
        sampler,
        settings: settings.clone(),
        ratings: input.ratings.len(),
        sums: vec![0.0; test.len()],
        averaged: 0,
        test,
        chains: vec![Chain::new(users, spread); chains],
        samples: Samples {
            popularity,
            precision: settings.sample_precision.unwrap_or_default(),
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
    samples: Samples,
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
            let errors = self.sampler.draw_noise(&mut *self.passes, (chain, sweep), state)?;
            error += errors / all as f64;
            if self.kept_by(sweep) > self.kept_by(sweep - 1) {
                let factors = self.passes.factors(chain)?;
                let Chain { noise, priors } = self.chains[chain].clone();
                self.samples.samples.push(Sample {
                    factors,
                    noise_precision: noise.precision,
                    noise_weights: noise.weights,
                    priors,
                    thresholds: Vec::new(),
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
            let predictions = self.passes.test_predictions(chain)?;
            let of = predictions.iter().zip(&self.test.values);
            sample_error += of.map(|(p, v)| f64::from(v - p).powi(2)).sum::<f64>();
            if after {
                self.averaged += 1;
                for (sum, &prediction) in self.sums.iter_mut().zip(&predictions) {
                    *sum += f64::from(prediction);
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
