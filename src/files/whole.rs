//! Directories that are there whole or not at all.
//!
//! A directory is written under a temporary name beside its final one and then renamed, so a
//! failure, a full disk, an interruption or a kill never leaves half of it in the place of a good one.

use super::beside::{Beside, Lock};
use super::disk::{self, Written};
use super::output::Folders;
use super::stop;
use super::temporary::Temporary;
use crate::core::escaped;
use crate::{Error, ErrorKind, Result};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A kind of directory this crate writes, and so may replace when told to.
pub(crate) struct Kind<'a> {
    /// In words, such as `a wgmf model`.
    pub what: &'a str,
    /// Whether a file of this name belongs to such a directory.
    pub owns: &'a dyn Fn(&str) -> bool,
}

/// Writes a file through a buffer and waits until the disk has it.
pub(crate) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<Written>) -> io::Result<()>,
) -> Result<()> {
    let mut part = Part::create(path)?;
    part.write(write)?;
    part.finish()
}

/// A file of a directory in the making.
pub(crate) struct Part {
    path: PathBuf,
    out: BufWriter<Written>,
}

impl Part {
    /// An empty one.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = Written::create(path).map_err(|e| Error::io(path, e))?;
        Ok(Part { path: path.to_owned(), out: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Writes, with failures named after the file.
    pub(crate) fn write(
        &mut self,
        work: impl FnOnce(&mut BufWriter<Written>) -> io::Result<()>,
    ) -> Result<()> {
        work(&mut self.out).map_err(|e| Error::io(&self.path, e))
    }

    /// Waits until the disk has it.
    pub(crate) fn finish(mut self) -> Result<()> {
        let finished = self.out.flush().and_then(|()| self.out.get_ref().sync());
        finished.map_err(|e| Error::io(&self.path, e))
    }
}

/// Makes sure that `directory` may be written and can be; what runs that were killed left beside it
/// is put back or taken away, and nothing else changes.
pub(crate) fn check(directory: &Path, overwrite: bool, kind: &Kind) -> Result<()> {
    let place = Place::of(directory, overwrite, kind)?;
    // Parents that do not exist yet are made when the directory is; here the nearest one that
    // exists must let us write.
    let parent = place.parent();
    let base = parent.ancestors().find(|p| p.exists()).unwrap_or(parent);
    if !base.is_dir() {
        return Err(not_a_directory(directory));
    }
    if base == parent {
        return Reserved::new(directory, overwrite, kind).map(drop);
    }
    let name = place.path.file_name().unwrap_or_default();
    let beside = Beside::of(&base.join(name)).map_err(|e| Error::io(directory, e))?;
    Temporary::directory(&beside).map(drop).map_err(|e| Error::io(directory, e))
}

/// Takes away or puts back what runs that were killed left beside `directory`, if nobody writes it now
/// and that can be told.
pub(crate) fn tidy(directory: &Path) {
    let Ok(beside) = Beside::of(directory) else { return };
    // Nothing depends on it: what stays is tidied once the directory is written.
    let _ = Lock::take(&beside, directory).map(|lock| beside.tidy(&lock));
}

/// An output that no other process writes while this lives.
#[derive(Debug)]
pub struct Reserved {
    beside: Beside,
    // In the order in which they are to go.
    _lock: Lock,
    _folders: Folders,
}

impl Reserved {
    /// Makes sure that `directory` may be written and can be, and that nobody else does; what runs that
    /// were killed left beside it is put back or taken away. Parents that it lacks are made, and go with
    /// this where they stay empty.
    ///
    /// # Errors
    /// As [`check`]; another process writes it.
    pub(crate) fn new(directory: &Path, overwrite: bool, kind: &Kind) -> Result<Self> {
        let reserved = Self::unchecked(directory, overwrite, kind)?;
        // What was put back may not be replaced unasked either.
        Place::of(directory, overwrite, kind)?;
        Ok(reserved)
    }

    fn unchecked(directory: &Path, overwrite: bool, kind: &Kind) -> Result<Self> {
        let failed = |e| Error::io(directory, e);
        let place = Place::of(directory, overwrite, kind)?;
        let folders = Folders::create(place.parent()).map_err(failed)?;
        let beside = Beside::of(&place.path).map_err(failed)?;
        let lock = Lock::take(&beside, directory)?;
        beside.tidy(&lock).map_err(failed)?;
        Ok(Reserved { beside, _lock: lock, _folders: folders })
    }
}

/// Writes a directory under a temporary name with `write`, then gives it its own name. What was
/// there before stays until the new one is complete.
pub(crate) fn write_directory(
    directory: &Path,
    overwrite: bool,
    kind: &Kind,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let reserved = Reserved::new(directory, overwrite, kind)?;
    let beside = &reserved.beside;
    let failed = |e| Error::io(directory, e);
    let temporary = Temporary::directory(beside).map_err(failed)?;
    write(temporary.path()).map_err(|e| named(e, temporary.path(), directory))?;
    sync_all(temporary.path()).map_err(failed)?;

    let swapping = stop::swapping().map_err(failed)?;
    // Asked again: someone may have put something there while we wrote.
    let place = Place::of(directory, overwrite, kind)?;
    if !place.exists {
        disk::rename_new(temporary.path(), &place.path).map_err(failed)?;
        temporary.keep();
    } else if disk::exchange(temporary.path(), &place.path).is_err() {
        let old = beside.old();
        disk::rename(&place.path, &old).map_err(failed)?;
        if let Err(e) = disk::rename_new(temporary.path(), &place.path) {
            // Where that fails too, the next run or whoever opens it puts it back.
            return Err(match disk::rename_new(&old, &place.path) {
                Ok(()) => failed(e),
                Err(_) => {
                    let message = format!("{e}; what it held is now in {}", old.display());
                    Error::file(directory, message)
                }
            });
        }
        temporary.keep();
    }
    // An exchanged temporary name holds the old directory now, and takes it away in the end.
    disk::sync_directory(&beside.parent).map_err(|e| {
        let message = format!("{e}, after the new one was put there: the disk may not have it yet");
        Error::file(directory, message)
    })?;
    drop(swapping);
    if beside.old().is_dir() {
        // The next run tries again.
        let _ = disk::remove_all(&beside.old());
    }
    Ok(())
}

/// Waits until the disk has the names in a directory and in those below it.
pub(super) fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        }
    }
    disk::sync_directory(directory)
}

/// A failure at `inner` or in it, under the name that the user knows.
pub(super) fn named(error: Error, inner: &Path, directory: &Path) -> Error {
    match error.kind() {
        ErrorKind::Io { path, source } if path.starts_with(inner) => {
            let part = path.strip_prefix(inner).unwrap_or(path);
            let shown = match part.as_os_str().is_empty() {
                true => directory.to_owned(),
                false => directory.join(part),
            };
            Error::io(shown, io::Error::new(source.kind(), source.to_string()))
        }
        _ => error,
    }
}

fn not_a_directory(directory: &Path) -> Error {
    Error::file(directory, "a part of this path is a file, not a directory; choose another place")
}

/// Where a directory will stand, once it is known that it may.
struct Place {
    path: PathBuf,
    exists: bool,
}

impl Place {
    fn parent(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    fn of(directory: &Path, overwrite: bool, kind: &Kind) -> Result<Place> {
        let what = kind.what;
        let exists = match fs::symlink_metadata(directory) {
            Ok(_) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                return Err(not_a_directory(directory));
            }
            Err(e) => return Err(Error::io(directory, e)),
        };
        // A link stays and what it points to is replaced.
        let path = if exists {
            fs::canonicalize(directory).map_err(|e| Error::io(directory, e))?
        } else {
            std::path::absolute(directory).map_err(|e| Error::io(directory, e))?
        };
        if path.file_name().is_none() {
            let message = format!("cannot become {what}; name a directory inside it");
            return Err(Error::file(directory, message));
        }
        if exists {
            // Renaming it away would leave the caller's shell nowhere.
            if std::env::current_dir().is_ok_and(|here| here == path) {
                let message = "is the current directory; name a directory inside it";
                return Err(Error::file(directory, message));
            }
            may_replace(directory, &path, overwrite, kind)?;
        }
        Ok(Place { path, exists })
    }
}

fn may_replace(shown: &Path, path: &Path, overwrite: bool, kind: &Kind) -> Result<()> {
    let what = kind.what;
    if !path.is_dir() {
        let message = format!("is a file; choose another directory for {what}");
        return Err(Error::file(shown, message));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| Error::io(shown, e))? {
        let entry = entry.map_err(|e| Error::io(shown, e))?;
        names.push(entry.file_name());
    }
    names.sort_unstable();
    let owned = |name: &OsStr| name.to_str().is_some_and(kind.owns);
    if let Some(stranger) = names.iter().find(|n| !owned(n)) {
        let stranger = stranger.to_string_lossy();
        let stranger = escaped(&stranger);
        let message = format!(
            "holds \"{stranger}\", which is no part of {what}, and is left as it is; \
             choose another directory or move that away"
        );
        return Err(Error::file(shown, message));
    }
    if !names.is_empty() && !overwrite {
        let message = format!("already holds {what}; choose another directory or add `force`");
        return Err(Error::file(shown, message));
    }
    Ok(())
}
