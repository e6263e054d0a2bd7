//! What lies on the device: pipelines, matrices, biases, the batches' arrays, step sizes.

use super::plan::SideArrays;
use crate::backend::{Terms, Visit};
use crate::core::{Batches, Loss, Optimizer};
use crate::gpu::shared::buffers::{Slot, Uniforms};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Kernel, Sources};
use crate::gpu::shared::params::{Entry, VisitParams};
use crate::gpu::shared::tiles::Team;
use crate::{Error, Result};

pub(in crate::gpu) struct Kernels {
    pub residual: Kernel,
    pub gradient: Kernel,
    pub step: Kernel,
    pub error: Kernel,
    pub reduce: Kernel,
}

pub(in crate::gpu) struct ChunkBuffers {
    pub lead: ArrayBuffers,
    pub follow: ArrayBuffers,
}

pub(in crate::gpu) struct ArrayBuffers {
    pub segments: wgpu::Buffer,
    pub entries: wgpu::Buffer,
    /// Entries, behind which their weights lie, two in the place of one.
    pub entries_len: usize,
    pub touched: wgpu::Buffer,
    pub sums: wgpu::Buffer,
    pub sums_len: usize,
}

/// The step size of every batch, written once an epoch.
pub(in crate::gpu) struct Visits {
    pub buffer: wgpu::Buffer,
    pub stride: usize,
    pub bytes: Vec<u8>,
}

impl Kernels {
    pub async fn new(
        device: &Device,
        sources: &Sources,
        team: Team,
        terms: &Terms,
        weighted: bool,
    ) -> Result<Self> {
        let logistic = match terms.loss {
            Loss::Squared => 0.0,
            _ => 1.0,
        };
        let width = ("WIDTH", team.width as f64);
        let lanes = ("LANES", team.lanes as f64);
        let columns = ("COLUMNS", team.columns as f64);
        let optimizer = match terms.optimizer {
            Optimizer::Sgd if terms.moments() == 0 => 0.0,
            Optimizer::Sgd => 1.0,
            Optimizer::Adagrad => 2.0,
            Optimizer::Adam => 3.0,
        };
        let bias = f64::from(u8::from(terms.bias));
        let make = async |name, source: &str, constants: &[(&str, f64)]| {
            Kernel::new(device, name, source, constants).await
        };
        Ok(Self {
            residual: make(
                "residual",
                &sources.residual,
                &[
                    width,
                    lanes,
                    columns,
                    ("LOGISTIC", logistic),
                    ("WEIGHTED", f64::from(u8::from(weighted))),
                ],
            )
            .await?,
            gradient: make("gradient", &sources.gradient, &[width, lanes, columns]).await?,
            step: make("step", &sources.step, &[width, ("BIAS", bias), ("OPTIMIZER", optimizer)])
                .await?,
            error: make("error", &sources.error, &[width, ("LOGISTIC", logistic)]).await?,
            reduce: make("reduce", &sources.reduce, &[]).await?,
        })
    }
}

/// The entries, and behind them what they count.
fn with_weights(arrays: &SideArrays) -> Vec<Entry> {
    let bits = |weight: &[f32], at: usize| weight.get(at).map_or(0, |weight| weight.to_bits());
    let pairs = arrays.weights.chunks(2);
    let pairs = pairs.map(|pair| Entry { partner: bits(pair, 0), second: bits(pair, 1) });
    arrays.entries.iter().copied().chain(pairs).collect()
}

impl ArrayBuffers {
    pub fn new(device: &Device, arrays: &SideArrays) -> Self {
        Self {
            segments: device.upload("segments", &arrays.segments),
            entries: match arrays.weights.is_empty() {
                true => device.upload("entries", &arrays.entries),
                false => device.upload("entries", &with_weights(arrays)),
            },
            entries_len: arrays.entries.len(),
            touched: device.upload("touched rows", &arrays.touched),
            sums: device.storage("sums", arrays.sums as u64 * 8),
            sums_len: arrays.sums,
        }
    }
}

impl Visits {
    pub fn new(device: &Device, batches: usize) -> Self {
        let mut uniforms = Uniforms::new(device);
        for _ in 0..batches {
            uniforms.push(&VisitParams::default());
        }
        let stride = device.limits.min_uniform_buffer_offset_alignment as usize;
        let bytes = vec![0; batches * stride];
        Self { buffer: uniforms.finish(device), stride, bytes }
    }

    pub fn slot(&self, batch: usize) -> Slot {
        Slot::at(batch * self.stride, size_of::<VisitParams>())
    }

    pub fn write(&mut self, device: &Device, visits: &[Visit]) {
        for visit in visits {
            let params = VisitParams { rate: visit.rate };
            let at = visit.batch as usize * self.stride;
            self.bytes[at..at + size_of::<VisitParams>()]
                .copy_from_slice(bytemuck::bytes_of(&params));
        }
        device.queue.write_buffer(&self.buffer, 0, &self.bytes);
    }
}

/// What a rating needs on the device in batches of some thousands, measured: entries, segments and
/// rows of both sides.
const BYTES_PER_RATING: f64 = 80.0;

/// What a failed allocation means to a user.
pub(in crate::gpu) fn fits(device: &Device, batches: &Batches, factors: usize) -> Result<()> {
    device.check().map_err(|error| {
        let bytes = (batches.users + batches.items) as f64 * factors as f64 * 4.0;
        Error::device(format!(
            "{error} (embeddings of {} users and {} items × {factors} need {:.1} GB, and as much \
             again for each moment and for gradients; {} ratings about {:.1} GB, more with small batches)",
            batches.users,
            batches.items,
            bytes / 1e9,
            batches.ratings(),
            batches.ratings() as f64 * BYTES_PER_RATING / 1e9,
        ))
    })
}
