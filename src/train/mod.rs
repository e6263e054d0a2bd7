//! Training: settings, batches, the epoch loop, stopping, progress events. Knows no device.

mod loss;

pub use loss::Loss;
