//! What lies beside an output, in the same directory, while it is made:
//!
//! - `.NAME.wgmf-lock`, locked by the process that makes it and naming that process;
//! - `.NAME.wgmf-` and twelve random letters and digits: the file or directory in the making. Whoever has the
//!   lock knows that those of others are left over from processes that were killed, and removes them;
//! - `.NAME.wgmf-old`: the directory that was there before, for the moment between two renames, where
//!   names cannot be exchanged in one step. Found without one under its own name, it gets that back.

use super::disk::{self, Locked};
use super::temporary;
use crate::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// Random letters and digits in the name of what is in the making.
pub(super) const RANDOM: usize = 12;

/// Names beyond this many bytes are cut, so that what is added does not make them too long.
const LONG: usize = 180;

/// Where an output will be: its directory, with no links in it, and its name there.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(super) parent: PathBuf,
    name: OsString,
}

impl Beside {
    /// Of `path`, whose directory must exist.
    pub(super) fn of(path: &Path) -> io::Result<Beside> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        Ok(Beside { parent: fs::canonicalize(parent)?, name })
    }

    /// The output itself.
    pub(super) fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// What the names of all that is in the making begin with.
    pub(super) fn prefix(&self) -> OsString {
        let mut prefix = OsString::from(".");
        if self.name.len() <= LONG {
            prefix.push(&self.name);
        } else {
            let mut sum = flate2::Crc::new();
            sum.update(self.name.as_encoded_bytes());
            let start: String = self.name.to_string_lossy().chars().take(LONG / 4).collect();
            prefix.push(format!("{start}-{:08x}", sum.sum()));
        }
        prefix.push(".wgmf-");
        prefix
    }

    /// A path of this ending.
    pub(super) fn with(&self, ending: &str) -> PathBuf {
        let mut name = self.prefix();
        name.push(ending);
        self.parent.join(name)
    }

    /// Where the directory that was there before waits for the moment between two renames.
    pub(super) fn old(&self) -> PathBuf {
        self.with("old")
    }

    /// Puts back what a process that was killed between two renames left under [`old`](Self::old), and
    /// takes away all that such processes had in the making. The lock says whether that can be told.
    pub(super) fn tidy(&self, lock: &Lock) -> io::Result<()> {
        self.recover()?;
        if lock.0.file.is_some() {
            self.sweep();
        }
        Ok(())
    }

    fn recover(&self) -> io::Result<()> {
        let (path, old) = (self.path(), self.old());
        if !old.is_dir() {
            return Ok(());
        }
        if path.is_dir() && fs::read_dir(&path)?.next().is_none() {
            disk::remove_directory(&path)?;
        }
        match path.symlink_metadata() {
            // What is there came after it.
            Ok(_) => disk::remove_all(&old),
            Err(_) => {
                disk::rename_new(&old, &path)?;
                disk::sync_directory(&self.parent)
            }
        }
    }

    fn sweep(&self) {
        let prefix = self.prefix();
        let Ok(entries) = fs::read_dir(&self.parent) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let ending = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
            if ending
                .is_some_and(|end| end.len() == RANDOM && end.iter().all(u8::is_ascii_alphanumeric))
            {
                temporary::while_known(|mine| {
                    let path = self.parent.join(&name);
                    if !mine(&path) {
                        // One that cannot be removed is no reason not to write.
                        let _ = disk::remove_all(&path);
                    }
                });
            }
        }
    }
}

/// Puts the directory at `path` back where a process was killed just before it got its successor. Does
/// nothing where something is at `path`.
///
/// # Errors
/// It cannot be put back.
pub(crate) fn recover(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    // A link to what is missing leads to where it was.
    let target = match fs::read_link(path) {
        Ok(to) => path.parent().unwrap_or(Path::new("")).join(to),
        Err(_) => path.to_owned(),
    };
    let Ok(beside) = Beside::of(&target) else { return Ok(()) };
    if !beside.old().is_dir() {
        return Ok(());
    }
    let recovered = match Lock::take(&beside, path) {
        Ok(_lock) => beside.recover().map_err(|e| e.to_string()),
        // Somebody is just about to give it a successor, or this place cannot be written.
        Err(error) => {
            let there = (0..100).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                path.exists()
            });
            if there { Ok(()) } else { Err(error.to_string()) }
        }
    };
    recovered.map_err(|why| {
        let old = beside.old();
        let message = format!(
            "is missing; a run that was killed left what it held in {}, which cannot be put back \
             ({why}); rename that directory",
            old.display()
        );
        Error::file(path, message)
    })
}

/// The right to write an output, against other processes. Taken again by the process that has it, it is
/// shared.
#[derive(Clone, Debug)]
pub(crate) struct Lock(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// Nothing where the file system has no locks.
    file: Option<File>,
}

/// The locks of this process.
static HELD: Mutex<Vec<(PathBuf, Weak<Held>)>> = Mutex::new(Vec::new());

impl Lock {
    /// Takes the lock of an output that is called `shown`.
    ///
    /// # Errors
    /// A living process has it; nothing can be written there.
    pub(super) fn take(beside: &Beside, shown: &Path) -> Result<Lock> {
        let path = beside.with("lock");
        let failed = |e: io::Error| Error::io(shown, e);
        loop {
            let mut held = HELD.lock().unwrap_or_else(|e| e.into_inner());
            if let Some((_, lock)) = held.iter().find(|(taken, _)| *taken == path) {
                match lock.upgrade() {
                    Some(lock) => return Ok(Lock(lock)),
                    // It is just being given back.
                    None => {
                        drop(held);
                        std::thread::yield_now();
                        continue;
                    }
                }
            }
            let file = match disk::lock(&path).map_err(failed)? {
                Locked::Mine(file) if !is_at(&file, &path) => continue,
                Locked::Mine(mut file) => {
                    sign(&mut file);
                    Some(file)
                }
                Locked::Anothers(file) => return Err(taken(shown, file)),
                Locked::Unknown => None,
            };
            let lock = Arc::new(Held { path: path.clone(), file });
            held.push((path.clone(), Arc::downgrade(&lock)));
            temporary::note(&path);
            return Ok(Lock(lock));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(|e| e.into_inner());
        // Removed while it is locked: whoever has it open already sees that it is no longer there.
        // Elsewhere than on Unix that could not be seen, and an empty file stays.
        let _ = if cfg!(unix) {
            disk::remove_file(&self.path)
        } else {
            self.file.as_mut().map_or(Ok(()), |file| file.set_len(0))
        };
        self.file = None;
        held.retain(|(path, _)| *path != self.path);
        temporary::forget(&self.path);
    }
}

/// Whether the file that is open still is the one of this name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().is_ok_and(|open| fs::metadata(path).is_ok_and(|there| same(open, there)))
}

/// Locks are not removed here.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Writes who has the lock. Where that cannot be written, the lock still is one.
fn sign(file: &mut File) {
    let _ = file.set_len(0);
    let _ = file.write_all(format!("{} {}\n", std::process::id(), host()).as_bytes());
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// Names who has the lock.
fn taken(shown: &Path, file: File) -> Error {
    let mut text = String::new();
    // What cannot be read, or is not what `sign` writes, names nobody.
    let _ = file.take(512).read_to_string(&mut text);
    let owner = text.trim_end().split_once(' ').filter(|(process, host)| {
        process.parse::<u32>().is_ok() && !host.chars().any(char::is_control)
    });
    let by = match owner {
        Some((process, host)) => format!("process {process} on {host}"),
        None => "another process".to_owned(),
    };
    let message =
        format!("is being written by {by}; wait until that has ended, or choose another name");
    Error::file(shown, message)
}
