//! The `wgmf` command: see `wgmf --help`.
#![deny(missing_docs)]
#![deny(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
