//! `wgmf predict`.

use super::evaluate::{clip, scored_how};
use super::output::{check_apart, check_other};
use super::progress::Steps;
use super::{alike, by};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use wgmf::core::{Solver, UNKNOWN, escaped};
use wgmf::data::ReadOptions;
#[cfg(feature = "parquet")]
use wgmf::files::{Cell, Cells, TableWriter};
use wgmf::files::{Output, TableForm};
use wgmf::model::{Model, Samples, settled};
use wgmf::predict::{Ask, Prediction, Predictive, Summary, Unit};
use wgmf::recommend::Criterion;
use wgmf::{Error, Result};

/// Predict ratings of pairs: user,item,prediction
///
/// Predictions are in the unit of the ratings the model was trained on (probabilities for
/// --loss logistic, preferences for --solver ials; of losses made for ranking scores, which are cosines, or inner
/// products with --score inner). An id that the model does not know is scored by the mean of who is known: the
/// item's for a new user, the user's for a new item, else the overall mean; by --solver ials, which has
/// no means, 0.
///
/// A model of --solver bayes gives user,item,mean,std instead: the mean and the standard deviation of
/// the rating, noise included, over all its samples; lower,upper with --interval; and where ratings are
/// levels the probability of each level, in columns p_LEVEL. An id that it does not know is one of a
/// row without ratings, with all the uncertainty of that. Where the transform is no straight line
/// (log1p), mean is the mean of the transformed rating with the transform undone, and std half the width
/// of the central 68.3 % interval.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// A file of pairs, any delimiter, with or without header; further columns are ignored; - is
    /// standard input
    pairs: PathBuf,
    /// Write to a file instead of standard output ("-"); .gz and .zst are compressed, .parquet is Apache Parquet,
    /// .arrow and .feather are Arrow files
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(long, requires = "output")]
    force: bool,
    /// Make an id that the model does not know an error
    #[arg(long)]
    strict: bool,
    /// Print one JSON object a line instead of CSV
    #[arg(long)]
    json: bool,
    /// bayes: add the central interval with this probability (0.9), or where ratings are levels the
    /// smallest central set of levels
    #[arg(long, value_name = "P")]
    interval: Option<f64>,
    /// Bound predictions to the range of the training ratings, as train --clip does
    #[arg(long)]
    clip: bool,
    /// bayes: leave the noise of ratings out of std and interval, which then say how well the expected
    /// rating is known
    #[arg(long)]
    credible: bool,
    #[command(flatten)]
    read: ReadOptions,
}

impl Args {
    /// What rows are written in by column.
    fn form(&self) -> Result<Option<TableForm>> {
        match &self.output {
            Some(path) if !self.json => TableForm::of(path),
            _ => Ok(None),
        }
    }

    fn ask(&self) -> Ask {
        Ask { interval: self.interval, credible: self.credible }
    }

    /// Whether the flags belong to the model.
    fn check(&self, model: &Model) -> Result<()> {
        self.ask().check()?;
        let given = [("interval", self.interval.is_some()), ("credible", self.credible)];
        match given.into_iter().find(|(_, given)| *given && !model.is_bayesian()) {
            Some((flag, _)) => Err(Error::settings(format!(
                "--{flag} needs samples of the posterior, and {} is a model of --solver {}; train one \
                 with --solver bayes",
                self.model.display(),
                model.objective.solver.name()
            ))),
            None => Ok(()),
        }
    }
}

/// Runs the subcommand.
pub(super) fn run(mut args: Args, given: &dyn Fn(&str) -> bool) -> Result<()> {
    args.ask().check()?;
    args.output.take_if(|output| output.as_os_str() == "-");
    let (shown, path) = match args.output.as_deref() {
        Some(path) => (path, path),
        None => (Path::new("standard output"), Path::new("-")),
    };
    if let Some(output) = &args.output {
        check_other(output, std::slice::from_ref(&args.pairs))?;
        check_apart(output, &args.model)?;
    }
    args.form()?;
    let mut out = Output::create(path, args.force)?;
    let (mut model, samples) = settled(&args.model, || {
        let model = Model::open(&args.model)?;
        let samples = by::samples(&model, &args.model, Criterion::Mean)?;
        Ok((model, samples))
    })?;
    args.check(&model)?;
    if args.clip {
        clip(&mut model)?;
    }
    let read = alike::options(&model, &args.read, given);
    let (count, unknown) = predict(&args, &read, &model, samples.as_ref(), &mut out, shown)?;
    out.commit()?;
    unknown.report(count, &model);
    let unit = match model.unit() {
        Unit::Rating => ["rating", "ratings"],
        Unit::Probability => ["probability", "probabilities"],
        Unit::Preference => ["preference", "preferences"],
        Unit::Score => ["score", "scores"],
    };
    let unit = unit[usize::from(count != 1)];
    if let Some(output) = &args.output {
        say!("wrote {count} predicted {unit} to {}", output.display());
    }
    Ok(())
}

fn predict(
    args: &Args,
    read: &ReadOptions,
    model: &Model,
    samples: Option<&Samples>,
    out: &mut Output,
    shown: &Path,
) -> Result<(u64, Unknown)> {
    let predictive = samples.map(|samples| Predictive::new(model, samples)).transpose()?;
    let columns = match &predictive {
        Some(predictive) => columns(predictive, args.interval.is_some()),
        None => vec!["prediction".to_owned()],
    };
    let mut rows = Rows::new(out, args, shown, columns)?;
    let mut unknown = Unknown::default();
    // A bar between the rows on a terminal would be no help.
    let quiet = args.output.is_none() && io::stdout().is_terminal();
    let steps = Steps::new(quiet);
    let mut notice = |pair: &Prediction| {
        if pair.user_index == UNKNOWN || pair.item_index == UNKNOWN {
            if args.strict {
                return Err(unknown_error(&args.pairs, pair));
            }
            unknown.add(pair);
        }
        Ok(())
    };
    let count = if let Some(predictive) = predictive {
        let mut numbers = Vec::with_capacity(rows.columns.len());
        predictive.predict_file(&args.pairs, read, &steps, &args.ask(), |pair, summary| {
            notice(pair)?;
            let Summary { mean, deviation, interval, levels } = summary;
            numbers.clear();
            numbers.extend([*mean, *deviation]);
            numbers.extend(interval.iter().flatten());
            numbers.extend(levels);
            rows.write(pair, &numbers)
        })
    } else {
        model.predict_file(&args.pairs, read, &steps, |pair| {
            notice(pair)?;
            rows.write(pair, &[pair.value])
        })
    };
    // What came before a wrong line is worth having: standard output gets it.
    let ended = rows.finish();
    let count = count?;
    ended.map(|()| (count, unknown))
}

/// The names of the numbers that the samples say of a pair.
fn columns(predictive: &Predictive, interval: bool) -> Vec<String> {
    let names: &[&str] =
        if interval { &["mean", "std", "lower", "upper"] } else { &["mean", "std"] };
    let names = names.iter().map(|&name| name.to_owned());
    names.chain(predictive.level_values().iter().map(|level| format!("p_{level}"))).collect()
}

fn unknown_error(file: &Path, pair: &Prediction) -> Error {
    let (side, id) =
        if pair.user_index == UNKNOWN { ("user", pair.user) } else { ("item", pair.item) };
    let id = escaped(id);
    let message = format!(
        "{side} \"{id}\" is not in the model; without --strict it is scored by what is known"
    );
    Error::line(file.display(), pair.line, message)
}

/// Pairs with ids the model does not know, and the first few of the ids.
#[derive(Default)]
struct Unknown {
    users: (u64, Vec<String>),
    items: (u64, Vec<String>),
}

impl Unknown {
    const NAMED: usize = 5;

    fn add(&mut self, pair: &Prediction) {
        let sides = [
            (&mut self.users, pair.user_index, pair.user),
            (&mut self.items, pair.item_index, pair.item),
        ];
        for ((count, first), index, id) in sides {
            if index == UNKNOWN {
                *count += 1;
                if first.len() < Self::NAMED && !first.iter().any(|seen| seen == id) {
                    first.push(id.to_owned());
                }
            }
        }
    }

    fn report(&self, pairs: u64, model: &Model) {
        for (side, partner, (count, first)) in
            [("user", "item", &self.users), ("item", "user", &self.items)]
        {
            if *count > 0 {
                let names: Vec<String> = first.iter().map(|id| format!("\"{id}\"")).collect();
                let how = match model.objective.solver {
                    Solver::Bayes => "scored as of one without ratings".to_owned(),
                    _ if model.objective.is_implicit() => scored_how(model).to_owned(),
                    _ => format!("scored by the mean and the {partner}'s bias"),
                };
                say!(
                    "{count} of {pairs} pairs have {side}s that are not in the model (first: {}): {how}",
                    names.join(", ")
                );
            }
        }
    }
}

/// Rows as CSV, as JSON or by column.
struct Rows<'a, W: Write + Send> {
    columns: Vec<String>,
    /// Whether the header of CSV is still to come: not before the first row, so that a file of pairs that
    /// cannot be read leaves nothing.
    new: bool,
    out: Lines<W>,
    /// What messages call the output.
    shown: &'a Path,
}

enum Lines<W: Write + Send> {
    // Boxed: the writer's buffers are large.
    Csv(Box<csv::Writer<W>>),
    Json(W),
    #[cfg(feature = "parquet")]
    Table(Box<TableWriter<W>>),
}

/// A row as JSON.
struct Row<'a> {
    pair: &'a Prediction<'a>,
    columns: &'a [String],
    numbers: &'a [f64],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2 + self.numbers.len()))?;
        map.serialize_entry("user", self.pair.user)?;
        map.serialize_entry("item", self.pair.item)?;
        for (column, &number) in self.columns.iter().zip(self.numbers) {
            // Factors are single precision, so more digits would say nothing.
            match number as f32 {
                short if short.is_finite() => map.serialize_entry(column, &short)?,
                _ => map.serialize_entry(column, &number)?,
            }
        }
        map.end()
    }
}

impl<'a, W: Write + Send> Rows<'a, W> {
    fn new(out: W, args: &Args, shown: &'a Path, columns: Vec<String>) -> Result<Self> {
        #[cfg(feature = "parquet")]
        if let Some(form) = args.form()? {
            let ids = ["user", "item"].map(|name| (name.to_owned(), Cells::Text));
            let numbers = columns.iter().map(|name| (name.clone(), Cells::Single));
            let cells: Vec<_> = ids.into_iter().chain(numbers).collect();
            let table = TableWriter::new(&shown.display().to_string(), out, form, &cells)?;
            return Ok(Rows { columns, new: true, out: Lines::Table(Box::new(table)), shown });
        }
        let out = match args.json {
            true => Lines::Json(out),
            false => Lines::Csv(Box::new(csv::Writer::from_writer(out))),
        };
        Ok(Rows { columns, new: true, out, shown })
    }

    fn write(&mut self, pair: &Prediction, numbers: &[f64]) -> Result<()> {
        #[cfg(feature = "parquet")]
        if let Lines::Table(table) = &mut self.out {
            let ids = [pair.user, pair.item].map(Cell::Text).into_iter();
            return table.write(ids.chain(numbers.iter().map(|&number| Cell::Number(number))));
        }
        self.line(pair, numbers).map_err(|e| Error::io(self.shown, e))
    }

    fn line(&mut self, pair: &Prediction, numbers: &[f64]) -> io::Result<()> {
        let Self { columns, new, out, .. } = self;
        match out {
            Lines::Csv(csv) => {
                record(csv, std::mem::take(new), pair, columns, numbers).map_err(of_csv)
            }
            Lines::Json(out) => {
                serde_json::to_writer(&mut *out, &Row { pair, columns, numbers })?;
                out.write_all(b"\n")
            }
            #[cfg(feature = "parquet")]
            Lines::Table(_) => Ok(()),
        }
    }

    /// Writes what is still to be written.
    fn finish(self) -> Result<()> {
        let written = match self.out {
            Lines::Csv(mut csv) => csv.flush(),
            Lines::Json(mut out) => out.flush(),
            #[cfg(feature = "parquet")]
            Lines::Table(table) => return table.finish().map(|_| ()),
        };
        written.map_err(|e| Error::io(self.shown, e))
    }
}

/// A row of CSV, below the header if it is new.
fn record(
    csv: &mut csv::Writer<impl Write>,
    new: bool,
    pair: &Prediction,
    columns: &[String],
    numbers: &[f64],
) -> csv::Result<()> {
    if new {
        let names = ["user", "item"].into_iter();
        csv.write_record(names.chain(columns.iter().map(String::as_str)))?;
    }
    csv.write_field(pair.user)?;
    csv.write_field(pair.item)?;
    for &number in numbers {
        let mut text = [0; 64];
        let mut rest = &mut text[..];
        match number as f32 {
            short if short.is_finite() => write!(rest, "{short:?}")?,
            _ => write!(rest, "{number:?}")?,
        }
        let length = 64 - rest.len();
        csv.write_field(&text[..length])?;
    }
    csv.write_record(None::<&[u8]>)
}

/// What the disk said, or a pipe that is closed.
fn of_csv(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(said) => said,
        other => io::Error::other(format!("{other:?}")),
    }
}
