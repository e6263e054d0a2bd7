//! The ranker: candidates lie on the device; queries come in tiles, each scored against a tile of
//! candidates at a time.

mod plan;

use crate::Result;
use crate::backend::{Candidates, Counted, Interval, Ranked, WITHIN, reaches};
use crate::gpu::shared::buffers::{Reading, Slot, Uniforms, whole};
use crate::gpu::shared::device::Device;
use crate::gpu::shared::kernels::{Dispatch, Kernel, Sources, dispatch};
use crate::gpu::shared::params::{
    CountInterval, CountParams, CountedParams, MaskParams, ScoreParams, TopkEntry, TopkParams,
};
use crate::gpu::shared::tiles::WORKGROUP;
use plan::{Limits, RankPlan};
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// The ceiling of a whole list: no score is as high.
const TOP: TopkEntry = TopkEntry { score: f32::MAX, row: 0 };

/// Candidates that lie on a device.
pub struct GpuRanker {
    device: Arc<Device>,
    sources: Arc<Sources>,
    limits: Limits,
    plan: RankPlan,
    factors: usize,
    tiles: Vec<Tile>,
    /// (queries of a tile, candidates of a tile).
    scores: wgpu::Buffer,
    score: Kernel,
    mask: OnceLock<Kernel>,
    topk: OnceLock<Kernel>,
    count: OnceLock<Kernel>,
}

/// Some consecutive candidates.
struct Tile {
    first_row: usize,
    columns: usize,
    rows: wgpu::Buffer,
    bias: wgpu::Buffer,
    reach: wgpu::Buffer,
}

/// Queries of a tile, on the device.
struct Queries<'q> {
    count: usize,
    numbers: wgpu::Buffer,
    /// For each query; nothing is excluded where it is empty.
    excluded: &'q [&'q [u32]],
}

impl GpuRanker {
    /// Uploads candidates.
    ///
    /// # Errors
    /// If they do not fit the device, or it is lost.
    pub async fn new(
        device: &Arc<Device>,
        sources: &Arc<Sources>,
        candidates: &Candidates<'_>,
    ) -> Result<GpuRanker> {
        let factors = candidates.factors;
        let limits = Limits {
            binding: device.limits.max_storage_buffer_binding_size as usize,
            workgroups: device.limits.max_compute_workgroups_per_dimension as usize,
        };
        let plan = RankPlan::new(candidates.bias.len(), factors, limits)?;
        let mut tiles = Vec::new();
        let reach = reaches(candidates);
        let rows = candidates.rows.chunks(plan.columns * factors);
        let numbers = candidates.bias.chunks(plan.columns).zip(reach.chunks(plan.columns));
        for (rows, (bias, reach)) in rows.zip(numbers) {
            let columns = bias.len();
            tiles.push(Tile {
                first_row: tiles.len() * plan.columns,
                columns,
                rows: device.upload("candidates", &padded(rows, factors, plan.width)),
                bias: device.upload("candidate biases", bias),
                reach: device.upload("candidate reaches", reach),
            });
            device.check()?;
        }
        let scores = device.storage("scores", (plan.queries * plan.columns * 4) as u64);
        let width = [("WIDTH", plan.width as f64)];
        let score = Kernel::new(device, "score", &sources.score, &width).await?;
        device.check()?;
        let (mask, topk, count) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let (device, sources) = (device.clone(), sources.clone());
        Ok(Self { device, sources, limits, plan, factors, tiles, scores, score, mask, topk, count })
    }

    /// A kernel, compiled when it is first needed.
    async fn kernel<'k>(
        &self,
        cell: &'k OnceLock<Kernel>,
        name: &'static str,
        source: &str,
    ) -> Result<&'k Kernel> {
        if let Some(kernel) = cell.get() {
            return Ok(kernel);
        }
        let kernel = Kernel::new(&self.device, name, source, &[]).await?;
        Ok(cell.get_or_init(|| kernel))
    }

    fn queries<'q>(&self, queries: &[f32], excluded: &'q [&'q [u32]]) -> Queries<'q> {
        let numbers = padded(queries, self.factors, self.plan.width);
        let numbers = self.device.upload("queries", &numbers);
        Queries { count: queries.len() / self.factors, numbers, excluded }
    }

    /// Scores the queries against every tile of candidates, and lets `use_scores` record what is
    /// done with each tile's scores; then submits all.
    async fn score_tiles(
        &self,
        queries: &Queries<'_>,
        use_scores: &mut dyn FnMut(&mut wgpu::ComputePass, usize) -> Result<()>,
    ) -> Result<()> {
        let mut uniforms = Uniforms::new(&self.device);
        let slots: Vec<Slot> = self
            .tiles
            .iter()
            .map(|tile| {
                let columns = tile.columns as u32;
                uniforms.push(&ScoreParams { queries: queries.count as u32, columns })
            })
            .collect();
        let params = uniforms.finish(&self.device);
        // Where each query's excluded rows go on.
        let mut next = vec![0; queries.excluded.len()];
        for (at, (tile, slot)) in self.tiles.iter().zip(slots).enumerate() {
            let group = self.score.bind(
                &self.device,
                &[
                    slot.of(&params),
                    whole(&queries.numbers),
                    whole(&tile.rows),
                    whole(&tile.bias),
                    whole(&self.scores),
                ],
            );
            let workgroups = RankPlan::score_workgroups(queries.count, tile.columns);
            let masks = self.masks(tile, queries.excluded, &mut next).await?;
            let mut encoder = self.device.device.create_command_encoder(&Default::default());
            {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                dispatch(&mut pass, &self.score, &[Dispatch { group, workgroups }]);
                if let Some(mask) = self.mask.get() {
                    dispatch(&mut pass, mask, &masks);
                }
                use_scores(&mut pass, at)?;
            }
            self.device.submit(encoder);
        }
        self.device.check()
    }

    /// Takes excluded candidates of a tile out of the scores.
    async fn masks(
        &self,
        tile: &Tile,
        excluded: &[&[u32]],
        next: &mut [usize],
    ) -> Result<Vec<Dispatch>> {
        let end = (tile.first_row + tile.columns) as u32;
        let all = excluded.par_iter().zip(next.par_iter_mut()).enumerate();
        let of_query = all.flat_map_iter(|(query, (rows, next))| {
            let first = (query * tile.columns) as u32;
            let rows = &rows[*next..];
            let rows = &rows[..rows.partition_point(|&row| row < end)];
            *next += rows.len();
            rows.iter().map(move |&row| first + row - tile.first_row as u32)
        });
        let places: Vec<u32> = of_query.collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mask = self.kernel(&self.mask, "mask", &self.sources.mask).await?;
        let dispatches = places.chunks(self.plan.places).map(|places| {
            let mut uniforms = Uniforms::new(&self.device);
            let slot = uniforms.push(&MaskParams { places: places.len() as u32 });
            let params = uniforms.finish(&self.device);
            let workgroups = places.len().div_ceil(WORKGROUP) as u32;
            let places = self.device.upload("excluded", places);
            let buffers = [slot.of(&params), whole(&places), whole(&self.scores)];
            Dispatch { group: mask.bind(&self.device, &buffers), workgroups }
        });
        Ok(dispatches.collect())
    }

    /// Asks for the best `n`, at most a list of the plan, after each query's ceiling.
    async fn ask(&self, queries: &Queries<'_>, ceilings: &[TopkEntry], n: usize) -> Result<Asked> {
        let device = &*self.device;
        let topk = self.kernel(&self.topk, "topk", &self.sources.topk).await?;
        let ceilings = device.upload("ceilings", ceilings);
        let entry = size_of::<TopkEntry>();
        let lists = device.storage("lists", (queries.count * n * entry) as u64);
        let lengths = device.storage("lengths", (queries.count * 4) as u64);
        let mut uniforms = Uniforms::new(device);
        let slots: Vec<Slot> = self
            .tiles
            .iter()
            .map(|tile| {
                uniforms.push(&TopkParams {
                    columns: tile.columns as u32,
                    first_row: tile.first_row as u32,
                    n: n as u32,
                })
            })
            .collect();
        let params = uniforms.finish(device);
        self.score_tiles(queries, &mut |pass, tile| {
            let group = topk.bind(
                device,
                &[
                    slots[tile].of(&params),
                    whole(&self.scores),
                    whole(&ceilings),
                    whole(&lists),
                    whole(&lengths),
                ],
            );
            dispatch(pass, topk, &[Dispatch { group, workgroups: queries.count as u32 }]);
            Ok(())
        })
        .await?;
        let bytes = [queries.count * 4, queries.count * n * entry].map(|bytes| bytes as u64);
        let reading = device.ask([(&lengths, 0, bytes[0]), (&lists, 0, bytes[1])]);
        Ok(Asked { n, reading })
    }
}

/// Lists that are on their way back.
struct Asked {
    n: usize,
    reading: Reading<2>,
}

impl Asked {
    /// Waits for them.
    async fn get(self, device: &Device) -> Result<Vec<Vec<Ranked>>> {
        let Self { n, reading } = self;
        let [lengths, entries] = reading.get(device).await?;
        let lengths: Vec<u32> = bytemuck::pod_collect_to_vec(&lengths);
        let entries: Vec<TopkEntry> = bytemuck::pod_collect_to_vec(&entries);
        let list = |(entries, &length): (&[TopkEntry], &u32)| {
            let entries = &entries[..n.min(length as usize)];
            entries.iter().map(|entry| Ranked { row: entry.row, score: entry.score }).collect()
        };
        Ok(entries.chunks_exact(n).zip(&lengths).map(list).collect())
    }
}

/// What [`Ranker`](crate::backend::Ranker) is made of. A submission scores a tile and uses its scores
/// up, so those of several threads may come in any order.
impl GpuRanker {
    /// Lists longer than 1024 (or than a binding holds) come in pieces of that, each after a
    /// scoring of its own.
    pub async fn top(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        n: usize,
    ) -> Result<Vec<Vec<Ranked>>> {
        let candidates: usize = self.tiles.iter().map(|tile| tile.columns).sum();
        let n = n.min(candidates);
        let mut all = Vec::with_capacity(queries.len() / self.factors);
        if n == 0 {
            all.resize(queries.len() / self.factors, Vec::new());
            return Ok(all);
        }
        let piece = n.min(self.plan.list);
        let tile = self.plan.queries_with_lists(piece, self.limits);
        if piece == n {
            // The device has the next tile already when the host takes in one.
            let mut before: Option<Asked> = None;
            for (numbers, first) in queries.chunks(tile * self.factors).zip((0..).step_by(tile)) {
                let count = numbers.len() / self.factors;
                let excluded =
                    if excluded.is_empty() { &[] } else { &excluded[first..first + count] };
                let on_device = self.queries(numbers, excluded);
                let now = self.ask(&on_device, &vec![TOP; count], n).await?;
                if let Some(before) = before.replace(now) {
                    all.extend(before.get(&self.device).await?);
                }
            }
            if let Some(last) = before {
                all.extend(last.get(&self.device).await?);
            }
            return Ok(all);
        }
        for numbers in queries.chunks(tile * self.factors) {
            let first = all.len();
            let count = numbers.len() / self.factors;
            let excluded = if excluded.is_empty() { &[] } else { &excluded[first..first + count] };
            let on_device = self.queries(numbers, excluded);
            let mut lists: Vec<Vec<Ranked>> = vec![Vec::with_capacity(n); count];
            let mut left = n;
            while left > 0 {
                let ceiling = |list: &Vec<Ranked>| match list.last() {
                    Some(last) => TopkEntry { score: last.score, row: last.row },
                    None => TOP,
                };
                let ceilings: Vec<TopkEntry> = lists.iter().map(ceiling).collect();
                let length = piece.min(left);
                let pieces =
                    self.ask(&on_device, &ceilings, length).await?.get(&self.device).await?;
                let whole = pieces.iter().any(|piece| piece.len() == length);
                for (list, piece) in lists.iter_mut().zip(pieces) {
                    list.extend(piece);
                }
                left = if whole { left - length } else { 0 };
            }
            all.extend(lists);
        }
        Ok(all)
    }

    pub async fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>> {
        let device = &*self.device;
        let mut results = vec![Counted::default(); intervals.len()];
        // Positions of the intervals, query after query.
        let mut order: Vec<u32> = (0..intervals.len() as u32).collect();
        order.sort_by_key(|&at| intervals[at as usize].query);
        let count = self.kernel(&self.count, "count", &self.sources.count).await?;
        let query_of = |at: &u32| intervals[*at as usize].query as usize;
        let mut first = 0;
        for numbers in queries.chunks(self.plan.queries * self.factors) {
            let end = first + numbers.len() / self.factors;
            let from = order.partition_point(|at| query_of(at) < first);
            let to = order.partition_point(|at| query_of(at) < end);
            if from < to {
                let excluded = if excluded.is_empty() { &[] } else { &excluded[first..end] };
                let on_device = self.queries(numbers, excluded);
                let pieces: Vec<Piece> = order[from..to]
                    .chunks(self.plan.intervals)
                    .map(|asked| Piece::new(device, asked, intervals, first))
                    .collect();
                self.score_tiles(&on_device, &mut |pass, tile| {
                    let Tile { columns, first_row, .. } = self.tiles[tile];
                    let mut uniforms = Uniforms::new(device);
                    let slot = uniforms.push(&CountParams {
                        columns: columns as u32,
                        first_row: first_row as u32,
                    });
                    let params = uniforms.finish(device);
                    for piece in &pieces {
                        let buffers = [
                            slot.of(&params),
                            whole(&self.scores),
                            whole(&self.tiles[tile].reach),
                            whole(&piece.intervals),
                            whole(&piece.counted),
                            whole(&piece.named),
                        ];
                        let group = count.bind(device, &buffers);
                        let workgroups = piece.asked.len() as u32;
                        dispatch(pass, count, &[Dispatch { group, workgroups }]);
                    }
                    Ok(())
                })
                .await?;
                for piece in pieces {
                    piece.read(device, &mut results).await?;
                }
            }
            first = end;
        }
        Ok(results)
    }
}

/// Some intervals of a tile of queries, and what is counted for them.
struct Piece<'o> {
    /// Positions among all intervals.
    asked: &'o [u32],
    intervals: wgpu::Buffer,
    counted: wgpu::Buffer,
    named: wgpu::Buffer,
}

impl<'o> Piece<'o> {
    fn new(device: &Device, asked: &'o [u32], all: &[Interval], first_query: usize) -> Self {
        let local = |&at: &u32| {
            let Interval { query, high, low, slope } = all[at as usize];
            CountInterval { query: query - first_query as u32, high, low, slope }
        };
        let local: Vec<CountInterval> = asked.iter().map(local).collect();
        let counted = (asked.len() * size_of::<CountedParams>()) as u64;
        Self {
            asked,
            intervals: device.upload("intervals", &local),
            counted: device.storage("counted", counted),
            named: device.storage("rows within", (asked.len() * WITHIN * 4) as u64),
        }
    }

    async fn read(&self, device: &Device, results: &mut [Counted]) -> Result<()> {
        let counted: Vec<CountedParams> = device.read(&self.counted, 0, self.asked.len()).await?;
        let named: Vec<[u32; WITHIN]> = device.read(&self.named, 0, self.asked.len()).await?;
        for ((&at, counted), mut rows) in self.asked.iter().zip(counted).zip(named) {
            let CountedParams { above, within } = counted;
            rows[..WITHIN.min(within as usize)].sort_unstable();
            results[at as usize] = Counted { above, within, rows };
        }
        Ok(())
    }
}

/// Rows of `factors` numbers with zeros up to `width` vec4s.
fn padded(rows: &[f32], factors: usize, width: usize) -> Vec<f32> {
    if factors == width * 4 {
        return rows.to_vec();
    }
    let mut padded = vec![0.0; rows.len() / factors * width * 4];
    for (to, from) in padded.chunks_exact_mut(width * 4).zip(rows.chunks_exact(factors)) {
        to[..factors].copy_from_slice(from);
    }
    padded
}
