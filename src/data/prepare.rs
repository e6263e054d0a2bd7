//! From rating files to the training and test parts that a model sees.

use super::dataset::{Dataset, TestPart};
use super::duplicates::Duplicates;
use super::order::{self, Order};
use super::prepared::{aligned, check_fraction};
use super::times::Origins;
use super::weigh::{check_half_life, decayed};
use super::{Prepared, ReadOptions, Reading, Table, read};
use crate::core::{Ids, Ratings, TransformKind, escaped};
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
    /// What becomes of several ratings of one pair: the latest (without timestamps, and of one time,
    /// the last of the file), their mean, their sum, or an error
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Duplicates::Last))]
    pub duplicates: Duplicates,
    /// What ids and ratings are ordered by before anything is drawn or summed: `canonical` by the
    /// bytes of the ids, so that a shuffled file gives the same model; `appearance` by the file.
    /// Default: canonical; with `init` or `no_shuffle`, which take ids and ratings as the file has
    /// them, appearance
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_enum,
            help = "What ids and ratings are ordered by before anything is drawn or summed: \
                    canonical by the bytes of the ids, so that a shuffled file gives the same \
                    model; appearance by the file. Default: canonical; with --init or \
                    --no-shuffle, which take ids and ratings as the file has them, appearance"
        )
    )]
    pub order: Option<Order>,
    /// Column of what each rating counts in training, a name of the header or a 1-based position: numbers of 0 or
    /// more, which are divided by their mean. It may be the column of the ratings. Those of 0 are left out;
    /// held-out figures count all alike
    #[cfg_attr(feature = "cli", arg(long, value_name = "COLUMN"))]
    pub weights: Option<String>,
    /// Let a rating count half as much for each DAYS that it is older than the newest (needs timestamps); times
    /// what `weights` says
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "DAYS",
            help = "Let a rating count half as much for each DAYS that it is older than the newest (needs \
                    timestamps); times what --weights says"
        )
    )]
    pub half_life: Option<f64>,
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
    /// Leave out test ratings of pairs that are trained on too
    #[cfg_attr(feature = "cli", arg(long, requires = "test"))]
    pub leave_out_seen: bool,
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
            order: None,
            weights: None,
            half_life: None,
            min_user_ratings: 1,
            min_item_ratings: 1,
            transform: vec![TransformKind::None],
            threshold: 1.0,
            test: None,
            holdout: None,
            leave_out_seen: false,
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
        self.half_life.map_or(Ok(()), check_half_life)?;
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
/// The result depends on the ratings, `options` and `seed`, never on the number of threads, and on their
/// order in the files only where `options` say so.
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
    let (mut set, mut recognised) = Dataset::prepared_from(paths, options, progress)?;
    let named = paths.iter().chain(&options.test).map(|path| path.display().to_string());
    set.facts.files = named.collect();
    let mut prepared = match (options.holdout, &options.test) {
        (Some(fraction), _) => {
            let test = set.cut(fraction, options.holdout_per_user, seed)?;
            set.into_prepared(TestPart::HeldOut(test))?
        }
        (None, Some(path)) => {
            let file = std::slice::from_ref(path);
            // What is held out counts as it is.
            let alike = DataOptions { weights: None, half_life: None, ..options.clone() };
            let (test, _) = open(file, &alike, progress, &mut recognised)?;
            set.facts.test_seen_left_out = options.leave_out_seen;
            set.into_prepared(TestPart::Set(&path.display().to_string(), &test))?
        }
        (None, None) => set.into_prepared(TestPart::None)?,
    };
    prepared.recognised = recognised;
    Ok(prepared)
}

/// One set of the files, with how they were read; a line a file of what they were taken for is added to
/// `recognised`.
fn open(
    paths: &[PathBuf],
    options: &DataOptions,
    progress: &dyn Progress,
    recognised: &mut Vec<String>,
) -> Result<(Dataset, Option<Reading>)> {
    let read_as = ReadOptions { weights: options.weights.clone(), ..options.read.clone() };
    let mut table = read(paths, &read_as, progress)?;
    if let Some(days) = options.half_life {
        table.decay(days)?;
    }
    recognised.append(&mut table.recognised);
    let reading = Reading::new(&table.forms, options);
    let order = options.order.unwrap_or_default();
    Dataset::from_table_in(table, options.duplicates, order).map(|set| (set, reading))
}

impl Dataset {
    /// Reads `paths` as one set, merges duplicates and applies the filters of `options`; what they say of
    /// the transform is learned when it is trained on, and of a test part is left to [`prepare`]. With a
    /// line a file of what it was taken for.
    ///
    /// # Errors
    /// Whatever [`read`] says of a file; nothing left after the filters.
    pub fn prepared_from(
        paths: &[PathBuf],
        options: &DataOptions,
        progress: &dyn Progress,
    ) -> Result<(Self, Vec<String>)> {
        let mut recognised = Vec::new();
        let (set, reading) = open(paths, options, progress, &mut recognised)?;
        if let Some(reading) = reading.as_ref().filter(|reading| reading.others_differ) {
            progress.note(&format!(
                "note: the files are read in different ways; those that belong to the model (test parts, \
                 new users) will be read as {}",
                escaped(&reading.form.file)
            ));
        }
        let mut set = set
            .transformed(&options.transform)
            .with_threshold(options.threshold)?
            .with_at_least(options.min_user_ratings, options.min_item_ratings)?;
        set.facts.files = paths.iter().map(|path| path.display().to_string()).collect();
        set.facts.reading = reading;
        set.facts.weights_column = options.weights.as_deref().map(|name| name.trim().to_owned());
        set.facts.half_life = options.half_life;
        Ok((set, recognised))
    }
}

/// The ratings of a freshly read table in a model's indices; ids that the model lacks become
/// [`UNKNOWN`](crate::core::UNKNOWN).
pub fn align(table: &Table, users: &Ids, items: &Ids) -> Ratings {
    aligned((&table.users, &table.items), &table.ratings, (users, items))
}

impl Table {
    /// Lets each rating count half as much for each `days` that it is older than the newest. For a table as it
    /// was read.
    ///
    /// # Errors
    /// No times, or such as cannot be compared or are of no unit that is known.
    fn decay(&mut self, days: f64) -> Result<()> {
        self.check_times()?;
        let times = &self.ratings.timestamps;
        if times.is_empty() {
            return Err(Error::data(format!(
                "`half_life` needs timestamps, and there are none ({}); name their column with `columns` \
                 user,item,rating,timestamp",
                self.recognised.join("; ")
            )));
        };
        let weights = &self.ratings.weights;
        self.ratings.weights = decayed(times, self.scale, weights, days)?;
        Ok(())
    }

    /// Merges several ratings of one pair, and leaves all else in order of the files; how many were merged
    /// away.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn merge_duplicates(&mut self, policy: Duplicates) -> Result<usize> {
        self.settle(policy, Order::Appearance)
    }

    /// Merges several ratings of one pair, and puts ids and ratings into `order`; how many were merged
    /// away. Call it once.
    ///
    /// # Errors
    /// With [`Duplicates::Error`], the first pair that occurs twice, with both lines; a sum beyond f32;
    /// with [`Duplicates::Last`], a rating of such a pair whose time cannot be read though others have
    /// times, or dates among numbers.
    pub fn settle(&mut self, policy: Duplicates, order: Order) -> Result<usize> {
        self.put_in_order(policy, order, true)
    }

    /// Leaves out ratings, but no ids; where the others came from stays known. Once duplicates are merged.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        if self.origins.is_empty() {
            self.origins = (0..self.ratings.len() as u32).collect();
        }
        let mut kept = (0..self.origins.len()).map(&keep);
        self.origins.retain(|_| kept.next().unwrap_or(true));
        self.ratings.retain(keep);
    }

    /// The same; where a rating came from is known afterwards if `keep_origins` says so.
    pub(super) fn put_in_order(
        &mut self,
        policy: Duplicates,
        order: Order,
        keep_origins: bool,
    ) -> Result<usize> {
        let Table { users, items, ratings, lines, origins, unread, scale, .. } = self;
        let places = Origins { lines, unread, scale: *scale };
        let settled =
            order::settle((users, items), ratings, (policy, order), &places, keep_origins)?;
        *origins = settled.origins;
        Ok(settled.merged)
    }
}
