//! As `panics`: settings out of range, checkpoints of other runs, and options of the rooms that read and
//! write files.

use crate::panics::{Table, add, brief, refused, small};
use std::ops::ControlFlow;
use std::path::PathBuf;
use wgmf::Result;
use wgmf::core::{Factors, Ids, Loss, Settings, Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::data::synth::{SynthOptions, planted, synth};
use wgmf::data::{DataOptions, ReadOptions, SplitOptions, prepare, read, split};
use wgmf::train::{Checkpoint, Event, Input, Origin, train};

/// What breaks a part.
type Break<T> = fn(&mut T);

fn names(n: u32) -> Ids {
    (0..n).map(|j| j.to_string()).collect()
}

/// Trains on the small set, from a checkpoint if there is one; the checkpoint after the first epoch.
fn run(settings: &Settings, resume: Option<Checkpoint>) -> Result<Option<Checkpoint>> {
    let (users, items, set) = (names(7), names(9), small());
    let mut first = None;
    let input =
        Input { resume, checkpoint_every: Some(1), ..Input::new(&users, &items, set.ratings()) };
    train(&Cpu::new(), input, settings, &mut |event| {
        if let (Event::Checkpoint(checkpoint), None) = (event, &first) {
            first = Some(checkpoint.clone());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(first)
}

fn settings(solver: Solver) -> Result<Settings> {
    brief(solver).resolve(small().ratings(), 7, 9)
}

#[test]
fn training_refuses_settings_out_of_range() {
    use Solver::{Adagrad, Adam, Als, Bayes, Ials, Sgd};
    let mut table = Table::new();
    let breaks: [(Solver, &str, Break<Settings>); 27] = [
        (Adam, "`batch_size` 0", |s| s.batch_size = 0),
        (Sgd, "`factors` 2000", |s| s.factors = 2000),
        (Adam, "`factors` 1099511627776", |s| s.factors = 1 << 40),
        (Ials, "`factors` 0", |s| s.factors = 0),
        (Adam, "`learning_rate` 0", |s| s.learning_rate = 0.0),
        (Adam, "`learning_rate_bias` inf", |s| s.learning_rate_bias = f64::INFINITY),
        (Adagrad, "`learning_rate_decay` NaN", |s| s.learning_rate_decay = f64::NAN),
        (Sgd, "`momentum` 1", |s| s.momentum = 1.0),
        (Sgd, "`epochs` 0", |s| s.epochs = 0),
        (Als, "`epochs` 0", |s| s.epochs = 0),
        (Als, "`block` 0", |s| s.block = 0),
        (Als, "`block` 9", |s| s.block = 9),
        (Bayes, "`block` 0", |s| s.block = 0),
        (Als, "`reg` NaN", |s| s.reg = f64::NAN),
        (Als, "`reg_bias` -1", |s| s.reg_bias = -1.0),
        (Als, "`reg_exponent` 9", |s| s.reg_exponent = 9.0),
        (Sgd, "`damping` -1", |s| s.damping = -1.0),
        (Als, "`damping_bias` inf", |s| s.damping_bias = f64::INFINITY),
        (Als, "`init_scale` 0", |s| s.init_scale = 0.0),
        (Als, "`patience` 0", |s| s.patience = Some(0)),
        (Als, "`loss` logistic", |s| s.loss = Loss::Logistic),
        (Ials, "`unobserved_weight` 0", |s| s.unobserved_weight = 0.0),
        (Ials, "`alpha` -1", |s| s.alpha = Some(-1.0)),
        (Bayes, "`chains` 0", |s| s.chains = 0),
        (Bayes, "`samples` 0", |s| s.samples = 0),
        (Bayes, "`keep` 0", |s| s.keep = 0),
        (Bayes, "`init_scale` NaN", |s| s.init_scale = f64::NAN),
    ];
    for (solver, part, break_it) in breaks {
        add(&mut table, format!("{solver:?}, {part}"), part, move || {
            let mut settings = settings(solver)?;
            settings.check()?;
            break_it(&mut settings);
            assert!(settings.check().is_err());
            run(&settings, None).map(drop)
        });
    }
    refused(table);
}

#[test]
fn runs_go_on_from_no_other_runs_checkpoint() {
    let mut table = Table::new();
    let mut resume = |solver: Solver, what: &str, part: &str, break_it: fn(&mut Checkpoint)| {
        add(&mut table, format!("{solver:?}, {what}"), part, move || {
            let settings = settings(solver)?;
            let mut checkpoint = run(&settings, None)?.unwrap();
            // As it is it goes on.
            run(&settings, Some(checkpoint.clone())).unwrap();
            break_it(&mut checkpoint);
            run(&settings, Some(checkpoint)).map(drop)
        });
    };
    for solver in [Solver::Adam, Solver::Als, Solver::Bayes] {
        resume(solver, "factors cut", "rows of 3 are needed", |c| {
            c.state.factors[Side::User].factors.truncate(1);
        });
        resume(solver, "no factors", "rows of 3 are needed", |c| {
            c.state.factors = Factors::default();
        });
        resume(solver, "another's best", "rows of 3 are needed", |c| {
            c.best = Some(Factors::default());
        });
        resume(solver, "an odd epoch", "epoch 9 stands in the place of epoch 1", |c| {
            c.history[0].epoch = 9;
        });
        resume(solver, "moments too many", "arrays of moments", |c| {
            c.state.moments.push(Factors::default());
        });
    }
    resume(Solver::Adam, "no moments", "0 arrays of moments", |c| c.state.moments.clear());
    resume(Solver::Adam, "moments cut", "rows of 3 are needed", |c| {
        c.state.moments[1][Side::Item].bias.clear();
    });
    resume(Solver::Bayes, "no chains", "it is no sampler's", |c| c.sampler = None);
    let sampler: [(&str, &str, Break<wgmf::sampler::SamplerState>); 9] = [
        ("a chain less", "0 chains, where `chains` is 1", |s| s.chains.clear()),
        ("a chain cut", "rows of 3 are needed", |s| {
            s.chains[0].0[Side::User].factors.truncate(1);
        }),
        ("no noise", "of a chain do not fit", |s| s.chains[0].1.noise.weights.clear()),
        ("thresholds", "of a chain do not fit", |s| s.chains[0].1.thresholds.push(0.0)),
        ("half a prior", "of a chain do not fit", |s| {
            s.chains[0].1.priors[1].mean.clear();
        }),
        ("sums of nothing", "1 sums of 0 held-out ratings", |s| s.sums.push(0.0)),
        ("no traces", "what was watched", |s| s.traces = Default::default()),
        ("levels", "the levels of its samples", |s| s.samples.levels = vec![0.0, 1.0]),
        ("samples of another", "rows of 3 are needed", |s| {
            s.samples.samples.push(Default::default());
        }),
    ];
    for (what, part, break_it) in sampler {
        add(&mut table, format!("sampler, {what}"), part, move || {
            let settings = settings(Solver::Bayes)?;
            let mut checkpoint = run(&settings, None)?.unwrap();
            break_it(checkpoint.sampler.as_mut().unwrap());
            run(&settings, Some(checkpoint)).map(drop)
        });
    }
    add(&mut table, "no checkpoint there", "nowhere", || {
        let settings = settings(Solver::Als)?;
        Checkpoint::open("nowhere".as_ref(), &settings, &Origin::default(), false).map(drop)
    });
    refused(table);
}

fn nowhere() -> [PathBuf; 1] {
    ["nowhere.csv".into()]
}

#[test]
fn files_are_read_split_and_planted_by_sound_options_only() {
    let mut table = Table::new();
    add(&mut table, "read nothing", "no ratings", || {
        read(&[], &ReadOptions::default(), &()).map(drop)
    });
    add(&mut table, "read from nowhere", "nowhere.csv", || {
        read(&nowhere(), &ReadOptions::default(), &()).map(drop)
    });
    let of_data: [(&str, Break<DataOptions>); 6] = [
        ("`holdout` 1", |o| o.holdout = Some(1.0)),
        ("`holdout` NaN", |o| o.holdout = Some(f64::NAN)),
        ("`threshold` NaN", |o| o.threshold = f32::NAN),
        ("`threshold` inf", |o| o.threshold = f32::INFINITY),
        ("exclude each other", |o| {
            (o.holdout, o.test) = (Some(0.5), Some("nowhere.csv".into()));
        }),
        ("nowhere.csv", |_| {}),
    ];
    for (part, break_it) in of_data {
        add(&mut table, format!("prepare, {part}"), part, move || {
            let mut options = DataOptions::default();
            break_it(&mut options);
            prepare(&nowhere(), &options, 0, &()).map(drop)
        });
    }
    let of_split: [(&str, Break<SplitOptions>); 8] = [
        ("`holdout` 2", |o| o.holdout = Some(2.0)),
        ("`by_time` 0", |o| o.by_time = Some(0.0)),
        ("`folds` 1", |o| o.folds = Some(1)),
        ("`folds` 101", |o| o.folds = Some(101)),
        ("`leave_last`", |o| o.leave_last = Some(0)),
        ("exclude each other", |o| (o.folds, o.leave_last) = (Some(2), Some(1))),
        ("`min_rating`", |o| o.read.min_rating = Some(f32::NAN)),
        ("nowhere.csv", |_| {}),
    ];
    for (part, break_it) in of_split {
        add(&mut table, format!("split, {part}"), part, move || {
            let home = tempfile::tempdir().unwrap();
            let mut options = SplitOptions::default();
            break_it(&mut options);
            split(&nowhere(), &options, &home.path().join("parts"), false, &()).map(drop)
        });
    }
    let of_synth: [(&str, Break<SynthOptions>); 9] = [
        ("`users` and `items`", |o| o.users = 0),
        ("`users` and `items`", |o| o.items = 0),
        ("`ratings` 0", |o| o.ratings = 0),
        ("`ratings` 18446744073709551615", |o| o.ratings = u64::MAX),
        ("`noise`", |o| o.noise = f64::NAN),
        ("`zipf_users`", |o| o.zipf_users = -1.0),
        ("`zipf_items`", |o| o.zipf_items = f64::INFINITY),
        ("`factors` 5000", |o| o.factors = 5000),
        ("GB of memory", |o| {
            (o.users, o.items, o.ratings) = (u32::MAX, u32::MAX, 1 << 33);
        }),
    ];
    for (part, break_it) in of_synth {
        let wrong = move || {
            let mut options =
                SynthOptions { users: 7, items: 9, ratings: 20, ..Default::default() };
            break_it(&mut options);
            options
        };
        add(&mut table, format!("planted, {part}"), part, move || planted(&wrong()).map(drop));
        add(&mut table, format!("synth, {part}"), part, move || {
            let home = tempfile::tempdir().unwrap();
            synth(&wrong(), &home.path().join("set.csv"), false, &()).map(drop)
        });
    }
    add(&mut table, "synth over a file", "exists already", || {
        let options = SynthOptions { users: 7, items: 9, ratings: 20, ..Default::default() };
        synth(&options, file!().as_ref(), false, &()).map(drop)
    });
    refused(table);
}
