//! `--by`: what lists are ranked by.

use std::path::Path;
use wgmf::model::{Model, Samples, Seen, settled};
use wgmf::recommend::Criterion;
use wgmf::{Error, Result};

/// The flags.
#[derive(clap::Args)]
#[command(next_help_heading = "Ranking by samples (--solver bayes)")]
#[group(skip)]
pub(super) struct Args {
    /// What items are ranked by: `mean` of the samples, the default; `lower 0.1`, a low quantile, lists
    /// sure bets; `upper 0.9`, a high one, explores what may be good; `thompson` ranks each user's
    /// items by one sample, drawn by --seed. The scores shown are these; all but the mean (of levels
    /// and with --clip that too) are made on the processor, whatever the backend
    #[arg(long, value_names = ["WHAT", "QUANTILE"], num_args = 1..=2, value_parser = part)]
    by: Vec<String>,
    /// With --by thompson: which samples are drawn [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

const KINDS: [&str; 4] = ["mean", "lower", "upper", "thompson"];

/// Anything else is an argument that `--by` should not take for its own.
fn part(text: &str) -> Result<String, String> {
    match KINDS.contains(&text) || text.parse::<f64>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err(format!("one of {}, then a number; --by comes last", KINDS.join(", "))),
    }
}

/// The samples of the model in `dir`, if it is Bayesian; whoever asks another for more than the mean is
/// told what it lacks.
pub(super) fn samples(model: &Model, dir: &Path, criterion: Criterion) -> Result<Option<Samples>> {
    let wanted = model.is_bayesian() || criterion != Criterion::Mean;
    wanted.then(|| model.open_samples(dir)).transpose()
}

/// The model in `dir` with its training pairs and, as [`samples`] has them, its samples.
pub(super) fn opened(dir: &Path, criterion: Criterion) -> Result<(Model, Seen, Option<Samples>)> {
    settled(dir, || {
        let model = Model::open(dir)?;
        let seen = model.open_seen(dir)?;
        let samples = samples(&model, dir, criterion)?;
        Ok((model, seen, samples))
    })
}

impl Args {
    /// Whether nothing is asked for.
    pub(super) fn is_plain(&self) -> bool {
        self.by.is_empty() && self.seed.is_none()
    }

    /// What is asked for; the mean where nothing is.
    pub(super) fn criterion(&self) -> Result<Criterion> {
        let given = self.by.join(" ");
        let wrong = |why: &str| Err(Error::settings(format!("--by {given}: {why}")));
        let kind = self.by.first().map_or("mean", String::as_str);
        if self.seed.is_some() && kind != "thompson" {
            return Err(Error::settings(
                "--seed draws samples for --by thompson; add that, or leave it out",
            ));
        }
        let quantile = match self.by.get(1).map(|text| text.parse::<f64>()) {
            Some(Ok(p)) => Some(p),
            Some(Err(_)) => return wrong("one of mean, lower, upper, thompson is enough"),
            None => None,
        };
        let criterion = match (kind, quantile) {
            ("mean", None) => Criterion::Mean,
            ("thompson", None) => Criterion::Thompson { seed: self.seed.unwrap_or(0) },
            ("mean" | "thompson", Some(_)) => return wrong("takes no number"),
            ("lower", p) => Criterion::Quantile(p.unwrap_or(0.1)),
            ("upper", p) => Criterion::Quantile(p.unwrap_or(0.9)),
            _ => return wrong("begin with mean, lower, upper or thompson, as in --by lower 0.1"),
        };
        match (kind, criterion) {
            ("lower", Criterion::Quantile(p)) if !(p > 0.0 && p <= 0.5) => {
                wrong("a lower quantile lies between 0 and 0.5, as 0.1 does")
            }
            ("upper", Criterion::Quantile(p)) if !(0.5..1.0).contains(&p) => {
                wrong("an upper quantile lies between 0.5 and 1, as 0.9 does")
            }
            _ => Ok(criterion),
        }
    }
}
