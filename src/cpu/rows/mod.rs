//! The row solvers' passes: which thread solves which rows.

pub mod normal;
pub mod objective;
pub mod passes;
pub mod plan;
pub mod row;
