//! What passes need of memory.

use std::ops::Add;

/// Bytes at the most, in the memory of the process and in that of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Of the process.
    pub host: u64,
    /// Of a device that has memory of its own.
    pub device: u64,
}

impl Need {
    /// Of the process alone.
    pub fn host(bytes: u64) -> Self {
        Self { host: bytes, device: 0 }
    }

    /// The larger one of each.
    pub fn max(self, other: Self) -> Self {
        Self { host: self.host.max(other.host), device: self.device.max(other.device) }
    }
}

impl Add for Need {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            host: self.host.saturating_add(other.host),
            device: self.device.saturating_add(other.device),
        }
    }
}
