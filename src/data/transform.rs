//! Stand-in: the identity transform.

use serde::{Deserialize, Serialize};

/// What was done to the ratings before training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transform {}

impl Transform {
    /// A rating in the unit of the model.
    pub fn apply(&self, rating: f32) -> f32 {
        rating
    }

    /// A score in the unit of the ratings.
    pub fn invert(&self, score: f64) -> f64 {
        score
    }

    /// Whether ratings are left as they are.
    pub fn is_identity(&self) -> bool {
        true
    }

    /// Rating units per model unit, for a linear transform.
    pub fn scale(&self) -> Option<f64> {
        Some(1.0)
    }

    /// The transform in words.
    pub fn describe(&self) -> String {
        "none".into()
    }
}
