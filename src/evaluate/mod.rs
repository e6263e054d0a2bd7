//! How good a model's predictions and rankings are on ratings it has not seen.

mod auc;
mod held_out;
mod rating;
mod relevant;
mod sum;

pub use auc::auc;
pub use held_out::{HeldOut, held_out_ranking};
pub use rating::{RatingMetrics, rating_metrics, unknown_ids};
