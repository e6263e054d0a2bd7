//! Text with quotes (RFC 4180), read leniently: a field is quoted where it begins with a quote and
//! ends with one before a delimiter or a line end, and a quote is a character like others elsewhere.
//!
//! A quoted field may hold line feeds. A quote that opens a field and is not closed on its line is
//! therefore looked after on the lines below; but where each of these lines is a whole rating by
//! itself, the quote was no more than a character, and so it is where no line closes it. What lies
//! between two such lines thus never goes unseen. The strict form has no doubts: a quote at the
//! beginning of a field opens it, and what does not close it properly is an error.

use super::fields::{self, Field};
use super::layout::Layout;
use super::options::Quotes;
use std::ops::ControlFlow;

/// The most bytes of a quoted field with line feeds.
const LONGEST: usize = 1 << 20;

/// What tells a whole record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// The delimiter.
    pub delimiter: u8,
    /// Whether blanks after a delimiter are no part of the field.
    pub trims: bool,
    /// Whether a quote that opens a field has to be closed.
    pub strict: bool,
    /// How many fields a record has; 0 where records differ, which then have no line feeds.
    pub fields: usize,
    /// The column that holds a number.
    pub number: Option<usize>,
    /// Whether numbers have a comma for the point.
    pub decimal_comma: bool,
}

impl Shape {
    /// Of a layout whose delimiter is one byte.
    pub(super) fn of(layout: &Layout, delimiter: u8) -> Self {
        Shape {
            delimiter,
            trims: layout.trims,
            strict: layout.quotes == Quotes::Yes,
            fields: if layout.has_lists() { 0 } else { layout.fields },
            number: layout.columns[2],
            decimal_comma: layout.decimal_comma,
        }
    }

    /// Of a layout whose fields may be quoted.
    pub(super) fn quoted(layout: &Layout) -> Option<Self> {
        let byte = layout.delimiter.between_quoted(layout.quotes)?;
        Some(Shape::of(layout, byte))
    }

    /// Of a table of which nothing is known but how many fields a record has.
    pub(super) fn table(delimiter: u8, fields: usize, strict: bool) -> Self {
        let number = None;
        Shape { delimiter, trims: false, strict, fields, number, decimal_comma: false }
    }
}

/// A record, on one line or several.
pub(super) struct Record<'a> {
    text: &'a [u8],
    lines: (usize, usize),
    pieces: &'a [Piece],
    spare: &'a [u8],
    /// How many of its fields begin with a quote that does not quote them.
    pub literal: usize,
}

impl<'a> Record<'a> {
    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// A field without its quotes; empty where there is none.
    pub(super) fn field(&self, at: usize) -> Field<'a> {
        match self.pieces.get(at) {
            None => Field::default(),
            Some(&Piece { from, to, spare: false, .. }) => Field::new(self.text, from, to),
            Some(&Piece { from, to, .. }) => Field::new(self.spare, from, to),
        }
    }

    /// The lines as they are.
    pub(super) fn lines(&self) -> &'a [u8] {
        &self.text[self.lines.0..self.lines.1]
    }

    /// The lines as they are, without the last line end.
    pub(super) fn raw(&self) -> &'a [u8] {
        let lines = self.lines();
        fields::without_return(lines.strip_suffix(b"\n").unwrap_or(lines))
    }
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    from: usize,
    to: usize,
    /// Whether it lies in the spare text, without its doubled quotes.
    spare: bool,
}

/// How a quote at the beginning of a field ends.
enum Close {
    /// At this quote; and whether there are doubled ones before.
    At(usize, bool),
    /// Text follows the closing quote.
    Glued,
    /// Nowhere in the text looked at.
    Open,
}

/// What was found of a record.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    /// It is there, with its end after the last line feed.
    Whole(usize),
    /// A quote is not closed.
    Open,
    /// Text follows a closing quote.
    Glued,
}

/// Cuts records.
#[derive(Default)]
struct Cutter {
    pieces: Vec<Piece>,
    spare: Vec<u8>,
    literal: usize,
    /// Whether a field was taken literally for want of a closing quote.
    open: bool,
}

impl Cutter {
    /// Cuts the record that begins at `from`; quoted fields may go on to `limit`. Where `literal`,
    /// quotes that do not quote are characters.
    fn cut(
        &mut self,
        text: &[u8],
        from: usize,
        limit: usize,
        shape: &Shape,
        literal: bool,
    ) -> Found {
        self.pieces.clear();
        self.spare.clear();
        (self.literal, self.open) = (0, false);
        let mut at = from;
        loop {
            let mut start = at;
            // Blanks at the beginning of a line do not count where they are the delimiter.
            if shape.trims && (at > from || shape.delimiter == b' ') {
                start += text[at..].iter().take_while(|&&b| b == b' ').count();
            }
            if text.get(start) == Some(&b'"') {
                match close(text, start, limit, shape.delimiter) {
                    Close::At(end, doubled) => {
                        self.quoted(&text[start + 1..end], start + 1, doubled);
                        if text.get(end + 1) == Some(&shape.delimiter) {
                            at = end + 2;
                            continue;
                        }
                        return Found::Whole(line_end(text, end));
                    }
                    Close::Glued if !literal => return Found::Glued,
                    Close::Open if !literal => return Found::Open,
                    Close::Glued => self.literal += 1,
                    Close::Open => {
                        self.literal += 1;
                        self.open = true;
                    }
                }
            }
            let ends = memchr::memchr2(shape.delimiter, b'\n', &text[start..]);
            let end = ends.map_or(text.len(), |length| start + length);
            // The last line may have no end.
            if text.get(end).is_none_or(|&byte| byte == b'\n') {
                let to = end - usize::from(end > start && text[end - 1] == b'\r');
                self.pieces.push(Piece { from: start, to, spare: false });
                return Found::Whole((end + 1).min(text.len()));
            }
            self.pieces.push(Piece { from: start, to: end, spare: false });
            at = end + 1;
        }
    }

    fn quoted(&mut self, inner: &[u8], from: usize, doubled: bool) {
        if !doubled {
            self.pieces.push(Piece { from, to: from + inner.len(), spare: false });
            return;
        }
        let start = self.spare.len();
        let mut quotes = 0;
        for &byte in inner {
            quotes = if byte == b'"' { quotes + 1 } else { 0 };
            if quotes != 2 {
                self.spare.push(byte);
            } else {
                quotes = 0;
            }
        }
        self.pieces.push(Piece { from: start, to: self.spare.len(), spare: true });
    }

    /// Whether what was cut last can be a record.
    fn is_whole(&self, text: &[u8], shape: &Shape) -> bool {
        let field = |piece: &Piece| {
            let text = if piece.spare { &self.spare } else { text };
            text[piece.from..piece.to].to_owned()
        };
        let count = self.pieces.len();
        let fits = count >= shape.fields
            && self.pieces[shape.fields..].iter().all(|piece| piece.from == piece.to);
        let number = |column: usize| {
            self.pieces
                .get(column)
                .is_some_and(|piece| fields::decimal(&field(piece), shape.decimal_comma).is_some())
        };
        fits && shape.number.is_none_or(number)
    }

    /// Cuts the record at `from`. `more` says that text may follow, so that a record that is not
    /// whole here is not decided.
    fn record(
        &mut self,
        text: &[u8],
        from: usize,
        shape: &Shape,
        more: bool,
    ) -> Result<Option<usize>, &'static str> {
        let limit = text.len().min(from.saturating_add(LONGEST));
        if shape.strict {
            return match self.cut(text, from, limit, shape, false) {
                Found::Whole(end) => Ok(Some(end)),
                Found::Open if more && limit == text.len() => Ok(None),
                Found::Open => {
                    Err("a quote is not closed; close it, or say `quotes` no where quotes \
                                    are part of an id")
                }
                Found::Glued => {
                    Err("text follows a closing quote; double the quotes (\"\") inside of \
                                     a quoted field, or say `quotes` no where they are part of an id")
                }
            };
        }
        let line_end = line_end(text, from);
        let Found::Whole(end) = self.cut(text, from, line_end, shape, true) else {
            return Ok(Some(line_end));
        };
        if !self.open || shape.fields == 0 {
            return Ok(Some(end));
        }
        // Over several lines: to the quote that closes, if the lines are no records by themselves.
        match self.cut(text, from, limit, shape, false) {
            Found::Whole(far) if self.is_whole(text, shape) => {
                let mut at = from;
                let mut alone = true;
                while alone && at < far {
                    let end = self::line_end(text, at);
                    self.cut(text, at, end, shape, true);
                    alone = self.is_whole(text, shape);
                    at = end;
                }
                if !alone {
                    self.cut(text, from, limit, shape, false);
                    return Ok(Some(far));
                }
            }
            Found::Open if more && limit == text.len() => return Ok(None),
            Found::Whole(_) | Found::Open | Found::Glued => {}
        }
        self.cut(text, from, line_end, shape, true);
        Ok(Some(end))
    }
}

/// The end of the line that begins at `from`, after its line feed.
fn line_end(text: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |length| from + length + 1)
}

/// Where the quote at `start` is closed: before a delimiter or a line end.
fn close(text: &[u8], start: usize, limit: usize, delimiter: u8) -> Close {
    let (mut at, mut doubled) = (start + 1, false);
    loop {
        // A field may begin beyond the limit, in a line that is longer.
        let ahead = text.get(at..limit).unwrap_or_default();
        let Some(length) = memchr::memchr(b'"', ahead) else { return Close::Open };
        let end = at + length;
        match &text[end + 1..] {
            [b'"', ..] => {
                doubled = true;
                at = end + 2;
            }
            [] | [b'\n', ..] | [b'\r', b'\n', ..] => return Close::At(end, doubled),
            [next, ..] if *next == delimiter => return Close::At(end, doubled),
            _ => return Close::Glued,
        }
    }
}

/// Hands each record of `text`, whole lines, to `each`, with the line it begins on, from 0; returns
/// how many lines there were. Blank lines are no records.
pub(super) fn records(
    text: &[u8],
    shape: &Shape,
    mut each: impl FnMut(u64, Result<Record<'_>, &'static str>) -> ControlFlow<()>,
) -> u64 {
    let mut cutter = Cutter::default();
    let (mut at, mut line) = (0, 0);
    while at < text.len() {
        let first_end = line_end(text, at);
        if text[at..first_end].trim_ascii().is_empty() {
            at = first_end;
            line += 1;
            continue;
        }
        let (end, record) = match cutter.record(text, at, shape, false) {
            Err(message) => (first_end, Err(message)),
            Ok(end) => {
                let end = end.unwrap_or(first_end);
                let Cutter { pieces, spare, literal, .. } = &cutter;
                (end, Ok(Record { text, lines: (at, end), pieces, spare, literal: *literal }))
            }
        };
        if each(line, record).is_break() {
            break;
        }
        line += memchr::memchr_iter(b'\n', &text[at..end]).count() as u64;
        at = end;
    }
    line
}

/// Where in `text` a record begins that may go on behind it.
pub(super) fn unfinished(text: &[u8], shape: &Shape) -> Option<usize> {
    let mut cutter = Cutter::default();
    let mut at = 0;
    // Lines without quotes are records by themselves.
    while let Some(quote) = memchr::memchr(b'"', &text[at..]) {
        let start = memchr::memrchr(b'\n', &text[at..at + quote]).map_or(at, |feed| at + feed + 1);
        match cutter.record(text, start, shape, true) {
            Ok(None) => return Some(start),
            Ok(Some(end)) => at = end,
            Err(_) => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, fields: usize, number: Option<usize>, strict: bool) -> Vec<String> {
        let shape = Shape { number, ..Shape::table(b',', fields, strict) };
        let mut found = Vec::new();
        let lines = records(text.as_bytes(), &shape, |line, record| {
            found.push(match record {
                Ok(record) => {
                    let field = |at| String::from_utf8(record.field(at).bytes().to_vec()).unwrap();
                    let fields: Vec<String> = (0..record.len()).map(field).collect();
                    format!("{line}:{}", fields.join("|"))
                }
                Err(message) => format!("{line}!{}", &message[..6]),
            });
            ControlFlow::Continue(())
        });
        assert_eq!(lines as usize, text.lines().count(), "{text}");
        found
    }

    #[test]
    fn quotes_quote_only_whole_fields() {
        type Case = (&'static str, usize, Option<usize>, &'static [&'static str]);
        let cases: [Case; 12] = [
            ("a,\"b, c\",1\n", 3, Some(2), &["0:a|b, c|1"]),
            ("a,\"b \"\"c\"\"\",1\n", 3, Some(2), &["0:a|b \"c\"|1"]),
            ("a,\"\"\"c\"\"\",1\n", 3, Some(2), &["0:a|\"c\"|1"]),
            ("a,\"\",1\n", 3, Some(2), &["0:a||1"]),
            ("a,\"b\" c,1\n", 3, Some(2), &["0:a|\"b\" c|1"]),
            ("a,b \"c\",1\n", 3, Some(2), &["0:a|b \"c\"|1"]),
            ("a,\"b,1\nc,d,2\n", 3, Some(2), &["0:a|\"b|1", "1:c|d|2"]),
            ("a,\"b,1\nc,d\",2\n", 3, Some(2), &["0:a|\"b|1", "1:c|d\"|2"]),
            ("a,\"b\nc\",1\r\nd,e,2\r\n", 3, Some(2), &["0:a|b\nc|1", "2:d|e|2"]),
            ("a,\"b\nc,d,2\n", 3, Some(2), &["0:a|\"b", "1:c|d|2"]),
            ("a,\"b\n\nc\",\"1\"\n\nd,e,2\n", 3, Some(2), &["0:a|b\n\nc|1", "4:d|e|2"]),
            ("a,b,\"x,y\nz\"\nc,d,e\n", 3, None, &["0:a|b|x,y\nz", "2:c|d|e"]),
        ];
        for (text, fields, number, want) in cases {
            assert_eq!(cut(text, fields, number, false), want, "{text}");
        }
        assert_eq!(cut("a,\"b,1\nc,d\",2\n", 3, Some(2), true), ["0:a|b,1\nc,d|2"]);
        assert_eq!(cut("a,\"b\" c,1\n", 3, Some(2), true), ["0!text f"]);
        assert_eq!(cut("a,\"b,1\nc,d,2\n", 3, Some(2), true), ["0!a quot", "1:c|d|2"]);
    }

    #[test]
    fn a_field_may_begin_beyond_what_is_looked_through() {
        let long = "x".repeat(LONGEST + 7);
        for strict in [false, true] {
            for quoted in ["\"b\"", "\"b", "\"", "\"\"\"", "\"\""] {
                let found = cut(&format!("{long},{quoted},1\nc,d,2\n"), 3, Some(2), strict);
                assert_eq!(found.len(), 2, "{quoted}");
            }
        }
    }

    #[test]
    fn the_last_line_may_have_no_end() {
        for (text, want) in [
            ("a,b\nc,d", ["a|b", "c|d"]),
            ("a,\"b, c\"\nd,", ["a|b, c", "d|"]),
            ("a,b\nc,\"d\"", ["a|b", "c|d"]),
            ("a,b\nc,\"d", ["a|b", "c|\"d"]),
            ("a,b\nc,d\r", ["a|b", "c|d"]),
        ] {
            let mut found = Vec::new();
            records(text.as_bytes(), &Shape::table(b',', 2, false), |_, record| {
                let record = record.unwrap_or_else(|message| panic!("{text}: {message}"));
                let field = |at| String::from_utf8_lossy(record.field(at).bytes()).into_owned();
                found.push((0..record.len()).map(field).collect::<Vec<_>>().join("|"));
                ControlFlow::Continue(())
            });
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn a_chunk_ends_before_what_may_go_on() {
        let shape = Shape { number: Some(2), ..Shape::table(b',', 3, false) };
        for (text, want) in [
            ("a,b,1\nc,\"d\n", Some(6)),
            ("a,\"b\",1\nc,d,2\n", None),
            ("a,b,1\nc,\"d, e\",2\n", None),
            ("a,\"b\" x,1\n", None),
        ] {
            assert_eq!(unfinished(text.as_bytes(), &shape), want, "{text}");
        }
    }
}
