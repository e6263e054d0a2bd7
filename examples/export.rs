//! Embeddings for other programs: `cargo run --release --example export`.

use wgmf::core::Side;
use wgmf::model::{Format, export};
use wgmf::{Dataset, Options, Result, fit, open_device};

/// Writes the factors as NumPy arrays and as word2vec text, and reads one row from memory.
pub fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let options = Options::als().factors(8).epochs(3);
    let model = fit(&Dataset::from_files(&[sample])?, &options, &open_device("cpu")?)?;
    let place = std::env::temp_dir().join(format!("wgmf-export-{}", std::process::id()));
    export(model.model(), Format::Npy, place.join("npy"), true, &())?;
    export(model.model(), Format::Word2vec, place.join("word2vec"), true, &())?;
    // Or without files: (rows, factors), row-major.
    let items = &model.model().factors[Side::Item];
    println!("{} items; {}: {:?}", items.rows(), model.model().items.name(0), &items.factors[..8]);
    std::fs::remove_dir_all(&place).map_err(|error| wgmf::Error::io(&place, error))
}
