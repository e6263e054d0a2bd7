//! `wgmf evaluate`.

use super::alike;
use super::fold_in::{self, NewRatings};
use super::output::{check_apart, check_other};
use super::progress::Steps;
use super::rating::{self, Shown};
use super::words::{counted, some_of, thousands};
use super::{by, per_user, ranking};
use std::path::PathBuf;
use wgmf::core::{Ids, Ratings, Side, Solver, escaped};
use wgmf::data::{Duplicates, Order, ReadOptions, Table, align, read};
use wgmf::evaluate::{
    RatingMetrics, first_without_level, leave_out_seen, no_level, predictive_metrics,
    rating_baselines, rating_metrics, ratings_by_user, unknown_ids,
};
use wgmf::files::Output;
use wgmf::model::{Model, Seen};
use wgmf::predict::{Predictive, Unit};
use wgmf::{Error, Result};

/// Measure how far predictions lie from ratings the model has not seen, or how well it ranks
///
/// Ratings of users and items that the model does not know count too: they are predicted by the mean
/// of who is known (the item's for a new user, the user's for a new item, else the overall mean; by
/// --solver bayes as those without ratings; by --solver ials, which has no means, as 0). With --ranking
/// they count nowhere; their number is given.
///
/// A model of --solver bayes also says how honest its uncertainty is: the log predictive density (more
/// is better), the continuous ranked probability score (less is better), the share of the ratings within
/// their 50, 80, 90 and 95 % prediction intervals, and the mean width of the 90 % ones.
#[derive(clap::Args)]
#[command(after_long_help = [rating::DEFINITIONS, ranking::DEFINITIONS].join("\n"))]
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
    /// Bound predictions to the range of the training ratings, as train --clip does
    #[arg(long)]
    clip: bool,
    /// Leave out test pairs that the model was trained on, which say nothing of new ones; without it they
    /// are counted, and said
    #[arg(long)]
    leave_out_seen: bool,
    /// Measure beside the model what knows no tastes: biases alone and the mean; with --ranking
    /// popularity (training ratings) and item biases alone
    #[arg(long)]
    baselines: bool,
    /// Fold in the users of this file that the model does not know, from their ratings in it, which count as
    /// seen: what the model is worth for new users (strong generalization, Liang et al. 2018). `wgmf split
    /// --users 0.1`, then a split of its test part, makes such files
    #[arg(long, value_name = "FILE")]
    fold_in: Option<PathBuf>,
    /// Write the figures of each user to a file too, as CSV; .gz and .zst are compressed
    #[arg(long, value_name = "FILE")]
    per_user: Option<PathBuf>,
    /// Replace an existing --per-user file
    #[arg(long, requires = "per_user")]
    force: bool,
    #[command(flatten)]
    ranking: ranking::Args,
    #[command(flatten)]
    read: ReadOptions,
}

/// Runs the subcommand.
pub(super) fn run(args: Args, given: &dyn Fn(&str) -> bool) -> Result<()> {
    args.ranking.check(args.fold_in.is_some())?;
    if let Some(output) = &args.per_user {
        check_other(output, &args.ratings)?;
        check_apart(output, &args.model)?;
        check_other(output, args.fold_in.as_slice())?;
    }
    let per_user =
        args.per_user.as_ref().map(|file| Output::create(file, args.force)).transpose()?;
    let criterion = args.ranking.criterion()?;
    let (mut model, mut seen, mut samples) = by::opened(&args.model, criterion)?;
    args.check(&model)?;
    if args.clip {
        clip(&mut model)?;
    }
    let mut folded = None;
    if let Some(file) = &args.fold_in {
        if Output::is_standard(file) && args.ratings.iter().any(|path| Output::is_standard(path)) {
            return Err(Error::settings("--fold-in - and - cannot both be standard input"));
        }
        let new = NewRatings {
            files: std::slice::from_ref(file),
            read: args.read.clone(),
            duplicates: args.duplicates,
            side: Side::User,
            update: false,
            strict: args.strict,
        };
        let (device, steps) = (args.ranking.open_device()?, Steps::new(false));
        let users = model.users.len() as u32;
        fold_in::users_of(&*device, &mut model, samples.as_mut(), &mut seen, &new, &steps)?;
        if model.users.len() as u32 == users {
            let message = "has no user that the model does not know, and so none to be folded in";
            return Err(Error::file(file, message));
        }
        say!("{} folded in", counted(model.users.len() - users as usize, "user"));
        folded = Some(users);
    }
    let samples = samples.as_ref();
    let options = alike::options(&model, &args.read, given);
    let mut table = read(&args.ratings, &options, &Steps::new(false))?;
    let merged = table.settle(alike::duplicates(&model, args.duplicates), Order::Canonical)?;
    if merged > 0 {
        say!("{} merged", counted(merged, "duplicate"));
    }
    let needs_ratings = !model.objective.is_implicit() && !args.ranking.ranking;
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
            return Err(Error::data(format!("{} (--strict)", escaped(&text))));
        }
        let then = match args.ranking.ranking {
            true => "left out",
            false => scored_how(&model),
        };
        say!("{text}; {then}");
    }
    let unknown = [users.len() as u64, items.len() as u64];
    if let Some(first) = folded {
        args.keep_folded_in(&mut table, &model.users, first)?;
    }
    let mut ratings = align(&table, &model.users, &model.items);
    if args.ranking.ranking {
        let trained_on = args.leave_out(&seen, &mut ratings, &mut Vec::new())?;
        let test = ranking::Test {
            ratings,
            has_ratings: table.has_ratings,
            unknown,
            trained_on: trained_on as u64,
            seen: &seen,
        };
        let how = ranking::How { json: args.json, baselines: args.baselines, per_user };
        return ranking::run(&args.ranking, &model, samples, &test, how);
    }
    model.objective.transform.check(&ratings.values, |row| {
        let (file, line) = table.origin(row);
        format!("{file}:{line}: rating {}", ratings.values[row])
    })?;
    let mut owners = table.ratings.users.clone();
    let predictive = samples.map(|samples| Predictive::new(&model, samples)).transpose()?;
    if let Some(predictive) = &predictive
        && let Some(row) = first_without_level(predictive, &ratings.values)
    {
        let (file, line) = table.origin(row);
        let rating = format!("{file}:{line}: rating {}", ratings.values[row]);
        return Err(no_level(predictive, &rating));
    }
    let trained_on = args.leave_out(&seen, &mut ratings, &mut owners)?;
    let mut shown = match &predictive {
        Some(predictive) => Shown::Predictive(predictive_metrics(predictive, &ratings)?),
        None => Shown::Ratings(rating_metrics(&model, &ratings)?),
    };
    let fill = |metrics: &mut RatingMetrics| {
        metrics.seen_pairs = trained_on as u64;
        [metrics.unknown_users, metrics.unknown_items] = unknown;
    };
    fill(shown.rating_mut());
    let mut baselines = match args.baselines {
        true => Some(rating_baselines(&model, &seen, &ratings)?),
        false => None,
    };
    if let Some(beside) = &mut baselines {
        fill(&mut beside.biases);
        fill(&mut beside.mean);
    }
    if let Some(out) = per_user {
        let by_user = ratings_by_user(&model, predictive.as_ref(), &ratings, &owners)?;
        per_user::write(out, &by_user, &table.users)?;
    }
    rating::print(&model, &shown, baselines.as_ref(), args.json)
}

impl Args {
    /// Whether the flags go together, and suit the model.
    fn check(&self, model: &Model) -> Result<()> {
        if self.baselines && !self.ranking.ranking && model.objective.is_implicit() {
            return Err(Error::settings(format!(
                "--baselines: {} have no mean and no biases beside them; add --ranking, which has popularity",
                match model.unit() {
                    Unit::Score => "scores of a loss made for ranking",
                    _ => "preferences",
                }
            )));
        }
        Ok(())
    }

    /// Leaves out the test ratings of all but the users that were folded in, the `first` of the model's and
    /// those behind it.
    fn keep_folded_in(&self, table: &mut Table, users: &Ids, first: u32) -> Result<()> {
        let row = |user: u32| users.get(table.users.name(user));
        let keep: Vec<bool> = table
            .ratings
            .users
            .iter()
            .map(|&user| row(user).is_some_and(|row| row >= first))
            .collect();
        let others = keep.iter().filter(|&&keep| !keep).count();
        if others == keep.len() {
            return Err(Error::data("no test rating is of a user that was folded in"));
        }
        if others > 0 {
            let all = counted(keep.len(), "test rating");
            say!("{} of {all} are of others and left out", thousands(others as u64));
        }
        table.retain(|row| keep[row]);
        Ok(())
    }

    /// Says how many of the ratings are of training pairs, and leaves them out if asked to; how many there
    /// were.
    fn leave_out(
        &self,
        seen: &Seen,
        ratings: &mut Ratings,
        owners: &mut Vec<u32>,
    ) -> Result<usize> {
        let trained_on: Vec<bool> =
            ratings.iter().map(|(user, item, _)| seen.contains(user, item)).collect();
        let count = trained_on.iter().filter(|&&is| is).count();
        if count == 0 {
            return Ok(0);
        }
        let of = format!("{} of {}", thousands(count as u64), thousands(ratings.len() as u64));
        let pairs = "test pairs are pairs that the model was trained on";
        match (self.leave_out_seen, self.ranking.ranking && !self.ranking.include_seen) {
            (true, _) => say!("{of} {pairs}; left out"),
            (false, true) => say!("{of} {pairs}; they count nowhere"),
            (false, false) => say!(
                "note: {of} {pairs}, so these are no figures of new ones; --leave-out-seen leaves them \
                 out"
            ),
        }
        if self.leave_out_seen {
            let mut kept = trained_on.iter().map(|is| !is);
            owners.retain(|_| kept.next().unwrap_or(true));
            leave_out_seen(seen, ratings);
        }
        match ratings.is_empty() {
            true => Err(Error::data(
                "the model was trained on every test pair, so --leave-out-seen leaves none",
            )),
            false => Ok(count),
        }
    }
}

/// Bounds what a model predicts.
pub(super) fn clip(model: &mut Model) -> Result<()> {
    if model.objective.is_implicit() {
        return Err(Error::settings(format!(
            "--clip bounds predicted ratings, and what this model predicts are {}; leave it out",
            match model.unit() {
                Unit::Score => "scores",
                _ => "preferences",
            }
        )));
    }
    model.objective.clip = true;
    let asked =
        model.objective.check().map_err(|wrong| Error::settings(format!("--clip: {wrong}")));
    asked.and_then(|()| model.check())
}

/// What a score says of an id that the model does not know.
pub(super) fn scored_how(model: &Model) -> &'static str {
    match model.objective.solver {
        Solver::Bayes => "scored as those without ratings",
        Solver::Ials => "scored 0, since ials has no mean and no biases",
        _ if model.objective.loss.is_ranking() => {
            "scored 0, but for the bias that an item may have"
        }
        _ => "scored by the mean of those that are known",
    }
}

/// `3 of 50 users are not in the model: "a", "b", "c"`.
fn name_unknown(side: &str, unknown: &[u32], ids: &Ids) -> String {
    let names: Vec<&str> = unknown.iter().map(|&id| ids.name(id)).collect();
    some_of(&names, ids.len(), &format!("{side}s are not in the model"))
}
