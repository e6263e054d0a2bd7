//! `wgmf export`.

use super::output::check_outside;
use super::progress::Steps;
use std::path::PathBuf;
use wgmf::model::{Format, Model, export};
use wgmf::{Error, Result};

/// Write the embeddings for other programs: factors, biases, mean and ids
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// What to write
    #[arg(long, short, value_enum)]
    format: Format,
    /// The directory to write. Default: beside the model, with the format added to its name
    /// (ml-model-npy)
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace an earlier export of this format
    #[arg(long)]
    force: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    let output = match args.output {
        Some(output) => output,
        None => beside(&args.model, args.format)?,
    };
    check_outside(&output, &args.model)?;
    let model = Model::open(&args.model)?;
    export(&model, args.format, &output, args.force, &Steps::new(false))?;
    say!("wrote {} ({})", output.display(), args.format.files().join(", "));
    Ok(())
}

fn beside(model: &std::path::Path, format: Format) -> Result<PathBuf> {
    let Some(name) = model.file_name() else {
        let message = format!("--output is needed where the model is named {}", model.display());
        return Err(Error::settings(message));
    };
    let mut name = name.to_owned();
    name.push(format!("-{}", format.name()));
    Ok(model.with_file_name(name))
}
