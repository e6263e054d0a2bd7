//! What proves a backend right: its passes against the oracle of `tests/support/oracle` (textbook f64),
//! at the sizes that hurt.
//!
//! A new backend is shown right by one line in `tests/kernels/twins.rs`:
//!
//! ```ignore
//! conform!(mine, Mine::open()?);
//! ```
//!
//! which makes a test of every function that [`conform`] lists, each on a backend opened for it. A
//! new statement is a function of `&dyn Backend` in the file of its part, and its name in that list.
//! That the comparisons notice what they should is shown in `tests/kernels/faults`.

pub mod choices;
pub mod gibbs;
pub mod gradient;
pub mod latent;
pub mod rank;
pub mod rows;

use wgmf::backend::Backend;

/// A problem that a backend and the oracle both solve.
pub trait Compare {
    /// What it is.
    fn name(&self) -> String;

    /// Readies the problem on a backend and no more: a shader that does not compile fails here.
    ///
    /// # Errors
    /// What the backend says.
    fn opens(&self, backend: &dyn Backend) -> Result<(), String>;

    /// How far the backend is from the oracle, at most.
    ///
    /// # Errors
    /// Says what is further than allowed.
    fn compare(&self, backend: &dyn Backend) -> Result<f64, String>;

    /// Whether a fault shows: clearly, where numbers are drawn and compared with a bound.
    fn objects(&self, backend: &dyn Backend) -> bool {
        self.compare(backend).is_err()
    }

    /// The devices on which a fault may show, by their limits (bytes of a binding, workgroups of a
    /// dispatch): here the whole one.
    fn devices(&self) -> Vec<Option<(u64, u32)>> {
        vec![None]
    }
}

/// Holds a backend against the oracle on every case, and names all cases that fail.
pub fn hold<C: Compare>(backend: &dyn Backend, cases: Vec<C>) {
    let mut failures = Vec::new();
    let mut worst = (0.0, String::new());
    let count = cases.len();
    for case in cases {
        match case.compare(backend) {
            Ok(gap) if gap > worst.0 => worst = (gap, case.name()),
            Ok(_) => {}
            Err(what) => failures.push(what),
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count} cases on the {} differ from the oracle:\n{}",
        failures.len(),
        backend.device().backend,
        failures.join("\n")
    );
    println!("{count} cases within {:.1e} ({})", worst.0, worst.1);
}

/// Statements that hold a table of cases against the oracle: a function of each.
macro_rules! held {
    ($($name:ident: $cases:expr;)*) => {
        $(pub fn $name(backend: &dyn Backend) { super::hold(backend, $cases); })*
    };
}
use held;

/// Makes the tests of a backend: `conform!(module, expression that opens it)`.
macro_rules! conform {
    ($device:ident, $open:expr) => {
        mod $device {
            use super::*;
            conform! { @part gradient, $open,
                residual_matches_the_oracle_at_ragged_widths,
                residual_matches_the_oracle_at_odd_batches,
                residual_matches_the_oracle_at_weights,
                gradient_matches_the_oracle_at_hot_rows,
                gradient_matches_the_oracle_at_many_rows,
                step_matches_the_oracle_at_every_solver,
                step_matches_the_oracle_at_every_reg_exponent,
                error_matches_the_oracle_at_odd_test_sets,
                reduce_matches_the_oracle_at_many_pairs,
                every_kernel_matches_the_oracle_at_random_problems,
                epochs_match_the_oracle,
                a_broken_epoch_matches_the_oracle,
                reduce_reports_a_single_overflow,
            }
            conform! { @part choices, $open,
                losses_match_the_oracle_at_ragged_widths,
                losses_match_the_oracle_at_odd_pools,
                losses_match_the_oracle_at_odd_batches,
                losses_match_the_oracle_at_every_setting,
                losses_match_the_oracle_at_every_solver,
                a_broken_epoch_of_choices_says_how_far_it_came,
                choices_repeat_and_are_kept,
            }
            conform! { @part rows, $open,
                gram_matches_the_oracle_at_ragged_widths,
                gram_matches_the_oracle_at_rows_of_all_lengths,
                gram_matches_the_oracle_at_hot_rows,
                gram_matches_the_oracle_at_many_rows,
                gram_matches_the_oracle_at_implicit_ratings,
                gram_matches_the_oracle_at_confidences,
                cholesky_matches_the_oracle_at_large_widths,
                cholesky_matches_the_oracle_at_every_reg_exponent,
                cholesky_matches_the_oracle_at_weak_rows,
                blocks_match_the_oracle_at_every_block,
                nonnegative_rows_match_the_oracle_at_every_width,
                error_matches_the_oracle_at_odd_test_sets,
                every_kernel_matches_the_oracle_at_random_problems,
                the_objective_never_rises,
                nonnegative_rows_come_to_rest,
                a_block_of_all_is_exact,
                many_sweeps_match_the_oracle,
                a_broken_solve_leaves_each_row_old_or_new,
                what_is_kept_comes_back,
                cholesky_makes_a_singular_row_non_finite,
                a_single_overflow_is_reported,
                ranges_of_rows_are_solved_as_all_rows_are,
            }
            conform! { @part gibbs, $open,
                draws_are_those_of_the_textbook,
                repeats_give_the_same_bits,
                moments_of_many_rows_keep_their_digits,
                a_draw_that_is_broken_off_says_how_far_it_came,
                averages_of_many_samples_are_those_of_the_cpu,
                ranges_of_rows_are_drawn_as_all_rows_are,
            }
            conform! { @part latent, $open,
                latent_values_are_the_inverse_of_the_distribution,
                a_prediction_that_is_not_finite_is_not_repaired,
            }
            conform! { @part rank, $open,
                topk_matches_the_oracle,
            }
        }
    };
    (@part $part:ident, $open:expr, $($name:ident,)*) => {
        mod $part {
            use super::*;
            $(#[test] fn $name() { crate::conformance::$part::$name(&$open); })*
        }
    };
}
pub(crate) use conform;
