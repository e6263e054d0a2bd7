//! What several test files share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::path::PathBuf;
use wgmf::core::{Confidence, Factors, Ids, Objective, Ratings, SideFactors};
use wgmf::gpu::{Choice, Gpu, Sources, TightLimits};

/// The folder of data beside the repository, or `None`, which is said.
pub fn shared(part: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent()?.join("shared").join(part);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("../shared/{part} is not there"));
    None
}

/// The objective of a solver by its name, with what `settings` says of it.
pub fn objective(solver: &str, settings: &serde_json::Value) -> Objective {
    let solver = serde_json::from_value(solver.into()).unwrap();
    let usual = Objective::new(solver);
    let number = |name: &str, or: f64| settings[name].as_f64().unwrap_or(or);
    let nonnegative = settings["nonnegative"] == true;
    Objective {
        bias: settings["bias"].as_bool().unwrap_or(usual.bias) && !nonnegative,
        reg: number("reg", usual.reg),
        reg_bias: number("reg_bias", usual.reg_bias),
        reg_exponent: number("reg_exponent", usual.reg_exponent),
        damping: number("damping", 0.0),
        damping_bias: number("damping_bias", 0.0),
        unobserved_weight: number("unobserved_weight", usual.unobserved_weight),
        alpha: settings["alpha"].as_f64(),
        confidence: match settings["confidence"] == "hu" {
            true => Confidence::Hu,
            false => Confidence::Rendle,
        },
        nonnegative,
        ..usual
    }
}

/// Says what a test could not look at. ./test.sh names a file for it, and tells it all at the end:
/// the output of a test that passes is not seen.
pub fn skipped(what: &str) {
    println!("skipped: {what}");
    let Some(path) = std::env::var_os("WGMF_SKIPPED") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    // One write: tests of several programs append at once.
    file.write_all(format!("skipped: {what}\n").as_bytes()).unwrap();
}

/// The golden problems: the repository's own, and that of ../shared/golden where it is there.
/// WGMF_GOLDEN names a folder of another in their place (other seeds, other sizes).
pub fn golden() -> Vec<PathBuf> {
    match std::env::var_os("WGMF_GOLDEN") {
        Some(folder) => vec![folder.into()],
        None => [root().join("tests/golden")].into_iter().chain(shared("golden")).collect(),
    }
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Python with the packages of `tests/readers/requirements.txt`: of `.venv`, or the one that
/// WGMF_PYTHON names.
pub fn python() -> Option<PathBuf> {
    let named = std::env::var_os("WGMF_PYTHON").map(PathBuf::from);
    let own = root().join(".venv/bin/python");
    let python = named.or_else(|| own.exists().then_some(own));
    if python.is_none() {
        skipped(
            "Python's readers need .venv (python3 -m venv .venv && .venv/bin/pip install -r \
             tests/readers/requirements.txt) or WGMF_PYTHON",
        );
    }
    python
}

/// Reads `user,item,rating` with a header, ids in order of first appearance.
pub fn read_triples(path: &std::path::Path) -> (Ids, Ids, Ratings) {
    let (mut users, mut items, mut ratings) = (Ids::new(), Ids::new(), Ratings::default());
    for record in csv::Reader::from_path(path).unwrap().records() {
        let record = record.unwrap();
        ratings.users.push(users.intern(&record[0]));
        ratings.items.push(items.intern(&record[1]));
        ratings.values.push(record[2].parse().unwrap());
    }
    (users, items, ratings)
}

/// Reads an array of f32 or f64 as f64.
pub fn read_npy(path: &std::path::Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap();
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    match file.try_data::<f64>() {
        Ok(data) => data.map(Result::unwrap).collect(),
        Err(file) => file.into_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
    }
}

/// Reads the four arrays of a folder; absent biases are zeros.
pub fn read_factors(folder: &std::path::Path, users: usize, items: usize) -> Factors {
    let read = |name: &str, or: usize| -> Vec<f32> {
        let path = folder.join(name);
        if path.exists() {
            read_npy(&path).into_iter().map(|x| x as f32).collect()
        } else {
            vec![0.0; or]
        }
    };
    let user_factors = read("user_factors.npy", 0);
    Factors {
        factors: user_factors.len() / users,
        sides: [
            SideFactors { factors: user_factors, bias: read("user_bias.npy", users) },
            SideFactors {
                factors: read("item_factors.npy", 0),
                bias: read("item_bias.npy", items),
            },
        ],
        global_mean: 0.0,
    }
}

/// How far `got` is from `want`, relative to `max(|want|, floor)`; infinitely far for NaN.
pub fn gap(got: f64, want: f64, floor: f64) -> f64 {
    let gap = (got - want).abs() / want.abs().max(floor);
    if gap.is_nan() { f64::INFINITY } else { gap }
}

/// The largest [`gap`] of two arrays, with the root mean square of `want` as the floor; where that
/// is tiny the comparison would mean nothing, and fails.
pub fn largest_gap(got: &[f32], want: &[f64]) -> f64 {
    largest_gap_over(got, want, 0.0)
}

/// The same, with another floor where that is higher.
pub fn largest_gap_over(got: &[f32], want: &[f64], floor: f64) -> f64 {
    assert_eq!(got.len(), want.len(), "arrays of different lengths");
    let rms = (want.iter().map(|x| x * x).sum::<f64>() / want.len() as f64).sqrt();
    assert!(rms > 1e-6, "the expected values are all but zero: rms {rms}");
    let gaps = got.iter().zip(want).map(|(&got, &want)| gap(f64::from(got), want, rms.max(floor)));
    gaps.fold(0.0, f64::max)
}

/// The best adapter there is, software included. WGMF_ADAPTER names another.
pub fn adapter() -> Choice {
    match std::env::var("WGMF_ADAPTER") {
        Ok(name) => Choice::Named(name),
        Err(_) => Choice::Any,
    }
}

/// A GPU. Without one a test fails, and says what to install.
pub fn gpu() -> Gpu {
    gpu_with(None, Sources::default())
}

/// A GPU with these shaders, and where they are given with limits: bytes of a binding, workgroups of a
/// dispatch.
pub fn gpu_with(limits: Option<(u64, u32)>, sources: Sources) -> Gpu {
    let tight = limits.map(|(binding_bytes, workgroups)| TightLimits { binding_bytes, workgroups });
    Gpu::open_with(&adapter(), tight, sources)
        .map_or_else(|error| panic!("{error} (./test.sh installs it)"), checks)
}

/// With WGMF_SAFE_SHADERS set, kernels keep their checks: every test runs either way.
pub fn checks(gpu: Gpu) -> Gpu {
    if std::env::var_os("WGMF_SAFE_SHADERS").is_some() { gpu.checked() } else { gpu }
}
