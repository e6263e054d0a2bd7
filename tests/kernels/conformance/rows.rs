//! The row solvers' passes against the oracle.

use super::{Compare, held};
use crate::{common, oracle};
use wgmf::backend::{ALL, Backend, RowPasses, join_blocks};
use wgmf::core::{Factors, Side};

use common::{gap, largest_gap};
use oracle::case::Draw;
use oracle::row_case::{RowCase, TOLERANCE, compare};
use oracle::{Model, rows::Rowwise};
use std::ops::ControlFlow;

impl Compare for RowCase {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn opens(&self, backend: &dyn Backend) -> Result<(), String> {
        backend.row_passes(self.problem()).map(drop).map_err(|error| error.to_string())
    }

    fn compare(&self, backend: &dyn Backend) -> Result<f64, String> {
        compare(backend, self)
    }
}

held! {
    gram_matches_the_oracle_at_ragged_widths: widths();
    gram_matches_the_oracle_at_rows_of_all_lengths: lengths();
    gram_matches_the_oracle_at_hot_rows: hot_rows();
    gram_matches_the_oracle_at_many_rows: many_rows();
    gram_matches_the_oracle_at_implicit_ratings: implicit();
    gram_matches_the_oracle_at_confidences: confidences();
    cholesky_matches_the_oracle_at_large_widths: large_widths();
    cholesky_matches_the_oracle_at_every_reg_exponent: reg_exponents();
    cholesky_matches_the_oracle_at_weak_rows: weak_rows();
    blocks_match_the_oracle_at_every_block: blocks();
    nonnegative_rows_match_the_oracle_at_every_width: nonnegative();
    error_matches_the_oracle_at_odd_test_sets: test_sets();
    every_kernel_matches_the_oracle_at_random_problems: random_problems();
}

/// Numbers of factors at, below and above a vec4, a tile, a workgroup.
fn widths() -> Vec<RowCase> {
    let widths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65];
    let case = |(j, k): (usize, usize)| {
        let (users, items) = if j % 2 == 0 { (31, 17) } else { (13, 29) };
        let case = RowCase::new(k, users, items, 257);
        let explicit = match j % 3 {
            0 => case.clone(),
            1 => case.clone().no_bias(),
            _ => case.clone().no_mean(),
        };
        let implicit = case.implicit(0.25);
        [explicit, if j % 2 == 0 { implicit.weighted() } else { implicit }]
    };
    widths.into_iter().enumerate().flat_map(case).collect()
}

/// The same beyond a tile, up to the largest; few rows, for the oracle takes its time.
fn large_widths() -> Vec<RowCase> {
    let widths = [75, 76, 77, 79, 80, 100, 128, 129, 257];
    let mut cases = Vec::new();
    for (j, k) in widths.into_iter().enumerate() {
        let case = RowCase::new(k, 9, 7, 150).sweeps(1);
        cases.push(match j % 3 {
            0 => case,
            1 => case.turned().implicit(0.25),
            _ => case.no_bias(),
        });
    }
    cases.push(RowCase::new(512, 4, 3, 300).sweeps(1));
    cases.push(RowCase::new(511, 2, 3, 60).implicit(0.25).weighted().sweeps(1));
    cases
}

/// Rows of one rating, of about as many as factors, of none; one user, one item; few of one side
/// among many of the other.
fn lengths() -> Vec<RowCase> {
    let mut cases = vec![
        RowCase::new(1, 1, 1, 1).named("one rating"),
        RowCase::new(33, 1, 1, 1).named("one rating"),
        RowCase::new(5, 1, 1, 7).named("one user and item, rated again and again"),
        RowCase::new(16, 1, 300, 500).named("one user"),
        RowCase::new(17, 300, 1, 500).named("one item").no_bias(),
        RowCase::new(20, 1, 90, 200).named("one user").implicit(0.5),
        RowCase::new(8, 400, 300, 53).named("rows without ratings"),
        RowCase::new(8, 300, 400, 53).named("rows without ratings").implicit(0.001),
        RowCase::new(12, 5, 900, 1500).named("few users"),
        RowCase::new(12, 900, 5, 1500).named("few items").implicit(0.02),
    ];
    // User n has n ratings: none, one, and so on past the factors and a tile.
    for k in [3, 16, 40] {
        let pairs = (0..70_u32).flat_map(|u| (0..u).map(move |n| (u, (n * 7 + u) % 50))).collect();
        let case = RowCase::of_pairs(k, 70, 50, pairs).named("every length");
        cases.extend([case.clone(), case.turned().implicit(0.1).weighted()]);
    }
    cases
}

/// Rows around the length of a segment, and thousands of ratings.
fn hot_rows() -> Vec<RowCase> {
    let mut cases = Vec::new();
    let hot = [127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 2049, 5000];
    for (j, hot) in hot.into_iter().enumerate() {
        let k = [5, 24, 33, 64][j % 4];
        let case = RowCase::hot(k, 19, 60, hot).sweeps(1);
        cases.push(match j % 3 {
            0 => case.clone(),
            1 => case.clone().turned(),
            _ => case.clone().no_bias(),
        });
        let case = if j % 2 == 0 { case.turned() } else { case };
        cases.push(case.implicit(0.2).weighted());
    }
    cases.push(RowCase::hot(70, 6, 40, 3001).sweeps(1).block(16));
    cases.push(RowCase::hot(130, 3, 20, 2500).sweeps(1));
    cases
}

/// More rows than a dispatch has workgroups, on one side and the other.
fn many_rows() -> Vec<RowCase> {
    let long = 70_001_u32;
    let pairs: Vec<_> = (0..long).map(|n| (n, n * 7 % 50)).collect();
    let case = RowCase::of_pairs(2, long as usize, 50, pairs).named("many users").sweeps(1);
    vec![
        case.clone(),
        case.clone().turned().no_bias(),
        case.clone().turned().implicit(0.001),
        case.block(1),
    ]
}

/// The unobserved part light and heavy, with weights and without, and values other than 1.
fn implicit() -> Vec<RowCase> {
    let mut cases = Vec::new();
    for (j, unobserved) in [0.001, 0.01, 0.1, 0.5, 1.0, 3.0].into_iter().enumerate() {
        let k = [6, 20, 37][j % 3];
        let case = RowCase::new(k, 60, 41, 600).implicit(unobserved);
        cases.push(case.clone());
        cases.push(case.clone().weighted());
        cases.push(case.clone().block(4).turned());
        cases.push(case.clone().weighted().block(1 + k / 2));
        cases.push(case.reg_exponent([0.0, 0.5][j % 2]));
    }
    // Many rows make many parts of the Gram matrix.
    cases.push(RowCase::new(9, 5000, 20, 3000).implicit(0.05).sweeps(1));
    cases.push(RowCase::new(66, 10, 3001, 2000).implicit(0.05).weighted().sweeps(1));
    cases.push(RowCase::new(130, 7, 700, 300).implicit(0.1).sweeps(1).block(32));
    cases
}

/// Hu's objective: whole rows, refined ones, blocks, hot rows, nonnegative ones.
fn confidences() -> Vec<RowCase> {
    let mut cases = Vec::new();
    for (j, k) in [1, 4, 7, 13, 33, 65].into_iter().enumerate() {
        let case = RowCase::new(k, 43, 31, 500).confident([1.0, 40.0][j % 2]).sweeps(1);
        cases.push(if j % 3 == 0 { case.clone().turned() } else { case.clone() });
        cases.push(match j % 3 {
            0 => case.reg_exponent(0.0),
            1 => case.weak(),
            _ => case.block(1 + k / 3),
        });
    }
    for alpha in [1.0, 40.0] {
        let hot = RowCase::hot(20, 9, 2600, 2500).confident(alpha).sweeps(1);
        cases.extend([hot.clone(), hot.clone().turned().weak(), hot.block(8)]);
        cases.push(RowCase::new(12, 40, 30, 500).confident(alpha).nonnegative().sweeps(1));
    }
    cases.push(RowCase::new(70, 19, 23, 300).confident(1.0).sweeps(1).block(64));
    cases.push(RowCase::new(8, 60, 80, 90).named("rows without ratings").confident(40.0));
    cases
}

/// Regularization by number of ratings, with hot rows and rows of one rating; and next to none where
/// there are ratings enough.
fn reg_exponents() -> Vec<RowCase> {
    let pairs = (0..600).map(|n| (n % 20, n / 20)).collect();
    let mut without = RowCase::of_pairs(4, 20, 30, pairs).named("hardly any regularization");
    (without.terms.reg, without.terms.reg_bias) = (1e-5, 1e-5);
    let mut cases = vec![without.sweeps(1)];
    for exponent in [0.0, 0.25, 0.5, 1.0, 1.5] {
        let skewed = (0..600_u32).map(|n| (n * n % 70, n % 7 * (n % 5))).collect();
        let case = RowCase::of_pairs(11, 70, 25, skewed).reg_exponent(exponent);
        cases.push(case.clone());
        cases.push(case.clone().no_bias());
        cases.push(case.clone().block(3).damped(0.5, 2.0));
        cases.push(case.clone().implicit(0.3));
        cases.push(case.clone().damped(1.0, 4.0));
        cases.push(case.nonnegative().damped(0.7, 0.0));
    }
    cases
}

/// Rows that are refined: all, or some.
fn weak_rows() -> Vec<RowCase> {
    let mut cases = Vec::new();
    for (j, k) in [1, 2, 5, 8, 15, 16, 31, 33, 48, 65].into_iter().enumerate() {
        let case = RowCase::new(k, 37, 29, 900).weak();
        // Explicit and implicit ones come in two ways, which take turns.
        cases.push(if j % 2 == 0 { case.clone() } else { case.clone().no_bias() });
        cases.push(match j / 2 % 2 {
            0 => case.implicit(0.01),
            _ => case.turned().implicit(0.03).weighted(),
        });
    }
    for k in [76, 130] {
        let case = RowCase::new(k, 11, 9, 400).weak().sweeps(1);
        cases.extend([case.clone(), case.implicit(0.02)]);
    }
    cases.push(RowCase::hot(12, 9, 60, 2500).weak());
    cases.push(RowCase::hot(70, 5, 90, 2500).weak().implicit(0.01).weighted().sweeps(1));
    // Hot rows are refined and others are not, or the other way round.
    for exponent in [0.0, 0.5, 1.25] {
        let skewed = (0..1500_u32).map(|n| (n * n % 70, n % 7 * (n % 5))).collect();
        let mut case = RowCase::of_pairs(11, 70, 25, skewed).reg_exponent(exponent);
        case.terms.reg *= 0.5;
        cases.extend([case.clone(), case.implicit(0.02)]);
    }
    cases
}

/// Blocks of 1, of an odd number, of all, and blocks that do not divide the factors.
fn blocks() -> Vec<RowCase> {
    let mut cases = Vec::new();
    // A GPU compiles its kernels anew for each pair.
    for (k, blocks) in [
        (1, &[1][..]),
        (2, &[1, 2]),
        (7, &[1, 3, 6, 7]),
        (8, &[3, 7, 8]),
        (16, &[1, 8, 15]),
        (33, &[3, 16, 32, 33]),
        (64, &[16, 63]),
    ] {
        for &block in blocks {
            let case = RowCase::new(k, 37, 23, 400).block(block).sweeps(1);
            cases.push(case.clone());
            cases.push(match block % 3 {
                0 => case.no_bias(),
                1 => case.implicit(0.2),
                _ => case.turned().implicit(0.1).weighted(),
            });
        }
    }
    let wide = [(100, 8), (128, 1), (128, 64), (130, 128), (200, 33), (257, 100)];
    for (j, (k, block)) in wide.into_iter().enumerate() {
        let case = RowCase::new(k, 11, 9, 200).block(block).sweeps(1);
        cases.push(if j % 2 == 0 { case } else { case.implicit(0.3) });
    }
    cases.push(RowCase::new(8, 300, 400, 53).named("rows without ratings").block(3));
    cases
}

/// Nonnegative factors, explicit and implicit.
fn nonnegative() -> Vec<RowCase> {
    let mut cases = Vec::new();
    for (j, k) in [1, 2, 3, 5, 8, 16, 17, 33, 64, 65].into_iter().enumerate() {
        let case = RowCase::new(k, 29, 31, 400).nonnegative();
        cases.push(case.clone());
        let case = case.implicit(0.2);
        cases.push(if j % 2 == 0 { case } else { case.turned().weighted() });
    }
    cases.push(RowCase::new(8, 300, 400, 53).named("rows without ratings").nonnegative());
    cases.push(RowCase::hot(20, 7, 50, 2500).nonnegative());
    cases.push(RowCase::new(130, 9, 8, 100).nonnegative().sweeps(1));
    cases
}

/// Held-out sets around a workgroup, of unknown rows, of one rating, of none.
fn test_sets() -> Vec<RowCase> {
    let mut cases = Vec::new();
    for (j, n) in [0, 1, 7, 63, 64, 65, 127, 128, 4099].into_iter().enumerate() {
        let k = [1, 4, 9, 30, 129][j % 5];
        let case = RowCase::new(k, 17, 13, 211).sweeps(1);
        cases.push(case.clone().test_ratings(n));
        cases.push(case.implicit(0.1).test_ratings(n));
    }
    cases
}

/// Problems drawn at random. WGMF_SEED draws others.
fn random_problems() -> Vec<RowCase> {
    let seed = std::env::var("WGMF_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut draw = Draw::new(seed ^ 0x4085);
    let mut case = |_| {
        let large = |draw: &mut Draw, most: usize| 1 + (most as f64 * draw.unit().powi(3)) as usize;
        let factors = large(&mut draw, 100);
        let rows = if factors > 64 { 40 } else { 300 };
        // Very many factors of one partner, rated a thousand times, are equations of rank one: f32
        // knows their solution less well than all others.
        let few = factors / 10;
        let (users, items) = (few + large(&mut draw, rows), few + large(&mut draw, rows));
        let ratings = 1 + large(&mut draw, 3000);
        // The larger the power, the hotter the first rows.
        let skew = 1 + draw.below(4) as i32;
        let mut row = |n: usize| (n as f64 * draw.unit().powi(skew)) as u32;
        let pairs = (0..ratings).map(|_| (row(users), row(items))).collect();
        let mut case = RowCase::of_pairs(factors, users, items, pairs).sweeps(1);
        let nonnegative = draw.below(6) == 0;
        if draw.below(3) == 0 {
            case = case.reg_exponent(0.5 + draw.below(4) as f32 / 4.0);
        }
        case = match draw.below(4) {
            0 => case.no_bias(),
            1 | 2 => case.implicit([0.01, 0.1, 1.0][draw.below(3) as usize]),
            _ => case,
        };
        if case.terms.unobserved_weight > 0.0 && draw.below(2) == 0 {
            case = case.weighted();
        }
        match nonnegative {
            true => case.nonnegative(),
            false if draw.below(2) == 0 => {
                let block = 1 + draw.below(factors) as usize;
                case.block(block)
            }
            false => case,
        }
    };
    (0..30).map(&mut case).collect()
}

fn solve(passes: &mut dyn RowPasses, side: Side) {
    passes.solve(side, ALL, &mut |_| ControlFlow::Continue(())).unwrap();
}

/// Problems of every kind of solve.
fn kinds() -> Vec<RowCase> {
    let case = RowCase::new(10, 60, 45, 900);
    vec![
        case.clone(),
        case.clone().no_bias(),
        case.clone().reg_exponent(0.5),
        case.clone().block(1),
        case.clone().block(3),
        case.clone().no_bias().block(8),
        case.clone().nonnegative(),
        case.clone().implicit(0.1),
        case.clone().implicit(0.01).weighted(),
        case.clone().implicit(0.3).block(4),
        case.clone().confident(1.0),
        case.clone().confident(40.0).block(3),
        case.implicit(0.2).nonnegative(),
        RowCase::hot(24, 30, 50, 1500),
        RowCase::hot(24, 30, 50, 1500).turned().implicit(0.05).weighted(),
    ]
}

/// Every half of a sweep lowers the objective, or leaves it where it is but for rounding.
pub fn the_objective_never_rises(backend: &dyn Backend) {
    for case in kinds() {
        let mut passes = backend.row_passes(case.problem()).unwrap();
        let first = passes.objective([ALL, ALL]).unwrap().join().total();
        let mut last = first;
        for sweep in 0..15 {
            for side in [Side::User, Side::Item] {
                solve(&mut *passes, side);
                let now = passes.objective([ALL, ALL]).unwrap().join().total();
                // NaN is a rise.
                assert!(now <= last * (1.0 + 1e-6), "{}, {sweep}: {last} to {now}", case.name);
                last = now;
            }
        }
        assert!(last < 0.8 * first, "{}: only from {first} to {last}", case.name);
    }
}

/// Solved again and again, nonnegative rows end at the least of their objective: costs and slopes
/// (Karush, Kuhn and Tucker) say so.
pub fn nonnegative_rows_come_to_rest(backend: &dyn Backend) {
    for k in [1, 3, 8, 17, 40] {
        let case = RowCase::new(k, 29, 31, 400).nonnegative();
        let implicit = case.clone().implicit(0.2).weighted();
        for case in [case, implicit] {
            let mut passes = backend.row_passes(case.problem()).unwrap();
            let mut far = |turns: usize| {
                (0..turns).for_each(|_| solve(&mut *passes, Side::User));
                let factors = passes.factors().unwrap();
                // Some are at the bound, some are not.
                let zeros = factors[Side::User].factors.iter().filter(|&&x| x == 0.0).count();
                assert!(k < 8 || zeros > 0 && zeros < 29 * k, "{}: {zeros} zeros", case.name);
                case.oracle().distance(&Model::from(&factors), Side::User)
            };
            let first = far(1);
            assert!(first.excess < 0.02, "{}: after one solve {first:?}", case.name);
            let last = far(40);
            assert!(last.excess.abs() < 1e-5 && last.slope < 1e-3, "{}: {last:?}", case.name);
        }
    }
}

/// `--block k` and a block of one less: the same at the first, another path at the second.
pub fn a_block_of_all_is_exact(backend: &dyn Backend) {
    for case in [RowCase::new(9, 40, 30, 500), RowCase::new(9, 40, 30, 500).implicit(0.1)] {
        let mut want = Model::from(&case.start());
        // By definition: all coordinates and the bias in one set of equations.
        let exact = Rowwise::new(&case.ratings, &case.weights, &case.terms);
        let mut passes = backend.row_passes(case.clone().block(9).problem()).unwrap();
        let mut other = backend.row_passes(case.clone().block(8).problem()).unwrap();
        for side in [Side::User, Side::Item] {
            exact.solve(&mut want, side);
            solve(&mut *passes, side);
            solve(&mut *other, side);
        }
        let want = want.items.factors.concat();
        let gap = largest_gap(&passes.factors().unwrap()[Side::Item].factors, &want);
        assert!(gap < TOLERANCE, "{}: off by {gap:.1e}", case.name);
        let gap = largest_gap(&other.factors().unwrap()[Side::Item].factors, &want);
        assert!(gap > 100.0 * TOLERANCE, "{}: blocks of 8 end within {gap:.1e}", case.name);
    }
}

/// Several sweeps in a row from one start, without a look at the parameters between.
pub fn many_sweeps_match_the_oracle(backend: &dyn Backend) {
    for case in kinds() {
        let mut oracle = Model::from(&case.start());
        let exact = case.oracle();
        let mut passes = backend.row_passes(case.problem()).unwrap();
        for _ in 0..3 {
            for side in [Side::User, Side::Item] {
                exact.solve(&mut oracle, side);
                solve(&mut *passes, side);
            }
        }
        let (got, want) = (passes.objective([ALL, ALL]).unwrap().join(), exact.objective(&oracle));
        let far = gap(got.total(), want.total(), 1.0);
        assert!(far < TOLERANCE, "{}: objective off by {far:.1e}", case.name);
        if case.terms.nonnegative {
            continue;
        }
        let got = passes.factors().unwrap();
        for (array, got, want) in [
            ("user factors", &got[Side::User].factors, oracle.users.factors.concat()),
            ("item factors", &got[Side::Item].factors, oracle.items.factors.concat()),
        ] {
            let far = largest_gap(got, &want);
            assert!(far < 10.0 * TOLERANCE, "{}: {array} off by {far:.1e}", case.name);
        }
    }
}

/// Ranges of rows that two passes solve, handed to one another, have the bits of one that does all.
pub fn ranges_of_rows_are_solved_as_all_rows_are(backend: &dyn Backend) {
    shared_out(backend, shared_cases());
}

/// Kinds of solves, rows that are refined, rows without ratings, several blocks.
fn shared_cases() -> Vec<RowCase> {
    let mut cases = kinds();
    cases.push(RowCase::new(9, 40, 30, 400).weak());
    cases.push(RowCase::new(6, 300, 200, 90));
    cases.push(RowCase::new(5, 9000, 700, 12_000).implicit(0.1));
    cases
}

/// A side that two passes solve in ranges, handing each other their rows, and sums that are joined of
/// what each gives have the bits of one that does all.
pub fn shared_out(backend: &dyn Backend, cases: Vec<RowCase>) {
    for case in cases {
        let mut one = backend.row_passes(case.problem()).unwrap();
        let mut two = [0, 1].map(|_| backend.row_passes(case.problem()).unwrap());
        let counts = [case.users, case.items];
        for side in [Side::User, Side::Item, Side::User, Side::Item] {
            let (n, partners) = (counts[side.index()], counts[side.partner().index()]);
            let cuts = [0..n / 3, n / 3..n - n / 5, n - n / 5..usize::MAX];
            solve(&mut *one, side);
            let [first, second] = &mut two;
            let mut blocks = first.gram(side.partner(), 0..partners / 2).unwrap();
            blocks.extend(second.gram(side.partner(), partners / 2..usize::MAX).unwrap());
            assert_eq!(blocks.is_empty(), case.terms.unobserved_weight == 0.0);
            let gram = join_blocks(blocks);
            if !gram.is_empty() {
                two.iter_mut().for_each(|of| of.set_gram(side.partner(), &gram).unwrap());
                assert!(two[0].set_gram(side, &gram[1..]).is_err());
            }
            let before = two[1].rows(side, cuts[0].clone()).unwrap();
            let mut done = 0;
            for (j, rows) in cuts.iter().enumerate() {
                let part = two[j % 2].solve(side, rows.clone(), &mut |_| ControlFlow::Continue(()));
                done += part.unwrap();
            }
            assert_eq!(done, case.ratings.len(), "{}", case.name);
            assert_eq!(two[1].rows(side, cuts[0].clone()).unwrap(), before, "{}", case.name);
            for (j, rows) in cuts.iter().enumerate() {
                let values = two[j % 2].rows(side, rows.clone()).unwrap();
                two[1 - j % 2].put_rows(side, rows.clone(), &values).unwrap();
                assert!(two[0].put_rows(side, 0..values.rows() + 1, &values).is_err());
            }
            let want = one.factors().unwrap();
            two.iter_mut().for_each(|of| assert!(of.factors().unwrap() == want, "{}", case.name));
            let [first, second] = &mut two;
            let mut objective = first.objective([0..n / 2, 0..partners / 3]).unwrap();
            let rest = [n / 2..usize::MAX, partners / 3..usize::MAX];
            objective.append(second.objective(rest).unwrap());
            let whole = one.objective([ALL, ALL]).unwrap();
            assert_eq!(objective, whole, "{}", case.name);
            assert_eq!(objective.join(), whole.join());
            assert!(whole.join().total() > 0.0);
        }
    }
}

/// A solve that is broken off has solved some rows whole, others not at all.
pub fn a_broken_solve_leaves_each_row_old_or_new(backend: &dyn Backend) {
    // On the CPU the watcher is asked after the hot rows. A GPU is asked after seconds of work: here
    // at the end.
    let case = RowCase::hot(20, 300, 200, 40_000);
    let (all, start) = (case.ratings.len(), case.start());
    let mut whole = backend.row_passes(case.problem()).unwrap();
    let (mut calls, mut last) = (0, 0);
    let done = whole.solve(Side::User, ALL, &mut |ratings| {
        assert!(ratings >= last && ratings <= all, "{last} to {ratings}");
        (calls, last) = (calls + 1, ratings);
        ControlFlow::Continue(())
    });
    assert_eq!(done.unwrap(), all);
    let cut = backend.device().backend == "cpu";
    assert!(calls > usize::from(cut), "watched {calls} times");
    let solved = whole.factors().unwrap();
    let mut passes = backend.row_passes(case.problem()).unwrap();
    let done = passes.solve(Side::User, ALL, &mut |_| ControlFlow::Break(())).unwrap();
    assert!(!cut || done < all, "{done} ratings done");
    let got = passes.factors().unwrap();
    assert_eq!(got[Side::Item].factors, start[Side::Item].factors);
    let (mut old, mut new) = (0, 0);
    for row in 0..300 {
        let same = |other: &Factors| {
            let at = row as usize;
            got.user(row) == other.user(row)
                && got[Side::User].bias[at] == other[Side::User].bias[at]
        };
        match (same(&start), same(&solved)) {
            (true, false) => old += 1,
            (false, true) => new += 1,
            both => panic!("user {row} is neither old nor new: {both:?}"),
        }
    }
    assert!((old > 0) == (done < all) && new > 0, "{old} old and {new} new rows");
    // It goes on from there.
    solve(&mut *passes, Side::User);
    assert_eq!(passes.factors().unwrap(), solved);
}

pub fn what_is_kept_comes_back(backend: &dyn Backend) {
    let case = RowCase::new(7, 30, 20, 300);
    let mut passes = backend.row_passes(case.problem()).unwrap();
    assert!(passes.kept().is_err(), "nothing was kept");
    solve(&mut *passes, Side::User);
    passes.keep().unwrap();
    let kept = passes.factors().unwrap();
    solve(&mut *passes, Side::Item);
    assert_eq!(passes.kept().unwrap(), kept);
    let last = passes.factors().unwrap();
    assert_ne!(last, kept);
    passes.keep().unwrap();
    assert_eq!(passes.kept().unwrap(), last);
}

fn is_finite(factors: &Factors, side: Side) -> Vec<bool> {
    let rows = match side {
        Side::User => &factors[Side::User].factors,
        Side::Item => &factors[Side::Item].factors,
    };
    rows.chunks(factors.factors).map(|row| row.iter().all(|x| x.is_finite())).collect()
}

/// Without regularization a row has no solution where its partners are zeros, or fewer than factors.
pub fn cholesky_makes_a_singular_row_non_finite(backend: &dyn Backend) {
    for (case, what) in [
        (RowCase::new(5, 40, 30, 400).no_bias(), "explicit"),
        (RowCase::new(5, 40, 30, 400).no_bias().block(2), "blocks"),
        (RowCase::new(5, 40, 30, 400).implicit(0.1), "implicit"),
    ] {
        let mut problem = case.problem();
        problem.terms.reg = 0.0;
        let zero = 3;
        if what == "implicit" {
            // The Gram matrix loses a dimension.
            problem.start[Side::Item].factors.chunks_mut(5).for_each(|row| row[4] = 0.0);
        } else {
            let partner = case.ratings.items[0] as usize;
            problem.start[Side::Item].factors[partner * 5..][..5].fill(0.0);
            // A user who rated that item alone.
            let ratings = &mut problem.ratings.users;
            let at = ratings.positions(zero);
            ratings.partners[at].fill(partner as u32);
        }
        let mut passes = backend.row_passes(problem).unwrap();
        solve(&mut *passes, Side::User);
        let finite = is_finite(&passes.factors().unwrap(), Side::User);
        assert!(!finite[zero], "{what}: a row without a solution is finite");
        assert!(
            !passes.objective([ALL, ALL]).unwrap().join().total().is_finite(),
            "{what}: the objective"
        );
        if what != "implicit" {
            assert!(finite.iter().filter(|&&f| !f).count() <= 3, "{what}: {finite:?}");
        }
    }
    // Fewer ratings than factors, wherever the matrix lies.
    for k in [20, 100] {
        let case = RowCase::of_pairs(k, 10, 30, (0..30).map(|n| (n % 10, n)).collect()).no_bias();
        let mut problem = case.problem();
        problem.terms.reg = 0.0;
        let mut passes = backend.row_passes(problem).unwrap();
        solve(&mut *passes, Side::User);
        let finite = is_finite(&passes.factors().unwrap(), Side::User);
        assert!(finite.iter().all(|&finite| !finite), "{k} factors: {finite:?}");
    }
}

/// One number that is not finite, somewhere among many, shows in the objective and in its row.
pub fn a_single_overflow_is_reported(backend: &dyn Backend) {
    let case = RowCase::new(3, 9_000, 8_500, 20_000).test_ratings(30_000);
    let row = case.ratings.users[12_345] as usize;
    for (what, value) in [("infinity", f32::INFINITY), ("NaN", f32::NAN)] {
        let mut problem = case.problem();
        problem.start[Side::User].factors[row * 3 + 1] = value;
        let mut passes = backend.row_passes(problem).unwrap();
        let objective = passes.objective([ALL, ALL]).unwrap().join();
        assert!(!objective.error.is_finite(), "{what}: error {}", objective.error);
        let regularization = objective.regularization;
        assert!(!regularization.is_finite(), "{what}: regularization {regularization}");
        solve(&mut *passes, Side::Item);
        let finite = is_finite(&passes.factors().unwrap(), Side::Item);
        let item = case.ratings.items[12_345] as usize;
        assert!(!finite[item], "{what}: item {item} has a user of it");
        assert!(finite.iter().filter(|&&f| f).count() > 8_400, "{what}: it spreads");
    }
    let row = case.test.users[23_456] as usize;
    let mut problem = case.problem();
    problem.start[Side::User].factors[row * 3] = f32::NAN;
    let loss = backend.row_passes(problem).unwrap().test_loss().unwrap();
    assert!(!loss.is_finite(), "held-out error {loss}");
}
