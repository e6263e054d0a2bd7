//! What binds the files of a model directory together: `run.json` tells of each its length and digest, and
//! of itself the digest of what it says.

use super::{PartRecord, RunRecord};
use crate::files::digest::{digest, digest_of};
use crate::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// `run.json`, and the key in it under which the parts stand.
const RUN: &str = "run.json";
const PARTS: &str = "parts";

/// What to do about a part that is another file than was saved.
const WHOLE: &str =
    "copy the model again, whole; or, if it was changed on purpose, take \"parts\" out of run.json";

/// Reads a file of a directory and tells of it.
pub(super) fn part_of(path: &Path) -> Result<PartRecord> {
    let read = File::open(path).and_then(|mut file| digest(&mut file));
    let (bytes, digest) = read.map_err(|e| Error::io(path, e))?;
    Ok(PartRecord { bytes: Some(bytes), xxh128: hex(digest) })
}

/// Adds to the parts the digest of what `run.json` says besides: of `document`, which is all of it.
pub(super) fn seal(parts: &mut BTreeMap<String, PartRecord>, mut document: Value) {
    let own = PartRecord { bytes: None, xxh128: hex(content(&mut document)) };
    parts.insert(RUN.to_owned(), own);
}

/// Whether `run.json` says what it said when it was written. Without parts, as version 0.1.0 wrote it,
/// nobody knows.
pub(super) fn check_seal(path: &Path, document: &Value) -> Result<()> {
    if document[PARTS].is_null() {
        return Ok(());
    }
    let told = document[PARTS][RUN]["xxh128"].as_str();
    match told == Some(&hex(content(&mut document.clone()))) {
        true => Ok(()),
        false => {
            let message = "says something else than when the model was saved";
            Err(Error::file(path, format!("{message}; {WHOLE}")))
        }
    }
}

/// The digest of what a document says, whatever the order of its keys, its blanks and the way its numbers
/// are written; its own digest apart.
fn content(document: &mut Value) -> u128 {
    if let Some(parts) = document[PARTS].as_object_mut() {
        parts.shift_remove(RUN);
    }
    let mut text = String::new();
    write_canonical(&mut text, document);
    digest_of(text.as_bytes())
}

fn write_canonical(text: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            text.push('{');
            for (key, value) in sorted {
                *text += &format!("{key:?}:");
                write_canonical(text, value);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for value in list {
                write_canonical(text, value);
                text.push(',');
            }
            text.push(']');
        }
        Value::Number(number) => {
            *text += &match number.as_f64().filter(|_| number.is_f64()) {
                // Some programs write 1.0 as 1.
                Some(x) if x.fract() == 0.0 && x.abs() < 1e15 => (x as i64).to_string(),
                _ => number.to_string(),
            };
        }
        Value::String(string) => *text += &format!("{string:?}"),
        other => *text += &other.to_string(),
    }
}

fn hex(digest: u128) -> String {
    format!("{digest:032x}")
}

impl RunRecord {
    /// What is told of the file `name`. Nothing of models of version 0.1.0.
    ///
    /// # Errors
    /// Parts among which it is missing.
    pub(super) fn part(&self, dir: &Path, name: &str) -> Result<Option<&PartRecord>> {
        let part = self.parts.get(name);
        if part.is_none() && !self.parts.is_empty() {
            let message = format!("does not tell of {name} among its \"parts\"; {WHOLE}");
            return Err(Error::file(dir.join(RUN), message));
        }
        Ok(part)
    }
}

impl PartRecord {
    /// Refuses, before it is read, a file that is longer than it was; one that is shorter says better
    /// itself what is missing.
    pub(super) fn check_length(&self, path: &Path, file: &File) -> Result<()> {
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        match self.bytes.filter(|&bytes| length > bytes) {
            Some(bytes) => {
                let message = format!("has {length} bytes where {RUN} tells of {bytes}");
                Err(Error::file(path, format!("{message}; {WHOLE}")))
            }
            None => Ok(()),
        }
    }

    /// Refuses another file than was saved.
    pub(super) fn check(&self, path: &Path, file: &mut File) -> Result<()> {
        let (bytes, digest) = digest(file).map_err(|e| Error::io(path, e))?;
        if self.bytes == Some(bytes) && self.xxh128 == hex(digest) {
            return Ok(());
        }
        let message =
            format!("is not the file that the model was saved with (by its digest in {RUN})");
        Err(Error::file(path, format!("{message}; {WHOLE}")))
    }
}

/// What `read` reads of the directory `dir`, once more where files were replaced meanwhile: who opens a
/// model at the moment in which another takes its place gets one or the other, whole.
///
/// # Errors
/// As `read`, where the directory stood still.
pub fn settled<T>(dir: impl AsRef<Path>, read: impl Fn() -> Result<T>) -> Result<T> {
    const AGAIN: usize = 5;
    let dir = dir.as_ref();
    for attempt in 0.. {
        let before = state(dir);
        match read() {
            Err(_) if attempt < AGAIN && state(dir) != before => {
                // Whoever replaces it file by file takes a while.
                std::thread::sleep(Duration::from_millis(30 << attempt));
            }
            read => return read,
        }
    }
    unreachable!("the last attempt returns")
}

/// Which files a directory has, and whether they are still the same.
fn state(dir: &Path) -> Vec<(PathBuf, u64, u64, Option<SystemTime>)> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = names
        .filter_map(|path| {
            let metadata = fs::metadata(&path).ok()?;
            Some((path, inode(&metadata), metadata.len(), metadata.modified().ok()))
        })
        .collect();
    files.sort();
    files
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_record_says_is_told_from_how_it_says_it() {
        let text = r#"{"a": [1, 2.5, "x", null], "b": {"c": 1.0, "d": 1e-5}, "parts": {"p": {}}}"#;
        let said = |text: &str| content(&mut serde_json::from_str::<Value>(text).unwrap());
        for same in [
            r#"{"b": {"d": 0.00001, "c": 1}, "parts": {"p": {}, "run.json": {"xxh128": "7"}},
                "a": [1.0, 2.5, "\u0078", null]}"#,
            r#"{"a":[1,25e-1,"x",null],"b":{"c":1,"d":1E-05},"parts":{"p":{}}}"#,
        ] {
            assert_eq!(said(same), said(text), "{same}");
        }
        for other in [
            r#"{"a": [1, 2.5, "x"], "b": {"c": 1.0, "d": 1e-5}, "parts": {"p": {}}}"#,
            r#"{"a": [1, 2.5, "x", null], "b": {"c": 1.5, "d": 1e-5}, "parts": {"p": {}}}"#,
            r#"{"a": [1, 2.5, "x", null], "b": {"c": 1, "d": 1e-5}, "parts": {"p": {"q": 1}}}"#,
            r#"{"a": [1, 2.5, "x", null], "b": {"c": "1", "d": 1e-5}, "parts": {"p": {}}}"#,
        ] {
            assert_ne!(said(other), said(text), "{other}");
        }
    }

    #[test]
    fn a_directory_that_changes_is_read_again_and_one_that_stands_still_is_not() {
        let home = tempfile::tempdir().unwrap();
        let times = std::cell::Cell::new(0);
        let read = |changes: usize| {
            times.set(0);
            settled(home.path(), || {
                times.set(times.get() + 1);
                if times.get() > 3 {
                    return Ok(times.get());
                }
                if times.get() <= changes {
                    let name = format!("{changes}-{}", times.get());
                    fs::write(home.path().join(name), "x").unwrap();
                }
                Err(Error::data(json!(times.get()).to_string()))
            })
        };
        assert_eq!(read(3).unwrap(), 4);
        assert_eq!(read(1).unwrap_err().to_string(), "2");
        assert_eq!(read(0).unwrap_err().to_string(), "1");
    }
}
