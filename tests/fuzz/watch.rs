//! Time, memory and panics of the case that runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The system's allocator, and how many bytes are taken of it. What is beyond all measure is refused: the
/// program ends there, and has said which case it was.
pub struct Counted;

/// Bytes in all, and the most there were since a case began.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static BEFORE: AtomicUsize = AtomicUsize::new(0);

/// More than this is not tried.
const BEYOND: usize = 4 << 30;

#[allow(unsafe_code, reason = "an allocator's contract; all is passed on to the system's")]
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size) {
            return std::ptr::null_mut();
        }
        TAKEN.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn take(size: usize) -> bool {
    let taken = TAKEN.fetch_add(size, Relaxed) + size;
    if taken > MOST.load(Relaxed) {
        MOST.fetch_max(taken, Relaxed);
    }
    if size > BEYOND {
        TAKEN.fetch_sub(size, Relaxed);
        eprintln!("{} asks for {size} bytes", which());
        return false;
    }
    true
}

/// Milliseconds for which the case has run so far, 0 where none does.
static RUNS: AtomicU64 = AtomicU64::new(0);
static CASE: AtomicU64 = AtomicU64::new(0);
static NAME: Mutex<&'static str> = Mutex::new("");
static MESSAGE: Mutex<String> = Mutex::new(String::new());

fn which() -> String {
    let name = NAME.try_lock().map_or("?", |name| *name);
    format!("{name}, case {}", CASE.load(Relaxed))
}

/// Hears of panics, and ends the program where a case does not end.
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        let place =
            panic.location().map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a panic");
        // Kinds are told apart by place; what follows may differ from case to case.
        let text: String = text.chars().take(300).collect();
        let mut message = MESSAGE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if message.is_empty() {
            *message = format!("{place}: {text}");
        }
        if RUNS.load(Relaxed) == 0 {
            eprintln!("{place}: {text}");
        }
    }));
    std::thread::spawn(|| {
        const STEP: u64 = 100;
        loop {
            std::thread::sleep(Duration::from_millis(STEP));
            if RUNS.load(Relaxed) > 0 && RUNS.fetch_add(STEP, Relaxed) > 60_000 {
                eprintln!("{} does not end", which());
                std::process::exit(101);
            }
        }
    });
}

pub fn begin(name: &'static str, case: u64) {
    *NAME.lock().unwrap() = name;
    MESSAGE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
    CASE.store(case, Relaxed);
    RUNS.store(1, Relaxed);
    BEFORE.store(TAKEN.load(Relaxed), Relaxed);
    MOST.store(TAKEN.load(Relaxed), Relaxed);
}

/// The most bytes that the case had at a time.
pub fn end() -> usize {
    RUNS.store(0, Relaxed);
    MOST.load(Relaxed).saturating_sub(BEFORE.load(Relaxed))
}

/// What the last panic said: the place, and the text without its numbers.
pub fn message() -> String {
    let message = MESSAGE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // The place is kept whole.
    let at = message.find(": ").unwrap_or(0);
    let (place, text) = message.split_at(at);
    let digits = |c: char| if c.is_ascii_digit() { '#' } else { c };
    place.to_owned() + &text.chars().map(digits).collect::<String>()
}
