//! `wgmf evaluate --ranking`.

use super::output::{print_json, stdout, to_stdout};
use super::words::{some_of, thousands};
use super::{backend, by, per_user};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wgmf::backend::Backend;
use wgmf::core::{Ratings, Side, figure};
use wgmf::data::IdList;
use wgmf::evaluate::{
    ByUser, Estimate, RankBy, RankingMetrics, RankingOptions, Relevance, ranking_by_user,
};
use wgmf::files::Output;
use wgmf::model::{Model, Samples, Seen};
use wgmf::predict::Predictive;
use wgmf::recommend::Criterion;
use wgmf::{Error, Result};

/// What the numbers are, for `--help`.
pub(super) const DEFINITIONS: &str = "\
Ranking metrics (--ranking):
  All candidates are ranked, exactly, equal scores by item index; none is sampled. R is the set of a
  user's relevant items among the candidates he has not seen, rel_j is 1 where the j-th item of his
  list is in R, else 0. Means are over the users whose R is not empty, with a 95 % interval: the
  percentiles of the means of 1000 bootstrap samples of the users, drawn with a fixed seed (Efron and
  Tibshirani 1993).
    precision@n    sum of rel_j / n
    recall@n       sum of rel_j / |R| (as LightGCN, He et al. 2020)
    recall_min@n   sum of rel_j / min(n, |R|) (as Liang et al. 2018 and Rendle et al. 2021)
    ndcg@n         sum of rel_j / log2(j + 1), over its largest possible value (Järvelin and
                   Kekäläinen 2002, discount of Burges et al. 2005)
    ndcg_graded@n  the same with the item's test rating as gain, relevant or not (linear, as
                   Järvelin and Kekäläinen and trec_eval; negative ratings gain 0)
    map@n          sum of rel_j * precision@j / min(n, |R|)
    mrr@n          1 / rank of the first relevant item, 0 without one (Voorhees 1999)
    hit_rate@n     1 where the list has a relevant item, else 0
    popularity@n   mean number of training ratings of the list's items (of ials those above 0)
    auc            probability that a relevant candidate scores above another, ties half; over all
                   candidates (Rendle et al. 2009)
    coverage@n     share of the candidates that are in some list (no interval)
    gini@n         Gini coefficient of how often each candidate is in a list: 0 all equally, 1 one
                   alone (no interval)
  With --json each mean is a number under its name, its interval under name_low and name_high, such
  as recall@20, recall@20_low, recall@20_high; with --baselines these numbers lie under \"model\",
  \"popularity\" and, for a model with item biases, \"item_bias\". --per-user writes user, relevant
  (his relevant pairs) and each mean's part under its name, of the users that the means are over.";

/// The flags.
#[derive(clap::Args)]
#[command(next_help_heading = "Ranking")]
#[group(skip)]
pub(super) struct Args {
    /// Measure lists instead of predictions: precision, recall, NDCG, ...; --help defines them
    #[arg(long)]
    pub ranking: bool,
    /// Lengths of the lists
    #[arg(
        long,
        value_name = "N,N,...",
        value_delimiter = ',',
        default_value = "5,10,20,100",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    at: Vec<u32>,
    /// Items to rank: all of the model's, or those listed in a file, one id a line or the item
    /// column of a table
    #[arg(long, value_name = "all|FILE", default_value = "all")]
    candidates: PathBuf,
    /// The least rating that makes a test pair relevant. Default: 4 where training and test ratings lie
    /// within 0 to 5 and some reach 4; label 1 for --loss logistic; every pair above 0 for ials; every pair for files
    /// without ratings
    #[arg(long, value_name = "RATING", value_parser = finite)]
    relevant_from: Option<f32>,
    /// Rank the items of a user's training pairs too
    #[arg(long)]
    pub include_seen: bool,
    #[command(flatten)]
    by: by::Args,
    #[command(flatten)]
    backend: backend::Args,
}

fn finite(text: &str) -> Result<f32, String> {
    let number: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() { Ok(number) } else { Err("not a finite number".to_owned()) }
}

/// How a ranking is reported.
pub(super) struct How {
    /// As one JSON object.
    pub json: bool,
    /// Beside popularity and item biases.
    pub baselines: bool,
    /// Where the figures of each user go.
    pub per_user: Option<Output>,
}

/// What a model is held against.
pub(super) struct Test<'a> {
    /// Indices of the model or unknown.
    pub ratings: Ratings,
    /// Whether the files had ratings.
    pub has_ratings: bool,
    /// Unknown users and items.
    pub unknown: [u64; 2],
    /// Test pairs that the model was trained on, left out or not.
    pub trained_on: u64,
    /// The training pairs.
    pub seen: &'a Seen,
}

/// A ranking that was measured.
struct Column {
    key: &'static str,
    title: &'static str,
    metrics: RankingMetrics,
}

impl Args {
    /// Refuses flags of rankings without `--ranking`, and a wrong `--by`; a device may be named where
    /// something else is done on it.
    pub(super) fn check(&self, needs_device: bool) -> Result<()> {
        let plain = Path::new("all") == self.candidates && self.relevant_from.is_none();
        let plain = plain && !self.include_seen;
        let no_device =
            self.backend.backend == backend::Kind::Auto && self.backend.adapter.is_none();
        let no_device = no_device && self.backend.fallback.is_none();
        let no_device = no_device && self.backend.device_timeout.is_none();
        let plain = plain && (no_device || needs_device) && self.at == [5, 10, 20, 100];
        let plain = plain && self.by.is_plain();
        if self.ranking || plain {
            return self.by.criterion().map(drop);
        }
        Err(Error::settings(
            "--at, --candidates, --relevant-from, --include-seen, --by, --seed, --backend, --adapter, \
             --fallback and --device-timeout are for rankings; add --ranking",
        ))
    }
}

impl Args {
    /// What items are ranked by.
    pub(super) fn criterion(&self) -> Result<Criterion> {
        self.by.criterion()
    }

    /// Opens the device that ranks.
    pub(super) fn open_device(&self) -> Result<Arc<dyn Backend>> {
        let (backend, why) = self.backend.open()?;
        say!("on {} ({why})", backend.device().name);
        Ok(backend)
    }

    /// Whether some of the items are to be ranked only.
    pub(super) fn candidates(&self, model: &Model) -> Result<Option<Vec<u32>>> {
        match self.candidates == Path::new("all") {
            true => Ok(None),
            false => candidates(&self.candidates, model).map(Some),
        }
    }

    fn options(
        &self,
        relevance: Relevance,
        candidates: Option<Vec<u32>>,
    ) -> Result<RankingOptions> {
        let mut at: Vec<usize> = self.at.iter().map(|&n| n as usize).collect();
        at.sort_unstable();
        at.dedup();
        Ok(RankingOptions { at, relevance, candidates, include_seen: self.include_seen })
    }

    /// What is relevant, which is said.
    pub(super) fn relevance(&self, model: &Model, test: &Test) -> Result<Relevance> {
        relevance(self, model, test)
    }

    /// The figures of each user, where `candidates` are ranked.
    pub(super) fn by_user(
        &self,
        backend: &dyn Backend,
        (model, samples): (&Model, Option<&Samples>),
        test: &Test,
        (relevance, candidates): (Relevance, Vec<u32>),
    ) -> Result<ByUser> {
        let options = self.options(relevance, Some(candidates))?;
        let predictive = samples.map(|samples| Predictive::new(model, samples)).transpose()?;
        let by = match &predictive {
            Some(predictive) => RankBy::Samples(predictive, self.criterion()?),
            None => RankBy::Model,
        };
        let figures = ranking_by_user(backend, model, test.seen, &test.ratings, by, &options)?;
        Ok(figures.1)
    }
}

/// Measures and prints.
pub(super) fn run(
    args: &Args,
    model: &Model,
    samples: Option<&Samples>,
    test: &Test,
    mut how: How,
) -> Result<()> {
    let criterion = args.criterion()?;
    let predictive = samples.map(|samples| Predictive::new(model, samples)).transpose()?;
    let options = args.options(relevance(args, model, test)?, args.candidates(model)?)?;
    let backend = args.open_device()?;
    let by_model = match &predictive {
        Some(predictive) => RankBy::Samples(predictive, criterion),
        None => RankBy::Model,
    };
    let mut rankings = vec![("model", "model", by_model)];
    if how.baselines {
        rankings.push(("popularity", "popularity", RankBy::Popularity));
        if model.factors[Side::Item].bias.iter().any(|&bias| bias != 0.0) {
            rankings.push(("item_bias", "item bias", RankBy::ItemBias));
        }
    }
    let mut columns = Vec::new();
    for (key, title, by) in rankings {
        let (mut metrics, by_user) =
            ranking_by_user(&*backend, model, test.seen, &test.ratings, by, &options)?;
        [metrics.unknown_users, metrics.unknown_items] = test.unknown;
        metrics.seen_pairs = test.trained_on;
        // The first column is the model's.
        if let Some(out) = how.per_user.take() {
            per_user::write(out, &by_user, &model.users)?;
        }
        columns.push(Column { key, title, metrics });
    }
    match (&columns[..], how.json) {
        ([column], true) => print_json(&column.metrics),
        (columns, true) => print_json(&Together(columns)),
        (columns, false) => to_stdout(show(columns)),
    }
}

/// Rankings side by side in JSON.
struct Together<'a>(&'a [Column]);

impl Serialize for Together<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|column| (column.key, &column.metrics)))
    }
}

/// What counts as relevant, which is said.
fn relevance(args: &Args, model: &Model, test: &Test) -> Result<Relevance> {
    if let Some(least) = args.relevant_from {
        return Ok(Relevance::From(least));
    }
    if !test.has_ratings {
        say!("relevant: every test pair");
        return Ok(Relevance::All);
    }
    let relevance = Relevance::usual(model, &test.ratings)?;
    match relevance {
        Relevance::Positive => say!("relevant: test pairs with label 1"),
        Relevance::From(least) => {
            say!("relevant: test pairs rated {least} or more (--relevant-from {least})");
        }
        Relevance::Chosen => {
            let values = test.ratings.values.iter();
            let transform = &model.objective.transform;
            let chosen = values.filter(|&&x| Relevance::Chosen.takes(x, transform)).count();
            match test.ratings.len() - chosen {
                0 => say!("relevant: every test pair"),
                others => say!(
                    "relevant: test pairs with a value above 0; {} of {} have none",
                    thousands(others as u64),
                    thousands(test.ratings.len() as u64)
                ),
            }
        }
        Relevance::All => {}
    }
    Ok(relevance)
}

fn candidates(file: &Path, model: &Model) -> Result<Vec<u32>> {
    let list = IdList::read(file, &model.items, Side::Item)?;
    if list.rows.is_empty() {
        let message =
            "lists no item that the model knows; candidates are its own items, one id a line";
        return Err(Error::file(file, message));
    }
    if !list.unknown.is_empty() {
        let text = some_of(&list.unknown, list.len(), "candidates are not in the model");
        say!("{text}; skipped");
    }
    Ok(list.rows)
}

fn show(columns: &[Column]) -> io::Result<()> {
    let mut out = stdout();
    let Some(Column { metrics, .. }) = columns.first() else { return Ok(()) };
    for (name, count) in [
        ("users", metrics.users),
        ("users without relevant", metrics.users_without_relevant),
        ("candidates", metrics.candidates),
        ("relevant pairs", metrics.relevant),
        ("unknown users", metrics.unknown_users),
        ("unknown items", metrics.unknown_items),
        ("ratings of these", metrics.unknown_ratings),
        ("training pairs", metrics.seen_pairs),
    ] {
        writeln!(out, "{name:<24}{:>14}", thousands(count))?;
    }
    if columns.len() > 1 {
        let titles = columns.iter().map(|column| format!("{:>14}{:20}", column.title, ""));
        line(&mut out, "", titles)?;
    }
    for (at, own) in metrics.at.iter().enumerate() {
        for (mean, (name, _)) in own.means().iter().enumerate() {
            let row = columns.iter().map(|column| column.metrics.at[at].means()[mean].1);
            estimates(&mut out, &format!("{name}@{}", own.n), row)?;
        }
        for (whole, (name, _)) in own.wholes().iter().enumerate() {
            let wholes = columns.iter().map(|column| column.metrics.at[at].wholes()[whole].1);
            let wholes = wholes.map(|whole| format!("{:>14}{:20}", figure(whole, 6), ""));
            line(&mut out, &format!("{name}@{}", own.n), wholes)?;
        }
    }
    if metrics.auc.is_some() {
        estimates(&mut out, "auc", columns.iter().filter_map(|column| column.metrics.auc))?;
    }
    out.flush()
}

fn estimates(
    out: &mut impl Write,
    name: &str,
    row: impl Iterator<Item = Estimate>,
) -> io::Result<()> {
    let row = row.map(|Estimate { mean, low, high }| {
        let interval = format!(" [{}, {}]", figure(low, 5), figure(high, 5));
        format!("{:>14}{interval:<20}", figure(mean, 6))
    });
    line(out, name, row)
}

/// A name and what each ranking has under it.
fn line(out: &mut impl Write, name: &str, columns: impl Iterator<Item = String>) -> io::Result<()> {
    let columns: String = columns.collect();
    writeln!(out, "{}", format!("{name:<24}{columns}").trim_end())
}
