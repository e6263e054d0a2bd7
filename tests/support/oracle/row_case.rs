//! Problems of the row solvers, and the one comparison that holds a backend against the oracle.

use super::case::Draw;
use super::rows::{Parts, Rowwise};
use super::{Model, Rows, loss_sum, triples};
use crate::common::{gap, largest_gap, largest_gap_over};
use std::ops::ControlFlow;
use wgmf::backend::{ALL, Backend, ObjectiveSums, RowProblem, RowTerms};
use wgmf::core::{
    Confidence, Factors, Loss, Ratings, RowRatings, Side, SideFactors, Target, UNKNOWN,
};

/// How far a kernel's f32 may be from the oracle's f64, relative to the root mean square of its
/// array. The cases' equations have condition numbers of a few hundred at most.
pub const TOLERANCE: f64 = 1e-4;

/// The same for nonnegative rows: coordinate descent ends where a cycle moves nothing by more than a
/// hundred thousandth, and the cycles that are left would move it on a little.
pub const AT_REST: f64 = 1e-3;

/// A problem with everything that is drawn, drawn.
#[derive(Clone, Debug)]
pub struct RowCase {
    pub name: String,
    pub factors: usize,
    pub users: usize,
    pub items: usize,
    pub ratings: Ratings,
    /// (ratings), or empty.
    pub weights: Vec<f32>,
    /// What makes Hu's objective of the values.
    pub alpha: Option<f64>,
    pub test: Ratings,
    pub terms: RowTerms,
    pub mean: f32,
    pub sweeps: usize,
    seed: u64,
}

impl RowCase {
    /// Ratings of random pairs, explicit, with biases and a mean, solved exactly, in two sweeps; and
    /// a test set with unknown rows.
    pub fn new(factors: usize, users: usize, items: usize, ratings: usize) -> Self {
        let mut draw = Draw::new((factors * 31 + users * 7 + items * 3 + ratings) as u64);
        let pairs = (0..ratings).map(|_| (draw.below(users), draw.below(items))).collect();
        Self::of_pairs(factors, users, items, pairs)
    }

    /// As [`RowCase::new`], of these pairs.
    pub fn of_pairs(factors: usize, users: usize, items: usize, pairs: Vec<(u32, u32)>) -> Self {
        let seed = (factors * 31 + users * 7 + items * 3 + pairs.len()) as u64;
        let mut draw = Draw::new(seed ^ 0xA5);
        let (user_ids, item_ids): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let values = pairs.iter().map(|_| draw.between(1.0, 5.0)).collect();
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
            weights: vec![],
            alpha: None,
            test: Ratings::default(),
            terms: RowTerms {
                bias: true,
                // As factors are, squared: equations are as well conditioned whatever their number.
                reg: 0.04 * (factors as f32).sqrt(),
                reg_bias: 0.08,
                reg_exponent: 1.0,
                damping: 0.0,
                damping_bias: 0.0,
                unobserved_weight: 0.0,
                block: factors,
                nonnegative: false,
                confidence: Confidence::Rendle,
            },
            mean: 2.75,
            sweeps: 2,
            seed,
        };
        case.test_ratings(67)
    }

    /// The row with the most ratings first, of `hot`; each of the others once or a few times.
    pub fn hot(factors: usize, users: usize, items: usize, hot: usize) -> Self {
        let mut draw = Draw::new((hot * 13 + factors) as u64);
        let at = users / 2;
        let mut pairs: Vec<_> = (0..hot).map(|_| (at as u32, draw.below(items))).collect();
        pairs.extend((0..2 * users.max(items)).map(|n| ((n % users) as u32, draw.below(items))));
        pairs.rotate_left(hot / 3);
        Self::of_pairs(factors, users, items, pairs).named("a hot user")
    }

    /// Users for items and items for users.
    pub fn turned(mut self) -> Self {
        std::mem::swap(&mut self.users, &mut self.items);
        std::mem::swap(&mut self.ratings.users, &mut self.ratings.items);
        self.name += ", turned";
        let n = self.test.len();
        self.test_ratings(n)
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
            self.test.values.push(draw.between(1.0, 5.0));
        }
        self
    }

    pub fn sweeps(self, sweeps: usize) -> Self {
        Self { sweeps, ..self }
    }

    pub fn no_bias(mut self) -> Self {
        self.terms.bias = false;
        self.terms.reg_bias = 0.0;
        self.name += ", no bias";
        self
    }

    pub fn no_mean(mut self) -> Self {
        self.mean = 0.0;
        self.name += ", no mean";
        self
    }

    /// Every pair counts a little; no mean, no biases; every rating is 1.
    pub fn implicit(mut self, unobserved: f32) -> Self {
        self = self.no_bias().no_mean();
        self.terms.unobserved_weight = unobserved;
        self.ratings.values.fill(1.0);
        self.name += &format!(", unobserved {unobserved}");
        self
    }

    /// Ratings weigh from a quarter to four.
    pub fn weighted(mut self) -> Self {
        let mut draw = Draw::new(self.seed ^ 0x3E16);
        self.weights = self.ratings.values.iter().map(|_| draw.between(0.25, 4.0)).collect();
        self.name += ", weighted";
        self
    }

    /// Hu's objective: pairs of many plays, of one, of less, dislikes, and some that weigh nothing; each comes
    /// once.
    pub fn confident(mut self, alpha: f64) -> Self {
        self = self.implicit(1.0);
        self.terms.confidence = Confidence::Hu;
        self.alpha = Some(alpha);
        let mut known = std::collections::BTreeSet::new();
        let (users, items) = (self.ratings.users.clone(), self.ratings.items.clone());
        self.ratings.retain(|at| known.insert((users[at], items[at])));
        let mut draw = Draw::new(self.seed ^ 0xC0F1);
        // As in what implicit counts, weights of one and of its parts are no rarity.
        let one = (1.0 / alpha) as f32;
        let values =
            [5.0, 3.0, 1.0, 0.25, one, 0.75 * one, 1.01 * one, -1.0, -2.5, -0.5 * one, 0.0];
        for value in &mut self.ratings.values {
            *value = values[draw.below(values.len()) as usize];
        }
        self.name += &format!(", Hu's with alpha {alpha}");
        self
    }

    pub fn block(mut self, block: usize) -> Self {
        self.terms.block = block;
        self.name += &format!(", blocks of {block}");
        self
    }

    /// Factors of 0 or above.
    pub fn nonnegative(mut self) -> Self {
        self = self.no_bias().no_mean();
        self.terms.nonnegative = true;
        self.name += ", nonnegative";
        self
    }

    /// So little regularization that exact rows are refined.
    pub fn weak(mut self) -> Self {
        self.terms.reg *= 0.01;
        self.terms.reg_bias *= 0.01;
        self.name += ", weak";
        self
    }

    /// Regularization whatever a row's ratings.
    pub fn damped(mut self, damping: f32, damping_bias: f32) -> Self {
        (self.terms.damping, self.terms.damping_bias) = (damping, damping_bias);
        self.name += &format!(", damping {damping} and {damping_bias}");
        self
    }

    pub fn reg_exponent(mut self, exponent: f32) -> Self {
        // As much in all for a row of thirty ratings.
        self.terms.reg *= 30.0_f32.powf(1.0 - exponent);
        self.terms.reg_bias *= 30.0_f32.powf(1.0 - exponent);
        self.terms.reg_exponent = exponent;
        self.name += &format!(", reg_exponent {exponent}");
        self
    }

    /// Where training starts: inner products of about 1 whatever the number of factors.
    pub fn start(&self) -> Factors {
        let mut draw = Draw::new(self.seed ^ 0x57A7);
        let scale = 1.7 / (self.factors as f64).powf(0.25);
        let low = if self.terms.nonnegative { 0.0 } else { -scale };
        let mut rows = |n: usize| (0..n).map(|_| draw.between(low, scale)).collect::<Vec<_>>();
        // In the order that the cases were chosen by.
        let (users, items) = (rows(self.users * self.factors), rows(self.items * self.factors));
        let (user_bias, item_bias) = (rows(self.users), rows(self.items));
        let mut start = Factors {
            factors: self.factors,
            sides: [
                SideFactors { factors: users, bias: user_bias },
                SideFactors { factors: items, bias: item_bias },
            ],
            global_mean: self.mean,
        };
        if !self.terms.bias {
            start[Side::User].bias.fill(0.0);
            start[Side::Item].bias.fill(0.0);
        }
        start
    }

    /// The problem as a backend takes it.
    pub fn problem(&self) -> RowProblem {
        RowProblem {
            ratings: match self.alpha {
                Some(alpha) => Target::Confident { alpha }
                    .lay_out(&self.ratings, self.users, self.items)
                    .unwrap(),
                None => RowRatings::new(&self.ratings, &self.weights, self.users, self.items),
            },
            test: self.test.clone(),
            start: self.start(),
            terms: self.terms,
        }
    }

    /// [`TOLERANCE`], and a rounding for each rating of the hottest row: a sum of many alike loses as
    /// much.
    fn tolerance(&self) -> f64 {
        let counts = |side, rows| self.ratings.counts(side, rows).into_iter().max();
        let hottest = counts(Side::User, self.users).max(counts(Side::Item, self.items));
        TOLERANCE + f64::from(hottest.unwrap_or(0)) * f64::from(f32::EPSILON)
    }

    /// The problem as the oracle takes it.
    pub fn oracle(&self) -> Rowwise {
        match self.alpha {
            Some(alpha) => Rowwise::confident(&self.ratings, alpha, &self.terms),
            None => Rowwise::new(&self.ratings, &self.weights, &self.terms),
        }
    }
}

/// Holds `backend` against the oracle on `case`: each side's solve from the backend's own
/// parameters, the objective's parts after it, the held-out error after each sweep. Returns the
/// largest gap.
///
/// # Errors
/// Says what is further than [`TOLERANCE`] from what it should be.
pub fn compare(backend: &dyn Backend, case: &RowCase) -> Result<f64, String> {
    compare_all(backend, case).map_err(|what| format!("{}: {what}", case.name))
}

fn compare_all(backend: &dyn Backend, case: &RowCase) -> Result<f64, String> {
    let said = |error: wgmf::Error| error.to_string();
    let mut passes = backend.row_passes(case.problem()).map_err(said)?;
    let oracle = case.oracle();
    let test = triples(&case.test);
    let mut check = Check { tolerance: case.tolerance(), worst: 0.0 };
    let mut before = passes.factors().map_err(said)?;
    if before != case.start() {
        return Err("the parameters are not those of the start".to_owned());
    }
    let got = passes.objective([ALL, ALL]).map_err(said)?.join();
    check.objective(&got, &oracle.objective(&Model::from(&before)), case, "at the start")?;
    let got = passes.test_loss().map_err(said)?;
    let want = loss_sum(&Model::from(&before), Loss::Squared, &test);
    check.errors("held-out error at the start", got, want, test.len())?;
    for sweep in 1..=case.sweeps {
        for side in [Side::User, Side::Item] {
            let when = format!("{} side of sweep {sweep}", side.name());
            let at = |what: String| format!("{when}: {what}");
            let done = passes.solve(side, ALL, &mut |_| ControlFlow::Continue(()));
            let done = done.map_err(said)?;
            if done != case.ratings.len() {
                return Err(at(format!("{done} ratings done")));
            }
            let after = passes.factors().map_err(said)?;
            check.solved(case, &oracle, side, &before, &after).map_err(at)?;
            let got = passes.objective([ALL, ALL]).map_err(said)?.join();
            check.objective(&got, &oracle.objective(&Model::from(&after)), case, &when)?;
            before = after;
        }
        let got = passes.test_loss().map_err(said)?;
        let want = loss_sum(&Model::from(&before), Loss::Squared, &test);
        check.errors("held-out error", got, want, test.len())?;
    }
    Ok(check.worst)
}

fn rms(numbers: &[f32]) -> f64 {
    let squares: f64 = numbers.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (squares / numbers.len() as f64).sqrt()
}

/// Factors and biases of a side, and of the other.
fn split(factors: &Factors, side: Side) -> [(&[f32], &[f32]); 2] {
    let users = (&factors[Side::User].factors[..], &factors[Side::User].bias[..]);
    let items = (&factors[Side::Item].factors[..], &factors[Side::Item].bias[..]);
    match side {
        Side::User => [users, items],
        Side::Item => [items, users],
    }
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

    /// A sum of squared errors over `n` ratings: each is known only as well as f32 holds the value.
    fn errors(&mut self, what: &str, got: f64, want: f64, n: usize) -> Result<(), String> {
        assert!(n == 0 || want > 1e-7 * n as f64, "the expected {what} is all but zero: {want}");
        self.within(what, gap(got, want, 1e-3 * n.max(1) as f64))
    }

    /// A sum of squared parameters.
    fn squares(&mut self, what: &str, got: f64, want: f64) -> Result<(), String> {
        assert!(want > 1e-12, "the expected {what} is all but zero: {want}");
        self.within(what, gap(got, want, 0.0))
    }

    fn objective(
        &mut self,
        got: &ObjectiveSums,
        want: &Parts,
        case: &RowCase,
        when: &str,
    ) -> Result<(), String> {
        let n = case.ratings.len();
        match case.alpha {
            // It may lie near 0, but is a difference of two sums, which are known as well as the larger.
            Some(alpha) => {
                let all: f64 =
                    case.ratings.values.iter().map(|&v| alpha * f64::from(v).abs()).sum();
                let gap = gap(got.error, want.error, 0.1 * all + want.unobserved);
                self.within(&format!("error {when}"), gap)?;
            }
            None => self.errors(&format!("error {when}"), got.error, want.error, n)?,
        }
        let what = format!("regularization {when}");
        self.squares(&what, got.regularization, want.regularization)?;
        if case.terms.unobserved_weight > 0.0 {
            let what = format!("unobserved part {when}");
            self.squares(&what, got.unobserved, want.unobserved)
        } else if got.unobserved == 0.0 {
            Ok(())
        } else {
            Err(format!("explicit ratings with an unobserved part of {}", got.unobserved))
        }
    }

    /// What a side's solve made of `before`.
    fn solved(
        &mut self,
        case: &RowCase,
        oracle: &Rowwise,
        side: Side,
        before: &Factors,
        after: &Factors,
    ) -> Result<(), String> {
        let [(old, old_bias), other_before] = split(before, side);
        let [(got, got_bias), other_after] = split(after, side);
        if other_before != other_after {
            return Err("the other side moved".to_owned());
        }
        if after.global_mean != before.global_mean {
            return Err("the mean moved".to_owned());
        }
        let rated = match side {
            Side::User => &case.ratings.users,
            Side::Item => &case.ratings.items,
        };
        let mut without = vec![true; got_bias.len()];
        rated.iter().for_each(|&row| without[row as usize] = false);
        for (row, factors) in got.chunks(case.factors).enumerate() {
            let zero = factors.iter().all(|&x| x == 0.0) && got_bias[row] == 0.0;
            if without[row] && !zero {
                return Err(format!("row {row} has no rating and is not zero"));
            }
        }
        if !case.terms.bias && got_bias != old_bias {
            return Err("biases moved in a model without".to_owned());
        }
        if case.terms.nonnegative && got.iter().any(|&x| x < 0.0) {
            return Err("a factor is below zero".to_owned());
        }
        let tolerance = if case.terms.nonnegative { AT_REST } else { self.tolerance };
        let mut want = Model::from(before);
        oracle.solve(&mut want, side);
        let want: &Rows = match side {
            Side::User => &want.users,
            Side::Item => &want.items,
        };
        // A block moves its factors from where they were: they are known as well as those.
        let want_factors = want.factors.concat();
        let floor = match case.terms.block < case.factors || case.terms.nonnegative {
            true => 8.0 * f64::from(f32::EPSILON) * rms(old) / self.tolerance,
            false => 0.0,
        };
        let gap = largest_gap_over(got, &want_factors, floor);
        self.worst = self.worst.max(gap);
        // NaN is far.
        if gap.is_nan() || gap >= tolerance {
            return Err(format!("factors off by {gap:.2e}"));
        }
        if case.terms.bias {
            self.within("biases", largest_gap(got_bias, &want.bias))?;
        }
        Ok(())
    }
}
