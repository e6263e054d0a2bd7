//! Rating triples in coordinate form.

use super::UNKNOWN;
use super::side::Side;
use crate::{Error, Result};

/// The time of a rating without one.
pub const NO_TIME: i64 = i64::MIN;

/// Ratings as parallel arrays of one length, in the order of the file: 12 bytes a rating, 8 more where
/// there are timestamps, 4 more where there are weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ratings {
    /// Dense user index of each rating.
    pub users: Vec<u32>,
    /// Dense item index of each rating.
    pub items: Vec<u32>,
    /// The rating itself; always finite.
    pub values: Vec<f32>,
    /// When each was given, in seconds or whatever unit the file has, or in a decimal part of it where times
    /// have decimals: an order, since f64 would not hold nanoseconds since 1970. [`NO_TIME`] of a rating
    /// that has none; empty when none has one.
    pub timestamps: Vec<i64>,
    /// What each counts in sums over ratings, against 1: finite and 0 or more; empty where all count alike, at
    /// no cost.
    pub weights: Vec<f32>,
}

impl Ratings {
    /// Bytes of a rating without timestamp.
    pub const BYTES: u64 = 12;

    /// How many ratings there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Makes sure that the arrays are of one length, the indices below `users` and `items` (or, where
    /// `unknown` may be, [`UNKNOWN`](super::UNKNOWN)), and the ratings finite.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn check(&self, users: usize, items: usize, unknown: bool) -> Result<()> {
        self.check_rows(users, items, unknown)?;
        if let Some(at) =
            self.weights.iter().position(|weight| !(0.0..f32::INFINITY).contains(weight))
        {
            let weight = self.weights[at];
            return Err(Error::data(format!(
                "weight {at} is {weight}, which is not a finite number of 0 or more"
            )));
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let value = self.values[at];
                Err(Error::data(format!("rating {at} is {value}, which is not a finite number")))
            }
            None => Ok(()),
        }
    }

    /// The same but for the ratings themselves.
    pub(crate) fn check_rows(&self, users: usize, items: usize, unknown: bool) -> Result<()> {
        self.check_lengths()?;
        for (side, rows) in [(Side::User, users), (Side::Item, items)] {
            check_count(side, rows)?;
            let known = |row: u32| (row as usize) < rows || (unknown && row == UNKNOWN);
            if let Some(at) = self.rows(side).iter().position(|&row| !known(row)) {
                let (row, side) = (self.rows(side)[at], side.name());
                return Err(Error::data(format!(
                    "rating {at} is of {side} {row}, and there are {rows} {side}s"
                )));
            }
        }
        Ok(())
    }

    /// Makes sure that the arrays are of one length.
    pub(crate) fn check_lengths(&self) -> Result<()> {
        let (m, n, count) = (self.users.len(), self.items.len(), self.values.len());
        let (times, weights) = (self.timestamps.len(), self.weights.len());
        let fits = |beside: usize| beside == 0 || beside == count;
        if m != count || n != count || !fits(times) || !fits(weights) {
            return Err(Error::data(format!(
                "{m} users, {n} items and {count} ratings ({times} times, {weights} weights): arrays of \
                 one length are needed"
            )));
        }
        Ok(())
    }

    /// The triples `(user, item, rating)` in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32, f32)> + '_ {
        self.users.iter().zip(&self.items).zip(&self.values).map(|((&u, &i), &r)| (u, i, r))
    }

    /// The index of each rating's row on a side.
    pub fn rows(&self, side: Side) -> &[u32] {
        match side {
            Side::User => &self.users,
            Side::Item => &self.items,
        }
    }

    /// The same, to be changed.
    pub(crate) fn rows_mut(&mut self, side: Side) -> &mut [u32] {
        match side {
            Side::User => &mut self.users,
            Side::Item => &mut self.items,
        }
    }

    /// The standard deviation of the ratings (population form), summed in f64; 0 for no ratings.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let sum: f64 = self.values.iter().map(|&r| (f64::from(r) - mean).powi(2)).sum();
        if self.is_empty() { 0.0 } else { (sum / self.len() as f64).sqrt() }
    }

    /// The standard deviation of the ratings, or 1 where all are equal: the scale of all that is
    /// chosen from the data.
    pub fn spread(&self) -> f64 {
        match self.deviation() {
            spread if spread > 0.0 => spread,
            _ => 1.0,
        }
    }

    /// How many ratings each of the `rows` rows of a side has.
    ///
    /// # Panics
    /// If an index of that side is `rows` or more.
    pub fn counts(&self, side: Side, rows: usize) -> Vec<u32> {
        let mut counts = vec![0; rows];
        self.rows(side).iter().for_each(|&row| counts[row as usize] += 1);
        counts
    }

    /// What the rating at `row` counts.
    pub(crate) fn weight(&self, row: usize) -> f32 {
        self.weights.get(row).copied().unwrap_or(1.0)
    }

    /// The mean of the ratings, each by its weight, summed in f64; 0 for no ratings.
    pub(crate) fn weighted_mean(&self) -> f64 {
        if self.weights.is_empty() {
            return self.mean();
        }
        let weights = || self.weights.iter().map(|&weight| f64::from(weight));
        let sum: f64 = self.values.iter().zip(weights()).map(|(&r, w)| f64::from(r) * w).sum();
        match weights().sum::<f64>() {
            all if all > 0.0 => sum / all,
            _ => 0.0,
        }
    }

    /// The arithmetic mean of the ratings, summed in f64; 0 for no ratings.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.values.iter().map(|&r| f64::from(r)).sum();
        if self.is_empty() { 0.0 } else { sum / self.len() as f64 }
    }

    /// Keeps the ratings whose row `keep` accepts, in order; it is asked once a row, in order.
    ///
    /// # Panics
    /// If the arrays are not of one length, see [`check`](Self::check).
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut kept = 0;
        for row in 0..self.len() {
            if !keep(row) {
                continue;
            }
            if kept < row {
                self.users[kept] = self.users[row];
                self.items[kept] = self.items[row];
                self.values[kept] = self.values[row];
                if let Some(&time) = self.timestamps.get(row) {
                    self.timestamps[kept] = time;
                }
                if let Some(&weight) = self.weights.get(row) {
                    self.weights[kept] = weight;
                }
            }
            kept += 1;
        }
        self.users.truncate(kept);
        self.items.truncate(kept);
        self.values.truncate(kept);
        self.timestamps.truncate(kept);
        self.weights.truncate(kept);
    }

    /// Adds the rating at `row` of `other`.
    pub(crate) fn push_from(&mut self, other: &Ratings, row: usize) {
        self.users.push(other.users[row]);
        self.items.push(other.items[row]);
        self.values.push(other.values[row]);
        self.timestamps.extend(other.timestamps.get(row));
        self.weights.extend(other.weights.get(row));
    }
}

/// Makes sure that 32 bits count the rows of a side; the last index stands for what is not known.
pub(crate) fn check_count(side: Side, rows: usize) -> Result<()> {
    match rows <= UNKNOWN as usize {
        true => Ok(()),
        false => Err(Error::data(format!("{rows} {}s are more than {UNKNOWN}", side.name()))),
    }
}
