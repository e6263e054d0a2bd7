//! Whether a device's random numbers are those of the generator.

use crate::gpu::shared::buffers::{Uniforms, whole};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel, Sources, dispatch};
use crate::gpu::shared::params::{Counter, PhiloxParams};
use crate::gpu::shared::tiles::WORKGROUP;
use crate::math::random::{box_muller, philox as words_of};
use crate::{Error, Result};

/// Counters that are tried.
const COUNTERS: usize = 128;

/// How far a device's normal number may be from the host's: a few roundings.
const CLOSE: f32 = 1e-5;

/// Tries the generator on a device before anything is drawn on it.
///
/// # Errors
/// If the device's words differ from the host's, or its normal numbers by more than rounding.
pub async fn philox(device: &Device, sources: &Sources) -> Result<()> {
    let kernel = Kernel::new(device, "philox", &sources.philox, &[]).await?;
    let counters: Vec<Counter> = (0..COUNTERS as u32)
        .map(|at| match at {
            0 => Counter::default(),
            1 => Counter {
                a: u32::MAX,
                b: u32::MAX,
                c: u32::MAX,
                d: u32::MAX,
                key_low: u32::MAX,
                key_high: u32::MAX,
            },
            at => {
                let [a, b, c, d] = words_of([at, 0, 0, 0], [0; 2]);
                Counter { a, b, c, d, key_low: a ^ c, key_high: b.wrapping_add(d) }
            }
        })
        .collect();
    let mut uniforms = Uniforms::new(device);
    let slot = uniforms.push(&PhiloxParams { counters: COUNTERS as u32 });
    let params = uniforms.finish(device);
    let input = device.upload("counters", &counters);
    let words = device.storage("words", COUNTERS as u64 * 16);
    let numbers = device.storage("normal numbers", COUNTERS as u64 * 16);
    let buffers = [slot.of(&params), whole(&input), whole(&words), whole(&numbers)];
    let group = kernel.bind(device, &buffers);
    let mut encoder = device.device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let workgroups = COUNTERS.div_ceil(WORKGROUP) as u32;
        dispatch(&mut pass, &kernel, &[Dispatch { group, workgroups }]);
    }
    device.submit(encoder);
    let words: Vec<[u32; 4]> = device.read(&words, 0, COUNTERS).await?;
    let numbers: Vec<[f32; 4]> = device.read(&numbers, 0, COUNTERS).await?;
    for ((counter, words), numbers) in counters.into_iter().zip(words).zip(numbers) {
        let Counter { a, b, c, d, key_low, key_high } = counter;
        let want = words_of([a, b, c, d], [key_low, key_high]);
        let ([x, y], [z, w]) = (box_muller(want[0], want[1]), box_muller(want[2], want[3]));
        // Not so for NaN either.
        let close = numbers.iter().zip([x, y, z, w]).all(|(got, want)| (got - want).abs() < CLOSE);
        if words != want || !close {
            return Err(Error::device(format!(
                "{}: its random numbers are not those of the generator; use `backend` cpu",
                device.adapter.name
            )));
        }
    }
    Ok(())
}
