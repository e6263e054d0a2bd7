//! The row solvers (als, ials) through the binary: what they print, write and promise.

use crate::place;
use wgmf::core::Side;

use place::{Place, stderr};
use serde_json::Value;

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn epochs(events: &[Value]) -> Vec<&Value> {
    events.iter().filter(|event| event["event"] == "epoch").collect()
}

/// Plays: users like what they play, so pairs alone tell taste.
fn plays(place: &Place) {
    place.ok("synth --users 300 --items 200 --ratings 9000 --scale plays --output counts.csv");
}

#[test]
fn als_learns_and_its_objective_falls_in_every_sweep() {
    let place = Place::with_sample();
    for (model, extra) in [("exact", ""), ("blocks", "--block 8"), ("flat", "--reg-exponent 0.5")] {
        let line = format!(
            "train plays.csv --solver als --holdout 0.1 --epochs 12 --backend cpu --model {model} \
             --progress json {extra}"
        );
        let events = events(&place.ok(&line));
        let epochs = epochs(&events);
        let mut last = f64::INFINITY;
        for epoch in &epochs {
            let objective = number(epoch, "objective");
            let parts = number(epoch, "squared_error") + number(epoch, "regularization");
            assert!((objective - parts).abs() < 1e-9 * objective, "{epoch}");
            assert!(objective < last * (1.0 + 1e-7), "{model}: {objective} after {last}");
            last = objective;
        }
        let done = &events[events.len() - 1];
        assert_eq!(number(done, "objective"), last);
        if model != "flat" {
            // Biases alone reach 0.95; below 0.9 the factors have learned.
            let error = number(done, "test_rmse");
            assert!(error < 0.9, "{model}: {done}");
        }
        let rmse = number(&place.json(&format!("evaluate {model} plays.csv --json")), "rmse");
        assert!(rmse < 0.9, "{model}: {rmse}");
    }
    let record = place.record("exact");
    assert_eq!((&record["solver"], &record["settings"]["block"]), (&"als".into(), &32.into()));
    // What a row solver does not have is not said.
    for key in ["batch_size", "learning_rate", "momentum", "unobserved_weight", "alpha"] {
        assert!(record["settings"].get(key).is_none(), "{key} in {record}");
    }
}

#[test]
fn the_record_repeats_the_run() {
    let place = Place::with_sample();
    place.ok("train plays.csv --solver als --epochs 3 --factors 9 --seed 5 --model m");
    let settings = &place.record("m")["settings"];
    let keys = ["factors", "epochs", "reg", "reg_bias", "reg_exponent", "block", "init_scale"];
    let flags = keys
        .into_iter()
        .chain(["damping", "damping_bias"])
        .map(|key| format!("--{} {}", key.replace('_', "-"), settings[key]));
    let flags = flags.collect::<Vec<_>>().join(" ");
    place.ok(&format!("train plays.csv --solver als --seed 5 --model again {flags}"));
    assert!(place.tensors("m") == place.tensors("again"));
}

#[test]
fn ials_ranks_what_was_held_out_of_each_user() {
    let place = Place::new();
    plays(&place);
    let line = "train counts.csv --solver ials --factors 16 --holdout 0.2 --epochs 8 --seed 3";
    let output = place.run(&format!("{line} --model m"));
    assert!(output.status.success(), "{}", stderr(&output));
    let talk = stderr(&output);
    assert!(talk.contains("recall@20") && talk.contains("unobserved"), "{talk}");
    let record = place.record("m");
    let history = record["history"].as_array().unwrap();
    assert_eq!(history.len(), 8);
    let mut last = f64::INFINITY;
    for epoch in history {
        let objective = number(epoch, "objective");
        let parts = ["squared_error", "unobserved", "regularization"].map(|key| number(epoch, key));
        assert!((objective - parts.iter().sum::<f64>()).abs() < 1e-9 * objective);
        assert!(objective < last * (1.0 + 1e-7));
        last = objective;
        assert!((0.0..=1.0).contains(&number(epoch, "ndcg@20")));
    }
    // By chance, 20 of 200 items hold a tenth of anyone's.
    let recall = number(&history[7], "recall@20");
    assert!(recall > 0.15, "{recall}");
    // Held out of each user, who keeps one at least.
    let (ratings, test) =
        (number(&record["data"], "ratings"), number(&record["data"], "test_ratings"));
    let share = test / (ratings + test);
    assert!((share - 0.2).abs() < 0.02, "{share}");
    assert_eq!(record["data"]["users"], 300);

    let json = events(&place.ok(&format!("{line} --model n --progress json")));
    assert!(place.tensors("m") == place.tensors("n"));
    let done = &json[json.len() - 1];
    assert_eq!(number(done, "test_recall@20"), recall);
    assert!(done.get("test_rmse").is_none(), "{done}");
}

#[test]
fn alpha_weighs_by_the_rating() {
    let place = Place::new();
    plays(&place);
    let line = "train counts.csv --solver ials --factors 8 --epochs 3 --backend cpu";
    place.ok(&format!("{line} --model ones"));
    place.ok(&format!("{line} --alpha 1 --model plays"));
    place.ok(&format!("{line} --alpha 0.5 --transform log1p --model log"));
    assert!(place.tensors("ones") != place.tensors("plays"));
    assert!(place.tensors("plays") != place.tensors("log"));
    // Pairs that all weigh 1 by way of alpha are those that weigh 1 by themselves.
    place.write("ones.csv", "user,item\na,x\na,y\nb,y\nb,z\nc,x\nc,z\n");
    let line = "train ones.csv --solver ials --factors 2 --epochs 3 --backend cpu";
    place.ok(&format!("{line} --model a"));
    place.ok(&format!("{line} --alpha 1 --model b"));
    assert!(place.tensors("a") == place.tensors("b"));
}

#[test]
fn hu_takes_values_below_0_for_dislikes() {
    let place = Place::new();
    // Two tastes; everybody is said to dislike one item of his own.
    let mut lines = String::from("user,item,value\n");
    for user in 0..40 {
        for item in (0..20).filter(|item| item % 2 == user % 2 && (user + 3 * item) % 5 > 0) {
            let disliked = item / 2 == user / 2 % 10;
            lines += &format!("u{user},i{item},{}\n", if disliked { -3.0 } else { 1.5 });
        }
    }
    place.write("tastes.csv", &lines);
    let line = "train tastes.csv --factors 4 --epochs 8 --backend cpu --seed 1";
    let fails = |line: &str, code: i32, expected: &str| {
        let output = place.run(line);
        let talk = stderr(&output);
        assert!(output.status.code() == Some(code) && talk.contains(expected), "{line}: {talk}");
    };
    fails(&format!("{line} --solver ials --alpha 1 --model m"), 1, "--confidence hu");
    let hu = format!("{line} --solver ials --confidence hu");
    let talk = stderr(&place.run(&format!("{hu} --alpha 10 --model m")));
    assert!(talk.contains("alpha 10") && talk.contains("confidence hu"), "{talk}");
    assert!(talk.contains("= listed pairs ") && talk.contains(" + all as unlisted "), "{talk}");
    for (text, said) in [
        ("a,x,-1\na,y,-2\nb,x,-1\n", "dislikes alone"),
        ("a,x,0\na,y,0\nb,x,0\n", "all ratings are 0"),
    ] {
        place.write("none.csv", format!("user,item,rating\n{text}"));
        let output = place.run(
            "train none.csv --solver ials --confidence hu --factors 2 --epochs 1 --backend cpu --model none --force",
        );
        assert!(stderr(&output).contains(said), "{said}: {}", stderr(&output));
    }
    let record = place.record("m");
    let settings = &record["settings"];
    assert_eq!(settings["confidence"], "hu");
    assert_eq!(
        (&settings["unobserved_weight"], &settings["reg_exponent"]),
        (&1.0.into(), &0.0.into())
    );
    let mut last = f64::INFINITY;
    for epoch in record["history"].as_array().unwrap() {
        let objective = number(epoch, "objective");
        assert!(0.0 < objective && objective < last * (1.0 + 1e-7), "{epoch}");
        last = objective;
    }
    // What is disliked scores below what is liked, and an unlisted item of the own taste above it too.
    let model = wgmf::model::Model::open(place.path("m")).unwrap();
    let score = |user: &str, item: &str| {
        let (user, item) = (model.users.get(user).unwrap(), model.items.get(item).unwrap());
        let pairs = model.factors.user(user).iter().zip(model.factors.item(item));
        pairs.map(|(p, q)| p * q).sum::<f32>()
    };
    let (mut right, mut all) = (0, 0);
    for line in lines.lines().skip(1).filter(|line| line.ends_with("-3")) {
        let (user, rest) = line.split_once(',').unwrap();
        let (disliked, _) = rest.split_once(',').unwrap();
        let own = lines.lines().filter(|line| line.starts_with(&format!("{user},")));
        for liked in own.filter(|line| !line.ends_with("-3")) {
            let liked = liked.split(',').nth(1).unwrap();
            right += usize::from(score(user, liked) > score(user, disliked));
            all += 1;
        }
    }
    assert!(all > 100 && right * 100 >= all * 97, "{right} of {all}");
    // The same from a checkpoint, from the model, and for somebody new.
    place.ok(&format!("{hu} --alpha 10 --checkpoint-every 3 --model stopped"));
    assert!(place.tensors("m") == place.tensors("stopped"));
    place
        .ok(&format!("{hu} --alpha 10 --epochs 2 --from m --model today")
            .replace(" --epochs 8", ""));
    place.write("zoe.csv", "user,item,value\nzoe,i0,1.5\nzoe,i2,1.5\nzoe,i4,-3\n");
    let lists = place.ok("recommend m --new-users zoe.csv -n 3");
    let first = lists.lines().nth(1).unwrap().split(',').nth(2).unwrap();
    let taste = first[1..].parse::<usize>().unwrap() % 2;
    assert!(taste == 0 && !lists.contains("i4,"), "{lists}");
    let explained = place.ok("recommend m --users u0 -n 2 --explain");
    assert!(explained.contains("u0"), "{explained}");
    for (flags, expected) in [
        ("--solver als --confidence hu", "belongs to --solver ials"),
        ("--solver ials --confidence hu --unobserved-weight 0.1", "--unobserved-weight is 1 with"),
        ("--confidence hu", "belongs to --solver ials"),
    ] {
        fails(&format!("{line} {flags} --model n"), 2, expected);
    }
}

#[test]
fn nonnegative_factors_are() {
    let place = Place::with_sample();
    for solver in ["als", "ials"] {
        place.ok(&format!(
            "train plays.csv --solver {solver} --nonnegative --factors 12 --epochs 6 --backend cpu \
             --model {solver}"
        ));
        let model = wgmf::model::Model::open(place.path(solver)).unwrap();
        let f = &model.factors;
        let factors = || f[Side::User].factors.iter().chain(&f[Side::Item].factors);
        assert!(factors().all(|&x| x >= 0.0), "{solver}");
        assert!(factors().any(|&x| x == 0.0) && factors().any(|&x| x > 0.1), "{solver}");
        assert!(f[Side::User].bias.iter().all(|&b| b == 0.0) && f.global_mean == 0.0, "{solver}");
    }
}

#[test]
fn threads_and_repeats_change_no_bit() {
    let place = Place::with_sample();
    for (name, flags) in [
        ("als", "--solver als"),
        ("blocks", "--solver als --block 8"),
        ("ials", "--solver ials --holdout 0.1"),
        ("nonnegative", "--solver als --nonnegative"),
    ] {
        let line = format!("train plays.csv {flags} --factors 24 --epochs 2 --backend cpu");
        place.ok(&format!("{line} --threads 1 --model {name}"));
        for threads in 2..=4 {
            place.ok(&format!("{line} --threads {threads} --model {name}-{threads}"));
            assert!(place.tensors(name) == place.tensors(&format!("{name}-{threads}")), "{name}");
        }
    }
}

#[test]
fn patience_keeps_the_best_sweep() {
    let place = Place::with_sample();
    // Hardly regularized, it overfits soon.
    let line = "train plays.csv --solver als --reg 0.005 --holdout 0.2 --backend cpu";
    place.ok(&format!("{line} --epochs 40 --patience 2 --model m"));
    let record = place.record("m");
    let best = record["best_epoch"].as_u64().unwrap();
    assert_eq!(number(&record, "epochs") as u64, best + 2);
    place.ok(&format!("{line} --epochs {best} --model n"));
    assert!(place.tensors("m") == place.tensors("n"));
}

#[test]
fn a_checkpoint_goes_on_to_the_same_bits() {
    let place = Place::with_sample();
    let line = "train plays.csv --solver ials --factors 8 --holdout 0.1 --backend cpu";
    // A finished run removes its checkpoint, so this one is killed.
    let mut child = place
        .command(&format!(
            "{line} --epochs 100000 --checkpoint-every 3 --model part --progress none"
        ))
        .spawn()
        .unwrap();
    while !place.path("part.checkpoint/checkpoint.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before its checkpoint");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = place.read("part.checkpoint/checkpoint.json");
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let done = checkpoint["history"].as_array().unwrap().len();
    let epochs = done + 2;
    place.ok(&format!("{line} --epochs {epochs} --resume --model part"));
    place.ok(&format!("{line} --epochs {epochs} --model straight"));
    assert!(place.tensors("part") == place.tensors("straight"));
}

#[test]
fn a_warm_start_keeps_what_is_known_and_folds_in_the_rest() {
    let place = Place::with_sample();
    // Yesterday's file lacks a tenth of the users and some items.
    let text = String::from_utf8(place.read("plays.csv")).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let yesterday: Vec<&str> = std::iter::once(header)
        .chain(lines.enumerate().filter(|(at, _)| at % 1000 < 700).map(|(_, line)| line))
        .collect();
    place.write("yesterday.csv", yesterday.join("\n"));
    let flags = "--solver als --factors 16 --backend cpu";
    place.ok(&format!("train yesterday.csv {flags} --epochs 15 --model yesterday"));
    let first = |flags: &str, model: &str| {
        let line = format!("train plays.csv --progress json --model {model} {flags}");
        let events = events(&place.ok(&line));
        number(epochs(&events)[0], "objective")
    };
    let cold = first(&format!("{flags} --epochs 1"), "cold");
    let warm = first("--solver als --backend cpu --epochs 1 --from yesterday", "warm");
    let converged = first(&format!("{flags} --epochs 1 --from yesterday"), "again");
    assert_eq!(warm, converged, "the number of factors is that of the other model");
    // One sweep from yesterday's model is further than one from nothing.
    assert!(warm < 0.9 * cold, "{warm} against {cold}");
    // From a model of the very same ratings nothing moves far.
    place.ok(&format!("train plays.csv {flags} --epochs 60 --model long"));
    let long =
        number(place.record("long")["history"].as_array().unwrap().last().unwrap(), "objective");
    let same = first("--solver als --backend cpu --epochs 1 --from long", "same");
    assert!((same - long).abs() < 1e-3 * long, "{same} against {long}");

    for (line, parts) in [
        ("train plays.csv --solver als --factors 8 --from yesterday", vec!["16", "--factors"]),
        ("train plays.csv --solver ials --from yesterday", vec!["als"]),
        ("train plays.csv --solver als --transform zscore --from yesterday", vec!["transform"]),
        ("train plays.csv --solver als --init x --from yesterday", vec!["--init"]),
        ("train plays.csv --solver als --from nowhere", vec!["nowhere"]),
    ] {
        let output = place.run(&format!("{line} --model none"));
        assert!(!output.status.success(), "{line}");
        let said = stderr(&output);
        assert!(parts.iter().all(|part| said.contains(part)), "{line}: {said}");
        assert!(!place.path("none").exists());
    }
}

#[test]
fn a_singular_row_is_named() {
    let place = Place::new();
    place.write("one.csv", "user,item,rating\nann,x,1\nann,y,2\nbob,x,3\n");
    let output =
        place.run("train one.csv --solver als --factors 8 --reg 0 --reg-bias 0 --backend cpu");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("\"ann\"") && said.contains("--reg"), "{said}");
    assert!(!place.path("wgmf-model").exists());
}
