//! The row solvers' passes: which thread solves which rows.

pub(super) mod normal;
pub(super) mod objective;
pub(super) mod order;
pub(super) mod passes;
pub(super) mod row;
