//! The gradient solvers' passes: what lies on the device, and what is dispatched in which order.
//!
//! For each batch: `residual` over the leading side, `gradient` over the following side, then `step`
//! for both. Many batches go into one submission; two submissions are in flight at most. Per epoch
//! the step sizes go up and a few sums come back.

use super::buffers::{Slot, Uniforms, whole};
use super::device::Device;
use super::kernels::{Kernel, Sources};
use super::params::{
    ErrorParams, GradientParams, ReduceParams, ResidualParams, StepParams, TestRating, Touched,
    VisitParams,
};
use super::tiles::{self, BatchPlan, Plan, SideArrays, SidePlan, Team, Tiles, WORKGROUP};
use crate::backend::{EpochSums, GradientPasses, GradientProblem, Probe, State, Terms, Visit};
use crate::data::{Side, UNKNOWN};
use crate::model::Factors;
use crate::train::{Batches, Loss, SideIndex, Solver};
use crate::{Error, Result};
use std::ops::ControlFlow;

/// A submission is closed when it holds so many ratings: progress and Ctrl-C act between them.
const SUBMIT_RATINGS: usize = 1 << 20;

/// A submission is closed when it holds so many batches.
const SUBMIT_BATCHES: usize = 256;

/// Workgroups of `reduce`, and so pairs of results of each reduction.
const REDUCE_GROUPS: usize = 64;

/// A problem on a GPU.
pub struct Passes<'a> {
    device: &'a Device,
    kernels: Kernels,
    batches: Batches,
    terms: Terms,
    plan: Plan,
    lead: SideBuffers,
    follow: SideBuffers,
    biases: Biases,
    residuals: wgpu::Buffer,
    chunks: Vec<ChunkBuffers>,
    commands: Vec<BatchCommands>,
    visits: Visits,
    train_loss: Reductions,
    test: Option<Test>,
    /// Shape and `μ` of the model; its arrays are empty.
    like: Factors,
}

struct Kernels {
    residual: Kernel,
    gradient: Kernel,
    step: Kernel,
    error: Kernel,
    reduce: Kernel,
}

/// One side's matrices; a buffer for each tile.
struct SideBuffers {
    factors: Vec<wgpu::Buffer>,
    moments: [Vec<wgpu::Buffer>; 2],
    gradients: Vec<wgpu::Buffer>,
    kept: Vec<wgpu::Buffer>,
}

/// Biases of users, then of items; each side ends with the zero of unknown ids.
struct Biases {
    values: wgpu::Buffer,
    moments: wgpu::Buffer,
    kept: Option<wgpu::Buffer>,
    rows: usize,
    first_item: usize,
}

struct ChunkBuffers {
    lead: ArrayBuffers,
    follow: ArrayBuffers,
}

struct ArrayBuffers {
    segments: wgpu::Buffer,
    entries: wgpu::Buffer,
    touched: wgpu::Buffer,
    sums: wgpu::Buffer,
    sums_len: usize,
}

/// A bind group and how many workgroups to dispatch with it.
struct Dispatch {
    group: wgpu::BindGroup,
    workgroups: u32,
}

#[derive(Default)]
struct BatchCommands {
    residual: Vec<Dispatch>,
    gradient: Vec<Dispatch>,
    step: Vec<Dispatch>,
}

/// The step size of every batch, written once an epoch.
struct Visits {
    buffer: wgpu::Buffer,
    stride: usize,
    bytes: Vec<u8>,
}

/// Sums of losses that are reduced on the device.
struct Reductions {
    dispatches: Vec<Dispatch>,
    /// As many reductions a buffer as a binding holds, and how many pairs those give.
    results: Vec<(wgpu::Buffer, usize)>,
}

struct Test {
    dispatches: Vec<Dispatch>,
    loss: Reductions,
}

impl<'a> Passes<'a> {
    /// Cuts, uploads and binds a problem.
    pub fn new(device: &'a Device, sources: &Sources, problem: GradientProblem) -> Result<Self> {
        let GradientProblem { batches, test, start, terms } = problem;
        let like = Factors {
            factors: start.factors.factors,
            global_mean: start.factors.global_mean,
            ..Factors::default()
        };
        let team = Team::new(like.factors);
        let kernels = Kernels::new(device, sources, team, &terms)?;
        let limits = tiles::Limits {
            binding: device
                .limits
                .max_storage_buffer_binding_size
                .min(device.limits.max_buffer_size) as usize,
            workgroups: device.limits.max_compute_workgroups_per_dimension as usize,
        };
        let mut chunks = Vec::new();
        let weight =
            |side: Side, row: u32| terms.row_weight(batches.row_ratings(side)[row as usize]);
        let plan = Plan::new(&batches, team, limits, weight, |chunk| {
            chunks.push(ChunkBuffers {
                lead: ArrayBuffers::new(device, &chunk.lead),
                follow: ArrayBuffers::new(device, &chunk.follow),
            });
            fits(device, &batches, like.factors)
        })?;
        let lead_side = batches.lead_side;
        let side = |side, tiles, slots| SideBuffers::new(device, side, tiles, slots, team, &start);
        let lead = side(lead_side, &plan.lead, &plan.lead_slots);
        let follow = side(lead_side.partner(), &plan.follow, &plan.follow_slots);
        let biases = Biases::new(device, &start, limits)?;
        let residuals = device.storage("residuals", plan.largest_batch as u64 * 4);
        fits(device, &batches, like.factors)?;

        let train_loss = {
            let sums = chunks.iter().map(|c| (&c.lead.sums, c.lead.sums_len)).collect::<Vec<_>>();
            Reductions::new(device, &kernels.reduce, &sums)
        };
        let mut passes = Self {
            visits: Visits::new(device, batches.len()),
            commands: Vec::new(),
            test: None,
            device,
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

    fn sides(&self) -> [(Side, &SideBuffers, &Tiles); 2] {
        let lead_side = self.batches.lead_side;
        [
            (lead_side, &self.lead, &self.plan.lead),
            (lead_side.partner(), &self.follow, &self.plan.follow),
        ]
    }

    fn side(&self, side: Side) -> (&SideBuffers, &Tiles) {
        let [lead, follow] = self.sides();
        let (_, buffers, tiles) = if lead.0 == side { lead } else { follow };
        (buffers, tiles)
    }

    /// Makes every bind group of every batch.
    fn bind_batches(&self) -> Vec<BatchCommands> {
        let lead_side = self.batches.lead_side;
        let follow_side = lead_side.partner();
        let mut uniforms = Uniforms::new(self.device);
        // Parameters first: the buffer that the bind groups name has to exist whole.
        let mut slots = Vec::new();
        for plan in &self.plan.batches {
            for walk in &plan.lead.walks {
                let own_bias = self.biases.start(lead_side, &self.plan.lead, walk.own_tile);
                let partner_bias =
                    self.biases.start(follow_side, &self.plan.follow, walk.partner_tile);
                slots.push(uniforms.push(&ResidualParams {
                    first_segment: walk.first_segment as u32,
                    segments: walk.segments as u32,
                    own_bias,
                    partner_bias,
                    batch_start: plan.lead.batch_start as u32,
                    sums_start: walk.sums_start as u32,
                    global_mean: self.like.global_mean,
                }));
            }
            for walk in &plan.follow.walks {
                slots.push(uniforms.push(&GradientParams {
                    first_segment: walk.first_segment as u32,
                    segments: walk.segments as u32,
                    sums_start: walk.sums_start as u32,
                }));
            }
            let mean = 1.0 / plan.ratings as f32;
            for (side, side_plan, tiles) in [
                (lead_side, &plan.lead, &self.plan.lead),
                (follow_side, &plan.follow, &self.plan.follow),
            ] {
                for step in &side_plan.steps {
                    slots.push(uniforms.push(&StepParams {
                        first_row: step.first_row as u32,
                        rows: step.rows as u32,
                        own_bias: self.biases.start(side, tiles, step.own_tile),
                        sums_start: step.sums_start as u32,
                        scale: -self.terms.loss_factor() * mean,
                        decay: 2.0 * self.terms.reg * mean,
                        decay_bias: 2.0 * self.terms.reg_bias * mean,
                        momentum: self.terms.momentum,
                    }));
                }
            }
        }
        let params = uniforms.finish(self.device);
        let unused: [wgpu::Buffer; 3] = std::array::from_fn(|_| self.device.storage("unused", 0));
        let mut slots = slots.into_iter();
        let mut next = || slots.next().map(|slot: Slot| slot.of(&params));
        let mut all = Vec::with_capacity(self.plan.batches.len());
        for (batch, plan) in self.plan.batches.iter().enumerate() {
            let mut commands = BatchCommands::default();
            let chunk = &self.chunks[plan.chunk];
            for walk in &plan.lead.walks {
                let Some(params) = next() else { break };
                let group = self.kernels.residual.bind(
                    self.device,
                    &[
                        params,
                        whole(&chunk.lead.segments),
                        whole(&chunk.lead.entries),
                        whole(&self.lead.factors[walk.own_tile]),
                        whole(&self.follow.factors[walk.partner_tile]),
                        whole(&self.biases.values),
                        whole(&self.residuals),
                        whole(&self.lead.gradients[walk.own_tile]),
                        whole(&chunk.lead.sums),
                    ],
                );
                let workgroups = walk.segments.div_ceil(self.plan.team.teams()) as u32;
                commands.residual.push(Dispatch { group, workgroups });
            }
            for walk in &plan.follow.walks {
                let Some(params) = next() else { break };
                let group = self.kernels.gradient.bind(
                    self.device,
                    &[
                        params,
                        whole(&chunk.follow.segments),
                        whole(&chunk.follow.entries),
                        whole(&self.lead.factors[walk.partner_tile]),
                        whole(&self.residuals),
                        whole(&self.follow.gradients[walk.own_tile]),
                        whole(&chunk.follow.sums),
                    ],
                );
                let workgroups = walk.segments.div_ceil(self.plan.team.teams()) as u32;
                commands.gradient.push(Dispatch { group, workgroups });
            }
            for (side, side_plan, arrays) in
                [(&self.lead, &plan.lead, &chunk.lead), (&self.follow, &plan.follow, &chunk.follow)]
            {
                for step in &side_plan.steps {
                    let Some(params) = next() else { break };
                    let tile = step.own_tile;
                    let moment = |j: usize| side.moments[j].get(tile).unwrap_or(&unused[j]);
                    let bias_moments = match self.terms.moments() {
                        0 => &unused[2],
                        _ => &self.biases.moments,
                    };
                    let group = self.kernels.step.bind(
                        self.device,
                        &[
                            params,
                            self.visits.slot(batch).of(&self.visits.buffer),
                            whole(&arrays.touched),
                            whole(&side.gradients[tile]),
                            whole(&arrays.sums),
                            whole(&side.factors[tile]),
                            whole(&self.biases.values),
                            whole(moment(0)),
                            whole(moment(1)),
                            whole(bias_moments),
                        ],
                    );
                    let lanes = step.rows * (self.plan.team.width + usize::from(self.terms.bias));
                    let workgroups = lanes.div_ceil(WORKGROUP) as u32;
                    commands.step.push(Dispatch { group, workgroups });
                }
            }
            all.push(commands);
        }
        all
    }

    /// Uploads the held-out ratings, grouped by the tiles they need.
    fn bind_test(&self, test: &crate::data::Ratings, limits: tiles::Limits) -> Test {
        let (users, user_tiles) = self.side(Side::User);
        let (items, item_tiles) = self.side(Side::Item);
        let known = |row: u32, tiles: &Tiles| match row {
            UNKNOWN => tiles.rows as u32 - 1,
            row => row,
        };
        let mut groups: Vec<Vec<TestRating>> =
            vec![Vec::new(); user_tiles.len() * item_tiles.len()];
        for (user, item, value) in test.iter() {
            let (user_tile, user) = user_tiles.locate(known(user, user_tiles));
            let (item_tile, item) = item_tiles.locate(known(item, item_tiles));
            groups[user_tile * item_tiles.len() + item_tile].push(TestRating { user, item, value });
        }
        let most = (limits.binding / size_of::<TestRating>()).min(limits.workgroups * WORKGROUP);
        let pieces: Vec<_> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, ratings)| ratings.chunks(most).map(move |piece| (group, piece)))
            .collect();
        let mut uniforms = Uniforms::new(self.device);
        let slots: Vec<_> = pieces
            .iter()
            .map(|(group, piece)| {
                let (user_tile, item_tile) = (group / item_tiles.len(), group % item_tiles.len());
                uniforms.push(&ErrorParams {
                    first: 0,
                    ratings: piece.len() as u32,
                    user_bias: self.biases.start(Side::User, user_tiles, user_tile),
                    item_bias: self.biases.start(Side::Item, item_tiles, item_tile),
                    partials_start: 0,
                    global_mean: self.like.global_mean,
                })
            })
            .collect();
        let params = uniforms.finish(self.device);
        let mut dispatches = Vec::new();
        let mut partials = Vec::new();
        for ((group, piece), slot) in pieces.iter().zip(slots) {
            let workgroups = piece.len().div_ceil(WORKGROUP);
            let ratings = self.device.upload("test ratings", piece);
            let sums = self.device.storage("test losses", workgroups as u64 * 8);
            let group = self.kernels.error.bind(
                self.device,
                &[
                    slot.of(&params),
                    whole(&ratings),
                    whole(&users.factors[group / item_tiles.len()]),
                    whole(&items.factors[group % item_tiles.len()]),
                    whole(&self.biases.values),
                    whole(&sums),
                ],
            );
            dispatches.push(Dispatch { group, workgroups: workgroups as u32 });
            partials.push((sums, workgroups));
        }
        let partials: Vec<_> = partials.iter().map(|(sums, n)| (sums, *n)).collect();
        Test { dispatches, loss: Reductions::new(self.device, &self.kernels.reduce, &partials) }
    }

    fn run(&self, passes: &[(&Kernel, &[Dispatch])]) -> wgpu::SubmissionIndex {
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for (kernel, dispatches) in passes {
                dispatch(&mut pass, kernel, dispatches);
            }
        }
        self.device.queue.submit([encoder.finish()])
    }

    /// Reads a matrix back and takes the padding away.
    fn matrix(&self, buffers: &[wgpu::Buffer], tiles: &Tiles) -> Result<Vec<f32>> {
        let (factors, padded) = (self.like.factors, self.plan.team.width * 4);
        let rows = tiles.rows - 1;
        let mut matrix = Vec::with_capacity(rows * factors);
        for (tile, buffer) in buffers.iter().enumerate() {
            let range = tiles.range(tile);
            let values: Vec<f32> = self.device.read(buffer, 0, range.len() * padded)?;
            for (row, values) in range.zip(values.chunks_exact(padded)) {
                if row < rows {
                    matrix.extend_from_slice(&values[..factors]);
                }
            }
        }
        Ok(matrix)
    }

    /// Joins matrices and biases into the form that does not depend on the backend.
    fn logical(
        &self,
        pick: impl Fn(&SideBuffers) -> &[wgpu::Buffer],
        biases: Vec<f32>,
    ) -> Result<Factors> {
        let matrix = |side| {
            let (buffers, tiles) = self.side(side);
            self.matrix(pick(buffers), tiles)
        };
        let first_item = self.biases.first_item;
        Ok(Factors {
            factors: self.like.factors,
            user_factors: matrix(Side::User)?,
            item_factors: matrix(Side::Item)?,
            user_bias: biases[..first_item - 1].to_vec(),
            item_bias: biases[first_item..biases.len() - 1].to_vec(),
            global_mean: self.like.global_mean,
        })
    }

    /// One side's gradient sums of a batch, joined from their slots: (runs, factors) and (runs).
    fn gradient_sums(
        &self,
        plan: &SidePlan,
        arrays: &ArrayBuffers,
        side: &SideBuffers,
        slots: &[usize],
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let padded = self.plan.team.width * 4;
        let (mut sums, mut bias_sums) = (Vec::new(), Vec::new());
        for step in &plan.steps {
            let count = slots[step.own_tile];
            let touched: Vec<Touched> =
                self.device.read(&arrays.touched, step.first_row, step.rows)?;
            let gradients: Vec<f32> =
                self.device.read(&side.gradients[step.own_tile], 0, count * padded)?;
            let of_tile = count.min(arrays.sums_len - step.sums_start);
            let pairs: Vec<[f32; 2]> = self.device.read(&arrays.sums, step.sums_start, of_tile)?;
            for row in touched {
                let mut sum = vec![0.0; self.like.factors];
                let mut bias_sum = 0.0;
                for slot in row.slot..row.slot + row.slots {
                    let gradient = &gradients[slot as usize * padded..];
                    sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
                    bias_sum += pairs[slot as usize][0];
                }
                sums.extend_from_slice(&sum);
                bias_sums.push(bias_sum);
            }
        }
        Ok((sums, bias_sums))
    }

    /// The entry at which each of a batch's positions of the leading side lies.
    fn places(&self, batch: usize) -> Vec<usize> {
        let index: &SideIndex = &self.batches.lead;
        let first = self.batches.positions(batch).start;
        let mut places = vec![0; self.batches.positions(batch).len()];
        let mut entry = 0;
        for run in index.runs(batch) {
            let mut order: Vec<_> = index.positions(run).collect();
            order.sort_by_key(|&at| self.plan.follow.locate(index.partners[at]).0);
            for at in order {
                places[at - first] = entry;
                entry += 1;
            }
        }
        places
    }
}

impl GradientPasses for Passes<'_> {
    fn epoch(
        &mut self,
        visits: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        self.visits.write(self.device, visits);
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
            let submission = self.device.queue.submit([encoder.finish()]);
            if let Some(before) = in_flight.replace(submission) {
                self.device.wait(Some(before))?;
            }
            done += ratings;
            if watch(done).is_break() {
                self.device.wait(None)?;
                return Ok(EpochSums { loss: 0.0, ratings: done });
            }
        }
        self.run(&[(&self.kernels.reduce, &self.train_loss.dispatches)]);
        Ok(EpochSums { loss: self.train_loss.read(self.device)?, ratings: done })
    }

    fn test_loss(&mut self) -> Result<f64> {
        let Some(test) = &self.test else { return Ok(0.0) };
        self.run(&[
            (&self.kernels.error, &test.dispatches),
            (&self.kernels.reduce, &test.loss.dispatches),
        ]);
        test.loss.read(self.device)
    }

    fn keep(&mut self) -> Result<()> {
        let device = self.device;
        let mut encoder = device.device.create_command_encoder(&Default::default());
        let mut copy = |from: &wgpu::Buffer, to: &wgpu::Buffer| {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        };
        for side in [&mut self.lead, &mut self.follow] {
            if side.kept.is_empty() {
                side.kept =
                    side.factors.iter().map(|tile| device.storage("kept", tile.size())).collect();
            }
            side.factors.iter().zip(&side.kept).for_each(|(from, to)| copy(from, to));
        }
        let values = &self.biases.values;
        let kept =
            self.biases.kept.get_or_insert_with(|| device.storage("kept biases", values.size()));
        copy(values, kept);
        device.queue.submit([encoder.finish()]);
        device.check()
    }

    fn kept(&mut self) -> Result<Factors> {
        let Some(kept) = &self.biases.kept else { return self.factors() };
        let biases = self.device.read(kept, 0, self.biases.rows)?;
        self.logical(|side| &side.kept, biases)
    }

    fn factors(&mut self) -> Result<Factors> {
        let biases = self.device.read(&self.biases.values, 0, self.biases.rows)?;
        self.logical(|side| &side.factors, biases)
    }

    fn state(&mut self) -> Result<State> {
        let factors = self.factors()?;
        let pairs: Vec<[f32; 2]> = match self.terms.moments() {
            0 => Vec::new(),
            _ => self.device.read(&self.biases.moments, 0, self.biases.rows)?,
        };
        let moments = (0..self.terms.moments()).map(|j| {
            let biases = pairs.iter().map(|pair| pair[j]).collect();
            let moment = self.logical(|side| &side.moments[j], biases)?;
            Ok(Factors { global_mean: 0.0, ..moment })
        });
        let moments = moments.collect::<Result<_>>()?;
        Ok(State { factors, moments })
    }

    fn probe(&mut self, batch: usize) -> Result<Probe> {
        let commands = &self.commands[batch];
        self.run(&[
            (&self.kernels.residual, &commands.residual),
            (&self.kernels.gradient, &commands.gradient),
        ]);
        let plan: &BatchPlan = &self.plan.batches[batch];
        let chunk = &self.chunks[plan.chunk];
        let placed: Vec<f32> = self.device.read(&self.residuals, 0, plan.ratings)?;
        let residuals = self.places(batch).iter().map(|&place| placed[place]).collect();
        let slots = &self.plan.lead_slots;
        let (lead, lead_bias) = self.gradient_sums(&plan.lead, &chunk.lead, &self.lead, slots)?;
        let slots = &self.plan.follow_slots;
        let (follow, follow_bias) =
            self.gradient_sums(&plan.follow, &chunk.follow, &self.follow, slots)?;
        // The sums of a batch lie together, tile after tile.
        let first = plan.lead.steps.first().map_or(0, |step| step.sums_start);
        let mut end = first;
        for step in &plan.lead.steps {
            let touched: Vec<Touched> =
                self.device.read(&chunk.lead.touched, step.first_row, step.rows)?;
            let slots = touched.iter().map(|row| row.slot + row.slots).max().unwrap_or(0);
            end = end.max(step.sums_start + slots as usize);
        }
        let pairs: Vec<[f32; 2]> = self.device.read(&chunk.lead.sums, first, end - first)?;
        let loss = pairs.iter().map(|pair| f64::from(pair[1])).sum();
        Ok(Probe { residuals, loss, lead, lead_bias, follow, follow_bias })
    }
}

fn dispatch(pass: &mut wgpu::ComputePass, kernel: &Kernel, dispatches: &[Dispatch]) {
    if dispatches.is_empty() {
        return;
    }
    pass.set_pipeline(&kernel.pipeline);
    for dispatch in dispatches {
        pass.set_bind_group(0, &dispatch.group, &[]);
        pass.dispatch_workgroups(dispatch.workgroups, 1, 1);
    }
}

/// What a failed allocation means to a user.
fn fits(device: &Device, batches: &Batches, factors: usize) -> Result<()> {
    device.check().map_err(|error| {
        let bytes = (batches.users + batches.items) as f64 * factors as f64 * 4.0;
        Error::device(format!(
            "{error} (embeddings of {} users and {} items × {factors} need {:.1} GB, and as much \
             again for each moment and for gradients; {} ratings about {:.1} GB)",
            batches.users,
            batches.items,
            bytes / 1e9,
            batches.ratings(),
            batches.ratings() as f64 * 60.0 / 1e9,
        ))
    })
}

impl Kernels {
    fn new(device: &Device, sources: &Sources, team: Team, terms: &Terms) -> Result<Self> {
        let logistic = f64::from(u8::from(terms.loss == Loss::Logistic));
        let width = ("WIDTH", team.width as f64);
        let lanes = ("LANES", team.lanes as f64);
        let columns = ("COLUMNS", team.columns as f64);
        let solver = match terms.solver {
            Solver::Sgd if terms.moments() == 0 => 0.0,
            Solver::Sgd => 1.0,
            Solver::Adagrad => 2.0,
            Solver::Adam => 3.0,
        };
        let bias = f64::from(u8::from(terms.bias));
        let make =
            |name, source: &str, constants: &[_]| Kernel::new(device, name, source, constants);
        Ok(Self {
            residual: make(
                "residual",
                &sources.residual,
                &[width, lanes, columns, ("LOGISTIC", logistic)],
            )?,
            gradient: make("gradient", &sources.gradient, &[width, lanes, columns])?,
            step: make("step", &sources.step, &[width, ("BIAS", bias), ("SOLVER", solver)])?,
            error: make("error", &sources.error, &[width, ("LOGISTIC", logistic)])?,
            reduce: make("reduce", &sources.reduce, &[])?,
        })
    }
}

impl SideBuffers {
    fn new(
        device: &Device,
        side: Side,
        tiles: &Tiles,
        slots: &[usize],
        team: Team,
        start: &State,
    ) -> Self {
        let upload = |label: &str, factors: &Factors| -> Vec<wgpu::Buffer> {
            let matrix = match side {
                Side::User => &factors.user_factors,
                Side::Item => &factors.item_factors,
            };
            let (k, padded) = (factors.factors, team.width * 4);
            let tile_values = |tile: usize| {
                let mut values = vec![0.0_f32; tiles.range(tile).len() * padded];
                let rows = matrix.chunks_exact(k).skip(tiles.range(tile).start);
                for (to, from) in values.chunks_exact_mut(padded).zip(rows) {
                    to[..k].copy_from_slice(from);
                }
                device.upload(label, &values)
            };
            (0..tiles.len()).map(tile_values).collect()
        };
        let moment = |j: usize| start.moments.get(j).map(|m| upload("moments", m));
        let row_bytes = team.row_bytes() as u64;
        Self {
            factors: upload("factors", &start.factors),
            moments: [moment(0).unwrap_or_default(), moment(1).unwrap_or_default()],
            gradients: slots
                .iter()
                .map(|&slots| device.storage("gradients", slots as u64 * row_bytes))
                .collect(),
            kept: Vec::new(),
        }
    }
}

impl Biases {
    fn new(device: &Device, start: &State, limits: tiles::Limits) -> Result<Self> {
        let join = |factors: &Factors| -> Vec<f32> {
            let users = factors.user_bias.iter().chain([&0.0]);
            users.chain(&factors.item_bias).chain([&0.0]).copied().collect()
        };
        let values = join(&start.factors);
        let rows = values.len();
        if rows * 8 > limits.binding {
            return Err(Error::device(format!(
                "the biases of {rows} rows do not fit a binding of this device ({} bytes); use \
                 --backend cpu",
                limits.binding
            )));
        }
        let moments: Vec<Vec<f32>> = start.moments.iter().map(join).collect();
        let pair = |row: usize| {
            let moment = |j: usize| moments.get(j).map_or(0.0, |m: &Vec<f32>| m[row]);
            [moment(0), moment(1)]
        };
        let pairs: Vec<[f32; 2]> =
            if moments.is_empty() { Vec::new() } else { (0..rows).map(pair).collect() };
        Ok(Self {
            values: device.upload("biases", &values),
            moments: device.upload("bias moments", &pairs),
            kept: None,
            rows,
            first_item: start.factors.user_bias.len() + 1,
        })
    }

    /// Where a tile's biases start.
    fn start(&self, side: Side, tiles: &Tiles, tile: usize) -> u32 {
        let base = match side {
            Side::User => 0,
            Side::Item => self.first_item,
        };
        (base + tiles.range(tile).start) as u32
    }
}

impl ArrayBuffers {
    fn new(device: &Device, arrays: &SideArrays) -> Self {
        Self {
            segments: device.upload("segments", &arrays.segments),
            entries: device.upload("entries", &arrays.entries),
            touched: device.upload("touched rows", &arrays.touched),
            sums: device.storage("sums", arrays.sums as u64 * 8),
            sums_len: arrays.sums,
        }
    }
}

impl Visits {
    fn new(device: &Device, batches: usize) -> Self {
        let mut uniforms = Uniforms::new(device);
        for _ in 0..batches {
            uniforms.push(&VisitParams::default());
        }
        let stride = device.limits.min_uniform_buffer_offset_alignment as usize;
        let bytes = vec![0; batches * stride];
        Self { buffer: uniforms.finish(device), stride, bytes }
    }

    fn slot(&self, batch: usize) -> Slot {
        Slot::at(batch * self.stride, size_of::<VisitParams>())
    }

    fn write(&mut self, device: &Device, visits: &[Visit]) {
        for visit in visits {
            let params = VisitParams { rate: visit.rate };
            let at = visit.batch as usize * self.stride;
            self.bytes[at..at + size_of::<VisitParams>()]
                .copy_from_slice(bytemuck::bytes_of(&params));
        }
        device.queue.write_buffer(&self.buffer, 0, &self.bytes);
    }
}

impl Reductions {
    fn new(device: &Device, kernel: &Kernel, sums: &[(&wgpu::Buffer, usize)]) -> Self {
        let pair_bytes = size_of::<[f32; 2]>();
        let binding = device.limits.max_storage_buffer_binding_size as usize;
        let fit = (binding / (REDUCE_GROUPS * pair_bytes)).max(1);
        let mut uniforms = Uniforms::new(device);
        let slots: Vec<_> = sums
            .iter()
            .enumerate()
            .map(|(j, &(_, pairs))| {
                let results = (j % fit * REDUCE_GROUPS) as u32;
                uniforms.push(&ReduceParams { pairs: pairs as u32, results })
            })
            .collect();
        let params = uniforms.finish(device);
        let results: Vec<_> = sums
            .chunks(fit)
            .map(|sums| {
                let pairs = sums.len() * REDUCE_GROUPS;
                (device.storage("results", (pairs * pair_bytes) as u64), pairs)
            })
            .collect();
        let dispatches = sums
            .iter()
            .zip(slots)
            .enumerate()
            .map(|(j, (&(sums, _), slot))| {
                let results = &results[j / fit].0;
                let buffers = [slot.of(&params), whole(sums), whole(results)];
                let group = kernel.bind(device, &buffers);
                Dispatch { group, workgroups: REDUCE_GROUPS as u32 }
            })
            .collect();
        Self { dispatches, results }
    }

    /// The sum, in order; NaN where a loss was not finite, whatever the device's arithmetic made
    /// of it.
    fn read(&self, device: &Device) -> Result<f64> {
        let mut pairs: Vec<[f32; 2]> = Vec::new();
        for (results, count) in &self.results {
            pairs.extend(device.read::<[f32; 2]>(results, 0, *count)?);
        }
        if pairs.iter().any(|pair| pair[1] > 0.0) {
            return Ok(f64::NAN);
        }
        Ok(pairs.iter().map(|pair| f64::from(pair[0])).sum())
    }
}
