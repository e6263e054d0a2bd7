//! A device with another behind it, which takes its place where it fails.

use crate::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, Counted, Device, DeviceTimes, GibbsPasses,
    GibbsProblem, GradientPasses, GradientProblem, Interval, Need, Ranked, Ranker, RowPasses,
    RowProblem, StrataPasses, StrataProblem, or_fall_back,
};
use crate::core::{Settings, Sizes, Suits};
use crate::cpu::Cpu;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Hears of a device that failed, with its error, and which one takes its place.
type Told = dyn Fn(&Error, &Device) + Send + Sync;

/// A device, and the CPU for when it is lost, hangs, has no memory left, or is too small.
///
/// Lists, ranks and rows that are folded in are then made again from the beginning. Training goes on from
/// the last epoch whose state is known on the host: there is a copy of it after the first epoch and then
/// as often as that takes a twentieth of the time, beside those of checkpoints. The bits of such a model are
/// those of neither device; its record has [`fallback`](crate::model::RunRecord::fallback). A device that
/// has failed is not tried again.
///
/// ```
/// use wgmf::{Dataset, Fallback, Options};
///
/// # fn main() -> wgmf::Result<()> {
/// # let plays = Dataset::from_files(&["sample/plays.csv"])?;
/// let device = Fallback::to_cpu(wgmf::open_device("auto")?, |error, cpu| {
///     eprintln!("{error}; {} goes on", cpu.name);
/// });
/// let model = wgmf::fit(&plays, &Options::als().factors(8), &device)?;
/// assert!(model.model().run.fallback.is_none());
/// # Ok(())
/// # }
/// ```
pub struct Fallback(Arc<Pair>);

struct Pair {
    first: Arc<dyn Backend>,
    second: Arc<dyn Backend>,
    /// What the first one failed with.
    failed: OnceLock<String>,
    told: Box<Told>,
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { first, second, failed, .. } = &*self.0;
        f.debug_struct("Fallback")
            .field("first", first)
            .field("second", second)
            .field("failed", failed)
            .finish_non_exhaustive()
    }
}

impl Fallback {
    /// `device`, and behind it the CPU; `told` hears of the change, once.
    pub fn to_cpu(
        device: Arc<dyn Backend>,
        told: impl Fn(&Error, &Device) + Send + Sync + 'static,
    ) -> Arc<dyn Backend> {
        Self::between(device, Arc::new(Cpu::new()), told)
    }

    fn between(
        first: Arc<dyn Backend>,
        second: Arc<dyn Backend>,
        told: impl Fn(&Error, &Device) + Send + Sync + 'static,
    ) -> Arc<dyn Backend> {
        let pair = Pair { first, second, failed: OnceLock::new(), told: Box::new(told) };
        Arc::new(Fallback(Arc::new(pair)))
    }
}

impl Pair {
    /// The one that work goes to now.
    fn now(&self) -> &Arc<dyn Backend> {
        if self.failed.get().is_some() { &self.second } else { &self.first }
    }

    fn fall_back(&self, error: &Error) -> Option<Arc<dyn Backend>> {
        if !matches!(error.kind(), ErrorKind::Device(_)) {
            return None;
        }
        let mut first_to_say = false;
        self.failed.get_or_init(|| {
            first_to_say = true;
            error.to_string()
        });
        if first_to_say {
            (self.told)(error, &self.second.device());
        }
        Some(self.second.clone())
    }
}

impl Backend for Fallback {
    fn device(&self) -> Device {
        self.0.now().device()
    }

    fn suits(&self) -> Suits {
        self.0.now().suits()
    }

    fn better_for(&self, settings: &Settings) -> Option<(Arc<dyn Backend>, String)> {
        self.0.now().better_for(settings)
    }

    fn has_fallback(&self) -> bool {
        self.0.failed.get().is_none()
    }

    fn fall_back(&self, error: &Error) -> Option<Arc<dyn Backend>> {
        self.0.fall_back(error)
    }

    fn failed(&self) -> Option<(Device, String)> {
        self.0.failed.get().map(|error| (self.0.first.device(), error.clone()))
    }

    fn need(&self, settings: &Settings, sizes: &Sizes) -> Need {
        // The second may have to do it once the first has failed, and is gone.
        self.0.now().need(settings, sizes).max(self.0.second.need(settings, sizes))
    }

    fn ranker_need(&self, candidates: usize, factors: usize) -> Need {
        // The candidates are kept for the second.
        let kept = Need::host(4 * candidates as u64 * (factors as u64 + 1));
        kept + self.0.now().ranker_need(candidates, factors)
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        or_fall_back(self, |_| self.0.now().copy_bytes_per_second())
    }

    fn operations_per_second(&self) -> Result<f64> {
        or_fall_back(self, |_| self.0.now().operations_per_second())
    }

    fn warm_up(&self) -> Result<()> {
        or_fall_back(self, |_| self.0.now().warm_up())
    }

    fn device_times(&self) -> Result<DeviceTimes> {
        or_fall_back(self, |_| self.0.now().device_times())
    }

    // Who takes passes goes back to a state of his own where they fail: they are the device's own.
    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        self.0.now().gradient_passes(problem)
    }

    fn strata_passes(&self, problem: StrataProblem) -> Result<Box<dyn StrataPasses>> {
        self.0.now().strata_passes(problem)
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        self.0.now().choice_passes(problem)
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        self.0.now().row_passes(problem)
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        self.0.now().gibbs_passes(problem)
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        if self.0.failed.get().is_some() {
            return self.0.second.ranker(candidates);
        }
        match self.0.first.ranker(candidates) {
            Ok(first) => Ok(Box::new(EitherRanker {
                pair: self.0.clone(),
                first,
                second: OnceLock::new(),
                factors: candidates.factors,
                rows: candidates.rows.to_vec(),
                bias: candidates.bias.to_vec(),
            })),
            Err(error) => match self.0.fall_back(&error) {
                Some(second) => second.ranker(candidates),
                None => Err(error),
            },
        }
    }
}

/// Candidates on the first device, and on the host for the second.
struct EitherRanker {
    pair: Arc<Pair>,
    first: Box<dyn Ranker>,
    second: OnceLock<Box<dyn Ranker>>,
    factors: usize,
    rows: Vec<f32>,
    bias: Vec<f32>,
}

impl EitherRanker {
    /// A call is answered by one device, whole.
    fn ask<T>(&self, work: impl Fn(&dyn Ranker) -> Result<T>) -> Result<T> {
        if self.pair.failed.get().is_none() {
            match work(&*self.first) {
                Err(error) if self.pair.fall_back(&error).is_none() => return Err(error),
                Err(_) => {}
                answered => return answered,
            }
        }
        if self.second.get().is_none() {
            let candidates =
                Candidates { factors: self.factors, rows: &self.rows, bias: &self.bias };
            // Another thread may have been as quick.
            let _ = self.second.set(self.pair.second.ranker(candidates)?);
        }
        match self.second.get() {
            Some(second) => work(&**second),
            None => work(&*self.first),
        }
    }
}

impl Ranker for EitherRanker {
    fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>> {
        self.ask(|ranker| ranker.top(queries, excluded, n))
    }

    fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>> {
        self.ask(|ranker| ranker.count(queries, excluded, intervals))
    }

    // As many roundings as there can be: who asked may get his answer from either.
    fn top_and_count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        n: usize,
        intervals: &[Interval],
    ) -> Result<(Vec<Vec<Ranked>>, Vec<Counted>)> {
        self.ask(|ranker| ranker.top_and_count(queries, excluded, n, intervals))
    }
}
