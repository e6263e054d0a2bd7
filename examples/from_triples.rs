//! From arrays in memory to lists: `cargo run --release --example from_triples`.

use wgmf::{Dataset, Options, Result, fit, open_device};

/// Trains on plays of some listeners and prints what one might like.
pub fn main() -> Result<()> {
    // Any ids that can be displayed: here numbers for listeners and words for artists.
    let artists = ["Amber Bells", "Dim Glass", "Low Tide", "Night Bus", "Paper Moon", "Quiet Riot"];
    let (mut listeners, mut names, mut plays) = (Vec::new(), Vec::new(), Vec::new());
    for listener in 0..60_usize {
        // Everyone hears three neighbours in the list of artists, the first of them most.
        for (nth, count) in [(0, 40.0), (1, 12.0), (2, 3.0)] {
            listeners.push(listener);
            names.push(artists[(listener + nth) % artists.len()]);
            plays.push(count);
        }
    }
    let plays = Dataset::from_triples(&listeners, &names, &plays)?;
    let device = open_device("cpu")?;
    let model = fit(&plays, &Options::ials().factors(4).seed(1), &device)?;
    for item in model.recommend(7, 2)? {
        println!("listener 7 may like {} ({:.2})", item.id, item.score);
    }
    for item in model.similar_items("Low Tide", 2)? {
        println!("{} is like Low Tide ({:.2})", item.id, item.score);
    }
    Ok(())
}
