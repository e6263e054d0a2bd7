//! `wgmf predict` and `wgmf info`.

use crate::fixture;
use wgmf::core::UNKNOWN;
use wgmf::model::Model;

use approx::assert_relative_eq;
use fixture::{NASTY, model, saved, seen, stderr, stdout, wgmf};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A saved model, and files beside it.
struct Home {
    home: tempfile::TempDir,
    model: Model,
    dir: String,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("m");
        let model = saved(&dir);
        Home { home, model, dir: dir.to_str().unwrap().to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.home.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn expect(&self, user: &str, item: &str) -> f64 {
        let user = self.model.users.get(user).unwrap_or(UNKNOWN);
        let item = self.model.items.get(item).unwrap_or(UNKNOWN);
        self.model.factors.score(user, item)
    }

    /// Holds an output against the model; returns how many rows it has.
    fn check(&self, output: &[u8]) -> usize {
        let mut table = csv::Reader::from_reader(output);
        assert_eq!(table.headers().unwrap(), vec!["user", "item", "prediction"]);
        let mut rows = 0;
        for record in table.records() {
            let record = record.unwrap();
            let got: f64 = record[2].parse().unwrap();
            assert_relative_eq!(got, self.expect(&record[0], &record[1]), max_relative = 1e-6);
            rows += 1;
        }
        rows
    }
}

#[test]
fn any_delimiter_with_or_without_header() {
    let home = Home::new();
    let files = [
        "user,item\nu15,i15\nu16,i16\n",
        "u15,i15\nu16,i16\n",
        "u15\ti15\r\nu16\ti16",
        "\u{feff}u15;i15\nu16;i16\n\n",
        "u15::i15::5::978300760\nu16::i16::3::978302109\n",
        "u15 i15\n\nu16   i16\n",
        "rating,item_id,user_id\n4,i15,u15\n5,i16,u16\n",
        "user, item\nu15, i15\nu16, i16\n",
    ];
    let want = stdout(&wgmf(&["predict", &home.dir, &home.file("first.csv", files[0])]));
    assert_eq!(home.check(want.as_bytes()), 2);
    for text in files {
        let output = wgmf(&["predict", &home.dir, &home.file("pairs", text)]);
        assert!(output.status.success(), "{text:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), want, "{text:?}");
        assert_eq!(stderr(&output), "", "{text:?}");
    }
}

#[test]
fn every_id_survives() {
    let home = Home::new();
    let mut pairs = csv::Writer::from_writer(Vec::new());
    pairs.write_record(["user", "item"]).unwrap();
    // All but the one with a carriage return alone, which a file of ratings may not hold.
    for id in NASTY.into_iter().filter(|id| !id.contains("\rr")) {
        pairs.write_record([id, NASTY[13]]).unwrap();
        pairs.write_record([NASTY[0], id]).unwrap();
    }
    let text = String::from_utf8(pairs.into_inner().unwrap()).unwrap();
    let output = wgmf(&["predict", &home.dir, &home.file("pairs.csv", &text), "--strict"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(home.check(&output.stdout), 26);
}

#[test]
fn json_is_one_object_a_line() {
    let home = Home::new();
    let pairs = home.file("pairs.csv", "u15,i15\n\"with \"\"quotes\"\"\",\"two\nlines\"\n");
    let output = wgmf(&["predict", &home.dir, &pairs, "--json"]);
    let text = stdout(&output);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["user"], "with \"quotes\"");
    assert_eq!(rows[1]["item"], "two\nlines");
    for row in &rows {
        let (user, item) = (row["user"].as_str().unwrap(), row["item"].as_str().unwrap());
        let got = row["prediction"].as_f64().unwrap();
        assert_relative_eq!(got, home.expect(user, item), max_relative = 1e-6);
    }
}

#[test]
fn unknown_ids_are_scored_by_known_means_and_named() {
    let home = Home::new();
    let pairs = home.file("pairs.csv", "u15,i15\nghost,i15\nu16,new\nghost,new\n");
    let output = wgmf(&["predict", &home.dir, &pairs]);
    assert!(output.status.success());
    assert_eq!(home.check(&output.stdout), 4);
    let talk = stderr(&output);
    assert!(talk.contains("2 of 4 pairs have users that are not in the model"), "{talk}");
    assert!(talk.contains("\"ghost\"") && talk.contains("\"new\""), "{talk}");
    let last = stdout(&output).lines().last().unwrap().to_owned();
    assert_eq!(last, "ghost,new,3.25");

    let strict = wgmf(&["predict", &home.dir, &pairs, "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    assert!(stderr(&strict).contains("pairs.csv:2: user \"ghost\""), "{}", stderr(&strict));
}

#[test]
fn an_output_file_is_whole_or_not_there() {
    let home = Home::new();
    let pairs = home.file("pairs.csv", "u15,i15\nu16,i16\n");
    let out = home.path("out.csv");
    let out = out.to_str().unwrap();
    let done = wgmf(&["predict", &home.dir, &pairs, "--output", out]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(done.stdout.is_empty());
    assert_eq!(home.check(&fs::read(out).unwrap()), 2);
    let again = wgmf(&["predict", &home.dir, &pairs, "--output", out]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    let wrong = home.file("wrong.csv", "u15,i15\nghost,i16\n");
    let failed = wgmf(&["predict", &home.dir, &wrong, "--output", out, "--force", "--strict"]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(home.check(&fs::read(out).unwrap()), 2);
    let over = wgmf(&["predict", &home.dir, &pairs, "--output", &pairs, "--force"]);
    assert!(
        over.status.code() == Some(1) && stderr(&over).contains("which is read"),
        "{}",
        stderr(&over)
    );
    let forced = wgmf(&["predict", &home.dir, &pairs, "--output", out, "--force"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert_eq!(home.names(), ["m", "out.csv", "pairs.csv", "wrong.csv"]);
    let nowhere = home.path("no/such/out.csv");
    let nowhere = wgmf(&["predict", &home.dir, &pairs, "--output", nowhere.to_str().unwrap()]);
    // Folders that are missing are made, as every command makes them.
    assert!(nowhere.status.success(), "{}", stderr(&nowhere));
    assert_eq!(home.check(&fs::read(home.path("no/such/out.csv")).unwrap()), 2);
    let within = home.path("out.csv/out.csv");
    let within = wgmf(&["predict", &home.dir, &pairs, "--output", within.to_str().unwrap()]);
    assert_eq!(within.status.code(), Some(1));
    assert_eq!(stderr(&within).lines().count(), 1);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let home = Home::new();
    let cases: [(&[u8], &str); 4] = [
        (b"u15,i15\nu16\nu17,i16\n", "pairs:2: 1 field where a user and an item are needed"),
        (b"user\t\xc3\xa9\nu15\ti15\nu1\xff6\ti15\n", "pairs:3: "),
        (b"", "is empty"),
        (b"lonely\n", "pairs:1: "),
    ];
    for (text, says) in cases {
        fs::write(home.path("pairs"), text).unwrap();
        let output = wgmf(&["predict", &home.dir, home.path("pairs").to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{text:?}");
        assert!(stderr(&output).contains(says), "{text:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1);
    }
    let none = wgmf(&["predict", &home.dir, "no-such-file"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("no-such-file"));
    let grouped = wgmf(&["predict", &home.dir, "x", "--format", "grouped"]);
    assert_eq!(grouped.status.code(), Some(2));
    assert_eq!(wgmf(&["predict", &home.dir]).status.code(), Some(2));
}

#[test]
fn quotes_over_lines_keep_the_count_of_lines() {
    let home = Home::new();
    let pairs = home.file("pairs.csv", "user,item\n\n\"two\nlines\",i15\nu15,i15\nghost,i15\n");
    let output = wgmf(&["predict", &home.dir, &pairs, "--strict"]);
    assert!(stderr(&output).contains("pairs.csv:6: user \"ghost\""), "{}", stderr(&output));
}

#[test]
fn a_dash_is_standard_output() {
    let home = Home::new();
    let pairs = home.file("pairs.csv", "u15,i15\n");
    let plain = stdout(&wgmf(&["predict", &home.dir, &pairs]));
    assert_eq!(stdout(&wgmf(&["predict", &home.dir, &pairs, "--output", "-"])), plain);
}

#[test]
fn standard_input_and_a_closed_pipe_are_normal() {
    let home = Home::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wgmf"))
        .args(["predict", &home.dir, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than every buffer on the way holds.
    let feed = std::thread::spawn(move || {
        for _ in 0..1_000_000 {
            if input.write_all(b"u15,i15\n").is_err() {
                break;
            }
        }
    });
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    assert_eq!(first, "user,item,prediction\n");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn probabilities_come_from_a_logistic_model() {
    let home = Home::new();
    let mut model = model(20, 17, 5);
    model.objective.solver = wgmf::core::Solver::Sgd;
    model.objective.loss = wgmf::core::Loss::Logistic;
    model.save(Path::new(&home.dir), &seen(&model), true).unwrap();
    let pairs = home.file("pairs.csv", "u15,i15\n");
    let text = stdout(&wgmf(&["predict", &home.dir, &pairs]));
    let got: f64 = text.trim().rsplit(',').next().unwrap().parse().unwrap();
    let want = 1.0 / (1.0 + (-home.expect("u15", "i15")).exp());
    assert_relative_eq!(got, want, max_relative = 1e-6);
}

#[test]
fn info_says_what_a_model_is() {
    let home = Home::new();
    let output = wgmf(&["info", &home.dir]);
    let text = stdout(&output);
    assert!(output.status.success());
    for part in ["users       20", "als, squared loss", "reg 0.05", "best", "0.500000"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let json = stdout(&wgmf(&["info", &home.dir, "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["users"], 20);
    assert_eq!(json["items"], 17);
    assert_eq!(json["factors"], 5);
    assert_eq!(json["ratings"], seen(&home.model).len());
    assert_eq!(json["train_rmse"], 0.5);
    assert!(json.get("test_rmse").is_none());
    assert_eq!(json["best_epoch"], 2);
    assert_eq!(json["history"].as_array().unwrap().len(), 2);
    let wrong = wgmf(&["info", home.home.path().to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("is not a wgmf model"), "{}", stderr(&wrong));
}
