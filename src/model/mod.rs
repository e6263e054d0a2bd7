//! What training leaves: factors and what they were trained to do, samples, the training pairs, the model
//! directory, export formats.
//!
//! ```
//! use wgmf::core::UNKNOWN;
//! use wgmf::model::{Format, Model, export};
//!
//! # fn main() -> wgmf::Result<()> {
//! # let home = tempfile::tempdir().unwrap();
//! # let (dir, npy) = (home.path().join("ml-model"), home.path().join("ml-model-npy"));
//! # use wgmf::core::{Factors, Objective, SideFactors, Solver};
//! # let sides = [
//! #     SideFactors { factors: vec![1.0], bias: vec![0.25] },
//! #     SideFactors { factors: vec![0.5], bias: vec![-0.5] },
//! # ];
//! # let factors = Factors { factors: 1, sides, global_mean: 3.5 };
//! # let (users, items) = (["42"].into_iter().collect(), ["1193"].into_iter().collect());
//! # let (objective, run) = (Objective::new(Solver::Als), Default::default());
//! # let made = Model {
//! #     typical: Default::default(),
//! #     factors,
//! #     users,
//! #     items,
//! #     user_ratings: vec![1],
//! #     item_ratings: vec![1],
//! #     objective,
//! #     facts: Default::default(),
//! #     run,
//! # };
//! # made.save(&dir, &Default::default(), false)?;
//! let model = Model::open(&dir)?;
//! let user = model.users.get("42").unwrap_or(UNKNOWN);
//! let item = model.items.get("1193").unwrap_or(UNKNOWN);
//! assert_eq!(model.predict(user, item), 3.5 + 0.25 - 0.5 + 1.0 * 0.5);
//! // Who is not known is predicted by the mean and the bias that are.
//! assert_eq!(model.predict(UNKNOWN, item), 3.5 - 0.5);
//! export(&model, Format::Npy, &npy, false, &())?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "files")]
mod directory;
mod exchanged;
#[cfg(feature = "files")]
mod export;
mod facts;
#[cfg(feature = "files")]
mod id_file;
#[cfg(feature = "files")]
mod init;
mod learned;
mod means;
#[cfg(feature = "files")]
mod parts;
mod run;
#[cfg(feature = "files")]
mod sample_file;
mod samples;
mod seen;
#[cfg(feature = "files")]
mod seen_file;
mod typical;

#[cfg(feature = "files")]
pub use directory::{check_output, reserve, stopped_by};
#[cfg(feature = "files")]
pub use export::{Format, export};
pub use facts::{Joined, TrainingFacts};
pub use learned::Model;
pub(crate) use means::mean_numbers;
#[cfg(feature = "files")]
pub use parts::settled;
pub use run::{
    EpochRecord, FallbackRecord, PartRecord, PosteriorRecord, Quantity, RunRecord,
    WatchedPrediction,
};
pub(crate) use samples::RowMeans;
pub use samples::{DrawnRows, Sample, Samples};
pub use seen::Seen;
pub(crate) use typical::typical;
