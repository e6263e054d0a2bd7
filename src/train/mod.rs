//! Training: settings, batches, the epoch loop, stopping, progress events. Knows no device.

mod batches;
mod loss;
mod rows;
mod run;
mod settings;
mod start;

pub use batches::{Batches, SideIndex};
pub use loss::Loss;
pub use rows::{RowRatings, SideRatings};
pub use run::{Checkpoint, Event, Input, Outcome, Stop, best_epoch, train};
pub(crate) use run::{begin, visits};
pub use settings::{Optimizer, Options, Settings, Solver};
pub use start::{global_mean, random};
