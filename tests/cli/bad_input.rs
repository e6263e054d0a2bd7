//! What bad input gets: one clear error, and nothing written, changed or left behind.
//!
//! Every case runs the binary in a directory of its own and compares all files before and after.

use crate::{common, place};

use common::skipped;
use place::{Place, stderr, stdout};
use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

/// A command, its exit status, and what its error must say.
struct Case(&'static str, i32, &'static [&'static str]);

/// Ratings of 6 users and 5 items, 1 to 5 stars.
const STARS: &str = "user,item,rating\n\
    ann,x,4\nann,y,2\nann,z,5\nbob,x,3\nbob,v,1\ncid,y,4\ncid,z,2\ncid,w,5\ndan,x,1\ndan,w,3\n\
    eve,y,5\neve,v,2\nfay,z,3\nfay,w,4\nfay,v,1\n";

/// A place with bad files, good files, and a model.
fn furnished() -> Place {
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.ok("train stars.csv --model good --epochs 2 --factors 3 --progress none");
    place.ok("train stars.csv --model earlier --epochs 1 --factors 2 --progress none");
    place.ok("export good --format npy --output exported");
    place.write("empty.csv", "");
    place.write("header.csv", "user,item,rating\n");
    place.write("blank.csv", "\n\n   \n\n");
    place.write("one.csv", "user\nann\nbob\n");
    place.write("text.csv", "user,item,rating\nann,x,4\nbob,x,good\n");
    place.write("comma.csv", "user;item;rating\nann;x;4\nbob;x;4,5\n");
    place.write("missing.csv", "user,item,rating\nann,x,4\nbob,x,\n");
    place.write("short.csv", "user,item,rating\nann,x,4\nbob,x\n");
    place.write("long.csv", "user,item,rating\nann,x,4\nbob,x,3,9,9\n");
    place.write("noid.csv", "user,item,rating\nann,x,4\n,x,3\n");
    place.write("nan.csv", "user,item,rating\nann,x,4\nbob,x,NaN\n");
    place.write("inf.csv", "user,item,rating\nann,x,4\nbob,x,-inf\n");
    place.write("huge.csv", "user,item,rating\nann,x,4\nbob,x,1e39\n");
    let id = "a".repeat(1 << 20);
    place.write("megabyte.csv", format!("user,item,rating\nann,x,4\n{id},x,3\n"));
    place.write("binary.csv", (0..4096_u32).map(|i| (i * 7 % 256) as u8).collect::<Vec<_>>());
    place.write("zeros.csv", [0; 4096]);
    place.write("latin.csv", b"user,item,rating\nann,x\xc3\xa9,4\nb\xe9la,x,3\n");
    place.write("utf16.csv", b"\xff\xfeu\0s\0e\0r\0");
    place.write("quote.csv", "user,item,rating\nann,x,4\n\"bob,x,3\ncid,x,2\n");
    place.write("double.csv", "user,item,rating\nann,x,4\nbob,x,3\nann,x,2\n");
    place.write("ones.csv", STARS.replace(['2', '3', '4', '5'], "1"));
    place.write("negative.csv", format!("{STARS}gil,x,-2\n"));
    place.write("strangers.csv", "user,item,rating\nzoe,x,4\nyan,y,3\n");
    place.write("other.csv", format!("{STARS}gil,x,2\n"));
    place.write("newitems.csv", "user,item,rating\nann,q,4\nbob,r,3\n");
    place.write("grouped.txt", "ann x y z\nbob\ncid y\n");
    place.write("nogroup.txt", "ann\nbob\n");
    place.write("plain.txt", "1 2 3\n4 5 6\n");
    place.write("times.csv", "user,item,rating,timestamp\nann,x,4,1\nbob,x,3,yesterday\n");
    place.write("pairs.csv", "user,item\nann,x\nzoe,x\n");
    place.write("onecolumn.csv", "user\nann\n");
    place.ok("train stars.csv --model rows --solver als --epochs 2 --factors 3 --progress none");
    place.ok("train ones.csv --model liked --solver ials --epochs 2 --factors 3 --progress none");
    place.write("logs.csv", format!("{STARS}gil,x,9\n"));
    place
        .ok("train logs.csv --model logs --transform log1p --epochs 1 --factors 3 --progress none");
    place.write("new.csv", "user,item,rating\ngus,x,5\ngus,w,1\n");
    place.write("dislike.csv", "user,item,rating\ngus,x,5\ngus,w,-1\n");
    place.write("zero.csv", "user,item,rating\ngus,x,5\ngus,w,0\n");
    place.write("strangeitems.csv", "user,item,rating\ngus,q,5\nhal,r,1\n");
    place.write("strangers.txt", "q\nr\n");
    place.write("blank.txt", "\n\n");
    place.write("tabs.tsv", "7\tSeven\n8\tEight\n");
    place.write("hashes.txt", "x#Ex\ny#Why\n");
    place.write("nothing.csv", "id,title\nx,\n");
    place.write("note.txt", "not a model");
    let text: String =
        (0..20_000).map(|i| format!("u{},i{},{}\n", i % 97, i % 89, i % 5)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    place.write("cut.csv.gz", &gzip[..gzip.len() / 2]);
    let mut damaged = gzip.clone();
    damaged[gzip.len() / 2..gzip.len() / 2 + 40].fill(0x5a);
    place.write("damaged.csv.gz", damaged);
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    place.write("cut.csv.zst", &zstd[..zstd.len() / 2]);
    fs::create_dir(place.path("folder")).unwrap();
    place.write("folder/mine.txt", "words");
    let copy = |name: &str, edit: &dyn Fn(&str)| {
        fs::create_dir(place.path(name)).unwrap();
        for file in place.names("good") {
            place.write(&format!("{name}/{file}"), place.read(&format!("good/{file}")));
        }
        edit(name);
    };
    let cut = |file: &str, keep: fn(usize) -> usize| {
        let bytes = place.read(file);
        place.write(file, &bytes[..keep(bytes.len())]);
    };
    copy("cutfactors", &|name| cut(&format!("{name}/model.safetensors"), |n| n - 5));
    copy("cutids", &|name| cut(&format!("{name}/users.csv"), |n| n / 2));
    copy("cutrun", &|name| cut(&format!("{name}/run.json"), |n| n / 2));
    copy("noseen", &|name| {
        fs::remove_file(place.path(&format!("{name}/seen.safetensors"))).unwrap();
    });
    copy("cutseen", &|name| cut(&format!("{name}/seen.safetensors"), |n| n - 3));
    copy("nanseen", &|name| {
        let file = format!("{name}/seen.safetensors");
        let mut bytes = place.read(&file);
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let values = tensors.tensor("values").unwrap().data().as_ptr().addr();
        let at = values - bytes.as_ptr().addr();
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        place.write(&file, bytes);
    });
    copy("noitems", &|name| fs::remove_file(place.path(&format!("{name}/items.csv"))).unwrap());
    copy("future", &|name| {
        let run = String::from_utf8(place.read(&format!("{name}/run.json"))).unwrap();
        place.write(&format!("{name}/run.json"), run.replace("\"format\": 1", "\"format\": 99"));
    });

    for (name, users, items) in [("start", 6, 5), ("wrongstart", 7, 5), ("nanstart", 6, 5)] {
        fs::create_dir(place.path(name)).unwrap();
        let value = if name == "nanstart" { f32::NAN } else { 0.1 };
        let matrix = |rows: usize| npy(&[rows, 3], &vec![value; rows * 3]);
        place.write(&format!("{name}/user_factors.npy"), matrix(users));
        place.write(&format!("{name}/item_factors.npy"), matrix(items));
    }
    fs::create_dir(place.path("halfstart")).unwrap();
    place.write("halfstart/user_factors.npy", npy(&[6, 3], &[0.1; 18]));
    fs::create_dir(place.path("textstart")).unwrap();
    place.write("textstart/user_factors.npy", "0.1 0.2 0.3\n");
    place
}

/// An array in NumPy's format.
fn npy(shape: &[usize; 2], values: &[f32]) -> Vec<u8> {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
        shape[0], shape[1]
    );
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).into_bytes());
    values.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
    bytes
}

/// Checks one failure: its status, its one message, and that nothing changed.
fn check(place: &Place, command: &str, code: i32, says: &[&str], output: &Output) -> Vec<String> {
    let talk = stderr(output);
    if std::env::var_os("WGMF_SHOW").is_some() {
        println!("$ wgmf {command}\n{talk}");
    }
    let mut faults = Vec::new();
    let mut fault = |text: String| faults.push(format!("wgmf {command}\n    {text}\n    {talk}"));
    if output.status.code() != Some(code) {
        fault(format!("exits with {:?}, not {code}", output.status.code()));
    }
    let errors: Vec<&str> = talk.lines().filter(|line| line.starts_with("error: ")).collect();
    if errors.len() != 1 {
        fault(format!("{} errors, not one", errors.len()));
    }
    if talk.contains("panicked") || talk.contains("RUST_BACKTRACE") {
        fault("panics".into());
    }
    for part in says.iter().filter(|part| !talk.contains(**part)) {
        fault(format!("does not say {part:?}"));
    }
    // A file is called what the user called it.
    if talk.contains(&place.path("").display().to_string()) {
        fault("names a file as the user did not".into());
    }
    if !output.stdout.is_empty() && !command.starts_with("predict") {
        fault(format!("prints {:?}", stdout(output)));
    }
    faults
}

/// Runs all cases in one furnished place.
fn run(cases: &[Case]) {
    let place = furnished();
    let before = place.tree();
    let mut faults = Vec::new();
    for &Case(command, code, says) in cases {
        let output = place.run(command);
        faults.extend(check(&place, command, code, says, &output));
        let after = place.tree();
        if after != before {
            let changed = after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes));
            let changed: Vec<_> = changed.map(|(path, _)| path.display().to_string()).collect();
            faults.push(format!("wgmf {command}\n    changes or leaves {changed:?}"));
            break;
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn files_that_are_no_ratings() {
    run(&[
        Case("train empty.csv", 1, &["empty.csv: holds no ratings (it is empty)"]),
        Case("train header.csv", 1, &["header.csv: holds no ratings (only a header)"]),
        Case("train blank.csv", 1, &["blank.csv: holds no ratings"]),
        Case("train one.csv", 1, &["one.csv:1", "--delimiter"]),
        Case("train text.csv", 1, &["text.csv:3: ", "\"good\"", "rating"]),
        Case("train comma.csv", 1, &["comma.csv:3: ", "\"4,5\"", "rating"]),
        Case("train missing.csv", 1, &["missing.csv:3: ", "column rating is empty"]),
        Case("train short.csv", 1, &["short.csv:3: ", "2 fields", "3"]),
        Case("train long.csv", 1, &["long.csv:3: ", "more than the 3 fields"]),
        Case("train noid.csv", 1, &["noid.csv:3: ", "user", "empty"]),
        Case("train nan.csv", 1, &["nan.csv:3: ", "NaN", "rating"]),
        Case("train inf.csv", 1, &["inf.csv:3: ", "-inf", "rating"]),
        Case("train huge.csv", 1, &["huge.csv:3: ", "1e39", "rating"]),
        Case("train megabyte.csv", 1, &["megabyte.csv:3: ", "user", "64 KiB"]),
        Case("train cut.csv.gz", 1, &["cut.csv.gz: ", "gzip", "ends too early"]),
        Case("train damaged.csv.gz", 1, &["damaged.csv.gz: ", "gzip", "damaged"]),
        Case("train cut.csv.zst", 1, &["cut.csv.zst: ", "zstd", "ends too early"]),
        Case("train folder", 1, &["folder/mine.txt:1: ", "\"words\"", "--delimiter"]),
        Case("train nowhere.csv", 1, &["nowhere.csv: ", "No such file"]),
        Case("train stars.csv nowhere.csv", 1, &["nowhere.csv: ", "No such file"]),
        Case("train binary.csv", 1, &["binary.csv: is not text"]),
        Case("train zeros.csv", 1, &["zeros.csv: is not text"]),
        Case("train latin.csv", 1, &["latin.csv:3: ", "UTF-8", "user"]),
        Case("train utf16.csv", 1, &["utf16.csv:1: ", "\"user\"", "--delimiter"]),
        Case("train quote.csv --quotes yes", 1, &["quote.csv:3: ", "quote is not closed"]),
        Case("train -", 1, &["-: holds no ratings"]),
        Case(
            "train double.csv --duplicates error",
            1,
            &["double.csv:4: ", "\"ann\"", "\"x\"", "double.csv:2", "--duplicates"],
        ),
        Case(
            "train stars.csv --columns who,item,rating",
            1,
            &["stars.csv:1: ", "\"who\"", "user, item, rating"],
        ),
        Case("train stars.csv --columns 0,1,2", 2, &["--columns \"0,1,2\"", "position 0"]),
        Case("train stars.csv --columns 1,2,99", 1, &["stars.csv:1: ", "3 fields", "column 99"]),
        Case("train stars.csv --columns 1,1,3", 2, &["--columns", "twice"]),
        Case("train stars.csv --columns user", 2, &["--columns \"user\"", "two to four"]),
        Case(
            "train plain.txt --columns user,item,rating",
            1,
            &["plain.txt:1: ", "\"user\"", "1, 2, 3"],
        ),
        Case("train plain.txt --header no --columns user,item", 2, &["--columns", "--header no"]),
        Case(
            "train times.csv --columns user,item,rating,timestamp",
            1,
            &["times.csv:3: ", "\"yesterday\"", "timestamp"],
        ),
        Case("train stars.csv --delimiter ;", 1, &["stars.csv:1: ", "--delimiter"]),
        Case("train stars.csv --delimiter ab", 2, &["--delimiter", "'ab'", "\"tab\""]),
        Case("train nogroup.txt --format grouped", 1, &["nogroup.txt: holds no ratings"]),
        Case("train stars.csv --format grouped --columns 1,2", 2, &["--columns", "grouped"]),
    ]);
}

#[test]
fn ratings_that_do_not_suit() {
    run(&[
        Case(
            "train stars.csv --loss logistic",
            1,
            &["--loss logistic", "0 or 1", "--transform binary"],
        ),
        Case(
            "train ones.csv --loss logistic",
            1,
            &["all training labels are 1", "--loss logistic", "--threshold"],
        ),
        Case(
            "train stars.csv --loss logistic --transform binary --threshold 9",
            1,
            &["all training labels are 0", "--loss logistic", "--threshold"],
        ),
        Case("train negative.csv --transform log1p", 1, &["-2", "\"gil\"", "\"x\"", "log1p"]),
        Case("train ones.csv --transform zscore", 1, &["zscore", "1"]),
        Case(
            "synth --users 10 --items 4294967295 --ratings 20 --output s.csv",
            2,
            &["4294967295 items", "GB", "--items"],
        ),
        Case("train ones.csv --transform minmax", 1, &["minmax", "1"]),
        Case("train stars.csv --transform cube", 2, &["--transform", "cube", "log1p"]),
        Case("train stars.csv --transform binary --threshold nan", 2, &["--threshold"]),
        Case("train stars.csv --transform binary --threshold many", 2, &["--threshold", "many"]),
        Case("train stars.csv --min-user-ratings 9", 1, &["no user", "--min-user-ratings 9"]),
        Case("train stars.csv --min-item-ratings 9", 1, &["--min-item-ratings 9"]),
        Case("train stars.csv --min-user-ratings -1", 2, &["--min-user-ratings", "-1"]),
        Case("train stars.csv --holdout 0", 2, &["--holdout 0", "between 0 and 1"]),
        Case("train stars.csv --holdout 1", 2, &["--holdout 1", "between 0 and 1"]),
        Case("train stars.csv --holdout 1.5", 2, &["--holdout 1.5", "between 0 and 1"]),
        Case("train stars.csv --holdout -0.1", 2, &["--holdout -0.1", "between 0 and 1"]),
        Case("train stars.csv --holdout nan", 2, &["--holdout NaN", "between 0 and 1"]),
        Case("train stars.csv --holdout 0.001", 1, &["--holdout 0.001", "15 ratings"]),
        Case("train stars.csv --test stars.csv --holdout 0.2", 2, &["--test", "--holdout"]),
        Case("train stars.csv --test strangers.csv", 1, &["strangers.csv: ", "user", "ids"]),
        Case("train stars.csv --test newitems.csv", 1, &["newitems.csv: ", "item", "ids"]),
        Case("train stars.csv --test nowhere.csv", 1, &["nowhere.csv: ", "No such file"]),
        Case("train stars.csv --test text.csv", 1, &["text.csv:3: ", "\"good\""]),
        Case("train stars.csv --test negative.csv --transform log1p", 1, &["test", "-2", "log1p"]),
    ]);
}

#[test]
fn settings_that_make_no_sense() {
    run(&[
        Case("train stars.csv --factors 0 --no-bias", 2, &["--factors 0", "nothing to learn"]),
        Case("train stars.csv --factors 0 --solver ials", 2, &["--factors 0", "biases alone"]),
        Case("train stars.csv --factors 2000", 2, &["--factors 2000", "0 to 1024"]),
        Case("train stars.csv --factors abc", 2, &["--factors", "abc"]),
        Case("train stars.csv --factors -3", 2, &["--factors", "-3"]),
        Case("train stars.csv --epochs 0", 2, &["--epochs 0", "1 or more"]),
        Case("train stars.csv --batch-size 0", 2, &["--batch-size 0", "1 or more"]),
        Case("train stars.csv --reg -0.1", 2, &["--reg -0.1", "0 or more"]),
        Case("train stars.csv --reg-bias inf", 2, &["--reg-bias inf", "finite"]),
        Case("train stars.csv --damping -1", 2, &["--damping -1", "0 or more"]),
        Case("train stars.csv --damping-bias nan", 2, &["--damping-bias", "finite"]),
        Case("train stars.csv --no-bias --damping-bias 5", 2, &["--damping-bias", "--no-bias"]),
        Case("train stars.csv --solver bayes --damping 1", 2, &["--damping", "bayes"]),
        Case("train stars.csv --reg-exponent -1", 2, &["--reg-exponent -1", "0 to 4"]),
        Case("train stars.csv --init-scale nan", 2, &["--init-scale NaN", "finite"]),
        Case("train stars.csv --learning-rate nan", 2, &["--learning-rate NaN", "finite"]),
        Case("train stars.csv --learning-rate 0", 2, &["--learning-rate 0", "above 0"]),
        Case("train stars.csv --learning-rate -1", 2, &["--learning-rate -1", "above 0"]),
        Case(
            "train stars.csv --learning-rate-decay 2",
            2,
            &["--learning-rate-decay 2", "at most 1"],
        ),
        Case(
            "train stars.csv --solver adam --momentum 0.9",
            2,
            &["--momentum", "sgd", "no such setting"],
        ),
        Case("train stars.csv --solver sgd --momentum 1", 2, &["--momentum 1", "below 1"]),
        Case("train stars.csv --solver newton", 2, &["--solver", "newton", "adagrad"]),
        Case("train stars.csv --no-bias --reg-bias 0.1", 2, &["--reg-bias", "--no-bias"]),
        Case("train stars.csv --patience 3", 2, &["--patience", "--holdout", "--test"]),
        Case("train stars.csv --patience 0 --holdout 0.2", 2, &["--patience 0", "1 or more"]),
        Case("train stars.csv --checkpoint-every 0", 2, &["--checkpoint-every 0", "1 or more"]),
        Case("train stars.csv --threads 0", 2, &["--threads", "0"]),
        Case("train stars.csv --seed -1", 2, &["--seed", "-1"]),
        Case("train stars.csv --adapter voodoo", 1, &["--adapter voodoo: "]),
        Case(
            "train stars.csv --adapter llvmpipe --backend cpu",
            2,
            &["--adapter", "--backend cpu"],
        ),
        Case("train stars.csv --backend tpu", 2, &["--backend", "tpu"]),
        Case("train stars.csv --progress loud", 2, &["--progress", "loud", "json"]),
        Case("train", 2, &["RATINGS"]),
        Case("train stars.csv --frobnicate", 2, &["--frobnicate"]),
        Case("frobnicate", 2, &["frobnicate"]),
        Case("devices llvmpipe", 2, &["llvmpipe"]),
        // A step this large overflows in the first epochs.
        Case(
            "train stars.csv --solver sgd --learning-rate 1e30",
            1,
            &["non-finite in epoch ", "first: ", "lower --learning-rate", "--reg"],
        ),
        Case(
            "train stars.csv --solver sgd --learning-rate 1e30 --model earlier --force",
            1,
            &["non-finite in epoch ", "first: "],
        ),
    ]);
}

#[test]
fn places_a_model_cannot_go() {
    run(&[
        Case("train stars.csv --model note.txt", 1, &["note.txt: is a file"]),
        Case("train stars.csv --model note.txt --force", 1, &["note.txt: is a file"]),
        Case("train stars.csv --model note.txt/m", 1, &["note.txt/m: ", "is a file"]),
        Case("train stars.csv --model folder", 1, &["folder: ", "\"mine.txt\""]),
        Case("train stars.csv --model folder --force", 1, &["folder: ", "\"mine.txt\""]),
        Case("train stars.csv --model earlier", 1, &["earlier: already holds", "--force"]),
        Case("train stars.csv --model .", 1, &[".: is the current directory"]),
        Case("train text.csv --model earlier --force", 1, &["text.csv:3"]),
        Case(
            "train stars.csv --model new --resume",
            1,
            &["new.checkpoint: ", "--checkpoint-every"],
        ),
        Case("train stars.csv --model new --resume --init start", 2, &["--resume", "--init"]),
        Case("train stars.csv --model new --init nowhere", 1, &["nowhere/user_factors.npy"]),
        Case(
            "train stars.csv --model new --init halfstart --factors 3",
            1,
            &["halfstart/item_factors.npy", "No such file"],
        ),
        Case(
            "train stars.csv --model new --init textstart",
            1,
            &["textstart/user_factors.npy", "NumPy"],
        ),
        Case(
            "train stars.csv --model new --init wrongstart --factors 3",
            1,
            &["wrongstart/user_factors.npy", "(7, 3)", "(6, 3)"],
        ),
        Case(
            "train stars.csv --model new --init nanstart --factors 3",
            1,
            &["nanstart/user_factors.npy", "row 0", "not finite"],
        ),
        Case(
            "train stars.csv --model new --init start --factors 4",
            2,
            &["--init start", "3 factors", "--factors 3"],
        ),
    ]);
}

#[test]
fn models_that_are_none() {
    run(&[
        Case("info nowhere", 1, &["nowhere: "]),
        Case("info folder", 1, &["folder: is not a wgmf model"]),
        Case("info note.txt", 1, &["note.txt: is a file"]),
        Case("info cutrun", 1, &["cutrun/run.json: "]),
        Case("info cutfactors", 1, &["cutfactors/model.safetensors: is cut short"]),
        Case("info future", 1, &["future/run.json: ", "format 99", "update wgmf"]),
        Case("evaluate cutfactors stars.csv", 1, &["cutfactors/model.safetensors: is cut short"]),
        Case("evaluate cutids stars.csv", 1, &["cutids/users.csv"]),
        Case("evaluate noitems stars.csv", 1, &["noitems: ", "items.csv is missing"]),
        Case("evaluate folder stars.csv", 1, &["folder: is not a wgmf model"]),
        Case("evaluate good nowhere.csv", 1, &["nowhere.csv: ", "No such file"]),
        Case("evaluate good text.csv", 1, &["text.csv:3: ", "\"good\""]),
        Case("evaluate good empty.csv", 1, &["empty.csv: holds no ratings"]),
        Case("evaluate good strangers.csv --strict", 1, &["\"zoe\"", "--strict"]),
        Case("evaluate good", 2, &["RATINGS"]),
        Case("predict cutids pairs.csv", 1, &["cutids/users.csv"]),
        Case("predict folder pairs.csv", 1, &["folder: is not a wgmf model"]),
        Case("predict good onecolumn.csv", 1, &["onecolumn.csv:1", "--delimiter"]),
        Case("predict good nowhere.csv", 1, &["nowhere.csv: ", "No such file"]),
        Case("predict good pairs.csv --strict", 1, &["pairs.csv:3: ", "\"zoe\"", "--strict"]),
        Case("predict good pairs.csv --strict --output out.csv", 1, &["pairs.csv:3: ", "\"zoe\""]),
        Case("predict good pairs.csv --output folder", 1, &["folder: is a directory"]),
        Case("predict good pairs.csv --output note.txt", 1, &["note.txt: ", "--force"]),
        Case("predict good pairs.csv --output note.txt/a/out.csv", 1, &["note.txt/a", "is a file"]),
        Case(
            "predict good nowhere.csv --output new/out.csv",
            1,
            &["nowhere.csv", "check the path"],
        ),
        Case("predict good pairs.csv --force", 2, &["--output"]),
        Case("export good --format xml", 2, &["xml", "word2vec"]),
        Case("export good", 2, &["--format"]),
        Case("export cutfactors --format npy", 1, &["cutfactors/model.safetensors: is cut short"]),
        Case("export folder --format npy", 1, &["folder: is not a wgmf model"]),
        Case("export good --format npy --output exported", 1, &["exported: ", "--force"]),
        Case("export good --format csv --output folder --force", 1, &["folder: ", "\"mine.txt\""]),
        Case("export good --format csv --output note.txt", 1, &["note.txt: is a file"]),
        Case("export good --format csv --output good --force", 1, &["good: "]),
        Case("export good --format csv --output good/csv", 1, &["good/csv: lies within the model"]),
        Case("man stars", 2, &["man stars: is no command", "train, evaluate"]),
        Case("completions csh", 2, &["csh", "bash"]),
        Case("completions", 2, &["SHELL"]),
    ]);
}

#[test]
fn splits_and_sets_that_cannot_be() {
    run(&[
        Case("split stars.csv --output parts --folds 0", 2, &["--folds 0", "2 to 100"]),
        Case("split stars.csv --output parts --folds 101", 2, &["--folds 101", "2 to 100"]),
        Case("split stars.csv --output parts --folds 50", 1, &["15 ratings", "fold"]),
        Case(
            "split stars.csv --output parts --folds 3 --holdout 0.5",
            2,
            &["--folds", "--holdout"],
        ),
        Case("split stars.csv --output parts --holdout 1", 2, &["--holdout 1", "between 0 and 1"]),
        Case("split stars.csv --output parts --by-time 0.2", 1, &["--by-time", "timestamps"]),
        Case("split stars.csv --output parts --leave-last 0", 2, &["--leave-last", "at least 1"]),
        Case("split stars.csv --output parts --leave-last 9", 1, &["none for the test part"]),
        Case("split empty.csv --output parts", 1, &["empty.csv: holds no ratings"]),
        Case("split text.csv --output parts", 1, &["text.csv:3: "]),
        Case("split nogroup.txt --output parts --format grouped", 1, &["nogroup.txt"]),
        Case("split grouped.txt --output parts --format grouped --users 7", 2, &["--users"]),
        Case("split stars.csv plain.txt --output parts", 1, &["plain.txt"]),
        Case("split stars.csv --output note.txt", 1, &["note.txt: is a file"]),
        Case("split stars.csv", 2, &["--output"]),
        Case("synth --users 3 --items 3 --ratings 10 --output s.csv", 2, &["--ratings 10", "9"]),
        Case("synth --users 0 --items 3 --ratings 1 --output s.csv", 2, &["--users"]),
        Case("synth --users 9 --items 9 --ratings 50 --output folder", 1, &["folder: "]),
        Case(
            "synth --users 9 --items 9 --ratings 50 --output note.txt",
            1,
            &["note.txt", "--force"],
        ),
        Case(
            "synth --users 9 --items 9 --ratings 50 --output note.txt/s.csv",
            1,
            &["note.txt/s.csv"],
        ),
        Case("synth --users many --items 9 --ratings 50 --output s.csv", 2, &["--users", "many"]),
    ]);
}

/// Writes go to a file system that is soon full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    struct Mount(std::path::PathBuf);
    impl Drop for Mount {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).status();
        }
    }
    let place = Place::with_sample();
    place.write("stars.csv", STARS);
    let disk = place.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        skipped("no right to mount a small tmpfs");
        return;
    }
    let _mount = Mount(disk);
    place.ok("train stars.csv --model disk/m --epochs 1 --factors 2 --progress none");
    place.ok("train plays.csv --model large --epochs 1 --progress none");
    let before = place.tree();
    for (command, says) in [
        ("train plays.csv --model disk/m --force --epochs 1", "disk/m"),
        ("train plays.csv --model disk/new --epochs 1", "disk/new"),
        ("train plays.csv --model disk/n --epochs 2 --checkpoint-every 1", "disk/n"),
        ("export large --format npy --output disk/e", "disk/e"),
        ("train plays.csv --model disk/deep/er/m --epochs 1", "disk/deep/er/m"),
        ("predict large plays.csv --output disk/p.csv", "disk/p.csv: "),
        ("split plays.csv --output disk/parts", "disk/parts"),
        ("synth --users 900 --items 900 --ratings 90000 --output disk/s.csv", "disk/s.csv: "),
    ] {
        let output = place.run(command);
        // Foreseen, or met on the way.
        let foreseen = stderr(&output).contains("left; make room");
        let why = if foreseen { "left; make room" } else { "No space left" };
        let faults = check(&place, command, 1, &[says, why], &output);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let left = place.tree();
        let new: Vec<_> = left.keys().filter(|path| !before.contains_key(*path)).collect();
        assert!(left == before, "{command} leaves {new:?}");
    }
}

/// A standard output that takes nothing is an error, not a success.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_said_so() {
    let place = furnished();
    for command in [
        "evaluate good stars.csv",
        "evaluate good stars.csv --json",
        "predict good pairs.csv",
        "info good",
        "info good --json",
        "devices --json",
        "synth --users 9 --items 9 --ratings 50 --output -",
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.command(command).stdout(full).output().unwrap();
        let faults = check(&place, command, 1, &["standard output: ", "No space left"], &output);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// A directory that may be read and not written.
#[cfg(unix)]
#[test]
fn a_place_that_may_not_be_written_is_named() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.ok("train stars.csv --model good --epochs 1 --progress none");
    fs::create_dir(place.path("locked")).unwrap();
    let set = |name: &str, mode: u32| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("locked", 0o555);
    set("", 0o755);
    // The superuser may write everywhere: somebody else has to try.
    let superuser = fs::metadata(place.path("")).unwrap().uid() == 0;
    let before = place.tree();
    for command in [
        "train stars.csv --model locked/m",
        "train stars.csv --model locked/deep/m",
        "export good --format npy --output locked/e",
        "predict good stars.csv --output locked/p.csv",
        "split stars.csv --output locked/parts",
        "synth --users 9 --items 9 --ratings 50 --output locked/s.csv",
    ] {
        let mut run = place.command(command);
        if superuser {
            run.uid(NOBODY).gid(NOBODY);
        }
        let Ok(output) = run.output() else {
            skipped("the superuser cannot run the binary as somebody else here");
            return;
        };
        let faults = check(&place, command, 1, &["locked", "Permission denied"], &output);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(place.tree() == before, "{command} leaves something");
    }
}

#[test]
fn benchmarks_that_cannot_be() {
    run(&[
        // Before the planted set is written.
        Case("bench --factors 32,0", 2, &["--factors 0", "1 to 1024"]),
        Case("bench --epochs 1", 2, &["--epochs 1", "2 or more"]),
        Case("bench --batch-size 0", 2, &["--batch-size 0", "1 or more"]),
        Case("bench --solver newton", 2, &["--solver", "newton", "adagrad"]),
        Case("bench --loss squared", 2, &["--loss squared", "softmax"]),
        Case("bench --ratings 0 --backend cpu", 2, &["--ratings 0"]),
        Case("bench --adapter voodoo", 1, &["--adapter voodoo: "]),
        Case("bench --adapter llvmpipe --backend cpu", 2, &["--adapter", "--backend cpu"]),
        Case("bench --data nowhere.csv --backend cpu", 1, &["nowhere.csv: ", "No such file"]),
        Case("bench --data text.csv --backend cpu", 1, &["text.csv:3: ", "\"good\""]),
        Case("bench --data stars.csv --ratings 9", 2, &["--data", "--ratings"]),
    ]);
}

#[test]
fn rankings_that_cannot_be() {
    run(&[
        Case("evaluate good stars.csv --ranking", 1, &["no user has a relevant", "--include-seen"]),
        Case("evaluate good strangers.csv --ranking", 1, &["no user has a relevant", "unknown"]),
        Case(
            "evaluate good stars.csv --ranking --include-seen --relevant-from 9",
            1,
            &["no user has a relevant", "--relevant-from"],
        ),
        Case("evaluate good stars.csv --ranking --at 0", 2, &["--at", "0"]),
        Case("evaluate good stars.csv --ranking --at", 2, &["--at"]),
        Case("evaluate good stars.csv --ranking --at 5,", 2, &["--at"]),
        Case("evaluate good stars.csv --ranking --at 5,all", 2, &["--at", "all"]),
        Case("evaluate good stars.csv --ranking --at -1", 2, &["--at", "-1"]),
        Case("evaluate good stars.csv --at 5", 2, &["--at", "--ranking"]),
        Case("evaluate good stars.csv --per-user note.txt", 1, &["note.txt: ", "--force"]),
        Case("evaluate good stars.csv --backend cpu", 2, &["--backend", "--ranking"]),
        Case(
            "evaluate good stars.csv --ranking --relevant-from nan",
            2,
            &["--relevant-from", "nan"],
        ),
        Case("evaluate good stars.csv --ranking --relevant-from good", 2, &["--relevant-from"]),
        Case("evaluate good negative.csv --ranking", 2, &["0 to 5", "-2", "--relevant-from"]),
        Case(
            "evaluate good stars.csv --ranking --candidates nowhere",
            1,
            &["nowhere: ", "No such"],
        ),
        Case(
            "evaluate good stars.csv --ranking --candidates note.txt",
            1,
            &["note.txt: ", "no item"],
        ),
        Case("evaluate good stars.csv --ranking --candidates empty.csv", 1, &["empty.csv: "]),
        Case("evaluate good stars.csv --ranking --candidates folder", 1, &["folder: "]),
        Case("evaluate good text.csv --ranking", 1, &["text.csv:3: ", "\"good\""]),
        Case("evaluate good strangers.csv --ranking --strict", 1, &["\"zoe\"", "--strict"]),
        Case(
            "evaluate noseen stars.csv --ranking",
            1,
            &["noseen: ", "seen.safetensors is missing"],
        ),
        Case("evaluate good stars.csv --ranking --adapter voodoo", 1, &["--adapter voodoo: "]),
        Case(
            "evaluate good stars.csv --ranking --adapter llvmpipe --backend cpu",
            2,
            &["--adapter", "--backend cpu"],
        ),
    ]);
}

#[test]
fn lists_that_cannot_be_made() {
    run(&[
        Case("recommend good", 2, &["--all", "--users", "--new-users"]),
        Case("recommend good --all --users ann", 2, &["--all", "--users", "cannot be used"]),
        Case("recommend good --all -n 0", 2, &["-n 0", "1 or more"]),
        Case("recommend good --all -n -3", 2, &["-3", "-n"]),
        Case("recommend good --all -n many", 2, &["many", "-n"]),
        Case("recommend nomodel --all", 1, &["nomodel: No such file", "give the directory"]),
        Case("recommend stars.csv --all", 1, &["stars.csv: is a file", "wgmf train"]),
        Case("recommend noseen --all", 1, &["noseen: ", "seen.safetensors is missing", "again"]),
        Case("recommend cutseen --all", 1, &["cutseen/seen.safetensors: is cut short", "again"]),
        Case("recommend nanseen --all", 1, &["nanseen/seen.safetensors: ", "not all finite"]),
        Case(
            "recommend good --users zoe,yan",
            1,
            &["2 of 2 users", "\"zoe\", \"yan\"", "same kind"],
        ),
        Case(
            "recommend good --users zoe,ann --strict",
            1,
            &["1 of 2 users", "\"zoe\"", "--strict"],
        ),
        Case("recommend good --users-file nowhere.txt", 1, &["nowhere.txt: ", "No such file"]),
        Case("recommend good --users-file blank.txt", 1, &["blank.txt: is empty", "user ids"]),
        Case("recommend good --users-file folder", 1, &["folder: is a directory", "user ids"]),
        Case("recommend good --users-file zeros.csv", 1, &["zeros.csv: is not text"]),
        Case("recommend good --users-file strangers.txt", 1, &["2 of 2 users", "\"q\", \"r\""]),
        Case(
            "recommend good --all --only strangers.txt",
            1,
            &["strangers.txt: 2 of 2 ids", "\"q\", \"r\"", "--only needs an item"],
        ),
        Case("recommend good --all --only blank.txt", 1, &["blank.txt: is empty", "item ids"]),
        Case("recommend good --all --exclude stars.csv", 1, &["--exclude leaves out every item"]),
        Case(
            "recommend good --all --exclude strangers.txt --strict",
            1,
            &["strangers.txt: 2 of 2 ids of --exclude", "--strict"],
        ),
        Case(
            "recommend good --all --only newitems.csv --exclude stars.csv",
            1,
            &["newitems.csv: 2 of 2 ids", "--only needs"],
        ),
        Case("recommend good --all --explain", 1, &["--explain", "als or ials", "sgd"]),
        Case("recommend rows --all --explain=0", 2, &["--explain=0", "1 or more"]),
        Case("recommend rows --all --format xml", 2, &["xml", "jsonl", "table"]),
        Case("recommend rows --all --output stars.csv", 1, &["stars.csv: exists", "--force"]),
        Case("recommend rows --all --output folder", 1, &["folder: is a directory"]),
        Case("recommend rows --all --output note.txt/a.csv", 1, &["note.txt/a.csv: ", "is a file"]),
        Case("recommend rows --for-items x --users ann", 2, &["cannot be used"]),
        Case("recommend rows --for-items q", 1, &["1 of 1 items", "\"q\"", "same kind"]),
        Case("recommend rows --for-items x --explain", 2, &["--explain", "--for-items"]),
        Case("recommend rows --for-items x --by thompson", 2, &["--by thompson", "--for-items"]),
        Case(
            "recommend rows --for-items x --only strangers.txt",
            1,
            &["strangers.txt: 2 of 2 ids", "--only needs a user"],
        ),
        Case("recommend rows --allow strangers.csv", 1, &["strangers.csv: 2 of 2 pairs", "line 2"]),
        Case(
            "recommend rows --allow pairs.csv --strict",
            1,
            &["pairs.csv: 1 of 2 pairs", "line 3", "--strict"],
        ),
        Case("recommend rows --all --force", 2, &["--output"]),
        Case("recommend rows --all --columns 1,2", 2, &["--new-users"]),
        Case("recommend rows --all --backend cpu --adapter x", 2, &["--adapter", "--backend cpu"]),
    ]);
}

#[test]
fn titles_that_do_not_fit() {
    run(&[
        Case(
            "recommend good --all --titles tabs.tsv",
            1,
            &[
                "tabs.tsv: has no title of any item of the model",
                "its first id is \"7\"",
                "tab-separated",
                "7\tSeven",
                "--titles-delimiter",
            ],
        ),
        Case(
            "recommend good --all --titles hashes.txt",
            1,
            &["hashes.txt: ", "x#Ex", "--titles-delimiter or --titles-columns"],
        ),
        Case(
            "recommend good --all --titles hashes.txt --titles-delimiter ;",
            1,
            &["hashes.txt: ", "semicolon-separated", "x#Ex"],
        ),
        Case("recommend good --all --titles nothing.csv", 1, &["nothing.csv: has no title"]),
        Case("recommend good --all --titles stars.csv --titles-columns 1", 2, &["two columns"]),
        Case(
            "recommend good --all --titles stars.csv --titles-columns item,label",
            1,
            &["stars.csv: ", "no column \"label\"", "user, item, rating"],
        ),
        Case("recommend good --all --titles-columns 1,2", 2, &["--titles"]),
        Case("similar good --all --titles blank.txt", 1, &["blank.txt: is empty", "titles"]),
        Case("similar good --users ann --titles tabs.tsv", 1, &["any user of the model"]),
    ]);
}

#[test]
fn likenesses_that_cannot_be_listed() {
    run(&[
        Case("similar good", 2, &["--items", "--users", "--all"]),
        Case("similar good --items x --users ann", 2, &["cannot be used"]),
        Case("similar good --all -n 0", 2, &["-n 0", "1 or more"]),
        Case("similar good --items q", 1, &["1 of 1 items", "\"q\"", "same kind"]),
        Case("similar good --users x,y", 1, &["2 of 2 users", "\"x\", \"y\""]),
        Case("similar good --items x,q --strict", 1, &["\"q\"", "--strict"]),
        Case("similar good --all --metric euclid", 2, &["euclid", "cosine", "inner"]),
        Case("similar cutfactors --all", 1, &["model.safetensors: is cut short"]),
        Case("similar good --items x --items-file pairs.csv", 2, &["cannot be used"]),
        Case("similar good --users-file blank.txt", 1, &["blank.txt: is empty", "user ids"]),
        Case("similar good --all --only strangers.txt", 1, &["--only needs an item"]),
        Case(
            "similar good --users ann --only pairs.csv --exclude stars.csv",
            1,
            &["every user of"],
        ),
    ]);
}

#[test]
fn rows_that_cannot_be_folded_in() {
    run(&[
        Case("fold-in good new.csv", 2, &["--output"]),
        Case("fold-in good new.csv --output earlier", 1, &["earlier: already holds", "--force"]),
        Case("fold-in good new.csv --output folder", 1, &["folder: holds \"mine.txt\""]),
        Case("fold-in good new.csv --output good/a/b", 1, &["good/a/b: lies within the model"]),
        Case("fold-in good new.csv --output good/../good/a", 1, &["lies within the model"]),
        Case("fold-in good nowhere.csv --output m", 1, &["nowhere.csv: ", "No such file"]),
        Case(
            "fold-in good strangeitems.csv --output m",
            1,
            &["2 of 2 items", "\"q\", \"r\"", "no new user is left", "same kind"],
        ),
        Case(
            "fold-in good strangers.csv --output m --items",
            1,
            &["\"yan\", \"zoe\"", "the others are in the model already", "--update"],
        ),
        Case("fold-in good stars.csv --output m", 1, &["in the model already", "--update"]),
        Case("fold-in good strangeitems.csv --output m --strict", 1, &["\"q\"", "--strict"]),
        Case("fold-in liked dislike.csv --output m", 1, &["-1", "\"gus\"", "below 0", "ials"]),
        Case("fold-in liked zero.csv --output m", 1, &["rating 0", "\"gus\"", "liking"]),
        Case("fold-in logs dislike.csv --output m", 1, &["dislike.csv:3: rating -1", "log1p"]),
        Case("fold-in noseen new.csv --output m", 1, &["seen.safetensors is missing"]),
        Case("fold-in good text.csv --output m", 1, &["text.csv:3: ", "\"good\""]),
        Case(
            "fold-in good double.csv --output m --duplicates error",
            1,
            &["double.csv:4: ", "--duplicates"],
        ),
        Case(
            "recommend good --new-users strangeitems.csv",
            1,
            &["\"q\", \"r\"", "no new user is left"],
        ),
        Case("recommend liked --new-users dislike.csv", 1, &["-1", "\"gus\"", "ials"]),
        Case("recommend good --new-users new.csv --ratings-format wide", 2, &["wide", "grouped"]),
        Case("recommend good --new-users new.csv --all", 2, &["cannot be used"]),
    ]);
}
