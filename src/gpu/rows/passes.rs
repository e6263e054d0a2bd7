//! The row solvers' passes: what lies on the device, and what is dispatched in which order.
//!
//! For each batch of rows: `gram` over its ratings, `join` where a row has several slots, then
//! `cholesky` or `nonnegative`. With blocks smaller than a row, `remainder` first, and after each
//! block again. Rows that are regularized weakly are refined: `remainder` and all that follows it once
//! more, for the change that is still missing. Many batches go into one submission; two submissions are in flight at most.

use super::super::bind::{Predictor, Test};
use super::super::device::Device;
use super::super::kernels::{Dispatch, Sources, dispatch};
use super::super::reduce::Reductions;
use super::super::tiles::Tiles;
use super::bind::{Binder, Commands};
use super::shape::{Block, Shape, blocks};
use super::store::{
    Figures, Kernels, Model, Penalties, SIDES, Scratch, Walked, Wanted, Weights, fits, limits,
    listed,
};
use super::tiles::{Batch, Cut, DISPATCH_PRODUCTS};
use crate::backend::{Objective, RowPasses, RowProblem, RowTerms};
use crate::data::Side;
use crate::model::Factors;
use crate::{Error, Result};
use std::ops::ControlFlow;

/// A submission is closed when it holds so many ratings: progress and Ctrl-C act between them.
const SUBMIT_RATINGS: usize = 1 << 22;

/// Dispatches at most: each has a bind group and parameters of its own, a KB together.
const MOST_DISPATCHES: usize = 1 << 20;

/// A problem on a GPU.
pub struct Passes<'a> {
    device: &'a Device,
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
    /// Whether a side's rows without ratings are zeros already.
    cleared: [bool; 2],
}

/// A side's Gram matrix.
struct Whole {
    matrices: wgpu::Buffer,
    grams: Vec<Dispatch>,
    joins: Vec<Dispatch>,
}

impl<'a> Passes<'a> {
    /// Cuts, uploads and binds a problem.
    pub fn new(device: &'a Device, sources: &Sources, problem: RowProblem) -> Result<Self> {
        let RowProblem { ratings, test, start, terms } = problem;
        let limits = limits(device);
        let blocks = blocks(start.factors, terms.block, terms.bias);
        let full = Shape { coordinates: start.factors, bias: false };
        let largest = blocks.iter().map(|block| block.shape).max_by_key(|shape| shape.tiles());
        let largest = largest.unwrap_or(full);
        if !largest.fits() {
            return Err(Error::device(format!(
                "{} factors are more than a GPU solves together; use --block 512 or less, or \
                 --backend cpu",
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
        let kernels = Kernels::new(device, sources, model.team, &terms, &blocks, wanted)?;
        let figures = Figures::new(device, sources, model.team)?;
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
            device,
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
            cleared: [false; 2],
        })
    }

    /// Writes zeros where a row has no rating; they stay.
    fn clear(&mut self, side: Side, encoder: &mut wgpu::CommandEncoder) {
        if std::mem::replace(&mut self.cleared[side.index()], true) {
            return;
        }
        let row_bytes = self.model.team.row_bytes() as u64;
        for (tile, rows) in &self.walked[side.index()].plan.without {
            let factors = &self.model.sides[side.index()].factors[*tile];
            let (first, count) = (rows.start as u64, rows.len() as u64);
            encoder.clear_buffer(factors, first * row_bytes, Some(count * row_bytes));
            let bias = u64::from(self.model.bias(side, *tile)) + first;
            encoder.clear_buffer(&self.model.biases.values, bias * 4, Some(count * 4));
        }
    }

    fn gram(&self, side: Side, pass: &mut wgpu::ComputePass) {
        if let (Some(whole), Some((gram, join))) = (&self.whole, &self.kernels.whole) {
            dispatch(pass, gram, &whole[side.index()].grams);
            dispatch(pass, join, &whole[side.index()].joins);
        }
    }

    /// `α₀ Σ_ab (PᵀP)_ab (QᵀQ)_ab`.
    fn unobserved(&self) -> Result<f64> {
        let Some(whole) = &self.whole else { return Ok(0.0) };
        let shape = Shape { coordinates: self.model.like.factors, bias: false };
        let read = |side: usize| -> Result<Vec<f32>> {
            self.device.read(&whole[side].matrices, 0, shape.matrix_columns() * 4)
        };
        let (users, items) = (read(0)?, read(1)?);
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
}

/// An error if batches take more dispatches than a GPU can be told of.
pub fn few_dispatches(walked: &[Walked; 2], blocks: &[Block]) -> Result<()> {
    let of_batch =
        |batch: &Batch| (blocks.len() + usize::from(batch.refines)) * (2 * batch.walks.len() + 2);
    let dispatches: usize = walked.iter().flat_map(|side| &side.plan.batches).map(of_batch).sum();
    if dispatches > MOST_DISPATCHES {
        return Err(Error::device(format!(
            "{} blocks a row make {dispatches} dispatches, more than a GPU can be told of at \
             once; use a larger --block or --backend cpu",
            blocks.len()
        )));
    }
    Ok(())
}

/// Runs a side's batches after what is `begun` and what `begin` records. `watch` gets the ratings done so far,
/// which are returned.
pub fn run(
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
            device.wait(Some(before))?;
        }
        done += ratings;
        // After the last batch there is nothing to break off.
        if watch(done).is_break() && !rest.is_empty() {
            break;
        }
    }
    device.wait(in_flight)?;
    Ok(done)
}

impl RowPasses for Passes<'_> {
    fn solve(
        &mut self,
        side: Side,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        self.clear(side, &mut encoder);
        let gram = |pass: &mut wgpu::ComputePass| self.gram(side.partner(), pass);
        let kernels = (&self.kernels, &self.blocks[..]);
        run(self.device, encoder, &gram, kernels, &self.commands[side.index()], watch)
    }

    fn objective(&mut self) -> Result<Objective> {
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatch(&mut pass, &self.kernels.remainder, &self.objective);
            dispatch(&mut pass, &self.figures.penalty, &self.penalties.dispatches);
            SIDES.into_iter().for_each(|side| self.gram(side, &mut pass));
            dispatch(&mut pass, &self.figures.reduce, &self.errors.dispatches);
            dispatch(&mut pass, &self.figures.reduce, &self.penalties.sums.dispatches);
        }
        self.device.submit(encoder);
        Ok(Objective {
            error: self.errors.read(self.device)?,
            unobserved: self.unobserved()?,
            regularization: self.penalties.sums.read(self.device)?,
        })
    }

    fn test_loss(&mut self) -> Result<f64> {
        let Some(test) = &self.test else { return Ok(0.0) };
        let mut encoder = self.device.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatch(&mut pass, &self.figures.error, &test.dispatches);
            dispatch(&mut pass, &self.figures.reduce, &test.loss.dispatches);
        }
        self.device.submit(encoder);
        test.loss.read(self.device)
    }

    fn keep(&mut self) -> Result<()> {
        self.model.keep(self.device);
        self.device.check()
    }

    fn kept(&mut self) -> Result<Factors> {
        self.model.kept(self.device)
    }

    fn factors(&mut self) -> Result<Factors> {
        self.model.factors(self.device)
    }
}
