//! Where results go, and who is told of what: files, links, pipes, compressed or not; shells and `man`; quiet.

use crate::place;
use place::{Place, stderr, stdout};
use std::fs;
use std::io::Read;
use std::path::Path;

fn trained() -> Place {
    let place = Place::new();
    let rows = (0..60).map(|i| format!("u{},i{},{}\n", i % 10, i * i % 7, 1 + i % 5));
    place.write("r.csv", format!("user,item,rating\n{}", rows.collect::<String>()));
    place.ok("train r.csv --model m --solver als --factors 2 --epochs 2 --quiet");
    place.write("pairs.csv", "user,item\nu1,i1\nu2,i2\n");
    place
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap(),
        Some("zst") => zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap(),
        _ => fs::read(path)
            .map(|bytes| text = String::from_utf8(bytes).unwrap())
            .map(|()| 0)
            .unwrap(),
    };
    text
}

/// `--force` replaces what came of an earlier run, and never what this one reads: a file, or a part of the model.
#[test]
fn nothing_that_is_read_is_replaced() {
    let place = trained();
    place.write("ids.csv", "item\ni1\n");
    for (line, said) in [
        ("recommend m --all --only ids.csv --output ids.csv", "would take the place"),
        ("recommend m --all --titles ids.csv --output ids.csv", "would take the place"),
        ("recommend m --users-file ids.csv --output ids.csv", "would take the place"),
        ("recommend m --new-users ids.csv --output ids.csv", "would take the place"),
        ("similar m --items-file ids.csv --output ids.csv", "would take the place"),
        ("similar m --all --exclude ids.csv --output ids.csv", "would take the place"),
        ("recommend m --all --output m/users.csv", "nothing but the model"),
        ("similar m --all --output m/more.csv", "nothing but the model"),
        ("predict m pairs.csv --output m/model.safetensors", "nothing but the model"),
        ("evaluate m r.csv --ranking --per-user m/users.csv", "nothing but the model"),
        ("report m --output m/r.html", "nothing but the model"),
        ("compare m m r.csv --output m/r.html", "nothing but the model"),
    ] {
        let before = place.tensors("m");
        let output = place.run(&format!("{line} --force"));
        let talk = stderr(&output);
        assert!(!output.status.success() && talk.contains(said), "{line}: {talk}");
        assert_eq!(place.read("ids.csv"), b"item\ni1\n", "{line}");
        assert!(place.tensors("m") == before && !place.path("m/more.csv").exists(), "{line}");
    }
}

#[test]
fn every_list_goes_wherever_it_is_told_to() {
    let place = trained();
    for command in ["predict m pairs.csv", "recommend m --all -n 2", "similar m --all -n 2"] {
        let printed = place.ok(command);
        for name in ["deep/er/out.csv", "out.csv.gz", "out.csv.zst"] {
            place.ok(&format!("{command} --output {name}"));
            assert_eq!(unpacked(&place.path(name)), printed, "{command} {name}");
            let again = place.run(&format!("{command} --output {name}"));
            assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
            fs::remove_file(place.path(name)).unwrap();
        }
        for name in ["-", "/dev/stdout"] {
            assert_eq!(
                place.ok(&format!("{command} --output {name}")),
                printed,
                "{command} {name}"
            );
        }
    }
    assert_eq!(
        place.ok("synth --ratings 50 --users 9 --items 9 --output /dev/stdout").lines().count(),
        50
    );
}

#[test]
#[cfg(unix)]
fn links_lead_on_rights_stay_and_pipes_are_written_to() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let place = trained();
    fs::create_dir(place.path("there")).unwrap();
    place.write("there/secret.csv", "old");
    fs::set_permissions(place.path("there/secret.csv"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("there/secret.csv", place.path("link.csv")).unwrap();
    symlink("there/new.csv", place.path("ahead.csv")).unwrap();
    for command in ["predict m pairs.csv", "recommend m --all -n 2"] {
        let printed = place.ok(command);
        place.ok(&format!("{command} --output link.csv --force"));
        assert!(fs::symlink_metadata(place.path("link.csv")).unwrap().is_symlink());
        assert_eq!(unpacked(&place.path("there/secret.csv")), printed);
        let rights = fs::metadata(place.path("there/secret.csv")).unwrap().permissions().mode();
        assert_eq!(rights & 0o777, 0o600);
        place.ok(&format!("{command} --output ahead.csv --force"));
        assert!(fs::symlink_metadata(place.path("ahead.csv")).unwrap().is_symlink());
        assert_eq!(unpacked(&place.path("there/new.csv")), printed);
        // A device needs no leave, and stays one.
        place.ok(&format!("{command} --output /dev/null"));
        place.ok(&format!("{command} --output /dev/null --force"));
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let pipe = place.path("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if !made.is_ok_and(|status| status.success()) {
            crate::common::skipped("mkfifo is not there");
            continue;
        }
        let mut running =
            place.command(&format!("{command} --output pipe --force")).spawn().unwrap();
        assert_eq!(fs::read_to_string(&pipe).unwrap(), printed);
        assert!(running.wait().unwrap().success());
        fs::remove_file(&pipe).unwrap();
    }
    assert_eq!(place.names("there"), ["new.csv", "secret.csv"]);
}

#[test]
fn a_file_that_is_missing_prints_no_header_and_no_checkpoint_is_noticed_first() {
    let place = trained();
    let output = place.run("predict m nowhere.csv");
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("nowhere.csv: No such file"), "{}", stderr(&output));
    // The ratings are not there either: what is asked first is said first.
    let output = place.run("train nowhere.csv --model n --resume");
    assert!(stderr(&output).contains("no checkpoint to resume"), "{}", stderr(&output));
    place.ok("train r.csv --model n --solver als --epochs 2 --checkpoint-every 1 --quiet");
    assert!(!place.path("n-checkpoint").exists());
}

#[test]
fn quiet_is_quiet_but_for_errors() {
    let place = trained();
    place.write("more.csv", "user,item,rating\nzoe,i1,4\nzoe,i2,2\nq,q,1\n");
    for command in [
        "train r.csv --model n --factors 2 --epochs 1 --holdout 0.2",
        "evaluate m r.csv",
        "evaluate m r.csv --ranking --include-seen",
        "predict m more.csv",
        "recommend m --users u1,nobody -n 99",
        "recommend m --new-users more.csv",
        "similar m --items i1,nothing",
        "fold-in m more.csv --output grown",
        "export m --format npy --output npy",
        "info m",
        "split r.csv --output parts",
        "synth --ratings 50 --users 9 --items 9 --output -",
    ] {
        let output = place.run(&format!("{command} --quiet"));
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{command}");
        assert!(!output.stdout.is_empty() || command.starts_with("export"), "{command}");
    }
    let output = place.run("-q info nowhere");
    assert!(stderr(&output).starts_with("error: nowhere: "), "{}", stderr(&output));
}

#[test]
fn shells_and_man_know_every_command() {
    let place = Place::new();
    let help = place.ok("--help");
    let commands =
        ["train", "evaluate", "predict", "recommend", "similar", "fold-in", "export", "info"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.ok(&format!("completions {shell}"));
        for command in commands {
            assert!(help.contains(command) && script.contains(command), "{shell} {command}");
        }
        assert!(script.contains("reg-exponent"), "{shell}");
    }
    let page = place.ok("man");
    assert!(page.contains(".TH wgmf 1") && page.contains("fold\\-in"), "{page}");
    assert!(place.ok("man train").contains("reg\\-bias"));
    place.ok("man --output pages");
    let names = place.names("pages");
    for command in commands {
        assert!(names.contains(&format!("wgmf-{command}.1")), "{names:?}");
    }
}

#[test]
fn the_json_of_info_has_all_that_it_prints() {
    let place = trained();
    let (text, json) = (place.ok("info m"), place.json("info m --json"));
    for (key, value) in [
        ("model", "m"),
        ("solver", "als"),
        ("loss", "squared"),
        ("likelihood", "gaussian"),
        ("backend", "cpu"),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(json[key], value, "{key}");
    }
    for key in ["users", "items", "factors", "ratings", "global_mean", "biases", "seed", "device"] {
        assert!(!json[key].is_null(), "{key}");
    }
    assert_eq!(json["history"].as_array().unwrap().len(), 2);
    assert_eq!(json["settings"]["block"], 2);
    assert_eq!(json["data"]["users"], 10);
    assert_eq!(json["parts"]["items.csv"]["xxh128"].as_str().unwrap().len(), 32);
    assert!(text.contains("settings") && !text.contains("xxh128"), "{text}");
}

#[test]
fn users_are_held_out_whole() {
    let place = trained();
    let facts = place.json("split r.csv --users 0.3 --output parts --json");
    let rows = |name: &str| -> Vec<String> {
        let text = String::from_utf8(place.read(name)).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    };
    let (train, test) = (rows("parts/train.csv"), rows("parts/test.csv"));
    assert_eq!(facts["parts"][0]["test_ratings"], test.len());
    let users = |rows: &[String]| -> std::collections::BTreeSet<String> {
        rows.iter().map(|row| row.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!((users(&train).len(), users(&test).len()), (7, 3));
    assert!(users(&train).is_disjoint(&users(&test)));
    let mut all = [train, test].concat();
    all.sort();
    let mut want = rows("r.csv");
    want.sort();
    assert_eq!(all, want);
    let output = place.run("split r.csv --users 0.3 --holdout 0.1 --output other");
    assert_eq!(output.status.code(), Some(2));
}
