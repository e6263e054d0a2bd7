//! Probabilistic matrix factorization for recommendation, on any GPU through wgpu and WGSL compute
//! shaders, and on the CPU.
//!
//! The model is `r̂(u,i) = μ + b_u + c_i + p_u · q_i`, learned from known ratings only: the MAP estimate
//! of Salakhutdinov and Mnih (2007, "Probabilistic matrix factorization").
//!
//! [`data`] reads and prepares ratings, [`train`] learns factors from them on a [`backend`] ([`cpu`]
//! or [`gpu`]), [`model`] saves, opens and exports them, [`evaluate`] measures them, [`recommend`] makes
//! lists, finds what is similar, and folds in new users.
//!
//! ```
//! use std::ops::ControlFlow;
//! use wgmf::cpu::Cpu;
//! use wgmf::data::{DataOptions, prepare};
//! use wgmf::train::{Input, Options, train};
//!
//! # fn main() -> wgmf::Result<()> {
//! let options = DataOptions { holdout: Some(0.1), ..DataOptions::default() };
//! let data = prepare(&["sample/plays.csv".into()], &options, 0, &())?;
//! let (users, items) = (data.users.len(), data.items.len());
//! let settings = Options { epochs: Some(3), ..Options::default() }.resolve(&data.train, users, items)?;
//! let input = Input { test: data.test.as_ref(), ..Input::new(&data.users, &data.items, &data.train) };
//! let outcome = train(&Cpu::new(), input, &settings, &mut |_| Ok(ControlFlow::Continue(())))?;
//! assert_eq!(outcome.factors[Side::User].factors.len(), users * settings.factors);
//! assert!(outcome.history[2].test_error < outcome.history[0].test_error);
//! # Ok(())
//! # }
//! ```
//!
//! Without default features the library neither reads nor writes files: ratings come as triples, models
//! stay in memory. `files` adds that, `cli` (the default) the command and the options as its flags.
#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod backend;
pub mod bench;
pub mod core;
pub mod cpu;
pub mod data;
pub mod error;
pub mod evaluate;
#[cfg(feature = "files")]
pub mod files;
pub mod gpu;
pub mod math;
pub mod model;
pub mod predict;
pub mod progress;
pub mod recommend;
pub mod sampler;
pub mod train;

pub use error::{Error, ErrorKind, Result};
