//! A trained model in memory.

use super::{RunRecord, TrainingFacts};
use crate::core::{Factors, Ids, Likelihood, Objective, Side, SideFactors, UNKNOWN};
use crate::{Error, Result};

/// A trained model: all of a model directory but the training pairs ([`Seen`](super::Seen)) and, of a Bayesian
/// model, the [`Samples`](super::Samples), whose means its factors are.
#[derive(Clone, Debug)]
pub struct Model {
    /// The embeddings, biases and mean.
    pub factors: Factors,
    /// The ids of the users: (users).
    pub users: Ids,
    /// The ids of the items: (items).
    pub items: Ids,
    /// Training ratings of each user: (users).
    pub user_ratings: Vec<u32>,
    /// Training ratings of each item: (items).
    pub item_ratings: Vec<u32>,
    /// (rows) of each side: what a row's own partners add to its score on average, which stands in for a
    /// partner that the model does not know; empty where nothing does.
    pub typical: [Vec<f32>; 2],
    /// What it was trained to do.
    pub objective: Objective,
    /// What is asked of its training data: nothing that is not known of a model made by hand.
    pub facts: TrainingFacts,
    /// How the model came to be.
    pub run: RunRecord,
}

impl Model {
    /// Makes sure that the parts of the model fit each other: of each side as many ids and counts of
    /// ratings as rows, and rows of one length. A model that is made by hand may fail it, one that was
    /// trained or opened never does; whatever takes a model asks for it. Looks at sizes, not at numbers.
    ///
    /// # Errors
    /// Which side does not fit, with its sizes.
    pub fn check(&self) -> Result<()> {
        let k = self.factors.factors;
        let sides = [
            (Side::User, &self.users, &self.user_ratings),
            (Side::Item, &self.items, &self.item_ratings),
        ];
        for (side, ids, ratings) in sides {
            let SideFactors { factors, bias } = &self.factors[side];
            let typical = self.typical[side.index()].len();
            let (rows, side) = (bias.len(), side.name());
            let (numbers, ids, counts) = (factors.len(), ids.len(), ratings.len());
            if rows.checked_mul(k) != Some(numbers)
                || [ids, counts] != [rows; 2]
                || ![0, rows].contains(&typical)
                || rows > UNKNOWN as usize
            {
                return Err(Error::data(format!(
                    "{rows} {side} biases, {numbers} {side} factors of {k}, {ids} ids and {counts} \
                     counts do not belong together"
                )));
            }
        }
        self.check_bounds()
    }

    /// Whether the range is known that predictions are to be bounded to.
    fn check_bounds(&self) -> Result<()> {
        let objective = &self.objective;
        let bounded = objective.clip && objective.likelihood == Likelihood::Gaussian;
        match self.facts.range {
            Some([low, high]) if low <= high => Ok(()),
            _ if !bounded => Ok(()),
            _ => Err(Error::data(
                "run.json asks for predictions within the range of the training ratings (clip), but its \
                 data have no min and max; train the model again",
            )),
        }
    }

    /// The ids of a side's rows.
    pub fn ids(&self, side: Side) -> &Ids {
        match side {
            Side::User => &self.users,
            Side::Item => &self.items,
        }
    }

    pub(crate) fn ids_mut(&mut self, side: Side) -> &mut Ids {
        match side {
            Side::User => &mut self.users,
            Side::Item => &mut self.items,
        }
    }

    /// Whether the model has samples of the posterior beside its means.
    pub fn is_bayesian(&self) -> bool {
        self.objective.is_bayesian()
    }
}
