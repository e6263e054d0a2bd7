//! What a measurement says, whatever the model.

use crate::evaluate::{PredictiveMetrics, RankingMetrics, RatingMetrics};
use std::fmt;

/// Figures of ratings that a model has not seen.
#[derive(Clone, Debug)]
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
        match self {
            Self::Ratings(metrics) => Some(metrics.rmse),
            Self::Predictive(metrics) => Some(metrics.rating.rmse),
            Self::Ranking(_) => None,
        }
    }

    /// Binary NDCG of the shortest lists, where lists are judged.
    pub fn ndcg(&self) -> Option<f64> {
        match self {
            Self::Ranking(metrics) => metrics.at.first().map(|at| at.ndcg.mean),
            Self::Ratings(_) | Self::Predictive(_) => None,
        }
    }
}

/// One line: the figures that are most looked at, and of how many ratings or users they are.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratings(metrics) => ratings(f, metrics),
            Self::Predictive(metrics) => {
                ratings(f, &metrics.rating)?;
                let (density, covers) = (metrics.log_predictive_density, metrics.coverage_90);
                write!(f, ", log predictive density {density:.4}, 90 % intervals cover {covers:.3}")
            }
            Self::Ranking(metrics) => {
                for at in &metrics.at {
                    let (n, recall, ndcg) = (at.n, at.recall.mean, at.ndcg.mean);
                    write!(f, "recall@{n} {recall:.4}, NDCG@{n} {ndcg:.4}, ")?;
                }
                write!(f, "{} users", metrics.users)
            }
        }
    }
}

fn ratings(f: &mut fmt::Formatter<'_>, metrics: &RatingMetrics) -> fmt::Result {
    match metrics.log_loss {
        Some(loss) => write!(f, "log loss {loss:.4}")?,
        None => write!(f, "RMSE {:.4}, MAE {:.4}", metrics.rmse, metrics.mae)?,
    }
    write!(f, ", {} ratings", metrics.ratings)
}
