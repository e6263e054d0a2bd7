//! The epoch loop of every solver: errors, stopping, events.

use super::checkpoint::{Checkpoint, Keeper};
use super::lists::JudgedLists;
use super::need::check_memory;
use super::{choices, gibbs, gradient, rows, start, strata};
use crate::backend::{Backend, Device, State};
use crate::core::{Factors, Ids, Ratings, Settings, Side, Sizes, Solver};
use crate::model::{EpochRecord, FallbackRecord, PosteriorRecord, Samples};
use crate::sampler::SamplerState;
use crate::{Error, ErrorKind, Result};
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::Instant;

/// Tells the seconds since some moment, the same at every call.
pub type Clock = fn() -> f64;

/// The seconds since it was first asked.
pub fn seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// What a run trains on.
#[derive(Debug)]
pub struct Input<'a> {
    /// The users of the model.
    pub users: &'a Ids,
    /// The items of the model.
    pub items: &'a Ids,
    /// Training ratings, transformed.
    pub ratings: &'a Ratings,
    /// Held-out ratings, transformed; [`UNKNOWN`](crate::core::UNKNOWN) where the model does not
    /// know an id.
    pub test: Option<&'a Ratings>,
    /// Where to start instead of at random.
    pub init: Option<Factors>,
    /// A run to go on with.
    pub resume: Option<Checkpoint>,
    /// Hand out a [`Checkpoint`] after every so many epochs.
    pub checkpoint_every: Option<usize>,
    /// What measures how long things take, where it is not [`seconds`]: there are places without that
    /// clock.
    pub clock: Clock,
}

impl<'a> Input<'a> {
    /// Training ratings alone, from a random start.
    pub fn new(users: &'a Ids, items: &'a Ids, ratings: &'a Ratings) -> Self {
        Self {
            users,
            items,
            ratings,
            test: None,
            init: None,
            resume: None,
            checkpoint_every: None,
            clock: seconds,
        }
    }
}

/// What a run says while it goes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The ratings are laid out and uploaded; epochs begin.
    Ready {
        /// Seconds to lay the ratings out: in batches, or by row.
        layout_seconds: f64,
        /// Seconds to move everything to the device.
        upload_seconds: f64,
    },
    /// Part of an epoch is done. Breaking off here ends the run there.
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
    /// The device failed, and another goes on: with the epoch after those that are
    /// [kept](FallbackRecord::epochs), so that some may come again.
    Fallback(&'a FallbackRecord),
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
#[non_exhaustive]
pub struct Outcome {
    /// The parameters of [`epoch`](Self::epoch); of a sampler the means of the samples.
    pub factors: Factors,
    /// Samples of the posterior, of a solver that draws them.
    pub samples: Option<Samples>,
    /// What a sampler says of the posterior, but for the metrics of held-out ratings.
    pub posterior: Option<PosteriorRecord>,
    /// (held-out ratings): a sampler's predictions, averaged over the sweeps after burn-in, in the
    /// unit of training; nothing without such.
    pub held_out: Option<Vec<f64>>,
    /// How well the model ranks held-out pairs (ials), and popularity alone; nothing without such.
    pub lists: Option<JudgedLists>,
    /// All complete epochs, in order.
    pub history: Vec<EpochRecord>,
    /// The epoch whose parameters these are: with `patience` the one of the best held-out
    /// error, else the last. A sampler's average always is of all so far.
    pub epoch: usize,
    /// Why it ended.
    pub stop: Stop,
    /// The device that failed on the way, if one did and another took its place.
    pub fallback: Option<FallbackRecord>,
    /// Ratings visited per second of the epochs' passes.
    pub ratings_per_second: f64,
}

/// A solver at work on a problem that lies on a device.
pub(super) trait Work {
    /// Runs an epoch (from 1) and returns the ratings visited, fewer than all where `watch` broke
    /// off. Fills in what the passes know of the training error.
    fn epoch(&mut self, record: &mut EpochRecord, watch: &mut Watch) -> Result<usize>;

    /// Fills in what takes more than the passes to know of the training error.
    fn fit(&mut self, _record: &mut EpochRecord) -> Result<()> {
        Ok(())
    }

    /// Fills in the held-out error, where there are held-out ratings.
    fn test(&mut self, record: &mut EpochRecord) -> Result<()>;

    /// How well `factors` rank held-out pairs after so many sweeps, where that is asked.
    fn judge(&mut self, _factors: &Factors, _sweeps: usize) -> Result<Option<JudgedLists>> {
        Ok(None)
    }

    /// Remembers the parameters.
    fn keep(&mut self) -> Result<()>;

    /// The remembered parameters.
    fn kept(&mut self) -> Result<Factors>;

    /// The parameters as they are now.
    fn factors(&mut self) -> Result<Factors>;

    /// Parameters and moments as they are now.
    fn state(&mut self) -> Result<State>;

    /// What a sampler goes on from, beside the [`state`](Self::state).
    fn sampler_state(&mut self) -> Result<Option<SamplerState>> {
        Ok(None)
    }

    /// What a sampler found, once it is over; nothing of other solvers.
    fn posterior(&mut self) -> Result<Option<Posterior>> {
        Ok(None)
    }
}

/// What a sampler found.
pub(super) struct Posterior {
    pub samples: Samples,
    pub record: PosteriorRecord,
    pub held_out: Option<Vec<f64>>,
}

/// What hears how many ratings of an epoch are done, and may break off.
pub(super) type Watch<'a> = dyn FnMut(usize) -> ControlFlow<()> + 'a;

/// Where a run begins.
pub(super) enum Start {
    /// At random factors.
    Random,
    /// At these parameters, but for the global mean.
    Given(Factors),
    /// Where an earlier run stopped.
    Resumed(State, Option<Box<SamplerState>>),
}

/// A problem laid out and uploaded.
pub(super) struct Ready<'a> {
    pub work: Box<dyn Work + 'a>,
    pub layout_seconds: f64,
    pub upload_seconds: f64,
}

/// Trains on `backend`; `listen` hears every event and may break off.
///
/// # Errors
/// Less memory than is needed; settings out of range, or that do not suit the data; ratings, a start or a checkpoint that do not fit
/// the ids and settings; a device that is too small or lost; an error of the listener;
/// [`ErrorKind::NonFinite`] when a factor overflows.
pub fn train<'a>(
    backend: &'a dyn Backend,
    input: Input<'a>,
    settings: &Settings,
    listen: &mut dyn FnMut(Event) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    train_with(backend, input, settings, &|| false, listen)
}

/// As [`train`]; after each epoch `wanted` is asked whether a checkpoint is due, beside those of
/// [`checkpoint_every`](Input::checkpoint_every): a run that is told to end can leave one.
///
/// Where the device fails and [another](Backend::fall_back) was named to take its place, that goes on from
/// the last epoch whose state is known on the host: of a checkpoint, or of the copies that are made now and
/// then for that.
///
/// # Errors
/// As [`train`].
pub fn train_with<'a>(
    backend: &'a dyn Backend,
    mut input: Input<'a>,
    settings: &Settings,
    wanted: &dyn Fn() -> bool,
    listen: &mut dyn FnMut(Event) -> Result<ControlFlow<()>>,
) -> Result<Outcome> {
    settings.check()?;
    if u32::try_from(input.ratings.len()).is_err() {
        return Err(Error::data(format!(
            "{} ratings are more than {} can index; train on a sample of them",
            input.ratings.len(),
            u32::MAX
        )));
    }
    let sizes = (input.users.len(), input.items.len());
    input.ratings.check(sizes.0, sizes.1, false)?;
    if input.ratings.is_empty() {
        return Err(Error::data("there are no ratings to train on"));
    }
    start::check_squares(input.ratings, settings, (input.users, input.items))?;
    if let Some(test) = input.test {
        test.check(sizes.0, sizes.1, true)?;
    }
    if let Some(start) = &input.init {
        start.check(sizes.0, sizes.1, settings.factors)?;
    }
    if let Some(checkpoint) = &input.resume {
        checkpoint.check(sizes.0, sizes.1, settings)?;
    }
    let needed = Sizes {
        users: sizes.0,
        items: sizes.1,
        ratings: input.ratings.len(),
        test: input.test.map_or(0, Ratings::len),
    };
    // What another device could go on from is a checkpoint that stays in memory.
    let copies = input.checkpoint_every.is_some() || backend.has_fallback();
    check_memory(backend, settings, &needed, copies)?;
    let (resume, init) = (input.resume.take(), input.init.take());
    let keeper = backend.has_fallback().then(|| Keeper::new(resume.clone()));
    let again = if keeper.is_some() { init.clone() } else { None };
    let record = |(device, error): (Device, String), epochs| FallbackRecord {
        epochs,
        backend: device.backend.to_owned(),
        device: device.name,
        error,
    };
    // It may have failed before, in what is done for the start.
    let history = resume.as_ref().map_or(&[][..], |resume| &resume.history);
    let known = history.iter().any(|record| record.fallback.is_some());
    let fallback = backend.failed().filter(|_| !known).map(|failed| record(failed, history.len()));
    let mut run =
        Run { input: &input, settings, wanted, keeper, fallback, visited: 0, pass_seconds: 0.0 };
    let error = match run.on(backend, resume, init, listen) {
        Err(error) => error,
        done => return done,
    };
    let Some(next) = backend.fall_back(&error) else { return Err(error) };
    let kept = run.keeper.take().and_then(Keeper::last);
    let epochs = kept.as_ref().map_or(0, |kept| kept.history.len());
    run.fallback = backend.failed().map(|failed| record(failed, epochs));
    if let Some(failed) = &run.fallback {
        // Who would break off can do so at the next event.
        let _ = listen(Event::Fallback(failed))?;
    }
    run.on(&*next, kept, again, listen)
}

/// A run, whichever device it is on.
struct Run<'r, 'a> {
    input: &'r Input<'a>,
    settings: &'r Settings,
    wanted: &'r dyn Fn() -> bool,
    /// What is known on the host, where another device may have to go on from it.
    keeper: Option<Keeper>,
    /// The device that failed.
    fallback: Option<FallbackRecord>,
    /// Ratings visited, on all devices.
    visited: usize,
    pass_seconds: f64,
}

impl Run<'_, '_> {
    /// Trains on this device, from `resume` or `init` if they are given.
    fn on(
        &mut self,
        backend: &dyn Backend,
        resume: Option<Checkpoint>,
        init: Option<Factors>,
        listen: &mut dyn FnMut(Event) -> Result<ControlFlow<()>>,
    ) -> Result<Outcome> {
        let (input, settings) = (self.input, self.settings);
        let (from, mut history, mut best) = match resume {
            Some(checkpoint) => {
                let best = settings.patience.and(checkpoint.best);
                (Some((checkpoint.state, checkpoint.sampler)), checkpoint.history, best)
            }
            None => (None, Vec::new(), None),
        };
        let start = match (from, init) {
            (Some((state, sampler)), _) => Start::Resumed(state, sampler.map(Box::new)),
            (None, Some(init)) => Start::Given(init),
            (None, None) => Start::Random,
        };
        let ready = match (settings.solver, settings.solver.optimizer()) {
            (_, Some(optimizer)) if settings.loss.is_ranking() => {
                choices::ready(backend, input, settings, optimizer, start)?
            }
            (_, Some(_)) if settings.rating_by_rating() => {
                strata::ready(backend, input, settings, start)?
            }
            (_, Some(optimizer)) => gradient::ready(backend, input, settings, optimizer, start)?,
            (Solver::Bayes, None) => gibbs::ready(backend, input, settings, start)?,
            (_, None) => rows::ready(backend, input, settings, start)?,
        };
        let Ready { mut work, layout_seconds, upload_seconds } = ready;
        let ready = Event::Ready { layout_seconds, upload_seconds };
        let mut stop = if listen(ready)?.is_break() { Stop::Interrupted } else { Stop::Finished };
        // What is resumed may have been at its end.
        let waited =
            |best: usize| settings.patience.is_some_and(|most| history.len() - best >= most);
        if stop == Stop::Finished && best_epoch(&history).is_some_and(waited) {
            stop = Stop::Patience;
        }

        let mut moved = self.fallback.clone();
        let names = (input.users, input.items);
        let remedy = match (settings.solver, settings.solver.optimizer()) {
            (_, Some(_)) if settings.loss.is_ranking() => choices::REMEDY,
            (_, Some(_)) => gradient::REMEDY,
            (Solver::Bayes, None) => gibbs::REMEDY,
            (_, None) if settings.alpha.is_some() => rows::REMEDY_OF_WEIGHTS,
            (_, None) => rows::REMEDY,
        };
        // A sampler's model is the average of all sweeps, whichever had the best error.
        let averages = settings.solver == Solver::Bayes;
        let non_finite = |factors: &Factors, epoch| non_finite(factors, epoch, names, remedy);
        while stop == Stop::Finished && history.len() < settings.epochs {
            let epoch = history.len() + 1;
            let mut record = EpochRecord { epoch, ..EpochRecord::default() };
            let began = (input.clock)();
            let mut failed = None;
            let ratings = work.epoch(&mut record, &mut |ratings| {
                listen(Event::Progress { epoch, ratings }).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                })
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            record.pass_seconds = (input.clock)() - began;
            self.pass_seconds += record.pass_seconds;
            self.visited += ratings;
            if ratings < input.ratings.len() {
                stop = Stop::Interrupted;
                break;
            }
            work.fit(&mut record)?;
            if !record.figures().all(f64::is_finite) {
                return Err(non_finite(&work.factors()?, epoch));
            }
            work.test(&mut record)?;
            if !record.figures().all(f64::is_finite) {
                return Err(non_finite(&work.factors()?, epoch));
            }
            record.seconds = (input.clock)() - began;
            record.fallback = moved.take();
            history.push(record);
            if let (Some(patience), Some(best_epoch)) = (settings.patience, best_epoch(&history)) {
                if best_epoch == epoch {
                    if !averages {
                        work.keep()?;
                    }
                    best = None;
                } else if epoch - best_epoch >= patience {
                    stop = Stop::Patience;
                }
            }
            if listen(Event::Epoch(&history[epoch - 1]))?.is_break() {
                stop = Stop::Interrupted;
            }
            let due = input.checkpoint_every.is_some_and(|every| epoch.is_multiple_of(every));
            let due = due || (self.wanted)();
            let began = (input.clock)();
            let keeps = self.keeper.as_ref().is_some_and(|keeper| keeper.is_due(began));
            if due || keeps {
                let kept = match (&best, settings.patience, best_epoch(&history)) {
                    (Some(best), ..) => Some(best.clone()),
                    (None, Some(_), Some(_)) if !averages => Some(work.kept()?),
                    _ => None,
                };
                let state = work.state()?;
                if !state.factors.is_finite() {
                    return Err(non_finite(&state.factors, epoch));
                }
                let sampler = work.sampler_state()?;
                let checkpoint =
                    Checkpoint { state, history: history.clone(), best: kept, sampler };
                if due && listen(Event::Checkpoint(&checkpoint))?.is_break() {
                    stop = Stop::Interrupted;
                }
                if let Some(keeper) = &mut self.keeper {
                    keeper.keep(checkpoint, began, (input.clock)());
                }
            }
        }
        let best_epoch = settings.patience.and(best_epoch(&history)).filter(|_| !averages);
        let posterior = work.posterior()?;
        let factors = match (best, best_epoch, &posterior) {
            (_, _, Some(posterior)) => posterior.samples.means(None),
            (Some(best), ..) => best,
            (None, Some(_), _) => work.kept()?,
            (None, None, _) => work.factors()?,
        };
        let last = history.len();
        if !factors.is_finite() {
            return Err(non_finite(&factors, last.max(1)));
        }
        let lists = if last > 0 { work.judge(&factors, last)? } else { None };
        let (samples, posterior, held_out) = match posterior {
            Some(Posterior { samples, record, held_out }) => {
                (Some(samples), Some(record), held_out)
            }
            None => (None, None, None),
        };
        let before = || history.iter().rev().find_map(|record| record.fallback.clone());
        Ok(Outcome {
            factors,
            samples,
            posterior,
            held_out,
            lists,
            epoch: best_epoch.unwrap_or(last),
            fallback: self.fallback.take().or_else(before),
            history,
            stop,
            ratings_per_second: match self.visited {
                0 => 0.0,
                visited => visited as f64 / self.pass_seconds,
            },
        })
    }
}

/// The epoch of the best held-out figure, the first of equals: the lowest error, or for implicit
/// data the highest NDCG.
pub fn best_epoch(history: &[EpochRecord]) -> Option<usize> {
    let figures =
        history.iter().filter_map(|r| Some((r.test_error.or(r.ndcg.map(|x| -x))?, r.epoch)));
    figures.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, epoch)| epoch)
}

fn non_finite(factors: &Factors, epoch: usize, names: (&Ids, &Ids), remedy: &'static str) -> Error {
    for (side, ids) in [(Side::User, names.0), (Side::Item, names.1)] {
        if let Some(row) = factors.first_non_finite(side) {
            let id = ids.name(row).to_owned();
            return ErrorKind::NonFinite { side: side.name(), epoch, id, remedy }.into();
        }
    }
    Error::data(format!("the error became non-finite in epoch {epoch}; {remedy}"))
}
