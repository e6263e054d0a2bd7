//! Faults of the kernels of losses made for ranking.

use super::{Fault, fault, hold};
use crate::oracle::choice_case::ChoiceCase;
use wgmf::core::{Loss, Negatives};

/// More of everything than a tile has.
fn softmax() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 70, (90, 150), 170).negatives(Negatives::Pool(160)).own()
}

/// So many items that the last vec4 of a user's scores is not full.
fn all() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 12, (19, 33), 60).negatives(Negatives::All)
}

/// More than a workgroup looks at once.
fn long() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 5, (20, 600), 60).negatives(Negatives::All)
}

fn long_inner() -> ChoiceCase {
    long().inner()
}

fn inner() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 37, (30, 50), 120).own().inner()
}

fn cut() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 20, (30, 50), 120).contrast("cut", |c| c.cut_off = Some(5))
}

fn dropout() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 37, (30, 50), 120).contrast("dropout", |c| c.dropout = 0.4)
}

fn ccl() -> ChoiceCase {
    ChoiceCase::new(Loss::Ccl, 33, (70, 90), 200).negatives(Negatives::Pool(120)).weighted()
}

fn bpr() -> ChoiceCase {
    ChoiceCase::new(Loss::Bpr, 14, (25, 90), 100).with("reg", |s| s.reg = 0.2).weighted()
}

fn warp() -> ChoiceCase {
    ChoiceCase::new(Loss::Warp, 14, (25, 44), 100).inner()
}

/// So many known and so many tries that one look at 64 draws is not enough.
fn long_search() -> ChoiceCase {
    ChoiceCase::new(Loss::Bpr, 9, (6, 200), 300)
        .negatives(Negatives::Pool(300))
        .contrast("90 tries", |c| c.tries = 90)
}

#[rustfmt::skip]
const FAULTS: &[Fault<ChoiceCase>] = &[
    fault("prepare", "rows keep their length",
        ("select(1.0 / length, 0.0, length == 0.0)", "select(1.0, 0.0, length == 0.0)"), softmax),
    fault("prepare", "the third column's squares are lost",
        (" + square(z2) + square(z3)", " + square(z3)"), softmax),
    fault("prepare", "kept factors are left out",
        ("words >= vec4(params.below)", "words < vec4(params.below)"), dropout),
    fault("prepare", "the bias is dropped",
        ("vec4(scale, bias, 0.0, 0.0)", "vec4(scale, 0.0 * bias, 0.0, 0.0)"), inner),
    fault("pair_score", "the pair's bias is dropped",
        ("item) + bias;", "item) + 0.0 * bias;"), inner),
    fault("contrast", "a step is lost",
        ("step < STEP; step += 1u", "step + 1u < STEP; step += 1u"), softmax),
    fault("contrast", "columns beyond the row count",
        ("let inside = start + step < WIDTH;", "let inside = true;"), softmax),
    fault("contrast", "weights of the pool are dropped",
        ("value += log_weights[params.first_slot + at];", "value += 0.0 * log_weights[params.first_slot + at];"), softmax),
    fault("contrast", "two items are swapped",
        ("let cx = vec4(c0.x, c1.x, c2.x, c3.x);", "let cx = vec4(c1.x, c0.x, c2.x, c3.x);"), softmax),
    fault("contrast", "items beyond the panel count",
        ("return select(LOWEST, value, item < params.items);", "return value;"), all),
    fault("contrast", "the second half of the items is the first",
        ("let more_b = offsets(first_item + 4u * x + 32u);", "let more_b = offsets(first_item + 4u * x);"), softmax),
    fault("contrast", "rows are used before they are there",
        ("        workgroupBarrier();\n        for (var step", "        for (var step"), softmax),
    fault("mask", "what a user knows counts",
        ("= LOWEST;", "= 0.0;"), softmax),
    fault("normalizer", "a sum is not scaled to a higher greatest",
        ("own.y * exp(own.x - highest)", "own.y"), long),
    fault("normalizer", "the second part is not scaled",
        ("b.y * exp(b.x - h)", "b.y"), softmax),
    fault("normalizer", "a draw counts once",
        ("select(m * max(t - params.margin, vec4<f32>())", "select(max(t - params.margin, vec4<f32>())"), ccl),
    fault("normalizer", "the tree is read early",
        ("        workgroupBarrier();\n        if invocation < width", "        if invocation < width"), softmax),
    fault("pairs", "the pair does not stand beside the pool",
        ("sum = e * exp(h - highest) + own;", "sum = e * exp(h - highest);"), softmax),
    fault("pairs", "the weight at the cut-off turned round",
        ("exp(-(score - pair.threshold) * params.inverse_cut)", "exp((score - pair.threshold) * params.inverse_cut)"), cut),
    fault("pairs", "who has no negatives costs",
        ("if has_negatives { held", "if true { held"), no_negatives),
    fault("pairs", "coefficients of the last pair alone",
        ("coefficient += held.coefficient;", "coefficient = held.coefficient;"), ccl),
    fault("pairs", "bpr's slope is that of a distance",
        ("Held(-pair.weight / (1.0 + exp(-d))", "Held(-pair.weight / (1.0 + exp(d))"), bpr),
    fault("pairs", "warp's weights are dropped",
        ("let weight = pair.weight * best.y;", "let weight = pair.weight;"), warp),
    fault("user_gradient", "the last vec4 of a step is lost",
        ("step < STEP / 4u; step += 1u", "step + 1u < STEP / 4u; step += 1u"), softmax),
    fault("user_gradient", "items swapped",
        ("products(a0, c0, u0, u1, u2, u3)", "products(a0, c0, u1, u0, u2, u3)"), softmax),
    fault("user_gradient", "the second half of the columns repeats the first",
        ("let v0 = item_tile[here + LANES", "let v0 = item_tile[here"), softmax),
    fault("user_gradient", "all of ccl's negatives count",
        ("t > vec4(params.margin)", "t > vec4(-2.0)"), ccl),
    fault("user_gradient", "gradients are used before they are there",
        ("        workgroupBarrier();\n        for (var step", "        for (var step"), softmax),
    fault("item_gradient", "a user is lost",
        ("step < STEP; step += 1u", "step + 1u < STEP; step += 1u"), softmax),
    fault("item_gradient", "users beyond the part count",
        ("user < end && four < params.stride", "four < params.stride"), softmax),
    fault("item_gradient", "slots swapped",
        ("write_part(part, item + 32u, column, a4, b4)", "write_part(part, item + 32u, column, a5, b4)"), softmax),
    fault("item_gradient", "biases stand still",
        ("far += d;", ""), long_inner),
    fault("item_gradient", "draws of a slot count once",
        ("own.z * counts[four]", "vec4(own.z)"), ccl),
    fault("pair_gradient", "the picked slot is not pushed away",
        ("batch[pair].user, -slope_of(pair)", "batch[pair].user, 0.0 * slope_of(pair)"), warp),
    fault("pair_gradient", "the user is not pushed away",
        ("picked[entry.pair % 4u], -slope", "picked[entry.pair % 4u], 0.0 * slope"), bpr),
    fault("pair_gradient", "who picked does not count",
        ("-slope_of(pair), 1.0, lane", "-slope_of(pair), 0.0, lane"), bpr),
    fault("pick", "known items are picked",
        ("at < params.draws && !is_known(pair.user, drawn)", "at < params.draws"), bpr),
    fault("pick", "one more is looked at",
        ("own_turn <= params.tries", "own_turn <= params.tries + 1u"), bpr),
    fault("pick", "turns begin anew",
        ("seen += all;", "seen = all;"), long_search),
    fault("pick", "the margin is dropped",
        ("scores[index] - params.margin", "scores[index]"), warp),
    fault("pick", "every turn weighs as the first",
        ("place_weights[best_turns[0] - 1u]", "place_weights[0]"), warp),
    fault("project", "the row's own direction stays",
        ("d0 - along * x0", "d0"), softmax),
    fault("project", "the last part is lost",
        ("if even < params.parts { sum", "if even + 1u < params.parts { sum"), softmax),
    fault("project", "left out factors move",
        ("gradients[to + column0] = kept(slot.row, column0) * d0;", "gradients[to + column0] = d0;"), dropout),
    fault("project", "pairs weigh nothing in the penalty",
        ("let pairs = f32(slot.pairs) + head.y;", "let pairs = head.y;"), bpr),
];

/// Two items, of which a user may have both.
fn no_negatives() -> ChoiceCase {
    ChoiceCase::new(Loss::Softmax, 6, (8, 2), 20).negatives(Negatives::All)
}

#[test]
fn every_fault_of_prepare_is_noticed() {
    hold("prepare", FAULTS);
}

#[test]
fn every_fault_of_pair_score_is_noticed() {
    hold("pair_score", FAULTS);
}

#[test]
fn every_fault_of_contrast_is_noticed() {
    hold("contrast", FAULTS);
    hold("mask", FAULTS);
}

#[test]
fn every_fault_of_normalizer_is_noticed() {
    hold("normalizer", FAULTS);
}

#[test]
fn every_fault_of_pairs_is_noticed() {
    hold("pairs", FAULTS);
}

#[test]
fn every_fault_of_user_gradient_is_noticed() {
    hold("user_gradient", FAULTS);
}

#[test]
fn every_fault_of_item_gradient_is_noticed() {
    hold("item_gradient", FAULTS);
}

#[test]
fn every_fault_of_pair_gradient_is_noticed() {
    hold("pair_gradient", FAULTS);
}

#[test]
fn every_fault_of_pick_is_noticed() {
    hold("pick", FAULTS);
}

#[test]
fn every_fault_of_project_is_noticed() {
    hold("project", FAULTS);
}
