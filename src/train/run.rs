//! The epoch loop of the gradient solvers: visits, errors, stopping, events.

use super::{Batches, Settings, Solver, start};
use crate::backend::{BETA1, BETA2, Backend, GradientProblem, State, Terms, Visit};
use crate::data::{Ids, Ratings, Side};
use crate::model::{EpochRecord, Factors};
use crate::{Error, ErrorKind, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;
use std::time::Instant;

/// What a run trains on.
pub struct Input<'a> {
    /// The users of the model.
    pub users: &'a Ids,
    /// The items of the model.
    pub items: &'a Ids,
    /// Training ratings, transformed.
    pub ratings: &'a Ratings,
    /// Held-out ratings, transformed; [`UNKNOWN`](crate::data::UNKNOWN) where the model does not
    /// know an id.
    pub test: Option<&'a Ratings>,
    /// Where to start instead of at random.
    pub init: Option<Factors>,
    /// A run to go on with.
    pub resume: Option<Checkpoint>,
    /// Hand out a [`Checkpoint`] after every so many epochs.
    pub checkpoint_every: Option<usize>,
}

impl<'a> Input<'a> {
    /// Training ratings alone, from a random start.
    pub fn new(users: &'a Ids, items: &'a Ids, ratings: &'a Ratings) -> Self {
        Self { users, items, ratings, test: None, init: None, resume: None, checkpoint_every: None }
    }
}

/// Everything a run needs to go on as if it had never stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Parameters and moments.
    pub state: State,
    /// The epochs so far.
    pub history: Vec<EpochRecord>,
    /// The parameters of the best epoch so far, with `--patience`.
    pub best: Option<Factors>,
}

/// What a run says while it goes.
pub enum Event<'a> {
    /// The ratings are laid out and uploaded; epochs begin.
    Ready {
        /// Seconds to cut and index the batches.
        layout_seconds: f64,
        /// Seconds to move everything to the device.
        upload_seconds: f64,
    },
    /// Part of an epoch is done. Breaking off here ends the run after the batch.
    Progress {
        /// The epoch, from 1.
        epoch: usize,
        /// Ratings visited in it so far.
        ratings: usize,
    },
    /// An epoch is done. Breaking off here ends the run.
    Epoch(&'a EpochRecord),
    /// A checkpoint is due.
    Checkpoint(&'a Checkpoint),
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All epochs are done.
    Finished,
    /// The held-out error no longer improved.
    Patience,
    /// The listener broke off.
    Interrupted,
}

/// What a run leaves.
#[derive(Debug)]
pub struct Outcome {
    /// The parameters of [`epoch`](Self::epoch).
    pub factors: Factors,
    /// All complete epochs, in order.
    pub history: Vec<EpochRecord>,
    /// The epoch whose parameters these are: with `--patience` the one of the lowest held-out
    /// error, else the last.
    pub epoch: usize,
    /// Why it ended.
    pub stop: Stop,
    /// Ratings visited per second of the epochs' passes.
    pub ratings_per_second: f64,
}

/// Trains by gradient passes on `backend`; `listen` hears every event and may break off.
///
/// # Errors
/// Settings that do not suit the data; a device that is too small or lost; an error of the listener;
/// [`ErrorKind::NonFinite`] when a factor overflows.
pub fn train(
    backend: &dyn Backend,
    input: Input,
    settings: &Settings,
    listen: &mut dyn FnMut(Event) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    if u32::try_from(input.ratings.len()).is_err() {
        return Err(Error::data(format!(
            "{} ratings are more than {} can index; train on a sample of them",
            input.ratings.len(),
            u32::MAX
        )));
    }
    let Some(optimizer) = settings.solver.optimizer() else {
        return Err(Error::settings("row solvers are not built yet"));
    };
    let mean = start::global_mean(input.ratings, settings)?;
    let (users, items) = (input.users.len(), input.items.len());
    let terms = Terms::new(settings, optimizer);
    let (state, mut history, mut best) = match input.resume {
        Some(checkpoint) => {
            let best = settings.patience.and(checkpoint.best);
            (checkpoint.state, checkpoint.history, best)
        }
        None => {
            let factors = input.init.unwrap_or_else(|| start::random(users, items, mean, settings));
            (begin(Factors { global_mean: mean, ..factors }, &terms), Vec::new(), None)
        }
    };
    let clock = Instant::now();
    let shuffle = settings.shuffle.then_some(settings.seed);
    let batches = Batches::new(input.ratings, users, items, settings.batch_size, shuffle);
    let layout_seconds = clock.elapsed().as_secs_f64();
    let (ratings, batch_count) = (batches.ratings(), batches.len());
    let test = input.test.cloned().unwrap_or_default();
    let test_ratings = test.len();
    let clock = Instant::now();
    let mut passes =
        backend.gradient_passes(GradientProblem { batches, test, start: state, terms })?;
    let upload_seconds = clock.elapsed().as_secs_f64();
    let ready = Event::Ready { layout_seconds, upload_seconds };
    let mut stop = if listen(ready)?.is_break() { Stop::Interrupted } else { Stop::Finished };

    let mut visited = 0;
    let mut pass_seconds = 0.0;
    let names = (input.users, input.items);
    while stop == Stop::Finished && history.len() < settings.epochs {
        let epoch = history.len() + 1;
        let clock = Instant::now();
        let visits = visits(settings, epoch, batch_count);
        let mut failed = None;
        let sums = passes.epoch(&visits, &mut |ratings| {
            listen(Event::Progress { epoch, ratings }).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        pass_seconds += clock.elapsed().as_secs_f64();
        visited += sums.ratings;
        if sums.ratings < ratings {
            stop = Stop::Interrupted;
            break;
        }
        let test_error = match test_ratings {
            0 => None,
            n => Some(passes.test_loss()? / n as f64),
        };
        let train_error = sums.loss / ratings as f64;
        if !train_error.is_finite() || test_error.is_some_and(|e| !e.is_finite()) {
            return Err(non_finite(&passes.factors()?, epoch, names));
        }
        let seconds = clock.elapsed().as_secs_f64();
        history.push(EpochRecord {
            epoch,
            train_error: Some(train_error),
            test_error,
            objective: None,
            seconds,
        });
        if let (Some(patience), Some(best_epoch)) = (settings.patience, best_epoch(&history)) {
            if best_epoch == epoch {
                passes.keep()?;
                best = None;
            } else if epoch - best_epoch >= patience {
                stop = Stop::Patience;
            }
        }
        if listen(Event::Epoch(&history[epoch - 1]))?.is_break() {
            stop = Stop::Interrupted;
        }
        if input.checkpoint_every.is_some_and(|every| epoch.is_multiple_of(every)) {
            let kept = match (&best, settings.patience, best_epoch(&history)) {
                (Some(best), ..) => Some(best.clone()),
                (None, Some(_), Some(_)) => Some(passes.kept()?),
                _ => None,
            };
            let state = passes.state()?;
            if !state.factors.is_finite() {
                return Err(non_finite(&state.factors, epoch, names));
            }
            let checkpoint = Checkpoint { state, history: history.clone(), best: kept };
            if listen(Event::Checkpoint(&checkpoint))?.is_break() {
                stop = Stop::Interrupted;
            }
        }
    }
    let best_epoch = settings.patience.and(best_epoch(&history));
    let factors = match (best, best_epoch) {
        (Some(best), _) => best,
        (None, Some(_)) => passes.kept()?,
        (None, None) => passes.factors()?,
    };
    let last = history.len();
    if !factors.is_finite() {
        return Err(non_finite(&factors, last.max(1), names));
    }
    Ok(Outcome {
        factors,
        epoch: best_epoch.unwrap_or(last),
        history,
        stop,
        ratings_per_second: if visited == 0 { 0.0 } else { visited as f64 / pass_seconds },
    })
}

/// Parameters with moments of zero.
pub(crate) fn begin(factors: Factors, terms: &Terms) -> State {
    let zeros = Factors {
        factors: factors.factors,
        user_factors: vec![0.0; factors.user_factors.len()],
        item_factors: vec![0.0; factors.item_factors.len()],
        user_bias: vec![0.0; factors.user_bias.len()],
        item_bias: vec![0.0; factors.item_bias.len()],
        global_mean: 0.0,
    };
    State { moments: vec![zeros; terms.moments()], factors }
}

/// The batches of an epoch in its own seeded order, each with its step size.
pub(crate) fn visits(settings: &Settings, epoch: usize, batches: usize) -> Vec<Visit> {
    let mut order: Vec<u32> = (0..batches as u32).collect();
    if settings.shuffle {
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        random.set_stream(epoch as u64);
        order.shuffle(&mut random);
    }
    let rate = settings.learning_rate * settings.learning_rate_decay.powi(epoch as i32 - 1);
    let steps_before = (epoch - 1) * batches;
    let visit = |(turn, batch): (usize, u32)| {
        let rate = match settings.solver {
            Solver::Adam => {
                let t = (steps_before + turn + 1) as f64;
                rate * (1.0 - BETA2.powf(t)).sqrt() / (1.0 - BETA1.powf(t))
            }
            _ => rate,
        };
        Visit { batch, rate: rate as f32 }
    };
    order.into_iter().enumerate().map(visit).collect()
}

/// The epoch of the lowest held-out error; the first of equals.
pub fn best_epoch(history: &[EpochRecord]) -> Option<usize> {
    let with_error = history.iter().filter_map(|r| Some((r.test_error?, r.epoch)));
    with_error.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, epoch)| epoch)
}

fn non_finite(factors: &Factors, epoch: usize, names: (&Ids, &Ids)) -> Error {
    for (side, ids) in [(Side::User, names.0), (Side::Item, names.1)] {
        if let Some(row) = factors.first_non_finite(side) {
            let id = ids.name(row).to_owned();
            return ErrorKind::NonFinite { side: side.name(), epoch, id }.into();
        }
    }
    Error::data(format!(
        "the error became non-finite in epoch {epoch}; lower --learning-rate, or bring the ratings \
         to a smaller scale (--transform zscore or log1p)"
    ))
}
