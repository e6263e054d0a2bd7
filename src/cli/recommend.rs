//! `wgmf recommend`.

use super::fold_in::{self, NewRatings};
use super::listing::{self, Columns, Entry, Listing, Reason, skip_unknown};
use super::output::is_closed_pipe;
use super::progress::Steps;
use super::words::{some_of, thousands};
use super::{backend, by};
use std::path::PathBuf;
use wgmf::core::{Ids, Side};
use wgmf::data::{
    BadRows, Decimal, Delimiter, Duplicates, Encoding, Format, Header, IdList, Quotes, ReadOptions,
    Titles, TitlesOptions,
};
use wgmf::model::Model;
use wgmf::predict::{Predictive, Unit};
use wgmf::progress::Progress;
use wgmf::recommend::{Catalogue, Explainer, Recommendation, Recommender};
use wgmf::{Error, Result};

/// List the best items for users: user,rank,item,score
///
/// Scores are predicted ratings in the unit of the ratings the model was trained on, probabilities
/// for --loss logistic, preferences (about 1 for what was chosen) for --solver ials. Items that a
/// user has rated in training are left out. All items are ranked, exactly; equal scores go by the
/// order of the items in the model.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true).args(["all", "users", "users_file", "new_users"]))]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Every user of the model
    #[arg(long)]
    all: bool,
    /// These users (ids with commas in them: --users-file)
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    users: Vec<String>,
    /// The users of a file: one id a line, or a table's first or user column
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
    /// Users that the model does not know, from a file of their ratings in the unit of the training
    /// file: each gets a row that fits them (fold-in), and the rated items are left out
    #[arg(long, value_name = "RATINGS")]
    new_users: Option<PathBuf>,
    /// Items a list
    #[arg(short, value_name = "N", default_value_t = 10)]
    n: usize,
    /// List items too that the user has rated in training
    #[arg(long)]
    include_seen: bool,
    /// List only the items of a file: one id a line, or a table's first or item column
    #[arg(long, value_name = "FILE")]
    only: Option<PathBuf>,
    /// List no item of a file
    #[arg(long, value_name = "FILE")]
    exclude: Option<PathBuf>,
    /// Add what items are called, from a file of ids and titles (movies.csv, movies.dat, u.item,
    /// artists.dat, ...)
    #[arg(long, value_name = "FILE")]
    titles: Option<PathBuf>,
    #[command(flatten)]
    titles_options: TitlesOptions,
    /// Explain scores by the N items of the user that weigh most (als and ials; default 3); the
    /// user's row is solved again from his ratings, and the parts add up to the score
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "3")]
    explain: Option<usize>,
    /// Make an id that the model does not know an error
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    by: by::Args,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    listing: listing::Args,
    #[command(flatten)]
    backend: backend::Args,
}

/// How the file of `--new-users` is read; `--format` is taken by the lists.
#[derive(clap::Args)]
#[command(next_help_heading = "Ratings of new users")]
#[group(skip)]
struct ReadArgs {
    /// Columns of user, item, rating and timestamp, as in training
    #[arg(long, value_name = "USER,ITEM[,RATING[,TIME]]")]
    columns: Option<String>,
    /// What separates the fields, as in training
    #[arg(long, value_name = "TEXT")]
    delimiter: Option<Delimiter>,
    /// Whether the first line names the columns
    #[arg(long, value_enum)]
    header: Option<Header>,
    /// `triples` has one rating a line; `grouped` has a user followed by its items
    #[arg(long, value_enum)]
    ratings_format: Option<Format>,
    /// Whether fields may stand in quotes
    #[arg(long, value_enum)]
    quotes: Option<Quotes>,
    /// How bytes are characters: a label of the WHATWG Encoding Standard
    #[arg(long, value_name = "LABEL")]
    encoding: Option<Encoding>,
    /// What separates whole numbers from fractions in ratings: `.` or `,`
    #[arg(long, value_name = "MARK")]
    decimal: Option<Decimal>,
    /// What becomes of lines that cannot be read
    #[arg(long, value_enum)]
    bad_rows: Option<BadRows>,
    /// A value that is no rating, left out; repeatable
    #[arg(long, value_name = "X")]
    drop_value: Vec<f32>,
    /// What becomes of several ratings of one pair, as in training
    #[arg(long, value_enum)]
    duplicates: Option<Duplicates>,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    if args.n == 0 {
        return Err(Error::settings("-n 0: must be 1 or more"));
    }
    if args.explain == Some(0) {
        return Err(Error::settings("--explain=0: must be 1 or more"));
    }
    args.read.check(args.new_users.is_some())?;
    let criterion = args.by.criterion()?;
    let out = args.listing.open()?;
    let steps = Steps::new(args.listing.on_terminal());
    let mut model = Model::open(&args.model)?;
    let mut seen = model.open_seen(&args.model)?;
    let mut samples = by::samples(&model, &args.model, criterion)?;
    let users = match (&args.new_users, &args.users_file) {
        (Some(_), _) => Vec::new(),
        (None, Some(file)) => args.known(IdList::read(file, &model.users, Side::User)?)?,
        (None, None) if args.all => (0..model.factors.users() as u32).collect(),
        (None, None) => args.known(IdList::new(&args.users, &model.users))?,
    };
    let only = args.items(args.only.as_ref(), "--only", &model.items)?;
    let exclude = args.items(args.exclude.as_ref(), "--exclude", &model.items)?;
    let titles = match &args.titles {
        Some(file) => {
            let titles = Titles::read(file, &args.titles_options, &model.items, Side::Item)?;
            say!("{}", titles.recognised);
            Some(titles)
        }
        None => None,
    };
    let (backend, why) = args.backend.open()?;
    say!("device: {} ({why})", backend.device().name);
    let users = match &args.new_users {
        Some(file) => {
            let new = NewRatings {
                files: std::slice::from_ref(file),
                read: args.read.options(),
                duplicates: args.read.duplicates.unwrap_or_default(),
                side: Side::User,
                update: false,
                strict: args.strict,
            };
            fold_in::users_of(&*backend, &mut model, samples.as_mut(), &mut seen, &new, &steps)?
        }
        None => users,
    };
    let samples = samples.as_ref();
    let predictive = samples.map(|samples| Predictive::new(&model, samples)).transpose()?;
    let keep = args.kept(&model, only.as_deref(), exclude.as_deref())?;
    let keep = |item: u32| keep[item as usize];
    let catalogue = match &predictive {
        Some(predictive) => Catalogue::by_samples(predictive, criterion, keep)?,
        None => Catalogue::filtered(&model, keep),
    };
    if !catalogue.is_ranked_by_backend() && backend.device().backend != "cpu" {
        say!("these scores are made of every sample's, on the processor");
    }
    if args.n > catalogue.len() {
        say!(
            "-n {}: there are only {} items to recommend; lists have all that are left",
            args.n,
            thousands(catalogue.len() as u64)
        );
    }
    // A list explains no more than there are items.
    let explain = args.explain.map(|parts| parts.min(model.factors.items()));
    let explainer = explain.map(|_| Explainer::new(&model)).transpose()?;
    let left_out = Some(&seen).filter(|_| !args.include_seen);
    let mut recommender = Recommender::new(&*backend, &catalogue)?;
    if let Some(seen) = left_out {
        recommender = recommender.leaving_out(seen)?;
    }
    if let Some(explainer) = &explainer {
        recommender = recommender.explained(explainer, &seen)?;
    }
    let columns = Columns {
        of: "user",
        entry: "item",
        score: match model.unit() {
            Unit::Rating => "rating",
            Unit::Probability => "probability",
            Unit::Preference => "preference",
        },
        titles: titles.is_some(),
        parts: explain,
        own_unit: scale(&model).is_none(),
    };
    let mut listing = Listing::new(&args.listing, out, columns)?;
    steps.start("recommending", Some(users.len() as u64), "users");
    let mut empty: Vec<&str> = Vec::new();
    let listed = recommender.each(users.iter().copied(), args.n, |user, list| {
        steps.advance(1);
        if list.is_empty() {
            empty.push(model.users.name(user));
        }
        let entry = |best| entry(&model, titles.as_ref(), best, explain.unwrap_or(0));
        let entries: Vec<Entry> = list.iter().map(entry).collect();
        listing.add(model.users.name(user), "", &entries)
    });
    steps.finish();
    if !empty.is_empty() {
        let what = "users have rated every item that could be listed, so their lists are empty";
        say!("{} (--include-seen lists rated items too)", some_of(&empty, users.len(), what));
    }
    if let Err(error) = listed {
        // What came before a failure is worth having: standard output gets it.
        if args.listing.output.is_none() && !is_closed_pipe(&error) {
            listing.finish()?;
        }
        return Err(error);
    }
    let (lists, entries) = listing.finish()?;
    if let Some(file) = &args.listing.output {
        let (lists, entries) = (thousands(lists), thousands(entries));
        say!("wrote {entries} items for {lists} users to {}", file.display());
    }
    Ok(())
}

/// By what a difference in the model's unit becomes one in the unit of the scores, if there is one
/// number for that.
fn scale(model: &Model) -> Option<f64> {
    match model.unit() {
        Unit::Rating => model.objective.transform.scale(),
        Unit::Probability => None,
        Unit::Preference => Some(1.0),
    }
}

fn entry<'a>(
    model: &'a Model,
    titles: Option<&'a Titles>,
    best: &Recommendation,
    shown: usize,
) -> Entry<'a> {
    let title = |item: u32| titles.map_or("", |titles| titles.title(item));
    let reason = best.explanation.as_ref().map(|explanation| {
        let factor = scale(model);
        let unit = factor.unwrap_or(1.0);
        let parts = explanation.parts.iter().take(shown);
        let rest = explanation.parts.iter().skip(shown).map(|part| part.1).sum::<f64>();
        Reason {
            base: match factor {
                // What the parts are added to has no bounds.
                Some(_) if model.unit() == Unit::Rating => {
                    model.objective.transform.invert(explanation.base)
                }
                Some(_) => model.in_unit(explanation.base),
                None => explanation.base,
            },
            parts: parts
                .map(|&(item, part)| (model.items.name(item), title(item), unit * part))
                .collect(),
            rest: unit * rest,
            sum: match factor {
                Some(_) => best.score,
                None => explanation.score,
            },
        }
    });
    let id = model.items.name(best.item);
    Entry { id, title: title(best.item), score: best.score, reason }
}

impl Args {
    /// The users of a list that the model knows; the others are said.
    fn known(&self, list: IdList) -> Result<Vec<u32>> {
        skip_unknown(&list.unknown, list.len(), "users", self.strict)?;
        Ok(list.rows)
    }

    /// The items of a file of ids; those that the model does not know are said.
    fn items(&self, file: Option<&PathBuf>, flag: &str, ids: &Ids) -> Result<Option<Vec<u32>>> {
        let Some(file) = file else { return Ok(None) };
        let list = IdList::read(file, ids, Side::Item)?;
        if list.rows.is_empty() && flag == "--only" {
            let text = some_of(&list.unknown, list.len(), "ids are not in the model");
            let message = format!("{text}; {flag} needs an item that the model knows");
            return Err(Error::file(file, message));
        }
        if !list.unknown.is_empty() {
            let what = format!("ids of {flag} are not in the model");
            let text = some_of(&list.unknown, list.len(), &what);
            if self.strict {
                return Err(Error::file(file, format!("{text} (--strict)")));
            }
            say!("{}: {text}; skipped", file.display());
        }
        Ok(Some(list.rows))
    }

    /// (items): whether each may be listed.
    fn kept(
        &self,
        model: &Model,
        only: Option<&[u32]>,
        exclude: Option<&[u32]>,
    ) -> Result<Vec<bool>> {
        let mut keep = vec![only.is_none(); model.factors.items()];
        for &item in only.unwrap_or_default() {
            keep[item as usize] = true;
        }
        for &item in exclude.unwrap_or_default() {
            keep[item as usize] = false;
        }
        match keep.contains(&true) {
            true => Ok(keep),
            false if only.is_some() => Err(Error::data(
                "--exclude leaves out every item of --only; nothing is left to list",
            )),
            false => Err(Error::data("--exclude leaves out every item; nothing is left to list")),
        }
    }
}

impl ReadArgs {
    /// Whether the flags have something to act on. (The parser lets a flag that requires another
    /// pass where that other one is excluded.)
    fn check(&self, new_users: bool) -> Result<()> {
        let given = [
            ("columns", self.columns.is_some()),
            ("delimiter", self.delimiter.is_some()),
            ("header", self.header.is_some()),
            ("ratings-format", self.ratings_format.is_some()),
            ("quotes", self.quotes.is_some()),
            ("encoding", self.encoding.is_some()),
            ("decimal", self.decimal.is_some()),
            ("bad-rows", self.bad_rows.is_some()),
            ("drop-value", !self.drop_value.is_empty()),
            ("duplicates", self.duplicates.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given && !new_users) {
            Some((flag, _)) => Err(Error::settings(format!(
                "--{flag} says how the file of --new-users is read; leave it out"
            ))),
            None => Ok(()),
        }
    }

    fn options(&self) -> ReadOptions {
        ReadOptions {
            columns: self.columns.clone(),
            delimiter: self.delimiter,
            header: self.header.unwrap_or_default(),
            format: self.ratings_format.unwrap_or_default(),
            quotes: self.quotes.unwrap_or_default(),
            encoding: self.encoding,
            decimal: self.decimal.unwrap_or_default(),
            bad_rows: self.bad_rows.unwrap_or_default(),
            drop_value: self.drop_value.clone(),
            ..ReadOptions::default()
        }
    }
}
