//! Devices that fail: how that is known, what is said of it, and how tests bring it about.
//!
//! A device is *lost* (the driver reset it, it was unplugged, another program crashed it), *hangs* (it does
//! not answer a wait), has *no memory* left for a buffer, or *refuses* something, which is a fault of this
//! crate. What failed first counts: all that follows from it says less.

use crate::{Error, Result};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a wait for the device may last before it counts as hung, if nobody says otherwise. A submission
/// is cut to well below a second's work of a hardware GPU; software devices take some seconds for one.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How a device failed.
#[derive(Clone, Debug)]
pub enum Failed {
    /// It is gone, with what the system says of that, if anything.
    Lost(String),
    /// It did not answer for so long.
    Hung(Duration),
    /// There was no memory for a buffer of this name and these bytes.
    NoMemory(String, u64),
    /// It did not take what it was given.
    Refused(String),
}

impl Failed {
    /// What happened to the device of this name, and what to do.
    fn error(&self, name: &str) -> Error {
        let what = match self {
            Self::Lost(message) => {
                let message =
                    if message.is_empty() { String::new() } else { format!(" ({message})") };
                format!("the device was lost{message}, with all that lay on it; try again")
            }
            Self::Hung(patience) => format!(
                "no answer for {} s: the device hangs, or `device_timeout` is too short for it; raise \
                 that",
                patience.as_secs_f64()
            ),
            Self::NoMemory(what, bytes) => format!(
                "the device has no memory left for \"{what}\" ({}); end what else uses it, lower `factors`",
                match *bytes {
                    few @ ..1_000_000 => format!("{few} bytes"),
                    many => format!("{:.1} MB", many as f64 / 1e6),
                }
            ),
            Self::Refused(message) => format!("{message}; try again"),
        };
        Error::device(format!(
            "{name}: {what}, use `backend` cpu, or go on there with `fallback` cpu"
        ))
    }
}

/// What is known of a device's failure, by whoever hears of it.
#[derive(Clone, Default)]
pub struct State(Arc<Mutex<Option<Failed>>>);

impl State {
    /// Notes a failure, if there was none before.
    pub fn note(&self, failed: Failed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failed);
    }

    /// Notes what wgpu reports outside of any scope.
    pub fn note_error(&self, error: &wgpu::Error) {
        let (what, bytes) = MAKING.with(|making| making.borrow().clone());
        self.note(match error {
            wgpu::Error::OutOfMemory { .. } => Failed::NoMemory(what, bytes),
            error => Failed::Refused(error.to_string()),
        });
    }

    /// An error if the device of this name has failed.
    pub fn check(&self, name: &str) -> Result<()> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(failed) => Err(failed.error(name)),
            None => Ok(()),
        }
    }
}

thread_local! {
    /// The buffer that this thread makes, if it makes one.
    static MAKING: RefCell<(String, u64)> = const { RefCell::new((String::new(), 0)) };
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread waits for a device, where wgpu panics if it finds it lost. The panic is caught and
/// becomes an error: a panic hook may stay silent.
pub fn is_waiting() -> bool {
    WAITING.get()
}

/// Makes a buffer; a lack of memory is noted with its name and bytes.
pub fn making<T>(what: &str, bytes: u64, make: impl FnOnce() -> T) -> T {
    MAKING.with(|making| *making.borrow_mut() = (what.to_owned(), bytes));
    make()
}

/// What a wait comes to, where wgpu panics on a device that is lost meanwhile: then what it said.
pub fn waiting<T>(wait: impl FnOnce() -> T) -> std::result::Result<T, String> {
    WAITING.set(true);
    let waited = catch_unwind(AssertUnwindSafe(wait));
    WAITING.set(false);
    waited.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        // The last line says most; what stands before it names the call.
        let last = text.lines().last().unwrap_or_default().trim();
        last.strip_prefix("Error in Device::poll: ").unwrap_or(last).to_owned()
    })
}

/// A failure that a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The device is destroyed.
    Lost,
    /// A wait finds the device lost, on which wgpu panics.
    LostWaiting,
    /// A wait is for work that takes the device many seconds.
    Hangs,
    /// There is no memory for a buffer.
    NoMemory,
}

/// When a test wants which failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What fails.
    pub failure: Failure,
    /// Before which submission, counted from 0 after it was asked for; of [`Failure::NoMemory`] the buffer,
    /// of [`Failure::LostWaiting`] and [`Failure::Hangs`] the wait.
    pub at: usize,
}

impl FromStr for Trouble {
    type Err = Error;

    /// `lost@12`, `waiting@3`, `hangs@5`, `memory@0`.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('@').and_then(|(name, at)| {
            let failure = match name {
                "lost" => Failure::Lost,
                "waiting" => Failure::LostWaiting,
                "hangs" => Failure::Hangs,
                "memory" => Failure::NoMemory,
                _ => return None,
            };
            Some(Trouble { failure, at: at.parse().ok()? })
        });
        parsed.ok_or_else(|| Error::settings(format!("\"{text}\" is no failure of a device")))
    }
}

/// Counts what a device is asked to do, and says when it is to fail.
#[derive(Default)]
pub struct Plan {
    trouble: Mutex<Option<Trouble>>,
    submissions: AtomicUsize,
    buffers: AtomicUsize,
    waits: AtomicUsize,
}

impl Plan {
    /// Asks for a failure; counts begin anew.
    pub fn ask(&self, trouble: Option<Trouble>) {
        for count in [&self.submissions, &self.buffers, &self.waits] {
            count.store(0, Ordering::Relaxed);
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Submissions, buffers and waits so far.
    pub fn counts(&self) -> [usize; 3] {
        [&self.submissions, &self.buffers, &self.waits].map(|count| count.load(Ordering::Relaxed))
    }

    /// Whether this is when a failure of this kind is wanted.
    pub fn is_due(&self, failure: Failure) -> bool {
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match failure {
            Failure::Lost => &self.submissions,
            Failure::LostWaiting | Failure::Hangs => &self.waits,
            Failure::NoMemory => &self.buffers,
        };
        trouble == Some(Trouble { failure, at: count.load(Ordering::Relaxed) })
    }

    /// Counts a submission.
    pub fn submitted(&self) {
        self.submissions.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a buffer.
    pub fn made(&self) {
        self.buffers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a wait.
    pub fn waited(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }
}

/// Work of several seconds on any device, in steps that none of them bounds.
const STALL: &str = "
@group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
@compute @workgroup_size(64)
fn stall(@builtin(global_invocation_id) at: vec3u) {
    var x = numbers[at.x % 64u] + at.x;
    for (var j = 0u; j < 60000u; j++) { x = (x * 1664525u + 1013904223u) ^ (x >> 7u); }
    numbers[at.x % 64u] = x;
}";

/// Gives a device work that takes it many seconds.
pub fn stall(device: &wgpu::Device, queue: &wgpu::Queue) -> wgpu::SubmissionIndex {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("stall"),
        source: wgpu::ShaderSource::Wgsl(STALL.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("stall"),
        layout: None,
        module: &module,
        entry_point: Some("stall"),
        compilation_options: Default::default(),
        cache: None,
    });
    let numbers = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("numbers"),
        size: 256,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("stall"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: numbers.as_entire_binding() }],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1 << 12, 1, 1);
    }
    queue.submit([encoder.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_first_is_said_with_what_to_do() {
        for (failed, says) in [
            (Failed::Lost(String::new()), "x: the device was lost, with"),
            (Failed::Lost("reset".into()), "x: the device was lost (reset), with"),
            (Failed::Hung(Duration::from_millis(500)), "x: no answer for 0.5 s: the device hangs"),
            (Failed::NoMemory("factors".into(), 2_500_000), "left for \"factors\" (2.5 MB)"),
            (Failed::Refused("it is odd".into()), "x: it is odd; try again"),
        ] {
            let state = State::default();
            assert!(state.check("x").is_ok());
            state.note(failed);
            state.note(Failed::Lost("later".into()));
            let text = state.check("x").unwrap_err().to_string();
            assert!(text.contains(says) && text.contains("`fallback` cpu"), "{text}");
        }
    }

    #[test]
    fn a_panic_while_waiting_is_an_answer() {
        assert_eq!(waiting(|| 7), Ok(7));
        let lost = waiting(|| -> u8 { panic!("{}\n  {}", "Error in Device::poll:", "gone") });
        assert_eq!((lost, is_waiting()), (Err("gone".to_owned()), false));
        let lost = waiting(|| -> u8 { panic!("Error in Device::poll: Parent device is lost") });
        assert_eq!(lost, Err("Parent device is lost".to_owned()));
    }

    #[test]
    fn failures_of_tests_have_names() {
        for (text, failure) in [("lost@3", Failure::Lost), ("hangs@3", Failure::Hangs)] {
            assert_eq!(text.parse::<Trouble>().unwrap(), Trouble { failure, at: 3 });
        }
        for text in ["", "lost", "lost@", "gone@3", "lost@-1"] {
            assert!(text.parse::<Trouble>().is_err(), "{text}");
        }
    }
}
