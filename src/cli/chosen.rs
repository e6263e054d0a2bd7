//! Rows that the command line chooses: by id, from files, to be listed or left out.

use super::listing::skip_unknown;
use super::words::some_of;
use std::path::{Path, PathBuf};
use wgmf::core::{Ids, Side, escaped};
use wgmf::data::IdList;
use wgmf::{Error, Result};

/// What may be listed.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// List only the ids of a file (of what is listed: items, or users): one id a line, or a table's
    /// first or item (user) column
    #[arg(long, value_name = "FILE")]
    only: Option<PathBuf>,
    /// List no id of a file
    #[arg(long, value_name = "FILE")]
    exclude: Option<PathBuf>,
}

/// The rows of ids that are given as texts, each an id or several with commas between them; the unknown
/// ones are said, with `strict` an error.
pub(super) fn named(texts: &[String], ids: &Ids, side: Side, strict: bool) -> Result<Vec<u32>> {
    if texts.iter().any(|text| text.trim().is_empty() && ids.get(text).is_none()) {
        let message = format!("an empty text names no {}; leave it out", side.name());
        return Err(Error::settings(message));
    }
    known(IdList::of_texts(texts, ids), side, strict)
}

/// The same of a file of ids.
pub(super) fn listed(file: &Path, ids: &Ids, side: Side, strict: bool) -> Result<Vec<u32>> {
    known(IdList::read(file, ids, side)?, side, strict)
}

fn known(list: IdList, side: Side, strict: bool) -> Result<Vec<u32>> {
    skip_unknown(&list.unknown, list.len(), &format!("{}s", side.name()), strict)?;
    Ok(list.rows)
}

impl Args {
    /// The files that are read.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.only, &self.exclude].into_iter().flatten()
    }

    /// (ids): whether each may be listed.
    pub(super) fn kept(&self, ids: &Ids, side: Side, strict: bool) -> Result<Vec<bool>> {
        let only = self.only.as_ref().map(|file| rows(file, "--only", ids, side, strict));
        let only = only.transpose()?;
        let exclude = self.exclude.as_ref().map(|file| rows(file, "--exclude", ids, side, strict));
        let exclude = exclude.transpose()?;
        let mut keep = vec![only.is_none(); ids.len()];
        only.iter().flatten().for_each(|&row| keep[row as usize] = true);
        exclude.iter().flatten().for_each(|&row| keep[row as usize] = false);
        match keep.contains(&true) {
            true => Ok(keep),
            false if ids.is_empty() => Ok(keep),
            false => Err(Error::data(match only {
                Some(_) => {
                    let side = side.name();
                    format!("--exclude leaves out every {side} of --only; nothing is left to list")
                }
                None => {
                    let side = side.name();
                    format!("--exclude leaves out every {side}; nothing is left to list")
                }
            })),
        }
    }
}

/// The rows of a file of ids; those that the model does not know are said.
fn rows(file: &Path, flag: &str, ids: &Ids, side: Side, strict: bool) -> Result<Vec<u32>> {
    let list = IdList::read(file, ids, side)?;
    if list.rows.is_empty() && flag == "--only" {
        let text = some_of(&list.unknown, list.len(), "ids are not in the model");
        let article = if side == Side::Item { "an item" } else { "a user" };
        let text = escaped(&text);
        let message = format!("{text}; {flag} needs {article} that the model knows");
        return Err(Error::file(file, message));
    }
    if !list.unknown.is_empty() {
        let what = format!("ids of {flag} are not in the model");
        let text = some_of(&list.unknown, list.len(), &what);
        if strict {
            return Err(Error::file(file, format!("{} (--strict)", escaped(&text))));
        }
        let then = match list.rows.is_empty() {
            true => "nothing is left out; are the ids of the same kind as in training?",
            false => "skipped",
        };
        say!("{}: {text}; {then}", file.display());
    }
    Ok(list.rows)
}
