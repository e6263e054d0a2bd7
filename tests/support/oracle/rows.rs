//! Textbook alternating least squares in f64: each row's normal equations by definition, solved by
//! Cholesky's method as it stands in the books; blocks of coordinates from residuals that are
//! computed anew; nonnegative rows by cycles of coordinate descent; the objective term by term, its
//! unobserved part over every pair.

use super::{Model, Rows, inner};
use wgmf::backend::RowTerms;
use wgmf::core::{Ratings, Side};

/// How often a solve visits every coordinate of a nonnegative row.
const CYCLES: usize = 32;

/// A rating as a row sees it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    partner: usize,
    value: f64,
    weight: f64,
    /// Whether there is a rating, or only a pair that counts all the same.
    listed: bool,
}

/// The ratings, each with its weight, and the terms of the objective.
pub struct Rowwise {
    /// (ratings): user, item, value, weight.
    ratings: Vec<(usize, usize, f64, f64)>,
    bias: bool,
    reg: f64,
    reg_bias: f64,
    exponent: f64,
    damping: f64,
    damping_bias: f64,
    unobserved: f64,
    block: usize,
    nonnegative: bool,
    /// Whether a pair without a rating counts for 0, by a weight of 1, and one with a rating by that alone.
    confident: bool,
}

/// The objective in its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts {
    pub error: f64,
    pub unobserved: f64,
    pub regularization: f64,
}

impl Parts {
    pub fn total(&self) -> f64 {
        self.error + self.unobserved + self.regularization
    }
}

/// How far a nonnegative row is from the least of its objective.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distance {
    /// The row's objective over the least, relative to what zeros would cost.
    pub excess: f64,
    /// The largest slope at a coordinate that could still go down, relative to the largest at zero.
    pub slope: f64,
}

/// How many of what a row sees are ratings.
fn listed(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.listed).count()
}

fn sides(model: &Model, side: Side) -> (&Rows, &Rows) {
    match side {
        Side::User => (&model.users, &model.items),
        Side::Item => (&model.items, &model.users),
    }
}

/// The solution of `a x = b` for a symmetric positive definite `a`: `a = L Lᵀ`, then forward and
/// backward. NaN where `a` is not positive definite.
fn cholesky(mut a: Vec<Vec<f64>>, b: &[f64]) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        let (above, rest) = a.split_at_mut(i);
        let row = &mut rest[0];
        for j in 0..i {
            let sum = row[j] - inner(&row[..j], &above[j][..j]);
            row[j] = sum / above[j][j];
        }
        let pivot = row[i] - inner(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= 0.0 {
            return vec![f64::NAN; n];
        }
        row[i] = pivot.sqrt();
    }
    let mut x = vec![0.0; n];
    for i in 0..n {
        x[i] = (b[i] - inner(&a[i][..i], &x[..i])) / a[i][i];
    }
    for i in (0..n).rev() {
        for j in i + 1..n {
            x[i] -= a[j][i] * x[j];
        }
        x[i] /= a[i][i];
    }
    x
}

impl Rowwise {
    /// Of `ratings`, with one weight each or none at all.
    pub fn new(ratings: &Ratings, weights: &[f32], terms: &RowTerms) -> Self {
        let weight = |at: usize| weights.get(at).map_or(1.0, |&w| f64::from(w));
        let rating = |(at, (user, item, value)): (usize, (u32, u32, f32))| {
            (user as usize, item as usize, f64::from(value), weight(at))
        };
        Self {
            ratings: ratings.iter().enumerate().map(rating).collect(),
            bias: terms.bias,
            reg: f64::from(terms.reg),
            reg_bias: f64::from(terms.reg_bias),
            exponent: f64::from(terms.reg_exponent),
            damping: f64::from(terms.damping),
            damping_bias: f64::from(terms.damping_bias),
            unobserved: f64::from(terms.unobserved_weight),
            block: terms.block,
            nonnegative: terms.nonnegative,
            confident: false,
        }
    }

    /// Of Hu's objective: values above 0 are 1 with a weight of `alpha` times the value, those below are 0 with as
    /// much; no pair may come twice.
    pub fn confident(ratings: &Ratings, alpha: f64, terms: &RowTerms) -> Self {
        assert_eq!(terms.unobserved_weight, 1.0);
        let mut rowwise = Self { confident: true, ..Self::new(ratings, &[], terms) };
        for (_, _, value, weight) in &mut rowwise.ratings {
            (*value, *weight) = (f64::from(*value > 0.0), alpha * value.abs());
        }
        rowwise
    }

    /// Every row's ratings, and what counts like ratings.
    fn seen(&self, side: Side, rows: usize, partners: usize) -> Vec<Vec<Seen>> {
        let mut seen = vec![Vec::new(); rows];
        for &(user, item, value, weight) in &self.ratings {
            let (own, partner) = match side {
                Side::User => (user, item),
                Side::Item => (item, user),
            };
            seen[own].push(Seen { partner, value, weight, listed: true });
        }
        if self.confident {
            for row in seen.iter_mut().filter(|row| !row.is_empty()) {
                let mut listed = vec![false; partners];
                row.iter().for_each(|seen| listed[seen.partner] = true);
                let rest = (0..partners).filter(|&partner| !listed[partner]);
                row.extend(rest.map(|partner| Seen {
                    partner,
                    value: 0.0,
                    weight: 1.0,
                    listed: false,
                }));
            }
        }
        seen
    }

    /// `reg π + damping` and `reg_bias π + damping_bias`, with `π = (n + α₀·partners)^ν`.
    fn penalties(&self, n: usize, partners: usize) -> (f64, f64) {
        let weight = (n as f64 + self.unobserved * partners as f64).powf(self.exponent);
        (weight * self.reg + self.damping, weight * self.reg_bias + self.damping_bias)
    }

    /// `α₀ Σ y yᵀ` over all rows of the other side.
    fn gram(&self, partners: &Rows) -> Vec<Vec<f64>> {
        let k = partners.factors[0].len();
        let mut gram = vec![vec![0.0; k]; k];
        if self.unobserved != 0.0 && !self.confident {
            for y in &partners.factors {
                for a in 0..k {
                    for b in 0..k {
                        gram[a][b] += self.unobserved * y[a] * y[b];
                    }
                }
            }
        }
        gram
    }

    /// The objective of `model`, by its definition.
    pub fn objective(&self, model: &Model) -> Parts {
        let mut parts = Parts { error: 0.0, unobserved: 0.0, regularization: 0.0 };
        for &(user, item, value, weight) in &self.ratings {
            let e = value - super::predict(model, user as u32, item as u32);
            parts.error += weight * e * e;
            if self.confident {
                // The unobserved part has it as if there were no rating.
                parts.error -= super::predict(model, user as u32, item as u32).powi(2);
            }
        }
        if self.unobserved != 0.0 {
            for p in &model.users.factors {
                for q in &model.items.factors {
                    parts.unobserved += self.unobserved * inner(p, q) * inner(p, q);
                }
            }
        }
        for side in [Side::User, Side::Item] {
            let (own, partners) = sides(model, side);
            let seen = self.seen(side, own.factors.len(), partners.factors.len());
            for (row, x) in own.factors.iter().enumerate() {
                let (reg, reg_bias) = self.penalties(listed(&seen[row]), partners.factors.len());
                parts.regularization += reg * inner(x, x);
                if self.bias {
                    parts.regularization += reg_bias * own.bias[row] * own.bias[row];
                }
            }
        }
        parts
    }

    /// Solves every row of a side given the other.
    pub fn solve(&self, model: &mut Model, side: Side) {
        let (own, partners) = sides(model, side);
        let seen = self.seen(side, own.factors.len(), partners.factors.len());
        let gram = self.gram(partners);
        let mut solved = own.clone();
        for (row, seen) in seen.iter().enumerate() {
            let x = &mut solved.factors[row];
            if seen.is_empty() {
                x.fill(0.0);
                solved.bias[row] = if self.bias { 0.0 } else { solved.bias[row] };
            } else if self.nonnegative {
                let (a, b) = self.equations(seen, partners, model.mean, &gram);
                descend(&a, &b, x, CYCLES);
            } else {
                let bias = &mut solved.bias[row];
                self.solve_row(x, bias, seen, partners, model.mean, &gram);
            }
        }
        match side {
            Side::User => model.users = solved,
            Side::Item => model.items = solved,
        }
    }

    /// Blocks of coordinates in turn, the last with the bias.
    fn solve_row(
        &self,
        x: &mut [f64],
        bias: &mut f64,
        seen: &[Seen],
        partners: &Rows,
        mean: f64,
        gram: &[Vec<f64>],
    ) {
        let k = x.len();
        let (reg, reg_bias) = self.penalties(listed(seen), partners.factors.len());
        let mut first = 0;
        while first < k {
            let end = (first + self.block).min(k);
            let with_bias = self.bias && end == k;
            let width = end - first + usize::from(with_bias);
            // The block's move δ solves A δ = -slope / 2.
            let mut a = vec![vec![0.0; width]; width];
            let mut b = vec![0.0; width];
            for seen in seen {
                let y = &partners.factors[seen.partner];
                let prediction = mean + partners.bias[seen.partner] + *bias + inner(x, y);
                let e = seen.value - prediction;
                let mut features = y[first..end].to_vec();
                if with_bias {
                    features.push(1.0);
                }
                for j in 0..width {
                    b[j] += seen.weight * e * features[j];
                    for l in 0..width {
                        a[j][l] += seen.weight * features[j] * features[l];
                    }
                }
            }
            for j in first..end {
                for l in first..end {
                    a[j - first][l - first] += gram[j][l];
                }
                a[j - first][j - first] += reg;
                b[j - first] -= inner(&gram[j], x) + reg * x[j];
            }
            if with_bias {
                a[width - 1][width - 1] += reg_bias;
                b[width - 1] -= reg_bias * *bias;
            }
            let step = cholesky(a, &b);
            for j in first..end {
                x[j] += step[j - first];
            }
            if with_bias {
                *bias += step[width - 1];
            }
            first = end;
        }
    }

    /// A row's normal equations `A x = b`, without bias.
    fn equations(
        &self,
        seen: &[Seen],
        partners: &Rows,
        mean: f64,
        gram: &[Vec<f64>],
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let k = gram.len();
        let (mut a, mut b) = (gram.to_vec(), vec![0.0; k]);
        for seen in seen {
            let y = &partners.factors[seen.partner];
            let target = seen.value - mean - partners.bias[seen.partner];
            for j in 0..k {
                b[j] += seen.weight * target * y[j];
                for l in 0..k {
                    a[j][l] += seen.weight * y[j] * y[l];
                }
            }
        }
        let (reg, _) = self.penalties(listed(seen), partners.factors.len());
        for (j, row) in a.iter_mut().enumerate() {
            row[j] += reg;
        }
        (a, b)
    }

    /// The nonnegative row that is farthest from the least of its own objective, given the other
    /// side: by its cost, and by its slopes (Karush, Kuhn and Tucker).
    pub fn distance(&self, model: &Model, side: Side) -> Distance {
        let (own, partners) = sides(model, side);
        let gram = self.gram(partners);
        let mut worst = Distance::default();
        for (x, seen) in
            own.factors.iter().zip(self.seen(side, own.factors.len(), partners.factors.len()))
        {
            if seen.is_empty() {
                continue;
            }
            let (a, b) = self.equations(&seen, partners, model.mean, &gram);
            let slope = |x: &[f64], j: usize| inner(&a[j], x) - b[j];
            // `xᵀ A x − 2 b·x`: the objective but for what zeros cost.
            let cost = |x: &[f64]| {
                let along = |j: usize| x[j] * (slope(x, j) - b[j]);
                (0..x.len()).map(along).sum::<f64>()
            };
            let mut least = x.clone();
            descend(&a, &b, &mut least, usize::MAX);
            let zeros: f64 = seen.iter().map(|s| s.weight * s.value * s.value).sum();
            let steepest = b.iter().fold(0.0_f64, |most, b| most.max(b.abs()));
            worst.excess = nan_max(worst.excess, (cost(x) - cost(&least)) / zeros);
            for (j, &value) in x.iter().enumerate() {
                let slope = slope(x, j);
                // At zero a coordinate may only go up.
                let open = if value > 0.0 { slope.abs() } else { (-slope).max(0.0) };
                worst.slope = nan_max(worst.slope, open / steepest);
            }
        }
        worst
    }
}

/// The larger; NaN is largest.
fn nan_max(a: f64, b: f64) -> f64 {
    if b.is_nan() || b > a { b } else { a }
}

/// Towards the least of `xᵀ A x − 2 b·x` over `x ≥ 0`, from `x`: each coordinate in turn to its own
/// least, so many times, or until none moves.
fn descend(a: &[Vec<f64>], b: &[f64], x: &mut [f64], cycles: usize) {
    let most = 200_000;
    for _ in 0..cycles.min(most) {
        let (mut moved, mut largest) = (0.0_f64, 0.0_f64);
        for j in 0..x.len() {
            let slope = inner(&a[j], x) - b[j];
            let to = (x[j] - slope / a[j][j]).max(0.0);
            moved = moved.max((to - x[j]).abs());
            largest = largest.max(to);
            x[j] = to;
        }
        if moved <= 1e-11 * largest {
            return;
        }
    }
    assert!(cycles < most, "coordinate descent does not come to rest");
}
