//! The Gibbs sampler's passes: rows are drawn by the kernels that solve them.

mod latents;
mod moments;
mod passes;
mod philox;
mod predict;
mod prior;

pub use passes::GpuGibbs;
