//! Predictions of listed pairs.

use crate::Result;
use crate::core::{Side, UNKNOWN};
use crate::gpu::shared::buffers::{Uniforms, whole};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel, dispatch};
use crate::gpu::shared::model::Model;
use crate::gpu::shared::params::{Pair, PredictParams};
use crate::gpu::shared::tiles::{Limits, Tiles, WORKGROUP};

/// Pairs on a device, grouped by the tiles they need.
pub struct Pairs {
    dispatches: Vec<Dispatch>,
    /// Predictions of each dispatch, and how many.
    pieces: Vec<(wgpu::Buffer, usize)>,
    /// (pairs): where each dispatch's pairs stand in the list, dispatch after dispatch.
    order: Vec<u32>,
}

impl Pairs {
    /// Uploads `pairs` of users and items; [`UNKNOWN`] stands for the last row of a side.
    pub fn new(
        device: &Device,
        kernel: &Kernel,
        model: &Model,
        pairs: impl Iterator<Item = (u32, u32)>,
        limits: Limits,
    ) -> Self {
        let [user_tiles, item_tiles] = &model.tiles;
        let known = |row: u32, tiles: &Tiles| match row {
            UNKNOWN => tiles.rows as u32 - 1,
            row => row,
        };
        let mut groups: Vec<(Vec<Pair>, Vec<u32>)> =
            vec![Default::default(); user_tiles.len() * item_tiles.len()];
        for ((user, item), at) in pairs.zip(0..) {
            let (user_tile, user) = user_tiles.locate(known(user, user_tiles));
            let (item_tile, item) = item_tiles.locate(known(item, item_tiles));
            let (pairs, order) = &mut groups[user_tile * item_tiles.len() + item_tile];
            pairs.push(Pair { user, item });
            order.push(at);
        }
        let most = (limits.binding / size_of::<Pair>())
            .min(limits.workgroups * WORKGROUP)
            .min(model.team.dispatch_ratings() / 2);
        let cut: Vec<_> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, (pairs, _))| pairs.chunks(most).map(move |piece| (group, piece)))
            .map(|(group, piece)| (group / item_tiles.len(), group % item_tiles.len(), piece))
            .collect();
        let mut uniforms = Uniforms::new(device);
        let slot = |&(user_tile, item_tile, piece): &(usize, usize, &[Pair])| {
            uniforms.push(&PredictParams {
                pairs: piece.len() as u32,
                user_bias: model.bias(Side::User, user_tile),
                item_bias: model.bias(Side::Item, item_tile),
                global_mean: model.like.global_mean,
            })
        };
        let slots: Vec<_> = cut.iter().map(slot).collect();
        let params = uniforms.finish(device);
        let (mut dispatches, mut pieces) = (Vec::new(), Vec::new());
        for ((user_tile, item_tile, piece), slot) in cut.into_iter().zip(slots) {
            let predictions = device.storage("predictions", piece.len() as u64 * 4);
            let pairs = device.upload("pairs", piece);
            let buffers = [
                slot.of(&params),
                whole(&pairs),
                whole(&model.sides[0].factors[user_tile]),
                whole(&model.sides[1].factors[item_tile]),
                whole(&model.biases.values),
                whole(&predictions),
            ];
            let group = kernel.bind(device, &buffers);
            let workgroups = piece.len().div_ceil(WORKGROUP) as u32;
            dispatches.push(Dispatch { group, workgroups });
            pieces.push((predictions, piece.len()));
        }
        let order = groups.into_iter().flat_map(|(_, order)| order).collect();
        Self { dispatches, pieces, order }
    }

    /// The predictions, in the order of the list.
    pub async fn predict(&self, device: &Device, kernel: &Kernel) -> Result<Vec<f32>> {
        let mut encoder = device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatch(&mut pass, kernel, &self.dispatches);
        }
        device.submit(encoder);
        let mut predictions = vec![0.0; self.order.len()];
        let mut order = self.order.iter();
        for (buffer, count) in &self.pieces {
            let values: Vec<f32> = device.read(buffer, 0, *count).await?;
            for (value, &at) in values.into_iter().zip(order.by_ref()) {
                predictions[at as usize] = value;
            }
        }
        Ok(predictions)
    }
}
