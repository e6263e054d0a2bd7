//! Cross-validation.

use crate::backend::Backend;
use crate::core::Options;
use crate::data::Dataset;
use crate::front::{Evaluation, Trained, fit};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// What a model of these options reaches on parts of the ratings that it has not seen.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CrossValidation {
    /// Parts of the ratings, each of which was held out once.
    pub folds: u32,
    /// Every figure of the measurements that all folds have, in their order.
    pub figures: Vec<Figure>,
}

/// A figure over the folds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Figure {
    /// Its name, as the metrics have it in JSON.
    pub name: String,
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation of a fold's figure (by n − 1). Folds share training ratings, so that their mean
    /// is less certain than this over the root of their number would say.
    pub deviation: f64,
    /// That of each fold.
    pub values: Vec<f64>,
}

/// Trains on all but one of `folds` parts of the ratings, drawn by the seed of the options, and measures on
/// that, for each part in turn. `measure` mostly is [`Trained::evaluate`]; `hear` is told the number of each
/// fold (from 0) and what it gave, and says whether to go on.
///
/// ```
/// use wgmf::{Dataset, Options, tune};
///
/// # fn main() -> wgmf::Result<()> {
/// let plays = Dataset::from_files(&["sample/plays.csv"])?;
/// let (options, device) = (Options::als().factors(4).epochs(3), wgmf::open_device("cpu")?);
/// let folds = tune::cross_validate(&plays, &options, 3, &device, |model, test| model.evaluate(test), |_, _| true)?;
/// let rmse = folds.figure("rmse").unwrap();
/// assert!(rmse.mean < 0.95 && rmse.deviation < 0.02);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Dataset::fold`] and [`fit`]; of `measure`; a run that was told to stop.
pub fn cross_validate(
    ratings: &Dataset,
    options: &Options,
    folds: u32,
    device: &Arc<dyn Backend>,
    measure: impl Fn(&Trained, &Dataset) -> Result<Evaluation>,
    mut hear: impl FnMut(u32, &Evaluation) -> bool,
) -> Result<CrossValidation> {
    options.check()?;
    if options.patience.is_some() {
        return Err(Error::settings(
            "`patience` would choose the epochs by the part that is measured; give `epochs` instead",
        ));
    }
    let mut measured: Vec<Vec<(String, f64)>> = Vec::new();
    for fold in 0..folds {
        let (train, test) = ratings.fold(folds, fold, options.seed)?;
        let evaluation = measure(&fit(&train, options, device)?, &test)?;
        measured.push(figures(&evaluation)?);
        if !hear(fold, &evaluation) && fold + 1 < folds {
            return Err(Error::data(format!("stopped after {} of {folds} folds", fold + 1)));
        }
    }
    let Some((first, others)) = measured.split_first() else {
        return Err(Error::settings("`folds` 0: give 2 or more"));
    };
    let of_all = first.iter().filter_map(|(name, value)| {
        let of_others: Option<Vec<f64>> = others.iter().map(|fold| named(fold, name)).collect();
        let values = [vec![*value], of_others?].concat();
        Some(Figure::new(name.clone(), values))
    });
    Ok(CrossValidation { folds, figures: of_all.collect() })
}

fn named(figures: &[(String, f64)], name: &str) -> Option<f64> {
    figures.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

/// What is measured, without counts and without the intervals of each fold.
fn figures(evaluation: &Evaluation) -> Result<Vec<(String, f64)>> {
    let value = serde_json::to_value(evaluation)
        .map_err(|e| Error::data(format!("metrics cannot be written: {e}")))?;
    let Value::Object(map) = value else { return Ok(Vec::new()) };
    let is_interval = |name: &str| name.ends_with("_low") || name.ends_with("_high");
    let real = |(name, value): (String, Value)| {
        (value.is_f64() && !is_interval(&name)).then(|| Some((name, value.as_f64()?))).flatten()
    };
    Ok(map.into_iter().filter_map(real).collect())
}

impl Figure {
    fn new(name: String, values: Vec<f64>) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { name, mean, deviation: (squares / (n - 1.0).max(1.0)).sqrt(), values }
    }
}

impl CrossValidation {
    /// The figure of this name, such as `rmse` or `ndcg@20`.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_a_sample() {
        let figure = Figure::new("x".to_owned(), vec![1.0, 2.0, 6.0]);
        assert_eq!((figure.mean, figure.deviation), (3.0, 7.0_f64.sqrt()));
    }
}
