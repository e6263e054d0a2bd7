//! `wgmf train`.

use super::backend::GPU_BATCH;
use super::output::{print_json, stdout, to_stdout};
use super::progress::{Epochs, Progress, Steps};
use super::sampler::{say_posterior, worst};
use super::{backend, info::counted, interrupt};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wgmf::backend::Backend;
use wgmf::cpu::Cpu;
use wgmf::data::{DataOptions, Prepared, Ratings, Side, Transform, prepare};
use wgmf::evaluate::{RatingMetrics, averaged_metrics, rating_metrics};
use wgmf::model::{
    Factors, Model, RunRecord, Samples, Seen, check_output, checkpoint_path, fingerprint,
};
use wgmf::train::{
    self, Checkpoint, Event, HELD_OUT_AT, Input, Loss, Options, Outcome, SamplePrecision, Settings,
    Solver, Stop, best_epoch, train,
};
use wgmf::{Error, Result};

/// Learn embeddings of users and items from ratings
///
/// Reads any table of user, item and rating (or plays, or minutes), trains biased matrix
/// factorization, and writes a model directory that evaluate, predict, export and info open.
#[derive(clap::Args)]
pub struct Args {
    /// Files of ratings, read as one set; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// Directory to write the model to
    #[arg(long, value_name = "DIR", default_value = "wgmf-model")]
    model: PathBuf,
    /// Replace an existing model
    #[arg(long)]
    force: bool,
    #[command(flatten, next_help_heading = "Data")]
    data: DataOptions,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    backend: backend::Args,
    /// Start from user_factors.npy, item_factors.npy and, if they are there, user_bias.npy and
    /// item_bias.npy in this directory; rows in order of first appearance
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    init: Option<PathBuf>,
    /// Start from another model: ids it knows keep their rows, new ones are folded in. The
    /// ratings are all of them, old and new
    #[arg(long, value_name = "MODEL", help_heading = "Run", conflicts_with = "init")]
    from: Option<PathBuf>,
    /// Write a checkpoint beside the model after every N epochs
    #[arg(long, value_name = "N", help_heading = "Run")]
    checkpoint_every: Option<usize>,
    /// Go on from the checkpoint beside the model, to the same bits as if never stopped
    #[arg(long, help_heading = "Run")]
    resume: bool,
    /// How progress is shown: a bar (plain lines where there is no terminal), one JSON event a
    /// line on standard output, or not at all
    #[arg(long, value_enum, default_value_t, help_heading = "Run")]
    progress: Progress,
}

/// Runs the subcommand.
pub fn run(mut args: Args) -> Result<()> {
    args.check()?;
    // What is ranked for every user is held out of every user's ratings.
    args.data.holdout_per_user = args.options.solver == Some(Solver::Ials);
    let from = match &args.from {
        Some(dir) => Some(Model::open(dir)?),
        None => None,
    };
    if let Some(model) = &from {
        args.options.factors.get_or_insert(model.factors.factors);
    }
    check_output(&args.model, args.force)?;
    let checkpoint_dir = checkpoint_path(&args.model);
    let checkpoints = args.checkpoint_every.is_some() || args.resume;
    if checkpoints {
        Checkpoint::check_output(&checkpoint_dir, args.force || args.resume)?;
    }
    interrupt::ends_well();
    let seed = args.options.seed;
    let (mut backend, mut why) = args.backend.open()?;
    let talk = args.progress != Progress::None;
    let prepared = prepare(&args.ratings, &args.data, seed, &Steps::new(!talk))?;
    let (users, items) = (prepared.users.len(), prepared.items.len());
    let settings = args.options.resolve(&prepared.train, users, items)?;
    let small = (1..GPU_BATCH).contains(&settings.batch_size);
    if small && args.backend.is_free() && backend.device().backend == "gpu" {
        backend = Box::new(Cpu::new());
        why = format!("batches of {} keep a GPU waiting", settings.batch_size);
    }
    let device = backend.device();
    let fingerprint = match checkpoints {
        true => fingerprint(users, items, &prepared.train, prepared.test.as_ref()),
        false => String::new(),
    };
    if talk {
        say_data(&prepared, settings.solver);
        say_settings(&settings);
        if settings.solver == Solver::Bayes {
            say_samples(&settings, users, items);
        }
        say!("device: {} ({why})", device.name);
        if device.backend == "gpu" && small {
            say!(
                "note: batches of {} keep a GPU waiting; --backend cpu is likely faster here, or \
                 --solver adam --batch-size 65536 on larger data",
                settings.batch_size
            );
        }
    }
    if interrupt::pressed() {
        return Err(Error::data("stopped before the first epoch; nothing was written"));
    }

    let clock = Instant::now();
    let input = Input {
        users: &prepared.users,
        items: &prepared.items,
        ratings: &prepared.train,
        test: prepared.test.as_ref(),
        init: match &from {
            Some(model) => Some(warm_start(&*backend, model, &prepared, &settings)?),
            None => args.read_init(&prepared, &settings)?,
        },
        resume: match args.resume {
            true => Some(Checkpoint::open(&checkpoint_dir, &settings, &fingerprint)?),
            false => None,
        },
        checkpoint_every: args.checkpoint_every,
    };
    let mut epochs = Epochs::new(args.progress, &settings, &prepared);
    let outcome = train(&*backend, input, &settings, &mut |event| {
        if let Event::Checkpoint(checkpoint) = &event {
            checkpoint.save(&checkpoint_dir, &settings, &fingerprint)?;
        }
        epochs.hear(&event)?;
        Ok(match interrupt::pressed() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    });
    epochs.finish();
    let mut outcome = outcome?;
    let seconds = clock.elapsed().as_secs_f64();

    let run = RunRecord {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
        solver: settings.solver.name().to_owned(),
        settings: to_value(&settings)?,
        data: to_value(&prepared.facts)?,
        backend: device.backend.to_owned(),
        device: device.name.clone(),
        epochs: outcome.history.len(),
        // Without patience the last factors are kept, however good an earlier epoch was.
        best_epoch: settings
            .patience
            .filter(|_| settings.solver != Solver::Bayes)
            .and(best_epoch(&outcome.history)),
        posterior: outcome.posterior.take(),
        seconds,
        ratings_per_second: Some(outcome.ratings_per_second),
        history: outcome.history.clone(),
    };
    let mut model = Model {
        user_ratings: prepared.train.counts(Side::User, users),
        item_ratings: prepared.train.counts(Side::Item, items),
        factors: std::mem::take(&mut outcome.factors),
        users: prepared.users,
        items: prepared.items,
        transform: prepared.transform,
        loss: settings.loss,
        run,
    };
    let metrics = match (prepared.test, prepared.test_raw) {
        // What ials predicts is no rating.
        _ if settings.solver == Solver::Ials => None,
        (Some(test), Some(values)) => {
            let test = Ratings { values, ..test };
            Some(match (&outcome.held_out, &outcome.samples) {
                (Some(averages), Some(samples)) => {
                    averaged_metrics(&model, samples, &test, averages)?
                }
                _ => rating_metrics(&model, &test)?,
            })
        }
        _ => None,
    };
    if let (Some(record), Some(metrics)) = (&mut model.run.posterior, &metrics) {
        record.held_out = to_value(metrics)?;
    }
    interrupt::saving();
    let seen = Seen::new(&prepared.train, users, items)?;
    model.save_with(&args.model, &seen, outcome.samples.as_ref(), args.force)?;
    // A finished run needs its checkpoint no more; an interrupted one may go on from it.
    if checkpoints && outcome.stop != Stop::Interrupted {
        Checkpoint::remove(&checkpoint_dir)?;
    }
    if let Some(posterior) = model.run.posterior.as_ref().filter(|_| talk) {
        say_posterior(posterior);
    }
    match args.progress {
        Progress::Json => print_done(&model, &outcome, metrics.as_ref(), &args.model),
        _ => to_stdout(show(&model, &outcome, metrics.as_ref(), &args.model)),
    }
}

impl Args {
    fn check(&self) -> Result<()> {
        self.options.check()?;
        self.data.check()?;
        if self.checkpoint_every == Some(0) {
            return Err(Error::settings("--checkpoint-every 0: must be 1 or more"));
        }
        if self.options.patience.is_some()
            && self.data.test.is_none()
            && self.data.holdout.is_none()
        {
            return Err(Error::settings(
                "--patience needs held-out ratings to look at; add --holdout 0.1 or --test FILE",
            ));
        }
        for (flag, given) in [("init", self.init.is_some()), ("from", self.from.is_some())] {
            if self.resume && given {
                return Err(Error::settings(format!(
                    "--resume goes on from a checkpoint; leave out --{flag}"
                )));
            }
        }
        Ok(())
    }

    fn read_init(&self, prepared: &Prepared, settings: &Settings) -> Result<Option<Factors>> {
        let Some(dir) = &self.init else { return Ok(None) };
        let mut init = Factors::read_npy(dir, prepared.users.len(), prepared.items.len())?;
        if init.factors != settings.factors {
            return Err(Error::settings(format!(
                "--init {} has {} factors, the settings ask for {}; give --factors {}",
                dir.display(),
                init.factors,
                settings.factors,
                init.factors
            )));
        }
        if !settings.bias {
            init.user_bias.fill(0.0);
            init.item_bias.fill(0.0);
        }
        Ok(Some(init))
    }
}

fn to_value(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| Error::data(format!("run.json: {e}")))
}

/// Where training goes on from `model`, and how much of it is known there.
fn warm_start(
    backend: &dyn Backend,
    model: &Model,
    prepared: &Prepared,
    settings: &Settings,
) -> Result<Factors> {
    let kinds = |transform: &Transform| {
        transform.steps.iter().map(std::mem::discriminant).collect::<Vec<_>>()
    };
    if kinds(&model.transform) != kinds(&prepared.transform) {
        return Err(Error::settings(format!(
            "--from: that model's ratings went through the transform {}, these through {}; give the \
             same --transform",
            model.transform.describe(),
            prepared.transform.describe()
        )));
    }
    let (users, items) = (&prepared.users, &prepared.items);
    let (start, known) =
        train::warm_start(backend, model, (users, items), &prepared.train, settings)?;
    say!(
        "start: {} of {} users and {} of {} items as in the other model, the others folded in",
        known.users,
        users.len(),
        known.items,
        items.len()
    );
    let lost = (model.users.len() - known.users, model.items.len() - known.items);
    if lost != (0, 0) {
        say!(
            "note: {} and {} of the other model have no training ratings here and are left out; give \
             all ratings, old and new (wgmf fold-in adds new ones to a model as it is)",
            counted(lost.0, "user"),
            counted(lost.1, "item")
        );
    }
    Ok(start)
}

fn say_data(prepared: &Prepared, solver: Solver) {
    for line in &prepared.recognised {
        say!("{line}");
    }
    let facts = &prepared.facts;
    let mut line = format!(
        "{} ratings of {} items by {} users for training",
        facts.ratings, facts.items, facts.users
    );
    if facts.test_ratings > 0 {
        line += &format!(", {} held out", facts.test_ratings);
    }
    for (count, what) in [
        (facts.duplicates_merged, "duplicates merged"),
        (facts.dropped_by_filters, "dropped by filters"),
    ] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    say!("{line}");
    let (users, items) = (prepared.test_unknown_users, prepared.test_unknown_items);
    if users + items > 0 {
        let then = match solver {
            Solver::Ials => "left out",
            Solver::Bayes => "scored as those without ratings",
            _ => "scored by the means that are known",
        };
        say!(
            "held-out ratings of users not in training: {users}, of items: {items}; they are {then}"
        );
    }
    if !prepared.transform.is_identity() {
        say!("transform: {}", prepared.transform.describe());
    } else if solver == Solver::Ials {
        // Ratings are not what is predicted.
    } else if facts.min == facts.max {
        say!(
            "note: all ratings are {}, so that is all there is to predict; data that hold only what \
             users chose need --solver ials",
            facts.min
        );
    } else if facts.min >= 0.0 && facts.max > HEAVY * facts.mean {
        say!(
            "note: the largest rating is {:.0} times the mean, so a few ratings decide the squared \
             error; --transform log1p usually tells more",
            facts.max / facts.mean
        );
    }
}

/// The largest rating over the mean from which values count as heavy-tailed.
const HEAVY: f64 = 50.0;

/// How many samples the model will hold, and how large that is.
fn say_samples(settings: &Settings, users: usize, items: usize) {
    let kept = settings.kept_by(settings.epochs) * settings.chains;
    let all = settings.samples * settings.chains;
    let precision = settings.sample_precision.unwrap_or_default();
    let bytes = Samples::file_bytes(kept, (users, items), settings.factors, precision);
    let precision = match precision {
        SamplePrecision::F16 => "f16",
        SamplePrecision::F32 => "f32",
    };
    say!("samples: {kept} of {all} kept, {:.1} MB in {precision}", bytes as f64 / 1e6);
}

fn say_settings(settings: &Settings) {
    let bayes = settings.solver == Solver::Bayes;
    let mut line = format!("{}: {} factors", settings.solver.name(), settings.factors);
    if bayes {
        let Settings { samples, burn_in, chains, .. } = settings;
        line += &format!(", {samples} sweeps after {burn_in} of burn-in, {chains} chain");
        line += if *chains == 1 { "" } else { "s" };
    } else {
        line += &format!(", {} epochs", settings.epochs);
    }
    if settings.solver.optimizer().is_some() {
        let (batch, rate) = (settings.batch_size, settings.learning_rate);
        line += &format!(", batch {batch}, learning rate {rate}");
    } else if settings.nonnegative {
        line += ", nonnegative";
    } else {
        line += &format!(", block {}", settings.block);
        line += if settings.block == settings.factors { " (exact)" } else { "" };
    }
    let gradient = settings.solver.optimizer().is_some();
    if gradient && settings.bias && settings.learning_rate_bias != settings.learning_rate {
        line += &format!(" (biases {})", settings.learning_rate_bias);
    }
    if gradient && settings.learning_rate_decay < 1.0 {
        line += &format!(" × {} an epoch", settings.learning_rate_decay);
    }
    if settings.momentum > 0.0 {
        line += &format!(", momentum {}", settings.momentum);
    }
    if !bayes {
        line += &format!(", reg {}", settings.reg);
    }
    if settings.bias && !bayes {
        line += &format!(", reg-bias {}", settings.reg_bias);
    }
    if settings.reg_exponent != 1.0 && !bayes {
        line += &format!(", reg-exponent {}", settings.reg_exponent);
    }
    if settings.solver == Solver::Ials {
        line += &format!(", unobserved weight {}", settings.unobserved_weight);
    }
    if let Some(alpha) = settings.alpha {
        line += &format!(", alpha {alpha}");
    }
    line += &format!(", seed {}", settings.seed);
    say!("{line}");
}

/// The held-out errors and where the model is.
fn show(
    model: &Model,
    outcome: &Outcome,
    metrics: Option<&RatingMetrics>,
    dir: &Path,
) -> std::io::Result<()> {
    let mut out = stdout();
    let (epoch, epochs) = (outcome.epoch, outcome.history.len());
    let posterior = model.run.posterior.as_ref();
    match outcome.stop {
        Stop::Finished if posterior.is_some() => {
            writeln!(out, "{} done", counted(epochs, "sweep"))?
        }
        Stop::Patience if posterior.is_some() => {
            let best = best_epoch(&outcome.history).unwrap_or(epoch);
            writeln!(
                out,
                "stopped after sweep {epochs}: the average predicts held-out ratings no better \
                 since sweep {best}"
            )?;
        }
        Stop::Interrupted if posterior.is_some() => {
            let sweeps = counted(epochs, "complete sweep");
            writeln!(out, "stopped by Ctrl-C after {sweeps}")?;
        }
        Stop::Finished => writeln!(out, "{} done", counted(epochs, "epoch"))?,
        Stop::Patience => {
            writeln!(out, "stopped after epoch {epochs}: no better held-out figure since {epoch}")?;
        }
        Stop::Interrupted => {
            let at = format!("stopped by Ctrl-C after {epochs} complete epochs");
            match model.run.settings["patience"].is_null() || epoch == 0 {
                true => writeln!(out, "{at}; the model is as it was at that moment")?,
                false => writeln!(out, "{at}; the model is that of epoch {epoch}, the best")?,
            }
        }
    }
    if let Some(metrics) = metrics {
        let which = match outcome.epoch {
            0 => String::new(),
            epoch => match posterior.map(|posterior| posterior.sweeps * posterior.chains) {
                None => format!(" (epoch {epoch})"),
                Some(0) => String::new(),
                Some(count) => format!(" (average of {count} samples)"),
            },
        };
        if let Some(log_loss) = metrics.log_loss {
            write!(out, "held-out log loss {log_loss:.4}")?;
            if let Some(auc) = metrics.auc {
                write!(out, ", AUC {auc:.4}")?;
            }
        } else {
            write!(out, "held-out RMSE {:.4}, MAE {:.4}", metrics.rmse, metrics.mae)?;
            if let Some(rmse) = metrics.model_rmse {
                write!(out, "; of transformed ratings RMSE {rmse:.4}")?;
            }
        }
        if let Some(ratio) = metrics.relative_squared_error {
            // The ratio is in the unit of training: beside the error of that unit it says so.
            let joint = if metrics.model_rmse.is_some() { " and" } else { ";" };
            write!(out, "{joint} squared error {:.1} % of the mean's", 100.0 * ratio)?;
        }
        writeln!(out, "{which}")?;
    }
    let kept = outcome.epoch.checked_sub(1).and_then(|at| outcome.history.get(at));
    if let Some((recall, ndcg)) = kept.and_then(|kept| kept.recall.zip(kept.ndcg)) {
        let at = HELD_OUT_AT;
        writeln!(out, "held-out recall@{at} {recall:.4}, NDCG@{at} {ndcg:.4} (epoch {epoch})")?;
    }
    writeln!(out, "model: {}", dir.display())?;
    out.flush()
}

/// The last event of `--progress json`.
fn print_done(
    model: &Model,
    outcome: &Outcome,
    metrics: Option<&RatingMetrics>,
    dir: &Path,
) -> Result<()> {
    let run = &model.run;
    let mut done = serde_json::Map::new();
    let mut put = |key: &str, value: serde_json::Value| {
        if !value.is_null() {
            done.insert(key.to_owned(), value);
        }
    };
    let finite = |x: f64| serde_json::json!(x.is_finite().then_some(x));
    put("event", "done".into());
    put("epochs", run.epochs.into());
    put("best_epoch", serde_json::json!(best_epoch(&outcome.history)));
    put("epoch", outcome.epoch.into());
    if let Some(posterior) = &run.posterior {
        put("samples", (posterior.sweeps * posterior.chains).into());
        put("samples_kept", posterior.kept.into());
        let (r_hat, effective) = worst(posterior.quantities());
        put("r_hat", serde_json::json!(r_hat));
        put("effective_samples", serde_json::json!(effective));
    }
    let kept = outcome.epoch.checked_sub(1).and_then(|at| outcome.history.get(at));
    let train_error = kept.and_then(|record| record.train_error);
    match model.loss {
        Loss::Squared => {
            // Of log1p and the like only the error of transformed ratings is known here.
            let scale = model.transform.scale();
            let own = train_error.zip(scale).map(|(e, scale)| e.sqrt() * scale);
            put("train_rmse", serde_json::json!(own));
            if !model.transform.is_identity() {
                put("model_train_rmse", serde_json::json!(train_error.map(f64::sqrt)));
            }
        }
        Loss::Logistic => put("train_log_loss", serde_json::json!(train_error)),
    }
    if let Some(metrics) = metrics {
        put("test_rmse", finite(metrics.rmse));
        put("test_mae", finite(metrics.mae));
        put("test_r2", serde_json::json!(metrics.r2));
        put("test_relative_squared_error", serde_json::json!(metrics.relative_squared_error));
        put("model_test_rmse", serde_json::json!(metrics.model_rmse));
        put("test_log_loss", serde_json::json!(metrics.log_loss));
        put("test_auc", serde_json::json!(metrics.auc));
    }
    put("objective", serde_json::json!(kept.and_then(|kept| kept.objective)));
    put("test_recall@20", serde_json::json!(kept.and_then(|kept| kept.recall)));
    put("test_ndcg@20", serde_json::json!(kept.and_then(|kept| kept.ndcg)));
    put("seconds", finite(run.seconds));
    put("ratings_per_second", serde_json::json!(run.ratings_per_second));
    put("backend", run.backend.clone().into());
    put("device", run.device.clone().into());
    let stop = match outcome.stop {
        Stop::Finished => "finished",
        Stop::Patience => "patience",
        Stop::Interrupted => "interrupted",
    };
    put("stop", stop.into());
    put("model", dir.display().to_string().into());
    print_json(&done)
}
