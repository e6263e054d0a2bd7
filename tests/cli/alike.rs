//! What training was told of its file, later commands remember: files that belong to a model are read as its
//! training file was, where the command line says nothing else, and what differs is said.

use crate::place::{Place, stderr};
use serde_json::Value;
use std::collections::BTreeSet;

/// (user, item, rating) of an invented set: users u1 to u12, items 10 to 17, one to five stars.
fn ratings() -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    for user in 1..=12_u32 {
        for item in 0..8_u32 {
            if (user * 7 + item * 3) % 4 != 0 {
                let stars = 1 + (user * item + user + 2 * item) % 5;
                rows.push((format!("u{user}"), (10 + item).to_string(), stars.to_string()));
            }
        }
    }
    rows
}

/// A file of these rows: `header`, then `line` with U, I and R replaced in each.
fn file(header: &str, line: &str, rows: &[(String, String, String)]) -> String {
    let mut text = String::from(header);
    for (user, item, rating) in rows {
        text += &line.replace('U', user).replace('I', item).replace('R', rating);
        text.push('\n');
    }
    text
}

/// Where a command stands: what training was given, what the later command is, and what it says.
struct Case {
    name: &'static str,
    /// The header and a line of the training file, and the options of training.
    train: (&'static str, &'static str, &'static str),
    /// The header and a line of the other file, and the options of the later command.
    later: (&'static str, &'static str, &'static str),
    /// What standard error says, or with `Err` the error; an empty text is that nothing is said of reading.
    says: Says,
}

type Says = Result<&'static [&'static str], &'static [&'static str]>;

const FIVE: (&str, &str, &str) = ("", "U,I,9,x,R", "--columns 1,2,5");
const NAMED: (&str, &str, &str) = ("stars,who,what\n", "R,U,I", "--columns who,what,stars");

const CASES: [Case; 23] = [
    Case {
        name: "the sister file",
        train: FIVE,
        later: ("", "U,I,9,x,R", ""),
        says: Ok(&["later.txt: read as in training: columns 1,2,5; --columns says otherwise"]),
    },
    Case {
        name: "told again",
        train: FIVE,
        later: ("", "U,I,9,x,R", "--columns 1,2,5"),
        says: Ok(&[]),
    },
    Case {
        name: "told otherwise",
        train: FIVE,
        later: ("", "R,U,I", "--columns 2,3,1"),
        says: Ok(&[]),
    },
    Case {
        name: "a header that says it all",
        train: FIVE,
        later: ("user,item,rating\n", "U,I,R", ""),
        says: Ok(&["not read as in training", "columns 1,2,5", "user,item,rating"]),
    },
    Case {
        name: "too few columns",
        train: FIVE,
        later: ("", "U,I,R", ""),
        says: Err(&["later.txt:1: ", "3 fields", "columns 1,2,5 of 5", "--columns"]),
    },
    Case {
        name: "names in another order",
        train: NAMED,
        later: ("what,stars,who\n", "I,R,U", ""),
        says: Ok(&["read as in training: ", "columns who,what,stars"]),
    },
    Case {
        name: "names, and one more",
        train: NAMED,
        later: ("what,when,stars,who\n", "I,7,R,U", ""),
        says: Ok(&["read as in training: ", "columns who,what,stars"]),
    },
    Case {
        name: "no names, where there were some",
        train: NAMED,
        later: ("", "R,U,I", ""),
        says: Ok(&["read as in training: columns 2,3,1"]),
    },
    Case {
        name: "names of its own",
        train: NAMED,
        later: ("item,user,rating\n", "I,U,R", ""),
        says: Ok(&["not read as in training", "item"]),
    },
    Case {
        name: "the column of the ratings is called otherwise",
        train: ("who,what,stars,x\n", "U,I,R,5", "--columns who,what,stars"),
        later: ("who,what,y,x\n", "U,I,R,5", ""),
        says: Err(&["later.txt:1: ", "\"stars\"", "who, what, y, x", "--columns"]),
    },
    Case {
        name: "a delimiter that nobody guesses",
        train: ("", "U^I^R", "--delimiter ^"),
        later: ("", "U^I^R", ""),
        says: Ok(&["read as in training: ", "\"^\"-separated", "--delimiter says otherwise"]),
    },
    Case {
        name: "ids that hold another delimiter",
        train: ("", "U;a,b,c,I;R", "--delimiter ;"),
        later: ("", "U;a,b,c,I;R", ""),
        says: Ok(&["read as in training: ", "semicolon-separated"]),
    },
    Case {
        name: "another delimiter",
        train: ("", "U,I,R", ""),
        later: ("", "U\tI\tR", ""),
        says: Ok(&["not read as in training (comma-separated", "tab-separated"]),
    },
    Case {
        name: "a first row that looks like a header",
        train: ("user,item\n", "U,I", "--header no"),
        later: ("", "U,I", ""),
        says: Ok(&[]),
    },
    Case {
        name: "decimal commas",
        train: ("", "U;I;R,0", "--decimal ,"),
        later: ("", "U;I;R,0", ""),
        says: Ok(&["read as in training: --decimal ,"]),
    },
    Case {
        name: "a point again",
        train: ("", "U;I;R,0", "--decimal ,"),
        later: ("", "U;I;R.0", "--decimal ."),
        says: Ok(&[]),
    },
    Case {
        name: "a header again",
        train: ("user,item,rating\n", "U,I,R", "--header no --bad-rows skip"),
        later: ("user,item,rating\n", "U,I,R", "--header auto --bad-rows error"),
        says: Ok(&[]),
    },
    Case {
        name: "quotes again",
        train: ("", "U,\"I\",R", "--quotes yes --format triples"),
        later: ("", "U,\"I\",R", "--quotes auto --format auto"),
        says: Ok(&[]),
    },
    Case {
        name: "keys in another order",
        train: (
            "",
            "{\"who\":\"U\",\"what\":\"I\",\"stars\":R,\"x\":1}",
            "--columns who,what,stars",
        ),
        later: ("", "{\"stars\":R,\"x\":1,\"what\":\"I\",\"who\":\"U\"}", ""),
        says: Ok(&["read as in training: columns who,what,stars; --columns says otherwise"]),
    },
    Case {
        name: "names for keys",
        train: (
            "",
            "{\"who\":\"U\",\"what\":\"I\",\"stars\":R,\"x\":1}",
            "--columns who,what,stars",
        ),
        later: ("x,stars,what,who\n", "1,R,I,U", ""),
        says: Ok(&["read as in training: ", "columns who,what,stars"]),
    },
    Case {
        name: "JSON, of a model of a table",
        train: ("", "U,I,9,x,R", "--columns 1,2,5"),
        later: ("", "{\"user\":\"U\",\"item\":\"I\",\"rating\":R}", ""),
        says: Ok(&["not read as in training (comma-separated, columns 1,2,5)", "JSON lines"]),
    },
    Case {
        name: "nothing was told",
        train: ("", "U,I,R", ""),
        later: ("", "U,I,R", ""),
        says: Ok(&[]),
    },
    Case {
        name: "the same names",
        train: ("userId,movieId,rating,timestamp\n", "U,I,R,7", ""),
        later: ("userId,movieId,rating,timestamp\n", "U,I,R,8", ""),
        says: Ok(&[]),
    },
];

/// What is said of reading.
fn said(talk: &str) -> String {
    talk.lines().filter(|line| line.contains("as in training")).collect::<Vec<_>>().join("\n")
}

fn check(name: &str, says: &Result<&[&str], &[&str]>, output: &std::process::Output) -> bool {
    let talk = stderr(output);
    let (ok, parts) = match says {
        Ok(parts) => (true, parts),
        Err(parts) => (false, parts),
    };
    assert_eq!(output.status.success(), ok, "{name}: {talk}");
    for part in *parts {
        assert!(talk.contains(part), "{name}: no {part:?} in {talk}");
    }
    assert!(!(ok && parts.is_empty() && !said(&talk).is_empty()), "{name}: {talk}");
    ok
}

#[test]
fn evaluate_reads_as_training_did() {
    let rows = ratings();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (at, row) in rows.into_iter().enumerate() {
        if at % 3 == 0 { new.push(row) } else { old.push(row) }
    }
    let (old, new) = (&old, &new);
    for Case { name, train, later, says } in &CASES {
        let place = Place::new();
        place.write("train.txt", file(train.0, train.1, old));
        place.write("later.txt", file(later.0, later.1, new));
        place.ok(&format!(
            "train train.txt --solver als --factors 2 --epochs 2 --model m {}",
            train.2
        ));
        let output = place.run(&format!("evaluate m later.txt --json {}", later.2));
        if !check(name, says, &output) {
            continue;
        }
        // What comes out is what comes of a file that cannot be misread.
        let item = train.1.split(['I']).next().unwrap().rsplit([';']).next().unwrap();
        let item = if item.contains("a,b,c") { "\"a,b,c,I\"" } else { "I" };
        let has_ratings = train.1.contains('R');
        let line = format!("U,{item},{}", if has_ratings { "R" } else { "1" });
        place.write("plain.csv", file("user,item,rating\n", &line, new));
        let plain = place.ok("evaluate m plain.csv --json --columns user,item,rating");
        let got: Value = serde_json::from_slice(&output.stdout).unwrap();
        let want: Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(got, want, "{name}");
        assert_eq!(
            (&got["ratings"], &got["unknown_users"]),
            (&new.len().into(), &0.into()),
            "{name}"
        );
    }
}

#[test]
fn what_was_left_out_is_left_out_again() {
    let place = Place::new();
    let rows = ratings();
    place.write("train.txt", file("", "U,I,R", &rows));
    let told = "--drop-value 1 --drop-value 2 --max-rating 4";
    place.ok(&format!("train train.txt --solver als --factors 2 --epochs 2 --model m {told}"));
    let output = place.run("evaluate m train.txt --json");
    assert!(
        stderr(&output).contains(&format!("read as in training: {}", told.replace(" --", ", --")))
    );
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(got["ratings"], rows.iter().filter(|row| row.2 == "3" || row.2 == "4").count());
    // Pairs have no ratings to leave out.
    let output = place.run("predict m train.txt");
    assert_eq!(said(&stderr(&output)), "");
    assert_eq!(output.stdout.split(|&byte| byte == b'\n').count(), rows.len() + 2);
    // A user and his items, again.
    place.write("lists.txt", file("", "U 10 11 12 13 I 17", &rows[..3]));
    place.ok("train lists.txt --format grouped --solver ials --factors 2 --epochs 2 --model lists");
    let told =
        place.ok("evaluate lists lists.txt --ranking --include-seen --json --format grouped");
    let output = place.run("evaluate lists lists.txt --ranking --include-seen --json");
    assert!(stderr(&output).contains("as in training: grouped by user"), "{}", stderr(&output));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), told);
}

#[test]
fn an_encoding_is_not_remembered_for_text_that_is_utf8() {
    let place = Place::new();
    let rows = "ann,Caf\u{e9},3\nbob,Caf\u{e9},4\nann,x,1\nbob,y,2\n";
    let latin: Vec<u8> = rows.chars().map(|c| c as u8).collect();
    place.write("latin.csv", &latin);
    place.write("utf8.csv", rows);
    place.ok("train latin.csv --encoding latin1 --solver als --factors 2 --epochs 2 --model m");
    let known =
        |flags: &str| place.json(&format!("evaluate m {flags} --json"))["unknown_items"].clone();
    assert_eq!(known("latin.csv"), 0);
    for command in ["evaluate m utf8.csv", "predict m utf8.csv", "fold-in m utf8.csv --update -o n"]
    {
        let said = stderr(&place.run(command));
        assert!(said.contains("utf8.csv: is UTF-8") && said.contains("--encoding utf-8"), "{said}");
        assert!(!place.path("n").exists());
    }
    assert_eq!(known("utf8.csv --encoding utf-8"), 0);
    assert_eq!(known("utf8.csv --encoding latin1"), 1);
}

#[test]
fn what_is_remembered_can_be_overruled_and_that_is_said_where_values_are_left_out() {
    let (place, rows) = (Place::new(), ratings());
    place.write("train.txt", file("", "U;I;R,0", &rows));
    let told = "--decimal , --drop-value 1 --max-rating 4 --bad-rows skip";
    place.ok(&format!("train train.txt --solver als --factors 2 --epochs 2 --model m {told}"));
    let output = place.run("evaluate m train.txt --drop-value 2 --max-rating 3 --json");
    let said = stderr(&output);
    assert!(said.contains("without --drop-value 1, --max-rating 4 of training"), "{said}");
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(got["ratings"], rows.iter().filter(|row| row.2 == "1" || row.2 == "3").count());
    // A model that comes of another passes on what it was told.
    place.ok("train train.txt --from m --epochs 1 --model n");
    let output = place.run("evaluate n train.txt");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("--decimal ,, --drop-value 1"), "{}", stderr(&output));
    place.write("bad.txt", file("", "U;I;R,0", &rows[..3]) + "u1;10\n");
    assert!(place.run("evaluate m bad.txt").status.success());
    let said = stderr(&place.run("evaluate m bad.txt --bad-rows error"));
    assert!(said.contains("bad.txt:4: 2 fields"), "{said}");
}

#[test]
fn predict_needs_no_ratings() {
    let rows = ratings();
    type File = (&'static str, &'static str, &'static str);
    let cases: [(&str, File, File, Says); 9] = [
        ("pairs alone", FIVE, ("", "U,I", ""), Ok(&[])),
        ("the sister file", FIVE, ("", "U,I,9,x,R", ""), Ok(&["training: columns 1,2; --columns"])),
        ("no names", NAMED, ("", "R,U,I", ""), Ok(&["columns 2,3; --columns"])),
        ("pairs alone, in the order of before", NAMED, ("", "U,I", ""), Ok(&[])),
        (
            "the item first",
            ("", "I,U,R", "--columns 2,1,3"),
            ("", "I,U", ""),
            Ok(&["columns 2,1; --columns says otherwise"]),
        ),
        ("names", NAMED, ("what,who\n", "I,U", ""), Ok(&["columns who,what"])),
        ("told", NAMED, ("", "I,U", "--columns 2,1"), Ok(&[])),
        (
            "too few",
            ("", "R,9,U,x,I", "--columns 3,5,1"),
            ("", "R,9,U", ""),
            Err(&["later.txt:1", "columns 3,5 of 5", "--columns"]),
        ),
        ("a grouped file's", ("", "U I", "--format grouped"), ("", "U,I", ""), Ok(&[])),
    ];
    for (name, train, later, says) in cases {
        let place = Place::new();
        place.write("train.txt", file(train.0, train.1, &rows));
        place.write("later.txt", file(later.0, later.1, &rows));
        place.write("plain.csv", file("user,item\n", "U,I", &rows));
        let solver = if train.1.contains('R') { "als" } else { "ials" };
        place.ok(&format!(
            "train train.txt --solver {solver} --factors 2 --epochs 2 --model m {}",
            train.2
        ));
        let output = place.run(&format!("predict m later.txt {}", later.2));
        if check(name, &says, &output) {
            let plain = place.ok("predict m plain.csv --columns user,item");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), plain, "{name}");
        }
    }
}

#[test]
fn lines_without_ratings_are_no_ratings_of_1() {
    let (place, rows) = (Place::new(), ratings());
    place.write("train.txt", file("", "U,I,R", &rows));
    place.write("pairs.txt", file("", "U,I", &rows[..6]));
    place.ok("train train.txt --solver als --factors 2 --epochs 2 --model m");
    for line in [
        "evaluate m pairs.txt",
        "fold-in m pairs.txt --output grown",
        "recommend m --new-users pairs.txt",
        "train pairs.txt --from m --model more",
    ] {
        let output = place.run(line);
        let said = stderr(&output);
        let refused = output.status.code() == Some(1) && said.contains("no column of ratings");
        assert!(refused, "{line}: {said}");
    }
    // Who says so means it.
    place.ok("evaluate m pairs.txt --columns 1,2");
    // Pairs need none, and stand where they stood.
    place.write("swapped.txt", file("", "I,U,R", &rows));
    place.write("allowed.txt", file("", "I,U", &rows[..6]));
    place.ok("train swapped.txt --columns 2,1,3 --solver als --factors 2 --epochs 2 --model n");
    let lists = place.ok("recommend n --allow allowed.txt -n 9 --include-seen");
    let allowed: BTreeSet<_> = rows[..6].iter().map(|row| (&row.0, &row.1)).collect();
    assert_eq!(lists.lines().count(), 1 + allowed.len(), "{lists}");
}

/// A place with a model `m` that was trained on five columns, of which three were named, and twice over with
/// `--duplicates sum`.
fn five() -> Place {
    let place = Place::new();
    let rows = ratings();
    place.write("train.txt", file("", FIVE.1, &[&rows[..], &rows[..]].concat()));
    let told = "--columns 1,2,5 --duplicates sum";
    place.ok(&format!("train train.txt --solver als --factors 2 --epochs 2 --model m {told}"));
    let new: Vec<_> =
        rows[..6].iter().map(|(_, i, r)| ("zoe".to_owned(), i.clone(), r.clone())).collect();
    place.write("new.txt", file("", FIVE.1, &[&new[..], &new[..]].concat()));
    place
}

const SAID: [&str; 2] = [
    "read as in training: columns 1,2,5; --columns says otherwise",
    "as in training: --duplicates sum",
];

#[test]
fn new_ratings_are_read_alike() {
    let place = five();
    let told = "--columns 1,2,5 --duplicates sum";
    for (command, loud) in [
        ("fold-in m new.txt --output OUT", "fold-in m new.txt --output OUT"),
        (
            "recommend m --new-users new.txt --output OUT",
            "recommend m --new-users new.txt --output OUT",
        ),
    ] {
        let quiet = place.run(&command.replace("OUT", "quiet"));
        let talk = stderr(&quiet);
        assert!(quiet.status.success(), "{command}: {talk}");
        assert!(SAID.iter().all(|said| talk.contains(said)), "{command}: {talk}");
        let loud = place.run(&format!("{} {told}", loud.replace("OUT", "loud")));
        assert_eq!(said(&stderr(&loud)), "", "{command}");
        let bytes = |name: &str| match place.path(name).is_dir() {
            true => place.tensors(name),
            false => place.read(name),
        };
        assert!(bytes("quiet") == bytes("loud"), "{command}");
        for name in ["quiet", "loud"] {
            let path = place.path(name);
            let _ = if path.is_dir() {
                std::fs::remove_dir_all(path)
            } else {
                std::fs::remove_file(path)
            };
        }
    }
}

#[test]
fn training_goes_on_with_what_it_was_told() {
    let place = five();
    let output = place.run("train train.txt --solver als --from m --epochs 1 --model n");
    let talk = stderr(&output);
    assert!(output.status.success(), "{talk}");
    assert!(SAID.iter().all(|said| talk.contains(said)), "{talk}");
    let (old, new) = (place.record("m"), place.record("n"));
    for key in ["ratings", "mean", "duplicates_merged"] {
        assert_eq!(old["data"][key], new["data"][key], "{key}");
    }
    // And on, from a model that was told nothing itself.
    let output = place.run("train train.txt --solver als --from n --epochs 1 --model o");
    assert!(SAID.iter().all(|said| stderr(&output).contains(said)), "{}", stderr(&output));
    let output =
        place.run("train train.txt --solver als --from m --epochs 1 --model p --duplicates last");
    assert!(!stderr(&output).contains(SAID[1]), "{}", stderr(&output));
}

#[test]
fn a_model_without_the_record_reads_as_before() {
    let place = Place::new();
    let rows = ratings();
    place.write("train.txt", file("", "U,I,9,R", &rows));
    place.ok("train train.txt --solver als --factors 2 --epochs 2 --model m --columns 1,2,4");
    let mut run = place.record("m");
    assert_eq!(run["data"]["reading"]["asked"]["columns"], "1,2,4");
    let reading = run["data"].as_object_mut().unwrap().remove("reading");
    // What binds the parts of a model together is taken out, as whoever changes one has to.
    run.as_object_mut().unwrap().remove("parts");
    place.write("m/run.json", run.to_string());
    let output = place.run("evaluate m train.txt");
    let talk = stderr(&output);
    assert!(output.status.success() && said(&talk).is_empty(), "{talk}");
    // The third column has nines: not one is a rating of the training file.
    let count = rows.len();
    let note = format!(
        "note: {count} of {count} ratings lie outside of what the model was trained on, 1 to 5"
    );
    assert!(talk.contains(&note) && talk.contains("(first: train.txt:1: 9)"), "{talk}");
    // A record that is none is refused.
    for (broken, says) in [("\"x\"", "reading"), ("{\"form\":{}}", "reading")] {
        run["data"]["reading"] = serde_json::from_str(broken).unwrap();
        place.write("m/run.json", run.to_string());
        let talk = stderr(&place.run("evaluate m train.txt"));
        assert!(talk.contains("m/run.json: its data: ") && talk.contains(says), "{talk}");
    }
    run["data"]["reading"] = reading.unwrap();
    run["data"]["reading"]["form"]["columns"] = serde_json::json!([0, null, null, null]);
    place.write("m/run.json", run.to_string());
    let talk = stderr(&place.run("evaluate m train.txt"));
    assert!(talk.contains("no column of users or of items"), "{talk}");
}

#[test]
fn a_test_part_of_other_values_is_noticed() {
    let place = Place::new();
    let rows = ratings();
    place.write("train.csv", file("", "U,I,R", &rows));
    place.write("ids.csv", file("", "U,I,I", &rows));
    let output =
        place.run("train train.csv --test ids.csv --solver als --factors 2 --epochs 1 --model m");
    let talk = stderr(&output);
    assert!(talk.contains("lie outside of what the model was trained on, 1 to 5"), "{talk}");
    let output = place.run("evaluate m train.csv");
    assert!(!stderr(&output).contains("outside"), "{}", stderr(&output));
}
