//! Small problems solved by NumPy (and, where `../shared` is, by PyTorch) in f64, solved again on every
//! backend. `tests/golden/make.py` writes the repository's own.

use crate::{common, oracle};
use wgmf::backend::{Backend, RowTerms};
use wgmf::core::{Confidence, Factors, Ids, Options, Ratings, Settings, Side, Solver};
use wgmf::cpu::Cpu;
use wgmf::train::{Input, Outcome, train};

use common::{gap, largest_gap, read_factors, read_npy, read_triples};
use oracle::{Model, rows::Rowwise};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const TOLERANCE: f64 = 1e-4;

/// A folder of problems and what is expected of each solver.
#[derive(Clone)]
struct Golden {
    folder: PathBuf,
    users: Ids,
    items: Ids,
    ratings: Ratings,
    init: Factors,
    info: serde_json::Value,
}

impl Golden {
    fn read(folder: PathBuf) -> Self {
        let (users, items, ratings) = read_triples(&folder.join("ratings.csv"));
        let text = std::fs::read_to_string(folder.join("info.json")).unwrap();
        let info = serde_json::from_str(&text).unwrap();
        let init = read_factors(&folder.join("init"), users.len(), items.len());
        Self { folder, users, items, ratings, init, info }
    }

    /// With the values that the options' objective takes: of Hu's those below 2.5 are dislikes.
    fn valued(&self, options: &Options) -> Self {
        let mut valued = self.clone();
        if options.confidence.is_some() {
            valued.ratings.values.iter_mut().for_each(|value| *value -= 2.5);
        }
        valued
    }

    /// The start, without biases where the model is `plain`.
    fn start(&self, plain: bool) -> Factors {
        let mut start = self.init.clone();
        if plain {
            start[Side::User].bias.fill(0.0);
            start[Side::Item].bias.fill(0.0);
        }
        start
    }

    fn settings(&self, options: &Options) -> Settings {
        options.resolve(&self.ratings, self.users.len(), self.items.len()).unwrap()
    }

    fn train(&self, backend: &dyn Backend, settings: &Settings, init: Option<Factors>) -> Outcome {
        let input = Input {
            users: &self.users,
            items: &self.items,
            ratings: &self.ratings,
            test: None,
            init,
            resume: None,
            checkpoint_every: None,
            clock: wgmf::train::seconds,
        };
        train(backend, input, settings, &mut |_| Ok(ControlFlow::Continue(()))).unwrap()
    }

    /// The arrays of `name`: what was got, and what is wanted; biases of a plain model must be zero.
    fn arrays<'a>(&self, name: &str, plain: bool, got: &'a Factors) -> Vec<Array<'a>> {
        let mut arrays = vec![
            ("user_factors", &got[Side::User].factors[..]),
            ("item_factors", &got[Side::Item].factors[..]),
        ];
        let biases =
            [("user_bias", &got[Side::User].bias[..]), ("item_bias", &got[Side::Item].bias[..])];
        if plain {
            for (array, got) in biases {
                assert!(got.iter().all(|&b| b == 0.0), "{name}: {array} must stay zero");
            }
        } else {
            arrays.extend(biases);
        }
        let read = |array: &str| read_npy(&self.folder.join(name).join(format!("{array}.npy")));
        arrays.into_iter().map(|(array, got)| (array, got, read(array))).collect()
    }
}

/// Runs a test on every golden problem.
fn on_all(test: fn(&dyn Backend, &Golden), backend: &dyn Backend) {
    common::golden().into_iter().map(Golden::read).for_each(|golden| test(backend, &golden));
}

/// An array's name, what was got, and what is wanted.
type Array<'a> = (&'static str, &'a [f32], Vec<f64>);

fn golden(backend: &dyn Backend, golden: &Golden) {
    let info = &golden.info;
    for name in ["sgd", "sgd-momentum", "sgd-plain", "adagrad", "adam"] {
        let expected = &info["solvers"][name];
        let number = |key: &str| expected[key].as_f64();
        let plain = expected["bias"] == false;
        let init = golden.start(plain);
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
        let outcome = golden.train(backend, &golden.settings(&options), Some(init));
        let mut worst = 0.0_f64;
        for (array, got, want) in golden.arrays(name, plain, &outcome.factors) {
            let gap = largest_gap(got, &want);
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
    on_all(golden, &Cpu::new());
}

#[test]
fn golden_on_the_gpu() {
    on_all(golden, &common::gpu());
}

const ROW_SOLVERS: [&str; 7] =
    ["als", "als-5", "als-flat", "ials", "ials-5", "ials-hu-1", "ials-hu-40"];

/// Those of them that a folder has.
fn row_solvers(golden: &Golden) -> impl Iterator<Item = &'static str> {
    ROW_SOLVERS.into_iter().filter(|name| golden.info["solvers"][name].is_object())
}

/// The options of a row solver's problem.
fn row_options(golden: &Golden, name: &str) -> Options {
    let expected = &golden.info["solvers"][name];
    let number = |key: &str| expected[key].as_f64();
    Options {
        factors: Some(golden.init.factors),
        solver: Some(if name.starts_with("ials") { Solver::Ials } else { Solver::Als }),
        epochs: Some(expected["epochs"].as_u64().unwrap() as usize),
        reg: number("reg"),
        reg_bias: number("reg_bias"),
        reg_exponent: number("reg_exponent"),
        unobserved_weight: number("unobserved_weight"),
        alpha: number("alpha"),
        confidence: (expected["confidence"] == "hu").then_some(Confidence::Hu),
        ..Options::default()
    }
}

/// The objective after each sweep.
fn objectives(outcome: &Outcome) -> Vec<f64> {
    outcome.history.iter().map(|record| record.objective.unwrap()).collect()
}

fn golden_rows(backend: &dyn Backend, golden: &Golden) {
    for name in row_solvers(golden) {
        let options = row_options(golden, name);
        let golden = &golden.valued(&options);
        let plain = options.solver == Some(Solver::Ials);
        let settings = golden.settings(&options);
        let k = golden.init.factors;
        assert_eq!(settings.block, k, "exact unless told otherwise");
        let outcome = golden.train(backend, &settings, Some(golden.start(plain)));
        let mut worst = 0.0_f64;
        for (array, got, want) in golden.arrays(name, plain, &outcome.factors) {
            let gap = largest_gap(got, &want);
            assert!(gap < TOLERANCE, "{name}: {array} is off by {gap:.2e}");
            worst = worst.max(gap);
        }
        let wants = golden.info["solvers"][name]["objective_after_each_sweep"].as_array().unwrap();
        assert_eq!(outcome.history.len(), wants.len());
        for (got, want) in objectives(&outcome).into_iter().zip(wants) {
            let gap = gap(got, want.as_f64().unwrap(), 0.1);
            assert!(gap < TOLERANCE, "{name}: an objective is off by {gap:.2e}");
            worst = worst.max(gap);
        }
        println!("{name} on {}: within {worst:.1e}", backend.device().backend);
        // Told so, the same.
        let told = golden.settings(&Options { block: Some(k), ..options });
        let again = golden.train(backend, &told, Some(golden.start(plain)));
        assert!(again.factors == outcome.factors, "{name}: --block {k} is not exact");
    }
}

#[test]
fn golden_rows_on_the_cpu() {
    on_all(golden_rows, &Cpu::new());
}

#[test]
fn golden_rows_on_the_gpu() {
    on_all(golden_rows, &common::gpu());
}

/// NumPy and the oracle are two computations of one definition.
#[test]
fn the_oracle_is_golden() {
    common::golden().into_iter().map(Golden::read).for_each(|golden| oracle_is(&golden));
}

fn oracle_is(golden: &Golden) {
    for name in row_solvers(golden) {
        let options = row_options(golden, name);
        let golden = &golden.valued(&options);
        let plain = options.solver == Some(Solver::Ials);
        let mut model = Model::from(&golden.start(plain));
        let mut ratings = golden.ratings.clone();
        if plain && options.confidence.is_none() {
            ratings.values.fill(1.0);
        } else if !plain {
            model.mean = golden.ratings.mean();
        }
        // As f32 the regularization would be off by 1e-8.
        let terms = RowTerms::new(&golden.settings(&options));
        let oracle = match options.alpha {
            Some(alpha) => Rowwise::confident(&ratings, alpha, &terms),
            None => Rowwise::new(&ratings, &[], &terms),
        };
        let wants = golden.info["solvers"][name]["objective_after_each_sweep"].as_array().unwrap();
        for want in wants {
            oracle.solve(&mut model, Side::User);
            oracle.solve(&mut model, Side::Item);
            let gap = gap(oracle.objective(&model).total(), want.as_f64().unwrap(), 0.1);
            assert!(gap < 1e-6, "{name}: an objective is off by {gap:.1e}");
        }
        for (array, want) in [
            ("user_factors", model.users.factors.concat()),
            ("item_factors", model.items.factors.concat()),
            ("user_bias", model.users.bias),
            ("item_bias", model.items.bias),
        ] {
            if plain && array.ends_with("bias") {
                continue;
            }
            let got = read_npy(&golden.folder.join(name).join(format!("{array}.npy")));
            let far = got.iter().zip(&want).map(|(&got, &want)| gap(got, want, 0.01));
            let far = far.fold(0.0, f64::max);
            assert!(far < 1e-5, "{name}: {array} is off by {far:.1e}");
        }
    }
}

/// Blocks of 1, 3 and 8 end where exact solves end: within 0.1 % of their objective after 20 sweeps.
fn blocks_reach_the_exact_objective(backend: &dyn Backend, golden: &Golden) {
    for name in ["als", "ials"] {
        // The start of the golden problem, and a random one of more factors.
        let more = Options { factors: Some(16), ..row_options(golden, name) };
        let random = |options: &Options| (Options { seed: 3, ..options.clone() }, None);
        let given = row_options(golden, name);
        let plain = name == "ials";
        for (options, start) in [(given, Some(golden.start(plain))), random(&more)] {
            let options = Options { epochs: Some(20), ..options };
            let last = |block: Option<usize>| {
                let settings = golden.settings(&Options { block, ..options.clone() });
                let outcome = golden.train(backend, &settings, start.clone());
                let objectives = objectives(&outcome);
                for pair in objectives.windows(2) {
                    assert!(pair[1] <= pair[0] * (1.0 + 1e-6), "{name}: {block:?}: {pair:?}");
                }
                *objectives.last().unwrap()
            };
            let exact = last(None);
            let k = options.factors.unwrap();
            for block in [1, 3, 8].into_iter().filter(|&block| block < k) {
                let got = last(Some(block));
                let gap = (got - exact) / exact;
                println!("{name}, {k} factors, blocks of {block}: {:+.4} %", 100.0 * gap);
                assert!(gap < 1e-3, "{name}, {k}, {block}: {got} instead of {exact}");
            }
        }
    }
}

#[test]
fn blocks_reach_the_exact_objective_on_the_cpu() {
    on_all(blocks_reach_the_exact_objective, &Cpu::new());
}

#[test]
fn blocks_reach_the_exact_objective_on_the_gpu() {
    // A GPU compiles its kernels for each block: the repository's problem will do.
    let first = common::golden().swap_remove(0);
    blocks_reach_the_exact_objective(&common::gpu(), &Golden::read(first));
}

/// What lies in the repository is what its script makes.
#[test]
fn the_script_makes_the_golden_problem() {
    let Some(python) = common::python() else { return };
    let (stored, made) = (common::root().join("tests/golden"), tempfile::tempdir().unwrap());
    let mut command = std::process::Command::new(python);
    command.arg(stored.join("make.py")).arg("--out").arg(made.path());
    assert!(command.status().unwrap().success());
    let ratings = |folder: &Path| std::fs::read_to_string(folder.join("ratings.csv")).unwrap();
    assert!(ratings(&stored) == ratings(made.path()), "ratings.csv");
    let (stored, made) = (Golden::read(stored), Golden::read(made.path().to_owned()));
    assert_eq!(stored.init, made.init);
    let mut arrays = 0;
    for solver in stored.info["solvers"].as_object().unwrap().keys() {
        for entry in std::fs::read_dir(stored.folder.join(solver)).unwrap() {
            let name = entry.unwrap().file_name();
            let read = |golden: &Golden| read_npy(&golden.folder.join(solver).join(&name));
            let gaps = read(&made).into_iter().zip(read(&stored)).map(|(a, b)| gap(a, b, 0.01));
            // Solutions depend on the last bits of LAPACK.
            let far = gaps.fold(0.0, f64::max);
            assert!(far < 1e-9, "{solver}, {name:?}: off by {far:.1e}");
            arrays += 1;
        }
    }
    assert_eq!(arrays, 4 * 7 + 2 * 5);
}
