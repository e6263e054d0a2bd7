//! README.md is true, and so are the pages of `docs/site`: their commands run, the output they quote comes out, links
//! lead somewhere.
//!
//! Fenced blocks called `sh`, `bash` or `console` are read for commands. In a `console` block those
//! are the lines after `$ `, and the rest is output; in the others every line is a command, and a
//! `text` block that comes next is their output. A comment `<!-- not run: why -->` before a block
//! keeps it from being run, and `<!-- checked -->` before a block of output (or a `console` block)
//! has each of its lines compared; `...` in a line stands for anything.

use crate::place;

use place::{Place, WGMF, sample};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A block of commands with the output that is quoted for each.
#[derive(Debug, Default, PartialEq)]
struct Block {
    /// Where it begins in the file, from 1.
    line: usize,
    commands: Vec<Quoted>,
    /// Why it is not run.
    excluded: Option<String>,
}

/// A command and the lines that README says it prints, where they are to be compared.
#[derive(Debug, Default, PartialEq)]
struct Quoted {
    command: String,
    output: Vec<String>,
}

/// Reads the command blocks of a Markdown text.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // The comment that holds for the next block, and whether a text block would be output.
    let (mut comment, mut follows) = (String::new(), false);
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        let Some(fence) = line.strip_prefix("```") else {
            if line.starts_with("<!--") {
                comment = line.to_owned();
            } else if !line.is_empty() {
                (comment, follows) = (String::new(), false);
            }
            continue;
        };
        let kind = fence.split_whitespace().next().unwrap_or_default();
        let body = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
        let body: Vec<&str> = body.collect();
        let comment = std::mem::take(&mut comment);
        let checked = comment.starts_with("<!-- checked");
        let is_output = std::mem::replace(&mut follows, false) && matches!(kind, "text" | "");
        match kind {
            "sh" | "bash" | "console" => {
                let excluded = comment
                    .strip_prefix("<!-- not run")
                    .map(|why| why.trim_end_matches("-->").trim_matches([':', ' ']).to_owned());
                let commands = commands(&body, kind == "console", checked);
                blocks.push(Block { line: number + 1, commands, excluded });
                follows = true;
            }
            _ if is_output && checked => {
                let output = blocks.last_mut().and_then(|block| block.commands.last_mut());
                let output = &mut output.expect("output of no command").output;
                output.extend(body.iter().map(|line| line.to_string()));
            }
            _ => {}
        }
    }
    blocks
}

/// The commands of a block; a backslash at the end of a line goes on in the next.
fn commands(body: &[&str], console: bool, checked: bool) -> Vec<Quoted> {
    let mut commands: Vec<Quoted> = Vec::new();
    let mut goes_on = false;
    for &line in body {
        let start = if console { line.strip_prefix("$ ") } else { Some(line) };
        let part = if goes_on { Some(line.trim_start_matches("> ")) } else { start };
        match part {
            Some(part) => {
                let (part, continues) = match part.trim_end().strip_suffix('\\') {
                    Some(part) => (part, true),
                    None => (part, false),
                };
                if goes_on {
                    commands.last_mut().unwrap().command += part.trim_start();
                } else if !part.trim().is_empty() && !part.trim_start().starts_with('#') {
                    let command = part.to_owned();
                    commands.push(Quoted { command, output: Vec::new() });
                }
                goes_on = continues;
            }
            None if checked && !line.trim().is_empty() => {
                let command = commands.last_mut().expect("output before a command");
                command.output.push(line.to_owned());
            }
            None => {}
        }
    }
    commands
}

/// The command with the binary under test in the place of cargo, or nothing where it is none of
/// ours.
fn ours(command: &str) -> Option<String> {
    let command = command.replace("cargo run --release --quiet -- ", "wgmf ");
    let command = command
        .replace("cargo run --release -- ", "wgmf ")
        .replace("./target/release/wgmf ", "wgmf ");
    let command = command.replace("target/release/wgmf ", "wgmf ");
    command.split(['|', ';', '&']).any(|part| part.trim().starts_with("wgmf ")).then_some(command)
}

/// Whether `line` is what `want` says, where `...` stands for anything; blanks count once.
fn agrees(line: &str, want: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, want) = (squeeze(line), squeeze(want));
    let parts: Vec<&str> = want.split("...").map(str::trim).collect();
    let [first, middle @ ..] = parts.as_slice() else { return false };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let Some((last, middle)) = middle.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    let path = root().join("README.md");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A place with the sample, where the commands of a text run.
fn with_sample() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("sample")).unwrap();
    for entry in fs::read_dir(sample().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, place.path("sample").join(path.file_name().unwrap())).unwrap();
    }
    place
}

/// Runs the commands of the file `name`; how many they were, and what went wrong.
fn run(place: &Place, name: &str, text: &str) -> (usize, Vec<String>) {
    let mut path = vec![Path::new(WGMF).parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(path).unwrap();
    let (mut ran, mut faults) = (0, Vec::new());
    for block in blocks(text) {
        let at = format!("{name}:{}", block.line);
        if let Some(why) = &block.excluded {
            assert!(!why.is_empty(), "{at}: not run, and no reason why");
            println!("{at}: not run: {why}");
            continue;
        }
        for Quoted { command, output } in &block.commands {
            let Some(line) = ours(command) else {
                println!("{at}: not ours: {command}");
                assert!(output.is_empty(), "{at}: output of {command}");
                continue;
            };
            ran += 1;
            let run = Command::new("sh")
                .args(["-c", &line])
                .current_dir(place.path(""))
                .env("PATH", &path)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let text = [run.stdout, run.stderr].concat();
            let text = String::from_utf8_lossy(&text);
            if !run.status.success() {
                faults.push(format!("{at}: {command}\n{text}"));
            }
            for want in output.iter().filter(|want| want.trim() != "...") {
                if !text.lines().any(|line| agrees(line, want)) {
                    faults.push(format!("{at}: {command}\nno line {want:?} in\n{text}"));
                }
            }
        }
    }
    (ran, faults)
}

#[test]
fn every_command_runs() {
    let (ran, faults) = run(&with_sample(), "README.md", &readme());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(ran >= 5, "only {ran} commands: are the blocks still found?");
}

#[test]
fn every_command_of_the_site_runs() {
    let pages = root().join("docs/site");
    let page = |name: &str| fs::read_to_string(pages.join(format!("{name}.md"))).unwrap();
    let first = page("index");
    let (_, listed) = first.split_once("{toctree}").unwrap();
    let (listed, _) = listed.split_once("```").unwrap();
    let names =
        listed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(':'));
    // In the order in which they are read: later pages go on with what earlier ones made.
    let (place, mut ran, mut faults) = (with_sample(), 0, Vec::new());
    for name in std::iter::once("index").chain(names) {
        let (of_page, wrong) = run(&place, &format!("docs/site/{name}.md"), &page(name));
        ran += of_page;
        faults.extend(wrong);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(ran >= 25, "only {ran} commands: are the blocks still found?");
}

#[test]
fn links_lead_somewhere() {
    let text = readme();
    assert!(text.contains("./test.sh"), "README.md does not name ./test.sh");
    let mut seen = 0;
    for (number, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1) {
            let link = link.split([')', ' ']).next().unwrap();
            seen += 1;
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                text.clone()
            } else {
                let path = root().join(file);
                assert!(path.exists(), "README.md:{}: {file} is not there", number + 1);
                if !file.ends_with(".md") {
                    continue;
                }
                fs::read_to_string(path).unwrap()
            };
            let found = anchor.is_empty() || headings(&target).iter().any(|h| h == anchor);
            assert!(found, "README.md:{}: no heading for {link}", number + 1);
        }
    }
    // Files that are only named are there, too.
    for name in text.split('`').skip(1).step_by(2) {
        let is_path = name.ends_with(".md") || name.ends_with(".sh") || name.ends_with("plays.csv");
        if is_path && !name.contains(' ') {
            assert!(root().join(name).exists(), "README.md names {name}, which is not there");
            seen += 1;
        }
    }
    assert!(seen > 0, "README.md has no link and names no file");
}

/// The anchors of a Markdown text's headings, as GitHub makes them.
fn headings(text: &str) -> Vec<String> {
    let heads = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |head: &str| {
        let words = head.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    heads.map(anchor).collect()
}

const EXAMPLE: &str = "# Title

```sh
# a remark
cargo run --release -- train a.csv \\
    --model m
ls m
```

<!-- checked -->
```text
held-out RMSE 0.85...
```

<!-- not run: needs a download -->
```sh
wgmf train big.csv
```

```rust
let wgmf = 1;
```

<!-- checked -->
```console
$ wgmf info m
users       1,000
$ wgmf devices | head -1
```

```text
no output of the above is compared
```
";

#[test]
fn the_blocks_of_a_text_are_found() {
    let blocks = blocks(EXAMPLE);
    let quoted = |command: &str, output: &[&str]| Quoted {
        command: command.into(),
        output: output.iter().map(|line| line.to_string()).collect(),
    };
    let [first, second, third] = &blocks[..] else { panic!("{blocks:?}") };
    assert_eq!(first.line, 3);
    let train = "cargo run --release -- train a.csv --model m";
    assert_eq!(first.commands, [quoted(train, &[]), quoted("ls m", &["held-out RMSE 0.85..."])]);
    assert_eq!(second.excluded.as_deref(), Some("needs a download"));
    assert_eq!(
        third.commands,
        [quoted("wgmf info m", &["users       1,000"]), quoted("wgmf devices | head -1", &[])]
    );
    assert_eq!(ours(train).as_deref(), Some("wgmf train a.csv --model m"));
    assert_eq!(ours("ls m"), None);
}

#[test]
fn quoted_lines_are_compared() {
    for (line, want, same) in [
        ("held-out RMSE 0.8541, MAE 0.69", "held-out RMSE 0.8541, ...", true),
        ("held-out RMSE 0.8541, MAE 0.69", "held-out RMSE 0.8542, ...", false),
        ("users       1,000", "users 1,000", true),
        ("users       1,000", "users 1,00", false),
        ("epoch 1 at 20 M/s", "epoch ... M/s", true),
        ("epoch 1 at 20 M/s", "epoch ... at ... M/s", true),
        ("epoch 1 at 20 M/s", "epoch ... of ... M/s", false),
        ("epoch 1", "", false),
    ] {
        assert_eq!(agrees(line, want), same, "{line:?} and {want:?}");
    }
}

#[test]
fn the_rust_example_is_the_one_that_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let library = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let run: Vec<&str> = library.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let (_, example) = readme.split_once("```rust\n").unwrap();
    let (example, _) = example.split_once("\n```").unwrap();
    assert!(example.lines().count() > 5);
    for line in example.lines() {
        assert!(run.contains(&line), "src/lib.rs runs no such line: {line}");
    }
}
