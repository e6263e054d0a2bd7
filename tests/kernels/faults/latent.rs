//! Faults of the latent values' draws: each is a function of the kernel, or a branch that few draws
//! take.

use super::{Fault, fault, hold};
use crate::conformance::latent::Single;

#[rustfmt::skip]
const FAULTS: &[Fault<Single>] = &[
    fault("latent", "a constant of the exponential",
        ("whole * 0.693359375", "whole * 0.6933"), Single::new),
    fault("latent", "a constant of the tail",
        ("1.2183613", "1.228"), Single::new),
    fault("latent", "another",
        ("2.2208502", "2.23"), Single::new),
    fault("latent", "the other tail",
        ("1.0 - inner - outer, a < 0.0", "1.0 - inner, a < 0.0"), Single::new),
    fault("latent", "the inner end",
        ("inner - outer, 1.0", "inner, 1.0"), Single::new),
    fault("latent", "the inner end of a tail",
        ("inner + share(word) * chance", "share(word) * chance"), Single::new),
    fault("latent", "which tail",
        ("select(x, -x, under < above)", "x"), Single::new),
    fault("latent", "where tails begin",
        ("if a < 5.0", "if a < 50.0"), Single::new),
    fault("latent", "the length of a tail",
        ("exponential(-width * (a + 0.5 * width))", "0.0"), Single::new),
    fault("latent", "refinement",
        ("turn < 2u", "turn < 0u"), Single::new),
    fault("latent", "which side is nearer",
        ("let below = (low - mean) + (high - mean) < 0.0;", "let below = false;"), Single::new),
    fault("latent", "the side of the mean",
        ("select(mean + x, mean - x, below)", "mean + x"), Single::new),
];

#[test]
fn faults_of_the_draws_are_noticed() {
    hold("latent", FAULTS);
}
