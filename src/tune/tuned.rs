//! What became of a search.

use super::trial::{Rung, Trial};
use super::{Metric, Space};
use crate::core::Options;
use crate::{Error, Result};
use std::fmt::Write;

/// What a search found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tuned {
    /// What trials were judged by.
    pub metric: Metric,
    /// What was searched.
    pub space: Space,
    /// All trials, in the order in which they were made up.
    pub trials: Vec<Trial>,
    /// The best of those that were trained to the end (of all, where the search was stopped before); where they
    /// were held against each other on more parts, the best over all of them, or what no settings would take
    /// where that is no better by more than two standard errors.
    pub best: usize,
    /// The options of the best, with the epochs that were best.
    pub options: Options,
    /// Whether the search was not told to stop before its end.
    pub complete: bool,
}

impl Tuned {
    /// The figure of the best trial.
    pub fn value(&self) -> f64 {
        value(&self.trials[self.best], &self.metric).unwrap_or(f64::NAN)
    }

    /// Trials by how far they came and then by their figures, the best first.
    pub fn ranked(&self) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..self.trials.len()).collect();
        let key = |&trial: &usize| {
            let trial = &self.trials[trial];
            let worst =
                if self.metric.more_is_better() { f64::NEG_INFINITY } else { f64::INFINITY };
            (trial.rungs.len(), value(trial, &self.metric).unwrap_or(worst))
        };
        ranked.sort_by(|a, b| {
            let ((rungs_a, a), (rungs_b, b)) = (key(a), key(b));
            let better = a.total_cmp(&b);
            let better = if self.metric.more_is_better() { better.reverse() } else { better };
            rungs_b.cmp(&rungs_a).then(better)
        });
        ranked
    }

    /// The trials as CSV: number, rungs, epochs, best epoch, the metric, what was searched, and the metric on each
    /// further part (`fold_2`, …), where there are such; in the order in which they were made up.
    ///
    /// # Errors
    /// A value that cannot be written.
    pub fn table(&self) -> Result<String> {
        let mut text = format!("trial,rungs,epochs,best_epoch,{}", self.metric);
        let names = self.space.dimensions.iter().map(|dimension| &dimension.name);
        names.clone().for_each(|name| text += &format!(",{name}"));
        let folds = self.trials.iter().map(|trial| trial.folds.len()).max().unwrap_or(0);
        (0..folds).for_each(|fold| text += &format!(",fold_{}", fold + 2));
        text.push('\n');
        for (number, trial) in self.trials.iter().enumerate() {
            let none = Rung { epochs: 0, best_epoch: 0, value: None, failed: None };
            let last = trial.best(&self.metric).or(trial.last()).unwrap_or(&none);
            let value = last.value.map_or(String::new(), |value| value.to_string());
            let (rungs, Rung { epochs, best_epoch, .. }) = (trial.rungs.len(), last);
            let written = write!(text, "{number},{rungs},{epochs},{best_epoch},{value}");
            written.map_err(|_| Error::data("the table of trials cannot be written"))?;
            for name in names.clone() {
                text.push(',');
                match trial.values.get(name) {
                    Some(serde_json::Value::String(word)) => text += word,
                    Some(value) => text += &value.to_string(),
                    None => {}
                }
            }
            for fold in 0..folds {
                let value = trial.folds.get(fold).copied().flatten();
                text += &value.map_or(",".to_owned(), |value| format!(",{value}"));
            }
            text.push('\n');
        }
        Ok(text)
    }
}

/// The best of the trials, of those that came farthest where all `complete`; the first of equals.
pub(super) fn best_of(trials: &[Trial], metric: &Metric, complete: bool) -> Option<usize> {
    let sound = trials.iter().filter(|trial| value(trial, metric).is_some());
    let farthest = sound.map(|trial| trial.rungs.len()).max()?;
    let mut best: Option<(usize, f64)> = None;
    for (number, trial) in trials.iter().enumerate() {
        let counts = !complete || trial.rungs.len() == farthest;
        if let Some(own) = value(trial, metric).filter(|_| counts)
            && best.is_none_or(|(_, other)| metric.is_better(own, other))
        {
            best = Some((number, own));
        }
    }
    best.map(|(number, _)| number)
}

fn value(trial: &Trial, metric: &Metric) -> Option<f64> {
    trial.best(metric)?.value
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A trial of which these figures are known, of NaN that it failed.
    pub(in crate::tune) fn trial(values: &[f64]) -> Trial {
        let rung = |&value: &f64| Rung {
            epochs: 1,
            best_epoch: 1,
            value: Some(value).filter(|value| !value.is_nan()),
            failed: None,
        };
        Trial {
            values: Default::default(),
            rungs: values.iter().map(rung).collect(),
            folds: Vec::new(),
        }
    }

    #[test]
    fn the_best_is_among_those_that_came_farthest() {
        let trials =
            [trial(&[0.5]), trial(&[1.0, 0.9]), trial(&[1.0, 0.8]), trial(&[1.0, f64::NAN])];
        assert_eq!(best_of(&trials, &Metric::Rmse, true), Some(2));
        assert_eq!(best_of(&trials, &Metric::Auc, true), Some(1));
        assert_eq!(best_of(&trials, &Metric::Rmse, false), Some(0));
        assert_eq!(best_of(&[trial(&[f64::NAN])], &Metric::Rmse, true), None);
        // What was better on the way stays.
        assert_eq!(trial(&[0.3, 0.5]).best(&Metric::Rmse).unwrap().value, Some(0.3));
        assert_eq!(trial(&[0.3, f64::NAN]).best(&Metric::Rmse), None);
    }
}
