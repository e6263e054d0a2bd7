//! Which backend a command uses: the flags, the choice, and what is said about it.

use super::with_flags;
use clap::ValueEnum;
use std::sync::Arc;
use std::time::Duration;
use wgmf::backend::Backend;
use wgmf::cpu::Cpu;
use wgmf::{DeviceChoice, DeviceOptions, Error, ErrorKind, Fallback, Result};

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

/// What takes the place of a GPU that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Instead {
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
    /// Go on on the CPU where the GPU is lost, hangs, has no memory left, is too small or cannot be opened,
    /// and say so; training from its last epoch that is known there
    #[arg(long, value_enum, value_name = "DEVICE")]
    pub fallback: Option<Instead>,
    /// Seconds that a GPU may take to answer before it counts as hung; a submission is cut to well below
    /// one [default: 300]
    #[arg(long, value_name = "SECONDS")]
    pub device_timeout: Option<f64>,
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
        let opened = choice.open_as(self.options()?);
        let Some(Instead::Cpu) = self.fallback else {
            return opened.map(|(backend, why)| (backend, with_flags(&why)));
        };
        match opened {
            Ok((backend, why)) if backend.device().backend == "cpu" => {
                Ok((backend, with_flags(&why)))
            }
            Ok((backend, why)) => {
                let backend = Fallback::to_cpu(backend, |error, cpu| {
                    let error = with_flags(&error.to_string());
                    say!("warning: {error}\nthis run goes on on the CPU ({})", cpu.name);
                });
                Ok((backend, with_flags(&why)))
            }
            Err(error) if matches!(error.kind(), ErrorKind::Device(_)) => {
                let error = with_flags(&error.to_string());
                Ok((Arc::new(Cpu::new()), format!("by --fallback: {error}")))
            }
            Err(error) => Err(error),
        }
    }

    /// How a GPU is used.
    pub(super) fn options(&self) -> Result<DeviceOptions> {
        let patience = match self.device_timeout {
            None => None,
            Some(seconds) => match Duration::try_from_secs_f64(seconds) {
                Ok(patience) if !patience.is_zero() => Some(patience),
                _ => {
                    return Err(Error::settings(format!(
                        "--device-timeout {seconds}: must be above 0 seconds"
                    )));
                }
            },
        };
        Ok(DeviceOptions { checked: self.safe_shaders, patience })
    }
}
