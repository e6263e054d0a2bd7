//! Items like an item, users like a user.

use super::{ExactRanker, Scored};
use crate::backend::{Backend, Candidates};
use crate::data::Side;
use crate::model::Model;
use crate::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;

/// How alike two rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Metric {
    /// The cosine of the angle between the factors, −1 to 1. Factors that are all zero have no
    /// direction: their cosine with anything counts as 0.
    #[default]
    Cosine,
    /// The inner product of the factors: popular rows, whose factors are large, come first.
    Inner,
}

/// A row that is like another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Similar {
    /// Its index.
    pub row: u32,
    /// The cosine or the inner product of the two rows' factors, summed in f64.
    pub score: f64,
}

/// Finds rows of one side of a model that are like a row of that side. Biases play no part.
pub struct Neighbours<'a> {
    model: &'a Model,
    side: Side,
    metric: Metric,
    backend: &'a dyn Backend,
    /// (rows, factors): as they are ranked.
    rows: Cow<'a, [f32]>,
    /// (rows): zeros.
    bias: Vec<f32>,
}

/// Bytes of queries and lists that are in memory at once.
const AT_ONCE: usize = 64 << 20;

impl<'a> Neighbours<'a> {
    /// Readies the rows of `side`; for cosines they are brought to length 1 (in f64, then rounded).
    pub fn new(backend: &'a dyn Backend, model: &'a Model, side: Side, metric: Metric) -> Self {
        let f = &model.factors;
        let (factors, count) = match side {
            Side::User => (&f.user_factors, f.users()),
            Side::Item => (&f.item_factors, f.items()),
        };
        let rows = match metric {
            Metric::Inner => Cow::Borrowed(factors.as_slice()),
            Metric::Cosine => {
                let mut unit = factors.clone();
                unit.par_chunks_mut(f.factors.max(1)).for_each(|row| {
                    let norm = inner(row, row).sqrt();
                    if norm > 0.0 {
                        row.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
                    }
                });
                Cow::Owned(unit)
            }
        };
        Neighbours { model, side, metric, backend, rows, bias: vec![0.0; count] }
    }

    /// Hands the `n` rows most like each of `rows` to `each`, in order of `rows`: the most alike
    /// first, equal ones by index, never the row itself. Scores are those of the model's factors
    /// in f64; which rows are listed is decided between cosines of rounded unit rows, whose error
    /// is about 1e-7.
    ///
    /// # Errors
    /// What `each` returns; a row the model does not have; a lost device.
    pub fn each(
        &self,
        rows: impl IntoIterator<Item = u32>,
        n: usize,
        mut each: impl FnMut(u32, &[Similar]) -> Result<()>,
    ) -> Result<()> {
        let k = self.model.factors.factors;
        let count = self.bias.len();
        let candidates = Candidates { factors: k, rows: &self.rows, bias: &self.bias };
        let mut ranker = ExactRanker::new(self.backend, candidates)?;
        let entry = size_of::<Scored>() + size_of::<Similar>();
        let at_once = (AT_ONCE / (4 * k + n.min(count) * entry)).clamp(1, 8192);
        let mut rows = rows.into_iter();
        let mut chunk = Vec::with_capacity(at_once);
        loop {
            chunk.clear();
            chunk.extend(rows.by_ref().take(at_once));
            if chunk.is_empty() {
                return Ok(());
            }
            if let Some(row) = chunk.iter().find(|&&row| row as usize >= count) {
                let side = self.side.name();
                return Err(Error::data(format!("{side} {row} is none of {count}")));
            }
            let mut queries = Vec::with_capacity(chunk.len() * k);
            for &row in &chunk {
                queries.extend_from_slice(&self.rows[row as usize * k..][..k]);
            }
            let excluded: Vec<&[u32]> = chunk.iter().map(std::slice::from_ref).collect();
            let lists = ranker.top(&queries, &excluded, n)?;
            let (model, side, metric) = (self.model, self.side, self.metric);
            let lists: Vec<Vec<Similar>> = lists
                .into_par_iter()
                .zip(&chunk)
                .map(|(list, &row)| rescored(model, side, metric, row, &list))
                .collect();
            for (&row, list) in chunk.iter().zip(&lists) {
                each(row, list)?;
            }
        }
    }
}

/// The list with the scores of the model's own factors.
fn rescored(model: &Model, side: Side, metric: Metric, row: u32, list: &[Scored]) -> Vec<Similar> {
    let factors = |row: u32| match side {
        Side::User => model.factors.user(row),
        Side::Item => model.factors.item(row),
    };
    let own = factors(row);
    let norm = inner(own, own).sqrt();
    let score = |scored: &Scored| {
        let score = match metric {
            Metric::Inner => scored.score,
            Metric::Cosine => {
                let other = factors(scored.row);
                let norms = norm * inner(other, other).sqrt();
                let product = inner(own, other);
                if norms > 0.0 { (product / norms).clamp(-1.0, 1.0) } else { 0.0 }
            }
        };
        Similar { row: scored.row, score }
    };
    let mut list: Vec<Similar> = list.iter().map(score).collect();
    list.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    list
}

/// The inner product, summed in f64 in order of the factors.
fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// The `n` rows of `side` most like each of `rows`, never the row itself. All lists at once:
/// [`Neighbours`] streams them.
///
/// # Errors
/// A row the model does not have; a lost device.
///
/// ```
/// # use wgmf::cpu::Cpu;
/// # use wgmf::data::Side;
/// # use wgmf::model::{Factors, Model};
/// use wgmf::recommend::{Metric, similar};
///
/// # fn main() -> wgmf::Result<()> {
/// let model = Model {
///     factors: Factors {
///         factors: 2,
///         user_factors: vec![],
///         item_factors: vec![1.0, 0.0, 3.0, 3.0, 0.1, 0.0],
///         user_bias: vec![],
///         item_bias: vec![0.0; 3],
///         global_mean: 0.0,
///     },
///     users: Default::default(),
///     items: ["x", "y", "z"].into_iter().collect(),
///     user_ratings: vec![],
///     item_ratings: vec![1, 1, 1],
///     transform: Default::default(),
///     loss: Default::default(),
///     run: Default::default(),
/// };
/// // z points where x does; y is larger, and so has the larger inner product.
/// let lists = similar(&Cpu::new(), &model, Side::Item, &[0], Metric::Cosine, 2)?;
/// assert_eq!((lists[0][0].row, lists[0][0].score), (2, 1.0));
/// let lists = similar(&Cpu::new(), &model, Side::Item, &[0], Metric::Inner, 1)?;
/// assert_eq!((lists[0][0].row, lists[0][0].score), (1, 3.0));
/// # Ok(())
/// # }
/// ```
pub fn similar(
    backend: &dyn Backend,
    model: &Model,
    side: Side,
    rows: &[u32],
    metric: Metric,
    n: usize,
) -> Result<Vec<Vec<Similar>>> {
    let mut lists = Vec::with_capacity(rows.len());
    Neighbours::new(backend, model, side, metric).each(rows.iter().copied(), n, |_, list| {
        lists.push(list.to_vec());
        Ok(())
    })?;
    Ok(lists)
}
