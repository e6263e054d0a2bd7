//! Files and directories that are there whole or not at all.
//!
//! A directory is written under a temporary name beside its final one and then renamed, so a
//! failure, a full disk or an interruption never leaves half of it in the place of a good one.

use super::output::Folders;
use super::temporary;
use crate::{Error, ErrorKind, Result};
use std::ffi::OsStr;
use std::fs::{self, File};
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
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()
    });
    written.map_err(|e| Error::io(path, e))
}

/// Makes sure that `directory` may be written and can be, and leaves nothing behind.
pub(crate) fn check(directory: &Path, overwrite: bool, kind: &Kind) -> Result<()> {
    let place = Place::of(directory, overwrite, kind)?;
    // Parents that do not exist yet are made when the directory is; here the nearest one that
    // exists must let us write.
    let parent = place.path.parent().unwrap_or(Path::new("/"));
    let base = parent.ancestors().find(|p| p.exists()).unwrap_or(parent);
    if !base.is_dir() {
        return Err(not_a_directory(directory));
    }
    Temporary::create(base, &place.name).map(drop).map_err(|e| named(e, base, directory))
}

/// Writes a directory under a temporary name with `write`, then gives it its own name. What was
/// there before stays until the new one is complete.
pub(crate) fn write_directory(
    directory: &Path,
    overwrite: bool,
    kind: &Kind,
    write: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let place = Place::of(directory, overwrite, kind)?;
    let parent = place.path.parent().unwrap_or(Path::new("/"));
    let _folders = Folders::create(parent).map_err(|e| Error::io(directory, e))?;
    let create = || Temporary::create(parent, &place.name).map_err(|e| named(e, parent, directory));
    let mut temporary = create()?;
    write(&temporary.path).map_err(|e| named(e, &temporary.path, directory))?;
    sync(&temporary.path)?;

    // Asked again: someone may have put something there while we wrote.
    let place = Place::of(directory, overwrite, kind)?;
    if place.exists {
        if exchange(&temporary.path, &place.path).is_ok() {
            // The temporary name holds the old directory now, and takes it away.
            drop(temporary);
            return sync(parent).map_err(|e| named(e, parent, directory));
        }
        let mut old = create()?;
        // It will hold the old directory for a moment: an interruption must not take that away.
        temporary::forget(&old.path);
        let aside = old.path.join("old");
        fs::rename(&place.path, &aside).map_err(|e| Error::io(directory, e))?;
        if let Err(e) = fs::rename(&temporary.path, &place.path) {
            if fs::rename(&aside, &place.path).is_err() {
                old.keep = true; // The old directory is in there: better misplaced than lost.
                return Err(Error::file(
                    directory,
                    format!("{e}; what it held is now in {}", aside.display()),
                ));
            }
            return Err(Error::io(directory, e));
        }
    } else {
        fs::rename(&temporary.path, &place.path).map_err(|e| Error::io(directory, e))?;
    }
    temporary.keep = true;
    sync(parent).map_err(|e| named(e, parent, directory))
}

/// Swaps two names in one step, so that at no moment the name has nothing under it.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

/// There is no such call here: two renames have to do.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A failure at `inner` or in it, under the name that the user knows.
fn named(error: Error, inner: &Path, directory: &Path) -> Error {
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
    name: String,
    exists: bool,
}

impl Place {
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
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else {
            let message = format!("cannot become {what}; name a directory inside it");
            return Err(Error::file(directory, message));
        };
        if exists {
            // Renaming it away would leave the caller's shell nowhere.
            if std::env::current_dir().is_ok_and(|here| here == path) {
                let message = "is the current directory; name a directory inside it";
                return Err(Error::file(directory, message));
            }
            may_replace(directory, &path, overwrite, kind)?;
        }
        Ok(Place { path, name, exists })
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

/// A directory that is removed with all it holds unless it is to be kept.
struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Temporary {
    fn create(parent: &Path, name: &str) -> Result<Temporary> {
        let process = std::process::id();
        for attempt in 0.. {
            let path = parent.join(format!(".{name}.wgmf-{process}-{attempt}"));
            match fs::create_dir(&path) {
                Ok(()) => {
                    temporary::note(&path);
                    return Ok(Temporary { path, keep: false });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 1000 => {}
                Err(e) => return Err(Error::io(parent, e)),
            }
        }
        Err(Error::file(parent, "has too many temporary directories of wgmf; remove them"))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        temporary::forget(&self.path);
        if !self.keep {
            // Nothing more can be done about a failure here; the next run uses another name.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Waits until the disk has the names in a directory; where directories cannot be opened
/// (Windows) the system does that by itself.
fn sync(directory: &Path) -> Result<()> {
    if cfg!(unix) {
        let synced = File::open(directory).and_then(|d| d.sync_all());
        // Some network file systems refuse to sync a directory.
        match synced {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Error::io(directory, e));
            }
            _ => {}
        }
    }
    Ok(())
}
