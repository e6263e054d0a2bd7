//! The front door: a device, a fit, and what can be done with what it leaves. All of it is made of the
//! rooms behind, which stay open for whoever wants more.

mod compare;
mod device;
mod evaluation;
mod fallback;
mod fit;
mod measure;
mod trained;

pub use device::{DeviceChoice, DeviceOptions, open_device};
pub use evaluation::Evaluation;
pub use fallback::Fallback;
pub use fit::{Fit, fit};
pub use trained::{Folded, Listed, Trained};
