//! Ranking metrics: how early the lists hold what users turn out to like.

use super::bootstrap::{Estimate, estimates};
use super::by_user::ByUser;
use super::field::{Field, popularity};
use super::held_out::{discount, ideal_gain};
use super::judged::Judged;
use super::one_order::OneOrder;
use super::relevance::Relevance;
use super::seen_pairs::seen_pairs;
use crate::backend::Backend;
use crate::core::{Ratings, Side, UNKNOWN};
use crate::model::{Model, Seen};
use crate::predict::Predictive;
use crate::recommend::{Catalogue, CatalogueRanker, Criterion, Scored};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Users ranked in one call.
const USERS: usize = 4096;

/// What is ranked, and what is asked of the lists.
#[derive(Clone, Debug)]
pub struct RankingOptions {
    /// Lengths of the lists, each at least 1.
    pub at: Vec<usize>,
    /// Which test pairs count as relevant.
    pub relevance: Relevance,
    /// Items that are ranked; all of the model's where absent.
    pub candidates: Option<Vec<u32>>,
    /// Whether items of a user's training pairs are ranked too.
    pub include_seen: bool,
}

/// What the items are ranked by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RankBy<'a> {
    /// The model's factors.
    Model,
    /// What the samples of a Bayesian model say.
    Samples(&'a Predictive<'a>, Criterion),
    /// Training ratings of the item, of an implicit model those above 0: the same order for everyone.
    Popularity,
    /// The model's item bias: likewise.
    ItemBias,
}

/// Ranking metrics of lists of one length `n`: means over users, but for [`coverage`](Self::coverage)
/// and [`gini`](Self::gini). `R` are a user's relevant items among the candidates, `rel_j` is 1 where
/// the `j`-th item of his list is one of them, else 0.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RankingAt {
    /// Length of the lists.
    pub n: usize,
    /// `Σ rel_j / n`, also where a list is shorter.
    pub precision: Estimate,
    /// `Σ rel_j / |R|` (He et al. 2020, "LightGCN"; trec_eval).
    pub recall: Estimate,
    /// `Σ rel_j / min(n, |R|)` (Liang et al. 2018, "Variational autoencoders for collaborative
    /// filtering"; Rendle et al. 2021, "Revisiting the performance of iALS").
    pub recall_min: Estimate,
    /// Binary NDCG: `Σ rel_j / log₂(j + 1)` over its largest possible value (Järvelin and
    /// Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with the discount of
    /// Burges et al. 2005).
    pub ndcg: Estimate,
    /// The same with the item's test rating as its gain (linear, as Järvelin and Kekäläinen and
    /// trec_eval have it), 0 where it has none or a negative one; ratings below the threshold of
    /// relevance count too.
    pub ndcg_graded: Estimate,
    /// Mean average precision: `Σ rel_j · precision@j / min(n, |R|)`.
    pub map: Estimate,
    /// Mean reciprocal rank of the first relevant item, 0 where the list has none (Voorhees 1999,
    /// "The TREC-8 question answering track report").
    pub mrr: Estimate,
    /// The share of users whose list has a relevant item.
    pub hit_rate: Estimate,
    /// Mean number of training ratings of the items in the list; of an implicit model of those above 0.
    pub popularity: Estimate,
    /// The share of the candidates that are in some list.
    pub coverage: f64,
    /// Gini coefficient of how often each candidate is in a list: 0 where all are equally often,
    /// near 1 where few make up all lists. `Σ (2 i − m − 1) x_i / (m Σ x_i)` over the `m`
    /// candidates by ascending count `x`.
    pub gini: f64,
}

/// How good a ranking is. Serialized as one flat map: `recall@20`, `recall@20_low`, `recall@20_high`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RankingMetrics {
    /// Users that have a relevant item among the candidates: the means are over them.
    pub users: u64,
    /// Users of the test pairs, known to the model, that have none and are left out.
    pub users_without_relevant: u64,
    /// How many items are ranked.
    pub candidates: u64,
    /// Relevant pairs among the candidates.
    pub relevant: u64,
    /// Test pairs whose user, item or both the model does not know: they count nowhere.
    pub unknown_ratings: u64,
    /// Test pairs that the model was trained on; unless `include_seen` says otherwise they count nowhere.
    pub seen_pairs: u64,
    /// Distinct users the model does not know. [`ranking_metrics`] sees no ids and leaves it 0; see
    /// [`unknown_ids`](super::unknown_ids).
    pub unknown_users: u64,
    /// Distinct items the model does not know; likewise.
    pub unknown_items: u64,
    /// For each length of list.
    pub at: Vec<RankingAt>,
    /// The probability that a relevant candidate of a user scores above another one, ties counting
    /// half, over all candidates, exact (Rendle et al. 2009, "BPR"). Absent where no user has both.
    pub auc: Option<Estimate>,
}

/// Means over users by their names: from this list come the columns of [`OfUser`], what they become in
/// [`RankingAt`], and the order in which they are reported.
macro_rules! means {
    ($($name:ident),*) => {
        const MEANS: usize = [$(stringify!($name)),*].len();

        /// The metrics of a user's list.
        struct OfUser {
            $($name: f64),*
        }

        impl OfUser {
            fn columns(self) -> [f64; MEANS] {
                [$(self.$name),*]
            }
        }

        impl RankingAt {
            /// From the means of the columns of [`OfUser`] and how often each candidate is in a list.
            fn new(n: usize, means: [Estimate; MEANS], counts: &mut [u64]) -> Self {
                let covered = counts.iter().filter(|&&count| count > 0).count();
                let coverage = covered as f64 / counts.len() as f64;
                let [$($name),*] = means;
                Self { n, $($name,)* coverage, gini: gini(counts) }
            }

            /// Name and value of every mean over users.
            pub fn means(&self) -> [(&'static str, Estimate); MEANS] {
                [$((stringify!($name), self.$name)),*]
            }
        }
    };
}

means!(precision, recall, recall_min, ndcg, ndcg_graded, map, mrr, hit_rate, popularity);

impl RankingAt {
    /// Name and value of what the lists are as a whole.
    pub fn wholes(&self) -> [(&'static str, f64); 2] {
        [("coverage", self.coverage), ("gini", self.gini)]
    }
}

impl Serialize for RankingMetrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, count) in [
            ("users", self.users),
            ("users_without_relevant", self.users_without_relevant),
            ("candidates", self.candidates),
            ("relevant", self.relevant),
            ("unknown_users", self.unknown_users),
            ("unknown_items", self.unknown_items),
            ("unknown_ratings", self.unknown_ratings),
            ("seen_pairs", self.seen_pairs),
        ] {
            map.serialize_entry(key, &count)?;
        }
        let mut estimate = |key: String, estimate: Estimate| {
            map.serialize_entry(&key, &estimate.mean)?;
            map.serialize_entry(&format!("{key}_low"), &estimate.low)?;
            map.serialize_entry(&format!("{key}_high"), &estimate.high)
        };
        for at in &self.at {
            for (name, mean) in at.means() {
                estimate(format!("{name}@{}", at.n), mean)?;
            }
        }
        if let Some(auc) = self.auc {
            estimate("auc".to_owned(), auc)?;
        }
        for at in &self.at {
            for (name, whole) in at.wholes() {
                map.serialize_entry(&format!("{name}@{}", at.n), &whole)?;
            }
        }
        map.end()
    }
}

/// Ranks the candidates for every user of `test` and measures the lists. `test`: indices of the
/// model or [`UNKNOWN`](crate::core::UNKNOWN), ratings as the user gave them, not transformed;
/// `seen`: the training pairs of the model, see [`Model::open_seen`].
///
/// All candidates are ranked, exactly; equal scores by item index. The result depends neither on
/// the backend nor on the number of threads.
///
/// # Errors
/// As [`Model::check`]; no relevant pair among the candidates; a list of length 0; candidates beyond the model; shapes of
/// `seen` that are not the model's; a lost device.
pub fn ranking_metrics(
    backend: &dyn Backend,
    model: &Model,
    seen: &Seen,
    test: &Ratings,
    by: RankBy,
    options: &RankingOptions,
) -> Result<RankingMetrics> {
    ranking_by_user(backend, model, seen, test, by, options).map(|(metrics, _)| metrics)
}

/// As [`ranking_metrics`], with the figures of each user that they are the means of: `relevant`, the number
/// of his relevant pairs, and every mean under its name.
///
/// # Errors
/// As there.
pub fn ranking_by_user(
    backend: &dyn Backend,
    model: &Model,
    seen: &Seen,
    test: &Ratings,
    by: RankBy,
    options: &RankingOptions,
) -> Result<(RankingMetrics, ByUser)> {
    model.check()?;
    let (users, items) = (model.factors.users(), model.factors.items());
    if (seen.users(), seen.items()) != (users, items) {
        return Err(Error::data("the training pairs are not those of the model"));
    }
    test.check(users, items, true)?;
    if options.at.is_empty() || options.at.contains(&0) {
        return Err(Error::settings("`at`: a list has at least 1 item"));
    }
    let popularity = popularity(model, seen);
    let field = Field::new(items, &popularity, options.candidates.as_deref())?;
    let is_open = |user: u32, item: u32| {
        field.position(item).is_some() && (options.include_seen || !seen.contains(user, item))
    };
    let judged = Judged::new(test, is_open);
    let transform = &model.objective.transform;
    let relevant = judged.part(|rating| options.relevance.takes(rating, transform));
    let mut known: Vec<u32> = test.users.iter().copied().filter(|&u| u != UNKNOWN).collect();
    known.sort_unstable();
    known.dedup();
    let is_unknown = |(user, item, _): &(u32, u32, f32)| *user == UNKNOWN || *item == UNKNOWN;
    let mut metrics = RankingMetrics {
        users: relevant.users.len() as u64,
        users_without_relevant: (known.len() - relevant.users.len()) as u64,
        candidates: field.items.len() as u64,
        relevant: relevant.pairs() as u64,
        unknown_ratings: test.iter().filter(is_unknown).count() as u64,
        seen_pairs: seen_pairs(seen, test) as u64,
        ..Default::default()
    };
    if relevant.users.is_empty() {
        return Err(Error::data(
            "no user has a relevant item among the candidates: pairs seen in training, unknown ids \
             and ratings below the threshold do not count; see `include_seen`, `relevant_from`",
        ));
    }
    let longest = options.at.iter().copied().max().unwrap_or_default();
    let width = options.at.len() * MEANS + 1;
    let mut values = Vec::with_capacity(relevant.users.len() * width);
    let mut counts = vec![vec![0_u64; field.items.len()]; options.at.len()];
    let keep = |item: u32| field.position(item).is_some();
    let catalogue = match by {
        RankBy::Model => Some(Catalogue::filtered(model, keep)),
        RankBy::Samples(predictive, criterion) => {
            let theirs = &predictive.model().factors;
            if (theirs.users(), theirs.items()) != (users, items) {
                return Err(Error::data("the samples are not those of the model"));
            }
            Some(Catalogue::by_samples(predictive, criterion, keep)?)
        }
        RankBy::Popularity | RankBy::ItemBias => None,
    };
    let alike = |&item: &u32| match by {
        RankBy::Popularity => popularity[item as usize] as f32,
        _ => model.factors[Side::Item].bias[item as usize],
    };
    let lister = match catalogue {
        Some(catalogue) => Lister::Each(CatalogueRanker::new(backend, catalogue.into())?),
        None => {
            let scores: Vec<f32> = field.items.iter().map(alike).collect();
            Lister::Alike(OneOrder::new(&scores))
        }
    };
    let mut first = 0;
    for batch in relevant.users.chunks(USERS) {
        let excluded: Vec<Vec<u32>> = batch
            .iter()
            .map(|&user| match options.include_seen {
                true => Vec::new(),
                false => field.positions(seen.items_of(user)),
            })
            .collect();
        let relevant_rows: Vec<Vec<u32>> =
            (first..first + batch.len()).map(|at| field.positions(relevant.items(at))).collect();
        let excluded: Vec<&[u32]> = excluded.iter().map(Vec::as_slice).collect();
        let rows: Vec<&[u32]> = relevant_rows.iter().map(Vec::as_slice).collect();
        let (lists, ranks) = match &lister {
            Lister::Each(ranker) => ranker.top_and_ranks(batch, &excluded, longest, &rows)?,
            Lister::Alike(order) => {
                let lists = excluded.par_iter().map(|excluded| order.top(excluded, longest));
                let pairs = excluded.par_iter().zip(&rows);
                let ranks = pairs.map(|(excluded, rows)| order.ranks(excluded, rows));
                (lists.collect(), ranks.collect())
            }
        };
        for (counts, &n) in counts.iter_mut().zip(&options.at) {
            for scored in lists.iter().flat_map(|list| list.iter().take(n)) {
                counts[scored.row as usize] += 1;
            }
        }
        let of_user = |at: usize| {
            let judgement = judged.users.binary_search(&batch[at]).unwrap_or_default();
            let user = OneUser {
                list: &lists[at],
                relevant: rows[at],
                judged: judged.items(judgement),
                ratings: judged.values(judgement),
            };
            let mut values = Vec::with_capacity(width);
            user.lists(&field, &options.at, &mut values);
            let others = field.items.len() - excluded[at].len() - rows[at].len();
            values.push(auc(&ranks[at], others as u64));
            values
        };
        let of_batch: Vec<Vec<f64>> = (0..batch.len()).into_par_iter().map(of_user).collect();
        values.extend(of_batch.into_iter().flatten());
        first += batch.len();
    }
    let means = estimates(&values, width);
    let of_lists = means.as_chunks::<MEANS>().0.iter().zip(&mut counts);
    let lists = options.at.iter().zip(of_lists);
    metrics.at = lists.map(|(&n, (&means, counts))| RankingAt::new(n, means, counts)).collect();
    metrics.auc = means.last().copied().filter(|auc| !auc.mean.is_nan());
    Ok((metrics, by_user(&relevant, &options.at, &values)))
}

/// The figures of each user: `values` has their lists' and their AUC, row-major.
fn by_user(relevant: &Judged, at: &[usize], values: &[f64]) -> ByUser {
    let of_list = |n: &usize| {
        let n = *n;
        RankingAt::default().means().map(move |(name, _)| format!("{name}@{n}"))
    };
    let lists = at.iter().flat_map(of_list);
    let names: Vec<String> =
        ["relevant".to_owned()].into_iter().chain(lists).chain(["auc".to_owned()]).collect();
    let row = |(at, row): (usize, &[f64])| {
        let relevant = relevant.items(at).len() as f64;
        [relevant].into_iter().chain(row.iter().copied()).collect::<Vec<f64>>()
    };
    let rows = values.chunks_exact(names.len() - 1).enumerate();
    ByUser { values: rows.flat_map(row).collect(), users: relevant.users.clone(), names }
}

/// What makes lists and ranks.
enum Lister<'a> {
    /// Every user has an order of his own.
    Each(CatalogueRanker<'a>),
    /// All have the same.
    Alike(OneOrder),
}

/// A user's list and what it is held against.
struct OneUser<'a> {
    list: &'a [Scored],
    /// Rows of his relevant candidates, ascending.
    relevant: &'a [u32],
    /// Items that he judged, ascending, and their ratings.
    judged: &'a [u32],
    ratings: &'a [f32],
}

impl OneUser<'_> {
    /// Appends the means of every length of list.
    fn lists(&self, field: &Field, lengths: &[usize], values: &mut Vec<f64>) {
        let gain_of = |rating: f32| f64::from(rating).max(0.0);
        let mut best: Vec<f64> = self.ratings.iter().map(|&rating| gain_of(rating)).collect();
        best.sort_unstable_by(|a, b| b.total_cmp(a));
        for &n in lengths {
            let (mut hits, mut gain, mut graded, mut precisions) = (0_u32, 0.0, 0.0, 0.0);
            let (mut first, mut ratings) = (0.0, 0_u64);
            let list = &self.list[..n.min(self.list.len())];
            for (rank, scored) in (1..).zip(list) {
                let item = field.items[scored.row as usize];
                ratings += u64::from(field.popularity[item as usize]);
                if let Ok(at) = self.judged.binary_search(&item) {
                    graded += gain_of(self.ratings[at]) * discount(rank);
                }
                if self.relevant.binary_search(&scored.row).is_ok() {
                    hits += 1;
                    gain += discount(rank);
                    precisions += f64::from(hits) / rank as f64;
                    if hits == 1 {
                        first = 1.0 / rank as f64;
                    }
                }
            }
            let hits = f64::from(hits);
            let most = n.min(self.relevant.len());
            let ideal = ideal_gain(most);
            let graded_ideal: f64 =
                (1..=n).zip(&best).map(|(rank, gain)| gain * discount(rank)).sum();
            let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
            let of_list = OfUser {
                precision: hits / n as f64,
                recall: hits / self.relevant.len() as f64,
                recall_min: hits / most as f64,
                ndcg: gain / ideal,
                ndcg_graded: share(graded, graded_ideal),
                map: precisions / most as f64,
                mrr: first,
                hit_rate: f64::from(u8::from(hits > 0.0)),
                popularity: share(ratings as f64, list.len() as f64),
            };
            values.extend(of_list.columns());
        }
    }
}

/// From better and equal candidates of each relevant one, and the number of the `others`; NaN
/// without others.
fn auc(ranks: &[[u64; 2]], others: u64) -> f64 {
    let relevant = ranks.len() as u64;
    let all = relevant + others;
    // Twice the pairs won, ties counting one; every two relevant ones win one of the other.
    let won: u64 = ranks.iter().map(|[better, equal]| 2 * (all - 1 - better) - equal).sum();
    let pairs = 2.0 * relevant as f64 * others as f64;
    if others == 0 { f64::NAN } else { (won - relevant * (relevant - 1)) as f64 / pairs }
}

fn gini(counts: &mut [u64]) -> f64 {
    counts.sort_unstable();
    let m = counts.len() as i128;
    let total: i128 = counts.iter().map(|&x| i128::from(x)).sum();
    let weighed: i128 = (1..).zip(counts).map(|(i, &mut x)| (2 * i - m - 1) * i128::from(x)).sum();
    if total == 0 { 0.0 } else { weighed as f64 / (m * total) as f64 }
}
