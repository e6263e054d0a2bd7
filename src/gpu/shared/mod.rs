//! What every kind of passes shares: the device, kernels and their parameters, buffers, tiles, the model
//! and held-out ratings on the device.

pub mod buffers;
pub mod copy;
pub mod device;
pub mod failure;
pub mod held_out;
pub mod kernels;
pub mod model;
pub mod multiply_add;
pub mod params;
pub mod profile;
pub mod reduce;
pub mod tiles;
pub mod trusted;
