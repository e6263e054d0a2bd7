//! The training and test parts that a model sees.

use crate::core::{Ids, Ratings, Transform};
use serde::{Deserialize, Serialize};

/// Ratings ready for training.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Users with at least one training rating, in order of first appearance.
    pub users: Ids,
    /// Items with at least one training rating, in order of first appearance.
    pub items: Ids,
    /// The training ratings, transformed, in order of the file.
    pub train: Ratings,
    /// The test ratings, transformed; a user or an item that the model lacks is [`UNKNOWN`].
    pub test: Option<Ratings>,
    /// The values of `test` as they are in the file.
    pub test_raw: Option<Vec<f32>>,
    /// How many test ratings have a user that the model lacks.
    pub test_unknown_users: usize,
    /// How many test ratings have an item that the model lacks.
    pub test_unknown_items: usize,
    /// What was done to the values.
    pub transform: Transform,
    /// Mean of the training values as they are in the file.
    pub train_raw_mean: f64,
    /// Counts and ranges.
    pub facts: DataFacts,
    /// One line a file of what was recognised, for people.
    pub recognised: Vec<String>,
}

/// What the data were, for reports and for the model's record. Values are as in the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    /// The files as the user named them, the test file last.
    pub files: Vec<String>,
    /// Ratings in the files, without those of a test file.
    pub ratings_read: usize,
    /// Ratings that were merged into another of the same pair.
    pub duplicates_merged: usize,
    /// Ratings that the filters left out.
    pub dropped_by_filters: usize,
    /// Users of the model.
    pub users: usize,
    /// Items of the model.
    pub items: usize,
    /// Training ratings.
    pub ratings: usize,
    /// Test ratings.
    pub test_ratings: usize,
    /// Least training value.
    pub min: f64,
    /// Largest training value.
    pub max: f64,
    /// Mean of the training values.
    pub mean: f64,
    /// Fraction of all pairs of a user and an item that have no training rating.
    pub sparsity: f64,
}
