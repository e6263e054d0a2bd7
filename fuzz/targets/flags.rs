//! Command lines, made of the binary's own description of its flags, run by the binary in a directory with
//! files and models.

use super::{Target, cpu, home, model, taken, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use wgmf::core::{Options, Solver};
use wgmf::fit;

pub const TARGET: Target =
    Target { name: "flags", run: flags, seeds, head: 0, words: &WORDS, share: 15 };

const WORDS: [&str; 40] = [
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1e-320",
    "1e308",
    "nan",
    "inf",
    "18446744073709551616",
    "",
    "x",
    "plays.csv",
    "als",
    "bayes",
    "ials",
    "new",
    "list.txt",
    "out.csv",
    "out.csv.gz",
    "-",
    "u0",
    "u0,u1,nobody",
    "i 0",
    "1,2,3",
    "tab",
    "::",
    "binary",
    "log1p,zscore",
    "0.9",
    "5,10",
    "mean",
    "upper",
    "lower",
    "--json",
    "--force",
    "--quiet",
    "--help",
    "--",
    "--ranking",
];

/// Where the binary is.
pub static BINARY: OnceLock<PathBuf> = OnceLock::new();

fn binary() -> &'static Path {
    let named = || std::env::var_os("WGMF_BINARY").unwrap_or("wgmf".into()).into();
    BINARY.get_or_init(named)
}

/// Subcommands, with arguments that they run with; `bench` and `devices` do nothing with what is given.
const COMMANDS: [&str; 17] = [
    "train\nplays.csv\n--model\nnew\n--epochs\n2\n--factors\n2",
    "train\nplays.csv\n--solver\nbayes\n--samples\n2\n--burn-in\n1\n--factors\n2\n--model\nnew",
    "train\nplays.csv\n--from\nals\n--solver\nals\n--epochs\n1\n--model\nnew",
    "evaluate\nals\nplays.csv",
    "evaluate\nials\nplays.csv\n--ranking\n--at\n2",
    "predict\nbayes\nplays.csv",
    "recommend\nals\n--all\n-n\n2",
    "recommend\nbayes\n--users\nu0\n-n\n2\n--by\nlower\n0.1",
    "similar\nials\n--items\ni 0\n-n\n2",
    "fold-in\nbayes\nnew.csv\n--output\nnew",
    "export\nals\n--format\ncsv\n--output\nnew",
    "split\nplays.csv\n--holdout\n0.2\n--output\nnew",
    "synth\n--users\n5\n--items\n6\n--ratings\n20\n--output\nout.csv",
    "inspect\nplays.csv",
    "compare\nals\nbayes\nplays.csv",
    "cross-validate\nplays.csv\n--folds\n2\n--epochs\n1\n--factors\n2",
    "tune\nplays.csv\n--trials\n2\n--epochs\n1\n--search\nfactors=1..3",
];

/// Numbers that say how long it takes, or how much it makes: more is no finding.
const LONG: [&str; 15] = [
    "--epochs",
    "--samples",
    "--burn-in",
    "--keep",
    "--chains",
    "--factors",
    "--users",
    "--items",
    "--ratings",
    "--ratings-per-user",
    "--threads",
    "--folds",
    "--bootstrap",
    "-n",
    "--trials",
];

/// What is in the directory.
struct Inside {
    home: tempfile::TempDir,
}

fn inside() -> &'static Inside {
    static INSIDE: OnceLock<Inside> = OnceLock::new();
    INSIDE.get_or_init(|| {
        let home = home();
        let at = |name: &str| home.path().join(name);
        let lines = (0..48).map(|j| format!("u{},i {},{}\n", j % 7, j / 7, (j * j + j) % 5 + 1));
        write(
            at("plays.csv"),
            ("user,item,rating\n".to_owned() + &lines.collect::<String>()).as_bytes(),
        );
        write(at("new.csv"), b"zoe,i 0,4\nzoe,i 3,2\nyan,i 1,5\n");
        write(at("list.txt"), b"i 0\ni 1\ni 2\n");
        for (name, options) in [
            ("als", Options::of(Solver::Als).factors(2).epochs(2)),
            ("ials", Options::of(Solver::Ials).factors(2).epochs(2)),
            ("bayes", Options::of(Solver::Bayes).factors(2).samples(4).burn_in(2)),
        ] {
            let trained = fit(&model::dataset(), &options, cpu()).expect("a model");
            trained.save(at(name), false).expect("a directory");
        }
        Inside { home }
    })
}

pub fn flags(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut arguments: Vec<&str> = text.split('\n').take(24).collect();
    // Nothing is written elsewhere; what waits for a device or measures one is no question of flags.
    let elsewhere = |argument: &&str| argument.contains(['/', '\0']) || argument.contains("..");
    let named = arguments.first().copied().unwrap_or_default();
    // More than the system lets a process be started with.
    if data.len() > 1 << 16
        || arguments.iter().any(elsewhere)
        || matches!(named, "bench" | "devices")
    {
        return;
    }
    for at in 1..arguments.len() {
        let digits = arguments[at].trim_start_matches('+');
        let large = digits.len() > 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if LONG.contains(&arguments[at - 1]) && large {
            arguments[at] = "3";
        }
        let within =
            arguments[at].contains('=') && arguments[at].bytes().any(|b| b.is_ascii_digit());
        let search = named == "tune" && within && arguments[at].len() > 14;
        if search || LONG.iter().any(|flag| arguments[at].starts_with(&format!("{flag}="))) {
            return;
        }
    }
    let home = home();
    copy(inside().home.path(), home.path());
    let mut command = Command::new(binary());
    command.args(&arguments).current_dir(home.path()).stdin(Stdio::null());
    // No adapter: looking for one takes longer than all else.
    command.env("VK_DRIVER_FILES", "none").env("VK_ICD_FILENAMES", "none");
    command.stdout(std::fs::File::create(home.path().join("stdout")).expect("a file"));
    command.stderr(std::fs::File::create(home.path().join("stderr")).expect("a file"));
    let mut child = command.spawn().expect("the binary runs");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if began.elapsed() > Duration::from_secs(10) {
            let _ = child.kill();
            let _ = child.wait();
            panic!("takes more than 10 s: {arguments:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let read = |name: &str| {
        let bytes = std::fs::read(home.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (out, talk) = (read("stdout"), read("stderr"));
    assert!(!talk.contains("panicked"), "{arguments:?}: {talk}");
    match status.code() {
        Some(0) => {
            taken();
            let helps = ["--help", "-h", "--version", "-V", "help", "man", "completions"];
            if !arguments.iter().any(|argument| {
                helps.contains(argument) || argument.starts_with('-') && argument.contains('h')
            }) {
                super::finite_text(&format!("{arguments:?}"), &out);
                for name in ["out.csv", "x", "new"] {
                    super::finite_text(&format!("{arguments:?}, {name}"), &read(name));
                }
            }
        }
        Some(1 | 2) => assert!(talk.contains("error: "), "{arguments:?}: says nothing: {talk}"),
        code => panic!("{arguments:?} ends with {code:?} ({status}): {talk}"),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry"))
    {
        let (path, other) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir(&other).expect("a directory");
            copy(&path, &other);
        } else {
            std::fs::copy(&path, &other).expect("a file");
        }
    }
}

/// Flags that a subcommand's help tells of, with values where it tells of them.
fn told(command: &str) -> Vec<String> {
    let output =
        Command::new(binary()).args([command, "--help"]).output().expect("the binary runs");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut flags = Vec::new();
    let mut open: Option<String> = None;
    for line in help.lines() {
        let text = line.trim_start();
        let text = text
            .strip_prefix("-")
            .filter(|rest| rest.as_bytes().get(1) == Some(&b','))
            .map_or(text, |rest| &rest[3..]);
        if text.starts_with("--") && line.len() - line.trim_start().len() < 8 {
            let name = text.split_whitespace().next().unwrap_or_default();
            let valued = text.contains('<');
            flags.push(if valued { format!("{name}\n1") } else { name.to_owned() });
            open = valued.then(|| name.to_owned());
        } else if let (Some(name), Some(value)) = (&open, text.strip_prefix("- "))
            && let Some((value, _)) = value.split_once(':')
        {
            flags.push(format!("{name}\n{value}"));
        }
    }
    flags
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for line in COMMANDS {
        let command = line.split('\n').next().unwrap_or_default();
        seeds.push(line.as_bytes().to_vec());
        for flag in told(command) {
            seeds.push(format!("{line}\n{flag}").into_bytes());
        }
    }
    seeds
}
