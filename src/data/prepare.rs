//! From rating files to the training and test parts that a model sees.

use super::duplicates::Duplicates;
use super::{DataFacts, Prepared, ReadOptions, Table, duplicates, read};
use crate::core::{Ids, Ratings, Side, Transform, TransformKind, UNKNOWN};
use crate::progress::Progress;
use crate::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens to ratings between the file and the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(default)]
pub struct DataOptions {
    /// How the files are read.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub read: ReadOptions,
    /// What becomes of several ratings of one pair: the last of the file, their mean, their sum,
    /// or an error
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Duplicates::Last))]
    pub duplicates: Duplicates,
    /// Leave out users with fewer ratings (applied with the next until both hold)
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 1))]
    pub min_user_ratings: u32,
    /// Leave out items with fewer ratings
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 1))]
    pub min_item_ratings: u32,
    /// What is done to values, in order (as in `log1p,zscore`); learned on the training part
    #[cfg_attr(
        feature = "cli",
        arg(long, value_enum, value_delimiter = ',', default_value = "none")
    )]
    pub transform: Vec<TransformKind>,
    /// The least rating that `--transform binary` takes for 1
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)
    )]
    pub threshold: f32,
    /// Ratings to test on, read like the others
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", conflicts_with = "holdout"))]
    pub test: Option<PathBuf>,
    /// Fraction of the ratings to keep for testing, drawn by the seed; for ials of each user's
    #[cfg_attr(feature = "cli", arg(long, value_name = "FRACTION"))]
    pub holdout: Option<f64>,
    /// Whether `holdout` is a fraction of each user's ratings, who keeps one at least, instead of
    /// all ratings: what ranking wants.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(skip)]
    pub holdout_per_user: bool,
}

impl Default for DataOptions {
    fn default() -> Self {
        DataOptions {
            read: ReadOptions::default(),
            duplicates: Duplicates::Last,
            min_user_ratings: 1,
            min_item_ratings: 1,
            transform: vec![TransformKind::None],
            threshold: 1.0,
            test: None,
            holdout: None,
            holdout_per_user: false,
        }
    }
}

impl DataOptions {
    /// Whether the settings make sense together, before any work.
    ///
    /// # Errors
    /// A fraction outside of (0, 1), both kinds of test set, a threshold that is not finite.
    pub fn check(&self) -> Result<()> {
        check_fraction("--holdout", self.holdout)?;
        if self.holdout.is_some() && self.test.is_some() {
            return Err(Error::settings("--test and --holdout exclude each other; use one"));
        }
        if !self.threshold.is_finite() {
            let message = format!("--threshold {}: must be a finite number", self.threshold);
            return Err(Error::settings(message));
        }
        Ok(())
    }
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

/// Reads `paths` and makes of them what a model learns from: duplicates are merged, filters
/// applied, the test part taken out, ids compacted, and the transform learned on the training part
/// alone.
///
/// The result depends on the files, `options` and `seed`, never on the number of threads.
///
/// # Errors
/// Whatever [`read`] says of a file; nothing left after the filters; values that the transform is
/// not defined for; a test file that shares no user or no item with the training part.
pub fn prepare(
    paths: &[PathBuf],
    options: &DataOptions,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Prepared> {
    options.check()?;
    let mut table = read(paths, &options.read, progress)?;
    let mut facts = DataFacts {
        files: paths.iter().chain(&options.test).map(|path| path.display().to_string()).collect(),
        ratings_read: table.ratings.len(),
        duplicates_merged: table.merge_duplicates(options.duplicates)?,
        ..DataFacts::default()
    };
    facts.dropped_by_filters = filter(&mut table, options)?;
    let held_out = match options.holdout {
        Some(fraction) if options.holdout_per_user => {
            Some(hold_out_per_user(&mut table.ratings, table.users.len(), fraction, seed)?)
        }
        Some(fraction) => Some(hold_out(&mut table.ratings, fraction, seed)?),
        None => None,
    };
    let mut recognised = std::mem::take(&mut table.recognised);
    let (users, new_users) = compact(&table.users, &mut table.ratings.users);
    let (items, new_items) = compact(&table.items, &mut table.ratings.items);
    let mut train = table.ratings;
    drop((table.users, table.items));
    let mut test = match (held_out, &options.test) {
        (Some(mut test), _) => {
            test.users.iter_mut().for_each(|user| *user = new_users[*user as usize]);
            test.items.iter_mut().for_each(|item| *item = new_items[*item as usize]);
            Some(test)
        }
        (None, Some(path)) => {
            let mut table = read(std::slice::from_ref(path), &options.read, progress)?;
            table.merge_duplicates(options.duplicates)?;
            let test = align(&table, &users, &items);
            check_known(&path.display().to_string(), &test)?;
            recognised.append(&mut table.recognised);
            Some(test)
        }
        (None, None) => None,
    };
    let unknown = |side: fn(&Ratings) -> &Vec<u32>| {
        test.as_ref().map_or(0, |t| side(t).iter().filter(|&&index| index == UNKNOWN).count())
    };
    let (test_unknown_users, test_unknown_items) = (unknown(|t| &t.users), unknown(|t| &t.items));

    facts.describe(&train, users.len(), items.len());
    facts.test_ratings = test.as_ref().map_or(0, Ratings::len);
    let transform =
        Transform::learn(&options.transform, options.threshold, &train.values, |row| {
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
        recognised,
    })
}

/// The ratings of a freshly read table in a model's indices; ids that the model lacks become
/// [`UNKNOWN`].
pub fn align(table: &Table, users: &Ids, items: &Ids) -> Ratings {
    let map = |from: &Ids, to: &Ids, side: &[u32]| -> Vec<u32> {
        let known: Vec<u32> = from.iter().map(|id| to.get(id).unwrap_or(UNKNOWN)).collect();
        side.iter().map(|&index| known[index as usize]).collect()
    };
    Ratings {
        users: map(&table.users, users, &table.ratings.users),
        items: map(&table.items, items, &table.ratings.items),
        values: table.ratings.values.clone(),
        timestamps: table.ratings.timestamps.clone(),
    }
}

impl Table {
    /// Merges several ratings of one pair; how many were merged away. Call it once, first: it
    /// names lines by row.
    ///
    /// # Errors
    /// With [`Duplicates::Error`], the first pair that occurs twice, with both lines.
    pub fn merge_duplicates(&mut self, policy: Duplicates) -> Result<usize> {
        let Table { users, items, ratings, lines, .. } = self;
        let found = duplicates::find(ratings, users.len(), items.len())?;
        let name = |first: u32, later: u32, ratings: &Ratings| {
            let ((file, line), (later_file, later_line)) =
                (lines.locate(first as usize), lines.locate(later as usize));
            let user = users.name(ratings.users[first as usize]);
            let item = items.name(ratings.items[first as usize]);
            format!(
                "{later_file}:{later_line}: user \"{user}\" rates item \"{item}\" again (first at \
                 {file}:{line})"
            )
        };
        duplicates::merge(ratings, &found, policy, name)
    }
}

/// Leaves out users and items with too few ratings until none is left with too few; how many
/// ratings went.
fn filter(table: &mut Table, options: &DataOptions) -> Result<usize> {
    let (least_user, least_item) = (options.min_user_ratings, options.min_item_ratings);
    if least_user <= 1 && least_item <= 1 {
        return Ok(0);
    }
    let before = table.ratings.len();
    loop {
        let ratings = &mut table.ratings;
        let enough_users = enough(&ratings.users, table.users.len(), least_user);
        let enough_items = enough(&ratings.items, table.items.len(), least_item);
        let count = ratings.len();
        let keep: Vec<bool> = ratings
            .iter()
            .map(|(u, i, _)| enough_users[u as usize] && enough_items[i as usize])
            .collect();
        ratings.retain(|row| keep[row]);
        if ratings.is_empty() {
            let mut filters = Vec::new();
            if least_user > 1 {
                filters.push(format!("--min-user-ratings {least_user}"));
            }
            if least_item > 1 {
                filters.push(format!("--min-item-ratings {least_item}"));
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
fn hold_out(ratings: &mut Ratings, fraction: f64, seed: u64) -> Result<Ratings> {
    let count = ratings.len();
    let wanted = (fraction * count as f64).round() as usize;
    if wanted == 0 || wanted == count {
        let part = if wanted == 0 { "test" } else { "training" };
        return Err(Error::data(format!(
            "--holdout {fraction} of {count} ratings leaves none for the {part} part; change it"
        )));
    }
    let mut chosen = Selection::new(count, wanted, seed);
    let rows: Vec<bool> = (0..count).map(|_| chosen.next()).collect();
    Ok(take_out(ratings, &rows))
}

/// Takes `fraction · n` of each user's `n` ratings out, rounded up or down by chance so that the
/// fraction is right over all users, and never the last one.
fn hold_out_per_user(
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
            "--holdout {fraction} of each user's ratings leaves none for the test part, since each \
             keeps one for training; raise it"
        )));
    }
    Ok(take_out(ratings, &rows))
}

/// Takes the ratings that are chosen out, in order.
fn take_out(ratings: &mut Ratings, chosen: &[bool]) -> Ratings {
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
    pub fn new(count: usize, wanted: usize, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Selection { rng, left: count as u64, wanted: wanted as u64 }
    }

    /// Whether the next one is in the subset.
    pub fn next(&mut self) -> bool {
        let draw = (u128::from(self.rng.next_u64()) * u128::from(self.left)) >> 64;
        let chosen = (draw as u64) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= u64::from(chosen);
        chosen
    }
}

/// Numbers the ids that occur in `side` anew, in their old order; the ids, and the new index of
/// each old one.
fn compact(ids: &Ids, side: &mut [u32]) -> (Ids, Vec<u32>) {
    let mut new = vec![UNKNOWN; ids.len()];
    for &index in side.iter() {
        new[index as usize] = 0;
    }
    let mut kept = Ids::new();
    for (index, id) in ids.iter().enumerate() {
        if new[index] == 0 {
            new[index] = kept.intern(id);
        }
    }
    if kept.len() < ids.len() {
        side.iter_mut().for_each(|index| *index = new[*index as usize]);
    }
    (kept, new)
}

fn check_known(file: &str, test: &Ratings) -> Result<()> {
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
        index => format!("\"{}\"", ids.name(index)),
    };
    format!(
        "rating {} of user {} and item {}",
        ratings.values[row],
        name(users, ratings.users[row]),
        name(items, ratings.items[row])
    )
}

impl DataFacts {
    fn describe(&mut self, train: &Ratings, users: usize, items: usize) {
        (self.users, self.items, self.ratings) = (users, items, train.len());
        self.min = f64::from(train.values.iter().copied().fold(f32::INFINITY, f32::min));
        self.max = f64::from(train.values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        self.mean = train.mean();
        self.sparsity = 1.0 - train.len() as f64 / (users as f64 * items as f64);
    }
}
