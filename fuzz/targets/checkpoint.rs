//! Checkpoints of every solver, one file of which is from elsewhere; what is taken is gone on with.

use super::{Target, cpu, finite, head, home, model, taken, write};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use wgmf::core::{Factors, Options, Settings, Side, Solver};
use wgmf::data::Prepared;
use wgmf::train::{Checkpoint, Event, Input, Origin, train};

pub const TARGET: Target =
    Target { name: "checkpoint", run: checkpoint, seeds, head: HEAD, words: &WORDS, share: 80 };

const HEAD: usize = 2;

const WORDS: [&str; 24] = [
    "\"F32\"",
    "\"F64\"",
    "\"I64\"",
    "\"shape\":[",
    "\"data_offsets\":[",
    "user_factors",
    "moment0_user_factors",
    "best_user_factors",
    "held_out_sums",
    "prediction_trace",
    "noise_precision_trace",
    "\"moments\":",
    "\"best\":",
    "\"history\":[",
    "\"epoch\":",
    "null",
    "true",
    "-1",
    "1e999",
    "NaN",
    "{}",
    "[]",
    "18446744073709551615",
    "0",
];

struct Base {
    settings: Settings,
    prepared: Prepared,
    files: BTreeMap<String, Vec<u8>>,
}

/// Checkpoints after the second epoch of runs that go on.
fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let short = |solver| Options::of(solver).factors(2).epochs(3);
        let bayes = Options::of(Solver::Bayes).factors(2).samples(3).burn_in(1);
        let best = Options { patience: Some(2), momentum: Some(0.5), ..short(Solver::Sgd) };
        let ordinal = Options {
            likelihood: Some(wgmf::core::Likelihood::Ordinal),
            chains: Some(2),
            keep: Some(2),
            ..bayes.clone()
        };
        let cases = [short(Solver::Adam), bayes, best, short(Solver::Als), ordinal];
        cases.iter().map(base).collect()
    })
}

fn base(options: &Options) -> Base {
    let (training, test) = model::dataset().split(0.2, 1).expect("two parts");
    let prepared = training.prepare(Some(&test)).expect("ratings");
    let sizes = (prepared.users.len(), prepared.items.len());
    let settings = options.resolve(&prepared.train, sizes.0, sizes.1).expect("settings");
    let home = home();
    let dir = home.path().join("c");
    run(&prepared, &settings, None, |event| {
        if let Event::Checkpoint(checkpoint) = event
            && checkpoint.history.len() == 2
        {
            checkpoint.save(&dir, &settings, &Origin::default(), None).expect("a checkpoint");
        }
    })
    .expect("a run");
    let entries = std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("a file"));
    let read = |path| std::fs::read(path).expect("a file");
    let files =
        entries.map(|e| (e.file_name().to_string_lossy().into_owned(), read(e.path()))).collect();
    Base { settings, prepared, files }
}

fn run(
    prepared: &Prepared,
    settings: &Settings,
    resume: Option<Checkpoint>,
    mut listen: impl FnMut(&Event),
) -> wgmf::Result<Factors> {
    let input = Input {
        test: prepared.test.as_ref(),
        resume,
        checkpoint_every: Some(1),
        ..Input::new(&prepared.users, &prepared.items, &prepared.train)
    };
    let listen = &mut |event: Event| {
        listen(&event);
        Ok(ControlFlow::Continue(()))
    };
    train(&**cpu(), input, settings, listen).map(|outcome| outcome.factors)
}

pub fn checkpoint(data: &[u8]) {
    let (head, body) = head::<HEAD>(data);
    let base = &bases()[usize::from(head[0]) % bases().len()];
    let name = base.files.keys().nth(usize::from(head[1]) % base.files.len()).expect("a file");
    let home = home();
    for (other, bytes) in &base.files {
        write(home.path().join(other), if other == name { body } else { bytes });
    }
    let _ = Checkpoint::written_with(home.path());
    let opened = Checkpoint::open(home.path(), &base.settings, &Origin::default(), false);
    let Ok(checkpoint) = opened else { return };
    taken();
    let Ok(factors) = run(&base.prepared, &base.settings, Some(checkpoint), |_| {}) else { return };
    for side in Side::BOTH {
        let numbers = factors[side].factors.iter().chain(&factors[side].bias);
        finite("a run that went on", numbers.copied().map(f64::from));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (base, at) in (0..).zip(bases()) {
        for (file, bytes) in (0..).zip(at.files.values()) {
            seeds.push([&[base, file], &bytes[..]].concat());
        }
    }
    seeds
}
