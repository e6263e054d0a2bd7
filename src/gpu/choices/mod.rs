//! The losses made for ranking, on a GPU: batches come one after another from the host; rows are made ready,
//! scores and gradients made of them a panel at a time, and moved by the `step` of the gradient solvers.

mod arena;
mod arrays;
mod bind;
mod group;
mod panels;
mod passes;
mod plan;
mod probe;
mod store;

pub use passes::{GROUP_BYTES, GROUP_DISPATCHES, GpuChoices};
pub use plan::Cuts;
pub use store::SUBMIT_PAIRS;
