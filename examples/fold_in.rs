//! A new user, who was not there when the model was trained: `cargo run --release --example fold_in`.

use wgmf::{Dataset, Options, Result, fit, open_device};

/// Folds Zoe in from two ratings and prints her list; the model itself stays as it is.
pub fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let device = open_device("cpu")?;
    let options = Options::als().factors(16).epochs(5);
    let model = fit(&Dataset::from_files(&[sample])?, &options, &device)?;
    let zoe = Dataset::from_triples(&["Zoe"; 2], &["Amber Bells", "Dim Glass"], &[5.0, 1.0])?;
    let folded = model.fold_in(&zoe)?;
    assert!(folded.strangers.is_empty());
    let list = folded.trained.recommend("Zoe", 5)?;
    for item in &list {
        println!("{} {:.2}", item.id, item.score);
    }
    // For one request, without a copy of the model: the same list.
    assert_eq!(model.recommend_for(&zoe, 5)?, [("Zoe".to_owned(), list)]);
    assert!(model.recommend("Zoe", 5).is_err());
    Ok(())
}
