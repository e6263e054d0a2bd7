//! A sweep of the Gibbs sampler: each side's hyperparameters and rows, then the noise or the thresholds
//! between levels, each drawn given all else.

use super::hyper::{Noise, NoisePrior, NormalWishart};
use super::start::draw_biases;
use super::thresholds::{Fit, Thresholds};
use crate::backend::{ALL, Conditional, GibbsPasses};
use crate::core::{Factors, Popularity, RowPrior, RowRatings, Side};
use crate::math::random::{Purpose, Stream};
use crate::{Error, Result};
use std::ops::ControlFlow;

/// What helps where the numbers leave what 32 bits can hold.
const UNSCALED: &str = "ratings so large, so small or so far apart do not fit 32 bits: scale them \
                        (`transform` zscore), or look for some far outside of the others";

/// What helps where nothing is left of the ratings.
const WHOLE: &str = "ratings that are predicted whole (all are alike, or the sum of what user and item say) leave \
                     no noise to draw, and `solver` als takes them";

/// What a chain has beside its factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// The noise.
    pub noise: Noise,
    /// The prior of the users' rows and that of the items'.
    pub priors: [RowPrior; 2],
    /// Where each level ends, but for the last; empty where ratings are no levels.
    pub thresholds: Vec<f64>,
}

impl Chain {
    /// The start of a chain: equal noise, and no priors yet, which are drawn before the rows.
    pub fn new(users: usize, spread: f64) -> Self {
        let thresholds = Vec::new();
        Self { noise: Noise::new(users, spread), priors: Default::default(), thresholds }
    }
}

/// What the steps of a sweep draw by: the priors of the hyperparameters, and the seed.
///
/// Each step leaves the joint distribution of ratings and parameters as it is, so any order of
/// them does; this one is users, items, noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    /// The prior of the users' rows and that of the items'.
    pub rows: [NormalWishart; 2],
    /// The prior of the noise.
    pub noise: NoisePrior,
    /// What draws the thresholds where ratings are levels: then there is no noise to draw.
    pub thresholds: Option<Thresholds>,
    /// The seed.
    pub seed: u64,
}

impl Sampler {
    /// Of ratings of the deviation `spread`. Returns besides each side's popularity, and that of its
    /// rows: (rows + 1), the last that of unknown ids.
    pub fn new(
        ratings: &RowRatings,
        (factors, bias): (usize, bool),
        spread: f64,
        seed: u64,
    ) -> (Self, [Popularity; 2], [Vec<f32>; 2]) {
        let counts = [Side::User, Side::Item].map(|side| ratings.side(side).counts());
        let popularity = counts.each_ref().map(|counts| Popularity::new(counts));
        let zeta = [0, 1].map(|side: usize| popularity[side].of_rows(&counts[side]));
        let rows = zeta.each_ref().map(|zeta| {
            let known = || zeta[..zeta.len() - 1].iter().map(|&x| f64::from(x));
            let popularity = [known().sum(), known().map(|x| x * x).sum()];
            NormalWishart { factors, bias, spread, popularity }
        });
        let noise = NoisePrior { spread, counts: ratings.users.weighed() };
        (Self { rows, noise, thresholds: None, seed }, popularity, zeta)
    }

    /// Gives the `start` of a chain biases about as large as the ratings say, and returns the standard
    /// deviation of the noise to begin with.
    pub fn start_biases(&self, chain: usize, ratings: &RowRatings, start: &mut Factors) -> f64 {
        let mut random = self.stream(chain, 0, Purpose::Hyperparameters).sequence(2);
        draw_biases(ratings, self.thresholds.is_some(), start, &mut random)
    }

    fn stream(&self, chain: usize, sweep: usize, purpose: Purpose) -> Stream {
        Stream::new(self.seed, chain as u32, sweep as u32, purpose)
    }

    /// Draws a side's hyperparameters and rows. Returns the ratings visited.
    ///
    /// # Errors
    /// If the rows are not finite, or the device is lost.
    pub fn draw_side(
        &self,
        passes: &mut dyn GibbsPasses,
        (chain, sweep): (usize, usize),
        side: Side,
        state: &mut Chain,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<usize> {
        let (purpose, latents) = match side {
            Side::User => (Purpose::Users, Purpose::UserLatents),
            Side::Item => (Purpose::Items, Purpose::ItemLatents),
        };
        let moments = passes.moments(chain, side, ALL)?.join();
        let mut random =
            self.stream(chain, sweep, Purpose::Hyperparameters).sequence(side.index() as u32);
        let (rows, before) = (&self.rows[side.index()], &state.priors[side.index()]);
        let prior = rows.draw(before, &moments, &mut random).map_err(|e| {
            Error::data(format!("sweep {sweep}: the {}s' prior: {e}; {UNSCALED}", side.name()))
        })?;
        let noise = &state.noise;
        let weights: &[f32] = match self.thresholds {
            Some(_) => &[],
            None => &noise.weights[..noise.weights.len() - 1],
        };
        let thresholds: Vec<f32> = state.thresholds.iter().map(|&x| x as f32).collect();
        let conditional = Conditional {
            prior: &prior,
            noise_precision: noise.precision,
            noise_weights: weights,
            thresholds: &thresholds,
            rows: self.stream(chain, sweep, purpose),
            latents: self.stream(chain, sweep, latents),
        };
        let done = passes.draw(chain, side, ALL, &conditional, watch)?;
        state.priors[side.index()] = prior;
        Ok(done)
    }

    /// Draws the noise. Returns the sum of the squared errors before it.
    ///
    /// # Errors
    /// If an error is not finite, or the device is lost.
    pub fn draw_noise(
        &self,
        passes: &mut dyn GibbsPasses,
        (chain, sweep): (usize, usize),
        state: &mut Chain,
    ) -> Result<f64> {
        let errors = passes.squared_errors(chain, ALL)?;
        let stream = self.stream(chain, sweep, Purpose::Noise);
        self.noise
            .draw(&mut state.noise, &errors, stream)
            .map_err(|e| Error::data(format!("sweep {sweep}: {e}; {WHOLE}; {UNSCALED}")))?;
        Ok(errors.iter().sum())
    }

    /// Draws the thresholds of levels. Returns how well the training ratings then are predicted;
    /// nothing where ratings are no levels.
    ///
    /// # Errors
    /// If the thresholds have no finite posterior, or the device is lost.
    pub fn draw_thresholds(
        &self,
        passes: &mut dyn GibbsPasses,
        (chain, sweep): (usize, usize),
        state: &mut Chain,
    ) -> Result<Option<Fit>> {
        let Some(thresholds) = &self.thresholds else { return Ok(None) };
        let predictions = passes.training_predictions(chain)?;
        let mut random = self.stream(chain, sweep, Purpose::Thresholds).sequence(0);
        thresholds.draw(&mut state.thresholds, &predictions, &mut random).map(Some)
    }
}
