//! Tables `id,bias,f0,f1,...`: `users`, `items`, and the mean in `global_mean`, as CSV or TSV.
//!
//! Quoted by RFC 4180 with either delimiter, so any id text survives.

use super::{Rows, number, sides};
use crate::Result;
use crate::files::write_file;
use crate::model::Model;
use std::io::Write;
use std::path::Path;

pub(super) const CSV_FILES: &[&str] = &["global_mean.csv", "items.csv", "users.csv"];
pub(super) const TSV_FILES: &[&str] = &["global_mean.tsv", "items.tsv", "users.tsv"];

pub(super) fn write(
    model: &Model,
    dir: &Path,
    delimiter: u8,
    ending: &str,
    progress: &Rows,
) -> Result<()> {
    for side in sides(model) {
        write_file(&dir.join(format!("{}.{ending}", side.name)), |out| {
            let mut csv = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
            csv.write_field("id")?;
            csv.write_field("bias")?;
            for f in 0..side.k {
                csv.write_field(format!("f{f}"))?;
            }
            csv.write_record(None::<&[u8]>)?;
            let mut text = Vec::new();
            for (row, id) in side.ids.iter().enumerate() {
                csv.write_field(id)?;
                for &x in [side.bias[row]].iter().chain(side.row(row)) {
                    text.clear();
                    write!(text, "{}", number(x))?;
                    csv.write_field(&text)?;
                }
                csv.write_record(None::<&[u8]>)?;
                progress.done(row);
            }
            csv.flush()
        })?;
    }
    write_file(&dir.join(format!("global_mean.{ending}")), |out| {
        writeln!(out, "global_mean\n{}", number(model.factors.global_mean))
    })
}
