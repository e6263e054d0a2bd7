//! A trained model with all that belongs to it, on a device.

use crate::backend::Backend;
use crate::core::{Side, UNKNOWN, escaped};
use crate::data::Dataset;
use crate::model::{Model, Samples, Seen};
use crate::predict::Predictive;
use crate::recommend::{
    Catalogue, Criterion, FoldedIn, Metric, Neighbours, NewRows, Recommendation, Recommender,
    Similar,
};
use crate::train::{Finished, Stop};
use crate::{Error, Result};
use std::fmt::{self, Display, Write};
#[cfg(feature = "files")]
use std::path::Path;
use std::sync::{Arc, Mutex, TryLockError};

/// An id in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The id of the item (or of the user).
    pub id: String,
    /// Of a recommendation what [`predict`](Trained::predict) says of it (a rating, for logistic loss a
    /// probability, of an implicit model a preference); of a likeness the cosine.
    pub score: f64,
}

/// A trained model with all that belongs to it: its samples, the training pairs, a device. Cheap to
/// clone, and may be shared among threads: what ranks is uploaded once, when it is first asked for.
#[derive(Clone)]
pub struct Trained {
    model: Arc<Model>,
    samples: Option<Arc<Samples>>,
    seen: Arc<Seen>,
    device: Arc<dyn Backend>,
    stop: Option<Stop>,
    // Made of the others, which therefore never change.
    ready: Arc<Ready>,
}

/// What comes of folding in: the larger model, and what became of the ids of the ratings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Folded {
    /// The model with the new rows.
    pub trained: Trained,
    /// The ids that are new in it, in the order of the ratings' own.
    pub new: Vec<String>,
    /// Ids that the model had already: their rows are as they were, their ratings left out.
    pub known: Vec<String>,
    /// New ids that are left out: none of their ratings is with an id that the model knows on the other
    /// side.
    pub empty: Vec<String>,
    /// Ids of the other side that the model does not know: their ratings are left out.
    pub strangers: Vec<String>,
}

/// What is made when it is first asked for, and lies on the device from then on.
#[derive(Default)]
struct Ready {
    predictive: Once<Predictive<'static>>,
    recommender: Once<Recommender<'static>>,
    neighbours: [Once<Neighbours<'static>>; 2],
}

/// A value that is made once, by whoever asks first; the others wait. Workers of rayon's do not, which
/// could be waiting for work further down their own stack: they make one for themselves.
struct Once<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Once<T> {
    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut slot = match self.0.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::WouldBlock) if rayon::current_thread_index().is_some() => {
                return make().map(Arc::new);
            }
            Err(_) => self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()),
        };
        if let Some(value) = &*slot {
            return Ok(value.clone());
        }
        let value = Arc::new(make()?);
        *slot = Some(value.clone());
        Ok(value)
    }
}

/// How large it is, and where it ranks.
impl fmt::Debug for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trained")
            .field("users", &self.model.factors.users())
            .field("items", &self.model.factors.items())
            .field("factors", &self.model.factors.factors)
            .field("objective", &self.model.objective)
            .field("samples", &self.samples.as_ref().map_or(0, |samples| samples.samples.len()))
            .field("device", &self.device.device())
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl Trained {
    pub(super) fn new(finished: Finished, device: Arc<dyn Backend>) -> Self {
        let Finished { model, samples, seen, stop, .. } = finished;
        Self::of(model, samples, seen, device, Some(stop))
    }

    fn of(
        model: Model,
        samples: Option<Samples>,
        seen: Seen,
        device: Arc<dyn Backend>,
        stop: Option<Stop>,
    ) -> Self {
        let (model, samples, seen) = (Arc::new(model), samples.map(Arc::new), Arc::new(seen));
        Self { model, samples, seen, device, stop, ready: Arc::default() }
    }

    /// Of a model that comes from elsewhere, with the training pairs (`seen`: users × items of the model)
    /// and, if and only if it is Bayesian, its samples. `device` ranks and folds in.
    ///
    /// # Errors
    /// A model whose parts do not fit; training pairs or samples of another model; samples that are
    /// missing, or that the model has no use for.
    pub fn from_parts(
        model: Model,
        samples: Option<Samples>,
        seen: Seen,
        device: &Arc<dyn Backend>,
    ) -> Result<Self> {
        model.check()?;
        let (users, items) = (model.factors.users(), model.factors.items());
        if (seen.users(), seen.items()) != (users, items) {
            return Err(Error::data(format!(
                "the training pairs are of {} users and {} items, the model has {users} and {items}",
                seen.users(),
                seen.items()
            )));
        }
        match (&samples, model.is_bayesian()) {
            (Some(samples), true) => samples.check(&model.factors).map_err(|wrong| {
                Error::data(format!("the samples are not those of the model: {wrong}"))
            })?,
            (None, false) => {}
            (None, true) => return Err(Error::data("a model of `solver` bayes needs its samples")),
            (Some(_), false) => {
                return Err(Error::data("only a model of `solver` bayes has samples"));
            }
        }
        Ok(Self::of(model, samples, seen, device.clone(), None))
    }

    /// The factors, the ids, what they were trained to do, and on which device (`run`).
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Samples of the posterior, of a Bayesian model.
    pub fn samples(&self) -> Option<&Arc<Samples>> {
        self.samples.as_ref()
    }

    /// The training pairs.
    pub fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }

    /// The device that ranks and folds in.
    pub fn device(&self) -> &Arc<dyn Backend> {
        &self.device
    }

    /// Why training ended; nothing where the model was opened, or made of its parts.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The model, its samples and the training pairs, to be changed and put together again by
    /// [`from_parts`](Self::from_parts). What others share is cloned.
    pub fn into_parts(self) -> (Model, Option<Samples>, Seen) {
        let Self { model, samples, seen, ready, .. } = self;
        // What lies on the device holds the model too.
        drop(ready);
        (Arc::unwrap_or_clone(model), samples.map(Arc::unwrap_or_clone), Arc::unwrap_or_clone(seen))
    }

    /// Opens a model directory, checked whole.
    ///
    /// # Errors
    /// A directory that is no model, or a damaged one: the file and what to do.
    #[cfg(feature = "files")]
    pub fn open(dir: impl AsRef<Path>, device: &Arc<dyn Backend>) -> Result<Self> {
        let (model, samples, seen) = Model::open_whole(dir)?;
        // Each was checked against the model when it was read.
        Ok(Self::of(model, samples, seen, device.clone(), None))
    }

    /// Writes a model directory, whole or not at all. A model that is there is replaced only with
    /// `overwrite`, anything else never.
    ///
    /// # Errors
    /// A place that cannot be written, or holds something else.
    #[cfg(feature = "files")]
    pub fn save(&self, dir: impl AsRef<Path>, overwrite: bool) -> Result<()> {
        self.model.save_with(dir, &self.seen, self.samples.as_deref(), overwrite)
    }

    /// What is predicted for a pair of ids, in the unit of the user's ratings (a probability for
    /// logistic loss, a preference for implicit data). Ids that the model does not know leave the means
    /// that are known.
    ///
    /// # Errors
    /// Samples that are not the model's; a prediction that overflows.
    pub fn predict(&self, user: impl Display, item: impl Display) -> Result<f64> {
        let row = |side: Side, id: &str| self.model.ids(side).get(id).unwrap_or(UNKNOWN);
        let (user, item) = (row(Side::User, &text(user)?), row(Side::Item, &text(item)?));
        let prediction = match self.predictive()? {
            Some(predictive) => {
                predictive.summaries(&[user], &[item], &Default::default())?[0].mean
            }
            None => self.model.predict(user, item),
        };
        match prediction.is_finite() {
            true => Ok(prediction),
            false => {
                Err(Error::data("the prediction overflows: the model's factors are too large"))
            }
        }
    }

    /// The `n` best items for a user of the model, best first, those of his training ratings left out.
    ///
    /// # Errors
    /// A user the model does not know; a lost device.
    pub fn recommend(&self, user: impl Display, n: usize) -> Result<Vec<Listed>> {
        Ok(self.recommend_many(&[user], n)?.remove(0))
    }

    /// The lists of several users, in their order.
    ///
    /// # Errors
    /// As [`recommend`](Self::recommend).
    pub fn recommend_many<U: Display>(&self, users: &[U], n: usize) -> Result<Vec<Vec<Listed>>> {
        let row = |user: &U| self.row(Side::User, &text(user)?);
        let rows: Vec<u32> = users.iter().map(row).collect::<Result<_>>()?;
        let mut lists = Vec::with_capacity(rows.len());
        self.recommender()?.each(rows, n, |_, list| {
            lists.push(self.listed(list));
            Ok(())
        })?;
        Ok(lists)
    }

    /// What makes [`recommend`](Self::recommend)'s lists, by rows of the model; its items lie on the device once
    /// for all who ask.
    ///
    /// # Errors
    /// Items that do not fit the device; a lost device.
    pub fn recommender(&self) -> Result<Arc<Recommender<'static>>> {
        self.ready.recommender.get(|| {
            let catalogue = match self.predictive()? {
                Some(predictive) => Catalogue::by_samples(predictive, Criterion::Mean, |_| true)?,
                None => Catalogue::all(self.model.clone()),
            };
            Recommender::new(&*self.device, catalogue)?.leaving_out(self.seen.clone())
        })
    }

    fn listed(&self, list: &[Recommendation]) -> Vec<Listed> {
        let listed = |best: &Recommendation| Listed {
            id: self.model.items.name(best.item).to_owned(),
            score: best.score,
        };
        list.iter().map(listed).collect()
    }

    /// The `n` items most like an item, by the cosine of their factors.
    ///
    /// # Errors
    /// An item the model does not know; a lost device.
    pub fn similar_items(&self, item: impl Display, n: usize) -> Result<Vec<Listed>> {
        self.similar(Side::Item, &text(item)?, n)
    }

    /// The `n` users most like a user.
    ///
    /// # Errors
    /// A user the model does not know; a lost device.
    pub fn similar_users(&self, user: impl Display, n: usize) -> Result<Vec<Listed>> {
        self.similar(Side::User, &text(user)?, n)
    }

    /// What makes the lists of who or what is like whom, by rows of the model, likewise.
    ///
    /// # Errors
    /// As [`recommender`](Self::recommender); a model without factors.
    pub fn neighbours(&self, side: Side) -> Result<Arc<Neighbours<'static>>> {
        self.ready.neighbours[side.index()].get(|| match self.predictive()? {
            Some(predictive) => {
                Neighbours::by_samples(&*self.device, predictive, side, Metric::Cosine)
            }
            None => Neighbours::new(&*self.device, self.model.clone(), side, Metric::Cosine),
        })
    }

    fn similar(&self, side: Side, id: &str, n: usize) -> Result<Vec<Listed>> {
        let row = self.row(side, id)?;
        let neighbours = self.neighbours(side)?;
        let mut listed = Vec::new();
        neighbours.each([row], n, |_, list| {
            let ids = self.model.ids(side);
            let of =
                |like: &Similar| Listed { id: ids.name(like.row).to_owned(), score: like.score };
            listed.extend(list.iter().map(of));
            Ok(())
        })?;
        Ok(listed)
    }

    /// The `n` best items for each user of `ratings` that the model does not know, as
    /// [`fold_in`](Self::fold_in) and [`recommend`](Self::recommend) would give them, in order of
    /// their ids; the model stays as it is, and its items, once uploaded, are not uploaded again. Users
    /// that cannot be folded in have no list.
    ///
    /// # Errors
    /// As [`fold_in`](Self::fold_in).
    ///
    /// ```
    /// use wgmf::{Dataset, Options};
    ///
    /// # fn main() -> wgmf::Result<()> {
    /// let plays = Dataset::from_files(&["sample/plays.csv"])?;
    /// let model = wgmf::fit(&plays, &Options::als().factors(8), &wgmf::open_device("cpu")?)?;
    /// let zoe = Dataset::from_triples(&["Zoe"; 2], &["Amber Bells", "Dim Glass"], &[5.0, 1.0])?;
    /// for (user, list) in model.recommend_for(&zoe, 3)? {
    ///     println!("{user}: {}", list[0].id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recommend_for(&self, ratings: &Dataset, n: usize) -> Result<Vec<(String, Vec<Listed>)>> {
        let (rows, folded) = self.fold(Side::User, ratings)?;
        let recommender = self.recommender()?;
        let lists = match recommender.is_ranked_by_backend() {
            true => {
                let lists = recommender.of_folded(&folded, n)?;
                lists.iter().map(|list| self.listed(list)).collect()
            }
            // Every sample's score of every item is made anew for each user.
            false => {
                let users: Vec<&str> = rows.ids.iter().collect();
                self.joined(&folded)?.recommend_many(&users, n)?
            }
        };
        Ok(rows.ids.iter().map(str::to_owned).zip(lists).collect())
    }

    /// This model with rows for the users of `ratings` that it does not know, each solved (of a Bayesian
    /// model drawn) from his ratings, all else as it is. Ratings of items that the model does not know
    /// are left out, and so are users that it knows: [`Folded`] names both.
    ///
    /// The model is copied, and what it lists is uploaded anew: for the lists of one request there is
    /// [`recommend_for`](Self::recommend_for).
    ///
    /// # Errors
    /// No user who is new and has a rating that can be used; a rating that the model's objective or
    /// transform cannot take; a row that its ratings do not determine; a lost device.
    pub fn fold_in(&self, ratings: &Dataset) -> Result<Folded> {
        self.with_folded(Side::User, ratings)
    }

    /// The same with new items, from ratings of users that the model knows.
    ///
    /// # Errors
    /// As [`fold_in`](Self::fold_in).
    pub fn fold_in_items(&self, ratings: &Dataset) -> Result<Folded> {
        self.with_folded(Side::Item, ratings)
    }

    fn with_folded(&self, side: Side, ratings: &Dataset) -> Result<Folded> {
        let (rows, folded) = self.fold(side, ratings)?;
        let trained = self.joined(&folded)?;
        let NewRows { ids, known, empty, strangers, .. } = rows;
        Ok(Folded {
            trained,
            new: ids.iter().map(str::to_owned).collect(),
            known,
            empty,
            strangers,
        })
    }

    /// The rows of new ids.
    fn fold(&self, side: Side, ratings: &Dataset) -> Result<(NewRows, FoldedIn)> {
        let mut rows = NewRows::of_dataset(&self.model, &self.seen, side, ratings)?;
        if rows.ids.is_empty() {
            let (own, partner) = (side.name(), side.partner().name());
            return Err(Error::data(format!(
                "no {own} is new and has a rating with a {partner} that the model knows"
            )));
        }
        let own = NewRows {
            ids: rows.ids.clone(),
            ratings: std::mem::take(&mut rows.ratings),
            ..NewRows::default()
        };
        let folded = own.fold_in(&*self.device, &self.model, self.samples.as_deref(), side)?;
        Ok((rows, folded))
    }

    /// The model with these rows.
    fn joined(&self, folded: &FoldedIn) -> Result<Self> {
        let mut model = Model::clone(&self.model);
        let mut samples = self.samples.as_deref().cloned();
        let seen = folded.join(&mut model, samples.as_mut(), &self.seen)?;
        Ok(Self::of(model, samples, seen, self.device.clone(), self.stop))
    }

    /// What its samples say of pairs, of a Bayesian model.
    ///
    /// # Errors
    /// Samples that are not the model's.
    pub fn predictive(&self) -> Result<Option<Arc<Predictive<'static>>>> {
        let make = |samples: &Arc<Samples>| {
            let (model, samples) = (self.model.clone(), samples.clone());
            self.ready.predictive.get(|| Predictive::new(model, samples))
        };
        self.samples.as_ref().map(make).transpose()
    }

    fn row(&self, side: Side, id: &str) -> Result<u32> {
        self.model.ids(side).get(id).ok_or_else(|| {
            let (side, id) = (side.name(), escaped(id));
            Error::data(format!("{side} \"{id}\" is not in the model; new ones can be folded in"))
        })
    }
}

/// An id as it is displayed.
fn text(id: impl Display) -> Result<String> {
    let mut text = String::new();
    write!(text, "{id}").map_err(|_| Error::data("an id cannot be displayed"))?;
    Ok(text)
}
