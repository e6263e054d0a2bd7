//! Every command that writes, its disk failing at one call or the process killed before it: the old or the
//! new is whole, the exit code says which, and the next run leaves nothing of the last one.
//! `tests/library/crash.rs` tries every call of the library's writers; here it is some calls of each command.

use crate::common;
use crate::place::{Place, stderr};
use std::collections::BTreeMap;
use std::path::PathBuf;

type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Commands over what is there already, and what they write.
const WRITERS: [(&str, &[&str]); 18] = [
    ("train r.csv --solver als --factors 2 --epochs 2 --model m --force --seed SEED", &["m"]),
    (
        "train r.csv --solver als --factors 2 --epochs 2 --model c --force --seed SEED --checkpoint-every 1",
        &["c", "c.checkpoint"],
    ),
    (
        "train r.csv --solver bayes --factors 2 --samples 2 --burn-in 1 --model b --force --seed SEED",
        &["b"],
    ),
    ("fold-in base SEED.csv --output grown --force", &["grown"]),
    ("fold-in bayes SEED.csv --output grown-bayes --force", &["grown-bayes"]),
    ("predict base pairs.csv --output p.csv.gz --force --clip", &["p.csv.gz"]),
    ("recommend base --all -n SEED --output lists.csv --force", &["lists.csv"]),
    ("similar base --all -n SEED --output like.jsonl --format jsonl --force", &["like.jsonl"]),
    ("similar base --all -n SEED --output like.parquet --force", &["like.parquet"]),
    ("evaluate base SEED.csv --per-user each.csv --force", &["each.csv"]),
    ("export base --format projector --output projector --force", &["projector"]),
    ("export base --format parquet --output tables --force", &["tables"]),
    ("export base --format word2vec --output vectors --force", &["vectors"]),
    ("split r.csv --holdout 0.3 --seed SEED --output parts --force", &["parts"]),
    ("split r.csv --folds 3 --seed SEED --output folds --force", &["folds"]),
    (
        "synth --users 9 --items 9 --ratings 40 --seed SEED --output s.csv.zst --force",
        &["s.csv.zst"],
    ),
    ("man --output pages", &["pages"]),
    ("completions bash", &[]),
];

fn place() -> Place {
    let place = Place::new();
    let rows = (0..60).map(|i| format!("u{},i{},{}\n", i % 10, i * i % 7, 1 + i % 5));
    place.write("r.csv", format!("user,item,rating\n{}", rows.collect::<String>()));
    place.write("pairs.csv", "user,item\nu1,i1\nu2,i2\n");
    place.write("1.csv", "user,item,rating\nzoe,i1,5\nzoe,i2,1\nu1,i3,2\n");
    place.write("2.csv", "user,item,rating\nyan,i1,2\nyan,i4,4\nu2,i1,2\n");
    place.ok("train r.csv --model base --solver als --factors 2 --epochs 2 --quiet");
    place
        .ok("train r.csv --model bayes --solver bayes --factors 2 --samples 2 --burn-in 1 --quiet");
    place
}

/// What a user sees of what a command writes, without the times in `run.json` and what follows from them.
fn seen(tree: &Tree, names: &[&str]) -> Tree {
    let ours = |path: &&PathBuf| {
        let first = path.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned());
        let dated = ["run.json", "checkpoint.json"].iter().any(|name| path.ends_with(name));
        first.is_some_and(|first| names.contains(&&*first)) && !dated
    };
    tree.iter().filter(|(path, _)| ours(path)).map(|(p, b)| (p.clone(), b.clone())).collect()
}

fn relative(place: &Place) -> Tree {
    let home = place.path(".");
    let home = home.parent().unwrap();
    let all = place.tree().into_iter();
    all.filter_map(|(path, bytes)| Some((path.strip_prefix(home).ok()?.to_owned(), bytes)))
        .collect()
}

fn strays(tree: &Tree) -> Vec<&PathBuf> {
    tree.keys().filter(|path| path.to_string_lossy().contains(".wgmf-")).collect()
}

#[test]
fn whatever_fails_under_a_command_the_old_or_the_new_is_whole() {
    if !cfg!(debug_assertions) {
        common::skipped("failing disks under the commands: this build takes none");
        return;
    }
    let place = place();
    let mut tried = 0;
    for (line, names) in WRITERS {
        let versions = ["1", "2"].map(|seed| line.replace("SEED", seed));
        place.ok(&versions[0]);
        let mut turn = 0;
        for dies in [false, true] {
            // Early calls stand close, later ones apart, until none fails any more.
            let mut quiet = 0;
            for at in (0..3).chain((3..500).step_by(if dies { 19 } else { 13 })) {
                let before = seen(&relative(&place), names);
                turn += 1;
                let line = &versions[turn % 2];
                let trouble = format!("{at}{}", if dies { "!" } else { "" });
                let output = place.command(line).env("WGMF_DISK_FAILS", &trouble).output().unwrap();
                let talk = stderr(&output);
                let what = format!("{line}, call {trouble}: {talk}");
                let now = seen(&relative(&place), names);
                let code = output.status.code();
                match (dies, code) {
                    (_, Some(0)) | (true, None) => {}
                    (false, Some(1)) => assert_eq!(talk.matches("error: ").count(), 1, "{what}"),
                    _ => panic!("{code:?} of {what}"),
                }
                tried += 1;
                let again = place.run(line);
                assert!(again.status.success(), "{what}; then {}", stderr(&again));
                let all = relative(&place);
                assert!(strays(&all).is_empty(), "{what}; then there is {:?}", strays(&all));
                let after = seen(&all, names);
                if code == Some(0) {
                    assert!(now == after, "{what}: is not written");
                    // Some failures are got over, with a warning or, of what only tidies up, without.
                    quiet = if talk.contains("warning: ") { 0 } else { quiet + 1 };
                    if quiet == 2 {
                        break;
                    }
                } else {
                    let whole = now == before || now == after || parted(&now, [&before, &after]);
                    assert!(whole, "{what}: {:?}", now.keys());
                    quiet = 0;
                }
            }
        }
    }
    println!("{tried} failures and kills");
}

/// Outputs that come one after another: a model and its checkpoints, pages of a manual. Each is whole.
fn parted(now: &Tree, versions: [&Tree; 2]) -> bool {
    let top = |path: &PathBuf| path.components().next().map(|c| c.as_os_str().to_owned());
    let pages = now.keys().all(|path| path.starts_with("pages"));
    let part = |tree: &Tree, name: &std::ffi::OsString| -> Tree {
        let own = tree.iter().filter(|(path, _)| top(path).as_ref() == Some(name));
        own.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
    };
    if pages {
        let known = |(path, bytes)| versions.iter().any(|tree| tree.get(path) == Some(bytes));
        return now.iter().all(known);
    }
    // Checkpoints differ from one epoch to the next; `info` and `--resume` open what is there.
    let mut names: Vec<_> = now.keys().filter_map(top).collect();
    names.dedup();
    names
        .iter()
        .filter(|name| !name.to_string_lossy().ends_with(".checkpoint"))
        .all(|name| versions.iter().any(|tree| part(tree, name) == part(now, name)))
}
