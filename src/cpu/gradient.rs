//! The gradient solvers' passes: which thread walks which rows.

use super::Cpu;
use super::kernels::{error, residual};
use crate::backend::{
    EpochSums, GradientPasses, GradientProblem, Probe, State, Terms, Visit, nothing_kept,
};
use crate::core::{Batches, Factors, Side, SideIndex};
use crate::cpu::kernels::gradient::gradient;
use crate::cpu::kernels::residual::residual;
use crate::cpu::kernels::step::{Update, step};
use crate::cpu::kernels::table::{Rows, RowsMut};
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::{ControlFlow, Range};

/// Work below which a batch is walked by one thread: handing out tasks costs more.
const SERIAL_BELOW: usize = 250_000;

/// Ratings a run's own work (row, step) is worth when work is shared out.
const RUN_COST: usize = 2;

/// A problem in the CPU backend.
pub(super) struct CpuGradient {
    cpu: Cpu,
    problem: GradientProblem,
    lead: SideState,
    follow: SideState,
    scratch: Scratch,
    kept: Option<Factors>,
    /// Where each task starts, in runs; kept to reuse its memory.
    cuts: Vec<usize>,
}

/// One side's parameters, moments, and the weight of each row's regularization.
struct SideState {
    rows: Rows,
    moments: Vec<Rows>,
    weights: Vec<f32>,
    /// How much of a row's damping each of its ratings counts.
    shares: Vec<f32>,
}

/// What one batch leaves between its passes.
#[derive(Default)]
struct Scratch {
    residuals: Vec<f32>,
    /// (runs, stride) and (runs) of the leading side.
    gradients: Vec<f32>,
    bias_gradients: Vec<f32>,
    losses: Vec<f64>,
}

impl CpuGradient {
    /// Lays a problem out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(cpu: Cpu, mut problem: GradientProblem) -> Result<Self> {
        let batches = &problem.batches;
        let side_state = |side: Side| {
            let counts = batches.row_ratings(side);
            let moments = problem.start.moments.iter().map(|m| Rows::new(m, side));
            Ok::<_, Error>(SideState {
                rows: Rows::new(&problem.start.factors, side)?,
                moments: moments.collect::<Result<_>>()?,
                weights: counts.iter().map(|&n| problem.terms.row_weight(n)).collect(),
                shares: counts.iter().map(|&n| problem.terms.row_share(n)).collect(),
            })
        };
        let lead = side_state(batches.lead_side)?;
        let follow = side_state(batches.lead_side.partner())?;
        // Only its shape is of use from here on.
        problem.start = State { factors: problem.start.factors.emptied(), moments: Vec::new() };
        Ok(Self {
            cpu,
            lead,
            follow,
            scratch: Scratch::default(),
            kept: None,
            cuts: Vec::new(),
            problem,
        })
    }

    /// Residuals of a batch and the leading side's gradient; the batch's summed loss.
    fn residual_pass(&mut self, batch: usize) -> f64 {
        let batches = &self.problem.batches;
        let stride = self.lead.rows.stride;
        let runs = batches.lead.runs(batch);
        let positions = batches.positions(batch);
        let scratch = &mut self.scratch;
        scratch.residuals.resize(positions.len(), 0.0);
        scratch.gradients.resize(runs.len() * stride, 0.0);
        scratch.bias_gradients.resize(runs.len(), 0.0);
        scratch.losses.resize(runs.len(), 0.0);
        let inputs = residual::Inputs {
            own: &self.lead.rows,
            partner: &self.follow.rows,
            global_mean: self.problem.start.factors.global_mean,
            loss: self.problem.terms.loss,
        };
        share_out(&batches.lead, runs.clone(), stride, &mut self.cuts);
        let mut tasks = Vec::with_capacity(self.cuts.len());
        let mut rest = (
            &mut scratch.residuals[..],
            &mut scratch.gradients[..],
            &mut scratch.bias_gradients[..],
            &mut scratch.losses[..],
        );
        for runs in ranges(&self.cuts) {
            let count = batches.lead.starts[runs.end] - batches.lead.starts[runs.start];
            let (residuals, r) = rest.0.split_at_mut(count as usize);
            let (gradients, g) = rest.1.split_at_mut(runs.len() * stride);
            let (bias_gradients, b) = rest.2.split_at_mut(runs.len());
            let (losses, l) = rest.3.split_at_mut(runs.len());
            rest = (r, g, b, l);
            tasks.push(ResidualTask {
                inputs: &inputs,
                batches,
                runs,
                residuals,
                gradients,
                bias_gradients,
                losses,
            });
        }
        self.cpu.run(tasks);
        scratch.losses.iter().sum()
    }

    /// The following side's gradient and update.
    fn follow_pass(&mut self, batch: usize, update: &StepTerms) {
        let batches = &self.problem.batches;
        let runs = batches.follow.runs(batch);
        share_out(&batches.follow, runs, self.follow.rows.stride, &mut self.cuts);
        let tasks: Vec<_> = self
            .follow
            .parts(&batches.follow, &self.cuts)
            .into_iter()
            .map(|part| FollowTask {
                part,
                batches,
                partner: &self.lead.rows,
                residuals: &self.scratch.residuals,
                update,
            })
            .collect();
        self.cpu.run(tasks);
    }

    /// The leading side's update, from the gradients of [`residual_pass`](Self::residual_pass).
    fn lead_step(&mut self, batch: usize, update: &StepTerms) {
        let batches = &self.problem.batches;
        let runs = batches.lead.runs(batch);
        let first = runs.start;
        share_out(&batches.lead, runs, self.lead.rows.stride, &mut self.cuts);
        let tasks: Vec<_> = self
            .lead
            .parts(&batches.lead, &self.cuts)
            .into_iter()
            .map(|part| LeadStepTask {
                first,
                part,
                index: &batches.lead,
                gradients: &self.scratch.gradients,
                bias_gradients: &self.scratch.bias_gradients,
                update,
            })
            .collect();
        self.cpu.run(tasks);
    }

    fn user_and_item(&self) -> (&SideState, &SideState) {
        match self.problem.batches.lead_side {
            Side::User => (&self.lead, &self.follow),
            Side::Item => (&self.follow, &self.lead),
        }
    }
}

/// The terms of a batch's update.
struct StepTerms {
    update: Update,
    update_bias: Update,
    bias: bool,
    /// Twice the regularization over the batch's ratings.
    decay: f32,
    decay_bias: f32,
    /// Twice the damping over the batch's ratings.
    damping: f32,
    damping_bias: f32,
}

impl StepTerms {
    fn new(terms: &Terms, rate: f32, ratings: usize) -> Self {
        let mean = 1.0 / ratings as f32;
        let update = Update {
            optimizer: terms.optimizer,
            rate,
            momentum: terms.momentum,
            scale: -terms.loss_factor() * mean,
        };
        let decay = 2.0 * terms.reg * mean;
        let decay_bias = 2.0 * terms.reg_bias * mean;
        let damping = 2.0 * terms.damping * mean;
        let damping_bias = 2.0 * terms.damping_bias * mean;
        let update_bias = Update { rate: rate * terms.bias_rate, ..update };
        let bias = terms.bias;
        Self { update, update_bias, bias, decay, decay_bias, damping, damping_bias }
    }
}

/// Cuts `runs` into tasks of about equal work. Where they are cut changes no result.
fn share_out(index: &SideIndex, runs: Range<usize>, stride: usize, cuts: &mut Vec<usize>) {
    cuts.clear();
    cuts.push(runs.start);
    let work = |run: usize| {
        let ratings = (index.starts[run] - index.starts[runs.start]) as usize;
        ratings + RUN_COST * (run - runs.start)
    };
    let threads = rayon::current_num_threads();
    let total = work(runs.end);
    if threads > 1 && total * stride >= SERIAL_BELOW {
        let tasks = 4 * threads;
        for task in 1..tasks {
            let target = total * task / tasks;
            let (mut low, mut high) = (cuts[cuts.len() - 1], runs.end);
            while low < high {
                let middle = (low + high) / 2;
                if work(middle) < target { low = middle + 1 } else { high = middle }
            }
            if low > cuts[cuts.len() - 1] && low < runs.end {
                cuts.push(low);
            }
        }
    }
    cuts.push(runs.end);
}

fn ranges(cuts: &[usize]) -> impl Iterator<Item = Range<usize>> + '_ {
    cuts.windows(2).map(|w| w[0]..w[1])
}

/// The rows of a range of runs, owned by one task.
struct Part<'a> {
    runs: Range<usize>,
    rows: RowsMut<'a>,
    moments: Vec<RowsMut<'a>>,
    weights: &'a [f32],
    shares: &'a [f32],
}

impl SideState {
    /// Splits the rows at the cuts. Runs ascend by row, so each part owns its rows alone.
    fn parts<'a>(&'a mut self, index: &SideIndex, cuts: &[usize]) -> Vec<Part<'a>> {
        let (weights, shares) = (&self.weights[..], &self.shares[..]);
        let mut rows = Some(self.rows.slices());
        let mut moments: Vec<_> = self.moments.iter_mut().map(|m| Some(m.slices())).collect();
        let mut parts = Vec::with_capacity(cuts.len());
        for runs in ranges(cuts) {
            if runs.is_empty() {
                continue;
            }
            let end = index.rows[runs.end - 1] as usize + 1;
            let take = |rest: &mut Option<RowsMut<'a>>| {
                let (part, tail) = rest.take()?.split_at(end);
                *rest = Some(tail);
                Some(part)
            };
            let Some(part_rows) = take(&mut rows) else { continue };
            let part_moments = moments.iter_mut().filter_map(take).collect();
            parts.push(Part { runs, rows: part_rows, moments: part_moments, weights, shares });
        }
        parts
    }
}

impl Part<'_> {
    /// Updates the row of a run from its gradient sums.
    #[inline(always)]
    fn step(&mut self, terms: &StepTerms, row: u32, count: usize, sums: &[f32], bias_sum: f32) {
        let weight = count as f32 * self.weights[row as usize];
        let share = count as f32 * self.shares[row as usize];
        let (x, bias) = self.rows.row(row);
        let (mut first, mut second) = (None, None);
        let mut moments = self.moments.iter_mut();
        if let Some(m) = moments.next() {
            first = Some(m.row(row));
        }
        if let Some(m) = moments.next() {
            second = Some(m.row(row));
        }
        let (first, first_bias) = unzip(first);
        let (second, second_bias) = unzip(second);
        let decay = terms.decay * weight + terms.damping * share;
        step(&terms.update, x, sums, decay, first, second);
        if terms.bias {
            let bias = std::slice::from_mut(bias);
            let decay = terms.decay_bias * weight + terms.damping_bias * share;
            step(&terms.update_bias, bias, &[bias_sum], decay, first_bias, second_bias);
        }
    }
}

fn unzip<'a>(moment: Option<(&'a mut [f32], &'a mut f32)>) -> (&'a mut [f32], &'a mut [f32]) {
    match moment {
        Some((row, bias)) => (row, std::slice::from_mut(bias)),
        None => (&mut [], &mut []),
    }
}

struct ResidualTask<'a> {
    inputs: &'a residual::Inputs<'a>,
    batches: &'a Batches,
    runs: Range<usize>,
    residuals: &'a mut [f32],
    gradients: &'a mut [f32],
    bias_gradients: &'a mut [f32],
    losses: &'a mut [f64],
}

impl pulp::NullaryFnOnce for ResidualTask<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let stride = self.inputs.own.stride;
        let lead = &self.batches.lead;
        let first = self.runs.start;
        let base = lead.starts[first] as usize;
        for run in self.runs {
            let at = lead.positions(run);
            let local = run - first;
            let (loss, sum) = residual(
                self.inputs,
                lead.rows[run],
                &lead.partners[at.clone()],
                self.batches.values_at(at.clone()),
                &mut self.residuals[at.start - base..at.end - base],
                &mut self.gradients[local * stride..][..stride],
            );
            self.losses[local] = loss;
            self.bias_gradients[local] = sum;
        }
    }
}

struct FollowTask<'a> {
    part: Part<'a>,
    batches: &'a Batches,
    partner: &'a Rows,
    residuals: &'a [f32],
    update: &'a StepTerms,
}

impl pulp::NullaryFnOnce for FollowTask<'_> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let follow = &self.batches.follow;
        let mut sums = vec![0.0; self.partner.stride];
        for run in self.part.runs.clone() {
            let at = follow.positions(run);
            let links = &self.batches.links[at.clone()];
            let partners = &follow.partners[at.clone()];
            let bias_sum = gradient(self.partner, partners, links, self.residuals, &mut sums);
            self.part.step(self.update, follow.rows[run], at.len(), &sums, bias_sum);
        }
    }
}

struct LeadStepTask<'a> {
    /// The batch's first run, at which the gradients start.
    first: usize,
    part: Part<'a>,
    index: &'a SideIndex,
    gradients: &'a [f32],
    bias_gradients: &'a [f32],
    update: &'a StepTerms,
}

impl pulp::NullaryFnOnce for LeadStepTask<'_> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let stride = self.gradients.len() / self.bias_gradients.len();
        for run in self.part.runs.clone() {
            let local = run - self.first;
            let sums = &self.gradients[local * stride..][..stride];
            let count = self.index.positions(run).len();
            let bias_sum = self.bias_gradients[local];
            self.part.step(self.update, self.index.rows[run], count, sums, bias_sum);
        }
    }
}

impl GradientPasses for CpuGradient {
    fn epoch(
        &mut self,
        visits: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums> {
        let mut sums = EpochSums::default();
        for visit in visits {
            let batch = visit.batch as usize;
            let ratings = self.problem.batches.positions(batch).len();
            let terms = StepTerms::new(&self.problem.terms, visit.rate, ratings);
            sums.loss += self.residual_pass(batch);
            self.follow_pass(batch, &terms);
            self.lead_step(batch, &terms);
            sums.ratings += ratings;
            if watch(sums.ratings).is_break() {
                break;
            }
        }
        Ok(sums)
    }

    fn test_loss(&mut self) -> Result<f64> {
        let (users, items) = self.user_and_item();
        let mean = self.problem.start.factors.global_mean;
        let loss = self.problem.terms.loss;
        let (users, items) = (users.rows.table(), items.rows.table());
        Ok(error::error(self.cpu.arch, users, items, mean, loss, &self.problem.test))
    }

    fn keep(&mut self) -> Result<()> {
        self.kept = Some(self.factors()?);
        Ok(())
    }

    fn kept(&mut self) -> Result<Factors> {
        self.kept.clone().ok_or_else(nothing_kept)
    }

    fn factors(&mut self) -> Result<Factors> {
        let (users, items) = self.user_and_item();
        logical(&users.rows, &items.rows, &self.problem.start.factors)
    }

    fn state(&mut self) -> Result<State> {
        let factors = self.factors()?;
        let (users, items) = self.user_and_item();
        let moments = users.moments.iter().zip(&items.moments);
        let moments = moments.map(|(u, i)| logical(u, i, &factors)).collect::<Result<_>>()?;
        Ok(State { factors, moments })
    }

    fn probe(&mut self, batch: usize) -> Result<Probe> {
        let loss = self.residual_pass(batch);
        let factors = self.problem.start.factors.factors;
        let stride = self.lead.rows.stride;
        let unpad = |rows: &[f32]| -> Vec<f32> {
            rows.chunks_exact(stride).flat_map(|row| row[..factors].iter().copied()).collect()
        };
        let batches = &self.problem.batches;
        let (mut follow, mut follow_bias) = (Vec::new(), Vec::new());
        let mut sums = vec![0.0; stride];
        for run in batches.follow.runs(batch) {
            let at = batches.follow.positions(run);
            let links = &batches.links[at.clone()];
            let partners = &batches.follow.partners[at];
            let residuals = &self.scratch.residuals;
            follow_bias.push(gradient(&self.lead.rows, partners, links, residuals, &mut sums));
            follow.extend_from_slice(&sums[..factors]);
        }
        Ok(Probe {
            residuals: self.scratch.residuals.clone(),
            loss,
            lead: unpad(&self.scratch.gradients),
            lead_bias: self.scratch.bias_gradients.clone(),
            follow,
            follow_bias,
        })
    }
}

/// Joins both sides into the form that does not depend on the backend.
fn logical(users: &Rows, items: &Rows, like: &Factors) -> Result<Factors> {
    Ok(Factors {
        factors: like.factors,
        sides: [users.unpadded(like.factors)?, items.unpadded(like.factors)?],
        global_mean: like.global_mean,
    })
}

impl Cpu {
    /// Runs tasks on the thread pool, or here where there is only one.
    fn run<T: pulp::NullaryFnOnce<Output = ()> + Send>(&self, mut tasks: Vec<T>) {
        let arch = self.arch;
        if tasks.len() == 1 {
            tasks.drain(..).for_each(|task| arch.dispatch(task));
        } else {
            tasks.into_par_iter().for_each(|task| arch.dispatch(task));
        }
    }
}
