//! A trained model held against ratings that it has not seen.

use super::{Evaluation, Trained};
use crate::core::Side;
use crate::data::Dataset;
use crate::evaluate::{
    RankBy, RankingMetrics, RankingOptions, RatingBaselines, Relevance, leave_out_seen,
    predictive_metrics, ranking_metrics, rating_baselines, rating_metrics, seen_pairs, unknown_ids,
};
use crate::recommend::Criterion;
use crate::report::{Subject, report};
use crate::{Error, Result};

impl Trained {
    /// Measures the model on ratings that it has not seen: errors of predictions, of a Bayesian model with
    /// its uncertainty, of an implicit model the lists of 10 and 20, by the values above 0, with what was
    /// seen left out.
    ///
    /// # Errors
    /// Ratings that the model's transform cannot take, or labels other than 0 and 1 for logistic loss;
    /// of an implicit model no pair that could be in a list.
    pub fn evaluate(&self, test: &Dataset) -> Result<Evaluation> {
        if self.model().objective.is_implicit() {
            return self
                .evaluate_ranking(test, &[10, 20], Relevance::Chosen)
                .map(Evaluation::Ranking);
        }
        let ratings = test.aligned(&self.model().users, &self.model().items);
        let (unknown, seen) = (self.unknown(test), seen_pairs(self.seen(), &ratings) as u64);
        Ok(match self.predictive()? {
            Some(predictive) => {
                let mut metrics = predictive_metrics(&predictive, &ratings)?;
                [metrics.rating.unknown_users, metrics.rating.unknown_items] = unknown;
                metrics.rating.seen_pairs = seen;
                Evaluation::Predictive(metrics)
            }
            None => {
                let mut metrics = rating_metrics(self.model(), &ratings)?;
                [metrics.unknown_users, metrics.unknown_items] = unknown;
                metrics.seen_pairs = seen;
                Evaluation::Ratings(metrics)
            }
        })
    }

    /// The errors of what knows no tastes, biases alone and the mean, on ratings that it has not seen: what
    /// [`evaluate`](Self::evaluate) should be ahead of.
    ///
    /// # Errors
    /// As there; an implicit model, which has popularity to be held against (see
    /// [`RankBy`]).
    pub fn evaluate_baselines(&self, test: &Dataset) -> Result<RatingBaselines> {
        let ratings = test.aligned(&self.model().users, &self.model().items);
        rating_baselines(self.model(), self.seen(), &ratings)
    }

    /// How early lists of these lengths hold the test pairs that are relevant, over all items that a user
    /// has not seen in training.
    ///
    /// # Errors
    /// No relevant pair; a length of 0; a lost device.
    pub fn evaluate_ranking(
        &self,
        test: &Dataset,
        at: &[usize],
        relevance: Relevance,
    ) -> Result<RankingMetrics> {
        let options =
            RankingOptions { at: at.to_vec(), relevance, candidates: None, include_seen: false };
        let predictive = self.predictive()?;
        let by = match &predictive {
            Some(predictive) => RankBy::Samples(predictive, Criterion::Mean),
            None => RankBy::Model,
        };
        let ratings = test.aligned(&self.model().users, &self.model().items);
        let (model, seen) = (self.model(), self.seen());
        let mut metrics = ranking_metrics(&**self.device(), model, seen, &ratings, by, &options)?;
        [metrics.unknown_users, metrics.unknown_items] = self.unknown(test);
        Ok(metrics)
    }

    /// The model on a page of HTML, as [`report`](crate::report::report) makes it, with test ratings that it has
    /// not seen if there are any; those that it was trained on are left out. Lists are measured by the test pairs
    /// that are relevant; without `relevance` by what is [usual](Relevance::usual), if that is known. `titles`: what
    /// items are called, by index, empty of those that have their id alone.
    ///
    /// # Errors
    /// Test ratings that were all trained on, or that the model's transform cannot take; a lost device.
    pub fn report(
        &self,
        name: &str,
        test: Option<&Dataset>,
        relevance: Option<Relevance>,
        titles: &dyn Fn(u32) -> String,
    ) -> Result<String> {
        let (model, seen) = (&**self.model(), &**self.seen());
        let mut test = test.map(|test| test.aligned(&model.users, &model.items));
        let mut relevance = relevance;
        if let Some(test) = &mut test {
            leave_out_seen(seen, test);
            if test.is_empty() {
                return Err(Error::data(
                    "the model was trained on every test pair, which leaves none",
                ));
            }
            relevance = relevance.or_else(|| Relevance::usual(model, test).ok());
        }
        let samples = self.samples().map(|samples| &**samples);
        let subject = Subject {
            name,
            model,
            samples,
            seen,
            tested: "",
            test: test.as_ref(),
            relevance,
            titles,
        };
        report(&subject, &**self.device())
    }

    fn unknown(&self, test: &Dataset) -> [u64; 2] {
        Side::BOTH.map(|side| unknown_ids(test.ids(side), self.model().ids(side)).len() as u64)
    }
}
