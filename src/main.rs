//! The `wgmf` command: see `wgmf --help`.
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(unreachable_pub, unused_qualifications)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use wgmf::cli;

/// The system's, but where it has no memory left the program ends with an error, as for any other reason.
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// What was given, or the end: unless whoever asked takes no for an answer.
fn given(memory: *mut u8, bytes: usize) -> *mut u8 {
    if memory.is_null() && !wgmf::memory::is_asking() {
        cli::out_of_memory(bytes);
    }
    memory
}

#[allow(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every method hands its arguments on to the system's, and hands back what that returns.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        given(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

fn main() -> ExitCode {
    quiet_loader();
    cli::main(std::env::args_os().collect())
}

/// Mesa complains on standard error where XDG_RUNTIME_DIR is not set, which tells a user nothing.
#[allow(unsafe_code, reason = "no other thread exists yet that could read the environment")]
fn quiet_loader() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: called first in `main`, before any thread is started.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
