//! `wgmf synth`.

use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use std::io::Write;
use std::path::PathBuf;
use wgmf::Result;
use wgmf::core::{figure, plural};
use wgmf::data::synth::{SynthFacts, SynthOptions, synth};
use wgmf::files::Output;

/// Write a planted rating set whose best possible error is known.
///
/// Prints that error (the floor): no model can have a lower test RMSE than about this, and a good
/// one comes close. Use it to see what settings or a machine can do before there are data.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    options: SynthOptions,
    /// File to write: comma-separated lines of user, item and value; `-` is standard output, and
    /// `.gz` or `.zst` at the end compresses
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Replace a file that exists
    #[arg(long)]
    force: bool,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    let facts = synth(&args.options, &args.output, args.force, &Steps::new(false))?;
    let piped = Output::is_standard(&args.output);
    if args.json && !piped {
        return print_json(&facts);
    }
    let summary = summary(&facts);
    if piped {
        // Standard output has the ratings.
        say!("{}", summary.trim_end());
        return Ok(());
    }
    let mut out = stdout();
    to_stdout(out.write_all(summary.as_bytes()).and_then(|()| out.flush()))
}

fn summary(facts: &SynthFacts) -> String {
    let [mean, std, floor] = [facts.mean, facts.std, facts.floor_rmse].map(|x| figure(x, 4));
    let mut text = format!(
        "{} of {} by {}; mean {mean}, standard deviation {std}\n\
         noise floor: RMSE {floor}\n",
        plural(facts.ratings as usize, "rating"),
        plural(facts.items as usize, "item"),
        plural(facts.users as usize, "user")
    );
    if let Some(floor) = facts.floor_rmse_log1p {
        let floor = figure(floor, 4);
        text += &format!("noise floor with --transform log1p, in its unit: RMSE {floor}\n");
    }
    text
}
