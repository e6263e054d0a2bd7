//! What a sampler goes on from, beside the factors of its first chain.

use super::steps::Chain;
use crate::core::{Factors, RowPrior, Settings};
use crate::model::Samples;
use crate::{Error, Result};

/// The state of a sampler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerState {
    /// Each chain's factors, and what it has beside them.
    pub chains: Vec<(Factors, Chain)>,
    /// (held-out ratings): predictions of every chain's sweeps after burn-in, summed.
    pub sums: Vec<f64>,
    /// (held-out ratings): probabilities of their levels, summed likewise; empty where ratings are no
    /// levels.
    pub probabilities: Vec<f64>,
    /// What was watched.
    pub traces: Traces,
    /// The samples kept so far.
    pub samples: Samples,
}

/// Quantities that are watched, in every sweep after burn-in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traces {
    /// (chains, sweeps): `τ`.
    pub noise_precision: Vec<Vec<f64>>,
    /// (chains, sweeps): `α`.
    pub noise_shape: Vec<Vec<f64>>,
    /// (watched pairs, chains, sweeps): `r̂`.
    pub predictions: Vec<Vec<Vec<f64>>>,
}

impl Traces {
    /// Empty ones.
    pub fn new(chains: usize, watched: usize) -> Self {
        Self {
            noise_precision: vec![Vec::new(); chains],
            noise_shape: vec![Vec::new(); chains],
            predictions: vec![vec![Vec::new(); chains]; watched],
        }
    }

    /// How many sweeps they have.
    pub fn sweeps(&self) -> usize {
        self.noise_precision.first().map_or(0, Vec::len)
    }
}

impl SamplerState {
    /// Makes sure that a run with `settings` over `users` and `items` can go on from here, with so many
    /// held-out ratings, held-out levels and watched pairs, and ratings of these `levels` (none where
    /// they are no levels).
    ///
    /// # Errors
    /// The state of another run.
    pub fn check(
        &self,
        users: usize,
        items: usize,
        settings: &Settings,
        [held_out, numbers, watched]: [usize; 3],
        levels: &[f32],
    ) -> Result<()> {
        let wrong = |what: String| {
            Error::data(format!("the sampler's state is of another run: {what}; begin anew"))
        };
        let (k, chains) = (settings.factors, settings.chains);
        if self.chains.len() != chains {
            let have = self.chains.len();
            return Err(wrong(format!("{have} chains, where `chains` is {chains}")));
        }
        let steps = levels.len().saturating_sub(1);
        for (factors, chain) in &self.chains {
            factors.check(users, items, k).map_err(|e| wrong(e.to_string()))?;
            let wide = k + 1;
            let fit = |prior: &RowPrior| {
                let lengths = [prior.mean.len(), prior.slope.len(), prior.precision.len()];
                // Nothing before the first is drawn.
                lengths == [0; 3] || lengths == [wide, wide, wide * wide]
            };
            if chain.noise.weights.len() != users + 1
                || chain.thresholds.len() != steps
                || !chain.priors.iter().all(fit)
            {
                return Err(wrong("the noise, thresholds or priors of a chain do not fit".into()));
            }
        }
        if [self.sums.len(), self.probabilities.len()] != [held_out, numbers] {
            let sums = self.sums.len();
            return Err(wrong(format!("{sums} sums of {held_out} held-out ratings")));
        }
        let traces = &self.traces;
        let sweeps = traces.sweeps();
        let whole = |of: &Vec<Vec<f64>>| of.len() == chains && of.iter().all(|x| x.len() == sweeps);
        let watches = traces.predictions.len() == watched && traces.predictions.iter().all(whole);
        if !whole(&traces.noise_precision) || !whole(&traces.noise_shape) || !watches {
            return Err(wrong("what was watched does not fit its chains and pairs".into()));
        }
        if self.samples.levels != levels {
            return Err(wrong("the levels of its samples are not those of the ratings".into()));
        }
        for sample in &self.samples.samples {
            sample.factors.check(users, items, k).map_err(|e| wrong(e.to_string()))?;
        }
        Ok(())
    }

    /// Thins the samples kept over `sweeps` to what `settings` keeps of them, where more sweeps are
    /// asked for than at first. False where that is more than there are.
    pub fn thin(&mut self, settings: &Settings, sweeps: usize) -> bool {
        let chains = self.chains.len().max(1);
        let (have, keep) = (self.samples.samples.len() / chains, settings.kept_by(sweeps));
        if keep > have {
            return false;
        }
        let kept: Vec<usize> = (1..=keep).map(|j| j * have / keep - 1).collect();
        let mut at = 0;
        // Chain after chain at each sweep that was kept.
        self.samples.samples.retain(|_| {
            at += 1;
            kept.binary_search(&((at - 1) / chains)).is_ok()
        });
        true
    }
}
