//! Held-out ratings on the device: grouped by the tiles they need, their loss summed.

use super::buffers::{Uniforms, whole};
use super::device::Device;
use super::kernels::{Dispatch, Kernel};
use super::model::Biases;
use super::params::{ErrorParams, TestRating};
use super::reduce::Reductions;
use super::tiles;
use super::tiles::{Team, Tiles, WORKGROUP};
use crate::core::{Side, UNKNOWN};

/// Held-out ratings, uploaded and bound.
pub(in crate::gpu) struct Test {
    pub dispatches: Vec<Dispatch>,
    pub loss: Reductions,
}

/// The model that held-out ratings are predicted with: each side's tiles.
pub(in crate::gpu) struct Predictor<'a> {
    pub users: (&'a [wgpu::Buffer], &'a Tiles),
    pub items: (&'a [wgpu::Buffer], &'a Tiles),
    pub biases: &'a Biases,
    pub team: Team,
    pub global_mean: f32,
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
