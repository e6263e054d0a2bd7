//! The text format of word2vec, as gensim's `KeyedVectors.load_word2vec_format` reads it:
//! `users.w2v.txt` and `items.w2v.txt`, first `count dimensions`, then `word x0 x1 ...` a line.
//!
//! A word holds no blanks there. Those of an id become `_`; where that meets another word, `_2`,
//! `_3`, ... is added. `users.csv` and `items.csv` (`index,id,word,ratings,bias`) lead back from
//! the words, and hold the biases, which are no part of the vectors; the mean is in
//! `global_mean.csv`.

use super::{Labelled, Rows, number, sides};
use crate::core::Ids;
use crate::files::write_file;
use crate::model::Model;
use crate::{Error, Result};
use hashbrown::{HashMap, HashSet};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

pub(super) const FILES: &[&str] =
    &["global_mean.csv", "items.csv", "items.w2v.txt", "users.csv", "users.w2v.txt"];

pub(super) fn write(model: &Model, dir: &Path, progress: &Rows) -> Result<()> {
    if model.factors.factors == 0 {
        return Err(Error::data("a model without factors has no vectors; export it as csv"));
    }
    for side in sides(model) {
        let words = words(side.ids);
        write_vectors(&dir.join(format!("{}.w2v.txt", side.name)), &side, &words, progress)?;
        write_map(&dir.join(format!("{}.csv", side.name)), &side, &words)?;
    }
    write_file(&dir.join("global_mean.csv"), |out| {
        writeln!(out, "global_mean\n{}", number(model.factors.global_mean))
    })
}

fn write_vectors(path: &Path, side: &Labelled, words: &[Cow<str>], progress: &Rows) -> Result<()> {
    write_file(path, |out| {
        writeln!(out, "{} {}", words.len(), side.k)?;
        for (row, word) in words.iter().enumerate() {
            write!(out, "{word}")?;
            for &x in side.row(row) {
                write!(out, " {}", number(x))?;
            }
            writeln!(out)?;
            progress.done(row);
        }
        Ok(())
    })
}

fn write_map(path: &Path, side: &Labelled, words: &[Cow<str>]) -> Result<()> {
    write_file(path, |out| {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["index", "id", "word", "ratings", "bias"])?;
        for (row, (id, word)) in side.ids.iter().zip(words).enumerate() {
            let (index, ratings) = (row.to_string(), side.ratings[row].to_string());
            let bias = number(side.bias[row]).to_string();
            csv.write_record([&index, id, word, &ratings, &bias])?;
        }
        csv.flush()
    })
}

/// One distinct word an id; an id that is a word already keeps it.
fn words(ids: &Ids) -> Vec<Cow<'_, str>> {
    let is_word = |id: &str| !id.is_empty() && !id.contains(breaks_a_word);
    let mut taken: HashSet<String> = HashSet::new();
    if ids.iter().all(is_word) {
        return ids.iter().map(Cow::Borrowed).collect();
    }
    taken.extend(ids.iter().filter(|id| is_word(id)).map(str::to_owned));
    // The next suffix to try, so that many ids of one base do not try them all.
    let mut next: HashMap<String, u64> = HashMap::new();
    let mut word = |id: &str| {
        let base = if id.is_empty() { "_".into() } else { id.replace(breaks_a_word, "_") };
        if taken.insert(base.clone()) {
            return base;
        }
        let suffix = next.entry(base.clone()).or_insert(2);
        loop {
            let candidate = format!("{base}_{suffix}");
            *suffix += 1;
            if taken.insert(candidate.clone()) {
                return candidate;
            }
        }
    };
    ids.iter()
        .map(|id| if is_word(id) { Cow::Borrowed(id) } else { Cow::Owned(word(id)) })
        .collect()
}

fn breaks_a_word(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_keep_what_was_one() {
        let ids: Ids = ["a b", "a_b", "a\tb", "a_b_2", "", "_", "x", "a\u{a0}b"].iter().collect();
        let words = words(&ids);
        assert_eq!(words, ["a_b_3", "a_b", "a_b_4", "a_b_2", "__2", "_", "x", "a_b_5"]);
    }
}
