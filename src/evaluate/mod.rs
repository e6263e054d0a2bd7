//! How good a model's predictions are on ratings it has not seen.

mod auc;
mod rating;
mod sum;

pub use auc::auc;
pub use rating::{RatingMetrics, rating_metrics, unknown_ids};
