//! The library as its users call it.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

#[path = "../support/common/mod.rs"]
mod common;
#[path = "../support/fixture/mod.rs"]
mod fixture;
#[path = "../support/oracle/mod.rs"]
mod oracle;
#[path = "../support/place/mod.rs"]
mod place;
#[path = "../support/planted/mod.rs"]
mod planted;

#[cfg(feature = "parquet")]
mod columnar;
mod crash;
mod data;
mod defaults;
mod determinism;
mod evaluate;
mod evaluate_ranking;
mod examples;
mod fold_in;
mod front;
mod golden;
mod golden_losses;
mod honest;
mod hostile;
mod lost_device;
mod model;
mod order;
mod panics;
mod panics_of_parts;
mod panics_of_runs;
mod properties;
mod ranking;
mod recommend;
mod recommend_bayes;
mod similar;
mod synth;
