//! What a file looks like: its delimiter, its header, its columns; recognised from its first lines.

use super::fields;
use super::form::{self, Doubt};
use super::names::{Role, normalised};
use super::options::{Delimiter, Format, Header, Quotes, ReadOptions};
use crate::{Error, Result};

/// How many lines are looked at.
const SAMPLE: usize = 200;
/// Candidates, the surest first.
const CANDIDATES: [Delimiter; 6] = [
    Delimiter::DoubleColon,
    Delimiter::Byte(b'\t'),
    Delimiter::Byte(b','),
    Delimiter::Byte(b';'),
    Delimiter::Byte(b'|'),
    Delimiter::Blanks,
];

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
    /// The role of each column up to the last that is needed; 4 is none.
    pub slots: Vec<u8>,
    /// How many fields the first line has.
    pub fields: usize,
    /// Whether the timestamp was asked for, so that one that cannot be read is an error.
    pub needs_time: bool,
    /// Whether fields may be quoted.
    pub quotes: Quotes,
    /// What of all this is a guess.
    pub doubts: Vec<Doubt>,
}

impl Layout {
    /// Recognises the file `name` by `head`, its first lines.
    pub(crate) fn recognise(name: &str, head: &[u8], options: &ReadOptions) -> Result<Self> {
        let lines = sample_lines(head);
        let Some(&(first_line, first)) = lines.first() else {
            return Err(Error::file(name, "holds no ratings (it is empty)"));
        };
        if first.contains(&0) {
            let message = "is not text (it begins with NUL bytes); give a table of ratings, \
                           such as CSV, plain or compressed by gzip or zstd";
            return Err(Error::file(name, message));
        }
        let grouped = options.format == Format::Grouped;
        let delimiter = match options.delimiter {
            Some(delimiter) => delimiter,
            None => detect(&lines, head, grouped).ok_or_else(|| {
                let line = shorten(first);
                Error::line(
                    name,
                    first_line,
                    format!("cannot tell what separates the fields of \"{line}\"; use `delimiter`"),
                )
            })?,
        };
        let records = records(delimiter, &lines, head);
        let trims = delimiter.quotes()
            && delimiter != Delimiter::Byte(b'\t')
            && records.iter().all(|r| r.iter().skip(1).all(|f| f.starts_with(' ')))
            && records.iter().any(|r| r.len() > 1);
        let mut layout = Layout {
            delimiter,
            trims,
            header: None,
            format: options.format,
            columns: [Some(0), Some(1), None, None],
            slots: Vec::new(),
            fields: records.first().map_or(0, Vec::len),
            needs_time: false,
            quotes: if delimiter.quotes() { Quotes::Auto } else { Quotes::No },
            doubts: Vec::new(),
        };
        let records: Vec<Vec<String>> = records
            .into_iter()
            .map(|r| r.into_iter().map(|f| f.trim().to_owned()).collect())
            .collect();
        let failure = |message: String| Error::line(name, first_line, message);
        layout.find_columns(&records, options).map_err(|error| match error {
            Problem::Line(message) => failure(message),
            Problem::Settings(message) => Error::settings(message),
        })?;
        layout.doubts = form::doubts(&layout, options);
        let last = layout.columns.iter().flatten().max().map_or(0, |&last| last + 1);
        layout.slots = vec![4; last];
        for (slot, column) in layout.columns.iter().enumerate() {
            if let Some(column) = *column {
                layout.slots[column] = slot as u8;
            }
        }
        Ok(layout)
    }

    fn find_columns(&mut self, records: &[Vec<String>], options: &ReadOptions) -> Outcome<()> {
        let first: &[String] = records.first().map_or(&[], Vec::as_slice);
        if self.format == Format::Grouped {
            if options.columns.is_some() {
                let message = "`columns` means nothing with `format` grouped";
                return Err(Problem::Settings(message.into()));
            }
            self.header = (options.header == Header::Yes).then(|| first.to_vec());
            return Ok(());
        }
        if let Some(columns) = &options.columns {
            return self.follow(columns, records, options.header);
        }
        let header = match options.header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => looks_like_header(records, 2),
        };
        if first.len() < 2 {
            return Err(Problem::Line(format!(
                "\"{}\" is a single field where a user and an item are needed; use `delimiter`",
                shorten(first.first().map_or("", String::as_str).as_bytes())
            )));
        }
        if header {
            self.columns = by_name(first, records)?;
            self.header = Some(first.to_vec());
        } else {
            self.columns = [0, 1, 2, 3].map(|column| (column < first.len()).then_some(column));
        }
        Ok(())
    }

    /// Follows `columns`.
    fn follow(&mut self, text: &str, records: &[Vec<String>], header: Header) -> Outcome<()> {
        let first: &[String] = records.first().map_or(&[], Vec::as_slice);
        let wanted: Vec<&str> = text.split(',').map(str::trim).collect();
        let usage = |what: &str| {
            Problem::Settings(format!(
                "`columns` \"{text}\" {what}; give names or 1-based positions as \
                 user,item[,rating[,timestamp]]"
            ))
        };
        if !(2..=4).contains(&wanted.len()) {
            return Err(usage("does not name two to four columns"));
        }
        let position = |name: &str| name.parse::<usize>().ok();
        let skipped = |slot: usize| slot >= 2 && matches!(wanted[slot], "-" | "");
        let named = (0..wanted.len()).any(|s| !skipped(s) && position(wanted[s]).is_none());
        if named && header == Header::No {
            return Err(usage("has names, but `header` no says that there are none"));
        }
        let mut columns = [None; 4];
        for slot in (0..wanted.len()).filter(|&slot| !skipped(slot)) {
            let name = wanted[slot];
            let column = match position(name) {
                Some(0) => return Err(usage("has position 0")),
                Some(position) if position > first.len() => {
                    return Err(Problem::Line(format!(
                        "has {} fields; `columns` asks for column {position}",
                        first.len()
                    )));
                }
                Some(position) => position - 1,
                None => {
                    let exact = first.iter().position(|field| field == name);
                    let near = || {
                        let name = normalised(name);
                        first.iter().position(|field| normalised(field) == name)
                    };
                    exact.or_else(near).ok_or_else(|| {
                        Problem::Line(format!(
                            "no column is called \"{name}\" (there are {})",
                            shorten(first.join(", ").as_bytes())
                        ))
                    })?
                }
            };
            if columns.contains(&Some(column)) {
                return Err(usage("names a column twice"));
            }
            columns[slot] = Some(column);
        }
        self.columns = columns;
        self.needs_time = columns[3].is_some();
        let header = match header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => named || looks_like_header(records, columns[2].unwrap_or(usize::MAX)),
        };
        self.header = header.then(|| first.to_vec());
        Ok(())
    }

    /// Whether the file has a column of this role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.columns[role as usize].is_some()
    }

    /// How messages call the column of a role.
    pub(crate) fn column_name(&self, role: Role) -> String {
        match (&self.header, self.columns[role as usize]) {
            (Some(header), Some(column)) if column < header.len() => header[column].clone(),
            (None, Some(column)) if self.format == Format::Triples => {
                format!("{} ({})", column + 1, role.word())
            }
            _ => role.word().to_owned(),
        }
    }

    /// One line for people: delimiter, header, columns.
    pub(crate) fn describe(&self) -> String {
        let form = match self.format {
            Format::Grouped => return format!("{}, grouped by user", self.delimiter.describe()),
            Format::Triples => self.delimiter.describe(),
        };
        let roles = Role::ALL.into_iter().filter(|&role| self.has(role));
        match &self.header {
            Some(header) => {
                let names =
                    roles.map(|role| header[self.columns[role as usize].unwrap_or(0)].as_str());
                format!("{form}, header, columns {}", names.collect::<Vec<_>>().join(","))
            }
            None => {
                let names = roles.map(|role| {
                    format!("{}={}", self.columns[role as usize].unwrap_or(0) + 1, role.word())
                });
                format!("{form}, no header, columns {}", names.collect::<Vec<_>>().join(","))
            }
        }
    }
}

enum Problem {
    Line(String),
    Settings(String),
}

type Outcome<T> = std::result::Result<T, Problem>;

/// The start of a line that is too long to be shown whole.
pub(super) fn shorten(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(240)]);
    let shown = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let mut short: String = text.chars().take(60).map(shown).collect();
    if text.chars().nth(60).is_some() || line.len() > 240 {
        short.push('…');
    }
    short
}

/// The first lines that are not blank, with their numbers from 1.
fn sample_lines(head: &[u8]) -> Vec<(u64, &[u8])> {
    let lines = head.split(|&b| b == b'\n').map(fields::without_return);
    let numbered = (1..).zip(lines);
    numbered.filter(|(_, line)| !line.trim_ascii().is_empty()).take(SAMPLE + 1).collect()
}

/// The first records as text; quotes are respected where the delimiter has them.
fn records(delimiter: Delimiter, lines: &[(u64, &[u8])], head: &[u8]) -> Vec<Vec<String>> {
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    match delimiter {
        Delimiter::Byte(byte) if lines.iter().any(|(_, line)| line.contains(&b'"')) => {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(byte)
                .from_reader(head);
            let records = reader.byte_records().map_while(|record| record.ok());
            let records = records.filter(|r| r.iter().any(|f| !f.trim_ascii().is_empty()));
            records.take(SAMPLE).map(|record| record.iter().map(text).collect()).collect()
        }
        _ => {
            let cut = |line| fields::all(delimiter, line).into_iter().map(text).collect();
            lines.iter().take(SAMPLE).map(|&(_, line)| cut(line)).collect()
        }
    }
}

/// The delimiter that cuts all lines into the same number of fields: `::` or a tab if they do, else
/// that with the most fields; else one that cuts every line into two at least. Blanks are the last resort, since ids
/// may contain them.
fn detect(lines: &[(u64, &[u8])], head: &[u8], grouped: bool) -> Option<Delimiter> {
    let counts = CANDIDATES.map(|delimiter| {
        let records = records(delimiter, lines, head);
        let counts = records.iter().map(Vec::len);
        (delimiter, counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0), records.len())
    });
    let (blanks, others) = counts.split_last()?;
    if grouped {
        let cuts = others.iter().find(|c| c.2 > 1);
        return cuts.or(Some(blanks)).map(|c| c.0);
    }
    let even = |c: &&(Delimiter, usize, usize, usize)| c.1 >= 2 && c.1 == c.2;
    let most = |best: (Delimiter, usize), c: &(Delimiter, usize, usize, usize)| {
        if c.1 > best.1 { (c.0, c.1) } else { best }
    };
    // Nobody writes `::` or a tab inside an id.
    if let Some(sure) = others[..2].iter().find(even) {
        return Some(sure.0);
    }
    let none = (Delimiter::Blanks, 1);
    let mut best = others.iter().filter(even).fold(none, most);
    if best.1 < 2 && even(&blanks) {
        best = (blanks.0, blanks.1);
    }
    if best.1 < 2 {
        best = counts.iter().fold(none, most);
    }
    if best.1 < 2 {
        // Some line is short: then the delimiter of the first line, so that the error names it.
        let first = |d: Delimiter| fields::all(d, lines[0].1).len();
        best = CANDIDATES.iter().map(|&d| (d, first(d))).find(|c| c.1 >= 2)?;
    }
    Some(best.0)
}

fn is_number(field: &str) -> bool {
    fields::number(field.as_bytes()).is_some()
}

/// A header has known names, or text above a column of numbers.
fn looks_like_header(records: &[Vec<String>], rating: usize) -> bool {
    let Some((first, rest)) = records.split_first() else { return false };
    let known = |role: Role| role.find(first).is_some();
    if known(Role::User) && known(Role::Item) {
        return true;
    }
    let numbers_below = |column: usize| {
        !rest.is_empty() && rest.iter().all(|r| r.get(column).is_some_and(|f| is_number(f)))
    };
    if first.len() <= rating {
        // Without a rating column ids are all there is: only plainly numeric ones tell.
        return (0..first.len()).all(|c| !is_number(&first[c]) && numbers_below(c));
    }
    !is_number(&first[rating]) && numbers_below(rating)
}

/// The columns by the names of the header; by position if it has none that is known.
fn by_name(header: &[String], records: &[Vec<String>]) -> Outcome<[Option<usize>; 4]> {
    let mut columns = Role::ALL.map(|role| role.find(header));
    if columns[0].is_none() && columns[1].is_none() {
        return Ok([0, 1, 2, 3].map(|column| (column < header.len()).then_some(column)));
    }
    let free = |columns: &[Option<usize>; 4]| -> Vec<usize> {
        (0..header.len()).filter(|&column| !columns.contains(&Some(column))).collect()
    };
    for role in [Role::User, Role::Item] {
        if columns[role as usize].is_some() {
            continue;
        }
        // The one column left, or the one left that is called an id.
        let left = free(&columns);
        let ids: Vec<usize> =
            left.iter().copied().filter(|&c| normalised(&header[c]).ends_with("id")).collect();
        columns[role as usize] = match (left.as_slice(), ids.as_slice()) {
            (&[only], _) | (_, &[only]) => Some(only),
            _ => {
                return Err(Problem::Line(format!(
                    "cannot tell which column is the {} (there are {}); use `columns`",
                    role.word(),
                    shorten(header.join(", ").as_bytes())
                )));
            }
        };
    }
    let numbers = |column: usize| {
        records.len() > 1
            && records[1..].iter().all(|r| r.get(column).is_some_and(|field| is_number(field)))
    };
    if columns[2].is_none()
        && columns[..2] == [Some(0), Some(1)]
        && free(&columns) == [2]
        && numbers(2)
    {
        columns[2] = Some(2);
    }
    Ok(columns)
}
