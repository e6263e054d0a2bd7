//! Fields of an unquoted line, and the numbers in them.

use super::options::Delimiter;

/// One way to cut a line into fields, compiled for each kind of delimiter.
pub trait Cut: Copy + Sync {
    /// Where the first field may begin.
    fn begin(self, line: &[u8]) -> usize;
    /// The end of the field that begins at `from`, and where the next begins if there is one.
    fn cut(self, line: &[u8], from: usize) -> (usize, Option<usize>);
}

/// Fields between single bytes.
#[derive(Clone, Copy)]
pub struct Byte(pub u8);
/// Fields between single bytes, each followed by blanks that do not count.
#[derive(Clone, Copy)]
pub struct ByteAndBlanks(pub u8);
/// Fields between `::`.
#[derive(Clone, Copy)]
pub struct DoubleColon;
/// Fields between runs of blanks.
#[derive(Clone, Copy)]
pub struct Blanks;

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

impl Cut for Byte {
    #[inline(always)]
    fn begin(self, _line: &[u8]) -> usize {
        0
    }

    #[inline(always)]
    fn cut(self, line: &[u8], from: usize) -> (usize, Option<usize>) {
        match line[from..].iter().position(|&b| b == self.0) {
            Some(length) => (from + length, Some(from + length + 1)),
            None => (line.len(), None),
        }
    }
}

impl Cut for ByteAndBlanks {
    fn begin(self, _line: &[u8]) -> usize {
        0
    }

    fn cut(self, line: &[u8], from: usize) -> (usize, Option<usize>) {
        let (end, next) = Byte(self.0).cut(line, from);
        let skip = |at: usize| at + line[at..].iter().take_while(|&&b| b == b' ').count();
        (end, next.map(skip))
    }
}

impl Cut for DoubleColon {
    fn begin(self, _line: &[u8]) -> usize {
        0
    }

    #[inline(always)]
    fn cut(self, line: &[u8], from: usize) -> (usize, Option<usize>) {
        match line[from..].windows(2).position(|pair| pair == b"::") {
            Some(length) => (from + length, Some(from + length + 2)),
            None => (line.len(), None),
        }
    }
}

impl Cut for Blanks {
    #[inline(always)]
    fn begin(self, line: &[u8]) -> usize {
        line.iter().position(|&b| !is_blank(b)).unwrap_or(line.len())
    }

    #[inline(always)]
    fn cut(self, line: &[u8], from: usize) -> (usize, Option<usize>) {
        let Some(length) = line[from..].iter().position(|&b| is_blank(b)) else {
            return (line.len(), None);
        };
        let end = from + length;
        let next = line[end..].iter().position(|&b| !is_blank(b)).map(|gap| end + gap);
        (end, next)
    }
}

/// All fields of a line, for the few lines that are looked at closely.
pub fn all(delimiter: Delimiter, line: &[u8]) -> Vec<&[u8]> {
    fn collect<C: Cut>(cut: C, line: &[u8]) -> Vec<&[u8]> {
        let mut fields = Vec::new();
        let mut next = Some(cut.begin(line));
        while let Some(from) = next {
            let (end, following) = cut.cut(line, from);
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
pub fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

const POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// The number that `str::parse::<f32>` would give, blanks around it aside; infinities included.
#[inline]
pub fn number(text: &[u8]) -> Option<f32> {
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

/// A whole number, or the whole part of a decimal one.
#[inline]
pub fn timestamp(text: &[u8]) -> Option<i64> {
    if (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0, |sum, &b| sum * 10 + i64::from(b - b'0')));
    }
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        // 2^63 itself is out of range.
        (value.abs() < 9.223_372_036_854_775_8e18).then_some(value as i64)
    })
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
    fn timestamps_are_whole_numbers_or_decimals() {
        let cases: [(&str, Option<i64>); 8] = [
            ("964982703", Some(964_982_703)),
            ("-5", Some(-5)),
            (" 12 ", Some(12)),
            ("123.0", Some(123)),
            ("1.5e9", Some(1_500_000_000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("1e300", None),
            ("2020-01-01", None),
        ];
        for (text, want) in cases {
            assert_eq!(timestamp(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn blanks_at_the_ends_are_no_fields() {
        assert_eq!(all(Delimiter::Blanks, b"  a \t b  "), [b"a", b"b"]);
        assert_eq!(all(Delimiter::DoubleColon, b"a::b:c::"), [&b"a"[..], b"b:c", b""]);
        assert_eq!(all(Delimiter::Byte(b','), b",a,"), [&b""[..], b"a", b""]);
    }
}
