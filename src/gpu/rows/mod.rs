//! The row solvers' passes: normal equations of many rows at a time, their solution, the objective.

pub(super) mod bind;
pub(super) mod passes;
pub(super) mod shape;
pub(super) mod store;
pub(super) mod tiles;

pub use passes::Passes;
