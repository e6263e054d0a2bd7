//! From rating files to the training and test parts that a model sees.

use super::duplicates::Duplicates;
use super::prepared::{
    aligned, assemble, check_fraction, check_known, compact, filter, hold_out, hold_out_per_user,
};
use super::{DataFacts, Prepared, ReadOptions, Table, duplicates, read};
use crate::core::{Ids, Ratings, TransformKind};
use crate::progress::Progress;
use crate::{Error, Result};
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
    /// The least rating that `transform` binary takes for 1
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "X",
            default_value_t = 1.0,
            allow_negative_numbers = true,
            help = "The least rating that `--transform binary` takes for 1"
        )
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
        check_fraction("`holdout`", self.holdout)?;
        if self.holdout.is_some() && self.test.is_some() {
            return Err(Error::settings("`test` and `holdout` exclude each other; use one"));
        }
        if !self.threshold.is_finite() {
            let message = format!("`threshold` {}: must be a finite number", self.threshold);
            return Err(Error::settings(message));
        }
        Ok(())
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
    let sizes = (table.users.len(), table.items.len());
    let (least_user, least_item) = (options.min_user_ratings, options.min_item_ratings);
    facts.dropped_by_filters = filter(&mut table.ratings, sizes, least_user, least_item)?;
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
    let train = table.ratings;
    drop((table.users, table.items));
    let test = match (held_out, &options.test) {
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
    let kinds = (&options.transform[..], options.threshold);
    assemble((users, items), train, test, kinds, facts, recognised)
}

/// The ratings of a freshly read table in a model's indices; ids that the model lacks become
/// [`UNKNOWN`](crate::core::UNKNOWN).
pub fn align(table: &Table, users: &Ids, items: &Ids) -> Ratings {
    aligned((&table.users, &table.items), &table.ratings, (users, items))
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
