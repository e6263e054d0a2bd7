//! `wgmf recommend`.

use super::fold_in::{self, NewRatings};
use super::listing::{self, Columns, Entry, Listing, Reason};
use super::output::{check_apart, check_other, is_closed_pipe};
use super::progress::Steps;
use super::words::{counted, some_of, there_are_only, thousands};
use super::{alike, backend, by, chosen};
use std::path::{Path, PathBuf};
use wgmf::core::{Ids, Side, UNKNOWN};
use wgmf::data::{
    BadRows, Decimal, Delimiter, Duplicates, Encoding, Format, Header, Quotes, ReadOptions, Titles,
    TitlesOptions, align, read_pairs,
};
use wgmf::model::{Model, Samples, Seen};
use wgmf::predict::{Predictive, Unit};
use wgmf::progress::Progress;
use wgmf::recommend::{Catalogue, Criterion, Explainer, Recommendation, Recommender};
use wgmf::{Error, Result};

/// List the best items for users: user,rank,item,score; or users for items: item,rank,user,score
///
/// Scores are predicted ratings in the unit of the ratings the model was trained on, probabilities
/// for --loss logistic, preferences (about 1 for what was chosen) for --solver ials; of losses made for
/// ranking cosines, −1 to 1, or inner products (--score inner), which order the items of one user. Items that a
/// user has rated in training are left out. All items are ranked, exactly; equal scores go by the
/// order of the items in the model. With --for-items all that is said of users and items holds the
/// other way round: who has rated the item is left out.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).multiple(true)
    .args(["all", "users", "users_file", "new_users", "for_items", "for_items_file", "for_all_items", "allow"]))]
#[command(group = clap::ArgGroup::new("who")
    .args(["all", "users", "users_file", "new_users", "for_items", "for_items_file", "for_all_items"]))]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Every user of the model
    #[arg(long)]
    all: bool,
    /// These users; a text that is an id as a whole, commas and all, is that id
    #[arg(long, value_name = "A,B")]
    users: Vec<String>,
    /// The users of a file: one id a line, or a table's first or user column
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
    /// Users that the model does not know, from a file of their ratings in the unit of the training
    /// file: each gets a row that fits them (fold-in), and the rated items are left out
    #[arg(long, value_name = "RATINGS")]
    new_users: Option<PathBuf>,
    /// The users for these items, those with the highest score first
    #[arg(long, value_name = "A,B")]
    for_items: Vec<String>,
    /// The users for the items of a file: one id a line, or a table's first or item column
    #[arg(long, value_name = "FILE")]
    for_items_file: Option<PathBuf>,
    /// The users for every item of the model
    #[arg(long)]
    for_all_items: bool,
    /// List for each user only the items that a file pairs him with (user,item a line); alone, for the
    /// users of that file
    #[arg(long, value_name = "PAIRS")]
    allow: Option<PathBuf>,
    /// Entries a list
    #[arg(short, value_name = "N", default_value_t = 10)]
    n: usize,
    /// List items too that the user has rated in training
    #[arg(long)]
    include_seen: bool,
    #[command(flatten)]
    chosen: chosen::Args,
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
    let exchanged = args.is_for_items();
    if exchanged {
        args.check_exchanged(criterion)?;
    }
    if let Some(output) = &args.listing.output {
        check_apart(output, &args.model)?;
        check_other(output, &args.files())?;
    }
    let out = args.listing.open()?;
    let steps = Steps::new(args.listing.on_terminal());
    let (mut model, mut seen, mut samples) = by::opened(&args.model, criterion)?;
    // Whose lists they are, and what is listed, by the sides of the training file.
    let (mut of, mut entry_side) = (Side::User, Side::Item);
    if exchanged {
        // From here on an item is a user of the model.
        (of, entry_side) = (entry_side, of);
        (model, seen) = (model.exchanged(), seen.exchanged());
        samples = samples.map(Samples::exchanged);
    }
    let users = args.users(&model, of)?;
    let keep = args.chosen.kept(&model.items, entry_side, args.strict)?;
    let titles = match &args.titles {
        Some(file) => {
            let ids = if exchanged { &model.users } else { &model.items };
            let titles = Titles::read(file, &args.titles_options, ids, Side::Item)?;
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
                read: alike::options(&model, &args.read.options(), &|field| args.read.gives(field)),
                duplicates: args.read.duplicates,
                side: Side::User,
                update: false,
                strict: args.strict,
            };
            fold_in::users_of(&*backend, &mut model, samples.as_mut(), &mut seen, &new, &steps)?
        }
        None => users,
    };
    let (allowed, users) = match &args.allow {
        Some(file) => {
            let (allowed, own) = args.allowed(file, &model, exchanged, &steps)?;
            // Where nobody else says whose lists are wanted, the file does.
            let users = if args.is_anybody_named() { users } else { own };
            (Some(allowed), users)
        }
        None => (None, users),
    };
    let samples = samples.as_ref();
    let predictive = samples.map(|samples| Predictive::new(&model, samples)).transpose()?;
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
            "-n {}: {} to recommend; lists have all that are left",
            args.n,
            there_are_only(catalogue.len(), entry_side.name())
        );
    }
    if exchanged && model.unit() == Unit::Score {
        say!(
            "note: these scores order the items of one user; which of two users an item suits better they say only \
             roughly"
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
    if let Some(allowed) = &allowed {
        recommender = recommender.allowing(allowed)?;
    }
    if let Some(explainer) = &explainer {
        recommender = recommender.explained(explainer, &seen)?;
    }
    let columns = Columns {
        of: of.name(),
        entry: entry_side.name(),
        score: match model.unit() {
            Unit::Rating => "rating",
            Unit::Probability => "probability",
            Unit::Preference => "preference",
            Unit::Score => "score",
        },
        // A user has no title.
        titles: titles.is_some() && !exchanged,
        parts: explain,
        own_unit: scale(&model).is_none(),
    };
    let entries = users.len().saturating_mul(args.n.min(catalogue.len())) as u64;
    let length = |ids: &Ids| (ids.text_bytes() / ids.len().max(1)) as u64;
    listing::foresee(&args.listing, entries, length(&model.users) + length(&model.items) + 12);
    let mut listing = Listing::new(&args.listing, out, columns)?;
    let mut empty: Vec<&str> = Vec::new();
    let wanted = if exchanged { "items" } else { "users" };
    steps.start("recommending", Some(users.len() as u64), wanted);
    let listed = recommender.each(users.iter().copied(), args.n, |user, list| {
        steps.advance(1);
        if list.is_empty() {
            empty.push(model.users.name(user));
        }
        let of_items = titles.as_ref().filter(|_| !exchanged);
        let entry = |best| entry(&model, of_items, best, explain.unwrap_or(0));
        let entries: Vec<Entry> = list.iter().map(entry).collect();
        let title = titles.as_ref().filter(|_| exchanged).map_or("", |t| t.title(user));
        listing.add(model.users.name(user), title, &entries)
    });
    steps.finish();
    if !empty.is_empty() {
        let what = match (exchanged, args.allow.is_some()) {
            (false, false) => {
                "have rated every item that could be listed, so their lists are empty"
            }
            (true, false) => {
                "have been rated by every user who could be listed, so their lists are empty"
            }
            (false, true) => "have no item left that --allow lets them have",
            (true, true) => "have no user left that --allow lets have them",
        };
        let hint = match args.include_seen {
            true => "",
            false => " (--include-seen lists rated items too)",
        };
        let what = format!("{wanted} {what}");
        say!("{}{hint}", some_of(&empty, users.len(), &what));
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
        let entries = counted(entries as usize, entry_side.name());
        let lists = counted(lists as usize, of.name());
        say!("wrote {entries} for {lists} to {}", file.display());
    }
    Ok(())
}

/// By what a difference in the model's unit becomes one in the unit of the scores, if there is one
/// number for that.
fn scale(model: &Model) -> Option<f64> {
    match model.unit() {
        Unit::Rating => model.objective.transform.scale(),
        Unit::Probability => None,
        Unit::Preference | Unit::Score => Some(1.0),
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
    /// The files that are read.
    fn files(&self) -> Vec<&PathBuf> {
        let own =
            [&self.users_file, &self.new_users, &self.for_items_file, &self.allow, &self.titles];
        own.into_iter().flatten().chain(self.chosen.files()).collect()
    }

    fn is_for_items(&self) -> bool {
        self.for_all_items || self.for_items_file.is_some() || !self.for_items.is_empty()
    }

    /// Whether a flag says whose lists are wanted.
    fn is_anybody_named(&self) -> bool {
        let of_users = self.all || self.users_file.is_some() || !self.users.is_empty();
        of_users || self.new_users.is_some() || self.is_for_items()
    }

    /// What has no meaning where users are listed.
    fn check_exchanged(&self, criterion: Criterion) -> Result<()> {
        let wrong = if self.explain.is_some() {
            "--explain tells of the items that a user has rated; leave it out of --for-items"
        } else if matches!(criterion, Criterion::Thompson { .. }) {
            "--by thompson draws a sample for each user; leave it out of --for-items"
        } else {
            return Ok(());
        };
        Err(Error::settings(wrong))
    }

    /// The rows whose lists are wanted, `side` by the training file; none yet of new users.
    fn users(&self, model: &Model, side: Side) -> Result<Vec<u32>> {
        let ids = &model.users;
        let (texts, file) = match side {
            Side::User => (&self.users, &self.users_file),
            Side::Item => (&self.for_items, &self.for_items_file),
        };
        match file {
            _ if self.new_users.is_some() => Ok(Vec::new()),
            Some(file) => chosen::listed(file, ids, side, self.strict),
            None if self.all || self.for_all_items => Ok((0..ids.len() as u32).collect()),
            None => chosen::named(texts, ids, side, self.strict),
        }
    }

    /// The pairs of the file of --allow that the model knows, and the rows whose lists they are for in order
    /// of first appearance.
    fn allowed(
        &self,
        file: &Path,
        model: &Model,
        exchanged: bool,
        steps: &Steps,
    ) -> Result<(Seen, Vec<u32>)> {
        let options = alike::options(model, &ReadOptions::default(), &|_| false);
        let table = read_pairs(&[file.to_owned()], &options, steps)?;
        let (users, items) = match exchanged {
            true => (&model.items, &model.users),
            false => (&model.users, &model.items),
        };
        let mut pairs = align(&table, users, items);
        let all = pairs.len();
        let known = |at: usize| pairs.users[at] != UNKNOWN && pairs.items[at] != UNKNOWN;
        let known: Vec<bool> = (0..all).map(known).collect();
        let strange = known.iter().position(|known| !known);
        pairs.retain(|at| known[at]);
        if let Some(first) = strange {
            let (file, line) = table.origin(first);
            let text = format!(
                "{} of {} of --allow have a user or an item that is not in the model (the first: \
                 line {line})",
                thousands((all - pairs.len()) as u64),
                counted(all, "pair"),
            );
            if self.strict || pairs.is_empty() {
                let why =
                    if self.strict { " (--strict)" } else { "; are the ids those of training?" };
                return Err(Error::file(file, format!("{text}{why}")));
            }
            say!("{file}: {text}; skipped");
        }
        pairs.values.fill(1.0);
        if exchanged {
            std::mem::swap(&mut pairs.users, &mut pairs.items);
        }
        let mut met = vec![false; model.users.len()];
        let first = |&user: &u32| !std::mem::replace(&mut met[user as usize], true);
        let rows = pairs.users.iter().copied().filter(first).collect();
        Ok((Seen::new(&pairs, model.users.len(), model.items.len())?, rows))
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

    /// Whether a field of the options is given.
    fn gives(&self, field: &str) -> bool {
        match field {
            "header" => self.header.is_some(),
            "format" => self.ratings_format.is_some(),
            "quotes" => self.quotes.is_some(),
            "decimal" => self.decimal.is_some(),
            "bad_rows" => self.bad_rows.is_some(),
            _ => false,
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
