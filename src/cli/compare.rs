//! `wgmf compare`.

use super::output::{check_apart, print_json, stdout, to_stdout};
use super::progress::Steps;
use super::words::{counted, thousands};
use super::{alike, by, ranking, report};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use wgmf::core::{Ratings, UNKNOWN, figure};
use wgmf::data::{Duplicates, Order, ReadOptions, Table, align, read};
use wgmf::evaluate::{ByUser, Comparison, Relevance, compare, ratings_by_user, seen_by_both};
use wgmf::model::{Model, Samples, Seen};
use wgmf::predict::{Predictive, Unit};
use wgmf::report::{Compared, compare_page};
use wgmf::{Error, Result};

/// Say which of two models predicts (or, with --ranking, ranks) test ratings better, and how sure that is
///
/// Every figure of both, their difference, and its 95 % interval by a paired bootstrap: users are drawn
/// anew 2000 times with what both models say of them, so that users who are hard for both do not blur it.
/// p is about how often other users would have these two models as far apart if neither was better. It says
/// nothing of other seeds: whether *settings* are better takes several models, as of cross-validate.
///
/// Lists are made of the items that both models know, without what either has seen in training, and are
/// measured for the users that both know.
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
    /// Show the comparison on a page of HTML too, for any browser
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing page
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    ranking: ranking::Args,
    #[command(flatten)]
    read: ReadOptions,
}

/// Users below which a bootstrap says little.
const FEW: u64 = 20;

/// A model, and what belongs to it.
type Opened = (Model, Seen, Option<Samples>);

/// Runs the subcommand.
pub(super) fn run(args: Args, given: &dyn Fn(&str) -> bool) -> Result<()> {
    args.ranking.check(false)?;
    if let Some(output) = &args.output {
        check_apart(output, &args.a)?;
        check_apart(output, &args.b)?;
    }
    let page = args.output.as_ref().map(|file| report::open(file, args.force)).transpose()?;
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
    if !table.has_ratings && !lists && !a.0.objective.is_implicit() {
        say!("no rating column: every rating counts as 1");
    }
    if !lists && a.0.objective.transform != b.0.objective.transform {
        if a.0.unit() == Unit::Probability {
            return Err(Error::data(
                "the models were trained on different labels (their transforms differ), whose errors cannot \
                 be compared; --ranking compares their lists",
            ));
        }
        say!("note: the models were trained in different units; errors are in that of the ratings");
    }
    let kept = args.kept(&table, [&a, &b])?;
    let ([of_a, of_b], relevance) = match lists {
        true => args.lists([&a, &b], &table, &kept)?,
        false => {
            let of_a = errors(&a, &args.a, &table, &kept)?;
            ([of_a, errors(&b, &args.b, &table, &kept)?], None)
        }
    };
    let mut comparison = compare(&of_a, &of_b)?;
    if a.0.objective.transform != b.0.objective.transform {
        comparison.figures.retain(|figure| !figure.name.starts_with("model_"));
    }
    let alone = (of_a.users.len() + of_b.users.len()) as u64 - 2 * comparison.users;
    if alone > 0 {
        say!("{} have figures of one model only; left out", counted(alone as usize, "user"));
    }
    if comparison.users < FEW {
        say!(
            "note: {} are too few for an interval to mean much",
            counted(comparison.users as usize, "user")
        );
    }
    if let (Some(page), Some(file)) = (page, &args.output) {
        let names = [&args.a, &args.b].map(|dir| dir.display().to_string());
        let mut tested = format!("Measured on {}", report::paths(&args.ratings));
        if let Some(relevance) = relevance {
            tested += &format!("; relevant are {}", relevance.describe());
        }
        let activity = |user: u32| {
            let own = a.0.users.get(table.users.name(user));
            own.map_or(0, |row| a.0.user_ratings[row as usize])
        };
        let html = compare_page(&Compared {
            names: [&names[0], &names[1]],
            tested: &tested,
            comparison: &comparison,
            by_user: [&of_a, &of_b],
            activity: &activity,
        });
        report::write(page, file, &html)?;
    }
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
            match (self.leave_out_seen, self.ranking.ranking) {
                (true, _) => say!("{of} test pairs are pairs that {one} trained on; left out"),
                (false, true) => {
                    say!("{of} test pairs are pairs that {one} trained on; they count nowhere");
                }
                (false, false) => say!(
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

    /// The figures of lists, by the users of the table: of what both models know, but for what either has
    /// seen.
    fn lists(
        &self,
        models: [&Opened; 2],
        table: &Table,
        kept: &[bool],
    ) -> Result<([ByUser; 2], Option<Relevance>)> {
        let [(a, seen_a, samples_a), (b, seen_b, samples_b)] = models;
        let asked = self.ranking.candidates(a)?;
        let is_asked = |row: &u32| asked.as_ref().is_none_or(|asked| asked.contains(row));
        let common = (0..a.items.len() as u32).filter(is_asked);
        let common: Vec<(u32, u32)> =
            common.filter_map(|row| Some((row, b.items.get(a.items.name(row))?))).collect();
        if common.is_empty() {
            return Err(Error::data("there is no item that both models know"));
        }
        let alone = a.items.len() + b.items.len() - 2 * common.len();
        if alone > 0 && asked.is_none() {
            say!(
                "{} both models know are ranked; {} are known to one only",
                counted(common.len(), "item"),
                thousands(alone as u64)
            );
        }
        let (seen_a, seen_b) =
            (seen_by_both((a, seen_a), (b, seen_b))?, seen_by_both((b, seen_b), (a, seen_a))?);
        let device = self.ranking.open_device()?;
        let mut relevance = None;
        let mut of = |model: &Model, samples: &Option<Samples>, seen: &Seen, rows: Vec<u32>| {
            let mut ratings = part(&align(table, &model.users, &model.items), kept);
            let known = |row: usize| {
                let user = ratings.users[row];
                let id = (user != UNKNOWN).then(|| model.users.name(user));
                id.is_some_and(|id| a.users.get(id).is_some() && b.users.get(id).is_some())
            };
            let known: Vec<bool> = (0..ratings.len()).map(known).collect();
            ratings.retain(|row| known[row]);
            let (unknown, has_ratings) = ([0; 2], table.has_ratings);
            let test = ranking::Test { ratings, has_ratings, unknown, trained_on: 0, seen };
            let relevance = match relevance {
                Some(relevance) => relevance,
                None => *relevance.insert(self.ranking.relevance(a, &test)?),
            };
            let by_user = self.ranking.by_user(
                &*device,
                (model, samples.as_ref()),
                &test,
                (relevance, rows),
            )?;
            Ok::<_, Error>(by_user.numbered(&model.users, &table.users))
        };
        let rows = |of: fn(&(u32, u32)) -> u32| {
            let mut rows: Vec<u32> = common.iter().map(of).collect();
            rows.sort_unstable();
            rows
        };
        let both = [
            of(a, samples_a, &seen_a, rows(|row| row.0))?,
            of(b, samples_b, &seen_b, rows(|row| row.1))?,
        ];
        Ok((both, relevance))
    }
}

/// The errors of predictions, by the users of the table.
fn errors(
    (model, _, samples): &Opened,
    dir: &Path,
    table: &Table,
    kept: &[bool],
) -> Result<ByUser> {
    let ratings = align(table, &model.users, &model.items);
    if ratings.iter().all(|(user, item, _)| user == UNKNOWN && item == UNKNOWN) {
        let message = "knows no user and no item of the test part; are the ids of the same kind?";
        return Err(Error::file(dir, message));
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
