//! The thresholds between levels of a rating, drawn given the model's `r̂` of all training ratings.

use crate::math::dense::{backward, cholesky, solve};
use crate::math::gaussian::{interval, quantile};
use crate::predict::expected_level;
use crate::{Error, Result};
use rand::Rng;
use rand_distr::{ChiSquared, Distribution, OpenClosed01, StandardNormal};
use rayon::prelude::*;

/// Draws the thresholds `γ` of a rating's levels by an independence step of Metropolis and Hastings,
/// latent values integrated out: `P(level j) = Φ(γ_j − r̂) − Φ(γ_(j−1) − r̂)`.
///
/// Given latent values a threshold could only move between the two nearest of them (Albert and Chib
/// 1993), which takes for ever with many ratings (Cowles 1996). Here, as in Albert and Chib (2001),
/// `θ = (γ_1, ln(γ_2 − γ_1), …)`, which has no order to keep, comes from a multivariate t around the
/// mode of its own posterior. Prior: each of `θ` independent around where it starts, `γ_1` with
/// deviation 3, the logarithms with deviation 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// (ratings): the number of each training rating's level, in the users' order.
    levels: Vec<u8>,
    /// (levels): their values.
    values: Vec<f32>,
    /// (levels − 1): where thresholds start.
    start: Vec<f64>,
    /// Whether they stay there.
    fixed: bool,
}

/// How well the training ratings are predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Sum of the squared differences from the expected level's value.
    pub squared_error: f64,
    /// Sum of the logarithms of the levels' probabilities.
    pub log_likelihood: f64,
}

/// Prior deviations of `γ_1` and of the logarithms.
const DEVIATIONS: [f64; 2] = [3.0, 1.0];

/// Degrees of freedom of the proposals: tails that are heavier than the posterior's.
const DEGREES: f64 = 10.0;

/// Squared length, in posterior deviations, of a last step to the mode.
const CLOSE: f64 = 1e-3;

/// Nodes in a unit of `r̂`. Between them cubics are off by 3/128 of the fourth power of their distance
/// times a fourth derivative below 1: 2e-8 of a rating's log-likelihood.
const NODES: f64 = 32.0;

/// Ratings of a task at least, and tasks at most.
const BLOCK: usize = 1 << 16;
const BLOCKS: usize = 64;

/// Points of a task.
const POINTS: usize = 4096;

impl Thresholds {
    /// For training ratings of these levels (in the users' order). With two fixed levels the threshold
    /// is 0; else the start makes a latent standard normal as frequent in each level as ratings are.
    ///
    /// # Panics
    /// If a level has no rating, or does not exist.
    pub fn new(levels: Vec<u8>, values: Vec<f32>, fixed: bool) -> Self {
        let mut counts = vec![0_u64; values.len()];
        levels.iter().for_each(|&level| counts[usize::from(level)] += 1);
        assert!(counts.iter().all(|&count| count > 0), "a level without ratings");
        let (mut below, mut last) = (0, f32::NEG_INFINITY);
        let mut start = Vec::with_capacity(values.len() - 1);
        for count in &counts[..values.len() - 1] {
            below += count;
            let threshold = match fixed {
                true => 0.0,
                false => quantile(below as f64 / levels.len() as f64) as f32,
            };
            last = threshold.max(last.next_up());
            start.push(f64::from(last));
        }
        Self { levels, values, start, fixed }
    }

    /// Where the thresholds of a chain start.
    pub fn start(&self) -> Vec<f64> {
        self.start.clone()
    }

    /// The values of the levels.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Draws `thresholds` anew, given `r̂` of every training rating in the users' order. They are f32
    /// numbers, as the device gets them. Figures that are not finite where `r̂` is not.
    ///
    /// # Errors
    /// If the posterior has no finite curvature.
    pub fn draw(
        &self,
        thresholds: &mut Vec<f64>,
        predictions: &[f32],
        random: &mut impl Rng,
    ) -> Result<Fit> {
        let sum = Sum { points: self.points(predictions), width: self.start.len() };
        if sum.points.iter().any(|point| !point.prediction.is_finite()) {
            return Ok(Fit { squared_error: f64::NAN, log_likelihood: f64::NAN });
        }
        if !self.fixed {
            self.step(thresholds, &sum, random)?;
        }
        let squared_error = sum.of(|point| {
            let expected = expected_level(point.prediction, 1.0, thresholds, &self.values);
            (f64::from(self.values[point.level]) - expected).powi(2)
        });
        Ok(Fit { squared_error, log_likelihood: sum.log_likelihood(thresholds) })
    }

    fn step(&self, thresholds: &mut Vec<f64>, sum: &Sum, random: &mut impl Rng) -> Result<()> {
        let failed = || Error::data("the thresholds between levels have no finite posterior");
        let width = self.start.len();
        let prior = Prior { center: logarithms(&self.start) };
        let current = logarithms(thresholds);
        let current_value = sum.posterior(&prior, &current).value;
        // The mode, or near it: the way there begins at the same place whatever the thresholds are, so
        // that the proposal is independent of them.
        let mut at = sum.posterior(&prior, &prior.center);
        let mode = loop {
            if !at.value.is_finite() || !cholesky(&mut at.curvature, width) {
                return Err(failed());
            }
            let mut change = at.gradient.clone();
            solve(&at.curvature, &mut change);
            let length: f64 = change.iter().zip(&at.gradient).map(|(x, g)| x * g).sum();
            let longest = change.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
            let moved = |by: f64| -> Vec<f64> {
                at.place.iter().zip(&change).map(|(x, d)| x + by / longest * d).collect()
            };
            if length < CLOSE {
                break moved(1.0);
            }
            let mut by = 1.0;
            let next = loop {
                let next = sum.posterior(&prior, &moved(by));
                if next.value > at.value || by < 1e-6 {
                    break next;
                }
                by /= 2.0;
            };
            // In rounding's reach of the mode.
            if next.value <= at.value {
                break at.place.clone();
            }
            at = next;
        };
        let triangle = &at.curvature;
        let chi: f64 = ChiSquared::new(DEGREES).map_err(|_| failed())?.sample(random);
        let mut proposal: Vec<f64> = (0..width).map(|_| StandardNormal.sample(random)).collect();
        backward(triangle, &mut proposal);
        let stretch = (DEGREES / chi).sqrt();
        for (x, mode) in proposal.iter_mut().zip(&mode) {
            *x = mode + stretch * *x;
        }
        // What the device can have.
        let rounded: Vec<f32> = positions(&proposal).iter().map(|&x| x as f32).collect();
        let accept: f64 = OpenClosed01.sample(random);
        let ascends = rounded.iter().all(|x| x.is_finite()) && rounded.is_sorted_by(|a, b| a < b);
        if !ascends {
            return Ok(());
        }
        let density = |place: &[f64]| {
            let away: Vec<f64> = place.iter().zip(&mode).map(|(x, mode)| x - mode).collect();
            let mut length = 0.0;
            for column in 0..width {
                let along: f64 =
                    (column..width).map(|row| triangle[row * width + column] * away[row]).sum();
                length += along * along;
            }
            -0.5 * (DEGREES + width as f64) * (length / DEGREES).ln_1p()
        };
        let rounded: Vec<f64> = rounded.into_iter().map(f64::from).collect();
        let value = sum.log_likelihood(&rounded) + prior.log_density(&proposal);
        if accept.ln() <= value - current_value + density(&current) - density(&proposal) {
            *thresholds = rounded;
        }
        Ok(())
    }

    /// The ratings themselves, or, where they are many, the weights of nodes that stand for them:
    /// between nodes any function of `r̂` is its cubic through the four nearest.
    fn points(&self, predictions: &[f32]) -> Vec<Point> {
        let ends = |values: &[f32]| {
            let least = values.iter().fold(f32::INFINITY, |a, &b| a.min(b));
            let most = values.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            [least, most]
        };
        let ends: Vec<[f32; 2]> = predictions.par_chunks(BLOCK).map(ends).collect();
        let least = f64::from(ends.iter().fold(f32::INFINITY, |a, b| a.min(b[0])));
        let most = f64::from(ends.iter().fold(f32::NEG_INFINITY, |a, b| a.max(b[1])));
        let (count, levels) = (predictions.len(), self.values.len());
        let nodes = ((most - least) * NODES).floor() + 5.0;
        let all_finite = || predictions.par_iter().all(|x| x.is_finite());
        if !(nodes * levels as f64 * 4.0 < count as f64 && all_finite()) {
            let each = self.levels.iter().zip(predictions);
            let point = |(&level, &prediction): (&u8, &f32)| Point {
                level: level.into(),
                prediction: prediction.into(),
                weight: 1.0,
            };
            return each.map(point).collect();
        }
        let nodes = nodes as usize;
        // One node below the least.
        let first = least - 1.0 / NODES;
        let size = BLOCK.max(count.div_ceil(BLOCKS));
        let blocks = predictions.par_chunks(size).zip(self.levels.par_chunks(size));
        let tables = blocks.map(|(predictions, numbers)| {
            let mut table = vec![0.0; nodes * levels];
            for (&prediction, &level) in predictions.iter().zip(numbers) {
                let x = (f64::from(prediction) - least) * NODES;
                let cell = (x as usize).min(nodes - 4);
                let t = x - cell as f64;
                let (back, on, over) = (t + 1.0, t - 1.0, t - 2.0);
                let weights = [
                    -t * on * over / 6.0,
                    back * on * over / 2.0,
                    -back * t * over / 2.0,
                    back * t * on / 6.0,
                ];
                let at = &mut table[usize::from(level) * nodes + cell..][..4];
                for (to, weight) in at.iter_mut().zip(weights) {
                    *to += weight;
                }
            }
            table
        });
        let mut tables = tables.collect::<Vec<_>>().into_iter();
        let mut sum = tables.next().unwrap_or_default();
        for table in tables {
            sum.iter_mut().zip(table).for_each(|(to, weight)| *to += weight);
        }
        let point = |(at, weight): (usize, f64)| Point {
            level: at / nodes,
            prediction: first + (at % nodes) as f64 / NODES,
            weight,
        };
        sum.into_iter().enumerate().filter(|&(_, weight)| weight != 0.0).map(point).collect()
    }
}

/// `(γ_1, ln(γ_2 − γ_1), …)`.
fn logarithms(thresholds: &[f64]) -> Vec<f64> {
    let first = thresholds.first().copied();
    first.into_iter().chain(thresholds.windows(2).map(|pair| (pair[1] - pair[0]).ln())).collect()
}

/// Back again.
fn positions(place: &[f64]) -> Vec<f64> {
    let mut last = 0.0;
    let mut next = |(at, &x): (usize, &f64)| {
        last += if at == 0 { x } else { x.exp() };
        last
    };
    place.iter().enumerate().map(&mut next).collect()
}

struct Prior {
    center: Vec<f64>,
}

impl Prior {
    fn precision(at: usize) -> f64 {
        DEVIATIONS[at.min(1)].powi(-2)
    }

    fn log_density(&self, place: &[f64]) -> f64 {
        let pairs = place.iter().zip(&self.center).enumerate();
        pairs.map(|(at, (x, center))| -0.5 * Self::precision(at) * (x - center).powi(2)).sum()
    }
}

/// Ratings of a level that all have the same `r̂`: how many.
#[derive(Clone, Copy)]
struct Point {
    level: usize,
    prediction: f64,
    weight: f64,
}

/// The logarithm of the posterior density at a place of `θ`.
struct Posterior {
    place: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    /// The expected part of less its second derivatives, which is positive definite everywhere:
    /// then its Cholesky factor.
    curvature: Vec<f64>,
}

/// Sums over points.
struct Sum {
    points: Vec<Point>,
    width: usize,
}

impl Sum {
    /// Sums in fixed blocks.
    fn of(&self, value: impl Fn(&Point) -> f64 + Sync) -> f64 {
        let blocks = self.points.par_chunks(POINTS);
        let sums: Vec<f64> = blocks
            .map(|points| points.iter().map(|point| point.weight * value(point)).sum())
            .collect();
        sums.into_iter().sum()
    }

    fn log_likelihood(&self, thresholds: &[f64]) -> f64 {
        self.of(|point| point.chance(thresholds).log)
    }

    fn posterior(&self, prior: &Prior, place: &[f64]) -> Posterior {
        let width = self.width;
        let thresholds = positions(place);
        // The value, the gradient by the thresholds, and less the second derivatives: the diagonal
        // and what is beside it.
        let blocks = self.points.par_chunks(POINTS).map(|points| {
            let mut sums = vec![0.0; 1 + 3 * width];
            for point in points {
                let Point { level, prediction, weight } = *point;
                let chance = point.chance(&thresholds);
                sums[0] += weight * chance.log;
                let (mut low, mut high) = (0.0, 0.0);
                if level > 0 {
                    low = chance.low;
                    let away = thresholds[level - 1] - prediction;
                    sums[level] -= weight * low;
                    sums[width + level] += weight * low * (low - away);
                }
                if level < width {
                    high = chance.high;
                    let away = thresholds[level] - prediction;
                    sums[1 + level] += weight * high;
                    sums[1 + width + level] += weight * high * (high + away);
                }
                if level > 0 && level < width {
                    sums[2 * width + level] -= weight * low * high;
                }
            }
            sums
        });
        let mut sums = vec![0.0; 1 + 3 * width];
        for block in blocks.collect::<Vec<_>>() {
            sums.iter_mut().zip(block).for_each(|(to, x)| *to += x);
        }
        let (slopes, curves) = sums[1..].split_at(width);
        let (diagonal, beside) = curves.split_at(width);
        // ∂γ_row / ∂θ_column.
        let mut turn = vec![0.0; width * width];
        for row in 0..width {
            turn[row * width] = 1.0;
            for column in 1..=row {
                turn[row * width + column] = place[column].exp();
            }
        }
        let mut gradient = vec![0.0; width];
        let mut turned = vec![0.0; width * width];
        for row in 0..width {
            for column in 0..width {
                gradient[column] += slopes[row] * turn[row * width + column];
                let mut x = diagonal[row] * turn[row * width + column];
                if row > 0 {
                    x += beside[row - 1] * turn[(row - 1) * width + column];
                }
                if row + 1 < width {
                    x += beside[row] * turn[(row + 1) * width + column];
                }
                turned[row * width + column] = x;
            }
        }
        let mut curvature = vec![0.0; width * width];
        for i in 0..width {
            for j in 0..width {
                let products = |row: usize| turn[row * width + i] * turned[row * width + j];
                curvature[i * width + j] = (0..width).map(products).sum();
            }
            let precision = Prior::precision(i);
            curvature[i * width + i] += precision;
            gradient[i] -= precision * (place[i] - prior.center[i]);
        }
        let value = sums[0] + prior.log_density(place);
        Posterior { place: place.to_vec(), value, gradient, curvature }
    }
}

impl Point {
    fn chance(&self, thresholds: &[f64]) -> crate::math::gaussian::Interval {
        let bound = |at: usize, open: f64| thresholds.get(at).map_or(open, |x| x - self.prediction);
        let low = bound(self.level.wrapping_sub(1), f64::NEG_INFINITY);
        interval(low, bound(self.level, f64::INFINITY))
    }
}

#[cfg(test)]
mod tests;
