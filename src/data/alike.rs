//! Reading a file as another was read: the test part as the training file, new users' ratings as the old ones'.
//!
//! What the command line says comes first; then what the file itself says beyond doubt, which is a header with
//! the names of before or with known ones; then what was remembered, where the file can be cut that way; and
//! only then what can be recognised of the file alone. Whatever differs from what the file alone looks like, or
//! from what was remembered, is told.

use super::guess;
use super::layout::{Head, Layout, shorten};
use super::names::{Role, normalised};
use super::options::{BadRows, Decimal, Delimiter, Format, Header, Quotes, ReadOptions};
use super::reading::Reading;
use crate::core::escaped;
use crate::{Error, Result};

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Ratings: the column that held them is needed again.
    Ratings,
    /// Pairs of a user and an item.
    Pairs,
}

/// The options, and what was asked for in training where they leave it open: how bytes and numbers are read,
/// which ratings are left out. What of that is taken over stays in `like`, to be told.
pub(crate) fn told(options: &ReadOptions) -> ReadOptions {
    let mut options = options.clone();
    let Some(like) = options.like.as_deref_mut() else { return options };
    let usual = ReadOptions::default();
    let asked = &mut like.asked;
    // Values that are left out add up to people, though the command line's take the place of the others.
    if !options.drop_value.is_empty() {
        let lost = asked.drop_value.iter().filter(|value| !options.drop_value.contains(value));
        like.replaced.extend(lost.map(|value| format!("`drop_value` {value}")));
    }
    for (name, given, asked) in [
        ("min_rating", options.min_rating, asked.min_rating),
        ("max_rating", options.max_rating, asked.max_rating),
    ] {
        if let (Some(given), Some(asked)) = (given, asked)
            && given != asked
        {
            like.replaced.push(format!("`{name}` {asked}"));
        }
    }
    macro_rules! take_over {
        ($($field:ident)*) => {$(
            match options.$field == usual.$field && !options.meant.contains(&stringify!($field)) {
                true => options.$field.clone_from(&asked.$field),
                false => asked.$field = usual.$field.clone(),
            }
        )*};
    }
    take_over!(encoding decimal bad_rows drop_value min_rating max_rating);
    options
}

/// Whether the encoding of options that are [`told`] is one that was asked for in training.
pub(crate) fn remembers_encoding(options: &ReadOptions) -> bool {
    options.like.as_ref().is_some_and(|like| like.asked.encoding.is_some())
}

/// Recognises the file `name` by `head`, as [`Layout::recognise`] does, or like the file that `options` name,
/// which are [`told`]; with what is to be told of it.
pub(crate) fn recognise(
    name: &str,
    head: &Head<'_>,
    options: &ReadOptions,
    need: Need,
) -> Result<(Layout, Option<String>)> {
    let alone = ReadOptions { like: None, ..options.clone() };
    match options.like.as_deref() {
        Some(like) if !(need == Need::Pairs && like.form.format == Format::Grouped) => {
            let file = File { name, head, given: &alone, like, need };
            let (layout, told) = file.recognise()?;
            file.check_rated(&layout)?;
            Ok((layout, told))
        }
        _ => Ok((Layout::recognise(name, head, &alone)?, None)),
    }
}

struct File<'a> {
    name: &'a str,
    head: &'a Head<'a>,
    /// What the command line says.
    given: &'a ReadOptions,
    like: &'a Reading,
    need: Need,
}

impl File<'_> {
    /// Whether the command line leaves it open if there is a header.
    fn leaves_header(&self) -> bool {
        self.given.header == Header::Auto && !self.given.means("header")
    }

    /// Whether it leaves open if fields are quoted.
    fn leaves_quotes(&self) -> bool {
        self.given.quotes == Quotes::Auto && !self.given.means("quotes")
    }

    fn with(&self, options: &ReadOptions) -> Result<Layout> {
        Layout::recognise(self.name, self.head, options)
    }

    fn recognise(&self) -> Result<(Layout, Option<String>)> {
        let alone = self.with(self.given);
        let own = alone.as_ref().ok().cloned();
        let told = |layout: Layout| {
            let told = self.tell(&layout, own.as_ref());
            (layout, told)
        };
        let mut options = self.given.clone();
        if self.leaves_quotes() {
            options.quotes = self.like.asked.quotes;
        }
        let open = options.format == Format::Auto && !self.given.means("format");
        let grouped = self.like.form.format == Format::Grouped;
        if grouped && open && self.given.columns.is_none() && self.leaves_header() {
            // A header that names columns is no user with items, and what says its format is that.
            let other = |own: &Layout| own.is_named() || own.says_its_format();
            if !own.as_ref().is_some_and(other) {
                options.format = Format::Grouped;
                options.header = self.like.asked.header;
            }
        }
        // What says its format, or was asked for, is cut by it; that can be told even of a file whose columns
        // cannot.
        let any =
            || self.with(&ReadOptions { columns: Some("1,2".to_owned()), ..self.given.clone() });
        let kind = own.clone().or_else(|| any().ok());
        let cut = kind.as_ref().is_none_or(|kind| !kind.says_its_format())
            && matches!(options.format, Format::Auto | Format::Triples | Format::Grouped);
        let mut recut = false;
        if cut {
            if let Some(delimiter) = self.delimiter(options.format == Format::Grouped) {
                options.delimiter = Some(delimiter);
            } else if let Some(own) = &own {
                // What is cut otherwise is another table, in which places say nothing.
                options.delimiter = Some(own.delimiter);
                recut = self.given.delimiter.is_none() && own.delimiter != self.like.form.delimiter;
                if own.format == Format::Grouped {
                    return alone.map(told);
                }
            } else if self.given.columns.is_none() && self.given.delimiter.is_none() {
                return alone.map(told);
            }
        }
        if self.leaves_quotes() && options.delimiter == Some(Delimiter::DoubleColon) {
            options.quotes = Quotes::Auto;
        }
        let lists = options.format == Format::Grouped;
        let market = own.as_ref().is_some_and(|own| own.format == Format::MatrixMarket);
        if options.columns.is_none() && !lists && !market {
            options = match self.columns(&options, own.as_ref(), recut)? {
                Some(options) => options,
                None => return alone.map(told),
            };
        }
        let mut layout = self.with(&options)?;
        // A column of times that was only recognised need not hold times.
        layout.needs_time &= self.given.columns.is_some() || self.like.asked.columns.is_some();
        Ok(told(layout))
    }

    /// Refuses lines without ratings where those of training had some: nobody says that they mean 1.
    fn check_rated(&self, layout: &Layout) -> Result<()> {
        let said = self.given.columns.is_some() || self.given.format != Format::Auto;
        let rated = |format: Format, columns: [Option<usize>; 4]| {
            format != Format::Grouped && columns[Role::Rating as usize].is_some()
        };
        let was = rated(self.like.form.format, self.like.form.columns);
        if self.need == Need::Pairs || said || !was || rated(layout.format, layout.columns) {
            return Ok(());
        }
        let message = "has no column of ratings, and the training file had one; add it, or take every line for \
                       a rating of 1 by naming the columns of users and items alone (`columns` 1,2)";
        Err(Error::line(self.name, 1, message))
    }

    /// The remembered delimiter, where it cuts the file.
    fn delimiter(&self, grouped: bool) -> Option<Delimiter> {
        let cut = matches!(self.like.form.format, Format::Triples | Format::Grouped);
        let delimiter =
            (cut && self.given.delimiter.is_none()).then_some(self.like.form.delimiter)?;
        let Head::Text(head) = self.head else { return None };
        let (first, least, most) = guess::counts(delimiter, self.given.quotes, head)?;
        let even = least == most && first >= 2;
        match self.need {
            _ if grouped => (most >= 2).then_some(delimiter),
            Need::Ratings => {
                let as_many = first == self.like.form.fields || self.like.asked.delimiter.is_some();
                (even && as_many).then_some(delimiter)
            }
            Need::Pairs => even.then_some(delimiter),
        }
    }

    /// The options that say where the columns are; nothing where the file alone says it.
    fn columns(
        &self,
        options: &ReadOptions,
        own: Option<&Layout>,
        recut: bool,
    ) -> Result<Option<ReadOptions>> {
        let looked_at = ReadOptions { columns: Some("1,2".to_owned()), ..options.clone() };
        let Ok(looked_at) = self.with(&looked_at) else { return Ok(None) };
        let json = looked_at.format == Format::Json;
        let keyed = json || looked_at.format.is_by_column().is_some();
        let first = match keyed {
            true => looked_at.header,
            false => {
                let columns = Some("1,2".to_owned());
                let named = ReadOptions { columns, header: Header::Yes, ..options.clone() };
                self.with(&named).ok().and_then(|named| named.header)
            }
        };
        let with = |columns: String, header: Header| ReadOptions {
            header: if keyed { options.header } else { header },
            columns: Some(columns),
            ..options.clone()
        };
        if let (true, Some(first)) = (self.given.header != Header::No, &first)
            && let Some(columns) = self.by_name(first)?
        {
            return Ok(Some(with(columns, Header::Yes)));
        }
        if recut || own.is_some_and(Layout::is_named) || json && first.is_some() {
            return Ok(None);
        }
        // Keys of objects and rows of a matrix have no places.
        let places = match self.like.form.format {
            Format::Json => self.like.form.header.is_none(),
            format => format == Format::Triples || format.is_by_column().is_some(),
        };
        let fields = first.map_or(looked_at.fields, |first| first.len());
        let Some(columns) = places.then(|| self.by_position(fields)).transpose()?.flatten() else {
            return Ok(None);
        };
        Ok(Some(with(
            columns,
            match self.leaves_header() && self.like.asked.header == Header::No {
                true => Header::No,
                false => self.given.header,
            },
        )))
    }

    /// The columns by the names that they had, if the first line has those of users and items.
    fn by_name(&self, first: &[String]) -> Result<Option<String>> {
        let position = |role: Role| {
            let name = self.like.name(role)?;
            let near = || first.iter().position(|field| normalised(field) == normalised(name));
            first.iter().position(|field| field == name).or_else(near)
        };
        let [user, item, rating, time] = Role::ALL.map(position);
        let (Some(user), Some(item)) = (user, item) else { return Ok(None) };
        let known = || Role::Rating.find(first);
        let rating = match self.need {
            Need::Pairs => None,
            Need::Ratings => rating.or_else(known).filter(|at| ![user, item].contains(at)),
        };
        let name = self.like.name(Role::Rating);
        if let (Need::Ratings, None, Some(name)) = (self.need, rating, name) {
            let message = format!(
                "no column is called \"{}\", which held the ratings in training (there are {}); use \
                 `columns`",
                escaped(name),
                shorten(first.join(", ").as_bytes())
            );
            return Err(Error::line(self.name, 1, message));
        }
        Ok(Some(text([Some(user), Some(item), rating, time])))
    }

    /// The columns where they were.
    fn by_position(&self, fields: usize) -> Result<Option<String>> {
        let [user, item, rating, time] = self.like.form.columns;
        let fits = |column: Option<usize>| column.filter(|&at| at < fields);
        let asked = self.like.asked.columns.is_some();
        let usual = self.like.form.columns[..2] == [Some(0), Some(1)];
        if self.need == Need::Pairs {
            let pair = match (fits(user), fits(item)) {
                (Some(user), Some(item)) => [Some(user), Some(item)],
                // Nothing but a pair, in the order of before.
                _ if fields == 2 && user < item => [Some(0), Some(1)],
                _ if fields == 2 => [Some(1), Some(0)],
                _ => return Err(self.too_few(fields)),
            };
            return Ok(Some(text([pair[0], pair[1], None, None])));
        }
        if fits(user).is_none() || fits(item).is_none() {
            return Err(self.too_few(fields));
        }
        if rating.is_some() && fits(rating).is_none() && !(usual && fields == 2) {
            return Err(self.too_few(fields));
        }
        // More columns than before are another table, unless they were chosen.
        if !asked && fields > self.like.form.fields && usual {
            return Ok(None);
        }
        Ok(Some(text([user, item, fits(rating), fits(time)])))
    }

    fn too_few(&self, fields: usize) -> Error {
        let [user, item, rating, _] = self.like.form.columns;
        let wanted = match self.need {
            Need::Ratings => text([user, item, rating, None]),
            Need::Pairs => text([user, item, None, None]),
        };
        let message = format!(
            "has {fields} fields; training read the columns {wanted} of {}; name those of this file \
             with `columns`",
            self.like.form.fields
        );
        Error::line(self.name, 1, message)
    }

    /// What is to be told: where the file is not read as it looks, and where not as in training.
    fn tell(&self, layout: &Layout, own: Option<&Layout>) -> Option<String> {
        let told = self.tell_how(layout, own);
        if self.like.replaced.is_empty() || self.need == Need::Pairs {
            return told;
        }
        let replaced = self.like.replaced.join(", ");
        let told = told.unwrap_or_else(|| escaped(self.name).into_owned());
        Some(format!("{told}; without {replaced} of training, which the command line replaces"))
    }

    fn tell_how(&self, layout: &Layout, own: Option<&Layout>) -> Option<String> {
        let parts = self.as_in_training(layout, own);
        let otherwise = if parts.iter().any(|(_, flag)| !flag.is_empty()) {
            None
        } else {
            self.not_as_in_training(layout)
        };
        if let Some(otherwise) = otherwise {
            return Some(format!("{}: {otherwise}", escaped(self.name)));
        }
        let mut parts = parts;
        parts.extend(self.carried());
        if parts.is_empty() {
            return None;
        }
        let what: Vec<&str> = parts.iter().map(|(what, _)| &what[..]).collect();
        let flags: Vec<&str> =
            parts.iter().map(|(_, flag)| *flag).filter(|flag| !flag.is_empty()).collect();
        let says = match flags[..] {
            [] => String::new(),
            [flag] => format!("; {flag} says otherwise"),
            _ => format!("; {} say otherwise", flags.join(", ")),
        };
        Some(format!("{}: read as in training: {}{says}", escaped(self.name), what.join(", ")))
    }

    /// What of the layout is not what the file alone looks like, with the option that settles it.
    fn as_in_training(&self, layout: &Layout, own: Option<&Layout>) -> Vec<(String, &'static str)> {
        let needed = self.needed();
        let columns = |layout: &Layout| match layout.has_lists() {
            true => Vec::new(),
            false => layout.columns[..needed].to_vec(),
        };
        let natural = layout.columns[..needed].iter().flatten().copied().eq(0..needed);
        let header = layout.header.is_some();
        let [format, delimiter, header, moved] = match own {
            Some(own) => [
                layout.format != own.format,
                layout.delimiter != own.delimiter,
                header != own.header.is_some(),
                columns(layout) != columns(own),
            ],
            // It could not be read alone for one of the two.
            None => {
                let delimiter =
                    self.like.asked.delimiter.is_some() && self.given.delimiter.is_none();
                let columns = self.given.columns.is_none() && !(delimiter && natural);
                [layout.has_lists(), delimiter, false, columns]
            }
        };
        let mut parts = Vec::new();
        if format {
            let text = if layout.has_lists() { "grouped by user" } else { "one rating a line" };
            parts.push((text.to_owned(), "`format`"));
        }
        if delimiter {
            parts.push((layout.delimiter.describe(), "`delimiter`"));
        }
        if header {
            let text = if layout.header.is_some() { "header" } else { "no header" };
            parts.push((text.to_owned(), "`header`"));
        }
        if moved && !layout.has_lists() {
            parts.push((format!("columns {}", self.shown(layout)), "`columns`"));
        }
        parts
    }

    /// What was asked for in training and is done again.
    fn carried(&self) -> Vec<(String, &'static str)> {
        let asked = &self.like.asked;
        let mut parts = Vec::new();
        let mut add = |name: &str, value: String| parts.push((format!("`{name}` {value}"), ""));
        if let Some(encoding) = asked.encoding {
            add("encoding", encoding.to_string());
        }
        if asked.quotes != Quotes::Auto && self.leaves_quotes() {
            add("quotes", if asked.quotes == Quotes::Yes { "yes" } else { "no" }.to_owned());
        }
        if asked.bad_rows == BadRows::Skip {
            add("bad_rows", "skip".to_owned());
        }
        if self.need == Need::Ratings {
            if asked.decimal == Decimal::Comma {
                add("decimal", asked.decimal.to_string());
            }
            asked.drop_value.iter().for_each(|value| add("drop_value", value.to_string()));
            for (name, bound) in
                [("min_rating", asked.min_rating), ("max_rating", asked.max_rating)]
            {
                bound.iter().for_each(|bound| add(name, bound.to_string()));
            }
        }
        parts
    }

    /// Where the file is read as it looks, and that is not as in training.
    fn not_as_in_training(&self, layout: &Layout) -> Option<String> {
        let (like, needed) = (self.like, self.needed());
        let fits = |(at, was): (&Option<usize>, Option<usize>)| at.is_none() || *at == was;
        let named = |role: Role| {
            let now = layout.columns[role as usize].map(|at| {
                layout
                    .header
                    .as_ref()
                    .and_then(|header| header.get(at))
                    .map(|name| normalised(name))
            });
            now.is_none_or(|now| like.name(role).is_some_and(|was| Some(normalised(was)) == now))
        };
        // A pair alone has lost what stood between.
        let [user, item, ..] = layout.columns;
        let alone = self.need == Need::Pairs && layout.fields == 2;
        let same = alone && (user < item) == (like.form.columns[0] < like.form.columns[1])
            || layout.columns[..needed].iter().zip(like.form.columns).all(fits)
            || Role::ALL[..needed].iter().all(|&role| named(role));
        let moved = !layout.has_lists() && !same && self.given.columns.is_none();
        // A table by column is the same table in text, if its columns are.
        let by_column = |format: Format| format.is_by_column().is_some();
        let as_table = |format: Format| format == Format::Triples || by_column(format);
        let (one, other) = (layout.format, like.form.format);
        let both = as_table(one) && as_table(other) && (by_column(one) || by_column(other));
        let format = one != other && self.given.format == Format::Auto && !(same && both);
        let delimiter =
            layout.delimiter != like.form.delimiter && self.given.delimiter.is_none() && !both;
        (format || delimiter || moved).then(|| {
            let [user, item, rating, _] = like.form.columns;
            let columns = || format!("columns {}", text([user, item, rating, None]));
            let was = match like.form.format {
                Format::Json => "JSON lines".to_owned(),
                Format::MatrixMarket => "Matrix Market".to_owned(),
                Format::Grouped => format!("{}, grouped by user", like.form.delimiter.describe()),
                Format::Auto | Format::Triples => {
                    format!("{}, {}", like.form.delimiter.describe(), columns())
                }
                Format::Parquet => format!("Parquet, {}", columns()),
                Format::Arrow => format!("Arrow, {}", columns()),
            };
            format!(
                "not read as in training ({was}), but as it looks: {}; `columns` and `delimiter` say \
                 otherwise",
                layout.describe()
            )
        })
    }

    /// How many of the columns matter.
    fn needed(&self) -> usize {
        if self.need == Need::Pairs { 2 } else { 3 }
    }

    /// The columns for people: names where there are some.
    fn shown(&self, layout: &Layout) -> String {
        let columns = layout.columns[..self.needed()].iter().flatten();
        let name = |&at: &usize| match &layout.header {
            Some(header) if at < header.len() => escaped(&header[at]).into_owned(),
            _ => (at + 1).to_string(),
        };
        columns.map(name).collect::<Vec<_>>().join(",")
    }
}

/// Columns from 0 as `columns` takes them.
pub(super) fn text(columns: [Option<usize>; 4]) -> String {
    let last = columns.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let one = |at: &Option<usize>| at.map_or("-".to_owned(), |at| (at + 1).to_string());
    columns[..last].iter().map(one).collect::<Vec<_>>().join(",")
}
