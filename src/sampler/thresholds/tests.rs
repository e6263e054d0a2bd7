//! Thresholds against a grid, nodes against all ratings.

use super::*;
use crate::math::random::{Purpose, Stream};

/// Levels and predictions of a planted set.
fn planted(count: usize, cuts: &[f64]) -> (Vec<u8>, Vec<f32>) {
    let mut random = Stream::new(2, 0, 0, Purpose::Start).sequence(1);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let planted = |_| {
        let prediction = 1.5 * normal();
        let latent = prediction + normal();
        (cuts.iter().filter(|&&cut| latent > cut).count() as u8, prediction as f32)
    };
    (0..count).map(planted).unzip()
}

#[test]
fn nodes_stand_for_many_ratings() {
    let cuts = [-1.0, 0.2, 0.4];
    let (levels, predictions) = planted(200_000, &cuts);
    let thresholds = Thresholds::new(levels.clone(), vec![1.0, 2.0, 3.0, 4.0], false);
    let points = thresholds.points(&predictions);
    assert!(points.len() < 5_000, "{}", points.len());
    let each = levels.iter().zip(&predictions).map(|(&level, &prediction)| Point {
        level: level.into(),
        prediction: prediction.into(),
        weight: 1.0,
    });
    let exact = Sum { points: each.collect(), width: 3 };
    let sum = Sum { points, width: 3 };
    let at = |sum: &Sum, by: f64| sum.log_likelihood(&[-1.0 + by, 0.2, 0.4 + by]);
    for by in [-0.1, 0.0, 0.3] {
        let gap = at(&sum, by) - at(&exact, by);
        assert!(gap.abs() < 1e-3, "{gap}");
    }
}

#[test]
fn derivatives_are_those_of_the_value() {
    let (levels, predictions) = planted(300, &[-1.0, 0.2, 0.9]);
    let thresholds = Thresholds::new(levels, vec![1.0, 2.0, 3.0, 4.0], false);
    let sum = Sum { points: thresholds.points(&predictions), width: 3 };
    let prior = Prior { center: logarithms(&thresholds.start) };
    let place = [-0.8, 0.1, -0.4];
    let here = sum.posterior(&prior, &place);
    for j in 0..3 {
        let moved = |by: f64| {
            let mut place = place;
            place[j] += by;
            sum.posterior(&prior, &place).value
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope - here.gradient[j]).abs() < 1e-5 * slope.abs().max(1.0), "{slope}");
    }
}

/// Against the posterior on a grid, for two thresholds of few ratings.
#[test]
fn thresholds_are_drawn_from_their_posterior() {
    let (levels, predictions) = planted(25, &[-0.5, 0.6]);
    let thresholds = Thresholds::new(levels, vec![0.0, 1.0, 2.0], false);
    let sum = Sum { points: thresholds.points(&predictions), width: 2 };
    let prior = Prior { center: logarithms(&thresholds.start) };
    let (mut all, mut want) = (0.0, [0.0; 4]);
    let figures = |cuts: &[f64]| [cuts[0], cuts[1], cuts[0] * cuts[0], cuts[0] * cuts[1]];
    let [first, second] = [prior.center[0], prior.center[1]];
    let peak = sum.log_likelihood(&thresholds.start);
    for i in 0..200 {
        for j in 0..200 {
            let place =
                [first + (f64::from(i) - 99.5) * 0.015, second + (f64::from(j) - 99.5) * 0.025];
            let cuts = positions(&place);
            let weight = (sum.log_likelihood(&cuts) - peak + prior.log_density(&place)).exp();
            all += weight;
            want.iter_mut().zip(figures(&cuts)).for_each(|(to, x)| *to += weight * x);
        }
    }
    let n = 20_000;
    let mut cuts = thresholds.start();
    let (mut sums, mut squares, mut moved) = ([0.0; 4], [0.0; 4], 0);
    for sweep in 0..n {
        let mut random = Stream::new(4, 0, sweep, Purpose::Thresholds).sequence(0);
        let before = cuts.clone();
        thresholds.draw(&mut cuts, &predictions, &mut random).unwrap();
        moved += u32::from(cuts != before);
        for (at, x) in figures(&cuts).into_iter().enumerate() {
            sums[at] += x;
            squares[at] += x * x;
        }
    }
    // Nearly every proposal is taken, so draws are nearly independent.
    let share = f64::from(moved) / f64::from(n);
    assert!(share > 0.8, "{share}");
    let n = f64::from(n);
    for at in 0..4 {
        let (got, want) = (sums[at] / n, want[at] / all);
        let error = ((squares[at] / n - got * got) / n * (2.0 - share) / share).sqrt();
        assert!((got - want).abs() < 4.5 * error, "{at}: {got} ± {error} for {want}");
    }
}

#[test]
fn thresholds_start_where_levels_are_as_frequent_as_ratings() {
    let levels = [0_u8, 0, 1, 2, 2, 2, 2, 2, 3, 3];
    let start = Thresholds::new(levels.to_vec(), vec![1.0, 2.0, 3.0, 4.0], false).start();
    let shares = start.iter().map(|&x| crate::math::gaussian::cdf(x)).collect::<Vec<_>>();
    for (share, want) in shares.iter().zip([0.2, 0.3, 0.8]) {
        assert!((share - want).abs() < 1e-6);
    }
    let mut fixed = Thresholds::new(vec![0, 1, 1], vec![0.0, 1.0], true).start();
    assert_eq!(fixed, [0.0]);
    let same = Thresholds::new(vec![0, 1, 1], vec![0.0, 1.0], true);
    let mut random = Stream::new(4, 0, 0, Purpose::Thresholds).sequence(0);
    let fit = same.draw(&mut fixed, &[0.0, 0.0, f32::NAN], &mut random).unwrap();
    assert!(fit.squared_error.is_nan());
    let fit = same.draw(&mut fixed, &[0.0; 3], &mut random).unwrap();
    assert!((fit.squared_error - 0.75).abs() < 1e-12);
    assert_eq!(fixed, [0.0]);
}
