//! The GPU backend, and the only folder that names wgpu. Kernels are the WGSL files under
//! `shaders/`, whole as they are; problems are cut once, at upload, to the device's limits.

mod bind;
mod buffers;
mod copy;
mod device;
mod gibbs;
mod kernels;
mod multiply_add;
mod params;
mod passes;
mod probe;
mod profile;
mod rank;
mod reduce;
mod rows;
mod store;
mod tiles;
mod trusted;

pub use device::{Adapter, Choice, TightLimits, adapters};
pub use kernels::Sources;

use crate::Result;
use crate::backend::{
    Backend, Candidates, Device as DeviceName, DeviceTimes, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, Ranker, RowPasses, RowProblem,
};

/// An open GPU.
pub struct Gpu {
    device: device::Device,
    sources: Sources,
}

impl Gpu {
    /// Opens an adapter.
    ///
    /// # Errors
    /// If there is none of that choice, or it cannot be opened; the message lists what there is.
    pub fn open(choice: &Choice) -> Result<Self> {
        Self::open_with(choice, None, Sources::default())
    }

    /// Opens an adapter with limits below its own, or with other shaders: for tests.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn open_with(
        choice: &Choice,
        tight: Option<TightLimits>,
        sources: Sources,
    ) -> Result<Self> {
        Ok(Self { device: device::Device::open(choice, tight)?, sources })
    }

    /// Times every kernel from now on, see [`Backend::device_times`].
    pub fn profiled(mut self) -> Self {
        self.device.profile = Some(Default::default());
        self
    }

    /// Keeps the checks of loops and indices that kernels do without: for a driver that is not trusted
    /// to go without, and for tests.
    pub fn checked(mut self) -> Self {
        self.device.checked = true;
        self
    }

    /// The adapter.
    pub fn adapter(&self) -> &Adapter {
        &self.device.adapter
    }
}

impl Backend for Gpu {
    fn device(&self) -> DeviceName {
        let adapter = self.adapter();
        DeviceName { backend: "gpu", name: format!("{} ({})", adapter.name, adapter.api) }
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.warm_up()?;
        copy::copy(&self.device, &self.sources)
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.warm_up()?;
        multiply_add::multiply_add(&self.device, &self.sources)
    }

    fn warm_up(&self) -> Result<()> {
        if !self.adapter().is_hardware() {
            return Ok(());
        }
        multiply_add::warm_up(&self.device, &self.sources)
    }

    fn device_times(&self) -> Result<DeviceTimes> {
        match &self.device.profile {
            Some(profile) => profile.read(&self.device),
            None => Ok(DeviceTimes::default()),
        }
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses + '_>> {
        Ok(Box::new(passes::Passes::new(&self.device, &self.sources, problem)?))
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses + '_>> {
        Ok(Box::new(rows::Passes::new(&self.device, &self.sources, problem)?))
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses + '_>> {
        Ok(Box::new(gibbs::Passes::new(&self.device, &self.sources, problem)?))
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker + '_>> {
        Ok(Box::new(rank::Ranking::new(&self.device, &self.sources, &candidates)?))
    }
}
