//! Progress on standard error: a bar on a terminal, nothing but slow steps' lines elsewhere.

use super::is_quiet;
use super::output::{is_closed_pipe, print_json};
use super::words::thousands;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wgmf::core::{Loss, Settings, Solver, figure};
use wgmf::data::Prepared;
use wgmf::model::{EpochRecord, FallbackRecord};
use wgmf::train::Event;
use wgmf::{ErrorKind, Result, progress};

/// Shows the steps of a command; silent when asked to be.
pub(super) struct Steps {
    quiet: bool,
    mute: bool,
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
    /// `quiet` shows no steps, but what is to be told is told.
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { quiet: quiet || is_quiet(), mute: false, terminal, step: Mutex::new(None) }
    }

    /// Shows and tells nothing at all where `mute`.
    pub(super) fn muted(mute: bool) -> Self {
        Self { mute, ..Self::new(mute) }
    }
}

impl progress::Progress for Steps {
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
                    Some(total) => say!("{name}: {done} of {total} {unit}"),
                    None => say!("{name}: {done} {unit}"),
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

    fn detail(&self, text: &str) {
        if self.terminal {
            self.note(text);
        }
    }

    fn note(&self, text: &str) {
        if self.mute {
            return;
        }
        let text = super::with_flags(text);
        let step = self.step.lock().unwrap_or_else(|e| e.into_inner());
        match step.as_ref().and_then(|step| step.bar.as_ref()) {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
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

/// The row solvers' objective and its parts.
fn objective(record: &EpochRecord, signed: bool) -> Option<String> {
    let total = record.objective?;
    // By Hu's objective what listed pairs add to what they would be unlisted, which may lie below 0.
    let names = if signed { ["listed pairs", "all as unlisted"] } else { ["error", "unobserved"] };
    let mut parts = vec![format!("{} {}", names[0], figure(record.squared_error?, 4))];
    parts.extend(record.unobserved.map(|x| format!("{} {}", names[1], figure(x, 4))));
    parts.push(format!("regularization {}", figure(record.regularization?, 4)));
    Some(format!("objective {} = {}", figure(total, 4), parts.join(" + ")))
}

/// How `wgmf train` shows its progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Progress {
    /// A bar on a terminal, plain lines elsewhere.
    #[default]
    Bar,
    /// One JSON event a line on standard output.
    Json,
    /// Nothing.
    None,
}

/// Shows the epochs of a training run.
pub(super) struct Epochs {
    progress: Progress,
    bar: Option<ProgressBar>,
    epochs: usize,
    ratings: usize,
    loss: Loss,
    transformed: bool,
    /// Whether the objective is Hu's.
    signed: bool,
    /// A sampler's sweeps of burn-in; nothing for other solvers.
    burn_in: Option<usize>,
    last: String,
    shown: Instant,
}

impl Epochs {
    /// For a run with these settings on these data.
    pub(super) fn new(progress: Progress, settings: &Settings, prepared: &Prepared) -> Self {
        let ratings = prepared.train.len();
        let show = progress == Progress::Bar && !is_quiet() && std::io::stderr().is_terminal();
        let bar = show.then(|| {
            let bar = ProgressBar::new((settings.epochs as u64).saturating_mul(ratings as u64));
            bar.set_style(style("ratings"));
            bar.set_message("training");
            bar
        });
        Self {
            progress,
            bar,
            epochs: settings.epochs,
            ratings,
            loss: settings.loss,
            burn_in: (settings.solver == Solver::Bayes).then_some(settings.burn_in),
            signed: settings.confidence.is_signed(),
            transformed: !prepared.transform.is_identity(),
            last: String::new(),
            shown: Instant::now(),
        }
    }

    /// Shows an event. A reader of JSON that goes away, or a disk that takes no more of it, ends the talk,
    /// not the run: the model is what was asked for.
    pub(super) fn hear(&mut self, event: &Event) -> Result<()> {
        match self.show(event) {
            Err(error) if matches!(error.kind(), ErrorKind::Io { .. }) => {
                if !is_closed_pipe(&error) {
                    say!("warning: training goes on without showing its progress: {error}");
                }
                self.progress = Progress::None;
                Ok(())
            }
            shown => shown,
        }
    }

    fn show(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Ready { layout_seconds, upload_seconds } if self.progress == Progress::Json => {
                print_json(&serde_json::json!({
                    "event": "ready",
                    "layout_seconds": layout_seconds,
                    "upload_seconds": upload_seconds,
                }))?;
            }
            Event::Progress { epoch, ratings } => {
                // Small batches come by the thousand: nobody reads faster than this.
                if let Some(bar) = &self.bar
                    && self.shown.elapsed() >= Duration::from_millis(50)
                {
                    self.shown = Instant::now();
                    bar.set_position(((epoch - 1) * self.ratings + ratings) as u64);
                    let (name, epochs) = (self.name(), self.epochs);
                    bar.set_message(format!("{name} {epoch}/{epochs} {}", self.last));
                }
            }
            Event::Epoch(record) => self.epoch(record)?,
            Event::Fallback(failed) => self.fallback(failed)?,
            _ => {}
        }
        Ok(())
    }

    /// Another device goes on.
    fn fallback(&self, failed: &FallbackRecord) -> Result<()> {
        if self.progress == Progress::Json {
            let mut event = serde_json::Map::new();
            event.insert("event".into(), "fallback".into());
            event.insert("epochs".into(), failed.epochs.into());
            event.insert("device".into(), failed.device.clone().into());
            event.insert("error".into(), failed.error.clone().into());
            print_json(&event)?;
        }
        let (name, next) = (self.name(), failed.epochs + 1);
        let text = format!(
            "training goes on with {name} {next}; the model will not be, to the bit, that of a run that \
             nothing disturbed"
        );
        match &self.bar {
            Some(bar) => bar.suspend(|| say!("{text}")),
            None => say!("{text}"),
        }
        Ok(())
    }

    /// What one pass over the ratings is called.
    fn name(&self) -> &'static str {
        if self.burn_in.is_some() { "sweep" } else { "epoch" }
    }

    /// Whether a sweep is one before those that count.
    fn burns_in(&self, record: &EpochRecord) -> bool {
        self.burn_in.is_some_and(|burn_in| record.epoch <= burn_in)
    }

    fn epoch(&mut self, record: &EpochRecord) -> Result<()> {
        let shown = |error: f64| match self.loss {
            Loss::Squared => error.sqrt(),
            _ => error,
        };
        let train = record.train_error.map(shown);
        let test = record.test_error.map(shown);
        let sample = record.sample_error.map(shown);
        let rate = self.ratings as f64 / record.pass_seconds;
        let (name, key) = match self.loss {
            Loss::Squared => ("RMSE", "rmse"),
            Loss::Logistic => ("log loss", "log_loss"),
            _ => ("loss", "loss"),
        };
        match self.progress {
            Progress::None => {}
            Progress::Json => {
                // Errors of transformed ratings are in another unit, and say so.
                let prefix = if self.transformed { "model_" } else { "" };
                let mut event = serde_json::Map::new();
                event.insert("event".into(), "epoch".into());
                event.insert("epoch".into(), record.epoch.into());
                if self.burn_in.is_some() {
                    event.insert("burn_in".into(), self.burns_in(record).into());
                }
                for (side, error) in [("train", train), ("sample_test", sample), ("test", test)] {
                    if let Some(error) = error {
                        event.insert(format!("{prefix}{side}_{key}"), error.into());
                    }
                }
                for (key, figure) in [
                    ("objective", record.objective),
                    ("squared_error", record.squared_error),
                    ("unobserved", record.unobserved),
                    ("regularization", record.regularization),
                    ("test_recall@20", record.recall),
                    ("test_ndcg@20", record.ndcg),
                ] {
                    if let Some(figure) = figure {
                        event.insert(key.into(), figure.into());
                    }
                }
                if let Some(users) = record.ranked_users {
                    event.insert("test_ranked_users".into(), users.into());
                }
                event.insert("seconds".into(), record.seconds.into());
                event.insert("ratings_per_second".into(), rate.into());
                print_json(&event)?;
            }
            Progress::Bar => {
                let of = if self.transformed { " of transformed ratings" } else { "" };
                let mut parts = Vec::new();
                if let Some(train) = train {
                    let mut errors = format!("{name}{of}: training {}", figure(train, 4));
                    let averaged = |test| format!(", averaged {}", figure(test, 4));
                    let held_out = |test| format!(", held-out {}", figure(test, 4));
                    errors += &match (sample, test) {
                        (Some(sample), test) => {
                            held_out(sample) + &test.map_or(String::new(), averaged)
                        }
                        (None, test) => test.map_or(String::new(), held_out),
                    };
                    if self.burns_in(record) {
                        errors += " (burn-in)";
                    }
                    parts.push(errors);
                }
                if let (Some(recall), Some(ndcg)) = (record.recall, record.ndcg) {
                    let (recall, ndcg) = (figure(recall, 4), figure(ndcg, 4));
                    let of = record.ranked_users.map_or(String::new(), |users| {
                        format!(" of {} users", thousands(users as u64))
                    });
                    parts.push(format!("held-out recall@20 {recall}, NDCG@20 {ndcg}{of}"));
                }
                if let Some(objective) = objective(record, self.signed) {
                    parts.push(objective);
                }
                let errors = parts.join("; ");
                match &self.bar {
                    Some(_) => self.last = errors,
                    None => say!(
                        "{} {}/{}  {errors}  {} ratings/s",
                        self.name(),
                        record.epoch,
                        self.epochs,
                        match rate / 1e6 {
                            millions if millions >= 0.1 => format!("{millions:.1} M"),
                            _ => thousands(rate as u64),
                        }
                    ),
                }
            }
        }
        Ok(())
    }

    /// The run is over.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            if !self.last.is_empty() {
                say!("{}", self.last);
            }
        }
    }
}
