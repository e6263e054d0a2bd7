//! Own progress, and an end when one has seen enough: `cargo run --release --example progress`.

use std::ops::ControlFlow;
use wgmf::train::{Event, Stop};
use wgmf::{Dataset, Fit, Options, Result, open_device};

/// Shows each epoch and stops when one no longer gains half a percent.
pub fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let (train, test) = Dataset::from_files(&[sample])?.split(0.1, 0)?;
    let mut last = f64::INFINITY;
    let model = Fit::new(&train, &Options::sgd().factors(16), &open_device("cpu")?)
        .test(&test)
        .listen(|event| {
            let Event::Epoch(record) = event else { return ControlFlow::Continue(()) };
            let error = record.test_error.unwrap_or(f64::NAN);
            println!("epoch {}: held-out error {error:.4}", record.epoch);
            let enough = error > 0.995 * last;
            last = error;
            if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .run()?;
    assert_eq!(model.stop(), Some(Stop::Interrupted));
    println!("{}", model.evaluate(&test)?);
    Ok(())
}
