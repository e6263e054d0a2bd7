//! Directories and patterns as sets of files.

use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Files to be read, and whether they were listed by a directory or a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// The file.
    pub path: PathBuf,
    /// Which argument it comes of, where that names a set: members are alike, and may be empty.
    pub set: Option<usize>,
}

/// The files that `paths` name: each file itself; of a directory the files in it, and of a pattern
/// (`*`, `?`, `[abc]`, `**`; where no file has that very name) the files that match, sorted by name.
/// Hidden files (a dot or an underscore first), empty files and the directories in a directory are
/// left out.
///
/// # Errors
/// A directory or a pattern without a file.
pub(super) fn members(paths: &[PathBuf]) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let listed = if path.is_dir() {
            directory(path)?
        } else if is_pattern(path) {
            pattern(path)?
        } else {
            members.push(Member { path: path.clone(), set: None });
            continue;
        };
        members.extend(listed.into_iter().map(|path| Member { path, set: Some(number) }));
    }
    Ok(members)
}

/// The files that `paths` name, as [`read`](super::read) takes them.
///
/// # Errors
/// A directory or a pattern without a file.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    Ok(members(paths)?.into_iter().map(|member| member.path).collect())
}

fn is_pattern(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text != "-" && text.contains(['*', '?', '[']) && !path.exists()
}

fn directory(path: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(|e| Error::io(path, e))? {
        let entry = entry.map_err(|e| Error::io(path, e))?;
        let file = path.join(entry.file_name());
        let name = entry.file_name().to_string_lossy().into_owned();
        if file.is_dir() {
            others.push(format!("{name}/"));
        } else if is_member(&file) {
            files.push(file);
        } else {
            others.push(name);
        }
    }
    files.sort();
    if path.join("run.json").is_file() && path.join("model.safetensors").is_file() {
        return Err(Error::file(path, "is the directory of a model; name a file of ratings"));
    }
    if files.is_empty() {
        others.sort();
        let held = match others.len() {
            0 => "is an empty directory".to_owned(),
            count => {
                let more = if count > 5 { ", ..." } else { "" };
                others.truncate(5);
                format!(
                    "is a directory without a file of ratings (it holds {}{more})",
                    others.join(", ")
                )
            }
        };
        return Err(Error::file(path, format!("{held}; name a file of ratings")));
    }
    Ok(files)
}

fn pattern(path: &Path) -> Result<Vec<PathBuf>> {
    let text = path.to_string_lossy();
    // A name with a bracket is a pattern only where it can be one.
    let found = glob::glob(&text).map_err(|e| {
        let message =
            format!("no file has this name, and it is no pattern ({}); check the path", e.msg);
        Error::file(path, message)
    })?;
    let mut files = Vec::new();
    for file in found {
        let file = file.map_err(|e| {
            let path = e.path().to_path_buf();
            Error::io(path, e.into())
        })?;
        if !file.is_dir() && is_member(&file) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Error::file(
            path,
            "no file has this name, and as a pattern it matches none; check the path",
        ));
    }
    files.sort();
    Ok(files)
}

/// Whether a file is neither hidden nor empty.
fn is_member(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with(['.', '_']));
    !hidden && std::fs::metadata(file).is_ok_and(|meta| !meta.is_file() || meta.len() > 0)
}
