//! `--factors 0` trains biases alone, and what opens a model opens this one.

use crate::place;
use place::{Place, stderr};
use wgmf::core::Side;
use wgmf::model::Model;

const RUNS: [&str; 9] = [
    "--solver sgd --backend cpu",
    "--solver als --backend cpu",
    "--solver adam --backend cpu --epochs 3",
    "--solver adagrad --backend cpu --epochs 3",
    "--solver sgd --epochs 2 --batch-size 8192 --backend gpu --adapter llvmpipe",
    "--solver als --epochs 3 --backend gpu --adapter llvmpipe",
    "--solver bayes --samples 20 --burn-in 10 --backend cpu",
    "--solver bayes --samples 6 --burn-in 6 --backend gpu --adapter llvmpipe",
    "--solver bayes --likelihood ordinal --samples 10 --burn-in 10 --backend cpu",
];

#[test]
fn biases_alone_are_a_model() {
    let place = Place::with_sample();
    place.write("new.csv", "user,item,rating\nZoe,Amber Bells,5\nZoe,Dim Glass,1\n");
    for run in RUNS {
        place.ok(&format!(
            "train plays.csv --factors 0 --holdout 0.1 {run} --progress none --model m --force"
        ));
        let model = Model::open(place.path("m")).unwrap();
        assert_eq!((model.factors.factors, model.factors[Side::User].factors.len()), (0, 0));
        assert!(model.factors[Side::Item].bias.iter().any(|&bias| bias.abs() > 0.1), "{run}");
        let rmse = place.json("evaluate m plays.csv --json")["rmse"].as_f64().unwrap();
        assert!((0.8..0.97).contains(&rmse), "{run}: {rmse}");
        assert_eq!(place.ok("predict m new.csv").lines().count(), 3);
        let lists = place.ok("recommend m --users Norel,Oriyn -n 5");
        assert_eq!(lists.lines().filter(|line| line.contains("Norel")).count(), 5, "{lists}");
        place.ok("evaluate m plays.csv --ranking --at 10");
        place.ok("fold-in m new.csv --output grown --force");
        assert_eq!(Model::open(place.path("grown")).unwrap().factors.users(), 1001);
        place.ok("info m");
        for format in ["npy", "csv", "safetensors"] {
            place.ok(&format!("export m --format {format} --output out-{format} --force"));
        }
        for line in ["similar m --users Norel -n 5", "recommend m --users Norel -n 3 --explain"] {
            let output = place.run(line);
            let said = stderr(&output);
            let words = if line.contains("--explain") && !run.contains("--solver als") {
                "als or ials"
            } else {
                "--factors"
            };
            assert!(output.status.code() == Some(1) && said.contains(words), "{line}: {said}");
        }
    }
}

#[test]
fn the_sampler_of_biases_alone_knows_how_sure_it_is_and_is_the_same_on_both_devices() {
    let place = Place::with_sample();
    place.ok("split plays.csv --holdout 0.2 --output parts");
    let train = |device: &str| {
        let run = "--factors 0 --solver bayes --samples 30 --burn-in 20 --progress none --force";
        place.ok(&format!("train parts/train.csv --model m {run} {device}"));
        place.json("evaluate m parts/test.csv --json")
    };
    let (cpu, gpu) = (train("--backend cpu"), train("--backend gpu --adapter llvmpipe"));
    let figure = |of: &serde_json::Value, key: &str| {
        of[key].as_f64().unwrap_or_else(|| panic!("{key}: {of}"))
    };
    // The numbers drawn are the same, sums differ in their last digits.
    assert!((figure(&cpu, "rmse") - figure(&gpu, "rmse")).abs() < 2e-3, "{cpu} {gpu}");
    assert!((0.87..0.93).contains(&figure(&cpu, "coverage_90")), "{cpu}");
    // What als finds, whose penalty was chosen on a part held out.
    place.ok("train parts/train.csv --model m --factors 0 --solver als --progress none --force");
    let als = place.json("evaluate m parts/test.csv --json");
    assert!(figure(&cpu, "rmse") < 1.003 * figure(&als, "rmse"), "{cpu} {als}");
}
