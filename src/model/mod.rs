//! What training leaves: factors, the model directory, predictions, export formats.

mod factors;

pub use factors::Factors;
