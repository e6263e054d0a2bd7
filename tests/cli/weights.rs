//! What ratings count: a column of weights, time decay.

use crate::place;

use place::{Place, stderr};

/// The sample, of whose training lines two in five say something else and weigh a hundredth; times of such
/// lines lie ten years back. The test part is as it is, and has no such columns.
fn spoilt(place: &Place) {
    let text = String::from_utf8(place.read("plays.csv")).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let (mut train, mut test) = (format!("trust,{header},timestamp\n"), format!("{header}\n"));
    let mut random = 1_u64;
    for line in lines {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let draw = (random >> 33) as usize;
        if draw.is_multiple_of(10) {
            test += &format!("{line}\n");
        } else if draw / 10 % 5 < 2 {
            let (pair, _) = line.rsplit_once(',').unwrap();
            let rating = 1 + draw / 50 % 5;
            train += &format!("0.01,{pair},{rating},1300000000\n");
        } else {
            train += &format!("1,{line},1615360000\n");
        }
    }
    place.write("train.csv", train);
    place.write("test.csv", test);
}

fn rmse(place: &Place, flags: &str) -> f64 {
    let line = format!(
        "train train.csv --test test.csv --backend cpu --factors 8 {flags} --model m --force"
    );
    let output = place.run(&line);
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    place.json("evaluate m test.csv --json")["rmse"].as_f64().unwrap()
}

/// The ratings that are watched during training have no weights beside those of the training part.
#[test]
fn a_part_is_held_out_of_weighted_ratings() {
    let place = Place::with_sample();
    spoilt(&place);
    for solver in ["sgd", "als --epochs 2", "ials --epochs 2", "bayes --samples 4 --burn-in 2"] {
        for flags in ["--weights trust", "--half-life 365 --patience 2"] {
            let line = format!(
                "train train.csv --solver {solver} {flags} --holdout 0.1 --factors 4 --backend cpu \
                 --model m --force"
            );
            let output = place.run(&line);
            assert!(output.status.success(), "{line}: {}", stderr(&output));
        }
    }
}

#[test]
fn ratings_that_count_little_spoil_little() {
    let place = Place::with_sample();
    spoilt(&place);
    for solver in [
        "--solver sgd",
        "--solver sgd --batch-size 256",
        "--solver adam --epochs 12",
        "--solver als --epochs 8",
        "--solver als --epochs 8 --block 3",
        "--solver bayes --samples 20 --burn-in 5",
    ] {
        let all = rmse(&place, solver);
        for weights in ["--weights trust", "--weights 1", "--half-life 365"] {
            let weighted = rmse(&place, &format!("{solver} {weights}"));
            assert!(weighted < all - 0.02, "{solver} {weights}: {weighted} where {all} is without");
        }
    }
    let talk = stderr(&place.run(
        "train train.csv --weights trust --solver als --epochs 1 --test test.csv --model m --force",
    ));
    assert!(
        talk.contains("weights from") && talk.contains("held-out figures count all alike"),
        "{talk}"
    );
    let weights = &place.record("m")["data"]["weights"];
    assert!(weights[0].as_f64().unwrap() < 0.1 && weights[1].as_f64().unwrap() > 1.0, "{weights}");
    assert_eq!(place.record("m")["data"]["weights_column"], "trust");
    let explained = "recommend m --all -n 1 --explain --output e.csv --force";
    place.ok(explained);
    place.ok("train train.csv --half-life 365 --solver als --epochs 1 --model m --force");
    assert_eq!(place.record("m")["data"]["half_life"], 365.0);
}

#[test]
fn equal_weights_are_none_and_those_of_0_are_left_out() {
    let place = Place::new();
    let (mut plain, mut twos, mut zeros) = (String::new(), String::new(), String::new());
    for at in 0..600 {
        let (user, item, rating) = (at * at % 40, at * 7 % 31, 1 + at * 13 % 5);
        plain += &format!("u{user},i{item},{rating}\n");
        twos += &format!("u{user},i{item},{rating},2\n");
        zeros += &format!("u{user},i{item},{rating},3\nx{at},y,1,0\n");
    }
    place.write("plain.csv", format!("user,item,rating\n{plain}"));
    place.write("twos.csv", format!("user,item,rating,trust\n{twos}"));
    place.write("zeros.csv", format!("user,item,rating,trust\n{zeros}"));
    let bayes = "bayes --samples 3 --burn-in 1";
    for solver in ["sgd", "adam", "als", "ials", bayes, "adam --loss softmax --epochs 2"] {
        let line =
            format!("--solver {solver} --factors 4 --backend cpu --seed 2 --duplicates mean");
        place.ok(&format!("train plain.csv {line} --model plain --force"));
        place.ok(&format!("train twos.csv --weights trust {line} --model twos --force"));
        place.ok(&format!("train zeros.csv --weights 4 {line} --model zeros --force"));
        assert!(place.tensors("plain") == place.tensors("twos"), "{solver}");
        assert!(place.tensors("plain") == place.tensors("zeros"), "{solver}");
    }
    assert_eq!(place.record("zeros")["data"]["dropped_by_weight"], 600);
    assert!(place.record("twos")["data"].get("weights").is_none());
}

#[test]
fn ratings_may_be_the_weights() {
    let place = Place::new();
    let mut lines = String::from("user,item,plays\n");
    for at in 0..400 {
        lines += &format!("u{},i{},{}\n", at * at % 30, at * 7 % 23, 1 + at % 6);
    }
    place.write("plays.csv", &lines);
    place.write("plays.jsonl", {
        let object = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            format!(
                "{{\"user\":\"{}\",\"item\":\"{}\",\"plays\":{}}}\n",
                fields[0], fields[1], fields[2]
            )
        };
        lines.lines().skip(1).map(object).collect::<String>()
    });
    let softmax = "--loss softmax --factors 4 --epochs 2 --backend cpu --columns user,item,plays";
    place.ok(&format!("train plays.csv {softmax} --model alike"));
    place.ok(&format!("train plays.csv {softmax} --weights plays --model weighted"));
    assert!(place.tensors("alike") != place.tensors("weighted"));
    let line = "--solver ials --factors 4 --backend cpu --seed 2 --columns user,item,plays";
    place.ok(&format!("train plays.csv {line} --model ones"));
    place.ok(&format!("train plays.csv {line} --weights plays --model named"));
    place.ok(&format!("train plays.csv {line} --weights 3 --model numbered"));
    place.ok(&format!("train plays.jsonl {line} --weights plays --model json"));
    assert!(place.tensors("named") == place.tensors("numbered"));
    assert!(place.tensors("named") == place.tensors("json"));
    assert!(place.tensors("named") != place.tensors("ones"));
}

#[test]
fn what_is_no_weight_is_refused() {
    let place = Place::new();
    place.write("ok.csv", "user,item,rating,w\na,x,1,1\na,y,2,2\nb,x,3,1\n");
    place.write("bad.csv", "user,item,rating,w\na,x,1,1\na,y,2,-2\nb,x,3,1\n");
    place.write("none.csv", "user,item,rating,w\na,x,1,0\na,y,2,0\n");
    place.write("times.csv", "user,item,rating,timestamp\na,x,1,5\na,y,2,7\nb,x,3,9\n");
    for (flags, code, expected) in [
        (
            "ok.csv --weights w --solver bayes --likelihood ordinal",
            2,
            "levels take no weights (--weights",
        ),
        ("ok.csv --weights trust", 1, "no column is called \"trust\", as --weights says"),
        ("ok.csv --weights 9", 1, "4 fields; --weights asks for column 9"),
        ("ok.csv --weights item", 1, "is the column of the user, item or timestamp"),
        ("bad.csv --weights w", 1, "bad.csv:3: \"-2\" is no weight"),
        ("none.csv --weights w", 1, "every rating weighs 0"),
        ("ok.csv --half-life 30", 1, "--half-life needs timestamps"),
        ("times.csv --half-life 30", 1, "--half-life needs to know what a day is"),
        ("times.csv --half-life 0", 2, "--half-life 0: must be a finite number of days above 0"),
    ] {
        let solver = if flags.contains("--solver") { "" } else { "--solver als" };
        let output = place.run(&format!("train {flags} {solver} --backend cpu --model m"));
        let talk = stderr(&output);
        assert!(output.status.code() == Some(code) && talk.contains(expected), "{flags}: {talk}");
        assert!(!place.path("m").exists());
    }
}
