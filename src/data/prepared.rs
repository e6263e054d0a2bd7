//! The training and test parts that a model sees.

use super::order::Order;
use super::overlap::in_both;
use super::weigh::weigh;
use crate::core::{
    Ids, Loss, Ratings, Side, Sizes, Transform, TransformKind, UNKNOWN, escaped, plural,
};
use crate::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Ratings ready for training.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Users with at least one training rating, in the [order](super::Order) of the data.
    pub users: Ids,
    /// Items with at least one training rating, likewise.
    pub items: Ids,
    /// The training ratings, transformed, in that order too.
    pub train: Ratings,
    /// The test ratings, transformed, with what they would count in training where they were cut off it (they are
    /// measured alike); a user or an item that the model lacks is [`UNKNOWN`].
    pub test: Option<Ratings>,
    /// The values of `test` as they are in the file.
    pub test_raw: Option<Vec<f32>>,
    /// How many test ratings have a user that the model lacks.
    pub test_unknown_users: usize,
    /// How many test ratings have an item that the model lacks.
    pub test_unknown_items: usize,
    /// What was done to the values.
    pub transform: Transform,
    /// Mean of the training values as they are in the file.
    pub train_raw_mean: f64,
    /// Counts and ranges.
    pub facts: DataFacts,
    /// One line a file of what was recognised, for people.
    pub recognised: Vec<String>,
}

impl Prepared {
    /// The test ratings with their values as they are in the file; nothing where there are none.
    pub fn held_out(&self) -> Option<Ratings> {
        let (test, values) = (self.test.as_ref()?, self.test_raw.as_ref()?);
        let mut test = test.clone();
        test.values.clone_from(values);
        (!test.is_empty()).then_some(test)
    }

    /// How large training on them is.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            users: self.users.len(),
            items: self.items.len(),
            ratings: self.train.len(),
            test: self.test.as_ref().map_or(0, Ratings::len),
            weighted: !self.train.weights.is_empty(),
        }
    }

    /// The same ratings with another test part of the same size, drawn by `seed`, of each user's ratings where that
    /// is said. Users and items stay, also those whose ratings are all held out; test ratings of unknown ones
    /// are left out.
    ///
    /// # Errors
    /// No test part.
    pub(crate) fn redrawn(&self, per_user: bool, seed: u64) -> Result<Self> {
        let Some(test) = &self.test else {
            return Err(Error::data("there is no test part to draw anew"));
        };
        let mut drawn = self.clone();
        for row in 0..test.len() {
            if test.users[row] != UNKNOWN && test.items[row] != UNKNOWN {
                let all = &mut drawn.train;
                all.push_from(test, row);
                if !all.weights.is_empty() && test.weights.is_empty() {
                    all.weights.push(1.0);
                }
            }
        }
        let all = drawn.train.len();
        let fraction = (all - self.train.len()) as f64 / all as f64;
        // In the order of users and items, as training takes them.
        let mut order: Vec<usize> = (0..all).collect();
        order.sort_by_key(|&row| (drawn.train.users[row], drawn.train.items[row]));
        let mut sorted = Ratings::default();
        order.iter().for_each(|&row| sorted.push_from(&drawn.train, row));
        let test = match per_user {
            true => hold_out_per_user(&mut sorted, self.users.len(), fraction, seed)?,
            false => hold_out(&mut sorted, fraction, seed)?,
        };
        weigh(&mut sorted, None, &mut drawn.facts)?;
        drawn.train = sorted;
        drawn.test_raw = Some(test.values.clone());
        drawn.test = Some(Ratings { weights: Vec::new(), ..test });
        (drawn.test_unknown_users, drawn.test_unknown_items) = (0, 0);
        Ok(drawn)
    }

    /// Makes sure that what is done to the values means something to a loss.
    ///
    /// # Errors
    /// A transform of values that nobody looks at.
    pub fn check_for(&self, loss: Loss) -> Result<()> {
        match loss.is_ranking() && !self.transform.is_identity() {
            true => Err(Error::settings(format!(
                "`transform` has no effect with `loss` {}, which looks at no values; leave it out (`min_rating` leaves \
                 out what was not liked, `weights` says what pairs count)",
                loss.name()
            ))),
            false => Ok(()),
        }
    }

    /// Makes sure that a model whose ratings went through `theirs` is one to start from: the steps are the
    /// same here, whatever was learned for them.
    ///
    /// # Errors
    /// Other steps.
    pub fn check_start(&self, theirs: &Transform) -> Result<()> {
        let kinds = |transform: &Transform| {
            transform.steps.iter().map(std::mem::discriminant).collect::<Vec<_>>()
        };
        match kinds(theirs) == kinds(&self.transform) {
            true => Ok(()),
            false => Err(Error::settings(format!(
                "`from`: that model's ratings went through the transform {}, these through {}; give \
                 the same `transform`",
                theirs.describe(),
                self.transform.describe()
            ))),
        }
    }
}

/// What the data were, for reports and for the model's record. Values are as in the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DataFacts {
    /// The files as the user named them, the test file last.
    pub files: Vec<String>,
    /// How they were read; of several, how the first was.
    #[cfg(feature = "files")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<super::Reading>,
    /// Ratings in the files, without those of a test file.
    pub ratings_read: usize,
    /// Ratings that were merged into another of the same pair.
    pub duplicates_merged: usize,
    /// Ratings that the filters left out.
    pub dropped_by_filters: usize,
    /// Ratings that weigh 0, and so were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_by_weight: usize,
    /// The least and the largest weight of a training rating, over their mean; none where all count alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<[f64; 2]>,
    /// The column of what ratings count, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_column: Option<String>,
    /// The days in which what a rating counts halves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life: Option<f64>,
    /// What ids and ratings were ordered by.
    #[serde(default = "Order::before")]
    pub order: Order,
    /// Users of the model.
    pub users: usize,
    /// Items of the model.
    pub items: usize,
    /// Training ratings.
    pub ratings: usize,
    /// Test ratings.
    pub test_ratings: usize,
    /// Test ratings whose pair is a training pair; unless they were left out they are among the test
    /// ratings.
    #[serde(default)]
    pub test_seen: usize,
    /// Whether they were left out.
    #[serde(default)]
    pub test_seen_left_out: bool,
    /// Least training value.
    pub min: f64,
    /// Largest training value.
    pub max: f64,
    /// Mean of the training values.
    pub mean: f64,
    /// Fraction of all pairs of a user and an item that have no training rating.
    pub sparsity: f64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Puts together what is ready: `train` and `test` count `users` and `items`, values are not yet
/// transformed.
pub(super) fn assemble(
    (users, items): (Ids, Ids),
    mut train: Ratings,
    mut test: Option<Ratings>,
    (kinds, threshold): (&[TransformKind], f32),
    mut facts: DataFacts,
) -> Result<Prepared> {
    let unknown = |side: fn(&Ratings) -> &Vec<u32>| {
        test.as_ref().map_or(0, |t| side(t).iter().filter(|&&index| index == UNKNOWN).count())
    };
    let (test_unknown_users, test_unknown_items) = (unknown(|t| &t.users), unknown(|t| &t.items));

    facts.describe(&train, users.len(), items.len());
    facts.test_ratings = test.as_ref().map_or(0, Ratings::len);
    let transform = Transform::learn(kinds, threshold, &train.values, |row| {
        name_rating(&train, row, &users, &items)
    })?;
    let mut test_raw = None;
    if let Some(test) = &mut test {
        transform.check(&test.values, |row| {
            format!("the test part's {}", name_rating(test, row, &users, &items))
        })?;
        test_raw = Some(test.values.clone());
        test.values.iter_mut().for_each(|value| *value = transform.apply(*value));
    }
    if !transform.is_identity() {
        train.values.iter_mut().for_each(|value| *value = transform.apply(*value));
    }
    Ok(Prepared {
        users,
        items,
        train,
        test,
        test_raw,
        test_unknown_users,
        test_unknown_items,
        transform,
        train_raw_mean: facts.mean,
        facts,
        recognised: Vec::new(),
    })
}

/// Ratings in the indices of other ids.
pub(super) fn aligned(from: (&Ids, &Ids), ratings: &Ratings, to: (&Ids, &Ids)) -> Ratings {
    let map = |from: &Ids, to: &Ids, side: &[u32]| -> Vec<u32> {
        let known: Vec<u32> = from.iter().map(|id| to.get(id).unwrap_or(UNKNOWN)).collect();
        side.iter().map(|&index| known[index as usize]).collect()
    };
    Ratings {
        users: map(from.0, to.0, &ratings.users),
        items: map(from.1, to.1, &ratings.items),
        values: ratings.values.clone(),
        timestamps: ratings.timestamps.clone(),
        // What is held out is measured as it is.
        weights: Vec::new(),
    }
}

/// Counts the test ratings of training pairs, and with `leave_out` leaves them out.
///
/// # Errors
/// Nothing left.
pub(super) fn count_seen(
    train: &Ratings,
    test: &mut Ratings,
    users: usize,
    leave_out: bool,
) -> Result<usize> {
    let seen = in_both(train, test, users);
    let count = seen.iter().filter(|&&seen| seen).count();
    if leave_out && count > 0 {
        test.retain(|row| !seen[row]);
        if test.is_empty() {
            return Err(Error::data(
                "every test rating is of a training pair, so `leave_out_seen` leaves none; take others",
            ));
        }
    }
    Ok(count)
}

/// Whether a fraction lies strictly between 0 and 1.
pub(super) fn check_fraction(option: &str, fraction: Option<f64>) -> Result<()> {
    match fraction {
        Some(f) if !(f > 0.0 && f < 1.0) => {
            Err(Error::settings(format!("{option} {f} is not a fraction between 0 and 1")))
        }
        _ => Ok(()),
    }
}

/// Leaves out users and items with too few ratings until none is left with too few; how many
/// ratings went.
pub(super) fn filter(
    ratings: &mut Ratings,
    (users, items): (usize, usize),
    least_user: u32,
    least_item: u32,
) -> Result<usize> {
    if least_user <= 1 && least_item <= 1 {
        return Ok(0);
    }
    let before = ratings.len();
    loop {
        let enough_users = enough(&ratings.users, users, least_user);
        let enough_items = enough(&ratings.items, items, least_item);
        let count = ratings.len();
        let keep: Vec<bool> = ratings
            .iter()
            .map(|(u, i, _)| enough_users[u as usize] && enough_items[i as usize])
            .collect();
        ratings.retain(|row| keep[row]);
        if ratings.is_empty() {
            let mut filters = Vec::new();
            if least_user > 1 {
                filters.push(format!("`min_user_ratings` {least_user}"));
            }
            if least_item > 1 {
                filters.push(format!("`min_item_ratings` {least_item}"));
            }
            let filters = filters.join(" and ");
            return Err(Error::data(format!("no user has a rating after {filters}; lower it")));
        }
        if ratings.len() == count {
            return Ok(before - count);
        }
    }
}

fn enough(side: &[u32], rows: usize, least: u32) -> Vec<bool> {
    let mut counts = vec![0_u32; rows];
    for &index in side {
        counts[index as usize] += 1;
    }
    counts.into_iter().map(|count| count >= least).collect()
}

/// Takes `round(fraction · n)` ratings out, every such subset as likely as any other, in order.
pub(super) fn hold_out(ratings: &mut Ratings, fraction: f64, seed: u64) -> Result<Ratings> {
    let count = ratings.len();
    let wanted = (fraction * count as f64).round() as usize;
    if wanted == 0 || wanted == count {
        let part = if wanted == 0 { "test" } else { "training" };
        return Err(Error::data(format!(
            "`holdout` {fraction} of {} leaves none for the {part} part; change it",
            plural(count, "rating")
        )));
    }
    let mut chosen = Selection::new(count, wanted, seed);
    let rows: Vec<bool> = (0..count).map(|_| chosen.next()).collect();
    Ok(take_out(ratings, &rows))
}

/// Takes `fraction · n` of each user's `n` ratings out, rounded up or down by chance so that the
/// fraction is right over all users, and never the last one.
pub(super) fn hold_out_per_user(
    ratings: &mut Ratings,
    users: usize,
    fraction: f64,
    seed: u64,
) -> Result<Ratings> {
    let counts = ratings.counts(Side::User, users);
    let mut rounding = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen: Vec<Selection> = Vec::with_capacity(users);
    for (user, &count) in (0_u64..).zip(&counts) {
        let chance = (rounding.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let wanted = (fraction * f64::from(count) + chance).floor() as u32;
        let wanted = wanted.min(count.saturating_sub(1));
        let mut selection = Selection::new(count as usize, wanted as usize, seed);
        selection.rng.set_stream(user + 1);
        chosen.push(selection);
    }
    let rows: Vec<bool> = ratings.users.iter().map(|&user| chosen[user as usize].next()).collect();
    if !rows.contains(&true) {
        return Err(Error::data(format!(
            "`holdout` {fraction} of each user's ratings leaves none for the test part, since each \
             keeps one for training; raise it"
        )));
    }
    Ok(take_out(ratings, &rows))
}

/// Takes the ratings that are chosen out, in order.
pub(super) fn take_out(ratings: &mut Ratings, chosen: &[bool]) -> Ratings {
    let mut test = Ratings::default();
    for row in (0..ratings.len()).filter(|&row| chosen[row]) {
        test.push_from(ratings, row);
    }
    ratings.retain(|row| !chosen[row]);
    test
}

/// Draws a subset of known size in one pass (Knuth, The Art of Computer Programming 2, 3.4.2,
/// algorithm S).
pub(super) struct Selection {
    rng: ChaCha8Rng,
    left: u64,
    wanted: u64,
}

impl Selection {
    /// `wanted` of `count`.
    pub(super) fn new(count: usize, wanted: usize, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Selection { rng, left: count as u64, wanted: wanted as u64 }
    }

    /// Whether the next one is in the subset.
    pub(super) fn next(&mut self) -> bool {
        let draw = (u128::from(self.rng.next_u64()) * u128::from(self.left)) >> 64;
        let chosen = (draw as u64) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= u64::from(chosen);
        chosen
    }
}

/// The fold of each pair: as many in each as there can be, which ones by chance.
pub(super) fn deal(pairs: usize, folds: u32, seed: u64) -> Vec<u8> {
    let mut dealt: Vec<u8> = (0..pairs).map(|pair| (pair % folds as usize) as u8).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for last in (1..pairs).rev() {
        let other = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        dealt.swap(last, other as usize);
    }
    dealt
}

/// Numbers the ids that occur in `side` anew, in their old order; the ids, and the new index of
/// each old one.
pub(super) fn compact(ids: &Ids, side: &mut [u32]) -> (Ids, Vec<u32>) {
    let mut new = vec![UNKNOWN; ids.len()];
    for &index in side.iter() {
        new[index as usize] = 0;
    }
    if !new.contains(&UNKNOWN) {
        return (ids.clone(), (0..ids.len() as u32).collect());
    }
    let mut kept = Ids::new();
    for (index, id) in ids.iter().enumerate() {
        if new[index] == 0 {
            new[index] = kept.intern(id);
        }
    }
    side.iter_mut().for_each(|index| *index = new[*index as usize]);
    (kept, new)
}

pub(super) fn check_known(file: &str, test: &Ratings) -> Result<()> {
    for (side, word) in [(&test.users, "user"), (&test.items, "item")] {
        if side.iter().all(|&index| index == UNKNOWN) {
            let message = format!(
                "none of its {word}s has a training rating; are the ids of the same kind, and the \
                 columns right?"
            );
            return Err(Error::file(file, message));
        }
    }
    Ok(())
}

fn name_rating(ratings: &Ratings, row: usize, users: &Ids, items: &Ids) -> String {
    let name = |ids: &Ids, index: u32| match index {
        UNKNOWN => "(unknown)".to_owned(),
        index => format!("\"{}\"", escaped(ids.name(index))),
    };
    format!(
        "rating {} of user {} and item {}",
        ratings.values[row],
        name(users, ratings.users[row]),
        name(items, ratings.items[row])
    )
}

impl DataFacts {
    /// What is known before anything is left out.
    pub(super) fn of(ratings_read: usize, duplicates_merged: usize, order: Order) -> Self {
        DataFacts { ratings_read, duplicates_merged, order, ..DataFacts::default() }
    }

    fn describe(&mut self, train: &Ratings, users: usize, items: usize) {
        (self.users, self.items, self.ratings) = (users, items, train.len());
        self.min = f64::from(train.values.iter().copied().fold(f32::INFINITY, f32::min));
        self.max = f64::from(train.values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        self.mean = train.mean();
        self.sparsity = 1.0 - train.len() as f64 / (users as f64 * items as f64);
    }
}
