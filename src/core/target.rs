//! What a row solver fits for a rating: one rule for training, warm starts and fold-in.

use super::ids::Ids;
use super::ratings::Ratings;
use super::rows::RowRatings;
use crate::core::{Confidence, Settings, Solver, escaped};
use crate::memory;
use crate::{Error, Result};

/// The value that is fitted for a (transformed) rating, and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// The rating itself, weighing 1.
    Rating,
    /// 1 for every listed pair, weighing 1 or `alpha` times the rating (Hu, Koren and Volinsky 2008).
    Listed {
        /// What a rating is multiplied by.
        alpha: Option<f64>,
    },
    /// 1 for every listed pair above 0, weighing `c = alpha · rating` where an unlisted one weighs 1; below 0
    /// (dislikes) 0, weighing as much (Hu, Koren and Volinsky 2008, equation 3, as implicit has it). A pair of
    /// exactly 0 weighs nothing at all.
    ///
    /// Rows are solved from the Gram matrix of all partners, where the pair weighs 1 already. So what is added
    /// for it is `w = |c| − 1`, which may lie below 0, and on the right side `w v = c` (of dislikes 0).
    Confident {
        /// What a rating is multiplied by.
        alpha: f64,
    },
}

/// The most that a pair may weigh.
const HEAVIEST: f32 = 1e12;

/// The least amount of `|c| − 1`, so that a right side of `c` is the product of a weight and a value where
/// `c` is 1, too. Beside the 1 that every pair weighs, 32 bits do not hold it.
const LIGHTEST: f64 = 1.0 / (1_u64 << 40) as f64;

impl Target {
    /// That of the solver of `settings`.
    pub fn new(settings: &Settings) -> Self {
        match settings.solver {
            Solver::Ials => Self::of_pairs(settings.confidence, settings.alpha),
            _ => Target::Rating,
        }
    }

    /// That of ials.
    pub(crate) fn of_pairs(confidence: Confidence, alpha: Option<f64>) -> Self {
        match (confidence, alpha) {
            (Confidence::Hu, Some(alpha)) => Target::Confident { alpha },
            (Confidence::Hu, None) => Target::Confident { alpha: 1.0 },
            (Confidence::Rendle, alpha) => Target::Listed { alpha },
        }
    }

    /// The value that is fitted for a rating which counts `pair` against 1, and its weight.
    pub fn fitted(self, rating: f32, pair: f32) -> (f32, f32) {
        match self {
            Target::Rating => (rating, pair),
            Target::Listed { alpha: None } => (1.0, pair),
            Target::Listed { alpha: Some(alpha) } => {
                (1.0, (alpha * f64::from(rating) * f64::from(pair)) as f32)
            }
            Target::Confident { alpha } => {
                let confidence = alpha * f64::from(rating) * f64::from(pair);
                let added = confidence.abs() - 1.0;
                let added = added.abs().max(LIGHTEST).copysign(added) as f32;
                (if rating > 0.0 { (confidence / f64::from(added)) as f32 } else { 0.0 }, added)
            }
        }
    }

    /// Whether ratings have weights of their own.
    pub(crate) fn weighs(self) -> bool {
        !matches!(self, Target::Rating | Target::Listed { alpha: None })
    }

    /// What is wrong with a rating, and what to do, if anything is.
    pub fn objection(self, rating: f32) -> Option<&'static str> {
        if self == Target::Rating {
            return (!rating.is_finite()).then_some("it is not a finite number");
        }
        let listed = matches!(self, Target::Listed { .. });
        if listed && rating < 0.0 {
            return Some(
                "it is below 0, and ials takes every listed pair for a sign of liking; leave such \
                 lines out, or learn from dislikes too with `confidence` hu, or `solver` als",
            );
        }
        if rating == 0.0 && self == (Target::Listed { alpha: None }) {
            return Some(
                "it is 0, and ials takes every listed pair for a sign of liking; leave such lines \
                 out, or train with `alpha`, with which they weigh nothing",
            );
        }
        let light = rating.is_finite() && self.fitted(rating, 1.0).1 <= HEAVIEST;
        (!light).then_some(
            "times `alpha` it weighs too much for sums of 32 bits; lower `alpha`, or add \
             `transform` log1p",
        )
    }

    /// Lays out `ratings` of `users` × `items` rows as they are fitted.
    ///
    /// # Errors
    /// There is no memory for it.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn lay_out(self, ratings: &Ratings, users: usize, items: usize) -> Result<RowRatings> {
        let mut weights = Vec::new();
        if self.weighs() || !ratings.weights.is_empty() {
            weights = memory::with_room(ratings.len(), "weights of ratings")?;
            let of = |(at, &rating)| self.fitted(rating, ratings.weight(at)).1;
            weights.extend(ratings.values.iter().enumerate().map(of));
        }
        let value = |at: usize| self.fitted(ratings.values[at], ratings.weight(at)).0;
        RowRatings::of(ratings, value, &weights, users, items)
    }
}

/// The ratings as the solver of `settings` fits them. `names` are of users and items, for errors.
///
/// # Errors
/// Ratings of other rows than there are names, or arrays of different lengths; a rating that the solver
/// has no use for: for ials one below 0 (but with `confidence` hu), and without `alpha` one of 0.
pub fn row_ratings(
    ratings: &Ratings,
    settings: &Settings,
    names: (&Ids, &Ids),
) -> Result<RowRatings> {
    ratings.check_rows(names.0.len(), names.1.len(), false)?;
    let target = Target::new(settings);
    let objections = ratings.iter().find_map(|(user, item, rating)| {
        target.objection(rating).map(|objection| (user, item, rating, objection))
    });
    if let Some((user, item, rating, objection)) = objections {
        return Err(Error::data(format!(
            "the rating {rating} of item \"{}\" by user \"{}\": {objection}",
            escaped(names.1.name(item)),
            escaped(names.0.name(user))
        )));
    }
    target.lay_out(ratings, names.0.len(), names.1.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fitted_adds_up_to_hu() {
        for alpha in [0.2, 1.0, 40.0] {
            let target = Target::Confident { alpha };
            for rating in [1.0_f32, 5.0, 0.5, 0.025, 0.2, 1.0001, 0.0, -1.0, -5.0, -0.2, -0.025] {
                let (value, weight) = target.fitted(rating, 1.0);
                let c = alpha * f64::from(rating.abs());
                // Beside the 1 of every pair, as 32 bits see it.
                let added = f64::from(weight);
                assert!((1.0 + added - c).abs() <= 1e-7 * (1.0 + c), "{alpha}, {rating}: {weight}");
                let right = added * f64::from(value);
                let wanted = if rating > 0.0 { c } else { 0.0 };
                assert!((right - wanted).abs() <= 2e-7 * wanted, "{alpha}, {rating}: {right}");
                assert!(added != 0.0 && target.objection(rating).is_none());
            }
            assert!(target.objection(f32::NAN).is_some() && target.objection(-1e13).is_some());
        }
        let (value, weight) = Target::Confident { alpha: 1.0 }.fitted(1.0, 1.0);
        assert_eq!(value * weight, 1.0);
    }
}
