//! A model on a page, and for other programs.

use super::Model;
use crate::dataset::Dataset;
use crate::error;
use crate::work;
use pyo3::prelude::*;
use std::path::PathBuf;
use wgmf::evaluate::Relevance;

impl Model {
    /// Writes the model on a page of HTML; `titles`: of each item, empty of those that have none.
    pub(super) fn write_report(
        &self,
        py: Python<'_>,
        path: PathBuf,
        name: String,
        test: Option<&Dataset>,
        relevant_from: Option<f32>,
        titles: Vec<String>,
    ) -> PyResult<()> {
        let title = |item: u32| titles.get(item as usize).cloned().unwrap_or_default();
        let relevance = relevant_from.map(Relevance::From);
        let set = test.map(Dataset::set);
        work::work(py, None, None, |_| {
            let mut out = wgmf::files::Output::create(&path, true)?;
            let page = self.trained.report(&name, set.as_deref(), relevance, &title)?;
            out.write(|to| std::io::Write::write_all(to, page.as_bytes()))?;
            out.commit()
        })
    }

    /// Writes embeddings for other programs.
    pub(super) fn write_export(
        &self,
        py: Python<'_>,
        path: PathBuf,
        format: &str,
        force: bool,
    ) -> PyResult<()> {
        let format = serde_format(format)?;
        let model = self.trained.model();
        work::work(py, None, None, |_| wgmf::model::export(model, format, &path, force, &()))
    }
}

/// A format of exports by name.
fn serde_format(name: &str) -> PyResult<wgmf::model::Format> {
    use wgmf::model::Format::*;
    Ok(match name {
        "npy" => Npy,
        "csv" => Csv,
        "tsv" => Tsv,
        "safetensors" => Safetensors,
        "word2vec" => Word2vec,
        "projector" => Projector,
        "pgvector" => Pgvector,
        _ => {
            return Err(error::settings(format!(
                "`format` does not take {name:?}; give npy, csv, tsv, safetensors, word2vec, projector or pgvector"
            )));
        }
    })
}
