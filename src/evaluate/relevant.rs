//! The relevant items of each user.

use crate::data::{Ratings, UNKNOWN};

/// Users and the items that are relevant to them, in compressed sparse rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Relevant {
    /// The users that have a relevant item, ascending.
    pub users: Vec<u32>,
    /// (users + 1): where each user's items begin.
    starts: Vec<usize>,
    /// Ascending and distinct within a user.
    items: Vec<u32>,
}

impl Relevant {
    /// Gathers the pairs of `ratings` that `keep` takes, which gets user, item and rating of every
    /// pair whose ids are known.
    pub fn new(ratings: &Ratings, keep: impl Fn(u32, u32, f32) -> bool) -> Self {
        let known = |&(user, item, _): &(u32, u32, f32)| user != UNKNOWN && item != UNKNOWN;
        let kept = ratings.iter().filter(known).filter(|&(u, i, r)| keep(u, i, r));
        let mut pairs: Vec<(u32, u32)> = kept.map(|(user, item, _)| (user, item)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut relevant = Self { starts: vec![0], ..Self::default() };
        for of_user in pairs.chunk_by(|a, b| a.0 == b.0) {
            relevant.users.push(of_user[0].0);
            relevant.items.extend(of_user.iter().map(|pair| pair.1));
            relevant.starts.push(relevant.items.len());
        }
        relevant
    }

    /// The relevant items of `users[at]`.
    pub fn items(&self, at: usize) -> &[u32] {
        &self.items[self.starts[at]..self.starts[at + 1]]
    }
}
