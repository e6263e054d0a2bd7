//! `wgmf train`.

mod checkpoints;
mod finish;
pub(super) mod say;

use super::output::{check_apart, is_closed_pipe};
use super::progress::{Epochs, Progress, Steps};
use super::sampler::say_posterior;
use super::words::counted;
use super::{alike, backend, interrupt, report};
use checkpoints::Checkpoints;
use interrupt::Signal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wgmf::backend::Backend;
use wgmf::core::{Factors, Options, Ratings, Settings, Side};
use wgmf::data::{DataOptions, Order, Prepared, Reading, prepare};
use wgmf::files::{Output, Reserved, ensure_room, stop};
use wgmf::model::{Model, check_output, reserve, stopped_by};
use wgmf::train::{
    Checkpoint, Event, Input, Outcome, Stop, check_memory, check_memory_of_any, checkpoint_path,
    disk_need, train_with, warm_start,
};
use wgmf::{Error, Result};

/// Learn embeddings of users and items from ratings
///
/// Reads any table of user, item and rating (or plays, or minutes), trains biased matrix
/// factorization, and writes a model directory that evaluate, predict, export and info open.
#[derive(clap::Args)]
pub(super) struct Args {
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
    /// item_bias.npy in this directory; rows in order of first appearance in the file (with --order
    /// canonical by the bytes of the ids)
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    init: Option<PathBuf>,
    /// Start from another model: ids it knows keep their rows, new ones are folded in. The
    /// ratings are all of them, old and new
    #[arg(long, value_name = "MODEL", help_heading = "Run", conflicts_with = "init")]
    from: Option<PathBuf>,
    /// Write a checkpoint beside the model after every N epochs
    #[arg(long, value_name = "N", help_heading = "Run")]
    checkpoint_every: Option<usize>,
    /// Go on from the checkpoint beside the model, to the same bits as if never stopped. A model that a
    /// signal ended early is replaced
    #[arg(long, help_heading = "Run")]
    resume: bool,
    /// Go on also on another device or with another version of wgmf, where bits may differ
    #[arg(long, help_heading = "Run", requires = "resume")]
    resume_anyway: bool,
    /// Replace the model also by one of a run that SIGTERM or SIGHUP ended early
    #[arg(long, help_heading = "Run", requires = "force")]
    keep_early: bool,
    /// Show the model on a page of HTML too, as wgmf report does, with the held-out ratings if there are any
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    report: Option<PathBuf>,
    /// How progress is shown: a bar (plain lines where there is no terminal), one JSON event a
    /// line on standard output, or not at all. Held-out errors of single epochs take an id that is not in
    /// training for one without factors and bias; those at the end and of the model know typical ones
    #[arg(long, value_enum, default_value_t, help_heading = "Run")]
    progress: Progress,
}

/// Runs the subcommand.
pub(super) fn run(mut args: Args, given: &dyn Fn(&str) -> bool) -> Result<ExitCode> {
    args.check()?;
    // What is ranked for every user is held out of every user's ratings.
    args.data.holdout_per_user = args.options.is_implicit();
    // Rows of --init count ids, and batches that are not shuffled ratings, as the file has them.
    if args.init.is_some() || args.options.no_shuffle {
        args.data.order.get_or_insert(Order::Appearance);
    }
    let from = args.from.as_ref().map(Model::open).transpose()?;
    if let Some(model) = &from {
        args.options.factors.get_or_insert(model.factors.factors);
        args.read_alike(model.run.reading(), given);
    }
    if args.resume {
        let then = Checkpoint::written_with(&checkpoint_path(&args.model));
        let (settings, reading) = then.unzip();
        args.read_alike(reading.flatten(), given);
        args.take_turns_alike(settings);
    }
    let force = args.force || args.goes_on();
    // Nobody else writes here until the model is.
    let _reserved = args.reserve(force)?;
    let page = args.report.as_ref().map(|file| report::open(file, force)).transpose()?;
    let (mut backend, mut why) = args.backend.open()?;
    let talk = args.progress != Progress::None;
    args.check_any(&*backend)?;
    let prepared = prepare(&args.ratings, &args.data, args.options.seed, &Steps::muted(!talk))?;
    prepared.check_for(args.options.loss.unwrap_or_default())?;
    let (users, items) = (prepared.users.len(), prepared.items.len());
    let settings = args.options.resolve_for(backend.suits(), &prepared.train, users, items)?;
    if let Some(better) = backend.better_for(&settings) {
        (backend, why) = better;
    }
    let device = backend.device();
    if talk {
        say::plan(&prepared, &settings, &device, &why);
    }
    let memory = check_memory(&*backend, &settings, &prepared.sizes(), args.checkpoints())?;
    let room = disk_need(&settings, &prepared, args.checkpoints());
    let what = if args.checkpoints() { "the model with its checkpoints" } else { "the model" };
    ensure_room(&args.model, room, what)?;
    if talk {
        say::memory(&memory);
        say::solver(&args.options, &settings, prepared.train.len());
        // A part that was held out of the same file has the same columns.
        if let (Some(_), Some(values)) = (&args.data.test, &prepared.test_raw) {
            let range = [prepared.facts.min, prepared.facts.max];
            alike::say_outside(range, values, |_| String::new());
        }
    }

    let mut checkpoints = Checkpoints::new(&args, &settings, device);
    interrupt::ends_well();
    let clock = Instant::now();
    let outcome = args.train(&*backend, from.as_ref(), &prepared, &settings, &mut checkpoints);
    let outcome = outcome.map_err(|error| checkpoints.told(error))?;
    let seconds = clock.elapsed().as_secs_f64();
    let Some(outcome) = outcome else {
        say!("stopped before the first epoch; nothing was written");
        return Ok(interrupt::pressed().unwrap_or(Signal::Interrupt).exit_code().into());
    };

    let shown = page.as_ref().and_then(|_| prepared.held_out());
    // Another one, where the first failed.
    let device = backend.device();
    let mut finished = outcome.finish(prepared, &settings, device, seconds)?;
    let cut_short =
        finished.stop == Stop::Interrupted && finished.model.run.epochs < settings.epochs;
    let early = interrupt::pressed().filter(|_| cut_short);
    if finished.stop == Stop::Interrupted && !cut_short {
        // The signal came in the last epoch.
        finished.stop = Stop::Finished;
    }
    finished.model.run.stopped_by = early.map(|signal| signal.name().to_owned());
    interrupt::saving();
    // What was there is worth more than a part of its successor, unless the user saw to it, or it is a part
    // itself.
    let leave = early.is_some_and(|signal| signal != Signal::Interrupt)
        && !args.keep_early
        && !args.goes_on()
        && check_output(&args.model, false).is_err();
    if !leave {
        let samples = finished.samples.as_ref();
        finished.model.save_with(&args.model, &finished.seen, samples, force)?;
    }
    if let (Some(page), Some(file), false) = (page, &args.report, leave) {
        let trained = (&*args.model, &finished);
        report::of_trained(page, file, trained, shown.as_ref(), &*backend).map_err(|error| {
            let model = args.model.display();
            Error::data(format!("{error}; the model is saved in {model} all the same"))
        })?;
    }
    // A finished run needs its checkpoint no more; an interrupted one may go on from it.
    if finished.stop != Stop::Interrupted {
        checkpoints.remove();
    }
    if let Some(posterior) = finished.model.run.posterior.as_ref().filter(|_| talk) {
        say_posterior(posterior);
    }
    let end = finish::End {
        dir: &args.model,
        saved: !leave,
        early,
        checkpoint: checkpoints.written.then_some(&*checkpoints.dir),
    };
    match finish::print(&finished, &end, args.progress) {
        // A reader that went away is a normal end.
        Err(error) if is_closed_pipe(&error) => {}
        Err(error) if !leave => {
            let model = args.model.display();
            return Err(Error::data(format!(
                "{error}; the model is saved in {model} all the same"
            )));
        }
        printed => printed?,
    }
    Ok(early
        .filter(|&signal| signal != Signal::Interrupt)
        .map_or(ExitCode::SUCCESS, |signal| ExitCode::from(signal.exit_code())))
}

impl Args {
    fn check(&self) -> Result<()> {
        self.options.check()?;
        self.data.check()?;
        if let Some(page) = &self.report {
            check_apart(page, &self.model)?;
        }
        if self.progress == Progress::Json
            && self.report.as_ref().is_some_and(|file| Output::is_standard(file))
        {
            return Err(Error::settings(
                "--report - and --progress json would both write to standard output; name a file for the page",
            ));
        }
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

    /// Whether the settings could be had of any ratings at all.
    fn check_any(&self, backend: &dyn Backend) -> Result<()> {
        let one = Ratings {
            users: vec![0],
            items: vec![0],
            values: vec![1.0],
            timestamps: vec![],
            weights: vec![],
        };
        match self.options.resolve(&one, 1, 1) {
            Ok(settings) => check_memory_of_any(backend, &settings),
            // Of a single rating there may be no such settings.
            Err(_) => Ok(()),
        }
    }

    /// Reads as the run did that this one goes on from, where the command line says nothing else.
    fn read_alike(&mut self, reading: Option<Reading>, given: &dyn Fn(&str) -> bool) {
        if !given("duplicates") && reading.is_some() {
            self.data.duplicates = alike::trained(reading.as_ref());
        }
        self.data.read.like = reading.map(Box::new);
        alike::meant(&mut self.data.read, given);
    }

    /// Goes on in batches where that is what the run did, whatever no settings would take now: versions
    /// up to 0.1.0 trained sgd, and large sets by adam, in batches.
    fn take_turns_alike(&mut self, then: Option<Settings>) {
        let Some(then) = then else { return };
        let options = &mut self.options;
        if then.batch_size > 0 && options.solver.is_none_or(|solver| solver == then.solver) {
            options.solver = Some(then.solver);
            options.batch_size.get_or_insert(then.batch_size);
        }
    }

    /// Whether checkpoints are written or read.
    fn checkpoints(&self) -> bool {
        self.checkpoint_every.is_some() || self.resume
    }

    /// Whether a model that is there is a part of what this run goes on with.
    fn goes_on(&self) -> bool {
        self.resume && stopped_by(&self.model).is_some()
    }

    /// Sees to it, before any work, that what is to be written can be, and by nobody else.
    fn reserve(&self, force: bool) -> Result<Reserved> {
        let reserved = reserve(&self.model, force)?;
        let dir = checkpoint_path(&self.model);
        match self.checkpoints() {
            true => {
                Checkpoint::check_output(&dir, self.force || self.resume)?;
                if self.resume {
                    // Before any ratings are read.
                    Checkpoint::origin(&dir)?;
                }
            }
            false => Checkpoint::tidy(&dir),
        }
        Ok(reserved)
    }

    /// Trains, from wherever the flags say, and shows the epochs. Nothing, if a signal came before the
    /// first.
    fn train(
        &self,
        backend: &dyn Backend,
        from: Option<&Model>,
        prepared: &Prepared,
        settings: &Settings,
        checkpoints: &mut Checkpoints,
    ) -> Result<Option<Outcome>> {
        let Prepared { users, items, train: ratings, test, .. } = prepared;
        let input = Input {
            users,
            items,
            ratings,
            test: test.as_ref(),
            init: match from {
                Some(model) => Some(start_from(backend, model, prepared, settings)?),
                None => self.read_init(prepared, settings)?,
            },
            resume: match self.resume {
                true => Some(checkpoints.open(prepared, self.resume_anyway)?),
                false => None,
            },
            checkpoint_every: self.checkpoint_every,
            clock: wgmf::train::seconds,
        };
        if backend.failed().is_some() {
            checkpoints.moved(backend.device());
        }
        let mut epochs = Epochs::new(self.progress, settings, prepared);
        let (mut begun, mut none_yet) = (false, false);
        let wanted = interrupt::terminated;
        let outcome = train_with(backend, input, settings, &wanted, &mut |event| {
            // A second signal: there is no time for an end of the usual kind.
            stop::check().map_err(|e| Error::data(e.to_string()))?;
            if let Event::Checkpoint(checkpoint) = &event {
                checkpoints.write(checkpoint, prepared)?;
            }
            if let Event::Fallback(_) = &event {
                checkpoints.moved(backend.device());
            }
            begun |= matches!(event, Event::Epoch(_));
            epochs.hear(&event)?;
            let ends = match (&event, interrupt::pressed()) {
                (_, None) => false,
                (Event::Ready { .. }, Some(_)) => {
                    none_yet = !begun;
                    true
                }
                (_, Some(Signal::Interrupt)) => true,
                // The epoch is brought to its end, and the checkpoint is written.
                (event, Some(_)) => matches!(event, Event::Checkpoint(_)),
            };
            Ok(if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        epochs.finish();
        outcome.map(|outcome| (!none_yet).then_some(outcome))
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
            init[Side::User].bias.fill(0.0);
            init[Side::Item].bias.fill(0.0);
        }
        Ok(Some(init))
    }
}

/// Where training goes on from `model`, and how much of it is known there.
fn start_from(
    backend: &dyn Backend,
    model: &Model,
    prepared: &Prepared,
    settings: &Settings,
) -> Result<Factors> {
    prepared.check_start(&model.objective.transform)?;
    let (users, items) = (&prepared.users, &prepared.items);
    let (start, known) = warm_start(backend, model, (users, items), &prepared.train, settings)?;
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
