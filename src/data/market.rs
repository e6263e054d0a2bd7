//! Matrix Market's coordinate format (Boisvert, Pozo and Remington 1996, "The Matrix Market exchange
//! formats"): a banner, remarks, a line of sizes, and a line for each entry: row, column, value. Rows
//! are users, columns are items, and their ids are the numbers from 1 as they stand.

use super::fields;
use super::options::Delimiter;
use crate::core::{Ids, Ratings};

/// What the head of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Market {
    /// Rows, columns and entries.
    pub sizes: [u64; 3],
    /// Whether entries have values.
    pub values: bool,
    /// Lines that are not blank before the first entry.
    pub skip: u64,
}

/// Whether `ratings`, those of a file from `first` on, are the body of such a file without its banner: the first
/// entry is the line of sizes, which counts the others and bounds their rows and columns.
pub(super) fn is_body((users, items): (&Ids, &Ids), ratings: &Ratings, first: usize) -> bool {
    let number = |ids: &Ids, index: u32| whole(ids.name(index).as_bytes());
    let count = ratings.len() - first;
    if count < 3 || f64::from(ratings.values[first]) != (count - 1) as f64 {
        return false;
    }
    let within = |ids: &Ids, indices: &[u32]| {
        let most = number(ids, indices[first]);
        let mut rows = indices[first + 1..].iter();
        most.is_some_and(|most| {
            rows.all(|&row| number(ids, row).is_some_and(|row| (1..=most).contains(&row)))
        })
    };
    within(users, &ratings.users) && within(items, &ratings.items)
}

/// Whether a first line is the banner of such a file.
pub(super) fn is_banner(line: &[u8]) -> bool {
    line.get(..14).is_some_and(|start| start.eq_ignore_ascii_case(b"%%MatrixMarket"))
}

impl Market {
    /// Reads the head; the line and what is wrong with it otherwise.
    pub(super) fn new(lines: &[(u64, &[u8])]) -> Result<Self, (u64, String)> {
        let (at, banner) = lines[0];
        let words = String::from_utf8_lossy(banner).to_ascii_lowercase();
        let words: Vec<&str> = words.split_ascii_whitespace().skip(1).collect();
        let values = match words.as_slice() {
            ["matrix", "coordinate", "pattern", "general"] => false,
            ["matrix", "coordinate", "real" | "integer", "general"] => true,
            _ => {
                let message = format!(
                    "is a Matrix Market file of another kind ({}); \"matrix coordinate real general\" is \
                     read, and so are integer and pattern; scipy.io.mmwrite writes it with \
                     symmetry=\"general\"",
                    words.join(" ")
                );
                return Err((at, message));
            }
        };
        let remarks = lines[1..].iter().take_while(|(_, line)| line.starts_with(b"%")).count();
        let Some(&(at, sizes)) = lines.get(1 + remarks) else {
            return Err((at, "has no line of sizes; is the file complete?".into()));
        };
        let found: Vec<Option<u64>> =
            fields::all(Delimiter::Blanks, sizes).into_iter().map(whole).collect();
        let &[Some(rows), Some(columns), Some(entries)] = found.as_slice() else {
            let text = super::layout::shorten(sizes);
            return Err((at, format!("\"{text}\" is no line of sizes (rows, columns, entries)")));
        };
        Ok(Market { sizes: [rows, columns, entries], values, skip: 2 + remarks as u64 })
    }

    /// Whether the entries that were read, those of `ratings` from `first` on, are what the head says.
    pub(super) fn check(
        &self,
        (users, items): (&Ids, &Ids),
        ratings: &Ratings,
        first: usize,
    ) -> Result<(), String> {
        let [rows, columns, entries] = self.sizes;
        for (word, ids, indices, most) in
            [("row", users, &ratings.users, rows), ("column", items, &ratings.items, columns)]
        {
            let mut seen = vec![false; ids.len()];
            for &index in &indices[first..] {
                if !std::mem::replace(&mut seen[index as usize], true) {
                    let name = ids.name(index);
                    let number = whole(name.as_bytes()).filter(|n| n.to_string() == name);
                    if number.is_none_or(|number| !(1..=most).contains(&number)) {
                        let name = super::layout::shorten(name.as_bytes());
                        return Err(format!(
                            "has an entry in {word} \"{name}\", and its line of sizes says that {word}s go \
                             from 1 to {most}"
                        ));
                    }
                }
            }
        }
        let count = (ratings.len() - first) as u64;
        if count != entries {
            return Err(format!(
                "has {count} {}, and its line of sizes says {entries}; is the file complete?",
                if count == 1 { "entry" } else { "entries" }
            ));
        }
        Ok(())
    }
}

fn whole(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
