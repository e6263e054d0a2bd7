//! The row solvers' passes: which thread solves which rows.

use super::normal::{Block, Normal};
use super::objective::{gram_blocks, regularization, side_gram, squared_errors};
use super::order::{HotRow, RowOrder, is_hot};
use super::row::{Inputs, Scratch};
use crate::Result;
use crate::backend::{
    ObjectiveBlocks, RowPasses, RowProblem, check_gram, check_rows, nothing_kept, within,
};
use crate::core::{Factors, Loss, Side, SideFactors};
use crate::cpu::Cpu;
use crate::cpu::kernels::error;
use crate::cpu::kernels::lines::{Line, LineTask, Matrix, dispatch};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, PoisonError};

/// A problem of the row solvers in the CPU backend.
pub(crate) struct CpuRows {
    cpu: Cpu,
    problem: RowProblem,
    users: Matrix,
    items: Matrix,
    user_order: RowOrder,
    item_order: RowOrder,
    kept: Option<Factors>,
    /// The Gram matrices that were given.
    given: [Option<Vec<f64>>; 2],
}

impl CpuRows {
    /// Lays a problem out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(cpu: Cpu, mut problem: RowProblem) -> Result<Self> {
        let factors = problem.start.factors;
        let users = Matrix::new(&problem.start, Side::User)?;
        let items = Matrix::new(&problem.start, Side::Item)?;
        // Only its shape is of use from here on.
        problem.start = problem.start.emptied();
        let terms = &problem.terms;
        if terms.confidence.is_signed() {
            problem.ratings.users.lighter_last();
            problem.ratings.items.lighter_last();
        }
        Ok(Self {
            cpu,
            users,
            items,
            user_order: RowOrder::new(&problem.ratings.users, factors, terms),
            item_order: RowOrder::new(&problem.ratings.items, factors, terms),
            problem,
            kept: None,
            given: [None, None],
        })
    }

    /// All coordinates together, and in blocks, with what every pair weighs in their equations.
    fn blocks(&self, partner: Side) -> (Block, Vec<Block>) {
        let factors = self.problem.start.factors;
        let weight = f64::from(self.problem.terms.unobserved_weight);
        let gram = (weight != 0.0).then(|| self.whole_gram(partner));
        let every_pair = gram.map(|mut gram| {
            for value in &mut gram {
                *value *= weight;
            }
            gram
        });
        let block = |columns| Block::new(columns, factors, every_pair.as_deref());
        (block(0..factors), cut(factors, self.problem.terms.block).map(block).collect())
    }

    fn side(&self, side: Side) -> &Matrix {
        match side {
            Side::User => &self.users,
            Side::Item => &self.items,
        }
    }

    /// A side's Gram matrix: the one that was given, or the sum over its rows.
    fn whole_gram(&self, side: Side) -> Vec<f64> {
        match &self.given[side.index()] {
            Some(gram) => gram.clone(),
            None => side_gram(self.cpu.arch, self.side(side), self.problem.start.factors),
        }
    }
}

/// The blocks of `size` coordinates in turn.
pub(crate) fn cut(factors: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let size = size.clamp(1, factors);
    (0..factors).step_by(size).map(move |from| from..factors.min(from + size))
}

impl RowPasses for CpuRows {
    fn solve(
        &mut self,
        side: Side,
        rows: Range<usize>,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let (all, blocks) = self.blocks(side.partner());
        self.given[side.index()] = None;
        let (own, partner, order) = match side {
            Side::User => (&mut self.users, &self.items, &self.user_order),
            Side::Item => (&mut self.items, &self.users, &self.item_order),
        };
        let inputs = Inputs {
            ratings: self.problem.ratings.side(side),
            partner,
            mean: self.problem.start.global_mean,
            terms: &self.problem.terms,
            factors: self.problem.start.factors,
            all: &all,
            blocks: &blocks,
            draw: None,
            latents: None,
        };
        Ok(solve_side(self.cpu, &inputs, order, own, &rows, watch))
    }

    fn rows(&mut self, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        let own = self.side(side);
        Ok(own.get(&within(&rows, own.rows()), self.problem.start.factors))
    }

    fn put_rows(&mut self, side: Side, rows: Range<usize>, values: &SideFactors) -> Result<()> {
        let factors = self.problem.start.factors;
        let own = match side {
            Side::User => &mut self.users,
            Side::Item => &mut self.items,
        };
        let rows = within(&rows, own.rows());
        check_rows(&rows, values, factors)?;
        own.put(&rows, factors, values);
        self.given[side.index()] = None;
        Ok(())
    }

    fn gram(&mut self, side: Side, rows: Range<usize>) -> Result<Vec<Vec<f64>>> {
        self.given[side.index()] = None;
        if self.problem.terms.unobserved_weight == 0.0 {
            return Ok(Vec::new());
        }
        Ok(gram_blocks(self.cpu.arch, self.side(side), self.problem.start.factors, &rows))
    }

    fn set_gram(&mut self, side: Side, gram: &[f64]) -> Result<()> {
        check_gram(gram, self.problem.start.factors)?;
        self.given[side.index()] = Some(gram.to_vec());
        Ok(())
    }

    fn objective(&mut self, rows: [Range<usize>; 2]) -> Result<ObjectiveBlocks> {
        let RowProblem { ratings, start, terms, .. } = &self.problem;
        let (users, items) = (&self.users, &self.items);
        let [among, among_items] = &rows;
        let mean = (start.global_mean, terms.confidence);
        let error = squared_errors(self.cpu.arch, &ratings.users, users, items, mean, among);
        let mut unobserved = 0.0;
        if terms.unobserved_weight != 0.0 {
            let (user_gram, item_gram) = (self.whole_gram(Side::User), self.whole_gram(Side::Item));
            let sum: f64 = user_gram.iter().zip(&item_gram).map(|(u, i)| u * i).sum();
            unobserved = f64::from(terms.unobserved_weight) * sum;
        }
        let regularization = [
            regularization(users, &ratings.users, items.rows(), terms, among),
            regularization(items, &ratings.items, users.rows(), terms, among_items),
        ];
        Ok(ObjectiveBlocks { error, unobserved, regularization })
    }

    fn test_loss(&mut self) -> Result<f64> {
        let mean = self.problem.start.global_mean;
        let (users, items) = (self.users.table(), self.items.table());
        Ok(error::error(self.cpu.arch, users, items, mean, Loss::Squared, &self.problem.test))
    }

    fn keep(&mut self) -> Result<()> {
        self.kept = Some(self.factors()?);
        Ok(())
    }

    fn kept(&mut self) -> Result<Factors> {
        self.kept.clone().ok_or_else(nothing_kept)
    }

    fn factors(&mut self) -> Result<Factors> {
        let start = &self.problem.start;
        Ok(Factors {
            factors: start.factors,
            sides: [self.users.unpadded(start.factors)?, self.items.unpadded(start.factors)?],
            global_mean: start.global_mean,
        })
    }
}

/// Solves (or draws) a range of a side's rows in the order of its order. Returns the ratings done.
pub(crate) fn solve_side(
    cpu: Cpu,
    inputs: &Inputs,
    order: &RowOrder,
    own: &mut Matrix,
    among: &Range<usize>,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> usize {
    let solver = SideSolver { cpu, inputs, scratch: Scratches::new() };
    let mut done = 0;
    for batch in &order.hot {
        let batch: Vec<&HotRow> = batch.iter().filter(|hot| among.contains(&hot.row)).collect();
        if batch.is_empty() {
            continue;
        }
        done += solver.hot(&batch, own);
        if watch(done).is_break() {
            return done;
        }
    }
    let in_parts = inputs.blocks.len() == 1;
    for wave in &order.waves {
        let cut = |rows: &Range<usize>| rows.start.max(among.start)..rows.end.min(among.end);
        let wave: Vec<_> = wave.iter().map(cut).filter(|rows| !rows.is_empty()).collect();
        if wave.is_empty() {
            continue;
        }
        done += solver.wave(&wave, own, in_parts);
        if watch(done).is_break() {
            break;
        }
    }
    done
}

/// Memory for each thread of the pool.
struct Scratches(Vec<Mutex<Scratch>>);

impl Scratches {
    fn new() -> Self {
        Self((0..rayon::current_num_threads()).map(|_| Mutex::default()).collect())
    }

    /// The memory of the thread that asks. Tasks start no tasks, so nobody waits here.
    fn own(&self) -> std::sync::MutexGuard<'_, Scratch> {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        self.0[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What solves the rows of a side.
struct SideSolver<'a> {
    cpu: Cpu,
    inputs: &'a Inputs<'a>,
    scratch: Scratches,
}

impl SideSolver<'_> {
    /// Solves ranges of rows that follow each other. Returns their ratings.
    fn wave(&self, wave: &[Range<usize>], own: &mut Matrix, in_parts: bool) -> usize {
        let Some(first) = wave.first() else { return 0 };
        let strips = own.strips;
        let mut lines = &mut own.lines[first.start * strips..];
        let mut bias = &mut own.bias[first.start..];
        let mut tasks = Vec::with_capacity(wave.len());
        for rows in wave {
            let (own_lines, rest) = lines.split_at_mut(rows.len() * strips);
            let (own_bias, rest_bias) = bias.split_at_mut(rows.len());
            (lines, bias) = (rest, rest_bias);
            tasks.push((rows.clone(), own_lines, own_bias));
        }
        let ratings = tasks.into_par_iter().with_max_len(1).map(|(rows, lines, bias)| {
            let mut scratch = self.scratch.own();
            dispatch(
                self.cpu.arch,
                RowsTask {
                    inputs: self.inputs,
                    rows,
                    in_parts,
                    lines,
                    bias,
                    scratch: &mut scratch,
                },
            )
        });
        ratings.sum()
    }

    /// Solves hot rows: their segments by all threads, then the rows. Returns their ratings.
    fn hot(&self, batch: &[&HotRow], own: &mut Matrix) -> usize {
        let segments: Vec<(usize, &Range<usize>)> = batch
            .iter()
            .flat_map(|hot| hot.segments.iter().map(|positions| (hot.row, positions)))
            .collect();
        let parts: Vec<Normal> = segments
            .into_par_iter()
            .with_max_len(1)
            .map(|(row, positions)| {
                let mut scratch = self.scratch.own();
                dispatch(
                    self.cpu.arch,
                    PartTask {
                        inputs: self.inputs,
                        part: (row, positions.clone()),
                        own: (own.row(row as u32), own.bias[row]),
                        scratch: &mut scratch,
                    },
                )
            })
            .collect();
        let mut rest = &parts[..];
        let mut tasks = Vec::with_capacity(batch.len());
        for hot in batch {
            let (parts, tail) = rest.split_at(hot.segments.len());
            rest = tail;
            let x = own.row(hot.row as u32).to_vec();
            tasks.push((hot.row, parts, x, own.bias[hot.row]));
        }
        tasks.par_iter_mut().with_max_len(1).for_each(|(row, parts, x, bias)| {
            let mut scratch = self.scratch.own();
            dispatch(
                self.cpu.arch,
                JoinTask { inputs: self.inputs, row: *row, parts, x, bias, scratch: &mut scratch },
            );
        });
        let mut ratings = 0;
        for (row, _, x, bias) in tasks {
            let strips = own.strips;
            own.lines[row * strips..][..strips].copy_from_slice(&x);
            own.bias[row] = bias;
            ratings += self.inputs.ratings.positions(row).len();
        }
        ratings
    }
}

struct RowsTask<'a> {
    inputs: &'a Inputs<'a>,
    rows: Range<usize>,
    in_parts: bool,
    lines: &'a mut [Line],
    bias: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl LineTask for RowsTask<'_> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) -> usize {
        let strips = self.inputs.partner.strips;
        let mut ratings = 0;
        for (j, row) in self.rows.enumerate() {
            let n = self.inputs.ratings.positions(row).len();
            if self.in_parts && is_hot(n) {
                continue;
            }
            let x = &mut self.lines[j * strips..][..strips];
            self.inputs.row::<S, V>(simd, row, self.scratch, x, &mut self.bias[j]);
            ratings += n;
        }
        ratings
    }
}

struct PartTask<'a> {
    inputs: &'a Inputs<'a>,
    part: (usize, Range<usize>),
    own: (&'a [Line], f32),
    scratch: &'a mut Scratch,
}

impl LineTask for PartTask<'_> {
    type Output = Normal;

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) -> Normal {
        let PartTask { inputs, part, own, scratch } = self;
        inputs.part::<S, V>(simd, part, own, scratch)
    }
}

struct JoinTask<'a> {
    inputs: &'a Inputs<'a>,
    row: usize,
    parts: &'a [Normal],
    x: &'a mut [Line],
    bias: &'a mut f32,
    scratch: &'a mut Scratch,
}

impl LineTask for JoinTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let JoinTask { inputs, row, parts, x, bias, scratch } = self;
        inputs.joined::<S, V>(simd, row, parts, scratch, x, bias);
    }
}

#[cfg(test)]
mod tests;
