//! Training: the epoch loop, stopping, progress events, checkpoints, and the three kinds of work in it:
//! gradient passes, row solves, the sampler's draws. Knows no device.

mod checkpoint;
#[cfg(feature = "files")]
mod checkpoint_file;
mod choices;
mod finish;
mod gibbs;
mod gradient;
mod lists;
mod need;
#[cfg(feature = "files")]
mod origin;
mod rows;
mod run;
mod start;
mod strata;
mod warm;

pub use checkpoint::Checkpoint;
#[cfg(feature = "files")]
pub use checkpoint_file::{checkpoint_path, fingerprint};
pub use finish::Finished;
pub use lists::{HELD_OUT_AT, JudgedLists};
pub use need::{MemoryPlan, check_memory, check_memory_of_any, disk_need, memory_need};
#[cfg(feature = "files")]
pub use origin::Origin;
pub use run::{Clock, Event, Input, Outcome, Stop, best_epoch, seconds, train, train_with};
pub use start::{global_mean, random};
pub use warm::{Known, warm_start};
