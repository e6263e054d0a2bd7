//! The tables that `wgmf bench` prints.

use super::Report;
use crate::cli::output::stdout;
use std::io::Write;
use wgmf::bench::{Profile, bytes_per_rating};
use wgmf::core::figure;

pub(super) fn show(report: &Report) -> std::io::Result<()> {
    let mut out = stdout();
    let millions = |n: usize| n as f64 / 1e6;
    write!(
        out,
        "{:.2} M ratings for training, {:.2} M held out, {} users × {} items",
        millions(report.train_ratings),
        millions(report.test_ratings),
        report.users,
        report.items
    )?;
    if let Some(bytes) = report.file_bytes {
        write!(out, "; {:.0} MB", bytes as f64 / 1e6)?;
    }
    write!(out, " read and prepared in {:.2} s", report.read_seconds)?;
    if let Some(floor) = report.floor_rmse {
        write!(out, "; noise floor RMSE {}", figure(floor, 4))?;
    }
    writeln!(out, "\n")?;
    if !report.measurements.is_empty() {
        show_gradient(&mut out, report)?;
    }
    if !report.sweeps.is_empty() {
        show_sweeps(&mut out, report)?;
    }
    if !report.choices.is_empty() {
        show_choices(&mut out, report)?;
    }
    if !report.lists.is_empty() {
        show_lists(&mut out, report)?;
    }
    show_profiles(&mut out, report)?;
    out.flush()
}

/// The table of losses made for ranking.
fn show_choices(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<8}{:<9}{:>5}{:>9}{:>9}{:>9}{:>11}{:>9}{:>10}{:>8}{:>12}",
        "backend",
        "loss",
        "k",
        "batch",
        "layout",
        "upload",
        "s/epoch",
        "M/s",
        "GFLOP/s",
        "peak",
        "loss"
    )?;
    for m in &report.choices {
        writeln!(
            out,
            "{:<8}{:<9}{:>5}{:>9}{:>8.2}s{:>8.2}s{:>11.4}{:>9.2}{:>10.1}{:>7.0}%{:>12}",
            m.backend,
            m.loss.name(),
            m.factors,
            m.batch_size,
            m.layout_seconds,
            m.upload_seconds,
            m.seconds_per_epoch,
            m.pairs_per_second / 1e6,
            m.operations_per_second / 1e9,
            100.0 * m.operations_per_second / m.peak_operations_per_second,
            figure(m.train_loss, 5)
        )?;
    }
    writeln!(
        out,
        "s/epoch: median after one epoch that warms up, with the making of batches. GFLOP/s: two for each factor \
         of each score, and as many for each side's gradient; beside it the share of what registers reach."
    )
}

/// The table of lists.
fn show_lists(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let shown = report.measurements.len() + report.sweeps.len() + report.choices.len();
    if shown > 0 {
        writeln!(out)?;
    }
    writeln!(
        out,
        "{:<8}{:>5}{:>7}{:>9}{:>11}{:>12}{:>10}",
        "backend", "k", "list", "upload", "s", "lists/s", "GFLOP/s"
    )?;
    for m in &report.lists {
        writeln!(
            out,
            "{:<8}{:>5}{:>7}{:>8.2}s{:>11.4}{:>12.0}{:>10.1}",
            m.backend,
            m.factors,
            m.list,
            m.upload_seconds,
            m.seconds,
            m.lists_per_second,
            m.operations_per_second / 1e9
        )?;
    }
    writeln!(out, "s: lists of all users, training items left out, by random factors.")
}

/// Where devices' time went.
fn show_profiles(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let gradient = report.measurements.iter().filter_map(|m| {
        let what = format!("{} k = {}, an epoch", m.solver.name(), m.factors);
        Some((m.backend, what, m.seconds_per_epoch, m.profile.as_ref()?))
    });
    let sweeps = report.sweeps.iter().filter_map(|m| {
        let what = format!("{} k = {}, a round", m.solver.name(), m.factors);
        Some((m.backend, what, m.seconds_per_sweep, m.profile.as_ref()?))
    });
    let choices = report.choices.iter().filter_map(|m| {
        let what = format!("{} k = {}, an epoch", m.loss.name(), m.factors);
        Some((m.backend, what, m.seconds_per_epoch, m.profile.as_ref()?))
    });
    let lists = report.lists.iter().filter_map(|m| {
        let what = format!("lists of {} k = {}", m.list, m.factors);
        Some((m.backend, what, m.seconds, m.profile.as_ref()?))
    });
    for (backend, what, seconds, profile) in gradient.chain(sweeps).chain(choices).chain(lists) {
        let rates = report.rates.iter().find(|(of, ..)| *of == backend);
        let (copy, peak) = rates.map_or((0.0, 0.0), |&(_, copy, peak)| (copy, peak));
        let Profile { submissions, kernels } = profile;
        let timed: f64 = kernels.iter().filter_map(|part| part.seconds).sum();
        writeln!(
            out,
            "\n{backend}: {what}: {seconds:.4} s; kernels {timed:.4} s, with those of errors and objective; \
             {submissions:.0} submissions"
        )?;
        for part in kernels {
            write!(out, "  {:<14}{:>9.1} dispatches", part.kernel, part.dispatches)?;
            let Some(seconds) = part.seconds else {
                writeln!(out)?;
                continue;
            };
            write!(out, "{seconds:>11.5} s")?;
            if let Some(bytes) = part.bytes {
                let rate = bytes / seconds;
                write!(out, "{:>10.1} GB/s {:>4.0}% of copy", rate / 1e9, 100.0 * rate / copy)?;
            }
            if let Some(operations) = part.operations {
                let rate = operations / seconds;
                write!(out, "{:>10.1} GFLOP/s {:>4.0}% of peak", rate / 1e9, 100.0 * rate / peak)?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The table of the gradient solvers.
fn show_gradient(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<8}{:<9}{:>5}{:>9}{:>9}{:>9}{:>11}{:>9}{:>9}{:>8}{:>9}{:>11}",
        "backend",
        "solver",
        "k",
        "batch",
        "layout",
        "upload",
        "s/epoch",
        "M/s",
        "GB/s",
        "copy",
        "RMSE",
        "GPU − CPU"
    )?;
    for m in &report.measurements {
        let solver = m.solver.name();
        write!(
            out,
            "{:<8}{:<9}{:>5}{:>9}{:>8.2}s{:>8.2}s{:>11.4}{:>9.2}{:>9.2}{:>7.0}%{:>9}",
            m.backend,
            solver,
            m.factors,
            if m.batch_size == 0 { "-".to_owned() } else { m.batch_size.to_string() },
            m.layout_seconds,
            m.upload_seconds,
            m.seconds_per_epoch,
            m.ratings_per_second / 1e6,
            m.bytes_per_second / 1e9,
            100.0 * m.bytes_per_second / m.copy_bytes_per_second,
            figure(m.test_rmse, 4)
        )?;
        let twin = report.measurements.iter().find(|other| {
            other.backend == "cpu" && (other.solver, other.factors) == (m.solver, m.factors)
        });
        match twin {
            Some(cpu) if m.backend == "gpu" => {
                writeln!(out, "{:>11.1e}", m.test_rmse - cpu.test_rmse)?;
            }
            _ => writeln!(out)?,
        }
    }
    writeln!(out)?;
    let mut seen = Vec::new();
    for m in &report.measurements {
        if !seen.contains(&m.backend) {
            seen.push(m.backend);
            let copy = m.copy_bytes_per_second / 1e9;
            writeln!(out, "{}: {}; a copy moves {copy:.1} GB/s", m.backend, m.device)?;
        }
    }
    let epochs = report.measurements.first().map_or(0, |m| m.epoch_seconds.len());
    writeln!(
        out,
        "s/epoch: median of {epochs} epochs after one that warms up. GB/s: at 2·k·4 + 20 bytes a \
         rating ({} at k = 32); beside it the share of the copy's.",
        bytes_per_rating(32)
    )
}

/// The table of the row solvers.
fn show_sweeps(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    if !report.measurements.is_empty() {
        writeln!(out)?;
    }
    writeln!(
        out,
        "{:<8}{:<9}{:>5}{:>7}{:>9}{:>9}{:>11}{:>9}{:>10}{:>8}{:>14}{:>9}",
        "backend",
        "solver",
        "k",
        "block",
        "layout",
        "upload",
        "s/sweep",
        "M/s",
        "GFLOP/s",
        "peak",
        "objective",
        "RMSE"
    )?;
    for m in &report.sweeps {
        writeln!(
            out,
            "{:<8}{:<9}{:>5}{:>7}{:>8.2}s{:>8.2}s{:>11.4}{:>9.2}{:>10.1}{:>7.0}%{:>14}{:>9}",
            m.backend,
            m.solver.name(),
            m.factors,
            m.block,
            m.layout_seconds,
            m.upload_seconds,
            m.seconds_per_sweep,
            m.ratings_per_second / 1e6,
            m.operations_per_second / 1e9,
            100.0 * m.operations_per_second / m.peak_operations_per_second,
            m.objective.map_or("-".to_owned(), |x| format!("{x:.1}")),
            m.test_rmse.map_or("-".to_owned(), |rmse| figure(rmse, 4))
        )?;
    }
    writeln!(out)?;
    let mut seen = Vec::new();
    for m in &report.sweeps {
        if !seen.contains(&m.backend) {
            seen.push(m.backend);
            let peak = m.peak_operations_per_second / 1e9;
            let (backend, device) = (m.backend, &m.device);
            writeln!(out, "{backend}: {device}; registers reach {peak:.1} GFLOP/s")?;
        }
    }
    writeln!(
        out,
        "s/sweep: median, both sides, without errors (of bayes with hyperparameters and noise). \
         GFLOP/s: of the multiply-adds that normal equations and their solution need; beside it the \
         share of what registers reach."
    )
}
