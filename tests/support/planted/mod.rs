//! Planted rating sets as sparse as real ones, and what models are held against there: biases alone.

use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use wgmf::core::{Ids, Options, Ratings, Side, Solver, UNKNOWN};
use wgmf::cpu::Cpu;
use wgmf::train::{Input, train};

/// What ratings are made of the latent value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// The value itself.
    Real,
    /// 1 to 5.
    Stars,
    /// The logarithm of one more than a count.
    Plays,
    /// −10 to 10.
    Tens,
}

/// A planted set.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    pub name: &'static str,
    pub users: usize,
    pub items: usize,
    /// Pairs that are drawn, those of the test part included; some are drawn twice and count once.
    pub pairs: usize,
    /// Users' shares of the ratings fall as rank^−this.
    pub zipf: f64,
    /// Standard deviation of what factors say; 0 for biases alone.
    pub factors: f64,
    /// Whether noise differs from user to user, and has far outliers.
    pub heavy: bool,
    pub scale: Scale,
}

/// From 1.1 to 200 ratings a row, with and without factors in the truth.
pub const SETS: [Planted; 14] = [
    set("1 a row", (3500, 3500, 4800), 0.0, 0.0),
    set("1 a row, factors", (3500, 3500, 4800), 0.0, 1.0),
    set("3 a row", (3000, 800, 6000), 0.9, 0.0),
    set("3 a row, factors", (3000, 800, 6000), 0.9, 0.7),
    set("10 a row", (1000, 500, 12_000), 0.7, 0.0),
    set("10 a row, factors", (1000, 500, 12_000), 0.7, 0.6),
    set("50 a row", (300, 200, 22_000), 0.3, 0.0),
    set("50 a row, factors", (300, 200, 22_000), 0.3, 0.5),
    set("200 a row", (200, 200, 60_000), 0.0, 0.0),
    set("200 a row, factors", (200, 200, 60_000), 0.0, 0.4),
    Planted { heavy: true, ..set("10 a row, heavy noise", (1000, 500, 12_000), 0.7, 0.0) },
    Planted { scale: Scale::Stars, ..set("3 a row, stars", (3000, 800, 6000), 0.9, 0.5) },
    Planted { scale: Scale::Plays, ..set("10 a row, plays", (1000, 500, 12_000), 0.7, 0.0) },
    Planted { scale: Scale::Tens, ..set("10 a row, to ±10", (1000, 500, 12_000), 0.7, 0.5) },
];

const fn set(
    name: &'static str,
    (users, items, pairs): (usize, usize, usize),
    zipf: f64,
    factors: f64,
) -> Planted {
    Planted { name, users, items, pairs, zipf, factors, heavy: false, scale: Scale::Real }
}

/// Factors of the truth, and the deviations of its biases and of its noise.
const FACTORS: usize = 5;
const BIASES: [f64; 2] = [0.4, 0.5];
const NOISE: f64 = 0.9;

/// Training and test ratings, whose rows are numbered alike.
pub struct Parts {
    pub users: usize,
    pub items: usize,
    pub training: Ratings,
    pub test: Ratings,
}

impl Planted {
    /// A fifth of the ratings held out; of each seed other ones, of another truth.
    pub fn draw(&self, seed: u64) -> Parts {
        self.part(seed, |random, _, _| random.random_bool(0.2))
    }

    /// All ratings of every fifth row of a side held out; the training part does not know them.
    pub fn whole_rows(&self, side: Side, seed: u64) -> Parts {
        let mut parts =
            self.part(seed, |_, user, item| side.users_first(user, item).0.is_multiple_of(5));
        let held_out = match side {
            Side::User => &mut parts.test.users,
            Side::Item => &mut parts.test.items,
        };
        held_out.fill(UNKNOWN);
        parts
    }

    fn part(&self, seed: u64, held_out: impl Fn(&mut ChaCha8Rng, u32, u32) -> bool) -> Parts {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let share = |rank: usize, tail: f64, power: f64| (1.0 / (rank as f64 + tail)).powf(power);
        let by_rank = |rows: usize, tail, power| {
            WeightedIndex::new((1..=rows).map(|j| share(j, tail, power)))
        };
        let users = by_rank(self.users, 0.0, self.zipf).unwrap();
        let items = by_rank(self.items, 10.0, 0.8).unwrap();
        let pairs: BTreeSet<(u32, u32)> = (0..self.pairs)
            .map(|_| (users.sample(random) as u32, items.sample(random) as u32))
            .collect();
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.shuffle(random);
        let mut normals = |n: usize, deviation: f64| -> Vec<f64> {
            let normal = |_| -> f64 { StandardNormal.sample(random) };
            (0..n).map(normal).map(|z| z * deviation).collect()
        };
        let (b, c) = (normals(self.users, BIASES[0]), normals(self.items, BIASES[1]));
        let deviation = (self.factors / (FACTORS as f64).sqrt()).sqrt();
        let p = normals(self.users * FACTORS, deviation);
        let q = normals(self.items * FACTORS, deviation);
        // Of each user, and of each rating.
        let spreads = normals(self.users, 0.8);
        let noise = normals(2 * pairs.len(), 1.0);
        let mut parts = Parts {
            users: self.users,
            items: self.items,
            training: Ratings::default(),
            test: Ratings::default(),
        };
        for (at, (user, item)) in pairs.into_iter().enumerate() {
            let (u, i) = (user as usize, item as usize);
            let inner: f64 = (0..FACTORS).map(|j| p[u * FACTORS + j] * q[i * FACTORS + j]).sum();
            let mut e = NOISE * noise[2 * at];
            if self.heavy {
                // A ratio of normal numbers has the tails of a Student distribution.
                e *= 0.6 * spreads[u].exp() / (0.25 + noise[2 * at + 1].abs());
            }
            let value = b[u] + c[i] + inner + e;
            let rating = match self.scale {
                Scale::Real => 3.5 + value,
                Scale::Stars => (3.6 + value).round().clamp(1.0, 5.0),
                Scale::Plays => (3.0 + 1.3 * value).exp().floor().ln_1p(),
                Scale::Tens => (2.0 + 3.0 * value).clamp(-10.0, 10.0),
            };
            let to = match held_out(random, user, item) {
                true => &mut parts.test,
                false => &mut parts.training,
            };
            to.users.push(user);
            to.items.push(item);
            to.values.push(rating as f32);
        }
        parts.number_anew();
        parts
    }
}

impl Parts {
    /// Only rows with training ratings are known.
    fn number_anew(&mut self) {
        let number = |training: &mut [u32], test: &mut [u32], rows: usize| {
            let mut new = vec![UNKNOWN; rows];
            let mut known = 0;
            for row in training {
                let to = &mut new[*row as usize];
                if *to == UNKNOWN {
                    *to = known;
                    known += 1;
                }
                *row = *to;
            }
            test.iter_mut().for_each(|row| *row = new[*row as usize]);
            known as usize
        };
        let Self { users, items, training, test } = self;
        *users = number(&mut training.users, &mut test.users, *users);
        *items = number(&mut training.items, &mut test.items, *items);
    }

    /// The root of the mean squared error of biases alone on the test part: alternating damped means, 5
    /// added to every count.
    pub fn biases_alone(&self) -> f64 {
        let mean = self.training.mean();
        let mut biases = [vec![0.0; self.users + 1], vec![0.0; self.items + 1]];
        for side in [Side::Item, Side::User].into_iter().cycle().take(60) {
            let rows = biases[side.index()].len();
            let (mut sums, mut counts) = (vec![0.0; rows], vec![5.0; rows]);
            for (user, item, value) in self.training.iter() {
                let (row, other) = side.users_first(user, item);
                let partner = biases[side.partner().index()][other as usize];
                sums[row as usize] += f64::from(value) - mean - partner;
                counts[row as usize] += 1.0;
            }
            let means = sums.iter().zip(counts).map(|(sum, count)| sum / count);
            biases[side.index()] = means.collect();
        }
        let of = |side: usize, row: u32| biases[side][(row as usize).min(biases[side].len() - 1)];
        let errors = self.test.iter().map(|(user, item, value)| {
            (f64::from(value) - mean - of(0, user) - of(1, item)).powi(2)
        });
        (errors.sum::<f64>() / self.test.len() as f64).sqrt()
    }

    /// The same of a solver's model.
    pub fn trained(&self, options: &Options) -> f64 {
        let ids = |n: usize| (0..n).map(|id| id.to_string()).collect::<Ids>();
        let (users, items) = (ids(self.users), ids(self.items));
        let settings = options.resolve(&self.training, self.users, self.items).unwrap();
        let input = Input { test: Some(&self.test), ..Input::new(&users, &items, &self.training) };
        let go_on = &mut |_: wgmf::train::Event| Ok(ControlFlow::Continue(()));
        let outcome = train(&Cpu::new(), input, &settings, go_on)
            .unwrap_or_else(|error| panic!("{settings:?}: {error}"));
        outcome.history.last().unwrap().test_error.unwrap().sqrt()
    }
}

/// Solvers of ratings, which without settings are nowhere behind biases alone.
pub const SOLVERS: [Solver; 4] = [Solver::Sgd, Solver::Als, Solver::Adam, Solver::Adagrad];
