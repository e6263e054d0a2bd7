//! `wgmf predict` and `wgmf evaluate` of Bayesian models.

use crate::fixture;
use wgmf::core::UNKNOWN;
use wgmf::model::Samples;
use wgmf::predict::{Ask, Predictive};

use approx::assert_relative_eq;
use fixture::bayes::{bayes, save};
use fixture::{stderr, stdout, wgmf};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn table(text: &str) -> (Vec<String>, Vec<csv::StringRecord>) {
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let header = table.headers().unwrap().iter().map(str::to_owned).collect();
    (header, table.records().map(Result::unwrap).collect())
}

#[test]
fn predict_writes_what_the_samples_say() {
    let home = tempfile::tempdir().unwrap();
    let (model, samples) = bayes(&[]);
    let dir = save(&model, &samples, &home.path().join("m"));
    let pairs = home.path().join("pairs.csv").to_str().unwrap().to_owned();
    // More than two blocks, with a wrong line in the third.
    let count = 70_000;
    let ids = |j: usize| (format!("u{}", 14 + j % 7), format!("i{}", 14 + j % 3));
    let line = |j: usize| format!("{},{}\n", ids(j).0, ids(j).1);
    fs::write(&pairs, (0..count).map(line).collect::<String>()).unwrap();
    let output = wgmf(&["predict", &dir, &pairs, "--interval", "0.9"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let (header, rows) = table(&stdout(&output));
    assert_eq!(header, ["user", "item", "mean", "std", "lower", "upper"]);
    assert_eq!(rows.len(), count);
    let predictive = Predictive::new(&model, &samples).unwrap();
    for (j, row) in rows.iter().enumerate() {
        assert_eq!((row[0].to_owned(), row[1].to_owned()), ids(j));
    }
    for row in &rows[..30] {
        let pair = (&row[0], &row[1]);
        let user = model.users.get(pair.0).unwrap_or(UNKNOWN);
        let item = model.items.get(pair.1).unwrap_or(UNKNOWN);
        let ask = Ask { interval: Some(0.9), credible: false };
        let said = predictive.summaries(&[user], &[item], &ask).unwrap().remove(0);
        let [low, high] = said.interval.unwrap();
        for (text, want) in row.iter().skip(2).zip([said.mean, said.deviation, low, high]) {
            assert_eq!(text, format!("{:?}", want as f32));
        }
    }
    assert!(stderr(&output).contains("users that are not in the model (first: \"u20\")"));
    assert!(stderr(&output).contains("as of one without ratings"));
    let strict = wgmf(&["predict", &dir, &pairs, "--strict"]);
    assert!(!strict.status.success() && stderr(&strict).contains("pairs.csv:7: user \"u20\""));

    fs::write(&pairs, format!("{}alone\n", (0..40_000).map(line).collect::<String>())).unwrap();
    let output = wgmf(&["predict", &dir, &pairs, "--credible", "--json"]);
    assert!(!output.status.success() && stderr(&output).contains("pairs.csv:40001"));
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 40_000);
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["user", "item", "mean", "std"]);
    let ask = Ask { interval: None, credible: true };
    let said = predictive.summaries(&[14], &[14], &ask).unwrap().remove(0);
    assert_eq!(row["std"].as_f64().unwrap() as f32, said.deviation as f32);
}

#[test]
fn levels_have_columns_and_evaluate_names_what_is_none() {
    let home = tempfile::tempdir().unwrap();
    let (model, samples) = bayes(&[1.0, 2.0, 4.0, 4.5]);
    let dir = save(&model, &samples, &home.path().join("m"));
    let file = |name: &str, text: &str| {
        fs::write(home.path().join(name), text).unwrap();
        home.path().join(name).to_str().unwrap().to_owned()
    };
    let pairs = file("pairs.csv", "u14,i14\nu15,nobody\n");
    let (header, rows) = table(&stdout(&wgmf(&["predict", &dir, &pairs, "--interval", "0.5"])));
    let columns = ["user", "item", "mean", "std", "lower", "upper", "p_1", "p_2", "p_4", "p_4.5"];
    assert_eq!(header, columns);
    for row in &rows {
        let sum: f64 = (6..10).map(|at| row[at].parse::<f64>().unwrap()).sum();
        assert_relative_eq!(sum, 1.0, max_relative = 1e-6);
    }
    let good = file("good.csv", "u14,i14,4.5\nu15,i15,1\nu15,i16,2\n");
    let metrics: Value =
        serde_json::from_str(&stdout(&wgmf(&["evaluate", &dir, &good, "--json"]))).unwrap();
    for key in ["rmse", "log_predictive_density", "ranked_probability_score", "accuracy"] {
        assert!(metrics[key].is_f64(), "{key}: {metrics}");
    }
    assert_eq!(metrics["ratings"], 3);
    let shown = stdout(&wgmf(&["evaluate", &dir, &good]));
    for line in ["RMSE ", "log predictive density ", "ranked probability ", "90 % interval covers"]
    {
        assert!(shown.lines().any(|l| l.starts_with(line)), "{shown}");
    }
    let bad = file("bad.csv", "u14,i14,4.5\nu15,i15,3\n");
    let output = wgmf(&["evaluate", &dir, &bad]);
    let text = stderr(&output);
    assert!(!output.status.success());
    assert!(text.contains("bad.csv:2: rating 3 is none of the levels"), "{text}");
}

#[test]
fn bad_flags_are_named() {
    let home = tempfile::tempdir().unwrap();
    let (model, samples) = bayes(&[]);
    let dir = save(&model, &samples, &home.path().join("m"));
    let plain = home.path().join("plain");
    fixture::saved(&plain);
    let plain = plain.to_str().unwrap();
    let pairs = home.path().join("pairs.csv").to_str().unwrap().to_owned();
    fs::write(&pairs, "u14,i14\n").unwrap();
    for interval in ["1.2", "1", "0", "-0.5", "nan"] {
        let output = wgmf(&["predict", &dir, &pairs, "--interval", interval]);
        assert_eq!(output.status.code(), Some(2), "{interval}");
        assert!(stderr(&output).contains("must lie between 0 and 1"), "{}", stderr(&output));
    }
    for flags in [&["--interval", "0.9"][..], &["--credible"]] {
        let mut arguments = vec!["predict", plain, &pairs];
        arguments.extend(flags);
        let output = wgmf(&arguments);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.contains(flags[0]) && text.contains("--solver als"), "{text}");
        assert!(text.contains("train one with --solver bayes"), "{text}");
    }
    fs::remove_file(Path::new(&dir).join(Samples::FILE)).unwrap();
    let output = wgmf(&["predict", &dir, &pairs]);
    assert!(!output.status.success() && stderr(&output).contains(Samples::FILE));
}
