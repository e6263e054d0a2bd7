//! One seed, one device, one result: over repeats, over numbers of threads, and over a pause.

use crate::{common, oracle};
use wgmf::backend::Backend;
use wgmf::core::{
    Confidence, Factors, Ids, Loss, Options, Ratings, Settings, Side, Solver, UNKNOWN,
};
use wgmf::cpu::Cpu;
use wgmf::model::EpochRecord;
use wgmf::train::{Checkpoint, Event, Input, Outcome, Stop, train};

use oracle::case::Draw;
use std::ops::ControlFlow;

const USERS: usize = 3000;
const ITEMS: usize = 1000;
const RATINGS: usize = 30_000;
const FACTORS: usize = 24;
const BATCH: usize = 8192;

/// Every update, and both losses.
const SOLVERS: [(Solver, f64, Loss); 5] = [
    (Solver::Sgd, 0.0, Loss::Squared),
    (Solver::Sgd, 0.9, Loss::Squared),
    (Solver::Adagrad, 0.0, Loss::Squared),
    (Solver::Adam, 0.0, Loss::Squared),
    (Solver::Adam, 0.0, Loss::Logistic),
];

struct Data {
    users: Ids,
    items: Ids,
    ratings: Ratings,
    test: Ratings,
}

/// Ratings with a few hot items, so that tasks are of unequal size.
fn data(ratings: usize, loss: Loss) -> Data {
    let mut draw = Draw::new(17);
    let (mut users, mut items) = (Ids::new(), Ids::new());
    for j in 0..USERS {
        users.intern(&format!("u{j}"));
    }
    for j in 0..ITEMS {
        items.intern(&format!("i{j}"));
    }
    let mut triples = |n: usize, unknown: bool| {
        let mut ratings = Ratings::default();
        for j in 0..n {
            let skewed = draw.unit() * draw.unit() * draw.unit();
            let item = (skewed * ITEMS as f64) as u32;
            let user = draw.below(USERS);
            ratings.users.push(if unknown && j % 50 == 0 { UNKNOWN } else { user });
            ratings.items.push(item);
            // A pattern to learn, and noise.
            let value = 3.0 + f64::from(user % 7) * 0.2 - f64::from(item % 5) * 0.3;
            let value = value + f64::from(draw.between(-1.0, 1.0));
            ratings.values.push(match loss {
                Loss::Squared => value as f32,
                _ => f32::from(u8::from(value > 3.0)),
            });
        }
        ratings
    };
    let (ratings, test) = (triples(ratings, false), triples(5000, true));
    Data { users, items, ratings, test }
}

fn settings(data: &Data, solver: Solver, momentum: f64, loss: Loss, epochs: usize) -> Settings {
    let options = Options {
        factors: Some(FACTORS),
        loss: Some(loss),
        solver: Some(solver),
        epochs: Some(epochs),
        batch_size: Some(BATCH),
        learning_rate: Some(match solver {
            Solver::Sgd => 2.0 * (1.0 - momentum),
            Solver::Adagrad => 0.05,
            _ => 0.01,
        }),
        learning_rate_decay: Some(0.9),
        momentum: (momentum > 0.0).then_some(momentum),
        reg: Some(0.05),
        seed: 5,
        ..Options::default()
    };
    options.resolve(&data.ratings, USERS, ITEMS).unwrap()
}

fn run(backend: &dyn Backend, data: &Data, settings: &Settings) -> Outcome {
    let input = Input {
        users: &data.users,
        items: &data.items,
        ratings: &data.ratings,
        test: Some(&data.test),
        init: None,
        resume: None,
        checkpoint_every: None,
        clock: wgmf::train::seconds,
    };
    train(backend, input, settings, &mut |_| Ok(ControlFlow::Continue(()))).unwrap()
}

/// The bits of everything that a run leaves, its times aside.
fn bits(factors: &Factors, history: &[EpochRecord]) -> Vec<u64> {
    let arrays = [
        &factors[Side::User].factors,
        &factors[Side::Item].factors,
        &factors[Side::User].bias,
        &factors[Side::Item].bias,
    ];
    let numbers = arrays.into_iter().flatten().map(|x| u64::from(x.to_bits()));
    let errors = history.iter().flat_map(EpochRecord::figures).map(f64::to_bits);
    numbers.chain(errors).chain([u64::from(factors.global_mean.to_bits())]).collect()
}

fn bits_of(outcome: &Outcome) -> Vec<u64> {
    bits(&outcome.factors, &outcome.history)
}

fn threads(n: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap()
}

#[test]
fn repeats_give_the_same_bits_on_the_cpu() {
    for (solver, momentum, loss) in SOLVERS {
        let data = data(RATINGS, loss);
        let settings = settings(&data, solver, momentum, loss, 2);
        let first = run(&Cpu::new(), &data, &settings);
        assert!(first.history[1].train_error < first.history[0].train_error, "{solver:?} learns");
        for _ in 0..4 {
            let again = run(&Cpu::new(), &data, &settings);
            assert!(bits_of(&again) == bits_of(&first), "{solver:?} {momentum} {loss:?}");
        }
        // The comparison sees another seed.
        let other = run(&Cpu::new(), &data, &Settings { seed: 6, ..settings });
        assert!(bits_of(&other) != bits_of(&first));
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    // A batch is worth more than the work below which one thread walks it alone, several times over.
    const { assert!(BATCH * FACTORS > 3 * 60_000) };
    for (solver, momentum, loss) in SOLVERS {
        let data = data(RATINGS, loss);
        let settings = settings(&data, solver, momentum, loss, 2);
        let one = threads(1).install(|| run(&Cpu::new(), &data, &settings));
        for n in 2..=4 {
            let several = threads(n).install(|| run(&Cpu::new(), &data, &settings));
            assert!(bits_of(&several) == bits_of(&one), "{solver:?} {loss:?}, {n} threads");
        }
    }
}

#[test]
fn repeats_give_the_same_bits_on_the_gpu() {
    let gpu = common::gpu();
    for (solver, momentum, loss) in SOLVERS {
        let data = data(RATINGS, loss);
        let settings = settings(&data, solver, momentum, loss, 2);
        let first = run(&gpu, &data, &settings);
        assert!(first.history[1].train_error < first.history[0].train_error, "{solver:?} learns");
        for _ in 0..3 {
            let again = run(&gpu, &data, &settings);
            assert!(bits_of(&again) == bits_of(&first), "{solver:?} {momentum} {loss:?}");
        }
        // Another device, and other numbers of threads on the host.
        let other = threads(3).install(|| run(&common::gpu(), &data, &settings));
        assert!(bits_of(&other) == bits_of(&first), "{solver:?} {momentum} {loss:?}");
    }
}

/// Trains with a checkpoint after every third epoch; returns the outcome and the first checkpoint.
fn with_checkpoint(
    backend: &dyn Backend,
    data: &Data,
    settings: &Settings,
    resume: Option<Checkpoint>,
) -> (Outcome, Option<Checkpoint>) {
    let mut kept = None;
    let input = Input {
        users: &data.users,
        items: &data.items,
        ratings: &data.ratings,
        test: Some(&data.test),
        init: None,
        resume,
        checkpoint_every: Some(3),
        clock: wgmf::train::seconds,
    };
    let outcome = train(backend, input, settings, &mut |event| {
        if let Event::Checkpoint(checkpoint) = event {
            kept.get_or_insert_with(|| checkpoint.clone());
        }
        Ok(ControlFlow::Continue(()))
    });
    (outcome.unwrap(), kept)
}

fn resumes(backend: &dyn Backend) {
    for (solver, momentum, loss) in SOLVERS {
        let data = data(RATINGS, loss);
        for patience in [None, Some(2)] {
            let at =
                |epochs| Settings { patience, ..settings(&data, solver, momentum, loss, epochs) };
            let what = format!("{solver:?} {momentum} {loss:?}, patience {patience:?}");
            let whole = run(backend, &data, &at(6));
            assert_eq!(whole.history.len(), 6, "{what}");
            let (_, checkpoint) = with_checkpoint(backend, &data, &at(3), None);
            let checkpoint = checkpoint.unwrap();
            assert_eq!(checkpoint.history.len(), 3);
            assert_eq!(checkpoint.best.is_some(), patience.is_some(), "{what}");
            let (resumed, again) =
                with_checkpoint(backend, &data, &at(6), Some(checkpoint.clone()));
            assert!(bits_of(&resumed) == bits_of(&whole), "{what}");
            assert_eq!((resumed.epoch, resumed.stop), (whole.epoch, whole.stop), "{what}");
            if patience.is_some() {
                // Where the first epoch was the best the run had ended, and has nothing more to do.
                let mut ended = checkpoint.clone();
                ended.history[0].test_error = Some(-9.0);
                let (resumed, _) = with_checkpoint(backend, &data, &at(6), Some(ended));
                let got = (resumed.history.len(), resumed.epoch, resumed.stop);
                assert_eq!(got, (3, 1, Stop::Patience), "{what}");
            }
            // A checkpoint of the resumed run is that of a run in one piece.
            let (uninterrupted, _) = with_checkpoint(backend, &data, &at(6), None);
            assert!(bits_of(&uninterrupted) == bits_of(&whole), "{what}");
            assert_eq!(again.unwrap().state.factors.factors, FACTORS);
            // The moments matter, where there are any: without them the end is another.
            if !checkpoint.state.moments.is_empty() {
                let mut poorer = checkpoint;
                for moment in &mut poorer.state.moments {
                    moment[Side::User].factors.fill(0.0);
                }
                let (other, _) = with_checkpoint(backend, &data, &at(6), Some(poorer));
                assert!(bits_of(&other) != bits_of(&whole), "{what}");
            }
        }
    }
}

#[test]
fn resuming_changes_no_bit_on_the_cpu() {
    resumes(&Cpu::new());
}

#[test]
fn resuming_changes_no_bit_on_the_gpu() {
    resumes(&common::gpu());
}

/// Settings of gradient descent rating by rating.
fn rating_by_rating(data: &Data, loss: Loss, epochs: usize) -> Settings {
    let settings = settings(data, Solver::Sgd, 0.0, loss, epochs);
    let (learning_rate, learning_rate_bias) = (0.01, 0.01);
    let settings = Settings { batch_size: 0, learning_rate, learning_rate_bias, ..settings };
    assert!(settings.rating_by_rating());
    settings
}

#[test]
fn rating_by_rating_neither_threads_nor_repeats_nor_a_pause_change_a_bit() {
    for loss in [Loss::Squared, Loss::Logistic] {
        let data = data(RATINGS, loss);
        let settings = rating_by_rating(&data, loss, 6);
        let one = threads(1).install(|| run(&Cpu::new(), &data, &settings));
        assert!(one.history[5].train_error < one.history[0].train_error, "{loss:?} learns");
        for n in [2, 3, 4, 4, 4] {
            let several = threads(n).install(|| run(&Cpu::new(), &data, &settings));
            assert!(bits_of(&several) == bits_of(&one), "{loss:?}, {n} threads");
        }
        let other = run(&Cpu::new(), &data, &Settings { seed: 6, ..settings.clone() });
        assert!(bits_of(&other) != bits_of(&one));
        for patience in [None, Some(2)] {
            let at = |epochs| Settings { patience, epochs, ..settings.clone() };
            let whole = run(&Cpu::new(), &data, &at(6));
            let (_, checkpoint) = with_checkpoint(&Cpu::new(), &data, &at(3), None);
            let checkpoint = checkpoint.unwrap();
            assert!(checkpoint.state.moments.is_empty() && checkpoint.history.len() == 3);
            let (resumed, _) = with_checkpoint(&Cpu::new(), &data, &at(6), Some(checkpoint));
            assert!(bits_of(&resumed) == bits_of(&whole), "{loss:?}, patience {patience:?}");
        }
    }
}

/// A run that overfits: its best epoch is before the checkpoint, and it stops after it.
fn resumes_after_the_best(backend: &dyn Backend) {
    let data = data(4000, Loss::Squared);
    let settings = Settings {
        learning_rate: 0.1,
        learning_rate_decay: 1.0,
        reg: 0.0,
        reg_bias: 0.0,
        batch_size: 1000,
        patience: Some(3),
        ..settings(&data, Solver::Adam, 0.0, Loss::Squared, 30)
    };
    let whole = run(backend, &data, &settings);
    assert_eq!(whole.stop, Stop::Patience);
    let (best, last) = (whole.epoch, whole.history.len());
    assert_eq!(last, best + 3);
    // The best epoch's parameters are those of a run that ends there.
    let until_best =
        run(backend, &data, &Settings { patience: None, epochs: best, ..settings.clone() });
    assert!(until_best.factors == whole.factors);
    let pause = last - 1;
    assert!(pause > best);
    let go = |resume: Option<Checkpoint>, stop_at: Option<usize>| {
        let mut kept = None;
        let input = Input {
            users: &data.users,
            items: &data.items,
            ratings: &data.ratings,
            test: Some(&data.test),
            init: None,
            resume,
            checkpoint_every: Some(1),
            clock: wgmf::train::seconds,
        };
        let outcome = train(backend, input, &settings, &mut |event| match event {
            Event::Checkpoint(checkpoint) if Some(checkpoint.history.len()) == stop_at => {
                kept = Some(checkpoint.clone());
                Ok(ControlFlow::Break(()))
            }
            _ => Ok(ControlFlow::Continue(())),
        });
        (outcome.unwrap(), kept)
    };
    let (paused, checkpoint) = go(None, Some(pause));
    assert_eq!((paused.stop, paused.history.len(), paused.epoch), (Stop::Interrupted, pause, best));
    assert_eq!(paused.factors, whole.factors);
    let checkpoint = checkpoint.unwrap();
    assert_eq!(checkpoint.best.as_ref(), Some(&whole.factors));
    assert_ne!(checkpoint.state.factors, whole.factors);
    let (resumed, _) = go(Some(checkpoint), None);
    assert_eq!((resumed.stop, resumed.epoch), (Stop::Patience, best));
    assert!(bits_of(&resumed) == bits_of(&whole));
}

#[test]
fn resuming_after_the_best_epoch_keeps_it_on_the_cpu() {
    resumes_after_the_best(&Cpu::new());
}

#[test]
fn resuming_after_the_best_epoch_keeps_it_on_the_gpu() {
    resumes_after_the_best(&common::gpu());
}

/// Every kind of row solve.
fn row_settings(data: &Data, epochs: usize) -> Vec<Settings> {
    let als = Options {
        factors: Some(FACTORS),
        solver: Some(Solver::Als),
        epochs: Some(epochs),
        reg: Some(0.1),
        seed: 5,
        ..Options::default()
    };
    let ials = Options {
        solver: Some(Solver::Ials),
        unobserved_weight: Some(0.05),
        reg: Some(0.02),
        ..als.clone()
    };
    let options = [
        als.clone(),
        Options { block: Some(5), reg_exponent: Some(0.5), ..als.clone() },
        Options { nonnegative: true, ..als },
        ials.clone(),
        Options { alpha: Some(0.5), ..ials.clone() },
        Options {
            unobserved_weight: None,
            // Pairs that are there twice must not weigh less than nothing together.
            alpha: Some(2.0),
            confidence: Some(Confidence::Hu),
            ..ials.clone()
        },
        Options { block: Some(8), ..ials.clone() },
        Options { nonnegative: true, ..ials },
    ];
    options.iter().map(|options| options.resolve(&data.ratings, USERS, ITEMS).unwrap()).collect()
}

/// The same ratings of fewer rows, as many to each as rows are costly to solve; most have none.
fn fewer_rows() -> Data {
    let mut data = data(RATINGS / 5, Loss::Squared);
    for ratings in [&mut data.ratings, &mut data.test] {
        let modulo = |rows: &mut Vec<u32>, n| {
            rows.iter_mut().filter(|row| **row != UNKNOWN).for_each(|row| *row %= n);
        };
        modulo(&mut ratings.users, 300);
        modulo(&mut ratings.items, 120);
    }
    data
}

/// What is said where bits differ.
fn kind(settings: &Settings) -> String {
    let Settings { solver, block, nonnegative, alpha, .. } = settings;
    format!("{solver:?}, block {block}, nonnegative {nonnegative}, alpha {alpha:?}")
}

const TURNS: usize = 4;

fn rows_repeat(backend: &dyn Backend, data: &Data, again: impl Fn(&Settings, usize) -> Outcome) {
    for settings in row_settings(data, 2) {
        let first = run(backend, data, &settings);
        let objectives: Vec<_> = first.history.iter().map(|r| r.objective.unwrap()).collect();
        assert!(objectives[1] < objectives[0], "{}: {objectives:?}", kind(&settings));
        for turn in 1..=TURNS {
            let again = again(&settings, turn);
            assert!(bits_of(&again) == bits_of(&first), "{}, turn {turn}", kind(&settings));
        }
        // The comparison sees another seed.
        let other = run(backend, data, &Settings { seed: 6, ..settings });
        assert!(bits_of(&other) != bits_of(&first));
    }
}

#[test]
fn row_solvers_repeat_bit_for_bit_whatever_the_threads_on_the_cpu() {
    let mut data = data(RATINGS, Loss::Squared);
    // An item that several threads share.
    data.ratings.items[..12_000].fill(7);
    rows_repeat(&Cpu::new(), &data, |settings, n| {
        threads(n).install(|| run(&Cpu::new(), &data, settings))
    });
}

#[test]
fn row_solvers_repeat_bit_for_bit_on_the_gpu() {
    let data = fewer_rows();
    let gpu = common::gpu();
    rows_repeat(&gpu, &data, |settings, turn| match turn {
        // Another device, and other numbers of threads on the host.
        2 => threads(3).install(|| run(&common::gpu(), &data, settings)),
        3 => threads(1).install(|| run(&gpu, &data, settings)),
        _ => run(&gpu, &data, settings),
    });
}

fn rows_resume(backend: &dyn Backend) {
    let data = fewer_rows();
    for all in row_settings(&data, 4) {
        let at = |epochs| Settings { epochs, ..all.clone() };
        let (whole, checkpoint) = with_checkpoint(backend, &data, &at(4), None);
        let checkpoint = checkpoint.unwrap();
        assert_eq!(checkpoint.history.len(), 3);
        let (resumed, _) = with_checkpoint(backend, &data, &at(4), Some(checkpoint));
        assert!(bits_of(&resumed) == bits_of(&whole), "{}", kind(&all));
    }
}

#[test]
fn resuming_row_solvers_changes_no_bit_on_the_cpu() {
    rows_resume(&Cpu::new());
}

#[test]
fn resuming_row_solvers_changes_no_bit_on_the_gpu() {
    rows_resume(&common::gpu());
}
