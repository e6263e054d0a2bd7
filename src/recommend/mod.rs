//! What one does with a trained model: exact lists and exact ranks, similar rows, new users folded
//! in, scores explained; the same on every device.

mod catalogue;
mod draw_in;
mod exact;
mod explain;
mod fold_in;
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
