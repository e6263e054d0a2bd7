//! What the device can compute: the multiply_add kernel.

use super::buffers::whole;
use super::device::Device;
use super::kernels::{Kernel, Sources};
use super::tiles::WORKGROUP;
use crate::Result;
use std::time::{Duration, Instant};

/// Multiply-adds of an invocation, as in multiply_add.wgsl.
const EACH: u64 = 1024 * 8 * 4;

/// Workgroups of the first run; they grow until a run takes [`LEAST`].
const GROUPS: u32 = 64;

/// A run this long is not all waiting.
const LEAST: Duration = Duration::from_millis(20);

/// Runs that count; the fastest does.
const REPEATS: usize = 4;

/// How long a device works until it keeps its pace: waiting, some run at a fifth of their clock.
const WARM: Duration = Duration::from_millis(400);

/// Multiplies and adds for a moment.
pub async fn warm_up(device: &Device, sources: &Sources) -> Result<()> {
    measure(device, sources, WARM).await.map(|_| ())
}

/// Floating-point operations a second, two for each multiply-add.
pub async fn multiply_add(device: &Device, sources: &Sources) -> Result<f64> {
    measure(device, sources, Duration::ZERO).await
}

/// Runs for `least`, and a few times more.
async fn measure(device: &Device, sources: &Sources, least: Duration) -> Result<f64> {
    let per_group = WORKGROUP as u64 * 16;
    let most = device.limits.max_storage_buffer_binding_size.min(device.limits.max_buffer_size);
    let most =
        (most / per_group).min(u64::from(device.limits.max_compute_workgroups_per_dimension));
    let most = most.min(1 << 16) as u32;
    let kernel = Kernel::new(device, "multiply_add", &sources.multiply_add, &[]).await?;
    let results = device.storage("multiply_add results", u64::from(most) * per_group);
    let group = kernel.bind(device, &[whole(&results)]);
    let run = async |groups: u32| -> Result<Duration> {
        let clock = Instant::now();
        let mut encoder = device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
        }
        let submission = device.submit(encoder);
        device.wait(Some(submission)).await?;
        Ok(clock.elapsed())
    };
    let mut groups = GROUPS.min(most);
    while run(groups).await? < LEAST && groups < most {
        groups = groups.saturating_mul(2).min(most);
    }
    let mut best = Duration::MAX;
    let (begun, mut runs) = (Instant::now(), 0);
    while runs < REPEATS || begun.elapsed() < least {
        best = best.min(run(groups).await?);
        runs += 1;
    }
    let operations = 2 * EACH * WORKGROUP as u64 * u64::from(groups);
    Ok(operations as f64 / best.as_secs_f64())
}
