//! Ranking.

use crate::{Error, Result};
use rayon::prelude::*;

/// Items (or users) that are ranked: `bias + query · row`.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// Number of factors `k`.
    pub factors: usize,
    /// (rows, factors), row-major.
    pub rows: &'a [f32],
    /// (rows).
    pub bias: &'a [f32],
}

impl Candidates<'_> {
    /// What [`Backend::ranker`](super::Backend::ranker) refuses on any device.
    pub(crate) fn check(&self) -> Result<()> {
        let (factors, numbers, rows) = (self.factors, self.rows.len(), self.bias.len());
        match factors > 0 && rows.checked_mul(factors) == Some(numbers) {
            true => Ok(()),
            false => {
                Err(Error::data(format!("{numbers} numbers are not {rows} rows of {factors}")))
            }
        }
    }
}

/// A candidate in a list: its row, and its score in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranked {
    /// The candidate's row.
    pub row: u32,
    /// `bias + query · row`, summed in f32 in the device's order.
    pub score: f32,
}

/// Where scores of one query are counted: an interval that is wider for candidates of larger numbers,
/// whose scores are less exact.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// The query.
    pub query: u32,
    /// Scores above `high + slope·reach` count as above, in f32.
    pub high: f32,
    /// Others from `low − slope·reach` on count as within.
    pub low: f32,
    /// By what a candidate's reach widens it at either end; 0 or above.
    pub slope: f32,
}

/// (rows): the reach of each candidate, `√(bias² + ‖row‖²)`, rounded up and finite.
pub(crate) fn reaches(candidates: &Candidates) -> Vec<f32> {
    let rows = candidates.rows.par_chunks_exact(candidates.factors).zip(candidates.bias);
    let reach = |(row, &bias): (&[f32], &f32)| {
        let squares: f64 = row.iter().chain([&bias]).map(|&x| f64::from(x).powi(2)).sum();
        // More than the roundings of the sum, of the root and of 32 bits.
        ((squares.sqrt() * (1.0 + 1e-6)) as f32).next_up().min(f32::MAX)
    };
    rows.map(reach).collect()
}

/// Rows of an interval that are named at most.
pub const WITHIN: usize = 32;

/// What an [`Interval`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Scores above it.
    pub above: u32,
    /// Scores within it.
    pub within: u32,
    /// The rows of those within, ascending, where there are at most [`WITHIN`]; else some of them.
    pub rows: [u32; WITHIN],
}

/// Ranks all candidates for queries, tile by tile: never a queries × candidates matrix. Several
/// threads may ask at once.
pub trait Ranker: Send + Sync {
    /// The `n` best candidates of each query, best first, equal scores by lower row; fewer where
    /// there are not so many. `queries`: (queries, factors); `excluded[j]`: ascending rows that are
    /// left out for query `j`; nothing is where `excluded` is empty. All scores are finite.
    ///
    /// # Errors
    /// If the device is lost.
    ///
    /// # Panics
    /// Where queries are no whole rows, or excluded rows are none of the candidates';
    /// [`ExactRanker`](crate::recommend::ExactRanker) checks them.
    fn top(&self, queries: &[f32], excluded: &[&[u32]], n: usize) -> Result<Vec<Vec<Ranked>>>;

    /// For each interval, how many of its query's candidates score above it and within it, and which
    /// those within are; the query's excluded ones do not count. All scores are finite.
    ///
    /// # Errors
    /// If the device is lost.
    ///
    /// # Panics
    /// As [`top`](Self::top); where an interval is of no query.
    fn count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        intervals: &[Interval],
    ) -> Result<Vec<Counted>>;

    /// How many roundings a score of rows of `factors` numbers goes through at most: what bounds its error.
    /// Whoever sums in the order of the factors, or leaves the order to a compiler, has as many as terms.
    fn roundings(&self, factors: usize) -> usize {
        factors + 2
    }

    /// The lists of [`top`](Self::top) and the counts of [`count`](Self::count), of the same queries.
    /// What can use each score for both has its own.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    fn top_and_count(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        n: usize,
        intervals: &[Interval],
    ) -> Result<(Vec<Vec<Ranked>>, Vec<Counted>)> {
        Ok((self.top(queries, excluded, n)?, self.count(queries, excluded, intervals)?))
    }
}
