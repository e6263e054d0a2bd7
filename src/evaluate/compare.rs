//! Two models held against the same test pairs: what one is ahead by, and how sure that is.

use super::bootstrap::{SEED, percentile};
use super::by_user::ByUser;
use crate::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

/// How often the users are drawn anew, with replacement.
const RESAMPLES: u64 = 2000;

/// The figures of two models over the users that both have figures of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Users that both have figures of.
    pub users: u64,
    /// Every figure that both have.
    pub figures: Vec<Compared>,
}

/// A figure of two models.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Compared {
    /// Its name, as in [`ByUser`].
    pub name: String,
    /// That of the first model.
    pub a: f64,
    /// That of the second.
    pub b: f64,
    /// `b − a`.
    pub difference: f64,
    /// The 2.5th percentile of the differences of 2000 bootstrap samples of the users, each with the figures
    /// of both models: paired, so that what makes a user hard for both does not count.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
    /// Twice the share of those samples in which the difference is 0 or has the other sign (Efron and
    /// Tibshirani 1993, chapter 15), but never below `2^(1 − users)`, which signs drawn by chance reach: about
    /// how often other users would have these two models as far apart if neither was better. It knows nothing
    /// of what another seed of training would change.
    pub p: f64,
}

/// A figure over users: the weight of each, and what both models have.
struct Column {
    name: String,
    /// Root of a mean of squares.
    root: bool,
    /// (users)
    rows: Vec<[f64; 3]>,
}

impl Column {
    /// The figures of both models from sums of weights and weighed values.
    fn of(&self, [weight, a, b]: [f64; 3]) -> [f64; 2] {
        [a, b].map(|sum| if self.root { (sum / weight).sqrt() } else { sum / weight })
    }

    /// Users that have the figure.
    fn counted(&self) -> usize {
        self.rows.iter().filter(|row| row[0] > 0.0).count()
    }

    fn sum(&self, users: impl Iterator<Item = usize>) -> [f64; 3] {
        let mut sums = [0.0; 3];
        for user in users {
            let [weight, a, b] = self.rows[user];
            sums = [sums[0] + weight, sums[1] + weight * a, sums[2] + weight * b];
        }
        sums
    }
}

/// Compares what [`ratings_by_user`](super::ratings_by_user) or
/// [`ranking_by_user`](super::ranking_by_user) says of two models. The users of both tables are numbered
/// alike; whom only one has is left out. Errors are those over all ratings of the users drawn (each user
/// weighs as much as he has ratings), lists the means over users. The result does not depend on the number
/// of threads.
///
/// # Errors
/// Fewer than two users in common.
pub fn compare(a: &ByUser, b: &ByUser) -> Result<Comparison> {
    let row_in = |table: &ByUser, user: u32| table.users.binary_search(&user).ok();
    let in_both = |&user: &u32| Some((row_in(a, user)?, row_in(b, user)?));
    let rows: Vec<(usize, usize)> = a.users.iter().filter_map(in_both).collect();
    if rows.len() < 2 {
        return Err(Error::data(format!(
            "{} users have figures of both models; a comparison needs two at least",
            rows.len()
        )));
    }
    let at =
        |table: &ByUser, row: usize, column: usize| table.values[row * table.names.len() + column];
    let weights = a.names.iter().position(|name| name == "ratings");
    let mut columns = Vec::new();
    for (of_a, name) in a.names.iter().enumerate() {
        let Some(of_b) = b.names.iter().position(|other| other == name) else { continue };
        // Popularity is counted by each model in its own training ratings.
        if ["ratings", "relevant"].contains(&&**name) || name.starts_with("popularity@") {
            continue;
        }
        let root = weights.is_some() && name.ends_with("rmse");
        let values = rows.iter().map(|&(row_a, row_b)| {
            let weight = weights.map_or(1.0, |weights| at(a, row_a, weights));
            let power = |x: f64| if root { x * x } else { x };
            let values = [power(at(a, row_a, of_a)), power(at(b, row_b, of_b))];
            // Who has no such figure does not count.
            match values.iter().any(|x| x.is_nan()) {
                true => [0.0; 3],
                false => [weight, values[0], values[1]],
            }
        });
        let column = Column { name: name.clone(), root, rows: values.collect() };
        if column.counted() > 1 {
            columns.push(column);
        }
    }
    let resampled: Vec<Vec<f64>> = (0..RESAMPLES)
        .into_par_iter()
        .map(|resample| {
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            random.set_stream(resample);
            let drawn: Vec<usize> =
                rows.iter().map(|_| random.random_range(0..rows.len())).collect();
            let difference = |column: &Column| {
                let [a, b] = column.of(column.sum(drawn.iter().copied()));
                b - a
            };
            columns.iter().map(difference).collect()
        })
        .collect();
    let figures = columns.iter().enumerate().map(|(at, column)| {
        let [a, b] = column.of(column.sum(0..rows.len()));
        let mut differences: Vec<f64> = resampled.iter().map(|sample| sample[at]).collect();
        differences.retain(|difference| !difference.is_nan());
        differences.sort_unstable_by(f64::total_cmp);
        let count = |is: fn(f64) -> bool| differences.iter().filter(|&&x| is(x)).count();
        let contrary = count(|x| x <= 0.0).min(count(|x| x >= 0.0));
        let least = 2.0_f64.powi(1 - column.counted().min(1000) as i32);
        let p = 2.0 * (contrary + 1) as f64 / (differences.len() + 1) as f64;
        let p = p.max(least);
        Compared {
            name: column.name.clone(),
            a,
            b,
            difference: b - a,
            low: percentile(&differences, 0.025),
            high: percentile(&differences, 0.975),
            p: p.min(1.0),
        }
    });
    Ok(Comparison { users: rows.len() as u64, figures: figures.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str], users: &[u32], values: &[f64]) -> ByUser {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        ByUser { names, users: users.to_vec(), values: values.to_vec() }
    }

    /// 400 users who are hard or easy for both models, of whom the second is ahead by 0.01 with a noise of
    /// 0.05: the interval is that of paired differences, not that of the users' own spread of 0.3.
    #[test]
    fn intervals_are_those_of_paired_differences() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let users: Vec<u32> = (0..400).collect();
        let (mut a, mut b, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        for _ in &users {
            let hard: f64 = random.random_range(0.0..1.0);
            let noise: f64 = random.random_range(-0.0866..0.0866);
            a.push(hard);
            b.push(hard + 0.01 + noise);
            differences.push(0.01 + noise);
        }
        let (a, b) = (table(&["ndcg@5"], &users, &a), table(&["ndcg@5"], &users, &b));
        let compared = compare(&a, &b).unwrap();
        let Compared { difference, low, high, p, .. } = compared.figures[0];
        let mean = differences.iter().sum::<f64>() / 400.0;
        let variance = differences.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 399.0;
        let half = 1.96 * (variance / 400.0).sqrt();
        assert!((difference - mean).abs() < 1e-12);
        assert!(
            ((mean - low) / half - 1.0).abs() < 0.12 && ((high - mean) / half - 1.0).abs() < 0.12
        );
        assert!(p < 0.01, "{p}");
        // The other way round it is the mirror image.
        let back = &compare(&b, &a).unwrap().figures[0];
        assert_eq!((back.difference, back.p), (-difference, p));
        assert!((back.low + high).abs() < 1e-12 && (back.high + low).abs() < 1e-12);
        let same = &compare(&a, &a).unwrap().figures[0];
        assert_eq!((same.difference, same.low, same.high, same.p), (0.0, 0.0, 0.0, 1.0));
    }

    #[test]
    fn errors_are_those_over_all_ratings_and_strangers_are_left_out() {
        let names = ["ratings", "rmse", "mae"];
        let a = table(&names, &[1, 2, 9], &[1.0, 3.0, 3.0, 3.0, 1.0, 0.5, 5.0, 9.0, 9.0]);
        let b = table(&names, &[0, 1, 2], &[7.0, 8.0, 8.0, 1.0, 1.0, 1.0, 3.0, 1.0, 0.5]);
        let compared = compare(&a, &b).unwrap();
        assert_eq!(compared.users, 2);
        let [rmse, mae] = &compared.figures[..] else { panic!("{compared:?}") };
        assert_eq!((&*rmse.name, rmse.a, rmse.b), ("rmse", 3.0_f64.sqrt(), 1.0));
        assert_eq!((&*mae.name, mae.a, mae.b), ("mae", 4.5 / 4.0, 2.5 / 4.0));
        assert!(compare(&a, &table(&names, &[5], &[1.0, 1.0, 1.0])).is_err());
        // Two users are no proof of anything.
        assert_eq!((rmse.p, mae.p), (0.5, 0.5));
    }

    #[test]
    fn users_without_a_figure_do_not_count_in_it() {
        let names = ["relevant", "auc"];
        let a = table(&names, &[1, 2, 3], &[1.0, 0.5, 1.0, f64::NAN, 1.0, 0.25]);
        let b = table(&names, &[1, 2, 3], &[1.0, 0.75, 1.0, 0.0, 1.0, 0.5]);
        let compared = compare(&a, &b).unwrap();
        assert_eq!((compared.figures[0].a, compared.figures[0].b), (0.375, 0.625));
    }
}
