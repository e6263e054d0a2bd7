//! Rating metrics against textbook computations of their own.

use crate::fixture;
use wgmf::core::{Ids, Loss, Objective, Ratings, Side, Solver, Step, Transform, UNKNOWN};
use wgmf::evaluate::{auc, rating_metrics, unknown_ids};
use wgmf::model::Model;
use wgmf::predict::Unit;

use approx::assert_relative_eq;
use fixture::{model, saved, stderr, stdout, wgmf};
use rand::{RngExt, SeedableRng};

/// `count` ratings 1 to 5 of random pairs, now and then of an unknown user or item.
fn ratings(model: &Model, count: usize) -> Ratings {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let (users, items) = (model.factors.users() as u32, model.factors.items() as u32);
    let mut ratings = Ratings::default();
    for _ in 0..count {
        let user = random.random_range(0..=users);
        let item = random.random_range(0..=items);
        ratings.users.push(if user == users { UNKNOWN } else { user });
        ratings.items.push(if item == items { UNKNOWN } else { item });
        ratings.values.push(random.random_range(1..=5) as f32);
    }
    ratings
}

/// r̂ by its definition.
fn score(model: &Model, user: u32, item: u32) -> f64 {
    let f = &model.factors;
    let k = f.factors;
    let mut sum = f64::from(f.global_mean);
    if user != UNKNOWN {
        sum += f64::from(f[Side::User].bias[user as usize]);
    }
    if item != UNKNOWN {
        sum += f64::from(f[Side::Item].bias[item as usize]);
    }
    if user != UNKNOWN && item != UNKNOWN {
        for j in 0..k {
            sum += f64::from(f[Side::User].factors[user as usize * k + j])
                * f64::from(f[Side::Item].factors[item as usize * k + j]);
        }
    }
    sum
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

#[test]
fn squared_metrics_match_the_textbook() {
    let model = model(50, 40, 7);
    // More than one block of the sums, and no multiple of it.
    let ratings = ratings(&model, 40_001);
    let got = rating_metrics(&model, &ratings).unwrap();
    let truth: Vec<f64> = ratings.values.iter().map(|&r| f64::from(r)).collect();
    let guess: Vec<f64> = ratings.iter().map(|(u, i, _)| score(&model, u, i)).collect();
    let errors: Vec<f64> = truth.iter().zip(&guess).map(|(t, g)| t - g).collect();
    let squares: Vec<f64> = errors.iter().map(|e| e * e).collect();
    let centre = mean(&truth);
    let around = |c: f64| truth.iter().map(|t| (t - c) * (t - c)).sum::<f64>();
    let sse: f64 = squares.iter().sum();
    assert_eq!(got.ratings, 40_001);
    assert_relative_eq!(got.rmse, mean(&squares).sqrt(), max_relative = 1e-12);
    let absolute: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
    assert_relative_eq!(got.mae, mean(&absolute), max_relative = 1e-12);
    assert_relative_eq!(got.r2.unwrap(), 1.0 - sse / around(centre), max_relative = 1e-10);
    assert_relative_eq!(
        got.relative_squared_error.unwrap(),
        sse / around(3.25),
        max_relative = 1e-12
    );
    let unknown = ratings.iter().filter(|&(u, i, _)| u == UNKNOWN || i == UNKNOWN).count();
    assert!(unknown > 0);
    assert_eq!(got.unknown_ratings, unknown as u64);
    assert_eq!((got.log_loss, got.auc, got.model_rmse), (None, None, None));
    assert!(got.rmse > 0.5);
}

#[test]
fn metrics_do_not_depend_on_the_number_of_threads() {
    let model = model(50, 40, 7);
    let ratings = ratings(&model, 100_003);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| rating_metrics(&model, &ratings).unwrap())
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        let other = with(threads);
        assert_eq!(one.rmse.to_bits(), other.rmse.to_bits());
        assert_eq!(one, other);
    }
}

#[test]
fn logistic_metrics_match_the_textbook() {
    let mut model = model(50, 40, 7);
    model.objective.loss = Loss::Logistic;
    model.factors.global_mean = 0.3;
    assert_eq!(model.unit(), Unit::Probability);
    let mut ratings = ratings(&model, 3_000);
    ratings.values.iter_mut().for_each(|r| *r = f32::from(*r > 3.0));
    let got = rating_metrics(&model, &ratings).unwrap();
    let probability = |(u, i, _): (u32, u32, f32)| 1.0 / (1.0 + (-score(&model, u, i)).exp());
    let p: Vec<f64> = ratings.iter().map(probability).collect();
    let r: Vec<f64> = ratings.values.iter().map(|&r| f64::from(r)).collect();
    let losses: Vec<f64> =
        r.iter().zip(&p).map(|(r, p)| -(r * p.ln() + (1.0 - r) * (1.0 - p).ln())).collect();
    let squares: Vec<f64> = r.iter().zip(&p).map(|(r, p)| (r - p) * (r - p)).collect();
    assert_relative_eq!(got.log_loss.unwrap(), mean(&losses), max_relative = 1e-9);
    assert_relative_eq!(got.rmse, mean(&squares).sqrt(), max_relative = 1e-9);
    // AUC by its definition: over all pairs of a positive and a negative. Unknown ids and repeated
    // pairs make ties.
    let (mut wins, mut pairs, mut ties) = (0.0, 0.0, 0);
    for (a, ra) in p.iter().zip(&r) {
        for (b, rb) in p.iter().zip(&r) {
            if *ra == 1.0 && *rb == 0.0 {
                pairs += 1.0;
                ties += u32::from(a == b);
                wins += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
    }
    assert!(ties > 0);
    assert_relative_eq!(got.auc.unwrap(), wins / pairs, max_relative = 1e-9);
    ratings.values[17] = 3.5;
    let message = rating_metrics(&model, &ratings).unwrap_err().to_string();
    assert!(message.contains("rating 3.5 is neither 0 nor 1"), "{message}");
}

#[test]
fn extreme_log_odds_do_not_overflow() {
    let mut model = model(2, 2, 1);
    model.objective.loss = Loss::Logistic;
    model.factors[Side::User].bias = vec![2000.0, -2000.0];
    let ratings = Ratings {
        users: vec![0, 1],
        items: vec![0, 0],
        values: vec![0.0, 1.0],
        ..Default::default()
    };
    let got = rating_metrics(&model, &ratings).unwrap();
    assert!((1990.0..2010.0).contains(&got.log_loss.unwrap()), "{got:?}");
    assert_eq!(got.auc, Some(0.0));
}

#[test]
fn auc_of_known_orders() {
    let of = |pairs: &[(f64, bool)]| auc(&mut pairs.to_vec());
    assert_eq!(of(&[(1.0, false), (2.0, true)]), Some(1.0));
    assert_eq!(of(&[(2.0, false), (1.0, true)]), Some(0.0));
    assert_eq!(of(&[(1.0, false), (1.0, true)]), Some(0.5));
    assert_eq!(of(&[(0.0, false), (-0.0, true)]), Some(0.5));
    // The example of scikit-learn's roc_auc_score.
    assert_eq!(of(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]), Some(0.75));
    assert_eq!(of(&[(1.0, true), (2.0, true)]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn figures_that_do_not_exist_are_left_out() {
    let mut model = model(3, 3, 2);
    model.factors.global_mean = 0.0;
    let ratings = Ratings {
        users: vec![0, 1],
        items: vec![0, 2],
        values: vec![4.0, 4.0],
        ..Default::default()
    };
    let got = rating_metrics(&model, &ratings).unwrap();
    assert_eq!((got.r2, got.relative_squared_error), (None, None));
    let json = serde_json::to_value(&got).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let want = [
        "ratings",
        "rmse",
        "mae",
        "unknown_ratings",
        "seen_pairs",
        "unknown_users",
        "unknown_items",
    ];
    assert_eq!(keys, want);
    let message = rating_metrics(&model, &Ratings::default()).unwrap_err().to_string();
    assert!(message.contains("no ratings"), "{message}");
}

#[test]
fn an_implicit_model_is_held_against_one() {
    let mut model = model(3, 3, 2);
    model.objective = Objective::new(Solver::Ials);
    assert_eq!(model.unit(), Unit::Preference);
    let ratings = Ratings {
        users: vec![0, 1],
        items: vec![0, 2],
        values: vec![40.0, 7.0],
        ..Default::default()
    };
    let got = rating_metrics(&model, &ratings).unwrap();
    let want = (1.0 - score(&model, 0, 0)).powi(2) + (1.0 - score(&model, 1, 2)).powi(2);
    assert_relative_eq!(got.rmse, (want / 2.0).sqrt(), max_relative = 1e-12);
    assert_relative_eq!(model.predict(1, 2), score(&model, 1, 2), max_relative = 1e-12);
}

#[test]
fn unknown_ids_are_found() {
    let known: Ids = ["a", "b"].iter().collect();
    let seen: Ids = ["x", "b", "y"].iter().collect();
    assert_eq!(unknown_ids(&seen, &known), [0, 2]);
}

#[test]
fn transformed_models_are_measured_in_both_units() {
    let mut model = model(50, 40, 7);
    model.objective.transform =
        Transform { steps: vec![Step::Log1p, Step::ZScore { mean: 1.3, std: 0.4 }] };
    model.factors.global_mean = 0.0;
    let ratings = ratings(&model, 2_000);
    let got = rating_metrics(&model, &ratings).unwrap();
    let to_model = |r: f32| ((1.0 + f64::from(r)).ln() - 1.3) / 0.4;
    let to_rating = |s: f64| (s * 0.4 + 1.3).exp() - 1.0;
    let rows: Vec<(f64, f64)> =
        ratings.iter().map(|(u, i, r)| (f64::from(r), score(&model, u, i))).collect();
    let own: Vec<f64> = rows.iter().map(|(r, s)| (r - to_rating(*s)).powi(2)).collect();
    let inner: Vec<f64> = rows.iter().map(|(r, s)| (to_model(*r as f32) - s).powi(2)).collect();
    let base: Vec<f64> = rows.iter().map(|(r, _)| to_model(*r as f32).powi(2)).collect();
    assert_relative_eq!(got.rmse, mean(&own).sqrt(), max_relative = 1e-9);
    // The model's unit is single precision.
    assert_relative_eq!(got.model_rmse.unwrap(), mean(&inner).sqrt(), max_relative = 1e-6);
    let relative = mean(&inner) / mean(&base);
    assert_relative_eq!(got.relative_squared_error.unwrap(), relative, max_relative = 1e-6);
    assert!(got.model_mae.is_some() && got.model_r2.is_some());
    let (user, item) = (3, 5);
    let want = to_rating(score(&model, user, item));
    assert_relative_eq!(model.predict(user, item), want, max_relative = 1e-12);
}

#[test]
fn a_binary_model_is_held_against_what_binary_leaves() {
    let mut model = model(50, 40, 7);
    model.objective.transform = Transform { steps: vec![Step::Binary { threshold: 4.0 }] };
    let ratings = ratings(&model, 2_000);
    let got = rating_metrics(&model, &ratings).unwrap();
    let squares: Vec<f64> = ratings
        .iter()
        .map(|(u, i, r)| (if r >= 4.0 { 1.0 } else { 0.0 } - score(&model, u, i)).powi(2))
        .collect();
    assert_relative_eq!(got.rmse, mean(&squares).sqrt(), max_relative = 1e-9);
    model.objective.loss = Loss::Logistic;
    assert!(rating_metrics(&model, &ratings).unwrap().auc.is_some());
}

/// A saved model and a file of ratings with two unknown users and an unknown item.
fn home() -> (tempfile::TempDir, Model, String, String) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let file = home.path().join("test.csv");
    std::fs::write(
        &file,
        "user,item,rating\nu15,i14,4\nu16,\"with, comma\",2.5\nghost,i15,3\nspook,i15,1\nu17,new,5\n",
    )
    .unwrap();
    let text = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    (home, model, text(dir), text(file))
}

#[test]
fn the_command_prints_the_metrics() {
    let (_home, model, dir, file) = home();
    let output = wgmf(&["evaluate", &dir, &file, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let (user, item) = (|id| model.users.get(id).unwrap(), |id| model.items.get(id).unwrap());
    let pairs = [
        (4.0, user("u15"), item("i14")),
        (2.5, user("u16"), item("with, comma")),
        (3.0, UNKNOWN, item("i15")),
        (1.0, UNKNOWN, item("i15")),
        (5.0, user("u17"), UNKNOWN),
    ];
    let squares: Vec<f64> =
        pairs.iter().map(|&(r, u, i)| (r - score(&model, u, i)).powi(2)).collect();
    assert_relative_eq!(
        json["rmse"].as_f64().unwrap(),
        mean(&squares).sqrt(),
        max_relative = 1e-12
    );
    assert_eq!(json["ratings"], 5);
    assert_eq!(json["unknown_users"], 2);
    assert_eq!(json["unknown_items"], 1);
    assert_eq!(json["unknown_ratings"], 3);
    assert!(json.get("auc").is_none());
    let talk = stderr(&output);
    assert!(talk.contains("2 of 5 users are not in the model: \"ghost\", \"spook\""), "{talk}");
    assert!(talk.contains("1 of 4 items are not in the model: \"new\""), "{talk}");

    let table = stdout(&wgmf(&["evaluate", &dir, &file]));
    let row = table.lines().find(|line| line.starts_with("RMSE")).unwrap();
    let printed: f64 = row.split_whitespace().last().unwrap().parse().unwrap();
    assert_relative_eq!(printed, mean(&squares).sqrt(), max_relative = 1e-5);
}

#[test]
fn the_command_says_what_is_wrong() {
    let (home, _model, dir, file) = home();
    let strict = wgmf(&["evaluate", &dir, &file, "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(stderr(&strict).contains("\"ghost\""), "{}", stderr(&strict));
    assert!(strict.stdout.is_empty());
    let wrong = home.path().join("wrong.csv");
    std::fs::write(&wrong, "user,item,rating\nu15,i14,4\nu16,i14,good\n").unwrap();
    let wrong = wgmf(&["evaluate", &dir, wrong.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("wrong.csv:3"), "{}", stderr(&wrong));
    let no_model = wgmf(&["evaluate", home.path().to_str().unwrap(), &file]);
    assert_eq!(no_model.status.code(), Some(1));
    assert!(stderr(&no_model).contains("is not a wgmf model"), "{}", stderr(&no_model));
    assert_eq!(stderr(&no_model).lines().count(), 1);
    assert_eq!(wgmf(&["evaluate", &dir]).status.code(), Some(2));
}

#[test]
fn a_rating_the_transform_cannot_take_is_named_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let mut model = model(20, 17, 5);
    model.objective.transform = Transform { steps: vec![Step::Log1p] };
    model.save(&dir, &fixture::seen(&model), false).unwrap();
    let file = home.path().join("test.csv");
    std::fs::write(&file, "user,item,rating\nu15,i14,4\nu16,i14,-3\n").unwrap();
    let output = wgmf(&["evaluate", dir.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("test.csv:3: rating -3"), "{}", stderr(&output));
    std::fs::write(&file, "user,item,rating\nu15,i14,4\nu16,i14,3\n").unwrap();
    let output = wgmf(&["evaluate", dir.to_str().unwrap(), file.to_str().unwrap()]);
    assert!(stdout(&output).contains("log1p"), "{}", stdout(&output));
}
