//! Names for people: a file that says what each id is called.

use super::names::normalised;
use super::options::Delimiter;
use super::text_table::{Reading, TextTable, decode};
use crate::core::{Ids, Side, escaped};
use crate::{Error, Result};
use std::path::Path;

/// How a file of titles is read; the default recognises it by content.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TitlesOptions {
    /// What separates the fields of the titles file: `,` `;` `|` `::` `tab` `space` or another
    /// single character. Default: recognised
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT", requires = "titles"))]
    pub titles_delimiter: Option<Delimiter>,
    /// Columns of id and title in the titles file: names of its header or 1-based positions.
    /// Default: by the header's names, else 1,2
    #[cfg_attr(feature = "cli", arg(long, value_name = "ID,TITLE", requires = "titles"))]
    pub titles_columns: Option<String>,
}

/// Names of columns that hold a title, the surest first.
const NAMES: [&str; 14] = [
    "title",
    "name",
    "itemname",
    "movietitle",
    "movie",
    "artist",
    "artistname",
    "track",
    "trackname",
    "song",
    "booktitle",
    "productname",
    "label",
    "description",
];

/// What the rows of one side are called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Titles {
    /// (rows); empty where the file has none.
    titles: Vec<String>,
    /// One line for people of what was recognised.
    pub recognised: String,
}

impl Titles {
    /// Reads the titles of `ids`, which are those of one `side` of a model. MovieLens' `movies.csv`,
    /// `movies.dat` and `u.item`, Last.fm's `artists.dat` and the like are recognised by the reading
    /// that finds the most known ids. Bytes that are not UTF-8 are taken for Latin-1. Of
    /// several titles of an id the first counts.
    ///
    /// # Errors
    /// A file that cannot be read, holds no known id, or lacks a column that was asked for.
    pub fn read(path: &Path, options: &TitlesOptions, ids: &Ids, side: Side) -> Result<Titles> {
        let table = TextTable::open(path, "a table of ids and titles")?;
        let mut reading = table.recognise(ids, side, options.titles_delimiter, false);
        let first = table.first(reading.delimiter);
        let title = match &options.titles_columns {
            Some(text) => follow(&table, &mut reading, text, first.len())?,
            None => title_column(&reading, first.len()),
        };
        let mut titles = vec![String::new(); ids.len()];
        let (mut records, mut strange) = (0_usize, None);
        table.each(&reading, |record| {
            records += 1;
            let id = decode(record.get(reading.id).copied().unwrap_or_default());
            match ids.get(&id).or_else(|| ids.get(id.trim())) {
                Some(row) if titles[row as usize].is_empty() => {
                    let text = decode(record.get(title).copied().unwrap_or_default());
                    titles[row as usize] = unquoted(text.trim()).to_owned();
                }
                Some(_) => {}
                None => strange = strange.take().or(Some(id.trim().to_owned())),
            }
        });
        let form = format!(
            "{}, id in column {} and title in column {}",
            reading.describe(),
            column_name(&reading, reading.id),
            column_name(&reading, title)
        );
        if titles.iter().all(String::is_empty) {
            let found = match strange {
                Some(id) => format!(
                    "has no title of any {} of the model (its first id is \"{}\")",
                    side.name(),
                    super::layout::shorten(id.as_bytes())
                ),
                None => "has no title".to_owned(),
            };
            let message = format!(
                "{found}; it was read as {form}; its first line is \"{}\"; use `titles_delimiter` \
                 or `titles_columns` if that is wrong",
                table.first_line()
            );
            return Err(Error::file(&table.name, message));
        }
        let named = titles.iter().filter(|title| !title.is_empty()).count();
        let recognised =
            format!("{}: {form}; titles of {named} of {} {}s", table.name, ids.len(), side.name());
        Ok(Titles { titles, recognised })
    }

    /// The title of a row; empty where the file has none.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn title(&self, row: u32) -> &str {
        &self.titles[row as usize]
    }

    /// How many rows have a title.
    pub fn named(&self) -> usize {
        self.titles.iter().filter(|title| !title.is_empty()).count()
    }
}

/// The column of titles where nothing was asked for.
fn title_column(reading: &Reading, fields: usize) -> usize {
    let named = reading.header.as_ref().and_then(|header| {
        let header: Vec<String> = header.iter().map(|name| normalised(name)).collect();
        NAMES.iter().find_map(|name| {
            header.iter().enumerate().position(|(at, h)| h == name && at != reading.id)
        })
    });
    named.unwrap_or_else(|| (0..fields).find(|&at| at != reading.id).unwrap_or(0))
}

/// Follows `titles_columns`: sets the column of ids, gives that of titles.
fn follow(table: &TextTable, reading: &mut Reading, text: &str, fields: usize) -> Result<usize> {
    let usage = |what: &str| {
        Error::settings(format!(
            "`titles_columns` \"{}\" {what}; give names or 1-based positions as id,title",
            escaped(text)
        ))
    };
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    let &[id, title] = names.as_slice() else {
        return Err(usage("does not name two columns"));
    };
    let by_name = |name: &str| name.parse::<usize>().is_err();
    if reading.header.is_none() && (by_name(id) || by_name(title)) {
        // Named columns need a header, whatever its names.
        reading.header = Some(table.first(reading.delimiter));
    }
    let column = |name: &str| {
        reading.column(name, fields).ok_or_else(|| {
            let there = table.first(reading.delimiter).join(", ");
            let message = format!(
                "`titles_columns`: there is no column \"{}\" (read as {}; there are {fields}: {})",
                escaped(name),
                reading.describe(),
                super::layout::shorten(there.as_bytes())
            );
            Error::file(&table.name, message)
        })
    };
    let (id, title) = (column(id)?, column(title)?);
    if id == title {
        return Err(usage("names a column twice"));
    }
    reading.id = id;
    Ok(title)
}

fn column_name(reading: &Reading, column: usize) -> String {
    let name = reading.header.as_ref().and_then(|header| header.get(column));
    name.map_or_else(|| (column + 1).to_string(), |name| format!("\"{name}\""))
}

/// A field that is quoted as a whole, without its quotes.
fn unquoted(text: &str) -> &str {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if !inner.contains('"') => inner,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], options: &TitlesOptions) -> Result<Titles> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let ids: Ids = ["1", "2", "73"].into_iter().collect();
        Titles::read(file.path(), options, &ids, Side::Item)
    }

    fn titles(bytes: &[u8]) -> [String; 3] {
        let titles = read(bytes, &TitlesOptions::default()).unwrap();
        [0, 1, 2].map(|row| titles.title(row).to_owned())
    }

    #[test]
    fn the_usual_files_are_recognised() {
        let want = ["Toy Story (1995)", "Jumanji, or: not", "Misérables, Les"].map(String::from);
        let files: [&[u8]; 9] = [
            b"movieId,title,genres\r\n1,Toy Story (1995),A|B\r\n2,\"Jumanji, or: not\",A\r\n73,\"Mis\xc3\xa9rables, Les\",B\r\n",
            b"1::Toy Story (1995)::A|B\n2::Jumanji, or: not::A\n73::Mis\xe9rables, Les::B\n",
            b"1|Toy Story (1995)|01-Jan-1995||http://x|0|1\n2|Jumanji, or: not|||x|0|0\n73|Mis\xe9rables, Les|||x|0|0\n",
            b"id\tname\turl\n1\tToy Story (1995)\tu\n2\tJumanji, or: not\tu\n73\tMis\xe9rables, Les\tu\n",
            b"\xef\xbb\xbfid;year;title\n1;1995;Toy Story (1995)\n2;1995;Jumanji, or: not\n73;1;Mis\xc3\xa9rables, Les",
            b"title,item\nToy Story (1995),1\n\"Jumanji, or: not\",2\n\"Mis\xc3\xa9rables, Les\",73\n",
            b"1\tToy Story (1995)\n2\tJumanji, or: not\n\n73\tMis\xc3\xa9rables, Les\n99\tother\n",
            b"1\tToy Story (1995)\n2\t\"Jumanji, or: not\"\n73\tMis\xc3\xa9rables, Les\n1\tagain\n",
            b"99::nobody\n1::Toy Story (1995)\n2::Jumanji, or: not\n73::Mis\xe9rables, Les\n",
        ];
        for file in files {
            assert_eq!(titles(file), want, "{}", String::from_utf8_lossy(file));
        }
        // Quotes inside a title stay, as in "Weird Al" Yankovic.
        let file = b"id\tname\n1\t\"Weird Al\" Yankovic\n";
        assert_eq!(titles(file), ["\"Weird Al\" Yankovic", "", ""]);
    }

    #[test]
    fn columns_and_delimiter_can_be_told() {
        let file = b"no#title#key\n7#Toy#1\n8#Jumanji#2\n";
        let options = |delimiter: &str, columns: &str| TitlesOptions {
            titles_delimiter: Some(delimiter.parse().unwrap()),
            titles_columns: Some(columns.to_owned()),
        };
        for columns in ["key,title", "3,2", "KEY, Title"] {
            let titles = read(file, &options("#", columns)).unwrap();
            assert_eq!([0, 1, 2].map(|row| titles.title(row)), ["Toy", "Jumanji", ""]);
            assert_eq!(titles.named(), 2);
        }
        let error = |columns| read(file, &options("#", columns)).unwrap_err().to_string();
        assert!(error("key").contains("two columns"));
        assert!(error("2,2").contains("twice"));
        assert!(error("key,label").contains("no column \"label\""));
        assert!(error("1,9").contains("no column \"9\""));
        let none = read(file, &TitlesOptions::default()).unwrap_err().to_string();
        for part in ["any item of the model", "no#title#key", "`titles_delimiter`"] {
            assert!(none.contains(part), "{none}");
        }
    }
}
