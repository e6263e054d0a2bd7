//! From a file to a model directory, with an honest test: `cargo run --release --example from_file`.

use wgmf::data::{Duplicates, ReadOptions};
use wgmf::{Dataset, Options, Result, Trained, fit, open_device};

/// Trains on nine tenths of the sample, tests on the rest, saves, opens again.
pub fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let ratings = Dataset::read(&[sample], &ReadOptions::default(), Duplicates::Mean, &())?;
    let ratings = ratings.with_at_least(5, 5)?;
    let (train, test) = ratings.split(0.1, 0)?;
    let device = open_device("auto")?;
    println!("{} ratings on {}", train.len(), device.device().name);
    let model = fit(&train, &Options::als().factors(16), &device)?;
    println!("held out: {}", model.evaluate(&test)?);

    let place = std::env::temp_dir().join(format!("wgmf-example-{}", std::process::id()));
    model.save(&place, true)?;
    let opened = Trained::open(&place, &device)?;
    let user = train.users().name(0);
    println!("{user}: {:.2} for Amber Bells", opened.predict(user, "Amber Bells")?);
    std::fs::remove_dir_all(&place).map_err(|error| wgmf::Error::io(&place, error))
}
