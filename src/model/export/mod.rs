//! Embeddings for other programs: one format a file, one arm of [`Format`].

mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod pgvector;
mod projector;
mod safetensors;
mod table;
mod word2vec;

use super::{Model, id_file};
use crate::Result;
use crate::core::{Ids, Side};
use crate::files::{Kind, ensure_room, whole};
use crate::progress::Progress;
use std::path::Path;

/// What the embeddings are written for. Every format holds factors, biases, the mean and the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Format {
    /// NumPy arrays: numpy.load; training can start from them (`init`)
    #[cfg_attr(
        feature = "cli",
        value(help = "NumPy arrays: numpy.load; wgmf train --init reads them too")
    )]
    Npy,
    /// Tables id,bias,f0,f1,...: pandas, R, spreadsheets, databases
    Csv,
    /// The same tables with tabs
    Tsv,
    /// Tensors for PyTorch, JAX and other frameworks
    Safetensors,
    /// Text vectors for gensim's KeyedVectors; blanks in ids become "_" (users.csv maps them back)
    Word2vec,
    /// Vectors and metadata for TensorBoard's embedding projector
    Projector,
    /// Tables for PostgreSQL with pgvector, whose inner product ranks as the model does: psql --file
    Pgvector,
    /// Tables id,bias,factors in Apache Parquet, the factors one list: DuckDB, polars, pandas, Spark
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Npy => "npy",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Safetensors => "safetensors",
            Format::Word2vec => "word2vec",
            Format::Projector => "projector",
            Format::Pgvector => "pgvector",
            #[cfg(feature = "parquet")]
            Format::Parquet => "parquet",
        }
    }

    /// The files of an export, in alphabetical order.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Format::Npy => npy::FILES,
            Format::Csv => table::CSV_FILES,
            Format::Tsv => table::TSV_FILES,
            Format::Safetensors => safetensors::FILES,
            Format::Word2vec => word2vec::FILES,
            Format::Projector => projector::FILES,
            Format::Pgvector => pgvector::FILES,
            #[cfg(feature = "parquet")]
            Format::Parquet => parquet::FILES,
        }
    }

    /// The least that a number takes: four bytes, or `0.0` and what parts it from the next.
    const NUMBER_BYTES: u64 = 4;

    fn owns(self, name: &str) -> bool {
        self.files().contains(&name)
    }
}

/// Writes the embeddings of `model` into the directory `output`: all of its files, or none.
///
/// An earlier export of the same format is replaced only with `overwrite`; a file, or a directory
/// that holds anything else, never.
///
/// # Errors
/// As [`Model::check`]; a place that holds something else, cannot be written or has no room; ids that the
/// format cannot hold.
pub fn export(
    model: &Model,
    format: Format,
    output: impl AsRef<Path>,
    overwrite: bool,
    progress: &dyn Progress,
) -> Result<()> {
    model.check()?;
    let what = format!("an export to {}", format.name());
    let kind = Kind { what: &what, owns: &|name| format.owns(name) };
    let rows = (model.users.len() + model.items.len()) as u64;
    let numbers = rows * model.factors.factors as u64;
    ensure_room(output.as_ref(), numbers * Format::NUMBER_BYTES, &what)?;
    let progress = Rows { progress };
    whole::write_directory(output.as_ref(), overwrite, &kind, |dir| {
        progress.progress.start("exporting", Some(rows), "rows");
        let written = match format {
            Format::Npy => npy::write(model, dir),
            Format::Csv => table::write(model, dir, b',', "csv", &progress),
            Format::Tsv => table::write(model, dir, b'\t', "tsv", &progress),
            Format::Safetensors => safetensors::write(model, dir),
            Format::Word2vec => word2vec::write(model, dir, &progress),
            Format::Projector => projector::write(model, dir, &progress),
            Format::Pgvector => pgvector::write(model, dir, &progress),
            #[cfg(feature = "parquet")]
            Format::Parquet => parquet::write(model, dir, &progress),
        };
        progress.progress.finish();
        written
    })
}

/// Counts rows for the progress, not each of them.
struct Rows<'a> {
    progress: &'a dyn Progress,
}

impl Rows<'_> {
    fn done(&self, row: usize) {
        const STEP: usize = 4096;
        if row % STEP == STEP - 1 {
            self.progress.advance(STEP as u64);
        }
    }
}

/// Users or items, with all there is to write about them.
struct Labelled<'a> {
    /// `users` or `items`.
    name: &'static str,
    ids: &'a Ids,
    ratings: &'a [u32],
    /// (rows)
    bias: &'a [f32],
    /// (rows, k), row-major
    factors: &'a [f32],
    k: usize,
}

impl Labelled<'_> {
    fn row(&self, row: usize) -> &[f32] {
        &self.factors[row * self.k..][..self.k]
    }
}

fn sides(model: &Model) -> [Labelled<'_>; 2] {
    let f = &model.factors;
    [
        Labelled {
            name: "users",
            ids: &model.users,
            ratings: &model.user_ratings,
            bias: &f[Side::User].bias,
            factors: &f[Side::User].factors,
            k: f.factors,
        },
        Labelled {
            name: "items",
            ids: &model.items,
            ratings: &model.item_ratings,
            bias: &f[Side::Item].bias,
            factors: &f[Side::Item].factors,
            k: f.factors,
        },
    ]
}

/// `users.csv` and `items.csv` as in the model directory.
fn write_ids(model: &Model, dir: &Path) -> Result<()> {
    for side in sides(model) {
        id_file::write(&dir.join(format!("{}.csv", side.name)), side.ids, side.ratings)?;
    }
    Ok(())
}

/// A number whose text is the shortest that reads back the same, with an exponent where that is
/// shorter.
struct Number(f32);

fn number(x: f32) -> Number {
    Number(x)
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}
