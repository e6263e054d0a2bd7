//! The ratings cut into batches, each indexed by user and by item.
//!
//! A batch is a set of ratings. Inside it each side (users, items) has its own order: by row, and
//! within a row in file order, so that one thread or workgroup owns a row and sums its gradient in a
//! fixed order. The side with fewer rows *leads*: its runs are longer, it computes predictions and
//! residuals together with its own gradient. The other side *follows* and reads the residuals.

use super::ratings::Ratings;
use super::side::Side;
use super::sizes::Sizes;
use crate::memory;
use crate::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// One side's index of all batches. Positions count through all batches, in that side's order.
#[derive(Clone, Debug, Default)]
pub struct SideIndex {
    /// (ratings): the partner's row of each rating.
    pub partners: Vec<u32>,
    /// (runs): the row of each run; ascending within a batch, each row at most once in a batch.
    pub rows: Vec<u32>,
    /// (runs + 1): run `j` covers the positions `starts[j]..starts[j + 1]`.
    pub starts: Vec<u32>,
    /// (batches + 1): batch `b` has the runs `batch_runs[b]..batch_runs[b + 1]`.
    pub batch_runs: Vec<u32>,
}

impl SideIndex {
    /// The runs of a batch.
    pub fn runs(&self, batch: usize) -> Range<usize> {
        self.batch_runs[batch] as usize..self.batch_runs[batch + 1] as usize
    }

    /// The positions of a run.
    pub fn positions(&self, run: usize) -> Range<usize> {
        self.starts[run] as usize..self.starts[run + 1] as usize
    }

    /// Appends the runs of a batch whose positions begin at `base`.
    fn append(&mut self, part: &Runs, base: u32) -> Result<()> {
        memory::reserve(&mut self.rows, part.rows.len(), WHAT)?;
        memory::reserve(&mut self.starts, part.rows.len() + 1, WHAT)?;
        self.rows.extend_from_slice(&part.rows);
        self.starts.extend(part.starts.iter().map(|&start| start + base));
        self.batch_runs.push(self.rows.len() as u32);
        Ok(())
    }
}

/// All ratings, cut once into batches.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Number of user rows.
    pub users: usize,
    /// Number of item rows.
    pub items: usize,
    /// The side with fewer rows.
    pub lead_side: Side,
    /// Index of the leading side.
    pub lead: SideIndex,
    /// (ratings): the rating at each position of the leading side.
    pub values: Vec<f32>,
    /// (ratings): what the rating at each of them counts; empty where all count alike.
    pub weights: Vec<f32>,
    /// Index of the following side.
    pub follow: SideIndex,
    /// (ratings): for each position of the following side, the position in the leading side,
    /// counted from the start of the batch.
    pub links: Vec<u32>,
    /// (batches + 1): batch `b` covers the positions `starts[b]..starts[b + 1]` on both sides.
    pub starts: Vec<usize>,
    /// Training ratings of each user.
    pub user_ratings: Vec<u32>,
    /// Training ratings of each item.
    pub item_ratings: Vec<u32>,
}

impl Batches {
    /// Cuts `ratings` into batches: by a shuffle seeded with `shuffle` into as few of `batch_size` at most
    /// as there must be, all of one size or one rating less; or, where that is `None`, in file order into
    /// batches of `batch_size`, of which the last may be smaller.
    ///
    /// A step is as long as a batch's mean says, however few its ratings are: a last batch of two would
    /// move their rows 32 times as far as a batch of 64 does, and sgd with them out of bounds.
    ///
    /// # Panics
    /// If there are no ratings, `batch_size` is 0, or an index is out of range; if there is no memory for it.
    pub fn new(
        ratings: &Ratings,
        users: usize,
        items: usize,
        batch_size: usize,
        shuffle: Option<u64>,
    ) -> Self {
        match Self::try_new(ratings, users, items, batch_size, shuffle) {
            Ok(batches) => batches,
            Err(lacking) => panic!("{lacking}"),
        }
    }

    /// As [`new`](Self::new), where there may be no memory for it.
    ///
    /// # Errors
    /// There is none.
    ///
    /// # Panics
    /// As there, but for that.
    pub fn try_new(
        ratings: &Ratings,
        users: usize,
        items: usize,
        batch_size: usize,
        shuffle: Option<u64>,
    ) -> Result<Self> {
        if ratings.weights.is_empty() {
            return Self::cut(ratings, &ratings.values, (users, items), batch_size, shuffle);
        }
        // Each goes to its place with its number, by which its value and its weight are found there.
        let mut numbers = memory::with_room(ratings.len(), WHAT)?;
        numbers.extend((0..ratings.len() as u32).map(f32::from_bits));
        let mut batches = Self::cut(ratings, &numbers, (users, items), batch_size, shuffle)?;
        drop(numbers);
        let number = |value: &f32| value.to_bits() as usize;
        batches.weights = memory::with_room(ratings.len(), WHAT)?;
        batches.weights.extend(batches.values.iter().map(|value| ratings.weights[number(value)]));
        batches.values.iter_mut().for_each(|value| *value = ratings.values[number(value)]);
        Ok(batches)
    }

    fn cut(
        ratings: &Ratings,
        of_ratings: &[f32],
        (users, items): (usize, usize),
        batch_size: usize,
        shuffle: Option<u64>,
    ) -> Result<Self> {
        assert!(batch_size > 0 && !ratings.is_empty(), "a batch needs ratings");
        let lead_side = if users < items { Side::User } else { Side::Item };
        let (lead_rows, follow_rows) = match lead_side {
            Side::User => (&ratings.users, &ratings.items),
            Side::Item => (&ratings.items, &ratings.users),
        };
        let (order, (user_ratings, item_ratings)) = rayon::join(
            || {
                let mut order = memory::with_room(ratings.len(), WHAT)?;
                order.extend(0..ratings.len() as u32);
                if let Some(seed) = shuffle {
                    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
                }
                Ok::<_, Error>(order)
            },
            || {
                let count = |side, rows| move || ratings.counts(side, rows);
                rayon::join(count(Side::User, users), count(Side::Item, items))
            },
        );
        let mut order = order?;
        let mut batches = Batches {
            users,
            items,
            lead_side,
            lead: SideIndex { batch_runs: vec![0], ..Default::default() },
            values: Vec::new(),
            weights: Vec::new(),
            follow: SideIndex { batch_runs: vec![0], ..Default::default() },
            links: Vec::new(),
            starts: vec![0],
            user_ratings,
            item_ratings,
        };
        let n = ratings.len();
        let mut values = memory::zeroed(n, WHAT)?;
        let mut follow_partners = memory::zeroed(n, WHAT)?;
        let mut links = memory::zeroed(n, WHAT)?;
        let count = n.div_ceil(batch_size);
        let evenly = |batch: usize| (n as u64 * batch as u64 / count as u64) as usize;
        let ends: Vec<usize> = (1..=count)
            .map(|batch| match shuffle {
                Some(_) => evenly(batch),
                None => n.min(batch.saturating_mul(batch_size)),
            })
            .collect();
        let all = Members {
            order: &mut order,
            values: &mut values,
            follow_partners: &mut follow_partners,
            links: &mut links,
        };
        let (mut rest, mut base) = (all, 0);
        // Some batches at a time, so that runs that are not yet joined stay few.
        let group_ratings = (n / GROUPS).max(GROUP_RATINGS);
        for group in ends.chunks((group_ratings / batch_size).max(1)) {
            let mut members = Vec::with_capacity(group.len());
            let mut start = base;
            for &end in group {
                let (batch, others) = rest.split_at(end - start);
                members.push(batch);
                (rest, start) = (others, end);
            }
            let parts: Vec<[Runs; 2]> = members
                .into_par_iter()
                .map(|members| members.index(lead_rows, follow_rows, of_ratings))
                .collect();
            for ([lead, follow], &end) in parts.iter().zip(group) {
                batches.lead.append(lead, base as u32)?;
                batches.follow.append(follow, base as u32)?;
                base = end;
                batches.starts.push(base);
            }
        }
        batches.lead.starts.push(n as u32);
        batches.follow.starts.push(n as u32);
        (batches.lead.partners, batches.values) = (order, values);
        (batches.follow.partners, batches.links) = (follow_partners, links);
        Ok(batches)
    }

    /// Bytes of the layout of ratings of these sizes, and those that making it takes beside them, at most.
    pub fn bytes(sizes: &Sizes, batch_size: usize) -> [u64; 2] {
        let n = sizes.ratings as u64;
        let batch = (batch_size as u64).clamp(1, n.max(1));
        let count = n.div_ceil(batch);
        let runs: u64 =
            Side::BOTH.map(|side| n.min(count * batch.min(sizes.of(side)))).iter().sum();
        // Ratings on both sides; runs; where runs and batches begin; ratings of each row.
        let weights = if sizes.weighted { 4 * n } else { 0 };
        let kept = 16 * n + weights + 8 * runs + 8 + 16 * (count + 1) + 4 * sizes.rows();
        let group = (n / GROUPS as u64).max(GROUP_RATINGS as u64).max(batch).min(n);
        let threads = rayon::current_num_threads() as u64;
        // Runs that are not yet joined, and keys of both sides of the batches in work.
        let beside =
            weights + 8 * runs.min(2 * group) + 16 * (threads * batch).min(group) + 8 * count;
        [kept, beside]
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of ratings.
    pub fn ratings(&self) -> usize {
        self.values.len()
    }

    /// The positions of a batch, on either side.
    pub fn positions(&self, batch: usize) -> Range<usize> {
        self.starts[batch]..self.starts[batch + 1]
    }

    /// The values at positions of the leading side, and what they count; nothing where all count alike.
    pub fn values_at(&self, at: Range<usize>) -> (&[f32], &[f32]) {
        (&self.values[at.clone()], self.weights.get(at).unwrap_or_default())
    }

    /// Number of rows of a side.
    pub fn rows(&self, side: Side) -> usize {
        match side {
            Side::User => self.users,
            Side::Item => self.items,
        }
    }

    /// The index of a side.
    pub fn side_index(&self, side: Side) -> &SideIndex {
        if side == self.lead_side { &self.lead } else { &self.follow }
    }

    /// Training ratings of each row of a side.
    pub fn row_ratings(&self, side: Side) -> &[u32] {
        match side {
            Side::User => &self.user_ratings,
            Side::Item => &self.item_ratings,
        }
    }
}

/// What there is no memory for, where there is none.
const WHAT: &str = "ratings in batches";

/// Ratings that are indexed side by side before their runs are joined, at least.
const GROUP_RATINGS: usize = 1 << 20;

/// Groups of more, at most.
const GROUPS: usize = 16;

/// The runs of one side of a batch; positions count from its start.
#[derive(Default)]
struct Runs {
    rows: Vec<u32>,
    starts: Vec<u32>,
}

/// The ratings of some batches, and where what is known of each goes.
struct Members<'a> {
    /// Which ratings; once they are indexed, the leading side's partners.
    order: &'a mut [u32],
    values: &'a mut [f32],
    follow_partners: &'a mut [u32],
    links: &'a mut [u32],
}

impl<'a> Members<'a> {
    /// The first `count` of them, and the others.
    fn split_at(self, count: usize) -> (Members<'a>, Members<'a>) {
        let order = self.order.split_at_mut(count);
        let values = self.values.split_at_mut(count);
        let follow_partners = self.follow_partners.split_at_mut(count);
        let links = self.links.split_at_mut(count);
        let first = Members {
            order: order.0,
            values: values.0,
            follow_partners: follow_partners.0,
            links: links.0,
        };
        let others = Members {
            order: order.1,
            values: values.1,
            follow_partners: follow_partners.1,
            links: links.1,
        };
        (first, others)
    }

    /// Indexes a batch: the runs of the leading side and of the following one.
    fn index(self, lead_rows: &[u32], follow_rows: &[u32], values: &[f32]) -> [Runs; 2] {
        // (row, rating index): sorting orders by row and keeps file order within it.
        let mut keys: Vec<u64> =
            self.order.iter().map(|&j| pack(lead_rows[j as usize], j)).collect();
        keys.sort_unstable();
        let lead = runs(&keys);
        for ((partner, value), &key) in self.order.iter_mut().zip(&mut *self.values).zip(&keys) {
            *partner = follow_rows[low(key)];
            *value = values[low(key)];
        }
        let mut links: Vec<u64> =
            self.order.iter().zip(0..).map(|(&row, position)| pack(row, position)).collect();
        links.sort_unstable();
        let follow = runs(&links);
        for ((partner, to), &link) in
            self.follow_partners.iter_mut().zip(&mut *self.links).zip(&links)
        {
            *partner = (keys[low(link)] >> 32) as u32;
            *to = link as u32;
        }
        [lead, follow]
    }
}

fn pack(row: u32, position: u32) -> u64 {
    (u64::from(row) << 32) | u64::from(position)
}

fn low(key: u64) -> usize {
    key as u32 as usize
}

fn runs(keys: &[u64]) -> Runs {
    let mut index = Runs::default();
    let mut last = None;
    for (position, key) in keys.iter().enumerate() {
        let row = (key >> 32) as u32;
        if last != Some(row) {
            index.rows.push(row);
            index.starts.push(position as u32);
            last = Some(row);
        }
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratings() -> Ratings {
        let users: Vec<u32> = (0..200).map(|j| j * 7 % 31).collect();
        let items: Vec<u32> = (0..200).map(|j| (j * j + j / 3) % 17).collect();
        let values = (0..200).map(|j| j as f32).collect();
        Ratings { users, items, values, timestamps: vec![], weights: vec![] }
    }

    #[test]
    fn every_rating_is_in_exactly_one_batch_and_both_sides_agree() {
        let ratings = ratings();
        for (size, shuffle) in [(1, Some(3)), (7, None), (64, Some(1)), (1000, Some(2))] {
            let batches = Batches::new(&ratings, 31, 17, size, shuffle);
            assert_eq!(batches.lead_side, Side::Item);
            assert_eq!(batches.len(), 200_usize.div_ceil(size));
            let mut seen = [0; 200];
            for b in 0..batches.len() {
                let first = batches.positions(b).start;
                for run in batches.lead.runs(b) {
                    for at in batches.lead.positions(run) {
                        let j = batches.values[at] as usize;
                        seen[j] += 1;
                        assert_eq!(batches.lead.rows[run], ratings.items[j]);
                        assert_eq!(batches.lead.partners[at], ratings.users[j]);
                        if shuffle.is_none() {
                            assert_eq!(j / size, b);
                        }
                    }
                }
                for run in batches.follow.runs(b) {
                    for at in batches.follow.positions(run) {
                        let j = batches.values[first + batches.links[at] as usize] as usize;
                        seen[j] += 1;
                        assert_eq!(batches.follow.rows[run], ratings.users[j]);
                        assert_eq!(batches.follow.partners[at], ratings.items[j]);
                    }
                }
            }
            assert!(seen.iter().all(|&times| times == 2));
        }
    }

    #[test]
    fn bytes_are_those_that_are_laid_out_at_most() {
        for size in [1, 7, 64, 1000] {
            let sizes = Sizes { users: 31, items: 17, ratings: 200, test: 0, weighted: false };
            let [bytes, _] = Batches::bytes(&sizes, size);
            let of = Batches::new(&ratings(), 31, 17, size, Some(2));
            let words = |index: &SideIndex| {
                index.partners.len()
                    + index.rows.len()
                    + index.starts.len()
                    + index.batch_runs.len()
            };
            let words = words(&of.lead) + words(&of.follow) + of.values.len() + of.links.len();
            let rows = of.user_ratings.len() + of.item_ratings.len();
            let is = (4 * (words + rows) + 8 * of.starts.len()) as u64;
            // Fewer rows may come in a batch than it has ratings, and than there are.
            assert!(is <= bytes && (size > 1 || is == bytes), "{size}: {is} of {bytes}");
            assert!(bytes - is <= 8 * 2 * 48 * of.len() as u64, "{size}: {is} of {bytes}");
        }
    }

    #[test]
    fn a_row_keeps_file_order_and_stands_once_in_a_batch() {
        let batches = Batches::new(&ratings(), 31, 17, 50, Some(5));
        for b in 0..batches.len() {
            let rows = &batches.lead.rows[batches.lead.runs(b)];
            assert!(rows.is_sorted_by(|a, b| a < b));
            for run in batches.lead.runs(b) {
                let values = &batches.values[batches.lead.positions(run)];
                assert!(values.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn shuffled_batches_are_of_one_size_or_one_less() {
        for size in [1, 3, 64, 66, 67, 199, 200, 1000] {
            let batches = Batches::new(&ratings(), 31, 17, size, Some(4));
            let sizes: Vec<usize> =
                (0..batches.len()).map(|b| batches.positions(b).len()).collect();
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(most - least <= 1 && *most <= size, "{size}: {sizes:?}");
        }
        let in_order = Batches::new(&ratings(), 31, 17, 66, None);
        assert_eq!(in_order.starts, [0, 66, 132, 198, 200]);
    }

    #[test]
    fn the_shuffle_depends_on_the_seed_alone() {
        let ratings = ratings();
        let a = Batches::new(&ratings, 31, 17, 64, Some(9));
        let b = Batches::new(&ratings, 31, 17, 64, Some(9));
        let c = Batches::new(&ratings, 31, 17, 64, Some(10));
        assert_eq!(a.values, b.values);
        assert_ne!(a.values, c.values);
    }
}
