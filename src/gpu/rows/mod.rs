//! The row solvers' passes: normal equations of many rows at a time, their solution, the objective.

pub(in crate::gpu) mod bind;
pub(in crate::gpu) mod kernels;
pub(in crate::gpu) mod passes;
pub(in crate::gpu) mod shape;
pub(in crate::gpu) mod store;
pub(in crate::gpu) mod tiles;

pub use passes::GpuRows;
