//! The row solvers' passes: what lies on the device, and what is dispatched in which order.
//!
//! For each batch of rows: `gram` over its ratings, `join` where a row has several slots, then
//! `cholesky` or `nonnegative`. With blocks smaller than a row, `remainder` first, and after each
//! block again. Rows that are regularized weakly are refined: `remainder` and all that follows it once
//! more, for the change that is still missing. Many batches go into one submission; two submissions are in flight at most.

use super::bind::{Binder, Commands};
use super::kernels::{Figures, Kernels, Wanted, Weights};
use super::shape::{Block, Shape, blocks, place_of};
use super::store::{Penalties, Scratch, Walked, fits, listed};
use super::tiles::{Batch, Cut, DISPATCH_PRODUCTS};
use crate::backend::{ObjectiveBlocks, RowProblem, RowTerms, check_gram, check_rows, within};
use crate::core::{Factors, Side, SideFactors};
use crate::gpu::shared::device::{Device, limits};
use crate::gpu::shared::held_out::{Predictor, Test};
use crate::gpu::shared::kernels::{Dispatch, Sources, dispatch};
use crate::gpu::shared::model::{Model, SIDES};
use crate::gpu::shared::reduce::Reductions;
use crate::gpu::shared::tiles::{Limits, Tiles};
use crate::{Error, Result};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// A submission is closed when it holds so many ratings: progress and Ctrl-C act between them.
const SUBMIT_RATINGS: usize = 1 << 22;

/// Dispatches at most: each has a bind group and parameters of its own, a KB together.
const MOST_DISPATCHES: usize = 1 << 20;

/// A problem on a GPU.
pub struct GpuRows {
    device: Arc<Device>,
    kernels: Kernels,
    figures: Figures,
    model: Model,
    blocks: Vec<Block>,
    terms: RowTerms,
    walked: [Walked; 2],
    commands: [Vec<Commands>; 2],
    /// Where pairs without a rating count: each side's Gram matrix.
    whole: Option<[Whole; 2]>,
    objective: Vec<Dispatch>,
    errors: Reductions,
    penalties: Penalties,
    test: Option<Test>,
    /// Of which of a side's rows those without ratings are zeros already.
    cleared: [Range<usize>; 2],
    scratch: Scratch,
    limits: Limits,
    /// What a side's last range that was not all of it dispatches.
    parts: [Option<(Range<usize>, Vec<Commands>)>; 2],
    /// Whether a side's Gram matrix is one that was given.
    given: [bool; 2],
}

/// A side's Gram matrix.
struct Whole {
    matrices: wgpu::Buffer,
    grams: Vec<Dispatch>,
    joins: Vec<Dispatch>,
}

impl GpuRows {
    /// Cuts, uploads and binds a problem.
    pub async fn new(device: &Arc<Device>, sources: &Sources, problem: RowProblem) -> Result<Self> {
        let RowProblem { ratings, test, start, terms } = problem;
        let limits = limits(device);
        let blocks = blocks(start.factors, terms.block, terms.bias);
        let full = Shape { coordinates: start.factors, bias: false };
        let largest = blocks.iter().map(|block| block.shape).max_by_key(|shape| shape.tiles());
        let largest = largest.unwrap_or(full);
        if !largest.fits() {
            return Err(Error::device(format!(
                "{} factors are more than a GPU solves together; use `block` 512 or less, or \
                 `backend` cpu",
                largest.coordinates
            )));
        }
        let model = Model::new(device, start, limits)?;
        let rows = model.tiles.map(|tiles| tiles.rows - 1);
        let total = ratings.users.partners.len();
        let mean = model.like.global_mean;
        let weighted = !ratings.users.weights.is_empty();
        let counts = SIDES.map(|side| {
            let of = ratings.side(side);
            (0..of.rows()).map(|row| of.positions(row).len()).collect::<Vec<_>>()
        });
        // Rows that are solved block after block are not refined.
        let refines = |side: Side, row: usize| {
            let n = counts[side.index()][row];
            blocks.len() == 1 && n > 0 && terms.refines(n, rows[side.partner().index()])
        };
        let refined =
            SIDES.iter().any(|&side| (0..rows[side.index()]).any(|row| refines(side, row)));
        let weights = if weighted { Weights::Own } else { Weights::Equal };
        let wanted = Wanted { weights, refines: refined, draws: false, latent: false };
        let kernels = Kernels::new(device, sources, model.team, &terms, &blocks, wanted).await?;
        let figures = Figures::new(device, sources, model.team).await?;
        let walk = |side: Side| -> Result<Walked> {
            let (own, partner) = (model.tiles[side.index()], model.tiles[side.partner().index()]);
            let cut = Cut::rows(largest, own, partner, limits, mean)?;
            let (counts, partners) = (&counts[side.index()], rows[side.partner().index()]);
            let penalty = |row: usize| terms.penalty(counts[row], partners);
            Walked::new(device, &cut, ratings.side(side), penalty, |row| refines(side, row))
        };
        let (users, items) = rayon::join(|| walk(Side::User), || walk(Side::Item));
        let walked = [users?, items?];
        drop(ratings);
        few_dispatches(&walked, &blocks)?;
        let scratch = Scratch::new(device, &model, &walked, &blocks, blocks.len() > 1 || refined);
        fits(device, rows[0] + rows[1], model.like.factors, total)?;

        let binder = Binder {
            device,
            kernels: &kernels,
            model: &model,
            terms: &terms,
            blocks: &blocks,
            limits,
            noise: None,
            latents: None,
        };
        let whole = match &kernels.whole {
            None => None,
            Some(pair) => {
                let gram = |side: Side| -> Result<Whole> {
                    let tiles: Tiles = model.tiles[side.index()];
                    let cut = Cut::whole(full, tiles, limits)?;
                    let listed = listed(rows[side.index()]);
                    let walked = Walked::new(device, &cut, &listed, |_| 0.0, |_| false)?;
                    let bytes = walked.plan.slots.max(1) * full.matrix_bytes();
                    let matrices = device.storage("Gram matrix", bytes as u64);
                    let unused = &scratch.unused[0];
                    let [grams, joins] =
                        binder.whole(side, &walked, full, pair, (&matrices, unused));
                    Ok(Whole { matrices, grams, joins })
                };
                Some([gram(Side::User)?, gram(Side::Item)?])
            }
        };
        let matrix_of = |side: Side| whole.as_ref().map(|whole| &whole[side.index()].matrices);
        let commands = SIDES.map(|side| {
            let partners = matrix_of(side.partner());
            binder.batches(side, &walked[side.index()], &scratch, partners)
        });
        let objective = binder.objective(&walked[0], &scratch);
        let errors = {
            let sums: Vec<_> = walked[0]
                .chunks
                .iter()
                .zip(&scratch.sums)
                .map(|(chunk, sums)| (sums, chunk.owners.len()))
                .collect();
            Reductions::new(device, &figures.reduce, &sums)
        };
        let pair = (&figures.penalty, &figures.reduce);
        let penalties = Penalties::new(device, pair, &model, &terms, counts, limits);
        let test = (!test.is_empty()).then(|| {
            let predictor = Predictor {
                users: (&model.sides[0].factors, &model.tiles[0]),
                items: (&model.sides[1].factors, &model.tiles[1]),
                biases: &model.biases,
                team: model.team,
                global_mean: mean,
            };
            Test::new(device, (&figures.error, &figures.reduce), &predictor, &test, limits)
        });
        fits(device, rows[0] + rows[1], model.like.factors, total)?;
        Ok(Self {
            device: device.clone(),
            kernels,
            figures,
            model,
            blocks,
            terms,
            walked,
            commands,
            whole,
            objective,
            errors,
            penalties,
            test,
            cleared: [0..0, 0..0],
            scratch,
            limits,
            parts: [None, None],
            given: [false; 2],
        })
    }

    /// Writes zeros where a row has no rating; they stay.
    fn clear(&mut self, side: Side, rows: &Range<usize>, encoder: &mut wgpu::CommandEncoder) {
        let cleared = &mut self.cleared[side.index()];
        if cleared.start <= rows.start && rows.end <= cleared.end {
            return;
        }
        *cleared = rows.clone();
        let row_bytes = self.model.team.row_bytes() as u64;
        for (tile, without) in &self.walked[side.index()].plan.without {
            let first = self.model.tiles[side.index()].range(*tile).start;
            let first_row = without.start.max(rows.start.saturating_sub(first));
            let end = without.end.min(rows.end.saturating_sub(first));
            if first_row >= end {
                continue;
            }
            let factors = &self.model.sides[side.index()].factors[*tile];
            let (first, count) = (first_row as u64, (end - first_row) as u64);
            encoder.clear_buffer(factors, first * row_bytes, Some(count * row_bytes));
            let bias = u64::from(self.model.bias(side, *tile)) + first;
            encoder.clear_buffer(&self.model.biases.values, bias * 4, Some(count * 4));
        }
    }

    /// Sums a side's Gram matrix, but for one that was given.
    fn sum_gram(&self, side: Side, pass: &mut wgpu::ComputePass) {
        if self.given[side.index()] {
            return;
        }
        if let (Some(whole), Some((gram, join))) = (&self.whole, &self.kernels.whole) {
            dispatch(pass, gram, &whole[side.index()].grams);
            dispatch(pass, join, &whole[side.index()].joins);
        }
    }

    /// `α₀ Σ_ab (PᵀP)_ab (QᵀQ)_ab`.
    async fn unobserved(&self) -> Result<f64> {
        let Some(whole) = &self.whole else { return Ok(0.0) };
        let shape = Shape { coordinates: self.model.like.factors, bias: false };
        let numbers = shape.matrix_columns() * 4;
        let users: Vec<f32> = self.device.read(&whole[0].matrices, 0, numbers).await?;
        let items: Vec<f32> = self.device.read(&whole[1].matrices, 0, numbers).await?;
        let mut sum = 0.0;
        let tiles = (0..shape.across()).flat_map(|i| (0..=i).map(move |j| (i, j)));
        for ((i, j), (users, items)) in
            tiles.zip(users.chunks_exact(64).zip(items.chunks_exact(64)))
        {
            // A tile off the diagonal stands for its mirror image too.
            let times = if i == j { 1.0 } else { 2.0 };
            let products = (0..64)
                .filter(|at| {
                    i * 8 + at / 8 < shape.coordinates && j * 8 + at % 8 < shape.coordinates
                })
                .map(|at| f64::from(users[at]) * f64::from(items[at]));
            sum += times * products.sum::<f64>();
        }
        Ok(f64::from(self.terms.unobserved_weight) * sum)
    }

    fn full(&self) -> Shape {
        Shape { coordinates: self.model.like.factors, bias: false }
    }

    /// How many rows a side has.
    fn count(&self, side: Side) -> usize {
        self.model.tiles[side.index()].rows - 1
    }

    /// Readies what a range of a side dispatches.
    async fn ready_part(&mut self, side: Side, rows: &Range<usize>) -> Result<()> {
        let at = side.index();
        let known = self.parts[at].as_ref().is_some_and(|(known, _)| known == rows);
        if known || *rows == (0..self.count(side)) {
            return Ok(());
        }
        let part = self.walked[at].part(&self.device, &self.model.tiles[at], rows).await?;
        let binder = Binder {
            device: &self.device,
            kernels: &self.kernels,
            model: &self.model,
            terms: &self.terms,
            blocks: &self.blocks,
            limits: self.limits,
            noise: None,
            latents: None,
        };
        let partners = self.whole.as_ref().map(|whole| &whole[side.partner().index()].matrices);
        let commands = binder.batches(side, &part, &self.scratch, partners);
        self.parts[at] = Some((rows.clone(), commands));
        self.device.check()
    }
}

/// An error if batches take more dispatches than a GPU can be told of.
pub fn few_dispatches(walked: &[Walked; 2], blocks: &[Block]) -> Result<()> {
    let of_batch =
        |batch: &Batch| (blocks.len() + usize::from(batch.refines)) * (2 * batch.walks.len() + 2);
    let dispatches: usize = walked.iter().flat_map(|side| &side.plan.batches).map(of_batch).sum();
    if dispatches > MOST_DISPATCHES {
        return Err(Error::device(format!(
            "{} blocks a row make {dispatches} dispatches, more than a GPU can be told of at \
             once; use a larger `block` or `backend` cpu",
            blocks.len()
        )));
    }
    Ok(())
}

/// Runs a side's batches after what is `begun` and what `begin` records. `watch` gets the ratings done so far,
/// which are returned.
pub async fn run(
    device: &Device,
    begun: wgpu::CommandEncoder,
    begin: &dyn Fn(&mut wgpu::ComputePass),
    (kernels, blocks): (&Kernels, &[Block]),
    commands: &[Commands],
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<usize> {
    let mut begun = Some(begun);
    let mut done = 0;
    let mut in_flight = None;
    let mut rest = commands;
    while !rest.is_empty() || begun.is_some() {
        let first = begun.is_some();
        let mut encoder = begun
            .take()
            .unwrap_or_else(|| device.device.create_command_encoder(&Default::default()));
        let (mut count, mut ratings, mut products) = (0, 0, 0);
        while let Some(next) = rest.get(count) {
            let (sum, work) = (ratings + next.ratings, products + next.products);
            if count > 0 && (sum > SUBMIT_RATINGS || work > DISPATCH_PRODUCTS) {
                break;
            }
            (ratings, products) = (sum, work);
            count += 1;
        }
        let (now, later) = rest.split_at(count);
        rest = later;
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            if first {
                begin(&mut pass);
            }
            for (stage, one) in now.iter().flat_map(|commands| &commands.dispatches) {
                if let Some(kernel) = kernels.stage(*stage, blocks) {
                    dispatch(&mut pass, kernel, std::slice::from_ref(one));
                }
            }
        }
        let submission = device.submit(encoder);
        if let Some(before) = in_flight.replace(submission) {
            device.wait(Some(before)).await?;
        }
        done += ratings;
        // After the last batch there is nothing to break off.
        if watch(done).is_break() && !rest.is_empty() {
            break;
        }
    }
    device.wait(in_flight).await?;
    Ok(done)
}

/// What [`RowPasses`](crate::backend::RowPasses) is made of.
impl GpuRows {
    pub async fn solve(
        &mut self,
        side: Side,
        rows: Range<usize>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let rows = within(&rows, self.count(side));
        self.ready_part(side, &rows).await?;
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        self.clear(side, &rows, &mut encoder);
        self.given[side.index()] = false;
        let gram = |pass: &mut wgpu::ComputePass| self.sum_gram(side.partner(), pass);
        let kernels = (&self.kernels, &self.blocks[..]);
        let commands = match &self.parts[side.index()] {
            Some((part, commands)) if *part == rows => commands,
            _ => &self.commands[side.index()],
        };
        run(&self.device, encoder, &gram, kernels, commands, watch).await
    }

    pub async fn rows(&mut self, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        self.model.rows(&self.device, side, &within(&rows, self.count(side))).await
    }

    pub fn put_rows(&mut self, side: Side, rows: Range<usize>, values: &SideFactors) -> Result<()> {
        let rows = within(&rows, self.count(side));
        check_rows(&rows, values, self.model.like.factors)?;
        self.cleared[side.index()] = 0..0;
        self.given[side.index()] = false;
        self.model.put_rows(&self.device, side, &rows, values)
    }

    pub async fn gram(&mut self, side: Side, rows: Range<usize>) -> Result<Vec<Vec<f64>>> {
        self.given[side.index()] = false;
        let Some(whole) = self.whole.as_ref().filter(|_| rows.contains(&0)) else {
            return Ok(Vec::new());
        };
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        self.sum_gram(side, &mut encoder.begin_compute_pass(&Default::default()));
        self.device.hand_over(encoder);
        let (matrices, numbers) = (&whole[side.index()].matrices, self.full().matrix_columns() * 4);
        let packed: Vec<f32> = self.device.read(matrices, 0, numbers).await?;
        let k = self.model.like.factors;
        let at = |row: usize, column: usize| place_of(row.max(column), row.min(column));
        let gram = (0..k * k).map(|j| f64::from(packed[at(j / k, j % k)]));
        Ok(vec![gram.collect()])
    }

    pub fn set_gram(&mut self, side: Side, gram: &[f64]) -> Result<()> {
        let (k, shape) = (self.model.like.factors, self.full());
        check_gram(gram, k)?;
        let Some(whole) = &self.whole else { return Ok(()) };
        let mut packed = vec![0.0_f32; shape.matrix_columns() * 4];
        for row in 0..k {
            // Tiles on the diagonal are whole.
            for column in 0..(row / 8 * 8 + 8).min(k) {
                packed[place_of(row, column)] = gram[row * k + column] as f32;
            }
        }
        self.device.write(&whole[side.index()].matrices, 0, bytemuck::cast_slice(&packed));
        self.given[side.index()] = true;
        self.device.check()
    }

    pub async fn objective(&mut self, [users, _]: [Range<usize>; 2]) -> Result<ObjectiveBlocks> {
        let begins = users.contains(&0);
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            if begins {
                dispatch(&mut pass, &self.kernels.remainder, &self.objective);
                dispatch(&mut pass, &self.figures.penalty, &self.penalties.dispatches);
            }
            SIDES.into_iter().for_each(|side| self.sum_gram(side, &mut pass));
            if begins {
                dispatch(&mut pass, &self.figures.reduce, &self.errors.dispatches);
                dispatch(&mut pass, &self.figures.reduce, &self.penalties.sums.dispatches);
            }
        }
        self.device.submit(encoder);
        let unobserved = self.unobserved().await?;
        let mut blocks = ObjectiveBlocks { unobserved, ..ObjectiveBlocks::default() };
        if begins {
            blocks.error.push(self.errors.read(&self.device).await?);
            blocks.regularization[0].push(self.penalties.sums.read(&self.device).await?);
        }
        Ok(blocks)
    }

    pub async fn test_loss(&mut self) -> Result<f64> {
        let Some(test) = &self.test else { return Ok(0.0) };
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatch(&mut pass, &self.figures.error, &test.dispatches);
            dispatch(&mut pass, &self.figures.reduce, &test.loss.dispatches);
        }
        self.device.submit(encoder);
        test.loss.read(&self.device).await
    }

    pub fn keep(&mut self) -> Result<()> {
        self.model.keep(&self.device);
        self.device.check()
    }

    pub async fn kept(&mut self) -> Result<Factors> {
        self.model.kept(&self.device).await
    }

    pub async fn factors(&mut self) -> Result<Factors> {
        self.model.factors(&self.device).await
    }
}
