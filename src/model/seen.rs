//! `seen.safetensors`: which items each user has rated in training, and how.

use crate::core::{Ratings, Side, check_count};
use crate::{Error, Result};

/// The training pairs as compressed sparse rows: `scipy.sparse.csr_matrix((values, indices,
/// indptr), shape)` of users × items.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub(super) indptr: Vec<i64>,
    pub(super) indices: Vec<u32>,
    /// Nothing where the file is from a version that kept none.
    pub(super) values: Option<Vec<f32>>,
    pub(super) items: usize,
}

impl Seen {
    /// The name of the file in a model directory.
    pub const FILE: &str = "seen.safetensors";

    /// The distinct pairs of `ratings`, whose indices lie below `users` and `items`, with the value that
    /// is last for each.
    ///
    /// # Errors
    /// Arrays of different lengths; a pair out of range, or whose value is not finite; more users or
    /// items than 32 bits count.
    pub fn new(ratings: &Ratings, users: usize, items: usize) -> Result<Seen> {
        ratings.check_lengths()?;
        check_count(Side::User, users)?;
        check_count(Side::Item, items)?;
        let mut indptr = vec![0_i64; users + 1];
        for (user, item, value) in ratings.iter() {
            if user as usize >= users || item as usize >= items {
                return Err(Error::data(format!(
                    "training pair ({user}, {item}) lies outside {users} users × {items} items"
                )));
            }
            if !value.is_finite() {
                let message = format!("the value of training pair ({user}, {item}) is {value}");
                return Err(Error::data(message));
            }
            indptr[user as usize + 1] += 1;
        }
        for user in 0..users {
            indptr[user + 1] += indptr[user];
        }
        let mut next: Vec<usize> = indptr[..users].iter().map(|&start| start as usize).collect();
        let mut pairs = vec![(0_u32, 0.0_f32); ratings.len()];
        for (user, item, value) in ratings.iter() {
            let slot = &mut next[user as usize];
            pairs[*slot] = (item, value);
            *slot += 1;
        }
        // Sorts each row and closes the gaps that repeated pairs leave.
        let mut indices = Vec::with_capacity(pairs.len());
        let mut values = Vec::with_capacity(pairs.len());
        let mut start = 0;
        for user in 0..users {
            let end = indptr[user + 1] as usize;
            let row = &mut pairs[start..end];
            // Stable: of a repeated pair the last stays last.
            row.sort_by_key(|pair| pair.0);
            for (at, &(item, value)) in row.iter().enumerate() {
                if row.get(at + 1).is_none_or(|next| next.0 != item) {
                    indices.push(item);
                    values.push(value);
                }
            }
            start = end;
            indptr[user + 1] = indices.len() as i64;
        }
        Ok(Seen { indptr, indices, values: Some(values), items })
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

    /// Whether the record holds the values of the pairs.
    pub fn has_values(&self) -> bool {
        self.values.is_some()
    }

    /// The record of a grown model of `users` × `items`: these pairs and those of `ratings`, whose
    /// values replace earlier ones. Without values it stays without.
    ///
    /// # Errors
    /// As [`Seen::new`].
    pub fn extended(&self, ratings: &Ratings, users: usize, items: usize) -> Result<Seen> {
        ratings.check_lengths()?;
        let mut all = self.ratings();
        all.users.extend_from_slice(&ratings.users);
        all.items.extend_from_slice(&ratings.items);
        all.values.extend_from_slice(&ratings.values);
        let mut seen = Seen::new(&all, users, items)?;
        if !self.has_values() {
            seen.values = None;
        }
        Ok(seen)
    }

    /// The pairs as ratings, user after user; 1 stands for values that are not known.
    pub fn ratings(&self) -> Ratings {
        let users = (0..self.users() as u32)
            .flat_map(|user| std::iter::repeat_n(user, self.items_of(user).len()));
        Ratings {
            users: users.collect(),
            items: self.indices.clone(),
            values: self.values.clone().unwrap_or_else(|| vec![1.0; self.pairs()]),
            timestamps: Vec::new(),
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
