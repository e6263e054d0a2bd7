//! `wgmf evaluate`.

use super::info::thousands;
use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use super::ranking;
use std::io::{self, Write};
use std::path::PathBuf;
use wgmf::data::{Duplicates, Ids, ReadOptions, align, read};
use wgmf::evaluate::{RatingMetrics, rating_metrics, unknown_ids};
use wgmf::model::{Model, Unit};
use wgmf::{Error, Result};

/// Measure how far predictions lie from ratings the model has not seen, or how well it ranks
///
/// Ratings of users and items that the model does not know count too: they are predicted by the
/// means that are known (the item's for a new user, the user's for a new item, else the overall
/// mean). With --ranking they count nowhere; their number is given.
#[derive(clap::Args)]
#[command(after_long_help = ranking::DEFINITIONS)]
pub struct Args {
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
    /// What becomes of several ratings of one pair, as in training
    #[arg(long, value_enum, default_value_t)]
    duplicates: Duplicates,
    #[command(flatten)]
    ranking: ranking::Args,
    #[command(flatten)]
    read: ReadOptions,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<()> {
    args.ranking.check()?;
    let model = Model::open(&args.model)?;
    let mut table = read(&args.ratings, &args.read, &Steps::new(false))?;
    let merged = table.merge_duplicates(args.duplicates)?;
    if merged > 0 {
        say!("{} duplicates merged", thousands(merged as u64));
    }
    let needs_ratings = model.unit() != Unit::Preference && !args.ranking.ranking;
    if !table.has_ratings && needs_ratings {
        say!("no rating column: every rating counts as 1");
    }
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
        let then =
            if args.ranking.ranking { "left out" } else { "scored by the means that are known" };
        say!("{text}; {then}");
    }
    let ratings = align(&table, &model.users, &model.items);
    if args.ranking.ranking {
        let counts = [users.len() as u64, items.len() as u64];
        let test = ranking::Test { ratings, has_ratings: table.has_ratings, unknown: counts };
        return ranking::run(&args.ranking, &args.model, &model, &test, args.json);
    }
    model.transform.check(&ratings.values, |row| {
        let (file, line) = table.origin(row);
        format!("{file}:{line}: rating {}", ratings.values[row])
    })?;
    let mut metrics = rating_metrics(&model, &ratings)?;
    metrics.unknown_users = users.len() as u64;
    metrics.unknown_items = items.len() as u64;
    if args.json { print_json(&metrics) } else { to_stdout(show(&model, &metrics)) }
}

/// `3 of 50 users are not in the model: "a", "b", "c"`.
fn name_unknown(side: &str, unknown: &[u32], ids: &Ids) -> String {
    const NAMED: usize = 5;
    let names = unknown.iter().take(NAMED).map(|&id| format!("\"{}\"", ids.name(id)));
    let names = names.collect::<Vec<_>>().join(", ");
    let more = if unknown.len() > NAMED { ", ..." } else { "" };
    let (few, all) = (thousands(unknown.len() as u64), thousands(ids.len() as u64));
    format!("{few} of {all} {side}s are not in the model: {names}{more}")
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
        let transform = model.transform.to_string();
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
    for (name, own, in_model) in rows {
        let Some(own) = own else { continue };
        write!(out, "{name:<24}{own:>14.6}")?;
        if let Some(in_model) = in_model {
            write!(out, "{in_model:>14.6}")?;
        }
        writeln!(out)?;
    }
    out.flush()
}
