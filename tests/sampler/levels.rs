//! Ratings as levels of a latent value: the sampler against exact posteriors, planted thresholds,
//! calibration, and what is not a level.

use crate::common;
use wgmf::backend::{ALL, Backend, Conditional, GibbsProblem};
use wgmf::core::{
    Factors, Ids, Likelihood, Options, Ratings, RowPrior, RowRatings, Settings, Side, SideFactors,
    Solver, UNKNOWN,
};
use wgmf::cpu::Cpu;
use wgmf::math::gaussian::{cdf, density};
use wgmf::math::random::{OPEN, Purpose, Stream, truncated_normal};
use wgmf::model::Samples;
use wgmf::predict::{level_probabilities, log_level_probability};
use wgmf::train::{Input, Outcome, train};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::ControlFlow;

/// The CPU and a GPU.
fn backends() -> [Box<dyn Backend>; 2] {
    [Box::new(Cpu::new()), Box::new(common::gpu())]
}

fn prior(mean: f64, precision: f64) -> RowPrior {
    RowPrior {
        mean: vec![mean, 0.0],
        slope: vec![0.0; 2],
        precision: vec![precision, 0.0, 0.0, 1.0],
    }
}

/// Mean and standard error of independent numbers.
fn mean_of(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// Many copies of a user with two items of his own, one factor, priors held: after some sweeps each
/// copy is an independent draw from a posterior that a grid integrates.
fn check_against_the_grid(backend: &dyn Backend, levels: [usize; 2], thresholds: &[f32]) {
    // Four standard errors of so many copies are 0.06 of a figure's deviation: a draw that is off by a
    // tenth of one is noticed.
    let (copies, mean) = (4_000_usize, 0.2_f32);
    let (of_users, of_items) = ([0.8, 1.5], [-0.3, 0.7]);
    let pair = |j: usize| (j as u32 / 2, j as u32, levels[j % 2] as f32);
    let pairs: Vec<_> = (0..2 * copies).map(pair).collect();
    let ratings = Ratings {
        users: pairs.iter().map(|p| p.0).collect(),
        items: pairs.iter().map(|p| p.1).collect(),
        values: pairs.iter().map(|p| p.2).collect(),
        ..Ratings::default()
    };
    let start = Factors {
        factors: 1,
        sides: [
            SideFactors { factors: vec![0.5; copies], bias: vec![0.0; copies] },
            SideFactors { factors: vec![0.5; 2 * copies], bias: vec![0.0; 2 * copies] },
        ],
        global_mean: mean,
    };
    let mut passes = backend
        .gibbs_passes(GibbsProblem {
            ratings: RowRatings::new(&ratings, &[], copies, 2 * copies),
            test: Ratings::default(),
            starts: vec![start],
            popularity: [vec![0.0; copies + 1], vec![0.0; 2 * copies + 1]],
            bias: false,
            block: 1,
            latent: true,
        })
        .unwrap();
    let priors = [prior(of_users[0], of_users[1]), prior(of_items[0], of_items[1])];
    for sweep in 1..=40 {
        for (side, prior, rows, latents) in [
            (Side::User, &priors[0], Purpose::Users, Purpose::UserLatents),
            (Side::Item, &priors[1], Purpose::Items, Purpose::ItemLatents),
        ] {
            let conditional = Conditional {
                prior,
                noise_precision: 1.0,
                noise_weights: &[],
                thresholds,
                rows: Stream::new(5, 0, sweep, rows),
                latents: Stream::new(5, 0, sweep, latents),
            };
            passes.draw(0, side, ALL, &conditional, &mut |_| ControlFlow::Continue(())).unwrap();
        }
    }
    let Factors { sides: [SideFactors { factors: p, .. }, SideFactors { factors: q, .. }], .. } =
        passes.factors(0).unwrap();
    let figures =
        |p: f64, q: [f64; 2]| [p, p * p, q[0], q[1] * q[1], p * q[0], p * p * q[0] * q[1]];
    let mut drawn = vec![Vec::new(); 6];
    for copy in 0..copies {
        let of = figures(p[copy].into(), [q[2 * copy].into(), q[2 * copy + 1].into()]);
        drawn.iter_mut().zip(of).for_each(|(to, x)| to.push(x));
    }
    // The grid: given p the two items are independent.
    let wide: Vec<f64> = thresholds.iter().map(|&x| x.into()).collect();
    let steps = |[mean, precision]: [f64; 2]| {
        (0..200).map(move |j| mean + (f64::from(j) - 99.5) / 14.0 / precision.sqrt())
    };
    let weight = |x: f64, [mean, precision]: [f64; 2]| density((x - mean) * precision.sqrt());
    let (mut all, mut sums) = (0.0, [0.0; 6]);
    for p in steps(of_users) {
        // ∫ qⁿ P(level | p q) N(q) dq for n = 0, 1, 2.
        let moments = levels.map(|level| {
            let mut moments = [0.0; 3];
            for q in steps(of_items) {
                let score = f64::from(mean) + p * q;
                let w = weight(q, of_items) * log_level_probability(score, 1.0, &wide, level).exp();
                moments.iter_mut().enumerate().for_each(|(n, to)| *to += w * q.powi(n as i32));
            }
            moments
        });
        let [a, b] = moments;
        let w = weight(p, of_users);
        all += w * a[0] * b[0];
        let of = [
            p * a[0] * b[0],
            p * p * a[0] * b[0],
            a[1] * b[0],
            a[0] * b[2],
            p * a[1] * b[0],
            p * p * a[1] * b[1],
        ];
        sums.iter_mut().zip(of).for_each(|(to, x)| *to += w * x);
    }
    for (at, (drawn, sum)) in drawn.iter().zip(sums).enumerate() {
        let ((got, error), want) = (mean_of(drawn), sum / all);
        println!("{levels:?} figure {at}: {got:.4} ± {error:.4} for {want:.4}");
        // Each wrong by chance once in 15,000 seeds.
        assert!((got - want).abs() < 4.0 * error, "figure {at}: {got} for {want}");
    }
    // The bound tells something: without its rating an item would lie elsewhere.
    let (got, error) = mean_of(&drawn[2]);
    assert!((got - of_items[0]).abs() > 10.0 * error);
}

#[test]
fn probit_draws_are_from_the_exact_posterior() {
    check_against_the_grid(&Cpu::new(), [0, 0], &[0.0]);
    backends().iter().for_each(|backend| check_against_the_grid(&**backend, [1, 0], &[0.0]));
}

#[test]
fn ordinal_draws_are_from_the_exact_posterior() {
    check_against_the_grid(&Cpu::new(), [2, 1], &[-0.4, 0.9]);
    for backend in backends() {
        check_against_the_grid(&*backend, [0, 3], &[-1.5, -0.2, 0.6]);
    }
}

/// Rows drawn with levels against rows drawn from the latent values as ratings: in every path of the
/// row solvers the values are those that the counters give.
#[test]
fn latent_values_are_used_on_every_path() {
    backends().iter().for_each(|backend| check_every_path(&**backend));
}

fn check_every_path(backend: &dyn Backend) {
    // Users, items, factors, block, ratings of a user.
    let cases = [
        (40_u32, 30_u32, 5_usize, 5_usize, 11_usize),
        (40, 30, 20, 7, 11),
        (3, 300, 90, 32, 90),
        (2, 9_000, 20, 8, 9_000),
        (2, 20_000, 5, 5, 20_000),
    ];
    let thresholds = [-0.8, 0.1, 0.9];
    for (users, items, k, block, each) in cases {
        let mut random = ChaCha8Rng::seed_from_u64(u64::from(items));
        let mut normal = |count: usize| -> Vec<f32> {
            (0..count)
                .map(|_| {
                    0.5 * {
                        let z: f32 = StandardNormal.sample(&mut random);
                        z
                    }
                })
                .collect()
        };
        let start = Factors {
            factors: k,
            sides: [
                SideFactors { factors: normal(users as usize * k), bias: normal(users as usize) },
                SideFactors { factors: normal(items as usize * k), bias: normal(items as usize) },
            ],
            global_mean: 0.3,
        };
        let mut ratings = Ratings::default();
        for user in 0..users {
            for j in 0..each as u32 {
                ratings.users.push(user);
                ratings.items.push((j * 7 + user) % items);
                ratings.values.push(((user + 3 * j) % 4) as f32);
            }
        }
        let latents = Stream::new(8, 0, 1, Purpose::UserLatents);
        let mut imputed = ratings.clone();
        for (at, (user, item, level)) in ratings.iter().enumerate() {
            let level = level as usize;
            let low = if level == 0 { -OPEN } else { thresholds[level - 1] };
            let high = thresholds.get(level).copied().unwrap_or(OPEN);
            let score = start.score(user, item) as f32;
            imputed.values[at] = truncated_normal(latents.word(user, item), score, low, high);
        }
        let wide = k + 1;
        let mut precision = vec![0.0; wide * wide];
        (0..wide).for_each(|j| precision[j * wide + j] = 2.0);
        let prior = RowPrior { mean: vec![0.1; wide], slope: vec![0.0; wide], precision };
        let drawn = |ratings: &Ratings, latent: bool| {
            let (m, n) = (users as usize, items as usize);
            let mut passes = backend
                .gibbs_passes(GibbsProblem {
                    ratings: RowRatings::new(ratings, &[], m, n),
                    test: Ratings::default(),
                    starts: vec![start.clone()],
                    popularity: [vec![0.0; m + 1], vec![0.0; n + 1]],
                    bias: true,
                    block,
                    latent,
                })
                .unwrap();
            let conditional = Conditional {
                prior: &prior,
                noise_precision: 1.0,
                noise_weights: &[],
                thresholds: if latent { &thresholds } else { &[] },
                rows: Stream::new(8, 0, 1, Purpose::Users),
                latents,
            };
            passes
                .draw(0, Side::User, ALL, &conditional, &mut |_| ControlFlow::Continue(()))
                .unwrap();
            passes.factors(0).unwrap()
        };
        let (got, want) = (drawn(&ratings, true), drawn(&imputed, false));
        let gap =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let gaps = [
            gap(&got[Side::User].factors, &want[Side::User].factors),
            gap(&got[Side::User].bias, &want[Side::User].bias),
        ];
        // Scores of f32 against f64: roundings of numbers around 1.
        assert!(gaps.iter().all(|&gap| gap < 2e-4), "{k} factors, block {block}: {gaps:?}");
        let moved = gap(&got[Side::User].factors, &drawn(&ratings, false)[Side::User].factors);
        assert!(moved > 0.05, "the comparison tells nothing: {moved}");
    }
}

/// A planted set of four levels: training and held-out ratings, and the scores behind the latter.
struct Planted {
    ids: (Ids, Ids),
    train: Ratings,
    test: Ratings,
    scores: Vec<f64>,
}

const PLANTED: [f64; 3] = [-1.1, -0.1, 1.3];
const STARS: [f32; 4] = [1.0, 2.0, 3.5, 5.0];

fn planted(seed: u64) -> Planted {
    let (users, items) = (250_u32, 150_u32);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = |count: u32| -> Vec<[f64; 3]> {
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        (0..count).map(|_| [0.8 * normal(), 0.8 * normal(), 0.5 * normal()]).collect()
    };
    let (p, q) = (rows(users), rows(items));
    let (mut train, mut test, mut scores) = (Ratings::default(), Ratings::default(), Vec::new());
    for user in 0..users {
        for item in 0..items {
            let (x, y) = (p[user as usize], q[item as usize]);
            let score = x[0] * y[0] + x[1] * y[1] + x[2] + y[2];
            let noise: f64 = StandardNormal.sample(&mut random);
            let level = PLANTED.iter().filter(|&&threshold| score + noise > threshold).count();
            let to = match random.random::<f64>() {
                x if x < 0.5 => &mut train,
                x if x < 0.8 => {
                    scores.push(score);
                    &mut test
                }
                _ => continue,
            };
            to.users.push(user);
            to.items.push(item);
            to.values.push(STARS[level]);
        }
    }
    let names = |count: u32| (0..count).map(|j| j.to_string()).collect::<Vec<_>>();
    let ids = |count: u32| -> Ids { names(count).iter().map(|name| &name[..]).collect() };
    Planted { ids: (ids(users), ids(items)), train, test, scores }
}

fn settings(planted: &Planted, options: Options) -> Settings {
    let options = Options { solver: Some(Solver::Bayes), ..options };
    let (users, items) = (planted.ids.0.len(), planted.ids.1.len());
    options.resolve(&planted.train, users, items).unwrap()
}

fn run(backend: &dyn Backend, planted: &Planted, settings: &Settings) -> wgmf::Result<Outcome> {
    let (users, items) = &planted.ids;
    let input = Input { test: Some(&planted.test), ..Input::new(users, items, &planted.train) };
    train(backend, input, settings, &mut |_| Ok(ControlFlow::Continue(())))
}

fn samples(outcome: &Outcome) -> &Samples {
    outcome.samples.as_ref().unwrap()
}

/// Widths between thresholds, calibration and log loss, on either backend.
#[test]
fn planted_thresholds_are_found_and_levels_calibrated() {
    let losses = backends().map(|backend| check_planted(&*backend));
    println!("log loss on the CPU and on the GPU {losses:?}");
    assert!((losses[0] - losses[1]).abs() < 0.003, "{losses:?}");
}

/// Returns the log loss on held-out ratings.
fn check_planted(backend: &dyn Backend) -> f64 {
    let planted = planted(3);
    let settings = settings(
        &planted,
        Options {
            factors: Some(3),
            samples: Some(200),
            burn_in: Some(50),
            keep: Some(100),
            likelihood: Some(Likelihood::Ordinal),
            ..Options::default()
        },
    );
    let outcome = run(backend, &planted, &settings).unwrap();
    let samples = samples(&outcome);
    assert_eq!(samples.levels, STARS);
    // Thresholds as a whole may shift against the biases; what lies between may not.
    for j in 0..2 {
        let widths: Vec<f64> =
            samples.samples.iter().map(|s| s.thresholds[j + 1] - s.thresholds[j]).collect();
        let (mean, error) = mean_of(&widths);
        let deviation = error * (widths.len() as f64).sqrt();
        let want = PLANTED[j + 1] - PLANTED[j];
        println!("width {j}: {mean:.3} ± {deviation:.3} for {want:.3}");
        assert!(deviation > 0.003 && deviation < 0.05, "deviation {deviation}");
        assert!((mean - want).abs() < 4.0 * deviation, "{mean} ± {deviation} for {want}");
    }
    let n = planted.test.len();
    let mut averaged = vec![[0.0; 4]; n];
    for sample in &samples.samples {
        for (at, (user, item, _)) in planted.test.iter().enumerate() {
            let mut levels = [0.0; 4];
            let score = sample.factors.score(user, item);
            level_probabilities(score, 1.0, &sample.thresholds, &mut levels);
            for (to, p) in averaged[at].iter_mut().zip(levels) {
                *to += p / samples.samples.len() as f64;
            }
        }
    }
    // In each tenth of each level's probability the level is as frequent as predicted.
    for level in 0..4 {
        let mut bins = [[0.0; 3]; 10];
        for (p, &value) in averaged.iter().zip(&planted.test.values) {
            let p = p[level];
            let bin = &mut bins[((10.0 * p) as usize).min(9)];
            bin[0] += f64::from(u8::from(value == STARS[level]));
            bin[1] += p;
            bin[2] += p * (1.0 - p);
        }
        for (at, [times, expected, variance]) in bins.into_iter().enumerate() {
            let gap = (times - expected) / (variance + 1.0).sqrt();
            println!(
                "level {level}, tenth {at}: {times} times for {expected:.1}, {gap:.2} deviations"
            );
            assert!(gap.abs() < 4.0, "level {level}, tenth {at}: {times} for {expected}");
        }
    }
    let loss = |p: &dyn Fn(usize, usize) -> f64| {
        let of = |at: usize| {
            let value = planted.test.values[at];
            -p(at, STARS.iter().position(|&star| star == value).unwrap()).ln()
        };
        (0..n).map(of).sum::<f64>() / n as f64
    };
    let own = loss(&|at, level| averaged[at][level]);
    let best =
        loss(&|at, level| log_level_probability(planted.scores[at], 1.0, &PLANTED, level).exp());
    let recorded = outcome.history.last().unwrap().test_log_loss.unwrap();
    println!("log loss {own:.4}, recorded {recorded:.4}, of the truth {best:.4}");
    assert!(own > best && own < best + 0.05);
    assert!((recorded - own).abs() < 0.003);
    recorded
}

#[test]
fn two_levels_of_ordinal_say_what_probit_says() {
    let mut planted = planted(4);
    for ratings in [&mut planted.train, &mut planted.test] {
        ratings.values.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > 3.0)));
    }
    let [cpu, gpu] = backends();
    let runs = [
        (&cpu, Likelihood::Probit),
        (&cpu, Likelihood::Ordinal),
        (&gpu, Likelihood::Probit),
        (&gpu, Likelihood::Ordinal),
    ];
    let losses = runs.map(|(backend, likelihood)| {
        let settings = settings(
            &planted,
            Options {
                factors: Some(3),
                samples: Some(100),
                burn_in: Some(40),
                likelihood: Some(likelihood),
                ..Options::default()
            },
        );
        let outcome = run(&**backend, &planted, &settings).unwrap();
        if likelihood == Likelihood::Probit {
            assert!(samples(&outcome).samples.iter().all(|s| s.thresholds == [0.0]));
        }
        outcome.history.last().unwrap().test_log_loss.unwrap()
    });
    let n = planted.test.len() as f64;
    let of = planted.test.iter().zip(&planted.scores).map(|((.., value), score)| {
        let high = cdf(score - PLANTED[1]);
        -if value > 0.5 { high } else { 1.0 - high }.ln()
    });
    let best = of.sum::<f64>() / n;
    println!("log loss of probit and ordinal {losses:?}, of the truth {best}");
    assert!(losses.iter().all(|loss| (loss - losses[0]).abs() < 0.005));
    assert!(losses.iter().all(|&loss| loss > best - 0.005 && loss < best + 0.05));
}

#[test]
fn threads_make_no_difference() {
    let planted = planted(5);
    let settings = settings(
        &planted,
        Options {
            factors: Some(6),
            samples: Some(6),
            burn_in: Some(2),
            chains: Some(2),
            likelihood: Some(Likelihood::Ordinal),
            ..Options::default()
        },
    );
    for backend in backends() {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&*backend, &planted, &settings).unwrap())
        };
        let (one, three) = (with(1), with(3));
        assert_eq!(samples(&one), samples(&three));
        let errors = |of: &Outcome| -> Vec<f64> {
            of.history.iter().flat_map(|record| record.figures().collect::<Vec<_>>()).collect()
        };
        assert_eq!(errors(&one), errors(&three));
    }
}

#[test]
fn what_are_no_levels_ends_the_run() {
    let planted = planted(6);
    let options = |likelihood| Options {
        factors: Some(2),
        samples: Some(2),
        burn_in: Some(0),
        likelihood: Some(likelihood),
        ..Options::default()
    };
    let error = |planted: &Planted, likelihood| {
        let settings = settings(planted, options(likelihood));
        run(&Cpu::new(), planted, &settings).unwrap_err().to_string()
    };
    let text = error(&planted, Likelihood::Probit);
    assert!(text.contains("`likelihood` probit") && text.contains("just 2 levels"), "{text}");
    let with = |change: &dyn Fn(&mut Planted)| {
        let mut changed = self::planted(6);
        change(&mut changed);
        changed
    };
    let one = with(&|p| p.train.values.fill(2.0));
    let text = error(&one, Likelihood::Ordinal);
    assert!(text.contains("all training ratings are 2"), "{text}");
    let counted = with(&|p| p.train.values.iter_mut().enumerate().for_each(|(j, x)| *x = j as f32));
    let text = error(&counted, Likelihood::Ordinal);
    assert!(text.contains("at most 100 levels"), "{text}");
    let strange = with(&|p| {
        p.test.values[7] = 4.25;
        p.test.users[7] = UNKNOWN;
    });
    let text = error(&strange, Likelihood::Ordinal);
    assert!(text.contains("4.25") && text.contains("1, 2, 3.5, 5"), "{text}");
    let refused = |options: Options| options.check().unwrap_err().to_string();
    let text = refused(Options { solver: Some(Solver::Als), ..options(Likelihood::Ordinal) });
    assert!(text.contains("bayes"), "{text}");
    let bayes = Options { solver: Some(Solver::Bayes), ..options(Likelihood::Ordinal) };
    assert!(refused(Options { clip: true, ..bayes }).contains("`clip`"));
}
