//! The command line: every test here runs the binary.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

#[path = "../support/common/mod.rs"]
mod common;
#[path = "../support/fixture/mod.rs"]
mod fixture;
#[path = "../support/place/mod.rs"]
mod place;

mod alike;
mod bad_bayes;
mod bad_input;
mod bench;
mod biases_alone;
mod choices;
#[cfg(feature = "parquet")]
mod columnar;
mod compare;
mod crash;
mod devices;
mod evaluate;
mod export;
mod fold_in_bayes_cli;
mod inspect;
mod losses;
mod lost_device;

mod memory;
mod nothing_lost;
mod order;
mod outputs;
mod predict;
mod predict_bayes;
mod reading;
mod reading_cases;
mod readme;
mod report;
mod split;
mod times;
mod train;
mod train_rows;
mod tune;
mod weights;
