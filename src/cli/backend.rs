//! Which backend a command uses: the flags, the choice, and what is said about it.

use super::with_flags;
use clap::ValueEnum;
use std::sync::Arc;
use wgmf::backend::Backend;
use wgmf::{DeviceChoice, Error, Result};

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// A hardware GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// A GPU.
    Gpu,
    /// The CPU.
    Cpu,
}

/// The flags.
#[derive(clap::Args)]
#[command(next_help_heading = "Device")]
#[group(skip)]
pub(super) struct Args {
    /// Where to compute: auto takes a hardware GPU, else the CPU
    #[arg(long, value_enum, default_value_t)]
    pub backend: Kind,
    /// Part of the GPU adapter's name, in any case (llvmpipe is Mesa's software device)
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Keep the checks of loops and indices that GPU kernels do without
    #[arg(long)]
    pub safe_shaders: bool,
}

impl Args {
    /// Opens the backend; the second value says why it was taken.
    pub(super) fn open(&self) -> Result<(Arc<dyn Backend>, String)> {
        let choice = match (&self.adapter, self.backend) {
            (Some(_), Kind::Cpu) => {
                return Err(Error::settings("--adapter names a GPU; leave out --backend cpu"));
            }
            (Some(name), _) => DeviceChoice::Adapter(name.clone()),
            (None, Kind::Auto) => DeviceChoice::Auto,
            (None, Kind::Gpu) => DeviceChoice::Gpu,
            (None, Kind::Cpu) => DeviceChoice::Cpu,
        };
        let (backend, why) = choice.open_with(self.safe_shaders)?;
        Ok((backend, with_flags(&why)))
    }
}
