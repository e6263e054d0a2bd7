//! What is dispatched for what the pairs of a batch are held against: panels of scores, or picks.

use super::bind::Binder;
use super::group::{BYTES, Bound, PRODUCTS};
use super::plan::{Cuts, Panel};
use crate::core::{Loss, Side};
use crate::gpu::shared::params::{
    ContrastParams, ItemGradientParams, MaskParams, NormalizerParams, PickParams,
    UserGradientParams,
};
use crate::gpu::shared::tiles::WORKGROUP;

impl Binder<'_, '_> {
    /// The scores of a panel.
    pub fn contrast(&mut self, at: usize) {
        let gpu = self.gpu;
        let Some(kernels) = &gpu.kernels.dense else { return };
        let panel = self.panels[at].clone();
        let softmax = gpu.terms.loss == Loss::Softmax;
        let slot = self.group.uniforms.push(&ContrastParams {
            first_user: gpu.plan.slots[0].locate(panel.users.start as u32).1,
            users: panel.users.len() as u32,
            first_item: gpu.plan.slots[1].locate(panel.items.start as u32).1,
            items: panel.items.len() as u32,
            stride: panel.stride() as u32,
            first_slot: panel.items.start as u32,
            scale: if softmax { gpu.choice.inverse_temperature } else { 1.0 },
        });
        let buffers = [
            Bound::Store(&gpu.store.slots[0].prepared[panel.user_tile]),
            Bound::Store(&gpu.store.slots[1].prepared[panel.item_tile]),
            Bound::Batch(self.arrays.log_weights),
            Bound::Store(&gpu.store.scores),
        ];
        let (workgroups, time) = (Cuts::contrast_workgroups(&panel), self.panel_time(&panel));
        self.job(&kernels.contrast, vec![slot], &buffers, workgroups, time);
        for (part, places) in self.arrays.places[at].clone() {
            let slot = self.group.uniforms.push(&MaskParams { places: places as u32 });
            let buffers = [Bound::Batch(part), Bound::Store(&gpu.store.scores)];
            let time = 64 * places as u64 / BYTES;
            self.job(&kernels.mask, vec![slot], &buffers, places.div_ceil(WORKGROUP), time);
        }
    }

    fn panel_time(&self, panel: &Panel) -> u64 {
        let products = panel.users.len() * panel.stride() * 4 * self.gpu.plan.team.width * 4;
        products as u64 / PRODUCTS
    }

    pub fn normalizer(&mut self, at: usize) {
        let gpu = self.gpu;
        let Some(kernels) = &gpu.kernels.dense else { return };
        let panel = self.panels[at].clone();
        for (first, count) in gpu.plan.by_workgroup(0..panel.users.len()) {
            let slot = self.group.uniforms.push(&NormalizerParams {
                first_row: first as u32,
                first_user: (panel.users.start + first) as u32,
                stride: panel.stride() as u32,
                first_four: panel.items.start as u32 / 4,
                margin: gpu.choice.margin,
                joins: u32::from(panel.items.start > 0),
            });
            let buffers = [
                Bound::Store(&gpu.store.scores),
                Bound::Batch(self.arrays.counts),
                Bound::Store(&gpu.store.stats),
            ];
            let time = (count * panel.stride() * 16) as u64 / BYTES;
            self.job(&kernels.normalizer, vec![slot], &buffers, count, time);
        }
    }

    pub fn pick(&mut self) {
        let gpu = self.gpu;
        let Some(kernel) = &gpu.kernels.pick else { return };
        let warp = gpu.terms.loss == Loss::Warp;
        for (user_tile, pairs) in self.tile_pairs() {
            for item_tile in 0..gpu.plan.slots[1].len() {
                let items = gpu.plan.slots[1].range(item_tile);
                // Draws are of the pool.
                if items.start >= self.batch.pool && item_tile > 0 {
                    break;
                }
                for (first, count) in gpu.plan.by_workgroup(pairs.clone()) {
                    let slot = self.group.uniforms.push(&PickParams {
                        first: first as u32,
                        first_user: gpu.plan.slots[0].range(user_tile).start as u32,
                        first_item: items.start as u32,
                        items: items.len() as u32,
                        draws: self.batch.draws.len() as u32,
                        known_starts: self.arrays.known_starts,
                        known: self.arrays.known,
                        tries: gpu.choice.tries as u32,
                        margin: if warp { gpu.choice.margin } else { 0.0 },
                        infinity: f32::INFINITY,
                        joins: u32::from(item_tile > 0),
                    });
                    let buffers = [
                        Bound::Batch(self.arrays.pairs),
                        Bound::Batch(self.arrays.lists),
                        Bound::Store(&gpu.store.slots[0].prepared[user_tile]),
                        Bound::Store(&gpu.store.slots[1].prepared[item_tile]),
                        Bound::Store(&gpu.store.pair_scores),
                        Bound::Store(&gpu.store.place_weights),
                        Bound::Store(&gpu.store.picks),
                        Bound::Store(&gpu.store.picked),
                    ];
                    let rows = count * (1 + gpu.choice.tries.min(self.batch.draws.len()));
                    let time = self.row_time(rows, 1);
                    self.job(kernel, vec![slot], &buffers, count, time);
                }
            }
        }
    }

    /// What a panel adds to the gradients of both sides.
    pub fn panel_gradients(&mut self, at: usize) {
        let gpu = self.gpu;
        let Some(kernels) = &gpu.kernels.dense else { return };
        let panel = self.panels[at].clone();
        let [user_tiles, item_tiles] = &gpu.plan.slots;
        let user = user_tiles.locate(panel.users.start as u32).1;
        let item = item_tiles.locate(panel.items.start as u32).1;
        // The panels come from the last to the first.
        let later = &self.panels[at + 1..];
        let user_adds = later.iter().any(|other| other.users == panel.users);
        let item_adds = later.iter().any(|other| other.items.start == panel.items.start);
        let [of_users, of_items] = self.parts;
        let user_slot = self.group.uniforms.push(&UserGradientParams {
            users: panel.users.len() as u32,
            items: panel.items.len() as u32,
            stride: panel.stride() as u32,
            first_user: panel.users.start as u32,
            first_four: panel.items.start as u32 / 4,
            first_item: item,
            length: Cuts::part_length(Side::User, &panel, of_users) as u32,
            to: user,
            tile: user_tiles.rows_per_tile as u32,
            adds: u32::from(user_adds),
            margin: gpu.choice.margin,
        });
        let item_slot = self.group.uniforms.push(&ItemGradientParams {
            users: panel.users.len() as u32,
            items: panel.items.len() as u32,
            stride: panel.stride() as u32,
            first_user: panel.users.start as u32,
            first_four: panel.items.start as u32 / 4,
            first_row: user,
            length: Cuts::part_length(Side::Item, &panel, of_items) as u32,
            to: item,
            tile: item_tiles.rows_per_tile as u32,
            adds: u32::from(item_adds),
            margin: gpu.choice.margin,
        });
        let tiles = [panel.user_tile, panel.item_tile];
        for (side, slot, kernel) in [
            (Side::User, user_slot, &kernels.user_gradient),
            (Side::Item, item_slot, &kernels.item_gradient),
        ] {
            let (own, other) = (side.index(), side.partner().index());
            let buffers = [
                Bound::Store(&gpu.store.scores),
                Bound::Store(&gpu.store.stats),
                Bound::Batch(self.arrays.counts),
                Bound::Store(&gpu.store.slots[other].prepared[tiles[other]]),
                Bound::Store(&gpu.store.slots[own].parts[tiles[own]]),
            ];
            let workgroups = gpu.plan.gradient_workgroups(side, &panel, self.parts[own]);
            self.job(kernel, vec![slot], &buffers, workgroups, self.panel_time(&panel));
        }
    }
}
