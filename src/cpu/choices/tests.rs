//! What no width of vectors changes, and what memory is said to be needed.

use super::batch::{Scratch, scratch_bytes};
use super::*;
use crate::backend::ChoiceSizes;
use crate::core::{
    ChoicePlan, Loss, Negatives, Optimizer, Options, Ratings, Settings, SideFactors,
};

const USERS: usize = 60;
const ITEMS: usize = 150;

fn ratings() -> Ratings {
    let n = 900;
    Ratings {
        users: (0..n).map(|at| (at * at % USERS) as u32).collect(),
        items: (0..n).map(|at| (at * 31 % ITEMS) as u32).collect(),
        values: vec![1.0; n],
        timestamps: vec![],
        weights: Vec::new(),
    }
}

fn settings(k: usize, loss: Loss, negatives: Negatives) -> Settings {
    let options = Options { loss: Some(loss), factors: Some(k), ..Options::default() };
    let mut settings = options.resolve(&ratings(), USERS, ITEMS).unwrap();
    settings.contrast.as_mut().unwrap().negatives = negatives;
    settings
}

fn problem(settings: &Settings, plan: &ChoicePlan) -> ChoiceProblem {
    let number = |at: usize| ((at * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
    let k = settings.factors;
    let side = |rows: usize| SideFactors {
        factors: (0..rows * k).map(number).collect(),
        bias: vec![0.0; rows],
    };
    let factors = Factors { factors: k, sides: [side(USERS), side(ITEMS)], global_mean: 0.0 };
    let zeros = SideFactors::zeros;
    let sides = [zeros(USERS, k), zeros(ITEMS, k)];
    let moment = Factors { factors: k, sides, global_mean: 0.0 };
    let (pairs, pool, draws) = plan.most();
    ChoiceProblem {
        users: USERS,
        items: ITEMS,
        start: State { factors, moments: vec![moment.clone(), moment] },
        terms: Terms::new(settings, Optimizer::Adam),
        choice: ChoiceTerms::new(settings, settings.contrast.as_ref().unwrap(), ITEMS),
        most: ChoiceSizes { pairs, pool, draws },
        still_items: false,
    }
}

/// Vectors of 512 and 256 bits, and no vectors at all.
#[test]
fn the_width_of_vectors_changes_no_bit() {
    for (k, loss, negatives) in [
        (1, Loss::Ccl, Negatives::Pool(33)),
        (33, Loss::Softmax, Negatives::Pool(70)),
        (64, Loss::Softmax, Negatives::All),
        (100, Loss::Ccl, Negatives::Batch),
        (20, Loss::Bpr, Negatives::Pool(70)),
        (64, Loss::Warp, Negatives::All),
    ] {
        let settings = settings(k, loss, negatives);
        let plan = ChoicePlan::new(&ratings(), &[], (USERS, ITEMS), &settings).unwrap();
        let run = |arch: pulp::Arch| {
            let mut passes = CpuChoices::new(Cpu { arch }, problem(&settings, &plan)).unwrap();
            let mut batches = plan.epoch(1, &[], |_| 0.02);
            let sums = passes.epoch(&mut batches, &mut |_| ControlFlow::Continue(())).unwrap();
            (passes.factors().unwrap(), sums)
        };
        let (widest, none) = (run(pulp::Arch::new()), run(pulp::Arch::Scalar));
        assert!(widest == none && widest.1.loss.is_finite(), "k {k}, {loss:?}");
        #[cfg(target_arch = "x86_64")]
        if let Some(narrow) = pulp::x86::V3::try_new() {
            assert!(widest == run(pulp::Arch::V3(narrow)), "k {k}, {loss:?}");
        }
    }
}

#[test]
fn bytes_are_those_that_lie_there() {
    for (k, loss, negatives) in [
        (5, Loss::Softmax, Negatives::Pool(70)),
        (64, Loss::Ccl, Negatives::All),
        (17, Loss::Bpr, Negatives::Pool(70)),
    ] {
        let settings = settings(k, loss, negatives);
        let plan = ChoicePlan::new(&ratings(), &[], (USERS, ITEMS), &settings).unwrap();
        let problem = problem(&settings, &plan);
        let is = Scratch::new(&problem).unwrap().bytes() as u64;
        let (pairs, pool, items) =
            (problem.most.pairs as u64, problem.most.pool as u64, ITEMS as u64);
        let said = scratch_bytes(pairs, pool, items, k, loss.is_dense());
        assert!(said >= is && said < is + is / 8 + 4096, "{loss:?}: {said} said, {is} there");
    }
}
