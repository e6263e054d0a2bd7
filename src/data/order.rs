//! The order in which a model sees ids and ratings.
//!
//! Whatever is drawn or summed goes by that order. The canonical one depends on the ids alone, so that
//! a shuffled file, or the same ratings in several files, give the same model, bit for bit.

use super::duplicates::{self, Duplicates, Places};
use crate::core::{Ids, Ratings};
use crate::memory;
use crate::{Error, Result};
use bytemuck::Zeroable;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
#[cfg(feature = "files")]
use std::borrow::Cow;
use std::ops::Range;

/// What ids and ratings are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Ids by their UTF-8 bytes, a user's ratings by their items: the order of the file changes nothing.
    #[default]
    Canonical,
    /// Ids by their first rating, ratings as the file has them.
    Appearance,
}

impl Order {
    /// That of models whose record names none.
    pub(super) fn before() -> Self {
        Order::Appearance
    }
}

/// Most tasks that bring ratings together; each reads the users of all ratings.
const MOST_TASKS: usize = 16;
/// Ratings whose user is looked at before those of the task's own users are placed.
const BLOCK: usize = 1 << 12;
/// A user with more ratings than this has them sorted by all threads.
const LONG: usize = 1 << 16;

/// What became of ratings that were put into order.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled {
    /// Ratings that were merged into another of the same pair.
    pub merged: usize,
    /// (ratings): the row that each had; empty where that is still its own, or where nobody asked.
    #[cfg_attr(not(feature = "files"), expect(dead_code, reason = "lines of files are named"))]
    pub origins: Vec<u32>,
}

/// Merges several ratings of one pair, and puts ids and ratings into `order`. Each id has a rating.
///
/// # Errors
/// As [`duplicates::merge`]; more ratings than 32 bits count.
pub(super) fn settle(
    (users, items): (&mut Ids, &mut Ids),
    ratings: &mut Ratings,
    (policy, order): (Duplicates, Order),
    places: &impl Places,
    keep_origins: bool,
) -> Result<Settled> {
    check_count(ratings)?;
    if order == Order::Canonical {
        sort_ids(users, items, ratings);
        let pairs = ratings.users.iter().zip(&ratings.items);
        if pairs.is_sorted_by(|a, b| a < b) {
            return Ok(Settled::default());
        }
    }
    let mut grouped = Grouped::new(&ratings.users, &ratings.items, &ratings.values, users.len())?;
    let found = grouped.duplicates();
    duplicates::merge(ratings, &found, policy, (users, items), places)?;
    let origins = match order {
        Order::Canonical => {
            grouped.arrange(ratings, found.len());
            if keep_origins { grouped.rows() } else { Vec::new() }
        }
        Order::Appearance => duplicates::remove(ratings, &found),
    };
    Ok(Settled { merged: found.len(), origins })
}

/// Makes sure that 32 bits count the ratings.
fn check_count(ratings: &Ratings) -> Result<()> {
    match ratings.len() < u32::MAX as usize {
        true => Ok(()),
        false => Err(Error::data("there are more than 4,294,967,294 ratings; split the files")),
    }
}

/// Numbers the ids anew, by their bytes.
fn sort_ids(users: &mut Ids, items: &mut Ids, ratings: &mut Ratings) {
    fn side(ids: &mut Ids, rows: &mut [u32]) {
        let Some((sorted, rank)) = ids.sorted() else { return };
        rows.par_iter_mut().with_min_len(BLOCK).for_each(|row| *row = rank[*row as usize]);
        *ids = sorted;
    }
    let Ratings { users: user_rows, items: item_rows, .. } = ratings;
    rayon::join(|| side(users, user_rows), || side(items, item_rows));
}

/// The rows of ratings brought together by user, a user's by item, those of one pair in order of the file.
pub(super) struct Grouped {
    /// (users + 1): where each user's keys begin.
    starts: Vec<u32>,
    /// (ratings): a user's in order of items and rows.
    placed: Vec<Placed>,
}

/// A rating with the row that it came from.
#[derive(Clone, Copy, Default, Zeroable)]
struct Placed {
    item: u32,
    row: u32,
    /// Beside its row, where it lies in the cache when it is wanted.
    value: f32,
}

/// Whether two ratings of one user are of the same pair.
fn same(a: &Placed, b: &Placed) -> bool {
    a.item == b.item
}

impl Grouped {
    /// Groups `ratings`, whose users and items are given again. A counting sort by user; tasks own
    /// ranges of users, so no two of them share anything, and the result does not depend on their number.
    fn new(users: &[u32], items: &[u32], values: &[f32], user_count: usize) -> Result<Self> {
        let count = users.len();
        let mut starts = vec![0_u32; user_count + 1];
        for &user in users {
            starts[user as usize + 1] += 1;
        }
        for user in 0..user_count {
            starts[user + 1] += starts[user];
        }
        let mut placed = memory::zeroed::<Placed>(count, "ratings in order")?;
        let tasks = rayon::current_num_threads().clamp(1, MOST_TASKS);
        // Ranges of users with about as many ratings each.
        let border = |task: usize| {
            let target = (count as u64 * task as u64 / tasks as u64) as u32;
            starts.partition_point(|&start| start < target).min(user_count)
        };
        let borders: Vec<usize> = (0..tasks).map(border).chain([user_count]).collect();
        let (mut rest, mut work) = (&mut placed[..], Vec::with_capacity(tasks));
        for pair in borders.windows(2) {
            let range = pair[0]..pair[1].max(pair[0]);
            let length = starts[range.end] - starts[range.start];
            let (own, later) = rest.split_at_mut(length as usize);
            rest = later;
            work.push((range, own));
        }
        let ratings = (users, items, values);
        work.into_par_iter().for_each(|(range, own)| group(ratings, range, &starts, own));
        Ok(Grouped { starts, placed })
    }

    /// Groups ratings by the canonical order of ids that are in another one.
    ///
    /// # Errors
    /// More ratings than 32 bits can count.
    #[cfg(feature = "files")]
    pub(super) fn canonical(users: &Ids, items: &Ids, ratings: &Ratings) -> Result<Self> {
        fn ranked<'r>(ids: &Ids, rows: &'r [u32]) -> Cow<'r, [u32]> {
            match ids.sorted() {
                Some((_, rank)) => rows.iter().map(|&row| rank[row as usize]).collect(),
                None => Cow::Borrowed(rows),
            }
        }
        check_count(ratings)?;
        let (ranked_users, ranked_items) =
            (ranked(users, &ratings.users), ranked(items, &ratings.items));
        Self::new(&ranked_users, &ranked_items, &ratings.values, users.len())
    }

    /// The rows of each pair, in order of the pairs.
    #[cfg(any(feature = "files", test))]
    pub(super) fn pairs(&self) -> impl Iterator<Item = impl Iterator<Item = u32> + Clone + '_> {
        let users = self.starts.windows(2).map(|at| &self.placed[at[0] as usize..at[1] as usize]);
        users.flat_map(|user| user.chunk_by(same)).map(|pair| pair.iter().map(|placed| placed.row))
    }

    /// `(row of the first rating, row of a later one)` of each pair that occurs again, in order.
    pub(super) fn duplicates(&self) -> Vec<(u32, u32)> {
        let of_user = |at: &[u32]| {
            let placed = &self.placed[at[0] as usize..at[1] as usize];
            placed.windows(2).any(|pair| same(&pair[0], &pair[1])).then_some(placed)
        };
        let users: Vec<&[Placed]> =
            self.starts.par_windows(2).with_min_len(64).filter_map(of_user).collect();
        let mut found = Vec::new();
        for pair in users.iter().flat_map(|placed| placed.chunk_by(same)) {
            found.extend(pair[1..].iter().map(|later| (pair[0].row, later.row)));
        }
        found.sort_unstable();
        found
    }

    /// Puts the ratings into this order, of those of one pair only the first; where `merged` says that there
    /// are others, with the value that it has by now.
    fn arrange(&mut self, ratings: &mut Ratings, merged: usize) {
        if merged > 0 {
            self.keep_firsts();
            let placed = self.placed.par_iter_mut().with_min_len(BLOCK);
            placed.for_each(|placed| placed.value = ratings.values[placed.row as usize]);
        }
        let placed = &self.placed;
        let Ratings { users, items, values, timestamps, weights } = ratings;
        for part in [&mut *users, items] {
            part.truncate(placed.len());
        }
        values.truncate(placed.len());
        for (user, at) in self.starts.windows(2).enumerate() {
            users[at[0] as usize..at[1] as usize].fill(user as u32);
        }
        let rows = (items.par_chunks_mut(BLOCK), values.par_chunks_mut(BLOCK));
        rows.into_par_iter().zip(placed.par_chunks(BLOCK)).for_each(|((items, values), placed)| {
            for ((item, value), placed) in items.iter_mut().zip(values).zip(placed) {
                (*item, *value) = (placed.item, placed.value);
            }
        });
        if !timestamps.is_empty() {
            let placed = placed.par_iter().with_min_len(BLOCK);
            *timestamps = placed.map(|placed| timestamps[placed.row as usize]).collect();
        }
        if !weights.is_empty() {
            let rows = self.placed.par_iter().with_min_len(BLOCK);
            *weights = rows.map(|placed| weights[placed.row as usize]).collect();
        }
    }

    fn keep_firsts(&mut self) {
        let (mut kept, mut from) = (0, 0);
        for user in 1..self.starts.len() {
            let end = self.starts[user] as usize;
            let first = kept;
            for at in from..end {
                let placed = self.placed[at];
                if kept == first || !same(&self.placed[kept - 1], &placed) {
                    self.placed[kept] = placed;
                    kept += 1;
                }
            }
            (from, self.starts[user]) = (end, kept as u32);
        }
        self.placed.truncate(kept);
    }

    /// (ratings): the row of each.
    fn rows(&self) -> Vec<u32> {
        self.placed.iter().map(|placed| placed.row).collect()
    }
}

/// Places the ratings of a range of users.
fn group(
    (users, items, values): (&[u32], &[u32], &[f32]),
    range: Range<usize>,
    starts: &[u32],
    placed: &mut [Placed],
) {
    let base = starts[range.start];
    let mut next: Vec<u32> = starts[range.clone()].iter().map(|start| start - base).collect();
    // Which rows are of the range is as good as random: they are noted without a branch first.
    let (mut own, length) = (vec![0_u32; BLOCK], range.len() as u32);
    for (block, users) in users.chunks(BLOCK).enumerate() {
        let first = block * BLOCK;
        let mut count = 0;
        for (at, &user) in users.iter().enumerate() {
            own[count] = at as u32;
            count += usize::from(user.wrapping_sub(range.start as u32) < length);
        }
        for &at in &own[..count] {
            let (user, row) = (users[at as usize] as usize - range.start, first + at as usize);
            placed[next[user] as usize] =
                Placed { item: items[row], row: row as u32, value: values[row] };
            next[user] += 1;
        }
    }
    let (mut rest, mut keys, mut unsorted) = (placed, Vec::new(), Vec::new());
    for at in starts[range.start..=range.end].windows(2) {
        let (placed, later) = rest.split_at_mut((at[1] - at[0]) as usize);
        rest = later;
        if placed.is_sorted_by_key(|placed| placed.item) {
            continue;
        }
        // Short keys are sorted faster than what they stand for; they keep the order of the file.
        keys.clear();
        keys.extend(
            (0_u64..).zip(&*placed).map(|(at, placed)| (u64::from(placed.item) << 32) | at),
        );
        match keys.len() > LONG {
            true => keys.par_sort_unstable(),
            false => keys.sort_unstable(),
        }
        unsorted.clear();
        unsorted.extend_from_slice(placed);
        for (placed, key) in placed.iter_mut().zip(&keys) {
            *placed = unsorted[(key & u64::from(u32::MAX)) as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn in_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn groups_agree_with_a_map_for_any_number_of_threads() {
        let mut state = 7_u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) % below) as u32
        };
        let sizes = [(1, 1, 5), (1, 50, 40), (50, 1, 300), (40, 30, 2000), (1, 90_000, 70_000)];
        for (users, items, count) in sizes {
            let mut ratings = Ratings::default();
            for row in 0..count {
                ratings.users.push(draw(users));
                ratings.items.push(draw(items));
                ratings.values.push(row as f32);
            }
            let mut pairs = BTreeMap::<(u32, u32), Vec<u32>>::new();
            for (row, (user, item, _)) in ratings.iter().enumerate() {
                pairs.entry((user, item)).or_default().push(row as u32);
            }
            let firsts = pairs.values().map(|rows| rows[0]);
            let mut repeats: Vec<(u32, u32)> = pairs
                .values()
                .flat_map(|rows| rows[1..].iter().map(|&row| (rows[0], row)))
                .collect();
            repeats.sort_unstable();
            assert!(!repeats.is_empty());
            for threads in 1..=4 {
                in_threads(threads, || {
                    let mut grouped = Grouped::new(
                        &ratings.users,
                        &ratings.items,
                        &ratings.values,
                        users as usize + 2,
                    )
                    .unwrap();
                    assert!(grouped.pairs().map(Vec::from_iter).eq(pairs.values().cloned()));
                    let found = grouped.duplicates();
                    assert_eq!(found, repeats, "{threads} threads");
                    let mut arranged = ratings.clone();
                    grouped.arrange(&mut arranged, found.len());
                    let origins = grouped.rows();
                    assert!(origins.iter().copied().eq(firsts.clone()));
                    let triples = pairs.iter().map(|(&(u, i), rows)| (u, i, rows[0] as f32));
                    assert!(arranged.iter().eq(triples), "{threads} threads");
                });
            }
        }
    }
}
