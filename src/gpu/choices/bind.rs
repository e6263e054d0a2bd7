//! What is dispatched for a batch, and which buffers each dispatch sees.

use super::arrays::Arrays;
use super::group::{BYTES, Bound, Group, Job, PRODUCTS};
use super::passes::GpuChoices;
use super::plan::{Panel, Piece};
use crate::Result;
use crate::core::{ChoiceBatch, Loss, Side, UNKNOWN};
use crate::gpu::shared::buffers::Slot;
use crate::gpu::shared::kernels::Kernel;
use crate::gpu::shared::params::{
    PairGradientParams, PairScoreParams, PairsParams, PrepareParams, ProjectParams, StepParams,
    VisitParams,
};
use crate::gpu::shared::tiles::WORKGROUP;
use crate::math::random::{Purpose, Stream};
use std::ops::Range;

/// What makes a batch's jobs.
pub(super) struct Binder<'a, 'b> {
    pub gpu: &'a GpuChoices,
    pub group: &'b mut Group<'a>,
    pub batch: &'b ChoiceBatch,
    pub pieces: [Vec<Piece>; 2],
    pub panels: Vec<Panel>,
    /// Parts of gradients from panels.
    pub parts: [usize; 2],
    pub arrays: Arrays,
    pub sums_start: u32,
}

impl<'a, 'b> Binder<'a, 'b> {
    /// Appends a batch's arrays to those of a group.
    ///
    /// # Errors
    /// If one does not fit a binding.
    pub fn new(
        gpu: &'a GpuChoices,
        group: &'b mut Group<'a>,
        batch: &'b ChoiceBatch,
    ) -> Result<Self> {
        let plan = &gpu.plan;
        let pieces = [plan.pieces(Side::User, &batch.users), plan.pieces(Side::Item, &batch.items)];
        let panels = match plan.dense {
            true => plan.panels(batch.users.len(), batch.pool),
            false => Vec::new(),
        };
        let parts = match panels.first() {
            Some(first) => [plan.parts(Side::User, first), plan.parts(Side::Item, first)],
            None => [0; 2],
        };
        let arrays = Arrays::new(&mut group.arena, plan, batch, &panels)?;
        let sums_start = group.pairs as u32;
        group.pairs += batch.pairs();
        group.batches += 1;
        Ok(Self { gpu, group, batch, pieces, panels, parts, arrays, sums_start })
    }

    pub fn job(
        &mut self,
        kernel: &'a Kernel,
        params: Vec<Slot>,
        buffers: &[Bound<'a>],
        workgroups: usize,
        time: u64,
    ) {
        let (buffers, workgroups) = (buffers.to_vec(), workgroups as u32);
        self.group.jobs.push(Job { kernel, params, buffers, workgroups, time });
    }

    /// Everything up to the gradients.
    pub fn gradients(&mut self) {
        for side in Side::BOTH {
            self.prepare(side);
        }
        self.pair_scores();
        for at in 0..self.panels.len() {
            self.contrast(at);
            self.normalizer(at);
        }
        if !self.gpu.plan.dense {
            self.pick();
        }
        self.pairs();
        // The scores of the last panel are still there.
        for at in (0..self.panels.len()).rev() {
            if at + 1 < self.panels.len() {
                self.contrast(at);
            }
            self.panel_gradients(at);
        }
        for side in Side::BOTH {
            self.pair_gradient(side);
        }
        for side in Side::BOTH {
            self.project(side);
        }
    }

    fn stream(&self, side: Side) -> Stream {
        let purpose = match side {
            Side::User => Purpose::UserDropout,
            Side::Item => Purpose::ItemDropout,
        };
        Stream::new(self.gpu.choice.seed, 0, self.batch.step, purpose)
    }

    fn prepare(&mut self, side: Side) {
        let gpu = self.gpu;
        let (own, stream) = (side.index(), self.stream(side));
        for piece in self.pieces[own].clone() {
            let tiles = &gpu.plan.tiles[own];
            let slot = self.group.uniforms.push(&PrepareParams {
                first: piece.first as u32,
                rows: piece.rows as u32,
                to: piece.to as u32,
                first_row: tiles.range(piece.tile).start as u32,
                own_bias: gpu.store.biases.start(side, tiles, piece.tile),
                key_low: stream.key[0],
                key_high: stream.key[1],
                sweep: stream.sweep,
                tag: stream.tag,
                below: gpu.choice.dropout_below,
                keep: gpu.choice.dropout_scale,
            });
            let buffers = [
                Bound::Batch(self.arrays.slots[own]),
                Bound::Store(&gpu.store.sides[own].factors[piece.tile]),
                Bound::Store(&gpu.store.biases.values),
                Bound::Store(&gpu.store.slots[own].prepared[piece.slot_tile]),
            ];
            let workgroups = piece.rows.div_ceil(gpu.plan.team.teams());
            let time = self.row_time(piece.rows, 2);
            self.job(&gpu.kernels.prepare[own], vec![slot], &buffers, workgroups, time);
        }
    }

    /// How long so many rows take that are read or written so often.
    pub fn row_time(&self, rows: usize, times: usize) -> u64 {
        (rows * self.gpu.plan.slot_bytes() * times) as u64 / BYTES
    }

    /// The pairs whose users lie in each tile of slots.
    pub fn tile_pairs(&self) -> Vec<(usize, Range<usize>)> {
        let tiles = &self.gpu.plan.slots[0];
        let end = |slot: usize| self.batch.user_starts[slot.min(self.batch.users.len())] as usize;
        let tile = |tile| (tile, end(tiles.range(tile).start)..end(tiles.range(tile).end));
        (0..tiles.len()).map(tile).filter(|(_, pairs)| !pairs.is_empty()).collect()
    }

    fn pair_scores(&mut self) {
        let gpu = self.gpu;
        for (user_tile, pairs) in self.tile_pairs() {
            for item_tile in 0..gpu.plan.slots[1].len() {
                for (first, count) in gpu.plan.by_invocation(pairs.clone()) {
                    let slot = self.group.uniforms.push(&PairScoreParams {
                        first: first as u32,
                        pairs: count as u32,
                        first_user: gpu.plan.slots[0].range(user_tile).start as u32,
                        first_item: gpu.plan.slots[1].range(item_tile).start as u32,
                        items: gpu.plan.slots[1].range(item_tile).len() as u32,
                    });
                    let buffers = [
                        Bound::Batch(self.arrays.pairs),
                        Bound::Store(&gpu.store.slots[0].prepared[user_tile]),
                        Bound::Store(&gpu.store.slots[1].prepared[item_tile]),
                        Bound::Store(&gpu.store.pair_scores),
                    ];
                    let (workgroups, time) = (count.div_ceil(WORKGROUP), self.row_time(count, 2));
                    self.job(&gpu.kernels.pair_score, vec![slot], &buffers, workgroups, time);
                }
            }
        }
    }

    fn pairs(&mut self) {
        let gpu = self.gpu;
        let power = match gpu.terms.loss {
            Loss::Ccl => gpu.choice.negative_weight,
            _ => gpu.choice.negative_power,
        };
        for (first, users) in gpu.plan.by_invocation(0..self.batch.users.len()) {
            let slot = self.group.uniforms.push(&PairsParams {
                first: first as u32,
                users: users as u32,
                sums_start: self.sums_start,
                inverse_temperature: gpu.choice.inverse_temperature,
                inverse_cut: gpu.choice.inverse_cut.unwrap_or(0.0),
                power,
                margin: gpu.choice.margin,
            });
            let buffers = [
                Bound::Batch(self.arrays.slots[0]),
                Bound::Batch(self.arrays.pairs),
                Bound::Store(&gpu.store.pair_scores),
                Bound::Store(&gpu.store.picked),
                Bound::Store(&gpu.store.stats),
                Bound::Store(&gpu.store.sums),
            ];
            let time = 64 * self.batch.pairs() as u64 / BYTES;
            self.job(&gpu.kernels.pairs, vec![slot], &buffers, users.div_ceil(WORKGROUP), time);
        }
    }

    fn pair_gradient(&mut self, side: Side) {
        let gpu = self.gpu;
        let (own, other) = (side.index(), side.partner().index());
        let partners = &gpu.plan.slots[other];
        let part = self.parts[own] * gpu.plan.slots[own].rows_per_tile;
        let has = [self.batch.users.len(), self.batch.items.len()][other];
        for piece in self.pieces[own].clone() {
            for tile in (0..partners.len()).filter(|&tile| partners.range(tile).start < has) {
                let slot = self.group.uniforms.push(&PairGradientParams {
                    first: piece.first as u32,
                    rows: piece.rows as u32,
                    to: (part + piece.to) as u32,
                    first_partner: partners.range(tile).start as u32,
                    partners: partners.range(tile).len() as u32,
                    pairs: self.batch.pairs() as u32,
                    sums_start: self.sums_start,
                    adds: u32::from(tile > 0),
                });
                let buffers = [
                    Bound::Batch(self.arrays.slots[own]),
                    Bound::Batch(self.arrays.entries[own]),
                    Bound::Batch(self.arrays.pairs),
                    Bound::Store(&gpu.store.sums),
                    Bound::Store(&gpu.store.picks),
                    Bound::Store(&gpu.store.slots[other].prepared[tile]),
                    Bound::Store(&gpu.store.slots[own].parts[piece.slot_tile]),
                ];
                let workgroups = piece.rows.div_ceil(gpu.plan.team.teams());
                let picks = match (side, gpu.plan.dense) {
                    (Side::Item, false) => piece.rows * self.batch.pairs(),
                    _ => 0,
                };
                let rows = piece.rows + 2 * self.batch.pairs();
                let time = self.row_time(rows, 1) + picks as u64 / PRODUCTS;
                self.job(&gpu.kernels.pair_gradient[own], vec![slot], &buffers, workgroups, time);
            }
        }
    }

    fn project(&mut self, side: Side) {
        let gpu = self.gpu;
        let (own, stream) = (side.index(), self.stream(side));
        for piece in self.pieces[own].clone() {
            let slot = self.group.uniforms.push(&ProjectParams {
                first: piece.first as u32,
                rows: piece.rows as u32,
                to: piece.to as u32,
                first_row: gpu.plan.tiles[own].range(piece.tile).start as u32,
                dense: match side {
                    Side::User => UNKNOWN,
                    Side::Item => self.batch.pool as u32,
                },
                parts: self.parts[own] as u32,
                tile: gpu.plan.slots[own].rows_per_tile as u32,
                key_low: stream.key[0],
                key_high: stream.key[1],
                sweep: stream.sweep,
                tag: stream.tag,
                below: gpu.choice.dropout_below,
                keep: gpu.choice.dropout_scale,
            });
            let slots = &gpu.store.slots[own];
            let buffers = [
                Bound::Batch(self.arrays.slots[own]),
                Bound::Store(&slots.prepared[piece.slot_tile]),
                Bound::Store(&slots.parts[piece.slot_tile]),
                Bound::Store(&slots.gradients[piece.slot_tile]),
                Bound::Store(&slots.touched[piece.slot_tile]),
                Bound::Store(&slots.sums[piece.slot_tile]),
            ];
            let workgroups = piece.rows.div_ceil(gpu.plan.team.teams());
            let time = self.row_time(piece.rows, 3 + self.parts[own]);
            self.job(&gpu.kernels.project[own], vec![slot], &buffers, workgroups, time);
        }
    }

    /// The step of the rows: of both sides', or of users' alone.
    pub fn steps(&mut self) {
        let gpu = self.gpu;
        let visit = self.group.uniforms.push(&VisitParams { rate: self.batch.rate });
        let pairs = self.batch.pairs().max(1) as f32;
        let mean = if gpu.still_items { 1.0 } else { 1.0 / pairs };
        for side in Side::BOTH {
            if gpu.still_items && side == Side::Item {
                break;
            }
            let own = side.index();
            for piece in self.pieces[own].clone() {
                let slot = self.group.uniforms.push(&StepParams {
                    first_row: piece.to as u32,
                    rows: piece.rows as u32,
                    own_bias: gpu.store.biases.start(side, &gpu.plan.tiles[own], piece.tile),
                    sums_start: 0,
                    scale: mean,
                    decay: 2.0 * gpu.terms.reg * mean,
                    decay_bias: 2.0 * gpu.terms.reg_bias * mean,
                    damping: 0.0,
                    damping_bias: 0.0,
                    momentum: gpu.terms.momentum,
                    bias_rate: gpu.terms.bias_rate,
                });
                let (slots, rows) = (&gpu.store.slots[own], &gpu.store.sides[own]);
                let unused = &gpu.store.unused;
                let moment = |j: usize| rows.moments[j].get(piece.tile).unwrap_or(&unused[j]);
                let bias_moments = match gpu.terms.moments() {
                    0 => &unused[2],
                    _ => &gpu.store.biases.moments,
                };
                let buffers = [
                    Bound::Store(&slots.touched[piece.slot_tile]),
                    Bound::Store(&slots.gradients[piece.slot_tile]),
                    Bound::Store(&slots.sums[piece.slot_tile]),
                    Bound::Store(&rows.factors[piece.tile]),
                    Bound::Store(&gpu.store.biases.values),
                    Bound::Store(moment(0)),
                    Bound::Store(moment(1)),
                    Bound::Store(bias_moments),
                ];
                let has_bias = gpu.terms.bias && side == Side::Item;
                let lanes = piece.rows * (gpu.plan.team.width + usize::from(has_bias));
                let time = self.row_time(piece.rows, 7);
                let workgroups = lanes.div_ceil(WORKGROUP);
                self.job(&gpu.kernels.step[own], vec![slot, visit], &buffers, workgroups, time);
            }
        }
    }
}
