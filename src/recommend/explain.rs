//! Which of a user's own items carry a score.

use crate::core::{Factors, Held, Side, Solver, escaped};
use crate::math::dense::{cholesky, solve};
use crate::model::Model;
use crate::{Error, Result};
use rayon::prelude::*;

/// Explains scores of a model of `als` or `ials` (Hu, Koren and Volinsky 2008, section 5).
///
/// A user's row is the linear function `A⁻¹ Σ_j w_j t_j ỹ_j` of his training ratings, with the
/// items' rows `ỹ_j = [q_j, 1]` (without biases `q_j`), weights `w_j`, and `t_j = v_j − μ − c_j`.
/// So a score is `μ + c_i` and a sum over his items: `ỹ_iᵀ A⁻¹ ỹ_j w_j t_j`.
pub struct Explainer<'a> {
    model: Held<'a, Model>,
    /// `α₀ Σ_i q_i q_iᵀ`: (factors, factors); empty for explicit ratings.
    gram: Vec<f64>,
}

/// A user's row, solved in f64 from his ratings and the items as they are.
pub struct Explained<'a> {
    explainer: &'a Explainer<'a>,
    /// The coordinates of `[p, b]` that the solution is linear in: all, or for nonnegative factors
    /// those above 0.
    free: Vec<usize>,
    /// The lower triangle of the Cholesky factor of `A` over `free`: (free, free), row-major.
    triangle: Vec<f64>,
    /// `[p, b]`: (factors + 1).
    row: Vec<f64>,
    items: Vec<u32>,
    /// `w_j t_j`: (items).
    pulls: Vec<f64>,
}

/// A score in its parts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// `r̂`, in the unit of the transformed ratings.
    pub score: f64,
    /// What every user would have: `μ + c_i`.
    pub base: f64,
    /// What each of the user's own items adds, as (item, part); the largest in amount first.
    pub parts: Vec<(u32, f64)>,
}

impl<'a> Explainer<'a> {
    /// Readies explanations for `model`.
    ///
    /// # Errors
    /// As [`Model::check`]; a model of another solver, or of biases alone.
    pub fn new(model: impl Into<Held<'a, Model>>) -> Result<Self> {
        let model = model.into();
        model.check()?;
        let objective = &model.objective;
        if !matches!(objective.solver, Solver::Als | Solver::Ials) {
            return Err(Error::data(format!(
                "`explain` needs a model of `solver` als or ials, whose rows are sums over \
                 ratings; this one is of {}",
                objective.solver.name()
            )));
        }
        if model.factors.factors == 0 {
            return Err(Error::data(
                "`explain` needs factors, and the model has biases alone (`factors` 0); train with \
                 `factors` 1 or more",
            ));
        }
        let (k, f) = (model.factors.factors, &model.factors);
        let mut gram = Vec::new();
        if objective.unobserved_weight > 0.0 {
            // Blocks of fixed size, added in order: the same sum with any number of threads.
            let blocks: Vec<Vec<f64>> = f[Side::Item]
                .factors
                .par_chunks((k * 1024).max(1))
                .map(|block| {
                    let mut sum = vec![0.0; k * k];
                    for row in block.chunks_exact(k.max(1)) {
                        add_outer(&mut sum, k, 1.0, |j| f64::from(row[j]));
                    }
                    sum
                })
                .collect();
            gram = vec![0.0; k * k];
            for block in blocks {
                gram.iter_mut().zip(block).for_each(|(sum, x)| *sum += x);
            }
            gram.iter_mut().for_each(|x| *x *= objective.unobserved_weight);
        }
        Ok(Explainer { model, gram })
    }

    /// Makes sure that it explains a model of this shape.
    pub(super) fn check_model(&self, model: &Model) -> Result<()> {
        let (own, f) = (&self.model.factors, &model.factors);
        let shape = |f: &Factors| (f.users(), f.items(), f.factors);
        match shape(own) == shape(f) {
            true => Ok(()),
            false => Err(Error::data("the explainer is another model's")),
        }
    }

    /// Solves the row of a user with these training `items`, their (transformed) `values`, and what they count
    /// (`weights`, over the mean of all), or nothing where all count alike. `user` is for the error's text.
    ///
    /// # Errors
    /// A user or an item that the model does not have; not as many values, or weights, as items; ratings that do not determine the row (without regularization).
    pub fn solve(
        &self,
        user: u32,
        items: &[u32],
        values: &[f32],
        weights: Option<&[f32]>,
    ) -> Result<Explained<'_>> {
        let (f, objective) = (&self.model.factors, &self.model.objective);
        let k = f.factors;
        if user as usize >= f.users() {
            return Err(Error::data(format!("user {user} is none of {}", f.users())));
        }
        if let Some(item) = items.iter().find(|&&item| item as usize >= f.items()) {
            return Err(Error::data(format!("item {item} is none of {}", f.items())));
        }
        if items.len() != values.len() {
            let (items, values) = (items.len(), values.len());
            return Err(Error::data(format!(
                "{items} items and {values} values: one value for each item is needed"
            )));
        }
        if let Some(weights) = weights.filter(|weights| weights.len() != items.len()) {
            return Err(Error::data(format!(
                "{} items and {} weights: one for each item is needed",
                items.len(),
                weights.len()
            )));
        }
        let width = k + usize::from(objective.bias);
        let mut matrix = vec![0.0; width * width];
        for (j, row) in self.gram.chunks_exact(k.max(1)).enumerate() {
            matrix[j * width..][..k].copy_from_slice(row);
        }
        let (mut right, mut pulls) = (vec![0.0; width], Vec::with_capacity(items.len()));
        for (at, (&item, &rating)) in items.iter().zip(values).enumerate() {
            let counts = weights.map_or(1.0, |weights| weights[at]);
            let (value, weight) = objective.target().fitted(rating, counts);
            let base = f64::from(f.global_mean) + f64::from(f[Side::Item].bias[item as usize]);
            let (weight, target) = (f64::from(weight), f64::from(value) - base);
            let side = |j: usize| self.coordinate(item, j);
            add_outer(&mut matrix, width, weight, side);
            for (j, sum) in right.iter_mut().enumerate() {
                *sum += weight * target * side(j);
            }
            pulls.push(weight * target);
        }
        let (reg, reg_bias) = objective.regularization(items.len(), f.items());
        for j in 0..width {
            matrix[j * width + j] += if j < k { reg } else { reg_bias };
        }
        let mut free: Vec<usize> = (0..width).collect();
        if items.is_empty() {
            // Nothing pulls the row away from zero, and nothing may hold it there.
            let row = vec![0.0; k + 1];
            free.clear();
            return Ok(Explained {
                explainer: self,
                free,
                triangle: Vec::new(),
                row,
                items: Vec::new(),
                pulls,
            });
        }
        if objective.nonnegative {
            free = support(&matrix, &right, width);
        }
        let mut triangle: Vec<f64> = free
            .iter()
            .flat_map(|&i| free.iter().map(move |&j| (i, j)))
            .map(|(i, j)| {
                // Only the lower triangle was summed.
                matrix[i.max(j) * width + i.min(j)]
            })
            .collect();
        if !cholesky(&mut triangle, free.len()) {
            let id = escaped(self.model.users.name(user));
            return Err(Error::data(format!(
                "the training ratings of user \"{id}\" do not determine his row (the model has reg \
                 {}), so nothing can be explained; train with a larger `reg`",
                objective.reg
            )));
        }
        let mut solution: Vec<f64> = free.iter().map(|&j| right[j]).collect();
        solve(&triangle, &mut solution);
        let mut row = vec![0.0; k + 1];
        for (&j, x) in free.iter().zip(&solution) {
            row[j] = *x;
        }
        Ok(Explained { explainer: self, free, triangle, row, items: items.to_vec(), pulls })
    }

    /// `ỹ_i` at a coordinate.
    #[inline(always)]
    fn coordinate(&self, item: u32, j: usize) -> f64 {
        let k = self.model.factors.factors;
        if j < k {
            f64::from(self.model.factors[Side::Item].factors[item as usize * k + j])
        } else {
            1.0
        }
    }
}

impl Explained<'_> {
    /// The user's factors: (factors).
    pub fn factors(&self) -> &[f64] {
        &self.row[..self.row.len() - 1]
    }

    /// The user's bias.
    pub fn bias(&self) -> f64 {
        self.row[self.row.len() - 1]
    }

    /// The score of an item for the user, in its parts, which with `base` add up to it.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn score(&self, item: u32) -> Explanation {
        let f = &self.explainer.model.factors;
        let base = f64::from(f.global_mean) + f64::from(f[Side::Item].bias[item as usize]);
        let own = |j: &usize| self.explainer.coordinate(item, *j);
        let score = base + self.free.iter().map(|j| own(j) * self.row[*j]).sum::<f64>();
        let mut direction: Vec<f64> = self.free.iter().map(own).collect();
        solve(&self.triangle, &mut direction);
        let part = |(&item, pull): (&u32, &f64)| {
            let along = self.free.iter().zip(&direction);
            let along = along.map(|(&j, d)| d * self.explainer.coordinate(item, j)).sum::<f64>();
            (item, along * pull)
        };
        let mut parts: Vec<(u32, f64)> = self.items.iter().zip(&self.pulls).map(part).collect();
        parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        Explanation { score, base, parts }
    }
}

/// Adds `weight · y yᵀ` to the lower triangle of a matrix of `width` columns.
fn add_outer(matrix: &mut [f64], width: usize, weight: f64, y: impl Fn(usize) -> f64) {
    for i in 0..width {
        let scaled = weight * y(i);
        for (j, sum) in matrix[i * width..][..=i].iter_mut().enumerate() {
            *sum += scaled * y(j);
        }
    }
}

/// The coordinates above 0 of the minimum of `xᵀAx − 2xᵀr` under `x ≥ 0`, by coordinate descent.
fn support(matrix: &[f64], right: &[f64], width: usize) -> Vec<usize> {
    let at = |i: usize, j: usize| matrix[i.max(j) * width + i.min(j)];
    let mut x = vec![0.0_f64; width];
    for _ in 0..10_000 {
        let (mut moved, mut scale) = (0.0_f64, 0.0_f64);
        for i in 0..width {
            if at(i, i) <= 0.0 {
                continue;
            }
            let others: f64 = (0..width).filter(|&j| j != i).map(|j| at(i, j) * x[j]).sum();
            let new = ((right[i] - others) / at(i, i)).max(0.0);
            moved = moved.max((new - x[i]).abs());
            scale = scale.max(new);
            x[i] = new;
        }
        if moved <= 1e-12 * scale {
            break;
        }
    }
    (0..width).filter(|&j| x[j] > 0.0).collect()
}
