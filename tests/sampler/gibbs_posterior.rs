//! The whole sampler against the exact posterior of a problem that is small enough to integrate:
//! importance sampling in f64, with all users' rows integrated out by hand.

use crate::oracle;
use wgmf::Result;
use wgmf::backend::{
    Backend, Candidates, ChoicePasses, ChoiceProblem, Device, GibbsPasses, GibbsProblem,
    GradientPasses, GradientProblem, Ranker, RowPasses, RowProblem,
};
use wgmf::core::{Ids, Options, Popularity, Ratings, Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::model::Sample;
use wgmf::train::{Input, train};

use oracle::bayes::{Design, World, drawn_part, gaussian};
use oracle::gibbs::{cholesky, forward, inverse};
use oracle::gibbs_faults::{Fault, Faulty};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::ControlFlow;

const PAIRS: [(usize, usize); 5] = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1)];
const VALUES: [f32; 5] = [4.0, 2.5, 3.5, 1.0, 3.0];
const ROWS: usize = 3;

/// Draws from the prior, each with the likelihood of the ratings as its weight.
const DRAWS: u64 = 400_000;

/// Independent chains, and the samples of each. A fault shows with a fifth of the chains.
const CHAINS: usize = 60;
const SAMPLES: usize = 600;

fn ratings() -> Ratings {
    Ratings {
        users: PAIRS.iter().map(|pair| pair.0 as u32).collect(),
        items: PAIRS.iter().map(|pair| pair.1 as u32).collect(),
        values: VALUES.to_vec(),
        timestamps: Vec::new(),
        weights: Vec::new(),
    }
}

/// What a run holds fixed: the mean and the spread of the ratings, and the rows' popularity.
fn design() -> Design {
    let n = VALUES.len() as f64;
    let mean = VALUES.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = VALUES.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let zeta = |counts: [u32; ROWS]| {
        let zeta = Popularity::new(&counts).of_rows(&counts);
        zeta[..ROWS].iter().map(|&x| f64::from(x)).collect()
    };
    Design {
        factors: 1,
        bias: true,
        mean: f64::from(mean as f32),
        spread: variance.sqrt(),
        pairs: PAIRS.to_vec(),
        counting: vec![1.0; PAIRS.len()],
        popularity: [zeta([2, 2, 1]), zeta([2, 2, 1])],
    }
}

/// Predictions of all pairs, the logarithms of `τ`, `α` and the weights.
fn figures(design: &Design, world: &World) -> Vec<f64> {
    let pairs = (0..ROWS).flat_map(|user| (0..ROWS).map(move |item| (user, item)));
    let mut figures: Vec<f64> =
        pairs.map(|(user, item)| design.prediction(world, user, item)).collect();
    figures.push(world.precision.ln());
    figures.push(world.weights[0].ln());
    figures.push(world.weights[ROWS].ln());
    figures.push(world.priors[0].precision[0].ln());
    figures.push(world.priors[1].precision[3].ln());
    figures.push(world.priors[1].mean[1]);
    figures.push(world.priors[0].slope[1]);
    figures
}

/// A draw from the prior with the users' rows from their conditional distribution, and the logarithm
/// of the ratings' density with those rows integrated out: a user's ratings are Gaussian around
/// `μ + c + y·(m + ζ s)` with the covariance `y Λ⁻¹ yᵀ + I/(τ a)`.
fn weighted(design: &Design, random: &mut ChaCha8Rng) -> (Vec<f64>, f64) {
    let mut world = design.world(random);
    let lambda = drawn_part(&world.priors[0], 2);
    let covariance = inverse(&lambda);
    let mut log_weight = 0.0;
    for user in 0..ROWS {
        let seen: Vec<(usize, f64)> = PAIRS
            .iter()
            .zip(VALUES)
            .filter(|(pair, _)| pair.0 == user)
            .map(|(pair, value)| (pair.1, f64::from(value)))
            .collect();
        let noise = world.precision * world.weights[user];
        let mean = world.priors[0].mean_of(design.popularity[0][user]);
        let y = |item: usize| [world.rows[1][item][0], 1.0];
        let through = |a: [f64; 2], b: [f64; 2]| -> f64 {
            (0..2).map(|i| (0..2).map(|j| a[i] * covariance[i][j] * b[j]).sum::<f64>()).sum()
        };
        let target = |item: usize, value: f64| value - design.mean - world.rows[1][item][1];
        let of_ratings: Vec<Vec<f64>> = seen
            .iter()
            .enumerate()
            .map(|(i, a)| {
                let with = |(j, b): (usize, &(usize, f64))| {
                    through(y(a.0), y(b.0)) + if i == j { 1.0 / noise } else { 0.0 }
                };
                seen.iter().enumerate().map(with).collect()
            })
            .collect();
        let off: Vec<f64> = seen
            .iter()
            .map(|&(item, value)| target(item, value) - y(item)[0] * mean[0] - mean[1])
            .collect();
        let l = cholesky(&of_ratings);
        let whitened = forward(&l, &off);
        for (j, x) in whitened.iter().enumerate() {
            log_weight -= 0.5 * x * x + l[j][j].ln();
        }
        let mut a = lambda.clone();
        let mut right = [0.0; 2];
        for i in 0..2 {
            right[i] = lambda[i][0] * mean[0] + lambda[i][1] * mean[1];
            for &(item, value) in &seen {
                right[i] += noise * y(item)[i] * target(item, value);
                for (to, other) in a[i].iter_mut().zip(y(item)) {
                    *to += noise * y(item)[i] * other;
                }
            }
        }
        let a_inverse = inverse(&a);
        let center: Vec<f64> =
            a_inverse.iter().map(|row| row[0] * right[0] + row[1] * right[1]).collect();
        world.rows[0][user] = gaussian(&center, &a, random);
    }
    (figures(design, &world), log_weight)
}

/// The posterior by weighted draws.
struct Exact {
    figures: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Exact {
    fn new(design: &Design) -> Self {
        let draws: Vec<(Vec<f64>, f64)> = (0..DRAWS)
            .into_par_iter()
            .map(|seed| weighted(design, &mut ChaCha8Rng::seed_from_u64(seed)))
            .collect();
        let top = draws.iter().map(|draw| draw.1).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = draws.iter().map(|draw| (draw.1 - top).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let weights = weights.iter().map(|w| w / sum).collect();
        Self { figures: draws.into_iter().map(|draw| draw.0).collect(), weights }
    }

    /// The number of independent draws that would say as much.
    fn size(&self) -> f64 {
        1.0 / self.weights.iter().map(|w| w * w).sum::<f64>()
    }

    /// Of each figure the mean of its bounded distance from the middle, since the tails are heavy, and
    /// the shares below some quantiles.
    fn questions(&self) -> Vec<Question> {
        let of_figure = |figure: usize| {
            let mut order: Vec<(f64, f64)> =
                self.figures.iter().zip(&self.weights).map(|(f, &w)| (f[figure], w)).collect();
            order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let mut below = 0.0;
            let sums = order.iter().map(|&(x, w)| {
                below += w;
                (x, below)
            });
            let sums: Vec<(f64, f64)> = sums.collect();
            let quantile = |share: f64| sums[sums.partition_point(|sum| sum.1 < share)].0;
            let question = |kind: Kind, at: f64| {
                let mut question = Question { figure, kind, at, want: 0.0, error: 0.0 };
                let of = |(f, w): (&Vec<f64>, &f64)| w * question.of(f);
                question.want = self.figures.iter().zip(&self.weights).map(of).sum();
                let of = |(f, w): (&Vec<f64>, &f64)| (w * (question.of(f) - question.want)).powi(2);
                question.error = self.figures.iter().zip(&self.weights).map(of).sum();
                question
            };
            let shares = [0.05, 0.25, 0.5, 0.75, 0.95];
            let mut questions = vec![question(Kind::Mean, quantile(0.5))];
            questions.extend(shares.map(|share| question(Kind::Below, quantile(share))));
            questions
        };
        (0..self.figures[0].len()).into_par_iter().flat_map_iter(of_figure).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Mean,
    Below,
}

/// What is asked of the posterior.
#[derive(Clone, Copy, Debug)]
struct Question {
    figure: usize,
    kind: Kind,
    at: f64,
    /// The exact answer, and the square of its standard error.
    want: f64,
    error: f64,
}

impl Question {
    fn of(&self, figures: &[f64]) -> f64 {
        let x = figures[self.figure] - self.at;
        match self.kind {
            Kind::Mean => x.tanh(),
            Kind::Below => f64::from(u8::from(x < 0.0)),
        }
    }
}

/// The posterior by the sampler: of each chain the figures of its samples.
fn sampled(backend: &dyn Backend, chains: usize) -> Vec<Vec<Vec<f64>>> {
    let mut ids = Ids::new();
    for name in ["a", "b", "c"] {
        ids.intern(name);
    }
    let ratings = ratings();
    let options = Options {
        solver: Some(Solver::Bayes),
        factors: Some(1),
        samples: Some(SAMPLES),
        burn_in: Some(60),
        keep: Some(chains * SAMPLES),
        chains: Some(chains),
        ..Options::default()
    };
    let settings = options.resolve(&ratings, ROWS, ROWS).unwrap();
    let input = Input::new(&ids, &ids, &ratings);
    let outcome = train(backend, input, &settings, &mut |_| Ok(ControlFlow::Continue(())));
    let samples = outcome.unwrap().samples.unwrap().samples;
    assert_eq!(samples.len(), chains * SAMPLES);
    let design = design();
    let world = |sample: &Sample| {
        let f = &sample.factors;
        let rows = |x: &[f32], b: &[f32]| {
            x.iter().zip(b).map(|(&x, &b)| vec![f64::from(x), f64::from(b)]).collect()
        };
        World {
            priors: sample.priors.clone(),
            rows: [
                rows(&f[Side::User].factors, &f[Side::User].bias),
                rows(&f[Side::Item].factors, &f[Side::Item].bias),
            ],
            precision: sample.noise_precision,
            weights: sample.noise_weights.iter().map(|&a| f64::from(a)).collect(),
            shape: f64::NAN,
        }
    };
    let mut by_chain = vec![Vec::new(); chains];
    for (at, sample) in samples.iter().enumerate() {
        by_chain[at % chains].push(figures(&design, &world(sample)));
    }
    by_chain
}

/// The largest distance of an answer between the posterior and the sampler, in standard errors, and
/// where it is.
fn largest(questions: &[Question], chains: &[Vec<Vec<f64>>]) -> (f64, String) {
    let n = chains.len() as f64;
    let distance = |question: &Question| {
        let mean = |chain: &Vec<Vec<f64>>| {
            chain.iter().map(|f| question.of(f)).sum::<f64>() / chain.len() as f64
        };
        let means: Vec<f64> = chains.iter().map(mean).collect();
        let got = means.iter().sum::<f64>() / n;
        let error = means.iter().map(|x| (x - got).powi(2)).sum::<f64>() / (n * (n - 1.0));
        ((got - question.want) / (error + question.error).sqrt(), format!("{question:?}: {got}"))
    };
    let distances = questions.iter().map(distance);
    distances.max_by(|a, b| a.0.abs().total_cmp(&b.0.abs())).unwrap()
}

/// The CPU backend with a fault in the sampler's passes.
struct Planted(Cpu, Fault);

impl Backend for Planted {
    fn device(&self) -> Device {
        self.0.device()
    }

    fn copy_bytes_per_second(&self) -> Result<f64> {
        self.0.copy_bytes_per_second()
    }

    fn operations_per_second(&self) -> Result<f64> {
        self.0.operations_per_second()
    }

    fn choice_passes(&self, problem: ChoiceProblem) -> Result<Box<dyn ChoicePasses>> {
        self.0.choice_passes(problem)
    }

    fn gradient_passes(&self, problem: GradientProblem) -> Result<Box<dyn GradientPasses>> {
        self.0.gradient_passes(problem)
    }

    fn row_passes(&self, problem: RowProblem) -> Result<Box<dyn RowPasses>> {
        self.0.row_passes(problem)
    }

    fn gibbs_passes(&self, problem: GibbsProblem) -> Result<Box<dyn GibbsPasses>> {
        Ok(Box::new(Faulty { passes: self.0.gibbs_passes(problem)?, fault: self.1 }))
    }

    fn ranker(&self, candidates: Candidates) -> Result<Box<dyn Ranker>> {
        self.0.ranker(candidates)
    }
}

// 96 means and shares, with the errors of 60 independent chains (Student's t with some 60 degrees of
// freedom): a right sampler has one beyond 4.5 standard errors for one seed in 300.
#[test]
fn samples_have_the_moments_and_quantiles_of_the_exact_posterior() {
    let exact = Exact::new(&design());
    println!("{:.0} effective draws of {DRAWS}", exact.size());
    assert!(exact.size() > 2_000.0);
    let questions = exact.questions();
    let (z, what) = largest(&questions, &sampled(&Cpu::new(), CHAINS));
    println!("{z:.2} of {}: {what}", questions.len());
    assert!(z.abs() < 4.5, "{z}: {what}");
    for fault in [Fault::NoMean, Fault::NoSlope, Fault::TwicePrecise, Fault::HalfErrors] {
        let (z, what) = largest(&questions, &sampled(&Planted(Cpu::new(), fault), CHAINS / 5));
        println!("{fault:?}: {z:.1}: {what}");
        // Student's t with 11 degrees of freedom.
        assert!(z.abs() > 10.0, "{fault:?}: {z}: {what}");
    }
}

// The draws that are weighted are those of the prior.
#[test]
fn draws_from_the_prior_have_its_moments() {
    let design = design();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let n = 20_000;
    let worlds: Vec<World> = (0..n).map(|_| design.world(&mut random)).collect();
    let average = |of: &dyn Fn(&World) -> f64| worlds.iter().map(of).sum::<f64>() / f64::from(n);
    // 5 standard errors: half of the deviations lie below the median of |t| with 3 degrees of freedom,
    // and ln α ~ N(ln 10, 1).
    for j in 0..2 {
        let deviation = |w: &World| inverse(&drawn_part(&w.priors[0], 2))[j][j].sqrt();
        let below = |w: &World| f64::from(u8::from(deviation(w) < 0.764_892 * design.scale(j)));
        assert!((average(&below) - 0.5).abs() < 2.5 / f64::from(n).sqrt());
    }
    let of = |w: &World| w.shape.ln() - 10.0_f64.ln();
    assert!(average(&of).abs() < 5.0 / f64::from(n).sqrt());
}
