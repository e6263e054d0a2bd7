//! Problems to hold a backend against the oracle, and the one comparison that does it.

use super::{Model, RowGradient, Training, Weights, batches, loss_sum, residual_sums, triples};
use crate::common::{gap, largest_gap};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use wgmf::backend::{Backend, GradientPasses, GradientProblem, Probe, State, Terms, Visit};
use wgmf::core::{Batches, Factors, Loss, Optimizer, Ratings, Side, SideFactors, UNKNOWN};

/// How far a kernel's f32 may be from the oracle's f64, relative to the root mean square of its
/// array: a few hundred roundings. A fault that moves one rating of a thousand is ten times that.
pub const TOLERANCE: f64 = 1e-4;

/// A problem with everything that is drawn, drawn.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub factors: usize,
    pub users: usize,
    pub items: usize,
    pub ratings: Ratings,
    pub test: Ratings,
    pub batch_size: usize,
    pub terms: Terms,
    pub epochs: usize,
    /// Moments start at zero, as a new run's do, on positive factors and ratings far above the
    /// predictions: no gradient cancels, so that the first steps of Adam and AdaGrad, which keep
    /// little more than its sign, are well conditioned.
    pub fresh: bool,
    seed: u64,
}

/// Numbers in [0, 1), by SplitMix64: the same on every machine.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f32 {
        (low + (high - low) * self.unit()) as f32
    }

    pub fn below(&mut self, n: usize) -> u32 {
        (self.bits() % n as u64) as u32
    }
}

impl Case {
    /// `ratings` ratings of random pairs in one batch, squared loss, plain sgd with biases, and a
    /// test set with unknown rows.
    pub fn new(factors: usize, users: usize, items: usize, ratings: usize) -> Self {
        let mut draw = Draw::new((factors * 31 + users * 7 + items * 3 + ratings) as u64);
        let pairs = (0..ratings).map(|_| (draw.below(users), draw.below(items))).collect();
        Self::of_pairs(factors, users, items, pairs)
    }

    /// As [`Case::new`], of these pairs.
    pub fn of_pairs(factors: usize, users: usize, items: usize, pairs: Vec<(u32, u32)>) -> Self {
        let seed = (factors * 31 + users * 7 + items * 3 + pairs.len()) as u64;
        let mut draw = Draw::new(seed ^ 0xA5);
        let (user_ids, item_ids): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let values = pairs.iter().map(|_| draw.between(1.0, 5.0)).collect();
        let batch_size = pairs.len();
        let case = Self {
            name: format!("{factors} factors, {users}x{items}, {} ratings", pairs.len()),
            factors,
            users,
            items,
            ratings: Ratings {
                users: user_ids,
                items: item_ids,
                values,
                timestamps: vec![],
                weights: vec![],
            },
            test: Ratings::default(),
            batch_size,
            terms: Terms {
                loss: Loss::Squared,
                optimizer: Optimizer::Sgd,
                momentum: 0.0,
                bias: true,
                bias_rate: 1.0,
                reg: 0.05,
                reg_bias: 0.02,
                reg_exponent: 1.0,
                damping: 0.0,
                damping_bias: 0.0,
            },
            epochs: 1,
            fresh: false,
            seed,
        };
        case.test_ratings(67)
    }

    /// Says what the case is about.
    pub fn named(self, what: &str) -> Self {
        Self { name: format!("{what}: {}", self.name), ..self }
    }

    /// Another number of held-out ratings; every fifth user and seventh item is unknown.
    pub fn test_ratings(mut self, n: usize) -> Self {
        let mut draw = Draw::new(self.seed ^ 0x7E57);
        self.test = Ratings::default();
        for j in 0..n {
            let (user, item) = (draw.below(self.users), draw.below(self.items));
            self.test.users.push(if j % 5 == 4 { UNKNOWN } else { user });
            self.test.items.push(if j % 7 == 6 { UNKNOWN } else { item });
            self.test.values.push(match self.terms.loss {
                Loss::Squared => draw.between(1.0, 5.0),
                _ => draw.below(2) as f32,
            });
        }
        self
    }

    /// Ratings that count from a quarter to four.
    pub fn weighted(mut self) -> Self {
        let mut draw = Draw::new(self.seed ^ 0x3E16);
        let weights = self.ratings.values.iter().map(|_| draw.between(0.25, 4.0));
        self.ratings.weights = weights.collect();
        self.name += ", weighted";
        self
    }

    /// Several batches, the last of which may be smaller.
    pub fn batches_of(self, batch_size: usize) -> Self {
        let name = format!("{}, batches of {batch_size}", self.name);
        Self { batch_size, name, ..self }
    }

    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// Labels of 0 and 1.
    pub fn logistic(mut self) -> Self {
        let mut draw = Draw::new(self.seed ^ 0x10);
        self.terms.loss = Loss::Logistic;
        self.ratings.values.iter_mut().for_each(|value| *value = draw.below(2) as f32);
        self.name += ", logistic";
        let n = self.test.len();
        self.test_ratings(n)
    }

    pub fn no_bias(mut self) -> Self {
        self.terms.bias = false;
        self.terms.reg_bias = 0.0;
        self.name += ", no bias";
        self
    }

    /// Biases that move so many times as fast as factors.
    pub fn bias_rate(mut self, bias_rate: f32) -> Self {
        self.terms.bias_rate = bias_rate;
        self.name += &format!(", biases {bias_rate} times as fast");
        self
    }

    /// Another optimizer.
    pub fn optimizer(mut self, optimizer: Optimizer, momentum: f32) -> Self {
        self.terms.optimizer = optimizer;
        self.terms.momentum = momentum;
        self.name += &format!(", {optimizer:?} {momentum}");
        self
    }

    pub fn reg_exponent(mut self, exponent: f32) -> Self {
        self.terms.reg = 0.4;
        self.terms.reg_bias = 0.3;
        self.terms.reg_exponent = exponent;
        self.name += &format!(", reg_exponent {exponent}");
        self
    }

    /// Regularization whatever a row's ratings.
    pub fn damped(mut self, damping: f32, damping_bias: f32) -> Self {
        (self.terms.damping, self.terms.damping_bias) = (damping, damping_bias);
        self.name += &format!(", damping {damping} and {damping_bias}");
        self
    }

    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self.name += ", fresh";
        let mut draw = Draw::new(self.seed ^ 0xF5);
        self.ratings.values.iter_mut().for_each(|value| *value = draw.between(6.0, 9.0));
        self
    }

    /// The largest share of a batch that one row has: about what a gradient can be.
    fn largest_share(&self) -> f64 {
        let mut largest = 0.0_f64;
        for rows in [&self.ratings.users, &self.ratings.items] {
            for batch in rows.chunks(self.batch_size) {
                let mut counts = BTreeMap::new();
                batch.iter().for_each(|row| *counts.entry(row).or_insert(0_usize) += 1);
                let most = counts.values().copied().max().unwrap_or(0);
                largest = largest.max(most as f64 / batch.len() as f64);
            }
        }
        largest
    }

    /// A step size under which the hottest row moves by about a tenth; by more where one step is
    /// all there is, so that the move of the coldest stands out from the rounding of its factors.
    fn rate(&self) -> f64 {
        let move_by =
            if self.epochs == 1 && self.batch_size >= self.ratings.len() { 2.0 } else { 0.1 };
        match self.terms.optimizer {
            Optimizer::Sgd => move_by * f64::from(1.0 - self.terms.momentum) / self.largest_share(),
            Optimizer::Adagrad | Optimizer::Adam => 0.05,
        }
    }

    fn draw_factors(&self, draw: &mut Draw, bias: bool, low: f64, high: f64) -> Factors {
        let mut rows = |n: usize| (0..n).map(|_| draw.between(low, high)).collect::<Vec<_>>();
        // In the order that the cases were chosen by.
        let (users, items) = (rows(self.users * self.factors), rows(self.items * self.factors));
        let (user_bias, item_bias) = (rows(self.users), rows(self.items));
        let mut factors = Factors {
            factors: self.factors,
            sides: [
                SideFactors { factors: users, bias: user_bias },
                SideFactors { factors: items, bias: item_bias },
            ],
            global_mean: 0.0,
        };
        if !bias {
            factors[Side::User].bias.fill(0.0);
            factors[Side::Item].bias.fill(0.0);
        }
        factors
    }

    /// Where training starts: inner products of about 1 whatever the number of factors.
    pub fn start(&self) -> State {
        let mut draw = Draw::new(self.seed ^ 0x57A7);
        let k = self.factors as f64;
        let bias = self.terms.bias;
        if self.fresh {
            let mut factors = self.draw_factors(&mut draw, bias, 0.5 / k.sqrt(), 1.0 / k.sqrt());
            factors.global_mean = 1.5;
            let zeros = self.draw_factors(&mut draw, bias, 0.0, 0.0);
            return State { factors, moments: vec![zeros; self.terms.moments()] };
        }
        let scale = 1.7 / k.powf(0.25);
        let mut factors = self.draw_factors(&mut draw, bias, -scale, scale);
        factors.global_mean = match self.terms.loss {
            Loss::Squared => 2.75,
            _ => 0.375,
        };
        let g = self.largest_share();
        let moments = (0..self.terms.moments()).map(|j| match (self.terms.optimizer, j) {
            (Optimizer::Sgd, _) | (Optimizer::Adam, 0) => self.draw_factors(&mut draw, bias, -g, g),
            _ => self.draw_factors(&mut draw, bias, 0.25 * g * g, g * g),
        });
        State { moments: moments.collect(), factors }
    }

    /// The problem as a backend takes it.
    pub fn problem(&self) -> GradientProblem {
        let (users, items) = (self.users, self.items);
        GradientProblem {
            batches: Batches::new(&self.ratings, users, items, self.batch_size, None),
            test: self.test.clone(),
            start: self.start(),
            terms: self.terms,
        }
    }

    fn lead_side(&self) -> Side {
        if self.users < self.items { Side::User } else { Side::Item }
    }

    /// The batches of an epoch and the step size of each, before Adam's corrections: another order
    /// each epoch, another step size each turn.
    fn visits(&self, epoch: usize, batches: usize) -> Vec<(usize, f64)> {
        let turn = |turn: usize| {
            let batch = if epoch.is_multiple_of(2) { batches - 1 - turn } else { turn };
            (batch, self.rate() * (1.0 - 0.25 * (turn % 3) as f64))
        };
        (0..batches).map(turn).collect()
    }
}

/// Holds `backend` against the oracle on `case`: residuals, gradients and loss of its batches, then
/// whole epochs, moments and held-out loss. Returns the largest gap.
///
/// # Errors
/// Says what is further than [`TOLERANCE`] from what it should be.
pub fn compare(backend: &dyn Backend, case: &Case) -> Result<f64, String> {
    compare_within(backend, case, TOLERANCE).map_err(|what| format!("{}: {what}", case.name))
}

fn compare_within(backend: &dyn Backend, case: &Case, tolerance: f64) -> Result<f64, String> {
    let start = case.start();
    let mut passes = backend.gradient_passes(case.problem()).map_err(|e| e.to_string())?;
    let mut oracle = Training {
        model: Model::from(&start.factors),
        moments: start.moments.iter().map(Model::from).collect(),
        steps: 0,
    };
    let weights = Weights::new(&oracle.model, &case.ratings, f64::from(case.terms.reg_exponent));
    let batches = batches(&case.ratings, case.batch_size);
    let test = triples(&case.test);
    let mut check = Check { tolerance, worst: 0.0 };

    let mut probed = vec![0, batches.len() / 2, batches.len() - 1];
    probed.dedup();
    for batch in probed {
        let probe = passes.probe(batch).map_err(|e| e.to_string())?;
        check
            .probe(case, &oracle.model, &batches[batch], &probe)
            .map_err(|what| format!("batch {batch} of {}: {what}", batches.len()))?;
    }
    let held_out = |passes: &mut dyn GradientPasses, model: &Model, check: &mut Check, when| {
        let got = passes.test_loss().map_err(|e| e.to_string())?;
        check.sum(when, got, loss_sum(model, case.terms.loss, &test), test.len())
    };
    held_out(&mut *passes, &oracle.model, &mut check, "held-out loss at the start")?;
    for epoch in 0..case.epochs {
        let turns = case.visits(epoch, batches.len());
        let mut visits = Vec::new();
        let mut loss = 0.0;
        for &(batch, rate) in &turns {
            loss += oracle.visit(&case.terms, &weights, rate, &batches[batch]);
            let rate = super::step_size(case.terms.optimizer, rate, oracle.steps) as f32;
            visits.push(Visit { batch: batch as u32, rate });
        }
        let sums = passes.epoch(&visits, &mut |_| ControlFlow::Continue(()));
        let sums = sums.map_err(|e| e.to_string())?;
        check.sum("loss of an epoch", sums.loss, loss, case.ratings.len())?;
        if sums.ratings != case.ratings.len() {
            return Err(format!("an epoch visits {} ratings", sums.ratings));
        }
    }
    held_out(&mut *passes, &oracle.model, &mut check, "held-out loss at the end")?;
    let state = passes.state().map_err(|e| e.to_string())?;
    if state.factors != passes.factors().map_err(|e| e.to_string())? {
        return Err("state and factors differ".to_owned());
    }
    check.moved(case, &start.factors, &state.factors, &oracle.model)?;
    if state.moments.len() != oracle.moments.len() {
        return Err(format!("{} moments", state.moments.len()));
    }
    for (j, (got, want)) in state.moments.iter().zip(&oracle.moments).enumerate() {
        check.moment(case, got, want).map_err(|what| format!("moment {j}: {what}"))?;
    }
    Ok(check.worst)
}

fn rms(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    (values.map(|x| x * x).sum::<f64>() / n).sqrt()
}

/// Everything compared so far.
struct Check {
    tolerance: f64,
    worst: f64,
}

impl Check {
    fn within(&mut self, what: &str, gap: f64) -> Result<(), String> {
        self.worst = self.worst.max(gap);
        if gap < self.tolerance { Ok(()) } else { Err(format!("{what} off by {gap:.2e}")) }
    }

    fn array(&mut self, what: &str, got: &[f32], want: &[f64]) -> Result<(), String> {
        if got.len() != want.len() {
            return Err(format!("{what}: {} numbers instead of {}", got.len(), want.len()));
        }
        self.within(what, largest_gap(got, want))
    }

    /// As [`array`](Self::array), of moves of numbers about as large as `of` in `steps` steps. A move
    /// is known only as well as f32 holds the number that moved: each step rounds it.
    fn moves(
        &mut self,
        what: &str,
        (got, want): (&[f32], &[f64]),
        of: f64,
        steps: usize,
    ) -> Result<(), String> {
        let roundings = 4.0 * f64::from(f32::EPSILON) / 2.0 * of * (steps as f64).sqrt();
        let floor = rms(want.iter().copied()).max(roundings / self.tolerance);
        assert!(rms(want.iter().copied()) > 1e-6, "the expected {what} is all but zero");
        let gaps = got.iter().zip(want).map(|(&got, &want)| gap(f64::from(got), want, floor));
        self.within(what, gaps.fold(0.0, f64::max))
    }

    /// A sum over `n` ratings.
    fn sum(&mut self, what: &str, got: f64, want: f64, n: usize) -> Result<(), String> {
        assert!(n == 0 || want > 1e-3 * n as f64, "the expected {what} is all but zero: {want}");
        self.within(what, gap(got, want, 1e-3))
    }

    fn probe(
        &mut self,
        case: &Case,
        model: &Model,
        batch: &[(u32, u32, f64, f64)],
        probe: &Probe,
    ) -> Result<(), String> {
        let kind = case.terms.loss;
        // The leading side's order: by row, and within a row in file order.
        let mut order = batch.to_vec();
        order.sort_by_key(|&(user, item, ..)| match case.lead_side() {
            Side::User => user,
            Side::Item => item,
        });
        let residual = |&(user, item, value, weight): &(u32, u32, f64, f64)| {
            weight * super::residual(kind, value, super::predict(model, user, item))
        };
        let residuals: Vec<f64> = order.iter().map(residual).collect();
        self.array("residuals", &probe.residuals, &residuals)?;
        self.sum("loss", probe.loss, loss_sum(model, kind, batch), batch.len())?;
        let sums = residual_sums(model, kind, batch);
        let (lead, follow) = match case.lead_side() {
            Side::User => (&sums.users, &sums.items),
            Side::Item => (&sums.items, &sums.users),
        };
        let flat = |rows: &BTreeMap<u32, RowGradient>| -> (Vec<f64>, Vec<f64>) {
            let factors = rows.values().flat_map(|row| row.factors.iter().copied());
            (factors.collect(), rows.values().map(|row| row.bias).collect())
        };
        let (lead, lead_bias) = flat(lead);
        let (follow, follow_bias) = flat(follow);
        self.array("gradient of the leading side", &probe.lead, &lead)?;
        self.array("residual sums of the leading side", &probe.lead_bias, &lead_bias)?;
        self.array("gradient of the following side", &probe.follow, &follow)?;
        self.array("residual sums of the following side", &probe.follow_bias, &follow_bias)
    }

    /// Compares how far the parameters of touched rows moved; all others must not have moved.
    fn moved(
        &mut self,
        case: &Case,
        start: &Factors,
        got: &Factors,
        want: &Model,
    ) -> Result<(), String> {
        if got.global_mean != start.global_mean {
            return Err("the mean moved".to_owned());
        }
        let k = case.factors;
        let sides = [
            ("user", &case.ratings.users, &want.users),
            ("item", &case.ratings.items, &want.items),
        ];
        for ((name, rows, want), (start, got)) in sides.into_iter().zip([
            (
                (&start[Side::User].factors, &start[Side::User].bias),
                (&got[Side::User].factors, &got[Side::User].bias),
            ),
            (
                (&start[Side::Item].factors, &start[Side::Item].bias),
                (&got[Side::Item].factors, &got[Side::Item].bias),
            ),
        ]) {
            let mut touched = vec![false; start.1.len()];
            rows.iter().for_each(|&row| touched[row as usize] = true);
            let (mut moves, mut wants) = (Vec::new(), Vec::new());
            let (mut bias_moves, mut bias_wants) = (Vec::new(), Vec::new());
            for (row, touched) in touched.into_iter().enumerate() {
                let at = row * k..(row + 1) * k;
                if !touched {
                    if got.0[at.clone()] != start.0[at] || got.1[row] != start.1[row] {
                        return Err(format!("{name} {row} has no rating and moved"));
                    }
                    continue;
                }
                for (j, at) in at.enumerate() {
                    moves.push(got.0[at] - start.0[at]);
                    wants.push(want.factors[row][j] - f64::from(start.0[at]));
                }
                bias_moves.push(got.1[row] - start.1[row]);
                bias_wants.push(want.bias[row] - f64::from(start.1[row]));
            }
            let steps = case.epochs * case.ratings.len().div_ceil(case.batch_size);
            let of = rms(start.0.iter().map(|&x| f64::from(x)));
            self.moves(&format!("move of the {name} factors"), (&moves, &wants), of, steps)?;
            if case.terms.bias {
                let what = format!("move of the {name} biases");
                let of = rms(start.1.iter().map(|&x| f64::from(x)));
                self.moves(&what, (&bias_moves, &bias_wants), of, steps)?;
            } else if bias_moves.iter().any(|&x| x != 0.0) {
                return Err(format!("a {name} bias moved in a model without"));
            }
        }
        Ok(())
    }

    fn moment(&mut self, case: &Case, got: &Factors, want: &Model) -> Result<(), String> {
        // Squares of a gradient are small; scaled by a power of two nothing else changes.
        let scaled = |got: &[f32]| got.iter().map(|x| x * 65536.0).collect::<Vec<_>>();
        let of = |want: &[f64]| want.iter().map(|x| x * 65536.0).collect::<Vec<_>>();
        let mut array = |what, got: &[f32], want: &[f64]| self.array(what, &scaled(got), &of(want));
        array("users", &got[Side::User].factors, &want.users.factors.concat())?;
        array("items", &got[Side::Item].factors, &want.items.factors.concat())?;
        if case.terms.bias {
            array("user biases", &got[Side::User].bias, &want.users.bias)?;
            array("item biases", &got[Side::Item].bias, &want.items.bias)?;
        }
        Ok(())
    }
}
