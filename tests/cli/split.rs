//! Splitting files: every line in exactly one part, as it was.

use crate::place::Place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wgmf::data::{SplitOptions, split};

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(String::from).collect()
}

/// Some ratings with odd text, and timestamps that are not in order.
fn input(dir: &Path) -> PathBuf {
    let mut text = String::from("userId,movieId,rating,timestamp\n");
    for row in 0..1_000_u32 {
        let (user, item) = (row * 7 % 45, row * 31 % 997);
        text += &format!("0{user},\"film, {item}\",{}.50,{}\n", row % 5, row * 7_919 % 1_000);
    }
    let path = dir.join("ratings.csv");
    fs::write(&path, text).unwrap();
    path
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Splits and returns the bodies of the two files, after a look at their headers.
fn parts(input: &Path, options: &SplitOptions) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let facts = split(&[input.to_owned()], options, dir.path(), false, &()).unwrap();
    let header = &lines(input)[0];
    let part = |path: &Path, count: usize| {
        let mut lines = lines(path);
        assert_eq!(&lines.remove(0), header);
        assert_eq!(lines.len(), count);
        lines
    };
    let one = &facts.parts[0];
    assert_eq!(one.train, dir.path().join("train.csv"));
    let (train, test) = (part(&one.train, one.train_ratings), part(&one.test, one.test_ratings));
    let all = [train.clone(), test.clone()].concat();
    assert_eq!(sorted(all), sorted(lines(input)[1..].to_vec()), "a line is lost or doubled");
    (train, test)
}

#[test]
fn random_parts_are_exact_and_seeded() {
    let dir = tempfile::tempdir().unwrap();
    let path = input(dir.path());
    let with = |holdout, seed| SplitOptions { holdout, seed, ..SplitOptions::default() };
    let (_, test) = parts(&path, &with(None, 0));
    assert_eq!(test.len(), 200);
    assert_eq!(parts(&path, &with(Some(0.2), 0)).1, test);
    assert_ne!(parts(&path, &with(Some(0.2), 1)).1, test);
    assert_eq!(parts(&path, &with(Some(0.333), 5)).1.len(), 333);
}

#[test]
fn folds_test_every_line_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = input(dir.path());
    let options = SplitOptions { folds: Some(3), ..SplitOptions::default() };
    let output = dir.path().join("folds");
    let facts = split(std::slice::from_ref(&path), &options, &output, false, &()).unwrap();
    let mut tested = Vec::new();
    for (fold, part) in facts.parts.iter().enumerate() {
        assert_eq!(part.test, output.join(format!("fold{}/test.csv", fold + 1)));
        let (train, test) = (lines(&part.train), lines(&part.test));
        assert!(part.test_ratings == 333 || part.test_ratings == 334);
        assert_eq!((train.len(), test.len()), (part.train_ratings + 1, part.test_ratings + 1));
        let all = [&train[1..], &test[1..]].concat();
        assert_eq!(sorted(all), sorted(lines(&path)[1..].to_vec()));
        tested.extend_from_slice(&test[1..]);
    }
    assert_eq!(sorted(tested), sorted(lines(&path)[1..].to_vec()));
}

fn time(line: &str) -> u32 {
    line.rsplit(',').next().unwrap().parse().unwrap()
}

#[test]
fn the_latest_go_to_the_test_part() {
    let dir = tempfile::tempdir().unwrap();
    let path = input(dir.path());
    let by_time = SplitOptions { by_time: Some(0.1), ..SplitOptions::default() };
    let (train, test) = parts(&path, &by_time);
    assert_eq!(test.len(), 100);
    let latest = train.iter().map(|line| time(line)).max().unwrap();
    assert!(test.iter().all(|line| time(line) > latest));

    let last = SplitOptions { leave_last: Some(2), ..SplitOptions::default() };
    let (train, test) = parts(&path, &last);
    let user = |line: &str| line.split(',').next().unwrap().to_owned();
    let users: std::collections::BTreeSet<String> = train.iter().map(|line| user(line)).collect();
    assert_eq!((users.len(), test.len()), (45, 90));
    for one in users {
        let of = |part: &[String]| -> Vec<u32> {
            part.iter().filter(|line| user(line) == one).map(|line| time(line)).collect()
        };
        assert_eq!(of(&test).len(), 2);
        assert!(of(&test).iter().min() > of(&train).iter().max());
    }
}

#[test]
fn parts_of_two_splits_do_not_come_to_lie_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let [csv, txt] = ["u.csv", "u.txt"].map(|name| dir.path().join(name));
    for path in [&csv, &txt] {
        fs::write(path, "1,2,3\n1,3,3\n2,2,1\n2,4,1\n").unwrap();
    }
    let output = dir.path().join("parts");
    let held_out = SplitOptions { holdout: Some(0.25), ..SplitOptions::default() };
    let folds = SplitOptions { folds: Some(2), ..SplitOptions::default() };
    split(std::slice::from_ref(&csv), &held_out, &output, false, &()).unwrap();
    // Another program's file is none of a split.
    fs::write(output.join("test.py"), "").unwrap();
    for (path, options) in [(&txt, &held_out), (&csv, &folds)] {
        let error = split(std::slice::from_ref(path), options, &output, true, &()).unwrap_err();
        assert!(error.to_string().contains("of another kind"), "{error}");
    }
    let names = fs::read_dir(&output).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 3);
    fs::remove_file(output.join("test.py")).unwrap();
    split(&[csv], &held_out, &output, true, &()).unwrap();
}

#[test]
fn without_timestamps_the_last_lines_are_last() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.data");
    fs::write(&path, "1\ta\t3\r\n2\ta\t4\r\n1\tb\t5\r\n\r\n1\tc\t1").unwrap();
    let options = SplitOptions { leave_last: Some(1), ..SplitOptions::default() };
    let facts = split(std::slice::from_ref(&path), &options, dir.path(), false, &()).unwrap();
    assert_eq!(fs::read(&facts.parts[0].test).unwrap(), b"1\tc\t1\n");
    assert_eq!(
        fs::read(dir.path().join("train.data")).unwrap(),
        b"1\ta\t3\r\n2\ta\t4\r\n1\tb\t5\r\n"
    );
    let options = SplitOptions { by_time: Some(0.5), ..SplitOptions::default() };
    let error = split(&[path], &options, dir.path(), true, &()).unwrap_err().to_string();
    assert!(error.starts_with("`by_time` needs timestamps"), "{error}");
}

#[test]
fn several_compressed_files_are_one_set_and_quoted_lines_stay_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a.csv.zst"), dir.path().join("b.csv"));
    let text = "\u{feff}user,item,rating\n1,\"two\nlines\",3\n2,x,4\n";
    fs::write(&first, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    fs::write(&second, "user,item,rating\n3,y,5\n").unwrap();
    let options = SplitOptions { leave_last: None, holdout: Some(0.34), ..SplitOptions::default() };
    let output = dir.path().join("new/folder");
    let facts = split(&[first, second.clone()], &options, &output, false, &()).unwrap();
    let train = fs::read_to_string(&facts.parts[0].train).unwrap();
    let test = fs::read_to_string(&facts.parts[0].test).unwrap();
    let joined = train + &test;
    assert_eq!(joined.matches("user,item,rating\n").count(), 2);
    for record in ["1,\"two\nlines\",3\n", "2,x,4\n", "3,y,5\n"] {
        assert_eq!(joined.matches(record).count(), 1, "{joined}");
    }
    let third = dir.path().join("c.csv");
    fs::write(&third, "user;item;rating\n3;y;5\n").unwrap();
    let error = split(&[second, third], &options, &output, true, &()).unwrap_err().to_string();
    assert!(error.contains("is semicolon-separated") && error.contains("one by one"), "{error}");
}

#[test]
fn nothing_is_replaced_or_left_behind_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let path = input(dir.path());
    let output = dir.path().join("out");
    fs::create_dir(&output).unwrap();
    fs::write(output.join("test.csv"), "mine").unwrap();
    let options = SplitOptions::default();
    let error =
        split(std::slice::from_ref(&path), &options, &output, false, &()).unwrap_err().to_string();
    assert!(error.contains("test.csv: exists already; use `force`"), "{error}");
    assert_eq!(fs::read_dir(&output).unwrap().count(), 1);
    split(std::slice::from_ref(&path), &options, &output, true, &()).unwrap();
    assert_eq!(fs::read_dir(&output).unwrap().count(), 2);
    let cases: [(SplitOptions, &str); 5] = [
        (SplitOptions { holdout: Some(1.0), ..options.clone() }, "`holdout` 1 is not a fraction"),
        (SplitOptions { holdout: Some(1e-6), ..options.clone() }, "leaves none for the test part"),
        (SplitOptions { folds: Some(1), ..options.clone() }, "`folds` 1 is not a number from 2"),
        (
            SplitOptions { leave_last: Some(999), ..options.clone() },
            "leaves none for the test part",
        ),
        (SplitOptions { folds: Some(2), by_time: Some(0.5), ..options }, "exclude each other"),
    ];
    for (options, want) in cases {
        let error = split(std::slice::from_ref(&path), &options, &output, true, &())
            .unwrap_err()
            .to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[test]
fn the_command_reads_standard_input_and_prints_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = input(dir.path());
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_wgmf"))
            .args(["split", "-", "--json", "--output"])
            .arg(dir.path().join("out"))
            .args(args)
            .stdin(fs::File::open(&path).unwrap())
            .output()
            .unwrap()
    };
    let out = run(&[]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let facts: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(facts["ratings"], 1000);
    assert_eq!(facts["parts"][0]["test_ratings"], 200);
    assert_eq!(lines(&dir.path().join("out/train.csv")).len(), 801);
    assert_eq!(run(&[]).status.code(), Some(1));
    assert_eq!(run(&["--force", "--folds", "3", "--holdout", "0.5"]).status.code(), Some(2));
    assert_eq!(run(&["--force", "--holdout", "2"]).status.code(), Some(2));
}

#[test]
fn grouped_lines_are_split_item_by_item() {
    let place = Place::new();
    let lines: Vec<String> = (0..40)
        .map(|u| {
            let items = (0..u % 7).map(|i| format!(" i{}", (u * 3 + i) % 11));
            format!("u{u}{}", items.collect::<String>())
        })
        .collect();
    place.write("g.txt", lines.join("\n"));
    let pairs = |text: &[u8]| -> Vec<(String, String)> {
        let text = String::from_utf8(text.to_vec()).unwrap();
        let mut pairs = Vec::new();
        for line in text.lines() {
            let mut ids = line.split(' ').map(str::to_owned);
            let user = ids.next().unwrap();
            pairs.extend(ids.map(|item| (user.clone(), item)));
        }
        pairs.sort();
        pairs
    };
    let all = pairs(&place.read("g.txt"));
    for (way, folds) in
        [("--holdout 0.3", 1), ("--users 0.25", 1), ("--leave-last 1", 1), ("--folds 3", 3)]
    {
        place.ok(&format!("split g.txt --format grouped {way} --output parts --force"));
        let mut tested = Vec::new();
        for fold in 1..=folds {
            let folder = if folds > 1 { format!("parts/fold{fold}") } else { "parts".to_owned() };
            let part = |name: &str| pairs(&place.read(&format!("{folder}/{name}.txt")));
            let (train, test) = (part("train"), part("test"));
            let mut both = [train, test.clone()].concat();
            both.sort();
            assert_eq!(both, all, "{way}");
            assert!(!test.is_empty(), "{way}");
            tested.extend(test);
        }
        if folds > 1 {
            tested.sort();
            assert_eq!(tested, all);
        }
        fs::remove_dir_all(place.path("parts")).unwrap();
    }
    place.ok("split g.txt --format grouped --leave-last 1 --output last");
    let text = String::from_utf8(place.read("last/test.txt")).unwrap();
    // u9 has i5 and i6.
    assert!(text.lines().any(|line| line == "u9 i6"), "{text}");
    place.ok("train last/train.txt --format grouped --solver ials --epochs 1 --model m");
}
