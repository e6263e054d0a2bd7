//! Signals. The first Ctrl-C (or SIGTERM, or SIGHUP) asks a training run to end well; any other command,
//! and a second one, ends at once, without anything half-written.
//!
//! What listens here only sets flags: it runs no signal handler, the thread that writes takes away what it
//! has in the making, and a step in which something new takes its final name is never cut short.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use wgmf::files::{in_the_making, stop};
use wgmf::{Error, Result};

/// Signals so far.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The number of the last one, and of the one that asked the run to end well.
static LAST: AtomicUsize = AtomicUsize::new(0);
static FIRST: AtomicUsize = AtomicUsize::new(0);
static ENDS_WELL: AtomicBool = AtomicBool::new(false);
static SAVING: AtomicBool = AtomicBool::new(false);

/// How long what is in the making may take to go away; after that it is left to the next run.
const GRACE: Duration = Duration::from_secs(2);

/// A signal that ends a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Ctrl-C.
    Interrupt = 2,
    /// What service managers, schedulers and containers send.
    Terminate = 15,
    /// The terminal is gone.
    HangUp = 1,
}

impl Signal {
    fn of(number: usize) -> Option<Self> {
        let all = [Signal::Interrupt, Signal::Terminate, Signal::HangUp];
        all.into_iter().find(|&signal| signal as usize == number)
    }

    /// The name it has in run.json.
    pub(super) fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::HangUp => "SIGHUP",
        }
    }

    /// What a shell reports of a program that it ended.
    pub(super) fn exit_code(self) -> u8 {
        128 + self as u8
    }
}

/// Takes the signals over.
pub(super) fn listen() -> Result<()> {
    take_over().map_err(|e| Error::data(format!("cannot handle Ctrl-C: {e}")))
}

/// Every thread holds the signals back, this one's children included; one takes them as they come.
#[cfg(unix)]
fn take_over() -> std::io::Result<()> {
    use nix::sys::signal::{SigSet, Signal::*};
    let mut signals = SigSet::empty();
    signals.add(SIGINT);
    signals.add(SIGTERM);
    if !hang_up_is_ignored() {
        signals.add(SIGHUP);
    }
    signals.thread_block()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        while let Ok(signal) = signals.wait() {
            came(Signal::of(signal as usize).unwrap_or(Signal::Terminate));
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
fn take_over() -> std::result::Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| came(Signal::Interrupt))
}

/// Whether the program was started by nohup or the like, which is to outlive its terminal.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (Signal::HangUp as u32 - 1) != 0)
}

fn came(signal: Signal) {
    LAST.store(signal as usize, Ordering::SeqCst);
    let first = COUNT.fetch_add(1, Ordering::SeqCst) == 0;
    if !first || !ENDS_WELL.load(Ordering::SeqCst) {
        end(signal);
    }
    FIRST.store(signal as usize, Ordering::SeqCst);
    let again = match signal {
        Signal::Interrupt => "Ctrl-C again stops at once",
        _ => "a second one stops at once",
    };
    match (SAVING.load(Ordering::SeqCst), signal) {
        (true, _) => say!("\nthe model is being saved; {again}"),
        (false, Signal::Interrupt) => say!("\nstopping after this step; {again}"),
        (false, _) => {
            say!("\n{}: stopping after this epoch, with a checkpoint; {again}", signal.name());
        }
    }
}

/// Ends the program, once whatever writes has taken away what it had in the making.
fn end(signal: Signal) -> ! {
    stop::stop();
    let step = Duration::from_millis(5);
    for _ in 0..GRACE.as_millis() / step.as_millis() {
        if !in_the_making() {
            break;
        }
        std::thread::sleep(step);
    }
    let _between = stop::between_swaps();
    std::process::exit(signal.exit_code().into())
}

/// From now on the command watches [`pressed`] and ends by itself.
pub(super) fn ends_well() {
    ENDS_WELL.store(true, Ordering::SeqCst);
}

/// The epochs are over; the model is written.
pub(super) fn saving() {
    SAVING.store(true, Ordering::SeqCst);
}

/// The signal that asked the run to end well.
pub(super) fn pressed() -> Option<Signal> {
    Signal::of(FIRST.load(Ordering::SeqCst))
}

/// Whether one came that stands for the end of the whole session rather than of this run: work is kept
/// for another day.
pub(super) fn terminated() -> bool {
    pressed().is_some_and(|signal| signal != Signal::Interrupt)
}

/// The signal that ended the program at once: an error is its doing.
pub(super) fn ended() -> Option<Signal> {
    Signal::of(LAST.load(Ordering::SeqCst)).filter(|_| stop::is_asked())
}
