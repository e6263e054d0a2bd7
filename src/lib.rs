//! Probabilistic matrix factorization for recommendation, on any GPU through wgpu and WGSL compute
//! shaders, and on the CPU.
//!
//! The model is `r̂(u,i) = μ + b_u + c_i + p_u · q_i`. From known ratings `sgd`, `adagrad`, `adam` and
//! `als` learn its MAP estimate (Salakhutdinov and Mnih 2007, "Probabilistic matrix factorization"), `bayes`
//! samples its posterior (the same 2008, "Bayesian probabilistic matrix factorization using Markov chain
//! Monte Carlo"); from what users chose `ials` learns preferences of all pairs (Hu, Koren and Volinsky
//! 2008, "Collaborative filtering for implicit feedback datasets").
//!
//! ```
//! # fn main() -> wgmf::Result<()> {
//! # let (users, items, values): (Vec<String>, Vec<u32>, Vec<f32>) = {
//! #     let pair = |j: u32| (format!("user{}", j % 40), (j * j + j / 7) % 60, (j % 3 + 1) as f32);
//! #     let all: Vec<_> = (0..1500).map(pair).chain([("Norel".into(), 1, 2.0)]).collect();
//! #     let (a, rest): (Vec<_>, Vec<_>) = all.into_iter().map(|(u, i, r)| (u, (i, r))).unzip();
//! #     let (b, c) = rest.into_iter().unzip();
//! #     (a, b, c)
//! # };
//! let plays = wgmf::Dataset::from_triples(&users, &items, &values)?; // ids are whatever displays
//! let (train, test) = plays.split(0.1, 0)?;
//! let model = wgmf::fit(&train, &wgmf::Options::ials().factors(64), &wgmf::open_device("auto")?)?;
//! println!("{}", model.evaluate(&test)?);
//! for item in model.recommend("Norel", 5)? {
//!     println!("{} {:.3}", item.id, item.score);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Trained`] also finds what is similar, predicts, folds in new users and items, saves and opens model
//! directories; [`Fit`] tests while it trains, starts from another model, and hears a listener. `examples/`
//! has programs: from triples, from a file, a server, fold-in, export, progress.
//!
//! Behind the front door, each room made of those before it: [`core`] has what everything speaks of;
//! [`data`] reads and prepares ratings; [`model`] saves, opens and exports; [`predict`] says what
//! predictions mean; [`backend`] is the seam to the devices, [`cpu`] and [`gpu`]; [`sampler`] draws what
//! is not a row; [`recommend`] makes lists; [`evaluate`] measures; [`train`] has the epoch loop;
//! [`tune`] tries settings.
//!
//! Without default features the library neither reads nor writes files: ratings come as triples, models
//! stay in memory. `files` adds that, `cli` (the default) the command and the options as its flags.
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(unreachable_pub, unused_qualifications)]

// The command line takes the library by its name, as any other program does.
#[cfg(feature = "cli")]
extern crate self as wgmf;

pub mod backend;
pub mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod core;
pub mod cpu;
pub mod data;
pub mod error;
pub mod evaluate;
#[cfg(feature = "files")]
pub mod files;
mod front;
#[allow(unreachable_pub, unused_qualifications, reason = "its folders are private already")]
pub mod gpu;
pub mod math;
pub mod memory;
pub mod model;
pub mod predict;
pub mod progress;
pub mod recommend;
pub mod report;
pub mod sampler;
pub mod train;
pub mod tune;

pub use crate::core::Options;
pub use data::Dataset;
pub use error::{Error, ErrorKind, Result};
pub use front::{
    DeviceChoice, DeviceOptions, Evaluation, Fallback, Fit, Folded, Listed, Trained, fit,
    open_device,
};
