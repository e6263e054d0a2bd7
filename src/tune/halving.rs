//! Successive halving (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification"; Li et al.
//! 2018, "Hyperband"): all trials train for a few epochs, the best third of them goes on to three times as
//! many, and so on to the end. Where they start is a quasi-random sequence.

use super::Metric;
use super::finalists::steadiest;
use super::rungs::{checkpoint_bytes, lanes_of, promoted, rungs};
use super::sequence::Sequence;
use super::space::{Space, set};
#[cfg(feature = "files")]
use super::storage::Storage;
use super::trial::{Climbed, Ground, Trial};
use super::tuned::{Tuned, best_of};
use crate::backend::Backend;
use crate::core::{Options, Ratings, Settings, Solver};
use crate::data::Prepared;
use crate::evaluate::Relevance;
use crate::train::Checkpoint;
use crate::{Error, Result};
#[cfg(feature = "files")]
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Bytes of checkpoints that are kept in memory; beyond that, trials that go on begin anew, which gives the
/// same bits.
const KEPT: usize = 1 << 30;

/// Training ratings up to which a processor's threads each train a trial of their own.
const SIDE_BY_SIDE: usize = 2_000_000;

/// Points of the sequence that are looked at for each trial: choices come again.
const POINTS: usize = 16;

/// A search for settings.
///
/// ```
/// use wgmf::tune::Tune;
/// use wgmf::{Dataset, Options};
///
/// # fn main() -> wgmf::Result<()> {
/// let (train, held_out) = Dataset::from_files(&["sample/plays.csv"])?.split(0.1, 0)?;
/// let device = wgmf::open_device("cpu")?;
/// let tuned = Tune::new(&train.prepare(Some(&held_out))?, &Options::als().epochs(3), &device)
///     .search(["factors=2,4".parse()?, "reg=0.1..1:log".parse()?])
///     .trials(4)
///     .run()?;
/// let model = wgmf::fit(&train, &tuned.options, &device)?;
/// # assert_eq!(tuned.trials.len(), 4);
/// # let _ = model;
/// # Ok(())
/// # }
/// ```
pub struct Tune<'a> {
    prepared: &'a Prepared,
    pub(super) options: &'a Options,
    device: &'a Arc<dyn Backend>,
    dimensions: Vec<super::Dimension>,
    metric: Option<Metric>,
    relevance: Option<Relevance>,
    trials: usize,
    folds: u32,
    /// Whether the folds were asked for, rather than what is usual.
    asks_folds: bool,
    #[cfg(feature = "files")]
    storage: Option<(PathBuf, bool)>,
    listen: &'a (dyn Fn(usize, &Trial, [usize; 2]) + Sync),
    goes_on: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Tune<'a> {
    /// 40 trials around `options`, each trained on the training part and judged on the test part of what is
    /// prepared. What the options do not say and is not searched is chosen as ever.
    pub fn new(prepared: &'a Prepared, options: &'a Options, device: &'a Arc<dyn Backend>) -> Self {
        Self {
            prepared,
            options,
            device,
            dimensions: Vec::new(),
            metric: None,
            relevance: None,
            trials: 40,
            folds: 1,
            asks_folds: false,
            #[cfg(feature = "files")]
            storage: None,
            listen: &|_, _, _| {},
            goes_on: &|| true,
        }
    }

    /// What is searched; without it what is [usual](Space::usual) for the solver.
    #[must_use]
    pub fn search(mut self, dimensions: impl IntoIterator<Item = super::Dimension>) -> Self {
        self.dimensions.extend(dimensions);
        self
    }

    /// What trials are judged by; without it what training itself [looks at](Metric::usual).
    #[must_use]
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = Some(metric);
        self
    }

    /// Which test pairs lists should have; without it what is [usual](Relevance::usual) for the solver.
    #[must_use]
    pub fn relevance(mut self, relevance: Relevance) -> Self {
        self.relevance = Some(relevance);
        self
    }

    /// How many settings are tried, at most: where there are fewer to choose from, all of them. The first is
    /// what no settings would take.
    #[must_use]
    pub fn trials(mut self, trials: usize) -> Self {
        self.trials = trials;
        self
    }

    /// On how many parts of all ratings, each as large as the test part, those are judged that were trained to
    /// the end: 1 is the test part alone, which is what is done where nothing is said, the others are drawn anew.
    /// Of metrics that training itself measures, and lists of what predicts no ratings; of 3 parts at least, as two
    /// standard errors between settings and none are to be seen on those behind the first.
    #[must_use]
    pub fn folds(mut self, folds: u32) -> Self {
        (self.folds, self.asks_folds) = (folds, true);
        self
    }

    /// The same where more parts can be drawn and are worth their time; else the test part alone.
    #[must_use]
    pub fn usual_folds(mut self, folds: u32) -> Self {
        (self.folds, self.asks_folds) = (folds, false);
        self
    }

    /// A directory in which the search is kept, so that a run that was killed goes on to the same end, and one
    /// of more trials takes over what these have reached; `anew` forgets what is there.
    #[cfg(feature = "files")]
    #[must_use]
    pub fn storage(mut self, dir: impl AsRef<Path>, anew: bool) -> Self {
        self.storage = Some((dir.as_ref().to_owned(), anew));
        self
    }

    /// Who hears of every trial when it was looked at: its number, the trial, and which of how many rungs
    /// it has reached (from 1). On a processor several train side by side and come in any order.
    #[must_use]
    pub fn listen(mut self, listen: &'a (dyn Fn(usize, &Trial, [usize; 2]) + Sync)) -> Self {
        self.listen = listen;
        self
    }

    /// Asked often whether to go on.
    #[must_use]
    pub fn while_true(mut self, goes_on: &'a (dyn Fn() -> bool + Sync)) -> Self {
        self.goes_on = goes_on;
        self
    }

    /// Searches.
    ///
    /// # Errors
    /// No test part; no trials; settings that there are not, or that do not go together; a metric that
    /// does not suit the solver; a storage of another search; a lost device; no trial that could be trained.
    pub fn run(self) -> Result<Tuned> {
        self.options.check()?;
        let prepared = self.prepared;
        let (Some(test), Some(values)) = (&prepared.test, &prepared.test_raw) else {
            return Err(Error::settings(
                "a search needs held-out ratings; give `holdout` or `test`",
            ));
        };
        if self.folds == 0 || self.folds == 2 || self.folds > 100 {
            return Err(Error::settings(
                "`folds`: give 1, or 3 to 100; one part beside the first says nothing of its error",
            ));
        }
        if self.trials == 0 {
            return Err(Error::settings("`trials` 0: at least 1 has to be tried"));
        }
        let (users, items) = (prepared.users.len(), prepared.items.len());
        let suits = self.device.suits();
        let space = match self.dimensions.is_empty() {
            true => Space::usual(self.options, suits, &prepared.train, (users, items))?,
            false => Space::new(self.dimensions.clone())?,
        };
        let sequence = Sequence::new(space.dimensions.len(), self.options.seed);
        let mut trials: Vec<Trial> = Vec::with_capacity(self.trials);
        let mut settings: Vec<Settings> = Vec::with_capacity(self.trials);
        let mut repeats = Vec::new();
        for point in 0..self.trials.saturating_mul(POINTS) {
            let values = match point.checked_sub(1) {
                None => Default::default(),
                Some(n) => space.at(&sequence.point(n))?,
            };
            // Choosing what is not given takes a look at all ratings: once for the same values.
            if trials.iter().any(|trial| trial.values == values) || repeats.contains(&values) {
                continue;
            }
            let options = set(self.options, &values)?;
            let resolved = options.resolve_for(suits, &prepared.train, users, items)?;
            // Other values may be what no settings would take.
            if settings.contains(&resolved) {
                repeats.push(values);
                continue;
            }
            settings.push(resolved);
            trials.push(Trial { values, rungs: Vec::new(), folds: Vec::new() });
            if trials.len() == self.trials {
                break;
            }
        }
        let metric = self.metric.clone().unwrap_or_else(|| Metric::usual(&settings[0]));
        settings.iter().try_for_each(|settings| metric.check(settings))?;
        settings.iter().try_for_each(|settings| prepared.check_for(settings.loss))?;
        let kinds = |of: fn(&Settings) -> bool| settings.iter().any(of);
        if matches!(metric, Metric::Ranking { .. })
            && self.relevance.is_none()
            && kinds(Settings::is_implicit)
            && kinds(|s| !s.is_implicit())
        {
            return Err(Error::settings(
                "what is relevant differs between what makes lists (ials, losses made for ranking) and what predicts \
                 ratings; say with `relevant_from` from which rating on a pair counts",
            ));
        }
        let test = Ratings { values: values.clone(), ..test.clone() };
        let (relevance, goes_on) = (self.relevance, self.goes_on);
        let ground =
            Ground { prepared, test: test.clone(), metric: metric.clone(), relevance, goes_on };
        let rungs = rungs(&settings);
        #[cfg(feature = "files")]
        let storage = self.open_storage(&space, &metric, &mut trials)?;
        let bytes = settings.iter().map(|s| checkpoint_bytes(s, users + items)).sum::<usize>();
        let search = Search {
            tune: &self,
            ground,
            trials: Mutex::new(trials),
            kept: Mutex::new(vec![None; settings.len()]),
            lanes: lanes_of(&settings, users + items),
            settings,
            keeps: bytes <= KEPT,
            #[cfg(feature = "files")]
            storage,
        };
        let no_parts = search.no_parts().filter(|_| self.folds > 1);
        if let Some(why) = no_parts.filter(|_| self.asks_folds) {
            return Err(Error::settings(format!(
                "`folds` {} would change nothing: {why}; leave it out",
                self.folds
            )));
        }
        let parts = match no_parts.is_some() || (search.is_long() && !self.asks_folds) {
            true => 1,
            false => self.folds,
        };
        if self.asks_folds
            && parts > 1
            && !prepared.train.weights.is_empty()
            && test.weights.is_empty()
        {
            return Err(Error::settings(
                "`folds`: nothing is known of what ratings of `test` count, with which they would be trained on; leave \
                 it out, or take `holdout`",
            ));
        }
        let mut complete = search.climb_all(&rungs)?;
        if complete {
            complete = search.redraw(0..parts - 1)?;
        }
        let ratio = test.len() as f64 / prepared.train.len().max(1) as f64;
        let whole: Vec<usize> = search.settings.iter().map(|settings| settings.epochs).collect();
        #[cfg(feature = "files")]
        let Search { trials, storage, .. } = search;
        #[cfg(not(feature = "files"))]
        let Search { trials, .. } = search;
        let trials = trials.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let steady = steadiest(&trials, &metric, ratio).filter(|_| complete);
        let Some(best) = steady.or_else(|| best_of(&trials, &metric, complete)) else {
            let why = trials.iter().find_map(|trial| trial.last()?.failed.clone());
            return Err(match why {
                Some(why) => {
                    Error::data(format!("no trial could be trained; the first says: {why}"))
                }
                None => Error::data("stopped before the first trial was done"),
            });
        };
        let mut options = set(self.options, &trials[best].values)?;
        // What no settings would take is taken whole where it wins.
        if options.solver != Some(Solver::Bayes)
            && steady != Some(0)
            && let Some(rung) = trials[best].best(&metric)
            // A trial that was still getting better when the search was stopped goes on to all its epochs.
            && (complete || rung.best_epoch < rung.epochs || rung.epochs >= whole[best])
        {
            options.epochs = Some(rung.best_epoch);
            options.patience = None;
        }
        let tuned = Tuned { metric, space, trials, best, options, complete };
        #[cfg(feature = "files")]
        if let Some(storage) = storage.filter(|_| complete) {
            storage.finish(&tuned.trials, &tuned.table()?)?;
        }
        Ok(tuned)
    }

    /// Opens the storage, and takes over what it knows of the trials.
    #[cfg(feature = "files")]
    fn open_storage(
        &self,
        space: &Space,
        metric: &Metric,
        trials: &mut [Trial],
    ) -> Result<Option<Storage>> {
        let Some((dir, anew)) = &self.storage else { return Ok(None) };
        let Prepared { users, items, train, test, .. } = self.prepared;
        let ratings = crate::train::fingerprint(users.len(), items.len(), train, test.as_ref());
        let device = self.device.device();
        let search = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            // Threads and vector width of a processor change no bits.
            "device": if device.backend == "cpu" { "cpu" } else { &device.name },
            "ratings": ratings,
            "options": super::space::map_of(self.options)?,
            "space": space,
            "metric": metric.to_string(),
            "folds": self.folds,
            "relevance": self.relevance.map(|relevance| format!("{relevance:?}")),
        });
        let (storage, known) = Storage::open(dir, search, ratings, *anew)?;
        if known.len() > trials.len() {
            return Err(Error::settings(format!(
                "`trials` {}: the search in {} has {}; ask for as many or more, or begin anew with `force`",
                trials.len(),
                dir.display(),
                known.len()
            )));
        }
        // Those that are new come behind them: the sequence is the same.
        for (trial, known) in trials.iter_mut().zip(known) {
            if trial.values == known.values {
                *trial = known;
            }
        }
        storage.record(trials)?;
        Ok(Some(storage))
    }
}

/// A search at work.
pub(super) struct Search<'a, 'b> {
    pub(super) tune: &'b Tune<'a>,
    pub(super) ground: Ground<'b>,
    pub(super) settings: Vec<Settings>,
    pub(super) trials: Mutex<Vec<Trial>>,
    kept: Mutex<Vec<Option<Checkpoint>>>,
    /// Whether checkpoints are kept in memory.
    keeps: bool,
    /// Trials side by side, at most.
    lanes: usize,
    #[cfg(feature = "files")]
    pub(super) storage: Option<Storage>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Search<'_, '_> {
    /// Whether all rungs were climbed.
    fn climb_all(&self, rungs: &[Vec<usize>]) -> Result<bool> {
        let count = rungs.len();
        let mut live: Vec<usize> = (0..self.settings.len()).collect();
        for (rung, epochs) in rungs.iter().enumerate() {
            let climbs = |&trial: &usize| locked(&self.trials)[trial].rungs.len() <= rung;
            let open: Vec<usize> = live.iter().copied().filter(climbs).collect();
            let work = |trial: usize| self.climb(trial, [rung, count], epochs[trial]);
            if !self.side_by_side(&open, &work)? {
                return Ok(false);
            }
            let next = promoted(&live, &locked(&self.trials), rung, &self.ground.metric);
            for &trial in live.iter().filter(|trial| !next.contains(trial)) {
                locked(&self.kept)[trial] = None;
                #[cfg(feature = "files")]
                if let Some(storage) = &self.storage {
                    storage.forget(trial)?;
                }
            }
            live = next;
        }
        Ok(true)
    }

    /// Works through the trials, on a processor several at a time; whether nobody said to stop.
    pub(super) fn side_by_side(
        &self,
        trials: &[usize],
        work: &(dyn Fn(usize) -> Result<bool> + Sync),
    ) -> Result<bool> {
        let threads = rayon::current_num_threads();
        let few = self.ground.prepared.train.len() <= SIDE_BY_SIDE;
        let alone = self.tune.device.device().backend != "cpu" || !few || threads == 1;
        if alone || trials.len() < 2 || self.lanes < 2 {
            for &trial in trials {
                if !work(trial)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let lanes = threads.min(trials.len()).min(self.lanes);
        let next = AtomicUsize::new(0);
        let lane = || -> Result<bool> {
            // What a trial ends at does not depend on the number of threads.
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads / lanes)
                .build()
                .map_err(|e| Error::data(format!("threads cannot be started: {e}")))?;
            while let Some(&trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                match pool.install(|| work(trial)) {
                    Ok(true) => {}
                    // Nobody begins another one.
                    other => {
                        next.store(trials.len(), Ordering::Relaxed);
                        return other;
                    }
                }
            }
            Ok(true)
        };
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
            let mut all = true;
            for lane in lanes {
                all &= lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(all)
        })
    }

    /// Where settings are trained.
    pub(super) fn device_for(&self, settings: &Settings) -> Arc<dyn Backend> {
        let better = self.tune.device.better_for(settings).map(|(device, _)| device);
        better.unwrap_or_else(|| self.tune.device.clone())
    }

    /// Takes a trial to a rung; whether nobody said to stop.
    fn climb(&self, trial: usize, [rung, of]: [usize; 2], epochs: usize) -> Result<bool> {
        let settings = &self.settings[trial];
        let device = &*self.device_for(settings);
        let mut from = locked(&self.kept)[trial].take();
        #[cfg(feature = "files")]
        if let Some(storage) = &self.storage {
            from = storage.kept(trial, &Settings { epochs, ..settings.clone() }, device);
        }
        if from.as_ref().is_some_and(|from| from.history.len() > epochs) {
            from = None;
        }
        let climbed: Climbed =
            self.ground.climb(device, settings, from, (epochs, rung + 1 < of))?;
        let Some((reached, checkpoint)) = climbed else { return Ok(false) };
        self.keep(trial, checkpoint, device)?;
        let mut trials = locked(&self.trials);
        trials[trial].rungs.push(reached);
        #[cfg(feature = "files")]
        if let Some(storage) = &self.storage {
            storage.append_rung(trial, &trials[trial])?;
        }
        (self.tune.listen)(trial, &trials[trial], [rung + 1, of]);
        Ok((self.ground.goes_on)())
    }

    fn keep(
        &self,
        trial: usize,
        checkpoint: Option<Checkpoint>,
        device: &dyn Backend,
    ) -> Result<()> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        #[cfg(feature = "files")]
        if let Some(storage) = &self.storage {
            return storage.keep(trial, &checkpoint, &self.settings[trial], device);
        }
        #[cfg(not(feature = "files"))]
        let _ = device;
        if self.keeps {
            locked(&self.kept)[trial] = Some(checkpoint);
        }
        Ok(())
    }
}
