//! `wgmf bench`.

mod tables;

use super::backend;
use super::output::{print_json, to_stdout};
use super::progress::Steps;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Instant;
use wgmf::backend::Backend;
use wgmf::bench::{
    ChoiceMeasurement, ListsMeasurement, Measurement, SweepMeasurement, Workload, measure,
    measure_choices, measure_lists, measure_sweeps,
};
use wgmf::core::{Loss, Options, Ratings, Settings, Solver};
use wgmf::cpu::Cpu;
use wgmf::data::synth::{SynthOptions, synth};
use wgmf::data::{DataOptions, prepare};
use wgmf::files::Output;
use wgmf::gpu::{Choice, Gpu};
use wgmf::{Error, Result};

/// Measure training on the CPU and on the GPU, on the same work in one run
///
/// Writes a planted set (70,000 users, 10,700 items, 10 million ratings) to a temporary file, reads
/// it, and trains on both backends. Beside the rate stands the bandwidth that a plain copy reaches
/// on that device in the same run, and how near the epochs come to it. The first epoch warms up and
/// is not counted. Without a hardware GPU only the CPU is measured, unless --adapter names one.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Measure with these ratings instead
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// A smaller set, one number of factors, done in under 20 seconds
    #[arg(long)]
    quick: bool,
    /// Planted ratings
    #[arg(long, value_name = "N", conflicts_with = "data")]
    ratings: Option<u64>,
    /// Numbers of factors
    #[arg(long, value_name = "K", value_delimiter = ',')]
    factors: Vec<usize>,
    /// Solvers
    #[arg(long, value_enum, value_delimiter = ',')]
    solver: Vec<Solver>,
    /// Losses made for ranking, instead of solvers: softmax, ccl, bpr, warp
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "solver")]
    loss: Vec<Loss>,
    /// Ratings per update; sgd on the CPU goes rating by rating without it
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Coordinates that als, ials and bayes solve (draw) together
    #[arg(long, value_name = "D")]
    block: Option<usize>,
    /// Epochs, the warm-up included
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Also lists of the N best items for all users
    #[arg(long, value_name = "N")]
    lists: Option<usize>,
    /// Show where a GPU's time goes, kernel by kernel
    #[arg(long)]
    profile: bool,
    /// Seed of the planted set, the start and the batches
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    backend: backend::Args,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also write that object to a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Everything measured in one run.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    users: usize,
    items: usize,
    train_ratings: usize,
    test_ratings: usize,
    /// Size of the text that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<u64>,
    /// Reading the text, ids, duplicates and the split.
    read_seconds: f64,
    /// The least RMSE possible on the planted set.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor_rmse: Option<f64>,
    measurements: Vec<Measurement>,
    sweeps: Vec<SweepMeasurement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<ChoiceMeasurement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lists: Vec<ListsMeasurement>,
    /// What a copy moves and what registers reach, for each backend's kernels.
    #[serde(skip)]
    rates: Vec<(&'static str, f64, f64)>,
}

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    args.check()?;
    let backends = args.backends()?;
    let (workload, mut report) = args.workload()?;
    let solvers = match args.solver.is_empty() {
        true if !args.loss.is_empty() => Vec::new(),
        true => vec![Solver::Sgd, Solver::Adagrad, Solver::Adam, Solver::Als],
        false => args.solver.clone(),
    };
    let factors = match (args.factors.is_empty(), args.quick) {
        (true, true) => vec![32],
        (true, false) => vec![32, 128],
        (false, _) => args.factors.clone(),
    };
    if factors.contains(&0) {
        let why = "`factors` 0: there is nothing to measure; give 1 to 1024";
        return Err(Error::settings(why));
    }
    let n = workload.train.len();
    // Large batches are what a GPU needs; every solver gets the same, so that rates compare.
    let batch_size = args.batch_size.unwrap_or((n / 64).next_power_of_two().min(131_072));
    for backend in &backends {
        let (device, suits) = (backend.device(), backend.suits());
        say!("{}: {}", device.backend, device.name);
        let copy = backend.copy_bytes_per_second()?;
        let computes =
            !args.loss.is_empty() || solvers.iter().any(|solver| solver.optimizer().is_none());
        let peak = match computes || args.lists.is_some() {
            true => backend.operations_per_second()?,
            false => 0.0,
        };
        report.rates.push((device.backend, copy, peak));
        for &factors in &factors {
            for &solver in &solvers {
                let gradient = solver.optimizer().is_some();
                let epochs = args.epochs.unwrap_or(if args.quick { 3 } else { 5 });
                let bayes = solver == Solver::Bayes;
                let options = Options {
                    factors: Some(factors),
                    solver: Some(solver),
                    samples: bayes.then_some(epochs),
                    burn_in: bayes.then_some(0),
                    batch_size: match gradient {
                        // Rating by rating, where the device can.
                        true if solver == Solver::Sgd && suits.single_ratings => args.batch_size,
                        true => Some(batch_size),
                        false => None,
                    },
                    epochs: (!bayes).then_some(epochs),
                    learning_rate_decay: gradient.then_some(1.0),
                    block: args.block.filter(|_| !gradient).map(|block| block.min(factors)),
                    seed: args.seed,
                    ..Options::default()
                };
                let (users, items) = (workload.users.len(), workload.items.len());
                let settings = options.resolve_for(suits, &workload.train, users, items)?;
                let warmed_up = |epoch| {
                    if epoch == 1 {
                        say!("  {} k = {factors}: warmed up", solver.name());
                    }
                };
                if !gradient {
                    let sweeps = measure_sweeps(&**backend, &workload, &settings, peak, warmed_up)?;
                    report.sweeps.push(sweeps);
                    continue;
                }
                report
                    .measurements
                    .push(measure(&**backend, &workload, &settings, copy, warmed_up)?);
            }
            for &loss in &args.loss {
                let epochs = args.epochs.unwrap_or(if args.quick { 3 } else { 5 });
                let options = Options {
                    loss: Some(loss),
                    factors: Some(factors),
                    batch_size: args.batch_size,
                    epochs: Some(epochs),
                    seed: args.seed,
                    ..Options::default()
                };
                let settings = args.of_pairs(&options, &workload)?;
                let warmed_up = |epoch| {
                    if epoch == 1 {
                        say!("  {} k = {factors}: warmed up", loss.name());
                    }
                };
                let choices = measure_choices(&**backend, &workload, &settings, peak, warmed_up)?;
                report.choices.push(choices);
            }
            if let Some(list) = args.lists {
                let options = Options { factors: Some(factors), ..Options::default() };
                let (users, items) = (workload.users.len(), workload.items.len());
                let settings = options.resolve_for(suits, &workload.train, users, items)?;
                report.lists.push(measure_lists(&**backend, &workload, &settings, list)?);
            }
        }
    }
    if let Some(path) = &args.save {
        let mut file = Output::create(path, true)?;
        file.write(|sink| Ok(serde_json::to_writer(sink, &report)?))?;
        file.commit()?;
    }
    if args.json { print_json(&report) } else { to_stdout(tables::show(&report)) }
}

impl Args {
    /// Settings for the pairs of a workload, whatever their ratings.
    fn of_pairs(&self, options: &Options, workload: &Workload) -> Result<Settings> {
        let values = vec![1.0; workload.train.len()];
        let pairs = Ratings { values, ..workload.train.clone() };
        options.resolve(&pairs, workload.users.len(), workload.items.len())
    }

    /// Whether the settings make sense, before seconds go into the planted set.
    fn check(&self) -> Result<()> {
        let options = |factors| Options {
            factors,
            batch_size: self.batch_size,
            epochs: self.epochs,
            ..Options::default()
        };
        options(None).check()?;
        self.factors.iter().try_for_each(|&factors| options(Some(factors)).check())?;
        if let Some(loss) = self.loss.iter().find(|loss| !loss.is_ranking()) {
            return Err(Error::settings(format!(
                "--loss {}: is that of solvers without it; name softmax, ccl, bpr or warp",
                loss.name()
            )));
        }
        if self.block == Some(0) {
            return Err(Error::settings("--block 0: must be 1 or more"));
        }
        if self.epochs == Some(1) {
            let message = "--epochs 1: must be 2 or more, since the first only warms up";
            return Err(Error::settings(message));
        }
        Ok(())
    }

    fn backends(&self) -> Result<Vec<Box<dyn Backend>>> {
        if self.backend.fallback.is_some() {
            return Err(Error::settings(
                "--fallback: a device that fails is not measured on another; leave it out",
            ));
        }
        let options = self.backend.options()?;
        let mut backends: Vec<Box<dyn Backend>> = Vec::new();
        if self.backend.backend != backend::Kind::Gpu {
            backends.push(Box::new(Cpu::new()));
        }
        let choice = match &self.backend.adapter {
            Some(name) => Choice::Named(name.clone()),
            None => Choice::Hardware,
        };
        match self.backend.backend {
            backend::Kind::Cpu if self.backend.adapter.is_some() => {
                return Err(Error::settings("--adapter names a GPU; leave out --backend cpu"));
            }
            backend::Kind::Cpu => {}
            backend::Kind::Auto if self.backend.adapter.is_none() => match Gpu::open(&choice) {
                Ok(gpu) => backends.push(Box::new(self.profiled(options.of(gpu)))),
                Err(error) => {
                    let why = wgmf::DeviceChoice::why_cpu(&error);
                    say!("only the CPU: {}", super::with_flags(&why));
                }
            },
            _ => backends.push(Box::new(self.profiled(options.of(Gpu::open(&choice)?)))),
        }
        Ok(backends)
    }

    fn profiled(&self, gpu: Gpu) -> Gpu {
        if self.profile { gpu.profiled() } else { gpu }
    }

    fn workload(&self) -> Result<(Workload, Report)> {
        let steps = Steps::new(false);
        let mut floor_rmse = None;
        let temporary;
        let path = match &self.data {
            Some(path) => path.clone(),
            None => {
                let ratings =
                    self.ratings.unwrap_or(if self.quick { 1_000_000 } else { 10_000_000 });
                let defaults = SynthOptions::default();
                let shrink = (ratings as f64 / defaults.ratings as f64).sqrt().min(1.0);
                let options = SynthOptions {
                    users: ((f64::from(defaults.users) * shrink) as u32).max(1),
                    items: ((f64::from(defaults.items) * shrink) as u32).max(1),
                    ratings,
                    seed: self.seed,
                    ..defaults
                };
                // It goes with its directory.
                temporary = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), e))?;
                let path = temporary.path().join("planted.csv");
                floor_rmse = Some(synth(&options, &path, false, &steps)?.floor_rmse);
                path
            }
        };
        let file_bytes = std::fs::metadata(&path).ok().map(|file| file.len());
        let clock = Instant::now();
        let options = DataOptions { holdout: Some(0.1), ..DataOptions::default() };
        let prepared = prepare(&[path], &options, self.seed, &steps)?;
        let read_seconds = clock.elapsed().as_secs_f64();
        let workload = Workload {
            users: prepared.users,
            items: prepared.items,
            train: prepared.train,
            test: prepared.test.unwrap_or_default(),
        };
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            users: workload.users.len(),
            items: workload.items.len(),
            train_ratings: workload.train.len(),
            test_ratings: workload.test.len(),
            file_bytes,
            read_seconds,
            floor_rmse,
            measurements: Vec::new(),
            sweeps: Vec::new(),
            choices: Vec::new(),
            lists: Vec::new(),
            rates: Vec::new(),
        };
        Ok((workload, report))
    }
}
