//! `wgmf export`.

use wgmf::Result;

/// Export.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
