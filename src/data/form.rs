//! What a file was taken for, for whoever reads another file alike or wants to see what was guessed.

use super::layout::Layout;
use super::names::Role;
use super::options::{Delimiter, Format, Header, Quotes, ReadOptions};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

/// What a rating file was taken for: all that decides how its bytes become ratings, whether it was
/// asked for or recognised, and what of it is a guess.
///
/// [`FileForm::options`] gives the options under which another file is read alike with nothing left
/// to guess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileForm {
    /// The file as the user named it (`-` for standard input).
    pub file: String,
    /// `gzip`, `zstd`, or nothing.
    pub compression: Option<String>,
    /// How bytes become characters: the label of the WHATWG Encoding Standard, such as `utf-8` or
    /// `windows-1252`.
    pub encoding: String,
    /// One rating a line, a user and its items, ...; never "recognise it".
    pub format: Format,
    /// What separates the fields of a line; means nothing for JSON lines.
    pub delimiter: Delimiter,
    /// Whether fields may be quoted: [`Quotes::Auto`] is "where a field begins and ends with a quote",
    /// [`Quotes::Yes`] that one that begins with a quote has to be closed.
    pub quotes: Quotes,
    /// The names of the columns, where the file has them; the keys of JSON lines.
    pub header: Option<Vec<String>>,
    /// How many fields the first line has.
    pub fields: usize,
    /// The columns of user, item, rating and timestamp, counted from 0. Without the third each rating
    /// is 1.
    #[serde(deserialize_with = "columns")]
    pub columns: [Option<usize>; 4],
    /// How many ratings were taken.
    pub ratings: usize,
    /// What could have been read otherwise, the most doubtful first; empty where the file leaves no
    /// doubt.
    pub doubts: Vec<Doubt>,
}

/// Something that was assumed of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Doubt {
    /// What was assumed, for people; names settings in backticks.
    pub what: String,
    /// The field of [`ReadOptions`] that settles it.
    pub option: String,
}

/// Columns that a line can have: a record of a file may come from anywhere.
fn columns<'de, D: Deserializer<'de>>(from: D) -> Result<[Option<usize>; 4], D::Error> {
    const MOST: usize = u32::MAX as usize;
    let columns = <[Option<usize>; 4]>::deserialize(from)?;
    match columns.iter().flatten().find(|&&column| column >= MOST) {
        Some(column) => Err(D::Error::custom(format!("column {column} is one that no line has"))),
        None => Ok(columns),
    }
}

impl FileForm {
    pub(super) fn new(
        file: &str,
        compression: Option<&str>,
        encoding: &str,
        layout: &Layout,
        ratings: usize,
    ) -> Self {
        FileForm {
            file: file.to_owned(),
            compression: compression.map(str::to_owned),
            encoding: encoding.to_owned(),
            format: layout.format,
            delimiter: layout.delimiter,
            quotes: layout.quotes,
            header: layout.header.clone(),
            fields: layout.fields,
            columns: layout.columns,
            ratings,
            doubts: layout.doubts.clone(),
        }
    }

    /// The options that say all of this, on top of `asked`: columns by position, or by key where the
    /// file is one of JSON.
    pub fn options(&self, asked: &ReadOptions) -> ReadOptions {
        let text = matches!(self.format, Format::Triples | Format::Grouped);
        let columns = (self.format != Format::Grouped).then(|| {
            let last = self.columns.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
            let one = |role: usize| match (self.columns[role], self.column_name(role)) {
                (None, _) => "-".to_owned(),
                (Some(_), Some(name)) if self.format == Format::Json => name.to_owned(),
                (Some(at), _) => (at + 1).to_string(),
            };
            (0..last).map(one).collect::<Vec<_>>().join(",")
        });
        let header = match (text, &self.header) {
            (false, _) => Header::Auto,
            (true, Some(_)) => Header::Yes,
            (true, None) => Header::No,
        };
        ReadOptions {
            columns,
            delimiter: text.then_some(self.delimiter),
            header,
            format: self.format,
            quotes: if text { self.quotes } else { asked.quotes },
            encoding: self.encoding.parse().ok().or(asked.encoding),
            ..asked.clone()
        }
    }

    /// The name of the column that holds the users' ids (0), the items' (1), the ratings (2) or the
    /// timestamps (3), where the file has a header.
    pub fn column_name(&self, role: usize) -> Option<&str> {
        self.header.as_ref()?.get((*self.columns.get(role)?)?).map(String::as_str)
    }
}

impl Doubt {
    pub(super) fn new(option: &str, what: impl Into<String>) -> Self {
        Doubt { what: what.into(), option: option.to_owned() }
    }
}

/// What of a layout is a guess.
pub(super) fn doubts(layout: &Layout, options: &ReadOptions) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if !matches!(layout.format, Format::Triples | Format::Json | Format::Parquet | Format::Arrow)
        || options.columns.is_some()
    {
        return doubts;
    }
    if let Some(header) = &layout.header {
        if Role::User.find(header).is_none() && Role::Item.find(header).is_none() {
            let what = "columns taken by position, since no name is known (`columns` names others)";
            doubts.push(Doubt::new("columns", what));
        }
        if layout.columns[2].is_none() {
            let what = "no column of ratings, so that each line counts 1 (`columns` names one)";
            doubts.push(Doubt::new("columns", what));
        }
    }
    doubts
}
