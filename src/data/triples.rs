//! A dataset from arrays in memory.

use super::dataset::Dataset;
use super::duplicates::{Duplicates, Places};
use super::order::{self, Order};
use super::prepared::DataFacts;
use super::weigh::check_weights;
use crate::core::{Ids, Ratings, escaped};
use crate::{Error, Result};
use std::fmt::{Display, Write};

impl Dataset {
    /// From three arrays of one length: the user, the item and the value of each rating. Ids are whatever
    /// can be displayed. Of several values of one pair the last counts.
    ///
    /// # Errors
    /// Arrays of different lengths, no rating, a value that is not finite: with its place.
    pub fn from_triples<U: Display, I: Display>(
        users: &[U],
        items: &[I],
        values: &[f32],
    ) -> Result<Self> {
        Self::from_triples_merged(users, items, values, Duplicates::Last)
    }

    /// From pairs of a user and an item, each of which counts as 1: what users chose.
    ///
    /// # Errors
    /// As [`from_triples`](Self::from_triples).
    pub fn from_pairs<U: Display, I: Display>(users: &[U], items: &[I]) -> Result<Self> {
        Self::from_triples(users, items, &vec![1.0; users.len()])
    }

    /// As [`from_triples`](Self::from_triples), with another rule for several values of one pair.
    ///
    /// # Errors
    /// As there; with [`Duplicates::Error`] the first pair that occurs twice; a sum beyond f32.
    pub fn from_triples_merged<U: Display, I: Display>(
        users: &[U],
        items: &[I],
        values: &[f32],
        policy: Duplicates,
    ) -> Result<Self> {
        Self::from_triples_in(users, items, values, policy, Order::Canonical)
    }

    /// As [`from_triples_merged`](Self::from_triples_merged), in another order.
    ///
    /// # Errors
    /// As there.
    pub fn from_triples_in<U: Display, I: Display>(
        users: &[U],
        items: &[I],
        values: &[f32],
        policy: Duplicates,
        order: Order,
    ) -> Result<Self> {
        Self::of_triples((users, items, values, &[]), (policy, order))
    }

    fn of_triples<U: Display, I: Display>(
        (users, items, values, weights): (&[U], &[I], &[f32], &[f32]),
        (policy, order): (Duplicates, Order),
    ) -> Result<Self> {
        if users.len() != values.len() || items.len() != values.len() {
            return Err(Error::data(format!(
                "{} users, {} items and {} values: each rating needs one of each",
                users.len(),
                items.len(),
                values.len()
            )));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let value = values[at];
            return Err(Error::data(format!("value {value} at {at} is not a finite number")));
        }
        let (mut users, user_rows) = intern(users)?;
        let (mut items, item_rows) = intern(items)?;
        let values = values.to_vec();
        let mut ratings = Ratings {
            users: user_rows,
            items: item_rows,
            values,
            timestamps: Vec::new(),
            weights: weights.to_vec(),
        };
        let read = ratings.len();
        let ids = (&mut users, &mut items);
        let merged = order::settle(ids, &mut ratings, (policy, order), &InMemory, false)?.merged;
        let facts = DataFacts::of(read, merged, order);
        Self { users, items, ratings, facts, ..Self::default() }.checked()
    }

    /// As [`from_triples_merged`](Self::from_triples_merged), where each rating has a weight too, of 0 or more:
    /// what it counts in training against the mean of all weights. Those of 0 are left out there. Of ratings of
    /// one pair the last has its own, means and sums have the mean of theirs.
    ///
    /// # Errors
    /// As there; not as many weights; one below 0, or not finite.
    pub fn from_weighted<U: Display, I: Display>(
        users: &[U],
        items: &[I],
        values: &[f32],
        weights: &[f32],
        policy: Duplicates,
    ) -> Result<Self> {
        if weights.len() != values.len() {
            return Err(Error::data(format!(
                "{} values and {} weights: each rating needs one of each",
                values.len(),
                weights.len()
            )));
        }
        check_weights(weights)?;
        Self::of_triples((users, items, values, weights), (policy, Order::Canonical))
    }
}

/// Ratings that are counted from the first.
pub(super) struct InMemory;

impl Places for InMemory {
    fn twice(
        &self,
        first: u32,
        later: u32,
        (users, items): (&Ids, &Ids),
        ratings: &Ratings,
    ) -> String {
        format!(
            "user \"{}\" rates item \"{}\" at {first} and again at {later}",
            escaped(users.name(ratings.users[first as usize])),
            escaped(items.name(ratings.items[first as usize]))
        )
    }

    fn comparable(&self, _untimed: &mut dyn Iterator<Item = u32>) -> Result<()> {
        Ok(())
    }
}

/// Texts and their indices, in order of first appearance.
fn intern(names: &[impl Display]) -> Result<(Ids, Vec<u32>)> {
    let (mut ids, mut text) = (Ids::new(), String::new());
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        text.clear();
        write!(text, "{name}").map_err(|_| Error::data("an id cannot be displayed"))?;
        rows.push(ids.intern(&text));
    }
    Ok((ids, rows))
}
