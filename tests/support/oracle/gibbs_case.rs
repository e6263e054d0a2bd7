//! Problems of the Gibbs sampler, and the comparison of a backend's passes on them with the textbook.

use super::gibbs::{Slip, Textbook};
use crate::common::{gap, largest_gap};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;
use wgmf::backend::{ALL, Conditional, GibbsPasses, GibbsProblem};
use wgmf::core::{Factors, Ratings, RowPrior, RowRatings, Side, SideFactors, UNKNOWN};
use wgmf::math::random::{Purpose, Stream};

/// A problem with random parameters, and what its rows are drawn from.
#[derive(Clone, Debug)]
pub struct GibbsCase {
    pub factors: usize,
    pub users: usize,
    pub items: usize,
    pub ratings: Ratings,
    pub bias: bool,
    pub block: usize,
    pub weighted: bool,
    pub noise_precision: f64,
    pub chains: usize,
    pub seed: u64,
    /// Between levels; empty where ratings are no levels.
    pub thresholds: Vec<f32>,
}

impl GibbsCase {
    /// Random pairs; the last user and the last item have no rating.
    pub fn new(factors: usize, users: usize, items: usize, ratings: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(ratings as u64);
        let mut pair = || {
            let user = random.random_range(0..users as u32 - 1);
            (user * user / users as u32, random.random_range(0..items as u32 - 1))
        };
        Self::of_pairs(factors, users, items, (0..ratings).map(|_| pair()).collect())
    }

    pub fn of_pairs(factors: usize, users: usize, items: usize, pairs: Vec<(u32, u32)>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(factors as u64);
        let ratings = Ratings {
            users: pairs.iter().map(|pair| pair.0).collect(),
            items: pairs.iter().map(|pair| pair.1).collect(),
            values: pairs.iter().map(|_| 3.5 + 2.0 * (random.random::<f32>() - 0.5)).collect(),
            timestamps: Vec::new(),
            weights: Vec::new(),
        };
        Self {
            factors,
            users,
            items,
            ratings,
            bias: true,
            block: factors,
            weighted: true,
            noise_precision: 1.7,
            chains: 2,
            seed: 11,
            thresholds: Vec::new(),
        }
    }

    pub fn no_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    pub fn block(self, block: usize) -> Self {
        Self { block, ..self }
    }

    pub fn unweighted(self) -> Self {
        Self { weighted: false, ..self }
    }

    /// Each rating has a weight of its own, from a thousandth to 4.
    pub fn counting(mut self) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(23);
        let weights = self.ratings.values.iter().map(|_| 4.0 * random.random::<f32>().powi(3));
        self.ratings.weights = weights.map(|weight| weight.max(1e-3)).collect();
        self
    }

    pub fn precise(self, noise_precision: f64) -> Self {
        Self { noise_precision, ..self }
    }

    /// Users with `n` ratings each, over 500 items.
    pub fn long(n: u32, users: u32, factors: usize) -> Self {
        let pairs = (0..users * n).map(|j| (j % users, j / users * 7 % 499));
        Self::of_pairs(factors, users as usize + 1, 500, pairs.collect())
    }

    /// The same with items for users.
    pub fn long_items(n: u32, items: u32, factors: usize) -> Self {
        let pairs = (0..items * n).map(|j| (j / items * 7 % 499, j % items));
        Self::of_pairs(factors, 500, items as usize + 1, pairs.collect())
    }

    /// The ratings cut into levels, each as frequent as any, of latent values with these thresholds.
    pub fn levels(mut self, thresholds: &[f32]) -> Self {
        let levels = thresholds.len() as f32 + 1.0;
        self.ratings.values.iter_mut().for_each(|v| *v = ((*v - 2.5) / 2.0 * levels).floor());
        Self { thresholds: thresholds.to_vec(), noise_precision: 1.0, weighted: false, ..self }
    }

    fn random(&self, purpose: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed * 1000 + purpose)
    }

    pub fn problem(&self) -> GibbsProblem {
        let mut random = self.random(1);
        let mut vector = |n: usize, scale: f32| -> Vec<f32> {
            (0..n).map(|_| 2.0 * scale * (random.random::<f32>() - 0.5)).collect()
        };
        let k = self.factors;
        let (of_factor, of_bias) = (1.0 / (k as f32).sqrt(), if self.bias { 0.5 } else { 0.0 });
        let starts = (0..self.chains)
            .map(|_| {
                // In the order that the cases were chosen by.
                let (users, items) =
                    (vector(self.users * k, of_factor), vector(self.items * k, of_factor));
                let (user_bias, item_bias) =
                    (vector(self.users, of_bias), vector(self.items, of_bias));
                Factors {
                    factors: k,
                    sides: [
                        SideFactors { factors: users, bias: user_bias },
                        SideFactors { factors: items, bias: item_bias },
                    ],
                    global_mean: if self.thresholds.is_empty() { 3.5 } else { 0.3 },
                }
            })
            .collect();
        let popularity = [vector(self.users + 1, 1.5), vector(self.items + 1, 1.5)];
        let test = Ratings {
            users: vec![0, 1, UNKNOWN, 0, UNKNOWN, self.users as u32 - 1],
            items: vec![1, 0, 0, UNKNOWN, UNKNOWN, self.items as u32 - 1],
            values: vec![3.0; 6],
            timestamps: Vec::new(),
            weights: Vec::new(),
        };
        GibbsProblem {
            ratings: RowRatings::new(&self.ratings, &self.ratings.weights, self.users, self.items),
            test,
            starts,
            popularity,
            bias: self.bias,
            block: self.block,
            latent: !self.thresholds.is_empty(),
        }
    }

    /// A side's prior, with all coordinates correlated; and each user's noise weight.
    pub fn given(&self, side: Side) -> (RowPrior, Vec<f32>) {
        let mut random = self.random(2 + side as u64);
        let mut number = |scale: f64| 2.0 * scale * (random.random::<f64>() - 0.5);
        let (wide, width) = (self.factors + 1, self.factors + usize::from(self.bias));
        let draw = |scale: f64, number: &mut dyn FnMut(f64) -> f64| -> Vec<f64> {
            (0..wide).map(|j| if j < width { number(scale) } else { 0.0 }).collect()
        };
        let (mean, slope) = (draw(0.4, &mut number), draw(0.3, &mut number));
        let root: Vec<f64> = (0..width * width).map(|_| number(1.0)).collect();
        let mut precision = vec![0.0; wide * wide];
        for i in 0..wide {
            precision[i * wide + i] = if i < width { 2.0 } else { 1.0 };
        }
        for i in 0..width {
            for j in 0..width {
                let products = (0..width).map(|l| root[i * width + l] * root[j * width + l]);
                precision[i * wide + j] += products.sum::<f64>();
            }
        }
        let mut random = self.random(4);
        let weights = (0..if self.weighted { self.users } else { 0 })
            .map(|_| 0.2 + 3.0 * random.random::<f32>())
            .collect();
        (RowPrior { mean, slope, precision }, weights)
    }

    /// The numbers of a sweep.
    pub fn stream(&self, chain: usize, sweep: usize, side: Side) -> Stream {
        let purpose = match side {
            Side::User => Purpose::Users,
            Side::Item => Purpose::Items,
        };
        Stream::new(self.seed, chain as u32, sweep as u32, purpose)
    }

    /// What a side is drawn from in a sweep.
    pub fn conditional<'a>(
        &'a self,
        (prior, weights): &'a (RowPrior, Vec<f32>),
        (chain, sweep): (usize, usize),
        side: Side,
    ) -> Conditional<'a> {
        let latents = match side {
            Side::User => Purpose::UserLatents,
            Side::Item => Purpose::ItemLatents,
        };
        Conditional {
            prior,
            noise_precision: self.noise_precision,
            noise_weights: weights,
            thresholds: &self.thresholds,
            rows: self.stream(chain, sweep, side),
            latents: Stream::new(self.seed, chain as u32, sweep as u32, latents),
        }
    }
}

/// A watcher that never breaks off.
pub fn on(_: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The largest gaps between a backend and the textbook, by what was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    /// Of rows, each relative to its own root mean square where a number is smaller.
    pub rows: f64,
    /// Of the moments.
    pub moments: f64,
    /// Of squared errors and predictions.
    pub errors: f64,
}

impl Gaps {
    pub fn largest(&self) -> f64 {
        self.rows.max(self.moments).max(self.errors)
    }
}

/// Two sweeps of every chain beside the textbook, which goes on from the backend's rows after each
/// draw: gaps are of one draw.
pub fn compare(case: &GibbsCase, passes: &mut dyn GibbsPasses, slip: Option<Slip>) -> Gaps {
    let mut textbook = Textbook::new(&case.problem(), slip);
    let mut gaps = Gaps::default();
    for sweep in 1..=2 {
        for chain in 0..case.chains {
            for side in [Side::User, Side::Item] {
                step(case, passes, &mut textbook, (chain, sweep), side, &mut gaps);
            }
            // Of levels they have no meaning.
            if case.thresholds.is_empty() {
                let (got, want) = (
                    passes.squared_errors(chain, ALL).unwrap(),
                    GibbsPasses::squared_errors(&mut textbook, chain, ALL).unwrap(),
                );
                let got: Vec<f32> = got.iter().map(|&x| x as f32).collect();
                gaps.errors = gaps.errors.max(largest_gap(&got, &want));
            }
            let pairs = [
                (passes.training_predictions(chain), textbook.training_predictions(chain)),
                (passes.test_predictions(chain), textbook.test_predictions(chain)),
            ];
            for (got, want) in pairs {
                let want: Vec<f64> = want.unwrap().iter().map(|&x| f64::from(x)).collect();
                gaps.errors = gaps.errors.max(largest_gap(&got.unwrap(), &want));
            }
        }
    }
    gaps
}

fn step(
    case: &GibbsCase,
    passes: &mut dyn GibbsPasses,
    textbook: &mut Textbook,
    (chain, sweep): (usize, usize),
    side: Side,
    gaps: &mut Gaps,
) {
    let given = case.given(side);
    let conditional = case.conditional(&given, (chain, sweep), side);
    let done = passes.draw(chain, side, ALL, &conditional, &mut on).unwrap();
    assert_eq!(done, case.ratings.len());
    textbook.draw(chain, side, ALL, &conditional, &mut on).unwrap();
    let drawn = passes.factors(chain).unwrap();
    let (got, want) = match side {
        Side::User => {
            ((&drawn[Side::User].factors, &drawn[Side::User].bias), &textbook.chains[chain].users)
        }
        Side::Item => {
            ((&drawn[Side::Item].factors, &drawn[Side::Item].bias), &textbook.chains[chain].items)
        }
    };
    let k = case.factors;
    for row in 0..got.1.len() {
        let rms = (want.factors[row].iter().map(|x| x * x).sum::<f64>() / k as f64).sqrt();
        let biases = [(got.1[row], want.bias[row])];
        let xs = got.0[row * k..][..k].iter().copied().zip(want.factors[row].iter().copied());
        for (got, want) in xs.chain(biases.into_iter().filter(|_| case.bias)) {
            gaps.rows = gaps.rows.max(gap(f64::from(got), want, rms));
        }
        if !case.bias {
            assert_eq!(got.1[row], 0.0, "a bias where there is none");
        }
    }
    textbook.set(chain, &drawn);
    let (got, want) = (
        passes.moments(chain, side, ALL).unwrap().join(),
        textbook.moments(chain, side, ALL).unwrap().join(),
    );
    assert_eq!(got.rows, want.rows);
    for (got, want) in
        [(got.sum, want.sum), (got.products, want.products), (got.popular, want.popular)]
    {
        let got: Vec<f32> = got.iter().map(|&x| x as f32).collect();
        gaps.moments = gaps.moments.max(largest_gap(&got, &want));
    }
}
