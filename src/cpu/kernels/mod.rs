//! One kernel a file, the twin of the shader of that name, and what they work on: lines, tables and sums
//! in one fixed order.

pub mod cholesky;
pub mod copy;
pub mod count;
pub mod draw;
pub mod error;
pub mod gradient;
pub mod gram;
pub mod latent;
pub mod lines;
pub mod multiply_add;
pub mod nonnegative;
pub mod residual;
pub mod sample_scores;
pub mod score;
pub mod step;
pub mod table;
pub mod topk;
pub mod vector;
