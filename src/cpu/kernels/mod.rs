//! One kernel a file, the twin of the shader of that name, and what they work on: lines, tables and sums
//! in one fixed order.

pub(super) mod choice_step;
pub(super) mod cholesky;
pub(super) mod contrast;
pub(super) mod copy;
pub(super) mod count;
pub(super) mod draw;
pub(super) mod error;
pub(super) mod gradient;
pub(super) mod gram;
pub(super) mod item_gradient;
pub(super) mod latent;
pub(super) mod lines;
pub(super) mod multiply_add;
pub(super) mod nonnegative;
pub(super) mod pairs;
pub(super) mod pick;
pub(super) mod prepare;
pub(super) mod products;
pub(super) mod residual;
pub(super) mod sample_scores;
pub(super) mod score;
pub(super) mod step;
pub(super) mod table;
pub(super) mod topk;
pub(super) mod user_gradient;
pub(super) mod vector;
pub(super) mod visit;
