//! The passes of losses made for ranking against the oracle.

use super::{Compare, held};
use crate::oracle::choice_case::{ChoiceCase, compare};
use wgmf::backend::Backend;
use wgmf::core::{Loss, Negatives, Solver};

use std::ops::ControlFlow;

impl Compare for ChoiceCase {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn opens(&self, backend: &dyn Backend) -> Result<(), String> {
        backend.choice_passes(self.problem()).map(drop).map_err(|error| error.to_string())
    }

    fn compare(&self, backend: &dyn Backend) -> Result<f64, String> {
        compare(backend, self)
    }
}

held! {
    losses_match_the_oracle_at_ragged_widths: widths();
    losses_match_the_oracle_at_odd_pools: pools();
    losses_match_the_oracle_at_odd_batches: batch_sizes();
    losses_match_the_oracle_at_every_setting: settings();
    losses_match_the_oracle_at_every_solver: solvers();
}

const LOSSES: [Loss; 4] = [Loss::Softmax, Loss::Ccl, Loss::Bpr, Loss::Warp];

/// Numbers of factors at, below and above a vector, a line, a tile.
fn widths() -> Vec<ChoiceCase> {
    let mut cases = Vec::new();
    for (j, k) in [2, 3, 5, 15, 16, 17, 31, 33, 48, 64, 65, 80, 129].into_iter().enumerate() {
        let case = ChoiceCase::new(LOSSES[j % 4], k, (23, 61), 90);
        cases.extend([case.clone(), case.inner()]);
        cases.push(ChoiceCase::new(LOSSES[(j + 1) % 4], k, (41, 37), 77).weighted());
    }
    // One factor: a cosine is 1 or −1.
    cases.extend(LOSSES.map(|loss| ChoiceCase::new(loss, 1, (9, 12), 30).inner()));
    cases.push(ChoiceCase::new(Loss::Softmax, 1, (9, 12), 30));
    cases
}

/// One draw; pools around a line and a tile; the batch's own items, and all; with duplicates, and users who
/// know every item of the pool.
fn pools() -> Vec<ChoiceCase> {
    let mut cases = Vec::new();
    for loss in LOSSES {
        for (k, count) in [(5, 1), (7, 2), (20, 15), (16, 16), (9, 17), (33, 48), (4, 300)] {
            cases.push(ChoiceCase::new(loss, k, (19, 45), 60).negatives(Negatives::Pool(count)));
        }
        let case = ChoiceCase::new(loss, 12, (19, 33), 60);
        cases.push(case.clone().negatives(Negatives::Batch).inner());
        cases.push(case.clone().negatives(Negatives::Mixed(9)));
        cases.push(case.clone().negatives(Negatives::All));
        cases.push(case.clone().contrast("popular ones", |c| c.negative_exponent = 0.6).weighted());
        // Two items, one of which a user has, or both.
        cases.push(ChoiceCase::new(loss, 6, (8, 2), 20).negatives(Negatives::All).inner());
        cases.push(ChoiceCase::new(loss, 6, (3, 4), 40).negatives(Negatives::Pool(3)).inner());
    }
    // More than a block, and than a run of terms.
    cases.push(ChoiceCase::new(Loss::Softmax, 10, (150, 1400), 400).negatives(Negatives::All));
    cases.push(ChoiceCase::new(Loss::Ccl, 33, (90, 900), 200).negatives(Negatives::All));
    cases
}

/// One pair; one user; one item; a last batch that is smaller; many users in one batch.
fn batch_sizes() -> Vec<ChoiceCase> {
    let mut cases = Vec::new();
    for loss in LOSSES {
        cases.push(ChoiceCase::new(loss, 5, (1, 9), 1));
        cases.push(ChoiceCase::new(loss, 6, (1, 30), 25).inner());
        cases.push(ChoiceCase::new(loss, 8, (60, 40), 131).batches_of(40).epochs(2));
        cases.push(ChoiceCase::new(loss, 4, (400, 70), 600).weighted());
    }
    cases
}

/// Every setting of a loss at another value than the usual one.
fn settings() -> Vec<ChoiceCase> {
    let softmax = ChoiceCase::new(Loss::Softmax, 20, (30, 50), 120);
    let ccl = ChoiceCase::new(Loss::Ccl, 20, (30, 50), 120);
    let mut cases = vec![
        softmax.clone().own(),
        softmax.clone().own().inner().weighted(),
        softmax.clone().own().contrast("cold", |c| c.temperature = 0.05),
        softmax.clone().contrast("η 1.3", |c| c.negative_power = 1.3),
        softmax.clone().own().contrast("η 0.7", |c| c.negative_power = 0.7),
        softmax.clone().contrast("a cut-off", |c| c.cut_off = Some(5)).weighted(),
        ccl.contrast("λ 20, θ −0.2", |c| (c.negative_weight, c.margin) = (20.0, -0.2)),
    ];
    for loss in LOSSES {
        let case = ChoiceCase::new(loss, 37, (25, 44), 100);
        cases.push(case.clone().contrast("dropout", |c| c.dropout = 0.3));
        cases.push(case.clone().inner().contrast("dropout", |c| c.dropout = 0.5));
        cases.push(case.clone().with("reg", |s| s.reg = 0.05));
        cases.push(case.clone().inner().with("reg", |s| (s.reg, s.reg_bias) = (0.1, 0.2)));
        cases.push(case.inner().with("slow biases", |s| s.learning_rate_bias *= 0.25));
    }
    for tries in [1, 2, 40] {
        for loss in [Loss::Bpr, Loss::Warp] {
            let case = ChoiceCase::new(loss, 14, (25, 44), 100);
            cases.push(case.contrast(&format!("{tries} tries"), |c| c.tries = tries));
        }
    }
    let far = ChoiceCase::new(Loss::Warp, 14, (25, 44), 100);
    cases.push(far.clone().contrast("a margin that all are within", |c| c.margin = 3.0));
    cases.push(far.contrast("a margin that few are within", |c| c.margin = -0.6));
    cases
}

/// Every update, over several epochs of several batches.
fn solvers() -> Vec<ChoiceCase> {
    let mut cases = Vec::new();
    for solver in [Solver::Sgd, Solver::Adagrad, Solver::Adam] {
        for loss in LOSSES {
            let case = ChoiceCase::new(loss, 11, (33, 47), 150).solver(solver).batches_of(64);
            cases.extend([case.clone().epochs(2), case.inner().epochs(2)]);
        }
    }
    cases
}

/// A watcher that breaks off is told what was done, and what was done stays.
pub fn a_broken_epoch_of_choices_says_how_far_it_came(backend: &dyn Backend) {
    let case = ChoiceCase::new(Loss::Softmax, 8, (40, 30), 200).batches_of(50);
    let mut passes = backend.choice_passes(case.problem()).unwrap();
    let mut told = 0;
    let mut watch = |pairs| {
        told = pairs;
        ControlFlow::Break(())
    };
    let sums = passes.epoch(&mut case.batches(1).into_iter(), &mut watch).unwrap();
    assert_eq!(sums.ratings, told);
    assert!(told > 0 && told <= 200, "{told} pairs");
    assert_ne!(passes.factors().unwrap(), case.start().factors);
}

/// The same problem gives the same bits, kept parameters come back.
pub fn choices_repeat_and_are_kept(backend: &dyn Backend) {
    for loss in LOSSES {
        let case = ChoiceCase::new(loss, 20, (70, 90), 300).batches_of(128);
        let run = || {
            let mut passes = backend.choice_passes(case.problem()).unwrap();
            passes.keep().unwrap();
            for epoch in 1..=2 {
                let mut batches = case.batches(epoch).into_iter();
                passes.epoch(&mut batches, &mut |_| ControlFlow::Continue(())).unwrap();
            }
            assert_eq!(passes.kept().unwrap(), case.start().factors);
            passes.state().unwrap()
        };
        assert_eq!(run(), run(), "{}", case.name);
    }
}
