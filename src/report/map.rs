//! A map of the item embeddings: the two directions in which they differ most.

use crate::core::{Side, SideFactors};
use crate::model::Model;
use rayon::prelude::*;

/// The most items on a map, those with the most training ratings: more are a cloud, and a large page.
pub(super) const MOST: usize = 50_000;

/// Rows from which the axes are found.
const SAMPLED: usize = 8192;

/// Rounds of the power method; the axes of a map need no more digits.
const ROUNDS: usize = 300;

/// Where items lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// The items on it, by falling number of training ratings, equal ones by index.
    pub items: Vec<u32>,
    /// (items): along the first and the second principal axis of the factors, each of length 1.
    pub places: Vec<[f32; 2]>,
    /// The share of the factors' variance that lies along the two.
    pub share: f64,
}

/// The first two principal axes of the items' factors (Pearson 1901) and the items along them; nothing where
/// there are less than three items or the factors do not differ. Signs are such that the largest number of an
/// axis is positive. The result does not depend on the number of threads.
pub fn map(model: &Model) -> Option<Map> {
    let k = model.factors.factors;
    let SideFactors { factors, bias } = &model.factors[Side::Item];
    let n = bias.len();
    if n < 3 || k == 0 {
        return None;
    }
    let row = |item: usize| &factors[item * k..][..k];
    let mut items: Vec<u32> = (0..n as u32).collect();
    items.sort_by_key(|&item| std::cmp::Reverse(model.item_ratings[item as usize]));
    // Who has no ratings stands where the solver leaves such rows, which says nothing.
    let rated = items.partition_point(|&item| model.item_ratings[item as usize] > 0);
    items.truncate(if rated < 3 { n } else { rated });
    let every = items.len().div_ceil(SAMPLED);
    let sample: Vec<usize> = items.iter().step_by(every).map(|&item| item as usize).collect();
    let mut mean = vec![0.0; k];
    for &item in &sample {
        mean.iter_mut().zip(row(item)).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    mean.iter_mut().for_each(|sum| *sum /= sample.len() as f64);
    let covariance: Vec<Vec<f64>> = (0..k)
        .into_par_iter()
        .map(|a| {
            let mut of = vec![0.0; k];
            for &item in &sample {
                let row = row(item);
                let x = f64::from(row[a]) - mean[a];
                of.iter_mut().zip(row.iter().zip(&mean)).for_each(|(sum, (&y, mean))| {
                    *sum += x * (f64::from(y) - mean);
                });
            }
            of
        })
        .collect();
    let total: f64 = (0..k).map(|a| covariance[a][a]).sum();
    let (first, largest) = principal(&covariance, None)?;
    let (second, next) = principal(&covariance, Some(&first)).unwrap_or((vec![0.0; k], 0.0));
    let along = |row: &[f32], axis: &[f64]| -> f32 {
        let of = row.iter().zip(&mean).zip(axis);
        of.map(|((&x, mean), axis)| (f64::from(x) - mean) * axis).sum::<f64>() as f32
    };
    items.truncate(MOST);
    let places: Vec<[f32; 2]> = items
        .par_iter()
        .map(|&item| [&first, &second].map(|axis| along(row(item as usize), axis)))
        .collect();
    let finite = places.iter().flatten().all(|x| x.is_finite());
    finite.then_some(Map { items, places, share: (largest + next) / total })
}

/// The eigenvector of the largest eigenvalue, orthogonal to `other`, and the eigenvalue.
fn principal(matrix: &[Vec<f64>], other: Option<&[f64]>) -> Option<(Vec<f64>, f64)> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // The longest row has a part along the axis, unless all are zero.
    let length = |row: &Vec<f64>| dot(row, row);
    let start = matrix.iter().max_by(|a, b| length(a).total_cmp(&length(b)))?;
    let mut axis = start.clone();
    // A little of every direction, so that what is orthogonal to the first axis is not empty.
    let little = 1e-3 * start.iter().fold(0.0, |most, x| f64::max(most, x.abs()));
    axis.iter_mut().enumerate().for_each(|(at, x)| *x += little / (1.0 + at as f64));
    let mut value = 0.0;
    for _ in 0..ROUNDS {
        if let Some(other) = other {
            let part = dot(&axis, other);
            axis.iter_mut().zip(other).for_each(|(x, o)| *x -= part * o);
        }
        let size = dot(&axis, &axis).sqrt();
        if !(size > 1e-150 && size.is_finite()) {
            return None;
        }
        axis.iter_mut().for_each(|x| *x /= size);
        let next: Vec<f64> = matrix.iter().map(|row| dot(row, &axis)).collect();
        value = dot(&next, &axis);
        let turned: f64 = next.iter().zip(&axis).map(|(n, x)| (n - value * x).powi(2)).sum();
        if turned.sqrt() <= 1e-9 * value {
            break;
        }
        axis = next;
    }
    if value <= 0.0 {
        return None;
    }
    if let Some(other) = other {
        let part = dot(&axis, other);
        axis.iter_mut().zip(other).for_each(|(x, o)| *x -= part * o);
    }
    let size = dot(&axis, &axis).sqrt();
    let largest = axis.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
    axis.iter_mut().for_each(|x| *x /= size * largest.signum());
    Some((axis, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Factors, Objective, Solver};

    fn model(k: usize, rows: Vec<f32>, counts: Vec<u32>) -> Model {
        let n = counts.len();
        let of = |factors, n| SideFactors { factors, bias: vec![0.0; n] };
        Model {
            factors: Factors { factors: k, sides: [of(vec![], 0), of(rows, n)], global_mean: 0.0 },
            users: Default::default(),
            items: (0..n).map(|i| i.to_string()).collect(),
            user_ratings: vec![],
            item_ratings: counts,
            typical: Default::default(),
            objective: Objective::new(Solver::Als),
            facts: Default::default(),
            run: Default::default(),
        }
    }

    #[test]
    fn the_axes_are_those_in_which_items_differ() {
        // Along (1, 1, 0)/√2 far, along (0, 0, 1) less, along (1, −1, 0) not at all; all moved by (5, 5, 5).
        let (mut rows, mut expected) = (Vec::new(), Vec::new());
        for i in 0..40 {
            let (a, b) = ((i % 8) as f32 - 3.5, 0.3 * ((i / 8) as f32 - 2.0));
            rows.extend([5.0 + a, 5.0 + a, 5.0 + b]);
            expected.push([a * 2_f32.sqrt(), b]);
        }
        let made = map(&model(3, rows, vec![1; 40])).unwrap();
        assert!((made.share - 1.0).abs() < 1e-9);
        for (place, expected) in made.places.iter().zip(&expected) {
            approx::assert_abs_diff_eq!(&place[..], &expected[..], epsilon = 1e-4);
        }
    }

    #[test]
    fn who_has_more_ratings_comes_first_and_who_has_none_is_left_out() {
        let made = map(&model(1, vec![1.0, 2.0, 4.0, 9.0], vec![2, 0, 7, 2])).unwrap();
        assert_eq!(made.items, [2, 0, 3]);
        // One factor has no second axis.
        assert!(made.places.iter().all(|place| place[1] == 0.0));
        assert_eq!(map(&model(2, vec![1.0; 8], vec![1; 4])), None);
        assert_eq!(map(&model(2, vec![1.0; 4], vec![1; 2])), None);
    }
}
