//! Devices far smaller than any: problems are cut to tiles, chunks and dispatches, and the results
//! stay; what cannot be cut is refused with the reason.

use crate::faults::planted;
use crate::{common, oracle};
use wgmf::backend::{Backend, State, Visit};
use wgmf::core::{Optimizer, Side};
use wgmf::gpu::{Gpu, Sources, TightLimits};

use common::gpu_with;
use oracle::case::{Case, compare};
use std::ops::ControlFlow;

fn tight(binding_bytes: u64, workgroups: u32) -> Gpu {
    let limits = TightLimits { binding_bytes, workgroups };
    Gpu::open_with(&common::adapter(), Some(limits), Sources::default())
        .map_or_else(|error| panic!("{error} (./test.sh installs it)"), common::checks)
}

/// The state after two epochs.
fn trained(backend: &dyn Backend, case: &Case) -> State {
    let problem = case.problem();
    let batches = problem.batches.len() as u32;
    let mut passes = backend.gradient_passes(problem).unwrap();
    for _ in 0..2 {
        let visits: Vec<_> = (0..batches).map(|batch| Visit { batch, rate: 0.01 }).collect();
        passes.epoch(&visits, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    passes.state().unwrap()
}

/// Holds a small device against the oracle, and against a device of full size.
fn hold(binding_bytes: u64, workgroups: u32, cases: Vec<Case>) {
    let (small, full) = (tight(binding_bytes, workgroups), common::gpu());
    for case in cases {
        let case = case.named(&format!("{binding_bytes} bytes, {workgroups} workgroups"));
        compare(&small, &case).unwrap();
        let (got, want) = (trained(&small, &case), trained(&full, &case));
        let pairs = |of: fn(&State) -> &Vec<f32>| of(&got).iter().zip(of(&want));
        let both = pairs(|s| &s.factors[Side::User].factors)
            .chain(pairs(|s| &s.factors[Side::Item].factors));
        for (got, want) in both {
            let gap = common::gap(f64::from(*got), f64::from(*want), 0.1);
            assert!(gap < 1e-5, "{}: {got} instead of {want}", case.name);
        }
    }
}

#[test]
fn residual_matches_the_oracle_at_many_tiles() {
    // A row of 16 factors has 64 bytes: 32 rows a tile, so 5 tiles of users and 4 of items; and 32
    // slots of gradients a tile, so that tiles are halved until the largest batch fits.
    let case = Case::new(16, 150, 100, 120);
    hold(2048, 65_535, vec![case.clone(), case.clone().logistic(), case.no_bias()]);
    // Sides lead the other way, ragged tiles, a row width that divides no power of two.
    let case = Case::new(9, 77, 131, 120);
    hold(2000, 65_535, vec![case.clone(), case.logistic()]);
}

#[test]
fn step_matches_the_oracle_at_many_tiles() {
    let case = Case::new(13, 80, 110, 330).batches_of(83).epochs(2);
    let cases = vec![
        case.clone().optimizer(Optimizer::Sgd, 0.9),
        case.clone().optimizer(Optimizer::Adagrad, 0.0),
        case.clone().optimizer(Optimizer::Adam, 0.0),
        case.optimizer(Optimizer::Adam, 0.0).no_bias(),
    ];
    hold(4096, 65_535, cases);
}

#[test]
fn gradient_matches_the_oracle_at_many_chunks() {
    // An entry has 8 bytes: 512 a chunk, so that 60 batches of 50 need 6 chunks and more.
    let case = Case::new(3, 90, 120, 3001).batches_of(50);
    hold(4096, 65_535, vec![case.clone(), case.logistic().optimizer(Optimizer::Adam, 0.0)]);
}

#[test]
fn gradient_matches_the_oracle_at_hot_rows_cut_by_tiles() {
    // Rows of 700 ratings whose partners lie in several tiles: segments of each tile, one gradient.
    let pairs: Vec<_> = (0..1400).map(|n| (n % 2, n * n % 300)).collect();
    let turned = pairs.iter().map(|&(a, b)| (b, a)).collect();
    hold(
        16_384,
        65_535,
        vec![
            Case::of_pairs(30, 60, 300, pairs.clone()),
            Case::of_pairs(30, 300, 60, turned),
            Case::of_pairs(33, 310, 300, pairs).logistic(),
        ],
    );
}

#[test]
fn residual_matches_the_oracle_at_many_dispatches() {
    // 64 workgroups hold 4096 rows of one lane, 512 of eight, 64 of 64; and of the step 4096
    // vec4 columns and biases.
    hold(
        1 << 27,
        64,
        vec![
            Case::new(1, 6000, 7000, 12_000),
            Case::new(40, 700, 1100, 2000).logistic(),
            Case::new(1024, 90, 80, 200),
            Case::new(60, 800, 700, 1500).optimizer(Optimizer::Adam, 0.0).no_bias(),
        ],
    );
}

#[test]
fn error_matches_the_oracle_at_many_dispatches() {
    hold(1 << 27, 64, vec![Case::new(5, 60, 50, 200).test_ratings(9001)]);
    // 12 bytes a rating: 340 a binding.
    hold(4096, 65_535, vec![Case::new(5, 110, 90, 200).test_ratings(5001).logistic()]);
}

#[test]
fn everything_is_cut_at_once() {
    let case =
        Case::new(19, 260, 310, 4003).batches_of(257).epochs(2).optimizer(Optimizer::Adam, 0.0);
    hold(6000, 64, vec![case.clone(), case.logistic().reg_exponent(0.5)]);
}

/// A fault that shows only where a problem is cut: unnoticed on a device of full size, noticed on a
/// small one. So the small ones do cut.
#[test]
fn small_devices_cut() {
    let tiles = Case::new(16, 150, 100, 120);
    let rows = Case::new(1, 6000, 7000, 12_000);
    let chunks = Case::new(3, 90, 120, 3001).batches_of(50);
    for (what, binding_bytes, workgroups, case, kernel, texts) in [
        ("user tiles", 2048, 65_535, &tiles, "error", ("params.user_bias + ", "")),
        ("dispatches", 1 << 27, 64, &rows, "step", ("params.first_row + ", "")),
        ("segments", 1 << 27, 64, &rows, "residual", ("params.first_segment + group.x", "group.x")),
        ("chunks", 4096, 65_535, &chunks, "reduce", ("params.results + ", "")),
    ] {
        compare(&gpu_with(None, planted(kernel, texts, 1)), case)
            .unwrap_or_else(|found| panic!("{what}: noticed without a cut: {found}"));
        let small = gpu_with(Some((binding_bytes, workgroups)), planted(kernel, texts, 1));
        assert!(compare(&small, case).is_err(), "{what}: not cut ({})", case.name);
    }
}

/// Opens a problem that must be refused, and returns what is said.
fn refused(gpu: &Gpu, case: &Case) -> String {
    match gpu.gradient_passes(case.problem()) {
        Ok(_) => panic!("{}: accepted", case.name),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_row_wider_than_a_binding_is_refused() {
    let said = refused(&tight(2048, 65_535), &Case::new(1024, 20, 30, 40));
    assert!(said.contains("1024 factors") && said.contains("2048 bytes"), "{said}");
    assert!(said.contains("`factors`") && said.contains("`backend` cpu"), "{said}");
}

#[test]
fn a_batch_larger_than_a_binding_is_refused() {
    let said = refused(&tight(4096, 65_535), &Case::new(4, 20, 30, 5000));
    assert!(said.contains("5000 ratings") && said.contains("4096 bytes"), "{said}");
    assert!(said.contains("`batch_size`") && said.contains("`backend` cpu"), "{said}");
    // The same ratings fit in smaller batches.
    compare(&tight(4096, 65_535), &Case::new(4, 20, 30, 5000).batches_of(200)).unwrap();
}

#[test]
fn biases_larger_than_a_binding_are_refused() {
    let said = refused(&tight(4096, 65_535), &Case::new(4, 2000, 30, 100));
    assert!(said.contains("2032 rows") && said.contains("`backend` cpu"), "{said}");
}

#[test]
fn a_device_goes_on_after_a_refusal() {
    let gpu = tight(4096, 65_535);
    refused(&gpu, &Case::new(4, 20, 30, 5000));
    compare(&gpu, &Case::new(4, 20, 30, 500)).unwrap();
}

#[test]
fn too_few_workgroups_are_an_error_and_no_panic() {
    let gpu = tight(1 << 27, 32);
    let said = compare(&gpu, &Case::new(4, 20, 30, 50)).unwrap_err();
    assert!(said.contains("`backend` cpu"), "{said}");
}
