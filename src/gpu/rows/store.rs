//! What lies on the device: the model, one side's ratings as they are cut, scratch.

use super::shape::{Block, Shape, delta_columns};
use super::tiles::{Batch, Chunk, Cut, DISPATCH_PRODUCTS, RowArrays, RowPlan, Walk};
use crate::backend::RowTerms;
use crate::core::SideRatings;
use crate::gpu::shared::buffers::{Uniforms, whole};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel};
use crate::gpu::shared::model::{Model, SIDES};
use crate::gpu::shared::params::{Join, PenaltyParams, Segment, SweepParams};
use crate::gpu::shared::reduce::Reductions;
use crate::gpu::shared::tiles::{Limits, Tiles, WORKGROUP};
use crate::{Error, Result};
use std::ops::Range;

/// Ratings of one side, or the rows of one side as the ratings of a single row, cut and uploaded.
pub struct Walked {
    pub plan: RowPlan,
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

impl Walked {
    /// The batches with a range of rows alone; ratings and slots stay where they are.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn part(&self, device: &Device, tiles: &Tiles, among: &Range<usize>) -> Result<Self> {
        let mut plan = RowPlan {
            batches: vec![],
            rows: vec![RowArrays::default(); self.plan.rows.len()],
            slots: self.plan.slots,
            without: vec![],
        };
        let mut all: Vec<Vec<Segment>> = Vec::new();
        for chunk in &self.chunks {
            all.push(device.read(&chunk.segments, 0, chunk.owners.len()).await?);
        }
        let mut kept: Vec<Vec<Segment>> = vec![vec![]; all.len()];
        for batch in &self.plan.batches {
            let first = tiles.range(batch.own_tile).start;
            let is_among = |row: u32| among.contains(&(first + row as usize));
            let (from, to) = (&self.plan.rows[batch.rows], &mut plan.rows[batch.rows]);
            let starts = (to.joins.len(), to.solves.len());
            let solves = &from.solves[batch.solves.clone()];
            to.solves.extend(solves.iter().filter(|solve| is_among(solve.row)));
            if to.solves.len() == starts.1 {
                continue;
            }
            // Both ascend by slot.
            let solved = &to.solves[starts.1..];
            let is_solved =
                |join: &&Join| solved.binary_search_by_key(&join.slot, |solve| solve.slot).is_ok();
            to.joins.extend(from.joins[batch.joins.clone()].iter().filter(is_solved));
            let mut walks = Vec::new();
            for walk in &batch.walks {
                let kept = &mut kept[walk.chunk];
                let first_segment = kept.len();
                let segments = &all[walk.chunk][walk.first_segment..][..walk.segments];
                kept.extend(segments.iter().filter(|segment| is_among(segment.row)));
                let segments = &kept[first_segment..];
                if !segments.is_empty() {
                    walks.push(Walk {
                        first_segment,
                        segments: segments.len(),
                        ratings: segments.iter().map(|segment| segment.length as usize).sum(),
                        ..*walk
                    });
                }
            }
            plan.batches.push(Batch {
                ratings: walks.iter().map(|walk| walk.ratings).sum(),
                walks,
                joins: starts.0..to.joins.len(),
                solves: starts.1..to.solves.len(),
                ..*batch
            });
        }
        let chunks = self.chunks.iter().zip(kept).map(|(chunk, segments)| ChunkBuffers {
            segments: device.upload("segments", &segments),
            entries: chunk.entries.clone(),
            roots: chunk.roots.clone(),
            len: chunk.len,
            owners: segments.iter().map(|segment| segment.row).collect(),
        });
        let rows = plan.rows.iter().map(|rows| RowBuffers {
            joins: device.upload("joins", &rows.joins),
            solves: device.upload("solves", &rows.solves),
        });
        Ok(Self { chunks: chunks.collect(), rows: rows.collect(), plan })
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
                        damping: terms.damping,
                        damping_bias: terms.damping_bias,
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
