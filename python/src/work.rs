//! Work that takes time: other threads of Python go on, Ctrl-C is heard, listeners are called.

use crate::convert;
use crate::error;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use wgmf::backend::Backend;
use wgmf::train::Event;
use wgmf::{Error, Result};

/// How often Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often parts of an epoch are told of.
const BETWEEN: Duration = Duration::from_millis(100);

/// What belongs to this process: threads and devices of one do not live on in those that fork from it.
#[derive(Default)]
struct Own {
    process: u32,
    pools: HashMap<usize, Arc<ThreadPool>>,
    devices: HashMap<String, Arc<dyn Backend>>,
}

static OWN: Mutex<Option<Own>> = Mutex::new(None);

fn own() -> MutexGuard<'static, Option<Own>> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if own.as_ref().is_none_or(|own| own.process != process) {
        // What the parent has is not let go of: whoever drops a pool waits for its threads.
        std::mem::forget(own.take());
        *own = Some(Own { process, ..Own::default() });
    }
    own
}

/// So many threads; all cores where nothing is said.
fn pool(threads: Option<usize>) -> Result<Arc<ThreadPool>> {
    let threads = threads.unwrap_or(0);
    if threads > 512 {
        return Err(Error::settings(format!("`threads` {threads}: give 1 to 512")));
    }
    let mut own = own();
    let pools = &mut own.get_or_insert_default().pools;
    if let Some(pool) = pools.get(&threads) {
        return Ok(pool.clone());
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = Arc::new(pool.map_err(|e| Error::settings(format!("`threads` {threads}: {e}")))?);
    pools.insert(threads, pool.clone());
    Ok(pool)
}

/// The device of this name, opened once.
pub(crate) fn device(name: &str) -> Result<Arc<dyn Backend>> {
    if let Some(device) = own().get_or_insert_default().devices.get(name) {
        // One that was lost is looked for anew.
        if device.failed().is_none() {
            return Ok(device.clone());
        }
    }
    let device = wgmf::open_device(name)?;
    own().get_or_insert_default().devices.insert(name.to_owned(), device.clone());
    Ok(device)
}

/// wgpu panics where a wait finds the device lost, and arrow-rs where a file is damaged, which the library takes for
/// the answer: nobody is told twice.
pub(crate) fn hush_waits() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !wgmf::gpu::is_waiting() && !wgmf::data::is_decoding() {
            usual(panic);
        }
    }));
}

/// What the thread that works says to the one that waits.
enum Told {
    /// Something happened; the answer is whether to stop.
    Event(Value, SyncSender<bool>),
    /// It is over.
    Done,
}

/// Whether to go on, for whoever works.
pub(crate) struct Watch {
    stop: AtomicBool,
    hears: Option<SyncSender<Told>>,
    last: Mutex<Option<Instant>>,
}

impl Watch {
    /// Whether nobody asked for an end.
    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// An error where somebody did.
    pub(crate) fn check(&self) -> Result<()> {
        if self.goes_on() { Ok(()) } else { Err(Error::data("stopped")) }
    }

    /// Tells whoever listens, and waits for the answer.
    pub(crate) fn tell(&self, event: Value) {
        let Some(hears) = &self.hears else { return };
        let (reply, answer) = mpsc::sync_channel(1);
        // Who does not listen any more has seen to the end already.
        if hears.send(Told::Event(event, reply)).is_ok() && answer.recv() == Ok(true) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Tells of an event of training.
    pub(crate) fn event(&self, event: &Event, epochs: usize, ratings: usize) -> ControlFlow<()> {
        if self.hears.is_some()
            && let Some(event) = self.worth_telling(event, epochs, ratings)
        {
            self.tell(event);
        }
        if self.goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn worth_telling(&self, event: &Event, epochs: usize, all: usize) -> Option<Value> {
        let mut told = match event {
            Event::Ready { layout_seconds, upload_seconds } => json!({
                "event": "ready",
                "layout_seconds": layout_seconds,
                "upload_seconds": upload_seconds,
                "ratings": all,
            }),
            Event::Progress { epoch, ratings } => {
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.is_some_and(|last| last.elapsed() < BETWEEN) {
                    return None;
                }
                *last = Some(Instant::now());
                json!({"event": "progress", "epoch": epoch, "ratings": ratings})
            }
            Event::Epoch(record) => {
                let mut told = json!({"event": "epoch"});
                let figures = serde_json::to_value(record).ok()?;
                if let (Value::Object(told), Value::Object(figures)) = (&mut told, figures) {
                    told.extend(figures);
                }
                told
            }
            Event::Fallback(failed) => {
                let (device, error) = (&failed.device, &failed.error);
                json!({"event": "fallback", "device": device, "error": error})
            }
            _ => return None,
        };
        told["epochs"] = epochs.into();
        Some(told)
    }
}

/// Work that is over soon, on `threads` of its own.
pub(crate) fn quietly<T: Send>(
    py: Python<'_>,
    job: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| pool(None)?.install(job)).map_err(error::raised)
}

/// Work that may take long. This thread looks for Ctrl-C meanwhile, and calls `hear` with every event that
/// is told; the work ends early where either says so. What they raise is raised.
pub(crate) fn work<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    hear: Option<&Bound<'_, PyAny>>,
    job: impl FnOnce(&Watch) -> Result<T> + Send,
) -> PyResult<T> {
    let hear = hear.filter(|hear| !hear.is_none()).map(|hear| hear.clone().unbind());
    let (told, tells) = mpsc::sync_channel(1);
    let watch = Watch {
        stop: AtomicBool::new(false),
        hears: hear.as_ref().map(|_| told.clone()),
        last: Mutex::default(),
    };
    let (ended, raised) = py.detach(move || {
        let mut raised: Option<PyErr> = None;
        let watch = &watch;
        let ended = thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let job = AssertUnwindSafe(|| pool(threads)?.install(|| job(watch)));
                let ended = panic::catch_unwind(job);
                let _ = told.send(Told::Done);
                ended
            });
            loop {
                let stops = match tells.recv_timeout(PATIENCE) {
                    Ok(Told::Done) | Err(RecvTimeoutError::Disconnected) => break,
                    Ok(Told::Event(event, reply)) => {
                        let answer = match &hear {
                            Some(hear) if raised.is_none() => Python::attach(|py| {
                                py.check_signals()?;
                                let event = convert::to_python(py, &event)?;
                                hear.bind(py).call1((event,))?.is_truthy()
                            }),
                            _ => Ok(true),
                        };
                        let _ = reply.send(*answer.as_ref().unwrap_or(&true));
                        answer.map(drop)
                    }
                    Err(RecvTimeoutError::Timeout) => Python::attach(|py| py.check_signals()),
                };
                if let Err(error) = stops {
                    raised.get_or_insert(error);
                    watch.stop.store(true, Ordering::Relaxed);
                }
            }
            worker.join()
        });
        (ended, raised)
    });
    if let Some(raised) = raised {
        return Err(raised);
    }
    match ended {
        Ok(Ok(result)) => result.map_err(error::raised),
        Ok(Err(panic)) | Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            Err(error::new("internal", format!("this should not have happened: {text}")))
        }
    }
}
