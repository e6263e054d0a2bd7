//! Ctrl-C: once asks the run to end well, twice ends it at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use wgmf::{Error, Result};

static PRESSED: AtomicUsize = AtomicUsize::new(0);

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Takes Ctrl-C over.
pub fn listen() -> Result<()> {
    let pressed = || match PRESSED.fetch_add(1, Ordering::Relaxed) {
        0 => say!("\nstopping after this batch; Ctrl-C again stops at once"),
        _ => std::process::exit(INTERRUPTED),
    };
    ctrlc::set_handler(pressed).map_err(|e| Error::data(format!("cannot handle Ctrl-C: {e}")))
}

/// Whether Ctrl-C was pressed.
pub fn pressed() -> bool {
    PRESSED.load(Ordering::Relaxed) > 0
}
