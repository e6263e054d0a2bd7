//! Ranking.

use crate::{Error, Result};

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

/// Where scores of one query are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// The query.
    pub query: u32,
    /// Scores above `high` count as above.
    pub high: f32,
    /// Scores from `low` to `high` count as within.
    pub low: f32,
}

/// Rows of an interval that are named at most.
pub const WITHIN: usize = 16;

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
}
