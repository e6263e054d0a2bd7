//! The one seam between training and the devices. It speaks of passes, not of tensors.

use crate::{Error, Result};

mod gibbs;
mod gradient;
mod rank;
mod rows;

pub use gibbs::{Conditional, GibbsPasses, GibbsProblem, Moments};
pub use gradient::{
    BETA1, BETA2, EPSILON, EpochSums, GradientPasses, GradientProblem, Probe, State, Terms, Visit,
};
pub use rank::{Candidates, Counted, Interval, Ranked, Ranker, WITHIN};
pub use rows::{ObjectiveSums, RowPasses, RowProblem, RowTerms};

/// A device that can run the passes of every solver.
pub trait Backend {
    /// What it is.
    fn device(&self) -> Device;

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

    /// Uploads a problem and readies its passes.
    ///
    /// # Errors
    /// If the problem does not fit the device, or the device is lost.
    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses + '_>>;

    /// Uploads a problem of the row solvers and readies its passes.
    ///
    /// # Errors
    /// If the problem does not fit the device, or the device is lost.
    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses + '_>>;

    /// Uploads a problem of the Gibbs sampler and readies its passes.
    ///
    /// # Errors
    /// If the problem does not fit the device, or the device is lost.
    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses + '_>>;

    /// Uploads items to be ranked.
    ///
    /// # Errors
    /// If they do not fit the device, or the device is lost.
    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker + '_>>;
}

/// What a run was made on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Device {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    /// The device in words.
    pub name: String,
}

/// The answer to [`GradientPasses::kept`] where nothing was.
pub(crate) fn nothing_kept() -> Error {
    Error::data("no parameters were kept")
}
