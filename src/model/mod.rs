//! What training leaves: factors, the model directory, predictions, export formats.
//!
//! ```no_run
//! use wgmf::data::UNKNOWN;
//! use wgmf::model::{Format, Model, export};
//!
//! let model = Model::open("ml-model")?;
//! let user = model.users.get("42").unwrap_or(UNKNOWN);
//! let item = model.items.get("1193").unwrap_or(UNKNOWN);
//! println!("{:.2}", model.predict(user, item));
//! export(&model, Format::Npy, "ml-model-npy", false, &())?;
//! # Ok::<(), wgmf::Error>(())
//! ```

mod checkpoint;
mod directory;
mod export;
mod factors;
mod id_file;
mod init;
mod pairs;
mod predict;
mod run;
mod seen;
mod tensors;
mod whole;

pub use checkpoint::{checkpoint_path, fingerprint};
pub use directory::{Model, check_output};
pub use export::{Format, export};
pub use factors::Factors;
pub use pairs::Prediction;
pub use predict::Unit;
pub use run::{EpochRecord, RunRecord};
pub use seen::Seen;
