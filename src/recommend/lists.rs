//! Lists of the best items for users, in bounded memory.

use super::{Catalogue, CatalogueRanker, Explained, Explainer, Explanation, Scored};
use crate::backend::Backend;
use crate::core::{Held, escaped};
use crate::model::{Model, Seen};
use crate::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::fmt;

/// Bytes of queries, lists and explanations that are in memory at once.
const AT_ONCE: usize = 64 << 20;
/// Users at once, at most: more make no backend faster.
const MOST_USERS: usize = 8192;

/// A recommended item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommendation {
    /// The item's row.
    pub item: u32,
    /// The prediction in the [`unit`](Model::unit) of the model: a rating with the transform
    /// undone, a probability, or a preference.
    pub score: f64,
    /// The score in its parts, where that was asked for.
    pub explanation: Option<Explanation>,
}

/// Makes lists of the best items of a catalogue for users of its model. The items lie on the device
/// for as long as it lives, and several threads may ask at once; one that is made of what is shared or
/// its own (see [`Held`]) is a `Recommender<'static>`, as a server keeps it.
pub struct Recommender<'a> {
    pub(super) ranker: CatalogueRanker<'a>,
    seen: Option<Held<'a, Seen>>,
    allowed: Option<Held<'a, Seen>>,
    explain: Option<(Held<'a, Explainer<'a>>, Held<'a, Seen>)>,
}

impl fmt::Debug for Recommender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recommender")
            .field("catalogue", self.ranker.catalogue())
            .field("leaves_out", &self.seen.is_some())
            .field("allows_some", &self.allowed.is_some())
            .field("explains", &self.explain.is_some())
            .finish_non_exhaustive()
    }
}

impl<'a> Recommender<'a> {
    /// Uploads the catalogue's items to the backend.
    ///
    /// # Errors
    /// An empty catalogue; a model whose parts do not fit each other; items that do not fit the device.
    pub fn new(
        backend: &dyn Backend,
        catalogue: impl Into<Held<'a, Catalogue<'a>>>,
    ) -> Result<Self> {
        let catalogue = catalogue.into();
        catalogue.model().check()?;
        if catalogue.is_empty() {
            return Err(Error::data("there is no item to recommend"));
        }
        let ranker = CatalogueRanker::new(backend, catalogue)?;
        Ok(Recommender { ranker, seen: None, allowed: None, explain: None })
    }

    /// Leaves the items that a user has in `seen` out of his list.
    ///
    /// # Errors
    /// A record of another model.
    pub fn leaving_out(mut self, seen: impl Into<Held<'a, Seen>>) -> Result<Self> {
        let seen = seen.into();
        self.check(&seen)?;
        self.seen = Some(seen);
        Ok(self)
    }

    /// Lists for each user those items of the catalogue only that he has in `allowed`, a record of pairs of
    /// whatever values.
    ///
    /// # Errors
    /// A record of another model.
    pub fn allowing(mut self, allowed: impl Into<Held<'a, Seen>>) -> Result<Self> {
        let allowed = allowed.into();
        self.check(&allowed)?;
        self.allowed = Some(allowed);
        Ok(self)
    }

    fn check(&self, seen: &Seen) -> Result<()> {
        let f = &self.model().factors;
        match (seen.users(), seen.items()) == (f.users(), f.items()) {
            true => Ok(()),
            false => Err(Error::data("the record of seen items is another model's")),
        }
    }

    fn model(&self) -> &Model {
        self.ranker.catalogue().model()
    }

    /// Solves each user's row again from his training ratings in `seen`, ranks by that row, and
    /// explains each score.
    ///
    /// # Errors
    /// A record without values, or without the weights that the model was trained with; a record or an explainer of another model.
    pub fn explained(
        mut self,
        explainer: impl Into<Held<'a, Explainer<'a>>>,
        seen: impl Into<Held<'a, Seen>>,
    ) -> Result<Self> {
        let (explainer, seen) = (explainer.into(), seen.into());
        if !seen.has_values() {
            return Err(Error::data(
                "the model holds no values of its training ratings (an earlier version trained \
                 it), so scores cannot be explained; train it again",
            ));
        }
        let weighed =
            self.model().run.data.get("weights").is_some_and(|weights| !weights.is_null());
        if weighed && !seen.has_weights() {
            return Err(Error::data(
                "the model was trained with `weights` or `half_life` and does not hold them (an earlier version \
                 trained it), so scores cannot be explained; train it again",
            ));
        }
        self.check(&seen)?;
        explainer.check_model(self.model())?;
        self.explain = Some((explainer, seen));
        Ok(self)
    }

    /// How many users are served at once for lists of `n`: what they need lies below a fixed
    /// number of bytes, or it is one user.
    pub fn users_at_once(&self, n: usize) -> usize {
        let (catalogue, f) = (self.ranker.catalogue(), &self.model().factors);
        let k = f.factors;
        let entry = size_of::<Scored>() + 2 * size_of::<Recommendation>();
        let n = n.min(catalogue.len());
        let excluded = match (&self.seen, catalogue.len() < f.items()) {
            _ if self.allowed.is_some() => 4 * catalogue.len(),
            (Some(_), true) => 4 * catalogue.len(),
            _ => 0,
        };
        let explained = match &self.explain {
            // A triangle in f64, and with each entry all items of the user (256, say).
            Some(_) => 8 * (k + 1) * (k + 1) + n * 256 * size_of::<(u32, f64)>(),
            None => 0,
        };
        let scores = catalogue.bytes_a_user();
        (AT_ONCE / (scores + n * entry + excluded + explained).max(1)).clamp(1, MOST_USERS)
    }

    /// Hands each user's list of the `n` best items to `each`, in order of `users`: best first,
    /// equal scores by item index; shorter where there are not so many items.
    ///
    /// # Errors
    /// What `each` returns; a user the model does not have; a score that overflows when the
    /// transform is undone; a lost device.
    pub fn each(
        &self,
        users: impl IntoIterator<Item = u32>,
        n: usize,
        mut each: impl FnMut(u32, &[Recommendation]) -> Result<()>,
    ) -> Result<()> {
        let at_once = self.users_at_once(n);
        let mut users = users.into_iter();
        let mut chunk = Vec::with_capacity(at_once);
        loop {
            chunk.clear();
            chunk.extend(users.by_ref().take(at_once));
            if chunk.is_empty() {
                return Ok(());
            }
            for (&user, list) in chunk.iter().zip(self.chunk(&chunk, n)?) {
                each(user, &list)?;
            }
        }
    }

    fn chunk(&self, users: &[u32], n: usize) -> Result<Vec<Vec<Recommendation>>> {
        let (catalogue, model) = (self.ranker.catalogue(), self.model());
        let f = &model.factors;
        if let Some(user) = users.iter().find(|&&user| user as usize >= f.users()) {
            return Err(Error::data(format!("user {user} is none of {}", f.users())));
        }
        let explained: Vec<Explained> = match &self.explain {
            Some((explainer, seen)) => users
                .par_iter()
                .map(|&user| {
                    let values = seen.values_of(user).unwrap_or_default();
                    explainer.solve(user, seen.items_of(user), values, seen.weights_of(user))
                })
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        let left_out = self.left_out(users);
        let excluded: Vec<&[u32]> = left_out.iter().map(|rows| &**rows).collect();
        let lists = match explained.is_empty() {
            true => self.ranker.top(users, &excluded, n)?,
            false => {
                let rows = explained.iter().flat_map(|explained| explained.factors());
                let rows: Vec<f32> = rows.map(|&x| x as f32).collect();
                self.ranker.top_of(&rows, &excluded, n)?
            }
        };
        let finish = |(at, list): (usize, Vec<Scored>)| -> Result<Vec<Recommendation>> {
            let user = users[at];
            let mut list: Vec<Recommendation> = list
                .into_iter()
                .map(|scored| {
                    let item = catalogue.item(scored.row);
                    let explanation = explained.get(at).map(|explained| explained.score(item));
                    let score = match &explanation {
                        Some(explanation) => model.in_unit(explanation.score),
                        None => catalogue.prediction(user, scored.score),
                    };
                    Recommendation { item, score, explanation }
                })
                .collect();
            if !explained.is_empty() {
                // The row that ranked them was rounded.
                let score = |r: &Recommendation| r.explanation.as_ref().map_or(0.0, |e| e.score);
                list.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.item.cmp(&b.item)));
            }
            for entry in &list {
                if !entry.score.is_finite() {
                    let user = escaped(model.users.name(user));
                    let item = escaped(model.items.name(entry.item));
                    let message =
                        format!("the prediction for user \"{user}\", item \"{item}\" overflows");
                    return Err(Error::data(message));
                }
            }
            Ok(list)
        };
        lists.into_par_iter().enumerate().map(finish).collect()
    }
}

impl Recommender<'_> {
    /// The candidates that are not listed for each of `users`, ascending; nothing where all are.
    fn left_out(&self, users: &[u32]) -> Vec<Cow<'_, [u32]>> {
        let catalogue = self.ranker.catalogue();
        let seen = |user: u32| match &self.seen {
            Some(seen) => catalogue.rows_of(seen.items_of(user)),
            None => Cow::Borrowed(&[][..]),
        };
        match (&self.seen, &self.allowed) {
            (_, Some(allowed)) => users
                .par_iter()
                .map(|&user| {
                    let mut open = vec![false; catalogue.len()];
                    let allowed = catalogue.rows_of(allowed.items_of(user));
                    allowed.iter().for_each(|&row| open[row as usize] = true);
                    seen(user).iter().for_each(|&row| open[row as usize] = false);
                    Cow::Owned((0..open.len() as u32).filter(|&row| !open[row as usize]).collect())
                })
                .collect(),
            (Some(_), None) => users.iter().map(|&user| seen(user)).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// The `n` best items for each of `users` (rows of the model), best first; items that `seen` has
/// for a user are left out of his list. All lists at once: [`Recommender`] streams them. By the model's
/// factors: what the samples of a Bayesian model say ranks [`Catalogue::by_samples`].
///
/// # Errors
/// A user the model does not have; a record of another model; a score that overflows when the
/// transform is undone; a lost device.
///
/// ```
/// use std::ops::ControlFlow;
/// use wgmf::cpu::Cpu;
/// use wgmf::core::{Objective, Options, Side};
/// use wgmf::data::{DataOptions, prepare};
/// use wgmf::model::Model;
/// use wgmf::recommend::recommend;
/// use wgmf::train::{Input, train};
///
/// # fn main() -> wgmf::Result<()> {
/// let data = prepare(&["sample/plays.csv".into()], &DataOptions::default(), 0, &())?;
/// let (users, items) = (data.users.len(), data.items.len());
/// let settings = Options { epochs: Some(2), ..Options::default() }.resolve(&data.train, users, items)?;
/// let input = Input::new(&data.users, &data.items, &data.train);
/// let outcome = train(&Cpu::new(), input, &settings, &mut |_| Ok(ControlFlow::Continue(())))?;
/// let model = Model {
///     typical: Default::default(),
///     factors: outcome.factors,
///     user_ratings: data.train.counts(Side::User, users),
///     item_ratings: data.train.counts(Side::Item, items),
///     users: data.users,
///     items: data.items,
///     objective: Objective::of(&settings, data.transform),
///     facts: Default::default(),
///     run: Default::default(),
/// };
/// # let home = tempfile::tempdir().unwrap();
/// # let dir = home.path().join("plays-model");
/// model.save(&dir, &data.train, false)?;
///
/// let model = Model::open(&dir)?;
/// let seen = model.open_seen(&dir)?;
/// let lists = recommend(&Cpu::new(), &model, Some(&seen), &[0, 1], 5)?;
/// assert_eq!(lists[1].len(), 5);
/// for best in &lists[0] {
///     assert!(seen.items_of(0).binary_search(&best.item).is_err());
///     assert!((best.score - model.predict(0, best.item)).abs() < 1e-9);
///     println!("{}: {:.2}", model.items.name(best.item), best.score);
/// }
/// # Ok(())
/// # }
/// ```
pub fn recommend(
    backend: &dyn Backend,
    model: &Model,
    seen: Option<&Seen>,
    users: &[u32],
    n: usize,
) -> Result<Vec<Vec<Recommendation>>> {
    let catalogue = Catalogue::all(model);
    let mut lists = Vec::with_capacity(users.len());
    let mut recommender = Recommender::new(backend, catalogue)?;
    if let Some(seen) = seen {
        recommender = recommender.leaving_out(seen)?;
    }
    recommender.each(users.iter().copied(), n, |_, list| {
        lists.push(list.to_vec());
        Ok(())
    })?;
    Ok(lists)
}
