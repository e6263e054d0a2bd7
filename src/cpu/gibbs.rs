//! The Gibbs sampler's passes: rows are drawn by what solves them.

use super::Cpu;
use crate::Result;
use crate::backend::{
    Conditional, GibbsPasses, GibbsProblem, MomentBlocks, RowTerms, check_rows, within,
};
use crate::core::{Confidence, Factors, Ratings, RowRatings, Side, SideFactors, UNKNOWN};
use crate::cpu::kernels::draw::Draw;
use crate::cpu::kernels::gram::dot;
use crate::cpu::kernels::latent::Latents;
use crate::cpu::kernels::lines::{LANES, Line, LineTask, Matrix, dispatch, numbers, numbers_mut};
use crate::cpu::rows::normal::{Block, PriorPart};
use crate::cpu::rows::objective::{gram_blocks, ranges, squared_errors};
use crate::cpu::rows::order::RowOrder;
use crate::cpu::rows::passes::{cut, solve_side};
use crate::cpu::rows::row::Inputs;
use pulp::{Arch, Simd};
use rayon::prelude::*;
use std::ops::{ControlFlow, Range};

/// Rows, or pairs, that one task takes.
const BLOCK: usize = 1 << 12;

/// A problem of the Gibbs sampler in the CPU backend.
pub(super) struct CpuGibbs {
    cpu: Cpu,
    ratings: RowRatings,
    test: Ratings,
    mean: f32,
    factors: usize,
    popularity: [Vec<f32>; 2],
    terms: RowTerms,
    latent: bool,
    orders: [RowOrder; 2],
    /// Users and items of each chain.
    chains: Vec<[Matrix; 2]>,
}

impl CpuGibbs {
    /// Lays a problem out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(cpu: Cpu, problem: GibbsProblem) -> Result<Self> {
        let GibbsProblem { ratings, test, starts, popularity, bias, block, latent } = problem;
        let (factors, mean) = starts.first().map_or((1, 0.0), |s| (s.factors, s.global_mean));
        let terms = RowTerms::of_draws(bias, block);
        let order = |side| RowOrder::new(ratings.side(side), factors, &terms);
        let matrices = |start: &Factors| {
            Ok([Matrix::new(start, Side::User)?, Matrix::new(start, Side::Item)?])
        };
        Ok(Self {
            cpu,
            orders: [order(Side::User), order(Side::Item)],
            chains: starts.iter().map(matrices).collect::<Result<_>>()?,
            ratings,
            test,
            mean,
            factors,
            popularity,
            terms,
            latent,
        })
    }
}

/// What a row's equations over `τ` start from: all coordinates together, and in blocks.
fn blocks(conditional: &Conditional, factors: usize, size: usize) -> (Block, Vec<Block>) {
    let Conditional { prior, noise_precision, .. } = conditional;
    let wide = factors + 1;
    let scaled: Vec<f64> = prior.precision.iter().map(|x| x / noise_precision).collect();
    let of_row = |row: usize| &scaled[row * wide..][..wide];
    let times = |x: &[f64]| -> Vec<f64> {
        (0..wide).map(|row| of_row(row).iter().zip(x).map(|(a, x)| a * x).sum()).collect()
    };
    let (shifted, sloped) = (times(&prior.mean), times(&prior.slope));
    let matrix: Vec<f64> =
        (0..factors).flat_map(|row| of_row(row)[..factors].iter().copied()).collect();
    let block = |columns: Range<usize>| {
        let lines = |value: &dyn Fn(usize) -> f64| {
            let mut lines = vec![Line::ZERO; columns.len().div_ceil(LANES)];
            for (to, column) in numbers_mut(&mut lines).iter_mut().zip(columns.clone()) {
                *to = value(column) as f32;
            }
            lines
        };
        let part = PriorPart {
            right: lines(&|column| shifted[column]),
            slope: lines(&|column| sloped[column]),
            ones: lines(&|column| of_row(factors)[column]),
            weight: of_row(factors)[factors] as f32,
            target: shifted[factors] as f32,
            target_slope: sloped[factors] as f32,
        };
        Block { prior: Some(part), ..Block::new(columns, factors, Some(&matrix)) }
    };
    (block(0..factors), cut(factors, size).map(block).collect())
}

impl GibbsPasses for CpuGibbs {
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        conditional: &Conditional,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let (all, blocks) = blocks(conditional, self.factors, self.terms.block);
        let [users, items] = &mut self.chains[chain];
        let (own, partner) = match side {
            Side::User => (users, &*items),
            Side::Item => (items, &*users),
        };
        let popularity = &self.popularity[side.index()];
        let unknown = own.rows();
        let mean = conditional.prior.mean_of(f64::from(popularity[unknown]));
        let row = &mut own.lines[unknown * own.strips..];
        for (to, &mean) in numbers_mut(row).iter_mut().zip(&mean[..self.factors]) {
            *to = mean as f32;
        }
        own.bias[unknown] = mean[self.factors] as f32;
        let weights = conditional.noise_weights;
        let roots: Vec<f32> = match side {
            Side::User => Vec::new(),
            Side::Item => weights.iter().map(|weight| weight.sqrt()).collect(),
        };
        let inputs = Inputs {
            ratings: self.ratings.side(side),
            partner,
            mean: self.mean,
            terms: &self.terms,
            factors: self.factors,
            all: &all,
            blocks: &blocks,
            draw: Some(Draw {
                deviation: conditional.noise_precision.sqrt().recip() as f32,
                stream: conditional.rows,
                popularity,
                weights: if side == Side::User { weights } else { &[] },
                partner_roots: &roots,
            }),
            latents: self.latent.then_some(Latents {
                thresholds: conditional.thresholds,
                stream: conditional.latents,
            }),
        };
        Ok(solve_side(self.cpu, &inputs, &self.orders[side.index()], own, &rows, watch))
    }

    fn rows(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        let own = &self.chains[chain][side.index()];
        Ok(own.get(&within(&rows, own.rows()), self.factors))
    }

    fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        let own = &mut self.chains[chain][side.index()];
        let rows = within(&rows, own.rows());
        check_rows(&rows, values, self.factors)?;
        own.put(&rows, self.factors, values);
        Ok(())
    }

    fn moments(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<MomentBlocks> {
        let own = &self.chains[chain][side.index()];
        Ok(moments(self.cpu.arch, own, self.factors, &self.popularity[side.index()], &rows))
    }

    fn squared_errors(&mut self, chain: usize, rows: Range<usize>) -> Result<Vec<f64>> {
        let [users, items] = &self.chains[chain];
        let ratings = &self.ratings.users;
        let mean = (self.mean, Confidence::Rendle);
        Ok(squared_errors(self.cpu.arch, ratings, users, items, mean, &rows))
    }

    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        let [users, items] = &self.chains[chain];
        let ratings = &self.ratings.users;
        let mut predictions = vec![0.0; ratings.partners.len()];
        let mut tasks = Vec::new();
        let mut rest = &mut predictions[..];
        for rows in ranges(ratings, BLOCK) {
            let count = ratings.starts[rows.end] - ratings.starts[rows.start];
            let (out, later) = rest.split_at_mut(count);
            rest = later;
            tasks.push((rows, out));
        }
        tasks.into_par_iter().for_each(|(rows, out)| {
            let partners = &ratings.partners[ratings.starts[rows.start]..];
            let pairs =
                rows.flat_map(|row| std::iter::repeat_n(row as u32, ratings.positions(row).len()));
            let pairs: Vec<(u32, u32)> = pairs.zip(partners.iter().copied()).collect();
            dispatch(self.cpu.arch, Predict { users, items, mean: self.mean, pairs: &pairs, out });
        });
        Ok(predictions)
    }

    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        let [users, items] = &self.chains[chain];
        let mut predictions = vec![0.0; self.test.len()];
        let known = |row: u32, side: &Matrix| if row == UNKNOWN { side.rows() as u32 } else { row };
        predictions.par_chunks_mut(BLOCK).enumerate().for_each(|(block, out)| {
            let range = block * BLOCK..block * BLOCK + out.len();
            let pairs = self.test.users[range.clone()].iter().zip(&self.test.items[range]);
            let pairs: Vec<(u32, u32)> =
                pairs.map(|(&user, &item)| (known(user, users), known(item, items))).collect();
            dispatch(self.cpu.arch, Predict { users, items, mean: self.mean, pairs: &pairs, out });
        });
        Ok(predictions)
    }

    fn factors(&mut self, chain: usize) -> Result<Factors> {
        let [users, items] = &self.chains[chain];
        Ok(Factors {
            factors: self.factors,
            sides: [users.unpadded(self.factors)?, items.unpadded(self.factors)?],
            global_mean: self.mean,
        })
    }
}

/// Sums over the rows of a side, of each block that begins in `among`.
fn moments(
    arch: Arch,
    side: &Matrix,
    factors: usize,
    popularity: &[f32],
    among: &Range<usize>,
) -> MomentBlocks {
    let (rows, wide) = (side.rows(), factors + 1);
    let grams = gram_blocks(arch, side, factors, among);
    let blocks: Vec<usize> =
        (0..rows).step_by(BLOCK).filter(|first| among.contains(first)).collect();
    // For each block: of `x` and of `b` the sums, those times `b`, and those times `ζ`.
    let sums: Vec<Vec<f64>> = blocks
        .into_par_iter()
        .map(|first| {
            let mut sums = vec![0.0_f64; 3 * wide];
            let (plain, rest) = sums.split_at_mut(wide);
            let (biased, popular) = rest.split_at_mut(wide);
            for row in first..rows.min(first + BLOCK) {
                let (bias, popularity) = (f64::from(side.bias[row]), f64::from(popularity[row]));
                for (column, &x) in numbers(side.row(row as u32))[..factors].iter().enumerate() {
                    let x = f64::from(x);
                    plain[column] += x;
                    biased[column] += bias * x;
                    popular[column] += popularity * x;
                }
                plain[factors] += bias;
                biased[factors] += bias * bias;
                popular[factors] += popularity * bias;
            }
            sums
        })
        .collect();
    MomentBlocks { rows, factors, grams, sums }
}

struct Predict<'a> {
    users: &'a Matrix,
    items: &'a Matrix,
    mean: f32,
    pairs: &'a [(u32, u32)],
    out: &'a mut [f32],
}

impl LineTask for Predict<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        for (out, &(user, item)) in self.out.iter_mut().zip(self.pairs) {
            *out = self.mean
                + self.users.bias[user as usize]
                + self.items.bias[item as usize]
                + dot::<S, V>(simd, self.users.row(user), self.items.row(item));
        }
    }
}
