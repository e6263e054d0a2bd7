//! The items that may be recommended, and by what they are scored.

use super::exact::Ranks;
use super::posterior::{Criterion, SampleScores};
use super::{ExactRanker, FoldedIn, Scored};
use crate::backend::{Backend, Candidates};
use crate::core::{Factors, Held, Side};
use crate::memory::{self, size};
use crate::model::{Model, Samples};
use crate::predict::Predictive;
use crate::{Error, Result};
use std::borrow::Cow;
use std::fmt;

/// All items of a model, or a part of them, as they are ranked: ascending, so that equal scores go
/// by item index.
pub struct Catalogue<'m> {
    /// The item of each candidate; nothing where all items are candidates.
    items: Option<Vec<u32>>,
    len: usize,
    scoring: Scoring<'m>,
}

/// What a candidate's score is.
enum Scoring<'m> {
    /// `c_i + p_u·q_i`, to which `μ + b_u` is added.
    Factors {
        model: Held<'m, Model>,
        /// Rows and biases, where not all items are candidates, or the model has no factors.
        some: Option<(Vec<f32>, Vec<f32>)>,
    },
    /// `Σ_s c_i + p_u·q_i`, whose mean `Σ_s μ + b_u` completes: a product of rows that are as long as
    /// all samples' together.
    Stacked { predictive: Held<'m, Predictive<'m>>, rows: Vec<f32>, bias: Vec<f32> },
    /// Whatever a criterion makes of the samples' scores.
    Sampled(SampleScores<'m>),
}

impl fmt::Debug for Catalogue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scoring = match &self.scoring {
            Scoring::Factors { .. } => "factors",
            Scoring::Stacked { .. } | Scoring::Sampled(_) => "samples",
        };
        f.debug_struct("Catalogue")
            .field("len", &self.len)
            .field("scored_by", &scoring)
            .finish_non_exhaustive()
    }
}

impl<'m> Catalogue<'m> {
    /// Every item, by the model's factors.
    pub fn all(model: impl Into<Held<'m, Model>>) -> Self {
        Self::filtered(model, |_| true)
    }

    /// The items that `keep` accepts, by the model's factors. A model whose parts do not fit each other
    /// ([`Model::check`]) is refused by what ranks the catalogue.
    pub fn filtered(model: impl Into<Held<'m, Model>>, keep: impl FnMut(u32) -> bool) -> Self {
        let model = model.into();
        let f = &model.factors;
        let (items, len) = kept(f.items(), keep);
        let fits = model.check().is_ok();
        let whole = items.as_ref().filter(|_| fits);
        let mut some = whole.map(|items| {
            let rows = items.iter().flat_map(|&item| f.item(item)).copied();
            let bias = items.iter().map(|&item| f[Side::Item].bias[item as usize]);
            (rows.collect(), bias.collect::<Vec<f32>>())
        });
        if fits && f.factors == 0 {
            // Backends know no rows of nothing: a column of zeros stands beside the biases.
            let bias = some.map_or_else(|| f[Side::Item].bias.clone(), |(_, bias)| bias);
            some = Some((vec![0.0; bias.len()], bias));
        }
        Catalogue { items, len, scoring: Scoring::Factors { model, some } }
    }

    /// The items that `keep` accepts, by what the samples of a Bayesian model say of them.
    ///
    /// # Errors
    /// As [`Criterion::check`].
    pub fn by_samples(
        predictive: impl Into<Held<'m, Predictive<'m>>>,
        criterion: Criterion,
        keep: impl FnMut(u32) -> bool,
    ) -> Result<Self> {
        criterion.check()?;
        let predictive = predictive.into();
        let (model, samples) = (predictive.model(), predictive.samples());
        let (items, len) = kept(model.factors.items(), keep);
        // Only the mean of what is not bounded and not a level is that of products.
        let linear = predictive.range().is_none() && samples.levels.is_empty();
        let scoring = match linear && criterion == Criterion::Mean {
            true => {
                let width = width(samples);
                // Here, and as the device has them.
                let need = 8 * len as u64 * width as u64;
                memory::ensure(need, |room| {
                    format!(
                        "{len} items under {} samples take {} of memory to be ranked, and {} are left; \
                         take fewer items (`only`), or a model of fewer samples (`keep`)",
                        samples.samples.len(),
                        size(need),
                        size(room.left.unwrap_or(0))
                    )
                })?;
                let mut rows = memory::with_room(len * width, "items under samples")?;
                for candidate in 0..len as u32 {
                    let item = items.as_ref().map_or(candidate, |items| items[candidate as usize]);
                    let bias = |f: &Factors| f[Side::Item].bias[item as usize];
                    stack(samples, &mut rows, |f| f.item(item), bias);
                }
                Scoring::Stacked { predictive, rows, bias: vec![0.0; len] }
            }
            false => Scoring::Sampled(SampleScores::new(predictive, criterion)),
        };
        Ok(Catalogue { items, len, scoring })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        match &self.scoring {
            Scoring::Factors { model, .. } => model,
            Scoring::Stacked { predictive, .. } => predictive.model(),
            Scoring::Sampled(scores) => scores.model(),
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a backend ranks the items; else, where scores are made of all samples', the processor
    /// does.
    pub fn is_ranked_by_backend(&self) -> bool {
        !matches!(self.scoring, Scoring::Sampled(_))
    }

    /// The item of a candidate.
    pub(crate) fn item(&self, row: u32) -> u32 {
        self.items.as_ref().map_or(row, |items| items[row as usize])
    }

    /// The candidates among ascending `items`, ascending.
    pub(crate) fn rows_of<'s>(&self, items: &'s [u32]) -> Cow<'s, [u32]> {
        match &self.items {
            None => Cow::Borrowed(items),
            Some(all) => {
                let row = |item: &u32| all.binary_search(item).ok().map(|row| row as u32);
                Cow::Owned(items.iter().filter_map(row).collect())
            }
        }
    }

    /// Bytes that ranking for one user takes, beside his list.
    pub(super) fn bytes_a_user(&self) -> usize {
        match &self.scoring {
            Scoring::Factors { model, .. } => 4 * model.factors.factors,
            Scoring::Stacked { predictive, .. } => 4 * width(predictive.samples()),
            // Scores are bounded where they are made.
            Scoring::Sampled(_) => 0,
        }
    }

    fn sampled(&self) -> Result<&SampleScores<'m>> {
        match &self.scoring {
            Scoring::Sampled(scores) => Ok(scores),
            _ => Err(Error::data("scores that are products are no scores of samples")),
        }
    }

    /// What stands on the users' side of the products: (users, columns).
    fn queries(&self, users: &[u32]) -> Vec<f32> {
        match &self.scoring {
            Scoring::Factors { model, .. } if model.factors.factors == 0 => vec![0.0; users.len()],
            Scoring::Factors { model, .. } => {
                users.iter().flat_map(|&user| model.factors.user(user)).copied().collect()
            }
            Scoring::Stacked { predictive, .. } => {
                let samples = predictive.samples();
                let mut queries = Vec::with_capacity(users.len() * width(samples));
                for &user in users {
                    stack(samples, &mut queries, |f| f.user(user), |_| 1.0);
                }
                queries
            }
            Scoring::Sampled(_) => Vec::new(),
        }
    }

    /// The prediction that a user's score of a candidate stands for, in the unit of the model.
    pub(super) fn prediction(&self, user: u32, score: f64) -> f64 {
        let own =
            |f: &Factors| f64::from(f.global_mean) + f64::from(f[Side::User].bias[user as usize]);
        match &self.scoring {
            Scoring::Factors { model, .. } => model.in_unit(own(&model.factors) + score),
            Scoring::Stacked { predictive, .. } => {
                let (model, samples) = (predictive.model(), predictive.samples());
                let own: f64 = samples.samples.iter().map(|sample| own(&sample.factors)).sum();
                model.in_unit((own + score) / samples.samples.len() as f64)
            }
            Scoring::Sampled(scores) => scores.prediction(score),
        }
    }
}

/// The same of users whose rows were folded in.
impl Catalogue<'_> {
    /// What stands on the side of these users in the products: (users, columns).
    ///
    /// # Errors
    /// Draws for other samples; scores that are no products.
    pub(super) fn folded_queries(&self, folded: &FoldedIn, users: &[usize]) -> Result<Vec<f32>> {
        match &self.scoring {
            Scoring::Factors { model, .. } if model.factors.factors == 0 => {
                Ok(vec![0.0; users.len()])
            }
            Scoring::Factors { model, .. } => {
                let k = model.factors.factors;
                let rows = users.iter().flat_map(|user| &folded.factors[user * k..(user + 1) * k]);
                Ok(rows.copied().collect())
            }
            Scoring::Stacked { predictive, .. } => {
                let samples = &predictive.samples().samples;
                if folded.draws.len() != samples.len() {
                    return Err(Error::data(
                        "the folded rows were not drawn for the samples of this model",
                    ));
                }
                let mut queries = Vec::with_capacity(users.len() * width(predictive.samples()));
                for user in users {
                    for (sample, drawn) in samples.iter().zip(&folded.draws) {
                        let k = sample.factors.factors;
                        queries.extend_from_slice(&drawn.factors[user * k..(user + 1) * k]);
                        queries.push(1.0);
                    }
                }
                Ok(queries)
            }
            Scoring::Sampled(_) => Err(Error::data(
                "scores that are made of every sample's need the folded rows in the model",
            )),
        }
    }

    /// The prediction that the score of a candidate for such a user stands for, in the unit of the model.
    pub(super) fn folded_prediction(&self, folded: &FoldedIn, user: usize, score: f64) -> f64 {
        let own = |f: &Factors, bias: &[f32]| f64::from(f.global_mean) + f64::from(bias[user]);
        match &self.scoring {
            Scoring::Factors { model, .. } => {
                model.in_unit(own(&model.factors, &folded.bias) + score)
            }
            Scoring::Stacked { predictive, .. } => {
                let (model, samples) = (predictive.model(), &predictive.samples().samples);
                let pairs = samples.iter().zip(&folded.draws);
                let own: f64 = pairs.map(|(sample, drawn)| own(&sample.factors, &drawn.bias)).sum();
                model.in_unit((own + score) / samples.len() as f64)
            }
            Scoring::Sampled(scores) => scores.prediction(score),
        }
    }
}

/// Ascending items, where not all are kept, and how many are.
fn kept(items: usize, mut keep: impl FnMut(u32) -> bool) -> (Option<Vec<u32>>, usize) {
    let kept: Vec<u32> = (0..items as u32).filter(|&item| keep(item)).collect();
    let len = kept.len();
    (Some(kept).filter(|_| len < items), len)
}

/// Columns of a stacked row.
fn width(samples: &Samples) -> usize {
    samples.samples.iter().map(|sample| sample.factors.factors + 1).sum()
}

/// Appends the stacked row: each sample's factors, and what stands beside them.
fn stack<'s>(
    samples: &'s Samples,
    to: &mut Vec<f32>,
    factors: impl Fn(&'s Factors) -> &'s [f32],
    beside: impl Fn(&Factors) -> f32,
) {
    for sample in &samples.samples {
        to.extend_from_slice(factors(&sample.factors));
        to.push(beside(&sample.factors));
    }
}

/// Ranks a catalogue for users of the model, exactly, however it is scored.
pub(crate) enum CatalogueRanker<'a> {
    /// Scores are products of rows.
    Products(ExactRanker<Held<'a, Catalogue<'a>>>),
    /// Scores are made of those of samples.
    Sampled(Held<'a, Catalogue<'a>>),
}

/// The rows of a catalogue that a backend ranks; of one that is scored by samples none.
impl Ranks for Held<'_, Catalogue<'_>> {
    fn candidates(&self) -> Candidates<'_> {
        match &self.scoring {
            Scoring::Factors { model, some } => {
                let (rows, bias) = match some {
                    Some((rows, bias)) => (&rows[..], &bias[..]),
                    None => model.factors.side(Side::Item),
                };
                Candidates { factors: model.factors.factors.max(1), rows, bias }
            }
            Scoring::Stacked { predictive, rows, bias } => {
                Candidates { factors: width(predictive.samples()), rows, bias }
            }
            Scoring::Sampled(_) => Candidates { factors: 1, rows: &[], bias: &[] },
        }
    }
}

impl<'a> CatalogueRanker<'a> {
    /// Uploads the candidates to a backend, if one ranks them.
    ///
    /// # Errors
    /// As [`Model::check`]; numbers that are not finite, candidates that do not fit the device.
    pub(crate) fn new(backend: &dyn Backend, catalogue: Held<'a, Catalogue<'a>>) -> Result<Self> {
        catalogue.model().check()?;
        match catalogue.is_ranked_by_backend() {
            true => Ok(Self::Products(ExactRanker::new(backend, catalogue)?)),
            false => Ok(Self::Sampled(catalogue)),
        }
    }

    /// What is ranked.
    pub(crate) fn catalogue(&self) -> &Catalogue<'a> {
        match self {
            Self::Products(ranker) => ranker.source(),
            Self::Sampled(catalogue) => catalogue,
        }
    }

    /// The `n` best candidates of each user, as [`ExactRanker::top`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn top(
        &self,
        users: &[u32],
        excluded: &[&[u32]],
        n: usize,
    ) -> Result<Vec<Vec<Scored>>> {
        match self {
            Self::Products(ranker) => ranker.top(&ranker.source().queries(users), excluded, n),
            Self::Sampled(catalogue) => Ok(catalogue.sampled()?.top(catalogue, users, excluded, n)),
        }
    }

    /// As [`top`](Self::top), for users whose factors are not the model's: (users, factors).
    ///
    /// # Errors
    /// As there; scores that are no products.
    pub(crate) fn top_of(
        &self,
        queries: &[f32],
        excluded: &[&[u32]],
        n: usize,
    ) -> Result<Vec<Vec<Scored>>> {
        match self {
            Self::Products(ranker) => ranker.top(queries, excluded, n),
            Self::Sampled(_) => Err(Error::data("scores of samples are not explained")),
        }
    }

    /// The lists of [`top`](Self::top), and better and equal candidates of each relevant one, as
    /// [`ExactRanker::ranks`].
    ///
    /// # Errors
    /// As there.
    #[expect(clippy::type_complexity, reason = "lists and ranks, one of each a user")]
    pub(crate) fn top_and_ranks(
        &self,
        users: &[u32],
        excluded: &[&[u32]],
        n: usize,
        relevant: &[&[u32]],
    ) -> Result<(Vec<Vec<Scored>>, Vec<Vec<[u64; 2]>>)> {
        match self {
            Self::Products(ranker) => {
                ranker.top_and_ranks(&ranker.source().queries(users), excluded, n, relevant)
            }
            Self::Sampled(catalogue) => {
                Ok(catalogue.sampled()?.top_and_ranks(catalogue, users, excluded, n, relevant))
            }
        }
    }
}
