//! Splitting rating files into training and test files, line by line as they are.

use super::choice::Choice;
use super::copy::Rows;
use super::encoding::Encoding;
use super::layout::Layout;
use super::options::{Delimiter, Format, ReadOptions};
use super::prepared::check_fraction;
use super::read::Reader;
use super::set::{self, Member};
use super::source::Source;
use crate::core::{escaped, plural};
use crate::files::{Kind, Part, added, check_free, whole};
use crate::progress::Progress;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most folds: two files each are open at once.
const MOST_FOLDS: u32 = 100;

/// How ratings are split; one of the five ways, by default a random fifth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(default)]
pub struct SplitOptions {
    /// How the files are read.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub read: ReadOptions,
    /// Random fraction of the pairs of a user and an item for testing, with all their ratings.
    /// Default: 0.2
    #[cfg_attr(feature = "cli", arg(long, value_name = "FRACTION", conflicts_with_all = ["folds", "leave_last", "by_time", "users"]))]
    pub holdout: Option<f64>,
    /// K pairs of files; each rating is in exactly one test file (cross-validation), those of one
    /// user and item in the same
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", conflicts_with_all = ["leave_last", "by_time", "users"]))]
    pub folds: Option<u32>,
    /// The last N ratings of each user for testing, by timestamp (of one time, by the bytes of the
    /// items' ids), or by file order where there is none; users with N ratings or fewer stay in
    /// training
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", conflicts_with_all = ["by_time", "users"]))]
    pub leave_last: Option<u32>,
    /// The latest fraction of all ratings for testing; needs timestamps. Those of one time stay
    /// together, on the side that is nearer to the fraction
    #[cfg_attr(feature = "cli", arg(long, value_name = "FRACTION", conflicts_with = "users"))]
    pub by_time: Option<f64>,
    /// Random fraction of the users for testing, with all their ratings: for what a model says of new
    /// users (fold-in, --new-users)
    #[cfg_attr(feature = "cli", arg(long, value_name = "FRACTION"))]
    pub users: Option<f64>,
    /// Seed of the random choices
    #[cfg_attr(feature = "cli", arg(long, default_value_t = 0))]
    pub seed: u64,
}

impl SplitOptions {
    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// More than one way to split, numbers out of range.
    pub fn check(&self) -> Result<()> {
        let ways = [
            self.holdout.is_some(),
            self.folds.is_some(),
            self.leave_last.is_some(),
            self.by_time.is_some(),
            self.users.is_some(),
        ];
        if ways.into_iter().filter(|&way| way).count() > 1 {
            let message =
                "`holdout`, `folds`, `leave_last`, `by_time` and `users` exclude each other";
            return Err(Error::settings(message));
        }
        check_fraction("`holdout`", self.holdout)?;
        check_fraction("`by_time`", self.by_time)?;
        check_fraction("`users`", self.users)?;
        if let Some(folds) = self.folds.filter(|folds| !(2..=MOST_FOLDS).contains(folds)) {
            let message = format!("`folds` {folds} is not a number from 2 to {MOST_FOLDS}");
            return Err(Error::settings(message));
        }
        if self.leave_last == Some(0) {
            return Err(Error::settings("`leave_last` must be at least 1"));
        }
        self.read.check()
    }
}

/// One pair of files.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitPart {
    /// The training file.
    pub train: PathBuf,
    /// Its ratings.
    pub train_ratings: usize,
    /// The test file.
    pub test: PathBuf,
    /// Its ratings.
    pub test_ratings: usize,
}

/// What was split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitFacts {
    /// Ratings in the input.
    pub ratings: usize,
    /// Of `by_time`, the least time of the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border: Option<String>,
    /// Of a split by time, how many ratings of the test part are of a pair of a user and an item that
    /// the training part has too; by chance there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<usize>,
    /// One pair of files, or one a fold.
    pub parts: Vec<SplitPart>,
    /// One line a file of what was recognised, for people.
    #[serde(skip)]
    pub recognised: Vec<String>,
}

/// Splits files into `train` and `test` in the folder `output`, or into `fold1/train`,
/// `fold1/test`, `fold2/train`, … with folds. The files have the extension of the first input,
/// without that of a compressor.
///
/// Lines are copied as they are, the header into each file; rows of Parquet and Arrow become CSV. Every rating's line goes into exactly
/// one part; with folds, into exactly one test file. By chance, those of one user and item go together,
/// and which ones are drawn depends on the ratings and the seed, not on the order of the lines. Lines of a
/// user and his items (the grouped format) are written anew, with the items that go there.
///
/// # Errors
/// Whatever [`super::read`] says of a file; inputs of different layouts; files that exist, unless
/// `force`; a part without ratings. Nothing is left behind after an error.
pub fn split(
    paths: &[PathBuf],
    options: &SplitOptions,
    output: &Path,
    force: bool,
    progress: &dyn Progress,
) -> Result<SplitFacts> {
    options.check()?;
    let encoding = options.read.encoding;
    let members = set::members(paths)?;
    let inputs = members.into_iter().map(|member| Input::open(member, encoding, progress));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let mut reader = Reader::new(&options.read);
    let mut ends = Vec::new();
    for input in &inputs {
        let outcome = match &input.bytes {
            Some(_) => reader.read(input.source(encoding, progress)?, &input.member),
            None => reader.add(&input.member, progress),
        };
        progress.finish();
        outcome?;
        ends.push(reader.count());
    }
    let layouts = std::mem::take(&mut reader.layouts);
    same_layout(&inputs, &layouts)?;
    if let Some(at) = layouts.iter().position(|layout| layout.market.is_some()) {
        let message = "is a Matrix Market file, whose lines are not all there is to it; write user, item \
                       and rating, one a line";
        return Err(Error::file(&inputs[at].member.path, message));
    }
    let table = reader.table()?;
    let Choice { folds: choice, border, repeats } = Choice::new(&table, options)?;
    let folds = options.folds.unwrap_or(1) as usize;

    let extension = extension(&inputs[0].member.path, &layouts[0]);
    let target = Target { output, folds: options.folds, extension };
    let mut parts: Vec<SplitPart> = (0..folds)
        .map(|fold| SplitPart {
            train: target.file(output, fold, "train"),
            train_ratings: 0,
            test: target.file(output, fold, "test"),
            test_ratings: 0,
        })
        .collect();
    count(&choice, &mut parts)?;
    target.check(&parts, force)?;
    target.write(force, |dir| {
        let mut pairs = target.open(dir, folds)?;
        let mut first = 0;
        for (number, (input, &end)) in inputs.iter().zip(&ends).enumerate() {
            let (header, layout) = (number == 0, &layouts[number]);
            let rows = Rows { table: &table, choice: &choice, first, end, header, layout };
            let outcome = input.copy(&rows, encoding, progress, &mut pairs);
            progress.finish();
            outcome?;
            first = end;
        }
        pairs.into_iter().try_for_each(|(train, test)| train.finish().and_then(|()| test.finish()))
    })?;
    Ok(SplitFacts { ratings: choice.len(), repeats, border, parts, recognised: table.recognised })
}

/// An input that can be read twice.
struct Input {
    member: Member,
    /// What standard input gave.
    bytes: Option<Vec<u8>>,
}

impl Input {
    fn open(member: Member, encoding: Option<Encoding>, progress: &dyn Progress) -> Result<Self> {
        let mut bytes = None;
        let path = &member.path;
        if path.as_os_str() == "-" {
            let mut all = Vec::new();
            let mut source = Source::open(path, encoding, progress)?;
            source.rest().read_to_end(&mut all).map_err(|e| match e.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::io(path, error),
            })?;
            progress.finish();
            bytes = Some(all);
        }
        Ok(Input { member, bytes })
    }

    /// Copies its lines into their parts.
    fn copy(
        &self,
        rows: &Rows<'_>,
        encoding: Option<Encoding>,
        progress: &dyn Progress,
        pairs: &mut [(Part, Part)],
    ) -> Result<()> {
        #[cfg(feature = "parquet")]
        if rows.layout.format.is_by_column().is_some()
            && let Some(table) = super::columnar::Table::open(&self.member.path)?
        {
            return rows.copy_columns(&table, progress, pairs);
        }
        rows.copy(self.source(encoding, progress)?, pairs)
    }

    fn source<'a>(
        &'a self,
        encoding: Option<Encoding>,
        progress: &'a dyn Progress,
    ) -> Result<Source<'a>> {
        match &self.bytes {
            Some(bytes) => {
                progress.start("reading -", None, "bytes");
                // It was decoded when it was taken.
                Source::bytes("-", Some(Encoding::UTF_8), bytes)
            }
            None => Source::open(&self.member.path, encoding, progress),
        }
    }
}

/// Lines of different layouts cannot share a file.
fn same_layout(inputs: &[Input], layouts: &[Layout]) -> Result<()> {
    let Some(first) = layouts.first() else {
        return Err(Error::data("there are no ratings to split; name a file of ratings"));
    };
    for (input, layout) in inputs.iter().zip(layouts) {
        if !layout.is_like(first) {
            return Err(Error::file(
                &input.member.path,
                format!(
                    "is {}, but the first file is {}; split them one by one",
                    layout.describe(),
                    first.describe()
                ),
            ));
        }
    }
    Ok(())
}

fn count(choice: &[u8], parts: &mut [SplitPart]) -> Result<()> {
    for &fold in choice {
        if let Some(part) = parts.get_mut(usize::from(fold)) {
            part.test_ratings += 1;
        }
    }
    for part in parts {
        part.train_ratings = choice.len() - part.test_ratings;
        let empty = match (part.train_ratings, part.test_ratings) {
            (0, _) => "training",
            (_, 0) => "test",
            _ => continue,
        };
        return Err(Error::data(format!(
            "this split of {} leaves none for the {empty} part; change the fraction or N",
            plural(choice.len(), "rating")
        )));
    }
    Ok(())
}

/// What processes that split into one directory have in common.
const ADDED: &str = "split";

/// Where the parts go.
struct Target<'a> {
    output: &'a Path,
    folds: Option<u32>,
    extension: String,
}

impl Target<'_> {
    /// A part's file, where the folder of all is `dir`.
    fn file(&self, dir: &Path, fold: usize, part: &str) -> PathBuf {
        let folder = match self.folds {
            Some(_) => dir.join(format!("fold{}", fold + 1)),
            None => dir.to_owned(),
        };
        folder.join(format!("{part}{}", self.extension))
    }

    /// Opens all files below `dir`.
    fn open(&self, dir: &Path, folds: usize) -> Result<Vec<(Part, Part)>> {
        let open = |fold: usize| {
            let (train, test) = (self.file(dir, fold, "train"), self.file(dir, fold, "test"));
            if self.folds.is_some() {
                let folder = dir.join(format!("fold{}", fold + 1));
                fs::create_dir(&folder).map_err(|e| Error::io(&folder, e))?;
            }
            Ok((Part::create(&train)?, Part::create(&test)?))
        };
        (0..folds).map(open).collect()
    }

    /// Whether a file is in the way, once it is known what a run that was killed has left.
    fn check(&self, parts: &[SplitPart], force: bool) -> Result<()> {
        if self.output.is_file() {
            let message = "is a file; name a directory for `output`";
            return Err(Error::file(self.output, message));
        }
        whole::tidy(self.output);
        added::tidy(self.output, ADDED)?;
        let mut files = parts.iter().flat_map(|part| [&part.train, &part.test]);
        files.try_for_each(|path| check_free(path, force))
    }

    /// Writes all files, or none. An earlier split of this kind is replaced as a whole directory; to a
    /// directory that holds none they are added.
    fn write(&self, force: bool, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        // The lock of another process that has looked after what was left here goes with it.
        let lock = format!(".{ADDED}.wgmf-lock");
        let kind = Kind { what: "a split", owns: &|name| self.owns(name) || name == lock };
        let names = match fs::read_dir(self.output) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<String>>>()
                .map_err(|e| Error::io(self.output, e))?,
            Err(_) => return whole::write_directory(self.output, false, &kind, write),
        };
        if let Some(other) = names.iter().find(|name| force && self.is_of_another(name)) {
            let message = format!(
                "holds \"{}\", which looks like a part of a split of another kind and would stay \
                 beside the new one; choose another directory, or move it away",
                escaped(other)
            );
            return Err(Error::file(self.output, message));
        }
        let earlier = force && names.iter().any(|name| self.owns(name));
        if !earlier {
            return added::add(self.output, ADDED, write);
        }
        if let Some(stranger) =
            names.iter().find(|name| !self.owns(name) && !name.contains(".wgmf-"))
        {
            let message = format!(
                "holds \"{}\" beside an earlier split, which could only be replaced as a whole \
                 directory; choose another one, or move one of them away",
                escaped(stranger)
            );
            return Err(Error::file(self.output, message));
        }
        whole::write_directory(self.output, true, &kind, write)
    }

    /// Whether a name in the folder is that of such a split: a file of it, or a fold with no other files.
    fn owns(&self, name: &str) -> bool {
        let file = |name: &str| {
            name.strip_suffix(&self.extension).is_some_and(|stem| matches!(stem, "train" | "test"))
        };
        if self.folds.is_none() {
            return file(name);
        }
        is_fold(name) && self.has_parts_alone(name, &file)
    }

    /// Whether a name in the folder looks like a part of a split in another form or of other files. Parts of
    /// two splits side by side would be read as one, and what is not surely of this kind is not replaced.
    fn is_of_another(&self, name: &str) -> bool {
        let file = |name: &str| {
            let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
            matches!(stem, Some("train" | "test"))
        };
        let part = file(name) || is_fold(name) && self.has_parts_alone(name, &file);
        part && !self.owns(name)
    }

    /// Whether a folder has nothing but files of such names.
    fn has_parts_alone(&self, folder: &str, file: &dyn Fn(&str) -> bool) -> bool {
        fs::read_dir(self.output.join(folder)).is_ok_and(|mut entries| {
            entries
                .all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(file)))
        })
    }
}

/// Endings of rating files; a `test.py` is no part of a split.
const ENDINGS: [&str; 6] = [".csv", ".tsv", ".txt", ".jsonl", ".dat", ".data"];

/// Whether a name is that of a fold's folder.
fn is_fold(name: &str) -> bool {
    name.strip_prefix("fold").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// With its dot: that of the input without a compressor's, or what suits the delimiter.
fn extension(path: &Path, layout: &Layout) -> String {
    let mut name = PathBuf::from(path.file_name().unwrap_or_default());
    if name.extension().is_some_and(|e| e == "gz" || e == "zst" || e == "zstd") {
        name.set_extension("");
    }
    if layout.format.is_by_column().is_some() {
        return ".csv".into();
    }
    match (name.extension().and_then(|e| e.to_str()), layout.delimiter) {
        (Some(extension), _) => format!(".{extension}"),
        (None, _) if layout.format == Format::Json => ".jsonl".into(),
        (None, Delimiter::Byte(b',')) => ".csv".into(),
        (None, Delimiter::Byte(b'\t')) => ".tsv".into(),
        (None, _) => ".txt".into(),
    }
}
