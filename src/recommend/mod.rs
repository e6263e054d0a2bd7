//! What one does with a trained model: exact lists and exact ranks, similar rows, new users folded
//! in, scores explained; the same on every device.
//!
//! # Lists, exactly
//!
//! The device scores in f32, tile by tile, and keeps a few more than the `n` best (`topk`); `recommend::
//! exact` scores those again in f64 and sorts. The error of an f32 score has a bound, which grows with the
//! item's own numbers, so it is known whether anything that was not returned could belong to the list; where
//! it could, more is asked for, and where that does not settle it, that user's items are all scored in f64.
//! Ranks are counted in the same pass: how many scores lie beyond doubt above a relevant item's, and which
//! few lie too near to tell. So lists, ranks and AUC are those of f64 arithmetic, the same on every device.
//! Ties go by row.
//!
//! `catalogue.rs` says what a score is and what ranks by it. The mean over samples of a `bayes` model is a
//! product of rows that stack those of all samples, so it goes the same way. Quantiles, Thompson sampling,
//! `clip` and levels are no products: `posterior.rs` scores every item under every sample in f64, on the
//! processor. Likeness is the cosine of stacked rows: inner products within a sample know nothing of how
//! samples are turned against each other.

mod by_steps;
mod catalogue;
mod draw_in;
mod exact;
mod explain;
mod fold_in;
mod folded;
mod lists;
mod logistic;
mod new_rows;
mod order;
mod posterior;
mod similar;

pub use catalogue::Catalogue;
pub(crate) use catalogue::CatalogueRanker;
pub use draw_in::draw_in;
pub use exact::{ExactRanker, Ranks};
pub use explain::{Explained, Explainer, Explanation};
pub use fold_in::{FoldedIn, fold_in};
pub use lists::{Recommendation, Recommender, recommend};
pub use new_rows::NewRows;
pub use order::Scored;
pub use posterior::Criterion;
pub use similar::{Metric, Neighbours, Similar, similar};
