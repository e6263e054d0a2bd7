//! The gradient solvers on the GPU.

mod bind;
mod passes;
pub(in crate::gpu) mod plan;
mod probe;
mod store;

pub use passes::GpuGradient;
