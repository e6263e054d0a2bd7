//! Files that grow by whole lines.

use super::disk::{self, Written};
use crate::{Error, Result};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Lines that are added to a file one after the other, by one process at a time (whoever appends holds another lock).
/// A kill in the midst of a line leaves a line without an end, which nobody reads.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Opened with the first line.
    Closed,
    Open(Written),
    /// A line was not written whole: whatever came behind it would be a part of it.
    Torn,
}

impl Journal {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: Mutex::new(State::Closed) }
    }

    /// The lines that are there whole, in order.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn lines(path: &Path) -> Result<Vec<Vec<u8>>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(path, error)),
        };
        let mut lines: Vec<Vec<u8>> =
            text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.pop();
        Ok(lines)
    }

    /// Adds a line, and waits until the disk has it.
    ///
    /// # Errors
    /// A failure of the disk.
    pub(crate) fn append(&self, mut line: Vec<u8>) -> Result<()> {
        let failed = |error| Error::io(&self.path, error);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = match std::mem::replace(&mut *file, State::Torn) {
            State::Open(open) => open,
            State::Closed => Written::append(&self.path).map_err(failed)?,
            State::Torn => {
                return Err(Error::file(&self.path, "an earlier line could not be written"));
            }
        };
        line.push(b'\n');
        open.write_all(&line).map_err(failed)?;
        open.sync().map_err(failed)?;
        *file = State::Open(open);
        Ok(())
    }

    /// Takes the file away, if it is there; the next line begins another.
    ///
    /// # Errors
    /// A failure of the disk.
    pub(crate) fn clear(&self) -> Result<()> {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed;
        match disk::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(&self.path, error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::{Trouble, with_trouble};

    #[test]
    fn a_kill_in_a_line_loses_that_line_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("j");
        assert!(Journal::lines(&path).unwrap().is_empty());
        // Opening, and a line of one write and a wait.
        for at in 0..7 {
            let journal = Journal::new(path.clone());
            let trouble = Trouble { at: Some(at), dies: true, no_exchange: false };
            let (written, _) = with_trouble(trouble, || {
                ["one", "two", "three"].map(|line| journal.append(line.into()).is_ok())
            });
            let lines = Journal::lines(&path).unwrap();
            assert!(written.iter().filter(|&&done| done).count() <= lines.len(), "{at}");
            let whole = ["one", "two", "three"].iter().zip(&lines).all(|(a, b)| a.as_bytes() == b);
            assert!(whole && lines.len() < 4, "{at}: {lines:?}");
            journal.clear().unwrap();
            assert!(!path.exists());
        }
    }
}
