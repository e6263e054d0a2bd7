//! The ranker: which thread scores which queries.

use super::Cpu;
use crate::Result;
use crate::backend::{Candidates, Counted, Interval, Ranked, Ranker};
use crate::cpu::kernels::count::{Tally, count};
use crate::cpu::kernels::score::{Line, PANEL, Panels, roundings, score};
use crate::cpu::kernels::topk::{Best, better, topk};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Queries of a task at most: a panel is read from memory once for all of them.
const TASK: usize = 96;

/// Panels of a task at least, where few queries are cut by panels too.
const LEAST_PANELS: usize = 32;

/// Candidates that lie ready to be ranked.
pub(super) struct CpuRanker {
    cpu: Cpu,
    panels: Panels,
}

impl CpuRanker {
    /// Lays candidates out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(cpu: Cpu, candidates: &Candidates) -> Result<Self> {
        Ok(Self { cpu, panels: Panels::new(candidates)? })
    }

    /// Where the queries are cut into tasks. It changes no result: every query stands alone.
    fn tasks(&self, queries: usize) -> Vec<Range<usize>> {
        let task =
            queries.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(12).min(TASK);
        (0..queries).step_by(task.max(1)).map(|from| from..(from + task).min(queries)).collect()
    }

    /// Where the panels are cut, so that fewer tasks than threads keep all threads busy. It changes no
    /// result: the best of all are among the best of each part.
    fn parts(&self, tasks: usize) -> Vec<Range<usize>> {
        let panels = self.panels.len();
        let parts = rayon::current_num_threads().div_ceil(tasks.max(1)).min(panels / LEAST_PANELS);
        let part = panels.div_ceil(parts.max(1)).max(1);
        (0..panels.max(1)).step_by(part).map(|from| from..(from + part).min(panels)).collect()
    }

    /// What `work` makes of every task, one task after the other.
    fn run<T: Send>(
        &self,
        queries: &[f32],
        work: impl Fn(Range<usize>) -> Vec<T> + Send + Sync,
    ) -> Vec<T> {
        let tasks = self.tasks(queries.len() / self.panels.factors);
        let made: Vec<Vec<T>> = tasks.into_par_iter().map(work).collect();
        made.into_iter().flatten().collect()
    }

    /// Lets a sink take the scores of a task's queries.
    fn score<K: Sink>(&self, task: &Range<usize>, queries: &[f32], sink: K) {
        self.score_part(task, 0..self.panels.len(), queries, sink);
    }

    /// The same of some of the panels.
    fn score_part<K: Sink>(
        &self,
        task: &Range<usize>,
        part: Range<usize>,
        queries: &[f32],
        sink: K,
    ) {
        let factors = self.panels.factors;
        let queries = &queries[task.start * factors..task.end * factors];
        self.cpu.arch.dispatch(Task { panels: &self.panels, part, queries, sink });
    }
}

impl Ranker for CpuRanker {
    fn roundings(&self, factors: usize) -> usize {
        roundings(factors)
    }

    fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>> {
        let tasks = self.tasks(queries.len() / self.panels.factors);
        let parts = self.parts(tasks.len());
        let work = |(task, part): (&Range<usize>, &Range<usize>)| {
            let mut lists = lists_of(task, excluded, n);
            self.score_part(task, part.clone(), queries, TopSink { lists: &mut lists });
            finish(lists)
        };
        let all: Vec<_> = tasks.iter().flat_map(|t| parts.iter().map(move |p| (t, p))).collect();
        let made: Vec<Vec<Vec<Ranked>>> = all.into_par_iter().map(work).collect();
        let of_task = |made: &[Vec<Vec<Ranked>>]| join(made, n);
        Ok(match parts.len() {
            1 => made.into_iter().flatten().collect(),
            parts => made.chunks(parts).flat_map(of_task).collect(),
        })
    }

    fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>> {
        let asked = Asked::new(intervals);
        let counted = self.run(queries, |task| {
            let mut counts = asked.of(&task);
            self.score(&task, queries, counts.sink(&self.panels, &task, excluded));
            counts.finish()
        });
        Ok(asked.in_order(counted))
    }

    fn top_and_count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        n: usize,
        intervals: &[Interval],
    ) -> Result<(Vec<Vec<Ranked>>, Vec<Counted>)> {
        let asked = Asked::new(intervals);
        let both = self.run(queries, |task| {
            let (mut lists, mut counts) = (lists_of(&task, excluded, n), asked.of(&task));
            let sinks = (TopSink { lists: &mut lists }, counts.sink(&self.panels, &task, excluded));
            self.score(&task, queries, sinks);
            vec![(finish(lists), counts.finish())]
        });
        let (lists, counted): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        let counted = asked.in_order(counted.into_iter().flatten().collect());
        Ok((lists.into_iter().flatten().collect(), counted))
    }
}

/// Empty lists of a task's queries.
fn lists_of<'e>(task: &Range<usize>, excluded: &[&'e [u32]], n: usize) -> Vec<Best<'e>> {
    let best = |query| Best::new(n, excluded.get(query).copied().unwrap_or_default());
    task.clone().map(best).collect()
}

/// The lists of a task's queries, from those of every part of the panels.
fn join(parts: &[Vec<Vec<Ranked>>], n: usize) -> Vec<Vec<Ranked>> {
    let queries = 0..parts.first().map_or(0, Vec::len);
    let list = |query: usize| {
        let mut list: Vec<Ranked> =
            parts.iter().flat_map(|part| part[query].iter().copied()).collect();
        list.sort_unstable_by(better);
        list.truncate(n);
        list
    };
    queries.map(list).collect()
}

fn finish(lists: Vec<Best>) -> Vec<Vec<Ranked>> {
    lists.into_iter().map(Best::finish).collect()
}

/// Intervals, query after query.
struct Asked<'a> {
    intervals: &'a [Interval],
    /// Their positions in that order.
    order: Vec<u32>,
}

impl<'a> Asked<'a> {
    fn new(intervals: &'a [Interval]) -> Self {
        let mut order: Vec<u32> = (0..intervals.len() as u32).collect();
        order.sort_by_key(|&at| intervals[at as usize].query);
        Self { intervals, order }
    }

    /// Those of a task, with nothing counted yet.
    fn of(&self, task: &Range<usize>) -> Counts {
        let query = |at: &u32| self.intervals[*at as usize].query as usize;
        let from = self.order.partition_point(|at| query(at) < task.start);
        let to = self.order.partition_point(|at| query(at) < task.end);
        let intervals: Vec<Interval> =
            self.order[from..to].iter().map(|&at| self.intervals[at as usize]).collect();
        let mut starts = vec![0; task.len() + 1];
        for interval in &intervals {
            starts[interval.query as usize - task.start + 1] += 1;
        }
        for query in 0..task.len() {
            starts[query + 1] += starts[query];
        }
        Counts { tallies: vec![Tally::new(); intervals.len()], intervals, starts }
    }

    /// What was counted query after query, in the order in which it was asked for.
    fn in_order(&self, counted: Vec<Counted>) -> Vec<Counted> {
        let mut results = vec![Counted::default(); self.intervals.len()];
        for (&at, counted) in self.order.iter().zip(counted) {
            results[at as usize] = counted;
        }
        results
    }
}

/// The intervals of a task, and what they have seen.
struct Counts {
    /// Query after query.
    intervals: Vec<Interval>,
    /// (queries + 1): where each query's intervals start.
    starts: Vec<usize>,
    tallies: Vec<Tally>,
}

impl Counts {
    fn sink<'a>(
        &'a mut self,
        panels: &'a Panels,
        task: &Range<usize>,
        excluded: &[&'a [u32]],
    ) -> CountSink<'a> {
        let Self { intervals, starts, tallies } = self;
        let excluded =
            task.clone().map(|query| excluded.get(query).copied().unwrap_or_default()).collect();
        CountSink { panels, intervals, starts, excluded, tallies }
    }

    fn finish(self) -> Vec<Counted> {
        self.tallies.iter().map(Tally::finish).collect()
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

/// Both take every score; the second may change it.
impl<A: Sink, B: Sink> Sink for (A, B) {
    #[inline(always)]
    fn take(&mut self, query: usize, first_row: u32, scores: &mut Line) {
        self.0.take(query, first_row, scores);
        self.1.take(query, first_row, scores);
    }
}

struct CountSink<'a> {
    panels: &'a Panels,
    /// As [`Counts`] has them.
    intervals: &'a [Interval],
    starts: &'a [usize],
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
        let reach = self.panels.reach(first_row as usize / PANEL);
        for at in self.starts[query]..self.starts[query + 1] {
            count(&self.intervals[at], first_row, scores, reach, &mut self.tallies[at]);
        }
    }
}

/// A few queries against some of the panels.
struct Task<'a, K> {
    panels: &'a Panels,
    part: Range<usize>,
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
        for panel in self.part {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A list that several threads make of parts of the candidates is the one that one thread makes: ties
    /// and excluded rows at the borders included.
    #[test]
    fn one_query_is_ranked_by_all_threads_alike() {
        let (factors, count) = (3, 40 * LEAST_PANELS * PANEL / 8 + 5);
        let number = |at: usize| ((at * 7919 + at / 13) % 11) as f32 - 5.0;
        let rows: Vec<f32> = (0..count * factors).map(number).collect();
        let bias: Vec<f32> = (0..count).map(|at| number(at + 3)).collect();
        let candidates = Candidates { rows: &rows, bias: &bias, factors };
        let excluded: Vec<u32> = (0..count as u32).filter(|row| row % 5 == 0).collect();
        let ranker = CpuRanker::new(Cpu::new(), &candidates).unwrap();
        let lists = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let parts = ranker.parts(1).len();
                (parts, ranker.top(&[1.0, -2.0, 0.5], &[&excluded], 50).unwrap())
            })
        };
        let (parts, alone) = lists(1);
        assert_eq!((parts, alone.len(), alone[0].len()), (1, 1, 50));
        for threads in [2, 3, 4, 7] {
            let (parts, lists) = lists(threads);
            assert!(parts > 1 && parts <= threads, "{threads}: {parts}");
            assert_eq!(lists, alone, "{threads} threads");
        }
    }
}
