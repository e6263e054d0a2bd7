//! Files and directories in the making, so that an interruption can take them away.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

static IN_THE_MAKING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Notes that `path` is temporary from now on.
pub(crate) fn note(path: &Path) {
    IN_THE_MAKING.lock().unwrap_or_else(|e| e.into_inner()).push(path.to_owned());
}

/// `path` is temporary no more: removed, or under its final name.
pub(crate) fn forget(path: &Path) {
    IN_THE_MAKING.lock().unwrap_or_else(|e| e.into_inner()).retain(|noted| noted != path);
}

/// Removes everything that is in the making. For a program that is about to end at once, as after
/// Ctrl-C; what was being written is gone.
pub fn remove_all() {
    for path in IN_THE_MAKING.lock().unwrap_or_else(|e| e.into_inner()).drain(..) {
        // The program ends: nobody is left to be told of a failure.
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}
