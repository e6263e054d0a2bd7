//! The gradient solvers at work: where they start, and the visits of an epoch.

use super::run::{Input, Ready, Start, Watch, Work};
use super::start;
use crate::Result;
use crate::backend::{BETA1, BETA2, Backend, GradientPasses, GradientProblem, State, Terms, Visit};
use crate::core::{Batches, Factors, Optimizer, Settings, SideFactors};
use crate::model::EpochRecord;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// What helps where factors overflow.
pub(super) const REMEDY: &str = "lower `learning_rate` (and `reg` or `init_scale`, if they are \
                                 large), or bring the ratings to a smaller scale (`transform` \
                                 zscore or log1p)";

/// Lays the ratings out in batches and uploads them, to begin at `start`.
pub(super) fn ready<'a>(
    backend: &'a dyn Backend,
    input: &Input,
    settings: &'a Settings,
    optimizer: Optimizer,
    start: Start,
) -> Result<Ready<'a>> {
    let (users, items) = (input.users.len(), input.items.len());
    let terms = Terms::new(settings, optimizer);
    let start = change(start_of(start, input, settings, &terms)?, Factors::widened);
    let began = (input.clock)();
    let shuffle = settings.shuffle.then_some(settings.seed);
    let batches = Batches::try_new(input.ratings, users, items, settings.batch_size, shuffle)?;
    let layout_seconds = (input.clock)() - began;
    let (ratings, batch_count) = (batches.ratings(), batches.len());
    let test = input.test.cloned().unwrap_or_default();
    let test_ratings = test.len();
    let began = (input.clock)();
    let passes = backend.gradient_passes(GradientProblem { batches, test, start, terms })?;
    let upload_seconds = (input.clock)() - began;
    let work =
        GradientWork { passes, settings, optimizer, ratings, batches: batch_count, test_ratings };
    Ok(Ready { work: Box::new(work), layout_seconds, upload_seconds })
}

struct GradientWork<'a> {
    passes: Box<dyn GradientPasses>,
    settings: &'a Settings,
    optimizer: Optimizer,
    ratings: usize,
    batches: usize,
    test_ratings: usize,
}

impl Work for GradientWork<'_> {
    fn epoch(&mut self, record: &mut EpochRecord, watch: &mut Watch) -> Result<usize> {
        let visits = visits(self.settings, self.optimizer, record.epoch, self.batches);
        let sums = self.passes.epoch(&visits, watch)?;
        record.train_error = Some(sums.loss / self.ratings as f64);
        Ok(sums.ratings)
    }

    fn test(&mut self, record: &mut EpochRecord) -> Result<()> {
        if self.test_ratings > 0 {
            record.test_error = Some(self.passes.test_loss()? / self.test_ratings as f64);
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        self.passes.keep()
    }

    fn kept(&mut self) -> Result<Factors> {
        Ok(self.passes.kept()?.narrowed(self.settings.factors))
    }

    fn factors(&mut self) -> Result<Factors> {
        Ok(self.passes.factors()?.narrowed(self.settings.factors))
    }

    fn state(&mut self) -> Result<State> {
        Ok(change(self.passes.state()?, |of| of.narrowed(self.settings.factors)))
    }
}

/// Parameters and moments where training starts, or goes on.
pub(super) fn start_of(
    start: Start,
    input: &Input,
    settings: &Settings,
    terms: &Terms,
) -> Result<State> {
    let mean = start::global_mean(input.ratings, settings)?;
    let (users, items) = (input.users.len(), input.items.len());
    Ok(match start {
        Start::Random => {
            let mut factors = start::drawn(users, items, mean, settings)?;
            if settings.bias && settings.damping_bias > 0.0 {
                start::damped_biases(&mut factors, input.ratings, settings);
            }
            begin(factors, terms)?
        }
        Start::Given(init) => begin(Factors { global_mean: mean, ..init }, terms)?,
        Start::Resumed(state, _) => state,
    })
}

/// Parameters and moments, changed alike.
pub(super) fn change(state: State, change: impl Fn(Factors) -> Factors) -> State {
    let State { factors, moments } = state;
    State { factors: change(factors), moments: moments.into_iter().map(&change).collect() }
}

/// Parameters with moments of zero.
fn begin(factors: Factors, terms: &Terms) -> Result<State> {
    let zeros = || {
        let of = |rows: usize| SideFactors::try_zeros(rows, factors.factors);
        let sides = [of(factors.users())?, of(factors.items())?];
        Ok(Factors { factors: factors.factors, sides, global_mean: 0.0 })
    };
    let moments = (0..terms.moments()).map(|_| zeros()).collect::<Result<_>>()?;
    Ok(State { moments, factors })
}

/// The order in which an epoch takes its batches, or waves.
pub(super) fn turns(settings: &Settings, epoch: usize, count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    if settings.shuffle {
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        random.set_stream(epoch as u64);
        order.shuffle(&mut random);
    }
    order
}

/// The batches of an epoch in its own seeded order, each with its step size.
fn visits(settings: &Settings, optimizer: Optimizer, epoch: usize, batches: usize) -> Vec<Visit> {
    let order = turns(settings, epoch, batches);
    let rate = settings.learning_rate * settings.learning_rate_decay.powi(epoch as i32 - 1);
    let steps_before = (epoch - 1) * batches;
    let visit = |(turn, batch): (usize, u32)| {
        let rate = match optimizer {
            Optimizer::Sgd | Optimizer::Adagrad => rate,
            Optimizer::Adam => {
                let t = (steps_before + turn + 1) as f64;
                rate * (1.0 - BETA2.powf(t)).sqrt() / (1.0 - BETA1.powf(t))
            }
        };
        Visit { batch, rate: rate as f32 }
    };
    order.into_iter().enumerate().map(visit).collect()
}
