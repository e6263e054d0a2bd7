//! Every file is read as what it is, or refused with what to do; the command says which.

use crate::place::{Place, stderr, stdout};
use crate::reading_cases::{self as cases, Case, Want};
use std::io::Write;

/// The ratings of a model's training part, `user|item|value`, sorted.
fn trained(place: &Place, model: &str) -> Vec<String> {
    let ids = |file: &str| -> Vec<String> {
        let mut reader = csv::Reader::from_path(place.path(&format!("{model}/{file}"))).unwrap();
        reader.records().map(|record| record.unwrap()[1].to_owned()).collect()
    };
    let (users, items) = (ids("users.csv"), ids("items.csv"));
    let bytes = place.read(&format!("{model}/seen.safetensors"));
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let whole = |name: &str| -> Vec<usize> {
        let tensor = tensors.tensor(name).unwrap();
        let width = tensor.data().len() / tensor.shape()[0];
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
        tensor.data().chunks(width).map(number).collect()
    };
    let (starts, columns) = (whole("indptr"), whole("indices"));
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    let values: Vec<f32> = match tensors.tensor("values") {
        Ok(values) => values.data().chunks(4).map(number).collect(),
        // Without ratings each counts 1.
        Err(_) => vec![1.0; columns.len()],
    };
    let mut found = Vec::new();
    for (user, bounds) in starts.windows(2).enumerate() {
        for at in bounds[0]..bounds[1] {
            found.push(format!("{}|{}|{}", users[user], items[columns[at]], values[at]));
        }
    }
    found.sort();
    found
}

/// Runs `train` on each, and tells what is otherwise than it should.
fn check(cases: &[Case]) {
    let mut faults = Vec::new();
    for (name, bytes, args, want) in cases {
        let place = Place::new();
        place.write("f", bytes);
        let train = "train f --solver als --epochs 1 --factors 1 --backend cpu --model m";
        let output = place.run(format!("{train} {args}").trim());
        let talk = stderr(&output);
        let mut fault = |text: String| faults.push(format!("{name}: {text}\n    {talk}"));
        let words = match want {
            Want::Reads(ratings, words) => {
                if !output.status.success() {
                    fault("is refused".into());
                } else if trained(&place, "m") != *ratings {
                    fault(format!("is read as {:?}", trained(&place, "m")));
                }
                words
            }
            Want::Refused(words) => {
                if output.status.success() || !talk.contains("error: ") {
                    fault(format!("is read as {:?}", trained(&place, "m")));
                }
                if place.path("m").exists() {
                    fault("leaves a model".into());
                }
                words
            }
        };
        for word in words.iter().filter(|word| !talk.contains(**word)) {
            fault(format!("does not say {word:?}"));
        }
        if talk.contains('\u{1b}')
            || talk.contains('`') && !name.contains("JSON") && talk.contains("`columns`")
        {
            fault("tells a terminal what no reader should see".into());
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn quotes_are_quotes_only_around_fields() {
    check(cases::QUOTES);
}

#[test]
fn text_is_read_whatever_its_encoding_and_line_ends() {
    check(cases::TEXT);
}

#[test]
fn other_formats_are_read_or_named() {
    check(cases::FORMATS);
}

#[test]
fn layouts_are_recognised_or_refused() {
    check(cases::LAYOUTS);
}

#[test]
fn lines_and_values_are_left_out_where_asked() {
    check(cases::LEFT_OUT);
}

/// A place with a model of users ann to eve and items with odd names.
fn furnished() -> Place {
    let place = Place::new();
    place.write(
        "train.tsv",
        "ann\t\"live one\t3\nbob\tplain\t2\ncid\tother\t4\ndee\t\"live one\t1\neve\tplain\t2\nann\tother\t5\n",
    );
    place.ok("train train.tsv --solver als --epochs 2 --factors 2 --model m");
    place
}

#[test]
fn every_command_reads_alike() {
    let place = furnished();
    place.write("test.tsv", "bob\t\"live one\t3\ncid\tplain\t2\ndee\t\"live one\t4\n");
    let text = place.ok("predict m test.tsv --strict");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("bob,\"\"\"live one\","), "{text}");
    assert_eq!(place.json("evaluate m test.tsv --json")["ratings"], 3);
    place.ok("fold-in m test.tsv --update --output grown");
    place.ok("train train.tsv --test test.tsv --solver als --epochs 1 --factors 2 --model tested");
    place.ok("split train.tsv --holdout 0.5 --output parts");
    let parts = [place.read("parts/train.tsv"), place.read("parts/test.tsv")].concat();
    let mut lines: Vec<String> =
        String::from_utf8(parts).unwrap().lines().map(String::from).collect();
    let whole = String::from_utf8(place.read("train.tsv")).unwrap();
    let mut want: Vec<String> = whole.lines().map(String::from).collect();
    lines.sort();
    want.sort();
    assert_eq!(lines, want);
    // Lists of ids and titles.
    place.write("only.txt", "\"live one\nplain\n");
    let text = place.ok("recommend m --users bob --only only.txt --format csv");
    assert_eq!(text.lines().count(), 2, "{text}");
    for delimiter in [",", ";", "\t", "::"] {
        let line = |id: &str, title: &str| format!("{id}{delimiter}{title}\n");
        let titles =
            [line("\"live one", "One"), line("plain", "Two"), line("other", "\"Three\" of it")];
        place.write("titles", titles.concat());
        let output = place.run("recommend m --users bob --titles titles --format csv");
        let text = stdout(&output);
        assert!(stderr(&output).contains("titles of 3 of 3 items"), "{}", stderr(&output));
        assert!(text.contains(",One") && text.contains(",\"\"\"Three\"\" of it\""), "{text}");
    }
}

#[test]
fn lists_are_bounded_and_one_id_a_line() {
    let place = furnished();
    place.write("three.txt", "other,plain,x\n");
    let output = place.run("recommend m --users bob --only three.txt");
    assert!(
        stderr(&output).contains("three.txt: has several ids on a line"),
        "{}",
        stderr(&output)
    );
    // No line of ids or titles is that long.
    place.write("line.txt", format!("other,{}\n", "x,".repeat(1 << 20)));
    for option in ["--only line.txt", "--titles line.txt"] {
        let output = place.run(&format!("recommend m --users bob {option}"));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("line.txt:1: is longer than"), "{}", stderr(&output));
    }
    place.write("nobody.txt", "a\nb\n");
    let said = stderr(&place.run("recommend m --users bob --exclude nobody.txt"));
    assert!(said.contains("nothing is left out"), "{said}");
    // 600 MiB of blank lines in less than one.
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let blank = vec![b'\n'; 1 << 20];
    (0..600).for_each(|_| packed.write_all(&blank).unwrap());
    place.write("blank.zst", packed.finish().unwrap());
    for option in ["--only blank.zst", "--titles blank.zst"] {
        let output = place.run(&format!("recommend m --users bob {option}"));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("more than 512 MiB"), "{}", stderr(&output));
    }
}

#[test]
fn directories_and_patterns_are_sets_of_files() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("plays/old")).unwrap();
    place.write("plays/b.csv", "user,item,rating\nbob,y,2\n");
    place.write("plays/a.csv", "user,item,rating\nann,x,1\n");
    place.write("plays/c.csv", "user,item,rating\n");
    place.write("plays/.hidden.csv", "nonsense");
    place.write("plays/_SUCCESS", "");
    place.write("plays/empty.csv", "");
    place.write("plays/old/z.csv", "user,item,rating\nzoe,z,9\n");
    let train = "--solver als --epochs 1 --factors 1 --backend cpu --force --model m";
    for (files, want) in [
        ("plays", &["ann|x|1", "bob|y|2"][..]),
        ("plays/", &["ann|x|1", "bob|y|2"]),
        ("plays/[ab].csv", &["ann|x|1", "bob|y|2"]),
        ("plays/?.csv plays/old", &["ann|x|1", "bob|y|2", "zoe|z|9"]),
        ("plays/**/*.csv", &["ann|x|1", "bob|y|2", "zoe|z|9"]),
    ] {
        let output = place.run(&format!("train {files} {train}"));
        assert!(output.status.success(), "{files}: {}", stderr(&output));
        assert_eq!(trained(&place, "m"), want, "{files}: {}", stderr(&output));
        let talk = stderr(&output);
        assert!(talk.find("a.csv: ") < talk.find("b.csv: "), "{talk}");
    }
    place.write("odd[1].csv", "user,item,rating\nodd,x,1\n");
    place.ok(&format!("train odd[1].csv {train}"));
    assert_eq!(trained(&place, "m"), ["odd|x|1"]);
    place.ok("split plays --holdout 0.5 --output parts");
    assert_eq!(place.read("parts/test.csv").len() + place.read("parts/train.csv").len(), 50);
    place.write("plays/tags.csv", "user,item,tag\nann,x,good\n");
    std::fs::create_dir(place.path("moved")).unwrap();
    place.write("moved/a.csv", "user,item,rating\nann,x,1\n");
    place.write("moved/b.csv", "item,user,rating\nx,bob,1\n");
    std::fs::create_dir_all(place.path("none/sub")).unwrap();
    std::fs::create_dir(place.path("bare")).unwrap();
    place.write("none/.x", "1");
    for (files, words) in [
        ("plays", &["plays/tags.csv: ", "in the set"][..]),
        ("none", &["none: is a directory without a file of ratings", ".x, sub/"]),
        ("bare", &["bare: is an empty directory"]),
        ("moved", &["moved/b.csv: ", "(columns 2,1,3)", "(columns 1,2,3)"]),
        ("m", &["m: is the directory of a model"]),
        ("'no*.csv'", &["as a pattern it matches none"]),
        ("plays/[", &["plays/[: no file has this name"]),
    ] {
        let output = place.run(&format!("train {} --model other", files.trim_matches('\'')));
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{talk}");
        words.iter().for_each(|word| assert!(talk.contains(word), "{files}: {talk}"));
    }
}

#[test]
fn lists_are_split_item_by_item() {
    let place = Place::new();
    place.write("lists.txt", "ann 1 2 3 4\r\nbob\ncid 1\ndee 5 6 \n");
    place.ok("split lists.txt --format grouped --leave-last 1 --output last");
    assert_eq!(place.read("last/train.txt"), b"ann 1 2 3\ncid 1\ndee 5\n");
    assert_eq!(place.read("last/test.txt"), b"ann 4\ndee 6\n");
    place.ok("split lists.txt --format grouped --folds 2 --output folds");
    let count = |file: &str| {
        let text = String::from_utf8(place.read(file)).unwrap();
        text.lines().map(|line| line.split(' ').count() - 1).sum::<usize>()
    };
    for fold in ["folds/fold1", "folds/fold2"] {
        assert_eq!(count(&format!("{fold}/train.txt")) + count(&format!("{fold}/test.txt")), 7);
    }
    place.write("quoted.csv", "ann,\"a, b\",\"c\"\"d\",e\nbob,f,g\n");
    place.ok("split quoted.csv --format grouped --leave-last 1 --output quoted");
    assert_eq!(place.read("quoted/train.csv"), b"\"ann\",\"a, b\",\"c\"\"d\"\nbob,f\n");
    assert_eq!(place.read("quoted/test.csv"), b"\"ann\",\"e\"\nbob,g\n");
}

#[test]
fn quotes_across_chunks_are_whole() {
    // Records of several lines, and stray quotes, all over a file of many chunks.
    let place = Place::new();
    let mut text = String::from("user,item,rating,note\n");
    let mut want = Vec::new();
    for row in 0..120_000_u32 {
        let (user, item) = (row % 977, row);
        let note = match row % 5 {
            0 => {
                "\"a note, with\n\n\"\"lines\"\", many of them,,\nthat go on and on and on and on\""
            }
            1 => "plain",
            2 => "\"stray and plain and long enough to fill the file up",
            3 => "\"quoted, and long enough to fill the file up, up and up\"",
            _ => "6\" wide",
        };
        text += &format!("u{user},{item},{},{note}\n", row % 5);
        want.push(format!("u{user}|{item}|{}", row % 5));
    }
    assert!(text.len() > 4 << 20, "{}", text.len());
    want.sort();
    place.write("f.csv", &text);
    for threads in [1, 3] {
        let train =
            "train f.csv --solver als --epochs 1 --factors 1 --backend cpu --force --model m";
        place.ok(&format!("{train} --threads {threads}"));
        assert_eq!(trained(&place, "m"), want);
    }
}
