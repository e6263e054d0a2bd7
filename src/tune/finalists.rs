//! Who wins among those that were trained to the end: each is trained on other parts of the ratings too. What
//! is held out once does not tell settings apart that are near each other, and the best of many figures on it
//! is mostly luck.

use super::Metric;
use super::halving::{Search, locked};
use super::trial::{Ground, Trial};
use crate::Result;
use crate::core::{Ratings, Settings};
use std::ops::Range;

impl Search<'_, '_> {
    /// Trials can be judged on other held-out parts where training itself measures the metric, or lists are judged of
    /// what predicts no ratings, of which every value above 0 is relevant. The reason why not, where they cannot.
    pub(super) fn no_parts(&self) -> Option<&'static str> {
        let lists = self.settings.iter().all(Settings::is_implicit);
        match self.ground.metric {
            Metric::Ranking { .. } if !lists => {
                Some("lists of what predicts ratings are judged on the one held-out part")
            }
            Metric::Ranking { .. } if self.ground.relevance.is_some() => {
                Some("with `relevant_from` lists are judged on the one held-out part")
            }
            Metric::Rmse | Metric::LogLoss | Metric::Ranking { .. } => None,
            Metric::Mae | Metric::Auc => Some("mae and auc are judged on the one held-out part"),
        }
    }

    /// Whether no settings are judged on other parts where nobody asks for it: training them again takes long.
    pub(super) fn is_long(&self) -> bool {
        self.settings.iter().any(|settings| settings.contrast.is_some())
    }

    /// Trains the finalists on other parts of all ratings; whether nobody said to stop.
    pub(super) fn redraw(&self, folds: Range<u32>) -> Result<bool> {
        let finalists = finalists(&locked(&self.trials), &self.ground.metric);
        if finalists.len() < 2 {
            return Ok(true);
        }
        let per_user = self.settings.iter().any(Settings::is_implicit);
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
                    storage.append_fold(trial, &trials[trial])?;
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

/// Standard errors by which settings have to be better than none.
const SURE: f64 = 2.0;

/// The one of the finalists that is best in the mean over all held-out parts, if settings so chosen are better than what
/// no settings would take; else that one. Nothing where they were held against each other once.
///
/// The first part chose who is a finalist, and the best mean is the luckiest of several, so neither says what a choice
/// is worth. That does a part that had no say: on each part but the first stands the finalist that is best on all
/// *others* against no settings. The mean of these differences has to be more than two of its standard errors, whose
/// variance is `(1/J + ρ) s²` over `J` parts whose test part is `ρ` of the training part, as parts share training
/// ratings (Nadeau and Bengio 2003, "Inference for the generalization error", section 3).
pub(super) fn steadiest(trials: &[Trial], metric: &Metric, ratio: f64) -> Option<usize> {
    let all: Vec<(usize, Vec<f64>)> = finalists(trials, metric)
        .into_iter()
        .filter_map(|trial| Some((trial, trials[trial].parts(metric)?)))
        .collect();
    let most = all.iter().map(|(_, values)| values.len()).max().filter(|&most| most > 1)?;
    let all: Vec<_> = all.into_iter().filter(|(_, values)| values.len() == most).collect();
    // The best without one of the parts, or over all of them.
    let best = |without: Option<usize>| -> &(usize, Vec<f64>) {
        let sum = |values: &[f64]| -> f64 {
            let counts = |at: &usize| Some(*at) != without;
            (0..most).filter(counts).map(|at| values[at]).sum()
        };
        all.iter().skip(1).fold(&all[0], |best, other| {
            if metric.is_better(sum(&other.1), sum(&best.1)) { other } else { best }
        })
    };
    let (winner, _) = best(None);
    let Some((_, usual)) = all.iter().find(|(trial, _)| *trial == 0) else { return Some(*winner) };
    let sign = if metric.more_is_better() { 1.0 } else { -1.0 };
    let gains: Vec<f64> =
        (1..most).map(|part| sign * (best(Some(part)).1[part] - usual[part])).collect();
    let n = gains.len() as f64;
    let gain = gains.iter().sum::<f64>() / n;
    let squares: f64 = gains.iter().map(|own| (own - gain).powi(2)).sum();
    let error = (squares / (n - 1.0) * (1.0 / n + ratio)).sqrt();
    // Of a single part there is no error, and no number is above none.
    Some(if gain > SURE * error { *winner } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::super::tuned::tests::trial;
    use super::*;

    fn with(value: f64, folds: &[f64]) -> Trial {
        let mut trial = trial(&[value]);
        trial.folds = folds.iter().map(|&value| Some(value)).collect();
        trial
    }

    fn of(trials: &[Trial]) -> Option<usize> {
        steadiest(trials, &Metric::Rmse, 0.1)
    }

    #[test]
    fn who_wins_is_better_than_no_settings_by_more_than_chance() {
        let usual = with(1.0, &[1.1, 0.9, 1.0]);
        // By luck on the first part alone.
        let lucky = with(0.5, &[1.1, 0.9, 1.01]);
        let better = with(0.95, &[1.05, 0.85, 0.96]);
        assert_eq!(of(&[usual.clone(), lucky]), Some(0));
        assert_eq!(of(&[usual.clone(), with(1.3, &[1.2, 1.0, 1.1]), better.clone()]), Some(2));
        // Hardly better, and by chance: one standard error and a half.
        assert_eq!(of(&[usual.clone(), with(0.9, &[1.1, 0.86, 0.96])]), Some(0));
        assert_eq!(of(&[trial(&[f64::NAN]), better.clone()]), Some(1));
        assert_eq!(of(&[trial(&[1.0]), trial(&[0.9])]), None);
        // Of one part more there is no error.
        assert_eq!(of(&[with(1.0, &[1.0]), with(0.5, &[0.5])]), Some(0));
        let mut failed = better;
        failed.folds[1] = None;
        assert_eq!(of(&[usual, failed]), Some(0));
    }

    /// Each is the best of its own part alone: what is chosen on the others gains nothing there, though the best
    /// mean is below that of no settings.
    #[test]
    fn a_part_says_nothing_of_what_it_chose() {
        let usual = with(1.0, &[1.0, 1.0, 1.0]);
        let trials = [
            usual,
            with(0.99, &[0.7, 1.01, 1.0]),
            with(0.99, &[1.0, 0.7, 1.01]),
            with(0.99, &[1.01, 1.0, 0.7]),
        ];
        assert!(trials[1].mean(&Metric::Rmse) < trials[0].mean(&Metric::Rmse));
        assert_eq!(of(&trials), Some(0));
    }

    /// Finalists that are all alike but for chance: no settings win in all but a few of 400 searches.
    #[test]
    fn chance_wins_rarely() {
        let mut state = 5_u64;
        let mut number = || {
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                sum += (state >> 33) as f64 / f64::from(1 << 31) - 0.5;
            }
            sum
        };
        let mut wins = 0;
        for _ in 0..400 {
            let trials: Vec<Trial> =
                (0..5).map(|_| with(number(), &[number(), number(), number()])).collect();
            wins += usize::from(of(&trials) != Some(0));
        }
        assert!((1..400 / 8).contains(&wins), "{wins}");
    }
}
