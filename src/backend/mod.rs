//! The one seam between training and the devices. It speaks of passes, not of tensors.
//!
//! Row solvers and the sampler speak of ranges of rows and of blocks, so that several devices, or
//! machines, that hold the same problem can share its work: each solves (or draws) a range of a side's
//! rows, hands its rows to the others by `rows` and `put_rows`, and sums its blocks; who called joins
//! them. Rows and sums have the same bits as those of one device of that kind that did all.
//!
//! Sums over a side's rows are made by *blocks*: runs of consecutive rows that depend on the problem
//! alone. What is asked of a range of rows comes of the blocks that begin in it, in order, so that
//! ranges that follow one another give every block once; [`join_blocks`] adds them. On the CPU a block is
//! a row (squared errors), some thousand rows (regularization, moments), or a 32nd of the side (Gram
//! matrices). A GPU reduces sums in an order of its own: there the block is the whole side, and whoever has
//! row 0 gives it.

use crate::core::{Settings, Sizes, Suits};
use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

mod biases;
mod choices;
mod gibbs;
mod gradient;
mod need;
mod rank;
mod rows;
mod strata;

pub(crate) use biases::gibbs_passes;
pub use choices::{
    ChoiceBatches, ChoicePasses, ChoiceProbe, ChoiceProblem, ChoiceSizes, ChoiceTerms, adam_rate,
};
pub use gibbs::{Conditional, GibbsPasses, GibbsProblem, MomentBlocks, Moments};
pub use gradient::{
    BETA1, BETA2, EPSILON, EpochSums, GradientPasses, GradientProblem, Probe, State, Terms, Visit,
};
pub use need::Need;
pub(crate) use rank::reaches;
pub use rank::{Candidates, Counted, Interval, Ranked, Ranker, WITHIN};
pub use rows::{ObjectiveBlocks, ObjectiveSums, RowPasses, RowProblem, RowTerms};
pub(crate) use rows::{check_gram, check_rows};
pub use strata::{StrataPasses, StrataProblem};

/// A device that can run the passes of every solver. What it hands out owns what it needs, the
/// device included, and may outlive it, move to another thread, and (a [`Ranker`]) serve several
/// threads at once.
///
/// The calls block: a `dyn` trait has no async functions without a box around every future, and the
/// CPU has nothing to wait for. Who must not block opens the device with
/// [`Gpu::open_async`](crate::gpu::Gpu::open_async) and runs the passes on a thread of their own.
pub trait Backend: Send + Sync {
    /// What it is.
    fn device(&self) -> Device;

    /// What kinds of training suit it, for settings that leave that open.
    fn suits(&self) -> Suits {
        Suits::LARGE_BATCHES
    }

    /// The device that training with these settings goes to instead, and why, for people: of one that was
    /// chosen among several (`auto`) and suits these settings badly. None of one that was asked for.
    fn better_for(&self, settings: &Settings) -> Option<(Arc<dyn Backend>, String)> {
        let _ = settings;
        None
    }

    /// Whether work goes on elsewhere where this device fails: see [`fall_back`](Self::fall_back).
    fn has_fallback(&self) -> bool {
        false
    }

    /// Told that something on this device failed with `error`: the device that goes on with it, if one was
    /// named for that and it was the device that failed. What is asked of this one later goes there too.
    fn fall_back(&self, error: &Error) -> Option<Arc<dyn Backend>> {
        let _ = error;
        None
    }

    /// The device that failed, and its error, where another has taken its place.
    fn failed(&self) -> Option<(Device, String)> {
        None
    }

    /// What the passes of these settings' solver need of memory beside the problem that they are given, whose
    /// sizes are these. Nothing where nobody knows.
    fn need(&self, settings: &Settings, sizes: &Sizes) -> Need {
        let _ = (settings, sizes);
        Need::default()
    }

    /// What a ranker of so many candidates of `factors` numbers needs of memory beside these.
    fn ranker_need(&self, candidates: usize, factors: usize) -> Need {
        let _ = (candidates, factors);
        Need::default()
    }

    /// Bytes a second that a plain copy reads and writes on this device: the measure of passes that
    /// only move data.
    ///
    /// # Errors
    /// If the device is lost.
    fn copy_bytes_per_second(&self) -> Result<f64>;

    /// Floating-point operations a second, two for each multiply-add in registers: the measure of
    /// passes that mostly compute.
    ///
    /// # Errors
    /// If the device is lost.
    fn operations_per_second(&self) -> Result<f64>;

    /// Keeps the device at work for a moment, so that one that saves power while it waits is measured
    /// at the pace it keeps.
    ///
    /// # Errors
    /// If the device is lost.
    fn warm_up(&self) -> Result<()> {
        Ok(())
    }

    /// Where the device's time went since the last call, if it is profiled. Nothing, where there is
    /// nothing to tell.
    ///
    /// # Errors
    /// If the device is lost.
    fn device_times(&self) -> Result<DeviceTimes> {
        Ok(DeviceTimes::default())
    }

    /// Uploads a problem and readies its passes.
    ///
    /// # Errors
    /// If start, moments and held-out ratings do not fit the batches; if the problem does not fit the
    /// device, or the device is lost.
    ///
    /// # Panics
    /// If the arrays of the batches do not fit each other, as those of [`Batches::new`] do.
    ///
    /// [`Batches::new`]: crate::core::Batches::new
    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>>;

    /// Uploads a problem of gradient descent rating by rating and readies its passes.
    ///
    /// # Errors
    /// If start and held-out ratings do not fit the strata; of a device that only takes batches.
    ///
    /// # Panics
    /// If the arrays of the strata do not fit each other, as those of [`Strata::new`] do.
    ///
    /// [`Strata::new`]: crate::core::Strata::new
    fn strata_passes(&self, problem: StrataProblem) -> Result<Box<dyn StrataPasses>> {
        let _ = problem;
        let name = self.device().name;
        Err(Error::settings(format!(
            "`batch_size` 0: sgd goes rating by rating on the CPU alone; give {name} a `batch_size` above 0, \
             or take `backend` cpu"
        )))
    }

    /// Uploads a problem of a loss made for ranking and readies its passes.
    ///
    /// # Errors
    /// If start and moments do not fit the rows; if the problem does not fit the device, or the device is
    /// lost.
    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>>;

    /// Uploads a problem of the row solvers and readies its passes.
    ///
    /// # Errors
    /// If the parts of the problem do not fit each other, or the device; if the device is lost.
    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>>;

    /// Uploads a problem of the Gibbs sampler and readies its passes.
    ///
    /// # Errors
    /// If the parts of the problem do not fit each other, or the device; if the device is lost.
    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>>;

    /// Uploads items to be ranked, once for the life of the ranker.
    ///
    /// # Errors
    /// If the numbers are no whole rows of one factor or more, with a bias each; if they do not fit the
    /// device, or the device is lost.
    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>>;
}

impl fmt::Debug for dyn Backend + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Backend").field(&self.device()).finish()
    }
}

/// Does `work`; where the device fails, all of it again on the one that takes its place, if there is one.
pub(crate) fn or_fall_back<T>(
    backend: &dyn Backend,
    work: impl Fn(&dyn Backend) -> Result<T>,
) -> Result<T> {
    match work(backend) {
        Err(error) => match backend.fall_back(&error) {
            Some(next) => work(&*next),
            None => Err(error),
        },
        done => done,
    }
}

/// What a run was made on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Device {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub name: String,
}

/// Where a device's time went.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct DeviceTimes {
    /// How often work was handed over.
    pub submissions: usize,
    /// Each kernel once, in the order of their first dispatches.
    pub kernels: Vec<KernelTime>,
}

/// Time of a kernel.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct KernelTime {
    /// Its name.
    pub kernel: &'static str,
    /// How often it was dispatched.
    pub dispatches: usize,
    /// Seconds on the device, where it can be timed.
    pub seconds: Option<f64>,
}

impl DeviceTimes {
    /// Adds time of a kernel to what it has.
    pub(crate) fn add(&mut self, time: KernelTime) {
        match self.kernels.iter_mut().find(|known| known.kernel == time.kernel) {
            Some(known) => {
                known.dispatches += time.dispatches;
                known.seconds = known.seconds.zip(time.seconds).map(|(a, b)| a + b);
            }
            None => self.kernels.push(time),
        }
    }
}

/// Problems have a factor at least.
fn check_factors(factors: usize) -> Result<()> {
    match factors {
        0 => Err(Error::settings("`factors` 0: must be 1 or more")),
        _ => Ok(()),
    }
}

/// Coordinates are solved one at a time at least.
fn check_block(block: usize) -> Result<()> {
    match block {
        0 => Err(Error::settings("`block` 0: must be 1 or more")),
        _ => Ok(()),
    }
}

/// Every row of a side: a range reaches no further than its side does.
pub const ALL: Range<usize> = 0..usize::MAX;

/// The part of `rows` that a side of `count` has.
pub(crate) fn within(rows: &Range<usize>, count: usize) -> Range<usize> {
    let end = rows.end.min(count);
    rows.start.min(end)..end
}

/// Adds blocks of sums, each of the same length, in their order; nothing comes of none.
pub fn join_blocks(blocks: impl IntoIterator<Item = Vec<f64>>) -> Vec<f64> {
    let mut blocks = blocks.into_iter();
    let mut total = blocks.next().unwrap_or_default();
    for block in blocks {
        total.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
    }
    total
}

/// The answer to [`GradientPasses::kept`] where nothing was.
pub(crate) fn nothing_kept() -> Error {
    Error::data("no parameters were kept")
}
