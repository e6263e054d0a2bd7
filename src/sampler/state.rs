//! What a sampler goes on from, beside the factors of its first chain.

use super::steps::Chain;
use crate::core::{Factors, Settings};
use crate::model::Samples;

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
    /// Thins the samples kept over `sweeps` to what `settings` keeps of them, where more sweeps are
    /// asked for than at first. False where that is more than there are.
    pub fn thin(&mut self, settings: &Settings, sweeps: usize) -> bool {
        let chains = self.chains.len();
        let (have, keep) = (self.samples.samples.len() / chains.max(1), settings.kept_by(sweeps));
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
