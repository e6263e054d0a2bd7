//! What a model says about a pair.

use crate::core::{Likelihood, Loss};
use crate::model::Model;

/// What the predictions of a model are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Ratings, in the unit of the user's file.
    Rating,
    /// The probability that the rating is 1.
    Probability,
    /// How much an implicit model prefers an item: about 1 for what was seen, 0 for what was not.
    Preference,
    /// What ranks items for a user, of a loss made for ranking: a cosine of −1 to 1, or an inner product with
    /// the item's bias. It says nothing beside the order, and nothing of other users.
    Score,
}

impl Model {
    /// What [`predict`](Self::predict) returns.
    pub fn unit(&self) -> Unit {
        match self.objective.loss {
            Loss::Logistic => Unit::Probability,
            // iALS fits 1 for every seen pair, whatever its rating.
            loss if loss.is_ranking() => Unit::Score,
            _ if self.objective.is_implicit() => Unit::Preference,
            _ => Unit::Rating,
        }
    }

    /// The prediction for a pair, in the [`unit`](Self::unit) of the model: the rating with the
    /// transform undone, the probability σ(r̂), or the preference.
    ///
    /// Of a Bayesian model this is what the posterior means of the factors give; what its samples say is
    /// in [`Predictive`](super::Predictive). Where ratings are levels (probit, ordinal) it is the latent
    /// value and no rating: there only `Predictive` has predictions.
    ///
    /// [`UNKNOWN`](crate::core::UNKNOWN) for a user or an item leaves what is known: the mean that the other
    /// one's own partners have by the model (of a model made by hand, without [`typical`](Model::typical)
    /// ones, `μ + c_i` or `μ + b_u`), or `μ`.
    ///
    /// # Panics
    /// If an index is neither `UNKNOWN` nor one of the model's.
    pub fn predict(&self, user: u32, item: u32) -> f64 {
        self.in_unit(self.score(user, item))
    }

    /// Between what predictions are bounded, in the unit of training: the range of the training ratings
    /// where the model's objective asks for it (`clip`) and ratings are no levels.
    pub fn bounds(&self) -> Option<[f64; 2]> {
        let asked = self.objective.clip && self.objective.likelihood == Likelihood::Gaussian;
        let bound = |rating: f64| f64::from(self.objective.transform.apply(rating as f32));
        self.facts.range.filter(|_| asked).map(|range| range.map(bound))
    }

    /// A score `r̂` within its [`bounds`](Self::bounds), if it has any.
    pub fn clipped(&self, score: f64) -> f64 {
        match self.bounds() {
            Some([low, high]) if low <= high => score.clamp(low, high),
            _ => score,
        }
    }

    /// A score `r̂` in the unit of the predictions; a rating within its [`bounds`](Self::bounds).
    pub fn in_unit(&self, score: f64) -> f64 {
        match self.unit() {
            Unit::Rating => self.objective.transform.invert(self.clipped(score)),
            Unit::Probability => 1.0 / (1.0 + (-score).exp()),
            Unit::Preference | Unit::Score => score,
        }
    }
}
