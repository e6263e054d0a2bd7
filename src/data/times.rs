//! When ratings were given: numbers in any unit, or ISO dates, told apart exactly and kept as integers.

use super::Table;
use super::duplicates::Places;
use super::layout::shorten;
use super::lines::Lines;
use crate::core::{Ids, NO_TIME, Ratings, escaped};
use crate::{Error, Result};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;

/// What is a time, for messages.
pub(super) const WHAT_IS_ONE: &str =
    "a time (a number, or a date such as 2021-03-31 or 2021-03-31T12:00:00Z)";

const BILLION: u32 = 1_000_000_000;
const DATES: DateTimeParser = DateTimeParser::new();

/// One time: units and billionths of one above them, from the file's own zero; of a date seconds since
/// 1970 in UTC, which it is in where it names no zone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time {
    units: i64,
    billionths: u32,
    date: bool,
}

impl Time {
    #[inline]
    fn read(text: &[u8]) -> Option<Self> {
        if (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
            let units = text.iter().fold(0, |sum, &b| sum * 10 + i64::from(b - b'0'));
            return Some(Time { units, billionths: 0, date: false });
        }
        let text = std::str::from_utf8(text).ok()?.trim();
        Self::number(text).or_else(|| Self::date(text)).filter(|time| time.units != NO_TIME)
    }

    fn number(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (units, billionths) = if plain(whole) && plain(part) {
            if whole.is_empty() && part.is_empty() {
                return None;
            }
            let units = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
            let digits = part.bytes().chain(std::iter::repeat(b'0')).take(9);
            (units, digits.fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0')))
        } else {
            // With an exponent, as spreadsheets write what is large.
            let number: f64 =
                digits.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit()))?;
            // 2^63 itself is out of range.
            if number >= i64::MAX as f64 {
                return None;
            }
            let units = number.floor();
            (units as i64, (((number - units) * f64::from(BILLION)) as u32).min(BILLION - 1))
        };
        let (units, billionths) = match (negative, billionths) {
            (false, _) => (units, billionths),
            (true, 0) => (-units, 0),
            (true, _) => (-units - 1, BILLION - billionths),
        };
        Some(Time { units, billionths, date: false })
    }

    fn date(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let year = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit);
        if !year || !text.is_ascii() {
            return None;
        }
        let mut iso = text.to_owned();
        if let Some(rest) = iso.strip_suffix("UTC").or_else(|| iso.strip_suffix("GMT")) {
            iso = format!("{}Z", rest.trim_end());
        }
        if bytes[4] == b'/' {
            iso = iso.replace('/', "-");
        }
        // A zone is part of the time of day; without one it is UTC.
        let clock = iso.find(['T', 't', ' ']).map_or("", |at| &iso[at + 1..]);
        let stamp = match clock.contains(['+', '-', 'Z', 'z', '[']) {
            true => DATES.parse_timestamp(&iso).ok()?,
            false => Offset::UTC.to_timestamp(DATES.parse_datetime(&iso).ok()?).ok()?,
        };
        let billionths = stamp.as_nanosecond().rem_euclid(i128::from(BILLION)) as u32;
        let units = stamp.as_nanosecond().div_euclid(i128::from(BILLION)) as i64;
        Some(Time { units, billionths, date: true })
    }
}

/// How large numbers are that count a unit since 1970, and what it is; what lies between is of none. Times in
/// seconds are below 10^10 until 2286, those in milliseconds above 10^11 since 1973, and so on.
const SIZES: [(i64, Option<&str>); 7] = [
    (100_000_000, Some("seconds")),
    (10_000_000_000, None),
    (100_000_000_000, Some("milliseconds")),
    (10_000_000_000_000, None),
    (100_000_000_000_000, Some("microseconds")),
    (10_000_000_000_000_000, None),
    (100_000_000_000_000_000, Some("nanoseconds")),
];

/// Two units that numbers look like of which none lies between, and the first row where both are known.
fn two_units(first: &[Option<usize>; SIZES.len()]) -> Option<(usize, [&'static str; 2])> {
    let met: Vec<_> =
        first.iter().zip(SIZES).filter_map(|(row, size)| Some((row.as_ref()?, size.1))).collect();
    met.windows(2).find_map(|pair| Some(((*pair[0].0).max(*pair[1].0), [pair[0].1?, pair[1].1?])))
}

/// The times of ratings in order: exact, whatever their unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    /// Whole units, or [`NO_TIME`]; empty where no rating has a time.
    units: Vec<i64>,
    /// Billionths above them; empty while all are 0.
    billionths: Vec<u32>,
    /// The first number and the first date.
    kinds: [Option<usize>; 2],
    /// The first number of each of the [`SIZES`].
    sizes: [Option<usize>; SIZES.len()],
    /// The first that cannot be read and its text, and how many there are.
    pub unread: Option<(usize, String)>,
    pub unread_count: usize,
}

impl Times {
    /// Whether a text is a time.
    pub(super) fn reads(text: &[u8]) -> bool {
        Time::read(text).is_some()
    }

    /// Adds the time of the next rating; whether it could be read.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) -> bool {
        let row = self.units.len();
        let Some(time) = Time::read(text) else {
            self.unread.get_or_insert_with(|| (row, shorten(text)));
            self.unread_count += 1;
            self.push_parts(NO_TIME, 0);
            return false;
        };
        self.kinds[usize::from(time.date)].get_or_insert(row);
        if !time.date
            && let Some(size) = SIZES.iter().rposition(|size| time.units >= size.0)
        {
            self.sizes[size].get_or_insert(row);
        }
        self.push_parts(time.units, time.billionths);
        true
    }

    /// Adds the time of the next rating as a date: seconds since 1970, and billionths above them.
    pub(super) fn push_date(&mut self, seconds: i64, billionths: u32) {
        self.kinds[1].get_or_insert(self.units.len());
        self.push_parts(seconds, billionths);
    }

    #[inline]
    fn push_parts(&mut self, units: i64, billionths: u32) {
        if billionths > 0 || !self.billionths.is_empty() {
            self.billionths.resize(self.units.len(), 0);
            self.billionths.push(billionths);
        }
        self.units.push(units);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        let Self { units, billionths, kinds, sizes, unread, unread_count } = self;
        units.clear();
        billionths.clear();
        *sizes = [None; SIZES.len()];
        (*kinds, *unread, *unread_count) = ([None; 2], None, 0);
    }

    /// Adds those of the ratings from row `before` on; earlier ones that have none lack it.
    pub(super) fn extend(&mut self, later: &Times, before: usize) {
        if later.units.is_empty() {
            return;
        }
        self.units.resize(before, NO_TIME);
        if !(self.billionths.is_empty() && later.billionths.is_empty()) {
            self.billionths.resize(before, 0);
            self.billionths.extend_from_slice(&later.billionths);
            self.billionths.resize(before + later.units.len(), 0);
        }
        self.units.extend_from_slice(&later.units);
        for (kind, later) in self.kinds.iter_mut().zip(later.kinds) {
            *kind = kind.or(later.map(|row| before + row));
        }
        for (size, later) in self.sizes.iter_mut().zip(later.sizes) {
            *size = size.or(later.map(|row| before + row));
        }
    }

    /// The times of `ratings` ratings as integers that are ordered as they are, and what these are.
    pub(super) fn finish(mut self, ratings: usize) -> (Vec<i64>, TimeScale) {
        if self.units.is_empty() {
            return (Vec::new(), TimeScale::default());
        }
        self.units.resize(ratings, NO_TIME);
        let [number, date] = self.kinds;
        let mixed = number.zip(date).map(|(number, date)| number.max(date));
        let units = two_units(&self.sizes);
        let mut scale = TimeScale { decimals: 0, date: date.is_some(), mixed, units };
        if self.billionths.is_empty() {
            return (self.units, scale);
        }
        self.billionths.resize(ratings, 0);
        // As many decimals as there are, and as fit.
        let needed = |decimals: u32| {
            let step = 10_u32.pow(9 - decimals);
            self.billionths.iter().all(|part| part.is_multiple_of(step))
        };
        let largest = self.units.iter().filter(|&&units| units != NO_TIME);
        let largest = largest.map(|units| units.unsigned_abs() + 1).max().unwrap_or(1);
        let fits = |decimals: u32| u128::from(largest) * 10_u128.pow(decimals) < i64::MAX as u128;
        scale.decimals = (0..=9).find(|&decimals| needed(decimals)).unwrap_or(9);
        // Whole units always do.
        while scale.decimals > 0 && !fits(scale.decimals) {
            scale.decimals -= 1;
        }
        let (factor, step) = (10_i64.pow(scale.decimals), 10_u32.pow(9 - scale.decimals));
        for (units, part) in self.units.iter_mut().zip(&self.billionths) {
            if *units != NO_TIME {
                *units = *units * factor + i64::from(part / step);
            }
        }
        (self.units, scale)
    }
}

/// What the integers that stand for times are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TimeScale {
    /// They count powers of ten of a unit: this many decimals.
    decimals: u32,
    /// The unit is a second since 1970, in UTC.
    date: bool,
    /// The first row whose time is a date after numbers, or a number after dates.
    mixed: Option<usize>,
    /// Two units that numbers seem to be of, and the first row that shows it.
    units: Option<(usize, [&'static str; 2])>,
}

impl TimeScale {
    /// What is to be said of numbers that seem to be of two units, and of which row.
    pub(super) fn two_units(self) -> Option<(usize, String)> {
        let (row, [small, large]) = self.units?;
        Some((row, format!("some timestamps look like {small} and some like {large}")))
    }

    /// What numbers from `first` to `last` count, by their size: a time between 1973 and 2286, or for days
    /// between 1954 and 2091.
    pub(super) fn unit(self, first: i64, last: i64) -> Option<&'static str> {
        if self.date {
            return Some("date");
        }
        let factor = 10_i64.pow(self.decimals);
        let (first, last) = (first.div_euclid(factor), last.div_euclid(factor));
        let units = [
            ("days", 20_000, 70_000),
            ("seconds", 100_000_000, 10_000_000_000),
            ("milliseconds", 100_000_000_000, 10_000_000_000_000),
            ("microseconds", 100_000_000_000_000, 10_000_000_000_000_000),
            ("nanoseconds", 100_000_000_000_000_000, i64::MAX),
        ];
        units.into_iter().find(|unit| unit.1 <= first && last < unit.2).map(|unit| unit.0)
    }

    /// How many of the integers between `first` and `last` a day has, where their unit is known.
    pub(super) fn day(self, first: i64, last: i64) -> Option<f64> {
        let seconds = match self.unit(first, last)? {
            "days" => 1.0 / 86_400.0,
            "milliseconds" => 1e3,
            "microseconds" => 1e6,
            "nanoseconds" => 1e9,
            _ => 1.0,
        };
        Some(86_400.0 * seconds * 10_f64.powi(self.decimals as i32))
    }

    /// A time as people write it.
    pub(super) fn show(self, time: i64) -> String {
        let factor = 10_i64.pow(self.decimals);
        let (units, part) = (time.div_euclid(factor), time.rem_euclid(factor));
        if self.date {
            let nanoseconds = part * 10_i64.pow(9 - self.decimals);
            let stamp = i128::from(units) * i128::from(BILLION) + i128::from(nanoseconds);
            if let Ok(stamp) = Timestamp::from_nanosecond(stamp) {
                return stamp.to_string();
            }
        }
        if part == 0 {
            return units.to_string();
        }
        let (sign, units, part) = match units < 0 {
            true => ("-", -(units + 1), factor - part),
            false => ("", units, part),
        };
        let decimals = format!("{part:0width$}", width = self.decimals as usize);
        format!("{sign}{units}.{}", decimals.trim_end_matches('0'))
    }
}

impl Table {
    /// Makes sure that every rating has a time, and that times can be compared, if any has one. For a table
    /// as it was read.
    ///
    /// # Errors
    /// The first that has none, or is of another kind than those before.
    pub(super) fn check_times(&self) -> Result<()> {
        let times = (0..).zip(&self.ratings.timestamps);
        let untimed = times.filter(|(_, time)| **time == NO_TIME).map(|(row, _)| row);
        Origins { lines: &self.lines, unread: &self.unread, scale: self.scale }
            .comparable(&mut { untimed })
    }
}

/// Where the ratings of a table come from.
pub(super) struct Origins<'a> {
    pub lines: &'a Lines,
    pub unread: &'a [(usize, String)],
    pub scale: TimeScale,
}

impl Places for Origins<'_> {
    fn twice(
        &self,
        first: u32,
        later: u32,
        (users, items): (&Ids, &Ids),
        ratings: &Ratings,
    ) -> String {
        let (file, line) = self.lines.locate(first as usize);
        let (later_file, later_line) = self.lines.locate(later as usize);
        let user = escaped(users.name(ratings.users[first as usize]));
        let item = escaped(items.name(ratings.items[first as usize]));
        format!(
            "{later_file}:{later_line}: user \"{user}\" rates item \"{item}\" again (first at \
             {file}:{line})"
        )
    }

    fn comparable(&self, untimed: &mut dyn Iterator<Item = u32>) -> Result<()> {
        let then = "or leave all timestamps out with `columns` user,item,rating";
        if let Some(row) = self.scale.mixed {
            let (file, line) = self.lines.locate(row);
            let what = "some timestamps are numbers and some are dates, which cannot be compared; write \
                        all alike,";
            return Err(Error::line(file, line, format!("{what} {then}")));
        }
        if let Some((row, what)) = self.scale.two_units() {
            let (file, line) = self.lines.locate(row);
            let message = format!("{what}, which cannot be compared; write all alike, {then}");
            return Err(Error::line(file, line, message));
        }
        let Some(row) = untimed.next() else { return Ok(()) };
        let (file, line) = self.lines.locate(row as usize);
        let what = match self.unread.iter().find(|unread| unread.0 == row as usize) {
            Some((_, text)) if text.trim().is_empty() => "the timestamp is empty".to_owned(),
            Some((_, text)) => format!("the timestamp \"{text}\" is not {WHAT_IS_ONE}"),
            None => format!("there is no timestamp that is {WHAT_IS_ONE}"),
        };
        Err(Error::line(file, line, format!("{what}; write one, remove the line, {then}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(texts: &[&str]) -> (Vec<i64>, TimeScale) {
        let mut times = Times::default();
        texts.iter().for_each(|text| assert_eq!(times.push(text.as_bytes()), !text.is_empty()));
        times.finish(texts.len())
    }

    #[test]
    fn numbers_and_dates_are_read_exactly() {
        let number = |units, billionths| Some(Time { units, billionths, date: false });
        let date = |units, billionths| Some(Time { units, billionths, date: true });
        let march = 1_614_729_600;
        let cases = [
            ("964982703", number(964_982_703, 0)),
            ("-5", number(-5, 0)),
            ("+5", number(5, 0)),
            (" 12 ", number(12, 0)),
            ("123.0", number(123, 0)),
            ("44197.9", number(44_197, 900_000_000)),
            ("-0.25", number(-1, 750_000_000)),
            (".5", number(0, 500_000_000)),
            ("1577836800.1234567891", number(1_577_836_800, 123_456_789)),
            ("1577836800123456789", number(1_577_836_800_123_456_789, 0)),
            ("1.5e9", number(1_500_000_000, 0)),
            ("1.61473E+09", number(1_614_730_000, 0)),
            ("9223372036854775807", number(i64::MAX, 0)),
            ("9223372036854775808", None),
            ("1e300", None),
            ("NaN", None),
            ("-inf", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1.2.3", None),
            ("2021-03-03", date(march, 0)),
            ("2021/03/03", date(march, 0)),
            ("2021-03-03T01:00", date(march + 3600, 0)),
            ("2021-03-03 01:00:00", date(march + 3600, 0)),
            ("2021-03-03T01:00:00.25", date(march + 3600, 250_000_000)),
            ("2021-03-03T01:00:00Z", date(march + 3600, 0)),
            ("2021-03-03 01:00:00 UTC", date(march + 3600, 0)),
            ("2021-03-03T01:00:00+01:00", date(march, 0)),
            ("2021-03-02T19:00:00-05:00", date(march, 0)),
            ("20210303T010000Z", date(march + 3600, 0)),
            ("1969-12-31T23:59:59.5", date(-1, 500_000_000)),
            ("2021-13-03", None),
            ("2021-03-03T25:00", None),
            ("03/02/2021", None),
            ("yesterday", None),
        ];
        for (text, want) in cases {
            assert_eq!(Time::read(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn integers_keep_the_order_and_are_shown_as_they_were() {
        let cases: [(&[&str], &[i64], &[&str]); 7] = [
            (
                &["44197.9", "44197.2", "44198"],
                &[441_979, 441_972, 441_980],
                &["44197.9", "44197.2", "44198"],
            ),
            (&["-0.25", "-1", "0.5"], &[-25, -100, 50], &["-0.25", "-1", "0.5"]),
            (
                &["1577836800123456789", "1577836800123456788"],
                &[1_577_836_800_123_456_789, 1_577_836_800_123_456_788],
                &["1577836800123456789", "1577836800123456788"],
            ),
            // Nine decimals do not fit beside so many digits.
            (&["1577836800123.123456789"], &[1_577_836_800_123_123_456], &["1577836800123.123456"]),
            (
                &["2021-03-03", "2021-03-03T00:00:00.5Z"],
                &[16_147_296_000, 16_147_296_005],
                &["2021-03-03T00:00:00Z", "2021-03-03T00:00:00.5Z"],
            ),
            (&["7", "", "8"], &[7, NO_TIME, 8], &["7"]),
            // None beside the largest.
            (&["9223372036854775807", "2.5"], &[i64::MAX, 2], &["9223372036854775807", "2"]),
        ];
        for (texts, want, shown) in cases {
            let (times, scale) = finished(texts);
            assert_eq!(times, want, "{texts:?}");
            for (time, shown) in times.iter().zip(shown) {
                assert_eq!(scale.show(*time), *shown);
            }
        }
        assert_eq!(finished(&["2021-03-03", "2021", "2022"]).1.mixed, Some(1));
        assert_eq!(finished(&["2021", "2022"]).1.mixed, None);
        for (texts, row) in [
            (&["964982703", "964982703000", "5"][..], Some(1)),
            (&["964982703000", "", "964982703"], Some(2)),
            (&["964982703", "2021-03-03"], None),
            (&["1", "964982703", "0"], None),
            // As counters that go over all sizes do.
            (&["964982703", "50000000000", "964982703000"], None),
            (&["964982703000", "964982703000000"], Some(1)),
        ] {
            assert_eq!(finished(texts).1.two_units().map(|found| found.0), row, "{texts:?}");
        }
    }

    #[test]
    fn rows_of_files_with_and_without_times_are_joined() {
        let mut all = Times::default();
        let (mut one, mut two) = (Times::default(), Times::default());
        [&b"3"[..], b"4"].iter().for_each(|text| assert!(one.push(text)));
        [&b"5.5"[..], b"x"].iter().for_each(|text| assert_eq!(two.push(text), *text != b"x"));
        all.extend(&Times::default(), 0);
        all.extend(&one, 1);
        all.extend(&two, 4);
        let (times, scale) = all.finish(7);
        assert_eq!(times, [NO_TIME, 30, 40, NO_TIME, 55, NO_TIME, NO_TIME]);
        assert_eq!(scale.decimals, 1);
    }
}
