//! `wgmf tune` and `wgmf cross-validate`.

use crate::place::{Place, stderr, stdout};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// A search that takes a second or so.
const SEARCH: &str = "tune plays.csv --solver als --epochs 12 --trials 7 --search factors=2,4,8 \
                      --search reg=0.02..0.5:log --search damping=0.5..8:log --backend cpu --folds 1";

#[test]
fn a_search_ends_at_a_command_that_trains_what_it_found() {
    let place = Place::with_sample();
    let found = place.json(&format!("{SEARCH} --json"));
    let trials = found["trials"].as_array().unwrap();
    let best = found["best"].as_u64().unwrap() as usize;
    let value = |trial: &Value| trial["rungs"].as_array().unwrap().last().unwrap()["value"].clone();
    assert_eq!((trials.len(), &found["metric"]), (7, &"rmse".into()));
    assert_eq!(trials[0]["values"], serde_json::json!({}));
    assert_eq!(value(&trials[best]), found["value"]);
    // Looked at after 3, 4 and 12 epochs: 7 trials, the best 3 and the first, and the best third
    // of those with the first.
    let rungs = |rungs: usize| {
        trials.iter().filter(|t| t["rungs"].as_array().unwrap().len() > rungs).count()
    };
    let counts = [rungs(0), rungs(1), rungs(2)];
    assert!(counts[0] == 7 && (3..=4).contains(&counts[1]) && (1..=3).contains(&counts[2]));
    let trained = |t: &Value| t["rungs"].as_array().unwrap().last().unwrap()["epochs"].clone();
    assert!(trials.iter().all(|trial| [3, 4, 12].map(Value::from).contains(&trained(trial))));
    // What trials are judged by is what train itself measures on the part that is held out.
    let command = found["command"].as_str().unwrap();
    let again = format!("{} --holdout 0.1 --progress json", command.strip_prefix("wgmf ").unwrap());
    let text = place.ok(&again);
    let done: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let difference = done["test_rmse"].as_f64().unwrap() - found["value"].as_f64().unwrap();
    assert!(difference.abs() < 1e-6, "{difference}: {done}");
    assert!(trials.iter().all(|t| t["rungs"].as_array().unwrap().len() < 3
        || value(t).as_f64() >= found["value"].as_f64()));
    // For people: the table, the trial without settings in it, and the command alone on the last line.
    let text = place.ok(SEARCH);
    assert!(text.contains("(no settings)") && text.trim_end().ends_with(command), "{text}");
}

/// Those that were trained to the end are judged on as many parts, and what no settings would take wins where
/// nothing is better by more than a standard error.
#[test]
fn finalists_are_judged_on_several_parts() {
    let place = Place::with_sample();
    let found = place.json(&format!(
        "{} --json",
        SEARCH.replace("--folds 1", "--folds 4").replace("--trials 7", "--trials 12")
    ));
    let trials = found["trials"].as_array().unwrap();
    let folds = |trial: &Value| trial["folds"].as_array().map_or(0, Vec::len);
    let (mut finalists, mut others) = (0, 0);
    for trial in trials {
        match trial["rungs"].as_array().unwrap().len() {
            3 => finalists += usize::from(folds(trial) == 3),
            _ => others += folds(trial),
        }
    }
    assert!((2..=3).contains(&finalists) && others == 0, "{finalists} of {trials:?}");
    // Parts of one set: alike, and not the same.
    let best = &trials[found["best"].as_u64().unwrap() as usize];
    let value = found["value"].as_f64().unwrap();
    for fold in best["folds"].as_array().unwrap() {
        let far = fold.as_f64().unwrap() / value - 1.0;
        assert!(far != 0.0 && far.abs() < 0.05, "{best}");
    }
    // Weighted ratings are weighted on every part.
    let weighted = place.json(&format!(
        "{} --json --weights 3",
        SEARCH.replace("--folds 1", "--folds 3").replace("--trials 7", "--trials 12")
    ));
    assert!(
        weighted["trials"].as_array().unwrap().iter().any(|trial| folds(trial) == 2),
        "{weighted}"
    );
    assert_ne!(weighted["value"], found["value"]);
    // What helps nobody is not taken: reg of a hundred times.
    let worse = place.json(
        "tune plays.csv --solver als --epochs 3 --factors 4 --trials 3 \
                            --search reg=50,60 --backend cpu --json",
    );
    assert_eq!(worse["best"], 0);
}

/// Choices that come again are not tried again, a search among solvers says what is relevant, and nothing that
/// stands behind `--` is taken for an option.
#[test]
fn no_setting_is_tried_twice_and_commands_come_out_as_they_went_in() {
    let place = Place::with_sample();
    let line = "tune --solver als --epochs 3 --trials 9 --search factors=2,4 --backend cpu --json \
                --columns=listener,artist,rating -- plays.csv";
    let found = place.json(line);
    // What no settings would take has 32 factors.
    assert_eq!(found["trials"].as_array().unwrap().len(), 3);
    let command = found["command"].as_str().unwrap();
    assert!(
        command.starts_with("wgmf train --factors ") || command.starts_with("wgmf train --epochs ")
    );
    assert!(command.ends_with("--columns=listener,artist,rating -- plays.csv"), "{command}");
    place.ok(&format!(
        "{} --progress none",
        command.strip_prefix("wgmf ").unwrap().replace(" -- ", " ")
    ));
    let both = "tune plays.csv --metric ndcg@10 --search solver=als,ials --factors 2 --epochs 3 --trials 3";
    let refused = place.run(both);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--relevant-from"), "{}", stderr(&refused));
    place.ok(&format!("{both} --relevant-from 4 --backend cpu"));
}

/// Killed in the midst of it, stopped by a signal, on one thread or two: the same table.
#[test]
fn a_search_that_was_killed_goes_on_to_the_same_end() {
    let place = Place::with_sample();
    let search = SEARCH.replace("--folds 1", "--folds 3");
    place.ok(&format!("{search} --storage whole"));
    let table = String::from_utf8(place.read("whole/trials.csv")).unwrap();
    let mut lines = table.lines();
    let head = lines.next().unwrap();
    assert!(head.starts_with("trial,rungs,epochs,best_epoch,rmse,factors,reg,damping"), "{head}");
    assert_eq!(lines.count(), 7);
    assert_eq!(place.names("whole"), ["search.json", "trials.csv"]);

    let line = format!("{search} --storage killed --threads 1");
    for stop in ["device", "trial 2, 1 of 3", "2 of 3"] {
        let mut child = place.command(&line).stderr(Stdio::piped()).spawn().unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        let mut heard = String::new();
        while !heard.contains(stop) {
            assert!(talk.read_line(&mut heard).unwrap() > 0, "{heard}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = place.run(&line);
    assert!(output.status.success(), "{}", stderr(&output));
    // What was done is not done again.
    assert!(!stderr(&output).contains("1 of 3"), "{}", stderr(&output));
    assert_eq!(String::from_utf8(place.read("killed/trials.csv")).unwrap(), table);
    assert_eq!(place.names("killed"), ["search.json", "trials.csv"]);

    // More trials take over what is there.
    let more = line.replace("--trials 7", "--trials 9");
    let output = place.run(&more);
    assert!(output.status.success(), "{}", stderr(&output));
    let talk = stderr(&output);
    assert_eq!(talk.matches(", 1 of 3:").count(), 2, "{talk}");
    let grown = String::from_utf8(place.read("killed/trials.csv")).unwrap();
    assert_eq!(grown.lines().count(), 10);
    let first = |line: &&str| line.starts_with("0,");
    assert_eq!(grown.lines().find(first), table.lines().find(first));

    // Fewer are another search, which begins anew only where that is said.
    let other = line.replace("--trials 7", "--trials 5");
    let refused = place.run(&other);
    assert_eq!(refused.status.code(), Some(2));
    let talk = stderr(&refused);
    assert!(talk.contains("--trials 5") && talk.contains("--force"), "{talk}");
    let another = place.run(&line.replace("--epochs 12", "--epochs 8"));
    assert_eq!(another.status.code(), Some(1));
    assert!(stderr(&another).contains("epochs was 12 then and is 8 now"), "{}", stderr(&another));
    place.ok(&format!("{other} --force"));
    let anew = String::from_utf8(place.read("killed/trials.csv")).unwrap();
    assert_eq!(anew.lines().count(), 6);
}

#[test]
fn lists_are_searched_for_by_any_of_their_metrics() {
    let place = Place::with_sample();
    let line = "tune plays.csv --trials 3 --epochs 2 --backend cpu --json --search factors=2,4";
    for (more, metric) in [
        ("--solver ials", "ndcg@20"),
        ("--solver ials --metric recall@5", "recall@5"),
        ("--solver als --metric mrr@10", "mrr@10"),
        ("--solver sgd --loss logistic --transform binary --threshold 4", "log_loss"),
        ("--solver adam --loss logistic --transform binary --threshold 4 --metric auc", "auc"),
        ("--solver bayes --samples 3 --burn-in 2 --metric mae", "mae"),
    ] {
        let line = match more.contains("bayes") {
            true => line.replace("--epochs 2 ", ""),
            false => line.to_owned(),
        };
        let found = place.json(&format!("{line} {more}"));
        assert_eq!(found["metric"], metric);
        assert!(found["value"].as_f64().unwrap() > 0.0, "{found}");
    }
}

#[test]
fn searches_that_make_no_sense_are_refused() {
    let place = Place::with_sample();
    std::fs::create_dir(place.path("taken")).unwrap();
    place.write("taken/notes.txt", b"mine");
    for (line, code, why) in [
        ("--search rank=1,2", 2, "there is no setting rank"),
        ("--search reg=2..1", 2, "no range"),
        ("--search epochs=1,2", 2, "--epochs"),
        ("--search factors=2,4 --search factors=8", 2, "twice"),
        ("--solver als --metric ndcg", 2, "ndcg@20"),
        ("--solver ials --metric rmse", 2, "ndcg@20 does"),
        ("--solver als --metric auc", 2, "does not suit"),
        ("--trials 0", 2, "at least 1"),
        ("--time-limit 0", 2, "--time-limit"),
        ("--folds 0", 2, "--folds"),
        ("--folds 2", 2, "3 to 100"),
        (
            "--solver sgd --metric ndcg@10 --folds 3",
            2,
            "--folds 3 would change nothing: lists of what predicts",
        ),
        ("--solver als --metric mae --folds 3", 2, "mae and auc"),
        (
            "--search loss=squared,softmax",
            2,
            "--metric rmse does not suit --solver adam with --loss softmax",
        ),
        ("--metric ndcg@5 --solver adam --search loss=squared,softmax", 2, "--relevant-from"),
        ("--solver als --search momentum=0.5,0.9", 2, "--momentum"),
        ("--solver als --storage taken", 1, "holds other files"),
        ("--force", 2, "--storage"),
        ("--holdout 2", 2, "--holdout 2"),
    ] {
        let output = place.run(&format!("tune plays.csv --backend cpu {line}"));
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{line}: {talk}");
        assert!(talk.contains(why) && stdout(&output).is_empty(), "{line}: {talk}");
    }
    assert_eq!(place.names("taken"), ["notes.txt"]);
}

/// Each fold is what split, train and evaluate make of it.
#[test]
fn cross_validation_is_split_train_and_evaluate_in_turn() {
    let place = Place::with_sample();
    let fit = "--solver als --factors 4 --epochs 2 --backend cpu";
    let whole = place.json(&format!("cross-validate plays.csv --folds 3 {fit} --json"));
    place.ok("split plays.csv --folds 3 --output parts");
    let mut values = Vec::new();
    for fold in 1..=3 {
        place
            .ok(&format!("train parts/fold{fold}/train.csv {fit} --model m{fold} --progress none"));
        let own = place.json(&format!("evaluate m{fold} parts/fold{fold}/test.csv --json"));
        values.push(own["rmse"].as_f64().unwrap());
    }
    let figures = whole["figures"].as_array().unwrap();
    let rmse = figures.iter().find(|figure| figure["name"] == "rmse").unwrap();
    assert_eq!(rmse["values"], serde_json::json!(values));
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!((rmse["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    let lists = place.ok(&format!("cross-validate plays.csv --folds 2 {fit} --at 5,10"));
    assert!(lists.contains("ndcg@10") && lists.contains("fold 2"), "{lists}");
    let implicit =
        "cross-validate plays.csv --folds 2 --solver ials --factors 2 --epochs 1 --backend cpu";
    assert!(place.ok(implicit).contains("recall@20"));
    for (more, why) in [
        ("--holdout 0.1", "leave out --holdout"),
        ("--patience 2", "--patience"),
        ("--folds 1", "--folds"),
        ("--relevant-from 4", "--at"),
    ] {
        let output = place.run(&format!("cross-validate plays.csv {fit} {more}"));
        assert_eq!(output.status.code(), Some(2), "{more}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{more}: {}", stderr(&output));
    }
}
