//! Which backend a command uses: the flags, the choice, and what is said about it.

use clap::ValueEnum;
use wgmf::backend::Backend;
use wgmf::cpu::Cpu;
use wgmf::gpu::{self, Choice, Gpu};
use wgmf::{Error, Result};

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
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
pub struct Args {
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

/// Ratings of a batch below which a GPU is slower than a processor, whatever their number: a batch is
/// four dispatches that wait for each other. (benches/results/gpu-h100.md)
pub const GPU_BATCH: usize = 256;

impl Args {
    /// Whether nothing was asked for.
    pub fn is_free(&self) -> bool {
        self.backend == Kind::Auto && self.adapter.is_none()
    }

    /// Opens the backend; the second value says why it was taken.
    pub fn open(&self) -> Result<(Box<dyn Backend>, String)> {
        let choice = match &self.adapter {
            Some(_) if self.backend == Kind::Cpu => {
                return Err(Error::settings("--adapter names a GPU; leave out --backend cpu"));
            }
            Some(name) => Choice::Named(name.clone()),
            None => Choice::Hardware,
        };
        let asked = self.backend == Kind::Gpu || self.adapter.is_some();
        if self.backend == Kind::Cpu {
            return Ok((Box::new(Cpu::new()), "as asked".to_owned()));
        }
        match Gpu::open(&choice) {
            Ok(gpu) => {
                let gpu = if self.safe_shaders { gpu.checked() } else { gpu };
                let why = if asked { "as asked" } else { "the best GPU" };
                Ok((Box::new(gpu), why.to_owned()))
            }
            Err(error) if asked => Err(error),
            Err(_) => Ok((Box::new(Cpu::new()), no_gpu())),
        }
    }
}

/// Why `auto` takes the CPU.
pub fn no_gpu() -> String {
    match gpu::adapters().iter().find(|adapter| !adapter.is_hardware()) {
        Some(adapter) => {
            let name = adapter.name.split_whitespace().next().unwrap_or_default();
            format!("no hardware GPU; --adapter {name} would take the software one")
        }
        None => "no Vulkan, Metal or Direct3D 12 adapter".to_owned(),
    }
}
