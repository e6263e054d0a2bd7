//! Two trained models held against the same ratings.

use super::Trained;
use crate::core::{Ratings, UNKNOWN};
use crate::data::Dataset;
use crate::evaluate::{
    ByUser, Comparison, RankBy, RankingOptions, Relevance, compare, ranking_by_user,
    ratings_by_user, seen_by_both,
};
use crate::model::Seen;
use crate::predict::Unit;
use crate::recommend::Criterion;
use crate::{Error, Result};

impl Trained {
    /// Which of two models predicts `test` ratings better, and how sure that is, by a paired bootstrap over
    /// users (see [`compare`]): what `wgmf compare` prints.
    ///
    /// # Errors
    /// Models that predict different things, or were trained on different labels; one that knows no user
    /// and no item of the test; fewer than two users.
    pub fn compare(&self, other: &Trained, test: &Dataset) -> Result<Comparison> {
        let (own, theirs) = (self.model(), other.model());
        if own.unit() != theirs.unit() {
            return Err(Error::data(
                "the models predict different things (ratings, probabilities, preferences), whose errors \
                 cannot be compared; compare their lists",
            ));
        }
        let alike = own.objective.transform == theirs.objective.transform;
        if !alike && own.unit() == Unit::Probability {
            return Err(Error::data(
                "the models were trained on different labels (their transforms differ), whose errors cannot \
                 be compared; compare their lists",
            ));
        }
        let mut comparison = compare(&self.errors_by_user(test)?, &other.errors_by_user(test)?)?;
        if !alike {
            comparison.figures.retain(|figure| !figure.name.starts_with("model_"));
        }
        Ok(comparison)
    }

    fn errors_by_user(&self, test: &Dataset) -> Result<ByUser> {
        let ratings = test.aligned(&self.model().users, &self.model().items);
        if ratings.iter().all(|(user, item, _)| user == UNKNOWN && item == UNKNOWN) {
            return Err(Error::data(
                "a model knows no user and no item of the test part; are the ids of the same kind?",
            ));
        }
        let predictive = self.predictive()?;
        ratings_by_user(self.model(), predictive.as_deref(), &ratings, &test.ratings().users)
    }

    /// Which of two models ranks better, in lists of these lengths: of the items that both know, without what
    /// either has seen, for the users whom both know.
    ///
    /// # Errors
    /// No item that both know; no relevant pair; a list of length 0; fewer than two users; a lost device.
    pub fn compare_lists(
        &self,
        other: &Trained,
        test: &Dataset,
        at: &[usize],
        relevance: Relevance,
    ) -> Result<Comparison> {
        let (own, theirs) = (self.model(), other.model());
        let common: Vec<(u32, u32)> = (0..own.items.len() as u32)
            .filter_map(|row| Some((row, theirs.items.get(own.items.name(row))?)))
            .collect();
        if common.is_empty() {
            return Err(Error::data("there is no item that both models know"));
        }
        let of = |model: &Trained, seen: Seen, mut rows: Vec<u32>| {
            rows.sort_unstable();
            let mut ratings = test.aligned(&model.model().users, &model.model().items);
            model.keep_known_to(&mut ratings, [self, other]);
            let options = RankingOptions {
                at: at.to_vec(),
                relevance,
                candidates: Some(rows),
                include_seen: false,
            };
            let predictive = model.predictive()?;
            let by = match &predictive {
                Some(predictive) => RankBy::Samples(predictive, Criterion::Mean),
                None => RankBy::Model,
            };
            let (device, inside) = (&**model.device(), model.model());
            let (_, by_user) = ranking_by_user(device, inside, &seen, &ratings, by, &options)?;
            Ok::<_, Error>(by_user.numbered(&inside.users, test.users()))
        };
        let pairs = [(&**own, &**self.seen()), (&**theirs, &**other.seen())];
        let seen = [seen_by_both(pairs[0], pairs[1])?, seen_by_both(pairs[1], pairs[0])?];
        let [seen_own, seen_theirs] = seen;
        compare(
            &of(self, seen_own, common.iter().map(|row| row.0).collect())?,
            &of(other, seen_theirs, common.iter().map(|row| row.1).collect())?,
        )
    }

    /// Leaves out the ratings of users whom not all `models` know.
    fn keep_known_to(&self, ratings: &mut Ratings, models: [&Trained; 2]) {
        let known = |&user: &u32| {
            let id = (user != UNKNOWN).then(|| self.model().users.name(user));
            id.is_some_and(|id| models.iter().all(|model| model.model().users.get(id).is_some()))
        };
        let known: Vec<bool> = ratings.users.iter().map(known).collect();
        ratings.retain(|row| known[row]);
    }
}
