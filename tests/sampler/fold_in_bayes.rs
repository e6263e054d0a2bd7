//! New rows of Bayesian models: `recommend::draw_in` against the distributions it draws from, by
//! textbook and by numeric integration, and on both devices.

use crate::{common, fixture, oracle};
use wgmf::backend::{Backend, Conditional, GibbsProblem};
use wgmf::core::{Factors, Ids, Popularity, Ratings, RowPrior, RowRatings, Side};
use wgmf::cpu::Cpu;
use wgmf::math::random::{Purpose, Stream};
use wgmf::model::{Model, Sample, Samples};
use wgmf::predict::log_level_probability;
use wgmf::recommend::draw_in;

use fixture::bayes::{COUNT, ITEMS, K, USERS, bayes};
use oracle::case::Draw;
use oracle::gibbs::{Textbook, backward, cholesky, forward, inverse};

/// How many new rows there are, and the ratings of each.
const NEW: [usize; 4] = [0, 1, 4, 15];

fn new_ids(count: usize) -> Ids {
    (0..count).map(|row| format!("new{row}")).collect()
}

/// Ratings of new rows of a side.
fn new_ratings(side: Side, value: impl Fn(f64) -> f32) -> Ratings {
    let mut draw = Draw::new(4);
    let mut ratings = Ratings::default();
    for (row, &count) in NEW.iter().enumerate() {
        for partner in 0..count as u32 {
            let (user, item) = match side {
                Side::User => (row as u32, partner),
                Side::Item => (partner, row as u32),
            };
            ratings.users.push(user);
            ratings.items.push(item);
            ratings.values.push(value(draw.unit()));
        }
    }
    ratings
}

/// Copies of the fixture's samples, `count` in all, the first `distinct` in turn.
fn many(levels: &[f32], distinct: usize, count: usize) -> (Model, Samples) {
    let (model, mut samples) = bayes(levels);
    samples.samples = (0..count).map(|at| samples.samples[at % distinct].clone()).collect();
    (model, samples)
}

/// The prior of rows that training has not seen: their covariance, and that of what their popularity
/// adds.
fn unseen_prior(samples: &Samples, sample: &Sample, side: Side) -> RowPrior {
    let mut prior = sample.prior(side).clone();
    let wide = prior.mean.len();
    let rows: Vec<Vec<f64>> = prior.precision.chunks(wide).map(<[f64]>::to_vec).collect();
    let mut covariance = inverse(&rows);
    let variance = samples.popularity[side.index()].unknown_variance;
    for (of, a) in covariance.iter_mut().zip(&prior.slope) {
        for (to, b) in of.iter_mut().zip(&prior.slope) {
            *to += variance * a * b;
        }
    }
    prior.precision = inverse(&covariance).concat();
    prior
}

/// A row's conditional distribution in a sample.
#[derive(Clone)]
struct Row<'a> {
    sample: &'a Sample,
    prior: RowPrior,
    popularity: Popularity,
    side: Side,
    row: usize,
    ratings: &'a Ratings,
    noise_shape: f64,
    noise_precision: f64,
    weighted: bool,
}

impl<'a> Row<'a> {
    fn new(
        samples: &'a Samples,
        sample: &'a Sample,
        side: Side,
        row: usize,
        ratings: &'a Ratings,
    ) -> Self {
        Row {
            sample,
            prior: unseen_prior(samples, sample, side),
            popularity: samples.popularity[side.index()],
            side,
            row,
            ratings,
            noise_shape: sample.noise_shape,
            noise_precision: sample.noise_precision,
            weighted: true,
        }
    }

    /// `A` and `A` times the mean, with this noise weight if it is a user's.
    fn equations(&self, weight: f32) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut start = self.sample.factors.clone();
        let counts: Vec<u32> = NEW.iter().map(|&count| count as u32).collect();
        let mut popularity = [vec![0.0; USERS + 1], vec![0.0; ITEMS + 1]];
        popularity[self.side.index()] = self.popularity.of_new_rows(&counts);
        let zeros = (vec![0.0; NEW.len() * start.factors], vec![0.0; NEW.len()]);
        let weights = match self.side {
            Side::User => {
                (start[Side::User].factors, start[Side::User].bias) = zeros;
                vec![weight; NEW.len()]
            }
            Side::Item => {
                (start[Side::Item].factors, start[Side::Item].bias) = zeros;
                self.sample.noise_weights[..USERS].to_vec()
            }
        };
        let rows = RowRatings::new(self.ratings, &[], start.users(), start.items());
        let textbook = Textbook::new(
            &GibbsProblem {
                ratings: rows,
                test: Ratings::default(),
                block: start.factors,
                starts: vec![start],
                popularity,
                bias: true,
                latent: false,
            },
            None,
        );
        let stream = Stream::new(0, 0, 0, Purpose::FoldIn);
        let conditional = Conditional {
            prior: &self.prior,
            noise_precision: self.noise_precision,
            noise_weights: if self.weighted { &weights } else { &[] },
            thresholds: &[],
            rows: stream,
            latents: stream,
        };
        textbook.equations(0, self.side, self.row, &conditional)
    }

    /// Mean and covariance where the noise is known.
    fn moments(&self) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (a, right) = self.equations(1.0);
        let triangle = cholesky(&a);
        (backward(&triangle, &forward(&triangle, &right)), inverse(&a))
    }

    /// Of a user's `[p, b, ln a]`, the weight integrated over: mean, covariance, and the distribution
    /// function of `ln a` on [`nodes`].
    fn with_noise(&self) -> (Vec<f64>, Vec<Vec<f64>>, Vec<f64>) {
        let f = &self.sample.factors;
        let own = self.ratings.iter().filter(|&(user, ..)| user as usize == self.row);
        let targets: Vec<f64> = own
            .map(|(_, item, value)| {
                f64::from(value)
                    - f64::from(f.global_mean)
                    - f64::from(f[Side::Item].bias[item as usize])
            })
            .collect();
        let squares: f64 = targets.iter().map(|t| t * t).sum();
        let mut parts = Vec::new();
        for x in nodes() {
            let weight = x.exp();
            let (a, right) = self.equations(weight as f32);
            let triangle = cholesky(&a);
            let solved = forward(&triangle, &right);
            let determinant: f64 = (0..a.len()).map(|i| triangle[i][i].ln()).sum();
            let density = self.noise_shape * (x - weight) + targets.len() as f64 / 2.0 * x
                - determinant
                + 0.5 * solved.iter().map(|y| y * y).sum::<f64>()
                - 0.5 * self.noise_precision * weight * squares;
            parts.push((density, x, backward(&triangle, &solved), inverse(&a)));
        }
        let top = parts.iter().fold(f64::NEG_INFINITY, |top, part| top.max(part.0));
        let all: f64 = parts.iter().map(|part| (part.0 - top).exp()).sum();
        let width = parts[0].2.len() + 1;
        let (mut mean, mut products) = (vec![0.0; width], vec![vec![0.0; width]; width]);
        let mut below = Vec::new();
        for (density, x, row, covariance) in &parts {
            let share = (density - top).exp() / all;
            below.push(below.last().unwrap_or(&0.0) + share);
            let z: Vec<f64> = row.iter().copied().chain([*x]).collect();
            for i in 0..width {
                mean[i] += share * z[i];
                for j in 0..width {
                    let within = if i.max(j) < width - 1 { covariance[i][j] } else { 0.0 };
                    products[i][j] += share * (z[i] * z[j] + within);
                }
            }
        }
        for i in 0..width {
            for j in 0..width {
                products[i][j] -= mean[i] * mean[j];
            }
        }
        (mean, products, below)
    }
}

/// Where `ln a` is integrated.
fn nodes() -> impl Iterator<Item = f64> {
    (0..500).map(|node| -7.0 + 0.02 * f64::from(node))
}

/// The largest distance of the mean and of the covariance of `rows` from these, in the draws' own
/// standard errors.
fn distance(rows: &[Vec<f64>], mean: &[f64], covariance: &[Vec<f64>]) -> f64 {
    let n = rows.len() as f64;
    let mut largest = 0.0_f64;
    let mut hold = |numbers: &mut dyn Iterator<Item = f64>, want: f64| {
        let numbers: Vec<f64> = numbers.collect();
        let got = numbers.iter().sum::<f64>() / n;
        let variance = numbers.iter().map(|x| (x - got).powi(2)).sum::<f64>() / n;
        largest = largest.max((got - want).abs() / (variance / n).sqrt());
    };
    for i in 0..mean.len() {
        hold(&mut rows.iter().map(|z| z[i]), mean[i]);
        for j in 0..=i {
            let products = &mut rows.iter().map(|z| (z[i] - mean[i]) * (z[j] - mean[j]));
            hold(products, covariance[i][j]);
        }
    }
    largest
}

/// What was drawn for a row in each of these samples, with `ln a` of a user.
fn drawn(folded: &wgmf::recommend::FoldedIn, k: usize, row: usize) -> Vec<Vec<f64>> {
    let of = |rows: &wgmf::model::DrawnRows| {
        let x = rows.factors[row * k..][..k].iter().chain([&rows.bias[row]]);
        let weight = rows.noise_weights.get(row).map(|&a| f64::from(a).ln());
        x.map(|&x| f64::from(x)).chain(weight).collect()
    };
    folded.draws.iter().map(of).collect()
}

// 7 samples, 4 rows, 27 moments of each: one right sampler in 200 goes beyond 4.5 standard errors.
#[test]
fn new_items_are_drawn_from_their_conditional() {
    let (model, samples) = many(&[], COUNT, 3_000 * COUNT);
    let ratings = new_ratings(Side::Item, |x| (2.0 + 3.0 * x) as f32);
    let ids = new_ids(NEW.len());
    let folded = draw_in(&Cpu::new(), &model, &samples, Side::Item, &ids, &ratings).unwrap();
    assert!(folded.draws.iter().all(|rows| rows.noise_weights.is_empty()));
    let mut largest = 0.0_f64;
    for (row, &count) in NEW.iter().enumerate() {
        let all = drawn(&folded, K, row);
        for (at, sample) in samples.samples[..COUNT].iter().enumerate() {
            let of_sample: Vec<_> = all.iter().skip(at).step_by(COUNT).cloned().collect();
            let right = Row::new(&samples, sample, Side::Item, row, &ratings);
            let (mean, covariance) = right.moments();
            largest = largest.max(distance(&of_sample, &mean, &covariance));
            // What a wrong sampler would draw from is noticed, where it matters.
            let zero = vec![0.0; K + 1];
            let mut wrong = vec![right.clone(); 5];
            wrong[0].weighted = false;
            wrong[1].noise_precision *= 0.5;
            wrong[2].prior.mean = zero.clone();
            wrong[3].prior.slope = zero;
            wrong[4].prior.precision.iter_mut().for_each(|x| *x *= 0.6);
            let many = count > 4;
            let expected = [many, many, count < 4, count < 4, count < 4];
            for (fault, (wrong, expected)) in wrong.iter().zip(expected).enumerate() {
                let (mean, covariance) = wrong.moments();
                let far = distance(&of_sample, &mean, &covariance);
                assert!(!expected || far > 7.0, "fault {fault} of row {row}, sample {at}: {far}");
            }
        }
    }
    println!("{largest:.2} standard errors");
    assert!(largest < 4.5, "{largest}");
}

#[test]
fn new_users_are_drawn_with_their_noise() {
    let (model, samples) = many(&[], 1, 20_000);
    let ratings = new_ratings(Side::User, |x| (1.0 + 4.5 * x) as f32);
    let ids = new_ids(NEW.len());
    let folded = draw_in(&Cpu::new(), &model, &samples, Side::User, &ids, &ratings).unwrap();
    for (row, &count) in NEW.iter().enumerate() {
        let draws = drawn(&folded, K, row);
        let right = Row::new(&samples, &samples.samples[0], Side::User, row, &ratings);
        let (mean, covariance, below) = right.with_noise();
        let far = distance(&draws, &mean, &covariance);
        // Kolmogorov and Smirnov's distance of the weight's distribution function: above 1.95 for one
        // right sampler in 1,000.
        let mut logs: Vec<f64> = draws.iter().map(|z| z[K + 1]).collect();
        logs.sort_by(f64::total_cmp);
        let n = logs.len() as f64;
        let gaps = nodes().zip(&below).map(|(x, below)| {
            // A node stands for what lies around it.
            let at = logs.partition_point(|&log| log <= x + 0.01) as f64;
            (at / n - below).abs()
        });
        let gap = gaps.fold(0.0, f64::max) * n.sqrt();
        println!("{} ratings: {far:.2} standard errors, Kolmogorov {gap:.2}", count);
        assert!(far < 4.5 && gap < 1.95, "{} ratings: {far}, {gap}", count);

        let mut wrong = vec![right.clone(); 3];
        wrong[0].noise_shape = 3.0;
        wrong[1].noise_precision *= if count > 1 { 0.7 } else { 1.0 };
        wrong[2].prior.precision.iter_mut().for_each(|x| *x *= 0.7);
        for (fault, wrong) in wrong.iter().enumerate().filter(|(at, _)| *at != 1 || count > 1) {
            let (mean, covariance, _) = wrong.with_noise();
            let far = distance(&draws, &mean, &covariance);
            assert!(far > 10.0, "fault {fault} of {} ratings: {far}", count);
        }
    }
}

/// A sample with one factor of what it had.
fn narrowed(sample: &Sample) -> Sample {
    let first = |x: &[f32]| x.iter().step_by(K).copied().collect();
    let f = &sample.factors;
    let ends = |x: &[f64]| vec![x[0], x[K]];
    let prior = |prior: &RowPrior| RowPrior {
        mean: ends(&prior.mean),
        slope: ends(&prior.slope),
        precision: [ends(&prior.precision[..=K]), ends(&prior.precision[K * (K + 1)..])].concat(),
    };
    let mut factors = Factors { factors: 1, ..f.clone() };
    factors.sides.iter_mut().for_each(|side| side.factors = first(&side.factors));
    Sample { factors, priors: sample.priors.each_ref().map(prior), ..sample.clone() }
}

// One factor and a bias can be integrated on a grid, latent values and all.
#[test]
fn rows_of_levels_have_their_posterior() {
    for levels in [&[0.0, 1.0][..], &[1.0, 2.0, 4.0, 4.5]] {
        let (mut model, mut samples) = many(levels, 1, 6_000);
        samples.samples.iter_mut().for_each(|sample| *sample = narrowed(sample));
        model.factors = samples.samples[0].factors.clone();
        let top = *levels.last().unwrap();
        for side in [Side::User, Side::Item] {
            // The last row's ratings are all of the highest level, where latent values say least.
            let mut ratings = new_ratings(side, |x| levels[(x * levels.len() as f64) as usize]);
            let from = ratings.len() - NEW[3];
            ratings.values[from..].fill(top);
            let ids = new_ids(NEW.len());
            let folded = draw_in(&Cpu::new(), &model, &samples, side, &ids, &ratings).unwrap();
            for (row, &count) in NEW.iter().enumerate() {
                let mut draws = drawn(&folded, 1, row);
                draws.iter_mut().for_each(|z| z.truncate(2));
                let posterior = |thinned: bool| {
                    let mut of = Row::new(&samples, &samples.samples[0], side, row, &ratings);
                    if thinned {
                        of.prior.precision.iter_mut().for_each(|x| *x *= 0.5);
                    }
                    of.on_grid(levels)
                };
                let (mean, covariance) = posterior(false);
                let far = distance(&draws, &mean, &covariance);
                println!("{levels:?} {side:?} {}: {far:.2} standard errors", count);
                assert!(far < 4.5, "{levels:?} {side:?} {}: {far}", count);
                let (mean, covariance) = posterior(true);
                assert!(distance(&draws, &mean, &covariance) > 7.0);
            }
        }
    }
}

impl Row<'_> {
    /// Mean and covariance of `[p, b]` given levels, by sums over a grid.
    fn on_grid(&self, levels: &[f32]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let f = &self.sample.factors;
        let center = self.prior.mean_of(self.popularity.of_new(NEW[self.row] as u32));
        let own = self.ratings.iter().filter_map(|(user, item, value)| {
            let level = levels.iter().position(|&level| level == value).unwrap();
            let (row, (q, c)) = match self.side {
                Side::User => (user, (f.item(item)[0], f[Side::Item].bias[item as usize])),
                Side::Item => (item, (f.user(user)[0], f[Side::User].bias[user as usize])),
            };
            (row as usize == self.row).then_some((f64::from(q), f64::from(c), level))
        });
        let own: Vec<(f64, f64, usize)> = own.collect();
        let cells = |j: i32| (f64::from(j) - 75.0) * 0.06;
        let mut sums = [0.0; 6];
        for i in 0..=150 {
            for j in 0..=150 {
                let (x, y) = (cells(i), cells(j));
                let (p, b) = (center[0] + x, center[1] + y);
                let l = &self.prior.precision;
                let mut density = -0.5 * (l[0] * x * x + (l[1] + l[2]) * x * y + l[3] * y * y);
                for &(q, c, level) in &own {
                    let mean = f64::from(f.global_mean) + b + c + p * q;
                    density += log_level_probability(mean, 1.0, &self.sample.thresholds, level);
                }
                let weight = density.exp();
                let figures = [1.0, p, b, p * p, p * b, b * b];
                sums.iter_mut().zip(figures).for_each(|(sum, x)| *sum += weight * x);
            }
        }
        let [all, p, b, pp, pb, bb] = sums;
        let (p, b) = (p / all, b / all);
        let beside = pb / all - p * b;
        (vec![p, b], vec![vec![pp / all - p * p, beside], vec![beside, bb / all - b * b]])
    }
}

fn widened(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

// Both devices use the same numbers; a weight's rejections could differ where its error is another
// in the last digit, which happens once in some millions.
#[test]
fn the_gpu_draws_what_the_cpu_draws() {
    let gpu = common::gpu();
    for side in [Side::User, Side::Item] {
        let (model, samples) = bayes(&[]);
        let ratings = new_ratings(side, |x| (1.0 + 4.0 * x) as f32);
        let ids = new_ids(NEW.len());
        let of = |backend: &dyn Backend| {
            draw_in(backend, &model, &samples, side, &ids, &ratings).unwrap()
        };
        let (got, want) = (of(&gpu), of(&Cpu::new()));
        for (got, want) in got.draws.iter().zip(&want.draws) {
            for (got, want) in [
                (&got.factors, &want.factors),
                (&got.bias, &want.bias),
                (&got.noise_weights, &want.noise_weights),
            ] {
                assert_eq!(got.len(), want.len());
                if !got.is_empty() {
                    let gap = common::largest_gap(got, &widened(want));
                    assert!(gap < 2e-3, "{side:?}: {gap}");
                }
            }
        }
        assert!(common::largest_gap(&got.factors, &widened(&want.factors)) < 2e-3);
        // Each sample, row and later fold-in has numbers of its own.
        let mut later = model.clone();
        later.facts.joined[0].new = 3;
        let later = draw_in(&Cpu::new(), &later, &samples, side, &ids, &ratings).unwrap();
        for (now, later) in want.draws.iter().zip(&later.draws) {
            assert!(now.factors.iter().zip(&later.factors).all(|(a, b)| a != b));
        }
    }
}
