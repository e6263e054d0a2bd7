//! Items like an item, users like a user.

use super::exact::Ranks;
use super::{ExactRanker, Scored};
use crate::backend::{Backend, Candidates};
use crate::core::{Factors, Held, Side};
use crate::math::product::inner;
use crate::memory::{self, size};
use crate::model::Model;
use crate::predict::Predictive;
use crate::{Error, Result};
use rayon::prelude::*;
use std::fmt;

/// How alike two rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
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
///
/// The rows lie on the device for as long as it lives, and several threads may ask at once; of a model
/// that is shared or its own (see [`Held`]) it is a `Neighbours<'static>`.
pub struct Neighbours<'a> {
    ranker: ExactRanker<Compared<'a>>,
}

impl fmt::Debug for Neighbours<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.ranker.source().source;
        f.debug_struct("Neighbours")
            .field("side", &source.side)
            .field("metric", &source.metric)
            .finish_non_exhaustive()
    }
}

/// The rows of a side, as they are ranked.
struct Compared<'a> {
    source: Source<'a>,
    /// The row of each candidate, ascending; nothing where all rows are candidates.
    kept: Option<Vec<u32>>,
    /// (candidates, columns); nothing where they are the model's own.
    stacked: Option<Vec<f32>>,
    columns: usize,
    /// (candidates): zeros.
    bias: Vec<f32>,
}

impl Ranks for Compared<'_> {
    fn candidates(&self) -> Candidates<'_> {
        let rows = match &self.stacked {
            Some(rows) => rows,
            None => &self.source.set(0)[self.source.side].factors,
        };
        Candidates { factors: self.columns, rows, bias: &self.bias }
    }
}

/// Whose rows are compared, and how.
struct Source<'a> {
    /// The model's, or each sample's in turn.
    sets: Sets<'a>,
    side: Side,
    metric: Metric,
}

enum Sets<'a> {
    Model(Held<'a, Model>),
    Samples(Held<'a, Predictive<'a>>),
}

/// Bytes of queries and lists that are in memory at once.
const AT_ONCE: usize = 64 << 20;

impl<'a> Neighbours<'a> {
    /// Uploads the rows of `side`; for cosines they are brought to length 1 (in f64, then rounded).
    ///
    /// # Errors
    /// As [`Model::check`]; numbers that are not finite; rows that do not fit the device.
    pub fn new(
        backend: &dyn Backend,
        model: impl Into<Held<'a, Model>>,
        side: Side,
        metric: Metric,
    ) -> Result<Self> {
        Self::among(backend, model, side, metric, |_| true)
    }

    /// The same, of which only rows that `keep` accepts are listed.
    ///
    /// # Errors
    /// As there; `keep` accepts none.
    pub fn among(
        backend: &dyn Backend,
        model: impl Into<Held<'a, Model>>,
        side: Side,
        metric: Metric,
        keep: impl FnMut(u32) -> bool,
    ) -> Result<Self> {
        let model = model.into();
        model.check()?;
        Self::of(backend, Source { sets: Sets::Model(model), side, metric }, keep)
    }

    /// As [`new`](Self::new), by the mean inner product over the samples of a Bayesian model: the
    /// cosine is that mean over the root of both rows' mean squared lengths, so that rows of which
    /// little is known are like nothing.
    ///
    /// Factors of different samples may be turned against each other; inner products within a sample
    /// know nothing of it.
    ///
    /// # Errors
    /// As there.
    pub fn by_samples(
        backend: &dyn Backend,
        predictive: impl Into<Held<'a, Predictive<'a>>>,
        side: Side,
        metric: Metric,
    ) -> Result<Self> {
        Self::by_samples_among(backend, predictive, side, metric, |_| true)
    }

    /// The same, of which only rows that `keep` accepts are listed.
    ///
    /// # Errors
    /// As there; `keep` accepts none.
    pub fn by_samples_among(
        backend: &dyn Backend,
        predictive: impl Into<Held<'a, Predictive<'a>>>,
        side: Side,
        metric: Metric,
        keep: impl FnMut(u32) -> bool,
    ) -> Result<Self> {
        let sets = Sets::Samples(predictive.into());
        Self::of(backend, Source { sets, side, metric }, keep)
    }

    fn of(
        backend: &dyn Backend,
        source: Source<'a>,
        mut keep: impl FnMut(u32) -> bool,
    ) -> Result<Self> {
        let first = source.set(0);
        let all = first[source.side].rows();
        if first.factors == 0 {
            return Err(Error::data(
                "the model has biases alone (`factors` 0), which say nothing of who is like whom; \
                 train with `factors` 1 or more",
            ));
        }
        let columns = first.factors * source.sets();
        let kept: Vec<u32> = (0..all as u32).filter(|&row| keep(row)).collect();
        let count = kept.len();
        if count == 0 && all > 0 {
            return Err(Error::data(format!("there is no {} to compare", source.side.name())));
        }
        // Here, and as the device has them.
        let need = 8 * count as u64 * columns as u64;
        memory::ensure(need, |room| {
            format!(
                "{count} rows of {columns} numbers take {} of memory to be compared, and {} are left; take \
                 fewer (`only`), or a model of fewer samples (`keep`)",
                size(need),
                size(room.left.unwrap_or(0))
            )
        })?;
        let stacked = match (&source.sets, source.metric) {
            (Sets::Model(_), Metric::Inner) if count == all => None,
            _ => Some(source.stacked(&kept, columns)),
        };
        let kept = Some(kept).filter(|_| count < all);
        let rows = Compared { source, kept, stacked, columns, bias: vec![0.0; count] };
        Ok(Neighbours { ranker: ExactRanker::new(backend, rows)? })
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
        let Compared { source, kept, .. } = self.ranker.source();
        let Candidates { factors: k, rows: compared, bias } = self.ranker.source().candidates();
        let count = source.set(0)[source.side].rows();
        let entry = size_of::<Scored>() + size_of::<Similar>();
        let at_once = (AT_ONCE / (4 * k + n.min(bias.len()) * entry)).clamp(1, 8192);
        let mut rows = rows.into_iter();
        let mut chunk = Vec::with_capacity(at_once);
        loop {
            chunk.clear();
            chunk.extend(rows.by_ref().take(at_once));
            if chunk.is_empty() {
                return Ok(());
            }
            if let Some(row) = chunk.iter().find(|&&row| row as usize >= count) {
                let side = source.side.name();
                return Err(Error::data(format!("{side} {row} is none of {count}")));
            }
            // As candidates the rows are what they are as queries.
            let queries = match kept {
                Some(_) => source.stacked(&chunk, k),
                None => {
                    let row = |&row: &u32| &compared[row as usize * k..][..k];
                    chunk.iter().flat_map(row).copied().collect()
                }
            };
            let own: Vec<Option<u32>> = chunk
                .iter()
                .map(|row| match kept {
                    Some(kept) => kept.binary_search(row).ok().map(|at| at as u32),
                    None => Some(*row),
                })
                .collect();
            let excluded: Vec<&[u32]> = own.iter().map(Option::as_slice).collect();
            let mut lists = self.ranker.top(&queries, &excluded, n)?;
            if let Some(kept) = kept {
                let listed = lists.iter_mut().flatten();
                listed.for_each(|scored| scored.row = kept[scored.row as usize]);
            }
            let lists: Vec<Vec<Similar>> = lists
                .into_par_iter()
                .zip(&chunk)
                .map(|(list, &row)| source.rescored(row, &list))
                .collect();
            for (&row, list) in chunk.iter().zip(&lists) {
                each(row, list)?;
            }
        }
    }
}

impl Source<'_> {
    fn sets(&self) -> usize {
        match &self.sets {
            Sets::Model(_) => 1,
            Sets::Samples(predictive) => predictive.samples().samples.len(),
        }
    }

    fn set(&self, set: usize) -> &Factors {
        match &self.sets {
            Sets::Model(model) => &model.factors,
            Sets::Samples(predictive) => &predictive.samples().samples[set].factors,
        }
    }

    /// A row's factors in a set.
    fn row(&self, set: usize, row: u32) -> &[f32] {
        self.set(set).row(self.side, row)
    }

    /// The sum over the sets of the inner products of two rows.
    fn product(&self, a: u32, b: u32) -> f64 {
        (0..self.sets()).map(|set| inner(self.row(set, a), self.row(set, b))).sum()
    }

    /// Each of `rows` with its factors of all sets one after another: (rows, columns). For cosines they are
    /// of length 1.
    fn stacked(&self, rows: &[u32], columns: usize) -> Vec<f32> {
        let mut stacked = vec![0.0; rows.len() * columns];
        let k = (columns / self.sets()).max(1);
        stacked.par_chunks_mut(columns.max(1)).zip(rows).for_each(|(to, &row)| {
            for (set, to) in to.chunks_exact_mut(k).enumerate() {
                to.copy_from_slice(self.row(set, row));
            }
            let norm = self.product(row, row).sqrt();
            if self.metric == Metric::Cosine && norm > 0.0 {
                to.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
            }
        });
        stacked
    }

    /// The list with the scores of the factors as they are.
    fn rescored(&self, row: u32, list: &[Scored]) -> Vec<Similar> {
        let norm = self.product(row, row).sqrt();
        let score = |scored: &Scored| {
            let score = match self.metric {
                Metric::Inner => scored.score / self.sets() as f64,
                Metric::Cosine => {
                    let norms = norm * self.product(scored.row, scored.row).sqrt();
                    let product = self.product(row, scored.row);
                    if norms > 0.0 { (product / norms).clamp(-1.0, 1.0) } else { 0.0 }
                }
            };
            Similar { row: scored.row, score }
        };
        let mut list: Vec<Similar> = list.iter().map(score).collect();
        list.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        list
    }
}

/// The `n` rows of `side` most like each of `rows`, never the row itself. All lists at once:
/// [`Neighbours`] streams them.
///
/// # Errors
/// A row the model does not have; a lost device.
///
/// ```
/// # use wgmf::cpu::Cpu;
/// # use wgmf::core::{Factors, Objective, Side, SideFactors, Solver};
/// # use wgmf::model::Model;
/// use wgmf::recommend::{Metric, similar};
///
/// # fn main() -> wgmf::Result<()> {
/// let model = Model {
///     typical: Default::default(),
///     factors: Factors {
///         factors: 2,
///         sides: [
///             SideFactors::default(),
///             SideFactors { factors: vec![1.0, 0.0, 3.0, 3.0, 0.1, 0.0], bias: vec![0.0; 3] },
///         ],
///         global_mean: 0.0,
///     },
///     users: Default::default(),
///     items: ["x", "y", "z"].into_iter().collect(),
///     user_ratings: vec![],
///     item_ratings: vec![1, 1, 1],
///     objective: Objective::new(Solver::Als),
///     facts: Default::default(),
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
    Neighbours::new(backend, model, side, metric)?.each(rows.iter().copied(), n, |_, list| {
        lists.push(list.to_vec());
        Ok(())
    })?;
    Ok(lists)
}
