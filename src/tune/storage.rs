//! Where a search is kept, so that it goes on where it was killed.

use super::Trial;
use crate::backend::Backend;
use crate::core::Settings;
use crate::files::Output;
use crate::train::{Checkpoint, Origin};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What is searched, and the trials so far.
const STATE: &str = "search.json";

/// The trials as a table, once all are done.
const TABLE: &str = "trials.csv";

/// A directory with a search.
pub(super) struct Storage {
    dir: PathBuf,
    search: Value,
    /// Of the ratings, see [`fingerprint`](crate::train::fingerprint).
    ratings: String,
    /// Locked as long as the search goes on.
    table: Output,
}

#[derive(Serialize, Deserialize)]
struct State {
    search: Value,
    trials: Vec<Trial>,
}

impl Storage {
    /// Opens a directory, or makes it, for a `search` (in words that are compared) in `ratings`; the trials
    /// that an earlier run of the same search has left there. `anew` forgets those, of whatever search.
    ///
    /// # Errors
    /// Another search's; one that another process works on; what cannot be read or written.
    pub(super) fn open(
        dir: &Path,
        search: Value,
        ratings: String,
        anew: bool,
    ) -> Result<(Self, Vec<Trial>)> {
        let path = dir.join(STATE);
        let known = match fs::read(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io(&path, error)),
        };
        if known.is_none() {
            is_free(dir)?;
        }
        let table = Output::create(&dir.join(TABLE), true)?;
        let trials = match known.filter(|_| !anew) {
            None => Vec::new(),
            Some(text) => {
                let state: State = serde_json::from_slice(&text).map_err(|e| {
                    Error::file(&path, format!("{e}; begin anew with `force`, or elsewhere"))
                })?;
                let mut then = state.search;
                // Earlier versions compared how many there are to be, too.
                if let Value::Object(then) = &mut then {
                    then.remove("trials");
                    then.entry("folds").or_insert(1.into());
                }
                if then != search {
                    let message = format!(
                        "is of another search: {}; ask for the same, name another directory, or begin \
                         anew with `force`",
                        difference(&then, &search)
                    );
                    return Err(Error::file(&path, message));
                }
                state.trials
            }
        };
        let storage = Self { dir: dir.to_owned(), search, ratings, table };
        if anew {
            storage.forget_checkpoints()?;
        }
        // From now on the directory is known as one of a search, whenever it ends.
        storage.record(&trials)?;
        Ok((storage, trials))
    }

    /// Writes down how far the trials have come.
    pub(super) fn record(&self, trials: &[Trial]) -> Result<()> {
        let state = State { search: self.search.clone(), trials: trials.to_vec() };
        let mut out = Output::create(&self.dir.join(STATE), true)?;
        out.write(|out| Ok(serde_json::to_writer_pretty(out, &state)?))?;
        out.commit()
    }

    /// Writes the table, and takes away what only a search that goes on needs.
    pub(super) fn finish(mut self, text: &str) -> Result<()> {
        self.forget_checkpoints()?;
        self.table.write(|out| out.write_all(text.as_bytes()))?;
        self.table.commit()
    }

    fn checkpoint(&self, trial: usize) -> PathBuf {
        self.dir.join(format!("trial-{trial}.checkpoint"))
    }

    fn forget_checkpoints(&self) -> Result<()> {
        let entries = fs::read_dir(&self.dir).map_err(|e| Error::io(&self.dir, e))?;
        let is_one = |name: &str| name.starts_with("trial-") && name.ends_with(".checkpoint");
        for entry in entries.flatten() {
            if is_one(&entry.file_name().to_string_lossy()) {
                Checkpoint::remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Keeps where a trial stands.
    pub(super) fn keep(
        &self,
        trial: usize,
        checkpoint: &Checkpoint,
        settings: &Settings,
        device: &dyn Backend,
    ) -> Result<()> {
        let origin = Origin::new(self.ratings.clone(), &device.device());
        checkpoint.save(&self.checkpoint(trial), settings, &origin, None)
    }

    /// Where a trial stands, if that is known and has not gone beyond the epochs of `settings`.
    pub(super) fn kept(
        &self,
        trial: usize,
        settings: &Settings,
        device: &dyn Backend,
    ) -> Option<Checkpoint> {
        let origin = Origin::new(self.ratings.clone(), &device.device());
        Checkpoint::open(&self.checkpoint(trial), settings, &origin, false).ok()
    }

    /// Gives up where a trial stands.
    pub(super) fn forget(&self, trial: usize) -> Result<()> {
        Checkpoint::remove(&self.checkpoint(trial))
    }
}

/// A directory of something else stays what it is.
fn is_free(dir: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(dir) else { return Ok(()) };
    match entries
        .any(|entry| entry.is_ok_and(|e| !e.file_name().as_encoded_bytes().starts_with(b".")))
    {
        true => {
            Err(Error::file(dir, "holds other files and no search; name a directory of its own"))
        }
        false => Ok(()),
    }
}

/// The first thing in which two searches differ.
fn difference(then: &Value, now: &Value) -> String {
    let (Value::Object(a), Value::Object(b)) = (then, now) else {
        return format!("{then} then and {now} now");
    };
    let keys = a.keys().chain(b.keys());
    let missing = Value::Null;
    let other = keys.map(|key| {
        let of = |map: &serde_json::Map<String, Value>| map.get(key).unwrap_or(&missing).clone();
        (key, of(a), of(b))
    });
    let mut differing = other.filter(|(_, then, now)| then != now);
    match differing.next() {
        Some((_, then @ Value::Object(_), now @ Value::Object(_))) => difference(&then, &now),
        Some((key, then, now)) => format!("{key} was {then} then and is {now} now"),
        None => "it was written by another version".to_owned(),
    }
}
