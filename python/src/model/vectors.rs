//! Rows whose inner product ranks as a Bayesian model does.

use super::Model;
use crate::error;
use crate::work;
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use wgmf::core::Side;

impl Model {
    /// How many samples a Bayesian model's lists are the mean of; nothing of other models.
    ///
    /// # Errors
    /// Lists that are by no products: of what is bounded, or of levels.
    pub(super) fn samples_in_vectors(&self) -> PyResult<Option<usize>> {
        let Some(predictive) = self.trained.predictive().map_err(error::raised)? else {
            return Ok(None);
        };
        if predictive.range().is_some() || !predictive.samples().levels.is_empty() {
            return Err(error::settings(
                "a model that bounds its predictions (`clip`) or predicts levels (`likelihood`) ranks by no inner \
                 products; give samples=False for the means of its factors, which rank nearly alike",
            ));
        }
        Ok(Some(predictive.samples().samples.len()))
    }

    /// Of items each sample's factors and the mean of their biases, (rows, samples × factors + 1); of users each
    /// sample's factors over the number of samples, and 1. Their products are the means of what the samples add to a
    /// score that differs between items.
    pub(super) fn vectors_of_samples<'py>(
        &self,
        py: Python<'py>,
        side: Side,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows: Vec<u32> = match rows {
            Some(ids) => self.rows(side, ids)?,
            None => (0..self.trained.model().factors[side].rows() as u32).collect(),
        };
        let Some(count) = self.samples_in_vectors()? else {
            return Err(error::data("the model has no samples"));
        };
        let (samples, k) = (self.trained.samples(), self.trained.model().factors.factors);
        let width = count * k + 1;
        let mut numbers = Vec::new();
        if numbers.try_reserve_exact(rows.len() * width).is_err() {
            return Err(error::new(
                "memory",
                format!(
                    "{} rows under {count} samples are more than there is memory for; take fewer, a model of fewer \
                     samples (`keep`), or samples=False",
                    rows.len()
                ),
            ));
        }
        let numbers = work::work(py, None, None, |_| {
            let part = 1.0 / count as f32;
            for &row in &rows {
                let (at, mut bias) = (row as usize, 0.0);
                for sample in samples.iter().flat_map(|samples| &samples.samples) {
                    let own = &sample.factors[side];
                    let factors = &own.factors[at * k..(at + 1) * k];
                    match side {
                        Side::Item => numbers.extend_from_slice(factors),
                        Side::User => numbers.extend(factors.iter().map(|x| x * part)),
                    }
                    bias += f64::from(own.bias[at]);
                }
                numbers.push(match side {
                    Side::Item => (bias / count as f64) as f32,
                    Side::User => 1.0,
                });
            }
            Ok(numbers)
        })?;
        PyArray1::from_vec(py, numbers).reshape([rows.len(), width])
    }
}
