//! Exact ranking: a device proposes in f32, f64 decides.

use super::order::{Scored, best, better, rank, without};
use crate::backend::{Backend, Candidates, Counted, Interval, Ranked, Ranker, WITHIN, reaches};
use crate::math::product::{SIDE_BY_SIDE, inner_side_by_side};
use crate::memory::{self, size};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Ranks candidates by `bias + query · row` in f64: the lists and ranks are those of a sort of all
/// candidates, and the same on every backend.
///
/// The backend proposes in f32, with an error of at most
/// `ε m (|bias| + ‖query‖ ‖row‖)` after `m` roundings, see Higham (2002, "Accuracy and stability of numerical
/// algorithms", section 3.1): small for the many candidates whose numbers are small. Candidates that
/// this leaves in doubt are scored again in f64, if need be all of them.
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
        let mut scorer = Scorer::new(candidates)?;
        let Candidates { factors, bias, .. } = scorer.candidates();
        let need = backend.ranker_need(bias.len(), factors).host;
        memory::ensure(need, |room| {
            format!(
                "ranking {} rows of {factors} numbers takes {} of memory, and {} are left; take fewer \
                 rows, or a model of fewer factors or samples",
                bias.len(),
                size(need),
                size(room.left.unwrap_or(0))
            )
        })?;
        let ranker = backend.ranker(scorer.candidates())?;
        scorer.roundings = ranker.roundings(scorer.candidates().factors);
        Ok(Self { ranker, scorer })
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
        let asked = Asked { queries, excluded, doubts: self.scorer.doubts(queries, excluded)? };
        let (n, most) = self.lengths(n);
        if n == 0 {
            return Ok(vec![Vec::new(); asked.doubts.len()]);
        }
        let proposed = self.ranker.top(queries, excluded, most)?;
        self.lists(&asked, n, most, proposed)
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
        let asked = Asked { queries, excluded, doubts: self.scorer.doubts(queries, excluded)? };
        let around = self.around(&asked, relevant)?;
        let counted = self.ranker.count(queries, excluded, &around.intervals)?;
        Ok(self.settled(&asked, &around, &counted))
    }

    /// The lists of [`top`](Self::top) and the ranks of [`ranks`](Self::ranks), from scores that the
    /// backend makes once where it can.
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::type_complexity, reason = "lists and ranks, one of each a query")]
    pub fn top_and_ranks(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        n: usize,
        relevant: &[&[u32]],
    ) -> Result<(Vec<Vec<Scored>>, Vec<Vec<[u64; 2]>>)> {
        let asked = Asked { queries, excluded, doubts: self.scorer.doubts(queries, excluded)? };
        let around = self.around(&asked, relevant)?;
        let (n, most) = self.lengths(n);
        if n == 0 {
            let lists = vec![Vec::new(); asked.doubts.len()];
            return Ok((lists, self.ranks(queries, excluded, relevant)?));
        }
        let intervals = &around.intervals;
        let (proposed, counted) = self.ranker.top_and_count(queries, excluded, most, intervals)?;
        let lists = self.lists(&asked, n, most, proposed)?;
        Ok((lists, self.settled(&asked, &around, &counted)))
    }

    /// How long lists are, and how many candidates are asked for.
    fn lengths(&self, n: usize) -> (usize, usize) {
        let n = n.min(self.candidates());
        (n, n + slack(n))
    }

    /// The lists of `n`, from at most `most` candidates that were proposed for each. Where those leave
    /// doubt, more are asked for; where they still do, all are scored in f64.
    fn lists(
        &self,
        asked: &Asked,
        n: usize,
        most: usize,
        proposed: Vec<Vec<Ranked>>,
    ) -> Result<Vec<Vec<Scored>>> {
        let all: Vec<usize> = (0..asked.doubts.len()).collect();
        let mut lists = self.decided(asked, &all, n, most, proposed);
        let unsure = |at: &usize| lists[*at].is_none() && asked.doubts[*at].most.is_finite();
        let unsure: Vec<usize> = all.into_iter().filter(unsure).collect();
        if !unsure.is_empty() && most < self.candidates() {
            let more = MORE * most;
            let (queries, excluded) = asked.some(&unsure, self.scorer.candidates().factors);
            let proposed = self.ranker.top(&queries, &excluded, more)?;
            let found = self.decided(asked, &unsure, n, more, proposed);
            for (at, list) in unsure.into_iter().zip(found) {
                lists[at] = list;
            }
        }
        let k = self.scorer.candidates().factors;
        let queries = asked.queries.par_chunks_exact(k).zip(lists).enumerate();
        let scan = |j: usize, query: &[f32]| self.scorer.scan(query, asked.excluded.get(j), n);
        Ok(queries.map(|(j, (query, list))| list.unwrap_or_else(|| scan(j, query))).collect())
    }

    /// The lists of some of the queries that what was proposed for them decides.
    fn decided(
        &self,
        asked: &Asked,
        some: &[usize],
        n: usize,
        most: usize,
        proposed: Vec<Vec<Ranked>>,
    ) -> Vec<Option<Vec<Scored>>> {
        let k = self.scorer.candidates().factors;
        let decide = |(&at, proposed): (&usize, Vec<Ranked>)| {
            let doubt = asked.doubts[at].most;
            // A query whose scores may overflow in f32 was not ranked at all.
            let complete = proposed.len() < most && doubt.is_finite();
            let lowest = proposed.last().map_or(0.0, |last| f64::from(last.score));
            let query = &asked.queries[at * k..][..k];
            let mut list = self.scorer.rescore(query, proposed.iter().map(|ranked| ranked.row));
            // Without rounding the device's order is the order.
            if doubt > 0.0 {
                list.sort_unstable_by(better);
            }
            list.truncate(n);
            let sure = complete
                || doubt == 0.0
                || list.get(n - 1).is_some_and(|last| last.score > lowest + doubt);
            sure.then_some(list)
        };
        some.par_iter().zip(proposed).map(decide).collect()
    }

    /// The relevant rows with their scores, and where others may lie around these.
    fn around(&self, asked: &Asked, relevant: &[&[u32]]) -> Result<Around> {
        let (scorer, doubts) = (&self.scorer, &asked.doubts);
        let k = scorer.candidates().factors;
        if relevant.len() != doubts.len() {
            let (sets, queries) = (relevant.len(), doubts.len());
            return Err(Error::data(format!("{sets} sets of relevant rows for {queries} queries")));
        }
        let candidates = self.candidates();
        if let Some(row) = relevant.iter().copied().flatten().find(|&&r| r as usize >= candidates) {
            return Err(Error::data(format!("row {row} is none of {candidates} candidates")));
        }
        let scored: Vec<Vec<Scored>> = asked
            .queries
            .par_chunks_exact(k)
            .zip(relevant)
            .map(|(query, relevant)| scorer.rescore(query, relevant.iter().copied()))
            .collect();
        let mut intervals = Vec::with_capacity(relevant.iter().map(|rows| rows.len()).sum());
        let mut starts = Vec::with_capacity(doubts.len() + 1);
        starts.push(0);
        for (query, (scored, doubt)) in scored.iter().zip(doubts).enumerate() {
            if doubt.most.is_finite() {
                let around = |relevant: &Scored| doubt.around(query as u32, relevant.score);
                intervals.extend(scored.iter().map(around));
            }
            starts.push(intervals.len());
        }
        Ok(Around { scored, intervals, starts })
    }

    /// The ranks, from what was counted around the relevant rows; where that names not all that are in
    /// doubt, from the scores of all in f64.
    fn settled(&self, asked: &Asked, around: &Around, counted: &[Counted]) -> Vec<Vec<[u64; 2]>> {
        let scorer = &self.scorer;
        let k = scorer.candidates().factors;
        let queries = asked.queries.par_chunks_exact(k).zip(&around.scored).enumerate();
        let ranks = queries.map(|(j, (query, scored))| {
            let excluded = asked.excluded.get(j).copied().unwrap_or_default();
            let counted = &counted[around.starts[j]..around.starts[j + 1]];
            let mut all = None;
            let rank_of = |(at, relevant): (usize, &Scored)| {
                let itself = excluded.binary_search(&relevant.row).is_err();
                match counted.get(at) {
                    Some(counted) if asked.doubts[j].most == 0.0 => [
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
        ranks.collect()
    }
}

/// How many times as many candidates are asked for where a list was left in doubt.
const MORE: usize = 4;

/// What is asked of a ranker.
struct Asked<'a> {
    /// (queries, factors), row-major.
    queries: &'a [f32],
    /// (queries), or nothing.
    excluded: &'a [&'a [u32]],
    /// (queries): how far their scores in f32 can be trusted.
    doubts: Vec<Doubt>,
}

impl<'a> Asked<'a> {
    /// The rows of some queries, and what is excluded of each.
    fn some(&self, some: &[usize], factors: usize) -> (Vec<f32>, Vec<&'a [u32]>) {
        let rows = some.iter().flat_map(|at| &self.queries[at * factors..][..factors]);
        let excluded = some.iter().filter_map(|&at| self.excluded.get(at).copied());
        (rows.copied().collect(), excluded.collect())
    }
}

/// Relevant rows among the scores of others.
struct Around {
    /// (queries): the relevant rows and their scores.
    scored: Vec<Vec<Scored>>,
    /// One for each of these, query after query; none for queries that may overflow.
    intervals: Vec<Interval>,
    /// (queries + 1): where each query's intervals start.
    starts: Vec<usize>,
}

/// How far the scores of a query in f32 may lie from those in f64: `fixed + slope·reach`, the reach being
/// that of the candidate (see [`Interval`]).
#[derive(Clone, Copy, Debug)]
struct Doubt {
    fixed: f64,
    slope: f64,
    /// Of any candidate: 0 where nothing is rounded, infinite where scores may overflow.
    most: f64,
}

impl Doubt {
    const NONE: Self = Self { fixed: 0.0, slope: 0.0, most: 0.0 };

    /// Where scores in f32 may belong to a score in f64 that is no less than `score`, and no more.
    fn around(&self, query: u32, score: f64) -> Interval {
        if self.most == 0.0 {
            let exact = score as f32;
            return Interval { query, high: exact, low: exact, slope: 0.0 };
        }
        // The ends are rounded themselves, by less than four units of the score and of the slope.
        let rounding = f64::from(f32::EPSILON);
        let fixed = self.fixed + 4.0 * rounding * score.abs();
        Interval {
            query,
            high: round_up(score + fixed),
            low: -round_up(-(score - fixed)),
            slope: round_up(self.slope * (1.0 + 8.0 * rounding)),
        }
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
    /// How many roundings a score of the backend goes through at most.
    roundings: usize,
    largest_norm: f64,
    /// Of the candidates' reaches, the biases in them.
    largest_reach: f64,
    has_bias: bool,
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
            largest_reach: largest(&reaches(&source.candidates())),
            has_bias: bias.iter().any(|&b| b != 0.0),
            keeps_bias: bias.iter().all(|b| *b == 0.0 || b.is_normal()),
            roundings: 0,
            same: OnceLock::new(),
            source,
        })
    }

    fn candidates(&self) -> Candidates<'_> {
        self.source.candidates()
    }

    /// How far the scores of each query in f32 can be trusted.
    fn doubts(&self, queries: &[f32], excluded: &[&[u32]]) -> Result<Vec<Doubt>> {
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
        let doubt = |&norm: &f64| {
            if norm * self.largest_norm == 0.0 && self.keeps_bias {
                return Doubt::NONE;
            }
            // `|bias| + norm ‖row‖` is at most this times the reach.
            let length = if self.has_bias { norm.hypot(1.0) } else { norm };
            // One more for a score in f64, whose own rounding is far less.
            let terms = (self.roundings + 1) as f64;
            // A device may take numbers below the least normal one for zero.
            let least = (k + 2) as f64 * f64::from(f32::MIN_POSITIVE);
            let slope = terms * f64::from(f32::EPSILON) * length + least;
            let fixed = least * (2.0 + norm);
            let overflows = length * self.largest_reach > f64::from(f32::MAX) / 4.0;
            let most = if overflows { f64::INFINITY } else { fixed + slope * self.largest_reach };
            Doubt { fixed, slope, most }
        };
        Ok(norms.iter().map(doubt).collect())
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

/// The largest of the reaches; infinite where 32 bits could not hold it.
fn largest(reaches: &[f32]) -> f64 {
    match reaches.iter().fold(0.0, |most, &x| f32::max(most, x)) {
        f32::MAX => f64::INFINITY,
        most => f64::from(most),
    }
}

/// The Euclidean norm, and a little more than its rounding.
fn norm(row: &[f32]) -> f64 {
    let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
    squares.sqrt() * (1.0 + 1e-12)
}
