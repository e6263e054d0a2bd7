//! `wgmf similar`.

use super::listing::{self, Columns, Entry, Listing};
use super::output::{check_apart, check_other};
use super::progress::Steps;
use super::words::{counted, there_are_only, thousands};
use super::{backend, by, chosen};
use std::path::PathBuf;
use wgmf::core::Side;
use wgmf::data::{Titles, TitlesOptions};
use wgmf::model::{Model, settled};
use wgmf::predict::Predictive;
use wgmf::progress::Progress;
use wgmf::recommend::{Criterion, Metric, Neighbours};
use wgmf::{Error, Result};

/// List what is most like an item or a user: item,rank,similar,score
///
/// By the cosine of the factors, or their inner product; biases play no part. Factors that are all
/// zero have no direction: their cosine counts as 0. Nothing is listed for itself. Of a model of
/// --solver bayes the inner products are means over its samples, so that rows of which little is
/// known are like nothing.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["items", "items_file", "users", "users_file", "all"]))]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Items like these; a text that is an id as a whole, commas and all, is that id
    #[arg(long, value_name = "A,B")]
    items: Vec<String>,
    /// Items like those of a file: one id a line, or a table's first or item column
    #[arg(long, value_name = "FILE")]
    items_file: Option<PathBuf>,
    /// Users like these
    #[arg(long, value_name = "A,B")]
    users: Vec<String>,
    /// Users like those of a file
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
    /// Items like each item of the model
    #[arg(long)]
    all: bool,
    /// Entries a list
    #[arg(short, value_name = "N", default_value_t = 10)]
    n: usize,
    #[command(flatten)]
    chosen: chosen::Args,
    /// How likeness is measured
    #[arg(long, value_enum, default_value_t)]
    metric: Metric,
    /// Add what items (with --users, users) are called, from a file of ids and titles
    #[arg(long, value_name = "FILE")]
    titles: Option<PathBuf>,
    #[command(flatten)]
    titles_options: TitlesOptions,
    /// Make an id that the model does not know an error
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    listing: listing::Args,
    #[command(flatten)]
    backend: backend::Args,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    if args.n == 0 {
        return Err(Error::settings("-n 0: must be 1 or more"));
    }
    if let Some(output) = &args.listing.output {
        check_apart(output, &args.model)?;
        let files = [&args.items_file, &args.users_file, &args.titles].into_iter().flatten();
        check_other(output, &files.chain(args.chosen.files()).collect::<Vec<_>>())?;
    }
    let out = args.listing.open()?;
    let (model, samples) = settled(&args.model, || {
        let model = Model::open(&args.model)?;
        let samples = by::samples(&model, &args.model, Criterion::Mean)?;
        Ok((model, samples))
    })?;
    let side = match args.users.is_empty() && args.users_file.is_none() {
        true => Side::Item,
        false => Side::User,
    };
    let ids = model.ids(side);
    let rows: Vec<u32> = match args.items_file.as_ref().or(args.users_file.as_ref()) {
        Some(file) => chosen::listed(file, ids, side, args.strict)?,
        None if args.all => (0..ids.len() as u32).collect(),
        None => chosen::named(&[&args.items[..], &args.users].concat(), ids, side, args.strict)?,
    };
    let keep = args.chosen.kept(ids, side, args.strict)?;
    let others = keep.iter().filter(|kept| **kept).count();
    let titles = match &args.titles {
        Some(file) => {
            let titles = Titles::read(file, &args.titles_options, ids, side)?;
            say!("{}", titles.recognised);
            Some(titles)
        }
        None => None,
    };
    if args.n >= ids.len() {
        let others = counted(ids.len().saturating_sub(1), &format!("other {}", side.name()));
        say!("-n {}: the model has {others}; lists have all", args.n);
    } else if args.n > others {
        let others = there_are_only(others, side.name());
        say!("-n {}: {others} to list; lists have all that are left", args.n);
    }
    let (backend, why) = args.backend.open()?;
    say!("device: {} ({why})", backend.device().name);
    let columns = Columns {
        of: side.name(),
        entry: "similar",
        score: match args.metric {
            Metric::Cosine => "cosine",
            Metric::Inner => "product",
        },
        titles: titles.is_some(),
        parts: None,
        own_unit: false,
    };
    let mut listing = Listing::new(&args.listing, out, columns)?;
    let steps = Steps::new(args.listing.on_terminal());
    steps.start("comparing", Some(rows.len() as u64), "rows");
    let title = |row: u32| titles.as_ref().map_or("", |titles| titles.title(row));
    let predictive =
        samples.as_ref().map(|samples| Predictive::new(&model, samples)).transpose()?;
    let keep = |row: u32| keep[row as usize];
    let neighbours = match &predictive {
        Some(predictive) => {
            Neighbours::by_samples_among(&*backend, predictive, side, args.metric, keep)?
        }
        None => Neighbours::among(&*backend, &model, side, args.metric, keep)?,
    };
    let listed = neighbours.each(rows.iter().copied(), args.n, |row, list| {
        steps.advance(1);
        let entries: Vec<Entry> = list
            .iter()
            .map(|similar| Entry {
                id: ids.name(similar.row),
                title: title(similar.row),
                score: similar.score,
                reason: None,
            })
            .collect();
        listing.add(ids.name(row), title(row), &entries)
    });
    steps.finish();
    listed?;
    let (lists, entries) = listing.finish()?;
    if let Some(file) = &args.listing.output {
        let lists = counted(lists as usize, side.name());
        let entries = match entries {
            1 => "1 entry".to_owned(),
            entries => format!("{} entries", thousands(entries)),
        };
        say!("wrote {entries} for {lists} to {}", file.display());
    }
    Ok(())
}
