//! Every export format, read back by the programs it is meant for.
//!
//! The Python readers in `tests/readers` run with `.venv/bin/python`, or the interpreter that
//! `WGMF_PYTHON` names, when it has the packages of `tests/readers/requirements.txt`.

use crate::{common, fixture};
use wgmf::core::Side;
use wgmf::cpu::Cpu;
use wgmf::model::{Format, Model, export};
use wgmf::recommend::{Catalogue, Recommendation, Recommender};

use common::{python, root};
use fixture::{model, saved, seen, stderr, wgmf};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FORMATS: [Format; 8] = [
    Format::Npy,
    Format::Csv,
    Format::Tsv,
    Format::Safetensors,
    Format::Word2vec,
    Format::Projector,
    Format::Pgvector,
    Format::Parquet,
];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A model whose numbers are hard to write as text.
fn awkward() -> Model {
    let mut model = model(20, 17, 5);
    let hard = [0.0, -0.0, 1e-45, f32::MIN_POSITIVE, f32::MAX, -1.0e-7, 0.1, 1.0 / 3.0, 16777217.0];
    model.factors[Side::User].factors[..9].copy_from_slice(&hard);
    model.factors[Side::Item].bias[..9].copy_from_slice(&hard);
    model.factors.global_mean = 1.0 / 3.0;
    model
}

/// Runs a script of `tests/readers` on a directory; it fails where the directory is not `model`.
fn read_by(script: &str, directory: &Path, model: &Model) {
    let Some(python) = python() else { return };
    let f = &model.factors;
    // Single precision survives the way through JSON's doubles.
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let expected = json!({
        "factors": f.factors,
        "global_mean": f64::from(f.global_mean),
        "users": {
            "ids": model.users.iter().collect::<Vec<_>>(),
            "ratings": model.user_ratings,
            "factors": wide(&f[Side::User].factors),
            "bias": wide(&f[Side::User].bias),
        },
        "items": {
            "ids": model.items.iter().collect::<Vec<_>>(),
            "ratings": model.item_ratings,
            "factors": wide(&f[Side::Item].factors),
            "bias": wide(&f[Side::Item].bias),
        },
    });
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("expected.json");
    fs::write(&path, expected.to_string()).unwrap();
    let script = root().join("tests/readers").join(script);
    let output = Command::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script)
        .arg(directory)
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

fn exported(format: Format, script: &str) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("out");
    let model = awkward();
    export(&model, format, &dir, false, &()).unwrap();
    assert_eq!(names(&dir), format.files());
    assert_eq!(names(home.path()), ["out"]);
    read_by(script, &dir, &model);
}

#[test]
fn numpy_reads_npy() {
    exported(Format::Npy, "npy.py");
}

#[test]
fn pandas_reads_csv() {
    exported(Format::Csv, "table.py");
}

#[test]
fn pandas_reads_tsv() {
    exported(Format::Tsv, "table.py");
}

#[test]
fn the_safetensors_package_reads_safetensors() {
    exported(Format::Safetensors, "tensors.py");
}

#[test]
fn gensim_reads_word2vec() {
    exported(Format::Word2vec, "word2vec.py");
}

#[test]
fn tensorboards_rules_read_projector() {
    exported(Format::Projector, "projector.py");
}

/// Node and the modules that test.sh installs for it; `WGMF_NODE_MODULES` names others.
fn node_modules() -> Option<PathBuf> {
    let named = std::env::var_os("WGMF_NODE_MODULES").map(PathBuf::from);
    let modules = named.unwrap_or_else(|| root().join(".venv/node_modules"));
    let there = modules.join("@electric-sql/pglite-pgvector").is_dir()
        && Command::new("node").arg("--version").output().is_ok();
    if !there {
        common::skipped("the export to pgvector: there is no Node with PGlite");
    }
    there.then_some(modules)
}

#[test]
fn postgresql_ranks_as_the_model_does() {
    let Some(modules) = node_modules() else { return };
    let mut model = model(30, 120, 6);
    // What would end a line or a field of COPY, or be taken for nothing.
    model.items = (0..120).map(|at| format!("{at}\\.\t'\\N\n{at}\r\u{e9}")).collect();
    for biases in [true, false] {
        if !biases {
            model.factors[Side::Item].bias.fill(0.0);
        }
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("out");
        export(&model, Format::Pgvector, &dir, false, &()).unwrap();
        let recommender = Recommender::new(&Cpu::new(), Catalogue::all(&model)).unwrap();
        let mut lists = Vec::new();
        let each = |_, list: &[Recommendation]| {
            lists.push(list.iter().map(|best| model.items.name(best.item)).collect::<Vec<_>>());
            Ok(())
        };
        recommender.each(0..30, 20, each).unwrap();
        let side = |side: Side, counts: &[u32]| {
            let bias: Vec<f64> = model.factors[side].bias.iter().map(|&b| b.into()).collect();
            let ids: Vec<&str> = model.ids(side).iter().collect();
            json!({ "ids": ids, "ratings": counts, "bias": bias })
        };
        let expected = json!({
            "users": side(Side::User, &model.user_ratings),
            "items": side(Side::Item, &model.item_ratings),
            "lists": lists,
        });
        let path = home.path().join("expected.json");
        fs::write(&path, expected.to_string()).unwrap();
        let mut node = Command::new("node");
        node.arg(root().join("tests/readers/pgvector.mjs")).args([&modules, &dir, &path]);
        let output = node.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn numpy_pandas_and_scipy_read_the_model_directory() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = awkward();
    model.save(&dir, &seen(&model), false).unwrap();
    read_by("model.py", &dir, &model);
}

#[test]
fn the_readers_notice_a_wrong_number() {
    if python().is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    for (format, script) in
        [(Format::Npy, "npy.py"), (Format::Tsv, "table.py"), (Format::Word2vec, "word2vec.py")]
    {
        let dir = home.path().join(format.name());
        let model = awkward();
        export(&model, format, &dir, false, &()).unwrap();
        let mut other = model.clone();
        let last = other.factors[Side::Item].factors.last_mut().unwrap();
        *last = f32::from_bits(last.to_bits() ^ 1);
        let noticed = std::panic::catch_unwind(|| read_by(script, &dir, &other));
        assert!(noticed.is_err(), "{script} did not notice");
    }
}

#[test]
fn rust_reads_npy_and_csv() {
    let home = tempfile::tempdir().unwrap();
    let model = awkward();
    let npy = home.path().join("npy");
    export(&model, Format::Npy, &npy, false, &()).unwrap();
    let bytes = fs::read(npy.join("item_factors.npy")).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!(array.shape(), [17, 5]);
    assert_eq!(array.into_vec::<f32>().unwrap(), model.factors[Side::Item].factors);

    let csv = home.path().join("csv");
    export(&model, Format::Csv, &csv, false, &()).unwrap();
    let mut table = csv::Reader::from_path(csv.join("users.csv")).unwrap();
    for (row, record) in table.records().enumerate() {
        let record = record.unwrap();
        assert_eq!(&record[0], model.users.name(row as u32));
        let numbers: Vec<f32> = record.iter().skip(1).map(|x| x.parse().unwrap()).collect();
        assert_eq!(numbers[0].to_bits(), model.factors[Side::User].bias[row].to_bits());
        for (got, want) in numbers[1..].iter().zip(model.factors.user(row as u32)) {
            assert_eq!(got.to_bits(), want.to_bits());
        }
    }
}

#[test]
fn an_export_is_replaced_only_when_told_and_nothing_else_ever() {
    let home = tempfile::tempdir().unwrap();
    let model = model(3, 4, 2);
    for format in FORMATS {
        let dir = home.path().join("out");
        export(&model, format, &dir, false, &()).unwrap();
        let message = export(&model, format, &dir, false, &()).unwrap_err().to_string();
        assert!(message.contains("`force`"), "{message}");
        export(&model, format, &dir, true, &()).unwrap();
        fs::write(dir.join("mine.txt"), "words").unwrap();
        let message = export(&model, format, &dir, true, &()).unwrap_err().to_string();
        assert!(message.contains("mine.txt"), "{message}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn vectors_need_factors() {
    let home = tempfile::tempdir().unwrap();
    let model = model(3, 4, 0);
    for format in FORMATS {
        let dir = home.path().join(format.name());
        let done = export(&model, format, &dir, false, &());
        match format {
            Format::Word2vec | Format::Projector => {
                assert!(done.unwrap_err().to_string().contains("without factors"));
                assert!(!dir.exists());
            }
            _ => done.unwrap(),
        }
    }
}

#[test]
fn the_command_writes_beside_the_model() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("m");
    let model = saved(&dir);
    let m = dir.to_str().unwrap();
    for format in FORMATS {
        let output = wgmf(&["export", m, "--format", format.name()]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        assert_eq!(names(&home.path().join(format!("m-{}", format.name()))), format.files());
    }
    read_by("npy.py", &home.path().join("m-npy"), &model);
    let again = wgmf(&["export", m, "--format", "npy"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("--force"), "{}", stderr(&again));
    let forced = wgmf(&["export", m, "--format", "npy", "--force"]);
    assert!(forced.status.success());
    // Into the model itself would be mixing two things.
    let inside = wgmf(&["export", m, "--format", "safetensors", "--output", m, "--force"]);
    assert_eq!(inside.status.code(), Some(1));
    assert!(stderr(&inside).contains("choose another directory"), "{}", stderr(&inside));
    assert!(Model::open(&dir).is_ok());
    let wrong = wgmf(&["export", m, "--format", "xml"]);
    assert_eq!(wrong.status.code(), Some(2));
}
