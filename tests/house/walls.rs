//! The walls of the house, kept by reading the tree.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Path from the root, with slashes, and text of every Rust file of the crate.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz/targets"] {
        read_folder(&root().join(folder), folder, &mut files);
    }
    files.sort();
    files
}

fn read_folder(folder: &Path, name: &str, files: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_folder(&path, &name, files);
        } else if name.ends_with(".rs") {
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The source with comments and the insides of literals blanked, line by line where it was: what a
/// comment says in prose, and what a string quotes, crosses no wall.
fn code(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    let starts =
        |at: usize, what: &str| what.chars().enumerate().all(|(j, c)| text.get(at + j) == Some(&c));
    while at < text.len() {
        let before = at.checked_sub(1).map(|before| text[before]);
        let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let end = if starts(at, "//") {
            (at..text.len()).find(|&j| text[j] == '\n').unwrap_or(text.len())
        } else if starts(at, "/*") {
            let (mut depth, mut j) = (1, at + 2);
            while depth > 0 && j < text.len() {
                depth += i32::from(starts(j, "/*")) - i32::from(starts(j, "*/"));
                j += if starts(j, "/*") || starts(j, "*/") { 2 } else { 1 };
            }
            j
        } else if text[at] == '"' {
            let mut j = at + 1;
            while j < text.len() && text[j] != '"' {
                j += if text[j] == '\\' { 2 } else { 1 };
            }
            j + 1
        } else if !in_word && (starts(at, "r\"") || starts(at, "r#")) {
            let hashes = text[at + 1..].iter().take_while(|&&c| c == '#').count();
            if text.get(at + 1 + hashes) == Some(&'"') {
                let close = format!("\"{}", "#".repeat(hashes));
                let mut j = at + hashes + 2;
                while j < text.len() && !starts(j, &close) {
                    j += 1;
                }
                j + close.len()
            } else {
                at
            }
        } else if starts(at, "'\\") {
            (at + 3..text.len()).find(|&j| text[j] == '\'').map_or(text.len(), |j| j + 1)
        } else if text[at] == '\'' && text.get(at + 2) == Some(&'\'') {
            at + 3
        } else {
            at
        };
        if end == at {
            code.push(text[at]);
            at += 1;
        } else {
            let end = end.min(text.len());
            code.extend(text[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Every identifier, with the line it stands on (from 1) and the text behind it.
fn words(code: &str) -> Vec<(usize, &str, &str)> {
    let mut words = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line;
        while let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '_') {
            let word = &rest[start..];
            let end = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
            words.push((number + 1, &word[..end], &word[end..]));
            rest = &word[end..];
        }
    }
    words
}

/// Attributes that silence a lint and say no reason, by their line.
fn unreasoned(code: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for name in ["allow(", "expect("] {
        for (at, _) in code.match_indices(name) {
            let before = code[..at].trim_end();
            let attribute = before.ends_with("#[")
                || before.ends_with("#![")
                // cfg_attr(…, allow(…))
                || before.ends_with(',') && code[..at].lines().last().is_some_and(|l| l.contains("cfg_attr"));
            if !attribute {
                continue;
            }
            let mut depth = 0;
            let end = code[at..].find(|c: char| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ')' && depth == 0
            });
            let inside = &code[at..end.map_or(code.len(), |end| at + end)];
            if !words(inside).iter().any(|&(_, word, _)| word == "reason") {
                lines.push(code[..at].lines().count());
            }
        }
    }
    lines
}

/// The rooms of src, each of which imports only what stands before it.
const ORDER: [&str; 21] = [
    "error",
    "progress",
    "memory",
    "math",
    "core",
    "files",
    "data",
    "model",
    "predict",
    "backend",
    "cpu",
    "gpu",
    "sampler",
    "recommend",
    "evaluate",
    "report",
    "train",
    "front",
    "tune",
    "bench",
    "cli",
];

/// The room of a file of src; none of `lib.rs` and `main.rs`, which open to all of them.
fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let room = inside.split(['/', '.']).next()?;
    (!matches!(room, "lib" | "main")).then_some(room)
}

/// Every room that code names by `crate::room` or, within braces, by `crate::{room, …}`, with its line.
fn named_rooms(code: &str) -> Vec<(usize, &str)> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].lines().count().max(1);
        let behind = &code[at + "crate::".len()..];
        if behind.starts_with('{') {
            let end = behind.find(';').unwrap_or(behind.len());
            let (mut depth, mut start) = (0, 1);
            for (j, c) in behind[..end].char_indices() {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if depth == 1 && (c == ',' || j == 0) {
                    start = j + 1;
                }
                let next = behind[j + 1..].chars().next();
                if depth == 1 && matches!(next, Some(',' | ':' | '}')) && start <= j {
                    let word = behind[start..=j].trim();
                    if ORDER.contains(&word) {
                        named.push((line, word));
                    }
                    start = usize::MAX;
                }
            }
            continue;
        }
        let end = behind.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(behind.len());
        if ORDER.contains(&&behind[..end]) {
            named.push((line, &behind[..end]));
        }
    }
    named
}

/// Lines where as many `super` stand in a row as lead out of the file's room.
fn out_of_the_room(path: &str, code: &str) -> Vec<usize> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = inside.split('/').count();
    let mut lines = Vec::new();
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let behind = code[at..].split("super::").take_while(|between| between.is_empty()).count();
        // A module within the file is one deeper.
        let within = code[..at].lines().any(|l| l.starts_with("mod ") && l.ends_with('{'));
        if behind >= depth + usize::from(within) {
            lines.push(code[..at].lines().count().max(1));
        }
    }
    lines
}

/// Lines of a file of src at most: above that it holds more than one idea.
const MOST_LINES: usize = 500;

/// What the walls say against a file.
fn objections(path: &str, source: &str) -> Vec<String> {
    let code = code(source);
    let under = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    let mut objections = Vec::new();
    let mut object = |line: usize, what: &str| objections.push(format!("{path}:{line}: {what}"));
    let may_be_unsafe = ["src/main.rs", "src/gpu/shared/trusted.rs"].contains(&path);
    let reasoned_unsafe = may_be_unsafe && {
        let attributes = code.split("allow(").skip(1).map(|a| a.split(')').next().unwrap_or(a));
        attributes.into_iter().any(|a| a.contains("unsafe_code") && a.contains("reason"))
    };
    if let Some(own) = room(path) {
        match ORDER.iter().position(|&room| room == own) {
            None => object(1, "a room that has no place in the order of rooms"),
            Some(place) => {
                for line in out_of_the_room(path, &code) {
                    object(line, "leaves its room by `super`, and is not seen to name another");
                }
                if let Some(at) = code.find("crate as ") {
                    object(code[..at].lines().count(), "gives the crate another name");
                }
                if source.lines().count() > MOST_LINES {
                    object(MOST_LINES, "more lines than one idea takes");
                }
                for (line, other) in named_rooms(&code) {
                    let its = ORDER.iter().position(|&room| room == other);
                    if its > Some(place) {
                        object(line, "names a room that stands behind its own");
                    }
                    if own == "gpu" && other == "cpu" {
                        object(line, "the GPU backend names the CPU");
                    }
                }
            }
        }
    }
    for (line, word, behind) in words(&code) {
        if word == "pollster" && under(&["src/"]) && path != "src/gpu/mod.rs" {
            object(line, "blocks on a future elsewhere than at the edge");
        }
        if word == "wgpu" && !under(&["src/gpu/"]) {
            object(line, "wgpu is named outside src/gpu");
        }
        if matches!(word, "gpu" | "Gpu" | "cpu" | "Cpu" | "wgpu" | "pulp")
            && under(&[
                "src/core/",
                "src/data/",
                "src/files/",
                "src/math/",
                "src/model/",
                "src/predict/",
                "src/backend/",
                "src/sampler/",
                "src/evaluate/",
                "src/train/",
            ])
        {
            object(line, "a device is named where none is known");
        }
        if matches!(word, "gpu" | "Gpu" | "wgpu") && under(&["src/cpu/"]) {
            object(line, "the CPU backend names the GPU");
        }
        if matches!(word, "print" | "println" | "eprint" | "eprintln" | "dbg")
            && behind.starts_with('!')
            && under(&["src/"])
            && !under(&["src/cli/", "src/main.rs"])
        {
            object(line, "printed outside src/cli");
        }
        if word == "unsafe" && under(&["src/"]) && !reasoned_unsafe {
            object(line, "unsafe code");
        }
    }
    for line in unreasoned(&code) {
        object(line, "a lint is silenced without a reason");
    }
    objections
}

#[test]
fn the_walls_stand() {
    let files = files();
    assert!(files.len() > 40, "only {} files were found", files.len());
    let objections: Vec<_> =
        files.iter().flat_map(|(path, source)| objections(path, source)).collect();
    assert!(objections.is_empty(), "\n{}", objections.join("\n"));
    for root in ["src/lib.rs", "src/main.rs"] {
        let source = &files.iter().find(|(path, _)| path == root).unwrap().1;
        assert!(code(source).contains("#![deny(unsafe_code)]"), "{root} denies unsafe code");
    }
}

#[test]
fn a_planted_line_is_noticed() {
    for (path, line, expected) in [
        ("src/backend/mod.rs", "use wgpu::Buffer;", "wgpu is named"),
        ("src/core/batches.rs", "use crate::data::Dataset;", "stands behind"),
        (
            "src/data/read.rs",
            "use crate::{\n    core::Ids,\n    train::{Event, train},\n};",
            "stands behind",
        ),
        ("src/model/seen.rs", "fn f() { crate::recommend::recommend(x) }", "stands behind"),
        ("src/train/run.rs", "use crate::{Error, cli};", "stands behind"),
        ("src/attic/run.rs", "use crate::Error;", "no place"),
        ("src/core/settings/check.rs", "use super::super::super::train::train;", "by `super`"),
        ("src/bench.rs", "use super::train;", "by `super`"),
        ("src/core/mod.rs", "use crate as all;", "another name"),
        ("src/gpu/rows/store.rs", "use crate::cpu::Cpu;", "the GPU backend"),
        ("src/gpu/shared/device.rs", "pollster::block_on(f)", "at the edge"),
        ("tests/x.rs", "let device: wgpu::Device;", "wgpu is named"),
        ("src/train/run.rs", "use crate::cpu::Cpu;", "a device is named"),
        ("src/train/run.rs", "fn open() -> Gpu {", "a device is named"),
        ("src/files/whole.rs", "let arch = pulp::Arch::new();", "a device is named"),
        ("src/evaluate/auc.rs", "crate::gpu::adapters();", "a device is named"),
        ("src/data/read.rs", "match backend { Backend::Cpu => 1 }", "a device is named"),
        ("src/cpu/mod.rs", "use crate::gpu::Gpu;", "the CPU backend"),
        ("src/data/read.rs", "println!(\"{n}\");", "printed"),
        ("src/gpu/passes.rs", "dbg!(n);", "printed"),
        ("src/error.rs", "eprint!(\"x\");", "printed"),
        ("src/data/read.rs", "let map = unsafe { Mmap::map(&file) };", "unsafe"),
        ("src/main.rs", "fn main() { unsafe { set_var() } }", "unsafe"),
        ("src/main.rs", "#[allow(unsafe_code)]\nfn main() { unsafe { set_var() } }", "unsafe"),
        ("src/data/read.rs", "#[allow(unsafe_code, reason = \"x\")]\nunsafe fn f() {}", "unsafe"),
        ("src/cli/mod.rs", "#[allow(dead_code)]\nfn f() {}", "without a reason"),
        ("tests/x.rs", "#![allow(dead_code, unused)]", "without a reason"),
        ("src/cli/mod.rs", "#[expect(\n    dead_code,\n)]", "without a reason"),
        ("src/cli/mod.rs", "#[cfg_attr(test, allow(dead_code))]", "without a reason"),
        // The line after what looks like an open literal or comment is read.
        ("src/cpu/mod.rs", "let quote = '\"';\nuse crate::gpu;", "the CPU backend"),
        ("src/cpu/mod.rs", "let quote = '\\'';\nuse crate::gpu;", "the CPU backend"),
        ("src/cpu/mod.rs", "let s = \"\\\"\"; use crate::gpu;", "the CPU backend"),
        ("src/cpu/mod.rs", "let s = r#\"a\"b\"#; use crate::gpu;", "the CPU backend"),
        ("src/cpu/mod.rs", "/* a /* b */ c */ use crate::gpu;", "the CPU backend"),
        ("src/cpu/mod.rs", "fn f<'a>(x: &'a str) {} use crate::gpu;", "the CPU backend"),
    ] {
        let objections = objections(path, line);
        assert!(objections.iter().any(|o| o.contains(expected)), "{path}: {line}: {objections:?}");
    }
    for (path, line) in [
        ("src/gpu/device.rs", "use wgpu::Buffer;"),
        ("src/core/settings/check.rs", "use super::super::Side;"),
        ("src/bench.rs", "mod tests {\n    use super::*;\n}"),
        ("src/train/run.rs", "use crate::{Error, core::{Ids, train}, data};"),
        ("src/data/read.rs", "use crate::core::Ids; // crate::train"),
        ("src/bench.rs", "use crate::train::train;"),
        ("src/lib.rs", "//! Through wgpu and WGSL, on the GPU."),
        ("src/core/settings/mod.rs", "/// Large is faster on a GPU (wgpu), small on a cpu"),
        ("src/model/run.rs", "let backend = \"gpu\"; // or Cpu"),
        ("src/model/run.rs", "let gpus = gpu_count;"),
        ("src/cli/mod.rs", "use crate::{cpu::Cpu, gpu::Gpu}; println!(\"{x}\");"),
        ("src/main.rs", "#[allow(unsafe_code, reason = \"x\")]\nfn main() { unsafe { f() } }"),
        ("src/cli/mod.rs", "#[allow(dead_code, reason = \"used by one test\")]"),
        ("src/cli/mod.rs", "file.expect(\"opened above\"); allow(x);"),
        ("tests/x.rs", "println!(\"skipped\");"),
    ] {
        assert_eq!(objections(path, line), Vec::<String>::new(), "{path}: {line}");
    }
}

/// Shaders that need no twin: `reduce`, `join` and `penalty` add what the CPU adds as it goes,
/// `remainder` keeps what the CPU keeps as it goes, `mask` takes out what the CPU leaves out as it
/// goes, `predict` adds up what the CPU's sampler does, `philox` tries a device's generator, whose twin
/// is src/math/random.rs; `copy` and `multiply_add` measure a device. Of losses made for ranking `contrast` and
/// `pairs` have twins by the names of losses in the files of theirs, `normalizer`, `pair_score` and
/// `pair_gradient` are parts of what the CPU does at once, and the twin of `project` is `choice_step.rs`.
const WITHOUT_TWIN: [&str; 15] = [
    "contrast",
    "copy",
    "join",
    "mask",
    "multiply_add",
    "normalizer",
    "pair_gradient",
    "pair_score",
    "pairs",
    "penalty",
    "philox",
    "predict",
    "project",
    "reduce",
    "remainder",
];

/// What stands against the shader `stem`, whose text is `source`.
fn shader_objections(stem: &str, source: &str, files: &[(String, String)]) -> Vec<String> {
    let mut objections = Vec::new();
    let mut object = |what: String| objections.push(format!("shaders/{stem}.wgsl: {what}"));
    let file = format!("shaders/{stem}.wgsl");
    let kernels = files.iter().find(|(path, _)| path == "src/gpu/shared/kernels.rs");
    let listed = kernels.and_then(|(_, text)| {
        let (_, list) = text.split_once("\nsources! {")?;
        let (list, _) = list.split_once('}')?;
        Some(list.split(',').any(|name| name.trim() == stem))
    });
    if listed != Some(true) {
        object("no kernel of src/gpu/shared/kernels.rs has its name".to_owned());
    }
    if !source.contains(&format!("\nfn {stem}(")) {
        object("no entry point of that name".to_owned());
    }
    let twin = format!("src/cpu/kernels/{stem}.rs");
    if WITHOUT_TWIN.contains(&stem) {
        return objections;
    }
    match files.iter().find(|(path, _)| *path == twin) {
        None => object(format!("no twin {twin}")),
        Some((_, text)) => {
            if !text.contains(&file) {
                object(format!("{twin} does not name it"));
            }
            if !text.contains(&format!("fn {stem}(")) && !text.contains(&format!("fn {stem}<")) {
                object(format!("no function of that name in {twin}"));
            }
            if !source.contains(&format!("Twin: {twin}")) {
                object(format!("does not name {twin}"));
            }
        }
    }
    objections
}

#[test]
fn shaders_have_kernels_and_twins() {
    let files = files();
    let mut stems = Vec::new();
    for entry in std::fs::read_dir(root().join("shaders")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        assert_eq!(shader_objections(&stem, &source, &files), Vec::<String>::new());
        stems.push(stem);
    }
    for stem in ["residual", "gradient", "step", "error", "reduce"] {
        assert!(stems.iter().any(|s| s == stem), "shaders/{stem}.wgsl is gone");
    }
    // The checker notices a shader that nobody uses, and one without its twin.
    let lonely = shader_objections("lonely", "@compute\nfn other() {}", &files).join("\n");
    for expected in ["no kernel", "no entry point", "no twin"] {
        assert!(lonely.contains(expected), "{lonely}");
    }
    let unnamed = shader_objections("step", "@compute\nfn step() {}", &files).join("\n");
    assert!(unnamed.contains("does not name src/cpu/kernels/step.rs"), "{unnamed}");
}
