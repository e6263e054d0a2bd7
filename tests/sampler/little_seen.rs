//! Where little or nothing was seen: bayes without settings beside means that are damped, on planted
//! ratings.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};
use wgmf::core::Side;
use wgmf::{Dataset, Evaluation, Options, Trained, fit, open_device};

/// A rating: user, item, value.
type Rating = (u32, u32, f32);

/// What is planted.
#[derive(Clone, Copy, Debug)]
struct Planted {
    users: u32,
    items: u32,
    /// Ratings of the median user.
    median: f64,
    factors: usize,
    /// Degrees of freedom of the noise; 0 for Gaussian.
    tail: f64,
    /// Whether popular rows are rated higher.
    slope: f64,
    /// Whole stars from 1 to 5.
    stars: bool,
}

const PLAIN: Planted =
    Planted { users: 0, items: 0, median: 1.0, factors: 0, tail: 0.0, slope: 0.0, stars: true };

fn normal(random: &mut impl Rng) -> f64 {
    StandardNormal.sample(random)
}

impl Planted {
    /// The ratings: users rate by a heavy-tailed law, items are rated by Zipf's.
    fn ratings(self) -> Vec<Rating> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let k = self.factors;
        let mut rows = |n: u32, popular: &dyn Fn(u32) -> f64| -> Vec<Vec<f64>> {
            let mut row = |at: u32| {
                let mut row: Vec<f64> = (0..k).map(|_| 0.5 * normal(&mut random)).collect();
                row.push(0.4 * normal(&mut random) + self.slope * popular(at));
                row
            };
            (0..n).map(&mut row).collect()
        };
        let items = rows(self.items, &|at| 1.0 - (f64::from(at) + 1.0).ln() / 3.0);
        let users = rows(self.users, &|_| 0.0);
        let mut ratings = Vec::new();
        for user in 0..self.users {
            let chance: f64 = random.random::<f64>().max(0.005);
            let count = (self.median * 0.5_f64.powf(0.8) / chance.powf(0.8)).floor().max(1.0);
            let count = (count as usize).min(self.items as usize / 3);
            let mut chosen = std::collections::BTreeSet::new();
            while chosen.len() < count {
                let item = f64::from(self.items).powf(random.random::<f64>()) - 1.0;
                chosen.insert(item as u32);
            }
            for item in chosen {
                let (p, q) = (&users[user as usize], &items[item as usize]);
                let product: f64 = (0..k).map(|j| p[j] * q[j]).sum();
                let noise = match self.tail > 0.0 {
                    true => StudentT::new(self.tail).unwrap().sample(&mut random) * 0.5,
                    false => normal(&mut random) * 0.8,
                };
                let rating = 3.4 + p[k] + q[k] + product + noise;
                let rating = if self.stars { rating.round().clamp(1.0, 5.0) } else { rating };
                ratings.push((user, item, rating as f32));
            }
        }
        ratings
    }
}

fn dataset(ratings: &[Rating]) -> Dataset {
    let users: Vec<u32> = ratings.iter().map(|rating| rating.0).collect();
    let items: Vec<u32> = ratings.iter().map(|rating| rating.1).collect();
    let values: Vec<f32> = ratings.iter().map(|rating| rating.2).collect();
    Dataset::from_triples(&users, &items, &values).unwrap()
}

/// What means say, each with 5 ratings of 0 deviation added: those of users and of items in `turns`, each
/// given the other's. One turn of one side alone is the row's damped mean.
fn damped(train: &[Rating], test: &[Rating], sides: &[Side], turns: usize) -> f64 {
    let mean = train.iter().map(|r| f64::from(r.2)).sum::<f64>() / train.len() as f64;
    let most = train.iter().chain(test).map(|r| r.0.max(r.1)).max().unwrap() as usize + 1;
    let mut biases = [vec![0.0; most], vec![0.0; most]];
    for _ in 0..turns {
        for side in sides {
            let (mut sums, mut counts) = (vec![0.0; most], vec![5.0; most]);
            for &(user, item, value) in train {
                let rows = [user as usize, item as usize];
                let (own, partner) = (rows[side.index()], rows[side.partner().index()]);
                sums[own] += f64::from(value) - mean - biases[side.partner().index()][partner];
                counts[own] += 1.0;
            }
            biases[side.index()] = sums.iter().zip(counts).map(|(sum, n)| sum / n).collect();
        }
    }
    let error = |r: &Rating| {
        let guess = mean + biases[0][r.0 as usize] + biases[1][r.1 as usize];
        (f64::from(r.2) - guess).powi(2)
    };
    (test.iter().map(error).sum::<f64>() / test.len() as f64).sqrt()
}

fn trained(train: &[Rating]) -> Trained {
    let options = Options::bayes().samples(100).burn_in(40);
    fit(&dataset(train), &options, &open_device("cpu").unwrap()).unwrap()
}

/// The root mean squared error, and what the 90 % intervals cover.
fn measured(trained: &Trained, test: &[Rating]) -> (f64, f64) {
    match trained.evaluate(&dataset(test)).unwrap() {
        Evaluation::Predictive(metrics) => (metrics.rating.rmse, metrics.coverage_90),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sparse_ratings_are_predicted_no_worse_than_by_biases_alone() {
    let sparse = Planted { users: 3000, items: 800, ..PLAIN };
    for planted in [
        sparse,
        Planted { median: 2.5, users: 1500, ..sparse },
        Planted { median: 2.5, users: 1500, factors: 6, ..sparse },
        Planted { tail: 2.2, stars: false, ..sparse },
        Planted { median: 25.0, users: 300, items: 300, ..sparse },
    ] {
        let ratings = planted.ratings();
        let parts: (Vec<_>, Vec<_>) = ratings.iter().enumerate().partition(|(at, _)| at % 10 != 3);
        let [train, test] = [parts.0, parts.1]
            .map(|part| part.into_iter().map(|(_, rating)| *rating).collect::<Vec<Rating>>());
        let biases = damped(&train, &test, &[Side::Item, Side::User], 30);
        let (bayes, covered) = measured(&trained(&train), &test);
        let a_user = ratings.len() as f64 / f64::from(planted.users);
        println!("{planted:?}: {a_user:.1} a user: {bayes:.4}, biases {biases:.4}, {covered:.3}");
        // Of some 600 held-out ratings or more: by chance either is ahead by half a percent.
        assert!(bayes <= 1.01 * biases, "{planted:?}: {bayes}, biases alone {biases}");
    }
}

#[test]
fn unknown_ids_are_predicted_as_the_other_side_alone_would() {
    let planted = Planted { users: 700, items: 500, median: 25.0, factors: 4, slope: 0.4, ..PLAIN };
    let all = planted.ratings();
    // Every item has 20 ratings or more, so that none without any lies within what is seen.
    let mut counts = vec![0; planted.items as usize];
    all.iter().for_each(|r| counts[r.1 as usize] += 1);
    let all: Vec<Rating> = all.into_iter().filter(|r| counts[r.1 as usize] >= 20).collect();
    for side in [Side::Item, Side::User] {
        let out = |r: &Rating| [r.0, r.1][side.index()] % 5 == 2;
        let (test, train): (Vec<Rating>, Vec<Rating>) = all.iter().partition(|r| out(r));
        let means = damped(&train, &test, &[side.partner()], 1);
        let trained = trained(&train);
        let (bayes, covered) = measured(&trained, &test);
        println!("unknown {side:?}: {bayes:.4}, damped means {means:.4}, {covered:.3}");
        assert!(bayes <= 1.005 * means, "{side:?}: {bayes}, damped means {means}");
        assert!((covered - 0.9).abs() < 0.03, "{side:?}: {covered}");
    }
}

#[test]
fn users_of_a_rating_are_folded_in_no_worse_than_by_biases_alone() {
    let planted = Planted { users: 700, items: 400, median: 25.0, factors: 4, slope: 0.3, ..PLAIN };
    let all = planted.ratings();
    let (new, train): (Vec<Rating>, Vec<Rating>) = all.iter().partition(|r| r.0 % 5 == 2);
    let trained = trained(&train);
    for given in [1, 3] {
        let (mut known, mut rest) = (Vec::new(), Vec::new());
        let mut seen = std::collections::BTreeMap::new();
        for (at, &rating) in new.iter().enumerate() {
            let count: &mut usize = seen.entry(rating.0).or_default();
            // Not the first, which are of popular items.
            let chosen = at % 4 == 1 && *count < given;
            *count += usize::from(chosen);
            if chosen { known.push(rating) } else { rest.push(rating) }
        }
        rest.retain(|rating| seen[&rating.0] == given);
        let with = [&train[..], &known].concat();
        let biases = damped(&with, &rest, &[Side::Item, Side::User], 30);
        let folded = trained.fold_in(&dataset(&known)).unwrap().trained;
        let (bayes, covered) = measured(&folded, &rest);
        println!("{given} given: {bayes:.4}, biases alone {biases:.4}, {covered:.3}");
        assert!(bayes <= 1.005 * biases, "{given} given: {bayes}, biases alone {biases}");
        assert!((covered - 0.9).abs() < 0.03, "{given} given: {covered}");
    }
}
