//! Which columns hold what: by `columns`, by the names of the header, by position.

use super::guess::{self, is_number};
use super::layout::{Layout, Outcome, Problem, shorten};
use super::names::{Role, normalised};
use super::options::{Header, ReadOptions};
use crate::core::escaped;
use crate::{Error, Result};

impl Layout {
    /// Finds the header and the columns.
    pub(super) fn find_columns(
        &mut self,
        records: &[Vec<String>],
        options: &ReadOptions,
    ) -> Outcome<()> {
        let first: &[String] = records.first().map_or(&[], Vec::as_slice);
        if self.has_lists() {
            if options.columns.is_some() {
                let message = "`columns` means nothing with `format` grouped";
                return Err(Problem::Settings(message.into()));
            }
            self.header = (options.header == Header::Yes).then(|| first.to_vec());
            return Ok(());
        }
        if let Some(columns) = &options.columns {
            return self.follow(columns, records, options.header);
        }
        let header = match options.header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => guess::looks_like_header(records, 2),
        };
        if first.len() < 2 {
            return Err(Problem::Line(format!(
                "\"{}\" is a single field where a user and an item are needed; use `delimiter`",
                shorten(first.first().map_or("", String::as_str).as_bytes())
            )));
        }
        if header {
            self.columns = by_name(first, records)?;
            self.header = Some(first.to_vec());
        } else {
            self.columns = [0, 1, 2, 3].map(|column| (column < first.len()).then_some(column));
        }
        Ok(())
    }

    /// Follows `columns`.
    pub(super) fn follow(
        &mut self,
        text: &str,
        records: &[Vec<String>],
        header: Header,
    ) -> Outcome<()> {
        let first: &[String] = records.first().map_or(&[], Vec::as_slice);
        let (columns, named) = asked(text, first, header)?;
        self.columns = columns;
        self.needs_time = columns[3].is_some();
        let header = match header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => {
                named || guess::looks_like_header(records, columns[2].unwrap_or(usize::MAX))
            }
        };
        self.header = header.then(|| first.to_vec());
        Ok(())
    }
}

/// The columns that `columns` asks for among those of the first line, and whether it has names.
fn asked(text: &str, first: &[String], header: Header) -> Outcome<([Option<usize>; 4], bool)> {
    let wanted: Vec<&str> = text.split(',').map(str::trim).collect();
    let usage = |what: &str| {
        Problem::Settings(format!(
            "`columns` \"{}\" {what}; give names or 1-based positions as \
             user,item[,rating[,timestamp]]",
            escaped(text)
        ))
    };
    if !(2..=4).contains(&wanted.len()) {
        return Err(usage("does not name two to four columns"));
    }
    let position = |name: &str| name.parse::<usize>().ok();
    let skipped = |slot: usize| slot >= 2 && matches!(wanted[slot], "-" | "");
    let named = (0..wanted.len()).any(|s| !skipped(s) && position(wanted[s]).is_none());
    if named && header == Header::No {
        return Err(usage("has names, but `header` no says that there are none"));
    }
    let mut columns = [None; 4];
    for slot in (0..wanted.len()).filter(|&slot| !skipped(slot)) {
        let name = wanted[slot];
        let column = match position(name) {
            Some(0) => return Err(usage("has position 0")),
            Some(position) if position > first.len() => {
                return Err(Problem::Line(format!(
                    "has {} fields; `columns` asks for column {position}",
                    first.len()
                )));
            }
            Some(position) => position - 1,
            None => {
                let exact = first.iter().position(|field| field == name);
                let near = || {
                    let name = normalised(name);
                    first.iter().position(|field| normalised(field) == name)
                };
                exact.or_else(near).ok_or_else(|| {
                    Problem::Line(format!(
                        "no column is called \"{}\" (there are {})",
                        escaped(name),
                        shorten(first.join(", ").as_bytes())
                    ))
                })?
            }
        };
        if columns.contains(&Some(column)) {
            return Err(usage("names a column twice"));
        }
        columns[slot] = Some(column);
    }
    Ok((columns, named))
}

/// The columns of user, item, rating and timestamp of a table in memory whose columns are called `names`, as
/// those of a file are found by its header: by `columns` (as in [`ReadOptions::columns`]), by known names, else
/// in that order. `numbers` says of which columns the values are numbers.
///
/// ```
/// let names = ["play_id", "movieId", "user", "stars"].map(String::from);
/// let columns = wgmf::data::columns_of(&names, &[true, true, false, true], None).unwrap();
/// assert_eq!(columns, [Some(2), Some(1), Some(3), None]);
/// let error = wgmf::data::columns_of(&names, &[true; 4], Some("user,film")).unwrap_err();
/// assert!(error.to_string().contains("no column is called \"film\""));
/// ```
///
/// # Errors
/// Fewer than two columns; a name that is not there; columns of which it is not plain what they are.
pub fn columns_of(
    names: &[String],
    numbers: &[bool],
    columns: Option<&str>,
) -> Result<[Option<usize>; 4]> {
    let kind = |column: usize| if numbers.get(column) == Some(&true) { "1" } else { "x" };
    let row = (0..names.len()).map(|column| kind(column).to_owned()).collect();
    let found = match columns {
        Some(text) => asked(text, names, Header::Yes).map(|(columns, _)| columns),
        None if names.len() < 2 => {
            return Err(Error::data(format!(
                "a user and an item are needed, and there is {} column",
                if names.is_empty() { "no" } else { "a single" }
            )));
        }
        None => by_name(names, &[names.to_vec(), row]),
    };
    found.map_err(|problem| match problem {
        Problem::Settings(text) => Error::settings(text),
        Problem::Line(text) | Problem::At(_, text) => Error::data(text),
    })
}

/// The columns by the names of the header; by position if it has none that is known.
fn by_name(header: &[String], records: &[Vec<String>]) -> Outcome<[Option<usize>; 4]> {
    let mut columns = Role::ALL.map(|role| role.find(header));
    if columns[0].is_none() && columns[1].is_none() {
        return Ok([0, 1, 2, 3].map(|column| (column < header.len()).then_some(column)));
    }
    let free = |columns: &[Option<usize>; 4]| -> Vec<usize> {
        (0..header.len()).filter(|&column| !columns.contains(&Some(column))).collect()
    };
    for role in [Role::User, Role::Item] {
        if columns[role as usize].is_some() {
            continue;
        }
        // The one column left, or the one left that is called an id.
        let left = free(&columns);
        let ids: Vec<usize> =
            left.iter().copied().filter(|&c| normalised(&header[c]).ends_with("id")).collect();
        columns[role as usize] = match (left.as_slice(), ids.as_slice()) {
            (&[only], _) | (_, &[only]) => Some(only),
            _ => {
                return Err(Problem::Line(format!(
                    "cannot tell which column is the {} (there are {}); use `columns`",
                    role.word(),
                    shorten(header.join(", ").as_bytes())
                )));
            }
        };
    }
    let numbers = |column: usize| {
        records.len() > 1
            && records[1..].iter().all(|r| r.get(column).is_some_and(|field| is_number(field)))
    };
    if columns[2].is_none()
        && columns[..2] == [Some(0), Some(1)]
        && free(&columns) == [2]
        && numbers(2)
    {
        columns[2] = Some(2);
    }
    Ok(columns)
}
