//! Losses made for ranking on devices far smaller than any: slots, parameters and dispatches are cut, and the
//! results stay.

use crate::{common, oracle};
use std::ops::ControlFlow;
use wgmf::backend::{Backend, ChoiceProblem};
use wgmf::core::{Loss, Negatives, Side};
use wgmf::cpu::Cpu;
use wgmf::gpu::Sources;

use common::gpu_with;
use oracle::choice_case::{ChoiceCase, compare};

#[test]
fn small_devices_find_the_same_gradients() {
    let mut cases = Vec::new();
    for loss in [Loss::Softmax, Loss::Ccl, Loss::Bpr, Loss::Warp] {
        // A slot has 80 bytes and comes in two parts at least: 12 of a tile, so 6 of users and 8 of items; 32
        // rows of parameters a tile.
        cases.push((2048, 65_535, ChoiceCase::new(loss, 16, (70, 90), 100)));
        cases.push((2048, 64, ChoiceCase::new(loss, 14, (70, 90), 100).inner()));
        // Several panels of a tile, and dispatches of 64 pairs and users.
        let case = ChoiceCase::new(loss, 7, (150, 190), 200);
        cases.push((4096, 64, case.negatives(Negatives::All).batches_of(130).epochs(2)));
    }
    let softmax = ChoiceCase::new(Loss::Softmax, 130, (300, 500), 500).negatives(Negatives::All);
    cases.push((1 << 16, 64, softmax.own().contrast("dropout", |c| c.dropout = 0.2)));
    for (binding, workgroups, case) in cases {
        let gpu = gpu_with(Some((binding, workgroups)), Sources::default());
        let gap = compare(&gpu, &case)
            .unwrap_or_else(|what| panic!("{binding} bytes, {workgroups} workgroups: {what}"));
        println!("{binding} bytes, {workgroups} workgroups: {gap:.1e}");
    }
}

/// As for users who are folded in.
#[test]
fn users_alone_move_as_on_the_cpu() {
    for loss in [Loss::Softmax, Loss::Warp] {
        let case = ChoiceCase::new(loss, 13, (40, 60), 150).batches_of(70);
        let run = |backend: &dyn Backend| {
            let problem = ChoiceProblem { still_items: true, ..case.problem() };
            let mut passes = backend.choice_passes(problem).unwrap();
            let mut batches = case.batches(1).into_iter();
            passes.epoch(&mut batches, &mut |_| ControlFlow::Continue(())).unwrap();
            passes.factors().unwrap()
        };
        let (got, want, start) = (run(&common::gpu()), run(&Cpu::new()), case.start().factors);
        assert_eq!(got[Side::Item], start[Side::Item]);
        assert_ne!(got[Side::User], start[Side::User]);
        let want: Vec<f64> = want[Side::User].factors.iter().map(|&x| f64::from(x)).collect();
        assert!(common::largest_gap(&got[Side::User].factors, &want) < 1e-4, "{}", case.name);
    }
}

#[test]
fn what_cannot_be_cut_is_refused() {
    for (k, pairs, named) in [(64, 10, "`factors`"), (5, 100, "`batch_size`")] {
        let gpu = gpu_with(Some((512, 65_535)), Sources::default());
        let case = ChoiceCase::new(Loss::Softmax, k, (15, 20), pairs);
        let said = match gpu.choice_passes(case.problem()) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(named) && said.contains("512 bytes"), "{said}");
        assert!(said.contains("`backend` cpu"), "{said}");
    }
}
