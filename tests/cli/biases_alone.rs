//! `--factors 0` trains biases alone, and what opens a model opens this one.

use crate::place;
use place::{Place, stderr};
use wgmf::core::Side;
use wgmf::model::Model;

const RUNS: [&str; 6] = [
    "--solver sgd --backend cpu",
    "--solver als --backend cpu",
    "--solver adam --backend cpu --epochs 3",
    "--solver adagrad --backend cpu --epochs 3",
    "--solver sgd --epochs 2 --batch-size 8192 --backend gpu --adapter llvmpipe",
    "--solver als --epochs 3 --backend gpu --adapter llvmpipe",
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
            let words = if line.contains("--explain") && !run.contains("als") {
                "als or ials"
            } else {
                "--factors"
            };
            assert!(output.status.code() == Some(1) && said.contains(words), "{line}: {said}");
        }
    }
}
