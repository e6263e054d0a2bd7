//! What `wgmf evaluate` and the last lines of `wgmf train` say beside a figure, so that it can be trusted.

use crate::place;

use place::{Place, stderr, stdout};
use serde_json::Value;
use std::fmt::Write;

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} of {value}"))
}

/// Standard output and standard error of what must succeed.
fn both(place: &Place, line: &str) -> (String, String) {
    let output = place.run(line);
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    (stdout(&output), stderr(&output))
}

/// The last event of `--progress json`.
fn done(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// 12 users × 8 items but for a diagonal, which is left for tests; ratings of `scale`.
fn table(place: &Place, name: &str, scale: f64) {
    let mut text = "user,item,rating\n".to_owned();
    for user in 0..12 {
        for item in (0..8).filter(|item| user % 8 != *item) {
            let stars = 1 + (user * 3 + item * 5 + user * item) % 5;
            writeln!(text, "u{user},i{item},{}", f64::from(stars) * scale).unwrap();
        }
    }
    place.write(name, text);
}

#[test]
fn pairs_of_both_parts_are_counted_said_and_left_out() {
    let place = Place::new();
    table(&place, "train.csv", 1.0);
    place.write("new.csv", "u1,i1,4\nu2,i2,2\nu3,i3,5\n");
    place.write("test.csv", "u1,i1,4\nu1,i2,3\nu2,i2,2\nu3,i3,5\nu4,i0,1\nu4,i0,2\n");
    place.write("seen.csv", "u1,i2,3\n");
    let fit = "train train.csv --solver als --epochs 3 --factors 2 --backend cpu";
    place.ok(&format!("{fit} --progress none --model m"));

    // Of the pair that is there twice the last counts: five pairs, of which the model knows two.
    let (_, talk) = both(&place, "evaluate m test.csv");
    let expected = "2 of 5 test pairs are pairs that the model was trained on";
    assert!(talk.contains(expected) && talk.contains("--leave-out-seen"), "{talk}");
    let whole = place.json("evaluate m test.csv --json");
    assert_eq!((number(&whole, "ratings"), number(&whole, "seen_pairs")), (5.0, 2.0));
    let left = place.json("evaluate m test.csv --leave-out-seen --json");
    let new = place.json("evaluate m new.csv --json");
    for key in ["ratings", "rmse", "mae", "r2", "relative_squared_error"] {
        assert_eq!(left[key], new[key], "{key}");
    }
    assert_ne!(whole["rmse"], new["rmse"]);
    assert_eq!((number(&left, "seen_pairs"), number(&new, "seen_pairs")), (2.0, 0.0));
    let (_, quiet) = both(&place, "evaluate m new.csv");
    assert!(!quiet.contains("trained on"), "{quiet}");

    // Rankings leave them out of their own accord.
    let ranking = "--ranking --relevant-from 1 --at 3 --backend cpu --json";
    let (text, talk) = both(&place, &format!("evaluate m test.csv {ranking}"));
    assert!(talk.contains("they count nowhere"), "{talk}");
    let ranked: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((number(&ranked, "seen_pairs"), number(&ranked, "relevant")), (2.0, 3.0));
    let seen = place.json(&format!("evaluate m test.csv {ranking} --include-seen"));
    assert_eq!(number(&seen, "relevant"), 5.0);
    let left =
        place.json(&format!("evaluate m test.csv {ranking} --include-seen --leave-out-seen"));
    assert_eq!(number(&left, "relevant"), 3.0);

    let none = place.run("evaluate m seen.csv --leave-out-seen");
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("leaves none"), "{}", stderr(&none));

    let json = "--progress json --model n --force";
    let (text, talk) = both(&place, &format!("{fit} --test test.csv --model n"));
    assert!(talk.contains("2 of 5 test ratings are of pairs that are trained on too"), "{talk}");
    assert!(text.contains("held-out RMSE"), "{text}");
    let whole = done(&place.ok(&format!("{fit} --test test.csv {json}")));
    assert_eq!(number(&whole, "test_seen_pairs"), 2.0);
    assert_eq!(place.record("n")["data"]["test_seen"], 2);
    let (text, talk) = both(&place, &format!("{fit} --test test.csv --leave-out-seen {json}"));
    assert!(talk.contains("2 more test ratings are of training pairs and left out"), "{talk}");
    let left = done(&text);
    let new = done(&place.ok(&format!("{fit} --test new.csv {json}")));
    assert_eq!(left["test_rmse"], new["test_rmse"]);
    assert_ne!(whole["test_rmse"], new["test_rmse"]);
    assert!(new.get("test_seen_pairs").is_none(), "{new}");
    let none = place.run(&format!("{fit} --test seen.csv --leave-out-seen --model o"));
    assert!(stderr(&none).contains("--leave-out-seen leaves none"), "{}", stderr(&none));
}

#[test]
fn zeros_are_no_liking() {
    let place = Place::new();
    let mut text = String::new();
    for (user, item) in (0..10).flat_map(|user| (0..6).map(move |item| (user, item))) {
        if (user + item) % 3 > 0 {
            writeln!(text, "u{user},i{item},{}", 1 + user % 2).unwrap();
        }
    }
    place.write("plays.csv", text);
    let fit = "train plays.csv --solver ials --factors 2 --epochs 2 --backend cpu --progress none";
    place.ok(&format!("{fit} --model m"));
    place.write("zeros.csv", "u0,i0,0\nu1,i2,0\n");
    place.write("some.csv", "u0,i0,0\nu1,i2,3\nu2,i1,-1\nu3,i3,1\n");
    let ranking = "--ranking --at 2 --backend cpu";
    let none = place.run(&format!("evaluate m zeros.csv {ranking}"));
    assert!(stderr(&none).contains("no user has a relevant item"), "{}", stderr(&none));
    let (text, talk) = both(&place, &format!("evaluate m some.csv {ranking} --json"));
    assert!(talk.contains("relevant: test pairs with a value above 0; 2 of 4 have none"), "{talk}");
    let some: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((number(&some, "users"), number(&some, "relevant")), (2.0, 2.0));
    let test = place.run(&format!("{fit} --test zeros.csv --model n"));
    assert_eq!(test.status.code(), Some(1));
    assert!(stderr(&test).contains("its value is not above 0"), "{}", stderr(&test));
    let line = format!("{fit} --progress json --test some.csv --model n").replacen(
        " --progress none",
        "",
        1,
    );
    let end = done(&place.ok(&line));
    assert_eq!((number(&end, "test_ranked_users"), number(&end, "test_users")), (2.0, 2.0));
}

#[test]
fn small_figures_have_digits() {
    let place = Place::new();
    table(&place, "rates.csv", 0.00002);
    let fit = "train rates.csv --solver als --epochs 3 --factors 2 --holdout 0.2 --backend cpu";
    let (text, talk) = both(&place, &format!("{fit} --model m"));
    let evaluated = place.ok("evaluate m rates.csv --baselines");
    let info = place.ok("info m");
    let history = info.split_once("train RMSE").unwrap().1;
    let with_errors = |text: &str| -> String {
        let of_errors = |line: &&str| line.contains("RMSE") || line.starts_with("MAE");
        text.lines().filter(of_errors).map(|line| format!("{line}\n")).collect()
    };
    for (what, text) in [
        ("train", with_errors(&text)),
        ("progress", with_errors(&talk)),
        ("evaluate", with_errors(&evaluated)),
        ("info", history.to_owned()),
    ] {
        let mut figures = 0;
        for word in text.split_whitespace().filter(|word| word.starts_with("0.0000")) {
            let digits = word["0.".len()..].trim_start_matches('0').trim_matches(',').len();
            assert!(digits >= 4, "{what}: {word} in {text}");
            figures += 1;
        }
        assert!(figures > 1, "{what}: {text}");
    }
}

#[test]
fn what_knows_no_tastes_stands_beside() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.2 --output parts");
    let fit = "train parts/train.csv --test parts/test.csv --backend cpu --epochs 4 --factors 4";
    let (text, _) = both(&place, &format!("{fit} --solver als --model als"));
    let beside = text.lines().find(|line| line.starts_with("beside it: ")).unwrap();
    assert!(beside.contains("biases alone RMSE") && beside.contains("the mean RMSE"), "{beside}");
    let end = done(&place.ok(&format!("{fit} --solver als --progress json --model b")));
    let printed = place.json("evaluate als parts/test.csv --baselines --json");
    for (column, suffix) in [("model", ""), ("biases", "_biases"), ("mean", "_mean")] {
        for key in ["rmse", "mae"] {
            let (own, other) =
                (number(&printed[column], key), number(&end, &format!("test_{key}{suffix}")));
            assert!((own / other - 1.0).abs() < 1e-9, "{column} {key}: {own} and {other}");
        }
        assert_eq!(number(&printed[column], "ratings"), number(&printed["model"], "ratings"));
    }
    let rmse = |column: &str| number(&printed[column], "rmse");
    assert!(rmse("biases") < rmse("mean"), "{printed}");
    let shown = place.ok("evaluate als parts/test.csv --baselines");
    for expected in ["model", "biases", "mean", "RMSE", "training pairs"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    // Two units, and labels.
    place.ok(&format!("{fit} --solver als --transform log1p --progress none --model log"));
    let shown = place.ok("evaluate log parts/test.csv --baselines");
    assert!(shown.contains("RMSE, log1p"), "{shown}");
    let labels = "--transform binary --threshold 4 --loss logistic";
    let (text, _) = both(&place, &format!("{fit} {labels} --model labels"));
    assert!(text.contains("beside it: biases alone log loss"), "{text}");
    let labels = place.json("evaluate labels parts/test.csv --baselines --json");
    assert!(
        number(&labels["biases"], "log_loss") < number(&labels["mean"], "log_loss"),
        "{labels}"
    );

    let (text, talk) = both(&place, &format!("{fit} --solver ials --model ials"));
    assert!(talk.contains(" users; objective"), "{talk}");
    assert!(text.contains("beside it: popularity alone recall@20"), "{text}");
    let end = done(&place.ok(&format!("{fit} --solver ials --progress json --model c")));
    let ranking = "--ranking --at 20 --baselines --json --backend cpu";
    let printed = place.json(&format!("evaluate ials parts/test.csv {ranking}"));
    for (column, suffix) in [("model", ""), ("popularity", "_popularity")] {
        for key in ["recall@20", "ndcg@20"] {
            let (own, other) =
                (number(&printed[column], key), number(&end, &format!("test_{key}{suffix}")));
            assert!((own - other).abs() < 1e-9, "{column} {key}: {own} and {other}");
        }
    }
    let none = place.run("evaluate ials parts/test.csv --baselines");
    assert_eq!(none.status.code(), Some(2));
    assert!(stderr(&none).contains("add --ranking"), "{}", stderr(&none));
}

#[test]
fn every_user_has_a_row() {
    let place = Place::new();
    table(&place, "train.csv", 1.0);
    place.write("test.csv", "u1,i1,4\nu2,i2,2\n\"a,b\",i3,5\nu1,i2,3\n");
    let fit = "train train.csv --solver als --epochs 3 --factors 2 --backend cpu --progress none";
    place.ok(&format!("{fit} --model m"));
    place.ok("evaluate m test.csv --per-user users.csv");
    let text = String::from_utf8(place.read("users.csv")).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[0], "user,ratings,rmse,mae");
    for (row, expected) in rows[1..].iter().zip(["\"a,b\",1,", "u1,2,", "u2,1,"]) {
        assert!(row.starts_with(expected), "{text}");
    }
    assert_eq!(rows.len(), 4);
    let again = place.run("evaluate m test.csv --per-user users.csv");
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    let left = "evaluate m test.csv --per-user users.csv --force --leave-out-seen";
    place.ok(left);
    let text = String::from_utf8(place.read("users.csv")).unwrap();
    assert!(text.contains("\nu1,1,"), "{text}");
    place.ok(
        "evaluate m test.csv --ranking --relevant-from 1 --at 1,3 --per-user r.csv --backend cpu",
    );
    let text = String::from_utf8(place.read("r.csv")).unwrap();
    let header = text.lines().next().unwrap();
    assert!(header.starts_with("user,relevant,precision@1,recall@1"), "{text}");
    assert!(header.ends_with("popularity@3,auc"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn bounds_are_part_of_a_model_or_of_a_question() {
    let place = Place::with_sample();
    let fit = "train plays.csv --solver als --reg 0.001 --epochs 4 --factors 16 --backend cpu";
    place.ok(&format!("{fit} --progress none --model free"));
    place.ok(&format!("{fit} --progress none --clip --model bounded"));
    assert!(place.tensors("free") == place.tensors("bounded"));
    assert_eq!(place.record("bounded")["settings"]["clip"], true);
    let lists = place.ok("recommend free --all -n 40 --format csv --backend cpu");
    place.write("pairs.csv", lists.replace("user,rank,item,score", "user,rank,item,rating"));
    let predictions = |line: &str| -> Vec<f64> {
        let text = place.ok(&format!("predict {line} pairs.csv --columns user,item"));
        text.lines().skip(1).map(|row| row.rsplit(',').next().unwrap().parse().unwrap()).collect()
    };
    let free = predictions("free");
    let above = free.iter().filter(|&&x| x > 5.0).count();
    assert!(above > 100, "{above}");
    let clamped: Vec<f64> = free.iter().map(|x| x.clamp(0.5, 5.0)).collect();
    assert_eq!(predictions("bounded"), clamped);
    assert_eq!(predictions("free --clip"), clamped);
    let asked = place.json("evaluate free pairs.csv --columns user,item,rating --clip --json");
    let own = place.json("evaluate bounded pairs.csv --columns user,item,rating --json");
    assert_eq!(asked, own);
    // The order of the lists is that of the scores as they are.
    let scores = |text: &str| -> Vec<(String, f64)> {
        let row = |row: &str| {
            let (before, score) = row.rsplit_once(',').unwrap();
            (before.to_owned(), score.parse::<f64>().unwrap().clamp(0.5, 5.0))
        };
        text.lines().skip(1).map(row).collect()
    };
    let bounded = place.ok("recommend bounded --all -n 40 --format csv --backend cpu");
    assert_eq!(scores(&bounded), scores(&lists));
    assert!(!bounded.contains(",5.1"), "{bounded}");
    // New rows are bounded too.
    let new = "zoe,nobody knows it,5\n".to_owned()
        + &place
            .ok("recommend free --all -n 1 --format csv --backend cpu")
            .lines()
            .skip(1)
            .take(3)
            .map(|row| format!("zoe,{},5\n", row.split(',').nth(2).unwrap()))
            .collect::<String>();
    place.write("new.csv", new);
    place.ok("fold-in bounded new.csv --columns 1,2,3 --output grown --backend cpu");
    assert_eq!(place.record("grown")["settings"]["clip"], true);
    for (line, expected) in [
        ("train plays.csv --solver ials --clip --model x", "--clip is for predicted ratings"),
        ("train plays.csv --loss logistic --clip --model x", "--clip is for predicted ratings"),
    ] {
        let output = place.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(expected), "{line}: {}", stderr(&output));
    }
}

#[test]
fn who_has_rated_everything_is_named() {
    let place = Place::new();
    place.write("all.csv", "ann,a,5\nann,b,3\nann,c,1\nbob,a,4\nbob,b,2\n");
    let fit = "train all.csv --solver als --epochs 2 --factors 1 --backend cpu --progress none";
    place.ok(&format!("{fit} --model m"));
    let (text, talk) = both(&place, "recommend m --all --format csv --backend cpu");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(talk.contains("1 of 2 users have rated every item"), "{talk}");
    assert!(talk.contains("\"ann\"") && talk.contains("--include-seen"), "{talk}");
    let (_, talk) = both(&place, "recommend m --all --include-seen --format csv --backend cpu");
    assert!(!talk.contains("rated every item"), "{talk}");
}

#[test]
fn relevance_knows_the_scale_of_the_model() {
    let place = Place::new();
    table(&place, "tens.csv", 2.0);
    // The test part alone looks like stars.
    place.write("test.csv", "u1,i1,4\nu2,i2,2\n");
    let fit = "train tens.csv --solver als --epochs 2 --factors 2 --backend cpu --progress none";
    place.ok(&format!("{fit} --model m"));
    let output = place.run("evaluate m test.csv --ranking --backend cpu");
    assert_eq!(output.status.code(), Some(2));
    let talk = stderr(&output);
    assert!(talk.contains("between 2 and 10") && talk.contains("--relevant-from"), "{talk}");
    place.ok("evaluate m test.csv --ranking --relevant-from 4 --backend cpu");
}

#[test]
fn ids_that_are_not_known_are_scored_by_what_is_said() {
    let place = Place::new();
    table(&place, "train.csv", 1.0);
    place.write("pairs.csv", "u1,i1\nu1,new\nnew,i1\n");
    for (solver, how) in [
        ("als", "scored by the mean and the user's bias"),
        ("ials", "scored 0, since ials has no mean and no biases"),
    ] {
        let fit = format!("train train.csv --solver {solver} --epochs 2 --factors 2 --backend cpu");
        place.ok(&format!("{fit} --progress none --model {solver}"));
        let (text, talk) = both(&place, &format!("predict {solver} pairs.csv"));
        assert!(talk.contains(how), "{talk}");
        if solver == "ials" {
            assert!(text.ends_with("u1,new,0.0\nnew,i1,0.0\n"), "{text}");
        }
    }
}
