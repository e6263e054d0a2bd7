//! How good a model's predictions and rankings are on ratings it has not seen.

mod auc;
mod baseline;
mod bootstrap;
mod by_user;
mod compare;
mod field;
mod held_out;
mod judged;
mod one_order;
mod predictive;
mod ranking;
mod rating;
mod relevance;
mod seen_pairs;
mod sum;

pub use auc::auc;
pub use baseline::{Biases, RatingBaselines, rating_baselines};
pub use bootstrap::Estimate;
pub use by_user::{ByUser, ratings_by_user};
pub use compare::{Compared, Comparison, compare};
pub(crate) use held_out::HeldOutPairs;
pub use held_out::{HeldOut, held_out_ranking};
pub use predictive::{
    PredictiveMetrics, averaged_metrics, first_without_level, mean_metrics, no_level,
    predictive_metrics,
};
pub use ranking::{
    RankBy, RankingAt, RankingMetrics, RankingOptions, ranking_by_user, ranking_metrics,
};
pub(crate) use rating::score_metrics;
pub use rating::{RatingMetrics, rating_metrics, unknown_ids};
pub use relevance::Relevance;
pub use seen_pairs::{leave_out_seen, seen_by_both, seen_pairs};
