//! The Gibbs sampler on a GPU: against the textbook, against the CPU given the same random numbers,
//! on devices with small limits, and by the averages of many samples.

mod common;
mod oracle;

use common::gpu_with;
use oracle::gibbs_case::{GibbsCase, compare, on};
use std::ops::ControlFlow;
use wgmf::backend::{ALL, Backend, Moments};
use wgmf::core::{Factors, Side};
use wgmf::cpu::Cpu;
use wgmf::gpu::Sources;

/// Of 32-bit normal equations as well conditioned as the cases': about 100 roundings.
const BOUND: f64 = 1e-4;

fn plain(factors: usize) -> GibbsCase {
    GibbsCase::new(factors, 37, 23, 300)
}

/// Four levels, and a threshold far from the others: then draws come from tails.
const STARS: [f32; 3] = [-0.9, 0.1, 0.8];
const FAR: [f32; 3] = [-0.9, 7.0, 7.5];

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
        ("a matrix in its place", GibbsCase::new(100, 19, 13, 200)),
        ("no weights", plain(5).unweighted()),
        ("neither", plain(20).no_bias().unweighted()),
        ("much noise", plain(6).precise(0.03)),
        ("little noise", plain(6).precise(40.0)),
        ("single coordinates", plain(6).block(1)),
        ("odd blocks", plain(20).block(7)),
        ("odd blocks without bias", plain(20).block(7).no_bias()),
        ("blocks of whole tiles", plain(40).block(16)),
        ("blocks of a wide model", GibbsCase::new(150, 9, 7, 60).block(32)),
        ("large blocks", GibbsCase::new(150, 9, 7, 60).block(101)),
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

#[test]
fn draws_are_those_of_the_textbook() {
    let gpu = gpu_with(None, Sources::default());
    for (name, case) in cases() {
        let mut passes = gpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut *passes, None);
        println!("{name}: {gaps:?}");
        assert!(gaps.largest() < BOUND, "{name}: {gaps:?}");
    }
}

#[test]
fn small_devices_draw_the_same() {
    for (binding, workgroups, case) in [
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900)),
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900).block(5)),
        (8192, 65_535, GibbsCase::new(9, 300, 131, 1500)),
        (1 << 27, 64, GibbsCase::new(5, 700, 900, 4000)),
        (16_384, 64, GibbsCase::new(19, 260, 310, 4003)),
        (16_384, 65_535, GibbsCase::long(2500, 3, 16)),
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900).levels(&STARS)),
        (4096, 65_535, GibbsCase::new(16, 150, 200, 900).block(5).levels(&FAR)),
        (1 << 27, 64, GibbsCase::new(5, 700, 900, 4000).levels(&STARS)),
        (16_384, 65_535, GibbsCase::long(2500, 3, 16).levels(&STARS)),
    ] {
        let gpu = gpu_with(Some((binding, workgroups)), Sources::default());
        let mut passes = gpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut *passes, None);
        println!("{binding} bytes, {workgroups} workgroups: {gaps:?}");
        assert!(gaps.largest() < BOUND, "{binding} bytes, {workgroups} workgroups: {gaps:?}");
    }
}

// Ranges that two devices draw, and what they sum, are handed to one another.
#[test]
fn ranges_of_rows_are_drawn_as_all_rows_are() {
    let gpus = [None, Some((4096, 65_535))].map(|tight| gpu_with(tight, Sources::default()));
    let [gpu, small] = &gpus;
    let cases = || {
        vec![
            plain(8),
            GibbsCase::new(16, 150, 200, 900).block(5),
            GibbsCase::new(9, 300, 200, 40).no_bias(),
            GibbsCase::long_items(2500, 3, 16).unweighted(),
            GibbsCase::new(16, 150, 200, 900).levels(&STARS),
        ]
    };
    for backend in [&Cpu::new() as &dyn Backend, gpu, small] {
        for case in cases() {
            shared_out(backend, &case);
        }
    }
    // Several blocks on the CPU.
    for backend in [&Cpu::new() as &dyn Backend, gpu] {
        shared_out(backend, &GibbsCase::new(5, 5000, 900, 9000));
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
            let whole = one.squared_errors(chain, ALL).unwrap();
            let at = errors.iter().zip(&whole).position(|(got, want)| got != want);
            let what = at.map(|at| (at, errors[at], whole[at]));
            assert!(what.is_none(), "{what:?} on {} of {case:?}", backend.device().name);
            assert_eq!(errors.len(), whole.len());
            let held_out = one.test_predictions(chain).unwrap();
            assert_eq!(second.test_predictions(chain).unwrap(), held_out);
        }
    }
    let other = one.rows(0, Side::User, 0..2).unwrap();
    assert!(one.put_rows(0, Side::User, 0..3, &other).is_err());
}

#[test]
fn a_prior_larger_than_a_binding_is_refused() {
    let gpu = gpu_with(Some((4096, 65_535)), Sources::default());
    let said = match gpu.gibbs_passes(GibbsCase::new(64, 20, 30, 40).block(4).problem()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(said.contains("64 factors") && said.contains("4096"), "{said}");
    assert!(said.contains("--factors") && said.contains("--backend cpu"), "{said}");
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

#[test]
fn repeats_give_the_same_bits() {
    let gpu = gpu_with(None, Sources::default());
    for case in [
        plain(33),
        plain(20).block(7),
        GibbsCase::long_items(3000, 2, 9),
        plain(20).levels(&STARS),
        plain(20).block(7).levels(&FAR),
    ] {
        let first = two_sweeps(&gpu, &case);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| two_sweeps(&gpu, &case)), first);
        assert_ne!(first.0[0], first.0[1], "chains differ");
    }
}

/// More rows than a dispatch has workgroups: on the last of many segments, moments keep their digits.
#[test]
fn moments_of_many_rows_keep_their_digits() {
    let rows = 70_001_u32;
    let pairs = (0..rows - 1).map(|n| (n, n * 7 % 40)).collect();
    let case = GibbsCase { chains: 1, ..GibbsCase::of_pairs(7, rows as usize, 50, pairs) };
    let (gpu, cpu) = (gpu_with(None, Sources::default()), Cpu::new());
    let [mut got, mut want] =
        [&gpu as &dyn Backend, &cpu].map(|backend| backend.gibbs_passes(case.problem()).unwrap());
    for passes in [&mut got, &mut want] {
        let given = case.given(Side::User);
        let conditional = case.conditional(&given, (0, 1), Side::User);
        passes.draw(0, Side::User, ALL, &conditional, &mut on).unwrap();
    }
    let (got, want) =
        [got, want].map(|mut of| of.moments(0, Side::User, ALL).unwrap().join()).into();
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

#[test]
fn a_draw_that_is_broken_off_says_how_far_it_came() {
    let case = plain(5);
    let gpu = gpu_with(None, Sources::default());
    let mut passes = gpu.gibbs_passes(case.problem()).unwrap();
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
#[test]
fn averages_of_many_samples_are_those_of_the_cpu() {
    for thresholds in [&[][..], &STARS] {
        agree(thresholds);
    }
}

fn agree(thresholds: &[f32]) {
    let got = averages(&gpu_with(None, Sources::default()), 5, thresholds);
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

/// A fault in a shader's text: kernel, what stands there, what takes its place, the case that shows
/// it.
type Planted = (&'static str, &'static str, &'static str, fn() -> GibbsCase);

const FAULTS: &[Planted] = &[
    ("cholesky", "y += sweep.deviation", "y += 0.5 * sweep.deviation", || plain(5)),
    ("cholesky", "sweep.deviation * sqrt(scale)", "sweep.deviation", || plain(5)),
    ("cholesky", "params.first_row + solve.row", "solve.row + 1u", || plain(5)),
    ("cholesky", "sum += penalty * slope(column);", "", || plain(5)),
    ("cholesky", "return scale * sum;", "return sum;", || plain(5)),
    ("cholesky", "1.0 / weights[params.own_bias + solve.row]", "1.0 + 0.0 * weights[0]", || {
        plain(5)
    }),
    ("cholesky", "vec4(here.yzw, next.x)", "vec4(here.yzw, next.y)", || plain(20).block(5)),
    ("cholesky", "vec4(here.zw, next.xy)", "vec4(here.zw, next.yx)", || plain(20).block(6)),
    ("cholesky", "vec4(here.w, next.xyz)", "vec4(here.x, next.xyz)", || plain(20).block(7)),
    ("cholesky", "+ popularity * slope(four)", "", || plain(20).block(7)),
    ("cholesky", "if ROW_BIAS {", "if BIAS {", || plain(20).block(7)),
    ("cholesky", "at < COORDINATES + select(0u, 1u, BIAS)", "at < COORDINATES", || {
        plain(9).block(4)
    }),
    (
        "cholesky",
        "let known = COORDINATES + select(0u, 1u, BIAS);",
        "let known = COORDINATES;",
        || plain(9).block(4),
    ),
    ("cholesky", "return scale * select", "return select", || plain(9).block(4)),
    ("cholesky", "0xbb67ae85u", "0xbb67ae84u", || plain(5)),
    ("cholesky", "turn < 10u", "turn < 9u", || plain(5)),
    ("cholesky", "vec2(-turned.y, turned.x)", "vec2(turned.y, turned.x)", || plain(5)),
    ("gram", "params.partner_bias + entries[at].partner]", "entries[at].partner / 2u]", || {
        plain(5)
    }),
    ("gram", "if first + team <= last && tile < TILES", "if length > 0u && tile < TILES", || {
        plain(5)
    }),
    ("latent", "params.first_row + segment.row", "segment.row + 1u", || plain(5).levels(&STARS)),
    ("latent", "params.first_partner + entry.partner", "entry.partner + 1u", || {
        plain(5).levels(&STARS)
    }),
    ("latent", "words[column % 4u]", "words[0]", || plain(5).levels(&STARS)),
    ("latent", "column / 4u, params", "column, params", || plain(5).levels(&STARS)),
    ("latent", "ends[level + 1u])", "ends[3])", || plain(5).levels(&STARS)),
    ("latent", "fixed + own_bias + inner", "fixed + inner", || plain(5).levels(&STARS)),
    ("latent", "fixed + own_bias + inner", "fixed + own_bias", || plain(5).levels(&STARS)),
    ("latent", "params.own_bias + segment.row", "segment.row + 1u", || plain(5).levels(&STARS)),
    ("latent", "params.partner_bias + entry", "0u + entry", || plain(5).levels(&STARS)),
    ("latent", "params.global_mean + biases", "biases", || plain(5).levels(&STARS)),
    ("latent", "column < WIDTH", "column + 1u < WIDTH", || plain(6).levels(&STARS)),
    ("latent", "at < length", "at + 1u < length", || plain(5).levels(&STARS)),
    ("latent", "at += LANES", "at += LANES + 1u", || plain(5).levels(&STARS)),
    ("latent", "select(fixed, prediction, CHANGE)", "fixed", || plain(20).block(7).levels(&STARS)),
    ("latent", "select(fixed, prediction, CHANGE)", "prediction", || plain(5).levels(&STARS)),
    ("latent", "index <= last", "index < last", || {
        // The last segment has ratings.
        let pairs = (0..12).map(|j| (j % 4, j % 3)).collect();
        GibbsCase::of_pairs(5, 4, 3, pairs).levels(&STARS)
    }),
    ("latent", "turn < 10u", "turn < 9u", || plain(5).levels(&STARS)),
    ("remainder", "sum += e * e;", "sum += e;", || plain(5)),
    ("predict", "biases[params.item_bias + pair.item]", "biases[pair.item]", || plain(5)),
    ("predict", "params.global_mean + bias", "bias", || plain(5)),
];

#[test]
fn a_fault_in_a_shader_is_noticed() {
    for &(kernel, from, to, case) in FAULTS {
        let mut sources = Sources::default();
        let text = match kernel {
            "cholesky" => &mut sources.cholesky,
            "gram" => &mut sources.gram,
            "latent" => &mut sources.latent,
            "remainder" => &mut sources.remainder,
            "predict" => &mut sources.predict,
            other => panic!("{other}"),
        };
        assert_eq!(text.matches(from).count(), 1, "{kernel}: {from}");
        *text = text.replace(from, to).into();
        let case = case();
        let gpu = gpu_with(None, sources);
        let mut passes = gpu.gibbs_passes(case.problem()).unwrap();
        let gaps = compare(&case, &mut *passes, None);
        assert!(gaps.largest() > 10.0 * BOUND, "{kernel}, {to} for {from}: {gaps:?}");
    }
}

#[test]
fn a_device_with_other_random_numbers_draws_nothing() {
    for (from, to) in [
        ("0xcd9e8d57u", "0xcd9e8d55u"),
        ("carried >> 16u", "carried >> 17u"),
        ("0.693359375", "0.69335"),
        ("-turned;", "turned;"),
        ("words.z, words.w", "words.w, words.z"),
    ] {
        let mut sources = Sources::default();
        assert_eq!(sources.philox.matches(from).count(), 1, "{from}");
        sources.philox = sources.philox.replace(from, to).into();
        let gpu = gpu_with(None, sources);
        let said = match gpu.gibbs_passes(plain(3).problem()) {
            Ok(_) => panic!("{to} for {from} is not noticed"),
            Err(error) => error.to_string(),
        };
        assert!(said.contains("random numbers") && said.contains("--backend cpu"), "{said}");
    }
}
