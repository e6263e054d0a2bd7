//! The GPU's row solver against a plain solution in f64, at the sizes that hurt.

use crate::common;

use common::largest_gap;
use std::ops::ControlFlow;
use wgmf::backend::{ALL, Backend, ObjectiveSums, RowProblem, RowTerms};
use wgmf::core::{Factors, Ratings, RowRatings, Side, SideFactors, SideRatings, UNKNOWN};
use wgmf::gpu::{Gpu, Sources, TightLimits};

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
            sides: [
                SideFactors {
                    factors: array(self.users * self.factors, scale),
                    bias: array(self.users, bias),
                },
                SideFactors {
                    factors: array(self.items * self.factors, scale),
                    bias: array(self.items, bias),
                },
            ],
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
            rows: [rows(&of[Side::User].factors), rows(&of[Side::Item].factors)],
            bias: [wide(&of[Side::User].bias), wide(&of[Side::Item].bias)],
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

    fn objective(&self, ratings: &RowRatings, terms: &RowTerms) -> ObjectiveSums {
        let mut sum = ObjectiveSums::default();
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
    [&of[Side::User].factors, &of[Side::Item].factors, &of[Side::User].bias, &of[Side::Item].bias]
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
        let done = passes.solve(side, ALL, &mut all).unwrap();
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
        let (got, want) =
            (passes.objective([ALL, ALL]).unwrap().join(), before.objective(&ratings, &case.terms));
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

/// Rows of 1 rating and more, around the length of a segment (1024), on either side; rows without.
#[test]
fn gram_matches_f64_at_hot_rows() {
    let mut cases = Vec::new();
    for (j, hot) in [1, 2, 1023, 1024, 1025, 2048, 2049, 5000].into_iter().enumerate() {
        let k = [5, 16, 33, 8][j % 4];
        let (few, many) = (7, 300);
        let mut pairs: Vec<(u32, u32)> = (0..hot as u32).map(|n| (3, n * 7 % many)).collect();
        pairs.extend((0..many).map(|n| (n % 3, n)));
        pairs.rotate_left(hot / 3);
        let turned: Vec<_> = pairs.iter().map(|&(a, b)| (b, a)).collect();
        let (few, many) = (few as usize, many as usize);
        cases.push(Case::of_pairs(k, few, many, pairs.clone()).named("a hot user"));
        cases.push(Case::of_pairs(k, many, few, turned).named("a hot item").weighted());
        cases.push(Case::of_pairs(k, few, many, pairs).implicit().weighted());
    }
    // One rating at all.
    cases.push(Case::of_pairs(3, 1, 1, vec![(0, 0)]));
    cases.push(Case::of_pairs(9, 4, 5, vec![(2, 3)]).implicit());
    hold(&common::gpu(), cases);
}

/// More rows than a dispatch has workgroups.
#[test]
fn cholesky_matches_f64_at_many_rows() {
    let rows = 70_001;
    let once: Vec<_> = (0..rows).map(|n| (n, n * 7 % 50)).collect();
    let turned: Vec<_> = once.iter().map(|&(a, b)| (b, a)).collect();
    hold(
        &common::gpu(),
        vec![
            Case::of_pairs(3, rows as usize, 50, once).named("many users"),
            Case::of_pairs(4, 50, rows as usize, turned).named("many items").implicit(),
        ],
    );
}

#[test]
fn remainder_matches_f64_at_every_block() {
    let mut cases = Vec::new();
    for (k, block) in [(7, 1), (7, 3), (16, 8), (17, 8), (33, 3), (33, 32), (64, 16), (130, 100)] {
        let case = Case::skewed(k, 23, 19, 300).block(block);
        cases.push(case.clone());
        cases.push(case.clone().no_bias().weighted());
        cases.push(case.clone().implicit());
        cases.push(case.implicit().weighted());
    }
    let hot = (0..2500).map(|n| (n % 2, n * 7 % 90)).collect();
    cases.push(Case::of_pairs(12, 3, 90, hot).block(5));
    hold(&common::gpu(), cases);
}

#[test]
fn nonnegative_matches_f64() {
    let mut cases = Vec::new();
    for k in [1, 3, 16, 33, 64, 65, 100] {
        let case = Case::skewed(k, 23, 19, 300).nonnegative();
        cases.push(case.clone());
        cases.push(case.clone().implicit());
        cases.push(case.implicit().weighted());
    }
    hold(&common::gpu(), cases);
}

/// `ν` other than 1, and no regularization where there are ratings enough.
#[test]
fn penalty_matches_f64_at_every_exponent() {
    let mut cases = Vec::new();
    for exponent in [0.0, 0.5, 1.0] {
        let mut case = Case::skewed(6, 20, 25, 400).named(&format!("exponent {exponent}"));
        case.terms.reg_exponent = exponent;
        case.terms.reg = 0.3;
        cases.push(case.clone());
        cases.push(case.implicit());
    }
    let pairs = (0..600).map(|n| (n % 20, n / 20)).collect();
    let mut case = Case::of_pairs(4, 20, 30, pairs).named("no regularization");
    (case.terms.reg, case.terms.reg_bias) = (0.0, 0.0);
    cases.push(case);
    hold(&common::gpu(), cases);
}

fn tight(binding_bytes: u64, workgroups: u32) -> Gpu {
    let limits = TightLimits { binding_bytes, workgroups };
    Gpu::open_with(&common::adapter(), Some(limits), Sources::default()).unwrap()
}

#[test]
fn small_devices_give_the_same() {
    let hot: Vec<_> = (0..3000).map(|n| (n % 2 * (n % 5), n * 7 % 90)).collect();
    for (binding, workgroups, case) in [
        // A row of 16 factors has 64 bytes: 32 rows a tile; one matrix, 256 ratings a chunk.
        (2048, 65_535, Case::skewed(16, 110, 90, 1500)),
        (2048, 65_535, Case::skewed(16, 90, 110, 1500).block(5).implicit().weighted()),
        (4096, 65_535, Case::skewed(9, 150, 70, 2000).no_bias().weighted()),
        (4096, 65_535, Case::of_pairs(12, 100, 90, hot.clone())),
        (4096, 65_535, Case::of_pairs(12, 100, 90, hot.clone()).block(7)),
        (4096, 65_535, Case::skewed(12, 60, 90, 900).nonnegative()),
        (16_384, 64, Case::of_pairs(33, 100, 90, hot).implicit()),
        // 64 workgroups: rows, segments, vec4s of a matrix in several dispatches.
        (1 << 27, 64, Case::skewed(3, 3000, 2000, 8000)),
        (1 << 27, 64, Case::skewed(3, 3000, 2000, 8000).block(2)),
        (1 << 27, 64, Case::skewed(40, 300, 200, 8000)),
        (1 << 20, 64, Case::skewed(257, 12, 10, 150).implicit()),
    ] {
        let case = case.named(&format!("{binding} bytes, {workgroups} workgroups"));
        hold(&tight(binding, workgroups), vec![case]);
    }
}

#[test]
fn problems_that_do_not_fit_are_refused() {
    let refused = |gpu: &Gpu, case: Case| match gpu.row_passes(case.problem()) {
        Ok(_) => panic!("{}: accepted", case.name),
        Err(error) => error.to_string(),
    };
    let said = refused(&tight(4096, 65_535), Case::skewed(64, 20, 30, 100));
    assert!(said.contains("64 factors") && said.contains("4096"), "{said}");
    assert!(said.contains("`block`") && said.contains("`backend` cpu"), "{said}");
    // What fits in blocks is accepted.
    hold(&tight(4096, 65_535), vec![Case::skewed(64, 20, 30, 300).block(16)]);
    let said = refused(&common::gpu(), Case::skewed(1024, 3, 4, 10));
    assert!(said.contains("`block`") && said.contains("`backend` cpu"), "{said}");
}

fn bits(of: &Factors) -> Vec<u32> {
    arrays(of).into_iter().flatten().map(|x| x.to_bits()).collect()
}

#[test]
fn repeats_give_the_same_bits() {
    let gpu = common::gpu();
    let hot: Vec<_> = (0..9000).map(|n| (n % 3 * (n % 7), n * 7 % 900)).collect();
    for case in [
        Case::of_pairs(20, 40, 900, hot.clone()),
        Case::of_pairs(20, 40, 900, hot.clone()).block(6).implicit(),
        Case::of_pairs(20, 40, 900, hot).nonnegative(),
    ] {
        let swept = || {
            let mut passes = gpu.row_passes(case.problem()).unwrap();
            for side in [Side::User, Side::Item, Side::User] {
                passes.solve(side, ALL, &mut all).unwrap();
            }
            let ObjectiveSums { error, unobserved, regularization } =
                passes.objective([ALL, ALL]).unwrap().join();
            let sums = [error, unobserved, regularization].map(f64::to_bits);
            (bits(&passes.factors().unwrap()), sums)
        };
        let first = swept();
        for _ in 0..3 {
            assert!(swept() == first, "{}", case.name);
        }
    }
}

/// One block of all factors is the exact solution, bit for bit.
#[test]
fn a_block_of_all_factors_is_exact() {
    let gpu = common::gpu();
    let exact = Case::skewed(12, 30, 40, 500);
    let swept = |case: &Case| {
        let mut passes = gpu.row_passes(case.problem()).unwrap();
        passes.solve(Side::User, ALL, &mut all).unwrap();
        passes.factors().unwrap()
    };
    assert_eq!(bits(&swept(&exact)), bits(&swept(&exact.clone().block(12))));
    // Two blocks, again and again, come to the same.
    let halves = exact.clone().block(6);
    let mut passes = gpu.row_passes(halves.problem()).unwrap();
    for _ in 0..400 {
        passes.solve(Side::User, ALL, &mut all).unwrap();
    }
    let want: Vec<f64> = swept(&exact)[Side::User].factors.iter().map(|&x| f64::from(x)).collect();
    let gap = largest_gap(&passes.factors().unwrap()[Side::User].factors, &want);
    assert!(gap < TOLERANCE, "{gap}");
}

#[test]
fn keep_remembers() {
    let gpu = common::gpu();
    let case = Case::skewed(7, 30, 20, 200);
    let mut passes = gpu.row_passes(case.problem()).unwrap();
    assert!(passes.kept().is_err());
    assert_eq!(passes.factors().unwrap(), case.start());
    passes.solve(Side::User, ALL, &mut all).unwrap();
    passes.keep().unwrap();
    let kept = passes.factors().unwrap();
    passes.solve(Side::Item, ALL, &mut all).unwrap();
    assert_eq!(passes.kept().unwrap(), kept);
    assert_ne!(passes.factors().unwrap(), kept);
}

/// Broken off, some rows are solved and the others are as they were.
#[test]
fn a_watcher_breaks_off() {
    let gpu = common::gpu();
    let pairs = (0..6_000_000_u32).map(|n| (n % 4000, n / 4000)).collect();
    let case = Case::of_pairs(4, 4000, 1500, pairs);
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
    assert_eq!(passes.solve(Side::User, ALL, &mut all).unwrap(), 6_000_000);
    let got = passes.factors().unwrap();
    let rows = got[Side::User].factors.chunks(4).zip(start[Side::User].factors.chunks(4));
    assert!(rows.filter(|(got, start)| got == start).count() == 0);
}

#[test]
fn singular_rows_become_non_finite() {
    let gpu = common::gpu();
    for k in [5, 20, 100] {
        // Fewer ratings than factors, and nothing that holds them.
        let pairs = (0..30).map(|n| (n % 10, n)).collect();
        let mut case = Case::of_pairs(k, 10, 30, pairs).no_bias();
        case.terms.reg = 0.0;
        let mut passes = gpu.row_passes(case.problem()).unwrap();
        passes.solve(Side::User, ALL, &mut all).unwrap();
        let rows = passes.factors().unwrap();
        let lost = |row: &[f32]| row.iter().any(|x| !x.is_finite());
        assert!(
            rows[Side::User].factors.chunks(k).all(lost),
            "{k}: {:?}",
            &rows[Side::User].factors[..k]
        );
        assert!(!passes.objective([ALL, ALL]).unwrap().join().total().is_finite());
    }
}
