//! `wgmf inspect`.

use crate::common;
use crate::place::{Place, WGMF, stderr};
use serde_json::{Value, json};

/// Looks a value up by a path such as `files.0.delimiter`.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| match key.parse::<usize>() {
        Ok(index) => &value[index],
        Err(_) => &value[key],
    })
}

#[test]
fn what_a_file_is_taken_for() {
    for (text, flags, expected) in [
        (
            "user;item;rating;ts\nann;x;5;100\nann;y;3.5;90\nbob;x;1;\n",
            "",
            vec![
                ("files.0.delimiter", json!(";")),
                ("files.0.header", json!(["user", "item", "rating", "ts"])),
                ("files.0.columns", json!([1, 2, 3, 4])),
                ("files.0.format", json!("triples")),
                ("files.0.compression", json!(null)),
                ("files.0.encoding", json!("utf-8")),
                ("files.0.ratings", json!(3)),
                ("ratings", json!(3)),
                ("users", json!(2)),
                ("items", json!(2)),
                ("sparsity", json!(0.25)),
                ("has_ratings", json!(true)),
                ("rows.1.line", json!(3)),
                ("rows.1.user", json!("ann")),
                ("rows.1.item", json!("y")),
                ("rows.1.rating", json!(3.5)),
                ("rows.1.file", json!("r.txt")),
                ("values.min", json!(1.0)),
                ("values.max", json!(5.0)),
                ("values.median", json!(3.5)),
                ("values.distinct", json!(3)),
                ("ratings_per_user.max", json!(2)),
                ("ratings_per_user.single", json!(1)),
                ("ratings_per_item.min", json!(1)),
                ("repeats.pairs", json!(0)),
                ("times.unit", json!(null)),
                ("times.without", json!(1)),
                ("rows.2.timestamp", json!(null)),
            ],
        ),
        (
            "ann\tx\t5\t964982703\nann\tx\t4\t964982931\nbob\tx\t4\t964982224\n",
            "",
            vec![
                ("files.0.doubts", json!([])),
                ("files.0.delimiter", json!("tab")),
                ("files.0.header", json!(null)),
                ("times.first", json!("964982224")),
                ("times.last", json!("964982931")),
                ("times.unit", json!("seconds")),
                ("times.without", json!(0)),
                ("rows.0.timestamp", json!("964982703")),
                ("repeats", json!({ "pairs": 1, "ratings": 1, "other_values": 1 })),
                ("values.most_frequent.0.value", json!(4.0)),
                ("values.most_frequent.0.ratings", json!(2)),
                ("remarks.1.kind", json!("repeats")),
            ],
        ),
        // A title stands beside the id of an item.
        (
            "user_id,item_id,title,rating\n1,2,x,4\n2,3,y,5\n",
            "",
            vec![("files.0.doubts", json!([])), ("files.0.columns", json!([1, 2, 4, null]))],
        ),
        (
            "ann,x,5,2021-03-03\nann,y,4,2021-03-01T12:00:00Z\n",
            "",
            vec![
                ("times.first", json!("2021-03-01T12:00:00Z")),
                ("times.unit", json!("date")),
                ("rows.0.timestamp", json!("2021-03-03T00:00:00Z")),
            ],
        ),
        (
            "7 8 9\n5 8\n",
            "--format grouped",
            vec![
                ("files.0.format", json!("grouped")),
                ("has_ratings", json!(false)),
                ("ratings", json!(3)),
                ("rows.2.user", json!("5")),
                ("rows.2.line", json!(2)),
                ("remarks.0.kind", json!("no_ratings")),
            ],
        ),
        (
            "a,9,x,5\nb,9,y,4\n",
            "--columns 1,3,4 --rows 1",
            vec![
                ("files.0.columns", json!([1, 3, 4, null])),
                ("rows.0.item", json!("x")),
                ("rows.1", json!(null)),
            ],
        ),
    ] {
        let place = Place::new();
        place.write("r.txt", text);
        let seen = place.json(&format!("inspect r.txt --json {flags}"));
        for (path, value) in expected {
            assert_eq!(at(&seen, path), &value, "{path} of {text:?}: {seen}");
        }
    }
}

#[test]
fn several_files_are_one_set() {
    let place = Place::new();
    place.write("a.csv", "ann,x,5\n");
    place.write("b.tsv", "ann\ty\t4\nbob\tx\t4\n");
    let seen = place.json("inspect a.csv b.tsv --json");
    let row = |at: usize| [&seen["rows"][at]["file"], &seen["rows"][at]["line"]];
    assert_eq!((&seen["ratings"], &seen["users"]), (&json!(3), &json!(2)));
    assert_eq!([row(0), row(2)], [[&json!("a.csv"), &json!(1)], [&json!("b.tsv"), &json!(2)]]);
    assert_eq!(seen["files"][1]["delimiter"], "tab");
}

/// Lines of 60 users with the values in turn.
fn of_values(values: &[&str]) -> String {
    let line = |at: usize| format!("u{},i{},{}\n", at / 5, at % 5, values[at % values.len()]);
    (0..300).map(line).collect()
}

#[test]
fn what_deserves_a_second_look() {
    let rare = |value: &'static str| {
        let mut values = ["1", "2", "3", "4", "5", "2", "3", "4"].repeat(20);
        values.push(value);
        values
    };
    for (values, kinds, says) in [
        (vec!["1", "2", "3", "4", "5"], vec![], ""),
        (vec!["3"], vec!["all_equal"], "--solver ials"),
        (vec!["0", "1"], vec!["labels"], "--loss logistic"),
        (vec!["-1", "1"], vec!["two_values"], "--transform binary with --threshold 1"),
        (
            vec!["0", "7", "8", "9", "10"],
            vec![],
            "0 stands apart from all other ratings and is 20 % of them",
        ),
        (vec!["-1", "7", "8", "9", "10"], vec![], "--drop-value -1"),
        (vec!["1", "7", "8", "9", "10"], vec![], ""),
        (vec!["-7.5", "-3", "3.25", "9.5", "99"], vec![], "99 stands apart"),
        (rare("50"), vec!["outlier"], "50 stands apart"),
        (rare("-99"), vec!["outlier"], "-99 stands apart"),
        (rare("7"), vec![], ""),
        (rare("400000"), vec!["outlier", "heavy_tail"], "--transform log1p"),
        (vec!["964982703", "974982831", "984982224"], vec!["times"], "--columns"),
    ] {
        let place = Place::new();
        place.write("r.csv", of_values(&values));
        let seen = place.json("inspect r.csv --json");
        let remarks = seen["remarks"].as_array().unwrap();
        let got: Vec<&str> =
            remarks.iter().map(|remark| remark["kind"].as_str().unwrap()).collect();
        assert_eq!(got, kinds, "{values:?}");
        let text = place.ok("inspect r.csv");
        assert!(text.contains(says), "{says:?} is not in {text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("note: ")).count(),
            kinds.len(),
            "{text}"
        );
    }
}

#[test]
fn people_see_rows_and_the_flags_that_say_the_same() {
    let place = Place::new();
    place.write("r.csv", "who,what,plays\nann,the b,5\nbob,\"c, d\",4\n");
    let text = place.ok("inspect r.csv");
    for line in [
        "r.csv: comma-separated, header, columns who,what,plays; 2 ratings",
        "  r.csv:2      user=ann item=\"the b\" rating=5",
        "  r.csv:3      user=bob item=\"c, d\" rating=4",
        "values      2 distinct values, 4 to 5, mean 4.5, median 4",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    // The flags read the same.
    let flags = text.lines().find_map(|line| line.strip_prefix("  the same by ")).unwrap();
    assert!(flags.contains("--columns 1,2,3") && flags.contains("--header yes"), "{flags}");
    let flags = flags.replace('\'', "");
    assert_eq!(
        place.json("inspect r.csv --json")["rows"],
        place.json(&format!("inspect r.csv --json {flags}"))["rows"]
    );
}

#[test]
fn what_training_refuses_inspect_refuses_too() {
    let place = Place::new();
    place.write("empty.csv", "");
    place.write("text.csv", "user,item,rating\nann,x,5\nbob,y,good\n");
    for (line, code) in [
        ("r.csv", 1),
        ("empty.csv", 1),
        ("text.csv", 1),
        ("text.csv --columns 1,2,9", 1),
        ("text.csv --columns 0,1", 2),
        ("", 2),
    ] {
        let error = |command: &str| {
            let output = place.run(&format!("{command} {line}"));
            let talk = stderr(&output);
            assert_eq!(output.status.code(), Some(code), "{command} {line}: {talk}");
            assert!(output.stdout.is_empty(), "{command} {line}");
            talk.lines().find(|line| line.starts_with("error: ")).unwrap().to_owned()
        };
        assert_eq!(error("inspect"), error("train"), "{line}");
    }
}

#[test]
fn a_second_reader_agrees_on_damaged_files() {
    let Some(python) = common::python() else { return };
    let script = common::root().join("tests/readers/mutate.py");
    let run = |count: &str, fault: &str| {
        let mut command = std::process::Command::new(&python);
        command.arg(&script).args([WGMF, count, "0", fault]).output().unwrap()
    };
    let output = run("200", "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // A reader that takes no quotes off is noticed, and so is one that has no header.
    for fault in ["quotes", "header"] {
        let output = run("60", fault);
        assert_eq!(output.status.code(), Some(1), "{fault}: {}", stderr(&output));
    }
}
