//! Both backends against a textbook in f64, and the comparisons shown to fail.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

#[path = "../support/common/mod.rs"]
mod common;
#[path = "../support/oracle/mod.rs"]
mod oracle;

mod faults;
mod gibbs_twins;
mod gpu_rows;
mod gradients;
mod latent_twins;
mod limits;
mod rank_twins;
mod row_faults;
mod row_limits;
mod row_twins;
mod twins;
