//! Adapters: which there are, which one `auto` takes, and opening it.

use super::buffers::Staging;
use super::failure::{self, Failed, Failure, PATIENCE, Plan, State};
use super::profile::{self, Profile};
use super::tiles::Limits;
use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What a build with debug assertions takes a failure from that it is to bring about, for tests of the
/// command line: see [`Trouble`](failure::Trouble).
const TROUBLE: &str = "WGMF_DEVICE_FAILS";

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

    /// Whether it has memory of its own: the others take that of the process.
    pub fn has_memory(&self) -> bool {
        matches!(self.kind, "discrete" | "virtual")
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
    /// What tests let fail.
    pub plan: Plan,
    /// How long a wait may last, in nanoseconds.
    patience: AtomicU64,
    state: State,
    /// What was submitted last.
    last: Mutex<Option<wgpu::SubmissionIndex>>,
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
        let state = State::default();
        let lost = state.clone();
        device.set_device_lost_callback(move |_, message| {
            lost.note(Failed::Lost(message));
        });
        let refused = state.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| refused.note_error(&error)));
        let plan = Plan::default();
        if let (true, Ok(trouble)) = (cfg!(debug_assertions), std::env::var(TROUBLE)) {
            plan.ask(Some(trouble.parse()?));
        }
        Ok(Self {
            adapter: info,
            device,
            queue,
            limits,
            profile: OnceLock::new(),
            staging: Default::default(),
            checked: AtomicBool::new(false),
            plan,
            patience: AtomicU64::new(PATIENCE.as_nanos() as u64),
            state,
            last: Mutex::default(),
        })
    }

    /// How long a wait may last before the device counts as hung.
    pub fn patience(&self) -> Duration {
        Duration::from_nanos(self.patience.load(Ordering::Relaxed))
    }

    /// Sets that.
    pub fn set_patience(&self, patience: Duration) {
        let nanoseconds = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.patience.store(nanoseconds, Ordering::Relaxed);
    }

    /// Makes a buffer. Where there is no memory for it, [`check`](Self::check) says so.
    pub fn make(&self, buffer: &wgpu::BufferDescriptor) -> wgpu::Buffer {
        let what = buffer.label.unwrap_or_default();
        if self.plan.is_due(Failure::NoMemory) {
            self.state.note(Failed::NoMemory(what.to_owned(), buffer.size));
            let _refused = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let size = self.limits.max_buffer_size.saturating_add(4);
            return self.device.create_buffer(&wgpu::BufferDescriptor { size, ..buffer.clone() });
        }
        self.plan.made();
        failure::making(what, buffer.size, || self.device.create_buffer(buffer))
    }

    /// Submits what an encoder recorded.
    pub fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        if let Some(profile) = self.profile.get() {
            profile.submitted();
        }
        self.hand_over(encoder)
    }

    /// The same for what only moves data, which no profile counts.
    pub fn hand_over(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        if self.plan.is_due(Failure::Lost) {
            self.device.destroy();
            // Lost it is once all that was submitted is done.
            let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
        }
        self.plan.submitted();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // What hangs may hold up whoever gives it more, for ever.
        if let (Some(last), Err(_)) = (&*last, self.check()) {
            return last.clone();
        }
        let submission = self.queue.submit([encoder.finish()]);
        *last = Some(submission.clone());
        submission
    }

    /// An error if the device has failed.
    pub fn check(&self) -> Result<()> {
        self.state.check(&self.adapter.name)
    }

    /// Notes a failure, and says what is to be said of it, or of the one before it.
    pub fn fail(&self, failed: Failed) -> Error {
        if matches!(failed, Failed::Lost(_) | Failed::Hung(_)) {
            // The last one to let go of a queue waits until it is idle, which may be never.
            std::mem::forget((self.device.clone(), self.queue.clone()));
        }
        self.state.note(failed);
        let name = &self.adapter.name;
        self.check().err().unwrap_or_else(|| Error::device(format!("{name}: the device failed")))
    }

    /// Waits for a submission, or for all.
    pub async fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.poll(submission)
    }

    /// The same without a future: outside of a browser nothing else makes a device go on.
    pub fn poll(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        self.check()?;
        let patience = self.patience();
        let stalled = self.plan.is_due(Failure::Hangs);
        let submission = match stalled {
            true => Some(failure::stall(&self.device, &self.queue)),
            false => submission,
        };
        let wait = wgpu::PollType::Wait { submission_index: submission, timeout: Some(patience) };
        let lost = self.plan.is_due(Failure::LostWaiting);
        self.plan.waited();
        let waited = failure::waiting(|| match lost {
            true => panic!("Error in Device::poll: Parent device is lost"),
            false => self.device.poll(wait),
        });
        match waited {
            Ok(Ok(_)) => self.check(),
            Ok(Err(wgpu::PollError::Timeout)) => Err(self.fail(Failed::Hung(patience))),
            // The submission was not taken; why, the device says at the next occasion.
            Ok(Err(error)) => {
                let _ = failure::waiting(|| self.device.poll(wgpu::PollType::Poll));
                Err(self.fail(Failed::Lost(error.to_string())))
            }
            Err(message) => Err(self.fail(Failed::Lost(message))),
        }
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
