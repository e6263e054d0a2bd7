//! Rows of the Gibbs sampler against the conditional distribution they are drawn from: each draw
//! exactly, given its random numbers, and many draws by their moments.

use crate::oracle;
use wgmf::backend::{ALL, Backend, GibbsProblem};
use wgmf::core::{Factors, Ratings, RowRatings, Side};
use wgmf::cpu::Cpu;

use oracle::gibbs::{Slip, Textbook, inverse};
use oracle::gibbs_case::{GibbsCase, compare, on};
use oracle::gibbs_faults::{Fault, Faulty};

/// Of 32-bit normal equations as well conditioned as the cases': some hundred roundings.
const BOUND: f64 = 2e-4;

fn cases() -> Vec<(&'static str, GibbsCase)> {
    let plain = |k| GibbsCase::new(k, 37, 23, 300);
    vec![
        ("one factor", plain(1)),
        ("few factors", plain(3)),
        ("a whole line", plain(16)),
        ("two lines", plain(17)),
        ("three lines", plain(40)),
        ("no bias", plain(5).no_bias()),
        ("no weights", plain(5).unweighted()),
        ("neither", plain(20).no_bias().unweighted()),
        ("ratings that count", plain(5).counting()),
        ("ratings that count and equal noise", plain(5).unweighted().counting()),
        ("ratings that count in blocks", plain(20).block(7).counting()),
        ("ratings that count in parts", long(20_000, 5).counting()),
        ("ratings of items that count in parts", long_items(20_000, 5).counting()),
        ("much noise", plain(6).precise(0.03)),
        ("little noise", plain(6).precise(40.0)),
        ("single coordinates", plain(6).block(1)),
        ("odd blocks", plain(20).block(7)),
        ("odd blocks without bias", plain(20).block(7).no_bias()),
        ("blocks of whole lines", plain(40).block(16)),
        ("blocks of a wide model", GibbsCase::new(150, 9, 7, 60).block(32)),
        ("blocks on whole equations", long(20_000, 20).block(8)),
        ("blocks of a wide long row", wide_long()),
        ("rows summed in parts", long(20_000, 5)),
        ("items summed in parts", long_items(20_000, 5)),
        ("blocks of long items", long_items(20_000, 20).block(8)),
        ("rows summed in parts without bias", long(20_000, 18).no_bias().unweighted()),
        ("levels", plain(6).levels(&[-0.9, 0.1, 0.8])),
        ("levels in tails", plain(17).levels(&[-0.9, 7.0, 7.5])),
        ("levels in blocks", plain(20).block(7).levels(&[0.0])),
        ("levels of rows summed in parts", long(20_000, 5).levels(&[-0.9, 0.1, 0.8])),
    ]
}

/// Two users with `n` ratings each.
fn long(n: u32, factors: usize) -> GibbsCase {
    GibbsCase { chains: 1, ..GibbsCase::long(n, 2, factors) }
}

/// A row with more ratings than are gathered at a time.
fn wide_long() -> GibbsCase {
    let pairs = (0..2_500).map(|j| (0, j % 59)).collect();
    let mut case = GibbsCase::of_pairs(130, 2, 60, pairs).block(120);
    case.chains = 1;
    case
}

/// Two items with `n` ratings each.
fn long_items(n: u32, factors: usize) -> GibbsCase {
    GibbsCase { chains: 1, ..GibbsCase::long_items(n, 2, factors) }
}

#[test]
fn draws_are_those_of_the_textbook() {
    for (name, case) in cases() {
        let cpu = Cpu::new();
        let mut passes = cpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut *passes, None);
        println!("{name}: {gaps:?}");
        assert!(gaps.largest() < BOUND, "{name}: {gaps:?}");
    }
}

/// By its likelihood a rating of weight `w` is `w` ratings alike: the same rows, errors and counts.
#[test]
fn a_rating_that_weighs_three_is_three_ratings() {
    let mut once = GibbsCase::new(4, 37, 23, 300);
    let mut often = once.clone();
    for at in 0..300 {
        let (user, item) = (once.ratings.users[at], once.ratings.items[at]);
        once.ratings.weights.push(if at % 3 == 0 { 3.0 } else { 1.0 });
        for _ in 0..if at % 3 == 0 { 2 } else { 0 } {
            often.ratings.users.push(user);
            often.ratings.items.push(item);
            often.ratings.values.push(once.ratings.values[at]);
        }
    }
    let of = |case: &GibbsCase| {
        let problem = case.problem();
        let weighed = problem.ratings.users.weighed();
        let mut passes = Cpu::new().gibbs_passes(problem).unwrap();
        for side in [Side::User, Side::Item] {
            let given = case.given(side);
            passes.draw(0, side, ALL, &case.conditional(&given, (0, 1), side), &mut on).unwrap();
        }
        let drawn = rows(&passes.factors(0).unwrap()).concat();
        (weighed, [drawn, passes.squared_errors(0, ALL).unwrap()])
    };
    let ((weighed, of_once), (counted, of_often)) = (of(&once), of(&often));
    assert_eq!(weighed, counted);
    for (once, often) in of_once.iter().flatten().zip(of_often.iter().flatten()) {
        assert!((once - often).abs() < 1e-4 * (1.0 + often.abs()), "{once} for {often}");
    }
}

#[test]
fn a_planted_fault_is_noticed() {
    let case = GibbsCase::new(5, 37, 23, 300);
    let cpu = Cpu::new();
    for fault in [
        Fault::NoMean,
        Fault::NoSlope,
        Fault::NoPrecision,
        Fault::BiasApart,
        Fault::EqualNoiseOfUsers,
        Fault::EqualNoiseOfItems,
        Fault::TwicePrecise,
        Fault::RowLost,
        Fault::NoPopular,
        Fault::HalfErrors,
        Fault::SameNumbers,
    ] {
        let passes = cpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut Faulty { passes, fault }, None);
        assert!(gaps.largest() > 20.0 * BOUND, "{fault:?}: {gaps:?}");
    }
    for (slip, case) in
        [(Slip::Transposed, case.clone()), (Slip::BlockAlone, case.clone().block(2))]
    {
        let mut passes = cpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut *passes, Some(slip));
        assert!(gaps.largest() > 20.0 * BOUND, "{slip:?}: {gaps:?}");
    }
}

/// `rows` users with the same three ratings each, a popularity each in three, and one item without
/// ratings.
fn alike(rows: usize, bias: bool, block: usize) -> (GibbsCase, GibbsProblem) {
    let pairs = (0..rows as u32).flat_map(|user| [(user, 0), (user, 2), (user, 3)]).collect();
    let mut case = GibbsCase::of_pairs(3, rows, 5, pairs).unweighted().block(block);
    case.bias = bias;
    case.chains = 1;
    let values: Vec<f32> = (0..3 * rows).map(|at| [4.5, 2.0, 3.25][at % 3]).collect();
    case.ratings = Ratings { values, ..case.ratings };
    let mut problem = case.problem();
    problem.popularity[0].fill(0.7);
    (case, problem)
}

/// The rows of the users.
fn rows(factors: &Factors) -> Vec<Vec<f64>> {
    let k = factors.factors;
    let row = |user: usize| {
        let x = factors[Side::User].factors[user * k..][..k].iter().copied();
        x.chain([factors[Side::User].bias[user]]).map(f64::from).collect()
    };
    (0..factors[Side::User].bias.len()).map(row).collect()
}

/// The largest distance of the mean and of the covariance of `rows` from `N(a⁻¹ right, a⁻¹)`, in
/// standard errors: the variance of a sample's covariance is `(Σ_ii Σ_jj + Σ_ij²)/n`.
fn largest_z(rows: &[Vec<f64>], a: &[Vec<f64>], right: &[f64]) -> f64 {
    let (width, n) = (right.len(), rows.len() as f64);
    let covariance = inverse(a);
    let mean: Vec<f64> = (0..width)
        .map(|i| covariance[i].iter().zip(right).map(|(x, y)| x * y).sum::<f64>())
        .collect();
    let mut largest = 0.0_f64;
    for i in 0..width {
        let sum: f64 = rows.iter().map(|z| z[i] - mean[i]).sum();
        largest = largest.max((sum / n).abs() / (covariance[i][i] / n).sqrt());
        for j in 0..=i {
            let products = rows.iter().map(|z| (z[i] - mean[i]) * (z[j] - mean[j]));
            let of_two = covariance[i][i] * covariance[j][j] + covariance[i][j].powi(2);
            let gap = products.sum::<f64>() / n - covariance[i][j];
            largest = largest.max(gap.abs() / (of_two / n).sqrt());
        }
    }
    largest
}

// At most 14 means and covariances a case, five cases: a right sampler goes beyond 4.5 standard
// errors for one seed in 2,000.
#[test]
fn many_draws_have_the_moments_of_their_distribution() {
    let cpu = Cpu::new();
    // In blocks the rows must forget where they began.
    for (bias, block, sweeps) in
        [(true, 3, 1), (false, 3, 1), (true, 1, 30), (true, 2, 30), (false, 1, 30)]
    {
        let (case, problem) = alike(10_000, bias, block);
        let textbook = Textbook::new(&problem, None);
        let ratings = RowRatings::new(&case.ratings, &[], case.users, case.items);
        let given = case.given(Side::User);
        let conditional = case.conditional(&given, (0, 1), Side::User);
        let (a, right) = textbook.equations(0, Side::User, 0, &conditional);
        let mut passes = cpu.gibbs_passes(GibbsProblem { ratings, ..problem }).unwrap();
        for sweep in 1..=sweeps {
            let conditional = case.conditional(&given, (0, sweep), Side::User);
            passes.draw(0, Side::User, ALL, &conditional, &mut on).unwrap();
        }
        let drawn = rows(&passes.factors(0).unwrap());
        let z = largest_z(&drawn, &a, &right);
        println!("bias {bias}, block {block}: {z:.2} standard errors");
        assert!(z < 4.5, "bias {bias}, block {block}: {z}");

        // The comparison sees a precision, and a mean, that are a fifth off.
        let wrong: Vec<Vec<f64>> =
            a.iter().map(|row| row.iter().map(|x| 1.2 * x).collect()).collect();
        assert!(largest_z(&drawn, &wrong, &right) > 10.0);
        let half: Vec<f64> = right.iter().map(|x| 0.8 * x).collect();
        assert!(largest_z(&drawn, &a, &half) > 10.0);
    }
}
