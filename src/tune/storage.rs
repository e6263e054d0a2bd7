//! Where a search is kept, so that it goes on where it was killed.

use super::trial::{Rung, Trial};
use crate::backend::Backend;
use crate::core::Settings;
use crate::files::{Journal, Output};
use crate::train::{Checkpoint, Origin};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What is searched, and the trials when the search was begun, gone on with, or ended last.
const STATE: &str = "search.json";

/// What has been reached since, a line each.
const JOURNAL: &str = "search.jsonl";

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
    journal: Journal,
}

#[derive(Serialize, Deserialize)]
struct State {
    search: Value,
    trials: Vec<Trial>,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
struct Line {
    trial: usize,
    values: Map<String, Value>,
    /// Which of the trial's rungs, or of its further parts, it is, from 0: a line that is known already says nothing.
    at: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rung: Option<Rung>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fold: Option<Fold>,
}

/// A further part; nothing where training failed.
#[derive(Serialize, Deserialize)]
struct Fold {
    value: Option<f64>,
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
                let mut trials = state.trials;
                Journal::lines(&dir.join(JOURNAL))?.iter().try_for_each(|line| {
                    let line = serde_json::from_slice(line).map_err(|e| {
                        let file = dir.join(JOURNAL);
                        Error::file(file, format!("{e}; begin anew with `force`, or elsewhere"))
                    })?;
                    reach(&mut trials, line);
                    Ok::<_, Error>(())
                })?;
                trials
            }
        };
        let journal = Journal::new(dir.join(JOURNAL));
        let storage = Self { dir: dir.to_owned(), search, ratings, table, journal };
        if anew {
            storage.forget_checkpoints()?;
        }
        // From now on the directory is known as one of a search, whenever it ends.
        storage.record(&trials)?;
        storage.journal.clear()?;
        Ok((storage, trials))
    }

    /// Writes down how far all trials have come.
    pub(super) fn record(&self, trials: &[Trial]) -> Result<()> {
        let state = State { search: self.search.clone(), trials: trials.to_vec() };
        let mut out = Output::create(&self.dir.join(STATE), true)?;
        out.write(|out| Ok(serde_json::to_writer_pretty(out, &state)?))?;
        out.commit()
    }

    /// Adds to what is written down the last rung of a trial.
    pub(super) fn append_rung(&self, number: usize, trial: &Trial) -> Result<()> {
        let Some((at, rung)) = trial.rungs.iter().enumerate().next_back() else { return Ok(()) };
        self.append(number, trial, (at, Some(rung.clone()), None))
    }

    /// The same of the last further part that a trial was judged on.
    pub(super) fn append_fold(&self, number: usize, trial: &Trial) -> Result<()> {
        let Some((at, fold)) = trial.folds.iter().enumerate().next_back() else { return Ok(()) };
        self.append(number, trial, (at, None, Some(Fold { value: *fold })))
    }

    fn append(
        &self,
        trial: usize,
        of: &Trial,
        (at, rung, fold): (usize, Option<Rung>, Option<Fold>),
    ) -> Result<()> {
        let line = Line { trial, values: of.values.clone(), at, rung, fold };
        let line = serde_json::to_vec(&line);
        self.journal
            .append(line.map_err(|e| Error::data(format!("a trial cannot be written: {e}")))?)
    }

    /// Writes the table, and takes away what only a search that goes on needs.
    pub(super) fn finish(mut self, trials: &[Trial], text: &str) -> Result<()> {
        self.record(trials)?;
        self.journal.clear()?;
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

/// Takes over what a line of the journal says, where it is what comes next.
fn reach(trials: &mut Vec<Trial>, line: Line) {
    let Line { trial, values, at, rung, fold } = line;
    // So many are no search's.
    if trial > 1 << 24 {
        return;
    }
    while trials.len() <= trial {
        trials.push(Trial { values: Map::new(), rungs: Vec::new(), folds: Vec::new() });
    }
    let known = &mut trials[trial];
    if known.rungs.is_empty() && known.folds.is_empty() {
        known.values = values;
    } else if known.values != values {
        return;
    }
    match (rung, fold) {
        (Some(rung), _) if known.rungs.len() == at => known.rungs.push(rung),
        (None, Some(fold)) if known.folds.len() == at => known.folds.push(fold.value),
        _ => {}
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
        let of = |map: &Map<String, Value>| map.get(key).unwrap_or(&missing).clone();
        (key, of(a), of(b))
    });
    let mut differing = other.filter(|(_, then, now)| then != now);
    match differing.next() {
        Some((_, then @ Value::Object(_), now @ Value::Object(_))) => difference(&then, &now),
        Some((key, then, now)) => format!("{key} was {then} then and is {now} now"),
        None => "it was written by another version".to_owned(),
    }
}
