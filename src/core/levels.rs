//! Ratings as levels: which values there are, and each rating's number among them.

use super::ids::Ids;
use super::likelihood::Likelihood;
use super::ratings::Ratings;
use crate::core::{Settings, UNKNOWN, escaped};
use crate::math::gaussian::quantile;
use crate::{Error, Result};

/// The most levels: values that are counted or measured have more.
const MOST: usize = 100;

/// The values of the levels, ascending: two or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// (levels)
    pub values: Vec<f32>,
}

impl Levels {
    /// The distinct values of training ratings; nothing where the likelihood knows no levels.
    ///
    /// # Errors
    /// Values of one kind, for probit of more than two, for ordinal of more than 100.
    pub fn of(ratings: &Ratings, likelihood: Likelihood) -> Result<Option<Self>> {
        let (flag, most, instead) = match likelihood {
            Likelihood::Gaussian => return Ok(None),
            Likelihood::Probit => {
                ("probit", 2, "use ordinal, or `transform` binary `threshold` X to make them two")
            }
            Likelihood::Ordinal => (
                "ordinal",
                MOST,
                "values that are counted or measured are for gaussian; or round them",
            ),
        };
        let mut values: Vec<f32> = Vec::new();
        for &value in &ratings.values {
            let at = values.partition_point(|&level| level < value);
            if values.get(at) == Some(&value) {
                continue;
            }
            values.insert(at, value);
            if values.len() > most {
                return Err(Error::data(format!(
                    "`likelihood` {flag} takes ratings of {} {most} levels, and the training \
                     ratings have more distinct values (among them {}); {instead}",
                    if most == 2 { "just" } else { "at most" },
                    listed(&values)
                )));
            }
        }
        match values[..] {
            [] | [_] => Err(Error::data(format!(
                "`likelihood` {flag}: all training ratings are {}, so there are no levels to tell \
                 apart; data that hold only what users chose need `solver` ials",
                listed(&values)
            ))),
            _ => Ok(Some(Self { values })),
        }
    }

    /// `μ`: for probit what makes a latent value as often positive as a rating is of the higher level,
    /// unless there is to be no mean; for ordinal 0, for thresholds have its place. `numbered` are the
    /// training ratings, their levels' numbers for values.
    pub fn mean(&self, numbered: &Ratings, settings: &Settings) -> f32 {
        match settings.likelihood {
            Likelihood::Probit if settings.mean => quantile(numbered.mean()) as f32,
            _ => 0.0,
        }
    }

    /// The number of a value's level, from 0.
    pub fn number(&self, value: f32) -> Option<u8> {
        let at = self.values.partition_point(|&level| level < value);
        (self.values.get(at) == Some(&value)).then_some(at as u8)
    }

    /// Ratings with their levels' numbers for values.
    ///
    /// # Errors
    /// As [`numbers`](Self::numbers).
    pub fn numbered(&self, ratings: &Ratings, names: (&Ids, &Ids)) -> Result<Ratings> {
        let values = self.numbers(ratings, names)?.into_iter().map(f32::from).collect();
        Ok(Ratings { values, ..ratings.clone() })
    }

    /// The number of each rating's level.
    ///
    /// # Errors
    /// Names a rating that is no level.
    ///
    /// # Panics
    /// If such a rating is of a row that has no name.
    pub fn numbers(&self, ratings: &Ratings, names: (&Ids, &Ids)) -> Result<Vec<u8>> {
        let number = |(user, item, value): (u32, u32, f32)| {
            self.number(value).ok_or_else(|| {
                let name = |ids: &Ids, row: u32| match row {
                    UNKNOWN => "the model does not know".to_owned(),
                    row => format!("\"{}\"", escaped(ids.name(row))),
                };
                Error::data(format!(
                    "the held-out rating {value} of user {}, item {} is none of the levels of the \
                     training ratings ({}); leave it out, or use `likelihood` gaussian",
                    name(names.0, user),
                    name(names.1, item),
                    listed(&self.values)
                ))
            })
        };
        ratings.iter().map(number).collect()
    }
}

/// The first values in words.
fn listed(values: &[f32]) -> String {
    let first: Vec<String> = values.iter().take(6).map(f32::to_string).collect();
    let more = if values.len() > first.len() { ", …" } else { "" };
    first.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratings(values: &[f32]) -> Ratings {
        let rows = vec![0; values.len()];
        Ratings { users: rows.clone(), items: rows, values: values.to_vec(), ..Ratings::default() }
    }

    #[test]
    fn levels_are_the_distinct_values_in_order() {
        let stars = ratings(&[3.0, 1.0, 3.0, 0.5, 5.0]);
        let levels = Levels::of(&stars, Likelihood::Ordinal).unwrap().unwrap();
        assert_eq!(levels.values, [0.5, 1.0, 3.0, 5.0]);
        let ids = || -> Ids { ["a"].into_iter().collect() };
        assert_eq!(levels.numbers(&stars, (&ids(), &ids())).unwrap(), [2, 1, 2, 0, 3]);
        let error = levels.numbers(&ratings(&[1.0, 4.5]), (&ids(), &ids())).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("4.5") && text.contains("\"a\"") && text.contains("0.5, 1, 3, 5"));
        assert_eq!(Levels::of(&stars, Likelihood::Gaussian).unwrap(), None);
        let two = Levels::of(&ratings(&[0.0, -0.0, 1.0]), Likelihood::Probit).unwrap().unwrap();
        assert_eq!(two.values, [0.0, 1.0]);
    }

    #[test]
    fn what_are_no_levels_is_an_error() {
        let error = |values: &[f32], likelihood| {
            Levels::of(&ratings(values), likelihood).unwrap_err().to_string()
        };
        assert!(error(&[1.0, 2.0, 4.0], Likelihood::Probit).contains("just 2 levels"));
        assert!(error(&[5.0, 5.0], Likelihood::Ordinal).contains("all training ratings are 5"));
        assert!(error(&[5.0, 5.0], Likelihood::Probit).contains("all training ratings are 5"));
        let plays: Vec<f32> = (0..500).map(|i| i as f32 / 7.0).collect();
        assert!(error(&plays, Likelihood::Ordinal).contains("at most 100 levels"));
    }
}
