//! From ratings to a trained model.

use super::Trained;
use crate::backend::Backend;
use crate::core::{Factors, Options, Settings};
use crate::data::{Dataset, Prepared};
use crate::model::Model;
use crate::train::{Event, Input, train, warm_start};
use crate::{Error, Result};
use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Trains a model on `ratings`.
///
/// ```
/// use wgmf::{Dataset, Options};
///
/// # fn main() -> wgmf::Result<()> {
/// let plays = Dataset::from_files(&["sample/plays.csv"])?;
/// let (train, test) = plays.split(0.1, 0)?;
/// let model = wgmf::fit(&train, &Options::als().factors(8), &wgmf::open_device("cpu")?)?;
/// assert!(model.evaluate(&test)?.rmse().unwrap() < 0.9);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Options that make no sense, or do not suit the ratings; a device that is too small or lost;
/// [`NonFinite`](crate::ErrorKind::NonFinite) when a factor overflows.
pub fn fit(ratings: &Dataset, options: &Options, device: &Arc<dyn Backend>) -> Result<Trained> {
    Fit::new(ratings, options, device).run()
}

/// A fit with more to say: ratings to test on after each epoch, a listener that may end it.
///
/// ```
/// use std::ops::ControlFlow;
/// use wgmf::train::{Event, Stop};
/// use wgmf::{Dataset, Fit, Options};
///
/// # fn main() -> wgmf::Result<()> {
/// let (train, test) = Dataset::from_files(&["sample/plays.csv"])?.split(0.1, 0)?;
/// let mut errors = Vec::new();
/// let model = Fit::new(&train, &Options::als().factors(8), &wgmf::open_device("cpu")?)
///     .test(&test)
///     .listen(|event| match event {
///         Event::Epoch(record) => {
///             errors.extend(record.test_error);
///             if record.epoch == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
///         }
///         _ => ControlFlow::Continue(()),
///     })
///     .run()?;
/// assert_eq!((model.stop(), errors.len()), (Some(Stop::Interrupted), 3));
/// # Ok(())
/// # }
/// ```
pub struct Fit<'a> {
    ratings: Cow<'a, Dataset>,
    test: Option<&'a Dataset>,
    holdout: Option<f64>,
    from: Option<&'a Trained>,
    options: &'a Options,
    device: &'a Arc<dyn Backend>,
    listen: Listener<'a>,
}

impl fmt::Debug for Fit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fit")
            .field("ratings", &self.ratings.len())
            .field("test", &self.test.map(Dataset::len))
            .field("options", self.options)
            .field("device", &self.device.device())
            .finish_non_exhaustive()
    }
}

impl<'a> Fit<'a> {
    /// As [`fit`] does it.
    pub fn new(ratings: &'a Dataset, options: &'a Options, device: &'a Arc<dyn Backend>) -> Self {
        Self::of(Cow::Borrowed(ratings), options, device)
    }

    /// The same of ratings that nobody needs any more, which are not copied.
    pub fn owning(ratings: Dataset, options: &'a Options, device: &'a Arc<dyn Backend>) -> Self {
        Self::of(Cow::Owned(ratings), options, device)
    }

    fn of(ratings: Cow<'a, Dataset>, options: &'a Options, device: &'a Arc<dyn Backend>) -> Self {
        let listen = Box::new(|_: &Event| ControlFlow::Continue(()));
        Self { ratings, test: None, holdout: None, from: None, options, device, listen }
    }

    /// Ratings that are held against the model after each epoch: its error, or for implicit data
    /// recall and NDCG of lists of 20. What [`patience`](Options::patience) looks at.
    #[must_use]
    pub fn test(mut self, ratings: &'a Dataset) -> Self {
        self.test = Some(ratings);
        self
    }

    /// Keeps a `fraction` of the ratings for that, drawn by the seed, of what users chose one of each user's: to the
    /// same model as `wgmf train --holdout` leads. In the place of [`test`](Self::test).
    #[must_use]
    pub fn holdout(mut self, fraction: f64) -> Self {
        self.holdout = Some(fraction);
        self
    }

    /// Starts from another model instead of at random: ids that it knows keep their rows until training
    /// moves them, new ones are folded in first. The ratings are all of them, old and new; ids of the
    /// other model without one are left out. The number of factors is its own where the options name
    /// none.
    #[must_use]
    pub fn from_model(mut self, model: &'a Trained) -> Self {
        self.from = Some(model);
        self
    }

    /// Who hears every event, and may break off: the model then is that of the epochs so far.
    #[must_use]
    pub fn listen(mut self, listen: impl FnMut(&Event) -> ControlFlow<()> + 'a) -> Self {
        self.listen = Box::new(listen);
        self
    }

    /// Trains, on the device given; where `auto` chose a GPU and the batches are too small for it, on the
    /// CPU (see [`open_device`](crate::open_device)).
    ///
    /// # Errors
    /// As [`fit`]; patience without test ratings; a start from a model of another kind, see
    /// [`warm_start`], of ratings that were transformed otherwise, or with logistic loss.
    pub fn run(mut self) -> Result<Trained> {
        self.options.check()?;
        let prepared = self.prepared()?;
        prepared.check_for(self.options.loss.unwrap_or_default())?;
        let sizes = (prepared.users.len(), prepared.items.len());
        let mut options = self.options.clone();
        if let Some(from) = self.from {
            options.factors.get_or_insert(from.model().factors.factors);
        }
        let suits = self.device.suits();
        let settings = options.resolve_for(suits, &prepared.train, sizes.0, sizes.1)?;
        let better = self.device.better_for(&settings).map(|(device, _)| device);
        let device = better.as_ref().unwrap_or(self.device);
        let init = match self.from {
            Some(from) => Some(start_from(&**device, from.model(), &prepared, &settings)?),
            None => None,
        };
        let input = Input {
            test: prepared.test.as_ref(),
            init,
            ..Input::new(&prepared.users, &prepared.items, &prepared.train)
        };
        let clock = input.clock;
        let start = clock();
        let listen = &mut |event: Event| Ok((self.listen)(&event));
        let outcome = train(&**device, input, &settings, listen)?;
        let seconds = clock() - start;
        let finished = outcome.finish(prepared, &settings, device.device(), seconds)?;
        Ok(Trained::new(finished, self.device.clone()))
    }

    /// The ratings, with what is held out of them or beside them; they are not needed after that.
    fn prepared(&mut self) -> Result<Prepared> {
        let ratings = std::mem::take(&mut self.ratings);
        match (self.holdout, self.test) {
            (Some(_), Some(_)) => {
                Err(Error::settings("`test` and `holdout` exclude each other; use one"))
            }
            (None, None) if self.options.patience.is_some() => Err(Error::settings(
                "`patience` needs held-out ratings to look at; give `holdout` or `test`",
            )),
            (Some(fraction), None) => {
                // What is ranked for every user is held out of every user's ratings.
                let per_user = self.options.is_implicit();
                let set = ratings.into_owned();
                set.into_prepared_holding_out(fraction, per_user, self.options.seed)
            }
            (None, test) => ratings.into_owned().into_prepared_with(test),
        }
    }
}

/// What hears of the events of training, and may break it off.
type Listener<'a> = Box<dyn FnMut(&Event) -> ControlFlow<()> + 'a>;

/// Where training on `prepared` ratings starts from `model`.
fn start_from(
    backend: &dyn Backend,
    model: &Model,
    prepared: &Prepared,
    settings: &Settings,
) -> Result<Factors> {
    prepared.check_start(&model.objective.transform)?;
    let ids = (&prepared.users, &prepared.items);
    warm_start(backend, model, ids, &prepared.train, settings).map(|(start, _)| start)
}
