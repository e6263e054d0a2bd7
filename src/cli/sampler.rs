//! What a sampler says of itself, for `wgmf train` and `wgmf info`.

use super::words::counted;
use wgmf::core::figure;
use wgmf::model::{Model, PosteriorRecord, Quantity, WatchedPrediction};

/// R-hat above which chains disagree.
const UNSETTLED: f64 = 1.1;

/// Effective samples that are few.
const FEW: f64 = 50.0;

/// How far a sampler's averages can be trusted.
pub(super) fn say_posterior(posterior: &PosteriorRecord) {
    let count = posterior.sweeps * posterior.chains;
    if count == 0 {
        say!(
            "note: stopped within burn-in, so the model is the sampler's state at that moment and no \
             average; it is no measure of what the full run gives"
        );
        return;
    }
    let noise = posterior.noise_precision.iter().chain(&posterior.noise_shape);
    let watched = posterior.predictions.iter().map(|watched| &watched.prediction);
    let kinds = [("noise", worst(noise)), ("predictions", worst(watched))];
    let known =
        kinds.iter().filter_map(|&(name, (r_hat, effective))| Some((name, r_hat?, effective?)));
    let known: Vec<(&str, f64, f64)> = known.collect();
    if known.is_empty() {
        say!("note: {count} samples are too few to tell whether the sampler has settled");
        return;
    }
    let part = |&(name, r_hat, effective): &(&str, f64, f64)| {
        format!("{name} R-hat {r_hat:.3} at most, {effective:.0} effective samples at least")
    };
    let parts: Vec<String> = known.iter().map(part).collect();
    say!("sampler: {count} samples; {}", parts.join("; "));
    let unsettled = |kind: &str| known.iter().any(|(name, r, _)| *name == kind && *r > UNSETTLED);
    if unsettled("predictions") {
        say!(
            "note: R-hat above {UNSETTLED} says that the predictions had not settled; try more \
             --burn-in, or more --samples"
        );
    } else if unsettled("noise") {
        // Half the relative deviation of a precision is that of a standard deviation.
        let relative = |q: &Quantity| 50.0 * q.deviation / q.mean;
        let percent = posterior.noise_precision.as_ref().map_or(0.0, relative);
        say!(
            "note: predictions had settled; the noise had not (R-hat above {UNSETTLED}), and with it \
             the width of intervals moves by {percent:.1} %: more --samples, or fewer --factors"
        );
    } else if known.iter().any(|&(_, _, effective)| effective < FEW) {
        say!(
            "note: fewer than {FEW} effective samples leave averages and intervals rough; more \
             --samples or --chains help"
        );
    }
}

/// The largest R-hat, and the smallest effective sample size.
pub(super) fn worst<'a>(
    quantities: impl Iterator<Item = &'a Quantity> + Clone,
) -> (Option<f64>, Option<f64>) {
    let r_hats = quantities.clone().filter_map(|q| q.r_hat);
    let effective = quantities.filter_map(|q| q.effective_samples);
    (r_hats.max_by(f64::total_cmp), effective.min_by(f64::total_cmp))
}

/// What a sampler says of the posterior and of itself.
pub(super) fn sampler_lines(
    model: &Model,
    posterior: &PosteriorRecord,
) -> Vec<(&'static str, String)> {
    let PosteriorRecord { chains, burn_in, sweeps, kept, .. } = posterior;
    let (chains, sweeps) = (counted(*chains, "chain"), counted(*sweeps, "sweep"));
    let samples = counted(*kept, "sample");
    let mut lines =
        vec![("sampler", format!("{chains}, {sweeps} after {burn_in} of burn-in, {samples} kept"))];
    let mut add = |name, what: &str, quantity: &Quantity| {
        let Quantity { mean, deviation, r_hat, effective_samples } = quantity;
        let mut text = format!("{what}{} ± {}", figure(*mean, 4), figure(*deviation, 4));
        if let (Some(r_hat), Some(effective)) = (r_hat, effective_samples) {
            text += &format!(", R-hat {r_hat:.3}, {effective:.0} effective samples");
        }
        lines.push((name, text));
    };
    if let Some(noise) = &posterior.noise_precision {
        add("noise", "precision ", noise);
    }
    if let Some(shape) = &posterior.noise_shape {
        add("noise", "shape of users' weights ", shape);
    }
    let unit =
        if model.objective.transform.is_identity() { "" } else { ", in the transformed unit" };
    for WatchedPrediction { user, item, prediction } in &posterior.predictions {
        add("watched", &format!("user \"{user}\", item \"{item}\"{unit}: "), prediction);
    }
    if let Some(rmse) = posterior.held_out["rmse"].as_f64() {
        let mae = posterior.held_out["mae"].as_f64().unwrap_or(f64::NAN);
        let of = match posterior.sweeps {
            0 => "of the state at the stop",
            _ => "averaged over samples",
        };
        let (rmse, mae) = (figure(rmse, 4), figure(mae, 4));
        lines.push(("held out", format!("RMSE {rmse}, MAE {mae}, {of}")));
    }
    lines
}
