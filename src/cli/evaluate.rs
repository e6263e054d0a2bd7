//! `wgmf evaluate`.

use super::alike;
use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use super::ranking;
use super::words::{some_of, thousands};
use std::io::{self, Write};
use std::path::PathBuf;
use wgmf::core::Ids;
use wgmf::data::{Duplicates, Order, ReadOptions, align, read};
use wgmf::evaluate::{
    PredictiveMetrics, RatingMetrics, first_without_level, no_level, predictive_metrics,
    rating_metrics, unknown_ids,
};
use wgmf::model::Model;
use wgmf::predict::{Predictive, Unit};
use wgmf::{Error, Result};

/// Measure how far predictions lie from ratings the model has not seen, or how well it ranks
///
/// Ratings of users and items that the model does not know count too: they are predicted by the
/// means that are known (the item's for a new user, the user's for a new item, else the overall
/// mean; by --solver bayes as those without ratings). With --ranking they count nowhere; their number
/// is given.
///
/// A model of --solver bayes also says how honest its uncertainty is: the log predictive density (more
/// is better), the continuous ranked probability score (less is better), the share of the ratings within
/// their 50, 80, 90 and 95 % prediction intervals, and the mean width of the 90 % ones.
#[derive(clap::Args)]
#[command(after_long_help = ranking::DEFINITIONS)]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Files of ratings in the unit of the training file; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Make an id that the model does not know an error
    #[arg(long)]
    strict: bool,
    /// What becomes of several ratings of one pair. Default: as in training
    #[arg(long, value_enum)]
    duplicates: Option<Duplicates>,
    #[command(flatten)]
    ranking: ranking::Args,
    #[command(flatten)]
    read: ReadOptions,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    args.ranking.check()?;
    let model = Model::open(&args.model)?;
    let options = alike::options(&model, &args.read);
    let mut table = read(&args.ratings, &options, &Steps::new(false))?;
    let merged = table.settle(alike::duplicates(&model, args.duplicates), Order::Canonical)?;
    if merged > 0 {
        say!("{} duplicates merged", thousands(merged as u64));
    }
    let needs_ratings = model.unit() != Unit::Preference && !args.ranking.ranking;
    if !table.has_ratings && needs_ratings {
        say!("no rating column: every rating counts as 1");
    }
    alike::outside(&model, &table);
    let users = unknown_ids(&table.users, &model.users);
    let items = unknown_ids(&table.items, &model.items);
    let sides = [("user", &users, &table.users), ("item", &items, &table.items)];
    for (side, unknown, ids) in sides {
        if unknown.is_empty() {
            continue;
        }
        let text = name_unknown(side, unknown, ids);
        if args.strict {
            return Err(Error::data(format!("{text} (--strict)")));
        }
        let then = match (args.ranking.ranking, model.is_bayesian()) {
            (true, _) => "left out",
            (false, true) => "scored as those without ratings",
            (false, false) => "scored by the means that are known",
        };
        say!("{text}; {then}");
    }
    let ratings = align(&table, &model.users, &model.items);
    if args.ranking.ranking {
        let counts = [users.len() as u64, items.len() as u64];
        let test = ranking::Test { ratings, has_ratings: table.has_ratings, unknown: counts };
        return ranking::run(&args.ranking, &args.model, &model, &test, args.json);
    }
    model.objective.transform.check(&ratings.values, |row| {
        let (file, line) = table.origin(row);
        format!("{file}:{line}: rating {}", ratings.values[row])
    })?;
    let count_unknown = |metrics: &mut RatingMetrics| {
        metrics.unknown_users = users.len() as u64;
        metrics.unknown_items = items.len() as u64;
    };
    if model.is_bayesian() {
        let samples = model.open_samples(&args.model)?;
        let predictive = Predictive::new(&model, &samples)?;
        if let Some(row) = first_without_level(&predictive, &ratings.values) {
            let (file, line) = table.origin(row);
            let rating = format!("{file}:{line}: rating {}", ratings.values[row]);
            return Err(no_level(&predictive, &rating));
        }
        let mut metrics = predictive_metrics(&predictive, &ratings)?;
        count_unknown(&mut metrics.rating);
        return match args.json {
            true => print_json(&metrics),
            false => to_stdout(show_predictive(&model, &metrics)),
        };
    }
    let mut metrics = rating_metrics(&model, &ratings)?;
    count_unknown(&mut metrics);
    if args.json { print_json(&metrics) } else { to_stdout(show(&model, &metrics)) }
}

/// `3 of 50 users are not in the model: "a", "b", "c"`.
fn name_unknown(side: &str, unknown: &[u32], ids: &Ids) -> String {
    let names: Vec<&str> = unknown.iter().map(|&id| ids.name(id)).collect();
    some_of(&names, ids.len(), &format!("{side}s are not in the model"))
}

fn show_predictive(model: &Model, metrics: &PredictiveMetrics) -> io::Result<()> {
    show(model, &metrics.rating)?;
    let m = metrics;
    let density = Some(m.log_predictive_density);
    write_rows(&[
        ("log predictive density", density, m.model_log_predictive_density),
        ("CRPS", m.crps, m.model_crps),
        ("ranked probability", m.ranked_probability_score, None),
        ("accuracy", m.accuracy, None),
        ("50 % interval covers", Some(m.coverage_50), None),
        ("80 % interval covers", Some(m.coverage_80), None),
        ("90 % interval covers", Some(m.coverage_90), None),
        ("95 % interval covers", Some(m.coverage_95), None),
        ("90 % interval's width", m.width_90, None),
    ])
}

fn show(model: &Model, metrics: &RatingMetrics) -> io::Result<()> {
    let mut out = stdout();
    for (name, count) in [
        ("ratings", metrics.ratings),
        ("unknown users", metrics.unknown_users),
        ("unknown items", metrics.unknown_items),
        ("ratings of these", metrics.unknown_ratings),
    ] {
        writeln!(out, "{name:<24}{:>14}", thousands(count))?;
    }
    let has_two = metrics.model_rmse.is_some();
    if has_two {
        let transform = model.objective.transform.to_string();
        writeln!(out, "{:<24}{:>14}{:>14}", "", "ratings", transform)?;
    }
    let rmse = match model.unit() {
        Unit::Rating => "RMSE",
        Unit::Probability => "RMSE of probability",
        Unit::Preference => "RMSE of preference to 1",
    };
    let rows = [
        (rmse, Some(metrics.rmse), metrics.model_rmse),
        ("MAE", Some(metrics.mae), metrics.model_mae),
        ("R²", metrics.r2, metrics.model_r2),
        ("relative squared error", metrics.relative_squared_error, None),
        ("log loss", metrics.log_loss, None),
        ("AUC", metrics.auc, None),
    ];
    out.flush()?;
    drop(out);
    write_rows(&rows)
}

/// A name, the figure in the unit of the ratings, and that in the model's unit.
type Figures = (&'static str, Option<f64>, Option<f64>);

/// The rows that have a figure.
fn write_rows(rows: &[Figures]) -> io::Result<()> {
    let mut out = stdout();
    for (name, own, in_model) in rows {
        if own.is_none() && in_model.is_none() {
            continue;
        }
        let cell = |figure: &Option<f64>| figure.map_or(String::new(), |x| format!("{x:.6}"));
        let line = format!("{name:<24}{:>14}{:>14}", cell(own), cell(in_model));
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}
