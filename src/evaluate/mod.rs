//! How good a model's predictions and rankings are on ratings it has not seen.

mod auc;
mod bootstrap;
mod held_out;
mod judged;
mod one_order;
mod predictive;
mod ranking;
mod rating;
mod sum;

pub use auc::auc;
pub use bootstrap::Estimate;
pub use held_out::{HeldOut, held_out_ranking};
pub use predictive::{
    PredictiveMetrics, averaged_metrics, first_without_level, no_level, predictive_metrics,
};
pub use ranking::{RankBy, RankingAt, RankingMetrics, RankingOptions, Relevance, ranking_metrics};
pub(crate) use rating::score_metrics;
pub use rating::{RatingMetrics, rating_metrics, unknown_ids};
