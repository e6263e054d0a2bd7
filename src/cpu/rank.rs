//! The ranker: which thread scores which queries.

use super::Cpu;
use crate::Result;
use crate::backend::{Candidates, Counted, Interval, Ranked, Ranker};
use crate::cpu::kernels::count::{Tally, count};
use crate::cpu::kernels::score::{Line, PANEL, Panels, score};
use crate::cpu::kernels::topk::{Best, topk};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Queries of a task at most: a panel is read from memory once for all of them.
const TASK: usize = 96;

/// Candidates that lie ready to be ranked.
pub(super) struct CpuRanker {
    cpu: Cpu,
    panels: Panels,
}

impl CpuRanker {
    /// Lays candidates out.
    pub(super) fn new(cpu: Cpu, candidates: &Candidates) -> Self {
        Self { cpu, panels: Panels::new(candidates) }
    }

    /// Where the queries are cut into tasks. It changes no result: every query stands alone.
    fn tasks(&self, queries: usize) -> Vec<Range<usize>> {
        let task =
            queries.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(12).min(TASK);
        (0..queries).step_by(task.max(1)).map(|from| from..(from + task).min(queries)).collect()
    }
}

impl Ranker for CpuRanker {
    fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>> {
        let (panels, factors) = (&self.panels, self.panels.factors);
        let lists: Vec<Vec<Vec<Ranked>>> = self
            .tasks(queries.len() / factors)
            .into_par_iter()
            .map(|task| {
                let best = |query| Best::new(n, excluded.get(query).copied().unwrap_or_default());
                let mut lists: Vec<_> = task.clone().map(best).collect();
                let queries = &queries[task.start * factors..task.end * factors];
                self.cpu.arch.dispatch(Task {
                    panels,
                    queries,
                    sink: TopSink { lists: &mut lists },
                });
                lists.into_iter().map(Best::finish).collect()
            })
            .collect();
        Ok(lists.into_iter().flatten().collect())
    }

    fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>> {
        let (panels, factors) = (&self.panels, self.panels.factors);
        // Positions of the intervals, query after query.
        let mut order: Vec<u32> = (0..intervals.len() as u32).collect();
        order.sort_by_key(|&at| intervals[at as usize].query);
        let counted: Vec<Vec<Counted>> = self
            .tasks(queries.len() / factors)
            .into_par_iter()
            .map(|task| {
                let query = |at: &u32| intervals[*at as usize].query as usize;
                let from = order.partition_point(|at| query(at) < task.start);
                let to = order.partition_point(|at| query(at) < task.end);
                let asked: Vec<Interval> =
                    order[from..to].iter().map(|&at| intervals[at as usize]).collect();
                let mut tallies = vec![Tally::new(); asked.len()];
                let mut starts = vec![0; task.len() + 1];
                for interval in &asked {
                    starts[interval.query as usize - task.start + 1] += 1;
                }
                for query in 0..task.len() {
                    starts[query + 1] += starts[query];
                }
                let excluded: Vec<&[u32]> = task
                    .clone()
                    .map(|query| excluded.get(query).copied().unwrap_or_default())
                    .collect();
                let sink = CountSink { intervals: &asked, starts, excluded, tallies: &mut tallies };
                let queries = &queries[task.start * factors..task.end * factors];
                self.cpu.arch.dispatch(Task { panels, queries, sink });
                tallies.iter().map(Tally::finish).collect()
            })
            .collect();
        let mut results = vec![Counted::default(); intervals.len()];
        for (&at, counted) in order.iter().zip(counted.into_iter().flatten()) {
            results[at as usize] = counted;
        }
        Ok(results)
    }
}

/// What takes the scores: panels in ascending order, all queries of a panel.
trait Sink {
    fn take(&mut self, query: usize, first_row: u32, scores: &mut Line);
}

struct TopSink<'a, 'b> {
    lists: &'a mut [Best<'b>],
}

impl Sink for TopSink<'_, '_> {
    #[inline(always)]
    fn take(&mut self, query: usize, first_row: u32, scores: &mut Line) {
        topk(&mut self.lists[query], first_row, scores);
    }
}

struct CountSink<'a> {
    /// Query after query.
    intervals: &'a [Interval],
    /// (queries + 1): where each query's intervals start.
    starts: Vec<usize>,
    /// (queries): excluded rows that are still to come.
    excluded: Vec<&'a [u32]>,
    tallies: &'a mut [Tally],
}

impl Sink for CountSink<'_> {
    #[inline(always)]
    fn take(&mut self, query: usize, first_row: u32, scores: &mut Line) {
        let mut excluded = self.excluded[query];
        while let Some((&row, rest)) = excluded.split_first() {
            if row >= first_row + PANEL as u32 {
                break;
            }
            scores.0[(row - first_row) as usize] = f32::NEG_INFINITY;
            excluded = rest;
        }
        self.excluded[query] = excluded;
        for at in self.starts[query]..self.starts[query + 1] {
            count(&self.intervals[at], first_row, scores, &mut self.tallies[at]);
        }
    }
}

/// A few queries against all candidates.
struct Task<'a, K> {
    panels: &'a Panels,
    /// (queries, factors), row-major.
    queries: &'a [f32],
    sink: K,
}

impl<K: Sink> WithSimd for Task<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as leave registers for a panel's vectors and a query's number.
        match S::F32_LANES {
            16 => self.run::<S, 12, 2>(simd),
            8 => self.run::<S, 3, 4>(simd),
            4 => self.run::<S, 3, 8>(simd),
            _ => self.run::<S, 1, PANEL>(simd),
        }
    }
}

impl<K: Sink> Task<'_, K> {
    #[inline(always)]
    fn run<S: Simd, const Q: usize, const V: usize>(mut self, simd: S) {
        let factors = self.panels.factors;
        let count = self.queries.len() / factors;
        // Groups of `Q` queries, factor after factor; what is missing to the last is zeros.
        let mut groups = vec![[0.0_f32; Q]; count.div_ceil(Q) * factors];
        for (query, row) in self.queries.chunks_exact(factors).enumerate() {
            for (numbers, &x) in groups[query / Q * factors..].iter_mut().zip(row) {
                numbers[query % Q] = x;
            }
        }
        let mut scores = [Line([0.0; PANEL]); Q];
        for panel in 0..self.panels.len() {
            let first_row = (panel * PANEL) as u32;
            for (group, first) in groups.chunks_exact(factors).zip((0..count).step_by(Q)) {
                score::<S, Q, V>(simd, group, self.panels.panel(panel), &mut scores);
                for (query, scores) in (first..count).zip(&mut scores) {
                    self.sink.take(query, first_row, scores);
                }
            }
        }
    }
}
