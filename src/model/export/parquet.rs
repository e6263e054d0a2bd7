//! Tables in Apache Parquet: `users` and `items`, a row an id, with its factors as one list of a fixed length.
//!
//! The mean and what the model is stand in the metadata of the schema, under names that begin with `wgmf.`.

use super::{Labelled, Rows, sides};
use crate::Result;
use crate::files::{table, write_file};
use crate::model::Model;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::schema::types::ColumnPath;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub(super) const FILES: &[&str] = &["items.parquet", "users.parquet"];

/// Rows that are written together.
const BATCH: usize = 4096;

pub(super) fn write(model: &Model, dir: &Path, progress: &Rows) -> Result<()> {
    let about = HashMap::from([
        ("wgmf.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("wgmf.solver".to_owned(), model.objective.solver.name().to_owned()),
        ("wgmf.global_mean".to_owned(), model.factors.global_mean.to_string()),
        (
            "wgmf.score".to_owned(),
            "global_mean + user bias + item bias + inner product of factors".to_owned(),
        ),
    ]);
    for side in sides(model) {
        let mut fields = vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("bias", DataType::Float32, false),
        ];
        if side.k > 0 {
            fields.push(Field::new("factors", list(side.k), false));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, about.clone()));
        write_file(&dir.join(format!("{}.parquet", side.name)), |out| {
            // No two factors are alike, so that a dictionary of them would be made for nothing.
            let column = ColumnPath::from(["factors", "list", "item"].map(str::to_owned).to_vec());
            let properties = table::properties().set_column_dictionary_enabled(column, false);
            let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties.build()))
                .map_err(table::of_parquet)?;
            for start in (0..side.ids.len()).step_by(BATCH) {
                let rows = start..side.ids.len().min(start + BATCH);
                let batch = batch(&side, rows.clone(), &schema).map_err(table::of_arrow)?;
                writer.write(&batch).map_err(table::of_parquet)?;
                rows.for_each(|row| progress.done(row));
            }
            writer.close().map(|_| ()).map_err(table::of_parquet)
        })?;
    }
    Ok(())
}

/// A list of so many factors.
fn list(factors: usize) -> DataType {
    DataType::FixedSizeList(Arc::new(factor()), factors as i32)
}

fn factor() -> Field {
    Field::new("item", DataType::Float32, false)
}

fn batch(
    side: &Labelled<'_>,
    rows: Range<usize>,
    schema: &Arc<Schema>,
) -> Result<RecordBatch, ArrowError> {
    let ids = side.ids.iter().skip(rows.start).take(rows.len());
    let bias = side.bias[rows.clone()].to_vec();
    let mut arrays: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from_iter_values(ids)), Arc::new(Float32Array::from(bias))];
    if side.k > 0 {
        let factors = side.factors[rows.start * side.k..rows.end * side.k].to_vec();
        let factors = Arc::new(Float32Array::from(factors));
        let factors =
            FixedSizeListArray::try_new(Arc::new(factor()), side.k as i32, factors, None)?;
        arrays.push(Arc::new(factors));
    }
    RecordBatch::try_new(schema.clone(), arrays)
}
