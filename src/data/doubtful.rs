//! What columns can hardly be that were found by their names or places, and what else they could be.

use super::form::Doubt;
use super::guess::{self, is_number, is_whole};
use super::layout::{Layout, Outcome, Problem, shorten};
use super::names::{Role, normalised};
use super::options::{Delimiter, Format, Header, ReadOptions};
use crate::core::escaped;
use std::collections::BTreeSet;

/// Names of columns that tell what a user did.
const EVENTS: [&str; 11] = [
    "event",
    "eventtype",
    "eventname",
    "action",
    "actiontype",
    "behavior",
    "behaviour",
    "behaviortype",
    "interactiontype",
    "activity",
    "feedback",
];

/// Words for what a column of truth values holds.
const TRUTHS: [&str; 8] = ["true", "false", "yes", "no", "t", "f", "y", "n"];

impl Layout {
    /// Refuses what columns by position can hardly be, and notes what they may not be.
    pub(super) fn doubt_columns(
        &mut self,
        line: &[u8],
        records: &[Vec<String>],
        options: &ReadOptions,
    ) -> Outcome<()> {
        if self.has_lists() || options.columns.is_some() {
            return Ok(());
        }
        let first: &[String] = records.first().map_or(&[], Vec::as_slice);
        let names = self.header.as_deref().unwrap_or_default();
        let known = [Role::User, Role::Item].iter().any(|role| role.find(names).is_some());
        let rows = &records[usize::from(self.header.is_some()).min(records.len())..];
        if !known {
            let full = first.iter().rposition(|field| !field.is_empty()).map_or(0, |last| last + 1);
            if full > 4 {
                let what = match self.header {
                    Some(_) => "names of which none is known",
                    None => "and no header",
                };
                return Err(Problem::Line(format!(
                    "{full} fields {what} (\"{}\"): say which hold user, item, rating and time with \
                     `columns`, as in 1,2,3; or is this a user and its items (`format` grouped)?",
                    shorten(line)
                )));
            }
            if self.header.is_none() && numbers_below_a_name(first) {
                return Err(Problem::Line(format!(
                    "\"{}\" looks like the head of a matrix, a column for each item; write user, item and \
                     rating, one a line, or name the columns if these are ratings (`columns` 1,2,3)",
                    shorten(line)
                )));
            }
            if let Some(message) = guess::strange_columns(rows, self.columns) {
                return Err(Problem::Line(message));
            }
            if are_of_one_kind(rows, self.columns) {
                let what = "the columns hold numbers of one kind, as rows of a matrix and lists do (`format` \
                            grouped reads lists; `columns` 1,2,3 says that they are user, item and rating)";
                self.doubts.push(Doubt::new("columns", what));
            }
        }
        if let Some(item) = self.columns[1]
            && let Some(list) = guess::listed_items(rows, item)
        {
            return Err(Problem::Line(format!(
                "the item \"{}\" looks like a list of items: if it is one item, say so with \
                     `columns` 1,2; lists are read where all of a line is cut alike (`format` grouped), \
                     as after `tr '\\t' ','`",
                shorten(list.as_bytes())
            )));
        }
        if self.header.is_none() && options.header == Header::Auto && guess::may_be_header(records)
        {
            let what = format!(
                "the first line, \"{}\", is taken for data (`header` yes if it names the columns)",
                shorten(line)
            );
            self.doubts.push(Doubt::new("header", what));
        }
        self.doubt_values(rows);
        Ok(())
    }

    /// Notes items that look like several, and columns that look like ratings and are none.
    pub(super) fn doubt_values(&mut self, rows: &[Vec<String>]) {
        if let Some(item) = self.columns[1]
            && self.doubts.iter().all(|doubt| doubt.option != "delimiter")
            && let Some(list) = listed(rows, item)
        {
            let what = format!(
                "each item is taken for one, though all look like lists (as \"{}\"; `columns` says that \
                 they are items)",
                shorten(list.as_bytes())
            );
            self.doubts.push(Doubt::new("columns", what));
        }
        let Some(header) = self.header.as_ref().filter(|_| !self.has(Role::Rating)) else { return };
        let free = (0..header.len()).filter(|at| !self.columns.contains(&Some(*at)));
        let found = free.filter_map(|at| {
            let held: BTreeSet<&str> =
                rows.iter().filter_map(|row| row.get(at)).map(String::as_str).collect();
            let truths = |word: &&str| TRUTHS.contains(&&*word.to_lowercase());
            let event = EVENTS.contains(&&*normalised(&header[at]));
            // Texts of any length are no events.
            let few = (1..=12).contains(&held.len()) && !held.iter().all(|text| is_number(text));
            let all_truths = held.len() == 2 && held.iter().all(truths);
            (few && event || all_truths).then_some((at, held))
        });
        let found: Vec<String> = found
            .map(|(at, held)| {
                let held: Vec<String> =
                    held.iter().take(3).map(|text| shorten(text.as_bytes())).collect();
                format!("{} ({})", escaped(&header[at]), held.join(", "))
            })
            .collect();
        if !found.is_empty() {
            let what = format!(
                "what {} says is not looked at, as it is no number (write numbers for it, and name their \
                 column with `columns`)",
                found.join(" and ")
            );
            self.doubts.push(Doubt::new("columns", what));
        }
    }

    /// Notes columns of other names that are known for what a column was taken for.
    pub(super) fn doubt_names(&mut self) {
        let Some(header) = &self.header else { return };
        let mut found = Vec::new();
        for role in [Role::User, Role::Item, Role::Rating] {
            let Some(taken) = self.columns[role as usize].filter(|&at| role.knows(&header[at]))
            else {
                continue;
            };
            let is_id = |name: &str| normalised(name).ends_with("id");
            // What is called a title stands beside an id as its text.
            let rival = |&at: &usize| {
                !self.columns.contains(&Some(at))
                    && role.knows(&header[at])
                    && (role == Role::Rating || !is_id(&header[taken]) || is_id(&header[at]))
            };
            let rivals: Vec<_> =
                (0..header.len()).filter(rival).map(|at| escaped(&header[at])).collect();
            if !rivals.is_empty() {
                let (word, name) = (role.word(), escaped(&header[taken]));
                found.push(format!("{word}s by {name}, not {}", rivals.join(", ")));
            }
        }
        if !found.is_empty() {
            let what = format!("{} (`columns` names others)", found.join("; "));
            self.doubts.push(Doubt::new("columns", what));
        }
    }
}

/// Whether a first line names its first column, or leaves it empty, and has a number above each other one.
fn numbers_below_a_name(first: &[String]) -> bool {
    let Some((name, others)) = first.split_first() else { return false };
    let distinct: BTreeSet<_> = others.iter().collect();
    others.len() > 1
        && (name.is_empty() || Role::User.knows(name) || Role::Item.knows(name))
        && distinct.len() == others.len()
        && others.iter().all(|field| is_whole(field))
}

/// Whether items and ratings go over about the same whole numbers, times over some of them, and without times
/// users do too, or come once each: so it is in rows of a matrix, and in lists of the same length.
fn are_of_one_kind(rows: &[Vec<String>], columns: [Option<usize>; 4]) -> bool {
    let range = |role: Role| {
        let at = columns[role as usize]?;
        let number = |row: &Vec<String>| {
            row.get(at).filter(|field| is_whole(field)).and_then(|field| field.parse::<u64>().ok())
        };
        rows.iter().try_fold((u64::MAX, 0), |(low, high), row| {
            number(row).map(|number| (low.min(number), high.max(number)))
        })
    };
    let alike = |a: (u64, u64), b: (u64, u64)| {
        let length = |low: u64, high: u64| (high as f64 - low as f64 + 1.0).max(0.0);
        4.0 * length(a.0.max(b.0), a.1.min(b.1)) >= length(a.0.min(b.0), a.1.max(b.1))
    };
    let (Some(items), Some(ratings)) = (range(Role::Item), range(Role::Rating)) else {
        return false;
    };
    let times = columns[Role::Time as usize].map(|_| range(Role::Time));
    if rows.len() < 2 || !alike(items, ratings) {
        return false;
    }
    match times {
        Some(times) => times.is_some_and(|t| t.0 <= ratings.1 && ratings.0 <= t.1),
        None => {
            let users: BTreeSet<_> = rows.iter().filter_map(|row| row.first()).collect();
            users.len() == rows.len()
                || range(Role::User).is_some_and(|users| alike(users, ratings))
        }
    }
}

/// The first item, where all look like lists: texts in brackets, or with the same mark inside.
fn listed(rows: &[Vec<String>], item: usize) -> Option<&str> {
    let items: Vec<&str> =
        rows.iter().filter_map(|row| row.get(item)).map(String::as_str).collect();
    let (&first, _) = items.split_first().filter(|(_, others)| !others.is_empty())?;
    let bracketed = |text: &&str| text.starts_with('[') && text.ends_with(']');
    let marked = |mark: char| items.iter().all(|text| text.contains(mark));
    let all = items.iter().all(bracketed) || [',', ';', '|'].into_iter().any(marked);
    all.then_some(first)
}

/// A delimiter that cuts the first lines as evenly as the one that was taken, and not only numbers with a
/// comma for the point.
pub(super) fn rival(
    lines: &[(u64, &[u8])],
    taken: Delimiter,
    options: &ReadOptions,
) -> Option<Doubt> {
    if options.format == Format::Grouped
        || matches!(taken, Delimiter::DoubleColon | Delimiter::Byte(b'\t'))
    {
        return None;
    }
    let fields = guess::evenly(lines, taken, options.quotes)?;
    let marks = [b',', b';', b'|'].into_iter().map(Delimiter::Byte).filter(|&mark| mark != taken);
    let rival = marks.into_iter().find(|&mark| {
        guess::evenly(lines, mark, options.quotes).is_some_and(|others| {
            let text = mark.to_string();
            let decimal = |field: &String| {
                !field.contains(&text) || is_number(&field.trim().replace(&text, "."))
            };
            others.len() > 1 && !fields.iter().flatten().all(decimal)
        })
    })?;
    let what = format!(
        "cut at \"{taken}\", though \"{rival}\" cuts all lines too (`delimiter` \"{rival}\"?)",
        taken = if taken == Delimiter::Blanks { "blanks".to_owned() } else { taken.to_string() },
    );
    Some(Doubt::new("delimiter", what))
}
