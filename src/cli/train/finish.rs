//! What `wgmf train` prints when it is done.

use super::super::interrupt::Signal;
use super::super::output::{print_json, stdout, to_stdout};
use super::super::progress::Progress;
use super::super::sampler::worst;
use super::super::words::{counted, thousands};
use std::io::Write;
use std::path::Path;
use wgmf::Result;
use wgmf::core::{Loss, figure, plural};
use wgmf::evaluate::{HeldOut, RatingBaselines, RatingMetrics};
use wgmf::model::EpochRecord;
use wgmf::train::{Finished, HELD_OUT_AT, Stop, best_epoch};

/// How a run ended, beside what it found.
pub(super) struct End<'a> {
    /// Where the model is, or would be.
    pub dir: &'a Path,
    /// Whether it was saved.
    pub saved: bool,
    /// The signal that ended the run before it was through.
    pub early: Option<Signal>,
    /// The checkpoint, if there is one to go on from.
    pub checkpoint: Option<&'a Path>,
}

/// Prints how the run ended, in words or as the last event of `--progress json`.
pub(super) fn print(finished: &Finished, end: &End, progress: Progress) -> Result<()> {
    match progress {
        Progress::Json => print_json(&done(finished, end)),
        _ => to_stdout(show(finished, end)),
    }
}

/// The held-out errors and where the model is.
fn show(finished: &Finished, end: &End) -> std::io::Result<()> {
    let mut out = stdout();
    how_it_stopped(&mut out, finished, end)?;
    if let Some(metrics) = &finished.metrics {
        held_out(&mut out, finished, metrics)?;
    }
    if let Some(baselines) = &finished.baselines {
        beside(&mut out, baselines)?;
    }
    if let Some(lists) = &finished.lists {
        let (at, epoch) = (HELD_OUT_AT, finished.epoch);
        let figures = |of: &HeldOut| {
            let (recall, ndcg) = (figure(of.recall, 4), figure(of.ndcg, 4));
            format!("recall@{at} {recall}, NDCG@{at} {ndcg}")
        };
        write!(out, "held-out {} (epoch {epoch}", figures(&lists.model))?;
        let (ranked, all) = (lists.model.users as u64, lists.users as u64);
        if ranked < all {
            write!(
                out,
                ", {} of {} users; wgmf evaluate --ranking takes all",
                thousands(ranked),
                thousands(all)
            )?;
        }
        writeln!(out, ")\nbeside it: popularity alone {}", figures(&lists.popularity))?;
    }
    let dir = end.dir.display();
    match (end.saved, end.checkpoint.map(Path::display)) {
        (true, _) => writeln!(out, "model: {dir}")?,
        (false, Some(checkpoint)) => writeln!(
            out,
            "the model in {dir} is left as it was; --resume --force goes on from {checkpoint}"
        )?,
        (false, None) => writeln!(out, "the model in {dir} is left as it was")?,
    }
    out.flush()
}

/// The epoch whose factors the model has.
fn kept(finished: &Finished) -> Option<&EpochRecord> {
    let history = &finished.model.run.history;
    finished.epoch.checked_sub(1).and_then(|at| history.get(at))
}

/// Why training ended, and after how much.
fn how_it_stopped(out: &mut impl Write, finished: &Finished, end: &End) -> std::io::Result<()> {
    let by = match end.early {
        Some(signal) if signal != Signal::Interrupt => signal.name(),
        _ => "Ctrl-C",
    };
    let Finished { model, epoch, stop, .. } = finished;
    let history = &model.run.history;
    let epochs = history.len();
    let samples = model.run.posterior.is_some();
    match stop {
        Stop::Finished if samples => writeln!(out, "{} done", counted(epochs, "sweep")),
        Stop::Patience if samples => {
            let best = best_epoch(history).unwrap_or(*epoch);
            writeln!(
                out,
                "stopped after sweep {epochs}: the average predicts held-out ratings no better \
                 since sweep {best}"
            )
        }
        Stop::Interrupted if samples => {
            let sweeps = counted(epochs, "complete sweep");
            writeln!(out, "stopped by {by} after {sweeps}")
        }
        Stop::Finished => writeln!(out, "{} done", counted(epochs, "epoch")),
        Stop::Patience => {
            writeln!(out, "stopped after epoch {epochs}: no better held-out figure since {epoch}")
        }
        Stop::Interrupted => {
            let at = format!("stopped by {by} after {}", counted(epochs, "complete epoch"));
            match model.run.settings["patience"].is_null() || *epoch == 0 {
                true => writeln!(out, "{at}; the model is as it was at that moment"),
                false => writeln!(out, "{at}; the model is that of epoch {epoch}, the best"),
            }
        }
    }
}

/// The errors of the held-out ratings.
fn held_out(
    out: &mut impl Write,
    finished: &Finished,
    metrics: &RatingMetrics,
) -> std::io::Result<()> {
    let posterior = finished.model.run.posterior.as_ref();
    let which = match finished.epoch {
        0 => String::new(),
        epoch => match posterior {
            None => format!(" (epoch {epoch})"),
            Some(posterior) if posterior.sweeps == 0 => String::new(),
            // Those that the model has.
            Some(posterior) => format!(" (average of {})", plural(posterior.kept, "sample")),
        },
    };
    if let Some(log_loss) = metrics.log_loss {
        write!(out, "held-out log loss {}", figure(log_loss, 4))?;
        if let Some(auc) = metrics.auc {
            write!(out, ", AUC {}", figure(auc, 4))?;
        }
    } else {
        let (rmse, mae) = (figure(metrics.rmse, 4), figure(metrics.mae, 4));
        write!(out, "held-out RMSE {rmse}, MAE {mae}")?;
        if let Some(rmse) = metrics.model_rmse {
            write!(out, "; of transformed ratings RMSE {}", figure(rmse, 4))?;
        }
    }
    if let Some(ratio) = metrics.relative_squared_error {
        // The ratio is in the unit of training: beside the error of that unit it says so.
        let joint = if metrics.model_rmse.is_some() { " and" } else { ";" };
        write!(out, "{joint} squared error {:.1} % of the mean's", 100.0 * ratio)?;
    }
    writeln!(out, "{which}")
}

/// The errors of what knows no tastes.
fn beside(out: &mut impl Write, baselines: &RatingBaselines) -> std::io::Result<()> {
    let RatingBaselines { biases, mean, .. } = baselines;
    if let Some(log_loss) = mean.log_loss {
        let auc = biases.auc.map_or(String::new(), |auc| format!(" (AUC {})", figure(auc, 4)));
        let of_biases = biases.log_loss.unwrap_or(f64::NAN);
        let (biases, mean) = (figure(of_biases, 4), figure(log_loss, 4));
        return writeln!(out, "beside it: biases alone log loss {biases}{auc}, the mean {mean}");
    }
    let figures =
        |of: &RatingMetrics| format!("RMSE {}, MAE {}", figure(of.rmse, 4), figure(of.mae, 4));
    write!(out, "beside it: biases alone {}", figures(biases))?;
    if let Some(rmse) = biases.model_rmse {
        write!(out, " (transformed {})", figure(rmse, 4))?;
    }
    write!(out, "; the mean {}", figures(mean))?;
    match mean.model_rmse {
        Some(rmse) => writeln!(out, " (transformed {})", figure(rmse, 4)),
        None => writeln!(out),
    }
}

/// The last event of `--progress json`.
fn done(finished: &Finished, end: &End) -> serde_json::Map<String, serde_json::Value> {
    let Finished { model, metrics, baselines, lists, epoch, stop, .. } = finished;
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
    put("best_epoch", serde_json::json!(best_epoch(&run.history)));
    put("epoch", (*epoch).into());
    if let Some(posterior) = &run.posterior {
        put("samples", (posterior.sweeps * posterior.chains).into());
        put("samples_kept", posterior.kept.into());
        let (r_hat, effective) = worst(posterior.quantities());
        put("r_hat", serde_json::json!(r_hat));
        put("effective_samples", serde_json::json!(effective));
    }
    let kept = kept(finished);
    let train_error = kept.and_then(|record| record.train_error);
    match model.objective.loss {
        Loss::Squared => {
            // Of log1p and the like only the error of transformed ratings is known here.
            let scale = model.objective.transform.scale();
            let own = train_error.zip(scale).map(|(e, scale)| e.sqrt() * scale);
            put("train_rmse", serde_json::json!(own));
            if !model.objective.transform.is_identity() {
                put("model_train_rmse", serde_json::json!(train_error.map(f64::sqrt)));
            }
        }
        Loss::Logistic => put("train_log_loss", serde_json::json!(train_error)),
        _ => put("train_loss", serde_json::json!(train_error)),
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
    if let Some(RatingBaselines { biases, mean, .. }) = baselines {
        for (name, of) in [("biases", biases), ("mean", mean)] {
            put(&format!("test_rmse_{name}"), finite(of.rmse));
            put(&format!("test_mae_{name}"), finite(of.mae));
            put(&format!("model_test_rmse_{name}"), serde_json::json!(of.model_rmse));
            put(&format!("test_log_loss_{name}"), serde_json::json!(of.log_loss));
        }
    }
    put("objective", serde_json::json!(kept.and_then(|kept| kept.objective)));
    if let Some(lists) = lists {
        put("test_recall@20", finite(lists.model.recall));
        put("test_ndcg@20", finite(lists.model.ndcg));
        put("test_recall@20_popularity", finite(lists.popularity.recall));
        put("test_ndcg@20_popularity", finite(lists.popularity.ndcg));
        put("test_ranked_users", lists.model.users.into());
        put("test_users", lists.users.into());
    }
    put(
        "test_seen_pairs",
        match model.run.data["test_seen"].as_u64() {
            Some(0) | None => serde_json::Value::Null,
            Some(count) => count.into(),
        },
    );
    put("seconds", finite(run.seconds));
    put("ratings_per_second", serde_json::json!(run.ratings_per_second));
    put("backend", run.backend.clone().into());
    put("device", run.device.clone().into());
    put("fallback", serde_json::json!(run.fallback));
    let name = match stop {
        Stop::Finished => "finished",
        Stop::Patience => "patience",
        Stop::Interrupted => "interrupted",
    };
    put("stop", name.into());
    put("stopped_by", serde_json::json!(run.stopped_by));
    if end.saved {
        put("model", end.dir.display().to_string().into());
    }
    let checkpoint = end.checkpoint.filter(|_| *stop == Stop::Interrupted);
    put("checkpoint", serde_json::json!(checkpoint.map(|path| path.display().to_string())));
    done
}
