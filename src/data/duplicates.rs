//! Pairs of a user and an item that were rated more than once.

use crate::core::Ratings;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What becomes of several ratings of one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// The last in the file counts.
    #[default]
    Last,
    /// Their arithmetic mean.
    Mean,
    /// Their sum.
    Sum,
    /// They are an error.
    Error,
}

/// Most tasks that look for duplicates; each has a stamp for every item.
const MOST_TASKS: usize = 16;
/// Stamps in all, in u32: bounds the memory where there are many items.
const MOST_STAMPS: usize = 64 << 20;

/// `(row of the first rating, row of a later one)` of each pair that occurs again, in order.
///
/// Rows are brought together by user in a counting sort; a stamp per item then tells whether the
/// user has it already. Tasks own ranges of users, so no two of them share anything.
pub(super) fn find(ratings: &Ratings, users: usize, items: usize) -> Result<Vec<(u32, u32)>> {
    if ratings.len() >= u32::MAX as usize {
        return Err(Error::data("there are more than 4,294,967,294 ratings; split the files"));
    }
    let mut starts = vec![0_u32; users + 1];
    for &user in &ratings.users {
        starts[user as usize + 1] += 1;
    }
    for user in 0..users {
        starts[user + 1] += starts[user];
    }
    let fitting = (MOST_STAMPS / items.max(1)).max(1);
    let tasks = rayon::current_num_threads().clamp(1, MOST_TASKS).min(fitting);
    // Ranges of users with about as many ratings each.
    let border = |task: usize| {
        let target = (ratings.len() as u64 * task as u64 / tasks as u64) as u32;
        starts.partition_point(|&start| start < target).min(users)
    };
    let borders: Vec<usize> = (0..tasks).map(border).chain([users]).collect();
    let ranges = borders.windows(2).map(|pair| pair[0]..pair[1].max(pair[0]));
    let ranges: Vec<std::ops::Range<usize>> = ranges.collect();
    let found: Vec<Vec<(u32, u32)>> = ranges
        .into_par_iter()
        .map(|range| find_in(ratings, items, range.start as u32..range.end as u32, &starts))
        .collect();
    let mut found = found.concat();
    found.sort_unstable();
    Ok(found)
}

fn find_in(
    ratings: &Ratings,
    items: usize,
    range: std::ops::Range<u32>,
    starts: &[u32],
) -> Vec<(u32, u32)> {
    let base = starts[range.start as usize];
    let count = (starts[range.end as usize] - base) as usize;
    let mut ends: Vec<u32> =
        starts[range.start as usize..range.end as usize].iter().map(|start| start - base).collect();
    // (item, row), grouped by user, in order of the file within a user.
    let mut grouped = vec![(0_u32, 0_u32); count];
    for (row, (&user, &item)) in ratings.users.iter().zip(&ratings.items).enumerate() {
        if range.contains(&user) {
            let end = &mut ends[(user - range.start) as usize];
            grouped[*end as usize] = (item, row as u32);
            *end += 1;
        }
    }
    let mut found = Vec::new();
    let mut firsts = vec![0_u32; items];
    let mut from = 0;
    for &end in &ends {
        for place in from..end {
            let (item, row) = grouped[place as usize];
            // The stamp is where the user's first rating of the item lies, plus 1: anything at or
            // before the user's own range is another user's.
            let first = &mut firsts[item as usize];
            if *first > from {
                found.push((grouped[*first as usize - 1].1, row));
            } else {
                *first = place + 1;
            }
        }
        from = end;
    }
    found
}

/// Merges the pairs that [`find`] found into the place of the first; how many were merged away.
///
/// Sums are made in f64 in order of the file. The timestamp is that of the last.
///
/// # Errors
/// With [`Duplicates::Error`] the first duplicate, as `name` calls its two rows; a sum beyond f32.
pub(super) fn merge(
    ratings: &mut Ratings,
    found: &[(u32, u32)],
    policy: Duplicates,
    name: impl Fn(u32, u32, &Ratings) -> String,
) -> Result<usize> {
    let Some(&(first, later)) = found.iter().min_by_key(|pair| pair.1) else { return Ok(0) };
    if policy == Duplicates::Error {
        let message = format!(
            "{}; choose what becomes of them with `duplicates` last, mean or sum",
            name(first, later, ratings)
        );
        return Err(Error::data(message));
    }
    for group in found.chunk_by(|a, b| a.0 == b.0) {
        let (first, last) = (group[0].0 as usize, group[group.len() - 1].1 as usize);
        let later = group.iter().map(|pair| f64::from(ratings.values[pair.1 as usize]));
        let sum = f64::from(ratings.values[first]) + later.sum::<f64>();
        let value = match policy {
            Duplicates::Last | Duplicates::Error => ratings.values[last],
            Duplicates::Mean => (sum / (group.len() + 1) as f64) as f32,
            Duplicates::Sum => sum as f32,
        };
        if !value.is_finite() {
            let message = format!(
                "{}, and their sum is too large for a rating",
                name(first as u32, last as u32, ratings)
            );
            return Err(Error::data(message));
        }
        ratings.values[first] = value;
        if let Some(&time) = ratings.timestamps.get(last) {
            ratings.timestamps[first] = time;
        }
    }
    let mut gone: Vec<u32> = found.iter().map(|pair| pair.1).collect();
    gone.sort_unstable();
    let mut next = gone.iter().copied().peekable();
    ratings.retain(|row| next.next_if_eq(&(row as u32)).is_none());
    Ok(gone.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn find_agrees_with_a_map_for_any_number_of_threads() {
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) % below) as u32
        };
        for (users, items, count) in [(1, 1, 5), (1, 50, 40), (50, 1, 300), (40, 30, 2000)] {
            let mut ratings = Ratings::default();
            for _ in 0..count {
                ratings.users.push(draw(users));
                ratings.items.push(draw(items));
                ratings.values.push(1.0);
            }
            let mut seen = std::collections::HashMap::new();
            let mut want = Vec::new();
            for (row, (user, item, _)) in ratings.iter().enumerate() {
                match seen.get(&(user, item)) {
                    Some(&first) => want.push((first, row as u32)),
                    None => drop(seen.insert((user, item), row as u32)),
                }
            }
            want.sort_unstable();
            assert!(!want.is_empty());
            for threads in 1..=4 {
                let got = in_threads(threads, || find(&ratings, users as usize, items as usize));
                assert_eq!(got.unwrap(), want, "{threads} threads");
            }
        }
    }
}
