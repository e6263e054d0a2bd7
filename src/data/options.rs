//! How a rating file is to be read: one struct for the command line and for the library.

use super::encoding::Encoding;
use super::reading::Reading;
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
    /// Column of what each rating counts, a name of the header or a 1-based position; it may be that of the
    /// ratings.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(skip)]
    pub weights: Option<String>,
    /// What separates the fields: `,` `;` `|` `::` `tab` `space` (any run of blanks) or another
    /// single character. Default: recognised
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub delimiter: Option<Delimiter>,
    /// Whether the first line names the columns
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Header::Auto))]
    pub header: Header,
    /// `triples` has one rating a line; `grouped` has a user followed by its items; `json` has an
    /// object or an array a line; `matrix-market` has rows, columns and values of a sparse matrix; `parquet`
    /// and `arrow` are tables that are kept by column
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Format::Auto))]
    pub format: Format,
    /// Whether fields may stand in quotes. By default they do where they begin and end with one, and
    /// between tabs and bars only where a file plainly quotes; between blanks only with `yes`
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = Quotes::Auto))]
    pub quotes: Quotes,
    /// How bytes are characters: `utf-8`, `latin1`, `windows-1252`, `utf-16le`, `shift_jis` or another label of
    /// the WHATWG Encoding Standard. Default: recognised
    #[cfg_attr(feature = "cli", arg(long, value_name = "LABEL"))]
    pub encoding: Option<Encoding>,
    /// What separates whole numbers from fractions in ratings: `.` or `,`
    #[cfg_attr(feature = "cli", arg(long, value_name = "MARK", default_value_t = Decimal::Point))]
    pub decimal: Decimal,
    /// What becomes of lines that cannot be read: an error, or they are passed over, counted, and the
    /// first ones shown (but no more than half of a file)
    #[cfg_attr(feature = "cli", arg(long, value_enum, default_value_t = BadRows::Error))]
    pub bad_rows: BadRows,
    /// A value that is no rating (as 0 for "not rated"): lines that have it are left out; repeatable
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", allow_negative_numbers = true))]
    pub drop_value: Vec<f32>,
    /// Leave out ratings below this
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", allow_negative_numbers = true))]
    pub min_rating: Option<f32>,
    /// Leave out ratings above this
    #[cfg_attr(feature = "cli", arg(long, value_name = "X", allow_negative_numbers = true))]
    pub max_rating: Option<f32>,
    /// How a file was read that these belong to: what the other options leave open is read alike, where
    /// the file can be, and what comes of it is told as a note of the progress.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(skip)]
    pub like: Option<Box<Reading>>,
    /// Names of the fields that are meant though they are as by default, as `header` of [`Header::Auto`]: what
    /// [`like`](Self::like) remembers does not take their place.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(skip)]
    pub meant: Vec<&'static str>,
}

impl ReadOptions {
    /// The fields that a default may stand for.
    pub const WITH_DEFAULTS: [&'static str; 5] =
        ["header", "format", "quotes", "decimal", "bad_rows"];

    /// Whether a field is meant as it is, by what it holds or by name.
    pub(super) fn means(&self, field: &str) -> bool {
        self.meant.contains(&field)
    }

    /// Whether ratings are left out by their value.
    pub(super) fn filters(&self) -> bool {
        !self.drop_value.is_empty() || self.min_rating.is_some() || self.max_rating.is_some()
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// Bounds of ratings that are not finite or leave nothing, values to drop that are not finite.
    pub fn check(&self) -> Result<()> {
        let bounds = [("`min_rating`", self.min_rating), ("`max_rating`", self.max_rating)];
        let values = self.drop_value.iter().map(|&value| ("`drop_value`", Some(value)));
        for (name, value) in bounds.into_iter().chain(values) {
            if value.is_some_and(|value| !value.is_finite()) {
                return Err(Error::settings(format!("{name} must be a finite number")));
            }
        }
        if let (Some(least), Some(most)) = (self.min_rating, self.max_rating)
            && least > most
        {
            let message = format!("`min_rating` {least} is above `max_rating` {most}");
            return Err(Error::settings(message));
        }
        Ok(())
    }
}

/// What becomes of lines that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum BadRows {
    /// The first ends the reading.
    #[default]
    Error,
    /// They are passed over and counted.
    Skip,
}

/// What separates whole numbers from fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decimal {
    /// `4.5`
    #[default]
    Point,
    /// `4,5`
    Comma,
}

impl FromStr for Decimal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "." | "point" => Ok(Decimal::Point),
            "," | "comma" => Ok(Decimal::Comma),
            _ => Err(Error::settings("a decimal mark is \".\" or \",\"")),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Decimal::Point { "." } else { "," })
    }
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
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Decided by content.
    #[default]
    Auto,
    /// One rating: a user, an item, and perhaps a value and a timestamp.
    Triples,
    /// A user and then each of its items, all rated 1.
    Grouped,
    /// One rating: an object with named values, or an array.
    Json,
    /// A sparse matrix in NIST's exchange format: a row (user), a column (item), and perhaps a value.
    MatrixMarket,
    /// A row of a table in Apache Parquet.
    Parquet,
    /// A row of a table in an Arrow file (Feather's second version is one) or stream.
    Arrow,
}

impl Format {
    /// The name of a format that keeps tables by column.
    pub(super) fn is_by_column(self) -> Option<&'static str> {
        match self {
            Format::Parquet => Some("Parquet"),
            Format::Arrow => Some("Arrow"),
            _ => None,
        }
    }
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
    /// What stands between two fields that are written.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Delimiter::Byte(byte) => std::slice::from_ref(byte),
            Delimiter::DoubleColon => b"::",
            Delimiter::Blanks => b" ",
        }
    }

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

    /// The byte between fields that may be quoted; nothing where none is. Between blanks they are only where
    /// that was said.
    pub(super) fn between_quoted(self, quotes: Quotes) -> Option<u8> {
        match (self, quotes) {
            (_, Quotes::No) | (Delimiter::DoubleColon, _) => None,
            (Delimiter::Byte(byte), _) => Some(byte),
            (Delimiter::Blanks, quotes) => (quotes == Quotes::Yes).then_some(b' '),
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
