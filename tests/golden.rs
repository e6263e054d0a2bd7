//! Small problems solved by PyTorch in f64, solved again on every backend.

mod common;

use common::{gap, largest_gap, read_factors, read_npy, read_triples, shared};
use std::ops::ControlFlow;
use wgmf::backend::Backend;
use wgmf::cpu::Cpu;
use wgmf::model::Factors;
use wgmf::train::{Input, Options, Solver, train};

const TOLERANCE: f64 = 1e-4;

fn golden(backend: &dyn Backend) {
    // WGMF_GOLDEN names a folder of other problems (other seeds, other sizes).
    let folder = match std::env::var_os("WGMF_GOLDEN") {
        Some(folder) => Some(folder.into()),
        None => shared("golden"),
    };
    let Some(folder) = folder else { return };
    let (users, items, ratings) = read_triples(&folder.join("ratings.csv"));
    let text = std::fs::read_to_string(folder.join("info.json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&text).unwrap();
    for name in ["sgd", "sgd-momentum", "sgd-plain", "adagrad", "adam"] {
        let expected = &info["solvers"][name];
        let number = |key: &str| expected[key].as_f64();
        let plain = expected["bias"] == false;
        let init = read_factors(&folder.join("init"), users.len(), items.len());
        let init = Factors {
            user_bias: if plain { vec![0.0; users.len()] } else { init.user_bias.clone() },
            item_bias: if plain { vec![0.0; items.len()] } else { init.item_bias.clone() },
            ..init
        };
        let options = Options {
            factors: Some(init.factors),
            no_bias: plain,
            no_mean: plain,
            solver: Some(match name {
                "adagrad" => Solver::Adagrad,
                "adam" => Solver::Adam,
                _ => Solver::Sgd,
            }),
            epochs: Some(expected["epochs"].as_u64().unwrap() as usize),
            batch_size: Some(info["batch"].as_u64().unwrap() as usize),
            learning_rate: number("learning_rate"),
            learning_rate_decay: Some(1.0),
            momentum: number("momentum"),
            reg: number("reg"),
            reg_bias: if plain { None } else { number("reg_bias") },
            no_shuffle: true,
            ..Options::default()
        };
        let settings = options.resolve(&ratings, users.len(), items.len()).unwrap();
        let input = Input {
            users: &users,
            items: &items,
            ratings: &ratings,
            test: None,
            init: Some(init),
            resume: None,
            checkpoint_every: None,
        };
        let outcome =
            train(backend, input, &settings, &mut |_| Ok(ControlFlow::Continue(()))).unwrap();
        let mut worst = 0.0_f64;
        for (array, got) in [
            ("user_factors", &outcome.factors.user_factors),
            ("item_factors", &outcome.factors.item_factors),
            ("user_bias", &outcome.factors.user_bias),
            ("item_bias", &outcome.factors.item_bias),
        ] {
            let path = folder.join(name).join(format!("{array}.npy"));
            if plain && array.ends_with("bias") {
                assert!(got.iter().all(|&b| b == 0.0), "{name}: {array} must stay zero");
                continue;
            }
            let gap = largest_gap(got, &read_npy(&path));
            assert!(gap < TOLERANCE, "{name}: {array} is off by {gap:.2e}");
            worst = worst.max(gap);
        }
        let losses = expected["train_mse_before_each_step"].as_array().unwrap();
        assert_eq!(outcome.history.len(), losses.len());
        for (record, want) in outcome.history.iter().zip(losses) {
            let gap = gap(record.train_error.unwrap(), want.as_f64().unwrap(), 0.1);
            assert!(gap < TOLERANCE, "{name}: error of epoch {} off by {gap:.2e}", record.epoch);
        }
        println!("{name} on {}: within {worst:.1e}", backend.device().backend);
    }
}

#[test]
fn golden_on_the_cpu() {
    golden(&Cpu::new());
}

#[test]
fn golden_on_the_gpu() {
    golden(&common::gpu());
}
