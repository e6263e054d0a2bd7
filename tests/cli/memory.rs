//! What does not fit is refused before the work, in words, with what would fit; what fits is announced.

use crate::place::{Place, WGMF, stderr, stdout};
use std::process::{Command, Output, Stdio};

/// Runs the binary where addresses are bounded to so many KiB, as `ulimit -v` does.
fn bounded(place: &Place, kib: u64, line: &str) -> Output {
    let line = format!("ulimit -v {kib}; exec {WGMF} {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &line]).current_dir(place.path("")).stdin(Stdio::null());
    command.output().unwrap()
}

/// A place with a set and a model of each kind.
fn furnished() -> Place {
    let place = Place::with_sample();
    place.ok("train plays.csv --solver als --factors 8 --epochs 1 --model rows");
    place.ok("train plays.csv --solver bayes --factors 8 --samples 12 --burn-in 1 --keep 12 --model drawn");
    place.write("new.csv", "Zoe,Amber Bells,5\nZoe,Dim Glass,1\n");
    place
}

/// What is refused says what it would take; nothing is written, and nothing aborts.
#[test]
fn what_cannot_fit_is_refused_with_what_would() {
    let place = furnished();
    let before = place.tree();
    let train = "train plays.csv --model m --threads 2 --backend cpu";
    for (line, says) in [
        // Whatever the file holds.
        ("--solver bayes --keep 1000000000 --samples 1000000000", "--samples 1000000000 needs "),
        ("--solver bayes --chains 400000000 --keep 400000000", "--chains 400000000 needs "),
        ("--solver bayes --samples 9000000000000", "--samples 9000000000000 needs "),
        ("--solver als --epochs 90000000000000", "--epochs 90000000000000 needs "),
        // By what it holds.
        ("--solver adam --factors 1024 --memory-limit 45MB", "--factors 1024 needs "),
        ("--solver sgd --memory-limit 1MB", "no smaller settings would do"),
    ] {
        let line = format!("{train} {line}");
        let output = place.run(&line);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "wgmf {line}: {message}");
        let error = message.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains(says) && error.contains("--memory-limit"), "wgmf {line}: {message}");
        assert!(stdout(&output).is_empty());
    }
    for line in [
        "recommend rows --all --backend cpu --memory-limit 1MB",
        "similar rows --all --memory-limit 1MB",
        "evaluate rows plays.csv --memory-limit 1MB",
        "evaluate rows plays.csv --ranking --memory-limit 1MB",
        "predict rows plays.csv --memory-limit 1MB",
        "fold-in rows new.csv --output grown --memory-limit 1MB",
        "recommend drawn --all --memory-limit 1MB",
        "inspect plays.csv --memory-limit 1MB",
    ] {
        let output = place.run(line);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "wgmf {line}: {message}");
        assert!(message.contains("--memory-limit allows no more"), "wgmf {line}: {message}");
        assert!(stdout(&output).is_empty());
    }
    assert_eq!(place.tree(), before, "something was written");
}

/// The other setting that is proposed fits.
#[test]
fn what_is_proposed_fits() {
    let place = Place::with_sample();
    let line = "train plays.csv --model m --solver adam --epochs 1 --memory-limit 40MB --threads 1 --backend cpu";
    let message = stderr(&place.run(&format!("{line} --factors 1024")));
    let proposed = message.split("; --factors ").nth(1).unwrap_or_else(|| panic!("{message}"));
    let factors = proposed.split(' ').next().unwrap();
    assert!(factors.parse::<usize>().unwrap() >= 32, "{message}");
    place.ok(&format!("{line} --factors {factors}"));
    let unbounded = line.replace("--memory-limit 40MB", "--memory-limit none");
    place.ok(&format!("{unbounded} --factors 1024 --force"));
}

#[test]
fn what_is_needed_is_announced_unless_nobody_wants_to_hear() {
    let place = Place::with_sample();
    let line = "train plays.csv --factors 2 --epochs 1 --force --model m";
    let said = stderr(&place.run(&format!("{line} --memory-limit 2GB")));
    let line_of = said.lines().find(|line| line.starts_with("memory: needs ")).unwrap();
    assert!(line_of.ends_with(" MB of 2.0 GB"), "{said}");
    assert!(!stderr(&place.run(&format!("{line} --quiet"))).contains("memory"));
    assert!(!stderr(&place.run(&format!("{line} --progress none"))).contains("memory"));
    let wrong = place.run(&format!("{line} --memory-limit much"));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("\"much\" is no size of memory"), "{}", stderr(&wrong));
}

/// A bound that the system sets counts as one that is asked for, and where the estimate lets something
/// through that does not fit it is an error too: never a signal.
#[test]
#[cfg(target_os = "linux")]
fn limits_of_the_shell_count_and_nothing_aborts() {
    let place = furnished();
    let before = place.tree();
    let big = "train plays.csv --solver adam --factors 1024 --epochs 1 --model m --threads 2 --backend cpu";
    let output = bounded(&place, 400_000, big);
    let message = stderr(&output);
    // Two threads have addresses of their own: what is left may do, or not.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{message}");
    let mut refused = 0;
    for kib in [30_000, 60_000, 90_000, 120_000, 160_000, 200_000, 240_000] {
        for line in [
            "train plays.csv --solver als --factors 900 --epochs 1 --model n --force --threads 1 --backend cpu",
            "train plays.csv --solver bayes --factors 64 --samples 60 --keep 60 --burn-in 1 --model n \
             --force --threads 1 --backend cpu --memory-limit none",
            "recommend drawn --all --threads 1 --output lists.csv --force",
            "evaluate drawn plays.csv --threads 1 --memory-limit none",
        ] {
            let output = bounded(&place, kib, line);
            let message = stderr(&output);
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 1 | 2 | 127)), "{kib} KiB, {line}: {code:?} {message}");
            assert!(!message.contains("panicked"), "{kib} KiB, {line}: {message}");
            refused += usize::from(code == Some(1));
        }
    }
    assert!(refused > 3, "{refused}");
    for model in ["rows", "drawn"] {
        let same = |tree: &std::collections::BTreeMap<std::path::PathBuf, Option<Vec<u8>>>| {
            let of = tree.iter().filter(|(path, _)| path.starts_with(place.path(model)));
            of.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<Vec<_>>()
        };
        assert_eq!(same(&before), same(&place.tree()));
    }
}

/// A model that no disk holds is refused before it is trained.
#[test]
#[cfg(unix)]
fn what_no_disk_holds_is_refused() {
    let place = Place::with_sample();
    let line =
        "train plays.csv --solver bayes --samples 900000000000 --keep 900000000000 --model m";
    let output = place.run(&format!("{line} --memory-limit none"));
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("m: the model will take "), "{message}");
    assert!(message.contains("make room, or choose another place"), "{message}");
}

/// Ratings at the end of what 32 bits hold: scaled they are as good as any, else refused; whatever is
/// printed or written with exit 0 is a number.
#[test]
fn ratings_of_any_size_give_numbers_or_an_error() {
    let place = Place::new();
    let mut text = String::from("user,item,rating\n");
    for user in 0..12 {
        for item in (0..9).filter(|item| (user * 5 + item * 7) % 4 != 0) {
            let high = (user + 2 * item) % 5;
            let rating = ["-3.4e38", "-1e38", "0", "2e38", "3.4e38"][high];
            text += &format!("u{user},i{item},{rating}\n");
        }
    }
    place.write("huge.csv", text);
    let is_number = |text: &str, line: &str| {
        let wrong = |word: &str| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            ["inf", "nan", "infinity"].contains(&&*word.to_lowercase())
        };
        assert!(!text.split([',', ' ', ':', '\n']).any(wrong), "wgmf {line}: {text}");
    };
    let mut trained = 0;
    for transform in ["none", "minmax", "zscore", "zscore,minmax"] {
        for solver in ["als --reg 0.0001", "sgd", "adam", "bayes --samples 3 --burn-in 1"] {
            let line = format!(
                "train huge.csv --transform {transform} --solver {solver} --factors 3 --holdout 0.2 \
                 --model m --force --progress json"
            );
            let output = place.run(&line);
            if transform == "none" {
                let message = stderr(&output);
                assert_eq!(output.status.code(), Some(1), "wgmf {line}: {message}");
                assert!(message.contains("--transform zscore or minmax"), "wgmf {line}: {message}");
                continue;
            }
            assert!(output.status.success(), "wgmf {line}: {}", stderr(&output));
            is_number(&stdout(&output), &line);
            trained += 1;
            for command in [
                "recommend m --all -n 9 --include-seen",
                "recommend m --all -n 9 --format jsonl",
                "predict m huge.csv",
                "predict m huge.csv --json",
                "evaluate m huge.csv --baselines",
                "evaluate m huge.csv --json",
                "similar m --all",
                "info m --json",
            ] {
                let output = place.run(command);
                if output.status.success() {
                    is_number(&stdout(&output), command);
                } else {
                    assert_eq!(output.status.code(), Some(1), "wgmf {command}");
                }
            }
        }
    }
    assert_eq!(trained, 12);
}
