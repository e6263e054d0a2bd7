//! The passes of losses made for ranking: what is dispatched in which order.
//!
//! For each batch: rows of both sides are made ready (`prepare`) and its pairs scored (`pair_score`). Softmax
//! and ccl go through the pool panel by panel: scores (`contrast`, `mask`), what they come to (`normalizer`),
//! then from the last panel back to the first, scores made again but for the last, what they add to the
//! gradients (`user_gradient`, `item_gradient`). bpr and warp `pick`. `pairs` has losses and slopes; then come
//! the pairs' own gradients (`pair_gradient`), gradients by the parameters (`project`), and the `step`.
//!
//! Batches come from the host one after another, several to a submission; two submissions' sums are on
//! their way at most.

use super::bind::Binder;
use super::group::{Bound, Group, Job};
use super::plan::Cuts;
use super::store::{Kernels, RESULTS, Store};
use crate::Result;
use crate::backend::{
    ChoiceBatches, ChoiceProblem, ChoiceTerms, EpochSums, State, Terms, nothing_kept,
};
use crate::core::{ChoiceBatch, Factors};
use crate::gpu::shared::buffers::{Reading, whole};
use crate::gpu::shared::device::{Device, limits};
use crate::gpu::shared::kernels::{Dispatch, Sources, dispatch};
use crate::gpu::shared::model::{SideBuffers, keep, logical};
use crate::gpu::shared::params::ReduceParams;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A submission is closed when it takes so long on a slow device, in nanoseconds.
const SUBMIT_TIME: u64 = 200_000_000;

/// A group of batches is closed when their arrays have so many bytes, or there are so many of them.
pub const GROUP_BYTES: usize = 8 << 20;
const GROUP_BATCHES: usize = 64;

/// Dispatches of a group, about, at the most.
pub const GROUP_DISPATCHES: u64 = 32 * GROUP_BATCHES as u64;

/// A problem on a GPU.
pub struct GpuChoices {
    pub(super) device: Arc<Device>,
    pub(super) kernels: Kernels,
    pub(super) terms: Terms,
    pub(super) choice: ChoiceTerms,
    pub(super) plan: Cuts,
    pub(super) store: Store,
    /// Whether only users move, by the gradients of sums.
    pub(super) still_items: bool,
    /// Shape and `μ` of the model; its arrays are empty.
    pub(super) like: Factors,
    /// What the arrays of batches lie in.
    arena: Cell<Option<wgpu::Buffer>>,
}

impl GpuChoices {
    /// Uploads a problem.
    pub async fn new(
        device: &Arc<Device>,
        sources: &Sources,
        problem: ChoiceProblem,
    ) -> Result<Self> {
        let like = Factors {
            factors: problem.start.factors.factors,
            global_mean: problem.start.factors.global_mean,
            ..Factors::default()
        };
        let plan = Cuts::new(
            [problem.users, problem.items],
            like.factors,
            problem.most,
            problem.terms.loss.is_dense(),
            limits(device),
        )?;
        let kernels =
            Kernels::new(device, sources, plan.team, &problem.terms, &problem.choice).await?;
        let store = Store::new(device, &plan, &problem)?;
        let ChoiceProblem { terms, choice, still_items, .. } = problem;
        let device = device.clone();
        let arena = Cell::default();
        Ok(Self { device, kernels, terms, choice, plan, store, still_items, like, arena })
    }

    /// A group of batches, with all their steps and the sum of their losses; begins with `next`, and leaves
    /// there the batch that comes after.
    fn group(
        &self,
        batches: &mut ChoiceBatches,
        next: &mut Option<ChoiceBatch>,
    ) -> Result<Group<'_>> {
        let mut group = Group::new(&self.device);
        while let Some(batch) = next.take() {
            let mut binder = Binder::new(self, &mut group, &batch)?;
            binder.gradients();
            binder.steps();
            *next = batches.next();
            let pairs = group.pairs + next.as_ref().map_or(0, ChoiceBatch::pairs);
            if group.arena.bytes() >= GROUP_BYTES
                || group.batches >= GROUP_BATCHES
                || group.time() >= SUBMIT_TIME
                || pairs > self.store.sums_len
            {
                break;
            }
        }
        let params = ReduceParams { pairs: group.pairs as u32, results: 0 };
        let slot = group.uniforms.push(&params);
        group.jobs.push(Job {
            kernel: &self.kernels.reduce,
            params: vec![slot],
            buffers: vec![Bound::Store(&self.store.sums), Bound::Store(&self.store.results)],
            workgroups: RESULTS as u32,
            time: 0,
        });
        Ok(group)
    }

    /// Submits a group, its arrays first.
    pub(super) fn submit(&self, group: Group) {
        let Group { arena, uniforms, jobs, .. } = group;
        let mut buffer = self.arena.take();
        let arrays = arena.upload(&self.device, &mut buffer);
        self.arena.set(buffer);
        let uniforms = uniforms.finish(&self.device);
        let mut rest = jobs.into_iter().peekable();
        while rest.peek().is_some() {
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                let mut time = 0;
                let fits = |job: &Job, time: u64| time == 0 || time + job.time < SUBMIT_TIME;
                while let Some(job) = rest.next_if(|job| fits(job, time)) {
                    time += job.time.max(1);
                    let params = job.params.iter().map(|slot| slot.of(&uniforms));
                    let buffers = job.buffers.iter().map(|buffer| match *buffer {
                        Bound::Store(buffer) => whole(buffer),
                        Bound::Batch(part) => part.of(&arrays),
                    });
                    let bindings: Vec<_> = params.chain(buffers).collect();
                    let group = job.kernel.bind(&self.device, &bindings);
                    let workgroups = job.workgroups;
                    dispatch(&mut pass, job.kernel, &[Dispatch { group, workgroups }]);
                }
            }
            self.device.submit(encoder);
        }
    }

    /// The sum of a group's losses, on its way.
    pub(super) fn ask_loss(&self) -> Reading<1> {
        self.device.ask([(&self.store.results, 0, RESULTS as u64 * 8)])
    }

    /// The sum, in order; NaN where a loss was not finite, whatever the device's arithmetic made of it.
    pub(super) async fn loss(&self, reading: Reading<1>) -> Result<f64> {
        let [bytes] = reading.get(&self.device).await?;
        let pairs: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(&bytes);
        if pairs.iter().any(|pair| pair[1] > 0.0) {
            return Ok(f64::NAN);
        }
        Ok(pairs.iter().map(|pair| f64::from(pair[0])).sum())
    }

    /// Joins matrices and biases into the form that does not depend on the backend.
    async fn logical(
        &self,
        pick: impl Fn(&SideBuffers) -> &[wgpu::Buffer],
        biases: Vec<f32>,
    ) -> Result<Factors> {
        let [users, items] = &self.store.sides;
        let matrices = [(pick(users), &self.plan.tiles[0]), (pick(items), &self.plan.tiles[1])];
        let (like, biases_of) = (&self.like, &self.store.biases);
        logical(&self.device, like, self.plan.team, matrices, biases_of, &biases).await
    }
}

/// What [`ChoicePasses`](crate::backend::ChoicePasses) is made of.
impl GpuChoices {
    pub async fn epoch(
        &mut self,
        batches: &mut ChoiceBatches<'_>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        let mut sums = EpochSums::default();
        let mut in_flight: Option<Reading<1>> = None;
        let mut next = batches.next();
        while next.is_some() {
            let group = self.group(batches, &mut next)?;
            sums.ratings += group.pairs;
            self.submit(group);
            if let Some(before) = in_flight.replace(self.ask_loss()) {
                sums.loss += self.loss(before).await?;
            }
            // After the last batch there is nothing to break off.
            if watch(sums.ratings).is_break() && next.is_some() {
                self.device.wait(None).await?;
                return Ok(EpochSums { loss: f64::NAN, ..sums });
            }
        }
        if let Some(last) = in_flight {
            sums.loss += self.loss(last).await?;
        }
        Ok(sums)
    }

    pub fn keep(&mut self) -> Result<()> {
        let [users, items] = &mut self.store.sides;
        keep(&self.device, [users, items], &mut self.store.biases);
        self.device.check()
    }

    pub async fn kept(&mut self) -> Result<Factors> {
        let biases = &self.store.biases;
        let Some(kept) = &biases.kept else { return Err(nothing_kept()) };
        let biases = self.device.read(kept, 0, biases.rows).await?;
        self.logical(|side| &side.kept, biases).await
    }

    pub async fn factors(&mut self) -> Result<Factors> {
        let biases = &self.store.biases;
        let biases = self.device.read(&biases.values, 0, biases.rows).await?;
        self.logical(|side| &side.factors, biases).await
    }

    pub async fn state(&mut self) -> Result<State> {
        let factors = self.factors().await?;
        let biases = &self.store.biases;
        let pairs: Vec<[f32; 2]> = match self.terms.moments() {
            0 => Vec::new(),
            _ => self.device.read(&biases.moments, 0, biases.rows).await?,
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
