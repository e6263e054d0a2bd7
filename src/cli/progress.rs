//! Progress on standard error: a bar on a terminal, nothing but slow steps' lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wgmf::progress::Progress;

/// Shows the steps of a command; silent when asked to be.
pub struct Steps {
    quiet: bool,
    terminal: bool,
    step: Mutex<Option<Step>>,
}

struct Step {
    name: String,
    unit: &'static str,
    total: Option<u64>,
    done: u64,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Steps {
    /// `quiet` shows nothing at all.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal(), step: Mutex::new(None) }
    }
}

impl Progress for Steps {
    fn start(&self, name: &str, total: Option<u64>, unit: &'static str) {
        if self.quiet {
            return;
        }
        let bar = self.terminal.then(|| {
            let bar = match total {
                Some(total) => ProgressBar::new(total).with_style(style(unit)),
                None => ProgressBar::new_spinner(),
            };
            bar.set_message(name.to_owned());
            bar
        });
        *self.step.lock().unwrap_or_else(|e| e.into_inner()) =
            Some(Step { name: name.to_owned(), unit, total, done: 0, said: Instant::now(), bar });
    }

    fn advance(&self, done: u64) {
        let mut step = self.step.lock().unwrap_or_else(|e| e.into_inner());
        let Some(step) = step.as_mut() else { return };
        step.done += done;
        match &step.bar {
            Some(bar) => bar.set_position(step.done),
            None if step.said.elapsed() >= Duration::from_secs(5) => {
                step.said = Instant::now();
                let (name, unit, done) = (&step.name, step.unit, step.done);
                match step.total {
                    Some(total) => eprintln!("{name}: {done} of {total} {unit}"),
                    None => eprintln!("{name}: {done} {unit}"),
                }
            }
            None => {}
        }
    }

    fn finish(&self) {
        let step = self.step.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(bar) = step.and_then(|s| s.bar) {
            bar.finish_and_clear();
        }
    }
}

fn style(unit: &str) -> ProgressStyle {
    let counts = match unit {
        "bytes" => "{bytes}/{total_bytes} {bytes_per_sec}",
        _ => "{human_pos}/{human_len} {per_sec}",
    };
    ProgressStyle::with_template(&format!("{{msg:>12}} {{wide_bar}} {counts}, {{eta}} left"))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
