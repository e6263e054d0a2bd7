//! The gradient solvers on the GPU.

mod bind;
mod passes;
mod plan;
mod probe;
mod store;

pub use passes::GpuGradient;
