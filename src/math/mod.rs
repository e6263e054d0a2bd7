//! Numbers: small dense matrices in f64, the normal distribution, counter-based random numbers. Knows
//! nothing of ratings.

pub(crate) mod dense;
pub mod gaussian;
pub mod random;
