//! The tables of `wgmf evaluate` that say how far predictions lie from ratings.

use super::output::{print_json, stdout, to_stdout};
use super::words::thousands;
use serde::Serialize;
use serde_json::json;
use std::io::{self, Write};
use wgmf::Result;
use wgmf::core::figure;
use wgmf::evaluate::{PredictiveMetrics, RatingBaselines, RatingMetrics};
use wgmf::model::Model;
use wgmf::predict::Unit;

/// What the baselines and the columns of `--per-user` are, for `--help`.
pub(super) const DEFINITIONS: &str = "\
Errors of predictions (without --ranking):
  --baselines shows beside the model
    biases         the mean, a user's and an item's bias: by turns the mean of what the other side
                   leaves, 5 added to every count, until they settle (for --loss logistic of labels,
                   within 0.01 to 0.99)
    mean           the mean training rating; in the transformed unit that of transformed ratings
  With --json these lie under \"model\", \"biases\" and \"mean\". --per-user writes user, ratings, rmse
  and mae; after a transform model_rmse and model_mae in the transformed unit; for --loss logistic
  log_loss.
";

/// What is shown of a model.
pub(super) enum Shown {
    /// Errors of predictions.
    Ratings(RatingMetrics),
    /// The same, and how honest the uncertainty is.
    Predictive(PredictiveMetrics),
}

impl Shown {
    pub(super) fn rating(&self) -> &RatingMetrics {
        match self {
            Self::Ratings(metrics) => metrics,
            Self::Predictive(metrics) => &metrics.rating,
        }
    }

    pub(super) fn rating_mut(&mut self) -> &mut RatingMetrics {
        match self {
            Self::Ratings(metrics) => metrics,
            Self::Predictive(metrics) => &mut metrics.rating,
        }
    }
}

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ratings(metrics) => metrics.serialize(serializer),
            Self::Predictive(metrics) => metrics.serialize(serializer),
        }
    }
}

/// Prints a measurement, alone or beside what knows no tastes.
pub(super) fn print(
    model: &Model,
    shown: &Shown,
    baselines: Option<&RatingBaselines>,
    as_json: bool,
) -> Result<()> {
    match (as_json, baselines) {
        (true, None) => print_json(shown),
        (true, Some(beside)) => {
            let RatingBaselines { biases, mean, .. } = beside;
            print_json(&json!({ "model": shown, "biases": biases, "mean": mean }))
        }
        (false, None) => to_stdout(show(model, shown)),
        (false, Some(beside)) => to_stdout(show_beside(model, shown, beside)),
    }
}

/// A name, the figure in the unit of the ratings, and that in the model's unit.
type Figures = (&'static str, Option<f64>, Option<f64>);

fn errors(model: &Model, metrics: &RatingMetrics) -> [Figures; 6] {
    let rmse = match model.unit() {
        Unit::Rating => "RMSE",
        Unit::Probability => "RMSE of probability",
        Unit::Preference if model.objective.confidence.is_signed() => "RMSE to 1, dislikes to 0",
        Unit::Preference => "RMSE of preference to 1",
        Unit::Score => "RMSE of score to 1",
    };
    [
        (rmse, Some(metrics.rmse), metrics.model_rmse),
        ("MAE", Some(metrics.mae), metrics.model_mae),
        ("R²", metrics.r2, metrics.model_r2),
        ("relative squared error", metrics.relative_squared_error, None),
        ("log loss", metrics.log_loss, None),
        ("AUC", metrics.auc, None),
    ]
}

/// What a Bayesian model says beside its errors.
fn uncertainty(shown: &Shown) -> Vec<Figures> {
    let Shown::Predictive(m) = shown else { return Vec::new() };
    let density = Some(m.log_predictive_density);
    vec![
        ("log predictive density", density, m.model_log_predictive_density),
        ("CRPS", m.crps, m.model_crps),
        ("ranked probability", m.ranked_probability_score, None),
        ("accuracy", m.accuracy, None),
        ("50 % interval covers", Some(m.coverage_50), None),
        ("80 % interval covers", Some(m.coverage_80), None),
        ("90 % interval covers", Some(m.coverage_90), None),
        ("95 % interval covers", Some(m.coverage_95), None),
        ("90 % interval's width", m.width_90, None),
    ]
}

fn counts(out: &mut impl Write, metrics: &RatingMetrics) -> io::Result<()> {
    for (name, count) in [
        ("ratings", metrics.ratings),
        ("unknown users", metrics.unknown_users),
        ("unknown items", metrics.unknown_items),
        ("ratings of these", metrics.unknown_ratings),
        ("training pairs", metrics.seen_pairs),
    ] {
        writeln!(out, "{name:<24}{:>14}", thousands(count))?;
    }
    Ok(())
}

fn show(model: &Model, shown: &Shown) -> io::Result<()> {
    let mut out = stdout();
    counts(&mut out, shown.rating())?;
    if shown.rating().model_rmse.is_some() {
        row(&mut out, "", ["ratings".to_owned(), model.objective.transform.to_string()])?;
    }
    for (name, own, in_model) in errors(model, shown.rating()).into_iter().chain(uncertainty(shown))
    {
        if own.is_some() || in_model.is_some() {
            row(&mut out, name, [cell(own), cell(in_model)])?;
        }
    }
    out.flush()
}

/// One column for the model and each baseline; figures of the model's unit have rows of their own.
fn show_beside(model: &Model, shown: &Shown, beside: &RatingBaselines) -> io::Result<()> {
    let mut out = stdout();
    counts(&mut out, shown.rating())?;
    row(&mut out, "", ["model", "biases", "mean"].map(str::to_owned))?;
    let columns = [shown.rating(), &beside.biases, &beside.mean].map(|of| errors(model, of));
    for (at, (name, ..)) in columns[0].iter().enumerate() {
        let of = |figure: fn(&Figures) -> Option<f64>| columns.each_ref().map(|c| figure(&c[at]));
        let (own, in_model) = (of(|figures| figures.1), of(|figures| figures.2));
        if own.iter().any(Option::is_some) {
            row(&mut out, name, own.map(cell))?;
        }
        if in_model.iter().any(Option::is_some) {
            let name = format!("{name}, {}", model.objective.transform);
            row(&mut out, &name, in_model.map(cell))?;
        }
    }
    for (name, own, _) in uncertainty(shown) {
        if own.is_some() {
            row(&mut out, name, [cell(own)])?;
        }
    }
    out.flush()
}

fn cell(x: Option<f64>) -> String {
    x.map_or(String::new(), |x| figure(x, 6))
}

fn row<const N: usize>(out: &mut impl Write, name: &str, cells: [String; N]) -> io::Result<()> {
    let cells: String = cells.iter().map(|cell| format!("{cell:>14}")).collect();
    writeln!(out, "{}", format!("{name:<24}{cells}").trim_end())
}
