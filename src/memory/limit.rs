//! How much a process may take, by whoever started it, and sizes in words.

use crate::{Error, Result};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// What bounds the memory that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit {
    /// What the system says that there is.
    #[default]
    System,
    /// So many bytes for the whole process, whatever the system says.
    Bytes(u64),
    /// Nothing: work begins whether or not it can end.
    Nothing,
}

/// [`Limit::System`] and [`Limit::Nothing`] as numbers of bytes that nobody means.
const SYSTEM: u64 = u64::MAX - 1;
const NOTHING: u64 = u64::MAX;

static LIMIT: AtomicU64 = AtomicU64::new(SYSTEM);

/// Sets what bounds the memory of this process, for all of its threads.
pub fn set_limit(limit: Limit) {
    let bytes = match limit {
        Limit::System => SYSTEM,
        Limit::Bytes(bytes) => bytes.min(SYSTEM - 1),
        Limit::Nothing => NOTHING,
    };
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// What bounds it now.
pub fn limit() -> Limit {
    match LIMIT.load(Ordering::Relaxed) {
        SYSTEM => Limit::System,
        NOTHING => Limit::Nothing,
        bytes => Limit::Bytes(bytes),
    }
}

/// Units of a size, and their bytes.
const UNITS: [(&str, u64); 13] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("t", 1_000_000_000_000),
    ("g", 1_000_000_000),
    ("m", 1_000_000),
    ("k", 1_000),
    ("b", 1),
];

impl FromStr for Limit {
    type Err = Error;

    /// A size as in `8GB`, `1.5 GiB` or `500M`, plain bytes, or `none`.
    fn from_str(text: &str) -> Result<Self> {
        let lower = text.trim().to_lowercase();
        if lower == "none" {
            return Ok(Limit::Nothing);
        }
        let (number, unit) = UNITS
            .iter()
            .find_map(|&(name, bytes)| Some((lower.strip_suffix(name)?, bytes)))
            .unwrap_or((&lower, 1));
        let bytes = number.trim().parse::<f64>().map_or(f64::NAN, |number| number * unit as f64);
        match (1.0..1e18).contains(&bytes) {
            true => Ok(Limit::Bytes(bytes as u64)),
            false => Err(Error::settings(format!(
                "\"{text}\" is no size of memory; give one as in 8GB or 500MB, or none"
            ))),
        }
    }
}

/// Bytes in words: `3 kB`, `120 MB`, `2.1 GB`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1e6 => format!("{:.0} kB", (bytes / 1e3).ceil()),
        ..999.5e6 => format!("{:.0} MB", bytes / 1e6),
        ..999.95e9 => format!("{:.1} GB", bytes / 1e9),
        ..999.95e12 => format!("{:.1} TB", bytes / 1e12),
        _ => format!("{:.0} TB", bytes / 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_said() {
        for (text, bytes) in [
            ("8GB", 8_000_000_000),
            ("1.5 GiB", 3 << 29),
            ("500m", 500_000_000),
            ("64KiB", 65536),
            ("4096", 4096),
            ("12 b", 12),
        ] {
            assert_eq!(text.parse::<Limit>().unwrap(), Limit::Bytes(bytes), "{text}");
        }
        assert_eq!("None".parse::<Limit>().unwrap(), Limit::Nothing);
        for text in ["", "GB", "-1GB", "0", "nan", "inf", "1e30", "8 GB of it"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
        for (bytes, text) in [
            (0, "0 kB"),
            (1, "1 kB"),
            (120_400_000, "120 MB"),
            (2_149_000_000, "2.1 GB"),
            (999_600_000, "1.0 GB"),
            (20_480_000_000_000, "20.5 TB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
