//! Exact ranking: a device proposes in f32, f64 decides.

use super::order::{Scored, best, better, rank, without};
use crate::backend::{Backend, Candidates, Counted, Interval, Ranker, WITHIN};
use crate::math::product::{SIDE_BY_SIDE, inner_side_by_side};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Ranks candidates by `bias + query · row` in f64: the lists and ranks are those of a sort of all
/// candidates, and the same on every backend.
///
/// The backend proposes in f32, with an error of at most
/// `ε (k + 2) (|bias| + ‖query‖ ‖row‖)`, see Higham (2002, "Accuracy and stability of numerical
/// algorithms", section 3.1). Candidates that this leaves in doubt are scored again in f64, if need
/// be all of them.
pub struct ExactRanker<C> {
    ranker: Box<dyn Ranker>,
    scorer: Scorer<C>,
}

/// Who has the candidates of an [`ExactRanker`]: slices of somebody else's, or the ranker's own.
pub trait Ranks {
    /// The candidates, always the same.
    fn candidates(&self) -> Candidates<'_>;
}

impl Ranks for Candidates<'_> {
    fn candidates(&self) -> Candidates<'_> {
        *self
    }
}

/// Candidates beyond the `n` that are asked for, so that f64 mostly has no doubt about the last.
fn slack(n: usize) -> usize {
    12 + n / 8
}

impl<C: Ranks + Sync> ExactRanker<C> {
    /// Uploads `candidates` to `backend`.
    ///
    /// # Errors
    /// Shapes that do not suit, numbers that are not finite, candidates that do not fit the device.
    pub fn new(backend: &dyn Backend, candidates: C) -> Result<Self> {
        let scorer = Scorer::new(candidates)?;
        Ok(Self { ranker: backend.ranker(scorer.candidates())?, scorer })
    }

    /// Who has the candidates.
    pub(crate) fn source(&self) -> &C {
        &self.scorer.source
    }

    /// How many candidates there are.
    pub fn candidates(&self) -> usize {
        self.scorer.candidates().bias.len()
    }

    /// The `n` best candidates of each query, best first, equal scores by lower row; fewer where
    /// there are not so many. `queries`: (queries, factors), row-major; `excluded[j]`: ascending
    /// rows that are left out for query `j`; nothing is where `excluded` is empty.
    ///
    /// # Errors
    /// Queries that are no whole rows or not finite; a lost device.
    pub fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Scored>>> {
        let scorer = &self.scorer;
        let bounds = scorer.bounds(queries, excluded)?;
        let n = n.min(self.scorer.candidates().bias.len());
        if n == 0 {
            return Ok(vec![Vec::new(); bounds.len()]);
        }
        let asked = n + slack(n);
        let proposed = self.ranker.top(queries, excluded, asked)?;
        let k = scorer.candidates().factors;
        let lists = queries.par_chunks_exact(k).zip(proposed).zip(&bounds).enumerate();
        let lists = lists.map(|(j, ((query, proposed), &bound))| {
            // A query whose scores may overflow in f32 was not ranked at all.
            let complete = proposed.len() < asked && bound.is_finite();
            let lowest = proposed.last().map_or(0.0, |last| f64::from(last.score));
            let mut list = scorer.rescore(query, proposed.iter().map(|ranked| ranked.row));
            // Without rounding the device's order is the order.
            if bound > 0.0 {
                list.sort_unstable_by(better);
            }
            list.truncate(n);
            let sure = complete
                || bound == 0.0
                || list.get(n - 1).is_some_and(|last| last.score > lowest + bound);
            if sure { list } else { scorer.scan(query, excluded.get(j), n) }
        });
        Ok(lists.collect())
    }

    /// For each relevant row of each query, how many other candidates score strictly better, and
    /// how many equally; the query's excluded ones do not count. A relevant row may itself be
    /// excluded.
    ///
    /// # Errors
    /// As [`top`](Self::top); a row that is none of the candidates'.
    pub fn ranks(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        relevant: &[&[u32]],
    ) -> Result<Vec<Vec<[u64; 2]>>> {
        let scorer = &self.scorer;
        let bounds = scorer.bounds(queries, excluded)?;
        let k = scorer.candidates().factors;
        if relevant.len() != bounds.len() {
            let (sets, queries) = (relevant.len(), bounds.len());
            return Err(Error::data(format!("{sets} sets of relevant rows for {queries} queries")));
        }
        let candidates = scorer.candidates().bias.len();
        if let Some(row) = relevant.iter().copied().flatten().find(|&&r| r as usize >= candidates) {
            return Err(Error::data(format!("row {row} is none of {candidates} candidates")));
        }
        let scored: Vec<Vec<Scored>> = queries
            .par_chunks_exact(k)
            .zip(relevant)
            .map(|(query, relevant)| scorer.rescore(query, relevant.iter().copied()))
            .collect();
        let mut intervals = Vec::with_capacity(relevant.iter().map(|rows| rows.len()).sum());
        let mut starts = Vec::with_capacity(bounds.len() + 1);
        starts.push(0);
        for (query, (scored, &bound)) in scored.iter().zip(&bounds).enumerate() {
            if bound.is_finite() {
                intervals.extend(scored.iter().map(|relevant| Interval {
                    query: query as u32,
                    high: round_up(relevant.score + bound),
                    low: -round_up(-(relevant.score - bound)),
                }));
            }
            starts.push(intervals.len());
        }
        let counted = self.ranker.count(queries, excluded, &intervals)?;
        let queries = queries.par_chunks_exact(k).zip(&scored).zip(&bounds).enumerate();
        let ranks = queries.map(|(j, ((query, scored), &bound))| {
            let excluded = excluded.get(j).copied().unwrap_or_default();
            let counted = &counted[starts[j]..starts[j + 1]];
            let mut all = None;
            let rank_of = |(at, relevant): (usize, &Scored)| {
                let itself = excluded.binary_search(&relevant.row).is_err();
                match counted.get(at) {
                    Some(counted) if bound == 0.0 => [
                        counted.above.into(),
                        u64::from(counted.within).saturating_sub(itself.into()),
                    ],
                    Some(counted) if counted.within as usize <= WITHIN => {
                        scorer.settle(query, relevant, counted)
                    }
                    _ => {
                        let all: &Vec<f64> = all.get_or_insert_with(|| {
                            let mut scores = scorer.all(query, excluded);
                            scores.sort_unstable_by(f64::total_cmp);
                            scores
                        });
                        rank(all, relevant.score, itself)
                    }
                }
            };
            scored.iter().enumerate().map(rank_of).collect()
        });
        Ok(ranks.collect())
    }
}

/// The least f32 that is at least `x`.
fn round_up(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}

/// Candidates, and what bounds the error of their scores in f32.
struct Scorer<C> {
    source: C,
    largest_norm: f64,
    largest_bias: f64,
    /// Whether every device keeps the biases as they are: none lies below the least normal number.
    keeps_bias: bool,
    /// (candidates): the first row with the same numbers, for scans of a model that has many alike.
    same: OnceLock<Vec<u32>>,
}

impl<C: Ranks + Sync> Scorer<C> {
    fn new(source: C) -> Result<Self> {
        source.candidates().check()?;
        let Candidates { factors, rows, bias } = source.candidates();
        if let Some(row) = bias.iter().position(|b| !b.is_finite()) {
            return Err(Error::data(format!("the bias of candidate {row} is not finite")));
        }
        let norms: Vec<f64> = rows.par_chunks_exact(factors).map(norm).collect();
        if let Some(row) = norms.iter().position(|norm| !norm.is_finite()) {
            return Err(Error::data(format!("candidate {row} has a number that is not finite")));
        }
        Ok(Self {
            largest_norm: norms.into_iter().fold(0.0, f64::max),
            largest_bias: bias.iter().fold(0.0, |most, b| f64::max(most, f64::from(b.abs()))),
            keeps_bias: bias.iter().all(|b| *b == 0.0 || b.is_normal()),
            same: OnceLock::new(),
            source,
        })
    }

    fn candidates(&self) -> Candidates<'_> {
        self.source.candidates()
    }

    /// How far a score of each query in f32 may lie from that in f64: 0 where nothing is rounded,
    /// infinite where it may overflow.
    fn bounds(&self, queries: &[f32], excluded: &[&[u32]]) -> Result<Vec<f64>> {
        let k = self.candidates().factors;
        if !queries.len().is_multiple_of(k) {
            let numbers = queries.len();
            return Err(Error::data(format!("{numbers} numbers are no queries of {k} factors")));
        }
        let count = queries.len() / k;
        if !excluded.is_empty() && excluded.len() != count {
            let sets = excluded.len();
            return Err(Error::data(format!("{sets} sets of excluded rows for {count} queries")));
        }
        let norms: Vec<f64> = queries.par_chunks_exact(k).map(norm).collect();
        if let Some(query) = norms.iter().position(|norm| !norm.is_finite()) {
            return Err(Error::data(format!("query {query} has a number that is not finite")));
        }
        let bound = |&norm: &f64| {
            let product = norm * self.largest_norm;
            if product == 0.0 && self.keeps_bias {
                return 0.0;
            }
            let most = self.largest_bias + product;
            if most > f64::from(f32::MAX) / 4.0 {
                return f64::INFINITY;
            }
            let terms = (k + 2) as f64;
            // A device may take numbers below the least normal one for zero.
            let least = f64::from(f32::MIN_POSITIVE) * (1.0 + norm + self.largest_norm);
            terms * (f64::from(f32::EPSILON) * most + least)
        };
        Ok(norms.iter().map(bound).collect())
    }

    /// Scores of these rows, in their order.
    fn rescore(&self, query: &[f32], rows: impl Iterator<Item = u32>) -> Vec<Scored> {
        let mut scored: Vec<Scored> = rows.map(|row| Scored { row, score: 0.0 }).collect();
        for group in scored.chunks_mut(SIDE_BY_SIDE) {
            let mut rows = [&[][..]; SIDE_BY_SIDE];
            for (to, scored) in rows.iter_mut().zip(group.iter()) {
                *to = self.row(scored.row);
            }
            // What is missing to a whole group is scored with its first row, and not used.
            for missing in group.len()..SIDE_BY_SIDE {
                rows[missing] = rows[0];
            }
            for (scored, inner) in group.iter_mut().zip(inner_side_by_side(query, rows)) {
                scored.score = f64::from(self.candidates().bias[scored.row as usize]) + inner;
            }
        }
        scored
    }

    fn row(&self, row: u32) -> &[f32] {
        let Candidates { factors: k, rows, .. } = self.candidates();
        &rows[row as usize * k..][..k]
    }

    /// Better and equal ones beside a relevant row, from what was counted around it.
    fn settle(&self, query: &[f32], relevant: &Scored, counted: &Counted) -> [u64; 2] {
        let rows = counted.rows[..counted.within as usize].iter().copied();
        let others = rows.filter(|&row| row != relevant.row);
        let mut rank = [u64::from(counted.above), 0];
        for other in self.rescore(query, others) {
            rank[0] += u64::from(other.score > relevant.score);
            rank[1] += u64::from(other.score == relevant.score);
        }
        rank
    }

    /// The scores of all candidates that are not excluded.
    fn all(&self, query: &[f32], excluded: &[u32]) -> Vec<f64> {
        self.scores(query, excluded).into_iter().map(|scored| scored.score).collect()
    }

    /// The best `n` by a scan of all candidates.
    fn scan(&self, query: &[f32], excluded: Option<&&[u32]>, n: usize) -> Vec<Scored> {
        best(self.scores(query, excluded.copied().unwrap_or_default()), n)
    }

    fn scores(&self, query: &[f32], excluded: &[u32]) -> Vec<Scored> {
        let same = self.same.get_or_init(|| self.find_same());
        let rows = 0..same.len() as u32;
        let distinct = rows.clone().filter(|&row| same[row as usize] == row);
        let distinct = self.rescore(query, distinct);
        let mut scores = vec![0.0; same.len()];
        for scored in &distinct {
            scores[scored.row as usize] = scored.score;
        }
        let scored = rows.map(|row| Scored { row, score: scores[same[row as usize] as usize] });
        without(scored, excluded).collect()
    }

    fn find_same(&self) -> Vec<u32> {
        let mut first = HashMap::new();
        let bits = |row: u32| {
            let bias = self.candidates().bias[row as usize].to_bits();
            let numbers = self.row(row).iter().map(|x| x.to_bits());
            numbers.chain([bias]).collect::<Vec<u32>>()
        };
        let rows = 0..self.candidates().bias.len() as u32;
        rows.map(|row| *first.entry(bits(row)).or_insert(row)).collect()
    }
}

/// The Euclidean norm, and a little more than its rounding.
fn norm(row: &[f32]) -> f64 {
    let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
    squares.sqrt() * (1.0 + 1e-12)
}
