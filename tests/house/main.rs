//! The house itself: what stands where.
#![allow(unreachable_pub, reason = "what a test program holds is seen by it alone")]

mod guarantees;
mod walls;
