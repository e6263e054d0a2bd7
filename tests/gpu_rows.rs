//! The GPU's row solver against a plain solution in f64, at the sizes that hurt.

mod common;

use common::largest_gap;
use std::ops::ControlFlow;
use wgmf::backend::{Backend, Objective, RowProblem, RowTerms};
use wgmf::data::{Ratings, Side, UNKNOWN};
use wgmf::gpu::{Gpu, Sources, TightLimits};
use wgmf::model::Factors;
use wgmf::train::{RowRatings, SideRatings};

/// How far f32 may be from f64.
const TOLERANCE: f64 = 2e-3;

fn draw(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

#[derive(Clone)]
struct Case {
    name: String,
    users: usize,
    items: usize,
    factors: usize,
    pairs: Vec<(u32, u32)>,
    weighted: bool,
    implicit: bool,
    terms: RowTerms,
}

impl Case {
    fn of_pairs(factors: usize, users: usize, items: usize, pairs: Vec<(u32, u32)>) -> Self {
        let terms = RowTerms {
            bias: true,
            reg: 0.05,
            reg_bias: 0.02,
            reg_exponent: 1.0,
            unobserved_weight: 0.0,
            block: factors,
            nonnegative: false,
        };
        let name = format!("k {factors}, {users} × {items}, {} ratings", pairs.len());
        Self { name, users, items, factors, pairs, weighted: false, implicit: false, terms }
    }

    /// Rows of very different lengths; some have no rating.
    fn skewed(factors: usize, users: usize, items: usize, ratings: usize) -> Self {
        let mut state = 88_172_645_463_325_252 + (factors * 31 + ratings) as u64;
        let mut row = |n: usize| (n as f64 * draw(&mut state).powi(2)) as u32;
        let pairs = (0..ratings).map(|_| (row(users), row(items))).collect();
        Self::of_pairs(factors, users, items, pairs)
    }

    fn named(mut self, name: &str) -> Self {
        self.name = format!("{name}, {}", self.name);
        self
    }

    fn no_bias(mut self) -> Self {
        self.terms.bias = false;
        self.name += ", no bias";
        self
    }

    fn block(mut self, block: usize) -> Self {
        self.terms.block = block;
        self.name += &format!(", block {block}");
        self
    }

    fn weighted(mut self) -> Self {
        self.weighted = true;
        self.name += ", weighted";
        self
    }

    fn implicit(mut self) -> Self {
        self.implicit = true;
        self.terms.bias = false;
        self.terms.unobserved_weight = 0.1;
        self.name += ", implicit";
        self
    }

    fn nonnegative(mut self) -> Self {
        self.terms.nonnegative = true;
        self.terms.bias = false;
        self.name += ", nonnegative";
        self
    }

    fn mean(&self) -> f32 {
        if self.terms.bias { 3.25 } else { 0.0 }
    }

    fn start(&self) -> Factors {
        let mut state = 42 + self.factors as u64;
        let mut array = |n: usize, scale: f64| -> Vec<f32> {
            (0..n).map(|_| ((draw(&mut state) - 0.4) * scale) as f32).collect()
        };
        let scale = 2.0 / (self.factors as f64).sqrt();
        let bias = if self.terms.bias { 1.0 } else { 0.0 };
        Factors {
            factors: self.factors,
            user_factors: array(self.users * self.factors, scale),
            item_factors: array(self.items * self.factors, scale),
            user_bias: array(self.users, bias),
            item_bias: array(self.items, bias),
            global_mean: self.mean(),
        }
    }

    fn problem(&self) -> RowProblem {
        let mut state = 7;
        let value = |state: &mut u64| {
            if self.implicit { 1.0 } else { (1.0 + 4.0 * draw(state)) as f32 }
        };
        let ratings = Ratings {
            users: self.pairs.iter().map(|p| p.0).collect(),
            items: self.pairs.iter().map(|p| p.1).collect(),
            values: self.pairs.iter().map(|_| value(&mut state)).collect(),
            timestamps: vec![],
        };
        let weight = |_| (0.3 + 3.0 * draw(&mut state)) as f32;
        let weights: Vec<f32> =
            if self.weighted { self.pairs.iter().map(weight).collect() } else { vec![] };
        let test = Ratings {
            users: vec![0, UNKNOWN, self.users as u32 - 1],
            items: vec![self.items as u32 - 1, 0, UNKNOWN],
            values: vec![4.0, 2.0, 1.0],
            timestamps: vec![],
        };
        RowProblem {
            ratings: RowRatings::new(&ratings, &weights, self.users, self.items),
            test,
            start: self.start(),
            terms: self.terms,
        }
    }
}

/// A model in f64: factors and biases of users, then of items.
struct Plain {
    rows: [Vec<Vec<f64>>; 2],
    bias: [Vec<f64>; 2],
    mean: f64,
}

fn place(side: Side) -> usize {
    usize::from(side == Side::Item)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Plain {
    fn new(of: &Factors) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let rows = |values: &[f32]| values.chunks(of.factors).map(wide).collect();
        Self {
            rows: [rows(&of.user_factors), rows(&of.item_factors)],
            bias: [wide(&of.user_bias), wide(&of.item_bias)],
            mean: f64::from(of.global_mean),
        }
    }

    fn solve(&mut self, ratings: &SideRatings, side: Side, terms: &RowTerms) {
        let (own, partner) = (place(side), place(side.partner()));
        let partners = self.rows[partner].len();
        let k = self.rows[partner].first().map_or(0, Vec::len);
        let unobserved = f64::from(terms.unobserved_weight);
        let mut whole = vec![vec![0.0; k]; k];
        for y in &self.rows[partner] {
            for a in 0..k {
                for b in 0..k {
                    whole[a][b] += unobserved * y[a] * y[b];
                }
            }
        }
        for row in 0..ratings.rows() {
            let at = ratings.positions(row);
            if at.is_empty() {
                self.rows[own][row].fill(0.0);
                self.bias[own][row] = 0.0;
                continue;
            }
            let penalty = (at.len() as f64 + unobserved * partners as f64)
                .powf(f64::from(terms.reg_exponent));
            let mut x = self.rows[own][row].clone();
            let mut bias = self.bias[own][row];
            for first in (0..k).step_by(terms.block) {
                let last = (first + terms.block).min(k);
                let with_bias = terms.bias && last == k;
                let n = last - first + usize::from(with_bias);
                let reg = |j: usize| match first + j < last {
                    true => f64::from(terms.reg) * penalty,
                    false => f64::from(terms.reg_bias) * penalty,
                };
                // Hessian and gradient, in the coordinates of the block.
                let mut a = vec![vec![0.0; n]; n];
                let mut g = vec![0.0; n];
                for j in 0..n {
                    a[j][j] += reg(j);
                    g[j] -= reg(j) * if first + j < last { x[first + j] } else { bias };
                    if first + j < last {
                        g[j] -= dot(&whole[first + j], &x);
                        for l in 0..last - first {
                            a[j][l] += whole[first + j][first + l];
                        }
                    }
                }
                for position in at.clone() {
                    let j = ratings.partners[position] as usize;
                    let y = &self.rows[partner][j];
                    let w = ratings.weights.get(position).map_or(1.0, |&w| f64::from(w));
                    let e = f64::from(ratings.values[position])
                        - self.mean
                        - bias
                        - self.bias[partner][j]
                        - dot(&x, y);
                    let mut z = y[first..last].to_vec();
                    if with_bias {
                        z.push(1.0);
                    }
                    for i in 0..n {
                        g[i] += w * e * z[i];
                        for l in 0..n {
                            a[i][l] += w * z[i] * z[l];
                        }
                    }
                }
                if terms.nonnegative {
                    descend(&a, &g, &mut x);
                } else {
                    let delta = solved(a, g);
                    for j in first..last {
                        x[j] += delta[j - first];
                    }
                    if with_bias {
                        bias += delta[n - 1];
                    }
                }
            }
            self.rows[own][row] = x;
            self.bias[own][row] = bias;
        }
    }

    fn objective(&self, ratings: &RowRatings, terms: &RowTerms) -> Objective {
        let mut sum = Objective::default();
        let users = &ratings.users;
        for row in 0..users.rows() {
            for position in users.positions(row) {
                let j = users.partners[position] as usize;
                let w = users.weights.get(position).map_or(1.0, |&w| f64::from(w));
                let e = f64::from(users.values[position])
                    - self.mean
                    - self.bias[0][row]
                    - self.bias[1][j]
                    - dot(&self.rows[0][row], &self.rows[1][j]);
                sum.error += w * e * e;
            }
        }
        if terms.unobserved_weight > 0.0 {
            for x in &self.rows[0] {
                for y in &self.rows[1] {
                    sum.unobserved += f64::from(terms.unobserved_weight) * dot(x, y).powi(2);
                }
            }
        }
        for side in [Side::User, Side::Item] {
            let (own, partners) = (place(side), self.rows[1 - place(side)].len());
            for (row, x) in self.rows[own].iter().enumerate() {
                let n = ratings.side(side).positions(row).len() as f64
                    + f64::from(terms.unobserved_weight) * partners as f64;
                let b = self.bias[own][row];
                sum.regularization += n.powf(f64::from(terms.reg_exponent))
                    * (f64::from(terms.reg) * dot(x, x) + f64::from(terms.reg_bias) * b * b);
            }
        }
        sum
    }

    fn test_loss(&self, test: &Ratings) -> f64 {
        let zeros = vec![0.0; self.rows[0][0].len()];
        let row = |side: usize, row: u32| match row {
            UNKNOWN => (&zeros, 0.0),
            row => (&self.rows[side][row as usize], self.bias[side][row as usize]),
        };
        let loss = |(user, item, value): (u32, u32, f32)| {
            let ((p, b), (q, c)) = (row(0, user), row(1, item));
            (f64::from(value) - self.mean - b - c - dot(p, q)).powi(2)
        };
        test.iter().map(loss).sum()
    }
}

/// Gaussian elimination with pivots.
fn solved(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for c in 0..n {
        let pivot = (c..n).max_by(|&i, &j| a[i][c].abs().total_cmp(&a[j][c].abs())).unwrap();
        a.swap(c, pivot);
        b.swap(c, pivot);
        let (above, below) = a.split_at_mut(c + 1);
        let pivot = &above[c];
        for (j, row) in below.iter_mut().enumerate() {
            let factor = row[c] / pivot[c];
            for l in c..n {
                row[l] -= factor * pivot[l];
            }
            b[c + 1 + j] -= factor * b[c];
        }
    }
    for c in (0..n).rev() {
        b[c] = (b[c] - dot(&a[c][c + 1..], &b[c + 1..])) / a[c][c];
    }
    b
}

/// 32 cycles of coordinate descent under `x ≥ 0`, from `x` where it is not negative; `g` is half the
/// negative gradient at `x` as it comes.
fn descend(a: &[Vec<f64>], g: &[f64], x: &mut [f64]) {
    let right: Vec<f64> = (0..x.len()).map(|j| g[j] + dot(&a[j], x)).collect();
    x.iter_mut().for_each(|x| *x = x.max(0.0));
    for _ in 0..32 {
        for j in 0..x.len() {
            x[j] = (x[j] + (right[j] - dot(&a[j], x)) / a[j][j]).max(0.0);
        }
    }
}

fn all(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn arrays(of: &Factors) -> [&Vec<f32>; 4] {
    [&of.user_factors, &of.item_factors, &of.user_bias, &of.item_bias]
}

/// The largest gap of a sweep's two half-sweeps, each from what the device had before it, and of the
/// objective and the test loss.
fn compare(backend: &dyn Backend, case: &Case) -> Result<f64, String> {
    let problem = case.problem();
    let (ratings, test) = (problem.ratings.clone(), problem.test.clone());
    let mut passes = backend.row_passes(problem).map_err(|e| e.to_string())?;
    let mut worst = 0.0_f64;
    for side in [Side::User, Side::Item, Side::User] {
        let mut plain = Plain::new(&passes.factors().unwrap());
        plain.solve(ratings.side(side), side, &case.terms);
        let done = passes.solve(side, &mut all).unwrap();
        assert_eq!(done, case.pairs.len(), "{}", case.name);
        let got = passes.factors().unwrap();
        let own = place(side);
        let want: Vec<f64> = plain.rows[own].concat();
        let gap = largest_gap(arrays(&got)[own], &want);
        if gap > TOLERANCE {
            return Err(format!("{}: {} factors off by {gap:.1e}", case.name, side.name()));
        }
        worst = worst.max(gap);
        if case.terms.bias {
            let gap = largest_gap(arrays(&got)[2 + own], &plain.bias[own]);
            if gap > TOLERANCE {
                return Err(format!("{}: {} biases off by {gap:.1e}", case.name, side.name()));
            }
            worst = worst.max(gap);
        }
        // The other side stays.
        let before = Plain::new(&got);
        assert_eq!(before.rows[1 - own], plain.rows[1 - own], "{}", case.name);
        assert_eq!(before.bias[1 - own], plain.bias[1 - own], "{}", case.name);
        let (got, want) = (passes.objective().unwrap(), before.objective(&ratings, &case.terms));
        for (what, got, want) in [
            ("error", got.error, want.error),
            ("unobserved part", got.unobserved, want.unobserved),
            ("regularization", got.regularization, want.regularization),
            ("test loss", passes.test_loss().unwrap(), before.test_loss(&test)),
        ] {
            let gap = common::gap(got, want, 1e-3);
            if gap > 1e-4 {
                return Err(format!("{}: {what} {got} instead of {want}", case.name));
            }
        }
    }
    Ok(worst)
}

fn hold(backend: &dyn Backend, cases: Vec<Case>) {
    let mut worst = (0.0, String::new());
    let mut failures = Vec::new();
    for case in cases {
        match compare(backend, &case) {
            Ok(gap) if gap >= worst.0 => worst = (gap, case.name),
            Ok(_) => {}
            Err(what) => failures.push(what),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("within {:.1e} ({})", worst.0, worst.1);
}

#[test]
fn cholesky_matches_f64_at_ragged_widths() {
    let mut cases = Vec::new();
    for k in [1, 2, 3, 4, 7, 8, 16, 17, 31, 32, 33, 64] {
        let case = Case::skewed(k, 37, 29, 400);
        cases.push(case.clone());
        cases.push(case.clone().no_bias().weighted());
        cases.push(case.clone().implicit());
        cases.push(case.implicit().weighted());
    }
    hold(&common::gpu(), cases);
}

#[test]
fn cholesky_matches_f64_at_large_widths() {
    let mut cases = Vec::new();
    for k in [75, 76, 77, 79, 80, 100, 128, 130, 257] {
        let case = Case::skewed(k, 14, 11, 200);
        cases.push(case.clone());
        cases.push(case.implicit().weighted());
    }
    cases.push(Case::skewed(512, 3, 4, 30));
    cases.push(Case::skewed(512, 4, 3, 30).implicit());
    hold(&common::gpu(), cases);
}
