//! Training: settings, batches, the epoch loop, stopping, progress events. Knows no device.

mod batches;
mod diagnostics;
mod gibbs;
mod gradient;
mod hyper;
mod likelihood;
mod loss;
mod rows;
mod run;
mod sampler;
mod sampling;
mod settings;
mod start;
mod sweeps;
mod target;
mod warm;

pub use batches::{Batches, SideIndex};
pub use diagnostics::summarize;
pub(crate) use gradient::{begin, visits};
pub use hyper::{Noise, NoisePrior, NormalWishart};
pub use likelihood::Likelihood;
pub use loss::Loss;
pub use rows::{RowRatings, SideRatings};
pub use run::{Checkpoint, Event, Input, Outcome, Stop, best_epoch, train};
pub use sampler::{Chain, Sampler};
pub use sampling::{Sampling, Traces};
pub use settings::{Optimizer, Options, SamplePrecision, Settings, Solver};
pub use start::{global_mean, random};
pub use sweeps::HELD_OUT_AT;
pub(crate) use sweeps::{rounds, turns};
pub use target::{Target, row_ratings};
pub use warm::{Known, warm_start};
