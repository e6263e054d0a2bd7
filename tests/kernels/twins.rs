//! The conformance suite on each backend.

use crate::common;
use crate::conformance::conform;
use wgmf::cpu::Cpu;

conform!(cpu, Cpu::new());
conform!(gpu, common::gpu());
