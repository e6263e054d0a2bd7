//! Prediction intervals of a whole run on planted ratings cover as many held-out ratings as they say.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::ops::ControlFlow;
use wgmf::core::{Ids, Options, Ratings, Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::model::Samples;
use wgmf::train::{Input, train};

const USERS: u32 = 3_000;
const ITEMS: u32 = 1_500;
const TRAINING: usize = 500_000;
const HELD_OUT: usize = 100_000;

/// How ratings come from the planted `r̂`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Gaussian noise of one variance.
    Gaussian,
    /// Gaussian noise, whose variance differs by user.
    ByUser,
    /// Whole stars, 1 to 5: not what the model says.
    Stars,
    /// Noise of a Laplace distribution: not what the model says.
    Laplace,
}

fn normal(random: &mut impl Rng) -> f64 {
    StandardNormal.sample(random)
}

/// Ratings of random pairs, rank 8; some users rate and some items are rated far more than others.
fn planted(kind: Kind) -> (Ratings, Ratings) {
    let mut random = ChaCha8Rng::seed_from_u64(kind as u64 + 1);
    let mut rows = |n: u32| -> Vec<Vec<f64>> {
        let mut row =
            || (0..9).map(|j| normal(&mut random) * if j == 8 { 0.4 } else { 0.45 }).collect();
        (0..n).map(|_| row()).collect()
    };
    let (users, items) = (rows(USERS), rows(ITEMS));
    let noise: Vec<f64> = (0..USERS)
        .map(|_| match kind {
            Kind::ByUser => 0.7 * (0.4 * normal(&mut random)).exp(),
            _ => 0.7,
        })
        .collect();
    let mut some = |n: usize| {
        let mut ratings = Ratings::default();
        for _ in 0..n {
            let user = (f64::from(USERS) * random.random::<f64>().powf(1.5)) as u32;
            let item = (f64::from(ITEMS) * random.random::<f64>().powf(1.8)) as u32;
            let (p, q) = (&users[user as usize], &items[item as usize]);
            let product: f64 = (0..8).map(|j| p[j] * q[j]).sum();
            let error = match kind {
                Kind::Laplace => {
                    let x = random.random::<f64>() - 0.5;
                    -x.signum() * (1.0 - 2.0 * x.abs()).max(1e-300).ln() * 0.5
                }
                _ => noise[user as usize] * normal(&mut random),
            };
            let rating = 3.4 + p[8] + q[8] + product + error;
            ratings.users.push(user);
            ratings.items.push(item);
            ratings.values.push(match kind {
                Kind::Stars => rating.round().clamp(1.0, 5.0),
                _ => rating,
            } as f32);
        }
        ratings
    };
    (some(TRAINING), some(HELD_OUT))
}

/// `Φ(x)`, by Abramowitz and Stegun's 7.1.26: to 1.5e-7.
fn cdf(x: f64) -> f64 {
    let z = x.abs() / 2.0_f64.sqrt();
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let sum = poly.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    let tail = 0.5 * sum * (-z * z).exp();
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// (held-out ratings): the probability of a lower one, by the mixture of the samples' Gaussians.
fn probabilities(samples: &Samples, held_out: &Ratings) -> Vec<f64> {
    let pairs: Vec<(u32, u32, f32)> = held_out.iter().collect();
    pairs
        .par_iter()
        .map(|&(user, item, value)| {
            let (user, item) = (user as usize, item as usize);
            let mut sum = 0.0;
            for sample in &samples.samples {
                let f = &sample.factors;
                let k = f.factors;
                let (p, q) = (
                    &f[Side::User].factors[user * k..][..k],
                    &f[Side::Item].factors[item * k..][..k],
                );
                let product: f32 = p.iter().zip(q).map(|(p, q)| p * q).sum();
                let mean =
                    f.global_mean + f[Side::User].bias[user] + f[Side::Item].bias[item] + product;
                let precision = sample.noise_precision * f64::from(sample.noise_weights[user]);
                sum += cdf(f64::from(value - mean) * precision.sqrt());
            }
            sum / samples.samples.len() as f64
        })
        .collect()
}

/// The samples of a run on the ratings, and the held-out ratings.
fn run(kind: Kind) -> (Samples, Ratings) {
    let (training, held_out) = planted(kind);
    let names = |n: u32| {
        let mut ids = Ids::new();
        for id in 0..n {
            ids.intern(&id.to_string());
        }
        ids
    };
    let (users, items) = (names(USERS), names(ITEMS));
    let options = Options {
        solver: Some(Solver::Bayes),
        factors: Some(8),
        samples: Some(60),
        burn_in: Some(20),
        keep: Some(60),
        ..Options::default()
    };
    let settings = options.resolve(&training, USERS as usize, ITEMS as usize).unwrap();
    let input = Input::new(&users, &items, &training);
    let listen = &mut |_: wgmf::train::Event| Ok(ControlFlow::Continue(()));
    let outcome = train(&Cpu::new(), input, &settings, listen).unwrap();
    (outcome.samples.unwrap(), held_out)
}

/// The share of the ratings within the central interval of each level.
fn coverage(probabilities: &[f64]) -> Vec<(f64, f64)> {
    let share = |level: f64| {
        let inside = probabilities.iter().filter(|&&u| (u - 0.5).abs() <= level / 2.0).count();
        (level, inside as f64 / probabilities.len() as f64)
    };
    [0.5, 0.8, 0.9, 0.95].map(share).to_vec()
}

// The share of 100,000 has a standard error of at most 0.16 percent points.
#[test]
fn intervals_cover_what_they_say() {
    for kind in [Kind::Gaussian, Kind::ByUser] {
        let (samples, held_out) = run(kind);
        let right = coverage(&probabilities(&samples, &held_out));
        println!("{kind:?}: {right:.4?}");
        for (level, share) in right {
            assert!((share - level).abs() < 0.015, "{kind:?}: {level}: {share}");
        }

        // One sample alone leaves out what is not known of the rows; and a noise that is a tenth too
        // small shows.
        let mut one = samples.clone();
        one.samples.truncate(1);
        let mut quiet = samples.clone();
        quiet.samples.iter_mut().for_each(|sample| sample.noise_precision *= 1.2);
        for wrong in [one, quiet] {
            let wrong = coverage(&probabilities(&wrong, &held_out));
            println!("{kind:?}, wrong: {wrong:.4?}");
            assert!(wrong.iter().any(|(level, share)| (share - level).abs() > 0.02), "{wrong:?}");
        }
    }
}

/// What intervals cover where the model is wrong about the ratings: said, and held to no less than
/// is useful.
#[test]
fn intervals_under_other_noise_are_not_far_off() {
    for kind in [Kind::Stars, Kind::Laplace] {
        let (samples, held_out) = run(kind);
        let shares = coverage(&probabilities(&samples, &held_out));
        println!("{kind:?}: {shares:.4?}");
        for (level, share) in shares {
            assert!((share - level).abs() < 0.12, "{kind:?}: {level}: {share}");
        }
    }
}
