//! `wgmf info`.

use wgmf::Result;

/// Info.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<()> {
    Ok(())
}
