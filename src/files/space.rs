//! Room on the disk, looked at before work whose result would not fit.

use super::output::is_stream;
use crate::memory::size;
use crate::{Error, Result};
use std::path::Path;

/// Bytes that are free for who runs this where `path` is or will be; `None` of pipes and devices, which take
/// what comes, and where the system does not say.
pub fn free_at(path: &Path) -> Option<u64> {
    if is_stream(path) {
        return None;
    }
    let path = std::path::absolute(path).ok()?;
    free_in(path.ancestors().find(|folder| folder.exists())?)
}

#[cfg(unix)]
fn free_in(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_in(_path: &Path) -> Option<u64> {
    None
}

/// Makes sure that there is room for `bytes` where `path` will be; `what` takes them.
///
/// # Errors
/// There is less.
pub fn ensure_room(path: &Path, bytes: u64, what: &str) -> Result<()> {
    match free_at(path).filter(|&free| free < bytes) {
        Some(free) => Err(Error::file(
            path,
            format!(
                "{what} will take {}, and the disk has {} left; make room, or choose another place",
                size(bytes),
                size(free)
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_have_an_end_and_streams_have_none() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("not/yet/there");
        for path in [home.path(), &place, Path::new("model"), Path::new(".")] {
            assert!(ensure_room(path, 1, "it").is_ok(), "{}", path.display());
            if cfg!(unix) {
                let error = ensure_room(path, u64::MAX, "the model").unwrap_err().to_string();
                assert!(
                    error.contains("the model will take 18446744 TB, and the disk has "),
                    "{error}"
                );
            }
        }
        for stream in ["-", "/dev/stdout", "/dev/null"] {
            assert_eq!(free_at(Path::new(stream)), None, "{stream}");
            assert!(ensure_room(Path::new(stream), u64::MAX, "it").is_ok());
        }
    }
}
