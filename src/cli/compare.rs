//! `wgmf compare`.

use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use super::words::thousands;
use super::{alike, by, ranking};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use wgmf::core::{Ratings, UNKNOWN, figure};
use wgmf::data::{Duplicates, Order, ReadOptions, Table, align, read};
use wgmf::evaluate::{ByUser, Comparison, compare, ratings_by_user};
use wgmf::model::{Model, Samples, Seen};
use wgmf::predict::{Predictive, Unit};
use wgmf::{Error, Result};

/// Say which of two models predicts (or, with --ranking, ranks) test ratings better, and how sure that is
///
/// Every figure of both, their difference, and its 95 % interval by a paired bootstrap: users are drawn
/// anew 2000 times with what both models say of them, so that users who are hard for both do not blur it.
/// p is about how often chance alone would have the models this far apart.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The first model
    a: PathBuf,
    /// The second model
    b: PathBuf,
    /// Files of ratings in the unit of the training files; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// What becomes of several ratings of one pair. Default: as in training of the first model
    #[arg(long, value_enum)]
    duplicates: Option<Duplicates>,
    /// Leave out test pairs that either model was trained on
    #[arg(long)]
    leave_out_seen: bool,
    #[command(flatten)]
    ranking: ranking::Args,
    #[command(flatten)]
    read: ReadOptions,
}

/// A model, and what belongs to it.
type Opened = (Model, Seen, Option<Samples>);

/// Runs the subcommand.
pub(super) fn run(args: Args, given: &dyn Fn(&str) -> bool) -> Result<()> {
    args.ranking.check(false)?;
    let criterion = args.ranking.criterion()?;
    let open = |dir: &Path| -> Result<Opened> { by::opened(dir, criterion) };
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    let lists = args.ranking.ranking;
    if !lists && a.0.unit() != b.0.unit() {
        return Err(Error::data(
            "the models predict different things (ratings, probabilities, preferences), whose errors \
             cannot be compared; --ranking compares their lists",
        ));
    }
    let options = alike::options(&a.0, &args.read, given);
    let mut table = read(&args.ratings, &options, &Steps::new(false))?;
    table.settle(alike::duplicates(&a.0, args.duplicates), Order::Canonical)?;
    if !table.has_ratings && !lists && a.0.unit() != Unit::Preference {
        say!("no rating column: every rating counts as 1");
    }
    let kept = args.kept(&table, [&a, &b])?;
    let figures = |opened: &Opened| match lists {
        true => args.lists(opened, &a.0, &table, &kept),
        false => errors(opened, &table, &kept),
    };
    let comparison = compare(&figures(&a)?, &figures(&b)?)?;
    match args.json {
        true => print_json(&Shown { a: name(&args.a), b: name(&args.b), comparison: &comparison }),
        false => to_stdout(show(&args, &comparison)),
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

#[derive(Serialize)]
struct Shown<'a> {
    a: String,
    b: String,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

impl Args {
    /// Which of the test ratings count; says how many were trained on.
    fn kept(&self, table: &Table, models: [&Opened; 2]) -> Result<Vec<bool>> {
        let seen_by = models.map(|(model, seen, _)| {
            let own = align(table, &model.users, &model.items);
            own.iter().map(|(user, item, _)| seen.contains(user, item)).collect::<Vec<bool>>()
        });
        let seen: Vec<bool> = seen_by[0].iter().zip(&seen_by[1]).map(|(a, b)| a | b).collect();
        let count = seen.iter().filter(|&&seen| seen).count();
        if count > 0 {
            let of = format!("{} of {}", thousands(count as u64), thousands(seen.len() as u64));
            let one = if seen_by[0] == seen_by[1] { "both models were" } else { "one model was" };
            match self.leave_out_seen {
                true => say!("{of} test pairs are pairs that {one} trained on; left out"),
                false => say!(
                    "note: {of} test pairs are pairs that {one} trained on, so that these are no figures \
                     of new ones; --leave-out-seen leaves them out"
                ),
            }
        }
        if self.leave_out_seen && count == seen.len() {
            return Err(Error::data(
                "every test pair was trained on, so --leave-out-seen leaves none",
            ));
        }
        Ok(seen.into_iter().map(|seen| !(seen && self.leave_out_seen)).collect())
    }

    /// The figures of lists, by the users of the table.
    fn lists(
        &self,
        (model, seen, samples): &Opened,
        first: &Model,
        table: &Table,
        kept: &[bool],
    ) -> Result<ByUser> {
        let ratings = part(&align(table, &model.users, &model.items), kept);
        let unknown = [0; 2];
        let test =
            ranking::Test { ratings, has_ratings: table.has_ratings, unknown, trained_on: 0, seen };
        let of_model = self.ranking.by_user(model, samples.as_ref(), &test, first)?;
        // The same users are numbered alike for both.
        let mut rows: Vec<(u32, &[f64])> = of_model
            .rows()
            .filter_map(|(user, row)| Some((table.users.get(model.users.name(user))?, row)))
            .collect();
        rows.sort_unstable_by_key(|&(user, _)| user);
        Ok(ByUser {
            names: of_model.names.clone(),
            users: rows.iter().map(|&(user, _)| user).collect(),
            values: rows.iter().flat_map(|(_, row)| row.iter().copied()).collect(),
        })
    }
}

/// The errors of predictions, by the users of the table.
fn errors((model, _, samples): &Opened, table: &Table, kept: &[bool]) -> Result<ByUser> {
    let ratings = align(table, &model.users, &model.items);
    if ratings.iter().all(|(user, item, _)| user == UNKNOWN && item == UNKNOWN) {
        return Err(Error::data(
            "a model knows no user and no item of the test part; are the ids of the same kind?",
        ));
    }
    let ratings = part(&ratings, kept);
    let owners = part(&table.ratings, kept).users;
    let predictive = samples.as_ref().map(|samples| Predictive::new(model, samples)).transpose()?;
    ratings_by_user(model, predictive.as_ref(), &ratings, &owners)
}

/// The ratings that count.
fn part(ratings: &Ratings, kept: &[bool]) -> Ratings {
    let mut part = ratings.clone();
    part.retain(|row| kept[row]);
    part
}

fn show(args: &Args, comparison: &Comparison) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "a: {}\nb: {}", args.a.display(), args.b.display())?;
    writeln!(out, "users with figures of both: {}", thousands(comparison.users))?;
    let head = ["a", "b", "b - a"];
    write!(out, "{:<18}", "")?;
    head.iter().try_for_each(|head| write!(out, "{head:>12}"))?;
    writeln!(out, "  {:<24}{:>7}", "95 % interval", "p")?;
    for of in &comparison.figures {
        let interval = format!("[{}, {}]", figure(of.low, 3), figure(of.high, 3));
        write!(out, "{:<18}", of.name)?;
        for value in [figure(of.a, 6), figure(of.b, 6), figure(of.difference, 3)] {
            write!(out, "{value:>12}")?;
        }
        writeln!(out, "  {interval:<24}{:>7}", figure(of.p, 2))?;
    }
    out.flush()
}
