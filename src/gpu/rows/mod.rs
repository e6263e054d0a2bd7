//! The row solvers' passes: normal equations of many rows at a time, their solution, the objective.

mod bind;
mod passes;
mod store;
mod tiles;

pub use passes::Passes;
