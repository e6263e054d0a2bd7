//! The row solvers' passes: which thread solves which rows.

pub mod normal;
pub mod objective;
pub mod order;
pub mod passes;
pub mod row;
