//! What a file looks like: its delimiter, its header, its columns; recognised from its first lines.

use super::doubtful;
use super::form::{self, Doubt};
use super::guess;
use super::json;
use super::market::{self, Market};
use super::names::Role;
use super::options::{BadRows, Decimal, Delimiter, Format, Header, Quotes, ReadOptions};
use crate::core::escaped;
use crate::{Error, Result};

/// What is known of a file before it is parsed.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// What separates fields.
    pub delimiter: Delimiter,
    /// Whether blanks after a delimiter are no part of the field.
    pub trims: bool,
    /// The names of the columns, where the first line has them.
    pub header: Option<Vec<String>>,
    /// One rating a line, or a user and its items.
    pub format: Format,
    /// The column of each role, in the order of [`Role::ALL`].
    pub columns: [Option<usize>; 4],
    /// The column of what each rating counts, where `weights` names one.
    pub weights: Option<usize>,
    /// The role of each column up to the last that is needed; 4 is none, [`WEIGHT`] that of weights.
    pub slots: Vec<u8>,
    /// How many fields the first line has.
    pub fields: usize,
    /// Whether the timestamp was asked for, so that one that cannot be read is an error.
    pub needs_time: bool,
    /// Whether fields may be quoted.
    pub quotes: Quotes,
    /// What of all this is a guess.
    pub doubts: Vec<Doubt>,
    /// How many lines that are not blank come before the first rating.
    pub skip: u64,
    /// Whether ratings have a comma for the point.
    pub decimal_comma: bool,
    /// Whether lines that cannot be read are passed over.
    pub skips_bad: bool,
    /// The ratings that are left out by their value.
    pub filter: Option<Filter>,
    /// What the head of a Matrix Market file says.
    pub market: Option<Market>,
}

/// The slot of weights: behind the one that nobody reads.
pub(super) const WEIGHT: u8 = 5;

/// Ratings that are left out by their value.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    values: Vec<f32>,
    least: f32,
    most: f32,
}

impl Filter {
    pub(super) fn drops(&self, value: f32) -> bool {
        value < self.least || value > self.most || self.values.contains(&value)
    }
}

/// What a file is recognised by.
#[cfg_attr(not(feature = "parquet"), expect(dead_code, reason = "there is text alone then"))]
pub(crate) enum Head<'a> {
    /// Its first lines.
    Text(&'a [u8]),
    /// What its columns are, of a file that says so itself.
    Columns(&'a Columns),
}

/// A table that is kept by column.
pub(crate) struct Columns {
    /// What it is kept in.
    pub format: Format,
    /// Their names.
    pub names: Vec<String>,
    /// The first rows as text.
    pub records: Vec<Vec<String>>,
    /// What each of them holds of which no cell is a field of a line.
    pub unreadable: Vec<Option<String>>,
}

impl Layout {
    /// Recognises the file `name` by its head.
    pub(crate) fn recognise(name: &str, head: &Head<'_>, options: &ReadOptions) -> Result<Self> {
        let head = match head {
            Head::Text(head) => head,
            Head::Columns(columns) => {
                return Self::columns(columns, options)
                    .and_then(|layout| layout.complete(options).map_err(Problem::Line))
                    .map_err(|error| match error {
                        Problem::Line(message) | Problem::At(_, message) => {
                            Error::file(name, message)
                        }
                        Problem::Settings(message) => Error::settings(message),
                    });
            }
        };
        let lines = guess::sample_lines(head);
        let Some(&(first_line, _)) = lines.first() else {
            return Err(Error::file(name, "holds no ratings (it is empty)"));
        };
        let found = match options.format {
            Format::MatrixMarket => Self::market(&lines, options),
            Format::Auto if market::is_banner(lines[0].1) => Self::market(&lines, options),
            Format::Json => Self::json(&lines, options),
            Format::Parquet | Format::Arrow => {
                let what = options.format.is_by_column().unwrap_or_default();
                return Err(Error::file(name, format!("is no {what} file; leave `format` out")));
            }
            Format::Auto if json::begins(lines[0].1) => Self::json(&lines, options),
            Format::Auto | Format::Triples | Format::Grouped => Self::text(&lines, options),
        };
        let layout = found.map_err(|error| match error {
            Problem::Line(message) => Error::line(name, first_line, message),
            Problem::At(line, message) => Error::line(name, line, message),
            Problem::Settings(message) => Error::settings(message),
        })?;
        layout.complete(options).map_err(|message| Error::line(name, first_line, message))
    }

    /// Finds what follows from the columns.
    fn complete(mut self, options: &ReadOptions) -> Result<Self, String> {
        self.find_weights(options)?;
        let doubts = form::doubts(&self, options);
        let layout = &mut self;
        layout.doubts.extend(doubts);
        if options.columns.is_none() && !layout.has_lists() {
            layout.doubt_names();
        }
        let needed = layout.columns.iter().chain([&layout.weights]).flatten();
        let last = needed.max().map_or(0, |&last| last + 1);
        layout.slots = vec![4; last];
        for (slot, column) in layout.columns.iter().enumerate() {
            if let Some(column) = *column {
                layout.slots[column] = slot as u8;
            }
        }
        // Ratings that are the weights are read as those.
        if let Some(column) = layout.weights {
            layout.slots[column] = WEIGHT;
        }
        Ok(self)
    }

    /// Of which nothing is known yet.
    fn unknown(format: Format, options: &ReadOptions) -> Self {
        Layout {
            delimiter: Delimiter::Byte(b','),
            trims: false,
            header: None,
            format,
            columns: [Some(0), Some(1), None, None],
            weights: None,
            slots: Vec::new(),
            fields: 0,
            needs_time: false,
            quotes: Quotes::No,
            doubts: Vec::new(),
            skip: 0,
            decimal_comma: options.decimal == Decimal::Comma,
            skips_bad: options.bad_rows == BadRows::Skip,
            filter: options.filters().then(|| Filter {
                values: options.drop_value.clone(),
                least: options.min_rating.unwrap_or(f32::NEG_INFINITY),
                most: options.max_rating.unwrap_or(f32::INFINITY),
            }),
            market: None,
        }
    }

    /// Text with a delimiter.
    fn text(mut lines: &[(u64, &[u8])], options: &ReadOptions) -> Outcome<Self> {
        let mut layout = Self::unknown(Format::Triples, options);
        if options.format == Format::Grouped {
            layout.format = Format::Grouped;
        }
        let mut named = None;
        if options.delimiter.is_none() && lines.len() > 1 {
            named = guess::named_delimiter(lines[0].1);
            layout.skip += u64::from(named.is_some());
            lines = &lines[usize::from(named.is_some())..];
        }
        let remarks = guess::remarks(lines);
        let remark = remarks.checked_sub(1).map(|last| lines[last].1);
        layout.skip += remarks as u64;
        lines = &lines[remarks..];
        let (first_line, first) = lines[0];
        let grouped = layout.format == Format::Grouped;
        let delimiter = options.delimiter.or(named);
        layout.delimiter = delimiter
            .or_else(|| guess::detect(lines, options.quotes, grouped))
            .ok_or_else(|| {
                let line = shorten(first);
                let message = "cannot tell what separates the fields of";
                Problem::At(first_line, format!("{message} \"{line}\"; use `delimiter`"))
            })?;
        if delimiter.is_none() {
            layout.doubts.extend(doubtful::rival(lines, layout.delimiter, options));
        }
        layout.quotes = guess::quotes(layout.delimiter, lines, options.quotes);
        let mut records = guess::records(layout.delimiter, layout.quotes, lines);
        if options.quotes == Quotes::Yes && layout.delimiter == Delimiter::DoubleColon {
            let message = "`quotes` yes means nothing between \"::\"; leave it out";
            return Err(Problem::Settings(message.into()));
        }
        let blanks = layout.quotes == Quotes::Yes && layout.delimiter == Delimiter::Blanks;
        layout.trims = blanks
            || layout.delimiter.quotes()
                && layout.delimiter != Delimiter::Byte(b'\t')
                && records.iter().all(|r| r.iter().skip(1).all(|f| f.starts_with(' ')))
                && records.iter().any(|r| r.len() > 1);
        if layout.quotes == Quotes::No
            && options.quotes == Quotes::Auto
            && records.iter().flatten().any(|field| field.starts_with('"'))
        {
            let what = "quotes are read as they stand (`quotes` yes takes them off)";
            layout.doubts.push(Doubt::new("quotes", what));
        }
        for field in records.iter_mut().flatten() {
            *field = field.trim().to_owned();
        }
        let at = |error| match error {
            Problem::Line(message) => Problem::At(first_line, message),
            other => other,
        };
        // A header behind a mark, as in "# user item rating".
        if let Some(remark) = remark {
            let text = remark.trim_ascii_start();
            let text = text.get(1..).unwrap_or_default().trim_ascii_start();
            let names = guess::records(layout.delimiter, layout.quotes, &[(first_line, text)]);
            let names: Vec<String> =
                names.into_iter().flatten().map(|name| name.trim().to_owned()).collect();
            let known = |role: Role| role.find(&names).is_some();
            let same = records.first().is_some_and(|record| record.len() == names.len());
            if options.header != Header::No && same && known(Role::User) && known(Role::Item) {
                layout.skip -= 1;
                records.insert(0, names);
            }
        }
        layout.fields = records.first().map_or(0, Vec::len);
        layout.guess_format(&records, options).map_err(at)?;
        layout.find_columns(&records, options).map_err(at)?;
        if layout.header.iter().flatten().any(|name| name.contains('\r')) {
            // What stands behind it may be a rating.
            let message = "the header holds a carriage return; do all lines of the file end alike?";
            return Err(at(Problem::Line(message.into())));
        }
        layout.skip += u64::from(layout.header.is_some());
        layout.doubt_columns(first, &records, options).map_err(at)?;
        Ok(layout)
    }

    /// Recognises users with their items, and lines that are neither that nor ratings.
    fn guess_format(&mut self, records: &[Vec<String>], options: &ReadOptions) -> Outcome<()> {
        let headed = options.header == Header::Yes;
        let records = &records[usize::from(headed).min(records.len())..];
        if options.columns.is_none()
            && (self.has_lists() || !guess::looks_like_header(records, 2))
            && let Some(message) = guess::strange_lines(records, self.has_lists())
        {
            return Err(Problem::Line(message));
        }
        let free = options.format == Format::Auto && options.columns.is_none() && !headed;
        if free && guess::looks_grouped(records) {
            self.format = Format::Grouped;
            let what =
                "lines of different lengths taken for a user and its items (`format` triples)";
            self.doubts.push(Doubt::new("format", what));
        }
        Ok(())
    }

    /// JSON, a value a line.
    fn json(lines: &[(u64, &[u8])], options: &ReadOptions) -> Outcome<Self> {
        let mut layout = Self::unknown(Format::Json, options);
        if options.delimiter.is_some() || options.header != Header::Auto {
            let message = "`delimiter` and `header` mean nothing with JSON lines; leave them out";
            return Err(Problem::Settings(message.into()));
        }
        let found = json::look(lines).map_err(|(line, message)| Problem::At(line, message))?;
        let mut records = found.records;
        match found.keys {
            Some(keys) => {
                layout.fields = keys.len();
                let known = |role: Role| role.find(&keys).is_some();
                if options.columns.is_none() && !known(Role::User) && !known(Role::Item) {
                    return Err(Problem::Line(format!(
                        "cannot tell which key is the user and which the item (there are {}); use \
                         `columns`",
                        shorten(keys.join(", ").as_bytes())
                    )));
                }
                records.insert(0, keys);
                let named = ReadOptions { header: Header::Yes, ..options.clone() };
                layout.find_columns(&records, &named)?;
                if options.columns.is_none() {
                    layout.doubt_values(&records[1..]);
                }
            }
            None => {
                layout.fields = records.first().map_or(0, Vec::len);
                let plain = ReadOptions { header: Header::No, ..options.clone() };
                layout.find_columns(&records, &plain)?;
                layout.doubt_columns(lines[0].1, &records, options)?;
            }
        }
        Ok(layout)
    }

    /// A table that is kept by column: as text with a header is.
    fn columns(found: &Columns, options: &ReadOptions) -> Outcome<Self> {
        let Columns { format, names, records, unreadable } = found;
        let mut layout = Self::unknown(*format, options);
        let what = format.is_by_column().unwrap_or_default();
        if options.delimiter.is_some() || options.header != Header::Auto {
            return Err(Problem::Settings(format!(
                "`delimiter` and `header` mean nothing with {what}; leave them out"
            )));
        }
        if options.format != Format::Auto && options.format != *format {
            return Err(Problem::Line(format!("is {what}; leave `format` out")));
        }
        layout.fields = names.len();
        if names.len() < 2 {
            return Err(Problem::Line(format!(
                "has {}, and a user and an item are needed; is this the table of ratings?",
                match names.first() {
                    Some(name) => format!("a single column, {}", shorten(name.as_bytes())),
                    None => "no column".to_owned(),
                }
            )));
        }
        let rows = [std::slice::from_ref(names), records].concat();
        let named = ReadOptions { header: Header::Yes, ..options.clone() };
        layout.find_columns(&rows, &named)?;
        layout.doubt_columns(names.join(",").as_bytes(), &rows, &named)?;
        for role in Role::ALL {
            let Some(column) = layout.columns[role as usize] else { continue };
            let Some(holds) = unreadable.get(column).and_then(Option::as_ref) else { continue };
            if role == Role::Time && !layout.needs_time {
                // Taken for times by its name or place alone.
                layout.columns[role as usize] = None;
                continue;
            }
            return Err(Problem::Line(format!(
                "column {} holds {holds}, and a {} is one value; name another with `columns` (there are {}), \
                 or write it anew with one value a row",
                shorten(names[column].as_bytes()),
                role.word(),
                shorten_to(names.join(", ").as_bytes(), 200)
            )));
        }
        Ok(layout)
    }

    /// Matrix Market's coordinates.
    fn market(lines: &[(u64, &[u8])], options: &ReadOptions) -> Outcome<Self> {
        let mut layout = Self::unknown(Format::MatrixMarket, options);
        if !market::is_banner(lines[0].1) {
            return Err(Problem::Line("does not begin with %%MatrixMarket".into()));
        }
        if options.delimiter.is_some() || options.header != Header::Auto {
            let message = "`delimiter` and `header` mean nothing with a Matrix Market file";
            return Err(Problem::Settings(message.into()));
        }
        let market = Market::new(lines).map_err(|(line, message)| Problem::At(line, message))?;
        layout.delimiter = Delimiter::Blanks;
        layout.fields = 2 + usize::from(market.values);
        layout.columns[2] = market.values.then_some(2);
        layout.skip = market.skip;
        layout.market = Some(market);
        if let Some(columns) = &options.columns {
            let numbers: Vec<String> = (1..=layout.fields).map(|n| n.to_string()).collect();
            layout.follow(columns, &[numbers], Header::No)?;
        }
        Ok(layout)
    }

    /// Whether lines of both can stand in one file.
    pub(crate) fn is_like(&self, other: &Layout) -> bool {
        (self.format, self.delimiter, &self.header, self.columns)
            == (other.format, other.delimiter, &other.header, other.columns)
    }

    /// Whether the file itself says what it is.
    pub(super) fn says_its_format(&self) -> bool {
        !matches!(self.format, Format::Auto | Format::Triples | Format::Grouped)
    }

    /// Whether its columns have known names of users and items.
    pub(super) fn is_named(&self) -> bool {
        let names = self.header.as_deref().unwrap_or_default();
        !self.has_lists() && [Role::User, Role::Item].iter().all(|role| role.find(names).is_some())
    }

    /// An error of what is at `line`, or in that row, counted from 1.
    pub(super) fn error(&self, name: &str, line: u64, message: String) -> Error {
        match self.format.is_by_column() {
            Some(_) => Error::file(name, format!("row {line}: {message}")),
            None => Error::line(name, line, message),
        }
    }

    /// Whether a line is a user and its items.
    pub(crate) fn has_lists(&self) -> bool {
        self.format == Format::Grouped
    }

    /// Whether the file has a column of this role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.columns[role as usize].is_some()
    }

    /// How messages call the column of a role.
    pub(crate) fn column_name(&self, role: Role) -> String {
        match (&self.header, self.columns[role as usize]) {
            (Some(header), Some(column)) if column < header.len() => {
                escaped(&header[column]).into_owned()
            }
            (None, Some(column)) if self.format == Format::Triples => {
                format!("{} ({})", column + 1, role.word())
            }
            _ => role.word().to_owned(),
        }
    }

    /// One line for people: delimiter, header, columns.
    pub(crate) fn describe(&self) -> String {
        let mut form = match self.format {
            Format::Json => "JSON lines".to_owned(),
            Format::MatrixMarket => {
                return "Matrix Market, rows are users, columns items".to_owned();
            }
            Format::Parquet => "Parquet".to_owned(),
            Format::Arrow => "Arrow".to_owned(),
            Format::Auto | Format::Triples | Format::Grouped => self.delimiter.describe(),
        };
        if self.quotes == Quotes::Yes {
            form += ", quoted";
        }
        if self.has_lists() {
            return form + ", grouped by user";
        }
        let roles = Role::ALL.into_iter().filter(|&role| self.has(role));
        match &self.header {
            Some(header) => {
                let names =
                    roles.map(|role| header[self.columns[role as usize].unwrap_or(0)].as_str());
                let what = match self.format {
                    Format::Json => "keys",
                    Format::Parquet | Format::Arrow => "columns",
                    _ => "header, columns",
                };
                let names = names.collect::<Vec<_>>().join(",");
                format!("{form}, {what} {}", shorten_to(names.as_bytes(), 200))
            }
            None => {
                let names = roles.map(|role| {
                    format!("{}={}", self.columns[role as usize].unwrap_or(0) + 1, role.word())
                });
                let what =
                    if self.format == Format::Json { "arrays" } else { "no header, columns" };
                format!("{form}, {what} {}", names.collect::<Vec<_>>().join(","))
            }
        }
    }
}

pub(super) enum Problem {
    /// Of the first line.
    Line(String),
    At(u64, String),
    Settings(String),
}

pub(super) type Outcome<T> = std::result::Result<T, Problem>;

/// The start of a line that is too long to be shown whole.
pub(super) fn shorten(line: &[u8]) -> String {
    shorten_to(line, 60)
}

fn shorten_to(line: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * most)]);
    let shown = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let short: String = text.chars().take(most).map(shown).collect();
    let mut short = escaped(&short).into_owned();
    if text.chars().nth(most).is_some() || line.len() > 4 * most {
        short.push('…');
    }
    short
}
