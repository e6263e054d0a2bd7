//! The targets of `fuzz/`, run on what a seeded mutator makes of their seeds: the same cases everywhere.
//!
//! WGMF_FUZZ_CASES asks for other than 20,000 cases in all, WGMF_FUZZ_SEED for others, WGMF_FUZZ_TARGET for
//! one target alone, and WGMF_FUZZ_CASE for one case of it, whose bytes are written to WGMF_FUZZ_OUT.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

#[path = "../../fuzz/targets/mod.rs"]
mod targets;

mod mutate;
mod watch;

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

#[global_allocator]
static COUNTED: watch::Counted = watch::Counted;

/// What a case may take.
const MOST_BYTES: usize = 256 << 20;
const MOST_SECONDS: u64 = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// What is counted is counted of the program: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    static STARTED: Once = Once::new();
    let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    STARTED.call_once(watch::start);
    alone
}

/// What was found: the first case of each kind, and how many there were.
type Found = BTreeMap<String, (String, usize)>;

fn run(target: &Target, cases: std::ops::Range<u64>, seed: u64, found: &mut Found) {
    let mutator = mutate::Mutator::new(target, seed);
    let (began, mut slowest) = (Instant::now(), (Duration::ZERO, 0));
    let mut largest = (0, 0);
    for case in cases.clone() {
        let data = mutator.case(case);
        watch::begin(target.name, case);
        let clock = Instant::now();
        let end = catch_unwind(|| (target.run)(&data));
        let (took, most) = (clock.elapsed(), watch::end());
        slowest = slowest.max((took, case));
        largest = largest.max((most, case));
        let kind = match end {
            Err(_) => watch::message(),
            Ok(()) if took > Duration::from_secs(MOST_SECONDS) => "takes long".to_owned(),
            Ok(()) if most > MOST_BYTES => "takes much memory".to_owned(),
            Ok(()) => continue,
        };
        let kind = format!("{}: {kind}", target.name);
        let what = format!("case {case} of seed {seed}, {took:.1?}, {} MiB", most >> 20);
        let entry = found.entry(kind.clone()).or_insert_with(|| {
            if let Some(out) = std::env::var_os("WGMF_FUZZ_OUT") {
                let path = PathBuf::from(out).join(format!("{}-{seed}-{case}", target.name));
                std::fs::write(path, &data).unwrap();
            }
            println!("{kind}\n    {what}");
            (what, 0)
        });
        entry.1 += 1;
    }
    println!(
        "{}: {} cases in {:.1?}, of which {} taken; the longest {:.0?} (case {}), the largest {} KiB (case {})",
        target.name,
        cases.end - cases.start,
        began.elapsed(),
        targets::TAKEN.swap(0, Relaxed),
        slowest.0,
        slowest.1,
        largest.0 >> 10,
        largest.1,
    );
}

#[test]
fn what_comes_from_elsewhere_is_read_whole_or_refused() {
    let _alone = alone();
    targets::flags::BINARY.set(env!("CARGO_BIN_EXE_wgmf").into()).unwrap();
    let cases = number("WGMF_FUZZ_CASES").unwrap_or(20_000);
    let seed = number("WGMF_FUZZ_SEED").unwrap_or(0);
    let only = std::env::var("WGMF_FUZZ_TARGET").ok();
    let mut found = Found::new();
    for target in TARGETS {
        if only.as_ref().is_some_and(|only| only != target.name) {
            continue;
        }
        let share = cases * target.share as u64 / 1000;
        let range = match number("WGMF_FUZZ_CASE") {
            Some(case) => case..case + 1,
            None => number("WGMF_FUZZ_FROM").unwrap_or(0)..share,
        };
        run(&target, range, seed, &mut found);
    }
    let found: Vec<String> = found
        .into_iter()
        .map(|(kind, (first, times))| format!("{kind}\n    {times} times, first {first}"))
        .collect();
    assert!(found.is_empty(), "found:\n{}", found.join("\n"));
}

#[test]
fn who_runs_a_target_notices_what_it_must_not_do() {
    let _alone = alone();
    assert_eq!(TARGETS.iter().map(|target| target.share).sum::<usize>(), 1000);
    assert!(
        targets::model::binds(),
        "what is bound anew is refused, and nothing behind it reached"
    );
    // Every target takes all of its seeds, and mutations of them differ from case to case.
    let panicking = Target {
        name: "planted",
        run: |data| assert!(!data.contains(&b'7'), "a seven"),
        seeds: || vec![b"user,item,rating\nann,x,4\n".to_vec()],
        head: 0,
        words: &["7"],
        share: 0,
    };
    let mut found = Found::new();
    run(&panicking, 0..200, 0, &mut found);
    assert!(found.keys().any(|kind| kind.contains("a seven")), "{found:?}");
    let hungry =
        Target { run: |_| drop(std::hint::black_box(vec![0_u8; MOST_BYTES + 1])), ..panicking };
    let mut found = Found::new();
    run(&hungry, 0..1, 0, &mut found);
    assert!(found.keys().any(|kind| kind.contains("memory")), "{found:?}");
    let mutator = mutate::Mutator::new(&hungry, 0);
    let cases: Vec<Vec<u8>> = (0..50).map(|case| mutator.case(case)).collect();
    assert_eq!(cases, (0..50).map(|case| mutator.case(case)).collect::<Vec<_>>());
    let distinct: std::collections::BTreeSet<_> = cases.iter().collect();
    assert!(distinct.len() > 40, "{} distinct cases", distinct.len());
}
