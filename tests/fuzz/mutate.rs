//! Cases made of seeds: bits, bytes, ranges, lines, tokens and numbers are changed, taken out, put in twice,
//! cut off, and mixed with those of other seeds.

use crate::targets::Target;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Numbers at which something ends, as text.
const NUMBERS: [&str; 40] = [
    "0",
    "-0",
    "1",
    "-1",
    "5",
    "0.5",
    "1e38",
    "3.4028235e38",
    "3.4028236e38",
    "-3.4028235e38",
    "1e39",
    "1e308",
    "1e309",
    "-1e309",
    "1e-45",
    "1e-46",
    "1e-320",
    "5e-324",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "4294967294",
    "4294967295",
    "4294967296",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "1e9",
    "1,5",
    "1.",
    ".5",
    "+3",
    "0x1F",
    "1_000",
    "00000000000000000000000007",
    "999999999999999999999999999999999999999999",
];

/// The same as bytes of files that hold numbers as they lie in memory.
fn binary(random: &mut ChaCha8Rng) -> Vec<u8> {
    let small = random.random_range(0..64_u64);
    let floats =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-40, -1.0, 0.0, 1e30];
    let doubles = [f64::NAN, f64::INFINITY, f64::MAX, 1e-320, -1.0, 0.0, 1e300, f64::MIN_POSITIVE];
    match random.random_range(0..6) {
        0 => floats.choose(random).map_or(Vec::new(), |x| x.to_le_bytes().to_vec()),
        1 => doubles.choose(random).map_or(Vec::new(), |x| x.to_le_bytes().to_vec()),
        2 => [0, 1, u32::MAX, u32::MAX - 1, 1 << 31, 1 << 16]
            .choose(random)
            .map_or(Vec::new(), |x: &u32| x.to_le_bytes().to_vec()),
        3 => [0, 1, u64::MAX, 1 << 63, 1 << 62, 1 << 32, (1 << 63) - 1]
            .choose(random)
            .map_or(Vec::new(), |x: &u64| x.to_le_bytes().to_vec()),
        4 => small.to_le_bytes().to_vec(),
        _ => (small as u32).to_le_bytes().to_vec(),
    }
}

/// A case's bytes at most, but where a long one is asked for.
const LONGEST: usize = 1 << 14;

/// Makes the cases of a target.
pub struct Mutator<'a> {
    target: &'a Target,
    seeds: Vec<Vec<u8>>,
    seed: u64,
}

impl<'a> Mutator<'a> {
    pub fn new(target: &'a Target, seed: u64) -> Self {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty() && seeds.iter().all(|seed| seed.len() > target.head));
        Self { target, seeds, seed }
    }

    /// The case of a number: every other one a seed as it is, until there are no more, in an order that
    /// takes some of each kind early; then what becomes of them.
    pub fn case(&self, number: u64) -> Vec<u8> {
        const STEP: usize = 7919;
        if let Ok(at) = usize::try_from(number / 2)
            && number.is_multiple_of(2)
            && at < self.seeds.len()
        {
            return self.seeds[at * STEP % self.seeds.len()].clone();
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(number);
        let random = &mut random;
        let seed = self.seeds.choose(random).expect("there are seeds");
        let (head, body) = seed.split_at(self.target.head);
        let (mut head, mut body) = (head.to_vec(), body.to_vec());
        for byte in &mut head {
            // Two bytes of a hundred; the options that seeds come with mean most.
            if random.random_range(0..50) == 0 {
                *byte = random.random();
            }
        }
        let times = match random.random_range(0..10) {
            0..5 => 1,
            5..8 => 2,
            8 => 4,
            _ => random.random_range(5..20),
        };
        for _ in 0..times {
            self.mutate(&mut body, random);
        }
        if random.random_range(0..2000) == 0 {
            lengthen(&mut body, random);
        }
        [head, body].concat()
    }

    fn mutate(&self, body: &mut Vec<u8>, random: &mut ChaCha8Rng) {
        let at = random.random_range(0..=body.len());
        let end = (at + random.random_range(1..24)).min(body.len());
        if random.random_range(0..4) > 0
            && let Some(numbers) = numbers(body)
        {
            // What stands at its place is read; where all is moved, the file is refused as a whole.
            return overwrite(&mut body[numbers..], random);
        }
        match random.random_range(0..16) {
            0 if at < body.len() => body[at] ^= 1 << random.random_range(0..8),
            1 if at < body.len() => body[at] = random.random(),
            2 => drop(body.drain(at..end)),
            3 => {
                let piece = body[at..end].to_vec();
                let to = random.random_range(0..=body.len());
                body.splice(to..to, piece);
            }
            4 if random.random_range(0..3) == 0 => body.truncate(at),
            5..8 => {
                if let Some(word) = self.target.words.choose(random) {
                    // Of a command line an argument, mostly.
                    if self.target.head == 0 && random.random_range(0..4) > 0 {
                        let mut all: Vec<&[u8]> = body.split(|&b| b == b'\n').collect();
                        let at = random.random_range(0..all.len());
                        match random.random_range(0..3) {
                            0 => all.insert(at, word.as_bytes()),
                            _ => all[at] = word.as_bytes(),
                        }
                        *body = all.join(&b'\n');
                        return;
                    }
                    let end = if random.random() { at } else { end };
                    body.splice(at..end, word.bytes());
                }
            }
            8..11 => number(body, random),
            11 => overwrite(body, random),
            12 => {
                let other = self.seeds.choose(random).expect("there are seeds");
                let other = &other[self.target.head..];
                let (from, to) = range(other.len(), random);
                let (at, end) = range(body.len(), random);
                body.splice(at..end, other[from..to].iter().copied());
            }
            _ => lines(body, random),
        }
        body.truncate(LONGEST);
    }
}

/// Where the numbers of a file of tensors begin, behind its header.
fn numbers(body: &[u8]) -> Option<usize> {
    let header = u64::from_le_bytes(body.get(..8)?.try_into().ok()?);
    let begin = usize::try_from(header).ok()?.checked_add(8)?;
    (body.get(8) == Some(&b'{') && begin < body.len()).then_some(begin)
}

/// Puts a number in the place of another, mostly at a multiple of its length from the end, where such stand.
fn overwrite(body: &mut [u8], random: &mut ChaCha8Rng) {
    let bytes = binary(random);
    let room = body.len() / bytes.len();
    if random.random_range(0..4) == 0 {
        if let Some(byte) = body.choose_mut(random) {
            *byte ^= 1 << random.random_range(0..8);
        }
    } else if room > 0 {
        let at = body.len() - bytes.len() * random.random_range(1..=room);
        body[at..at + bytes.len()].copy_from_slice(&bytes);
    }
}

fn range(length: usize, random: &mut impl Rng) -> (usize, usize) {
    let (a, b) = (random.random_range(0..=length), random.random_range(0..=length));
    (a.min(b), a.max(b))
}

/// Puts another number in the place of one.
fn number(body: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let is = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e');
    let starts: Vec<usize> = (0..body.len())
        .filter(|&at| body[at].is_ascii_digit() && (at == 0 || !is(body[at - 1])))
        .take(4096)
        .collect();
    let Some(&at) = starts.choose(random) else { return };
    let end = (at..body.len()).find(|&j| !is(body[j])).unwrap_or(body.len());
    if let Some(number) = NUMBERS.choose(random) {
        body.splice(at..end, number.bytes());
    }
}

/// Exchanges, repeats or takes out a line.
fn lines(body: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let mut lines: Vec<Vec<u8>> =
        body.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (a, b) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
    match random.random_range(0..4) {
        0 => lines.swap(a, b),
        1 => drop(lines.remove(a)),
        2 => {
            let line = lines[a].clone();
            lines.splice(b..b, std::iter::repeat_n(line, random.random_range(1..40)));
        }
        _ => {
            let from = lines[b].clone();
            lines[a].splice(0..0, from);
        }
    }
    *body = lines.concat();
}

/// Makes a field, a line or a file longer than a piece of reading.
fn lengthen(body: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let at = random.random_range(0..=body.len());
    let byte = *b"x\"1,\n \0{[".choose(random).expect("bytes");
    let length = [65_535, 65_536, 65_537, 1 << 20].choose(random).copied().unwrap_or(1);
    body.splice(at..at, std::iter::repeat_n(byte, length));
}
