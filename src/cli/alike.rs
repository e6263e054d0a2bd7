//! Files that belong to a model are read as its training file was, unless the command line says otherwise.

use super::words::{counted, thousands};
use clap::ValueEnum;
use wgmf::data::{Duplicates, ReadOptions, Reading, Table};
use wgmf::model::Model;

/// What the command line says, and where it says nothing what training was told; `given` knows which flags
/// it has.
pub(super) fn options(
    model: &Model,
    read: &ReadOptions,
    given: &dyn Fn(&str) -> bool,
) -> ReadOptions {
    let mut read = ReadOptions { like: model.run.reading().map(Box::new), ..read.clone() };
    meant(&mut read, given);
    read
}

/// Marks what was given though it is as by default.
pub(super) fn meant(read: &mut ReadOptions, given: &dyn Fn(&str) -> bool) {
    read.meant.extend(ReadOptions::WITH_DEFAULTS.into_iter().filter(|field| given(field)));
}

/// What becomes of several ratings of one pair.
pub(super) fn duplicates(model: &Model, asked: Option<Duplicates>) -> Duplicates {
    asked.unwrap_or_else(|| trained(model.run.reading().as_ref()))
}

/// What became of them in training; told where it is not what is done without a word.
pub(super) fn trained(reading: Option<&Reading>) -> Duplicates {
    let policy = reading.map_or_else(Duplicates::default, |reading| reading.duplicates);
    if policy != Duplicates::default() {
        let word = policy.to_possible_value();
        say!("as in training: --duplicates {}", word.as_ref().map_or("", |word| word.get_name()));
    }
    policy
}

/// Tells of ratings that lie outside of what the model was trained on.
pub(super) fn outside(model: &Model, table: &Table) {
    if let Some(range) = model.facts.range {
        say_outside(range, &table.ratings.values, |row| {
            let (file, line) = table.origin(row);
            format!("{file}:{line}: ")
        });
    }
}

/// The same of a test part: one rating in a hundred is more than chance, and may come of another column.
pub(super) fn say_outside([low, high]: [f64; 2], values: &[f32], place: impl Fn(usize) -> String) {
    let outside: Vec<usize> =
        (0..values.len()).filter(|&at| !(low..=high).contains(&f64::from(values[at]))).collect();
    let Some(&first) = outside.first() else { return };
    if outside.len() * 100 >= values.len() {
        say!(
            "note: {} of {} lie outside of what the model was trained on, {} to {} (first: {}{}); is \
             this the column of the ratings? --columns names it",
            thousands(outside.len() as u64),
            counted(values.len(), "rating"),
            low as f32,
            high as f32,
            place(first),
            values[first]
        );
    }
}
