//! Ratings from arrays that count their ids already, and ratings that are given away.

use super::{Dataset, TestPart};
use crate::core::{Ids, Ratings, Side, escaped};
use crate::data::order;
use crate::data::prepared::{DataFacts, Prepared};
use crate::data::triples::InMemory;
use crate::data::weigh::check_weights;
use crate::data::{Duplicates, Order};
use crate::{Error, Result};

impl Dataset {
    /// From ratings whose users and items count `users` and `items`; nothing is copied. Every id needs a
    /// rating. Of several ratings of one pair becomes what `policy` says: of `Last`, where there are
    /// timestamps, the latest counts.
    ///
    /// ```
    /// use wgmf::core::Ratings;
    /// use wgmf::data::{Dataset, Duplicates, Order};
    ///
    /// # fn main() -> wgmf::Result<()> {
    /// let values = vec![5.0, 3.0, 4.0];
    /// let (users, items) = (vec![0, 1, 1], vec![0, 1, 0]);
    /// let ratings = Ratings { users, items, values, ..Ratings::default() };
    /// let (users, items) = (["bob", "ann"].into_iter().collect(), ["x", "y"].into_iter().collect());
    /// let plays = Dataset::from_indices(users, items, ratings, Duplicates::Last, Order::Canonical)?;
    /// assert_eq!(plays.users().iter().collect::<Vec<_>>(), ["ann", "bob"]);
    /// assert_eq!(plays.ratings().values, [4.0, 3.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Arrays of different lengths, no rating, an index without an id, a value that is not finite, a weight that is
    /// not finite or below 0: with its place; an id without a rating; as [`from_triples_merged`](Self::from_triples_merged).
    pub fn from_indices(
        mut users: Ids,
        mut items: Ids,
        mut ratings: Ratings,
        policy: Duplicates,
        order: Order,
    ) -> Result<Self> {
        ratings.check(users.len(), items.len(), false)?;
        check_weights(&ratings.weights)?;
        for (side, ids) in [(Side::User, &users), (Side::Item, &items)] {
            let counts = ratings.counts(side, ids.len());
            if let Some(row) = counts.iter().position(|&count| count == 0) {
                let (side, id) = (side.name(), escaped(ids.name(row as u32)));
                return Err(Error::data(format!("{side} \"{id}\" has no rating")));
            }
        }
        let read = ratings.len();
        let ids = (&mut users, &mut items);
        let merged = order::settle(ids, &mut ratings, (policy, order), &InMemory, false)?.merged;
        let facts = DataFacts::of(read, merged, order);
        Self { users, items, ratings, facts, ..Self::default() }.checked()
    }

    /// The same with what was said of what its ratings count, for the record of a model: the column of their
    /// weights, and the days of a half-life.
    #[must_use]
    pub fn weighed_by(mut self, column: Option<String>, half_life: Option<f64>) -> Self {
        (self.facts.weights_column, self.facts.half_life) = (column, half_life);
        self
    }

    /// As [`prepare`](Self::prepare), of ratings that nobody needs any more: none is copied.
    ///
    /// # Errors
    /// As there.
    pub fn into_prepared_with(self, test: Option<&Dataset>) -> Result<Prepared> {
        self.into_prepared(test.map_or(TestPart::None, |test| TestPart::Set("the test set", test)))
    }

    /// Ready for training, with a `fraction` of the ratings (or, `per_user`, of each user's, who keeps one
    /// at least) cut off to be measured after each epoch, drawn by `seed`: what `wgmf train --holdout` does.
    ///
    /// # Errors
    /// As [`split`](Self::split) and [`prepare`](Self::prepare).
    pub fn into_prepared_holding_out(
        mut self,
        fraction: f64,
        per_user: bool,
        seed: u64,
    ) -> Result<Prepared> {
        let test = self.cut(fraction, per_user, seed)?;
        self.into_prepared(TestPart::HeldOut(test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> (Ids, Ids, Ratings) {
        let ratings = Ratings {
            users: vec![0, 1, 0, 0],
            items: vec![1, 0, 0, 1],
            values: vec![1.0, 2.0, 3.0, 4.0],
            timestamps: vec![9, 5, 5, 2],
            weights: vec![],
        };
        (["b", "a"].into_iter().collect(), ["x", "y"].into_iter().collect(), ratings)
    }

    #[test]
    fn arrays_are_the_triples_they_stand_for_and_the_latest_counts() {
        let (users, items, ratings) = arrays();
        let set = Dataset::from_indices(users, items, ratings, Duplicates::Last, Order::Canonical)
            .unwrap();
        let triples = Dataset::from_triples(&["b", "a", "b"], &["y", "x", "x"], &[1.0, 2.0, 3.0]);
        let (own, theirs) = (set.ratings(), triples.unwrap());
        assert_eq!((&own.users, &own.items), (&theirs.ratings().users, &theirs.ratings().items));
        assert_eq!(own.values, theirs.ratings().values);
        assert!(set.users().iter().eq(theirs.users().iter()));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let wrong = |change: &dyn Fn(&mut Ids, &mut Ratings)| {
            let (mut users, items, mut ratings) = arrays();
            change(&mut users, &mut ratings);
            let set =
                Dataset::from_indices(users, items, ratings, Duplicates::Last, Order::Canonical);
            set.unwrap_err().to_string()
        };
        let lonely = wrong(&|users, _| {
            users.intern("zoe");
        });
        assert!(lonely.contains("user \"zoe\" has no rating"), "{lonely}");
        assert!(wrong(&|_, ratings| ratings.users[1] = 7).contains("rating 1 is of user 7"));
        assert!(wrong(&|_, ratings| ratings.values[2] = f32::NAN).contains("rating 2 is NaN"));
        assert!(wrong(&|_, ratings| ratings.items.truncate(2)).contains("arrays of one length"));
    }

    #[test]
    fn a_part_that_is_held_out_is_the_one_that_is_split_off() {
        let pairs: Vec<(u32, u32)> = (0..400).map(|j| (j % 20, j * 7 % 31)).collect();
        let (users, items): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
        let set = Dataset::from_pairs(&users, &items).unwrap();
        for per_user in [false, true] {
            let (_, test) = match per_user {
                true => set.split_per_user(0.3, 5).unwrap(),
                false => set.split(0.3, 5).unwrap(),
            };
            let prepared = set.clone().into_prepared_holding_out(0.3, per_user, 5).unwrap();
            let held_out = prepared.test.unwrap();
            assert_eq!(held_out, test.aligned(&prepared.users, &prepared.items));
            assert_eq!(prepared.train.len() + held_out.len(), set.len());
        }
    }
}
