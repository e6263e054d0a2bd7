//! What lies on the device: the model, one side's ratings as they are cut, scratch, pipelines.

use super::bind::Stage;
use super::shape::{Block, Shape};
use super::tiles::{Batch, Chunk, Cut, DISPATCH_PRODUCTS, Plan};
use crate::backend::RowTerms;
use crate::core::SideRatings;
use crate::gpu::shared::buffers::{Uniforms, whole};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel, Sources};
use crate::gpu::shared::model::{Model, SIDES};
use crate::gpu::shared::params::{PenaltyParams, SweepParams};
use crate::gpu::shared::reduce::Reductions;
use crate::gpu::shared::tiles::{Limits, Team, WORKGROUP};
use crate::{Error, Result};

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
    /// (segments): the row in its tile.
    pub owners: Vec<u32>,
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
                owners: chunk.segments.iter().map(|segment| segment.row).collect(),
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

/// Where weights of ratings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// All weigh 1.
    Equal,
    /// Each has its own.
    Own,
    /// A partner's ratings weigh the same.
    Partners,
}

/// What is asked of the pipelines beside the terms of the objective.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub weights: Weights,
    /// Whether some rows are refined.
    pub refines: bool,
    /// Whether rows are drawn, and no sums are wanted for an objective.
    pub draws: bool,
    /// Whether ratings are levels of a latent value.
    pub latent: bool,
}

/// The pipelines of a side's batches.
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
    /// What is drawn in their place, where ratings are levels.
    pub latent: Option<Kernel>,
}

/// Lanes of a segment in `remainder` and `latent`.
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
        wanted: Wanted,
    ) -> Result<Self> {
        let make =
            |name, source: &str, constants: &[_]| Kernel::new(device, name, source, constants);
        let width = ("WIDTH", team.width as f64);
        let full = Shape {
            coordinates: blocks.iter().map(|b| b.shape.coordinates).sum(),
            bias: blocks.iter().any(|b| b.shape.bias),
        };
        let several = blocks.len() > 1;
        let step = blocks.first().map_or(1, |block| block.shape.coordinates);
        let aligned = !several || step.is_multiple_of(4);
        let unobserved = ("UNOBSERVED", flag(terms.unobserved_weight > 0.0));
        let gram = |shape: Shape, weights: Weights, remainders: bool, aligned: bool| {
            gram(device, sources, team, shape, weights, (remainders, aligned))
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
                ("DRAW", flag(wanted.draws)),
                ("ROW_BIAS", flag(full.bias)),
                ("FACTORS", full.coordinates as f64),
                ("PRIOR", full.target() as f64),
            ];
            make("cholesky", &sources.cholesky, &constants)
        };
        let kernels = |shape: Shape, change: bool| -> Result<BlockKernels> {
            Ok(BlockKernels {
                shape,
                gram: gram(shape, wanted.weights, change || wanted.latent, aligned)?,
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
            [all] if wanted.refines => Some(kernels(all.shape, true)?),
            _ => None,
        };
        let whole = if terms.unobserved_weight > 0.0 {
            let full = Shape { bias: false, ..full };
            Some((gram(full, Weights::Equal, false, true)?, join(full)?))
        } else {
            None
        };
        let remainder = |columns: usize, keep: bool, update: bool| {
            let constants = [
                width,
                ("COLUMNS", columns as f64),
                ("LANES", REMAINDER_LANES as f64),
                ("ALIGNED", flag(!update || aligned)),
                ("WEIGHTED", flag(wanted.weights == Weights::Own)),
                ("KEEP", flag(keep)),
                ("UPDATE", flag(update)),
            ];
            make("remainder", &sources.remainder, &constants)
        };
        let latent = || {
            let lanes = ("LANES", REMAINDER_LANES as f64);
            make("latent", &sources.latent, &[width, lanes, ("CHANGE", flag(several))])
        };
        Ok(Self {
            blocks: shapes,
            remainder: remainder(team.width, several || refine.is_some(), false)?,
            refine,
            whole,
            update: several.then(|| remainder(delta_columns(blocks), false, true)).transpose()?,
            latent: wanted.latent.then(latent).transpose()?,
        })
    }

    /// The pipeline of a stage.
    pub fn stage(&self, stage: Stage, blocks: &[Block]) -> Option<&Kernel> {
        let of = |turn: Turn| self.of(turn, blocks);
        match stage {
            Stage::Gram(turn) => of(turn).map(|kernels| &kernels.gram),
            Stage::Join(turn) => of(turn).map(|kernels| &kernels.join),
            Stage::Solve(turn) => of(turn).map(|kernels| &kernels.solve),
            Stage::Remainder => Some(&self.remainder),
            Stage::Update => self.update.as_ref(),
            Stage::Latent => self.latent.as_ref(),
        }
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

/// The pipeline that sums the normal equations of `shape`: `remainders` says whether from kept
/// remainders, `aligned` whether blocks begin at whole vec4s.
pub fn gram(
    device: &Device,
    sources: &Sources,
    team: Team,
    shape: Shape,
    weights: Weights,
    (remainders, aligned): (bool, bool),
) -> Result<Kernel> {
    let lanes = shape.gram();
    let constants = [
        ("WIDTH", team.width as f64),
        ("COORDINATES", shape.coordinates as f64),
        ("BIAS", flag(shape.bias)),
        ("TARGET", shape.target() as f64),
        ("ACROSS", shape.across() as f64),
        ("TILES", shape.tiles() as f64),
        ("LANES", lanes.lanes as f64),
        ("GROUPS", lanes.groups as f64),
        ("STAGED", lanes.staged as f64),
        ("ALIGNED", flag(aligned)),
        ("WEIGHTED", flag(weights != Weights::Equal)),
        ("PARTNERS", flag(weights == Weights::Partners)),
        ("REMAINDERS", flag(remainders)),
    ];
    Kernel::new(device, "gram", &sources.gram, &constants)
}

/// Pipelines of an objective's figures.
pub struct Figures {
    pub penalty: Kernel,
    pub error: Kernel,
    pub reduce: Kernel,
}

impl Figures {
    pub fn new(device: &Device, sources: &Sources, team: Team) -> Result<Self> {
        let width = ("WIDTH", team.width as f64);
        let make =
            |name, source: &str, constants: &[_]| Kernel::new(device, name, source, constants);
        Ok(Self {
            penalty: make("penalty", &sources.penalty, &[width])?,
            error: make("error", &sources.error, &[width, ("LOGISTIC", 0.0)])?,
            reduce: make("reduce", &sources.reduce, &[])?,
        })
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
    pub unused: [wgpu::Buffer; 4],
    /// What a draw of a side has of its own: [`SweepParams`].
    pub sweep: wgpu::Buffer,
}

impl Scratch {
    /// For both sides' batches; `kept` says whether remainders are kept.
    pub fn new(
        device: &Device,
        model: &Model,
        walked: &[Walked; 2],
        blocks: &[Block],
        kept: bool,
    ) -> Self {
        let storage =
            |label: &str, count: usize, each: usize| device.storage(label, (count * each) as u64);
        let slots = walked.iter().map(|side| side.plan.slots).max().unwrap_or(0);
        let matrix = blocks.iter().map(|block| block.shape.matrix_bytes()).max().unwrap_or(0);
        let tile_rows = model.tiles.iter().map(|tiles| tiles.rows_per_tile).max().unwrap_or(0);
        let remainders = |side: &Walked| -> Vec<wgpu::Buffer> {
            let kept = side.chunks.iter().filter(|_| kept);
            kept.map(|chunk| storage("remainders", chunk.len, 4)).collect()
        };
        let [users, items] = walked;
        // The items' sums are of no use, but are written.
        let most = items.chunks.iter().map(|chunk| chunk.owners.len()).max().unwrap_or(0);
        let sums = users.chunks.iter().map(|chunk| storage("errors", chunk.owners.len(), 8));
        let mut sweep = Uniforms::new(device);
        sweep.push(&SweepParams::default());
        Self {
            matrices: storage("normal equations", slots, matrix),
            deltas: storage(
                "deltas",
                if blocks.len() > 1 { tile_rows } else { 0 },
                delta_columns(blocks) * 16,
            ),
            remainders: [remainders(users), remainders(items)],
            sums: sums.chain([storage("errors", if kept { most } else { 0 }, 8)]).collect(),
            unused: std::array::from_fn(|_| device.storage("unused", 0)),
            sweep: sweep.finish(device),
        }
    }
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
            let tiles = &model.tiles[side.index()];
            let (counts, partners) = (&counts[side.index()], counts[side.partner().index()].len());
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
                    whole(&model.sides[side.index()].factors[tile]),
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
