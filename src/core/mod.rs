//! What everything else speaks of: sides, ids and ratings, transforms, losses and solvers, settings,
//! factors, and ratings laid out in batches and by row. No files, no devices, no threads of its own.

mod batches;
mod choice_plan;
mod choices;
mod confidence;
mod factors;
mod figure;
mod held;
mod ids;
mod levels;
mod likelihood;
mod loss;
mod objective;
mod prior;
mod ratings;
mod rows;
mod settings;
mod side;
mod sizes;
mod solver;
mod strata;
mod target;
mod transform;

pub use crate::error::escaped;
pub use batches::{Batches, SideIndex};
pub use choice_plan::ChoicePlan;
pub use choices::ChoiceBatch;
pub use confidence::Confidence;
pub use factors::{Factors, SideFactors};
pub use figure::{figure, plural, thousands};
pub use held::Held;
pub use ids::Ids;
#[cfg(feature = "files")]
pub(crate) use ids::{long_hash, short_hash};
pub use levels::Levels;
pub use likelihood::Likelihood;
pub use loss::Loss;
pub use objective::Objective;
#[cfg(feature = "files")]
pub(crate) use objective::ObjectiveSettings;
pub use prior::{Popularity, RowPrior};
pub(crate) use ratings::check_count;
pub use ratings::{NO_TIME, Ratings};
pub use rows::{RowRatings, SideRatings, turns};
pub use settings::{Contrast, ContrastOptions, Negatives, Options, Score, Settings, Suits};
pub use side::Side;
pub use sizes::Sizes;
pub use solver::{Optimizer, SamplePrecision, Solver};
pub use strata::{SideStrata, Strata, StratumRating};
pub use target::{Target, row_ratings};
pub use transform::{Step, Transform, TransformKind};

/// The index of a user or an item that the model does not know.
pub const UNKNOWN: u32 = u32::MAX;
