//! What a draw of latent values reads beside the rows: where levels end, and the random words.

use crate::backend::Conditional;
use crate::core::SideRatings;
use crate::gpu::shared::buffers::Uniforms;
use crate::gpu::shared::device::Device;
use crate::gpu::shared::params::StreamParams;
use crate::math::random::OPEN;

/// The buffers of both sides' draws.
pub struct LatentBuffers {
    /// [`ends`].
    pub ends: wgpu::Buffer,
    /// [`StreamParams`].
    pub stream: wgpu::Buffer,
    levels: usize,
}

impl LatentBuffers {
    /// For ratings whose values are the numbers of their levels.
    pub fn new(device: &Device, ratings: &SideRatings) -> Self {
        let highest = ratings.values.iter().fold(0.0, |most: f32, &level| most.max(level));
        let levels = highest as usize + 1;
        let mut stream = Uniforms::new(device);
        stream.push(&StreamParams::default());
        Self {
            ends: device.storage("ends of levels", (levels as u64 + 1) * 4),
            stream: stream.finish(device),
            levels,
        }
    }

    /// Writes what a draw of a side starts from.
    pub fn write(&self, queue: &wgpu::Queue, conditional: &Conditional) {
        let ends = ends(conditional.thresholds, self.levels);
        queue.write_buffer(&self.ends, 0, bytemuck::cast_slice(&ends));
        let latents = conditional.latents;
        let stream = StreamParams {
            key_low: latents.key[0],
            key_high: latents.key[1],
            sweep: latents.sweep,
            tag: latents.tag,
        };
        queue.write_buffer(&self.stream, 0, bytemuck::bytes_of(&stream));
    }
}

/// (levels + 1): where each level begins, and where the last one ends. There may be levels above those
/// that ratings have.
fn ends(thresholds: &[f32], levels: usize) -> Vec<f32> {
    let between = thresholds.iter().copied().chain(std::iter::repeat(OPEN));
    [-OPEN].into_iter().chain(between).take(levels + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_end_at_their_thresholds() {
        assert_eq!(ends(&[0.0], 2), [-OPEN, 0.0, OPEN]);
        assert_eq!(ends(&[-1.0, 0.5], 3), [-OPEN, -1.0, 0.5, OPEN]);
        // The highest level has no rating.
        assert_eq!(ends(&[-1.0, 0.5], 2), [-OPEN, -1.0, 0.5]);
        assert_eq!(ends(&[-1.0, 0.5], 1), [-OPEN, -1.0]);
    }
}
