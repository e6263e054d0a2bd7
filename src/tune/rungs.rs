//! When trials are looked at, and which of them go on.

use super::Metric;
use super::trial::Trial;
use crate::core::{Settings, Solver};

/// One in so many trials goes on, to so many times the epochs.
const PART: usize = 3;

/// How often trials are looked at, at most.
const RUNGS: u32 = 3;

/// Epochs below which nothing is told of a trial.
const LEAST_EPOCHS: usize = 3;

/// Bytes that the factors of trials side by side may take.
const SIDE_BY_SIDE_BYTES: usize = 2 << 30;

/// Epochs after which trials are looked at: for each rung, of each trial.
pub(super) fn rungs(settings: &[Settings]) -> Vec<Vec<usize>> {
    let of_each = |settings: &Settings| {
        let parts = (0..RUNGS).rev().map(|down| settings.epochs.div_ceil(PART.pow(down)));
        match settings.solver {
            // A sampler that has not settled says nothing of one that has.
            Solver::Bayes => vec![settings.epochs; RUNGS as usize],
            _ => {
                let least = LEAST_EPOCHS.min(settings.epochs);
                parts.map(|epochs| epochs.max(least)).collect()
            }
        }
    };
    let all: Vec<Vec<usize>> = settings.iter().map(of_each).collect();
    // A rung that is like the one before for every trial is none.
    let tells = |rung: &usize| *rung == 0 || all.iter().any(|own| own[*rung] != own[rung - 1]);
    let rungs: Vec<usize> = (0..RUNGS as usize).filter(tells).collect();
    rungs.into_iter().map(|rung| all.iter().map(|own| own[rung]).collect()).collect()
}

/// Those of `live` that go on from a rung, in order: the best third, and the first trial, which is what the
/// others are to be better than. Some may be farther already, where the search was stopped on the way.
pub(super) fn promoted(
    live: &[usize],
    trials: &[Trial],
    rung: usize,
    metric: &Metric,
) -> Vec<usize> {
    let value = |trial: usize| trials[trial].best_until(rung, metric)?.value;
    let mut ranked: Vec<(usize, f64)> =
        live.iter().filter_map(|&trial| Some((trial, value(trial)?))).collect();
    ranked.sort_by(|a, b| match metric.more_is_better() {
        true => b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)),
        false => a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)),
    });
    let first = ranked.iter().any(|&(trial, _)| trial == 0);
    ranked.truncate(live.len().div_ceil(PART));
    let mut chosen: Vec<usize> = ranked.into_iter().map(|(trial, _)| trial).collect();
    if first && !chosen.contains(&0) {
        chosen.push(0);
    }
    chosen.sort_unstable();
    chosen
}

/// How many trials may be trained side by side.
pub(super) fn lanes_of(settings: &[Settings], rows: usize) -> usize {
    let largest = settings.iter().map(|settings| checkpoint_bytes(settings, rows)).max();
    (SIDE_BY_SIDE_BYTES / largest.unwrap_or(1).max(1)).max(1)
}

/// Bytes of a trial's factors, moments and best factors.
pub(super) fn checkpoint_bytes(settings: &Settings, rows: usize) -> usize {
    let arrays = 1 + settings.moments() + usize::from(settings.patience.is_some());
    let row = settings.factors + 1;
    let samples = settings.keep.saturating_add(arrays);
    samples.saturating_mul(rows).saturating_mul(row).saturating_mul(size_of::<f32>())
}

#[cfg(test)]
mod tests {
    use super::super::tuned::tests::trial;
    use super::*;
    use crate::core::{Options, Ratings};

    #[test]
    fn the_best_third_goes_on_and_the_first_with_it() {
        let trials: Vec<Trial> =
            [9.0, 3.0, f64::NAN, 1.0, 2.0, 8.0, 4.0].iter().map(|&x| trial(&[x])).collect();
        let live: Vec<usize> = (0..7).collect();
        assert_eq!(promoted(&live, &trials, 0, &Metric::Rmse), [0, 1, 3, 4]);
        assert_eq!(promoted(&live, &trials, 0, &Metric::Auc), [0, 5, 6]);
        assert_eq!(promoted(&[2, 5], &trials, 0, &Metric::Rmse), [5]);
    }

    /// Who goes on does not depend on how far a search had come when it was stopped.
    #[test]
    fn later_rungs_change_nothing_of_earlier_ones() {
        let early: Vec<Trial> = [5.0, 3.0, 2.0, 4.0].iter().map(|&x| trial(&[x])).collect();
        let mut late = early.clone();
        late[2] = trial(&[2.0, 9.0]);
        let live = [0, 1, 2, 3];
        let expected = promoted(&live, &early, 0, &Metric::Rmse);
        assert_eq!(expected, [0, 1, 2]);
        assert_eq!(promoted(&live, &late, 0, &Metric::Rmse), expected);
    }

    #[test]
    fn trials_are_looked_at_three_times_at_most() {
        let of = |epochs: &[usize]| {
            let ratings = Ratings {
                users: vec![0, 1],
                items: vec![0, 1],
                values: vec![1.0, 2.0],
                timestamps: vec![],
                weights: vec![],
            };
            let settings = epochs
                .iter()
                .map(|&n| Options::als().factors(1).epochs(n).resolve(&ratings, 2, 2).unwrap());
            rungs(&settings.collect::<Vec<_>>())
        };
        assert_eq!(of(&[40, 9]), [[5, 3], [14, 3], [40, 9]]);
        assert_eq!(of(&[9]), [[3], [9]]);
        assert_eq!(of(&[2]), [[2]]);
        assert_eq!(of(&[1]), [[1]]);
    }
}
