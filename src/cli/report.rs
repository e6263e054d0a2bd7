//! `wgmf report`.

use super::output::check_apart;
use super::progress::Steps;
use super::words::{counted, some_of};
use super::{alike, backend, by};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use wgmf::backend::Backend;
use wgmf::core::{Ratings, Side};
use wgmf::data::{Order, ReadOptions, Titles, TitlesOptions, align, read};
use wgmf::evaluate::{Relevance, leave_out_seen, unknown_ids};
use wgmf::files::Output;
use wgmf::model::Model;
use wgmf::predict::Unit;
use wgmf::recommend::Criterion;
use wgmf::report::{Subject, report};
use wgmf::train::Finished;
use wgmf::{Error, Result};

/// Show a model on one page: its data, training, errors, lists, a map of its items
///
/// One HTML file that needs no network and nothing else, for any browser. With test ratings it also shows how
/// far predictions err and for whom, whether intervals hold (--solver bayes), and how lists do beside popularity.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Ratings that the model has not seen, in the unit of the training file; pairs that it was trained on are
    /// left out
    #[arg(long, value_name = "FILE")]
    test: Vec<PathBuf>,
    /// The least rating that makes a test pair relevant. Default: as evaluate --ranking has it; where that
    /// cannot know, lists are not measured
    #[arg(long, value_name = "RATING", requires = "test")]
    relevant_from: Option<f32>,
    /// What items are called, from a file of ids and titles
    #[arg(long, value_name = "FILE")]
    titles: Option<PathBuf>,
    #[command(flatten)]
    titles_options: TitlesOptions,
    /// The page to write. Default: beside the model, with -report.html added to its name
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    backend: backend::Args,
    #[command(flatten)]
    read: ReadOptions,
}

/// Runs the subcommand.
pub(super) fn run(args: Args, given: &dyn Fn(&str) -> bool) -> Result<()> {
    if args.relevant_from.is_some_and(|least| !least.is_finite()) {
        return Err(Error::settings("--relevant-from: must be a finite number"));
    }
    let name = args.model.file_name().map(|name| name.to_string_lossy().into_owned());
    let path = match (&args.output, &name) {
        (Some(output), _) => output.clone(),
        (None, Some(name)) => args.model.with_file_name(format!("{name}-report.html")),
        (None, None) => {
            let message = format!("--output is needed where the model is {}", args.model.display());
            return Err(Error::settings(message));
        }
    };
    check_apart(&path, &args.model)?;
    let out = open(&path, args.force)?;
    let (model, seen, samples) = by::opened(&args.model, Criterion::Mean)?;
    let titles = match &args.titles {
        Some(file) => {
            let titles = Titles::read(file, &args.titles_options, &model.items, Side::Item)?;
            say!("{}", titles.recognised);
            Some(titles)
        }
        None => None,
    };
    let mut test = match args.test.is_empty() {
        true => None,
        false => Some(ratings(&args, &model, given)?),
    };
    let mut relevance = None;
    if let Some((test, has_ratings)) = &mut test {
        let count = test.len();
        let left_out = leave_out_seen(&seen, test);
        if left_out > 0 {
            say!("{left_out} of {} were trained on; left out", counted(count, "test pair"));
        }
        if test.is_empty() {
            return Err(Error::data("the model was trained on every test pair, which leaves none"));
        }
        relevance = relevant(&args, &model, test, *has_ratings);
    }
    let (backend, why) = args.backend.open()?;
    say!("device: {} ({why})", backend.device().name);
    let subject = Subject {
        name: name.as_deref().unwrap_or("model"),
        model: &model,
        samples: samples.as_ref(),
        seen: &seen,
        tested: &paths(&args.test),
        test: test.as_ref().map(|(test, _)| test),
        relevance,
        titles: &|item| {
            titles.as_ref().map_or(String::new(), |titles| titles.title(item).to_owned())
        },
    };
    write(out, &path, &report(&subject, &*backend)?)
}

/// The page of a model that was trained just now; `test`: the held-out ratings, in the user's unit.
pub(super) fn of_trained(
    out: Output,
    path: &Path,
    (dir, finished): (&Path, &Finished),
    test: Option<&Ratings>,
    backend: &dyn Backend,
) -> Result<()> {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let subject = Subject {
        name: name.as_deref().unwrap_or("model"),
        model: &finished.model,
        samples: finished.samples.as_ref(),
        seen: &finished.seen,
        tested: "the held-out part",
        test,
        relevance: test.and_then(|test| usual(&finished.model, test)),
        titles: &|_| String::new(),
    };
    write(out, path, &report(&subject, backend)?)
}

/// Files in words.
pub(super) fn paths(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Where a page goes. With `force` an earlier page is replaced, but nothing else: a file of ratings is soon named
/// by mistake.
pub(super) fn open(path: &Path, force: bool) -> Result<Output> {
    const BEGINS: &[u8] = b"<!doctype html>";
    let mut head = Vec::new();
    if force && path.is_file() {
        let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
        file.take(BEGINS.len() as u64).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
        if !head.is_empty() && head != BEGINS {
            return Err(Error::file(path, "is there and is no page of HTML; choose another name"));
        }
    }
    Output::create(path, force)
}

/// Writes a page to where it goes, and says so.
pub(super) fn write(mut out: Output, path: &Path, page: &str) -> Result<()> {
    let piped = Output::is_standard(path);
    let shown = if piped { Path::new("standard output") } else { path };
    out.write_all(page.as_bytes()).map_err(|e| Error::io(shown, e))?;
    out.commit()?;
    if !piped {
        say!("wrote {} ({} KB); open it in a browser", path.display(), page.len().div_ceil(1000));
    }
    Ok(())
}

/// The test ratings, and whether their files have any.
fn ratings(args: &Args, model: &Model, given: &dyn Fn(&str) -> bool) -> Result<(Ratings, bool)> {
    let options = alike::options(model, &args.read, given);
    let mut table = read(&args.test, &options, &Steps::new(false))?;
    table.settle(alike::duplicates(model, None), Order::Canonical)?;
    alike::outside(model, &table);
    for (side, own, known) in
        [("user", &table.users, &model.users), ("item", &table.items, &model.items)]
    {
        let unknown = unknown_ids(own, known);
        if !unknown.is_empty() {
            let names: Vec<&str> = unknown.iter().map(|&id| own.name(id)).collect();
            say!("{}", some_of(&names, own.len(), &format!("{side}s are not in the model")));
        }
    }
    let ratings = align(&table, &model.users, &model.items);
    if model.unit() != Unit::Preference {
        model.objective.transform.check(&ratings.values, |row| {
            let (file, line) = table.origin(row);
            format!("{file}:{line}: rating {}", ratings.values[row])
        })?;
    }
    Ok((ratings, table.has_ratings))
}

/// What counts as relevant; nothing where nobody knows, which is said.
fn relevant(args: &Args, model: &Model, test: &Ratings, has_ratings: bool) -> Option<Relevance> {
    match args.relevant_from {
        Some(least) => Some(Relevance::From(least)),
        None if has_ratings => usual(model, test),
        None => Some(Relevance::All),
    }
}

fn usual(model: &Model, test: &Ratings) -> Option<Relevance> {
    match Relevance::usual(model, test) {
        Ok(relevance) => Some(relevance),
        Err(why) => {
            say!("the report measures no lists: {}", super::with_flags(&why.to_string()));
            None
        }
    }
}
