//! A program that was asked to end: nothing more is read or written, and what was in the making goes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

static ASKED: AtomicBool = AtomicBool::new(false);
static SWAPPING: Mutex<()> = Mutex::new(());

/// Lets every later call that reads or writes a file fail, so that whoever makes it ends and takes away
/// what it had in the making. A step in which something new takes its final name is not cut short.
///
/// For a program that is about to end, as after Ctrl-C; a handler of signals may call it.
pub fn stop() {
    ASKED.store(true, Ordering::Relaxed);
}

/// Waits until nothing is just about to take its final name, and lets nothing begin that until the guard
/// is dropped: the moment to end a process.
pub fn between_swaps() -> MutexGuard<'static, ()> {
    SWAPPING.lock().unwrap_or_else(|e| e.into_inner())
}

/// Whether [`stop`] was called.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Fails once [`stop`] was called.
///
/// # Errors
/// That it was.
pub fn check() -> io::Result<()> {
    match is_asked() {
        true => Err(io::Error::other("the program was told to end")),
        false => Ok(()),
    }
}

/// Begins a step in which something takes its final name; it ends with the guard.
pub(super) fn swapping() -> io::Result<MutexGuard<'static, ()>> {
    let guard = between_swaps();
    check().map(|()| guard)
}
