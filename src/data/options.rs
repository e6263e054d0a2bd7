//! How a rating file is to be read: one struct for the command line and for the library.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How rating files are read; the default recognises everything by content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(default)]
pub struct ReadOptions {
    /// Columns of user, item, rating and timestamp: names of the header or 1-based positions;
    /// `-` leaves one out. Default: by the header's names, else 1,2,3,4
    #[cfg_attr(feature = "cli", arg(long, value_name = "USER,ITEM[,RATING[,TIME]]"))]
    pub columns: Option<String>,
    /// What separates the fields: `,` `;` `|` `::` `tab` `space` (any run of blanks) or another
    /// single character. Default: recognised
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub delimiter: Option<Delimiter>,
    /// Whether the first line names the columns
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Header::Auto))]
    pub header: Header,
    /// `triples` has one rating a line; `grouped` has a user followed by its items
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Format::Triples))]
    pub format: Format,
}

/// Whether the first line of a file names its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Decided by content.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is data.
    No,
}

/// Whether fields may stand in quotes (RFC 4180).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Quotes {
    /// Decided by content.
    #[default]
    Auto,
    /// They may.
    Yes,
    /// A quote is a character like others.
    No,
}

/// What a line of a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One rating: a user, an item, and perhaps a value and a timestamp.
    #[default]
    Triples,
    /// A user and then each of its items, all rated 1.
    Grouped,
}

/// What separates the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Delimiter {
    /// One ASCII character.
    Byte(u8),
    /// Two colons, as in the MovieLens 1M and 10M sets.
    DoubleColon,
    /// Any run of blanks and tabs; those at the ends of a line do not count.
    Blanks,
}

impl FromStr for Delimiter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.as_bytes()) {
            ("tab" | "\\t" | "\t", _) => Ok(Delimiter::Byte(b'\t')),
            ("comma", _) => Ok(Delimiter::Byte(b',')),
            ("semicolon", _) => Ok(Delimiter::Byte(b';')),
            ("::", _) => Ok(Delimiter::DoubleColon),
            ("space" | "blank" | "blanks" | " ", _) => Ok(Delimiter::Blanks),
            (_, &[byte]) if byte.is_ascii_punctuation() && byte != b'"' => {
                Ok(Delimiter::Byte(byte))
            }
            // The command line has said which text and which option.
            _ => Err(Error::settings(
                "a delimiter is a single punctuation character, \"::\", \"tab\" or \"space\"",
            )),
        }
    }
}

impl fmt::Display for Delimiter {
    /// The text that [`Delimiter::from_str`] accepts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delimiter::Byte(b'\t') => f.write_str("tab"),
            Delimiter::Byte(byte) => write!(f, "{}", char::from(*byte)),
            Delimiter::DoubleColon => f.write_str("::"),
            Delimiter::Blanks => f.write_str("space"),
        }
    }
}

impl Delimiter {
    /// Words for "the file is ...".
    pub(super) fn describe(self) -> String {
        match self {
            Delimiter::Byte(b'\t') => "tab-separated".into(),
            Delimiter::Byte(b',') => "comma-separated".into(),
            Delimiter::Byte(b';') => "semicolon-separated".into(),
            Delimiter::Blanks => "blank-separated".into(),
            other => format!("\"{other}\"-separated"),
        }
    }

    /// Whether RFC 4180 quotes mean something with this delimiter.
    pub(super) fn quotes(self) -> bool {
        matches!(self, Delimiter::Byte(_))
    }
}

impl TryFrom<String> for Delimiter {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Delimiter> for String {
    fn from(delimiter: Delimiter) -> Self {
        delimiter.to_string()
    }
}
