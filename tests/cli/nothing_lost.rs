//! Signals, locks and disks that take no more: what was there stays until its successor is whole, and a run
//! that ends early says so.
#![cfg(unix)]

use crate::place::{Place, WGMF, stderr, stdout};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Six users and four items.
const STARS: &str =
    "ann,x,5\nann,y,1\nbob,x,4\nbob,z,2\ncid,y,2\ncid,w,5\ndee,z,1\neve,w,4\nfay,x,3\n";

/// Starts a run that takes for ever, and waits until its first epochs are over.
fn start(place: &Place, line: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = place.command(&format!("{line} --progress json"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\"epoch\":2,") {
        assert!(out.read_line(&mut text).unwrap() > 0, "{text}");
    }
    (child, out)
}

fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// SIGHUP and the code it leaves; where it is ignored, since tests run under nohup, SIGTERM, for who is to
/// outlive a terminal does not mind its end.
fn hang_up() -> (&'static str, i32) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    match mask.is_some_and(|mask| mask & 1 != 0) {
        true => ("-TERM", 143),
        false => ("-HUP", 129),
    }
}

/// Sends a signal; the last event and how the run ended.
fn end(
    (child, out): (Child, BufReader<std::process::ChildStdout>),
    signal: &str,
) -> (Value, Output) {
    send(&child, signal);
    let last = out.lines().last().unwrap().unwrap();
    (serde_json::from_str(&last).unwrap(), child.wait_with_output().unwrap())
}

#[test]
fn a_second_run_on_a_model_is_refused_and_a_signal_leaves_a_checkpoint() {
    let place = Place::with_sample();
    let run = "train plays.csv --factors 4 --solver als --backend cpu";
    let line = format!("{run} --model m --epochs 100000");
    let first = start(&place, &line);
    let began = Instant::now();
    for second in [&*line, "fold-in nowhere plays.csv --output m"] {
        let second = place.run(second);
        let talk = stderr(&second);
        assert_eq!(second.status.code(), Some(1), "{talk}");
        let owner = format!("error: m: is being written by process {} on ", first.0.id());
        assert!(talk.contains(&owner), "{talk}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "not at once");
    let (done, output) = end(first, "-TERM");
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    assert!(stderr(&output).contains("SIGTERM: stopping after this epoch"), "{}", stderr(&output));
    assert_eq!((&done["stop"], &done["stopped_by"]), (&"interrupted".into(), &"SIGTERM".into()));
    assert_eq!((&done["model"], &done["checkpoint"]), (&"m".into(), &"m.checkpoint".into()));
    assert_eq!(place.record("m")["stopped_by"], "SIGTERM");
    assert!(place.ok("info m").contains("by SIGTERM"));
    assert_eq!(place.names("."), ["m", "m.checkpoint", "plays.csv"]);

    // Settings that differ are named; another version or device goes on only where bits may differ.
    let five = run.replace("--factors 4", "--factors 5");
    let talk = stderr(&place.run(&format!("{five} --model m --resume")));
    assert!(talk.contains("--factors was 4 and is 5"), "{talk}");
    let record = String::from_utf8(place.read("m.checkpoint/checkpoint.json")).unwrap();
    let epochs = done["epochs"].as_u64().unwrap() + 2;
    let resume = format!("{run} --model m --epochs {epochs} --resume");
    let version = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    for (from, to, says) in [
        (version, "\"version\": \"0.0.1\"", "version 0.0.1 then"),
        ("\"backend\": \"cpu\"", "\"backend\": \"gpu\"", "the device was "),
    ] {
        assert!(record.contains(from), "{record}");
        place.write("m.checkpoint/checkpoint.json", record.replace(from, to));
        let output = place.run(&resume);
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{talk}");
        assert!(talk.contains(says) && talk.contains("--resume-anyway"), "{talk}");
    }
    let output = place.run(&format!("{resume} --resume-anyway"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("note: the device was "), "{}", stderr(&output));
    // It went on from the model that was ended early, without --force, and to the same bits.
    assert!(place.record("m")["stopped_by"].is_null());
    place.ok(&format!("{run} --model straight --epochs {epochs}"));
    assert!(place.tensors("m") == place.tensors("straight"));
    assert_eq!(place.names("."), ["m", "plays.csv", "straight"]);
}

/// Killed twice, after some epochs; `tools/attack/lost.py` does it hundreds of times.
#[test]
fn a_run_of_any_kind_killed_twice_goes_on_to_the_same_bits() {
    let place = Place::new();
    place.ok("synth --users 60 --items 40 --ratings 900 --scale stars --output s.csv");
    place.ok("train s.csv --solver als --factors 4 --epochs 2 --model base");
    let before = place.names(".");
    for (flags, at_start) in [
        ("--solver sgd --factors 4 --epochs 200", ""),
        ("--solver sgd --factors 4 --epochs 200 --batch-size 64 --momentum 0.5", "--from base"),
        ("--solver adam --factors 4 --epochs 200 --holdout 0.1 --patience 190", ""),
        ("--solver als --factors 4 --epochs 200", "--from base"),
        ("--solver ials --factors 4 --epochs 200 --holdout 0.1", ""),
        ("--solver bayes --factors 4 --samples 100 --burn-in 4 --chains 2 --holdout 0.1", ""),
        ("--solver bayes --factors 4 --samples 100 --burn-in 4 --likelihood ordinal", ""),
    ] {
        let run = format!("train s.csv --backend cpu {flags}");
        place.ok(&format!("{run} {at_start} --model straight"));
        let mut first = format!("{run} {at_start}");
        for _ in 0..2 {
            let line = format!("{first} --model killed --checkpoint-every 1 --progress json");
            let mut command = place.command(&line);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let epochs = lines.map_while(Result::ok).filter(|line| line.contains("\"epoch\","));
            assert_eq!(epochs.take(4).count(), 4, "{line}: is not under way");
            child.kill().unwrap();
            assert!(!child.wait().unwrap().success(), "{line}: was through before it was killed");
            assert!(!place.path("killed").exists());
            first = format!("{run} --resume");
        }
        place.ok(&format!("{first} --model killed"));
        assert!(place.tensors("killed") == place.tensors("straight"), "{flags}");
        let samples = "samples.safetensors";
        if place.path(&format!("straight/{samples}")).exists() {
            let of = |model| place.read(&format!("{model}/{samples}"));
            assert!(of("killed") == of("straight"), "{flags}");
        }
        for model in ["killed", "straight"] {
            std::fs::remove_dir_all(place.path(model)).unwrap();
        }
        assert_eq!(place.names("."), before, "{flags}");
    }
}

#[test]
fn a_signal_replaces_no_model_unless_asked() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --factors 4 --epochs 1 --seed 5");
    let before = place.tensors("m");
    let run = "train plays.csv --model m --factors 4 --epochs 100000 --force";
    let (hup, hup_code) = hang_up();
    for (signal, code, flags, kept) in [
        ("-TERM", 143, "", true),
        (hup, hup_code, " --solver als", true),
        (hup, hup_code, " --keep-early", false),
    ] {
        let (done, output) = end(start(&place, &format!("{run}{flags}")), signal);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert_eq!(place.tensors("m") == before, kept, "{signal}{flags}");
        assert_eq!(done["model"].is_null(), kept);
        assert!(place.path("m.checkpoint/checkpoint.json").exists());
        assert_eq!(place.names("."), ["m", "m.checkpoint", "plays.csv"]);
    }
    assert_eq!(place.record("m")["stopped_by"], hup.replace('-', "SIG"));
    // Ctrl-C is somebody who looks on: the model is written, and says so.
    let (done, output) = end(start(&place, run), "-INT");
    assert!(output.status.success());
    assert_eq!((&done["model"], &done["stopped_by"]), (&"m".into(), &"SIGINT".into()));
    assert_eq!(place.record("m")["stopped_by"], "SIGINT");
}

#[test]
fn a_pipe_that_gives_nothing_does_not_hold_up_the_end() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --factors 4 --epochs 1");
    let before = place.tree();
    let (hup, hup_code) = hang_up();
    for (line, signal, code) in [
        ("train - --model deep/new", "-TERM", 143),
        ("train - --model new --checkpoint-every 1", "-INT", 130),
        ("predict m - --output p.csv", hup, hup_code),
        ("split - --output parts", "-INT", 130),
        ("fold-in m - --output grown", "-TERM", 143),
    ] {
        let mut command = place.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"user,item,rating\nann,x,3\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{line}: {:?}", began.elapsed());
        assert_eq!(output.status.code(), Some(code), "{line}: {}", stderr(&output));
        assert!(place.tree() == before, "{line} leaves {:?}", place.names("."));
        drop(input);
    }
}

/// Files above a size cannot be written: a checkpoint of adam is three times the model.
#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_run_only_at_the_second() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    for (every, code) in [(2, 0), (1, 1)] {
        let line = format!(
            "trap '' XFSZ; ulimit -f 80; exec \"$0\" train stars.csv --solver adam --factors 512 --epochs 3 \
             --model m{every} --checkpoint-every {every} --backend cpu"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &line, WGMF]).current_dir(place.path("."));
        let output = command.output().unwrap();
        let talk = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{talk}");
        assert!(talk.contains("warning: no checkpoint after this epoch: "), "{talk}");
        assert_eq!(place.path(&format!("m{every}")).exists(), code == 0);
    }
    assert_eq!(place.names("."), ["m2", "stars.csv"]);
}

#[cfg(target_os = "linux")]
#[test]
fn progress_that_cannot_be_written_ends_no_training() {
    let place = Place::new();
    place.write("stars.csv", STARS);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command =
        place.command("train stars.csv --factors 2 --epochs 3 --model m --progress json");
    let output = command.stdout(full).output().unwrap();
    let talk = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{talk}");
    assert!(talk.contains("warning: training goes on without showing its progress"), "{talk}");
    assert!(talk.contains("No space left") && talk.contains("the model is saved in m"), "{talk}");
    assert_eq!(place.record("m")["epochs"], 3);
    assert!(place.ok("info m").contains("users"));
}

/// Two processes on one output file: one writes it, the other is refused, and names the first.
#[test]
fn an_output_is_written_by_one_process_at_a_time() {
    let place = Place::with_sample();
    place.ok("train plays.csv --model m --factors 4 --epochs 1");
    // It has its output open, and waits for pairs.
    let mut command = place.command("predict m - --output p.csv");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut first = command.spawn().unwrap();
    let mut input = first.stdin.take().unwrap();
    input.write_all(b"user,item\n").unwrap();
    let began = Instant::now();
    while !place.path(".p.csv.wgmf-lock").exists() && began.elapsed().as_secs() < 20 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    for line in ["predict m plays.csv --output p.csv --force", "recommend m --all -o p.csv"] {
        let output = place.run(line);
        assert_eq!(output.status.code(), Some(1));
        let owner = format!("p.csv: is being written by process {} on ", first.id());
        assert!(stderr(&output).contains(&owner), "{}", stderr(&output));
    }
    // Killed, it blocks nobody, and what it left goes.
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(place.names(".").iter().any(|name| name.contains(".wgmf-")), "{:?}", place.names("."));
    place.ok("predict m plays.csv --output p.csv");
    assert_eq!(place.names("."), ["m", "p.csv", "plays.csv"]);
    assert!(stdout(&place.run("recommend m --users Norel -n 2")).lines().count() >= 2);
}
