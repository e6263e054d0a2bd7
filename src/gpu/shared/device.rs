//! Adapters: which there are, which one `auto` takes, and opening it.

use super::buffers::Staging;
use super::profile::{self, Profile};
use super::tiles::Limits;
use crate::{Error, Result};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How long a wait for the device may last before it counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// An adapter, as `wgmf devices` shows it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Adapter {
    /// The adapter's name.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// `vulkan`, `metal` or `dx12`.
    pub api: String,
    /// The driver and its version.
    pub driver: String,
    /// Bytes of a storage binding at most.
    pub max_binding_bytes: u64,
    /// Bytes of a buffer at most.
    pub max_buffer_bytes: u64,
    /// Workgroups of a dispatch and dimension at most.
    pub max_workgroups: u32,
    /// Bytes of workgroup memory at most.
    pub max_workgroup_bytes: u32,
    /// Invocations of a workgroup at most.
    pub max_invocations: u32,
}

impl Adapter {
    /// Whether it is hardware, and so a candidate for `auto`.
    pub fn is_hardware(&self) -> bool {
        matches!(self.kind, "discrete" | "integrated" | "virtual")
    }
}

/// All adapters of this machine, the best first: discrete, integrated, virtual, other, software.
pub async fn adapters() -> Vec<Adapter> {
    enumerate().await.iter().map(describe).collect()
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    let mut adapters = instance().enumerate_adapters(wgpu::Backends::all()).await;
    let order = |a: &wgpu::Adapter| match a.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    adapters.sort_by_key(order);
    adapters
}

fn describe(adapter: &wgpu::Adapter) -> Adapter {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let driver = format!("{} {}", info.driver, info.driver_info);
    Adapter {
        name: info.name,
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        api: info.backend.to_str().to_owned(),
        driver: driver.trim().to_owned(),
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
    }
}

/// Which adapter to open.
#[derive(Clone, Debug, Default)]
pub enum Choice {
    /// The best hardware.
    #[default]
    Hardware,
    /// The best there is, software included.
    Any,
    /// The first whose name contains this, in any case of letters.
    Named(String),
}

/// Limits of a device below what its adapter has; for tests of how problems are cut.
#[derive(Clone, Copy, Debug)]
pub struct TightLimits {
    /// Bytes of a storage binding at most.
    pub binding_bytes: u64,
    /// Workgroups of a dispatch and dimension at most.
    pub workgroups: u32,
}

/// An open device.
pub struct Device {
    pub adapter: Adapter,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub limits: wgpu::Limits,
    /// Where dispatches are timed, if they are.
    pub profile: OnceLock<Arc<Profile>>,
    /// What uploads go through.
    pub staging: Arc<Mutex<Staging>>,
    /// Whether kernels keep the checks that wgpu adds.
    pub checked: AtomicBool,
    lost: Arc<Mutex<Option<String>>>,
}

impl Device {
    pub async fn open(choice: &Choice, tight: Option<TightLimits>) -> Result<Self> {
        let adapters = enumerate().await;
        let adapter = choose(&adapters, choice)?;
        let info = describe(adapter);
        let mut limits = adapter.limits();
        if let Some(tight) = tight {
            limits.max_storage_buffer_binding_size = tight.binding_bytes;
            limits.max_compute_workgroups_per_dimension = tight.workgroups;
        }
        let request = wgpu::DeviceDescriptor {
            label: Some("wgmf"),
            required_features: adapter.features() & profile::WANTED,
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&request)
            .await
            .map_err(|e| Error::device(format!("{}: cannot be opened: {e}", info.name)))?;
        let lost = Arc::new(Mutex::new(None));
        let said = lost.clone();
        let say = move |message: String| {
            said.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(message);
        };
        let say_lost = say.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                say_lost(format!("the device was lost: {message}"));
            }
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| say(error.to_string())));
        Ok(Self {
            adapter: info,
            device,
            queue,
            limits,
            profile: OnceLock::new(),
            staging: Default::default(),
            checked: AtomicBool::new(false),
            lost,
        })
    }

    /// Submits what an encoder recorded.
    pub fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        if let Some(profile) = self.profile.get() {
            profile.submitted();
        }
        self.queue.submit([encoder.finish()])
    }

    /// An error if the device was lost or refused something.
    pub fn check(&self) -> Result<()> {
        match &*self.lost.lock().unwrap_or_else(|e| e.into_inner()) {
            Some(message) => Err(Error::device(format!(
                "{}: {message}; try again, or use `backend` cpu",
                self.adapter.name
            ))),
            None => Ok(()),
        }
    }

    /// Waits for a submission, or for all.
    pub async fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.poll(submission)
    }

    /// The same without a future: outside of a browser nothing else makes a device go on.
    pub fn poll(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: Some(PATIENCE) };
        let polled = self.device.poll(wait);
        self.check()?;
        polled.map(|_| ()).map_err(|e| {
            Error::device(format!(
                "{}: no answer ({e}); the device hangs or is lost; try `backend` cpu",
                self.adapter.name
            ))
        })
    }
}

fn choose<'a>(adapters: &'a [wgpu::Adapter], choice: &Choice) -> Result<&'a wgpu::Adapter> {
    let found = match choice {
        Choice::Any => adapters.first(),
        Choice::Hardware => adapters.iter().find(|a| describe(a).is_hardware()),
        Choice::Named(part) => {
            let part = part.to_lowercase();
            adapters.iter().find(|a| a.get_info().name.to_lowercase().contains(&part))
        }
    };
    if adapters.is_empty() {
        return Err(Error::device(
            "there is no Vulkan, Metal or Direct3D 12 adapter; install a driver (on Debian, \
             mesa-vulkan-drivers has a software one) or use `backend` cpu",
        ));
    }
    found.ok_or_else(|| {
        let names: Vec<_> = adapters.iter().map(|a| format!("\"{}\"", a.get_info().name)).collect();
        let names = names.join(", ");
        Error::device(match choice {
            Choice::Named(part) => {
                format!("`adapter` {part}: no adapter has that in its name; there is {names}")
            }
            _ => format!(
                "no hardware GPU, only {names}; name it with `adapter`, or use `backend` cpu"
            ),
        })
    })
}

/// The limits of a device, as cutting respects them.
pub fn limits(device: &Device) -> Limits {
    let limits = &device.limits;
    Limits {
        binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size) as usize,
        workgroups: limits.max_compute_workgroups_per_dimension as usize,
    }
}
