//! Bind groups: which buffers each dispatch of each batch reads and writes.

use super::passes::GpuGradient;
use crate::gpu::shared::buffers::{Slot, Uniforms, whole};
use crate::gpu::shared::kernels::Dispatch;
use crate::gpu::shared::params::{GradientParams, ResidualParams, StepParams};
use crate::gpu::shared::tiles::WORKGROUP;

#[derive(Default)]
pub(in crate::gpu) struct BatchCommands {
    pub residual: Vec<Dispatch>,
    pub gradient: Vec<Dispatch>,
    pub step: Vec<Dispatch>,
}

impl GpuGradient {
    /// Makes every bind group of every batch.
    pub fn bind_batches(&self) -> Vec<BatchCommands> {
        let lead_side = self.batches.lead_side;
        let follow_side = lead_side.partner();
        let mut uniforms = Uniforms::new(&self.device);
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
                    weights_start: self.chunks[plan.chunk].lead.entries_len as u32,
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
                        damping: 2.0 * self.terms.damping * mean,
                        damping_bias: 2.0 * self.terms.damping_bias * mean,
                        momentum: self.terms.momentum,
                        bias_rate: self.terms.bias_rate,
                    }));
                }
            }
        }
        let params = uniforms.finish(&self.device);
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
                    &self.device,
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
                    &self.device,
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
                        &self.device,
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
