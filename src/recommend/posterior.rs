//! What samples of the posterior make of the items of a user.

use super::Catalogue;
use super::order::{Scored, best, rank};
use crate::model::{Predictive, Sample, expected_level};
use crate::random::{Purpose, Stream};
use crate::{Error, Result};
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
                Some((u64::from(word) * samples as u64 >> 32) as usize)
            }
            _ => None,
        }
    }
}

/// Scores that a criterion makes of every sample's.
pub(crate) struct SampleScores<'m> {
    predictive: &'m Predictive<'m>,
    criterion: Criterion,
    /// (levels): their values in the unit of the ratings; empty where ratings are no levels.
    levels: Vec<f64>,
}

/// Candidates that are scored side by side.
const LANES: usize = 16;
/// Bytes of scores that are in memory at once.
const AT_ONCE: usize = 64 << 20;

impl<'m> SampleScores<'m> {
    pub fn new(predictive: &'m Predictive<'m>, criterion: Criterion) -> Self {
        Self { predictive, criterion, levels: predictive.level_values() }
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
        self.each_user(catalogue, users, excluded, |_, scored| best(scored, n))
    }

    /// Better and equal candidates of each relevant one.
    pub fn ranks(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        excluded: &[&[u32]],
        relevant: &[&[u32]],
    ) -> Vec<Vec<[u64; 2]>> {
        let own = |at: usize| excluded.get(at).copied().unwrap_or_default();
        // A relevant one may be excluded, and is scored all the same.
        self.each_user(catalogue, users, &[], |at, scored| {
            let mut others = left(&scored, own(at));
            others.sort_unstable_by(f64::total_cmp);
            let rank = |&row: &u32| {
                let itself = own(at).binary_search(&row).is_err();
                rank(&others, scored[row as usize].score, itself)
            };
            relevant[at].iter().map(rank).collect()
        })
    }

    /// What `f` makes of each user's scores of all candidates that are not excluded.
    fn each_user<T: Send>(
        &self,
        catalogue: &Catalogue,
        users: &[u32],
        excluded: &[&[u32]],
        f: impl Fn(usize, Vec<Scored>) -> T + Sync,
    ) -> Vec<T> {
        let at_once = (AT_ONCE / (size_of::<f64>() * catalogue.len()).max(1)).max(1);
        let mut made = Vec::with_capacity(users.len());
        for (chunk, users) in users.chunks(at_once).enumerate() {
            let stripes = self.stripes(catalogue, users);
            let of_user = |place: usize| {
                let at = chunk * at_once + place;
                let mut excluded = excluded.get(at).copied().unwrap_or_default().iter().peekable();
                let scores = stripes.iter().flat_map(|stripe| stripe[place]);
                let scored = scores.zip(0..catalogue.len() as u32);
                let scored = scored.map(|(score, row)| Scored { row, score });
                let kept = scored.filter(|s| excluded.next_if(|&&row| row == s.row).is_none());
                f(at, kept.collect())
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
        let stripe = |stripe: usize| {
            let first = stripe * LANES;
            let rows = first..(first + LANES).min(catalogue.len());
            let items: Vec<u32> = rows.map(|row| catalogue.item(row as u32)).collect();
            let tiles: Vec<Vec<[f64; LANES]>> = samples
                .iter()
                .zip(&needed)
                .map(|(sample, needed)| if *needed { tile(sample, &items) } else { Vec::new() })
                .collect();
            let mut made = Made::new(self.criterion, samples.len());
            let score = |(&user, chosen): (&u32, &Option<usize>)| {
                let expected = |s: usize| {
                    let sample = &samples[s];
                    self.expected(sample, scores(sample, user, &tiles[s]))
                };
                match *chosen {
                    Some(s) => expected(s),
                    None => made.of((0..samples.len()).map(expected)),
                }
            };
            users.iter().zip(&chosen).map(score).collect()
        };
        (0..catalogue.len().div_ceil(LANES)).into_par_iter().map(stripe).collect()
    }

    /// The expected ratings that predictions `r̂` of a sample stand for: within the range that they
    /// are bounded to, or the mean of the levels.
    fn expected(&self, sample: &Sample, mut predictions: [f64; LANES]) -> [f64; LANES] {
        for x in &mut predictions {
            if let Some([low, high]) = self.predictive.range() {
                *x = x.clamp(low, high);
            }
            if !self.levels.is_empty() {
                *x = expected_level(*x, 1.0, &sample.thresholds, &self.levels);
            }
            // Lists know no −0.
            *x += 0.0;
        }
        predictions
    }
}

/// Makes one number of the samples' for each of [`LANES`] candidates.
enum Made {
    /// The mean over so many.
    Mean(f64),
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
        let Criterion::Quantile(p) = criterion else { return Made::Mean(samples as f64) };
        let (sign, p) = if p <= 0.5 { (1.0, p) } else { (-1.0, 1.0 - p) };
        let place = p * (samples - 1) as f64;
        let needed = (place as usize + 2).min(samples);
        let beyond = if needed < 2 { 0.0 } else { place - (needed - 2) as f64 };
        Made::Quantile { sign, first: vec![[0.0; LANES]; needed], beyond }
    }

    fn of(&mut self, samples: impl Iterator<Item = [f64; LANES]>) -> [f64; LANES] {
        let mut made = [0.0; LANES];
        match self {
            Made::Mean(count) => {
                for sample in samples {
                    made.iter_mut().zip(sample).for_each(|(sum, x)| *sum += x);
                }
                made.iter_mut().for_each(|sum| *sum /= *count);
            }
            Made::Quantile { sign, first, beyond } => {
                first.fill([f64::INFINITY; LANES]);
                for sample in samples {
                    // Each passes the larger one on.
                    let mut next = sample.map(|x| *sign * x);
                    for held in first.iter_mut() {
                        for lane in 0..LANES {
                            let (x, y) = (held[lane], next[lane]);
                            held[lane] = if y < x { y } else { x };
                            next[lane] = if y < x { x } else { y };
                        }
                    }
                }
                let last = first[first.len() - 1];
                let before = first[first.len().saturating_sub(2)];
                for lane in 0..LANES {
                    let between = before[lane] + *beyond * (last[lane] - before[lane]);
                    made[lane] = *sign * between + 0.0;
                }
            }
        }
        made
    }
}

/// Items' rows and biases of a sample, transposed: (k + 1), the biases last.
fn tile(sample: &Sample, items: &[u32]) -> Vec<[f64; LANES]> {
    let f = &sample.factors;
    let mut tile = vec![[0.0; LANES]; f.factors + 1];
    for (lane, &item) in items.iter().enumerate() {
        let row = f.item(item).iter().chain([&f.item_bias[item as usize]]);
        for (to, &x) in tile.iter_mut().zip(row) {
            to[lane] = f64::from(x);
        }
    }
    tile
}

/// `r̂` of a user and each item of a tile, summed in f64 in order of the factors.
#[inline]
fn scores(sample: &Sample, user: u32, tile: &[[f64; LANES]]) -> [f64; LANES] {
    let f = &sample.factors;
    let mut sums = tile[f.factors];
    for (&x, column) in f.user(user).iter().zip(tile) {
        let x = f64::from(x);
        for lane in 0..LANES {
            sums[lane] += x * column[lane];
        }
    }
    let base = f64::from(f.global_mean) + f64::from(f.user_bias[user as usize]);
    sums.map(|sum| base + sum)
}

/// The scores of those that are not excluded.
fn left(scored: &[Scored], excluded: &[u32]) -> Vec<f64> {
    let mut excluded = excluded.iter().peekable();
    let open = |s: &&Scored| excluded.next_if(|&&row| row == s.row).is_none();
    scored.iter().filter(open).map(|s| s.score).collect()
}
