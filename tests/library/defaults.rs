//! What is chosen where nothing is set suits the data, whatever their unit.

use std::ops::ControlFlow;
use wgmf::core::{Ids, Options, Ratings, Solver};
use wgmf::cpu::Cpu;
use wgmf::data::synth::{SynthOptions, planted};
use wgmf::train::{Input, train};

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
