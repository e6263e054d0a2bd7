//! How training files were read: what a model's record keeps, so that files that belong to it are read alike.

use super::alike;
use super::names::Role;
use super::{DataOptions, Duplicates, FileForm, Format, ReadOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How training files were read, in [`DataFacts`](super::DataFacts) and so in a model's `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reading {
    /// What the file was taken for; of several, the first.
    pub form: FileForm,
    /// Whether another of several files was taken for something else.
    #[serde(default)]
    pub others_differ: bool,
    /// What was asked for; the rest was recognised.
    #[serde(default)]
    pub asked: ReadOptions,
    /// What became of several ratings of one pair.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// What was left out then and is not now, since the command line says what is.
    #[serde(skip)]
    pub(super) replaced: Vec<String>,
}

/// Where the facts of a model's data keep it.
pub(crate) const KEY: &str = "reading";

impl Reading {
    /// Nothing where there is no file.
    pub(super) fn new(forms: &[FileForm], options: &DataOptions) -> Option<Self> {
        let (form, others) = forms.split_first()?;
        let how = |form: &FileForm| {
            (form.format, form.delimiter, form.quotes, form.header.clone(), form.columns)
        };
        let DataOptions { read, duplicates, .. } = options;
        // What was read alike was asked for then.
        let before = read.like.as_ref().and_then(|like| like.asked.columns.clone());
        let told = alike::told(read);
        Some(Self {
            form: form.clone(),
            others_differ: others.iter().any(|other| how(other) != how(form)),
            asked: ReadOptions {
                columns: read.columns.clone().or(before),
                like: None,
                meant: Vec::new(),
                ..told
            },
            duplicates: *duplicates,
            replaced: Vec::new(),
        })
    }

    /// The one in the facts about a model's data; models from before there was one have none.
    ///
    /// # Errors
    /// What is there and is none.
    pub(crate) fn of_facts(data: &Value) -> Result<Option<Self>, String> {
        let value = &data[KEY];
        if value.is_null() {
            return Ok(None);
        }
        let wrong = |what: String| format!("its data: {KEY}: {what}");
        let reading = Self::deserialize(value).map_err(|e| wrong(e.to_string()))?;
        let [user, item, ..] = reading.form.columns;
        let format = reading.form.format;
        let table = format == Format::Triples || format.is_by_column().is_some();
        if table && (user.is_none() || item.is_none()) {
            return Err(wrong("it names no column of users or of items".into()));
        }
        Ok(Some(reading))
    }

    /// The name of a role's column, where the file had names.
    pub(super) fn name(&self, role: Role) -> Option<&str> {
        self.form.column_name(role as usize)
    }
}
