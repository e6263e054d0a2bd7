//! The passes of the losses made for ranking: softmax, ccl, bpr, warp.
//!
//! # A batch, step by step
//!
//! A [`ChoiceBatch`] has `B` pairs (u, i) of weight `w`, `U` distinct users, and `D` distinct items, of which
//! the first `M` are the *pool* that all its pairs are held against. No array of users × pool is ever whole
//! in memory: tiles of it are made, used and made again.
//!
//! 1. **`prepare`** (rows → (U, k), (D, k), and a scale a row) `z = mask ⊙ p / (1 − dropout)`, a row of the
//!    batch without the factors that are left out: factor `f` of row `r` stays where the Philox word of
//!    column `f` and row `r` of the stream (seed, chain 0, sweep [`step`](ChoiceBatch::step), purpose
//!    [`UserDropout`](crate::math::random::Purpose::UserDropout) or `ItemDropout`) is at least
//!    [`dropout_below`](ChoiceTerms::dropout_below). Cosine: `x = z/‖z‖` and the scale is `1/‖z‖`; a row of
//!    zeros stays zeros, and its scale is 0. Inner: `x = z`, the scale is 1.
//!    Scores are `s_aj = x_a · y_j + c_j`, with biases `c` of items where [`Terms::bias`] says so.
//! 2. *softmax, ccl:* **`contrast`** walks tiles of users × pool: for each user slot, over the slots `j` of
//!    the pool that are not [`known`](ChoiceBatch::known) of it, softmax the greatest `t_aj = s_aj/τ + ω_j`,
//!    `h_a`, and `e_a = Σ_j e^(t_aj − h_a)`; ccl `e_a = Σ_j m_j max(0, s_aj − θ)` and `h_a = Σ_j m_j`.
//!    *bpr, warp:* **`pick`**, for each pair: it looks at `draws[begins]`, the draw after it, and so on,
//!    beginning again at the first after the last; those that are known of the user are passed over and do not
//!    count; at most [`tries`](ChoiceTerms::tries) are looked at, and no draw twice. bpr takes the one of
//!    the greatest score, the first of equals. warp takes the first with `s_uj > s_ui − θ`, the `t`-th looked
//!    at (from 1). The slot, or [`UNKNOWN`](crate::core::UNKNOWN) where there is none, and `t`.
//! 3. **`pairs`**, for each pair: its score, its loss, `g = ∂ℓ/∂s_ui`, and of bpr and warp `−g`, which is that
//!    by the picked slot's score; of softmax and ccl a user's coefficient `κ_a`, summed over its pairs in
//!    their order.
//!    - softmax: `ℓ = w v (η ln Z − s_ui/τ)`, `Z = Σ_j e^(t_aj)`, with [`own`](ChoiceTerms::own) beside the
//!      pool's the pair's own `e^(s_ui/τ)`. With a cut-off `v = σ((s_ui − β_a)/τ_K)`, `β` the
//!      [`thresholds`](ChoiceBatch::thresholds), taken as a constant; else 1.
//!      `g = w v (η e^(s_ui/τ)/Z − 1)/τ`, without `own` `−w v/τ`.
//!      `∂ℓ/∂s_aj = κ_a e^(t_aj − h_a)`, `κ_a = Σ w v η e^(h_a)/(Z τ)` over the user's pairs.
//!    - ccl: `ℓ = w ((1 − s_ui) + λ e_a/h_a)`; `g = −w`; `∂ℓ/∂s_aj = κ_a m_j [s_aj > θ]`,
//!      `κ_a = Σ w λ/h_a`.
//!    - bpr: `ℓ = w ln(1 + e^(s_uj − s_ui))`, `g = −w σ(s_uj − s_ui)`.
//!    - warp: `ℓ = w L (θ + s_uj − s_ui)`, `g = −w L`, `L = H(⌊C/t⌋)` from
//!      [`place_weights`](ChoiceTerms::place_weights).
//!
//!    A user of whom every slot of the pool is known, and a pair for which nothing is picked, cost nothing and
//!    move nothing.
//! 4. **`user_gradient`** (U, k): `Σ_j ∂ℓ/∂s_aj y_j` over the pool (tiles again), and over the user's pairs in
//!    their order `g y_i` and of a picked slot `−g y_j`.
//! 5. **`item_gradient`** (D, k), and (D) of biases: `Σ_a ∂ℓ/∂s_aj x_a` over the users, for slots of the pool;
//!    `g x_u` over the slot's pairs in their order, and `−g x_u` over the pairs that picked it, in their order.
//!    A slot is one workgroup's, so the order of its sum is fixed.
//! 6. **`choice_step`**, a row of either side: the gradient `d` by `x` becomes that by the parameters, cosine
//!    `(d − (d·x) x)` times the scale, both times `mask/(1 − dropout)`, times `1/B`, and
//!    `2·reg·n/B` times the row is added, `n` its pairs in the batch and of an item those that picked it too
//!    (a slot of the pool alone has no penalty of its own); `2·reg_bias·n/B` of a bias. Then the optimizer as in
//!    `step`, on these rows alone.
//!
//! Both sides use the parameters from before the batch.

use super::{BETA1, BETA2, EpochSums, State, Terms, check_factors};
use crate::core::{ChoiceBatch, Contrast, Factors, Loss, Score, Settings};
use crate::{Error, Result};
use std::ops::ControlFlow;

/// What the passes of losses made for ranking work on.
pub struct ChoiceProblem {
    /// Number of user rows.
    pub users: usize,
    /// Number of item rows.
    pub items: usize,
    /// Where training starts, or goes on.
    pub start: State,
    /// The terms of the update: the loss, the optimizer, `reg`, `reg_bias`; of biases those of items alone.
    pub terms: Terms,
    /// The terms of the loss.
    pub choice: ChoiceTerms,
    /// The most that any batch has.
    pub most: ChoiceSizes,
    /// Whether items stand still: of a user who is folded in only his row moves, and by the gradient of the
    /// *sum* over his pairs, so that it does not matter who else is in the batch. Devices may leave that to the
    /// processor.
    pub still_items: bool,
}

/// Sizes of batches, at the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChoiceSizes {
    /// Pairs of a batch, and distinct users.
    pub pairs: usize,
    /// Distinct items of a pool.
    pub pool: usize,
    /// Draws of a pool.
    pub draws: usize,
}

/// The constants of a loss made for ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct ChoiceTerms {
    /// How two rows make a score.
    pub score: Score,
    /// `1/τ`.
    pub inverse_temperature: f32,
    /// `η`.
    pub negative_power: f32,
    /// Whether a pair's own score stands in its softmax beside the pool's.
    pub own: bool,
    /// `1/τ_K`, with a cut-off.
    pub inverse_cut: Option<f32>,
    /// `θ`.
    pub margin: f32,
    /// `λ`.
    pub negative_weight: f32,
    /// How many negatives `pick` looks at.
    pub tries: usize,
    /// (tries) of warp: `L` of a violator that is the `t`-th looked at stands at `t − 1`.
    pub place_weights: Vec<f32>,
    /// `1/(1 − dropout)`; 1 leaves nothing out.
    pub dropout_scale: f32,
    /// Factors whose random word is below this are left out.
    pub dropout_below: u32,
    /// The seed of these words.
    pub seed: u64,
}

impl ChoiceTerms {
    /// The terms that `settings` ask for, over so many items.
    pub fn new(settings: &Settings, contrast: &Contrast, items: usize) -> Self {
        let rank_weight = |tries: usize| {
            let rank = (items.saturating_sub(1) / tries).max(1);
            harmonic(rank) as f32
        };
        let warp = settings.loss == Loss::Warp;
        Self {
            score: contrast.score,
            inverse_temperature: (1.0 / contrast.temperature) as f32,
            negative_power: contrast.negative_power as f32,
            own: contrast.own(),
            inverse_cut: contrast.cut_off.map(|_| (1.0 / contrast.cut_temperature()) as f32),
            margin: contrast.margin as f32,
            negative_weight: contrast.negative_weight as f32,
            tries: contrast.tries,
            place_weights: (1..=contrast.tries).filter(|_| warp).map(rank_weight).collect(),
            dropout_scale: (1.0 / (1.0 - contrast.dropout)) as f32,
            dropout_below: (contrast.dropout * 4_294_967_296.0) as u32,
            seed: settings.seed,
        }
    }
}

/// `1 + 1/2 + … + 1/n`, to 1e-9: by Euler and Maclaurin's series from 32 on.
fn harmonic(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match n {
        ..32 => (1..=n).map(|k| 1.0 / k as f64).sum(),
        _ => {
            let n = n as f64;
            n.ln() + EULER + 0.5 / n - 1.0 / (12.0 * n * n)
        }
    }
}

impl ChoiceProblem {
    /// What [`Backend::choice_passes`](super::Backend::choice_passes) refuses on any device.
    pub(crate) fn check(&self) -> Result<()> {
        let State { factors, moments } = &self.start;
        check_factors(factors.factors)?;
        if !self.terms.loss.is_ranking() {
            let name = self.terms.loss.name();
            return Err(Error::settings(format!("`loss` {name} is not made for ranking")));
        }
        if moments.len() != self.terms.moments() {
            let (have, needed) = (moments.len(), self.terms.moments());
            return Err(Error::data(format!(
                "{have} arrays of moments, where {needed} are needed"
            )));
        }
        let (tries, places) = (self.choice.tries, self.choice.place_weights.len());
        if self.terms.loss == Loss::Warp && places < tries {
            return Err(Error::data(format!(
                "{places} weights of places, where {tries} tries need as many"
            )));
        }
        for of in [factors].into_iter().chain(moments) {
            of.check(self.users, self.items, factors.factors)?;
        }
        Ok(())
    }
}

/// Adam's step size of a step, from 0, with its corrections for moments that began at zero.
pub fn adam_rate(rate: f64, step: usize) -> f64 {
    let t = (step + 1) as f64;
    rate * (1.0 - BETA2.powf(t)).sqrt() / (1.0 - BETA1.powf(t))
}

/// What makes an epoch's batches, one after another.
pub type ChoiceBatches<'a> = dyn Iterator<Item = ChoiceBatch> + Send + 'a;

/// Passes of losses made for ranking over a problem that lies on a device.
pub trait ChoicePasses: Send {
    /// Takes a step for each of the batches, in their order. `watch` gets the pairs done so far after every
    /// batch or few, and may break off there. The sum is of the losses as they were before each batch's step.
    ///
    /// # Errors
    /// If the device is lost.
    ///
    /// # Panics
    /// If a batch names rows or slots that there are not.
    fn epoch(
        &mut self,
        batches: &mut ChoiceBatches,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums>;

    /// Remembers the parameters as they are now; [`kept`](Self::kept) gives them back.
    ///
    /// # Errors
    /// If the device is lost.
    fn keep(&mut self) -> Result<()>;

    /// The remembered parameters.
    ///
    /// # Errors
    /// If nothing was remembered, or the device is lost.
    fn kept(&mut self) -> Result<Factors>;

    /// The parameters as they are now: rows as they are stepped, whatever their length.
    ///
    /// # Errors
    /// If the device is lost.
    fn factors(&mut self) -> Result<Factors>;

    /// Parameters and moments as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn state(&mut self) -> Result<State>;

    /// What the kernels compute for a batch, without a step: for tests and diagnosis.
    ///
    /// # Errors
    /// If the device is lost.
    ///
    /// # Panics
    /// If the batch names rows or slots that there are not.
    fn probe(&mut self, batch: &ChoiceBatch) -> Result<ChoiceProbe>;
}

/// What a batch's kernels compute before the step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChoiceProbe {
    /// Sum of the loss.
    pub loss: f64,
    /// (B): the score of each pair.
    pub scores: Vec<f32>,
    /// (B): the picked slot of each pair, of bpr and warp.
    pub picks: Vec<u32>,
    /// (U, k): the gradient of the summed loss by each user's parameters, without penalty.
    pub users: Vec<f32>,
    /// (D, k): the same of items.
    pub items: Vec<f32>,
    /// (D): the same of items' biases; empty without biases.
    pub item_bias: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmonic_numbers_are_sums() {
        let mut sum = 0.0;
        for n in 1..2000 {
            sum += 1.0 / n as f64;
            assert!((harmonic(n) - sum).abs() < 2e-8, "H({n})");
        }
    }
}
