//! Gradients against finite differences of the objective they claim to be gradients of.

use crate::{common, oracle};
use wgmf::backend::{Backend, Visit};
use wgmf::core::{Loss, Side};
use wgmf::cpu::Cpu;

use common::gap;
use oracle::case::Case;
use oracle::choice_case::ChoiceCase;
use oracle::choices;
use oracle::{Model, Weights, batch_objective, batches, gradient};
use std::ops::ControlFlow;

/// Half the distance of two evaluations: in f64 the error of a central difference is about 1e-10.
const STEP: f64 = 1e-5;

fn cases() -> Vec<Case> {
    let case = Case::new(7, 13, 9, 60);
    let turned = Case::new(5, 9, 13, 60);
    vec![
        case.clone(),
        case.clone().logistic(),
        case.clone().no_bias(),
        turned.clone().logistic().no_bias(),
        case.clone().damped(0.7, 2.5),
        case.reg_exponent(0.0),
        turned.reg_exponent(0.5).logistic(),
    ]
}

/// Every parameter of a model, in one order: users' factors, their biases, items' factors, theirs.
fn parameters(model: &mut Model) -> Vec<&mut f64> {
    let mut all = Vec::new();
    for rows in [&mut model.users, &mut model.items] {
        all.extend(rows.factors.iter_mut().flatten());
        all.extend(rows.bias.iter_mut());
    }
    all
}

/// The gradient of the batch's objective by central differences, in the order of [`parameters`];
/// zero for biases that are not learned.
fn differences(case: &Case) -> Vec<f64> {
    let mut model = Model::from(&case.start().factors);
    let exponent = f64::from(case.terms.reg_exponent);
    let weights = Weights::new(&model, &case.ratings, exponent);
    let batch = &batches(&case.ratings, case.batch_size)[0];
    let is_bias: Vec<bool> = {
        let side = |rows: usize| [vec![false; rows * case.factors], vec![true; rows]].concat();
        [side(case.users), side(case.items)].concat()
    };
    let mut slopes = Vec::new();
    for (j, is_bias) in is_bias.into_iter().enumerate() {
        if is_bias && !case.terms.bias {
            slopes.push(0.0);
            continue;
        }
        let mut at = |shift: f64| {
            let before = *parameters(&mut model)[j];
            *parameters(&mut model)[j] = before + shift;
            let objective = batch_objective(&model, &case.terms, &weights, batch);
            *parameters(&mut model)[j] = before;
            objective
        };
        slopes.push((at(STEP) - at(-STEP)) / (2.0 * STEP));
    }
    slopes
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64).sqrt()
}

fn assert_close(case: &Case, what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{}: {what}", case.name);
    let floor = rms(want);
    assert!(floor > 1e-3, "{}: the expected gradient is all but zero", case.name);
    let worst = got.iter().zip(want).map(|(&got, &want)| gap(got, want, floor));
    let worst = worst.fold(0.0, f64::max);
    assert!(worst < tolerance, "{}: {what} is off by {worst:.2e}", case.name);
}

#[test]
fn the_oracle_matches_finite_differences() {
    for case in cases() {
        let model = Model::from(&case.start().factors);
        let weights = Weights::new(&model, &case.ratings, f64::from(case.terms.reg_exponent));
        let batch = &batches(&case.ratings, case.batch_size)[0];
        let gradient = gradient(&model, &case.terms, &weights, batch);
        let mut got = Vec::new();
        for (rows, n) in [(&gradient.users, case.users), (&gradient.items, case.items)] {
            let rows: Vec<_> = (0..n as u32).map(|row| rows.get(&row)).collect();
            let factors = |j: usize| rows.iter().map(move |row| row.map_or(0.0, |r| r.factors[j]));
            // (rows, factors), row by row.
            let columns: Vec<Vec<f64>> = (0..case.factors).map(|j| factors(j).collect()).collect();
            got.extend((0..n).flat_map(|row| columns.iter().map(move |c| c[row])));
            got.extend(rows.iter().map(|row| row.map_or(0.0, |r| r.bias)));
        }
        assert_close(&case, "the oracle's gradient", &got, &differences(&case), 1e-7);
    }
}

/// The gradient that a backend's kernels lead to, in the order of [`parameters`]: the probe's sums,
/// scaled to the mean of the loss, and the regularization, written out.
fn probed(backend: &dyn Backend, case: &Case) -> Vec<f64> {
    let problem = case.problem();
    let start = problem.start.factors.clone();
    let batches = problem.batches.clone();
    let probe = backend.gradient_passes(problem).unwrap().probe(0).unwrap();
    let n = case.ratings.len() as f64;
    let scale = -f64::from(case.terms.loss_factor()) / n;
    let mut all = Vec::new();
    for side in [Side::User, Side::Item] {
        let (x, bias) = match side {
            Side::User => (&start[Side::User].factors, &start[Side::User].bias),
            Side::Item => (&start[Side::Item].factors, &start[Side::Item].bias),
        };
        let (sums, bias_sums) = match side == batches.lead_side {
            true => (&probe.lead, &probe.lead_bias),
            false => (&probe.follow, &probe.follow_bias),
        };
        let counts = batches.row_ratings(side);
        let mut gradient = vec![0.0; x.len()];
        let mut bias_gradient = vec![0.0; bias.len()];
        let k = case.factors;
        for (run, &row) in batches.side_index(side).rows.iter().enumerate() {
            let row = row as usize;
            let count = f64::from(counts[row]);
            let weight = count.powf(f64::from(case.terms.reg_exponent));
            let penalty =
                |reg: f32, damping: f32| (f64::from(reg) * weight + f64::from(damping)) * 2.0 / n;
            let of_factors = penalty(case.terms.reg, case.terms.damping);
            let of_biases = penalty(case.terms.reg_bias, case.terms.damping_bias);
            for j in 0..k {
                let x = f64::from(x[row * k + j]);
                gradient[row * k + j] = scale * f64::from(sums[run * k + j]) + of_factors * x;
            }
            if case.terms.bias {
                bias_gradient[row] =
                    scale * f64::from(bias_sums[run]) + of_biases * f64::from(bias[row]);
            }
        }
        all.extend(gradient);
        all.extend(bias_gradient);
    }
    all
}

/// The gradient by which a step of plain sgd moved the parameters.
fn stepped(backend: &dyn Backend, case: &Case) -> Vec<f64> {
    let rate = 2.0_f32;
    let start = case.start().factors;
    let mut passes = backend.gradient_passes(case.problem()).unwrap();
    passes.epoch(&[Visit { batch: 0, rate }], &mut |_| ControlFlow::Continue(())).unwrap();
    let mut before = Model::from(&start);
    let mut after = Model::from(&passes.factors().unwrap());
    let after = parameters(&mut after);
    let moved = parameters(&mut before).into_iter().zip(after);
    moved.map(|(before, after)| (*before - *after) / f64::from(rate)).collect()
}

fn hold(backend: &dyn Backend) {
    for case in cases() {
        let want = differences(&case);
        assert_close(&case, "the probe's gradient", &probed(backend, &case), &want, 1e-5);
        assert_close(&case, "the step's gradient", &stepped(backend, &case), &want, 1e-5);
    }
}

#[test]
fn gradient_matches_finite_differences_on_the_cpu() {
    hold(&Cpu::new());
}

#[test]
fn gradient_matches_finite_differences_on_the_gpu() {
    hold(&common::gpu());
}

/// The gradients of losses made for ranking, of the oracle and of the CPU, against differences of the oracle's
/// loss: by every parameter of the rows in a batch.
#[test]
fn losses_made_for_ranking_match_finite_differences() {
    for loss in Loss::ALL.into_iter().filter(|loss| loss.is_ranking()) {
        let case = ChoiceCase::new(loss, 9, (9, 14), 30);
        let own =
            if loss == Loss::Softmax { case.clone().own().inner() } else { case.clone().inner() };
        let power = case.clone().contrast("η", |c| c.negative_power = 1.4).weighted();
        for case in [case.clone(), own, power, case.contrast("dropout", |c| c.dropout = 0.2)] {
            let (terms, choice) = (case.terms(), case.choice());
            let batch = &case.batches(1)[0];
            let start = case.start();
            let mut model = Model::from(&start.factors);
            let of = |model: &Model| choices::gradient(model, (loss, terms.bias), &choice, batch);
            let want = of(&model);
            assert!(want.doubt > 3.0 * STEP, "{}: {}", case.name, want.doubt);
            let mut slopes = Vec::new();
            let parts = [(Side::User, &batch.users), (Side::Item, &batch.items)];
            for (side, rows) in parts {
                for &row in rows {
                    for f in 0..case.settings.factors {
                        let mut at = |shift: f64| {
                            let rows = match side {
                                Side::User => &mut model.users,
                                Side::Item => &mut model.items,
                            };
                            let before = rows.factors[row as usize][f];
                            rows.factors[row as usize][f] = before + shift;
                            let loss = of(&model).loss;
                            let rows = match side {
                                Side::User => &mut model.users,
                                Side::Item => &mut model.items,
                            };
                            rows.factors[row as usize][f] = before;
                            loss
                        };
                        slopes.push((at(STEP) - at(-STEP)) / (2.0 * STEP));
                    }
                }
            }
            let floor = rms(&slopes);
            assert!(floor > 1e-3, "{}: the expected gradient is all but zero", case.name);
            let probe = Cpu::new().choice_passes(case.problem()).unwrap().probe(batch).unwrap();
            let oracle = [want.users.concat(), want.items.concat()].concat();
            let cpu: Vec<f64> =
                [probe.users, probe.items].concat().into_iter().map(f64::from).collect();
            for (of, got, tolerance) in [("oracle", oracle, 1e-7), ("cpu", cpu, 1e-4)] {
                let far = got.iter().zip(&slopes).map(|(&got, &want)| gap(got, want, floor));
                let far = far.fold(0.0, f64::max);
                assert!(far < tolerance, "{}: the {of} is off by {far:.1e}", case.name);
            }
        }
    }
}
