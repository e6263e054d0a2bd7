//! Sums of losses, reduced on the device to a few numbers.

use super::buffers::{Uniforms, whole};
use super::device::Device;
use super::kernels::{Dispatch, Kernel};
use super::params::ReduceParams;
use crate::Result;

/// Workgroups of `reduce`, and so pairs of results of each reduction.
const REDUCE_GROUPS: usize = 64;

/// Sums of losses that are reduced on the device.
pub(in crate::gpu) struct Reductions {
    pub dispatches: Vec<Dispatch>,
    /// As many reductions a buffer as a binding holds, and how many pairs those give.
    pub results: Vec<(wgpu::Buffer, usize)>,
}

impl Reductions {
    pub fn new(device: &Device, kernel: &Kernel, sums: &[(&wgpu::Buffer, usize)]) -> Self {
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
    pub async fn read(&self, device: &Device) -> Result<f64> {
        let mut pairs: Vec<[f32; 2]> = Vec::new();
        for (results, count) in &self.results {
            pairs.extend(device.read::<[f32; 2]>(results, 0, *count).await?);
        }
        if pairs.iter().any(|pair| pair[1] > 0.0) {
            return Ok(f64::NAN);
        }
        Ok(pairs.iter().map(|pair| f64::from(pair[0])).sum())
    }
}
