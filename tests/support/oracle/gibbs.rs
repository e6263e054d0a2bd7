//! The Gibbs sampler's passes in f64, from the formulas at [`Conditional`]: the whole normal
//! equations of each row, Cholesky's method as it stands in the books, plain sums. The random numbers
//! are those of the same stream, so that each draw has an exact answer.
#![expect(clippy::needless_range_loop, reason = "indices as the formulas have them")]

use super::latents::truncated;
use super::{Model, Rows, inner};
use std::ops::{ControlFlow, Range};
use wgmf::Result;
use wgmf::backend::{Conditional, GibbsPasses, GibbsProblem, MomentBlocks, Moments};
use wgmf::core::{Factors, Ratings, Side, SideFactors, UNKNOWN};
use wgmf::math::random::{OPEN, Stream};

/// What the textbook gets wrong on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// `L⁻¹ z` instead of `L⁻ᵀ z`.
    Transposed,
    /// A block of coordinates is drawn as if the others were zero.
    BlockAlone,
}

/// The sampler's passes, by the textbook.
pub struct Textbook {
    /// The chains; each side's last row is that of unknown ids.
    pub chains: Vec<Model>,
    /// In the users' order.
    ratings: Vec<(usize, usize, f64)>,
    /// What each of them weighs.
    weights: Vec<f64>,
    test: Ratings,
    popularity: [Vec<f32>; 2],
    factors: usize,
    bias: bool,
    block: usize,
    latent: bool,
    slip: Option<Slip>,
}

/// `L` of `a = L Lᵀ`.
pub fn cholesky(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let sum = a[i][j] - inner(&l[i][..j], &l[j][..j]);
            l[i][j] = if i == j { sum.sqrt() } else { sum / l[j][j] };
        }
    }
    l
}

/// `L⁻¹ x`.
pub fn forward(l: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let mut y = x.to_vec();
    for i in 0..y.len() {
        y[i] = (y[i] - inner(&l[i][..i], &y[..i])) / l[i][i];
    }
    y
}

/// `L⁻ᵀ x`.
pub fn backward(l: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let mut y = x.to_vec();
    for i in (0..y.len()).rev() {
        for j in i + 1..y.len() {
            y[i] -= l[j][i] * y[j];
        }
        y[i] /= l[i][i];
    }
    y
}

/// `a⁻¹`, by Gauss and Jordan.
pub fn inverse(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut a = a.to_vec();
    let mut b: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for i in 0..n {
        let pivot = a[i][i];
        for j in 0..n {
            a[i][j] /= pivot;
            b[i][j] /= pivot;
        }
        for other in (0..n).filter(|&other| other != i) {
            let times = a[other][i];
            for j in 0..n {
                a[other][j] -= times * a[i][j];
                b[other][j] -= times * b[i][j];
            }
        }
    }
    b
}

/// The number of column `column` of a row.
fn normal(stream: Stream, row: usize, column: usize) -> f64 {
    f64::from(stream.normals(row as u32, column as u32 / 4)[column % 4])
}

fn place(side: Side) -> usize {
    match side {
        Side::User => 0,
        Side::Item => 1,
    }
}

impl Textbook {
    pub fn new(problem: &GibbsProblem, slip: Option<Slip>) -> Self {
        let users = &problem.ratings.users;
        let (mut ratings, mut weights) = (Vec::new(), Vec::new());
        for user in 0..users.rows() {
            for at in users.positions(user) {
                ratings.push((user, users.partners[at] as usize, f64::from(users.values[at])));
                weights.push(users.weights.get(at).map_or(1.0, |&w| f64::from(w)));
            }
        }
        let mut textbook = Self {
            chains: Vec::new(),
            ratings,
            weights,
            test: problem.test.clone(),
            popularity: problem.popularity.clone(),
            factors: problem.starts[0].factors,
            bias: problem.bias,
            block: problem.block,
            latent: problem.latent,
            slip,
        };
        for start in &problem.starts {
            let model = textbook.with_unknown(start, None);
            textbook.chains.push(model);
        }
        textbook
    }

    fn with_unknown(&self, factors: &Factors, unknown: Option<&Model>) -> Model {
        let mut model = Model::from(factors);
        let sides = [
            (&mut model.users, unknown.map(|m| &m.users)),
            (&mut model.items, unknown.map(|m| &m.items)),
        ];
        for (rows, unknown) in sides {
            let last = |rows: &Rows| (rows.factors.last().cloned(), rows.bias.last().copied());
            let (x, b) = unknown.map_or((None, None), last);
            rows.factors.push(x.unwrap_or(vec![0.0; self.factors]));
            rows.bias.push(b.unwrap_or(0.0));
        }
        model
    }

    /// Goes on from these parameters, but for the rows of unknown ids.
    pub fn set(&mut self, chain: usize, factors: &Factors) {
        self.chains[chain] = self.with_unknown(factors, Some(&self.chains[chain]));
    }

    /// The latent value behind the level of a rating, as `row` sees it.
    fn latent(
        &self,
        chain: usize,
        (user, item, level): (usize, usize, f64),
        (row, column): (usize, usize),
        conditional: &Conditional,
    ) -> f64 {
        let level = level as usize;
        let end = |at: usize| f64::from(conditional.thresholds[at]);
        let low = if level == 0 { -f64::from(OPEN) } else { end(level - 1) };
        let open = level == conditional.thresholds.len();
        let high = if open { f64::from(OPEN) } else { end(level) };
        let word = conditional.latents.words(row as u32, column as u32 / 4)[column % 4];
        truncated(word, self.predict(chain, user, item), low, high)
    }

    /// `A` and `A` times the mean of a row's conditional distribution, of all coordinates that are
    /// drawn.
    pub fn equations(
        &self,
        chain: usize,
        side: Side,
        row: usize,
        conditional: &Conditional,
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (k, model) = (self.factors, &self.chains[chain]);
        let width = k + usize::from(self.bias);
        let prior = conditional.prior;
        let zeta = f64::from(self.popularity[place(side)][row]);
        let mut a = vec![vec![0.0; width]; width];
        let mut right = vec![0.0; width];
        for i in 0..width {
            for j in 0..width {
                let lambda = prior.precision[i * (k + 1) + j];
                a[i][j] = lambda;
                right[i] += lambda * (prior.mean[j] + zeta * prior.slope[j]);
            }
        }
        for (&(user, item, value), own_weight) in self.ratings.iter().zip(&self.weights) {
            let (own, partner, partners) = match side {
                Side::User => (user, item, &model.items),
                Side::Item => (item, user, &model.users),
            };
            if own != row {
                continue;
            }
            let value = match self.latent {
                true => self.latent(chain, (user, item, value), (row, partner), conditional),
                false => value,
            };
            let weight = conditional.noise_weights.get(user).map_or(1.0, |&a| f64::from(a));
            let precision = conditional.noise_precision * weight * own_weight;
            let mut y = partners.factors[partner].clone();
            if self.bias {
                y.push(1.0);
            }
            for i in 0..width {
                for j in 0..width {
                    a[i][j] += precision * y[i] * y[j];
                }
                right[i] += precision * (value - model.mean - partners.bias[partner]) * y[i];
            }
        }
        (a, right)
    }

    /// Which coordinates are drawn together.
    fn blocks(&self) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (0..self.factors).collect();
        let mut blocks: Vec<Vec<usize>> = all.chunks(self.block).map(<[usize]>::to_vec).collect();
        if self.bias {
            blocks.last_mut().unwrap().push(self.factors);
        }
        blocks
    }

    fn draw_row(&self, chain: usize, side: Side, row: usize, given: &Conditional) -> Vec<f64> {
        let model = &self.chains[chain];
        let rows = match side {
            Side::User => &model.users,
            Side::Item => &model.items,
        };
        let mut z = rows.factors[row].clone();
        z.push(rows.bias[row]);
        let (a, right) = self.equations(chain, side, row, given);
        for block in self.blocks() {
            let part: Vec<Vec<f64>> =
                block.iter().map(|&i| block.iter().map(|&j| a[i][j]).collect()).collect();
            let mut rest = Vec::new();
            for &i in &block {
                let others = (0..a.len()).filter(|j| !block.contains(j));
                let moved: f64 = others.map(|j| a[i][j] * z[j]).sum();
                rest.push(match self.slip {
                    Some(Slip::BlockAlone) => right[i],
                    _ => right[i] - moved,
                });
            }
            let l = cholesky(&part);
            let mean = backward(&l, &forward(&l, &rest));
            let normals: Vec<f64> =
                block.iter().map(|&column| normal(given.rows, row, column)).collect();
            let deviations = match self.slip {
                Some(Slip::Transposed) => forward(&l, &normals),
                _ => backward(&l, &normals),
            };
            for (j, &i) in block.iter().enumerate() {
                z[i] = mean[j] + deviations[j];
            }
        }
        z
    }

    fn predict(&self, chain: usize, user: usize, item: usize) -> f64 {
        let Model { users, items, mean } = &self.chains[chain];
        let product = inner(&users.factors[user], &items.factors[item]);
        mean + users.bias[user] + items.bias[item] + product
    }
}

impl GibbsPasses for Textbook {
    fn draw(
        &mut self,
        chain: usize,
        side: Side,
        _: Range<usize>,
        conditional: &Conditional,
        _: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let rows = self.popularity[place(side)].len() - 1;
        let drawn: Vec<Vec<f64>> =
            (0..rows).map(|row| self.draw_row(chain, side, row, conditional)).collect();
        let zeta = f64::from(self.popularity[place(side)][rows]);
        let prior = conditional.prior;
        let unknown: Vec<f64> =
            prior.mean.iter().zip(&prior.slope).map(|(m, s)| m + zeta * s).collect();
        let own = match side {
            Side::User => &mut self.chains[chain].users,
            Side::Item => &mut self.chains[chain].items,
        };
        for (row, z) in drawn.into_iter().chain([unknown]).enumerate() {
            own.factors[row].copy_from_slice(&z[..self.factors]);
            own.bias[row] = z[self.factors];
        }
        Ok(self.ratings.len())
    }

    fn rows(&mut self, chain: usize, side: Side, rows: Range<usize>) -> Result<SideFactors> {
        let factors = self.factors(chain)?;
        let (x, b) = factors.side(side);
        let rows = rows.start..rows.end.min(b.len());
        let k = self.factors;
        Ok(SideFactors {
            factors: x[rows.start * k..rows.end * k].to_vec(),
            bias: b[rows].to_vec(),
        })
    }

    fn put_rows(
        &mut self,
        chain: usize,
        side: Side,
        rows: Range<usize>,
        values: &SideFactors,
    ) -> Result<()> {
        let mut factors = self.factors(chain)?;
        let k = self.factors;
        let own = &mut factors[side];
        let rows = rows.start..rows.end.min(own.bias.len());
        own.factors[rows.start * k..rows.end * k].copy_from_slice(&values.factors);
        own.bias[rows].copy_from_slice(&values.bias);
        self.set(chain, &factors);
        Ok(())
    }

    fn moments(&mut self, chain: usize, side: Side, _: Range<usize>) -> Result<MomentBlocks> {
        let wide = self.factors + 1;
        let own = match side {
            Side::User => &self.chains[chain].users,
            Side::Item => &self.chains[chain].items,
        };
        let rows = own.bias.len() - 1;
        let mut moments = Moments {
            rows,
            sum: vec![0.0; wide],
            products: vec![0.0; wide * wide],
            popular: vec![0.0; wide],
        };
        for row in 0..rows {
            let mut z = own.factors[row].clone();
            z.push(own.bias[row]);
            for i in 0..wide {
                moments.sum[i] += z[i];
                moments.popular[i] += f64::from(self.popularity[place(side)][row]) * z[i];
                for j in 0..wide {
                    moments.products[i * wide + j] += z[i] * z[j];
                }
            }
        }
        Ok(moments.into())
    }

    fn squared_errors(&mut self, chain: usize, _: Range<usize>) -> Result<Vec<f64>> {
        let mut errors = vec![0.0; self.popularity[0].len() - 1];
        for (&(user, item, value), weight) in self.ratings.iter().zip(&self.weights) {
            errors[user] += weight * (value - self.predict(chain, user, item)).powi(2);
        }
        Ok(errors)
    }

    fn training_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        let of = |&(user, item, _): &(usize, usize, f64)| self.predict(chain, user, item) as f32;
        Ok(self.ratings.iter().map(of).collect())
    }

    fn test_predictions(&mut self, chain: usize) -> Result<Vec<f32>> {
        let row = |index: u32, side: usize| match index {
            UNKNOWN => self.popularity[side].len() - 1,
            index => index as usize,
        };
        let pairs = self.test.users.iter().zip(&self.test.items);
        Ok(pairs.map(|(&u, &i)| self.predict(chain, row(u, 0), row(i, 1)) as f32).collect())
    }

    fn factors(&mut self, chain: usize) -> Result<Factors> {
        let Model { users, items, mean } = &self.chains[chain];
        let flat = |rows: &Rows| -> (Vec<f32>, Vec<f32>) {
            let n = rows.bias.len() - 1;
            let factors = rows.factors[..n].iter().flatten().map(|&x| x as f32).collect();
            (factors, rows.bias[..n].iter().map(|&b| b as f32).collect())
        };
        let ((user_factors, user_bias), (item_factors, item_bias)) = (flat(users), flat(items));
        Ok(Factors {
            factors: self.factors,
            sides: [
                SideFactors { factors: user_factors, bias: user_bias },
                SideFactors { factors: item_factors, bias: item_bias },
            ],
            global_mean: *mean as f32,
        })
    }
}
