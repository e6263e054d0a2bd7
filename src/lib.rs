//! Probabilistic matrix factorization for recommendation, on any GPU through wgpu and WGSL compute
//! shaders, and on the CPU.
#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod backend;
pub mod bench;
pub mod cpu;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod gpu;
pub mod model;
pub mod progress;
pub mod train;

pub use error::{Error, ErrorKind, Result};
