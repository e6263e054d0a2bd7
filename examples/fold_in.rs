//! A new user, who was not there when the model was trained: `cargo run --release --example fold_in`.

use wgmf::{Dataset, Options, Result, fit, open_device};

/// Folds Zoe in from two ratings and prints her list; the model itself stays as it is.
pub fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let device = open_device("cpu")?;
    let options = Options::als().factors(16).epochs(5);
    let model = fit(&Dataset::from_files(&[sample])?, &options, &device)?;
    let zoe = Dataset::from_triples(&["Zoe"; 2], &["Amber Bells", "Dim Glass"], &[5.0, 1.0])?;
    let with_zoe = model.fold_in(&zoe)?;
    for item in with_zoe.recommend("Zoe", 5)? {
        println!("{} {:.2}", item.id, item.score);
    }
    assert!(model.recommend("Zoe", 5).is_err());
    Ok(())
}
