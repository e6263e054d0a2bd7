//! Every call that changes the disk, in one place, so that a test can let any of them fail, or be the
//! last that its process makes.

use super::stop;
use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// What becomes of the calls of a test's thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// The call that fails, counted from 0; if it writes, half of its bytes are written.
    pub at: Option<usize>,
    /// Whether it is the last, as when the process is killed there: nothing after it changes anything.
    pub dies: bool,
    /// Whether two names can be exchanged in one step; on Windows and some file systems they cannot.
    pub no_exchange: bool,
}

const NONE: Trouble = Trouble { at: None, dies: false, no_exchange: false };

thread_local! {
    static STATE: Cell<(Trouble, usize)> = Cell::new((of_environment().unwrap_or(NONE), 0));
}

/// What a build with debug assertions takes its trouble from, for tests of the command line: the number of
/// the call that fails, or with `!` behind it the call before which the process ends.
const TROUBLE: &str = "WGMF_DISK_FAILS";

fn of_environment() -> Option<Trouble> {
    let text = cfg!(debug_assertions).then(|| std::env::var(TROUBLE).ok())??;
    let (number, dies) = match text.strip_suffix('!') {
        Some(number) => (number, true),
        None => (&*text, false),
    };
    Some(Trouble { at: Some(number.parse().ok()?), dies, no_exchange: false })
}

/// Runs `work` with `trouble` for what this thread does to the disk; says also how many calls that were.
/// For tests.
pub fn with_trouble<T>(trouble: Trouble, work: impl FnOnce() -> T) -> (T, usize) {
    STATE.set((trouble, 0));
    let done = work();
    (done, STATE.replace((NONE, 0)).1)
}

/// Whether the next call is to be made.
fn turn() -> io::Result<()> {
    let (trouble, calls) = STATE.get();
    STATE.set((trouble, calls + 1));
    match trouble.at {
        Some(at) if calls == at || trouble.dies && calls > at => {
            if cfg!(debug_assertions) && trouble.dies && std::env::var_os(TROUBLE).is_some() {
                std::process::abort();
            }
            Err(io::Error::other("trouble that a test asked for"))
        }
        _ => Ok(()),
    }
}

/// Whether the call that has just failed was the first to do so.
fn has_just_failed() -> bool {
    let (trouble, calls) = STATE.get();
    trouble.at.is_some_and(|at| calls == at + 1)
}

/// A file that is written. Once the program was asked to stop, it takes nothing more.
#[derive(Debug)]
pub struct Written(File);

impl Written {
    /// A new file, or an empty one in the place of an old one.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        turn()?;
        File::create(path).map(Written)
    }

    /// A file that grows at its end; made where it is not there.
    pub(super) fn append(path: &Path) -> io::Result<Self> {
        turn()?;
        fs::OpenOptions::new().append(true).create(true).open(path).map(Written)
    }

    /// A pipe or a device, which is there already.
    pub(super) fn stream(path: &Path) -> io::Result<Self> {
        turn()?;
        fs::OpenOptions::new().write(true).open(path).map(Written)
    }

    /// Gives it these rights.
    pub(super) fn set_permissions(&self, rights: fs::Permissions) -> io::Result<()> {
        turn()?;
        self.0.set_permissions(rights)
    }

    /// Waits until the disk has it.
    pub(super) fn sync(&self) -> io::Result<()> {
        turn()?;
        self.0.sync_all()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        stop::check()?;
        if let Err(error) = turn() {
            if has_just_failed() {
                self.0.write_all(&bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What names of temporary files and directories look like, before and behind what makes each of them
/// another's.
pub(super) fn temporary(prefix: &std::ffi::OsStr) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).rand_bytes(super::beside::RANDOM);
    builder
}

/// A file under a new name in `parent`, with the permissions that any new file has.
pub(super) fn temporary_file(
    parent: &Path,
    prefix: &std::ffi::OsStr,
) -> io::Result<(Written, std::path::PathBuf)> {
    turn()?;
    let mut builder = temporary(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let (file, path) = builder.tempfile_in(parent)?.keep()?;
    Ok((Written(file), path))
}

/// A directory under a new name in `parent`, with the permissions that any new directory has.
pub(super) fn temporary_directory(
    parent: &Path,
    prefix: &std::ffi::OsStr,
) -> io::Result<std::path::PathBuf> {
    turn()?;
    let mut builder = temporary(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    Ok(builder.tempdir_in(parent)?.keep())
}

pub(super) fn create_directories(path: &Path) -> io::Result<()> {
    turn()?;
    fs::create_dir_all(path)
}

/// Removes a file.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    turn()?;
    fs::remove_file(path)
}

/// Removes a directory that is empty.
pub(super) fn remove_directory(path: &Path) -> io::Result<()> {
    turn()?;
    fs::remove_dir(path)
}

/// Removes a file, or a directory with all it holds; nothing behind links.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    turn()?;
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Renames; what has the new name already is replaced, where both are files.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    turn()?;
    fs::rename(from, to)
}

/// Renames, unless something has the new name already.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    turn()?;
    match no_replace(from, to) {
        Err(e) if unsupported(&e) => match to.symlink_metadata() {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        renamed => renamed,
    }
}

/// Swaps two names in one step, so that at no moment one of them has nothing under it.
pub(super) fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    turn()?;
    match STATE.get().0.no_exchange {
        true => Err(io::ErrorKind::Unsupported.into()),
        false => swap(a, b),
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn swap(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn no_replace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// There is no such call here: two renames have to do.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn swap(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no such call here: a look before has to do.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn no_replace(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the system, or the file system, has no such call.
fn unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, Unsupported};
    matches!(error.kind(), InvalidInput | Unsupported)
}

/// Waits until the disk has the names in a directory. Where directories cannot be opened (Windows) the
/// system does that by itself; some network file systems have no such call.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    turn()?;
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(directory).and_then(|open| open.sync_all()) {
        Err(e) if unsupported(&e) => Ok(()),
        synced => synced,
    }
}

/// Opens or makes a file to be locked, and tries to lock it. Nothing is locked where the file system
/// knows no locks.
pub(super) fn lock(path: &Path) -> io::Result<Locked> {
    turn()?;
    let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = match open {
        // Left behind by somebody else, whose file it is: it can still be locked.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && path.is_file() => {
            File::open(path)?
        }
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Locked::Mine(file)),
        Err(TryLockError::WouldBlock) => Ok(Locked::Anothers(file)),
        Err(TryLockError::Error(_)) => Ok(Locked::Unknown),
    }
}

/// Whose lock it is.
pub(super) enum Locked {
    /// This process has it as long as the file is open.
    Mine(File),
    /// A living process has it.
    Anothers(File),
    /// The file system has no locks.
    Unknown,
}
