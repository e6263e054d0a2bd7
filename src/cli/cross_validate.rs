//! `wgmf cross-validate`.

use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use super::{backend, interrupt, train};
use std::cell::Cell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use wgmf::core::{Options, Side, figure};
use wgmf::data::{DataOptions, Dataset};
use wgmf::evaluate::Relevance;
use wgmf::tune::{CrossValidation, cross_validate};
use wgmf::{Error, Evaluation, Result, Trained};

/// Train on all but one part of the ratings and measure on that, for each part in turn
///
/// Prints mean and standard deviation over the folds of every metric of wgmf evaluate. The folds are those
/// of wgmf split --folds with the same seed, where no pair is rated twice.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Files of ratings, read as one set; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// How many parts
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=255))]
    folds: u32,
    /// Measure lists of these lengths instead of errors (ials: 10,20 where nothing is said)
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    at: Vec<u32>,
    /// With --at: the least rating that makes a test pair relevant, as in wgmf evaluate --ranking
    #[arg(long, value_name = "RATING", requires = "at")]
    relevant_from: Option<f32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Data")]
    data: DataOptions,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    backend: backend::Args,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    args.options.check()?;
    args.data.check()?;
    if args.data.holdout.is_some() || args.data.test.is_some() {
        return Err(Error::settings(
            "each fold is held out in turn; leave out --holdout and --test",
        ));
    }
    if args.relevant_from.is_some_and(|least| !least.is_finite()) {
        return Err(Error::settings("--relevant-from has to be a finite number"));
    }
    let (device, why) = args.backend.open()?;
    let steps = Steps::new(false);
    let (set, recognised) = Dataset::prepared_from(&args.ratings, &args.data, &steps)?;
    let [users, items] = Side::BOTH.map(|side| set.ids(side).len());
    let settings = args.options.resolve_for(device.suits(), set.ratings(), users, items)?;
    recognised.iter().for_each(|line| say!("{}", super::with_flags(line)));
    say!("{} ratings of {items} items by {users} users in {} folds", set.len(), args.folds);
    train::say::settings(&settings);
    say!("device: {} ({why})", device.device().name);
    interrupt::ends_well();
    let at: Vec<usize> = args.at.iter().map(|&n| n as usize).collect();
    // The same for all folds.
    let relevance = Cell::new(args.relevant_from.map(Relevance::From));
    let measure = |model: &Trained, test: &Dataset| {
        if at.is_empty() {
            return model.evaluate(test);
        }
        let relevant = match relevance.get() {
            Some(relevance) => relevance,
            None => {
                let usual = Relevance::usual(model.model(), set.ratings())?;
                relevance.set(Some(usual));
                match usual {
                    Relevance::From(least) => say!("relevant: test pairs rated {least} or more"),
                    Relevance::Positive => say!("relevant: test pairs with label 1"),
                    Relevance::Chosen => say!("relevant: test pairs with a value above 0"),
                    Relevance::All => {}
                }
                usual
            }
        };
        model.evaluate_ranking(test, &at, relevant).map(Evaluation::Ranking)
    };
    if settings.is_implicit() && at.is_empty() {
        say!("relevant: test pairs with a value above 0");
    }
    let hear = |fold: u32, evaluation: &Evaluation| {
        say!("fold {} of {}: {evaluation}", fold + 1, args.folds);
        interrupt::pressed().is_none()
    };
    let folds = match cross_validate(&set, &args.options, args.folds, &device, measure, hear) {
        Ok(folds) => folds,
        // It is the signal's doing.
        Err(error) => {
            let Some(signal) = interrupt::pressed() else { return Err(error) };
            say!("{error}");
            return Ok(signal.exit_code().into());
        }
    };
    match args.json {
        true => print_json(&folds),
        false => to_stdout(show(&folds)),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn show(folds: &CrossValidation) -> io::Result<()> {
    let mut out = stdout();
    write!(out, "{:<24}{:>12}{:>12}  ", "", "mean", "deviation")?;
    (1..=folds.folds).try_for_each(|fold| write!(out, "{:>10}", format!("fold {fold}")))?;
    writeln!(out)?;
    for of in &folds.figures {
        write!(out, "{:<24}{:>12}{:>12}  ", of.name, figure(of.mean, 6), figure(of.deviation, 2))?;
        of.values.iter().try_for_each(|&value| write!(out, "{:>10}", figure(value, 5)))?;
        writeln!(out)?;
    }
    out.flush()
}
