//! Rows of a logistic model: Newton's method on the row solvers (iteratively reweighted least
//! squares).

use super::fold_in::squared;
use crate::backend::{Backend, RowProblem, RowTerms};
use crate::core::{Factors, Ids, Objective, Ratings, RowRatings, Side, SideFactors, escaped};
use crate::{Error, Result};
use rayon::prelude::*;

/// Newton steps, at most; a handful do where the minimum is finite.
const STEPS: usize = 60;
/// A step of this part of the row's largest number is the last: the next would be its square.
const LAST_STEP: f64 = 1e-4;
/// The least weight of a rating. A larger one than σ(1 − σ) shortens the step and moves no minimum.
const LEAST_WEIGHT: f64 = 1e-4;

/// A rating of a row, beside where the row stands.
struct Rating {
    partner: u32,
    label: f64,
    /// The score with the row as it is.
    score: f64,
}

/// A row on its way.
struct Row {
    /// `[p, b]`.
    x: Vec<f64>,
    ratings: Vec<Rating>,
    done: bool,
}

/// Minimizes `Σ cross-entropy + (reg π + damping) ‖p‖² + (reg_bias π + damping_bias) b²` for every row
/// of `side`, from zero: (rows, factors), (rows). Each Newton step is a least-squares problem with weights `σ(1 − σ)` and
/// values `s + (r − σ) / w`; it is halved until the objective falls.
pub(super) fn solve(
    backend: &dyn Backend,
    objective: &Objective,
    side: Side,
    start: Factors,
    ratings: &Ratings,
    ids: &Ids,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let k = start.factors;
    let mut rows = rows(side, &start, ratings, ids.len());
    let partners = &start[side.partner()].factors;
    let bias = objective.bias;
    let partner_row = |partner: u32| &partners[partner as usize * k..][..k];
    for _ in 0..STEPS {
        // Only rows that still move are solved.
        let moving: Vec<usize> = (0..rows.len()).filter(|&row| !rows[row].done).collect();
        if moving.is_empty() {
            break;
        }
        let problem = problem(objective, side, &start, &rows, &moving);
        let (factors, biases) = squared(backend, problem?, side)?;
        let target =
            |at: usize, j: usize| f64::from(if j < k { factors[at * k + j] } else { biases[at] });
        let mut steps: Vec<(usize, &mut Row)> =
            rows.iter_mut().filter(|row| !row.done).enumerate().collect();
        steps.par_iter_mut().for_each(|(at, row)| {
            let direction: Vec<f64> = (0..=k).map(|j| target(*at, j) - row.x[j]).collect();
            let slopes: Vec<f64> = row
                .ratings
                .iter()
                .map(|rating| {
                    let pairs = direction.iter().zip(partner_row(rating.partner));
                    let b = if bias { direction[k] } else { 0.0 };
                    b + pairs.map(|(d, &q)| d * f64::from(q)).sum::<f64>()
                })
                .collect();
            let (reg, reg_bias) = objective.regularization(row.ratings.len(), 0);
            let value = |t: f64| {
                let loss: f64 = row
                    .ratings
                    .iter()
                    .zip(&slopes)
                    .map(|(rating, slope)| cross_entropy(rating.label, rating.score + t * slope))
                    .sum();
                let square = |j: usize| (row.x[j] + t * direction[j]).powi(2);
                let factors: f64 = (0..k).map(square).sum();
                loss + reg * factors + reg_bias * square(k)
            };
            let now = value(0.0);
            let mut t = 1.0;
            while value(t) > now && t > 1e-6 {
                t *= 0.5;
            }
            let scale =
                row.x.iter().zip(&direction).fold(0.0_f64, |m, (x, d)| m.max((x + d).abs()));
            let moved = direction.iter().fold(0.0_f64, |most, d| most.max(d.abs()));
            if t <= 1e-6 {
                // Nothing in this direction is lower to rounding.
                t = 0.0;
            }
            for (x, d) in row.x.iter_mut().zip(&direction) {
                *x += t * d;
            }
            for (rating, slope) in row.ratings.iter_mut().zip(&slopes) {
                rating.score += t * slope;
            }
            row.done = t == 0.0 || moved <= LAST_STEP * scale;
        });
    }
    if let Some(row) = rows.iter().position(|row| !row.done) {
        let id = escaped(ids.name(row as u32));
        return Err(Error::data(format!(
            "the labels of {} \"{id}\" set no bounds to its factors (the model has reg {}); train \
             with a larger `reg`",
            side.name(),
            objective.reg
        )));
    }
    let factors = rows.iter().flat_map(|row| row.x[..k].iter().map(|&x| x as f32)).collect();
    Ok((factors, rows.iter().map(|row| row.x[k] as f32).collect()))
}

/// All rows at zero; those without ratings are done.
fn rows(side: Side, start: &Factors, ratings: &Ratings, count: usize) -> Vec<Row> {
    let k = start.factors;
    let row = || Row { x: vec![0.0; k + 1], ratings: Vec::new(), done: false };
    let mut rows: Vec<Row> = std::iter::repeat_with(row).take(count).collect();
    for (user, item, label) in ratings.iter() {
        let (own, partner) = side.users_first(user, item);
        let bias = start[side.partner()].bias[partner as usize];
        let score = f64::from(start.global_mean) + f64::from(bias);
        rows[own as usize].ratings.push(Rating { partner, label: f64::from(label), score });
    }
    rows.iter_mut().for_each(|row| row.done = row.ratings.is_empty());
    rows
}

/// The least-squares problem whose solution is the end of a whole Newton step of the `moving` rows.
fn problem(
    objective: &Objective,
    side: Side,
    start: &Factors,
    rows: &[Row],
    moving: &[usize],
) -> Result<RowProblem> {
    let (mut own, mut partners) = (Vec::new(), Vec::new());
    let (mut values, mut weights) = (Vec::new(), Vec::new());
    for (at, &row) in moving.iter().enumerate() {
        for rating in &rows[row].ratings {
            let p = sigmoid(rating.score);
            let weight = (p * (1.0 - p)).max(LEAST_WEIGHT);
            own.push(at as u32);
            partners.push(rating.partner);
            values.push((rating.score + (rating.label - p) / weight) as f32);
            weights.push(weight as f32);
        }
    }
    let k = start.factors;
    let mut start = start.clone();
    start[side] = SideFactors::try_zeros(moving.len(), k)?;
    let (users, items) = side.users_first(own, partners);
    let targets = Ratings { users, items, values, timestamps: Vec::new(), weights: Vec::new() };
    Ok(RowProblem {
        ratings: RowRatings::try_new(&targets, &weights, start.users(), start.items())?,
        test: Ratings::default(),
        terms: RowTerms::of(objective, k),
        start,
    })
}

fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// `−r log σ(s) − (1 − r) log σ(−s)`, without overflow.
fn cross_entropy(label: f64, score: f64) -> f64 {
    score.max(0.0) - label * score + (-score.abs()).exp().ln_1p()
}
