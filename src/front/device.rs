//! Opening a device by its name.

use crate::Result;
use crate::backend::Backend;
use crate::cpu::Cpu;
use crate::gpu::{Choice, Gpu, adapters};
use std::str::FromStr;
use std::sync::Arc;

/// Where to compute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU: all threads of the rayon pool in which it is called.
    Cpu,
    /// The best hardware GPU, or an error.
    Gpu,
    /// The first GPU whose name contains this, in any case of letters.
    Adapter(String),
}

impl FromStr for DeviceChoice {
    type Err = std::convert::Infallible;

    /// `auto`, `cpu`, `gpu`, or a part of an adapter's name.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            name => Self::Adapter(name.to_owned()),
        })
    }
}

impl DeviceChoice {
    /// Opens the device; the second value says why it was taken, for people.
    ///
    /// # Errors
    /// A GPU that was asked for and is not there, or cannot be opened; the message lists what there is.
    pub fn open(&self) -> Result<(Arc<dyn Backend>, String)> {
        self.open_with(false)
    }

    /// As [`open`](Self::open); `checked` keeps the checks of loops and indices that a GPU's kernels do
    /// without, see [`Gpu::checked`].
    ///
    /// # Errors
    /// As there.
    pub fn open_with(&self, checked: bool) -> Result<(Arc<dyn Backend>, String)> {
        let asked = || "as asked".to_owned();
        let choice = match self {
            Self::Cpu => return Ok((Arc::new(Cpu::new()), asked())),
            Self::Adapter(name) => Choice::Named(name.clone()),
            Self::Auto | Self::Gpu => Choice::Hardware,
        };
        let opened = Gpu::open(&choice).map(|gpu| if checked { gpu.checked() } else { gpu });
        match opened {
            Ok(gpu) if *self == Self::Auto => Ok((Arc::new(gpu), "the best GPU".to_owned())),
            Ok(gpu) => Ok((Arc::new(gpu), asked())),
            Err(_) if *self == Self::Auto => Ok((Arc::new(Cpu::new()), Self::no_gpu())),
            Err(error) => Err(error),
        }
    }

    /// Why [`Auto`](Self::Auto) takes the CPU.
    pub fn no_gpu() -> String {
        match adapters().iter().find(|adapter| !adapter.is_hardware()) {
            Some(adapter) => {
                let name = adapter.name.split_whitespace().next().unwrap_or_default();
                format!("no hardware GPU; `adapter` {name} would take the software one")
            }
            None => "no Vulkan, Metal or Direct3D 12 adapter".to_owned(),
        }
    }
}

/// Opens the device of this name: `auto` (a hardware GPU where there is one, else the CPU), `cpu`, `gpu`,
/// or a part of an adapter's name. It can be shared among threads and models.
///
/// # Errors
/// A GPU that was asked for and is not there, or cannot be opened; the message lists what there is.
pub fn open_device(name: &str) -> Result<Arc<dyn Backend>> {
    let Ok(choice) = name.parse::<DeviceChoice>();
    choice.open().map(|(device, _)| device)
}
