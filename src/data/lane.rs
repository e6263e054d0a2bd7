//! One lane of the parallel reader: the ratings of a chunk, with ids numbered in the order in
//! which the lane met them.
//!
//! A lane keeps its ids from chunk to chunk, so that the shared table only sees an id once a lane.
//! Lanes take chunks in order and are merged in order of their chunks; an id that is old in its
//! lane is then old in the shared table too, which keeps that table in order of first appearance.

use super::fields::Field;
use super::layout::shorten;
use super::times::Times;
use crate::core::{Ids, UNKNOWN, long_hash, short_hash};
use hashbrown::HashTable;

/// The longest id, in bytes.
const LONGEST_ID: usize = 64 << 10;

/// How many of the lines that are passed over are shown.
pub(super) const SHOWN: usize = 3;

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadId {
    /// There is nothing.
    Empty,
    /// It is longer than any id can be.
    Long,
    /// It is not UTF-8.
    NotText,
    /// It holds a NUL byte or a carriage return, which no id has.
    Control(&'static str),
}

impl BadId {
    /// Words for "the user id ...".
    pub(super) fn describe(self, id: &[u8]) -> String {
        match self {
            BadId::Empty => "is empty".into(),
            BadId::Long => "is longer than 64 KiB; is a closing quote missing?".into(),
            BadId::NotText => {
                format!(
                    "\"{}\" is not UTF-8, as what comes before is (`encoding` names another)",
                    shorten(id)
                )
            }
            BadId::Control(what) => format!("\"{}\" holds {what}", shorten(id)),
        }
    }
}

/// The ids of one side that a lane has met.
#[derive(Default)]
pub(super) struct LaneIds {
    short: ShortIds,
    long: HashTable<(u32, u32)>,
    hasher: foldhash::fast::FixedState,
    text: String,
    ends: Vec<usize>,
    /// Index in the shared table of each id that has been merged.
    shared: Vec<u32>,
}

impl LaneIds {
    /// The lane's index of `id`, or what is wrong with it.
    #[inline(always)]
    pub(super) fn index(&mut self, id: Field<'_>) -> Result<u32, BadId> {
        let new = self.ends.len() as u32;
        let index = match id.packed() {
            Some(key) => self.short.find_or_insert(key, new),
            None => self.long_index(id.bytes(), new)?,
        };
        if index == new {
            self.add(id.bytes())?;
        }
        Ok(index)
    }

    fn long_index(&mut self, id: &[u8], new: u32) -> Result<u32, BadId> {
        if id.is_empty() {
            return Err(BadId::Empty);
        }
        if id.len() > LONGEST_ID {
            return Err(BadId::Long);
        }
        let Self { text, ends, hasher, long, .. } = self;
        let hash = short_hash(hasher, id);
        let same = |entry: &(u32, u32)| entry.0 == hash && bytes(text, ends, entry.1) == id;
        if let Some(entry) = long.find(long_hash(hash), same) {
            return Ok(entry.1);
        }
        long.insert_unique(long_hash(hash), (hash, new), |entry| long_hash(entry.0));
        Ok(new)
    }

    #[cold]
    fn add(&mut self, id: &[u8]) -> Result<(), BadId> {
        self.text.push_str(checked(id)?);
        self.ends.push(self.text.len());
        Ok(())
    }

    /// Adds what is new here to the shared table; false when that is full.
    pub(super) fn merge(&mut self, all: &mut Ids) -> bool {
        for index in self.shared.len()..self.ends.len() {
            if all.len() >= UNKNOWN as usize {
                return false;
            }
            let from = if index == 0 { 0 } else { self.ends[index - 1] };
            self.shared.push(all.intern(&self.text[from..self.ends[index]]));
        }
        true
    }

    /// The shared table's indices of merged ids.
    pub(super) fn shared(&self, local: &[u32]) -> impl Iterator<Item = u32> {
        local.iter().map(|&index| self.shared[index as usize])
    }
}

/// The text of an id.
pub(super) fn checked(id: &[u8]) -> Result<&str, BadId> {
    let text = std::str::from_utf8(id).map_err(|_| BadId::NotText)?;
    // A quoted id may go on over lines.
    let alone = |&at: &usize| id[at] == 0 || id.get(at + 1) != Some(&b'\n');
    match memchr::memchr2_iter(0, b'\r', id).find(alone) {
        Some(at) if id[at] == 0 => Err(BadId::Control("a NUL byte")),
        Some(_) => Err(BadId::Control("a carriage return; do all lines of the file end alike?")),
        None if id.is_empty() => Err(BadId::Empty),
        None if id.len() > LONGEST_ID => Err(BadId::Long),
        None => Ok(text),
    }
}

fn bytes<'a>(text: &'a str, ends: &[usize], index: u32) -> &'a [u8] {
    let index = index as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &text.as_bytes()[start..ends[index]]
}

/// An open-addressing table from packed ids to indices; key 0 is an empty place.
#[derive(Default)]
struct ShortIds {
    places: Vec<(u64, u32)>,
    used: usize,
}

impl ShortIds {
    #[inline(always)]
    fn find_or_insert(&mut self, key: u64, new: u32) -> u32 {
        if self.used * 4 >= self.places.len() * 3 {
            self.grow();
        }
        let mask = self.places.len() - 1;
        let mut at = spread(key) & mask;
        loop {
            let place = &mut self.places[at & mask];
            if place.0 == key {
                return place.1;
            }
            if place.0 == 0 {
                *place = (key, new);
                self.used += 1;
                return new;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let larger = (self.places.len() * 2).max(1024);
        let old = std::mem::replace(&mut self.places, vec![(0, 0); larger]);
        for place in old.into_iter().filter(|place| place.0 != 0) {
            let mut at = spread(place.0) & (larger - 1);
            while self.places[at].0 != 0 {
                at = (at + 1) & (larger - 1);
            }
            self.places[at] = place;
        }
    }
}

/// A folded multiplication: every bit of the key reaches the low bits.
#[inline(always)]
fn spread(key: u64) -> usize {
    let product = u128::from(key ^ 0x243f_6a88_85a3_08d3)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (product as u64 ^ (product >> 64) as u64) as usize
}

/// The ratings of one chunk as one lane read them.
#[derive(Default)]
pub(super) struct Lane {
    /// Users met by this lane.
    pub users: LaneIds,
    /// Items met by this lane.
    pub items: LaneIds,
    /// The chunk's ratings, in the lane's own indices.
    pub rows: Rows,
}

/// What one chunk held; lines count from 0 at the start of the chunk.
#[derive(Default)]
pub(super) struct Rows {
    /// The lane's user index of each rating.
    pub users: Vec<u32>,
    /// The lane's item index of each rating.
    pub items: Vec<u32>,
    /// The ratings.
    pub values: Vec<f32>,
    /// What they count, where the file says.
    pub weights: Vec<f32>,
    /// Their timestamps, where the file has them.
    pub times: Times,
    /// `(row, line)` wherever a row does not lie one line below the row before.
    pub runs: Vec<(u64, u64)>,
    /// How many lines the chunk has.
    pub lines: u64,
    /// The first line that cannot be read, and why.
    pub failure: Option<(u64, String)>,
    /// How many lines were passed over, and the first ones with why.
    pub skipped: u64,
    pub skipped_first: Vec<(u64, String)>,
    /// How many ratings were left out by their value.
    pub dropped: u64,
    /// How many fields begin with a quote that does not quote them.
    pub literal: u64,
    /// How many ratings are whole numbers that single precision rounds, and the line of the first.
    pub rounded: u64,
    pub rounded_first: Option<u64>,
    next_line: u64,
}

impl Rows {
    /// Forgets the chunk, keeps the memory.
    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.items.clear();
        self.values.clear();
        self.weights.clear();
        self.times.clear();
        self.runs.clear();
        (self.lines, self.failure) = (0, None);
        (self.skipped, self.dropped, self.literal) = (0, 0, 0);
        self.skipped_first.clear();
        (self.rounded, self.rounded_first) = (0, None);
        self.next_line = u64::MAX;
    }

    /// Notes a line that cannot be read; whether to go on.
    #[cold]
    pub(super) fn failed(&mut self, line: u64, message: String, skips: bool) -> bool {
        if skips {
            self.skipped += 1;
            if self.skipped_first.len() < SHOWN {
                self.skipped_first.push((line, message));
            }
        } else {
            self.failure = Some((line, message));
        }
        skips
    }

    /// Adds a rating found at `line`.
    #[inline(always)]
    pub(super) fn push(&mut self, user: u32, item: u32, value: f32, line: u64) {
        if line != self.next_line {
            self.runs.push((self.values.len() as u64, line));
        }
        self.next_line = line + 1;
        self.push_on(user, item, value);
    }

    /// Adds the first rating of a list at `line`; the others follow by [`push_on`](Self::push_on).
    pub(super) fn push_list(&mut self, user: u32, item: u32, line: u64) {
        // The line above may be a list, too, whose ratings lie on one line.
        self.next_line = u64::MAX;
        self.push(user, item, 1.0, line);
    }

    /// Adds a rating where the one before it says.
    #[inline(always)]
    pub(super) fn push_on(&mut self, user: u32, item: u32, value: f32) {
        self.users.push(user);
        self.items.push(item);
        self.values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_ids_are_told_apart() {
        let mut ids = LaneIds::default();
        let names: [&[u8]; 10] = [
            b"1",
            b"11",
            b"111",
            b"1111",
            b"11111",
            b"111111",
            b"1111111",
            b"11111111",
            b"111111111",
            "\u{e9}".as_bytes(),
        ];
        for (want, name) in names.iter().enumerate() {
            assert_eq!(ids.index(Field::from(*name)), Ok(want as u32), "{name:?}");
        }
        for (want, name) in names.iter().enumerate() {
            assert_eq!(ids.index(Field::from(*name)), Ok(want as u32), "{name:?}");
        }
    }

    #[test]
    fn what_is_no_id_is_told() {
        for (id, want) in [
            (&b"1\0"[..], "\"1\u{fffd}\" holds a NUL byte"),
            (b"1111111\0", "\"1111111\u{fffd}\" holds a NUL byte"),
            (b"a\rb", "\"a\u{fffd}b\" holds a carriage return"),
            (b"", "is empty"),
            (b"\xff", "\"\u{fffd}\" is not UTF-8"),
        ] {
            let error = LaneIds::default().index(Field::from(id)).unwrap_err();
            assert!(error.describe(id).starts_with(want), "{}", error.describe(id));
        }
    }

    #[test]
    fn many_short_ids_survive_growth() {
        let mut ids = LaneIds::default();
        for round in 0..2 {
            for i in 0..50_000_u32 {
                assert_eq!(
                    ids.index(Field::from(i.to_string().as_bytes())),
                    Ok(i),
                    "round {round}"
                );
            }
        }
        let mut all = Ids::new();
        assert!(ids.merge(&mut all));
        assert_eq!((all.len(), all.name(49_999)), (50_000, "49999"));
    }
}
