//! The conformance suite on each backend.

use crate::common;
use crate::conformance::conform;
use wgmf::cpu::Cpu;

conform!(cpu, Cpu::new());
conform!(gpu, common::gpu());

// Of losses made for ranking.
conform! { @part choices, Cpu::new(),
    losses_match_the_oracle_at_ragged_widths,
    losses_match_the_oracle_at_odd_pools,
    losses_match_the_oracle_at_odd_batches,
    losses_match_the_oracle_at_every_setting,
    losses_match_the_oracle_at_every_solver,
    a_broken_epoch_of_choices_says_how_far_it_came,
    choices_repeat_and_are_kept,
}
