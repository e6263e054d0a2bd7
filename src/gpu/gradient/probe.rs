//! What one batch's kernels compute before the step, put back into the order of the batches.

use super::passes::GpuGradient;
use super::plan::{BatchPlan, SidePlan};
use super::store::ArrayBuffers;
use crate::Result;
use crate::backend::Probe;
use crate::core::SideIndex;
use crate::gpu::shared::model::SideBuffers;
use crate::gpu::shared::params::Touched;

impl GpuGradient {
    /// Runs the kernels of one batch without its step and reads what they wrote.
    pub async fn read_probe(&self, batch: usize) -> Result<Probe> {
        let commands = &self.commands[batch];
        self.run(&[
            (&self.kernels.residual, &commands.residual),
            (&self.kernels.gradient, &commands.gradient),
        ]);
        let plan: &BatchPlan = &self.plan.batches[batch];
        let chunk = &self.chunks[plan.chunk];
        let placed: Vec<f32> = self.device.read(&self.residuals, 0, plan.ratings).await?;
        let residuals = self.places(batch).iter().map(|&place| placed[place]).collect();
        let slots = &self.plan.lead_slots;
        let (lead, lead_bias) =
            self.gradient_sums(&plan.lead, &chunk.lead, &self.lead, slots).await?;
        let slots = &self.plan.follow_slots;
        let (follow, follow_bias) =
            self.gradient_sums(&plan.follow, &chunk.follow, &self.follow, slots).await?;
        // The sums of a batch lie together, tile after tile.
        let first = plan.lead.steps.first().map_or(0, |step| step.sums_start);
        let mut end = first;
        for step in &plan.lead.steps {
            let touched: Vec<Touched> =
                self.device.read(&chunk.lead.touched, step.first_row, step.rows).await?;
            let slots = touched.iter().map(|row| row.slot + row.slots).max().unwrap_or(0);
            end = end.max(step.sums_start + slots as usize);
        }
        let pairs: Vec<[f32; 2]> = self.device.read(&chunk.lead.sums, first, end - first).await?;
        let loss = pairs.iter().map(|pair| f64::from(pair[1])).sum();
        Ok(Probe { residuals, loss, lead, lead_bias, follow, follow_bias })
    }

    /// One side's gradient sums of a batch, joined from their slots: (runs, factors) and (runs).
    async fn gradient_sums(
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
                self.device.read(&arrays.touched, step.first_row, step.rows).await?;
            let gradients: Vec<f32> =
                self.device.read(&side.gradients[step.own_tile], 0, count * padded).await?;
            let of_tile = count.min(arrays.sums_len - step.sums_start);
            let pairs: Vec<[f32; 2]> =
                self.device.read(&arrays.sums, step.sums_start, of_tile).await?;
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
