//! `seen.safetensors`: which items each user has rated in training, and how.

use crate::core::{Ratings, Side, check_count};
use crate::memory;
use crate::{Error, Result};
use std::borrow::Cow;

/// The training pairs as compressed sparse rows: `scipy.sparse.csr_matrix((values, indices,
/// indptr), shape)` of users × items.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub(super) indptr: Vec<i64>,
    pub(super) indices: Vec<u32>,
    /// Nothing where the file is from a version that kept none.
    pub(super) values: Option<Vec<f32>>,
    /// What each pair counts, over the mean of all; nothing where all count alike.
    pub(super) weights: Option<Vec<f32>>,
    pub(super) items: usize,
}

impl Seen {
    /// The name of the file in a model directory.
    pub const FILE: &str = "seen.safetensors";

    /// The distinct pairs of `ratings`, whose indices lie below `users` and `items`, with the value, and the
    /// weight, that is last for each.
    ///
    /// # Errors
    /// Arrays of different lengths; a pair out of range, or whose value is not finite; more users or
    /// items than 32 bits count.
    pub fn new(ratings: &Ratings, users: usize, items: usize) -> Result<Seen> {
        ratings.check_lengths()?;
        Self::of_owned(Cow::Borrowed(ratings), users, items)
    }

    /// The same of ratings that nobody needs any more: where they are in order already, as those are that
    /// were trained on, nothing is copied.
    pub(crate) fn of(ratings: Ratings, users: usize, items: usize) -> Result<Seen> {
        ratings.check_lengths()?;
        Self::of_owned(Cow::Owned(ratings), users, items)
    }

    fn of_owned(ratings: Cow<Ratings>, users: usize, items: usize) -> Result<Seen> {
        check_count(Side::User, users)?;
        check_count(Side::Item, items)?;
        let Ratings { users: own, items: theirs, values, weights, .. } = &*ratings;
        let weighted = !weights.is_empty();
        let mut indptr = starts((own, theirs, values), users, items)?;
        let pairs = || own.iter().zip(theirs);
        if pairs().zip(pairs().skip(1)).all(|(a, b)| a < b) {
            let (indices, values, weights) = match ratings {
                Cow::Owned(Ratings { items, values, weights, .. }) => (items, values, weights),
                Cow::Borrowed(ratings) => {
                    let mut indices = memory::with_room(ratings.len(), WHAT)?;
                    indices.extend_from_slice(&ratings.items);
                    let mut values = memory::with_room(ratings.len(), WHAT)?;
                    values.extend_from_slice(&ratings.values);
                    let mut weights = memory::with_room(ratings.weights.len(), WHAT)?;
                    weights.extend_from_slice(&ratings.weights);
                    (indices, values, weights)
                }
            };
            let weights = weighted.then_some(weights);
            return Ok(Seen { indptr, indices, values: Some(values), weights, items });
        }
        let mut pairs = grouped((own, theirs, values, weights), &indptr)?;
        // Sorts each row and closes the gaps that repeated pairs leave.
        let mut indices = memory::with_room(pairs.len(), WHAT)?;
        let mut values = memory::with_room(pairs.len(), WHAT)?;
        let mut weights = memory::with_room(if weighted { pairs.len() } else { 0 }, WHAT)?;
        let mut start = 0;
        for user in 0..users {
            let end = indptr[user + 1] as usize;
            for Pair { item, value, weight } in distinct(&mut pairs[start..end]) {
                indices.push(item);
                values.push(value);
                if weighted {
                    weights.push(weight);
                }
            }
            start = end;
            indptr[user + 1] = indices.len() as i64;
        }
        let weights = weighted.then_some(weights);
        Ok(Seen { indptr, indices, values: Some(values), weights, items })
    }

    /// Where a user's pairs are among all.
    ///
    /// # Panics
    /// If `user >= self.users()`.
    pub(crate) fn range_of(&self, user: u32) -> std::ops::Range<usize> {
        self.indptr[user as usize] as usize..self.indptr[user as usize + 1] as usize
    }

    /// The items a user has rated in training, ascending.
    ///
    /// # Panics
    /// If `user >= self.users()`.
    pub fn items_of(&self, user: u32) -> &[u32] {
        let user = user as usize;
        &self.indices[self.indptr[user] as usize..self.indptr[user + 1] as usize]
    }

    /// Whether a pair is a training pair; one of an [`UNKNOWN`](crate::core::UNKNOWN) id is none.
    pub fn contains(&self, user: u32, item: u32) -> bool {
        (user as usize) < self.users() && self.items_of(user).binary_search(&item).is_ok()
    }

    /// The values of a user's training pairs, transformed as in training, in the order of
    /// [`items_of`](Self::items_of); `None` where the record holds pairs only, as that of a model
    /// trained by version 0.1.0 does.
    ///
    /// # Panics
    /// If `user >= self.users()`.
    pub fn values_of(&self, user: u32) -> Option<&[f32]> {
        let user = user as usize;
        let row = self.indptr[user] as usize..self.indptr[user + 1] as usize;
        self.values.as_ref().map(|values| &values[row])
    }

    /// The values of all pairs, in the order of [`indices`](Self::indices); `None` as there.
    pub fn values(&self) -> Option<&[f32]> {
        self.values.as_deref()
    }

    /// What a user's training pairs count, over the mean of all, in the order of
    /// [`items_of`](Self::items_of); `None` where all count alike. Pairs of rows that were folded in count 1.
    ///
    /// # Panics
    /// If `user >= self.users()`.
    pub fn weights_of(&self, user: u32) -> Option<&[f32]> {
        let row = self.range_of(user);
        self.weights.as_ref().map(|weights| &weights[row])
    }

    /// Whether the record holds what pairs count.
    pub fn has_weights(&self) -> bool {
        self.weights.is_some()
    }

    /// Whether the record holds the values of the pairs.
    pub fn has_values(&self) -> bool {
        self.values.is_some()
    }

    /// The record of a grown model of `users` × `items`: these pairs and those of `ratings`, whose
    /// values replace earlier ones, and count 1. Without values it stays without.
    ///
    /// # Errors
    /// As [`Seen::new`].
    pub fn extended(&self, ratings: &Ratings, users: usize, items: usize) -> Result<Seen> {
        ratings.check_lengths()?;
        self.extended_by((&ratings.users, &ratings.items, &ratings.values), users, items)
    }

    /// The same of ratings in three arrays of one length: users, items and values.
    pub(crate) fn extended_by(
        &self,
        (own, theirs, values): (&[u32], &[u32], &[f32]),
        users: usize,
        items: usize,
    ) -> Result<Seen> {
        check_count(Side::User, users)?;
        check_count(Side::Item, items)?;
        if users < self.users() || items < self.items {
            return Err(Error::data(format!(
                "training pairs of {} users × {} items lie outside {users} users × {items} items",
                self.users(),
                self.items
            )));
        }
        let starts = starts((own, theirs, values), users, items)?;
        let mut new = grouped((own, theirs, values, &[]), &starts)?;
        let most = self.pairs() + new.len();
        let mut indptr = Vec::with_capacity(users + 1);
        let mut indices = memory::with_room(most, WHAT)?;
        let keeps = self.has_values();
        let weighs = self.weights.is_some();
        let mut values = memory::with_room(if keeps { most } else { 0 }, WHAT)?;
        let mut weights = memory::with_room(if weighs { most } else { 0 }, WHAT)?;
        indptr.push(0);
        for user in 0..users {
            let range = match user < self.users() {
                true => self.range_of(user as u32),
                false => 0..0,
            };
            let of = |of: &Option<Vec<f32>>, at: usize| of.as_ref().map_or(1.0, |of| of[at]);
            let old = |at: usize| Pair {
                item: self.indices[at],
                value: of(&self.values, at),
                weight: of(&self.weights, at),
            };
            let mut push = |Pair { item, value, weight }: Pair| {
                indices.push(item);
                if keeps {
                    values.push(value);
                }
                if weighs {
                    weights.push(weight);
                }
            };
            let mut at = range.start;
            for pair in distinct(&mut new[starts[user] as usize..starts[user + 1] as usize]) {
                while at < range.end && self.indices[at] < pair.item {
                    push(old(at));
                    at += 1;
                }
                at += usize::from(at < range.end && self.indices[at] == pair.item);
                push(pair);
            }
            (at..range.end).for_each(|at| push(old(at)));
            indptr.push(indices.len() as i64);
        }
        let (values, weights) = (keeps.then_some(values), weighs.then_some(weights));
        Ok(Seen { indptr, indices, values, weights, items })
    }

    /// The pairs as ratings, user after user, without what they count; 1 stands for values that are not known.
    pub fn ratings(&self) -> Ratings {
        let users = (0..self.users() as u32)
            .flat_map(|user| std::iter::repeat_n(user, self.items_of(user).len()));
        Ratings {
            users: users.collect(),
            items: self.indices.clone(),
            values: self.values.clone().unwrap_or_else(|| vec![1.0; self.pairs()]),
            timestamps: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Number of distinct pairs.
    pub fn pairs(&self) -> usize {
        self.indices.len()
    }

    /// Where each user's items begin in [`indices`](Self::indices): (users + 1).
    pub fn indptr(&self) -> &[i64] {
        &self.indptr
    }

    /// The items of all users, one user after another: (pairs).
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }
}

/// What there is no memory for, where there is none.
const WHAT: &str = "training pairs";

/// (users + 1): where each user's pairs begin, once they are grouped.
///
/// # Errors
/// A pair out of range, or whose value is not finite.
fn starts(
    (own, theirs, values): (&[u32], &[u32], &[f32]),
    users: usize,
    items: usize,
) -> Result<Vec<i64>> {
    let mut starts = vec![0_i64; users + 1];
    for ((&user, &item), value) in own.iter().zip(theirs).zip(values) {
        if user as usize >= users || item as usize >= items {
            return Err(Error::data(format!(
                "training pair ({user}, {item}) lies outside {users} users × {items} items"
            )));
        }
        if !value.is_finite() {
            let message = format!("the value of training pair ({user}, {item}) is {value}");
            return Err(Error::data(message));
        }
        starts[user as usize + 1] += 1;
    }
    for user in 0..users {
        starts[user + 1] += starts[user];
    }
    Ok(starts)
}

/// An item that a user has.
#[derive(Clone, Copy)]
struct Pair {
    item: u32,
    value: f32,
    /// What it counts.
    weight: f32,
}

/// A user's pairs after another's, in the order in which they came; without weights each counts 1.
fn grouped(
    (own, theirs, values, weights): (&[u32], &[u32], &[f32], &[f32]),
    starts: &[i64],
) -> Result<Vec<Pair>> {
    let mut next = starts[..starts.len() - 1].to_vec();
    let none = Pair { item: 0, value: 0.0, weight: 1.0 };
    let mut pairs = memory::filled(none, own.len(), WHAT)?;
    for (at, ((&user, &item), &value)) in own.iter().zip(theirs).zip(values).enumerate() {
        let slot = &mut next[user as usize];
        let weight = weights.get(at).copied().unwrap_or(1.0);
        pairs[*slot as usize] = Pair { item, value, weight };
        *slot += 1;
    }
    Ok(pairs)
}

/// A user's pairs by their items, of a repeated one the last.
fn distinct(pairs: &mut [Pair]) -> impl Iterator<Item = Pair> {
    // Stable, so that the last stays last.
    pairs.sort_by_key(|pair| pair.item);
    let pairs = &*pairs;
    let last =
        |&(at, pair): &(usize, &Pair)| pairs.get(at + 1).is_none_or(|next| next.item != pair.item);
    pairs.iter().enumerate().filter(last).map(|(_, &pair)| pair)
}
