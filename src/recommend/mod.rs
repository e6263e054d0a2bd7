//! Ranking with a model's factors: exact lists and exact ranks, the same on every device.

mod exact;

pub use exact::{ExactRanker, Scored};
