//! What is fuzzed: each target is a function of bytes that panics where wgmf does what it must not. It is
//! run by `tests/fuzz` on a stable toolchain, with seeds and mutations of its own, and by cargo-fuzz, which
//! looks at what code a case reaches.
//!
//! A target hands bytes from elsewhere to the library as a user would, and uses whatever it takes: an error
//! is a good end, and so is a result whose numbers are all finite. A panic, a number that is not, a result
//! that contradicts itself are findings; time and memory are watched by who runs the target.
#![allow(dead_code, reason = "who runs targets uses parts of them")]

pub mod checkpoint;
pub mod flags;
pub mod lists;
pub mod model;
pub mod ratings;
pub mod reader;
pub mod settings;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use wgmf::backend::Backend;

/// A function of bytes, and what mutations of bytes begin with.
pub struct Target {
    /// Its name, that of its file and of its program under cargo-fuzz.
    pub name: &'static str,
    /// Runs one case.
    pub run: fn(&[u8]),
    /// Cases to begin with: valid ones, of every kind that the target knows.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// So many bytes at the beginning choose options; the rest is what is read.
    pub head: usize,
    /// Texts that mean something there.
    pub words: &'static [&'static str],
    /// How many of a thousand cases are its.
    pub share: usize,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    reader::TARGET,
    lists::TARGET,
    model::TARGET,
    checkpoint::TARGET,
    ratings::TARGET,
    settings::TARGET,
    flags::TARGET,
];

/// How many cases were taken, not refused: who mutates too much learns nothing behind the first check.
pub static TAKEN: AtomicU64 = AtomicU64::new(0);

fn taken() {
    TAKEN.fetch_add(1, Ordering::Relaxed);
}

/// The options' bytes, zeros where there are too few, and the rest.
fn head<const N: usize>(data: &[u8]) -> ([u8; N], &[u8]) {
    let mut head = [0; N];
    let length = N.min(data.len());
    head[..length].copy_from_slice(&data[..length]);
    (head, &data[length..])
}

/// A directory for one case, in memory where that is possible.
fn home() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::Builder::new().prefix("wgmf-fuzz-").tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a directory for a case")
}

fn write(path: PathBuf, bytes: &[u8]) -> PathBuf {
    std::fs::write(&path, bytes).expect("a file for a case");
    path
}

/// The processor.
fn cpu() -> &'static Arc<dyn Backend> {
    static CPU: OnceLock<Arc<dyn Backend>> = OnceLock::new();
    CPU.get_or_init(|| wgmf::open_device("cpu").expect("there is a processor"))
}

/// What a result says must be numbers.
#[track_caller]
fn finite(what: &str, numbers: impl IntoIterator<Item = f64>) {
    for (at, x) in numbers.into_iter().enumerate() {
        assert!(x.is_finite(), "{what}: number {at} is {x}");
    }
}

/// A text for people or programs that must show no such number.
#[track_caller]
fn finite_text(what: &str, text: &str) {
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    let bad = words.find(|word| ["nan", "NaN", "inf", "infinity", "Infinity"].contains(word));
    assert!(bad.is_none(), "{what} shows {bad:?}: {text}");
}
