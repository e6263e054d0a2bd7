//! What lies on the device: the model, one side's ratings as they are cut, scratch, pipelines.

use super::super::buffers::{Uniforms, whole};
use super::super::device::Device;
use super::super::kernels::{Dispatch, Kernel, Sources};
use super::super::params::PenaltyParams;
use super::super::reduce::Reductions;
use super::super::store::{Biases, SideBuffers};
use super::super::tiles::{Limits, Team, Tiles, WORKGROUP};
use super::shape::{Block, Shape};
use super::tiles::{Batch, Chunk, Cut, DISPATCH_PRODUCTS, Plan};
use crate::backend::{RowTerms, State, nothing_kept};
use crate::data::Side;
use crate::model::Factors;
use crate::train::SideRatings;
use crate::{Error, Result};

/// The two sides, users first.
pub const SIDES: [Side; 2] = [Side::User, Side::Item];

/// Where a side stands in arrays of two.
pub fn place(side: Side) -> usize {
    match side {
        Side::User => 0,
        Side::Item => 1,
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
        let users = Tiles::new(start.user_bias.len() + 1, team, limits)?;
        let items = Tiles::new(start.item_bias.len() + 1, team, limits)?;
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
        self.biases.start(side, &self.tiles[place(side)], tile)
    }

    /// Remembers the parameters.
    pub fn keep(&mut self, device: &Device) {
        let mut encoder = device.device.create_command_encoder(&Default::default());
        let mut copy = |from: &wgpu::Buffer, to: &wgpu::Buffer| {
            encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
        };
        for side in &mut self.sides {
            if side.kept.is_empty() {
                side.kept =
                    side.factors.iter().map(|tile| device.storage("kept", tile.size())).collect();
            }
            side.factors.iter().zip(&side.kept).for_each(|(from, to)| copy(from, to));
        }
        let values = &self.biases.values;
        let kept =
            self.biases.kept.get_or_insert_with(|| device.storage("kept biases", values.size()));
        copy(values, kept);
        device.queue.submit([encoder.finish()]);
    }

    /// The parameters kept.
    pub fn kept(&self, device: &Device) -> Result<Factors> {
        let Some(kept) = &self.biases.kept else { return Err(nothing_kept()) };
        self.logical(device, |side| &side.kept, kept)
    }

    /// The parameters.
    pub fn factors(&self, device: &Device) -> Result<Factors> {
        self.logical(device, |side| &side.factors, &self.biases.values)
    }

    fn logical(
        &self,
        device: &Device,
        pick: impl Fn(&SideBuffers) -> &[wgpu::Buffer],
        biases: &wgpu::Buffer,
    ) -> Result<Factors> {
        let (factors, padded) = (self.like.factors, self.team.width * 4);
        let matrix = |side: usize| -> Result<Vec<f32>> {
            let tiles = self.tiles[side];
            let rows = tiles.rows - 1;
            let mut matrix = Vec::with_capacity(rows * factors);
            for (tile, buffer) in pick(&self.sides[side]).iter().enumerate() {
                let range = tiles.range(tile);
                let values: Vec<f32> = device.read(buffer, 0, range.len() * padded)?;
                for (row, values) in range.zip(values.chunks_exact(padded)) {
                    if row < rows {
                        matrix.extend_from_slice(&values[..factors]);
                    }
                }
            }
            Ok(matrix)
        };
        let biases: Vec<f32> = device.read(biases, 0, self.biases.rows)?;
        let first_item = self.biases.first_item;
        Ok(Factors {
            factors,
            user_factors: matrix(0)?,
            item_factors: matrix(1)?,
            user_bias: biases[..first_item - 1].to_vec(),
            item_bias: biases[first_item..biases.len() - 1].to_vec(),
            global_mean: self.like.global_mean,
        })
    }
}

/// Ratings of one side, or the rows of one side as the ratings of a single row, cut and uploaded.
pub struct Walked {
    pub plan: Plan,
    pub chunks: Vec<ChunkBuffers>,
    pub rows: Vec<RowBuffers>,
}

pub struct ChunkBuffers {
    pub segments: wgpu::Buffer,
    pub entries: wgpu::Buffer,
    pub roots: wgpu::Buffer,
    pub len: usize,
    pub segments_len: usize,
}

pub struct RowBuffers {
    pub joins: wgpu::Buffer,
    pub solves: wgpu::Buffer,
}

impl Walked {
    pub fn new(
        device: &Device,
        cut: &Cut,
        ratings: &SideRatings,
        penalty: impl Fn(usize) -> f32,
        refines: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let mut chunks = Vec::new();
        let plan = cut.cut(ratings, penalty, refines, |chunk: Chunk| {
            chunks.push(ChunkBuffers {
                segments: device.upload("segments", &chunk.segments),
                entries: device.upload("entries", &chunk.entries),
                roots: device.upload("roots of weights", &chunk.roots),
                len: chunk.entries.len(),
                segments_len: chunk.segments.len(),
            });
            device.check()
        })?;
        let rows = plan.rows.iter().map(|rows| RowBuffers {
            joins: device.upload("joins", &rows.joins),
            solves: device.upload("solves", &rows.solves),
        });
        Ok(Self { rows: rows.collect(), chunks, plan })
    }
}

/// The rows of a side, listed as the ratings of one row: their Gram matrix is the side's.
pub fn listed(rows: usize) -> SideRatings {
    SideRatings {
        starts: vec![0, rows],
        partners: (0..rows as u32).collect(),
        values: vec![0.0; rows],
        weights: vec![],
    }
}

/// What a batch solves for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The block of this number.
    Block(usize),
    /// The change of whole rows that were solved exactly: one step of iterative refinement.
    Refine,
}

/// Pipelines for blocks of one shape.
pub struct BlockKernels {
    pub shape: Shape,
    pub gram: Kernel,
    pub join: Kernel,
    pub solve: Kernel,
}

/// All pipelines.
pub struct Kernels {
    /// One of each shape of block.
    pub blocks: Vec<BlockKernels>,
    /// For the change of whole rows, where some are refined.
    pub refine: Option<BlockKernels>,
    /// The Gram matrix of a side, where pairs without a rating count.
    pub whole: Option<(Kernel, Kernel)>,
    /// The remainders of the factors as they are, kept where a solve starts from them.
    pub remainder: Kernel,
    /// Their update after a block.
    pub update: Option<Kernel>,
    pub penalty: Kernel,
    pub error: Kernel,
    pub reduce: Kernel,
}

/// Lanes of a segment in `remainder`.
pub const REMAINDER_LANES: usize = 16;

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Kernels {
    pub fn new(
        device: &Device,
        sources: &Sources,
        team: Team,
        terms: &RowTerms,
        blocks: &[Block],
        (weighted, refines): (bool, bool),
    ) -> Result<Self> {
        let make =
            |name, source: &str, constants: &[_]| Kernel::new(device, name, source, constants);
        let width = ("WIDTH", team.width as f64);
        let several = blocks.len() > 1;
        let step = blocks.first().map_or(1, |block| block.shape.coordinates);
        let aligned = !several || step.is_multiple_of(4);
        let unobserved = ("UNOBSERVED", flag(terms.unobserved_weight > 0.0));
        let gram = |shape: Shape, weighted: bool, remainders: bool, aligned: bool| {
            let team = shape.gram();
            let constants = [
                width,
                ("COORDINATES", shape.coordinates as f64),
                ("BIAS", flag(shape.bias)),
                ("TARGET", shape.target() as f64),
                ("ACROSS", shape.across() as f64),
                ("TILES", shape.tiles() as f64),
                ("LANES", team.lanes as f64),
                ("GROUPS", team.groups as f64),
                ("STAGED", team.staged as f64),
                ("ALIGNED", flag(aligned)),
                ("WEIGHTED", flag(weighted)),
                ("REMAINDERS", flag(remainders)),
            ];
            make("gram", &sources.gram, &constants)
        };
        let join =
            |shape: Shape| make("join", &sources.join, &[("SIZE", shape.matrix_columns() as f64)]);
        let solve = |shape: Shape, change: bool| {
            let coordinates = ("COORDINATES", shape.coordinates as f64);
            let target = ("TARGET", shape.target() as f64);
            let tiles = ("TILES", shape.tiles() as f64);
            if terms.nonnegative {
                let constants = [coordinates, target, tiles, width, unobserved];
                return make("nonnegative", &sources.nonnegative, &constants);
            }
            let team = shape.cholesky();
            let constants = [
                coordinates,
                ("BIAS", flag(shape.bias)),
                target,
                tiles,
                ("LANES", team.lanes as f64),
                ("RESIDENT", flag(team.resident)),
                ("STORE", team.store as f64),
                width,
                unobserved,
                ("BLOCK", flag(change)),
                ("DELTAS", if several { delta_columns(blocks) as f64 } else { 0.0 }),
            ];
            make("cholesky", &sources.cholesky, &constants)
        };
        let kernels = |shape: Shape, change: bool| -> Result<BlockKernels> {
            Ok(BlockKernels {
                shape,
                gram: gram(shape, weighted, change, aligned)?,
                join: join(shape)?,
                solve: solve(shape, change)?,
            })
        };
        let mut shapes: Vec<BlockKernels> = Vec::new();
        for block in blocks {
            if shapes.iter().all(|known| known.shape != block.shape) {
                shapes.push(kernels(block.shape, several)?);
            }
        }
        let refine = match blocks {
            [all] if refines => Some(kernels(all.shape, true)?),
            _ => None,
        };
        let full =
            Shape { coordinates: blocks.iter().map(|b| b.shape.coordinates).sum(), bias: false };
        let whole = if terms.unobserved_weight > 0.0 {
            Some((gram(full, false, false, true)?, join(full)?))
        } else {
            None
        };
        let remainder = |columns: usize, keep: bool, update: bool| {
            let constants = [
                width,
                ("COLUMNS", columns as f64),
                ("LANES", REMAINDER_LANES as f64),
                ("ALIGNED", flag(!update || aligned)),
                ("WEIGHTED", flag(weighted)),
                ("KEEP", flag(keep)),
                ("UPDATE", flag(update)),
            ];
            make("remainder", &sources.remainder, &constants)
        };
        Ok(Self {
            blocks: shapes,
            remainder: remainder(team.width, several || refine.is_some(), false)?,
            refine,
            whole,
            update: several.then(|| remainder(delta_columns(blocks), false, true)).transpose()?,
            penalty: make("penalty", &sources.penalty, &[width])?,
            error: make("error", &sources.error, &[width, ("LOGISTIC", 0.0)])?,
            reduce: make("reduce", &sources.reduce, &[])?,
        })
    }

    /// The pipelines of a turn.
    pub fn of(&self, turn: Turn, blocks: &[Block]) -> Option<&BlockKernels> {
        match turn {
            Turn::Block(number) => {
                let shape = blocks.get(number)?.shape;
                self.blocks.iter().find(|known| known.shape == shape)
            }
            Turn::Refine => self.refine.as_ref(),
        }
    }
}

/// vec4 columns of a row of the changes that a block makes; the last block's are of no use.
pub fn delta_columns(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.shape.coordinates.div_ceil(4)).max().unwrap_or(1)
}

/// Scratch that all batches share.
pub struct Scratch {
    pub matrices: wgpu::Buffer,
    /// (rows of a tile, changes of a block).
    pub deltas: wgpu::Buffer,
    /// (entries of a chunk), for each chunk of either side.
    pub remainders: [Vec<wgpu::Buffer>; 2],
    /// (segments of a chunk), for each chunk of the users.
    pub sums: Vec<wgpu::Buffer>,
    /// What is bound where a kernel has no use for a buffer.
    pub unused: [wgpu::Buffer; 3],
}

/// The regularization's dispatches and sums.
pub struct Penalties {
    pub dispatches: Vec<Dispatch>,
    pub sums: Reductions,
}

impl Penalties {
    pub fn new(
        device: &Device,
        (kernel, reduce): (&Kernel, &Kernel),
        model: &Model,
        terms: &RowTerms,
        counts: [Vec<usize>; 2],
        limits: Limits,
    ) -> Self {
        let mut uniforms = Uniforms::new(device);
        let mut parts = Vec::new();
        let most = limits.workgroups * WORKGROUP;
        for side in SIDES {
            let tiles = &model.tiles[place(side)];
            let (counts, partners) = (&counts[place(side)], counts[place(side.partner())].len());
            for tile in 0..tiles.len() {
                let range = tiles.range(tile);
                // The row of unknown ids weighs nothing.
                let weights: Vec<f32> = range
                    .clone()
                    .map(|row| counts.get(row).map_or(0.0, |&n| terms.penalty(n, partners)))
                    .collect();
                for first in (0..range.len()).step_by(most) {
                    let slot = uniforms.push(&PenaltyParams {
                        first_row: first as u32,
                        rows: range.len() as u32,
                        own_bias: model.bias(side, tile),
                        reg: terms.reg,
                        reg_bias: terms.reg_bias,
                    });
                    let rows = (range.len() - first).min(most);
                    parts.push((side, tile, (first == 0).then(|| weights.clone()), rows, slot));
                }
            }
        }
        let params = uniforms.finish(device);
        let mut buffers: Vec<(wgpu::Buffer, wgpu::Buffer, usize)> = Vec::new();
        let mut dispatches = Vec::new();
        for (side, tile, weights, rows, slot) in parts {
            if let Some(weights) = weights {
                let sums = device.storage("penalties", weights.len() as u64 * 8);
                buffers.push((device.upload("row weights", &weights), sums, weights.len()));
            }
            let Some((weights, sums, _)) = buffers.last() else { continue };
            let group = kernel.bind(
                device,
                &[
                    slot.of(&params),
                    whole(&model.sides[place(side)].factors[tile]),
                    whole(&model.biases.values),
                    whole(weights),
                    whole(sums),
                ],
            );
            dispatches.push(Dispatch { group, workgroups: rows.div_ceil(WORKGROUP) as u32 });
        }
        let sums: Vec<_> = buffers.iter().map(|(_, sums, n)| (sums, *n)).collect();
        Self { dispatches, sums: Reductions::new(device, reduce, &sums) }
    }
}

/// The limits of a device, as cutting respects them.
pub fn limits(device: &Device) -> Limits {
    let limits = &device.limits;
    Limits {
        binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) as usize,
        workgroups: limits.max_compute_workgroups_per_dimension as usize,
    }
}

/// What a failed allocation means to a user.
pub fn fits(device: &Device, rows: usize, factors: usize, ratings: usize) -> Result<()> {
    device.check().map_err(|error| {
        let bytes = rows as f64 * factors as f64 * 4.0;
        // Both sides' entries, weights and remainders.
        let ratings = ratings as f64 * 32.0;
        Error::device(format!(
            "{error} (embeddings of {rows} users and items × {factors} need {:.1} GB, ratings up to \
             {:.1} GB)",
            bytes / 1e9,
            ratings / 1e9,
        ))
    })
}

/// Work of a batch's dispatches, in multiplications.
pub fn products(batch: &Batch, shape: Shape) -> usize {
    batch.ratings * shape.tiles() * 64 + batch.solves.len() * shape.target().pow(3) / 6
}

/// Segments that one dispatch may walk.
pub fn most_segments(walk_ratings: usize, segments: usize, shape: Shape) -> usize {
    let each = (walk_ratings.div_ceil(segments.max(1)) * shape.tiles() * 64).max(1);
    (DISPATCH_PRODUCTS / each).max(1)
}
