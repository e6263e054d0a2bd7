//! Which test pairs count as relevant.

use crate::core::{Ratings, Transform};
use crate::model::Model;
use crate::predict::Unit;
use crate::{Error, Result};

/// Which test pairs count as relevant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Relevance {
    /// All, whatever their rating.
    All,
    /// Those rated at least so much, in the unit of the user's ratings.
    From(f32),
    /// Those that the model's transform makes 1 or more: the positive labels of a model with
    /// logistic loss.
    Positive,
    /// Those that the model's transform makes more than 0: what an implicit model takes for a sign of
    /// liking.
    Chosen,
}

/// The least rating that counts as relevant where ratings are stars.
const LIKED: f32 = 4.0;

/// The most stars.
const STARS: f64 = 5.0;

impl Relevance {
    /// In words.
    pub fn describe(self) -> String {
        match self {
            Self::All => "all test pairs".to_owned(),
            Self::From(least) => format!("test pairs rated {least} or more"),
            Self::Positive => "test pairs of label 1".to_owned(),
            Self::Chosen => "test pairs of a value above 0".to_owned(),
        }
    }

    /// What is usual for a model: of an implicit one what is chosen, of one with logistic loss label 1, of
    /// stars (ratings within 0 to 5, some of them 4 or more) 4 and 5. The scale is that of the ratings the
    /// model was trained on, as far as it is known, and of `test`.
    ///
    /// # Errors
    /// Ratings that are no stars: nobody knows from which one on somebody likes an item.
    pub fn usual(model: &Model, test: &Ratings) -> Result<Self> {
        match model.unit() {
            Unit::Preference | Unit::Score => return Ok(Self::Chosen),
            Unit::Probability => return Ok(Self::Positive),
            Unit::Rating => {}
        }
        let wrong = |what: String| {
            Err(Error::settings(format!(
                "{what}: say with `relevant_from` from which rating on a pair counts as relevant"
            )))
        };
        let outside = |value: f64| !(0.0..=STARS).contains(&value);
        if let Some([low, high]) = model.facts.range
            && (outside(low) || outside(high) || high < f64::from(LIKED))
        {
            return wrong(format!(
                "the model's ratings are no stars of 0 to 5 (they lie between {low} and {high})"
            ));
        }
        if let Some(value) = test.values.iter().find(|&&value| outside(f64::from(value))) {
            return wrong(format!("the test ratings are no stars of 0 to 5 (one is {value})"));
        }
        Ok(Self::From(LIKED))
    }

    /// Whether a rating, in the unit of the user's ratings, is one of a relevant pair.
    pub fn takes(self, rating: f32, transform: &Transform) -> bool {
        match self {
            Self::All => true,
            Self::From(least) => rating >= least,
            Self::Positive => transform.apply(rating) >= 1.0,
            Self::Chosen => transform.apply(rating) > 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Loss, Objective, Solver};
    use crate::model::TrainingFacts;

    #[test]
    fn the_scale_is_that_of_the_model_and_of_the_test_part() {
        let model = |solver, range: Option<[f64; 2]>| {
            let facts = TrainingFacts { range, ..TrainingFacts::default() };
            let (factors, users, items) = Default::default();
            let (user_ratings, item_ratings, typical, run) = Default::default();
            let objective = Objective::new(solver);
            Model {
                factors,
                users,
                items,
                user_ratings,
                item_ratings,
                typical,
                objective,
                facts,
                run,
            }
        };
        let test = |values: &[f32]| Ratings { values: values.to_vec(), ..Ratings::default() };
        let stars = Some([1.0, 5.0]);
        for (range, values, expected) in [
            (stars, &[1.0, 3.0][..], Ok(Relevance::From(4.0))),
            (None, &[0.5, 5.0], Ok(Relevance::From(4.0))),
            (Some([1.0, 10.0]), &[2.0, 5.0], Err("between 1 and 10")),
            (Some([-1.0, 5.0]), &[2.0, 5.0], Err("between -1 and 5")),
            (Some([0.0, 1.0]), &[0.0, 1.0], Err("between 0 and 1")),
            (stars, &[5.0, 5.5], Err("one is 5.5")),
            (None, &[-0.5], Err("one is -0.5")),
        ] {
            let got = Relevance::usual(&model(Solver::Als, range), &test(values));
            match (got, expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(got), Err(expected)) => {
                    let got = got.to_string();
                    assert!(got.contains(expected) && got.contains("`relevant_from`"), "{got}");
                }
                (got, expected) => panic!("{got:?}, not {expected:?}"),
            }
        }
        let of = |model: &Model| Relevance::usual(model, &test(&[400.0])).unwrap();
        assert_eq!(of(&model(Solver::Ials, Some([1.0, 9e4]))), Relevance::Chosen);
        let mut labels = model(Solver::Adam, Some([0.0, 1.0]));
        labels.objective.loss = Loss::Logistic;
        assert_eq!(of(&labels), Relevance::Positive);
    }
}
