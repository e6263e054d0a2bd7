//! The gradient solvers' passes: what lies on the device, and what is dispatched in which order.
//!
//! For each batch: `residual` over the leading side, `gradient` over the following side, then `step`
//! for both. Many batches go into one submission; two submissions are in flight at most. Per epoch
//! the step sizes go up and a few sums come back.

use super::bind::BatchCommands;
use super::plan::GradientPlan;
use super::store::{ArrayBuffers, ChunkBuffers, Kernels, Visits, fits};
use crate::backend::{EpochSums, GradientProblem, State, Terms, Visit, nothing_kept};
use crate::core::{Batches, Factors, Ratings, Side};
use crate::gpu::shared::device::{Device, limits};
use crate::gpu::shared::held_out::{Predictor, Test};
use crate::gpu::shared::kernels::{Dispatch, Kernel, Sources, dispatch};
use crate::gpu::shared::model::{Biases, SideBuffers, keep, logical};
use crate::gpu::shared::reduce::Reductions;
use crate::gpu::shared::tiles::{Limits, Team, Tiles};
use crate::{Error, Result};
use std::ops::ControlFlow;
use std::sync::Arc;

/// A submission is closed when it holds so many ratings: progress and Ctrl-C act between them.
const SUBMIT_RATINGS: usize = 1 << 20;

/// A submission is closed when it holds so many batches.
const SUBMIT_BATCHES: usize = 256;

/// Batches at most: each has bind groups and parameters of its own, a few KB together.
const MOST_BATCHES: usize = 1 << 19;

/// A problem on a GPU.
pub struct GpuGradient {
    pub(in crate::gpu) device: Arc<Device>,
    pub(in crate::gpu) kernels: Kernels,
    pub(in crate::gpu) batches: Batches,
    pub(in crate::gpu) terms: Terms,
    pub(in crate::gpu) plan: GradientPlan,
    pub(in crate::gpu) lead: SideBuffers,
    pub(in crate::gpu) follow: SideBuffers,
    pub(in crate::gpu) biases: Biases,
    pub(in crate::gpu) residuals: wgpu::Buffer,
    pub(in crate::gpu) chunks: Vec<ChunkBuffers>,
    pub(in crate::gpu) commands: Vec<BatchCommands>,
    pub(in crate::gpu) visits: Visits,
    pub(in crate::gpu) train_loss: Reductions,
    pub(in crate::gpu) test: Option<Test>,
    /// Shape and `μ` of the model; its arrays are empty.
    pub(in crate::gpu) like: Factors,
}

impl GpuGradient {
    /// Cuts, uploads and binds a problem.
    pub async fn new(
        device: &Arc<Device>,
        sources: &Sources,
        problem: GradientProblem,
    ) -> Result<Self> {
        let GradientProblem { mut batches, test, start, terms } = problem;
        let like = Factors {
            factors: start.factors.factors,
            global_mean: start.factors.global_mean,
            ..Factors::default()
        };
        let team = Team::new(like.factors);
        if batches.len() > MOST_BATCHES {
            return Err(Error::device(format!(
                "{} batches are more than a GPU can be told of at once; raise `batch_size` to {} \
                 or more, or use `backend` cpu",
                batches.len(),
                batches.ratings().div_ceil(MOST_BATCHES)
            )));
        }
        let kernels =
            Kernels::new(device, sources, team, &terms, !batches.weights.is_empty()).await?;
        let limits = limits(device);
        let weight = |side: Side, row: u32| {
            let ratings = batches.row_ratings(side)[row as usize];
            (terms.row_weight(ratings), terms.row_share(ratings))
        };
        let (plan, chunks) = GradientPlan::new(&batches, team, limits, weight, |chunk| {
            let buffers = ChunkBuffers {
                lead: ArrayBuffers::new(device, &chunk.lead),
                follow: ArrayBuffers::new(device, &chunk.follow),
            };
            fits(device, &batches, like.factors)?;
            Ok(buffers)
        })?;
        let lead_side = batches.lead_side;
        let side = |side, tiles, slots| SideBuffers::new(device, side, tiles, slots, team, &start);
        let lead = side(lead_side, &plan.lead, &plan.lead_slots);
        let follow = side(lead_side.partner(), &plan.follow, &plan.follow_slots);
        let biases = Biases::new(device, &start, limits)?;
        let residuals = device.storage("residuals", plan.largest_batch as u64 * 4);
        fits(device, &batches, like.factors)?;
        // It lies on the device now; what is asked for later counts the leading side's positions.
        (batches.values, batches.links, batches.follow) = Default::default();
        batches.weights = Vec::new();

        let train_loss = {
            let sums = chunks.iter().map(|c| (&c.lead.sums, c.lead.sums_len)).collect::<Vec<_>>();
            Reductions::new(device, &kernels.reduce, &sums)
        };
        let mut passes = Self {
            visits: Visits::new(device, batches.len()),
            commands: Vec::new(),
            test: None,
            device: device.clone(),
            kernels,
            batches,
            terms,
            plan,
            lead,
            follow,
            biases,
            residuals,
            chunks,
            train_loss,
            like,
        };
        passes.commands = passes.bind_batches();
        if !test.is_empty() {
            passes.test = Some(passes.bind_test(&test, limits));
        }
        device.check()?;
        Ok(passes)
    }

    fn bind_test(&self, test: &Ratings, limits: Limits) -> Test {
        let (users, user_tiles) = self.side(Side::User);
        let (items, item_tiles) = self.side(Side::Item);
        let model = Predictor {
            users: (&users.factors, user_tiles),
            items: (&items.factors, item_tiles),
            biases: &self.biases,
            team: self.plan.team,
            global_mean: self.like.global_mean,
        };
        Test::new(&self.device, (&self.kernels.error, &self.kernels.reduce), &model, test, limits)
    }

    pub(in crate::gpu) fn sides(&self) -> [(Side, &SideBuffers, &Tiles); 2] {
        let lead_side = self.batches.lead_side;
        [
            (lead_side, &self.lead, &self.plan.lead),
            (lead_side.partner(), &self.follow, &self.plan.follow),
        ]
    }

    pub(in crate::gpu) fn side(&self, side: Side) -> (&SideBuffers, &Tiles) {
        let [lead, follow] = self.sides();
        let (_, buffers, tiles) = if lead.0 == side { lead } else { follow };
        (buffers, tiles)
    }

    pub(in crate::gpu) fn run(&self, passes: &[(&Kernel, &[Dispatch])]) -> wgpu::SubmissionIndex {
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (kernel, dispatches) in passes {
                dispatch(&mut pass, kernel, dispatches);
            }
        }
        self.device.submit(encoder)
    }

    /// Joins matrices and biases into the form that does not depend on the backend.
    pub(in crate::gpu) async fn logical(
        &self,
        pick: impl Fn(&SideBuffers) -> &[wgpu::Buffer],
        biases: Vec<f32>,
    ) -> Result<Factors> {
        let of = |side| {
            let (buffers, tiles) = self.side(side);
            (pick(buffers), tiles)
        };
        let matrices = [of(Side::User), of(Side::Item)];
        logical(&self.device, &self.like, self.plan.team, matrices, &self.biases, &biases).await
    }
}

/// What [`GradientPasses`](crate::backend::GradientPasses) is made of.
impl GpuGradient {
    pub async fn epoch(
        &mut self,
        visits: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        self.visits.write(&self.device, visits);
        let mut done = 0;
        let mut in_flight = None;
        let mut rest = visits;
        while !rest.is_empty() {
            let mut ratings = 0;
            let mut count = 0;
            while count < rest.len() && count < SUBMIT_BATCHES && ratings < SUBMIT_RATINGS {
                ratings += self.plan.batches[rest[count].batch as usize].ratings;
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            rest = later;
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for visit in now {
                    let commands = &self.commands[visit.batch as usize];
                    dispatch(&mut pass, &self.kernels.residual, &commands.residual);
                    dispatch(&mut pass, &self.kernels.gradient, &commands.gradient);
                    dispatch(&mut pass, &self.kernels.step, &commands.step);
                }
            }
            let submission = self.device.submit(encoder);
            if let Some(before) = in_flight.replace(submission) {
                self.device.wait(Some(before)).await?;
            }
            done += ratings;
            // After the last batch there is nothing to break off.
            if watch(done).is_break() && !rest.is_empty() {
                self.device.wait(None).await?;
                return Ok(EpochSums { loss: f64::NAN, ratings: done });
            }
        }
        self.run(&[(&self.kernels.reduce, &self.train_loss.dispatches)]);
        Ok(EpochSums { loss: self.train_loss.read(&self.device).await?, ratings: done })
    }

    pub async fn test_loss(&mut self) -> Result<f64> {
        let Some(test) = &self.test else { return Ok(0.0) };
        self.run(&[
            (&self.kernels.error, &test.dispatches),
            (&self.kernels.reduce, &test.loss.dispatches),
        ]);
        test.loss.read(&self.device).await
    }

    pub fn keep(&mut self) -> Result<()> {
        keep(&self.device, [&mut self.lead, &mut self.follow], &mut self.biases);
        self.device.check()
    }

    pub async fn kept(&mut self) -> Result<Factors> {
        let Some(kept) = &self.biases.kept else { return Err(nothing_kept()) };
        let biases = self.device.read(kept, 0, self.biases.rows).await?;
        self.logical(|side| &side.kept, biases).await
    }

    pub async fn factors(&mut self) -> Result<Factors> {
        let biases = self.device.read(&self.biases.values, 0, self.biases.rows).await?;
        self.logical(|side| &side.factors, biases).await
    }

    pub async fn state(&mut self) -> Result<State> {
        let factors = self.factors().await?;
        let pairs: Vec<[f32; 2]> = match self.terms.moments() {
            0 => Vec::new(),
            _ => self.device.read(&self.biases.moments, 0, self.biases.rows).await?,
        };
        let mut moments = Vec::new();
        for j in 0..self.terms.moments() {
            let biases = pairs.iter().map(|pair| pair[j]).collect();
            let moment = self.logical(|side| &side.moments[j], biases).await?;
            moments.push(Factors { global_mean: 0.0, ..moment });
        }
        Ok(State { factors, moments })
    }
}
