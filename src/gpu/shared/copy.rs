//! What the device's memory can do: the copy kernel.

use super::buffers::whole;
use super::device::Device;
use super::kernels::{Kernel, Sources};
use super::tiles::WORKGROUP;
use crate::Result;
use std::time::Instant;

/// Bytes of the buffer that is copied, where a binding may be so large.
const BYTES: u64 = 256 << 20;

/// vec4s an invocation copies, as in copy.wgsl.
const EACH: u64 = 8;

/// Copies in a submission: a wait for the device is small beside them.
const IN_ONE: u32 = 8;

/// Submissions after the one that warms up; the fastest counts.
const REPEATS: usize = 4;

/// Bytes a second that a copy reads and writes.
pub async fn copy(device: &Device, sources: &Sources) -> Result<f64> {
    let limits = &device.limits;
    let per_group = WORKGROUP as u64 * EACH * 16;
    let bytes = BYTES
        .min(limits.max_storage_buffer_binding_size)
        .min(limits.max_buffer_size)
        .min(u64::from(limits.max_compute_workgroups_per_dimension) * per_group);
    let groups = (bytes / per_group).max(1) as u32;
    let bytes = u64::from(groups) * per_group;
    let source = device.storage("copy source", bytes);
    let destination = device.storage("copy destination", bytes);
    let kernel = Kernel::new(device, "copy", &sources.copy, &[]).await?;
    let group = kernel.bind(device, &[whole(&source), whole(&destination)]);
    let mut best = f64::INFINITY;
    for _ in 0..=REPEATS {
        let clock = Instant::now();
        let mut encoder = device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &group, &[]);
            for _ in 0..IN_ONE {
                pass.dispatch_workgroups(groups, 1, 1);
            }
        }
        let submission = device.submit(encoder);
        device.wait(Some(submission)).await?;
        best = best.min(clock.elapsed().as_secs_f64());
    }
    Ok(2.0 * bytes as f64 * f64::from(IN_ONE) / best)
}
