//! Whether a process that never ends stays as it is: trains, breaks off, goes on from the checkpoint, saves,
//! opens, recommends, finds what is similar, evaluates and folds in, with every solver in turn, and looks at
//! its resident memory, its descriptors and its threads after each round.
//!
//!     cargo bench --bench soak -- 60 [adapter]
//!
//! runs for 60 minutes, on the CPU or on the adapter of that name (a device is opened anew in each round then),
//! prints a line a round and ends with an error if anything grew, or if a solver gave other bits than the first
//! time. Linux only: it reads `/proc`. `tools/attack/soak.py` does the same with the commands.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use wgmf::backend::Backend;
use wgmf::core::Likelihood;
use wgmf::evaluate::Relevance;
use wgmf::train::{Checkpoint, Event, Input, Origin, fingerprint, train};
use wgmf::{Dataset, Error, Options, Result, Trained, open_device};

/// Resident memory may differ by so much between the second quarter of the rounds and the last, in parts of
/// it and in KiB: allocators keep what they had once.
const GROWTH: (f64, f64) = (0.05, 4096.0);

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let minutes: f64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(60.0);
    let adapter = args.next().unwrap_or_else(|| "cpu".to_owned());
    let home = tempfile::tempdir().map_err(|e| Error::io("the temporary directory", e))?;
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let (training, test) = Dataset::from_files(&[sample])?.split(0.1, 0)?;
    let began = Instant::now();
    let mut first = BTreeMap::new();
    let mut rounds: Vec<Usage> = Vec::new();
    while began.elapsed().as_secs_f64() < 60.0 * minutes || rounds.len() < 8 {
        let device = open_device(&adapter)?;
        for (name, options) in solvers() {
            let digest = round(name, &options, (&training, &test), &device, home.path())?;
            let known = first.entry(name).or_insert_with(|| digest.clone());
            if *known != digest {
                return Err(Error::data(format!("{name}: other bits than in the first round")));
            }
        }
        drop(device);
        let now = Usage::now();
        println!(
            "{:7.1} s  round {:4}  {:8} KiB  {:3} descriptors  {:3} threads",
            began.elapsed().as_secs_f64(),
            rounds.len() + 1,
            now.resident,
            now.descriptors,
            now.threads
        );
        rounds.push(now);
    }
    flat(&rounds)
}

/// What a process holds.
#[derive(Clone, Copy)]
struct Usage {
    /// Resident memory in KiB.
    resident: u64,
    descriptors: u64,
    threads: u64,
}

impl Usage {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse().ok()).unwrap_or_default()
        };
        // The one that lists them counts too, in each round.
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64);
        Self { resident: number("VmRSS:"), descriptors, threads: number("Threads:") }
    }
}

/// An error if the last quarter of the rounds holds more than the second.
fn flat(rounds: &[Usage]) -> Result<()> {
    let quarter = rounds.len() / 4;
    let (then, now) = (&rounds[quarter..2 * quarter], &rounds[rounds.len() - quarter..]);
    let mean =
        |part: &[Usage]| part.iter().map(|u| u.resident as f64).sum::<f64>() / part.len() as f64;
    let (before, after) = (mean(then), mean(now));
    let most =
        |part: &[Usage], of: fn(&Usage) -> u64| part.iter().map(of).max().unwrap_or_default();
    println!("resident memory: {before:.0} KiB in the second quarter, {after:.0} in the last");
    if after > before * (1.0 + GROWTH.0) + GROWTH.1 {
        return Err(Error::data("resident memory grows"));
    }
    for (what, of) in [
        ("descriptors", (|u: &Usage| u.descriptors) as fn(&Usage) -> u64),
        ("threads", |u: &Usage| u.threads),
    ] {
        let (before, after) = (most(then, of), most(now, of));
        println!("{what}: {before} at most in the second quarter, {after} in the last");
        if after > before {
            return Err(Error::data(format!("{what} grow")));
        }
    }
    println!("{} rounds, nothing grows", rounds.len());
    Ok(())
}

fn solvers() -> Vec<(&'static str, Options)> {
    let bayes = || Options::bayes().factors(4).samples(6).burn_in(2);
    vec![
        ("als", Options::als().factors(8).epochs(6)),
        ("sgd", Options::sgd().factors(8).epochs(4)),
        ("adam", Options::adam().factors(8).epochs(4).patience(3)),
        ("ials", Options::ials().factors(8).epochs(4)),
        ("bayes", Options { chains: Some(2), ..bayes() }),
        ("ordinal", bayes().likelihood(Likelihood::Ordinal)),
    ]
}

/// One of everything; what it comes to, as text.
fn round(
    name: &str,
    options: &Options,
    (training, test): (&Dataset, &Dataset),
    device: &Arc<dyn Backend>,
    home: &Path,
) -> Result<String> {
    let prepared = training.prepare(Some(test))?;
    let (users, items) = (prepared.users.len(), prepared.items.len());
    let settings = options.resolve(&prepared.train, users, items)?;
    let ratings = fingerprint(users, items, &prepared.train, prepared.test.as_ref());
    let origin = Origin::new(ratings, &device.device());
    let place = home.join(format!("{name}.checkpoint"));
    let input = |resume, every| Input {
        test: prepared.test.as_ref(),
        resume,
        checkpoint_every: every,
        ..Input::new(&prepared.users, &prepared.items, &prepared.train)
    };
    train(&**device, input(None, Some(2)), &settings, &mut |event| {
        let Event::Checkpoint(checkpoint) = event else { return Ok(ControlFlow::Continue(())) };
        checkpoint.save(&place, &settings, &origin, None)?;
        Ok(ControlFlow::Break(()))
    })?;
    let resume = Checkpoint::open(&place, &settings, &origin, false)?;
    let outcome = train(&**device, input(Some(resume), None), &settings, &mut |_| {
        Ok(ControlFlow::Continue(()))
    })?;
    Checkpoint::remove(&place)?;
    let finished = outcome.finish(prepared, &settings, device.device(), 0.0)?;
    let dir = home.join(name);
    finished.model.save_with(&dir, &finished.seen, finished.samples.as_ref(), true)?;
    drop(finished);
    let model = Trained::open(&dir, device)?;
    let some: Vec<String> = training.users().iter().take(50).map(str::to_owned).collect();
    let lists = model.recommend_many(&some, 10)?;
    let similar = model.similar_items("Amber Bells", 10)?;
    let evaluation = model.evaluate(test)?;
    let ranking = model.evaluate_ranking(test, &[10], Relevance::All)?;
    let zoe = Dataset::from_triples(&["Zoe"; 2], &["Amber Bells", "Dim Glass"], &[5.0, 1.0])?;
    let grown = model.fold_in(&zoe)?.trained;
    grown.save(home.join(format!("{name}-grown")), true)?;
    let zoes = grown.recommend("Zoe", 5)?;
    Ok(format!("{lists:?} {similar:?} {evaluation} {ranking:?} {zoes:?}"))
}
