//! The CPU backend: a kernel a file under `kernels/`, the twin of the shader of that name; beside it
//! which thread does what, by the kind of passes. Its results depend
//! neither on the number of threads nor on the processor's vector width.

mod choices;
mod gibbs;
mod gradient;
mod kernels;
mod need;
mod rank;
mod rows;
mod strata;

use crate::Result;
use crate::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, Device, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, Need, Ranker, RowPasses, RowProblem, StrataPasses,
    StrataProblem,
};
use crate::core::{Settings, Sizes, Suits};
use kernels::sample_scores::sample_scores;
pub(crate) use kernels::sample_scores::{LANES, SampleProblem};
use rayon::prelude::*;

/// The CPU as a device: all threads of the current rayon pool.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    arch: pulp::Arch,
}

impl Cpu {
    /// Finds out which vector instructions this processor has.
    pub fn new() -> Self {
        Self { arch: pulp::Arch::new() }
    }

    /// Scores of items by samples of the posterior, a stripe of [`LANES`] items after the other:
    /// (users) each.
    pub(crate) fn sample_scores(&self, problem: &SampleProblem) -> Vec<Vec<[f64; LANES]>> {
        let needed = problem.needed();
        let stripe = |items: &[u32]| sample_scores(self.arch, problem, &needed, items);
        problem.items.par_chunks(LANES).map(stripe).collect()
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Cpu {
    fn device(&self) -> Device {
        let threads = rayon::current_num_threads();
        let plural = if threads == 1 { "" } else { "s" };
        // Debug text begins with the level's name: V4(..) for AVX-512, V3(..) for AVX2.
        let level = format!("{:?}", self.arch);
        let vectors = match level.split('(').next().unwrap_or_default() {
            "V4" => "AVX-512",
            "V3" => "AVX2",
            other => other,
        };
        let name = format!("CPU, {threads} thread{plural}, {vectors}");
        Device { backend: "cpu", name }
    }

    fn need(&self, settings: &Settings, sizes: &Sizes) -> Need {
        need::passes(settings, sizes)
    }

    fn ranker_need(&self, candidates: usize, factors: usize) -> Need {
        Need::host(kernels::score::Panels::bytes(candidates, factors))
    }

    fn suits(&self) -> Suits {
        Suits::SINGLE_RATINGS
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        Ok(kernels::copy::copy())
    }

    fn operations_per_second(&self) -> Result<f64> {
        Ok(kernels::multiply_add::multiply_add(self.arch))
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        problem.check()?;
        Ok(Box::new(gradient::CpuGradient::new(*self, problem)?))
    }

    fn strata_passes(&self, problem: StrataProblem) -> Result<Box<dyn StrataPasses>> {
        problem.check()?;
        Ok(Box::new(strata::CpuStrata::new(*self, problem)?))
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        problem.check()?;
        Ok(Box::new(choices::CpuChoices::new(*self, problem)?))
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        problem.check()?;
        Ok(Box::new(rows::passes::CpuRows::new(*self, problem)?))
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        problem.check()?;
        Ok(Box::new(gibbs::CpuGibbs::new(*self, problem)?))
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        candidates.check()?;
        Ok(Box::new(rank::CpuRanker::new(*self, &candidates)?))
    }
}
