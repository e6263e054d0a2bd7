//! The Gibbs sampler's passes: against the textbook given the same random numbers, and by the averages
//! of many samples.

use super::{Compare, hold};
use crate::oracle;
use wgmf::backend::{ALL, Backend, GibbsPasses, Moments};
use wgmf::core::{Factors, Side};
use wgmf::cpu::Cpu;

use oracle::gibbs::Textbook;
use oracle::gibbs_case::{GibbsCase, compare, on};
use std::ops::ControlFlow;

/// Of 32-bit normal equations as well conditioned as the cases': about 100 roundings.
pub const BOUND: f64 = 1e-4;

pub fn plain(factors: usize) -> GibbsCase {
    GibbsCase::new(factors, 37, 23, 300)
}

/// Four levels, and a threshold far from the others: then draws come from tails.
pub const STARS: [f32; 3] = [-0.9, 0.1, 0.8];
pub const FAR: [f32; 3] = [-0.9, 7.0, 7.5];

fn cases() -> Vec<(&'static str, GibbsCase)> {
    vec![
        ("one factor", plain(1)),
        ("one factor alone", plain(1).no_bias()),
        ("few factors", plain(3)),
        ("a bias that fills a vec4", plain(7)),
        ("a bias that begins one", plain(8)),
        ("whole tiles without bias", plain(8).no_bias()),
        ("beyond workgroup memory's halves", plain(33)),
        ("several tiles", plain(64)),
        ("a matrix in its place", GibbsCase::new(80, 19, 13, 200)),
        ("no weights", plain(5).unweighted()),
        ("neither", plain(20).no_bias().unweighted()),
        ("ratings that count", plain(5).counting()),
        ("ratings that count and equal noise", plain(6).unweighted().counting()),
        ("ratings that count in blocks", plain(20).block(7).counting()),
        ("ratings that count in several segments", GibbsCase::long_items(3000, 2, 18).counting()),
        ("much noise", plain(6).precise(0.03)),
        ("little noise", plain(6).precise(40.0)),
        ("single coordinates", plain(6).block(1)),
        ("odd blocks", plain(20).block(7)),
        ("odd blocks without bias", plain(20).block(7).no_bias()),
        ("blocks of whole tiles", plain(40).block(16)),
        ("blocks of a wide model", GibbsCase::new(90, 9, 7, 60).block(32)),
        ("large blocks", GibbsCase::new(90, 9, 7, 60).block(79)),
        ("rows of several segments", GibbsCase::long(3000, 2, 5)),
        ("items of several segments", GibbsCase::long_items(3000, 2, 18)),
        ("blocks of items of several segments", GibbsCase::long_items(3000, 2, 20).block(9)),
        ("rows without ratings", GibbsCase::new(9, 300, 200, 40)),
        ("blocks of rows without ratings", GibbsCase::new(9, 300, 200, 40).block(4)),
        ("levels", plain(6).levels(&STARS)),
        ("two levels", plain(33).levels(&[0.0])),
        ("levels without bias", plain(3).no_bias().levels(&STARS)),
        ("levels in tails", plain(6).levels(&FAR)),
        ("levels in blocks", plain(20).block(7).levels(&STARS)),
        ("levels in blocks without bias", plain(20).block(8).no_bias().levels(&FAR)),
        ("levels of rows of several segments", GibbsCase::long(3000, 2, 5).levels(&STARS)),
        ("levels of items of several segments", GibbsCase::long_items(3000, 2, 18).levels(&STARS)),
        ("levels in rows without ratings", GibbsCase::new(9, 300, 200, 40).levels(&STARS)),
    ]
}

/// A case, and what it is about.
pub struct Named(pub &'static str, pub GibbsCase);

impl Named {
    fn within(&self, backend: &dyn Backend, bound: f64) -> Result<f64, String> {
        let mut passes = backend.gibbs_passes(self.1.problem()).map_err(|e| e.to_string())?;
        let gaps = compare(&self.1, &mut *passes, None);
        // NaN is far.
        match gaps.largest() {
            gap if gap < bound => Ok(gap),
            _ => Err(format!("{}: {gaps:?}", self.0)),
        }
    }
}

impl Compare for Named {
    fn name(&self) -> String {
        self.0.to_owned()
    }

    fn opens(&self, backend: &dyn Backend) -> Result<(), String> {
        backend.gibbs_passes(self.1.problem()).map(drop).map_err(|error| error.to_string())
    }

    fn compare(&self, backend: &dyn Backend) -> Result<f64, String> {
        self.within(backend, BOUND)
    }

    fn objects(&self, backend: &dyn Backend) -> bool {
        self.within(backend, 10.0 * BOUND).is_err()
    }
}

pub fn draws_are_those_of_the_textbook(backend: &dyn Backend) {
    hold(backend, cases().into_iter().map(|(name, case)| Named(name, case)).collect());
}

/// What a backend has after two sweeps of both chains, the second chain first.
fn two_sweeps(backend: &dyn Backend, case: &GibbsCase) -> (Vec<Factors>, Vec<Moments>, Vec<f64>) {
    let mut passes = backend.gibbs_passes(case.problem()).unwrap();
    let sides = [Side::User, Side::Item];
    for sweep in 1..=2 {
        for chain in (0..case.chains).rev() {
            for side in sides {
                let given = case.given(side);
                let conditional = case.conditional(&given, (chain, sweep), side);
                passes.draw(chain, side, ALL, &conditional, &mut on).unwrap();
            }
        }
    }
    let chains = 0..case.chains;
    let moments = chains.clone().flat_map(|chain| sides.map(|side| (chain, side)));
    let moments =
        moments.map(|(chain, side)| passes.moments(chain, side, ALL).unwrap().join()).collect();
    let errors = passes.squared_errors(0, ALL).unwrap();
    (chains.map(|chain| passes.factors(chain).unwrap()).collect(), moments, errors)
}

pub fn repeats_give_the_same_bits(backend: &dyn Backend) {
    for case in [
        plain(33),
        plain(20).block(7),
        GibbsCase::long_items(3000, 2, 9),
        plain(20).levels(&STARS),
        plain(20).block(7).levels(&FAR),
    ] {
        let first = two_sweeps(backend, &case);
        assert_eq!(two_sweeps(backend, &case), first);
        assert_ne!(first.0[0], first.0[1], "chains differ");
    }
}

/// More rows than a dispatch has workgroups: on the last of many segments, moments keep their digits.
pub fn moments_of_many_rows_keep_their_digits(backend: &dyn Backend) {
    let rows = 70_001_u32;
    let pairs = (0..rows - 1).map(|n| (n, n * 7 % 40)).collect();
    let case = GibbsCase { chains: 1, ..GibbsCase::of_pairs(7, rows as usize, 50, pairs) };
    let mut passes = backend.gibbs_passes(case.problem()).unwrap();
    let mut textbook = Textbook::new(&case.problem(), None);
    let given = case.given(Side::User);
    let conditional = case.conditional(&given, (0, 1), Side::User);
    passes.draw(0, Side::User, ALL, &conditional, &mut on).unwrap();
    textbook.draw(0, Side::User, ALL, &conditional, &mut on).unwrap();
    textbook.set(0, &passes.factors(0).unwrap());
    let (got, want) = (
        passes.moments(0, Side::User, ALL).unwrap().join(),
        textbook.moments(0, Side::User, ALL).unwrap().join(),
    );
    let diagonal = |j: usize| want.products[j * 8 + j].sqrt();
    let squares = case.problem().popularity[0].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    for i in 0..8 {
        for j in 0..8 {
            let far = (got.products[i * 8 + j] - want.products[i * 8 + j]).abs();
            assert!(far < 1e-5 * diagonal(i) * diagonal(j), "{i}, {j}: {far}");
        }
        let far = (got.sum[i] - want.sum[i]).abs();
        assert!(far < 1e-5 * diagonal(i) * f64::from(rows).sqrt(), "sum {i}: {far}");
        let far = (got.popular[i] - want.popular[i]).abs();
        assert!(far < 1e-5 * diagonal(i) * squares.sqrt(), "popular {i}: {far}");
    }
}

pub fn a_draw_that_is_broken_off_says_how_far_it_came(backend: &dyn Backend) {
    let case = plain(5);
    let mut passes = backend.gibbs_passes(case.problem()).unwrap();
    let given = case.given(Side::User);
    let conditional = case.conditional(&given, (0, 1), Side::User);
    let (mut last, mut calls) = (0, 0);
    let done = passes.draw(0, Side::User, ALL, &conditional, &mut |done| {
        assert!(done >= last && done <= case.ratings.len());
        (last, calls) = (done, calls + 1);
        ControlFlow::Break(())
    });
    assert_eq!(done.unwrap(), last);
    assert!(calls > 0);
}

/// The averages over samples of what a small problem predicts, and the standard error of each by the
/// means of batches.
fn averages(backend: &dyn Backend, seed: u64, thresholds: &[f32]) -> Vec<(f64, f64)> {
    const BATCHES: usize = 20;
    const BATCH: usize = 15;
    let case = GibbsCase { chains: 1, seed, ..GibbsCase::new(3, 15, 12, 90) };
    let case = if thresholds.is_empty() { case } else { case.levels(thresholds) };
    // Priors do not depend on the seed, but the numbers do.
    let fixed = GibbsCase { seed: 1, ..case.clone() };
    let mut passes = backend.gibbs_passes(fixed.problem()).unwrap();
    let mut batches = vec![vec![0.0; BATCHES]; case.ratings.len() + 6 + 2];
    for sweep in 0..10 + BATCHES * BATCH {
        for side in [Side::User, Side::Item] {
            let given = fixed.given(side);
            let conditional = case.conditional(&given, (0, sweep), side);
            passes.draw(0, side, ALL, &conditional, &mut on).unwrap();
        }
        if sweep < 10 {
            continue;
        }
        let mut figures = passes.training_predictions(0).unwrap();
        figures.extend(passes.test_predictions(0).unwrap());
        let moments = passes.moments(0, Side::Item, ALL).unwrap().join();
        // Of levels errors have no meaning.
        figures.push(match thresholds {
            [] => passes.squared_errors(0, ALL).unwrap().iter().sum::<f64>() as f32,
            _ => moments.products[1] as f32,
        });
        figures.push(moments.products[0] as f32);
        for (sums, figure) in batches.iter_mut().zip(figures) {
            sums[(sweep - 10) / BATCH] += f64::from(figure) / BATCH as f64;
        }
    }
    batches
        .iter()
        .map(|means| {
            let n = BATCHES as f64;
            let mean = means.iter().sum::<f64>() / n;
            let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
            (mean, variance / n)
        })
        .collect()
}

/// Not draw for draw, but in distribution: other seeds, the same averages.
pub fn averages_of_many_samples_are_those_of_the_cpu(backend: &dyn Backend) {
    for thresholds in [&[][..], &STARS] {
        agree(backend, thresholds);
    }
}

fn agree(backend: &dyn Backend, thresholds: &[f32]) {
    let got = averages(backend, 5, thresholds);
    let want = averages(&Cpu::new(), 6, thresholds);
    let scores: Vec<f64> = got
        .iter()
        .zip(&want)
        .filter_map(|(got, want)| {
            let far = got.0 - want.0;
            // Two unknown ids are always predicted by the priors' means.
            let moves = got.1 + want.1 > 1e-12;
            assert!(moves || far.abs() < 1e-5, "{far}");
            moves.then(|| far / (got.1 + want.1).sqrt())
        })
        .collect();
    assert!(scores.len() + 1 >= got.len());
    let largest = scores.iter().fold(0.0_f64, |most, score| most.max(score.abs()));
    let square = scores.iter().map(|score| score * score).sum::<f64>() / scores.len() as f64;
    println!("{} averages: largest {largest:.2}, mean square {square:.2}", scores.len());
    // Student's t with 38 degrees of freedom: beyond 5 once in 70,000, of about 100 averages once in
    // 700 seeds. The averages depend on each other, so the bound of their mean square is wide.
    assert!(largest < 5.0 && square < 2.0, "largest {largest}, mean square {square}");
}

/// Ranges that two devices draw, and what they sum, handed to one another, have the bits of one that
/// does all.
pub fn ranges_of_rows_are_drawn_as_all_rows_are(backend: &dyn Backend) {
    shared(backend);
    // Several blocks on the CPU.
    shared_out(backend, &GibbsCase::new(5, 5000, 900, 9000));
}

/// The same of small problems, which a small device cuts in many tiles.
pub fn shared(backend: &dyn Backend) {
    for case in [
        plain(8),
        GibbsCase::new(16, 150, 200, 900).block(5),
        GibbsCase::new(9, 300, 200, 40).no_bias(),
        GibbsCase::long_items(2500, 3, 16).unweighted(),
        GibbsCase::new(16, 150, 200, 900).levels(&STARS),
    ] {
        shared_out(backend, &case);
    }
}

fn shared_out(backend: &dyn Backend, case: &GibbsCase) {
    let mut one = backend.gibbs_passes(case.problem()).unwrap();
    let mut two = [0, 1].map(|_| backend.gibbs_passes(case.problem()).unwrap());
    for (sweep, chain) in [(1, 0), (1, 1), (2, 1), (2, 0)] {
        for side in [Side::User, Side::Item] {
            let given = case.given(side);
            let conditional = case.conditional(&given, (chain, sweep), side);
            let n = [case.users, case.items][side.index()];
            let cuts = [0..n / 3, n / 3..n - n / 5, n - n / 5..usize::MAX];
            one.draw(chain, side, ALL, &conditional, &mut on).unwrap();
            let before = two[1].rows(chain, side, cuts[0].clone()).unwrap();
            let mut done = 0;
            for (j, rows) in cuts.iter().enumerate() {
                done += two[j % 2].draw(chain, side, rows.clone(), &conditional, &mut on).unwrap();
            }
            assert_eq!(done, case.ratings.len());
            assert_eq!(two[1].rows(chain, side, cuts[0].clone()).unwrap(), before);
            for (j, rows) in cuts.iter().enumerate() {
                let values = two[j % 2].rows(chain, side, rows.clone()).unwrap();
                two[1 - j % 2].put_rows(chain, side, rows.clone(), &values).unwrap();
            }
            let want = one.factors(chain).unwrap();
            two.iter_mut().for_each(|passes| assert!(passes.factors(chain).unwrap() == want));
            let [first, second] = &mut two;
            let mut moments = first.moments(chain, side, 0..n / 2).unwrap();
            moments.append(second.moments(chain, side, n / 2..usize::MAX).unwrap());
            assert!(moments.join() == one.moments(chain, side, ALL).unwrap().join());
            let mut errors = first.squared_errors(chain, 0..7).unwrap();
            errors.extend(second.squared_errors(chain, 7..usize::MAX).unwrap());
            assert!(errors == one.squared_errors(chain, ALL).unwrap());
            let held_out = one.test_predictions(chain).unwrap();
            assert_eq!(second.test_predictions(chain).unwrap(), held_out);
        }
    }
    let other = one.rows(0, Side::User, 0..2).unwrap();
    assert!(one.put_rows(0, Side::User, 0..3, &other).is_err());
}
