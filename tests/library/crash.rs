//! Nothing is lost, whichever call to the disk fails, and wherever the process is killed: what was there
//! stays whole until its successor is, and the next run takes away what was left.

use crate::fixture;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use wgmf::Result;
use wgmf::backend::State;
use wgmf::core::{Options, Solver};
use wgmf::data::synth::{SynthOptions, synth};
use wgmf::data::{SplitOptions, split};
use wgmf::files::Output;
use wgmf::files::disk::{Trouble, with_trouble};
use wgmf::model::{Format, Model, export};
use wgmf::train::{Checkpoint, Origin};

/// Something that is written.
struct Case {
    name: &'static str,
    /// Its name in a directory that may not be there yet.
    out: &'static str,
    /// Writes its first or its second version to a path; the last says whether to replace.
    write: fn(&Path, bool, bool) -> Result<()>,
    /// Opens it, where that is how it is used.
    open: Option<fn(&Path)>,
    /// Whether the directory holds something else already.
    stranger: bool,
}

/// In memory where that is possible: nothing is learned from waiting for a disk.
fn home() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn model(second: bool) -> Model {
    let mut model = fixture::model(20, 17, 3);
    model.factors.global_mean += f32::from(u8::from(second));
    model
}

fn parts(out: &Path, second: bool, force: bool, folds: Option<u32>) -> Result<()> {
    let ratings = home();
    let input = ratings.path().join("ratings.csv");
    let lines = (0..40).map(|row| format!("{},{},{}\n", row % 7, row % 9, 1 + row % 5));
    fs::write(&input, lines.collect::<String>()).unwrap();
    let options = SplitOptions { folds, seed: second.into(), ..SplitOptions::default() };
    split(&[input], &options, out, force, &()).map(drop)
}

fn checkpoint(second: bool) -> (Checkpoint, wgmf::core::Settings, Origin) {
    let factors = model(second).factors;
    let data = wgmf::Dataset::from_triples(&["a", "b"], &["x", "y"], &[1.0, 2.0]).unwrap();
    let options = Options { solver: Some(Solver::Als), factors: Some(3), ..Options::default() };
    let settings = options.resolve(data.ratings(), 20, 17).unwrap();
    let state = State { factors, moments: Vec::new() };
    let checkpoint = Checkpoint { state, history: Vec::new(), best: None, sampler: None };
    (checkpoint, settings, Origin::default())
}

const CASES: [Case; 9] = [
    Case {
        name: "model",
        out: "deep/er/model",
        write: |out, second, force| {
            let model = model(second);
            model.save(out, &fixture::seen(&model), force)
        },
        open: Some(|out| drop(Model::open(out).unwrap())),
        stranger: false,
    },
    Case {
        name: "checkpoint",
        out: "model.checkpoint",
        write: |out, second, _| {
            let (checkpoint, settings, origin) = checkpoint(second);
            checkpoint.save(out, &settings, &origin, None)
        },
        open: Some(|out| {
            let (_, settings, origin) = checkpoint(false);
            Checkpoint::open(out, &settings, &origin, false).unwrap();
        }),
        stranger: false,
    },
    Case {
        name: "export",
        out: "tables",
        write: |out, second, force| export(&model(second), Format::Projector, out, force, &()),
        open: None,
        stranger: false,
    },
    Case {
        name: "split",
        out: "new/parts",
        write: |out, second, force| parts(out, second, force, None),
        open: None,
        stranger: false,
    },
    Case {
        name: "folds",
        out: "folds",
        write: |out, second, force| parts(out, second, force, Some(3)),
        open: None,
        stranger: false,
    },
    Case {
        name: "split among other files",
        out: "mine",
        write: |out, second, force| parts(out, second, force, None),
        open: None,
        stranger: true,
    },
    Case {
        name: "folds among other files",
        out: "mine",
        write: |out, second, force| parts(out, second, force, Some(2)),
        open: None,
        stranger: true,
    },
    Case {
        name: "synth",
        out: "planted.csv.gz",
        write: |out, second, force| {
            let options = SynthOptions {
                users: 9,
                items: 9,
                ratings: 40,
                seed: second.into(),
                ..SynthOptions::default()
            };
            synth(&options, out, force, &()).map(drop)
        },
        open: None,
        stranger: false,
    },
    // As predict, recommend and similar write.
    Case {
        name: "lists",
        out: "lists.csv",
        write: |out, second, force| {
            let mut output = Output::create(out, force)?;
            for line in 0..3 {
                output.write(|sink| {
                    writeln!(sink, "{second},{line}")?;
                    sink.flush()
                })?;
            }
            output.commit()
        },
        open: None,
        stranger: false,
    },
];

type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// All files below a directory, and its empty directories.
fn tree(root: &Path) -> Tree {
    fn walk(path: &Path, root: &Path, into: &mut Tree) {
        if path.is_dir() {
            let entries: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
            if entries.is_empty() && path != root {
                into.insert(path.strip_prefix(root).unwrap().to_owned(), None);
            }
            entries.iter().for_each(|entry| walk(entry, root, into));
        } else {
            into.insert(path.strip_prefix(root).unwrap().to_owned(), Some(fs::read(path).unwrap()));
        }
    }
    let mut found = Tree::new();
    walk(root, root, &mut found);
    found
}

/// What a user sees: without what lies beside an output under a name of its own, and without empty
/// directories on the way to it.
fn seen(tree: &Tree) -> Tree {
    let own = |path: &Path| path.to_string_lossy().contains(".wgmf-");
    let kept = tree.iter().filter(|(path, bytes)| bytes.is_some() && !own(path));
    kept.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
}

impl Case {
    /// A place where nothing, or the first version, is.
    fn begin(&self, over: bool) -> tempfile::TempDir {
        let home = home();
        let out = home.path().join(self.out);
        if self.stranger {
            fs::create_dir(&out).unwrap();
            fs::write(out.join("notes.txt"), "mine").unwrap();
        }
        if over {
            (self.write)(&out, false, false).unwrap();
        }
        home
    }

    /// Lets call `at` of a run fail, looks at what is there, and runs again.
    fn try_at(&self, over: bool, trouble: Trouble, before: &Tree, after: &Tree) {
        let home = self.begin(over);
        let out = home.path().join(self.out);
        let (done, _) = with_trouble(trouble, || (self.write)(&out, true, over));
        let now = seen(&tree(home.path()));
        let what = format!("{}, over {over}, {trouble:?}, {done:?}", self.name);
        let whole = now == *before || now == *after;
        let parted = trouble.dies && !whole;
        if done.is_ok() {
            assert!(now == *after, "{what}: is not written");
        } else if parted && over {
            // Between two renames: the first version waits under a known name.
            assert!(trouble.no_exchange && now.is_empty(), "{what}: {:?}", now.keys());
        } else if parted {
            // Files that are added one after another: those that are there are whole.
            assert!(self.stranger, "{what}: {:?}", now.keys());
            assert!(now.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "{what}");
        }
        if let (Some(open), true) = (self.open, over || now == *after) {
            open(&out);
            let now = seen(&tree(home.path()));
            assert!(now == *before || now == *after, "{what}: is not put back");
            if over && trouble.dies {
                // Whoever did not say so replaces nothing, whatever happened before.
                let unasked = self.name == "checkpoint" || (self.write)(&out, true, false).is_err();
                assert!(unasked, "{what}: is replaced");
            }
        }
        let again = (self.write)(&out, true, !self.stranger);
        // What was added in full, at the latest just now, is in the way.
        assert!(again.is_ok() || self.stranger, "{what}: {again:?}");
        let left = tree(home.path());
        assert!(left == *after, "{what}: then there is {:?}", left.keys());
    }
}

#[test]
fn whatever_fails_the_old_or_the_new_is_whole() {
    let mut tried = 0;
    for case in &CASES {
        for over in [false, true] {
            if over && case.stranger {
                continue;
            }
            let home = case.begin(over);
            let before = seen(&tree(home.path()));
            let out = home.path().join(case.out);
            let write = || (case.write)(&out, true, over).unwrap();
            write();
            let after = tree(home.path());
            assert!(seen(&after) == after, "{} leaves {:?}", case.name, after.keys());
            assert!(before != after);
            for no_exchange in [false, true] {
                if no_exchange && !over {
                    continue;
                }
                // Counted on a run of the same kind.
                let again = case.begin(over);
                let out = again.path().join(case.out);
                let none = Trouble { no_exchange, ..Trouble::default() };
                let (done, calls) = with_trouble(none, || (case.write)(&out, true, over));
                done.unwrap();
                assert!(calls >= 5, "{}: only {calls} calls", case.name);
                for at in 0..calls {
                    for dies in [false, true] {
                        let trouble = Trouble { at: Some(at), dies, no_exchange };
                        case.try_at(over, trouble, &before, &after);
                        tried += 1;
                    }
                }
            }
        }
    }
    println!("{tried} failures and kills");
}
