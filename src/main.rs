//! The `wgmf` command: see `wgmf --help`.
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(unreachable_pub, unused_qualifications)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_loader();
    cli::main()
}

/// Mesa complains on standard error where XDG_RUNTIME_DIR is not set, which tells a user nothing.
#[allow(unsafe_code, reason = "no other thread exists yet that could read the environment")]
fn quiet_loader() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: called first in `main`, before any thread is started.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
