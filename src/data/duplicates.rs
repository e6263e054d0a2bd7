//! Pairs of a user and an item that were rated more than once.

use crate::core::{Ids, NO_TIME, Ratings};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What becomes of several ratings of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The latest counts; without timestamps, and of ratings of one time, the last in the file.
    #[default]
    Last,
    /// Their arithmetic mean; it bears the time of the latest, as does the sum.
    Mean,
    /// Their sum.
    Sum,
    /// They are an error.
    Error,
}

/// Where ratings come from, for messages.
pub(super) trait Places {
    /// That the rating at `later` is of the same pair as that at `first`.
    fn twice(&self, first: u32, later: u32, ids: (&Ids, &Ids), ratings: &Ratings) -> String;
    /// An error if times cannot be compared, or any of `untimed` is a row without one.
    fn comparable(&self, untimed: &mut dyn Iterator<Item = u32>) -> Result<()>;
}

/// Merges the pairs in `found`, of rows of a first rating and of a later one, sorted, into the place of the
/// first, and leaves the later ones where they are.
///
/// Sums are made in f64 in order of the values, whatever the order of the file. The timestamp is that of
/// the last; the weight is that of the last, or of means and sums the mean of them.
///
/// # Errors
/// With [`Duplicates::Error`] the first duplicate, as `places` calls its two rows; a sum beyond f32; with
/// [`Duplicates::Last`] times that cannot be compared.
pub(super) fn merge(
    ratings: &mut Ratings,
    found: &[(u32, u32)],
    policy: Duplicates,
    ids: (&Ids, &Ids),
    places: &impl Places,
) -> Result<()> {
    let Some(&(first, later)) = found.iter().min_by_key(|pair| pair.1) else { return Ok(()) };
    if policy == Duplicates::Error {
        let message = format!(
            "{}; choose what becomes of them with `duplicates` last, mean or sum",
            places.twice(first, later, ids, ratings)
        );
        return Err(Error::data(message));
    }
    for group in found.chunk_by(|a, b| a.0 == b.0) {
        let (first, last) = (group[0].0 as usize, last(ratings, group) as usize);
        let rows = [group[0].0].into_iter().chain(group.iter().map(|pair| pair.1));
        if policy == Duplicates::Last && !ratings.timestamps.is_empty() {
            places
                .comparable(&mut rows.filter(|&row| ratings.timestamps[row as usize] == NO_TIME))?;
        }
        let value = match policy {
            Duplicates::Last | Duplicates::Error => ratings.values[last],
            Duplicates::Mean => (sum(&ratings.values, group) / (group.len() + 1) as f64) as f32,
            Duplicates::Sum => sum(&ratings.values, group) as f32,
        };
        if !value.is_finite() {
            let message = format!(
                "{}, and their sum is too large for a rating",
                places.twice(first as u32, last as u32, ids, ratings)
            );
            return Err(Error::data(message));
        }
        ratings.values[first] = value;
        if let Some(&time) = ratings.timestamps.get(last) {
            ratings.timestamps[first] = time;
        }
        if !ratings.weights.is_empty() {
            ratings.weights[first] = match policy {
                Duplicates::Last | Duplicates::Error => ratings.weights[last],
                Duplicates::Mean | Duplicates::Sum => {
                    (sum(&ratings.weights, group) / (group.len() + 1) as f64) as f32
                }
            };
        }
    }
    Ok(())
}

/// The latest rating of one pair; of those of one time, and where there is none, the last in the file.
fn last(ratings: &Ratings, group: &[(u32, u32)]) -> u32 {
    let time = |row: u32| ratings.timestamps.get(row as usize);
    let rows = group.iter().map(|pair| pair.1);
    rows.fold(group[0].0, |last, row| if time(row) >= time(last) { row } else { last })
}

/// The sum of what the ratings of one pair have, the least first.
fn sum(of: &[f32], group: &[(u32, u32)]) -> f64 {
    let rows = [group[0].0].into_iter().chain(group.iter().map(|pair| pair.1));
    let mut values: Vec<f32> = rows.map(|row| of[row as usize]).collect();
    values.sort_unstable_by(f32::total_cmp);
    values.into_iter().map(f64::from).sum()
}

/// Takes the later rows of the pairs in `found` out; the rows that stay, or nothing where all do.
pub(super) fn remove(ratings: &mut Ratings, found: &[(u32, u32)]) -> Vec<u32> {
    if found.is_empty() {
        return Vec::new();
    }
    let mut gone: Vec<u32> = found.iter().map(|pair| pair.1).collect();
    gone.sort_unstable();
    let mut next = gone.iter().copied().peekable();
    let mut kept = Vec::with_capacity(ratings.len() - gone.len());
    ratings.retain(|row| {
        let stays = next.next_if_eq(&(row as u32)).is_none();
        if stays {
            kept.push(row as u32);
        }
        stays
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Places for Nowhere {
        fn twice(&self, _: u32, _: u32, _: (&Ids, &Ids), _: &Ratings) -> String {
            String::new()
        }

        fn comparable(&self, untimed: &mut dyn Iterator<Item = u32>) -> Result<()> {
            assert_eq!(untimed.next(), None);
            Ok(())
        }
    }

    #[test]
    fn the_order_of_the_file_does_not_count_where_it_need_not() {
        let values = [1e8, 1.0, -1e8, 0.25];
        let ids = Ids::new();
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
        let merged = |policy, order: [usize; 4], times: bool| {
            let mut ratings = Ratings {
                users: vec![0; 4],
                items: vec![0; 4],
                values: order.map(|at| values[at]).to_vec(),
                timestamps: if times { order.map(|at| at as i64).to_vec() } else { vec![] },
                weights: order.map(|at| at as f32).to_vec(),
            };
            let found = [(0, 1), (0, 2), (0, 3)];
            merge(&mut ratings, &found, policy, (&ids, &ids), &Nowhere).unwrap();
            assert_eq!(remove(&mut ratings, &found), [0]);
            assert_eq!(ratings.len(), 1);
            let weight = match policy {
                Duplicates::Last if times => 3.0,
                Duplicates::Last => order[3] as f32,
                _ => 1.5,
            };
            assert_eq!(ratings.weights, [weight]);
            (ratings.values[0], ratings.timestamps.first().copied())
        };
        for order in orders {
            assert_eq!(merged(Duplicates::Sum, order, true), (1.25, Some(3)));
            assert_eq!(merged(Duplicates::Mean, order, false), (0.3125, None));
            assert_eq!(merged(Duplicates::Last, order, true), (0.25, Some(3)));
            assert_eq!(merged(Duplicates::Last, order, false), (values[order[3]], None));
        }
    }
}
