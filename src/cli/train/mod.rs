//! `wgmf train`.

mod finish;
mod say;

use super::progress::{Epochs, Progress, Steps};
use super::sampler::say_posterior;
use super::words::counted;
use super::{backend, interrupt};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use wgmf::backend::Backend;
use wgmf::core::{Factors, Options, Settings, Side, Solver};
use wgmf::data::{DataOptions, Prepared, prepare};
use wgmf::model::{Model, check_output};
use wgmf::train::{
    Checkpoint, Event, Input, Outcome, Stop, checkpoint_path, fingerprint, train, warm_start,
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
pub(super) fn run(mut args: Args) -> Result<ExitCode> {
    args.check()?;
    // What is ranked for every user is held out of every user's ratings.
    args.data.holdout_per_user = args.options.solver == Some(Solver::Ials);
    let from = args.from.as_ref().map(Model::open).transpose()?;
    if let Some(model) = &from {
        args.options.factors.get_or_insert(model.factors.factors);
    }
    args.check_outputs()?;
    interrupt::ends_well();
    let (mut backend, mut why) = args.backend.open()?;
    let talk = args.progress != Progress::None;
    let prepared = prepare(&args.ratings, &args.data, args.options.seed, &Steps::new(!talk))?;
    let (users, items) = (prepared.users.len(), prepared.items.len());
    let settings = args.options.resolve(&prepared.train, users, items)?;
    if let Some(better) = backend.better_for(&settings) {
        (backend, why) = better;
    }
    let device = backend.device();
    if talk {
        say::plan(&prepared, &settings, &device, &why);
    }
    if interrupt::pressed().is_some() {
        return Err(Error::data("stopped before the first epoch; nothing was written"));
    }

    let clock = Instant::now();
    let outcome = args.train(&*backend, from.as_ref(), &prepared, &settings)?;
    let seconds = clock.elapsed().as_secs_f64();

    let finished = outcome.finish(prepared, &settings, device, seconds)?;
    interrupt::saving();
    let samples = finished.samples.as_ref();
    finished.model.save_with(&args.model, &finished.seen, samples, args.force)?;
    // A finished run needs its checkpoint no more; an interrupted one may go on from it.
    if args.checkpoints() && finished.stop != Stop::Interrupted {
        Checkpoint::remove(&checkpoint_path(&args.model))?;
    }
    if let Some(posterior) = finished.model.run.posterior.as_ref().filter(|_| talk) {
        say_posterior(posterior);
    }
    finish::print(&finished, &args.model, args.progress)?;
    Ok(ExitCode::SUCCESS)
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

    /// Whether checkpoints are written or read.
    fn checkpoints(&self) -> bool {
        self.checkpoint_every.is_some() || self.resume
    }

    /// Whether what is to be written can be, before any work.
    fn check_outputs(&self) -> Result<()> {
        check_output(&self.model, self.force)?;
        if self.checkpoints() {
            let dir = checkpoint_path(&self.model);
            Checkpoint::check_output(&dir, self.force || self.resume)?;
        }
        Ok(())
    }

    /// Trains, from wherever the flags say, and shows the epochs.
    fn train(
        &self,
        backend: &dyn Backend,
        from: Option<&Model>,
        prepared: &Prepared,
        settings: &Settings,
    ) -> Result<Outcome> {
        let Prepared { users, items, train: ratings, test, .. } = prepared;
        let checkpoints = checkpoint_path(&self.model);
        let fingerprint = match self.checkpoints() {
            true => fingerprint(users.len(), items.len(), ratings, test.as_ref()),
            false => String::new(),
        };
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
                true => Some(Checkpoint::open(&checkpoints, settings, &fingerprint)?),
                false => None,
            },
            checkpoint_every: self.checkpoint_every,
            clock: wgmf::train::seconds,
        };
        let mut epochs = Epochs::new(self.progress, settings, prepared);
        let outcome = train(backend, input, settings, &mut |event| {
            if let Event::Checkpoint(checkpoint) = &event {
                checkpoint.save(&checkpoints, settings, &fingerprint)?;
            }
            epochs.hear(&event)?;
            Ok(match interrupt::pressed().is_some() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        });
        epochs.finish();
        outcome
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
