//! Textbook matrix factorization in f64: plain loops in the order of the formulas, no tiles, no
//! indices, no order of its own. It shares nothing with the crate but its data types.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod bayes;
pub mod case;
pub mod choice_case;
pub mod choices;
pub mod gibbs;
pub mod gibbs_case;
pub mod gibbs_faults;
pub mod latents;
pub mod ranking;
pub mod row_case;
pub mod rows;
pub mod strata;

use std::collections::BTreeMap;
use wgmf::backend::Terms;
use wgmf::core::{Factors, Loss, Optimizer, Ratings, Side, UNKNOWN};

pub const BETA1: f64 = 0.9;
pub const BETA2: f64 = 0.999;
pub const EPSILON: f64 = 1e-8;

/// One side's parameters, or a moment of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// (rows): each of (factors).
    pub factors: Vec<Vec<f64>>,
    /// (rows).
    pub bias: Vec<f64>,
}

impl Rows {
    fn new(k: usize, factors: &[f32], bias: &[f32]) -> Self {
        let row = |j: usize| factors[j * k..(j + 1) * k].iter().map(|&x| f64::from(x)).collect();
        Self {
            factors: (0..bias.len()).map(row).collect(),
            bias: bias.iter().map(|&x| f64::from(x)).collect(),
        }
    }
}

/// `r̂(u,i) = μ + b_u + c_i + p_u · q_i`, or a moment of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub users: Rows,
    pub items: Rows,
    pub mean: f64,
}

impl From<&Factors> for Model {
    fn from(f: &Factors) -> Self {
        Self {
            users: Rows::new(f.factors, &f[Side::User].factors, &f[Side::User].bias),
            items: Rows::new(f.factors, &f[Side::Item].factors, &f[Side::Item].bias),
            mean: f64::from(f.global_mean),
        }
    }
}

/// `x · y`.
fn inner(x: &[f64], y: &[f64]) -> f64 {
    let mut sum = 0.0;
    for j in 0..x.len() {
        sum += x[j] * y[j];
    }
    sum
}

/// `r̂(u,i)`; what is unknown is left out.
pub fn predict(model: &Model, user: u32, item: u32) -> f64 {
    let mut prediction = model.mean;
    if user != UNKNOWN {
        prediction += model.users.bias[user as usize];
    }
    if item != UNKNOWN {
        prediction += model.items.bias[item as usize];
    }
    if user != UNKNOWN && item != UNKNOWN {
        let (p, q) = (&model.users.factors[user as usize], &model.items.factors[item as usize]);
        prediction += inner(p, q);
    }
    prediction
}

/// `σ(x)`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `r − r̂`, or `r − σ(r̂)`.
pub fn residual(loss: Loss, value: f64, prediction: f64) -> f64 {
    match loss {
        Loss::Squared => value - prediction,
        _ => value - sigmoid(prediction),
    }
}

/// `(r − r̂)²`, or `−r log σ(r̂) − (1 − r) log σ(−r̂)`.
pub fn loss(loss: Loss, value: f64, prediction: f64) -> f64 {
    match loss {
        Loss::Squared => (value - prediction) * (value - prediction),
        _ => -value * sigmoid(prediction).ln() - (1.0 - value) * sigmoid(-prediction).ln(),
    }
}

/// The sum of the loss over a set of ratings.
pub fn loss_sum(model: &Model, kind: Loss, ratings: &[(u32, u32, f64)]) -> f64 {
    let mut sum = 0.0;
    for &(user, item, value) in ratings {
        sum += loss(kind, value, predict(model, user, item));
    }
    sum
}

/// The triples of `ratings`.
pub fn triples(ratings: &Ratings) -> Vec<(u32, u32, f64)> {
    ratings.iter().map(|(user, item, value)| (user, item, f64::from(value))).collect()
}

/// The batches of `ratings` in file order.
pub fn batches(ratings: &Ratings, batch_size: usize) -> Vec<Vec<(u32, u32, f64)>> {
    triples(ratings).chunks(batch_size).map(<[_]>::to_vec).collect()
}

/// What a rating's part of a row's regularization weighs: `n^(ν − 1)`, and of its damping `1/n`.
pub struct Weights {
    users: Vec<[f64; 2]>,
    items: Vec<[f64; 2]>,
}

impl Weights {
    /// From all training ratings.
    pub fn new(model: &Model, ratings: &Ratings, exponent: f64) -> Self {
        let weigh = |rows: &[u32], n: usize| {
            let mut counts = vec![0.0; n];
            for &row in rows {
                counts[row as usize] += 1.0;
            }
            counts.iter().map(|&n: &f64| [n.powf(exponent - 1.0), 1.0 / n]).collect()
        };
        Self {
            users: weigh(&ratings.users, model.users.bias.len()),
            items: weigh(&ratings.items, model.items.bias.len()),
        }
    }
}

/// The mean over a batch of `loss + Σ (reg n^(ν−1) + damping/n)‖x‖² + (reg_bias n^(ν−1) + damping_bias/n) b²`,
/// the sum being over the user and the item.
pub fn batch_objective(
    model: &Model,
    terms: &Terms,
    weights: &Weights,
    batch: &[(u32, u32, f64)],
) -> f64 {
    let (reg, reg_bias) = regularization(terms);
    let mut sum = 0.0;
    for &(user, item, value) in batch {
        sum += loss(terms.loss, value, predict(model, user, item));
        let (u, i) = (user as usize, item as usize);
        let (p, q) = (&model.users.factors[u], &model.items.factors[i]);
        sum += reg(weights.users[u]) * inner(p, p) + reg(weights.items[i]) * inner(q, q);
        if terms.bias {
            let (b, c) = (model.users.bias[u], model.items.bias[i]);
            sum += reg_bias(weights.users[u]) * b * b + reg_bias(weights.items[i]) * c * c;
        }
    }
    sum / batch.len() as f64
}

/// What a rating adds to the penalty of `‖x‖²` and of `b²`, given its weights.
fn regularization(terms: &Terms) -> (impl Fn([f64; 2]) -> f64, impl Fn([f64; 2]) -> f64) {
    let part = |reg: f32, damping: f32| {
        move |[weight, share]: [f64; 2]| f64::from(reg) * weight + f64::from(damping) * share
    };
    (part(terms.reg, terms.damping), part(terms.reg_bias, terms.damping_bias))
}

/// A row's part of a gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct RowGradient {
    /// (factors).
    pub factors: Vec<f64>,
    pub bias: f64,
}

/// A gradient: the rows that occur in the batch, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradient {
    pub users: BTreeMap<u32, RowGradient>,
    pub items: BTreeMap<u32, RowGradient>,
}

impl Gradient {
    /// `row += a · x` and `bias += b`.
    fn add(rows: &mut BTreeMap<u32, RowGradient>, row: u32, a: f64, x: &[f64], b: f64) {
        let row = rows
            .entry(row)
            .or_insert_with(|| RowGradient { factors: vec![0.0; x.len()], bias: 0.0 });
        for (sum, x) in row.factors.iter_mut().zip(x) {
            *sum += a * x;
        }
        row.bias += b;
    }
}

/// `Σ e·q` and `Σ e` of each user, `Σ e·p` and `Σ e` of each item.
pub fn residual_sums(model: &Model, kind: Loss, batch: &[(u32, u32, f64)]) -> Gradient {
    let mut sums = Gradient::default();
    for &(user, item, value) in batch {
        let e = residual(kind, value, predict(model, user, item));
        let (p, q) = (&model.users.factors[user as usize], &model.items.factors[item as usize]);
        Gradient::add(&mut sums.users, user, e, q, e);
        Gradient::add(&mut sums.items, item, e, p, e);
    }
    sums
}

/// The gradient of [`batch_objective`].
pub fn gradient(
    model: &Model,
    terms: &Terms,
    weights: &Weights,
    batch: &[(u32, u32, f64)],
) -> Gradient {
    let mut gradient = Gradient::default();
    let n = batch.len() as f64;
    let (reg, reg_bias) = regularization(terms);
    for &(user, item, value) in batch {
        let e = residual(terms.loss, value, predict(model, user, item));
        // d loss / d r̂
        let slope = match terms.loss {
            Loss::Squared => -2.0 * e,
            _ => -e,
        };
        let (u, i) = (user as usize, item as usize);
        let (p, q) = (&model.users.factors[u], &model.items.factors[i]);
        let (w_u, w_i) = (weights.users[u], weights.items[i]);
        let bias = |w: [f64; 2], b: f64| {
            if terms.bias { (slope + 2.0 * reg_bias(w) * b) / n } else { 0.0 }
        };
        Gradient::add(&mut gradient.users, user, slope / n, q, bias(w_u, model.users.bias[u]));
        Gradient::add(&mut gradient.users, user, 2.0 * reg(w_u) / n, p, 0.0);
        Gradient::add(&mut gradient.items, item, slope / n, p, bias(w_i, model.items.bias[i]));
        Gradient::add(&mut gradient.items, item, 2.0 * reg(w_i) / n, q, 0.0);
    }
    gradient
}

/// Training: parameters, moments, and how many steps were made.
#[derive(Clone, Debug)]
pub struct Training {
    pub model: Model,
    pub moments: Vec<Model>,
    pub steps: i32,
}

impl Training {
    /// One update with a batch: both sides' gradients from the parameters before it. Returns the
    /// batch's loss before the step.
    pub fn visit(
        &mut self,
        terms: &Terms,
        weights: &Weights,
        rate: f64,
        batch: &[(u32, u32, f64)],
    ) -> f64 {
        let before = loss_sum(&self.model, terms.loss, batch);
        let gradient = gradient(&self.model, terms, weights, batch);
        self.steps += 1;
        let t = self.steps;
        let mut moments = self.moments.iter_mut();
        let (first, second) = (moments.next(), moments.next());
        let (first_users, first_items) = first.map(|m| (&mut m.users, &mut m.items)).unzip();
        let (second_users, second_items) = second.map(|m| (&mut m.users, &mut m.items)).unzip();
        move_rows(
            &mut self.model.users,
            first_users,
            second_users,
            &gradient.users,
            terms,
            rate,
            t,
        );
        move_rows(
            &mut self.model.items,
            first_items,
            second_items,
            &gradient.items,
            terms,
            rate,
            t,
        );
        before
    }
}

fn move_rows(
    rows: &mut Rows,
    mut first: Option<&mut Rows>,
    mut second: Option<&mut Rows>,
    gradient: &BTreeMap<u32, RowGradient>,
    terms: &Terms,
    rate: f64,
    t: i32,
) {
    let mut nothing = (0.0, 0.0);
    for (&row, g) in gradient {
        let row = row as usize;
        for j in 0..g.factors.len() {
            move_one(
                &mut rows.factors[row][j],
                first.as_mut().map_or(&mut nothing.0, |m| &mut m.factors[row][j]),
                second.as_mut().map_or(&mut nothing.1, |m| &mut m.factors[row][j]),
                g.factors[j],
                terms,
                rate,
                t,
            );
        }
        if terms.bias {
            move_one(
                &mut rows.bias[row],
                first.as_mut().map_or(&mut nothing.0, |m| &mut m.bias[row]),
                second.as_mut().map_or(&mut nothing.1, |m| &mut m.bias[row]),
                g.bias,
                terms,
                rate * f64::from(terms.bias_rate),
                t,
            );
        }
    }
}

/// One parameter's update. Adam's step size holds both bias corrections, as in
/// `torch.optim.SparseAdam`, so that epsilon is added to the uncorrected root.
fn move_one(x: &mut f64, m: &mut f64, v: &mut f64, g: f64, terms: &Terms, rate: f64, t: i32) {
    match terms.optimizer {
        Optimizer::Sgd if terms.momentum == 0.0 => *x -= rate * g,
        Optimizer::Sgd => {
            *m = f64::from(terms.momentum) * *m + g;
            *x -= rate * *m;
        }
        Optimizer::Adagrad => {
            *m += g * g;
            *x -= rate * g / (m.sqrt() + EPSILON);
        }
        Optimizer::Adam => {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            *x -= step_size(terms.optimizer, rate, t) * *m / (v.sqrt() + EPSILON);
        }
    }
}

/// The step size of step `t` (from 1), with the bias corrections of Adam.
pub fn step_size(optimizer: Optimizer, rate: f64, t: i32) -> f64 {
    match optimizer {
        Optimizer::Sgd | Optimizer::Adagrad => rate,
        Optimizer::Adam => rate * (1.0 - BETA2.powi(t)).sqrt() / (1.0 - BETA1.powi(t)),
    }
}
