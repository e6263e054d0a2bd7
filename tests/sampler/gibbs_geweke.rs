//! The joint distribution test of the whole sampler (Geweke 2004, "Getting it right: joint
//! distribution tests of posterior simulators"): parameters and ratings drawn from the model by its
//! definition must be distributed as those of a chain that draws parameters by a sweep and ratings
//! anew, in turn. Many short chains, each begun at a draw from the model, so that their averages are
//! independent and their standard errors known, however slowly a chain moves.

use crate::oracle;
use wgmf::Result;
use wgmf::backend::{Backend, GibbsPasses, GibbsProblem};
use wgmf::core::{Factors, Ratings, RowRatings, Side, SideFactors};
use wgmf::cpu::Cpu;
use wgmf::sampler::{Chain, Noise, NoisePrior, NormalWishart, Sampler};

use oracle::bayes::{Design, World, drawn_part};
use oracle::gibbs::{Slip, Textbook, cholesky};
use oracle::gibbs_case::on;
use oracle::gibbs_faults::{Fault, Faulty};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Draws from the model.
const DRAWS: u64 = 60_000;

/// Sweeps of a chain.
const SWEEPS: usize = 10;

/// A user and an item without ratings, and rows with one to four.
const PAIRS: [(usize, usize); 9] =
    [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)];
/// What ratings count where they do not count alike. Of each user together as much as without: by the sampler's
/// likelihood a rating counts `w` times, `N(v; r̂, 1/(τ a))^w`, in which `τ` and `a` occur as in
/// `N(v; r̂, 1/(τ a w))`, from which ratings can be drawn, where the `w` of a user have mean 1.
const COUNTING: [f64; 9] = [0.25, 2.0, 0.5, 1.25, 0.125, 2.25, 0.625, 1.75, 0.25];
const USERS: usize = 4;
const ITEMS: usize = 5;

/// What is wrong with a sampler.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    /// In the passes.
    Passes(Fault),
    /// All ratings count alike to the passes.
    Alike,
    /// In the draw of a row.
    Draw(Slip),
    /// Gamma distributions have the shape `n` instead of `n/2`.
    GammaShape,
    /// The rate of the prior of `τ` is left out.
    NoRate,
    /// `W₀` is left out.
    NoScale,
}

struct Setting {
    design: Design,
    sampler: Sampler,
    popularity: [Vec<f32>; 2],
    block: usize,
    wrong: Wrong,
}

fn ratings_of(values: Vec<f32>, counting: &[f64]) -> RowRatings {
    let ratings = Ratings {
        users: PAIRS.iter().map(|pair| pair.0 as u32).collect(),
        items: PAIRS.iter().map(|pair| pair.1 as u32).collect(),
        values,
        timestamps: Vec::new(),
        weights: Vec::new(),
    };
    let weights: Vec<f32> = counting.iter().map(|&w| w as f32).collect();
    RowRatings::new(&ratings, &weights, USERS, ITEMS)
}

impl Setting {
    fn new(bias: bool, block: usize, wrong: Wrong) -> Self {
        Self::counting(bias, block, [1.0; PAIRS.len()], wrong)
    }

    fn counting(bias: bool, block: usize, counting: [f64; PAIRS.len()], wrong: Wrong) -> Self {
        let (factors, spread) = (2, 1.5);
        let ratings = ratings_of(vec![0.0; PAIRS.len()], &counting);
        let (mut sampler, _, popularity) = Sampler::new(&ratings, (factors, bias), spread, 0);
        let known =
            |zeta: &Vec<f32>| zeta[..zeta.len() - 1].iter().map(|&x| f64::from(x)).collect();
        let design = Design {
            factors,
            bias,
            mean: f64::from(0.7_f32),
            spread,
            pairs: PAIRS.to_vec(),
            counting: counting.to_vec(),
            popularity: popularity.each_ref().map(known),
        };
        let Sampler { rows, noise, .. } = &mut sampler;
        let spreads = |rows: &mut [NormalWishart; 2], spread: f64| {
            rows.iter_mut().for_each(|prior| prior.spread = spread);
        };
        match wrong {
            Wrong::GammaShape => noise.counts.iter_mut().for_each(|n| *n *= 2.0),
            Wrong::NoRate => *noise = NoisePrior { spread: 0.1 * spread, ..noise.clone() },
            Wrong::NoScale => spreads(rows, 1e-3 * spread),
            _ => {}
        }
        Self { design, sampler, popularity, block, wrong }
    }

    fn passes(&self, cpu: &Cpu, start: Factors, values: &[f32]) -> Box<dyn GibbsPasses> {
        let counting = match self.wrong {
            Wrong::Alike => &[],
            _ => &self.design.counting[..],
        };
        let problem = GibbsProblem {
            ratings: ratings_of(values.to_vec(), counting),
            test: Ratings::default(),
            starts: vec![start],
            popularity: self.popularity.clone(),
            bias: self.design.bias,
            block: self.block,
            latent: false,
        };
        if let Wrong::Draw(slip) = self.wrong {
            return Box::new(Textbook::new(&problem, Some(slip)));
        }
        let passes = cpu.gibbs_passes(problem).unwrap();
        match self.wrong {
            Wrong::Passes(fault) => Box::new(Faulty { passes, fault }),
            _ => passes,
        }
    }

    /// A draw from the model: parameters, in 32 bits as the sampler keeps them, and ratings.
    fn start(&self, random: &mut ChaCha8Rng) -> (Factors, Chain, Vec<f32>) {
        let world = self.design.world(random);
        let values = self.design.ratings(&world, random);
        let World { priors, rows, precision, weights, shape } = world;
        let k = self.design.factors;
        let factors =
            |rows: &[Vec<f64>]| rows.iter().flat_map(|z| &z[..k]).map(|&x| x as f32).collect();
        let biases = |rows: &[Vec<f64>]| rows.iter().map(|z| z[k] as f32).collect();
        let start = Factors {
            factors: k,
            sides: [
                SideFactors { factors: factors(&rows[0]), bias: biases(&rows[0]) },
                SideFactors { factors: factors(&rows[1]), bias: biases(&rows[1]) },
            ],
            global_mean: self.design.mean as f32,
        };
        let weights = weights.iter().map(|&a| a as f32).collect();
        let noise = Noise { precision, weights, shape };
        let chain = Chain { noise, priors, thresholds: Vec::new() };
        (start, chain, values.iter().map(|&v| v as f32).collect())
    }

    fn world(&self, factors: &Factors, chain: &Chain) -> World {
        let k = factors.factors;
        let rows = |x: &[f32], b: &[f32]| -> Vec<Vec<f64>> {
            let row = |(j, &b): (usize, &f32)| {
                x[j * k..][..k].iter().chain([&b]).map(|&x| f64::from(x)).collect()
            };
            b.iter().enumerate().map(row).collect()
        };
        World {
            priors: chain.priors.clone(),
            rows: [
                rows(&factors[Side::User].factors, &factors[Side::User].bias),
                rows(&factors[Side::Item].factors, &factors[Side::Item].bias),
            ],
            precision: chain.noise.precision,
            weights: chain.noise.weights.iter().map(|&a| f64::from(a)).collect(),
            shape: chain.noise.shape,
        }
    }

    /// The functions of a draw from the model.
    fn of_model(&self, seed: u64) -> Vec<Named> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (factors, chain, values) = self.start(&mut random);
        functions(&self.design, &self.world(&factors, &chain), &values)
    }

    /// The functions' averages over a chain.
    fn of_chain(&self, cpu: &Cpu, seed: u64) -> Result<Vec<Named>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut factors, mut chain, mut values) = self.start(&mut random);
        let sampler = Sampler { seed, ..self.sampler.clone() };
        let mut sums: Vec<Named> = Vec::new();
        for sweep in 1..=SWEEPS {
            let mut passes = self.passes(cpu, factors, &values);
            for side in [Side::User, Side::Item] {
                sampler.draw_side(&mut *passes, (0, sweep), side, &mut chain, &mut on)?;
            }
            sampler.draw_noise(&mut *passes, (0, sweep), &mut chain)?;
            factors = passes.factors(0)?;
            let world = self.world(&factors, &chain);
            values = self.design.ratings(&world, &mut random).iter().map(|&v| v as f32).collect();
            let at = functions(&self.design, &world, &values);
            if sums.is_empty() {
                sums = at.iter().map(|&(name, _)| (name, 0.0)).collect();
            }
            for (sum, (_, x)) in sums.iter_mut().zip(at) {
                sum.1 += x / SWEEPS as f64;
            }
        }
        Ok(sums)
    }
}

/// A function of parameters and ratings, by its name.
type Named = (&'static str, f64);

/// Between -1 and 1: the priors have tails too heavy for moments.
fn squash(x: f64) -> f64 {
    x / (1.0 + x.abs())
}

/// What is compared.
fn functions(design: &Design, world: &World, values: &[f32]) -> Vec<Named> {
    let (k, width, spread) = (design.factors, design.width(), design.spread);
    let (tau, a) = (world.precision, &world.weights);
    let mut list = Vec::with_capacity(64);
    let mut put = |name: &'static str, value: f64| list.push((name, value));
    put("ln tau", tau.ln());
    put("(ln tau)^2", tau.ln().powi(2));
    put("ln alpha", world.shape.ln());
    put("(ln alpha)^2", world.shape.ln().powi(2));
    let users = USERS as f64;
    put("ln a", a[..USERS].iter().map(|a| a.ln()).sum::<f64>() / users);
    put("a^2", a[..USERS].iter().map(|a| squash(a * a)).sum::<f64>() / users);
    put("a of the unknown", squash(a[USERS]));
    put("a of the unknown, a", squash(a[USERS]) * squash(a[1]));
    let in_units = |z: &[f64], j: usize| squash(z[j] / if j == k { spread } else { spread.sqrt() });
    for side in 0..2 {
        let (prior, rows) = (&world.priors[side], &world.rows[side]);
        let lambda = drawn_part(prior, width);
        let l = cholesky(&lambda);
        let (m, s) = (&prior.mean, &prior.slope);
        put("ln det", l.iter().enumerate().map(|(j, row)| row[j].ln()).sum());
        put("ln precision", lambda[0][0].ln());
        put("ln last precision", lambda[width - 1][width - 1].ln());
        put("last Cholesky", squash(spread * l[width - 1][width - 1].powi(2)));
        let correlation = |i: usize, j: usize| lambda[i][j] / (lambda[i][i] * lambda[j][j]).sqrt();
        put("correlation^2", correlation(1, 0).powi(2));
        put("last correlation^2", correlation(width - 1, 0).powi(2));
        put("m^2", in_units(m, 0).powi(2));
        put("s^2", in_units(s, 0).powi(2));
        put("m s", in_units(m, 1) * in_units(s, 1));
        put("m m", in_units(m, 0) * in_units(m, 1));
        let last = rows.len() - 1;
        put("p^2", in_units(&rows[0], 0).powi(2));
        put("p p", in_units(&rows[0], 0) * in_units(&rows[0], 1));
        put("p m", in_units(&rows[1], 1) * in_units(m, 1));
        put("p s", in_units(&rows[0], 0) * in_units(s, 0) * squash(design.popularity[side][0]));
        put("unrated p^2", in_units(&rows[last], 0).powi(2));
        put("rows' likeness", in_units(&rows[0], 0) * in_units(&rows[1], 0));
        let mut distance = 0.0;
        for (z, &zeta) in rows.iter().zip(&design.popularity[side]) {
            let off: Vec<f64> = z.iter().zip(prior.mean_of(zeta)).map(|(z, m)| z - m).collect();
            for i in 0..width {
                for j in 0..width {
                    distance += off[i] * lambda[i][j] * off[j];
                }
            }
        }
        put("distance", squash(distance / (width * rows.len()) as f64));
        if design.bias {
            put("m of b", in_units(m, k));
            put("(m of b)^2", in_units(m, k).powi(2));
            put("(s of b)^2", in_units(s, k).powi(2));
            put("m s of b", in_units(m, k) * in_units(s, k));
            put("b", in_units(&rows[0], k));
            put("b^2", in_units(&rows[0], k).powi(2));
            put("b m", in_units(&rows[1], k) * in_units(m, k));
            put("b s", in_units(&rows[0], k) * in_units(s, k));
            put("b b", in_units(&rows[0], k) * in_units(&rows[1], k));
            put(
                "b p correlation",
                in_units(&rows[0], k) * in_units(&rows[0], 0) * correlation(k, 0),
            );
            put("unrated b^2", in_units(&rows[last], k).powi(2));
        }
    }
    let r = |at: usize| squash((f64::from(values[at]) - design.mean) / spread);
    let standardized = |at: usize| {
        let (user, item) = PAIRS[at];
        let error = f64::from(values[at]) - design.prediction(world, user, item);
        error * error * tau * a[user] * design.counting[at]
    };
    put("r", r(0));
    put("r^2", r(0).powi(2));
    put("r of a user", r(0) * r(1));
    put("r of an item", r(0) * r(4));
    put("r of neither", r(0) * r(8));
    if design.bias {
        put("r b", r(0) * in_units(&world.rows[0][0], k));
    }
    let (p, q) = (&world.rows[0][0], &world.rows[1][0]);
    let product: f64 = (0..k).map(|j| p[j] * q[j]).sum();
    put("p.q", squash(product / spread));
    put("(p.q)^2", squash(product / spread).powi(2));
    put("p.q r", squash(product / spread) * r(0));
    put("error", squash((0..9).map(standardized).sum::<f64>() / 9.0));
    put("error, a", squash(standardized(2)) * squash(a[0]));
    list
}

/// Of each function its name, mean, and the square of the mean's standard error.
type Averages = Vec<(&'static str, f64, f64)>;

fn averages(all: &[Vec<Named>]) -> Averages {
    let n = all.len() as f64;
    let of = |j: usize| {
        let mean = all.iter().map(|list| list[j].1).sum::<f64>() / n;
        let squares = all.iter().map(|list| (list[j].1 - mean).powi(2)).sum::<f64>();
        (all[0][j].0, mean, squares / (n * (n - 1.0)))
    };
    (0..all[0].len()).map(of).collect()
}

/// Of draws from the model.
fn of_model(setting: &Setting) -> Averages {
    let draws: Vec<_> =
        (0..DRAWS).into_par_iter().map(|seed| setting.of_model(1 << 32 | seed)).collect();
    averages(&draws)
}

/// The functions, each with its distance in standard errors between the model and `chains` chains.
fn distances(model: &Averages, setting: &Setting, chains: u64) -> Result<Vec<Named>> {
    let cpu = Cpu::new();
    let chains: Result<Vec<_>> =
        (0..chains).into_par_iter().map(|seed| setting.of_chain(&cpu, seed)).collect();
    let pairs = model.iter().zip(averages(&chains?));
    Ok(pairs.map(|(want, got)| (want.0, (got.1 - want.1) / (got.2 + want.2).sqrt())).collect())
}

/// The farthest of them.
fn farthest(distances: &[Named]) -> Named {
    let farther = |a: Named, b: &Named| {
        if b.1.is_nan() || b.1.abs() > a.1.abs() { *b } else { a }
    };
    distances.iter().fold(("nothing", 0.0), farther)
}

// 75 functions: a right sampler has one beyond 4 standard errors for one seed in 200.
#[test]
fn chains_are_distributed_as_the_model() {
    let alike = [1.0; PAIRS.len()];
    for (bias, block, counting) in [(true, 2, alike), (false, 2, COUNTING), (true, 1, COUNTING)] {
        let setting = Setting::counting(bias, block, counting, Wrong::Nothing);
        let distances = distances(&of_model(&setting), &setting, 4_000).unwrap();
        let (name, z) = farthest(&distances);
        println!("bias {bias}, block {block}: {name}: {z:.2} of {}", distances.len());
        assert!(z.abs() < 4.0, "bias {bias}, block {block}: {distances:?}");
    }
}

#[test]
fn a_planted_fault_is_noticed() {
    let model = of_model(&Setting::new(true, 2, Wrong::Nothing));
    let of_alike = Setting::counting(true, 2, COUNTING, Wrong::Alike);
    let counted = of_model(&Setting::counting(true, 2, COUNTING, Wrong::Nothing));
    let (name, z) = farthest(&distances(&counted, &of_alike, 1_000).unwrap());
    println!("{:?}: {name}: {z:.1}", Wrong::Alike);
    assert!(z.abs() > 5.0, "{name}: {z}");
    // Users' noise differs by a third only, in the middle of its prior: that takes more chains.
    for (wrong, chains) in [
        (Wrong::GammaShape, 300),
        (Wrong::NoRate, 300),
        (Wrong::NoScale, 300),
        (Wrong::Draw(Slip::Transposed), 300),
        (Wrong::Passes(Fault::NoMean), 300),
        (Wrong::Passes(Fault::NoSlope), 300),
        (Wrong::Passes(Fault::NoPrecision), 300),
        (Wrong::Passes(Fault::BiasApart), 300),
        (Wrong::Passes(Fault::EqualNoiseOfUsers), 5_000),
        (Wrong::Passes(Fault::EqualNoiseOfItems), 2_500),
        (Wrong::Passes(Fault::TwicePrecise), 300),
        (Wrong::Passes(Fault::RowUncounted), 300),
        (Wrong::Passes(Fault::NoPopular), 300),
        (Wrong::Passes(Fault::HalfErrors), 300),
    ] {
        let (name, z) = match distances(&model, &Setting::new(true, 2, wrong), chains) {
            Ok(distances) => farthest(&distances),
            // A chain that a fault drives where nothing is finite is noticed all the more.
            Err(_) => ("a chain ended early", f64::INFINITY),
        };
        println!("{wrong:?}: {name}: {z:.1}");
        assert!(z.abs() > 5.0, "{wrong:?}: {name}: {z}");
    }
}
