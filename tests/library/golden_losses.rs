//! Losses made for ranking, trained by PyTorch in f64 (`tests/golden/losses.py`), trained again on every
//! backend.

use crate::common;
use common::{largest_gap, read_factors, read_npy, read_triples};
use std::ops::ControlFlow;
use wgmf::backend::Backend;
use wgmf::core::{Options, Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::train::{Input, train};

const TOLERANCE: f64 = 1e-4;

fn losses_are_golden(backend: &dyn Backend) {
    let folder = common::root().join("tests/golden");
    let (users, items, ratings) = read_triples(&folder.join("ratings.csv"));
    let text = std::fs::read_to_string(folder.join("losses/info.json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&text).unwrap();
    let losses = info["losses"].as_object().unwrap();
    assert_eq!(losses.len(), 6);
    for (name, golden) in losses {
        let mut init = read_factors(&folder.join("init"), users.len(), items.len());
        init[Side::User].bias.fill(0.0);
        if golden["settings"]["bias"] != true {
            init[Side::Item].bias.fill(0.0);
        }
        let number = |key: &str| info[key].as_u64().unwrap() as usize;
        let options: Options = serde_json::from_value(golden["settings"].clone()).unwrap();
        let options = Options {
            solver: Some(Solver::Adam),
            factors: Some(init.factors),
            batch_size: Some(number("batch_size")),
            epochs: Some(number("epochs")),
            seed: number("seed") as u64,
            learning_rate_decay: Some(1.0),
            no_shuffle: true,
            ..options
        };
        let settings = options.resolve(&ratings, users.len(), items.len()).unwrap();
        let input = Input { init: Some(init), ..Input::new(&users, &items, &ratings) };
        let outcome =
            train(backend, input, &settings, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
        let got = &outcome.factors;
        let arrays = [
            ("user_factors", &got[Side::User].factors),
            ("item_factors", &got[Side::Item].factors),
            ("item_bias", &got[Side::Item].bias),
        ];
        for (array, got) in arrays {
            let want = read_npy(&folder.join("losses").join(name).join(format!("{array}.npy")));
            if want.iter().all(|x| *x == 0.0) {
                assert!(got.iter().all(|x| *x == 0.0), "{name}: {array} must stay zero");
                continue;
            }
            let gap = largest_gap(got, &want);
            assert!(gap < TOLERANCE, "{name}: {array} is off by {gap:.1e}");
        }
        let history = golden["history"].as_array().unwrap();
        for (record, want) in outcome.history.iter().zip(history) {
            let (got, want) = (record.train_error.unwrap(), want.as_f64().unwrap());
            let gap = common::gap(got, want, 0.0);
            assert!(gap < TOLERANCE, "{name}: epoch {} has {got}, not {want}", record.epoch);
        }
        assert_eq!(outcome.history.len(), history.len());
    }
}

#[test]
fn losses_made_for_ranking_are_golden_on_the_cpu() {
    losses_are_golden(&Cpu::new());
}

#[test]
fn losses_made_for_ranking_are_golden_on_the_gpu() {
    losses_are_golden(&common::gpu());
}
