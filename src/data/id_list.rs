//! Files that list ids: which users to serve, which items to allow.

use super::text_table::{TextTable, decode};
use crate::core::{Ids, Side};
use crate::{Error, Result};
use std::collections::HashSet;
use std::path::Path;

/// Ids of a list, held against those of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdList {
    /// Rows of the ids that the model knows, in the order of the list, each once.
    pub rows: Vec<u32>,
    /// The ids that it does not know, in the order of the list, each once.
    pub unknown: Vec<String>,
}

impl IdList {
    /// Sorts ids into known and unknown.
    pub fn new<S: AsRef<str>>(ids: impl IntoIterator<Item = S>, known: &Ids) -> IdList {
        let mut list = IdList::default();
        let (mut taken, mut missed) = (HashSet::new(), HashSet::new());
        for id in ids {
            let id = id.as_ref();
            match known.get(id).or_else(|| known.get(id.trim())) {
                Some(row) if taken.insert(row) => list.rows.push(row),
                None if missed.insert(id.to_owned()) => list.unknown.push(id.to_owned()),
                Some(_) | None => {}
            }
        }
        list
    }

    /// Sorts the ids of texts into known and unknown. A text is an id if the model knows it; else it holds
    /// several with commas between them, of which each is as long as one that is known can be.
    pub fn of_texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>, known: &Ids) -> IdList {
        /// Commas in an id, at most.
        const COMMAS: usize = 16;
        let is_known = |id: &str| known.get(id).or_else(|| known.get(id.trim())).is_some();
        let mut ids = Vec::new();
        for text in texts {
            let text = text.as_ref();
            if is_known(text) {
                ids.push(text.to_owned());
                continue;
            }
            let parts: Vec<&str> = text.split(',').collect();
            let mut at = 0;
            while at < parts.len() {
                let most = (parts.len() - at).min(COMMAS + 1);
                let id = |count: usize| parts[at..at + count].join(",");
                let count = (1..=most).rev().find(|&count| is_known(&id(count))).unwrap_or(1);
                ids.push(id(count));
                at += count;
            }
        }
        IdList::new(ids, known)
    }

    /// Reads ids from a file (`-` is standard input): one a line, or the column of a table that
    /// its header names as the `side`'s, else the first. Whichever reading finds the most known
    /// ids is taken.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, or that has several ids on a line where a table of one
    /// id a line is out of the question: on its only line, or on lines of different lengths.
    pub fn read(path: &Path, known: &Ids, side: Side) -> Result<IdList> {
        let table = TextTable::open(path, &format!("a file of {} ids, one a line", side.name()))?;
        let reading = table.recognise(known, side, None, true);
        let mut ids = Vec::new();
        if let Some(line) = table.several_ids(&reading, known) {
            let message = format!("has several ids on a line (\"{line}\"); write one a line");
            return Err(Error::file(&table.name, message));
        }
        table.each(&reading, |record| {
            ids.push(decode(record.get(reading.id).copied().unwrap_or_default()).into_owned());
        });
        Ok(IdList::new(ids, known))
    }

    /// How many distinct ids there are.
    pub fn len(&self) -> usize {
        self.rows.len() + self.unknown.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &str) -> IdList {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let known: Ids = ["a", "the b", "c, d", "item", "5"].into_iter().collect();
        IdList::read(file.path(), &known, Side::Item).unwrap()
    }

    #[test]
    fn several_ids_on_a_line_are_refused() {
        let complaint = |bytes: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            let known: Ids = ["a", "b", "c", "d", "c, d"].into_iter().collect();
            IdList::read(file.path(), &known, Side::Item).err().map(|error| error.to_string())
        };
        for lines in ["a,b,c", "a;b", "a\tb\n", "a,b\nc,d,a\n", "a|b\nc\n"] {
            assert!(complaint(lines).is_some_and(|text| text.contains("one a line")), "{lines}");
        }
        for lines in ["c, d", "a,9", "a,9\nb,8\n", "item,count\na,b\n", "a\nb\n", "a,b\nc,d\n"] {
            assert_eq!(complaint(lines), None, "{lines}");
        }
    }

    #[test]
    fn a_comma_may_stand_in_an_id_or_between_two() {
        let known: Ids = ["a", "c, d", "c", "x,y,z", "y"].into_iter().collect();
        for (texts, rows, unknown) in [
            (&["a,c"][..], &[0, 2][..], &[][..]),
            (&["c, d"], &[1], &[]),
            (&["a,c, d,y"], &[0, 1, 4], &[]),
            (&["x,y,z", " a"], &[3, 0], &[]),
            (&["x,y"], &[4], &["x"]),
            (&["b,a", "e"], &[0], &["b", "e"]),
            (&[], &[], &[]),
        ] {
            let list = IdList::of_texts(texts, &known);
            assert_eq!(
                (&list.rows[..], list.unknown),
                (rows, unknown.iter().map(|id: &&str| id.to_string()).collect()),
                "{texts:?}"
            );
        }
    }

    #[test]
    fn one_a_line_or_a_column_of_a_table() {
        let list = |rows: &[u32], unknown: &[&str]| IdList {
            rows: rows.to_vec(),
            unknown: unknown.iter().map(|id| id.to_string()).collect(),
        };
        assert_eq!(read("the b\r\na\n\nx\nthe b\nx\n"), list(&[1, 0], &["x"]));
        assert_eq!(read("c, d\na\n"), list(&[2, 0], &[]));
        assert_eq!(read("\"c, d\"\na\nthe b\n"), list(&[2, 0, 1], &[]));
        assert_eq!(read("a,9\nthe b,8\nx,7\n"), list(&[0, 1], &["x"]));
        assert_eq!(read("score,movieId\n1,a\n2,the b\n"), list(&[0, 1], &[]));
        assert_eq!(read("movieId\na\n"), list(&[0], &[]));
        assert_eq!(read("item\na\n"), list(&[3, 0], &[]));
        assert_eq!(read("x\ny\n"), list(&[], &["x", "y"]));
        assert!(!read("x").is_empty());
    }
}
