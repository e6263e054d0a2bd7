//! The ratings as the row solvers walk them: by user and by item.

use super::ratings::Ratings;
use super::side::Side;
use std::ops::Range;

/// One side's ratings, row after row (compressed sparse rows); within a row in file order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideRatings {
    /// (rows + 1): row `j` covers the positions `starts[j]..starts[j + 1]`.
    pub starts: Vec<usize>,
    /// (ratings): the partner's row.
    pub partners: Vec<u32>,
    /// (ratings): the value `v` that is fitted.
    pub values: Vec<f32>,
    /// (ratings): the weight `w` of each rating, 0 or above; empty where all weigh 1.
    pub weights: Vec<f32>,
}

impl SideRatings {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// The positions of a row.
    pub fn positions(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// (rows): each row's number of ratings.
    pub fn counts(&self) -> Vec<u32> {
        self.starts.windows(2).map(|row| (row[1] - row[0]) as u32).collect()
    }

    fn new(ratings: &Ratings, weights: &[f32], side: Side, rows: usize) -> Self {
        let (own, partner) = (ratings.rows(side), ratings.rows(side.partner()));
        let mut starts = vec![0; rows + 1];
        for &row in own {
            starts[row as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut side = Self {
            starts,
            partners: vec![0; ratings.len()],
            values: vec![0.0; ratings.len()],
            weights: vec![0.0; weights.len()],
        };
        for (at, &row) in own.iter().enumerate() {
            let to = next[row as usize];
            next[row as usize] += 1;
            side.partners[to] = partner[at];
            side.values[to] = ratings.values[at];
            if let Some(&weight) = weights.get(at) {
                side.weights[to] = weight;
            }
        }
        side
    }
}

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
    /// If an index is out of range.
    pub fn new(ratings: &Ratings, weights: &[f32], users: usize, items: usize) -> Self {
        let (users, items) = rayon::join(
            || SideRatings::new(ratings, weights, Side::User, users),
            || SideRatings::new(ratings, weights, Side::Item, items),
        );
        Self { users, items }
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
    fn both_sides_hold_every_rating_in_file_order() {
        let ratings = Ratings {
            users: vec![2, 0, 2, 1, 0],
            items: vec![1, 0, 0, 1, 1],
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            timestamps: vec![],
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
        assert!(RowRatings::new(&ratings, &[], 4, 2).items.weights.is_empty());
    }
}
