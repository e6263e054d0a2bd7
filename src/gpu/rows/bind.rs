//! Bind groups: which buffers each dispatch of each batch reads and writes.

use super::kernels::{Kernels, REMAINDER_LANES, Turn};
use super::shape::{Block, Shape};
use super::store::{Scratch, Walked, most_segments};
use super::tiles::{Batch, Walk};
use crate::backend::RowTerms;
use crate::core::Side;
use crate::gpu::shared::buffers::{Slot, Uniforms, whole};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel};
use crate::gpu::shared::model::Model;
use crate::gpu::shared::params::{
    CholeskyParams, GramParams, JoinParams, LatentParams, NonnegativeParams, RemainderParams,
};
use crate::gpu::shared::tiles::{Limits, WORKGROUP};

/// A pipeline of [`Kernels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Gram(Turn),
    Join(Turn),
    Solve(Turn),
    /// The remainders of the factors as they are.
    Remainder,
    /// After a block.
    Update,
    /// The latent values behind ratings, in the place of the remainders.
    Latent,
}

/// What a batch dispatches, in order.
pub struct Commands {
    pub dispatches: Vec<(Stage, Dispatch)>,
    pub ratings: usize,
    /// Multiplications, about.
    pub products: usize,
}

/// Bindings known before the parameters' buffer is.
struct Planned<'a> {
    stage: Stage,
    kernel: &'a Kernel,
    slot: Slot,
    buffers: Vec<&'a wgpu::Buffer>,
    workgroups: usize,
}

pub struct Binder<'a> {
    pub device: &'a Device,
    pub kernels: &'a Kernels,
    pub model: &'a Model,
    pub terms: &'a RowTerms,
    pub blocks: &'a [Block],
    pub limits: Limits,
    /// Of a draw.
    pub noise: Option<Noise<'a>>,
    /// Of a draw whose ratings are levels.
    pub latents: Option<Latents<'a>>,
}

/// Where levels end, and the random words of latent values.
#[derive(Clone, Copy)]
pub struct Latents<'a> {
    pub ends: &'a wgpu::Buffer,
    pub stream: &'a wgpu::Buffer,
}

/// The noise weights of a draw, in the order of the biases.
#[derive(Clone, Copy)]
pub struct Noise<'a> {
    /// Of rows.
    pub weights: &'a wgpu::Buffer,
    /// Roots of those of partners.
    pub roots: &'a wgpu::Buffer,
}

impl Binder<'_> {
    /// The dispatches of each batch of a side.
    pub fn batches(
        &self,
        side: Side,
        walked: &Walked,
        scratch: &Scratch,
        added: Option<&wgpu::Buffer>,
    ) -> Vec<Commands> {
        let mut uniforms = Uniforms::new(self.device);
        let partner_whole = added.unwrap_or(&scratch.unused[0]);
        let planned: Vec<_> = walked
            .plan
            .batches
            .iter()
            .map(|batch| {
                let mut planned = Vec::new();
                if let Some(latents) = self.latents {
                    let walked = (side, walked, batch);
                    self.latents(&mut planned, &mut uniforms, walked, scratch, latents);
                } else if self.blocks.len() > 1 {
                    self.remainders(
                        &mut planned,
                        &mut uniforms,
                        side,
                        walked,
                        batch,
                        scratch,
                        None,
                    );
                }
                for (number, block) in self.blocks.iter().enumerate() {
                    self.turn(
                        &mut planned,
                        &mut uniforms,
                        (side, walked, batch),
                        scratch,
                        (Turn::Block(number), *block),
                        partner_whole,
                    );
                    if number + 1 < self.blocks.len() {
                        self.remainders(
                            &mut planned,
                            &mut uniforms,
                            side,
                            walked,
                            batch,
                            scratch,
                            Some(*block),
                        );
                    }
                }
                if let (true, [all]) = (batch.refines, self.blocks) {
                    self.remainders(
                        &mut planned,
                        &mut uniforms,
                        side,
                        walked,
                        batch,
                        scratch,
                        None,
                    );
                    self.turn(
                        &mut planned,
                        &mut uniforms,
                        (side, walked, batch),
                        scratch,
                        (Turn::Refine, *all),
                        partner_whole,
                    );
                }
                (batch, planned)
            })
            .collect();
        let params = uniforms.finish(self.device);
        planned
            .into_iter()
            .map(|(batch, planned)| Commands {
                dispatches: planned.into_iter().map(|p| p.bind(self.device, &params)).collect(),
                ratings: batch.ratings,
                products: self
                    .blocks
                    .iter()
                    .map(|block| super::store::products(batch, block.shape))
                    .sum::<usize>()
                    * (1 + usize::from(batch.refines)),
            })
            .collect()
    }

    /// What solves for one block, or refines.
    fn turn<'b>(
        &'b self,
        planned: &mut Vec<Planned<'b>>,
        uniforms: &mut Uniforms,
        (side, walked, batch): (Side, &'b Walked, &'b Batch),
        scratch: &'b Scratch,
        (turn, block): (Turn, Block),
        partner_whole: &'b wgpu::Buffer,
    ) {
        let Some(kernels) = self.kernels.of(turn, self.blocks) else { return };
        let partner = side.partner();
        let rows = &walked.rows[batch.rows];
        for walk in &batch.walks {
            let chunk = &walked.chunks[walk.chunk];
            let remainders = scratch.remainders[side.index()].get(walk.chunk);
            let buffers = [
                &chunk.segments,
                &chunk.entries,
                &chunk.roots,
                self.noise.map_or(&scratch.unused[3], |noise| noise.roots),
                &self.model.sides[partner.index()].factors[walk.partner_tile],
                &self.model.biases.values,
                remainders.unwrap_or(&scratch.unused[1]),
                &scratch.matrices,
            ];
            let partner_bias = self.model.bias(partner, walk.partner_tile);
            let stage = Stage::Gram(turn);
            let at = (block.first, partner_bias);
            gram(
                planned,
                uniforms,
                (stage, &kernels.gram),
                walk,
                block.shape,
                at,
                &buffers,
                self.limits,
            );
        }
        join(
            planned,
            uniforms,
            (Stage::Join(turn), &kernels.join),
            batch,
            block.shape,
            &[&rows.joins, &scratch.matrices],
            self.limits,
        );
        self.solve(planned, uniforms, (side, walked, batch), scratch, (turn, block), partner_whole);
    }

    fn solve<'b>(
        &'b self,
        planned: &mut Vec<Planned<'b>>,
        uniforms: &mut Uniforms,
        (side, walked, batch): (Side, &'b Walked, &'b Batch),
        scratch: &'b Scratch,
        (turn, block): (Turn, Block),
        partner_whole: &'b wgpu::Buffer,
    ) {
        let Some(kernels) = self.kernels.of(turn, self.blocks) else { return };
        let terms = self.terms;
        let teams = if terms.nonnegative { 1 } else { block.shape.cholesky().teams() };
        let own = &self.model.sides[side.index()].factors[batch.own_tile];
        let solves = &walked.rows[batch.rows].solves;
        // A pivot that is nothing but rounding errors has no meaning where nothing is added to it.
        let rounding = 4.0 * f32::EPSILON * (block.shape.target() as f32).sqrt();
        let prior = self.noise.is_some();
        let floor = |reg: f32| if reg == 0.0 && !prior { rounding } else { 0.0 };
        for first in batch.solves.clone().step_by(self.limits.workgroups * teams) {
            let rows = (batch.solves.end - first).min(self.limits.workgroups * teams);
            let (first, count) = (first as u32, rows as u32);
            let (slot, buffers) = if terms.nonnegative {
                let slot = uniforms.push(&NonnegativeParams {
                    first,
                    rows: count,
                    reg: terms.reg,
                    damping: terms.damping,
                    unobserved: terms.unobserved_weight,
                });
                (slot, vec![solves, &scratch.matrices, partner_whole, own])
            } else {
                let slot = uniforms.push(&CholeskyParams {
                    first,
                    rows: count,
                    first_column: block.first as u32,
                    own_bias: self.model.bias(side, batch.own_tile),
                    reg: terms.reg,
                    damping: terms.damping,
                    reg_bias: terms.reg_bias,
                    damping_bias: terms.damping_bias,
                    floor: floor(terms.reg + terms.damping),
                    floor_bias: floor(terms.reg_bias + terms.damping_bias),
                    unobserved: terms.unobserved_weight,
                    not_a_number: f32::NAN,
                    first_row: self.model.tiles[side.index()].range(batch.own_tile).start as u32,
                });
                let biases = &self.model.biases.values;
                let deltas = &scratch.deltas;
                let weights = self.noise.map_or(&scratch.unused[3], |noise| noise.weights);
                let matrices = &scratch.matrices;
                let sweep = &scratch.sweep;
                let at = vec![solves, matrices, partner_whole, own, biases, deltas, weights, sweep];
                (slot, at)
            };
            planned.push(Planned {
                stage: Stage::Solve(turn),
                kernel: &kernels.solve,
                slot,
                buffers,
                workgroups: rows.div_ceil(teams),
            });
        }
    }

    /// The remainders of a batch: anew, or after a block.
    #[expect(clippy::too_many_arguments, reason = "all of them say where")]
    fn remainders<'b>(
        &'b self,
        planned: &mut Vec<Planned<'b>>,
        uniforms: &mut Uniforms,
        side: Side,
        walked: &'b Walked,
        batch: &'b Batch,
        scratch: &'b Scratch,
        after: Option<Block>,
    ) {
        let (stage, kernel) = match (&self.kernels.update, after) {
            (Some(update), Some(_)) => (Stage::Update, update),
            _ => (Stage::Remainder, &self.kernels.remainder),
        };
        let own = &self.model.sides[side.index()].factors[batch.own_tile];
        for walk in &batch.walks {
            let chunk = &walked.chunks[walk.chunk];
            for (first, segments) in self.walked_at_once(walk) {
                let slot = uniforms.push(&RemainderParams {
                    first_segment: first as u32,
                    segments: segments as u32,
                    own_bias: self.model.bias(side, batch.own_tile),
                    partner_bias: self.model.bias(side.partner(), walk.partner_tile),
                    first_column: after.map_or(0, |block| block.first) as u32,
                });
                let remainders = scratch.remainders[side.index()].get(walk.chunk);
                // Only the users' ratings are summed, for the objective.
                let sums = match side {
                    Side::User => scratch.sums.get(walk.chunk),
                    Side::Item => scratch.sums.last(),
                };
                planned.push(Planned {
                    stage,
                    kernel,
                    slot,
                    buffers: vec![
                        &chunk.segments,
                        &chunk.entries,
                        &chunk.roots,
                        if after.is_some() { &scratch.deltas } else { own },
                        &self.model.sides[side.partner().index()].factors[walk.partner_tile],
                        &self.model.biases.values,
                        remainders.unwrap_or(&scratch.unused[1]),
                        sums.unwrap_or(&scratch.unused[2]),
                    ],
                    workgroups: segments.div_ceil(WORKGROUP / REMAINDER_LANES),
                });
            }
        }
    }

    /// The latent values of a batch's ratings, given the rows as they are.
    fn latents<'b>(
        &'b self,
        planned: &mut Vec<Planned<'b>>,
        uniforms: &mut Uniforms,
        (side, walked, batch): (Side, &'b Walked, &'b Batch),
        scratch: &'b Scratch,
        latents: Latents<'b>,
    ) {
        let Some(kernel) = &self.kernels.latent else { return };
        let model = self.model;
        let partner = side.partner();
        let (own, partners) = (&model.sides[side.index()], &model.sides[partner.index()]);
        let first = |side: Side, tile: usize| model.tiles[side.index()].range(tile).start as u32;
        for walk in &batch.walks {
            let chunk = &walked.chunks[walk.chunk];
            for (first_segment, segments) in self.walked_at_once(walk) {
                let slot = uniforms.push(&LatentParams {
                    first_segment: first_segment as u32,
                    segments: segments as u32,
                    own_bias: model.bias(side, batch.own_tile),
                    partner_bias: model.bias(partner, walk.partner_tile),
                    first_row: first(side, batch.own_tile),
                    first_partner: first(partner, walk.partner_tile),
                    global_mean: model.like.global_mean,
                });
                planned.push(Planned {
                    stage: Stage::Latent,
                    kernel,
                    slot,
                    buffers: vec![
                        latents.stream,
                        &chunk.segments,
                        &chunk.entries,
                        &own.factors[batch.own_tile],
                        &partners.factors[walk.partner_tile],
                        &model.biases.values,
                        latents.ends,
                        &scratch.remainders[side.index()][walk.chunk],
                    ],
                    workgroups: segments.div_ceil(WORKGROUP / REMAINDER_LANES),
                });
            }
        }
    }

    /// First segment and segments of the dispatches that walk ratings by [`REMAINDER_LANES`] lanes.
    fn walked_at_once(&self, walk: &Walk) -> impl Iterator<Item = (usize, usize)> + use<> {
        let most = (self.limits.workgroups * (WORKGROUP / REMAINDER_LANES))
            .min(self.model.team.dispatch_ratings() / super::tiles::SEGMENT)
            .max(1);
        parts(walk.first_segment, walk.segments, most)
    }

    /// The remainders of all the users' ratings, for the objective.
    pub fn objective(&self, walked: &Walked, scratch: &Scratch) -> Vec<Dispatch> {
        let mut uniforms = Uniforms::new(self.device);
        let mut planned = Vec::new();
        for batch in &walked.plan.batches {
            self.remainders(&mut planned, &mut uniforms, Side::User, walked, batch, scratch, None);
        }
        let params = uniforms.finish(self.device);
        planned.into_iter().map(|p| p.bind(self.device, &params).1).collect()
    }

    /// The Gram matrix of `side`, whose rows are listed in `walked`.
    pub fn whole(
        &self,
        side: Side,
        walked: &Walked,
        shape: Shape,
        (gram_kernel, join_kernel): &(Kernel, Kernel),
        (matrices, unused): (&wgpu::Buffer, &wgpu::Buffer),
    ) -> [Vec<Dispatch>; 2] {
        let mut uniforms = Uniforms::new(self.device);
        let (mut grams, mut joins) = (Vec::new(), Vec::new());
        for batch in &walked.plan.batches {
            for walk in &batch.walks {
                let chunk = &walked.chunks[walk.chunk];
                let buffers = [
                    &chunk.segments,
                    &chunk.entries,
                    &chunk.roots,
                    unused,
                    &self.model.sides[side.index()].factors[walk.partner_tile],
                    &self.model.biases.values,
                    unused,
                    matrices,
                ];
                let at = (0, self.model.bias(side, walk.partner_tile));
                let stage = (Stage::Gram(Turn::Block(0)), gram_kernel);
                gram(&mut grams, &mut uniforms, stage, walk, shape, at, &buffers, self.limits);
            }
            let buffers = [&walked.rows[batch.rows].joins, matrices];
            let stage = (Stage::Join(Turn::Block(0)), join_kernel);
            join(&mut joins, &mut uniforms, stage, batch, shape, &buffers, self.limits);
        }
        let params = uniforms.finish(self.device);
        [grams, joins].map(|planned: Vec<Planned>| {
            planned.into_iter().map(|p| p.bind(self.device, &params).1).collect()
        })
    }
}

impl Planned<'_> {
    fn bind(self, device: &Device, params: &wgpu::Buffer) -> (Stage, Dispatch) {
        let mut buffers = vec![self.slot.of(params)];
        buffers.extend(self.buffers.iter().map(|buffer| whole(buffer)));
        let group = self.kernel.bind(device, &buffers);
        (self.stage, Dispatch { group, workgroups: self.workgroups as u32 })
    }
}

/// `first..first + count` in parts of at most `most`.
fn parts(first: usize, count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).step_by(most).map(move |from| (first + from, (count - from).min(most)))
}

#[expect(clippy::too_many_arguments, reason = "all of them say where")]
fn gram<'b>(
    planned: &mut Vec<Planned<'b>>,
    uniforms: &mut Uniforms,
    (stage, kernel): (Stage, &'b Kernel),
    walk: &Walk,
    shape: Shape,
    (first_column, partner_bias): (usize, u32),
    buffers: &[&'b wgpu::Buffer; 8],
    limits: Limits,
) {
    let team = shape.gram();
    let most = most_segments(walk.ratings, walk.segments, shape).next_multiple_of(team.teams());
    for (first, segments) in parts(walk.first_segment, walk.segments, most) {
        let workgroups = segments.div_ceil(team.teams()) * team.groups;
        for (first_workgroup, workgroups) in parts(0, workgroups, limits.workgroups) {
            let slot = uniforms.push(&GramParams {
                first_workgroup: first_workgroup as u32,
                first_segment: first as u32,
                segments: segments as u32,
                add: u32::from(walk.add),
                first_column: first_column as u32,
                partner_bias,
            });
            planned.push(Planned { stage, kernel, slot, buffers: buffers.to_vec(), workgroups });
        }
    }
}

fn join<'b>(
    planned: &mut Vec<Planned<'b>>,
    uniforms: &mut Uniforms,
    (stage, kernel): (Stage, &'b Kernel),
    batch: &Batch,
    shape: Shape,
    buffers: &[&'b wgpu::Buffer; 2],
    limits: Limits,
) {
    let rows = batch.joins.len();
    if rows == 0 {
        return;
    }
    let slot = uniforms.push(&JoinParams { first: batch.joins.start as u32, rows: rows as u32 });
    let workgroups = (rows * shape.matrix_columns()).div_ceil(WORKGROUP).min(limits.workgroups);
    planned.push(Planned { stage, kernel, slot, buffers: buffers.to_vec(), workgroups });
}
