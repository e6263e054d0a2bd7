//! What lies on the device beside what the row solvers have, and what is dispatched when.
//!
//! A side's draw is its solve: `gram`, `join` and `cholesky` for each batch of rows, the prior in the
//! place of the partners' Gram matrix. Where ratings are levels, `latent` comes first, in the place of
//! `remainder`. Chains take turns on the buffers that are bound.

use super::latents::LatentBuffers;
use super::moments::{MomentKernels, SideMoments};
use super::philox::philox;
use super::predict::Pairs;
use super::prior::{prior, prior_len};
use crate::backend::{Conditional, GibbsProblem, MomentBlocks, RowTerms, check_rows, within};
use crate::core::{Factors, Side, SideFactors, SideRatings};
use crate::gpu::rows::bind::{Binder, Commands, Latents, Noise};
use crate::gpu::rows::kernels::{Kernels, Wanted, Weights};
use crate::gpu::rows::passes::{few_dispatches, run};
use crate::gpu::rows::shape::{Block, Shape, blocks};
use crate::gpu::rows::store::{Scratch, Walked, fits};
use crate::gpu::rows::tiles::Cut;
use crate::gpu::shared::device::{Device, limits};
use crate::gpu::shared::kernels::{Dispatch, Kernel, Sources, dispatch};
use crate::gpu::shared::model::{Model, SIDES};
use crate::gpu::shared::params::SweepParams;
use crate::gpu::shared::tiles::Limits;
use crate::{Error, Result};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// A problem on a GPU.
pub struct GpuGibbs {
    device: Arc<Device>,
    /// Those of the users' rows and of the items'.
    kernels: [Kernels; 2],
    predict: Kernel,
    moment_kernels: MomentKernels,
    /// The chain whose turn it is.
    model: Model,
    turn: usize,
    /// Where each chain waits for its turn; empty where there is one chain.
    chains: Vec<Model>,
    blocks: Vec<Block>,
    shape: Shape,
    walked: [Walked; 2],
    commands: [Vec<Commands>; 2],
    scratch: Scratch,
    prior: wgpu::Buffer,
    noise: NoiseBuffers,
    /// Where ratings are levels.
    latents: Option<LatentBuffers>,
    /// Each side's popularity of unknown ids.
    unknown: [f32; 2],
    moments: [SideMoments; 2],
    errors: Vec<Dispatch>,
    test: Pairs,
    /// The users' ratings, and the same uploaded once they are asked for.
    ratings: SideRatings,
    training: Option<Pairs>,
    limits: Limits,
    terms: RowTerms,
    /// What a side's last range that was not all of it dispatches.
    parts: [Option<(Range<usize>, Vec<Commands>)>; 2],
}

/// In the order of biases: users, the one of unknown ids, items, the one of unknown ids.
struct NoiseBuffers {
    /// Each row's noise weight.
    weights: wgpu::Buffer,
    /// Roots of the users'.
    roots: wgpu::Buffer,
}

impl GpuGibbs {
    /// Cuts, uploads and binds a problem.
    pub async fn new(
        device: &Arc<Device>,
        sources: &Sources,
        problem: GibbsProblem,
    ) -> Result<Self> {
        let GibbsProblem { ratings, test, starts, popularity, bias, block, latent } = problem;
        philox(device, sources).await?;
        let limits = limits(device);
        let Some(start) = starts.first().cloned() else {
            return Err(Error::device("a sampler without a chain"));
        };
        let (factors, mean) = (start.factors, start.global_mean);
        let blocks = blocks(factors, block, bias);
        let shape = Shape { coordinates: factors, bias };
        let largest = blocks.iter().map(|block| block.shape).max_by_key(|shape| shape.tiles());
        let largest = largest.unwrap_or(shape);
        if !largest.fits() {
            return Err(Error::device(format!(
                "{} factors are more than a GPU draws together; use `block` 512 or less, or \
                 `backend` cpu",
                largest.coordinates
            )));
        }
        let prior_bytes = prior_len(shape) * 4;
        if prior_bytes > limits.binding {
            return Err(Error::device(format!(
                "the prior of {factors} factors needs {prior_bytes} bytes; a binding of this \
                 device has {}; use fewer `factors` or `backend` cpu",
                limits.binding
            )));
        }
        let model = Model::new(device, start, limits)?;
        let chains = match starts.len() {
            1 => Vec::new(),
            _ => {
                starts.into_iter().map(|s| Model::new(device, s, limits)).collect::<Result<_>>()?
            }
        };
        let rows = model.tiles.map(|tiles| tiles.rows - 1);
        let terms = RowTerms::of_draws(bias, block);
        let kernels = async |weights| {
            let wanted = Wanted { weights, refines: false, draws: true, latent };
            Kernels::new(device, sources, model.team, &terms, &blocks, wanted).await
        };
        // A user's noise weight is that of its row, an item's ratings have those of its users.
        let weights = match ratings.users.weights.is_empty() {
            true => [Weights::Equal, Weights::Partners],
            false => [Weights::Own, Weights::Both],
        };
        let kernels = [kernels(weights[0]).await?, kernels(weights[1]).await?];
        let walk = |side: Side| -> Result<Walked> {
            let (own, partner) = (model.tiles[side.index()], model.tiles[side.partner().index()]);
            // The numbers of levels are read as they are.
            let mean = if latent { 0.0 } else { mean };
            let cut = Cut { every: true, ..Cut::rows(largest, own, partner, limits, mean)? };
            let popularity = |row: usize| popularity[side.index()][row];
            Walked::new(device, &cut, ratings.side(side), popularity, |_| false)
        };
        let (users, items) = rayon::join(|| walk(Side::User), || walk(Side::Item));
        let walked = [users?, items?];
        few_dispatches(&walked, &blocks)?;
        let kept = blocks.len() > 1 || latent;
        let scratch = Scratch::new(device, &model, &walked, &blocks, kept);
        let noise = NoiseBuffers {
            weights: device.upload("noise weights", &vec![1.0_f32; model.biases.rows]),
            roots: device.upload("roots of noise weights", &vec![1.0_f32; rows[0] + 1]),
        };
        let latents = latent.then(|| LatentBuffers::new(device, &ratings.users));
        let prior = device.storage("prior", prior_bytes as u64);
        let ready = |device: &Device| {
            let all = (rows[0] + rows[1]) * (1 + chains.len());
            fits(device, all, factors, ratings.users.partners.len())
        };
        ready(device)?;
        let binder = |side: Side| Binder {
            device,
            kernels: &kernels[side.index()],
            model: &model,
            terms: &terms,
            blocks: &blocks,
            limits,
            noise: Some(Noise { weights: &noise.weights, roots: &noise.roots }),
            latents: latents.as_ref().map(|of| Latents { ends: &of.ends, stream: &of.stream }),
        };
        let commands = SIDES
            .map(|side| binder(side).batches(side, &walked[side.index()], &scratch, Some(&prior)));
        let errors = binder(Side::User).objective(&walked[0], &scratch);
        let moment_kernels = MomentKernels::new(device, sources, model.team, factors).await?;
        let moments = |side: Side| {
            let popularity = &popularity[side.index()][..rows[side.index()]];
            let unused = &scratch.unused[0];
            SideMoments::new(&binder(side), &moment_kernels, side, popularity, unused)
        };
        let moments = [moments(Side::User)?, moments(Side::Item)?];
        let width = [("WIDTH", model.team.width as f64)];
        let predict = Kernel::new(device, "predict", &sources.predict, &width).await?;
        let pairs = test.users.iter().copied().zip(test.items.iter().copied());
        let test = Pairs::new(device, &predict, &model, pairs, limits);
        ready(device)?;
        Ok(Self {
            device: device.clone(),
            kernels,
            predict,
            moment_kernels,
            turn: 0,
            chains,
            blocks,
            shape,
            walked,
            commands,
            scratch,
            prior,
            noise,
            latents,
            unknown: [0, 1].map(|side: usize| popularity[side][rows[side]]),
            moments,
            errors,
            test,
            ratings: ratings.users,
            training: None,
            limits,
            terms,
            parts: [None, None],
            model,
        })
    }

    /// Readies what a range of a side dispatches.
    async fn ready_part(&mut self, side: Side, rows: &Range<usize>) -> Result<()> {
        let at = side.index();
        let known = self.parts[at].as_ref().is_some_and(|(known, _)| known == rows);
        if known || *rows == (0..self.count(side)) {
            return Ok(());
        }
        let part = self.walked[at].part(&self.device, &self.model.tiles[at], rows).await?;
        let (noise, latents) = (&self.noise, &self.latents);
        let binder = Binder {
            device: &self.device,
            kernels: &self.kernels[at],
            model: &self.model,
            terms: &self.terms,
            blocks: &self.blocks,
            limits: self.limits,
            noise: Some(Noise { weights: &noise.weights, roots: &noise.roots }),
            latents: latents.as_ref().map(|of| Latents { ends: &of.ends, stream: &of.stream }),
        };
        let commands = binder.batches(side, &part, &self.scratch, Some(&self.prior));
        self.parts[at] = Some((rows.clone(), commands));
        self.device.check()
    }

    /// How many rows a side has.
    fn count(&self, side: Side) -> usize {
        self.model.tiles[side.index()].rows - 1
    }

    /// Makes it a chain's turn.
    fn turn(&mut self, chain: usize) {
        if self.turn == chain || self.chains.len() <= chain {
            return;
        }
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        copy(&mut encoder, &self.model, &self.chains[self.turn]);
        copy(&mut encoder, &self.chains[chain], &self.model);
        self.device.submit(encoder);
        self.turn = chain;
    }

    /// Writes what a draw of a side starts from.
    fn write(&self, side: Side, conditional: &Conditional) {
        let queue = &self.device.queue;
        let prior = prior(conditional, self.shape);
        queue.write_buffer(&self.prior, 0, bytemuck::cast_slice(&prior));
        let stream = conditional.rows;
        let sweep = SweepParams {
            key_low: stream.key[0],
            key_high: stream.key[1],
            sweep: stream.sweep,
            tag: stream.tag,
            deviation: conditional.noise_precision.sqrt().recip() as f32,
        };
        queue.write_buffer(&self.scratch.sweep, 0, bytemuck::bytes_of(&sweep));
        if let Some(latents) = &self.latents {
            latents.write(queue, conditional);
        }
        let ones = vec![1.0; self.model.tiles[0].rows - 1];
        let weights = match conditional.noise_weights {
            [] => &ones[..],
            weights => weights,
        };
        match side {
            Side::User => {
                queue.write_buffer(&self.noise.weights, 0, bytemuck::cast_slice(weights));
            }
            Side::Item => {
                let roots: Vec<f32> = weights.iter().map(|weight| weight.sqrt()).collect();
                queue.write_buffer(&self.noise.roots, 0, bytemuck::cast_slice(&roots));
            }
        }
        // The row of unknown ids, in the last tile.
        let tiles = &self.model.tiles[side.index()];
        let (tile, row) = tiles.locate(tiles.rows as u32 - 1);
        let mean = conditional.prior.mean_of(f64::from(self.unknown[side.index()]));
        let mean: Vec<f32> = mean.into_iter().map(|x| x as f32).collect();
        let (x, bias) = mean.split_at(self.shape.coordinates);
        let at = u64::from(row) * self.model.team.row_bytes() as u64;
        let factors = &self.model.sides[side.index()].factors[tile];
        queue.write_buffer(factors, at, bytemuck::cast_slice(x));
        let at = u64::from(self.model.bias(side, tile) + row) * 4;
        queue.write_buffer(&self.model.biases.values, at, bytemuck::cast_slice(bias));
    }
}

/// Copies a chain's parameters.
fn copy(encoder: &mut wgpu::CommandEncoder, from: &Model, to: &Model) {
    let tiles = |model: &Model| {
        let sides = model.sides.iter().flat_map(|side| side.factors.clone());
        sides.chain([model.biases.values.clone()]).collect::<Vec<_>>()
    };
    for (from, to) in tiles(from).iter().zip(&tiles(to)) {
        encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
    }
}

/// What [`GibbsPasses`](crate::backend::GibbsPasses) is made of.
impl GpuGibbs {
    pub async fn draw(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        conditional: &Conditional<'_>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let rows = within(&rows, self.count(side));
        self.ready_part(side, &rows).await?;
        self.turn(chain);
        self.write(side, conditional);
        let encoder = self.device.device.create_command_encoder(&Default::default());
        let kernels = (&self.kernels[side.index()], &self.blocks[..]);
        let commands = match &self.parts[side.index()] {
            Some((part, commands)) if *part == rows => commands,
            _ => &self.commands[side.index()],
        };
        run(&self.device, encoder, &|_| {}, kernels, commands, watch).await
    }

    pub async fn rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
    ) -> Result<SideFactors> {
        self.turn(chain);
        self.model.rows(&self.device, side, &within(&rows, self.count(side))).await
    }

    pub fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        let rows = within(&rows, self.count(side));
        check_rows(&rows, values, self.model.like.factors)?;
        self.turn(chain);
        self.model.put_rows(&self.device, side, &rows, values)
    }

    pub async fn moments(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
    ) -> Result<MomentBlocks> {
        self.turn(chain);
        if !rows.contains(&0) {
            let (rows, factors) = (self.count(side), self.model.like.factors);
            return Ok(MomentBlocks { rows, factors, ..MomentBlocks::default() });
        }
        let moments = &self.moments[side.index()];
        Ok(moments.read(&self.device, &self.moment_kernels).await?.into())
    }

    pub async fn squared_errors(&mut self, chain: usize, users: Range<usize>) -> Result<Vec<f64>> {
        self.turn(chain);
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatch(&mut pass, &self.kernels[0].remainder, &self.errors);
        }
        self.device.submit(encoder);
        let walked = &self.walked[0];
        let mut sums: Vec<Vec<[f32; 2]>> = Vec::new();
        for (chunk, of) in walked.chunks.iter().zip(&self.scratch.sums) {
            sums.push(self.device.read(of, 0, chunk.owners.len()).await?);
        }
        let tiles = &self.model.tiles[0];
        let mut errors = vec![0.0; tiles.rows - 1];
        for batch in &walked.plan.batches {
            let first = tiles.range(batch.own_tile).start;
            for walk in &batch.walks {
                let segments = walk.first_segment..walk.first_segment + walk.segments;
                let owners = &walked.chunks[walk.chunk].owners[segments.clone()];
                for (&row, [_, sum]) in owners.iter().zip(&sums[walk.chunk][segments]) {
                    let row = first + row as usize;
                    // A segment without ratings leaves what was there before.
                    if !self.ratings.positions(row).is_empty() {
                        errors[row] += f64::from(*sum);
                    }
                }
            }
        }
        Ok(errors[within(&users, errors.len())].to_vec())
    }

    pub async fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        self.turn(chain);
        let training = match &mut self.training {
            Some(training) => training,
            unknown => {
                let ratings = &self.ratings;
                let users = (0..ratings.rows() as u32).flat_map(|user| {
                    std::iter::repeat_n(user, ratings.positions(user as usize).len())
                });
                let pairs = users.zip(ratings.partners.iter().copied());
                let pairs =
                    Pairs::new(&self.device, &self.predict, &self.model, pairs, self.limits);
                self.device.check()?;
                unknown.insert(pairs)
            }
        };
        training.predict(&self.device, &self.predict).await
    }

    pub async fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        self.turn(chain);
        self.test.predict(&self.device, &self.predict).await
    }

    pub async fn factors(&mut self, chain: usize) -> Result<Factors> {
        self.turn(chain);
        self.model.factors(&self.device).await
    }
}
