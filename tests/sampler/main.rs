//! The Gibbs sampler and what its samples say.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

#[path = "../support/common/mod.rs"]
mod common;
#[path = "../support/fixture/mod.rs"]
mod fixture;
#[path = "../support/oracle/mod.rs"]
mod oracle;
#[path = "../support/place/mod.rs"]
mod place;

mod bayes_model;
mod fold_in_bayes;
mod fold_in_bayes_rows;
mod gibbs_calibration;
mod gibbs_conditional;
mod gibbs_geweke;
mod gibbs_posterior;
mod levels;
mod little_seen;
mod mixture;
mod predictive;
