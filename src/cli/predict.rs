//! `wgmf predict`.

use wgmf::Result;

/// Predict.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
