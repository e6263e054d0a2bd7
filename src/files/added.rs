//! Files and folders added to a directory that holds other things: all of them or none.
//!
//! They are written in a temporary directory inside that one. Once it is complete it is renamed to
//! `.NAME.wgmf-placing`, and what it holds is moved out; the next run that adds to the directory goes on
//! with that where a kill cut it short.

use super::beside::{Beside, Lock};
use super::temporary::Temporary;
use super::whole::{named, sync_all};
use super::{disk, stop};
use crate::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Adds what `write` makes to `directory`, where nothing of these names may be yet; `name` is what
/// processes that add the same have in common.
///
/// # Errors
/// Those of `write`; another process that does the same; a name that is taken; a failure of the disk.
/// Nothing is added then.
pub(crate) fn add(
    directory: &Path,
    name: &str,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let failed = |e| Error::io(directory, e);
    let beside = Beside::of(&directory.join(name)).map_err(failed)?;
    let lock = Lock::take(&beside, directory)?;
    beside.tidy(&lock).map_err(failed)?;
    let placing = beside.with("placing");
    finish(&placing, &beside.parent).map_err(failed)?;

    let temporary = Temporary::directory(&beside).map_err(failed)?;
    write(temporary.path()).map_err(|e| named(e, temporary.path(), directory))?;
    sync_all(temporary.path()).map_err(failed)?;
    let entries = entries(temporary.path()).map_err(failed)?;

    let _swapping = stop::swapping().map_err(failed)?;
    if let Some(taken) = entries.iter().map(|e| directory.join(e)).find(|e| e.exists()) {
        return Err(Error::file(taken, "exists already; use `force` to replace it"));
    }
    disk::rename_new(temporary.path(), &placing).map_err(failed)?;
    temporary.keep();
    for (at, entry) in entries.iter().enumerate() {
        if let Err(e) = disk::rename_new(&placing.join(entry), &beside.parent.join(entry)) {
            let back = |entry: &PathBuf| {
                disk::rename_new(&beside.parent.join(entry), &placing.join(entry))
            };
            // All out again, or the next run places the rest.
            if entries[..at].iter().try_for_each(back).is_ok() {
                let _ = disk::remove_all(&placing);
            }
            return Err(failed(e));
        }
    }
    // Empty now; if it stays, the next run removes it.
    let _ = disk::remove_directory(&placing);
    disk::sync_directory(&beside.parent).map_err(failed)
}

/// Goes on where a process was killed while it added to `directory`, if it is one, and takes away what it
/// had in the making.
///
/// # Errors
/// A failure of the disk; a living process that does the same.
pub(crate) fn tidy(directory: &Path, name: &str) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    let failed = |e| Error::io(directory, e);
    let beside = Beside::of(&directory.join(name)).map_err(failed)?;
    let lock = Lock::take(&beside, directory)?;
    beside.tidy(&lock).map_err(failed)?;
    finish(&beside.with("placing"), &beside.parent).map_err(failed)
}

/// Places what was not placed yet.
fn finish(placing: &Path, directory: &Path) -> io::Result<()> {
    if !placing.is_dir() {
        return Ok(());
    }
    for entry in entries(placing)? {
        match disk::rename_new(&placing.join(&entry), &directory.join(&entry)) {
            // Somebody has put another there since.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            renamed => renamed?,
        }
    }
    disk::remove_all(placing)?;
    disk::sync_directory(directory)
}

/// The names in a directory, in order.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    let mut names: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.file_name().into())).collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}
