//! What lies on the device: pipelines, matrices, biases, the batches' arrays, step sizes.

use super::buffers::{Slot, Uniforms};
use super::device::Device;
use super::kernels::{Kernel, Sources};
use super::params::VisitParams;
use super::tiles::{self, SideArrays, Team, Tiles};
use crate::backend::{State, Terms, Visit};
use crate::data::Side;
use crate::model::Factors;
use crate::train::{Batches, Loss, Optimizer};
use crate::{Error, Result};

pub(super) struct Kernels {
    pub residual: Kernel,
    pub gradient: Kernel,
    pub step: Kernel,
    pub error: Kernel,
    pub reduce: Kernel,
}

/// One side's matrices; a buffer for each tile.
pub(super) struct SideBuffers {
    pub factors: Vec<wgpu::Buffer>,
    pub moments: [Vec<wgpu::Buffer>; 2],
    pub gradients: Vec<wgpu::Buffer>,
    pub kept: Vec<wgpu::Buffer>,
}

/// Biases of users, then of items; each side ends with the zero of unknown ids.
pub(super) struct Biases {
    pub values: wgpu::Buffer,
    pub moments: wgpu::Buffer,
    pub kept: Option<wgpu::Buffer>,
    pub rows: usize,
    pub first_item: usize,
}

pub(super) struct ChunkBuffers {
    pub lead: ArrayBuffers,
    pub follow: ArrayBuffers,
}

pub(super) struct ArrayBuffers {
    pub segments: wgpu::Buffer,
    pub entries: wgpu::Buffer,
    pub touched: wgpu::Buffer,
    pub sums: wgpu::Buffer,
    pub sums_len: usize,
}

/// The step size of every batch, written once an epoch.
pub(super) struct Visits {
    pub buffer: wgpu::Buffer,
    pub stride: usize,
    pub bytes: Vec<u8>,
}

impl Kernels {
    pub fn new(device: &Device, sources: &Sources, team: Team, terms: &Terms) -> Result<Self> {
        let logistic = f64::from(u8::from(terms.loss == Loss::Logistic));
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
        let make =
            |name, source: &str, constants: &[_]| Kernel::new(device, name, source, constants);
        Ok(Self {
            residual: make(
                "residual",
                &sources.residual,
                &[width, lanes, columns, ("LOGISTIC", logistic)],
            )?,
            gradient: make("gradient", &sources.gradient, &[width, lanes, columns])?,
            step: make("step", &sources.step, &[width, ("BIAS", bias), ("OPTIMIZER", optimizer)])?,
            error: make("error", &sources.error, &[width, ("LOGISTIC", logistic)])?,
            reduce: make("reduce", &sources.reduce, &[])?,
        })
    }
}

impl SideBuffers {
    pub fn new(
        device: &Device,
        side: Side,
        tiles: &Tiles,
        slots: &[usize],
        team: Team,
        start: &State,
    ) -> Self {
        let upload = |label: &str, factors: &Factors| -> Vec<wgpu::Buffer> {
            let matrix = match side {
                Side::User => &factors.user_factors,
                Side::Item => &factors.item_factors,
            };
            let (k, padded) = (factors.factors, team.width * 4);
            let tile_values = |tile: usize| {
                let mut values = vec![0.0_f32; tiles.range(tile).len() * padded];
                let rows = matrix.chunks_exact(k).skip(tiles.range(tile).start);
                for (to, from) in values.chunks_exact_mut(padded).zip(rows) {
                    to[..k].copy_from_slice(from);
                }
                device.upload(label, &values)
            };
            (0..tiles.len()).map(tile_values).collect()
        };
        let moment = |j: usize| start.moments.get(j).map(|m| upload("moments", m));
        let row_bytes = team.row_bytes() as u64;
        Self {
            factors: upload("factors", &start.factors),
            moments: [moment(0).unwrap_or_default(), moment(1).unwrap_or_default()],
            gradients: slots
                .iter()
                .map(|&slots| device.storage("gradients", slots as u64 * row_bytes))
                .collect(),
            kept: Vec::new(),
        }
    }
}

impl Biases {
    pub fn new(device: &Device, start: &State, limits: tiles::Limits) -> Result<Self> {
        let join = |factors: &Factors| -> Vec<f32> {
            let users = factors.user_bias.iter().chain([&0.0]);
            users.chain(&factors.item_bias).chain([&0.0]).copied().collect()
        };
        let values = join(&start.factors);
        let rows = values.len();
        if rows * 8 > limits.binding {
            return Err(Error::device(format!(
                "the biases of {rows} rows do not fit a binding of this device ({} bytes); use \
                 --backend cpu",
                limits.binding
            )));
        }
        let moments: Vec<Vec<f32>> = start.moments.iter().map(join).collect();
        let pair = |row: usize| {
            let moment = |j: usize| moments.get(j).map_or(0.0, |m: &Vec<f32>| m[row]);
            [moment(0), moment(1)]
        };
        let pairs: Vec<[f32; 2]> =
            if moments.is_empty() { Vec::new() } else { (0..rows).map(pair).collect() };
        Ok(Self {
            values: device.upload("biases", &values),
            moments: device.upload("bias moments", &pairs),
            kept: None,
            rows,
            first_item: start.factors.user_bias.len() + 1,
        })
    }

    /// Where a tile's biases start.
    pub fn start(&self, side: Side, tiles: &Tiles, tile: usize) -> u32 {
        let base = match side {
            Side::User => 0,
            Side::Item => self.first_item,
        };
        (base + tiles.range(tile).start) as u32
    }
}

impl ArrayBuffers {
    pub fn new(device: &Device, arrays: &SideArrays) -> Self {
        Self {
            segments: device.upload("segments", &arrays.segments),
            entries: device.upload("entries", &arrays.entries),
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
pub(super) fn fits(device: &Device, batches: &Batches, factors: usize) -> Result<()> {
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

/// Remembers the parameters as they are now.
pub(super) fn keep(device: &Device, sides: [&mut SideBuffers; 2], biases: &mut Biases) {
    let mut encoder = device.device.create_command_encoder(&Default::default());
    let mut copy = |from: &wgpu::Buffer, to: &wgpu::Buffer| {
        encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
    };
    for side in sides {
        if side.kept.is_empty() {
            side.kept =
                side.factors.iter().map(|tile| device.storage("kept", tile.size())).collect();
        }
        side.factors.iter().zip(&side.kept).for_each(|(from, to)| copy(from, to));
    }
    let values = &biases.values;
    let kept = biases.kept.get_or_insert_with(|| device.storage("kept biases", values.size()));
    copy(values, kept);
    device.submit(encoder);
}

/// Reads matrices back, users' and items', and joins them and the biases' `values` into the form that
/// does not depend on the backend. `like` has the shape and `μ`.
pub(super) fn logical(
    device: &Device,
    like: &Factors,
    team: Team,
    [users, items]: [(&[wgpu::Buffer], &Tiles); 2],
    biases: &Biases,
    values: &[f32],
) -> Result<Factors> {
    let first_item = biases.first_item;
    Ok(Factors {
        factors: like.factors,
        user_factors: matrix(device, users, team, like.factors)?,
        item_factors: matrix(device, items, team, like.factors)?,
        user_bias: values[..first_item - 1].to_vec(),
        item_bias: values[first_item..values.len() - 1].to_vec(),
        global_mean: like.global_mean,
    })
}

/// Reads a matrix back and takes the padding away.
fn matrix(
    device: &Device,
    (buffers, tiles): (&[wgpu::Buffer], &Tiles),
    team: Team,
    factors: usize,
) -> Result<Vec<f32>> {
    let padded = team.width * 4;
    let rows = tiles.rows - 1;
    let mut matrix = Vec::with_capacity(rows * factors);
    for (tile, buffer) in buffers.iter().enumerate() {
        let range = tiles.range(tile);
        let values: Vec<f32> = device.read(buffer, 0, range.len() * padded)?;
        for (row, values) in range.zip(values.chunks_exact(padded)) {
            if row < rows {
                matrix.extend_from_slice(&values[..factors]);
            }
        }
    }
    Ok(matrix)
}
