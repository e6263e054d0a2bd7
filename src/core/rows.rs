//! The ratings as the row solvers walk them: by user and by item.

use super::ratings::Ratings;
use super::side::Side;
use super::sizes::Sizes;
use crate::memory;
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;

/// One side's ratings, row after row (compressed sparse rows); within a row in file order.
#[derive(Clone, Debug, PartialEq)]
pub struct SideRatings {
    /// (rows + 1): row `j` covers the positions `starts[j]..starts[j + 1]`.
    pub starts: Vec<usize>,
    /// (ratings): the partner's row.
    pub partners: Vec<u32>,
    /// (ratings): the value `v` that is fitted.
    pub values: Vec<f32>,
    /// (ratings): the weight `w` of each rating, 0 or above (of Hu's objective also below); empty where all
    /// weigh 1.
    pub weights: Vec<f32>,
}

/// No rows.
impl Default for SideRatings {
    fn default() -> Self {
        let (partners, values, weights) = Default::default();
        Self { starts: vec![0], partners, values, weights }
    }
}

impl SideRatings {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Makes sure that the arrays fit each other and that each partner is one of `partners` rows.
    pub(crate) fn check(&self, partners: usize) -> Result<()> {
        let n = self.values.len();
        let ends = [self.starts.first(), self.starts.last()] == [Some(&0), Some(&n)];
        let weights = self.weights.is_empty() || self.weights.len() == n;
        if !ends || !self.starts.is_sorted() || !weights || self.partners.len() != n {
            return Err(Error::data(format!(
                "{n} values, {} partners, {} weights and {} rows of ratings do not belong together",
                self.partners.len(),
                self.weights.len(),
                self.rows()
            )));
        }
        match self.partners.iter().max().filter(|&&most| most as usize >= partners) {
            Some(most) => Err(Error::data(format!("row {most} is none of {partners} partners"))),
            None => Ok(()),
        }
    }

    /// The positions of a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn positions(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// (rows): each row's number of ratings.
    pub fn counts(&self) -> Vec<u32> {
        self.starts.windows(2).map(|row| (row[1] - row[0]) as u32).collect()
    }

    /// (rows): what each row's ratings weigh together; where they have no weights, their number.
    pub fn weighed(&self) -> Vec<f64> {
        let of = |row: &[usize]| match self.weights.is_empty() {
            true => (row[1] - row[0]) as f64,
            false => self.weights[row[0]..row[1]].iter().map(|&weight| f64::from(weight)).sum(),
        };
        self.starts.windows(2).map(of).collect()
    }

    /// Puts those ratings of each row last that weigh less than 0, in order.
    pub(crate) fn lighter_last(&mut self) {
        let Self { starts, partners, values, weights } = self;
        let mut lighter = Vec::new();
        for row in starts.windows(2) {
            let mut to = row[0];
            lighter.clear();
            for at in row[0]..row[1] {
                let rating = (partners[at], values[at], weights[at]);
                if rating.2 < 0.0 {
                    lighter.push(rating);
                } else {
                    (partners[to], values[to], weights[to]) = rating;
                    to += 1;
                }
            }
            for (to, rating) in (to..row[1]).zip(&lighter) {
                (partners[to], values[to], weights[to]) = *rating;
            }
        }
    }

    /// `value` says what is fitted for the rating of a number.
    fn new(
        ratings: &Ratings,
        value: impl Fn(usize) -> f32 + Sync,
        weights: &[f32],
        side: Side,
        rows: usize,
    ) -> Result<Self> {
        let (own, partner) = (ratings.rows(side), ratings.rows(side.partner()));
        let mut starts: Vec<usize> = memory::zeroed(rows + 1, WHAT)?;
        for &row in own {
            starts[row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let n = ratings.len();
        let mut side = Self {
            starts: Vec::new(),
            partners: memory::zeroed(n, WHAT)?,
            values: memory::zeroed(n, WHAT)?,
            weights: memory::zeroed(weights.len(), WHAT)?,
        };
        // Rows are shared out by their ratings; each share reads all ratings and places its own.
        let shares = (n / SHARE_RATINGS).clamp(1, MOST_SHARES);
        let mut rest = (&mut side.partners[..], &mut side.values[..], &mut side.weights[..]);
        let mut places = Vec::with_capacity(shares);
        let mut first = 0;
        for share in 1..=shares {
            let last = match share == shares {
                true => rows,
                false => starts.partition_point(|&start| start < n * share / shares).min(rows),
            };
            let count = starts[last] - starts[first];
            let (partners, later_partners) = rest.0.split_at_mut(count);
            let (values, later_values) = rest.1.split_at_mut(count);
            let (own_weights, later_weights) = rest.2.split_at_mut(count.min(weights.len()));
            rest = (later_partners, later_values, later_weights);
            places.push((first..last, partners, values, own_weights));
            first = last;
        }
        places.into_par_iter().for_each(|(range, partners, values, own_weights)| {
            let base = starts[range.start];
            let mut next: Vec<usize> = starts[range.clone()].iter().map(|at| at - base).collect();
            for (at, &row) in own.iter().enumerate() {
                if !range.contains(&(row as usize)) {
                    continue;
                }
                let next = &mut next[row as usize - range.start];
                partners[*next] = partner[at];
                values[*next] = value(at);
                if let Some(&weight) = weights.get(at) {
                    own_weights[*next] = weight;
                }
                *next += 1;
            }
        });
        side.starts = starts;
        Ok(side)
    }
}

/// What there is no memory for, where there is none.
const WHAT: &str = "ratings by row";

/// Ratings of a share, about; fewer are laid out by one thread.
const SHARE_RATINGS: usize = 1 << 20;

/// Shares of a side at most: each reads all ratings.
const MOST_SHARES: usize = 8;

/// All ratings, by user and by item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowRatings {
    /// Row after row of users; partners are items.
    pub users: SideRatings,
    /// Row after row of items; partners are users.
    pub items: SideRatings,
}

impl RowRatings {
    /// Lays out `ratings`, whose values are what is fitted, with one weight a rating or none at all.
    ///
    /// # Panics
    /// If an index is out of range; if there is no memory for it.
    pub fn new(ratings: &Ratings, weights: &[f32], users: usize, items: usize) -> Self {
        match Self::try_new(ratings, weights, users, items) {
            Ok(rows) => rows,
            Err(lacking) => panic!("{lacking}"),
        }
    }

    /// As [`new`](Self::new), where there may be no memory for it.
    ///
    /// # Errors
    /// There is none.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn try_new(ratings: &Ratings, weights: &[f32], users: usize, items: usize) -> Result<Self> {
        Self::of(ratings, |at| ratings.values[at], weights, users, items)
    }

    /// The same where `value` says what is fitted for the rating of a number.
    pub(crate) fn of(
        ratings: &Ratings,
        value: impl Fn(usize) -> f32 + Copy + Sync,
        weights: &[f32],
        users: usize,
        items: usize,
    ) -> Result<Self> {
        let (users, items) = rayon::join(
            || SideRatings::new(ratings, value, weights, Side::User, users),
            || SideRatings::new(ratings, value, weights, Side::Item, items),
        );
        Ok(Self { users: users?, items: items? })
    }

    /// Bytes of the layout of ratings of these sizes, with weights or without.
    pub fn bytes(sizes: &Sizes, weighted: bool) -> u64 {
        let each = if weighted { 12 } else { 8 };
        2 * each * sizes.ratings as u64 + 8 * (sizes.rows() + 2)
    }

    /// Makes sure that both sides fit themselves and each other.
    pub(crate) fn check(&self) -> Result<()> {
        self.users.check(self.items.rows())?;
        self.items.check(self.users.rows())?;
        match self.users.values.len() == self.items.values.len() {
            true => Ok(()),
            false => Err(Error::data("users and items have different numbers of ratings")),
        }
    }

    /// The ratings of a side's rows.
    pub fn side(&self, side: Side) -> &SideRatings {
        match side {
            Side::User => &self.users,
            Side::Item => &self.items,
        }
    }
}

/// The sides of a sweep in order.
pub fn turns(rounds: usize) -> impl Iterator<Item = Side> {
    [Side::User, Side::Item].into_iter().flat_map(move |side| std::iter::repeat_n(side, rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_change_nothing() {
        // Enough ratings for three shares, and a row that has most of them.
        let n = 3 * SHARE_RATINGS as u32 + 5;
        let row = |j: u32| if j.is_multiple_of(3) { j / 7 % 50 } else { 20 };
        let ratings = Ratings {
            users: (0..n).map(row).collect(),
            items: (0..n).map(|j| j % 11).collect(),
            values: (0..n).map(|j| j as f32).collect(),
            timestamps: vec![],
            weights: vec![],
        };
        let rows = RowRatings::new(&ratings, &ratings.values, 60, 11);
        for (side, own, partner) in [
            (&rows.users, &ratings.users, &ratings.items),
            (&rows.items, &ratings.items, &ratings.users),
        ] {
            let mut next = side.starts.clone();
            for (at, &row) in own.iter().enumerate() {
                let to = next[row as usize];
                next[row as usize] += 1;
                let placed = (side.partners[to], side.values[to], side.weights[to]);
                assert_eq!(placed, (partner[at], ratings.values[at], ratings.values[at]));
            }
            assert_eq!(next[..side.rows()], side.starts[1..]);
        }
    }

    #[test]
    fn both_sides_hold_every_rating_in_file_order() {
        let ratings = Ratings {
            users: vec![2, 0, 2, 1, 0],
            items: vec![1, 0, 0, 1, 1],
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            timestamps: vec![],
            weights: vec![],
        };
        let rows = RowRatings::new(&ratings, &[0.1, 0.2, 0.3, 0.4, 0.5], 4, 2);
        assert_eq!(rows.users.starts, [0, 2, 3, 5, 5]);
        assert_eq!(rows.users.partners, [0, 1, 1, 1, 0]);
        assert_eq!(rows.users.values, [2.0, 5.0, 4.0, 1.0, 3.0]);
        assert_eq!(rows.users.weights, [0.2, 0.5, 0.4, 0.1, 0.3]);
        assert_eq!(rows.items.starts, [0, 2, 5]);
        assert_eq!(rows.items.partners, [0, 2, 2, 1, 0]);
        assert_eq!(rows.items.values, [2.0, 3.0, 1.0, 4.0, 5.0]);
        assert_eq!(rows.side(Side::User).rows(), 4);
        let plain = RowRatings::new(&ratings, &[], 4, 2);
        assert!(plain.items.weights.is_empty());
        let sizes = Sizes { users: 4, items: 2, ratings: 5, test: 0, weighted: false };
        for (rows, weighted) in [(rows, true), (plain, false)] {
            let of = |side: &SideRatings| {
                8 * side.starts.len()
                    + 4 * (side.partners.len() + side.values.len() + side.weights.len())
            };
            let is = of(&rows.users) + of(&rows.items);
            assert_eq!(is as u64, RowRatings::bytes(&sizes, weighted));
        }
    }
}
