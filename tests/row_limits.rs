//! Devices far smaller than any solve rows to the same result; what cannot be cut is refused with
//! the reason.

mod common;
mod oracle;

use oracle::row_case::{RowCase, compare};
use std::ops::ControlFlow;
use wgmf::backend::{Backend, Objective};
use wgmf::data::Side;
use wgmf::gpu::{Gpu, Sources, TightLimits};
use wgmf::model::Factors;

fn tight(binding_bytes: u64, workgroups: u32) -> Gpu {
    let limits = TightLimits { binding_bytes, workgroups };
    Gpu::open_with(&common::adapter(), Some(limits), Sources::default())
        .map(common::checks)
        .unwrap_or_else(|error| panic!("{error} (./test.sh installs it)"))
}

/// Parameters and objective after two sweeps.
fn solved(backend: &dyn Backend, case: &RowCase) -> (Factors, Objective) {
    let mut passes = backend.row_passes(case.problem()).unwrap();
    for side in [Side::User, Side::Item, Side::User, Side::Item] {
        passes.solve(side, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    (passes.factors().unwrap(), passes.objective().unwrap())
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
            (&got.user_factors, &want.user_factors),
            (&got.item_factors, &want.item_factors),
            (&got.user_bias, &want.user_bias),
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
    hold(4096, 65_535, kinds(RowCase::new(16, 150, 200, 900)));
    hold(8192, 65_535, kinds(RowCase::new(9, 300, 131, 1500).turned()));
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

#[test]
fn equations_larger_than_a_binding_are_refused() {
    let gpu = tight(4096, 65_535);
    let said = match gpu.row_passes(RowCase::new(512, 20, 30, 40).problem()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("512 factors") && said.contains("4096"), "{said}");
    assert!(said.contains("--factors") && said.contains("--backend cpu"), "{said}");
    // The device goes on.
    compare(&gpu, &RowCase::new(7, 20, 30, 200)).unwrap();
}
