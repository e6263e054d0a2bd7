//! `wgmf predict`.

use super::output::stdout;
use super::progress::Steps;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use wgmf::data::{ReadOptions, UNKNOWN};
use wgmf::model::{Model, Prediction, Unit};
use wgmf::{Error, Result};

/// Predict ratings of pairs: user,item,prediction
///
/// Predictions are in the unit of the ratings the model was trained on (probabilities for
/// --loss logistic). An id that the model does not know is scored by the means that are known: the
/// item's for a new user, the user's for a new item, else the overall mean.
#[derive(clap::Args)]
pub struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// A file of pairs, any delimiter, with or without header; further columns are ignored; - is
    /// standard input
    pairs: PathBuf,
    /// Write to a file instead of standard output
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
    #[command(flatten)]
    read: ReadOptions,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<()> {
    if let Some(output) = &args.output {
        check_output(output, args.force)?;
    }
    let model = Model::open(&args.model)?;
    let (count, unknown) = match &args.output {
        Some(output) => {
            let file = PartialFile::create(output)?;
            let mut out = BufWriter::with_capacity(1 << 16, &file.file);
            let done = predict(&args, &model, &mut out, output)?;
            out.flush().map_err(|e| Error::io(output, e))?;
            drop(out);
            check_output(output, args.force)?;
            file.finish(output)?;
            done
        }
        None => predict(&args, &model, &mut stdout(), Path::new("standard output"))?,
    };
    unknown.report(count);
    let unit = match model.unit() {
        Unit::Rating => "ratings",
        Unit::Probability => "probabilities",
        Unit::Preference => "preferences",
    };
    if let Some(output) = &args.output {
        say!("wrote {count} predicted {unit} to {}", output.display());
    }
    Ok(())
}

fn predict(
    args: &Args,
    model: &Model,
    out: &mut impl Write,
    shown: &Path,
) -> Result<(u64, Unknown)> {
    let mut rows = Rows::new(out, args.json);
    let failed = |e: io::Error| Error::io(shown, e);
    let mut unknown = Unknown::default();
    // A bar between the rows on a terminal would be no help.
    let quiet = args.output.is_none() && io::stdout().is_terminal();
    let steps = Steps::new(quiet);
    rows.begin().map_err(failed)?;
    let count = model.predict_file(&args.pairs, &args.read, &steps, |pair| {
        if pair.user_index == UNKNOWN || pair.item_index == UNKNOWN {
            if args.strict {
                return Err(unknown_error(&args.pairs, pair));
            }
            unknown.add(pair);
        }
        rows.write(pair).map_err(failed)
    });
    // What came before a wrong line is worth having: standard output gets it.
    rows.flush().map_err(failed)?;
    Ok((count?, unknown))
}

fn unknown_error(file: &Path, pair: &Prediction) -> Error {
    let (side, id) =
        if pair.user_index == UNKNOWN { ("user", pair.user) } else { ("item", pair.item) };
    let message = format!(
        "{side} \"{id}\" is not in the model; without --strict it is scored by the means that are \
         known"
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

    fn report(&self, pairs: u64) {
        for (side, mean, (count, first)) in
            [("user", "item", &self.users), ("item", "user", &self.items)]
        {
            if *count > 0 {
                let names: Vec<String> = first.iter().map(|id| format!("\"{id}\"")).collect();
                say!(
                    "{count} of {pairs} pairs have {side}s that are not in the model (first: {}): \
                     scored by the {mean}'s mean",
                    names.join(", ")
                );
            }
        }
    }
}

/// Rows as CSV or as JSON.
enum Rows<W: Write> {
    // Boxed: the writer's buffers are large.
    Csv(Box<csv::Writer<W>>),
    Json(W),
}

/// A row as JSON; factors are single precision, so more digits would say nothing.
#[derive(Serialize)]
struct Row<'a> {
    user: &'a str,
    item: &'a str,
    prediction: f32,
}

impl<W: Write> Rows<W> {
    fn new(out: W, json: bool) -> Self {
        if json { Rows::Json(out) } else { Rows::Csv(Box::new(csv::Writer::from_writer(out))) }
    }

    fn begin(&mut self) -> io::Result<()> {
        match self {
            Rows::Csv(csv) => Ok(csv.write_record(["user", "item", "prediction"])?),
            Rows::Json(_) => Ok(()),
        }
    }

    fn write(&mut self, pair: &Prediction) -> io::Result<()> {
        let prediction = pair.value as f32;
        match self {
            Rows::Csv(csv) => {
                let mut number = [0; 64];
                let mut rest = &mut number[..];
                write!(rest, "{prediction:?}")?;
                let length = 64 - rest.len();
                csv.write_field(pair.user)?;
                csv.write_field(pair.item)?;
                csv.write_field(&number[..length])?;
                Ok(csv.write_record(None::<&[u8]>)?)
            }
            Rows::Json(out) => {
                let row = Row { user: pair.user, item: pair.item, prediction };
                serde_json::to_writer(&mut *out, &row)?;
                out.write_all(b"\n")
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Rows::Csv(csv) => csv.flush(),
            Rows::Json(out) => out.flush(),
        }
    }
}

fn check_output(output: &Path, force: bool) -> Result<()> {
    if output.is_dir() {
        return Err(Error::file(output, "is a directory; name a file for --output"));
    }
    if output.exists() && !force {
        return Err(Error::file(output, "already exists; choose another file or add --force"));
    }
    Ok(())
}

/// A file beside the output that takes its name when it is complete, and is removed otherwise.
struct PartialFile {
    path: PathBuf,
    file: File,
}

impl PartialFile {
    fn create(output: &Path) -> Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(format!(".wgmf-{}", std::process::id()));
        let path = output.with_file_name(name);
        let file = File::create_new(&path).map_err(|e| Error::io(output, e))?;
        Ok(PartialFile { path, file })
    }

    fn finish(self, output: &Path) -> Result<()> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, output))
            .map_err(|e| Error::io(output, e))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // Gone already where it took its final name.
        let _ = fs::remove_file(&self.path);
    }
}
