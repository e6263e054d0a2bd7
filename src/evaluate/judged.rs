//! What each user thinks of which items.

use crate::core::{Ratings, UNKNOWN};

/// Users and the items they judged, in compressed sparse rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Judged {
    /// The users that judged an item, ascending.
    pub users: Vec<u32>,
    /// (users + 1): where each user's items begin.
    starts: Vec<usize>,
    /// Ascending and distinct within a user.
    items: Vec<u32>,
    /// The rating of each of `items`.
    values: Vec<f32>,
}

impl Judged {
    /// Gathers the pairs of `ratings` whose ids are known and that `keep` takes; of several ratings
    /// of a pair the largest counts.
    pub(super) fn new(ratings: &Ratings, keep: impl Fn(u32, u32) -> bool) -> Self {
        let known = |&(user, item, _): &(u32, u32, f32)| user != UNKNOWN && item != UNKNOWN;
        let kept = ratings.iter().filter(known).filter(|&(user, item, _)| keep(user, item));
        let mut triples: Vec<(u32, u32, f32)> = kept.collect();
        triples.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
        triples.dedup_by_key(|triple| (triple.0, triple.1));
        let mut judged = Self { starts: vec![0], ..Self::default() };
        for of_user in triples.chunk_by(|a, b| a.0 == b.0) {
            judged.users.push(of_user[0].0);
            judged.items.extend(of_user.iter().map(|triple| triple.1));
            judged.values.extend(of_user.iter().map(|triple| triple.2));
            judged.starts.push(judged.items.len());
        }
        judged
    }

    /// The items that `users[at]` judged.
    pub(super) fn items(&self, at: usize) -> &[u32] {
        &self.items[self.starts[at]..self.starts[at + 1]]
    }

    /// The ratings of these.
    pub(super) fn values(&self, at: usize) -> &[f32] {
        &self.values[self.starts[at]..self.starts[at + 1]]
    }

    /// The part of the pairs whose rating `keep` takes.
    pub(super) fn part(&self, keep: impl Fn(f32) -> bool) -> Self {
        let mut part = Self { starts: vec![0], ..Self::default() };
        for (at, &user) in self.users.iter().enumerate() {
            for (&item, &value) in self.items(at).iter().zip(self.values(at)) {
                if keep(value) {
                    part.items.push(item);
                    part.values.push(value);
                }
            }
            if part.items.len() > part.starts[part.users.len()] {
                part.users.push(user);
                part.starts.push(part.items.len());
            }
        }
        part
    }

    /// What some of the users judged, given by their places, ascending.
    pub(super) fn of_users(&self, places: impl Iterator<Item = usize>) -> Self {
        let mut part = Self { starts: vec![0], ..Self::default() };
        for at in places {
            part.users.push(self.users[at]);
            part.items.extend_from_slice(self.items(at));
            part.values.extend_from_slice(self.values(at));
            part.starts.push(part.items.len());
        }
        part
    }

    /// How many pairs there are.
    pub(super) fn pairs(&self) -> usize {
        self.items.len()
    }
}
