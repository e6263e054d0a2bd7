//! The row solvers against a textbook in f64.

use super::*;
use crate::backend::{ALL, Backend, ObjectiveSums, RowTerms};
use crate::core::{Confidence, Ratings, RowRatings, SideFactors, UNKNOWN};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const EXPLICIT: RowTerms = RowTerms {
    bias: true,
    reg: 0.05,
    reg_bias: 0.02,
    reg_exponent: 0.8,
    damping: 0.2,
    damping_bias: 0.6,
    unobserved_weight: 0.0,
    block: usize::MAX,
    nonnegative: false,
    confidence: Confidence::Rendle,
};

const IMPLICIT: RowTerms =
    RowTerms { bias: false, reg_bias: 0.0, unobserved_weight: 0.1, ..EXPLICIT };

/// A problem in which user `j` has `lengths[j]` ratings of `items` items.
fn problem(
    lengths: &[usize],
    items: usize,
    factors: usize,
    terms: RowTerms,
    weighted: bool,
) -> RowProblem {
    let mut random = ChaCha8Rng::seed_from_u64(factors as u64);
    let mut number = |scale: f32| (random.random::<f32>() - 0.5) * 2.0 * scale;
    let mut ratings = Ratings::default();
    let mut weights = Vec::new();
    let implicit = terms.unobserved_weight != 0.0;
    for (user, &length) in lengths.iter().enumerate() {
        for j in 0..length {
            ratings.users.push(user as u32);
            ratings.items.push((j * 7 % items) as u32);
            ratings.values.push(if implicit { 1.0 } else { 3.0 + number(2.0) });
            if weighted {
                weights.push(1.0 + number(0.9));
            }
        }
    }
    let scale = 1.0 / (factors as f32).sqrt();
    let mut vector =
        |length: usize, scale: f32| -> Vec<f32> { (0..length).map(|_| number(scale)).collect() };
    let bias = if terms.bias { 0.5 } else { 0.0 };
    // All factors are drawn before all biases: at other numbers a row of one rating may be all but zero.
    let (of_users, of_items) =
        (vector(lengths.len() * factors, scale), vector(items * factors, scale));
    let mut start = Factors {
        factors,
        sides: [
            SideFactors { factors: of_users, bias: vector(lengths.len(), bias) },
            SideFactors { factors: of_items, bias: vector(items, bias) },
        ],
        global_mean: if implicit { 0.0 } else { 3.0 },
    };
    if terms.nonnegative {
        start.sides.iter_mut().flat_map(|side| &mut side.factors).for_each(|x| *x = x.abs());
    }
    let ratings = RowRatings::new(&ratings, &weights, lengths.len(), items);
    let terms = RowTerms { block: terms.block.min(factors), ..terms };
    RowProblem { ratings, test: Ratings::default(), start, terms }
}

/// The normal equations of a row, in f64: matrix and right side of `[x, b]`.
fn equations(
    problem: &RowProblem,
    side: Side,
    factors: &Factors,
    row: usize,
) -> (Vec<Vec<f64>>, Vec<f64>) {
    let k = factors.factors;
    let ratings = problem.ratings.side(side);
    let (partner, partner_bias) = match side {
        Side::User => (&factors[Side::Item].factors, &factors[Side::Item].bias),
        Side::Item => (&factors[Side::User].factors, &factors[Side::User].bias),
    };
    let terms = &problem.terms;
    let size = k + usize::from(terms.bias);
    let mut a = vec![vec![0.0; size]; size];
    let mut right = vec![0.0; size];
    let y = |partner_row: usize| -> Vec<f64> {
        let q = &partner[partner_row * k..][..k];
        q.iter().map(|&q| f64::from(q)).chain(terms.bias.then_some(1.0)).collect()
    };
    let mut add = |weight: f64, y: &[f64]| {
        for r in 0..size {
            for c in 0..size {
                a[r][c] += weight * y[r] * y[c];
            }
        }
    };
    if terms.unobserved_weight != 0.0 {
        (0..partner_bias.len()).for_each(|j| add(f64::from(terms.unobserved_weight), &y(j)));
    }
    let positions = ratings.positions(row);
    let (reg, reg_bias) = terms.regularization(positions.len(), partner_bias.len());
    for at in positions {
        let weight = ratings.weights.get(at).map_or(1.0, |&w| f64::from(w));
        let j = ratings.partners[at] as usize;
        let target = f64::from(ratings.values[at])
            - f64::from(factors.global_mean)
            - f64::from(partner_bias[j]);
        let y = y(j);
        add(weight, &y);
        right.iter_mut().zip(&y).for_each(|(right, y)| *right += weight * target * y);
    }
    for (j, row) in a.iter_mut().enumerate() {
        row[j] += f64::from(if j < k { reg } else { reg_bias });
    }
    (a, right)
}

/// Gauss without pivoting, for positive definite matrices.
fn solve(mut a: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for j in 0..n {
        let pivot = a[j].clone();
        for r in j + 1..n {
            let factor = a[r][j] / pivot[j];
            for c in j..n {
                a[r][c] -= factor * pivot[c];
            }
            right[r] -= factor * right[j];
        }
    }
    for j in (0..n).rev() {
        for c in j + 1..n {
            right[j] -= a[j][c] * right[c];
        }
        right[j] /= a[j][j];
    }
    right
}

/// A row of a side with its bias, if there is one.
fn row_of(factors: &Factors, side: Side, row: usize, bias: bool) -> Vec<f64> {
    let (x, b) = match side {
        Side::User => (factors.user(row as u32), factors[Side::User].bias[row]),
        Side::Item => (factors.item(row as u32), factors[Side::Item].bias[row]),
    };
    x.iter().copied().chain(bias.then_some(b)).map(f64::from).collect()
}

/// The largest gap of two vectors over the largest number of the second; NaN is infinitely far.
fn gap(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(0.0_f64, |m, w| m.max(w.abs()));
    assert!(scale > 1e-3, "nothing to compare with");
    let mut gap = 0.0_f64;
    for (got, want) in got.iter().zip(want) {
        let part = (got - want).abs() / scale;
        gap = if part.is_nan() { f64::INFINITY } else { gap.max(part) };
    }
    gap
}

fn go(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn copy(problem: &RowProblem) -> RowProblem {
    RowProblem {
        ratings: problem.ratings.clone(),
        test: problem.test.clone(),
        start: problem.start.clone(),
        terms: problem.terms,
    }
}

#[test]
fn rows_match_the_textbook_at_ragged_sizes() {
    for k in [1, 2, 3, 7, 16, 17, 33, 64, 100, 128, 130, 257, 512] {
        let lengths = [0, 1, k.max(2) - 1, k, k + 1, if k > 130 { 600 } else { 1000 }];
        for (terms, weighted) in
            [(EXPLICIT, false), (EXPLICIT, true), (IMPLICIT, false), (IMPLICIT, true)]
        {
            let problem = problem(&lengths, 611, k, terms, weighted);
            let mut passes = CpuRows::new(Cpu::new(), copy(&problem)).unwrap();
            let done = passes.solve(Side::User, ALL, &mut go).unwrap();
            assert_eq!(done, lengths.iter().sum::<usize>());
            let factors = passes.factors().unwrap();
            for (row, &n) in lengths.iter().enumerate() {
                let got = row_of(&factors, Side::User, row, terms.bias);
                if n == 0 {
                    assert!(got.iter().all(|&x| x == 0.0), "k {k}: {got:?}");
                    continue;
                }
                let (a, right) = equations(&problem, Side::User, &problem.start, row);
                let gap = gap(&got, &solve(a, right));
                assert!(gap < 1e-4, "k {k}, {n} ratings, {terms:?}: off by {gap}");
            }
        }
    }
}

#[test]
fn blocks_match_the_textbook() {
    // Gathered once; whole equations; a block gathered once and twice.
    let short = [0, 1, 20, 300, 1000, 6000];
    let long = [0, 2000, 5000];
    let cases = [(1, &short[..]), (3, &short), (8, &short), (16, &short), (32, &short)];
    let cases = cases.map(|(block, lengths)| (37, block, lengths));
    for (k, block, lengths) in cases.into_iter().chain([(37, 36, &short[..]), (130, 64, &long)]) {
        for (terms, weighted) in [(EXPLICIT, true), (EXPLICIT, false), (IMPLICIT, true)] {
            let terms = RowTerms { block, ..terms };
            let problem = problem(lengths, 611, k, terms, weighted);
            let mut passes = CpuRows::new(Cpu::new(), copy(&problem)).unwrap();
            passes.solve(Side::User, ALL, &mut go).unwrap();
            let factors = passes.factors().unwrap();
            for row in 1..lengths.len() {
                let (a, right) = equations(&problem, Side::User, &problem.start, row);
                let mut x = row_of(&problem.start, Side::User, row, terms.bias);
                for from in (0..k).step_by(block) {
                    let to = if from + block < k { from + block } else { x.len() };
                    let part = from..to;
                    let own = a[part.clone()].iter().map(|r| r[part.clone()].to_vec()).collect();
                    let gradient = part
                        .clone()
                        .map(|j| right[j] - a[j].iter().zip(&x).map(|(a, x)| a * x).sum::<f64>());
                    let change = solve(own, gradient.collect());
                    x[part].iter_mut().zip(change).for_each(|(x, change)| *x += change);
                }
                let gap = gap(&row_of(&factors, Side::User, row, terms.bias), &x);
                assert!(gap < 1e-4, "block {block}, row {row}, {terms:?}: off by {gap}");
            }
        }
    }
}

#[test]
fn the_objective_matches_the_textbook_and_never_rises() {
    let lengths: Vec<usize> = (0..90).map(|j| j * j % 61).collect();
    for terms in [EXPLICIT, IMPLICIT, RowTerms { bias: false, nonnegative: true, ..EXPLICIT }] {
        for block in [1, 3, 8, 20] {
            if terms.nonnegative && block < 20 {
                continue;
            }
            let terms = RowTerms { block, ..terms };
            let problem = problem(&lengths, 47, 20, terms, true);
            let mut passes = CpuRows::new(Cpu::new(), copy(&problem)).unwrap();
            let mut last = f64::INFINITY;
            let mut first = 0.0;
            for sweep in 0..12 {
                for side in [Side::User, Side::Item] {
                    passes.solve(side, ALL, &mut go).unwrap();
                    let got = passes.objective([ALL, ALL]).unwrap().join();
                    let want = textbook(&problem, &passes.factors().unwrap());
                    for (got, want) in [
                        (got.error, want.error),
                        (got.unobserved, want.unobserved),
                        (got.regularization, want.regularization),
                    ] {
                        assert!((got - want).abs() <= 1e-5 * want, "{got} is not {want}");
                    }
                    let total = got.total();
                    assert!(total <= last * (1.0 + 1e-6), "{terms:?}: {last} rose to {total}");
                    last = total;
                    if sweep == 0 {
                        first = total;
                    }
                }
            }
            assert!(last < 0.95 * first, "{terms:?}: {first} fell only to {last}");
        }
    }
}

/// The objective in f64, pair after pair.
fn textbook(problem: &RowProblem, factors: &Factors) -> ObjectiveSums {
    let terms = &problem.terms;
    let mut objective = ObjectiveSums::default();
    let users = &problem.ratings.users;
    for user in 0..factors.users() {
        for at in users.positions(user) {
            let weight = users.weights.get(at).map_or(1.0, |&w| f64::from(w));
            let e = f64::from(users.values[at]) - factors.score(user as u32, users.partners[at]);
            objective.error += weight * e * e;
        }
        for item in 0..factors.items() {
            if terms.unobserved_weight != 0.0 {
                let score = factors.score(user as u32, item as u32);
                objective.unobserved += f64::from(terms.unobserved_weight) * score * score;
            }
        }
    }
    let sides = [
        (Side::User, factors.users(), factors.items()),
        (Side::Item, factors.items(), factors.users()),
    ];
    for (side, rows, partners) in sides {
        for row in 0..rows {
            let n = problem.ratings.side(side).positions(row).len();
            let (reg, reg_bias) = terms.regularization(n, partners);
            let x = row_of(factors, side, row, true);
            let (bias, x) = x.split_last().unwrap();
            let square: f64 = x.iter().map(|x| x * x).sum();
            objective.regularization += f64::from(reg) * square + f64::from(reg_bias) * bias * bias;
        }
    }
    objective
}

#[test]
fn nonnegative_rows_meet_the_conditions_of_the_least() {
    let lengths = [0, 1, 5, 40, 300];
    let terms = RowTerms { bias: false, nonnegative: true, ..EXPLICIT };
    for k in [1, 7, 16, 33] {
        for terms in [terms, RowTerms { unobserved_weight: 0.1, ..terms }] {
            let problem = problem(&lengths, 97, k, terms, true);
            let mut passes = CpuRows::new(Cpu::new(), copy(&problem)).unwrap();
            for _ in 0..40 {
                passes.solve(Side::User, ALL, &mut go).unwrap();
            }
            let factors = passes.factors().unwrap();
            let mut at_zero = 0;
            for row in 1..lengths.len() {
                let (a, right) = equations(&problem, Side::User, &problem.start, row);
                let x = row_of(&factors, Side::User, row, false);
                let scale = right.iter().fold(0.0_f64, |m, r| m.max(r.abs()));
                for j in 0..k {
                    let gradient = a[j].iter().zip(&x).map(|(a, x)| a * x).sum::<f64>() - right[j];
                    let what = format!("k {k}, row {row}, {j}: {} falls by {gradient}", x[j]);
                    assert!(x[j] >= 0.0 && gradient > -1e-3 * scale, "{what}");
                    assert!(x[j] == 0.0 || gradient.abs() < 1e-3 * scale, "{what}");
                    at_zero += usize::from(x[j] == 0.0);
                }
            }
            assert!(k == 1 || at_zero > 0, "the bound never held");
        }
    }
}

#[test]
fn hot_rows_and_threads_change_no_bit() {
    let k = 20;
    for terms in [EXPLICIT, IMPLICIT, RowTerms { block: 8, ..EXPLICIT }] {
        let lengths = [50_000, 3, 20_000, 0, 700, 16_384, 16_385, 90];
        let problem = problem(&lengths, 1200, k, terms, true);
        let mut results = Vec::new();
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            results.push(pool.install(|| {
                let mut passes = CpuRows::new(Cpu::new(), copy(&problem)).unwrap();
                for side in [Side::User, Side::Item, Side::User] {
                    passes.solve(side, ALL, &mut go).unwrap();
                }
                (passes.factors().unwrap(), passes.objective([ALL, ALL]).unwrap().join())
            }));
        }
        for result in &results {
            assert!(result == &results[0], "{terms:?}");
        }
        let mut passes = CpuRows::new(Cpu::new(), copy(&problem)).unwrap();
        passes.solve(Side::User, ALL, &mut go).unwrap();
        if terms.block < k {
            continue;
        }
        let factors = passes.factors().unwrap();
        for row in [0, 2, 6] {
            let (a, right) = equations(&problem, Side::User, &problem.start, row);
            let gap = gap(&row_of(&factors, Side::User, row, terms.bias), &solve(a, right));
            assert!(gap < 1e-4, "row {row}: off by {gap}");
        }
    }
}

#[test]
fn singular_rows_are_not_finite() {
    for (k, bias) in [(1, false), (5, false), (5, true), (40, false), (130, true)] {
        let terms =
            RowTerms { bias, reg: 0.0, reg_bias: 0.0, damping: 0.0, damping_bias: 0.0, ..EXPLICIT };
        // Half as many ratings as there are unknowns, and twice as many.
        let unknowns = k + usize::from(bias);
        let mut problem = problem(&[unknowns / 2, 2 * unknowns], 611, k, terms, false);
        if k == 1 {
            problem.start[Side::Item].factors.fill(0.0);
        }
        let mut passes = CpuRows::new(Cpu::new(), problem).unwrap();
        passes.solve(Side::User, ALL, &mut go).unwrap();
        let factors = passes.factors().unwrap();
        if unknowns > 1 {
            assert!(factors.user(0).iter().any(|x| !x.is_finite()), "k {k}: {:?}", factors.user(0));
        }
        assert_eq!(factors.user(1).iter().all(|x| x.is_finite()), k > 1, "k {k}");
    }
}

#[test]
fn a_watcher_stops_a_sweep_and_held_out_errors_are_summed() {
    let lengths = [40_000, 20, 30];
    let mut problem = problem(&lengths, 300, 6, EXPLICIT, false);
    problem.test = Ratings {
        users: vec![0, UNKNOWN, 2, UNKNOWN],
        items: vec![3, 4, UNKNOWN, UNKNOWN],
        values: vec![1.0, 2.0, 3.0, 4.0],
        timestamps: vec![],
        weights: vec![],
    };
    let cpu = Cpu::new();
    let mut passes = cpu.row_passes(copy(&problem)).unwrap();
    assert!(passes.kept().is_err());
    passes.keep().unwrap();
    let mut seen = Vec::new();
    let done = passes.solve(Side::User, ALL, &mut |done| {
        seen.push(done);
        ControlFlow::Break(())
    });
    assert_eq!((done.unwrap(), seen), (40_000, vec![40_000]));
    let factors = passes.factors().unwrap();
    assert_ne!(factors.user(0), problem.start.user(0));
    assert_eq!(factors.user(1), problem.start.user(1));
    assert_eq!(passes.kept().unwrap(), problem.start);
    let test = &problem.test;
    let want: f64 = test.iter().map(|(u, i, v)| (f64::from(v) - factors.score(u, i)).powi(2)).sum();
    let got = passes.test_loss().unwrap();
    assert!((got - want).abs() < 1e-5 * want, "{got} is not {want}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_width_of_vectors_changes_no_bit() {
    // A processor without AVX2 has no two widths to compare.
    let Some(narrow) = pulp::x86::V3::try_new() else { return };
    for (k, block) in [(7, 7), (33, 33), (130, 130), (64, 32), (33, 5)] {
        for (terms, weighted) in [(EXPLICIT, true), (IMPLICIT, false)] {
            let terms = RowTerms { block, ..terms };
            let problem = problem(&[1, k, 400, 17_000], 211, k, terms, weighted);
            let run = |arch: pulp::Arch| {
                let mut passes = CpuRows::new(Cpu { arch }, copy(&problem)).unwrap();
                passes.solve(Side::User, ALL, &mut go).unwrap();
                passes.solve(Side::Item, ALL, &mut go).unwrap();
                (passes.factors().unwrap(), passes.objective([ALL, ALL]).unwrap().join())
            };
            let (widest, narrow) = (run(pulp::Arch::new()), run(pulp::Arch::V3(narrow)));
            assert!(widest == narrow, "k {k}, {terms:?}");
        }
    }
}
