//! The Gibbs sampler at work: a sweep draws the users' hyperparameters and rows, the items', then
//! the noise, each given all else; held-out predictions are averaged over the sweeps after burn-in.

use super::run::{Input, Posterior, Ready, Start, Watch, Work};
use super::start;
use crate::backend::{Backend, GibbsPasses, GibbsProblem, State, gibbs_passes};
use crate::core::{Factors, Ids, Levels, Likelihood, Ratings, RowRatings, Settings, Side, UNKNOWN};
use crate::memory;
use crate::model::{EpochRecord, PosteriorRecord, RowMeans, Sample, Samples, WatchedPrediction};
use crate::predict::{expected_level, log_level_probability};
use crate::sampler::{Chain, Sampler, SamplerState, Thresholds, Traces, summarize};
use crate::{Error, Result};
use rayon::prelude::*;

/// What helps where a draw becomes non-finite.
pub(super) const REMEDY: &str = "its draw is not finite in 32 bits: look for ratings far outside of \
                                 the others, or lower `factors`";

/// How many pairs' predictions are watched.
const WATCHED: usize = 8;

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
    let mut mean = start::global_mean(train, settings)?;
    let numbered;
    if let Some(levels) = &levels {
        numbered = levels.numbered(train, names)?;
        train = &numbered;
        mean = levels.mean(train, settings);
    }
    let (users, items) = (input.users.len(), input.items.len());
    let began = (input.clock)();
    // The chance of a level is no Gaussian of the latent value: no power of it is drawn by a precision.
    if levels.is_some() && !input.ratings.weights.is_empty() {
        return Err(Error::settings(
            "levels take no weights (`weights`, `half_life`): leave them out, or take `likelihood` gaussian",
        ));
    }
    let weights = informative(&input.ratings.weights)?;
    let ratings = RowRatings::try_new(train, &weights, users, items)?;
    drop(weights);
    // Of levels that of the latent values' noise.
    let spread = if levels.is_some() { 1.0 } else { input.ratings.spread() };
    let shape = (settings.factors, settings.bias);
    let (mut sampler, popularity, zeta) = Sampler::new(&ratings, shape, spread, settings.seed);
    let held_out = input.test.filter(|test| !test.is_empty()).cloned().unwrap_or_default();
    let watched = watched(input.ratings, &held_out);
    let numbers = match &levels {
        Some(levels) => levels.numbers(&held_out, names)?,
        None => Vec::new(),
    };
    sampler.thresholds = levels.map(|levels| {
        let numbers = ratings.users.values.iter().map(|&level| level as u8).collect();
        let fixed = settings.likelihood == Likelihood::Probit;
        Thresholds::new(numbers, levels.values, fixed)
    });
    let thresholds = sampler.thresholds.as_ref();
    let fresh = matches!(start, Start::Random);
    let begin = |(chain, mut factors): (usize, Factors)| {
        let mut noise = spread;
        if settings.bias {
            let mut drawn = factors.clone();
            noise = sampler.start_biases(chain, &ratings, &mut drawn);
            // A start that was given keeps the biases it has.
            if fresh {
                factors = drawn;
            }
        }
        let thresholds = thresholds.map_or(Vec::new(), Thresholds::start);
        (factors, Chain { thresholds, ..Chain::new(users, noise) })
    };
    let new = |chains: Vec<Factors>| SamplerState {
        traces: Traces::new(chains.len(), watched.len()),
        chains: chains.into_iter().enumerate().map(begin).collect(),
        sums: vec![0.0; held_out.len()],
        probabilities: vec![0.0; numbers.len()],
        samples: Samples {
            popularity,
            row_means: Default::default(),
            precision: settings.sample_precision.unwrap_or_default(),
            levels: thresholds.map_or(Vec::new(), |of| of.values().to_vec()),
            samples: Vec::new(),
        },
    };
    let state = match start {
        Start::Resumed(_, Some(state)) => {
            let counts = [held_out.len(), numbers.len(), watched.len()];
            let levels = thresholds.map_or(&[][..], |of| of.values());
            state.check(users, items, settings, counts, levels)?;
            *state
        }
        Start::Resumed(_, None) => return Err(Error::data("the checkpoint is no sampler's")),
        Start::Given(init) => new(vec![Factors { global_mean: mean, ..init }; settings.chains]),
        Start::Random => new((0..settings.chains as u64)
            .map(|chain| {
                let seed = settings.seed.wrapping_add(chain << 32);
                start::drawn(users, items, mean, &Settings { seed, ..settings.clone() })
            })
            .collect::<Result<_>>()?),
    };
    let layout_seconds = (input.clock)() - began;
    let SamplerState { chains, sums, probabilities, traces, samples } = state;
    let (starts, chains): (Vec<Factors>, Vec<Chain>) = chains.into_iter().unzip();
    let mut test = held_out.clone();
    test.users.extend_from_slice(&watched.users);
    test.items.extend_from_slice(&watched.items);
    test.values.extend_from_slice(&watched.values);
    // What is predicted has no time and no weight.
    test.timestamps.clear();
    test.weights.clear();
    let began = (input.clock)();
    let weighed = ratings.users.weighed().iter().sum();
    let problem = GibbsProblem {
        ratings,
        test,
        starts,
        popularity: zeta,
        bias: settings.bias,
        block: settings.block,
        latent: sampler.thresholds.is_some(),
    };
    let passes = gibbs_passes(backend, problem)?;
    let upload_seconds = (input.clock)() - began;
    let values = || input.ratings.values.iter().map(|&value| f64::from(value));
    let work = GibbsWork {
        passes,
        sampler,
        settings: settings.clone(),
        ids: (input.users, input.items),
        train: input.ratings,
        ratings: input.ratings.len(),
        weighed,
        range: match settings.clip {
            true => (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max)),
            false => (f64::NEG_INFINITY, f64::INFINITY),
        },
        held_out,
        watched,
        sums,
        numbers,
        probabilities,
        chains,
        samples,
        traces,
    };
    Ok(Ready { work: Box::new(work), layout_seconds, upload_seconds })
}

/// Weights as they count in a likelihood, where, unlike in a penalized sum, the scale matters: together as many ratings
/// as they say as much as (Kish 1965, "Survey sampling", the effective sample size `(Σw)²/Σw²`). Those of mean 1 would
/// let a few heavy ratings stand for all that weigh nothing, and their noise be fitted: of the sample, where two
/// training ratings in five weighed a hundredth, 4 factors came to an RMSE of 1.12, none to 0.98.
fn informative(weights: &[f32]) -> Result<Vec<f32>> {
    let mut scaled = memory::with_room(weights.len(), "weights of ratings")?;
    let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let squares: f64 = weights.iter().map(|&weight| f64::from(weight).powi(2)).sum();
    scaled.extend(weights.iter().map(|&weight| (f64::from(weight) * sum / squares) as f32));
    Ok(scaled)
}

/// Pairs that are watched: evenly spaced among the held-out ones whose ids are known, or where there
/// are none among the training ratings.
fn watched(ratings: &Ratings, held_out: &Ratings) -> Ratings {
    let known = |at: &usize| held_out.users[*at] != UNKNOWN && held_out.items[*at] != UNKNOWN;
    let candidates: Vec<usize> = (0..held_out.len()).filter(known).collect();
    let (from, count) = match candidates.len() {
        0 => (ratings, ratings.len()),
        known => (held_out, known),
    };
    let chosen = WATCHED.min(count);
    let mut watched = Ratings::default();
    for j in 0..chosen {
        let at = (2 * j + 1) * count / (2 * chosen);
        let at = candidates.get(at).copied().unwrap_or(at);
        watched.users.push(from.users[at]);
        watched.items.push(from.items[at]);
        watched.values.push(from.values[at]);
    }
    watched
}

struct GibbsWork<'a> {
    passes: Box<dyn GibbsPasses>,
    sampler: Sampler,
    settings: Settings,
    /// Of users and of items.
    ids: (&'a Ids, &'a Ids),
    /// The training ratings.
    train: &'a Ratings,
    ratings: usize,
    /// What they count together: as many as they are, where all count alike.
    weighed: f64,
    /// Between what predictions are bounded.
    range: (f64, f64),
    held_out: Ratings,
    /// Pairs that are predicted after the held-out ones.
    watched: Ratings,
    /// (held-out ratings): predictions of every chain's sweeps after burn-in, summed.
    sums: Vec<f64>,
    /// (held-out ratings): the numbers of their levels; empty where ratings are no levels.
    numbers: Vec<u8>,
    /// The probabilities of those levels, summed likewise.
    probabilities: Vec<f64>,
    chains: Vec<Chain>,
    samples: Samples,
    traces: Traces,
}

impl GibbsWork<'_> {
    /// A chain's present state.
    fn sample(&mut self, chain: usize) -> Result<Sample> {
        let factors = self.passes.factors(chain)?;
        let Chain { noise, mut priors, thresholds } = self.chains[chain].clone();
        for (prior, rows) in priors.iter_mut().zip(&self.sampler.rows) {
            // Stopped before the first was drawn.
            if prior.mean.is_empty() {
                *prior = rows.expected();
            }
        }
        let mut sample = Sample {
            factors,
            noise_precision: noise.precision,
            noise_shape: noise.shape,
            noise_weights: noise.weights,
            priors,
            thresholds,
        };
        let precision = self.samples.precision;
        sample.check_precision(precision, self.ids)?;
        sample.round(precision);
        Ok(sample)
    }

    /// Predictions as ratings in the unit of training.
    fn as_ratings(&self, chain: usize, predictions: &[f32]) -> Vec<f64> {
        let (low, high) = self.range;
        let (levels, thresholds) = (&self.samples.levels, &self.chains[chain].thresholds);
        let rating = |&prediction: &f32| match levels.is_empty() {
            true => f64::from(prediction).max(low).min(high),
            false => expected_level(prediction.into(), 1.0, thresholds, levels),
        };
        predictions.par_iter().map(rating).collect()
    }

    /// The means of what is predicted of each row's training ratings, above the global mean.
    fn row_means(&self) -> [Vec<f32>; 2] {
        let Ratings { users, items, .. } = self.train;
        let mut of_users = RowMeans::new(self.ids.0.len());
        let mut of_items = RowMeans::new(self.ids.1.len());
        self.samples.each_above_mean((users, items), |at, above| {
            of_users.add(users[at], above);
            of_items.add(items[at], above);
        });
        [of_users.finish(), of_items.finish()]
    }

    /// How many predictions each sum has.
    fn averaged(&self) -> usize {
        self.traces.sweeps() * self.chains.len()
    }
}

impl Work for GibbsWork<'_> {
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
            } / self.weighed;
        }
        record.train_error = Some(error / chains as f64);
        Ok(all)
    }

    fn test(&mut self, record: &mut EpochRecord) -> Result<()> {
        let sweep = record.epoch;
        let after = sweep > self.settings.burn_in;
        if after {
            for (chain, state) in self.chains.iter().enumerate() {
                self.traces.noise_precision[chain].push(state.noise.precision);
                self.traces.noise_shape[chain].push(state.noise.shape);
            }
        }
        if after || !self.held_out.is_empty() {
            self.predict(record, after)?;
        }
        let settings = &self.settings;
        let keeps = match settings.patience {
            Some(_) => (sweep - settings.burn_in.min(sweep)).is_multiple_of(settings.stride(sweep)),
            None => settings.kept_by(sweep) > settings.kept_by(sweep - 1),
        };
        if after
            && settings.patience.is_some()
            && settings.stride(sweep) > settings.stride(sweep - 1)
        {
            // Of those kept so far every other, chain after chain at each sweep.
            let (chains, mut at) = (self.chains.len(), 0);
            self.samples.samples.retain(|_| {
                at += 1;
                ((at - 1) / chains) % 2 == 1
            });
        }
        if after && keeps {
            for chain in 0..self.chains.len() {
                let sample = self.sample(chain)?;
                self.samples.samples.push(sample);
            }
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

    fn sampler_state(&mut self) -> Result<Option<SamplerState>> {
        let states = self.chains.clone().into_iter().enumerate();
        let chains = states.map(|(chain, state)| Ok((self.passes.factors(chain)?, state)));
        Ok(Some(SamplerState {
            chains: chains.collect::<Result<_>>()?,
            sums: self.sums.clone(),
            probabilities: self.probabilities.clone(),
            traces: self.traces.clone(),
            samples: self.samples.clone(),
        }))
    }

    fn posterior(&mut self) -> Result<Option<Posterior>> {
        if self.samples.samples.is_empty() {
            // Stopped early: better the present state than nothing.
            let sample = self.sample(0)?;
            self.samples.samples.push(sample);
        }
        self.samples.row_means = self.row_means();
        let (traces, sweeps) = (&self.traces, self.traces.sweeps());
        let summary = |trace: &Vec<Vec<f64>>| (sweeps > 0).then(|| summarize(trace));
        let gaussian = self.settings.likelihood == Likelihood::Gaussian;
        let watched = self.watched.iter().zip(&traces.predictions);
        let record = PosteriorRecord {
            chains: self.chains.len(),
            burn_in: self.settings.burn_in,
            sweeps,
            kept: self.samples.samples.len(),
            noise_precision: summary(&traces.noise_precision).filter(|_| gaussian),
            noise_shape: summary(&traces.noise_shape).filter(|_| gaussian),
            predictions: watched
                .filter_map(|((user, item, _), trace)| {
                    let user = self.ids.0.name(user).to_owned();
                    let item = self.ids.1.name(item).to_owned();
                    Some(WatchedPrediction { user, item, prediction: summary(trace)? })
                })
                .collect(),
            held_out: serde_json::Value::Null,
        };
        let averaged = self.averaged() as f64;
        let held_out = (averaged > 0.0 && !self.held_out.is_empty())
            .then(|| self.sums.iter().map(|sum| sum / averaged).collect());
        let samples = std::mem::take(&mut self.samples);
        Ok(Some(Posterior { samples, record, held_out }))
    }
}

impl GibbsWork<'_> {
    /// Predicts the held-out pairs and those that are watched; after burn-in both count.
    fn predict(&mut self, record: &mut EpochRecord, after: bool) -> Result<()> {
        let chains = self.chains.len();
        let n = self.held_out.len();
        let mut sample_error = 0.0;
        for chain in 0..chains {
            let predictions = self.passes.test_predictions(chain)?;
            let mut ratings = self.as_ratings(chain, &predictions);
            let watched = ratings.split_off(n);
            let of = ratings.iter().zip(&self.held_out.values);
            sample_error += of.map(|(p, &v)| (f64::from(v) - p).powi(2)).sum::<f64>();
            if after {
                self.sums.iter_mut().zip(&ratings).for_each(|(sum, p)| *sum += p);
                let thresholds = &self.chains[chain].thresholds;
                let of =
                    self.probabilities.par_iter_mut().zip(&self.numbers).zip(&predictions[..n]);
                of.for_each(|((sum, &level), &prediction)| {
                    *sum += log_level_probability(prediction.into(), 1.0, thresholds, level.into())
                        .exp();
                });
                let traces = self.traces.predictions.iter_mut();
                for (trace, rating) in traces.zip(watched) {
                    trace[chain].push(rating);
                }
            }
        }
        if n == 0 {
            return Ok(());
        }
        record.sample_error = Some(sample_error / (n * chains) as f64);
        if after {
            let averaged = self.averaged() as f64;
            let of = self.sums.iter().zip(&self.held_out.values);
            let error = |(sum, &value): (&f64, &f32)| (f64::from(value) - sum / averaged).powi(2);
            record.test_error = Some(of.map(error).sum::<f64>() / n as f64);
            if !self.numbers.is_empty() {
                let loss = |sum: &f64| -(sum / averaged).max(f64::MIN_POSITIVE).ln();
                record.test_log_loss =
                    Some(self.probabilities.iter().map(loss).sum::<f64>() / n as f64);
            }
        }
        Ok(())
    }
}
