//! Checkpoints: everything a stopped run needs to go on to the same bits.

use crate::backend::State;
use crate::core::Factors;
use crate::model::EpochRecord;
use crate::sampler::SamplerState;

/// Everything a run needs to go on as if it had never stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Parameters and moments.
    pub state: State,
    /// The epochs so far.
    pub history: Vec<EpochRecord>,
    /// The parameters of the best epoch so far, with `patience`.
    pub best: Option<Factors>,
    /// What a sampler goes on from, beside that.
    pub sampler: Option<SamplerState>,
}
