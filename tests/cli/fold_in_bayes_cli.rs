//! `wgmf fold-in` and `wgmf recommend --new-users` with models of `--solver bayes`.

use crate::place;
use wgmf::core::Side;
use wgmf::model::{Model, Samples};

use place::{Place, stderr, stdout};
use serde_json::json;

const NEW: &str = "user,item,rating\n\
    gus,x,5\ngus,y,1\nhal,w,2\nhal,nowhere,3\nivy,nowhere,4\nann,w,1\n";

const STARS: &str = "user,item,rating\n\
    ann,x,4\nann,y,2\nann,z,5\nbob,x,3\nbob,v,1\ncid,y,4\ncid,z,2\ncid,w,5\ndan,x,1\ndan,w,3\n\
    eve,y,5\neve,v,2\nfay,z,3\nfay,w,4\nfay,v,1\n";

fn furnished(options: &str) -> Place {
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.write("new.csv", NEW);
    place.ok(&format!(
        "train stars.csv --model m --solver bayes --factors 3 --samples 20 --burn-in 5 --keep 10 \
         --progress none --backend cpu {options}"
    ));
    place
}

fn opened(place: &Place, name: &str) -> (Model, Samples) {
    let model = Model::open(place.path(name)).unwrap();
    let samples = model.open_samples(place.path(name)).unwrap();
    (model, samples)
}

#[test]
fn the_command_writes_a_whole_model() {
    for options in [
        "",
        "--no-bias --chains 2",
        "--transform zscore --sample-precision f32 --clip",
        "--likelihood ordinal",
        "--likelihood probit --transform binary --threshold 3",
    ] {
        let place = furnished(options);
        let output = place.run("fold-in m new.csv --output m2 --backend cpu");
        let talk = stderr(&output);
        assert!(output.status.success(), "{options}: {talk}");
        for part in [
            "1 of 4 items are not in the model: \"nowhere\"; their ratings are left out",
            "\"ivy\"; skipped",
            "1 of 4 users are in the model already: \"ann\"; kept as they are",
        ] {
            assert!(talk.contains(part), "{talk}");
        }
        assert!(stdout(&output).starts_with("2 users folded in from 3 ratings in "));
        let ((old, old_samples), (new, samples)) = (opened(&place, "m"), opened(&place, "m2"));
        assert_eq!(new.users.iter().skip(6).collect::<Vec<_>>(), ["gus", "hal"]);
        assert_eq!(new.factors[Side::User].factors[..18], old.factors[Side::User].factors[..]);
        assert_eq!(new.run.data["folded_in_users"], 2);
        for (new, old) in samples.samples.iter().zip(&old_samples.samples) {
            assert_eq!(new.factors[Side::User].factors[..18], old.factors[Side::User].factors[..]);
            assert_eq!(new.factors[Side::Item].factors, old.factors[Side::Item].factors);
            let drawn = new.factors[Side::User].bias[6..].iter().all(|&b| b != 0.0);
            assert_eq!(drawn, !options.contains("--no-bias"));
            assert_eq!((new.noise_weights.len(), new.noise_weights[8]), (9, old.noise_weights[6]));
            let known = new.noise_weights[6..8].iter().all(|&a| a == 1.0);
            assert_eq!(known, options.contains("--likelihood"));
        }
        // What opens a model opens this one.
        let predicted = place.ok("predict m2 new.csv --interval 0.9");
        assert_eq!(predicted.lines().count(), 7);
        place.ok("info m2");
        place.ok("evaluate m2 new.csv");
        place.ok("similar m2 --users gus --backend cpu");
        place.ok("export m2 --format csv --output exported");
        // It folds in as recommend does in passing.
        let lists = place.ok("recommend m2 --users gus -n 9 --backend cpu");
        let same = place.ok("recommend m --new-users new.csv -n 9 --backend cpu");
        let gus = |text: &str| {
            text.lines().filter(|l| l.starts_with("gus")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((gus(&lists).len(), gus(&lists)), (3, gus(&same)));
        assert!(same.contains("\nann,1,") && same.contains("\nhal,1,") && !same.contains("ivy"));
    }
}

#[test]
fn items_and_updates_and_one_after_another() {
    let place = furnished("");
    place.write("items.csv", "user,item,rating\nann,far,5\nbob,far,3\nbob,x,2\n");
    let facts = place.json("fold-in m items.csv --output m2 --items --backend cpu --json");
    assert_eq!((&facts["folded_in_items"], &facts["ratings"]), (&json!(1), &json!(2)));
    let ((old, _), (new, samples)) = (opened(&place, "m"), opened(&place, "m2"));
    assert_eq!(new.items.get("far"), Some(5));
    assert_eq!(new.factors[Side::User].factors, old.factors[Side::User].factors);
    assert_eq!(samples.samples[0].noise_weights.len(), 7);
    // Users of the grown model have the new item's draws to go by.
    place.write("zoe.csv", "user,item,rating\nzoe,far,5\nann,far,1\nann,w,2\n");
    let text = place.ok("fold-in m2 zoe.csv --output m3 --update --backend cpu");
    assert!(text.starts_with("1 user folded in, 1 user solved again from 6 ratings"), "{text}");
    let (grown, of_grown) = opened(&place, "m3");
    assert_ne!(grown.factors.user(0), new.factors.user(0));
    assert_eq!(grown.factors.user(1), new.factors.user(1));
    for (now, before) in of_grown.samples.iter().zip(&samples.samples) {
        assert_ne!(now.factors.user(0), before.factors.user(0));
        assert_ne!(now.noise_weights[0], before.noise_weights[0]);
        assert_eq!(now.noise_weights[1..6], before.noise_weights[1..6]);
    }
    let seen = grown.open_seen(place.path("m3")).unwrap();
    assert_eq!(seen.items_of(0), [1, 2, 3, 4, 5]);
    // In place.
    place.ok("fold-in m3 new.csv --output m3 --force --backend cpu");
    assert_eq!(opened(&place, "m3").0.users.len(), 9);
}

#[test]
fn the_same_bits_with_any_number_of_threads_and_on_a_gpu_the_same_figures() {
    let place = Place::with_sample();
    let train = "train plays.csv --solver bayes --factors 6 --samples 12 --burn-in 3 --keep 8 \
                 --transform log1p --progress none --backend cpu --model m";
    place.ok(train);
    let lines = String::from_utf8(place.read("plays.csv")).unwrap();
    let taken: String = lines.lines().take(400).map(|line| format!("n{line}\n")).collect();
    place.write("new.csv", taken.replacen("nlistener", "listener", 1));
    let bits = |name: &str| {
        ["model.safetensors", "samples.safetensors", "seen.safetensors", "users.csv", "run.json"]
            .map(|file| place.read(&format!("{name}/{file}")))
    };
    for threads in 1..=4 {
        let model = format!("m{threads}");
        place.ok(&format!("fold-in m new.csv --output {model} --backend cpu --threads {threads}"));
        assert!(bits(&model) == bits("m1"), "{threads} threads differ");
    }
    place.ok("fold-in m new.csv --output gpu --backend gpu --adapter llvmpipe");
    let error = |model: &str| {
        place.json(&format!("evaluate {model} new.csv --json"))["model_rmse"].as_f64()
    };
    let (cpu, gpu, unknown) = (error("m1").unwrap(), error("gpu").unwrap(), error("m").unwrap());
    assert!((gpu / cpu - 1.0).abs() < 1e-3 && cpu < 0.9 * unknown, "{cpu} {gpu} {unknown}");
}

#[test]
fn bad_input_gets_one_clear_error() {
    let place = furnished("--likelihood ordinal");
    place.write("half.csv", "user,item,rating\ngus,x,5\ngus,y,2.5\n");
    place.write("stars2.csv", format!("{STARS}zoe,x,4\nzoe,new,2\n"));
    for (line, says) in [
        ("fold-in m half.csv --output m2", "half.csv:3: rating 2.5 is none of the levels"),
        ("recommend m --new-users half.csv", "half.csv:3: rating 2.5 is none of the levels"),
        ("recommend m --users ann --explain", "--explain needs a model of --solver als"),
        (
            "train stars2.csv --from m --model n --solver als --factors 3",
            "that model has --likelihood ordinal, here it is gaussian",
        ),
    ] {
        let before = place.tree();
        let output = place.run(&format!("{line} --backend cpu"));
        let talk = stderr(&output);
        assert!(!output.status.success() && talk.contains(says), "{line}: {talk}");
        assert!(talk.matches("error:").count() == 1 && stdout(&output).is_empty(), "{talk}");
        assert!(place.tree() == before, "{line} leaves something");
    }
    // From a model of the same kind it goes on, new ids and all.
    let more = "--solver bayes --factors 3 --samples 6 --burn-in 2 --keep 3 --progress none";
    place.ok(&format!(
        "train stars2.csv --from m --model n --likelihood ordinal {more} --backend cpu"
    ));
    place.ok("fold-in m new.csv --output grown --backend cpu");
    place.ok(&format!(
        "train stars2.csv --from grown --model o --likelihood ordinal {more} --backend cpu"
    ));

    std::fs::remove_file(place.path("m/samples.safetensors")).unwrap();
    for line in ["fold-in m new.csv --output m2", "recommend m --new-users new.csv"] {
        let talk = stderr(&place.run(&format!("{line} --backend cpu")));
        assert!(talk.contains("samples.safetensors is missing"), "{talk}");
    }
}
