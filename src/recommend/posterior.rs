//! What samples of the posterior make of the items of a user.

use super::Catalogue;
use super::order::{Scored, best, rank, without};
use crate::core::Held;
use crate::cpu::{Cpu, LANES, SampleProblem};
use crate::math::random::{Purpose, Stream};
use crate::model::Model;
use crate::predict::Predictive;
use crate::{Error, Result};
use rayon::prelude::*;

/// By what of the posterior of its expected rating an item is ranked; the noise of ratings plays no
/// part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Criterion {
    /// The mean over the samples.
    #[default]
    Mean,
    /// A quantile of the samples, in (0, 1), interpolated between them (Hyndman and Fan 1996, type 7).
    /// A low one lists sure bets. A high one explores, as an upper confidence bound does (Kaufmann,
    /// Cappé and Garivier 2012, "On Bayesian upper confidence bounds for bandit problems").
    Quantile(f64),
    /// One sample for each user, drawn by seed and user: exploration by chance, in proportion to
    /// what is likely to be best (Thompson 1933; Chapelle and Li 2011, "An empirical evaluation of
    /// Thompson sampling").
    Thompson {
        /// Another seed draws other samples.
        seed: u64,
    },
}

impl Criterion {
    /// Whether a quantile is one.
    ///
    /// # Errors
    /// One outside of (0, 1).
    pub fn check(self) -> Result<()> {
        match self {
            Criterion::Quantile(p) if !(p > 0.0 && p < 1.0) => {
                let message =
                    format!("{p} is no quantile: it must lie between 0 and 1, as 0.1 does");
                Err(Error::settings(message))
            }
            _ => Ok(()),
        }
    }

    /// The sample by which a user's items are ranked, where it is one.
    fn sample_of(self, user: u32, samples: usize) -> Option<usize> {
        match self {
            Criterion::Thompson { seed } => {
                let word = Stream::new(seed, 0, 0, Purpose::Thompson).word(user, 0);
                Some(((u64::from(word) * samples as u64) >> 32) as usize)
            }
            _ => None,
        }
    }
}

/// Scores that a criterion makes of every sample's.
pub(crate) struct SampleScores<'m> {
    predictive: Held<'m, Predictive<'m>>,
    criterion: Criterion,
    /// (levels): their values in the unit of the ratings; empty where ratings are no levels.
    levels: Vec<f64>,
}

/// Bytes of scores that are in memory at once.
const AT_ONCE: usize = 64 << 20;

impl<'m> SampleScores<'m> {
    pub(super) fn new(predictive: Held<'m, Predictive<'m>>, criterion: Criterion) -> Self {
        Self { levels: predictive.level_values(), predictive, criterion }
    }

    /// The model.
    pub(super) fn model(&self) -> &Model {
        self.predictive.model()
    }

    /// A score in the unit of the ratings.
    pub(super) fn prediction(&self, score: f64) -> f64 {
        match self.levels.is_empty() {
            true => self.predictive.model().objective.transform.invert(score),
            false => score,
        }
    }

    /// The `n` best candidates of each user.
    pub(super) fn top(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        excluded: &[&[u32]],
        n: usize,
    ) -> Vec<Vec<Scored>> {
        self.each_user(catalogue, users, |at, scored| {
            best(without(scored, excluded.get(at).copied().unwrap_or_default()).collect(), n)
        })
    }

    /// The same, and better and equal candidates of each relevant one, which may itself be excluded.
    pub(super) fn top_and_ranks(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        excluded: &[&[u32]],
        n: usize,
        relevant: &[&[u32]],
    ) -> (Vec<Vec<Scored>>, Vec<Vec<[u64; 2]>>) {
        let made = self.each_user(catalogue, users, |at, scored| {
            let excluded = excluded.get(at).copied().unwrap_or_default();
            let open: Vec<Scored> = without(scored.iter().copied(), excluded).collect();
            let mut others: Vec<f64> = open.iter().map(|s| s.score).collect();
            others.sort_unstable_by(f64::total_cmp);
            let rank = |&row: &u32| {
                let itself = excluded.binary_search(&row).is_err();
                rank(&others, scored[row as usize].score, itself)
            };
            let ranks: Vec<[u64; 2]> = relevant[at].iter().map(rank).collect();
            (best(open, n), ranks)
        });
        made.into_iter().unzip()
    }

    /// What `f` makes of each user's scores of all candidates.
    fn each_user<T: Send>(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        f: impl Fn(usize, Vec<Scored>) -> T + Sync,
    ) -> Vec<T> {
        let at_once = (AT_ONCE / (size_of::<f64>() * catalogue.len()).max(1)).max(1);
        let mut made = Vec::with_capacity(users.len());
        for (chunk, users) in users.chunks(at_once).enumerate() {
            let stripes = self.stripes(catalogue, users);
            let of_user = |place: usize| {
                let scores = stripes.iter().flat_map(|stripe| stripe[place]);
                let scored = scores.zip(0..catalogue.len() as u32);
                let scored = scored.map(|(score, row)| Scored { row, score });
                f(chunk * at_once + place, scored.collect())
            };
            made.extend((0..users.len()).into_par_iter().map(of_user).collect::<Vec<T>>());
        }
        made
    }

    /// The scores of all candidates, a stripe of [`LANES`] after the other: (users) each.
    fn stripes(&self, catalogue: &Catalogue, users: &[u32]) -> Vec<Vec<[f64; LANES]>> {
        let samples = &self.predictive.samples().samples;
        let drawn = |&user: &u32| self.criterion.sample_of(user, samples.len());
        let items: Vec<u32> = (0..catalogue.len() as u32).map(|row| catalogue.item(row)).collect();
        Cpu::new().sample_scores(&SampleProblem {
            samples,
            range: self.predictive.range(),
            levels: &self.levels,
            quantile: match self.criterion {
                Criterion::Quantile(p) => Some(p),
                Criterion::Mean | Criterion::Thompson { .. } => None,
            },
            users,
            drawn: users.iter().map(drawn).collect(),
            items: &items,
        })
    }
}
