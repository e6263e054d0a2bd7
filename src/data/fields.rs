//! Fields of an unquoted line, and the numbers in them.

use super::options::Delimiter;

/// A field and what follows it: eight bytes can then be taken at once, whatever its length.
#[derive(Clone, Copy, Default)]
pub(super) struct Field<'a> {
    tail: &'a [u8],
    length: usize,
}

impl<'a> Field<'a> {
    /// The field from `from` to `end` in `text`.
    #[inline(always)]
    pub(super) fn new(text: &'a [u8], from: usize, end: usize) -> Self {
        Field { tail: &text[from..], length: end - from }
    }

    /// The field alone.
    #[inline(always)]
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.tail[..self.length]
    }

    /// The bytes as one nonzero little-endian number, if there are 1 to 8 and the last is not NUL
    /// (so that padding with NUL loses nothing).
    #[inline(always)]
    pub(super) fn packed(self) -> Option<u64> {
        if !(1..=8).contains(&self.length) {
            return None;
        }
        let word = match self.tail.first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes) & (u64::MAX >> (64 - 8 * self.length)),
            None => {
                let mut padded = [0; 8];
                padded[..self.length].copy_from_slice(self.bytes());
                u64::from_le_bytes(padded)
            }
        };
        (word >> (8 * (self.length - 1)) != 0).then_some(word)
    }
}

impl<'a> From<&'a [u8]> for Field<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Field { tail: bytes, length: bytes.len() }
    }
}

/// One way to cut lines into fields, compiled for each kind of delimiter. A line lies somewhere in
/// `text` and ends at `line_end`.
pub(super) trait Cut: Copy + Sync {
    /// Where the first field of a line at `from` may begin.
    fn begin(self, text: &[u8], from: usize, line_end: usize) -> usize;
    /// The end of the field that begins at `from`, and where the next begins if there is one.
    fn cut(self, text: &[u8], from: usize, line_end: usize) -> (usize, Option<usize>);
}

/// Fields between single bytes.
#[derive(Clone, Copy)]
pub(super) struct Byte(pub u8);
/// Fields between single bytes, each followed by blanks that do not count.
#[derive(Clone, Copy)]
pub(super) struct ByteAndBlanks(pub u8);
/// Fields between `::`.
#[derive(Clone, Copy)]
pub(super) struct DoubleColon;
/// Fields between runs of blanks.
#[derive(Clone, Copy)]
pub(super) struct Blanks;

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

impl Cut for Byte {
    #[inline(always)]
    fn begin(self, _text: &[u8], from: usize, _line_end: usize) -> usize {
        from
    }

    #[inline(always)]
    fn cut(self, text: &[u8], from: usize, line_end: usize) -> (usize, Option<usize>) {
        // Eight bytes at once: fields differ in length, and a loop over their bytes would end
        // where the processor does not expect it. The lowest set bit marks the first match.
        const ONES: u64 = 0x0101_0101_0101_0101;
        let mut at = from;
        while at < line_end {
            let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
                let found = text[at..line_end].iter().position(|&byte| byte == self.0);
                return found.map_or((line_end, None), |n| (at + n, Some(at + n + 1)));
            };
            let differs = u64::from_le_bytes(*bytes) ^ (ONES * u64::from(self.0));
            let matches = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
            if matches != 0 {
                let end = at + (matches.trailing_zeros() / 8) as usize;
                return if end < line_end { (end, Some(end + 1)) } else { (line_end, None) };
            }
            at += 8;
        }
        (line_end, None)
    }
}

impl Cut for ByteAndBlanks {
    fn begin(self, _text: &[u8], from: usize, _line_end: usize) -> usize {
        from
    }

    fn cut(self, text: &[u8], from: usize, line_end: usize) -> (usize, Option<usize>) {
        let (end, next) = Byte(self.0).cut(text, from, line_end);
        let blanks = |at: usize| text[at..line_end].iter().take_while(|&&b| b == b' ').count();
        (end, next.map(|at| at + blanks(at)))
    }
}

impl Cut for DoubleColon {
    fn begin(self, _text: &[u8], from: usize, _line_end: usize) -> usize {
        from
    }

    #[inline(always)]
    fn cut(self, text: &[u8], from: usize, line_end: usize) -> (usize, Option<usize>) {
        match text[from..line_end].windows(2).position(|pair| pair == b"::") {
            Some(length) => (from + length, Some(from + length + 2)),
            None => (line_end, None),
        }
    }
}

impl Cut for Blanks {
    #[inline(always)]
    fn begin(self, text: &[u8], from: usize, line_end: usize) -> usize {
        let blanks = text[from..line_end].iter().position(|&b| !is_blank(b));
        blanks.map_or(line_end, |blanks| from + blanks)
    }

    #[inline(always)]
    fn cut(self, text: &[u8], from: usize, line_end: usize) -> (usize, Option<usize>) {
        let Some(length) = text[from..line_end].iter().position(|&b| is_blank(b)) else {
            return (line_end, None);
        };
        let end = from + length;
        let next = text[end..line_end].iter().position(|&b| !is_blank(b)).map(|gap| end + gap);
        (end, next)
    }
}

/// All fields of a line, for the few lines that are looked at closely.
pub(crate) fn all(delimiter: Delimiter, line: &[u8]) -> Vec<&[u8]> {
    fn collect<C: Cut>(cut: C, line: &[u8]) -> Vec<&[u8]> {
        let mut fields = Vec::new();
        let mut next = Some(cut.begin(line, 0, line.len()));
        while let Some(from) = next {
            let (end, following) = cut.cut(line, from, line.len());
            fields.push(&line[from..end]);
            next = following;
        }
        fields
    }
    match delimiter {
        Delimiter::Byte(byte) => collect(Byte(byte), line),
        Delimiter::DoubleColon => collect(DoubleColon, line),
        Delimiter::Blanks => collect(Blanks, line),
    }
}

/// A line without the carriage return of a CRLF ending.
#[inline(always)]
pub(super) fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

const POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// The number that `str::parse::<f32>` would give, blanks around it aside; infinities included.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<f32> {
    // Clinger's fast path: an integer below 2^24 and a power of ten up to 10^10 are exact in f32,
    // so their quotient is the correctly rounded value.
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (mut mantissa, mut decimals, mut point) = (0_u32, 0_usize, false);
    let plain = (1..=9).contains(&digits.len())
        && digits.iter().all(|&byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                mantissa = mantissa * 10 + u32::from(digit);
                decimals += usize::from(point);
                true
            } else {
                !std::mem::replace(&mut point, true) && byte == b'.'
            }
        });
    if plain && mantissa < 1 << 24 && digits != b"." {
        let value = mantissa as f32 / POWERS[decimals];
        return Some(if negative { -value } else { value });
    }
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// As [`number`], with a comma for the point where `comma`.
#[inline]
pub(super) fn decimal(text: &[u8], comma: bool) -> Option<f32> {
    if !comma {
        return number(text);
    }
    // A point would be a thousands separator, which no two countries write alike.
    let point: Vec<u8> = text.iter().map(|&b| if b == b',' { b'.' } else { b }).collect();
    if text.contains(&b'.') { None } else { number(&point) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_equals_the_standard_parser() {
        let mut texts: Vec<String> = [
            "",
            "-",
            ".",
            "-.",
            "5.",
            ".5",
            "-.5",
            "+5",
            "1e3",
            "1E-3",
            "0x1",
            "1_0",
            "--1",
            "1.2.3",
            "16777216",
            "16777217",
            "123456789",
            "1234567890",
            "0.1",
            "-0",
            "-0.0",
            "00001",
            "4,5",
            "inf",
            "-inf",
            "NaN",
            "1e39",
            "0.00000001",
            "3.4028235e38",
            "1.0000001",
            ".00000000",
        ]
        .map(String::from)
        .to_vec();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (a, b) = (state >> 44, (state >> 20) & 0xffff);
            texts.push(format!("{}.{b}", a % 10_usize.pow((state % 7) as u32) as u64));
            texts.push(format!("-{a}"));
        }
        for text in &texts {
            let (got, want) = (number(text.as_bytes()), text.parse::<f32>().ok());
            assert_eq!(got.map(f32::to_bits), want.map(f32::to_bits), "{text}");
        }
    }

    #[test]
    fn bytes_are_found_wherever_they_are() {
        let text = b"\x00,\x2b\x2d,abcdefgh,abcdefghijklmnop,,\xac\xad,z\nnext,line with more";
        let line_end = text.iter().position(|&b| b == b'\n').unwrap();
        let want: Vec<&[u8]> = text[..line_end].split(|&b| b == b',').collect();
        let (mut got, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            let (end, following) = Byte(b',').cut(text, from, line_end);
            got.push(&text[from..end]);
            next = following;
        }
        assert_eq!(got, want);
        assert_eq!(all(Delimiter::Byte(b','), &text[..line_end]), want);
    }

    #[test]
    fn blanks_at_the_ends_are_no_fields() {
        assert_eq!(all(Delimiter::Blanks, b"  a \t b  "), [b"a", b"b"]);
        assert_eq!(all(Delimiter::DoubleColon, b"a::b:c::"), [&b"a"[..], b"b:c", b""]);
        assert_eq!(all(Delimiter::Byte(b','), b",a,"), [&b""[..], b"a", b""]);
    }
}
