//! `wgmf info`.

use super::inspect;
use super::output::{print_json, stdout, to_stdout};
use super::sampler::sampler_lines;
use super::words::{counted, thousands};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use wgmf::Result;
use wgmf::core::{self, Loss, Side};
use wgmf::model::{EpochRecord, Model};
use wgmf::report;

/// Show what a model is and how it came to be
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model directory that wgmf train wrote
    model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The most epochs a table shows.
const ROWS: usize = 12;

/// Runs the subcommand.
pub(super) fn run(args: Args) -> Result<()> {
    let model = Model::open(&args.model)?;
    if args.json { print_json(&facts(&args, &model)?) } else { to_stdout(show(&args, &model)) }
}

/// The record of the run as it is in `run.json`, with sizes and the errors of the factors kept.
fn facts(args: &Args, model: &Model) -> Result<Value> {
    let failed = |e: serde_json::Error| wgmf::Error::data(format!("info: {e}"));
    let f = &model.factors;
    let mut facts = Map::new();
    let mut put = |key: &str, value: Value| facts.insert(key.to_owned(), value);
    put("model", json!(args.model.display().to_string()));
    put("users", json!(f.users()));
    put("items", json!(f.items()));
    put("factors", json!(f.factors));
    put("ratings", json!(ratings(model)));
    put("global_mean", json!(f.global_mean));
    put("biases", json!(has_biases(model)));
    put("solver", json!(model.objective.solver));
    put("loss", serde_json::to_value(model.objective.loss).map_err(failed)?);
    put("likelihood", serde_json::to_value(model.objective.likelihood).map_err(failed)?);
    put("transform", serde_json::to_value(&model.objective.transform).map_err(failed)?);
    if let Some(kept) = kept(model) {
        for (side, error) in [("train", kept.train_error), ("test", kept.test_error)] {
            if let Some(error) = error {
                put(&format!("{side}_{}", figure_key(model)), json!(figure(model, error)));
            }
        }
    }
    if let Value::Object(run) = serde_json::to_value(&model.run).map_err(failed)? {
        facts.extend(run);
    }
    Ok(Value::Object(facts))
}

fn show(args: &Args, model: &Model) -> io::Result<()> {
    let (f, run) = (&model.factors, &model.run);
    let mut out = stdout();
    let mut line = |name: &str, text: String| writeln!(out, "{name:<12}{text}");
    line("model", args.model.display().to_string())?;
    line("users", thousands(f.users() as u64))?;
    line("items", thousands(f.items() as u64))?;
    line("ratings", thousands(ratings(model)))?;
    let biases = if has_biases(model) { "with biases" } else { "without biases" };
    line("factors", format!("{}, {biases}, mean {}", f.factors, f.global_mean))?;
    let fits = match model.is_bayesian() {
        true => format!("{} likelihood", model.objective.likelihood.name()),
        false => format!("{} loss", model.objective.loss.name()),
    };
    line("solver", format!("{}, {fits}, seed {}", model.objective.solver.name(), run.seed))?;
    line("transform", model.objective.transform.describe())?;
    line("device", format!("{} ({})", run.device, run.backend))?;
    if let Some(failed) = &run.fallback {
        let name = if run.posterior.is_some() { "sweep" } else { "epoch" };
        let until = counted(failed.epochs, name);
        line("fallback", format!("{} failed; {until} were made there", failed.device))?;
    }
    if let Some(signal) = &run.stopped_by {
        line("stopped", format!("by {signal}, before the run was through"))?;
    }
    if let Some(posterior) = &run.posterior {
        for (name, text) in sampler_lines(model, posterior) {
            line(name, text)?;
        }
    }
    let best = run.best_epoch.map_or(String::new(), |best| format!(", best {best}"));
    let rate = run.ratings_per_second;
    let rate = rate.map_or(String::new(), |r| format!(", {} ratings/s", thousands(r as u64)));
    let name = if run.posterior.is_some() { "sweeps" } else { "epochs" };
    line(name, format!("{}{best}, {:.3} s{rate}", run.epochs, run.seconds))?;
    line("version", run.version.clone())?;
    for (name, lines) in [("settings", settings(&run.settings)), ("data", data(model))] {
        for (at, text) in lines.into_iter().enumerate() {
            line(if at == 0 { name } else { "" }, text)?;
        }
    }
    if !run.history.is_empty() {
        write_history(&mut out, model)?;
    }
    out.flush()
}

fn write_history(out: &mut impl Write, model: &Model) -> io::Result<()> {
    let history = &model.run.history;
    let name = match model.objective.loss {
        Loss::Squared => "RMSE",
        Loss::Logistic => "log loss",
        _ => "loss",
    };
    let error = |error: Option<f64>| error.map(|error| figure(model, error));
    // Columns that some epoch has.
    let columns: [(String, Column); 6] = [
        (format!("train {name}"), &|e| error(e.train_error)),
        (format!("sample {name}"), &|e| error(e.sample_error)),
        (format!("test {name}"), &|e| error(e.test_error)),
        ("objective".to_owned(), &|e| e.objective),
        ("recall@20".to_owned(), &|e| e.recall),
        ("NDCG@20".to_owned(), &|e| e.ndcg),
    ];
    let present = |column: &Column| history.iter().any(|epoch| column(epoch).is_some());
    let columns: Vec<_> = columns.iter().filter(|(_, column)| present(column)).collect();
    let epoch = if model.run.posterior.is_some() { "sweep" } else { "epoch" };
    write!(out, "\n{epoch:>7}")?;
    for (name, _) in &columns {
        write!(out, "  {name:>14}")?;
    }
    let unit = match model.objective.transform.is_identity() || model.objective.is_implicit() {
        true => "",
        false => " (in the transformed unit)",
    };
    writeln!(out, "  {:>9}{unit}", "s")?;
    for (at, epoch) in history.iter().enumerate() {
        let is_best = model.run.best_epoch == Some(epoch.epoch);
        // Evenly spaced, with the first, the best and the last.
        let step = history.len().div_ceil(ROWS);
        if at % step != 0 && !is_best && at + 1 != history.len() {
            continue;
        }
        write!(out, "{:>7}", epoch.epoch)?;
        for (_, column) in &columns {
            let cell = column(epoch).map_or("-".to_owned(), |x| core::figure(x, 6));
            write!(out, "  {cell:>14}")?;
        }
        let mark = if is_best { "  best" } else { "" };
        writeln!(out, "  {:>9.3}{mark}", epoch.seconds)?;
    }
    Ok(())
}

/// A figure of an epoch.
type Column<'a> = &'a dyn Fn(&EpochRecord) -> Option<f64>;

/// The epoch whose factors the model has.
fn kept(model: &Model) -> Option<&EpochRecord> {
    let history = &model.run.history;
    let best = model.run.best_epoch;
    history.iter().find(|e| Some(e.epoch) == best).or(history.last())
}

/// An error of the history as people read it: the root of a mean squared error, or a log loss.
fn figure(model: &Model, error: f64) -> f64 {
    match model.objective.loss {
        Loss::Squared => error.sqrt(),
        _ => error,
    }
}

fn figure_key(model: &Model) -> &'static str {
    match model.objective.loss {
        Loss::Squared => "rmse",
        Loss::Logistic => "log_loss",
        _ => "loss",
    }
}

fn ratings(model: &Model) -> u64 {
    model.user_ratings.iter().map(|&n| u64::from(n)).sum()
}

fn has_biases(model: &Model) -> bool {
    let f = &model.factors;
    f[Side::User].bias.iter().chain(&f[Side::Item].bias).any(|&b| b != 0.0)
}

/// The settings that are set, but for those that have lines of their own, some on each line.
fn settings(settings: &Value) -> Vec<String> {
    let own = ["factors", "solver", "loss", "seed"];
    let told = report::flags(settings).into_iter().filter(|(key, _)| !own.contains(&key.as_str()));
    folded(told.map(|(key, value)| format!("{key} {value}")))
}

/// Texts with commas between, on lines of a readable length.
fn folded(texts: impl Iterator<Item = String>) -> Vec<String> {
    const WIDE: usize = 76;
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        match lines.last_mut() {
            Some(line) if line.len() + text.len() < WIDE => *line += &format!(", {text}"),
            last => {
                if let Some(line) = last {
                    line.push(',');
                }
                lines.push(text);
            }
        }
    }
    lines
}

/// What the model was trained on, in lines.
fn data(model: &Model) -> Vec<String> {
    let Some(facts) = model.run.data.as_object() else { return Vec::new() };
    // What has no words of its own here stands at the end under its name.
    let mut rest = facts.clone();
    let mut lines = Vec::new();
    if let Some(files) = rest.remove("files") {
        let files = files.as_array().into_iter().flatten().map(one_line);
        let files: Vec<String> = files.filter(|file| !file.is_empty()).collect();
        if !files.is_empty() {
            lines.push(format!("of {}", files.join(", ")));
        }
    }
    rest.remove("reading");
    if let Some(reading) = model.run.reading() {
        lines.push(format!("read by {}", inspect::flags(&reading.form.options(&reading.asked))));
        if reading.others_differ {
            lines.push("(the first; others of the files were read otherwise)".to_owned());
        }
    }
    let mut count = |key: &str| rest.remove(key).and_then(|count| count.as_u64());
    let counts: [(&str, &dyn Fn(u64) -> String); 8] = [
        ("ratings_read", &|n| format!("{} read", counted(n as usize, "rating"))),
        ("duplicates_merged", &|n| format!("{} merged", counted(n as usize, "duplicate"))),
        ("dropped_by_filters", &|n| format!("{} dropped by filters", thousands(n))),
        ("dropped_by_weight", &|n| format!("{} of weight 0 left out", thousands(n))),
        ("ratings", &|n| format!("{} trained on", thousands(n))),
        ("test_ratings", &|n| format!("{} tested on", thousands(n))),
        ("users", &|n| counted(n as usize, "user")),
        ("items", &|n| counted(n as usize, "item")),
    ];
    let counted = counts.into_iter().filter_map(|(key, words)| Some((count(key)?, words)));
    let told = counted.filter(|(n, _)| *n > 0).map(|(n, words)| words(n));
    lines.extend(folded(told));
    let number = |value: Option<Value>| value.and_then(|value| value.as_f64());
    let range = [rest.remove("min"), rest.remove("max"), rest.remove("mean")].map(number);
    if let [Some(min), Some(max), Some(mean)] = range {
        let (min, max, mean) = (min as f32, max as f32, core::figure(mean, 5));
        let mut text = format!("ratings from {min} to {max}, mean {mean}");
        if let Some(sparsity) = number(rest.remove("sparsity")) {
            text += &format!("; {:.2} % of all pairs have none", 100.0 * sparsity);
        }
        lines.push(text);
    }
    let nothing = |value: &Value| value.is_null() || *value == 0 || *value == false;
    let told = rest.iter().filter(|(_, value)| !nothing(value));
    lines.extend(folded(
        told.map(|(key, value)| format!("{} {}", key.replace('_', " "), one_line(value))),
    ));
    lines
}

/// `key value, key value, ...`, without what is not set.
fn one_line(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(map) => {
            let set = map.iter().filter(|(_, value)| !value.is_null());
            let pairs = set.map(|(key, value)| format!("{key} {}", one_line(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Value::Array(list) => list.iter().map(one_line).collect::<Vec<_>>().join(" "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
