//! What a row solver fits for a rating: one rule for training, warm starts and fold-in.

use super::ids::Ids;
use super::ratings::Ratings;
use super::rows::RowRatings;
use crate::core::{Settings, Solver, escaped};
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
}

/// The most that a pair may weigh.
const HEAVIEST: f32 = 1e12;

impl Target {
    /// That of the solver of `settings`.
    pub fn new(settings: &Settings) -> Self {
        match settings.solver {
            Solver::Ials => Target::Listed { alpha: settings.alpha },
            _ => Target::Rating,
        }
    }

    /// The value for a rating.
    pub fn value(self, rating: f32) -> f32 {
        match self {
            Target::Rating => rating,
            Target::Listed { .. } => 1.0,
        }
    }

    /// The weight of a rating.
    pub fn weight(self, rating: f32) -> f32 {
        match self {
            Target::Listed { alpha: Some(alpha) } => (alpha * f64::from(rating)) as f32,
            _ => 1.0,
        }
    }

    /// What is wrong with a rating, and what to do, if anything is.
    pub fn objection(self, rating: f32) -> Option<&'static str> {
        let Target::Listed { alpha } = self else {
            return (!rating.is_finite()).then_some("it is not a finite number");
        };
        if rating < 0.0 {
            return Some(
                "it is below 0, and ials takes every listed pair for a sign of liking; leave such \
                 lines out, or learn from dislikes too with `solver` als",
            );
        }
        if rating == 0.0 && alpha.is_none() {
            return Some(
                "it is 0, and ials takes every listed pair for a sign of liking; leave such lines \
                 out, or train with `alpha`, with which they weigh nothing",
            );
        }
        // NaN is too heavy.
        let light = self.weight(rating) <= HEAVIEST;
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
        let Target::Listed { alpha } = self else {
            return RowRatings::try_new(ratings, &[], users, items);
        };
        let mut weights = Vec::new();
        if alpha.is_some() {
            weights = memory::with_room(ratings.len(), "weights of ratings")?;
            weights.extend(ratings.values.iter().map(|&rating| self.weight(rating)));
        }
        RowRatings::of_listed(ratings, &weights, users, items)
    }
}

/// The ratings as the solver of `settings` fits them. `names` are of users and items, for errors.
///
/// # Errors
/// Ratings of other rows than there are names, or arrays of different lengths; a rating that the solver
/// has no use for: for ials one below 0, and without `alpha` one of 0.
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
