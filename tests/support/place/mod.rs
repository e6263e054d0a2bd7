//! A directory of its own to run the command line in.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub const WGMF: &str = env!("CARGO_BIN_EXE_wgmf");

/// The sample set of the repository.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/plays.csv")
}

/// A temporary directory; commands run in it, so that files are named as a user would.
pub struct Place {
    home: tempfile::TempDir,
}

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        Place { home: tempfile::tempdir().unwrap() }
    }

    /// One that holds the sample set as `plays.csv`.
    pub fn with_sample() -> Self {
        let place = Place::new();
        fs::copy(sample(), place.path("plays.csv")).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The parameters of a model, byte for byte.
    pub fn tensors(&self, model: &str) -> Vec<u8> {
        self.read(&format!("{model}/model.safetensors"))
    }

    /// The record of a model.
    pub fn record(&self, model: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(&format!("{model}/run.json"))).unwrap()
    }

    /// Makes a model one whose files nothing binds together, as those of version 0.1.0.
    pub fn unbind(&self, model: &str) {
        let mut record = self.record(model);
        record.as_object_mut().unwrap().remove("parts").unwrap();
        self.write(&format!("{model}/run.json"), serde_json::to_vec(&record).unwrap());
    }

    /// The names in a directory, sorted.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Everything below: each file with its bytes, each directory with none.
    pub fn tree(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        fn walk(dir: &Path, into: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, into);
                    into.insert(path, None);
                } else {
                    let bytes = fs::read(&path).unwrap();
                    into.insert(path, Some(bytes));
                }
            }
        }
        let mut tree = BTreeMap::new();
        walk(self.home.path(), &mut tree);
        tree
    }

    /// `line`, cut at blanks, as arguments of the binary.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(WGMF);
        command.args(line.split_whitespace()).current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs what must succeed; its standard output.
    pub fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "wgmf {line}: {}", stderr(&output));
        stdout(&output)
    }

    /// Runs what must succeed with `--json`; the object it prints.
    pub fn json(&self, line: &str) -> serde_json::Value {
        let text = self.ok(line);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("wgmf {line}: {e} in {text}"))
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}
