//! Ranked lists for people and programs: a table, CSV or JSON lines, to a file or standard output.

use super::words::{number, shown, some_of};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use wgmf::core::{escaped, figure};
#[cfg(feature = "parquet")]
use wgmf::files::{Cell, Cells, TableWriter};
use wgmf::files::{Output, TableForm, free_at};
use wgmf::memory::size;
use wgmf::{Error, Result};

/// How lists are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One line an entry, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Aligned, for people.
    Table,
}

/// The flags.
#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
#[group(skip)]
pub(super) struct Args {
    /// How lists are written. Default: by the ending of --output .parquet or .arrow, else a table on a terminal,
    /// else CSV
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Write to a file instead of standard output; .gz and .zst are compressed, .parquet is Apache Parquet,
    /// .arrow and .feather are Arrow files
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// Warns where the disk has less room than so many entries, of about so many bytes each, are to take. What is
/// compressed may do.
pub(super) fn foresee(args: &Args, entries: u64, each: u64) {
    let Some(path) = &args.output else { return };
    let packed = ["gz", "zst", "parquet"];
    let is_plain = !path.extension().is_some_and(|end| packed.iter().any(|packed| end == *packed));
    let bytes = entries.saturating_mul(each);
    if let Some(free) = free_at(path).filter(|&free| is_plain && free < bytes) {
        say!(
            "warning: {} will take about {}, and the disk has {} left",
            path.display(),
            size(bytes),
            size(free)
        );
    }
}

/// What the columns are called.
pub(super) struct Columns {
    /// Whose list it is: `user` or `item`.
    pub of: &'static str,
    /// What is listed: `item` or `similar`.
    pub entry: &'static str,
    /// What the score is, as a table calls it.
    pub score: &'static str,
    /// Whether entries have titles.
    pub titles: bool,
    /// How many parts of a score are shown; nothing where scores are not explained.
    pub parts: Option<usize>,
    /// Whether parts add up to a score in another unit than the printed one.
    pub own_unit: bool,
}

impl Columns {
    /// The names of the columns of a table.
    fn header(&self) -> Vec<String> {
        let mut header: Vec<String> =
            [self.of, "rank", self.entry, "score"].map(str::to_owned).to_vec();
        if self.titles {
            header.push("title".into());
        }
        if let Some(parts) = self.parts {
            if self.own_unit {
                header.push("model_score".into());
            }
            header.extend(["base".to_owned(), "rest".to_owned()]);
            for part in 1..=parts {
                header.extend([format!("because_{part}"), format!("part_{part}")]);
            }
        }
        header
    }

    /// What stands in them of the entry at this place of the list of `id`.
    #[cfg(feature = "parquet")]
    fn cells<'c>(&self, id: &'c str, at: usize, entry: &'c Entry<'c>) -> Vec<Cell<'c>> {
        let mut cells = vec![
            Cell::Text(id),
            Cell::Number((at + 1) as f64),
            Cell::Text(entry.id),
            Cell::Number(entry.score),
        ];
        if self.titles {
            cells.push(if entry.title.is_empty() { Cell::Null } else { Cell::Text(entry.title) });
        }
        if let (Some(shown), Some(reason)) = (self.parts, &entry.reason) {
            if self.own_unit {
                cells.push(Cell::Number(reason.sum));
            }
            cells.extend([Cell::Number(reason.base), Cell::Number(reason.rest)]);
            for part in 0..shown {
                match reason.parts.get(part) {
                    Some(part) => cells.extend([Cell::Text(part.0), Cell::Number(part.2)]),
                    None => cells.extend([Cell::Null; 2]),
                }
            }
        }
        cells
    }
}

/// An entry of a list.
#[derive(Default)]
pub(super) struct Entry<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub score: f64,
    pub reason: Option<Reason<'a>>,
}

/// Why an entry has its score.
pub(super) struct Reason<'a> {
    /// What the score would be without ratings.
    pub base: f64,
    /// The largest parts, as (id, title, part).
    pub parts: Vec<(&'a str, &'a str, f64)>,
    /// All other parts together.
    pub rest: f64,
    /// What base and parts add up to.
    pub sum: f64,
}

/// Lists on their way out.
pub(super) struct Listing {
    out: Out,
    format: Format,
    columns: Columns,
    /// What is not written yet.
    buffer: Vec<u8>,
    lists: u64,
    entries: u64,
}

/// Where lists go.
enum Out {
    Lines(Box<Output>),
    #[cfg(feature = "parquet")]
    Table(Box<TableWriter<Output>>),
}

impl Args {
    /// Opens the output, before any work.
    pub(super) fn open(&self) -> Result<Output> {
        self.form()?;
        Output::create(self.output.as_deref().unwrap_or(Path::new("-")), self.force)
    }

    /// What lists are written in by column.
    fn form(&self) -> Result<Option<TableForm>> {
        match (self.format, &self.output) {
            (None, Some(path)) => TableForm::of(path),
            _ => Ok(None),
        }
    }

    /// Whether lists appear on the terminal as they are made: a bar between them is no help.
    pub(super) fn on_terminal(&self) -> bool {
        self.output.is_none() && io::stdout().is_terminal()
    }
}

impl Listing {
    /// Begins with the header, where the format has one.
    pub(super) fn new(args: &Args, out: Output, columns: Columns) -> Result<Listing> {
        let format = args.format.unwrap_or(match args.on_terminal() {
            true => Format::Table,
            false => Format::Csv,
        });
        #[cfg(feature = "parquet")]
        if let (Some(form), Some(path)) = (args.form()?, &args.output) {
            let kind = |name: &str| match name {
                "rank" => Cells::Count,
                "score" | "model_score" | "base" | "rest" => Cells::Single,
                name if name.starts_with("part_") => Cells::Single,
                _ => Cells::Text,
            };
            let named = columns.header().into_iter().map(|name| (kind(&name), name));
            let cells: Vec<_> = named.map(|(kind, name)| (name, kind)).collect();
            let table = TableWriter::new(&path.display().to_string(), out, form, &cells)?;
            let out = Out::Table(Box::new(table));
            return Ok(Self { out, format, columns, buffer: Vec::new(), lists: 0, entries: 0 });
        }
        let out = Out::Lines(Box::new(out));
        let mut listing =
            Listing { out, format, columns, buffer: Vec::new(), lists: 0, entries: 0 };
        if format == Format::Csv {
            let header = listing.columns.header();
            write_record(&mut listing.buffer, header.iter().map(String::as_str))?;
        }
        Ok(listing)
    }

    /// Adds the list of `id`, whose own title is `title`, best first.
    pub(super) fn add(&mut self, id: &str, title: &str, entries: &[Entry]) -> Result<()> {
        #[cfg(feature = "parquet")]
        if let Out::Table(table) = &mut self.out {
            self.lists += 1;
            self.entries += entries.len() as u64;
            let rows = entries.iter().enumerate();
            return rows
                .map(|(at, entry)| self.columns.cells(id, at, entry))
                .try_for_each(|row| table.write(row));
        }
        match self.format {
            Format::Csv => self.csv(id, entries)?,
            Format::Jsonl => self.json(id, entries)?,
            Format::Table => self.table(id, title, entries),
        }
        self.lists += 1;
        self.entries += entries.len() as u64;
        if self.buffer.len() >= 1 << 18 || self.format == Format::Table {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Finishes the output: lists and entries written.
    pub(super) fn finish(mut self) -> Result<(u64, u64)> {
        self.flush()?;
        match self.out {
            Out::Lines(out) => out.commit()?,
            #[cfg(feature = "parquet")]
            Out::Table(table) => table.finish()?.commit()?,
        }
        Ok((self.lists, self.entries))
    }

    fn flush(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let out = match &mut self.out {
            Out::Lines(out) => out,
            #[cfg(feature = "parquet")]
            Out::Table(_) => return Ok(()),
        };
        Output::write(out, |sink| {
            sink.write_all(&buffer)?;
            // A reader that went away is noticed before more is computed for nobody.
            sink.flush()
        })
    }

    fn csv(&mut self, id: &str, entries: &[Entry]) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.buffer);
        let mut record = csv::StringRecord::new();
        for (at, entry) in entries.iter().enumerate() {
            record.clear();
            record.push_field(id);
            record.push_field(&(at + 1).to_string());
            record.push_field(entry.id);
            record.push_field(&number(entry.score));
            if self.columns.titles {
                record.push_field(entry.title);
            }
            if let (Some(shown), Some(reason)) = (self.columns.parts, &entry.reason) {
                if self.columns.own_unit {
                    record.push_field(&number(reason.sum));
                }
                record.push_field(&number(reason.base));
                record.push_field(&number(reason.rest));
                for part in 0..shown {
                    let part = reason.parts.get(part);
                    record.push_field(part.map_or("", |part| part.0));
                    record.push_field(&part.map_or(String::new(), |part| number(part.2)));
                }
            }
            writer.write_record(&record).map_err(in_memory)?;
        }
        writer.flush().map_err(|e| in_memory(e.into()))
    }

    fn json(&mut self, id: &str, entries: &[Entry]) -> Result<()> {
        // The shortest digits that give the single back.
        let single = |x: f64| json!(number(x).parse::<f64>().unwrap_or(x));
        for (at, entry) in entries.iter().enumerate() {
            let mut object = Map::new();
            object.insert(self.columns.of.into(), id.into());
            object.insert("rank".into(), (at + 1).into());
            object.insert(self.columns.entry.into(), entry.id.into());
            object.insert("score".into(), single(entry.score));
            if !entry.title.is_empty() {
                object.insert("title".into(), entry.title.into());
            }
            if let Some(reason) = &entry.reason {
                if self.columns.own_unit {
                    object.insert("model_score".into(), single(reason.sum));
                }
                object.insert("base".into(), single(reason.base));
                let parts = reason.parts.iter().map(|&(id, title, part)| {
                    let mut of = Map::new();
                    of.insert("item".into(), id.into());
                    if !title.is_empty() {
                        of.insert("title".into(), title.into());
                    }
                    of.insert("part".into(), single(part));
                    Value::Object(of)
                });
                object.insert("because".into(), parts.collect());
                object.insert("rest".into(), single(reason.rest));
            }
            serde_json::to_writer(&mut self.buffer, &object)
                .map_err(|e| Error::data(format!("cannot be written as JSON: {e}")))?;
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    fn table(&mut self, id: &str, title: &str, entries: &[Entry]) {
        let columns = &self.columns;
        let mut text = String::new();
        if self.lists > 0 {
            text.push('\n');
        }
        text += &format!("{} {}", columns.of, shown(id));
        if !title.is_empty() {
            text += &format!("  {}", shown(title));
        }
        text.push('\n');
        if entries.is_empty() {
            text += "  (nothing is left to list)\n";
        }
        let ids: Vec<String> = entries.iter().map(|entry| shown(entry.id)).collect();
        let scores: Vec<String> = entries.iter().map(|e| figure(e.score, 4)).collect();
        let widest = |texts: &[String], name: &str| {
            texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(name.len())
        };
        let (wide_id, wide_score) = (widest(&ids, columns.entry), widest(&scores, columns.score));
        if !entries.is_empty() {
            let heading = format!(
                "{:>5}  {:>wide_score$}  {:<wide_id$}  {}",
                "rank",
                columns.score,
                columns.entry,
                if columns.titles { "title" } else { "" }
            );
            text += heading.trim_end();
            text.push('\n');
        }
        for (at, entry) in entries.iter().enumerate() {
            let line = format!(
                "{:>5}  {:>wide_score$}  {:<wide_id$}  {}",
                at + 1,
                scores[at],
                ids[at],
                shown(entry.title)
            );
            text += line.trim_end();
            text.push('\n');
            if let Some(reason) = &entry.reason {
                text += &because(reason, columns.own_unit);
            }
        }
        self.buffer.extend_from_slice(text.as_bytes());
    }
}

/// The line of a table that explains a score.
fn because(reason: &Reason, own_unit: bool) -> String {
    let mut line = "       because".to_owned();
    for (at, (id, title, part)) in reason.parts.iter().enumerate() {
        let name = if title.is_empty() { id } else { title };
        let comma = if at > 0 { "," } else { "" };
        line += &format!("{comma} {} {}", shown(name), signed(*part));
    }
    let (rest, base) = (signed(reason.rest), figure(reason.base, 4));
    line += &format!("; other ratings {rest}, without any {base}");
    if own_unit {
        let score = figure(reason.sum, 4);
        line += &format!(", in the transformed unit, in which the score is {score}");
    }
    line.push('\n');
    line
}

/// A part of a sum.
fn signed(part: f64) -> String {
    let plus = if part < 0.0 { "" } else { "+" };
    format!("{plus}{}", figure(part, 4))
}

fn write_record<'a>(buffer: &mut Vec<u8>, record: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut writer = csv::Writer::from_writer(buffer);
    writer.write_record(record).map_err(in_memory)?;
    writer.flush().map_err(|e| in_memory(e.into()))
}

fn in_memory(error: csv::Error) -> Error {
    Error::data(format!("cannot be written as CSV: {error}"))
}

/// Says which ids the model does not know and that they are skipped; with `strict` they are an
/// error, and so they are where nothing else is left.
pub(super) fn skip_unknown(unknown: &[String], all: usize, what: &str, strict: bool) -> Result<()> {
    if unknown.is_empty() {
        return Ok(());
    }
    let text = some_of(unknown, all, &format!("{what} are not in the model"));
    if strict {
        return Err(Error::data(format!("{} (--strict)", escaped(&text))));
    }
    if unknown.len() == all {
        let text = escaped(&text);
        return Err(Error::data(format!("{text}; are the ids of the same kind as in training?")));
    }
    say!("{text}; skipped");
    Ok(())
}
