//! Files whose lines are shuffled: the same model, parts and figures, byte for byte.

use crate::place;
use place::{Place, stderr};
use std::fmt::Write;

/// A sequence of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn shuffled(&mut self, lines: &[String]) -> String {
        let mut lines = lines.to_vec();
        for last in (1..lines.len()).rev() {
            lines.swap(last, self.below(last as u64 + 1) as usize);
        }
        format!("user,item,rating,timestamp\n{}", lines.concat())
    }
}

/// Lines of 60 users and 40 items; with `repeats` some pairs come again, later and rated otherwise.
fn lines(random: &mut Random, repeats: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for user in 0..60 {
        for item in 0..40 {
            if random.below(3) > 0 {
                continue;
            }
            let again = if repeats { random.below(3) } else { 0 };
            for time in 0..=again {
                let (stars, time) = (1 + random.below(5), 1000 * time + random.below(900));
                lines.push(format!("u{user},\"item, {item}\",{stars}.5,{time}\n"));
            }
        }
    }
    lines
}

/// What a model directory says of what was learned, without its record of times and files.
fn model(place: &Place, name: &str) -> Vec<(String, Vec<u8>)> {
    let files = place.names(name).into_iter().filter(|file| file != "run.json");
    files.map(|file| (file.clone(), place.read(&format!("{name}/{file}")))).collect()
}

#[test]
fn a_shuffled_file_gives_the_same_model() {
    let mut random = Random(11);
    let place = Place::new();
    let all = lines(&mut random, true);
    place.write("a.csv", random.shuffled(&all));
    // In two files, and those the other way round.
    let half = all.len() / 2;
    place.write("b.csv", random.shuffled(&all[half..]));
    place.write("c.csv", random.shuffled(&all[..half]));
    let test: Vec<String> = all.iter().step_by(9).cloned().collect();
    place.write("test-a.csv", random.shuffled(&test));
    place.write("test-b.csv", random.shuffled(&test));
    let small = "--factors 4 --backend cpu";
    let runs = [
        format!("--solver sgd --epochs 3 --holdout 0.1 {small}"),
        format!("--solver adam --epochs 2 --holdout 0.2 --duplicates mean {small}"),
        format!(
            "--solver als --epochs 2 --min-item-ratings 18 --duplicates sum --holdout 0.1 {small}"
        ),
        format!("--solver ials --epochs 2 --holdout 0.1 {small}"),
        format!("--solver bayes --samples 4 --burn-in 2 --test TEST {small}"),
    ];
    for (at, run) in runs.iter().enumerate() {
        let train = |files: &str, name: &str, test: &str| {
            let run = run.replace("TEST", test);
            let output = place.run(&format!("train {files} {run} --model {name}"));
            assert!(output.status.success(), "{run}: {}", stderr(&output));
            let record = place.record(name);
            let figures = record["history"].as_array().unwrap().iter().map(|epoch| {
                let mut epoch = epoch.clone();
                epoch.as_object_mut().unwrap().retain(|key, _| !key.contains("seconds"));
                epoch
            });
            figures.collect::<Vec<_>>()
        };
        let (first, again) = (format!("m{at}"), format!("n{at}"));
        assert_eq!(
            train("a.csv", &first, "test-a.csv"),
            train("b.csv c.csv", &again, "test-b.csv"),
            "{run}"
        );
        assert!(model(&place, &first) == model(&place, &again), "{run}: other models");
        let [one, two] = [(&first, "test-a.csv"), (&again, "test-b.csv")]
            .map(|(model, test)| place.ok(&format!("evaluate {model} {test} --json")));
        assert_eq!(one, two, "{run}");
    }
    let users = String::from_utf8(place.read("m0/users.csv")).unwrap();
    assert!(users.starts_with("index,id,ratings\n0,u0,"), "{users}");
    assert!(users.contains("\n2,u10,") && users.contains("\n59,u9,"), "{users}");
    let lists =
        |test: &str| place.ok(&format!("evaluate m3 {test} --ranking --at 5 --json --backend cpu"));
    assert_eq!(lists("test-a.csv"), lists("test-b.csv"));
    // Rows in order of the file, as --init takes them, only where that is asked for.
    place.ok(&format!("train a.csv {small} --epochs 1 --order appearance --model kept"));
    let first = String::from_utf8(place.read("a.csv")).unwrap();
    let first = first.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    let users = String::from_utf8(place.read("kept/users.csv")).unwrap();
    assert!(users.starts_with(&format!("index,id,ratings\n0,{first},")), "{users}");
    assert_eq!(place.record("kept")["data"]["order"], "appearance");
    assert_eq!(place.record("m0")["data"]["order"], "canonical");
    for (run, order) in
        [("--no-shuffle", "appearance"), ("--no-shuffle --order canonical", "canonical")]
    {
        place.ok(&format!("train a.csv {small} --solver sgd --epochs 1 {run} --model o --force"));
        assert_eq!(place.record("o")["data"]["order"], order, "{run}");
    }
}

#[test]
fn what_is_folded_in_or_gone_on_with_does_not_depend_on_the_order_either() {
    let mut random = Random(12);
    let place = Place::new();
    let all = lines(&mut random, false);
    place.write("a.csv", random.shuffled(&all));
    place.write("b.csv", random.shuffled(&all));
    let new: Vec<String> =
        all.iter().step_by(7).map(|line| format!("n{}", line.replace("u1", "x1"))).collect();
    place.write("new-a.csv", random.shuffled(&new));
    place.write("new-b.csv", random.shuffled(&new));
    let joined = [&all[..], &new].concat();
    place.write("all-a.csv", random.shuffled(&joined));
    place.write("all-b.csv", random.shuffled(&joined));
    for (solver, more) in [("als", "--epochs 2"), ("bayes", "--samples 3 --burn-in 1")] {
        for name in ["a", "b"] {
            let run = format!("--solver {solver} {more} --factors 4 --backend cpu");
            place.ok(&format!("train {name}.csv {run} --model {solver}-{name}"));
            place.ok(&format!(
                "fold-in {solver}-{name} new-{name}.csv --output {solver}-{name}-grown --backend cpu"
            ));
            place.ok(&format!(
                "train all-{name}.csv --from {solver}-{name} {run} --model {solver}-{name}-next"
            ));
        }
        for kind in ["", "-grown", "-next"] {
            let [a, b] = ["a", "b"].map(|name| model(&place, &format!("{solver}-{name}{kind}")));
            assert!(a == b, "{solver}{kind}: other models");
        }
    }
    // Lists come as the file of new users has them.
    let lists = |name: &str| {
        let line = format!(
            "recommend als-{name} --new-users new-{name}.csv -n 2 --format jsonl --backend cpu"
        );
        let mut lists: Vec<String> = place.ok(&line).lines().map(str::to_owned).collect();
        lists.sort();
        lists
    };
    assert_eq!(lists("a"), lists("b"));
}

#[test]
fn a_shuffled_file_is_split_into_the_same_parts() {
    let mut random = Random(13);
    let place = Place::new();
    let all = lines(&mut random, true);
    place.write("a.csv", random.shuffled(&all));
    place.write("b.csv", random.shuffled(&all));
    let pair = |line: &str| line.rsplitn(3, ',').nth(2).unwrap().to_owned();
    let ways = ["--holdout 0.2", "--folds 4 --seed 3", "--leave-last 2", "--by-time 0.3"];
    for (at, way) in ways.into_iter().enumerate() {
        let parts = |name: &str| {
            let facts = place.json(&format!("split {name}.csv {way} --output {name}{at} --json"));
            let parts = facts["parts"].as_array().unwrap().clone();
            let read = |part: &serde_json::Value, kind: &str| {
                let text = String::from_utf8(place.read(part[kind].as_str().unwrap())).unwrap();
                let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
                lines.sort();
                lines
            };
            let parts: Vec<[Vec<String>; 2]> =
                parts.iter().map(|part| [read(part, "train"), read(part, "test")]).collect();
            (parts, facts["repeats"].as_u64())
        };
        let (first, again) = (parts("a"), parts("b"));
        assert_eq!(first, again, "{way}");
        for [train, test] in &first.0 {
            assert_eq!(train.len() + test.len(), all.len(), "{way}");
            let known: std::collections::BTreeSet<String> =
                train.iter().map(|line| pair(line)).collect();
            let repeats = test.iter().filter(|line| known.contains(&pair(line))).count();
            match first.1 {
                None => assert_eq!(repeats, 0, "{way}: a pair is in both parts"),
                Some(said) => assert!(said > 0 && said == repeats as u64, "{way}"),
            }
        }
    }
    let said = stderr(&place.run("split a.csv --leave-last 1 --output c"));
    assert!(
        said.contains("of the test part rate a pair that is in the training part too"),
        "{said}"
    );
}

#[test]
fn of_several_ratings_the_latest_counts_wherever_it_stands() {
    let place = Place::new();
    let mut text = String::from("user,item,rating,timestamp\n");
    for user in 0..8 {
        for item in 0..6 {
            writeln!(text, "u{user},i{item},5,{}", 200 + user).unwrap();
            writeln!(text, "u{user},i{item},1,{}", 100 + item).unwrap();
        }
    }
    place.write("times.csv", text);
    place.ok("train times.csv --factors 2 --epochs 1 --model m");
    assert_eq!(place.record("m")["data"]["mean"], 5.0);
    assert_eq!(place.record("m")["data"]["duplicates_merged"], 48);
    // Without times the last line is the last.
    place.ok("train times.csv --columns user,item,rating --factors 2 --epochs 1 --model n");
    assert_eq!(place.record("n")["data"]["mean"], 1.0);
}

#[test]
fn a_checkpoint_goes_on_in_its_own_order_alone() {
    let place = Place::with_sample();
    let run = "plays.csv --solver als --factors 4 --epochs 200 --backend cpu --model m --checkpoint-every 1";
    let mut running = place
        .command(&format!("train {run} --order appearance"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let record = place.path("m.checkpoint/checkpoint.json");
    let clock = std::time::Instant::now();
    while !record.exists() && clock.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let done: serde_json::Value =
        serde_json::from_slice(&place.read("m.checkpoint/checkpoint.json")).unwrap();
    let epochs = done["history"].as_array().unwrap().len() + 1;
    let run = run.replace("--epochs 200", &format!("--epochs {epochs}"));
    // Settings that are chosen from the data may be the first to differ.
    let output = place.run(&format!("train {run} --resume"));
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    let says = ["for these in another order", "with other settings"];
    assert!(says.iter().any(|what| message.contains(what)), "{message}");
    place.ok(&format!("train {run} --order appearance --resume"));
    place.ok(&format!("train {} --order appearance", run.replace("--model m", "--model whole")));
    assert!(place.tensors("m") == place.tensors("whole"));
}
