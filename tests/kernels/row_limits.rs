//! Devices far smaller than any solve rows to the same result; what cannot be cut is refused with
//! the reason.

use crate::{common, oracle};
use wgmf::backend::{ALL, Backend, ObjectiveSums};
use wgmf::core::{Factors, Side};
use wgmf::gpu::{Gpu, Sources, TightLimits};

use oracle::row_case::{RowCase, compare};
use std::ops::ControlFlow;

fn tight(binding_bytes: u64, workgroups: u32) -> Gpu {
    let limits = TightLimits { binding_bytes, workgroups };
    Gpu::open_with(&common::adapter(), Some(limits), Sources::default())
        .map_or_else(|error| panic!("{error} (./test.sh installs it)"), common::checks)
}

/// Parameters and objective after two sweeps.
fn solved(backend: &dyn Backend, case: &RowCase) -> (Factors, ObjectiveSums) {
    let mut passes = backend.row_passes(case.problem()).unwrap();
    for side in [Side::User, Side::Item, Side::User, Side::Item] {
        passes.solve(side, ALL, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    (passes.factors().unwrap(), passes.objective([ALL, ALL]).unwrap().join())
}

/// Holds a small device against the oracle, and against a device of full size.
fn hold(binding_bytes: u64, workgroups: u32, cases: Vec<RowCase>) {
    let (small, full) = (tight(binding_bytes, workgroups), common::gpu());
    for case in cases {
        let case = case.named(&format!("{binding_bytes} bytes, {workgroups} workgroups"));
        compare(&small, &case).unwrap();
        let ((got, objective), (want, total)) = (solved(&small, &case), solved(&full, &case));
        let gap = common::gap(objective.total(), total.total(), 0.0);
        assert!(gap < 1e-5, "{}: objective off by {gap:.1e}", case.name);
        if case.terms.nonnegative {
            continue;
        }
        for (got, want) in [
            (&got[Side::User].factors, &want[Side::User].factors),
            (&got[Side::Item].factors, &want[Side::Item].factors),
            (&got[Side::User].bias, &want[Side::User].bias),
        ] {
            let gaps = got
                .iter()
                .zip(want)
                .map(|(&got, &want)| common::gap(f64::from(got), f64::from(want), 0.1));
            let gap = gaps.fold(0.0, f64::max);
            assert!(gap < 1e-4, "{}: off by {gap:.1e}", case.name);
        }
    }
}

/// So little regularization that rows are refined, and so much that two sweeps keep their digits.
fn refined(mut case: RowCase) -> RowCase {
    case.terms.reg *= 0.2;
    case.terms.reg_bias *= 0.2;
    case.named("refined")
}

/// Every kind of solve.
fn kinds(case: RowCase) -> Vec<RowCase> {
    vec![
        case.clone(),
        case.clone().no_bias().block(3),
        case.clone().implicit(0.1).weighted(),
        case.clone().implicit(0.1).block(5),
        refined(case.clone()),
        refined(case.clone()).implicit(0.01).weighted(),
        case.nonnegative(),
    ]
}

#[test]
fn gram_matches_the_oracle_at_many_tiles() {
    // A row of 16 factors has 64 bytes: 64 rows a binding; the equations of one row a kilobyte.
    hold(4096, 65_535, kinds(RowCase::new(16, 150, 200, 900).sweeps(1)));
    let turned = RowCase::new(9, 300, 131, 1500).turned().sweeps(1);
    hold(8192, 65_535, vec![turned.clone(), turned.implicit(0.1).weighted()]);
}

#[test]
fn gram_matches_the_oracle_at_hot_rows_cut_by_tiles() {
    let case = RowCase::hot(16, 10, 300, 2500).sweeps(1);
    let weak = refined(case.clone());
    hold(16_384, 65_535, vec![case.clone(), weak, case.turned().implicit(0.05).weighted()]);
}

#[test]
fn cholesky_matches_the_oracle_at_many_dispatches() {
    hold(1 << 27, 64, kinds(RowCase::new(5, 700, 900, 4000).sweeps(1)));
    hold(1 << 27, 64, vec![RowCase::new(40, 200, 90, 1500).sweeps(1)]);
}

#[test]
fn error_matches_the_oracle_at_many_dispatches() {
    hold(1 << 27, 64, vec![RowCase::new(5, 60, 50, 200).test_ratings(9001).sweeps(1)]);
    hold(8192, 65_535, vec![RowCase::new(5, 110, 90, 600).test_ratings(5001).sweeps(1)]);
}

#[test]
fn everything_is_cut_at_once() {
    hold(16_384, 64, kinds(RowCase::new(19, 260, 310, 4003).sweeps(1)));
}

/// Bindings of one matrix and 256 ratings; rows, segments and vec4s of a matrix in several dispatches.
#[test]
fn the_smallest_devices_give_the_same() {
    let hot: Vec<_> = (0..3000).map(|n| (n % 2 * (n % 5), n * 7 % 90)).collect();
    let hot = RowCase::of_pairs(12, 100, 90, hot).sweeps(1);
    let case = RowCase::new(16, 110, 90, 1500).sweeps(1);
    hold(2048, 65_535, vec![case.clone(), case.turned().implicit(0.1).weighted().block(5)]);
    hold(4096, 65_535, vec![hot.clone(), hot.block(7)]);
    hold(1 << 27, 64, vec![RowCase::new(3, 3000, 2000, 8000).sweeps(1).block(2)]);
    hold(1 << 20, 64, vec![RowCase::new(130, 12, 10, 150).implicit(0.1).sweeps(1)]);
}

#[test]
fn equations_larger_than_a_binding_are_refused() {
    let gpu = tight(4096, 65_535);
    let said = match gpu.row_passes(RowCase::new(512, 20, 30, 40).problem()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("512 factors") && said.contains("4096"), "{said}");
    assert!(said.contains("`factors`") && said.contains("`backend` cpu"), "{said}");
    // The device goes on.
    compare(&gpu, &RowCase::new(7, 20, 30, 200)).unwrap();
    // What fits in blocks is accepted.
    compare(&gpu, &RowCase::new(64, 20, 30, 300).block(16)).unwrap();
    let said = match common::gpu().row_passes(RowCase::new(1024, 3, 4, 10).problem()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("`block`") && said.contains("`backend` cpu"), "{said}");
}

/// Broken off, some rows are solved and the others are as they were.
#[test]
fn a_watcher_breaks_off() {
    let gpu = common::gpu();
    let pairs = (0..6_000_000_u32).map(|n| (n % 4000, n / 4000)).collect();
    let case = RowCase::of_pairs(4, 4000, 1500, pairs);
    let mut passes = gpu.row_passes(case.problem()).unwrap();
    let start = case.start();
    let mut seen = Vec::new();
    let mut watch = |done: usize| {
        seen.push(done);
        ControlFlow::Break(())
    };
    let done = passes.solve(Side::User, ALL, &mut watch).unwrap();
    assert_eq!(seen, [done]);
    assert!(done > 0 && done < 6_000_000, "{done}");
    let got = passes.factors().unwrap();
    let rows = got[Side::User].factors.chunks(4).zip(start[Side::User].factors.chunks(4));
    let moved = rows.filter(|(got, start)| got != start).count();
    assert!(moved > 0 && moved < 4000, "{moved} rows moved");
    // What was broken off can be done whole.
    assert_eq!(
        passes.solve(Side::User, ALL, &mut |_| ControlFlow::Continue(())).unwrap(),
        6_000_000
    );
    let got = passes.factors().unwrap();
    let rows = got[Side::User].factors.chunks(4).zip(start[Side::User].factors.chunks(4));
    assert!(rows.filter(|(got, start)| got == start).count() == 0);
}

#[test]
fn ranges_of_rows_in_many_tiles_are_solved_as_all_rows_are() {
    let case = RowCase::new(16, 300, 260, 3000);
    let cases = vec![
        case.clone(),
        case.clone().weak(),
        case.clone().block(5),
        case.implicit(0.1),
        RowCase::hot(16, 200, 150, 2500),
        RowCase::new(16, 300, 260, 90).implicit(0.2).weighted(),
    ];
    crate::conformance::rows::shared_out(
        &common::gpu_with(Some((8192, 65_535)), Sources::default()),
        cases,
    );
}
