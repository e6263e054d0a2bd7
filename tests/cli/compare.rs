//! `wgmf compare`, and `wgmf evaluate --fold-in`.

use crate::place::{Place, stderr};
use serde_json::Value;

fn figure<'a>(comparison: &'a Value, name: &str) -> &'a Value {
    let figures = comparison["figures"].as_array().unwrap();
    figures.iter().find(|figure| figure["name"] == name).unwrap_or_else(|| panic!("{comparison}"))
}

#[test]
fn models_are_compared_by_the_figures_of_evaluate() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.2 --output parts");
    let fit = "train parts/train.csv --backend cpu --progress none --epochs 4";
    place.ok(&format!("{fit} --solver als --factors 4 --model a"));
    place.ok(&format!("{fit} --solver als --factors 0 --model b"));
    place.ok(&format!("{fit} --solver ials --factors 4 --model c"));
    let test = "parts/test.csv";

    let compared = place.json(&format!("compare a b {test} --json"));
    let rmse = figure(&compared, "rmse");
    for (model, key) in [("a", "a"), ("b", "b")] {
        let own = place.json(&format!("evaluate {model} {test} --json"));
        let difference = own["rmse"].as_f64().unwrap() - rmse[key].as_f64().unwrap();
        assert!(difference.abs() < 1e-12, "{model}: {difference}");
    }
    // Factors are in this truth: what knows none is behind, beyond doubt.
    assert!(rmse["low"].as_f64().unwrap() > 0.0 && rmse["p"].as_f64().unwrap() < 0.01, "{rmse}");
    let same = place.json(&format!("compare a a {test} --json"));
    let same = figure(&same, "mae");
    assert_eq!((&same["difference"], &same["p"]), (&0.0.into(), &1.0.into()));

    let lists = format!("compare a c {test} --ranking --at 10 --relevant-from 4");
    let compared = place.json(&format!("{lists} --json"));
    let ndcg = figure(&compared, "ndcg@10");
    for (model, key) in [("a", "a"), ("c", "b")] {
        let own = place
            .json(&format!("evaluate {model} {test} --ranking --at 10 --relevant-from 4 --json"));
        let difference = own["ndcg@10"].as_f64().unwrap() - ndcg[key].as_f64().unwrap();
        assert!(difference.abs() < 1e-12, "{model}: {difference}");
    }
    assert!(place.ok(&lists).contains("95 % interval"));

    let output = place.run(&format!("compare a c {test}"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--ranking compares"), "{}", stderr(&output));
    let seen = place.run("compare a b parts/train.csv");
    assert!(stderr(&seen).contains("both models were trained on"), "{}", stderr(&seen));
    let none = place.run("compare a b parts/train.csv --leave-out-seen");
    assert_eq!(none.status.code(), Some(1), "{}", stderr(&none));
}

/// Who knows few items does not win by having few to choose from, and one user is no proof.
#[test]
fn lists_are_of_what_both_models_know() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.2 --output parts");
    let text = String::from_utf8(place.read("parts/train.csv")).unwrap();
    let (head, rows) = text.split_once('\n').unwrap();
    // The artists whose names begin with the first letters of the alphabet.
    let of_few = |row: &&str| row.split(',').nth(1).is_some_and(|artist| artist < "D");
    let few: Vec<&str> = rows.lines().filter(of_few).collect();
    assert!(few.len() > 1000 && few.len() < 60_000, "{}", few.len());
    place.write("few.csv", format!("{head}\n{}\n", few.join("\n")));
    let fit = "--solver als --factors 4 --epochs 3 --backend cpu --progress none";
    place.ok(&format!("train parts/train.csv {fit} --model whole"));
    place.ok(&format!("train few.csv {fit} --model few"));
    let line = "compare whole few parts/test.csv --ranking --at 10";
    let output = place.run(&format!("{line} --json"));
    let talk = stderr(&output);
    assert!(talk.contains("both models know are ranked"), "{talk}");
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    let recall = figure(&compared, "recall@10");
    let apart = recall["b"].as_f64().unwrap() / recall["a"].as_f64().unwrap();
    assert!((0.5..2.0).contains(&apart), "{recall}");
    let names = compared["figures"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap());
    assert!(!names.into_iter().any(|name| name.starts_with("popularity")));

    let test = String::from_utf8(place.read("parts/test.csv")).unwrap();
    let own = |user: &str| test.lines().filter(|row| row.starts_with(user)).collect::<Vec<_>>();
    let user = test.lines().nth(1).unwrap().split_once(',').unwrap().0;
    place.write("one.csv", format!("{head}\n{}\n", own(&format!("{user},")).join("\n")));
    let refused = place.run("compare whole whole one.csv");
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("two at least"), "{}", stderr(&refused));
}

/// What new users get is what fold-in and evaluate in turn say of them, for models with samples too.
#[test]
fn new_users_are_folded_in_and_measured() {
    let place = Place::with_sample();
    place.ok("split plays.csv --users 0.1 --output users");
    place.ok("split users/test.csv --holdout 0.5 --output new");
    for (solver, more) in [("als", "--epochs 3"), ("bayes", "--samples 4 --burn-in 2")] {
        place.ok(&format!(
            "train users/train.csv --solver {solver} --factors 4 {more} --backend cpu --progress none --model {solver}"
        ));
        place.ok(&format!("fold-in {solver} new/train.csv --output {solver}-grown"));
        for how in ["", "--ranking --at 10 --relevant-from 4"] {
            let at_once = place.json(&format!(
                "evaluate {solver} new/test.csv --fold-in new/train.csv {how} --json"
            ));
            let grown = place.json(&format!("evaluate {solver}-grown new/test.csv {how} --json"));
            assert_eq!(at_once, grown, "{solver} {how}");
            assert_eq!(at_once["unknown_users"], 0, "{solver} {how}");
        }
    }
    let nobody = place.run("evaluate als new/test.csv --fold-in users/train.csv");
    assert!(stderr(&nobody).contains("in the model already"), "{}", stderr(&nobody));
}
