//! How far rows are drawn towards nothing: chosen on ratings held out inside the training set.
//!
//! Rows with few ratings need a penalty that does not vanish with their number. Its form is fixed,
//! `reg·n + damping` for factors and `damping_bias` for biases (a row's bias then is the damped mean of
//! what is left of its ratings, the posterior mean under a normal prior of variance
//! `σ² / damping_bias`); its size is a matter of the data, and found on them: part of the ratings is held
//! out, damped means are fitted to the others for one `damping_bias` after another, then eight factors by
//! alternating least squares for one `reg` after another, each from where the last one ended, for as long
//! as the error on what was held out falls. Where factors help nobody the search ends at a `reg` at which
//! they vanish.
//!
//! `damping` stays at [`DAMPING`] of the ratings' deviation: on planted and real sets from 1 to 200
//! ratings a row it was near the best wherever `reg` was. In the metric of such a penalty, `1/√(n + 40)`
//! on either side, the noise of a rating matrix has about the same largest singular value whatever the
//! set, 0.10 to 0.19 deviations, and a penalty as large as that leaves nothing of it.

use crate::core::{Ratings, Side, UNKNOWN};
use rayon::prelude::*;

/// What was chosen, for ratings of unit deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shrinkage {
    /// `reg` of alternating least squares.
    pub reg: f64,
    /// Ratings of 0 added to those of each row.
    pub damping_bias: f64,
}

/// Regularization of a row's factors, whatever its ratings, in the ratings' deviations.
pub(super) const DAMPING: f64 = 4.0;

/// Ratings added to each row's, where there are too few to ask.
const DAMPING_BIAS: f64 = 5.0;

/// Candidates for the damping of biases. Above the last sgd's steps would overshoot in rows of one rating.
const BIASES: [f32; 7] = [1.0, 1.7, 3.0, 5.0, 9.0, 16.0, 28.0];

/// The usual one among them.
const USUAL: usize = 3;

/// Candidates for `reg`, in deviations. At the first, noise leaves no factors.
const REGS: [f32; 7] = [0.14, 0.107, 0.083, 0.064, 0.049, 0.038, 0.029];

/// The candidate down to which a search goes on the sparsest sets.
const FURTHEST: usize = 2;

/// Factors that are tried.
const K: usize = 8;

/// Ratings below which nothing can be told.
const FEW: usize = 200;

/// Ratings looked at, about, where there are more: all of some users.
const MANY: usize = 250_000;

/// Alternations of damped means, and sweeps of factors: at first, and after each change of the penalty.
const FIRST: usize = 8;
const AGAIN: usize = 3;

/// Rows a thread takes at a time; a constant, so that threads do not matter.
const ROWS: usize = 256;

/// Chooses for `ratings` around `mean` with this `spread`.
pub(super) fn shrinkage(
    ratings: &Ratings,
    (users, items): (usize, usize),
    (mean, spread): (f64, f64),
    factors: bool,
) -> Shrinkage {
    let guess = guess(ratings.len(), users + items);
    let unknown = Shrinkage { reg: f64::from(REGS[guess]), damping_bias: DAMPING_BIAS };
    if ratings.len() < FEW {
        return unknown;
    }
    // Small sets are cut in several ways: what one part of them says is uncertain.
    let size = ratings.len() + users + items;
    let folds = (ENOUGH / size).clamp(1, ONE_IN as usize) as u64;
    let fold = |fold| Trial::new(ratings, (users, items), (mean, spread), fold);
    let mut trials: Vec<Trial> = (0..folds).map(fold).collect();
    let chance = by_chance(ratings.len());
    let bias = search((USUAL, BIASES.len()), [chance; 2], |at, turns| {
        trials.iter_mut().map(|trial| trial.biases(BIASES[at], turns)).sum()
    });
    let reg = match factors {
        true => {
            trials.iter_mut().for_each(Trial::start);
            let damping_bias = BIASES[bias];
            // Part of a large set is less dense: what it wants more or less than sets of its density.
            let usual = trials[0].guess();
            // Eight factors bear less of a penalty than the many that are trained: no further down than
            // where sets of this density end.
            let count = usual.max(FURTHEST) + 1;
            let found = search((usual, count), [WEAKER, -STRONGER], |at, sweeps| {
                trials.iter_mut().map(|trial| trial.factors(REGS[at], damping_bias, sweeps)).sum()
            });
            match found {
                0 => 0,
                _ => (guess + found).saturating_sub(usual).clamp(1, REGS.len() - 1),
            }
        }
        false => guess,
    };
    Shrinkage { reg: f64::from(REGS[reg]), damping_bias: f64::from(BIASES[bias]) }
}

/// The candidate near which sets of this density end, where factors help.
fn guess(ratings: usize, rows: usize) -> usize {
    let density = ratings as f64 / rows.max(1) as f64;
    let reg = 0.6 * density.powf(-0.63);
    let below = REGS.iter().position(|&x| f64::from(x) < reg * 1.14);
    below.unwrap_or(REGS.len() - 1).max(1)
}

/// One side of the ratings that are kept.
struct Rows {
    starts: Vec<usize>,
    partners: Vec<u32>,
    values: Vec<f32>,
}

impl Rows {
    fn new(kept: &[(u32, u32, f32)], side: Side, rows: usize) -> Self {
        let mut starts = vec![0; rows + 1];
        for &(user, item, _) in kept {
            starts[side.users_first(user, item).0 as usize + 1] += 1;
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        let (mut partners, mut values) = (vec![0; kept.len()], vec![0.0; kept.len()]);
        let mut next = starts.clone();
        for &(user, item, value) in kept {
            let (own, partner) = side.users_first(user, item);
            let at = next[own as usize];
            (partners[at], values[at]) = (partner, value);
            next[own as usize] += 1;
        }
        Self { starts, partners, values }
    }

    /// The ratings of a row: partners and values.
    fn of(&self, row: usize) -> (&[u32], &[f32]) {
        let at = self.starts[row]..self.starts[row + 1];
        (&self.partners[at.clone()], &self.values[at])
    }
}

/// A row's parameters.
#[derive(Clone, Copy, Default)]
struct Row {
    factors: [f32; K],
    bias: f32,
}

/// Ratings kept and held out, less their mean and over their deviation, and rows on their way.
struct Trial {
    kept: [Rows; 2],
    rows: [Vec<Row>; 2],
    held_out: Vec<(u32, u32, f32)>,
}

impl Trial {
    fn new(
        ratings: &Ratings,
        (users, items): (usize, usize),
        (mean, spread): (f64, f64),
        fold: u64,
    ) -> Self {
        let (mut kept, mut held_out) = (Vec::with_capacity(ratings.len()), Vec::new());
        let users_in = ratings.len().div_ceil(MANY) as u64;
        // Rows that are not looked at have no number.
        let mut numbers = [vec![UNKNOWN; users], vec![UNKNOWN; items]];
        let mut counts = [0; 2];
        for (at, (user, item, value)) in ratings.iter().enumerate() {
            if !scrambled(u64::from(user)).is_multiple_of(users_in) {
                continue;
            }
            for (side, row) in [user, item].into_iter().enumerate() {
                let number = &mut numbers[side][row as usize];
                if *number == UNKNOWN {
                    *number = counts[side];
                    counts[side] += 1;
                }
            }
            let [user, item] = [numbers[0][user as usize], numbers[1][item as usize]];
            let rating = (user, item, ((f64::from(value) - mean) / spread) as f32);
            match scrambled(at as u64 ^ (1 << 40)) % ONE_IN == fold {
                true => held_out.push(rating),
                false => kept.push(rating),
            }
        }
        let [users, items] = counts.map(|count| count as usize);
        let (by_user, by_item) = rayon::join(
            || Rows::new(&kept, Side::User, users),
            || Rows::new(&kept, Side::Item, items),
        );
        let rows = [vec![Row::default(); users], vec![Row::default(); items]];
        Self { kept: [by_user, by_item], rows, held_out }
    }

    /// [`guess`] for the ratings that are looked at.
    fn guess(&self) -> usize {
        let kept = self.kept[0].values.len() + self.held_out.len();
        guess(kept, self.rows[0].len() + self.rows[1].len())
    }

    /// Moves damped means on by some turns: the error then.
    fn biases(&mut self, damping: f32, turns: usize) -> f64 {
        for _ in 0..turns {
            self.turn(Side::Item, |ratings, partners| damped(ratings, partners, damping));
            self.turn(Side::User, |ratings, partners| damped(ratings, partners, damping));
        }
        self.error()
    }

    /// Small factors, from which a search begins.
    fn start(&mut self) {
        for (side, rows) in self.rows.iter_mut().enumerate() {
            for (row, of) in rows.iter_mut().enumerate() {
                if self.kept[side].of(row).0.is_empty() {
                    continue;
                }
                for (j, factor) in of.factors.iter_mut().enumerate() {
                    let word = scrambled(((2 * row + side) * K + j) as u64);
                    *factor = START * ((word >> 40) as f32 / (1 << 23) as f32 - 1.0);
                }
            }
        }
    }

    /// Moves factors and biases on by some sweeps: the error then.
    fn factors(&mut self, reg: f32, damping_bias: f32, sweeps: usize) -> f64 {
        let terms = (reg, DAMPING as f32, damping_bias);
        for _ in 0..sweeps {
            self.turn(Side::User, |ratings, partners| solved(ratings, partners, terms));
            self.turn(Side::Item, |ratings, partners| solved(ratings, partners, terms));
        }
        self.error()
    }

    /// Makes every row of a side anew from its ratings and the other side.
    fn turn(&mut self, side: Side, make: impl Fn((&[u32], &[f32]), &[Row]) -> Row + Sync) {
        let [users, items] = &mut self.rows;
        let (own, partners) = side.users_first(users, items);
        let kept = &self.kept[side.index()];
        own.par_chunks_mut(ROWS).enumerate().for_each(|(chunk, rows)| {
            for (at, row) in rows.iter_mut().enumerate() {
                let ratings = kept.of(chunk * ROWS + at);
                if !ratings.0.is_empty() {
                    *row = make(ratings, partners);
                }
            }
        });
    }

    /// The squared error over what is held out.
    fn error(&self) -> f64 {
        let [users, items] = &self.rows;
        let sums = self.held_out.par_chunks(ROWS * 16).map(|part| {
            let error = |&(user, item, value): &(u32, u32, f32)| {
                let (user, item) = (&users[user as usize], &items[item as usize]);
                f64::from(value - user.bias - item.bias - dot(&user.factors, &item.factors)).powi(2)
            };
            part.iter().map(error).sum::<f64>()
        });
        sums.collect::<Vec<_>>().iter().sum()
    }
}

/// How far factors are from zero at first.
const START: f32 = 0.5;

/// One rating in so many is held out.
const ONE_IN: u64 = 8;

/// Ratings and rows, those of repeated trials included, from which on one trial says enough.
const ENOUGH: usize = 100_000;

/// The part by which the error has to fall for a weaker penalty of factors.
const WEAKER: f64 = 0.001;

/// The part by which it may rise for a stronger one: of penalties that do about as well the strongest is
/// taken (Breiman et al. 1984, the rule of one standard error), since the many factors that are trained
/// overfit more than the few that are tried.
const STRONGER: f64 = 0.0005;

/// The part by which it has to fall for another damping of biases than the usual one, with `ratings`: what
/// chance alone makes of it.
fn by_chance(ratings: usize) -> f64 {
    0.5 / (ratings.max(1) as f64).sqrt()
}

/// The candidate, of `count`, at which the error is least, beginning at `from`: down the list for as long
/// as it falls by a part of `margins[0]` or more, else up for as long as it falls by `margins[1]`. `error`
/// is told how often to go round.
fn search(
    (from, count): (usize, usize),
    margins: [f64; 2],
    mut error: impl FnMut(usize, usize) -> f64,
) -> usize {
    let mut best = (from, error(from, FIRST));
    for at in from + 1..count {
        let now = error(at, AGAIN);
        if now >= best.1 * (1.0 - margins[0]) {
            break;
        }
        best = (at, now);
    }
    if best.0 > from {
        return best.0;
    }
    for at in (0..from).rev() {
        let now = error(at, AGAIN);
        if now >= best.1 * (1.0 - margins[1]) {
            break;
        }
        // The least of all, so that many small rises do not add up.
        best = (at, now.min(best.1));
    }
    best.0
}

/// A row that is a damped mean.
fn damped((partners, values): (&[u32], &[f32]), others: &[Row], damping: f32) -> Row {
    let pairs = partners.iter().zip(values);
    let sum: f32 = pairs.map(|(&partner, value)| value - others[partner as usize].bias).sum();
    Row { factors: [0.0; K], bias: sum / (values.len() as f32 + damping) }
}

/// A row that minimizes its squared error and its penalty: `(reg·n + damping)‖p‖² + damping_bias·b²`.
fn solved(
    (partners, values): (&[u32], &[f32]),
    others: &[Row],
    (reg, damping, damping_bias): (f32, f32, f32),
) -> Row {
    // The last coordinate is the bias.
    const SIZE: usize = K + 1;
    let mut matrix = [[0.0_f32; K]; K];
    let (mut ones, mut right, mut target) = ([0.0_f32; K], [0.0_f32; K], 0.0_f32);
    for (&partner, value) in partners.iter().zip(values) {
        let of = &others[partner as usize];
        let y = &of.factors;
        let value = value - of.bias;
        target += value;
        for j in 0..K {
            ones[j] += y[j];
            right[j] += value * y[j];
            for (sum, x) in matrix[j].iter_mut().zip(y) {
                *sum += y[j] * x;
            }
        }
    }
    let n = values.len() as f32;
    // Cholesky's factorization of the whole, in f64: rows are many, but small.
    let mut lower = [[0.0_f64; SIZE]; SIZE];
    let mut x = [0.0_f64; SIZE];
    for j in 0..K {
        for i in 0..=j {
            lower[j][i] = f64::from(matrix[j][i]);
        }
        lower[j][j] += f64::from(reg * n + damping);
        lower[K][j] = f64::from(ones[j]);
        x[j] = f64::from(right[j]);
    }
    lower[K][K] = f64::from(n + damping_bias);
    x[K] = f64::from(target);
    for j in 0..SIZE {
        for i in 0..=j {
            let sum: f64 = (0..i).map(|l| lower[j][l] * lower[i][l]).sum();
            let rest = lower[j][i] - sum;
            lower[j][i] = if i == j { rest.max(1e-12).sqrt() } else { rest / lower[i][i] };
        }
        let sum: f64 = (0..j).map(|l| lower[j][l] * x[l]).sum();
        x[j] = (x[j] - sum) / lower[j][j];
    }
    for j in (0..SIZE).rev() {
        let sum: f64 = (j + 1..SIZE).map(|l| lower[l][j] * x[l]).sum();
        x[j] = (x[j] - sum) / lower[j][j];
    }
    Row { factors: std::array::from_fn(|j| x[j] as f32), bias: x[K] as f32 }
}

fn dot(a: &[f32; K], b: &[f32; K]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A number that tells nothing of its neighbours (SplitMix64; Steele et al. 2014).
fn scrambled(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
