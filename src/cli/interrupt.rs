//! Ctrl-C: once asks a training run to end well; twice, or in any other command, ends it at once
//! and takes away what was in the making.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wgmf::files::temporary;
use wgmf::{Error, Result};

static PRESSED: AtomicUsize = AtomicUsize::new(0);
static ENDS_WELL: AtomicBool = AtomicBool::new(false);
static SAVING: AtomicBool = AtomicBool::new(false);

/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Takes Ctrl-C over.
pub(super) fn listen() -> Result<()> {
    let pressed = || {
        let first = PRESSED.fetch_add(1, Ordering::Relaxed) == 0;
        if !first || !ENDS_WELL.load(Ordering::Relaxed) {
            temporary::remove_all();
            std::process::exit(INTERRUPTED);
        }
        match SAVING.load(Ordering::Relaxed) {
            true => say!("\nthe model is being saved; Ctrl-C again stops at once"),
            false => say!("\nstopping after this step; Ctrl-C again stops at once"),
        }
    };
    ctrlc::set_handler(pressed).map_err(|e| Error::data(format!("cannot handle Ctrl-C: {e}")))
}

/// From now on the command watches [`pressed`] and ends by itself.
pub(super) fn ends_well() {
    ENDS_WELL.store(true, Ordering::Relaxed);
}

/// The epochs are over; the model is written.
pub(super) fn saving() {
    SAVING.store(true, Ordering::Relaxed);
}

/// Whether Ctrl-C was pressed.
pub(super) fn pressed() -> bool {
    PRESSED.load(Ordering::Relaxed) > 0
}
