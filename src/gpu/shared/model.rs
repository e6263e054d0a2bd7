//! The parameters on the device: a side's matrices in tiles, and everybody's biases.

use super::device::Device;
use super::tiles;
use super::tiles::{Limits, Team, Tiles};
use crate::backend::{State, nothing_kept};
use crate::core::{Factors, Side, SideFactors};
use crate::{Error, Result};
use std::ops::Range;

/// The two sides, users first.
pub const SIDES: [Side; 2] = [Side::User, Side::Item];

/// One side's matrices; a buffer for each tile.
pub(in crate::gpu) struct SideBuffers {
    pub factors: Vec<wgpu::Buffer>,
    pub moments: [Vec<wgpu::Buffer>; 2],
    pub gradients: Vec<wgpu::Buffer>,
    pub kept: Vec<wgpu::Buffer>,
}

/// Biases of users, then of items; each side ends with the zero of unknown ids.
pub(in crate::gpu) struct Biases {
    pub values: wgpu::Buffer,
    pub moments: wgpu::Buffer,
    pub kept: Option<wgpu::Buffer>,
    pub rows: usize,
    pub first_item: usize,
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
            let matrix = &factors[side].factors;
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
            let users = factors[Side::User].bias.iter().chain([&0.0]);
            users.chain(&factors[Side::Item].bias).chain([&0.0]).copied().collect()
        };
        let values = join(&start.factors);
        let rows = values.len();
        if rows * 8 > limits.binding {
            return Err(Error::device(format!(
                "the biases of {rows} rows do not fit a binding of this device ({} bytes); use \
                 `backend` cpu",
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
            first_item: start.factors[Side::User].bias.len() + 1,
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

/// The parameters, and those kept.
pub struct Model {
    pub team: Team,
    pub tiles: [Tiles; 2],
    pub sides: [SideBuffers; 2],
    pub biases: Biases,
    /// Shape and `μ`; its arrays are empty.
    pub like: Factors,
}

impl Model {
    pub fn new(device: &Device, start: Factors, limits: Limits) -> Result<Self> {
        let like = Factors {
            factors: start.factors,
            global_mean: start.global_mean,
            ..Factors::default()
        };
        let team = Team::new(like.factors);
        let users = Tiles::new(start[Side::User].bias.len() + 1, team, limits)?;
        let items = Tiles::new(start[Side::Item].bias.len() + 1, team, limits)?;
        let start = State { factors: start, moments: vec![] };
        let side = |side, tiles| SideBuffers::new(device, side, tiles, &[], team, &start);
        Ok(Self {
            team,
            tiles: [users, items],
            sides: [side(Side::User, &users), side(Side::Item, &items)],
            biases: Biases::new(device, &start, limits)?,
            like,
        })
    }

    /// Where a tile's biases start.
    pub fn bias(&self, side: Side, tile: usize) -> u32 {
        self.biases.start(side, &self.tiles[side.index()], tile)
    }

    /// Remembers the parameters.
    pub fn keep(&mut self, device: &Device) {
        let [users, items] = &mut self.sides;
        keep(device, [users, items], &mut self.biases);
    }

    /// The parameters kept.
    pub async fn kept(&self, device: &Device) -> Result<Factors> {
        let Some(kept) = &self.biases.kept else { return Err(nothing_kept()) };
        self.logical(device, |side| &side.kept, kept).await
    }

    /// The parameters.
    pub async fn factors(&self, device: &Device) -> Result<Factors> {
        self.logical(device, |side| &side.factors, &self.biases.values).await
    }

    /// A range of a side's rows.
    pub async fn rows(
        &self,
        device: &Device,
        side: Side,
        rows: &Range<usize>,
    ) -> Result<SideFactors> {
        let (k, padded) = (self.like.factors, self.team.width * 4);
        let mut factors = Vec::with_capacity(rows.len() * k);
        for (tile, part) in parts(&self.tiles[side.index()], rows) {
            let buffer = &self.sides[side.index()].factors[tile];
            let values: Vec<f32> =
                device.read(buffer, part.start * padded, part.len() * padded).await?;
            factors.extend(values.chunks_exact(padded).flat_map(|row| &row[..k]));
        }
        let first = self.bias(side, 0) as usize + rows.start;
        Ok(SideFactors {
            factors,
            bias: device.read(&self.biases.values, first, rows.len()).await?,
        })
    }

    /// Puts other rows in the place of a range of a side's.
    pub fn put_rows(
        &self,
        device: &Device,
        side: Side,
        rows: &Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        let (k, padded) = (self.like.factors, self.team.width * 4);
        let mut rest = values.factors.chunks_exact(k);
        for (tile, part) in parts(&self.tiles[side.index()], rows) {
            let mut numbers = vec![0.0_f32; part.len() * padded];
            for (to, from) in numbers.chunks_exact_mut(padded).zip(rest.by_ref()) {
                to[..k].copy_from_slice(from);
            }
            let first = (part.start * padded * size_of::<f32>()) as u64;
            let buffer = &self.sides[side.index()].factors[tile];
            device.write(buffer, first, bytemuck::cast_slice(&numbers));
        }
        let first = (self.bias(side, 0) as usize + rows.start) * size_of::<f32>();
        device.write(&self.biases.values, first as u64, bytemuck::cast_slice(&values.bias));
        device.check()
    }

    async fn logical(
        &self,
        device: &Device,
        pick: impl Fn(&SideBuffers) -> &[wgpu::Buffer],
        biases: &wgpu::Buffer,
    ) -> Result<Factors> {
        let of = |side: usize| (pick(&self.sides[side]), &self.tiles[side]);
        let biases: Vec<f32> = device.read(biases, 0, self.biases.rows).await?;
        logical(device, &self.like, self.team, [of(0), of(1)], &self.biases, &biases).await
    }
}

/// The tiles that hold a range of rows, and where in them.
fn parts(tiles: &Tiles, rows: &Range<usize>) -> Vec<(usize, Range<usize>)> {
    let part = |tile: usize| {
        let own = tiles.range(tile);
        let (from, to) = (rows.start.max(own.start), rows.end.min(own.end));
        (from < to).then(|| (tile, from - own.start..to - own.start))
    };
    (0..tiles.len()).filter_map(part).collect()
}

/// Remembers the parameters as they are now.
pub(in crate::gpu) fn keep(device: &Device, sides: [&mut SideBuffers; 2], biases: &mut Biases) {
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
    device.hand_over(encoder);
}

/// Reads matrices back, users' and items', and joins them and the biases' `values` into the form that
/// does not depend on the backend. `like` has the shape and `μ`.
pub(in crate::gpu) async fn logical(
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
        sides: [
            SideFactors {
                factors: matrix(device, users, team, like.factors).await?,
                bias: values[..first_item - 1].to_vec(),
            },
            SideFactors {
                factors: matrix(device, items, team, like.factors).await?,
                bias: values[first_item..values.len() - 1].to_vec(),
            },
        ],
        global_mean: like.global_mean,
    })
}

/// Reads a matrix back and takes the padding away.
async fn matrix(
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
        let values: Vec<f32> = device.read(buffer, 0, range.len() * padded).await?;
        for (row, values) in range.zip(values.chunks_exact(padded)) {
            if row < rows {
                matrix.extend_from_slice(&values[..factors]);
            }
        }
    }
    Ok(matrix)
}
