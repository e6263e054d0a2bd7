//! `wgmf bench` where it says what a GPU did.

use crate::place::Place;
use serde_json::Value;

/// The part of the name by which `--adapter` finds the GPU: WGMF_ADAPTER, else the first there is.
fn adapter() -> String {
    if let Ok(name) = std::env::var("WGMF_ADAPTER") {
        return name;
    }
    let devices = Place::new().json("devices --json");
    let name = devices["adapters"][0]["name"].as_str();
    let name = name.unwrap_or_else(|| panic!("no adapter: {devices} (./test.sh installs one)"));
    name.split_whitespace().next().unwrap().to_owned()
}

fn kernels(of: &Value) -> Vec<&str> {
    let kernels = of["profile"]["kernels"].as_array().unwrap();
    kernels.iter().map(|part| part["kernel"].as_str().unwrap()).collect()
}

#[test]
fn a_profile_counts_every_dispatch() {
    let place = Place::new();
    let adapter = adapter();
    let report = place.json(&format!(
        "bench --ratings 3000 --solver adam,als,bayes --factors 5 --epochs 3 --batch-size 500 \
         --lists 3 --profile --save report.json --json --backend gpu --adapter {adapter}"
    ));
    let saved: Value = serde_json::from_slice(&place.read("report.json")).unwrap();
    assert_eq!(saved, report);
    let [adam, als, bayes, lists] = [
        &report["measurements"][0],
        &report["sweeps"][0],
        &report["sweeps"][1],
        &report["lists"][0],
    ];
    // The last is of the held-out ratings.
    assert_eq!(kernels(adam), ["residual", "gradient", "step", "reduce", "error"]);
    // 2,700 ratings are six batches, and a step is one dispatch for each side.
    let dispatches = |at: usize| adam["profile"]["kernels"][at]["dispatches"].as_f64().unwrap();
    assert_eq!([0, 1, 2].map(dispatches), [6.0, 6.0, 12.0]);
    assert!(kernels(als).contains(&"gram") && kernels(als).contains(&"cholesky"));
    assert!(kernels(bayes).contains(&"remainder"), "{bayes}");
    assert!(kernels(lists).contains(&"topk"), "{lists}");
    for of in [adam, als, bayes, lists] {
        assert!(of["profile"]["submissions"].as_f64().unwrap() > 0.0);
        for part in of["profile"]["kernels"].as_array().unwrap() {
            // Some adapters have no time stamps.
            assert!(part["seconds"].as_f64().is_none_or(|seconds| seconds >= 0.0), "{part}");
        }
    }
}

#[test]
fn without_a_profile_nothing_is_said_of_kernels() {
    let report = Place::new().json(&format!(
        "bench --ratings 2000 --solver adam --factors 2 --epochs 2 --json --backend gpu --adapter {} \
         --safe-shaders",
        adapter()
    ));
    assert_eq!(report["measurements"][0].get("profile"), None);
    assert_eq!(report.get("lists"), None);
}
