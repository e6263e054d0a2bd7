//! Which ratings go into a test part.
//!
//! What is drawn, and what is taken of equal times, goes by the ids, not by the order of the lines.

use super::order::Grouped;
use super::prepared::{Selection, deal};
use super::{SplitOptions, Table};
use crate::core::plural;
use crate::{Error, Result};

/// In no test part.
const TRAIN: u8 = u8::MAX;

/// The part of each rating.
pub(super) struct Choice {
    /// (ratings): the fold in whose test part it is, where a single split has fold 0.
    pub folds: Vec<u8>,
    /// Of a split of all by time, the least time of the test part.
    pub border: Option<String>,
    /// Of a split by time, how many ratings of the test part are of a pair that is in training too.
    pub repeats: Option<usize>,
}

impl Choice {
    /// Chooses among the ratings of a table as it was read.
    ///
    /// # Errors
    /// Too few ratings; times that are not there or cannot be compared.
    pub(super) fn new(table: &Table, options: &SplitOptions) -> Result<Self> {
        let grouped = Grouped::canonical(&table.users, &table.items, &table.ratings)?;
        let mut choice =
            Choice { folds: vec![TRAIN; table.ratings.len()], border: None, repeats: None };
        if let Some(last) = options.leave_last {
            choice.leave_last(table, &grouped, last)?;
        } else if let Some(fraction) = options.by_time {
            choice.border = Some(choice.by_time(table, fraction)?);
        } else {
            match options.users {
                Some(fraction) => choice.by_user(table, &grouped, fraction, options.seed),
                None => choice.by_chance(&grouped, options)?,
            }
            return Ok(choice);
        }
        let repeats = grouped.pairs().map(|rows| {
            let tested = rows.clone().filter(|&row| choice.folds[row as usize] != TRAIN).count();
            if tested < rows.count() { tested } else { 0 }
        });
        choice.repeats = Some(repeats.sum());
        Ok(choice)
    }

    fn by_chance(&mut self, grouped: &Grouped, options: &SplitOptions) -> Result<()> {
        let pairs = grouped.pairs().count();
        let folds = match options.folds {
            Some(folds) if pairs < folds as usize => {
                let ratings = self.folds.len();
                return Err(Error::data(format!(
                    "{} of {} of a user and an item are too few for `folds` {folds}",
                    plural(ratings, "rating"),
                    plural(pairs, "pair")
                )));
            }
            Some(folds) => deal(pairs, folds, options.seed),
            None => {
                let wanted = (options.holdout.unwrap_or(0.2) * pairs as f64).round() as usize;
                let mut chosen = Selection::new(pairs, wanted, options.seed);
                (0..pairs).map(|_| if chosen.next() { 0 } else { TRAIN }).collect()
            }
        };
        for (rows, fold) in grouped.pairs().zip(folds) {
            rows.for_each(|row| self.folds[row as usize] = fold);
        }
        Ok(())
    }

    fn by_user(&mut self, table: &Table, grouped: &Grouped, fraction: f64, seed: u64) {
        let users = &table.ratings.users;
        let rows: Vec<u32> = grouped.pairs().flatten().collect();
        let same = |&a: &u32, &b: &u32| users[a as usize] == users[b as usize];
        let all = rows.chunk_by(same).count();
        let mut chosen = Selection::new(all, (fraction * all as f64).round() as usize, seed);
        for rows in rows.chunk_by(same) {
            if chosen.next() {
                rows.iter().for_each(|&row| self.folds[row as usize] = 0);
            }
        }
    }

    fn leave_last(&mut self, table: &Table, grouped: &Grouped, last: u32) -> Result<()> {
        table.check_times()?;
        let (users, times) = (&table.ratings.users, &table.ratings.timestamps);
        // By user, a user's by item, of one item as the file has them.
        let mut rows: Vec<u32> = grouped.pairs().flatten().collect();
        for rows in rows.chunk_by_mut(|&a, &b| users[a as usize] == users[b as usize]) {
            match times.is_empty() {
                true => rows.sort_unstable(),
                false => rows.sort_by_key(|&row| times[row as usize]),
            }
            if let Some(kept) = rows.len().checked_sub(last as usize).filter(|&kept| kept > 0) {
                rows[kept..].iter().for_each(|&row| self.folds[row as usize] = 0);
            }
        }
        Ok(())
    }

    /// The border between the parts.
    fn by_time(&mut self, table: &Table, fraction: f64) -> Result<String> {
        let times = &table.ratings.timestamps;
        if times.is_empty() {
            return Err(Error::data(format!(
                "`by_time` needs timestamps, and there are none ({}); name their column with \
                 `columns` user,item,rating,timestamp",
                table.recognised.join("; ")
            )));
        }
        table.check_times()?;
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let count = sorted.len();
        let cut = count - (fraction * count as f64).round() as usize;
        let inside = |kept: usize| 0 < kept && kept < count;
        if !inside(cut) {
            let part = if cut == 0 { "training" } else { "test" };
            return Err(Error::data(format!(
                "`by_time` {fraction} of {} leaves none for the {part} part; change it",
                plural(count, "rating")
            )));
        }
        // Ratings of the time that the border would cut go where that changes the fraction less.
        let at = sorted[cut];
        let ends = [sorted.partition_point(|&t| t < at), sorted.partition_point(|&t| t <= at)];
        let nearest = ends.into_iter().filter(|&kept| inside(kept));
        let Some(kept) = nearest.min_by_key(|kept| kept.abs_diff(cut)) else {
            let time = table.scale.show(at);
            let message = format!(
                "all {count} ratings are of one time ({time}), which `by_time` cannot divide"
            );
            return Err(Error::data(message));
        };
        let border = sorted[kept];
        for (fold, &time) in self.folds.iter_mut().zip(times) {
            if time >= border {
                *fold = 0;
            }
        }
        Ok(table.scale.show(border))
    }
}
