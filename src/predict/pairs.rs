//! Predictions for a file of pairs, of any size in constant memory.

use super::predictive::Predictive;
use super::summary::{Ask, Summary};
use crate::core::{Ids, UNKNOWN, escaped};
use crate::data::{Format, ReadOptions, pairs as read_pairs};
use crate::model::Model;
use crate::progress::Progress;
use crate::{Error, Result};
use std::path::Path;

/// A pair of a file and what the model says about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction<'a> {
    /// The user's id.
    pub user: &'a str,
    /// The item's id.
    pub item: &'a str,
    /// The user's index, or [`UNKNOWN`].
    pub user_index: u32,
    /// The item's index, or [`UNKNOWN`].
    pub item_index: u32,
    /// As [`Model::predict`] gives it.
    pub value: f64,
    /// The line of the pair, counted from 1.
    pub line: u64,
}

impl Model {
    /// Reads pairs from a file, recognised as rating files are (`-` is standard input; further
    /// columns are passed over), and hands each with its prediction to `each`, in order. Returns
    /// how many there were.
    ///
    /// # Errors
    /// As [`Model::check`]; what `each` returns; an input that cannot be read, a line that holds no pair, a prediction
    /// that overflows: with file and line.
    pub fn predict_file(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &dyn Progress,
        mut each: impl FnMut(&Prediction) -> Result<()>,
    ) -> Result<u64> {
        self.check()?;
        check(options)?;
        let mut count = 0;
        read_pairs(path, options, progress, |name, (user, item), line| {
            let (user_index, item_index) = self.indices(user, item);
            let value = self.predict(user_index, item_index);
            if !value.is_finite() {
                return Err(overflow(name, (user, item), line));
            }
            count += 1;
            each(&Prediction { user, item, user_index, item_index, value, line })
        })?;
        Ok(count)
    }

    fn indices(&self, user: &str, item: &str) -> (u32, u32) {
        let index = |ids: &Ids, id: &str| ids.get(id).unwrap_or(UNKNOWN);
        (index(&self.users, user), index(&self.items, item))
    }
}

fn check(options: &ReadOptions) -> Result<()> {
    match options.format {
        Format::Grouped => Err(Error::settings("`format` grouped is for ratings, not for pairs")),
        _ => Ok(()),
    }
}

fn overflow(file: &str, (user, item): (&str, &str), line: u64) -> Error {
    let (user, item) = (escaped(user), escaped(item));
    let message = format!("the prediction for user \"{user}\", item \"{item}\" overflows");
    Error::line(file, line, message)
}

/// Pairs that are predicted together.
const BLOCK: usize = 1 << 15;

impl Predictive<'_> {
    /// As [`Model::predict_file`], with what the samples say about each pair; the prediction's value
    /// is the mean.
    ///
    /// # Errors
    /// As there, and as [`Predictive::summaries`]. What comes before a wrong line is handed out.
    pub fn predict_file(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &dyn Progress,
        ask: &Ask,
        mut each: impl FnMut(&Prediction, &Summary) -> Result<()>,
    ) -> Result<u64> {
        ask.check()?;
        let mut waiting = Waiting::default();
        let mut count = 0;
        let mut hand_out = |waiting: &mut Waiting| {
            count += waiting.lines.len() as u64;
            let done = waiting.hand_out(self, ask, &mut each);
            waiting.clear();
            done
        };
        check(options)?;
        let read = read_pairs(path, options, progress, |name, pair, line| {
            waiting.push(name, pair, line, self.model().indices(pair.0, pair.1));
            match waiting.lines.len() {
                BLOCK => hand_out(&mut waiting),
                _ => Ok(()),
            }
        });
        hand_out(&mut waiting)?;
        read?;
        Ok(count)
    }
}

/// Pairs that wait for their predictions.
#[derive(Default)]
struct Waiting {
    name: String,
    /// Users' and items' ids, one after another, and where each ends.
    text: String,
    ends: Vec<[usize; 2]>,
    users: Vec<u32>,
    items: Vec<u32>,
    lines: Vec<u64>,
}

impl Waiting {
    fn push(&mut self, name: &str, pair: (&str, &str), line: u64, indices: (u32, u32)) {
        if self.name != name {
            self.name = name.to_owned();
        }
        self.text.push_str(pair.0);
        let end = self.text.len();
        self.text.push_str(pair.1);
        self.ends.push([end, self.text.len()]);
        self.users.push(indices.0);
        self.items.push(indices.1);
        self.lines.push(line);
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.users.clear();
        self.items.clear();
        self.lines.clear();
    }

    fn hand_out(
        &self,
        predictive: &Predictive,
        ask: &Ask,
        each: &mut impl FnMut(&Prediction, &Summary) -> Result<()>,
    ) -> Result<()> {
        let summaries = predictive.summaries(&self.users, &self.items, ask)?;
        let mut start = 0;
        for (at, summary) in summaries.iter().enumerate() {
            let [middle, end] = self.ends[at];
            let (user, item) = (&self.text[start..middle], &self.text[middle..end]);
            start = end;
            let line = self.lines[at];
            if !summary.is_finite() {
                return Err(overflow(&self.name, (user, item), line));
            }
            let (user_index, item_index) = (self.users[at], self.items[at]);
            let value = summary.mean;
            each(&Prediction { user, item, user_index, item_index, value, line }, summary)?;
        }
        Ok(())
    }
}
