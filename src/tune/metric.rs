//! What trials are judged by.

use crate::backend::Backend;
use crate::core::{Loss, Ratings, Settings};
use crate::evaluate::{RankBy, RankingAt, RankingOptions, Relevance, ranking_metrics};
use crate::model::EpochRecord;
use crate::predict::Predictive;
use crate::train::Finished;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// What trials are judged by, on ratings that they have not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// Root of the mean squared error, in the unit that is trained on (so of transformed ratings).
    Rmse,
    /// Mean absolute error, in the unit of the ratings.
    Mae,
    /// Mean cross-entropy in nats, of logistic loss.
    LogLoss,
    /// Area under the ROC curve of the labels, of logistic loss.
    Auc,
    /// A mean over users of lists of one length, by its name in [`RankingAt`].
    Ranking {
        /// Such as `ndcg`.
        name: &'static str,
        /// Length of the lists.
        n: usize,
    },
}

/// Of lists, those of which more is better.
const OF_LISTS: [&str; 8] =
    ["precision", "recall", "recall_min", "ndcg", "ndcg_graded", "map", "mrr", "hit_rate"];

impl FromStr for Metric {
    type Err = Error;

    /// `rmse`, `mae`, `log_loss`, `auc`, or of lists `ndcg@20` and the like.
    fn from_str(text: &str) -> Result<Self> {
        let name = text.trim().to_lowercase().replace('-', "_");
        let wrong = || {
            Error::settings(format!(
                "`metric` {text}: give rmse, mae, log_loss, auc, or of lists of N {}@N, such as ndcg@20",
                OF_LISTS.join("@N, ")
            ))
        };
        Ok(match (&*name, name.split_once('@')) {
            ("rmse", _) => Self::Rmse,
            ("mae", _) => Self::Mae,
            ("log_loss", _) => Self::LogLoss,
            ("auc", _) => Self::Auc,
            (_, Some((list, n))) => {
                let name = OF_LISTS.into_iter().find(|&known| known == list).ok_or_else(wrong)?;
                let n = n.parse().ok().filter(|&n: &usize| n > 0).ok_or_else(wrong)?;
                Self::Ranking { name, n }
            }
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rmse => f.write_str("rmse"),
            Self::Mae => f.write_str("mae"),
            Self::LogLoss => f.write_str("log_loss"),
            Self::Auc => f.write_str("auc"),
            Self::Ranking { name, n } => write!(f, "{name}@{n}"),
        }
    }
}

impl Metric {
    /// What training itself judges epochs by.
    pub fn usual(settings: &Settings) -> Self {
        match settings.loss {
            _ if settings.is_implicit() => Self::Ranking { name: "ndcg", n: 20 },
            Loss::Logistic => Self::LogLoss,
            _ => Self::Rmse,
        }
    }

    /// Whether more is better.
    pub fn more_is_better(&self) -> bool {
        matches!(self, Self::Auc | Self::Ranking { .. })
    }

    /// Whether `a` is better than `b`.
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        if self.more_is_better() { a > b } else { a < b }
    }

    /// Makes sure that a solver can be judged by it.
    ///
    /// # Errors
    /// Errors of what predicts no ratings, labels where there are none.
    pub(super) fn check(&self, settings: &Settings) -> Result<()> {
        let implicit = settings.is_implicit();
        let logistic = settings.loss == Loss::Logistic;
        let fits = match self {
            Self::Ranking { .. } => true,
            Self::Rmse | Self::Mae => !implicit && !logistic,
            Self::LogLoss | Self::Auc => logistic,
        };
        match fits {
            true => Ok(()),
            false => {
                let loss = match settings.loss {
                    Loss::Squared => String::new(),
                    loss => format!(" with `loss` {}", loss.name()),
                };
                Err(Error::settings(format!(
                    "`metric` {self} does not suit `solver` {}{loss}; {} does",
                    settings.solver.name(),
                    Self::usual(settings)
                )))
            }
        }
    }

    /// What an epoch says of itself, where training measures this. Lists that it judges are of some users
    /// only, how many depends on the factors, and so are none that settings can be told apart by.
    pub(super) fn of_epoch(&self, record: &EpochRecord) -> Option<f64> {
        match self {
            Self::Rmse => record.test_error.map(f64::sqrt),
            Self::LogLoss => record.test_error,
            _ => None,
        }
    }

    /// What a model reaches on `test`, whose values are as the user has them.
    ///
    /// # Errors
    /// No pair that could be in a list; ratings that are no stars, of which nobody knows which are relevant
    /// where `relevance` does not say it.
    pub(super) fn of_model(
        &self,
        device: &dyn Backend,
        finished: &Finished,
        test: &Ratings,
        relevance: Option<Relevance>,
    ) -> Result<f64> {
        let missing = || Error::data(format!("there is no {self} of this model"));
        let Self::Ranking { name, n } = self else {
            let metrics = finished.metrics.as_ref().ok_or_else(missing)?;
            let value = match self {
                Self::Mae => Some(metrics.mae),
                Self::Auc => metrics.auc,
                Self::LogLoss => metrics.log_loss,
                _ => Some(metrics.model_rmse.unwrap_or(metrics.rmse)),
            };
            return value.ok_or_else(missing);
        };
        let model = &finished.model;
        let relevance = relevance.map_or_else(|| Relevance::usual(model, test), Ok)?;
        let options =
            RankingOptions { at: vec![*n], relevance, candidates: None, include_seen: false };
        let samples = finished.samples.as_ref();
        let predictive = samples.map(|samples| Predictive::new(model, samples)).transpose()?;
        let by = match &predictive {
            Some(predictive) => RankBy::Samples(predictive, crate::recommend::Criterion::Mean),
            None => RankBy::Model,
        };
        let metrics = ranking_metrics(device, model, &finished.seen, test, by, &options)?;
        let of_list = |at: &RankingAt| at.means().into_iter().find(|(own, _)| own == name);
        metrics.at.first().and_then(of_list).map(|(_, estimate)| estimate.mean).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["rmse", "mae", "log_loss", "auc", "ndcg@20", "hit_rate@1", "recall_min@5"] {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
        }
        for name in ["", "ndcg", "ndcg@0", "ndcg@x", "popularity@5", "r2"] {
            let error = name.parse::<Metric>().unwrap_err().to_string();
            assert!(error.contains("ndcg@20"), "{error}");
        }
        assert!("ndcg@20".parse::<Metric>().unwrap().is_better(0.2, 0.1));
        assert!(Metric::Rmse.is_better(0.1, 0.2));
    }

    /// Whatever is offered is a mean that rankings have.
    #[test]
    fn lists_have_every_metric_that_is_offered() {
        let known = RankingAt::default().means().map(|(name, _)| name);
        assert!(OF_LISTS.iter().all(|name| known.contains(name)));
    }
}
