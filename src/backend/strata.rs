//! The passes of gradient descent rating by rating.
//!
//! A wave's blocks share no row, so each is visited by one thread, rating after rating in the order of the
//! schedule ([`Strata`]). A visit predicts its rating and moves both rows and biases, each from what the
//! other was before: the step of a batch of one rating. It asks for no memory of earlier steps.

use super::gradient::check_rating_loss;
use super::{EpochSums, Terms, Visit, check_factors};
use crate::Result;
use crate::core::{Factors, Ratings, Strata};
use std::ops::ControlFlow;

/// What the passes rating by rating work on.
pub struct StrataProblem {
    /// Training ratings, cut into blocks.
    pub strata: Strata,
    /// Held-out ratings; [`UNKNOWN`](crate::core::UNKNOWN) stands for a row the model does not know.
    pub test: Ratings,
    /// Where training starts, or goes on.
    pub start: Factors,
    /// The terms of the objective and of the update, which is plain gradient descent.
    pub terms: Terms,
}

impl StrataProblem {
    /// What [`Backend::strata_passes`](super::Backend::strata_passes) refuses on any device.
    pub(crate) fn check(&self) -> Result<()> {
        let [users, items] = &self.strata.sides;
        let (users, items) = (users.places.len(), items.places.len());
        check_factors(self.start.factors)?;
        check_rating_loss(self.terms.loss)?;
        self.start.check(users, items, self.start.factors)?;
        self.test.check_rows(users, items, true)
    }
}

/// Passes rating by rating over a problem that lies on a device.
pub trait StrataPasses: Send {
    /// Visits all ratings of the waves ([`Visit::batch`]) in the given order. `watch` gets the ratings done
    /// so far after every wave, and may break off there.
    ///
    /// # Errors
    /// If the device is lost.
    ///
    /// # Panics
    /// If there is no such wave.
    fn epoch(
        &mut self,
        waves: &[Visit],
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<EpochSums>;

    /// Sum of the loss over the held-out ratings.
    ///
    /// # Errors
    /// If the device is lost.
    fn test_loss(&mut self) -> Result<f64>;

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

    /// The parameters as they are now.
    ///
    /// # Errors
    /// If the device is lost.
    fn factors(&mut self) -> Result<Factors>;
}
