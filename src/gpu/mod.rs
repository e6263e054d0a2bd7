//! The GPU backend, and the only folder that names wgpu. Kernels are the WGSL files under
//! `shaders/`, whole as they are; problems are cut once, at upload, to the device's limits.
//!
//! What waits for the device is async inside; it blocks here, where the traits of the seam are
//! implemented, and nowhere else.

mod choices;
mod gibbs;
mod gradient;
mod need;
mod rank;
mod rows;
mod shared;

pub use shared::device::{Adapter, Choice, TightLimits};
pub use shared::failure::{Failure, PATIENCE, Trouble, is_waiting};
pub use shared::kernels::Sources;

use crate::Result;
use crate::backend::{
    Backend, Candidates, ChoiceBatches, ChoicePasses, ChoiceProbe, ChoiceProblem, Conditional,
    Counted, Device as DeviceName, DeviceTimes, EpochSums, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, Interval, MomentBlocks, Need, ObjectiveBlocks, Probe, Ranked,
    Ranker, RowPasses, RowProblem, State, Visit,
};
use crate::core::{ChoiceBatch, Factors, Settings, Side, SideFactors, Sizes};
use pollster::block_on;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// An open GPU. What is made on it shares the device, which closes with the last of them.
#[derive(Clone)]
pub struct Gpu {
    device: Arc<shared::device::Device>,
    sources: Arc<Sources>,
}

/// All adapters of this machine, the best first: discrete, integrated, virtual, other, software.
pub fn adapters() -> Vec<Adapter> {
    block_on(shared::device::adapters())
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu").field("adapter", self.adapter()).finish_non_exhaustive()
    }
}

impl Gpu {
    /// Opens an adapter.
    ///
    /// # Errors
    /// If there is none of that choice, or it cannot be opened; the message lists what there is.
    pub fn open(choice: &Choice) -> Result<Self> {
        block_on(Self::open_async(choice))
    }

    /// As [`Gpu::open`], for who must not block.
    ///
    /// # Errors
    /// As there.
    pub async fn open_async(choice: &Choice) -> Result<Self> {
        let device = Arc::new(shared::device::Device::open(choice, None).await?);
        Ok(Self { device, sources: Arc::default() })
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
        let device = Arc::new(block_on(shared::device::Device::open(choice, tight))?);
        Ok(Self { device, sources: Arc::new(sources) })
    }

    /// Times every kernel that is made from now on, by its clones too; see [`Backend::device_times`].
    pub fn profiled(self) -> Self {
        self.device.profile.get_or_init(Default::default);
        self
    }

    /// Keeps the checks of loops and indices that kernels do without, in every kernel that is made from
    /// now on, by its clones too: for a driver that is not trusted to go without, and for tests.
    pub fn checked(self) -> Self {
        self.device.checked.store(true, Ordering::Relaxed);
        self
    }

    /// Takes a device for hung that does not answer for so long, instead of [`PATIENCE`]; for its clones
    /// and all that was made of it too.
    pub fn patience(self, patience: Duration) -> Self {
        self.device.set_patience(patience);
        self
    }

    /// Lets the device fail from now on when `trouble` says, for tests; nothing does so at `None`.
    /// Submissions, buffers and waits are counted anew.
    pub fn failing(&self, trouble: Option<Trouble>) {
        self.device.plan.ask(trouble);
    }

    /// How many submissions, buffers and waits there were since [`failing`](Self::failing).
    pub fn counts(&self) -> [usize; 3] {
        self.device.plan.counts()
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

    fn need(&self, settings: &Settings, sizes: &Sizes) -> Need {
        need::passes(&self.device, shared::device::limits(&self.device), settings, sizes)
    }

    fn ranker_need(&self, candidates: usize, factors: usize) -> Need {
        need::ranker(&self.device, candidates, factors)
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.warm_up()?;
        block_on(shared::copy::copy(&self.device, &self.sources))
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.warm_up()?;
        block_on(shared::multiply_add::multiply_add(&self.device, &self.sources))
    }

    fn warm_up(&self) -> Result<()> {
        if !self.adapter().is_hardware() {
            return Ok(());
        }
        block_on(shared::multiply_add::warm_up(&self.device, &self.sources))
    }

    fn device_times(&self) -> Result<DeviceTimes> {
        match self.device.profile.get() {
            Some(profile) => block_on(profile.read(&self.device)),
            None => Ok(DeviceTimes::default()),
        }
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        problem.check()?;
        let passes = gradient::GpuGradient::new(&self.device, &self.sources, problem);
        Ok(Box::new(block_on(passes)?))
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        problem.check()?;
        let passes = choices::GpuChoices::new(&self.device, &self.sources, problem);
        Ok(Box::new(block_on(passes)?))
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        problem.check()?;
        Ok(Box::new(block_on(rows::GpuRows::new(&self.device, &self.sources, problem))?))
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        problem.check()?;
        Ok(Box::new(block_on(gibbs::GpuGibbs::new(&self.device, &self.sources, problem))?))
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        candidates.check()?;
        Ok(Box::new(block_on(rank::GpuRanker::new(&self.device, &self.sources, &candidates))?))
    }
}

impl GradientPasses for gradient::GpuGradient {
    fn epoch(
        &mut self,
        visits: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        block_on(gradient::GpuGradient::epoch(self, visits, watch))
    }

    fn test_loss(&mut self) -> Result<f64> {
        block_on(gradient::GpuGradient::test_loss(self))
    }

    fn keep(&mut self) -> Result<()> {
        gradient::GpuGradient::keep(self)
    }

    fn kept(&mut self) -> Result<Factors> {
        block_on(gradient::GpuGradient::kept(self))
    }

    fn factors(&mut self) -> Result<Factors> {
        block_on(gradient::GpuGradient::factors(self))
    }

    fn state(&mut self) -> Result<State> {
        block_on(gradient::GpuGradient::state(self))
    }

    fn probe(&mut self, batch: usize) -> Result<Probe> {
        block_on(self.read_probe(batch))
    }
}

impl ChoicePasses for choices::GpuChoices {
    fn epoch(
        &mut self,
        batches: &mut ChoiceBatches,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        block_on(choices::GpuChoices::epoch(self, batches, watch))
    }

    fn keep(&mut self) -> Result<()> {
        choices::GpuChoices::keep(self)
    }

    fn kept(&mut self) -> Result<Factors> {
        block_on(choices::GpuChoices::kept(self))
    }

    fn factors(&mut self) -> Result<Factors> {
        block_on(choices::GpuChoices::factors(self))
    }

    fn state(&mut self) -> Result<State> {
        block_on(choices::GpuChoices::state(self))
    }

    fn probe(&mut self, batch: &ChoiceBatch) -> Result<ChoiceProbe> {
        block_on(self.read_probe(batch))
    }
}

impl RowPasses for rows::GpuRows {
    fn solve(
        &mut self,
        side: Side,
        rows: Range<usize>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        block_on(rows::GpuRows::solve(self, side, rows, watch))
    }

    fn rows(&mut self, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        block_on(rows::GpuRows::rows(self, side, rows))
    }

    fn put_rows(&mut self, side: Side, rows: Range<usize>, values: &SideFactors) -> Result<()> {
        rows::GpuRows::put_rows(self, side, rows, values)
    }

    fn gram(&mut self, side: Side, rows: Range<usize>) -> Result<Vec<Vec<f64>>> {
        block_on(rows::GpuRows::gram(self, side, rows))
    }

    fn set_gram(&mut self, side: Side, gram: &[f64]) -> Result<()> {
        rows::GpuRows::set_gram(self, side, gram)
    }

    fn objective(&mut self, rows: [Range<usize>; 2]) -> Result<ObjectiveBlocks> {
        block_on(rows::GpuRows::objective(self, rows))
    }

    fn test_loss(&mut self) -> Result<f64> {
        block_on(rows::GpuRows::test_loss(self))
    }

    fn keep(&mut self) -> Result<()> {
        rows::GpuRows::keep(self)
    }

    fn kept(&mut self) -> Result<Factors> {
        block_on(rows::GpuRows::kept(self))
    }

    fn factors(&mut self) -> Result<Factors> {
        block_on(rows::GpuRows::factors(self))
    }
}

impl GibbsPasses for gibbs::GpuGibbs {
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        conditional: &Conditional,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        block_on(gibbs::GpuGibbs::draw(self, chain, side, rows, conditional, watch))
    }

    fn rows(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        block_on(gibbs::GpuGibbs::rows(self, chain, side, rows))
    }

    fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        gibbs::GpuGibbs::put_rows(self, chain, side, rows, values)
    }

    fn moments(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<MomentBlocks> {
        block_on(gibbs::GpuGibbs::moments(self, chain, side, rows))
    }

    fn squared_errors(&mut self, chain: usize, users: Range<usize>) -> Result<Vec<f64>> {
        block_on(gibbs::GpuGibbs::squared_errors(self, chain, users))
    }

    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        block_on(gibbs::GpuGibbs::training_predictions(self, chain))
    }

    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        block_on(gibbs::GpuGibbs::test_predictions(self, chain))
    }

    fn factors(&mut self, chain: usize) -> Result<Factors> {
        block_on(gibbs::GpuGibbs::factors(self, chain))
    }
}

impl Ranker for rank::GpuRanker {
    fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>> {
        block_on(rank::GpuRanker::top(self, queries, excluded, n))
    }

    fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>> {
        block_on(rank::GpuRanker::count(self, queries, excluded, intervals))
    }
}
