//! Faults of the sampler's kernels, and of the random numbers.

use super::{Fault, fault, hold, planted};
use crate::common::gpu_with;
use crate::conformance::gibbs::{Named, STARS, plain};
use crate::oracle::gibbs_case::GibbsCase;
use wgmf::backend::Backend;

fn whole() -> Named {
    Named("whole rows", plain(5))
}

/// Blocks of `d` of 20 factors.
fn blocks(name: &'static str, block: usize) -> Named {
    Named(name, plain(20).block(block))
}

fn blocks_of_5() -> Named {
    blocks("blocks of 5", 5)
}

fn blocks_of_6() -> Named {
    blocks("blocks of 6", 6)
}

fn blocks_of_7() -> Named {
    blocks("blocks of 7", 7)
}

fn whole_blocks() -> Named {
    Named("blocks of 4", plain(9).block(4))
}

fn counting() -> Named {
    Named("ratings that count", plain(5).counting())
}

fn levels() -> Named {
    Named("levels", plain(5).levels(&STARS))
}

fn levels_of_6() -> Named {
    Named("levels of 6 factors", plain(6).levels(&STARS))
}

fn levels_in_blocks() -> Named {
    Named("levels in blocks", plain(20).block(7).levels(&STARS))
}

/// The last segment has ratings.
fn full() -> Named {
    let pairs = (0..12).map(|j| (j % 4, j % 3)).collect();
    Named("no row without ratings", GibbsCase::of_pairs(5, 4, 3, pairs).levels(&STARS))
}

#[rustfmt::skip]
const FAULTS: &[Fault<Named>] = &[
    fault("cholesky", "half the noise",
        ("y += sweep.deviation", "y += 0.5 * sweep.deviation"), whole),
    fault("cholesky", "noise that a weight does not scale",
        ("sweep.deviation * sqrt(scale)", "sweep.deviation"), whole),
    fault("cholesky", "numbers of the next row",
        ("params.first_row + solve.row", "solve.row + 1u"), whole),
    fault("cholesky", "popularity is forgotten",
        ("sum += penalty * slope(column);", ""), whole),
    fault("cholesky", "the mean is not scaled",
        ("return scale * sum;", "return sum;"), whole),
    fault("cholesky", "all noise is equal",
        ("1.0 / weights[params.own_bias + solve.row]", "1.0 + 0.0 * weights[0]"), whole),
    fault("cholesky", "a block one past a vec4",
        ("vec4(here.yzw, next.x)", "vec4(here.yzw, next.y)"), blocks_of_5),
    fault("cholesky", "a block two past a vec4",
        ("vec4(here.zw, next.xy)", "vec4(here.zw, next.yx)"), blocks_of_6),
    fault("cholesky", "a block three past a vec4",
        ("vec4(here.w, next.xyz)", "vec4(here.x, next.xyz)"), blocks_of_7),
    fault("cholesky", "popularity is forgotten in blocks",
        ("+ popularity * slope(four)", ""), blocks_of_7),
    fault("cholesky", "every block has a bias",
        ("if ROW_BIAS {", "if BIAS {"), blocks_of_7),
    fault("cholesky", "a bias that is not known",
        ("at < COORDINATES + select(0u, 1u, BIAS)", "at < COORDINATES"), whole_blocks),
    fault("cholesky", "fewer are known",
        ("let known = COORDINATES + select(0u, 1u, BIAS);", "let known = COORDINATES;"), whole_blocks),
    fault("cholesky", "the precision is not scaled",
        ("return scale * select", "return select"), whole_blocks),
    fault("cholesky", "another key",
        ("0xbb67ae85u", "0xbb67ae84u"), whole),
    fault("cholesky", "nine turns",
        ("turn < 10u", "turn < 9u"), whole),
    fault("cholesky", "a sine of the wrong sign",
        ("vec2(-turned.y, turned.x)", "vec2(turned.y, turned.x)"), whole),
    fault("gram", "another partner's bias",
        ("params.partner_bias + entries[at].partner]", "entries[at].partner / 2u]"), whole),
    fault("gram", "ratings of an item count alike",
        ("root *= partner_roots", "root = partner_roots"), counting),
    fault("gram", "noise is equal where ratings count",
        ("if PARTNERS { root", "if PARTNERS && !WEIGHTED { root"), counting),
    fault("remainder", "ratings count alike",
        ("if WEIGHTED { e *= roots[here]; }", ""), counting),
    fault("gram", "segments beyond the last",
        ("if first + team <= last && tile < TILES", "if length > 0u && tile < TILES"), whole),
    fault("latent", "numbers of the next row",
        ("params.first_row + segment.row", "segment.row + 1u"), levels),
    fault("latent", "another partner's numbers",
        ("params.first_partner + entry.partner", "entry.partner + 1u"), levels),
    fault("latent", "one word of four",
        ("words[column % 4u]", "words[0]"), levels),
    fault("latent", "a counter for each column",
        ("column / 4u, params", "column, params"), levels),
    fault("latent", "the last threshold for all",
        ("ends[level + 1u])", "ends[3])"), levels),
    fault("latent", "the own bias is dropped",
        ("fixed + own_bias + inner", "fixed + inner"), levels),
    fault("latent", "the factors are dropped",
        ("fixed + own_bias + inner", "fixed + own_bias"), levels),
    fault("latent", "the next row's bias",
        ("params.own_bias + segment.row", "segment.row + 1u"), levels),
    fault("latent", "biases of the wrong side",
        ("params.partner_bias + entry", "0u + entry"), levels),
    fault("latent", "the mean is dropped",
        ("params.global_mean + biases", "biases"), levels),
    fault("latent", "the last column is lost",
        ("column < WIDTH", "column + 1u < WIDTH"), levels_of_6),
    fault("latent", "the last rating is lost",
        ("at < length", "at + 1u < length"), levels),
    fault("latent", "ratings are left out",
        ("at += LANES", "at += LANES + 1u"), levels),
    fault("latent", "a change forgets the prediction",
        ("select(fixed, prediction, CHANGE)", "fixed"), levels_in_blocks),
    fault("latent", "whole rows start from a prediction",
        ("select(fixed, prediction, CHANGE)", "prediction"), levels),
    fault("latent", "the last segment is left out",
        ("index <= last", "index < last"), full),
    fault("latent", "nine turns",
        ("turn < 10u", "turn < 9u"), levels),
    fault("remainder", "errors are not squared",
        ("sum += e * e;", "sum += e;"), whole),
    fault("predict", "biases of the wrong side",
        ("biases[params.item_bias + pair.item]", "biases[pair.item]"), whole),
    fault("predict", "the mean is dropped",
        ("params.global_mean + bias", "bias"), whole),
];

#[test]
fn faults_of_cholesky_are_noticed() {
    hold("cholesky", FAULTS);
}

#[test]
fn faults_of_gram_are_noticed() {
    hold("gram", FAULTS);
}

#[test]
fn faults_of_latent_are_noticed() {
    hold("latent", FAULTS);
}

#[test]
fn faults_of_remainder_are_noticed() {
    hold("remainder", FAULTS);
}

#[test]
fn faults_of_predict_are_noticed() {
    hold("predict", FAULTS);
}

#[test]
fn a_device_with_other_random_numbers_draws_nothing() {
    for (from, to) in [
        ("0xcd9e8d57u", "0xcd9e8d55u"),
        ("carried >> 16u", "carried >> 17u"),
        ("0.693359375", "0.69335"),
        ("-turned;", "turned;"),
        ("words.z, words.w", "words.w, words.z"),
    ] {
        let gpu = gpu_with(None, planted("philox", (from, to), 1));
        let said = match gpu.gibbs_passes(plain(3).problem()) {
            Ok(_) => panic!("{to} for {from} is not noticed"),
            Err(error) => error.to_string(),
        };
        assert!(said.contains("random numbers") && said.contains("`backend` cpu"), "{said}");
    }
}
