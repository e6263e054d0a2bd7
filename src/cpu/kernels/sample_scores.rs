//! Scores of items by every sample of the posterior, and what is made of them, in f64.

use crate::core::Side;
use crate::model::Sample;
use crate::predict::expected_level;
use pulp::{Arch, Simd, WithSimd};

/// Items that are scored side by side.
pub(crate) const LANES: usize = 16;

/// What is to be scored, and how the scores of the samples become one.
pub(crate) struct SampleProblem<'a> {
    /// The samples.
    pub samples: &'a [Sample],
    /// Between what predictions are bounded.
    pub range: Option<[f64; 2]>,
    /// (levels): their values in the unit of the ratings; empty where ratings are no levels.
    pub levels: &'a [f64],
    /// The quantile of the samples that counts, or their mean.
    pub quantile: Option<f64>,
    /// The users.
    pub users: &'a [u32],
    /// (users): the one sample that counts, where it is one.
    pub drawn: Vec<Option<usize>>,
    /// The items.
    pub items: &'a [u32],
}

/// (users): the scores of up to [`LANES`] `items`. `needed`: which samples count for anybody.
pub(crate) fn sample_scores(
    arch: Arch,
    problem: &SampleProblem,
    needed: &[bool],
    items: &[u32],
) -> Vec<[f64; LANES]> {
    let tiles: Vec<Vec<[f64; LANES]>> = problem
        .samples
        .iter()
        .zip(needed)
        .map(|(sample, needed)| if *needed { tile(sample, items) } else { Vec::new() })
        .collect();
    let mut scores = vec![[0.0; LANES]; problem.users.len()];
    let summary = Summary::new(problem.quantile, problem.samples.len());
    arch.dispatch(Stripe { problem, tiles: &tiles, summary, to: &mut scores });
    scores
}

impl SampleProblem<'_> {
    /// (samples): whether a sample counts for anybody.
    pub(crate) fn needed(&self) -> Vec<bool> {
        let counts = |s: usize| self.drawn.iter().any(|drawn| drawn.is_none_or(|drawn| drawn == s));
        (0..self.samples.len()).map(counts).collect()
    }

    /// The expected ratings that predictions `r̂` of a sample stand for: within the range that they
    /// are bounded to, or the mean of the levels.
    #[inline(always)]
    fn expect(&self, sample: &Sample, predictions: &mut [f64; LANES]) {
        if let Some([low, high]) = self.range {
            predictions.iter_mut().for_each(|x| *x = x.clamp(low, high));
        }
        if !self.levels.is_empty() {
            for x in predictions.iter_mut() {
                *x = expected_level(*x, 1.0, &sample.thresholds, self.levels);
            }
        }
        // Lists know no −0.
        predictions.iter_mut().for_each(|x| *x += 0.0);
    }
}

/// Makes one number of the samples' for each of [`LANES`] items.
enum Summary {
    /// The mean over so many.
    Mean { sums: [f64; LANES], count: f64 },
    /// A quantile, from the numbers that come first when they are counted from the nearer end.
    Quantile {
        /// 1 where small ones come first, −1 where large ones do.
        sign: f64,
        /// Ascending, times `sign`.
        first: Vec<[f64; LANES]>,
        /// How far from the last but one to the last the quantile lies.
        beyond: f64,
    },
}

impl Summary {
    fn new(quantile: Option<f64>, samples: usize) -> Self {
        let Some(p) = quantile else {
            return Summary::Mean { sums: [0.0; LANES], count: samples as f64 };
        };
        let (sign, p) = if p <= 0.5 { (1.0, p) } else { (-1.0, 1.0 - p) };
        let place = p * (samples - 1) as f64;
        let needed = (place as usize + 2).min(samples);
        let beyond = if needed < 2 { 0.0 } else { place - (needed - 2) as f64 };
        Summary::Quantile { sign, first: vec![[0.0; LANES]; needed], beyond }
    }

    fn clear(&mut self) {
        match self {
            Summary::Mean { sums, .. } => *sums = [0.0; LANES],
            Summary::Quantile { first, .. } => first.fill([f64::INFINITY; LANES]),
        }
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, sample: &[f64; LANES]) {
        let (sample, _) = S::as_simd_f64s(sample);
        match self {
            Summary::Mean { sums, .. } => {
                let (sums, _) = S::as_mut_simd_f64s(sums);
                for (sum, &x) in sums.iter_mut().zip(sample) {
                    *sum = simd.add_f64s(*sum, x);
                }
            }
            Summary::Quantile { sign, first, .. } => {
                let sign = simd.splat_f64s(*sign);
                for (at, &x) in sample.iter().enumerate() {
                    let mut next = simd.mul_f64s(sign, x);
                    // Each passes the larger one on.
                    for held in first.iter_mut() {
                        let held = &mut S::as_mut_simd_f64s(held).0[at];
                        let larger = simd.max_f64s(*held, next);
                        *held = simd.min_f64s(*held, next);
                        next = larger;
                    }
                }
            }
        }
    }

    fn finish(&self) -> [f64; LANES] {
        match self {
            Summary::Mean { sums, count } => sums.map(|sum| sum / count),
            Summary::Quantile { sign, first, beyond } => {
                let last = first[first.len() - 1];
                let before = first[first.len().saturating_sub(2)];
                let between = |lane: usize| before[lane] + beyond * (last[lane] - before[lane]);
                std::array::from_fn(|lane| sign * between(lane) + 0.0)
            }
        }
    }
}

/// Scores [`LANES`] items for all users, under one instruction set: see [`Arch::dispatch`].
struct Stripe<'a> {
    problem: &'a SampleProblem<'a>,
    /// (samples): as [`tile`] makes them.
    tiles: &'a [Vec<[f64; LANES]>],
    summary: Summary,
    /// (users).
    to: &'a mut [[f64; LANES]],
}

impl WithSimd for Stripe<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Stripe { problem, tiles, mut summary, to } = self;
        let samples = problem.samples;
        for ((to, &user), drawn) in to.iter_mut().zip(problem.users).zip(&problem.drawn) {
            let of = match *drawn {
                Some(s) => s..s + 1,
                None => 0..samples.len(),
            };
            summary.clear();
            for s in of {
                let f = &samples[s].factors;
                let base = f64::from(f.global_mean) + f64::from(f[Side::User].bias[user as usize]);
                scores(simd, f.user(user), base, &tiles[s], to);
                problem.expect(&samples[s], to);
                if drawn.is_none() {
                    summary.add(simd, to);
                }
            }
            if drawn.is_none() {
                *to = summary.finish();
            }
        }
    }
}

/// Items' rows and biases of a sample, transposed: (k + 1), the biases last.
fn tile(sample: &Sample, items: &[u32]) -> Vec<[f64; LANES]> {
    let f = &sample.factors;
    let mut tile = vec![[0.0; LANES]; f.factors + 1];
    for (lane, &item) in items.iter().enumerate() {
        let row = f.item(item).iter().chain([&f[Side::Item].bias[item as usize]]);
        for (to, &x) in tile.iter_mut().zip(row) {
            to[lane] = f64::from(x);
        }
    }
    tile
}

/// `r̂` of a user and each item of a tile, summed in f64 in order of the factors: the products of
/// singles are exact there, so fused or not, vectors of any width give the same bits.
#[inline(always)]
fn scores<S: Simd>(simd: S, row: &[f32], base: f64, tile: &[[f64; LANES]], to: &mut [f64; LANES]) {
    let (columns, last) = tile.split_at(row.len());
    let base = simd.splat_f64s(base);
    let (to, _) = S::as_mut_simd_f64s(to);
    let (bias, _) = S::as_simd_f64s(&last[0]);
    for (at, (to, &bias)) in to.iter_mut().zip(bias).enumerate() {
        let mut sum = bias;
        for (&x, column) in row.iter().zip(columns) {
            let column = S::as_simd_f64s(column).0[at];
            sum = simd.mul_add_e_f64s(simd.splat_f64s(f64::from(x)), column, sum);
        }
        *to = simd.add_f64s(base, sum);
    }
}
