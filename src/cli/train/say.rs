//! What `wgmf train` says before it trains.

use crate::cli::with_flags;
use wgmf::DeviceChoice;
use wgmf::backend::Device;
use wgmf::core::{Negatives, Options, SamplePrecision, Settings, Solver, figure, plural};
use wgmf::data::{DataFacts, Prepared};
use wgmf::memory::size;
use wgmf::train::MemoryPlan;

/// The data, the settings as they were resolved, and the device with why it was taken.
pub(super) fn plan(prepared: &Prepared, settings: &Settings, device: &Device, why: &str) {
    data(prepared, settings);
    self::settings(settings);
    if settings.solver == Solver::Bayes {
        samples(settings, prepared.users.len(), prepared.items.len());
    }
    say!("device: {} ({why})", device.name);
    if device.backend == "gpu" && DeviceChoice::keeps_gpu_waiting(settings) {
        say!(
            "note: batches of {} keep a GPU waiting; --backend cpu is likely faster here, or \
             --solver adam --batch-size 65536 on larger data",
            settings.batch_size
        );
    }
}

/// What the run needs of memory, and what there is.
pub(super) fn memory(plan: &MemoryPlan) {
    let mut line = format!("memory: needs {}", size(plan.needs));
    line += &plan.of.map_or(String::new(), |of| format!(" of {}", size(of)));
    if plan.device > 0 {
        line += &format!(", and {} on the device", size(plan.device));
    }
    say!("{line}");
}

/// Where the solver goes by the device, that it does.
pub(super) fn solver(options: &Options, settings: &Settings, ratings: usize) {
    if !options.solver_goes_by_device(ratings) {
        return;
    }
    match settings.solver {
        Solver::Sgd => {
            say!(
                "solver: sgd, for a processor; with a GPU so many ratings get adam (--solver says which)"
            );
        }
        _ => say!(
            "solver: adam, as with a GPU; without one so many ratings mostly get sgd (--solver says which)"
        ),
    }
}

/// The largest rating over the mean from which values count as heavy-tailed.
const HEAVY: f64 = 50.0;

/// What there is to train on.
pub(in crate::cli) fn data(prepared: &Prepared, settings: &Settings) {
    let (solver, implicit) = (settings.solver, settings.is_implicit());
    for line in &prepared.recognised {
        say!("{}", with_flags(line));
    }
    let facts = &prepared.facts;
    let mut line = format!(
        "{} of {} by {} for training",
        plural(facts.ratings, "rating"),
        plural(facts.items, "item"),
        plural(facts.users, "user")
    );
    if facts.test_ratings > 0 {
        line += &format!(", {} held out", facts.test_ratings);
    }
    for (count, what) in [(facts.duplicates_merged, "duplicate"), (facts.dropped_by_filters, "")] {
        if count > 0 {
            line += &match what {
                "" => format!(", {count} dropped by filters"),
                what => format!(", {} merged", plural(count, what)),
            };
        }
    }
    if facts.dropped_by_weight > 0 {
        line += &format!(", {} of weight 0 left out", facts.dropped_by_weight);
    }
    say!("{line}");
    if let Some([least, most]) = facts.weights {
        say!(
            "weights from {} to {} times their mean; held-out figures count all alike",
            figure(least, 3),
            figure(most, 3)
        );
    }
    if facts.test_seen > 0 {
        say!("{}", seen_line(facts));
    }
    let (users, items) = (prepared.test_unknown_users, prepared.test_unknown_items);
    if users + items > 0 {
        let then = match solver {
            _ if implicit => "left out",
            Solver::Bayes => "scored as those without ratings",
            _ => "scored by the mean of those that are known",
        };
        say!(
            "held-out ratings of users not in training: {users}, of items: {items}; they are {then}"
        );
    }
    if let Some(Negatives::Pool(count)) = settings.contrast.map(|contrast| contrast.negatives)
        && settings.loss.is_dense()
        && count >= facts.items
    {
        say!(
            "note: {count} negatives are drawn of {}, so that some come twice; --negatives all takes each once",
            plural(facts.items, "item")
        );
    }
    if settings.contrast.is_some() && facts.min < facts.max && facts.weights.is_none() {
        say!(
            "note: ratings from {} to {} count alike, as this loss looks at pairs alone; --min-rating leaves out \
             what was not liked, --weights weighs",
            facts.min,
            facts.max
        );
    }
    if solver == Solver::Ials && facts.max <= 0.0 {
        match facts.min < 0.0 {
            true => say!(
                "warning: no rating lies above 0: these are dislikes alone, of which no list of likes is learned"
            ),
            false => say!("warning: all ratings are 0, which weigh nothing: nothing is learned"),
        }
    }
    if !prepared.transform.is_identity() {
        say!("transform: {}", prepared.transform.describe());
    } else if implicit {
        // Ratings are not what is predicted.
    } else if facts.min == facts.max {
        say!(
            "note: all ratings are {}, so that is all there is to predict; data that hold only what \
             users chose need --loss softmax or --solver ials",
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

/// The settings.
pub(in crate::cli) fn settings(settings: &Settings) {
    say!("{}", line(settings));
}

/// What became of test ratings of training pairs.
fn seen_line(facts: &DataFacts) -> String {
    let seen = facts.test_seen;
    match facts.test_seen_left_out {
        true => format!("{seen} more test ratings are of training pairs and left out"),
        false => format!(
            "note: {seen} of {} test ratings are of pairs that are trained on too, so the held-out \
             figures are not those of new ones; --leave-out-seen leaves them out",
            facts.test_ratings
        ),
    }
}

/// How many samples the model will hold, and how large that is.
fn samples(settings: &Settings, users: usize, items: usize) {
    let kept = settings.kept_by(settings.epochs) * settings.chains;
    let all = settings.samples * settings.chains;
    let precision = settings.sample_precision.unwrap_or_default();
    let bytes = precision.file_bytes(kept, (users, items), settings.factors);
    let precision = match precision {
        SamplePrecision::F16 => "f16",
        SamplePrecision::F32 => "f32",
    };
    say!("samples: {kept} of {all} kept, {:.1} MB in {precision}", bytes as f64 / 1e6);
}

/// The settings in a line.
fn line(settings: &Settings) -> String {
    let bayes = settings.solver == Solver::Bayes;
    let mut line = format!("{}: {}", settings.solver.name(), plural(settings.factors, "factor"));
    if bayes {
        let Settings { samples, burn_in, chains, .. } = settings;
        let (sweeps, chains) = (plural(*samples, "sweep"), plural(*chains, "chain"));
        line += &format!(", {sweeps} after {burn_in} of burn-in, {chains}");
    } else {
        line += &format!(", {}", plural(settings.epochs, "epoch"));
    }
    if settings.solver.optimizer().is_some() {
        line += &match settings.rating_by_rating() {
            true => ", rating by rating".to_owned(),
            false => format!(", batch {}", settings.batch_size),
        };
        line += &format!(", learning rate {}", settings.learning_rate);
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
    if let Some(contrast) = &settings.contrast {
        line += &format!(", {}", contrast.describe(settings.loss));
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
    if settings.damping > 0.0 {
        line += &format!(", damping {}", settings.damping);
    }
    if settings.damping_bias > 0.0 {
        line += &format!(", damping-bias {}", settings.damping_bias);
    }
    if settings.solver == Solver::Ials {
        line += &format!(", unobserved weight {}", settings.unobserved_weight);
    }
    if settings.confidence.is_signed() {
        line += &format!(", confidence {}", settings.confidence.name());
    }
    if let Some(alpha) = settings.alpha {
        line += &format!(", alpha {alpha}");
    }
    line += &format!(", seed {}", settings.seed);
    line
}
