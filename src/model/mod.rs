//! What training leaves: factors, the model directory, predictions, export formats.

mod directory;
mod export;
mod factors;
mod id_file;
mod pairs;
mod predict;
mod run;
mod seen;
mod tensors;
mod whole;

pub use directory::{Model, check_output};
pub use export::{Format, export};
pub use factors::Factors;
pub use pairs::Prediction;
pub use predict::Unit;
pub use run::{EpochRecord, RunRecord};
pub use seen::Seen;
