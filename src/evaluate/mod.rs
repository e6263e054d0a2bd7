//! How good a model is: rating metrics.
