//! `wgmf split`.

use super::output::{check_other, print_json, stdout, to_stdout};
use super::progress::Steps;
use super::with_flags;
use super::words::counted;
use std::io::Write;
use std::path::PathBuf;
use wgmf::Result;
use wgmf::core::plural;
use wgmf::data::{SplitOptions, split};
use wgmf::files::ensure_room;

/// Split rating files into training and test files, line by line.
///
/// Lines are copied as they are and the header goes into each file. Writes train and test with the
/// input's extension into the folder, or fold1/train, fold1/test, fold2/train, ... with --folds.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Rating files (any form that `wgmf train` reads), taken as one set; `-` is standard input
    #[arg(required = true, value_name = "RATINGS")]
    ratings: Vec<PathBuf>,
    /// Folder for the files
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    options: SplitOptions,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    check_other(&args.output, &args.ratings)?;
    // The parts hold every line once, those of folds once a fold; packed ones are longer there.
    let bytes: u64 = args
        .ratings
        .iter()
        .filter_map(|path| path.metadata().ok())
        .filter(|of| of.is_file())
        .map(|of| of.len())
        .sum();
    let folds = u64::from(args.options.folds.unwrap_or(1).min(100));
    ensure_room(&args.output, bytes.saturating_mul(folds), "the parts together")?;
    let steps = Steps::new(false);
    let facts = split(&args.ratings, &args.options, &args.output, args.force, &steps)?;
    if args.json {
        return print_json(&facts);
    }
    let mut out = stdout();
    let written =
        facts.recognised.iter().try_for_each(|line| writeln!(out, "{}", with_flags(line)));
    if let Some(border) = &facts.border {
        say!("the test part has the ratings from {border} on");
    }
    if let Some(repeats) = facts.repeats.filter(|&repeats| repeats > 0) {
        say!(
            "note: {} of the test part rate a pair that is in the training part too",
            counted(repeats, "rating")
        );
    }
    let written = written.and_then(|()| {
        facts.parts.iter().try_for_each(|part| {
            let (train, test) = (part.train.display(), part.test.display());
            writeln!(out, "{train}: {}", plural(part.train_ratings, "rating"))?;
            writeln!(out, "{test}: {}", plural(part.test_ratings, "rating"))
        })
    });
    to_stdout(written.and_then(|()| out.flush()))
}
