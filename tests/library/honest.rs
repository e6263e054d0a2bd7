//! What a figure must not hide: zeros that count as liking, training pairs in a test part, what knows no
//! tastes, bounds, single users.

use crate::{common, fixture};
use wgmf::core::{Objective, Ratings, Side, Solver, Step, Transform, UNKNOWN};
use wgmf::cpu::Cpu;
use wgmf::evaluate::{
    RankBy, RankingOptions, Relevance, held_out_ranking, leave_out_seen, ranking_by_user,
    ranking_metrics, rating_baselines, rating_metrics, ratings_by_user, seen_pairs,
};
use wgmf::model::{Model, Seen, TrainingFacts};
use wgmf::recommend::recommend;

use approx::assert_relative_eq;
use common::gap;
use fixture::{model, seen};

fn ratings(triples: &[(u32, u32, f32)]) -> Ratings {
    Ratings {
        users: triples.iter().map(|triple| triple.0).collect(),
        items: triples.iter().map(|triple| triple.1).collect(),
        values: triples.iter().map(|triple| triple.2).collect(),
        timestamps: vec![],
        weights: vec![],
    }
}

/// A model of preferences whose ratings went through `steps`.
fn implicit(steps: &[Step]) -> Model {
    let mut model = model(6, 9, 3);
    model.objective = Objective::new(Solver::Ials);
    model.objective.transform = Transform { steps: steps.to_vec() };
    model.factors[Side::User].bias.fill(0.0);
    model.factors[Side::Item].bias.fill(0.0);
    model.factors.global_mean = 0.0;
    model
}

fn lists_of(n: usize) -> RankingOptions {
    let (relevance, candidates) = (Relevance::Chosen, None);
    RankingOptions { at: vec![n], relevance, candidates, include_seen: false }
}

#[test]
fn only_values_above_zero_are_liked() {
    let cpu = Cpu::new();
    let nothing = Ratings::default();
    for (steps, values, liked) in [
        (&[][..], [0.0, -2.0, 0.5, 3.0], [false, false, true, true]),
        (&[Step::Log1p], [0.0, -0.5, 0.25, 9.0], [false, false, true, true]),
        (&[Step::MinMax { min: 1.0, max: 5.0 }], [1.0, 0.5, 1.5, 5.0], [false, false, true, true]),
        (&[Step::Binary { threshold: 4.0 }], [3.5, 0.0, 4.0, 2.0], [false, false, true, false]),
        (&[Step::ZScore { mean: 3.0, std: 1.0 }], [3.0, 1.0, 3.5, 5.0], [false, false, true, true]),
    ] {
        let model = implicit(steps);
        let seen = Seen::new(&nothing, 6, 9).unwrap();
        let test: Vec<_> = (0..4).map(|at| (at as u32, 2 * at as u32, values[at])).collect();
        let test = ratings(&test);
        let options = lists_of(9);
        let metrics = ranking_metrics(&cpu, &model, &seen, &test, RankBy::Model, &options).unwrap();
        let count = liked.iter().filter(|&&liked| liked).count() as u64;
        assert_eq!((metrics.relevant, metrics.users), (count, count), "{steps:?}");
        assert_eq!(metrics.users_without_relevant, 4 - count);
        // What a training loop asks has gone through the transform already.
        let apply = |&value: &f32| model.objective.transform.apply(value);
        let inside = Ratings { values: test.values.iter().map(apply).collect(), ..test.clone() };
        let held_out = held_out_ranking(&cpu, &model.factors, &seen, &inside, 9).unwrap();
        assert_eq!((held_out.users as u64, held_out.recall), (count, 1.0), "{steps:?}");
        // The preference that is wanted is 0 for the others.
        let rmse = |users: &[usize]| {
            let error = |&at: &usize| {
                let wanted = if liked[at] { 1.0 } else { 0.0 };
                (wanted - model.predict(at as u32, 2 * at as u32)).powi(2)
            };
            (users.iter().map(error).sum::<f64>() / users.len() as f64).sqrt()
        };
        let got = rating_metrics(&model, &test).unwrap();
        assert_relative_eq!(got.rmse, rmse(&[0, 1, 2, 3]), max_relative = 1e-12);
    }
    let model = implicit(&[]);
    let seen = Seen::new(&nothing, 6, 9).unwrap();
    let zeros = ratings(&[(0, 1, 0.0), (1, 2, 0.0)]);
    let error = ranking_metrics(&cpu, &model, &seen, &zeros, RankBy::Model, &lists_of(5));
    assert!(error.unwrap_err().to_string().contains("no user has a relevant item"));
}

#[test]
fn what_was_shown_and_not_taken_makes_nothing_popular() {
    let mut model = implicit(&[]);
    // Item 4 was shown to all and taken by none, item 7 taken by two.
    let mut pairs: Vec<_> = (0..5).map(|user| (user, 4, 0.0)).collect();
    pairs.extend([(0, 7, 2.0), (1, 7, 1.0), (2, 1, 3.0)]);
    let train = ratings(&pairs);
    model.item_ratings = train.counts(Side::Item, 9);
    let seen = Seen::new(&train, 6, 9).unwrap();
    let test = ratings(&[(5, 7, 1.0), (5, 4, 1.0)]);
    let options = lists_of(1);
    let by = RankBy::Popularity;
    let metrics = ranking_metrics(&Cpu::new(), &model, &seen, &test, by, &options).unwrap();
    assert_eq!((metrics.at[0].recall.mean, metrics.at[0].popularity.mean), (0.5, 2.0));
    // A model of ratings counts them all.
    model.objective = Objective::new(Solver::Als);
    let metrics = ranking_metrics(&Cpu::new(), &model, &seen, &test, by, &options).unwrap();
    assert_eq!(metrics.at[0].popularity.mean, 5.0);
}

#[test]
fn training_pairs_in_a_test_part_are_counted_and_left_out() {
    let model = model(20, 15, 3);
    let seen = Seen::new(&seen(&model), 20, 15).unwrap();
    let known = (3, seen.items_of(3)[0]);
    let new = (0..15).find(|item| !seen.contains(3, *item)).unwrap();
    let all = [
        (known.0, known.1, 2.0),
        (3, new, 4.0),
        (UNKNOWN, 1, 1.0),
        (3, UNKNOWN, 2.0),
        (19, 0, 5.0),
    ];
    let mut test = ratings(&all);
    assert_eq!(seen_pairs(&seen, &test), 1);
    let options = RankingOptions { relevance: Relevance::All, ..lists_of(3) };
    let rank = |test: &Ratings| {
        ranking_metrics(&Cpu::new(), &model, &seen, test, RankBy::Model, &options).unwrap()
    };
    let before = rank(&test);
    assert_eq!((before.seen_pairs, before.relevant), (1, 2));
    assert_eq!(leave_out_seen(&seen, &mut test), 1);
    assert_eq!(test, ratings(&all[1..]));
    let after = rank(&test);
    assert_eq!(after.at, before.at);
    assert_eq!(after.seen_pairs, 0);
}

/// Damped biases by many turns in plain loops: what settles there is what is right.
fn damped(train: &Ratings, users: usize, items: usize) -> (f64, Vec<f64>, Vec<f64>) {
    let mean = train.mean();
    let (mut b, mut c) = (vec![0.0; users], vec![0.0; items]);
    for _ in 0..2000 {
        for (user, b) in b.iter_mut().enumerate() {
            let own = train.iter().filter(|rating| rating.0 as usize == user);
            let rest: Vec<f64> =
                own.map(|(_, item, r)| f64::from(r) - mean - c[item as usize]).collect();
            *b = rest.iter().sum::<f64>() / (rest.len() as f64 + 5.0);
        }
        for (item, c) in c.iter_mut().enumerate() {
            let own = train.iter().filter(|rating| rating.1 as usize == item);
            let rest: Vec<f64> =
                own.map(|(user, _, r)| f64::from(r) - mean - b[user as usize]).collect();
            *c = rest.iter().sum::<f64>() / (rest.len() as f64 + 5.0);
        }
    }
    (mean, b, c)
}

#[test]
fn biases_and_the_mean_have_the_errors_of_their_definitions() {
    let mut model = model(30, 20, 4);
    let train = seen(&model);
    for steps in [vec![], vec![Step::Log1p]] {
        let transform = Transform { steps };
        let mut inside = train.clone();
        inside.values.iter_mut().for_each(|value| *value = transform.apply(*value));
        model.objective.transform = transform.clone();
        model.facts = TrainingFacts::default();
        let record = Seen::new(&inside, 30, 20).unwrap();
        let test = ratings(&[
            (0, 3, 5.0),
            (1, 3, 2.0),
            (29, 0, 1.0),
            (UNKNOWN, 4, 4.0),
            (5, UNKNOWN, 3.0),
            (7, 9, 2.0),
        ]);
        let (mean, b, c) = damped(&inside, 30, 20);
        let of = |biases: &[f64], row: u32| if row == UNKNOWN { 0.0 } else { biases[row as usize] };
        let root = |score: &dyn Fn(u32, u32) -> f64, in_model: bool| {
            let error = |(user, item, r): (u32, u32, f32)| match in_model {
                true => f64::from(transform.apply(r)) - score(user, item),
                false => f64::from(r) - transform.invert(score(user, item)),
            };
            let squares: f64 = test.iter().map(|rating| error(rating).powi(2)).sum();
            (squares / test.len() as f64).sqrt()
        };
        let by_biases = |user, item| mean + of(&b, user) + of(&c, item);
        let got = rating_baselines(&model, &record, &test).unwrap();
        assert_relative_eq!(got.biases.rmse, root(&by_biases, false), max_relative = 1e-4);
        assert_relative_eq!(got.mean.rmse, root(&|_, _| mean, false), max_relative = 1e-9);
        if !transform.is_identity() {
            let model_rmse = got.biases.model_rmse.unwrap();
            assert_relative_eq!(model_rmse, root(&by_biases, true), max_relative = 1e-4);
        }
        assert_ne!(got.biases.rmse, got.mean.rmse);
        // The mean of the ratings themselves, where it is known.
        let mut facts = wgmf::data::DataFacts::default();
        (facts.min, facts.max, facts.mean) = (1.0, 5.0, train.mean());
        model.facts = TrainingFacts::from(&facts);
        let raw = rating_baselines(&model, &record, &test).unwrap();
        let error = |(_, _, r): (u32, u32, f32)| (f64::from(r) - train.mean()).powi(2);
        let expected = (test.iter().map(error).sum::<f64>() / test.len() as f64).sqrt();
        assert_relative_eq!(raw.mean.rmse, expected, max_relative = 1e-9);
        assert_eq!(raw.mean.model_rmse, got.mean.model_rmse);
    }
    let model = implicit(&[]);
    let record = Seen::new(&Ratings::default(), 6, 9).unwrap();
    let error = rating_baselines(&model, &record, &ratings(&[(0, 1, 1.0)])).unwrap_err();
    assert!(error.to_string().contains("preferences have no mean"), "{error}");
}

#[test]
fn bounds_hold_predictions_and_not_the_order_of_lists() {
    let free = model(20, 30, 4);
    let mut bounded = free.clone();
    bounded.objective.clip = true;
    let error = rating_metrics(&bounded, &ratings(&[(0, 0, 1.0)])).unwrap_err().to_string();
    assert!(error.contains("clip") && error.contains("no min and max"), "{error}");
    bounded.facts.range = Some([3.0, 4.0]);
    let mut test = Ratings::default();
    let mut outside = 0;
    for user in 0..20 {
        for item in 0..30 {
            let raw = free.predict(user, item);
            assert_eq!(bounded.predict(user, item), raw.clamp(3.0, 4.0));
            outside += u32::from(!(3.0..=4.0).contains(&raw));
            test.users.push(user);
            test.items.push(item);
            test.values.push(((user + item) % 5) as f32);
        }
    }
    assert!(outside > 100, "{outside}");
    let square = |(user, item, r): (u32, u32, f32)| {
        (f64::from(r) - free.predict(user, item).clamp(3.0, 4.0)).powi(2)
    };
    let expected = (test.iter().map(square).sum::<f64>() / test.len() as f64).sqrt();
    let got = rating_metrics(&bounded, &test).unwrap().rmse;
    assert_relative_eq!(got, expected, max_relative = 1e-12);
    let cpu = Cpu::new();
    let users: Vec<u32> = (0..20).collect();
    let lists = |model: &Model| recommend(&cpu, model, None, &users, 30).unwrap();
    for (own, other) in lists(&bounded).iter().zip(&lists(&free)) {
        for (own, other) in own.iter().zip(other) {
            assert_eq!((own.item, own.score), (other.item, other.score.clamp(3.0, 4.0)));
        }
    }
    // Of transformed ratings the bounds are those of the ratings.
    let mut logs = bounded.clone();
    logs.objective.transform = Transform { steps: vec![Step::Log1p] };
    logs.facts.range = Some([20.0, 40.0]);
    for item in 0..30 {
        let raw = free.predict(1, item).exp_m1();
        assert!((logs.predict(1, item) - raw.clamp(20.0, 40.0)).abs() < 1e-4);
    }
}

#[test]
fn users_figures_make_up_the_whole() {
    let model = model(20, 30, 4);
    let record = Seen::new(&seen(&model), 20, 30).unwrap();
    let mut test = Ratings::default();
    for user in 0..20 {
        for at in 0..(user % 4 + 1) {
            test.users.push(if user == 13 { UNKNOWN } else { user });
            test.items.push((user * 11 + at * 7) % 30);
            test.values.push(((user + at) % 6) as f32);
        }
    }
    let owners: Vec<u32> = (0..20).flat_map(|user| vec![user; user as usize % 4 + 1]).collect();
    let whole = rating_metrics(&model, &test).unwrap();
    let table = ratings_by_user(&model, None, &test, &owners).unwrap();
    assert_eq!(table.names, ["ratings", "rmse", "mae"]);
    assert_eq!(table.users, (0..20).collect::<Vec<u32>>());
    let sum = |of: &dyn Fn(&[f64]) -> f64| table.rows().map(|(_, row)| of(row)).sum::<f64>();
    let n = sum(&|row| row[0]);
    assert_eq!(n as u64, whole.ratings);
    assert!(gap((sum(&|row| row[0] * row[1].powi(2)) / n).sqrt(), whole.rmse, 1e-3) < 1e-12);
    assert!(gap(sum(&|row| row[0] * row[2]) / n, whole.mae, 1e-3) < 1e-12);
    let alone = ratings(&[(4, 14, 4.0)]);
    let (_, row) = table.rows().nth(4).unwrap();
    let error = (4.0 - model.predict(4, 44 % 30)).abs();
    assert_eq!(row, [1.0, error, error], "{alone:?}");

    let options = RankingOptions { at: vec![2, 5], relevance: Relevance::From(2.0), ..lists_of(1) };
    let (metrics, table) =
        ranking_by_user(&Cpu::new(), &model, &record, &test, RankBy::Model, &options).unwrap();
    assert_eq!(table.users.len() as u64, metrics.users);
    let column = |name: &str| table.names.iter().position(|own| own == name).unwrap();
    let mean = |name: &str| {
        let values: Vec<f64> =
            table.rows().map(|(_, row)| row[column(name)]).filter(|x| !x.is_nan()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    for at in &metrics.at {
        for (name, estimate) in at.means() {
            let own = mean(&format!("{name}@{}", at.n));
            assert!(gap(own, estimate.mean, 1e-3) < 1e-12, "{name}@{}", at.n);
        }
    }
    assert!(gap(mean("auc"), metrics.auc.unwrap().mean, 1e-3) < 1e-12);
    let relevant: f64 = table.rows().map(|(_, row)| row[0]).sum();
    assert_eq!(relevant as u64, metrics.relevant);
}
