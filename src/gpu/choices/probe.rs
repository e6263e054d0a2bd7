//! What a batch's kernels compute before the step.

use super::bind::Binder;
use super::group::Group;
use super::passes::GpuChoices;
use crate::Result;
use crate::backend::ChoiceProbe;
use crate::core::{ChoiceBatch, Side};

impl GpuChoices {
    /// Runs a batch's kernels without its step and reads what they wrote.
    pub async fn read_probe(&self, batch: &ChoiceBatch) -> Result<ChoiceProbe> {
        let mut group = Group::new(&self.device);
        Binder::new(self, &mut group, batch)?.gradients();
        self.submit(group);
        let (device, store, pairs) = (&self.device, &self.store, batch.pairs());
        let slopes: Vec<[f32; 2]> = device.read(&store.sums, 0, pairs).await?;
        let mut item_bias = Vec::new();
        if self.terms.bias {
            let tiles = self.plan.slots[1];
            for (tile, sums) in store.slots[1].sums.iter().enumerate() {
                let end = tiles.range(tile).end.min(batch.items.len());
                let rows = end.saturating_sub(tiles.range(tile).start);
                let sums: Vec<[f32; 2]> = device.read(sums, 0, rows).await?;
                item_bias.extend(sums.iter().map(|sum| sum[0]));
            }
        }
        Ok(ChoiceProbe {
            loss: slopes.iter().map(|held| f64::from(held[1])).sum(),
            scores: device.read(&store.pair_scores, 0, pairs).await?,
            picks: match self.plan.dense {
                true => Vec::new(),
                false => device.read(&store.picks, 0, pairs).await?,
            },
            users: self.gradients(Side::User, batch.users.len()).await?,
            items: self.gradients(Side::Item, batch.items.len()).await?,
            item_bias,
        })
    }

    /// A side's gradients, of its first slots.
    async fn gradients(&self, side: Side, slots: usize) -> Result<Vec<f32>> {
        let (k, padded) = (self.like.factors, self.plan.team.width * 4);
        let tiles = self.plan.slots[side.index()];
        let mut all = Vec::with_capacity(slots * k);
        for (tile, buffer) in self.store.slots[side.index()].gradients.iter().enumerate() {
            let rows = tiles.range(tile).end.min(slots).saturating_sub(tiles.range(tile).start);
            let values: Vec<f32> = self.device.read(buffer, 0, rows * padded).await?;
            all.extend(values.chunks_exact(padded).flat_map(|row| &row[..k]));
        }
        Ok(all)
    }
}
