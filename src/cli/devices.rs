//! `wgmf devices`.

use super::output::{print_json, stdout, to_stdout};
use std::io::Write;
use wgmf::backend::Backend;
use wgmf::cpu::Cpu;
use wgmf::gpu::adapters;
use wgmf::{DeviceChoice, Result};

/// List the GPUs, their limits, and which one --backend auto takes
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    let adapters = adapters();
    let taken = adapters.iter().find(|adapter| adapter.is_hardware());
    let why = match taken {
        Some(adapter) => format!("{}: the best hardware GPU", adapter.name),
        None => format!("the CPU: {}", super::with_flags(&DeviceChoice::no_gpu())),
    };
    let cpu = Cpu::new().device().name;
    if args.json {
        return print_json(&serde_json::json!({
            "adapters": adapters,
            "cpu": cpu,
            "auto": if taken.is_some() { "gpu" } else { "cpu" },
            "auto_adapter": taken.map(|adapter| &adapter.name),
            "why": why,
        }));
    }
    let mut out = stdout();
    let mut show = || {
        for adapter in &adapters {
            writeln!(out, "{}", adapter.name)?;
            writeln!(out, "  {} by {}, {}", adapter.kind, adapter.api, adapter.driver)?;
            writeln!(
                out,
                "  bindings of {} MiB, buffers of {} MiB, {} workgroups a dispatch, {} KiB and {} \
                 invocations a workgroup",
                adapter.max_binding_bytes >> 20,
                adapter.max_buffer_bytes >> 20,
                adapter.max_workgroups,
                adapter.max_workgroup_bytes >> 10,
                adapter.max_invocations
            )?;
        }
        writeln!(out, "{cpu}")?;
        writeln!(out, "--backend auto takes {why}")?;
        out.flush()
    };
    to_stdout(show())
}
