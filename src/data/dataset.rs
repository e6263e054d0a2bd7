//! Ratings with their ids, from wherever: triples in memory, a table, files.

#[cfg(feature = "files")]
use super::duplicates::Duplicates;
#[cfg(feature = "files")]
use super::order::Order;
use super::prepared::{self, DataFacts, Prepared};
use super::weigh::weigh;
#[cfg(feature = "files")]
use super::{ReadOptions, Table, read};
use crate::core::{Ids, Ratings, Side, TransformKind};
#[cfg(feature = "files")]
use crate::progress::Progress;
use crate::{Error, Result};
#[cfg(feature = "files")]
use std::path::Path;

mod arrays;

/// Ratings of items by users, with the ids of both, as the user has them: no pair twice, values not
/// transformed. What is cut off or left out of one is another dataset.
///
/// Ids are in order of their UTF-8 bytes, ratings in order of their users and then items, whatever order
/// they came in, so that all that is drawn or summed depends on the set alone ([`Order`] keeps theirs).
///
/// ```
/// use wgmf::Dataset;
///
/// # fn main() -> wgmf::Result<()> {
/// let plays = Dataset::from_triples(&["ann", "ann", "bob"], &[7, 8, 7], &[5.0, 3.0, 4.0])?;
/// assert_eq!((plays.users().len(), plays.items().len(), plays.len()), (2, 2, 3));
/// let error = Dataset::from_triples(&["ann"], &[7, 8], &[5.0]).unwrap_err();
/// assert!(error.to_string().contains("1 users, 2 items and 1 values"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    pub(super) users: Ids,
    pub(super) items: Ids,
    pub(super) ratings: Ratings,
    pub(super) transform: Vec<TransformKind>,
    pub(super) threshold: f32,
    pub(super) facts: DataFacts,
}

impl Default for Dataset {
    fn default() -> Self {
        let (users, items, ratings) = Default::default();
        let facts = DataFacts::default();
        Self { users, items, ratings, transform: Vec::new(), threshold: 1.0, facts }
    }
}

impl Dataset {
    /// From a table that was [read](super::read); of several ratings of one pair becomes what `policy`
    /// says.
    ///
    /// # Errors
    /// As [`Table::settle`]; no rating.
    #[cfg(feature = "files")]
    pub fn from_table(table: Table, policy: Duplicates) -> Result<Self> {
        Self::from_table_in(table, policy, Order::Canonical)
    }

    /// As [`from_table`](Self::from_table), in another order.
    ///
    /// # Errors
    /// As there.
    #[cfg(feature = "files")]
    pub fn from_table_in(mut table: Table, policy: Duplicates, order: Order) -> Result<Self> {
        let read = table.ratings.len();
        let merged = table.put_in_order(policy, order, false)?;
        let Table { users, items, ratings, .. } = table;
        let facts = DataFacts::of(read, merged, order);
        Self { users, items, ratings, facts, ..Self::default() }.checked()
    }

    /// Reads files as one set: recognised by content, as the command line reads them. `-` is standard
    /// input.
    ///
    /// # Errors
    /// As [`read`].
    #[cfg(feature = "files")]
    pub fn from_files<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        Self::read(paths, &ReadOptions::default(), Duplicates::Last, &())
    }

    /// Reads files as one set.
    ///
    /// # Errors
    /// As [`read`]; as [`Table::merge_duplicates`].
    #[cfg(feature = "files")]
    pub fn read<P: AsRef<Path>>(
        paths: &[P],
        options: &ReadOptions,
        policy: Duplicates,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let paths: Vec<_> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        let mut dataset = Self::from_table(read(&paths, options, progress)?, policy)?;
        dataset.facts.files = paths.iter().map(|path| path.display().to_string()).collect();
        Ok(dataset)
    }

    fn check(&self) -> Result<()> {
        match self.ratings.is_empty() {
            true => Err(Error::data("there are no ratings")),
            false => Ok(()),
        }
    }

    pub(super) fn checked(self) -> Result<Self> {
        self.check().map(|()| self)
    }

    /// What is done to values before training, in order; learned on what is trained on.
    #[must_use]
    pub fn transformed(mut self, kinds: &[TransformKind]) -> Self {
        self.transform = kinds.to_vec();
        self
    }

    /// The least value that [`TransformKind::Binary`] takes for 1; 1 where nothing is said.
    ///
    /// # Errors
    /// One that is not finite.
    pub fn with_threshold(mut self, threshold: f32) -> Result<Self> {
        if !threshold.is_finite() {
            return Err(Error::settings(format!(
                "`threshold` {threshold}: must be a finite number"
            )));
        }
        self.threshold = threshold;
        Ok(self)
    }

    /// Leaves out users and items with fewer ratings than these, until none is left that has fewer.
    ///
    /// # Errors
    /// Nothing left.
    pub fn with_at_least(mut self, user_ratings: u32, item_ratings: u32) -> Result<Self> {
        let sizes = (self.users.len(), self.items.len());
        let dropped = prepared::filter(&mut self.ratings, sizes, user_ratings, item_ratings)?;
        if dropped == 0 {
            return Ok(self);
        }
        self.facts.dropped_by_filters += dropped;
        let ratings = std::mem::take(&mut self.ratings);
        Ok(self.part(ratings))
    }

    /// Cuts a `fraction` of the ratings off, drawn by `seed`: the rest to train on, and those to test on.
    /// Of all ratings, whoever gave them: as `wgmf train --holdout` does, but for `ials`, of which it
    /// judges lists and so cuts off as [`split_per_user`](Self::split_per_user).
    ///
    /// # Errors
    /// A fraction that is not between 0 and 1, or leaves nothing for a part.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        self.clone().split_by(fraction, false, seed)
    }

    /// Cuts a `fraction` of each user's ratings off, who keeps one at least: what ranking wants.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub fn split_per_user(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        self.clone().split_by(fraction, true, seed)
    }

    /// Cuts the ratings into `folds` parts of about the same size, drawn by `seed`, and takes the one of number
    /// `fold` (from 0) to test on, the others to train on: as `wgmf split --folds` does.
    ///
    /// # Errors
    /// Fewer than 2 folds, more than ratings or than 255; a fold that there is not.
    pub fn fold(&self, folds: u32, fold: u32, seed: u64) -> Result<(Self, Self)> {
        let ratings = self.len();
        if !(2..=255).contains(&folds) || folds as usize > ratings {
            return Err(Error::settings(format!(
                "`folds` {folds}: give 2 to 255, and no more than there are ratings ({ratings})"
            )));
        }
        if fold >= folds {
            return Err(Error::settings(format!(
                "there is no fold {fold} of {folds}, counted from 0"
            )));
        }
        let dealt = prepared::deal(ratings, folds, seed);
        let chosen: Vec<bool> = dealt.iter().map(|&own| u32::from(own) == fold).collect();
        let mut train = self.ratings.clone();
        let test = prepared::take_out(&mut train, &chosen);
        Ok((self.part(train), self.part(test)))
    }

    fn split_by(mut self, fraction: f64, per_user: bool, seed: u64) -> Result<(Self, Self)> {
        let test = self.cut(fraction, per_user, seed)?;
        let train = std::mem::take(&mut self.ratings);
        Ok((self.part(train), self.part(test)))
    }

    /// Takes a `fraction` out, of all ratings or of each user's: those that are taken, by the same ids.
    pub(super) fn cut(&mut self, fraction: f64, per_user: bool, seed: u64) -> Result<Ratings> {
        prepared::check_fraction("`holdout`", Some(fraction))?;
        match per_user {
            true => {
                let users = self.users.len();
                prepared::hold_out_per_user(&mut self.ratings, users, fraction, seed)
            }
            false => prepared::hold_out(&mut self.ratings, fraction, seed),
        }
    }

    /// Some of the ratings, with only the ids that have one.
    fn part(&self, mut ratings: Ratings) -> Self {
        let (users, _) = prepared::compact(&self.users, &mut ratings.users);
        let (items, _) = prepared::compact(&self.items, &mut ratings.items);
        let (transform, facts) = (self.transform.clone(), self.facts.clone());
        Self { users, items, ratings, transform, threshold: self.threshold, facts }
    }

    /// The users: each has a rating.
    pub fn users(&self) -> &Ids {
        &self.users
    }

    /// The items: each has a rating.
    pub fn items(&self) -> &Ids {
        &self.items
    }

    /// The ids of a side.
    pub fn ids(&self, side: Side) -> &Ids {
        match side {
            Side::User => &self.users,
            Side::Item => &self.items,
        }
    }

    /// The ratings, whose indices count the ids.
    pub fn ratings(&self) -> &Ratings {
        &self.ratings
    }

    /// How many ratings there are: one at least, unless it is the default.
    pub fn len(&self) -> usize {
        self.ratings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ratings.is_empty()
    }

    /// The ratings in the indices of other ids; where those lack one it is
    /// [`UNKNOWN`](crate::core::UNKNOWN).
    pub fn aligned(&self, users: &Ids, items: &Ids) -> Ratings {
        prepared::aligned((&self.users, &self.items), &self.ratings, (users, items))
    }

    /// Ready for training, with another set held out, which is measured after each epoch.
    ///
    /// # Errors
    /// Values that the transform is not defined for; a test set that shares no user or no item.
    pub fn prepare(&self, test: Option<&Dataset>) -> Result<Prepared> {
        let test = test.map_or(TestPart::None, |test| TestPart::Set("the test set", test));
        self.clone().into_prepared(test)
    }

    /// Ready for training, with what is held out.
    pub(super) fn into_prepared(mut self, mut test: TestPart<'_>) -> Result<Prepared> {
        self.check()?;
        let held_out = match &mut test {
            TestPart::HeldOut(test) => Some(test),
            _ => None,
        };
        weigh(&mut self.ratings, held_out, &mut self.facts)?;
        let (users, new_users) = prepared::compact(&self.users, &mut self.ratings.users);
        let (items, new_items) = prepared::compact(&self.items, &mut self.ratings.items);
        let test = match test {
            TestPart::None => None,
            TestPart::HeldOut(mut test) => {
                test.users.iter_mut().for_each(|user| *user = new_users[*user as usize]);
                test.items.iter_mut().for_each(|item| *item = new_items[*item as usize]);
                Some(test)
            }
            TestPart::Set(name, test) => {
                let mut aligned = test.aligned(&users, &items);
                prepared::check_known(name, &aligned)?;
                let leave_out = self.facts.test_seen_left_out;
                self.facts.test_seen =
                    prepared::count_seen(&self.ratings, &mut aligned, users.len(), leave_out)?;
                Some(aligned)
            }
        };
        let kinds = (&self.transform[..], self.threshold);
        prepared::assemble((users, items), self.ratings, test, kinds, self.facts)
    }
}

/// What a model is tested on while it trains.
pub(super) enum TestPart<'a> {
    /// Nothing.
    None,
    /// What was cut off, by the ids of the whole.
    HeldOut(Ratings),
    /// Another set, with a name for messages.
    Set(&'a str, &'a Dataset),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Dataset {
        let users = [1, 1, 1, 2, 2, 3];
        let items = ["a", "b", "c", "a", "b", "a"];
        Dataset::from_triples(&users, &items, &[5.0, 4.0, 3.0, 2.0, 1.0, 0.5]).unwrap()
    }

    #[test]
    fn pairs_that_come_again_are_merged_by_the_rule() {
        let (users, items, values) = (["u", "u", "v"], ["i", "i", "i"], [1.0, 4.0, 2.0]);
        for (policy, expected) in
            [(Duplicates::Last, 4.0), (Duplicates::Mean, 2.5), (Duplicates::Sum, 5.0)]
        {
            let set = Dataset::from_triples_merged(&users, &items, &values, policy).unwrap();
            assert_eq!(set.ratings().values, [expected, 2.0]);
        }
        let error = Dataset::from_triples_merged(&users, &items, &values, Duplicates::Error);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("user \"u\" rates item \"i\" at 0 and again at 1"), "{error}");
    }

    #[test]
    fn parts_hold_every_rating_once_and_no_id_without_one() {
        let all = small();
        let (train, test) = all.split(0.34, 7).unwrap();
        assert_eq!((train.len(), test.len()), (4, 2));
        for part in [&train, &test] {
            for side in Side::BOTH {
                let counts = part.ratings().counts(side, part.ids(side).len());
                assert!(counts.iter().all(|&count| count > 0));
            }
        }
        let named = |set: &Dataset| -> Vec<(String, String, f32)> {
            let name =
                |(u, i, r)| (set.users().name(u).to_owned(), set.items().name(i).to_owned(), r);
            set.ratings().iter().map(name).collect()
        };
        let mut joined = [named(&train), named(&test)].concat();
        let mut whole = named(&all);
        joined.sort_by(|a, b| a.partial_cmp(b).unwrap());
        whole.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(joined, whole);
        assert!(all.split(1.5, 0).unwrap_err().to_string().contains("`holdout` 1.5"));
        assert!(all.split(0.01, 0).is_err());
    }

    #[test]
    fn every_rating_is_in_the_test_part_of_one_fold() {
        let all = small();
        let mut tested = Vec::new();
        for fold in 0..4 {
            let (train, test) = all.fold(4, fold, 3).unwrap();
            assert_eq!(train.len() + test.len(), all.len());
            assert!((1..=2).contains(&test.len()));
            let name = |(u, i, r)| format!("{} {} {r}", test.users().name(u), test.items().name(i));
            tested.extend(test.ratings().iter().map(name));
        }
        tested.sort();
        tested.dedup();
        assert_eq!(tested.len(), all.len());
        for (folds, fold) in [(1, 0), (7, 0), (4, 4)] {
            assert!(all.fold(folds, fold, 0).is_err());
        }
    }

    #[test]
    fn rare_ids_go_until_none_is_left() {
        let kept = small().with_at_least(2, 2).unwrap();
        assert_eq!(kept.users().iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(kept.items().iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(small().with_at_least(9, 1).is_err());
    }

    #[test]
    fn what_is_prepared_is_transformed_by_what_the_training_part_says() {
        let train = small().transformed(&[TransformKind::ZScore]);
        let test = Dataset::from_triples(&[1, 9], &["a", "a"], &[5.0, 5.0]).unwrap();
        let prepared = train.prepare(Some(&test)).unwrap();
        let sum: f64 = prepared.train.values.iter().map(|&x| f64::from(x)).sum();
        assert!(sum.abs() < 1e-5);
        assert_eq!(prepared.test_unknown_users, 1);
        assert_eq!(prepared.test_raw.unwrap(), [5.0, 5.0]);
        let strange = Dataset::from_triples(&["x"], &["a"], &[5.0]).unwrap();
        let error = train.prepare(Some(&strange)).unwrap_err().to_string();
        assert!(error.contains("the test set") && error.contains("users"), "{error}");
    }
}
