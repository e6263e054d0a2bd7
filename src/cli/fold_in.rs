//! `wgmf fold-in`, and what `wgmf recommend --new-users` has in common with it.

use super::output::{check_outside, print_json, stdout, to_stdout};
use super::progress::Steps;
use super::words::{counted, some_of};
use super::{alike, backend, by};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wgmf::backend::Backend;
use wgmf::core::{Side, UNKNOWN, escaped};
use wgmf::data::{Duplicates, Order, ReadOptions, Table, align, read};
use wgmf::evaluate::{first_without_level, no_level};
use wgmf::files::ensure_room;
use wgmf::model::{Model, Samples, Seen, reserve};
use wgmf::predict::Predictive;
use wgmf::recommend::{Criterion, NewRows};
use wgmf::{Error, Result};

/// Give new users (or items) their rows, the rest of the model as it is
///
/// Each user that the model does not know gets the factors and the bias that fit his ratings best,
/// the items as they are, by the objective the model was trained by: any solver, either loss. For
/// --solver bayes they are drawn for each of its samples. What is written is a whole model: evaluate,
/// predict, recommend and export open it.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Files of ratings in the unit of the training file; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// Directory to write the grown model to
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Replace an existing model
    #[arg(long)]
    force: bool,
    /// Fold in items that the model does not know, from ratings of users that it knows
    #[arg(long)]
    items: bool,
    /// Solve users (with --items, items) that the model knows again, from their training ratings
    /// and these, which replace earlier ones; without it they are kept as they are
    #[arg(long)]
    update: bool,
    /// Make a rating that cannot be used an error
    #[arg(long)]
    strict: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// What becomes of several ratings of one pair. Default: as in training
    #[arg(long, value_enum)]
    duplicates: Option<Duplicates>,
    #[command(flatten)]
    read: ReadOptions,
    #[command(flatten)]
    backend: backend::Args,
}

/// Ratings to be folded in, as the command line gives them.
pub(super) struct NewRatings<'a> {
    pub files: &'a [PathBuf],
    pub read: ReadOptions,
    pub duplicates: Option<Duplicates>,
    pub side: Side,
    pub update: bool,
    pub strict: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: Args, given: &dyn Fn(&str) -> bool) -> Result<()> {
    check_outside(&args.output, &args.model)?;
    // Nobody else writes there until the model is.
    let _reserved = reserve(&args.output, args.force)?;
    // The grown model is larger, if anything.
    ensure_room(&args.output, directory_bytes(&args.model), "a grown model")?;
    let (mut model, mut seen, mut samples) = by::opened(&args.model, Criterion::Mean)?;
    let (backend, why) = args.backend.open()?;
    say!("device: {} ({why})", backend.device().name);
    let new = NewRatings {
        files: &args.ratings,
        read: alike::options(&model, &args.read, given),
        duplicates: args.duplicates,
        side: if args.items { Side::Item } else { Side::User },
        update: args.update,
        strict: args.strict,
    };
    let before = ids(&model, new.side);
    let table = new.settled(read(new.files, &new.read, &Steps::new(false))?, &model)?;
    let rows = new.rows(&model, samples.as_ref(), &seen, &table)?;
    drop(table);
    let (count, ratings) = (rows.ids.len(), rows.ratings.len());
    let clock = Instant::now();
    new.join(&*backend, &mut model, samples.as_mut(), &mut seen, rows)?;
    let seconds = clock.elapsed().as_secs_f64();
    model.save_with(&args.output, &seen, samples.as_ref(), args.force)?;
    let side = new.side.name();
    let added = ids(&model, new.side) - before;
    let updated = count - added;
    if args.json {
        return print_json(&serde_json::json!({
            format!("folded_in_{side}s"): added,
            format!("updated_{side}s"): updated,
            "ratings": ratings,
            "seconds": seconds,
            "model": args.output.display().to_string(),
        }));
    }
    let mut out = stdout();
    let mut text = format!("{} folded in", counted(added, side));
    if updated > 0 {
        text += &format!(", {} solved again", counted(updated, side));
    }
    text += &format!(" from {} in {seconds:.3} s", counted(ratings, "rating"));
    let written = writeln!(out, "{text}\nmodel: {}", args.output.display());
    to_stdout(written.and_then(|()| out.flush()))
}

/// Bytes of the files in a directory; 0 of one that cannot be read, as its reader will say.
fn directory_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(|of| of.is_file())
        .map(|of| of.len())
        .sum()
}

fn ids(model: &Model, side: Side) -> usize {
    match side {
        Side::User => model.users.len(),
        Side::Item => model.items.len(),
    }
}

/// Folds new users into the model, its samples and its record, and returns the rows of all users of the
/// file that it knows now, in order of first appearance.
pub(super) fn users_of(
    backend: &dyn Backend,
    model: &mut Model,
    samples: Option<&mut Samples>,
    seen: &mut Seen,
    new: &NewRatings,
    steps: &Steps,
) -> Result<Vec<u32>> {
    let table = read(new.files, &new.read, steps)?;
    let listed = table.users.clone();
    let table = new.settled(table, model)?;
    let rows = new.rows(model, samples.as_deref(), seen, &table)?;
    // Users that are known have their lists even where nobody is new.
    if !rows.ids.is_empty() || rows.known.is_empty() {
        new.join(backend, model, samples, seen, rows)?;
    }
    // What they have rated in this file is left out of their lists too.
    let mut rated = align(&table, &model.users, &model.items);
    let known = |at: usize| rated.users[at] != UNKNOWN && rated.items[at] != UNKNOWN;
    let known: Vec<bool> = (0..rated.len()).map(known).collect();
    rated.retain(|at| known[at]);
    rated.values.iter_mut().for_each(|value| *value = model.objective.transform.apply(*value));
    *seen = seen.extended(&rated, model.factors.users(), model.factors.items())?;
    Ok(listed.iter().filter_map(|id| model.users.get(id)).collect())
}

impl NewRatings<'_> {
    /// The ratings without duplicates and in canonical order.
    fn settled(&self, mut table: Table, model: &Model) -> Result<Table> {
        let merged = table.settle(alike::duplicates(model, self.duplicates), Order::Canonical)?;
        if merged > 0 {
            say!("{} merged", counted(merged, "duplicate"));
        }
        alike::outside(model, &table);
        if !table.has_ratings && !model.objective.is_implicit() {
            say!("no rating column: every rating counts as 1");
        }
        Ok(table)
    }

    /// The rows to be folded in; says what is left out.
    fn rows(
        &self,
        model: &Model,
        samples: Option<&Samples>,
        seen: &Seen,
        table: &Table,
    ) -> Result<NewRows> {
        let rows = NewRows::of(model, seen, self.side, table, self.update)?;
        if let Some(samples) = samples {
            let predictive = Predictive::new(model, samples)?;
            if let Some(row) = first_without_level(&predictive, &table.ratings.values) {
                let (file, line) = table.origin(row);
                let rating = format!("{file}:{line}: rating {}", table.ratings.values[row]);
                return Err(no_level(&predictive, &rating));
            }
        }
        let (side, partner) = (self.side.name(), self.side.partner().name());
        let (own, partners) = match self.side {
            Side::User => (table.users.len(), table.items.len()),
            Side::Item => (table.items.len(), table.users.len()),
        };
        let strict = |text: String| match self.strict {
            true => Err(Error::data(format!("{} (--strict)", escaped(&text)))),
            false => Ok(text),
        };
        if !rows.strangers.is_empty() {
            let what = format!("{partner}s are not in the model");
            let text = strict(some_of(&rows.strangers, partners, &what))?;
            say!("{text}; their ratings are left out");
        }
        if !rows.empty.is_empty() {
            let what = format!("{side}s have no rating with a {partner} of the model");
            let what = what.replace("a item", "an item");
            let text = strict(some_of(&rows.empty, own, &what))?;
            say!("{text}; skipped");
        }
        if !rows.known.is_empty() && !self.update {
            let text = some_of(&rows.known, own, &format!("{side}s are in the model already"));
            let how = "kept as they are (wgmf fold-in --update solves them again)";
            say!("{text}; {how}");
        }
        Ok(rows)
    }

    fn join(
        &self,
        backend: &dyn Backend,
        model: &mut Model,
        samples: Option<&mut Samples>,
        seen: &mut Seen,
        rows: NewRows,
    ) -> Result<()> {
        let side = self.side.name();
        if rows.ids.is_empty() {
            let nothing_new = format!(
                "no new {side} is left to fold in: none has a rating with a {} of the model; are \
                 the ids of the same kind as in training?",
                self.side.partner().name()
            );
            return Err(Error::data(match rows.known.is_empty() {
                true => nothing_new.replace("a item", "an item"),
                false => format!(
                    "no new {side} is left to fold in: the others are in the model already; add \
                     --update to solve them again from these ratings too"
                ),
            }));
        }
        let folded = rows.fold_in(backend, model, samples.as_deref(), self.side)?;
        *seen = folded.join(model, samples, seen)?;
        Ok(())
    }
}
