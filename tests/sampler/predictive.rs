//! What samples of the posterior say about pairs, against brute force: explicit inverses, integrals over
//! a grid, and draws.

use crate::fixture;
use wgmf::core::{Ratings, Side, Step, Transform, UNKNOWN};
use wgmf::evaluate::{PredictiveMetrics, predictive_metrics};
use wgmf::math::gaussian;
use wgmf::model::{Model, Samples};
use wgmf::predict::{Ask, Mixture, Predictive, Summary};

use approx::assert_relative_eq;
use fixture::bayes::{COUNT, ITEMS, K, USERS, bayes};
use fixture::model;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Means and deviations of a pair, by the predictive distribution.
fn parts(predictive: &Predictive, user: u32, item: u32, credible: bool) -> (Vec<f64>, Vec<f64>) {
    let copy = |_: usize, m: Mixture| (m.means.to_vec(), m.deviations.to_vec());
    predictive.map(&[user], &[item], credible, copy).unwrap().remove(0)
}

fn one(predictive: &Predictive, pair: (u32, u32), ask: &Ask) -> Summary {
    predictive.summaries(&[pair.0], &[pair.1], ask).unwrap().remove(0)
}

/// By Gauss and Jordan.
fn inverse(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut a = matrix.to_vec();
    let mut b = vec![0.0; n * n];
    (0..n).for_each(|i| b[i * n + i] = 1.0);
    for i in 0..n {
        let pivot = a[i * n + i];
        for j in 0..n {
            a[i * n + j] /= pivot;
            b[i * n + j] /= pivot;
        }
        for row in (0..n).filter(|&row| row != i) {
            let factor = a[row * n + i];
            for j in 0..n {
                a[row * n + j] -= factor * a[i * n + j];
                b[row * n + j] -= factor * b[i * n + j];
            }
        }
    }
    b
}

#[test]
fn known_pairs_are_inner_products_with_their_noise() {
    let (model, samples) = bayes(&[]);
    let predictive = Predictive::new(&model, &samples).unwrap();
    for (user, item) in [(0, 0), (19, 3), (7, 16)] {
        let (means, deviations) = parts(&predictive, user, item, false);
        let (same, points) = parts(&predictive, user, item, true);
        assert_eq!((same, points), (means.clone(), vec![0.0; COUNT]));
        for (s, sample) in samples.samples.iter().enumerate() {
            assert_relative_eq!(means[s], sample.factors.score(user, item), max_relative = 1e-13);
            let weight = f64::from(sample.noise_weights[user as usize]);
            let variance = 1.0 / (sample.noise_precision * weight);
            assert_relative_eq!(deviations[s], variance.sqrt(), max_relative = 1e-13);
        }
    }
}

/// Prior mean `[p, b]` and covariance of a row without ratings.
fn stranger(samples: &Samples, s: usize, side: Side) -> (Vec<f64>, Vec<f64>) {
    let prior = samples.samples[s].prior(side);
    let popularity = samples.popularity[usize::from(side == Side::Item)];
    let zeta = popularity.unknown;
    let mean = prior.mean.iter().zip(&prior.slope).map(|(m, slope)| m + zeta * slope).collect();
    let mut covariance = inverse(&prior.precision, K + 1);
    for (at, x) in covariance.iter_mut().enumerate() {
        let [a, b] = [at / (K + 1), at % (K + 1)].map(|j| prior.slope[j]);
        *x += popularity.unknown_variance * a * b;
    }
    (mean, covariance)
}

#[test]
fn an_unknown_id_adds_its_prior() {
    let (model, samples) = bayes(&[]);
    let predictive = Predictive::new(&model, &samples).unwrap();
    for s in 0..COUNT {
        let sample = &samples.samples[s];
        let f = &sample.factors;
        for (side, user, item) in [(Side::User, UNKNOWN, 4), (Side::Item, 11, UNKNOWN)] {
            let (z, covariance) = stranger(&samples, s, side);
            let (partner, bias, weight) = match side {
                Side::User => (f.item(4), f[Side::Item].bias[4], sample.noise_weights[USERS]),
                Side::Item => (f.user(11), f[Side::User].bias[11], sample.noise_weights[11]),
            };
            let x: Vec<f64> = partner.iter().map(|&x| f64::from(x)).chain([1.0]).collect();
            let guess = f64::from(f.global_mean)
                + f64::from(bias)
                + z.iter().zip(&x).map(|(z, x)| z * x).sum::<f64>();
            // The partner's own mean counts as its ratings do, the guess as five.
            let (n, own) = match side {
                Side::User => (model.item_ratings[4], samples.row_means[1][4]),
                Side::Item => (model.user_ratings[11], samples.row_means[0][11]),
            };
            let own = f64::from(f.global_mean) + f64::from(own);
            let mean = (f64::from(n) * own + 5.0 * guess) / (f64::from(n) + 5.0);
            let mut variance = 0.0;
            for i in 0..=K {
                for j in 0..=K {
                    variance += x[i] * covariance[i * (K + 1) + j] * x[j];
                }
            }
            let (means, deviations) = parts(&predictive, user, item, true);
            assert_relative_eq!(means[s], mean, max_relative = 1e-12);
            assert_relative_eq!(deviations[s], variance.sqrt(), max_relative = 1e-10);
            let noise = 1.0 / (sample.noise_precision * f64::from(weight));
            let (_, deviations) = parts(&predictive, user, item, false);
            assert_relative_eq!(deviations[s], (variance + noise).sqrt(), max_relative = 1e-10);
        }
    }
}

/// Draws from `N(mean, matrix)`.
fn draws(mean: &[f64], matrix: &[f64], n: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let w = mean.len();
    let mut root = vec![0.0; w * w];
    for i in 0..w {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|l| root[i * w + l] * root[j * w + l]).sum();
            let rest = matrix[i * w + j] - sum;
            root[i * w + j] = if i == j { rest.sqrt() } else { rest / root[j * w + j] };
        }
    }
    let one = |random: &mut ChaCha8Rng| {
        let z: Vec<f64> = (0..w).map(|_| StandardNormal.sample(random)).collect();
        let row = |i: usize| mean[i] + (0..=i).map(|l| root[i * w + l] * z[l]).sum::<f64>();
        (0..w).map(row).collect()
    };
    (0..n).map(|_| one(random)).collect()
}

#[test]
fn two_unknown_ids_have_the_moments_of_draws() {
    let (model, samples) = bayes(&[]);
    let predictive = Predictive::new(&model, &samples).unwrap();
    let (means, deviations) = parts(&predictive, UNKNOWN, UNKNOWN, true);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let n = 100_000;
    for s in 0..2 {
        let mut side = |side| {
            let (mean, covariance) = stranger(&samples, s, side);
            draws(&mean, &covariance, n, &mut random)
        };
        let (users, items) = (side(Side::User), side(Side::Item));
        let mean = f64::from(samples.samples[s].factors.global_mean);
        let score = |(p, q): (&Vec<f64>, &Vec<f64>)| {
            let product: f64 = p[..K].iter().zip(&q[..K]).map(|(p, q)| p * q).sum();
            mean + p[K] + q[K] + product
        };
        let scores: Vec<f64> = users.iter().zip(&items).map(score).collect();
        let average = |f: &dyn Fn(f64) -> f64| scores.iter().map(|&x| f(x)).sum::<f64>() / n as f64;
        let mean = average(&|x| x);
        let variance = average(&|x| (x - mean).powi(2));
        let fourth = average(&|x| (x - mean).powi(4));
        // Five standard errors; the draws are fixed.
        let root = (n as f64).sqrt();
        assert!((means[s] - mean).abs() < 5.0 * variance.sqrt() / root);
        let error = (fourth - variance * variance).sqrt() / root;
        assert!((deviations[s].powi(2) - variance).abs() < 5.0 * error);
    }
}

#[test]
fn a_bias_that_is_not_learned_adds_no_variance() {
    let (model, mut samples) = bayes(&[]);
    let with = Predictive::new(&model, &samples).unwrap();
    let [before, _] = [true, false].map(|credible| parts(&with, UNKNOWN, 3, credible).1);
    for sample in &mut samples.samples {
        let prior = &mut sample.priors[0];
        (prior.mean[K], prior.slope[K]) = (0.0, 0.0);
        for j in 0..=K {
            let one = f64::from(u8::from(j == K));
            prior.precision[K * (K + 1) + j] = one;
            prior.precision[j * (K + 1) + K] = one;
        }
    }
    let without = Predictive::new(&model, &samples).unwrap();
    let (_, after) = parts(&without, UNKNOWN, 3, true);
    for s in 0..COUNT {
        let sample = &samples.samples[s];
        let (_, covariance) = stranger(&samples, s, Side::User);
        let q = sample.factors.item(3);
        let product =
            |i: usize, j: usize| f64::from(q[i]) * covariance[i * (K + 1) + j] * f64::from(q[j]);
        let variance: f64 = (0..K * K).map(|at| product(at / K, at % K)).sum();
        assert_relative_eq!(after[s], variance.sqrt(), max_relative = 1e-10);
        assert!(before[s] != after[s]);
    }
}

#[test]
fn summaries_are_in_the_unit_of_the_ratings() {
    let (mut model, samples) = bayes(&[]);
    let ask = Ask { interval: Some(0.9), credible: false };
    let pair = (3, 5);
    let (means, deviations) = {
        let predictive = Predictive::new(&model, &samples).unwrap();
        parts(&predictive, pair.0, pair.1, false)
    };
    let mixture = Mixture { means: &means, deviations: &deviations };
    model.objective.transform = Transform {
        steps: vec![Step::MinMax { min: -2.0, max: 18.0 }, Step::ZScore { mean: 0.4, std: 0.3 }],
    };
    let said = one(&Predictive::new(&model, &samples).unwrap(), pair, &ask);
    let back = |x: f64| (x * 0.3 + 0.4) * 20.0 - 2.0;
    assert_relative_eq!(said.mean, back(mixture.mean()), max_relative = 1e-12);
    assert_relative_eq!(said.deviation, 6.0 * mixture.deviation(), max_relative = 1e-12);
    let [low, high] = mixture.interval(0.9);
    assert_relative_eq!(said.interval.unwrap()[0], back(low), max_relative = 1e-12);
    assert_relative_eq!(said.interval.unwrap()[1], back(high), max_relative = 1e-12);
    // A logarithm: quantiles go through the inverse, whatever moments there are.
    model.objective.transform =
        Transform { steps: vec![Step::Log1p, Step::ZScore { mean: 2.0, std: 1.5 }] };
    let back = |x: f64| (x * 1.5 + 2.0).exp_m1();
    let predictive = Predictive::new(&model, &samples).unwrap();
    let said = one(&predictive, pair, &ask);
    assert_relative_eq!(said.mean, back(mixture.mean()), max_relative = 1e-12);
    assert_relative_eq!(said.interval.unwrap()[0], back(low), max_relative = 1e-12);
    let [low, high] = mixture.interval(gaussian::cdf(1.0) - gaussian::cdf(-1.0)).map(back);
    assert_relative_eq!(said.deviation, (high - low) / 2.0, max_relative = 1e-9);
    // Without the noise: the samples' means alone.
    model.objective.transform = Transform::default();
    let predictive = Predictive::new(&model, &samples).unwrap();
    let said = one(&predictive, pair, &Ask { credible: true, ..ask });
    let points = Mixture { means: &means, deviations: &[0.0; COUNT] };
    assert_eq!(said.interval, Some(points.interval(0.9)));
    assert_relative_eq!(said.deviation, points.deviation(), max_relative = 1e-12);
    assert!(said.deviation < mixture.deviation());
    // Not known: the prior's spread stays.
    let unknown = one(&predictive, (UNKNOWN, 5), &Ask { credible: true, ..ask });
    let (means, deviations) = parts(&predictive, UNKNOWN, 5, true);
    let mixture = Mixture { means: &means, deviations: &deviations };
    assert_relative_eq!(unknown.deviation, mixture.deviation(), max_relative = 1e-12);
    assert!(unknown.deviation > 2.0 * said.deviation);
    let error = predictive.summaries(&[0], &[0], &Ask { interval: Some(1.2), credible: false });
    assert!(error.unwrap_err().to_string().contains("`interval` 1.2: must lie between 0 and 1"));
}

#[test]
fn clip_bounds_every_sample() {
    let (mut model, samples) = bayes(&[]);
    model.objective.transform = Transform { steps: vec![Step::ZScore { mean: 1.0, std: 2.0 }] };
    model.objective.clip = true;
    let error = Predictive::new(&model, &samples).err().unwrap().to_string();
    assert!(error.contains("clip") && error.contains("no min and max"), "{error}");
    // In the model's unit 3 to 3.4.
    model.facts.range = Some([7.0, 7.8]);
    let mut open = model.clone();
    open.objective.clip = false;
    let clipped = Predictive::new(&model, &samples).unwrap();
    let free = Predictive::new(&open, &samples).unwrap();
    let (mut below, mut above) = (0, 0);
    for user in 0..USERS as u32 {
        for item in [0, 9, UNKNOWN] {
            let (bounded, sd) = parts(&clipped, user, item, false);
            let (means, free_sd) = parts(&free, user, item, false);
            assert_eq!(sd, free_sd);
            for (bounded, mean) in bounded.iter().zip(means) {
                assert_relative_eq!(*bounded, mean.clamp(3.0, 3.4), max_relative = 1e-6);
                below += u32::from(mean < 3.0);
                above += u32::from(mean > 3.4);
            }
        }
    }
    assert!(below > 20 && above > 20);
}

/// `∫ f` by Simpson's rule over `2n` steps.
fn integral(low: f64, high: f64, n: usize, f: impl Fn(f64) -> f64) -> f64 {
    let h = (high - low) / (2 * n) as f64;
    let weight = |i: usize| if i == 0 || i == 2 * n { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 };
    h / 3.0 * (0..=2 * n).map(|i| weight(i) * f(low + h * i as f64)).sum::<f64>()
}

/// The probabilities of levels and the expected rating, by an integral over the latent value.
fn level_by_grid(samples: &Samples, means: &[f64], deviations: &[f64]) -> Vec<f64> {
    let mut chances = vec![0.0; samples.levels.len()];
    for (s, sample) in samples.samples.iter().enumerate() {
        let sd = deviations[s].hypot(1.0);
        let density = |z: f64| gaussian::density((z - means[s]) / sd) / sd;
        for (level, chance) in chances.iter_mut().enumerate() {
            let low = if level == 0 { -40.0 } else { sample.thresholds[level - 1] };
            let high = sample.thresholds.get(level).copied().unwrap_or(40.0);
            *chance += integral(low, high, 2000, density) / COUNT as f64;
        }
    }
    chances
}

#[test]
fn levels_have_the_probabilities_of_their_intervals() {
    let levels = [1.0, 2.0, 4.0, 4.5];
    let (model, samples) = bayes(&levels);
    let predictive = Predictive::new(&model, &samples).unwrap();
    assert_eq!(predictive.level_values(), [1.0, 2.0, 4.0, 4.5]);
    assert_eq!([4.0, 3.0].map(|rating| predictive.level_of(rating)), [Some(2), None]);
    for pair in [(0, 1), (5, 5), (UNKNOWN, 3), (2, UNKNOWN), (UNKNOWN, UNKNOWN)] {
        let (means, deviations) = parts(&predictive, pair.0, pair.1, true);
        let chances = level_by_grid(&samples, &means, &deviations);
        let said = one(&predictive, pair, &Ask { interval: Some(0.8), credible: false });
        for (got, want) in said.levels.iter().zip(&chances) {
            assert_relative_eq!(*got, *want, max_relative = 1e-8);
        }
        let expect = |f: &dyn Fn(f64) -> f64| {
            chances.iter().zip(levels).map(|(p, value)| p * f(f64::from(value))).sum::<f64>()
        };
        let mean = expect(&|x| x);
        assert_relative_eq!(said.mean, mean, max_relative = 1e-8);
        let deviation = expect(&|x| (x - mean).powi(2)).sqrt();
        assert_relative_eq!(said.deviation, deviation, max_relative = 1e-7);
        // The smallest central set, by trying all.
        let [low, high] = said
            .interval
            .unwrap()
            .map(|end| levels.iter().position(|&level| f64::from(level) == end).unwrap());
        let sum = |levels: &[f64]| levels.iter().sum::<f64>();
        assert!(sum(&chances[..low]) <= 0.1 && sum(&chances[high + 1..]) <= 0.1);
        assert!(sum(&chances[..=low]) > 0.1 && sum(&chances[high..]) > 0.1);
        assert!(sum(&chances[low..=high]) >= 0.8);
        // How well the expected rating is known: under each sample, by draws where a row is unknown.
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut expected = Vec::new();
        for (s, sample) in samples.samples.iter().enumerate() {
            for _ in 0..if deviations[s] > 0.0 { 4000 } else { 1 } {
                let z: f64 = StandardNormal.sample(&mut random);
                let mean = means[s] + z * deviations[s];
                let above = |at: usize| gaussian::cdf(mean - sample.thresholds[at]);
                expected.push(1.0 + above(0) + 2.0 * above(1) + 0.5 * above(2));
            }
        }
        let points = Mixture { means: &expected, deviations: &vec![0.0; expected.len()] };
        let known = one(&predictive, pair, &Ask { interval: Some(0.8), credible: true });
        // 28,000 draws: a standard error of 0.5 % of the deviation, of 1 % in quantiles.
        let (near, ends) = if expected.len() > COUNT { (0.03, 0.06) } else { (1e-9, 1e-9) };
        assert_relative_eq!(known.deviation, points.deviation(), max_relative = near);
        for (got, want) in known.interval.unwrap().iter().zip(points.interval(0.8)) {
            assert!((got - want).abs() <= ends * points.deviation());
        }
        assert!(known.deviation < said.deviation);
    }
}

/// Ratings of random pairs, now and then of unknown ids.
fn ratings(count: usize, values: &[f32]) -> Ratings {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut ratings = Ratings::default();
    for _ in 0..count {
        let (user, item) =
            (random.random_range(0..=USERS as u32), random.random_range(0..=ITEMS as u32));
        ratings.users.push(if user == USERS as u32 { UNKNOWN } else { user });
        ratings.items.push(if item == ITEMS as u32 { UNKNOWN } else { item });
        ratings.values.push(match values {
            [] => random.random_range(0.0..6.0),
            values => values[random.random_range(0..values.len())],
        });
    }
    ratings
}

#[test]
fn metrics_are_means_over_the_ratings() {
    let (mut model, samples) = bayes(&[]);
    model.objective.transform =
        Transform { steps: vec![Step::Log1p, Step::ZScore { mean: -2.0, std: 0.5 }] };
    let ratings = ratings(3000, &[]);
    let predictive = Predictive::new(&model, &samples).unwrap();
    let got = predictive_metrics(&predictive, &ratings).unwrap();
    let n = ratings.len() as f64;
    let back = |x: f64| (x * 0.5 - 2.0).exp_m1();
    let (mut squares, mut density, mut score, mut width) = (0.0, 0.0, 0.0, 0.0);
    let mut covered = [0.0; 4];
    for (user, item, value) in ratings.iter() {
        let (means, deviations) = parts(&predictive, user, item, false);
        let mixture = Mixture { means: &means, deviations: &deviations };
        let value = f64::from(value);
        let truth = f64::from(model.objective.transform.apply(value as f32));
        squares += (value - back(mixture.mean())).powi(2);
        // In the unit of the ratings: by the derivative of the transform.
        density += mixture.density(truth).ln() - (0.5 * (1.0 + value)).ln();
        score += mixture.crps(truth);
        for (covered, p) in covered.iter_mut().zip([0.5, 0.8, 0.9, 0.95]) {
            let [low, high] = mixture.interval(p);
            *covered += f64::from(u8::from(truth >= low && truth <= high));
        }
        width += back(mixture.quantile(0.95)) - back(mixture.quantile(0.05));
    }
    assert_relative_eq!(got.rating.rmse, (squares / n).sqrt(), max_relative = 1e-9);
    assert_relative_eq!(got.log_predictive_density, density / n, max_relative = 1e-6);
    assert_relative_eq!(got.model_crps.unwrap(), score / n, max_relative = 1e-9);
    assert_eq!(got.crps, None);
    let coverage = [got.coverage_50, got.coverage_80, got.coverage_90, got.coverage_95];
    assert_eq!(coverage, covered.map(|covered| covered / n));
    assert!(got.coverage_50 > 0.0 && got.coverage_95 < 1.0);
    assert_relative_eq!(got.width_90.unwrap(), width / n, max_relative = 1e-9);
    assert!(got.rating.unknown_ratings > 100);
    // The same bits on any number of threads.
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let fresh = Predictive::new(&model, &samples).unwrap();
        assert_eq!(pool.install(|| predictive_metrics(&fresh, &ratings).unwrap()), got);
    }
    // A straight line scales the score, and shifts the density.
    model.objective.transform = Transform { steps: vec![Step::ZScore { mean: 1.0, std: 0.5 }] };
    let line = predictive_metrics(&Predictive::new(&model, &samples).unwrap(), &ratings).unwrap();
    assert_relative_eq!(line.crps.unwrap(), 0.5 * line.model_crps.unwrap(), max_relative = 1e-12);
    let shift = line.log_predictive_density - line.model_log_predictive_density.unwrap();
    assert_relative_eq!(shift, 2.0_f64.ln(), max_relative = 1e-9);
}

#[test]
fn metrics_of_levels_are_those_of_their_probabilities() {
    let levels = [1.0, 2.0, 4.0, 4.5];
    let (mut model, samples) = bayes(&levels);
    model.facts.mean = Some(2.5);
    let predictive = Predictive::new(&model, &samples).unwrap();
    let test = ratings(2000, &levels);
    let got = predictive_metrics(&predictive, &test).unwrap();
    let ask = Ask { interval: Some(0.9), credible: false };
    let said = predictive.summaries(&test.users, &test.items, &ask).unwrap();
    let n = said.len() as f64;
    let mut sums = [0.0; 7];
    for (said, &value) in said.iter().zip(&test.values) {
        let truth = levels.iter().position(|&level| level == value).unwrap();
        let [low, high] = said.interval.unwrap();
        let value = f64::from(value);
        let mut score = 0.0;
        for at in 0..levels.len() - 1 {
            let below: f64 = said.levels[..=at].iter().sum();
            score += (below - f64::from(u8::from(truth <= at))).powi(2);
        }
        let most = said.levels.iter().copied().fold(0.0, f64::max);
        let terms = [
            said.levels[truth].ln(),
            score,
            f64::from(u8::from(said.levels[truth] == most)),
            f64::from(u8::from(value >= low && value <= high)),
            high - low,
            (value - said.mean).powi(2),
            (value - 2.5).powi(2),
        ];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    let [density, score, hits, covered, width, squares, around] = sums;
    assert_relative_eq!(got.log_predictive_density, density / n, max_relative = 1e-9);
    assert_relative_eq!(got.ranked_probability_score.unwrap(), score / n, max_relative = 1e-9);
    assert_relative_eq!(got.accuracy.unwrap(), hits / n, max_relative = 1e-12);
    assert_relative_eq!(got.coverage_90, covered / n, max_relative = 1e-12);
    assert_relative_eq!(got.width_90.unwrap(), width / n, max_relative = 1e-9);
    assert_relative_eq!(got.rating.rmse, (squares / n).sqrt(), max_relative = 1e-9);
    let ratio = got.rating.relative_squared_error.unwrap();
    assert_relative_eq!(ratio, squares / around, max_relative = 1e-9);
    assert_eq!((got.crps, got.rating.auc), (None, None));
    let wrong = predictive_metrics(&predictive, &ratings(5, &[3.0])).unwrap_err().to_string();
    assert!(wrong.contains("rating 3 is none of the levels") && wrong.contains("1, 2, 4, 4.5"));
}

#[test]
fn two_levels_from_a_threshold_are_probabilities() {
    let (mut model, mut samples) = bayes(&[0.0, 1.0]);
    samples.samples.iter_mut().for_each(|sample| sample.thresholds = vec![0.0]);
    model.objective.transform = Transform { steps: vec![Step::Binary { threshold: 3.5 }] };
    model.factors.global_mean = 0.25;
    let predictive = Predictive::new(&model, &samples).unwrap();
    assert_eq!(predictive.level_values(), [0.0, 1.0]);
    assert_eq!([2.0, 5.0].map(|rating| predictive.level_of(rating)), [Some(0), Some(1)]);
    let (means, _) = parts(&predictive, 4, 4, true);
    let p = means.iter().map(|&mean| gaussian::cdf(mean)).sum::<f64>() / COUNT as f64;
    let said = one(&predictive, (4, 4), &Ask::default());
    assert_relative_eq!(said.mean, p, max_relative = 1e-12);
    assert_relative_eq!(said.deviation, (p * (1.0 - p)).sqrt(), max_relative = 1e-12);
    assert_relative_eq!(said.levels[1], p, max_relative = 1e-12);
    let test = ratings(1500, &[1.0, 5.0]);
    let PredictiveMetrics { rating, .. } = predictive_metrics(&predictive, &test).unwrap();
    let said = predictive.summaries(&test.users, &test.items, &Ask::default()).unwrap();
    let truths = test.values.iter().map(|&value| f64::from(u8::from(value > 3.5)));
    let errors: Vec<[f64; 2]> = truths
        .zip(&said)
        .map(|(truth, said)| [(truth - said.mean).powi(2), (truth - gaussian::cdf(0.25)).powi(2)])
        .collect();
    let [squares, around] = [0, 1].map(|at| errors.iter().map(|e| e[at]).sum::<f64>());
    assert_relative_eq!(rating.rmse, (squares / 1500.0).sqrt(), max_relative = 1e-9);
    let ratio = rating.relative_squared_error.unwrap();
    assert_relative_eq!(ratio, squares / around, max_relative = 1e-6);
    assert!((0.4..0.6).contains(&rating.auc.unwrap()));
}

#[test]
fn samples_of_another_model_are_refused() {
    let (other, samples) = bayes(&[]);
    let refused = |model: &Model, samples: &Samples| {
        let error = Predictive::new(model, samples).err().unwrap().to_string();
        assert!(error.contains("not those of the model"), "{error}");
    };
    refused(&other, &Samples::default());
    refused(&model(USERS, ITEMS + 1, K), &samples);
    let mut cut = samples.clone();
    cut.samples[3].noise_weights.pop();
    refused(&other, &cut);
    let mut odd = samples;
    odd.samples[0].priors[1].precision.fill(-1.0);
    let predictive = Predictive::new(&other, &odd).unwrap();
    assert!(predictive.summaries(&[0], &[0], &Ask::default()).is_ok());
    let error = predictive.summaries(&[0], &[UNKNOWN], &Ask::default()).unwrap_err().to_string();
    assert!(error.contains("not positive definite"), "{error}");
}
