//! Every solver of ratings without settings on planted sets from 1.1 to 200 ratings a row: held-out RMSE
//! over that of biases alone (alternating damped means, 5 added to every count), the worst of some seeds.
//!
//!     cargo bench --bench sparse [-- SEEDS] > benches/results/sparse.md

#[path = "../tests/support/planted/mod.rs"]
#[allow(unreachable_pub, dead_code, reason = "tests have it too")]
mod planted;

use planted::{SETS, SOLVERS};
use wgmf::core::{Options, Side, Solver};

fn main() {
    // Cargo says `--bench`.
    let seeds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(5_u64);
    // Sampling takes too long for the tests.
    let solvers: Vec<Solver> = SOLVERS.into_iter().chain([Solver::Bayes]).collect();
    println!(
        "RMSE over that of biases alone: mean, and in brackets the worst, of {seeds} seeds.\n"
    );
    let names: Vec<String> = solvers.iter().map(|solver| format!("`{}`", solver.name())).collect();
    println!("| set | ratings a row | {} |", names.join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(solvers.len()));
    let line = |name: &str, parts: &dyn Fn(u64) -> planted::Parts| {
        let parts: Vec<planted::Parts> = (0..seeds).map(parts).collect();
        let alone: Vec<f64> = parts.iter().map(planted::Parts::biases_alone).collect();
        let of = &parts[0];
        let a_row = 2.0 * of.training.len() as f64 / (of.users + of.items) as f64;
        let mut line = format!("| {name} | {a_row:.1} |");
        for &solver in &solvers {
            let options = Options { solver: Some(solver), ..Options::default() };
            let pairs = parts.iter().zip(&alone);
            let ratios: Vec<f64> = pairs.map(|(p, alone)| p.trained(&options) / alone).collect();
            let mean = ratios.iter().sum::<f64>() / seeds as f64;
            let worst = ratios.iter().fold(0.0_f64, |worst, &ratio| worst.max(ratio));
            line += &format!(" {mean:.4} ({worst:.4}) |");
        }
        println!("{line}");
    };
    for set in SETS {
        line(set.name, &|seed| set.draw(seed));
    }
    for set in [SETS[3], SETS[5], SETS[7]] {
        for side in [Side::User, Side::Item] {
            let name = format!("{}, whole {}s held out", set.name, side.name());
            line(&name, &|seed| set.whole_rows(side, seed));
        }
    }
}
