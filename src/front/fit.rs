//! From ratings to a trained model.

use super::Trained;
use crate::Result;
use crate::backend::Backend;
use crate::core::Options;
use crate::data::Dataset;
use crate::train::{Event, Input, train};
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
/// assert!(model.evaluate(&test)?.rmse().unwrap() < 0.8);
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
    ratings: &'a Dataset,
    test: Option<&'a Dataset>,
    options: &'a Options,
    device: &'a Arc<dyn Backend>,
    listen: Box<dyn FnMut(&Event) -> ControlFlow<()> + 'a>,
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
        let listen = Box::new(|_: &Event| ControlFlow::Continue(()));
        Self { ratings, test: None, options, device, listen }
    }

    /// Ratings that are held against the model after each epoch: its error, or for implicit data
    /// recall and NDCG of lists of 20. What [`patience`](Options::patience) looks at.
    #[must_use]
    pub fn test(mut self, ratings: &'a Dataset) -> Self {
        self.test = Some(ratings);
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
    /// As [`fit`]; patience without test ratings.
    pub fn run(mut self) -> Result<Trained> {
        self.options.check()?;
        if self.options.patience.is_some() && self.test.is_none() {
            return Err(crate::Error::settings(
                "`patience` needs held-out ratings to look at; give some with Fit::test",
            ));
        }
        let prepared = self.ratings.prepare(self.test)?;
        let sizes = (prepared.users.len(), prepared.items.len());
        let settings = self.options.resolve(&prepared.train, sizes.0, sizes.1)?;
        let input = Input {
            test: prepared.test.as_ref(),
            ..Input::new(&prepared.users, &prepared.items, &prepared.train)
        };
        let better = self.device.better_for(&settings).map(|(device, _)| device);
        let device = better.as_ref().unwrap_or(self.device);
        let clock = input.clock;
        let start = clock();
        let listen = &mut |event: Event| Ok((self.listen)(&event));
        let outcome = train(&**device, input, &settings, listen)?;
        let seconds = clock() - start;
        let finished = outcome.finish(prepared, &settings, device.device(), seconds)?;
        Ok(Trained::new(finished, self.device.clone()))
    }
}
