//! The figures of each user, which their means hide.

use super::rating::{Truth, softplus};
use crate::core::{Ids, Ratings};
use crate::model::Model;
use crate::predict::{Predictive, Unit};
use crate::{Error, Result};

/// A table of figures, one row a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByUser {
    /// What the columns are.
    pub names: Vec<String>,
    /// Whose row it is, ascending.
    pub users: Vec<u32>,
    /// (users, names), row-major; NaN where a user has no such figure.
    pub values: Vec<f64>,
}

impl ByUser {
    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &[f64])> {
        self.users.iter().copied().zip(self.values.chunks_exact(self.names.len().max(1)))
    }

    /// The same with users numbered as `others` have them instead of as their `own` ids do; whom the others
    /// lack is left out.
    #[must_use]
    pub fn numbered(&self, own: &Ids, others: &Ids) -> Self {
        let row = |(user, row)| Some((others.get(own.name(user))?, row));
        let mut rows: Vec<(u32, &[f64])> = self.rows().filter_map(row).collect();
        rows.sort_unstable_by_key(|&(user, _)| user);
        Self {
            names: self.names.clone(),
            users: rows.iter().map(|&(user, _)| user).collect(),
            values: rows.iter().flat_map(|(_, row)| row.iter().copied()).collect(),
        }
    }
}

/// What a model says of each of `ratings`, in the unit of training; of a Bayesian model the means of its
/// predictive distributions.
fn scores(model: &Model, predictive: Option<&Predictive>, ratings: &Ratings) -> Result<Vec<f64>> {
    let Some(predictive) = predictive else {
        let score = |(user, item, _)| model.clipped(model.score(user, item));
        return Ok(ratings.iter().map(score).collect());
    };
    let values = predictive.level_values();
    let transform = &model.objective.transform;
    predictive.map(&ratings.users, &ratings.items, !values.is_empty(), |_, mixture| {
        if values.is_empty() {
            return mixture.mean();
        }
        let chances = predictive.level_chances(mixture);
        transform.before_invert(chances.iter().zip(&values).map(|(p, x)| p * x).sum())
    })
}

/// The errors of each user, defined as in [`RatingMetrics`](super::RatingMetrics): `ratings`, `rmse`, `mae`,
/// where a transform makes the model's unit another one `model_rmse` and `model_mae`, for logistic loss
/// `log_loss`. `owners`: whose row each of `ratings` goes to; ids of the model need not know them.
///
/// # Errors
/// As [`rating_metrics`](super::rating_metrics); not as many owners as ratings; samples of another model.
pub fn ratings_by_user(
    model: &Model,
    predictive: Option<&Predictive>,
    ratings: &Ratings,
    owners: &[u32],
) -> Result<ByUser> {
    model.check()?;
    ratings.check(model.factors.users(), model.factors.items(), true)?;
    if owners.len() != ratings.len() {
        let (owners, ratings) = (owners.len(), ratings.len());
        return Err(Error::data(format!("{owners} owners of {ratings} ratings")));
    }
    let truth = Truth::new(model, ratings)?;
    let scores = scores(model, predictive, ratings)?;
    let transformed = model.unit() == Unit::Rating && !model.objective.transform.is_identity();
    let labels = model.unit() == Unit::Probability;
    let mut names = vec!["ratings", "rmse", "mae"];
    if transformed {
        names.extend(["model_rmse", "model_mae"]);
    }
    if labels {
        names.push("log_loss");
    }
    let mut order: Vec<usize> = (0..ratings.len()).collect();
    order.sort_by_key(|&at| owners[at]);
    let mut table =
        ByUser { names: names.into_iter().map(str::to_owned).collect(), ..ByUser::default() };
    for of_user in order.chunk_by(|&a, &b| owners[a] == owners[b]) {
        let n = of_user.len() as f64;
        let mean =
            |term: &dyn Fn(usize) -> f64| of_user.iter().map(|&at| term(at)).sum::<f64>() / n;
        let error = |at: usize| truth.of(at) - model.in_unit(scores[at]);
        let in_model = |at: usize| truth.in_model(at) - scores[at];
        table.users.push(owners[of_user[0]]);
        table.values.push(n);
        table.values.push(mean(&|at| error(at).powi(2)).sqrt());
        table.values.push(mean(&|at| error(at).abs()));
        if transformed {
            table.values.push(mean(&|at| in_model(at).powi(2)).sqrt());
            table.values.push(mean(&|at| in_model(at).abs()));
        }
        if labels {
            let sign = |at: usize| if truth.in_model(at) == 1.0 { -1.0 } else { 1.0 };
            table.values.push(mean(&|at| softplus(sign(at) * scores[at])));
        }
    }
    Ok(table)
}
