//! Gradient descent rating by rating against the oracle: the order of its visits, the sum and the step of
//! each. GPUs take batches alone, and say so.

use crate::{common, oracle};
use oracle::case::Case;
use oracle::strata::{compare, problem};
use wgmf::backend::{Backend, StrataProblem, Visit};
use wgmf::core::{Loss, Side};
use wgmf::cpu::Cpu;

use std::ops::ControlFlow;

/// Lengths of rows at, below and above a line and those that are known when compiling; several strata; both
/// losses; each term of the objective; hot rows, rows of one rating and rows of none.
fn cases() -> Vec<(Case, Option<u64>)> {
    let mut cases = Vec::new();
    for (at, k) in
        [1, 3, 8, 15, 16, 17, 32, 33, 48, 64, 80, 96, 97, 128, 129, 200].into_iter().enumerate()
    {
        let case = Case::new(k, 41 + at % 3, 43 - at % 5, 400 + 3 * at).epochs(2);
        cases.push((if at % 3 == 2 { case.logistic() } else { case }, Some(at as u64)));
    }
    let several = || Case::new(9, 90, 70, 6000);
    cases.push((several().epochs(2), Some(1)));
    cases.push((several().epochs(2), None));
    cases.push((several().logistic().no_bias(), Some(2)));
    cases.push((several().damped(1.5, 4.0), Some(3)));
    cases.push((several().reg_exponent(0.5).bias_rate(0.25), Some(4)));
    cases.push((several().reg_exponent(0.0).damped(0.5, 0.2).logistic(), Some(5)));
    cases.push((several().weighted().epochs(2), Some(11)));
    cases.push((several().weighted().logistic().damped(0.5, 0.2), None));
    cases.push((Case::new(33, 41, 43, 400).weighted(), Some(12)));
    cases.push((Case::new(5, 150, 130, 28_000), Some(10)));
    // Rows so large that the cache alone asks for strata, more items than users and the other way round.
    cases.push((Case::new(700, 260, 300, 5000), Some(6)));
    cases.push((Case::new(700, 300, 260, 5000), Some(7)));
    let hot = (0..3000).map(|n| (n % 3 * (n % 2), n * n % 70)).collect();
    cases.push((Case::of_pairs(20, 60, 70, hot).named("hot users, and many without"), Some(8)));
    cases.push((Case::new(1, 1, 1, 1).named("one rating"), Some(9)));
    cases.push((Case::new(4, 50, 40, 300).test_ratings(0).no_bias(), None));
    cases
}

#[test]
fn epochs_match_the_oracle() {
    let mut worst = 0.0_f64;
    let mut failures = Vec::new();
    let mut strata = std::collections::BTreeSet::new();
    for (case, shuffle) in cases() {
        strata.insert(problem(&case, shuffle).strata.strata());
        match compare(&Cpu::new(), &case, shuffle, &|_| {}) {
            Ok(gap) => worst = worst.max(gap),
            Err(what) => failures.push(what),
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(strata.len() > 2, "cases of {strata:?} strata");
    println!("within {worst:.1e}");
}

/// What is planted in a problem that the oracle has without.
type Fault = (&'static str, fn(&mut StrataProblem));

#[test]
fn faults_in_schedule_and_terms_are_noticed() {
    let faults: [Fault; 8] = [
        ("two visits of a row change places", |problem| {
            let ratings = &mut problem.strata.ratings;
            let first = ratings[0];
            let other = ratings[1..].iter().position(|other| other.user == first.user);
            ratings.swap(0, 1 + other.unwrap());
        }),
        ("a rating is visited twice, another not", |problem| {
            problem.strata.ratings[7] = problem.strata.ratings[8];
        }),
        ("a row has another place", |problem| problem.strata.sides[0].places.swap(3, 4)),
        ("a row counts a rating too many", |problem| problem.strata.sides[1].row_ratings[5] += 1),
        ("another reg", |problem| problem.terms.reg *= 1.02),
        ("another damping of biases", |problem| problem.terms.damping_bias *= 1.1),
        ("biases as fast as factors", |problem| problem.terms.bias_rate = 1.0),
        ("another loss", |problem| problem.terms.loss = Loss::Logistic),
    ];
    let case = Case::new(9, 90, 70, 6000).reg_exponent(0.5).damped(0.5, 2.0).bias_rate(0.5);
    compare(&Cpu::new(), &case, Some(1), &|_| {}).unwrap();
    for (what, fault) in faults {
        let found = compare(&Cpu::new(), &case, Some(1), &fault);
        assert!(found.is_err(), "{what}: {found:?}");
    }
}

#[test]
fn an_epoch_that_is_broken_off_has_done_whole_waves_and_what_was_kept_comes_back() {
    let case = Case::new(9, 90, 70, 6000);
    let problem = problem(&case, Some(1));
    let (strata, start) = (problem.strata.clone(), problem.start.clone());
    let mut passes = Cpu::new().strata_passes(problem).unwrap();
    assert!(passes.kept().is_err() && passes.factors().unwrap() == start);
    passes.keep().unwrap();
    let visits: Vec<Visit> =
        (0..strata.strata() as u32).map(|batch| Visit { batch, rate: 0.02 }).collect();
    let mut heard = Vec::new();
    let sums = passes.epoch(&visits, &mut |ratings| {
        heard.push(ratings);
        ControlFlow::Break(())
    });
    let first = strata.wave(0).map(|block| strata.block(block).len()).sum::<usize>();
    assert_eq!((sums.unwrap().ratings, heard), (first, vec![first]));
    assert!(first < 6000 && passes.factors().unwrap() != start && passes.kept().unwrap() == start);
}

#[test]
fn a_single_overflow_is_reported() {
    let case = Case::new(9, 90, 70, 6000);
    let row = case.ratings.users[4321] as usize;
    for value in [1e30, f32::INFINITY, f32::NAN] {
        let mut problem = problem(&case, Some(1));
        problem.start[Side::User].factors[row * 9 + 2] = value;
        let visits: Vec<Visit> =
            (0..problem.strata.strata() as u32).map(|batch| Visit { batch, rate: 0.01 }).collect();
        let mut passes = Cpu::new().strata_passes(problem).unwrap();
        let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(
            !sums.loss.is_finite()
                && passes.factors().unwrap().first_non_finite(Side::User).is_some()
        );
    }
}

#[test]
fn a_gpu_says_that_it_takes_batches() {
    let problem = problem(&Case::new(4, 9, 8, 50), Some(1));
    let error = common::gpu().strata_passes(problem).map(drop).unwrap_err().to_string();
    assert!(error.contains("`batch_size`") && error.contains("`backend` cpu"), "{error}");
}

#[test]
fn what_does_not_fit_the_strata_is_refused() {
    let breaks: [fn(&mut StrataProblem); 3] = [
        |problem| problem.start[Side::Item].bias.push(0.0),
        |problem| problem.test.users[0] = 99_999,
        |problem| problem.start.factors = 0,
    ];
    for break_it in breaks {
        let mut problem = problem(&Case::new(4, 9, 8, 50), Some(1));
        break_it(&mut problem);
        assert!(Cpu::new().strata_passes(problem).is_err());
    }
}
