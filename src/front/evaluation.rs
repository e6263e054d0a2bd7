//! What a measurement says, whatever the model.

use crate::core::{figure, plural};
use crate::evaluate::{PredictiveMetrics, RankingAt, RankingMetrics, RatingMetrics};
use std::fmt;

/// Figures of ratings that a model has not seen.
/// Serialized as the metrics that it holds.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Evaluation {
    /// Errors of predictions.
    Ratings(RatingMetrics),
    /// The same, and how honest the uncertainty is, of a Bayesian model.
    Predictive(PredictiveMetrics),
    /// How early lists hold what users turn out to like, of an implicit model.
    Ranking(RankingMetrics),
}

impl Evaluation {
    /// Root of the mean squared error, where ratings are predicted.
    pub fn rmse(&self) -> Option<f64> {
        self.ratings().map(|metrics| metrics.rmse)
    }

    /// Binary NDCG of the shortest lists, where lists are judged.
    pub fn ndcg(&self) -> Option<f64> {
        match self {
            Self::Ranking(metrics) => shortest(metrics).map(|at| at.ndcg.mean),
            Self::Ratings(_) | Self::Predictive(_) => None,
        }
    }

    /// The share of a user's relevant items that the shortest lists hold, where lists are judged.
    pub fn recall(&self) -> Option<f64> {
        match self {
            Self::Ranking(metrics) => shortest(metrics).map(|at| at.recall.mean),
            Self::Ratings(_) | Self::Predictive(_) => None,
        }
    }

    /// Mean cross-entropy in nats, of a model with logistic loss.
    pub fn log_loss(&self) -> Option<f64> {
        self.ratings().and_then(|metrics| metrics.log_loss)
    }

    /// Area under the ROC curve: with logistic loss of the labels, where lists are judged the mean over
    /// users, of all items. None where there is nothing to tell apart.
    pub fn auc(&self) -> Option<f64> {
        match self {
            Self::Ranking(metrics) => metrics.auc.map(|auc| auc.mean),
            Self::Ratings(_) | Self::Predictive(_) => self.ratings()?.auc,
        }
    }

    fn ratings(&self) -> Option<&RatingMetrics> {
        match self {
            Self::Ratings(metrics) => Some(metrics),
            Self::Predictive(metrics) => Some(&metrics.rating),
            Self::Ranking(_) => None,
        }
    }
}

fn shortest(metrics: &RankingMetrics) -> Option<&RankingAt> {
    metrics.at.iter().min_by_key(|at| at.n)
}

/// One line: the figures that are most looked at, and of how many ratings or users they are.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratings(metrics) => ratings(f, metrics),
            Self::Predictive(metrics) => {
                ratings(f, &metrics.rating)?;
                let density = figure(metrics.log_predictive_density, 4);
                let covers = figure(metrics.coverage_90, 3);
                write!(f, ", log predictive density {density}, 90 % intervals cover {covers}")
            }
            Self::Ranking(metrics) => {
                for at in &metrics.at {
                    let (recall, ndcg) = (figure(at.recall.mean, 4), figure(at.ndcg.mean, 4));
                    write!(f, "recall@{n} {recall}, NDCG@{n} {ndcg}, ", n = at.n)?;
                }
                write!(f, "{}", plural(metrics.users as usize, "user"))
            }
        }
    }
}

fn ratings(f: &mut fmt::Formatter<'_>, metrics: &RatingMetrics) -> fmt::Result {
    match metrics.log_loss {
        Some(loss) => write!(f, "log loss {}", figure(loss, 4))?,
        None => {
            write!(f, "RMSE {}, MAE {}", figure(metrics.rmse, 4), figure(metrics.mae, 4))?;
        }
    }
    write!(f, ", {}", plural(metrics.ratings as usize, "rating"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Estimate;

    #[test]
    fn figures_of_lists_are_of_the_shortest_in_whatever_order_they_were_asked_for() {
        let at = |n: usize| {
            let mean = Estimate { mean: n as f64, ..Estimate::default() };
            RankingAt { n, recall: mean, ndcg: mean, ..RankingAt::default() }
        };
        let metrics = RankingMetrics { at: vec![at(20), at(5), at(10)], ..Default::default() };
        let evaluation = Evaluation::Ranking(metrics);
        assert_eq!((evaluation.ndcg(), evaluation.recall()), (Some(5.0), Some(5.0)));
        assert_eq!(
            (evaluation.rmse(), evaluation.log_loss(), evaluation.auc()),
            (None, None, None)
        );
    }
}
