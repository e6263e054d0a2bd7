//! What samples of the posterior make of the items of a user.

use super::Catalogue;
use super::order::{Scored, best, rank, without};
use crate::core::{Held, Side};
use crate::math::random::{Purpose, Stream};
use crate::model::{Model, Sample};
use crate::predict::{Predictive, expected_level};
use crate::{Error, Result};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// By what of the posterior of its expected rating an item is ranked; the noise of ratings plays no
/// part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Criterion {
    /// The mean over the samples.
    #[default]
    Mean,
    /// A quantile of the samples, in (0, 1), interpolated between them (Hyndman and Fan 1996, type 7).
    /// A low one lists sure bets. A high one explores, as an upper confidence bound does (Kaufmann,
    /// Cappé and Garivier 2012, "On Bayesian upper confidence bounds for bandit problems").
    Quantile(f64),
    /// One sample for each user, drawn by seed and user: exploration by chance, in proportion to
    /// what is likely to be best (Thompson 1933; Chapelle and Li 2011, "An empirical evaluation of
    /// Thompson sampling").
    Thompson {
        /// Another seed draws other samples.
        seed: u64,
    },
}

impl Criterion {
    /// Whether a quantile is one.
    ///
    /// # Errors
    /// One outside of (0, 1).
    pub fn check(self) -> Result<()> {
        match self {
            Criterion::Quantile(p) if !(p > 0.0 && p < 1.0) => {
                let message =
                    format!("{p} is no quantile: it must lie between 0 and 1, as 0.1 does");
                Err(Error::settings(message))
            }
            _ => Ok(()),
        }
    }

    /// The sample by which a user's items are ranked, where it is one.
    fn sample_of(self, user: u32, samples: usize) -> Option<usize> {
        match self {
            Criterion::Thompson { seed } => {
                let word = Stream::new(seed, 0, 0, Purpose::Thompson).word(user, 0);
                Some(((u64::from(word) * samples as u64) >> 32) as usize)
            }
            _ => None,
        }
    }
}

/// Scores that a criterion makes of every sample's.
pub(crate) struct SampleScores<'m> {
    predictive: Held<'m, Predictive<'m>>,
    criterion: Criterion,
    /// (levels): their values in the unit of the ratings; empty where ratings are no levels.
    levels: Vec<f64>,
}

/// Candidates that are scored side by side.
const LANES: usize = 16;
/// Bytes of scores that are in memory at once.
const AT_ONCE: usize = 64 << 20;

impl<'m> SampleScores<'m> {
    pub fn new(predictive: Held<'m, Predictive<'m>>, criterion: Criterion) -> Self {
        Self { levels: predictive.level_values(), predictive, criterion }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        self.predictive.model()
    }

    /// A score in the unit of the ratings.
    pub fn prediction(&self, score: f64) -> f64 {
        match self.levels.is_empty() {
            true => self.predictive.model().transform.invert(score),
            false => score,
        }
    }

    /// The `n` best candidates of each user.
    pub fn top(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        excluded: &[&[u32]],
        n: usize,
    ) -> Vec<Vec<Scored>> {
        self.each_user(catalogue, users, |at, scored| {
            best(without(scored, excluded.get(at).copied().unwrap_or_default()).collect(), n)
        })
    }

    /// The same, and better and equal candidates of each relevant one, which may itself be excluded.
    pub fn top_and_ranks(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        excluded: &[&[u32]],
        n: usize,
        relevant: &[&[u32]],
    ) -> (Vec<Vec<Scored>>, Vec<Vec<[u64; 2]>>) {
        let made = self.each_user(catalogue, users, |at, scored| {
            let excluded = excluded.get(at).copied().unwrap_or_default();
            let open: Vec<Scored> = without(scored.iter().copied(), excluded).collect();
            let mut others: Vec<f64> = open.iter().map(|s| s.score).collect();
            others.sort_unstable_by(f64::total_cmp);
            let rank = |&row: &u32| {
                let itself = excluded.binary_search(&row).is_err();
                rank(&others, scored[row as usize].score, itself)
            };
            let ranks: Vec<[u64; 2]> = relevant[at].iter().map(rank).collect();
            (best(open, n), ranks)
        });
        made.into_iter().unzip()
    }

    /// What `f` makes of each user's scores of all candidates.
    fn each_user<T: Send>(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        f: impl Fn(usize, Vec<Scored>) -> T + Sync,
    ) -> Vec<T> {
        let at_once = (AT_ONCE / (size_of::<f64>() * catalogue.len()).max(1)).max(1);
        let mut made = Vec::with_capacity(users.len());
        for (chunk, users) in users.chunks(at_once).enumerate() {
            let stripes = self.stripes(catalogue, users);
            let of_user = |place: usize| {
                let scores = stripes.iter().flat_map(|stripe| stripe[place]);
                let scored = scores.zip(0..catalogue.len() as u32);
                let scored = scored.map(|(score, row)| Scored { row, score });
                f(chunk * at_once + place, scored.collect())
            };
            made.extend((0..users.len()).into_par_iter().map(of_user).collect::<Vec<T>>());
        }
        made
    }

    /// The scores of all candidates, a stripe of [`LANES`] after the other: (users) each.
    fn stripes(&self, catalogue: &Catalogue, users: &[u32]) -> Vec<Vec<[f64; LANES]>> {
        let samples = &self.predictive.samples().samples;
        let chosen: Vec<Option<usize>> =
            users.iter().map(|&user| self.criterion.sample_of(user, samples.len())).collect();
        let needed: Vec<bool> =
            (0..samples.len()).map(|s| chosen.iter().any(|c| c.is_none_or(|c| c == s))).collect();
        let arch = Arch::new();
        let stripe = |stripe: usize| {
            let first = stripe * LANES;
            let rows = first..(first + LANES).min(catalogue.len());
            let items: Vec<u32> = rows.map(|row| catalogue.item(row as u32)).collect();
            let tiles: Vec<Vec<[f64; LANES]>> = samples
                .iter()
                .zip(&needed)
                .map(|(sample, needed)| if *needed { tile(sample, &items) } else { Vec::new() })
                .collect();
            let mut scores = vec![[0.0; LANES]; users.len()];
            let made = Made::new(self.criterion, samples.len());
            let (chosen, tiles, to) = (&chosen[..], &tiles[..], &mut scores[..]);
            arch.dispatch(Stripe { scorer: self, users, chosen, tiles, made, to });
            scores
        };
        (0..catalogue.len().div_ceil(LANES)).into_par_iter().map(stripe).collect()
    }

    /// The expected ratings that predictions `r̂` of a sample stand for: within the range that they
    /// are bounded to, or the mean of the levels.
    #[inline(always)]
    fn expect(&self, sample: &Sample, predictions: &mut [f64; LANES]) {
        if let Some([low, high]) = self.predictive.range() {
            predictions.iter_mut().for_each(|x| *x = x.clamp(low, high));
        }
        if !self.levels.is_empty() {
            for x in predictions.iter_mut() {
                *x = expected_level(*x, 1.0, &sample.thresholds, &self.levels);
            }
        }
        // Lists know no −0.
        predictions.iter_mut().for_each(|x| *x += 0.0);
    }
}

/// Makes one number of the samples' for each of [`LANES`] candidates.
enum Made {
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

impl Made {
    fn new(criterion: Criterion, samples: usize) -> Self {
        let Criterion::Quantile(p) = criterion else {
            return Made::Mean { sums: [0.0; LANES], count: samples as f64 };
        };
        let (sign, p) = if p <= 0.5 { (1.0, p) } else { (-1.0, 1.0 - p) };
        let place = p * (samples - 1) as f64;
        let needed = (place as usize + 2).min(samples);
        let beyond = if needed < 2 { 0.0 } else { place - (needed - 2) as f64 };
        Made::Quantile { sign, first: vec![[0.0; LANES]; needed], beyond }
    }

    fn clear(&mut self) {
        match self {
            Made::Mean { sums, .. } => *sums = [0.0; LANES],
            Made::Quantile { first, .. } => first.fill([f64::INFINITY; LANES]),
        }
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, sample: &[f64; LANES]) {
        let (sample, _) = S::as_simd_f64s(sample);
        match self {
            Made::Mean { sums, .. } => {
                let (sums, _) = S::as_mut_simd_f64s(sums);
                for (sum, &x) in sums.iter_mut().zip(sample) {
                    *sum = simd.add_f64s(*sum, x);
                }
            }
            Made::Quantile { sign, first, .. } => {
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
            Made::Mean { sums, count } => sums.map(|sum| sum / count),
            Made::Quantile { sign, first, beyond } => {
                let last = first[first.len() - 1];
                let before = first[first.len().saturating_sub(2)];
                let between = |lane: usize| before[lane] + beyond * (last[lane] - before[lane]);
                std::array::from_fn(|lane| sign * between(lane) + 0.0)
            }
        }
    }
}

/// Scores [`LANES`] candidates for all users, under one instruction set: see [`Arch::dispatch`].
struct Stripe<'a> {
    scorer: &'a SampleScores<'a>,
    users: &'a [u32],
    /// (users): the sample, where it is one.
    chosen: &'a [Option<usize>],
    /// (samples): as [`tile`] makes them.
    tiles: &'a [Vec<[f64; LANES]>],
    made: Made,
    /// (users).
    to: &'a mut [[f64; LANES]],
}

impl WithSimd for Stripe<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Stripe { scorer, users, chosen, tiles, mut made, to } = self;
        let samples = &scorer.predictive.samples().samples;
        for ((to, &user), chosen) in to.iter_mut().zip(users).zip(chosen) {
            let of = match *chosen {
                Some(s) => s..s + 1,
                None => 0..samples.len(),
            };
            made.clear();
            for s in of {
                let f = &samples[s].factors;
                let base = f64::from(f.global_mean) + f64::from(f[Side::User].bias[user as usize]);
                scores(simd, f.user(user), base, &tiles[s], to);
                scorer.expect(&samples[s], to);
                if chosen.is_none() {
                    made.add(simd, to);
                }
            }
            if chosen.is_none() {
                *to = made.finish();
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
