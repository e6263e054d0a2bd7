//! The gradient passes against the oracle.

use super::{Compare, held};
use crate::{common, oracle};
use wgmf::backend::{Backend, Visit};
use wgmf::core::Side;
use wgmf::core::{Factors, Ids, Optimizer, Options};
use wgmf::train::{Input, train};

use common::{gap, largest_gap};
use oracle::case::{Case, Draw, TOLERANCE, compare};
use oracle::{Model, Training, Weights, loss_sum, step_size, triples};
use std::ops::ControlFlow;

impl Compare for Case {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn opens(&self, backend: &dyn Backend) -> Result<(), String> {
        backend.gradient_passes(self.problem()).map(drop).map_err(|error| error.to_string())
    }

    fn compare(&self, backend: &dyn Backend) -> Result<f64, String> {
        compare(backend, self)
    }
}

held! {
    residual_matches_the_oracle_at_ragged_widths: widths();
    residual_matches_the_oracle_at_odd_batches: batch_sizes();
    residual_matches_the_oracle_at_weights: weights();
    gradient_matches_the_oracle_at_hot_rows: hot_rows();
    gradient_matches_the_oracle_at_many_rows: many_rows();
    step_matches_the_oracle_at_every_solver: solvers();
    step_matches_the_oracle_at_every_reg_exponent: reg_exponents();
    error_matches_the_oracle_at_odd_test_sets: test_sets();
    reduce_matches_the_oracle_at_many_pairs: pairs();
    every_kernel_matches_the_oracle_at_random_problems: random_problems();
}

/// Numbers of factors at, below and above a vec4, a team's lanes, its columns, and the largest.
fn widths() -> Vec<Case> {
    let widths = [
        1, 3, 4, 5, 7, 16, 31, 32, 33, 40, 63, 64, 65, 127, 128, 129, 200, 256, 257, 512, 1000,
        1024,
    ];
    let case = |(j, k): (usize, usize)| {
        // The sides lead in turn, and losses and biases come in all four ways with each.
        let (users, items) = if j % 2 == 0 { (41, 23) } else { (19, 37) };
        let (plain, turned) = (Case::new(k, users, items, 331), Case::new(k, items, users, 331));
        [plain.clone(), turned.no_bias(), plain.clone().logistic().no_bias(), plain.logistic()]
    };
    widths.into_iter().enumerate().flat_map(case).collect()
}

/// Ratings with weights: odd and even numbers of them, in one batch and several, rows of several segments.
fn weights() -> Vec<Case> {
    let mut cases = Vec::new();
    for (j, k) in [1, 5, 32, 65, 200].into_iter().enumerate() {
        let case = Case::new(k, 41, 23, 330 + j).weighted();
        cases.push(if j % 2 == 0 { case.clone() } else { case.clone().logistic() });
        cases.push(case.batches_of(67).epochs(2));
    }
    let hot = (0..3000).map(|n| (n % 3 * (n % 2), n * n % 70)).collect();
    cases.push(Case::of_pairs(20, 60, 70, hot).named("hot users").weighted());
    cases
}

/// One rating; batches around a workgroup; a last batch that is smaller; equal sides; rows that
/// occur in no batch.
fn batch_sizes() -> Vec<Case> {
    let mut cases = vec![
        Case::new(1, 1, 1, 1).named("one rating"),
        Case::new(33, 1, 1, 1).named("one rating").logistic(),
        Case::new(5, 1, 1, 7).named("one user and item, rated again and again"),
        Case::new(8, 29, 29, 200).named("as many users as items"),
        Case::new(8, 400, 300, 53).named("rows without ratings").logistic(),
    ];
    for batch in [1, 2, 3, 4, 5, 63, 64, 65, 127, 211] {
        // 431 is a prime: the last batch is smaller, of one rating for most of these.
        cases.push(Case::new(7, 97, 61, 431).batches_of(batch).epochs(2));
    }
    cases.push(Case::new(20, 61, 97, 433).batches_of(27).epochs(3).logistic());
    cases
}

/// Rows around the length of a segment, leading and following, among rows of a single rating.
fn hot_rows() -> Vec<Case> {
    let mut cases = Vec::new();
    for (j, hot) in [255, 256, 257, 511, 512, 513, 600, 1500].into_iter().enumerate() {
        let k = [5, 40, 64, 130][j % 4];
        let (few, many) = (17, 90);
        let mut pairs: Vec<(u32, u32)> = (0..hot as u32).map(|n| (3, n * n % many)).collect();
        // Each of the others once.
        pairs.extend((0..many).map(|n| (n % few, n)));
        pairs.rotate_left(hot / 3);
        let turned = pairs.iter().map(|&(a, b)| (b, a)).collect();
        let (few, many) = (few as usize, many as usize);
        cases.push(Case::of_pairs(k, few, many, pairs.clone()).named("a hot user that leads"));
        cases.push(Case::of_pairs(k, many, few, turned).named("a hot item that leads"));
        cases.push(
            Case::of_pairs(k, few + many, many, pairs).named("a hot user that follows").logistic(),
        );
    }
    cases
}

/// More rows than a dispatch has workgroups, on one side, the other, and both, in one batch.
fn many_rows() -> Vec<Case> {
    let long = 70_001_u32;
    let each_once = |n: u32| (n, n * 7 % 50);
    let scattered: Vec<_> = (0..long).map(|n| (n, n.wrapping_mul(48_271) % 66_000)).collect();
    let turned = |pairs: &[(u32, u32)]| pairs.iter().map(|&(a, b)| (b, a)).collect();
    let once: Vec<_> = (0..long).map(each_once).collect();
    let rows = long as usize;
    vec![
        Case::of_pairs(4, 50, rows, turned(&once)).named("many items"),
        Case::of_pairs(3, rows, 50, once).named("many users"),
        Case::of_pairs(2, rows, 66_000, scattered.clone()).named("many of both"),
        Case::of_pairs(5, 66_000, rows, turned(&scattered)).named("many of both").logistic(),
        Case::of_pairs(1, rows, 66_000, scattered).batches_of(69_000).no_bias(),
    ]
}

/// Every update, over one batch and over several epochs of several, with rows that are absent from
/// some; from moments of an earlier run and from none.
fn solvers() -> Vec<Case> {
    let mut cases = Vec::new();
    for (optimizer, momentum) in [
        (Optimizer::Sgd, 0.0),
        (Optimizer::Sgd, 0.9),
        (Optimizer::Adagrad, 0.0),
        (Optimizer::Adam, 0.0),
    ] {
        let with = |case: Case| case.optimizer(optimizer, momentum);
        cases.push(with(Case::new(16, 53, 31, 400)));
        cases.push(with(Case::new(33, 31, 53, 397).batches_of(64).epochs(3)));
        cases.push(with(Case::new(6, 47, 39, 300).batches_of(41).epochs(2).no_bias()));
        cases.push(with(Case::new(9, 30, 44, 350).batches_of(101).epochs(2).logistic()));
        cases.push(with(Case::new(12, 60, 40, 500).fresh()));
        cases.push(with(Case::new(8, 37, 41, 300).batches_of(70).epochs(2)).bias_rate(0.25));
        cases.push(with(Case::new(3, 40, 60, 300).batches_of(90).epochs(2).fresh()));
        let hot = (0..900).map(|n| (n % 3, n * 11 % 80)).collect();
        cases.push(with(Case::of_pairs(10, 3, 80, hot).named("several segments a row")));
    }
    cases
}

/// Regularization by number of ratings, with hot rows and rows of one rating.
fn reg_exponents() -> Vec<Case> {
    let mut cases = Vec::new();
    for exponent in [0.0, 0.5, 1.0] {
        let skewed = (0..600_u32).map(|n| (n * n % 70, n % 7 * (n % 5))).collect();
        let case = Case::of_pairs(11, 70, 25, skewed).reg_exponent(exponent);
        cases.push(case.clone().batches_of(130).epochs(2));
        cases.push(case.clone().optimizer(Optimizer::Adam, 0.0));
        cases.push(case.clone().batches_of(200).damped(1.5, 4.0));
        cases.push(case.batches_of(250).logistic().no_bias());
    }
    cases
}

/// Held-out sets around a workgroup, of unknown rows, of one rating, of none.
fn test_sets() -> Vec<Case> {
    let mut cases = Vec::new();
    for (j, n) in [0, 1, 7, 63, 64, 65, 127, 128, 4099].into_iter().enumerate() {
        let k = [1, 4, 9, 30, 129][j % 5];
        cases.push(Case::new(k, 37, 43, 211).test_ratings(n));
        cases.push(Case::new(k, 43, 37, 211).test_ratings(n).logistic().no_bias());
    }
    cases
}

/// Problems drawn at random. WGMF_SEED draws others.
fn random_problems() -> Vec<Case> {
    let seed = std::env::var("WGMF_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut draw = Draw::new(seed);
    let mut case = |_| {
        let large = |draw: &mut Draw, most: usize| 1 + (most as f64 * draw.unit().powi(3)) as usize;
        let factors = large(&mut draw, 300);
        let (users, items) = (large(&mut draw, 900), large(&mut draw, 900));
        let ratings = 1 + large(&mut draw, 3000);
        // The larger the power, the hotter the first rows.
        let skew = 1 + draw.below(4) as i32;
        let mut row = |n: usize| (n as f64 * draw.unit().powi(skew)) as u32;
        let pairs = (0..ratings).map(|_| (row(users), row(items))).collect();
        let mut case = Case::of_pairs(factors, users, items, pairs);
        if draw.below(2) == 0 {
            let fewest = 1 + ratings / 40;
            case = case.batches_of(fewest + draw.below(ratings) as usize).epochs(2);
        }
        case = match draw.below(4) {
            0 => case.optimizer(Optimizer::Sgd, 0.9),
            1 => case.optimizer(Optimizer::Adagrad, 0.0),
            2 => case.optimizer(Optimizer::Adam, 0.0),
            _ => case,
        };
        case = match draw.below(3) {
            0 => case.logistic(),
            _ => case,
        };
        if draw.below(3) == 0 {
            let exponent = draw.below(5) as f32 / 4.0;
            case = case.reg_exponent(exponent);
        }
        if draw.below(3) == 0 { case.no_bias() } else { case }
    };
    (0..60).map(&mut case).collect()
}

/// More sums than one turn of the reduction takes, in batches and in the held-out set.
fn pairs() -> Vec<Case> {
    let case = Case::new(2, 9_000, 8_500, 20_000);
    vec![
        case.clone().test_ratings(300_001),
        case.logistic().batches_of(9_001).test_ratings(262_145),
        Case::new(3, 4_200, 4_096, 4_096),
    ]
}

/// The oracle at the start of a case, and the weights of its regularization.
fn oracle_of(case: &Case, start: &Factors) -> (Training, Weights) {
    let model = Model::from(start);
    let weights = Weights::new(&model, &case.ratings, f64::from(case.terms.reg_exponent));
    let moments = case.start().moments.iter().map(Model::from).collect();
    (Training { model, moments, steps: 0 }, weights)
}

fn assert_factors(what: &str, got: &Factors, want: &Model) {
    for (array, got, want) in [
        ("user factors", &got[Side::User].factors, want.users.factors.concat()),
        ("item factors", &got[Side::Item].factors, want.items.factors.concat()),
        ("user biases", &got[Side::User].bias, want.users.bias.clone()),
        ("item biases", &got[Side::Item].bias, want.items.bias.clone()),
    ] {
        let gap = largest_gap(got, &want);
        assert!(gap < TOLERANCE, "{what}: {array} off by {gap:.1e}");
    }
}

/// The loop over epochs: step sizes that fall, Adam's step count, errors of every epoch.
pub fn epochs_match_the_oracle(backend: &dyn Backend) {
    const DECAY: f64 = 0.5;
    const RATE: f64 = 0.05;
    for optimizer in [Optimizer::Sgd, Optimizer::Adagrad, Optimizer::Adam] {
        let case = Case::new(6, 40, 30, 700).batches_of(150).optimizer(optimizer, 0.0).fresh();
        let (mut users, mut items) = (Ids::new(), Ids::new());
        for j in 0..case.users {
            users.intern(&format!("u{j}"));
        }
        for j in 0..case.items {
            items.intern(&format!("i{j}"));
        }
        let options = Options {
            factors: Some(case.factors),
            solver: Some(optimizer.into()),
            epochs: Some(3),
            batch_size: Some(case.batch_size),
            learning_rate: Some(RATE),
            learning_rate_decay: Some(DECAY),
            reg: Some(f64::from(case.terms.reg)),
            reg_bias: Some(f64::from(case.terms.reg_bias)),
            damping: Some(f64::from(case.terms.damping)),
            damping_bias: Some(f64::from(case.terms.damping_bias)).filter(|_| case.terms.bias),
            no_shuffle: true,
            ..Options::default()
        };
        let settings = options.resolve(&case.ratings, case.users, case.items).unwrap();
        let start = case.start().factors;
        let input = Input {
            users: &users,
            items: &items,
            ratings: &case.ratings,
            test: Some(&case.test),
            init: Some(start.clone()),
            resume: None,
            checkpoint_every: None,
            clock: wgmf::train::seconds,
        };
        let outcome =
            train(backend, input, &settings, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
        let mean = case.ratings.mean() as f32;
        let (mut oracle, weights) = oracle_of(&case, &Factors { global_mean: mean, ..start });
        for (record, epoch) in outcome.history.iter().zip(0..) {
            let rate = RATE * DECAY.powi(epoch);
            let mut loss = 0.0;
            for batch in oracle::batches(&case.ratings, case.batch_size) {
                loss += oracle.visit(&case.terms, &weights, rate, &batch);
            }
            let test = loss_sum(&oracle.model, case.terms.loss, &triples(&case.test));
            let wants = [loss / case.ratings.len() as f64, test / case.test.len() as f64];
            for (got, want) in [record.train_error, record.test_error].into_iter().zip(wants) {
                let gap = gap(got.unwrap(), want, 0.1);
                assert!(gap < TOLERANCE, "{optimizer:?}: error of epoch {epoch} off by {gap:.1e}");
            }
        }
        assert_factors(&format!("{optimizer:?}"), &outcome.factors, &oracle.model);
    }
}

/// An epoch that is broken off has visited whole batches, and as many ratings as it says.
pub fn a_broken_epoch_matches_the_oracle(backend: &dyn Backend) {
    let case = Case::new(4, 40, 30, 700).batches_of(1).optimizer(Optimizer::Adam, 0.0);
    let problem = case.problem();
    let mut passes = backend.gradient_passes(problem).unwrap();
    let visit = |batch: usize| {
        let rate = step_size(Optimizer::Adam, 0.01, batch as i32 + 1) as f32;
        Visit { batch: batch as u32, rate }
    };
    let visits: Vec<_> = (0..700).map(visit).collect();
    let mut calls = 0;
    let sums = passes.epoch(&visits, &mut |_| {
        calls += 1;
        if calls == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let done = sums.unwrap().ratings;
    assert!(calls == 2 && done > 0 && done < 700, "{calls} calls, {done} ratings");
    let (mut oracle, weights) = oracle_of(&case, &case.start().factors);
    for batch in &oracle::batches(&case.ratings, 1)[..done] {
        oracle.visit(&case.terms, &weights, 0.01, batch);
    }
    assert_factors("broken off", &passes.factors().unwrap(), &oracle.model);
}

/// One number that is not finite, somewhere among many, is reported.
pub fn reduce_reports_a_single_overflow(backend: &dyn Backend) {
    let case = Case::new(3, 9_000, 8_500, 20_000).test_ratings(30_000);
    let row = case.ratings.users[12_345] as usize;
    for (what, value) in [("overflow", 1e30), ("infinity", f32::INFINITY), ("NaN", f32::NAN)] {
        let mut problem = case.problem();
        problem.start.factors[Side::User].factors[row * 3 + 1] = value;
        let mut passes = backend.gradient_passes(problem).unwrap();
        let visits = [Visit { batch: 0, rate: 0.0 }];
        let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(!sums.loss.is_finite(), "{what}: loss {}", sums.loss);
    }
    let row = case.test.users[23_456] as usize;
    let mut problem = case.problem();
    problem.start.factors[Side::User].factors[row * 3] = f32::NAN;
    let loss = backend.gradient_passes(problem).unwrap().test_loss().unwrap();
    assert!(!loss.is_finite(), "held-out loss {loss}");
}
