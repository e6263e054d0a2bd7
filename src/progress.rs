//! How long-running library calls say where they are. The library never prints: the command line
//! implements [`Progress`] with a bar or with plain lines.

/// Receives the progress of one long step at a time. `()` ignores it.
pub trait Progress: Sync {
    /// A step begins. `total` is in `unit`s (`"bytes"`, `"ratings"`, ...), where it is known.
    fn start(&self, step: &str, total: Option<u64>, unit: &'static str);
    /// `done` more units of the current step are finished. May be called from any thread.
    fn advance(&self, done: u64);
    /// The current step is over.
    fn finish(&self);
    /// Something to be told once, such as a guess that another reading would contradict.
    fn note(&self, _text: &str) {}
    /// What a person who watches may want to see, and no log.
    fn detail(&self, _text: &str) {}
}

impl Progress for () {
    fn start(&self, _step: &str, _total: Option<u64>, _unit: &'static str) {}
    fn advance(&self, _done: u64) {}
    fn finish(&self) {}
}
