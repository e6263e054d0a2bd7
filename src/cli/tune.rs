//! `wgmf tune`.

use super::output::{print_json, stdout, to_stdout};
use super::progress::Steps;
use super::words::{counted, there_are_only};
use super::{Cli, backend, interrupt, train};
use clap::CommandFactory;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wgmf::core::{Options, figure};
use wgmf::data::{DataOptions, prepare};
use wgmf::evaluate::Relevance;
use wgmf::tune::{Dimension, Metric, Trial, Tune, Tuned};
use wgmf::{Error, Result};

/// Find settings by trying, on a part of the ratings that is held out
///
/// The first trial is what train would take by itself; the others start from a quasi-random sequence over
/// what is searched. All train for a ninth of their epochs, the best third goes on to a third of them, and
/// the best third of those to the end (successive halving, Li et al. 2018), where they are trained on other
/// parts of the ratings too (--folds). Prints the best trials, and the train command of the best one.
///
/// Trials are judged on a tenth of RATINGS that is held out, or by --holdout or --test. The best of many
/// figures on the same ratings is better than what the settings are worth: a file that no trial has seen says
/// that.
#[derive(clap::Args)]
#[command(after_long_help = SPACES)]
pub(super) struct Args {
    /// Files of ratings, read as one set; - is standard input
    #[arg(required = true)]
    ratings: Vec<PathBuf>,
    /// What is searched, once for each setting: NAME=A,B,C for choices, NAME=LOW..HIGH or
    /// NAME=LOW..HIGH:log for a range, by equal differences or ratios. Default: what usually matters
    /// for the solver (see below)
    #[arg(long, value_name = "NAME=VALUES", help_heading = "Search")]
    search: Vec<Dimension>,
    /// What trials are judged by: rmse, mae, log_loss, auc, ndcg@20, recall@20, and the other means of
    /// `wgmf evaluate --ranking`. Default: rmse (in the unit of training, so of transformed ratings),
    /// log_loss for --loss logistic, ndcg@20 for ials. By rmse and log_loss the best epoch of each trial is
    /// found, by the others the best of the times it is looked at
    #[arg(long, help_heading = "Search")]
    metric: Option<Metric>,
    /// The least rating that makes a held-out pair relevant, for metrics of lists. Default: as in wgmf
    /// evaluate --ranking
    #[arg(long, value_name = "RATING", help_heading = "Search")]
    relevant_from: Option<f32>,
    /// How many settings are tried, at most: fewer where there are fewer to choose from
    #[arg(long, value_name = "N", default_value_t = 40, help_heading = "Search")]
    trials: usize,
    /// On how many parts of the ratings those settings are judged that were trained to the end, 3 or more (1: on the
    /// one that is held out alone). Who wins is better than no settings by more than two standard errors of the
    /// difference on the parts behind the first, on each of which stands what is best on all others. Default: 4 where
    /// a part is held out by chance, of fewer than a million ratings, else 1; of losses made for ranking 1. Of rmse,
    /// log_loss, and lists of ials and such losses
    #[arg(long, value_name = "N", help_heading = "Search")]
    folds: Option<u32>,
    /// End after this many minutes, with the best so far; with --storage the same command goes on from there
    #[arg(long, value_name = "MINUTES", help_heading = "Search")]
    time_limit: Option<f64>,
    /// Directory to keep the search in: the same command goes on where it was stopped or killed, to the
    /// same end, and with more --trials where it had ended. At the end it has trials.csv
    #[arg(long, value_name = "DIR", help_heading = "Search")]
    storage: Option<PathBuf>,
    /// Forget what is in the storage
    #[arg(long, requires = "storage", help_heading = "Search")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten, next_help_heading = "Data")]
    data: DataOptions,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    backend: backend::Args,
}

const SPACES: &str = "\
What is searched by default, around what no settings would take; what is given (--factors 64) is not:
  sgd, adam, adagrad  factors 16 to 128; reg, learning-rate and learning-rate-bias from a third to three
                      times, damping from a fifth to five times, damping-bias a quarter to four times
  als                 factors 8 to 128; reg, damping and damping-bias as above
  ials                factors 32 to 256; reg from an eighth to eight times, unobserved-weight from a sixth
                      to six times; with --confidence hu alpha from a fortieth to forty times
  --loss softmax      factors 32 to 128; temperature from a half to twice, learning-rate from a third to
                      three times; of ccl negative-weight from a quarter to four times, of bpr and warp
                      reg from 3e-5 to 0.03
  bayes               factors 8 to 64, each trained to the end
Without --holdout or --test a tenth is held out. Who searches reg, reg-bias or reg-exponent but not
damping gets no damping, as with train.";

/// What of the command line is no business of `train`, beside what was searched.
const OWN: [&str; 14] = [
    "search",
    "metric",
    "trials",
    "time-limit",
    "folds",
    "storage",
    "force",
    "json",
    "holdout",
    "test",
    "epochs",
    "patience",
    "relevant-from",
    "leave-out-seen",
];

/// Part of the ratings that is held out where nothing else is said.
const HOLDOUT: f64 = 0.1;

/// Parts on which finalists are judged where nothing else is said, and ratings up to which that is so.
const FOLDS: u32 = 4;
const FEW: usize = 1_000_000;

/// How many of the best trials are shown.
const SHOWN: usize = 10;

/// Runs the subcommand.
pub(super) fn run(mut args: Args) -> Result<ExitCode> {
    args.options.check()?;
    if args.data.test.is_none() {
        args.data.holdout.get_or_insert(HOLDOUT);
    }
    args.data.check()?;
    // What is ranked for every user is held out of every user's ratings.
    args.data.holdout_per_user =
        args.options.is_implicit() || args.search.iter().any(Dimension::has_lists);
    if args.relevant_from.is_some_and(|least| !least.is_finite()) {
        return Err(Error::settings("--relevant-from has to be a finite number"));
    }
    if args.time_limit.is_some_and(|minutes| !(minutes > 0.0 && minutes < 1e6)) {
        return Err(Error::settings("--time-limit has to be a number of minutes above 0"));
    }
    let said: Vec<String> =
        super::words().iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (device, why) = args.backend.open()?;
    let prepared = prepare(&args.ratings, &args.data, args.options.seed, &Steps::new(false))?;
    let (users, items) = (prepared.users.len(), prepared.items.len());
    let settings = args.options.resolve_for(device.suits(), &prepared.train, users, items)?;
    train::say::data(&prepared, &settings);
    say!("device: {} ({why})", device.device().name);
    interrupt::ends_well();
    let began = Instant::now();
    let limit = args.time_limit.map(|minutes| Duration::from_secs_f64(60.0 * minutes));
    let in_time = || limit.is_none_or(|limit| began.elapsed() < limit);
    let goes_on = || interrupt::pressed().is_none() && in_time();
    let few = args.data.test.is_none() && prepared.train.len() < FEW;
    let mut tune = Tune::new(&prepared, &args.options, &device)
        .search(args.search.clone())
        .trials(args.trials)
        .listen(&hear)
        .while_true(&goes_on);
    tune = match args.folds {
        Some(folds) => tune.folds(folds),
        None => tune.usual_folds(if few { FOLDS } else { 1 }),
    };
    if let Some(metric) = &args.metric {
        tune = tune.metric(metric.clone());
    }
    if let Some(dir) = &args.storage {
        tune = tune.storage(dir, args.force);
    }
    if let Some(least) = args.relevant_from {
        tune = tune.relevance(Relevance::From(least));
    }
    let tuned = tune.run()?;
    if tuned.trials.len() < args.trials {
        say!("{} to try", there_are_only(tuned.trials.len(), "different setting"));
    }
    let command = command(&tuned, said.into_iter());
    if !tuned.complete {
        match &args.storage {
            Some(_) => say!("stopped; the same command goes on from here"),
            None => {
                say!(
                    "stopped; what follows is the best so far (--storage DIR lets a search go on)"
                );
            }
        }
    }
    if args.json {
        print_json(&serde_json::json!({
            "metric": tuned.metric.to_string(),
            "value": tuned.value(),
            "best": tuned.best,
            "complete": tuned.complete,
            "command": command,
            "space": tuned.space,
            "trials": tuned.trials,
        }))?;
    } else {
        to_stdout(show(&tuned, &command))?;
    }
    Ok(interrupt::pressed().map_or(ExitCode::SUCCESS, |signal| signal.exit_code().into()))
}

/// Says what a trial has reached.
fn hear(number: usize, trial: &Trial, [rung, of]: [usize; 2]) {
    let Some(last) = trial.last() else { return };
    let reached = match (last.value, &last.failed) {
        (Some(value), _) => figure(value, 5),
        (None, failed) => format!("failed ({})", failed.as_deref().unwrap_or("no figure")),
    };
    let epochs = counted(last.epochs, "epoch");
    say!("trial {number}, {rung} of {of}: {reached} after {epochs}; {}", values(trial));
}

fn values(trial: &Trial) -> String {
    if trial.values.is_empty() {
        return "no settings".to_owned();
    }
    let shown = trial
        .values
        .iter()
        .map(|(name, value)| format!("{} {}", name.replace('_', "-"), word(value)));
    shown.collect::<Vec<_>>().join(", ")
}

/// A value as the command line takes it.
fn word(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(word) => word.replace('_', "-"),
        value => value.to_string(),
    }
}

fn show(tuned: &Tuned, command: &str) -> io::Result<()> {
    let mut out = stdout();
    let names: Vec<&str> =
        tuned.space.dimensions.iter().map(|dimension| &*dimension.name).collect();
    let width = |name: &str| name.len().max(9);
    let parts = tuned.trials.iter().map(|trial| trial.folds.len()).max().unwrap_or(0);
    write!(out, "{:>5} {:>6} {:>10}", "trial", "epochs", tuned.metric.to_string())?;
    if parts > 0 {
        write!(out, " {:>10}", format!("of {} parts", parts + 1))?;
    }
    for name in &names {
        write!(out, "  {:>w$}", name.replace('_', "-"), w = width(name))?;
    }
    writeln!(out)?;
    let ranked = tuned.ranked();
    let mut shown: Vec<usize> = ranked.iter().copied().take(SHOWN).collect();
    // What the others are to be better than.
    if !shown.contains(&0) {
        shown.push(0);
    }
    for number in shown {
        let trial = &tuned.trials[number];
        let Some(last) = trial.best(&tuned.metric).or(trial.last()) else { continue };
        let value = last.value.map_or("failed".to_owned(), |value| figure(value, 5));
        write!(out, "{number:>5} {:>6} {value:>10}", last.best_epoch)?;
        if parts > 0 {
            let mean = trial.mean(&tuned.metric).filter(|_| trial.folds.len() == parts);
            write!(out, " {:>10}", mean.map_or(String::new(), |mean| figure(mean, 5)))?;
        }
        if trial.values.is_empty() {
            write!(out, "  (no settings)")?;
        }
        for name in &names {
            if let Some(value) = trial.values.get(*name) {
                write!(out, "  {:>w$}", word(value), w = width(name))?;
            }
        }
        writeln!(out)?;
    }
    if tuned.best == 0 && !tuned.trials[0].folds.is_empty() {
        say!(
            "none is better than no settings by more than two standard errors, on held-out parts that did not choose \
             it"
        );
    }
    writeln!(out, "\n{command}")?;
    out.flush()?;
    say!("chosen on these held-out ratings, so the figures flatter: measure the model on others");
    Ok(())
}

/// The command that trains on all ratings with the settings of the best trial: what was said to `tune`, but
/// for the search, and what was found.
fn command(tuned: &Tuned, said: impl Iterator<Item = String>) -> String {
    let whole = Cli::command();
    let tune = whole.find_subcommand("tune");
    let own_flags: Vec<&clap::Arg> =
        tune.iter().flat_map(|tune| tune.get_arguments()).chain(whole.get_arguments()).collect();
    let best = &tuned.trials[tuned.best];
    let is_dropped =
        |long: &str| OWN.contains(&long) || best.values.contains_key(&long.replace('-', "_"));
    // What was found comes first, so that nothing that stands behind `--` is taken for more.
    let mut text = "wgmf train".to_owned();
    for (name, value) in &best.values {
        let long = name.replace('_', "-");
        match value {
            serde_json::Value::Bool(true) => text += &format!(" --{long}"),
            serde_json::Value::Bool(false) => {}
            value => text += &format!(" --{long} {}", word(value)),
        }
    }
    if let Some(epochs) = tuned.options.epochs {
        text += &format!(" --epochs {epochs}");
    }
    let (mut said, mut is_named, mut only_names) = (said, false, false);
    while let Some(token) = said.next() {
        if token == "tune" && !is_named {
            is_named = true;
            continue;
        }
        only_names |= token == "--";
        let flag = token.strip_prefix("--").filter(|flag| !flag.is_empty() && !only_names);
        let (long, inline) = match flag.map(|flag| flag.split_once('=')) {
            Some(Some((long, _))) => (Some(long), true),
            Some(None) => (flag, false),
            None => (None, false),
        };
        let Some(long) = long else {
            let _ = write!(text, " {}", quoted(&token));
            continue;
        };
        let takes =
            |arg: &&&clap::Arg| arg.get_long() == Some(long) && arg.get_action().takes_values();
        let value = match !inline && own_flags.iter().any(|arg| takes(&arg)) {
            true => said.next(),
            false => None,
        };
        if !is_dropped(long) {
            let _ = write!(text, " {}", quoted(&token));
            if let Some(value) = value {
                let _ = write!(text, " {}", quoted(&value));
            }
        }
    }
    text
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
