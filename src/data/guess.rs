//! What the first lines of a file look like: their delimiter, their quotes, a header, lists, and what
//! is no list of ratings though it could be cut like one.

use super::fields;
use super::layout::shorten;
use super::names::Role;
use super::options::{Delimiter, Quotes};
use super::quoted::{self, Shape};
use std::collections::HashSet;
use std::ops::ControlFlow;

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

/// The first lines that are not blank, with their numbers from 1.
pub(super) fn sample_lines(head: &[u8]) -> Vec<(u64, &[u8])> {
    let lines = head.split(|&b| b == b'\n').map(fields::without_return);
    let numbered = (1..).zip(lines);
    numbered.filter(|(_, line)| !line.trim_ascii().is_empty()).take(SAMPLE + 1).collect()
}

/// The first lines that are remarks: a mark and a blank, or a mark alone.
pub(super) fn remarks(lines: &[(u64, &[u8])]) -> usize {
    let is_remark = |line: &[u8]| match line.trim_ascii_start() {
        [b'#' | b'%'] => true,
        [b'#' | b'%', next, ..] => matches!(next, b' ' | b'\t' | b'#' | b'%'),
        _ => false,
    };
    let count = lines.iter().take_while(|(_, line)| is_remark(line)).count();
    if count == lines.len() { 0 } else { count }
}

/// The delimiter that a first line like `sep=;` names, as spreadsheets write it.
pub(super) fn named_delimiter(line: &[u8]) -> Option<Delimiter> {
    match line.get(..4) {
        Some(start) if start.eq_ignore_ascii_case(b"sep=") => match &line[4..] {
            b"\t" => Some(Delimiter::Byte(b'\t')),
            &[byte] if byte.is_ascii_punctuation() && byte != b'"' => Some(Delimiter::Byte(byte)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether fields between this delimiter are quoted, by what was asked for and the first lines.
///
/// Commas and the like have quotes. Tabs and bars mostly have none, and titles with quotes around
/// them stand between them: there a file has to show that it quotes, by a column all of whose fields
/// are in quotes, or by doubled quotes inside of quotes.
pub(super) fn quotes(delimiter: Delimiter, lines: &[(u64, &[u8])], asked: Quotes) -> Quotes {
    let Delimiter::Byte(byte) = delimiter else {
        let yes = delimiter == Delimiter::Blanks && asked == Quotes::Yes;
        return if yes { asked } else { Quotes::No };
    };
    if asked != Quotes::Auto || !matches!(byte, b'\t' | b'|') {
        return asked;
    }
    let whole =
        |field: &[u8]| field.len() > 1 && field.starts_with(b"\"") && field.ends_with(b"\"");
    let inner = |field: &[u8]| {
        let inner = &field[1..field.len() - 1];
        let (mut run, mut pairs, mut odd) = (0, 0, 0);
        for &b in inner.iter().chain([&b'.']) {
            match b {
                b'"' => run += 1,
                _ => {
                    pairs += run / 2;
                    odd += run % 2;
                    run = 0;
                }
            }
        }
        (pairs, odd)
    };
    let (mut doubled, mut columns) = (false, Vec::<bool>::new());
    for (at, (_, line)) in lines.iter().take(SAMPLE).enumerate() {
        let cut = fields::all(delimiter, line);
        if at == 0 {
            columns = vec![lines.len() > 1; cut.len()];
        }
        for (column, field) in cut.iter().enumerate() {
            let good = whole(field) && inner(field).1 == 0;
            if field.starts_with(b"\"") && !good {
                return Quotes::No;
            }
            doubled |= good && inner(field).0 > 0;
            if let Some(all) = columns.get_mut(column) {
                *all &= good;
            }
        }
        columns.truncate(cut.len());
    }
    if doubled || columns.contains(&true) { Quotes::Auto } else { Quotes::No }
}

/// The first records as text.
pub(super) fn records(
    delimiter: Delimiter,
    quotes: Quotes,
    lines: &[(u64, &[u8])],
) -> Vec<Vec<String>> {
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    match delimiter.between_quoted(quotes) {
        Some(byte) if lines.iter().any(|(_, line)| line.contains(&b'"')) => {
            let head = lines.iter().flat_map(|(_, line)| [line, &b"\n"[..]]);
            let head: Vec<u8> = head.flatten().copied().collect();
            let mut found = Vec::new();
            let strict = quotes == Quotes::Yes;
            let mut shape = Shape { trims: byte == b' ', ..Shape::table(byte, 0, strict) };
            for _ in 0..2 {
                found.clear();
                quoted::records(&head, &shape, |_, record| {
                    if let Ok(record) = record {
                        let field = |at| text(record.field(at).bytes());
                        found.push((0..record.len()).map(field).collect::<Vec<_>>());
                    }
                    match found.len() < SAMPLE {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                });
                // Once more, with the number of fields that a record of several lines has to have.
                shape.fields = found.first().map_or(0, Vec::len);
            }
            found
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
pub(super) fn detect(lines: &[(u64, &[u8])], asked: Quotes, grouped: bool) -> Option<Delimiter> {
    let counts = CANDIDATES.map(|delimiter| {
        let records = records(delimiter, quotes(delimiter, lines, asked), lines);
        let counts = records.iter().map(|record| count(record));
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

/// The first records, where this delimiter cuts all of them into the same number of fields, two at least.
pub(super) fn evenly(
    lines: &[(u64, &[u8])],
    delimiter: Delimiter,
    asked: Quotes,
) -> Option<Vec<Vec<String>>> {
    let records = records(delimiter, quotes(delimiter, lines, asked), lines);
    let first = count(records.first()?);
    (first > 1 && records.iter().all(|record| count(record) == first)).then_some(records)
}

/// How many fields the first record has, and the least and the most that one of the first ones has.
pub(super) fn counts(
    delimiter: Delimiter,
    asked: Quotes,
    head: &[u8],
) -> Option<(usize, usize, usize)> {
    let lines = sample_lines(head);
    let named = lines.first().is_some_and(|line| named_delimiter(line.1).is_some());
    let lines = &lines[usize::from(named)..];
    let lines = &lines[remarks(lines)..];
    let records = records(delimiter, quotes(delimiter, lines, asked), lines);
    let counts = records.iter().map(|record| count(record));
    Some((records.first()?.len(), counts.clone().min()?, counts.max()?))
}

/// The fields of a record up to the last that is not empty, but two at least where there are two.
fn count(record: &[String]) -> usize {
    let last = record.iter().rposition(|field| !field.trim().is_empty());
    last.map_or(0, |last| last + 1).max(record.len().min(2))
}

pub(super) fn is_number(field: &str) -> bool {
    fields::number(field.as_bytes()).is_some()
}

pub(super) fn is_whole(field: &str) -> bool {
    !field.is_empty() && field.len() < 19 && field.bytes().all(|b| b.is_ascii_digit())
}

/// A header has known names, or text above a column of numbers.
pub(super) fn looks_like_header(records: &[Vec<String>], rating: usize) -> bool {
    let Some((first, rest)) = records.split_first() else { return false };
    let column = |role: Role| role.find(first);
    if column(Role::User).is_some() && column(Role::Item).is_some() {
        return true;
    }
    let below = |column: usize| rest.iter().filter_map(move |record| record.get(column));
    let numbers_below = |column: usize| {
        !rest.is_empty() && rest.iter().all(|r| r.get(column).is_some_and(|f| is_number(f)))
    };
    if first.len() > rating {
        return !is_number(&first[rating]) && numbers_below(rating);
    }
    // Without a rating column ids are all there is: plainly numeric ones tell, or a name, or that
    // each id but the first has a digit.
    let named = [Role::User, Role::Item].into_iter().filter_map(column).any(|at| {
        let name = &first[at];
        name.len() > 2 && rest.len() > 1 && below(at).all(|field| field != name)
    });
    let digit = |field: &str| field.bytes().any(|b| b.is_ascii_digit());
    let numbered = |at: usize| rest.len() > 1 && !digit(&first[at]) && below(at).all(|f| digit(f));
    let all = |holds: &dyn Fn(usize) -> bool| !first.is_empty() && (0..first.len()).all(holds);
    named || all(&|c| !is_number(&first[c]) && numbers_below(c)) || all(&numbered)
}

/// Whether the first of two columns of text could be their names, for all that can be seen.
pub(super) fn may_be_header(records: &[Vec<String>]) -> bool {
    let Some((first, rest)) = records.split_first() else { return false };
    first.len() == 2
        && rest.iter().all(|record| record.iter().zip(first).all(|(field, name)| field != name))
        && first.iter().all(|name| !name.bytes().any(|b| b.is_ascii_digit()))
}

/// Whether lines are a user and its items: of different lengths, long ones among them, whole numbers
/// throughout, none twice in a line.
pub(super) fn looks_grouped(records: &[Vec<String>]) -> bool {
    let counts: Vec<usize> = records.iter().map(|record| count(record)).collect();
    let most = counts.iter().max().copied().unwrap_or(0);
    let usual = counts.iter().map(|c| counts.iter().filter(|d| *d == c).count()).max().unwrap_or(0);
    let ids = |record: &Vec<String>| {
        let items = &record[..count(record)];
        let distinct: HashSet<_> = items.iter().skip(1).collect();
        items.iter().all(|field| is_whole(field)) && distinct.len() + 1 == items.len()
    };
    records.len() > 2 && most > 4 && usual * 4 <= 3 * counts.len() && records.iter().all(ids)
}

/// What lines are that begin otherwise than with a user; `grouped` was asked for.
pub(super) fn strange_lines(records: &[Vec<String>], grouped: bool) -> Option<String> {
    let first = |record: &Vec<String>| record.first().cloned().unwrap_or_default();
    let pair = |text: &str, mark: char, after: &dyn Fn(&str) -> bool| {
        text.split_once(mark).is_some_and(|(a, b)| is_whole(a) && after(b))
    };
    let all =
        |holds: &dyn Fn(&Vec<String>) -> bool| !records.is_empty() && records.iter().all(holds);
    if all(&|r| pair(&first(r), ':', &|b| b.is_empty() || is_whole(b))) {
        return Some(format!(
            "the lines begin with \"{}\", a number, a colon and another: is that a user and the first of \
             its items? then write a blank for the colon (`sed 's/:/ /'`), and read that with `format` \
             grouped",
            shorten(first(&records[0]).as_bytes())
        ));
    }
    if all(&|r| {
        count(r) > 1
            && !r[1].is_empty()
            && r[1..].iter().all(|f| f.is_empty() || pair(f, ':', &is_number))
    }) {
        return Some(
            "the lines hold a value and then index:value, as svmlight and libFM do; write user, item and \
             rating, one a line"
                .into(),
        );
    }
    if all(&|r| first(r).starts_with('(') && first(r).ends_with(')') && first(r).contains(',')) {
        return Some(format!(
            "the lines begin with a pair, \"{}\", as the negatives of an evaluation do: they are no ratings",
            shorten(first(&records[0]).as_bytes())
        ));
    }
    let counted = |r: &Vec<String>| first(r).parse() == Ok(count(r).saturating_sub(1));
    let users: HashSet<String> = records.iter().map(first).collect();
    let ragged = records.iter().any(|r| count(r) != count(&records[0]));
    if records.len() > 2 && ragged && all(&counted) && (!grouped || users.len() < records.len()) {
        return Some(
            "each line begins with the number of ids that follow, not with a user; put the number of the \
             line in its place (`awk '{$1 = NR; print}'`), and read that with `format` grouped"
                .into(),
        );
    }
    None
}

/// Why columns that were taken by position can hardly be what they were taken for.
pub(super) fn strange_columns(
    records: &[Vec<String>],
    columns: [Option<usize>; 4],
) -> Option<String> {
    let fields = |role: usize| {
        let column = columns[role];
        column.map(|at| records.iter().filter_map(|r| r.get(at)).collect::<Vec<_>>())
    };
    let fraction =
        |text: &str| is_number(text) && text.parse::<f64>().is_ok_and(|x| x.fract() != 0.0);
    for role in [Role::User, Role::Item] {
        let Some(ids) = fields(role as usize) else { continue };
        if let (true, Some(id)) =
            (ids.iter().all(|id| is_number(id)), ids.iter().find(|id| fraction(id)))
        {
            return Some(format!(
                "\"{id}\" would be the id of {} {}: is this a matrix, or another column? use `columns`",
                if role == Role::User { "a" } else { "an" },
                role.word()
            ));
        }
    }
    let small = |text: &str| is_whole(text) && text.parse::<u32>().is_ok_and(|n| n <= 10);
    let all = [0, 1, 2, 3].map(fields);
    if let [Some(users), Some(items), Some(ratings), Some(times)] = &all {
        let pairs: HashSet<_> = users.iter().zip(items).collect();
        let cells = [users, items, ratings, times];
        if pairs.len() < users.len() && cells.into_iter().flatten().all(|cell| small(cell)) {
            return Some(
                "all four columns hold small numbers, and pairs of the first two repeat: is this a matrix? \
                 use `columns`"
                    .into(),
            );
        }
    }
    None
}

/// An item that is a list, where all are.
pub(super) fn listed_items(records: &[Vec<String>], item: usize) -> Option<&str> {
    let parts = |text: &str| {
        let text = text.trim_matches(['[', ']', '(', ')', '{', '}']).trim();
        let marks = [',', ';', '|', ' '];
        let mark = marks.into_iter().find(|&mark| text.contains(mark));
        let whole = |part: &str| is_whole(part.trim().trim_matches(['\'', '"']));
        match mark {
            Some(mark) => text.split(mark).all(whole).then(|| text.split(mark).count()),
            None => whole(text).then_some(1),
        }
    };
    let items: Vec<&str> = records.iter().filter_map(|r| r.get(item)).map(String::as_str).collect();
    let all = items.iter().all(|text| parts(text).is_some());
    items.into_iter().find(|text| all && parts(text).is_some_and(|n| n > 1))
}
