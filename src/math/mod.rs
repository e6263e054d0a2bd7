//! Numbers: small dense matrices and inner products in f64, the normal distribution, counter-based
//! random numbers. Knows nothing of ratings.

pub(crate) mod dense;
pub mod gaussian;
pub(crate) mod product;
pub mod random;
