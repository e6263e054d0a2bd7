//! Lists of a model: the best items for users, and what is alike.

use super::Model;
use super::measures::criterion;
use crate::dataset::{Dataset, side_of};
use crate::work;
use numpy::PyArray1;
use pyo3::prelude::*;
use std::sync::Arc;
use wgmf::core::{Side, UNKNOWN};
use wgmf::recommend::{Catalogue, Criterion, Metric, Neighbours, Recommender};

/// Rows and lists of them: of each entry the asked row, its place in the list, what is listed, its score.
pub(super) type Listed<'py> = (
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<u32>>,
    Bound<'py, PyArray1<f64>>,
);

/// The same before Python sees it.
#[derive(Default)]
struct Lists {
    asked: Vec<u32>,
    rank: Vec<u32>,
    rows: Vec<u32>,
    scores: Vec<f64>,
}

impl Lists {
    fn add(&mut self, asked: u32, list: impl Iterator<Item = (u32, f64)>) {
        for (rank, (row, score)) in list.enumerate() {
            self.asked.push(asked);
            self.rank.push(rank as u32 + 1);
            self.rows.push(row);
            self.scores.push(score);
        }
    }

    fn shown(self, py: Python<'_>) -> Listed<'_> {
        (
            PyArray1::from_vec(py, self.asked),
            PyArray1::from_vec(py, self.rank),
            PyArray1::from_vec(py, self.rows),
            PyArray1::from_vec(py, self.scores),
        )
    }
}

impl Model {
    /// The best items for users, all of them where none is named.
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    pub(super) fn best_items<'py>(
        &self,
        py: Python<'py>,
        users: Option<&Bound<'py, PyAny>>,
        n: usize,
        include_seen: bool,
        only: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
        by: Option<(String, f64)>,
    ) -> PyResult<Listed<'py>> {
        let (trained, model) = (&self.trained, self.trained.model());
        let rows = match users {
            Some(users) => self.rows(Side::User, users)?,
            None => (0..model.factors.users() as u32).collect(),
        };
        let kept = self.kept(Side::Item, only, exclude)?;
        let criterion = criterion(by)?;
        let lists = work::work(py, None, None, |watch| {
            let usual = kept.is_none() && !include_seen && criterion == Criterion::Mean;
            let recommender: Arc<Recommender<'_>> = match usual {
                true => trained.recommender()?,
                false => {
                    let keep = |row: u32| kept.as_ref().is_none_or(|kept| kept[row as usize]);
                    let catalogue = match trained.predictive()? {
                        Some(predictive) => Catalogue::by_samples(predictive, criterion, keep)?,
                        None => Catalogue::filtered(model.clone(), keep),
                    };
                    let recommender = Recommender::new(&**trained.device(), catalogue)?;
                    Arc::new(match include_seen {
                        true => recommender,
                        false => recommender.leaving_out(trained.seen().clone())?,
                    })
                }
            };
            let mut lists = Lists::default();
            recommender.each(rows, n, |user, list| {
                lists.add(user, list.iter().map(|best| (best.item, best.score)));
                watch.check()
            })?;
            Ok(lists)
        })?;
        Ok(lists.shown(py))
    }

    /// The rows most like others of a side.
    pub(super) fn alike<'py>(
        &self,
        py: Python<'py>,
        side: &str,
        ids: &Bound<'py, PyAny>,
        n: usize,
        only: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Listed<'py>> {
        let side = side_of(side)?;
        let (rows, kept) = (self.rows(side, ids)?, self.kept(side, only, exclude)?);
        let trained = &self.trained;
        let lists = work::work(py, None, None, |watch| {
            let neighbours = match kept {
                None => trained.neighbours(side)?,
                Some(kept) => {
                    let keep = |row: u32| kept[row as usize];
                    let (device, metric) = (&**trained.device(), Metric::Cosine);
                    Arc::new(match trained.predictive()? {
                        Some(predictive) => {
                            Neighbours::by_samples_among(device, predictive, side, metric, keep)?
                        }
                        None => {
                            Neighbours::among(device, trained.model().clone(), side, metric, keep)?
                        }
                    })
                }
            };
            let mut lists = Lists::default();
            neighbours.each(rows, n, |row, list| {
                lists.add(row, list.iter().map(|like| (like.row, like.score)));
                watch.check()
            })?;
            Ok(lists)
        })?;
        Ok(lists.shown(py))
    }

    /// Lists for users that the model does not know: the users, and rows of lists.
    pub(super) fn lists_of_new<'py>(
        &self,
        py: Python<'py>,
        ratings: &Dataset,
        n: usize,
    ) -> PyResult<(Bound<'py, PyAny>, Listed<'py>)> {
        let (items, set) = (&self.trained.model().items, ratings.set());
        let listed = work::work(py, None, None, |_| self.trained.recommend_for(&set, n))?;
        let (mut lists, mut users) = (Lists::default(), wgmf::core::Ids::new());
        for (user, list) in &listed {
            let asked = users.intern(user);
            let row = |id: &str| items.get(id).unwrap_or(UNKNOWN);
            lists.add(asked, list.iter().map(|best| (row(&best.id), best.score)));
        }
        Ok((ratings.labels[0].shown(py, &users)?, lists.shown(py)))
    }
}
