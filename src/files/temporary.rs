//! Files and directories in the making: they go with what made them, unless they get a final name.

use super::beside::Beside;
use super::disk::{self, Written};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Those of this process.
static MAKING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn making() -> MutexGuard<'static, Vec<PathBuf>> {
    MAKING.lock().unwrap_or_else(|e| e.into_inner())
}

/// Whether this process has something in the making. A handler of signals may ask: it waits for nothing.
pub fn in_the_making() -> bool {
    match MAKING.try_lock() {
        Ok(making) => !making.is_empty(),
        Err(TryLockError::Poisoned(making)) => !making.into_inner().is_empty(),
        Err(TryLockError::WouldBlock) => true,
    }
}

/// Runs `work` with the knowledge of what this process has in the making, while nothing is added.
pub(super) fn while_known<T>(work: impl FnOnce(&dyn Fn(&Path) -> bool) -> T) -> T {
    let making = making();
    work(&|path| making.iter().any(|mine| mine == path))
}

/// Notes that `path` goes when its owner does.
pub(super) fn note(path: &Path) {
    making().push(path.to_owned());
}

/// `path` is gone, or is to stay.
pub(super) fn forget(path: &Path) {
    making().retain(|mine| mine != path);
}

/// A file or a directory beside an output, removed with all it holds unless it is kept.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Temporary {
    /// A new file, under a name that nothing else has.
    pub(super) fn file(beside: &Beside) -> io::Result<(Self, Written)> {
        let mut making = making();
        let (file, path) = disk::temporary_file(&beside.parent, &beside.prefix())?;
        making.push(path.clone());
        Ok((Temporary { path, keep: false }, file))
    }

    /// A new directory, under a name that nothing else has.
    pub(super) fn directory(beside: &Beside) -> io::Result<Self> {
        let mut making = making();
        let path = disk::temporary_directory(&beside.parent, &beside.prefix())?;
        making.push(path.clone());
        Ok(Temporary { path, keep: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It has its final name now, or another owner.
    pub(super) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody is left to be told of a failure; the next run on the same output tries again.
            let _ = disk::remove_all(&self.path);
        }
        forget(&self.path);
    }
}
