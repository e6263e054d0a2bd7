//! What rating files hold, before anything is trained on them.

use super::order::Grouped;
use super::{FileForm, Table};
use crate::Result;
use crate::core::{NO_TIME, Ratings, Side};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// The most distinct values that are listed with their shares.
const LISTED: usize = 12;
/// The share from which a value that stands apart is a doubt of its file.
const TENTH: f64 = 0.1;
/// The largest rating over the mean from which values count as heavy-tailed.
const HEAVY: f64 = 50.0;

/// What rating files are taken for and what they hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// What each file was taken for.
    pub files: Vec<FileForm>,
    /// Ratings in all files.
    pub ratings: usize,
    /// Distinct users.
    pub users: usize,
    /// Distinct items.
    pub items: usize,
    /// Fraction of all pairs of a user and an item that have no rating.
    pub sparsity: f64,
    /// Whether there is a column of ratings; without one each counts as 1.
    pub has_ratings: bool,
    /// The first rows as they were parsed.
    pub rows: Vec<Row>,
    /// What the ratings are.
    pub values: Values,
    /// How many ratings users have.
    pub ratings_per_user: Counts,
    /// How many ratings items have.
    pub ratings_per_item: Counts,
    /// Pairs of a user and an item that come more than once.
    pub repeats: Repeats,
    /// When ratings were given, where any says so.
    pub times: Option<Times>,
    /// What deserves a second look, with what could be done.
    pub remarks: Vec<Remark>,
}

/// A rating as it was parsed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The file as the user named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: u64,
    /// The user's id.
    pub user: String,
    /// The item's id.
    pub item: String,
    /// The rating.
    pub rating: f32,
    /// When it was given, as a number of the file's unit or a date in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

impl fmt::Display for Row {
    /// `user=ann item="the b" rating=3`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain =
            |id: &str| id.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"');
        for (name, id) in [("user", &self.user), ("item", &self.item)] {
            match plain(id) {
                true => write!(f, "{name}={id} ")?,
                false => write!(f, "{name}={id:?} ")?,
            }
        }
        write!(f, "rating={}", self.rating)?;
        self.timestamp.as_ref().map_or(Ok(()), |time| write!(f, " timestamp={time}"))
    }
}

/// The distribution of the ratings.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Values {
    /// The least.
    pub min: f32,
    /// The largest.
    pub max: f32,
    /// Their mean.
    pub mean: f64,
    /// The one in the middle; of two, the lower.
    pub median: f32,
    /// How many distinct ones there are.
    pub distinct: usize,
    /// The most frequent ones, the most frequent first.
    pub most_frequent: Vec<Share>,
}

/// How often a value occurs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// The value.
    pub value: f32,
    /// How many ratings have it.
    pub ratings: usize,
    /// Which fraction of all that is.
    pub share: f64,
}

/// How many ratings the ids of a side have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// The least.
    pub min: u32,
    /// A quarter of the ids have no more.
    pub quarter: u32,
    /// Half of the ids have no more.
    pub median: u32,
    /// Nine tenths of the ids have no more.
    pub nine_tenths: u32,
    /// The most.
    pub max: u32,
    /// Ids with a single rating.
    pub single: usize,
}

/// When ratings were given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// The earliest.
    pub first: String,
    /// The latest.
    pub last: String,
    /// What they are: `date`, or by their size `seconds`, `milliseconds`, `microseconds` or `nanoseconds`
    /// since 1970, `days` as spreadsheets count them; nothing where that cannot be told.
    pub unit: Option<&'static str>,
    /// How many ratings have none that can be read.
    pub without: usize,
}

/// Pairs that come more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repeats {
    /// How many such pairs there are.
    pub pairs: usize,
    /// Ratings beyond the first of each.
    pub ratings: usize,
    /// How many of these have another value than the first.
    pub other_values: usize,
}

/// Something that deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Remark {
    /// What kind of thing it is: a stable name.
    pub kind: &'static str,
    /// What it is and what could be done, for people; settings stand in backticks.
    pub text: String,
}

impl Inspection {
    /// Looks at a table as it was [read](super::read), with `rows` of its first rows.
    ///
    /// # Errors
    /// More ratings than can be counted (2³² − 2).
    pub fn new(table: &Table, rows: usize) -> Result<Self> {
        let ratings = &table.ratings;
        let (users, items) = (table.users.len(), table.items.len());
        let found = Grouped::canonical(&table.users, &table.items, ratings)?.duplicates();
        let other = |&&(first, later): &&(u32, u32)| {
            ratings.values[first as usize] != ratings.values[later as usize]
        };
        let mut firsts: Vec<u32> = found.iter().map(|pair| pair.0).collect();
        firsts.dedup();
        let repeats = Repeats {
            pairs: firsts.len(),
            ratings: found.len(),
            other_values: found.iter().filter(other).count(),
        };
        let sorted = Sorted::new(&ratings.values);
        let mut inspection = Inspection {
            files: table.forms.clone(),
            ratings: ratings.len(),
            users,
            items,
            sparsity: 1.0
                - (ratings.len() - repeats.ratings) as f64 / (users as f64 * items as f64),
            has_ratings: table.has_ratings,
            rows: table.first_rows(rows),
            values: sorted.values(ratings),
            ratings_per_user: Counts::new(ratings.counts(Side::User, users)),
            ratings_per_item: Counts::new(ratings.counts(Side::Item, items)),
            repeats,
            times: table.times(),
            remarks: Vec::new(),
        };
        inspection.remarks = remarks(&inspection, &sorted);
        Ok(inspection)
    }
}

impl Table {
    /// The first `count` ratings with their lines, as they were parsed.
    pub fn first_rows(&self, count: usize) -> Vec<Row> {
        self.rows(0..count.min(self.ratings.len()))
    }

    fn times(&self) -> Option<Times> {
        let times = &self.ratings.timestamps;
        let timed = || times.iter().copied().filter(|&time| time != NO_TIME);
        let (first, last) = timed().min().zip(timed().max())?;
        Some(Times {
            first: self.scale.show(first),
            last: self.scale.show(last),
            unit: self.scale.unit(first, last),
            without: times.len() - timed().count(),
        })
    }

    pub(super) fn rows(&self, rows: Range<usize>) -> Vec<Row> {
        let row = |at: usize| {
            let (file, line) = self.origin(at);
            Row {
                file: file.to_owned(),
                line,
                user: self.users.name(self.ratings.users[at]).to_owned(),
                item: self.items.name(self.ratings.items[at]).to_owned(),
                rating: self.ratings.values[at],
                timestamp: (self.ratings.timestamps.get(at))
                    .filter(|&&time| time != NO_TIME)
                    .map(|&time| self.scale.show(time)),
            }
        };
        rows.map(row).collect()
    }
}

/// All values in order, and where each distinct one begins.
struct Sorted {
    values: Vec<f32>,
    starts: Vec<usize>,
}

impl Sorted {
    fn new(values: &[f32]) -> Self {
        // One zero: -0 sorts before 0.
        let mut values: Vec<f32> = values.iter().map(|value| value + 0.0).collect();
        values.par_sort_unstable_by(f32::total_cmp);
        let starts = (0..values.len()).filter(|&at| at == 0 || values[at] != values[at - 1]);
        let starts = starts.collect();
        Sorted { values, starts }
    }

    fn distinct(&self) -> impl DoubleEndedIterator<Item = f32> + '_ {
        self.starts.iter().map(|&at| self.values[at])
    }

    /// Of the distinct value `at`.
    fn share(&self, at: usize) -> Share {
        let (start, all) = (self.starts[at], self.values.len());
        let ratings = self.starts.get(at + 1).copied().unwrap_or(all) - start;
        Share { value: self.values[start], ratings, share: ratings as f64 / all as f64 }
    }

    fn values(&self, ratings: &Ratings) -> Values {
        let mut shares: Vec<Share> = (0..self.starts.len()).map(|at| self.share(at)).collect();
        let distinct = shares.len();
        shares.sort_by(|a, b| b.ratings.cmp(&a.ratings).then(a.value.total_cmp(&b.value)));
        shares.truncate(LISTED);
        let all = &self.values;
        Values {
            min: all[0],
            max: all[all.len() - 1],
            mean: ratings.mean(),
            median: all[(all.len() - 1) / 2],
            distinct,
            most_frequent: shares,
        }
    }
}

impl Counts {
    fn new(mut counts: Vec<u32>) -> Self {
        counts.sort_unstable();
        let at = |fraction: f64| {
            let place = (fraction * counts.len() as f64).ceil() as usize;
            counts[place.clamp(1, counts.len()) - 1]
        };
        Counts {
            min: at(0.0),
            quarter: at(0.25),
            median: at(0.5),
            nine_tenths: at(0.9),
            max: at(1.0),
            single: counts.partition_point(|&count| count <= 1),
        }
    }
}

/// What deserves a second look.
fn remarks(seen: &Inspection, sorted: &Sorted) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut add = |kind, text: String| remarks.push(Remark { kind, text });
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let v = &seen.values;
    let distinct: Vec<f32> = sorted.distinct().take(3).collect();
    match distinct[..] {
        [_] if !seen.has_ratings => add(
            "no_ratings",
            "there is no column of ratings, so each line counts 1: what users chose, which `solver` ials \
             learns from"
                .to_owned(),
        ),
        [only] => add(
            "all_equal",
            format!(
                "all ratings are {only}, so there is nothing to predict; where they tell what users chose, \
                 `solver` ials learns from it"
            ),
        ),
        [0.0, 1.0] => add(
            "labels",
            "ratings are 0 or 1: labels, of which `loss` logistic predicts probabilities".to_owned(),
        ),
        [low, high] => add(
            "two_values",
            format!(
                "ratings are {low} or {high}: `transform` binary with `threshold` {high} makes labels of them, \
                 of which `loss` logistic predicts probabilities"
            ),
        ),
        _ => {}
    }
    // A frequent one is among the doubts of its file.
    let apart = if distinct.len() > 2 { stand_apart(sorted) } else { Vec::new() };
    for (value, share, [low, high]) in apart.into_iter().filter(|apart| apart.1 < TENTH) {
        add(
            "outlier",
            format!(
                "{value} stands apart from all others, which are {low} to {high} ({} of the ratings): is it \
                 one?",
                percent(share)
            ),
        );
    }
    if distinct.len() > 2 && v.min >= 0.0 && f64::from(v.max) > HEAVY * v.mean {
        add(
            "heavy_tail",
            format!(
                "the largest rating is {:.0} times the mean, so a few ratings decide the squared error; \
                 `transform` log1p usually tells more",
                f64::from(v.max) / v.mean
            ),
        );
    }
    if v.min >= 1e8 && sorted.distinct().all(|value| value.fract() == 0.0) && v.distinct > 2 {
        add(
            "times",
            "ratings are whole numbers above 100,000,000: times or ids? `columns` names the ratings"
                .to_owned(),
        );
    }
    if seen.repeats.ratings > 0 {
        let (s, come) = if seen.repeats.pairs == 1 { ("", "comes") } else { ("s", "come") };
        add(
            "repeats",
            format!(
                "{} pair{s} of a user and an item {come} more than once; `duplicates` says what becomes of \
                 them (last, which training takes by itself, mean, sum or error)",
                seen.repeats.pairs
            ),
        );
    }
    remarks
}

/// The least or the largest value, where it lies further from all others than these lie from each other, twice.
fn stand_apart(sorted: &Sorted) -> Vec<(f32, f64, [f32; 2])> {
    let distinct: Vec<f32> = sorted.distinct().collect();
    let last = distinct.len() - 1;
    let mut found = Vec::new();
    for (at, low, high) in [(0, 1, last), (last, 0, last - 1)] {
        let (value, low, high) = (distinct[at], distinct[low], distinct[high]);
        let gap = f64::from(value - if at == 0 { low } else { high }).abs();
        let range = f64::from(high) - f64::from(low);
        if range > 0.0 && gap > 2.0 * range {
            found.push((value, sorted.share(at).share, [low, high]));
        }
    }
    found
}
