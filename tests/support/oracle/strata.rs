//! Gradient descent rating by rating: the oracle's step with batches of one, in the order of the schedule.

use super::case::{Case, TOLERANCE};
use super::{Model, Training, Weights, loss_sum, triples};
use crate::common::gap;
use std::ops::ControlFlow;
use wgmf::backend::{Backend, StrataProblem, Visit};
use wgmf::core::{Side, Strata};

/// A case as a device takes it.
pub fn problem(case: &Case, shuffle: Option<u64>) -> StrataProblem {
    let (users, items) = (case.users, case.items);
    StrataProblem {
        strata: Strata::new(&case.ratings, users, items, case.factors, shuffle),
        test: case.test.clone(),
        start: case.start().factors,
        terms: case.terms,
    }
}

/// The ratings of a wave in an order that its visits may have: those of each block in theirs.
pub fn order(strata: &Strata, wave: usize) -> Vec<(u32, u32, f64, f64)> {
    let [users, items] = &strata.sides;
    let (user_rows, item_rows) = (users.rows(), items.rows());
    let mut order = Vec::new();
    for block in strata.wave(wave) {
        let (first_user, first_item) = (users.cuts[block.0], items.cuts[block.1]);
        let weights = strata.block_weights(block);
        for (at, visit) in strata.block(block).iter().enumerate() {
            let user = user_rows[first_user + visit.user as usize];
            let item = item_rows[first_item + visit.item as usize];
            let weight = weights.get(at).map_or(1.0, |&weight| f64::from(weight));
            order.push((user, item, f64::from(visit.value), weight));
        }
    }
    order
}

/// Epochs of a case, waves in another order and with another step size each.
fn visits(epoch: usize, waves: usize) -> Vec<Visit> {
    let turn = |turn: usize| {
        let wave = if epoch.is_multiple_of(2) { waves - 1 - turn } else { turn };
        Visit { batch: wave as u32, rate: 0.02 * (1.0 - 0.25 * (turn % 3) as f32) }
    };
    (0..waves).map(turn).collect()
}

/// Holds `backend` against the oracle over the epochs of `case`: losses, parameters, the held-out loss.
/// `change` is what the device gets of the problem, for tests that plant a fault.
///
/// # Errors
/// Says what is further than [`TOLERANCE`] from what it should be.
pub fn compare(
    backend: &dyn Backend,
    case: &Case,
    shuffle: Option<u64>,
    change: &dyn Fn(&mut StrataProblem),
) -> Result<f64, String> {
    let mut problem = problem(case, shuffle);
    let (start, strata) = (problem.start.clone(), problem.strata.clone());
    change(&mut problem);
    let mut passes = backend.strata_passes(problem).map_err(|e| e.to_string())?;
    let model = Model::from(&start);
    let weights = Weights::new(&model, &case.ratings, f64::from(case.terms.reg_exponent));
    let mut oracle = Training { model, moments: Vec::new(), steps: 0 };
    let mut worst = 0.0_f64;
    let mut within = |what: &str, gap: f64| {
        worst = worst.max(gap);
        let said = || format!("{}: {what} off by {gap:.2e}", case.name);
        if gap < TOLERANCE { Ok(()) } else { Err(said()) }
    };
    for epoch in 0..case.epochs {
        let visits = visits(epoch, strata.strata());
        let mut loss = 0.0;
        for visit in &visits {
            for rating in order(&strata, visit.batch as usize) {
                loss += oracle.visit(&case.terms, &weights, f64::from(visit.rate), &[rating]);
            }
        }
        let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(()));
        let sums = sums.map_err(|e| e.to_string())?;
        if sums.ratings != case.ratings.len() {
            return Err(format!("{}: an epoch visits {} ratings", case.name, sums.ratings));
        }
        within("loss of an epoch", gap(sums.loss, loss, 1e-3))?;
    }
    let got = passes.factors().map_err(|e| e.to_string())?;
    if got.global_mean != start.global_mean {
        return Err(format!("{}: the mean moved", case.name));
    }
    for side in [Side::User, Side::Item] {
        let want = match side {
            Side::User => &oracle.model.users,
            Side::Item => &oracle.model.items,
        };
        let arrays = [
            ("factors", &got[side].factors, &start[side].factors, want.factors.concat()),
            ("biases", &got[side].bias, &start[side].bias, want.bias.clone()),
        ];
        for (what, got, start, want) in arrays {
            // Of what moved, as numbers that stay are all alike.
            let moved: Vec<f64> =
                want.iter().zip(start).map(|(want, &start)| want - f64::from(start)).collect();
            let floor = (moved.iter().map(|x| x * x).sum::<f64>() / moved.len() as f64).sqrt();
            if what == "biases" && !case.terms.bias {
                if got != start {
                    return Err(format!("{}: biases moved in a model without", case.name));
                }
                continue;
            }
            assert!(floor > 1e-4, "{}: the expected {what} stay where they are", case.name);
            for ((&got, &start), moved) in got.iter().zip(start).zip(moved) {
                let far = gap(f64::from(got) - f64::from(start), moved, floor);
                within(&format!("move of the {} {what}", side.name()), far)?;
            }
        }
    }
    let (got, test) = (passes.test_loss().map_err(|e| e.to_string())?, triples(&case.test));
    within("held-out loss", gap(got, loss_sum(&oracle.model, case.terms.loss, &test), 1e-3))?;
    Ok(worst)
}
