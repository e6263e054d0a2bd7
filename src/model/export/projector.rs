//! TensorBoard's embedding projector: `users_vectors.tsv`, `users_metadata.tsv` and the same of the
//! items, with `projector_config.pbtxt` (TensorBoard's `--logdir`) and `projector_config.json` (the
//! page at projector.tensorflow.org).
//!
//! Vectors have no header. Metadata has several columns (`id`, `ratings`, `bias`) and so a header;
//! with one column the projector would take a header for a label. The page trims and splits lines
//! and knows no quotes: in ids a tab, line end or backslash is written `\t`, `\n`, `\r`, `\\`, and
//! an id of blanks only gets quotes.

use super::{Rows, number, sides};
use crate::files::write_file;
use crate::model::Model;
use crate::{Error, Result};
use serde_json::json;
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

pub(super) const FILES: &[&str] = &[
    "global_mean.tsv",
    "items_metadata.tsv",
    "items_vectors.tsv",
    "projector_config.json",
    "projector_config.pbtxt",
    "users_metadata.tsv",
    "users_vectors.tsv",
];

pub(super) fn write(model: &Model, dir: &Path, progress: &Rows) -> Result<()> {
    if model.factors.factors == 0 {
        return Err(Error::data("a model without factors has no vectors; export it as csv"));
    }
    let mut pbtxt = String::new();
    let mut embeddings = Vec::new();
    for side in sides(model) {
        let (vectors, metadata) =
            (format!("{}_vectors.tsv", side.name), format!("{}_metadata.tsv", side.name));
        write_file(&dir.join(&vectors), |out| {
            for row in 0..side.ids.len() {
                let mut separator = "";
                for &x in side.row(row) {
                    write!(out, "{separator}{}", number(x))?;
                    separator = "\t";
                }
                writeln!(out)?;
                progress.done(row);
            }
            Ok(())
        })?;
        write_file(&dir.join(&metadata), |out| {
            writeln!(out, "id\tratings\tbias")?;
            for (row, id) in side.ids.iter().enumerate() {
                let (ratings, bias) = (side.ratings[row], number(side.bias[row]));
                writeln!(out, "{}\t{ratings}\t{bias}", label(id))?;
            }
            Ok(())
        })?;
        let name = side.name;
        pbtxt += &format!(
            "embeddings {{\n  tensor_name: \"{name}\"\n  tensor_path: \"{vectors}\"\n  \
             metadata_path: \"{metadata}\"\n}}\n"
        );
        embeddings.push(json!({
            "tensorName": name,
            "tensorShape": [side.ids.len(), side.k],
            "tensorPath": vectors,
            "metadataPath": metadata,
        }));
    }
    write_file(&dir.join("projector_config.pbtxt"), |out| out.write_all(pbtxt.as_bytes()))?;
    write_file(&dir.join("projector_config.json"), |out| {
        serde_json::to_writer_pretty(&mut *out, &json!({ "embeddings": embeddings }))?;
        out.write_all(b"\n")
    })?;
    write_file(&dir.join("global_mean.tsv"), |out| {
        writeln!(out, "global_mean\n{}", number(model.factors.global_mean))
    })
}

/// An id as one field of the metadata.
fn label(id: &str) -> Cow<'_, str> {
    if id.trim().is_empty() {
        return format!("\"{}\"", escape(id)).into();
    }
    escape(id)
}

fn escape(id: &str) -> Cow<'_, str> {
    if !id.contains(['\\', '\t', '\n', '\r']) {
        return Cow::Borrowed(id);
    }
    let mut text = String::with_capacity(id.len() + 2);
    for c in id.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_one_field_that_trimming_leaves() {
        let labels = ["", "  ", "a b", "a\tb\nc\\d\r"].map(label);
        assert_eq!(labels, ["\"\"", "\"  \"", "a b", "a\\tb\\nc\\\\d\\r"]);
    }
}
