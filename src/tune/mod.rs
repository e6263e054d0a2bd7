//! Settings found by trying: a space of them, trials that are cut short where others do better, and what
//! became of each; cross-validation of one.

mod finalists;
mod folds;
mod halving;
mod metric;
mod rungs;
mod sequence;
mod space;
#[cfg(feature = "files")]
mod storage;
mod trial;
mod tuned;

pub use folds::{CrossValidation, Figure, cross_validate};
pub use halving::Tune;
pub use metric::Metric;
pub use space::{Dimension, Range, Space};
pub use trial::{Rung, Trial};
pub use tuned::Tuned;
