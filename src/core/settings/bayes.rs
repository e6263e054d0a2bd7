//! The sampler's settings.

use super::check::check_block;
use super::defaults::rounded;
use super::{Options, Settings};
use crate::core::{Likelihood, SamplePrecision, Solver};
use crate::{Error, Result};

/// The sampler's sweeps after burn-in and before it, and the samples kept at least, where nothing is said.
const SAMPLES: usize = 300;
const BURN_IN: usize = 50;
const KEEP: usize = 40;

/// Bytes that samples may fill where nothing is said of how many are kept: few of them predict worse than
/// the whole run did (MovieLens 100K 0.884 with 40, 0.880 with all 300), and small models can afford all.
const KEPT_BYTES: u64 = 64 << 20;

impl Options {
    /// The flags that only the sampler has, and whether they are given.
    pub(super) fn of_bayes(&self) -> [(&'static str, bool); 6] {
        [
            ("samples", self.samples.is_some()),
            ("burn_in", self.burn_in.is_some()),
            ("keep", self.keep.is_some()),
            ("chains", self.chains.is_some()),
            ("likelihood", self.likelihood.is_some()),
            ("sample_precision", self.sample_precision.is_some()),
        ]
    }

    /// Whether the sampler's flags go together.
    pub(super) fn check_bayes(&self) -> Result<()> {
        let wrong = |flag: &str, why: &str| Err(Error::settings(format!("`{flag}` {why}")));
        for (flag, given) in [
            ("reg", self.reg.is_some()),
            ("reg_bias", self.reg_bias.is_some()),
            ("reg_exponent", self.reg_exponent.is_some()),
            ("damping", self.damping.is_some()),
            ("damping_bias", self.damping_bias.is_some()),
        ] {
            if given {
                return wrong(
                    flag,
                    "has no effect with `solver` bayes, which draws it from the data",
                );
            }
        }
        if self.epochs.is_some() {
            return wrong(
                "epochs",
                "has no effect with `solver` bayes; use `samples` and `burn_in`",
            );
        }
        if self.nonnegative {
            return wrong("nonnegative", "belongs to `solver` als or ials");
        }
        if self.clip && self.likelihood.is_some_and(|of| of != Likelihood::Gaussian) {
            return wrong("clip", "has no effect where ratings are levels; leave it out");
        }
        let (samples, chains) = (self.samples.unwrap_or(SAMPLES), self.chains.unwrap_or(1));
        if let Some(keep) = self.keep {
            let most = samples.saturating_mul(chains);
            if keep > most {
                let why = format!("{keep}: there are only {most} samples to keep; raise `samples`");
                return wrong("keep", &why);
            }
            if keep < chains {
                let why = format!("{keep}: each of the {chains} chains keeps one at least");
                return wrong("keep", &why);
            }
        }
        Ok(())
    }

    /// The settings of the sampler, for so many `ratings` of this standard deviation, users and items.
    pub(super) fn of_sampler(
        &self,
        spread: f64,
        ratings: usize,
        shape: (usize, usize),
    ) -> Result<Settings> {
        let likelihood = self.likelihood.unwrap_or_default();
        // What is factored then is a latent value with noise of variance 1.
        let spread = if likelihood == Likelihood::Gaussian { spread } else { 1.0 };
        let factors = self.factors.unwrap_or(32);
        let block = self.block.unwrap_or(factors.max(1));
        check_block(block, factors)?;
        let (samples, burn_in) = (self.samples.unwrap_or(SAMPLES), self.burn_in.unwrap_or(BURN_IN));
        let chains = self.chains.unwrap_or(1);
        // All products together have a twentieth of the ratings' variance; less where rows have few
        // ratings. Factors that start small take long to grow where there are some; large ones take long
        // to shrink where there are none, the longer the fewer ratings a row has.
        let a_row = ratings as f64 / (shape.0 + shape.1).max(1) as f64;
        let start = (0.05 / factors.max(1) as f64).powf(0.25) * (a_row / 8.0).sqrt().min(1.0);
        let fits = (1e-4..1e4).contains(&spread);
        let fitting = if fits { SamplePrecision::F16 } else { SamplePrecision::F32 };
        let precision = self.sample_precision.unwrap_or(fitting);
        let affordable = KEPT_BYTES / precision.file_bytes(1, shape, factors);
        let keep = self.keep.unwrap_or((affordable as usize).max(KEEP));
        Ok(Settings {
            // Thresholds have its place.
            mean: !self.no_mean && likelihood != Likelihood::Ordinal,
            epochs: samples.saturating_add(burn_in),
            block,
            samples,
            burn_in,
            keep: keep.min(samples.saturating_mul(chains)).max(chains),
            chains,
            likelihood,
            clip: self.clip,
            sample_precision: Some(precision),
            init_scale: self.init_scale.unwrap_or(rounded(start * spread.sqrt())),
            ..self.of_every_solver(Solver::Bayes, factors, spread)
        })
    }
}
