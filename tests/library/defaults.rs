//! What is chosen where nothing is set suits the data, whatever their unit.

use crate::planted::{SETS, SOLVERS};
use std::ops::ControlFlow;
use wgmf::core::{Ids, Options, Ratings, Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::data::synth::{SynthOptions, planted};
use wgmf::train::{Event, Input, train};

/// Held-out squared error over that of the training mean, with ratings times `scale`.
fn relative_error(scale: f32, options: &Options) -> f64 {
    let set = SynthOptions { users: 400, items: 250, ratings: 30_000, ..SynthOptions::default() };
    let (ratings, _) = planted(&set).unwrap();
    let part = |held_out: bool| {
        let mut part = ratings.clone();
        part.retain(|row| (row % 10 == 0) == held_out);
        part.values.iter_mut().for_each(|value| *value *= scale);
        part
    };
    let (training, test): (Ratings, Ratings) = (part(false), part(true));
    let ids = |n: u32| (0..n).map(|id| id.to_string()).collect::<Ids>();
    let (users, items) = (ids(set.users), ids(set.items));
    let settings = options.resolve(&training, users.len(), items.len()).unwrap();
    let input = Input { test: Some(&test), ..Input::new(&users, &items, &training) };
    let outcome =
        train(&Cpu::new(), input, &settings, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
    let mean = training.mean();
    let around: f64 = test.values.iter().map(|&r| (f64::from(r) - mean).powi(2)).sum();
    let error = outcome.history.last().unwrap().test_error.unwrap();
    error / (around / test.len() as f64)
}

#[test]
fn ratings_in_another_unit_are_learned_as_well() {
    for solver in [Solver::Sgd, Solver::Adagrad, Solver::Adam] {
        let options = Options { solver: Some(solver), ..Options::default() };
        let want = relative_error(1.0, &options);
        assert!(want < 0.75, "{solver:?} learns little: {want}");
        for scale in [0.01, 0.1, 20.0, 1000.0] {
            let got = relative_error(scale, &options);
            assert!((got - want).abs() < 0.01, "{solver:?} × {scale}: {got} instead of {want}");
        }
    }
}

#[test]
fn a_batch_of_any_size_keeps_sgd_finite() {
    for batch_size in [1, 1000, 4096, 27_000] {
        let options = Options {
            solver: Some(Solver::Sgd),
            batch_size: Some(batch_size),
            ..Options::default()
        };
        let error = relative_error(1.0, &options);
        assert!(error < 1.0, "batch {batch_size}: {error}");
    }
}

/// How far behind biases alone a model may be.
const BEHIND: f64 = 1.003;

/// Without settings nothing is behind biases alone (`cargo bench --bench sparse` shows by how much it is
/// ahead, over several seeds).
#[test]
fn no_solver_is_behind_biases_alone() {
    let mut behind = Vec::new();
    for (seed, set) in SETS.iter().enumerate() {
        let parts = set.draw(seed as u64);
        let alone = parts.biases_alone();
        for solver in SOLVERS {
            let options = Options { solver: Some(solver), ..Options::default() };
            let ratio = parts.trained(&options) / alone;
            if ratio > BEHIND {
                behind.push(format!("{}: {} {ratio:.4}", set.name, solver.name()));
            }
        }
    }
    assert!(behind.is_empty(), "{behind:#?}");
}

/// The sampler with fewer sweeps than it takes by itself, for time; with all of them it is nearer.
#[test]
fn the_sampler_is_hardly_behind_biases_alone_and_ahead_where_there_are_factors() {
    let options = Options {
        solver: Some(Solver::Bayes),
        samples: Some(60),
        burn_in: Some(30),
        ..Options::default()
    };
    for (set, most) in [(SETS[0], 1.006), (SETS[4], 1.006), (SETS[7], 0.97)] {
        let parts = set.draw(1);
        let ratio = parts.trained(&options) / parts.biases_alone();
        assert!(ratio < most, "{}: {ratio}", set.name);
    }
}

#[test]
fn rating_by_rating_is_neither_behind_biases_alone_nor_without_use_for_factors() {
    let options = Options::sgd().batch_size(0);
    for (seed, set) in SETS.iter().enumerate() {
        let parts = set.draw(seed as u64);
        let ratio = parts.trained(&options) / parts.biases_alone();
        assert!(ratio < BEHIND, "{}: {ratio:.4}", set.name);
        if set.name.starts_with("50 a row, factors") || set.name.starts_with("200 a row, factors") {
            assert!(ratio < 0.97, "{}: {ratio:.4}", set.name);
        }
    }
    // In any unit.
    let parts = SETS[7].draw(0);
    let want = parts.trained(&options);
    for scale in [0.01_f32, 20.0, 1000.0] {
        let mut scaled = SETS[7].draw(0);
        for ratings in [&mut scaled.training, &mut scaled.test] {
            ratings.values.iter_mut().for_each(|value| *value *= scale);
        }
        let got = scaled.trained(&options) / f64::from(scale);
        assert!((got - want).abs() < 0.01 * want, "× {scale}: {got} instead of {want}");
    }
}

#[test]
fn rows_without_ratings_are_no_worse_than_by_biases_alone() {
    for set in [SETS[3], SETS[7]] {
        for side in [Side::User, Side::Item] {
            let parts = set.whole_rows(side, 1);
            let alone = parts.biases_alone();
            for solver in SOLVERS {
                let options = Options { solver: Some(solver), ..Options::default() };
                let ratio = parts.trained(&options) / alone;
                let case = format!("{}, no {}: {}", set.name, side.name(), solver.name());
                assert!(ratio < BEHIND, "{case}: {ratio}");
            }
        }
    }
}

#[test]
fn factors_are_learned_where_there_are_any() {
    for (set, most) in [(SETS[7], 0.97), (SETS[9], 0.97)] {
        let parts = set.draw(0);
        let alone = parts.biases_alone();
        for solver in [Solver::Sgd, Solver::Als] {
            let options = Options { solver: Some(solver), ..Options::default() };
            let ratio = parts.trained(&options) / alone;
            assert!(ratio < most, "{}: {} {ratio}", set.name, solver.name());
        }
    }
}

#[test]
fn a_penalty_that_is_set_is_all_there_is() {
    let parts = SETS[4].draw(0);
    let resolve =
        |options: Options| options.resolve(&parts.training, parts.users, parts.items).unwrap();
    let damped = |solver| resolve(Options { solver: Some(solver), ..Options::default() });
    for solver in SOLVERS {
        let chosen = damped(solver);
        assert!(chosen.damping > 0.0 && chosen.damping_bias > 0.0 && chosen.reg_bias == 0.0);
        let options = Options { solver: Some(solver), ..Options::default() };
        for set in [
            Options { reg: Some(0.1), ..options.clone() },
            Options { reg_bias: Some(0.1), ..options.clone() },
            Options { reg_exponent: Some(0.5), ..options.clone() },
        ] {
            let settings = resolve(set);
            assert_eq!((settings.damping, settings.damping_bias), (0.0, 0.0), "{solver:?}");
            assert!(settings.reg_bias > 0.0);
        }
        let both = resolve(Options { damping: Some(2.5), damping_bias: Some(0.0), ..options });
        assert_eq!((both.damping, both.damping_bias, both.reg), (2.5, 0.0, chosen.reg));
    }
}

/// What is chosen has three digits; what is given has its own.
#[test]
fn what_is_given_is_taken_as_it_is() {
    let parts = SETS[4].draw(0);
    for solver in [Solver::Sgd, Solver::Adam, Solver::Als, Solver::Ials, Solver::Bayes] {
        let (gradient, bayes) = (solver.optimizer().is_some(), solver == Solver::Bayes);
        let of = |has: bool, x: f64| has.then_some(x);
        let given = Options {
            solver: Some(solver),
            learning_rate: of(gradient, 0.012_345_678),
            learning_rate_bias: of(gradient, 0.023_456_789),
            reg: of(!bayes, 0.034_567_891),
            init_scale: Some(0.045_678_912),
            unobserved_weight: of(solver == Solver::Ials, 0.056_789_123),
            ..Options::default()
        };
        let settings = given.resolve(&parts.training, parts.users, parts.items).unwrap();
        let got = [
            (given.learning_rate, settings.learning_rate),
            (given.learning_rate_bias, settings.learning_rate_bias),
            (given.reg, settings.reg),
            (given.init_scale, settings.init_scale),
            (given.unobserved_weight, settings.unobserved_weight),
        ];
        for (given, got) in got {
            assert!(given.is_none_or(|given| given == got), "{solver:?}: {given:?} became {got}");
        }
    }
}

#[test]
fn biases_alone_go_on_from_a_checkpoint() {
    let parts = SETS[4].draw(0);
    let ids = |n: usize| (0..n).map(|id| id.to_string()).collect::<Ids>();
    let (users, items) = (ids(parts.users), ids(parts.items));
    for solver in [Solver::Adam, Solver::Als] {
        let options = Options { solver: Some(solver), factors: Some(0), ..Options::default() };
        let options = Options { epochs: Some(4), ..options };
        let settings = options.resolve(&parts.training, parts.users, parts.items).unwrap();
        let mut kept = None;
        let input =
            Input { checkpoint_every: Some(2), ..Input::new(&users, &items, &parts.training) };
        let whole = train(&Cpu::new(), input, &settings, &mut |event| {
            if let Event::Checkpoint(checkpoint) = event {
                kept.get_or_insert(checkpoint.clone());
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        let input = Input { resume: kept, ..Input::new(&users, &items, &parts.training) };
        let go_on = &mut |_: Event| Ok(ControlFlow::Continue(()));
        let rest = train(&Cpu::new(), input, &settings, go_on).unwrap();
        assert!(rest.factors == whole.factors && whole.factors.factors == 0, "{solver:?}");
    }
}
