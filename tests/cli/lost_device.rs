//! A GPU that fails under the commands: one line that says so, everything on disk as it was, or the CPU.

use crate::common;
use crate::place::{Place, stderr, stdout};
use std::process::Output;

/// Runs a command whose GPU fails (`lost@12`, see `wgmf::gpu::Trouble`).
fn run(place: &Place, line: &str, failure: &str) -> Output {
    place.command(line).env("WGMF_DEVICE_FAILS", failure).output().unwrap()
}

/// Six users and four items.
const STARS: &str =
    "ann,x,5\nann,y,1\nbob,x,4\nbob,z,2\ncid,y,2\ncid,w,5\ndee,z,1\neve,w,4\nfay,x,3\n";

/// Only such builds take failures from their environment.
fn can_fail() -> bool {
    let can = cfg!(debug_assertions);
    if !can {
        common::skipped("failures of a GPU under the commands: this build takes none");
    }
    can
}

/// The flag that names the best adapter.
fn adapter(place: &Place) -> String {
    let devices = place.json("devices --json");
    let name = devices["adapters"][0]["name"].as_str();
    let name = name.unwrap_or_else(|| panic!("no adapter: {devices} (./test.sh installs one)"));
    format!("--adapter {}", name.split_whitespace().next().unwrap())
}

#[test]
fn training_stops_with_its_checkpoint_or_goes_on() {
    if !can_fail() {
        return;
    }
    let place = Place::new();
    place.write("stars.csv", STARS);
    let on_gpu = adapter(&place);
    let base = "train stars.csv --solver als --factors 3 --epochs 60 --model m";
    place.ok(&format!("{base} --seed 9"));
    let before = place.tensors("m");
    let gpu = format!("{base} --force --checkpoint-every 1 {on_gpu}");
    for (failure, flags, says) in [
        ("lost@60", "", "the device was lost"),
        ("waiting@40", "", "the device was lost (Parent device is lost)"),
        ("hangs@40", " --device-timeout 0.2", "no answer for 0.2 s"),
    ] {
        let output = run(&place, &format!("{gpu}{flags}"), failure);
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{failure}: {talk}");
        assert_eq!(talk.matches("error: ").count(), 1, "{failure}: {talk}");
        for part in [
            says,
            "use --backend cpu, or go on there with --fallback cpu",
            "the last checkpoint is whole in m.checkpoint, --resume goes on from it",
        ] {
            assert!(talk.contains(part), "{failure}: {talk}");
        }
        assert!(!talk.contains("panicked"), "{failure}: {talk}");
        assert!(place.tensors("m") == before, "{failure}: the model changed");
        assert_eq!(place.names("."), ["m", "m.checkpoint", "stars.csv"]);
    }
    let resume = format!("{base} --force --backend cpu --resume");
    assert!(stderr(&place.run(&resume)).contains("--resume-anyway"));
    place.ok(&format!("{resume} --resume-anyway"));
    assert_eq!(place.record("m")["epochs"], 60);

    for (failure, flags) in [
        ("lost@60", "--checkpoint-every 3"),
        ("memory@70", "--progress json"),
        ("waiting@40", "--from m"),
        ("lost@0", "--from m"),
    ] {
        let line = format!("{base} --force {on_gpu} --fallback cpu {flags}");
        let output = run(&place, &line, failure);
        let talk = stderr(&output);
        assert!(output.status.success(), "{failure} {flags}: {talk}");
        for part in ["warning: ", "this run goes on on the CPU (", "to the bit"] {
            let unsaid = part == "to the bit" && failure == "lost@0";
            assert!(talk.contains(part) || unsaid, "{failure} {flags}: {talk}");
        }
        let record = place.record("m");
        assert_eq!((&record["backend"], &record["epochs"]), (&"cpu".into(), &60.into()));
        let fallback = &record["fallback"];
        assert_eq!(fallback["backend"], "gpu", "{failure} {flags}: {record}");
        let epochs = fallback["epochs"].as_u64().unwrap();
        assert_eq!(record["history"][epochs as usize]["fallback"], *fallback);
        assert!(place.ok("info m").contains("fallback"), "{failure} {flags}");
        if flags == "--progress json" {
            let text = stdout(&output);
            assert!(text.contains("\"event\":\"fallback\""), "{text}");
        }
        assert_eq!(place.names("."), ["m", "stars.csv"], "{failure} {flags}");
    }
}

#[test]
fn lists_and_figures_are_those_of_the_cpu_or_none() {
    if !can_fail() {
        return;
    }
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.write("new.csv", "zoe,x,5\nzoe,y,1\n");
    let on_gpu = adapter(&place);
    place.ok("train stars.csv --solver als --factors 3 --epochs 4 --model m");
    let before = place.tree();
    for (line, failure, output) in [
        ("recommend m --all -n 2 --format jsonl", "lost@1", None),
        ("recommend m --new-users new.csv -n 2 --output lists.csv", "memory@2", Some("lists.csv")),
        ("similar m --all -n 2 --output lists.csv", "waiting@0", Some("lists.csv")),
        ("evaluate m stars.csv --ranking --include-seen --json", "lost@2", None),
        ("fold-in m new.csv --output grown", "lost@0", Some("grown")),
    ] {
        let bare = run(&place, &format!("{line} {on_gpu}"), failure);
        let talk = stderr(&bare);
        assert_eq!(bare.status.code(), Some(1), "{line}: {talk}");
        assert!(talk.contains("--fallback cpu") && !talk.contains("panicked"), "{line}: {talk}");
        assert!(stdout(&bare).is_empty(), "{line}: {}", stdout(&bare));
        assert!(place.tree() == before, "{line} leaves {:?}", place.names("."));

        let take = |done: &Output| match output {
            Some("grown") => {
                let tensors = place.tensors("grown");
                std::fs::remove_dir_all(place.path("grown")).unwrap();
                tensors
            }
            Some(name) => {
                let bytes = place.read(name);
                std::fs::remove_file(place.path(name)).unwrap();
                bytes
            }
            None => stdout(done).into_bytes(),
        };
        let cpu = place.run(&format!("{line} --backend cpu"));
        assert!(cpu.status.success(), "{line}: {}", stderr(&cpu));
        let want = take(&cpu);
        let fallen = run(&place, &format!("{line} {on_gpu} --fallback cpu"), failure);
        let talk = stderr(&fallen);
        assert!(fallen.status.success(), "{line}: {talk}");
        assert!(talk.contains("this run goes on on the CPU"), "{line}: {talk}");
        assert!(take(&fallen) == want, "{line}");
    }
}

#[test]
fn flags_of_devices_are_checked() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    place.ok("train stars.csv --factors 2 --epochs 1 --model m");
    for (line, says) in [
        ("recommend m --all --device-timeout 0", "must be above 0 seconds"),
        ("recommend m --all --device-timeout -1", "must be above 0 seconds"),
        ("similar m --all --device-timeout nan", "must be above 0 seconds"),
        ("bench --fallback cpu", "is not measured on another"),
        ("evaluate m stars.csv --fallback cpu", "add --ranking"),
        ("train stars.csv --fallback gpu", "[possible values: cpu]"),
    ] {
        let output = place.run(line);
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {talk}");
        assert!(talk.contains(says), "{line}: {talk}");
    }
    // One that cannot be opened is no reason to stop either, where that is said.
    let mut command = place.command("recommend m --all -n 1 --adapter nowhere --fallback cpu");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("by --fallback: "), "{}", stderr(&output));
}
