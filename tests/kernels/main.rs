//! Both backends against a textbook in f64, and the comparisons shown to fail.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

#[path = "../support/common/mod.rs"]
mod common;
#[path = "../support/oracle/mod.rs"]
mod oracle;

mod choice_limits;
mod conformance;
mod faults;
mod gibbs_limits;
mod gradients;
mod limits;
mod rank_limits;
mod row_limits;
mod strata;
mod twins;
