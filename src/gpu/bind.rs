//! Bind groups: which buffers each dispatch of each batch reads and writes.

use super::buffers::{Slot, Uniforms, whole};
use super::device::Device;
use super::kernels::{Dispatch, Kernel};
use super::params::{ErrorParams, GradientParams, ResidualParams, StepParams, TestRating};
use super::passes::Passes;
use super::reduce::Reductions;
use super::store::Biases;
use super::tiles;
use super::tiles::{Team, Tiles, WORKGROUP};
use crate::core::{Side, UNKNOWN};

#[derive(Default)]
pub(super) struct BatchCommands {
    pub residual: Vec<Dispatch>,
    pub gradient: Vec<Dispatch>,
    pub step: Vec<Dispatch>,
}

pub(super) struct Test {
    pub dispatches: Vec<Dispatch>,
    pub loss: Reductions,
}

/// The model that held-out ratings are predicted with: each side's tiles.
pub(super) struct Predictor<'a> {
    pub users: (&'a [wgpu::Buffer], &'a Tiles),
    pub items: (&'a [wgpu::Buffer], &'a Tiles),
    pub biases: &'a Biases,
    pub team: Team,
    pub global_mean: f32,
}

impl Passes<'_> {
    /// Makes every bind group of every batch.
    pub fn bind_batches(&self) -> Vec<BatchCommands> {
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
                        bias_rate: self.terms.bias_rate,
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
}

impl Test {
    /// Uploads the held-out ratings, grouped by the tiles they need.
    pub fn new(
        device: &Device,
        (error, reduce): (&Kernel, &Kernel),
        model: &Predictor,
        test: &crate::core::Ratings,
        limits: tiles::Limits,
    ) -> Self {
        let (users, user_tiles) = model.users;
        let (items, item_tiles) = model.items;
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
        let most = (limits.binding / size_of::<TestRating>())
            .min(limits.workgroups * WORKGROUP)
            .min(model.team.dispatch_ratings() / 2);
        let pieces: Vec<_> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, ratings)| ratings.chunks(most).map(move |piece| (group, piece)))
            .collect();
        let mut uniforms = Uniforms::new(device);
        let slots: Vec<_> = pieces
            .iter()
            .map(|(group, piece)| {
                let (user_tile, item_tile) = (group / item_tiles.len(), group % item_tiles.len());
                uniforms.push(&ErrorParams {
                    ratings: piece.len() as u32,
                    user_bias: model.biases.start(Side::User, user_tiles, user_tile),
                    item_bias: model.biases.start(Side::Item, item_tiles, item_tile),
                    global_mean: model.global_mean,
                })
            })
            .collect();
        let params = uniforms.finish(device);
        let mut dispatches = Vec::new();
        let mut partials = Vec::new();
        for ((group, piece), slot) in pieces.iter().zip(slots) {
            let workgroups = piece.len().div_ceil(WORKGROUP);
            let ratings = device.upload("test ratings", piece);
            let sums = device.storage("test losses", workgroups as u64 * 8);
            let group = error.bind(
                device,
                &[
                    slot.of(&params),
                    whole(&ratings),
                    whole(&users[group / item_tiles.len()]),
                    whole(&items[group % item_tiles.len()]),
                    whole(&model.biases.values),
                    whole(&sums),
                ],
            );
            dispatches.push(Dispatch { group, workgroups: workgroups as u32 });
            partials.push((sums, workgroups));
        }
        let partials: Vec<_> = partials.iter().map(|(sums, n)| (sums, *n)).collect();
        Self { dispatches, loss: Reductions::new(device, reduce, &partials) }
    }
}
