//! Who wins among those that were trained to the end: each is trained on other parts of the ratings too. What
//! is held out once does not tell settings apart that are near each other, and the best of many figures on it
//! is mostly luck.

use super::Metric;
use super::halving::{Search, locked};
use super::trial::{Ground, Trial};
use crate::Result;
use crate::core::{Ratings, Solver};
use std::ops::Range;

impl Search<'_, '_> {
    /// Whether trials can be judged on other held-out parts: where training itself measures the metric, or
    /// lists of ials are judged, of which every value above 0 is relevant. What is held out has no weights, with
    /// which it could be trained on.
    pub(super) fn redraws(&self) -> bool {
        if !self.ground.prepared.train.weights.is_empty() {
            return false;
        }
        let ials = self.settings.iter().all(|settings| settings.solver == Solver::Ials);
        match self.ground.metric {
            Metric::Rmse | Metric::LogLoss => true,
            Metric::Ranking { .. } => ials && self.ground.relevance.is_none(),
            Metric::Mae | Metric::Auc => false,
        }
    }

    /// Trains the finalists on other parts of all ratings; whether nobody said to stop.
    pub(super) fn redraw(&self, folds: Range<u32>) -> Result<bool> {
        let finalists = finalists(&locked(&self.trials), &self.ground.metric);
        if finalists.len() < 2 {
            return Ok(true);
        }
        let per_user = self.settings.iter().any(|settings| settings.solver == Solver::Ials);
        for fold in folds {
            let measured = |trial: &usize| locked(&self.trials)[*trial].folds.len() > fold as usize;
            let open: Vec<usize> = finalists.iter().copied().filter(|t| !measured(t)).collect();
            if open.is_empty() {
                continue;
            }
            let seed = self.tune.options.seed.wrapping_add(1 + u64::from(fold));
            let prepared = self.ground.prepared.redrawn(per_user, seed)?;
            let ground = Ground {
                test: prepared.test.clone().unwrap_or_else(Ratings::default),
                prepared: &prepared,
                metric: self.ground.metric.clone(),
                relevance: None,
                goes_on: self.ground.goes_on,
            };
            let work = |trial: usize| -> Result<bool> {
                let settings = &self.settings[trial];
                let device = self.device_for(settings);
                let climbed = ground.climb(&*device, settings, None, (settings.epochs, false))?;
                let Some((rung, _)) = climbed else { return Ok(false) };
                let mut trials = locked(&self.trials);
                trials[trial].folds.push(rung.value);
                #[cfg(feature = "files")]
                if let Some(storage) = &self.storage {
                    storage.record(&trials)?;
                }
                Ok((self.ground.goes_on)())
            };
            if !self.side_by_side(&open, &work)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Those that were trained to the end, and did not fail.
fn finalists(trials: &[Trial], metric: &Metric) -> Vec<usize> {
    let most = trials.iter().map(|trial| trial.rungs.len()).max().unwrap_or(0);
    let is_one = |at: &usize| trials[*at].rungs.len() == most && trials[*at].best(metric).is_some();
    (0..trials.len()).filter(is_one).collect()
}

/// The one of the finalists that is best in the mean over all held-out parts, if it is better than what no
/// settings would take by more than a standard error of the difference; else that one. Nothing where they were
/// held against each other once.
pub(super) fn steadiest(trials: &[Trial], metric: &Metric) -> Option<usize> {
    let values = |trial: usize| -> Option<Vec<f64>> {
        let all = [trials[trial].best(metric)?.value]
            .into_iter()
            .chain(trials[trial].folds.iter().copied());
        all.collect::<Option<Vec<f64>>>().filter(|values| values.len() > 1)
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let all: Vec<(usize, Vec<f64>)> = finalists(trials, metric)
        .into_iter()
        .filter_map(|trial| Some((trial, values(trial)?)))
        .collect();
    let most = all.iter().map(|(_, values)| values.len()).max()?;
    let all: Vec<_> = all.into_iter().filter(|(_, values)| values.len() == most).collect();
    let (best, of_best) = all.iter().reduce(|best, other| {
        if metric.is_better(mean(&other.1), mean(&best.1)) { other } else { best }
    })?;
    let Some((_, usual)) = all.iter().find(|(trial, _)| *trial == 0) else { return Some(*best) };
    let differences: Vec<f64> = of_best.iter().zip(usual).map(|(a, b)| a - b).collect();
    let (n, gain) = (differences.len() as f64, mean(&differences));
    let squares: f64 = differences.iter().map(|difference| (difference - gain).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    let better = if metric.more_is_better() { gain > error } else { -gain > error };
    Some(if better { *best } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::super::tuned::tests::trial;
    use super::*;

    #[test]
    fn who_wins_is_better_than_no_settings_by_more_than_chance() {
        let with = |value: f64, folds: &[f64]| {
            let mut trial = trial(&[value]);
            trial.folds = folds.iter().map(|&value| Some(value)).collect();
            trial
        };
        let usual = with(1.0, &[1.1, 0.9]);
        // By luck on the first part alone.
        let lucky = with(0.5, &[1.4, 1.1]);
        let better = with(0.95, &[1.05, 0.85]);
        let of = |trials: &[Trial]| steadiest(trials, &Metric::Rmse);
        assert_eq!(of(&[usual.clone(), lucky.clone()]), Some(0));
        assert_eq!(of(&[usual.clone(), lucky, better.clone()]), Some(2));
        // Hardly better, and by chance.
        assert_eq!(of(&[usual.clone(), with(0.9, &[1.1, 0.98])]), Some(0));
        assert_eq!(of(&[trial(&[f64::NAN]), better.clone()]), Some(1));
        assert_eq!(of(&[trial(&[1.0]), trial(&[0.9])]), None);
        let mut failed = better;
        failed.folds[1] = None;
        assert_eq!(of(&[usual, failed]), Some(0));
    }
}
